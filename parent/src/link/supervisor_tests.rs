//! The supervisor against an enclave that is played here, over a Unix socket.

#![allow(clippy::panic)]

use super::*;
use crate::credentials::Source;
use crate::store::StoreAddress;
use alloy_primitives::{B256, FixedBytes};
use aws_lc_rs::digest::{SHA256, digest};
use nitro_signer_shared::frame;
use nitro_signer_shared::message::MAX_RECORDS_PER_BATCH;
use nitro_signer_shared::message::{RefusedRecord, RequestFrame, ResponseFrame};
use std::sync::Mutex;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

const MANIFEST: &[u8] = b"the manifest";

/// What the played enclave is, and what it was given.
#[derive(Default)]
struct Played {
    version: String,
    manifest_hash: Option<FixedBytes<48>>,
    vault: Option<Vec<u8>>,
    configured: u32,
    records: Vec<Vec<u8>>,
    /// How many times it was given newer credentials.
    renewed: u32,
    /// How many Configure requests are refused before one is accepted.
    kms_failures: u32,
}

struct Stage {
    dir: tempfile::TempDir,
    played: Arc<Mutex<Played>>,
    link: Link,
    store: Store,
    _tasks: JoinSet<()>,
}

impl Stage {
    fn new(played: Played, fill: impl FnOnce(&std::path::Path)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let file = dir.path().join("credentials.toml");
        std::fs::write(&file, "access_key_id = 'a'\nsecret_access_key = 'b'").expect("writes");
        let credentials = Arc::new(Provider::new(Source::File { path: file }));
        let address = StoreAddress::Folder(dir.path().join("store"));
        let store = Store::open(&address, "", None, Arc::clone(&credentials)).expect("opens");
        let (link, life) = supervisor(dir.path(), &store, credentials).start();
        let mut tasks = JoinSet::new();
        tasks.spawn(life);
        Self { dir, played: Arc::new(Mutex::new(played)), link, store, _tasks: tasks }
    }

    /// Another supervisor of the same enclave and store.
    fn supervisor(&self) -> Supervisor {
        let path = self.dir.path().join("credentials.toml");
        let credentials = Arc::new(Provider::new(Source::File { path }));
        supervisor(self.dir.path(), &self.store, credentials)
    }

    /// Boots the played enclave; it ends with what is returned.
    fn boot(&self) -> JoinSet<()> {
        let socket = self.dir.path().join("5000.sock");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(socket).expect("binds");
        let played = Arc::clone(&self.played);
        let boot_id = boot_id();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut conversations = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("accepts");
                let played = Arc::clone(&played);
                conversations.spawn(async move { play(stream, &played, boot_id).await });
            }
        });
        tasks
    }

    async fn reach(&self, name: &str) -> Situation {
        let mut situation = self.link.situation.clone();
        let reached = situation.wait_for(|s| s.phase.name() == name);
        // Longer than the supervisor takes to look in.
        let reached = tokio::time::timeout(LOOK_IN * 2, reached).await;
        reached
            .unwrap_or_else(|_| panic!("{name}: {:?}", self.link.situation()))
            .expect("lives")
            .clone()
    }
}

fn supervisor(dir: &std::path::Path, store: &Store, credentials: Arc<Provider>) -> Supervisor {
    Supervisor {
        enclave: EnclaveAddress::Unix(dir.to_owned()),
        manifest: MANIFEST.to_vec(),
        store: store.clone(),
        credentials,
    }
}

fn boot_id() -> FixedBytes<16> {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).expect("draws");
    FixedBytes::from(id)
}

async fn play(mut stream: UnixStream, played: &Mutex<Played>, boot_id: FixedBytes<16>) {
    while let Ok(body) = frame::read(&mut stream).await {
        let asked: RequestFrame = frame::decode(&body).expect("decodes");
        let result = answer(&mut played.lock().expect("is whole"), asked.request, boot_id);
        let request_hash = B256::from_slice(digest(&SHA256, &body).as_ref());
        let response = ResponseFrame { id: asked.id, request_hash, result };
        let body = frame::encode(&response).expect("encodes");
        frame::write(&mut stream, &body).await.expect("writes");
    }
}

fn answer(
    played: &mut Played,
    request: Request,
    boot_id: FixedBytes<16>,
) -> Result<Response, Refusal> {
    match request {
        Request::Status {} => Ok(Response::Status(Status {
            version: played.version.clone(),
            state: State::Cold,
            boot_id,
            manifest_hash: played.manifest_hash,
            keys: played.records.len() as u64,
        })),
        Request::Configure { vault, manifest, .. } => {
            assert_eq!(manifest, MANIFEST);
            played.configured += 1;
            if played.kms_failures > 0 {
                played.kms_failures -= 1;
                return Err(RefusalCode::KmsUnreachable.into());
            }
            played.vault = vault.map(ByteBuf::into_vec);
            let state = if played.vault.is_some() { State::Ready } else { State::Measured };
            Ok(Response::Configured { state })
        }
        Request::LoadRecords { records } => {
            assert!(records.len() <= MAX_RECORDS_PER_BATCH);
            let mut refused = Vec::new();
            let accepted_before = played.records.len();
            for (index, record) in (0..).zip(records) {
                if record.starts_with(b"bad") {
                    refused.push(RefusedRecord { index, code: RefusalCode::RecordInvalid });
                } else {
                    played.records.push(record.into_vec());
                }
            }
            let accepted = u32::try_from(played.records.len() - accepted_before).expect("fits");
            Ok(Response::RecordsLoaded(RecordsLoaded { accepted, refused }))
        }
        Request::UpdateCredentials { .. } => {
            played.renewed += 1;
            Ok(Response::CredentialsUpdated {})
        }
        _ => Err(RefusalCode::NotFound.into()),
    }
}

fn ours() -> Played {
    Played { version: env!("CARGO_PKG_VERSION").to_owned(), ..Played::default() }
}

fn with_records(count: u16) -> impl FnOnce(&std::path::Path) {
    move |dir| {
        let records = dir.join("store/records");
        std::fs::create_dir_all(&records).expect("makes");
        std::fs::write(dir.join("store/vault"), b"vault").expect("writes");
        for n in 0..count {
            let text = if n == 0 { "bad".to_owned() } else { format!("record {n}") };
            std::fs::write(records.join(format!("{n:032x}")), text).expect("writes");
        }
    }
}

#[tokio::test]
async fn an_enclave_that_appears_is_configured_and_loaded() {
    let stage = Stage::new(ours(), with_records(1_200));
    stage.reach("connecting").await;
    let _enclave = stage.boot();
    let situation = stage.reach("ready").await;
    assert_eq!(situation.refused_records, 1);
    let played = stage.played.lock().expect("is whole");
    assert_eq!(played.vault.as_deref(), Some(b"vault".as_slice()));
    assert_eq!(played.records.len(), 1_199);
}

#[tokio::test]
async fn an_enclave_that_restarts_is_configured_again() {
    let stage = Stage::new(ours(), with_records(2));
    let enclave = stage.boot();
    stage.reach("ready").await;
    drop(enclave);
    stage.reach("connecting").await;
    stage.played.lock().expect("is whole").records.clear();
    let _enclave = stage.boot();
    stage.reach("ready").await;
    let played = stage.played.lock().expect("is whole");
    assert_eq!((played.configured, played.records.len()), (2, 1));
}

#[tokio::test]
async fn without_a_vault_it_waits_until_one_is_stored() {
    let stage = Stage::new(ours(), |_| {});
    let _enclave = stage.boot();
    stage.reach("no_vault").await;
    stage.store.create_vault(b"new").await.expect("is new");
    assert_eq!(stage.link.reconfigure().await, Ok(State::Ready));
    stage.reach("ready").await;
    let played = stage.played.lock().expect("is whole");
    assert_eq!(played.vault.as_deref(), Some(b"new".as_slice()));
}

#[tokio::test]
async fn a_vault_that_somebody_else_stored_is_noticed() {
    let stage = Stage::new(ours(), |_| {});
    let _enclave = stage.boot();
    stage.reach("no_vault").await;
    stage.store.create_vault(b"another parent's").await.expect("is new");
    stage.reach("ready").await;
    let played = stage.played.lock().expect("is whole");
    assert_eq!(played.vault.as_deref(), Some(b"another parent's".as_slice()));
}

#[tokio::test]
async fn a_failure_of_kms_is_tried_again() {
    let stage = Stage::new(Played { kms_failures: 1, ..ours() }, with_records(2));
    let _enclave = stage.boot();
    let failed = stage.reach("failed").await;
    assert!(failed.phase.explain().contains("relay"), "{failed:?}");
    stage.reach("ready").await;
}

async fn check_refused(played: Played, phase: &str, code: RefusalCode) {
    let stage = Stage::new(played, with_records(2));
    let _enclave = stage.boot();
    stage.reach(phase).await;
    let refusal = stage.link.call(Ask::own(Request::Status {}), REQUEST_DEADLINE).await;
    assert_eq!(refusal.expect_err("is refused").code, code);
    assert_eq!(stage.played.lock().expect("is whole").configured, 0);
}

#[tokio::test]
async fn another_manifest_or_release_is_given_nothing() {
    let other = Some(*ManifestHash::of(b"another").as_bytes());
    let conflict = Played { manifest_hash: other, ..ours() };
    check_refused(conflict, "manifest_conflict", RefusalCode::ManifestConflict).await;
    let older = Played { version: "0.0.0".to_owned(), ..Played::default() };
    check_refused(older, "version_mismatch", RefusalCode::VersionMismatch).await;
}

#[tokio::test]
async fn the_same_manifest_measured_already_is_no_conflict() {
    let same = Some(*ManifestHash::of(MANIFEST).as_bytes());
    let stage = Stage::new(Played { manifest_hash: same, ..ours() }, with_records(2));
    let _enclave = stage.boot();
    stage.reach("ready").await;
}

#[tokio::test]
async fn credentials_that_are_due_are_renewed() {
    let stage = Stage::new(ours(), with_records(2));
    let _enclave = stage.boot();
    stage.reach("ready").await;
    let (_link, mut life) = stage.supervisor().begin();
    let stream = life.given.enclave.connect(REQUEST_PORT).await.expect("connects");
    let connection = Connection::start(stream);
    let waiting = life.wait(&connection, Pause::Renew(Duration::ZERO));
    let ended = tokio::time::timeout(Duration::from_millis(500), waiting).await;
    assert!(ended.is_err(), "nothing else happened");
    assert_eq!(stage.played.lock().expect("is whole").renewed, 1);
}

#[tokio::test]
async fn connections_that_die_at_the_greeting_come_ever_more_slowly() {
    let stage = Stage::new(ours(), |_| {});
    let listener = UnixListener::bind(stage.dir.path().join("5000.sock")).expect("binds");
    let _ = listener.accept().await.expect("accepts");
    let first = std::time::Instant::now();
    for _ in 0..3 {
        let _ = listener.accept().await.expect("accepts");
    }
    // The pauses double from 0.1 s or later; without that they would be 0.3 s in all.
    assert!(first.elapsed() >= Duration::from_millis(650), "{:?}", first.elapsed());
}
