//! `sign typed-data`: typed data under EIP-712.

use super::super::connection::Stack;
use super::super::output::{Failure, Report, read_input};
use super::{Asking, address};
use crate::ethereum::Payload;
use alloy_primitives::Address;
use nitro_signer_shared::message::MAX_TYPED_DATA;
use serde_json::json;
use std::path::PathBuf;

/// Sign typed data (EIP-712), given as eth_signTypedData_v4's JSON object: types, primaryType,
/// domain and message.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer sign typed-data permit.json --from 0x9d8a… --stack stack.json
  nitro-signer sign typed-data - --from 0x9d8a… --stack stack.json < permit.json")]
pub(in crate::cli) struct TypedData {
    /// The file with the typed data, or - for standard input.
    file: PathBuf,
    /// The key's address.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Address,
    #[command(flatten)]
    asking: Asking,
}

impl TypedData {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let text = read_input(&self.file, MAX_TYPED_DATA as u64)?;
        let asked = Payload::typed_data(&text).map_err(|e| Failure::usage(e.to_string()))?;
        let text = String::from_utf8(text).map_err(|e| Failure::usage(e.to_string()))?;
        // As a string: so it arrives byte for byte, whatever a JSON writer makes of its numbers.
        let body = json!({ "from": self.from, "typed_data": text });
        self.asking.ask_signature("/v1/typed-data", body, &asked, self.from, stack).await
    }
}
