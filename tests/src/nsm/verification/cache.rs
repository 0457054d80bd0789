//! Does an anchor that remembers issuers come to the same verdicts as one that does not?

use super::super::certificate::public_key_info;
use super::super::chain::Level;
use super::super::key::SigningKey;
use super::*;
use std::num::NonZeroUsize;

fn remembering(enclave: &Enclave, capacity: usize) -> TrustAnchor {
    enclave.root.anchor().remembering(NonZeroUsize::new(capacity).expect("not zero"))
}

#[test]
fn the_region_and_the_zone_are_remembered_and_no_other() {
    let enclave = ordinary();
    let anchor = remembering(&enclave, 8);
    assert_eq!(anchor.remembered(), 0);
    for _ in 0..3 {
        let document = enclave.draft().sign();
        verify(&document, &anchor, &expected(), NOW_MS).expect("verifies");
        assert_eq!(anchor.remembered(), 2);
    }
    assert_eq!(enclave.root.anchor().remembered(), 0);
}

#[test]
fn what_was_not_needed_for_longest_is_forgotten() {
    let enclave = ordinary();
    let other = Enclave::start_under(enclave.root, Options::default()).lock_manifest();
    let anchor = remembering(&other, 1);
    for _ in 0..2 {
        verify(&other.draft().sign(), &anchor, &expected(), NOW_MS).expect("verifies");
        assert_eq!(anchor.remembered(), 1);
    }
}

/// A zone under one region's certificate is not remembered under another of the same name.
#[test]
fn an_issuer_is_remembered_under_its_own_issuers_only() {
    let enclave = ordinary();
    let anchor = remembering(&enclave, 8);
    let (good, mut renewed) = (enclave.draft(), enclave.draft());
    let region = renewed.chain.draft_mut(Level::Region);
    region.key = SigningKey::generate();
    region.public_key_info = public_key_info(region.key.point());
    renewed.reissue();
    for draft in [&good, &renewed] {
        verify(&draft.sign(), &anchor, &expected(), NOW_MS).expect("verifies");
    }
    assert_eq!(anchor.remembered(), 4);
    let mut mixed = good;
    let region = renewed.chain.issued[Level::Region as usize].clone();
    chain::issued(Level::Region, |der| *der = region)(&mut mixed);
    assert_eq!(finding(verify(&mixed.sign(), &anchor, &expected(), NOW_MS)), Some(Finding::C8));
}

/// A certificate that was remembered is judged anew in everything but its signature.
#[test]
fn a_remembered_issuer_is_judged_for_each_document() {
    let enclave = ordinary();
    let anchor = remembering(&enclave, 8);
    let good = enclave.draft();
    verify(&good.sign(), &anchor, &expected(), NOW_MS).expect("verifies");
    let document = good.sign();
    let days = |days: u64| NOW_MS + days * 86_400_000;
    let later = verify(&document, &anchor, &expected(), days(30));
    assert_eq!(finding(later), Some(Finding::C7));
    let zonal = good.chain.cabundle()[2].to_vec();
    let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &zonal);
    let denying = anchor.clone().deny([print.as_ref().try_into().expect("has 32 bytes")]);
    assert_eq!(finding(verify(&document, &denying, &expected(), NOW_MS)), Some(Finding::C10));

    // The remembered zone's key under a certificate that nobody signed, and out of its place.
    let check = |change: &dyn Fn(&mut Vec<Vec<u8>>), code: Finding| {
        let mut draft = enclave.draft();
        let mut cabundle: Vec<Vec<u8>> =
            draft.chain.cabundle().into_iter().map(<[u8]>::to_vec).collect();
        change(&mut cabundle);
        let written: Vec<Vec<u8>> = cabundle.iter().map(|der| cbor::bytes(der)).collect();
        draft.payload.set("cabundle", cbor::array(&written));
        assert_eq!(finding(verify(&draft.sign(), &anchor, &expected(), NOW_MS)), Some(code));
    };
    check(&|list| *list[2].last_mut().expect("has bytes") ^= 1, Finding::C8);
    check(&|list| drop(list.remove(1)), Finding::C4);
    check(&|list| list.swap(1, 2), Finding::C5);
    assert_eq!(anchor.remembered(), 2, "what does not verify is not remembered");

    // Another root's chain is never found, however equal its names are.
    let foreign = ordinary();
    assert_eq!(
        finding(verify(&foreign.draft().sign(), &anchor, &expected(), NOW_MS)),
        Some(Finding::C1)
    );
    let mut draft = enclave.draft();
    draft.chain.draft_mut(Level::Leaf).version = 1;
    draft.reissue();
    assert_eq!(
        finding(verify(&draft.sign(), &anchor, &expected(), NOW_MS)),
        Some(Finding::C2),
        "and the rest of the chain is judged as ever"
    );
}
