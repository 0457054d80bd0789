//! Does RustCrypto's P-384 judge signatures as aws-lc-rs does, by which the verifier judges?
//!
//! Over documents of the mock here, over genuine ones in `genuine_form`. Only signatures differ
//! from what was issued, so that whatever the verifier refuses is refused for its signature.

use super::chain::{elements, issued};
use super::*;
use crate::nsm::certificate::element;
use crate::nsm::chain::Level;
use der::{Decode, Encode};
use p384::ecdsa::signature::Verifier;
use p384::ecdsa::{DerSignature, Signature, VerifyingKey};
use x509_cert::Certificate;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;

/// Every signature of one document, and bent ones in its place: both implementations say the same.
/// Gives how many were judged.
pub(in crate::nsm) fn agree_over(document: &[u8], anchor: &TrustAnchor) -> usize {
    let parsed = UnverifiedDocument::parse(document).expect("reads");
    let contents = parsed.unverified();
    let list: Vec<_> =
        contents.cabundle().iter().map(Vec::as_slice).chain([contents.certificate()]).collect();
    for (issuer, certificate) in list.iter().take(1).chain(&list).zip(&list) {
        assert!(takes_certificate(issuer, certificate));
    }
    let (signed, signature) = document.split_at(document.len() - 96);
    let bent = bent(signature.try_into().expect("has 96 bytes"));
    for signature in &bent {
        let ours = verifier_takes(&[signed, signature].concat(), anchor);
        assert_eq!(takes_document(signed, signature, contents.certificate()), ours);
    }
    list.len() + bent.len()
}

/// Whether the verifier takes a document whose signature alone may be wrong.
pub(in crate::nsm) fn verifier_takes(document: &[u8], anchor: &TrustAnchor) -> bool {
    let judged = UnverifiedDocument::parse(document).and_then(|document| {
        let at_ms = document.unverified_timestamp_ms();
        document.authenticate(anchor, at_ms)
    });
    let refused = finding(judged);
    assert!(matches!(refused, None | Some(Finding::E8 | Finding::S1)), "{refused:?}");
    refused.is_none()
}

/// Whether RustCrypto takes r || s under the leaf's key, over the Sig_structure (RFC 9052,
/// section 4.4) of the document that begins with these bytes and lacks its signature.
pub(in crate::nsm) fn takes_document(document: &[u8], signature: &[u8], leaf: &[u8]) -> bool {
    // 84 | 44 a1013822 | a0 | the payload with its head | 58 60.
    let (protected, payload) = (&document[1..6], &document[7..document.len() - 2]);
    let message = [b"\x84\x6aSignature1", protected, &[0x40], payload].concat();
    Signature::from_slice(signature)
        .is_ok_and(|signature| key_of(leaf).verify(&message, &signature).is_ok())
}

fn takes_certificate(issuer: &[u8], certificate: &[u8]) -> bool {
    let certificate = Certificate::from_der(certificate).expect("is a certificate");
    let signed = certificate.tbs_certificate().to_der().expect("encodes");
    DerSignature::from_bytes(certificate.signature().raw_bytes())
        .is_ok_and(|signature| key_of(issuer).verify(&signed, &signature).is_ok())
}

fn key_of(certificate: &[u8]) -> VerifyingKey {
    let certificate = Certificate::from_der(certificate).expect("is a certificate");
    let info = certificate.tbs_certificate().subject_public_key_info();
    VerifyingKey::from_sec1_bytes(info.subject_public_key.raw_bytes()).expect("is a point")
}

/// The signature itself and its second form, halves exchanged, bits flipped, and the numbers
/// around the boundaries in either half.
fn bent(signature: [u8; 96]) -> Vec<[u8; 96]> {
    let (r, s) = halves(&signature);
    let join = |r: [u8; 48], s: [u8; 48]| -> [u8; 96] {
        [r, s].concat().try_into().expect("has 96 bytes")
    };
    let mut all = vec![signature, join(r, scalar::negate(&s)), join(scalar::negate(&r), s)];
    all.push(join(s, r));
    for index in (0..96).step_by(8) {
        let mut flipped = signature;
        flipped[index] ^= 1 << (index / 8 % 8);
        all.push(flipped);
    }
    let edges = edges();
    all.extend(edges.iter().flat_map(|edge| [join(*edge, s), join(r, *edge)]));
    all.extend(edges.iter().flat_map(|r| edges.iter().map(|s| join(*r, *s))));
    all
}

fn halves(signature: &[u8; 96]) -> ([u8; 48], [u8; 48]) {
    let half = |range: std::ops::Range<usize>| signature[range].try_into().expect("has 48 bytes");
    (half(0..48), half(48..96))
}

/// 0, 1, n - 1, n, n + 1 and the greatest number of 48 bytes.
fn edges() -> [[u8; 48]; 6] {
    let one = scalar::small(1);
    let order = scalar::ORDER;
    [[0; 48], one, scalar::negate(&one), order, scalar::plus_one(&order), [0xff; 48]]
}

#[test]
fn both_judge_a_documents_signature_alike() {
    let enclave = ordinary();
    for _ in 0..4 {
        let document = enclave.draft().sign();
        assert_eq!(agree_over(&document, &enclave.root.anchor()), 5 + 16 + 12 + 36);
    }
}

/// A certificate's signature is in DER, where one number has many spellings and one is right.
#[test]
fn both_judge_a_certificates_signature_alike() {
    let enclave = ordinary();
    let draft = enclave.draft();
    let leaf = draft.chain.leaf().to_vec();
    let instance = draft.chain.issued[Level::Instance as usize].clone();
    let check = |signature: Vec<u8>, expected: bool| {
        let mut parts = elements(&leaf);
        parts[2] = element(BIT_STRING, &[&[0], &signature]);
        let bent = element(SEQUENCE, &[&parts.concat()]);
        assert_eq!(takes_certificate(&instance, &bent), expected, "{}", hex::encode(&signature));
        let mut draft = draft.clone();
        issued(Level::Leaf, |der| *der = bent)(&mut draft);
        let judged = finding(enclave.verify(&draft.sign()));
        assert_eq!(judged, (!expected).then_some(Finding::C8), "{}", hex::encode(&signature));
    };
    let certificate = Certificate::from_der(&leaf).expect("is a certificate");
    let signature = certificate.signature().raw_bytes();
    let both = elements(signature);
    let [r, s] = [0, 1].map(|index: usize| padded(&both[index][2..]));
    let of =
        |r: &[u8], s: &[u8]| element(SEQUENCE, &[&element(INTEGER, &[r]), &element(INTEGER, &[s])]);
    let (r_der, s_der) = (positive(&r), positive(&s));

    check(signature.to_vec(), true);
    check(of(&r_der, &s_der), true);
    check(of(&r_der, &positive(&scalar::negate(&s))), true);
    check(of(&s_der, &r_der), false);
    for edge in edges() {
        check(of(&positive(&edge), &s_der), false);
        check(of(&r_der, &positive(&edge)), false);
    }
    // A zero more than is needed, a negative number, no number; bytes behind; a longer length.
    check(of(&[&[0], r_der.as_slice()].concat(), &s_der), false);
    check(of(&r_der, &[&[0], s_der.as_slice()].concat()), false);
    check(of(&[&[0xff], r_der.as_slice()].concat(), &s_der), false);
    check(of(&[], &s_der), false);
    check([signature, &[0]].concat(), false);
    check(element(SEQUENCE, &[&both[0], &both[1], &[5, 0]]), false);
    check(element(SEQUENCE, &[&both[0]]), false);
    check(element(0x31, &[&both[0], &both[1]]), false);
    check([&[SEQUENCE, 0x81], &signature[1..]].concat(), false);
    check([r, s].concat(), false);
    check(Vec::new(), false);
}

/// A number as DER writes it: no zero before it but where its first bit is set.
fn positive(scalar: &[u8; 48]) -> Vec<u8> {
    let digits = &scalar[scalar.iter().take(47).take_while(|byte| **byte == 0).count()..];
    if digits[0] >= 0x80 { [&[0], digits].concat() } else { digits.to_vec() }
}

fn padded(digits: &[u8]) -> [u8; 48] {
    let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
    let mut scalar = [0; 48];
    scalar[48 - digits.len()..].copy_from_slice(digits);
    scalar
}
