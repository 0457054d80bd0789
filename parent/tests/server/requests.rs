//! Every kind of request by every interface: what reaches the enclave is what was asked, and each
//! refusal has the interface's own form.

use crate::FROM;
use crate::stage::{Stage, code};
use serde_json::{Value, json};

const TO: &str = "0x2222222222222222222222222222222222222222";
const DENIED: &str = "0x9999999999999999999999999999999999999999";
/// Keccak-256 of `hello`.
const HELLO_HASH: &str = "0x1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8";

fn word(byte: &str) -> String {
    format!("0x{}", byte.repeat(32))
}

/// The played enclave's signature as r || s || v.
fn signature() -> String {
    format!("0x{}{}1c", "04".repeat(32), "05".repeat(32))
}

fn call(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params })
}

fn proof() -> Value {
    json!({
        "request_id": word("01"), "expiry": 1, "signature": format!("0x{}", "02".repeat(65)),
    })
}

fn typed_data(chain_id: Value) -> Value {
    json!({
        "types": { "A": [{ "name": "n", "type": "uint64" }] },
        "primaryType": "A",
        "domain": { "name": "test", "chainId": chain_id },
        "message": { "n": 18_446_744_073_709_551_615_u64 },
    })
}

/// An unsigned transaction, and the payload by which EIP-155 hashes it.
fn transaction() -> (Value, &'static str) {
    // EIP-155's own example.
    let transaction = json!({
        "from": FROM, "chainId": "0x1", "nonce": "0x9", "gasPrice": "0x4a817c800", "gas": "0x5208",
        "to": "0x3535353535353535353535353535353535353535", "value": "0xde0b6b3a7640000",
    });
    let payload = "0xec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a7640\
                   00080018080";
    (transaction, payload)
}

#[tokio::test]
async fn json_rpc_hands_on_exactly_what_was_asked() {
    let stage = Stage::ready().await;
    let check = async |path: &str, body: Value, asked: (&'static str, Value), result: Value| {
        let (status, answer) = stage.post(path, &body).await;
        assert_eq!((status, &answer["result"]), (200, &result), "{body}: {answer}");
        let (name, what, proofs) = stage.signed();
        assert_eq!((name, what), asked, "{body}");
        assert_eq!(proofs, 0);
    };
    let (tx, payload) = transaction();
    let signed = || json!(signature());
    let asked = ("SignTransaction", json!([FROM, payload]));
    check("/", call("eth_signTransaction", json!([tx])), asked, json!(payload)).await;
    let asked = || ("SignMessage", json!([FROM, "0x68656c6c6f"]));
    check("/", call("eth_sign", json!([FROM, "0x68656c6c6f"])), asked(), signed()).await;
    check("/", call("personal_sign", json!(["0x68656c6c6f", FROM])), asked(), signed()).await;
    check("/chain/1", call("personal_sign", json!(["0x68656C6C6F", FROM])), asked(), signed())
        .await;
    let data = typed_data(json!(5));
    for method in ["eth_signTypedData", "eth_signTypedData_v4"] {
        for path in ["/", "/chain/5"] {
            // As a string, byte for byte; as an object, the same JSON.
            let text = format!(" {data} ");
            let asked = ("SignTypedData", json!([FROM, text]));
            check(path, call(method, json!([FROM, text])), asked, signed()).await;
            let (_, answer) = stage.post(path, &call(method, json!([FROM, data]))).await;
            assert_eq!(answer["result"], signed());
            let (_, what, _) = stage.signed();
            let passed: Value = serde_json::from_str(what[1].as_str().unwrap()).unwrap();
            assert_eq!(passed, data);
        }
    }
    let asked = ("SignDigest", json!([FROM, word("ab")]));
    check("/", call("signer_signDigest", json!([FROM, word("ab")])), asked, signed()).await;
}

#[tokio::test]
async fn an_authorization_comes_back_as_an_item_of_a_transactions_list() {
    let stage = Stage::ready().await;
    let asked = |chain| json!([{ "from": FROM, "chainId": chain, "address": TO, "nonce": "0x7" }]);
    for (path, chain, expected) in [("/", "0x5", 5), ("/chain/5", "0x5", 5), ("/chain/5", "0x0", 0)]
    {
        let (_, answer) = stage.post(path, &call("signer_signAuthorization", asked(chain))).await;
        let expected_answer = json!({
            "chainId": expected, "address": TO, "nonce": 7, "yParity": 1,
            "r": word("04"), "s": word("05"), "signature": signature(),
        });
        assert_eq!(answer["result"], expected_answer, "{answer}");
        let reached = ("SignAuthorization", json!([FROM, expected, TO, 7]), 0);
        assert_eq!(stage.signed(), reached);
    }
}

#[tokio::test]
async fn json_rpc_says_who_answers() {
    let stage = Stage::ready().await;
    let version = env!("CARGO_PKG_VERSION");
    let (_, answer) = stage.post("/", &call("health_status", json!([]))).await;
    assert_eq!(answer["result"], version);
    let (_, answer) = stage.post("/", &call("web3_clientVersion", json!([]))).await;
    assert_eq!(answer["result"], format!("nitro-signer/{version}"));
}

#[tokio::test]
async fn json_rpc_refuses_what_it_cannot_hand_on() {
    let stage = Stage::ready().await;
    let authorization = |chain: u8, more: &str| {
        let text =
            format!(r#"{{"from":"{FROM}","chainId":{chain},"address":"{TO}","nonce":0{more}}}"#);
        call("signer_signAuthorization", json!([serde_json::from_str::<Value>(&text).unwrap()]))
    };
    let typed = |data| call("eth_signTypedData_v4", json!([FROM, data]));
    for (path, body, expected) in [
        ("/", call("eth_sign", json!([FROM, "hello"])), "invalid_message"),
        ("/", call("eth_sign", json!([FROM])), "malformed_request"),
        ("/", call("eth_sign", json!(["0x68656c6c6f", FROM])), "malformed_request"),
        ("/", call("eth_sign", json!([DENIED, "0x00"])), "policy_denied"),
        ("/", call("eth_sign", json!([TO, "0x00"])), "unknown_key"),
        ("/", call("personal_sign", json!(["hello", FROM])), "invalid_message"),
        ("/", call("personal_sign", json!([FROM, "0x68656c6c6f"])), "malformed_request"),
        ("/", call("personal_sign", json!(["0x00", FROM, "secret"])), "malformed_request"),
        ("/", call("eth_signTypedData_v3", json!([FROM, {}])), "not_found"),
        ("/", typed(json!([])), "invalid_typed_data"),
        ("/", typed(json!("{")), "malformed_json"),
        ("/", typed(json!({ "message": { "n": 0.5 } })), "invalid_typed_data"),
        ("/chain/5", typed(typed_data(json!(6))), "wrong_chain"),
        ("/chain/5", typed(json!(typed_data(json!("0x6")).to_string())), "wrong_chain"),
        ("/chain/5", typed(typed_data(Value::Null)), "invalid_typed_data"),
        ("/chain/5", authorization(6, ""), "wrong_chain"),
        ("/", authorization(6, r#","v":1"#), "invalid_authorization"),
        ("/", call("signer_signAuthorization", json!([FROM])), "malformed_request"),
        ("/", call("signer_signDigest", json!([FROM, "0xab"])), "malformed_request"),
        ("/", call("signer_signDigest", json!(["0xab", word("ab")])), "malformed_request"),
        ("/", call("health_status", json!([1])), "malformed_request"),
        ("/", call("web3_clientVersion", json!([1])), "malformed_request"),
    ] {
        let (status, answer) = stage.post(path, &body).await;
        assert_eq!((status, &answer["id"]), (200, &json!(5)), "{body}");
        let error = &answer["error"];
        assert_eq!(error["data"]["code"], expected, "{path} {body}: {answer}");
        assert_eq!(error["message"], error["data"]["detail"]);
        assert!(!answer.to_string().contains("secret"));
    }
    let long = call("eth_sign", json!([FROM, format!("0x{}", "00".repeat(131_073))]));
    let (status, answer) = stage.post("/", &long).await;
    assert_eq!((status, &answer["error"]["data"]["code"]), (413, &json!("too_large")));
}

#[tokio::test]
async fn rest_hands_on_exactly_what_was_asked() {
    let stage = Stage::ready().await;
    let hash = json!({
        "signature": signature(), "signing_hash": word("03"), "r": word("04"), "s": word("05"),
        "y_parity": 1,
    });
    let (tx, payload) = transaction();
    let signed_tx = json!({
        "raw": payload, "transaction_hash": word("06"), "signing_hash": word("03"),
        "r": word("04"), "s": word("05"), "y_parity": 1,
    });
    let signed_authorization = json!({
        "chain_id": 5, "address": TO, "nonce": 7, "signing_hash": word("03"),
        "r": word("04"), "s": word("05"), "y_parity": 1,
    });
    let text = typed_data(json!(5)).to_string();
    for (path, body, asked, expected) in [
        (
            "/v1/transactions",
            json!({ "transaction": tx }),
            ("SignTransaction", json!([FROM, payload])),
            &signed_tx,
        ),
        (
            "/v1/messages",
            json!({ "from": FROM, "message": "0x68656c6c6f" }),
            ("SignMessage", json!([FROM, "0x68656c6c6f"])),
            &hash,
        ),
        (
            "/v1/typed-data",
            json!({ "from": FROM, "typed_data": text }),
            ("SignTypedData", json!([FROM, text])),
            &hash,
        ),
        (
            "/v1/authorizations",
            json!({ "from": FROM, "chain_id": 5, "address": TO, "nonce": "0x7" }),
            ("SignAuthorization", json!([FROM, 5, TO, 7])),
            &signed_authorization,
        ),
        (
            "/v1/digests",
            json!({ "from": FROM, "digest": word("ab") }),
            ("SignDigest", json!([FROM, word("ab")])),
            &hash,
        ),
    ] {
        for proofs in [0, 1] {
            let mut body = body.clone();
            if proofs == 1 {
                body["proof"] = proof();
            }
            let (status, answer) = stage.post(path, &body).await;
            assert_eq!((status, &answer), (200, expected), "{path}");
            assert_eq!(stage.signed(), (asked.0, asked.1.clone(), proofs), "{path}");
        }
    }
}

#[tokio::test]
async fn rest_refuses_what_it_cannot_hand_on() {
    let stage = Stage::ready().await;
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let message = json!({ "from": FROM, "message": "0x00" });
    let typed = json!({ "from": FROM, "typed_data": {} });
    let authorization = json!({ "from": FROM, "chain_id": 5, "address": TO, "nonce": 7 });
    let digest = json!({ "from": FROM, "digest": word("ab") });
    let transaction = json!({ "transaction": transaction().0 });
    for (path, body) in [
        ("/v1/messages", &message),
        ("/v1/typed-data", &typed),
        ("/v1/authorizations", &authorization),
        ("/v1/digests", &digest),
        ("/v1/transactions", &transaction),
    ] {
        let unknown = if path == "/v1/authorizations" {
            "invalid_authorization"
        } else {
            "malformed_request"
        };
        for (body, expected) in [
            (with(body.clone(), "other", json!(1)), (400, unknown)),
            (with(body.clone(), "proof", json!(1)), (400, "malformed_request")),
            (json!([]), (400, "malformed_request")),
        ] {
            let (status, answer) = stage.post(path, &body).await;
            assert_eq!((status, code(&answer)), expected, "{path} {body}: {answer}");
        }
    }
    for (path, body, expected) in [
        ("/v1/messages", with(message.clone(), "from", json!(DENIED)), (403, "policy_denied")),
        ("/v1/messages", with(message.clone(), "from", json!(TO)), (404, "unknown_key")),
        ("/v1/messages", with(message.clone(), "from", Value::Null), (400, "malformed_request")),
        ("/v1/messages", with(message.clone(), "message", json!("hi")), (400, "invalid_message")),
        ("/v1/messages", with(message, "message", Value::Null), (400, "malformed_request")),
        (
            "/v1/typed-data",
            with(typed.clone(), "typed_data", json!(1)),
            (400, "invalid_typed_data"),
        ),
        ("/v1/typed-data", with(typed.clone(), "typed_data", json!("[")), (400, "malformed_json")),
        ("/v1/typed-data", with(typed, "typed_data", Value::Null), (400, "malformed_request")),
        (
            "/v1/authorizations",
            with(authorization, "nonce", json!("7")),
            (400, "invalid_authorization"),
        ),
        ("/v1/digests", with(digest, "digest", json!("0xab")), (400, "malformed_request")),
    ] {
        let (status, answer) = stage.post(path, &body).await;
        assert_eq!((status, code(&answer)), expected, "{path} {body}: {answer}");
    }
}

#[tokio::test]
async fn a_path_without_a_query_takes_none() {
    let stage = Stage::ready().await;
    let sign = format!("/api/v1/eth1/sign/{FROM}");
    for (path, body, own) in [
        ("/v1/messages", json!({ "from": FROM, "message": "0x00" }), 200),
        ("/v1/typed-data", json!({ "from": FROM, "typed_data": typed_data(json!(5)) }), 200),
        (
            "/v1/authorizations",
            json!({ "from": FROM, "chain_id": 5, "address": TO, "nonce": 7 }),
            200,
        ),
        ("/v1/digests", json!({ "from": FROM, "digest": word("ab") }), 200),
        ("/v1/transactions", json!({ "transaction": transaction().0 }), 200),
        ("/v1/keys", json!({ "nonce": "0x00" }), 0),
        ("/v1/vaults", json!({}), 0),
        (sign.as_str(), json!({ "data": "0x00" }), 0),
    ] {
        for query in ["chain=5", "from", "result=raw"] {
            let (status, answer) = stage.post(&format!("{path}?{query}"), &body).await;
            assert_eq!((status, code(&answer)), (400, "malformed_request"), "{path}: {answer}");
            assert!(answer["detail"].as_str().unwrap().contains("query"), "{path}: {answer}");
        }
        if own != 0 {
            assert_eq!(stage.post(path, &body).await.0, own, "{path}");
        }
    }
    let (status, answer) = stage
        .post("/v1/digests?sidecar=eip4844", &json!({ "from": FROM, "digest": word("ab") }))
        .await;
    assert_eq!((status, code(&answer)), (400, "malformed_request"), "{answer}");
}

#[tokio::test]
async fn a_proof_stands_beside_the_parameters_of_its_call() {
    let stage = Stage::ready().await;
    let mut proved = call("eth_sign", json!([FROM, "0x00"]));
    proved["proof"] = proof();
    stage.post("/", &proved).await;
    assert_eq!(stage.signed().2, 1);
    let batch = json!([call("eth_sign", json!([FROM, "0x01"])), proved]);
    stage.post("/", &batch).await;
    let asked = stage.asked();
    let proofs = |message: &str| {
        let found = asked.iter().rev().find(|a| a.what == json!([FROM, message]));
        found.expect("was asked").proofs
    };
    assert_eq!((proofs("0x01"), proofs("0x00")), (0, 1));
    proved["proof"] = json!({});
    let (_, answer) = stage.post("/", &proved).await;
    assert_eq!(answer["error"]["data"]["code"], "malformed_request");
}

#[tokio::test]
async fn a_batch_is_answered_in_order_and_each_item_alone() {
    let stage = Stage::ready().await;
    let sign = |id: Value, from: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_sign", "params": [from, "0x00"] });
    let items = json!([
        sign(json!(1), FROM),
        sign(json!("two"), DENIED),
        7,
        { "jsonrpc": "2.0", "method": "eth_accounts" },
        { "jsonrpc": "2.0", "id": 5, "method": "eth_sendTransaction" },
        [],
        sign(json!(7), FROM),
    ]);
    let (status, answer) = stage.post("/chain/5", &items).await;
    assert_eq!(status, 200);
    let seen: Vec<_> = answer
        .as_array()
        .unwrap()
        .iter()
        .map(|a| {
            (a["id"].clone(), a["error"]["data"]["code"].as_str().unwrap_or("signed").to_owned())
        })
        .collect();
    let expected = [
        (json!(1), "signed"),
        (json!("two"), "policy_denied"),
        (Value::Null, "malformed_request"),
        (Value::Null, "malformed_request"),
        (json!(5), "not_found"),
        (Value::Null, "malformed_request"),
        (json!(7), "signed"),
    ];
    let expected: Vec<_> = expected.map(|(id, code)| (id, code.to_owned())).into();
    assert_eq!(seen, expected);
    assert_eq!(answer[0]["result"], signature());
}

#[tokio::test]
async fn a_batch_has_one_to_a_hundred_items() {
    let stage = Stage::ready().await;
    let calls = |count| json!(vec![call("web3_clientVersion", json!([])); count]);
    for (count, expected) in [(0, (200, "malformed_request")), (101, (413, "too_large"))] {
        let (status, answer) = stage.post("/", &calls(count)).await;
        let code = answer["error"]["data"]["code"].as_str().unwrap();
        assert_eq!((status, code), expected, "{count}");
        assert_eq!(answer["id"], Value::Null);
    }
    let (status, answer) = stage.post("/", &calls(100)).await;
    assert_eq!((status, answer.as_array().map(Vec::len)), (200, Some(100)));

    let request = json!({ "method": "sign_message", "from": FROM, "message": "0x00" });
    let requests = |count| json!({ "requests": vec![request.clone(); count] });
    for (count, expected) in [(0, (400, "malformed_request")), (101, (413, "too_large"))] {
        let (status, answer) = stage.post("/v1/batch", &requests(count)).await;
        assert_eq!((status, code(&answer)), expected, "{count}");
    }
    let (status, answer) = stage.post("/v1/batch", &requests(100)).await;
    assert_eq!((status, answer["results"].as_array().map(Vec::len)), (200, Some(100)));
}

#[tokio::test]
async fn the_items_of_a_batch_are_counted_one_by_one() {
    let stage = Stage::ready().await;
    let bad = json!({ "jsonrpc": "2.0", "id": 1, "method": "signer_signDigest", "params": [] });
    let mut good = bad.clone();
    good["params"] = json!([FROM, word("ab")]);
    stage.post("/", &json!([bad, good, bad])).await;
    let rest =
        json!({ "requests": [{ "method": "sign_digest", "from": FROM, "digest": word("ab") }] });
    stage.post("/v1/batch", &rest).await;
    let (_, metrics) = stage.ops("/metrics").await;
    let counted = |route: &str, code: &str| {
        let name = format!(r#"nitro_signer_requests_total{{route="{route}",code="{code}"}} "#);
        let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    // The recorder is the process's, so other tests' requests show in it too.
    assert!(counted("signer_signDigest", "malformed_request") >= 2, "{metrics}");
    assert!(counted("signer_signDigest", "ok") >= 1, "{metrics}");
    assert!(counted("json_rpc_batch", "ok") >= 1, "{metrics}");
    assert!(counted("sign_digest", "ok") >= 1, "{metrics}");
    assert!(counted("batch", "ok") >= 1, "{metrics}");
}

#[tokio::test]
async fn a_rest_batch_has_a_result_per_request() {
    let stage = Stage::ready().await;
    let mut proved = json!({ "method": "sign_digest", "from": FROM, "digest": word("ab") });
    proved["proof"] = proof();
    let requests = json!({ "requests": [
        { "method": "sign_transaction", "transaction": transaction().0 },
        { "method": "sign_message", "from": DENIED, "message": "0x00" },
        { "method": "sign_typed_data", "from": FROM, "typed_data": typed_data(json!(5)) },
        { "method": "sign_authorization", "from": FROM, "chain_id": 5, "address": TO, "nonce": 7 },
        { "method": "sign_everything" },
        { "from": FROM },
        1,
        proved,
    ] });
    let (status, answer) = stage.post("/v1/batch", &requests).await;
    assert_eq!(status, 200, "{answer}");
    let results = answer["results"].as_array().unwrap();
    let seen: Vec<_> =
        results.iter().map(|r| (r["status"].as_u64().unwrap(), code(&r["body"]))).collect();
    let expected = [
        (200, ""),
        (403, "policy_denied"),
        (200, ""),
        (200, ""),
        (404, "not_found"),
        (400, "malformed_request"),
        (400, "malformed_request"),
        (200, ""),
    ];
    assert_eq!(seen, expected);
    assert_eq!(results[0]["body"]["transaction_hash"], word("06"));
    assert_eq!(results[1]["body"]["status"], 403);
    assert_eq!(results[2]["body"]["signature"], signature());
    assert_eq!(results[3]["body"]["chain_id"], 5);
    let asked = stage.asked();
    let proofs = |request: &str| asked.iter().find(|a| a.request == request).unwrap().proofs;
    assert_eq!((proofs("SignMessage"), proofs("SignDigest")), (0, 1));
    for body in [json!({}), json!({ "requests": 1 }), json!({ "requests": [1], "other": 1 })] {
        let (status, answer) = stage.post("/v1/batch", &body).await;
        assert_eq!((status, code(&answer)), (400, "malformed_request"), "{body}");
    }
}

#[tokio::test]
async fn web3signers_clients_find_their_routes() {
    let stage = Stage::ready().await;
    let (status, kind, text) = stage.text("GET", "/upcheck", "").await;
    assert_eq!((status, text.as_str()), (200, "OK"));
    assert!(kind.starts_with("text/plain"), "{kind}");
    let (status, keys) = stage.get("/api/v1/eth1/publicKeys").await;
    let public_key = format!("0x{}", "22".repeat(64));
    assert_eq!((status, keys), (200, json!([public_key])));
    let path = format!("/api/v1/eth1/sign/{FROM}");
    let body = json!({ "data": "0x68656c6c6f", "proof": proof() }).to_string();
    let (status, kind, text) = stage.text("POST", &path, &body).await;
    assert_eq!((status, text), (200, signature()));
    assert!(kind.starts_with("text/plain"), "{kind}");
    assert_eq!(stage.signed(), ("SignDigest", json!([FROM, HELLO_HASH]), 1));
    for (key, body, expected) in [
        (DENIED, r#"{"data":"0x00"}"#, (403, "policy_denied")),
        // The public key's address is another than the one that is held.
        (public_key.as_str(), r#"{"data":"0x00"}"#, (404, "unknown_key")),
        ("0x00", r#"{"data":"0x00"}"#, (400, "malformed_request")),
        (FROM, r#"{"data":"hello"}"#, (400, "malformed_request")),
        (FROM, r#"{"data":"0x00","other":1}"#, (400, "malformed_request")),
        (FROM, r#"{"data":"0x00","proof":1}"#, (400, "malformed_request")),
        (FROM, "{}", (400, "malformed_request")),
        (FROM, "", (400, "malformed_json")),
    ] {
        let (status, answer) =
            stage.send("POST", &format!("/api/v1/eth1/sign/{key}"), body.to_owned()).await;
        assert_eq!((status, code(&answer)), expected, "{key} {body}: {answer}");
    }
}

#[tokio::test]
async fn a_key_is_shown_with_its_public_key() {
    let stage = Stage::ready().await;
    let public_key = json!(format!("0x{}", "22".repeat(64)));
    assert_eq!(stage.get("/v1/keys").await.1["keys"][0]["public_key"], public_key);
    assert_eq!(stage.get(&format!("/v1/keys/{FROM}")).await.1["public_key"], public_key);
}

#[tokio::test]
async fn a_listing_of_every_key_goes_through_every_page() {
    let stage = Stage::ready().await;
    stage.two_pages();
    let (_, answer) = stage.post("/", &call("eth_accounts", json!([]))).await;
    assert_eq!(answer["result"], json!([FROM, DENIED]));
    let (_, keys) = stage.get("/api/v1/eth1/publicKeys").await;
    assert_eq!(keys, json!([format!("0x{}", "22".repeat(64)), format!("0x{}", "32".repeat(64))]));
}

#[tokio::test]
async fn the_description_names_every_method_of_every_route() {
    let stage = Stage::ready().await;
    let (_, document) = stage.get("/openapi.json").await;
    for (path, described) in document["paths"].as_object().unwrap() {
        let path =
            path.replace("{id}", "1").replace("{address}", FROM).replace("{identifier}", FROM);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            let (status, allowed) = stage.allowed(method, &path).await;
            let known = described.get(method.to_lowercase()).is_some();
            assert_eq!(status != 405, known, "{method} {path}");
            assert_eq!(allowed.is_empty(), known, "{method} {path} {allowed}");
        }
    }
}

#[tokio::test]
async fn the_descriptions_examples_work() {
    let stage = Stage::ready().await;
    let (_, document) = stage.get("/openapi.json").await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "1").replace("{identifier}", FROM);
        let content = &item["post"]["requestBody"]["content"]["application/json"];
        for (name, example) in content["examples"].as_object().into_iter().flatten() {
            let body = example["value"].to_string();
            let (status, _, text) = stage.text("POST", &path, &body).await;
            // The stage has its vault already, and `/` serves no one chain.
            let excused = path == "/v1/vaults" || (path == "/" && name == "eth_chainId");
            let good = (200..300).contains(&status) && !text.contains("error");
            assert!(good || excused, "{path} {name}: {status} {text}");
            if path == "/v1/batch" {
                let answer: Value = serde_json::from_str(&text).unwrap();
                let results = answer["results"].as_array().unwrap();
                assert!(
                    !results.is_empty() && results.iter().all(|r| r["status"] == 200),
                    "{text}"
                );
            }
            tried += 1;
        }
    }
    assert!(tried > 30, "{tried}");
}
