//! What does a running stack make of input that no honest client sends? Every row of the tables is
//! asked by REST and by JSON-RPC wherever both can ask it, of one parent and one enclave that are
//! processes of their own. Each is refused, with the code that the row names; at the end the same
//! two processes sign a good request, and neither has needed more memory than is stated here.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "bad_input/calldata.rs"]
mod calldata;
#[path = "bad_input/texts.rs"]
mod texts;
#[path = "bad_input/transactions.rs"]
mod transactions;
#[path = "bad_input/typed_data.rs"]
mod typed_data;

use alloy_primitives::hex;
use calldata::{PAY, calls, encoded, numbers};
use nitro_signer_shared::manifest::{AbiEntry, AddressEntry, Manifest};
use nitro_signer_shared::refusal::{MAX_DETAIL, RefusalCode};
use nitro_signer_tests::client::{Answer, Client};
use nitro_signer_tests::stack::Stack;
use nitro_signer_tests::world::{World, refused};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use RefusalCode as C;
use texts::texts;
use transactions::{authorizations, blobs, fields, legacy, sizes_and_others};
use typed_data::{one, permit, typed_data};

/// What is wrong, the transaction, and the code that says so.
type Row = (&'static str, Value, RefusalCode);

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
    stack.refuses_calls().await;
    stack.refuses_requests().await;
    stack.refuses_long_bodies().await;
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

// ---- what stands in no table ---------------------------------------------------------------

impl Running {
    async fn refuses_calls(&self) {
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
    }

    async fn refuses_requests(&self) {
        let from = self.from.as_str();
        let zeros = |bytes: usize| format!("0x{}", "00".repeat(bytes));
        let labels: serde_json::Map<_, _> =
            (0..33).map(|n| (format!("l{n}"), json!("x"))).collect();
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
                json!({ "nonce": zeros(16), "labels": labels }),
                C::MalformedRequest,
            ),
            ("a nonce of 65 bytes", "/v1/keys", json!({ "nonce": zeros(65) }), C::InvalidNonce),
        ] {
            self.refuses_by_rest(what, path, body.to_string().as_bytes(), code).await;
        }
    }

    async fn refuses_long_bodies(&self) {
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
