//! Each table names the page of AWS's documentation whose rule it holds. All pages are of the IAM
//! user guide (docs.aws.amazon.com/IAM/latest/UserGuide/<page>.html) unless KMS is named.

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/appliance";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/appliance/i-0123";
const USER: &str = "arn:aws:iam::111122223333:user/alice";
const ROOT: &str = "arn:aws:iam::111122223333:root";
const STRANGER: &str = "arn:aws:iam::444455556666:user/mallory";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001";

fn caller(text: &str) -> Principal {
    Principal::parse(text).expect("is a principal")
}

fn context(entries: &[(&str, &[&str])]) -> Context {
    let mut context = Context::default();
    for (key, values) in entries {
        context.insert(key, values.iter().copied());
    }
    context
}

/// What was decided and by which statement: "allow 0", "account 0", "deny 1", "none".
fn decide(policy: &str, who: &str, action: &str, resource: &str, context: &Context) -> String {
    let principal = caller(who);
    let request = Request { principal: &principal, action, resource, context };
    match Policy::parse(policy).expect("is a policy").evaluate(&request) {
        Decision::Allowed(s) => format!("allow {}", s.index),
        Decision::LeftToAccount(s) => format!("account {}", s.index),
        Decision::ExplicitDeny(s) => format!("deny {}", s.index),
        Decision::NoMatch => "none".to_owned(),
    }
}

/// A statement about everything, with these members more.
fn statement(effect: &str, principal: &str, more: &str) -> String {
    format!(r#"{{"Effect":"{effect}",{principal},"Action":"kms:*","Resource":"*"{more}}}"#)
}

fn policy(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

/// Whether one condition holds: an Allow under it either answers or not.
fn check_condition(condition: &str, entries: &[(&str, &[&str])], expected: bool) {
    let more = format!(r#","Condition":{{{condition}}}"#);
    let policy = policy(&[statement("Allow", r#""Principal":"*""#, &more)]);
    let decided = decide(&policy, ROLE, "kms:Decrypt", KEY, &context(entries));
    assert_eq!(decided == "allow 0", expected, "{condition} on {entries:?}");
}

fn check_refused(text: &str, place: &str) {
    let error = Policy::parse(text).expect_err(text);
    assert_eq!(error.place, place, "{error}\n{text}");
}

/// reference_policies_evaluation-logic
#[test]
fn deny_wins_and_silence_denies() {
    let allow = statement("Allow", r#""Principal":"*""#, "");
    let deny = statement("Deny", r#""Principal":"*""#, "");
    let check = |statements: &[String], expected: &str| {
        let decided = decide(&policy(statements), ROLE, "kms:Decrypt", KEY, &Context::default());
        assert_eq!(decided, expected);
    };
    check(std::slice::from_ref(&allow), "allow 0");
    check(&[allow.clone(), deny.clone()], "deny 1");
    check(&[deny.clone(), allow.clone()], "deny 0");
    let other = allow.replace("kms:*", "kms:Encrypt");
    check(std::slice::from_ref(&other), "none");
    check(&[other, allow], "allow 1");
}

/// reference_policies_elements_principal
#[test]
fn principals_are_the_ones_named() {
    let check = |principal: &str, who: &str, expected: &str| {
        let policy = policy(&[statement("Allow", &format!(r#""Principal":{principal}"#), "")]);
        let decided = decide(&policy, who, "kms:Decrypt", KEY, &Context::default());
        assert_eq!(decided, expected, "{principal} for {who}");
    };
    for everyone in [r#""*""#, r#"{"AWS":"*"}"#, r#"{"AWS":["*"]}"#] {
        check(everyone, ROLE, "allow 0");
        check(everyone, STRANGER, "allow 0");
    }
    for account in [r#"{"AWS":"111122223333"}"#, &format!(r#"{{"AWS":"{ROOT}"}}"#)] {
        check(account, ROOT, "allow 0");
        check(account, ROLE, "account 0");
        check(account, SESSION, "account 0");
        check(account, STRANGER, "none");
        check(account, "ec2.amazonaws.com", "none");
    }
    let role = format!(r#"{{"AWS":["{STRANGER}","{ROLE}"]}}"#);
    check(&role, ROLE, "allow 0");
    check(&role, SESSION, "allow 0");
    check(&role, STRANGER, "allow 0");
    check(&role, USER, "none");
    check(&role, ROOT, "none");
    check(&role, "arn:aws:iam::111122223333:role/Appliance", "none");
    let session = format!(r#"{{"AWS":"{SESSION}"}}"#);
    check(&session, SESSION, "allow 0");
    check(&session, ROLE, "none");
    check(&session, "arn:aws:sts::111122223333:assumed-role/appliance/other", "none");
    check(r#"{"Service":"ec2.amazonaws.com"}"#, "ec2.amazonaws.com", "allow 0");
    check(r#"{"Service":"ec2.amazonaws.com"}"#, "s3.amazonaws.com", "none");
    check(r#"{"Service":"ec2.amazonaws.com"}"#, ROLE, "none");
}

/// A session's ARN leaves out the role's path, so a path has to come with the role's own ARN.
#[test]
fn a_session_is_known_by_its_role() {
    let role = "arn:aws:iam::111122223333:role/signing/appliance";
    let principal = Principal::role_session(role, "i-0123").expect("is a session");
    assert_eq!(principal.name(), SESSION);
    let policy = policy(&[statement("Allow", &format!(r#""Principal":{{"AWS":"{role}"}}"#), "")]);
    let policy = Policy::parse(&policy).expect("is a policy");
    let check = |principal: &Principal, expected: bool| {
        let context = Context::default();
        let request =
            Request { principal, action: "kms:Decrypt", resource: KEY, context: &context };
        assert_eq!(policy.evaluate(&request) != Decision::NoMatch, expected);
    };
    check(&principal, true);
    check(&caller(SESSION), false);
    assert_eq!(Principal::role_session(USER, "s"), Err(PrincipalError));
    assert_eq!(Principal::role_session(role, ""), Err(PrincipalError));
    assert_eq!(Principal::role_session(role, "a/b"), Err(PrincipalError));
}

/// An account in a Deny means everyone in it. reference_policies_elements_notprincipal: a Deny
/// spares only whom it lists by account, role and session.
#[test]
fn deny_reaches_whole_accounts_and_spares_only_the_fully_listed() {
    let check = |principal: &str, who: &str, expected: &str| {
        let allow = statement("Allow", r#""Principal":"*""#, "");
        let deny = statement("Deny", principal, "");
        let decided = decide(&policy(&[allow, deny]), who, "kms:Decrypt", KEY, &Context::default());
        assert_eq!(decided, expected, "{principal} for {who}");
    };
    let account = format!(r#""Principal":{{"AWS":"{ROOT}"}}"#);
    check(&account, ROLE, "deny 1");
    check(&account, SESSION, "deny 1");
    check(&account, STRANGER, "allow 0");
    let not = |names: &[&str]| format!(r#""NotPrincipal":{{"AWS":["{}"]}}"#, names.join(r#"",""#));
    check(&not(&[ROLE]), ROLE, "deny 1");
    check(&not(&[ROLE, ROOT]), ROLE, "allow 0");
    check(&not(&[ROLE, ROOT]), SESSION, "deny 1");
    check(&not(&[ROLE, SESSION, ROOT]), SESSION, "allow 0");
    check(&not(&[ROOT]), ROOT, "allow 0");
    check(&not(&[ROOT]), USER, "deny 1");
    check(&not(&[USER, ROOT]), STRANGER, "deny 1");
    check(r#""NotPrincipal":{"Service":"ec2.amazonaws.com"}"#, "ec2.amazonaws.com", "allow 0");
}

/// reference_policies_elements_notprincipal: with Allow, everybody else.
#[test]
fn allow_with_not_principal_means_everybody_else() {
    let check = |listed: &str, who: &str, expected: &str| {
        let principal = format!(r#""NotPrincipal":{{"AWS":"{listed}"}}"#);
        let policy = policy(&[statement("Allow", &principal, "")]);
        assert_eq!(
            decide(&policy, who, "kms:Decrypt", KEY, &Context::default()),
            expected,
            "{listed} for {who}"
        );
    };
    check(USER, USER, "none");
    check(USER, STRANGER, "allow 0");
    check(USER, ROLE, "allow 0");
    check(ROLE, SESSION, "none");
    check(ROOT, USER, "none");
    check(ROOT, STRANGER, "allow 0");
}

/// reference_policies_elements_action, reference_policies_elements_notaction
#[test]
fn actions_take_wildcards_and_ignore_case() {
    let check = |member: &str, action: &str, expected: bool| {
        let policy =
            policy(&[format!(r#"{{"Effect":"Allow","Principal":"*",{member},"Resource":"*"}}"#)]);
        let decided = decide(&policy, ROLE, action, KEY, &Context::default());
        assert_eq!(decided == "allow 0", expected, "{member} for {action}");
    };
    check(r#""Action":"*""#, "kms:Decrypt", true);
    check(r#""Action":"kms:*""#, "kms:Decrypt", true);
    check(r#""Action":"KMS:decrypt""#, "kms:Decrypt", true);
    check(r#""Action":"s3:*""#, "kms:Decrypt", false);
    check(r#""Action":["kms:Encrypt","kms:GenerateDataKey*"]"#, "kms:GenerateDataKey", true);
    let without = "kms:GenerateDataKeyWithoutPlaintext";
    check(r#""Action":["kms:Encrypt","kms:GenerateDataKey*"]"#, without, true);
    check(r#""Action":"kms:GenerateDataKey""#, without, false);
    check(r#""Action":"kms:?ecrypt""#, "kms:Decrypt", true);
    check(r#""Action":"kms:Decryp""#, "kms:Decrypt", false);
    check(r#""NotAction":"kms:Decrypt""#, "kms:Decrypt", false);
    check(r#""NotAction":"kms:De*""#, "kms:Encrypt", true);
    check(r#""NotAction":["kms:Encrypt","kms:d*"]"#, "kms:Decrypt", false);
}

/// KMS developer guide, key-policy-overview: `*` is the key; reference_policies_elements_resource
#[test]
fn resources_are_the_key_or_its_arn() {
    let check = |member: &str, expected: bool| {
        let policy =
            policy(&[format!(r#"{{"Effect":"Allow","Principal":"*","Action":"kms:*",{member}}}"#)]);
        let decided = decide(&policy, ROLE, "kms:Decrypt", KEY, &Context::default());
        assert_eq!(decided == "allow 0", expected, "{member}");
    };
    check(r#""Resource":"*""#, true);
    check(&format!(r#""Resource":"{KEY}""#), true);
    check(r#""Resource":"arn:aws:kms:*:111122223333:key/*""#, true);
    check(r#""Resource":["arn:aws:kms:us-east-1:111122223333:key/*"]"#, false);
    check(&format!(r#""Resource":"{}""#, KEY.to_uppercase().replace("ARN", "arn")), false);
    check(r#""NotResource":"arn:aws:kms:us-east-1:111122223333:key/*""#, true);
    check(&format!(r#""NotResource":"{KEY}""#), false);
}

/// reference_policies_elements_condition_operators
#[test]
fn string_operators_compare_as_they_say() {
    let key: &[(&str, &[&str])] = &[("kms:EncryptionContext:App", &["Signer"])];
    let check = |operator: &str, values: &str, expected: bool| {
        let condition = format!(r#""{operator}":{{"kms:encryptioncontext:APP":{values}}}"#);
        check_condition(&condition, key, expected);
    };
    check("StringEquals", r#""Signer""#, true);
    check("StringEquals", r#""signer""#, false);
    check("StringEquals", r#""Sign*""#, false);
    check("StringEquals", r#"["a","Signer"]"#, true);
    check("StringNotEquals", r#""Signer""#, false);
    check("StringNotEquals", r#""signer""#, true);
    check("StringNotEquals", r#"["a","Signer"]"#, false);
    check("StringEqualsIgnoreCase", r#""SIGNER""#, true);
    check("StringEqualsIgnoreCase", r#""SIGNERS""#, false);
    check("StringNotEqualsIgnoreCase", r#""SIGNER""#, false);
    check("StringNotEqualsIgnoreCase", r#"["a","b"]"#, true);
    check("StringLike", r#""Sig*""#, true);
    check("StringLike", r#""sig*""#, false);
    check("StringLike", r#""Signe?""#, true);
    check("StringNotLike", r#""Sig*""#, false);
    check("StringNotLike", r#"["a*","b*"]"#, true);
}

/// reference_policies_elements_condition_operators, "ARN condition operators"
#[test]
fn arn_operators_compare_part_by_part() {
    let key: &[(&str, &[&str])] = &[("aws:PrincipalArn", &[ROLE])];
    let check = |operator: &str, value: &str, expected: bool| {
        let condition = format!(r#""{operator}":{{"aws:PrincipalArn":"{value}"}}"#);
        check_condition(&condition, key, expected);
    };
    for equals in ["ArnEquals", "ArnLike"] {
        check(equals, ROLE, true);
        check(equals, "arn:aws:iam::*:role/*", true);
        check(equals, "arn:aws:iam::111122223333:user/*", false);
        check(equals, "arn:aws:iam:*:role/appliance:x", false);
    }
    for not in ["ArnNotEquals", "ArnNotLike"] {
        check(not, ROLE, false);
        check(not, "arn:aws:iam::*:user/*", true);
    }
    check_condition(
        r#""ArnLike":{"aws:SourceArn":"arn:*:*:*:*:*"}"#,
        &[("aws:sourcearn", &["x"])],
        false,
    );
}

/// reference_policies_elements_condition_operators: a missing key fails a positive operator,
/// satisfies a negated one and every …IfExists; Null asks for it. The same page and
/// reference_policies_condition-single-vs-multi-valued-context-keys: ForAllValues is true and
/// ForAnyValue false without the key.
#[test]
fn an_absent_key_is_judged_by_the_operator() {
    let check = |operator: &str, value: &str, expected: bool| {
        let condition = format!(r#""{operator}":{{"kms:RecipientAttestation:PCR16":{value}}}"#);
        check_condition(&condition, &[], expected);
        // An empty set of values is an absent key.
        check_condition(&condition, &[("kms:RecipientAttestation:PCR16", &[])], expected);
    };
    let arn = r#""arn:aws:iam::111122223333:role/x""#;
    for (operator, value) in [
        ("StringEquals", r#""x""#),
        ("StringEqualsIgnoreCase", r#""x""#),
        ("StringLike", r#""*""#),
        ("ArnEquals", arn),
        ("ArnLike", arn),
        ("Bool", "true"),
        ("Bool", r#""false""#),
    ] {
        check(operator, value, false);
        check(&format!("{operator}IfExists"), value, true);
        check(&format!("ForAllValues:{operator}"), value, true);
        check(&format!("ForAllValues:{operator}IfExists"), value, true);
        check(&format!("ForAnyValue:{operator}"), value, false);
    }
    for (operator, value) in [
        ("StringNotEquals", r#""x""#),
        ("StringNotEqualsIgnoreCase", r#""x""#),
        ("StringNotLike", r#""*""#),
        ("ArnNotEquals", arn),
        ("ArnNotLike", arn),
    ] {
        check(operator, value, true);
        check(&format!("{operator}IfExists"), value, true);
        check(&format!("ForAllValues:{operator}"), value, true);
        check(&format!("ForAnyValue:{operator}"), value, false);
    }
    check("Null", "true", true);
    check("Null", r#""true""#, true);
    check("Null", "false", false);
}

/// reference_policies_elements_condition_operators, "…IfExists", "Null", "Boolean"
#[test]
fn a_present_key_is_judged_as_without_if_exists() {
    let key: &[(&str, &[&str])] = &[("aws:SecureTransport", &["true"])];
    let check = |operator: &str, value: &str, expected: bool| {
        check_condition(
            &format!(r#""{operator}":{{"aws:securetransport":{value}}}"#),
            key,
            expected,
        );
    };
    check("Bool", "true", true);
    check("Bool", r#""True""#, true);
    check("Bool", "false", false);
    check("BoolIfExists", "false", false);
    check("StringEqualsIfExists", r#""false""#, false);
    check("StringNotEqualsIfExists", r#""true""#, false);
    check("Null", "false", true);
    check("Null", "true", false);
}

/// reference_policies_condition-single-vs-multi-valued-context-keys
#[test]
fn several_values_are_judged_by_the_set_operator() {
    let check = |operator: &str, values: &str, present: &[&str], expected: bool| {
        let condition = format!(r#""{operator}":{{"kms:EncryptionContextKeys":{values}}}"#);
        check_condition(&condition, &[("kms:EncryptionContextKeys", present)], expected);
    };
    check("ForAllValues:StringEquals", r#"["a","b"]"#, &["a", "b"], true);
    check("ForAllValues:StringEquals", r#"["a","b","c"]"#, &["a"], true);
    check("ForAllValues:StringEquals", r#"["a","b"]"#, &["a", "c"], false);
    check("ForAllValues:StringNotEquals", r#"["a","b"]"#, &["c", "d"], true);
    check("ForAllValues:StringNotEquals", r#"["a","b"]"#, &["a", "c"], false);
    // reference_policies_condition_examples-multi-valued-context-keys: an empty string counts as
    // no value.
    check("ForAllValues:StringEquals", r#""a""#, &[""], true);
    check("ForAnyValue:StringEquals", r#"["a","b"]"#, &["a", "c"], true);
    check("ForAnyValue:StringEquals", r#"["a","b"]"#, &["c", "d"], false);
    check("ForAnyValue:StringNotEquals", r#"["a","b"]"#, &["a", "c"], true);
    check("ForAnyValue:StringNotEquals", r#"["a","b"]"#, &["a", "b"], false);
    check("ForAnyValue:StringLike", r#""a*""#, &["xa", "ab"], true);
    // A key that should have one value and has several; see `Over::Plain`.
    let several: &[(&str, &[&str])] = &[("kms:EncryptionContext:a", &["a", "b"])];
    for operator in ["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"] {
        let condition = format!(r#""{operator}":{{"kms:EncryptionContext:a":"a"}}"#);
        check_condition(&condition, several, false);
    }
}

/// reference_policies_condition-logic-multiple-context-keys-or-values
#[test]
fn operators_and_keys_are_joined_by_and() {
    let both: &[(&str, &[&str])] = &[("kms:a", &["1"]), ("kms:b", &["2"])];
    let check = |condition: &str, expected: bool| check_condition(condition, both, expected);
    check(r#""StringEquals":{"kms:a":"1","kms:b":"2"}"#, true);
    check(r#""StringEquals":{"kms:a":"1","kms:b":"3"}"#, false);
    check(r#""StringEquals":{"kms:a":"1"},"StringLike":{"kms:b":"2"}"#, true);
    check(r#""StringEquals":{"kms:a":"1"},"StringNotLike":{"kms:b":"2"}"#, false);
    check(r#""StringEquals":{"kms:a":["1","9"],"kms:b":["9","2"]}"#, true);
}

/// KMS developer guide, conditions-nitro-enclaves: a Deny on the image catches calls without
/// attestation as well as those from another image.
#[test]
fn an_attested_key_is_released_to_its_image_only() {
    let deny = statement(
        "Deny",
        r#""Principal":"*""#,
        r#","Condition":{"StringNotEqualsIgnoreCase":{"kms:RecipientAttestation:ImageSha384":"ABCD"}}"#,
    )
    .replace("kms:*", "kms:Decrypt");
    let allow = statement("Allow", &format!(r#""Principal":{{"AWS":"{ROLE}"}}"#), "");
    let policy = policy(&[allow, deny]);
    let check = |image: &[&str], expected: &str| {
        let context = context(&[("kms:RecipientAttestation:ImageSha384", image)]);
        assert_eq!(decide(&policy, ROLE, "kms:Decrypt", KEY, &context), expected);
    };
    check(&["abcd"], "allow 0");
    check(&["abce"], "deny 1");
    check(&[], "deny 1");
}

#[test]
fn what_is_not_understood_is_refused_by_place() {
    let good = statement("Allow", r#""Principal":"*""#, "");
    assert!(Policy::parse(&policy(std::slice::from_ref(&good))).is_ok());
    assert!(Policy::parse(&format!(r#"{{"Id":"x","Statement":{good}}}"#)).is_ok());
    let check = |from: &str, to: &str, place: &str| {
        assert!(good.contains(from), "{from}");
        check_refused(&policy(&[good.clone(), good.replace(from, to)]), place);
    };
    let in_second = |name: &str| format!("Statement[1]{name}");
    check(r#""Allow""#, r#""allow""#, &in_second(".Effect"));
    check(r#""Effect":"Allow","#, "", &in_second(""));
    check(r#""Principal":"*","#, "", &in_second(""));
    check(r#""Principal""#, r#""NotPrincipal":{"AWS":"111122223333"},"Principal""#, &in_second(""));
    check(r#""Principal""#, r#""NotPrincipal""#, &in_second(".NotPrincipal"));
    check(r#","Resource":"*""#, "", &in_second(""));
    check(r#""Action":"kms:*""#, r#""Action":[]"#, &in_second(".Action"));
    check(r#""kms:*""#, r#""kms""#, &in_second(".Action"));
    check(r#""kms:*""#, r#""k*:Decrypt""#, &in_second(".Action"));
    check(r#""kms:*""#, "7", &in_second(".Action"));
    check(r#""kms:*""#, r#"[["kms:*"]]"#, &in_second(".Action"));
    check(r#""Resource":"*""#, r#""Resource":"key/1""#, &in_second(".Resource"));
    check(r#""Resource":"*""#, r#""Resource":"*","Extra":1"#, &in_second(".Extra"));
    check(r#""Resource":"*""#, r#""Resource":"*","Effect":"Deny""#, "policy");
    check(r#""Resource":"*""#, r#""Resource":"*","Sid":null"#, &in_second(".Sid"));
    let principal = |value: &str, place: &str| {
        check(r#""Principal":"*""#, &format!(r#""Principal":{value}"#), &in_second(place));
    };
    principal(r#""arn:aws:iam::111122223333:root""#, ".Principal");
    principal("{}", ".Principal");
    principal(r#"{"AWS":[]}"#, ".Principal.AWS");
    principal(r#"{"AWS":"AROAEXAMPLEID12345678"}"#, ".Principal.AWS");
    principal(r#"{"AWS":"arn:aws:iam::111122223333:role/*"}"#, ".Principal.AWS");
    principal(r#"{"AWS":"arn:aws:iam::11112222333:root"}"#, ".Principal.AWS");
    principal(r#"{"AWS":"arn:aws:s3:::bucket"}"#, ".Principal.AWS");
    principal(r#"{"Service":"*"}"#, ".Principal.Service");
    principal(r#"{"Federated":"accounts.google.com"}"#, ".Principal.Federated");
    let condition = |value: &str, place: &str| {
        let to = format!(r#""Resource":"*","Condition":{value}"#);
        check(r#""Resource":"*""#, &to, &in_second(&format!(".Condition{place}")));
    };
    condition("[]", "");
    condition("{}", "");
    condition(r#"{"StringEquals":{}}"#, ".StringEquals");
    condition(r#"{"StringEquals":{"kms:a":[]}}"#, ".StringEquals.kms:a");
    condition(r#"{"StringEquals":{"kms:a":1}}"#, ".StringEquals.kms:a");
    condition(r#"{"StringEquals":{"kms:a":true}}"#, ".StringEquals.kms:a");
    condition(r#"{"StringEquals":{"a":"1"}}"#, ".StringEquals.a");
    condition(r#"{"StringEquals":{"KMS:a":"1","kms:A":"1"}}"#, ".StringEquals.kms:A");
    condition(r#"{"stringequals":{"kms:a":"1"}}"#, ".stringequals");
    condition(r#"{"NumericEquals":{"kms:a":"1"}}"#, ".NumericEquals");
    condition(r#"{"ForSomeValues:StringEquals":{"kms:a":"1"}}"#, ".ForSomeValues:StringEquals");
    condition(
        r#"{"ForAnyValue:StringEqualsIfExists":{"kms:a":"1"}}"#,
        ".ForAnyValue:StringEqualsIfExists",
    );
    condition(r#"{"NullIfExists":{"kms:a":"true"}}"#, ".NullIfExists");
    condition(
        r#"{"StringEquals":{"kms:EncryptionContextKeys":"a"}}"#,
        ".StringEquals.kms:EncryptionContextKeys",
    );
    condition(r#"{"Null":{"kms:a":["true","false"]}}"#, ".Null.kms:a");
    condition(r#"{"Null":{"kms:a":"yes"}}"#, ".Null.kms:a");
    condition(r#"{"Bool":{"kms:a":"yes"}}"#, ".Bool.kms:a");
    condition(r#"{"ArnLike":{"kms:a":"*"}}"#, ".ArnLike.kms:a");
    condition(r#"{"StringLike":{"kms:a":"${aws:username}"}}"#, ".StringLike.kms:a");
}

#[test]
fn what_is_no_policy_is_refused() {
    let good = statement("Allow", r#""Principal":"*""#, "");
    check_refused("", "policy");
    check_refused("[]", "policy");
    check_refused("{}", "policy");
    check_refused(r#"{"Version":"2012-10-17","Statement":[]}"#, "Statement");
    check_refused(&format!(r#"{{"Version":"2013-01-01","Statement":[{good}]}}"#), "Version");
    check_refused(&format!(r#"{{"Version":"2012-10-17","Statement":[{good}],"X":1}}"#), "policy.X");
    check_refused(&format!("{}x", policy(std::slice::from_ref(&good))), "policy");
    check_refused(&policy(&[good.replace("kms:*", "kms:\u{100}*")]), "policy");
    check_refused(&"[".repeat(MAX_POLICY), "policy");
    let padding = " ".repeat(MAX_POLICY);
    check_refused(&format!("{}{padding}", policy(&[good])), "policy");
}
