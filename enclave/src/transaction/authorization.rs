//! The authorizations of a set-code transaction (EIP-7702): whose account runs whose code.
//!
//! A chain skips an authorization that it cannot recover; we refuse the transaction, since policy
//! could not say whom it concerns.

use super::invalid;
use crate::key::{HashSignature, address_of};
use alloy_consensus::Transaction;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256};
use nitro_signer_shared::refusal::Refusal;

/// One authorization, with the account that its signature proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The account whose code is set.
    pub authority: Address,
    /// The contract whose code it will run; zero clears it.
    pub target: Address,
    /// The one chain it holds on; `None` if on any chain (chain id 0).
    pub chain_id: Option<u64>,
    /// The authority's nonce at which it holds.
    pub nonce: u64,
}

/// Every authorization of the transaction, recovered.
pub(super) fn recover_all(tx: &dyn Transaction) -> Result<Vec<Delegation>, Refusal> {
    let authorizations = tx.authorization_list().unwrap_or_default();
    authorizations.iter().enumerate().map(|(index, one)| recover(index, one)).collect()
}

fn recover(index: usize, signed: &SignedAuthorization) -> Result<Delegation, Refusal> {
    let refuse = |reason: &str| invalid(format!("authorization {index}: {reason}"));
    let chain_id = u64::try_from(*signed.chain_id())
        .map_err(|_| refuse("its chain id is more than 64 bits"))?;
    // EIP-7702 refuses it when it is applied, as EIP-2681 does a transaction's.
    if signed.nonce() == u64::MAX {
        return Err(refuse("nonce 2^64 - 1 can never be used"));
    }
    let y_parity = match signed.y_parity() {
        0 => false,
        1 => true,
        _ => return Err(refuse("its yParity is neither 0 nor 1")),
    };
    let signature =
        HashSignature { r: B256::from(signed.r()), s: B256::from(signed.s()), y_parity };
    let key = signature.recover(signed.signature_hash()).ok_or_else(|| {
        refuse("its signature is no key's, or its s is in the upper half (EIP-2)")
    })?;
    Ok(Delegation {
        authority: address_of(&key),
        target: *signed.address(),
        chain_id: (chain_id != 0).then_some(chain_id),
        nonce: signed.nonce(),
    })
}
