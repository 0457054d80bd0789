//! The measurements of an enclave image, as `nitro-cli` prints them and as a verifier pins them.
//!
//! A set is matched whole: PCR0 of one image never goes with PCR1 of another. A register of zeros
//! measures nothing, so it is no pin, except where somebody asks for debug mode by name.

use super::pcr::{self, PCR_COUNT, Pcr};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;

/// The longest measurements file, in bytes: 23 registers at 112 bytes each, twice over.
const MAX_FILE: usize = 8_192;
/// As nitro-cli writes it: Rust's `Debug` of its hasher.
const HASH_ALGORITHM: &str = "Sha384 { ... }";

/// Why a value cannot be pinned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum PinError {
    #[error("PCR{0} is all zeros, which measures nothing")]
    Zero(u8),
    #[error("there is no PCR{0}; the last is PCR31")]
    Index(u8),
    #[error("PCR{0} is pinned to two different values")]
    Conflict(u8),
}

/// Why measurements cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum MeasurementsError {
    #[error("{0} bytes; measurements have at most {MAX_FILE}")]
    TooLarge(usize),
    #[error("not measurements as nitro-cli prints them: {0}")]
    Format(String),
    #[error("PCR{0} is missing")]
    Missing(u8),
    #[error(transparent)]
    Pin(#[from] PinError),
}

/// One image's measurements: PCR0, PCR1 and PCR2, and whatever else is pinned with them.
#[derive(Clone, PartialEq, Eq)]
pub struct MeasurementSet {
    pcrs: BTreeMap<u8, Pcr>,
}

impl MeasurementSet {
    /// The measurements of one image.
    ///
    /// # Errors
    /// [`PinError::Zero`] if one of them is all zeros.
    pub fn new(pcr0: Pcr, pcr1: Pcr, pcr2: Pcr) -> Result<Self, PinError> {
        Self { pcrs: BTreeMap::new() }.pin(0, pcr0)?.pin(1, pcr1)?.pin(2, pcr2)
    }

    /// What any enclave in debug mode has: PCR0, PCR1 and PCR2 of zeros. It says nothing about
    /// the image, and matches only where [`allow_debug`](super::Expectations::allow_debug) was
    /// asked for.
    #[must_use]
    pub fn debug_mode() -> Self {
        Self { pcrs: BTreeMap::from([(0, pcr::ZERO), (1, pcr::ZERO), (2, pcr::ZERO)]) }
    }

    /// Pins one more register of this image, for example PCR8 of a signed one.
    ///
    /// # Errors
    /// [`PinError`] if there is no such register, the value is zero, or another one is pinned.
    pub fn pin(mut self, index: u8, value: Pcr) -> Result<Self, PinError> {
        insert_pin(&mut self.pcrs, index, value)?;
        Ok(self)
    }

    /// The pinned registers; 0, 1 and 2 are always among them.
    #[must_use]
    pub const fn pcrs(&self) -> &BTreeMap<u8, Pcr> {
        &self.pcrs
    }

    /// Whether PCR0, PCR1 or PCR2 is zero.
    #[must_use]
    pub fn is_debug_mode(&self) -> bool {
        (0..3).any(|index| self.pcrs.get(&index).is_none_or(|value| *value == pcr::ZERO))
    }

    /// Reads measurements as `nitro-cli build-enclave` prints them: PCR0, PCR1, PCR2, and others
    /// that are there. Digits of either case.
    ///
    /// # Errors
    /// [`MeasurementsError`] for anything else: a key twice or unknown, a register missing, empty,
    /// of another length, or zero.
    pub fn from_json(json: &[u8]) -> Result<Self, MeasurementsError> {
        if json.len() > MAX_FILE {
            return Err(MeasurementsError::TooLarge(json.len()));
        }
        let file: File = serde_json::from_slice(json)
            .map_err(|error| MeasurementsError::Format(error.to_string()))?;
        let Registers(mut pcrs) = file.measurements;
        let mut mandatory = |index| pcrs.remove(&index).ok_or(MeasurementsError::Missing(index));
        let mut set = Self::new(mandatory(0)?, mandatory(1)?, mandatory(2)?)?;
        for (index, value) in pcrs {
            set = set.pin(index, value)?;
        }
        Ok(set)
    }

    /// Writes the measurements as [`Self::from_json`] reads them.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut registers = BTreeMap::from([("HashAlgorithm".to_owned(), HASH_ALGORITHM.into())]);
        registers.extend(self.pcrs.iter().map(|(i, pcr)| (format!("PCR{i}"), hex::encode(pcr))));
        let file = BTreeMap::from([("Measurements", registers)]);
        serde_json::to_string_pretty(&file).expect("maps of strings always encode")
    }
}

impl fmt::Debug for MeasurementSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registers = self.pcrs.iter().map(|(i, value)| (format!("PCR{i}"), hex::encode(value)));
        f.debug_map().entries(registers).finish()
    }
}

/// Adds a pin: a register that exists, a value that measures something, no contradiction.
pub(super) fn insert_pin(
    pins: &mut BTreeMap<u8, Pcr>,
    index: u8,
    value: Pcr,
) -> Result<(), PinError> {
    if index >= PCR_COUNT {
        return Err(PinError::Index(index));
    }
    if value == pcr::ZERO {
        return Err(PinError::Zero(index));
    }
    match pins.insert(index, value) {
        Some(before) if before != value => Err(PinError::Conflict(index)),
        _ => Ok(()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "Measurements")]
    measurements: Registers,
}

/// The inner map. Read by hand because its keys are numbered and none may occur twice.
struct Registers(BTreeMap<u8, Pcr>);

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RegistersVisitor)
    }
}

struct RegistersVisitor;

impl<'de> Visitor<'de> for RegistersVisitor {
    type Value = Registers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with HashAlgorithm and PCR0, PCR1, PCR2")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Registers, A::Error> {
        let mut algorithm = false;
        let mut pcrs = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            let repeated = if key == "HashAlgorithm" {
                if value != HASH_ALGORITHM {
                    return Err(A::Error::custom("HashAlgorithm is not \"Sha384 { ... }\""));
                }
                std::mem::replace(&mut algorithm, true)
            } else {
                let index = register_index(&key)
                    .ok_or_else(|| A::Error::custom("a key that nitro-cli does not print"))?;
                let value = register_value(&value)
                    .ok_or_else(|| A::Error::custom(format!("{key} is not 96 hex digits")))?;
                pcrs.insert(index, value).is_some()
            };
            if repeated {
                return Err(A::Error::custom(format!("{key} occurs twice")));
            }
        }
        if algorithm { Ok(Registers(pcrs)) } else { Err(A::Error::missing_field("HashAlgorithm")) }
    }
}

/// The registers with a meaning: image, role, instance, signer, and the enclave's own.
fn register_index(key: &str) -> Option<u8> {
    (0..=4).chain([8]).chain(16..PCR_COUNT).find(|index| key == format!("PCR{index}"))
}

fn register_value(digits: &str) -> Option<Pcr> {
    let mut value = pcr::ZERO;
    hex::decode_to_slice(digits, &mut value).ok().map(|()| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALGORITHM: &str = r#""HashAlgorithm": "Sha384 { ... }""#;

    fn check(
        registers: &[(&str, String)],
        head: &str,
    ) -> Result<MeasurementSet, MeasurementsError> {
        let registers: String =
            registers.iter().map(|(name, value)| format!(", \"{name}\": \"{value}\"")).collect();
        MeasurementSet::from_json(
            format!(r#"{{"Measurements": {{{head}{registers}}}}}"#).as_bytes(),
        )
    }

    fn digits(byte: u8) -> String {
        hex::encode([byte; 48])
    }

    #[test]
    fn what_nitro_cli_prints_is_read_and_written_again() {
        let three = [("PCR0", digits(1)), ("PCR1", digits(2)), ("PCR2", digits(3))];
        let set = check(&three, ALGORITHM).expect("is nitro-cli's form");
        assert_eq!(set, MeasurementSet::new([1; 48], [2; 48], [3; 48]).expect("not zero"));
        assert_eq!(MeasurementSet::from_json(set.to_json().as_bytes()), Ok(set));

        let signed = [three.as_slice(), &[("PCR8", digits(8))]].concat();
        let set = check(&signed, ALGORITHM).expect("is a signed image's form");
        assert_eq!(set.pcrs().get(&8), Some(&[8; 48]));
        assert_eq!(MeasurementSet::from_json(set.to_json().as_bytes()), Ok(set));
    }

    #[test]
    fn anything_else_is_refused() {
        use MeasurementsError::{Format, Missing, Pin, TooLarge};
        let good = || vec![("PCR0", digits(1)), ("PCR1", digits(2)), ("PCR2", digits(3))];
        let with = |name: &'static str, value: String| {
            check(&[good().as_slice(), &[(name, value)]].concat(), ALGORITHM)
        };
        assert!(matches!(check(&good()[..2], ALGORITHM), Err(Missing(2))));
        assert!(matches!(check(&[], ALGORITHM), Err(Missing(0))));
        assert!(matches!(with("PCR1", digits(2)), Err(Format(_))), "twice");
        assert!(matches!(with("PCR8", digits(0)), Err(Pin(PinError::Zero(8)))));
        assert!(matches!(with("PCR8", String::new()), Err(Format(_))));
        assert!(matches!(with("PCR8", digits(8)[1..].to_owned()), Err(Format(_))));
        assert!(matches!(with("PCR8", digits(8)[2..].to_owned()), Err(Format(_))));
        assert!(matches!(with("PCR5", digits(8)), Err(Format(_))), "unknown");
        assert!(matches!(with("PCR08", digits(8)), Err(Format(_))), "unknown");
        assert!(matches!(with("PCR32", digits(8)), Err(Format(_))), "unknown");
        let zero = [("PCR0", digits(0)), ("PCR1", digits(2)), ("PCR2", digits(3))];
        assert!(matches!(check(&zero, ALGORITHM), Err(Pin(PinError::Zero(0)))));
        assert!(matches!(check(&good(), r#""HashAlgorithm": "Sha256""#), Err(Format(_))));
        let twice = format!("{ALGORITHM}, {ALGORITHM}");
        assert!(matches!(check(&good(), &twice), Err(Format(_))));
        let long = vec![b' '; MAX_FILE + 1];
        assert_eq!(MeasurementSet::from_json(&long), Err(TooLarge(MAX_FILE + 1)));
        let unknown = format!(r#"{{"Measurements": {{{ALGORITHM}}}, "Other": 1}}"#);
        assert!(matches!(MeasurementSet::from_json(unknown.as_bytes()), Err(Format(_))));
    }

    #[test]
    fn a_pin_exists_is_not_zero_and_does_not_contradict() {
        let set = || MeasurementSet::new([1; 48], [2; 48], [3; 48]).expect("not zero");
        assert_eq!(set().pin(32, [1; 48]), Err(PinError::Index(32)));
        assert_eq!(set().pin(16, [0; 48]), Err(PinError::Zero(16)));
        assert_eq!(set().pin(0, [9; 48]), Err(PinError::Conflict(0)));
        assert!(set().pin(0, [1; 48]).is_ok());
    }
}
