//! What symmetric keys encrypt with: one secret, and after each rotation a newer one.
//!
//! A blob carries the number of the secret it was made with, so that rotation closes nothing.

use super::error::ApiError;
use super::key::KeyId;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest CiphertextBlob KMS takes, in bytes (KMS API reference, Decrypt).
pub(super) const MAX_BLOB: usize = 6_144;
/// The length of an AES-256 key.
pub(super) const SYMMETRIC: usize = 32;
/// Rotations on demand of one key (KMS developer guide, "Resource quotas").
pub(super) const MAX_ON_DEMAND: usize = 25;

const BLOB_VERSION: u8 = 2;
const NONCE: usize = 12;
const NUMBER: usize = 4;
const HEADER: usize = 1 + 16 + NUMBER;

/// An encryption context: what Decrypt must be given again.
pub(super) type EncryptionContext = BTreeMap<String, String>;

/// Bytes of a private or secret key. In the state's file they are hexadecimal.
#[derive(Clone)]
pub(super) struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    pub(super) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(hex::encode(self.expose())))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        hex::decode(text.as_str()).map(Self::new).map_err(|_| D::Error::custom("not hexadecimal"))
    }
}

/// What brought a secret into use after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rotation {
    Automatic,
    OnDemand,
}

impl Rotation {
    /// RotationType of ListKeyRotations.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "AUTOMATIC",
            Self::OnDemand => "ON_DEMAND",
        }
    }
}

/// One secret of a key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    /// KeyMaterialId: a hash of the secret and of the key it belongs to. AWS does not publish how
    /// its own comes about.
    pub(super) id: String,
    /// Absent while imported material is deleted or expired.
    secret: Option<Secret>,
    pub(super) since_ms: u64,
    pub(super) rotation: Option<Rotation>,
}

/// The secrets of one key, oldest first.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Versions(Vec<Version>);

impl Versions {
    /// One secret, made here.
    pub(super) fn generate(key: KeyId, now_ms: u64) -> Result<Self, ApiError> {
        let mut versions = Self::default();
        versions.push(key, random(SYMMETRIC)?, now_ms, None);
        Ok(versions)
    }

    /// Encrypts from now on with another secret, made here.
    pub(super) fn rotate(
        &mut self,
        key: KeyId,
        now_ms: u64,
        rotation: Rotation,
    ) -> Result<(), ApiError> {
        self.push(key, random(SYMMETRIC)?, now_ms, Some(rotation));
        Ok(())
    }

    fn push(&mut self, key: KeyId, secret: Secret, since_ms: u64, rotation: Option<Rotation>) {
        let id = identify(key, &secret);
        self.0.push(Version { id, secret: Some(secret), since_ms, rotation });
    }

    /// Takes imported material: the first ever, or the same again.
    pub(super) fn import(
        &mut self,
        key: KeyId,
        secret: Secret,
        now_ms: u64,
    ) -> Result<(), ApiError> {
        match self.0.last_mut() {
            None => self.push(key, secret, now_ms, None),
            Some(known) if known.id == identify(key, &secret) => known.secret = Some(secret),
            Some(_) => return Err(ApiError::incorrect_material()),
        }
        Ok(())
    }

    /// Forgets imported material, and keeps what it takes to know it again.
    pub(super) fn forget(&mut self) {
        for version in &mut self.0 {
            version.secret = None;
        }
    }

    pub(super) fn all(&self) -> &[Version] {
        &self.0
    }

    /// The secret that encrypts, unless there is none.
    pub(super) fn current(&self) -> Option<&Version> {
        self.0.last().filter(|version| version.secret.is_some())
    }

    /// Encrypts: version || key id || number || nonce || ciphertext || tag, where the tag binds
    /// all of it and the encryption context.
    pub(super) fn encrypt(
        &self,
        key: KeyId,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ApiError> {
        let number = self.0.len().checked_sub(1).ok_or_else(ApiError::internal)?;
        let header = header(key, u32::try_from(number).map_err(|_| ApiError::internal())?);
        let mut sealed = plaintext.to_vec();
        let nonce = self
            .cipher(number)?
            .seal_in_place_append_tag(Aad::from(bound(&header, context)), &mut sealed)
            .map_err(|_| ApiError::internal())?;
        Ok([&header[..], nonce.as_ref(), &sealed].concat())
    }

    /// Decrypts what any secret of this key encrypted with the same context.
    pub(super) fn decrypt(
        &self,
        blob: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let (header, rest) =
            blob.split_at_checked(HEADER).ok_or_else(ApiError::invalid_ciphertext)?;
        let (nonce, sealed) =
            rest.split_first_chunk::<NONCE>().ok_or_else(ApiError::invalid_ciphertext)?;
        let number = header.last_chunk::<NUMBER>().map(|number| u32::from_be_bytes(*number));
        let number = number.and_then(|number| usize::try_from(number).ok());
        let cipher = self.cipher(number.ok_or_else(ApiError::invalid_ciphertext)?)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let length = cipher
            .open_in_place(Nonce::from(nonce), Aad::from(bound(header, context)), &mut sealed)
            .map_err(|_| ApiError::invalid_ciphertext())?
            .len();
        sealed.truncate(length);
        Ok(sealed)
    }

    /// The id of the secret that a blob was made with.
    pub(super) fn id_of_blob(&self, blob: &[u8]) -> Option<&str> {
        let number = blob.get(..HEADER)?.last_chunk::<NUMBER>().copied()?;
        let number = usize::try_from(u32::from_be_bytes(number)).ok()?;
        self.0.get(number).map(|version| version.id.as_str())
    }

    fn cipher(&self, number: usize) -> Result<RandomizedNonceKey, ApiError> {
        let secret = self
            .0
            .get(number)
            .and_then(|version| version.secret.as_ref())
            .ok_or_else(ApiError::invalid_ciphertext)?;
        RandomizedNonceKey::new(&AES_256_GCM, secret.expose()).map_err(|_| ApiError::internal())
    }
}

/// The key that a blob says it is of.
pub(super) fn key_of_blob(blob: &[u8]) -> Option<[u8; 16]> {
    let (version, rest) = blob.split_first()?;
    if *version == BLOB_VERSION { rest.first_chunk().copied() } else { None }
}

pub(super) fn random(length: usize) -> Result<Secret, ApiError> {
    let mut bytes = vec![0; length];
    rand::fill(&mut bytes).map_err(|_| ApiError::internal())?;
    Ok(Secret::new(bytes))
}

fn identify(key: KeyId, secret: &Secret) -> String {
    hex::encode(digest(&SHA256, &[&key.bytes()[..], secret.expose()].concat()))
}

fn header(key: KeyId, number: u32) -> Vec<u8> {
    [&[BLOB_VERSION][..], &key.bytes(), &number.to_be_bytes()].concat()
}

/// The header and the context, each text behind its length.
fn bound(header: &[u8], context: &EncryptionContext) -> Vec<u8> {
    let mut out = header.to_vec();
    for text in context.iter().flat_map(|(name, value)| [name, value]) {
        out.extend((text.len() as u64).to_be_bytes());
        out.extend(text.as_bytes());
    }
    out
}
