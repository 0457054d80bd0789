//! The Recipient of a call: an enclave, by its attestation document.
//!
//! The document is authenticated before anything in it is used, and the answer is sealed to the
//! key inside it and to nothing else.

use super::cms::Recipient;
use super::error::ApiError;
use super::wire::Blob;
use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};
use nitro_signer_shared::attestation::{AuthenticDocument, TrustAnchor, UnverifiedDocument};
use nitro_signer_shared::key_policy::Context;
use serde::Deserialize;

const RSA_BITS: usize = 2_048;
/// How far a document's timestamp may be ahead of the server's clock. AWS publishes none; ours.
const SKEW_MS: u64 = 60_000;

/// The Recipient member of a request (KMS API reference, RecipientInfo).
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct RecipientInfo {
    attestation_document: Blob,
    key_encryption_algorithm: String,
}

/// An enclave whose document is authentic, with the key to answer it under.
pub(super) struct Attested {
    document: AuthenticDocument,
    pub(super) recipient: Recipient,
}

impl Attested {
    /// Checks the document. KMS sets an age limit that AWS does not publish; this one is ours.
    pub(super) fn check(
        info: &RecipientInfo,
        anchor: &TrustAnchor,
        now_ms: u64,
        max_age_ms: u64,
    ) -> Result<Self, ApiError> {
        if info.key_encryption_algorithm != "RSAES_OAEP_SHA_256" {
            return Err(ApiError::validation("KeyEncryptionAlgorithm is not RSAES_OAEP_SHA_256"));
        }
        let document = UnverifiedDocument::parse(&info.attestation_document.0)
            .and_then(|document| document.authenticate(anchor, now_ms))
            .map_err(|rejection| refuse(rejection.to_string()))?;
        let made = document.timestamp_ms();
        if made.saturating_add(max_age_ms) < now_ms {
            return Err(refuse(format!("it is older than {max_age_ms} ms, a limit of our own")));
        }
        if made > now_ms.saturating_add(SKEW_MS) {
            return Err(refuse("it is from the future"));
        }
        let spki = document.public_key().ok_or_else(|| refuse("it has no public key"))?.to_vec();
        let recipient = recipient(spki)?;
        Ok(Self { document, recipient })
    }

    /// The document, which is authentic.
    pub(super) const fn document(&self) -> &AuthenticDocument {
        &self.document
    }

    /// The condition keys of the call (KMS developer guide, conditions-nitro-enclaves).
    pub(super) fn describe(&self, context: &mut Context) {
        const PREFIX: &str = "kms:RecipientAttestation:";
        for (index, pcr) in self.document.pcrs() {
            let value = hex::encode(pcr);
            if *index == 0 {
                context.insert(&format!("{PREFIX}ImageSha384"), [value.as_str()]);
            }
            context.insert(&format!("{PREFIX}PCR{index}"), [value]);
        }
    }
}

fn recipient(spki: Vec<u8>) -> Result<Recipient, ApiError> {
    let key = PublicEncryptingKey::from_der(&spki)
        .map_err(|_| refuse("its public key is not an RSA SubjectPublicKeyInfo"))?;
    if key.key_size_bits() != RSA_BITS {
        return Err(refuse(format!("its public key does not have {RSA_BITS} bits")));
    }
    let key =
        OaepPublicEncryptingKey::new(key).map_err(|_| refuse("its public key is unusable"))?;
    Ok(Recipient { spki, key })
}

fn refuse(why: impl AsRef<str>) -> ApiError {
    ApiError::validation(format!("the attestation document is refused: {}", why.as_ref()))
}
