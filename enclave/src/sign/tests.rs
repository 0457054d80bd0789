#![allow(clippy::unwrap_used)]

use super::*;
use crate::client::tests::NOW_S;
use crate::policy::Policy;
use crate::policy::tests::{all_transactions, key, manifest, operator, private_key};
use crate::transaction::UnsignedTransaction;
use alloy_consensus::TxEnvelope;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::U256;
use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

fn approved(transaction: UnsignedTransaction) -> Approved<ForAccount<UnsignedTransaction>> {
    let policy = Policy::load(&manifest("permit(principal, action, resource);")).unwrap();
    policy.approve(&operator(), &key(), transaction, |_| true, NOW_S).unwrap()
}

#[test]
fn what_leaves_is_the_approved_transaction_with_the_keys_signature() {
    for transaction in all_transactions() {
        for nonces in [Nonces::Deterministic, Nonces::Hedged(&[5; 32])] {
            let hash = transaction.signing_hash();
            let signed =
                sign_transaction(approved(transaction.clone()), &private_key(), nonces).unwrap();
            assert_eq!(signed.signing_hash, hash);

            let read = TxEnvelope::decode_2718_exact(&signed.raw).unwrap();
            assert_eq!(read.signature_hash(), hash);
            assert_eq!(*read.tx_hash(), signed.transaction_hash);
            let (r, s) = (U256::from_be_bytes(signed.r.0), U256::from_be_bytes(signed.s.0));
            let expected = alloy_primitives::Signature::new(r, s, signed.y_parity);
            assert_eq!(*read.signature(), expected);

            let signature = Signature::from_scalars(signed.r.0, signed.s.0).unwrap();
            assert_eq!(signature.normalize_s(), signature);
            let recovery = RecoveryId::new(signed.y_parity, false);
            let signer =
                VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, recovery).unwrap();
            assert_eq!(address_of(&signer), key().address);
        }
    }
}

#[test]
fn another_key_than_the_approved_one_signs_nothing() {
    let other = PrivateKey::from_material(&[1; 32]).unwrap();
    for transaction in all_transactions() {
        let signed = sign_transaction(approved(transaction), &other, Nonces::Deterministic);
        assert_eq!(signed.unwrap_err().code, RefusalCode::Internal);
    }
}
