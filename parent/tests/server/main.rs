//! The server over its own wire: what clients, probes and the enclave see of it.
//!
//! The enclave is played; what the parent does around it is under test. The real enclave is behind
//! the same server in the suites of `tests/`.

#![allow(clippy::unwrap_used, clippy::panic)]

mod blobs;
mod commands;
mod proxy;
mod requests;
mod stage;

use serde_json::json;
use stage::{Stage, code};
use std::time::Duration;

const FROM: &str = "0x1111111111111111111111111111111111111111";

#[tokio::test]
async fn only_holders_of_a_certificate_are_heard() {
    let stage = Stage::new().await;
    assert_eq!(stage.get("/v1/status").await.0, 200);
    assert!(stage.ask_as(None, stage::Tls::V13).await.is_err(), "no certificate");
    let stranger = stage.stranger();
    assert!(stage.ask_as(Some(stranger), stage::Tls::V13).await.is_err(), "another CA's");
    let own = stage.own_identity();
    assert!(stage.ask_as(Some(own.clone()), stage::Tls::V12).await.is_err(), "TLS 1.2");
    assert!(stage.ask_as(Some(own), stage::Tls::V13).await.is_ok());
}

#[tokio::test]
async fn the_enclave_is_told_the_certificates_name() {
    let stage = Stage::ready().await;
    stage.get("/v1/keys").await;
    let asked = stage.asked();
    let listed = asked.iter().find(|a| a.request == "ListKeys").expect("was asked");
    assert_eq!(listed.asserted.as_deref(), Some("bot.example"));
}

#[tokio::test]
async fn json_rpc_answers_and_refuses_in_its_own_form() {
    let stage = Stage::ready().await;
    let call = |method: &str, params: serde_json::Value| json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params});
    let (status, body) = stage.post("/", &call("eth_accounts", json!([]))).await;
    assert_eq!((status, &body["id"]), (200, &json!(5)));
    assert_eq!(body["result"], json!([FROM]));
    let (_, body) = stage.post("/chain/31337", &call("eth_chainId", json!([]))).await;
    assert_eq!(body["result"], "0x7a69");
    for (path, body, expected) in [
        ("/", call("eth_chainId", json!([])), "malformed_request"),
        ("/", call("eth_sendTransaction", json!([])), "not_found"),
        ("/", call("eth_accounts", json!([1])), "malformed_request"),
        ("/", call("eth_signTransaction", json!([{"from": FROM}])), "invalid_transaction"),
        ("/chain/x", call("eth_chainId", json!([])), "malformed_request"),
        ("/chain/5", call("eth_signTransaction", json!([{"chainId": "0x6"}])), "wrong_chain"),
        ("/?result=both", call("eth_accounts", json!([])), "malformed_request"),
    ] {
        let (status, answer) = stage.post(path, &body).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(answer["error"]["data"]["code"], expected, "{path} {body}: {answer}");
    }
}

#[tokio::test]
async fn rest_refuses_by_problem_documents() {
    let stage = Stage::ready().await;
    for (method, path, body, expected) in [
        ("GET", "/v2/keys", "", (404, "not_found")),
        ("DELETE", "/v1/keys", "", (405, "method_not_allowed")),
        ("POST", "/v1/keys", "{", (400, "malformed_json")),
        ("POST", "/v1/keys", r#"{"nonce":"0x00","nonce":"0x00"}"#, (400, "malformed_json")),
        ("POST", "/v1/keys", r#"{"labels":{}}"#, (400, "malformed_request")),
        ("POST", "/v1/keys", r#"{"nonce":"0x00"}"#, (400, "invalid_nonce")),
        ("POST", "/v1/keys", r#"{"nonce":"0x00","other":1}"#, (400, "malformed_request")),
        ("GET", "/v1/keys?after=1", "", (400, "malformed_request")),
        ("GET", "/v1/keys/0x00", "", (400, "malformed_request")),
        ("GET", "/v1/keys/0x2222222222222222222222222222222222222222", "", (404, "unknown_key")),
        ("GET", "/v1/attestation", "", (400, "invalid_nonce")),
        ("GET", "/v1/attestation?nonce=00", "", (400, "invalid_nonce")),
        ("POST", "/v1/transactions", r#"{"transaction":{}}"#, (400, "invalid_transaction")),
        ("GET", "/v1/keys/%FF", "", (400, "malformed_request")),
        ("POST", "/api/v1/eth1/sign/%FF", "{}", (400, "malformed_request")),
    ] {
        let (status, answer) = stage.send(method, path, body.into()).await;
        let got = (status, answer["code"].as_str().unwrap_or_default());
        assert_eq!(got, expected, "{method} {path} {body}: {answer}");
    }
    let (status, answer) = stage.send("POST", "/v1/keys", "x".repeat(1_048_577)).await;
    assert_eq!((status, code(&answer)), (413, "too_large"));
}

#[tokio::test]
async fn a_vault_is_stored_and_opened_before_it_is_shown() {
    let stage = Stage::new().await;
    stage.reach("no_vault").await;
    let proof = json!({"request_id": format!("0x{}", "01".repeat(32)), "expiry": 1,
        "signature": format!("0x{}", "02".repeat(65))});
    let (status, answer) = stage.post("/v1/vaults", &json!({ "proof": proof })).await;
    assert_eq!((status, answer["state"].as_str()), (201, Some("ready")), "{answer}");
    assert_eq!(std::fs::read(stage.store().join("vault")).unwrap(), b"a vault");
    let asked = stage.asked();
    let made = asked.iter().position(|a| a.request == "CreateVault").expect("was made");
    assert_eq!(asked[made].proofs, 1);
    assert!(asked[made..].iter().any(|a| a.request == "Configure" && a.with_vault));
    let (status, answer) = stage.post("/v1/vaults", &json!({ "proof": proof })).await;
    assert_eq!((status, code(&answer)), (409, "vault_exists"));
}

#[tokio::test]
async fn a_key_that_cannot_be_stored_is_never_shown_or_loaded() {
    let stage = Stage::ready().await;
    let body = json!({"labels": {"team": "a"}, "nonce": format!("0x{}", "07".repeat(16))});
    let (status, answer) = stage.post("/v1/keys", &body).await;
    assert_eq!((status, answer["address"].as_str()), (201, Some(FROM)), "{answer}");
    let loads = || stage.asked().iter().filter(|a| a.request == "LoadRecords").count();
    let before = loads();
    // The played enclave gives every record the same id, so the second one finds its name taken.
    let (status, answer) = stage.post("/v1/keys", &body).await;
    assert_eq!((status, code(&answer)), (409, "store_conflict"));
    assert_eq!(loads(), before);
    assert!(!answer.to_string().contains(FROM));
}

#[tokio::test]
async fn a_stored_key_that_is_not_loaded_is_tried_again_and_then_named() {
    let body = json!({"nonce": format!("0x{}", "07".repeat(16))});
    for (refused, expected) in [(3, (201, "")), (4, (503, "busy"))] {
        let stage = Stage::ready().await;
        stage.refuse_loads(refused);
        let (status, answer) = stage.post("/v1/keys", &body).await;
        assert_eq!((status, code(&answer)), expected, "{answer}");
        assert!(answer.to_string().contains(FROM), "{answer}");
        assert!(stage.store().join("records").join("07".repeat(16)).exists());
    }
}

#[tokio::test]
async fn probes_and_metrics_tell_the_state() {
    let stage = Stage::new().await;
    assert_eq!(stage.ops("/livez").await.0, 200);
    stage.reach("no_vault").await;
    let (status, body) = stage.ops("/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("vault create"), "{body}");
    stage.get("/v1/status").await;
    let (_, metrics) = stage.ops("/metrics").await;
    for name in [
        r#"nitro_signer_requests_total{route="status",code="ok"}"#,
        r#"nitro_signer_request_seconds_bucket{route="status""#,
        "nitro_signer_requests_in_flight",
        "nitro_signer_link_up 1",
        "nitro_signer_ready",
        r#"nitro_signer_relay_connections{state="idle"}"#,
    ] {
        assert!(metrics.contains(name), "{name} in {metrics}");
    }
}

#[tokio::test]
async fn a_request_whose_client_leaves_is_recorded_and_no_longer_in_flight() {
    let stage = Stage::ready().await;
    stage.slow(Duration::from_secs(60));
    let answer = stage.ask_later("/v1/attestation?nonce=00112233445566778899aabbccddeeff");
    while !stage.asked().iter().any(|a| a.request == "Attest") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    answer.abort();
    // The recorder is the process's, so other tests' requests show in it for a moment.
    let expected = [
        r#"nitro_signer_requests_total{route="attestation",code="cancelled"} 1"#,
        "nitro_signer_requests_in_flight 0",
    ];
    for _ in 0..1_000 {
        let (_, metrics) = stage.ops("/metrics").await;
        if expected.iter().all(|line| metrics.lines().any(|l| l == *line)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", stage.ops("/metrics").await.1);
}

#[tokio::test]
async fn a_stop_lets_requests_in_flight_end() {
    let mut stage = Stage::ready().await;
    stage.slow(Duration::from_millis(400));
    let answer = stage.ask_later("/v1/keys");
    tokio::time::sleep(Duration::from_millis(150)).await;
    stage.stop().await;
    assert_eq!(answer.await.unwrap().0, 200);
}

#[tokio::test]
async fn the_command_line_says_by_its_exit_code_what_happened() {
    let stage = Stage::ready().await;
    for (arguments, expected) in [
        (vec!["status"], 0),
        (vec!["--json", "key", "list"], 0),
        (vec!["key", "show", FROM], 0),
        (vec!["key", "show", "0x2222222222222222222222222222222222222222"], 1),
        (vec!["key", "show", "0x22"], 2),
        (vec!["key", "create"], 2),
        (vec!["vault", "create"], 2),
        (vec!["attestation", "fetch"], 0),
        (vec!["status", "--url", "https://127.0.0.1:1"], 7),
        (vec!["no-such-command"], 2),
    ] {
        let code = stage.command(&arguments).await;
        assert_eq!(code, expected, "{arguments:?}");
    }
    // With all that judges at hand, what the played enclave calls a document is no document.
    let code = stage.command(&stage.with_trust(&["key", "create"])).await;
    assert_eq!(code, 3);
}
