//! One key: what it is, what state it is in, and what it refuses in that state.

use super::asymmetric::SigningKey;
use super::error::ApiError;
use super::grants::Grant;
use super::imports::Parameters;
use super::material::{EncryptionContext, Versions};
use aws_lc_rs::rand;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

pub(super) const DAY_MS: u64 = 86_400_000;

/// A key's UUID; a multi-region key's is written otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyId {
    bytes: [u8; 16],
    multi_region: bool,
}

impl KeyId {
    /// A random UUID (RFC 9562, version 4).
    pub(super) fn generate(multi_region: bool) -> Result<Self, ApiError> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).map_err(|_| ApiError::internal())?;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Ok(Self { bytes, multi_region })
    }

    pub(super) const fn of(bytes: [u8; 16], multi_region: bool) -> Self {
        Self { bytes, multi_region }
    }

    pub(super) const fn bytes(self) -> [u8; 16] {
        self.bytes
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (digits, multi_region) = match text.strip_prefix("mrk-") {
            Some(digits) => (digits.to_owned(), true),
            None => (text.replace('-', ""), false),
        };
        let bytes = hex::decode(digits).ok()?.try_into().ok()?;
        let id = Self { bytes, multi_region };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = hex::encode(self.bytes);
        if self.multi_region {
            return write!(f, "mrk-{hex}");
        }
        let (a, b, c, d) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20]);
        write!(f, "{a}-{b}-{c}-{d}-{}", &hex[20..])
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a key's id"))
    }
}

/// KeyState.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Enabled,
    Disabled,
    PendingImport,
    PendingDeletion,
    PendingReplicaDeletion,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::PendingImport => "PendingImport",
            Self::PendingDeletion => "PendingDeletion",
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
        }
    }
}

/// Where a key's material comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Origin {
    Kms,
    External,
}

impl Origin {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kms => "AWS_KMS",
            Self::External => "EXTERNAL",
        }
    }
}

/// What a key works with.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Material {
    Symmetric(Versions),
    Signing(SigningKey),
}

/// A deletion that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Deletion {
    At {
        ms: u64,
    },
    /// Of a primary key: so long after its last replica is gone.
    AfterReplicas {
        days: u64,
    },
}

/// Rotation by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Schedule {
    pub(super) period_days: u64,
    pub(super) next_ms: u64,
}

/// One key in one region.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Key {
    pub(super) id: KeyId,
    pub(super) region: String,
    pub(super) arn: String,
    pub(super) description: String,
    pub(super) created_ms: u64,
    /// As it was put, byte for byte.
    pub(super) policy: String,
    pub(super) origin: Origin,
    pub(super) material: Material,
    /// Of a multi-region key, the primary key's region.
    pub(super) primary_region: Option<String>,
    pub(super) disabled: bool,
    pub(super) deletion: Option<Deletion>,
    pub(super) schedule: Option<Schedule>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) grants: Vec<Grant>,
    /// What ImportKeyMaterial may answer to.
    pub(super) imports: Vec<Parameters>,
    /// ExpirationModel and ValidTo: without a time, imported material does not expire.
    pub(super) expires_ms: Option<u64>,
}

impl Key {
    pub(super) fn state(&self) -> State {
        let empty = match &self.material {
            Material::Symmetric(versions) => versions.current().is_none(),
            Material::Signing(_) => false,
        };
        match self.deletion {
            Some(Deletion::At { .. }) => State::PendingDeletion,
            Some(Deletion::AfterReplicas { .. }) => State::PendingReplicaDeletion,
            None if empty => State::PendingImport,
            None if self.disabled => State::Disabled,
            None => State::Enabled,
        }
    }

    /// Refuses what a key only does while it is enabled (KMS developer guide, "Key states").
    pub(super) fn require_enabled(&self) -> Result<(), ApiError> {
        self.require_not_deleting()?;
        match self.state() {
            State::PendingImport => Err(ApiError::state(&self.arn, "is pending import.")),
            State::Disabled => Err(ApiError::disabled(&self.arn)),
            _ => Ok(()),
        }
    }

    pub(super) fn require_not_deleting(&self) -> Result<(), ApiError> {
        match self.state() {
            State::PendingDeletion => Err(ApiError::state(&self.arn, "is pending deletion.")),
            State::PendingReplicaDeletion => {
                Err(ApiError::state(&self.arn, "is pending replica deletion."))
            }
            State::Enabled | State::Disabled | State::PendingImport => Ok(()),
        }
    }

    pub(super) const fn signs(&self) -> bool {
        matches!(self.material, Material::Signing(_))
    }

    /// KeySpec.
    pub(super) const fn spec(&self) -> &'static str {
        match &self.material {
            Material::Symmetric(_) => "SYMMETRIC_DEFAULT",
            Material::Signing(key) => key.curve.name(),
        }
    }

    /// KeyUsage.
    pub(super) const fn usage(&self) -> &'static str {
        if self.signs() { "SIGN_VERIFY" } else { "ENCRYPT_DECRYPT" }
    }

    pub(super) fn is_replica(&self) -> bool {
        self.primary_region.as_ref().is_some_and(|primary| *primary != self.region)
    }

    pub(super) fn symmetric(&self, operation: &str) -> Result<&Versions, ApiError> {
        match &self.material {
            Material::Symmetric(versions) => Ok(versions),
            Material::Signing(_) => Err(ApiError::usage(&self.arn, self.usage(), operation)),
        }
    }

    pub(super) fn signing(&self, operation: &str) -> Result<&SigningKey, ApiError> {
        match &self.material {
            Material::Signing(key) => Ok(key),
            Material::Symmetric(_) => Err(ApiError::usage(&self.arn, self.usage(), operation)),
        }
    }

    pub(super) fn encrypt(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ApiError> {
        self.symmetric("Encrypt")?.encrypt(self.id, plaintext, context)
    }

    pub(super) fn decrypt(
        &self,
        blob: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        self.symmetric("Decrypt")?.decrypt(blob, context)
    }

    /// KeyMaterialId of what a blob was made with.
    pub(super) fn material_of(&self, blob: &[u8]) -> Option<&str> {
        match &self.material {
            Material::Symmetric(versions) => versions.id_of_blob(blob),
            Material::Signing(_) => None,
        }
    }
}

/// A time as KMS's answers have it: seconds, with a fraction.
pub(super) fn seconds(ms: u64) -> Value {
    match ms % 1_000 {
        0 => (ms / 1_000).into(),
        // Exact up to 2^53 ms.
        _ => (ms as f64 / 1_000.0).into(),
    }
}
