//! Genuine documents, re-encoded and tampered ones, by the command line: the same verdicts as
//! `shared/tests/genuine_documents.rs` demands of the library.
//!
//! They are other projects' data and not part of this repository: `NITRO_ATTESTATION_DOCS` names
//! their folder. Without the folder these tests fail; they are never skipped.

use super::verify;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
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

fn table(name: &str) -> Vec<BTreeMap<String, String>> {
    let text = String::from_utf8(read(name)).unwrap();
    let mut lines = text.lines().map(|line| line.split('\t').map(str::to_owned));
    let header: Vec<String> = lines.next().unwrap().collect();
    lines.map(|line| header.iter().cloned().zip(line).collect()).collect()
}

/// The documents' folder, and one for what the tests write.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// An entry's own image as a measurements file; of a debug enclave, somebody's.
    fn measurements(&self, entry: &BTreeMap<String, String>) -> String {
        let register = |name: &str| match entry[name].as_str() {
            "0" => "01".repeat(48),
            digits => digits.to_owned(),
        };
        let json = json!({ "Measurements": {
            "HashAlgorithm": "Sha384 { ... }",
            "PCR0": register("pcr0"), "PCR1": register("pcr1"), "PCR2": register("pcr2"),
        } });
        self.write("measurements.json", json.to_string().as_bytes())
    }
}

#[test]
fn every_genuine_document_verifies_at_its_own_time_in_every_form() {
    let desk = Desk::new();
    let mut seen = 0;
    for entry in table("index.tsv") {
        let (file, bytes) = (&entry["file"], read(&entry["file"]));
        let expect = desk.measurements(&entry);
        let forms = [
            bytes.clone(),
            hex::encode(&bytes).into_bytes(),
            BASE64_STANDARD.encode(&bytes).into_bytes(),
            BASE64_URL_SAFE_NO_PAD.encode(&bytes).into_bytes(),
        ];
        for form in forms {
            let path = desk.write("document", &form);
            let check = |more: &[&str], exit: i32, code: &str| {
                let arguments = [&[&path, "--expect", &expect], more].concat();
                let verdict = verify(desk.0.path(), &arguments);
                assert_eq!((verdict.exit, verdict.code()), (exit, code), "{file} {more:?}");
                verdict.report
            };
            if entry["verify"] != "OK" {
                check(&["--at", "document"], 4, "S1");
                continue;
            }
            let debug = entry["debug"] == "debug";
            let (exit, code) = if debug { (6, "A1") } else { (0, "") };
            let report = check(&["--at", "document"], exit, code);
            check(&["--at", &entry["time_utc"]], exit, code);
            assert_eq!(report["trust_anchor"], "aws", "{file}");
            assert_eq!(report["time_basis"], "document", "{file}");
            assert_eq!(report["policy"], "not_asked", "{file}");
            assert_eq!(report["document"]["module_id"], entry["module_id"].as_str(), "{file}");
            check(&[], 5, "C7");
            if debug {
                let report = check(&["--at", "document", "--allow-debug"], 0, "");
                assert_eq!(report["debug_mode"], true, "{file}");
            }
            seen += 1;
        }
    }
    assert!(seen >= 4 * 11, "{seen}");
}

/// variants.tsv says of each what a strict verifier does.
#[test]
fn every_variant_ends_with_the_code_that_the_table_says() {
    let desk = Desk::new();
    let variants = table("variants.tsv");
    assert!(variants.len() >= 18);
    for variant in variants {
        let file = &variant["file"];
        let bytes = read(&format!("variants/{file}"));
        // They are made of genuine documents, whose registers `inspect` shows where it can.
        let path = desk.write("document", &bytes);
        let (exit, shown, _) =
            super::command(desk.0.path(), &["attestation", "inspect", "--format", "json", &path]);
        let shown: Value = serde_json::from_slice(&shown).unwrap_or_default();
        let register = |index: &str| match shown["pcrs"][index].as_str() {
            Some(digits) if digits.contains(|c| c != '0') => digits.to_owned(),
            _ => "01".repeat(48),
        };
        let json = json!({ "Measurements": {
            "HashAlgorithm": "Sha384 { ... }",
            "PCR0": register("0"), "PCR1": register("1"), "PCR2": register("2"),
        } });
        let expect = desk.write("measurements.json", json.to_string().as_bytes());
        let arguments = [&path, "--expect", &expect, "--at", "document", "--allow-debug"];
        let verdict = verify(desk.0.path(), &arguments);
        let expected = match file.as_str() {
            "tag18.bin" | "s_negated.bin" => 0,
            "pcr0_bitflip.bin" | "splice_leaf_other_doc.bin" => 4,
            _ => 3,
        };
        assert_eq!(verdict.exit, expected, "{file}: {}", verdict.report["failures"]);
        assert_eq!(exit == 0, expected != 3, "{file}: inspect shows what is well formed");
        let says = &variant["expected"];
        let taken = says.starts_with("ACCEPT") || says.contains("ACCEPT or REJECT");
        assert_eq!(verdict.exit == 0, taken, "{file}: {says}");
    }
}
