//! From a policy's JSON to its typed form. What is not understood is an error that names its
//! place: a statement that was skipped could be the one that matters.
//!
//! Sources: IAM user guide, "Grammar of the IAM JSON policy language"
//! (reference_policies_grammar); KMS developer guide, "Creating a key policy"
//! (key-policy-overview).

use super::condition::{Condition, Operator, Test, parse_bool};
use super::json::Json;
use super::pattern::ArnPattern;
use super::principal::{Named, Principals};
use super::{
    Actions, Effect, MAX_POLICY, Policy, PolicyParseError, ResourcePattern, Resources, Statement,
};
use std::collections::BTreeMap;

pub(super) type Result<T> = std::result::Result<T, PolicyParseError>;

/// A key policy, whose statements say whom they are about.
pub(super) fn policy(text: &str) -> Result<Policy> {
    statements(text, About::Named).map(|statements| Policy { statements })
}

/// A policy that belongs to whoever it is attached to.
pub(super) fn identity_policy(text: &str) -> Result<Vec<Statement>> {
    statements(text, About::Holder)
}

/// Whom a policy's statements are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Named,
    Holder,
}

fn statements(text: &str, about: About) -> Result<Vec<Statement>> {
    if text.len() > MAX_POLICY {
        return Err(refuse("policy", format!("{} bytes are more than {MAX_POLICY}", text.len())));
    }
    if !text.chars().all(is_policy_char) {
        return Err(refuse("policy", "a character that policies may not contain"));
    }
    let json = Json::parse(text).map_err(|error| refuse("policy", error.to_string()))?;
    let mut fields = Fields::of(json, "policy".to_owned())?;
    match fields.take("Version").map(|v| string(v, "Version")).transpose()?.as_deref() {
        None | Some("2012-10-17" | "2008-10-17") => {}
        Some(_) => return Err(refuse("Version", "neither 2012-10-17 nor 2008-10-17")),
    }
    fields.take("Id").map(|id| string(id, "Id")).transpose()?;
    let statements = one_or_more(fields.require("Statement")?, "Statement")?;
    fields.finish()?;
    let statements = statements.into_iter().enumerate();
    statements.map(|(index, json)| statement(json, format!("Statement[{index}]"), about)).collect()
}

fn statement(json: Json, place: String, about: About) -> Result<Statement> {
    let mut fields = Fields::of(json, place)?;
    let sid = fields.take("Sid").map(|sid| string(sid, &fields.at("Sid"))).transpose()?;
    let effect = match string(fields.require("Effect")?, &fields.at("Effect"))?.as_str() {
        "Allow" => Effect::Allow,
        "Deny" => Effect::Deny,
        _ => return Err(refuse(&fields.at("Effect"), "neither Allow nor Deny")),
    };
    let principals = match about {
        // Where a holder's policy has a Principal, it is left behind as not understood.
        About::Holder => Principals::These(vec![Named::Everyone]),
        About::Named => match fields.either("Principal", "NotPrincipal")? {
            (json, Side::Named, place) => Principals::These(named(json, &place)?),
            (json, Side::Not, place) => Principals::AllBut(all_but(json, &place)?),
        },
    };
    let actions = match fields.either("Action", "NotAction")? {
        (json, Side::Named, place) => Actions::These(action_patterns(json, &place)?),
        (json, Side::Not, place) => Actions::AllBut(action_patterns(json, &place)?),
    };
    let resources = match fields.either("Resource", "NotResource")? {
        (json, Side::Named, place) => Resources::These(resource_patterns(json, &place)?),
        (json, Side::Not, place) => Resources::AllBut(resource_patterns(json, &place)?),
    };
    let conditions = match fields.take("Condition") {
        None => Vec::new(),
        Some(json) => conditions(json, fields.at("Condition"))?,
    };
    fields.finish()?;
    Ok(Statement { sid, effect, principals, actions, resources, conditions })
}

fn named(json: Json, place: &str) -> Result<Vec<Named>> {
    if matches!(&json, Json::String(text) if text == "*") {
        return Ok(vec![Named::Everyone]);
    }
    type Parse = fn(&str) -> Option<Named>;
    let mut fields = Fields::of(json, place.to_owned())?;
    let mut all = Vec::new();
    for (kind, parse) in [("AWS", Named::parse_aws as Parse), ("Service", Named::parse_service)] {
        let Some(json) = fields.take(kind) else { continue };
        let place = fields.at(kind);
        for text in strings(json, &place)? {
            all.push(parse(&text).ok_or_else(|| {
                refuse(&place, format!("{text:?} is not a principal that is understood"))
            })?);
        }
    }
    fields.finish()?;
    if all.is_empty() { Err(refuse(place, "names nobody")) } else { Ok(all) }
}

fn all_but(json: Json, place: &str) -> Result<Vec<Named>> {
    let all = named(json, place)?;
    if all.contains(&Named::Everyone) {
        return Err(refuse(place, "excludes everyone"));
    }
    Ok(all)
}

fn action_patterns(json: Json, place: &str) -> Result<Vec<String>> {
    let patterns = strings(json, place)?;
    for pattern in &patterns {
        let service = pattern.split_once(':').map(|(service, _)| service);
        let service_is_plain = service.is_some_and(|service| {
            !service.is_empty() && service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
        if pattern != "*" && !service_is_plain {
            return Err(refuse(place, format!("{pattern:?} is neither * nor service:action")));
        }
    }
    Ok(patterns.into_iter().map(|pattern| pattern.to_ascii_lowercase()).collect())
}

fn resource_patterns(json: Json, place: &str) -> Result<Vec<ResourcePattern>> {
    strings(json, place)?
        .into_iter()
        .map(|text| match text.as_str() {
            "*" => Ok(ResourcePattern::Any),
            _ => ArnPattern::parse(&text)
                .map(ResourcePattern::Arn)
                .ok_or_else(|| refuse(place, format!("{text:?} is neither * nor an ARN"))),
        })
        .collect()
}

fn conditions(json: Json, place: String) -> Result<Vec<Condition>> {
    let operators = Fields::of(json, place)?;
    operators.refuse_empty()?;
    let mut all = Vec::new();
    for (name, json) in operators.entries {
        let place = format!("{}.{name}", operators.place);
        let operator = Operator::parse(&name).map_err(|problem| refuse(&place, problem))?;
        let keys = Fields::of(json, place)?;
        keys.refuse_empty()?;
        let mut seen = Vec::new();
        for (key, json) in keys.entries {
            let place = format!("{}.{key}", keys.place);
            let key = condition_key(&key, &place)?;
            if seen.contains(&key) {
                return Err(refuse(&place, "the key comes twice"));
            }
            if !operator.suits(&key) {
                return Err(refuse(&place, "the key needs ForAllValues: or ForAnyValue:"));
            }
            seen.push(key.clone());
            all.push(Condition { key, test: test(operator, json, &place)? });
        }
    }
    Ok(all)
}

fn condition_key(key: &str, place: &str) -> Result<String> {
    refuse_variable(key, place)?;
    match key.split_once(':') {
        Some((service, name)) if !service.is_empty() && !name.is_empty() => Ok(key.to_lowercase()),
        _ => Err(refuse(place, "not a condition key of the form service:key")),
    }
}

fn test(operator: Operator, json: Json, place: &str) -> Result<Test> {
    let takes_bool = matches!(
        operator,
        Operator::Null | Operator::Compare { kind: super::condition::Kind::Bool, .. }
    );
    let texts = one_or_more(json, place)?
        .into_iter()
        .map(|json| match json {
            Json::Bool(value) if takes_bool => Ok(value.to_string()),
            json => string(json, place),
        })
        .collect::<Result<Vec<_>>>()?;
    match operator {
        Operator::Null => match texts.as_slice() {
            [text] => parse_bool(text).map(Test::Absent).map_err(|problem| refuse(place, problem)),
            _ => Err(refuse(place, "Null takes one value")),
        },
        Operator::Compare { over, kind, negated, if_exists } => {
            let values = texts
                .iter()
                .map(|text| kind.value(text).map_err(|problem| refuse(place, problem)))
                .collect::<Result<_>>()?;
            Ok(Test::Compare { over, negated, if_exists, values })
        }
    }
}

fn strings(json: Json, place: &str) -> Result<Vec<String>> {
    one_or_more(json, place)?.into_iter().map(|json| string(json, place)).collect()
}

/// A list, or the one value that stands for a list of one.
pub(super) fn one_or_more(json: Json, place: &str) -> Result<Vec<Json>> {
    match json {
        Json::Array(items) if items.is_empty() => Err(refuse(place, "the list is empty")),
        Json::Array(items) => Ok(items),
        json => Ok(vec![json]),
    }
}

pub(super) fn string(json: Json, place: &str) -> Result<String> {
    let Json::String(text) = json else {
        return Err(refuse(place, format!("{} where a string belongs", kind_of(&json))));
    };
    refuse_variable(&text, place)?;
    Ok(text)
}

/// Policy variables (IAM user guide, reference_policies_variables) take their value from the
/// request; none is needed in a policy that pins an enclave, and none is understood here.
fn refuse_variable(text: &str, place: &str) -> Result<()> {
    if text.contains("${") {
        return Err(refuse(place, "policy variables (${…}) are not understood"));
    }
    Ok(())
}

const fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a truth value",
        Json::Number => "a number",
        Json::String(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

/// The characters of key policies (KMS API reference, PutKeyPolicy, Policy).
const fn is_policy_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}')
}

pub(super) fn refuse(place: &str, problem: impl Into<String>) -> PolicyParseError {
    PolicyParseError { place: place.to_owned(), problem: problem.into() }
}

enum Side {
    Named,
    Not,
}

/// An object's entries, each of which has to be taken.
pub(super) struct Fields {
    place: String,
    entries: BTreeMap<String, Json>,
}

impl Fields {
    pub(super) fn of(json: Json, place: String) -> Result<Self> {
        match json {
            Json::Object(entries) => Ok(Self { place, entries }),
            json => Err(refuse(&place, format!("{} where an object belongs", kind_of(&json)))),
        }
    }

    pub(super) fn at(&self, name: &str) -> String {
        format!("{}.{name}", self.place)
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        self.entries.remove(name)
    }

    pub(super) fn require(&mut self, name: &str) -> Result<Json> {
        self.take(name).ok_or_else(|| refuse(&self.place, format!("{name} is missing")))
    }

    /// An element that comes in one of two forms. KMS accepts a statement without Resource and
    /// then ignores it (KMS developer guide, key-policy-overview); here it is refused.
    fn either(&mut self, name: &str, not: &str) -> Result<(Json, Side, String)> {
        match (self.take(name), self.take(not)) {
            (Some(json), None) => Ok((json, Side::Named, self.at(name))),
            (None, Some(json)) => Ok((json, Side::Not, self.at(not))),
            (None, None) => Err(refuse(&self.place, format!("{name} is missing"))),
            (Some(_), Some(_)) => Err(refuse(&self.place, format!("both {name} and {not}"))),
        }
    }

    fn refuse_empty(&self) -> Result<()> {
        if self.entries.is_empty() { Err(refuse(&self.place, "is empty")) } else { Ok(()) }
    }

    /// The entries, whatever their names.
    pub(super) fn into_entries(self) -> impl Iterator<Item = (String, Json)> {
        self.entries.into_iter()
    }

    pub(super) fn finish(self) -> Result<()> {
        match self.entries.keys().next() {
            None => Ok(()),
            Some(name) => Err(refuse(&self.at(name), "an element that is not understood")),
        }
    }
}
