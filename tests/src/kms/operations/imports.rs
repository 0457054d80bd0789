//! GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.

use super::authorization::Asked;
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::imports::{MAX_PARAMETERS, Parameters};
use crate::kms::key::{DAY_MS, Material, Origin, seconds};
use crate::kms::keys::Found;
use crate::kms::material::MAX_BLOB;
use crate::kms::wire::{Blob, blob};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GetParametersForImport {
    key_id: String,
    wrapping_algorithm: String,
    wrapping_key_spec: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ImportKeyMaterial {
    key_id: String,
    import_token: Blob,
    encrypted_key_material: Blob,
    /// Seconds of Unix time.
    valid_to: Option<f64>,
    expiration_model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct DeleteImportedKeyMaterial {
    key_id: String,
    key_material_id: Option<String>,
}

impl Call<'_> {
    pub(super) fn get_parameters_for_import(&self, input: GetParametersForImport) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        let asked = Asked::default()
            .with("kms:WrappingAlgorithm", input.wrapping_algorithm.as_str())
            .with("kms:WrappingKeySpec", input.wrapping_key_spec.as_str());
        self.authorize("GetParametersForImport", &found, asked)?;
        require_importable(&found)?;
        if input.wrapping_algorithm != "RSAES_OAEP_SHA_256" {
            return Err(ApiError::unsupported("RSAES_OAEP_SHA_256 is the one wrapping algorithm"));
        }
        let (parameters, given) = Parameters::generate(&input.wrapping_key_spec, self.now_ms)?;
        self.service.change(|keys| {
            let imports = &mut keys.stored(&found.key)?.imports;
            imports.push(parameters);
            if imports.len() > MAX_PARAMETERS {
                imports.remove(0);
            }
            Ok(())
        })?;
        Ok(Some(json!({
            "KeyId": found.key.arn,
            "ImportToken": blob(given.token),
            "PublicKey": blob(given.public_key),
            "ParametersValidTo": seconds(given.valid_to_ms),
        })))
    }

    pub(super) fn import_key_material(&self, input: ImportKeyMaterial) -> Answer {
        super::within("importToken", input.import_token.0.len(), MAX_BLOB)?;
        super::within("encryptedKeyMaterial", input.encrypted_key_material.0.len(), MAX_BLOB)?;
        let found = self.find_without_alias(&input.key_id)?;
        let model = input.expiration_model.as_deref().unwrap_or("KEY_MATERIAL_EXPIRES");
        let asked = Asked::default().with("kms:ExpirationModel", model);
        self.authorize("ImportKeyMaterial", &found, asked)?;
        require_importable(&found)?;
        let expires_ms = self.expiry(model, input.valid_to)?;
        let key = found.key;
        let token = &input.import_token.0;
        let parameters = Parameters::of_token(&key.imports, token, self.now_ms)?;
        let secret = parameters.unwrap(&input.encrypted_key_material.0)?;
        let material_id = self.service.change(|keys| {
            let key = keys.stored(&key)?;
            let Material::Symmetric(versions) = &mut key.material else {
                return Err(ApiError::internal());
            };
            versions.import(key.id, secret, self.now_ms)?;
            let id = versions.current().map(|version| version.id.clone());
            key.imports.retain(|parameters| !parameters.is(token));
            key.expires_ms = expires_ms;
            key.disabled = false;
            Ok(id)
        })?;
        Ok(Some(json!({ "KeyId": key.arn, "KeyMaterialId": material_id })))
    }

    /// ExpirationModel and ValidTo, which go together: within 365 days.
    fn expiry(&self, model: &str, valid_to: Option<f64>) -> Result<Option<u64>, ApiError> {
        match (model, valid_to) {
            ("KEY_MATERIAL_DOES_NOT_EXPIRE", None) => Ok(None),
            ("KEY_MATERIAL_DOES_NOT_EXPIRE", Some(_)) => {
                Err(ApiError::validation("ValidTo on material that does not expire"))
            }
            ("KEY_MATERIAL_EXPIRES", Some(seconds)) => {
                let ms = seconds * 1_000.0;
                let latest = self.now_ms + 365 * DAY_MS;
                // Not a number fails both comparisons.
                if ms > self.now_ms as f64 && ms <= latest as f64 {
                    return Ok(Some(ms as u64));
                }
                Err(ApiError::validation("ValidTo is in the future, by 365 days at most"))
            }
            ("KEY_MATERIAL_EXPIRES", None) => {
                Err(ApiError::validation("ValidTo is missing, and the material is to expire"))
            }
            _ => Err(ApiError::constraint(
                "expirationModel",
                "satisfy enum value set: [KEY_MATERIAL_EXPIRES, KEY_MATERIAL_DOES_NOT_EXPIRE]",
            )),
        }
    }

    /// A key pending deletion stays so; any other is pending import then.
    pub(super) fn delete_imported_key_material(&self, input: DeleteImportedKeyMaterial) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("DeleteImportedKeyMaterial", &found, Asked::default())?;
        require_external(&found)?;
        let material_id = self.service.change(|keys| {
            let key = keys.stored(&found.key)?;
            let Material::Symmetric(versions) = &mut key.material else {
                return Err(ApiError::internal());
            };
            let id = versions.all().last().map(|version| version.id.clone());
            if input.key_material_id.is_some() && input.key_material_id != id {
                let text = "the key has no such material";
                return Err(ApiError::ours("NotFoundException", text));
            }
            versions.forget();
            key.expires_ms = None;
            Ok(id)
        })?;
        Ok(Some(json!({ "KeyId": found.key.arn, "KeyMaterialId": material_id })))
    }
}

fn require_external(found: &Found) -> Result<(), ApiError> {
    let key = &found.key;
    if key.origin == Origin::External {
        return Ok(());
    }
    let text = format!("{} origin is AWS_KMS which is not valid for this operation.", key.arn);
    Err(ApiError::new("UnsupportedOperationException", text))
}

fn require_importable(found: &Found) -> Result<(), ApiError> {
    require_external(found)?;
    found.key.require_not_deleting()
}
