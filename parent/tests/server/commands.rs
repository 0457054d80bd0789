//! The command line's `sign …` before an appliance that signs wrongly: it asks rightly, with a
//! proof, and prints nothing.

use crate::FROM;
use crate::stage::Stage;
use serde_json::json;

/// The exit code of a refusal or a mismatch.
const NOT_PRINTED: u8 = 1;

#[tokio::test]
async fn each_kind_is_asked_with_a_proof_and_a_false_signature_is_not_printed() {
    let stage = Stage::ready().await;
    let file = |name: &str, text: &str| {
        let path = stage.store().with_file_name(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // The played enclave answers the same signature to everything.
    let trust = |arguments: &[&str]| {
        let all = stage.with_trust(arguments);
        let at = all.iter().position(|a| a == "--expect").unwrap();
        [&all[..at], &all[at + 2..]].concat()
    };
    let check = async |arguments: &[&str], asked: (&'static str, serde_json::Value)| {
        assert_eq!(stage.command(&trust(arguments)).await, NOT_PRINTED, "{arguments:?}");
        let (name, what, proofs) = stage.signed();
        assert_eq!((name, what, proofs), (asked.0, asked.1, 1), "{arguments:?}");
    };
    let hello = || ("SignMessage", json!([FROM, "0x68656c6c6f"]));
    check(&["sign", "message", "--from", FROM, "--text", "hello"], hello()).await;
    check(&["sign", "message", "--from", FROM, "--hex", "0x68656c6c6f"], hello()).await;
    let message = file("message", "hello");
    check(&["sign", "message", "--from", FROM, &message], hello()).await;

    let text = r#" {"types":{"A":[{"name":"n","type":"uint64"}]},"primaryType":"A",
        "domain":{"name":"d"},"message":{"n":1}}"#;
    let typed_data = file("typed.json", text);
    let asked = ("SignTypedData", json!([FROM, text]));
    check(&["sign", "typed-data", &typed_data, "--from", FROM], asked).await;

    let authorization =
        ["sign", "authorization", "--from", FROM, "--address", FROM, "--nonce", "7"];
    let asked = |chain: u64| ("SignAuthorization", json!([FROM, chain, FROM, 7]));
    check(&[&authorization[..], &["--chain-id", "5"]].concat(), asked(5)).await;
    check(&[&authorization[..], &["--any-chain"]].concat(), asked(0)).await;

    let digest = format!("0x{}", "0a".repeat(32));
    let asked = ("SignDigest", json!([FROM, digest]));
    check(&["sign", "digest", &digest, "--from", FROM], asked).await;
}

#[tokio::test]
async fn typed_data_that_the_enclave_would_refuse_is_not_asked_for() {
    let stage = Stage::ready().await;
    let path = stage.store().with_file_name("typed.json");
    let good = r#"{"types":{"A":[{"name":"n","type":"uint64"}]},"primaryType":"A",
        "domain":{"name":"d"},"message":{"n":1}}"#;
    for (find, put) in [
        ("{\"name\":\"d\"}", "{\"name\":\"d\",\"purpose\":\"x\"}"),
        ("{\"n\":1}", "{\"n\":1,\"more\":2}"),
        ("{\"A\"", "{\"EIP712Domain\":[{\"name\":\"name\",\"type\":\"bytes32\"}],\"A\""),
    ] {
        let text = good.replacen(find, put, 1);
        assert_ne!(text, good);
        std::fs::write(&path, text).unwrap();
        let arguments =
            ["sign", "typed-data", path.to_str().unwrap(), "--from", FROM, "--without-proof"];
        assert_eq!(stage.command(&arguments).await, 2, "{put}");
    }
    assert!(stage.asked().iter().all(|asked| asked.request != "SignTypedData"));
}

#[tokio::test]
async fn what_is_asked_twice_or_not_at_all_is_no_command() {
    let stage = Stage::ready().await;
    let digest = format!("0x{}", "0a".repeat(32));
    for arguments in [
        &["sign", "message", "--from", FROM][..],
        &["sign", "message", "--from", FROM, "--text", "a", "--hex", "0x00"],
        &["sign", "message", "--from", FROM, "--hex", "00"],
        &["sign", "message", "--text", "a"],
        &["sign", "authorization", "--from", FROM, "--address", FROM, "--nonce", "7"],
        &[
            "sign",
            "authorization",
            "--from",
            FROM,
            "--address",
            FROM,
            "--nonce",
            "7",
            "--chain-id",
            "5",
            "--any-chain",
        ],
        &[
            "sign",
            "authorization",
            "--from",
            FROM,
            "--address",
            FROM,
            "--nonce",
            "7",
            "--chain-id",
            "0",
        ],
        &["sign", "digest", &digest[2..], "--from", FROM],
        &["sign", "digest", &digest, "--from", "0x11"],
    ] {
        assert_eq!(stage.command(arguments).await, 2, "{arguments:?}");
    }
    assert!(stage.asked().iter().all(|asked| !asked.request.starts_with("Sign")));
}
