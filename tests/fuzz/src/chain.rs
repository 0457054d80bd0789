//! Signs certificates that the fuzzer has bent, so that it gets past signatures.
//!
//! One fixed key stands in every certificate and signs every certificate and the document. An input
//! is therefore the same chain each time it is run, and mutations of it reach the rules behind the
//! signatures.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, KeyPair,
};
use std::sync::LazyLock;

/// Before a point in a SubjectPublicKeyInfo on P-384 (RFC 5480): the algorithm, and the bit
/// string's head.
#[rustfmt::skip]
const BEFORE_POINT: [u8; 23] = [
    0x30, 0x76, 0x30, 0x10,
        0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, // id-ecPublicKey
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, // secp384r1
    0x03, 0x62, 0x00,
];
const POINT: usize = 97;
/// ecdsa-with-SHA384 (RFC 5758), as an AlgorithmIdentifier.
const ECDSA_WITH_SHA384: [u8; 12] =
    [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];

static CERTIFICATES: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| pair(&ECDSA_P384_SHA384_ASN1_SIGNING));
static DOCUMENTS: LazyLock<EcdsaKeyPair> = LazyLock::new(|| pair(&ECDSA_P384_SHA384_FIXED_SIGNING));

fn pair(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let secret = p384::SecretKey::from_slice(&[0x42; 48]).expect("is below the order");
    let point = secret.public_key().to_sec1_bytes();
    EcdsaKeyPair::from_private_key_and_public_key(algorithm, &[0x42; 48], &point)
        .expect("they belong together")
}

fn sign(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    pair.sign(&SystemRandom::new(), message).expect("signs").as_ref().to_vec()
}

/// A document's signature by the fixed key.
#[must_use]
pub fn sign_document(message: &[u8]) -> [u8; 96] {
    sign(&DOCUMENTS, message).try_into().expect("r and s have 48 bytes each")
}

/// The certificate's first element, with the fixed key in the place of its own, signed by the fixed
/// key. Bytes of which no first element can be told are returned as they are.
#[must_use]
pub fn resign(certificate: &[u8]) -> Vec<u8> {
    let Some(mut signed) = first_element(certificate).map(<[u8]>::to_vec) else {
        return certificate.to_vec();
    };
    let found = signed.windows(BEFORE_POINT.len()).position(|window| window == BEFORE_POINT);
    let from = found.map(|at| at + BEFORE_POINT.len());
    if let Some(point) = from.and_then(|from| signed.get_mut(from..from + POINT)) {
        point.copy_from_slice(CERTIFICATES.public_key().as_ref());
    }
    let signature = [&[0], sign(&CERTIFICATES, &signed).as_slice()].concat();
    let signature = element(0x03, &signature);
    element(0x30, &[&signed[..], &ECDSA_WITH_SHA384, &signature].concat())
}

/// What a certificate's signature is over, as far as the heads of two elements tell.
fn first_element(certificate: &[u8]) -> Option<&[u8]> {
    let (outer_head, _) = measure(certificate)?;
    let inner = &certificate[outer_head..];
    let (inner_head, length) = measure(inner)?;
    inner.get(..inner_head + length)
}

/// The bytes of an element's head, and of its content as the head says.
fn measure(element: &[u8]) -> Option<(usize, usize)> {
    match *element {
        [_, length @ ..=0x7f, ..] => Some((2, length.into())),
        [_, 0x81, length, ..] => Some((3, length.into())),
        [_, 0x82, high, low, ..] => Some((4, u16::from_be_bytes([high, low]).into())),
        _ => None,
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("an input is shorter").to_be_bytes();
    let head = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), content].concat()
}
