//! The event log, as whoever watches CloudTrail would read it; and faults of the clock.

use super::world::{
    ADMINISTRATOR, APPLIANCE, ENCLAVE, IMAGE, KEY, MANIFEST, World, bytes, recipient,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nitro_signer_tests::kms::{Fault, Operation, Outcome};
use serde_json::{Value, json};
use std::fs;

fn trail(world: &World) -> Vec<Value> {
    world.kms.trail().iter().map(|event| serde_json::to_value(event).expect("JSON")).collect()
}

#[tokio::test]
async fn a_decryption_by_an_enclave_shows_its_measurements() {
    let world = World::start().await;
    let (key, input, _) = world.vault().await;
    world.answer(&ENCLAVE, "Decrypt", &input).await;
    let event = trail(&world).pop().expect("an event");
    let text = |name: &str| event[name].as_str().expect(name).to_owned();
    assert_eq!(text("eventName"), "Decrypt");
    assert_eq!(text("eventSource"), "kms.amazonaws.com");
    assert_eq!(text("eventTime"), "2026-05-28T20:26:40Z");
    assert_eq!(text("awsRegion"), "eu-central-1");
    assert_eq!(text("sourceIPAddress"), "127.0.0.1");
    assert_eq!((&event["readOnly"], &event["errorCode"]), (&json!(true), &Value::Null));
    assert_eq!(
        event["requestParameters"],
        json!({
            "keyId": key, "encryptionContext": { "vault": "main" },
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
        })
    );
    assert_eq!(event["responseElements"], Value::Null);
    let resource = json!({ "accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": key });
    assert_eq!(event["resources"], json!([resource]));
    let identity = &event["userIdentity"];
    assert_eq!((&identity["type"], &identity["arn"]), (&json!("AssumedRole"), &json!(APPLIANCE)));
    assert_eq!(identity["accountId"], "111122223333");
    let role = "arn:aws:iam::111122223333:role/appliance";
    assert_eq!(identity["sessionContext"]["sessionIssuer"]["arn"], role);
    let recipient = &event["additionalEventData"]["recipient"];
    let module = recipient["attestationDocumentModuleId"].as_str().expect("an id");
    assert!(module.starts_with("i-") && module.contains("-enc"), "{module}");
    for (name, pcr) in [("ImageDigest", IMAGE[0]), ("PCR1", IMAGE[1]), ("PCR2", IMAGE[2])] {
        let name = format!("attestationDocumentEnclave{name}");
        assert_eq!(recipient[name], STANDARD.encode(pcr));
    }
    for name in ["PCR3", "PCR4", "PCR8"] {
        let pcr = bytes(recipient, &format!("attestationDocumentEnclave{name}"));
        assert_eq!(pcr.len(), 48);
    }
    // Neither PCR16 nor anything secret is shown.
    assert_eq!(recipient.as_object().expect("an object").len(), 7);
    let all = json!(trail(&world)).to_string();
    for secret in [&input["CiphertextBlob"], &input["Recipient"]["AttestationDocument"]] {
        assert!(!all.contains(secret.as_str().expect("text")));
    }
}

#[tokio::test]
async fn refusals_are_shown_with_their_reason_and_strangers_not_at_all() {
    let world = World::start().await;
    let (key, mut input, _) = world.vault().await;
    let before = trail(&world).len();
    let other = world.nsm([[9; 48], IMAGE[1], IMAGE[2]], MANIFEST);
    input["Recipient"] = recipient(&other.document(None, None, Some(&KEY.spki)));
    world.refusal(&ENCLAVE, "Decrypt", &input).await;
    let event = trail(&world).pop().expect("an event");
    assert_eq!(event["errorCode"], "AccessDenied");
    let message = event["errorMessage"].as_str().expect("a text");
    assert!(message.contains("is not authorized to perform: kms:Decrypt"), "{message}");
    assert_eq!(event["requestParameters"], Value::Null);
    assert_eq!(event["resources"][0]["ARN"], key);
    let digest =
        &event["additionalEventData"]["recipient"]["attestationDocumentEnclaveImageDigest"];
    assert_eq!(*digest, STANDARD.encode([9; 48]));
    // A document that is not authentic says nothing of anybody.
    input["Recipient"]["AttestationDocument"] = "AAAA".into();
    world.refusal(&ENCLAVE, "Decrypt", &input).await;
    let event = trail(&world).pop().expect("an event");
    assert_eq!(event["errorCode"], "ValidationException");
    assert_eq!(event.get("additionalEventData"), None);
    let stranger = super::world::Caller { secret: "another", ..ADMINISTRATOR };
    world.refusal(&stranger, "ListKeys", &json!({})).await;
    assert_eq!(trail(&world).len(), before + 2);
}

#[tokio::test]
async fn administration_is_shown_and_written_to_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("trail.jsonl");
    let world = World::start_as(|options| options.trail = Some(path.clone())).await;
    let key = world.create(json!({ "Description": "d" })).await["Arn"].clone();
    let encrypt = json!({ "KeyId": key, "Plaintext": "c2VjcmV0IQ==" });
    world.administrate("Encrypt", &encrypt).await;
    let grant = json!({
        "KeyId": key, "Operations": ["Decrypt"],
        "GranteePrincipal": "arn:aws:iam::111122223333:user/user",
    });
    let granted = world.administrate("CreateGrant", &grant).await;
    let events = trail(&world);
    assert_eq!(events[0]["responseElements"]["keyMetadata"]["arn"], key);
    assert_eq!(events[0]["resources"][0]["ARN"], key);
    assert_eq!((&events[0]["readOnly"], &events[1]["readOnly"]), (&json!(false), &json!(true)));
    assert_eq!(events[0]["userIdentity"]["type"], "IAMUser");
    assert_eq!(events[0]["userIdentity"]["userName"], "administrator");
    assert_eq!(events[2]["responseElements"], json!({ "grantId": granted["GrantId"] }));
    assert_eq!(events[2]["requestParameters"]["operations"], json!(["Decrypt"]));
    let text = fs::read_to_string(&path).expect("is written");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, events);
    assert!(
        !text.contains("c2VjcmV0IQ==")
            && !text.contains(granted["GrantToken"].as_str().expect("text"))
    );
}

#[tokio::test]
async fn a_stale_clock_judges_signatures_documents_and_dates() {
    let world = World::start().await;
    let (_, input, _) = world.vault().await;
    let stale = |ms| world.kms.inject(Operation::Decrypt, 0, Fault::StaleClock(ms));
    stale(-301_000);
    let (name, text) = world.refusal(&ENCLAVE, "Decrypt", &input).await;
    assert_eq!(name, "InvalidSignatureException");
    assert!(text.contains("not yet current"), "{text}");
    stale(301_000);
    let (_, text) = world.refusal(&ENCLAVE, "Decrypt", &input).await;
    assert!(text.contains("Signature expired"), "{text}");
    // Within the five minutes of signatures, the document's certificate is not valid yet.
    stale(-120_000);
    let (name, text) = world.refusal(&ENCLAVE, "Decrypt", &input).await;
    assert_eq!(name, "ValidationException");
    assert!(text.contains("is valid from"), "{text}");
    world.answer(&ENCLAVE, "Decrypt", &input).await;
    world.kms.inject(Operation::CreateKey, 0, Fault::StaleClock(60_000));
    assert_eq!(world.create(json!({})).await["CreationDate"], 1_780_000_060);
}

#[tokio::test]
async fn further_faults_strike_one_call() {
    let world = World::start().await;
    world.kms.inject(Operation::CreateKey, 0, Fault::Unavailable);
    let (status, answer) = world.call(&ADMINISTRATOR, "CreateKey", &json!({})).await;
    assert_eq!(
        (status.as_u16(), answer),
        (503, json!({ "__type": "ServiceUnavailableException" }))
    );
    world.kms.inject(Operation::CreateKey, 0, Fault::ExpiredCredentials);
    world.refused("CreateKey", &json!({}), "ExpiredTokenException").await;
    // The answer is lost, and what was asked for was done.
    world.kms.inject(Operation::CreateKey, 0, Fault::LoseAnswer);
    let request = ADMINISTRATOR.request("CreateKey", &json!({}), false);
    assert!(world.send(request).await.is_none());
    assert_eq!(world.kms.events().pop().expect("an event").outcome, Outcome::Closed);
    let keys = world.administrate("ListKeys", &json!({})).await;
    assert_eq!(keys["Keys"].as_array().expect("a list").len(), 1);
}
