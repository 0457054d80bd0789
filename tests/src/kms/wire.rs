//! What the calls carry: the members of requests, as KMS's API reference lists them.
//!
//! A member that is not known is an error: a client that relies on it must not believe it worked.

use super::error::ApiError;
use super::keys::EncryptionContext;
use super::recipient::RecipientInfo;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Bytes, in base64 on the wire.
pub(super) struct Blob(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

/// Bytes as a member of an answer.
pub(super) fn blob(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// Reads a request's body: an object. (serde would take a list of its values as well.)
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::ours("SerializationException", "the body is not an object"));
    }
    serde_json::from_slice(body)
        .map_err(|error| ApiError::ours("SerializationException", error.to_string()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct CreateKey {
    pub(super) policy: Option<String>,
    pub(super) description: Option<String>,
    pub(super) key_usage: Option<String>,
    pub(super) key_spec: Option<String>,
    pub(super) customer_master_key_spec: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) multi_region: Option<bool>,
    #[serde(default)]
    pub(super) bypass_policy_lockout_safety_check: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct DescribeKey {
    pub(super) key_id: String,
    #[serde(default)]
    pub(super) grant_tokens: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct PutKeyPolicy {
    pub(super) key_id: String,
    pub(super) policy: String,
    pub(super) policy_name: Option<String>,
    #[serde(default)]
    pub(super) bypass_policy_lockout_safety_check: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GetKeyPolicy {
    pub(super) key_id: String,
    pub(super) policy_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct CreateAlias {
    pub(super) alias_name: String,
    pub(super) target_key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListGrants {
    pub(super) key_id: String,
    #[serde(rename = "Limit")]
    pub(super) _limit: Option<u32>,
    #[serde(rename = "GrantId")]
    pub(super) _grant_id: Option<String>,
    #[serde(rename = "GranteePrincipal")]
    pub(super) _grantee_principal: Option<String>,
    pub(super) marker: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Encrypt {
    pub(super) key_id: String,
    pub(super) plaintext: Blob,
    #[serde(default)]
    pub(super) encryption_context: EncryptionContext,
    pub(super) encryption_algorithm: Option<String>,
    #[serde(default)]
    pub(super) grant_tokens: Vec<String>,
    #[serde(default)]
    pub(super) dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Decrypt {
    pub(super) ciphertext_blob: Blob,
    pub(super) key_id: Option<String>,
    #[serde(default)]
    pub(super) encryption_context: EncryptionContext,
    pub(super) encryption_algorithm: Option<String>,
    pub(super) recipient: Option<RecipientInfo>,
    #[serde(default)]
    pub(super) grant_tokens: Vec<String>,
    #[serde(default)]
    pub(super) dry_run: bool,
}

/// GenerateDataKey and GenerateDataKeyWithoutPlaintext; the latter takes no recipient.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    pub(super) key_id: String,
    #[serde(default)]
    pub(super) encryption_context: EncryptionContext,
    pub(super) key_spec: Option<String>,
    pub(super) number_of_bytes: Option<usize>,
    pub(super) recipient: Option<RecipientInfo>,
    #[serde(default)]
    pub(super) grant_tokens: Vec<String>,
    #[serde(default)]
    pub(super) dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GenerateRandom {
    pub(super) number_of_bytes: Option<usize>,
    pub(super) recipient: Option<RecipientInfo>,
}
