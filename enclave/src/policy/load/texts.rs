//! Whether the texts in a rule are of the form that they are compared with.
//!
//! Hashes, words and exact amounts are 64 lower-case hex digits; a text of another form would
//! silently never match. What people wrote stands in attributes called `text`, and only with those
//! may a rule compare any other text, or a pattern.

use serde_json::Value;

/// The attribute that holds what people wrote.
const TEXT: &str = "text";

/// Refuses a rule, in Cedar's JSON form, with a text that could never match.
pub(super) fn check(rule: &Value) -> Result<(), String> {
    visit(&rule["conditions"])
}

fn visit(node: &Value) -> Result<(), String> {
    if let Some(like) = node.get("like") {
        return match is_text(&like["left"]) {
            true => visit(&like["left"]),
            false => {
                Err("`like` is for attributes called `text`; write == with the exact value"
                    .to_owned())
            }
        };
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
    node.get(".").is_some_and(|of| of["attr"] == TEXT)
}

fn is_set_of_texts(node: &Value) -> bool {
    let items = node.get("Set").and_then(Value::as_array);
    items.is_some_and(|items| items.iter().all(|item| item["Value"].is_string()))
}

fn is_hex(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}
