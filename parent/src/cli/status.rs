//! `status`: what the parent says of itself and the enclave. Its word only; `attestation verify`
//! is the way to know.

use super::connection::{Connection, Stack};
use super::output::{Failure, Report};
use serde_json::Value;

/// Show what the appliance says of itself. Exit code 1 if it is not ready.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer status --url https://signer.example:8443 --ca ca.pem --cert me.pem --key me.key")]
pub(super) struct Status {
    #[command(flatten)]
    connection: Connection,
}

impl Status {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let status: Value = self.connection.client(stack)?.get("/v1/status").await?;
        let ready = status["phase"] == "ready";
        let mut report = Report::new(status.clone());
        for (name, value) in [
            ("phase", &status["phase"]),
            ("detail", &status["detail"]),
            ("parent", &status["version"]),
            ("deployment", &status["deployment"]),
            ("vault", &status["vault"]),
            ("manifest", &status["manifest_hash"]),
            ("enclave", &status["enclave"]["version"]),
            ("state", &status["enclave"]["state"]),
            ("keys", &status["enclave"]["keys"]),
            ("refused records", &status["refused_records"]),
        ] {
            report = match value {
                Value::Null => report,
                Value::String(text) => report.field(name, text),
                other => report.field(name, other),
            };
        }
        Ok(if ready { report } else { report.exit(1) })
    }
}
