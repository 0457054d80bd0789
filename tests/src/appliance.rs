//! An appliance inside a test: the parent that ships, in this process, on a loopback port, before
//! whatever enclave the test puts behind its sockets.
//!
//! The folder is laid out as the local stack's, so the command line runs against it as well.

#![allow(missing_docs, clippy::missing_panics_doc, clippy::panic)]

use crate::client::Client;
use crate::deployment::CERTIFICATE_NAME;
use crate::enclave::{self, UnixDoor};
use crate::stack::{certificates, measurements_json, parent_config, write_secret};
use crate::world::World;
use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_enclave::server::Listener;
use nitro_signer_parent::config::Config;
use nitro_signer_parent::serve::{Running, start};
use nitro_signer_shared::frame;
use nitro_signer_shared::message::{
    CreatedKey, Request, RequestFrame, Response, ResponseFrame, State, Status,
};
use nitro_signer_shared::refusal::Refusal;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::runtime::{Builder, Runtime};

const SOCKETS: [&str; 2] = ["5000.sock", "5001.sock"];

/// An appliance's folder, its parent if it runs, and its enclave if it runs.
pub struct Appliance {
    folder: TempDir,
    address: Option<SocketAddr>,
    _parent: Option<Running>,
    /// A runtime of its own, so that all of it ends at once.
    enclave: Option<Runtime>,
}

/// What a played enclave does with a request; `None` is silence.
pub type Script = Arc<dyn Fn(&Request) -> Option<Result<Response, Refusal>> + Send + Sync>;

impl Appliance {
    /// The folder alone: nothing runs yet.
    #[must_use]
    pub fn new(world: &World) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(dir.join(name), bytes).expect("writes");
        };
        std::fs::create_dir(dir.join("store")).expect("is made");
        certificates(dir, CERTIFICATE_NAME).expect("are issued");
        world.root.save(&dir.join("nsm-root.pem"), &dir.join("nsm-root.key")).expect("is written");
        write_secret(&dir.join("operator.key"), &world.operator_key()).expect("is written");
        write("manifest.cbor", &world.manifest_bytes);
        write("credentials.toml", world.credentials_file().as_bytes());
        write(
            "measurements.json",
            measurements_json(&world.measurements).expect("is set").as_bytes(),
        );
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let config = parent_config(dir, any, any, world.kms.addr());
        write("parent.toml", format!("log = \"error\"\n{config}").as_bytes());
        Self { folder, address: None, _parent: None, enclave: None }
    }

    /// Puts an enclave of the library behind the sockets.
    pub fn power_on(&mut self, module: impl SecureModule, roots: TrustRoots) {
        let dir = self.dir().to_owned();
        self.run(async move {
            enclave::run_on_sockets(&dir, module, roots).await.expect("runs");
        });
    }

    /// Puts an enclave behind the sockets that is ready and answers by a script.
    pub fn play(&mut self, script: Script) {
        self.serve(move |body| {
            let asked: RequestFrame = frame::decode(body).expect("is a request");
            let result = ready(&asked.request).or_else(|| script(&asked.request))?;
            let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
            let request_hash = alloy_primitives::B256::from_slice(hash.as_ref());
            let answer = ResponseFrame { id: asked.id, request_hash, result };
            let body = frame::encode(&answer).expect("encodes");
            let length = u32::try_from(body.len()).expect("is short");
            Some([&b"NS\x00\x01"[..], &length.to_be_bytes(), &body].concat())
        });
    }

    /// Puts a peer behind the sockets that answers each body of a request with these bytes.
    pub fn serve(&mut self, answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) {
        let [requests, lines] = SOCKETS.map(|name| self.path(name));
        self.run(async move {
            let bind = |path: &Path| UnixDoor::bind(path).expect("is bound");
            let (requests, lines) = (bind(&requests), bind(&lines));
            // The lines for KMS stay unused, as long as the enclave lives.
            let _lines = lines;
            while let Ok(mut stream) = requests.accept().await {
                while let Ok(body) = frame::read(&mut stream).await {
                    if let Some(bytes) = answer(&body) {
                        let _ = stream.write_all(&bytes).await;
                    }
                }
            }
        });
    }

    fn run(&mut self, enclave: impl Future<Output = ()> + Send + 'static) {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("has threads");
        runtime.spawn(enclave);
        self.enclave = Some(runtime);
    }

    /// Ends the enclave as a stop of the instance would.
    pub fn power_off(&mut self) {
        self.enclave.take().expect("runs").shutdown_background();
        for name in SOCKETS {
            std::fs::remove_file(self.path(name)).expect("was bound");
        }
    }

    /// Starts the parent, and waits until its status names this phase.
    pub async fn start(&mut self, phase: &str) {
        let config = Config::load(&self.dir().join("parent.toml")).expect("is a configuration");
        let running = start(config).await.expect("starts");
        self.address = Some(running.address);
        self._parent = Some(running);
        self.write_stack("stack.json", "client", "operator.key");
        self.write_stack("strange.json", "stranger", "operator.key");
        self.reach(phase).await;
    }

    /// Puts these into the store, as a parent before has left them.
    pub fn store(&self, vault: &[u8], records: &[CreatedKey]) {
        let store = self.path("store");
        std::fs::create_dir_all(store.join("records")).expect("is made");
        std::fs::write(store.join("vault"), vault).expect("writes");
        for key in records {
            let path = store.join("records").join(hex::encode(key.record_id));
            std::fs::write(path, &key.record).expect("writes");
        }
    }

    /// Says where the parent serves that somebody else started with this folder's files.
    pub fn serves_at(&mut self, address: SocketAddr) {
        self.address = Some(address);
        self.write_stack("stack.json", "client", "operator.key");
    }

    /// Waits for the phase.
    pub async fn reach(&self, phase: &str) {
        let client = self.client();
        // Ten thousand keys take their time in a virtual machine.
        for _ in 0..4_800 {
            if client.get("/v1/status").await.json()["phase"] == phase {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{phase} is not reached: {}", client.get("/v1/status").await.json());
    }

    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The client that the manifest knows.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_named("client")
    }

    /// A client of our CA whom no manifest knows.
    #[must_use]
    pub fn stranger(&self) -> Client {
        self.client_named("stranger")
    }

    fn client_named(&self, name: &str) -> Client {
        let [certificate, key] = ["pem", "key"].map(|end| self.path(&format!("{name}.{end}")));
        Client::new(self.address.expect("runs"), &self.path("ca.pem"), &certificate, &key)
    }

    /// Writes a stack file of this name, for a client and a proof key.
    pub fn write_stack(&self, name: &str, client: &str, proof_key: &str) {
        let stack = json!({
            "url": format!("https://{}", self.address.expect("runs")),
            "ca": self.path("ca.pem"),
            "client_cert": self.path(&format!("{client}.pem")),
            "client_key": self.path(&format!("{client}.key")),
            "client_proof_key": self.path(proof_key),
            "manifest": self.path("manifest.cbor"),
            "measurements": self.path("measurements.json"),
            "nsm_root": self.path("nsm-root.pem"),
        });
        std::fs::write(self.path(name), stack.to_string()).expect("writes");
    }

    /// Runs the command line that ships, as a program of its own.
    pub async fn cli(&self, program: &str, stack: &str, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(program);
        command.args(["cli", "--json", "--stack"]).arg(self.path(stack)).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let input = input.to_owned();
        let run = move || {
            use std::io::Write;
            let mut child = command.spawn().expect("the command line starts");
            // A command that reads no input may be gone already.
            let _ = child.stdin.take().expect("is piped").write_all(input.as_bytes());
            child.wait_with_output().expect("ends")
        };
        tokio::task::spawn_blocking(run).await.expect("ends")
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        if let Some(enclave) = self.enclave.take() {
            enclave.shutdown_background();
        }
    }
}

/// How a played enclave answers what the parent asks for itself.
fn ready(request: &Request) -> Option<Result<Response, Refusal>> {
    match request {
        Request::Status {} => Some(Ok(Response::Status(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            state: State::Ready,
            boot_id: Default::default(),
            manifest_hash: None,
            keys: 1,
        }))),
        Request::Configure { .. } => Some(Ok(Response::Configured { state: State::Ready })),
        _ => None,
    }
}
