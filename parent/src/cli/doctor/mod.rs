//! `doctor`: the checks of a first deployment, in order, up to the one that decides: that KMS
//! refuses another manifest.
//!
//! It is the parent for as long as it runs, over the parent's own link, store and credentials; so
//! it must not run beside a parent. It writes nothing to the store, and leaves no enclave running
//! that it started. Nothing it is told is secret when it is printed.

mod altered;
mod boot;
mod host;

use super::check::{Checks, Fault};
use super::connection::{Prover, Stack};
use super::enclave::{EnclaveName, ListedImage, Meant, NitroCli, Resources, Signals, measurements};
use super::output::{Failure, Report};
use super::proof::ProofKey;
use super::trust::anchor;
use crate::config::Config;
use crate::credentials::Provider;
use crate::link::{EnclaveAddress, Phase};
use crate::store::Store;
use altered::Altered;
use boot::{Boot, Unsettled};
use nitro_signer_shared::attestation::TrustAnchor;
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::json;
use std::path::PathBuf;
use std::slice;
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
and they are not said to be answered. A vault that it makes is thrown away and never stored.

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
                let mut examined = Examined { doctor: &self, deployment, key, anchor };
                let stopped = examined.boot_twice(&mut checks, &mut known, &mut signals).await;
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
            (None, Some(image), Some(store)) => {
                Ok(Deployment { config, bytes, manifest, hash, image, store, credentials })
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

/// A deployment whose host is as it should be.
struct Examined<'a> {
    doctor: &'a Doctor,
    deployment: Deployment,
    key: Option<ProofKey>,
    anchor: TrustAnchor,
}

/// How KMS was asked to admit a manifest.
enum Asked {
    /// The stored vault was opened.
    Opened,
    /// A vault was made, and thrown away.
    Made,
}

impl Asked {
    const fn text(&self) -> &'static str {
        match self {
            Self::Opened => "opened the stored vault",
            Self::Made => "made a vault, which was thrown away",
        }
    }
}

/// What KMS said.
enum Answer {
    Admitted(Asked),
    Refused(RefusalCode, String),
    /// There is no vault to open, and no client who may make one.
    NotAsked,
}

impl Examined<'_> {
    async fn boot_twice(
        &mut self,
        checks: &mut Checks,
        known: &mut Known,
        signals: &mut Signals,
    ) -> Result<(), Stop> {
        let admitted = self.as_deployed(checks, known, signals).await?;
        match admitted {
            Answer::Admitted(_) => {}
            Answer::Refused(..) => return Err(Stop::after("kms_admits")),
            Answer::NotAsked => {
                let why = "there is no stored vault to open, and no --client-key of a client who may \
                           make one";
                checks.skip("kms_admits", why);
                return Err(Stop(format!("KMS was NOT asked: {why}")));
            }
        }
        let altered = Altered::of(&self.deployment.manifest, &self.deployment.bytes);
        let refused = self.altered(&altered, signals).await;
        match refused {
            Ok(found) => drop(checks.note("kms_refuses", found)),
            Err(stop) => return Err(stop),
        }
        Ok(())
    }

    /// The first boot: image and manifest as they are deployed.
    async fn as_deployed(
        &self,
        checks: &mut Checks,
        known: &mut Known,
        signals: &mut Signals,
    ) -> Result<Answer, Stop> {
        let Deployment { bytes, manifest, hash, image, .. } = &self.deployment;
        let boot = checks.note("boot", self.boot(bytes.clone(), known).await);
        let boot = boot.ok_or_else(|| Stop::after("boot"))?;
        let found = async {
            let phase = match boot.settle(signals).await {
                Ok(phase) => phase,
                Err(Unsettled::ToldToEnd) => return Err(Stop::interrupted()),
                Err(Unsettled::Fault(fault)) => {
                    checks.note::<()>("configured", Err(fault));
                    return Err(Stop::after("configured"));
                }
            };
            let configured = boot::configured(&phase);
            checks.note("configured", configured).ok_or_else(|| Stop::after("configured"))?;
            let attested = boot.attest(image.listed(), hash, &self.anchor).await;
            known.debug |= attested.as_ref().is_err_and(|attested| attested.debug);
            let attested = attested.map_err(|attested| attested.fault);
            checks.note("attested", attested).ok_or_else(|| Stop::after("attested"))?;
            let answer = self.ask_kms(&boot, &phase, manifest, hash).await;
            match &answer {
                Answer::Admitted(asked) => {
                    let text = format!("for this image and manifest it {}", asked.text());
                    checks.note("kms_admits", Ok(((), text)));
                }
                Answer::Refused(code, detail) => {
                    let fault = Fault::new(format!("{code}: {detail}"), self.admit(*code));
                    checks.note::<()>("kms_admits", Err(fault));
                }
                Answer::NotAsked => {}
            }
            Ok(answer)
        }
        .await;
        let ended = boot.end().await;
        if let Err(error) = ended {
            checks.note::<()>("kms_refuses", Err(Fault::new(error.to_string(), error.remedy())));
            return Err(Stop("not made: the first enclave could not be ended".to_owned()));
        }
        found
    }

    /// What lets KMS admit this image and manifest.
    fn admit(&self, code: RefusalCode) -> String {
        let Deployment { hash, image, .. } = &self.deployment;
        match code {
            RefusalCode::KmsDenied => format!(
                "Let the key policy allow kms:Decrypt and kms:GenerateDataKey where PCR0 is {} and \
                 PCR16 is {}, and see that the instance's role may use the key.",
                image.pcr0(),
                hex::encode(hash.pcr16())
            ),
            other => other.advice().to_owned(),
        }
    }

    /// The second boot. KMS must refuse it, by its key policy and by nothing else.
    async fn altered(
        &self,
        altered: &Altered,
        signals: &mut Signals,
    ) -> Result<Result<((), String), Fault>, Stop> {
        let boot = match self.boot(altered.bytes().to_vec(), &mut Known::default()).await {
            Ok((boot, _)) => boot,
            Err(Fault { how, remedy }) => {
                let how = format!("the enclave did not boot a second time: {how}");
                return Ok(Err(Fault { how, remedy }));
            }
        };
        let answer = match boot.settle(signals).await {
            Ok(phase) => Ok(self.ask_kms(&boot, &phase, altered.manifest(), altered.hash()).await),
            Err(Unsettled::ToldToEnd) => Err(Stop::interrupted()),
            Err(Unsettled::Fault(fault)) => Ok(Answer::Refused(RefusalCode::NotReady, fault.how)),
        };
        let ended = boot.end().await;
        let found = self.judge(altered, answer?);
        Ok(ended
            .map_or_else(|error| Err(Fault::new(error.to_string(), error.remedy())), |()| found))
    }

    fn judge(&self, altered: &Altered, answer: Answer) -> Result<((), String), Fault> {
        let pcr16 = hex::encode(self.deployment.hash.pcr16());
        let close = format!(
            "Let the key policy allow kms:Decrypt and kms:GenerateDataKey only if \
             kms:RecipientAttestation:PCR16 is {pcr16}, and deny them for any other; then run the \
             doctor again. Fund no key before it passes."
        );
        match answer {
            Answer::Refused(RefusalCode::KmsDenied, _) => {
                let text = format!("{} was denied (kms_denied)", altered.describe());
                Ok(((), text))
            }
            Answer::Admitted(asked) => Err(Fault::new(
                format!(
                    "THE KEY POLICY LETS OTHER MANIFESTS IN, THE WORST THAT CAN BE: under {} KMS {}. \
                     Whoever controls this host can sign whatever they like. Nothing of this test \
                     was stored",
                    altered.describe(),
                    asked.text()
                ),
                format!("{close} If keys under it hold funds already, move them to new ones."),
            )),
            Answer::Refused(code, detail) => Err(Fault::new(
                format!(
                    "KMS DID NOT DENY {}, as it must: {code}: {detail}. Take it that THE KEY POLICY \
                     LETS OTHER MANIFESTS IN",
                    altered.describe()
                ),
                close,
            )),
            Answer::NotAsked => Err(Fault::new(
                "KMS WAS NOT ASKED about another manifest: the stored vault is gone",
                "Run the doctor again, with the store left alone.",
            )),
        }
    }

    /// Starts the enclave and the parent's side of it.
    async fn boot(
        &self,
        manifest: Vec<u8>,
        known: &mut Known,
    ) -> Result<(Boot<'_>, String), Fault> {
        let Self { doctor, deployment, .. } = self;
        let cid = doctor.cid(&deployment.config);
        let resources = Resources { memory: doctor.memory, cpus: doctor.cpus, cid };
        let of_cli =
            |error: super::enclave::NitroCliError| Fault::new(error.to_string(), error.remedy());
        let started = doctor.cli.start(&doctor.name, &deployment.image, resources).await;
        let started = started.map_err(of_cli)?;
        let images = Some(slice::from_ref(deployment.image.listed()));
        let meant = Meant { name: &doctor.name, cid, images };
        let health = meant.look(&doctor.cli).await.map_err(of_cli)?;
        known.debug |= health.debug;
        if !health.is_good() {
            started.end().await.map_err(of_cli)?;
            let remedy = "Find out why nitro-cli starts another enclave than it was asked for.";
            return Err(Fault::new(health.checks.faults(), remedy));
        }
        let Deployment { config, store, credentials, manifest: terms, .. } = deployment;
        let credentials = Arc::clone(credentials);
        let boot = Boot::begin(started, config, terms, manifest, store.clone(), credentials);
        Ok((boot, "it runs, is not in debug mode, and has the listed registers".to_owned()))
    }

    /// Has KMS asked, in the way that there is.
    async fn ask_kms(
        &self,
        boot: &Boot<'_>,
        phase: &Phase,
        manifest: &Manifest,
        hash: &ManifestHash,
    ) -> Answer {
        match (phase, &self.key) {
            (Phase::Ready, _) => Answer::Admitted(Asked::Opened),
            (Phase::Failed(refusal), _) => Answer::Refused(refusal.code, refusal.detail.clone()),
            (Phase::NoVault, Some(key)) => match boot.make_vault(key, manifest, hash).await {
                Ok(()) => Answer::Admitted(Asked::Made),
                Err(refusal) => Answer::Refused(refusal.code, refusal.detail),
            },
            (Phase::NoVault, None) => Answer::NotAsked,
            (phase, _) => Answer::Refused(RefusalCode::NotReady, phase.explain()),
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
