//! A1 to A8: the enclave is the expected one and answers what was asked.

use super::*;
use crate::nsm::certificate::{CertificateDraft, ExtensionDraft, name};
use crate::nsm::chain::Level;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::COMMON_NAME;
use std::iter::repeat_with;

const ROLE: &str = "arn:aws:iam::123456789012:role/signer";
const INSTANCE: &str = "i-0123456789abcdef0";
const OTHER_INSTANCE: &str = "i-0123456789abcdef1";

fn image(pcr0: u8, pcr1: u8, pcr2: u8) -> MeasurementSet {
    MeasurementSet::new([pcr0; 48], [pcr1; 48], [pcr2; 48]).expect("not zero")
}

/// Of these images, over everybody's nonce and manifest.
fn expecting(images: impl IntoIterator<Item = MeasurementSet>) -> Expectations {
    let mut images = images.into_iter();
    let first = Expectations::new(images.next().expect("is one at least"));
    images
        .fold(first, Expectations::or_image)
        .manifest(&ManifestHash::of(MANIFEST))
        .nonce(NONCE)
        .no_public_key()
}

impl Enclave {
    /// What a draft's document comes to under these expectations.
    #[track_caller]
    fn judge(&self, draft: &DocumentDraft, expected: &Expectations, outcome: Option<Finding>) {
        let judged = verify(&draft.sign(), &self.root.anchor(), expected, NOW_MS);
        assert_eq!(finding(judged), outcome);
    }
}

#[test]
fn a1_a_debug_enclave_is_refused_unless_allowed() {
    let rule = rule(Finding::A1);
    for index in 0..3 {
        rule.refuses(set_register(index, Some(pcr::ZERO)));
    }
    for index in [3, 8, 16] {
        let mut draft = rule.enclave.draft();
        set_register(index, Some(pcr::ZERO))(&mut draft);
        let outcome = (index == 16).then_some(Finding::A8);
        rule.enclave.judge(&draft, &expected(), outcome);
    }
    let debug = Enclave::start(Options { debug_mode: true, ..Options::default() }).lock_manifest();
    let draft = debug.draft();
    let of_debug = || expecting([MeasurementSet::debug_mode()]);
    debug.judge(&draft, &expected(), Some(Finding::A1));
    debug.judge(&draft, &of_debug(), Some(Finding::A1));
    debug.judge(&draft, &of_debug().allow_debug(), None);
    // Allowed or not, it matches no image; and a production enclave is not in debug mode.
    debug.judge(&draft, &expected().allow_debug(), Some(Finding::A2));
    rule.enclave.judge(&rule.enclave.draft(), &of_debug().allow_debug(), Some(Finding::A2));
    rule.enclave.judge(&rule.enclave.draft(), &expected().allow_debug(), None);
    assert!(MeasurementSet::debug_mode().is_debug_mode() && !image(1, 2, 3).is_debug_mode());
}

#[test]
fn a2_the_image_is_one_expected_set_matched_whole() {
    let rule = rule(Finding::A2);
    for index in 0..3 {
        rule.refuses(set_register(index, Some([9; 48])));
        rule.refuses(set_register(index, None));
    }
    rule.refuses(set("pcrs", [cbor::head(5, 1), vec![16], cbor::bytes(&[1; 48])].concat()));
    let other = MockNsm::new(
        &rule.enclave.root,
        [[1; 48], [2; 48], [9; 48]],
        Options { clock: rule.enclave.clock.clone(), ..Options::default() },
    );
    rule.refuses_bytes(&other.document(None, Some(NONCE), None));

    let draft = rule.enclave.draft();
    let check = |images: &[MeasurementSet], outcome| {
        rule.enclave.judge(&draft, &expecting(images.iter().cloned()), outcome);
    };
    check(&[image(1, 2, 3)], None);
    check(&[image(9, 2, 3)], Some(Finding::A2));
    check(&[image(1, 9, 3)], Some(Finding::A2));
    check(&[image(1, 2, 9)], Some(Finding::A2));
    // The right values in the wrong registers, and sets that hold them only together.
    check(&[image(3, 2, 1)], Some(Finding::A2));
    check(&[image(1, 2, 9), image(9, 9, 3)], Some(Finding::A2));
    check(&[image(1, 9, 9), image(9, 2, 9), image(9, 9, 3)], Some(Finding::A2));
    check(&[image(9, 9, 9), image(1, 2, 3)], None);
    check(&[image(1, 2, 3), image(9, 9, 9)], None);
    let judged = verify(
        &draft.sign(),
        &rule.enclave.root.anchor(),
        &expecting([image(9, 9, 9), image(1, 2, 3)]),
        NOW_MS,
    );
    assert_eq!(judged.expect("verifies").matched().set, image(1, 2, 3));
}

#[test]
fn a3_every_pinned_register_has_its_value_and_none_is_zero() {
    let enclave = Enclave::start(Options {
        role_arn: Some(ROLE.to_owned()),
        signer: Some([8; 48]),
        ..Options::default()
    })
    .lock_manifest();
    let check = |expected: Result<Expectations, PinError>, outcome| {
        enclave.judge(&enclave.draft(), &expected.expect("is consistent"), outcome);
    };
    check(expected().role_arn(ROLE), None);
    check(expected().role_arn("arn:aws:iam::123456789012:role/other"), Some(Finding::A3));
    check(expected().instance_id(INSTANCE), None);
    check(expected().instance_id(OTHER_INSTANCE), Some(Finding::A3));
    check(expected().pin(8, [8; 48]), None);
    check(expected().pin(8, [9; 48]), Some(Finding::A3));
    check(expected().pin(16, ManifestHash::of(MANIFEST).pcr16()), None);
    check(expected().pin(16, [9; 48]), Some(Finding::A3));
    check(expected().pin(17, [9; 48]), Some(Finding::A3));
    check(expected().pin(31, [9; 48]), Some(Finding::A3));
    check(expected().pin(8, [8; 48]).and_then(|e| e.role_arn(ROLE)), None);
    check(expected().pin(8, [8; 48]).and_then(|e| e.pin(17, [9; 48])), Some(Finding::A3));

    // Registers of an image's set beyond the first three: the set is matched whole.
    let signed = |signer: u8| image(1, 2, 3).pin(8, [signer; 48]).expect("not zero");
    check(Ok(expecting([signed(8)])), None);
    check(Ok(expecting([signed(9)])), Some(Finding::A3));
    check(Ok(expecting([signed(9), image(1, 2, 3)])), None);
    check(Ok(expecting([signed(9), signed(8)])), None);
    check(Ok(expecting([image(9, 2, 3).pin(8, [8; 48]).expect("not zero")])), Some(Finding::A2));
    let of_role = |pcr3| image(1, 2, 3).pin(3, pcr3).expect("not zero");
    check(Ok(expecting([of_role(pcr::of_role_arn(ROLE))])), None);
    check(Ok(expecting([of_role([9; 48])])), Some(Finding::A3));

    // A pin of zeros would hold for every enclave that measured nothing there.
    let error = |pin: Result<Expectations, PinError>| pin.err();
    for index in [0, 3, 4, 8, 16, 31] {
        assert_eq!(error(expected().pin(index, pcr::ZERO)), Some(PinError::Zero(index)));
    }
    assert_eq!(error(expected().pin(32, [1; 48])), Some(PinError::Index(32)));
    let twice = expected().pin(8, [8; 48]).and_then(|e| e.pin(8, [9; 48]));
    assert_eq!(error(twice), Some(PinError::Conflict(8)));
    assert!(expected().pin(8, [8; 48]).and_then(|e| e.pin(8, [8; 48])).is_ok());
}

#[test]
fn a4_the_nonce_is_the_askers() {
    let rule = rule(Finding::A4);
    let with = |nonce: Option<&[u8]>| rule.enclave.nsm.document(None, nonce, None);
    rule.refuses_bytes(&with(None));
    rule.refuses_bytes(&with(Some(b"")));
    rule.refuses_bytes(&with(Some(b"another")));
    rule.refuses_bytes(&with(Some(&NONCE[1..])));
    rule.refuses_bytes(&with(Some(&[NONCE, b"\0"].concat())));
    rule.refuses(|d| d.payload.remove("nonce"));
    rule.check(&with(Some(NONCE)), None);

    let judged = |document: &[u8], expected: Expectations| {
        finding(verify(document, &rule.enclave.root.anchor(), &expected, NOW_MS))
    };
    assert_eq!(judged(&with(Some(NONCE)), expected().nonce(b"another")), Some(Finding::A4));
    assert_eq!(judged(&with(None), expected().nonce(b"")), Some(Finding::A4), "null is not empty");
    assert_eq!(judged(&with(Some(b"")), expected().nonce(b"")), None);
    // Who asked for none takes any.
    let any = || Expectations::new(image(1, 2, 3));
    assert_eq!(judged(&with(Some(b"another")), any()), None);
    assert_eq!(judged(&with(None), any()), None);
}

#[test]
fn a5_user_data_and_public_key_are_what_the_asker_expects() {
    let enclave = ordinary();
    let check = |fields: [Option<&[u8]>; 2], expected: Expectations, outcome| {
        let [user_data, public_key] = fields;
        enclave.judge(&enclave.nsm.draft(user_data, None, public_key), &expected, outcome);
    };
    let any = || Expectations::new(image(1, 2, 3));
    let refused = Some(Finding::A5);
    let (none, empty, some, other) =
        (None, Some(&b""[..]), Some(&b"some"[..]), Some(&b"someone"[..]));

    check([some, other], any(), None);
    check([some, none], any().user_data(b"some"), None);
    check([other, none], any().user_data(b"some"), refused);
    check([empty, none], any().user_data(b"some"), refused);
    check([none, none], any().user_data(b"some"), refused);
    check([none, none], any().user_data(b""), refused);
    check([empty, none], any().user_data(b""), None);
    // Each in its own field.
    check([none, some], any().user_data(b"some"), refused);
    check([some, none], any().public_key(b"some"), refused);

    check([none, some], any().public_key(b"some"), None);
    check([none, other], any().public_key(b"some"), refused);
    check([none, none], any().public_key(b"some"), refused);
    check([none, none], any().public_key(b""), refused);
    check([none, none], any().no_public_key(), None);
    check([none, some], any().no_public_key(), refused);
    check([none, empty], any().no_public_key(), refused);
    check([some, some], any().user_data(b"some").public_key(b"some"), None);
    check([some, other], any().user_data(b"some").public_key(b"some"), refused);
    check([other, some], any().user_data(b"some").public_key(b"some"), refused);
}

#[test]
fn a6_the_leaf_and_pcr4_are_of_the_modules_instance() {
    let rule = rule(Finding::A6);
    let id = rule.enclave.nsm.module_id();
    let with_name = |common_name: String| {
        move |draft: &mut DocumentDraft| {
            draft.chain.draft_mut(Level::Leaf).subject = name(&[(COMMON_NAME, &common_name)]);
            draft.reissue();
        }
    };
    rule.refuses(with_name("i-0123456789abcdef1-enc0.us-east-1.aws".to_owned()));
    rule.refuses(with_name(format!("{INSTANCE}.us-east-1.aws")));
    rule.refuses(with_name(id.clone()));
    rule.refuses(with_name(format!("{id}0.us-east-1.aws")));
    rule.refuses(with_name(format!("x{id}.us-east-1.aws")));
    rule.refuses(with_name(format!("{}.us-east-1.aws", id.to_uppercase())));
    rule.accepts(with_name(format!("{id}.us-east-1.aws")));
    rule.accepts(with_name(format!("{id}.eu-central-1.aws")));

    rule.refuses(set("module_id", cbor::text(&format!("{INSTANCE}-enc0123456789abcdef"))));
    rule.refuses(set_register(4, Some(pcr::of_instance_id(OTHER_INSTANCE))));
    rule.refuses(set_register(4, Some(pcr::ZERO)));
    rule.refuses(set_register(4, None));
    rule.accepts(set_register(4, Some(pcr::of_instance_id(INSTANCE))));
    // Another instance's module id and leaf, over this one's register.
    rule.refuses(|draft| {
        let other = format!("{OTHER_INSTANCE}-enc0123456789abcdef");
        draft.payload.set("module_id", cbor::text(&other));
        with_name(format!("{other}.us-east-1.aws"))(draft);
    });
}

#[test]
fn a7_another_root_is_asked_for_usable_and_reported() {
    let check = |der: &[u8], usable: bool| {
        let anchor = TrustAnchor::custom_der(der);
        let found = anchor.as_ref().err().map(Rejection::finding);
        assert_eq!(found, (!usable).then_some(Finding::A7), "{:?}", anchor.err());
    };
    let root = DevelopmentRoot::generate();
    let draft = {
        let mut draft = ordinary().draft().chain.draft_mut(Level::Region).clone();
        (draft.issuer, draft.subject) = (root.name(), root.name());
        draft.extensions[0] = ExtensionDraft::constraints(true, None);
        draft
    };
    let bent = |bend: &dyn Fn(&mut CertificateDraft)| {
        let mut draft = draft.clone();
        bend(&mut draft);
        draft.sign(&draft.key)
    };
    check(root.der(), true);
    check(&bent(&|_| ()), true);
    check(&[], false);
    check(&[0x30, 0], false);
    check(&vec![0x30; 1025], false);
    check(&[root.der(), &[0]].concat(), false);
    check(&bent(&|draft| draft.issuer = name(&[(COMMON_NAME, "another")])), false);
    check(&bent(&|draft| draft.extensions[0] = ExtensionDraft::constraints(false, None)), false);
    check(&bent(&|draft| draft.extensions[0].critical = false), false);
    check(&bent(&|draft| draft.version = 1), false);
    // Of the right names, and signed by another key.
    check(&draft.sign(root.key()), false);

    // As long as a certificate in a document may be, and a byte longer.
    let of_length = |length: usize| {
        let unknown = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1");
        let padded = |padding: usize| {
            let value = vec![0; padding];
            let padding = ExtensionDraft { oid: unknown, critical: false, value };
            bent(&|draft| draft.extensions.push(padding.clone()))
        };
        let padding = length + 256 - padded(256).len();
        // The signature takes a byte or two more or less each time.
        repeat_with(|| padded(padding)).find(|der| der.len() == length).expect("never ends")
    };
    check(&of_length(1024), true);
    check(&of_length(1025), false);

    // Whoever judges by another root reads so; Amazon's is Amazon's however it was named.
    let amazons = TrustAnchor::aws();
    assert_eq!(TrustAnchor::custom_der(amazons.der()).map(|a| a.kind()), Ok(TrustKind::Aws));
    assert_eq!(amazons.kind(), TrustKind::Aws);
    assert_eq!(root.anchor().kind(), TrustKind::Custom);
    let enclave = Enclave::start_under(root, Options::default()).lock_manifest();
    let document = enclave.draft().sign();
    assert_eq!(enclave.verify(&document).expect("verifies").trust(), TrustKind::Custom);
    let judged = verify(&document, &amazons, &expected(), NOW_MS);
    assert_eq!(finding(judged), Some(Finding::C1), "nobody asked for the other root");
    let pem = enclave.root.pem();
    assert!(TrustAnchor::custom_pem(pem.as_bytes()).is_ok());
    // Comments around the certificate, as many as a file may have, and a byte more.
    let longest = pem.clone() + &"\n".repeat(16_384 - pem.len());
    assert!(TrustAnchor::custom_pem(longest.as_bytes()).is_ok());
    let longer = longest + "\n";
    let key = pem.replace("CERTIFICATE", "PUBLIC KEY");
    for other in ["", "no PEM", &pem.repeat(2), &key, &longer] {
        let found = TrustAnchor::custom_pem(other.as_bytes()).err().map(|r| r.finding());
        assert_eq!(found, Some(Finding::A7));
    }
}

#[test]
fn a8_pcr16_is_the_expected_manifests() {
    let rule = rule(Finding::A8);
    let draft = rule.enclave.draft();
    let another = ManifestHash::of(b"another");
    rule.enclave.judge(&draft, &expected().manifest(&another), Some(Finding::A8));
    rule.enclave.judge(&draft, &expected(), None);
    rule.refuses(set_register(16, Some(another.pcr16())));
    rule.refuses(set_register(16, Some(pcr::ZERO)));
    rule.refuses(set_register(16, None));
    // The hash itself is not what extending it into zeros gives.
    rule.refuses(set_register(16, Some(ManifestHash::of(MANIFEST).as_bytes().0)));
    // Measured and not locked: whoever runs in the enclave could still extend it.
    let unlocked = Enclave::start(Options::default());
    unlocked.judge(&unlocked.draft(), &expected(), Some(Finding::A8));
    // A foreign image's asker names no manifest.
    let foreign = Expectations::new(image(1, 2, 3));
    unlocked.judge(&unlocked.draft(), &foreign, None);
}
