//! Reads the arguments of a call, in time and memory bounded by the bytes it reads.
//!
//! The encoding (Solidity's contract ABI specification) points at each dynamic value by an offset,
//! and lenient decoders follow it: offsets that share bytes, loop or overlap then make much of
//! little, or show one reader something else than the next. Here no offset is ever followed. In
//! the canonical encoding a dynamic value begins where the one before it ended, so the values are
//! taken from front to back, each byte at most once; encoding them again then shows whether the
//! offsets, the padding and the end were the canonical ones. alloy's decoder is not used: it
//! copies a template of the element's type for each array, even an empty one, and leaves the
//! padding of numbers and fixed bytes unread.

use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, B256, I256, U256};
use std::iter::repeat_n;

/// The most values in one call, arrays and tuples counted with what they hold: as many as words
/// fit into the longest calldata, 128 KiB.
pub(super) const MAX_VALUES: usize = 4_096;

/// The unit of the encoding, in bytes.
const WORD: usize = 32;

/// The values of these inputs, if `encoded` is their canonical encoding.
pub(super) fn decode(inputs: &[(String, DynSolType)], encoded: &[u8]) -> Option<Vec<DynSolValue>> {
    let mut reader = Reader { values_left: MAX_VALUES };
    let types = inputs.iter().map(|(_, ty)| ty);
    let heads = types.clone().map(head_len).sum();
    let values = reader.sequence(types, heads, &mut { encoded })?;
    let whole = DynSolValue::Tuple(values);
    if whole.abi_encode_params() != encoded {
        return None;
    }
    if let DynSolValue::Tuple(values) = whole { Some(values) } else { None }
}

/// The fewest values that a value of this type counts for; `usize::MAX` if they are more.
pub(super) fn least_values(ty: &DynSolType) -> usize {
    match ty {
        DynSolType::FixedArray(element, len) => {
            least_values(element).saturating_mul(*len).saturating_add(1)
        }
        DynSolType::CustomStruct { tuple, .. } => {
            tuple.iter().map(least_values).fold(1, usize::saturating_add)
        }
        _ => 1,
    }
}

struct Reader {
    values_left: usize,
}

impl Reader {
    /// Reads a sequence from the front of `bytes`: first the heads of all its values, `heads` bytes
    /// in sum, then the dynamic values themselves.
    fn sequence<'t>(
        &mut self,
        types: impl Iterator<Item = &'t DynSolType>,
        heads: usize,
        bytes: &mut &[u8],
    ) -> Option<Vec<DynSolValue>> {
        let mut heads = bytes.split_off(..heads)?;
        types.map(|ty| self.value(ty, &mut heads, bytes)).collect()
    }

    fn elements(
        &mut self,
        ty: &DynSolType,
        count: usize,
        bytes: &mut &[u8],
    ) -> Option<Vec<DynSolValue>> {
        // The count may be any number; a head takes a word at least, so the bytes bound it.
        self.sequence(repeat_n(ty, count), head_len(ty).checked_mul(count)?, bytes)
    }

    fn members(&mut self, types: &[DynSolType], bytes: &mut &[u8]) -> Option<Vec<DynSolValue>> {
        self.sequence(types.iter(), types.iter().map(head_len).sum(), bytes)
    }

    /// Reads one value: from `heads` where its type has one length, else from `tails`.
    /// It calls itself as deep as the type nests, which has a limit at load.
    fn value<'a>(
        &mut self,
        ty: &DynSolType,
        heads: &mut &'a [u8],
        tails: &mut &'a [u8],
    ) -> Option<DynSolValue> {
        self.values_left = self.values_left.checked_sub(1)?;
        let bytes = if ty.is_dynamic() {
            // The offset: encoding again shows whether it was the one that is due.
            heads.split_off(..WORD)?;
            tails
        } else {
            heads
        };
        Some(match ty {
            DynSolType::Array(element) => {
                let count = length(bytes)?;
                DynSolValue::Array(self.elements(element, count, bytes)?)
            }
            DynSolType::FixedArray(element, count) => {
                DynSolValue::FixedArray(self.elements(element, *count, bytes)?)
            }
            DynSolType::CustomStruct { name, prop_names, tuple } => DynSolValue::CustomStruct {
                tuple: self.members(tuple, bytes)?,
                name: name.clone(),
                prop_names: prop_names.clone(),
            },
            DynSolType::Bytes => DynSolValue::Bytes(text(bytes)?.to_vec()),
            DynSolType::String => {
                DynSolValue::String(str::from_utf8(text(bytes)?).ok()?.to_owned())
            }
            _ => return elementary(ty, word(bytes)?),
        })
    }
}

/// The bytes that a value of this type takes among the heads of its sequence. The limits on types
/// at load keep the product far from overflow.
fn head_len(ty: &DynSolType) -> usize {
    match ty {
        _ if ty.is_dynamic() => WORD,
        DynSolType::FixedArray(element, count) => head_len(element) * count,
        DynSolType::CustomStruct { tuple, .. } => tuple.iter().map(head_len).sum(),
        _ => WORD,
    }
}

/// The value that one word holds. Encoding again drops what surrounds an address or a bool, and so
/// shows it; numbers and fixed bytes it would give back with their surroundings, so these are
/// checked here.
fn elementary(ty: &DynSolType, word: B256) -> Option<DynSolValue> {
    match *ty {
        DynSolType::Address => Some(DynSolValue::Address(Address::from_word(word))),
        DynSolType::Bool => Some(DynSolValue::Bool(!word.is_zero())),
        DynSolType::Uint(bits) => {
            let number = U256::from_be_bytes(word.0);
            (number.bit_len() <= bits).then_some(DynSolValue::Uint(number, bits))
        }
        DynSolType::Int(bits) => {
            let number = I256::from_be_bytes(word.0);
            let fits = usize::try_from(number.bits()).is_ok_and(|needed| needed <= bits);
            fits.then_some(DynSolValue::Int(number, bits))
        }
        DynSolType::FixedBytes(len) => {
            let clean = word.iter().skip(len).all(|byte| *byte == 0);
            clean.then_some(DynSolValue::FixedBytes(word, len))
        }
        // `function` is refused at load, and a tuple is a struct there.
        _ => None,
    }
}

fn word(bytes: &mut &[u8]) -> Option<B256> {
    bytes.split_off(..WORD)?.try_into().ok()
}

fn length(bytes: &mut &[u8]) -> Option<usize> {
    U256::from_be_bytes(word(bytes)?.0).try_into().ok()
}

/// The contents of `bytes` or a `string`: a length, then so many bytes, padded to whole words.
fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = length(bytes)?;
    let padded = bytes.split_off(..len.checked_next_multiple_of(WORD)?)?;
    padded.get(..len)
}
