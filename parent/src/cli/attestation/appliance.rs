//! A document and everything beside it, asked of a running appliance.

use super::super::client::Client;
use super::super::key;
use super::super::output::Failure;
use super::given::Fetched;
use alloy_primitives::Address;
use nitro_signer_shared::claims::HeldKey;
use serde::Deserialize;
use serde_json::Value;

/// How often document and keys are asked for when a key is made between the two.
const ATTEMPTS: usize = 3;

#[derive(Deserialize)]
struct Answer {
    document: String,
    claims: String,
    claims_decoded: Value,
}

/// Which keys are wanted beside the document.
pub(super) enum Wanted<'a> {
    /// Every one.
    All,
    /// These, each with its way to the claims' root.
    These(&'a [Address]),
}

/// A document over this nonce, the claims, and the keys under the claims' root.
pub(super) async fn fetch(
    client: &Client,
    nonce: &[u8],
    wanted: Wanted<'_>,
) -> Result<Fetched, Failure> {
    let nonce = hex::encode(nonce);
    let mut attempt = 1;
    let (answer, keys) = loop {
        let answer: Answer = client.get(&format!("/v1/attestation?nonce={nonce}")).await?;
        let held = answer.claims_decoded["keys"].as_u64().unwrap_or_default();
        let keys = if held == 0 { Vec::new() } else { key::list(client).await? };
        if keys.len() as u64 == held || attempt == ATTEMPTS {
            break (answer, keys);
        }
        attempt += 1;
    };
    let keys: Vec<HeldKey> = keys.into_iter().map(HeldKey::from).collect();
    let (keys, inclusions) = match wanted {
        Wanted::All => (Some(keys), None),
        Wanted::These(addresses) => {
            let find = |address: &Address| {
                HeldKey::inclusion(&keys, address).ok_or_else(|| {
                    Failure::mismatch(format!("the appliance lists no key {address}"))
                })
            };
            (None, Some(addresses.iter().map(find).collect::<Result<_, _>>()?))
        }
    };
    Ok(Fetched {
        verified: false,
        nonce,
        document: answer.document,
        claims: Some(answer.claims),
        claims_decoded: Some(answer.claims_decoded),
        keys,
        inclusions,
    })
}
