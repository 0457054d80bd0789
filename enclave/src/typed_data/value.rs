//! The values of typed data: JSON becomes exactly what its declared type says, or nothing.
//!
//! Nothing is guessed: a value that two readers could take for two values is refused. Values are
//! counted before they are made, because a type may ask for far more of them than it has letters.

use super::types::{Atom, Kind, Stem, Types};
use super::{invalid, quoted};
use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256, I256, U256};
use nitro_signer_shared::json::{MAX_SAFE_INTEGER, Value};
use nitro_signer_shared::refusal::Refusal;
use std::fmt;

/// The most values in a message: structs, arrays and atoms, at every level.
pub(super) const MAX_VALUES: usize = 10_000;
/// The longest path that a refusal names, in characters; of a longer one the end is kept.
const MAX_PATH: usize = 160;

/// Where a value stands, for example `message.to[3].wallet`.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// A part of typed data.
    Root(&'static str),
    /// A member of a struct; the name is an identifier.
    Member(&'a Self, &'a str),
    /// An item of an array.
    Item(&'a Self, usize),
}

/// Reads the message as a struct of its primary type, members in declared order.
///
/// # Errors
/// `InvalidTypedData` with the path.
pub(super) fn read_message(
    types: &Types,
    primary_type: &str,
    message: Value,
) -> Result<Vec<(String, DynSolValue)>, Refusal> {
    Reader { types, left: MAX_VALUES }.members(primary_type, message, &Path::Root("message"))
}

impl<'a> Path<'a> {
    /// A member of what stands here.
    pub(super) const fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    /// The refusal of what stands here; the sentence goes on after the path.
    pub(super) fn refuse(&self, sentence: &str) -> Refusal {
        let path = self.to_string();
        let cut = path.chars().count().saturating_sub(MAX_PATH);
        let mark = if cut > 0 { "…" } else { "" };
        let end: String = path.chars().skip(cut).collect();
        invalid(format!("{mark}{end} {sentence}"))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => f.write_str(name),
            Self::Member(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads values along their types, which bound how deep it calls itself.
struct Reader<'a> {
    types: &'a Types,
    /// How many more values it may read.
    left: usize,
}

impl Reader<'_> {
    fn members(
        &mut self,
        type_name: &str,
        value: Value,
        path: &Path<'_>,
    ) -> Result<Vec<(String, DynSolValue)>, Refusal> {
        let Value::Object(mut object) = value else {
            return Err(path.refuse(&format!("must be an object of the type {type_name}")));
        };
        let declared = self.types.members(type_name);
        self.spend(declared.len(), path)?;
        let mut members = Vec::with_capacity(declared.len());
        for member in declared {
            let path = path.member(&member.name);
            let value = object.take_nullable(&member.name);
            let value = value.ok_or_else(|| path.refuse("is missing"))?;
            let value = self.value(&member.kind, &member.kind.lengths, value, &path)?;
            members.push((member.name.clone(), value));
        }
        if let Some((key, _)) = object.into_fields().next() {
            let key = quoted(&key);
            return Err(path.refuse(&format!("has {key}, which the type {type_name} has not")));
        }
        Ok(members)
    }

    /// A value of a type within these arrays of it.
    fn value(
        &mut self,
        kind: &Kind,
        lengths: &[Option<usize>],
        value: Value,
        path: &Path<'_>,
    ) -> Result<DynSolValue, Refusal> {
        let Some((length, inner)) = lengths.split_last() else {
            return match &kind.stem {
                Stem::Atom(atom) => read_atom(*atom, value).map_err(|e| path.refuse(&e)),
                Stem::Struct(name) => self.structure(name, value, path),
            };
        };
        let Value::Array(items) = value else { return Err(path.refuse("must be an array")) };
        if let Some(length) = length.filter(|length| *length != items.len()) {
            return Err(path.refuse(&format!("has {} items where {length} belong", items.len())));
        }
        self.spend(items.len(), path)?;
        let read = |(i, item)| self.value(kind, inner, item, &Path::Item(path, i));
        let items = items.into_iter().enumerate().map(read).collect::<Result<_, _>>()?;
        Ok(if length.is_some() {
            DynSolValue::FixedArray(items)
        } else {
            DynSolValue::Array(items)
        })
    }

    fn structure(
        &mut self,
        name: &str,
        value: Value,
        path: &Path<'_>,
    ) -> Result<DynSolValue, Refusal> {
        let (prop_names, tuple) = self.members(name, value, path)?.into_iter().unzip();
        Ok(DynSolValue::CustomStruct { name: name.to_owned(), prop_names, tuple })
    }

    fn spend(&mut self, values: usize, path: &Path<'_>) -> Result<(), Refusal> {
        let left = self.left.checked_sub(values);
        let sentence = || format!("makes more than {MAX_VALUES} values in all: send fewer");
        self.left = left.ok_or_else(|| path.refuse(&sentence()))?;
        Ok(())
    }
}

fn read_atom(atom: Atom, value: Value) -> Result<DynSolValue, String> {
    Ok(match atom {
        Atom::Bool => DynSolValue::Bool(boolean(&value)?),
        Atom::Int(bits) => DynSolValue::Int(signed(&value, bits)?, bits),
        Atom::Uint(bits) => DynSolValue::Uint(unsigned(&value, bits)?, bits),
        Atom::FixedBytes(length) => DynSolValue::FixedBytes(fixed_bytes(&value, length)?, length),
        Atom::Address => DynSolValue::Address(address(&value)?),
        Atom::Bytes => DynSolValue::Bytes(bytes(&value)?),
        Atom::String => DynSolValue::String(string(value)?),
    })
}

fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(value) => Ok(*value),
        _ => Err("must be true or false".into()),
    }
}

/// A string, as it stands.
pub(super) fn string(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("must be a string".into()),
    }
}

/// An integer of so many bits, from 0.
pub(super) fn unsigned(value: &Value, bits: usize) -> Result<U256, String> {
    match number(value)? {
        Number { negative: true, .. } => Err(format!("must not be negative: it is a uint{bits}")),
        Number { magnitude, .. } if magnitude.bit_len() > bits => {
            Err(format!("is more than a uint{bits} holds"))
        }
        Number { magnitude, .. } => Ok(magnitude),
    }
}

fn signed(value: &Value, bits: usize) -> Result<I256, String> {
    let Number { negative, magnitude } = number(value)?;
    // Two's complement holds one number more below zero than above.
    let largest = magnitude.saturating_sub(U256::from(u8::from(negative)));
    if largest.bit_len() >= bits {
        return Err(format!("is more than an int{bits} holds"));
    }
    Ok(I256::from_raw(if negative { magnitude.wrapping_neg() } else { magnitude }))
}

/// An address: 0x and 40 hex digits. Where upper and lower case are mixed, they are EIP-55's
/// checksum.
pub(super) fn address(value: &Value) -> Result<Address, String> {
    let bytes = bytes(value)?;
    let (Ok(address), Value::String(text)) = (Address::try_from(bytes.as_slice()), value) else {
        return Err(format!("must be an address of 20 bytes, not {}", bytes.len()));
    };
    let digits = text.trim_start_matches("0x");
    let mixed = digits.contains(|c: char| c.is_ascii_lowercase())
        && digits.contains(|c: char| c.is_ascii_uppercase());
    if mixed && address.to_checksum(None) != *text {
        return Err("has a wrong checksum (EIP-55): check the address".into());
    }
    Ok(address)
}

/// Bytes of exactly this length, at most 32; the word is filled with zeros on the right.
pub(super) fn fixed_bytes(value: &Value, length: usize) -> Result<B256, String> {
    let bytes = bytes(value)?;
    if bytes.len() != length {
        return Err(format!("must be {length} bytes, not {}", bytes.len()));
    }
    Ok(B256::right_padding_from(&bytes))
}

fn bytes(value: &Value) -> Result<Vec<u8>, String> {
    let text = if let Value::String(text) = value { text.strip_prefix("0x") } else { None };
    text.and_then(|digits| hex::decode(digits).ok())
        .ok_or_else(|| "must be a string of 0x and an even count of hex digits".into())
}

/// An integer before it is known whether it fits.
struct Number {
    /// Never with a magnitude of 0.
    negative: bool,
    magnitude: U256,
}

fn number(value: &Value) -> Result<Number, String> {
    let number = match value {
        Value::Number(number) => json_integer(number),
        Value::String(text) => integer_text(text),
        _ => None,
    };
    number.ok_or_else(|| {
        "must be an integer of at most 256 bits: a decimal string, a 0x string or a JSON integer \
         of at most 2^53-1"
            .into()
    })
}

fn json_integer(number: &serde_json::Number) -> Option<Number> {
    let negative = number.as_u64().is_none();
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs))?;
    let exact = magnitude <= MAX_SAFE_INTEGER;
    exact.then(|| Number { negative, magnitude: U256::from(magnitude) })
}

fn integer_text(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        let known = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
        let magnitude = U256::from_str_radix(digits, 16).ok().filter(|_| known)?;
        return Some(Number { negative: false, magnitude });
    }
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let canonical = digits.chars().all(|c| c.is_ascii_digit())
        && !digits.is_empty()
        && (!digits.starts_with('0') || text == "0");
    let magnitude = U256::from_str_radix(digits, 10).ok().filter(|_| canonical)?;
    Some(Number { negative, magnitude })
}
