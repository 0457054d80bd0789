//! What an enclave says of itself under an attestation document's signature.
//!
//! The document's `user_data` is a domain string followed by SHA-384 of the claims' exact bytes;
//! the bytes are served beside the document. A verifier hashes what it was given and only then
//! decodes it, so no canonical form is needed. What only the parent says is never in here.

use crate::merkle;
use crate::message::{Origin, State};
use alloy_primitives::{Address, B256, FixedBytes};
use aws_lc_rs::digest;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The longest claims, in bytes, that a verifier reads.
pub const MAX_CLAIMS: usize = 65_536;

/// Claims of one kind, with the domain that keeps them apart from every other kind.
pub trait ClaimSet: Serialize + DeserializeOwned {
    /// The string before the hash in `user_data`.
    const DOMAIN: &'static str;

    /// The claims' bytes, to be served as they are.
    ///
    /// # Errors
    /// [`ClaimsError`] if they do not encode or are longer than [`MAX_CLAIMS`].
    fn to_bytes(&self) -> Result<Vec<u8>, ClaimsError> {
        let bytes = serde_cbor::to_vec(self).map_err(|_| ClaimsError)?;
        if bytes.len() > MAX_CLAIMS { Err(ClaimsError) } else { Ok(bytes) }
    }

    /// The `user_data` that commits to these bytes: [`Self::DOMAIN`] || SHA-384(bytes).
    #[must_use]
    fn user_data(bytes: &[u8]) -> Vec<u8> {
        [Self::DOMAIN.as_bytes(), digest::digest(&digest::SHA384, bytes).as_ref()].concat()
    }

    /// The claims, if `user_data` (from a verified document) commits to exactly these bytes.
    ///
    /// # Errors
    /// [`ClaimsError`] if it does not, or they are not claims of this kind.
    fn open(bytes: &[u8], user_data: &[u8]) -> Result<Self, ClaimsError> {
        if bytes.len() > MAX_CLAIMS || Self::user_data(bytes) != user_data {
            return Err(ClaimsError);
        }
        serde_cbor::from_slice(bytes).map_err(|_| ClaimsError)
    }
}

/// The claims are not what the document commits to, or not claims of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claims are not the ones that the attestation document commits to")]
pub struct ClaimsError;

/// What the enclave is, and which keys it can sign for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The enclave's release.
    pub version: String,
    /// SHA-384 of the measured manifest; PCR16 says the same.
    pub manifest_hash: FixedBytes<48>,
    /// The manifest's own version number.
    pub manifest_version: u64,
    /// The deployment's id.
    pub deployment: String,
    /// The vault's id.
    pub vault: String,
    /// A fingerprint of the open vault's key; another one under the same id is a fork.
    pub vault_fingerprint: Option<B256>,
    /// The ARNs of the KMS keys that wrap the vault's secrets.
    pub wrapping_keys: Vec<String>,
    /// Where the enclave is in its life.
    pub state: State,
    /// Drawn anew at every boot; 16 bytes.
    pub boot_id: FixedBytes<16>,
    /// The number of keys that this enclave can sign for.
    pub keys: u64,
    /// The [Merkle root](crate::merkle) over [`key_leaf`] of each, in order of address.
    pub keys_root: B256,
}

impl ClaimSet for Claims {
    const DOMAIN: &'static str = "nitro-signer/attestation/v1";
}

/// What the enclave says of a key it has just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyClaims {
    /// SHA-384 of the measured manifest; PCR16 says the same.
    pub manifest_hash: FixedBytes<48>,
    /// The deployment's id.
    pub deployment: String,
    /// The vault's id.
    pub vault: String,
    /// The fingerprint of the vault's key.
    pub vault_fingerprint: B256,
    /// The new key's address.
    pub address: Address,
    /// Where it came from.
    pub origin: Origin,
    /// When it was made, in seconds of Unix time.
    pub created: u64,
    /// The key's labels.
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of the sealed record: only this record is the attested key's.
    pub record_hash: B256,
}

impl ClaimSet for KeyClaims {
    const DOMAIN: &'static str = "nitro-signer/key/v1";
}

/// A key's leaf in the tree of [`Claims::keys_root`]: address (20 bytes) || origin (1 byte:
/// 0 generated, 1 imported, 2 derived) || created (8 bytes, big-endian) || SHA-256 of the labels
/// as CBOR (a map in order of name).
#[must_use]
pub fn key_leaf(
    address: Address,
    origin: Origin,
    created: u64,
    labels: &BTreeMap<String, String>,
) -> Vec<u8> {
    let origin = match origin {
        Origin::Generated => 0u8,
        Origin::Imported => 1,
        Origin::Derived => 2,
    };
    // A map of two strings always encodes.
    let labels = serde_cbor::to_vec(labels).unwrap_or_default();
    let labels = digest::digest(&digest::SHA256, &labels);
    [address.as_slice(), &[origin], &created.to_be_bytes(), labels.as_ref()].concat()
}

/// The root over keys that are already in order of address.
#[must_use]
pub fn keys_root(leaves: &[Vec<u8>]) -> B256 {
    B256::from(merkle::root(leaves))
}
