//! An authorization (EIP-7702) that is asked for outside any transaction: with it, anybody can set
//! the account's code at its next nonce.

use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, U256};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// An authorization that nobody has approved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedAuthorization(Authorization);

impl UnsignedAuthorization {
    /// Takes an authorization's fields; chain id 0 is every chain.
    ///
    /// # Errors
    /// `InvalidAuthorization` for a nonce that can never be used.
    pub fn new(chain_id: u64, target: Address, nonce: u64) -> Result<Self, Refusal> {
        // EIP-7702 refuses it when it is applied, as EIP-2681 does a transaction's.
        if nonce == u64::MAX {
            let text = "nonce 2^64 - 1 can never be used (EIP-7702)";
            return Err(Refusal::new(RefusalCode::InvalidAuthorization, text));
        }
        Ok(Self(Authorization { chain_id: U256::from(chain_id), address: target, nonce }))
    }

    /// The hash to sign: keccak256 of `0x05 || rlp([chain_id, address, nonce])` (EIP-7702).
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        self.0.signature_hash()
    }

    /// The one chain it holds on; `None` if on any.
    #[must_use]
    pub fn chain_id(&self) -> Option<u64> {
        // It was made from 64 bits.
        u64::try_from(self.0.chain_id).ok().filter(|id| *id != 0)
    }

    /// The contract whose code the account will run; zero clears it.
    #[must_use]
    pub const fn target(&self) -> Address {
        self.0.address
    }

    /// The account's nonce at which it holds.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.0.nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn the_hash_is_eip_7702s() {
        let target = Address::repeat_byte(0x22);
        let one = UnsignedAuthorization::new(1, target, 2).expect("is good");
        // 05, a list of 23 bytes: 01, a string of 20 bytes, 02.
        let encoding = [&[0x05, 0xd7, 0x01, 0x94][..], target.as_slice(), &[0x02]].concat();
        assert_eq!(one.signing_hash(), keccak256(encoding));
        assert_eq!((one.chain_id(), one.target(), one.nonce()), (Some(1), target, 2));
        let any = UnsignedAuthorization::new(0, target, 2).expect("is good");
        assert_eq!(any.chain_id(), None);
        assert_ne!(any.signing_hash(), one.signing_hash());
    }

    #[test]
    fn a_nonce_that_can_never_be_used_is_refused() {
        let make = |nonce| UnsignedAuthorization::new(1, Address::ZERO, nonce);
        assert!(make(u64::MAX - 1).is_ok());
        let refusal = make(u64::MAX).expect_err("is refused");
        assert_eq!(refusal.code, RefusalCode::InvalidAuthorization);
    }
}
