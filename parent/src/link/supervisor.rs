//! Keeps the enclave connected, configured, supplied with credentials and loaded with records.
//!
//! One task owns the life of the link: connect, compare releases and manifests, `Configure`, load
//! the records, then renew credentials and look in on the enclave until the connection ends; then
//! again from the start. Callers see the newest connection and a [`Situation`] that says in a
//! sentence what is missing. It must never send a second manifest or guess a vault.

use super::connection::{Ask, Connection, End};
use super::records::{self, Loaded};
use super::{Backoff, EnclaveAddress, KMS_DEADLINE, REQUEST_DEADLINE};
use crate::credentials::{Issued, Provider};
use crate::store::Store;
use metrics::{counter, gauge};
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_shared::message::{REQUEST_PORT, RecordsLoaded, Request, Response, State, Status};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_bytes::ByteBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// How often the supervisor looks in on the enclave.
const LOOK_IN: Duration = Duration::from_secs(10);
/// How many times in a row the enclave may fail to answer before the connection is given up.
const MAX_SILENCE: u32 = 3;

/// How many new keys' records are loaded at a time: half of the supervisor's lane.
const MAX_LOADING: usize = 4;

/// How far the link has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No connection; why the last one failed.
    Connecting(String),
    /// Parent and enclave are of different releases.
    VersionMismatch(String),
    /// The enclave was measured with another manifest.
    ManifestConflict,
    /// The manifest and the vault are being given.
    Configuring,
    /// That failed; it is tried again.
    Failed(Refusal),
    /// Configured, but no vault is stored: one must be created.
    NoVault,
    /// Records are being loaded.
    Loading,
    /// Everything is loaded.
    Ready,
}

impl Phase {
    /// The stable text form.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Connecting(_) => "connecting",
            Self::VersionMismatch(_) => "version_mismatch",
            Self::ManifestConflict => "manifest_conflict",
            Self::Configuring => "configuring",
            Self::Failed(_) => "failed",
            Self::NoVault => "no_vault",
            Self::Loading => "loading",
            Self::Ready => "ready",
        }
    }

    /// What is missing, in a sentence.
    pub(crate) fn explain(&self) -> String {
        match self {
            Self::Connecting(why) => format!("the enclave is not connected: {why}"),
            Self::VersionMismatch(why) => why.clone(),
            Self::ManifestConflict => RefusalCode::ManifestConflict.advice().to_owned(),
            Self::Configuring => "the enclave is being configured".to_owned(),
            Self::Failed(Refusal { code, detail }) if detail == code.advice() => detail.clone(),
            Self::Failed(Refusal { code, detail }) => format!("{detail} ({})", code.advice()),
            Self::NoVault => RefusalCode::NoVault.advice().to_owned(),
            Self::Loading => "key records are being loaded".to_owned(),
            Self::Ready => "ready".to_owned(),
        }
    }
}

/// What the parent knows of the enclave at this moment.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    pub(crate) phase: Phase,
    /// The enclave's last word about itself; none while it is not connected.
    pub(crate) status: Option<Status>,
    /// How many stored records it refused when they were last loaded.
    pub(crate) refused_records: u64,
}

/// Callers' side: the newest connection, the situation, and a way to have it configured again.
#[derive(Clone)]
pub(crate) struct Link {
    connection: watch::Receiver<Option<Arc<Connection>>>,
    situation: watch::Receiver<Situation>,
    reconfigure: mpsc::Sender<oneshot::Sender<Result<State, Refusal>>>,
    loading: Arc<Semaphore>,
}

impl Link {
    /// Sends a client's request to the enclave.
    ///
    /// # Errors
    /// The enclave's refusal or the link's own.
    pub(crate) async fn call(&self, ask: Ask, deadline: Duration) -> Result<Response, Refusal> {
        self.live()?.call(ask, deadline).await
    }

    /// Loads one record that was just stored, past the clients' queue.
    ///
    /// # Errors
    /// The enclave's refusal or the link's own.
    pub(crate) async fn load(&self, record: ByteBuf) -> Result<RecordsLoaded, Refusal> {
        // Never closed; it keeps a crowd of new keys from filling the supervisor's lane.
        let _one_of_few = self.loading.acquire().await.map_err(|_| RefusalCode::Internal)?;
        let request = Request::LoadRecords { records: vec![record] };
        match self.live()?.call_own(request, REQUEST_DEADLINE).await? {
            Response::RecordsLoaded(loaded) => Ok(loaded),
            _ => Err(another_answer()),
        }
    }

    fn live(&self) -> Result<Arc<Connection>, Refusal> {
        match &self.situation.borrow().phase {
            Phase::VersionMismatch(why) => {
                return Err(Refusal::new(RefusalCode::VersionMismatch, why.as_str()));
            }
            Phase::ManifestConflict => return Err(RefusalCode::ManifestConflict.into()),
            _ => {}
        }
        self.connection.borrow().clone().ok_or_else(|| RefusalCode::LinkDown.into())
    }

    /// Gives the enclave the vault that is stored now.
    ///
    /// # Errors
    /// The enclave's refusal, or [`RefusalCode::LinkDown`].
    pub(crate) async fn reconfigure(&self) -> Result<State, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.reconfigure.try_send(reply).map_err(|_| RefusalCode::Busy)?;
        match tokio::time::timeout(KMS_DEADLINE, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(RefusalCode::LinkDown.into()),
            Err(_) => Err(RefusalCode::Deadline.into()),
        }
    }

    /// What is known of the enclave now.
    pub(crate) fn situation(&self) -> Situation {
        self.situation.borrow().clone()
    }
}

/// What the supervisor works with.
pub(crate) struct Supervisor {
    pub(crate) enclave: EnclaveAddress,
    pub(crate) manifest: Vec<u8>,
    pub(crate) store: Store,
    pub(crate) credentials: Arc<Provider>,
}

impl Supervisor {
    /// The callers' side, and the task, which ends when every [`Link`] is gone or it is dropped.
    pub(crate) fn start(self) -> (Link, impl Future<Output = ()> + Send) {
        let (link, life) = self.begin();
        (link, life.run())
    }

    fn begin(self) -> (Link, Life) {
        let (connection, connections) = watch::channel(None);
        let phase = Phase::Connecting("not tried yet".to_owned());
        let (situation, situations) =
            watch::channel(Situation { phase, status: None, refused_records: 0 });
        let (reconfigure, requests) = mpsc::channel(1);
        let loading = Arc::new(Semaphore::new(MAX_LOADING));
        let link = Link { connection: connections, situation: situations, reconfigure, loading };
        let life = Life {
            manifest_hash: ManifestHash::of(&self.manifest),
            given: self,
            connection,
            situation,
            requests,
        };
        (link, life)
    }
}

struct Life {
    given: Supervisor,
    manifest_hash: ManifestHash,
    connection: watch::Sender<Option<Arc<Connection>>>,
    situation: watch::Sender<Situation>,
    requests: mpsc::Receiver<oneshot::Sender<Result<State, Refusal>>>,
}

/// Why one connection's life is over.
enum Over {
    Ended(End),
    VersionMismatch(String),
    ManifestConflict,
    /// The enclave lost its state without closing the connection.
    Restarted,
    /// Every [`Link`] is gone.
    NobodyLeft,
}

impl Life {
    async fn run(mut self) {
        let mut backoff = Backoff::connecting();
        loop {
            // Only an enclave that answered is worth a quick next attempt.
            let (phase, answered) = match self.given.enclave.connect(REQUEST_PORT).await {
                Err(error) => (Phase::Connecting(error.to_string()), false),
                Ok(stream) => {
                    let connection = Arc::new(Connection::start(stream));
                    self.connection.send_replace(Some(Arc::clone(&connection)));
                    let (greeted, over) = match self.greet(&connection).await {
                        Ok(()) => (true, self.serve(&connection).await),
                        Err(over) => (false, over),
                    };
                    self.connection.send_replace(None);
                    connection.give_up();
                    match over {
                        Over::NobodyLeft => return,
                        Over::Ended(end @ End::Version(_)) => {
                            (Phase::VersionMismatch(end.to_string()), false)
                        }
                        Over::Ended(end) => (Phase::Connecting(end.to_string()), greeted),
                        Over::VersionMismatch(why) => (Phase::VersionMismatch(why), false),
                        Over::ManifestConflict => (Phase::ManifestConflict, false),
                        Over::Restarted => {
                            (Phase::Connecting("the enclave started anew".to_owned()), true)
                        }
                    }
                }
            };
            if answered {
                backoff.reset();
            }
            tracing::warn!(phase = phase.name(), why = phase.explain(), "the link is down");
            self.situation.send_modify(|s| s.status = None);
            self.enter(phase);
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// One connection's life, from the greeting to its end.
    async fn serve(&mut self, connection: &Connection) -> Over {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut asked: Option<oneshot::Sender<Result<State, Refusal>>> = None;
        loop {
            self.enter(Phase::Configuring);
            let configured = self.configure(connection).await;
            let pause = match &configured {
                Ok((State::Ready, renew_in)) => match self.load(connection).await {
                    Ok(()) => {
                        backoff.reset();
                        self.enter(Phase::Ready);
                        Pause::Renew(*renew_in)
                    }
                    Err(refusal) => {
                        self.enter(Phase::Failed(refusal));
                        Pause::Retry(backoff.next())
                    }
                },
                Ok((_, renew_in)) => {
                    self.enter(Phase::NoVault);
                    Pause::Renew(*renew_in)
                }
                Err(refusal) if refusal.code == RefusalCode::ManifestConflict => {
                    return Over::ManifestConflict;
                }
                Err(refusal) => {
                    tracing::warn!(code = %refusal.code, detail = refusal.detail, "not configured");
                    self.enter(Phase::Failed(refusal.clone()));
                    Pause::Retry(backoff.next())
                }
            };
            if let Some(asked) = asked.take() {
                // Who asked may have left.
                let _ = asked.send(configured.map(|(state, _)| state));
            }
            match self.wait(connection, pause).await {
                Ok(next) => asked = next,
                Err(over) => return over,
            }
        }
    }

    /// Compares releases and manifests before anything is given.
    async fn greet(&self, connection: &Connection) -> Result<(), Over> {
        let status = match self.status(connection).await {
            Ok(status) => status,
            Err(_) => {
                connection.give_up();
                return Err(Over::Ended(connection.ended().await));
            }
        };
        let ours = env!("CARGO_PKG_VERSION");
        if status.version != ours {
            let version: String = status.version.chars().take(32).collect();
            return Err(Over::VersionMismatch(format!(
                "the enclave is of release {version:?}, this parent of {ours}; deploy both from one"
            )));
        }
        let conflict =
            status.manifest_hash.is_some_and(|hash| hash != *self.manifest_hash.as_bytes());
        self.note(status);
        if conflict { Err(Over::ManifestConflict) } else { Ok(()) }
    }

    async fn status(&self, connection: &Connection) -> Result<Status, Refusal> {
        match connection.call_own(Request::Status {}, REQUEST_DEADLINE).await? {
            Response::Status(status) => Ok(status),
            _ => Err(another_answer()),
        }
    }

    fn note(&self, status: Status) {
        #[allow(clippy::cast_precision_loss)] // A count of keys is far below 2^52.
        gauge!("nitro_signer_keys").set(status.keys as f64);
        self.situation.send_modify(|s| s.status = Some(status));
    }

    /// Gives manifest, vault and credentials; says the state and when to renew the last.
    async fn configure(&self, connection: &Connection) -> Result<(State, Duration), Refusal> {
        let vault = self.given.store.vault().await?.map(ByteBuf::from);
        let (issued, renew_in) = self.issue().await?;
        let request = Request::Configure {
            manifest: ByteBuf::from(self.given.manifest.clone()),
            vault,
            credentials: issued.credentials,
        };
        let state = match connection.call_own(request, KMS_DEADLINE).await? {
            Response::Configured { state } => state,
            _ => return Err(another_answer()),
        };
        self.note(self.status(connection).await?);
        Ok((state, renew_in))
    }

    async fn issue(&self) -> Result<(Issued, Duration), Refusal> {
        let issued = self
            .given
            .credentials
            .fetch()
            .await
            .map_err(|e| Refusal::new(RefusalCode::Credentials, e.to_string()))?;
        let expires = issued.expires.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        if let Some(expires) = expires {
            gauge!("nitro_signer_credentials_expiry_seconds").set(expires.as_secs_f64());
        }
        let renew_in = self.given.credentials.renew_in(&issued, SystemTime::now());
        Ok((issued, renew_in))
    }

    /// Loads every stored record. One that is refused is counted; the others serve.
    async fn load(&self, connection: &Connection) -> Result<(), Refusal> {
        self.enter(Phase::Loading);
        let Loaded { accepted, refused } = records::load(connection, &self.given.store).await?;
        tracing::info!(accepted, refused, "key records loaded");
        #[allow(clippy::cast_precision_loss)] // As above.
        gauge!("nitro_signer_refused_records").set(refused as f64);
        self.situation.send_modify(|s| s.refused_records = refused);
        self.note(self.status(connection).await?);
        Ok(())
    }

    /// Waits for whatever makes it necessary to configure again, renewing credentials meanwhile.
    async fn wait(
        &mut self,
        connection: &Connection,
        pause: Pause,
    ) -> Result<Option<oneshot::Sender<Result<State, Refusal>>>, Over> {
        let (retry, mut renew_in) = match pause {
            Pause::Retry(after) => (Some(tokio::time::Instant::now() + after), None),
            Pause::Renew(_) if self.given.credentials.is_constant() => (None, None),
            Pause::Renew(after) => (None, Some(tokio::time::Instant::now() + after)),
        };
        let mut look_in = tokio::time::interval(LOOK_IN);
        look_in.reset();
        let mut silence = 0;
        loop {
            tokio::select! {
                end = connection.ended() => return Err(Over::Ended(end)),
                asked = self.requests.recv() => return asked.map(Some).ok_or(Over::NobodyLeft),
                () = until(retry) => return Ok(None),
                () = until(renew_in) => {
                    let again = self.renew(connection).await;
                    renew_in = Some(tokio::time::Instant::now() + again);
                }
                _ = look_in.tick() => match self.status(connection).await {
                    Ok(status) => {
                        silence = 0;
                        if self.restarted(&status) {
                            return Err(Over::Restarted);
                        }
                        self.note(status);
                        if self.vault_appeared().await {
                            return Ok(None);
                        }
                    }
                    Err(_) => {
                        silence += 1;
                        if silence == MAX_SILENCE {
                            connection.give_up();
                        }
                    }
                },
            }
        }
    }

    /// Whether a vault is stored where none was: another parent of this store made it, or storing
    /// it was reported as failed and was not.
    async fn vault_appeared(&self) -> bool {
        let missing = self.situation.borrow().phase == Phase::NoVault;
        missing && matches!(self.given.store.vault().await, Ok(Some(_)))
    }

    fn restarted(&self, status: &Status) -> bool {
        let situation = self.situation.borrow();
        situation.status.as_ref().is_some_and(|before| before.boot_id != status.boot_id)
    }

    /// Hands newer credentials to the enclave; says when to do so again.
    async fn renew(&self, connection: &Connection) -> Duration {
        let retry = Duration::from_secs(10);
        let (issued, renew_in) = match self.issue().await {
            Ok(issued) => issued,
            Err(refusal) => {
                tracing::warn!(detail = refusal.detail, "credentials were not renewed");
                return retry;
            }
        };
        let request = Request::UpdateCredentials { credentials: issued.credentials };
        match connection.call_own(request, REQUEST_DEADLINE).await {
            Ok(Response::CredentialsUpdated {}) => renew_in,
            Ok(_) | Err(_) => {
                counter!("nitro_signer_credentials_failures_total").increment(1);
                retry
            }
        }
    }

    fn enter(&self, phase: Phase) {
        gauge!("nitro_signer_ready").set(if phase == Phase::Ready { 1.0 } else { 0.0 });
        let up = self.connection.borrow().is_some();
        gauge!("nitro_signer_link_up").set(if up { 1.0 } else { 0.0 });
        self.situation.send_modify(|s| s.phase = phase);
    }
}

enum Pause {
    /// Configure again after this.
    Retry(Duration),
    /// All is well; renew credentials after this.
    Renew(Duration),
}

/// Until then, or for ever.
async fn until(when: Option<tokio::time::Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// The enclave gave an answer that does not belong to what was asked.
pub(crate) fn another_answer() -> Refusal {
    Refusal::new(RefusalCode::Internal, "the enclave's answer does not belong to the request")
}

#[cfg(test)]
#[path = "supervisor_tests.rs"]
mod tests;
