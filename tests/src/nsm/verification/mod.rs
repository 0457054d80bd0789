//! Do the mock's documents verify, and does the verifier find each defect put into one?
//!
//! One test for each finding, named by its code, with all of its cases and the accepted side of
//! each boundary. A case has one defect, so that it does not depend on what is judged first.
#![allow(clippy::panic)]

mod cache;
mod chain;
mod envelope;
mod expectations;
mod payload;
mod report;
mod scalar;
pub(super) mod second_p384;
pub(super) mod second_verifier;
mod signature;
mod time;

use super::document::cbor;
use super::*;
use nitro_signer_shared::attestation::{
    Expectations, Finding, Rejection, TrustAnchor, TrustKind, UnverifiedDocument, VerifiedDocument,
};
use nitro_signer_shared::manifest::ManifestHash;

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
        Self::start_under(DevelopmentRoot::generate(), options)
    }

    fn start_under(root: DevelopmentRoot, options: Options) -> Self {
        let clock = Clock::fixed(NOW_MS);
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

/// What everybody here expects of an enclave, unless a case says otherwise.
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

/// One rule, and an ordinary enclave whose documents are bent to break it or nearly to.
struct Rule {
    finding: Finding,
    enclave: Enclave,
}

/// The rule with this code.
fn rule(finding: Finding) -> Rule {
    Rule { finding, enclave: ordinary() }
}

impl Rule {
    /// An ordinary document with one change.
    fn document(&self, change: impl FnOnce(&mut DocumentDraft)) -> Vec<u8> {
        let mut draft = self.enclave.draft();
        change(&mut draft);
        draft.sign()
    }

    #[track_caller]
    fn check(&self, document: &[u8], expected: Option<Finding>) {
        let rejection = self.enclave.verify(document).err();
        let found = rejection.as_ref().map(Rejection::finding);
        assert_eq!(found, expected, "{rejection:?}");
    }

    /// The rule refuses these bytes.
    #[track_caller]
    fn refuses_bytes(&self, document: &[u8]) {
        self.check(document, Some(self.finding));
    }

    /// The rule refuses an ordinary document with this change.
    #[track_caller]
    fn refuses(&self, change: impl FnOnce(&mut DocumentDraft)) {
        self.refuses_bytes(&self.document(change));
    }

    /// Every rule accepts an ordinary document with this change.
    #[track_caller]
    fn accepts(&self, change: impl FnOnce(&mut DocumentDraft)) {
        self.check(&self.document(change), None);
    }

    /// This rule accepts the change, and another one does not.
    #[track_caller]
    fn leaves_to(&self, other: Finding, change: impl FnOnce(&mut DocumentDraft)) {
        assert_ne!(other, self.finding);
        self.check(&self.document(change), Some(other));
    }
}

/// The change of one key of the payload to this written value.
fn set(key: &'static str, value: Vec<u8>) -> impl FnOnce(&mut DocumentDraft) {
    move |draft| draft.payload.set(key, value)
}

/// What a draft's registers hold.
fn registers(draft: &DocumentDraft) -> BTreeMap<u8, Pcr> {
    let document = UnverifiedDocument::parse(&draft.sign()).expect("has no defect yet");
    document.unverified().pcrs().clone()
}

/// The change of one register; `None` takes it away.
fn set_register(index: u8, value: Option<Pcr>) -> impl FnOnce(&mut DocumentDraft) {
    move |draft| {
        let mut values = registers(draft);
        match value {
            Some(value) => values.insert(index, value),
            None => values.remove(&index),
        };
        let written: Vec<u8> = values
            .iter()
            .flat_map(|(i, value)| [cbor::unsigned(u64::from(*i)), cbor::bytes(value)].concat())
            .collect();
        draft.payload.set("pcrs", [cbor::head(5, values.len() as u64), written].concat());
    }
}

/// S2 is a matter of types: what must not compile stands beside the verifier.
#[test]
fn each_finding_has_one_test_named_by_it() {
    let tests = [
        include_str!("envelope.rs"),
        include_str!("payload.rs"),
        include_str!("chain.rs"),
        include_str!("signature.rs"),
        include_str!("time.rs"),
        include_str!("expectations.rs"),
    ]
    .concat();
    for finding in Finding::ALL {
        let head = format!("#[test]\nfn {}_", finding.code().to_lowercase());
        let expected = usize::from(*finding != Finding::S2);
        assert_eq!(tests.matches(&head).count(), expected, "{finding}");
    }
    let types = include_str!("../../../../shared/src/attestation/impossible.rs");
    assert!(types.contains("S2") && types.contains("```compile_fail,E0"));
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
