//! Is what we write what we read, and is nothing else read?

use super::*;
use crate::key_policy::Policy;
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";

fn role(name: &str) -> EntityArn {
    format!("arn:aws:iam::{ACCOUNT}:role/{name}").parse().expect("is a role")
}

fn roles(names: &[&str]) -> BTreeSet<EntityArn> {
    names.iter().map(|name| role(name)).collect()
}

fn set(image: u8, manifest: u8) -> AdmittedSet {
    AdmittedSet::new([image; 48], [manifest; 48])
}

fn vault() -> VaultName {
    let name = |text: &str| text.parse().expect("is a name");
    VaultName { deployment: name("production"), vault: name("main") }
}

fn terms() -> Terms {
    Terms {
        administrators: roles(&["kms-admin"]),
        break_glass: roles(&["break-glass"]),
        auditors: roles(&["auditor"]),
        appliance_roles: roles(&["appliance"]),
        sets: vec![set(1, 2), set(3, 4)],
        vault: vault(),
        vault_creation: true,
        multi_region: false,
        imported_material: false,
    }
}

fn read(text: &str) -> Result<Form, FormError> {
    Form::read(text, ACCOUNT, &vault())
}

fn written(terms: &Terms) -> String {
    terms.write().expect("are terms")
}

#[test]
fn what_is_written_is_read_and_says_the_same() {
    let check = |terms: Terms| {
        let text = written(&terms);
        Policy::parse(&text).expect("the evaluator understands it too");
        let expected = Form {
            administrators: terms.administrators.union(&terms.break_glass).cloned().collect(),
            sets: terms.sets.into_iter().collect(),
            account_root: false,
            multi_region: terms.multi_region,
            imported_material: terms.imported_material,
        };
        assert_eq!(read(&text), Ok(expected));
    };
    check(terms());
    check(Terms { sets: vec![], ..terms() });
    check(Terms { vault_creation: false, ..terms() });
    check(Terms { multi_region: true, imported_material: true, ..terms() });
    check(Terms { auditors: roles(&[]), break_glass: roles(&[]), ..terms() });
    let pinned = AdmittedSet { pcr3: Some([5; 48]), pcr8: Some([6; 48]), ..set(1, 2) };
    check(Terms { sets: vec![pinned, AdmittedSet { pcr0: [7; 48], ..pinned }], ..terms() });
}

#[test]
fn the_text_is_this() {
    let one = Terms { sets: vec![set(1, 2)], vault_creation: false, ..terms() };
    let value: Value = serde_json::from_str(&written(&one)).expect("is JSON");
    let sids: Vec<_> = value["Statement"].as_array().expect("is a list").iter().collect();
    let sids: Vec<_> = sids.iter().map(|s| s["Sid"].as_str().expect("is named")).collect();
    let expected = ["Administration", "BreakGlass", "Audit", "ApplianceReads", "Measured0"];
    assert_eq!(sids, [&expected[..], &["OnlyPCR0", "OnlyPCR16", "Nobody"]].concat());
    let image = "01".repeat(48);
    assert_eq!(
        value["Statement"][4],
        json!({
            "Sid": "Measured0",
            "Effect": "Allow",
            "Principal": { "AWS": ["arn:aws:iam::111122223333:role/appliance"] },
            "Action": ["kms:Decrypt"],
            "Resource": "*",
            "Condition": {
                "StringEqualsIgnoreCase": {
                    "kms:RecipientAttestation:PCR0": image,
                    "kms:RecipientAttestation:PCR16": "02".repeat(48),
                },
                "StringEquals": {
                    "kms:EncryptionContext:app": "nitro-signer",
                    "kms:EncryptionContext:version": "1",
                    "kms:EncryptionContext:deployment": "production",
                    "kms:EncryptionContext:vault": "main",
                    "kms:EncryptionContext:purpose": "vault",
                    "kms:EncryptionContext:share": "0",
                },
                "ForAllValues:StringEquals": {
                    "kms:EncryptionContextKeys":
                        ["app", "deployment", "purpose", "share", "vault", "version"],
                },
            },
        })
    );
    assert_eq!(
        value["Statement"][5],
        json!({
            "Sid": "OnlyPCR0",
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {
                "StringNotEqualsIgnoreCase": { "kms:RecipientAttestation:PCR0": [image] },
            },
        })
    );
}

#[test]
fn order_names_and_single_values_mean_nothing() {
    let one = Terms { sets: vec![set(1, 2)], ..terms() };
    let expected = read(&written(&one));
    let mut value: Value = serde_json::from_str(&written(&one)).expect("is JSON");
    value["Id"] = json!("any");
    let statements = value["Statement"].as_array_mut().expect("is a list");
    statements.reverse();
    for statement in statements {
        statement.as_object_mut().expect("is one").remove("Sid");
        if statement["Principal"] == "*" {
            statement["Principal"] = json!({ "AWS": "*" });
        }
        if let Some([only]) = statement["Principal"]["AWS"].as_array().map(Vec::as_slice) {
            statement["Principal"] = json!({ "AWS": only });
        }
    }
    assert_eq!(read(&value.to_string()), expected);
}

/// Statements by their place in [`terms`].
const ADMINISTRATION_AT: usize = 0;
const BREAK_GLASS_AT: usize = 1;
const AUDIT_AT: usize = 2;
const MEASURED_AT: usize = 4;
const ONLY_PCR0_AT: usize = 6;
const ONLY_PCR16_AT: usize = 7;
const NOBODY_AT: usize = 8;

/// The policy with one statement changed.
fn changed(index: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut value: Value = serde_json::from_str(&written(&terms())).expect("is JSON");
    change(&mut value["Statement"][index]);
    value.to_string()
}

fn with(statement: Value) -> String {
    let mut value: Value = serde_json::from_str(&written(&terms())).expect("is JSON");
    value["Statement"].as_array_mut().expect("is a list").push(statement);
    value.to_string()
}

fn without(index: usize) -> String {
    let mut value: Value = serde_json::from_str(&written(&terms())).expect("is JSON");
    value["Statement"].as_array_mut().expect("is a list").remove(index);
    value.to_string()
}

#[test]
fn a_statement_that_is_not_of_the_form_is_named() {
    let not_one = |index, change: &dyn Fn(&mut Value)| {
        assert_eq!(read(&changed(index, change)), Err(FormError::Statement(index)));
    };
    for index in 0..=NOBODY_AT {
        not_one(index, &|s| s["Effect"] = json!("allow"));
        not_one(index, &|s| s["Resource"] = json!("arn:aws:kms:*:*:key/*"));
        not_one(index, &|s| s["NotResource"] = json!("*"));
        not_one(index, &|s| s["NotAction"] = json!("kms:Decrypt"));
        not_one(index, &|s| s["Action"] = json!([]));
        not_one(index, &|s| s["Action"] = json!([1]));
        not_one(index, &|s| s["Condition"] = json!([]));
        not_one(index, &|s| s["Condition"] = json!({ "Bool": "true" }));
        not_one(index, &|s| s["Sid"] = json!(1));
        not_one(index, &|s| s["Principal"] = json!({ "Service": "ec2.amazonaws.com" }));
        not_one(index, &|s| s["Principal"] = json!({ "AWS": ["*", role("a")] }));
        not_one(index, &|s| {
            let who = s.as_object_mut().expect("is one").remove("Principal");
            s["NotPrincipal"] = who.expect("is there");
        });
    }
    for index in ADMINISTRATION_AT..=MEASURED_AT {
        let who = |index, who: &str| not_one(index, &|s| s["Principal"] = json!({ "AWS": who }));
        who(index, "*");
        who(index, ACCOUNT);
        who(index, "arn:aws:iam::111122223333:root");
        who(index, "arn:aws:sts::111122223333:assumed-role/appliance/session");
        who(index, "arn:aws:iam::111122223333:role/*");
        who(index, "AROAEXAMPLEEXAMPLE");
        not_one(index, &|s| s["Action"] = json!("kms:*"));
        not_one(index, &|s| s["Action"] = json!(["kms:DescribeKey", "kms:CreateGrant"]));
        not_one(index, &|s| s["Action"] = json!("kms:decrypt"));
        not_one(index, &|s| s["Condition"] = json!({ "Bool": { "aws:SecureTransport": "true" } }));
    }
    not_one(AUDIT_AT, &|s| {
        s["Principal"]["AWS"] = json!(["arn:aws:iam::${aws:PrincipalAccount}:role/a"]);
    });
    not_one(BREAK_GLASS_AT, &|s| {
        s["Condition"]["Bool"]["aws:MultiFactorAuthPresent"] = json!("false");
    });
    not_one(ONLY_PCR0_AT, &|s| s["Principal"] = json!({ "AWS": role("appliance") }));
}

#[test]
fn a_set_is_let_in_by_exactly_the_forms_conditions() {
    const IMAGE: &str = "kms:RecipientAttestation:PCR0";
    const CONTEXT: &str = "kms:EncryptionContext:vault";
    let not_one = |change: &dyn Fn(&mut Value)| {
        let change = |s: &mut Value| change(&mut s["Condition"]);
        assert_eq!(read(&changed(MEASURED_AT, change)), Err(FormError::Statement(MEASURED_AT)));
    };
    let remove =
        |map: &mut Value, key: &str| drop(map.as_object_mut().expect("is one").remove(key));
    let registers = EQUALS_IGNORE_CASE;
    not_one(&|c| *c = json!({}));
    not_one(&|c| remove(c, registers));
    not_one(&|c| remove(c, EQUALS));
    not_one(&|c| remove(c, ALL_EQUAL));
    not_one(&|c| remove(&mut c[registers], IMAGE));
    not_one(&|c| remove(&mut c[EQUALS], CONTEXT));
    not_one(&|c| c[EQUALS][CONTEXT] = json!("other"));
    not_one(&|c| c[EQUALS][CONTEXT] = json!(["main", "other"]));
    not_one(&|c| c[ALL_EQUAL][CONTEXT_KEYS][0] = json!("more"));
    not_one(&|c| c[registers][IMAGE] = json!("00".repeat(48)));
    not_one(&|c| c[registers][IMAGE] = json!("AB".repeat(48)));
    not_one(&|c| c[registers][IMAGE] = json!("ab".repeat(47)));
    not_one(&|c| c[registers][IMAGE] = json!(["01".repeat(48), "03".repeat(48)]));
    not_one(&|c| c[registers]["kms:RecipientAttestation:PCR1"] = json!("01".repeat(48)));
    not_one(&|c| c[registers]["kms:RecipientAttestation:PCR00"] = json!("01".repeat(48)));
    not_one(&|c| c[registers]["kms:RecipientAttestation:pcr3"] = json!("01".repeat(48)));
    for operator in ["StringEquals", "StringLike", "StringEqualsIgnoreCaseIfExists"] {
        not_one(&|c| {
            let keys = c.as_object_mut().expect("is one").remove(registers).expect("is there");
            c[format!("ForAnyValue:{operator}")] = keys;
        });
    }
    not_one(&|c| c["Null"] = json!({ IMAGE: "false" }));
}

#[test]
fn what_the_form_denies_must_be_denied_to_everybody() {
    let open = FormError::NotDenied("unattested use, or use by other registers");
    let check = |text: String, expected: &FormError| {
        assert_eq!(read(&text), Err(expected.clone()));
    };
    for index in [ONLY_PCR0_AT, ONLY_PCR16_AT] {
        check(without(index), &open);
        check(changed(index, |s| s["Action"] = json!("kms:Decrypt")), &open);
        check(changed(index, |s| s["Action"] = json!("kms:GenerateDataKey")), &open);
    }
    // Both registers in one condition deny only if both differ.
    check(
        changed(ONLY_PCR0_AT, |s| {
            s["Condition"][NOT_EQUALS_IGNORE_CASE]["kms:RecipientAttestation:PCR16"] =
                json!(["02".repeat(48), "04".repeat(48)]);
        }),
        &open,
    );
    let values = |s: &mut Value, values: Value| {
        s["Condition"][NOT_EQUALS_IGNORE_CASE]["kms:RecipientAttestation:PCR0"] = values;
    };
    check(changed(ONLY_PCR0_AT, |s| values(s, json!("01".repeat(48)))), &open);
    let more = json!(["01".repeat(48), "03".repeat(48), "09".repeat(48)]);
    check(changed(ONLY_PCR0_AT, |s| values(s, more)), &open);
    check(without(NOBODY_AT), &FormError::NotDenied("kms:CreateGrant"));
    let all = NOBODY.into_iter().chain([REPLICATE, IMPORT_MATERIAL]);
    for missing in all.clone() {
        let rest: Vec<_> = all.clone().filter(|action| *action != missing).collect();
        check(changed(NOBODY_AT, |s| s["Action"] = json!(rest)), &FormError::NotDenied(missing));
    }
    let closed: Value =
        serde_json::from_str(&written(&Terms { sets: vec![], ..terms() })).expect("is JSON");
    let mut opened = closed.clone();
    opened["Statement"].as_array_mut().expect("is a list").remove(4);
    check(opened.to_string(), &open);
    let unknown = json!({
        "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    });
    check(with(unknown), &FormError::Document);
}

#[test]
fn a_delegation_to_the_account_is_seen_and_only_in_its_one_form() {
    let delegation = |who: &str| {
        json!({
            "Effect": "Allow", "Principal": { "AWS": who }, "Action": "kms:*", "Resource": "*",
        })
    };
    for who in ["arn:aws:iam::111122223333:root", ACCOUNT] {
        let form = read(&with(delegation(who))).expect("is of the form");
        assert_eq!(form, Form { account_root: true, ..read(&written(&terms())).expect("is too") });
    }
    for who in ["arn:aws:iam::444455556666:root", "444455556666", "*"] {
        assert_eq!(read(&with(delegation(who))), Err(FormError::Statement(9)));
    }
}

#[test]
fn more_rights_of_an_administrator_are_seen() {
    let more = |action: &str| {
        changed(ADMINISTRATION_AT, |s| {
            s["Action"].as_array_mut().expect("is a list").push(json!(action));
        })
    };
    let form = |text: &str| read(text).expect("is of the form");
    assert!(form(&more(REPLICATE)).multi_region);
    assert!(form(&more(IMPORT_MATERIAL)).imported_material);
    let second = with(json!({
        "Effect": "Allow", "Principal": { "AWS": role("auditor") }, "Action": "kms:PutKeyPolicy",
        "Resource": "*",
    }));
    assert!(form(&second).administrators.contains(&role("auditor")));
}

#[test]
fn a_document_that_is_none_is_refused_whole() {
    let text = written(&terms());
    let check = |text: &str, expected: &FormError| assert_eq!(read(text), Err(expected.clone()));
    check("", &FormError::Json);
    check("[]", &FormError::Document);
    check("{}", &FormError::Document);
    check(&text.replace("2012-10-17", "2008-10-17"), &FormError::Document);
    check(&text.replacen("\"Version\"", "\"Id\": [], \"Version\"", 1), &FormError::Document);
    check(&text.replacen("\"Version\"", "\"More\": \"\", \"Version\"", 1), &FormError::Document);
    let twice = text.replacen("\"Effect\"", "\"Effect\": \"Deny\", \"Effect\"", 1);
    check(&twice, &FormError::Json);
    check(&" ".repeat(MAX_SPACES), &FormError::TooLong);
    check(&format!("{{\"a\": {}", "[".repeat(10_000)), &FormError::Json);
}

const MAX_SPACES: usize = crate::key_policy::MAX_POLICY + 1;

#[test]
fn another_vault_or_account_is_another_key() {
    let text = written(&terms());
    let other = VaultName { vault: "other".parse().expect("is a name"), ..vault() };
    assert_eq!(Form::read(&text, ACCOUNT, &other), Err(FormError::Statement(MEASURED_AT)));
}

#[test]
fn terms_that_open_too_much_are_not_written() {
    let check = |terms: Terms, expected: TermsError| {
        assert_eq!(terms.write(), Err(expected));
    };
    check(Terms { administrators: roles(&[]), ..terms() }, TermsError::Nobody("administrator"));
    check(Terms { appliance_roles: roles(&[]), ..terms() }, TermsError::Nobody("appliance role"));
    let twice = Terms { auditors: roles(&["appliance"]), ..terms() };
    check(twice, TermsError::Twice(role("appliance")));
    let many: Vec<String> = (0..17).map(|n| format!("a{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    check(Terms { auditors: roles(&many), ..terms() }, TermsError::TooMany("auditors", 17, 16));
    check(Terms { sets: vec![set(0, 1)], ..terms() }, TermsError::Zeros);
    check(Terms { sets: vec![set(1, 0)], ..terms() }, TermsError::Zeros);
    check(Terms { sets: vec![set(1, 2), set(1, 2)], ..terms() }, TermsError::SameSets);
    let pinned = AdmittedSet { pcr8: Some([1; 48]), ..set(3, 4) };
    check(Terms { sets: vec![set(1, 2), pinned], ..terms() }, TermsError::UnequalSets);
    let sets: Vec<_> = (1..=17).map(|n| set(n, n)).collect();
    check(Terms { sets, ..terms() }, TermsError::TooMany("measurement sets", 17, 16));
    let long = |n: usize| {
        let path = "p".repeat(500);
        format!("arn:aws:iam::{ACCOUNT}:role/{path}/{n}").parse().expect("is a role")
    };
    let [auditors, administrators] = [0, 100].map(|from| (from..from + 16).map(long).collect());
    let sets = (1..=16).map(|n| set(n, n)).collect();
    let large = Terms { auditors, administrators, sets, ..terms() };
    assert!(matches!(large.write(), Err(TermsError::TooLarge(_))));
}

#[test]
fn an_entity_is_a_role_or_a_user_and_nothing_wider() {
    let check = |text: &str, taken: bool| assert_eq!(text.parse::<EntityArn>().is_ok(), taken);
    check("arn:aws:iam::111122223333:role/a", true);
    check("arn:aws-us-gov:iam::111122223333:user/path/to/a.b@c", true);
    for text in [
        "",
        "*",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:group/a",
        "arn:aws:iam::11112222333:role/a",
        "arn:aws:iam::*:role/a",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role//a",
        "arn:aws:iam::111122223333:role/a*",
        "arn:aws:iam::111122223333:role/a?",
        "arn:aws:iam::111122223333:role/a b",
        "arn:aws:iam:us-east-1:111122223333:role/a",
        "arn:aws:sts::111122223333:assumed-role/a/b",
        "arn:other:iam::111122223333:role/a",
    ] {
        check(text, false);
    }
    check(&format!("arn:aws:iam::111122223333:role/{}", "a".repeat(MAX_ARN)), false);
}
