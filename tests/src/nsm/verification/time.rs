//! T1 to T3: one time of judgement, a document of about that time, inside its leaf's life.

use super::*;
use crate::nsm::chain::Level;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// An ordinary document, judged as the case says.
struct Case {
    enclave: Enclave,
    document: Vec<u8>,
}

fn case() -> Case {
    let enclave = ordinary();
    let document = enclave.draft().sign();
    Case { enclave, document }
}

impl Case {
    #[track_caller]
    fn check(&self, chain_ms: u64, now_ms: u64, expected: &Expectations, outcome: Option<Finding>) {
        let judged = UnverifiedDocument::parse(&self.document)
            .and_then(|document| document.authenticate(&self.enclave.root.anchor(), chain_ms))
            .and_then(|document| document.check(expected, now_ms));
        if let Ok(document) = &judged {
            assert_eq!(document.judged_at_ms(), chain_ms);
        }
        assert_eq!(finding(judged), outcome);
    }
}

#[test]
fn t1_chain_and_document_are_judged_at_one_time_which_is_reported() {
    let case = case();
    let check = |chain_ms, now_ms, outcome| case.check(chain_ms, now_ms, &expected(), outcome);
    check(NOW_MS, NOW_MS, None);
    // What clocks may differ by, either way.
    check(NOW_MS, NOW_MS + MINUTE, None);
    check(NOW_MS + MINUTE, NOW_MS, None);
    check(NOW_MS, NOW_MS + MINUTE + 1, Some(Finding::T1));
    check(NOW_MS + MINUTE + 1, NOW_MS, Some(Finding::T1));
    check(NOW_MS, 0, Some(Finding::T1));
    check(NOW_MS, u64::MAX, Some(Finding::T1));
    let exact = expected().skew_ms(0);
    case.check(NOW_MS, NOW_MS, &exact, None);
    case.check(NOW_MS + 1, NOW_MS, &exact, Some(Finding::T1));
    case.check(NOW_MS, NOW_MS + 1, &exact, Some(Finding::T1));
}

#[test]
fn t2_a_document_is_not_too_old_and_not_too_far_ahead() {
    let case = case();
    let check = |now_ms, expected: &Expectations, outcome| {
        case.check(now_ms, now_ms, expected, outcome);
    };
    let usual = expected();
    check(NOW_MS + 5 * MINUTE, &usual, None);
    check(NOW_MS + 5 * MINUTE + 1, &usual, Some(Finding::T2));
    check(NOW_MS + 60 * MINUTE, &usual, Some(Finding::T2));
    check(NOW_MS + SECOND, &expected().max_age_ms(SECOND), None);
    check(NOW_MS + SECOND, &expected().max_age_ms(SECOND - 1), Some(Finding::T2));
    check(NOW_MS, &expected().max_age_ms(0), None);
    check(NOW_MS + 1, &expected().max_age_ms(0), Some(Finding::T2));
    check(NOW_MS + 60 * MINUTE, &expected().max_age_ms(u64::MAX), None);

    check(NOW_MS - SECOND, &usual, None);
    check(NOW_MS - SECOND, &expected().skew_ms(SECOND), None);
    check(NOW_MS - SECOND, &expected().skew_ms(SECOND - 1), Some(Finding::T2));
    check(NOW_MS, &expected().skew_ms(0), None);
    check(NOW_MS - 1, &expected().skew_ms(0), Some(Finding::T2));
    check(NOW_MS - SECOND, &expected().skew_ms(u64::MAX), None);

    // The same by the document's timestamp.
    let rule = rule(Finding::T2);
    let made = |timestamp_ms| {
        move |draft: &mut DocumentDraft| {
            draft.chain.draft_mut(Level::Leaf).not_before_s -= 3600;
            draft.reissue();
            draft.payload.set("timestamp", cbor::unsigned(timestamp_ms));
        }
    };
    rule.accepts(made(NOW_MS - 5 * MINUTE));
    rule.refuses(made(NOW_MS - 5 * MINUTE - 1));
    rule.accepts(made(NOW_MS + MINUTE));
    rule.refuses(made(NOW_MS + MINUTE + 1));
}

#[test]
fn t3_the_timestamp_is_inside_the_leafs_life() {
    let rule = rule(Finding::T3);
    let made = |timestamp_ms| set("timestamp", cbor::unsigned(timestamp_ms));
    // A leaf begins three seconds before its first document.
    rule.accepts(made(NOW_MS - 3 * SECOND));
    rule.refuses(made(NOW_MS - 3 * SECOND - 1));
    rule.refuses(made(NOW_MS - 4 * SECOND));
    // The last second of validity is inside.
    let in_its_last_second = |timestamp_ms| {
        move |draft: &mut DocumentDraft| {
            draft.chain.draft_mut(Level::Leaf).not_after_s = NOW_MS / SECOND;
            draft.reissue();
            draft.payload.set("timestamp", cbor::unsigned(timestamp_ms));
        }
    };
    rule.accepts(in_its_last_second(NOW_MS + SECOND - 1));
    rule.refuses(in_its_last_second(NOW_MS + SECOND));
}
