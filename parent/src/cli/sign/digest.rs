//! `sign digest`: a bare hash, which says nothing of what it stands for.

use super::super::connection::Stack;
use super::super::output::{Failure, Report};
use super::{Asking, address};
use crate::ethereum::Payload;
use alloy_primitives::Address;
use nitro_signer_shared::json::Value;
use nitro_signer_shared::refusal::Refusal;
use serde_json::json;

/// Sign a 32-byte digest as it stands. It may be the hash of anything, a transaction included: the
/// manifest must allow it and a client proof must ask for it.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer sign digest 0x9c22ff5f21f0b81b113e63f7db6da94fedef11b2119b4088b89664fb9a3cb658 \\
    --from 0x9d8a… --client-key ops.key --manifest manifest.cbor \\
    --url https://signer.example:8443 --ca ca.pem --cert me.pem --key me.key")]
pub(in crate::cli) struct Digest {
    /// The digest: 0x and 64 hex digits.
    #[arg(value_parser = digest)]
    digest: Payload,
    /// The key's address.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Address,
    #[command(flatten)]
    asking: Asking,
}

impl Digest {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let body = json!({ "from": self.from, "digest": self.digest.signing_hash() });
        self.asking.ask_signature("/v1/digests", body, &self.digest, self.from, stack).await
    }
}

fn digest(text: &str) -> Result<Payload, Refusal> {
    Payload::digest(Value::String(text.to_owned()))
}
