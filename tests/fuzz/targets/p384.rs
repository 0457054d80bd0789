//! ECDSA on P-384 by two implementations: aws-lc, by which documents and certificates are verified
//! here, and RustCrypto's `p384`. For every signature, bent or not, in either encoding, under any
//! point, both accept or both refuse. An unbent one is accepted.
//!
//! The input: the key (1 byte), what is bent and how (1 byte), four changes (2 bytes each), and the
//! message, or the signature itself (96 bytes) and then the message.
#![no_main]

use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, UnparsedPublicKey,
};
use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::input::Input;
use p384::ecdsa::signature::{Signer, Verifier};
use p384::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};

/// The signature is r || s from the input.
const FOREIGN: u8 = 1;
/// s is n - s, which is as good.
const NEGATED: u8 = 2;
/// In DER, as certificates have it; else r || s, as documents have it.
const DER: u8 = 4;
/// The point is bent, not the signature.
const POINT: u8 = 8;
/// The message is another than was signed.
const MESSAGE: u8 = 16;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (key, how) = (input.byte().clamp(1, 0xfe), input.byte());
    let changes: [[u8; 2]; 4] = std::array::from_fn(|_| input.array());
    let foreign: Option<[u8; 96]> = (how & FOREIGN != 0).then(|| input.array());
    let message = input.rest();

    let key = SigningKey::from_slice(&[key; 48]).expect("is below the order");
    let mut point = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
    let mut signed: Signature = key.sign(message);
    if how & NEGATED != 0 {
        let (r, s) = signed.split_scalars();
        signed = Signature::from_scalars(r, -s).expect("is no less in range");
    }
    let mut signature = match foreign {
        Some(foreign) => foreign.to_vec(),
        None if how & DER != 0 => signed.to_der().as_bytes().to_vec(),
        None => signed.to_bytes().to_vec(),
    };
    // The first byte of a point says that it is whole; no other form comes this far.
    let bent = if how & POINT != 0 { &mut point[1..] } else { &mut signature[..] };
    let mut changed = false;
    for [at, mask] in changes {
        let at = usize::from(at) % bent.len();
        bent[at] ^= mask;
        changed |= mask != 0;
    }
    let other = [message, b"."].concat();
    let message = if how & MESSAGE != 0 { &other } else { message };

    let (ours, theirs) = if how & DER != 0 {
        (
            aws_lc(&ECDSA_P384_SHA384_ASN1, &point, message, &signature),
            der(&point, message, &signature),
        )
    } else {
        let theirs = fixed(&point, message, &signature);
        (aws_lc(&ECDSA_P384_SHA384_FIXED, &point, message, &signature), theirs)
    };
    assert_eq!(ours, theirs, "aws-lc and p384 disagree");
    if foreign.is_none() && !changed {
        assert_eq!(ours, how & MESSAGE == 0);
    }
});

fn aws_lc(
    algorithm: &'static EcdsaVerificationAlgorithm,
    point: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(algorithm, point).verify(message, signature).is_ok()
}

fn fixed(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_sec1_bytes(point) else { return false };
    Signature::from_slice(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

fn der(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_sec1_bytes(point) else { return false };
    DerSignature::from_bytes(signature)
        .is_ok_and(|signature| key.verify(message, &signature).is_ok())
}
