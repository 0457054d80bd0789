//! `enclave status`: what nitro-cli shows of the enclave, compared with what was meant.

use super::Named;
use super::health::{HOSTS_WORD, Health, Meant};
use super::image::measurements;
use super::nitro_cli::NitroCli;
use crate::cli::output::{Failure, Report};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Show the enclave as nitro-cli does, and check it: it runs, is not in debug mode, and is what was
/// meant.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer enclave status --measurements /etc/nitro-signer/measurements.json --cid 16

What nitro-cli shows is the host's word. `nitro-signer attestation verify` proves what runs.

Exit codes: 0 as meant, 1 not as meant or not running, 2 usage, 6 debug mode, 7 nitro-cli failed, or
gave no answer.")]
pub(in crate::cli) struct Status {
    #[command(flatten)]
    meant: MeantBy,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    cli: NitroCli,
}

/// What the enclave is compared with.
#[derive(clap::Args)]
pub(super) struct MeantBy {
    /// The images of which it must be one; without it no registers are compared.
    #[arg(long, value_name = "FILE")]
    pub(super) measurements: Option<PathBuf>,
    /// The CID that it must have; any, if none is named.
    #[arg(long, value_name = "CID", value_parser = clap::value_parser!(u32).range(4..))]
    pub(super) cid: Option<u32>,
}

impl Status {
    pub(super) async fn run(self) -> Result<Report, Failure> {
        let list = self.meant.measurements.as_deref().map(measurements).transpose()?;
        let images = list.as_ref().map(|list| list.images());
        let meant = Meant { name: &self.named.name, cid: self.meant.cid, images };
        let health = meant.look(&self.cli).await?;
        let mut report = Report::new(json(&health)).exit(health.exit());
        if let Some(enclave) = &health.enclave {
            report = report
                .field("enclave", &enclave.enclave_id)
                .field("CID", enclave.enclave_cid)
                .field("memory", format_args!("{} MiB", enclave.memory_mib))
                .field("CPUs", enclave.number_of_cpus);
        }
        Ok(health.checks.text(report).line(HOSTS_WORD))
    }
}

/// For programs.
pub(super) fn json(health: &Health) -> Value {
    let enclave = health.enclave.as_ref().map(|enclave| {
        json!({
            "name": enclave.enclave_name,
            "id": enclave.enclave_id,
            "cid": enclave.enclave_cid,
            "memory_mib": enclave.memory_mib,
            "cpus": enclave.number_of_cpus,
            "state": enclave.state,
            "flags": enclave.flags,
        })
    });
    json!({
        "as_meant": health.is_good(),
        "enclave": enclave,
        "checks": health.checks.json(),
        "basis": "the host's word",
        "proved_by": "nitro-signer attestation verify",
    })
}
