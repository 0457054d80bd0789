//! Does the development KMS refuse what KMS refuses, and answer an enclave in KMS's form?
//!
//! Requests are signed by AWS's own crate; envelopes are opened by the reader the enclave uses.
#![allow(missing_docs)]

use aws_credential_types::Credentials;
use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use aws_nitro_enclaves_nsm_api::api::Request as NsmRequest;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_shared::attestation::pcr::{self, Pcr};
use nitro_signer_shared::cms::Enveloped;
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::secret::SecretString;
use nitro_signer_tests::kms::{
    DevelopmentKms, Event, Fault, Identity, Operation, Options, Outcome, StartError,
};
use nitro_signer_tests::nsm::{Clock, DevelopmentRoot, MockNsm, Options as NsmOptions};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";
const HOST: &str = "kms.eu-central-1.amazonaws.com";
const APPLIANCE: &str = "arn:aws:sts::111122223333:assumed-role/appliance/i-0123456789abcdef0";
const TOKEN: &str = "the appliance's session token";
const NOW_MS: u64 = 1_780_000_000_000;
const MANIFEST: &[u8] = b"a manifest's hash";
const IMAGE: [Pcr; 3] = [[1; 48], [2; 48], [3; 48]];

static KEY: LazyLock<RecipientKey> = LazyLock::new(|| RecipientKey::generate(KeySize::Rsa2048));

/// An enclave's own key.
struct RecipientKey {
    private: OaepPrivateDecryptingKey,
    spki: Vec<u8>,
}

impl RecipientKey {
    fn generate(size: KeySize) -> Self {
        let private = PrivateDecryptingKey::generate(size).expect("RSA key");
        let spki = private.public_key().as_der().expect("SPKI").as_ref().to_vec();
        let private = OaepPrivateDecryptingKey::new(private).expect("OAEP key");
        Self { private, spki }
    }

    fn open(&self, answer: &Value) -> Vec<u8> {
        assert_eq!(answer.get("Plaintext"), None, "an answer to a recipient has no plaintext");
        let envelope = Enveloped::parse(&bytes(answer, "CiphertextForRecipient")).expect("CMS");
        assert_eq!(envelope.recipient_id, digest(&SHA256, &self.spki).as_ref());
        let mut content_key = vec![0; self.private.min_output_size()];
        let content_key = self
            .private
            .decrypt(&OAEP_SHA256_MGF1SHA256, &envelope.encrypted_key, &mut content_key, None)
            .expect("the recipient's key opens it");
        let cipher = UnboundCipherKey::new(&AES_256, content_key).expect("AES-256 key");
        let mut content = envelope.ciphertext;
        let iv = DecryptionContext::Iv128(FixedLength::from(envelope.iv));
        PaddedBlockDecryptingKey::cbc_pkcs7(cipher)
            .expect("CBC")
            .decrypt(&mut content, iv)
            .expect("padding")
            .to_vec()
    }
}

fn bytes(answer: &Value, member: &str) -> Vec<u8> {
    let text = answer[member].as_str().expect("a string");
    STANDARD.decode(text).expect("base64")
}

/// A caller: what it signs with, and which mistakes it makes.
#[derive(Clone)]
struct Caller {
    access_key: &'static str,
    secret: &'static str,
    token: Option<&'static str>,
    region: &'static str,
    service: &'static str,
    at_ms: u64,
}

const ADMINISTRATOR: Caller = Caller {
    access_key: "AKIDADMINISTRATOR",
    secret: "administrator's secret",
    token: None,
    region: REGION,
    service: "kms",
    at_ms: NOW_MS,
};
const ENCLAVE: Caller = Caller {
    access_key: "ASIAAPPLIANCE",
    secret: "appliance's secret",
    token: Some(TOKEN),
    ..ADMINISTRATOR
};

impl Caller {
    /// A request as a correct client sends it.
    fn request(&self, operation: &str, body: &Value, content_hash: bool) -> Request<Full<Bytes>> {
        let body = body.to_string();
        let mut headers = vec![
            ("host", HOST.to_owned()),
            ("content-type", "application/x-amz-json-1.1".to_owned()),
            ("x-amz-target", format!("TrentService.{operation}")),
        ];
        let credentials = Credentials::new(
            self.access_key,
            self.secret,
            self.token.map(str::to_owned),
            None,
            "test",
        );
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        if content_hash {
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(UNIX_EPOCH + Duration::from_millis(self.at_ms))
            .settings(settings)
            .build()
            .expect("complete")
            .into();
        let signable = SignableRequest::new(
            "POST",
            format!("https://{HOST}/"),
            headers.iter().map(|(name, value)| (*name, value.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        );
        let (instructions, _) =
            sign(signable.expect("signable"), &parameters).expect("signed").into_parts();
        let (signed, _) = instructions.into_parts();
        headers.extend(signed.iter().map(|h| (h.name(), h.value().to_owned())));
        let mut request = Request::post("/").body(Full::from(body)).expect("a request");
        request.headers_mut().extend(headers.into_iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(&value).expect("a value"))
        }));
        request
    }
}

struct World {
    kms: DevelopmentKms,
    root: DevelopmentRoot,
    clock: Clock,
}

impl World {
    async fn start() -> Self {
        let root = DevelopmentRoot::generate();
        let clock = Clock::fixed(NOW_MS);
        let identity = |caller: &Caller, principal: &str, iam_allows_all| Identity {
            access_key_id: caller.access_key.to_owned(),
            secret_access_key: SecretString::new(caller.secret.to_owned()),
            session_token: caller.token.map(|token| SecretString::new(token.to_owned())),
            principal: Principal::parse(principal).expect("a principal"),
            iam_allows_all,
        };
        let identities = vec![
            identity(&ADMINISTRATOR, "arn:aws:iam::111122223333:user/administrator", true),
            identity(&ENCLAVE, APPLIANCE, false),
        ];
        let mut options = Options::new(REGION, ACCOUNT, identities, root.anchor());
        options.clock = clock.clone();
        let kms = DevelopmentKms::start(options).await.expect("starts");
        Self { kms, root, clock }
    }

    /// The secure module of an enclave with this image and manifest.
    fn nsm(&self, image: [Pcr; 3], manifest: &[u8]) -> MockNsm {
        nsm_under(&self.root, self.clock.clone(), image, manifest)
    }

    /// Recipient for the right enclave and the key of this test.
    fn recipient(&self) -> Value {
        recipient(&self.nsm(IMAGE, MANIFEST).document(None, None, Some(&KEY.spki)))
    }

    /// A key released to one image with one manifest and one context, and a blob under it.
    async fn vault(&self) -> (String, Value, Vec<u8>) {
        let key = self.kms.create_key(&release_policy()).expect("a policy");
        let context = json!({ "vault": "main" });
        let input = json!({
            "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context,
            "Recipient": self.recipient(),
        });
        let answer = self.answer(&ENCLAVE, "GenerateDataKey", &input).await;
        assert_eq!(answer["KeyId"], key);
        let secret = KEY.open(&answer);
        assert_eq!(secret.len(), 32);
        let input = json!({
            "CiphertextBlob": answer["CiphertextBlob"], "KeyId": key,
            "EncryptionContext": context, "Recipient": self.recipient(),
        });
        (key, input, secret)
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Option<(StatusCode, Value)> {
        send(&self.kms, self.kms.ca_pem(), HOST, request).await.ok()
    }

    async fn call(&self, caller: &Caller, operation: &str, body: &Value) -> (StatusCode, Value) {
        self.send(caller.request(operation, body, false)).await.expect("is answered")
    }

    async fn answer(&self, caller: &Caller, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(caller, operation, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The error's name and text.
    async fn refusal(&self, caller: &Caller, operation: &str, body: &Value) -> (String, String) {
        refusal(self.call(caller, operation, body).await)
    }
}

fn refusal((status, answer): (StatusCode, Value)) -> (String, String) {
    assert_ne!(status, StatusCode::OK, "{answer}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = answer.get("Message").or(answer.get("message")).map(text).unwrap_or_default();
    (text(&answer["__type"]), message)
}

fn nsm_under(root: &DevelopmentRoot, clock: Clock, image: [Pcr; 3], manifest: &[u8]) -> MockNsm {
    let nsm = MockNsm::new(root, image, NsmOptions { clock, ..NsmOptions::default() });
    nsm.process(NsmRequest::ExtendPCR { index: 16, data: manifest.to_vec() });
    nsm.process(NsmRequest::LockPCR { index: 16 });
    nsm
}

fn recipient(document: &[u8]) -> Value {
    json!({
        "AttestationDocument": STANDARD.encode(document),
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    })
}

/// The appliance's role may open and make secrets in the one image with the one manifest.
fn release_policy() -> String {
    json!({ "Version": "2012-10-17", "Statement": [
        {
            "Sid": "Administration", "Effect": "Allow", "Resource": "*",
            "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:root") },
            "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:DescribeKey"],
        },
        {
            "Sid": "Release", "Effect": "Allow", "Resource": "*",
            "Principal": { "AWS": format!("arn:aws:iam::{ACCOUNT}:role/appliance") },
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Condition": { "StringEqualsIgnoreCase": {
                "kms:RecipientAttestation:ImageSha384": hex::encode(IMAGE[0]).to_uppercase(),
                "kms:RecipientAttestation:PCR16": hex::encode(pcr::extend(&pcr::ZERO, MANIFEST)),
                "kms:EncryptionContext:vault": "main",
            }},
        },
    ]})
    .to_string()
}

async fn send(
    kms: &DevelopmentKms,
    ca_pem: &str,
    name: &str,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Value), Box<dyn std::error::Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned())?;
    let tcp = TcpStream::connect(kms.addr()).await?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
    Ok((status, body))
}

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
    check("Sign", json!({}), "UnknownOperationException").await;
    check("ListKeys", json!({}), "UnknownOperationException").await;
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
