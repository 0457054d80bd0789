//! What comes in, what goes on to the appliance, and what comes back.

use super::call::Proofs;
use super::door::Door;
use super::*;
use crate::ethereum::{Payload, TransactionRequest};
use crate::exchange::ExchangeError;
use alloy_primitives::{Address, B256, U256};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use nitro_signer_shared::json::read_object;
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_shared::proof::{ClientProof, Intent};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Mutex;
use tower::ServiceExt;

const FROM: &str = "0x1111111111111111111111111111111111111111";

/// What reached the appliance.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// An appliance that answers everything with 1.
struct Appliance(Seen);

#[async_trait]
impl Upstream for Appliance {
    async fn post(
        &self,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Zeroizing<Vec<u8>>>, NoAnswer> {
        self.0.lock().expect("is whole").push((path.to_owned(), body.to_vec()));
        let answer = http::Response::builder().status(203).header("content-type", "text/one");
        Ok(answer.body(Zeroizing::new(b"1".to_vec())).expect("is an answer"))
    }
}

/// No appliance.
struct Nobody(fn() -> NoAnswer);

#[async_trait]
impl Upstream for Nobody {
    async fn post(
        &self,
        _: &str,
        _: Bytes,
    ) -> Result<http::Response<Zeroizing<Vec<u8>>>, NoAnswer> {
        Err((self.0)())
    }
}

fn manifest() -> ManifestHash {
    ManifestHash::of(b"manifest")
}

fn proofs() -> Proofs {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("key");
    std::fs::write(&path, "46".repeat(32)).expect("writes");
    let key = super::super::proof::ProofKey::load(&path).expect("is a key");
    Proofs { key, manifest: manifest() }
}

fn proxy(chain: Option<u64>, with_proofs: bool) -> (Router, Seen) {
    let seen = Seen::default();
    let upstream = Box::new(Appliance(Arc::clone(&seen)));
    let forwarder = Forwarder { upstream, chain, proofs: with_proofs.then(proofs) };
    (routes(forwarder, Door::Loopback), seen)
}

async fn send(
    routes: &Router,
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_owned())).expect("is a request");
    let response = routes.clone().oneshot(request).await.expect("answers");
    let status = response.status().as_u16();
    // The appliance played here says what its answers are; the proxy's own are JSON.
    let kind = if status == 203 { "text/one" } else { "application/json" };
    assert_eq!(response.headers()["content-type"], kind);
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("is short");
    (status, String::from_utf8(body.to_vec()).expect("is text"))
}

const HERE: (&str, &str) = ("host", "localhost:8545");

async fn post(routes: &Router, uri: &str, body: &str) -> (u16, String) {
    send(routes, "POST", uri, &[HERE], body).await
}

fn call(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

#[tokio::test]
async fn calls_go_to_their_path_and_answers_come_back_as_they_are() {
    let body = r#"{"jsonrpc": "2.0", "id": 1e2, "method": "eth_accounts"}"#;
    for (chain, uri, expected) in [
        (None, "/", "/"),
        (None, "/?result=object", "/?result=object"),
        (None, "/chain/5", "/chain/5"),
        (Some(1), "/", "/chain/1"),
        (Some(1), "/?sidecar=eip4844", "/chain/1?sidecar=eip4844"),
        (Some(1), "/chain/5?result=raw", "/chain/5?result=raw"),
    ] {
        let (routes, seen) = proxy(chain, true);
        assert_eq!(post(&routes, uri, body).await, (203, "1".to_owned()));
        let seen = seen.lock().expect("is whole");
        assert_eq!(*seen, [(expected.to_owned(), body.as_bytes().to_vec())], "{uri}");
    }
}

#[tokio::test]
async fn a_web_page_and_another_host_reach_nothing() {
    let (routes, seen) = proxy(None, true);
    let body = call("eth_accounts", json!([])).to_string();
    for headers in [
        vec![HERE, ("origin", "https://example.com")],
        vec![HERE, ("origin", "null")],
        vec![("host", "rebound.example:8545")],
        vec![],
    ] {
        let (status, answer) = send(&routes, "POST", "/", &headers, &body).await;
        assert_eq!(status, 401, "{headers:?}");
        assert!(answer.contains("not_authenticated"), "{answer}");
    }
    for (method, uri, expected) in [
        ("GET", "/", (405, "method_not_allowed")),
        ("OPTIONS", "/", (405, "method_not_allowed")),
        ("POST", "/v1/transactions", (404, "not_found")),
    ] {
        let (status, answer) = send(&routes, method, uri, &[HERE], &body).await;
        let answer: Value = serde_json::from_str(&answer).expect("is JSON");
        let code = answer["error"]["data"]["code"].as_str().unwrap_or_default();
        assert_eq!((status, code), expected, "{method} {uri}");
    }
    assert!(seen.lock().expect("is whole").is_empty());
}

#[tokio::test]
async fn a_body_has_the_servers_limit() {
    let (routes, seen) = proxy(None, false);
    let (status, answer) = post(&routes, "/", &" ".repeat(6 * 1_048_576 + 1)).await;
    assert_eq!(status, 413);
    assert!(answer.contains("too_large"), "{answer}");
    assert!(seen.lock().expect("is whole").is_empty());
}

#[tokio::test]
async fn an_appliance_that_does_not_answer_is_an_error_for_each_call() {
    let one = call("eth_accounts", json!([])).to_string();
    let two = r#"[{"id":1},{"id":"a"},{"id":{}},4]"#;
    let check = async |why: fn() -> NoAnswer, body: &str, code: &str, ids: &[Value]| {
        let forwarder = Forwarder { upstream: Box::new(Nobody(why)), chain: None, proofs: None };
        let (status, answer) = post(&routes(forwarder, Door::Loopback), "/", body).await;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_str(&answer).expect("is JSON");
        let answers = answer.as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
        let got: Vec<_> = answers.iter().map(|a| a["id"].clone()).collect();
        assert_eq!(got, ids, "{body}");
        for answer in answers {
            assert_eq!(answer["error"]["data"]["code"], code);
            assert_eq!(answer["jsonrpc"], "2.0");
        }
    };
    let down = || NoAnswer::Connect("refused".to_owned());
    check(down, &one, "link_down", &[json!(7)]).await;
    check(down, two, "link_down", &[json!(1), json!("a"), Value::Null, Value::Null]).await;
    check(down, "no JSON", "link_down", &[Value::Null]).await;
    check(down, "[]", "link_down", &[Value::Null]).await;
    let late = || NoAnswer::Exchange(ExchangeError::Deadline);
    check(late, &one, "deadline", &[json!(7)]).await;
    check(|| NoAnswer::Exchange(ExchangeError::Body(1)), &one, "link_down", &[json!(7)]).await;
    let long = json!({ "id": "x".repeat(257) }).to_string();
    check(down, &long, "link_down", &[Value::Null]).await;
    // What the appliance would not echo is not echoed here.
    for body in [r#"{"id":1.5}"#, r#"{"id":9007199254740993}"#, r#"{"id":1,"id":1}"#] {
        check(down, body, "link_down", &[Value::Null]).await;
    }
}

/// What the appliance sees of a body sent to `uri`.
async fn seen(uri: &str, body: &str) -> Vec<u8> {
    let (routes, seen) = proxy(None, true);
    assert_eq!(post(&routes, uri, body).await.0, 203);
    let seen = seen.lock().expect("is whole");
    seen[0].1.clone()
}

/// The call without its proof, which must be this intent's.
fn proved(mut call: Value, intent: &Intent) -> Value {
    let proof = call.as_object_mut().expect("is a call").remove("proof").expect("has a proof");
    let proof = ClientProof::deserialize(proof).expect("is a proof");
    let hash = intent.signing_hash(&manifest(), proof.request_id, proof.expiry);
    let signature = Signature::from_slice(&proof.signature[..64]).expect("is one");
    let id = RecoveryId::from_byte(proof.signature[64]).expect("is one");
    let found = VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, id);
    let key = SigningKey::from_slice(&[0x46; 32]).expect("is a key");
    assert_eq!(&found.expect("recovers"), key.verifying_key(), "{call}");
    call
}

const TYPED: &str = r#"{"types":{"A":[{"name":"n","type":"uint64"}]},"primaryType":"A",
    "domain":{"name":"d","chainId":5},"message":{"n":9007199254740991}}"#;

fn key() -> Address {
    Address::repeat_byte(0x11)
}

/// Every call that signs, with what its proof must name.
fn signing_calls() -> Vec<(Value, Intent)> {
    let typed: Value = serde_json::from_str(TYPED).expect("is JSON");
    let typed_data = Payload::typed_data(TYPED.as_bytes()).expect("is typed data").intent(key());
    let message = Payload::message(b"Hello".to_vec()).expect("is short").intent(key());
    let digest = format!("0x{}", "0a".repeat(32));
    let authorization = Payload::Authorization(alloy_eips::eip7702::Authorization {
        chain_id: U256::from(5),
        address: Address::repeat_byte(0x35),
        nonce: 2,
    });
    let contract = Address::repeat_byte(0x35);
    vec![
        (call("eth_sign", json!([FROM, "0x48656c6c6f"])), message.clone()),
        (call("personal_sign", json!(["0x48656c6c6f", FROM])), message),
        (call("eth_signTypedData", json!([FROM, typed])), typed_data.clone()),
        (call("eth_signTypedData_v4", json!([FROM, TYPED])), typed_data),
        (
            call(
                "signer_signAuthorization",
                json!([{ "from": FROM, "chainId": "0x5", "address": contract, "nonce": 2 }]),
            ),
            authorization.intent(key()),
        ),
        (
            call("signer_signDigest", json!([FROM, digest])),
            Payload::Digest(B256::repeat_byte(0x0a)).intent(key()),
        ),
    ]
}

fn transaction() -> Value {
    json!({ "from": FROM, "to": FROM, "nonce": "0x1", "gas": 21_000, "gasPrice": "0x2" })
}

/// The intent of [`transaction`] on chain 5.
fn transaction_intent() -> Intent {
    let object = read_object(transaction().to_string().as_bytes()).expect("is JSON");
    let asked = TransactionRequest::read(object, Some(5)).expect("is complete");
    Intent::sign_transaction(key(), asked.transaction.signing_hash())
}

#[tokio::test]
async fn every_call_that_signs_gets_a_proof_of_what_it_asks() {
    for (call, intent) in signing_calls() {
        let got = serde_json::from_slice(&seen("/", &call.to_string()).await).expect("is JSON");
        assert_eq!(proved(got, &intent), call);
    }
    let call = call("eth_signTransaction", json!([transaction()]));
    let got = serde_json::from_slice(&seen("/chain/5", &call.to_string()).await).expect("is JSON");
    assert_eq!(proved(got, &transaction_intent()), call);
}

#[tokio::test]
async fn a_call_for_another_chain_than_the_paths_gets_no_proof() {
    let mut of_a_chain = signing_calls();
    // Messages and digests name no chain.
    of_a_chain.retain(|(call, _)| {
        let method = call["method"].as_str().unwrap_or_default();
        method.starts_with("eth_signTypedData") || method == "signer_signAuthorization"
    });
    assert_eq!(of_a_chain.len(), 3);
    let mut own = transaction();
    own["chainId"] = json!("0x5");
    of_a_chain.push((call("eth_signTransaction", json!([own])), transaction_intent()));
    for (call, intent) in of_a_chain {
        let body = call.to_string();
        assert_eq!(seen("/chain/6", &body).await, body.as_bytes(), "{body}");
        let got = serde_json::from_slice(&seen("/chain/5", &body).await).expect("is JSON");
        assert_eq!(proved(got, &intent), call);
    }
}

#[tokio::test]
async fn nothing_is_proved_on_a_path_or_query_that_could_be_read_otherwise() {
    let mut calls: Vec<_> = signing_calls().into_iter().map(|(call, _)| call).collect();
    let mut own = transaction();
    own["chainId"] = json!("0x5");
    calls.push(call("eth_signTransaction", json!([own])));
    for uri in ["/chain/+5", "/chain/05", "/chain/%35", "/chain/5?result=both"] {
        let body = json!(calls).to_string();
        assert_eq!(seen(uri, &body).await, body.as_bytes(), "{uri}");
    }
}

#[tokio::test]
async fn a_proof_that_is_null_is_none() {
    for (mut call, intent) in signing_calls() {
        call["proof"] = Value::Null;
        let got = serde_json::from_slice(&seen("/", &call.to_string()).await).expect("is JSON");
        call.as_object_mut().expect("is a call").remove("proof");
        assert_eq!(proved(got, &intent), call);
    }
}

/// Typed data that the enclave refuses, though lenient readers hash it.
#[tokio::test]
async fn typed_data_that_the_enclave_refuses_gets_no_proof() {
    for (find, put) in [
        ("\"chainId\":5", "\"chainId\":5,\"purpose\":\"x\""),
        ("{\"n\":", "{\"more\":1,\"n\":"),
        ("{\"A\"", "{\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"string\"}],\"A\""),
        ("\"uint64\"", &format!("\"uint64{}\"", "[]".repeat(130_000))),
    ] {
        let text = TYPED.replacen(find, put, 1);
        assert_ne!(text, TYPED);
        let data: Value = serde_json::from_str(&text).expect("is JSON");
        for data in [data, json!(text)] {
            let body = call("eth_signTypedData_v4", json!([FROM, data])).to_string();
            assert_eq!(seen("/", &body).await, body.as_bytes(), "{put:.64}");
        }
    }
}

#[test]
fn it_says_what_it_adds() {
    assert_eq!(added(None), "no client proofs");
    let said = added(Some(&proofs()));
    // The address of this key is EIP-155's example's; the point's x is its public key's.
    assert!(said.starts_with("client proofs of 0x02") || said.starts_with("client proofs of 0x03"));
    assert!(said.ends_with("(address 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F)"), "{said}");
}

#[test]
fn the_appliances_refusal_comes_before_the_proxys() {
    assert!(REQUEST_DEADLINE > LONGEST_REQUEST);
    assert_eq!(LONGEST_REQUEST, Duration::from_secs(340));
}

#[tokio::test]
async fn a_batch_gets_a_proof_for_each_call_that_signs() {
    let (calls, intents): (Vec<_>, Vec<_>) = signing_calls().into_iter().unzip();
    let mut batch = calls.clone();
    batch.insert(0, call("eth_accounts", json!([])));
    batch.push(json!("no call"));
    let got = seen("/", &json!(batch).to_string()).await;
    let mut got: Vec<Value> = serde_json::from_slice(&got).expect("is JSON");
    assert_eq!(got.pop(), batch.pop());
    assert_eq!(got.remove(0), batch[0]);
    assert_eq!(got.len(), calls.len());
    for ((got, call), intent) in got.into_iter().zip(calls).zip(intents) {
        assert_eq!(proved(got, &intent), call);
    }
}

#[tokio::test]
async fn whatever_needs_no_proof_or_cannot_be_read_goes_on_as_it_stands() {
    let good = call("eth_sign", json!([FROM, "0x48656c6c6f"]));
    let with = |name: &str, value: Value| {
        let mut call = good.clone();
        call[name] = value;
        call.to_string()
    };
    let mut notification = good.clone();
    notification.as_object_mut().expect("is a call").remove("id");
    let twice = good.to_string().replacen("\"id\":7", "\"id\":7,\"id\":7", 1);
    let many = vec![good.clone(); 101];
    for body in [
        notification.to_string(),
        with("proof", json!({ "own": 1 })),
        with("method", json!("eth_accounts")),
        with("params", json!([FROM, "Hello"])),
        with("params", json!([FROM, "0x48", "more"])),
        with("params", json!(["0x11", "0x48"])),
        with("params", json!({})),
        call("eth_signTransaction", json!([transaction()])).to_string(),
        call("eth_signTransaction", json!([1])).to_string(),
        call("eth_signTypedData_v4", json!([FROM, {}])).to_string(),
        call("signer_signDigest", json!([FROM, "0x00"])).to_string(),
        call("signer_signAuthorization", json!([{ "from": FROM }])).to_string(),
        call(
            "signer_signAuthorization",
            json!([{ "from": FROM, "chainId": 5, "address": FROM, "nonce": 2, "other": 1 }]),
        )
        .to_string(),
        json!(many).to_string(),
        twice,
        " { \"id\" : 7 } ".to_owned(),
        "not JSON".to_owned(),
        String::new(),
    ] {
        assert_eq!(seen("/", &body).await, body.as_bytes(), "{body}");
    }
    let (routes, seen) = proxy(None, false);
    post(&routes, "/", &good.to_string()).await;
    assert_eq!(seen.lock().expect("is whole")[0].1, good.to_string().as_bytes(), "no key");
}
