//! What came back from signing, compared with what was asked.
//!
//! [`CheckedTransaction::open`] trusts nothing about the raw bytes: it decodes them, encodes them
//! again, compares every field with the request, and recovers the sender. Whoever holds a
//! [`CheckedTransaction`] holds the very transaction that was asked for, signed by the very key.

use super::{TransactionRequest, UnsignedTransaction};
use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, Transaction, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, Signature, U256, hex, keccak256};
use k256::ecdsa::{RecoveryId, VerifyingKey};
use serde_json::{Map, Value, json};

/// Half of secp256k1's order, the highest s that Ethereum accepts (EIP-2).
const HALF_ORDER: U256 =
    U256::from_be_slice(&hex!("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0"));

/// Why the bytes are not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CheckError {
    #[error("what came back is not a signed transaction")]
    NotATransaction,
    #[error("what came back is another transaction than was asked for")]
    OtherTransaction,
    #[error("the signature is not one that Ethereum accepts")]
    Signature,
    #[error("it is signed by {0}, not by the key that was asked")]
    OtherSender(Address),
    #[error("the hash that was signed is not that of what was asked for")]
    OtherHash,
    #[error("the answer gives two different signatures")]
    Contradiction,
}

/// A signed transaction that is what was asked for.
#[derive(Clone, Debug)]
pub struct CheckedTransaction {
    envelope: EthereumTxEnvelope<TxEip4844>,
    raw: Vec<u8>,
}

impl CheckedTransaction {
    /// Compares raw bytes (EIP-2718) with the request.
    ///
    /// # Errors
    /// [`CheckError`] says what differs.
    pub fn open(raw: &[u8], asked: &TransactionRequest) -> Result<Self, CheckError> {
        let mut rest = raw;
        let envelope = EthereumTxEnvelope::<TxEip4844>::decode_2718(&mut rest)
            .map_err(|_| CheckError::NotATransaction)?;
        if !rest.is_empty() || envelope.encoded_2718() != raw {
            return Err(CheckError::NotATransaction);
        }
        // The signing payload holds every field, so equal payloads are equal transactions.
        let payload = asked.transaction.signing_payload();
        if signing_payload(&envelope) != payload {
            return Err(CheckError::OtherTransaction);
        }
        let sender = recover(envelope.signature(), keccak256(&payload))?;
        if sender != asked.from {
            return Err(CheckError::OtherSender(sender));
        }
        Ok(Self { envelope, raw: raw.to_vec() })
    }

    /// The bytes for eth_sendRawTransaction.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The transaction's hash.
    #[must_use]
    pub fn hash(&self) -> B256 {
        keccak256(&self.raw)
    }

    /// The transaction as go-ethereum writes it in JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tx = &self.envelope;
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| json.insert(name.to_owned(), value);
        put("type", quantity(tx.tx_type() as u8));
        put("chainId", tx.chain_id().map_or(Value::Null, quantity));
        put("nonce", quantity(tx.nonce()));
        put("to", tx.to().map_or(Value::Null, |to| json!(to)));
        put("gas", quantity(tx.gas_limit()));
        put("value", quantity(tx.value()));
        put("input", json!(tx.input()));
        put("gasPrice", tx.gas_price().map_or(Value::Null, quantity));
        if tx.gas_price().is_none() {
            put("maxFeePerGas", quantity(tx.max_fee_per_gas()));
            let tip = tx.max_priority_fee_per_gas();
            put("maxPriorityFeePerGas", tip.map_or(Value::Null, quantity));
        }
        if let Some(list) = tx.access_list() {
            put("accessList", access_list(list));
        }
        if let Some(fee) = tx.max_fee_per_blob_gas() {
            put("maxFeePerBlobGas", quantity(fee));
            put("blobVersionedHashes", json!(tx.blob_versioned_hashes()));
        }
        if let Some(list) = tx.authorization_list() {
            put("authorizationList", list.iter().map(authorization).collect());
        }
        let parity = u64::from(tx.signature().v());
        if tx.is_legacy() {
            // EIP-155: v = parity + 35 + 2 × chain id.
            let base = tx
                .chain_id()
                .map_or(U256::from(27), |id| U256::from(35) + U256::from(2) * U256::from(id));
            put("v", quantity(base + U256::from(parity)));
        } else {
            put("v", quantity(parity));
            put("yParity", quantity(parity));
        }
        put("r", quantity(tx.signature().r()));
        put("s", quantity(tx.signature().s()));
        put("hash", json!(self.hash()));
        Value::Object(json)
    }
}

fn access_list(list: &AccessList) -> Value {
    let item = |i: &AccessListItem| json!({"address": i.address, "storageKeys": i.storage_keys});
    list.iter().map(item).collect()
}

fn authorization(signed: &SignedAuthorization) -> Value {
    json!({
        "chainId": quantity(signed.chain_id),
        "address": signed.address,
        "nonce": quantity(signed.nonce),
        "yParity": quantity(signed.y_parity()),
        "r": quantity(signed.r()),
        "s": quantity(signed.s()),
    })
}

fn quantity(number: impl Into<U256Text>) -> Value {
    Value::String(format!("0x{:x}", number.into().0))
}

/// Any of the integers that a transaction has.
struct U256Text(U256);

impl From<u8> for U256Text {
    fn from(n: u8) -> Self {
        Self(U256::from(n))
    }
}

impl From<u64> for U256Text {
    fn from(n: u64) -> Self {
        Self(U256::from(n))
    }
}

impl From<u128> for U256Text {
    fn from(n: u128) -> Self {
        Self(U256::from(n))
    }
}

impl From<U256> for U256Text {
    fn from(n: U256) -> Self {
        Self(n)
    }
}

fn signing_payload(envelope: &EthereumTxEnvelope<TxEip4844>) -> Vec<u8> {
    match envelope {
        EthereumTxEnvelope::Legacy(tx) => tx.tx().encoded_for_signing(),
        EthereumTxEnvelope::Eip2930(tx) => tx.tx().encoded_for_signing(),
        EthereumTxEnvelope::Eip1559(tx) => tx.tx().encoded_for_signing(),
        EthereumTxEnvelope::Eip4844(tx) => tx.tx().encoded_for_signing(),
        EthereumTxEnvelope::Eip7702(tx) => tx.tx().encoded_for_signing(),
    }
}

/// Who signed this hash.
pub(super) fn recover(signature: &Signature, hash: B256) -> Result<Address, CheckError> {
    if signature.s() > HALF_ORDER {
        return Err(CheckError::Signature);
    }
    let scalars = [signature.r().to_be_bytes::<32>(), signature.s().to_be_bytes::<32>()].concat();
    let parsed = k256::ecdsa::Signature::from_slice(&scalars).map_err(|_| CheckError::Signature)?;
    let id = RecoveryId::new(signature.v(), false);
    let key = VerifyingKey::recover_from_prehash(hash.as_slice(), &parsed, id)
        .map_err(|_| CheckError::Signature)?;
    Ok(Address::from_raw_public_key(&key.to_sec1_point(false).as_bytes()[1..]))
}

impl UnsignedTransaction {
    /// keccak256 of the signing payload.
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        keccak256(self.signing_payload())
    }
}

#[cfg(test)]
#[path = "signed_tests.rs"]
mod tests;
