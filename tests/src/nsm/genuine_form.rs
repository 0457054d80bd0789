//! Have the mock's documents the form of genuine ones, and do second implementations judge genuine
//! ones as ours does?
//!
//! The genuine documents are other projects' data and not part of this repository:
//! `NITRO_ATTESTATION_DOCS` names their folder. Without it the test fails; it is never skipped.
#![allow(clippy::panic)]

use super::verification::{second_p384, second_verifier};
use super::{DevelopmentRoot, MapForm, MockNsm, Options};
use der::{Decode, Encode};
use nitro_signer_shared::attestation::{Finding, TrustAnchor, UnverifiedDocument};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use x509_cert::Certificate;

/// The one of the folder whose signature is not its own.
const TAMPERED: &str = "33-tampered-signature.bin";

fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/attestation-docs");
    std::env::var_os("NITRO_ATTESTATION_DOCS").map_or(beside, PathBuf::from)
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| {
        panic!("{}: {error}; NITRO_ATTESTATION_DOCS must name the folder", path.display())
    })
}

fn genuine(file: &str) -> Vec<u8> {
    read(&folder().join("real").join(file))
}

/// Every file of a folder inside, by name.
fn files(inside: &str) -> BTreeMap<String, Vec<u8>> {
    let listed = std::fs::read_dir(folder().join(inside)).unwrap_or_else(|error| {
        panic!("{inside}: {error}; NITRO_ATTESTATION_DOCS must name the folder above it")
    });
    let paths = listed.map(|entry| entry.expect("can be listed").path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "bin"))
        .map(|path| (path.file_name().expect("has one").to_string_lossy().into(), read(&path)))
        .collect()
}

/// Ours over the same fields and in the same map form.
fn counterpart(genuine: &[u8], form: MapForm) -> Vec<u8> {
    let document = UnverifiedDocument::parse(genuine).expect("is genuine");
    let fields = document.unverified();
    let nsm = MockNsm::new(&DevelopmentRoot::generate(), [[1; 48]; 3], Options::default());
    let mut draft = nsm.draft(fields.user_data(), fields.nonce(), fields.public_key());
    draft.payload.form = form;
    draft.sign()
}

#[test]
fn envelope_and_payload_are_written_alike() {
    let check = |file: &str, form| {
        let genuine = genuine(file);
        assert_eq!(outline(&counterpart(&genuine, form)), outline(&genuine), "{file}");
    };
    check("26.bin", MapForm::Definite);
    check("31.bin", MapForm::Indefinite);
}

/// Names' parts and string types, extensions with order and criticality, algorithms, lives.
#[test]
fn certificates_are_written_alike() {
    let genuine = genuine("31.bin");
    let ours = counterpart(&genuine, MapForm::Indefinite);
    assert_eq!(certificates(&ours), certificates(&genuine));
}

#[test]
fn rustcrypto_judges_the_signatures_of_genuine_documents_alike() {
    let documents = files("real");
    assert!(documents.len() >= 12, "the folder holds at least a dozen documents");
    for (file, document) in documents {
        println!("{file}");
        if file == TAMPERED {
            let (signed, signature) = document.split_at(document.len() - 96);
            let parsed = UnverifiedDocument::parse(&document).expect("reads");
            let leaf = parsed.unverified().certificate();
            assert!(!second_p384::takes_document(signed, signature, leaf));
            assert!(!second_p384::verifier_takes(&document, &TrustAnchor::aws()));
        } else {
            second_p384::agree_over(&document, &TrustAnchor::aws());
        }
    }
}

/// Another verifier reads what ours reads, at the times at which ours does.
#[test]
fn nitro_attest_judges_genuine_documents_alike() {
    let (second, hours_4) = (1000, 4 * 3_600_000);
    for (file, document) in files("real") {
        println!("{file}");
        let ours = |at_ms| {
            let parsed = UnverifiedDocument::parse(&document).expect("reads");
            parsed.authenticate(&TrustAnchor::aws(), at_ms)
        };
        let made_ms =
            UnverifiedDocument::parse(&document).expect("reads").unverified_timestamp_ms();
        for at_ms in [made_ms - hours_4, made_ms, made_ms + second, made_ms + hours_4] {
            match (ours(at_ms), second_verifier::judge(&document, at_ms)) {
                (Ok(ours), Ok(theirs)) => second_verifier::assert_same(&theirs, &ours),
                (Err(_), Err(_)) => assert!(at_ms.abs_diff(made_ms) == hours_4 || file == TAMPERED),
                (ours, theirs) => panic!("ours: {:?}, theirs: {theirs:?}", ours.err()),
            }
        }
    }
}

/// Where it judges a re-encoded or bent document otherwise, ours is the stricter, but for the tag.
#[test]
fn nitro_attest_takes_of_the_variants_what_it_does_not_look_at() {
    let mut differ = BTreeMap::new();
    for (file, document) in files("variants") {
        let at_ms = written_time(&document);
        let ours = UnverifiedDocument::parse(&document)
            .and_then(|document| document.authenticate(&TrustAnchor::aws(), at_ms));
        let theirs = second_verifier::judge(&document, at_ms);
        if theirs.is_ok() != ours.is_ok() {
            differ.insert(file, ours.err().map(|rejection| rejection.finding()));
        }
    }
    let expected = [
        ("tag18.bin", None),
        ("unprotected_nonempty.bin", Some(Finding::E6)),
        ("unprotected_alg_override.bin", Some(Finding::E6)),
        ("outer_array_indef.bin", Some(Finding::E4)),
        ("payload_len_nonminimal.bin", Some(Finding::E7)),
    ];
    assert_eq!(differ, expected.map(|(file, finding)| (file.to_owned(), finding)).into());
}

/// The eight bytes after the key `timestamp`, also where the document is none to our reader.
fn written_time(document: &[u8]) -> u64 {
    let key = b"timestamp\x1b";
    let found = document.windows(key.len() + 8).find_map(|bytes| bytes.strip_prefix(key));
    found.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("has eight bytes")))
}

/// How a document is written: heads, texts, and the lengths that do not depend on a certificate.
fn outline(document: &[u8]) -> Vec<String> {
    let mut items = Vec::new();
    let payload = read_items(document, &mut items);
    read_items(payload, &mut items);
    items
}

/// Reads all items one after another; gives the longest byte string. Strings of certificate size
/// are listed without their length, since names and signatures differ in length.
fn read_items<'a>(mut rest: &'a [u8], items: &mut Vec<String>) -> &'a [u8] {
    let mut longest: &[u8] = &[];
    while let Some((&initial, after)) = rest.split_first() {
        let (major, additional) = (initial >> 5, initial & 0x1f);
        let width = if (24..28).contains(&additional) { 1 << (additional - 24) } else { 0 };
        let (digits, after) = after.split_at(width);
        let argument = if width == 0 {
            usize::from(additional)
        } else {
            digits.iter().fold(0, |value, digit| value << 8 | usize::from(*digit))
        };
        let length = if matches!(major, 2 | 3) { argument } else { 0 };
        let (content, after) = after.split_at(length);
        rest = after;
        items.push(match (major, length) {
            (2, 500..) => format!("{initial:02x} long"),
            (2, _) => format!("{initial:02x} {length}"),
            (3, 39) => format!("{initial:02x} module id"),
            (3, _) => String::from_utf8_lossy(content).into_owned(),
            (0, _) if width == 8 => format!("{initial:02x} time"),
            _ => format!("{initial:02x} {argument}"),
        });
        if content.len() > longest.len() {
            longest = content;
        }
    }
    longest
}

/// What a chain's certificates are like, apart from names' text, numbers, times and keys.
fn certificates(document: &[u8]) -> Vec<Vec<String>> {
    let document = UnverifiedDocument::parse(document).expect("reads");
    let contents = document.unverified();
    let list = contents.cabundle().iter().map(Vec::as_slice).chain([contents.certificate()]);
    list.map(|der| certificate_form(&Certificate::from_der(der).expect("is a certificate")))
        .collect()
}

fn certificate_form(certificate: &Certificate) -> Vec<String> {
    let tbs = certificate.tbs_certificate();
    let names = [tbs.issuer(), tbs.subject()].map(|name| {
        let parts = name.iter().map(|part| format!("{} {:?}", part.oid, part.value.header().tag()));
        parts.collect::<Vec<_>>().join(", ")
    });
    let [not_before, not_after] = [tbs.validity().not_before, tbs.validity().not_after];
    let life = not_after.to_unix_duration() - not_before.to_unix_duration();
    let algorithms = [certificate.signature_algorithm(), tbs.signature()]
        .map(|algorithm| hex::encode(algorithm.to_der().expect("encodes")));
    let key = tbs.subject_public_key_info();
    let mut form = vec![
        format!("{:?}", tbs.version()),
        names.join(" / "),
        algorithms.join(" "),
        hex::encode(key.algorithm.to_der().expect("encodes")),
        format!("{} bytes of key", key.subject_public_key.raw_bytes().len()),
        format!("{} s", life.as_secs()),
    ];
    form.extend(tbs.extensions().into_iter().flatten().map(|extension| {
        let value = extension.extn_value.as_bytes();
        let decides = value.len() < 16;
        let value = if decides { hex::encode(value) } else { hex::encode(&value[..1]) };
        format!("{} {} {value}", extension.extn_id, extension.critical)
    }));
    form
}
