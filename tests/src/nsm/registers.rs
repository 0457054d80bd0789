//! The platform configuration registers of the mock secure module.

use aws_nitro_enclaves_nsm_api::api::ErrorCode;
use nitro_signer_shared::attestation::pcr::{self, PCR_COUNT, Pcr};
use std::collections::{BTreeMap, BTreeSet};

/// Registers that the hypervisor fills and locks before the enclave starts.
const HYPERVISOR_PCRS: u16 = 16;
/// A request has at most this many bytes.
const MAX_REQUEST: usize = 4096;

/// One register.
#[derive(Clone, Copy)]
pub(super) struct Register {
    pub(super) value: Pcr,
    pub(super) locked: bool,
}

/// All of them.
pub(super) struct Registers([Register; PCR_COUNT as usize]);

impl Registers {
    /// As at the enclave's start: these values in the hypervisor's registers, zeros elsewhere.
    pub(super) fn new(values: &BTreeMap<u8, Pcr>) -> Self {
        let register = |index: u8| Register {
            value: values.get(&index).copied().unwrap_or(pcr::ZERO),
            locked: u16::from(index) < HYPERVISOR_PCRS,
        };
        let mut registers = [register(0); PCR_COUNT as usize];
        for (slot, index) in registers.iter_mut().zip(0..) {
            *slot = register(index);
        }
        Self(registers)
    }

    pub(super) fn get(&self, index: u16) -> Result<Register, ErrorCode> {
        self.0.get(usize::from(index)).copied().ok_or(ErrorCode::InvalidIndex)
    }

    pub(super) fn extend(&mut self, index: u16, data: &[u8]) -> Result<Pcr, ErrorCode> {
        if data.len() > MAX_REQUEST {
            return Err(ErrorCode::InputTooLarge);
        }
        let register = self.writable(index)?;
        if data.is_empty() {
            return Err(ErrorCode::InvalidArgument);
        }
        register.value = pcr::extend(&register.value, data);
        Ok(register.value)
    }

    pub(super) fn lock(&mut self, index: u16) -> Result<(), ErrorCode> {
        self.writable(index)?.locked = true;
        Ok(())
    }

    /// Locks every register below `range`; those that are locked already stay so.
    pub(super) fn lock_range(&mut self, range: u16) -> Result<(), ErrorCode> {
        let registers = self.0.get_mut(..usize::from(range)).ok_or(ErrorCode::InvalidIndex)?;
        registers.iter_mut().for_each(|register| register.locked = true);
        Ok(())
    }

    pub(super) fn locked(&self) -> BTreeSet<u16> {
        (0..).zip(&self.0).filter(|(_, register)| register.locked).map(|(i, _)| i).collect()
    }

    /// What a document shows: the locked ones.
    pub(super) fn attested(&self) -> BTreeMap<u8, Pcr> {
        (0..).zip(&self.0).filter(|(_, r)| r.locked).map(|(i, r)| (i, r.value)).collect()
    }

    fn writable(&mut self, index: u16) -> Result<&mut Register, ErrorCode> {
        let register = self.0.get_mut(usize::from(index)).ok_or(ErrorCode::InvalidIndex)?;
        if register.locked { Err(ErrorCode::ReadOnlyIndex) } else { Ok(register) }
    }
}
