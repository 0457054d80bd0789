//! A record for Cedar that is being written, with no more in it than some rule looks at.
//!
//! Most requests have far more to tell than the manifest's rules ask. What no rule can reach is left
//! out, which changes no decision and is most of what a decision would cost.

use super::load::Needs;
use cedar_policy::{Context, EntityUid, RestrictedExpression};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// An expression, or the fault of ours that kept it from being made.
pub(super) type Expressed = Result<RestrictedExpression, Refusal>;

/// A record that is being written. A field is made only if it is needed.
pub(super) struct Draft<'a> {
    needs: &'a Needs,
    fields: Vec<(String, RestrictedExpression)>,
}

impl<'a> Draft<'a> {
    pub(super) const fn new(needs: &'a Needs) -> Self {
        Self { needs, fields: Vec::new() }
    }

    /// Puts a field in whose value is made from what is needed of it.
    pub(super) fn put(
        &mut self,
        name: &str,
        make: impl FnOnce(&'a Needs) -> Expressed,
    ) -> Result<(), Refusal> {
        if let Some(needs) = self.needs.of(name) {
            self.fields.push((name.to_owned(), make(needs)?));
        }
        Ok(())
    }

    fn simple(&mut self, name: &str, make: impl FnOnce() -> RestrictedExpression) {
        if self.needs.of(name).is_some() {
            self.fields.push((name.to_owned(), make()));
        }
    }

    pub(super) fn long(&mut self, name: &str, value: i64) {
        self.simple(name, || RestrictedExpression::new_long(value));
    }

    pub(super) fn long_with(&mut self, name: &str, value: impl FnOnce() -> i64) {
        self.simple(name, || RestrictedExpression::new_long(value()));
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) {
        self.simple(name, || RestrictedExpression::new_bool(value));
    }

    pub(super) fn text_with(&mut self, name: &str, value: impl FnOnce() -> String) {
        self.simple(name, || RestrictedExpression::new_string(value()));
    }

    pub(super) fn entity_with(&mut self, name: &str, value: impl FnOnce() -> EntityUid) {
        self.simple(name, || RestrictedExpression::new_entity_uid(value()));
    }

    /// The schema's `Word`: up to 32 bytes, in hex, filled up with zeros on the right.
    pub(super) fn word(&mut self, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
        self.put(name, |needs| word(bytes, needs))
    }

    /// The schema's `Text`.
    pub(super) fn wrapped_text(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        self.put(name, |needs| wrapped_text(text, needs))
    }

    pub(super) fn into_record(self) -> Expressed {
        RestrictedExpression::new_record(self.fields).map_err(|_| broken())
    }

    pub(super) fn into_context(self) -> Result<Context, Refusal> {
        Context::from_pairs(self.fields).map_err(|_| broken())
    }
}

/// The schema's `Word`.
pub(super) fn word(bytes: &[u8], needs: &Needs) -> Expressed {
    let mut record = Draft::new(needs);
    record.text_with("hex", || format!("{:0<64}", hex::encode(bytes)));
    record.into_record()
}

/// The schema's `Text`.
pub(super) fn wrapped_text(text: &str, needs: &Needs) -> Expressed {
    let mut record = Draft::new(needs);
    record.text_with("text", || text.to_owned());
    record.into_record()
}

/// What cannot be put to the policy for a fault of ours.
pub(super) fn broken() -> Refusal {
    // Only a name that stands twice does this, and the tests build every record.
    Refusal::new(RefusalCode::Internal, "the request could not be put to the policy")
}
