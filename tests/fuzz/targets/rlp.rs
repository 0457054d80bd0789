//! RLP by two implementations: alloy's, by which transactions are read here, and parity's `rlp`,
//! with which it shares no code.
//! - A payload that is accepted has to parity's reader the structure of its type, and its items
//!   written again by parity's writer are the same bytes: there is one form.
//! - A transaction that parity's writer writes is accepted, with the fields that went in.
//!
//! The input: a byte that is even for a payload, odd for the fields of one.
#![no_main]

use alloy_primitives::{Address, U256};
use libfuzzer_sys::fuzz_target;
use nitro_signer_enclave::transaction::{Kind, UnsignedTransaction};
use nitro_signer_fuzz::input::Input;
use rlp::{Rlp, RlpStream};

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    if input.byte() & 1 == 0 { check_read(input.rest()) } else { check_written(&mut input) }
});

fn check_read(payload: &[u8]) {
    let Ok(ours) = UnsignedTransaction::parse(payload) else { return };
    let (kind, list) = split(ours.kind(), payload);
    let theirs = Rlp::new(list);
    let expected = match ours.kind() {
        Kind::Unprotected => 6,
        Kind::Legacy | Kind::DynamicFee => 9,
        Kind::AccessList => 8,
        Kind::Blob => 11,
        Kind::SetCode => 10,
    };
    assert_eq!(theirs.item_count(), Ok(expected));
    assert_eq!([kind, &write(&theirs)].concat(), payload, "there is a second form");
    let nonce = usize::from(!kind.is_empty());
    assert_eq!(theirs.val_at::<u64>(nonce), Ok(ours.nonce()));
}

/// The type's byte, if there is one, and the list.
fn split(kind: Kind, payload: &[u8]) -> (&[u8], &[u8]) {
    match kind {
        Kind::Legacy | Kind::Unprotected => payload.split_at(0),
        _ => payload.split_at(1),
    }
}

/// Every item written again. What was accepted nests four deep at most.
fn write(item: &Rlp<'_>) -> Vec<u8> {
    let mut out = RlpStream::new();
    if item.is_list() {
        let items: Vec<Vec<u8>> = item.iter().map(|inner| write(&inner)).collect();
        out.begin_list(items.len());
        for item in items {
            out.append_raw(&item, 1);
        }
    } else {
        out.append(&item.data().expect("is data"));
    }
    out.out().to_vec()
}

/// What goes into a transaction; always within the limits.
struct Fields {
    chain_id: u64,
    nonce: u64,
    fee: u128,
    gas: u64,
    to: Option<Address>,
    value: U256,
    data: Vec<u8>,
    entries: Vec<(Address, Vec<[u8; 32]>)>,
}

impl Fields {
    fn draw(input: &mut Input<'_>) -> Self {
        let to = (input.byte() & 3 != 0).then(|| Address::from(input.array()));
        let length = usize::from(input.u16()) % 2_048;
        let mut data = input.take(length).to_vec();
        if to.is_none() && data.is_empty() {
            data.push(0);
        }
        let mut entry = || {
            let slots = (0..input.byte() % 4).map(|_| input.array()).collect();
            (Address::from(input.array()), slots)
        };
        let entries = vec![entry(), entry()];
        Self {
            // As EIP-155 and EIP-2681 limit them.
            chain_id: number(input).clamp(1, (u64::MAX - 36) / 2),
            nonce: number(input).min(u64::MAX - 1),
            fee: u128::from(number(input)) << 64 | u128::from(number(input)),
            gas: number(input),
            to,
            value: U256::from_be_bytes(input.array::<32>()) >> usize::from(input.byte()),
            data,
            entries,
        }
    }

    /// nonce, fees, gas, to, value, data: as many fees as the type has.
    fn append(&self, out: &mut RlpStream, fees: usize) {
        out.append(&self.nonce);
        for _ in 0..fees {
            out.append(&self.fee);
        }
        out.append(&self.gas);
        out.append(&self.to.as_ref().map_or(&[][..], |to| to.as_slice()));
        out.append(&trimmed(&self.value.to_be_bytes::<32>()));
        out.append(&self.data);
    }

    fn append_entries(&self, out: &mut RlpStream) {
        out.begin_list(self.entries.len());
        for (address, slots) in &self.entries {
            out.begin_list(2).append(&&address.0.0[..]).begin_list(slots.len());
            for slot in slots {
                out.append(&&slot[..]);
            }
        }
    }
}

/// A number of no to eight bytes.
fn number(input: &mut Input<'_>) -> u64 {
    let length = input.byte() % 9;
    input.take(length.into()).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}

fn check_written(input: &mut Input<'_>) {
    let kind = [Kind::Unprotected, Kind::Legacy, Kind::AccessList, Kind::DynamicFee]
        [usize::from(input.byte()) % 4];
    let fields = Fields::draw(input);
    let mut out = RlpStream::new();
    let before = match kind {
        Kind::AccessList => {
            out.begin_list(8).append(&fields.chain_id);
            fields.append(&mut out, 1);
            fields.append_entries(&mut out);
            vec![1]
        }
        Kind::DynamicFee => {
            out.begin_list(9).append(&fields.chain_id);
            fields.append(&mut out, 2);
            fields.append_entries(&mut out);
            vec![2]
        }
        Kind::Legacy => {
            out.begin_list(9);
            fields.append(&mut out, 1);
            out.append(&fields.chain_id).append(&0u8).append(&0u8);
            vec![]
        }
        _ => {
            out.begin_list(6);
            fields.append(&mut out, 1);
            vec![]
        }
    };
    let payload = [before, out.out().to_vec()].concat();
    let ours = UnsignedTransaction::parse(&payload).expect("is canonical and within the limits");
    assert_eq!(ours.kind(), kind);
    assert_eq!(ours.chain_id(), (kind != Kind::Unprotected).then_some(fields.chain_id));
    assert_eq!((ours.nonce(), ours.gas(), ours.to()), (fields.nonce, fields.gas, fields.to));
    assert_eq!((ours.max_fee_per_gas(), ours.value()), (fields.fee, fields.value));
    assert_eq!(ours.data(), fields.data);
    if matches!(kind, Kind::AccessList | Kind::DynamicFee) {
        let slots: usize = fields.entries.iter().map(|(_, slots)| slots.len()).sum();
        assert_eq!((ours.access_list_addresses(), ours.access_list_slots()), (2, slots));
    }
    check_read(&payload);
}
