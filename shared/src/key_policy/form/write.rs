//! From terms to a policy's text.

use super::{
    ADMINISTRATION, ALL_EQUAL, AUDIT, AdmittedSet, BREAK_GLASS, Conditions, EntityArn, IMPORT,
    IMPORT_MATERIAL, MAKE, MAX_PRINCIPALS, MAX_SETS, NOBODY, NOT_EQUALS_IGNORE_CASE, OPEN, READ,
    REGISTERS, REPLICATE, REPLICATION, Terms, measured, only, with_second_factor,
};
use crate::key_policy::MAX_POLICY;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Terms from which no policy is written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TermsError {
    #[error("name at least one {0}")]
    Nobody(&'static str),
    #[error("{0}: {1} are more than {2}")]
    TooMany(&'static str, usize, usize),
    #[error("{0} is named twice: administrators, break-glass, auditors and appliance roles differ")]
    Twice(EntityArn),
    #[error("a register of zeros is debug mode's: everybody has it")]
    Zeros,
    #[error("every set names the same registers: PCR3 and PCR8 in all of them or in none")]
    UnequalSets,
    #[error("a set is named twice")]
    SameSets,
    #[error(
        "{0} bytes are more than the {MAX_POLICY} of a key policy; name fewer sets or principals"
    )]
    TooLarge(usize),
}

impl Terms {
    /// The key policy, as JSON.
    ///
    /// # Errors
    /// [`TermsError`].
    pub fn write(&self) -> Result<String, TermsError> {
        self.check()?;
        let document = json!({ "Version": "2012-10-17", "Statement": self.statements() });
        let text = format!("{document:#}");
        if text.len() > MAX_POLICY { Err(TermsError::TooLarge(text.len())) } else { Ok(text) }
    }

    fn check(&self) -> Result<(), TermsError> {
        let kinds = [
            ("administrators", &self.administrators),
            ("break-glass principals", &self.break_glass),
            ("auditors", &self.auditors),
            ("appliance roles", &self.appliance_roles),
        ];
        let mut named = BTreeSet::new();
        for (kind, arns) in kinds {
            if arns.len() > MAX_PRINCIPALS {
                return Err(TermsError::TooMany(kind, arns.len(), MAX_PRINCIPALS));
            }
            if let Some(twice) = arns.iter().find(|arn| !named.insert(*arn)) {
                return Err(TermsError::Twice(twice.clone()));
            }
        }
        if self.administrators.is_empty() {
            return Err(TermsError::Nobody("administrator"));
        }
        if self.appliance_roles.is_empty() {
            return Err(TermsError::Nobody("appliance role"));
        }
        self.check_sets()
    }

    fn check_sets(&self) -> Result<(), TermsError> {
        if self.sets.len() > MAX_SETS {
            return Err(TermsError::TooMany("measurement sets", self.sets.len(), MAX_SETS));
        }
        if self.sets.iter().any(AdmittedSet::has_zeros) {
            return Err(TermsError::Zeros);
        }
        let shapes = self.sets.iter().map(|set| (set.pcr3.is_some(), set.pcr8.is_some()));
        if shapes.collect::<BTreeSet<_>>().len() > 1 {
            return Err(TermsError::UnequalSets);
        }
        if self.sets.iter().collect::<BTreeSet<_>>().len() < self.sets.len() {
            return Err(TermsError::SameSets);
        }
        Ok(())
    }

    fn statements(&self) -> Vec<Value> {
        let none = Conditions::new();
        let administration = ADMINISTRATION
            .into_iter()
            .chain(self.multi_region.then_some(REPLICATION).into_iter().flatten())
            .chain(self.imported_material.then_some(IMPORT).into_iter().flatten())
            .collect::<Vec<_>>();
        let mut all = vec![allow("Administration", &self.administrators, &administration, &none)];
        if !self.break_glass.is_empty() {
            let factor = with_second_factor();
            all.push(allow("BreakGlass", &self.break_glass, &BREAK_GLASS, &factor));
        }
        if !self.auditors.is_empty() {
            all.push(allow("Audit", &self.auditors, &AUDIT, &none));
        }
        all.push(allow("ApplianceReads", &self.appliance_roles, &READ, &none));
        let use_it = if self.vault_creation { &[OPEN, MAKE][..] } else { &[OPEN] };
        for (number, set) in self.sets.iter().enumerate() {
            let sid = format!("Measured{number}");
            all.push(allow(&sid, &self.appliance_roles, use_it, &measured(set, &self.vault)));
        }
        all.extend(self.denials());
        all
    }

    fn denials(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let of_set = self.sets.first().map(AdmittedSet::registers).unwrap_or_default();
        for index in REGISTERS.into_iter().filter(|index| of_set.contains_key(index)) {
            all.push(deny(&format!("OnlyPCR{index}"), &[OPEN, MAKE], &only(index, &self.sets)));
        }
        if self.sets.is_empty() {
            all.push(deny("Closed", &[OPEN, MAKE], &Conditions::new()));
        }
        let nobody = NOBODY
            .into_iter()
            .chain((!self.multi_region).then_some(REPLICATE))
            .chain((!self.imported_material).then_some(IMPORT_MATERIAL))
            .collect::<Vec<_>>();
        all.push(deny("Nobody", &nobody, &Conditions::new()));
        all
    }
}

fn allow(sid: &str, who: &BTreeSet<EntityArn>, what: &[&str], when: &Conditions) -> Value {
    statement(sid, "Allow", &json!({ "AWS": who }), what, when)
}

fn deny(sid: &str, what: &[&str], when: &Conditions) -> Value {
    statement(sid, "Deny", &json!("*"), what, when)
}

fn statement(sid: &str, effect: &str, who: &Value, what: &[&str], when: &Conditions) -> Value {
    let mut statement = json!({
        "Sid": sid, "Effect": effect, "Principal": who, "Action": what, "Resource": "*",
    });
    if !when.is_empty() {
        let operators = when.iter().map(|(operator, keys)| {
            let value = |values| condition_value(operator, values);
            let keys = keys.iter().map(|(key, values)| (key.clone(), value(values)));
            (operator.clone(), Value::Object(keys.collect()))
        });
        statement["Condition"] = Value::Object(operators.collect::<Map<_, _>>());
    }
    statement
}

/// The values of several sets, and the names of the context, stand as a list; everything else alone.
fn condition_value(operator: &str, values: &BTreeSet<String>) -> Value {
    match values.first() {
        Some(only) if ![ALL_EQUAL, NOT_EQUALS_IGNORE_CASE].contains(&operator) => json!(only),
        _ => json!(values),
    }
}
