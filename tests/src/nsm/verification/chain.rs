//! C1 to C10: the certificates from the pinned root to the leaf, each held to Nitro's form.

use super::*;
use crate::nsm::certificate::{
    CertificateDraft, ExtensionDraft, ecdsa_with_sha384, element, name, public_key_info,
};
use crate::nsm::chain::Level;
use crate::nsm::key::SigningKey;
use aws_lc_rs::digest::{SHA256, digest};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::{COMMON_NAME, ORGANIZATIONAL_UNIT_NAME};
use const_oid::db::rfc5280::ID_CE_EXT_KEY_USAGE;
use const_oid::db::rfc5912::{
    ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, SECP_256_R_1, SECP_384_R_1,
};
use der::{Encode, Reader, SliceReader};
use x509_cert::ext::pkix::KeyUsages;

const LEVELS: [Level; 4] = [Level::Region, Level::Zonal, Level::Instance, Level::Leaf];
const ISSUERS: [Level; 3] = [Level::Region, Level::Zonal, Level::Instance];
const NOW_S: u64 = NOW_MS / 1000;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BIT_STRING: u8 = 0x03;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const IA5_STRING: u8 = 0x16;

/// The change of one certificate before it and those below it are signed.
fn at(level: Level, change: impl FnOnce(&mut CertificateDraft)) -> impl FnOnce(&mut DocumentDraft) {
    move |draft| {
        change(draft.chain.draft_mut(level));
        draft.reissue();
    }
}

/// The change of one certificate's first (constraints) or later extension.
fn extension(
    level: Level,
    index: usize,
    extension: ExtensionDraft,
) -> impl FnOnce(&mut DocumentDraft) {
    at(level, move |c| c.extensions[index] = extension)
}

/// The change of the list beside the leaf, as it was issued.
fn list(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> impl FnOnce(&mut DocumentDraft) {
    move |draft| {
        let mut list: Vec<_> = draft.chain.cabundle().into_iter().map(<[u8]>::to_vec).collect();
        change(&mut list);
        let list: Vec<_> = list.iter().map(|der| cbor::bytes(der)).collect();
        draft.payload.set("cabundle", cbor::array(&list));
    }
}

/// The change of one certificate's bytes as issued; what is below it stays signed.
pub(super) fn issued(
    level: Level,
    change: impl FnOnce(&mut Vec<u8>),
) -> impl FnOnce(&mut DocumentDraft) {
    move |draft| {
        change(&mut draft.chain.issued[level as usize]);
        draft.embed_chain();
    }
}

/// The leaf with its signed part's elements changed, and signed again by its issuer.
fn leaf_elements(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> impl FnOnce(&mut DocumentDraft) {
    move |draft| {
        let issuer = draft.chain.draft_mut(Level::Instance).key.clone();
        let mut signed = elements(&elements(draft.chain.leaf())[0]);
        change(&mut signed);
        let signed = element(SEQUENCE, &[&signed.concat()]);
        let signature = element(BIT_STRING, &[&[0], &issuer.sign_certificate(&signed)]);
        let leaf = element(SEQUENCE, &[&signed, &ecdsa_with_sha384(), &signature]);
        issued(Level::Leaf, |der| *der = leaf)(draft);
    }
}

/// What stands inside a sequence.
pub(super) fn elements(sequence: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = SliceReader::new(sequence).expect("is short");
    let read = reader.sequence(|inside| {
        let mut elements = Vec::new();
        while !inside.is_finished() {
            elements.push(inside.tlv_bytes()?.to_vec());
        }
        Ok::<_, der::Error>(elements)
    });
    read.expect("is a sequence")
}

fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    oid.to_der().expect("encodes")
}

/// A name of one common name, its text in a string of this type.
fn common_name(string: u8, text: &[u8]) -> Vec<u8> {
    let value = element(string, &[text]);
    element(SEQUENCE, &[&element(SET, &[&element(SEQUENCE, &[&oid(COMMON_NAME), &value])])])
}

#[test]
fn c1_the_list_begins_with_the_pinned_root() {
    let rule = rule(Finding::C1);
    rule.refuses(list(|list| list.swap(0, 1)));
    rule.refuses(list(|list| drop(list.remove(0))));
    rule.refuses(list(|list| list.insert(0, TrustAnchor::aws().der().to_vec())));
    rule.refuses(list(|list| list[0] = TrustAnchor::aws().der().to_vec()));
    rule.refuses(list(|list| list[0].push(0)));
    rule.refuses(list(|list| *list[0].last_mut().expect("has bytes") ^= 1));
    // Nobody's root but the asker's, though every signature below it is good.
    let document = rule.document(|_| ());
    for anchor in [DevelopmentRoot::generate().anchor(), TrustAnchor::aws()] {
        let judged = verify(&document, &anchor, &expected(), NOW_MS);
        assert_eq!(finding(judged), Some(Finding::C1));
    }
    rule.accepts(list(|_| ()));
}

#[test]
fn c2_certificates_are_version_3_in_strict_der() {
    let rule = rule(Finding::C2);
    for level in LEVELS {
        rule.refuses(at(level, |c| c.version = 0));
        rule.refuses(at(level, |c| c.version = 1));
        rule.refuses(at(level, |c| c.version = 3));
        rule.refuses(at(level, |c| c.extensions.push(c.extensions[0].clone())));
        rule.refuses(at(level, |c| {
            c.extensions.push(c.extensions[2 % c.extensions.len()].clone())
        }));
        rule.refuses(issued(level, |der| der.push(0)));
        rule.refuses(issued(level, |der| der.truncate(der.len() - 1)));
        rule.refuses(issued(level, |der| *der = vec![0x30, 0]));
    }
    rule.refuses(at(Level::Leaf, |c| c.extensions[0].value.push(0)));
    // cA = FALSE written out, where DER leaves the default away.
    rule.refuses(at(Level::Leaf, |c| c.extensions[0].value = vec![0x30, 3, 1, 1, 0]));
    rule.refuses(at(Level::Instance, |c| c.extensions[0].value = vec![0x30, 6, 1, 1, 1, 2, 1, 0]));
    rule.refuses(at(Level::Leaf, |c| c.extensions[1].value = vec![0x03, 3, 7, 0xc0, 0x00]));
    // A length in more bytes than it needs: the outermost and the signature's.
    rule.refuses(issued(Level::Leaf, |der| {
        let length = [der[2], der[3]];
        der.splice(1..4, [0x83, 0, length[0], length[1]]);
    }));
    rule.refuses(issued(Level::Leaf, |der| {
        let mut parts = elements(der);
        let bits = parts[2][2..].to_vec();
        parts[2] = [&[BIT_STRING, 0x81, parts[2][1]], bits.as_slice()].concat();
        *der = element(SEQUENCE, &[&parts.concat()]);
    }));
    // critical = FALSE written out, which is the default.
    rule.refuses(leaf_elements(|e| {
        let critical = e[7].windows(3).position(|bytes| bytes == [1, 1, 0xff]);
        e[7][critical.expect("has a critical extension") + 2] = 0;
    }));
    // A signature and a key whose last byte is not all used.
    rule.refuses(issued(Level::Leaf, |der| {
        let mut parts = elements(der);
        parts[2][2] = 1;
        let last = parts[2].last_mut().expect("has bytes");
        *last &= 0xfe;
        *der = element(SEQUENCE, &[&parts.concat()]);
    }));
    rule.refuses(at(Level::Leaf, |c| {
        let mut parts = elements(&c.public_key_info);
        parts[1][2] = 1;
        *parts[1].last_mut().expect("has bytes") &= 0xfe;
        c.public_key_info = element(SEQUENCE, &[&parts.concat()]);
    }));
    // Fields after the extensions, none before.
    rule.refuses(leaf_elements(|e| e.push(element(SEQUENCE, &[]))));
    rule.refuses(leaf_elements(|e| drop(e.remove(0))));

    // A time before 2050 that is not a UTCTime (RFC 5280, section 4.1.2.5).
    let until = |time: &'static [u8]| {
        leaf_elements(move |e| {
            let from = elements(&e[4])[0].clone();
            e[4] = element(SEQUENCE, &[&from, time]);
        })
    };
    rule.refuses(until(b"\x18\x0f20490101000000Z"));
    rule.accepts(until(b"\x18\x0f20500101000000Z"));
    rule.accepts(until(b"\x17\x0d490101000000Z"));

    // The leaf's common name: one, and text.
    let named = format!("{}.us-east-1.aws", rule.enclave.nsm.module_id());
    let named = named.as_bytes();
    rule.refuses(at(Level::Leaf, |c| c.subject = name(&[])));
    rule.refuses(at(Level::Leaf, |c| {
        let one = common_name(UTF8_STRING, named);
        c.subject = element(SEQUENCE, &[&elements(&one)[0], &elements(&one)[0]]);
    }));
    rule.refuses(at(Level::Leaf, |c| c.subject = common_name(IA5_STRING, named)));
    rule.refuses(at(Level::Leaf, |c| c.subject = common_name(UTF8_STRING, &[0xff])));
    rule.accepts(at(Level::Leaf, |c| c.subject = common_name(UTF8_STRING, named)));
    rule.accepts(at(Level::Leaf, |c| c.subject = common_name(PRINTABLE_STRING, named)));
    // A part of a name that is a set of two, in its order and out of it.
    let attribute = |kind, text| element(SEQUENCE, &[&oid(kind), &element(UTF8_STRING, &[text])]);
    let (name, unit) = (attribute(COMMON_NAME, named), attribute(ORGANIZATIONAL_UNIT_NAME, named));
    let of_set = |set: [&[u8]; 2]| element(SEQUENCE, &[&element(SET, &set)]);
    rule.accepts(at(Level::Leaf, |c| c.subject = of_set([&name, &unit])));
    rule.refuses(at(Level::Leaf, |c| c.subject = of_set([&unit, &name])));
}

#[test]
fn c3_keys_are_p384_and_signatures_ecdsa_with_sha384() {
    let rule = rule(Finding::C3);
    let sha256 = element(SEQUENCE, &[&oid(ECDSA_WITH_SHA_256)]);
    let with_null = element(SEQUENCE, &[&oid(ECDSA_WITH_SHA_384), &[0x05, 0]]);
    for level in LEVELS {
        for other in [&sha256, &with_null] {
            rule.refuses(at(level, |c| c.inner_algorithm = other.clone()));
            rule.refuses(at(level, |c| c.outer_algorithm = other.clone()));
            rule.refuses(at(level, |c| {
                c.inner_algorithm = other.clone();
                c.outer_algorithm = other.clone();
            }));
        }
        rule.refuses(at(level, |c| c.public_key_info = p256_key_info()));
    }
    let info = |key: ObjectIdentifier, curve: &[u8], point: &[u8]| {
        let algorithm = element(SEQUENCE, &[&oid(key), curve]);
        element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], point])])
    };
    let with_info = |make: &dyn Fn(&[u8]) -> Vec<u8>| {
        rule.refuses(at(Level::Leaf, |c| c.public_key_info = make(c.key.point())));
    };
    let (ec, p384) = (ID_EC_PUBLIC_KEY, oid(SECP_384_R_1));
    let ecdh = ObjectIdentifier::new_unwrap("1.3.132.1.12");
    with_info(&|point| info(ecdh, &p384, point));
    with_info(&|point| info(ec, &[], point));
    with_info(&|point| info(ec, &[0x05, 0], point));
    with_info(&|point| info(ec, &oid(SECP_256_R_1), point));
    with_info(&|point| info(ec, &p384, &point[..96]));
    with_info(&|point| info(ec, &p384, &[point, &[0]].concat()));
    with_info(&|_| info(ec, &p384, &[0]));
    // Compressed, and the form that says both (SEC 1, section 2.3.3).
    with_info(&|point| info(ec, &p384, &[&[2 | point[96] & 1], &point[1..49]].concat()));
    with_info(&|point| info(ec, &p384, &[&[6 | point[96] & 1], &point[1..]].concat()));
    rule.accepts(at(Level::Leaf, |c| c.public_key_info = info(ec, &p384, c.key.point())));
}

#[test]
fn c4_every_issuer_is_the_subject_before() {
    let rule = rule(Finding::C4);
    let other = name(&[(COMMON_NAME, "another.us-east-1.aws.nitro-enclaves")]);
    for level in LEVELS {
        rule.refuses(at(level, |c| c.issuer = other.clone()));
        rule.refuses(at(level, |c| c.issuer = c.subject.clone()));
    }
    for level in ISSUERS {
        rule.refuses(at(level, |c| c.subject = other.clone()));
    }
    // The same text in another string type is not the same bytes.
    rule.refuses(at(Level::Leaf, |c| {
        let text = format!("{}.us-east-1.aws.nitro-enclaves", Options::default().instance_id);
        c.issuer = common_name(PRINTABLE_STRING, text.as_bytes());
    }));
    rule.refuses(list(|list| drop(list.remove(2))));
    rule.refuses(list(|list| drop(list.remove(3))));
    rule.accepts(|draft| {
        draft.chain.draft_mut(Level::Region).subject = other.clone();
        draft.chain.draft_mut(Level::Zonal).issuer = other.clone();
        draft.reissue();
    });
}

#[test]
fn c5_issuers_may_issue_and_the_leaf_may_sign() {
    let rule = rule(Finding::C5);
    let constraints = ExtensionDraft::constraints;
    let usage = |level: Level, critical: bool, uses| {
        let index = if matches!(level, Level::Region | Level::Zonal) { 3 } else { 1 };
        extension(level, index, ExtensionDraft::usage(critical, uses))
    };
    let (signs, issues) = (KeyUsages::DigitalSignature, KeyUsages::KeyCertSign);
    for (level, below) in ISSUERS.into_iter().zip([2, 1, 0]) {
        if below > 0 {
            rule.refuses(extension(level, 0, constraints(true, Some(below - 1))));
        }
        rule.refuses(extension(level, 0, constraints(false, None)));
        rule.refuses(at(level, |c| c.extensions[0].critical = false));
        rule.refuses(at(level, |c| drop(c.extensions.remove(0))));
        rule.refuses(usage(level, true, signs.into()));
        rule.refuses(usage(level, false, issues.into()));
        rule.refuses(at(level, |c| c.extensions.retain(|e| e.oid != usage_oid())));
        rule.accepts(extension(level, 0, constraints(true, Some(below))));
        rule.accepts(extension(level, 0, constraints(true, Some(below + 1))));
        rule.accepts(extension(level, 0, constraints(true, None)));
        rule.accepts(usage(level, true, issues.into()));
        rule.accepts(usage(level, true, issues | signs));
    }
    rule.refuses(extension(Level::Leaf, 0, constraints(true, None)));
    rule.refuses(extension(Level::Leaf, 0, constraints(true, Some(0))));
    rule.refuses(extension(Level::Leaf, 0, constraints(false, Some(0))));
    rule.refuses(at(Level::Leaf, |c| drop(c.extensions.remove(0))));
    rule.refuses(usage(Level::Leaf, false, issues.into()));
    rule.refuses(usage(Level::Leaf, false, issues | signs));
    rule.refuses(usage(Level::Leaf, false, KeyUsages::NonRepudiation.into()));
    rule.refuses(at(Level::Leaf, |c| drop(c.extensions.remove(1))));
    rule.accepts(usage(Level::Leaf, false, signs.into()));
    rule.accepts(usage(Level::Leaf, true, signs | KeyUsages::NonRepudiation));
    // An instance that issues another issuer, for which its path is too short.
    rule.refuses(list(|list| list.push(TrustAnchor::aws().der().to_vec())));
}

fn usage_oid() -> ObjectIdentifier {
    const_oid::db::rfc5280::ID_CE_KEY_USAGE
}

#[test]
fn c6_no_critical_extension_is_unknown_and_no_key_is_for_other_uses() {
    let rule = rule(Finding::C6);
    let unknown = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1");
    for level in LEVELS {
        let add = |oid, critical| {
            at(level, move |c| {
                c.extensions.push(ExtensionDraft { oid, critical, value: element(SEQUENCE, &[]) });
            })
        };
        rule.refuses(add(unknown, true));
        rule.refuses(add(ID_CE_EXT_KEY_USAGE, true));
        rule.refuses(add(ID_CE_EXT_KEY_USAGE, false));
        rule.accepts(add(unknown, false));
    }
    for level in ISSUERS {
        // The two key identifiers, which nobody may mark critical (RFC 5280, section 4.2.1).
        rule.refuses(at(level, |c| c.extensions[2].critical = true));
    }
}

#[test]
fn c7_every_certificate_is_valid_at_the_time_of_judgement() {
    let rule = rule(Finding::C7);
    let hour = 3600;
    for level in LEVELS {
        rule.refuses(at(level, |c| c.not_after_s = NOW_S - 1));
        rule.refuses(at(level, |c| c.not_before_s = NOW_S + 1));
        rule.refuses(at(level, |c| c.not_before_s = NOW_S + hour));
        rule.accepts(at(level, |c| c.not_after_s = NOW_S));
        rule.accepts(at(level, |c| c.not_before_s = NOW_S));
    }
    for level in ISSUERS {
        rule.refuses(at(level, |c| c.not_after_s = NOW_S - hour));
    }
    let document = rule.document(|_| ());
    let judged =
        verify(&document, &rule.enclave.root.anchor(), &expected(), NOW_MS + 4 * 3_600_000);
    assert_eq!(finding(judged), Some(Finding::C7));
}

#[test]
fn c8_every_certificate_is_signed_by_the_one_before() {
    let rule = rule(Finding::C8);
    for level in LEVELS {
        // Under the right names, by somebody else's key.
        rule.refuses(|draft| {
            let forged = draft.chain.draft_mut(level).sign(&SigningKey::generate());
            issued(level, |der| *der = forged)(draft);
        });
        // By its own key.
        rule.refuses(|draft| {
            let forged = draft.chain.draft_mut(level);
            let forged = forged.sign(&forged.key);
            issued(level, |der| *der = forged)(draft);
        });
        // One bit of the number's last byte.
        rule.refuses(issued(level, |der| *der.last_mut().expect("has bytes") ^= 1));
    }
    // Signed by the one before it in the hierarchy, and not by the one before it in the list.
    rule.refuses(|draft| {
        let above = draft.chain.draft_mut(Level::Region).key.clone();
        let forged = draft.chain.draft_mut(Level::Instance).sign(&above);
        issued(Level::Instance, |der| *der = forged)(draft);
    });
    // By a "key" that is no point of the curve.
    rule.refuses(at(Level::Instance, |c| c.public_key_info = public_key_info(&off_curve(&c.key))));
    rule.accepts(issued(Level::Leaf, |_| ()));
}

/// The key's point with its last bit changed: no point has the same x and that y.
pub(super) fn off_curve(key: &SigningKey) -> Vec<u8> {
    let mut point = key.point().to_vec();
    *point.last_mut().expect("has bytes") ^= 1;
    point
}

#[test]
fn c9_no_certificate_occurs_twice() {
    let rule = rule(Finding::C9);
    let leaf = rule.enclave.draft().chain.leaf().to_vec();
    for index in 0..4 {
        rule.refuses(list(|list| list.push(list[index].clone())));
        rule.refuses(list(|list| list.insert(index + 1, list[index].clone())));
    }
    rule.refuses(list(|list| list.push(leaf.clone())));
    rule.refuses(|draft| {
        let instance = draft.chain.issued[Level::Instance as usize].clone();
        draft.payload.set("certificate", cbor::bytes(&instance));
    });
    // The same certificate signed again is another one: two random signatures differ.
    rule.accepts(DocumentDraft::reissue);
}

#[test]
fn c10_no_certificate_is_on_the_deny_list() {
    let rule = rule(Finding::C10);
    let draft = rule.enclave.draft();
    let print =
        |der: &[u8]| <[u8; 32]>::try_from(digest(&SHA256, der).as_ref()).expect("has 32 bytes");
    let check = |denied: &[[u8; 32]], expected_finding: Option<Finding>| {
        let anchor = rule.enclave.root.anchor().deny(denied.iter().copied());
        let judged = verify(&draft.sign(), &anchor, &expected(), NOW_MS);
        assert_eq!(finding(judged), expected_finding);
    };
    let prints: Vec<_> = draft.chain.cabundle().into_iter().map(print).collect();
    for print in &prints {
        check(&[*print], Some(Finding::C10));
    }
    check(&[print(draft.chain.leaf())], Some(Finding::C10));
    check(&[[0; 32], print(draft.chain.leaf())], Some(Finding::C10));
    check(&[], None);
    check(&[[0; 32], print(TrustAnchor::aws().der())], None);
}

/// A SubjectPublicKeyInfo on P-256.
fn p256_key_info() -> Vec<u8> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("has randomness");
    let algorithm = element(SEQUENCE, &[&oid(ID_EC_PUBLIC_KEY), &oid(SECP_256_R_1)]);
    element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], pair.public_key().as_ref()])])
}
