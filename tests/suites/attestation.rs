//! Does the command line come to the verdicts that the library comes to, and end with the code that
//! says so?
//!
//! Once over the genuine documents (see [`genuine`]) and once before an appliance: the parent that
//! ships, the enclave's library over the mock secure module, the development KMS.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "attestation/genuine.rs"]
mod genuine;

use nitro_signer_shared::manifest::Manifest;
use nitro_signer_tests::appliance::Appliance;
use nitro_signer_tests::nsm::{DevelopmentRoot, MockNsm, Options};
use nitro_signer_tests::world::World;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
const SOMEBODY: &str = "0x1111111111111111111111111111111111111111";

/// What `attestation verify --format json` came to.
struct Verdict {
    exit: i32,
    report: Value,
    stderr: String,
}

impl Verdict {
    /// The first failure's code; empty if verified.
    fn code(&self) -> &str {
        self.report["failures"][0]["code"].as_str().unwrap_or_default()
    }

    fn outcome(&self, id: &str) -> &str {
        let checks = self.report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["id"] == id).unwrap();
        check["outcome"].as_str().unwrap()
    }
}

/// Runs the command line in a folder, without a stack.
fn command(folder: &Path, arguments: &[&str]) -> (i32, Vec<u8>, String) {
    let mut command = Command::new(PROGRAM);
    command.arg("cli").args(arguments).current_dir(folder).env_remove("NITRO_SIGNER_STACK");
    let output = command.output().expect("the command line starts");
    let exit = output.status.code().expect("ends by itself");
    (exit, output.stdout, String::from_utf8_lossy(&output.stderr).into_owned())
}

fn verify(folder: &Path, arguments: &[&str]) -> Verdict {
    let arguments = [&["attestation", "verify", "--format", "json"], arguments].concat();
    let (exit, stdout, stderr) = command(folder, &arguments);
    let report = serde_json::from_slice(&stdout).unwrap_or_default();
    let verdict = Verdict { exit, report, stderr };
    // A program may read any of the three.
    if verdict.report != Value::Null {
        assert_eq!(verdict.report["verified"], json!(exit == 0), "{}", verdict.report);
        assert_eq!(verdict.report["exit_code"], json!(exit), "{}", verdict.report);
        assert_eq!(verdict.code().is_empty(), exit == 0, "{}", verdict.report);
    }
    verdict
}

/// An appliance with one key, and the arguments by which a verifier elsewhere judges it.
struct Case {
    world: World,
    appliance: Appliance,
    address: String,
}

const TRUST: [&str; 6] =
    ["--expect", "measurements.json", "--manifest", "manifest.cbor", "--root", "nsm-root.pem"];
const TLS: [&str; 6] = ["--ca", "ca.pem", "--cert", "client.pem", "--key", "client.key"];

impl Case {
    async fn start() -> Self {
        let world = World::start().await;
        let mut appliance = Appliance::new(&world);
        appliance.power_on(world.module(), world.roots());
        appliance.start("no_vault").await;
        let created = |output: std::process::Output| {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        let cli = async |arguments: &[&str]| {
            created(appliance.cli(PROGRAM, "stack.json", arguments, "").await)
        };
        cli(&["vault", "create"]).await;
        let key = cli(&["key", "create", "--label", "team=treasury"]).await;
        cli(&["key", "create"]).await;
        let address = key["address"].as_str().unwrap().to_owned();
        Self { world, appliance, address }
    }

    fn url(&self) -> String {
        let stack = std::fs::read(self.appliance.path("stack.json")).unwrap();
        let stack: Value = serde_json::from_slice(&stack).unwrap();
        stack["url"].as_str().unwrap().to_owned()
    }

    fn verify(&self, arguments: &[&[&str]]) -> Verdict {
        verify(self.appliance.dir(), &arguments.concat())
    }

    /// Fetches into a file, over a nonce.
    fn fetch(&self, file: &str, arguments: &[&str]) {
        let url = self.url();
        let fetch = ["attestation", "fetch", "-o", file, "--url", &url];
        let all = [&fetch[..], &TLS, arguments].concat();
        let (exit, _, stderr) = command(self.appliance.dir(), &all);
        assert_eq!(exit, 0, "{stderr}");
    }

    fn edit(&self, from: &str, to: &str, change: impl FnOnce(&mut Value)) {
        let path = |name| self.appliance.path(name);
        let mut json = serde_json::from_slice(&std::fs::read(path(from)).unwrap()).unwrap();
        change(&mut json);
        std::fs::write(path(to), json.to_string()).unwrap();
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.appliance.path(name), bytes).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_appliance_is_verified_from_its_url_alone() {
    let case = Case::start().await;
    let url = case.url();
    let url = url.as_str();
    let live = |more: &[&str]| case.verify(&[&[url], &TLS, &TRUST, more]);

    let held = live(&["--address", &case.address]);
    assert_eq!((held.exit, held.code()), (0, ""), "{}", held.report);
    for id in ["A4", "A5", "A8", "claims", "keys", "address"] {
        assert_eq!(held.outcome(id), "passed", "{id}");
    }
    assert_eq!(held.report["policy"], "verified");
    assert_eq!(held.report["trust_anchor"], "custom");
    assert_eq!(held.report["time_basis"], "now");
    assert_eq!(held.report["addresses"].as_array().unwrap().len(), 1);
    assert_eq!(held.report["addresses"][0]["labels"], json!({ "team": "treasury" }));
    assert_eq!(live(&[]).report["addresses"].as_array().unwrap().len(), 2);

    let other = live(&["--address", SOMEBODY]);
    assert_eq!((other.exit, other.code()), (1, "mismatch"), "the appliance lists it not");
    for (arguments, exit, code) in [
        (&["--nonce", "00112233445566778899aabbccddeeff"][..], 2, "usage"),
        (&["--at", "document"], 2, "usage"),
    ] {
        let verdict = live(arguments);
        assert_eq!((verdict.exit, verdict.code()), (exit, code), "{arguments:?}");
    }
    // Without a stack file, measurements or a client certificate nothing is asked.
    assert_eq!(case.verify(&[&[url], &TLS]).exit, 2);
    assert_eq!(case.verify(&[&[url], &TRUST]).exit, 2);
    let closed = case.verify(&[&["https://127.0.0.1:1"], &TLS, &TRUST]);
    assert_eq!((closed.exit, closed.code()), (7, "unreachable"));
    let plain = case.verify(&[&["http://127.0.0.1:1"], &TLS, &TRUST]);
    assert_eq!((plain.exit, plain.code()), (2, "usage"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_manifest_no_address_is_said_to_be_held() {
    let case = Case::start().await;
    case.fetch("all.json", &[]);
    let without = ["--expect", "measurements.json", "--root", "nsm-root.pem"];

    let silent = case.verify(&[&["all.json"], &without]);
    assert_eq!((silent.exit, silent.code()), (2, "usage"));
    let known = case.verify(&[&["all.json", "--without-manifest"], &without]);
    assert_eq!(known.exit, 0, "{}", known.report);
    assert_eq!(known.report["policy"], "not_verified");
    assert_eq!(known.report["addresses"], json!([]));
    assert_eq!(known.outcome("keys"), "skipped");
    let asked =
        case.verify(&[&["all.json", "--without-manifest", "--address", &case.address], &without]);
    assert_eq!((asked.exit, asked.code()), (2, "usage"));
    let (_, text, _) = command(
        case.appliance.dir(),
        &[&["attestation", "verify", "all.json", "--without-manifest"], &without[..]].concat(),
    );
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("policy: NOT VERIFIED") && !text.contains(&case.address), "{text}");

    // The document alone, without claims, still shows whose it is.
    case.edit("all.json", "bare.json", |json| {
        for key in ["claims", "claims_decoded", "keys"] {
            json.as_object_mut().unwrap().remove(key);
        }
    });
    assert_eq!(case.verify(&[&["bare.json"], &without]).exit, 2);
    let bare = case.verify(&[&["bare.json"], &TRUST]);
    assert_eq!((bare.exit, bare.outcome("claims")), (0, "skipped"));
    let asked = case.verify(&[&["bare.json", "--address", &case.address], &TRUST]);
    assert_eq!((asked.exit, asked.code()), (1, "address"), "a check that cannot run is no success");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_changes_beside_the_document_is_found() {
    let case = Case::start().await;
    case.fetch("all.json", &[]);
    case.fetch("one.json", &["--address", &case.address]);
    let check = |from: &str, change: &dyn Fn(&mut Value), exit: i32, code: &str| {
        case.edit(from, "changed.json", change);
        let verdict = case.verify(&[&["changed.json"], &TRUST]);
        assert_eq!((verdict.exit, verdict.code()), (exit, code), "{}", verdict.report);
    };
    check("all.json", &|_| (), 0, "");
    check("one.json", &|_| (), 0, "");
    check("all.json", &|json| json["claims"] = json!("oA=="), 1, "A5");
    check("all.json", &|json| json["keys"][0]["address"] = json!(SOMEBODY), 1, "keys");
    check("all.json", &|json| json["keys"][0]["labels"]["team"] = json!("mine"), 1, "keys");
    check("all.json", &|json| drop(json["keys"].as_array_mut().unwrap().pop()), 1, "keys");
    check("one.json", &|json| json["inclusions"][0]["address"] = json!(SOMEBODY), 1, "keys");
    check("one.json", &|json| json["inclusions"][0]["path"] = json!([]), 1, "keys");
    check("one.json", &|json| json["inclusions"][0]["origin"] = json!("imported"), 1, "keys");
    check("all.json", &|json| json["inclusions"] = json!([]), 3, "malformed");
    check("all.json", &|json| json["document"] = json!("*"), 3, "malformed");
    check("all.json", &|json| json["document"] = json!("AAAA"), 3, "E4");
    // What the parent decodes for people is not looked at.
    check("all.json", &|json| json["claims_decoded"] = json!({ "keys": 0 }), 0, "");

    let address = &case.address;
    let held = |file: &str, address: &str| case.verify(&[&[file, "--address", address], &TRUST]);
    assert_eq!(held("one.json", address).exit, 0);
    assert_eq!(held("all.json", address).exit, 0);
    assert_eq!(held("one.json", SOMEBODY).code(), "address");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_exit_code_says_what_failed() {
    let case = Case::start().await;
    case.fetch("all.json", &["--nonce", &"ab".repeat(32)]);
    let check = |arguments: &[&str], exit: i32, code: &str| {
        let verdict = case.verify(&[&["all.json"], arguments]);
        assert_eq!((verdict.exit, verdict.code()), (exit, code), "{}", verdict.report);
        verdict
    };
    let with = |more: &[&'static str]| [&TRUST[..], more].concat();
    let of_another = |manifest: &str| {
        ["--expect", "measurements.json", "--manifest", manifest, "--root", "nsm-root.pem"]
            .map(str::to_owned)
    };

    // 0
    let nonce = "ab".repeat(32);
    check(&[&TRUST[..], &["--nonce", &nonce]].concat(), 0, "");
    check(&with(&["--at", "document"]), 0, "");
    // 1
    let twice = check(
        &with(&["--nonce", "00112233445566778899aabbccddeeff", "--instance-id", "i-0"]),
        1,
        "A3",
    );
    assert_eq!((twice.outcome("A4"), twice.outcome("claims")), ("failed", "skipped"));
    check(&with(&["--role-arn", "arn:aws:iam::123456789012:role/other"]), 1, "A3");
    check(&with(&["--instance-id", "i-0123456789abcdef0"]), 0, "");
    let mut other: Manifest = case.world.manifest.clone();
    other.version += 1;
    case.write("other.cbor", &other.to_bytes().unwrap());
    check(&of_another("other.cbor").each_ref().map(String::as_str), 1, "A8");
    let image = [[7; 48], [8; 48], [9; 48]].map(hex::encode);
    let measurements = json!({ "Measurements": {
        "HashAlgorithm": "Sha384 { ... }", "PCR0": image[0], "PCR1": image[1], "PCR2": image[2],
    } });
    case.write("other.json", measurements.to_string().as_bytes());
    let expect_other =
        ["--expect", "other.json", "--manifest", "manifest.cbor", "--root", "nsm-root.pem"];
    let unknown = check(&expect_other, 1, "A2");
    assert_eq!(unknown.report["matched"], Value::Null);
    assert_ne!(unknown.report["document"]["pcrs"]["0"], Value::Null, "it is authentic");
    check(&[&expect_other[..], &["--expect", "measurements.json"]].concat(), 0, "");
    // 2
    check(&["--expect", "measurements.json"], 2, "usage");
    check(&["--manifest", "manifest.cbor"], 2, "usage");
    check(&with(&["--signing-certificate", "manifest.cbor"]), 2, "usage");
    check(&with(&["--user-data", "00"]), 2, "usage");
    check(&with(&["--public-key", "00"]), 2, "usage");
    let unknown_option = case.verify(&[&["all.json", "--colour"], &TRUST]);
    assert_eq!((unknown_option.exit, unknown_option.report), (2, Value::Null));
    assert!(unknown_option.stderr.contains("--colour"));
    check(&with(&["--pcr", "16=00"]), 2, "");
    // 3
    case.write("short", b"\x84\x44");
    let short = case.verify(&[&["short"], &TRUST]);
    assert_eq!((short.exit, short.code()), (3, "E2"));
    // 4
    let root = DevelopmentRoot::generate();
    case.write("another-root.pem", root.pem().as_bytes());
    let foreign = ["--expect", "measurements.json", "--manifest", "manifest.cbor", "--root"];
    check(&[&foreign[..], &["another-root.pem"]].concat(), 4, "C1");
    check(&foreign[..4], 4, "C1");
    // 5
    check(&with(&["--at", "2020-01-01T00:00:00Z"]), 5, "C7");
    let old =
        check(&with(&["--max-age", "1ms", "--nonce", "00112233445566778899aabbccddeeff"]), 5, "T2");
    assert_eq!(old.outcome("A4"), "failed", "everything else is judged too");
    // 6
    let options = Options { debug_mode: true, ..Options::default() };
    let debug = MockNsm::new(&root, [[1; 48], [2; 48], [3; 48]], options);
    case.write("debug", &debug.document(None, None, None));
    let debug = |more: &[&str]| {
        case.verify(&[&["debug", "--root", "another-root.pem", "--expect", "other.json"], more])
    };
    assert_eq!((debug(&[]).exit, debug(&[]).code()), (6, "A1"));
    let allowed = debug(&["--allow-debug"]);
    assert_eq!((allowed.exit, &allowed.report["debug_mode"]), (0, &json!(true)));
    assert_eq!(allowed.outcome("A1"), "skipped");
}
