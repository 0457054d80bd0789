//! Policies that belong to whoever they are attached to: IAM policies of users, roles and groups,
//! and service control policies of accounts. The grammar is a key policy's without Principal.
//!
//! Sources: IAM user guide, "Grammar of the IAM JSON policy language"
//! (reference_policies_grammar); AWS Organizations user guide, "SCP syntax".

use super::{PolicyParseError, Statement, parse};

/// An IAM policy, or a service control policy, understood in every part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityPolicy {
    pub(super) statements: Vec<Statement>,
}

impl IdentityPolicy {
    /// Reads an IAM policy or a service control policy.
    ///
    /// # Errors
    /// [`PolicyParseError`] as for a key policy, and if a statement has a Principal.
    pub fn parse(text: &str) -> Result<Self, PolicyParseError> {
        parse::identity_policy(text).map(|statements| Self { statements })
    }
}
