//! What the rules would say: for those who write them, on their own machines.
//!
//! It runs the same checks and the same rules as a decision, in the same order, and makes no
//! [`super::Approved`]: nothing here can lead to a signature.

use super::rules::{CallerKind, Verdict};
use super::{Action, Description, Policy, PolicyLoadError, load};
use crate::key::KeyFacts;
use alloy_primitives::Address;
use nitro_signer_shared::manifest::{Manifest, Name};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeMap;

/// Who would ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A client that proves itself.
    Client(Name),
    /// A client that only the parent names.
    Asserted(Name),
}

impl Who {
    /// The name in the manifest.
    #[must_use]
    pub const fn name(&self) -> &Name {
        match self {
            Self::Client(name) | Self::Asserted(name) => name,
        }
    }
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

/// One rule as it stands in policy.cedar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleText {
    /// `rule "its @id"`, or `rule N` by its place from 1.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// Its text, without comments around it.
    pub text: String,
}

impl Policy {
    /// The rules of this manifest as they were written. They need not load.
    ///
    /// # Errors
    /// [`PolicyLoadError`] if the text is not Cedar.
    pub fn rule_texts(manifest: &Manifest) -> Result<Vec<RuleText>, PolicyLoadError> {
        let rules = load::rule_texts(&manifest.policy)?;
        Ok(rules.into_iter().map(|(name, line, text)| RuleText { name, line, text }).collect())
    }

    /// Every value of decoded calls and of typed data that this manifest's rules can look at: its
    /// path below `context`, and its type in the schema's words.
    #[must_use]
    pub fn decoded_paths(&self) -> Vec<(String, String)> {
        self.vocabulary.paths()
    }

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
            Who::Client(name) => (CallerKind::Client, name),
            Who::Asserted(name) => (CallerKind::Asserted, name),
        };
        let principal = self.roster.named(kind, name).ok_or(RefusalCode::NotAuthenticated)?;
        let (action, verdict) = (of.action().name(), Verdict::default());
        let stopped = |refusal| Rehearsal { action, verdict, outcome: Err(refusal) };
        if let Err(refusal) = of.check_before_rules(kind, &self.switches, is_held) {
            return Ok(stopped(refusal));
        }
        match self.ask(kind, principal, key, of, now_s) {
            Err(refusal) if refusal.code == RefusalCode::Internal => Err(refusal),
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
            let mut rules = BTreeMap::new();
            for (kind, caller) in
                [(CallerKind::Client, "Client"), (CallerKind::Asserted, "AssertedClient")]
            {
                for rule in self.rules.docket(action, kind).rules() {
                    let entry = rules.entry(rule.place());
                    let new = || (rule.name().to_owned(), rule.forbids(), Vec::new());
                    entry.or_insert_with(new).2.push(caller);
                }
            }
            ActionRules { action: action.name(), rules: rules.into_values().collect() }
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
