//! Loads a manifest's rules, or says which one is wrong and what to write instead.
//!
//! A rule that loads means what it says: it fits the schema in Cedar's strict mode, can match
//! something, looks no further than the request's own entities, and names only what the manifest
//! knows. Without that, a `forbid` with a misspelt address would protect nothing, silently.

mod bounds;
mod needs;
mod texts;

pub(super) use needs::{Needs, Reach};

use super::roster::Roster;
use super::rules::Rules;
use super::vocabulary::Vocabulary;
use cedar_policy::{PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::{BTreeMap, HashMap};

const SCHEMA: &str = include_str!("schema.cedarschema");
/// A rule may look at the caller, the key and the addresses in the context, and at their
/// attributes and groups; not from there to anything further, nor at an entity that it names
/// itself. Requests are decided with only these entities in hand.
const LEVEL: u32 = 1;
/// The most rules. Every decision evaluates each of them.
const MAX_RULES: usize = 1_000;

/// Why a policy does not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyLoadError {
    /// The text is not Cedar.
    #[error("policy.cedar, line {line}: {reason}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// One rule is not acceptable.
    #[error("policy.cedar, {rule}, line {line}: {reason}")]
    Rule {
        /// Its `@id`, or its place from 1.
        rule: String,
        /// From 1.
        line: usize,
        /// What is wrong and what to write instead.
        reason: String,
    },
    /// There are more rules than a decision may take.
    #[error("policy.cedar: {0} rules are more than {MAX_RULES}")]
    TooMany(usize),
    /// An ABI, or an address book entry that refers to one, is wrong.
    #[error("{0}")]
    Abi(String),
    /// A declared type of typed data is wrong.
    #[error("{0}")]
    TypedData(String),
}

impl From<PolicyLoadError> for Refusal {
    fn from(error: PolicyLoadError) -> Self {
        Self::new(RefusalCode::ManifestInvalid, error.to_string())
    }
}

/// Parses and checks the policy of the manifest that `roster` and `vocabulary` stand for.
pub(super) fn rules(
    text: &str,
    roster: &Roster,
    vocabulary: &Vocabulary,
) -> Result<Rules, PolicyLoadError> {
    let set = parse(text)?;
    let places = Places::find(text, &set)?;
    places.check_distinct()?;
    validate(text, &set, schema(vocabulary)?, &places)?;
    let mut rules = Vec::new();
    for (id, place) in places.in_order() {
        let Some(policy) = set.policy(id) else { continue };
        let refuse = |reason| places.error(id, None, reason);
        for literal in policy.entity_literals() {
            roster
                .check_literal(&literal)
                .map_err(|reason| refuse(format!("{literal}: {reason}")))?;
        }
        let json = policy.to_json().map_err(|e| refuse(e.to_string()))?;
        texts::check(&json).and_then(|()| bounds::check(&json)).map_err(refuse)?;
        rules.push((place.name.clone(), policy.clone(), json));
    }
    Ok(Rules::new(&rules))
}

/// Each rule's name, its line and its text, in the manifest's order. Nothing is checked but that it
/// is Cedar.
pub(super) fn rule_texts(text: &str) -> Result<Vec<(String, usize, String)>, PolicyLoadError> {
    let set = parse(text)?;
    let places = Places::find(text, &set)?;
    let rule = |(id, place): (&PolicyId, &Place)| {
        let source = set.policy(id)?.to_cedar()?;
        Some((place.name.clone(), place.line, source))
    };
    Ok(places.in_order().filter_map(rule).collect())
}

fn parse(text: &str) -> Result<PolicySet, PolicyLoadError> {
    text.parse().map_err(|e: cedar_policy::ParseErrors| PolicyLoadError::Syntax {
        line: line_of(text, &e).unwrap_or(1),
        reason: e.to_string(),
    })
}

/// The schema that a manifest's rules are checked against: the fixed part and its own vocabulary.
pub(super) fn schema(vocabulary: &Vocabulary) -> Result<Schema, PolicyLoadError> {
    let (schema, _) = Schema::from_cedarschema_str(&schema_text(vocabulary))
        .map_err(|e| PolicyLoadError::Abi(format!("abis or typed_data: {e}")))?;
    Ok(schema)
}

/// The last attribute's name in `context.a.b` or the like, in Cedar's JSON form; `None` for an
/// attribute of anything but such a path, in which another expression could hide.
fn path_end(node: &serde_json::Value) -> Option<&str> {
    let get = node.get(".")?;
    let left = &get["left"];
    (left.get("Var").is_some() || path_end(left).is_some()).then(|| get["attr"].as_str())?
}

/// The schema's text.
pub(super) fn schema_text(vocabulary: &Vocabulary) -> String {
    format!("{SCHEMA}\n{}", vocabulary.schema_types())
}

fn validate(
    text: &str,
    set: &PolicySet,
    schema: Schema,
    places: &Places,
) -> Result<(), PolicyLoadError> {
    let found = Validator::new(schema).validate_with_level(set, ValidationMode::Strict, LEVEL);
    let explain = |d: &dyn Diagnostic| match d.help() {
        Some(help) => format!("{d}; {help}"),
        None => d.to_string(),
    };
    if let Some(error) = found.validation_errors().next() {
        return Err(places.error(error.policy_id(), line_of(text, error), explain(error)));
    }
    // Each kind of warning is a rule that cannot match or that reads differently than it is.
    if let Some(warning) = found.validation_warnings().next() {
        return Err(places.error(warning.policy_id(), line_of(text, warning), explain(warning)));
    }
    Ok(())
}

/// Where each rule stands in the text.
struct Places(BTreeMap<PolicyId, Place>);

struct Place {
    name: String,
    /// From 0, in the text.
    number: usize,
    line: usize,
}

impl Places {
    fn find(text: &str, set: &PolicySet) -> Result<Self, PolicyLoadError> {
        if let Some(template) = set.templates().next() {
            let line = line_at(text, text.find(&template.to_cedar()).unwrap_or(0));
            let reason = "templates are not served; write the entity instead of the slot";
            return Err(PolicyLoadError::Syntax { line, reason: reason.to_owned() });
        }
        if set.num_of_policies() > MAX_RULES {
            return Err(PolicyLoadError::TooMany(set.num_of_policies()));
        }
        // Cedar numbers the rules of a text in order, as policy0, policy1, …
        let mut rules: Vec<_> = set.policies().collect();
        rules.sort_by_key(|rule| (rule.id().to_string().len(), rule.id().clone()));
        let mut from = 0;
        let places = rules.iter().enumerate().map(|(place, rule)| {
            let source = rule.to_cedar().unwrap_or_default();
            let start = text.get(from..).and_then(|rest| rest.find(&source));
            let start = start.map_or(from, |at| from + at);
            from = start + source.len();
            let name = rule
                .annotation("id")
                .map_or_else(|| format!("rule {}", place + 1), |id| format!("rule \"{id}\""));
            (rule.id().clone(), Place { name, number: place, line: line_at(text, start) })
        });
        Ok(Self(places.collect()))
    }

    fn in_order(&self) -> impl Iterator<Item = (&PolicyId, &Place)> {
        let mut places: Vec<_> = self.0.iter().collect();
        places.sort_by_key(|(_, place)| place.number);
        places.into_iter()
    }

    fn check_distinct(&self) -> Result<(), PolicyLoadError> {
        let mut seen = HashMap::new();
        for (id, place) in &self.0 {
            if let Some(other) = seen.insert(&place.name, place.line) {
                let reason = format!("line {other} has the same @id; give each rule its own");
                return Err(self.error(id, None, reason));
            }
        }
        Ok(())
    }

    fn error(&self, id: &PolicyId, line: Option<usize>, reason: String) -> PolicyLoadError {
        let place = self.0.get(id);
        // Cedar's own messages begin with its own number of the rule.
        let reason = match reason.strip_prefix(&format!("for policy `{id}`, ")) {
            Some(rest) => rest.to_owned(),
            None => reason,
        };
        PolicyLoadError::Rule {
            rule: place.map_or_else(|| id.to_string(), |p| p.name.clone()),
            line: line.or_else(|| place.map(|p| p.line)).unwrap_or(1),
            reason,
        }
    }
}

/// The line that Cedar's message is about.
fn line_of(text: &str, found: &dyn Diagnostic) -> Option<usize> {
    let offset = found.labels()?.next()?.offset();
    Some(line_at(text, offset))
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests;
