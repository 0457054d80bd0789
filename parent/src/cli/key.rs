//! `key create | list | show`.
//!
//! `create` draws its own nonce and prints an address only after it verified the attestation
//! document over it: a lying parent cannot have funds sent to a key of its own.

use super::client::Client;
use super::connection::{Connection, Prover, Stack};
use super::output::{Failure, Report, now_ms, random};
use super::proof;
use super::trust::Trust;
use crate::ethereum::fields::address_text;
use alloy_primitives::Address;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nitro_signer_shared::attestation::{Expectations, TrustAnchor, UnverifiedDocument};
use nitro_signer_shared::claims::{ClaimSet, HeldKey, KeyClaims};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::Origin;
use nitro_signer_shared::proof::Intent;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

const NOT_VERIFIED: &str = "NOT VERIFIED: what follows is what the parent says. Send funds only to \
                            addresses that `key create` verified.";

/// The most pages that `list` reads: a million keys.
const MAX_PAGES: usize = 1_000;

/// Keys: make one, list them, show one.
#[derive(clap::Subcommand)]
pub(super) enum Key {
    Create(Create),
    List(List),
    Show(Show),
}

/// Make a key. Prints its address only after verifying the enclave's attestation of it.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer key create --label team=treasury --client-key ops.key \\
    --expect measurements.json --manifest manifest.cbor \\
    --url https://signer.example:8443 --ca ca.pem --cert me.pem --key me.key")]
pub(super) struct Create {
    /// What policy may see of the key, fixed for its life; several are possible.
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Keep a copy of the sealed record, of which the parent only says that it is stored.
    #[arg(long, value_name = "FILE")]
    record_out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    prover: Prover,
    #[command(flatten)]
    trust: Trust,
}

/// List the keys that the parent says the enclave holds.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer key list --json --stack target/dev/stack.json")]
pub(super) struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Show one key, as the parent has it from the enclave.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer key show 0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f --stack target/dev/stack.json")]
pub(super) struct Show {
    /// The key's address.
    address: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Deserialize)]
struct Created {
    address: Address,
    record: String,
    attestation: Attested,
}

#[derive(Deserialize)]
struct Attested {
    document: String,
    claims: String,
}

#[derive(Deserialize)]
struct Page {
    keys: Vec<Listed>,
    more: bool,
}

/// A key as the parent has it from the enclave.
#[derive(Deserialize, Serialize)]
pub(super) struct Listed {
    address: Address,
    origin: Origin,
    created: u64,
    creator: String,
    labels: BTreeMap<String, String>,
}

impl From<Listed> for HeldKey {
    fn from(listed: Listed) -> Self {
        let Listed { address, origin, created, labels, creator: _ } = listed;
        Self { address, origin, created, labels }
    }
}

impl Key {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        match self {
            Self::Create(create) => create.run(stack).await,
            Self::List(list) => list.run(stack).await,
            Self::Show(show) => show.run(stack).await,
        }
    }
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Create {
    async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        // Everything that judges the answer is read before anything is asked.
        let (manifest, manifest_hash) = self.trust.manifest().require(stack)?;
        let expected = self.trust.expectations(stack)?;
        let judge = Judge {
            expected,
            anchor: self.trust.anchor(stack)?,
            manifest,
            manifest_hash,
            nonce: random::<32>()?,
            labels: self.labels()?,
        };
        let client = self.connection.client(stack)?;
        let intent = Intent::create_key(&judge.labels, &judge.nonce);
        let proof = self.prover.require(stack)?.prove(&intent, &judge.manifest_hash)?;
        let body = json!({
            "labels": judge.labels,
            "nonce": format!("0x{}", hex::encode(judge.nonce)),
            "proof": proof::to_json(&proof),
        });
        let created: Created = client.post("/v1/keys", &body).await?;
        let report = judge.report(&created, now_ms())?;
        if let Some(path) = &self.record_out {
            std::fs::write(path, base64("record", &created.record)?)
                .map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
        }
        Ok(report)
    }

    fn labels(&self) -> Result<BTreeMap<String, String>, Failure> {
        let labels: BTreeMap<_, _> = self.labels.iter().cloned().collect();
        if labels.len() != self.labels.len() {
            return Err(Failure::usage("--label: a name stands twice"));
        }
        Ok(labels)
    }
}

/// What the answer to `create` is held against.
struct Judge {
    expected: Expectations,
    anchor: TrustAnchor,
    manifest: Manifest,
    manifest_hash: ManifestHash,
    nonce: [u8; 32],
    labels: BTreeMap<String, String>,
}

impl Judge {
    fn report(&self, created: &Created, now_ms: u64) -> Result<Report, Failure> {
        let claims = self.verify(created, now_ms)?;
        let trust = self.anchor.kind().as_str();
        let json = json!({
            "address": claims.address,
            "origin": claims.origin.as_str(),
            "created": claims.created,
            "labels": claims.labels,
            "deployment": claims.deployment,
            "vault": claims.vault,
            "vault_fingerprint": claims.vault_fingerprint,
            "manifest_hash": self.manifest_hash.as_bytes(),
            "record_hash": claims.record_hash,
            "trust_anchor": trust,
            "nonce": format!("0x{}", hex::encode(self.nonce)),
            "attestation": {
                "document": created.attestation.document,
                "claims": created.attestation.claims,
            },
        });
        Ok(Report::new(json)
            .field("address", claims.address)
            .field("origin", claims.origin.as_str())
            .field("vault", &claims.vault)
            .field("vault fingerprint", claims.vault_fingerprint)
            .field("manifest", self.manifest_hash)
            .line(format_args!(
                "Verified: made inside an enclave of these measurements and this manifest (root: {trust})."
            )))
    }

    /// The claims of the new key, if the document proves them of the expected enclave, now.
    fn verify(&self, created: &Created, now_ms: u64) -> Result<KeyClaims, Failure> {
        let document = base64("document", &created.attestation.document)?;
        let bytes = base64("claims", &created.attestation.claims)?;
        let expected = self
            .expected
            .clone()
            .manifest(&self.manifest_hash)
            .nonce(&self.nonce)
            .user_data(&KeyClaims::user_data(&bytes))
            .no_public_key();
        let verified = UnverifiedDocument::parse(&document)?
            .authenticate(&self.anchor, now_ms)?
            .check(&expected, now_ms)?;
        let claims = KeyClaims::open(&bytes, verified.user_data().unwrap_or_default())
            .map_err(|e| Failure::mismatch(e.to_string()))?;
        let record = digest(&SHA256, &base64("record", &created.record)?);
        let same = [
            (claims.record_hash.as_slice() == record.as_ref(), "record"),
            (claims.address == created.address, "address"),
            (claims.labels == self.labels, "labels"),
            (claims.origin == Origin::Generated, "origin"),
            (claims.manifest_hash == *self.manifest_hash.as_bytes(), "manifest"),
            (claims.deployment == self.manifest.deployment.as_str(), "deployment"),
            (claims.vault == self.manifest.vault.as_str(), "vault"),
        ];
        match same.iter().find(|(same, _)| !same) {
            None => Ok(claims),
            Some((_, what)) => Err(Failure::mismatch(format!(
                "the attested {what} is not what was asked for and shown; do not use this key"
            ))),
        }
    }
}

fn base64(name: &str, text: &str) -> Result<Vec<u8>, Failure> {
    BASE64_STANDARD.decode(text).map_err(|_| Failure::malformed(format!("{name} is not base64")))
}

/// The keys that the parent says the enclave holds, in order of address.
pub(super) async fn list(client: &Client) -> Result<Vec<Listed>, Failure> {
    let mut keys: Vec<Listed> = Vec::new();
    for _ in 0..MAX_PAGES {
        let after = keys.last().map(|key| format!("?after={:?}", key.address));
        let page: Page = client.get(&format!("/v1/keys{}", after.unwrap_or_default())).await?;
        // Pages that do not move forward would never end.
        let onward = page.more && !page.keys.is_empty();
        keys.extend(page.keys);
        if !keys.is_sorted_by(|a, b| a.address < b.address) {
            return Err(Failure::mismatch("the keys are not in order of address"));
        }
        if !onward {
            return Ok(keys);
        }
    }
    Err(Failure::mismatch(format!("more than {MAX_PAGES} pages of keys")))
}

impl List {
    async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let client = self.connection.client(stack)?;
        Ok(Self::report(&list(&client).await?))
    }

    fn report(keys: &[Listed]) -> Report {
        let mut report = Report::new(json!({ "verified": false, "keys": keys })).line(NOT_VERIFIED);
        for key in keys {
            let labels: Vec<_> = key.labels.iter().map(|(n, v)| format!("{n}={v}")).collect();
            report = report.line(format_args!(
                "{}  {}  {}  {}",
                key.address,
                key.origin.as_str(),
                key.creator,
                labels.join(" ")
            ));
        }
        report
    }
}

impl Show {
    async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let address = address_text("the address", &self.address)
            .map_err(|e| Failure::usage(e.to_string()))?;
        let client = self.connection.client(stack)?;
        let key: Listed = client.get(&format!("/v1/keys/{address:?}")).await?;
        if key.address != address {
            return Err(Failure::mismatch("the answer is about another key"));
        }
        let mut report = Report::new(json!({ "verified": false, "key": key }))
            .line(NOT_VERIFIED)
            .field("address", key.address)
            .field("origin", key.origin.as_str())
            .field("created", key.created)
            .field("creator", &key.creator);
        for (name, value) in &key.labels {
            report = report.field("label", format_args!("{name}={value}"));
        }
        Ok(report)
    }
}
