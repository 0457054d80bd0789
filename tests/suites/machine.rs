//! Does the real image do what the process stack does, and what only a machine can: measure itself,
//! lose its power, boot without KMS?
//!
//! Each test boots virtual machines, so they run when asked for: `tests/run machine`.

#![allow(clippy::unwrap_used, clippy::panic)]

use nitro_signer_image::release::Comparison;
use nitro_signer_image::{kernel, release};
use nitro_signer_shared::manifest::Manifest;
use nitro_signer_tests::appliance::Appliance;
use nitro_signer_tests::client::Client;
use nitro_signer_tests::kms::Outcome;
use nitro_signer_tests::nsm::{MockNsm, Options};
use nitro_signer_tests::stack::{self, Change, EnclaveMachine, Enclosure, Plan, Stack, Workshop};
use nitro_signer_tests::vm::Eif;
use nitro_signer_tests::vm::pair::{self, Pair, ParentInstance};
use nitro_signer_tests::world::World;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
const CHAIN: &str = "0x7a69";
/// How soon the parent must be ready again once the enclave is back.
const READY_AGAIN: Duration = Duration::from_secs(10);
const CLIENTS: usize = 4;

fn workshop() -> &'static Workshop {
    static WORKSHOP: OnceLock<Workshop> = OnceLock::new();
    WORKSHOP.get_or_init(|| Workshop::open(Path::new(PROGRAM)).unwrap())
}

/// A stack with the development image, and how its clients see it.
struct Running {
    _dir: TempDir,
    stack: Stack,
    client: Client,
}

impl Running {
    async fn start(plan: Plan<'_>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let stack = Stack::start_as(dir.path(), Path::new(PROGRAM), plan).await.unwrap();
        let file = &stack.file;
        stack.save(file, "stack.json").unwrap();
        let address = file.url.trim_start_matches("https://").parse().unwrap();
        let client = Client::new(address, &file.ca, &file.client_cert, &file.client_key);
        Self { _dir: dir, stack, client }
    }

    async fn with_keys(plan: Plan<'_>, count: usize) -> (Self, Vec<String>) {
        let running = Self::start(plan).await;
        running.succeeds(&["vault", "create"]);
        let keys = (0..count)
            .map(|_| running.succeeds(&["key", "create"])["address"].as_str().unwrap().to_owned())
            .collect();
        (running, keys)
    }

    fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.args(["cli", "--json", "--stack"]).arg(self.stack.dir.join("stack.json"));
        command.args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> Value {
        let output = self.cli(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn held(&self) -> Vec<String> {
        let listed = self.succeeds(&["key", "list"]);
        let keys = listed["keys"].as_array().unwrap();
        let mut keys: Vec<_> =
            keys.iter().map(|key| key["address"].as_str().unwrap().to_lowercase()).collect();
        keys.sort();
        keys
    }

    /// Which boot of the enclave the parent is connected to.
    async fn boot_id(&self) -> String {
        let status = self.client.get("/v1/status").await.json();
        status["enclave"]["boot_id"].as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
    }

    fn is_ready(&self) -> bool {
        self.stack.readiness().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// Waits until the parent is ready; how long it took.
    async fn ready(&self, patience: Duration) -> Duration {
        let from = Instant::now();
        while !self.is_ready() {
            let state = self.stack.readiness().unwrap_or_default();
            assert!(from.elapsed() < patience, "not ready after {patience:?}: {state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        from.elapsed()
    }
}

// ---- what is measured ----------------------------------------------------------------------

/// The stack boots, its manifest is measured, and KMS must not make its vault.
async fn is_refused_by_kms(what: &str, plan: Plan<'_>) {
    let running = Running::start(plan).await;
    let output = running.cli(&["vault", "create"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("kms_denied"), "{what}: {said}");
    let denied = Outcome::Refused("AccessDeniedException");
    let events = running.stack.kms.events().into_iter();
    let denied = events.filter(|e| e.operation == "GenerateDataKey" && e.outcome == denied);
    assert_eq!(denied.count(), 1, "{what}");
    println!("{what}: refused by KMS");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn one_byte_of_the_program_the_command_line_or_the_manifest_closes_kms() {
    for (what, change) in [
        ("one byte of the program", Change::Program),
        ("one word on the command line", Change::Cmdline),
    ] {
        is_refused_by_kms(what, Plan::new(Enclosure::Machine(workshop().changed(change)))).await;
    }
    let plan = Plan {
        given: Box::new(|bytes| {
            let mut manifest = Manifest::parse(bytes).unwrap();
            manifest.version += 1;
            let changed = manifest.to_bytes().unwrap();
            let differing = bytes.iter().zip(&changed).filter(|(a, b)| a != b).count();
            assert_eq!((bytes.len(), differing), (changed.len(), 1));
            *bytes = changed;
        }),
        ..Plan::new(Enclosure::Machine(workshop().clone()))
    };
    is_refused_by_kms("one byte of the manifest", plan).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn an_image_that_brings_its_manifest_serves_under_it_and_under_no_other() {
    let plan = Plan { built_in: true, ..Plan::new(Enclosure::Machine(workshop().clone())) };
    let (mut running, keys) = Running::with_keys(plan, 1).await;
    assert_eq!(running.held(), [keys[0].to_lowercase()]);
    let given = running.stack.dir.join("manifest.cbor");
    let mut manifest = Manifest::parse(&std::fs::read(&given).unwrap()).unwrap();
    manifest.version += 1;
    std::fs::write(&given, manifest.to_bytes().unwrap()).unwrap();
    running.stack.stop_parent();
    running.stack.power_on().await.unwrap();
    running.stack.start_parent().await.unwrap();
    let from = Instant::now();
    while !running.stack.readiness().unwrap_or_default().contains("manifest_conflict") {
        let state = running.stack.readiness().unwrap_or_default();
        assert!(from.elapsed() < Duration::from_secs(60), "{state}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!running.is_ready());
    println!("one image with its own manifest: served under it, and under no other");
}

// ---- what survives -------------------------------------------------------------------------

/// Clients that ask for one signature after the other, each transaction with a nonce of its own, and
/// keep every answer.
struct Load {
    clients: Vec<JoinHandle<()>>,
    answers: Arc<Mutex<Answers>>,
    stop: Arc<AtomicBool>,
}

/// Every answer by its nonce.
type Answers = BTreeMap<u64, Vec<Answered>>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answered {
    /// The signed transaction.
    Signed(String),
    /// A refusal's code, or `none` where the connection ended.
    Refused(u16, String),
}

impl Load {
    fn start(client: &Client, from: &str) -> Self {
        let (answers, stop) =
            (Arc::new(Mutex::new(Answers::new())), Arc::new(AtomicBool::new(false)));
        let nonces = Arc::new(AtomicU64::new(0));
        let clients = (0..CLIENTS).map(|_| {
            let (client, from) = (client.clone(), from.to_owned());
            let (answers, stop, nonces) =
                (Arc::clone(&answers), Arc::clone(&stop), Arc::clone(&nonces));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let nonce = nonces.fetch_add(1, Ordering::Relaxed);
                    let answer = ask(&client, &from, nonce).await;
                    let down = matches!(answer, Answered::Refused(..));
                    answers.lock().unwrap().entry(nonce).or_default().push(answer);
                    if down {
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            })
        });
        Self { clients: clients.collect(), answers, stop }
    }

    /// Waits until so many more have been signed.
    async fn signs(&self, more: usize) {
        let signed = || {
            let answers = self.answers.lock().unwrap();
            answers.values().flatten().filter(|a| matches!(a, Answered::Signed(_))).count()
        };
        let (before, from) = (signed(), Instant::now());
        while signed() < before + more {
            assert!(from.elapsed() < Duration::from_secs(60), "the load stands still");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap();
        }
        Arc::into_inner(self.answers).unwrap().into_inner().unwrap()
    }
}

async fn ask(client: &Client, from: &str, nonce: u64) -> Answered {
    let transaction = json!({
        "from": from, "to": "0x1111111111111111111111111111111111111111", "type": "0x2",
        "chainId": CHAIN, "nonce": format!("{nonce:#x}"), "gas": "0x5208", "value": "0x1",
        "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1", "data": "0x",
    });
    let call = json!({
        "jsonrpc": "2.0", "id": nonce, "method": "eth_signTransaction", "params": [transaction],
    });
    match client.ask("POST", "/", call.to_string().as_bytes()).await {
        Err(_) => Answered::Refused(0, "none".to_owned()),
        Ok(answer) => {
            let body = answer.json();
            assert_eq!(body["id"], json!(nonce), "an answer to another call: {body}");
            match body["result"].as_str() {
                Some(raw) => Answered::Signed(raw.to_owned()),
                None => {
                    let code = body["error"]["data"]["code"].as_str().unwrap_or_default();
                    Answered::Refused(answer.status, code.to_owned())
                }
            }
        }
    }
}

/// Every call had one answer; what was signed is what is signed for it now (signatures are
/// deterministic, RFC 6979), so none was made over anything else.
async fn none_was_lost_or_wrong(running: &Running, from: &str, answers: &Answers) -> [usize; 2] {
    let (mut signed, mut refused) = (0, 0);
    for (nonce, of_nonce) in answers {
        let [answer] = of_nonce.as_slice() else {
            unreachable!("nonce {nonce} was answered {} times", of_nonce.len())
        };
        match answer {
            Answered::Signed(_) => {
                signed += 1;
                assert_eq!(ask(&running.client, from, *nonce).await, *answer, "nonce {nonce}");
            }
            Answered::Refused(status, code) => {
                refused += 1;
                let known = [
                    "link_down",
                    "not_ready",
                    "no_vault",
                    "deadline",
                    "busy",
                    "unknown_key",
                    "none",
                ];
                assert!(known.contains(&code.as_str()), "nonce {nonce}: {status} {code}");
            }
        }
    }
    [signed, refused]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn a_power_cut_under_load_loses_no_key_and_no_answer() {
    let (mut running, keys) =
        Running::with_keys(Plan::new(Enclosure::Machine(workshop().clone())), 3).await;
    let before = running.held();
    assert_eq!(before.len(), keys.len());
    let load = Load::start(&running.client, &keys[0]);
    load.signs(50).await;

    running.stack.power_off();
    let cut = Instant::now();
    while running.is_ready() {
        assert!(cut.elapsed() < READY_AGAIN, "the parent does not notice");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let noticed = cut.elapsed();
    assert!(running.stack.readiness().unwrap().starts_with("HTTP/1.1 503"));
    let refused = ask(&running.client, &keys[0], u64::from(u32::MAX)).await;
    // JSON-RPC has its errors in the body; REST has them in the status too.
    assert_eq!(refused, Answered::Refused(200, "link_down".to_owned()));
    assert_eq!(running.client.get("/v1/keys").await.status, 503);

    let booted = running.stack.power_on().await.unwrap();
    let ready = running.ready(READY_AGAIN).await;
    load.signs(50).await;
    let answers = load.stop().await;
    let [signed, refused] = none_was_lost_or_wrong(&running, &keys[0], &answers).await;
    assert_eq!(running.held(), before);
    assert!(refused > 0, "nobody asked while the power was off");
    println!(
        "power cut: noticed in {noticed:.1?}, booted in {booted:.1?}, ready {ready:.1?} later; \
         {signed} signed, {refused} refused, none lost or wrong"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn a_parent_that_is_killed_under_load_comes_back_to_the_same_enclave() {
    let (mut running, keys) =
        Running::with_keys(Plan::new(Enclosure::Machine(workshop().clone())), 3).await;
    let before = running.held();
    let boot = running.boot_id().await;
    let load = Load::start(&running.client, &keys[0]);
    load.signs(50).await;
    running.stack.stop_parent();
    let killed = Instant::now();
    running.stack.start_parent().await.unwrap();
    running.ready(READY_AGAIN).await;
    let ready = killed.elapsed();
    load.signs(50).await;
    let answers = load.stop().await;
    let [signed, refused] = none_was_lost_or_wrong(&running, &keys[0], &answers).await;
    assert_eq!(running.held(), before);
    assert_eq!(running.boot_id().await, boot, "the enclave booted again");
    println!(
        "parent killed: ready in {ready:.1?}; {signed} signed, {refused} refused, none lost or wrong"
    );
}

/// Keys made outside the machine by an enclave that claims its measurements, of the same vault.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn ten_thousand_keys_fit_half_of_the_memory_that_nitro_cli_is_told() {
    const KEYS: usize = 10_000;
    let memory_mib = stack::MEMORY_MIB / 2;
    let pcrs = |kms_ca: &str| workshop().image(kms_ca, Change::Nothing, None).unwrap().pcrs();
    let world = World::start_as(|_| {}, pcrs).await;
    let (enclave, vault) = world.ready().await;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        keys.push(world.create_key(&enclave).await);
    }
    drop(enclave);
    let mut appliance = Appliance::new(&world);
    appliance.store(&vault, &keys);

    let (mut machine, _) =
        EnclaveMachine::new(workshop(), &world.root, appliance.dir(), world.kms.ca_pem(), None)
            .unwrap();
    machine.set_memory(memory_mib);
    let booted = tokio::task::block_in_place(|| machine.power_on().unwrap());
    let from = Instant::now();
    appliance.start("ready").await;
    let loaded = from.elapsed();
    let status = appliance.client().get("/v1/status").await.json();
    assert_eq!(status["enclave"]["keys"], KEYS, "{status}");
    let last = keys.last().unwrap().address.to_string();
    assert!(matches!(ask(&appliance.client(), &last, 0).await, Answered::Signed(_)));
    println!(
        "memory: {KEYS} keys serve in a machine of {memory_mib} MiB; boot {booted:.1?}, vault opened \
         and all keys loaded {loaded:.1?} later"
    );
}

// ---- KMS away ------------------------------------------------------------------------------

/// A way to KMS that can be closed.
struct Gate {
    address: SocketAddr,
    open: Option<JoinHandle<()>>,
}

impl Gate {
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        Self { address: listener.local_addr().unwrap(), open: None }
    }

    /// Joins what comes to `kms`.
    async fn open(&mut self, kms: SocketAddr) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.open = Some(tokio::spawn(async move {
            let mut joined = tokio::task::JoinSet::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                joined.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(kms).await else { return };
                    let _ = copy_bidirectional(&mut stream, &mut far).await;
                });
            }
        }));
    }

    async fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            let _ = open.await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn without_kms_the_enclave_waits_and_says_so() {
    let mut gate = Gate::new().await;
    let enclosure = Enclosure::Machine(workshop().clone());
    let plan = Plan { relay: Some(gate.address), ..Plan::new(enclosure) };
    let mut running = Running::start(plan).await;
    gate.open(running.stack.kms.addr()).await;
    running.succeeds(&["vault", "create"]);
    let key = running.succeeds(&["key", "create"])["address"].as_str().unwrap().to_lowercase();

    gate.close().await;
    running.stack.power_off();
    running.stack.power_on().await.unwrap();
    let from = Instant::now();
    while !running.stack.readiness().unwrap().contains("KMS could not be reached") {
        assert!(from.elapsed() < Duration::from_secs(60), "{}", running.stack.readiness().unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Tried again and again, with pauses, by the same enclave.
    let boot = running.boot_id().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!running.is_ready());
    gate.open(running.stack.kms.addr()).await;
    let ready = running.ready(Duration::from_secs(60)).await;
    assert_eq!(running.boot_id().await, boot, "the enclave booted again");
    assert_eq!(running.held(), [key]);
    println!("KMS away at boot: said so, and ready {ready:.1?} after it came back");
}

// ---- the image that ships ------------------------------------------------------------------

/// What a machine takes from vsock lies in one receive buffer, and between two machines
/// vhost-device-vsock loses what is longer. An attestation document is, than 4 KiB.
const LONGER_BUFFERS: kernel::Edit = kernel::Edit {
    file: "include/linux/virtio_vsock.h",
    from: "SKB_WITH_OVERHEAD(1024 * 4)",
    to: "SKB_WITH_OVERHEAD(1024 * 32)",
};

/// A kernel with TCP/IP for the parent instance, which can take a whole document. The enclave's is
/// the one that ships.
fn parent_kernel() -> Vec<u8> {
    let options = include_str!("../vm/parent-kernel.config");
    let config = kernel::Config::enclave_and(options).edited(LONGER_BUFFERS);
    let kernel = kernel::kernel(&stack::cache().unwrap(), &config).unwrap();
    std::fs::read(kernel.image).unwrap()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The release's image in one machine, its parent in another, and vsock between them; the parent
/// sees the enclave by its CID, and the enclave the parent by CID 3, as on Nitro.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots virtual machines: tests/run machine"]
async fn the_release_attests_the_committed_measurements_and_takes_no_development_kms() {
    let folders = workshop().folders();
    let cache = stack::cache().unwrap();
    let release =
        release::build(folders, &cache, Path::new(PROGRAM), &release::Choices::default()).unwrap();
    let image = Eif::read(&release.assembled.eif).unwrap();
    let compared = release::compare(&release, &folders.workspace).unwrap();
    assert_ne!(compared, Comparison::Moved, "the committed measurements are another image's");

    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    let (https, ops) = (free_port(), free_port());
    let read = |name: &str| std::fs::read(appliance.path(name)).unwrap();
    let config = format!(
        "listen = \"0.0.0.0:{}\"\nops_listen = \"0.0.0.0:{}\"\nenclave = \"vsock:{}\"\n\
         manifest = \"manifest.cbor\"\nstore = \"file:///store\"\n\
         [tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"ca.pem\"\n\
         [credentials]\nsource = \"file\"\npath = \"credentials.toml\"\n\
         [relay]\nconnect = \"{}:{}\"\n",
        pair::HTTPS_PORT,
        pair::OPS_PORT,
        pair::ENCLAVE_CID,
        pair::HOST,
        world.kms.addr().port(),
    );
    let mut files = vec![("parent.toml", config.into_bytes())];
    let names = ["manifest.cbor", "server.pem", "server.key", "ca.pem", "credentials.toml"];
    files.extend(names.map(|name| (name, read(name))));
    let parent = ParentInstance {
        program: Path::new(PROGRAM),
        kernel: &parent_kernel(),
        files: &files,
        https,
        ops,
    };
    let module = Arc::new(MockNsm::new(&world.root, image.pcrs(), Options::default()));
    let dir = tempfile::tempdir().unwrap();
    let from = Instant::now();
    let machines = tokio::task::block_in_place(|| {
        Pair::boot(workshop().tools(), dir.path(), &parent, &image, stack::MEMORY_MIB, module)
            .unwrap()
    });
    appliance.serves_at(SocketAddr::from((Ipv4Addr::LOCALHOST, https)));
    let status = || async {
        let asked = appliance.client().ask("GET", "/v1/status", b"").await;
        asked.map(|answer| answer.json()).unwrap_or_default()
    };
    while status().await["phase"] != "no_vault" {
        let consoles = [&machines.parent, &machines.enclave].map(|machine| machine.console());
        assert!(from.elapsed() < Duration::from_secs(120), "{}\n{}", consoles[0], consoles[1]);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("release: both machines up after {:.1?}", from.elapsed());
    assert_eq!(status().await["enclave"]["state"], "measured", "{}", status().await);

    // Nobody but the release's own file says which image it is.
    let [root, manifest] = ["nsm-root.pem", "manifest.cbor"].map(|name| appliance.path(name));
    let url = format!("https://127.0.0.1:{https}");
    let committed = folders.workspace.join(release::COMMITTED);
    let committed = committed.to_str().unwrap();
    let [root, manifest] = [&root, &manifest].map(|path| path.to_str().unwrap());
    let judge = ["--expect", committed, "--manifest", manifest, "--root", root];
    let verify = [&["attestation", "verify", &url][..], &judge].concat();
    let verified = appliance.cli(PROGRAM, "stack.json", &verify, "").await;
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(verified.status.success(), "{said}{}", String::from_utf8_lossy(&verified.stderr));

    let made = appliance.cli(PROGRAM, "stack.json", &["vault", "create"], "").await;
    let said =
        String::from_utf8_lossy(&made.stderr).into_owned() + &String::from_utf8_lossy(&made.stdout);
    assert!(!made.status.success() && said.contains("kms_untrusted"), "{said}");
    assert_eq!(world.kms_calls("GenerateDataKey"), 0, "the development KMS was asked");
    println!("release: attests the committed measurements, and takes no development KMS");
}
