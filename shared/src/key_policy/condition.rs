//! Conditions: operators over the keys of a request's context.
//!
//! Sources, all of the IAM user guide: "Condition operators"
//! (reference_policies_elements_condition_operators), "Conditions with multiple context keys or
//! values" (reference_policies_condition-logic-multiple-context-keys-or-values), "Set operators
//! for multivalued context keys" (reference_policies_condition-single-vs-multi-valued-context-keys).

use super::pattern::{ArnPattern, matches};
use std::collections::BTreeMap;

/// What is known of a request, by condition key. Keys are compared without case, values as the
/// operator says. A key that is not here is absent, which is not the same as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, Vec<String>>);

impl Context {
    /// Adds values under a key; more values under the same key make it multivalued.
    pub fn insert<V: Into<String>>(&mut self, key: &str, values: impl IntoIterator<Item = V>) {
        self.0.entry(key.to_lowercase()).or_default().extend(values.into_iter().map(V::into));
    }

    /// The keys in lower case, with their values.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    fn get(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Vec::as_slice).filter(|values| !values.is_empty())
    }
}

/// One operator on one key. A statement applies only if all of its conditions are true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// In lower case.
    pub(super) key: String,
    pub(super) test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// `Null`: whether the key is absent (true) or present (false).
    Absent(bool),
    Compare {
        over: Over,
        negated: bool,
        /// `…IfExists`: true when the key is absent.
        if_exists: bool,
        /// One of them has to match.
        values: Vec<Value>,
    },
}

/// How a key with several values is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// No set operator: for keys with one value. AWS asks for a set operator wherever there may be
    /// several and documents no result without; here, several values never match.
    Plain,
    /// `ForAllValues:`
    All,
    /// `ForAnyValue:`
    Any,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Exact(String),
    IgnoreCase(String),
    Like(String),
    Arn(ArnPattern),
    Bool(bool),
}

impl Condition {
    /// That the key has one of these values, and no other beside them.
    pub(super) fn equals(key: &str, values: impl IntoIterator<Item = String>, over: Over) -> Self {
        let values = values.into_iter().map(Value::Exact).collect();
        let test = Test::Compare { over, negated: false, if_exists: false, values };
        Self { key: key.to_lowercase(), test }
    }

    /// What the key's value is compared with.
    pub(super) fn values(&self) -> &[Value] {
        match &self.test {
            Test::Absent(_) => &[],
            Test::Compare { values, .. } => values,
        }
    }

    /// Whether the comparison is true of this one value.
    pub(super) fn admits(&self, value: &str) -> bool {
        match &self.test {
            Test::Absent(absent) => !absent,
            Test::Compare { negated, values, .. } => {
                values.iter().any(|expected| expected.matches(value)) != *negated
            }
        }
    }

    pub(super) fn holds(&self, context: &Context) -> bool {
        let present = context.get(&self.key);
        match &self.test {
            Test::Absent(absent) => present.is_none() == *absent,
            Test::Compare { over, negated, if_exists, values } => match present {
                None => if_exists | absent_result(*over, *negated),
                Some(present) => compare(*over, *negated, values, present),
            },
        }
    }
}

/// A positive operator fails on an absent key, a negated one is true; ForAllValues is true and
/// ForAnyValue false, whichever operator they stand before.
const fn absent_result(over: Over, negated: bool) -> bool {
    match over {
        Over::Plain => negated,
        Over::All => true,
        Over::Any => false,
    }
}

fn compare(over: Over, negated: bool, values: &[Value], present: &[String]) -> bool {
    let matched = |actual: &String| values.iter().any(|value| value.matches(actual));
    match over {
        Over::Plain => matches!(present, [value] if matched(value) != negated),
        // "… or if the context key value resolves to a null dataset, such as an empty string."
        Over::All => {
            present.iter().all(String::is_empty) || present.iter().all(|v| matched(v) != negated)
        }
        Over::Any => present.iter().any(|v| matched(v) != negated),
    }
}

impl Value {
    /// The text, if it is compared as it stands.
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Exact(text) | Self::IgnoreCase(text) | Self::Like(text) => Some(text.as_str()),
            Self::Arn(pattern) => Some(pattern.as_str()),
            Self::Bool(_) => None,
        }
        .filter(|text| !text.contains(['*', '?']))
    }

    pub(super) fn matches(&self, actual: &str) -> bool {
        match self {
            Self::Exact(value) => value == actual,
            Self::IgnoreCase(value) => value.to_lowercase() == actual.to_lowercase(),
            Self::Like(pattern) => matches(pattern, actual),
            Self::Arn(pattern) => pattern.matches(actual),
            Self::Bool(value) => actual.eq_ignore_ascii_case(if *value { "true" } else { "false" }),
        }
    }
}

/// The keys of requests to KMS that may have several values, in lower case (KMS developer guide,
/// "AWS KMS condition keys"; IAM user guide, reference_policies_condition-keys).
pub(super) const MULTIVALUED: [&str; 10] = [
    "aws:calledvia",
    "aws:principalorgpaths",
    "aws:principalservicenameslist",
    "aws:resourceorgpaths",
    "aws:sourceorgpaths",
    "aws:tagkeys",
    "aws:vpceorgpaths",
    "kms:encryptioncontextkeys",
    "kms:grantoperations",
    "kms:resourcealiases",
];

/// An operator's name, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Null,
    Compare { over: Over, kind: Kind, negated: bool, if_exists: bool },
}

/// What an operator compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exact,
    IgnoreCase,
    Like,
    Arn,
    Bool,
}

impl Operator {
    /// Reads an operator's name, or says why it is refused.
    pub(super) fn parse(name: &str) -> Result<Self, &'static str> {
        if name == "Null" {
            return Ok(Self::Null);
        }
        let (over, rest) = match name.split_once(':') {
            None => (Over::Plain, name),
            Some(("ForAllValues", rest)) => (Over::All, rest),
            Some(("ForAnyValue", rest)) => (Over::Any, rest),
            Some(_) => return Err("not a set operator that is understood"),
        };
        let (base, if_exists) = match rest.strip_suffix("IfExists") {
            Some(base) => (base, true),
            None => (rest, false),
        };
        let (kind, negated) = match base {
            "StringEquals" => (Kind::Exact, false),
            "StringNotEquals" => (Kind::Exact, true),
            "StringEqualsIgnoreCase" => (Kind::IgnoreCase, false),
            "StringNotEqualsIgnoreCase" => (Kind::IgnoreCase, true),
            "StringLike" => (Kind::Like, false),
            "StringNotLike" => (Kind::Like, true),
            "ArnEquals" | "ArnLike" => (Kind::Arn, false),
            "ArnNotEquals" | "ArnNotLike" => (Kind::Arn, true),
            "Bool" => (Kind::Bool, false),
            _ => return Err("not a condition operator that is understood"),
        };
        if if_exists && over == Over::Any {
            return Err("ForAnyValue with IfExists: AWS does not say what an absent key gives");
        }
        Ok(Self::Compare { over, kind, negated, if_exists })
    }

    /// Whether AWS defines this operator for the key, which is in lower case.
    pub(super) fn suits(self, key: &str) -> bool {
        let plain = matches!(self, Self::Compare { over: Over::Plain, .. });
        !(plain && MULTIVALUED.contains(&key))
    }
}

impl Kind {
    /// Reads one value of the policy, or says why it is refused.
    pub(super) fn value(self, text: &str) -> Result<Value, &'static str> {
        Ok(match self {
            Self::Exact => Value::Exact(text.to_owned()),
            Self::IgnoreCase => Value::IgnoreCase(text.to_owned()),
            Self::Like => Value::Like(text.to_owned()),
            Self::Arn => {
                Value::Arn(ArnPattern::parse(text).ok_or("not an ARN or a pattern of one")?)
            }
            Self::Bool => Value::Bool(parse_bool(text)?),
        })
    }
}

/// Reads a truth value, or says why it is refused.
pub(super) fn parse_bool(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("neither true nor false"),
    }
}
