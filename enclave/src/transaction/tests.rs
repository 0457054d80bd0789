#![allow(clippy::unwrap_used)]

use super::*;
use crate::key::{Nonces, PrivateKey};
use alloy_consensus::{TxEnvelope, TypedTransaction};
use alloy_eips::eip2718::Decodable2718;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Bytes, TxKind, b256, hex};
use alloy_rlp::{Encodable, Header};

const TO: Address = Address::repeat_byte(0x35);

/// A signing payload that can be taken apart: a type byte (none for legacy) and RLP items.
#[derive(Clone)]
struct Payload {
    kind: Option<u8>,
    items: Vec<Vec<u8>>,
}

fn rlp(value: &impl Encodable) -> Vec<u8> {
    alloy_rlp::encode(value)
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let mut out = Vec::new();
    Header { list: true, payload_length: payload.len() }.encode(&mut out);
    [out, payload].concat()
}

impl Payload {
    fn legacy() -> Self {
        Self { kind: None, items: [call(), vec![rlp(&1u8), rlp(&0u8), rlp(&0u8)]].concat() }
    }

    fn access_list() -> Self {
        Self { kind: Some(1), items: [vec![rlp(&1u8)], call(), vec![rlp(&entries(1, 1))]].concat() }
    }

    fn dynamic_fee() -> Self {
        let mut items = [vec![rlp(&1u8)], call(), vec![rlp(&entries(1, 1))]].concat();
        items.insert(2, rlp(&2u8));
        Self { kind: Some(2), items }
    }

    fn blob() -> Self {
        let hashes = vec![B256::repeat_byte(1); 2];
        let more = vec![rlp(&7u8), rlp(&hashes)];
        Self { kind: Some(3), items: [Self::dynamic_fee().items, more].concat() }
    }

    fn set_code() -> Self {
        let authorizations = vec![authorization(0x77, 1)];
        let more = vec![rlp(&authorizations)];
        Self { kind: Some(4), items: [Self::dynamic_fee().items, more].concat() }
    }

    fn all() -> [Self; 5] {
        [Self::legacy(), Self::access_list(), Self::dynamic_fee(), Self::blob(), Self::set_code()]
    }

    /// Where a field stands that all types have, counted from the nonce.
    fn at(&self, field: usize) -> usize {
        match self.kind {
            None => field,
            Some(1) => field + 1,
            // The priority fee stands before the fee.
            Some(_) => field + if field == 0 { 1 } else { 2 },
        }
    }

    fn with(&self, place: usize, item: &impl Encodable) -> Self {
        self.with_raw(place, rlp(item))
    }

    fn with_raw(&self, place: usize, item: Vec<u8>) -> Self {
        let mut changed = self.clone();
        changed.items[place] = item;
        changed
    }

    fn last(&self, item: &impl Encodable) -> Self {
        self.with(self.items.len() - 1, item)
    }

    fn bytes(&self) -> Vec<u8> {
        [self.kind.into_iter().collect(), list(&self.items)].concat()
    }
}

/// nonce, fee, gas, to, value, data
fn call() -> Vec<Vec<u8>> {
    vec![
        rlp(&9u8),
        rlp(&20_000_000_000u64),
        rlp(&21_000u64),
        rlp(&TO),
        rlp(&1_000_000_000_000_000_000u64),
        rlp(&Bytes::from_static(&[1, 2, 3, 4, 5])),
    ]
}

fn entries(addresses: usize, slots: usize) -> AccessList {
    let mut items = vec![AccessListItem { address: TO, storage_keys: vec![] }; addresses];
    if let Some(first) = items.first_mut() {
        first.storage_keys = vec![B256::repeat_byte(3); slots];
    }
    AccessList(items)
}

fn authorization(key: u8, chain_id: u64) -> SignedAuthorization {
    let chain_id = U256::from(chain_id);
    let unsigned = Authorization { chain_id, address: Address::repeat_byte(5), nonce: 3 };
    let key = PrivateKey::from_material(&[key; 32]).unwrap();
    let signature = key.sign_hash(unsigned.signature_hash(), Nonces::Deterministic).unwrap();
    unsigned.into_signed(signature.to_alloy())
}

fn accepted(payload: &Payload) -> UnsignedTransaction {
    UnsignedTransaction::parse(&payload.bytes()).unwrap()
}

fn refused(bytes: &[u8], sentence: &str) {
    let refusal = UnsignedTransaction::parse(bytes).expect_err(sentence);
    assert!(refusal.detail.contains(sentence), "{sentence:?}, not {:?}", refusal.detail);
    let right = [
        RefusalCode::InvalidTransaction,
        RefusalCode::UnsupportedTransaction,
        RefusalCode::TooLarge,
    ];
    assert!(right.contains(&refusal.code), "{refusal}");
}

#[test]
fn every_type_is_read_to_what_alloy_writes() {
    let (chain_id, nonce, gas_limit, value) =
        (1, 9, 21_000, U256::from(1_000_000_000_000_000_000u64));
    let (input, access_list) = (Bytes::from_static(&[1, 2, 3, 4, 5]), entries(1, 1));
    let (fee, priority) = (20_000_000_000u128, 2u128);
    let all: [TypedTransaction; 4] = [
        TxLegacy {
            chain_id: Some(chain_id),
            nonce,
            gas_price: fee,
            gas_limit,
            to: TxKind::Call(TO),
            value,
            input: input.clone(),
        }
        .into(),
        TxEip2930 {
            chain_id,
            nonce,
            gas_price: fee,
            gas_limit,
            to: TxKind::Call(TO),
            value,
            input: input.clone(),
            access_list: access_list.clone(),
        }
        .into(),
        TxEip1559 {
            chain_id,
            nonce,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: priority,
            gas_limit,
            to: TxKind::Call(TO),
            value,
            input: input.clone(),
            access_list: access_list.clone(),
        }
        .into(),
        TxEip7702 {
            chain_id,
            nonce,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: priority,
            gas_limit,
            to: TO,
            value,
            input: input.clone(),
            access_list: access_list.clone(),
            authorization_list: vec![authorization(0x77, 1)],
        }
        .into(),
    ];
    let [legacy, access, dynamic, blob, set_code] = Payload::all();
    for (ours, theirs) in [legacy, access, dynamic, set_code].iter().zip(&all) {
        assert_eq!(ours.bytes(), theirs.encoded_for_signing());
        assert_eq!(accepted(ours).signing_hash(), theirs.signature_hash());
    }
    let theirs = TxEip4844 {
        chain_id,
        nonce,
        max_fee_per_gas: fee,
        max_priority_fee_per_gas: priority,
        gas_limit,
        to: TO,
        value,
        input,
        access_list,
        max_fee_per_blob_gas: 7,
        blob_versioned_hashes: vec![B256::repeat_byte(1); 2],
    };
    assert_eq!(blob.bytes(), theirs.encoded_for_signing());
    assert_eq!(accepted(&blob).signing_hash(), theirs.signature_hash());
}

#[test]
fn what_policy_asks_for_is_what_stands_there() {
    for (payload, kind) in Payload::all().iter().zip([
        Kind::Legacy,
        Kind::AccessList,
        Kind::DynamicFee,
        Kind::Blob,
        Kind::SetCode,
    ]) {
        let tx = accepted(payload);
        assert_eq!(tx.kind(), kind);
        assert_eq!((tx.chain_id(), tx.nonce(), tx.gas()), (Some(1), 9, 21_000));
        assert_eq!((tx.to(), tx.data()), (Some(TO), &[1, 2, 3, 4, 5][..]));
        assert_eq!(tx.value(), U256::from(1_000_000_000_000_000_000u64));
        assert_eq!(tx.max_fee_per_gas(), 20_000_000_000);
        let priority = if kind as u8 >= 2 { 2 } else { 20_000_000_000 };
        assert_eq!(tx.max_priority_fee_per_gas(), priority);
        let lists = usize::from(kind != Kind::Legacy);
        assert_eq!((tx.access_list_addresses(), tx.access_list_slots()), (lists, lists));
        let blobs = if kind == Kind::Blob { (2, 7) } else { (0, 0) };
        assert_eq!((tx.blobs(), tx.max_fee_per_blob_gas()), blobs);
        assert_eq!(tx.delegations().len(), usize::from(kind == Kind::SetCode));
        let blob_cost = if kind == Kind::Blob { 2 * 131_072 * 7 } else { 0 };
        let cost = 1_000_000_000_000_000_000u64 + 21_000 * 20_000_000_000 + blob_cost;
        assert_eq!(tx.max_cost().unwrap(), U256::from(cost));
    }
}

#[test]
fn a_signed_transaction_is_read_by_alloy_with_the_same_hash() {
    let key = PrivateKey::from_material(&[0x46; 32]).unwrap();
    for payload in Payload::all() {
        let tx = accepted(&payload);
        let signature = key.sign_hash(tx.signing_hash(), Nonces::Deterministic).unwrap();
        let (raw, hash) = tx.encode_signed(signature);
        let mut rest = raw.as_slice();
        let read = TxEnvelope::decode_2718(&mut rest).unwrap();
        assert!(rest.is_empty());
        assert_eq!(*read.tx_hash(), hash);
        assert_eq!(read.signature_hash(), tx.signing_hash());
        assert_eq!(*read.signature(), signature.to_alloy());
        assert_eq!((read.chain_id(), read.nonce()), (tx.chain_id(), tx.nonce()));
    }
}

/// EIP-155's example: private key 0x46…46.
#[test]
fn eip_155_example() {
    let payload = hex!(
        "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
    );
    let tx = UnsignedTransaction::parse(&payload).unwrap();
    let hash = b256!("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53");
    assert_eq!(tx.signing_hash(), hash);
    let key = PrivateKey::from_material(&[0x46; 32]).unwrap();
    let signature = key.sign_hash(hash, Nonces::Deterministic).unwrap();
    let (raw, _) = tx.encode_signed(signature);
    let expected = hex!(
        "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
        "25a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
    );
    assert_eq!(raw, expected);
}

#[test]
fn boundary_values_are_read_and_given_back() {
    for payload in Payload::all() {
        for nonce in [0, 127, 128, u64::MAX - 1] {
            assert_eq!(accepted(&payload.with(payload.at(0), &nonce)).nonce(), nonce);
        }
        for gas in [0, 1, u64::MAX] {
            assert_eq!(accepted(&payload.with(payload.at(2), &gas)).gas(), gas);
        }
        for value in [U256::ZERO, U256::from(u64::MAX), U256::MAX] {
            assert_eq!(accepted(&payload.with(payload.at(4), &value)).value(), value);
        }
        for length in [0, 1, 55, 56, 255, 256, limits::MAX_CALLDATA] {
            let data = Bytes::from(vec![0xaa; length]);
            assert_eq!(accepted(&payload.with(payload.at(5), &data)).data(), &data[..]);
        }
        let fee = payload.with(payload.at(1), &u128::MAX);
        assert_eq!(accepted(&fee).max_fee_per_gas(), u128::MAX);
    }
}

#[test]
fn only_types_0_to_2_deploy_a_contract() {
    let create = vec![0x80];
    let [legacy, access, dynamic, blob, set_code] = Payload::all();
    for payload in [legacy, access, dynamic] {
        let creation = payload.with_raw(payload.at(3), create.clone());
        assert_eq!(accepted(&creation).to(), None);
        let nothing = creation.with(creation.at(5), &Bytes::new()).bytes();
        refused(&nothing, "needs initcode");
        for (length, good) in [(limits::MAX_INITCODE, true), (limits::MAX_INITCODE + 1, false)] {
            let data = Bytes::from(vec![1; length]);
            let bytes = creation.with(creation.at(5), &data).bytes();
            assert_eq!(UnsignedTransaction::parse(&bytes).is_ok(), good);
        }
    }
    for payload in [blob, set_code] {
        let bytes = payload.with_raw(payload.at(3), create.clone()).bytes();
        refused(&bytes, "needs a recipient");
    }
}

#[test]
fn what_is_no_transaction_is_refused() {
    refused(&[], "empty");
    for byte in [0u8, 5, 0x7f, 0x80, 0xbf] {
        refused(&[byte, 0xc0], "is not served");
        let refusal = UnsignedTransaction::parse(&[byte, 0xc0]).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::UnsupportedTransaction);
    }
    refused(&[2], "RLP");
    refused(&[2, 0x80], "not an RLP list");
    refused(&[2, 0xc0], "chainId is missing");
    refused(&[0xc0], "nonce is missing");
    refused(&[0xff; 64], "RLP");
    let most = nitro_signer_shared::message::MAX_TRANSACTION;
    refused(&vec![0xff; most], "RLP");
    let long = vec![0xff; most + 1];
    assert_eq!(UnsignedTransaction::parse(&long).unwrap_err().code, RefusalCode::TooLarge);
}

#[test]
fn every_truncation_and_every_trailing_byte_is_refused() {
    for payload in Payload::all() {
        let bytes = payload.bytes();
        for length in 0..bytes.len() {
            assert!(UnsignedTransaction::parse(&bytes[..length]).is_err(), "{length}");
        }
        refused(&[bytes.clone(), vec![0]].concat(), "the list says");
        let mut longer = payload.clone();
        longer.items.push(rlp(&0u8));
        refused(&longer.bytes(), "more fields");
        for count in 0..payload.items.len() {
            let mut shorter = payload.clone();
            shorter.items.truncate(count);
            let parsed = UnsignedTransaction::parse(&shorter.bytes());
            // A legacy transaction without replay protection has six fields.
            let unprotected = payload.kind.is_none() && count == 6;
            assert_eq!(parsed.is_ok(), unprotected, "{count} fields");
        }
    }
}

#[test]
fn no_byte_can_change_without_changing_what_is_read() {
    for payload in Payload::all() {
        let bytes = payload.bytes();
        let original = UnsignedTransaction::parse(&bytes).unwrap();
        for place in 0..bytes.len() {
            for flip in [1, 0x80] {
                let mut changed = bytes.clone();
                changed[place] ^= flip;
                if let Ok(tx) = UnsignedTransaction::parse(&changed) {
                    assert_ne!(tx, original, "byte {place}");
                    assert_ne!(tx.signing_hash(), original.signing_hash(), "byte {place}");
                }
            }
        }
    }
}

#[test]
fn numbers_with_leading_zeros_and_other_loose_forms_are_refused() {
    for payload in Payload::all() {
        for field in [0, 1, 2, 4] {
            let at = payload.at(field);
            // 0x00 for 0; a leading zero; one byte in a long form; a length in a long form.
            for item in [vec![0x00], vec![0x82, 0, 9], vec![0x81, 9], vec![0xb8, 1, 0x99]] {
                let bytes = payload.with_raw(at, item.clone()).bytes();
                assert!(UnsignedTransaction::parse(&bytes).is_err(), "{field} {item:02x?}");
            }
            let too_wide = [vec![0xa1], vec![1; 33]].concat();
            refused(&payload.with_raw(at, too_wide).bytes(), ": overflow");
            assert!(UnsignedTransaction::parse(&payload.with_raw(at, vec![0xc0]).bytes()).is_err());
        }
        for length in [0usize, 19, 21] {
            let to = Bytes::from(vec![0x35; length]);
            let parsed = UnsignedTransaction::parse(&payload.with(payload.at(3), &to).bytes());
            // An empty recipient is a creation, which types 0 to 2 may be.
            let creation = length == 0 && payload.kind.is_none_or(|kind| kind <= 2);
            assert_eq!(parsed.is_ok(), creation, "{length}");
        }
        // The list's length in three bytes where two or one would do.
        let items = payload.items.concat();
        let length = u16::try_from(items.len()).unwrap().to_be_bytes().to_vec();
        let loose = [payload.kind.into_iter().collect(), vec![0xfa, 0], length, items].concat();
        assert!(UnsignedTransaction::parse(&loose).is_err());
    }
}

#[test]
fn chain_ids_that_no_signature_can_bind_are_refused() {
    let legacy = Payload::legacy();
    let mut without = legacy.clone();
    without.items.truncate(6);
    let parsed = UnsignedTransaction::parse(&without.bytes()).unwrap();
    assert_eq!((parsed.kind(), parsed.chain_id()), (Kind::Unprotected, None));
    for payload in Payload::all() {
        let place = if payload.kind.is_none() { 6 } else { 0 };
        refused(&payload.with(place, &0u8).bytes(), "chain id 0");
        if payload.kind.is_some() {
            assert_eq!(accepted(&payload.with(place, &u64::MAX)).chain_id(), Some(u64::MAX));
        }
    }
    let most = (u64::MAX - 36) / 2;
    assert_eq!(accepted(&legacy.with(6, &most)).chain_id(), Some(most));
    refused(&legacy.with(6, &(most + 1)).bytes(), "too large for a legacy");
    refused(&legacy.with(6, &u64::MAX).bytes(), "too large for a legacy");
    refused(&legacy.with(7, &1u8).bytes(), "the eighth field is 0");
    refused(&legacy.with(8, &1u8).bytes(), "the ninth field is 0");
}

#[test]
fn what_no_chain_would_take_is_refused() {
    for payload in Payload::all() {
        refused(&payload.with(payload.at(0), &u64::MAX).bytes(), "EIP-2681");
        let data = Bytes::from(vec![1; limits::MAX_CALLDATA + 1]);
        refused(&payload.with(payload.at(5), &data).bytes(), "bytes of calldata");
    }
    let [_, access, dynamic, blob, set_code] = Payload::all();
    for payload in [&dynamic, &blob, &set_code] {
        refused(&payload.with(2, &20_000_000_001u64).bytes(), "above maxFeePerGas");
        assert!(accepted(&payload.with(2, &20_000_000_000u64)).chain_id() == Some(1));
    }
    for payload in [&access, &dynamic, &blob, &set_code] {
        let at = payload.at(6);
        accepted(&payload.with(at, &entries(0, 0)));
        let most = entries(limits::MAX_ACCESS_ADDRESSES, limits::MAX_ACCESS_SLOTS);
        assert_eq!(accepted(&payload.with(at, &most)).access_list_slots(), 8_192);
        refused(&payload.with(at, &entries(1_025, 0)).bytes(), "access list addresses");
        refused(&payload.with(at, &entries(1, 8_193)).bytes(), "access list slots");
    }
}

#[test]
fn a_blob_transaction_names_blobs_by_hashes_of_version_1() {
    let blob = Payload::blob();
    let hashes = |count: usize| vec![B256::repeat_byte(1); count];
    refused(&blob.last(&hashes(0)).bytes(), "at least one blob");
    assert_eq!(accepted(&blob.last(&hashes(limits::MAX_BLOBS))).blobs(), limits::MAX_BLOBS);
    refused(&blob.last(&hashes(limits::MAX_BLOBS + 1)).bytes(), "blobs are more than");
    for version in [0, 2, 0xff] {
        let mut hashes = hashes(2);
        hashes[1][0] = version;
        refused(&blob.last(&hashes).bytes(), "version byte 1");
    }
}

#[test]
fn an_authorization_names_its_authority() {
    let payload = Payload::set_code();
    let one = authorization(0x77, 1);
    let any = authorization(0x46, 0);
    let tx = accepted(&payload.last(&vec![one, any]));
    let authority = |key: u8| PrivateKey::from_material(&[key; 32]).unwrap().address();
    let expected = |key, chain_id| Delegation {
        authority: authority(key),
        target: Address::repeat_byte(5),
        chain_id,
        nonce: 3,
    };
    assert_eq!(tx.delegations(), [expected(0x77, Some(1)), expected(0x46, None)]);
}

#[test]
fn an_authorization_that_proves_nobody_is_refused() {
    let payload = Payload::set_code();
    let none: Vec<SignedAuthorization> = vec![];
    refused(&payload.last(&none).bytes(), "at least one authorization");
    let many = vec![authorization(0x77, 1); limits::MAX_AUTHORIZATIONS + 1];
    refused(&payload.last(&many).bytes(), "authorizations are more than");

    let good = authorization(0x77, 1);
    let (inner, y, r, s) = (good.inner().clone(), good.y_parity(), good.r(), good.s());
    let order = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
    let order = U256::from_be_bytes(order.0);
    let check = |inner: &Authorization, y, r, s, sentence| {
        let one = SignedAuthorization::new_unchecked(inner.clone(), y, r, s);
        refused(&payload.last(&vec![good.clone(), one]).bytes(), sentence);
    };
    check(&inner, y ^ 1, r, order - s, "authorization 1: its signature is no key's");
    check(&inner, y, U256::ZERO, s, "authorization 1: its signature is no key's");
    check(&inner, y, r, U256::ZERO, "authorization 1: its signature is no key's");
    check(&inner, y, order, s, "authorization 1: its signature is no key's");
    check(&inner, 2, r, s, "yParity");
    check(&inner, 27, r, s, "yParity");
    let last = Authorization { nonce: u64::MAX, ..inner.clone() };
    check(&last, y, r, s, "nonce 2^64 - 1");
    let wide = Authorization { chain_id: U256::from(u64::MAX) + U256::from(1), ..inner };
    check(&wide, y, r, s, "more than 64 bits");
}

#[test]
fn a_cost_above_all_ether_is_refused() {
    for payload in Payload::all() {
        let tx = accepted(&payload.with(payload.at(4), &U256::MAX));
        assert_eq!(tx.max_cost().unwrap_err().code, RefusalCode::InvalidTransaction);
        let free = payload.with(payload.at(4), &U256::MAX).with(payload.at(2), &0u8);
        let exact = accepted(&free).max_cost();
        assert_eq!(exact.is_ok(), payload.kind != Some(3), "blobs cost beside gas");
    }
    let most = Payload::legacy().with(1, &u128::MAX).with(2, &u64::MAX);
    let cost = accepted(&most).max_cost().unwrap();
    assert!(cost > U256::from(u128::MAX));
}
