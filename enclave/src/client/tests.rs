#![allow(clippy::unwrap_used)]

use super::*;
use crate::key::{Nonces, PrivateKey};
use alloy_primitives::{Address, FixedBytes, U256};
use nitro_signer_shared::manifest::{AssertedEntry, ClientEntry, Switches};

pub(crate) const NOW_S: u64 = 1_800_000_000;

/// A manifest with the client `operator` (key 0x07…, group `admins`) and the asserted name `app`
/// (group `apps`), and this policy.
pub(crate) fn manifest(policy: &str) -> Manifest {
    let key = k256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
    let public_key = FixedBytes::from_slice(key.verifying_key().to_sec1_point(true).as_bytes());
    let name = |text: &str| text.parse::<Name>().unwrap();
    Manifest {
        format: 1,
        version: 1,
        deployment: name("test"),
        vault: name("main"),
        wrapping_keys: vec![
            "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()
                .unwrap(),
        ],
        clients: vec![ClientEntry {
            name: name("operator"),
            public_key,
            groups: vec![name("admins")],
        }],
        asserted: vec![AssertedEntry { name: name("app"), groups: vec![name("apps")] }],
        addresses: vec![],
        policy: policy.to_owned(),
        abis: vec![],
        typed_data: vec![],
        switches: Switches::default(),
        siblings: vec![],
        custody: Default::default(),
    }
}

/// The proof by which `operator` asks for this intent.
pub(crate) fn proof(intent: &Intent, manifest: &ManifestHash, expiry: u64) -> ClientProof {
    signed_by(7, intent, manifest, B256::repeat_byte(1), expiry)
}

fn signed_by(
    key: u8,
    intent: &Intent,
    manifest: &ManifestHash,
    request_id: B256,
    expiry: u64,
) -> ClientProof {
    let key = PrivateKey::from_material(&[key; 32]).unwrap();
    let hash = intent.signing_hash(manifest, request_id, expiry);
    let signature = key.sign_hash(hash, Nonces::Deterministic).unwrap();
    let v = [27 + u8::from(signature.y_parity)];
    let signature = FixedBytes::from_slice(&[&signature.r[..], &signature.s[..], &v].concat());
    ClientProof { request_id, expiry, signature }
}

struct Fixture {
    callers: Callers,
    hash: ManifestHash,
    intent: Intent,
}

impl Fixture {
    fn new() -> Self {
        let intent = Intent::sign_transaction(Address::repeat_byte(9), B256::repeat_byte(8));
        let callers = Callers::new(&manifest("")).unwrap();
        Self { callers, hash: ManifestHash::of(b"this manifest"), intent }
    }

    fn good(&self) -> ClientProof {
        proof(&self.intent, &self.hash, NOW_S + 60)
    }

    fn ask(&self, asserted: Option<&str>, proofs: &[ClientProof]) -> Result<Caller, RefusalCode> {
        self.callers
            .authenticate(asserted, proofs, &self.intent, &self.hash, NOW_S)
            .map_err(|refusal| refusal.code)
    }

    /// A bad proof is refused alone and beside a good name, and leaves nothing behind.
    fn refuses(&self, proof: ClientProof, expected: RefusalCode) {
        for asserted in [None, Some("app")] {
            assert_eq!(self.ask(asserted, std::slice::from_ref(&proof)), Err(expected));
        }
        assert!(self.ask(None, &[self.good()]).is_ok(), "the id was used up");
    }
}

#[test]
fn a_good_proof_makes_a_client_whatever_name_the_parent_asserts() {
    for asserted in [None, Some("app"), Some("nobody")] {
        let fixture = Fixture::new();
        let caller = fixture.ask(asserted, &[fixture.good()]).unwrap();
        assert_eq!(caller.proved().unwrap().name().as_str(), "operator");
    }
}

#[test]
fn without_a_proof_only_a_listed_name_is_somebody() {
    let fixture = Fixture::new();
    let caller = fixture.ask(Some("app"), &[]).unwrap();
    assert!(matches!(&caller, Caller::Asserted(a) if a.name().as_str() == "app"));
    assert_eq!(caller.proved().unwrap_err().code, RefusalCode::ProofRequired);
    for name in [None, Some(""), Some("operator"), Some("App"), Some("app "), Some("apps")] {
        assert_eq!(fixture.ask(name, &[]), Err(RefusalCode::NotAuthenticated), "{name:?}");
    }
}

#[test]
fn every_v_that_stands_for_the_parity_is_taken_and_no_other() {
    for v in 0..=255 {
        let fixture = Fixture::new();
        let mut proof = fixture.good();
        let right = proof.signature[64] - 27;
        proof.signature[64] = v;
        let taken = fixture.ask(None, &[proof]).is_ok();
        assert_eq!(taken, v == right || v == right + 27, "{v}");
    }
}

#[test]
fn a_proof_for_another_request_manifest_or_key_is_refused() {
    let f = Fixture::new();
    let id = B256::repeat_byte(1);
    let expiry = NOW_S + 60;
    let other_manifest = ManifestHash::of(b"another manifest");
    for (proof, what) in [
        (signed_by(7, &f.intent, &other_manifest, id, expiry), "manifest"),
        (signed_by(8, &f.intent, &f.hash, id, expiry), "key"),
        (signed_by(7, &Intent::create_vault("main"), &f.hash, id, expiry), "action"),
        (
            signed_by(
                7,
                &Intent::sign_transaction(Address::repeat_byte(8), B256::repeat_byte(8)),
                &f.hash,
                id,
                expiry,
            ),
            "address",
        ),
        (
            signed_by(
                7,
                &Intent::sign_transaction(Address::repeat_byte(9), B256::repeat_byte(7)),
                &f.hash,
                id,
                expiry,
            ),
            "payload",
        ),
        (ClientProof { request_id: B256::repeat_byte(2), ..f.good() }, "id"),
        (ClientProof { expiry: expiry + 1, ..f.good() }, "expiry"),
        (ClientProof { signature: FixedBytes::ZERO, ..f.good() }, "zeros"),
        (ClientProof { signature: FixedBytes::repeat_byte(0xff), ..f.good() }, "ones"),
    ] {
        let fixture = Fixture::new();
        assert_eq!(
            fixture.ask(Some("app"), std::slice::from_ref(&proof)),
            Err(RefusalCode::ProofInvalid),
            "{what}"
        );
        fixture.refuses(proof, RefusalCode::ProofInvalid);
    }
}

#[test]
fn a_signature_with_s_in_the_upper_half_is_refused() {
    let fixture = Fixture::new();
    let mut proof = fixture.good();
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let order = U256::from_str_radix(order, 16).unwrap();
    let s = U256::from_be_slice(&proof.signature[32..64]);
    proof.signature[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    proof.signature[64] ^= 27 ^ 28;
    fixture.refuses(proof, RefusalCode::ProofInvalid);
}

#[test]
fn an_expiry_lies_after_now_and_at_most_ten_minutes_ahead() {
    for (expiry, expected) in [
        (0, Some(RefusalCode::ProofExpired)),
        (NOW_S - 1, Some(RefusalCode::ProofExpired)),
        (NOW_S, Some(RefusalCode::ProofExpired)),
        (NOW_S + 1, None),
        (NOW_S + 600, None),
        (NOW_S + 601, Some(RefusalCode::ProofExpired)),
        (u64::MAX, Some(RefusalCode::ProofExpired)),
    ] {
        let f = Fixture::new();
        let proof = proof(&f.intent, &f.hash, expiry);
        assert_eq!(f.ask(Some("app"), &[proof]).err(), expected, "{expiry}");
    }
    // The time is looked at before the signature.
    let f = Fixture::new();
    let unsigned = ClientProof { expiry: NOW_S, signature: FixedBytes::ZERO, ..f.good() };
    f.refuses(unsigned, RefusalCode::ProofExpired);
}

#[test]
fn a_proof_serves_once() {
    let fixture = Fixture::new();
    let proof = fixture.good();
    assert!(fixture.ask(None, std::slice::from_ref(&proof)).is_ok());
    let again = fixture.ask(Some("app"), &[proof]);
    assert_eq!(again, Err(RefusalCode::ProofReplayed));
}

#[test]
fn of_many_who_use_one_proof_at_once_one_gets_through() {
    let fixture = Fixture::new();
    let proof = [fixture.good()];
    let through = std::thread::scope(|scope| {
        let tries = [(); 8].map(|()| scope.spawn(|| fixture.ask(None, &proof).is_ok()));
        tries.into_iter().map(|one| one.join().unwrap()).filter(|through| *through).count()
    });
    assert_eq!(through, 1);
}

#[test]
fn more_than_one_proof_is_refused_before_any_is_looked_at() {
    let fixture = Fixture::new();
    for count in [2, 16, 17] {
        let proofs = vec![fixture.good(); count];
        assert_eq!(fixture.ask(Some("app"), &proofs), Err(RefusalCode::ProofCount));
    }
    assert!(fixture.ask(None, &[fixture.good()]).is_ok());
}

#[test]
fn a_public_key_that_is_no_point_fails_the_load() {
    let mut manifest = manifest("");
    // 5 is the x of no point; 4 begins the uncompressed form; the last x is above the field.
    let x5 = [vec![2], vec![0; 31], vec![5]].concat();
    for bad in [vec![0; 33], x5, vec![4; 33], [vec![2], vec![0xff; 32]].concat()] {
        manifest.clients[0].public_key = FixedBytes::from_slice(&bad);
        let refusal = Callers::new(&manifest).err().unwrap();
        assert_eq!(refusal.code, RefusalCode::ManifestInvalid);
        assert!(refusal.detail.contains("operator"), "{refusal}");
    }
}
