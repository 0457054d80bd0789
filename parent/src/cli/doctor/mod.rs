//! `doctor`: the checks of a first deployment, in order, up to the one that decides: that KMS
//! refuses another manifest.
//!
//! It is the parent for as long as it runs, over the parent's own link, store and credentials; so
//! it must not run beside a parent. It writes nothing to the store, and leaves no enclave running
//! that it started. Nothing it is told is secret when it is printed.

mod altered;
mod boot;
mod examination;
mod host;

use super::check::{Checks, Fault};
use super::connection::{Prover, Stack};
use super::enclave::{EnclaveName, ListedImage, NitroCli, Signals, measurements};
use super::output::{Failure, Report};
use super::trust::anchor;
use crate::config::Config;
use crate::credentials::Provider;
use crate::link::EnclaveAddress;
use crate::store::Store;
use examination::Examination;
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// Every check, in the order in which they are made and shown.
const ORDER: [&str; 16] = [
    "config",
    "not_serving",
    "manifest",
    "image",
    "nitro_cli",
    "allocator",
    "tls",
    "store",
    "credentials",
    "kms_route",
    "boot",
    "configured",
    "attested",
    "kms_admits",
    "kms_refuses",
    "nothing_left",
];

/// Check a deployment from its files to its key policy, before any key is funded. It boots the
/// enclave twice: once as deployed, and once with a manifest of one byte's difference, for which
/// KMS must refuse.
#[derive(clap::Args)]
#[command(after_help = "\
Examples: before there is a vault, with the key of a client who may make one; later
  nitro-signer doctor --config /etc/nitro-signer/parent.toml --eif /etc/nitro-signer/enclave.eif \\
    --measurements /etc/nitro-signer/measurements.json --client-key ops.key
  nitro-signer doctor --config /etc/nitro-signer/parent.toml --eif /etc/nitro-signer/enclave.eif \\
    --measurements /etc/nitro-signer/measurements.json

Run it as the service's user, with the parent and its enclave stopped: it refuses to run beside
them. Without a stored vault and without --client-key the last two questions cannot be put to KMS,
and they are not said to be answered; with a vault and without a key KMS is asked to open and not to
make one. A vault that it makes is thrown away: the second enclave never sees the store.

Exit codes: 0 every check was made and passed, 1 one failed or was not made, 2 usage, 6 debug mode.")]
pub(super) struct Doctor {
    /// The parent's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The image.
    #[arg(long, value_name = "EIF")]
    eif: PathBuf,
    /// The images that may run, as for `attestation verify --expect`.
    #[arg(long, value_name = "FILE")]
    measurements: PathBuf,
    /// Another root than Amazon's (PEM), for GovCloud, China or development.
    #[arg(long, value_name = "PEM")]
    root: Option<PathBuf>,
    /// The enclave's memory, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    memory: u32,
    /// The enclave's CPUs.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=1_024))]
    cpus: u32,
    /// What the allocator reserves.
    #[arg(long, value_name = "YAML", default_value = "/etc/nitro_enclaves/allocator.yaml")]
    allocator: PathBuf,
    /// The name of the enclave that it starts.
    #[arg(long = "enclave-name", value_name = "NAME", default_value = "nitro-signer-doctor")]
    name: EnclaveName,
    #[command(flatten)]
    prover: Prover,
    #[command(flatten)]
    cli: NitroCli,
}

/// What the checks of the host came to: everything that a boot needs.
struct Deployment {
    config: Config,
    bytes: Vec<u8>,
    manifest: Manifest,
    hash: ManifestHash,
    image: ListedImage,
    store: Store,
    /// The stored vault, if there is one.
    vault: Option<Vec<u8>>,
    credentials: Arc<Provider>,
}

/// Why no more checks are made.
struct Stop(String);

impl Stop {
    fn after(failed: &str) -> Self {
        Self(format!("not made, because {failed} failed"))
    }

    fn interrupted() -> Self {
        Self("not made: told to end".to_owned())
    }
}

/// What is known when it ends, beside the checks.
#[derive(Default)]
struct Known {
    debug: bool,
    pcr0: Option<String>,
    manifest: Option<ManifestHash>,
}

impl Doctor {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        let mut signals = Signals::listen()?;
        let anchor = anchor(self.root.as_deref())?;
        let key = self.prover.find(stack)?;
        let (mut checks, mut known) = (Checks::default(), Known::default());
        let why = match self.look_at_host(&mut checks, &mut known).await {
            Ok(deployment) => {
                let examination = Examination { doctor: &self, deployment, key, anchor };
                let stopped = examination.run(&mut checks, &mut known, &mut signals).await;
                checks.note("nothing_left", self.nothing_left().await);
                stopped.err()
            }
            Err(stop) => Some(stop),
        };
        checks.complete(&ORDER, why.as_ref().map_or("not made", |Stop(why)| why));
        Ok(report(&checks, &known))
    }

    /// Everything that can be seen before an enclave is started; it is started only if all of it is
    /// as it should be.
    async fn look_at_host(
        &self,
        checks: &mut Checks,
        known: &mut Known,
    ) -> Result<Deployment, Stop> {
        let config = checks.note("config", host::config(&self.config));
        let config = config.ok_or_else(|| Stop::after("config"))?;
        let free = checks.note("not_serving", host::not_serving(&config).await);
        free.ok_or_else(|| Stop::after("not_serving"))?;
        let loaded = checks.note("manifest", host::manifest(&config.manifest));
        let (bytes, manifest, hash) = loaded.ok_or_else(|| Stop::after("manifest"))?;
        known.manifest = Some(hash);
        let image = checks.note("image", self.image());
        known.pcr0 = image.as_ref().map(ListedImage::pcr0);
        let listed = checks
            .note("nitro_cli", host::nitro_cli(&self.cli, &self.name, self.cid(&config)).await);
        match listed {
            Some(listed) => {
                let asked = host::allocator(&self.allocator, self.memory, self.cpus, &listed);
                checks.note("allocator", asked);
            }
            None => checks.skip("allocator", "not made, because nitro_cli failed"),
        }
        checks.note("tls", host::tls(&config.tls));
        let credentials = Arc::new(Provider::new(config.credentials.clone()));
        let store = host::store(&config, &manifest, Arc::clone(&credentials)).await;
        let store = checks.note("store", store);
        checks.note("credentials", host::credentials(&credentials).await);
        checks.note("kms_route", host::kms_route(&config, &manifest).await);
        match (checks.first_failed(), image, store) {
            (None, Some(image), Some((store, vault))) => {
                Ok(Deployment { config, bytes, manifest, hash, image, store, vault, credentials })
            }
            (failed, ..) => Err(Stop::after(failed.unwrap_or("a check"))),
        }
    }

    fn image(&self) -> Result<(ListedImage, String), Fault> {
        let unread = |failure: Failure| {
            Fault::new(
                failure.to_string(),
                "Name the image by --eif and its list by --measurements.",
            )
        };
        let list = measurements(&self.measurements).map_err(unread)?;
        let image = ListedImage::find(&self.eif, &list).map_err(unread)??;
        let text = image.describe();
        Ok((image, text))
    }

    /// The CID that the parent is configured for; a development enclave has any.
    const fn cid(&self, config: &Config) -> Option<u32> {
        match config.enclave {
            EnclaveAddress::Vsock(cid) => Some(cid),
            EnclaveAddress::Unix(_) => None,
        }
    }

    async fn nothing_left(&self) -> Result<((), String), Fault> {
        let by_hand =
            format!("End it by `nitro-signer enclave stop --enclave-name {}`.", self.name);
        match self.cli.describe().await {
            Ok(listed) if !listed.iter().any(|enclave| enclave.is_named(&self.name)) => {
                Ok(((), "no enclave that the doctor started runs".to_owned()))
            }
            Ok(_) => Err(Fault::new(format!("the enclave {} still runs", self.name), by_hand)),
            Err(error) => Err(Fault::new(
                format!("whether {} still runs is not known: {error}", self.name),
                by_hand,
            )),
        }
    }
}

fn report(checks: &Checks, known: &Known) -> Report {
    let pcr16 = known.manifest.map(|hash| hex::encode(hash.pcr16()));
    let all = checks.all_passed();
    let exit = match (all, known.debug) {
        (true, _) => 0,
        (false, true) => 6,
        (false, false) => 1,
    };
    let report = Report::new(json!({
        "passed": all,
        "checks": checks.json(),
        "pcr0": known.pcr0,
        "pcr16": pcr16,
        "manifest_hash": known.manifest.map(|hash| hash.to_string()),
    }));
    let mut report = checks.text(report);
    if let (Some(pcr0), Some(pcr16)) = (&known.pcr0, &pcr16) {
        report = report
            .line("The key policy must list, together and nothing else:")
            .field("PCR0", pcr0)
            .field("PCR16", pcr16);
    }
    report = match (all, checks.none_failed()) {
        (true, _) => report.good("Every check was made and passed."),
        (false, true) => report.warn("NOT COMPLETE: nothing failed, but not every check was made."),
        (false, false) => report.bad("NOT READY: do not fund a key of this deployment."),
    };
    report.exit(exit)
}
