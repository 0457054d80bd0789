//! Rules in a manifest that is always good, and requests tried on them.
//! - What is approved was permitted by a rule, forbidden by none, and every rule could be asked.
//! - One more rule that forbids everything leaves nothing approved, whatever stands before it.
//! - Without `permit` in the text nothing is approved.
#![no_main]

mod deployment;

use deployment::{manifest, rehearse};
use libfuzzer_sys::fuzz_target;
use nitro_signer_enclave::policy::{Policy, Rehearsal};

/// On a line of its own, since the text may end in a comment.
const FORBID: &str = "\n@id(\"the fuzz target's last word\") forbid (principal, action, resource);";

fn check(said: &Rehearsal) -> bool {
    let verdict = &said.verdict;
    let silent = verdict.forbidding.is_empty() && verdict.failing.is_empty();
    if said.outcome.is_ok() {
        assert!(silent && !verdict.permitting.is_empty(), "{said:?}");
    }
    said.outcome.is_ok()
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(policy) = Policy::load(&manifest(text)) else { return };
    let approved = rehearse(&policy).iter().filter(|said| check(said)).count();
    if approved > 0 {
        assert!(text.contains("permit"), "approved by no rule that permits");
        let forbidding = Policy::load(&manifest(&format!("{text}{FORBID}")));
        let forbidding = forbidding.expect("one rule more than a few");
        assert!(!rehearse(&forbidding).iter().any(check), "approved what is forbidden");
    }
});
