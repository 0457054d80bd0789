//! A server in this process, certificates for it, and an enclave that is played behind it.

use alloy_primitives::{Address, B256, FixedBytes};
use aws_lc_rs::digest::{SHA256, digest};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nitro_signer_parent::config::Config;
use nitro_signer_parent::serve::{Running, start};
use nitro_signer_shared::frame;
use nitro_signer_shared::manifest::{Custody, FORMAT, Manifest, Switches};
use nitro_signer_shared::message::{
    Attestation, CreatedKey, KeyInfo, Origin, RecordsLoaded, Request, RequestFrame, Response,
    ResponseFrame, SignedHash, SignedTransaction, State, Status,
};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;

/// What the enclave was asked.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) request: &'static str,
    pub(crate) asserted: Option<String>,
    pub(crate) proofs: usize,
    pub(crate) with_vault: bool,
    /// A signing request's key and what it is to sign, or null.
    pub(crate) what: Value,
}

#[derive(Default)]
struct Enclave {
    asked: Vec<Asked>,
    vault: bool,
    pause: Duration,
    /// How many batches of records are refused before one is accepted.
    busy_loads: u32,
    /// Whether a second page has another key.
    two_pages: bool,
}

pub(crate) struct Stage {
    dir: tempfile::TempDir,
    authority: Authority,
    enclave: Arc<Mutex<Enclave>>,
    running: Option<Running>,
    address: std::net::SocketAddr,
    ops_address: std::net::SocketAddr,
    _enclave: JoinSet<()>,
}

/// A certificate with its key, as the client offers it.
#[derive(Clone)]
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

#[derive(Clone, Copy)]
pub(crate) enum Tls {
    V12,
    V13,
}

struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    fn identity(&self, name: &str) -> Identity {
        let (certificate, key) = self.issue(name);
        Identity { certificate: certificate.der().clone(), key: key.serialize_der() }
    }
}

impl Stage {
    /// A server whose store is empty.
    pub(crate) async fn new() -> Self {
        Self::set(|_| {}).await
    }

    /// A server that is ready.
    pub(crate) async fn ready() -> Self {
        let stage = Self::set(|store| {
            std::fs::create_dir_all(store).unwrap();
            std::fs::write(store.join("vault"), b"a vault").unwrap();
        });
        let stage = stage.await;
        stage.reach("ready").await;
        stage
    }

    async fn set(fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fill(&dir.path().join("store"));
        let authority = Authority::new();
        write_files(dir.path(), &authority);
        let enclave = Arc::new(Mutex::new(Enclave::default()));
        let tasks = play(dir.path(), &enclave);
        let config = Config::load(&dir.path().join("config.toml")).unwrap();
        let running = start(config).await.unwrap();
        let (address, ops_address) = (running.address, running.ops_address);
        let stage = Self {
            dir,
            authority,
            enclave,
            running: Some(running),
            address,
            ops_address,
            _enclave: tasks,
        };
        stage.write_stack();
        stage
    }

    fn write_stack(&self) {
        let path = |name: &str| self.dir.path().join(name);
        let stack = json!({
            "url": format!("https://127.0.0.1:{}", self.address.port()),
            "ca": path("ca.pem"), "client_cert": path("client.pem"),
            "client_key": path("client.key"), "another": "program's",
        });
        std::fs::write(path("stack.json"), stack.to_string()).unwrap();
    }

    pub(crate) async fn reach(&self, phase: &str) {
        for _ in 0..200 {
            if self.get("/v1/status").await.1["phase"] == phase {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{phase} is not reached: {}", self.get("/v1/status").await.1);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.enclave.lock().unwrap().asked.clone()
    }

    /// Makes the enclave take this long for everything.
    pub(crate) fn slow(&self, pause: Duration) {
        self.enclave.lock().unwrap().pause = pause;
    }

    /// Makes the enclave too busy for this many batches of records.
    pub(crate) fn refuse_loads(&self, count: u32) {
        self.enclave.lock().unwrap().busy_loads = count;
    }

    /// Gives the enclave a second key, on a page of its own.
    pub(crate) fn two_pages(&self) {
        self.enclave.lock().unwrap().two_pages = true;
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send("GET", path, String::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, body.to_string()).await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: String) -> (u16, Value) {
        let stream = self.connect(Some(self.own_identity()), Tls::V13).await.unwrap();
        let (status, body) = ask(stream, method, path, body).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    /// An answer's status, content type and text.
    pub(crate) async fn text(&self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let stream = self.connect(Some(self.own_identity()), Tls::V13).await.unwrap();
        let answer = ask_whole(stream, method, path, body.to_owned()).await.unwrap();
        let header = |name| {
            answer.headers().get(name).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let (status, kind) = (answer.status().as_u16(), header("content-type"));
        (status, kind, String::from_utf8(answer.into_body().to_vec()).unwrap())
    }

    /// The methods that the answer names as allowed.
    pub(crate) async fn allowed(&self, method: &str, path: &str) -> (u16, String) {
        let stream = self.connect(Some(self.own_identity()), Tls::V13).await.unwrap();
        let answer = ask_whole(stream, method, path, String::new()).await.unwrap();
        let allow = answer.headers().get("allow").map(|v| v.to_str().unwrap().to_owned());
        (answer.status().as_u16(), allow.unwrap_or_default())
    }

    /// The last signing request: its name and what reached the enclave, and how many proofs.
    pub(crate) fn signed(&self) -> (&'static str, Value, usize) {
        let asked = self.asked();
        let last = asked.iter().rev().find(|a| !a.what.is_null()).expect("something was signed");
        (last.request, last.what.clone(), last.proofs)
    }

    pub(crate) fn ask_later(&self, path: &'static str) -> JoinHandle<(u16, Bytes)> {
        let connector = self.connector(Some(self.own_identity()), Tls::V13);
        let address = self.address;
        tokio::spawn(async move {
            let stream = connect(&connector, address).await.unwrap();
            ask(stream, "GET", path, String::new()).await.unwrap()
        })
    }

    /// Whether somebody with this certificate gets any answer.
    pub(crate) async fn ask_as(&self, who: Option<Identity>, tls: Tls) -> Result<(), String> {
        let stream = self.connect(who, tls).await.map_err(|e| e.to_string())?;
        ask(stream, "GET", "/v1/status", String::new()).await.map(|_| ())
    }

    pub(crate) fn own_identity(&self) -> Identity {
        self.authority.identity("bot.example")
    }

    pub(crate) fn stranger(&self) -> Identity {
        Authority::new().identity("bot.example")
    }

    pub(crate) async fn ops(&self, path: &str) -> (u16, String) {
        let stream = TcpStream::connect(self.ops_address).await.unwrap();
        let (status, body) = ask(stream, "GET", path, String::new()).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// A command's exit code.
    pub(crate) async fn command<S: AsRef<str>>(&self, arguments: &[S]) -> u8 {
        let stack = self.dir.path().join("stack.json");
        let mut all = vec!["nitro-signer".into(), "--stack".into(), stack.into_os_string()];
        all.extend(arguments.iter().map(|a| a.as_ref().into()));
        let code = tokio::task::spawn_blocking(|| nitro_signer_parent::run(all)).await.unwrap();
        (0..=255)
            .find(|n| format!("{:?}", std::process::ExitCode::from(*n)) == format!("{code:?}"))
            .unwrap()
    }

    /// The arguments with everything that an answer is judged by.
    pub(crate) fn with_trust(&self, arguments: &[&str]) -> Vec<String> {
        let path = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let pcr = "11".repeat(48);
        let measurements = json!({"Measurements": {"HashAlgorithm": "Sha384 { ... }",
            "PCR0": pcr, "PCR1": pcr, "PCR2": pcr}});
        std::fs::write(path("measurements.json"), measurements.to_string()).unwrap();
        std::fs::write(path("proof.key"), "46".repeat(32)).unwrap();
        let mut all: Vec<String> = arguments.iter().map(|a| (*a).to_owned()).collect();
        for (option, file) in [
            ("--expect", "measurements.json"),
            ("--manifest", "manifest.cbor"),
            ("--client-key", "proof.key"),
        ] {
            all.extend([option.to_owned(), path(file)]);
        }
        all
    }

    async fn connect(
        &self,
        who: Option<Identity>,
        tls: Tls,
    ) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        connect(&self.connector(who, tls), self.address).await
    }

    fn connector(&self, who: Option<Identity>, tls: Tls) -> TlsConnector {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let version = match tls {
            Tls::V12 => &rustls::version::TLS12,
            Tls::V13 => &rustls::version::TLS13,
        };
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.0.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let config = match who {
            None => config.with_no_client_auth(),
            Some(Identity { certificate, key }) => config
                .with_client_auth_cert(vec![certificate], PrivateKeyDer::try_from(key).unwrap())
                .unwrap(),
        };
        TlsConnector::from(Arc::new(config))
    }
}

/// A problem document's code.
pub(crate) fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_default()
}

async fn connect(
    connector: &TlsConnector,
    address: std::net::SocketAddr,
) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    connector.connect(name, stream).await
}

async fn ask<S>(stream: S, method: &str, path: &str, body: String) -> Result<(u16, Bytes), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let answer = ask_whole(stream, method, path, body).await?;
    Ok((answer.status().as_u16(), answer.into_body()))
}

async fn ask_whole<S>(
    stream: S,
    method: &str,
    path: &str,
    body: String,
) -> Result<http::Response<Bytes>, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let connecting = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = connecting.map_err(|e| e.to_string())?;
    tokio::spawn(connection);
    let request = http::Request::builder().method(method).uri(path).header("host", "localhost");
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    Ok(http::Response::from_parts(head, body))
}

fn write_files(dir: &Path, authority: &Authority) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    let (server, server_key) = authority.issue("127.0.0.1");
    let (client, client_key) = authority.issue("bot.example");
    write("ca.pem", authority.0.pem().as_bytes());
    write("server.pem", server.pem().as_bytes());
    write("server.key", server_key.serialize_pem().as_bytes());
    write("client.pem", client.pem().as_bytes());
    write("client.key", client_key.serialize_pem().as_bytes());
    write("credentials.toml", b"access_key_id = 'a'\nsecret_access_key = 'b'");
    write("manifest.cbor", &manifest());
    let store = dir.join("store");
    let config = format!(
        r#"
listen = "127.0.0.1:0"
ops_listen = "127.0.0.1:0"
enclave = "unix:."
manifest = "manifest.cbor"
store = "file://{}"
log = "error"
[tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"
[credentials]
source = "file"
path = "credentials.toml"
"#,
        store.display()
    );
    write("config.toml", config.as_bytes());
}

fn manifest() -> Vec<u8> {
    let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let manifest = Manifest {
        format: FORMAT,
        version: 1,
        deployment: "test".parse().unwrap(),
        vault: "main".parse().unwrap(),
        wrapping_keys: vec![arn.parse().unwrap()],
        clients: Vec::new(),
        asserted: Vec::new(),
        addresses: Vec::new(),
        policy: String::new(),
        abis: Vec::new(),
        typed_data: Vec::new(),
        switches: Switches::default(),
        siblings: Vec::new(),
        custody: Custody::default(),
    };
    manifest.to_bytes().unwrap()
}

fn play(dir: &Path, enclave: &Arc<Mutex<Enclave>>) -> JoinSet<()> {
    let requests = UnixListener::bind(dir.join("5000.sock")).unwrap();
    let relay = UnixListener::bind(dir.join("5001.sock")).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut held = Vec::new();
        loop {
            held.push(relay.accept().await.unwrap());
        }
    });
    let enclave = Arc::clone(enclave);
    tasks.spawn(async move {
        loop {
            let (stream, _) = requests.accept().await.unwrap();
            converse(stream, &enclave).await;
        }
    });
    tasks
}

async fn converse(mut stream: UnixStream, enclave: &Mutex<Enclave>) {
    while let Ok(body) = frame::read(&mut stream).await {
        let asked: RequestFrame = frame::decode(&body).unwrap();
        let id = asked.id;
        let (result, pause) = {
            let mut enclave = enclave.lock().unwrap();
            (enclave.answer(asked), enclave.pause)
        };
        tokio::time::sleep(pause).await;
        let request_hash = B256::from_slice(digest(&SHA256, &body).as_ref());
        let body = frame::encode(&ResponseFrame { id, request_hash, result }).unwrap();
        if frame::write(&mut stream, &body).await.is_err() {
            return;
        }
    }
}

impl Enclave {
    fn answer(&mut self, asked: RequestFrame) -> Result<Response, Refusal> {
        let with_vault = matches!(&asked.request, Request::Configure { vault: Some(_), .. });
        self.asked.push(Asked {
            request: asked.request.name(),
            asserted: asked.asserted,
            proofs: asked.proofs.len(),
            with_vault,
            what: what(&asked.request),
        });
        let address = Address::repeat_byte(0x11);
        match asked.request {
            Request::Status {} => Ok(Response::Status(Status {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                state: if self.vault { State::Ready } else { State::Measured },
                boot_id: FixedBytes::ZERO,
                manifest_hash: None,
                keys: 1,
            })),
            Request::Configure { .. } => {
                self.vault |= with_vault;
                let state = if self.vault { State::Ready } else { State::Measured };
                Ok(Response::Configured { state })
            }
            Request::UpdateCredentials { .. } => Ok(Response::CredentialsUpdated {}),
            Request::LoadRecords { .. } if self.busy_loads > 0 => {
                self.busy_loads -= 1;
                Err(RefusalCode::Busy.into())
            }
            Request::LoadRecords { records } => {
                let accepted = u32::try_from(records.len()).unwrap();
                Ok(Response::RecordsLoaded(RecordsLoaded { accepted, refused: Vec::new() }))
            }
            Request::CreateVault {} => {
                Ok(Response::VaultCreated { vault: ByteBuf::from(b"a vault") })
            }
            Request::CreateKey { .. } => Ok(Response::KeyCreated(CreatedKey {
                address,
                record_id: FixedBytes::repeat_byte(7),
                record: ByteBuf::from(format!("record {}", self.asked.len())),
                document: ByteBuf::from(b"a document"),
                claims: ByteBuf::from(b"claims"),
            })),
            Request::ListKeys { after } => {
                let another = Address::repeat_byte(0x99);
                let held = [Some(address), self.two_pages.then_some(another)];
                let next = held.into_iter().flatten().find(|held| after < Some(*held));
                let keys = next.map(|address| KeyInfo {
                    public_key: [address[0].wrapping_mul(2); 64].into(),
                    address,
                    origin: Origin::Generated,
                    created: 1,
                    creator: "ops".to_owned(),
                    labels: Default::default(),
                });
                let more = self.two_pages && next == Some(address);
                Ok(Response::Keys { keys: keys.into_iter().collect(), more })
            }
            Request::Attest { .. } => Ok(Response::Attestation(Attestation {
                document: ByteBuf::from(b"a document"),
                claims: ByteBuf::from(b"claims"),
            })),
            Request::SignTransaction { key, payload } => Self::held(key).map(|()| {
                Response::Signed(SignedTransaction {
                    signing_hash: B256::repeat_byte(3),
                    transaction_hash: B256::repeat_byte(6),
                    raw: payload,
                    r: B256::repeat_byte(4),
                    s: B256::repeat_byte(5),
                    y_parity: true,
                })
            }),
            Request::SignMessage { key, .. }
            | Request::SignTypedData { key, .. }
            | Request::SignAuthorization { key, .. }
            | Request::SignDigest { key, .. } => Self::held(key).map(|()| {
                Response::SignedHash(SignedHash {
                    signing_hash: B256::repeat_byte(3),
                    r: B256::repeat_byte(4),
                    s: B256::repeat_byte(5),
                    y_parity: true,
                })
            }),
        }
    }

    /// One key is held; another one is known and may sign nothing.
    fn held(key: Address) -> Result<(), Refusal> {
        match key.as_slice().first() {
            Some(0x11) => Ok(()),
            Some(0x99) => Err(RefusalCode::PolicyDenied.into()),
            _ => Err(RefusalCode::UnknownKey.into()),
        }
    }
}

fn what(request: &Request) -> Value {
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    match request {
        Request::SignTransaction { key, payload } => json!([key, hex(payload)]),
        Request::SignMessage { key, message } => json!([key, hex(message)]),
        Request::SignTypedData { key, typed_data } => {
            json!([key, String::from_utf8(typed_data.to_vec()).unwrap()])
        }
        Request::SignAuthorization { key, chain_id, address, nonce } => {
            json!([key, chain_id, address, nonce])
        }
        Request::SignDigest { key, digest } => json!([key, digest]),
        _ => Value::Null,
    }
}
