//! `sign message`: a message under EIP-191, as eth_sign and personal_sign have it.

use super::super::connection::Stack;
use super::super::output::{Failure, Report, read_input};
use super::{Asking, address};
use crate::ethereum::{Payload, fields};
use alloy_primitives::{Address, Bytes};
use nitro_signer_shared::json::{FieldError, Value};
use nitro_signer_shared::message::MAX_MESSAGE;
use serde_json::json;
use std::path::PathBuf;

/// Sign a message with Ethereum's prefix (EIP-191). A file is signed byte for byte, a line break
/// at its end included.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer sign message --from 0x9d8a… --text 'I own this account' --stack stack.json
  nitro-signer sign message --from 0x9d8a… --hex 0x48656c6c6f --stack stack.json
  printf %s 'Hello' | nitro-signer sign message --from 0x9d8a… - --stack stack.json")]
pub(in crate::cli) struct Message {
    /// The key's address.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Address,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    asking: Asking,
}

/// Where the message comes from.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The file that holds the message, or - for standard input.
    file: Option<PathBuf>,
    /// The message itself, in UTF-8.
    #[arg(long)]
    text: Option<String>,
    /// The message's bytes in 0x-hex.
    #[arg(long, value_name = "0x…", value_parser = bytes)]
    hex: Option<Bytes>,
}

impl Message {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let message = self.source.read()?;
        let body = json!({ "from": self.from, "message": format!("0x{}", hex::encode(&message)) });
        let asked = Payload::message(message).map_err(|e| Failure::usage(e.to_string()))?;
        self.asking.ask_signature("/v1/messages", body, &asked, self.from, stack).await
    }
}

impl Source {
    fn read(&self) -> Result<Vec<u8>, Failure> {
        match (&self.file, &self.text, &self.hex) {
            (Some(file), ..) => read_input(file, MAX_MESSAGE as u64),
            (_, Some(text), _) => Ok(text.clone().into_bytes()),
            (.., Some(bytes)) => Ok(bytes.to_vec()),
            _ => Err(Failure::usage("name a file, --text or --hex")),
        }
    }
}

fn bytes(text: &str) -> Result<Bytes, FieldError> {
    fields::bytes("the message", Value::String(text.to_owned()))
}
