//! How does each refusal reach whoever asks? Every code of the closed list is brought about and
//! asked for by REST, by JSON-RPC and by the command line, wherever that interface can ask for it:
//! HTTP status, problem document, error object and exit code must be the code's own.
//!
//! [`brought_about`] says for each code by what. All but [`By::Script`] are the real thing: the
//! parent that ships, the enclave's library over the mock secure module, the development KMS. The
//! four of `Script` come from an enclave that is played: no client can send two proofs
//! (`proof_count`; the lying parent does), a stored record that was changed is counted and passed
//! over (`record_invalid`; a test below shows it), `capacity` would take a hundred thousand keys,
//! and `internal` takes a fault, which is played by an answer to another question. A last test has
//! a played enclave refuse by every code in turn, so that each has passed through all three
//! interfaces.

#![allow(clippy::unwrap_used, clippy::panic)]

use alloy_primitives::B256;
use aws_nitro_enclaves_nsm_api::api::{ErrorCode, Request as NsmRequest, Response as NsmResponse};
use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_shared::frame;
use nitro_signer_shared::key_policy::form::AdmittedSet;
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_shared::message::{Request, RequestFrame, Response, ResponseFrame};
use nitro_signer_shared::proof::{ClientProof, Intent};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use nitro_signer_tests::appliance::Appliance;
use nitro_signer_tests::client::{Answer, Client};
use nitro_signer_tests::deployment::{self, ClientKey, REFUSED_RECIPIENT};
use nitro_signer_tests::kms::{Fault, Operation};
use nitro_signer_tests::nsm::{MockNsm, Options as NsmOptions};
use nitro_signer_tests::world::World;
use serde_bytes::ByteBuf;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::UnixStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
const SOMEBODY: &str = "0x1111111111111111111111111111111111111111";

/// What brings a code about: one test each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// A request to an appliance that is ready, its secure module and store at last taken away.
    Request,
    /// A request to one that has no vault yet, and faults of KMS.
    NoVault,
    /// A parent without credentials, whose enclave stays cold.
    NoCredentials,
    /// An enclave to which KMS cannot show a certificate.
    AnotherRoot,
    /// An enclave that was given another manifest first.
    AnotherManifest,
    /// A manifest with a rule that does not load.
    BadRule,
    /// A stored vault that is none.
    BadVault,
    DebugMode,
    /// An enclave that was stopped.
    Stopped,
    /// A peer that speaks another version of the link.
    AnotherRelease,
    /// An enclave that is silent, and as many who wait for it as may.
    Silence,
    /// An enclave that is played; the head of this file says why.
    Script,
}

const fn brought_about(code: RefusalCode) -> By {
    use RefusalCode as C;
    match code {
        C::MalformedRequest | C::MalformedJson | C::NotFound | C::MethodNotAllowed => By::Request,
        C::TooLarge | C::InvalidTransaction | C::UnsupportedTransaction => By::Request,
        C::InvalidMessage | C::InvalidTypedData | C::InvalidAuthorization => By::Request,
        C::InvalidBlobs | C::BlobProofsMissing | C::WrongChain => By::Request,
        C::InvalidLabel | C::InvalidNonce | C::NotAuthenticated | C::ProofRequired => By::Request,
        C::ProofInvalid | C::ProofExpired | C::ProofReplayed => By::Request,
        C::PolicyDenied | C::PolicyError | C::UnknownKey | C::VaultExists => By::Request,
        C::SecureModule | C::StoreFailed => By::Request,
        C::NoVault | C::KmsDenied | C::KmsUnreachable | C::KmsRejected | C::Custody => By::NoVault,
        C::StoreConflict => By::NoVault,
        C::Credentials | C::NotReady => By::NoCredentials,
        C::KmsUntrusted => By::AnotherRoot,
        C::ManifestConflict => By::AnotherManifest,
        C::ManifestInvalid => By::BadRule,
        C::VaultInvalid => By::BadVault,
        C::DebugMode => By::DebugMode,
        C::LinkDown => By::Stopped,
        C::VersionMismatch => By::AnotherRelease,
        C::Busy | C::Deadline => By::Silence,
        C::ProofCount | C::RecordInvalid | C::Capacity | C::Internal => By::Script,
    }
}

// ---- asking --------------------------------------------------------------------------------

/// Asks one appliance, and notes which codes it was refused with.
struct Asker<'a> {
    appliance: &'a Appliance,
    client: Client,
    stack: &'static str,
    reached: BTreeSet<RefusalCode>,
}

impl<'a> Asker<'a> {
    fn of(appliance: &'a Appliance) -> Self {
        let client = appliance.client();
        Self { appliance, client, stack: "stack.json", reached: BTreeSet::new() }
    }

    async fn rest(&mut self, code: RefusalCode, method: &str, path: &str, body: &Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.client.ask(method, path, body.as_bytes()).await.expect("answers");
        check_problem(&answer, code);
        self.reached.insert(code);
    }

    async fn rpc(&mut self, code: RefusalCode, method: &str, params: Value) {
        self.call(code, "/", &call(method, params)).await;
    }

    async fn call(&mut self, code: RefusalCode, path: &str, call: &Value) {
        check_error(&self.client.post(path, call).await, code);
        self.reached.insert(code);
    }

    async fn cli(&mut self, code: RefusalCode, arguments: &[&str], input: &str) {
        let output = self.run(arguments, input).await;
        check_exit(&output, code);
        self.reached.insert(code);
    }

    /// The command line sees for itself that this is wrong, and asks nobody.
    async fn usage(&self, arguments: &[&str], input: &str) {
        let output = self.run(arguments, input).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", errors(&output));
    }

    async fn run(&self, arguments: &[&str], input: &str) -> Output {
        self.appliance.cli(PROGRAM, self.stack, arguments, input).await
    }

    /// What every interface asks for alike.
    async fn everywhere(&mut self, code: RefusalCode) {
        self.rest(code, "GET", "/v1/keys", &Value::Null).await;
        self.rpc(code, "eth_accounts", json!([])).await;
        self.cli(code, &["key", "list"], "").await;
    }

    /// A new vault, which JSON-RPC cannot ask for.
    async fn vault(&mut self, world: &World, code: RefusalCode, fault: impl Fn()) {
        fault();
        let proof = proof(&world.vault_proof());
        self.rest(code, "POST", "/v1/vaults", &json!({ "proof": proof })).await;
        fault();
        self.cli(code, &["vault", "create"], "").await;
    }

    /// Every code that this condition is there for has been reached, and no other.
    fn end(&self, by: By) {
        let of = RefusalCode::ALL.iter().copied().filter(|code| brought_about(*code) == by);
        assert_eq!(self.reached, of.collect(), "{by:?}");
    }
}

fn check_problem(answer: &Answer, code: RefusalCode) {
    let problem = answer.json();
    assert_eq!(problem["code"], code.as_str(), "{problem}");
    assert_eq!(answer.status, code.http_status(), "{code}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{code}");
    assert_eq!(problem["type"], format!("urn:nitro-signer:refusal:{code}"));
    assert_eq!(problem["title"], code.advice());
    assert_eq!(problem["status"], code.http_status());
    assert_ne!(problem["detail"].as_str().unwrap_or_default(), "", "{code}");
}

fn check_error(answer: &Answer, code: RefusalCode) {
    let reply = answer.json();
    let error = &reply["error"];
    assert_eq!(error["data"]["code"], code.as_str(), "{reply}");
    // HTTP's own word stands only where a proxy or a client's retry must see it.
    let by_http = matches!(code, RefusalCode::TooLarge | RefusalCode::Busy);
    assert_eq!(answer.status, if by_http { code.http_status() } else { 200 }, "{code}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{code}");
    assert_eq!((&reply["jsonrpc"], reply.get("result")), (&json!("2.0"), None), "{code}");
    assert_eq!(error["code"], code.json_rpc_code(), "{code}");
    assert_eq!(error["message"], error["data"]["detail"]);
    assert_ne!(error["message"].as_str().unwrap_or_default(), "", "{code}");
}

fn check_exit(output: &Output, code: RefusalCode) {
    let errors = errors(output);
    // The help: 1 is a refusal.
    assert_eq!(output.status.code(), Some(1), "{code}: {errors}");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("prints JSON");
    assert_eq!(printed["error"]["code"], code.as_str(), "{printed}");
    assert_ne!(printed["error"]["message"].as_str().unwrap_or_default(), "", "{code}");
    assert!(errors.contains(&format!("({code})")), "{errors}");
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn call(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

fn proof(proof: &ClientProof) -> Value {
    let ClientProof { request_id, expiry, signature } = proof;
    json!({ "request_id": request_id, "expiry": expiry, "signature": signature })
}

/// A transaction that is signed, but for what is changed in it; null takes a field away.
fn transaction(from: &str, changes: &Value) -> Value {
    let mut transaction = json!({
        "from": from, "to": SOMEBODY, "type": "0x2", "chainId": "0x7a69", "nonce": "0x1",
        "gas": "0x5208", "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1", "value": "0x1",
    });
    for (name, value) in changes.as_object().into_iter().flatten() {
        transaction[name] = value.clone();
    }
    transaction
}

// ---- an appliance that is ready ------------------------------------------------------------

/// A secure module that a test can break.
struct Breakable {
    module: MockNsm,
    broken: Arc<AtomicBool>,
}

impl SecureModule for Breakable {
    fn process(&self, request: NsmRequest) -> NsmResponse {
        if self.broken.load(Ordering::Relaxed) {
            return NsmResponse::Error(ErrorCode::InternalError);
        }
        self.module.process(request)
    }
}

/// A sum beyond a Long is an error to Cedar, and that refuses.
const SUM: &str = "@id(\"sum\") forbid(principal, action == Action::\"SignTransaction\", resource)
    when { context.value.wei + context.max_cost.wei > 9223372036854775806 };";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_an_appliance_that_is_ready() {
    let world = World::start_with(|manifest| manifest.policy.push_str(SUM)).await;
    let broken = Arc::new(AtomicBool::new(false));
    let mut appliance = Appliance::new(&world);
    let module = Breakable { module: world.module(), broken: broken.clone() };
    appliance.power_on(module, world.roots());
    appliance.start("no_vault").await;
    let vault = json!({ "proof": proof(&world.vault_proof()) });
    let client = appliance.client();
    assert_eq!(client.post("/v1/vaults", &vault).await.status, 201);
    let created = client.post("/v1/keys", &new_key(&world, 1)).await;
    assert_eq!(created.status, 201, "{}", created.json());
    let from = created.json()["address"].as_str().unwrap().to_owned();
    std::fs::write(appliance.path("foreign.key"), ClientKey::generate().to_hex()).unwrap();
    appliance.write_stack("foreign.json", "client", "foreign.key");

    let mut asker = Asker::of(&appliance);
    what_is_no_request(&mut asker).await;
    what_cannot_be_signed(&mut asker, &from).await;
    who_asks(&mut asker, &world, &from).await;
    what_policy_and_keys_say(&mut asker, &world, &from).await;
    let good = json!({ "transaction": transaction(&from, &json!({})) });
    assert_eq!(client.post("/v1/transactions", &good).await.status, 200, "serves on");
    what_is_taken_away(&mut asker, &world, &broken).await;
    asker.end(By::Request);
}

fn new_key(world: &World, nonce: u8) -> Value {
    let nonce = B256::repeat_byte(nonce);
    let intent = Intent::create_key(&BTreeMap::new(), nonce.as_slice());
    json!({ "nonce": nonce, "proof": proof(&world.prove(&intent)) })
}

async fn what_is_no_request(asker: &mut Asker<'_>) {
    use RefusalCode::{MalformedJson, MalformedRequest, MethodNotAllowed, NotFound, TooLarge};
    asker.rest(MalformedRequest, "POST", "/v1/transactions", &json!({})).await;
    asker.call(MalformedRequest, "/", &json!({ "jsonrpc": "1.0", "id": 1 })).await;
    asker.rest(NotFound, "GET", "/v2/keys", &Value::Null).await;
    asker.rpc(NotFound, "eth_sendTransaction", json!([])).await;
    asker.rest(MethodNotAllowed, "GET", "/v1/transactions", &Value::Null).await;
    asker.rest(MethodNotAllowed, "GET", "/", &Value::Null).await;

    let broken = br#"{"jsonrpc":"2.0","id":1,"id":1}"#;
    let answer = asker.client.ask("POST", "/v1/transactions", broken).await.unwrap();
    check_problem(&answer, MalformedJson);
    check_error(&asker.client.ask("POST", "/", broken).await.unwrap(), MalformedJson);
    asker.reached.insert(MalformedJson);
    asker.usage(&["sign", "transaction", "-"], r#"{"from":"0x","from":"0x"}"#).await;

    let long = format!("0x{}", "00".repeat(131_073));
    let message = json!({ "from": SOMEBODY, "message": long });
    asker.rest(TooLarge, "POST", "/v1/messages", &message).await;
    asker.rpc(TooLarge, "eth_sign", json!([SOMEBODY, long])).await;
    asker.usage(&["sign", "message", "--from", SOMEBODY, "-"], &"x".repeat(131_073)).await;
}

async fn what_cannot_be_signed(asker: &mut Asker<'_>, from: &str) {
    use RefusalCode as C;
    let hash = format!("0x01{}", "22".repeat(31));
    let blob = json!({ "type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": [hash] });
    let with = |name: &str, value: Value| {
        let mut blob = blob.clone();
        blob[name] = value;
        blob
    };
    let transactions = [
        (C::InvalidTransaction, json!({ "chainId": "0x0" })),
        (C::UnsupportedTransaction, json!({ "type": "0x5" })),
        (C::InvalidBlobs, with("proofs", json!([]))),
        (C::BlobProofsMissing, with("blobs", json!([]))),
    ];
    for (code, changes) in transactions {
        let transaction = transaction(from, &changes);
        let request = json!({ "transaction": transaction });
        asker.rest(code, "POST", "/v1/transactions", &request).await;
        asker.rpc(code, "eth_signTransaction", json!([transaction])).await;
        asker.usage(&["sign", "transaction", "-"], &transaction.to_string()).await;
    }
    // Each of these routes serves every chain: only JSON-RPC has an endpoint of one.
    let transaction = call("eth_signTransaction", json!([transaction(from, &json!({}))]));
    asker.call(C::WrongChain, "/chain/1", &transaction).await;

    let message = json!({ "from": from, "message": "hello" });
    asker.rest(C::InvalidMessage, "POST", "/v1/messages", &message).await;
    asker.rpc(C::InvalidMessage, "personal_sign", json!(["hello", from])).await;

    let data = json!({ "types": { "A": [] }, "primaryType": "A", "message": {} });
    let request = json!({ "from": from, "typed_data": data });
    asker.rest(C::InvalidTypedData, "POST", "/v1/typed-data", &request).await;
    asker.rpc(C::InvalidTypedData, "eth_signTypedData_v4", json!([from, data])).await;
    asker.usage(&["sign", "typed-data", "--from", from, "-"], &data.to_string()).await;

    // EIP-7702: an account's nonce is below 2^64 - 1.
    let last = format!("{:#x}", u64::MAX);
    let mut authorization = json!({ "from": from, "address": SOMEBODY, "nonce": last });
    let camel = |mut of: Value| {
        of["chainId"] = json!(1);
        json!([of])
    };
    asker
        .rpc(C::InvalidAuthorization, "signer_signAuthorization", camel(authorization.clone()))
        .await;
    authorization["chain_id"] = json!(1);
    asker.rest(C::InvalidAuthorization, "POST", "/v1/authorizations", &authorization).await;

    let key = json!({ "nonce": B256::ZERO, "labels": { "Two Words": "x" } });
    asker.rest(C::InvalidLabel, "POST", "/v1/keys", &key).await;
    asker.cli(C::InvalidLabel, &["key", "create", "--label", "Two Words=x"], "").await;
    asker.rest(C::InvalidNonce, "GET", "/v1/attestation?nonce=00", &Value::Null).await;
    asker.usage(&["attestation", "fetch", "--nonce", "00"], "").await;
}

async fn who_asks(asker: &mut Asker<'_>, world: &World, from: &str) {
    use RefusalCode as C;
    let digest = B256::repeat_byte(7);
    let text = digest.to_string();
    let intent = Intent::sign_digest(from.parse().unwrap(), digest);
    let cli = ["sign", "digest", "--from", from, text.as_str()];
    let without = [&cli[..], &["--without-proof"]].concat();

    let known = std::mem::replace(&mut asker.client, asker.appliance.stranger());
    asker.stack = "strange.json";
    refused_digest(asker, C::NotAuthenticated, from, None).await;
    asker.cli(C::NotAuthenticated, &without, "").await;
    (asker.client, asker.stack) = (known, "stack.json");

    refused_digest(asker, C::ProofRequired, from, None).await;
    asker.cli(C::ProofRequired, &without, "").await;

    let another = world.prove(&Intent::sign_digest(from.parse().unwrap(), B256::ZERO));
    refused_digest(asker, C::ProofInvalid, from, Some(&another)).await;
    asker.stack = "foreign.json";
    asker.cli(C::ProofInvalid, &cli, "").await;
    asker.stack = "stack.json";

    refused_digest(asker, C::ProofExpired, from, Some(&world.prove_too_late(&intent))).await;

    let good = world.prove(&intent);
    let request = json!({ "from": from, "digest": digest, "proof": proof(&good) });
    assert_eq!(asker.client.post("/v1/digests", &request).await.status, 200);
    refused_digest(asker, C::ProofReplayed, from, Some(&good)).await;
}

async fn refused_digest(
    asker: &mut Asker<'_>,
    code: RefusalCode,
    from: &str,
    given: Option<&ClientProof>,
) {
    let (digest, given) = (B256::repeat_byte(7), given.map(proof));
    let request = json!({ "from": from, "digest": digest, "proof": given });
    asker.rest(code, "POST", "/v1/digests", &request).await;
    let mut call = call("signer_signDigest", json!([from, digest]));
    call["proof"] = json!(given);
    asker.call(code, "/", &call).await;
}

async fn what_policy_and_keys_say(asker: &mut Asker<'_>, world: &World, from: &str) {
    use RefusalCode as C;
    let large = format!("{:#x}", i64::MAX);
    for (code, changes) in [
        (C::PolicyDenied, json!({ "to": REFUSED_RECIPIENT })),
        (C::PolicyError, json!({ "value": large })),
        (C::UnknownKey, json!({ "from": SOMEBODY })),
    ] {
        let transaction = transaction(from, &changes);
        let request = json!({ "transaction": transaction });
        asker.rest(code, "POST", "/v1/transactions", &request).await;
        asker.rpc(code, "eth_signTransaction", json!([transaction])).await;
        let arguments = ["sign", "transaction", "--without-proof", "-"];
        asker.cli(code, &arguments, &transaction.to_string()).await;
    }
    asker.rest(C::UnknownKey, "GET", &format!("/v1/keys/{SOMEBODY}"), &Value::Null).await;
    asker.cli(C::UnknownKey, &["key", "show", SOMEBODY], "").await;
    asker.vault(world, C::VaultExists, || {}).await;
}

async fn what_is_taken_away(asker: &mut Asker<'_>, world: &World, broken: &AtomicBool) {
    use RefusalCode as C;
    let records = asker.appliance.path("store/records");
    std::fs::rename(&records, asker.appliance.path("kept")).unwrap();
    std::fs::write(&records, "no folder").unwrap();
    asker.rest(C::StoreFailed, "POST", "/v1/keys", &new_key(world, 2)).await;
    asker.cli(C::StoreFailed, &["key", "create"], "").await;

    broken.store(true, Ordering::Relaxed);
    let path = format!("/v1/attestation?nonce={}", "5a".repeat(32));
    asker.rest(C::SecureModule, "GET", &path, &Value::Null).await;
    asker.cli(C::SecureModule, &["attestation", "fetch"], "").await;
}

// ---- the ways there ------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn before_there_is_a_vault() {
    use RefusalCode as C;
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    appliance.power_on(world.module(), world.roots());
    appliance.start("no_vault").await;
    let mut asker = Asker::of(&appliance);
    asker.everywhere(C::NoVault).await;
    // Three attempts, each cut.
    let cut = || {
        (0..3)
            .for_each(|n| world.kms.inject(Operation::GenerateDataKey, n, Fault::CloseConnection));
    };
    asker.vault(&world, C::KmsUnreachable, cut).await;
    asker.vault(&world, C::KmsRejected, || world.forge_next_generate([0x41; 32])).await;

    // While KMS is slow, another vault gets into the store.
    let stored = appliance.path("store/vault");
    for by in ["rest", "cli"] {
        let generated = world.kms_calls("GenerateDataKey");
        world.kms.inject(Operation::Decrypt, 0, Fault::Delay(Duration::from_secs(1)));
        let intruder = async {
            while world.kms_calls("GenerateDataKey") == generated {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            std::fs::write(&stored, "another vault").unwrap();
        };
        let proof = json!({ "proof": proof(&world.vault_proof()) });
        match by {
            "rest" => {
                tokio::join!(asker.rest(C::StoreConflict, "POST", "/v1/vaults", &proof), intruder)
            }
            _ => tokio::join!(asker.cli(C::StoreConflict, &["vault", "create"], ""), intruder),
        };
        std::fs::remove_file(&stored).unwrap();
    }

    let (key, closed) =
        (world.manifest.wrapping_key().to_string(), deployment::closed_key_policy());
    world.kms.put_key_policy(&key, &closed).unwrap();
    asker.vault(&world, C::KmsDenied, || {}).await;
    let other = AdmittedSet::new([9; 48], [9; 48]);
    let hash = ManifestHash::of(&world.manifest_bytes);
    let sets = vec![AdmittedSet::new(world.measurements[0], hash.pcr16()), other];
    let shared = deployment::key_policy_terms(world.manifest.vault_name(), sets).write().unwrap();
    world.kms.put_key_policy(&key, &shared).unwrap();
    asker.vault(&world, C::Custody, || {}).await;
    asker.end(By::NoVault);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_the_enclave_stays_cold() {
    use RefusalCode as C;
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    std::fs::remove_file(appliance.path("credentials.toml")).unwrap();
    appliance.power_on(world.module(), world.roots());
    appliance.start("failed").await;
    let mut asker = Asker::of(&appliance);
    asker.everywhere(C::Credentials).await;
    let message = json!({ "from": SOMEBODY, "message": "0x00" });
    asker.rest(C::NotReady, "POST", "/v1/messages", &message).await;
    asker.rpc(C::NotReady, "eth_sign", json!([SOMEBODY, "0x00"])).await;
    let message = ["sign", "message", "--without-proof", "--from", SOMEBODY, "--text", "a"];
    asker.cli(C::NotReady, &message, "").await;
    asker.end(By::NoCredentials);
}

#[tokio::test(flavor = "multi_thread")]
async fn kms_behind_another_root() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    let amazon = TrustRoots::from_pem(nitro_signer_enclave::amazon::ROOTS).unwrap();
    appliance.power_on(world.module(), amazon);
    appliance.start("no_vault").await;
    let mut asker = Asker::of(&appliance);
    asker.vault(&world, RefusalCode::KmsUntrusted, || {}).await;
    asker.end(By::AnotherRoot);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_was_given_another_manifest() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    appliance.power_on(world.module(), world.roots());
    let socket = appliance.path("5000.sock");
    while !socket.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut other = world.manifest.clone();
    other.version += 1;
    let manifest = ByteBuf::from(other.to_bytes().unwrap());
    let credentials = world.credentials();
    let request = Request::Configure { manifest, vault: None, credentials };
    let first = RequestFrame { id: 1, asserted: None, proofs: vec![], request };
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    frame::write(&mut stream, &frame::encode(&first).unwrap()).await.unwrap();
    let answer: ResponseFrame = frame::decode(&frame::read(&mut stream).await.unwrap()).unwrap();
    assert!(answer.result.is_ok(), "{answer:?}");

    appliance.start("manifest_conflict").await;
    let mut asker = Asker::of(&appliance);
    asker.everywhere(RefusalCode::ManifestConflict).await;
    asker.end(By::AnotherManifest);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_an_enclave_from_its_vault() {
    let world = World::start_with(|manifest| {
        manifest.policy =
            "permit(principal, action, resource) when { context.no_such };".to_owned();
    });
    failed(&world.await, By::BadRule, RefusalCode::ManifestInvalid, |appliance, world| {
        appliance.power_on(world.module(), world.roots());
    })
    .await;

    let world = World::start().await;
    failed(&world, By::BadVault, RefusalCode::VaultInvalid, |appliance, world| {
        std::fs::write(appliance.path("store/vault"), "no vault").unwrap();
        appliance.power_on(world.module(), world.roots());
    })
    .await;
    failed(&world, By::DebugMode, RefusalCode::DebugMode, |appliance, world| {
        let options = NsmOptions { debug_mode: true, ..NsmOptions::default() };
        let module = MockNsm::new(&world.root, world.measurements, options);
        appliance.power_on(module, world.roots());
    })
    .await;
}

async fn failed(world: &World, by: By, code: RefusalCode, prepare: fn(&mut Appliance, &World)) {
    let mut appliance = Appliance::new(world);
    prepare(&mut appliance, world);
    appliance.start("failed").await;
    let mut asker = Asker::of(&appliance);
    asker.everywhere(code).await;
    asker.end(by);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_record_that_was_changed_is_counted_and_its_key_unknown() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    appliance.power_on(world.module(), world.roots());
    appliance.start("no_vault").await;
    let client = appliance.client();
    let vault = json!({ "proof": proof(&world.vault_proof()) });
    assert_eq!(client.post("/v1/vaults", &vault).await.status, 201);
    let mut keys = Vec::new();
    for nonce in [1, 2] {
        let created = client.post("/v1/keys", &new_key(&world, nonce)).await.json();
        keys.push(["record_id", "address"].map(|name| created[name].as_str().unwrap().to_owned()));
    }
    let [id, address] = &keys[0];
    let path = appliance.path("store/records").join(id.trim_start_matches("0x"));
    let mut record = std::fs::read(&path).unwrap();
    *record.last_mut().unwrap() ^= 1;
    std::fs::write(&path, record).unwrap();

    appliance.power_off();
    appliance.reach("connecting").await;
    appliance.power_on(world.module(), world.roots());
    appliance.reach("ready").await;
    let status = client.get("/v1/status").await.json();
    assert_eq!((&status["refused_records"], &status["enclave"]["keys"]), (&json!(1), &json!(1)));
    check_problem(&client.get(&format!("/v1/keys/{address}")).await, RefusalCode::UnknownKey);
    assert_eq!(client.get(&format!("/v1/keys/{}", keys[1][1])).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_was_stopped() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    appliance.power_on(world.module(), world.roots());
    appliance.start("no_vault").await;
    appliance.power_off();
    appliance.reach("connecting").await;
    let mut asker = Asker::of(&appliance);
    asker.everywhere(RefusalCode::LinkDown).await;
    asker.end(By::Stopped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_release() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    appliance.serve(|_| Some(b"NS\x00\x02\x00\x00\x00\x01\x00".to_vec()));
    appliance.start("version_mismatch").await;
    let mut asker = Asker::of(&appliance);
    asker.everywhere(RefusalCode::VersionMismatch).await;
    asker.end(By::AnotherRelease);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enclave_that_is_silent() {
    use RefusalCode as C;
    /// As many requests as are worked on at a time (http/limits.rs).
    const PLACES: usize = 256;
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    appliance.play(Arc::new(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        None
    }));
    appliance.start("ready").await;
    let client = appliance.client();
    let message = json!({ "from": SOMEBODY, "message": "0x00" });
    let waiting: Vec<_> = (0..PLACES - 2)
        .map(|_| {
            let (client, message) = (client.clone(), message.clone());
            tokio::spawn(async move { client.post("/v1/messages", &message).await })
        })
        .collect();
    let (mut late, mut asker) = (Asker::of(&appliance), Asker::of(&appliance));
    let cli = ["sign", "message", "--without-proof", "--from", SOMEBODY, "--text", "a"];
    let by_others = async {
        let mut by_rpc = Asker::of(&appliance);
        tokio::join!(
            by_rpc.rpc(C::Deadline, "eth_sign", json!([SOMEBODY, "0x00"])),
            late.cli(C::Deadline, &cli, ""),
        )
    };
    let crowd_out = async {
        while asked.load(Ordering::Relaxed) < PLACES {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        asker.everywhere(C::Busy).await;
    };
    tokio::join!(by_others, crowd_out);
    for answer in waiting {
        check_problem(&answer.await.unwrap(), C::Deadline);
    }
    asker.reached.extend(late.reached);
    asker.end(By::Silence);
}

// ---- played --------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_question_is_a_fault() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    appliance.play(Arc::new(|_| Some(Ok(Response::CredentialsUpdated {}))));
    appliance.start("ready").await;
    Asker::of(&appliance).everywhere(RefusalCode::Internal).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_passes_through_every_interface() {
    let world = World::start().await;
    let mut appliance = Appliance::new(&world);
    let code = Arc::new(Mutex::new(RefusalCode::Internal));
    let said = code.clone();
    appliance.play(Arc::new(move |_| {
        Some(Err(Refusal::new(*said.lock().unwrap(), "as the script has it")))
    }));
    appliance.start("ready").await;
    let mut asker = Asker::of(&appliance);
    for of in RefusalCode::ALL {
        *code.lock().unwrap() = *of;
        asker.everywhere(*of).await;
    }
    assert_eq!(asker.reached, RefusalCode::ALL.iter().copied().collect());
    let played = RefusalCode::ALL.iter().filter(|code| brought_about(**code) == By::Script);
    assert_eq!(
        played.count(),
        4,
        "whatever else is played needs a reason at the head of this file"
    );
}
