//! Does `nitro_attest`, a verifier nobody here wrote, judge documents as ours does?
//!
//! It takes a time and no root: Amazon's is compiled in by its hash. So it reads a document of the
//! mock whole (COSE_Sign1, payload, the structure of all five certificates) and stops at the root,
//! which its answer names; how it judges what comes after is seen on genuine documents, in
//! `genuine_form`.
//!
//! It checks: the envelope's types and no bytes after it, the payload's types, no key twice,
//! certificates' syntax and their algorithm, the root's hash, each signature, each validity, and the
//! document's signature.
//!
//! It does not check: a size, the headers, lengths' shortest form, unknown keys, that a byte string
//! is no text, the form of the module id, registers' indexes and lengths, how many certificates
//! there are and how long, issuers' names, constraints and usages, critical extensions, certificates
//! that occur twice, the timestamp against a clock or its leaf, and whatever an asker expects (A1 to
//! A8). A tag it refuses, also the genuine one.

use super::*;
use ::time::OffsetDateTime;
use aws_lc_rs::digest::{SHA256, digest};
use nitro_attest::{AttestationDoc, Error, UnparsedAttestationDoc};

/// How it judges the bytes at this time, in milliseconds of Unix time.
pub(in crate::nsm) fn judge(document: &[u8], at_ms: u64) -> Result<AttestationDoc, Error> {
    let seconds = i64::try_from(at_ms / 1000).expect("is a time of our days");
    let now = OffsetDateTime::from_unix_timestamp(seconds).expect("is a time of our days");
    UnparsedAttestationDoc::from(document).parse_and_verify(now)
}

/// It read what ours read. Registers of zeros it leaves out, of the timestamp it keeps seconds.
pub(in crate::nsm) fn assert_same(
    theirs: &AttestationDoc,
    ours: &nitro_signer_shared::attestation::Contents,
) {
    assert_eq!(theirs.module_id, ours.module_id());
    let seconds = i64::try_from(ours.timestamp_ms() / 1000).expect("is a time of our days");
    assert_eq!(theirs.timestamp.unix_timestamp(), seconds);
    let field = |field: &Option<nitro_attest::ByteBuf>| field.as_ref().map(|f| f.to_vec());
    assert_eq!(field(&theirs.public_key).as_deref(), ours.public_key());
    assert_eq!(field(&theirs.user_data).as_deref(), ours.user_data());
    assert_eq!(field(&theirs.nonce).as_deref(), ours.nonce());
    let theirs: BTreeMap<_, _> =
        theirs.pcrs.iter().map(|(index, digest)| (*index, digest.value.clone())).collect();
    let ours = ours.pcrs().iter().filter(|(_, value)| **value != pcr::ZERO);
    let ours: BTreeMap<_, _> =
        ours.map(|(index, value)| (u16::from(*index), value.to_vec())).collect();
    assert_eq!(theirs, ours);
}

/// Whether it read the document whole and missed Amazon's root only.
fn stops_at_the_root(document: &[u8], root: &[u8]) -> bool {
    match judge(document, NOW_MS) {
        Err(Error::CertificateRootInvalid { have, .. }) => {
            have == hex::encode(digest(&SHA256, root))
        }
        _ => false,
    }
}

#[test]
fn it_reads_the_mocks_documents_as_far_as_the_root() {
    let rule = rule(Finding::C1);
    let root = rule.enclave.root.der();
    let fields: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"field"), Some(&[7; 1024])];
    for field in fields {
        // Both map forms, in turn.
        for _ in 0..2 {
            let document = rule.enclave.nsm.document(field, field, field);
            assert!(stops_at_the_root(&document, root));
        }
    }
    let document = rule.document(|_| ());
    assert!(stops_at_the_root(&document, root));
    let refused = |change: &dyn Fn(&mut DocumentDraft)| {
        let document = rule.document(change);
        assert!(rule.enclave.verify(&document).is_err());
        assert!(!stops_at_the_root(&document, root));
    };
    for length in [0, 1, 100, document.len() - 1] {
        assert!(!stops_at_the_root(&document[..length], root));
    }
    refused(&|draft| draft.envelope.trailing = vec![0]);
    refused(&|draft| draft.envelope.tags = vec![98]);
    refused(&|draft| draft.envelope.extra = vec![cbor::null()]);
    for key in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        refused(&|draft| draft.payload.remove(key));
        refused(&|draft| draft.payload.set(key, cbor::null()));
    }
    refused(&|draft| draft.payload.set("certificate", cbor::bytes(&[0x30, 0])));
    refused(&|draft| draft.payload.set("nonce", cbor::unsigned(1)));
    refused(&|draft| draft.payload.set("digest", cbor::text("MD5")));
}

/// So what it does not check is no more than is said above.
#[test]
fn it_reads_on_where_ours_refuses() {
    let rule = rule(Finding::C1);
    let root = rule.enclave.root.der();
    let check = |change: &dyn Fn(&mut DocumentDraft), ours: Finding| {
        let document = rule.document(change);
        rule.check(&document, Some(ours));
        assert!(stops_at_the_root(&document, root), "{ours}");
    };
    let one = |index: u64, length: usize| {
        [cbor::head(5, 1), cbor::unsigned(index), cbor::bytes(&vec![1; length])].concat()
    };
    check(&|d| d.envelope.protected = vec![0xa1, 0x01, 0x26], Finding::E5);
    check(&|d| d.envelope.unprotected = vec![0xa1, 0x04, 0x41, 0x01], Finding::E6);
    check(&|d| d.payload.set("nonce", vec![0x58, 1, 7]), Finding::P1);
    check(&|d| d.payload.set("other", cbor::null()), Finding::P4);
    check(&|d| d.payload.set("nonce", cbor::text("text")), Finding::P10);
    check(&|d| d.payload.set("nonce", cbor::bytes(&[0; 1025])), Finding::P10);
    check(&|d| d.payload.set("module_id", cbor::text("x")), Finding::P5);
    check(&|d| d.payload.set("timestamp", cbor::unsigned(0)), Finding::P7);
    check(&|d| d.payload.set("pcrs", one(32, 48)), Finding::P8);
    check(&|d| d.payload.set("pcrs", one(0, 47)), Finding::P8);
    check(&|d| d.payload.set("nitrotpm_pcrs", cbor::head(5, 0)), Finding::P11);
    // No key twice, and no tag: there it is as strict, or stricter.
    let twice = rule.document(|d| d.payload.entries.push(("nonce".to_owned(), cbor::null())));
    rule.check(&twice, Some(Finding::P2));
    assert!(!stops_at_the_root(&twice, root));
    let tagged = rule.document(|d| d.envelope.tags = vec![18]);
    rule.check(&tagged, None);
    assert!(!stops_at_the_root(&tagged, root));
}
