//! Do genuine documents verify, and re-encoded or tampered ones do what they must?
//!
//! The documents are other projects' data and not part of this repository: `NITRO_ATTESTATION_DOCS`
//! names their folder (default: `../shared/attestation-docs` beside the repository). Without the
//! folder these tests fail; they are never skipped.
#![allow(clippy::expect_used, clippy::panic)]

use nitro_signer_shared::attestation::{
    AuthenticDocument, Expectations, Finding, MeasurementSet, Pcr, Rejection, TrustAnchor,
    TrustKind, UnverifiedDocument, VerifiedDocument,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/attestation-docs");
    std::env::var_os("NITRO_ATTESTATION_DOCS").map_or(beside, PathBuf::from)
}

fn read(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; NITRO_ATTESTATION_DOCS must name the folder", path.display())
    })
}

/// One line of index.tsv, by column name.
type Entry = BTreeMap<String, String>;

fn index() -> Vec<Entry> {
    let text = String::from_utf8(read("index.tsv")).expect("is text");
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let header: Vec<String> = lines.next().expect("has a header").collect();
    let entries: Vec<Entry> =
        lines.map(|line| header.iter().cloned().zip(line).collect()).collect();
    assert!(entries.len() >= 12, "the folder holds at least a dozen documents");
    entries
}

fn entry(file: &str) -> Entry {
    index().into_iter().find(|entry| entry["file"] == file).expect("is in the index")
}

fn pcr(entry: &Entry, index: u8) -> Pcr {
    let digits = &entry[&format!("pcr{index}")];
    if digits == "0" {
        return [0; 48];
    }
    hex::decode(digits).expect("is hex").try_into().expect("has 48 bytes")
}

/// `YYYY-MM-DDThh:mm:ss[.ffffff]+00:00` as milliseconds of Unix time.
fn milliseconds(text: &str) -> u64 {
    let number =
        |range: std::ops::Range<usize>| -> u64 { text[range].parse().expect("is a number") };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days from 0000-03-01 by the civil calendar, then from 1970.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19);
    let fraction = if text.as_bytes()[19] == b'.' { number(20..23) } else { 0 };
    seconds * 1000 + fraction
}

fn authenticate(bytes: &[u8], at_ms: u64) -> Result<AuthenticDocument, Rejection> {
    UnverifiedDocument::parse(bytes)?.authenticate(&TrustAnchor::aws(), at_ms)
}

/// The entry's own image: its measurements, or debug mode's.
fn image(entry: &Entry) -> MeasurementSet {
    match entry["debug"].as_str() {
        "debug" => MeasurementSet::debug_mode(),
        _ => MeasurementSet::new(pcr(entry, 0), pcr(entry, 1), pcr(entry, 2)).expect("not zero"),
    }
}

fn verify(entry: &Entry, expected: &Expectations) -> Result<VerifiedDocument, Rejection> {
    let at_ms = milliseconds(&entry["time_utc"]);
    authenticate(&read(&entry["file"]), at_ms)?.check(expected, at_ms)
}

#[test]
fn every_genuine_document_verifies_at_its_own_time_with_its_own_registers() {
    for entry in index().iter().filter(|entry| entry["verify"] == "OK") {
        let file = &entry["file"];
        let mut expected = Expectations::new(image(entry));
        if entry["debug"] == "debug" {
            let refused = verify(entry, &expected).err().map(|rejection| rejection.finding());
            assert_eq!(refused, Some(Finding::A1), "{file} is of a debug enclave");
            expected = expected.allow_debug();
        }
        for index in [3, 4, 8] {
            if pcr(entry, index) != [0; 48] {
                expected = expected.pin(index, pcr(entry, index)).expect("not zero");
            }
        }
        let document = verify(entry, &expected).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(document.module_id(), entry["module_id"], "{file}");
        assert_eq!(document.timestamp_ms(), milliseconds(&entry["time_utc"]), "{file}");
        assert_eq!(document.pcrs().len().to_string(), entry["pcr_count"], "{file}");
        assert_eq!(document.trust(), TrustKind::Aws, "{file}");
        let length =
            |field: Option<&[u8]>| field.map_or("null".to_owned(), |f| f.len().to_string());
        assert_eq!(length(document.public_key()), entry["public_key_len"], "{file}");
        assert_eq!(length(document.user_data()), entry["user_data_len"], "{file}");
        assert_eq!(length(document.nonce()), entry["nonce_len"], "{file}");
    }
}

#[test]
fn a_tampered_document_does_not_verify() {
    let entry = entry("real/33-tampered-signature.bin");
    let rejection = verify(&entry, &Expectations::new(image(&entry))).err();
    assert_eq!(rejection.map(|r| r.finding()), Some(Finding::S1));
}

#[test]
fn every_variant_does_what_a_strict_verifier_must() {
    let expected: BTreeMap<&str, Option<Finding>> = BTreeMap::from([
        ("tag18.bin", None),
        ("tag98.bin", Some(Finding::E3)),
        ("trailing_byte.bin", Some(Finding::E2)),
        ("s_negated.bin", None),
        ("sig_zero.bin", Some(Finding::E8)),
        ("sig_s_eq_n.bin", Some(Finding::E8)),
        ("sig_der.bin", Some(Finding::E8)),
        ("unprotected_nonempty.bin", Some(Finding::E6)),
        ("unprotected_alg_override.bin", Some(Finding::E6)),
        ("outer_array_indef.bin", Some(Finding::E4)),
        ("payload_len_nonminimal.bin", Some(Finding::E7)),
        ("array5.bin", Some(Finding::E4)),
        ("payload_null_detached.bin", Some(Finding::E7)),
        ("alg_es256.bin", Some(Finding::E5)),
        ("alg_missing.bin", Some(Finding::E5)),
        ("protected_crit.bin", Some(Finding::E5)),
        ("pcr0_bitflip.bin", Some(Finding::S1)),
        ("splice_leaf_other_doc.bin", Some(Finding::C4)),
    ]);
    let listed = String::from_utf8(read("variants.tsv")).expect("is text");
    let listed: Vec<&str> = listed.lines().skip(1).filter_map(|l| l.split('\t').next()).collect();
    assert_eq!(listed.len(), expected.len(), "every listed variant has an expectation here");

    for file in listed {
        let bytes = read(&format!("variants/{file}"));
        // A variant says when it was made unless it does not parse at all.
        let found = UnverifiedDocument::parse(&bytes).and_then(|document| {
            let at_ms = document.unverified_timestamp_ms();
            document.authenticate(&TrustAnchor::aws(), at_ms)
        });
        assert_eq!(found.err().map(|r| r.finding()), expected[file], "{file}");
    }
}

/// Every prefix and every document with one byte changed is refused: nothing in a document is
/// outside what the verifier judges, except the signature's second solution.
#[test]
fn no_byte_can_be_cut_off_or_changed() {
    let entry = entry("real/31.bin");
    let (bytes, at_ms) = (read(&entry["file"]), milliseconds(&entry["time_utc"]));
    authenticate(&bytes, at_ms).expect("is genuine");
    for length in 0..bytes.len() {
        assert!(UnverifiedDocument::parse(&bytes[..length]).is_err(), "cut to {length} bytes");
    }
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1 << (index % 8);
        assert!(authenticate(&changed, at_ms).is_err(), "byte {index} changed");
    }
}

#[test]
fn time_is_judged_by_chain_leaf_and_document() {
    let entry = entry("real/31.bin");
    let (bytes, made_ms) = (read(&entry["file"]), milliseconds(&entry["time_utc"]));
    let leaf_end_ms = milliseconds(&entry["leaf_not_after"]);
    let expected = Expectations::new(image(&entry)).allow_debug();
    let check = |chain_ms: u64, now_ms: u64, finding: Option<Finding>| {
        let result = authenticate(&bytes, chain_ms).and_then(|d| d.check(&expected, now_ms));
        assert_eq!(result.err().map(|r| r.finding()), finding, "{chain_ms} {now_ms}");
    };
    let (minute, both) = (60_000, |ms: u64, finding| check(ms, ms, finding));
    both(made_ms, None);
    both(made_ms + 5 * minute, None);
    both(made_ms + 5 * minute + 1, Some(Finding::T2));
    both(leaf_end_ms + 999, Some(Finding::T2));
    both(leaf_end_ms + 1000, Some(Finding::C7));
    both(made_ms - 4000, Some(Finding::C7));
    check(made_ms, made_ms + 2 * minute, Some(Finding::T1));
    check(made_ms, made_ms + minute, None);
    check(made_ms, 0, Some(Finding::T1));
    both(u64::MAX, Some(Finding::C7));
    both(0, Some(Finding::C7));
}

#[test]
fn expectations_are_held_item_by_item() {
    let entry = entry("real/22.bin");
    let at_ms = milliseconds(&entry["time_utc"]);
    let document = || authenticate(&read(&entry["file"]), at_ms).expect("is genuine");
    let (user_data, key) =
        (document().user_data().map(<[u8]>::to_vec), document().public_key().map(<[u8]>::to_vec));
    let (user_data, key) = (user_data.expect("has some"), key.expect("has one"));
    let nonce = document().nonce().expect("has one").to_vec();
    let base = || Expectations::new(image(&entry));
    let check = |expected: Expectations, finding: Option<Finding>| {
        let result = document().check(&expected, at_ms);
        assert_eq!(result.err().map(|r| r.finding()), finding);
    };
    let [zero, one, two] = [0, 1, 2].map(|index| pcr(&entry, index));
    let image = |a, b, c| MeasurementSet::new(a, b, c).expect("not zero");

    check(base().nonce(&nonce).user_data(&user_data).public_key(&key), None);
    check(base().nonce(&nonce[1..]), Some(Finding::A4));
    check(base().user_data(&nonce[1..]), Some(Finding::A5));
    check(base().public_key(&key[1..]), Some(Finding::A5));
    check(base().no_public_key(), Some(Finding::A5));

    check(Expectations::new(image([9; 48], one, two)), Some(Finding::A2));
    // Two sets that together hold every register: neither matches whole.
    let mixed = Expectations::new(image(zero, one, [9; 48])).or_image(image([9; 48], one, two));
    check(mixed.clone(), Some(Finding::A2));
    check(mixed.or_image(image(zero, one, two)), None);
    check(Expectations::new(MeasurementSet::debug_mode()).allow_debug(), Some(Finding::A2));

    let signed = image(zero, one, two).pin(8, [8; 48]).expect("not zero");
    check(Expectations::new(signed.clone()), Some(Finding::A3));
    check(Expectations::new(signed).or_image(image(zero, one, two)), None);
    check(base().pin(16, [1; 48]).expect("not zero"), Some(Finding::A3));
    check(base().instance_id("i-0a22e5c5f24d22174").expect("agrees"), None);
    check(base().instance_id("i-0a22e5c5f24d22175").expect("agrees"), Some(Finding::A3));
    check(
        base().role_arn("arn:aws:iam::123456789012:role/other").expect("agrees"),
        Some(Finding::A3),
    );
    let manifest = nitro_signer_shared::manifest::ManifestHash::of(b"a manifest");
    check(base().manifest(&manifest), Some(Finding::A8));
}
