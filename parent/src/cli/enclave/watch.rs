//! `enclave watch`: the checks again and again, until something is wrong.

use super::Named;
use super::health::{Health, Meant};
use super::image::measurements;
use super::nitro_cli::{NitroCli, NitroCliError, duration};
use super::signals::Signals;
use crate::cli::output::{Failure, Report};
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;

/// How many times in a row nitro-cli may give no answer. An enclave that works is not to be ended
/// because a tool beside it was slow once.
const MAX_SILENCE: u32 = 3;

/// Check the enclave again and again, and end with another exit code than 0 when it is gone, in
/// debug mode, or another image. It starts and ends nothing itself.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer enclave watch --measurements /etc/nitro-signer/measurements.json --interval 10s

An image that is revoked, or whose time is over, runs on until it is started again: `enclave run`
refuses it then.

Exit codes: 0 told to end (SIGTERM, ctrl-c), 1 gone or not as meant, 2 usage, 6 debug mode,
7 nitro-cli failed three times in a row, or gave no answer.")]
pub(in crate::cli) struct Watch {
    /// The images of which it must be one.
    #[arg(long, value_name = "FILE")]
    measurements: PathBuf,
    /// The CID that it must have; any, if none is named.
    #[arg(long, value_name = "CID", value_parser = clap::value_parser!(u32).range(4..))]
    cid: Option<u32>,
    #[command(flatten)]
    interval: Interval,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    cli: NitroCli,
}

/// How often.
#[derive(clap::Args)]
pub(super) struct Interval {
    /// How long to wait between two looks, for example 10s.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    interval: Duration,
}

/// Why a watch is over.
pub(super) enum End {
    /// Somebody told us to end.
    Told,
    /// The enclave is not as meant.
    Unwell(Box<Health>),
    /// nitro-cli does not answer any more.
    Unanswered(NitroCliError),
}

impl Watch {
    pub(super) async fn run(self) -> Result<Report, Failure> {
        let list = measurements(&self.measurements)?;
        let meant = Meant { name: &self.named.name, cid: self.cid, images: Some(list.images()) };
        let mut signals = Signals::listen()?;
        match keep_watch(&meant, &self.cli, &self.interval, &mut signals).await {
            End::Told => {
                let json = json!({ "ended": false, "enclave": meant.name.to_string() });
                Ok(Report::new(json).line("Told to end: the enclave runs on."))
            }
            End::Unwell(health) => Err(unwell(&health)),
            End::Unanswered(error) => Err(error.into()),
        }
    }
}

/// Looks until something is wrong or a signal comes. The first look is at once.
pub(super) async fn keep_watch(
    meant: &Meant<'_>,
    cli: &NitroCli,
    interval: &Interval,
    signals: &mut Signals,
) -> End {
    let mut silence = 0;
    loop {
        match meant.look(cli).await {
            Ok(health) if health.is_good() => silence = 0,
            Ok(health) => return End::Unwell(Box::new(health)),
            Err(error) => {
                silence += 1;
                eprintln!("nitro-signer: {error} ({silence} of {MAX_SILENCE})");
                if silence == MAX_SILENCE {
                    return End::Unanswered(error);
                }
            }
        }
        if signals.came_within(interval.interval).await {
            return End::Told;
        }
    }
}

/// The failure of an enclave that is not as meant.
pub(super) fn unwell(health: &Health) -> Failure {
    let code = if health.debug { "debug_mode" } else { "not_as_meant" };
    Failure::of_enclave(health.exit(), code, health.checks.faults())
}
