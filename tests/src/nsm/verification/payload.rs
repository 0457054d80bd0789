//! P1 to P11: the payload has the fields of an enclave's document and no others.

use super::*;
use crate::nsm::certificate::{ExtensionDraft, name};
use crate::nsm::chain::Level;
use const_oid::db::rfc4519::COMMON_NAME;

const MANDATORY: [&str; 6] =
    ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"];

/// A signed document around these bytes of payload.
fn around(rule: &Rule, payload: &[u8]) -> Vec<u8> {
    let head = [cbor::text("Signature1"), cbor::bytes(&[0xa1, 0x01, 0x38, 0x22]), cbor::bytes(&[])];
    let signed = cbor::array(&[head.as_slice(), &[cbor::bytes(payload)]].concat());
    let signature = rule.enclave.draft().chain.leaf_key().sign_document(&signed);
    cbor::array(&[head[1].clone(), vec![0xa0], cbor::bytes(payload), cbor::bytes(&signature)])
}

/// An ordinary payload with a map of this form.
fn ordinary_payload(rule: &Rule, form: MapForm) -> Vec<u8> {
    let mut draft = rule.enclave.draft();
    draft.payload.form = form;
    draft.payload.encode()
}

#[test]
fn p1_the_payload_is_one_map_of_bounded_size_in_the_shortest_form() {
    let rule = rule(Finding::P1);
    let refused = |payload: &[u8]| rule.refuses_bytes(&around(&rule, payload));
    let definite = ordinary_payload(&rule, MapForm::Definite);
    let indefinite = ordinary_payload(&rule, MapForm::Indefinite);
    for whole in [&definite, &indefinite] {
        rule.check(&around(&rule, whole), None);
        refused(&[whole.as_slice(), &[0]].concat());
        refused(&[whole.as_slice(), &[0xff]].concat());
        for length in [1, 2, 10, 100, whole.len() - 1] {
            refused(&whole[..length]);
        }
    }
    // Not a map: an array, a string, a number, null, a map under a tag.
    for other in [&[0x80][..], &[0x40], &[0x00], &[0xf6], &[0x9f, 0xff], &[0xff]] {
        refused(other);
    }
    refused(&[&[0xd2], definite.as_slice()].concat());
    // More or fewer entries than the head says.
    refused(&[&[0xaa], &definite[1..]].concat());
    refused(&[&[0xa8], &definite[1..]].concat());
    refused(&[&[0xb8, 9], &definite[1..]].concat());
    // At most 32 entries, whatever they are; what ends a key without a value ends the map.
    refused(&cbor::head(5, 33));
    refused(&cbor::head(5, u64::MAX));
    refused(&[cbor::head(5, 33), cbor::text("a")].concat());
    rule.check(&around(&rule, &[cbor::head(5, 32), cbor::text("a")].concat()), Some(Finding::P4));
    refused(&[&[0xbf], cbor::text("timestamp").as_slice()].concat());
    // Lengths and integers that could be shorter, wherever they are.
    rule.refuses(set("timestamp", vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1]));
    rule.refuses(set("digest", [&[0x78, 6], b"SHA384".as_slice()].concat()));
    rule.refuses(set("nonce", vec![0x58, 1, 7]));
    rule.refuses(set("pcrs", vec![0xb8, 1, 0]));
    rule.refuses(set("pcrs", [&[0xa1, 0x18, 0], cbor::bytes(&[1; 48]).as_slice()].concat()));
    rule.refuses(set("pcrs", [&[0xa1, 0x00, 0x59, 0, 48], [1; 48].as_slice()].concat()));
    rule.refuses(set("cabundle", vec![0x98, 1, 0x41, 1]));
    refused(&[&[0xa1, 0x78, 6], b"digest".as_slice()].concat());
}

#[test]
fn p2_the_payloads_keys_are_text_and_none_occurs_twice() {
    let rule = rule(Finding::P2);
    let refused = |payload: &[u8]| rule.refuses_bytes(&around(&rule, payload));
    refused(&[0xa1, 0x01, 0x01]);
    refused(&[0xa1, 0x41, b'a', 0x01]);
    refused(&[0xa1, 0xf6, 0x01]);
    refused(&[0xa1, 0x80, 0x01]);
    refused(&[0xa1, 0xd2, 0x61, b'a', 0x01]);
    refused(&[0xa1, 0x62, 0xff, 0xff]);
    refused(&[0xa1, 0x7f, 0x61, b'a', 0xff, 0x01]);
    // Arrays in arrays are no key, however deep.
    refused(&[vec![0xbf], vec![0x9f; 1000]].concat());
    for key in MANDATORY.into_iter().chain(["public_key", "user_data", "nonce"]) {
        rule.refuses(|d| {
            let again = d.payload.entries.iter().find(|(name, _)| name == key).cloned();
            d.payload.entries.extend(again);
        });
    }
    rule.refuses(|d| d.payload.entries.push(("nonce".to_owned(), cbor::null())));
    rule.refuses(|d| d.payload.entries.insert(0, ("nonce".to_owned(), cbor::null())));
    rule.accepts(|d| d.payload.entries.reverse());
}

#[test]
fn p3_what_is_mandatory_is_there_and_of_its_type() {
    let rule = rule(Finding::P3);
    for key in MANDATORY {
        rule.refuses(|d| d.payload.remove(key));
        rule.refuses(set(key, cbor::null()));
        rule.refuses(set(key, vec![0xf5]));
    }
    rule.refuses(set("module_id", cbor::bytes(b"i-0123456789abcdef0-enc0123456789abcdef")));
    rule.refuses(set("module_id", vec![0x7f, 0xff]));
    rule.refuses(set("digest", cbor::bytes(b"SHA384")));
    rule.refuses(set("timestamp", cbor::text("now")));
    rule.refuses(set("timestamp", cbor::head(1, NOW_MS)));
    rule.refuses(set("timestamp", [vec![0xfb], 1.0e12_f64.to_be_bytes().to_vec()].concat()));
    rule.refuses(set("timestamp", [vec![0xc1], cbor::unsigned(NOW_MS)].concat()));
    rule.refuses(set("pcrs", cbor::array(&vec![cbor::bytes(&[1; 48]); 16])));
    rule.refuses(set("pcrs", vec![0xbf, 0xff]));
    rule.refuses(set("certificate", cbor::text("certificate")));
    rule.refuses(set("certificate", cbor::array(&[])));
    rule.refuses(set("cabundle", cbor::bytes(&[1])));
    rule.refuses(set("cabundle", cbor::array(&[cbor::text("certificate")])));
    rule.refuses(set("cabundle", vec![0x9f, 0xff]));
    rule.refuses_bytes(&around(&rule, &[0xa0]));
    rule.refuses_bytes(&around(&rule, &[0xbf, 0xff]));
    // Of the others each may be left out.
    rule.accepts(|d| d.payload.remove("public_key"));
    rule.accepts(|d| d.payload.remove("user_data"));
    rule.leaves_to(Finding::A4, |d| d.payload.remove("nonce"));
}

#[test]
fn p4_the_payload_has_no_other_key() {
    let rule = rule(Finding::P4);
    for key in ["other", "", "Nonce", "nonce ", "nonce\0", "pcr", "modul\u{435}_id"] {
        rule.refuses(set(key, cbor::null()));
    }
    rule.refuses(|d| d.payload.entries.insert(0, ("other".to_owned(), cbor::unsigned(1))));
    rule.accepts(|_| ());
}

#[test]
fn p5_the_module_id_is_an_enclaves() {
    let rule = rule(Finding::P5);
    for id in [
        "",
        "-enc",
        "i-0123456789abcdef0",
        "i-0123456789abcdef0-enc",
        "0123456789abcdef0-enc0123456789abcdef",
        "m-0123456789abcdef0-enc0123456789abcdef",
        "i-0123456789abcdef0-tpm0123456789abcdef",
        "i-0123456789ABCDEF0-enc0123456789abcdef",
        "i-0123456789abcdef0-enc0123456789ABCDEF",
        "i-0123456789abcdeg0-enc0123456789abcdef",
        "i-0123456789abcdef0-enc0123456789abcde/",
        "i-0123456789abcdef0-enc0123456789abcde:",
        "i-0123456789abcdef0-enc0123456789abcde`",
        "i-0123456789abcdef-enc0123456789abcdef",
        "i-0123456789abcdef01-enc0123456789abcdef",
        "i-0123456789abcdef0-enc0123456789abcde",
        "i-0123456789abcdef0-enc0123456789abcdef0",
        "i-0123456789abcdef0-enc0123456789abcdef-enc0123456789abcdef",
        " i-0123456789abcdef0-enc0123456789abcdef",
    ] {
        rule.refuses(set("module_id", cbor::text(id)));
    }
    // Well formed, and another enclave than its leaf's.
    for id in ["i-0123456789abcdef0-enc0123456789abcdef", "i-99999999999999999-enc0000000000000000"]
    {
        rule.leaves_to(Finding::A6, set("module_id", cbor::text(id)));
    }
}

#[test]
fn p6_the_digest_is_sha384() {
    let rule = rule(Finding::P6);
    for digest in ["", "SHA256", "SHA512", "sha384", "SHA-384", "SHA384 ", "SHA3840"] {
        rule.refuses(set("digest", cbor::text(digest)));
    }
    rule.accepts(set("digest", cbor::text("SHA384")));
}

#[test]
fn p7_the_timestamp_is_above_zero_and_before_the_year_10000() {
    let rule = rule(Finding::P7);
    // The first millisecond of the year 10000.
    let end = 253_402_300_800_000;
    for timestamp in [0, end, end + 1, u64::MAX] {
        rule.refuses(set("timestamp", cbor::unsigned(timestamp)));
    }
    for timestamp in [1, end - 1] {
        rule.leaves_to(Finding::T3, set("timestamp", cbor::unsigned(timestamp)));
    }
}

#[test]
fn p8_there_are_1_to_32_registers_of_48_bytes_each_once() {
    let rule = rule(Finding::P8);
    let registers = |entries: &[(u64, usize)]| {
        let written = entries
            .iter()
            .flat_map(|(i, length)| [cbor::unsigned(*i), cbor::bytes(&vec![1; *length])].concat());
        set("pcrs", [cbor::head(5, entries.len() as u64), written.collect()].concat())
    };
    rule.refuses(set("pcrs", cbor::head(5, 0)));
    rule.refuses(set("pcrs", cbor::head(5, 33)));
    rule.refuses(set("pcrs", cbor::head(5, u64::MAX)));
    rule.refuses(registers(&[(0, 48), (0, 48)]));
    rule.refuses(registers(&[(3, 48), (4, 48), (3, 48)]));
    for index in [32, 255, 256, u64::MAX] {
        rule.refuses(registers(&[(index, 48)]));
    }
    for length in [0, 32, 47, 49, 64] {
        rule.refuses(registers(&[(0, length)]));
        rule.refuses(registers(&[(0, 48), (1, length)]));
    }
    rule.refuses(set("pcrs", [cbor::head(5, 1), cbor::text("0"), cbor::bytes(&[1; 48])].concat()));
    rule.refuses(set("pcrs", [vec![0xa1, 0x20], cbor::bytes(&[1; 48])].concat()));
    rule.refuses(set("pcrs", [vec![0xa1, 0x00], cbor::text(&"1".repeat(48))].concat()));
    rule.refuses(set("pcrs", vec![0xa1, 0x00, 0xf6]));
    let thirty_three: Vec<_> = (0..33).map(|index| (index, 48)).collect();
    rule.refuses(registers(&thirty_three));

    rule.leaves_to(Finding::A2, registers(&[(31, 48)]));
    rule.leaves_to(Finding::A2, registers(&thirty_three[..32]));
    // All 32, as where an enclave locked every one.
    rule.accepts(|draft| (17..32).for_each(|index| set_register(index, Some([9; 48]))(draft)));
}

#[test]
fn p9_there_are_1_to_8_issuers_and_certificates_of_1_to_1024_bytes() {
    let rule = rule(Finding::P9);
    let of_length = |length: usize| cbor::bytes(&vec![0x30; length]);
    for length in [0, 1025, 4096] {
        rule.refuses(set("certificate", of_length(length)));
        rule.refuses(set("cabundle", cbor::array(&[of_length(length)])));
        rule.refuses(set("cabundle", cbor::array(&[of_length(1), of_length(length)])));
    }
    rule.refuses(set("cabundle", cbor::array(&[])));
    rule.refuses(set("cabundle", cbor::array(&vec![cbor::bytes(&[1]); 9])));
    rule.refuses(set("cabundle", cbor::head(4, u64::MAX)));

    for length in [1, 1024] {
        rule.leaves_to(Finding::C2, set("certificate", of_length(length)));
        rule.leaves_to(Finding::C1, set("cabundle", cbor::array(&[of_length(length)])));
    }
    for issuers in 1..=8 {
        rule.accepts(|draft| issue_through(draft, &rule.enclave.root, issuers));
    }
    rule.refuses(|draft| issue_through(draft, &rule.enclave.root, 9));
}

/// The same leaf under a list of this many issuers, the root among them, every one of them good.
fn issue_through(draft: &mut DocumentDraft, root: &DevelopmentRoot, issuers: usize) {
    let mut chain = draft.chain.clone();
    let mut leaf = chain.draft_mut(Level::Leaf).clone();
    let mut issuer = chain.draft_mut(Level::Region).clone();
    issuer.extensions[0] = ExtensionDraft::constraints(true, None);
    chain.drafts.clear();
    for level in 1..issuers {
        issuer.subject = name(&[(COMMON_NAME, &format!("issuer {level}"))]);
        chain.drafts.push(issuer.clone());
        issuer.issuer = issuer.subject.clone();
    }
    leaf.issuer = issuer.issuer;
    chain.drafts.push(leaf);
    chain.issue();
    let leaf = chain.issued.pop().expect("was issued last");
    chain.issued.insert(0, root.der().to_vec());
    let list: Vec<_> = chain.issued.iter().map(|der| cbor::bytes(der)).collect();
    draft.payload.set("certificate", cbor::bytes(&leaf));
    draft.payload.set("cabundle", cbor::array(&list));
}

#[test]
fn p10_what_is_optional_is_null_or_at_most_1024_bytes() {
    let rule = rule(Finding::P10);
    for key in ["public_key", "user_data", "nonce"] {
        rule.refuses(set(key, cbor::bytes(&[0; 1025])));
        rule.refuses(set(key, cbor::text("text")));
        rule.refuses(set(key, vec![0xf7])); // undefined
        rule.refuses(set(key, vec![0xf4])); // false
        rule.refuses(set(key, vec![0x80]));
        rule.refuses(set(key, vec![0x5f, 0xff]));
        rule.refuses(set(key, vec![0xd8, 0x18, 0x40]));
    }
    for length in [0, 1024] {
        rule.accepts(set("user_data", cbor::bytes(&vec![0; length])));
        rule.leaves_to(Finding::A4, set("nonce", cbor::bytes(&vec![0; length])));
        rule.leaves_to(Finding::A5, set("public_key", cbor::bytes(&vec![0; length])));
    }
    // Null and what is left out are the same, and an empty string is neither.
    let check = |change: &dyn Fn(&mut DocumentDraft), expected: Option<&[u8]>| {
        let document = UnverifiedDocument::parse(&rule.document(change)).expect("reads");
        assert_eq!(document.unverified().user_data(), expected);
    };
    check(&|d| d.payload.set("user_data", cbor::null()), None);
    check(&|d| d.payload.remove("user_data"), None);
    check(&|d| d.payload.set("user_data", cbor::bytes(&[])), Some(&[]));
}

#[test]
fn p11_the_document_is_not_a_nitrotpms() {
    let rule = rule(Finding::P11);
    rule.refuses(set("nitrotpm_pcrs", cbor::head(5, 0)));
    rule.refuses(set("nitrotpm_pcrs", cbor::null()));
    rule.refuses(|d| d.payload.entries.insert(0, ("nitrotpm_pcrs".to_owned(), cbor::head(5, 0))));
    rule.leaves_to(Finding::P4, set("nitrotpm_pcr", cbor::head(5, 0)));
}
