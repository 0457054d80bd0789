//! Whether a rule uses saturated numbers only where they cannot mislead.
//!
//! A Long of an amount that does not fit stands as 2^63 - 1, and one in a larger unit is rounded up,
//! so two different amounts can look equal, and a difference can look small. A rule may bound such
//! a Long, or a sum of them, by a number, and compare one for equality in its smallest unit;
//! anything else does not load. Upper bounds hold for every amount; a lower bound in a larger unit is
//! off by less than one of it. Records are exact by their `hex` and may be compared whole.

use super::path_end;
use crate::policy::number::{ROUNDED, SINGLE, SUMMABLE};
use serde_json::Value;

const ADVICE: &str = "compare an amount's number, or a sum of them, with a number below \
                      9223372036854775807; for exact amounts compare `hex`, or the smallest unit";

/// Refuses a rule, in Cedar's JSON form, that uses a saturated number otherwise.
pub(super) fn check(rule: &Value) -> Result<(), String> {
    visit(&rule["conditions"])
}

fn visit(node: &Value) -> Result<(), String> {
    // Of whatever it is an attribute.
    if node.get(".").and_then(|of| of["attr"].as_str()).is_some_and(is_saturated) {
        return Err(ADVICE.to_owned());
    }
    if is_comparison(node) {
        return Ok(());
    }
    // What has attributes is a record, whatever its name.
    if let Some(inner) = [".", "has"].iter().find_map(|access| node.get(*access)?.get("left")) {
        return visit_record(inner);
    }
    match node {
        Value::Object(fields) => fields.values().try_for_each(visit),
        Value::Array(children) => children.iter().try_for_each(visit),
        _ => Ok(()),
    }
}

fn visit_record(node: &Value) -> Result<(), String> {
    match node.get(".") {
        Some(inner) => visit_record(&inner["left"]),
        None => visit(node),
    }
}

/// The name of the saturated number at the end of this path.
fn saturated(node: &Value) -> Option<&str> {
    path_end(node).filter(|name| is_saturated(name))
}

fn is_saturated(name: &str) -> bool {
    SUMMABLE.contains(&name) || name == SINGLE
}

/// Whether this compares a saturated number with what it may be compared with. Everything else is
/// searched for one that stands elsewhere.
fn is_comparison(node: &Value) -> bool {
    let Some((operator, left, right)) = binary(node) else { return false };
    match operator {
        "==" | "!=" => is_named_number(left, right) || is_named_number(right, left),
        "<" | "<=" | ">" | ">=" => {
            (is_bounded(left) && is_bound(right)) || (is_bound(left) && is_bounded(right))
        }
        "contains" => saturated(right).is_some() && !is_rounded(right) && is_set_of_numbers(left),
        _ => false,
    }
}

/// A saturated number, or a sum of amounts, each perhaps some times over.
fn is_bounded(node: &Value) -> bool {
    saturated(node).is_some() || is_sum(node)
}

fn is_sum(node: &Value) -> bool {
    match binary(node) {
        Some(("+", left, right)) => is_sum(left) && is_sum(right),
        Some(("*", left, right)) => {
            let times = |n: &Value| number(n).is_some_and(|n| n > 0);
            (is_sum(left) && times(right)) || (times(left) && is_sum(right))
        }
        _ => {
            saturated(node).is_some_and(|name| SUMMABLE.contains(&name))
                || number(node).is_some_and(|n| n >= 0)
        }
    }
}

/// What may bound an amount: a number, or a time and perhaps a number of seconds more or less.
fn is_bound(node: &Value) -> bool {
    let is_time = |node: &Value| matches!(path_end(node), Some("time" | "created"));
    match binary(node) {
        Some(("+", left, right)) => {
            (is_time(left) && number(right).is_some()) || (is_time(right) && number(left).is_some())
        }
        Some(("-", left, right)) => is_time(left) && number(right).is_some(),
        _ => is_time(node) || number(node).is_some(),
    }
}

/// Whether this is one number that is not rounded, compared with a number; 0 is 0 in every unit.
fn is_named_number(name: &Value, is: &Value) -> bool {
    saturated(name).is_some() && number(is).is_some_and(|n| n == 0 || !is_rounded(name))
}

fn is_rounded(node: &Value) -> bool {
    saturated(node).is_some_and(|name| ROUNDED.contains(&name))
}

fn is_set_of_numbers(node: &Value) -> bool {
    let items = node.get("Set").and_then(Value::as_array);
    items.is_some_and(|items| items.iter().all(|item| number(item).is_some()))
}

/// A number as it stands in a rule; not the greatest or least, for which saturated ones stand.
fn number(node: &Value) -> Option<i64> {
    let number = match node.get("neg") {
        Some(of) => of["arg"]["Value"].as_i64()?.checked_neg()?,
        None => node.get("Value")?.as_i64()?,
    };
    (number != i64::MAX && number != i64::MIN).then_some(number)
}

/// A binary operator's name and operands.
fn binary(node: &Value) -> Option<(&str, &Value, &Value)> {
    let (operator, operands) = node.as_object()?.iter().next()?;
    Some((operator, operands.get("left")?, operands.get("right")?))
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
    fn an_amount_is_compared_with_a_number() {
        for condition in [
            "context.value.wei <= 5",
            "5 >= context.value.gwei",
            "context.value.ether < 5 && !(context.gas > 7)",
            "context.value.wei == 5",
            "5 != context.value.wei",
            "[1, 2].contains(context.value.wei)",
            "context.value.wei + context.max_cost.wei <= 5",
            "context.value.wei * 2 + 3 * context.max_cost.wei + 1 <= 5",
            "context.id.long == 5",
            "context.id.long == -5",
            "context.deadline.long <= context.time + 3600",
            "context.deadline.long <= 3600 + context.time",
            "context.deadline.long > context.time - 5",
            "context.deadline.long <= resource.created",
            "context.value == context.max_cost",
            "context.value.hex == context.max_cost.hex",
            "context.value.exceeds_long",
            "context has value && context.value has wei",
            "(context.value.wei > 5) == true",
            "if context.value.wei > 5 then true else context.value.wei == 1",
            "context.nonce == context.chain_id",
            "context.value.ether == 0",
            "context.call.forward.gas.hex == \"00\"",
            "context.call.forward.long.exceeds_long",
            "context.call.forward has gas.hex",
            "context.call.forward.gas.long <= 5",
            "context.value.wei + 0 <= 5",
        ] {
            assert!(!refused(condition), "{condition}");
        }
    }

    #[test]
    fn what_could_hold_for_a_saturated_number_only_is_refused() {
        for condition in [
            "context.value.wei == context.max_cost.wei",
            "context.value.wei != context.max_cost.wei",
            "context.value.wei <= context.max_cost.wei",
            "context.value.wei == 9223372036854775807",
            "context.value.wei <= 9223372036854775807",
            "context.id.long == -9223372036854775808",
            "[9223372036854775807].contains(context.value.wei)",
            "[context.value.wei].contains(5)",
            "[5].contains(context.value.wei + 1)",
            "context.value.wei - 5 <= 5",
            "5 - context.value.wei <= 5",
            "-context.value.wei <= 5",
            "context.value.wei * 0 <= 5",
            "context.value.wei * -1 <= 5",
            "context.value.wei * context.gas <= 5",
            "context.value.wei + -5 <= 5",
            "context.value.wei + context.nonce <= 5",
            "context.value.wei + 1 == 5",
            "context.id.long + 1 <= 5",
            "context.value.wei <= context.nonce",
            "context.value.wei <= context.time + context.nonce",
            "context.value.wei <= 5 - context.time",
            "context.value.wei <= 5 + 5",
            "(if true then context.value.wei else 5) == 5",
            "(if context.flag then 5 else context.value.wei) <= 5",
            "-context.value.wei == 5",
            "{a: context.value.wei} == {a: 5}",
            "context.value.wei == context.gas",
            "context.set.contains(context.value.wei)",
            "context.value.ether == 1",
            "context.value.gwei != 1",
            "context.amount.whole == 5",
            "context.amount.micros == 5",
            "[1].contains(context.value.ether)",
            "(if context.value.wei == context.gas then context.a else context.b).hex == \"00\"",
            "{a: context.value.wei}.a == 5",
            "(if context.value.wei == context.gas then context.a else context.b).c.hex == \"00\"",
            "(if context.value.wei == context.gas then context.value else context.max_cost).wei <= 5",
            "(if context.value.wei == context.gas then context.value else context.max_cost).wei == 5",
            "[5].contains((if context.value.wei == context.gas then context.a else context.b).wei)",
            "context.a.long <= (if context.value.wei == context.gas then context else context).time",
            "(context.value.wei - 3) * 2 <= 5",
            "2 * (context.value.wei - 3) <= 5",
            "5 >= context.value.wei - 5",
            "context.value.wei <= context.nonce + context.time",
            "context.value.wei <= context.time - context.nonce",
        ] {
            assert!(refused(condition), "{condition}");
        }
    }
}
