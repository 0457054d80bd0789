//! The local stack: everything a deployment has, on loopback and Unix sockets.
//!
//! What stands in for AWS (secure module, KMS) has keys of its own, made at every start; nothing
//! here is trusted by a release. The order of making is a real deployment's: the KMS key first,
//! closed; then the manifest that names it; then the key policy that names image and manifest.

mod enclosure;
mod kms;

pub use enclosure::{Change, EnclaveMachine, Enclosure, MEMORY_MIB, Workshop, cache};
pub use kms::{KmsFile, run_kms};

use crate::deployment::{self, ACCOUNT, ADMINISTRATOR_ROLE, APPLIANCE_ROLE, ClientKey, REGION};
use crate::enclave;
use crate::kms::{DevelopmentKms, Identity, Options as KmsOptions};
use crate::nsm::{DevelopmentRoot, MockNsm, Options as NsmOptions};
use crate::process::Part;
use crate::vm::Machine;
use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_shared::attestation::MeasurementSet;
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::manifest::{KeyArn, Manifest, ManifestHash};
use nitro_signer_shared::message::{RELAY_PORT, REQUEST_PORT};
use nitro_signer_shared::secret::SecretString;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Marks a folder as a stack's, so that the next one may empty it.
const MARKER: &str = ".nitro-signer-local-stack";
const MARKER_TEXT: &[u8] =
    b"A local stack of nitro-signer keeps its files here and empties the folder.\n";

/// `stack.json`: all that a client, a judge or the command line needs. Paths are absolute.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct StackFile {
    pub url: String,
    pub ops_url: String,
    pub ca: PathBuf,
    pub client_cert: PathBuf,
    pub client_key: PathBuf,
    pub addresses: Vec<String>,
    pub kms_url: String,
    pub kms_key_arn: String,
    pub kms_ca: PathBuf,
    pub aws_access_key_id: String,
    pub aws_secret_access_key: String,
    pub nsm_root: PathBuf,
    pub measurements: PathBuf,
    pub manifest: PathBuf,
    pub client_proof_key: PathBuf,
}

/// A running stack; dropping it ends its processes.
pub struct Stack {
    /// What `stack.json` says.
    pub file: StackFile,
    /// The stack's folder.
    pub dir: PathBuf,
    /// The program that plays the parts.
    pub program: PathBuf,
    /// The manifest's hash.
    pub manifest_hash: ManifestHash,
    /// The development KMS, in this process.
    pub kms: DevelopmentKms,
    /// The parent, ended before the enclave.
    parent: Option<Part>,
    enclave: Enclave,
}

/// The enclave, wherever it runs.
enum Enclave {
    Process(Option<Part>),
    Machine(Box<EnclaveMachine>),
}

/// A change to be made once.
pub type Edit<'a, T> = Box<dyn FnOnce(&mut T) + 'a>;

/// What somebody does otherwise than the stack does by itself.
pub struct Plan<'a> {
    /// Where the enclave runs.
    pub enclosure: Enclosure,
    /// Changes the manifest before it is put to use.
    pub manifest: Edit<'a, Manifest>,
    /// Changes the manifest's bytes once the key policy names them: what the parent gets.
    pub given: Edit<'a, Vec<u8>>,
    /// What the relay joins to in place of the development KMS.
    pub relay: Option<SocketAddr>,
    /// Whether a machine's image brings the manifest.
    pub built_in: bool,
    /// Whether to go on with the vault, keys and KMS that an earlier stack left in the folder.
    pub keep: bool,
    /// The key policy to put in place of the stack's own: its text.
    pub key_policy: Option<String>,
}

impl Plan<'_> {
    /// The stack as it is, with the enclave here.
    #[must_use]
    pub fn new(enclosure: Enclosure) -> Self {
        let (manifest, given) = (Box::new(|_: &mut _| {}), Box::new(|_: &mut _| {}));
        Self {
            enclosure,
            manifest,
            given,
            relay: None,
            built_in: false,
            keep: false,
            key_policy: None,
        }
    }
}

impl Stack {
    /// Makes everything anew in `dir` and starts it; `program` is this package's `dev`.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn start(dir: &Path, program: &Path) -> Outcome<Self> {
        Self::start_as(dir, program, Plan::new(Enclosure::Process)).await
    }

    /// The same with a manifest that somebody changed before it was put to use.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn start_with(
        dir: &Path,
        program: &Path,
        change: impl FnOnce(&mut Manifest),
    ) -> Outcome<Self> {
        let plan = Plan { manifest: Box::new(change), ..Plan::new(Enclosure::Process) };
        Self::start_as(dir, program, plan).await
    }

    /// The same by another plan.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn start_as(dir: &Path, program: &Path, plan: Plan<'_>) -> Outcome<Self> {
        let dir = if plan.keep { kept_folder(dir)? } else { fresh_folder(dir)? };
        let root = kms::attestation_root(&dir)?;

        let (administrator, appliance) = (AccessKey::new("ADMIN"), AccessKey::new("APPLIANCE"));
        let identities = vec![
            administrator.identity(ADMINISTRATOR_ROLE, true),
            appliance.identity(APPLIANCE_ROLE, false),
        ];
        let mut options = KmsOptions::new(REGION, ACCOUNT, identities, root.anchor());
        options.state = Some(dir.join("kms-state.json"));
        options.trail = Some(dir.join("kms-trail.jsonl"));
        let kms = DevelopmentKms::start(options).await?;
        fs::write(dir.join("kms-ca.pem"), kms.ca_pem())?;

        let operator = operator(&dir)?;
        let (manifest, mut bytes) = match fs::read(dir.join("manifest.cbor")) {
            Ok(kept) => (Manifest::parse(&kept)?, kept),
            Err(_) => {
                let arn: KeyArn = kms.create_key(&deployment::closed_key_policy())?.parse()?;
                let mut manifest = deployment::manifest(&arn, &operator);
                (plan.manifest)(&mut manifest);
                let bytes = manifest.to_bytes()?;
                (manifest, bytes)
            }
        };
        let arn = manifest.wrapping_key().clone();
        let manifest_hash = ManifestHash::of(&bytes);
        let built_in = plan.built_in.then_some(bytes.as_slice());

        let (enclave, pcrs) = match &plan.enclosure {
            Enclosure::Process => (Enclave::Process(None), measurements(program)?),
            Enclosure::Machine(workshop) => {
                let (machine, image) =
                    EnclaveMachine::new(workshop, &root, &dir, kms.ca_pem(), built_in)?;
                (Enclave::Machine(Box::new(machine)), image.pcrs())
            }
        };
        fs::write(dir.join("measurements.json"), measurements_json(&pcrs)?)?;

        let policy = plan
            .key_policy
            .unwrap_or_else(|| deployment::key_policy(&pcrs[0], &manifest, &manifest_hash));
        fs::write(dir.join("key-policy.json"), &policy)?;
        kms.put_key_policy(arn.as_str(), &policy)?;
        (plan.given)(&mut bytes);
        fs::write(dir.join("manifest.cbor"), &bytes)?;

        write_secret(&dir.join("credentials.toml"), &appliance.credentials_file())?;
        certificates(&dir, deployment::CERTIFICATE_NAME)?;
        let [https, ops] = [free_address()?, free_address()?];
        let relay = plan.relay.unwrap_or_else(|| kms.addr());
        let config = parent_config(&dir, https, ops, relay);
        fs::write(dir.join("parent.toml"), config)?;

        let path = |name: &str| dir.join(name);
        let file = StackFile {
            url: format!("https://{https}"),
            ops_url: format!("http://{ops}"),
            ca: path("ca.pem"),
            client_cert: path("client.pem"),
            client_key: path("client.key"),
            addresses: vec![],
            kms_url: kms.url(),
            kms_key_arn: arn.to_string(),
            kms_ca: path("kms-ca.pem"),
            aws_access_key_id: administrator.id,
            aws_secret_access_key: administrator.secret,
            nsm_root: path("nsm-root.pem"),
            measurements: path("measurements.json"),
            manifest: path("manifest.cbor"),
            client_proof_key: path("operator.key"),
        };
        let program = program.to_owned();
        let mut stack = Self { file, dir, program, manifest_hash, kms, parent: None, enclave };
        stack.power_on().await?;
        stack.start_parent().await?;
        let ops = stack.ops()?;
        // Another key policy may shut a kept vault, which no waiting mends.
        let shut = |answer: &str| {
            answer.contains("KMS refused under its key policy") || answer.contains("custody")
        };
        let settled = || {
            probe(ops).is_ok_and(|answer| {
                let answers = answer.contains("no_vault") || answer.starts_with("HTTP/1.1 200");
                answers || shut(&answer)
            })
        };
        stack.wait("the enclave to measure its manifest", settled).await?;
        let state = stack.readiness()?;
        if shut(&state) {
            return Err(format!("the vault does not open: {state}").into());
        }
        Ok(stack)
    }

    /// Writes such a file into the stack's folder, at once and whole. `stack.json` itself is
    /// written last of all: whoever waits for it finds the stack complete.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, file: &StackFile, name: &str) -> Outcome<PathBuf> {
        let (part, whole) = (self.dir.join(format!("{name}.part")), self.dir.join(name));
        write_secret(&part, &serde_json::to_string_pretty(file)?)?;
        fs::rename(part, &whole)?;
        Ok(whole)
    }

    /// The process id of the part of this name, `enclave` or `parent`, while it runs.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<u32> {
        match (name, &self.enclave) {
            ("parent", _) => self.parent.as_ref().map(Part::id),
            ("enclave", Enclave::Process(part)) => part.as_ref().map(Part::id),
            ("enclave", Enclave::Machine(machine)) => machine.machine().map(Machine::id),
            _ => None,
        }
    }

    /// The enclave's machine, if it runs in one and is on.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        match &self.enclave {
            Enclave::Process(_) => None,
            Enclave::Machine(machine) => machine.machine(),
        }
    }

    /// Starts the enclave, from nothing; the time until it was up, for a machine until it reported
    /// its start.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn power_on(&mut self) -> Outcome<Duration> {
        self.power_off();
        let from = Instant::now();
        match &mut self.enclave {
            Enclave::Machine(machine) => return tokio::task::block_in_place(|| machine.power_on()),
            Enclave::Process(part) => {
                let dir = self.dir.to_string_lossy();
                let log = self.dir.join("enclave.log");
                *part =
                    Some(Part::start("enclave", &self.program, &["enclave", "--dir", &dir], &log)?);
            }
        }
        let socket = self.dir.join("5000.sock");
        self.wait("the enclave to listen", || socket.exists()).await?;
        Ok(from.elapsed())
    }

    /// Ends the enclave as a power cut does.
    pub fn power_off(&mut self) {
        match &mut self.enclave {
            Enclave::Machine(machine) => machine.power_off(),
            Enclave::Process(part) => {
                *part = None;
                for port in [REQUEST_PORT, RELAY_PORT] {
                    // There is none before the first start.
                    let _ = fs::remove_file(self.dir.join(format!("{port}.sock")));
                }
            }
        }
    }

    /// Starts the parent; returns once it accepts connections.
    ///
    /// # Errors
    /// If it does not.
    pub async fn start_parent(&mut self) -> Outcome<()> {
        self.stop_parent();
        let config = self.dir.join("parent.toml");
        let (config, log) = (config.to_string_lossy(), self.dir.join("parent.log"));
        self.parent =
            Some(Part::start("parent", &self.program, &["parent", "--config", &config], &log)?);
        let https: SocketAddr = self.file.url.trim_start_matches("https://").parse()?;
        self.wait("the parent to serve", || TcpStream::connect(https).is_ok()).await
    }

    /// Ends the parent at once, without a word to it.
    pub fn stop_parent(&mut self) {
        self.parent = None;
    }

    /// What the parent's readiness probe answers: the head and the body.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn readiness(&self) -> Outcome<String> {
        Ok(probe(self.ops()?)?)
    }

    fn ops(&self) -> Outcome<SocketAddr> {
        Ok(self.file.ops_url.trim_start_matches("http://").parse()?)
    }

    /// Waits for up to a minute, and no longer than every part lives that was started.
    ///
    /// # Errors
    /// If it takes longer, or a part ends.
    pub async fn wait(&mut self, what: &str, done: impl Fn() -> bool) -> Outcome<()> {
        for _ in 0..3_000 {
            if done() {
                return Ok(());
            }
            let enclave = match &mut self.enclave {
                Enclave::Process(part) => part.as_mut(),
                Enclave::Machine(machine) if machine.machine().is_some_and(|m| !m.runs()) => {
                    return Err("the enclave's machine ended".into());
                }
                Enclave::Machine(_) => None,
            };
            for part in self.parent.as_mut().into_iter().chain(enclave) {
                if let Some(status) = part.ended()? {
                    let log = self.dir.join(format!("{}.log", part.name()));
                    let (name, log) = (part.name(), log.display());
                    return Err(format!("the {name} ended ({status}); see {log}").into());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("waited a minute for {what}; see the logs in {}", self.dir.display()).into())
    }
}

/// The enclave's process of a stack in this folder.
///
/// # Errors
/// If it does not start.
#[tokio::main]
pub async fn run_enclave(dir: &Path) -> Outcome<()> {
    nitro_signer_enclave::log::start();
    let root = DevelopmentRoot::load(&dir.join("nsm-root.pem"), &dir.join("nsm-root.key"))?;
    let pcrs = measurements(&std::env::current_exe()?)?;
    let module = MockNsm::new(&root, pcrs, NsmOptions::default());
    let kms_ca = fs::read_to_string(dir.join("kms-ca.pem"))?;
    let roots = TrustRoots::from_pem([kms_ca.as_str()])?;
    enclave::run_on_sockets(dir, module, roots).await
}

/// PCR0, 1 and 2 of the development enclave: of the program that plays it.
fn measurements(program: &Path) -> Outcome<[[u8; 48]; 3]> {
    let image = fs::read(program)?;
    Ok([&b"image"[..], b"kernel", b"application"]
        .map(|part| deployment::measurement(&[part, &image])))
}

pub(crate) fn measurements_json(pcrs: &[[u8; 48]; 3]) -> Outcome<String> {
    Ok(MeasurementSet::new(pcrs[0], pcrs[1], pcrs[2])?.to_json())
}

/// The folder of an earlier stack without what only held while that one ran; or a fresh one.
fn kept_folder(dir: &Path) -> Outcome<PathBuf> {
    if !fs::read(dir.join(MARKER)).is_ok_and(|found| found == MARKER_TEXT) {
        return fresh_folder(dir);
    }
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_socket = path.extension().is_some_and(|end| end == "sock");
        if is_socket || path.ends_with("stack.json") {
            fs::remove_file(path)?;
        }
    }
    Ok(fs::canonicalize(dir)?)
}

/// The operator's key: the one in the folder, or a new one.
fn operator(dir: &Path) -> Outcome<ClientKey> {
    let path = dir.join("operator.key");
    if let Ok(kept) = fs::read_to_string(&path) {
        return ClientKey::from_hex(kept.trim()).ok_or_else(|| "operator.key is no key".into());
    }
    let key = ClientKey::generate();
    write_secret(&path, &key.to_hex())?;
    Ok(key)
}

fn fresh_folder(dir: &Path) -> Outcome<PathBuf> {
    // Only a folder that a stack made is emptied.
    if fs::read(dir.join(MARKER)).is_ok_and(|found| found == MARKER_TEXT) {
        fs::remove_dir_all(dir)?;
    }
    fs::create_dir_all(dir.join("store"))?;
    fs::write(dir.join(MARKER), MARKER_TEXT)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    Ok(fs::canonicalize(dir)?)
}

pub(crate) fn write_secret(path: &Path, text: &str) -> Outcome<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// An access key of the development account, made for this stack.
struct AccessKey {
    id: String,
    secret: String,
}

impl AccessKey {
    fn new(name: &str) -> Self {
        let mut secret = [0; 20];
        aws_lc_rs::rand::fill(&mut secret).expect("the machine has randomness");
        Self { id: format!("AKIADEVELOPMENT{name}"), secret: hex::encode(secret) }
    }

    fn identity(&self, role: &str, iam_allows_all: bool) -> Identity {
        Identity {
            access_key_id: self.id.clone(),
            secret_access_key: SecretString::new(self.secret.clone()),
            session_token: None,
            principal: Principal::parse(role).expect("is a principal"),
            iam_allows_all,
        }
    }

    fn credentials_file(&self) -> String {
        let Self { id, secret } = self;
        format!("access_key_id = \"{id}\"\nsecret_access_key = \"{secret}\"\n")
    }
}

/// What the parent's readiness probe answers.
fn probe(ops: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(ops)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: ops\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(65_536).read_to_string(&mut answer)?;
    Ok(answer)
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

pub(crate) fn parent_config(
    dir: &Path,
    https: SocketAddr,
    ops: SocketAddr,
    kms: SocketAddr,
) -> String {
    let store = dir.join("store");
    let store = store.display();
    format!(
        r#"listen = "{https}"
ops_listen = "{ops}"
enclave = "unix:."
manifest = "manifest.cbor"
store = "file://{store}"

[tls]
certificate = "server.pem"
key = "server.key"
client_ca = "ca.pem"

[credentials]
source = "file"
path = "credentials.toml"

[relay]
connect = "{kms}"
"#
    )
}

/// A CA and the certificates of the server, of a client of this name, and of a client whom no
/// manifest knows, each for this stack only.
pub(crate) fn certificates(dir: &Path, client: &str) -> Outcome<()> {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    };
    let named = |name: &str, hosts: &[&str]| -> Outcome<CertificateParams> {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(params)
    };
    let ca_key = KeyPair::generate()?;
    let mut ca = named("nitro-signer development CA", &[])?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key)?.pem())?;
    let issuer = Issuer::new(ca, ca_key);
    for (name, common_name, hosts, purpose) in [
        (
            "server",
            "nitro-signer",
            &["localhost", "127.0.0.1"][..],
            ExtendedKeyUsagePurpose::ServerAuth,
        ),
        ("client", client, &[][..], ExtendedKeyUsagePurpose::ClientAuth),
        ("stranger", "stranger", &[][..], ExtendedKeyUsagePurpose::ClientAuth),
    ] {
        let key = KeyPair::generate()?;
        let mut params = named(common_name, hosts)?;
        params.extended_key_usages = vec![purpose];
        fs::write(dir.join(format!("{name}.pem")), params.signed_by(&key, &issuer)?.pem())?;
        write_secret(&dir.join(format!("{name}.key")), &key.serialize_pem())?;
    }
    Ok(())
}
