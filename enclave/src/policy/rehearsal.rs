//! What the rules would say: for those who write them, on their own machines.
//!
//! It runs the same checks and the same rules as a decision, in the same order, and makes no
//! [`super::Approved`]: nothing here can lead to a signature.

use super::rules::{Kind, Verdict};
use super::{Action, Description, Policy, load, unaskable};
use crate::key::KeyFacts;
use alloy_primitives::Address;
use nitro_signer_shared::manifest::Name;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// Who would ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A client that proves itself.
    Client(Name),
    /// A client that only the parent names.
    Asserted(Name),
}

/// What would come of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rehearsal {
    /// The action that it is.
    pub action: &'static str,
    /// What the rules say; nothing if it does not come so far.
    pub verdict: Verdict,
    /// Whether it would be approved.
    pub outcome: Result<(), Refusal>,
}

/// The rules that can be about one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRules {
    /// The action.
    pub action: &'static str,
    /// Each rule's name, whether it forbids, and the kinds of caller it can be about.
    pub rules: Vec<(String, bool, Vec<&'static str>)>,
}

impl Policy {
    /// Rehearses a request. Without a key it is about the vault. `is_held` says which accounts' keys
    /// the enclave would hold, `now_s` the time in seconds of Unix time.
    ///
    /// # Errors
    /// `NotAuthenticated` if the manifest does not know who asks; every other refusal is in the
    /// answer's outcome.
    pub fn rehearse(
        &self,
        who: &Who,
        key: Option<&KeyFacts>,
        of: &Description<'_>,
        is_held: impl Fn(&Address) -> bool,
        now_s: u64,
    ) -> Result<Rehearsal, Refusal> {
        let (kind, name) = match who {
            Who::Client(name) => (Kind::Client, name),
            Who::Asserted(name) => (Kind::Asserted, name),
        };
        let principal = self.roster.named(kind, name).ok_or(RefusalCode::NotAuthenticated)?;
        let (action, verdict) = (of.action().name(), Verdict::default());
        let stopped = |refusal| Rehearsal { action, verdict, outcome: Err(refusal) };
        if let Err(refusal) = of.check_switch(&self.switches) {
            return Ok(stopped(refusal));
        }
        if kind == Kind::Asserted && of.needs_proof(is_held) {
            return Ok(stopped(RefusalCode::ProofRequired.into()));
        }
        match self.ask(kind, principal, key, of, now_s) {
            Err(refusal) if refusal == unaskable() => Err(refusal),
            Err(refusal) => Ok(stopped(refusal)),
            Ok(verdict) => {
                let outcome = verdict.judge(of.action());
                Ok(Rehearsal { action, verdict, outcome })
            }
        }
    }

    /// Which rules can be about which action, in the manifest's order.
    #[must_use]
    pub fn rules_by_action(&self) -> Vec<ActionRules> {
        let of = |action: Action| {
            let mut rules: Vec<(String, bool, Vec<&'static str>)> = Vec::new();
            for (kind, name) in [(Kind::Client, "Client"), (Kind::Asserted, "AssertedClient")] {
                for rule in self.rules.docket(action, kind).rules() {
                    match rules.iter_mut().find(|(known, ..)| known == rule.name()) {
                        Some((_, _, kinds)) => kinds.push(name),
                        None => rules.push((rule.name().to_owned(), rule.forbids(), vec![name])),
                    }
                }
            }
            ActionRules { action: action.name(), rules }
        };
        Action::all().map(of).collect()
    }

    /// The schema that the manifest's rules are checked against, with the types of its own calls and
    /// typed data, as Cedar's text.
    #[must_use]
    pub fn schema_text(&self) -> String {
        load::schema_text(&self.vocabulary)
    }
}
