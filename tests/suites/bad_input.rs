//! What does a running stack make of input that no honest client sends? Every row of the tables is
//! asked by REST and by JSON-RPC wherever both can ask it, of one parent and one enclave that are
//! processes of their own. Each is refused, with the code that the row names; at the end the same
//! two processes sign a good request, and neither has needed more memory than is stated here.

#![allow(clippy::unwrap_used, clippy::panic)]

use alloy_primitives::{U256, hex, keccak256};
use nitro_signer_shared::manifest::{AbiEntry, AddressEntry, Manifest};
use nitro_signer_shared::refusal::{MAX_DETAIL, RefusalCode};
use nitro_signer_tests::client::{Answer, Client};
use nitro_signer_tests::deployment::REFUSED_RECIPIENT;
use nitro_signer_tests::stack::Stack;
use nitro_signer_tests::world::{World, refused};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use RefusalCode as C;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
const SOMEBODY: &str = "0x1111111111111111111111111111111111111111";
const ROUTER: &str = "0x2222222222222222222222222222222222222222";
const TOKEN: &str = "0x3333333333333333333333333333333333333333";
/// No answer may take longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the enclave may need at its peak beyond what it started with: its largest frame is 1.3 MB.
const MAX_ENCLAVE_GROWTH_KIB: u64 = 64 * 1_024;
/// The same for the parent under 64 bodies of 6 MiB: all bodies together may have 256 MiB, those
/// that are just read are held as values too, and the allocator keeps some of what was given back.
const MAX_PARENT_GROWTH_KIB: u64 = 768 * 1_024;

/// Calls of the router are signed only if they were decoded; so are messages called Permit.
const RULES: &str = r#"
@id("decoded") forbid (principal, action == Action::"SignTransaction", resource)
when { context.to == Address::"0x2222222222222222222222222222222222222222" &&
       !(context has call.router) };
@id("permits") forbid (principal, action == Action::"SignTypedData", resource)
when { context.primary_type.text == "Permit" && !(context has message.permit) };
"#;

const ROUTER_ABI: &str = r#"[
  {"type":"function","name":"pay","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"to","type":"address[]"},{"name":"amounts","type":"uint256[]"}]},
  {"type":"function","name":"sum","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"rows","type":"uint256[][]"}]}
]"#;

fn book(address: &str, name: &str, decimals: Option<u8>, abi: Option<&str>) -> AddressEntry {
    AddressEntry {
        address: address.parse().unwrap(),
        name: name.parse().unwrap(),
        groups: vec![],
        decimals,
        abi: abi.map(|abi| abi.parse().unwrap()),
    }
}

fn manifest(manifest: &mut Manifest) {
    manifest.policy.push_str(RULES);
    manifest.addresses.push(book(ROUTER, "router", None, Some("router")));
    manifest.addresses.push(book(TOKEN, "token", Some(6), None));
    let json = ROUTER_ABI.to_owned();
    manifest.abis.push(AbiEntry { name: "router".parse().unwrap(), json });
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_stops_or_fills_the_stack() {
    let dir = tempfile::tempdir().unwrap();
    let stack = Stack::start_with(dir.path(), Path::new(PROGRAM), manifest).await.unwrap();
    let stack = Running::with_a_key(stack);
    stack.signs_on().await;
    let before = stack.forget_peaks();
    let slow = tokio::spawn(a_byte_a_second(stack.client.clone()));

    for (what, text, code) in texts(&stack.from) {
        stack.refuses_text(&what, &text, code).await;
    }
    for of in [fields, legacy, sizes_and_others, blobs, authorizations] {
        for (what, transaction, code) in of(&stack.from) {
            stack.refuses_transaction(what, &transaction, code).await;
        }
    }
    for (what, transaction) in delegations(&stack) {
        stack.refuses_transaction(what, &transaction, C::ProofRequired).await;
    }
    for (what, data, code) in typed_data() {
        stack.refuses_typed_data(&what, &data, code).await;
    }
    for (what, data) in calls() {
        let call = json!({ "to": ROUTER, "data": hex::encode_prefixed(data) });
        let call = changed(&transaction(&stack.from), &call);
        stack.refuses_transaction(what, &call, C::PolicyDenied).await;
    }
    stack.refuses_the_rest().await;
    stack.signs_what_is_nearly_bad().await;
    let wrong = stack.wrong.lock().unwrap().join("\n");
    assert!(wrong.is_empty(), "{wrong}");
    stack.takes_a_flood().await;
    stack.signs_on().await;

    check_slow(slow.await.unwrap());
    stack.signs_on().await;
    let [enclave, parent] = stack.growth(&before);
    println!("peaks grew by {enclave} KiB in the enclave, {parent} KiB in the parent");
    assert!(enclave < MAX_ENCLAVE_GROWTH_KIB, "{enclave} KiB");
    assert!(parent < MAX_PARENT_GROWTH_KIB, "{parent} KiB");
}

// ---- the stack -----------------------------------------------------------------------------

struct Running {
    stack: Stack,
    client: Client,
    from: String,
    wrong: Mutex<Vec<String>>,
}

impl Running {
    fn with_a_key(stack: Stack) -> Self {
        let file = &stack.file;
        stack.save(file, "ready.json").unwrap();
        let address = file.url.trim_start_matches("https://").parse().unwrap();
        let client = Client::new(address, &file.ca, &file.client_cert, &file.client_key);
        let mut running = Self { stack, client, from: String::new(), wrong: Mutex::default() };
        running.cli(&["vault", "create"]);
        running.from = running.cli(&["key", "create"])["address"].as_str().unwrap().to_owned();
        running
    }

    fn cli(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(PROGRAM);
        command.args(["cli", "--json", "--stack"]).arg(self.stack.dir.join("ready.json"));
        let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn processes(&self) -> [u32; 2] {
        ["enclave", "parent"].map(|name| self.stack.process(name).unwrap())
    }

    /// Makes what both hold now their peaks (proc(5), clear_refs): at its start a development
    /// enclave measures the whole program it is.
    fn forget_peaks(&self) -> [u64; 2] {
        for id in self.processes() {
            std::fs::write(format!("/proc/{id}/clear_refs"), "5").unwrap();
        }
        self.peaks()
    }

    /// The most memory that enclave and parent have held, in KiB (proc(5), VmHWM).
    fn peaks(&self) -> [u64; 2] {
        self.processes().map(|id| {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        })
    }

    fn growth(&self, before: &[u64; 2]) -> [u64; 2] {
        let [enclave, parent] = self.peaks();
        [enclave.saturating_sub(before[0]), parent.saturating_sub(before[1])]
    }

    async fn send(&self, what: &str, path: &str, body: &[u8]) -> Answer {
        let asked = tokio::time::timeout(PATIENCE, self.client.ask("POST", path, body)).await;
        let answer = asked.unwrap_or_else(|_| panic!("{what}: no answer in {PATIENCE:?}"));
        answer.unwrap_or_else(|e| panic!("{what}: {e}"))
    }

    /// Notes what was answered otherwise, so that one run shows every row that is wrong.
    fn expect(&self, what: &str, found: Found<'_>, code: RefusalCode) {
        let Found { code: given, status, detail } = found;
        let good = (1..=MAX_DETAIL).contains(&detail.len());
        if !good || (given, status) != (code.as_str(), code.http_status()) {
            let detail: String = detail.chars().take(200).collect();
            let sentence = format!("{what}: {status} {given:?}, not {code}: {detail}");
            self.wrong.lock().unwrap().push(sentence);
        }
    }

    async fn refuses_by_rest(&self, what: &str, path: &str, body: &[u8], code: RefusalCode) {
        let answer = self.send(what, path, body).await;
        let problem = answer.json();
        let found = Found::of(&problem, answer.status);
        self.expect(&format!("{what} by REST at {path}"), found, code);
    }

    async fn refuses_by_rpc(&self, what: &str, path: &str, body: &[u8], code: RefusalCode) {
        let reply = self.send(what, path, body).await.json();
        // The status is HTTP's own affair here; tests/suites/refusals.rs looks at it.
        let found = Found::of(&reply["error"]["data"], code.http_status());
        self.expect(&format!("{what} by JSON-RPC at {path}"), found, code);
    }

    async fn refuses_text(&self, what: &str, text: &[u8], code: RefusalCode) {
        for path in ["/v1/transactions", "/v1/messages", "/v1/typed-data", "/v1/batch"] {
            self.refuses_by_rest(what, path, text, code).await;
        }
        self.refuses_by_rpc(what, "/", text, code).await;
    }

    async fn refuses_transaction(&self, what: &str, transaction: &Value, code: RefusalCode) {
        let request = json!({ "transaction": transaction }).to_string();
        self.refuses_by_rest(what, "/v1/transactions", request.as_bytes(), code).await;
        let call = call("eth_signTransaction", &json!([transaction])).to_string();
        self.refuses_by_rpc(what, "/", call.as_bytes(), code).await;
    }

    /// As an object and as a string; the text is sent as it stands.
    async fn refuses_typed_data(&self, what: &str, data: &str, code: RefusalCode) {
        let from = &self.from;
        for data in [data.to_owned(), json!(data).to_string()] {
            let request = format!(r#"{{"from":"{from}","typed_data":{data}}}"#);
            self.refuses_by_rest(what, "/v1/typed-data", request.as_bytes(), code).await;
            for method in ["eth_signTypedData", "eth_signTypedData_v4"] {
                let call = format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":["{from}",{data}]}}"#
                );
                self.refuses_by_rpc(what, "/", call.as_bytes(), code).await;
            }
        }
    }

    async fn signs(&self, what: &str, path: &str, body: &Value) {
        let answer = self.send(what, path, body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.json());
    }

    async fn signs_on(&self) {
        let good = json!({ "transaction": transaction(&self.from) });
        self.signs("a good transaction", "/v1/transactions", &good).await;
        assert!(self.peaks().iter().all(|kib| *kib > 0), "both processes live");
    }
}

/// A refusal as it came.
struct Found<'a> {
    code: &'a str,
    status: u16,
    detail: &'a str,
}

impl<'a> Found<'a> {
    fn of(refusal: &'a Value, status: u16) -> Self {
        let text = |name: &str| refusal[name].as_str().unwrap_or_default();
        Self { code: text("code"), status, detail: text("detail") }
    }
}

fn call(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn transaction(from: &str) -> Value {
    json!({
        "from": from, "to": SOMEBODY, "type": "0x2", "chainId": "0x7a69", "nonce": "0x1",
        "gas": "0x5208", "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1", "value": "0x1",
    })
}

/// The same but for these fields; null takes one away.
fn changed(of: &Value, changes: &Value) -> Value {
    let mut changed = of.clone();
    for (name, value) in changes.as_object().into_iter().flatten() {
        changed[name] = value.clone();
    }
    changed
}

// ---- bodies that are no request ------------------------------------------------------------

fn texts(from: &str) -> Vec<(String, Vec<u8>, RefusalCode)> {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    let good = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sign", "params": [from, "0x00"] });
    let good = good.to_string();
    let many = format!("[{}0]", "0,".repeat(262_144));
    let row = |what: &str, text: &[u8], code| (what.to_owned(), text.to_vec(), code);
    let mut rows = vec![
        row("nothing", b"", C::MalformedJson),
        row("a word", b"sign", C::MalformedJson),
        row("half an object", &good.as_bytes()[..good.len() - 1], C::MalformedJson),
        row("two objects", format!("{good}{good}").as_bytes(), C::MalformedJson),
        row("a byte order mark", format!("\u{feff}{good}").as_bytes(), C::MalformedJson),
        row("a duplicate key", br#"{"id":1,"id":1}"#, C::MalformedJson),
        row("a duplicate key, escaped", br#"{"id":1,"\u0069d":1}"#, C::MalformedJson),
        row("a duplicate key, deep", br#"{"params":[[{"a":1,"a":2}]]}"#, C::MalformedJson),
        row("a comment", b"{}//", C::MalformedJson),
        row("a trailing comma", br#"{"id":1,}"#, C::MalformedJson),
        row("no number", b"NaN", C::MalformedJson),
        row("half a surrogate", br#"{"id":"\ud800"}"#, C::MalformedJson),
        row("text that is not UTF-8", b"{\"id\":\"\xff\"}", C::MalformedJson),
        row("33 levels", &nested(33), C::MalformedJson),
        row("500,000 levels", &nested(500_000), C::MalformedJson),
        row("500,000 levels without an end", &vec![b'['; 500_000], C::MalformedJson),
        row("more values than are read", many.as_bytes(), C::MalformedJson),
        row("an object of nothing", b"{}", C::MalformedRequest),
        row("a number", b"1", C::MalformedRequest),
        row("null", b"null", C::MalformedRequest),
    ];
    for unknown in ["surprise", "__proto__", "Params"] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"eth_accounts","{unknown}":1,"requests":[],
            "from":"{from}","message":"0x","typed_data":{{}},"transaction":{{}}}}"#
        );
        rows.push((format!("a field called {unknown}"), text.into_bytes(), C::MalformedRequest));
    }
    rows
}

// ---- transactions --------------------------------------------------------------------------

/// What is wrong, the transaction, and the code that says so.
type Row = (&'static str, Value, RefusalCode);

const INVALID: RefusalCode = C::InvalidTransaction;

fn power_of_two(bits: usize) -> String {
    format!("{:#x}", U256::from(1) << bits)
}

fn list(item: &Value, count: usize) -> Value {
    json!(vec![item; count])
}

/// Fields that are missing, unknown, of another form or out of range.
fn fields(from: &str) -> Vec<Row> {
    let rows = [
        ("no from", json!({ "from": null })),
        ("no nonce", json!({ "nonce": null })),
        ("no gas", json!({ "gas": null })),
        ("no fee", json!({ "maxFeePerGas": null })),
        ("no recipient and no code", json!({ "to": null })),
        ("chain id 0", json!({ "chainId": "0x0" })),
        ("an unknown field", json!({ "surprise": "0x1" })),
        ("gasPrice beside maxFeePerGas", json!({ "gasPrice": "0x1" })),
        ("data and another input", json!({ "data": "0x01", "input": "0x02" })),
        ("odd hex", json!({ "data": "0x012" })),
        ("hex without its prefix", json!({ "data": "01" })),
        ("what is no hex", json!({ "data": "0xzz" })),
        ("a short address", json!({ "to": &SOMEBODY[..40] })),
        ("a long address", json!({ "to": format!("{SOMEBODY}00") })),
        // EIP-55's first example, its last letter in the other case.
        ("a wrong checksum", json!({ "to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD" })),
        ("a decimal quantity", json!({ "value": "12" })),
        ("a quantity with a leading zero", json!({ "value": "0x01" })),
        ("a negative number", json!({ "value": -1 })),
        ("a fraction", json!({ "value": 1.5 })),
        ("a number beyond 2^53", json!({ "nonce": 9_007_199_254_740_993_u64 })),
        ("nonce 2^64", json!({ "nonce": power_of_two(64) })),
        ("nonce 2^64 - 1 (EIP-2681)", json!({ "nonce": "0xffffffffffffffff" })),
        ("gas 2^64", json!({ "gas": power_of_two(64) })),
        ("fee 2^128", json!({ "maxFeePerGas": power_of_two(128) })),
        ("value 2^256", json!({ "value": format!("0x1{}", "0".repeat(64)) })),
        ("cost beyond 2^256", json!({ "value": format!("{:#x}", U256::MAX) })),
        ("priority above the cap", json!({ "maxPriorityFeePerGas": "0x3" })),
        ("type 2^64", json!({ "type": power_of_two(64) })),
        ("unprotected, but not legacy", json!({ "unprotected": true, "chainId": null })),
    ];
    rows.map(|(what, changes)| (what, changed(&transaction(from), &changes), INVALID)).into()
}

fn legacy(from: &str) -> Vec<Row> {
    let legacy = json!({ "type": "0x0", "gasPrice": "0x1", "maxFeePerGas": null,
        "maxPriorityFeePerGas": null });
    let legacy = changed(&transaction(from), &legacy);
    let rows = [
        ("legacy with chain id 0", json!({ "chainId": 0 })),
        ("legacy without a chain id", json!({ "chainId": null })),
        ("a chain id that v cannot carry", json!({ "chainId": power_of_two(63) })),
        ("unprotected beside a chain id", json!({ "unprotected": true })),
        ("unprotected, but no truth value", json!({ "unprotected": "yes", "chainId": null })),
        ("legacy with maxFeePerGas", json!({ "maxFeePerGas": "0x1" })),
        ("legacy with an access list", json!({ "accessList": [] })),
    ];
    rows.map(|(what, changes)| (what, changed(&legacy, &changes), INVALID)).into()
}

fn sizes_and_others(from: &str) -> Vec<Row> {
    let slot = json!(format!("0x{}", "33".repeat(32)));
    let access = |addresses: usize, slots: usize| {
        let item = json!({ "address": SOMEBODY, "storageKeys": list(&slot, slots) });
        json!({ "accessList": list(&item, addresses) })
    };
    let data = |bytes: usize| json!({ "data": hex::encode_prefixed(vec![0; bytes]) });
    let rows = [
        ("calldata of 128 KiB and a byte", data(131_073), INVALID),
        ("initcode of 48 KiB and a byte", changed(&data(49_153), &json!({ "to": null })), INVALID),
        ("8,193 slots", access(1, 8_193), INVALID),
        ("1,025 addresses", access(1_025, 0), INVALID),
        ("20,000 slots", access(1, 20_000), C::TooLarge),
        ("type 5", json!({ "type": "0x5" }), C::UnsupportedTransaction),
        ("an unknown from", json!({ "from": SOMEBODY }), C::UnknownKey),
        ("a chain that no rule names", json!({ "chainId": 5 }), C::PolicyDenied),
        ("a recipient that a rule forbids", json!({ "to": REFUSED_RECIPIENT }), C::PolicyDenied),
    ];
    rows.map(|(what, changes, code)| (what, changed(&transaction(from), &changes), code)).into()
}

fn blobs(from: &str) -> Vec<Row> {
    let hash = |version: u8| json!([format!("0x{version:02x}{}", "22".repeat(31))]);
    let of = json!({ "type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": hash(1) });
    let of = changed(&transaction(from), &of);
    let blob = json!(hex::encode_prefixed(vec![0; 131_072]));
    let point = json!(hex::encode_prefixed([0xc0; 48]));
    let sidecar = |blobs: Value| json!({ "blobs": blobs, "commitments": [point], "proofs": list(&point, 128) });
    let rows = [
        ("no hashes", json!({ "blobVersionedHashes": [] }), INVALID),
        ("a hash of version 2", json!({ "blobVersionedHashes": hash(2) }), INVALID),
        ("blobs that create", json!({ "to": null }), INVALID),
        ("blobs without their fee", json!({ "maxFeePerBlobGas": null }), INVALID),
        ("blobs alone", json!({ "blobs": [blob] }), C::BlobProofsMissing),
        (
            "blobs without proofs",
            json!({ "blobs": [blob], "commitments": [point] }),
            C::BlobProofsMissing,
        ),
        ("proofs without blobs", json!({ "proofs": [point] }), C::InvalidBlobs),
        ("a wrong commitment", sidecar(json!([blob])), C::InvalidBlobs),
        ("a short blob", sidecar(json!(["0x00"])), C::InvalidBlobs),
        ("17 blobs", sidecar(list(&json!("0x00"), 17)), C::InvalidBlobs),
        ("blobs in another type", json!({ "type": "0x2", "blobs": [blob] }), INVALID),
    ];
    rows.map(|(what, changes, code)| (what, changed(&of, &changes), code)).into()
}

fn authorizations(from: &str) -> Vec<Row> {
    let item = json!({ "chainId": "0x7a69", "address": SOMEBODY, "nonce": "0x0",
        "yParity": "0x0", "r": "0x1", "s": "0x1" });
    let one = |changes: Value| json!([changed(&item, &changes)]);
    let rows = [
        ("no authorizations", json!([])),
        ("65 authorizations", list(&item, 65)),
        ("an authorization's parity of 2", one(json!({ "yParity": "0x2" }))),
        // No point of secp256k1 has this x.
        ("an authorization without a signer", one(json!({ "r": "0x5" }))),
        ("one with a high s", one(json!({ "s": power_of_two(255) }))),
        ("one with r of 0", one(json!({ "r": "0x0" }))),
        ("one without a chain id", one(json!({ "chainId": null }))),
        ("one with an unknown field", one(json!({ "from": SOMEBODY }))),
    ];
    let of = |list: Value| {
        changed(&transaction(from), &json!({ "type": "0x4", "authorizationList": list }))
    };
    rows.map(|(what, list)| (what, of(list), INVALID)).into()
}

/// Delegations of our own account, which the certificate's name may not ask for.
fn delegations(stack: &Running) -> Vec<(&'static str, Value)> {
    let authorization = |chain: &[&str]| {
        let of =
            ["sign", "authorization", "--from", &stack.from, "--address", SOMEBODY, "--nonce", "1"];
        let authorization = stack.cli(&[&of[..], chain].concat());
        let changes = json!({ "type": "0x4", "authorizationList": [authorization] });
        changed(&transaction(&stack.from), &changes)
    };
    vec![
        ("a self authorization", authorization(&["--chain-id", "31337"])),
        ("a self authorization for any chain", authorization(&["--any-chain"])),
    ]
}

// ---- typed data ----------------------------------------------------------------------------

/// The members `a uint256` and the like, as a type has them.
fn members(text: &str) -> Value {
    let member = |text: &str| {
        let (ty, name) = text.split_once(' ').unwrap();
        json!({ "type": ty, "name": name })
    };
    text.split(',').filter(|t| !t.is_empty()).map(member).collect()
}

fn data(types: Value, primary: &str, message: Value) -> Value {
    let domain = json!({ "name": "Test", "chainId": 31_337 });
    json!({ "types": types, "primaryType": primary, "domain": domain, "message": message })
}

fn one(ty: &str, value: Value) -> Value {
    data(json!({ "A": members(&format!("{ty} a")) }), "A", json!({ "a": value }))
}

fn typed_data() -> Vec<(String, String, RefusalCode)> {
    let of = one("uint8", json!("1"));
    let mut rows = Vec::new();
    let mut row = |what: &str, data: Value| {
        rows.push((what.to_owned(), data.to_string(), C::InvalidTypedData));
    };
    row("no domain", changed(&of, &json!({ "domain": null })));
    row("an empty domain", changed(&of, &json!({ "domain": {} })));
    row(
        "an unknown field of the domain",
        changed(&of, &json!({ "domain": { "name": "A", "more": 1 } })),
    );
    let mut extra = of.clone();
    extra["types"]["EIP712Domain"] = members("string name,uint256 chainId,bytes32 salt");
    row("an extra field in the domain's type", extra.clone());
    extra["types"]["EIP712Domain"] = members("uint256 chainId,string name");
    row("the domain's type in another order", extra.clone());
    extra["types"]["EIP712Domain"] = members("string name");
    row("a field missing in the domain's type", extra);
    row("the domain as its primary type", changed(&of, &json!({ "primaryType": "EIP712Domain" })));
    row("a primary type that is not declared", changed(&of, &json!({ "primaryType": "B" })));
    row("a fifth part", changed(&of, &json!({ "more": 1 })));
    row("an unknown key", changed(&of, &json!({ "message": { "a": "1", "b": "1" } })));
    row("a missing key", changed(&of, &json!({ "message": {} })));
    row("null for a value", changed(&of, &json!({ "message": { "a": null } })));
    row("recursion", data(json!({ "A": members("A a") }), "A", json!({ "a": {} })));
    row("recursion by an array", data(json!({ "A": members("A[] a") }), "A", json!({ "a": [] })));
    let circle = json!({ "A": members("B a"), "B": members("A a") });
    row("recursion by another type", data(circle, "A", json!({ "a": { "a": {} } })));
    row("a type that is not declared", one("B", json!({})));
    row("Solidity's alias uint", one("uint", json!("1")));
    row("uint7", one("uint7", json!("1")));
    row("bytes33", one("bytes33", json!("0x")));
    row("256 in a uint8", one("uint8", json!("256")));
    row("-129 in an int8", one("int8", json!("-129")));
    row("a fraction", one("uint8", json!(1.5)));
    row("a number beyond 2^53", one("uint256", json!(9_007_199_254_740_993_u64)));
    row("a number with an exponent", one("uint256", json!("1e3")));
    row("a bool as text", one("bool", json!("true")));
    row("31 bytes in bytes32", one("bytes32", json!(format!("0x{}", "00".repeat(31)))));
    row("odd hex", one("bytes", json!("0x1")));
    row("a short address", one("address", json!("0x11")));
    row("an object for an array", one("uint8[]", json!({})));
    row("two for three", one("uint8[3]", json!(["1", "2"])));
    row("10,001 values", one("uint8[]", json!(vec!["1"; 10_001])));
    row("a long array of empty arrays", one("uint8[][]", json!(vec![json!([]); 10_001])));
    row("17 arrays in each other", one(&format!("uint8{}", "[]".repeat(17)), json!([])));
    let many: serde_json::Map<_, _> =
        (0..65).map(|n| (format!("A{n}"), members("bool a"))).collect();
    row("65 types", data(Value::Object(many), "A0", json!({ "a": true })));
    let chain = |length: usize| -> Value {
        let of = |n: usize| (format!("A{n}"), members(&format!("A{} a", n + 1)));
        (0..length)
            .map(of)
            .chain([(format!("A{length}"), members("bool a"))])
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let deep = (0..20).fold(json!({ "a": true }), |inner, _| json!({ "a": inner }));
    row("20 structs in each other", data(chain(20), "A0", deep));
    row(
        "a name with a comma",
        data(json!({ "A,B": members("bool a") }), "A,B", json!({ "a": true })),
    );

    let duplicate = of.to_string().replace(r#""a":"1""#, r#""a":"1","a":"2""#);
    rows.push(("a duplicate key".to_owned(), duplicate, C::MalformedJson));
    let long = one("string", json!("x".repeat(262_144))).to_string();
    rows.push(("typed data of more than 256 KiB".to_owned(), long, C::TooLarge));
    let permit = data(
        json!({ "Permit": members("address owner,uint256 everything") }),
        "Permit",
        json!({ "owner": SOMEBODY, "everything": "1" }),
    );
    rows.push(("a foreign type called Permit".to_owned(), permit.to_string(), C::PolicyDenied));
    rows
}

fn permit(owner: &str) -> Value {
    let types = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline";
    let message = json!({ "owner": owner, "spender": SOMEBODY, "value": "1", "nonce": "0",
        "deadline": "1900000000" });
    let permit = data(json!({ "Permit": members(types) }), "Permit", message);
    let domain = json!({ "name": "Token", "chainId": 31_337, "verifyingContract": TOKEN });
    changed(&permit, &json!({ "domain": domain }))
}

// ---- calldata ------------------------------------------------------------------------------

/// Calldata of these words.
fn encoded(signature: &str, words: impl IntoIterator<Item = U256>) -> Vec<u8> {
    let words = words.into_iter().flat_map(|word| word.to_be_bytes::<32>());
    keccak256(signature)[..4].iter().copied().chain(words).collect()
}

fn numbers(words: &[u64]) -> impl Iterator<Item = U256> {
    words.iter().map(|word| U256::from(*word))
}

const PAY: &str = "pay(address[],uint256[])";
const SUM: &str = "sum(uint256[][])";

/// Calldata that another decoder takes, or that would fill its memory; none has one meaning only.
fn calls() -> Vec<(&'static str, Vec<u8>)> {
    let pay = |words: &[u64]| encoded(PAY, numbers(words));
    let sum = |words: &[u64]| encoded(SUM, numbers(words));
    let dirty = [numbers(&[0x40, 0x80, 1]).collect(), vec![U256::MAX], numbers(&[1, 5]).collect()];
    // 2,000 rows, each of which is the same thousand words.
    let rows = [vec![0x20, 2_000], vec![2_000 * 32; 2_000], vec![1_000], vec![7; 1_000]].concat();
    // 2,000 rows, each of which is the rows' own offsets.
    let selves = [vec![0x20, 2_000], vec![0; 2_000]].concat();
    let huge = [U256::from(0x20), U256::MAX];
    vec![
        ("two arrays in one place", pay(&[0x40, 0x40, 1, 5])),
        ("rows that share their words", sum(&rows)),
        ("rows that are themselves", sum(&selves)),
        ("an array of 2^32 items", sum(&[0x20, 1 << 32])),
        ("an array of 2^256 - 1 items", encoded(SUM, huge)),
        ("2^63 empty rows", sum(&[0x20, 1 << 63, 0])),
        ("an offset beyond the end", pay(&[0x40, 0x8000, 1, 5])),
        ("an offset within a word", pay(&[0x41, 0x80, 1, 5, 1, 5])),
        ("dirty padding of an address", encoded(PAY, dirty.concat())),
        ("words left over", pay(&[0x40, 0x80, 1, 5, 1, 5, 0])),
        ("a byte left over", [pay(&[0x40, 0x80, 1, 5, 1, 5]), vec![0]].concat()),
        ("a word too few", pay(&[0x40, 0x80, 1, 5, 1])),
        ("the tail in another order", pay(&[0x80, 0x40, 1, 5, 1, 5])),
        ("another function", encoded("take(address[])", numbers(&[0x20, 0]))),
        ("three bytes", vec![1, 2, 3]),
    ]
}

// ---- what stands in no table ---------------------------------------------------------------

impl Running {
    async fn refuses_the_rest(&self) {
        let from = self.from.as_str();
        for (what, method, params, code) in [
            ("an unknown method", "eth_sendTransaction", json!([]), C::NotFound),
            ("a method in another case", "ETH_SIGN", json!([from, "0x"]), C::NotFound),
            ("a parameter too few", "eth_sign", json!([from]), C::MalformedRequest),
            ("a parameter too many", "eth_sign", json!([from, "0x", 1]), C::MalformedRequest),
            ("a password", "personal_sign", json!(["0x", from, "password"]), C::MalformedRequest),
            ("no list of parameters", "eth_sign", json!({}), C::MalformedRequest),
            ("a message that is no hex", "eth_sign", json!([from, "hi"]), C::InvalidMessage),
            ("an unknown from", "eth_sign", json!([SOMEBODY, "0x00"]), C::UnknownKey),
            (
                "a digest of 31 bytes",
                "signer_signDigest",
                json!([from, format!("0x{}", "00".repeat(31))]),
                C::MalformedRequest,
            ),
            (
                "a digest without a proof",
                "signer_signDigest",
                json!([from, format!("0x{}", "00".repeat(32))]),
                C::ProofRequired,
            ),
            (
                "an any-chain authorization",
                "signer_signAuthorization",
                json!([{ "from": from, "chainId": "0x0", "address": SOMEBODY, "nonce": "0x0" }]),
                C::ProofRequired,
            ),
            (
                "an authorization of another form",
                "signer_signAuthorization",
                json!([{ "from": from, "address": SOMEBODY, "nonce": "0x0" }]),
                C::InvalidAuthorization,
            ),
        ] {
            self.refuses_by_rpc(what, "/", call(method, &params).to_string().as_bytes(), code)
                .await;
        }
        for path in
            ["/chain/0", "/chain/01", "/chain/0x1", "/chain/18446744073709551616", "/chain/%ff"]
        {
            let accounts = call("eth_accounts", &json!([])).to_string();
            self.refuses_by_rpc(path, path, accounts.as_bytes(), C::MalformedRequest).await;
        }
        let wrong = call("eth_signTransaction", &json!([transaction(from)])).to_string();
        self.refuses_by_rpc(
            "another chain's endpoint",
            "/chain/1",
            wrong.as_bytes(),
            C::WrongChain,
        )
        .await;
        let batch = |count: usize| json!(vec![call("eth_accounts", &json!([])); count]).to_string();
        self.refuses_by_rpc("no calls", "/", batch(0).as_bytes(), C::MalformedRequest).await;
        self.refuses_by_rpc("101 calls", "/", batch(101).as_bytes(), C::TooLarge).await;

        let zeros = |bytes: usize| format!("0x{}", "00".repeat(bytes));
        let proof = |id: usize, signature: usize| json!({ "request_id": zeros(id), "expiry": 1, "signature": zeros(signature) });
        let digest = |proof: Value| json!({ "from": from, "digest": zeros(32), "proof": proof });
        let requests = vec![json!({ "method": "sign_message" }); 101];
        for (what, path, body, code) in [
            ("an unknown route", "/v1/sign", json!({}), C::NotFound),
            ("a route with a slash more", "/v1/messages/", json!({}), C::NotFound),
            ("101 requests", "/v1/batch", json!({ "requests": requests }), C::TooLarge),
            ("a proof's short id", "/v1/digests", digest(proof(31, 65)), C::MalformedRequest),
            (
                "a proof's short signature",
                "/v1/digests",
                digest(proof(32, 64)),
                C::MalformedRequest,
            ),
            ("a proof with a list", "/v1/digests", digest(json!([])), C::MalformedRequest),
            (
                "a proof of zeros, out of date",
                "/v1/digests",
                digest(proof(32, 65)),
                C::ProofExpired,
            ),
            (
                "an any-chain authorization",
                "/v1/authorizations",
                json!({ "from": from, "chain_id": 0, "address": SOMEBODY, "nonce": 0 }),
                C::ProofRequired,
            ),
            (
                "an unknown field of a query",
                "/v1/transactions?form=1",
                json!({}),
                C::MalformedRequest,
            ),
            (
                "an unknown form of blobs",
                "/v1/transactions?sidecar=1",
                json!({}),
                C::MalformedRequest,
            ),
            (
                "web3signer's route without a proof",
                &format!("/api/v1/eth1/sign/{from}"),
                json!({ "data": "0x00" }),
                C::ProofRequired,
            ),
            (
                "web3signer's route for a short key",
                "/api/v1/eth1/sign/0x11",
                json!({ "data": "0x00" }),
                C::MalformedRequest,
            ),
            (
                "33 labels",
                "/v1/keys",
                json!({ "nonce": zeros(16), "labels": (0..33).map(|n| (format!("l{n}"), json!("x"))).collect::<serde_json::Map<_, _>>() }),
                C::MalformedRequest,
            ),
            ("a nonce of 65 bytes", "/v1/keys", json!({ "nonce": zeros(65) }), C::InvalidNonce),
        ] {
            self.refuses_by_rest(what, path, body.to_string().as_bytes(), code).await;
        }
        let long = vec![b' '; 6 * 1_048_576 + 1];
        self.refuses_by_rpc("a body beyond its limit", "/", &long, C::TooLarge).await;
        for path in ["/v1/transactions", "/v1/batch", "/v1/keys"] {
            self.refuses_by_rest("a body beyond its limit", path, &long, C::TooLarge).await;
        }
    }

    /// At the limits and on the good side of each trap, there are signatures.
    async fn signs_what_is_nearly_bad(&self) {
        let from = &self.from;
        let of = transaction(from);
        let full = json!({ "data": hex::encode_prefixed(vec![0xff; 131_072]) });
        let pay = encoded(PAY, numbers(&[0x40, 0x80, 1, 5, 1, 5]));
        let pay = json!({ "to": ROUTER, "data": hex::encode_prefixed(pay) });
        for (what, changes) in [("128 KiB of calldata", full), ("a call with one meaning", pay)] {
            let request = json!({ "transaction": changed(&of, &changes) });
            self.signs(what, "/v1/transactions", &request).await;
        }
        let values = one("uint8[]", json!(vec!["1"; 9_900]));
        for (what, data) in [("9,900 values", values), ("a token's Permit", permit(from))] {
            let request = json!({ "from": from, "typed_data": data });
            self.signs(what, "/v1/typed-data", &request).await;
        }
    }

    /// 64 bodies at a time, each as long as one may be: every one is answered or told to wait.
    async fn takes_a_flood(&self) {
        let blob = hex::encode_prefixed(vec![0; 131_072]);
        let blobs =
            json!({ "transaction": { "type": "0x3", "blobs": vec![blob; 23] } }).to_string();
        assert!(blobs.len() < 6 * 1_048_576, "a body that is read to its end");
        let blobs = Arc::new(blobs.into_bytes());
        let asked: Vec<_> = (0..64)
            .map(|_| {
                let (client, body) = (self.client.clone(), blobs.clone());
                tokio::spawn(async move { client.ask("POST", "/v1/transactions", &body).await })
            })
            .collect();
        let mut answered = 0;
        for answer in asked {
            // Who is told to wait while he still sends may lose the word.
            let Ok(answer) = answer.await.unwrap() else { continue };
            assert!(matches!(answer.status, 400 | 503), "{}", answer.json());
            answered += usize::from(answer.status == 400);
        }
        // 256 MiB are 43 of them.
        assert!(answered > 0, "none was read");
    }
}

/// A body of a hundred bytes, one a second: the answer, and when it came.
async fn a_byte_a_second(client: Client) -> (Vec<u8>, Duration) {
    let from = Instant::now();
    let (mut read, mut write) = tokio::io::split(client.connect().await.unwrap());
    let head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n";
    write.write_all(head.as_bytes()).await.unwrap();
    let dripping = async {
        while write.write_all(b" ").await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let mut answer = vec![0; 4_096];
    let reading = async {
        let length = read.read(&mut answer).await.unwrap();
        (answer[..length].to_vec(), from.elapsed())
    };
    tokio::select! {
        answered = reading => answered,
        () = dripping => panic!("the connection ended without a word"),
    }
}

/// The server waits 20 s for a body (http/limits.rs).
fn check_slow((answer, after): (Vec<u8>, Duration)) {
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    assert!(text.contains("the body came too slowly"), "{text}");
    assert!((18..60).contains(&after.as_secs()), "{after:?}");
}

// ---- manifests -----------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_do_not_load_serve_nothing() {
    let router = |json: &str| {
        let json = json.to_owned();
        move |manifest: &mut Manifest| {
            manifest.abis.push(AbiEntry { name: "router".parse().unwrap(), json });
            manifest.addresses.push(book(ROUTER, "router", None, Some("router")));
        }
    };
    let function = |name: &str, ty: &str| {
        format!(
            r#"{{"type":"function","name":"{name}","stateMutability":"view","outputs":[],
            "inputs":[{{"name":"a","type":"{ty}"}}]}}"#
        )
    };
    let policy = |text: &'static str| move |manifest: &mut Manifest| manifest.policy.push_str(text);
    type Change = Box<dyn FnOnce(&mut Manifest)>;
    // burn(uint256) and collate_propagate_storage(bytes16) are both 42966c68.
    let collide = format!(
        "[{},{}]",
        function("burn", "uint256"),
        function("collate_propagate_storage", "bytes16")
    );
    let zero = format!("[{}]", function("f", "uint256[0][]"));
    let bomb = format!("[{}]", function("f", &format!("bool{}", "[256]".repeat(8))));
    let cases: Vec<(&str, Change)> = vec![
        ("a rule that is none", Box::new(policy("permit;"))),
        (
            "a rule over nothing known",
            Box::new(policy("permit(principal, action, resource) when { context.no };")),
        ),
        (
            "an address in capitals",
            Box::new(policy(
                "forbid(principal, action == Action::\"SignTransaction\", resource) when { context.to == Address::\"0x000000000000000000000000000000000000DEAD\" };",
            )),
        ),
        (
            "an unknown address",
            Box::new(policy(
                "forbid(principal, action == Action::\"SignTransaction\", resource) when { context.to == Address::\"0x4444444444444444444444444444444444444444\" };",
            )),
        ),
        ("an ABI that is none", Box::new(router("{}"))),
        ("colliding selectors", Box::new(router(&collide))),
        ("arrays of no size", Box::new(router(&zero))),
        ("a fixed array of 2^64 values", Box::new(router(&bomb))),
    ];
    for (what, change) in cases {
        println!("{what}");
        let world = World::start_with(change).await;
        let enclave = world.enclave().await;
        let outcome = world.configure(&enclave, &world.manifest_bytes, None).await;
        refused(outcome, C::ManifestInvalid);
    }
}
