//! `attestation fetch`: asks an appliance for a document and believes nothing of it.

use super::super::connection::{Connection, Stack};
use super::super::output::{Failure, Report, random};
use super::appliance::{self, Wanted};
use super::{Nonce, nonce};
use crate::ethereum::fields::address_text;
use alloy_primitives::Address;
use serde_json::json;
use std::path::PathBuf;

/// Fetch a document, the claims and the keys beside it, for `verify` here or elsewhere. NOT
/// verified.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: fetch over a nonce of your own, verify elsewhere; a proof of one address for somebody else
  nitro-signer attestation fetch --nonce $(openssl rand -hex 32) -o attestation.json --stack stack.json
  nitro-signer attestation fetch --address 0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f -o held.json \\
    --url https://signer.example:8443 --ca ca.pem --cert me.pem --key me.key")]
pub(in crate::cli) struct Fetch {
    /// The nonce, 16 to 64 bytes in hex; a random one if absent.
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Nonce>,
    /// Only this key, with the proof that it is held; several are possible. Else all keys.
    #[arg(long = "address", value_name = "0x…", value_parser = address)]
    addresses: Vec<Address>,
    /// Where to write it, as JSON; standard output if absent.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Fetch {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let nonce = match self.nonce {
            Some(Nonce(nonce)) => nonce,
            None => random::<32>()?.to_vec(),
        };
        let client = self.connection.client(stack)?;
        let wanted = match self.addresses.as_slice() {
            [] => Wanted::All,
            addresses => Wanted::These(addresses),
        };
        let fetched = appliance::fetch(&client, &nonce, wanted).await?;
        let json = serde_json::to_value(&fetched)
            .map_err(|e| Failure::malformed(format!("the answer cannot be written: {e}")))?;
        let Some(path) = self.output else {
            return Ok(Report::new(json.clone()).line(format_args!("{json:#}")));
        };
        std::fs::write(&path, format!("{json:#}\n"))
            .map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
        let nonce = hex::encode(nonce);
        Ok(Report::new(json!({ "verified": false, "nonce": nonce, "output": path }))
            .line(format_args!("{}: fetched, NOT VERIFIED. Next:", path.display()))
            .line(format_args!(
                "nitro-signer attestation verify {} --nonce {nonce} --expect … --manifest …",
                path.display()
            )))
    }
}

/// An address as people write it: with its checksum, or in one case.
pub(super) fn address(text: &str) -> Result<Address, String> {
    address_text("the address", text).map_err(|e| e.to_string())
}
