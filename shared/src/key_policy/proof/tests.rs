//! The proof against the evaluator: what it says is open is open, and what is open it says.
//!
//! The planted holes, on a policy of the shipped form, are in the tests of `tests/`.

use super::super::{
    Context, Documents, Grants, Identity, IdentityPolicy, MAX_GRANTS_FILE, Policy, Principal,
};
use super::callers::{self, Caller};
use super::*;

const ACCOUNT: &str = "111122223333";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001";
const ROLE: &str = "arn:aws:iam::111122223333:role/appliance";
const ADMIN: &str = "arn:aws:iam::111122223333:role/admin";
const OTHER: &str = "arn:aws:iam::444455556666:user/mallory";

fn digits(byte: u8) -> String {
    hex::encode([byte; 48])
}

fn set(pcr0: u8, pcr16: u8) -> Set {
    Set::new(&format!("{pcr0}/{pcr16}"), &[pcr0; 48], &[pcr16; 48]).expect("is not zero")
}

fn principal(text: &str) -> Principal {
    Principal::parse(text).expect("is a principal")
}

fn policy(statements: &[String]) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","))
}

fn documents(statements: &[String]) -> Documents {
    Documents {
        key: KEY.to_owned(),
        account: ACCOUNT.to_owned(),
        policy: Policy::parse(&policy(statements)).expect("is a policy"),
        identities: vec![],
        identities_complete: false,
        grants: Some(Grants::default()),
        service_control: vec![],
    }
}

fn question<'a>(documents: &'a Documents, sets: &[Set]) -> Question<'a> {
    Question {
        documents,
        description: None,
        sets: sets.to_vec(),
        roles: vec![principal(ROLE)],
        administrators: vec![],
        multi_region: false,
        imported_material: false,
    }
}

fn statement(effect: &str, who: &str, action: &str, condition: &str) -> String {
    let principal = match who {
        "*" => r#""Principal":"*""#.to_owned(),
        who => format!(r#""Principal":{{"AWS":"{who}"}}"#),
    };
    let condition = match condition {
        "" => String::new(),
        condition => format!(r#","Condition":{{{condition}}}"#),
    };
    format!(r#"{{"Effect":"{effect}",{principal},"Action":"{action}","Resource":"*"{condition}}}"#)
}

fn pinned(pcr0: u8, pcr16: u8) -> String {
    format!(
        r#""StringEqualsIgnoreCase":{{"kms:RecipientAttestation:PCR0":"{}","kms:RecipientAttestation:PCR16":"{}"}}"#,
        digits(pcr0),
        digits(pcr16)
    )
}

/// The grave findings, as "code place".
fn grave(question: &Question<'_>) -> Vec<String> {
    let examination = question.examine().expect("is not too complex");
    let grave = examination.findings().iter().filter(|f| f.severity != Severity::Warning);
    let found: Vec<_> = grave.map(|f| format!("{} {}", f.code, f.place)).collect();
    assert_eq!(examination.proved().is_some(), found.is_empty());
    found
}

fn check(documents: &Documents, expected: &[&str]) {
    assert_eq!(grave(&question(documents, &[set(1, 2)])), expected);
}

#[test]
fn a_statement_for_each_set_lets_in_the_sets() {
    let sound = documents(&[statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2))]);
    let examination = question(&sound, &[set(1, 2)]).examine().expect("is not too complex");
    assert!(examination.proved().is_some(), "{:?}", examination.findings());
    let admitted = &examination.admissions()[0];
    assert_eq!((admitted.set.as_str(), admitted.action), ("1/2", "kms:Decrypt"));
    assert!(admitted.caller.contains("assumed-role/appliance/"), "{}", admitted.caller);
    // The same values, but in a policy that lets one set's image run another set's manifest.
    let sets = [set(1, 2), set(3, 4)];
    let two = [pinned(1, 2), pinned(3, 4)].map(|p| statement("Allow", ROLE, "kms:Decrypt", &p));
    assert_eq!(grave(&question(&documents(&two), &sets)), Vec::<String>::new());
    let mixed = r#""StringEqualsIgnoreCase":{"kms:RecipientAttestation:PCR0":["A","C"],"kms:RecipientAttestation:PCR16":["B","D"]}"#;
    let mixed = [("A", 1), ("B", 2), ("C", 3), ("D", 4)]
        .into_iter()
        .fold(mixed.to_owned(), |text, (name, byte)| {
            text.replace(&format!("\"{name}\""), &format!("\"{}\"", digits(byte)))
        });
    let mixed = documents(&[statement("Allow", ROLE, "kms:Decrypt", &mixed)]);
    assert_eq!(grave(&question(&mixed, &sets)), ["opened the key policy's statement 0"]);
}

#[test]
fn what_is_outside_the_sets_is_open() {
    let open = |statements: &[String], expected: &[&str]| {
        let sound = statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2));
        check(&documents(&[&[sound], statements].concat()), expected);
    };
    let opened = ["opened the key policy's statement 1"];
    open(&[statement("Allow", ROLE, "kms:Decrypt", "")], &opened);
    open(&[statement("Allow", OTHER, "kms:GenerateDataKeyPair", "")], &opened);
    open(
        &[statement("Allow", "ec2.amazonaws.com", "kms:Decrypt", "").replace("AWS", "Service")],
        &opened,
    );
    open(&[statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 3))], &opened);
    open(&[statement("Allow", ROLE, "kms:Decrypt", &pinned(0, 2))], &opened);
    // ImageSha384 is PCR0, but the manifest is left open.
    let image =
        format!(r#""StringEquals":{{"kms:RecipientAttestation:ImageSha384":"{}"}}"#, digits(1));
    open(&[statement("Allow", ROLE, "kms:Decrypt", &image)], &opened);
    let both =
        format!(r#"{image},"StringLike":{{"kms:RecipientAttestation:PCR16":"{}"}}"#, digits(2));
    open(&[statement("Allow", ROLE, "kms:Decrypt", &both)], &[]);
    // Encrypt carries no attestation, so that this statement cannot apply.
    open(
        &[statement("Allow", ROLE, "kms:Encrypt", &pinned(1, 2))],
        &["never_matches the key policy: statement 1"],
    );
    open(
        &[statement("Allow", ADMIN, "kms:PutKeyPolicy", "")],
        &["reopenable the key policy's statement 1"],
    );
    // A Deny on what the sets do not have stops it, but is all that does.
    let deny = |key: &str, byte| {
        let condition = format!(
            r#""StringNotEqualsIgnoreCase":{{"kms:RecipientAttestation:{key}":"{}"}}"#,
            digits(byte)
        );
        statement("Deny", "*", "kms:*", &condition)
    };
    let allow = statement("Allow", ROLE, "kms:Decrypt", "");
    open(&[allow.clone(), deny("PCR0", 1)], &opened);
    open(
        &[allow, deny("PCR0", 1), deny("PCR16", 2)],
        &["only_denied the key policy's statement 1"],
    );
}

#[test]
fn a_delegation_is_as_wide_as_what_is_not_shown() {
    let root = "arn:aws:iam::111122223333:root";
    let sound = statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2));
    let delegation = statement("Allow", root, "kms:Encrypt", "");
    let mut delegated = documents(&[sound, delegation]);
    let found = grave(&question(&delegated, &[set(1, 2)]));
    let unseen = "opened IAM policies of account 111122223333 that are not shown, let through by \
                  the key policy's statement 1";
    assert!(found.contains(&unseen.to_owned()), "{found:?}");
    // The root user needs no IAM policy.
    let by_root = "opened the key policy's statement 1".to_owned();
    assert!(found.contains(&by_root), "{found:?}");
    delegated.identities_complete = true;
    assert_eq!(grave(&question(&delegated, &[set(1, 2)])), [by_root]);
    let iam =
        r#"{"Statement":{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:*:*:key/*"}}"#;
    let iam = IdentityPolicy::parse(iam).expect("is a policy");
    delegated.identities.push(Identity { principal: principal(ADMIN), policy: iam });
    let found = grave(&question(&delegated, &[set(1, 2)]));
    let by_iam = format!(
        "opened statement 0 of the IAM policies of {ADMIN}, let through by the key policy's statement 1"
    );
    assert!(found.contains(&by_iam) && found.len() == 2, "{found:?}");
    // A service control policy that allows less stops both; its own conditions count as well.
    let scp = r#"{"Statement":{"Effect":"Allow","NotAction":"kms:Encrypt","Resource":"*"}}"#;
    delegated.service_control.push(IdentityPolicy::parse(scp).expect("is a policy"));
    assert_eq!(grave(&question(&delegated, &[set(1, 2)])), Vec::<String>::new());
}

#[test]
fn a_grant_lets_in_unless_it_is_denied() {
    let sound = statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2));
    let with = |grants: Option<&str>, deny: &[String]| {
        let mut documents = documents(&[std::slice::from_ref(&sound), deny].concat());
        documents.grants = grants.map(|text| Grants::parse(text).expect("are grants"));
        grave(&question(&documents, &[set(1, 2)]))
    };
    let grant = format!(
        r#"{{"Grants":[{{"GrantId":"g","GranteePrincipal":"{ROLE}","Operations":["Decrypt","DescribeKey"],"Constraints":{{"EncryptionContextEquals":{{"a":"b"}}}}}}]}}"#
    );
    assert_eq!(with(Some(r#"{"Grants":[]}"#), &[]), Vec::<String>::new());
    assert_eq!(with(Some(&grant), &[]), ["opened the grant g"]);
    let any = "grants_not_stopped a grant, if there is one: none are shown";
    assert_eq!(with(None, &[]), [any]);
    let deny = |key: &str, byte| {
        let condition = format!(
            r#""StringNotEqualsIgnoreCase":{{"kms:RecipientAttestation:{key}":"{}"}}"#,
            digits(byte)
        );
        statement("Deny", "*", "kms:*", &condition)
    };
    let two = [deny("PCR0", 1), deny("PCR16", 2)];
    assert_eq!(with(None, &two), Vec::<String>::new());
    assert_eq!(with(None, &two[..1]), [any]);
    assert_eq!(with(Some(&grant), &two), ["only_denied the grant g"]);
}

#[test]
fn grants_are_understood_or_refused() {
    let check = |text: &str, understood: bool| {
        assert_eq!(Grants::parse(text).is_ok(), understood, "{text}");
    };
    let with = |more: &str| {
        format!(
            r#"{{"Grants":[{{"GrantId":"g","GranteePrincipal":"{ROLE}","Operations":["Decrypt"]{more}}}]}}"#
        )
    };
    check(&with(""), true);
    check(
        &with(r#","Name":"","CreationDate":1.5,"IssuingAccount":"x","RetiringPrincipal":"y""#),
        true,
    );
    check(&with(r#","Constraints":{"EncryptionContextSubset":{"a":"b"},"SourceArn":"x"}"#), true);
    check(&with(r#","Constraints":{"Other":{}}"#), false);
    check(&with(r#","Extra":1"#), false);
    check(&with("").replace(ROLE, "*"), false);
    check(&with("").replace(ROLE, "AROAEXAMPLE"), false);
    check(&with("").replace("[\"Decrypt\"]", "[]"), false);
    check(r#"{"Grants":[],"Truncated":false}"#, true);
    check(r#"{"Grants":[],"Truncated":true}"#, false);
    check(r#"{"Grants":[],"NextMarker":"x"}"#, false);
    check(r#"{"Grants":[],"NextToken":"x"}"#, false);
    check("{}", false);
    check(&" ".repeat(MAX_GRANTS_FILE + 1), false);
}

#[test]
fn administrators_are_exceptions_if_they_are_named() {
    let sound = statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2));
    let administration =
        statement("Allow", ADMIN, r#"kms:PutKeyPolicy","kms:ReplicateKey","kms:CreateGrant"#, "")
            .replace(r#""Action":"#, r#""Action":["#)
            .replace(r#","Resource""#, r#"],"Resource""#);
    let documents = documents(&[sound, administration]);
    let mut question = question(&documents, &[set(1, 2)]);
    question.administrators = vec![principal(ADMIN)];
    let examination = question.examine().expect("is not too complex");
    let exceptions: Vec<_> =
        examination.exceptions().iter().map(|except| (except.action, except.alarm)).collect();
    assert_eq!(exceptions, [("kms:PutKeyPolicy", "PutKeyPolicy")]);
    let finding = &examination.findings()[0];
    assert_eq!(finding.code, Code::Reopenable);
    assert_eq!(finding.actions, BTreeSet::from(["kms:CreateGrant", "kms:ReplicateKey"]));
    question.multi_region = true;
    let examination = question.examine().expect("is not too complex");
    assert_eq!(examination.findings()[0].actions, BTreeSet::from(["kms:CreateGrant"]));
    // The root of the account stands for everybody in it.
    question.administrators = vec![principal("arn:aws:iam::111122223333:root")];
    assert_eq!(question.examine().expect("is not too complex").exceptions().len(), 2);
}

#[test]
fn what_the_key_is_counts() {
    let sound = documents(&[statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2))]);
    let check = |origin: &str, is_multi_region, accepted, expected: &[&str]| {
        let description = KeyDescription { origin: origin.to_owned(), is_multi_region };
        let question = Question {
            description: Some(description),
            multi_region: accepted,
            imported_material: accepted,
            ..question(&sound, &[set(1, 2)])
        };
        assert_eq!(grave(&question), expected, "{origin}");
    };
    check("AWS_KMS", false, false, &[]);
    check("EXTERNAL", false, false, &["foreign_material the key"]);
    check("EXTERNAL", false, true, &[]);
    check("AWS_CLOUDHSM", false, true, &["foreign_material the key"]);
    check("AWS_KMS", true, false, &["multi_region the key"]);
    check("AWS_KMS", true, true, &[]);
}

/// A Deny by NotPrincipal that lists the role but not its account: AWS says it "might" deny.
#[test]
fn a_deny_that_may_not_reach_is_no_protection() {
    let sound = statement("Allow", ROLE, "kms:Decrypt", &pinned(1, 2));
    let second = statement("Allow", ADMIN, "kms:Decrypt", "");
    let deny = statement("Deny", ADMIN, "kms:Decrypt", "").replace("Principal", "NotPrincipal");
    let found = grave(&question(&documents(&[sound, second, deny]), &[set(1, 2)]));
    assert!(found.contains(&"opened the key policy's statement 1".to_owned()), "{found:?}");
}

#[test]
fn too_many_cases_are_no_proof() {
    let wild: Vec<String> =
        (b'a'..=b'p').map(|c| format!("\"*{0}*{0}*\"", char::from(c))).collect();
    let condition = format!(r#""StringLike":{{"aws:PrincipalTag/x":[{}]}}"#, wild.join(","));
    let documents = documents(&[statement("Allow", ROLE, "kms:Decrypt", &condition)]);
    assert_eq!(question(&documents, &[set(1, 2)]).examine(), Err(TooComplex));
    let keys: Vec<String> =
        (0..40).map(|i| format!(r#""StringNotEquals":{{"aws:PrincipalTag/{i}":"a"}}"#)).collect();
    // Forty Denies of one key each, of which none holds only if all keys are there: found at once.
    let denies: Vec<_> = keys.iter().map(|key| statement("Deny", "*", "kms:*", key)).collect();
    let open = [&[statement("Allow", ROLE, "kms:Decrypt", "")], denies.as_slice()].concat();
    let found = grave(&question(&self::documents(&open), &[]));
    assert_eq!(found, ["opened the key policy's statement 0"]);
}

// --- random policies ---------------------------------------------------------------------------

/// Numbers that look random, from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).expect("is below a usize")
    }

    fn of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

const WHO: [&str; 6] =
    ["*", ROLE, ADMIN, OTHER, "arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"];
const ACTIONS: [&str; 3] = ["kms:Decrypt", "kms:Encrypt", "kms:PutKeyPolicy"];

fn random_condition(random: &mut Random) -> String {
    let registers = [digits(1), digits(2), digits(3), digits(0), "AB".repeat(48), "1*".to_owned()];
    let registers = registers.each_ref().map(String::as_str);
    let (key, values): (&str, &[&str]) = match random.below(5) {
        0 => ("kms:RecipientAttestation:PCR0", &registers),
        1 => ("kms:RecipientAttestation:PCR16", &registers),
        2 => ("kms:EncryptionContext:a", &["x", "X", "x*", "*y", ""]),
        3 => ("kms:EncryptionContextKeys", &["a", "b", "A", "*"]),
        _ => ("aws:PrincipalArn", &[ROLE, ADMIN, "arn:aws:iam::*:role/*"]),
    };
    let base = random.of(&[
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ]);
    let values: Vec<String> =
        (0..=random.below(2)).map(|_| format!("\"{}\"", random.of(values))).collect();
    match random.below(8) {
        0 => format!(r#""Null":{{"{key}":"{}"}}"#, random.of(&["true", "false"])),
        n => {
            let over = match (key, n) {
                ("kms:EncryptionContextKeys", 1..4) => "ForAnyValue:",
                ("kms:EncryptionContextKeys", _) | (_, 1) => "ForAllValues:",
                _ => "",
            };
            let exists = if n == 2 && over.is_empty() { "IfExists" } else { "" };
            format!(r#""{over}{base}{exists}":{{"{key}":[{}]}}"#, values.join(","))
        }
    }
}

fn random_documents(random: &mut Random) -> Documents {
    let statements: Vec<String> = (0..=random.below(4))
        .map(|_| {
            let effect = random.of(&["Allow", "Allow", "Deny"]);
            let who = random.of(&WHO);
            let action = random.of(&["kms:Decrypt", "kms:Encrypt", "kms:*", "kms:PutKeyPolicy"]);
            let mut conditions: Vec<String> =
                (0..random.below(4)).map(|_| random_condition(random)).collect();
            // An operator can stand in a statement once.
            conditions.sort();
            conditions.dedup_by(|a, b| a.split(':').next() == b.split(':').next());
            let operators: Vec<String> = conditions
                .iter()
                .map(|c| c.split(":{").next().unwrap_or_default().to_owned())
                .collect();
            let unique: BTreeSet<&String> = operators.iter().collect();
            let conditions = if unique.len() == operators.len() { conditions } else { vec![] };
            statement(effect, who, action, &conditions.join(","))
        })
        .collect();
    documents(&statements)
}

/// Every context of a pool of values, in which each of the random conditions is true or not.
fn contexts() -> Vec<(Context, bool)> {
    let pool = [1, 2, 3, 0, 0x11, 0xab].map(digits);
    let mut documents = vec![(Context::default(), false)];
    for pcr0 in &pool {
        for pcr16 in [None].into_iter().chain(pool.iter().map(Some)) {
            let mut context = Context::default();
            context.insert("kms:RecipientAttestation:PCR0", [pcr0.as_str()]);
            context.insert("kms:RecipientAttestation:ImageSha384", [pcr0.as_str()]);
            context.insert("kms:RecipientAttestation:PCR16", pcr16.map(String::as_str));
            documents.push((context, true));
        }
    }
    let values: [Option<&str>; 9] =
        ["x", "X", "y", "xy", "", "z", "x*", "*y", "absent"].map(|v| (v != "absent").then_some(v));
    let keys: [&[&str]; 11] = [
        &[],
        &["a"],
        &["b"],
        &["A"],
        &["c"],
        &["a", "b"],
        &["a", "c"],
        &["b", "A"],
        &[""],
        &["*"],
        &["*", "c"],
    ];
    let mut all = Vec::new();
    for (document, is_attested) in documents {
        for value in values {
            for keys in keys {
                let mut context = document.clone();
                context.insert("kms:EncryptionContext:a", value);
                context.insert("kms:EncryptionContextKeys", keys.iter().copied());
                all.push((context, is_attested));
            }
        }
    }
    all
}

fn is_expected(context: &Context, sets: &[Set]) -> bool {
    let value = |key: &str| {
        let found = context.entries().find(|(name, _)| *name == key);
        found.and_then(|(_, values)| values.first().cloned())
    };
    sets.iter().any(|set| {
        set.registers().iter().all(|(i, pinned)| {
            value(&format!("kms:recipientattestation:pcr{i}")).as_ref() == Some(pinned)
        })
    })
}

/// Whether some context of the pool gets this caller in by this action.
fn is_open(
    documents: &Documents,
    caller: &Caller,
    action: &str,
    sets: &[Set],
    contexts: &[(Context, bool)],
) -> bool {
    contexts.iter().any(|(context, is_attested)| {
        let mut context = context.clone();
        let named = caller.context();
        for (key, values) in named.entries() {
            context.insert(key, values.iter().map(String::as_str));
        }
        (!is_attested || action == "kms:Decrypt")
            && !is_expected(&context, sets)
            && documents.authorize(&caller.principal, action, &context).is_ok()
    })
}

/// Whether the proof finds a request outside the sets by this caller and action.
fn is_found(question: &Question<'_>, caller: &Caller, action: &str) -> bool {
    let mut examiner = Examiner::new(question);
    let barriers = question.documents.barriers(&caller.principal, action, Reading::Sure);
    question.documents.ways(&caller.principal, action).iter().any(|way| {
        let found = examiner.look(caller, action, way, &barriers, Goal::Outside);
        found.expect("is not too complex").is_some()
    })
}

#[test]
fn the_proof_and_the_evaluator_agree_on_random_policies() {
    let (mut random, contexts) = (Random(6), contexts());
    let (mut open, mut closed) = (0, 0);
    for number in 0..20 {
        let documents = random_documents(&mut random);
        let sets = [set(1, 2)];
        let question = question(&documents, &sets);
        let examination = question.examine().expect("is not too complex");
        let holes = || examination.findings().iter().filter(|f| f.severity == Severity::Hole);
        for caller in callers::all(&question).iter().filter(|c| c.principal.account().is_some()) {
            for action in ACTIONS {
                let named =
                    |f: &Finding| f.actions.contains(action) && f.callers.contains(&caller.label);
                let found = is_found(&question, caller, action);
                assert!(!found || holes().any(named), "{number}: {action} by {}", caller.label);
                let expected = is_open(&documents, caller, action, &sets, &contexts);
                // Of the unnamed, the proof knows more names than the pool has.
                assert!(
                    found || !expected,
                    "{number}: {action} by {} {documents:#?}",
                    caller.label
                );
                if caller
                    .known("aws:principalarn")
                    .is_some_and(|k| matches!(k, callers::Known::Is(_)))
                {
                    assert_eq!(
                        found, expected,
                        "{number}: {action} by {} {documents:#?}",
                        caller.label
                    );
                }
                if found { open += 1 } else { closed += 1 }
            }
        }
        for hole in holes() {
            let shown = hole.counterexample.as_ref().expect("a hole has one");
            let callers = callers::all(&question);
            let caller = callers.iter().find(|c| c.label == shown.caller).expect("is a caller");
            let mut context = Context::default();
            for (key, values) in &shown.context {
                context.insert(key, values.iter().map(String::as_str));
            }
            let decided = documents.authorize(&caller.principal, shown.action, &context);
            assert!(decided.is_ok(), "{number}: {shown} {documents:#?}");
        }
    }
    assert!(open > 50 && closed > 50, "{open} open, {closed} closed");
}
