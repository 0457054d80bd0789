//! Key records: private keys at rest, sealed under the vault.
//!
//! Each record has a key of its own, derived from the vault key, the record's id and a salt, and
//! used for one AES-256-GCM sealing. A commitment from the same derivation is checked first, so a
//! record opens under one vault or none. What is sealed is fixed at creation: a label cannot be
//! changed without the vault.

use crate::key::{KeyFacts, PrivateKey};
use crate::vault::VaultKey;
use alloy_primitives::{Address, FixedBytes};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::constant_time;
use nitro_signer_shared::message::{MAX_RECORD, Origin};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FORMAT: u16 = 1;
const AAD: &[u8] = b"nitro-signer/record/v1";
/// Each key seals once, so the nonce need not differ.
const NONCE: [u8; 12] = [0; 12];

/// Names a record; drawn at random when it is made.
pub type RecordId = FixedBytes<16>;

/// A key that this enclave can sign with.
pub struct HeldKey {
    /// The private key.
    pub private: PrivateKey,
    /// What policy may see of it.
    pub facts: KeyFacts,
}

/// Why a record could not be sealed or opened. Says nothing of what is inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the record is not one of this vault's")]
pub struct RecordError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    format: u16,
    id: RecordId,
    salt: FixedBytes<32>,
    commitment: FixedBytes<32>,
    sealed: ByteBuf,
}

#[derive(Serialize)]
struct SealedOut<'a> {
    #[serde(with = "serde_bytes")]
    private_key: &'a [u8],
    address: Address,
    origin: Origin,
    creator: &'a str,
    created: u64,
    labels: &'a BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedIn<'a> {
    /// Borrowed from the buffer, which is erased; no copy of it is made on the way.
    #[serde(borrow, with = "serde_bytes")]
    private_key: &'a [u8],
    address: Address,
    origin: Origin,
    creator: String,
    created: u64,
    labels: BTreeMap<String, String>,
}

/// Seals a key into a record with this id and salt, both drawn for it alone.
///
/// # Errors
/// [`RecordError`] if it would be longer than a record may be.
pub fn seal(
    vault: &VaultKey,
    key: &HeldKey,
    id: RecordId,
    salt: FixedBytes<32>,
) -> Result<Vec<u8>, RecordError> {
    let private_key = key.private.expose();
    let content = SealedOut {
        private_key: private_key.as_slice(),
        address: key.facts.address,
        origin: key.facts.origin,
        creator: &key.facts.creator,
        created: key.facts.created,
        labels: &key.facts.labels,
    };
    // Room for all of it at once: a buffer that grew would leave copies behind.
    let mut sealed = Zeroizing::new(Vec::with_capacity(MAX_RECORD));
    serde_cbor::to_writer(&mut *sealed, &content).map_err(|_| RecordError)?;
    if sealed.len() > MAX_RECORD - 256 {
        return Err(RecordError);
    }
    let (sealing, commitment) = keys(vault, &id, &salt)?;
    sealing
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(NONCE), Aad::from(AAD), &mut *sealed)
        .map_err(|_| RecordError)?;
    let sealed = ByteBuf::from(sealed.to_vec());
    let record = Record { format: FORMAT, id, salt, commitment, sealed };
    serde_cbor::to_vec(&record).map_err(|_| RecordError)
}

/// Opens a record, and checks that the address in it is the key's own.
///
/// # Errors
/// [`RecordError`] for every reason alike.
pub fn open(vault: &VaultKey, bytes: &[u8]) -> Result<HeldKey, RecordError> {
    if bytes.len() > MAX_RECORD {
        return Err(RecordError);
    }
    let record: Record = serde_cbor::from_slice(bytes).map_err(|_| RecordError)?;
    if record.format != FORMAT {
        return Err(RecordError);
    }
    let (opening, commitment) = keys(vault, &record.id, &record.salt)?;
    constant_time::verify_slices_are_equal(&commitment[..], &record.commitment[..])
        .map_err(|_| RecordError)?;
    let mut sealed = Zeroizing::new(record.sealed.into_vec());
    let content = opening
        .open_in_place(Nonce::assume_unique_for_key(NONCE), Aad::from(AAD), &mut sealed)
        .map_err(|_| RecordError)?;
    let content: SealedIn<'_> = serde_cbor::from_slice(content).map_err(|_| RecordError)?;
    let material = content.private_key.try_into().map_err(|_| RecordError)?;
    let private = PrivateKey::from_material(material).ok_or(RecordError)?;
    if private.address() != content.address {
        return Err(RecordError);
    }
    let facts = KeyFacts {
        address: content.address,
        origin: content.origin,
        creator: content.creator,
        created: content.created,
        labels: content.labels,
    };
    Ok(HeldKey { private, facts })
}

fn keys(
    vault: &VaultKey,
    id: &RecordId,
    salt: &FixedBytes<32>,
) -> Result<(LessSafeKey, FixedBytes<32>), RecordError> {
    let derived = vault.derive_record(&id.0, &salt.0);
    let (key, commitment) = derived.split_at(32);
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| RecordError)?;
    Ok((LessSafeKey::new(key), FixedBytes::from_slice(commitment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(byte: u8) -> HeldKey {
        let private = PrivateKey::from_material(&[byte; 32]).expect("is a key");
        let facts = KeyFacts {
            address: private.address(),
            origin: Origin::Generated,
            creator: "operator".to_owned(),
            created: 1_700_000_000,
            labels: [("team".to_owned(), "ops".to_owned())].into(),
        };
        HeldKey { private, facts }
    }

    fn sealed(byte: u8) -> Vec<u8> {
        let id = FixedBytes::repeat_byte(byte);
        let salt = FixedBytes::repeat_byte(byte);
        seal(&VaultKey::for_test(1), &held(byte), id, salt).expect("seals")
    }

    fn opens(bytes: &[u8]) -> bool {
        open(&VaultKey::for_test(1), bytes).is_ok()
    }

    #[test]
    fn a_record_opens_under_its_own_vault_only() {
        let record = sealed(7);
        let key = open(&VaultKey::for_test(1), &record).expect("opens");
        assert_eq!(key.facts.address, held(7).facts.address);
        assert_eq!(key.facts.labels["team"], "ops");
        assert!(open(&VaultKey::for_test(2), &record).is_err());
    }

    #[test]
    fn one_changed_byte_anywhere_is_refused() {
        let record = sealed(7);
        for place in 0..record.len() {
            for flip in [0x01, 0x80] {
                let mut changed = record.clone();
                changed[place] ^= flip;
                assert!(!opens(&changed), "byte {place}");
            }
        }
        for length in 0..record.len() {
            assert!(!opens(&record[..length]), "length {length}");
        }
        assert!(!opens(&[record, vec![0]].concat()));
    }

    #[test]
    fn contents_swapped_between_two_records_are_refused() {
        let parse = |b: &[u8]| serde_cbor::from_slice::<Record>(b).expect("is a record");
        let (mut one, mut two) = (parse(&sealed(7)), parse(&sealed(8)));
        std::mem::swap(&mut one.sealed, &mut two.sealed);
        assert!(!opens(&serde_cbor::to_vec(&one).expect("encodes")));
        std::mem::swap(&mut one.commitment, &mut two.commitment);
        assert!(!opens(&serde_cbor::to_vec(&one).expect("encodes")));
    }

    #[test]
    fn a_record_with_another_keys_address_is_refused() {
        let mut key = held(7);
        key.facts.address = held(8).facts.address;
        let id = FixedBytes::repeat_byte(7);
        let record = seal(&VaultKey::for_test(1), &key, id, FixedBytes::ZERO).expect("seals");
        assert!(!opens(&record));
    }
}
