//! What no transaction that we sign may be, whatever policy says.

use super::{Fields, invalid};
use nitro_signer_shared::refusal::Refusal;

/// The longest calldata, in bytes: what go-ethereum's pool takes in one transaction.
pub(super) const MAX_CALLDATA: usize = 131_072;
/// The longest initcode, in bytes (EIP-3860).
pub(super) const MAX_INITCODE: usize = 49_152;
/// The most addresses in an access list. Each costs 2,400 gas, so a full list costs 2.5 million.
pub(super) const MAX_ACCESS_ADDRESSES: usize = 1_024;
/// The most storage slots in an access list. Each costs 1,900 gas, so they cost 15.6 million.
pub(super) const MAX_ACCESS_SLOTS: usize = 8_192;
/// The most blobs: far above what a block of any chain takes today (21 on Ethereum).
pub(super) const MAX_BLOBS: usize = 128;
/// The most authorizations. Each costs a public key's recovery here before policy is asked.
pub(super) const MAX_AUTHORIZATIONS: usize = 64;

/// Bytes 0 of a blob's versioned hash: a KZG commitment (EIP-4844, VERSIONED_HASH_VERSION_KZG).
const KZG_VERSION: u8 = 1;
/// Chain ids above this give a legacy v = 2 × id + 36 that is more than 64 bits (EIP-155).
const MAX_LEGACY_CHAIN_ID: u64 = (u64::MAX - 36) / 2;

/// Refuses a transaction that is outside these limits or that no chain would take.
pub(super) fn check(fields: &Fields) -> Result<(), Refusal> {
    let tx = fields.as_transaction();
    if tx.chain_id() == Some(0) {
        return Err(invalid("chain id 0 is no chain's"));
    }
    if tx.nonce() == u64::MAX {
        return Err(invalid("nonce 2^64 - 1 can never be used (EIP-2681)"));
    }
    check_data(fields)?;
    check_access_list(fields)?;
    match fields {
        Fields::Legacy(tx) if tx.chain_id.is_some_and(|id| id > MAX_LEGACY_CHAIN_ID) => {
            Err(invalid("the chain id is too large for a legacy transaction's v (EIP-155)"))
        }
        Fields::Legacy(_) | Fields::AccessList(_) => Ok(()),
        Fields::DynamicFee(_) => check_fees(fields),
        Fields::Blob(_) => check_fees(fields).and_then(|()| check_blobs(fields)),
        Fields::SetCode(_) => check_fees(fields).and_then(|()| check_authorizations(fields)),
    }
}

fn check_data(fields: &Fields) -> Result<(), Refusal> {
    let tx = fields.as_transaction();
    let (what, most) = match tx.to() {
        Some(_) => ("calldata", MAX_CALLDATA),
        None => ("initcode", MAX_INITCODE),
    };
    if tx.to().is_none() && tx.input().is_empty() {
        return Err(invalid("a contract creation needs initcode in data"));
    }
    at_most(&format!("bytes of {what}"), tx.input().len(), most)
}

fn check_access_list(fields: &Fields) -> Result<(), Refusal> {
    let Some(list) = fields.as_transaction().access_list() else { return Ok(()) };
    at_most("access list addresses", list.len(), MAX_ACCESS_ADDRESSES)?;
    at_most("access list slots", list.storage_keys_count(), MAX_ACCESS_SLOTS)
}

fn check_fees(fields: &Fields) -> Result<(), Refusal> {
    let tx = fields.as_transaction();
    // EIP-1559: a transaction whose priority fee is above its maximal fee is invalid.
    if tx.max_priority_fee_per_gas().is_some_and(|priority| priority > tx.max_fee_per_gas()) {
        return Err(invalid("maxPriorityFeePerGas is above maxFeePerGas"));
    }
    Ok(())
}

fn check_blobs(fields: &Fields) -> Result<(), Refusal> {
    let hashes = fields.as_transaction().blob_versioned_hashes().unwrap_or_default();
    if hashes.is_empty() {
        return Err(invalid("a blob transaction needs at least one blob"));
    }
    at_most("blobs", hashes.len(), MAX_BLOBS)?;
    if hashes.iter().any(|hash| hash[0] != KZG_VERSION) {
        return Err(invalid("a blob's versioned hash does not begin with the version byte 1"));
    }
    Ok(())
}

fn check_authorizations(fields: &Fields) -> Result<(), Refusal> {
    let authorizations = fields.as_transaction().authorization_list().unwrap_or_default();
    if authorizations.is_empty() {
        return Err(invalid("a set-code transaction needs at least one authorization"));
    }
    at_most("authorizations", authorizations.len(), MAX_AUTHORIZATIONS)
}

fn at_most(what: &str, count: usize, most: usize) -> Result<(), Refusal> {
    if count > most {
        return Err(invalid(format!("{count} {what} are more than {most}")));
    }
    Ok(())
}
