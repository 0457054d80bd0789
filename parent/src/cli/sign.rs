//! `sign transaction`: asks for a signature and believes nothing of the answer unchecked.

use super::connection::{Connection, Prover, Stack};
use super::output::{Failure, Report, read_input};
use super::proof;
use super::trust::ManifestFile;
use crate::ethereum::{CheckedTransaction, TransactionRequest};
use alloy_primitives::{B256, Bytes};
use nitro_signer_shared::json;
use nitro_signer_shared::proof::Intent;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::PathBuf;

const MAX_INPUT: u64 = 1_048_576;

/// Sign something.
#[derive(clap::Subcommand)]
pub(super) enum Sign {
    Transaction(Transaction),
}

/// Sign a transaction, given as eth_signTransaction's JSON object. Nothing is filled in: nonce,
/// gas, fees and chainId must be there. What comes back is decoded, compared with what was asked
/// field by field, and its sender recovered, before it is printed.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  echo '{\"from\":\"0x9d8a…\",\"to\":\"0x3535…\",\"value\":\"0x1\",\"nonce\":\"0x0\",\"gas\":\"0x5208\",
    \"maxFeePerGas\":\"0x77359400\",\"maxPriorityFeePerGas\":\"0x1\",\"chainId\":1}' |
    nitro-signer sign transaction - --stack target/dev/stack.json")]
pub(super) struct Transaction {
    /// The file with the transaction, or - for standard input.
    file: PathBuf,
    /// Send no client proof even if a client key is named: the certificate's name must do.
    #[arg(long)]
    without_proof: bool,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    prover: Prover,
    #[command(flatten)]
    manifest: ManifestFile,
}

#[derive(Deserialize)]
struct Signed {
    raw: Bytes,
    transaction_hash: B256,
    signing_hash: B256,
}

impl Sign {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let Self::Transaction(transaction) = self;
        transaction.run(stack).await
    }
}

impl Transaction {
    async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let text = read_input(&self.file, MAX_INPUT)?;
        let object = json::read_object(&text).map_err(|e| Failure::usage(e.to_string()))?;
        let asked = TransactionRequest::read(object, None);
        let asked = asked.map_err(|e| Failure::usage(e.to_string()))?;
        // The strict reader above took the text, so this reader sees the same.
        let transaction: Value =
            serde_json::from_slice(&text).map_err(|e| Failure::usage(e.to_string()))?;
        let mut body = json!({ "transaction": transaction });
        if let Some(proof) = self.proof(&asked, stack)? {
            body["proof"] = proof;
        }
        let client = self.connection.client(stack)?;
        let signed: Signed = client.post("/v1/transactions", &body).await?;
        let checked = CheckedTransaction::open(&signed.raw, &asked)
            .map_err(|e| Failure::mismatch(format!("{e}; do not send it")))?;
        let hashes = (checked.hash(), asked.transaction.signing_hash());
        if (signed.transaction_hash, signed.signing_hash) != hashes {
            return Err(Failure::mismatch("the answer's hashes are not the transaction's"));
        }
        let raw = format!("0x{}", hex::encode(checked.raw()));
        let json = json!({
            "raw": raw,
            "transaction_hash": checked.hash(),
            "from": asked.from,
            "transaction": checked.to_json(),
        });
        Ok(Report::new(json).line(raw))
    }

    fn proof(&self, asked: &TransactionRequest, stack: &Stack) -> Result<Option<Value>, Failure> {
        if self.without_proof {
            return Ok(None);
        }
        let Some(key) = self.prover.find(stack)? else { return Ok(None) };
        let (_, manifest) = self.manifest.require(stack)?;
        let intent = Intent::sign_transaction(asked.from, asked.transaction.signing_hash());
        Ok(Some(proof::to_json(&key.prove(&intent, &manifest)?)))
    }
}
