//! Which parts of a request's context the rules look at.
//!
//! It reads Cedar's JSON form of a rule. What it does not understand needs everything, so a mistake
//! here can cost time and no decision.

use serde_json::Value;
use std::collections::BTreeMap;

/// What of a value is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Needs {
    /// Everything.
    All,
    /// These fields; with none, only that the value is there.
    Only(BTreeMap<String, Needs>),
}

impl Default for Needs {
    fn default() -> Self {
        Self::Only(BTreeMap::new())
    }
}

/// What a rule looks at besides the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::policy) struct Reach {
    /// The caller's groups.
    pub(in crate::policy) principal: bool,
    /// The key's attributes or vault.
    pub(in crate::policy) resource: bool,
}

impl Needs {
    /// What is needed of this field; `None` if it is not looked at.
    pub(in crate::policy) fn of(&self, field: &str) -> Option<&Self> {
        match self {
            Self::All => Some(&Self::All),
            Self::Only(fields) => fields.get(field),
        }
    }

    /// Adds what this rule, in Cedar's JSON form, looks at.
    pub(in crate::policy) fn add(&mut self, rule: &Value, reach: &mut Reach) {
        for (scope, reaches) in
            [("principal", &mut reach.principal), ("resource", &mut reach.resource)]
        {
            // Without a hierarchy, ids and types decide.
            *reaches |= !matches!(rule[scope]["op"].as_str(), Some("All" | "==" | "is"))
                || !rule[scope]["in"].is_null();
        }
        self.visit(&rule["conditions"], reach);
    }

    fn visit(&mut self, node: &Value, reach: &mut Reach) {
        if let Some(path) = path(node) {
            self.insert(&path, Self::All);
            return;
        }
        if let Some(path) = presence(node) {
            self.insert(&path, Self::default());
            return;
        }
        match node {
            Value::Object(fields) => {
                match fields.get("Var").and_then(Value::as_str) {
                    Some("principal") => reach.principal = true,
                    Some("resource") => reach.resource = true,
                    _ => {}
                }
                fields.values().for_each(|child| self.visit(child, reach));
            }
            Value::Array(children) => children.iter().for_each(|child| self.visit(child, reach)),
            _ => {}
        }
    }

    fn insert(&mut self, path: &[&str], needs: Self) {
        match (self, path) {
            (Self::All, _) => {}
            (this, []) if needs == Self::All => *this = Self::All,
            (_, []) => {}
            (Self::Only(fields), [first, rest @ ..]) => {
                fields.entry((*first).to_owned()).or_default().insert(rest, needs);
            }
        }
    }

    /// Exactly what lies on this path.
    #[cfg(test)]
    pub(in crate::policy) fn path(path: &[&str]) -> Self {
        let mut needs = Self::default();
        needs.insert(path, Self::All);
        needs
    }
}

/// The path of `context.a.b.c`, and of `context` itself.
fn path(node: &Value) -> Option<Vec<&str>> {
    if node["Var"] == "context" {
        return Some(Vec::new());
    }
    let get = node.get(".")?;
    let mut path = path(&get["left"])?;
    path.push(get["attr"].as_str()?);
    Some(path)
}

/// The path of `a.b` in `context has a.b`.
fn presence(node: &Value) -> Option<Vec<&str>> {
    let has = node.get("has")?;
    let mut path = path(&has["left"])?;
    match &has["attr"] {
        Value::String(field) => path.push(field),
        Value::Array(fields) => {
            for field in fields {
                path.push(field.as_str()?);
            }
        }
        _ => return None,
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(condition: &str, expected: &[(&[&str], bool)], reach: (bool, bool)) {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let rule: cedar_policy::Policy = text.parse().unwrap();
        let (mut needs, mut reached) = (Needs::default(), Reach::default());
        needs.add(&rule.to_json().unwrap(), &mut reached);
        let mut wanted = Needs::default();
        for (path, whole) in expected {
            wanted.insert(path, if *whole { Needs::All } else { Needs::default() });
        }
        assert_eq!(needs, wanted, "{condition}");
        assert_eq!((reached.principal, reached.resource), reach, "{condition}");
    }

    #[test]
    fn what_a_condition_looks_at_is_needed_and_nothing_else() {
        let none = (false, false);
        check("true", &[], none);
        check("context.nonce == 7", &[(&["nonce"], true)], none);
        check("context.value.ether > 1", &[(&["value", "ether"], true)], none);
        check(
            "context.value.ether > 1 || context.value.hex == \"00\"",
            &[(&["value", "ether"], true), (&["value", "hex"], true)],
            none,
        );
        check(
            "context.value == context.max_cost",
            &[(&["value"], true), (&["max_cost"], true)],
            none,
        );
        check("context has selector", &[(&["selector"], false)], none);
        check("context has call.erc20.transfer", &[(&["call", "erc20", "transfer"], false)], none);
        check(
            "context has call.erc20.transfer && context.call.erc20.transfer.amount.whole < 5",
            &[(&["call", "erc20", "transfer", "amount", "whole"], true)],
            none,
        );
        check(
            "context has call && (if true then context.call else context.call) has erc20",
            &[(&["call"], true)],
            none,
        );
        check("context == {a: 1}", &[(&[], true)], none);
        check("{a: context}.a.nonce == 1", &[(&[], true)], none);
        check("[context.to].contains(context.from)", &[(&["to"], true), (&["from"], true)], none);
        check("resource.created > 1", &[], (false, true));
        check("principal in ClientGroup::\"a\" && context.x", &[(&["x"], true)], (true, false));
        check("context[\"a b\"] == 1", &[(&["a b"], true)], none);
    }

    #[test]
    fn a_scope_with_a_hierarchy_reaches_for_it() {
        for (scope, expected) in [
            ("principal, action, resource", (false, false)),
            ("principal == Client::\"a\", action, resource == Key::\"b\"", (false, false)),
            ("principal is Client, action, resource is Key", (false, false)),
            ("principal in ClientGroup::\"a\", action, resource", (true, false)),
            ("principal is Client in ClientGroup::\"a\", action, resource", (true, false)),
            ("principal, action, resource in Vault::\"main\"", (false, true)),
        ] {
            let rule: cedar_policy::Policy = format!("permit({scope});").parse().unwrap();
            let (mut needs, mut reach) = (Needs::default(), Reach::default());
            needs.add(&rule.to_json().unwrap(), &mut reach);
            assert_eq!((reach.principal, reach.resource), expected, "{scope}");
        }
    }
}
