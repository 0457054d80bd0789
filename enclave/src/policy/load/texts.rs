//! Whether the texts in a rule are of the form that they are compared with.
//!
//! Hashes, words and exact amounts are 64 lower-case hex digits; a text of another form would
//! silently never match. What people wrote stands in attributes called `text`, and only with those
//! may a rule compare any other text, or a pattern.

use super::path_end;
use serde_json::Value;

/// The attribute that holds what people wrote.
const TEXT: &str = "text";

/// Refuses a rule, in Cedar's JSON form, with a text that could never match.
pub(super) fn check(rule: &Value) -> Result<(), String> {
    visit(&rule["conditions"])
}

fn visit(node: &Value) -> Result<(), String> {
    if let Some(like) = node.get("like") {
        if is_text(&like["left"]) {
            return Ok(());
        }
        return Err("`like` is for attributes called `text`; write == with the exact value".into());
    }
    if ["==", "!="].iter().filter_map(|operator| node.get(*operator)).any(compares_text)
        || node
            .get("contains")
            .is_some_and(|of| is_text(&of["right"]) && is_set_of_texts(&of["left"]))
    {
        return Ok(());
    }
    match node {
        Value::Object(fields) => match fields.get("Value") {
            Some(Value::String(text)) if !is_hex(text) => {
                let shown: String = text.chars().take(64).collect();
                Err(format!(
                    "{shown:?}: write a hash or an exact amount as 64 lower-case hex digits"
                ))
            }
            _ => fields.values().try_for_each(visit),
        },
        Value::Array(children) => children.iter().try_for_each(visit),
        _ => Ok(()),
    }
}

fn compares_text(operands: &Value) -> bool {
    let (left, right) = (&operands["left"], &operands["right"]);
    (is_text(left) && right["Value"].is_string()) || (is_text(right) && left["Value"].is_string())
}

fn is_text(node: &Value) -> bool {
    path_end(node) == Some(TEXT)
}

fn is_set_of_texts(node: &Value) -> bool {
    let items = node.get("Set").and_then(Value::as_array);
    items.is_some_and(|items| items.iter().all(|item| item["Value"].is_string()))
}

fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(condition: &str) -> bool {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        let rule: cedar_policy::Policy = text.parse().unwrap();
        check(&rule.to_json().unwrap()).is_err()
    }

    #[test]
    fn what_people_wrote_is_compared_with_any_text() {
        let hex = "0123456789abcdef".repeat(4);
        for condition in [
            "context.text == \"hello\"",
            "\"hello\" != context.domain.name.text",
            "[\"a\", \"b\"].contains(context.text)",
            "context.text like \"example.com*\"",
            "!(context.domain.name.text like \"*\" && context.text == \"x\")",
            &format!("context.hash == \"{hex}\""),
            &format!("[\"{hex}\"].contains(context.hash)"),
        ] {
            assert!(!refused(condition), "{condition}");
        }
    }

    #[test]
    fn a_text_that_could_never_match_is_refused() {
        let hex = "0123456789abcdef".repeat(4);
        for condition in [
            "context.hash == \"hello\"",
            "context.hash like \"00*\"",
            "\"hello\" == \"hello\"",
            "[\"hello\"].contains(context.hash)",
            "[context.text].contains(\"hello\")",
            "[context.text, \"hello\"].contains(context.text)",
            "context.text == \"hello\" && context.hash == \"hello\"",
            "(if context.text == \"a\" then context.hash else context.hash) like \"*\"",
            "{a: \"hello\"} == {a: context.text}",
            "(if context.hash == \"hello\" then context.a else context.b).text == \"x\"",
            "(if context.hash == \"hello\" then context.a else context.b).text like \"x*\"",
            "[\"x\"].contains((if context.hash == \"hello\" then context.a else context.b).text)",
            "context.text == (if true then \"a\" else \"b\")",
            "(if true then \"a\" else \"b\") == context.text",
            &format!("context.hash == \"{}\"", hex.to_uppercase()),
            &format!("context.hash == \"{hex}0\""),
            &format!("context.hash == \"{}g\"", &hex[1..]),
            &format!("context.hash == \"0x{hex}\""),
        ] {
            assert!(refused(condition), "{condition}");
        }
    }
}
