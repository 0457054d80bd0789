//! Is a wrong deployment found before money depends on it, and does nothing that was started to
//! find out outlive the finding?
//!
//! The command line that ships, before a stand-in for nitro-cli whose enclaves are the enclave's
//! library, and before the development KMS.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "deployment/doctor.rs"]
mod doctor;
#[path = "deployment/enclave.rs"]
mod enclave;

use nitro_signer_shared::eif::{self, Architecture, Metadata, Parts};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_tests::appliance::Appliance;
use nitro_signer_tests::deployment;
use nitro_signer_tests::world::World;
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
const NITRO_CLI: &str = env!("CARGO_BIN_EXE_nitro-cli-stand-in");

/// A host with everything a deployment has, and nothing running.
struct Host {
    world: World,
    appliance: Appliance,
}

/// What a command came to.
struct Ended {
    exit: i32,
    json: Value,
    text: String,
}

impl Ended {
    fn of(output: &Output) -> Self {
        let exit = output.status.code().expect("ends by itself");
        let [out, err] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let text = format!("{out}{err}");
        assert!(!out.to_lowercase().contains("verified") || out.contains("attested"), "{out}");
        // A command that stays prints once when it begins and once when it ends.
        let last = serde_json::Deserializer::from_str(&out).into_iter::<Value>().last();
        Self { exit, json: last.and_then(Result::ok).unwrap_or_default(), text }
    }

    /// The failure's code.
    fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }

    fn check(&self, id: &str) -> &Value {
        let checks = self.json["checks"].as_array();
        let found = checks.and_then(|checks| checks.iter().find(|check| check["id"] == id));
        found.unwrap_or_else(|| panic!("no check {id}: {}", self.text))
    }

    fn outcome(&self, id: &str) -> &str {
        self.check(id)["outcome"].as_str().unwrap()
    }

    /// The names of the checks that came to this.
    fn those(&self, outcome: &str) -> Vec<&str> {
        let checks = self.json["checks"].as_array().unwrap_or_else(|| panic!("{}", self.text));
        let those = checks.iter().filter(|check| check["outcome"] == outcome);
        those.map(|check| check["id"].as_str().unwrap()).collect()
    }
}

impl Host {
    async fn new() -> Self {
        Self::with_manifest(|_| {}).await
    }

    /// A host whose manifest somebody changed.
    async fn with_manifest(change: impl FnOnce(&mut Manifest)) -> Self {
        let mut world = World::start_with(change).await;
        let image = image(b"application");
        let measured = eif::measure(image.as_slice()).unwrap();
        let pcrs = measured.measurements().pcrs();
        world.measurements = [pcrs[&0], pcrs[&1], pcrs[&2]];
        let appliance = Appliance::new(&world);
        let host = Self { world, appliance };
        host.write("enclave.eif", &image);
        host.write("kms-ca.pem", host.world.kms.ca_pem().as_bytes());
        host.write("allocator.yaml", b"---\nmemory_mib: 256\ncpu_count: 2\n");
        fs::create_dir(host.path("nitro-cli")).unwrap();
        // Two ports that nothing answers on.
        let [a, b] = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [a, b] = [a, b].map(|listener| listener.local_addr().unwrap().to_string());
        let config = fs::read_to_string(host.path("parent.toml")).unwrap();
        let config = config.replacen("127.0.0.1:0", &a, 1).replacen("127.0.0.1:0", &b, 1);
        host.write("parent.toml", config.as_bytes());
        host.set_policy(|policy| policy);
        host
    }

    /// The key policy of this deployment, or what somebody made of it.
    fn set_policy(&self, change: impl FnOnce(Value) -> Value) {
        let World { manifest, manifest_bytes, measurements, kms, .. } = &self.world;
        let hash = ManifestHash::of(manifest_bytes);
        let policy = deployment::key_policy(&measurements[0], manifest, &hash);
        let policy = change(serde_json::from_str(&policy).unwrap());
        kms.put_key_policy(manifest.wrapping_key().as_str(), &policy.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.appliance.path(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    fn fault(&self, name: &str) {
        self.write(&format!("nitro-cli/fault {name}"), b"");
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(NITRO_CLI, arguments)
    }

    /// The same with another program for nitro-cli.
    fn command_by(&self, nitro_cli: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["cli", "--json"]).args(arguments).current_dir(self.appliance.dir());
        command.args(["--nitro-cli", nitro_cli]).env("NITRO_CLI_STAND_IN", self.appliance.dir());
        command.env_remove("NITRO_SIGNER_STACK");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    async fn cli(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let running = tokio::task::spawn_blocking(move || command.output().unwrap());
        Ended::of(&running.await.unwrap())
    }

    /// Starts a command, waits until this is so, sends a signal, and waits for the command's end.
    async fn interrupt(
        &self,
        arguments: &[&str],
        signal: &str,
        until: impl Fn(&Self) -> bool,
    ) -> Ended {
        let child = self.command(arguments).spawn().unwrap();
        self.wait(until).await;
        Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        let running = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        Ended::of(&running.await.unwrap())
    }

    async fn wait(&self, until: impl Fn(&Self) -> bool) {
        let from = Instant::now();
        while !until(self) {
            assert!(from.elapsed() < Duration::from_secs(20), "{:?}", self.calls());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Every call of nitro-cli, with its arguments.
    fn calls(&self) -> Vec<Vec<String>> {
        let calls = fs::read_to_string(self.path("nitro-cli/calls")).unwrap_or_default();
        calls.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn called(&self, verb: &str) -> usize {
        self.calls().iter().filter(|call| call[0] == verb).count()
    }

    /// The enclaves that run, by what the stand-in wrote down and by their processes.
    fn running(&self) -> Vec<Value> {
        let entries = fs::read_dir(self.path("nitro-cli")).unwrap().map(|e| e.unwrap().path());
        let files = entries.filter(|path| path.extension().is_some_and(|end| end == "json"));
        let enclaves = files.map(|path| serde_json::from_slice(&fs::read(path).unwrap()).unwrap());
        enclaves.filter(|enclave: &Value| lives(&enclave["ProcessID"])).collect()
    }

    fn kill_enclaves(&self) {
        for enclave in self.running() {
            let pid = enclave["ProcessID"].to_string();
            Command::new("kill").args(["-9", &pid]).status().unwrap();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill_enclaves();
    }
}

fn lives(pid: &Value) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat"));
    state.is_ok_and(|state| !state.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// An image file with this application in it.
fn image(application: &[u8]) -> Vec<u8> {
    image_with(application, "signer")
}

fn image_with(application: &[u8], name: &str) -> Vec<u8> {
    let metadata = Metadata { image_name: name.to_owned(), ..Metadata::default() };
    let parts = Parts {
        architecture: Architecture::X86_64,
        kernel: b"kernel",
        cmdline: "reboot=k",
        ramdisks: &[b"init", application],
        metadata: &metadata,
        signature: None,
    };
    let mut file = Vec::new();
    eif::write(&parts, &mut file).unwrap();
    file
}
