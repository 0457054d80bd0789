//! Keys that sign: ECDSA on P-256 and secp256k1, over a message or over its digest as it comes.

use super::error::ApiError;
use super::material::Secret;
use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1,
    ECDSA_P256K1_SHA256_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, KeyPair, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

/// The one SigningAlgorithm that these curves have.
pub(super) const ALGORITHM: &str = "ECDSA_SHA_256";

/// A curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Curve {
    P256,
    Secp256k1,
}

impl Curve {
    /// KeySpec.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::P256 => "ECC_NIST_P256",
            Self::Secp256k1 => "ECC_SECG_P256K1",
        }
    }

    const fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::Secp256k1 => &ECDSA_P256K1_SHA256_ASN1_SIGNING,
        }
    }

    const fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_ASN1,
            Self::Secp256k1 => &ECDSA_P256K1_SHA256_ASN1,
        }
    }
}

/// A private key, as PKCS#8.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SigningKey {
    pub(super) curve: Curve,
    pkcs8: Secret,
}

/// What is signed.
pub(super) enum Message<'a> {
    Raw(&'a [u8]),
    Digest(Digest),
}

impl<'a> Message<'a> {
    /// Message and MessageType of a request.
    pub(super) fn read(bytes: &'a [u8], kind: Option<&str>) -> Result<Self, ApiError> {
        match kind {
            None | Some("RAW") => Ok(Self::Raw(bytes)),
            Some("DIGEST") => {
                Digest::import_less_safe(bytes, &SHA256).map(Self::Digest).map_err(|_| {
                    let text = format!("Digest is invalid length for algorithm {ALGORITHM}.");
                    ApiError::new("ValidationException", text)
                })
            }
            Some(_) => Err(ApiError::constraint(
                "messageType",
                "satisfy enum value set: [RAW, DIGEST, EXTERNAL_MU]",
            )),
        }
    }
}

impl SigningKey {
    pub(super) fn generate(curve: Curve) -> Result<Self, ApiError> {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve.signing(), &SystemRandom::new())
            .map_err(|_| ApiError::internal())?;
        Ok(Self { curve, pkcs8: Secret::new(pkcs8.as_ref().to_vec()) })
    }

    fn pair(&self) -> Result<EcdsaKeyPair, ApiError> {
        EcdsaKeyPair::from_pkcs8(self.curve.signing(), self.pkcs8.expose())
            .map_err(|_| ApiError::internal())
    }

    /// SubjectPublicKeyInfo in DER.
    pub(super) fn public_key(&self) -> Result<Vec<u8>, ApiError> {
        let pair = self.pair()?;
        let der = pair.public_key().as_der().map_err(|_| ApiError::internal())?;
        Ok(der.as_ref().to_vec())
    }

    /// A DER signature.
    pub(super) fn sign(&self, message: &Message<'_>) -> Result<Vec<u8>, ApiError> {
        let pair = self.pair()?;
        let signature = match message {
            Message::Raw(bytes) => pair.sign(&SystemRandom::new(), bytes),
            Message::Digest(digest) => pair.sign_digest(digest),
        };
        Ok(signature.map_err(|_| ApiError::internal())?.as_ref().to_vec())
    }

    /// An invalid signature is an error, as KMS has it.
    pub(super) fn verify(&self, message: &Message<'_>, signature: &[u8]) -> Result<(), ApiError> {
        let pair = self.pair()?;
        let public = UnparsedPublicKey::new(self.curve.verification(), pair.public_key().as_ref());
        match message {
            Message::Raw(bytes) => public.verify(bytes, signature),
            Message::Digest(digest) => public.verify_digest(digest, signature),
        }
        .map_err(|_| ApiError::invalid_signature())
    }
}
