//! The measurement sets that may get in: registers of one image under one manifest.

use super::values::REGISTER_DIGITS;
use crate::attestation::{PinError, pcr};
use std::collections::{BTreeMap, BTreeSet};

/// One measurement set: PCR0 and PCR16, and other registers that are pinned with them. All have to
/// match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    name: String,
    registers: BTreeMap<u8, String>,
}

impl Set {
    /// The set of an image and a manifest.
    ///
    /// # Errors
    /// [`PinError::Zero`] if a register is all zeros.
    pub fn new(name: &str, pcr0: &pcr::Pcr, pcr16: &pcr::Pcr) -> Result<Self, PinError> {
        Self { name: name.to_owned(), registers: BTreeMap::new() }.pin(0, pcr0)?.pin(16, pcr16)
    }

    /// Pins one more register, for example PCR3 or PCR8.
    ///
    /// # Errors
    /// [`PinError`] if there is no such register, the value is zeros, or another one is pinned.
    pub fn pin(mut self, index: u8, value: &pcr::Pcr) -> Result<Self, PinError> {
        if index >= pcr::PCR_COUNT {
            return Err(PinError::Index(index));
        }
        if *value == pcr::ZERO {
            return Err(PinError::Zero(index));
        }
        let value = hex::encode(value);
        debug_assert_eq!(value.len(), REGISTER_DIGITS);
        if self.registers.get(&index).is_some_and(|pinned| *pinned != value) {
            return Err(PinError::Conflict(index));
        }
        self.registers.insert(index, value);
        Ok(self)
    }

    /// What people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The registers, in hex.
    #[must_use]
    pub const fn registers(&self) -> &BTreeMap<u8, String> {
        &self.registers
    }
}

/// All measurement sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Sets(pub(super) Vec<Set>);

impl Sets {
    /// Every register that a set pins.
    pub(super) fn registers(&self) -> BTreeSet<u8> {
        self.0.iter().flat_map(|set| set.registers.keys().copied()).collect()
    }

    /// The values that sets pin a register to.
    pub(super) fn values(&self, index: u8) -> Vec<String> {
        let values: BTreeSet<&String> =
            self.0.iter().filter_map(|set| set.registers.get(&index)).collect();
        values.into_iter().cloned().collect()
    }

    /// What this set pins a register to.
    pub(super) fn value(&self, set: usize, index: u8) -> Option<String> {
        self.0.get(set)?.registers.get(&index).cloned()
    }

    /// Whether a document with these registers is of one set.
    pub(super) fn contain<'v>(&self, value: &dyn Fn(u8) -> Option<&'v String>) -> bool {
        self.0.iter().any(|set| set.registers.iter().all(|(i, pinned)| value(*i) == Some(pinned)))
    }

    /// Whether each of these registers has a value of some set, be it of different ones.
    pub(super) fn list<'v>(&self, value: &dyn Fn(u8) -> Option<&'v String>) -> bool {
        let listed = |index: u8| value(index).is_some_and(|v| self.values(index).contains(v));
        !self.0.is_empty() && self.registers().into_iter().all(listed)
    }
}
