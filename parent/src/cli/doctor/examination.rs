//! The two boots: what KMS must admit, and what it must refuse.
//!
//! A denial means something only where the right manifest is admitted, so that one is asked first.
//! The second enclave is given no store: whatever it is let into, nothing of it is kept.

use super::altered::Altered;
use super::boot::{Boot, Unsettled, configured};
use super::{Deployment, Doctor, Known, Stop};
use crate::cli::check::{Checks, Fault};
use crate::cli::enclave::{Meant, NitroCliError, Resources, Signals};
use crate::cli::proof::ProofKey;
use crate::link::Phase;
use crate::store::Store;
use nitro_signer_shared::attestation::TrustAnchor;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::slice;
use std::sync::Arc;
use std::time::Duration;

/// A deployment whose host is as it should be.
pub(super) struct Examination<'a> {
    pub(super) doctor: &'a Doctor,
    pub(super) deployment: Deployment,
    pub(super) key: Option<ProofKey>,
    pub(super) anchor: TrustAnchor,
}

/// A vault that KMS let the deployment's own manifest into: the stored one, or one made to be
/// thrown away.
struct Admitted {
    vault: Vec<u8>,
}

/// What KMS is asked to do under another manifest.
#[derive(Clone, Copy)]
enum Attempt {
    Make,
    Open,
}

impl Attempt {
    const fn text(self) -> &'static str {
        match self {
            Self::Make => "make a vault (GenerateDataKey and Decrypt)",
            Self::Open => "open a vault (Decrypt)",
        }
    }
}

type Found<T = ()> = Result<(T, String), Fault>;

impl Examination<'_> {
    /// Boots twice. Whatever happens, neither enclave is left.
    pub(super) async fn run(
        &self,
        checks: &mut Checks,
        known: &mut Known,
        signals: &mut Signals,
    ) -> Result<(), Stop> {
        let boot = self.boot(&self.deployment.bytes, &self.deployment.store, known).await;
        let boot = checks.note("boot", boot).ok_or_else(|| Stop::after("boot"))?;
        let admitted = self.as_deployed(&boot, checks, known, signals).await;
        if let Err(error) = boot.end().await {
            return Err(Stop(format!("not made: the first enclave could not be ended: {error}")));
        }
        let admitted = admitted?;
        if signals.came_within(Duration::ZERO).await {
            return Err(Stop::interrupted());
        }
        let found = self.altered(&admitted, signals).await?;
        checks.note("kms_refuses", found);
        Ok(())
    }

    // ---- image and manifest as they are deployed -------------------------------------------

    async fn as_deployed(
        &self,
        boot: &Boot<'_>,
        checks: &mut Checks,
        known: &mut Known,
        signals: &mut Signals,
    ) -> Result<Admitted, Stop> {
        let Deployment { hash, image, .. } = &self.deployment;
        let phase = match boot.settle(signals).await {
            Ok(phase) => phase,
            Err(Unsettled::ToldToEnd) => return Err(Stop::interrupted()),
            Err(Unsettled::Fault(fault)) => {
                checks.note::<()>("configured", Err(fault));
                return Err(Stop::after("configured"));
            }
        };
        let taken = checks.note("configured", configured(&phase));
        taken.ok_or_else(|| Stop::after("configured"))?;
        let attested = boot.attest(image.listed(), hash, &self.anchor).await;
        known.debug |= attested.as_ref().is_err_and(|attested| attested.debug);
        let attested = attested.map_err(|attested| attested.fault);
        checks.note("attested", attested).ok_or_else(|| Stop::after("attested"))?;
        let asked = tokio::select! {
            asked = self.admit(boot, &phase) => asked,
            () = signals.come() => return Err(Stop::interrupted()),
        };
        let Some(asked) = asked else {
            let why = "there is no stored vault to open, and no --client-key of a client who may make one";
            checks.skip("kms_admits", why);
            return Err(Stop(format!("KMS was NOT asked: {why}")));
        };
        checks.note("kms_admits", asked).ok_or_else(|| Stop::after("kms_admits"))
    }

    /// Has KMS admit the deployment; none if there is no way to ask.
    async fn admit(&self, boot: &Boot<'_>, phase: &Phase) -> Option<Found<Admitted>> {
        let Deployment { manifest, hash, vault, .. } = &self.deployment;
        Some(match (phase, vault, &self.key) {
            (Phase::Ready, Some(vault), _) => {
                Ok((Admitted { vault: vault.clone() }, "it opened the stored vault".to_owned()))
            }
            (Phase::NoVault, _, None) => return None,
            (Phase::NoVault, _, Some(key)) => match boot.make_vault(key, manifest, hash).await {
                Ok(vault) => {
                    let text = "it made a vault, which is thrown away".to_owned();
                    Ok((Admitted { vault }, text))
                }
                Err(refusal) => Err(self.not_admitted(&refusal)),
            },
            (Phase::Failed(refusal), ..) => Err(self.not_admitted(refusal)),
            (phase, ..) => Err(Fault::new(
                format!("the store was changed meanwhile: {}", phase.explain()),
                "Run the doctor again, with the store left alone.",
            )),
        })
    }

    fn not_admitted(&self, refusal: &Refusal) -> Fault {
        let Deployment { hash, image, .. } = &self.deployment;
        let remedy = match refusal.code {
            RefusalCode::KmsDenied => format!(
                "Let the key policy allow kms:Decrypt and kms:GenerateDataKey where PCR0 is {} and \
                 PCR16 is {}, and see that the instance's role may use the key.",
                image.pcr0(),
                hex::encode(hash.pcr16())
            ),
            other => other.advice().to_owned(),
        };
        Fault::new(format!("{}: {}", refusal.code, refusal.detail), remedy)
    }

    // ---- the manifest of one byte's difference ---------------------------------------------

    /// KMS must refuse it, by its key policy and by nothing else.
    async fn altered(&self, admitted: &Admitted, signals: &mut Signals) -> Result<Found, Stop> {
        let altered = Altered::of(&self.deployment.manifest, &self.deployment.bytes);
        let store = Store::in_memory();
        let boot = match self.boot(altered.bytes(), &store, &mut Known::default()).await {
            Ok((boot, _)) => boot,
            Err(Fault { how, remedy }) => {
                let how = format!("the enclave did not boot a second time: {how}");
                return Ok(Err(Fault { how, remedy }));
            }
        };
        let found = self.attempt(&boot, &altered, &store, admitted, signals).await;
        match boot.end().await {
            Ok(()) => found,
            Err(error) => Ok(Err(of_nitro_cli(&error))),
        }
    }

    async fn attempt(
        &self,
        boot: &Boot<'_>,
        altered: &Altered,
        store: &Store,
        admitted: &Admitted,
        signals: &mut Signals,
    ) -> Result<Found, Stop> {
        match boot.settle(signals).await {
            Ok(Phase::NoVault) => {}
            Ok(phase) => {
                let how = format!("it did not take the changed manifest: {}", phase.explain());
                return Ok(Err(Fault::new(how, "Run the doctor again; report it if it stays.")));
            }
            Err(Unsettled::ToldToEnd) => return Err(Stop::interrupted()),
            Err(Unsettled::Fault(fault)) => return Ok(Err(fault)),
        }
        let asking = async {
            // Making comes first: an enclave that was shown a vault makes none.
            if let Some(key) = &self.key {
                let made = boot.make_vault(key, altered.manifest(), altered.hash()).await;
                self.judge(altered, Attempt::Make, made.map(drop))?;
            }
            let opened = boot.open(store, &admitted.vault).await;
            self.judge(altered, Attempt::Open, opened)?;
            let not_asked = match self.key {
                Some(_) => "",
                None => "; it was not asked to make one, since no --client-key was named",
            };
            let text =
                format!("{} was denied every vault (kms_denied){not_asked}", altered.describe());
            Ok(((), text))
        };
        tokio::select! {
            found = asking => Ok(found),
            () = signals.come() => Err(Stop::interrupted()),
        }
    }

    fn judge(
        &self,
        altered: &Altered,
        attempt: Attempt,
        answer: Result<(), Refusal>,
    ) -> Result<(), Fault> {
        let (altered, attempt) = (altered.describe(), attempt.text());
        let pcr16 = hex::encode(self.deployment.hash.pcr16());
        let close = format!(
            "Let the key policy allow kms:Decrypt and kms:GenerateDataKey only if \
             kms:RecipientAttestation:PCR16 is {pcr16}, and deny them for any other; then run the \
             doctor again. Fund no key before it passes."
        );
        match answer {
            Err(refusal) if refusal.code == RefusalCode::KmsDenied => Ok(()),
            Ok(()) => Err(Fault::new(
                format!(
                    "THE KEY POLICY LETS OTHER MANIFESTS IN, THE WORST THAT CAN BE: asked to \
                     {attempt} under {altered}, KMS did. Whoever controls this host can sign \
                     whatever they like. Nothing of this test was stored"
                ),
                format!("{close} If keys under it hold funds already, move them to new ones."),
            )),
            Err(Refusal { code, detail }) => Err(Fault::new(
                format!(
                    "KMS DID NOT DENY to {attempt} under {altered}, as it must: {code}: {detail}. \
                     Take it that THE KEY POLICY LETS OTHER MANIFESTS IN"
                ),
                close,
            )),
        }
    }

    // ---- both ------------------------------------------------------------------------------

    /// Starts the enclave and the parent's side of it.
    async fn boot(
        &self,
        manifest: &[u8],
        store: &Store,
        known: &mut Known,
    ) -> Result<(Boot<'_>, String), Fault> {
        let Self { doctor, deployment, .. } = self;
        let cid = doctor.cid(&deployment.config);
        let resources = Resources { memory: doctor.memory, cpus: doctor.cpus, cid };
        let started = doctor.cli.start(&doctor.name, &deployment.image, resources).await;
        let started = started.map_err(|e| of_nitro_cli(&e))?;
        let images = Some(slice::from_ref(deployment.image.listed()));
        let meant = Meant { name: &doctor.name, cid, images };
        let health = meant.look(&doctor.cli).await.map_err(|e| of_nitro_cli(&e))?;
        known.debug |= health.debug;
        if !health.is_good() {
            started.end().await.map_err(|e| of_nitro_cli(&e))?;
            let remedy = "Find out why nitro-cli starts another enclave than it was asked for.";
            return Err(Fault::new(health.checks.faults(), remedy));
        }
        let Deployment { config, credentials, manifest: terms, .. } = deployment;
        let credentials = Arc::clone(credentials);
        let boot =
            Boot::begin(started, config, terms, manifest.to_vec(), store.clone(), credentials);
        Ok((boot, "it runs, is not in debug mode, and has the listed registers".to_owned()))
    }
}

fn of_nitro_cli(error: &NitroCliError) -> Fault {
    Fault::new(error.to_string(), error.remedy())
}
