//! Do the mock's documents verify, and does the verifier find each defect put into one?
#![allow(clippy::panic)]

use super::certificate::{ExtensionDraft, element, name};
use super::chain::Level;
use super::document::cbor;
use super::*;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::COMMON_NAME;
use der::Encode;
use nitro_signer_shared::attestation::{
    Expectations, Finding, Rejection, TrustAnchor, TrustKind, UnverifiedDocument, VerifiedDocument,
};
use nitro_signer_shared::manifest::ManifestHash;
use serde_bytes::ByteBuf;
use x509_cert::ext::pkix::KeyUsages;

const IMAGE: [Pcr; 3] = [[1; 48], [2; 48], [3; 48]];
const NONCE: &[u8] = b"the asker's nonce";
const MANIFEST: &[u8] = b"a manifest";
const NOW_MS: u64 = 1_767_225_600_000;

/// An enclave at a fixed time, its manifest measured and locked.
struct Enclave {
    root: DevelopmentRoot,
    nsm: MockNsm,
    clock: Clock,
}

impl Enclave {
    fn start(options: Options) -> Self {
        let clock = Clock::fixed(NOW_MS);
        let root = DevelopmentRoot::generate();
        let nsm = MockNsm::new(&root, IMAGE, Options { clock: clock.clone(), ..options });
        let data = ManifestHash::of(MANIFEST).as_bytes().to_vec();
        assert!(matches!(
            nsm.process(Request::ExtendPCR { index: 16, data }),
            Response::ExtendPCR { .. }
        ));
        Self { root, nsm, clock }
    }

    fn lock_manifest(self) -> Self {
        assert!(matches!(self.nsm.process(Request::LockPCR { index: 16 }), Response::LockPCR));
        self
    }

    fn draft(&self) -> DocumentDraft {
        self.nsm.draft(None, Some(NONCE), None)
    }

    fn verify(&self, document: &[u8]) -> Result<VerifiedDocument, Rejection> {
        verify(document, &self.root.anchor(), &expected(), self.clock.now_ms())
    }
}

fn ordinary() -> Enclave {
    Enclave::start(Options::default()).lock_manifest()
}

fn expected() -> Expectations {
    let [pcr0, pcr1, pcr2] = IMAGE;
    Expectations::new(MeasurementSet::new(pcr0, pcr1, pcr2).expect("not zero"))
        .manifest(&ManifestHash::of(MANIFEST))
        .nonce(NONCE)
        .no_public_key()
}

fn verify(
    document: &[u8],
    anchor: &TrustAnchor,
    expected: &Expectations,
    now_ms: u64,
) -> Result<VerifiedDocument, Rejection> {
    UnverifiedDocument::parse(document)?.authenticate(anchor, now_ms)?.check(expected, now_ms)
}

fn finding<T>(result: Result<T, Rejection>) -> Option<Finding> {
    result.err().map(|rejection| rejection.finding())
}

#[test]
fn documents_verify_in_both_map_forms() {
    for form in [MapForm::Definite, MapForm::Indefinite] {
        let enclave =
            Enclave::start(Options { map_forms: MapForms::Only(form), ..Options::default() })
                .lock_manifest();
        let draft = enclave.draft();
        assert_eq!(draft.payload.form, form);
        let document = enclave.verify(&draft.sign()).expect("verifies");
        assert_eq!(document.trust(), TrustKind::Custom);
        assert_eq!(document.module_id(), enclave.nsm.module_id());
        assert_eq!(document.timestamp_ms(), NOW_MS);
        assert_eq!(document.pcrs().len(), 17);
        assert_eq!(document.matched().set, enclave.nsm.measurements().expect("not zero"));
        assert_eq!(document.not_asked(), [Finding::C10, Finding::A3]);
    }
    let enclave = ordinary();
    assert_ne!(enclave.draft().payload.form, enclave.draft().payload.form, "they alternate");
}

#[test]
fn role_instance_and_signer_are_measured() {
    let arn = "arn:aws:iam::123456789012:role/signer";
    let enclave = Enclave::start(Options {
        role_arn: Some(arn.to_owned()),
        signer: Some([8; 48]),
        ..Options::default()
    })
    .lock_manifest();
    let check = |expected: Result<Expectations, PinError>, outcome: Option<Finding>| {
        let expected = expected.expect("is consistent");
        let document = enclave.draft().sign();
        assert_eq!(finding(verify(&document, &enclave.root.anchor(), &expected, NOW_MS)), outcome);
    };
    check(expected().role_arn(arn), None);
    check(expected().role_arn("arn:aws:iam::123456789012:role/other"), Some(Finding::A3));
    check(expected().instance_id("i-0123456789abcdef0"), None);
    check(expected().instance_id("i-0123456789abcdef1"), Some(Finding::A3));
    check(expected().pin(8, [8; 48]), None);
    check(expected().pin(8, [9; 48]), Some(Finding::A3));
    check(expected().pin(17, [9; 48]), Some(Finding::A3));
}

#[test]
fn other_enclaves_and_other_times_are_refused() {
    let enclave = ordinary();
    let document = enclave.draft().sign();
    let anchor = enclave.root.anchor();
    let check = |anchor: &TrustAnchor, expected: &Expectations, now_ms, code| {
        assert_eq!(finding(verify(&document, anchor, expected, now_ms)), Some(code));
    };
    check(&DevelopmentRoot::generate().anchor(), &expected(), NOW_MS, Finding::C1);
    check(&TrustAnchor::aws(), &expected(), NOW_MS, Finding::C1);
    let leaf_print = |der: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
        <[u8; 32]>::try_from(digest.as_ref()).expect("has 32 bytes")
    };
    let denied = enclave.root.anchor().deny([leaf_print(enclave.draft().chain.leaf())]);
    check(&denied, &expected(), NOW_MS, Finding::C10);

    check(&anchor, &expected(), NOW_MS + 4 * 3_600_000, Finding::C7);
    check(&anchor, &expected(), NOW_MS + 3_600_000, Finding::T2);
    check(&anchor, &expected().max_age_ms(999), NOW_MS + 1000, Finding::T2);
    check(&anchor, &expected().skew_ms(999), NOW_MS - 1000, Finding::T2);
    check(&anchor, &expected().nonce(b"another"), NOW_MS, Finding::A4);
    check(&anchor, &expected().user_data(b"some"), NOW_MS, Finding::A5);
    check(&anchor, &expected().public_key(b"some"), NOW_MS, Finding::A5);
    check(&anchor, &expected().manifest(&ManifestHash::of(b"another")), NOW_MS, Finding::A8);

    let unlocked = Enclave::start(Options::default());
    assert_eq!(finding(unlocked.verify(&unlocked.draft().sign())), Some(Finding::A8));
    let debug = Enclave::start(Options { debug_mode: true, ..Options::default() }).lock_manifest();
    assert_eq!(finding(debug.verify(&debug.draft().sign())), Some(Finding::A1));
    let with_key = enclave.nsm.document(None, Some(NONCE), Some(b"a key"));
    assert_eq!(finding(enclave.verify(&with_key)), Some(Finding::A5));

    let other = MockNsm::new(
        &enclave.root,
        [[1; 48], [2; 48], [9; 48]],
        Options { clock: enclave.clock.clone(), ..Options::default() },
    );
    assert_eq!(
        finding(enclave.verify(&other.document(None, Some(NONCE), None))),
        Some(Finding::A2)
    );
}

/// Each case puts one defect into an ordinary document.
#[test]
fn a_defect_in_payload_or_envelope_is_found() {
    let enclave = ordinary();
    let check = |defect: &dyn Fn(&mut DocumentDraft), code: Finding| {
        let mut draft = enclave.draft();
        defect(&mut draft);
        assert_eq!(finding(enclave.verify(&draft.sign())), Some(code));
    };
    let set = |key: &'static str, value: Vec<u8>, code| {
        check(&|draft| draft.payload.set(key, value.clone()), code);
    };

    check(&|d| d.envelope.trailing = vec![0; 32_768], Finding::E1);
    check(&|d| d.envelope.trailing = vec![0], Finding::E2);
    check(&|d| d.envelope.tags = vec![18, 18], Finding::E3);
    check(&|d| d.envelope.tags = vec![61, 18], Finding::E3);
    check(&|d| d.envelope.extra = vec![cbor::null()], Finding::E4);
    check(&|d| d.envelope.protected = vec![0xa1, 0x01, 0x26], Finding::E5);
    check(&|d| d.envelope.protected = Vec::new(), Finding::E5);
    check(&|d| d.envelope.unprotected = vec![0xa1, 0x01, 0x26], Finding::E6);
    check(&|d| d.envelope.unprotected = vec![0xbf, 0xff], Finding::E6);
    set("padding", cbor::bytes(&[0; 16_384]), Finding::E7);

    set("module_id", cbor::text(""), Finding::P5);
    set("module_id", cbor::text("i-0123456789abcdef0-tpm0123456789abcdef"), Finding::P5);
    set("module_id", cbor::text("i-0123456789ABCDEF0-enc0123456789abcdef"), Finding::P5);
    set("module_id", cbor::text("i-0123456789abcdef0-enc0123456789abcdef0"), Finding::P5);
    set("module_id", cbor::bytes(b"i-0123456789abcdef0-enc0123456789abcdef"), Finding::P3);
    set("digest", cbor::text("SHA256"), Finding::P6);
    set("timestamp", cbor::unsigned(0), Finding::P7);
    set("timestamp", cbor::unsigned(u64::MAX), Finding::P7);
    set("timestamp", cbor::text("now"), Finding::P3);
    set("timestamp", vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 1], Finding::P1);
    set("pcrs", cbor::head(5, 0), Finding::P8);
    set("pcrs", cbor::head(5, 33), Finding::P8);
    set("pcrs", cbor::head(5, u64::MAX), Finding::P8);
    let registers = |entries: &[(u64, usize)]| {
        let entries = entries.iter().map(|(index, length)| {
            [cbor::unsigned(*index), cbor::bytes(&vec![1; *length])].concat()
        });
        let entries: Vec<Vec<u8>> = entries.collect();
        [cbor::head(5, entries.len() as u64), entries.concat()].concat()
    };
    set("pcrs", registers(&[(0, 48), (0, 48)]), Finding::P8);
    set("pcrs", registers(&[(32, 48)]), Finding::P8);
    set("pcrs", registers(&[(0, 47)]), Finding::P8);
    set("pcrs", registers(&[(0, 32)]), Finding::P8);
    set("pcrs", registers(&[(16, 48)]), Finding::A2);
    set("certificate", cbor::bytes(&[]), Finding::P9);
    set("certificate", cbor::bytes(&[0x30; 1025]), Finding::P9);
    set("certificate", cbor::null(), Finding::P3);
    set("cabundle", cbor::array(&[]), Finding::P9);
    set("cabundle", cbor::array(&vec![cbor::bytes(&[1]); 9]), Finding::P9);
    set("cabundle", cbor::head(4, u64::MAX), Finding::P9);
    set("cabundle", cbor::bytes(&[1]), Finding::P3);
    set("nonce", cbor::bytes(&[0; 1025]), Finding::P10);
    set("user_data", cbor::text("text"), Finding::P10);
    set("user_data", vec![0xf7], Finding::P10);
    set("public_key", vec![0x5f, 0xff], Finding::P10);
    set("nitrotpm_pcrs", cbor::head(5, 0), Finding::P11);
    set("other", cbor::null(), Finding::P4);
    for key in ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"] {
        check(&|d| d.payload.remove(key), Finding::P3);
    }
    check(&|d| d.payload.remove("nonce"), Finding::A4);
    check(&|d| d.payload.entries.push(("nonce".to_owned(), cbor::null())), Finding::P2);
    check(&|d| d.payload.set("timestamp", cbor::unsigned(NOW_MS - 4000)), Finding::T3);
}

#[test]
fn a_defect_in_the_chain_is_found() {
    let enclave = ordinary();
    let check = |defect: &dyn Fn(&mut Chain), code: Option<Finding>| {
        let mut draft = enclave.draft();
        defect(&mut draft.chain);
        draft.reissue();
        assert_eq!(finding(enclave.verify(&draft.sign())), code);
    };
    let at = |level: Level, defect: &dyn Fn(&mut certificate::CertificateDraft), code| {
        check(&|chain| defect(chain.draft_mut(level)), Some(code));
    };
    let (now_s, hour) = (NOW_MS / 1000, 3600);
    let issuing = KeyUsages::KeyCertSign | KeyUsages::DigitalSignature;
    let other = name(&[(COMMON_NAME, "another.us-east-1.aws.nitro-enclaves")]);
    let unknown = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.99999.1");
    let extra = |oid, critical| ExtensionDraft { oid, critical, value: element(0x30, &[]) };

    check(&|_| (), None);
    at(Level::Zonal, &|c| c.version = 1, Finding::C2);
    at(Level::Leaf, &|c| c.extensions.push(c.extensions[0].clone()), Finding::C2);
    at(Level::Leaf, &|c| c.extensions[0].value.push(0), Finding::C2);
    // cA = FALSE written out, where DER leaves the default away.
    at(Level::Leaf, &|c| c.extensions[0].value = vec![0x30, 3, 1, 1, 0], Finding::C2);
    at(Level::Leaf, &|c| c.extensions[1].value = vec![0x03, 3, 7, 0xc0, 0x00], Finding::C2);

    let sha256 = const_oid::db::rfc5912::ECDSA_WITH_SHA_256.to_der().expect("encodes");
    let sha256 = element(0x30, &[&sha256]);
    at(Level::Leaf, &|c| c.inner_algorithm = sha256.clone(), Finding::C3);
    at(Level::Region, &|c| c.outer_algorithm = sha256.clone(), Finding::C3);
    at(Level::Leaf, &|c| c.public_key_info = p256_key_info(), Finding::C3);
    at(Level::Zonal, &|c| c.issuer = other.clone(), Finding::C4);

    let replace = |index: usize, extension: ExtensionDraft| {
        move |c: &mut certificate::CertificateDraft| c.extensions[index] = extension.clone()
    };
    at(Level::Region, &replace(0, ExtensionDraft::constraints(true, Some(1))), Finding::C5);
    at(Level::Zonal, &replace(0, ExtensionDraft::constraints(true, Some(0))), Finding::C5);
    at(Level::Instance, &replace(0, ExtensionDraft::constraints(false, None)), Finding::C5);
    at(Level::Instance, &|c| c.extensions[0].critical = false, Finding::C5);
    at(Level::Instance, &|c| drop(c.extensions.remove(0)), Finding::C5);
    at(Level::Instance, &|c| drop(c.extensions.remove(1)), Finding::C5);
    let signing_only = ExtensionDraft::usage(true, KeyUsages::DigitalSignature);
    at(Level::Instance, &replace(1, signing_only), Finding::C5);
    at(Level::Leaf, &replace(0, ExtensionDraft::constraints(true, Some(0))), Finding::C5);
    at(Level::Leaf, &replace(1, ExtensionDraft::usage(false, issuing)), Finding::C5);
    at(Level::Leaf, &|c| drop(c.extensions.remove(1)), Finding::C5);

    at(Level::Leaf, &|c| c.extensions.push(extra(unknown, true)), Finding::C6);
    let purposes = const_oid::db::rfc5280::ID_CE_EXT_KEY_USAGE;
    at(Level::Leaf, &|c| c.extensions.push(extra(purposes, false)), Finding::C6);
    check(&|c| c.draft_mut(Level::Leaf).extensions.push(extra(unknown, false)), None);

    for level in [Level::Region, Level::Zonal, Level::Instance, Level::Leaf] {
        at(level, &|c| c.not_after_s = now_s - 1, Finding::C7);
        at(level, &|c| c.not_before_s = now_s + 1, Finding::C7);
    }
    check(&|c| c.draft_mut(Level::Leaf).not_after_s = now_s, None);
    at(Level::Instance, &|c| c.not_after_s = now_s - hour, Finding::C7);

    let wrong_name = name(&[(COMMON_NAME, "i-0123456789abcdef1-enc0.us-east-1.aws")]);
    at(Level::Leaf, &|c| c.subject = wrong_name.clone(), Finding::A6);
    at(Level::Leaf, &|c| c.subject = name(&[]), Finding::C2);
}

#[test]
fn certificates_are_used_whole_and_in_order() {
    let enclave = ordinary();
    let check = |change: &dyn Fn(&mut Vec<Vec<u8>>), code: Finding| {
        let mut draft = enclave.draft();
        let mut cabundle: Vec<_> = draft.chain.cabundle().into_iter().map(cbor::bytes).collect();
        change(&mut cabundle);
        draft.payload.set("cabundle", cbor::array(&cabundle));
        assert_eq!(finding(enclave.verify(&draft.sign())), Some(code));
    };
    check(&|list| list.swap(0, 1), Finding::C1);
    check(&|list| drop(list.remove(0)), Finding::C1);
    check(&|list| drop(list.remove(2)), Finding::C4);
    check(&|list| list.push(list[3].clone()), Finding::C9);
    check(&|list| list.push(cbor::bytes(enclave.draft().chain.leaf())), Finding::C9);
    check(&|list| list.push(cbor::bytes(TrustAnchor::aws().der())), Finding::C5);
    check(&|list| list[1] = cbor::bytes(&[0x30, 0]), Finding::C2);

    // A zonal certificate signed by somebody else's key, under the right names.
    let mut draft = enclave.draft();
    let forged = draft.chain.drafts[1].sign(&key::SigningKey::generate());
    draft.chain.issued[1] = forged;
    draft.embed_chain();
    assert_eq!(finding(enclave.verify(&draft.sign())), Some(Finding::C8));

    // A document signed by another leaf than the one it brings.
    let mut draft = enclave.draft();
    draft.chain.draft_mut(Level::Leaf).key = key::SigningKey::generate();
    assert_eq!(finding(enclave.verify(&draft.sign())), Some(Finding::S1));
}

#[test]
fn a_module_that_names_another_instance_is_refused() {
    let enclave = ordinary();
    let mut draft = enclave.draft();
    draft.payload.set("module_id", cbor::text("i-0123456789abcdef0-enc0123456789abcdef"));
    assert_eq!(finding(enclave.verify(&draft.sign())), Some(Finding::A6));

    let mut draft = enclave.draft();
    let mut registers: BTreeMap<u8, Pcr> =
        enclave.verify(&draft.sign()).expect("verifies").pcrs().clone();
    registers.insert(4, pcr::of_instance_id("i-0123456789abcdef1"));
    let written: Vec<u8> = registers
        .iter()
        .flat_map(|(i, value)| [cbor::unsigned(u64::from(*i)), cbor::bytes(value)].concat())
        .collect();
    draft.payload.set("pcrs", [cbor::head(5, registers.len() as u64), written].concat());
    assert_eq!(finding(enclave.verify(&draft.sign())), Some(Finding::A6));
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let enclave = ordinary();
    let (day_ms, mut leaves) = (86_400_000, 0);
    let mut last = Vec::new();
    for _ in 0..30 {
        let draft = enclave.draft();
        enclave.verify(&draft.sign()).expect("verifies at every time");
        if draft.chain.leaf() != last {
            last = draft.chain.leaf().to_vec();
            leaves += 1;
        }
        enclave.clock.shift(3_600_000);
    }
    assert_eq!(leaves, 10, "a leaf serves three hours of the thirty");
    for days in [1, 20, 365, -400] {
        enclave.clock.shift(days * day_ms);
        enclave.verify(&enclave.draft().sign()).expect("verifies at every time");
    }
}

#[test]
fn requests_have_the_limits_and_errors_of_the_device() {
    let nsm = MockNsm::new(&DevelopmentRoot::generate(), IMAGE, Options::default());
    let check = |request: Request, expected: &str| {
        let answer = format!("{:?}", nsm.process(request));
        assert!(answer.starts_with(expected), "{answer} instead of {expected}");
    };
    let extend = |index, data: &[u8]| Request::ExtendPCR { index, data: data.to_vec() };
    let attest = |length: usize| {
        let field = Some(ByteBuf::from(vec![7; length]));
        Request::Attestation { user_data: field.clone(), nonce: field.clone(), public_key: field }
    };
    check(Request::DescribePCR { index: 15 }, "DescribePCR { lock: true");
    check(Request::DescribePCR { index: 16 }, "DescribePCR { lock: false, data: [0, 0");
    check(Request::DescribePCR { index: 31 }, "DescribePCR { lock: false");
    check(Request::DescribePCR { index: 32 }, "Error(InvalidIndex)");
    check(extend(0, b"data"), "Error(ReadOnlyIndex)");
    check(extend(15, b"data"), "Error(ReadOnlyIndex)");
    check(extend(32, b"data"), "Error(InvalidIndex)");
    check(extend(16, b""), "Error(InvalidArgument)");
    check(extend(16, &[0; 4097]), "Error(InputTooLarge)");
    let once = pcr::extend(&pcr::ZERO, b"one");
    check(extend(16, b"one"), &format!("ExtendPCR {{ data: {once:?} }}"));
    let twice = pcr::extend(&once, b"two");
    check(extend(16, b"two"), &format!("ExtendPCR {{ data: {twice:?} }}"));
    check(Request::LockPCR { index: 3 }, "Error(ReadOnlyIndex)");
    check(Request::LockPCR { index: 32 }, "Error(InvalidIndex)");
    check(Request::LockPCR { index: 16 }, "LockPCR");
    check(Request::LockPCR { index: 16 }, "Error(ReadOnlyIndex)");
    check(extend(16, b"three"), "Error(ReadOnlyIndex)");
    check(
        Request::DescribePCR { index: 16 },
        &format!("DescribePCR {{ lock: true, data: {twice:?}"),
    );
    check(Request::LockPCRs { range: 33 }, "Error(InvalidIndex)");
    check(Request::LockPCRs { range: 18 }, "LockPCRs");
    check(extend(17, b"data"), "Error(ReadOnlyIndex)");
    check(extend(18, b"data"), "ExtendPCR");
    check(attest(1024), "Attestation");
    check(attest(1025), "Error(InputTooLarge)");
    match nsm.process(Request::DescribeNSM) {
        Response::DescribeNSM { module_id, max_pcrs, locked_pcrs, digest, .. } => {
            assert_eq!(module_id, nsm.module_id());
            assert_eq!(max_pcrs, 32);
            assert_eq!(locked_pcrs, (0..18).collect());
            assert_eq!(digest, Digest::SHA384);
        }
        other => panic!("{other:?}"),
    }
    let random = || match nsm.process(Request::GetRandom) {
        Response::GetRandom { random } => random,
        other => panic!("{other:?}"),
    };
    assert_eq!(random().len(), 256);
    assert_ne!(random(), random());
}

/// A SubjectPublicKeyInfo on P-256.
fn p256_key_info() -> Vec<u8> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("has randomness");
    let oid = |oid: ObjectIdentifier| oid.to_der().expect("encodes");
    let algorithm = element(
        0x30,
        &[
            &oid(const_oid::db::rfc5912::ID_EC_PUBLIC_KEY),
            &oid(const_oid::db::rfc5912::SECP_256_R_1),
        ],
    );
    element(0x30, &[&algorithm, &element(0x03, &[&[0], pair.public_key().as_ref()])])
}
