//! AWS key policies: what one says, and whether it lets a request through.
//!
//! The development KMS decides by this, and so does whoever has to judge a policy before trusting
//! the key under it. It therefore never guesses: an element, operator or principal that is not
//! understood is an error that names its place, never a statement left out.
//!
//! [`Policy`] judges by the key policy alone. [`Documents`] decides with everything else that can
//! be shown: IAM policies that a delegation lets through, grants that walk around the policy,
//! service control policies that narrow it. [`proof`] asks it about every request that matters.

mod condition;
mod documents;
pub mod form;
mod grants;
mod identity;
mod json;
mod parse;
mod pattern;
mod principal;
pub mod proof;
#[cfg(test)]
mod tests;

pub use condition::Context;
pub use documents::{Authorization, Basis, Documents, Identity, Refused, Stop};
pub use grants::{Grants, MAX_GRANTS_FILE};
pub use identity::IdentityPolicy;
pub use principal::{Principal, PrincipalError};

use condition::Condition;
use pattern::{ArnPattern, matches};
use principal::{Principals, Reach};
use std::fmt;

/// The longest key policy, in bytes (KMS developer guide, "Resource quotas": 32 KB).
pub const MAX_POLICY: usize = 32_768;

/// A key policy, understood in every part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    statements: Vec<Statement>,
}

/// Why a text is not a key policy that can be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct PolicyParseError {
    /// Where, for example `Statement[1].Condition.StringEquals`.
    pub place: String,
    /// What, for a person.
    pub problem: String,
}

/// One call, as the policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// The action, for example `kms:Decrypt`.
    pub action: &'a str,
    /// The KMS key's ARN.
    pub resource: &'a str,
    /// The condition keys that the call carries.
    pub context: &'a Context,
}

/// What the policy says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This statement allows it, and none denies it.
    Allowed(StatementRef),
    /// This statement allows the caller's account to decide by its IAM policies, none allows the
    /// caller itself, and none denies it.
    LeftToAccount(StatementRef),
    /// This statement denies it, whatever the others say.
    ExplicitDeny(StatementRef),
    /// No statement speaks of it, which denies it.
    NoMatch,
}

/// Which statement decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StatementRef {
    /// Its place in the policy, from 0.
    pub index: usize,
    /// Its name, if it has one.
    pub sid: Option<String>,
}

impl fmt::Display for StatementRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sid {
            Some(sid) => write!(f, "statement {} ({sid})", self.index),
            None => write!(f, "statement {}", self.index),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    sid: Option<String>,
    effect: Effect,
    principals: Principals,
    actions: Actions,
    resources: Resources,
    conditions: Vec<Condition>,
}

/// Patterns in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Actions {
    These(Vec<String>),
    AllBut(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Resources {
    These(Vec<ResourcePattern>),
    AllBut(Vec<ResourcePattern>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ResourcePattern {
    /// `*`: in a key policy, the key it belongs to.
    Any,
    Arn(ArnPattern),
}

impl Policy {
    /// Reads a key policy.
    ///
    /// # Errors
    /// [`PolicyParseError`] if the text is longer than [`MAX_POLICY`], is not JSON, names
    /// something twice, or has a part that is not understood, policy variables among them.
    pub fn parse(text: &str) -> Result<Self, PolicyParseError> {
        parse::policy(text)
    }

    /// Judges a request: a Deny wins over every Allow, and without an Allow nothing is allowed
    /// (IAM user guide, "Policy evaluation logic", reference_policies_evaluation-logic).
    #[must_use]
    pub fn evaluate(&self, request: &Request<'_>) -> Decision {
        let first = |effect, reach| {
            self.statements
                .iter()
                .enumerate()
                .find(|(_, statement)| {
                    statement.effect == effect && statement.reach(request) == reach
                })
                .map(|(index, statement)| StatementRef { index, sid: statement.sid.clone() })
        };
        if let Some(statement) = first(Effect::Deny, Reach::Directly) {
            return Decision::ExplicitDeny(statement);
        }
        if let Some(statement) = first(Effect::Allow, Reach::Directly) {
            return Decision::Allowed(statement);
        }
        first(Effect::Allow, Reach::ByAccount).map_or(Decision::NoMatch, Decision::LeftToAccount)
    }
}

impl Statement {
    /// How the statement reaches the request's caller, if it is about this request at all.
    fn reach(&self, request: &Request<'_>) -> Reach {
        let applies = self.covers(request.action, request.resource)
            && self.conditions.iter().all(|condition| condition.holds(request.context));
        if applies { self.principals.reach(self.effect, request.principal) } else { Reach::No }
    }

    fn covers(&self, action: &str, resource: &str) -> bool {
        self.actions.cover(action) && self.resources.cover(resource)
    }
}

impl Actions {
    /// Actions are compared without case (IAM user guide, reference_policies_elements_action).
    fn cover(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        match self {
            Self::These(patterns) => patterns.iter().any(|pattern| matches(pattern, &action)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| matches(pattern, &action)),
        }
    }
}

impl Resources {
    fn cover(&self, arn: &str) -> bool {
        match self {
            Self::These(patterns) => patterns.iter().any(|pattern| pattern.covers(arn)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| pattern.covers(arn)),
        }
    }
}

impl ResourcePattern {
    fn covers(&self, arn: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Arn(pattern) => pattern.matches(arn),
        }
    }
}
