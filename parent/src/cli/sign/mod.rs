//! `sign …`: asks for signatures and believes nothing of the answers unchecked.
//!
//! What is signed is hashed here, from what the user gave; the answer's hash must be that one, and
//! its signature must recover to the key that was asked. Only then is it printed.

mod authorization;
mod digest;
mod message;
mod transaction;
mod typed_data;

use super::connection::{Connection, Prover, Stack};
use super::output::{Failure, Report};
use super::proof;
use super::trust::ManifestFile;
use crate::ethereum::{AnsweredSignature, CheckError, CheckedSignature, Payload, fields};
use alloy_primitives::Address;
use nitro_signer_shared::json::FieldError;
use nitro_signer_shared::proof::Intent;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Sign something.
#[derive(clap::Subcommand)]
pub(super) enum Sign {
    Transaction(transaction::Transaction),
    Message(message::Message),
    TypedData(typed_data::TypedData),
    Authorization(authorization::Authorization),
    Digest(digest::Digest),
}

impl Sign {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        match self {
            Self::Transaction(transaction) => transaction.run(stack).await,
            Self::Message(message) => message.run(stack).await,
            Self::TypedData(typed_data) => typed_data.run(stack).await,
            Self::Authorization(authorization) => authorization.run(stack).await,
            Self::Digest(digest) => digest.run(stack).await,
        }
    }
}

/// Whom to ask, and with which proof.
#[derive(clap::Args)]
struct Asking {
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

impl Asking {
    /// Sends a body, with a proof of what it asks if there is a key for one.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        mut body: Value,
        intent: &Intent,
        stack: &Stack,
    ) -> Result<T, Failure> {
        if let Some(proof) = self.proof(intent, stack)? {
            body["proof"] = proof;
        }
        self.connection.client(stack)?.post(path, &body).await
    }

    /// The same for something that is answered by a signature alone.
    async fn ask_signature(
        &self,
        path: &str,
        body: Value,
        asked: &Payload,
        key: Address,
        stack: &Stack,
    ) -> Result<Report, Failure> {
        let intent = asked.intent(key);
        let answer: AnsweredSignature = self.ask(path, body, &intent, stack).await?;
        let signature = CheckedSignature::open(&answer, asked, key).map_err(mismatch)?;
        Ok(report(&signature, key))
    }

    fn proof(&self, intent: &Intent, stack: &Stack) -> Result<Option<Value>, Failure> {
        if self.without_proof {
            return Ok(None);
        }
        let Some(key) = self.prover.find(stack)? else { return Ok(None) };
        let (_, manifest) = self.manifest.require(stack)?;
        Ok(Some(proof::to_json(&key.prove(intent, &manifest)?)))
    }
}

fn report(signature: &CheckedSignature, key: Address) -> Report {
    let (r, s, y_parity) = signature.parts();
    let text = signature.bytes();
    let json = json!({
        "signature": text,
        "signing_hash": signature.signing_hash(),
        "from": key,
        "r": format!("0x{r:064x}"),
        "s": format!("0x{s:064x}"),
        "y_parity": y_parity,
    });
    Report::new(json).line(text)
}

fn mismatch(error: CheckError) -> Failure {
    Failure::mismatch(format!("{error}; do not use it"))
}

/// An address on the command line.
fn address(text: &str) -> Result<Address, FieldError> {
    fields::address_text("it", text)
}
