//! The payload of an attestation document, in an envelope that is always good. What is accepted
//! - says to a general CBOR reader what it says to us, in its shortest form, nothing besides;
//! - means the same in the other of the two genuine forms of its map;
//! - is neither shorter nor longer than it should be.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::{contents, document};
use nitro_signer_shared::attestation::{MAX_PAYLOAD, UnverifiedDocument};

fn parse(payload: &[u8]) -> Option<UnverifiedDocument> {
    // r and s of this are in range, and nobody verifies them.
    UnverifiedDocument::parse(&document::envelope(payload, &[1; 96])).ok()
}

/// The other form: with a count of nine or fewer entries, or until a break.
fn other_form(payload: &[u8]) -> Vec<u8> {
    let (first, entries) = payload.split_first().expect("is not empty");
    if *first == 0xbf {
        let fields: serde_cbor::Value = serde_cbor::from_slice(payload).expect("was read");
        let serde_cbor::Value::Map(fields) = fields else { panic!("was a map") };
        let (_, entries) = entries.split_last().expect("has a break");
        [&document::head(5, fields.len() as u64), entries].concat()
    } else {
        [&[0xbf], entries, &[0xff]].concat()
    }
}

fuzz_target!(|payload: &[u8]| {
    let Some(document) = parse(payload) else { return };
    contents::agree(payload, document.unverified());
    let other = other_form(payload);
    if other.len() <= MAX_PAYLOAD {
        let other = parse(&other).expect("the other form is genuine too");
        assert_eq!(other.unverified(), document.unverified());
    }
    assert!(parse(&payload[..payload.len() - 1]).is_none());
    assert!(parse(&[payload, &[0xf6]].concat()).is_none());
});
