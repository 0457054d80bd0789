//! Does `key-policy lint` prove a policy of the shipped form, and find every planted hole?
//!
//! The command line runs as it ships, over files; what is planted stands in
//! [`nitro_signer_tests::key_policy_holes`].

#![allow(clippy::unwrap_used, clippy::panic)]

use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementSet, MeasurementsFile, pcr};
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::key_policy::form::{AdmittedSet, EntityArn, Form, Terms, VaultName};
use nitro_signer_shared::secret::SecretString;
use nitro_signer_tests::key_policy_cases::{documented, name};
use nitro_signer_tests::key_policy_holes::{
    ADMINISTRATOR, DEVELOPER, Deciding, HOLES, Hole, Pair, ROLE, sound,
};
use nitro_signer_tests::kms::{DevelopmentKms, Identity, Options};
use nitro_signer_tests::nsm::DevelopmentRoot;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_dev");
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001";

/// Two images, each under its own manifest: as during an upgrade.
fn sets() -> [Pair; 2] {
    [(1, 2), (3, 4)].map(|(pcr0, pcr16)| (digits(pcr0), digits(pcr16)))
}

fn digits(byte: u8) -> String {
    hex::encode([byte; 48])
}

/// What the linter said.
struct Said {
    exit: i32,
    report: Value,
    text: String,
}

impl Said {
    fn finding(&self, code: &str) -> Option<&Value> {
        self.report["findings"].as_array()?.iter().find(|finding| finding["code"] == code)
    }
}

/// A folder with what decides and the measurements of both images.
fn folder(deciding: &Deciding) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("policy.json", &deciding.policy.to_string());
    if let Some(grants) = &deciding.grants {
        write("grants.json", &grants.to_string());
    }
    for (index, (_, policy)) in deciding.iam.iter().enumerate() {
        write(&format!("iam-{index}.json"), &policy.to_string());
    }
    let image = |byte: u8, version: &str| {
        let set = MeasurementSet::new([byte; 48], [8; 48], [9; 48]).unwrap();
        ImageMeasurements { version: Some(version.to_owned()), ..set.into() }
    };
    let images = MeasurementsFile::new(vec![image(1, "1.0"), image(3, "2.0")]).unwrap();
    write("measurements.json", &images.to_json());
    folder
}

fn run(folder: &Path, arguments: &[String]) -> Said {
    run_with(folder, arguments, &[])
}

fn run_with(folder: &Path, arguments: &[String], environment: &[(&str, String)]) -> Said {
    let mut command = Command::new(PROGRAM);
    command.args(["cli", "key-policy", "lint"]).args(arguments);
    command.current_dir(folder).env_remove("NITRO_SIGNER_STACK").env_remove("AWS_SESSION_TOKEN");
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let output = command.output().expect("the command line starts");
    let exit = output.status.code().expect("ends by itself");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    if report != Value::Null {
        let schema = include_str!("../../parent/src/cli/key_policy/report.schema.json");
        check_form(&report, &serde_json::from_str(schema).unwrap(), "report");
        // A program may read any of the three.
        assert_eq!(report["schema"], "nitro-signer/key-policy-lint/v1");
        assert_eq!(report["proved"], json!(exit == 0), "{text}");
        assert_eq!(report["exit_code"], json!(exit), "{text}");
    }
    Said { exit, report, text }
}

/// Checks a value by as much of JSON Schema as the report's schema uses.
fn check_form(value: &Value, schema: &Value, place: &str) {
    let known =
        ["type", "properties", "required", "additionalProperties", "items", "enum", "const"];
    let known = [&known[..], &["anyOf", "$schema", "title", "description"]].concat();
    for (rule, expected) in schema.as_object().unwrap() {
        assert!(known.contains(&rule.as_str()), "{rule} is not checked");
        let holds = match (rule.as_str(), value) {
            ("type", _) => {
                let of = [
                    ("string", value.is_string()),
                    ("array", value.is_array()),
                    ("object", value.is_object()),
                    ("boolean", value.is_boolean()),
                    ("integer", value.is_u64()),
                    ("null", value.is_null()),
                ];
                of.iter().any(|(name, is)| expected == name && *is)
            }
            ("enum", _) => expected.as_array().unwrap().contains(value),
            ("const", _) => expected == value,
            ("required", Value::Object(fields)) => {
                let mut names = expected.as_array().unwrap().iter();
                names.all(|name| fields.contains_key(name.as_str().unwrap()))
            }
            ("anyOf", Value::Null) => {
                expected.as_array().unwrap().contains(&json!({ "type": "null" }))
            }
            ("anyOf", _) => {
                check_form(value, &expected[0], place);
                true
            }
            ("items", Value::Array(items)) => {
                items.iter().for_each(|item| check_form(item, expected, place));
                true
            }
            ("additionalProperties", Value::Object(fields)) => {
                let others =
                    fields.iter().filter(|(name, _)| schema["properties"].get(name).is_none());
                match expected {
                    Value::Bool(false) => others.count() == 0,
                    schema => {
                        others.for_each(|(name, field)| check_form(field, schema, name));
                        true
                    }
                }
            }
            ("properties", Value::Object(fields)) => {
                let listed = expected.as_object().unwrap().iter();
                let listed =
                    listed.filter_map(|(name, schema)| Some((fields.get(name)?, schema, name)));
                listed.for_each(|(field, schema, name)| check_form(field, schema, name));
                true
            }
            _ => true,
        };
        assert!(holds, "{place}: {rule} {expected} of {value}");
    }
}

/// The arguments for what is in a folder.
fn arguments(deciding: &Deciding) -> Vec<String> {
    let mut all: Vec<String> =
        ["--key-policy", "policy.json", "--role", ROLE].map(String::from).into();
    for (version, (_, pcr16)) in ["1.0", "2.0"].iter().zip(sets()) {
        all.extend(["--set".to_owned(), format!("measurements.json#{version},{pcr16}")]);
    }
    all.extend(["--administrator", ADMINISTRATOR].map(String::from));
    if deciding.grants.is_some() {
        all.extend(["--grants", "grants.json"].map(String::from));
    }
    for (index, (principal, _)) in deciding.iam.iter().enumerate() {
        all.extend(["--iam-policy".to_owned(), format!("{principal}=iam-{index}.json")]);
    }
    all
}

fn lint_with(deciding: &Deciding, more: &[&str]) -> Said {
    let all = [arguments(deciding), more.iter().map(|more| (*more).to_owned()).collect()].concat();
    run(folder(deciding).path(), &all)
}

fn lint(deciding: &Deciding) -> Said {
    lint_with(deciding, &["--format", "json"])
}

/// A document without what carries no meaning: the order of lists.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(unordered).collect();
            items.sort_by_key(ToString::to_string);
            items.into()
        }
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), unordered(value))).collect()
        }
        other => other.clone(),
    }
}

/// Terraform's tests hold module `key` to these documents, which were written by hand.
#[test]
fn terraform_and_render_write_the_same() {
    let entity = |names: &[&str]| -> BTreeSet<EntityArn> {
        names.iter().map(|arn| format!("arn:aws:iam::{arn}").parse().unwrap()).collect()
    };
    let name = |text: &str| text.parse().unwrap();
    let closed = || Terms {
        administrators: entity(&["111122223333:role/KeyAdministrator"]),
        break_glass: entity(&[]),
        auditors: entity(&[]),
        appliance_roles: entity(&["111122223333:role/nitro-signer"]),
        sets: vec![],
        vault: VaultName { deployment: name("treasury"), vault: name("main") },
        vault_creation: false,
        multi_region: false,
        imported_material: false,
    };
    let one = || Terms { sets: vec![AdmittedSet::new([0x1a; 48], [0x2b; 48])], ..closed() };
    let set = |pcr0: u8, pcr16: u8, pcr8: u8| AdmittedSet {
        pcr3: Some([0x5e; 48]),
        pcr8: Some([pcr8; 48]),
        ..AdmittedSet::new([pcr0; 48], [pcr16; 48])
    };
    let two = Terms {
        administrators: entity(&["111122223333:role/KeyAdministrator", "111122223333:user/ada"]),
        break_glass: entity(&["111122223333:role/BreakGlass"]),
        auditors: entity(&["444455556666:role/Auditor"]),
        appliance_roles: entity(&[
            "111122223333:role/nitro-signer",
            "111122223333:role/nitro-signer-standby",
        ]),
        sets: vec![set(0x4d, 0x2b, 0x3c), set(0x1a, 0x0f, 0x1a)],
        vault_creation: true,
        ..closed()
    };
    for (file, terms) in [
        ("closed", closed()),
        ("one-set", one()),
        ("two-sets", two),
        ("multi-region", Terms { multi_region: true, ..one() }),
        ("imported-material", Terms { imported_material: true, ..one() }),
    ] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../terraform/modules/key/tests");
        let text = std::fs::read_to_string(folder.join(format!("expected/{file}.json"))).unwrap();
        let [expected, written] =
            [text.as_str(), &terms.write().unwrap()].map(|t| serde_json::from_str(t).unwrap());
        assert_eq!(unordered(&written), unordered(&expected), "{file}");
        Form::read(&text, "111122223333", &terms.vault).unwrap_or_else(|e| panic!("{file}: {e}"));
    }
}

#[test]
fn the_shipped_form_is_proved() {
    let said = lint(&Deciding::by(sound(&sets())));
    assert_eq!(said.exit, 0, "{}", said.text);
    assert_eq!(said.report["findings"], json!([]), "{}", said.text);
    let admitted = said.report["admitted"].as_array().unwrap();
    let admitted: Vec<_> = admitted
        .iter()
        .map(|a| (a["action"].as_str().unwrap(), a["by"].as_str().unwrap()))
        .collect();
    let statement =
        |index: usize| format!("the key policy's statement {} (Measured{index})", index + 2);
    let expected = [0, 1].map(statement);
    assert_eq!(
        admitted,
        [
            ("kms:Decrypt", expected[0].as_str()),
            ("kms:GenerateDataKey", expected[0].as_str()),
            ("kms:Decrypt", expected[1].as_str()),
            ("kms:GenerateDataKey", expected[1].as_str()),
        ]
    );
    let exceptions = said.report["exceptions"].as_array().unwrap();
    let [exception] = exceptions.as_slice() else { panic!("{exceptions:?}") };
    assert_eq!(exception["action"], "kms:PutKeyPolicy");
    assert_eq!(exception["alarm"], "PutKeyPolicy");
    assert_eq!(exception["gives"], "makes_it_so");
    assert!(exception["principal"].as_str().unwrap().contains("assumed-role/key-admin/"));
    // With two sets, only the grants themselves show that none mixes them.
    let assumptions = said.report["assumptions"].to_string();
    assert!(assumptions.contains("show the grants"), "{assumptions}");
    let destroyers = &said.report["destroyers"][0];
    assert_eq!(
        destroyers["actions"],
        json!(["kms:DisableKey", "kms:RevokeGrant", "kms:ScheduleKeyDeletion"])
    );
    let text = lint_with(&Deciding::by(sound(&sets())), &[]);
    assert!(text.exit == 0 && text.text.starts_with("Proved:"), "{}", text.text);
}

/// What the form has for those who ask for it: break-glass, auditors, replicas, imported material.
#[test]
fn the_options_of_the_form_are_exceptions_by_name() {
    let mut policy = sound(&sets());
    let statements = policy["Statement"].as_array_mut().unwrap();
    let more = ["kms:ReplicateKey", "kms:GetParametersForImport", "kms:ImportKeyMaterial"];
    statements[0]["Action"].as_array_mut().unwrap().extend(more.map(Value::from));
    let nobody = statements.last_mut().unwrap()["Action"].as_array_mut().unwrap();
    nobody.retain(|action| action != more[0] && action != more[2]);
    let glass = "arn:aws:iam::111122223333:role/break-glass";
    statements.push(json!({
        "Sid": "BreakGlass", "Effect": "Allow", "Principal": { "AWS": [glass] }, "Resource": "*",
        "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"],
        "Condition": { "Bool": { "aws:MultiFactorAuthPresent": "true" } },
    }));
    statements.push(json!({
        "Sid": "Audit", "Effect": "Allow", "Principal": { "AWS": [AUDITOR] }, "Resource": "*",
        "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListKeyPolicies", "kms:ListGrants"],
    }));
    let deciding = Deciding::by(policy);
    let all = ["--administrator", glass, "--multi-region", "--imported-material", "--json"];
    let said = lint_with(&deciding, &all);
    assert_eq!(said.exit, 0, "{}", said.text);
    let exceptions = said.report["exceptions"].as_array().unwrap();
    let mut actions: Vec<&str> = exceptions.iter().map(|e| e["action"].as_str().unwrap()).collect();
    actions.sort_unstable();
    let expected =
        ["kms:ImportKeyMaterial", "kms:PutKeyPolicy", "kms:PutKeyPolicy", "kms:ReplicateKey"];
    assert_eq!(actions, expected);
    let check = |left_out: usize, count: usize, code: &str| {
        let fewer = [&all[..left_out], &all[left_out + count..]].concat();
        let said = lint_with(&deciding, &fewer);
        assert_eq!(said.exit, 1, "{}", said.text);
        assert!(said.finding(code).is_some(), "{}", said.text);
    };
    check(0, 2, "reopenable");
    check(2, 1, "reopenable");
    check(3, 1, "opened");
}

#[test]
fn registers_that_a_set_names_are_asked_for() {
    let role = hex::encode(pcr::of_role_arn(ROLE));
    let key = "kms:RecipientAttestation:PCR3";
    let mut policy = sound(&sets());
    let statements = policy["Statement"].as_array_mut().unwrap();
    for statement in statements.iter_mut() {
        if statement["Sid"].as_str().unwrap().starts_with("Measured") {
            statement["Condition"]["StringEqualsIgnoreCase"][key] = json!(role);
        }
    }
    let mut only = statements.iter().find(|s| s["Sid"] == "OnlyPCR0").unwrap().clone();
    only["Sid"] = json!("OnlyPCR3");
    only["Condition"] = json!({ "StringNotEqualsIgnoreCase": { key: [role] } });
    statements.push(only);
    let more = ["--pcr3", "--json"];
    let said = lint_with(&Deciding::by(policy.clone()), &more);
    assert_eq!(said.exit, 0, "{}", said.text);
    assert_eq!(said.report["sets"][0]["pcrs"]["3"], role);
    // A policy may ask for more than the sets name, and not for less.
    assert_eq!(lint(&Deciding::by(policy)).exit, 0);
    let said = lint_with(&Deciding::by(sound(&sets())), &more);
    let opened = said.finding("opened").unwrap();
    assert_ne!(opened["counterexample"]["context"]["kms:recipientattestation:pcr3"], json!([role]));
}

#[test]
fn no_grants_are_proved_by_showing_none() {
    let deciding =
        Deciding { grants: Some(json!({ "Grants": [] })), ..Deciding::by(sound(&sets())) };
    let said = lint(&deciding);
    assert_eq!((said.exit, &said.report["findings"]), (0, &json!([])), "{}", said.text);
    assert!(!said.report["assumptions"].to_string().contains("grants"));
}

/// One test for each hole, and one that none is without.
macro_rules! planted {
    ($($test:ident = $name:literal;)+) => {
        mod every_planted_hole_is_found {
            $(
                #[test]
                fn $test() {
                    super::is_found($name);
                }
            )+
        }

        #[test]
        fn every_hole_has_its_test() {
            assert_eq!(HOLES.map(|hole| hole.name), [$($name),+]);
        }
    };
}

planted! {
    a_second_allow_without_conditions = "a second Allow without conditions";
    a_second_allow_without_conditions_behind_the_deny_statements = "a second Allow without conditions, behind the Deny statements";
    an_iam_policy_that_the_root_delegation_lets_through = "an IAM policy that the root delegation lets through";
    a_root_delegation_whose_iam_policies_are_not_shown = "a root delegation, whose IAM policies are not shown";
    a_grant = "a grant";
    a_grant_behind_the_deny_statements = "a grant behind the Deny statements";
    a_grant_of_what_nobody_may_do = "a grant of what nobody may do";
    an_administrator_who_is_not_named = "an administrator who is not named";
    an_administrator_who_may_make_grants = "an administrator who may make grants";
    a_replica_in_a_region_with_a_policy_of_its_own = "a replica in a region with a policy of its own";
    encrypt_open_to_everybody = "Encrypt open to everybody";
    encrypt_open_to_somebody_behind_the_deny = "Encrypt open to somebody, behind the Deny";
    a_planted_data_key_by_another_account = "a planted data key, by another account";
    key_material_of_somebody_s_own = "key material of somebody's own";
    a_set_that_is_not_in_measurements_json = "a set that is not in measurements.json";
    sets_in_lists_so_that_an_old_image_meets_a_new_manifest = "sets in lists, so that an old image meets a new manifest";
    one_deny_with_two_registers_which_stops_only_what_differs_in_both = "one Deny with two registers, which stops only what differs in both";
    stringequals_with_upper_case_hex = "StringEquals with upper-case hex";
    a_set_that_a_deny_leaves_out = "a set that a Deny leaves out";
    a_misspelt_condition_key_in_an_allow = "a misspelt condition key in an Allow";
    a_misspelt_condition_key_in_a_deny = "a misspelt condition key in a Deny";
    pcr0_pinned_to_zeros = "PCR0 pinned to zeros";
    null_where_the_value_belongs = "Null where the value belongs";
    ifexists_in_an_allow = "IfExists in an Allow";
    a_deny_that_asks_only_whether_there_is_a_document = "a Deny that asks only whether there is a document";
    a_deny_of_any_value_which_spares_calls_without_one = "a Deny of any value, which spares calls without one";
    notprincipal_in_an_allow_everybody_else = "NotPrincipal in an Allow: everybody else";
    notprincipal_in_a_deny_whom_it_spares_is_awss_guess = "NotPrincipal in a Deny: whom it spares is AWS's guess";
    notaction_in_an_allow_everything_else = "NotAction in an Allow: everything else";
    notaction_in_a_deny = "NotAction in a Deny";
}

/// Asserts that the linter finds the hole of this name, and shows whom it lets in.
fn is_found(name: &str) {
    let hole = HOLES.iter().find(|hole| hole.name == name);
    let Hole { plant, finding, shown, .. } = hole.unwrap_or_else(|| panic!("no hole {name}"));
    let mut deciding = Deciding::by(sound(&sets()));
    plant(&mut deciding);
    let said = lint(&deciding);
    assert_eq!(said.exit, 1, "{name}: {}", said.text);
    let found = said.finding(finding).unwrap_or_else(|| panic!("{name}: {}", said.text));
    assert_ne!(found["severity"], "warning", "{name}: {found:#}");
    let Some((caller, action, attested)) = shown else { return };
    let findings = said.report["findings"].as_array().unwrap();
    let shows = |finding: &&Value| {
        let example = &finding["counterexample"];
        let callers = finding["principals"].as_array().unwrap();
        let named = callers.iter().any(|c| c.as_str().unwrap().contains(caller));
        let does = finding["actions"].as_array().unwrap().contains(&json!(action));
        named && does && example["attested"] == *attested
    };
    let matching = findings.iter().filter(|f| f["code"] == *finding).find(shows);
    assert!(matching.is_some(), "{name}: {}", said.text);
}

#[test]
fn an_administrator_is_an_exception_only_by_name() {
    let deciding = Deciding::by(sound(&sets()));
    let named = arguments(&deciding);
    let unnamed: Vec<String> =
        named.iter().filter(|a| *a != "--administrator" && *a != ADMINISTRATOR).cloned().collect();
    let said = run(folder(&deciding).path(), &[unnamed, vec!["--json".to_owned()]].concat());
    assert_eq!(said.exit, 1);
    let finding = said.finding("reopenable").unwrap();
    assert_eq!(finding["counterexample"]["action"], "kms:PutKeyPolicy");
    assert!(finding["remedy"].as_str().unwrap().contains("--administrator"));
}

#[test]
fn the_counterexample_is_a_request() {
    let mut deciding = Deciding::by(sound(&sets()));
    let hole = HOLES.iter().find(|hole| hole.name == "PCR0 pinned to zeros").unwrap();
    (hole.plant)(&mut deciding);
    let said = lint(&deciding);
    let example = &said.finding("opened").unwrap()["counterexample"];
    let context = &example["context"];
    assert_eq!(context["kms:recipientattestation:pcr0"], json!(["0".repeat(96)]));
    assert_eq!(context["kms:recipientattestation:imagesha384"], json!(["0".repeat(96)]));
    assert_eq!(context["kms:recipientattestation:pcr16"], json!([digits(2)]));
    assert_eq!(context["kms:encryptioncontext:vault"], json!(["main"]));
    let text = lint_with(&deciding, &[]).text;
    assert!(
        text.contains(
            "for example: kms:Decrypt by arn:aws:sts::111122223333:assumed-role/appliance/"
        ),
        "{text}"
    );
}

#[test]
fn what_narrows_is_believed_if_it_is_shown() {
    let mut deciding = Deciding::by(sound(&sets()));
    let root = json!({ "AWS": "arn:aws:iam::111122223333:root" });
    let reads = json!({ "Sid": "Delegation", "Effect": "Allow", "Principal": root, "Action": "kms:PutKeyPolicy", "Resource": "*" });
    deciding.policy["Statement"].as_array_mut().unwrap().push(reads);
    assert_eq!(lint(&deciding).exit, 1);
    let folder = folder(&deciding);
    let all = arguments(&deciding);
    let scp = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": "kms:PutKeyPolicy", "Resource": "*", "Condition": { "ArnNotLike": { "aws:PrincipalArn": ADMINISTRATOR } } },
    ] });
    std::fs::write(folder.path().join("scp.json"), scp.to_string()).unwrap();
    let said = run(
        folder.path(),
        &[all, ["--scp", "scp.json", "--json"].map(String::from).into()].concat(),
    );
    // The delegation is stopped by the Deny alone, and that is a finding too.
    assert!(said.finding("reopenable").is_none(), "{}", said.text);
    assert!(said.finding("only_denied").is_some(), "{}", said.text);
    assert!(said.report["assumptions"].to_string().contains("management account"));
}

#[test]
fn a_closed_key_lets_nobody_in() {
    let mut policy = sound(&sets());
    let statements = policy["Statement"].as_array_mut().unwrap();
    statements.retain(|s| {
        !s["Sid"].as_str().unwrap().starts_with("Measured")
            && !s["Sid"].as_str().unwrap().starts_with("Only")
    });
    let closed = json!({ "Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": "*" });
    statements.push(closed);
    let closed = Deciding::by(policy);
    let all = [
        "--key-policy",
        "policy.json",
        "--role",
        ROLE,
        "--closed",
        "--administrator",
        ADMINISTRATOR,
        "--json",
    ]
    .map(String::from);
    let said = run(folder(&closed).path(), &all);
    assert_eq!(said.exit, 0, "{}", said.text);
    let said = run(folder(&Deciding::by(sound(&sets()))).path(), &all);
    assert!(said.finding("opened").is_some(), "{}", said.text);
}

#[test]
fn what_cannot_be_read_is_usage() {
    let deciding = Deciding::by(sound(&sets()));
    let folder = folder(&deciding);
    let all = arguments(&deciding);
    let check = |more: &[&str], message: &str| {
        let more = more.iter().map(|more| (*more).to_owned()).collect();
        let said = run(folder.path(), &[all.clone(), more, vec!["--json".to_owned()]].concat());
        assert_eq!(said.exit, 2, "{more:?} {}", said.text, more = message);
        if said.report != Value::Null {
            let error = said.report["error"]["message"].as_str().unwrap();
            assert!(error.contains(message), "{error}");
        }
    };
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    check(&["--grants", "missing.json"], "missing.json");
    write("long.json", &" ".repeat(40_000));
    check(&["--scp", "long.json"], "longer than 32768 bytes");
    write("goes-on.json", r#"{"Grants":[],"Truncated":true}"#);
    check(&["--grants", "goes-on.json"], "the list goes on");
    write(
        "named.json",
        &json!({ "Statement": { "Effect": "Allow", "Action": "kms:*", "Resource": KEY } })
            .to_string(),
    );
    let iam = format!("{DEVELOPER}=named.json");
    check(&["--iam-policy", &iam], "--key-arn");
    check(&["--iam-policy", "nobody=named.json"], "");
    check(&["--set", "measurements.json#9,aa"], "");
    check(&["--set", &format!("measurements.json#9,{}", digits(2))], "no image of version");
    check(&["--measurements", "measurements.json"], "--manifest or --pcr16");
    check(&["--key-arn", "alias/x"], "--key-arn");
    let more =
        [all.clone(), ["--iam-policy", &iam, "--key-arn", KEY, "--json"].map(String::from).into()]
            .concat();
    assert_eq!(run(folder.path(), &more).exit, 0);
}

#[test]
fn revoked_images_are_no_sets() {
    let deciding = Deciding::by(sound(&sets()));
    let folder = folder(&deciding);
    let path = folder.path().join("measurements.json");
    let mut file: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    file["images"][0]["revoked"] = json!("a bug");
    std::fs::write(&path, file.to_string()).unwrap();
    let said = run(folder.path(), &[arguments(&deciding), vec!["--json".to_owned()]].concat());
    assert_eq!(said.exit, 1);
    assert!(said.report["left_out"].to_string().contains("a bug"), "{}", said.text);
    let opened = said.finding("opened").unwrap();
    assert_eq!(
        opened["counterexample"]["context"]["kms:recipientattestation:pcr0"],
        json!([digits(1)])
    );
}

/// A development KMS whose auditor may read, and a key of this policy.
async fn kms(policy: &Value) -> (DevelopmentKms, String) {
    let identities = vec![Identity {
        access_key_id: "AKIDAUDITOR".to_owned(),
        secret_access_key: SecretString::new("the auditor's secret".to_owned()),
        session_token: None,
        principal: Principal::parse(AUDITOR).unwrap(),
        iam_allows_all: false,
    }];
    let anchor = DevelopmentRoot::generate().anchor();
    let options = Options::new("eu-central-1", "111122223333", identities, anchor);
    let kms = DevelopmentKms::start(options).await.unwrap();
    let key = kms.create_key(&policy.to_string()).unwrap();
    (kms, key)
}

const AUDITOR: &str = "arn:aws:iam::111122223333:user/auditor";

/// Lints the key of this policy as the development KMS has it, with the auditor's secret.
async fn lint_live(policy: &Value, secret: &str, ca_of_kms: bool) -> Said {
    let (kms, key) = kms(policy).await;
    let folder = folder(&Deciding::by(json!(null)));
    let ca = if ca_of_kms { kms.ca_pem().to_owned() } else { DevelopmentRoot::generate().pem() };
    std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
    let mut all = arguments(&Deciding::by(json!(null)));
    all.drain(..2);
    let more = ["--live", &key, "--endpoint-url", &kms.url(), "--ca", "ca.pem", "--json"];
    all.extend(more.map(String::from));
    let environment = [
        ("AWS_ACCESS_KEY_ID", "AKIDAUDITOR".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", secret.to_owned()),
    ];
    tokio::task::spawn_blocking(move || run_with(folder.path(), &all, &environment)).await.unwrap()
}

#[tokio::test]
async fn a_live_key_is_read_with_the_callers_credentials() {
    let mut policy = sound(&sets());
    let audit = json!({
        "Sid": "Audit", "Effect": "Allow", "Principal": { "AWS": AUDITOR }, "Resource": "*",
        "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"],
    });
    policy["Statement"].as_array_mut().unwrap().insert(1, audit);
    let secret = "the auditor's secret";
    let said = lint_live(&policy, secret, true).await;
    assert_eq!(said.exit, 0, "{}", said.text);
    assert!(said.report["key"].as_str().unwrap().starts_with("arn:aws:kms:eu-central-1:"));
    // The grants were read, so nothing is assumed of them.
    assert!(!said.report["assumptions"].to_string().contains("grants"), "{}", said.text);
    let open =
        json!({ "Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*" });
    let mut opened = policy.clone();
    opened["Statement"].as_array_mut().unwrap().push(open);
    let said = lint_live(&opened, secret, true).await;
    assert!(said.exit == 1 && said.finding("opened").is_some(), "{}", said.text);
    let refused = lint_live(&policy, "another secret", true).await;
    assert_eq!(refused.exit, 2, "{}", refused.text);
    let message = refused.report["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("KMS refuses DescribeKey"), "{message}");
    let stranger = lint_live(&policy, secret, false).await;
    assert_eq!(stranger.exit, 7, "{}", stranger.text);
}

/// The judge of `tests/peers/iam` reads the same file.
#[test]
fn the_documentations_cases_are_decided_as_it_says() {
    let cases = documented(include_str!("../peers/iam/documented.json"));
    assert!(cases.len() > 60, "{}", cases.len());
    for case in cases {
        assert_eq!(Some(name(&case.decide())), case.expected.as_deref(), "{}", case.says);
    }
}
