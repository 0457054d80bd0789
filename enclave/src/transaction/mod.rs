//! Transactions as they are hashed for signing: read strictly, described to policy, encoded.
//!
//! [`UnsignedTransaction`] exists only for bytes that were read completely and that its own
//! encoding gives back unchanged. Nothing is filled in, corrected or taken on trust: the signing
//! hash is always computed here, from the fields that policy sees.

mod authorization;
mod limits;
mod read;

pub use authorization::Delegation;

use crate::key::HashSignature;
use alloy_consensus::transaction::RlpEcdsaEncodableTx;
use alloy_consensus::{
    SignableTransaction, Transaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// The gas that one blob costs (EIP-4844, GAS_PER_BLOB).
const GAS_PER_BLOB: u64 = 131_072;

/// A well-formed transaction that nobody has approved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsignedTransaction {
    fields: Fields,
    delegations: Vec<Delegation>,
}

/// A transaction's type (EIP-2718).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Type 0 with a chain id (EIP-155).
    Legacy = 0,
    /// Type 1: an access list (EIP-2930).
    AccessList = 1,
    /// Type 2: a fee market's fees (EIP-1559).
    DynamicFee = 2,
    /// Type 3: blobs, named by their hashes (EIP-4844).
    Blob = 3,
    /// Type 4: accounts' code is set (EIP-7702).
    SetCode = 4,
    /// Type 0 without a chain id: it holds on every chain.
    Unprotected = 0x100,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fields {
    Legacy(TxLegacy),
    AccessList(TxEip2930),
    DynamicFee(TxEip1559),
    Blob(TxEip4844),
    SetCode(TxEip7702),
}

impl UnsignedTransaction {
    /// Reads a signing payload: `type || rlp(fields)` (EIP-2718), or for a legacy transaction
    /// `rlp(nonce, gasPrice, gas, to, value, data, chainId, 0, 0)` (EIP-155), or without replay
    /// protection its first six fields.
    ///
    /// # Errors
    /// `TooLarge`, `UnsupportedTransaction` or `InvalidTransaction`, with a sentence that names
    /// the field.
    pub fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let fields = read::read(payload)?;
        limits::check(&fields)?;
        if fields.as_signable().encoded_for_signing() != payload {
            return Err(invalid("the payload is not in RLP's canonical form"));
        }
        let delegations = authorization::recover_all(fields.as_transaction())?;
        Ok(Self { fields, delegations })
    }

    /// The hash to sign: keccak256 of the payload, encoded anew from the fields.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        self.fields.as_signable().signature_hash()
    }

    /// The transaction's type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.fields {
            Fields::Legacy(TxLegacy { chain_id: None, .. }) => Kind::Unprotected,
            Fields::Legacy(_) => Kind::Legacy,
            Fields::AccessList(_) => Kind::AccessList,
            Fields::DynamicFee(_) => Kind::DynamicFee,
            Fields::Blob(_) => Kind::Blob,
            Fields::SetCode(_) => Kind::SetCode,
        }
    }

    /// The chain the transaction is for; never 0. `None` if it is for any ([`Kind::Unprotected`]).
    #[must_use]
    pub fn chain_id(&self) -> Option<u64> {
        self.fields.as_transaction().chain_id()
    }

    /// The sender's count of transactions.
    #[must_use]
    pub fn nonce(&self) -> u64 {
        self.fields.as_transaction().nonce()
    }

    /// The recipient; `None` if a contract is to be deployed.
    #[must_use]
    pub fn to(&self) -> Option<Address> {
        self.fields.as_transaction().to()
    }

    /// The amount to send, in wei.
    #[must_use]
    pub fn value(&self) -> U256 {
        self.fields.as_transaction().value()
    }

    /// The calldata, or the initcode of a contract to be deployed.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.fields.as_transaction().input()
    }

    /// The most gas the transaction may use.
    #[must_use]
    pub fn gas(&self) -> u64 {
        self.fields.as_transaction().gas_limit()
    }

    /// The most to pay per gas, in wei: `maxFeePerGas`, or the gas price of types 0 and 1.
    #[must_use]
    pub fn max_fee_per_gas(&self) -> u128 {
        self.fields.as_transaction().max_fee_per_gas()
    }

    /// The most of it that goes to the block's proposer: `maxPriorityFeePerGas`, or the gas price
    /// of types 0 and 1.
    #[must_use]
    pub fn max_priority_fee_per_gas(&self) -> u128 {
        self.fields.as_transaction().priority_fee_or_price()
    }

    /// The most to pay per gas of blobs, in wei; 0 without blobs.
    #[must_use]
    pub fn max_fee_per_blob_gas(&self) -> u128 {
        self.fields.as_transaction().max_fee_per_blob_gas().unwrap_or_default()
    }

    /// The number of blobs.
    #[must_use]
    pub fn blobs(&self) -> usize {
        self.fields.as_transaction().blob_versioned_hashes().map_or(0, <[B256]>::len)
    }

    /// The number of addresses in the access list.
    #[must_use]
    pub fn access_list_addresses(&self) -> usize {
        self.fields.as_transaction().access_list().map_or(0, |list| list.len())
    }

    /// The number of storage slots in the access list.
    #[must_use]
    pub fn access_list_slots(&self) -> usize {
        self.fields.as_transaction().access_list().map_or(0, |list| list.storage_keys_count())
    }

    /// Whose code the transaction sets to what, in its order; empty but for type 4.
    #[must_use]
    pub fn delegations(&self) -> &[Delegation] {
        &self.delegations
    }

    /// The most the transaction can cost its sender, in wei: value + gas × max fee + blob gas ×
    /// max blob fee.
    ///
    /// # Errors
    /// `InvalidTransaction` if that is more than 2^256 - 1: no account holds it.
    pub fn max_cost(&self) -> Result<U256, Refusal> {
        let gas = U256::from(self.gas()).checked_mul(U256::from(self.max_fee_per_gas()));
        let blob_gas = U256::from(self.blobs()).checked_mul(U256::from(GAS_PER_BLOB));
        let blobs = blob_gas.and_then(|g| g.checked_mul(U256::from(self.max_fee_per_blob_gas())));
        let sum = |a: Option<U256>, b: Option<U256>| a?.checked_add(b?);
        sum(sum(Some(self.value()), gas), blobs)
            .ok_or_else(|| invalid("value and fees together are more than 2^256 - 1 wei"))
    }

    /// The transaction with its signature (EIP-2718) and that encoding's hash. A blob transaction
    /// comes without its sidecar.
    #[must_use]
    pub(crate) fn encode_signed(&self, signature: HashSignature) -> (Vec<u8>, B256) {
        let signature = signature.to_alloy();
        let mut raw = Vec::new();
        match &self.fields {
            Fields::Legacy(tx) => tx.eip2718_encode(&signature, &mut raw),
            Fields::AccessList(tx) => tx.eip2718_encode(&signature, &mut raw),
            Fields::DynamicFee(tx) => tx.eip2718_encode(&signature, &mut raw),
            Fields::Blob(tx) => tx.eip2718_encode(&signature, &mut raw),
            Fields::SetCode(tx) => tx.eip2718_encode(&signature, &mut raw),
        }
        let hash = keccak256(&raw);
        (raw, hash)
    }
}

impl Fields {
    fn as_signable(&self) -> &dyn SignableTransaction<alloy_primitives::Signature> {
        match self {
            Self::Legacy(tx) => tx,
            Self::AccessList(tx) => tx,
            Self::DynamicFee(tx) => tx,
            Self::Blob(tx) => tx,
            Self::SetCode(tx) => tx,
        }
    }

    fn as_transaction(&self) -> &dyn Transaction {
        self.as_signable()
    }
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::InvalidTransaction, detail)
}

#[cfg(test)]
mod tests;
