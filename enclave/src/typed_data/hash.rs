//! EIP-712's encodeData and hashStruct over values that were read strictly.
//!
//! It must never hash a value of another type than the table's: what the reader cannot have made
//! is refused, not encoded somehow.

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{B256, keccak256};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeMap;

/// Hashes structs whose type hashes it knows, each computed once.
pub(super) struct Hasher<'a> {
    type_hashes: BTreeMap<&'a str, B256>,
}

impl<'a> Hasher<'a> {
    /// A hasher for structs of these names: the one to hash and all that it refers to.
    pub(super) const fn new(type_hashes: BTreeMap<&'a str, B256>) -> Self {
        Self { type_hashes }
    }

    /// hashStruct: keccak256(type hash || a word for each member).
    pub(super) fn hash_struct<'v>(
        &self,
        name: &str,
        members: impl IntoIterator<Item = &'v DynSolValue>,
    ) -> Result<B256, Refusal> {
        let type_hash = self.type_hashes.get(name).ok_or_else(unexpected)?;
        self.hash_words(type_hash.to_vec(), members)
    }

    /// One word of encodeData: an atomic value itself, of everything else the hash. The reader
    /// bounds how deep values nest.
    fn word(&self, value: &DynSolValue) -> Result<B256, Refusal> {
        match value {
            DynSolValue::CustomStruct { name, tuple, .. } => self.hash_struct(name, tuple),
            DynSolValue::Array(items) | DynSolValue::FixedArray(items) => {
                self.hash_words(Vec::new(), items)
            }
            DynSolValue::Bytes(bytes) => Ok(keccak256(bytes)),
            DynSolValue::String(text) => Ok(keccak256(text)),
            DynSolValue::Bool(_)
            | DynSolValue::Int(..)
            | DynSolValue::Uint(..)
            | DynSolValue::FixedBytes(..)
            | DynSolValue::Address(_) => value.as_word().ok_or_else(unexpected),
            DynSolValue::Function(_) | DynSolValue::Tuple(_) => Err(unexpected()),
        }
    }

    fn hash_words<'v>(
        &self,
        mut data: Vec<u8>,
        values: impl IntoIterator<Item = &'v DynSolValue>,
    ) -> Result<B256, Refusal> {
        for value in values {
            data.extend(self.word(value)?);
        }
        Ok(keccak256(data))
    }
}

fn unexpected() -> Refusal {
    Refusal::new(RefusalCode::Internal, "typed data holds a value of no type that EIP-712 has")
}
