//! Labels as rules name them.

use super::entity::{Ids, Type};
use crate::labels::Labels;
use cedar_policy::RestrictedExpression;
use std::collections::BTreeMap;

/// The labels as policy sees them, each as `name=value`. A name holds no `=`, so no two read alike.
pub(super) fn set(labels: &BTreeMap<String, String>, ids: &Ids) -> RestrictedExpression {
    RestrictedExpression::new_set(labels.iter().map(|(name, value)| {
        let label = ids.of(Type::Label, &format!("{name}={value}"));
        RestrictedExpression::new_entity_uid(label)
    }))
}

/// Whether this is how a label that a key may have stands in a rule.
pub(super) fn is_text(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| {
        Labels::parse([(name.to_owned(), value.to_owned())].into()).is_ok()
    })
}
