//! `enclave run`: measure the image, start it, look at it; with `--watch`, stay and look again.

use super::health::{HOSTS_WORD, Health, Meant};
use super::image::{ListedImage, measurements};
use super::nitro_cli::{NitroCli, Started};
use super::signals::Signals;
use super::watch::{self, End, Interval};
use super::{Named, Resources};
use crate::cli::output::{Failure, Report};
use serde_json::json;
use std::path::PathBuf;
use std::slice;
use std::time::Duration;

/// Start the enclave from an image that the measurements file lists, and check that nitro-cli shows
/// what was meant. If it does not, the enclave is ended.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer enclave run --eif enclave.eif --measurements measurements.json \\
    --memory 256 --cpus 2 --cid 16
  nitro-signer enclave run --eif enclave.eif --measurements measurements.json \\
    --memory 256 --cpus 2 --watch --interval 10s

Nothing is started if the image is not listed, is revoked or over, or if an enclave of this name
runs. Debug mode cannot be asked for. With --watch it ends the enclave when it is told to end
(SIGTERM, ctrl-c) and when a check fails.

What nitro-cli shows is the host's word. `nitro-signer attestation verify` proves what runs.

Exit codes: 0 started as meant, 1 refused or not as meant, 2 usage, 3 not an image, 6 debug mode,
7 nitro-cli failed, or gave no answer.")]
pub(in crate::cli) struct Run {
    /// The image.
    #[arg(long, value_name = "EIF")]
    eif: PathBuf,
    /// The images that may run, as for `attestation verify --expect`.
    #[arg(long, value_name = "FILE")]
    measurements: PathBuf,
    /// Its memory, in MiB. The allocator must have reserved as much.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    memory: u32,
    /// Its CPUs; where the processor runs two threads a core, an even number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    cpus: u32,
    /// Its CID; the parent's configuration names the same.
    #[arg(long, value_name = "CID", default_value_t = 16,
        value_parser = clap::value_parser!(u32).range(4..))]
    cid: u32,
    /// Stay, look again and again, and end when something is wrong.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    interval: Interval,
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    cli: NitroCli,
}

impl Run {
    pub(super) async fn run(self, json: bool) -> Result<Option<Report>, Failure> {
        let list = measurements(&self.measurements)?;
        let image = ListedImage::find(&self.eif, &list)?.map_err(|fault| {
            Failure::refused("image_refused", format!("{} {}", fault.how, fault.remedy))
        })?;
        let mut signals = Signals::listen()?;
        self.require_free().await?;
        let resources = Resources { memory: self.memory, cpus: self.cpus, cid: Some(self.cid) };
        let started = self.cli.start(&self.named.name, &image, resources).await?;
        let meant = Meant {
            name: &self.named.name,
            cid: Some(self.cid),
            images: Some(slice::from_ref(image.listed())),
        };
        // A failure here drops what was started, and that ends it.
        let health = meant.look(&self.cli).await?;
        if !health.is_good() {
            started.end().await?;
            let report = report(&health, &image).bad("The enclave was ended.");
            return Ok(Some(report.exit(health.exit())));
        }
        if signals.came_within(Duration::ZERO).await {
            started.end().await?;
            return Err(Failure::refused("interrupted", "told to end; the enclave was ended"));
        }
        if !self.watch {
            started.keep();
            return Ok(Some(report(&health, &image)));
        }
        report(&health, &image).print(json);
        self.stay(started, &meant, &mut signals).await.map(Some)
    }

    /// A second enclave of the name would be another one under a changed name.
    async fn require_free(&self) -> Result<(), Failure> {
        let name = &self.named.name;
        match self.cli.describe().await?.iter().find(|enclave| enclave.is_named(name)) {
            None => Ok(()),
            Some(enclave) => Err(Failure::refused(
                "enclave_runs",
                format!(
                    "an enclave {name} runs already ({}). Look at it by `nitro-signer enclave \
                     status`, or end it by `nitro-signer enclave stop`",
                    enclave.enclave_id
                ),
            )),
        }
    }

    async fn stay(
        &self,
        started: Started<'_>,
        meant: &Meant<'_>,
        signals: &mut Signals,
    ) -> Result<Report, Failure> {
        let end = watch::keep_watch(meant, &self.cli, &self.interval, signals).await;
        started.end().await?;
        match end {
            End::Told => {
                let json = json!({ "ended": true, "enclave": meant.name.to_string() });
                Ok(Report::new(json).line("Told to end: the enclave was ended."))
            }
            End::Unwell(health) => Err(watch::unwell(&health)),
            End::Unanswered(error) => Err(error.into()),
        }
    }
}

fn report(health: &Health, image: &ListedImage) -> Report {
    let report = Report::new(super::status::json(health)).good(format_args!(
        "ok      {:<16}{}",
        "image",
        image.describe()
    ));
    health.checks.text(report).line(HOSTS_WORD)
}
