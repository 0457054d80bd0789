//! Have the mock's documents the form of genuine ones?
//!
//! The genuine documents are other projects' data and not part of this repository:
//! `NITRO_ATTESTATION_DOCS` names their folder. Without it the test fails; it is never skipped.
#![allow(clippy::panic)]

use super::{DevelopmentRoot, MapForm, MockNsm, Options};
use der::{Decode, Encode};
use nitro_signer_shared::attestation::UnverifiedDocument;
use std::path::{Path, PathBuf};
use x509_cert::Certificate;

fn genuine(file: &str) -> Vec<u8> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/attestation-docs");
    let folder = std::env::var_os("NITRO_ATTESTATION_DOCS").map_or(beside, PathBuf::from);
    let path = folder.join("real").join(file);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; NITRO_ATTESTATION_DOCS must name the folder", path.display())
    })
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
