//! The service: leads each request through its steps, and holds the enclave's one life.
//!
//! ```text
//! Cold --Configure--> Measured --Configure with a vault--> Opening --> Ready
//! ```
//!
//! There is no other order and no way back. Once measured, another manifest is refused until
//! power-off; once ready, only credentials and records can be added. Keys exist in `Ready` only.

use crate::attest::{Nonce, attest};
use crate::authorization::UnsignedAuthorization;
use crate::client::{Caller, Callers};
use crate::clock::Clock;
use crate::creation;
use crate::custody::{Custody, SoleCustody};
use crate::digest::Digest;
use crate::image_manifest::ImageManifest;
use crate::key::{Nonces, PrivateKey};
use crate::keyring::Keyring;
use crate::kms::{Kms, KmsError, RelayLines, TrustRoots};
use crate::labels::Labels;
use crate::message::Message;
use crate::nsm::{MeasuredModule, Mode, Module, ModuleError};
use crate::policy::{Approved, ForAccount, Policy, Subject};
use crate::record::{self, HeldKey, RecordId};
use crate::sign::{self, sign_transaction};
use crate::transaction::UnsignedTransaction;
use crate::typed_data::TypedData;
use crate::vault::{self, VaultKey};
use alloy_primitives::{Address, B256, FixedBytes};
use aws_lc_rs::digest;
use nitro_signer_shared::claims::{Claims, KeyClaims};
use nitro_signer_shared::frame::{self, Body};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::{
    CreatedKey, Credentials, MAX_RECORD_BATCH_BYTES, RecordsLoaded, RefusedRecord, Request,
    RequestFrame, Response, ResponseFrame, SignedTransaction, State, Status,
};
use nitro_signer_shared::proof::{ClientProof, Intent};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde::Deserialize;
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// The enclave's service, shared by all connections.
pub struct Service {
    module: Module,
    mode: Mode,
    image: ImageManifest,
    clock: Clock,
    lines: RelayLines,
    roots: TrustRoots,
    boot_id: FixedBytes<16>,
    life: RwLock<Life>,
    /// Held while the enclave moves from one state to the next or makes a vault.
    transition: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
enum Life {
    Cold,
    Measured(Arc<Measured>),
    Opening(Arc<Measured>),
    Ready(Arc<Measured>, Arc<Open>),
}

/// What the measured manifest decides.
struct Measured {
    module: MeasuredModule,
    terms: Result<Terms, Refusal>,
    credentials: RwLock<Option<Arc<Credentials>>>,
    /// Why the last vault that was shown did not open: it exists, so none is made in its place.
    unopened: RwLock<Option<Refusal>>,
    /// What KMS last said of its key.
    custody: RwLock<Option<Arc<Custody>>>,
    /// Held while KMS is asked, so that it is asked once.
    inspection: tokio::sync::Mutex<()>,
}

impl Measured {
    fn unopened(&self) -> Option<Refusal> {
        self.unopened.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_unopened(&self, refusal: Refusal) {
        *self.unopened.write().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
    }

    /// What the manifest says, if it loaded. If not, nothing is served until power-off.
    fn terms(&self) -> Result<&Terms, Refusal> {
        self.terms.as_ref().map_err(Clone::clone)
    }

    fn credentials(&self) -> Option<Arc<Credentials>> {
        self.credentials.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn custody(&self) -> Option<Arc<Custody>> {
        self.custody.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_custody(&self, custody: Custody) -> Arc<Custody> {
        let custody = Arc::new(custody);
        let mut last = self.custody.write().unwrap_or_else(PoisonError::into_inner);
        *last = Some(custody.clone());
        custody
    }

    fn replace_credentials(&self, credentials: Credentials) {
        let credentials = Some(Arc::new(credentials));
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

/// A manifest that loaded.
struct Terms {
    manifest: Manifest,
    callers: Callers,
    policy: Policy,
}

/// An open vault and the keys under it.
struct Open {
    vault: VaultKey,
    /// SHA-256 of the header it was opened from.
    header: B256,
    keys: Mutex<Keyring>,
}

/// A request frame that was decoded, with what its answer must carry.
pub struct Incoming {
    frame: RequestFrame,
    request_hash: B256,
}

/// A body that is not a request.
pub enum Undecodable {
    /// Its correlation id could be read, so it is answered with this refusal.
    Answered(Body),
    /// Nothing can be told of it; its connection is given up.
    Hopeless,
}

impl Incoming {
    /// Decodes a frame's body: exactly one request, no unknown field, no byte left over.
    ///
    /// # Errors
    /// [`Undecodable`].
    pub fn decode(body: &[u8]) -> Result<Self, Undecodable> {
        #[derive(Deserialize)]
        struct IdOnly {
            id: u64,
        }
        let request_hash = sha256(body);
        if let Ok(frame) = frame::decode::<RequestFrame>(body) {
            return Ok(Self { frame, request_hash });
        }
        let Ok(IdOnly { id }) = frame::decode(body) else { return Err(Undecodable::Hopeless) };
        let result = Err(RefusalCode::MalformedRequest.into());
        Err(Undecodable::Answered(encode(ResponseFrame { id, request_hash, result })))
    }
}

/// The key that was approved for, and how its nonces are made.
struct Signing {
    key: Arc<HeldKey>,
    hedged: bool,
}

impl Signing {
    fn with<T>(
        self,
        sign: impl FnOnce(&PrivateKey, Nonces<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        if self.hedged {
            return sign(&self.key.private, Nonces::Hedged(&*creation::kernel_random()?));
        }
        sign(&self.key.private, Nonces::Deterministic)
    }
}

/// Who asks: what the frame says, before anything of it is believed.
struct Asking<'a> {
    asserted: Option<&'a str>,
    proofs: &'a [ClientProof],
}

impl Service {
    /// A service in its cold state.
    ///
    /// # Errors
    /// [`ModuleError`] if the module gives no random numbers.
    pub fn new(
        module: Module,
        mode: Mode,
        image: ImageManifest,
        clock: Clock,
        lines: RelayLines,
        roots: TrustRoots,
    ) -> Result<Self, ModuleError> {
        let boot_id = FixedBytes::from_slice(&module.random()?[..16]);
        let (life, transition) = (RwLock::new(Life::Cold), tokio::sync::Mutex::new(()));
        Ok(Self { module, mode, image, clock, lines, roots, boot_id, life, transition })
    }

    /// Answers one request.
    pub async fn answer(&self, incoming: Incoming) -> Body {
        let Incoming { frame, request_hash } = incoming;
        let (id, name) = (frame.id, frame.request.name());
        let result = self.dispatch(frame).await;
        if let Err(refusal) = &result {
            tracing::info!(request = name, code = refusal.code.as_str(), "refused");
        }
        encode(ResponseFrame { id, request_hash, result })
    }

    async fn dispatch(&self, frame: RequestFrame) -> Result<Response, Refusal> {
        let asking = Asking { asserted: frame.asserted.as_deref(), proofs: &frame.proofs };
        match frame.request {
            Request::Status {} => Ok(Response::Status(self.status())),
            Request::Configure { manifest, vault, credentials } => {
                let state = self
                    .configure(&manifest, vault.as_ref().map(|v| v.as_slice()), credentials)
                    .await?;
                Ok(Response::Configured { state })
            }
            Request::UpdateCredentials { credentials } => {
                self.measured()?.replace_credentials(credentials);
                Ok(Response::CredentialsUpdated {})
            }
            Request::LoadRecords { records } => {
                self.load_records(records).await.map(Response::RecordsLoaded)
            }
            Request::CreateVault {} => {
                let vault = self.create_vault(asking).await?;
                Ok(Response::VaultCreated { vault: ByteBuf::from(vault) })
            }
            Request::CreateKey { labels, nonce } => {
                let nonce = Nonce::parse(nonce.into_vec())?;
                self.create_key(asking, labels, nonce).await.map(Response::KeyCreated)
            }
            Request::ListKeys { after } => {
                let (keys, more) = lock(&self.ready()?.1.keys).page(after);
                Ok(Response::Keys { keys, more })
            }
            Request::Attest { nonce } => {
                let nonce = Nonce::parse(nonce.into_vec())?;
                let measured = self.measured()?;
                let claims = self.claims(&measured).await?;
                attest(&measured.module, &claims, nonce).await.map(Response::Attestation)
            }
            Request::SignTransaction { key, payload } => {
                self.sign_transaction(asking, key, &payload).map(Response::Signed)
            }
            Request::SignMessage { key, message } => {
                self.ready()?;
                let message = Message::parse(message.into_vec())?;
                let intent = Intent::sign_message(key, message.signing_hash());
                self.sign(asking, key, message, &intent)
            }
            Request::SignTypedData { key, typed_data } => {
                // Before there are keys, nothing is read.
                self.ready()?;
                let data = TypedData::parse(&typed_data)?;
                let intent = Intent::sign_typed_data(key, data.signing_hash());
                self.sign(asking, key, data, &intent)
            }
            Request::SignAuthorization { key, chain_id, address, nonce } => {
                let authorization = UnsignedAuthorization::new(chain_id, address, nonce)?;
                let intent = Intent::sign_authorization(key, authorization.signing_hash());
                self.sign(asking, key, authorization, &intent)
            }
            Request::SignDigest { key, digest } => {
                let intent = Intent::sign_digest(key, digest);
                self.sign(asking, key, Digest::new(digest), &intent)
            }
        }
    }

    fn status(&self) -> Status {
        let life = self.life();
        let keys = match &life {
            Life::Ready(_, open) => lock(&open.keys).len() as u64,
            _ => 0,
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: life.state(),
            boot_id: self.boot_id,
            manifest_hash: life.measured().map(|m| *m.module.manifest().as_bytes()),
            keys,
        }
    }

    /// Measures the manifest if none is, and opens the vault if one is given.
    async fn configure(
        &self,
        manifest: &[u8],
        vault: Option<&[u8]>,
        credentials: Credentials,
    ) -> Result<State, Refusal> {
        if self.mode == Mode::Debug {
            return Err(RefusalCode::DebugMode.into());
        }
        self.image.require(manifest)?;
        let Ok(_moving) = self.transition.try_lock() else { return Err(RefusalCode::Busy.into()) };
        let measured = match self.life() {
            Life::Cold => {
                let measured = Arc::new(self.measure(manifest).await?);
                self.enter(Life::Measured(measured.clone()));
                measured
            }
            life => life.measured().ok_or(RefusalCode::Internal)?,
        };
        if ManifestHash::of(manifest) != *measured.module.manifest() {
            return Err(RefusalCode::ManifestConflict.into());
        }
        measured.replace_credentials(credentials);
        let terms = measured.terms()?;
        let stored = match (self.life(), vault) {
            (Life::Measured(_), Some(stored)) => stored,
            (Life::Ready(_, open), Some(other)) if sha256(other) != open.header => {
                return Err(RefusalCode::VaultExists.into());
            }
            (life, _) => return Ok(life.state()),
        };
        let kms = self.kms(&measured, terms)?;
        self.enter(Life::Opening(measured.clone()));
        match self.open_vault(&measured, terms, &kms, stored).await {
            Ok(vault) => {
                tracing::info!(fingerprint = %vault.fingerprint(), "the vault is open");
                let (header, keys) = (sha256(stored), Mutex::default());
                let open = Arc::new(Open { vault, header, keys });
                self.enter(Life::Ready(measured, open));
                Ok(State::Ready)
            }
            Err(refusal) => {
                measured.note_unopened(refusal.clone());
                self.enter(Life::Measured(measured));
                Err(refusal)
            }
        }
    }

    /// Asks KMS for the secret, whose refusal comes first, and then whose the key is. Until then
    /// nothing is served by the secret.
    async fn open_vault(
        &self,
        measured: &Measured,
        terms: &Terms,
        kms: &Kms,
        stored: &[u8],
    ) -> Result<VaultKey, Refusal> {
        let released = vault::release(kms, &terms.manifest, stored).await?;
        let custody = match self.inspect(measured, terms, kms).await {
            Ok(custody) => custody,
            Err(error) if terms.manifest.custody.open_regardless => {
                measured.note_custody(Custody::unread(&error, self.clock.now_s()))
            }
            Err(error) => return Err(error.into()),
        };
        let openable = custody.openable(&terms.manifest)?;
        if let Err(refusal) = custody.sole() {
            tracing::warn!(%refusal, "the vault is opened regardless");
        }
        Ok(released.open(openable))
    }

    /// What KMS says now of its key.
    async fn inspect(
        &self,
        measured: &Measured,
        terms: &Terms,
        kms: &Kms,
    ) -> Result<Arc<Custody>, KmsError> {
        let (own, now) = (measured.module.admitted_set(), self.clock.now_s());
        let custody = Custody::inspect(kms, own, &terms.manifest, now).await?;
        Ok(measured.note_custody(custody))
    }

    /// By what KMS said of its key not long ago, or else by what it says now. An answer that
    /// refuses is asked for again, since whoever mends the key should not have to wait.
    async fn fresh_custody(
        &self,
        measured: &Measured,
        terms: &Terms,
    ) -> Result<SoleCustody, Refusal> {
        let _asking = measured.inspection.lock().await;
        let last = measured.custody().filter(|last| last.is_fresh(self.clock.now_s()));
        match last.map(|last| last.sole()) {
            Some(Ok(sole)) => Ok(sole),
            _ => self.inspect(measured, terms, &self.kms(measured, terms)?).await?.sole(),
        }
    }

    /// Measured first, parsed after: whatever the bytes are, PCR16 names them.
    async fn measure(&self, manifest: &[u8]) -> Result<Measured, Refusal> {
        let (module, manifest) = (self.module.clone(), manifest.to_vec());
        let measuring = move || {
            let hash = ManifestHash::of(&manifest);
            let module = module
                .measure(&hash)
                .map_err(|e| Refusal::new(RefusalCode::SecureModule, e.to_string()))?;
            tracing::info!(manifest = %hash, "the manifest is measured and locked");
            let (credentials, unopened, custody, inspection) = Default::default();
            let terms = Terms::load(&manifest);
            Ok(Measured { module, terms, credentials, unopened, custody, inspection })
        };
        blocking(measuring).await?
    }

    async fn create_vault(&self, asking: Asking<'_>) -> Result<Vec<u8>, Refusal> {
        let measured = self.measured()?;
        let terms = measured.terms()?;
        // Before a proof is used up for nothing.
        let Ok(_moving) = self.transition.try_lock() else { return Err(RefusalCode::Busy.into()) };
        if !matches!(self.life(), Life::Measured(_)) {
            return Err(RefusalCode::VaultExists.into());
        }
        if let Some(refusal) = measured.unopened() {
            return Err(refusal);
        }
        let intent = Intent::create_vault(terms.manifest.vault.as_str());
        let caller = self.authenticate(&measured, terms, asking, &intent)?;
        let approved = terms.policy.approve_create_vault(&caller, self.clock.now_s())?;
        let kms = self.kms(&measured, terms)?;
        let made = vault::create(approved, &kms, &terms.manifest).await?;
        made.give(self.inspect(&measured, terms, &kms).await?.sole()?)
    }

    async fn load_records(&self, records: Vec<ByteBuf>) -> Result<RecordsLoaded, Refusal> {
        // Their number was bounded when the frame was decoded.
        if records.iter().map(|r| r.len()).sum::<usize>() > MAX_RECORD_BATCH_BYTES {
            return Err(RefusalCode::TooLarge.into());
        }
        let (_, open) = self.ready()?;
        blocking(move || open.load(&records)).await
    }

    async fn create_key(
        &self,
        asking: Asking<'_>,
        labels: BTreeMap<String, String>,
        nonce: Nonce,
    ) -> Result<CreatedKey, Refusal> {
        let (measured, open) = self.ready()?;
        let terms = measured.terms()?;
        let labels = Labels::parse(labels)?;
        let intent = Intent::create_key(labels.as_map(), nonce.as_bytes());
        let caller = self.authenticate(&measured, terms, asking, &intent)?;
        let now = self.clock.now_s();
        let approved = terms.policy.approve_create_key(&caller, labels, now)?;
        let custody = self.fresh_custody(&measured, terms).await?;
        let module = measured.module.clone();
        let key = blocking(move || creation::create_key(approved, custody, &module)).await??;
        lock(&open.keys).await_key(key.facts.address).map_err(|_| RefusalCode::Capacity)?;
        let record_id = RecordId::from(*creation::kernel_random()?);
        let salt = FixedBytes::from(*creation::kernel_random()?);
        let record = record::seal(&open.vault, &key, record_id, salt)
            .map_err(|_| Refusal::from(RefusalCode::Internal))?;
        let facts = key.facts;
        let claims = KeyClaims {
            manifest_hash: *measured.module.manifest().as_bytes(),
            deployment: terms.manifest.deployment.to_string(),
            vault: terms.manifest.vault.to_string(),
            vault_fingerprint: open.vault.fingerprint(),
            address: facts.address,
            origin: facts.origin,
            created: facts.created,
            labels: facts.labels,
            record_hash: sha256(&record),
        };
        let attestation = attest(&measured.module, &claims, nonce).await?;
        tracing::info!(address = %facts.address, creator = %facts.creator, "a key was made");
        Ok(CreatedKey {
            address: facts.address,
            record_id,
            record: ByteBuf::from(record),
            document: attestation.document,
            claims: attestation.claims,
        })
    }

    /// Parse, authenticate, approve, sign: each takes what only the step before gives.
    fn sign_transaction(
        &self,
        asking: Asking<'_>,
        address: Address,
        payload: &[u8],
    ) -> Result<SignedTransaction, Refusal> {
        // Before there are keys, nothing is read.
        self.ready()?;
        let transaction = UnsignedTransaction::parse(payload)?;
        let intent = Intent::sign_transaction(address, transaction.signing_hash());
        let (approved, signing) = self.approve(asking, address, transaction, &intent)?;
        signing.with(|key, nonces| sign_transaction(approved, key, nonces))
    }

    /// The same for everything that is no transaction.
    fn sign<S: Subject>(
        &self,
        asking: Asking<'_>,
        address: Address,
        subject: S,
        intent: &Intent,
    ) -> Result<Response, Refusal> {
        let (approved, signing) = self.approve(asking, address, subject, intent)?;
        signing.with(|key, nonces| sign::sign(approved, key, nonces)).map(Response::SignedHash)
    }

    fn approve<S: Subject>(
        &self,
        asking: Asking<'_>,
        address: Address,
        subject: S,
        intent: &Intent,
    ) -> Result<(Approved<ForAccount<S>>, Signing), Refusal> {
        let (measured, open) = self.ready()?;
        let terms = measured.terms()?;
        let caller = self.authenticate(&measured, terms, asking, intent)?;
        let key = open.key(&address).ok_or(RefusalCode::UnknownKey)?;
        let (now, is_held) = (self.clock.now_s(), |a: &Address| open.key(a).is_some());
        let approved = terms.policy.approve(&caller, &key.facts, subject, is_held, now)?;
        Ok((approved, Signing { key, hedged: terms.manifest.switches.hedged_nonces }))
    }

    fn authenticate(
        &self,
        measured: &Measured,
        terms: &Terms,
        asking: Asking<'_>,
        intent: &Intent,
    ) -> Result<Caller, Refusal> {
        let (manifest, now) = (measured.module.manifest(), self.clock.now_s());
        terms.callers.authenticate(asking.asserted, asking.proofs, intent, manifest, now)
    }

    async fn claims(&self, measured: &Measured) -> Result<Claims, Refusal> {
        let manifest = &measured.terms()?.manifest;
        let life = self.life();
        let (vault_fingerprint, (keys, keys_root)) = match &life {
            Life::Ready(_, open) => {
                let (open, fingerprint) = (open.clone(), open.vault.fingerprint());
                (Some(fingerprint), blocking(move || lock(&open.keys).count_and_root()).await?)
            }
            _ => (None, Keyring::default().count_and_root()),
        };
        Ok(Claims {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            manifest_hash: *measured.module.manifest().as_bytes(),
            manifest_version: manifest.version,
            deployment: manifest.deployment.to_string(),
            vault: manifest.vault.to_string(),
            vault_fingerprint,
            wrapping_keys: manifest.wrapping_keys.iter().map(ToString::to_string).collect(),
            custody: measured.custody().map(|custody| custody.claim()),
            state: life.state(),
            boot_id: self.boot_id,
            keys,
            keys_root,
        })
    }

    fn kms(&self, measured: &Measured, terms: &Terms) -> Result<Kms, Refusal> {
        let credentials = measured.credentials().ok_or(RefusalCode::Credentials)?;
        let key = terms.manifest.wrapping_key();
        let (module, clock) = (&measured.module, &self.clock);
        Ok(Kms::new(key, module, &self.boot_id, &self.lines, &self.roots, clock, &credentials))
    }

    fn life(&self) -> Life {
        self.life.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn enter(&self, life: Life) {
        tracing::info!(state = life.state().as_str(), "entered");
        *self.life.write().unwrap_or_else(PoisonError::into_inner) = life;
    }

    fn measured(&self) -> Result<Arc<Measured>, Refusal> {
        self.life().measured().ok_or_else(|| {
            Refusal::new(RefusalCode::NotReady, "The enclave has not measured a manifest yet.")
        })
    }

    fn ready(&self) -> Result<(Arc<Measured>, Arc<Open>), Refusal> {
        match self.life() {
            Life::Ready(measured, open) => Ok((measured, open)),
            Life::Measured(measured) => {
                Err(measured.unopened().unwrap_or_else(|| RefusalCode::NoVault.into()))
            }
            Life::Cold | Life::Opening(_) => Err(RefusalCode::NotReady.into()),
        }
    }
}

impl Life {
    const fn state(&self) -> State {
        match self {
            Self::Cold => State::Cold,
            Self::Measured(_) => State::Measured,
            Self::Opening(_) => State::Opening,
            Self::Ready(..) => State::Ready,
        }
    }

    fn measured(&self) -> Option<Arc<Measured>> {
        match self {
            Self::Cold => None,
            Self::Measured(m) | Self::Opening(m) | Self::Ready(m, _) => Some(m.clone()),
        }
    }
}

impl Terms {
    fn load(manifest: &[u8]) -> Result<Self, Refusal> {
        let invalid = |e: String| Refusal::new(RefusalCode::ManifestInvalid, e);
        let manifest = Manifest::parse(manifest).map_err(|e| invalid(e.to_string()))?;
        let policy = Policy::load(&manifest).map_err(|e| invalid(e.to_string()))?;
        let callers = Callers::new(&manifest)?;
        Ok(Self { manifest, callers, policy })
    }
}

impl Open {
    fn key(&self, address: &Address) -> Option<Arc<HeldKey>> {
        lock(&self.keys).get(address)
    }

    /// Opens records and holds their keys; one that does not open is named and passed over.
    fn load(&self, records: &[ByteBuf]) -> RecordsLoaded {
        let mut loaded = RecordsLoaded { accepted: 0, refused: Vec::new() };
        for (index, bytes) in (0..).zip(records) {
            let held = record::open(&self.vault, bytes)
                .map_err(|_| RefusalCode::RecordInvalid)
                .and_then(|k| lock(&self.keys).add(k).map_err(|_| RefusalCode::Capacity));
            match held {
                Ok(()) => loaded.accepted += 1,
                Err(code) => loaded.refused.push(RefusedRecord { index, code }),
            }
        }
        loaded
    }
}

/// Runs what blocks or computes for long where it holds up no other request.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| RefusalCode::Internal.into())
}

fn sha256(bytes: &[u8]) -> B256 {
    B256::from_slice(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// A panic while the ring is locked leaves it as it was between two whole insertions.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn encode(response: ResponseFrame) -> Body {
    let ResponseFrame { id, request_hash, .. } = response;
    frame::encode(&response).unwrap_or_else(|_| {
        let result = Err(RefusalCode::Internal.into());
        // An id, a hash and a short sentence always encode.
        frame::encode(&ResponseFrame { id, request_hash, result }).unwrap_or_default()
    })
}
