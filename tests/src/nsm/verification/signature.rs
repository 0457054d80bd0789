//! S1: the leaf's key signed the bytes received. S2 is a matter of types, shown where they are.

use super::chain::off_curve;
use super::*;
use crate::nsm::certificate::public_key_info;
use crate::nsm::chain::Level;
use crate::nsm::key::SigningKey;

#[test]
fn s1_the_leafs_key_signed_the_bytes_received() {
    let rule = rule(Finding::S1);
    let document = rule.document(|_| ());
    let (start, signature) = (10, document.len() - 96);
    assert_eq!(document[start], if document[start] == 0xa9 { 0xa9 } else { 0xbf });

    // A document by another key than the leaf's: a stranger's, its issuer's, no point at all.
    rule.refuses(|d| d.chain.draft_mut(Level::Leaf).key = SigningKey::generate());
    rule.refuses(|d| {
        let above = d.chain.draft_mut(Level::Instance).key.clone();
        d.chain.draft_mut(Level::Leaf).key = above;
    });
    rule.refuses(|d| {
        let leaf = d.chain.draft_mut(Level::Leaf);
        leaf.public_key_info = public_key_info(&off_curve(&leaf.key));
        d.reissue();
    });

    // One bit of either number, or both numbers exchanged.
    let with = |change: &dyn Fn(&mut [u8])| {
        let mut bent = document.clone();
        change(&mut bent[signature..]);
        bent
    };
    for index in [0, 1, 47, 48, 49, 95] {
        rule.refuses_bytes(&with(&|bytes| bytes[index] ^= 1));
    }
    rule.refuses_bytes(&with(&|bytes| bytes.rotate_left(48)));
    // (r, n - s) is the same signature's second form; genuine documents have either.
    rule.check(
        &with(&|bytes| {
            let s = bytes[48..].try_into().expect("has 48 bytes");
            bytes[48..].copy_from_slice(&scalar::negate(&s));
        }),
        None,
    );

    // A signature of another document of the same enclave.
    let other = rule.enclave.nsm.document(None, Some(b"another nonce"), None);
    rule.refuses_bytes(&with(&|bytes| bytes.copy_from_slice(&other[other.len() - 96..])));

    // The same fields in another encoding than what was signed.
    let [definite, indefinite] = [MapForm::Definite, MapForm::Indefinite].map(|form| {
        let mut draft = rule.enclave.draft();
        draft.payload.form = form;
        cbor::bytes(&draft.payload.encode())
    });
    let (head, tail) = (&document[..7], &document[signature - 2..]);
    let around = |payload: &[u8]| [head, payload, tail].concat();
    let (same, re_encoded) = if document[start] == 0xa9 {
        (around(&definite), around(&indefinite))
    } else {
        (around(&indefinite), around(&definite))
    };
    rule.check(&same, None);
    rule.refuses_bytes(&re_encoded);

    // The signature over other bytes than the standard's Sig_structure (RFC 9052, section 4.4).
    let mut draft = rule.enclave.draft();
    draft.payload.form = MapForm::Definite;
    let payload = draft.payload.encode();
    let signed_as = |context: &str, additional: &[u8], payload_signed: &[u8]| {
        let protected = cbor::bytes(&[0xa1, 0x01, 0x38, 0x22]);
        let structure = cbor::array(&[
            cbor::text(context),
            protected.clone(),
            cbor::bytes(additional),
            cbor::bytes(payload_signed),
        ]);
        let signature = draft.chain.leaf_key().sign_document(&structure);
        cbor::array(&[protected, vec![0xa0], cbor::bytes(&payload), cbor::bytes(&signature)])
    };
    rule.check(&signed_as("Signature1", &[], &payload), None);
    rule.refuses_bytes(&signed_as("Signature", &[], &payload));
    rule.refuses_bytes(&signed_as("Signature1", b"more", &payload));
    rule.refuses_bytes(&signed_as("Signature1", &[], &payload[1..]));
}
