//! Labels: what a key's creator says of it, in the one form that rules can name.

use super::entity::{Ids, Type};
use cedar_policy::RestrictedExpression;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeMap;

/// The most labels a key may have.
pub const MAX_LABELS: usize = 32;
/// The longest name of a label, in bytes.
pub const MAX_LABEL_NAME: usize = 32;
/// The longest value of a label, in bytes.
pub const MAX_LABEL_VALUE: usize = 64;

/// Refuses labels that are too many or not of the allowed form.
pub(super) fn check(labels: &BTreeMap<String, String>) -> Result<(), Refusal> {
    if labels.len() > MAX_LABELS {
        let text = format!("{} labels are more than {MAX_LABELS}", labels.len());
        return Err(Refusal::new(RefusalCode::InvalidLabel, text));
    }
    if labels.iter().all(|(name, value)| is_label(name, value)) {
        return Ok(());
    }
    Err(RefusalCode::InvalidLabel.into())
}

/// Whether this is how a label stands in a rule: `name=value`.
pub(super) fn is_text(text: &str) -> bool {
    text.split_once('=').is_some_and(|(name, value)| is_label(name, value))
}

/// The labels as policy sees them, each as `name=value`. A name holds no `=`, so no two read alike.
pub(super) fn set(labels: &BTreeMap<String, String>, ids: &Ids) -> RestrictedExpression {
    RestrictedExpression::new_set(labels.iter().map(|(name, value)| {
        let label = ids.of(Type::Label, &format!("{name}={value}"));
        RestrictedExpression::new_entity_uid(label)
    }))
}

fn is_label(name: &str, value: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-".contains(&c);
    let printable = |c: u8| (b' '..=b'~').contains(&c);
    (1..=MAX_LABEL_NAME).contains(&name.len())
        && name.bytes().all(plain)
        && value.len() <= MAX_LABEL_VALUE
        && value.bytes().all(printable)
}
