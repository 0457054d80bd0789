//! `vault create`: makes the deployment's vault, once.

use super::connection::{Connection, Prover, Stack};
use super::output::{Failure, Report};
use super::proof;
use super::trust::ManifestFile;
use nitro_signer_shared::message::State;
use nitro_signer_shared::proof::Intent;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The vault, from which every key's sealing key comes.
#[derive(clap::Subcommand)]
pub(super) enum Vault {
    Create(Create),
}

/// Make the vault. It is stored, and opened through KMS, before this succeeds.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer vault create --client-key ops.key --manifest manifest.cbor \\
    --url https://signer.example:8443 --ca ca.pem --cert me.pem --key me.key")]
pub(super) struct Create {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    prover: Prover,
    #[command(flatten)]
    manifest: ManifestFile,
}

#[derive(Deserialize, Serialize)]
struct Created {
    deployment: String,
    vault: String,
    state: String,
}

impl Vault {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let Self::Create(create) = self;
        create.run(stack).await
    }
}

impl Create {
    async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let (manifest, hash) = self.manifest.require(stack)?;
        let key = self.prover.require(stack)?;
        let client = self.connection.client(stack)?;
        let proof = key.prove(&Intent::create_vault(manifest.vault.as_str()), &hash)?;
        let body = json!({ "proof": proof::to_json(&proof) });
        let created: Created = client.post("/v1/vaults", &body).await?;
        let named = (created.deployment.as_str(), created.vault.as_str());
        if named != (manifest.deployment.as_str(), manifest.vault.as_str()) {
            return Err(Failure::mismatch("the answer names another deployment or vault"));
        }
        if created.state != State::Ready.as_str() {
            let text = format!("the vault is stored, but the enclave is {:?}", created.state);
            return Err(Failure::mismatch(text));
        }
        Ok(Report::new(json!(created))
            .line("The parent says that the vault is made, stored, and was opened through KMS.")
            .line("`attestation show` and `attestation verify` prove it; keep the fingerprint they print.")
            .field("deployment", &created.deployment)
            .field("vault", &created.vault)
            .field("state", &created.state))
    }
}
