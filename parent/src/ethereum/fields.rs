//! Ethereum's JSON values: quantities, byte strings, addresses.
//!
//! The forms are those of the execution APIs' specification: a quantity is `0x` and hex without
//! leading zeros, bytes are `0x` and an even number of digits. JSON integers up to 2^53-1 are
//! accepted for quantities too; a string without `0x` never is, since nobody can say its base.

use alloy_primitives::{Address, B256, Bytes, U256};
use nitro_signer_shared::json::{FieldError, Value};

fn wrong<T>(name: &str, what: &str) -> Result<T, FieldError> {
    Err(FieldError(format!("{name} must be {what}")))
}

/// An integer up to 2^256-1.
pub(crate) fn quantity(name: &str, value: Value) -> Result<U256, FieldError> {
    match value {
        Value::Number(_) => value.integer(name).map(U256::from),
        Value::String(text) => match text.strip_prefix("0x") {
            Some("0") => Ok(U256::ZERO),
            Some(digits) if !digits.starts_with('0') => word(name, digits),
            _ => wrong(name, "a quantity: 0x and hex digits without leading zeros"),
        },
        _ => wrong(name, "a quantity: 0x and hex digits without leading zeros"),
    }
}

/// An integer up to 2^64-1.
pub(crate) fn quantity_u64(name: &str, value: Value) -> Result<u64, FieldError> {
    quantity(name, value)?.try_into().or_else(|_| wrong(name, "below 2^64"))
}

/// An integer up to 2^128-1: fees are no larger in any client.
pub(crate) fn quantity_u128(name: &str, value: Value) -> Result<u128, FieldError> {
    quantity(name, value)?.try_into().or_else(|_| wrong(name, "below 2^128"))
}

/// An integer up to 2^256-1 with or without leading zeros, as libraries write r and s.
pub(crate) fn padded_quantity(name: &str, value: Value) -> Result<U256, FieldError> {
    let text = value.string(name)?;
    match text.strip_prefix("0x") {
        Some(digits) => word(name, digits),
        None => wrong(name, "0x and hex digits"),
    }
}

/// A parity bit: a JSON integer, or hex with or without leading zeros.
pub(crate) fn padded_quantity_or_integer(name: &str, value: Value) -> Result<U256, FieldError> {
    match value {
        Value::Number(_) => value.integer(name).map(U256::from),
        _ => padded_quantity(name, value),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(name: &str, value: Value) -> Result<bool, FieldError> {
    match value {
        Value::Bool(value) => Ok(value),
        _ => wrong(name, "true or false"),
    }
}

/// A byte string of any length.
pub(crate) fn bytes(name: &str, value: Value) -> Result<Bytes, FieldError> {
    let text = value.string(name)?;
    match text.strip_prefix("0x").map(hex::decode) {
        Some(Ok(bytes)) => Ok(bytes.into()),
        _ => wrong(name, "bytes: 0x and an even number of hex digits"),
    }
}

/// A byte string of this length, which is seen before anything is decoded.
pub(crate) fn bytes_of_length(
    name: &str,
    value: Value,
    length: usize,
) -> Result<Bytes, FieldError> {
    match value {
        Value::String(text) if text.len() == 2 + 2 * length => bytes(name, Value::String(text)),
        _ => wrong(name, &format!("{length} bytes: 0x and {} hex digits", 2 * length)),
    }
}

/// 32 bytes.
pub(crate) fn b256(name: &str, value: Value) -> Result<B256, FieldError> {
    let bytes = bytes(name, value)?;
    B256::try_from(bytes.as_ref()).or_else(|_| wrong(name, "32 bytes: 0x and 64 hex digits"))
}

/// An address: in one case, or in mixed case with a right checksum (EIP-55).
pub(crate) fn address(name: &str, value: Value) -> Result<Address, FieldError> {
    address_text(name, &value.string(name)?)
}

/// The address in a path or on a command line; see [`address`].
pub(crate) fn address_text(name: &str, text: &str) -> Result<Address, FieldError> {
    const FORM: &str = "an address: 0x and 40 hex digits";
    let Some(digits) = text.strip_prefix("0x").filter(|d| d.len() == 40) else {
        return wrong(name, FORM);
    };
    let mut raw = [0u8; 20];
    if hex::decode_to_slice(digits, &mut raw).is_err() {
        return wrong(name, FORM);
    }
    let address = Address::from(raw);
    let mixed = digits.bytes().any(|c| c.is_ascii_uppercase())
        && digits.bytes().any(|c| c.is_ascii_lowercase());
    if mixed && address.to_checksum(None) != text {
        return wrong(name, "an address whose checksum is right (EIP-55)");
    }
    Ok(address)
}

fn word(name: &str, digits: &str) -> Result<U256, FieldError> {
    let hex = (1..=64).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_hexdigit());
    match U256::from_str_radix(digits, 16) {
        Ok(word) if hex => Ok(word),
        _ => wrong(name, "at most 256 bits of hex after 0x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn quantities_have_one_form() {
        let check = |given: &str, expected: Option<u64>| {
            assert_eq!(quantity_u64("n", text(given)).ok(), expected, "{given}");
        };
        check("0x0", Some(0));
        check("0x7f", Some(127));
        check("0xffffffffffffffff", Some(u64::MAX));
        for bad in ["", "0x", "0x00", "0x01", "1", "-0x1", "0x-1", "0x+1", "0x1_0", "0xg", "0X1"] {
            check(bad, None);
        }
        check("0x10000000000000000", None);
        assert!(quantity("n", text(&format!("0x{}", "f".repeat(64)))).is_ok());
        assert!(quantity("n", text(&format!("0x{}", "f".repeat(65)))).is_err());
        assert!(quantity_u128("n", text(&format!("0x1{}", "0".repeat(32)))).is_err());
        assert!(padded_quantity("r", text(&format!("0x{:064x}", 1))).is_ok());
        assert!(padded_quantity("r", text(&format!("0x{:065x}", 1))).is_err());
    }

    #[test]
    fn an_address_in_mixed_case_carries_its_checksum() {
        // The first example of EIP-55.
        let good = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let check = |given: &str, expected: bool| {
            assert_eq!(address_text("to", given).is_ok(), expected, "{given}");
        };
        check(good, true);
        check(&good.to_lowercase(), true);
        check("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", false);
        check(&good[..41], false);
        check(&good[2..], false);
        check("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", false);
    }

    #[test]
    fn bytes_of_a_length_have_that_length() {
        let check = |given: &str, good: bool| {
            assert_eq!(bytes_of_length("proof", text(given), 2).is_ok(), good, "{given}");
        };
        check("0x00ff", true);
        for bad in ["0x00", "0x00ff00", "0x00fz", "000000", "0x00f"] {
            check(bad, false);
        }
    }

    #[test]
    fn bytes_are_whole() {
        assert_eq!(bytes("data", text("0x")).expect("is empty").len(), 0);
        assert_eq!(bytes("data", text("0x00fF")).expect("is two").as_ref(), [0, 255]);
        for bad in ["", "00", "0x0", "0xzz"] {
            assert!(bytes("data", text(bad)).is_err(), "{bad}");
        }
    }
}
