//! A development KMS with an administrator, an appliance and its enclaves, and a client that
//! signs with AWS's own crate and opens envelopes with the reader the enclave uses.

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
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_shared::attestation::pcr::{self, Pcr};
use nitro_signer_shared::cms::Enveloped;
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::secret::SecretString;
use nitro_signer_tests::kms::{DevelopmentKms, Identity, Options};
use nitro_signer_tests::nsm::{Clock, DevelopmentRoot, MockNsm, Options as NsmOptions};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const HOST: &str = "kms.eu-central-1.amazonaws.com";
pub(crate) const APPLIANCE: &str =
    "arn:aws:sts::111122223333:assumed-role/appliance/i-0123456789abcdef0";
pub(crate) const TOKEN: &str = "the appliance's session token";
pub(crate) const NOW_MS: u64 = 1_780_000_000_000;
pub(crate) const MANIFEST: &[u8] = b"a manifest's hash";
pub(crate) const IMAGE: [Pcr; 3] = [[1; 48], [2; 48], [3; 48]];

pub(crate) static KEY: LazyLock<RecipientKey> =
    LazyLock::new(|| RecipientKey::generate(KeySize::Rsa2048));

/// An enclave's own key.
pub(crate) struct RecipientKey {
    private: OaepPrivateDecryptingKey,
    pub(crate) spki: Vec<u8>,
}

impl RecipientKey {
    pub(crate) fn generate(size: KeySize) -> Self {
        let private = PrivateDecryptingKey::generate(size).expect("RSA key");
        let spki = private.public_key().as_der().expect("SPKI").as_ref().to_vec();
        let private = OaepPrivateDecryptingKey::new(private).expect("OAEP key");
        Self { private, spki }
    }

    pub(crate) fn open(&self, answer: &Value) -> Vec<u8> {
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

/// A member that is base64.
pub(crate) fn bytes(answer: &Value, member: &str) -> Vec<u8> {
    let text = answer[member].as_str().expect("a string");
    STANDARD.decode(text).expect("base64")
}

/// A caller: what it signs with, and which mistakes it makes.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) access_key: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) token: Option<&'static str>,
    pub(crate) region: &'static str,
    pub(crate) service: &'static str,
    pub(crate) at_ms: u64,
}

pub(crate) const ADMINISTRATOR: Caller = Caller {
    access_key: "AKIDADMINISTRATOR",
    secret: "administrator's secret",
    token: None,
    region: REGION,
    service: "kms",
    at_ms: NOW_MS,
};
pub(crate) const ENCLAVE: Caller = Caller {
    access_key: "ASIAAPPLIANCE",
    secret: "appliance's secret",
    token: Some(TOKEN),
    ..ADMINISTRATOR
};

/// A user of the account to whom IAM allows nothing.
pub(crate) const USER: Caller =
    Caller { access_key: "AKIDUSER", secret: "user's secret", ..ADMINISTRATOR };
pub(crate) const USER_ARN: &str = "arn:aws:iam::111122223333:user/user";

impl Caller {
    /// A request as a correct client sends it.
    pub(crate) fn request(
        &self,
        operation: &str,
        body: &Value,
        content_hash: bool,
    ) -> Request<Full<Bytes>> {
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

pub(crate) struct World {
    pub(crate) kms: DevelopmentKms,
    pub(crate) root: DevelopmentRoot,
    pub(crate) clock: Clock,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_as(|_| {}).await
    }

    /// The same with other options.
    pub(crate) async fn start_as(change: impl FnOnce(&mut Options)) -> Self {
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
            identity(&USER, USER_ARN, false),
        ];
        let mut options = Options::new(REGION, ACCOUNT, identities, root.anchor());
        options.clock = clock.clone();
        change(&mut options);
        let kms = DevelopmentKms::start(options).await.expect("starts");
        Self { kms, root, clock }
    }

    /// The secure module of an enclave with this image and manifest.
    pub(crate) fn nsm(&self, image: [Pcr; 3], manifest: &[u8]) -> MockNsm {
        nsm_under(&self.root, self.clock.clone(), image, manifest)
    }

    /// Recipient for the right enclave and the key of this test.
    pub(crate) fn recipient(&self) -> Value {
        recipient(&self.nsm(IMAGE, MANIFEST).document(None, None, Some(&KEY.spki)))
    }

    /// A key released to one image with one manifest and one context, and a blob under it.
    pub(crate) async fn vault(&self) -> (String, Value, Vec<u8>) {
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

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Option<(StatusCode, Value)> {
        send(&self.kms, self.kms.ca_pem(), HOST, request).await.ok()
    }

    pub(crate) async fn call(
        &self,
        caller: &Caller,
        operation: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        self.send(caller.request(operation, body, false)).await.expect("is answered")
    }

    pub(crate) async fn answer(&self, caller: &Caller, operation: &str, body: &Value) -> Value {
        let (status, answer) = self.call(caller, operation, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    /// The error's name and text.
    pub(crate) async fn refusal(
        &self,
        caller: &Caller,
        operation: &str,
        body: &Value,
    ) -> (String, String) {
        refusal(self.call(caller, operation, body).await)
    }
}

impl World {
    /// A key that the administrator makes; its metadata.
    pub(crate) async fn create(&self, input: Value) -> Value {
        self.answer(&ADMINISTRATOR, "CreateKey", &input).await["KeyMetadata"].clone()
    }

    /// Refused with this name, to the administrator; the text.
    pub(crate) async fn refused(&self, operation: &str, body: &Value, name: &str) -> String {
        let (found, text) = self.refusal(&ADMINISTRATOR, operation, body).await;
        assert_eq!(found, name, "{operation}: {text}");
        text
    }

    pub(crate) async fn administrate(&self, operation: &str, body: &Value) -> Value {
        self.answer(&ADMINISTRATOR, operation, body).await
    }

    /// Sets the clock forward; the callers' follow by `at`.
    pub(crate) fn wait_days(&self, days: i64) {
        self.clock.shift(days * 86_400_000);
    }

    /// The administrator, by the clock as it stands.
    pub(crate) fn administrator(&self) -> Caller {
        Caller { at_ms: self.clock.now_ms(), ..ADMINISTRATOR }
    }
}

pub(crate) fn refusal((status, answer): (StatusCode, Value)) -> (String, String) {
    assert_ne!(status, StatusCode::OK, "{answer}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let message = answer.get("Message").or(answer.get("message")).map(text).unwrap_or_default();
    (text(&answer["__type"]), message)
}

pub(crate) fn nsm_under(
    root: &DevelopmentRoot,
    clock: Clock,
    image: [Pcr; 3],
    manifest: &[u8],
) -> MockNsm {
    let nsm = MockNsm::new(root, image, NsmOptions { clock, ..NsmOptions::default() });
    nsm.process(NsmRequest::ExtendPCR { index: 16, data: manifest.to_vec() });
    nsm.process(NsmRequest::LockPCR { index: 16 });
    nsm
}

pub(crate) fn recipient(document: &[u8]) -> Value {
    json!({
        "AttestationDocument": STANDARD.encode(document),
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    })
}

/// The appliance's role may open and make secrets in the one image with the one manifest.
pub(crate) fn release_policy() -> String {
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

pub(crate) async fn send(
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
