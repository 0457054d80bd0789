//! `doctor`: is what would let the host sign found before it can?

use super::{Ended, Host, image};
use nitro_signer_tests::kms::{Fault, Operation};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;

const DOCTOR: [&str; 11] = [
    "doctor",
    "--config",
    "parent.toml",
    "--eif",
    "enclave.eif",
    "--measurements",
    "measurements.json",
    "--allocator",
    "allocator.yaml",
    "--root",
    "nsm-root.pem",
];
const WITH_KEY: [&str; 2] = ["--client-key", "operator.key"];

fn with_key() -> Vec<&'static str> {
    [&DOCTOR[..], &WITH_KEY].concat()
}

/// What must hold after every run.
fn leaves_nothing(host: &Host, ended: &Ended) {
    assert!(host.running().is_empty(), "{}", ended.text);
    assert_eq!(ended.json["passed"], json!(ended.exit == 0), "{}", ended.text);
    assert_eq!(ended.json["checks"].as_array().map(Vec::len), Some(16), "{}", ended.text);
}

async fn store_a_vault(host: &Host) -> Vec<u8> {
    let enclave = host.world.enclave().await;
    let vault = host.world.create_vault(&enclave).await;
    host.write("store/vault", &vault);
    vault
}

fn stored(host: &Host) -> Vec<String> {
    let entries = fs::read_dir(host.path("store")).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// The key policy with no word of PCR16.
fn without_manifest(mut policy: Value) -> Value {
    let statements = policy["Statement"].as_array_mut().unwrap();
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != "OnlyPCR16");
    for statement in statements.iter_mut() {
        let registers = statement.pointer_mut("/Condition/StringEqualsIgnoreCase");
        if let Some(registers) = registers.and_then(Value::as_object_mut) {
            registers.remove("kms:RecipientAttestation:PCR16").unwrap();
        }
    }
    assert_eq!(statements.len(), before - 1);
    policy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_deployment_passes_before_and_after_its_vault_is_made() {
    let host = Host::new().await;
    let ended = host.cli(&with_key()).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("passed").len()), (0, 16), "{}", ended.text);
    assert_eq!(host.called("run-enclave"), 2);
    assert!(stored(&host).is_empty(), "the vault was thrown away");
    assert!(ended.check("kms_refuses")["found"].as_str().unwrap().contains("one byte"));
    let hash = nitro_signer_shared::manifest::ManifestHash::of(&host.world.manifest_bytes);
    let pcr16 = alloy_primitives::hex::encode(hash.pcr16());
    assert_eq!(ended.json["pcr16"], json!(pcr16));

    let vault = store_a_vault(&host).await;
    let ended = host.cli(&DOCTOR).await;
    leaves_nothing(&host, &ended);
    assert_eq!(ended.exit, 0, "{}", ended.text);
    let found = ended.check("kms_refuses")["found"].as_str().unwrap();
    assert!(found.contains("not asked to make one"), "{found}");
    assert_eq!(fs::read(host.path("store/vault")).unwrap(), vault);
    assert_eq!(stored(&host), ["vault"]);
}

/// The enclave looks at the key itself, and the doctor needs no second boot to find it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_the_enclaves_alone_is_not_admitted() {
    let host = Host::new().await;
    host.set_policy(without_manifest);
    let ended = host.cli(&with_key()).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["kms_admits"]), "{}", ended.text);
    assert!(ended.check("kms_admits")["found"].as_str().unwrap().contains("custody"));
    assert_eq!(ended.outcome("kms_refuses"), "skipped");
    assert!(stored(&host).is_empty(), "the vault that it made is nowhere");
}

/// A manifest that has vaults opened regardless is on its own, and then the second boot tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_policy_that_lets_other_manifests_in_is_called_that() {
    let host = Host::with_manifest(|manifest| manifest.custody.open_regardless = true).await;
    let vault = store_a_vault(&host).await;
    host.set_policy(without_manifest);
    let ended = host.cli(&DOCTOR).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["kms_refuses"]), "{}", ended.text);
    let found = ended.check("kms_refuses")["found"].as_str().unwrap();
    assert!(found.contains("LETS OTHER MANIFESTS IN, THE WORST"), "{found}");
    // Asked to make one too, it is the enclave that does not: KMS did.
    let ended = host.cli(&with_key()).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["kms_refuses"]), "{}", ended.text);
    let found = ended.check("kms_refuses")["found"].as_str().unwrap();
    assert!(found.contains("DID NOT DENY to make a vault"), "{found}");
    assert_eq!(fs::read(host.path("store/vault")).unwrap(), vault);
}

/// The key policy, in which PCR16 is demanded for everything but Decrypt.
fn without_manifest_for_decrypt(mut policy: Value) -> Value {
    let open = without_manifest(policy.clone());
    let mut open = open["Statement"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["Sid"] == "Measured0")
        .unwrap()
        .clone();
    open["Sid"] = json!("Open");
    open["Action"] = json!(["kms:Decrypt"]);
    let statements = policy["Statement"].as_array_mut().unwrap();
    let deny = statements.iter_mut().find(|s| s["Sid"] == "OnlyPCR16").unwrap();
    deny["Action"].as_array_mut().unwrap().retain(|action| action != "kms:Decrypt");
    statements.push(open);
    policy
}

/// No vault can be made under another manifest there, but every vault be opened.
#[tokio::test(flavor = "multi_thread")]
async fn vaults_that_could_be_opened_are_found_before_there_is_one() {
    let host = Host::new().await;
    host.set_policy(without_manifest_for_decrypt);
    let ended = host.cli(&with_key()).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["kms_admits"]), "{}", ended.text);
    assert!(ended.check("kms_admits")["found"].as_str().unwrap().contains("custody"));
    assert!(stored(&host).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_but_a_denial_of_another_manifest_is_a_failure() {
    let host = Host::new().await;
    store_a_vault(&host).await;
    // The first boot asks once; every attempt of the second finds KMS out of order.
    for skip in 1..12 {
        host.world.kms.inject(Operation::Decrypt, skip, Fault::InternalError);
    }
    let ended = host.cli(&DOCTOR).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["kms_refuses"]), "{}", ended.text);
    let found = ended.check("kms_refuses")["found"].as_str().unwrap();
    assert!(found.contains("DID NOT DENY") && found.contains("OTHER MANIFESTS"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_means_nothing_where_the_right_manifest_is_denied_too() {
    let host = Host::new().await;
    host.set_policy(|mut policy| {
        policy["Statement"].as_array_mut().unwrap().truncate(1);
        policy
    });
    let ended = host.cli(&with_key()).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["kms_admits"]), "{}", ended.text);
    assert_eq!(ended.outcome("kms_refuses"), "skipped");
    assert!(ended.check("kms_admits")["found"].as_str().unwrap().contains("kms_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_asked_is_no_success() {
    let host = Host::new().await;
    let ended = host.cli(&DOCTOR).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec![]), "{}", ended.text);
    assert_eq!(ended.those("skipped"), ["kms_admits", "kms_refuses"]);
    assert_eq!(host.called("run-enclave"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_enclave_is_started_on_a_host_that_is_not_ready() {
    let host = Host::new().await;
    let config = fs::read_to_string(host.path("parent.toml")).unwrap();
    let check = async |failed: &str, arguments: &[&str]| {
        let ended = host.cli(&[&DOCTOR[..], arguments].concat()).await;
        leaves_nothing(&host, &ended);
        let found = (ended.exit, ended.those("failed"), ended.outcome("boot"));
        assert_eq!(found, (1, vec![failed], "skipped"), "{failed}: {}", ended.text);
        assert!(ended.check(failed)["remedy"].as_str().is_some_and(|text| !text.is_empty()));
    };
    let with_file = async |name: &str, bytes: &[u8], failed: &str| {
        let before = fs::read(host.path(name)).unwrap();
        host.write(name, bytes);
        check(failed, &[]).await;
        host.write(name, &before);
    };
    let changed = |find: &str, put: &str| {
        assert!(config.contains(find), "{find}");
        config.replacen(find, put, 1).into_bytes()
    };
    with_file("parent.toml", b"listen = 1", "config").await;
    with_file("manifest.cbor", b"no manifest", "manifest").await;
    with_file("enclave.eif", &image(b"another"), "image").await;
    with_file("enclave.eif", b"no image", "image").await;
    with_file("allocator.yaml", b"---\nmemory_mib: 128\ncpu_count: 2\n", "allocator").await;
    with_file("server.pem", b"no certificate", "tls").await;
    with_file("credentials.toml", b"access_key_id = 1", "credentials").await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let kms = changed(&host.world.kms.addr().to_string(), &closed);
    with_file("parent.toml", &kms, "kms_route").await;
    let store = host.path("store").display().to_string();
    let nowhere = changed(&format!("file://{store}"), "file:///dev/null/store");
    with_file("parent.toml", &nowhere, "store").await;
    host.fault("fail describe-enclaves");
    check("nitro_cli", &[]).await;
    fs::remove_file(host.path("nitro-cli/fault fail describe-enclaves")).unwrap();

    let listen = config.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
    let _parent = TcpListener::bind(listen.trim_matches('"')).unwrap();
    check("not_serving", &[]).await;
    assert_eq!(host.called("run-enclave"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_runs_already_is_not_disturbed() {
    let host = Host::new().await;
    let run = ["enclave", "run", "--eif", "enclave.eif", "--measurements", "measurements.json"];
    let more = ["--memory", "256", "--cpus", "2", "--enclave-name", "nitro-signer-doctor"];
    assert_eq!(host.cli(&[&run[..], &more].concat()).await.exit, 0);
    let ended = host.cli(&DOCTOR).await;
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["nitro_cli"]), "{}", ended.text);
    assert_eq!(host.running().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_is_not_as_deployed_is_found_and_ended() {
    for (fault, exit, failed) in
        [("debug", 6, "boot"), ("pcrs", 1, "boot"), ("memory", 1, "boot"), ("renamed", 1, "boot")]
    {
        let host = Host::new().await;
        host.fault(fault);
        let ended = host.cli(&with_key()).await;
        leaves_nothing(&host, &ended);
        assert_eq!(
            (ended.exit, ended.those("failed")),
            (exit, vec![failed]),
            "{fault}: {}",
            ended.text
        );
        assert_eq!(ended.outcome("kms_refuses"), "skipped");
    }
    // Under Amazon's root a development document proves nothing.
    let host = Host::new().await;
    let ended = host.cli(&[&DOCTOR[..9], &WITH_KEY].concat()).await;
    leaves_nothing(&host, &ended);
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["attested"]), "{}", ended.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_cannot_be_ended_is_said_to_be_left() {
    let host = Host::new().await;
    host.fault("stuck");
    let ended = host.cli(&with_key()).await;
    assert_eq!((ended.exit, ended.those("failed")), (1, vec!["nothing_left"]), "{}", ended.text);
    assert_eq!(ended.outcome("kms_refuses"), "skipped");
    let remedy = ended.check("nothing_left")["remedy"].as_str().unwrap();
    assert!(remedy.contains("enclave stop --enclave-name nitro-signer-doctor"), "{remedy}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctor_that_is_told_to_end_leaves_nothing_running() {
    let host = Host::new().await;
    host.fault("mute");
    let looked =
        |host: &Host| host.called("run-enclave") == 1 && host.called("describe-enclaves") > 1;
    let ended = host.interrupt(&with_key(), "-INT", looked).await;
    leaves_nothing(&host, &ended);
    assert_eq!(ended.exit, 1, "{}", ended.text);
    assert_eq!(ended.outcome("nothing_left"), "passed");
    assert!(ended.check("configured")["found"].as_str().unwrap().contains("told to end"));
}
