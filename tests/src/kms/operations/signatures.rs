//! GetPublicKey, Sign, Verify.

use super::authorization::Asked;
use super::{Answer, Call, unless_dry_run, within};
use crate::kms::asymmetric::{self, Message};
use crate::kms::error::ApiError;
use crate::kms::key::Key;
use crate::kms::material::MAX_BLOB;
use crate::kms::wire::{Blob, blob};
use serde::Deserialize;
use serde_json::json;

const MAX_MESSAGE: usize = 4_096;
/// SigningAlgorithm of KMS; all but one are of other key types.
const ALGORITHMS: [&str; 10] = [
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "ECDSA_SHA_256",
    "ECDSA_SHA_384",
    "ECDSA_SHA_512",
    "SM2DSA",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GetPublicKey {
    key_id: String,
    #[serde(default)]
    grant_tokens: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Sign {
    key_id: String,
    message: Blob,
    message_type: Option<String>,
    signing_algorithm: String,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Verify {
    key_id: String,
    message: Blob,
    message_type: Option<String>,
    signature: Blob,
    signing_algorithm: String,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

impl Call<'_> {
    pub(super) fn get_public_key(&self, input: GetPublicKey) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        let found = self.find(&input.key_id)?;
        self.authorize("GetPublicKey", &found, Asked::default())?;
        let key = found.key;
        if !key.signs() {
            return Err(ApiError::unsupported(format!("{} has no public key", key.arn)));
        }
        key.require_enabled()?;
        Ok(Some(json!({
            "KeyId": key.arn,
            "PublicKey": blob(key.signing("GetPublicKey")?.public_key()?),
            "CustomerMasterKeySpec": key.spec(),
            "KeySpec": key.spec(),
            "KeyUsage": key.usage(),
            "SigningAlgorithms": [asymmetric::ALGORITHM],
        })))
    }

    pub(super) fn sign(&self, input: Sign) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        let (algorithm, kind) = (&input.signing_algorithm, input.message_type.as_deref());
        let key = self.key_for("Sign", &input.key_id, &input.message, algorithm, kind)?;
        let message = Message::read(&input.message.0, kind)?;
        unless_dry_run(input.dry_run)?;
        Ok(Some(json!({
            "KeyId": key.arn,
            "Signature": blob(key.signing("Sign")?.sign(&message)?),
            "SigningAlgorithm": algorithm,
        })))
    }

    pub(super) fn verify(&self, input: Verify) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        within("signature", input.signature.0.len(), MAX_BLOB)?;
        let (algorithm, kind) = (&input.signing_algorithm, input.message_type.as_deref());
        let key = self.key_for("Verify", &input.key_id, &input.message, algorithm, kind)?;
        let message = Message::read(&input.message.0, kind)?;
        unless_dry_run(input.dry_run)?;
        key.signing("Verify")?.verify(&message, &input.signature.0)?;
        Ok(Some(json!({
            "KeyId": key.arn, "SignatureValid": true, "SigningAlgorithm": algorithm,
        })))
    }

    /// The key of a signature, once the caller may and the key can.
    fn key_for(
        &self,
        operation: &str,
        name: &str,
        message: &Blob,
        algorithm: &str,
        message_type: Option<&str>,
    ) -> Result<Key, ApiError> {
        within("message", message.0.len(), MAX_MESSAGE)?;
        if !ALGORITHMS.contains(&algorithm) {
            let set = format!("satisfy enum value set: [{}]", ALGORITHMS.join(", "));
            return Err(ApiError::constraint("signingAlgorithm", &set));
        }
        let found = self.find(name)?;
        let asked = Asked::default()
            .with("kms:SigningAlgorithm", algorithm)
            .with("kms:MessageType", message_type.unwrap_or("RAW"));
        self.authorize(operation, &found, asked)?;
        let key = found.key;
        key.signing(operation)?;
        key.require_enabled()?;
        if algorithm != asymmetric::ALGORITHM {
            let text =
                format!("Algorithm {algorithm} is incompatible with key spec {}.", key.spec());
            return Err(ApiError::new("InvalidKeyUsageException", text));
        }
        Ok(key)
    }
}
