//! `enclave stop`: ends the enclave and sees that it is gone.

use super::Named;
use super::nitro_cli::NitroCli;
use crate::cli::output::{Failure, Report};
use serde_json::json;

/// End the enclave. It is no error if none runs.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer enclave stop --enclave-name nitro-signer

What it held in memory is gone with it; the vault and the keys are in the store.

Exit codes: 0 none of this name runs any more, 2 usage, 7 nitro-cli failed, or gave no answer.")]
pub(in crate::cli) struct Stop {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    cli: NitroCli,
}

impl Stop {
    pub(super) async fn run(self) -> Result<Report, Failure> {
        let name = &self.named.name;
        let ended = self.cli.end(name).await?;
        let report = Report::new(json!({ "enclave": name.to_string(), "ended": ended }));
        Ok(match ended {
            0 => report.line(format_args!("no enclave {name} runs")),
            _ => report.line(format_args!("the enclave {name} was ended")),
        })
    }
}
