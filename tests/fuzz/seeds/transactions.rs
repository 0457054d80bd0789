//! Signing payloads of every type, and fields that make one.

use crate::Seeds;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use k256::ecdsa::SigningKey;
use std::io;

const TO: Address = Address::repeat_byte(0x35);
const GWEI: u128 = 1_000_000_000;

pub(crate) fn write(seeds: &Seeds) -> io::Result<()> {
    for (name, payload) in payloads()? {
        seeds.add("rlp", name, [&[0], payload.as_slice()].concat())?;
        seeds.add("transaction", name, payload)?;
    }
    for kind in 0..4u8 {
        let fields: Vec<u8> = (0..=255).cycle().skip(kind.into()).take(400).collect();
        seeds.add("rlp", &format!("fields-{kind}"), [&[1, kind], fields.as_slice()].concat())?;
    }
    Ok(())
}

fn payloads() -> io::Result<Vec<(&'static str, Vec<u8>)>> {
    let input = Bytes::from([&[0xa9, 0x05, 0x9c, 0xbb][..], &[0; 64]].concat());
    let value = U256::from(10u64.pow(18));
    let legacy = TxLegacy {
        chain_id: Some(1),
        nonce: 9,
        gas_price: 20 * GWEI,
        gas_limit: 21_000,
        to: TxKind::Call(TO),
        value,
        input: Bytes::new(),
    };
    let access_list = AccessList(vec![AccessListItem {
        address: TO,
        storage_keys: vec![B256::ZERO, B256::repeat_byte(3)],
    }]);
    let dynamic = TxEip1559 {
        chain_id: 10,
        nonce: 300,
        gas_limit: 100_000,
        max_fee_per_gas: 30 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Call(TO),
        value,
        access_list: access_list.clone(),
        input: input.clone(),
    };
    let create =
        TxEip1559 { to: TxKind::Create, input: Bytes::from_static(&[0xfe]), ..dynamic.clone() };
    let older = TxEip2930 {
        chain_id: 1,
        gas_price: GWEI,
        gas_limit: 50_000,
        to: TxKind::Call(TO),
        access_list: access_list.clone(),
        ..TxEip2930::default()
    };
    let blob = TxEip4844 {
        chain_id: 1,
        gas_limit: 21_000,
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: 1,
        to: TO,
        blob_versioned_hashes: vec![B256::repeat_byte(1); 2],
        max_fee_per_blob_gas: 7,
        access_list,
        input,
        ..TxEip4844::default()
    };
    let set_code = TxEip7702 {
        chain_id: 1,
        gas_limit: 90_000,
        max_fee_per_gas: 2 * GWEI,
        to: TO,
        authorization_list: vec![authorization(1)?, authorization(0)?],
        ..TxEip7702::default()
    };
    Ok(vec![
        ("unprotected", TxLegacy { chain_id: None, ..legacy.clone() }.encoded_for_signing()),
        ("legacy", legacy.encoded_for_signing()),
        ("access-list", older.encoded_for_signing()),
        ("dynamic-fee", dynamic.encoded_for_signing()),
        ("create", create.encoded_for_signing()),
        ("blob", blob.encoded_for_signing()),
        ("set-code", set_code.encoded_for_signing()),
    ])
}

/// One that can be recovered.
fn authorization(chain_id: u64) -> io::Result<alloy_eips::eip7702::SignedAuthorization> {
    let unsigned = Authorization { chain_id: U256::from(chain_id), address: TO, nonce: 3 };
    let key = SigningKey::from_slice(&[0x46; 32]).map_err(io::Error::other)?;
    let (signature, parity) = key.sign_prehash_recoverable(unsigned.signature_hash().as_slice());
    let (r, s) = signature.split_bytes();
    let r = U256::from_be_slice(&r);
    let s = U256::from_be_slice(&s);
    Ok(unsigned.into_signed(Signature::new(r, s, parity.is_y_odd())))
}
