//! `sign transaction`: the answer is decoded and compared field by field before it is printed.

use super::super::connection::Stack;
use super::super::output::{Failure, Report, read_input};
use super::{Asking, mismatch};
use crate::ethereum::{CheckedTransaction, SidecarForm, TransactionRequest};
use alloy_primitives::{B256, Bytes};
use nitro_signer_shared::json;
use nitro_signer_shared::proof::Intent;
use nitro_signer_shared::refusal::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

/// As much as a request may have: a transaction with 16 blobs in hex.
const MAX_INPUT: u64 = 6 * 1_048_576;

/// Sign a transaction, given as eth_signTransaction's JSON object. Nothing is filled in: nonce,
/// gas, fees and chainId must be there. What comes back is decoded, compared with what was asked
/// field by field, and its sender recovered, before it is printed.
///
/// A blob transaction may carry `blobs`, `commitments` and `proofs`; it is printed with them, ready
/// for eth_sendRawTransaction. A legacy transaction without replay protection (EIP-155) is asked
/// for by `"unprotected": true` and no chainId.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  echo '{\"from\":\"0x9d8a…\",\"to\":\"0x3535…\",\"value\":\"0x1\",\"nonce\":\"0x0\",\"gas\":\"0x5208\",
    \"maxFeePerGas\":\"0x77359400\",\"maxPriorityFeePerGas\":\"0x1\",\"chainId\":1}' |
    nitro-signer sign transaction - --stack target/dev/stack.json
  nitro-signer sign transaction blobs.json --sidecar eip4844 --stack target/dev/stack.json")]
pub(in crate::cli) struct Transaction {
    /// The file with the transaction, or - for standard input.
    file: PathBuf,
    /// How blobs go to the network: eip7594 with 128 cell proofs for each blob, or eip4844 with
    /// one proof. The transaction must carry the proofs of that form.
    #[arg(long, value_name = "FORM", default_value = "eip7594", value_parser = form)]
    sidecar: SidecarForm,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Deserialize)]
struct Signed {
    raw: Bytes,
    transaction_hash: B256,
    signing_hash: B256,
}

impl Transaction {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let text = read_input(&self.file, MAX_INPUT)?;
        let object = json::read_object(&text).map_err(|e| Failure::usage(e.to_string()))?;
        let asked = TransactionRequest::read_in_form(object, None, self.sidecar);
        let asked = asked.map_err(|e| Failure::usage(e.to_string()))?;
        // The strict reader above took the text, so this reader sees the same.
        let transaction: Value =
            serde_json::from_slice(&text).map_err(|e| Failure::usage(e.to_string()))?;
        let body = json!({ "transaction": transaction });
        let path = match asked.sidecar {
            None => "/v1/transactions".to_owned(),
            Some(_) => format!("/v1/transactions?sidecar={}", self.sidecar.as_str()),
        };
        let intent = Intent::sign_transaction(asked.from, asked.transaction.signing_hash());
        let signed: Signed = self.asking.ask(&path, body, &intent, stack).await?;
        report(&signed, &asked)
    }
}

fn report(signed: &Signed, asked: &TransactionRequest) -> Result<Report, Failure> {
    let core = asked.unfinish(&signed.raw);
    let core = core.ok_or_else(|| {
        Failure::mismatch("the answer does not carry the blobs that were given; do not send it")
    })?;
    let checked = CheckedTransaction::open(&core, asked).map_err(mismatch)?;
    let hashes = (checked.hash(), asked.transaction.signing_hash());
    if (signed.transaction_hash, signed.signing_hash) != hashes {
        return Err(Failure::mismatch("the answer's hashes are not the transaction's"));
    }
    let json = json!({
        "raw": signed.raw,
        "transaction_hash": checked.hash(),
        "from": asked.from,
        "transaction": checked.to_json(),
    });
    Ok(Report::new(json).line(&signed.raw))
}

fn form(text: &str) -> Result<SidecarForm, Refusal> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of EIP-155: its signed bytes, their hash and the one that was signed.
    const RAW: &str = "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
    const HASH: &str = "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788";
    const SIGNED: &str = "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53";

    #[test]
    fn only_the_transaction_that_was_asked_for_is_printed() {
        let check = |raw: &str, hash: &str, signed: &str, nonce: u8| {
            let text = format!(
                r#"{{"from":"0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f","gas":"0x5208",
                "to":"0x3535353535353535353535353535353535353535","nonce":{nonce},
                "gasPrice":"0x4a817c800","value":"0xde0b6b3a7640000","chainId":"0x1"}}"#
            );
            let object = json::read_object(text.as_bytes()).expect("is JSON");
            let asked = TransactionRequest::read(object, None).expect("is complete");
            let answer = json!({ "raw": raw, "transaction_hash": hash, "signing_hash": signed });
            report(&Signed::deserialize(answer).expect("is one"), &asked).is_ok()
        };
        assert!(check(RAW, HASH, SIGNED, 9));
        assert!(!check(RAW, HASH, SIGNED, 8));
        assert!(!check(RAW, SIGNED, SIGNED, 9));
        assert!(!check(RAW, HASH, HASH, 9));
        assert!(!check(&RAW[..RAW.len() - 2], HASH, SIGNED, 9));
    }
}
