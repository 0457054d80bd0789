//! CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, UpdateKeyDescription.

use super::authorization::Asked;
use super::tags::{Tag, read_tags};
use super::{Answer, Call, SYMMETRIC_DEFAULT};
use crate::kms::asymmetric::{self, Curve};
use crate::kms::error::ApiError;
use crate::kms::key::{Deletion, Key, Material, Origin, State, seconds};
use crate::kms::keys::{Keys, NewKey};
use crate::kms::pages::{Length, Page};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const MAX_DESCRIPTION: usize = 8_192;
/// KeySpec of KMS's further key types.
const NOT_SERVED: [&str; 17] = [
    "RSA_2048",
    "RSA_3072",
    "RSA_4096",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_NIST_EDWARDS25519",
    "HMAC_224",
    "HMAC_256",
    "HMAC_384",
    "HMAC_512",
    "SM2",
    "ML_DSA_44",
    "ML_DSA_65",
    "ML_DSA_87",
    "ML_KEM_512",
    "ML_KEM_768",
    "ML_KEM_1024",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct CreateKey {
    policy: Option<String>,
    description: Option<String>,
    key_usage: Option<String>,
    key_spec: Option<String>,
    customer_master_key_spec: Option<String>,
    origin: Option<String>,
    multi_region: Option<bool>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    bypass_policy_lockout_safety_check: bool,
}

impl CreateKey {
    /// The kind of key that is asked for, if it is served.
    fn kind(&self) -> Result<(Option<Curve>, Origin), ApiError> {
        let spec = match (&self.key_spec, &self.customer_master_key_spec) {
            (Some(_), Some(_)) => {
                let text = "both KeySpec and CustomerMasterKeySpec";
                return Err(ApiError::validation(text));
            }
            (one, other) => one.as_deref().or(other.as_deref()).unwrap_or(SYMMETRIC_DEFAULT),
        };
        let origin = match self.origin.as_deref() {
            None | Some("AWS_KMS") => Origin::Kms,
            Some("EXTERNAL") => Origin::External,
            Some(_) => return Err(ApiError::unsupported("no custom key stores")),
        };
        let curve = match spec {
            SYMMETRIC_DEFAULT => None,
            "ECC_NIST_P256" => Some(Curve::P256),
            "ECC_SECG_P256K1" => Some(Curve::Secp256k1),
            _ if NOT_SERVED.contains(&spec) => {
                return Err(ApiError::unsupported(format!("no keys of {spec}")));
            }
            _ => return Err(ApiError::constraint("keySpec", "satisfy enum value set of KeySpec")),
        };
        check_usage(curve, self.key_usage.as_deref(), spec)?;
        if curve.is_some() && origin == Origin::External {
            return Err(ApiError::unsupported("only symmetric keys are imported"));
        }
        Ok((curve, origin))
    }
}

/// What the key is for has to fit what it is.
fn check_usage(curve: Option<Curve>, usage: Option<&str>, spec: &str) -> Result<(), ApiError> {
    let text = match (curve, usage) {
        (None, None | Some("ENCRYPT_DECRYPT")) | (Some(_), Some("SIGN_VERIFY")) => return Ok(()),
        (Some(_), None) => "You must specify a KeyUsage value for all KMS keys except for \
                            symmetric encryption keys."
            .to_owned(),
        (_, Some(usage)) => format!("KeyUsage {usage} is not compatible with KeySpec {spec}"),
    };
    Err(ApiError::new("ValidationException", text))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct DescribeKey {
    key_id: String,
    #[serde(default)]
    grant_tokens: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListKeys {
    limit: Option<i64>,
    marker: Option<String>,
}

/// Operations that take a key and nothing else.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct OneKey {
    pub(super) key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct UpdateKeyDescription {
    key_id: String,
    description: String,
}

impl Call<'_> {
    pub(super) fn create_key(&self, input: CreateKey) -> Answer {
        self.require_identity_policy("CreateKey", "*")?;
        let (curve, origin) = input.kind()?;
        let tags = read_tags(input.tags)?;
        if !tags.is_empty() {
            self.require_identity_policy("TagResource", "*")?;
        }
        let description = description(input.description.unwrap_or_default())?;
        let policy = input.policy.unwrap_or_else(|| self.service.default_policy());
        self.check_policy(&policy, input.bypass_policy_lockout_safety_check, "*")?;
        let multi_region = input.multi_region == Some(true);
        let new = NewKey { description, policy, origin, curve, multi_region, tags };
        let metadata = self.service.change(|keys| {
            let key = keys.create(self.region, new, self.now_ms)?.clone();
            self.notes.borrow_mut().about(&key.arn);
            Ok(metadata(keys, &key))
        })?;
        Ok(Some(json!({ "KeyMetadata": metadata })))
    }

    pub(super) fn describe_key(&self, input: DescribeKey) -> Answer {
        self.check_grant_tokens(&input.grant_tokens)?;
        let found = self.find(&input.key_id)?;
        self.authorize("DescribeKey", &found, Asked::default())?;
        Ok(Some(json!({ "KeyMetadata": metadata(&*self.service.keys()?, &found.key) })))
    }

    pub(super) fn list_keys(&self, input: ListKeys) -> Answer {
        self.require_identity_policy("ListKeys", "*")?;
        let keys = self.service.keys()?;
        let items = keys.all(self.region).map(|key| {
            (key.id.to_string(), json!({ "KeyId": key.id.to_string(), "KeyArn": key.arn }))
        });
        let page = Page { limit: input.limit, marker: input.marker };
        Ok(Some(page.of("Keys", items, &Length { usual: 100, most: 1_000 })?.into()))
    }

    pub(super) fn enable_key(&self, input: OneKey) -> Answer {
        self.set_disabled("EnableKey", &input, false)
    }

    pub(super) fn disable_key(&self, input: OneKey) -> Answer {
        self.set_disabled("DisableKey", &input, true)
    }

    fn set_disabled(&self, operation: &str, input: &OneKey, disabled: bool) -> Answer {
        let key = self.find_without_alias(&input.key_id)?;
        self.authorize(operation, &key, Asked::default())?;
        let key = key.key;
        if key.state() == State::PendingImport {
            return Err(ApiError::state(&key.arn, "is pending import."));
        }
        key.require_not_deleting()?;
        self.service.change(|keys| {
            keys.stored(&key)?.disabled = disabled;
            Ok(())
        })?;
        Ok(None)
    }

    pub(super) fn update_key_description(&self, input: UpdateKeyDescription) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("UpdateKeyDescription", &found, Asked::default())?;
        found.key.require_not_deleting()?;
        let description = description(input.description)?;
        self.service.change(|keys| {
            keys.stored(&found.key)?.description = description;
            Ok(())
        })?;
        Ok(None)
    }
}

pub(super) fn description(text: String) -> Result<String, ApiError> {
    if text.len() > MAX_DESCRIPTION {
        return Err(ApiError::constraint("description", "have length less than or equal to 8192"));
    }
    Ok(text)
}

/// KeyMetadata.
pub(super) fn metadata(keys: &Keys, key: &Key) -> Value {
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| drop(metadata.insert(name.to_owned(), value));
    let state = key.state();
    put("AWSAccountId", keys.account().into());
    put("KeyId", key.id.to_string().into());
    put("Arn", key.arn.as_str().into());
    put("CreationDate", seconds(key.created_ms));
    put("Enabled", (state.name() == "Enabled").into());
    put("Description", key.description.as_str().into());
    put("KeyUsage", key.usage().into());
    put("KeyState", state.name().into());
    put("Origin", key.origin.name().into());
    put("KeyManager", "CUSTOMER".into());
    put("CustomerMasterKeySpec", key.spec().into());
    put("KeySpec", key.spec().into());
    put("MultiRegion", key.primary_region.is_some().into());
    if let Some(Deletion::At { ms }) = key.deletion {
        put("DeletionDate", seconds(ms));
    }
    if let Some(Deletion::AfterReplicas { days }) = key.deletion {
        put("PendingDeletionWindowInDays", days.into());
    }
    if let Some(expires_ms) = key.expires_ms {
        put("ValidTo", seconds(expires_ms));
    }
    material_metadata(key, &mut put);
    if key.primary_region.is_some() {
        put("MultiRegionConfiguration", multi_region_configuration(keys, key));
    }
    metadata.into()
}

/// What KeyMetadata says of what the key works with.
fn material_metadata(key: &Key, put: &mut impl FnMut(&str, Value)) {
    let versions = match &key.material {
        Material::Signing(_) => return put("SigningAlgorithms", json!([asymmetric::ALGORITHM])),
        Material::Symmetric(versions) => versions,
    };
    put("EncryptionAlgorithms", json!([SYMMETRIC_DEFAULT]));
    let Some(version) = versions.current() else { return };
    put("CurrentKeyMaterialId", version.id.as_str().into());
    if key.origin == Origin::External {
        let model = if key.expires_ms.is_some() { "EXPIRES" } else { "DOES_NOT_EXPIRE" };
        put("ExpirationModel", format!("KEY_MATERIAL_{model}").into());
    }
}

fn multi_region_configuration(keys: &Keys, key: &Key) -> Value {
    let entry = |key: &&Key| json!({ "Arn": key.arn, "Region": key.region });
    let related = keys.related(key.id);
    let replicas: Vec<Value> = related.iter().filter(|key| key.is_replica()).map(entry).collect();
    let primary = related.iter().find(|key| !key.is_replica()).map(entry);
    json!({
        "MultiRegionKeyType": if key.is_replica() { "REPLICA" } else { "PRIMARY" },
        "PrimaryKey": primary,
        "ReplicaKeys": replicas,
    })
}
