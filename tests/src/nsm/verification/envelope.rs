//! E1 to E8: COSE_Sign1 as Nitro writes it (RFC 9052, section 4.2), and nothing beside it.

use super::*;

/// The four written elements of an ordinary document, and a whole one to compare with.
struct Elements {
    protected: Vec<u8>,
    unprotected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Elements {
    fn of(rule: &Rule) -> Self {
        let document = rule.document(|_| ());
        // 84 | 44 a1013822 | a0 | the payload | 58 60 and 96 bytes.
        let signature = document.len() - 98;
        let elements = Self {
            protected: document[1..6].to_vec(),
            unprotected: document[6..7].to_vec(),
            payload: document[7..signature].to_vec(),
            signature: document[signature..].to_vec(),
        };
        assert_eq!(elements.after(&[0x84]), document);
        elements
    }

    /// The elements after this head of an array.
    fn after(&self, head: &[u8]) -> Vec<u8> {
        [head, &self.protected, &self.unprotected, &self.payload, &self.signature].concat()
    }

    fn bent(&self, bend: impl FnOnce(&mut Self)) -> Vec<u8> {
        let Self { protected, unprotected, payload, signature } = self;
        let mut elements = Self {
            protected: protected.clone(),
            unprotected: unprotected.clone(),
            payload: payload.clone(),
            signature: signature.clone(),
        };
        bend(&mut elements);
        elements.after(&[0x84])
    }
}

#[test]
fn e1_a_document_has_1_to_32768_bytes() {
    let rule = rule(Finding::E1);
    let length = rule.document(|_| ()).len();
    let longer = |length: usize| move |d: &mut DocumentDraft| d.envelope.trailing = vec![0; length];
    rule.refuses_bytes(&[]);
    rule.refuses(longer(32_768 - length + 100));
    rule.refuses(longer(32_768));
    rule.refuses_bytes(&[0x84; 32_769]);
    // At the boundaries there is no document, and it is the next rules that say so.
    rule.check(&[0x84], Some(Finding::E2));
    let mut greatest = rule.document(|_| ());
    greatest.resize(32_768, 0);
    rule.check(&greatest, Some(Finding::E2));
    greatest.push(0);
    rule.refuses_bytes(&greatest);
}

#[test]
fn e2_a_document_is_one_item_with_nothing_after_it() {
    let rule = rule(Finding::E2);
    let document = rule.document(|_| ());
    rule.refuses(|d| d.envelope.trailing = vec![0]);
    rule.refuses(|d| d.envelope.trailing = vec![0xff]);
    rule.refuses_bytes(&[document.as_slice(), &document].concat());
    for length in [1, 2, 6, 7, 8, 100, document.len() - 98, document.len() - 97, document.len() - 1]
    {
        rule.refuses_bytes(&document[..length]);
    }
    rule.refuses_bytes(&[0xd2]);
    // A string longer than all that follows.
    rule.refuses_bytes(&[0x84, 0x5b, 255, 255, 255, 255, 255, 255, 255, 255]);
    rule.check(&document, None);
}

#[test]
fn e3_the_item_has_no_tag_or_tag_18_once() {
    let rule = rule(Finding::E3);
    let tags = |tags: &'static [u64]| move |d: &mut DocumentDraft| d.envelope.tags = tags.to_vec();
    for others in [&[18, 18][..], &[61, 18], &[18, 61], &[17], &[19], &[98], &[55_799, 18]] {
        rule.refuses(tags(others));
    }
    // 18 in a byte more than it needs.
    rule.refuses_bytes(&[&[0xd8, 18], rule.document(|_| ()).as_slice()].concat());
    rule.accepts(tags(&[]));
    rule.accepts(tags(&[18]));
}

#[test]
fn e4_the_item_is_a_definite_array_of_four() {
    let rule = rule(Finding::E4);
    let elements = Elements::of(&rule);
    rule.refuses(|d| d.envelope.extra = vec![cbor::null()]);
    rule.refuses_bytes(&elements.after(&[0x83]));
    rule.refuses_bytes(&[elements.after(&[0x9f]), vec![0xff]].concat());
    rule.refuses_bytes(&elements.after(&[0x98, 4]));
    rule.refuses_bytes(&elements.after(&[0xa4]));
    rule.refuses_bytes(&elements.after(&[0xa2]));
    rule.refuses_bytes(&elements.after(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]));
    rule.refuses_bytes(&cbor::bytes(&elements.after(&[0x84])));
    rule.refuses_bytes(&[0x80]);
    rule.check(&elements.after(&[0x84]), None);
}

#[test]
fn e5_the_protected_header_is_es384_alone() {
    let rule = rule(Finding::E5);
    let elements = Elements::of(&rule);
    let signed = |header: &'static [u8]| {
        rule.refuses(|d| d.envelope.protected = header.to_vec());
    };
    signed(&[]);
    signed(&[0xa0]);
    signed(&[0xa1, 0x01, 0x26]); // ES256
    signed(&[0xa1, 0x01, 0x38, 0x23]); // ES512
    signed(&[0xa1, 0x01, 0x39, 0x00, 0x22]); // -35 in a byte more than it needs
    signed(&[0xbf, 0x01, 0x38, 0x22, 0xff]);
    signed(&[0xa2, 0x01, 0x38, 0x22, 0x02, 0x81, 0x01]); // crit
    signed(&[0xa1, 0x01, 0x38, 0x22, 0x00]);
    let unsigned = |element: &'static [u8]| {
        rule.refuses_bytes(&elements.bent(|e| e.protected = element.to_vec()));
    };
    unsigned(&[0xf6]);
    unsigned(&[0xa1, 0x01, 0x38, 0x22]);
    unsigned(&[0x64, 0xa1, 0x01, 0x38, 0x22]);
    unsigned(&[0x58, 4, 0xa1, 0x01, 0x38, 0x22]);
    unsigned(&[0x5f, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xff]);
    rule.accepts(|d| d.envelope.protected = vec![0xa1, 0x01, 0x38, 0x22]);
}

#[test]
fn e6_the_unprotected_header_is_empty() {
    let rule = rule(Finding::E6);
    let header = |header: &'static [u8]| {
        move |d: &mut DocumentDraft| d.envelope.unprotected = header.to_vec()
    };
    rule.refuses(header(&[0xa1, 0x01, 0x26]));
    rule.refuses(header(&[0xa1, 0x04, 0x41, 0x01])); // kid
    rule.refuses(header(&[0xbf, 0xff]));
    rule.refuses(header(&[0xb8, 0]));
    rule.refuses(header(&[0xf6]));
    rule.refuses(header(&[0x80]));
    rule.refuses(header(&[0x40]));
    rule.accepts(header(&[0xa0]));
}

#[test]
fn e7_the_payload_is_a_definite_byte_string_of_1_to_16384_bytes() {
    let rule = rule(Finding::E7);
    let elements = Elements::of(&rule);
    let payload = &elements.payload[3..];
    let length = payload.len();
    let refused = |element: Vec<u8>| rule.refuses_bytes(&elements.bent(|e| e.payload = element));
    refused(cbor::null());
    refused(cbor::bytes(&[]));
    refused([cbor::head(3, length as u64), payload.to_vec()].concat());
    refused([vec![0x5f], cbor::bytes(payload), vec![0xff]].concat());
    let [high, low] = u16::try_from(length).expect("is short").to_be_bytes();
    refused([&[0x5a, 0, 0, high, low], payload].concat());
    rule.refuses(set("padding", cbor::bytes(&[0; 16_384])));
    let padded = |length: usize| {
        let mut draft = rule.enclave.draft();
        let others = draft.payload.encode().len() + cbor::text("padding").len() + 3;
        draft.payload.set("padding", cbor::bytes(&vec![0; length - others]));
        assert_eq!(draft.payload.encode().len(), length);
        draft.sign()
    };
    rule.refuses_bytes(&padded(16_385));
    rule.check(&padded(16_384), Some(Finding::P4));
    rule.check(&elements.bent(|e| e.payload = cbor::bytes(&[0xa0])), Some(Finding::P3));
}

#[test]
fn e8_the_signature_is_two_scalars_of_p384() {
    let rule = rule(Finding::E8);
    let elements = Elements::of(&rule);
    let with = |signature: &[u8]| elements.bent(|e| e.signature = cbor::bytes(signature));
    let signature = &elements.signature[2..];
    let (r, s) = signature.split_at(48);
    for length in [0, 48, 95] {
        rule.refuses_bytes(&with(&signature[..length]));
    }
    rule.refuses_bytes(&with(&[signature, &[0]].concat()));
    rule.refuses_bytes(&with(&rule.enclave.draft().chain.leaf_key().sign_certificate(b"DER")));
    rule.refuses_bytes(&elements.bent(|e| e.signature = cbor::null()));
    rule.refuses_bytes(&elements.bent(|e| e.signature = [&[0x59, 0, 96], signature].concat()));
    rule.refuses_bytes(&elements.bent(|e| e.signature = [&[0x78, 96], signature].concat()));

    let (zero, one, order) = ([0; 48], scalar::small(1), scalar::ORDER);
    for bad in [zero, order, scalar::plus_one(&order), [0xff; 48]] {
        rule.refuses_bytes(&with(&[r, &bad].concat()));
        rule.refuses_bytes(&with(&[&bad, s].concat()));
    }
    // In range, and no signature of this document.
    for good in [one, scalar::negate(&one)] {
        rule.check(&with(&[r, &good].concat()), Some(Finding::S1));
        rule.check(&with(&[&good, s].concat()), Some(Finding::S1));
    }
}
