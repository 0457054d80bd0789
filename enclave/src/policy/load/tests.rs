#![allow(clippy::panic, clippy::unwrap_used)]

use super::*;
use crate::policy::Policy;
use crate::policy::entity::address_text;
use crate::policy::tests::{TREASURY, key, manifest};

/// The policy fails to load, and the message says both the place and what to do.
fn refuses(rules: &str, expected: &[&str]) {
    let error = Policy::load(&manifest(rules)).err();
    let text = error.unwrap_or_else(|| panic!("loads: {rules}")).to_string();
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
}

fn rule(condition: &str) -> String {
    format!(
        "permit(principal, action == Action::\"SignTransaction\", resource) when {{{condition}}};"
    )
}

fn loads(rules: &str) {
    if let Err(error) = Policy::load(&manifest(rules)) {
        panic!("{rules}: {error}");
    }
}

#[test]
fn the_schema_is_sound() {
    let vocabulary = Vocabulary::load(&manifest("")).unwrap();
    let text = schema_text(&vocabulary);
    let (schema, warnings) = Schema::from_cedarschema_str(&text).unwrap();
    assert_eq!(warnings.count(), 0);
    assert!(schema.is_complete());
}

#[test]
fn what_is_not_cedar_is_refused_with_its_line() {
    refuses("permit(principal, action, resource)", &["line 1"]);
    refuses(
        "\n\npermit(principal, action, resource) when { context. };",
        &["policy.cedar, line 3"],
    );
    loads("");
    loads("// nothing but a comment\n");
}

#[test]
fn a_template_is_refused() {
    let slot = "permit(principal == ?principal, action, resource);";
    refuses(&format!("\n{slot}"), &["line 2", "templates are not served"]);
    refuses("permit(principal, action, resource in ?resource);", &["templates are not served"]);
}

#[test]
fn a_rule_is_named_by_its_id_or_its_place_and_line() {
    let bad = rule("context.nothing == 1");
    refuses(&bad, &["policy.cedar, rule 1, line 1:", "nothing"]);
    let good = rule("context.chain_id == 1");
    refuses(&format!("{good}\n{good}\n{bad}"), &["rule 3, line 3:"]);
    refuses(&format!("{good}\n@id(\"mine\")\n{bad}"), &["rule \"mine\", line 3:"]);
    let literal = rule("context.to == Address::\"0x22\"");
    refuses(&format!("{good}\n\n{literal}"), &["rule 2, line 3:"]);
    let many: String = (0..11).map(|_| format!("{good}\n")).collect();
    refuses(&format!("{many}{literal}"), &["rule 12, line 12:"]);
}

#[test]
fn two_rules_with_one_id_are_refused() {
    let rule = format!("@id(\"same\")\n{}\n", rule("context.chain_id == 1"));
    refuses(&rule.repeat(2), &["\"same\"", "same @id"]);
}

#[test]
fn more_rules_than_a_decision_may_take_are_refused() {
    let many = "forbid(principal, action, resource);".repeat(MAX_RULES + 1);
    loads(&"forbid(principal, action == Action::\"SignDigest\", resource);".repeat(MAX_RULES));
    refuses(&many, &["1001 rules are more than 1000"]);
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    for (condition, part) in [
        ("context.nothing == 1", "nothing"),
        ("context.blobs == 1", "blobs"),
        ("context.value == 1", "type"),
        ("context.value.wei == \"1\"", "type"),
        ("context.selector == Selector::\"a9059cbb\"", "has"),
        ("context.to.name == \"treasury\"", "name"),
        ("context.to == Adress::\"0x11\"", "Adress"),
        ("resource.colour == \"red\"", "colour"),
        ("resource.origin == Origin::\"stolen\"", "Origin"),
        ("principal.name == \"x\"", "name"),
    ] {
        refuses(&rule(condition), &["rule 1, line 1", part]);
    }
    refuses("permit(principal, action == Action::\"SignEverything\", resource);", &["SignEver"]);
    refuses("permit(principal, action, resource in Group::\"x\");", &["Group"]);
}

#[test]
fn a_rule_that_can_never_match_is_refused() {
    for rules in [
        rule("false"),
        rule("context has blobs"),
        rule("context.chain_id == 1 && !(context has chain_id)"),
        "permit(principal == AssertedClient::\"app\", action == Action::\"CreateKey\", resource);"
            .to_owned(),
        "permit(principal, action == Action::\"CreateVault\", resource is Key);".to_owned(),
        "permit(principal in ClientGroup::\"admins\", action, resource) when \
         { principal is AssertedClient };"
            .to_owned(),
    ] {
        refuses(&rules, &["rule 1, line 1"]);
    }
}

#[test]
fn a_text_in_a_rule_is_an_exact_amount_or_nothing() {
    let amount = "0".repeat(63);
    loads(&rule(&format!("context.value.hex == \"{amount}a\"")));
    for text in [format!("{amount}A"), format!("0x{amount}a"), amount.clone(), String::new()] {
        refuses(&rule(&format!("context.value.hex == \"{text}\"")), &["rule 1, line 1", "64"]);
        refuses(&rule(&format!("[\"{text}\"].contains(context.value.hex)")), &["64"]);
    }
    refuses(&rule("context.value.hex like \"00*\""), &["rule 1, line 1", "like"]);
}

#[test]
fn a_saturated_number_is_bounded_by_a_number_or_refused() {
    loads(&rule("context.value.wei <= 5"));
    refuses(
        &rule("context.value.wei <= context.max_cost.wei"),
        &["rule 1, line 1", "with a number"],
    );
}

#[test]
fn a_rule_that_looks_beyond_the_request_is_refused() {
    let treasury = address_text(TREASURY);
    for condition in [
        &format!("Address::\"{treasury}\" in AddressGroup::\"safe\""),
        "resource.creator in ClientGroup::\"admins\"",
        "Client::\"operator\" in ClientGroup::\"admins\"",
    ] {
        refuses(&rule(condition), &["rule 1, line 1", "level"]);
    }
}

#[test]
fn an_address_is_written_in_lower_case_and_stands_in_the_book() {
    let treasury = address_text(TREASURY);
    let own = address_text(key().address);
    loads(&rule(&format!("context.to == Address::\"{treasury}\"")));
    loads(&rule(&format!("resource == Key::\"{own}\"")));
    let upper = own.to_uppercase().replace("0X", "0x");
    for kind in ["Address", "Key"] {
        let literal = |id: &str| match kind {
            "Address" => rule(&format!("[Address::\"{id}\"].contains(context.to)")),
            _ => format!("forbid(principal, action, resource == Key::\"{id}\");"),
        };
        refuses(&literal(&upper), &["rule 1, line 1", &format!("write the address as \"{own}\"")]);
        refuses(&literal(&own[2..]), &["write the address as"]);
        refuses(&literal("treasury"), &["40 lower-case hex"]);
        refuses(&literal(&treasury[..41]), &["40 lower-case hex"]);
        refuses(&literal(&format!("{treasury} ")), &["40 lower-case hex"]);
        refuses(&literal(&address_text([0x33; 20].into())), &["address book"]);
    }
}

#[test]
fn every_entity_that_a_rule_names_is_the_manifests() {
    let scope = |principal: &str, resource: &str| {
        format!(
            "permit(principal {principal}, action == Action::\"SignTransaction\", resource {resource});"
        )
    };
    for (known, unknown, place) in [
        ("== Client::\"operator\"", "== Client::\"app\"", "`clients`"),
        ("== AssertedClient::\"app\"", "== AssertedClient::\"operator\"", "`asserted`"),
        ("in ClientGroup::\"admins\"", "in ClientGroup::\"apps\"", "`clients`"),
        ("in AssertedGroup::\"apps\"", "in AssertedGroup::\"admins\"", "`asserted`"),
        ("in ClientGroup::\"admins\"", "in ClientGroup::\"Admins\"", "`clients`"),
    ] {
        loads(&scope(known, ""));
        refuses(&scope(unknown, ""), &["rule 1, line 1", place]);
    }
    loads(&scope("", "in Vault::\"main\""));
    refuses(&scope("", "in Vault::\"other\""), &["Vault::\"main\""]);
    loads(&rule("context.to in AddressGroup::\"safe\""));
    refuses(&rule("context.to in AddressGroup::\"admins\""), &["`addresses`"]);
}

#[test]
fn a_selector_is_written_as_eight_hex_digits() {
    let with =
        |id: &str| rule(&format!("context has selector && context.selector == Selector::\"{id}\""));
    loads(&with("a9059cbb"));
    loads(&with("0123456f"));
    for bad in ["0xa9059cbb", "A9059CBB", "a9059cb", "a9059cbb0", "transfer", ""] {
        refuses(&with(bad), &["8 lower-case hex digits"]);
    }
}

#[test]
fn a_label_is_written_as_its_name_and_value() {
    let with = |id: &str| rule(&format!("resource.labels.contains(Label::\"{id}\")"));
    for good in ["team=ops", "team=", "a=b=c"] {
        loads(&with(good));
    }
    for bad in ["team", "Team=ops", "team:ops", "=ops", "team=\u{e9}", ""] {
        refuses(&with(bad), &["write a label as"]);
    }
}

#[test]
fn characters_that_read_like_others_are_refused() {
    for hex in ["\u{202e}00", "0\u{043e}a"] {
        refuses(&rule(&format!("context.value.hex == \"{hex}\"")), &["rule 1, line 1"]);
    }
}

#[test]
fn a_refusal_names_the_manifest() {
    let error = Policy::load(&manifest("nonsense")).err().unwrap();
    let refusal = Refusal::from(error);
    assert_eq!(refusal.code, RefusalCode::ManifestInvalid);
    assert!(refusal.detail.starts_with("policy.cedar, line 1:"), "{refusal}");
}

#[test]
fn the_texts_of_rules_are_given_as_they_were_written() {
    let first =
        "@id(\"mine\")\npermit(principal, action, resource)\nwhen { context.nothing == 1 };";
    let second = "forbid(principal, action, resource);";
    let texts = Policy::rule_texts(&manifest(&format!("// why\n{first}\n\n{second} // end\n")));
    let texts: Vec<_> = texts.unwrap().into_iter().map(|r| (r.name, r.line, r.text)).collect();
    let expected = [("rule \"mine\"", 2, first), ("rule 2", 6, second)];
    assert_eq!(texts, expected.map(|(name, line, text)| (name.to_owned(), line, text.to_owned())));
    assert!(Policy::rule_texts(&manifest("nonsense")).is_err());
}

#[test]
fn rules_are_listed_by_action_in_the_manifests_order() {
    let rules =
        "permit(principal == AssertedClient::\"app\", action == Action::\"SignMessage\", resource);
        @id(\"all\") forbid(principal, action, resource) when { context.time < 5 };";
    let policy = Policy::load(&manifest(rules)).unwrap();
    let of = policy.rules_by_action();
    let of = |action: &str| of.iter().find(|of| of.action == action).unwrap().rules.clone();
    let all = ("rule \"all\"".to_owned(), true, vec!["Client", "AssertedClient"]);
    assert_eq!(of("SignMessage"), [("rule 1".to_owned(), false, vec!["AssertedClient"]), all]);
    assert_eq!(of("SignDigest")[0].0, "rule \"all\"");
}
