//! Does the development KMS refuse what KMS refuses, and answer an enclave in KMS's form?
#![allow(missing_docs)]

#[path = "kms/asymmetric.rs"]
mod asymmetric;
#[path = "kms/events.rs"]
mod events;
#[path = "kms/grants.rs"]
mod grants;
#[path = "kms/imports.rs"]
mod imports;
#[path = "kms/keys.rs"]
mod keys;
#[path = "kms/lists.rs"]
mod lists;
#[path = "kms/operations.rs"]
mod operations;
#[path = "kms/regions.rs"]
mod regions;
#[path = "kms/release.rs"]
mod release;
#[path = "kms/restart.rs"]
mod restart;
#[path = "kms/rotation.rs"]
mod rotation;
#[path = "kms/world.rs"]
mod world;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rsa::KeySize;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use nitro_signer_tests::kms::{
    DevelopmentKms, Event, Fault, Operation, Options, Outcome, StartError,
};
use nitro_signer_tests::nsm::{DevelopmentRoot, MockNsm, Options as NsmOptions};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use world::{
    ACCOUNT, ADMINISTRATOR, APPLIANCE, Caller, ENCLAVE, HOST, IMAGE, KEY, MANIFEST, NOW_MS, REGION,
    RecipientKey, TOKEN, World, bytes, nsm_under, recipient, refusal, release_policy, send,
};

#[tokio::test]
async fn signatures_are_verified_against_what_arrived() {
    let world = World::start().await;
    let body = json!({ "NumberOfBytes": 8 });
    assert_eq!(world.call(&ADMINISTRATOR, "GenerateRandom", &body).await.0, StatusCode::OK);
    let check = async |caller: Caller, name: &str, text: &str| {
        let (found, message) = world.refusal(&caller, "GenerateRandom", &body).await;
        assert_eq!(found, name, "{message}");
        assert!(message.contains(text), "{message}");
    };
    let invalid = "InvalidSignatureException";
    let unknown = "UnrecognizedClientException";
    check(Caller { secret: "another", ..ADMINISTRATOR }, invalid, "does not match").await;
    check(Caller { access_key: "AKIDNOBODY", ..ADMINISTRATOR }, unknown, "security token").await;
    check(Caller { token: Some("another"), ..ENCLAVE }, unknown, "security token").await;
    check(Caller { token: None, ..ENCLAVE }, unknown, "security token").await;
    check(Caller { token: Some(TOKEN), ..ADMINISTRATOR }, unknown, "security token").await;
    check(Caller { region: "us-east-1", ..ADMINISTRATOR }, invalid, "valid region").await;
    check(Caller { service: "s3", ..ADMINISTRATOR }, invalid, "correct service").await;
    let early = NOW_MS - 301_000;
    check(Caller { at_ms: early, ..ADMINISTRATOR }, invalid, "Signature expired").await;
    let late = NOW_MS + 301_000;
    check(Caller { at_ms: late, ..ADMINISTRATOR }, invalid, "not yet current").await;
    for edge in [NOW_MS - 299_000, NOW_MS + 299_000] {
        let caller = Caller { at_ms: edge, ..ADMINISTRATOR };
        assert_eq!(world.call(&caller, "GenerateRandom", &body).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_request_changed_on_its_way_is_refused() {
    let world = World::start().await;
    let body = json!({ "NumberOfBytes": 8 });
    let signed = || ADMINISTRATOR.request("GenerateRandom", &body, true);
    assert_eq!(world.send(signed()).await.expect("is answered").0, StatusCode::OK);
    let check = async |change: &dyn Fn(&mut Request<Full<Bytes>>), name: &str| {
        let mut request = signed();
        change(&mut request);
        let (found, message) = refusal(world.send(request).await.expect("is answered"));
        assert_eq!(found, name, "{message}");
    };
    let set = |headers: &mut HeaderMap, name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    };
    let invalid = "InvalidSignatureException";
    let incomplete = "IncompleteSignatureException";
    check(&|r| *r.body_mut() = Full::from(r#"{"NumberOfBytes":9}"#), invalid).await;
    check(&|r| set(r.headers_mut(), "x-amz-target", "TrentService.CreateKey"), invalid).await;
    check(&|r| set(r.headers_mut(), "host", "kms.us-east-1.amazonaws.com"), invalid).await;
    check(&|r| set(r.headers_mut(), "x-amz-date", "20260528T202641Z"), invalid).await;
    check(&|r| set(r.headers_mut(), "x-amz-date", "yesterday"), incomplete).await;
    check(&|r| set(r.headers_mut(), "x-amz-content-sha256", "UNSIGNED-PAYLOAD"), invalid).await;
    check(&|r| set(r.headers_mut(), "authorization", "Basic YTpi"), incomplete).await;
    check(&|r| drop(r.headers_mut().remove("x-amz-date")), incomplete).await;
    let missing = "MissingAuthenticationTokenException";
    check(&|r| drop(r.headers_mut().remove("authorization")), missing).await;
    let unsign = |name: &'static str| {
        move |r: &mut Request<Full<Bytes>>| {
            let text = r.headers()["authorization"].to_str().expect("text").to_owned();
            let text = text.replace(&format!("{name};"), "").replace(&format!(";{name}"), "");
            set(r.headers_mut(), "authorization", &text);
        }
    };
    check(&unsign("host"), invalid).await;
    check(&unsign("x-amz-target"), invalid).await;
    check(&unsign("x-amz-date"), invalid).await;
}

#[tokio::test]
async fn an_enclave_is_answered_in_its_own_key_and_both_forms() {
    let world = World::start().await;
    let (_, input, secret) = world.vault().await;
    let mut forms = Vec::new();
    for _ in 0..4 {
        let answer = world.answer(&ENCLAVE, "Decrypt", &input).await;
        assert_eq!(KEY.open(&answer), secret);
        forms.push(bytes(&answer, "CiphertextForRecipient").len());
    }
    forms.sort_unstable();
    // In one piece, the content has four octets less around it.
    assert_eq!(forms, [489, 489, 493, 493]);
    let input = json!({ "NumberOfBytes": 1_024, "Recipient": world.recipient() });
    let random = world.answer(&ADMINISTRATOR, "GenerateRandom", &input).await;
    assert_eq!(KEY.open(&random).len(), 1_024);
}

#[tokio::test]
async fn the_key_policy_decides_who_opens_a_secret() {
    let world = World::start().await;
    let (key, input, _) = world.vault().await;
    let check = async |caller: &Caller, change: &dyn Fn(&mut Value)| {
        let mut input = input.clone();
        change(&mut input);
        let (name, message) = world.refusal(caller, "Decrypt", &input).await;
        assert_eq!(name, "AccessDeniedException", "{message}");
        let user =
            caller.token.map_or("arn:aws:iam::111122223333:user/administrator", |_| APPLIANCE);
        assert_eq!(
            message,
            format!(
                "User: {user} is not authorized to perform: kms:Decrypt on resource: {key} \
                 because no resource-based policy allows the kms:Decrypt action"
            )
        );
    };
    let with = |nsm: MockNsm| recipient(&nsm.document(None, None, Some(&KEY.spki)));
    let mut other_pcr1 = IMAGE;
    other_pcr1[1] = [9; 48];
    world.answer(&ENCLAVE, "Decrypt", &input).await;
    check(&ADMINISTRATOR, &|_| {}).await;
    check(&ENCLAVE, &|input| drop(input.as_object_mut().expect("object").remove("Recipient")))
        .await;
    check(&ENCLAVE, &|input| input["EncryptionContext"]["vault"] = "other".into()).await;
    check(&ENCLAVE, &|input| input["EncryptionContext"] = json!({})).await;
    let other_image = [[9; 48], IMAGE[1], IMAGE[2]];
    check(&ENCLAVE, &|input| input["Recipient"] = with(world.nsm(other_image, MANIFEST))).await;
    check(&ENCLAVE, &|input| input["Recipient"] = with(world.nsm(IMAGE, b"another"))).await;
    let no_manifest = MockNsm::new(
        &world.root,
        IMAGE,
        NsmOptions { clock: world.clock.clone(), ..NsmOptions::default() },
    );
    let no_manifest = with(no_manifest);
    check(&ENCLAVE, &|input| input["Recipient"] = no_manifest.clone()).await;
    // The policy pins PCR0 and PCR16; what it does not name, KMS does not ask for.
    let mut input = input.clone();
    input["Recipient"] = with(world.nsm(other_pcr1, MANIFEST));
    world.answer(&ENCLAVE, "Decrypt", &input).await;
    world
        .kms
        .put_key_policy(
            &key,
            &release_policy().replace("Release", "Gone").replace("kms:Decrypt", "kms:Encrypt"),
        )
        .expect("a policy");
    check(&ENCLAVE, &|_| {}).await;
}

#[tokio::test]
async fn a_document_that_proves_nothing_is_refused() {
    let world = World::start().await;
    let (_, input, _) = world.vault().await;
    let check = async |recipient: Value, text: &str| {
        let mut input = input.clone();
        input["Recipient"] = recipient;
        let (name, message) = world.refusal(&ENCLAVE, "Decrypt", &input).await;
        assert_eq!(name, "ValidationException", "{message}");
        assert!(message.starts_with("development KMS: ") && message.contains(text), "{message}");
    };
    let nsm = world.nsm(IMAGE, MANIFEST);
    let good = nsm.document(None, None, Some(&KEY.spki));
    let mut changed = good.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    check(recipient(&changed), "document").await;
    check(recipient(&good[..last]), "document").await;
    check(recipient(&[good.as_slice(), &[0]].concat()), "document").await;
    let elsewhere = DevelopmentRoot::generate();
    let foreign = nsm_under(&elsewhere, world.clock.clone(), IMAGE, MANIFEST);
    check(recipient(&foreign.document(None, None, Some(&KEY.spki))), "document").await;
    check(recipient(&nsm.document(None, None, None)), "no public key").await;
    check(recipient(&nsm.document(None, None, Some(b"key"))), "not an RSA").await;
    let long = RecipientKey::generate(KeySize::Rsa3072);
    check(recipient(&nsm.document(None, None, Some(&long.spki))), "2048 bits").await;
    let mut other_algorithm = recipient(&good);
    other_algorithm["KeyEncryptionAlgorithm"] = "RSAES_OAEP_SHA_1".into();
    check(other_algorithm, "RSAES_OAEP_SHA_256").await;
}

#[tokio::test]
async fn a_document_is_taken_for_five_minutes() {
    let world = World::start().await;
    let (_, input, _) = world.vault().await;
    world.clock.shift(300_000);
    let caller = Caller { at_ms: NOW_MS + 300_000, ..ENCLAVE };
    world.answer(&caller, "Decrypt", &input).await;
    world.clock.shift(1);
    let (name, message) = world.refusal(&caller, "Decrypt", &input).await;
    assert_eq!(name, "ValidationException");
    assert!(message.contains("a limit of our own"), "{message}");
    let nsm = world.nsm(IMAGE, MANIFEST);
    world.clock.shift(60_001);
    let mut input = input;
    input["Recipient"] = recipient(&nsm.document(None, None, Some(&KEY.spki)));
    world.clock.shift(-60_001);
    let (_, message) = world.refusal(&caller, "Decrypt", &input).await;
    assert!(message.contains("future"), "{message}");
}

#[tokio::test]
async fn a_blob_opens_under_its_key_and_context_only() {
    let world = World::start().await;
    let open = |key: &Value, context: Value, blob: &Value| json!({ "KeyId": key, "EncryptionContext": context, "CiphertextBlob": blob });
    let create = async || {
        let answer = world.answer(&ADMINISTRATOR, "CreateKey", &json!({})).await;
        answer["KeyMetadata"]["Arn"].clone()
    };
    let (key, other) = (create().await, create().await);
    let context = json!({ "a": "1", "b": "2" });
    let input = json!({ "KeyId": key, "EncryptionContext": context, "Plaintext": "c2VjcmV0" });
    let blob = world.answer(&ADMINISTRATOR, "Encrypt", &input).await["CiphertextBlob"].clone();
    let answer = world.answer(&ADMINISTRATOR, "Decrypt", &open(&key, context.clone(), &blob)).await;
    assert_eq!((&answer["Plaintext"], &answer["KeyId"]), (&json!("c2VjcmV0"), &key));
    let check = async |input: Value, name: &str| {
        let (status, answer) = world.call(&ADMINISTRATOR, "Decrypt", &input).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["__type"], name);
        if name == "InvalidCiphertextException" {
            assert_eq!(answer, json!({ "__type": name }));
        }
    };
    let invalid = "InvalidCiphertextException";
    for wrong in [json!({}), json!({ "a": "1" }), json!({ "a": "1", "b": "3" })] {
        check(open(&key, wrong, &blob), invalid).await;
    }
    // The same bytes, cut elsewhere.
    check(open(&key, json!({ "a": "1b", "": "2" }), &blob), invalid).await;
    check(open(&other, context.clone(), &blob), "IncorrectKeyException").await;
    let raw = STANDARD.decode(blob.as_str().expect("text")).expect("base64");
    for at in [0, 20, raw.len() - 1] {
        let mut changed = raw.clone();
        changed[at] ^= 1;
        check(open(&key, context.clone(), &json!(STANDARD.encode(changed))), invalid).await;
    }
    check(open(&key, context, &json!("AQ==")), invalid).await;
}

#[tokio::test]
async fn what_is_not_served_is_an_error() {
    let world = World::start().await;
    let check = async |operation: &str, body: Value, name: &str| {
        assert_eq!(world.refusal(&ADMINISTRATOR, operation, &body).await.0, name, "{operation}");
    };
    check("GenerateMac", json!({}), "UnknownOperationException").await;
    check("ConnectCustomKeyStore", json!({}), "UnknownOperationException").await;
    check("", json!({}), "UnknownOperationException").await;
    check("GenerateRandom", json!({ "NumberOfBytes": 8, "Extra": 1 }), "SerializationException")
        .await;
    check("GenerateRandom", json!([8]), "SerializationException").await;
    check("CreateKey", json!({ "KeySpec": "RSA_2048" }), "UnsupportedOperationException").await;
    check("CreateKey", json!({ "Policy": "{}" }), "MalformedPolicyDocumentException").await;
    let lockout = release_policy().replace("kms:PutKeyPolicy", "kms:TagResource");
    check("CreateKey", json!({ "Policy": lockout }), "MalformedPolicyDocumentException").await;
    check("DescribeKey", json!({ "KeyId": "alias/none" }), "NotFoundException").await;
    let far = "arn:aws:kms:us-east-1:111122223333:key/x";
    check("DescribeKey", json!({ "KeyId": far }), "NotFoundException").await;
    let (name, message) = world.refusal(&ENCLAVE, "CreateKey", &json!({})).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(message.ends_with("because no identity-based policy allows the kms:CreateKey action"));
    let mut get = ADMINISTRATOR.request("GenerateRandom", &json!({ "NumberOfBytes": 8 }), false);
    *get.method_mut() = http::Method::GET;
    assert_eq!(refusal(world.send(get).await.expect("is answered")).0, "UnknownOperationException");
    let long = json!({ "KeyId": "x".repeat(1_048_577) });
    let (status, answer) = world.call(&ADMINISTRATOR, "DescribeKey", &long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{answer}");
}

#[tokio::test]
async fn faults_strike_one_call_and_calls_are_remembered() {
    let world = World::start().await;
    let (key, input, secret) = world.vault().await;
    let decrypt = async || world.send(ENCLAVE.request("Decrypt", &input, false)).await;
    world.kms.inject(Operation::Decrypt, 1, Fault::CloseConnection);
    assert!(decrypt().await.is_some());
    assert!(decrypt().await.is_none(), "the connection is closed");
    world.kms.inject(Operation::Decrypt, 0, Fault::InternalError);
    assert_eq!(decrypt().await.expect("is answered").0, StatusCode::INTERNAL_SERVER_ERROR);
    world.kms.inject(Operation::Decrypt, 0, Fault::Throttling);
    assert_eq!(refusal(decrypt().await.expect("is answered")).0, "ThrottlingException");
    world.kms.inject(Operation::Decrypt, 0, Fault::ForgePlaintext(vec![7; 32]));
    assert_eq!(KEY.open(&decrypt().await.expect("is answered").1), [7; 32]);
    world.kms.inject(Operation::Decrypt, 0, Fault::ForgeKeyId("another".to_owned()));
    assert_eq!(decrypt().await.expect("is answered").1["KeyId"], "another");
    world.kms.inject(Operation::Decrypt, 0, Fault::Delay(Duration::from_millis(200)));
    let before = SystemTime::now();
    let (_, answer) = decrypt().await.expect("is answered");
    assert!(before.elapsed().expect("time goes on") >= Duration::from_millis(200));
    assert_eq!((KEY.open(&answer), &answer["KeyId"]), (secret, &json!(key)));
    let events: Vec<Event> =
        world.kms.events().into_iter().filter(|event| event.operation == "Decrypt").collect();
    let outcomes: Vec<&Outcome> = events.iter().map(|event| &event.outcome).collect();
    let (answered, refused) = (&Outcome::Answered, Outcome::Refused);
    assert_eq!(
        outcomes,
        [
            answered,
            &Outcome::Closed,
            &refused("KMSInternalException"),
            &refused("ThrottlingException"),
            answered,
            answered,
            answered,
        ]
    );
    for event in &events {
        assert_eq!(event.recipient_key_sha256.expect("a key"), digest(&SHA256, &KEY.spki).as_ref());
        assert!(event.document_sha256.is_some());
    }
    assert_eq!(events[0].principal.as_deref(), Some(APPLIANCE));
}

#[tokio::test]
async fn only_its_own_root_and_names_vouch_for_it() {
    let (world, other) = (World::start().await, World::start().await);
    let request = || ADMINISTRATOR.request("GenerateRandom", &json!({ "NumberOfBytes": 8 }), false);
    let check = async |ca: &str, name: &str, expected: bool| {
        let sent = send(&world.kms, ca, name, request()).await;
        assert_eq!(sent.is_ok(), expected, "{name}");
    };
    for name in [HOST, "localhost", "127.0.0.1"] {
        check(world.kms.ca_pem(), name, true).await;
        check(other.kms.ca_pem(), name, false).await;
    }
    check(world.kms.ca_pem(), "kms.us-east-1.amazonaws.com", false).await;
}

#[tokio::test]
async fn it_listens_on_the_loopback_interface_only() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let root = DevelopmentRoot::generate();
        let mut options = Options::new(REGION, ACCOUNT, vec![], root.anchor());
        options.listen = address.parse().expect("an address");
        let error = DevelopmentKms::start(options).await.err();
        assert!(matches!(error, Some(StartError::NotLoopback(_))), "{address}");
    }
}
