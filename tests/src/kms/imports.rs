//! Imported material: the wrapping keys that GetParametersForImport gave out, and what comes back
//! under them.
//!
//! Sources: KMS API reference, GetParametersForImport and ImportKeyMaterial; KMS developer guide,
//! "Importing key material for AWS KMS keys" (importing-keys).

use super::error::ApiError;
use super::key::DAY_MS;
use super::material::{SYMMETRIC, Secret, random};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const TOKEN: usize = 256;
/// "The public key and import token … are valid for 24 hours."
const VALID_MS: u64 = DAY_MS;
/// Given out for one key and not forgotten; older ones go first.
pub(super) const MAX_PARAMETERS: usize = 20;

/// One wrapping key with its import token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Parameters {
    token: Secret,
    private: Secret,
    pub(super) valid_to_ms: u64,
}

/// What the caller of GetParametersForImport gets.
pub(super) struct Given {
    pub(super) token: Vec<u8>,
    pub(super) public_key: Vec<u8>,
    pub(super) valid_to_ms: u64,
}

impl Parameters {
    /// A new wrapping key of this WrappingKeySpec.
    pub(super) fn generate(spec: &str, now_ms: u64) -> Result<(Self, Given), ApiError> {
        let size = match spec {
            "RSA_2048" => KeySize::Rsa2048,
            "RSA_3072" => KeySize::Rsa3072,
            "RSA_4096" => KeySize::Rsa4096,
            _ => {
                return Err(ApiError::constraint(
                    "wrappingKeySpec",
                    "satisfy enum value set: [RSA_2048, RSA_3072, RSA_4096, SM2]",
                ));
            }
        };
        let key = PrivateDecryptingKey::generate(size).map_err(|_| ApiError::internal())?;
        let private: Pkcs8V1Der<'_> = key.as_der().map_err(|_| ApiError::internal())?;
        let public: PublicKeyX509Der<'_> =
            key.public_key().as_der().map_err(|_| ApiError::internal())?;
        let token = random(TOKEN)?;
        let valid_to_ms = now_ms + VALID_MS;
        let given = Given {
            token: token.expose().to_vec(),
            public_key: public.as_ref().to_vec(),
            valid_to_ms,
        };
        let private = Secret::new(private.as_ref().to_vec());
        Ok((Self { token, private, valid_to_ms }, given))
    }

    /// The parameters that a token names. One that this key never gave out, or that an import has
    /// used up, is invalid.
    pub(super) fn of_token<'a>(
        all: &'a [Self],
        token: &[u8],
        now_ms: u64,
    ) -> Result<&'a Self, ApiError> {
        let named = all.iter().find(|parameters| parameters.token.expose() == token);
        let named = named.ok_or_else(|| {
            let text = "the token is not one of this key, or an import has used it up";
            ApiError::ours("InvalidImportTokenException", text)
        })?;
        if named.valid_to_ms <= now_ms {
            let text = "the token is older than 24 hours";
            return Err(ApiError::ours("ExpiredImportTokenException", text));
        }
        Ok(named)
    }

    pub(super) fn is(&self, token: &[u8]) -> bool {
        self.token.expose() == token
    }

    /// The material that was encrypted under this wrapping key, by RSAES_OAEP_SHA_256.
    pub(super) fn unwrap(&self, encrypted: &[u8]) -> Result<Secret, ApiError> {
        let key = PrivateDecryptingKey::from_pkcs8(self.private.expose())
            .and_then(|key| OaepPrivateDecryptingKey::new(key).map_err(Into::into))
            .map_err(|_| ApiError::internal())?;
        let mut room = Zeroizing::new(vec![0; key.min_output_size()]);
        let material = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut room, None)
            .map_err(|_| ApiError::invalid_ciphertext())?;
        if material.len() != SYMMETRIC {
            return Err(ApiError::incorrect_material());
        }
        Ok(Secret::new(material.to_vec()))
    }
}
