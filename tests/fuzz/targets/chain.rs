//! The chain of certificates, in a good document that its leaf signs. The first certificate of the
//! input is the trust anchor; one fixed key signs them all, unless the input asks for its bytes as
//! they are. A chain that is accepted
//! - is not accepted under Amazon's root, nor after all time that X.509 knows;
//! - is not accepted without its root or its leaf, with two certificates exchanged, with one twice,
//!   with one denied, or with another signature on the document;
//! - makes a verified document only if the leaf's name and PCR4 are of the module that signed.
//!
//! The input: a byte of switches, the time in ms (8 bytes), certificates with two bytes of length.
#![no_main]

use aws_lc_rs::digest::{SHA256, digest};
use libfuzzer_sys::fuzz_target;
use nitro_signer_fuzz::input::Input;
use nitro_signer_fuzz::{chain, document};
use nitro_signer_shared::attestation::{
    AuthenticDocument, Expectations, Finding, MeasurementSet, Rejection, TrustAnchor, TrustKind,
    UnverifiedDocument, pcr,
};

const AS_IT_IS: u8 = 1;
const OTHER_PCR4: u8 = 2;
/// More than cabundle may have, and the leaf.
const MOST: usize = 10;
/// The last second of the year 9999, after which X.509 has no times.
const END_OF_TIME_MS: u64 = 253_402_300_799_000;

/// The document of a chain: its payload, and a signature by the fixed key.
struct Draft {
    payload: Vec<u8>,
    signature: [u8; 96],
}

impl Draft {
    fn new(certificates: &[Vec<u8>], at_ms: u64, pcr4: &[u8; 48]) -> Self {
        let payload = document::payload(certificates, at_ms, pcr4);
        let signature = chain::sign_document(&document::signed(&payload));
        Self { payload, signature }
    }

    fn authenticate(
        &self,
        anchor: &TrustAnchor,
        at_ms: u64,
    ) -> Result<AuthenticDocument, Rejection> {
        UnverifiedDocument::parse(&document::envelope(&self.payload, &self.signature))?
            .authenticate(anchor, at_ms)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let (switches, at_ms) = (input.byte(), input.u64().clamp(1, END_OF_TIME_MS));
    let mut certificates = Vec::new();
    while !input.is_empty() && certificates.len() < MOST {
        let part = input.part();
        let keep = switches & AS_IT_IS != 0;
        certificates.push(if keep { part.to_vec() } else { chain::resign(part) });
        // Nothing behind a root that is none comes to its turn.
        if certificates.len() == 1 && TrustAnchor::custom_der(&certificates[0]).is_err() {
            return;
        }
    }
    let [root, .., leaf] = &certificates[..] else { return };
    let anchor = TrustAnchor::custom_der(root).expect("was taken before");
    let own = pcr::of_instance_id(document::INSTANCE);
    let pcr4 = if switches & OTHER_PCR4 == 0 { own } else { [4; 48] };
    let draft = Draft::new(&certificates, at_ms, &pcr4);
    let Ok(authentic) = draft.authenticate(&anchor, at_ms) else { return };
    assert_eq!(authentic.trust(), TrustKind::Custom);

    assert!(draft.authenticate(&anchor, END_OF_TIME_MS + 1_000).is_err());
    let mut forged = Draft { payload: draft.payload.clone(), signature: draft.signature };
    forged.signature[95] ^= 1;
    assert!(forged.authenticate(&anchor, at_ms).is_err(), "another signature");
    check_changes(&certificates, &anchor, at_ms, &pcr4);
    let denied =
        anchor.clone().deny([digest(&SHA256, leaf).as_ref().try_into().expect("32 bytes")]);
    assert_eq!(draft.authenticate(&denied, at_ms).err().map(|e| e.finding()), Some(Finding::C10));
    assert!(draft.authenticate(&TrustAnchor::aws(), at_ms).is_err());
    check_module(authentic, at_ms, pcr4 == own);
});

fn check_changes(certificates: &[Vec<u8>], anchor: &TrustAnchor, at_ms: u64, pcr4: &[u8; 48]) {
    let refused = |changed: &[Vec<u8>], what: &str| {
        let draft = Draft::new(changed, at_ms, pcr4);
        assert!(draft.authenticate(anchor, at_ms).is_err(), "accepted {what}");
    };
    let last = certificates.len() - 1;
    refused(&certificates[1..], "without its root");
    refused(&certificates[..last], "without its leaf");
    refused(&[&certificates[..1], certificates].concat(), "with its root twice");
    let mut turned = certificates.to_vec();
    turned.swap(last - 1, last);
    refused(&turned, "with its leaf as an issuer");
}

fn check_module(authentic: AuthenticDocument, at_ms: u64, own_pcr4: bool) {
    let leaf = authentic.leaf_name().to_owned();
    let [pcr0, pcr1, pcr2] = document::IMAGE;
    let image = MeasurementSet::new(pcr0, pcr1, pcr2).expect("none is zero");
    let verified = authentic.check(&Expectations::new(image), at_ms).is_ok();
    let named = leaf.strip_prefix(document::MODULE).is_some_and(|rest| rest.starts_with('.'));
    assert_eq!(verified, named && own_pcr4, "{leaf}");
}
