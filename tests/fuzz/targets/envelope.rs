//! The envelope of an attestation document. What is accepted
//! - has one form: a general CBOR reader's shortest encoding gives the same bytes, after one tag or
//!   none, and the payload says to it what it says to us;
//! - is neither shorter nor longer than it should be, and has no second tag;
//! - does not lead to Amazon's root unless Amazon signed it: then no byte of it can be changed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::contents;
use nitro_signer_shared::attestation::{TrustAnchor, UnverifiedDocument};
use serde_cbor::Value;
use std::sync::LazyLock;

static AMAZON: LazyLock<TrustAnchor> = LazyLock::new(TrustAnchor::aws);

fuzz_target!(|data: &[u8]| {
    let Ok(document) = UnverifiedDocument::parse(data) else { return };
    let untagged = data.strip_prefix(&[0xd2]).unwrap_or(data);
    let value: Value = serde_cbor::from_slice(untagged).expect("a general reader reads it");
    assert_eq!(serde_cbor::to_vec(&value).expect("can be written"), untagged);
    let Value::Array(elements) = value else { panic!("a general reader finds no array") };
    let [_, _, Value::Bytes(payload), Value::Bytes(signature)] = &elements[..] else {
        panic!("a general reader finds other elements");
    };
    contents::agree(payload, document.unverified());

    let refused = |bytes: &[u8]| assert!(UnverifiedDocument::parse(bytes).is_err());
    refused(&data[..data.len() - 1]);
    refused(&[data, &[0]].concat());
    refused(&[&[0xd2, 0xd2], untagged].concat());
    assert!(UnverifiedDocument::parse(&[&[0xd2], untagged].concat()).is_ok());

    let at_ms = document.unverified_timestamp_ms();
    if document.authenticate(&AMAZON, at_ms).is_ok() {
        let authentic = |bytes: &[u8]| {
            UnverifiedDocument::parse(bytes).is_ok_and(|d| d.authenticate(&AMAZON, at_ms).is_ok())
        };
        // One byte each time, so that every byte of a seed comes to its turn.
        let at = usize::from(signature[0]) * 128 + usize::from(signature[1]) % 128;
        let mut changed = untagged.to_vec();
        let at = at % changed.len();
        changed[at] ^= 1;
        assert!(!authentic(&changed), "byte {at} can be changed");
    }
});
