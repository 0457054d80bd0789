//! KMS, reached through the parent but not trusting it.
//!
//! TLS ends here, at Amazon's roots; each attempt makes a new RSA key and a new attestation
//! document for it, and KMS encrypts its answer to that key. The answer has no integrity of its
//! own and the recipient key is public, so whoever relayed a call in the clear could forge one:
//! that is why no other way to KMS exists in this crate.

mod connector;
mod description;
mod recipient;
mod relay;

pub use connector::TrustRoots;
pub use description::KeyDescription;
pub use recipient::RecipientPublicKey;
pub use relay::RelayLines;

use crate::clock::Clock;
use crate::nsm::{MeasuredModule, ModuleError};
use alloy_primitives::FixedBytes;
use aws_credential_types::Credentials as SdkCredentials;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeyEncryptionMechanism, RecipientInfo};
use connector::{ConnectFailure, Connector};
use nitro_signer_shared::manifest::KeyArn;
use nitro_signer_shared::message::Credentials;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use recipient::Recipient;
use std::collections::HashMap;
use std::time::Duration;
use zeroize::Zeroizing;

/// How long one call may take, from taking a connection to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a call is tried when the way to KMS fails.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt; twice as long before the third.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// The longest ciphertext blob KMS gives, in bytes.
const MAX_BLOB: usize = 6_144;

/// A secret that KMS generated and released to this enclave: 32 bytes, erased on drop.
pub struct ReleasedSecret(Zeroizing<[u8; 32]>);

impl ReleasedSecret {
    /// The secret's bytes, for derivation only.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The EncryptionContext of a call: exact, never empty.
pub type EncryptionContext = HashMap<String, String>;

/// KMS in one region, for one key.
pub struct Kms {
    client: Client,
    module: MeasuredModule,
    key: KeyArn,
}

/// Why KMS gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum KmsError {
    /// AccessDeniedException: the key policy does not know this image, manifest or role.
    #[error("KMS refused under its key policy")]
    Denied,
    /// The credentials were refused.
    #[error("KMS refused the credentials")]
    Credentials,
    /// No connection, or it broke; tried again before this is said.
    #[error("KMS could not be reached")]
    Unreachable,
    /// What answered does not hold a certificate of Amazon's roots for KMS's name.
    #[error("what answered is not KMS")]
    Untrusted,
    /// KMS asks to slow down or failed on its side; tried again before this is said.
    #[error("KMS failed on its side")]
    Unavailable,
    /// An answer that the enclave does not accept.
    #[error("KMS answered something unexpected: {0}")]
    Rejected(&'static str),
    /// The secure module gave no document.
    #[error(transparent)]
    Module(#[from] ModuleError),
}

impl KmsError {
    /// Whether another attempt, with a new key and document, may fare better.
    const fn is_passing(&self) -> bool {
        matches!(self, Self::Unreachable | Self::Unavailable)
    }
}

impl From<KmsError> for Refusal {
    fn from(error: KmsError) -> Self {
        let code = match &error {
            KmsError::Denied => RefusalCode::KmsDenied,
            KmsError::Credentials => RefusalCode::Credentials,
            KmsError::Unreachable | KmsError::Unavailable => RefusalCode::KmsUnreachable,
            KmsError::Untrusted => RefusalCode::KmsUntrusted,
            KmsError::Rejected(_) => RefusalCode::KmsRejected,
            KmsError::Module(_) => RefusalCode::SecureModule,
        };
        Self::new(code, error.to_string())
    }
}

impl Kms {
    /// KMS of the key's region, over the parent's relay lines; `boot_id` stands in AWS's log of
    /// what is asked.
    #[must_use]
    pub fn new(
        key: &KeyArn,
        module: &MeasuredModule,
        boot_id: &FixedBytes<16>,
        lines: &RelayLines,
        roots: &TrustRoots,
        clock: &Clock,
        credentials: &Credentials,
    ) -> Self {
        let credentials = SdkCredentials::new(
            credentials.access_key_id.expose(),
            credentials.secret_access_key.expose(),
            credentials.session_token.as_ref().map(|t| t.expose().to_owned()),
            None,
            "parent",
        );
        let agent = format!("nitro-signer/{}/{}", module.manifest(), hex::encode(boot_id));
        let connector = Connector::new(key.kms_host(), agent, lines.clone(), roots, clock);
        let config = aws_sdk_kms::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(key.region().to_owned()))
            .credentials_provider(credentials)
            .http_client(connector)
            .time_source(clock.clone())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self { client: Client::from_conf(config), module: module.clone(), key: key.clone() }
    }

    /// Has KMS generate a secret under its key: GenerateDataKey with Recipient. Gives the blob to
    /// store and the secret; whoever stores the blob checks by [`Kms::decrypt`] that it opens.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn generate(
        &self,
        context: &EncryptionContext,
    ) -> Result<(Vec<u8>, ReleasedSecret), KmsError> {
        let (blob, secret) = self.call(&Call::Generate, context).await?;
        if blob.is_empty() || blob.len() > MAX_BLOB {
            return Err(KmsError::Rejected("no ciphertext blob of a length KMS gives"));
        }
        Ok((blob, secret))
    }

    /// Has KMS open a blob: Decrypt with Recipient.
    ///
    /// # Errors
    /// [`KmsError`].
    pub async fn decrypt(
        &self,
        blob: &[u8],
        context: &EncryptionContext,
    ) -> Result<ReleasedSecret, KmsError> {
        self.call(&Call::Decrypt(blob), context).await.map(|(_, secret)| secret)
    }

    /// Each attempt has a recipient key and document of its own.
    async fn call(
        &self,
        call: &Call<'_>,
        context: &EncryptionContext,
    ) -> Result<(Vec<u8>, ReleasedSecret), KmsError> {
        patiently(|| self.attempt(call, context)).await
    }

    async fn attempt(
        &self,
        call: &Call<'_>,
        context: &EncryptionContext,
    ) -> Result<(Vec<u8>, ReleasedSecret), KmsError> {
        let module = self.module.clone();
        let made = tokio::task::spawn_blocking(move || {
            let recipient = Recipient::generate()?;
            let document = module.recipient_document(recipient.public_key())?;
            Ok::<_, KmsError>((recipient, document))
        });
        let (recipient, document) =
            made.await.map_err(|_| KmsError::Rejected("no recipient key could be made"))??;
        let sending = self.send(call, context, document);
        let answer = tokio::time::timeout(DEADLINE, sending).await;
        self.accept(&recipient, answer.map_err(|_| KmsError::Unreachable)??)
    }

    async fn send(
        &self,
        call: &Call<'_>,
        context: &EncryptionContext,
        document: Vec<u8>,
    ) -> Result<Answer, KmsError> {
        let recipient = RecipientInfo::builder()
            .attestation_document(Blob::new(document))
            .key_encryption_algorithm(KeyEncryptionMechanism::RsaesOaepSha256)
            .build();
        let (key, context) = (self.key.as_str(), Some(context.clone()));
        match call {
            Call::Generate => {
                let request = self.client.generate_data_key().key_id(key);
                let request = request.key_spec(DataKeySpec::Aes256).set_encryption_context(context);
                let answer = request.recipient(recipient).send().await.map_err(|e| classify(&e))?;
                Ok(Answer {
                    blob: answer.ciphertext_blob.map(Blob::into_inner).unwrap_or_default(),
                    key_id: answer.key_id,
                    has_plaintext: answer.plaintext.is_some(),
                    enveloped: answer.ciphertext_for_recipient,
                })
            }
            Call::Decrypt(blob) => {
                let request = self.client.decrypt().key_id(key).ciphertext_blob(Blob::new(*blob));
                let request = request.set_encryption_context(context).recipient(recipient);
                let answer = request.send().await.map_err(|e| classify(&e))?;
                Ok(Answer {
                    blob: vec![],
                    key_id: answer.key_id,
                    has_plaintext: answer.plaintext.is_some(),
                    enveloped: answer.ciphertext_for_recipient,
                })
            }
        }
    }

    /// Opens an answer that must be for this key, without plaintext, encrypted to this recipient.
    fn accept(
        &self,
        recipient: &Recipient,
        answer: Answer,
    ) -> Result<(Vec<u8>, ReleasedSecret), KmsError> {
        if answer.key_id.as_deref() != Some(self.key.as_str()) {
            return Err(KmsError::Rejected("the answer names another key"));
        }
        if answer.has_plaintext {
            return Err(KmsError::Rejected("the answer carries a plaintext"));
        }
        let enveloped = answer.enveloped.ok_or(KmsError::Rejected("no CiphertextForRecipient"))?;
        let secret = recipient.open(enveloped.as_ref()).map(ReleasedSecret)?;
        Ok((answer.blob, secret))
    }
}

/// Tries up to [`ATTEMPTS`] times, while what failed may pass.
async fn patiently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, KmsError>
where
    F: Future<Output = Result<T, KmsError>>,
{
    let mut number = 1;
    loop {
        match attempt().await {
            Err(error) if error.is_passing() && number < ATTEMPTS => {
                tracing::warn!(attempt = number, %error, "a call to KMS failed; trying again");
                tokio::time::sleep(RETRY_PAUSE * number).await;
                number += 1;
            }
            outcome => return outcome,
        }
    }
}

/// The two things asked of KMS.
enum Call<'a> {
    Generate,
    Decrypt(&'a [u8]),
}

/// What is looked at of KMS's answer.
struct Answer {
    /// Empty but for what was generated.
    blob: Vec<u8>,
    key_id: Option<String>,
    has_plaintext: bool,
    enveloped: Option<Blob>,
}

/// Maps an SDK error to ours. AWS's own text stays here: it names principals and keys.
fn classify<E, R>(error: &SdkError<E, R>) -> KmsError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    if let Some(failure) = ConnectFailure::behind(error) {
        return match failure {
            ConnectFailure::Tls => KmsError::Untrusted,
            ConnectFailure::Host => KmsError::Rejected("a request for another host was refused"),
            ConnectFailure::TooLong => KmsError::Rejected("an answer longer than 64 KiB"),
            ConnectFailure::NotAllowed => KmsError::Rejected("the relay does not allow KMS's host"),
            ConnectFailure::Line | ConnectFailure::Http => KmsError::Unreachable,
        };
    }
    match error.code() {
        Some("AccessDeniedException") => KmsError::Denied,
        Some(
            "UnrecognizedClientException"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationTokenException"
            | "InvalidClientTokenId",
        ) => KmsError::Credentials,
        Some(
            "ThrottlingException"
            | "KMSInternalException"
            | "DependencyTimeoutException"
            | "KeyUnavailableException"
            | "ServiceUnavailableException"
            | "InternalFailure",
        ) => KmsError::Unavailable,
        Some("NotFoundException") => KmsError::Rejected("the key does not exist"),
        Some("DisabledException" | "KMSInvalidStateException") => {
            KmsError::Rejected("the key is disabled or pending deletion")
        }
        Some("InvalidCiphertextException") => {
            KmsError::Rejected("the blob is not this key's, or its encryption context differs")
        }
        Some("IncorrectKeyException") => KmsError::Rejected("the blob is another key's"),
        Some("ValidationException") => KmsError::Rejected("KMS found the request invalid"),
        Some(_) => KmsError::Rejected("an error this release does not know"),
        None => match error {
            SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => KmsError::Unreachable,
            SdkError::ResponseError(_) => KmsError::Rejected("an answer that is not KMS's"),
            _ => KmsError::Unavailable,
        },
    }
}
