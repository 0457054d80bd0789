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
use std::collections::{BTreeMap, BTreeSet};

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
    /// What the enclave last read of the wrapping key's custody, which it does when it makes or
    /// opens the vault and before it makes keys. `None` until then.
    pub custody: Option<Custody>,
    /// Where the enclave is in its life.
    pub state: State,
    /// Drawn anew at every boot; 16 bytes.
    pub boot_id: FixedBytes<16>,
    /// The number of keys that this enclave can sign for.
    pub keys: u64,
    /// The [Merkle root](crate::merkle) over [`key_leaf`] of each, in order of address.
    pub keys_root: B256,
}

/// Whether the wrapping key is this image's and manifest's alone: what KMS said of the key, its
/// policy and its grants at one moment. IAM policies, service control policies and other regions
/// cannot be seen by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    /// When it was read, in seconds of Unix time, by the enclave's clock.
    pub checked: u64,
    /// What is not as the manifest has it. None: the custody is sole.
    pub findings: BTreeSet<CustodyFinding>,
    /// The pairs of image and manifest for which the key opens too and which the manifest does not
    /// name.
    pub other_sets: BTreeSet<OtherSet>,
}

impl Custody {
    /// Whether nobody has a hand on the key but those that the manifest names.
    #[must_use]
    pub fn is_sole(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One way in which the wrapping key is not this image's and manifest's alone. The text is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustodyFinding {
    /// KMS did not say what was asked: nothing is known.
    Unread,
    /// The key is not a symmetric encryption key of the customer, or not enabled.
    Kind,
    /// The key's material is not KMS's own.
    Origin,
    /// The key is a multi-region one, or may be replicated.
    MultiRegion,
    /// The key has a grant.
    Grant,
    /// The key policy is not of the form that `nitro-signer key-policy render` writes.
    Policy,
    /// The key policy leaves decisions to the account's IAM policies.
    AccountRoot,
    /// Somebody administers the key whom the manifest does not name.
    Administrator,
    /// The key opens for an image or manifest that is neither this one nor a sibling.
    OtherSet,
}

impl CustodyFinding {
    /// The stable text, for example `other_set`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Kind => "kind",
            Self::Origin => "origin",
            Self::MultiRegion => "multi_region",
            Self::Grant => "grant",
            Self::Policy => "policy",
            Self::AccountRoot => "account_root",
            Self::Administrator => "administrator",
            Self::OtherSet => "other_set",
        }
    }
}

/// An image with a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct OtherSet {
    pub pcr0: FixedBytes<48>,
    pub pcr16: FixedBytes<48>,
}

/// A key as the tree of [`Claims::keys_root`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldKey {
    /// The key's address.
    pub address: Address,
    /// Where it came from.
    pub origin: Origin,
    /// When it was made, in seconds of Unix time.
    pub created: u64,
    /// The key's labels.
    pub labels: BTreeMap<String, String>,
}

/// A key, its place in the tree, and the nodes beside its way up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inclusion {
    /// The key.
    #[serde(flatten)]
    pub key: HeldKey,
    /// Its place among the keys in order of address, from 0.
    pub index: u64,
    /// As [`merkle::path`] makes them.
    pub path: Vec<B256>,
}

/// Keys that claims commit to, which makes only a check against those claims. What they prove is
/// worth what the claims are worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedKeys(Vec<HeldKey>);

impl ProvedKeys {
    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[HeldKey] {
        &self.0
    }

    /// Whether the key with this address is among them.
    #[must_use]
    pub fn contains(&self, address: &Address) -> bool {
        self.0.iter().any(|key| key.address == *address)
    }
}

impl Claims {
    /// The keys, if they are all those that the enclave can sign for.
    ///
    /// # Errors
    /// [`KeysError`] if a key is missing, added, changed or not in order of address.
    pub fn prove_all(&self, keys: Vec<HeldKey>) -> Result<ProvedKeys, KeysError> {
        let leaves: Vec<Vec<u8>> = keys.iter().map(HeldKey::leaf).collect();
        let complete = leaves.len() as u64 == self.keys && keys_root(&leaves) == self.keys_root;
        if complete { Ok(ProvedKeys(keys)) } else { Err(KeysError) }
    }

    /// The keys, if each is one that the enclave can sign for.
    ///
    /// # Errors
    /// [`KeysError`] if one of them is not.
    pub fn prove_each(&self, inclusions: Vec<Inclusion>) -> Result<ProvedKeys, KeysError> {
        let included = |inclusion: &Inclusion| {
            let path: Vec<_> = inclusion.path.iter().map(|node| node.0).collect();
            let leaf = inclusion.key.leaf();
            let root = merkle::root_by_path(&leaf, inclusion.index, self.keys, &path);
            root == Some(self.keys_root.0)
        };
        if inclusions.iter().all(included) {
            Ok(ProvedKeys(inclusions.into_iter().map(|inclusion| inclusion.key).collect()))
        } else {
            Err(KeysError)
        }
    }
}

impl HeldKey {
    fn leaf(&self) -> Vec<u8> {
        key_leaf(self.address, self.origin, self.created, &self.labels)
    }

    /// The inclusion of the key with this address in the tree over these keys, if it is there.
    #[must_use]
    pub fn inclusion(keys: &[Self], address: &Address) -> Option<Inclusion> {
        let index = keys.iter().position(|key| key.address == *address)?;
        let leaves: Vec<Vec<u8>> = keys.iter().map(Self::leaf).collect();
        let path = merkle::path(&leaves, index)?.into_iter().map(B256::from).collect();
        Some(Inclusion { key: keys[index].clone(), index: index as u64, path })
    }
}

/// The keys are not those that the claims commit to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the keys are not those under the claims' root")]
pub struct KeysError;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> HeldKey {
        HeldKey {
            address: Address::repeat_byte(byte),
            origin: Origin::Generated,
            created: u64::from(byte),
            labels: BTreeMap::from([("team".to_owned(), byte.to_string())]),
        }
    }

    fn claims(keys: &[HeldKey]) -> Claims {
        let leaves: Vec<Vec<u8>> = keys.iter().map(HeldKey::leaf).collect();
        Claims {
            version: String::new(),
            manifest_hash: FixedBytes::ZERO,
            manifest_version: 1,
            deployment: String::new(),
            vault: String::new(),
            vault_fingerprint: None,
            wrapping_keys: Vec::new(),
            custody: None,
            state: State::Ready,
            boot_id: FixedBytes::ZERO,
            keys: keys.len() as u64,
            keys_root: keys_root(&leaves),
        }
    }

    #[test]
    fn claims_open_by_the_user_data_that_commits_to_them_and_by_no_other() {
        let claims = claims(&[key(1)]);
        let bytes = claims.to_bytes().expect("are short");
        let user_data = Claims::user_data(&bytes);
        let hash = digest::digest(&digest::SHA384, &bytes);
        assert_eq!(user_data, [b"nitro-signer/attestation/v1", hash.as_ref()].concat());
        let check = |bytes: &[u8], user_data: &[u8], opened: bool| {
            let expected = if opened { Ok(claims.clone()) } else { Err(ClaimsError) };
            assert_eq!(Claims::open(bytes, user_data), expected);
        };
        check(&bytes, &user_data, true);
        check(&bytes, &[], false);
        check(&bytes, &user_data[1..], false);
        check(&bytes, &[user_data.as_slice(), &[0]].concat(), false);
        check(&bytes, hash.as_ref(), false);
        check(&bytes, &KeyClaims::user_data(&bytes), false);
        let other = Claims { manifest_version: 2, ..claims.clone() }.to_bytes().expect("are short");
        check(&other, &user_data, false);
        // Committed to, and no claims of this kind.
        for none in [&[][..], &[0xa0], &[bytes.as_slice(), &[0]].concat()] {
            check(none, &Claims::user_data(none), false);
        }
    }

    #[test]
    fn claims_have_at_most_64_kib() {
        let of_length = |length: usize| {
            // A text of 256 bytes or more has a head of three bytes, an empty one of one.
            let others = claims(&[]).to_bytes().expect("are short").len() + 2;
            Claims { version: "v".repeat(length - others), ..claims(&[]) }
        };
        let check = |length: usize, fits: bool| {
            let claims = of_length(length);
            let bytes = serde_cbor::to_vec(&claims).expect("encode");
            assert_eq!(bytes.len(), length);
            let (written, opened) =
                (claims.to_bytes(), Claims::open(&bytes, &Claims::user_data(&bytes)));
            assert_eq!(written, if fits { Ok(bytes) } else { Err(ClaimsError) });
            assert_eq!(opened, if fits { Ok(claims) } else { Err(ClaimsError) });
        };
        check(MAX_CLAIMS, true);
        check(MAX_CLAIMS + 1, false);
    }

    #[test]
    fn a_list_proves_all_keys_only_if_it_is_exactly_theirs() {
        let keys: Vec<HeldKey> = (1..6).map(key).collect();
        let claims = claims(&keys);
        let check = |change: &dyn Fn(&mut Vec<HeldKey>), proved: bool| {
            let mut changed = keys.clone();
            change(&mut changed);
            assert_eq!(claims.prove_all(changed).is_ok(), proved);
        };
        check(&|_| (), true);
        check(&|keys| drop(keys.pop()), false);
        check(&|keys| keys.push(key(9)), false);
        check(&|keys| keys.push(keys[4].clone()), false);
        check(&|keys| keys.swap(0, 1), false);
        check(&|keys| keys[0].address = Address::ZERO, false);
        check(&|keys| keys[0].origin = Origin::Imported, false);
        check(&|keys| keys[0].created += 1, false);
        check(&|keys| keys[0].labels.clear(), false);
        let fewer = Claims { keys: 4, ..claims.clone() };
        assert!(fewer.prove_all(keys.clone()).is_err(), "the number is claimed too");
        let proved = claims.prove_all(keys).expect("are these");
        assert!(proved.contains(&key(3).address) && !proved.contains(&key(9).address));
    }

    #[test]
    fn an_inclusion_proves_its_own_key_only() {
        let keys: Vec<HeldKey> = (1..6).map(key).collect();
        let claims = claims(&keys);
        let of = |byte| HeldKey::inclusion(&keys, &key(byte).address);
        let (two, five) = (of(2).expect("is there"), of(5).expect("is there"));
        assert_eq!(of(9), None);
        let proved = claims.prove_each(vec![two.clone(), five.clone()]).expect("are there");
        assert_eq!(proved.keys(), [key(2), key(5)]);
        let another = Inclusion { key: key(9), ..two.clone() };
        let elsewhere = Inclusion { index: 4, ..two.clone() };
        let cut = Inclusion { path: two.path[1..].to_vec(), ..two.clone() };
        for wrong in [another, elsewhere, cut] {
            assert_eq!(claims.prove_each(vec![two.clone(), wrong]), Err(KeysError));
        }
    }
}
