//! The sidecar of a blob transaction: its blobs, their KZG commitments and proofs.
//!
//! Blobs never reach the enclave, which signs their versioned hashes. What is held here is checked
//! to be what those hashes name, by SHA-256 of the commitments (EIP-4844), and is put around the
//! signed transaction as the network wants it. It must never change a byte that is signed. There
//! is no KZG library here: that a commitment is its blob's and that the proofs hold, the node
//! verifies that takes the transaction.

use super::fields;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Encodable, Header};
use aws_lc_rs::digest::{SHA256, digest};
use nitro_signer_shared::json::{FieldError, Object, Value};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::str::FromStr;

/// The most blobs of one transaction. EIP-7594 allows 6; with their proofs as hex, 16 fit into a
/// request's body.
pub const MAX_BLOBS: usize = 16;
/// A blob's length, in bytes: 4,096 field elements of 32 bytes (EIP-4844).
const BLOB: usize = 131_072;
/// The length of a commitment and of a proof, in bytes: a compressed point of BLS12-381.
const POINT: usize = 48;
/// The first byte of a versioned hash of a KZG commitment (EIP-4844).
const VERSION_KZG: u8 = 1;
/// The version in the network form of EIP-7594.
const WRAPPER_VERSION: u8 = 1;

/// How a signed blob transaction goes to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SidecarForm {
    /// `3 || rlp([transaction, 1, blobs, commitments, cell_proofs])` with 128 proofs for each blob
    /// (EIP-7594): what nodes take since Fusaka.
    #[default]
    Eip7594,
    /// `3 || rlp([transaction, blobs, commitments, proofs])` with one proof for each blob
    /// (EIP-4844): what other networks may take still.
    Eip4844,
}

impl SidecarForm {
    /// The text form, for example `eip7594`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eip7594 => "eip7594",
            Self::Eip4844 => "eip4844",
        }
    }

    /// How many proofs each blob has.
    const fn proofs_per_blob(self) -> usize {
        match self {
            Self::Eip7594 => 128,
            Self::Eip4844 => 1,
        }
    }
}

impl FromStr for SidecarForm {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let known = [Self::Eip7594, Self::Eip4844].into_iter().find(|form| form.as_str() == text);
        known.ok_or_else(|| {
            let sentence = "sidecar is either eip7594 or eip4844";
            Refusal::new(RefusalCode::MalformedRequest, sentence)
        })
    }
}

/// Blobs, commitments and proofs as a request gives them; not yet compared with a transaction.
#[derive(Debug)]
pub(super) struct GivenBlobs {
    blobs: Vec<Bytes>,
    commitments: Vec<Bytes>,
    proofs: Vec<Bytes>,
}

/// The sidecar of one transaction: as many commitments as blobs and versioned hashes, each hash
/// its commitment's, and as many proofs as the form has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    form: SidecarForm,
    blobs: Vec<Bytes>,
    commitments: Vec<Bytes>,
    proofs: Vec<Bytes>,
}

impl GivenBlobs {
    /// Takes `blobs`, `commitments` and `proofs` out of a transaction, as go-ethereum names them;
    /// `None` if it has none of them.
    ///
    /// # Errors
    /// [`RefusalCode::BlobProofsMissing`] for blobs alone, [`RefusalCode::InvalidBlobs`] for
    /// anything of another form.
    pub(super) fn take(object: &mut Object) -> Result<Option<Self>, Refusal> {
        let [blobs, commitments, proofs] =
            ["blobs", "commitments", "proofs"].map(|n| object.take(n));
        let invalid = |e: FieldError| e.refuse(RefusalCode::InvalidBlobs);
        let (blobs, commitments, proofs) = match (blobs, commitments, proofs) {
            (None, None, None) => return Ok(None),
            (None, ..) => {
                let sentence = "commitments or proofs stand without blobs; send all three, or only \
                                blobVersionedHashes";
                return Err(Refusal::new(RefusalCode::InvalidBlobs, sentence));
            }
            (Some(blobs), Some(commitments), Some(proofs)) => (blobs, commitments, proofs),
            (Some(_), commitments, _) => {
                let missing = if commitments.is_none() { "commitments" } else { "proofs" };
                let sentence = format!(
                    "blobs came without {missing}; send blobs, commitments and proofs, or only \
                     blobVersionedHashes"
                );
                return Err(Refusal::new(RefusalCode::BlobProofsMissing, sentence));
            }
        };
        let most = MAX_BLOBS * SidecarForm::Eip7594.proofs_per_blob();
        Ok(Some(Self {
            blobs: list("blobs", blobs, MAX_BLOBS, BLOB).map_err(invalid)?,
            commitments: list("commitments", commitments, MAX_BLOBS, POINT).map_err(invalid)?,
            proofs: list("proofs", proofs, most, POINT).map_err(invalid)?,
        }))
    }

    /// The versioned hashes of the commitments, in their order.
    pub(super) fn versioned_hashes(&self) -> Vec<B256> {
        self.commitments.iter().map(|c| versioned_hash(c)).collect()
    }

    /// Compares with the versioned hashes that are signed, and with the form that is asked for.
    ///
    /// # Errors
    /// [`RefusalCode::InvalidBlobs`] or [`RefusalCode::BlobProofsMissing`] with the numbers.
    pub(super) fn fit(self, hashes: &[B256], form: SidecarForm) -> Result<Sidecar, Refusal> {
        let Self { blobs, commitments, proofs } = self;
        let refuse = |sentence: String| Err(Refusal::new(RefusalCode::InvalidBlobs, sentence));
        let count = blobs.len();
        if count == 0 {
            return refuse("blobs is empty; a blob transaction has at least one".to_owned());
        }
        if commitments.len() != count || hashes.len() != count {
            return refuse(format!(
                "there are {count} blobs, {} commitments and {} versioned hashes; give as many of \
                 each",
                commitments.len(),
                hashes.len()
            ));
        }
        let differs = |(commitment, hash): (&Bytes, &B256)| versioned_hash(commitment) != *hash;
        if let Some(at) = commitments.iter().zip(hashes).position(differs) {
            return refuse(format!(
                "blobVersionedHashes[{at}] is not the hash of commitments[{at}] (EIP-4844)"
            ));
        }
        let needed = count * form.proofs_per_blob();
        if proofs.len() != needed {
            let sentence = format!(
                "the form {} has {} proofs for each blob, {needed} here; {} were given. Send those, \
                 or ask for the other form by ?sidecar=",
                form.as_str(),
                form.proofs_per_blob(),
                proofs.len()
            );
            return Err(Refusal::new(RefusalCode::BlobProofsMissing, sentence));
        }
        Ok(Sidecar { form, blobs, commitments, proofs })
    }
}

impl Sidecar {
    /// The network form: `raw` (`3 || rlp(transaction)`, signed, EIP-2718) with the sidecar around
    /// it. Its hash stays that of `raw`.
    #[must_use]
    pub fn assemble(&self, raw: &[u8]) -> Vec<u8> {
        let (kind, transaction) = raw.split_at(raw.len().min(1));
        let mut rest = Vec::new();
        if self.form == SidecarForm::Eip7594 {
            WRAPPER_VERSION.encode(&mut rest);
        }
        alloy_rlp::encode_list::<_, Bytes>(&self.blobs, &mut rest);
        alloy_rlp::encode_list::<_, Bytes>(&self.commitments, &mut rest);
        alloy_rlp::encode_list::<_, Bytes>(&self.proofs, &mut rest);
        let mut network = kind.to_vec();
        let payload_length = transaction.len() + rest.len();
        Header { list: true, payload_length }.encode(&mut network);
        network.extend_from_slice(transaction);
        network.append(&mut rest);
        network
    }

    /// The transaction that [`Sidecar::assemble`] made these bytes of; `None` if they are of
    /// anything else.
    #[must_use]
    pub fn disassemble(&self, network: &[u8]) -> Option<Vec<u8>> {
        let (kind, mut outer) = network.split_first()?;
        let mut fields = Header::decode_bytes(&mut outer, true).ok()?;
        let all = fields;
        Header::decode_bytes(&mut fields, true).ok()?;
        let transaction = all.get(..all.len() - fields.len())?;
        let raw = [&[*kind], transaction].concat();
        (self.assemble(&raw) == network).then_some(raw)
    }
}

/// `1 || SHA-256(commitment)[1..]` (EIP-4844).
fn versioned_hash(commitment: &[u8]) -> B256 {
    let mut hash = B256::from_slice(digest(&SHA256, commitment).as_ref());
    hash[0] = VERSION_KZG;
    hash
}

/// At most `most` byte strings of `length` bytes.
fn list(name: &str, value: Value, most: usize, length: usize) -> Result<Vec<Bytes>, FieldError> {
    let items = value.array(name)?;
    if items.len() > most {
        return Err(FieldError(format!("{name} may have {most} items, not {}", items.len())));
    }
    items.into_iter().map(|item| fields::bytes_of_length(name, item, length)).collect()
}

#[cfg(test)]
#[path = "blobs_tests.rs"]
mod tests;
