//! Does a whole verification say of every rule what became of it, and never more than is known?

use super::*;
use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementsFile};
use nitro_signer_shared::attestation::{Outcome, Skipped, Time, Verdict, Verification};

/// The rules that are judged before this one's group, in the order of judgement.
fn before(broken: Finding) -> Vec<Finding> {
    use Finding::{
        A7, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, E1, E2, E3, E4, E5, E6, E7, E8, P1, P2, P3,
        P4, P5, P6, P7, P8, P9, P10, P11, S1, S2, T3,
    };
    let groups: [&[Finding]; 14] = [
        &[A7],
        &[E1],
        &[E2, E3, E4, E5, E6, E7, E8],
        &[P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11],
        &[C1],
        &[C9],
        &[C10],
        &[C2, C3, C6],
        &[C5],
        &[C4],
        &[C8],
        &[S1, S2],
        &[C7],
        &[T3],
    ];
    groups.into_iter().take_while(|group| !group.contains(&broken)).flatten().copied().collect()
}

fn whole(enclave: &Enclave, document: &[u8], expected: &Expectations) -> Verification {
    let anchor = enclave.root.anchor().deny([[0; 32]]);
    let now = Time::Now(enclave.clock.now_ms());
    nitro_signer_shared::attestation::verify(document, &anchor, expected, now)
}

fn failed(verification: &Verification) -> Vec<Finding> {
    let failed = |(_, outcome): &(Finding, Outcome)| matches!(outcome, Outcome::Failed(_));
    verification.outcomes().filter(failed).map(|(finding, _)| finding).collect()
}

/// In each stage one rule is broken: those judged before have passed, and nothing is said of the
/// others.
#[test]
fn a_broken_rule_leaves_those_behind_it_unjudged() {
    let enclave = ordinary();
    let check = |change: &dyn Fn(&mut DocumentDraft), broken: Finding| {
        let mut draft = enclave.draft();
        change(&mut draft);
        let verification = whole(&enclave, &draft.sign(), &expected());
        assert!(matches!(verification.verdict(), Verdict::Refused), "{broken}");
        for (finding, outcome) in verification.outcomes() {
            let expected = if finding == broken {
                assert!(matches!(outcome, Outcome::Failed(_)), "{broken}: {outcome:?}");
                continue;
            } else if before(broken).contains(&finding) {
                Outcome::Passed
            } else {
                Outcome::Skipped(Skipped::NotReached(broken))
            };
            assert_eq!(outcome, expected, "{finding} where {broken} is broken");
        }
        assert_eq!(verification.into_result().err().map(|r| r.finding()), Some(broken));
    };
    check(&|draft| draft.envelope.trailing = vec![0; 32_768], Finding::E1);
    check(&|draft| draft.envelope.trailing = vec![0], Finding::E2);
    check(&|draft| draft.envelope.tags = vec![61], Finding::E3);
    check(&|draft| draft.payload.set("digest", cbor::text("SHA256")), Finding::P6);
    let list = |draft: &DocumentDraft| {
        draft.chain.cabundle().into_iter().map(cbor::bytes).collect::<Vec<_>>()
    };
    check(&|d| d.payload.set("cabundle", cbor::array(&list(d)[1..])), Finding::C1);
    check(
        &|d| d.payload.set("cabundle", cbor::array(&[list(d), vec![list(d)[3].clone()]].concat())),
        Finding::C9,
    );
    check(
        &|d| d.payload.set("cabundle", cbor::array(&[&list(d)[..2], &list(d)[3..]].concat())),
        Finding::C4,
    );
    check(&|draft| draft.payload.set("timestamp", cbor::unsigned(NOW_MS - 4000)), Finding::T3);
}

#[test]
fn what_is_expected_is_judged_whole() {
    let enclave = ordinary();
    let document = enclave.draft().sign();
    let wrong =
        Expectations::new(MeasurementSet::new([9; 48], [2; 48], [3; 48]).expect("not zero"))
            .nonce(b"another")
            .user_data(b"some")
            .instance_id("i-0")
            .expect("is one pin")
            .manifest(&ManifestHash::of(b"another"))
            .max_age_ms(0)
            .skew_ms(0);
    enclave.clock.shift(1);
    let verification = whole(&enclave, &document, &wrong);
    use Finding::{A2, A3, A4, A5, A8, T2};
    assert!(matches!(verification.verdict(), Verdict::Mismatch(_)));
    assert_eq!(failed(&verification), [T2, A2, A3, A4, A5, A8]);
    let gravest_first: Vec<_> = verification.rejections().iter().map(|r| r.finding()).collect();
    assert_eq!(gravest_first, [T2, A2, A3, A4, A5, A8]);
    let passed = verification.outcomes().filter(|(_, outcome)| *outcome == Outcome::Passed).count();
    assert_eq!(passed, Finding::ALL.len() - 6, "and all others passed");
}

#[test]
fn nothing_expected_is_said_to_be_skipped_and_why() {
    let enclave = ordinary();
    let document = enclave.draft().sign();
    let [pcr0, pcr1, pcr2] = IMAGE;
    let bare = Expectations::new(MeasurementSet::new(pcr0, pcr1, pcr2).expect("not zero"));
    let now = Time::Now(NOW_MS);
    let verification = nitro_signer_shared::attestation::verify(
        &document,
        &enclave.root.anchor(),
        &bare.allow_debug(),
        now,
    );
    let skipped: Vec<(Finding, String)> = verification
        .outcomes()
        .filter_map(|(finding, outcome)| match outcome {
            Outcome::Skipped(why) => Some((finding, why.to_string())),
            _ => None,
        })
        .collect();
    let expected = [
        (Finding::C10, "no deny-list was given; revocation lists are not read"),
        (Finding::A1, "debug mode was allowed"),
        (Finding::A3, "no register beside PCR0, PCR1 and PCR2 was pinned"),
        (Finding::A4, "no nonce was given"),
        (Finding::A5, "no user_data or public_key was expected"),
        (Finding::A8, "no manifest was given"),
    ];
    assert_eq!(skipped, expected.map(|(finding, why)| (finding, why.to_owned())));
    assert!(failed(&verification).is_empty());
    assert!(verification.into_result().is_ok());
}

/// What became of one rule.
fn outcome(verification: &Verification, wanted: Finding) -> Outcome {
    let mut outcomes = verification.outcomes();
    outcomes.find(|(finding, _)| *finding == wanted).expect("is in the list").1
}

/// Passed, or skipped because nothing was expected there.
fn passed(finding: Finding, asked: bool) -> Outcome {
    if asked { Outcome::Passed } else { Outcome::Skipped(Skipped::NotAsked(finding)) }
}

/// An image's own registers count too: those of the one that matched, or else of any of them.
#[test]
fn registers_pinned_alone_or_with_an_image_were_asked_for() {
    let enclave = Enclave::start(Options { signer: Some([8; 48]), ..Options::default() });
    let document = enclave.draft().sign();
    let image = |pcr0| MeasurementSet::new([pcr0; 48], IMAGE[1], IMAGE[2]).expect("not zero");
    let signed = |pcr0| image(pcr0).pin(8, [8; 48]).expect("not zero");
    let of = |first: MeasurementSet, second: MeasurementSet| {
        Expectations::new(first).or_image(second).nonce(NONCE)
    };
    let check = |expected: Expectations, asked: bool| {
        let verification = whole(&enclave, &document, &expected);
        assert_eq!(outcome(&verification, Finding::A3), passed(Finding::A3, asked));
    };
    check(of(image(1), image(9)), false);
    check(of(image(1), image(9)).pin(8, [8; 48]).expect("is one pin"), true);
    check(of(image(1), signed(9)), false);
    check(of(signed(1), image(9)), true);
    check(of(image(1), image(9)).nonce(b"another"), false);
    check(of(image(1), signed(9)).nonce(b"another"), true);
    check(of(signed(1), image(9)).nonce(b"another"), true);
}

#[test]
fn either_of_user_data_and_public_key_can_be_asked_for() {
    let enclave = ordinary();
    let document = enclave.nsm.document(Some(b"some"), None, Some(b"key"));
    let [pcr0, pcr1, pcr2] = IMAGE;
    let any = || Expectations::new(MeasurementSet::new(pcr0, pcr1, pcr2).expect("not zero"));
    let check = |expected: Expectations, asked: bool| {
        let verification = whole(&enclave, &document, &expected);
        assert_eq!(outcome(&verification, Finding::A5), passed(Finding::A5, asked));
    };
    check(any(), false);
    check(any().user_data(b"some"), true);
    check(any().public_key(b"key"), true);
    check(any().user_data(b"some").public_key(b"key"), true);
}

/// Of a document that is refused for another reason too.
#[test]
fn a_deny_list_was_given_or_not_whatever_was_broken_behind_it() {
    let enclave = ordinary();
    let mut draft = enclave.draft();
    draft.payload.set("timestamp", cbor::unsigned(NOW_MS - 4000));
    let document = draft.sign();
    let check = |denied: Option<[u8; 32]>| {
        let anchor = enclave.root.anchor().deny(denied);
        let now = Time::Now(NOW_MS);
        let verification =
            nitro_signer_shared::attestation::verify(&document, &anchor, &expected(), now);
        assert_eq!(failed(&verification), [Finding::T3]);
        assert_eq!(outcome(&verification, Finding::C10), passed(Finding::C10, denied.is_some()));
    };
    check(None);
    check(Some([0; 32]));
}

#[test]
fn a_document_is_judged_as_of_the_time_that_was_asked_for() {
    let enclave = ordinary();
    let document = enclave.draft().sign();
    let check = |time: Time, judged_at_ms: Option<u64>, basis: &str| {
        let anchor = enclave.root.anchor();
        let verification =
            nitro_signer_shared::attestation::verify(&document, &anchor, &expected(), time);
        assert_eq!(time.basis(), basis);
        assert_eq!(verification.into_result().ok().map(|d| d.judged_at_ms()), judged_at_ms);
    };
    check(Time::Now(NOW_MS + 1000), Some(NOW_MS + 1000), "now");
    check(Time::Given(NOW_MS + 2000), Some(NOW_MS + 2000), "given");
    check(Time::OfDocument, Some(NOW_MS), "document");
    check(Time::Now(NOW_MS + 86_400_000), None, "now");
}

/// A revoked image, or one whose time is over, is no match although its registers are equal.
#[test]
fn an_image_is_trusted_until_it_is_revoked_or_over() {
    let enclave = ordinary();
    let document = enclave.draft().sign();
    let [pcr0, pcr1, pcr2] = IMAGE;
    let image =
        || ImageMeasurements::from(MeasurementSet::new(pcr0, pcr1, pcr2).expect("not zero"));
    let other = MeasurementSet::new([9; 48], pcr1, pcr2).expect("not zero");
    let check = |image: ImageMeasurements, found: Result<Option<&str>, &str>| {
        let file = MeasurementsFile::new(vec![other.clone().into(), image]).expect("two images");
        let verification = whole(&enclave, &document, &Expectations::of_file(&file));
        match (verification.into_result(), found) {
            (Ok(document), Ok(version)) => {
                assert_eq!(document.matched().version.as_deref(), version);
            }
            (Err(rejection), Err(how)) => {
                assert_eq!((rejection.finding(), rejection.detail()), (Finding::A2, how));
            }
            (Ok(_), Err(how)) => panic!("verified instead of: {how}"),
            (Err(rejection), Ok(_)) => panic!("{rejection}"),
        }
    };
    check(image(), Ok(None));
    let version = Some("1.2.3".to_owned());
    check(ImageMeasurements { version, ..image() }, Ok(Some("1.2.3")));
    check(ImageMeasurements { not_after_ms: Some(NOW_MS), ..image() }, Ok(None));
    check(
        ImageMeasurements { not_after_ms: Some(NOW_MS - 1000), ..image() },
        Err("the image was to be trusted until 2025-12-31T23:59:59Z"),
    );
    check(
        ImageMeasurements { revoked: Some("leaks".to_owned()), ..image() },
        Err("the image is revoked: leaks"),
    );
}
