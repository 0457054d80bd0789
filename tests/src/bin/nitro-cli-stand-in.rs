//! A stand-in for AWS's nitro-cli: its command line, its JSON, its errors, and an enclave behind it
//! that is the enclave's library over the mock secure module, on Unix sockets.
//!
//! The folder in NITRO_CLI_STAND_IN is an appliance's (`nsm-root.pem`, `nsm-root.key`,
//! `kms-ca.pem`). It is not called nitro-cli, so that no PATH takes it for that. `nitro-cli/` in it holds what runs, what was called, and by name the faults that
//! a test asks for. Forms: aws-nitro-enclaves-cli, `src/common/json_output.rs`.

use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_shared::eif;
use nitro_signer_tests::enclave;
use nitro_signer_tests::nsm::{DevelopmentRoot, MockNsm, Options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

const SOCKETS: [&str; 2] = ["5000.sock", "5001.sock"];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = PathBuf::from(env::var_os("NITRO_CLI_STAND_IN").expect("names a folder"));
    match (Host { folder }).obey(&arguments) {
        Ok(printed) => {
            print!("{printed}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// An error as nitro-cli prints it.
fn coded(code: &str, said: &str) -> Box<dyn Error> {
    let page = format!("https://docs.aws.amazon.com/enclaves/latest/user/cli-errors.html#{code}");
    format!("[ {code} ] {said}\n\nFor more details, please visit {page}").into()
}

struct Host {
    folder: PathBuf,
}

impl Host {
    fn obey(&self, arguments: &[String]) -> Outcome<String> {
        let (verb, rest) = arguments.split_first().ok_or("a command is needed")?;
        if verb != "play" {
            self.note(arguments)?;
        }
        if self.fault(&format!("hang {verb}")) {
            sleep(Duration::from_secs(600));
        }
        if self.fault(&format!("long {verb}")) {
            return Ok(" ".repeat(1 << 20));
        }
        if self.fault(&format!("garbage {verb}")) {
            return Ok("{\"EnclaveID\": ".to_owned());
        }
        let once = self.path(&format!("fault fail once {verb}"));
        if self.fault(&format!("fail {verb}")) || fs::remove_file(once).is_ok() {
            return Err(coded("E39", "Enclave process connection failure."));
        }
        let options = options(rest)?;
        match verb.as_str() {
            "--version" => Ok("Nitro CLI 1.4.2\n".to_owned()),
            "run-enclave" => self.run(&options),
            "describe-enclaves" => Ok(format!("{:#}\n", Value::from(self.describe()?))),
            "terminate-enclave" => self.terminate(&options),
            "play" => self.play(&options),
            other => Err(format!("error: The subcommand '{other}' wasn't recognized").into()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join("nitro-cli").join(name)
    }

    fn fault(&self, name: &str) -> bool {
        self.path(&format!("fault {name}")).exists()
    }

    fn note(&self, arguments: &[String]) -> Outcome<()> {
        let mut calls =
            fs::OpenOptions::new().create(true).append(true).open(self.path("calls"))?;
        Ok(writeln!(calls, "{}", json!(arguments))?)
    }

    // ---- run-enclave -----------------------------------------------------------------------

    fn run(&self, options: &BTreeMap<String, String>) -> Outcome<String> {
        let need = |name: &str| options.get(name).cloned().ok_or(format!("{name} is required"));
        let (path, memory) = (need("--eif-path")?, need("--memory")?.parse::<u64>()?);
        let cpus: u64 = need("--cpu-count")?.parse()?;
        if self.fault("memory") {
            return Err(coded(
                "E26",
                "Insufficient memory requested. User provided `memory` is 64 MB, but based on the \
                 EIF file size, the minimum memory should be 128 MB",
            ));
        }
        let cid: u64 = match options.get("--enclave-cid") {
            Some(_) if self.fault("cid") => 17,
            Some(cid) => cid.parse()?,
            None => 18,
        };
        eprintln!("Start allocating memory...");
        let image = eif::measure(fs::File::open(&path)?)?;
        let debug = self.fault("debug");
        let id = format!("i-0123456789abcdef0-enc{}", random()?);
        for name in SOCKETS {
            let _ = fs::remove_file(self.folder.join(name));
        }
        let mut play = Command::new(env::current_exe()?);
        play.args(["play", "--eif-path", &path, "--debug", if debug { "1" } else { "0" }]);
        let log = fs::File::create(self.path("enclave.log"))?;
        play.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        if self.fault("holds") {
            play.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        }
        let pid = play.spawn()?.id();
        let name = need("--enclave-name")? + if self.fault("renamed") { "_1" } else { "" };
        let measured: Value = serde_json::from_str(&image.measurements().to_json())?;
        let described = json!({
            "EnclaveName": name, "EnclaveID": id, "ProcessID": pid, "EnclaveCID": cid,
            "NumberOfCPUs": cpus, "CPUIDs": (1..=cpus).collect::<Vec<_>>(), "MemoryMiB": memory,
            "State": "RUNNING", "Flags": if debug { "DEBUG_MODE" } else { "NONE" },
            "Measurements": measured["Measurements"],
        });
        fs::write(self.path(&format!("{id}.json")), described.to_string())?;
        if self.fault("slow") {
            sleep(Duration::from_secs(2));
        }
        // As the real one waits for the enclave's first sign of life.
        let alive = || SOCKETS.iter().all(|name| self.folder.join(name).exists());
        for _ in 0..500 {
            if alive() || self.fault("mute") {
                break;
            }
            sleep(Duration::from_millis(20));
        }
        eprintln!("Started enclave with enclave-cid: {cid}, memory: {memory} MiB, cpu-ids: [1, 2]");
        let mut printed = described;
        for absent in ["State", "Flags", "Measurements"] {
            printed.as_object_mut().ok_or("is an object")?.remove(absent);
        }
        Ok(format!("{printed:#}\n"))
    }

    // ---- describe-enclaves -----------------------------------------------------------------

    fn describe(&self) -> Outcome<Vec<Value>> {
        let mut listed = Vec::new();
        for entry in fs::read_dir(self.path(""))? {
            let path = entry?.path();
            if path.extension().is_none_or(|end| end != "json") {
                continue;
            }
            let mut enclave: Value = serde_json::from_slice(&fs::read(&path)?)?;
            if !self.fault("stuck") && !lives(&enclave["ProcessID"]) {
                fs::remove_file(path)?;
                continue;
            }
            if self.fault("pcrs") {
                enclave["Measurements"]["PCR1"] = json!("ab".repeat(48));
            }
            if self.fault("old") {
                enclave.as_object_mut().ok_or("is an object")?.remove("Measurements");
            }
            if self.fault("debug later") {
                enclave["Flags"] = json!("DEBUG_MODE");
            }
            listed.push(enclave);
        }
        Ok(listed)
    }

    // ---- terminate-enclave -----------------------------------------------------------------

    fn terminate(&self, options: &BTreeMap<String, String>) -> Outcome<String> {
        let is_meant = |enclave: &&Value| {
            let is = |option: &str, key: &str| {
                options.get(option).is_some_and(|value| enclave[key] == **value)
            };
            is("--enclave-id", "EnclaveID") || is("--enclave-name", "EnclaveName")
        };
        let listed = self.describe()?;
        let enclave = listed.iter().find(is_meant).ok_or_else(|| coded("E11", "Socket error."))?;
        if let Some(pid) = enclave["ProcessID"].as_u64() {
            Command::new("kill").args(["-9", &pid.to_string()]).status()?;
        }
        while lives(&enclave["ProcessID"]) {
            sleep(Duration::from_millis(5));
        }
        eprintln!("Successfully terminated enclave {}.", enclave["EnclaveID"]);
        let (name, id) = (&enclave["EnclaveName"], &enclave["EnclaveID"]);
        let told = json!({ "EnclaveName": name, "EnclaveID": id, "Terminated": true });
        Ok(format!("{told:#}\n"))
    }

    // ---- the enclave -----------------------------------------------------------------------

    #[tokio::main]
    async fn play(&self, options: &BTreeMap<String, String>) -> Outcome<String> {
        let gone = self.path("");
        std::thread::spawn(move || {
            while gone.exists() {
                sleep(Duration::from_secs(1));
            }
            std::process::exit(0);
        });
        if self.fault("mute") {
            sleep(Duration::from_secs(600));
        }
        nitro_signer_enclave::log::start();
        let file = |name: &str| self.folder.join(name);
        let root = DevelopmentRoot::load(&file("nsm-root.pem"), &file("nsm-root.key"))?;
        let image = eif::measure(fs::File::open(&options["--eif-path"])?)?;
        let pcrs = image.measurements().pcrs();
        let debug_mode = options["--debug"] == "1";
        let options = Options { debug_mode, ..Options::default() };
        let module = MockNsm::new(&root, [pcrs[&0], pcrs[&1], pcrs[&2]], options);
        let roots = TrustRoots::from_pem([fs::read_to_string(file("kms-ca.pem"))?.as_str()])?;
        enclave::run_on_sockets(&self.folder, module, roots).await?;
        Ok(String::new())
    }
}

/// Options of one value each, as all of those are that are used.
fn options(arguments: &[String]) -> Outcome<BTreeMap<String, String>> {
    const KNOWN: [&str; 7] = [
        "--eif-path",
        "--memory",
        "--cpu-count",
        "--enclave-cid",
        "--enclave-name",
        "--enclave-id",
        "--debug",
    ];
    let mut options = BTreeMap::new();
    for pair in arguments.chunks(2) {
        match pair {
            [name, value] if KNOWN.contains(&name.as_str()) => {
                options.insert(name.clone(), value.clone());
            }
            other => return Err(format!("error: Found argument {other:?}").into()),
        }
    }
    Ok(options)
}

/// Whether the process runs; one that nobody has waited for yet does not.
fn lives(pid: &Value) -> bool {
    let state = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    state.is_ok_and(|state| {
        state.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}

fn random() -> Outcome<String> {
    let mut bytes = [0; 7];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no random numbers")?;
    Ok(format!("1{}", alloy_primitives::hex::encode(bytes)))
}
