//! The measurements of an enclave image, as `nitro-cli` prints them and as a verifier pins them.
//!
//! A set is matched whole: PCR0 of one image never goes with PCR1 of another. A register of zeros
//! measures nothing, so it is no pin, except where somebody asks for debug mode by name.

mod file;

pub use file::{
    ImageMeasurements, MAX_FILE as MAX_MEASUREMENTS_FILE, MAX_IMAGES, MeasurementsFile, NotCurrent,
};

use super::pcr::{self, PCR_COUNT, Pcr};
use crate::json::{FieldError, Object};
use std::collections::BTreeMap;
use std::fmt;

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
    #[error("{0} bytes; a file of measurements has at most {MAX_MEASUREMENTS_FILE}")]
    TooLarge(usize),
    #[error("not measurements: {0}")]
    Format(String),
    #[error("PCR{0} is missing")]
    Missing(u8),
    #[error("{0} images; a file has 1 to {MAX_IMAGES}")]
    Count(usize),
    #[error("images {0} and {1} (from 0) are the same: what one pins, the other does")]
    Same(usize, usize),
    #[error("nitro-cli says that the image's {0} is wrong: it would not start")]
    Unsound(&'static str),
    #[error(transparent)]
    Pin(#[from] PinError),
}

impl From<FieldError> for MeasurementsError {
    fn from(error: FieldError) -> Self {
        Self::Format(error.0)
    }
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

    /// Reads measurements as `nitro-cli` prints them: PCR0, PCR1, PCR2, and others that are there.
    /// Digits of either case. A file of ours, which can also say until when and whether an image
    /// is to be trusted, is a [`MeasurementsFile`].
    ///
    /// # Errors
    /// [`MeasurementsError`] for anything else: a key twice or unknown, a register missing, empty,
    /// of another length, or zero.
    pub fn from_json(json: &[u8]) -> Result<Self, MeasurementsError> {
        file::nitro_cli(file::object(json)?).map(|image| image.set)
    }

    /// Writes the measurements as `nitro-cli build-enclave` does.
    #[must_use]
    pub fn to_json(&self) -> String {
        let file = BTreeMap::from([("Measurements", self.registers())]);
        serde_json::to_string_pretty(&file).expect("maps of strings always encode")
    }

    /// The inner object: `HashAlgorithm`, and each register in hex.
    #[must_use]
    pub fn registers(&self) -> BTreeMap<String, String> {
        let mut registers = BTreeMap::from([("HashAlgorithm".to_owned(), HASH_ALGORITHM.into())]);
        registers.extend(self.pcrs.iter().map(|(i, pcr)| (format!("PCR{i}"), hex::encode(pcr))));
        registers
    }

    /// Reads the inner object.
    fn from_registers(mut registers: Object) -> Result<Self, MeasurementsError> {
        if registers.require("HashAlgorithm")?.string("HashAlgorithm")? != HASH_ALGORITHM {
            let message = format!("HashAlgorithm is not {HASH_ALGORITHM:?}");
            return Err(MeasurementsError::Format(message));
        }
        let mut pcrs = BTreeMap::new();
        for (name, value) in registers.into_fields() {
            let index = register_index(&name).ok_or_else(|| {
                MeasurementsError::Format("a register that nitro-cli does not print".to_owned())
            })?;
            pcrs.insert(index, sha384(value.string(&name)?, &name)?);
        }
        let mut mandatory = |index| pcrs.remove(&index).ok_or(MeasurementsError::Missing(index));
        let mut set = Self::new(mandatory(0)?, mandatory(1)?, mandatory(2)?)?;
        for (index, value) in pcrs {
            set = set.pin(index, value)?;
        }
        Ok(set)
    }

    /// Whether whatever the other set pins, this one does.
    fn contains(&self, other: &Self) -> bool {
        other.pcrs.iter().all(|(index, value)| self.pcrs.get(index) == Some(value))
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

/// The registers with a meaning: image, role, instance, signer, and the enclave's own.
fn register_index(key: &str) -> Option<u8> {
    (0..=4).chain([8]).chain(16..PCR_COUNT).find(|index| key == format!("PCR{index}"))
}

/// 48 bytes in hex, digits of either case.
fn sha384(digits: String, name: &str) -> Result<[u8; 48], FieldError> {
    let mut value = [0; 48];
    let decoded = hex::decode_to_slice(digits, &mut value);
    decoded.map(|()| value).map_err(|_| FieldError(format!("{name} is not 96 hex digits")))
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
        let long = vec![b' '; MAX_MEASUREMENTS_FILE + 1];
        assert_eq!(MeasurementSet::from_json(&long), Err(TooLarge(MAX_MEASUREMENTS_FILE + 1)));
        let known = MeasurementSet::new([1; 48], [2; 48], [3; 48]).expect("not zero").to_json();
        let unknown = known.replacen('{', r#"{"Other": 1, "#, 1);
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
