//! One boot of the enclave, with the parent's own link to it in this process.
//!
//! It reads the store and never writes to it: a vault that is made here is dropped.

use crate::cli::attestation::remedy;
use crate::cli::check::Fault;
use crate::cli::enclave::{NitroCliError, Signals, Started};
use crate::cli::output::{now_ms, random};
use crate::cli::proof::ProofKey;
use crate::config::Config;
use crate::credentials::Provider;
use crate::link::relay::{self, Target};
use crate::link::supervisor::{Supervisor, another_answer};
use crate::link::{Ask, KMS_DEADLINE, Link, Phase, REQUEST_DEADLINE};
use crate::store::Store;
use nitro_signer_shared::attestation::{
    Expectations, Finding, ImageMeasurements, Time, TrustAnchor, verify,
};
use nitro_signer_shared::claims::{ClaimSet, Claims};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::{Request, Response, State};
use nitro_signer_shared::proof::Intent;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the enclave may take to listen, and then to answer with KMS behind it.
const SETTLE: Duration = KMS_DEADLINE.saturating_add(Duration::from_secs(60));
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A running enclave and the parent's side of it.
pub(super) struct Boot<'a> {
    // In this order: the link ends before the enclave.
    _parent: JoinSet<()>,
    link: Link,
    started: Started<'a>,
}

/// Why an enclave reached no state.
pub(super) enum Unsettled {
    ToldToEnd,
    Fault(Fault),
}

/// Why a document is not believed.
pub(super) struct Unattested {
    pub(super) fault: Fault,
    pub(super) debug: bool,
}

impl From<Fault> for Unattested {
    fn from(fault: Fault) -> Self {
        Self { fault, debug: false }
    }
}

impl<'a> Boot<'a> {
    /// Takes the link up, as `serve` does.
    pub(super) fn begin(
        started: Started<'a>,
        config: &Config,
        manifest: &Manifest,
        bytes: Vec<u8>,
        store: Store,
        credentials: Arc<Provider>,
    ) -> Self {
        let target = target(config, manifest);
        let enclave = config.enclave.clone();
        let (link, life) = Supervisor { enclave, manifest: bytes, store, credentials }.start();
        let mut parent = JoinSet::new();
        parent.spawn(life);
        parent.spawn(relay::run(config.enclave.clone(), target));
        Self { _parent: parent, link, started }
    }

    /// Waits until the enclave has a manifest and has opened the vault, or has not.
    pub(super) async fn settle(&self, signals: &mut Signals) -> Result<Phase, Unsettled> {
        let until = Instant::now() + SETTLE;
        loop {
            let phase = self.link.situation().phase;
            match &phase {
                Phase::Connecting(_) | Phase::Configuring | Phase::Loading => {}
                Phase::Failed(refusal) if is_passing(refusal.code) => {}
                _ => return Ok(phase),
            }
            if Instant::now() > until {
                let how = format!("after {} s: {}", SETTLE.as_secs(), phase.explain());
                let remedy = "Compare the enclave's CID with the configuration's, and the releases \
                              of parent and enclave.";
                return Err(Unsettled::Fault(Fault::new(how, remedy)));
            }
            if signals.came_within(LOOK_AGAIN).await {
                return Err(Unsettled::ToldToEnd);
            }
        }
    }

    /// Has the enclave attest itself, and verifies it as `attestation verify` does.
    pub(super) async fn attest(
        &self,
        image: &ImageMeasurements,
        hash: &ManifestHash,
        anchor: &TrustAnchor,
    ) -> Result<((), String), Unattested> {
        let asked = |refusal: Refusal| Fault::new(refusal.to_string(), refusal.code.advice());
        let nonce = random::<32>().map_err(|e| Fault::new(e.to_string(), "Mend the system."))?;
        let request = Request::Attest { nonce: ByteBuf::from(nonce) };
        let answer = self.link.call(Ask::own(request), REQUEST_DEADLINE).await.map_err(asked)?;
        let Response::Attestation(attestation) = answer else {
            return Err(asked(another_answer()).into());
        };
        let expected = Expectations::new(image.clone())
            .manifest(hash)
            .nonce(&nonce)
            .user_data(&Claims::user_data(&attestation.claims))
            .no_public_key();
        let verified = verify(&attestation.document, anchor, &expected, Time::Now(now_ms()));
        let document = verified.into_result().map_err(|rejection| Unattested {
            fault: Fault::new(
                format!(
                    "{} {} Found: {}",
                    rejection.finding(),
                    rejection.finding().rule(),
                    rejection.detail()
                ),
                remedy(rejection.finding()),
            ),
            debug: rejection.finding() == Finding::A1,
        })?;
        let claims = Claims::open(&attestation.claims, document.user_data().unwrap_or_default());
        match claims {
            Ok(claims) if claims.manifest_hash == *hash.as_bytes() => {
                let text = format!(
                    "verified: {}, PCR0-2 as listed, PCR16 as the manifest's",
                    document.module_id()
                );
                Ok(((), text))
            }
            _ => Err(Fault::new(
                "the claims beside the document are not this manifest's",
                "Deploy parent and enclave of one release.",
            )
            .into()),
        }
    }

    /// Has the enclave make a vault through KMS. It is stored nowhere.
    pub(super) async fn make_vault(
        &self,
        key: &ProofKey,
        manifest: &Manifest,
        hash: &ManifestHash,
    ) -> Result<Vec<u8>, Refusal> {
        let intent = Intent::create_vault(manifest.vault.as_str());
        let proof = key
            .prove(&intent, hash)
            .map_err(|e| Refusal::new(RefusalCode::Internal, e.to_string()))?;
        let ask = Ask { asserted: None, proofs: vec![proof], request: Request::CreateVault {} };
        match self.link.call(ask, KMS_DEADLINE).await? {
            Response::VaultCreated { vault } => Ok(vault.into_vec()),
            _ => Err(another_answer()),
        }
    }

    /// Has the enclave open this vault through KMS. `store` is the boot's own, in memory.
    pub(super) async fn open(&self, store: &Store, vault: &[u8]) -> Result<(), Refusal> {
        store.create_vault(vault).await?;
        match self.link.reconfigure().await? {
            State::Ready => Ok(()),
            other => Err(Refusal::new(RefusalCode::NotReady, other.as_str())),
        }
    }

    /// Ends the enclave, and sees that it is gone.
    pub(super) async fn end(self) -> Result<(), NitroCliError> {
        let Self { _parent: parent, link, started } = self;
        drop((parent, link));
        started.end().await
    }
}

/// Where the relay leads, as in `serve`.
pub(super) fn target(config: &Config, manifest: &Manifest) -> Target {
    let name = format!("{}:443", manifest.wrapping_key().kms_host());
    let connect = config.relay.connect.clone().unwrap_or_else(|| name.clone());
    Target { name, connect }
}

/// What the next attempt of the supervisor's may mend.
const fn is_passing(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::Busy | RefusalCode::LinkDown | RefusalCode::Deadline)
}

/// Whether the enclave took the manifest. That KMS refuses the vault is another check's to say.
pub(super) fn configured(phase: &Phase) -> Result<((), String), Fault> {
    match phase {
        Phase::Ready => Ok(((), "it took the manifest and opened the stored vault".to_owned())),
        Phase::NoVault => Ok(((), "it took the manifest; no vault is stored yet".to_owned())),
        Phase::Failed(refusal) if refusal.code == RefusalCode::KmsDenied => {
            Ok(((), "it took the manifest; KMS denies it the stored vault".to_owned()))
        }
        Phase::Failed(refusal) => {
            let how = format!("{}: {}", refusal.code, refusal.detail);
            Err(Fault::new(how, refusal.code.advice()))
        }
        other => Err(Fault::new(
            other.explain(),
            "Deploy image, parent and manifest that belong together, and stop what else uses this \
             enclave.",
        )),
    }
}
