//! Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom.

use super::authorization::Asked;
use super::{Answer, Call, SYMMETRIC_DEFAULT, unless_dry_run, within};
use crate::kms::error::ApiError;
use crate::kms::keys::Found;
use crate::kms::material::{EncryptionContext, MAX_BLOB, Secret, random};
use crate::kms::recipient::{Attested, RecipientInfo};
use crate::kms::wire::{Blob, blob};
use nitro_signer_shared::key_policy::Context;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const MAX_PLAINTEXT: usize = 4_096;
const MAX_RANDOM: usize = 1_024;
const MAX_CONTEXT: usize = 8_192;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Encrypt {
    key_id: String,
    plaintext: Blob,
    #[serde(default)]
    encryption_context: EncryptionContext,
    encryption_algorithm: Option<String>,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Decrypt {
    ciphertext_blob: Blob,
    key_id: Option<String>,
    #[serde(default)]
    encryption_context: EncryptionContext,
    encryption_algorithm: Option<String>,
    recipient: Option<RecipientInfo>,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ReEncrypt {
    ciphertext_blob: Blob,
    source_key_id: Option<String>,
    #[serde(default)]
    source_encryption_context: EncryptionContext,
    source_encryption_algorithm: Option<String>,
    destination_key_id: String,
    #[serde(default)]
    destination_encryption_context: EncryptionContext,
    destination_encryption_algorithm: Option<String>,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

/// GenerateDataKey and GenerateDataKeyWithoutPlaintext; the latter takes no recipient.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GenerateDataKey {
    key_id: String,
    #[serde(default)]
    encryption_context: EncryptionContext,
    key_spec: Option<String>,
    number_of_bytes: Option<usize>,
    recipient: Option<RecipientInfo>,
    #[serde(default)]
    grant_tokens: Vec<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GenerateRandom {
    number_of_bytes: Option<usize>,
    recipient: Option<RecipientInfo>,
}

/// A new data key, authorised and not yet encrypted.
struct DataKey {
    found: Found,
    plaintext: Secret,
    attested: Option<Attested>,
}

impl Call<'_> {
    pub(super) fn encrypt(&self, input: Encrypt) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        algorithm("encryptionAlgorithm", input.encryption_algorithm)?;
        within("plaintext", input.plaintext.0.len(), MAX_PLAINTEXT)?;
        let found = self.find(&input.key_id)?;
        self.authorize("Encrypt", &found, asked(&input.encryption_context, None)?)?;
        require_usable(&found, "Encrypt")?;
        unless_dry_run(input.dry_run)?;
        let sealed = found.key.encrypt(&input.plaintext.0, &input.encryption_context)?;
        Ok(Some(json!({
            "CiphertextBlob": blob(sealed),
            "KeyId": found.key.arn,
            "EncryptionAlgorithm": SYMMETRIC_DEFAULT,
        })))
    }

    pub(super) fn decrypt(&self, input: Decrypt) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        algorithm("encryptionAlgorithm", input.encryption_algorithm)?;
        let sealed = input.ciphertext_blob.0;
        let found = self.key_of(&sealed, input.key_id.as_deref())?;
        let attested = self.attest(input.recipient.as_ref())?;
        let asked = asked(&input.encryption_context, attested.as_ref())?;
        self.authorize("Decrypt", &found, asked)?;
        require_usable(&found, "Decrypt")?;
        unless_dry_run(input.dry_run)?;
        let plaintext = found.key.decrypt(&sealed, &input.encryption_context)?;
        let mut answer = self.deliver(&plaintext, attested.as_ref())?;
        answer.insert("KeyId".to_owned(), self.forgery.key_id(&found.key.arn).into());
        answer.insert("EncryptionAlgorithm".to_owned(), SYMMETRIC_DEFAULT.into());
        answer.insert("KeyMaterialId".to_owned(), found.key.material_of(&sealed).into());
        Ok(Some(answer.into()))
    }

    /// Needs kms:ReEncryptFrom on the source key and kms:ReEncryptTo on the destination key.
    pub(super) fn re_encrypt(&self, input: ReEncrypt) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        algorithm("sourceEncryptionAlgorithm", input.source_encryption_algorithm)?;
        algorithm("destinationEncryptionAlgorithm", input.destination_encryption_algorithm)?;
        let sealed = input.ciphertext_blob.0;
        let source = self.key_of(&sealed, input.source_key_id.as_deref())?;
        let destination = self.find(&input.destination_key_id)?;
        let same = (source.key.arn == destination.key.arn).to_string();
        let asked = |context| {
            asked(context, None).map(|asked| asked.with("kms:ReEncryptOnSameKey", same.as_str()))
        };
        self.authorize("ReEncryptFrom", &source, asked(&input.source_encryption_context)?)?;
        self.authorize("ReEncryptTo", &destination, asked(&input.destination_encryption_context)?)?;
        require_usable(&source, "ReEncrypt")?;
        require_usable(&destination, "ReEncrypt")?;
        unless_dry_run(input.dry_run)?;
        let plaintext = source.key.decrypt(&sealed, &input.source_encryption_context)?;
        let moved = destination.key.encrypt(&plaintext, &input.destination_encryption_context)?;
        Ok(Some(json!({
            "SourceKeyMaterialId": source.key.material_of(&sealed),
            "DestinationKeyMaterialId": destination.key.material_of(&moved),
            "CiphertextBlob": blob(moved),
            "SourceKeyId": source.key.arn,
            "KeyId": destination.key.arn,
            "SourceEncryptionAlgorithm": SYMMETRIC_DEFAULT,
            "DestinationEncryptionAlgorithm": SYMMETRIC_DEFAULT,
        })))
    }

    pub(super) fn generate_data_key(&self, input: GenerateDataKey) -> Answer {
        let DataKey { found, plaintext, attested } = self.data_key("GenerateDataKey", &input)?;
        let sealed = found.key.encrypt(plaintext.expose(), &input.encryption_context)?;
        let mut answer = self.deliver(plaintext.expose(), attested.as_ref())?;
        answer.insert("KeyMaterialId".to_owned(), found.key.material_of(&sealed).into());
        answer.insert("CiphertextBlob".to_owned(), blob(sealed));
        answer.insert("KeyId".to_owned(), self.forgery.key_id(&found.key.arn).into());
        Ok(Some(answer.into()))
    }

    pub(super) fn generate_data_key_without_plaintext(&self, input: GenerateDataKey) -> Answer {
        if input.recipient.is_some() {
            return Err(ApiError::validation("this operation takes no Recipient"));
        }
        let DataKey { found, plaintext, .. } =
            self.data_key("GenerateDataKeyWithoutPlaintext", &input)?;
        let sealed = found.key.encrypt(plaintext.expose(), &input.encryption_context)?;
        Ok(Some(json!({
            "KeyMaterialId": found.key.material_of(&sealed),
            "CiphertextBlob": blob(sealed),
            "KeyId": found.key.arn,
        })))
    }

    pub(super) fn generate_random(&self, input: GenerateRandom) -> Answer {
        let length = input
            .number_of_bytes
            .ok_or_else(|| ApiError::validation("NumberOfBytes is missing"))?;
        number_of_bytes(length)?;
        let attested = self.attest(input.recipient.as_ref())?;
        self.require_identity_policy("GenerateRandom", "*")?;
        Ok(Some(self.deliver(random(length)?.expose(), attested.as_ref())?.into()))
    }

    /// What both data key operations do up to encrypting the new key.
    fn data_key(&self, operation: &str, input: &GenerateDataKey) -> Result<DataKey, ApiError> {
        self.check_grant_tokens(&input.grant_tokens)?;
        let length = match (input.key_spec.as_deref(), input.number_of_bytes) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (Some(_), None) => {
                return Err(ApiError::constraint(
                    "keySpec",
                    "satisfy enum value set: [AES_256, AES_128]",
                ));
            }
            (None, Some(length)) => length,
            (None, None) | (Some(_), Some(_)) => {
                return Err(ApiError::new(
                    "ValidationException",
                    "Please specify either number of bytes or key spec.",
                ));
            }
        };
        number_of_bytes(length)?;
        let found = self.find(&input.key_id)?;
        let attested = self.attest(input.recipient.as_ref())?;
        let asked = asked(&input.encryption_context, attested.as_ref())?;
        self.authorize(operation, &found, asked)?;
        require_usable(&found, operation)?;
        unless_dry_run(input.dry_run)?;
        Ok(DataKey { found, plaintext: random(length)?, attested })
    }

    /// The key that made a blob, which the request may name.
    fn key_of(&self, sealed: &[u8], named: Option<&str>) -> Result<Found, ApiError> {
        within("ciphertextBlob", sealed.len(), MAX_BLOB)?;
        let named = named.map(|name| self.find(name)).transpose()?;
        let key = self.service.keys()?.of_blob(self.region, sealed)?;
        self.notes.borrow_mut().about(&key.arn);
        match named {
            Some(named) if named.key.arn != key.arn => Err(ApiError::incorrect_key()),
            Some(named) => Ok(named),
            None => Ok(Found { key, alias: None }),
        }
    }

    fn attest(&self, info: Option<&RecipientInfo>) -> Result<Option<Attested>, ApiError> {
        let Some(info) = info else { return Ok(None) };
        let attested = self.service.attest(info, self.now_ms)?;
        self.notes.borrow_mut().attested(attested.document());
        Ok(Some(attested))
    }

    /// The plaintext for a caller without Recipient, its envelope for one with.
    fn deliver(
        &self,
        plaintext: &[u8],
        attested: Option<&Attested>,
    ) -> Result<Map<String, Value>, ApiError> {
        let (name, value) = match attested {
            None => ("Plaintext", blob(plaintext)),
            Some(attested) => {
                let plaintext = self.forgery.plaintext(plaintext);
                let sealed = self.service.seal(plaintext, &attested.recipient)?;
                ("CiphertextForRecipient", blob(sealed))
            }
        };
        Ok(Map::from_iter([(name.to_owned(), value)]))
    }
}

/// A key of the right kind, in the right state.
fn require_usable(found: &Found, operation: &str) -> Result<(), ApiError> {
    found.key.symmetric(operation)?;
    found.key.require_enabled()
}

/// The condition keys of a cryptographic operation: of its encryption context, and of the
/// attestation document that came along (KMS developer guide, "AWS KMS condition keys").
/// Condition keys know no case, so names that differ in case only are refused.
fn asked<'a>(
    pairs: &'a EncryptionContext,
    attested: Option<&Attested>,
) -> Result<Asked<'a>, ApiError> {
    let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_CONTEXT {
        return Err(ApiError::validation("an encryption context of more than 8192 bytes"));
    }
    let mut conditions = Context::default();
    let mut seen = BTreeSet::new();
    for (name, value) in pairs {
        if !seen.insert(name.to_lowercase()) {
            return Err(ApiError::validation("encryption context names that differ in case only"));
        }
        conditions.insert(&format!("kms:EncryptionContext:{name}"), [value.as_str()]);
        conditions.insert("kms:EncryptionContextKeys", [name.as_str()]);
    }
    if let Some(attested) = attested {
        attested.describe(&mut conditions);
    }
    conditions.insert("kms:EncryptionAlgorithm", [SYMMETRIC_DEFAULT]);
    Ok(Asked { conditions, encryption_context: Some(pairs), new_grant: None })
}

fn number_of_bytes(length: usize) -> Result<(), ApiError> {
    let constraint = match length {
        0 => "have value greater than or equal to 1",
        1..=MAX_RANDOM => return Ok(()),
        _ => "have value less than or equal to 1024",
    };
    Err(ApiError::constraint("numberOfBytes", constraint))
}

fn algorithm(member: &str, name: Option<String>) -> Result<(), ApiError> {
    match name.as_deref() {
        None | Some(SYMMETRIC_DEFAULT) => Ok(()),
        Some("RSAES_OAEP_SHA_1" | "RSAES_OAEP_SHA_256" | "SM2PKE") => {
            Err(ApiError::ours("InvalidKeyUsageException", "symmetric keys only"))
        }
        Some(_) => Err(ApiError::constraint(
            member,
            "satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]",
        )),
    }
}
