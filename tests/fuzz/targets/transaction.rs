//! Transactions as they are hashed for signing. What is accepted
//! - is what alloy's own decoder reads, field by field, and what it encodes again;
//! - is signed by the hash of exactly these bytes;
//! - is neither shorter nor longer than it should be.
#![no_main]

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_primitives::{Signature, keccak256};
use alloy_rlp::Decodable;
use libfuzzer_sys::fuzz_target;
use nitro_signer_enclave::transaction::{Kind, UnsignedTransaction};

type Theirs = Box<dyn SignableTransaction<Signature>>;

fn decode<T: Decodable + SignableTransaction<Signature> + 'static>(mut bytes: &[u8]) -> Theirs {
    let decoded = T::decode(&mut bytes).expect("alloy decodes it");
    assert!(bytes.is_empty(), "alloy leaves bytes over");
    Box::new(decoded)
}

fn decode_kind(kind: Kind, payload: &[u8]) -> Theirs {
    match kind {
        Kind::Legacy | Kind::Unprotected => decode::<TxLegacy>(payload),
        Kind::AccessList => decode::<TxEip2930>(&payload[1..]),
        Kind::DynamicFee => decode::<TxEip1559>(&payload[1..]),
        Kind::Blob => decode::<TxEip4844>(&payload[1..]),
        Kind::SetCode => decode::<TxEip7702>(&payload[1..]),
    }
}

fuzz_target!(|payload: &[u8]| {
    let Ok(ours) = UnsignedTransaction::parse(payload) else { return };
    let theirs = decode_kind(ours.kind(), payload);
    assert_eq!(theirs.encoded_for_signing(), payload);
    assert_eq!(theirs.signature_hash(), ours.signing_hash());
    assert_eq!(keccak256(payload), ours.signing_hash());

    assert_eq!(theirs.chain_id(), ours.chain_id());
    assert_ne!(ours.chain_id(), Some(0));
    assert_eq!(ours.chain_id().is_none(), ours.kind() == Kind::Unprotected);
    assert_eq!(theirs.nonce(), ours.nonce());
    assert_eq!(theirs.to(), ours.to());
    assert_eq!(theirs.value(), ours.value());
    assert_eq!(theirs.input().as_ref(), ours.data());
    assert_eq!(theirs.gas_limit(), ours.gas());
    assert_eq!(theirs.max_fee_per_gas(), ours.max_fee_per_gas());
    assert_eq!(theirs.priority_fee_or_price(), ours.max_priority_fee_per_gas());
    assert_eq!(theirs.max_fee_per_blob_gas().unwrap_or(0), ours.max_fee_per_blob_gas());
    assert_eq!(theirs.blob_versioned_hashes().map_or(0, <[_]>::len), ours.blobs());
    assert_eq!(theirs.access_list().map_or(0, |list| list.len()), ours.access_list_addresses());
    let authorizations = theirs.authorization_list().unwrap_or_default();
    assert_eq!(authorizations.len(), ours.delegations().len());
    for (theirs, ours) in authorizations.iter().zip(ours.delegations()) {
        assert_eq!((*theirs.address(), theirs.nonce()), (ours.target, ours.nonce));
    }
    if let Ok(cost) = ours.max_cost() {
        assert!(cost >= ours.value());
    }

    assert!(UnsignedTransaction::parse(&payload[..payload.len() - 1]).is_err());
    assert!(UnsignedTransaction::parse(&[payload, &[0x80]].concat()).is_err());
});
