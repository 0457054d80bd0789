//! Cases for judges of key policies: random ones by a seed, and those of AWS's documentation.

use nitro_signer_shared::key_policy::{
    Authorization, Basis, Context, Documents, Identity, IdentityPolicy, Policy, Principal, Refused,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const ACCOUNT: &str = "111122223333";
const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001";

const ROLE: &str = "arn:aws:iam::111122223333:role/appliance";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/appliance/i-0123";
const OTHER_SESSION: &str = "arn:aws:sts::111122223333:assumed-role/admin/me";
const USER: &str = "arn:aws:iam::111122223333:user/alice";
const ROOT: &str = "arn:aws:iam::111122223333:root";
const STRANGER: &str = "arn:aws:iam::444455556666:user/mallory";
const SERVICE: &str = "ec2.amazonaws.com";

/// One request and what decides about it, as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The page of AWS's documentation whose rule it holds, and the rule in our words.
    #[serde(default)]
    pub says: String,
    /// What that page says: `allowed`, `denied` or `not_allowed`.
    #[serde(default)]
    pub expected: Option<String>,
    /// The key policy.
    pub policy: Value,
    /// The caller's IAM policies.
    #[serde(default)]
    pub identity: Vec<Value>,
    /// The service control policies of one level.
    #[serde(default)]
    pub scp: Vec<Value>,
    /// Who asks.
    pub caller: String,
    /// The action.
    pub action: String,
    /// The condition keys: a text, or a list for keys with several values.
    #[serde(default)]
    pub context: BTreeMap<String, Value>,
}

/// The cases of a file that lists them.
///
/// # Panics
/// If the file is not such a list.
#[must_use]
pub fn documented(text: &str) -> Vec<Case> {
    serde_json::from_str(text).expect("a list of cases")
}

impl Case {
    /// What our evaluator decides.
    ///
    /// # Errors
    /// [`Refused`], which is as much an answer as the other.
    ///
    /// # Panics
    /// If a document is not understood.
    pub fn decide(&self) -> Authorization {
        let caller = Principal::parse(&self.caller).expect("a caller");
        let holder = Principal::parse(caller.identity()).expect("a user or a role");
        let read = |policy: &Value| IdentityPolicy::parse(&policy.to_string()).expect("a policy");
        let identities = self.identity.iter();
        let documents = Documents {
            key: KEY.to_owned(),
            account: ACCOUNT.to_owned(),
            policy: Policy::parse(&self.policy.to_string()).expect("a key policy"),
            identities: identities
                .map(|policy| Identity { principal: holder.clone(), policy: read(policy) })
                .collect(),
            identities_complete: true,
            grants: None,
            service_control: self.scp.iter().map(read).collect(),
        };
        documents.authorize(&caller, &self.action, &self.context())
    }

    /// The case and what our evaluator decides.
    #[must_use]
    pub fn decided(&self) -> Value {
        let decision = self.decide();
        let mut case = serde_json::to_value(self).expect("a case is JSON");
        case["resource"] = json!(KEY);
        case["account"] = json!(ACCOUNT);
        case["decision"] = json!(name(&decision));
        case["by_account"] = json!(matches!(decision, Ok(Basis::Account { .. })));
        case
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        for (key, value) in &self.context {
            match value {
                Value::Array(values) => {
                    context.insert(key, values.iter().filter_map(Value::as_str));
                }
                value => context.insert(key, value.as_str()),
            }
        }
        context
    }
}

/// The decision's name.
#[must_use]
pub const fn name(decision: &Authorization) -> &'static str {
    match decision {
        Ok(_) => "allowed",
        Err(Refused::Denied(_)) => "denied",
        Err(Refused::NotAllowed) => "not_allowed",
    }
}

/// Numbers that look random, from a seed (splitmix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

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

    /// One of them, or up to three.
    fn some(&mut self, items: &[&str]) -> Value {
        if self.below(2) == 0 {
            return json!(self.of(items));
        }
        (0..=self.below(3)).map(|_| json!(self.of(items))).collect()
    }
}

/// A condition key, the values that policies and requests have for it, and the operators that suit.
struct Key {
    name: &'static str,
    several: bool,
    /// The actions whose requests can carry it.
    actions: &'static [&'static str],
    kind: &'static [&'static str],
    values: &'static [&'static str],
}

const TEXTS: [&str; 6] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
];
const ARNS: [&str; 4] = ["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"];

const KEYS: [Key; 7] = [
    Key {
        name: "kms:RecipientAttestation:PCR0",
        several: false,
        actions: &["kms:Decrypt"],
        kind: &TEXTS,
        values: &["ab01", "AB01", "cd02", "0000", "ab*", "?b01"],
    },
    Key {
        name: "kms:RecipientAttestation:PCR16",
        several: false,
        actions: &["kms:Decrypt"],
        kind: &TEXTS,
        values: &["ab01", "ef03", "EF03", "*"],
    },
    Key {
        name: "kms:EncryptionContext:vault",
        several: false,
        actions: &ACTIONS,
        kind: &TEXTS,
        values: &["main", "Main", "ma*n", "other", "m", "*"],
    },
    Key {
        name: "kms:EncryptionContextKeys",
        several: true,
        actions: &ACTIONS,
        kind: &TEXTS,
        values: &["vault", "app", "Vault", "v*", "share"],
    },
    Key {
        name: "kms:GrantOperations",
        several: true,
        actions: &["kms:CreateGrant"],
        kind: &TEXTS,
        values: &["Decrypt", "Encrypt", "*crypt"],
    },
    Key {
        name: "aws:PrincipalArn",
        several: false,
        actions: &ACTIONS,
        kind: &ARNS,
        values: &[
            ROLE,
            USER,
            "arn:aws:iam::*:role/*",
            "arn:aws:iam::111122223333:*",
            "arn:aws:*::111122223333:role/app*",
        ],
    },
    Key {
        name: "aws:SecureTransport",
        several: false,
        actions: &ACTIONS,
        kind: &["Bool"],
        values: &["true", "false"],
    },
];

const PRINCIPALS: [&str; 8] =
    [ROLE, SESSION, USER, ROOT, ACCOUNT, STRANGER, "arn:aws:iam::444455556666:root", "*"];
const ACTIONS: [&str; 3] = ["kms:Decrypt", "kms:Encrypt", "kms:CreateGrant"];
const PATTERNS: [&str; 8] = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:CreateGrant",
    "kms:*",
    "kms:*crypt",
    "KMS:decrypt",
    "kms:?ncrypt",
    "*",
];
const RESOURCES: [&str; 4] =
    ["*", KEY, "arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:us-east-1:*:key/*"];

impl Case {
    /// A case that the numbers give.
    #[must_use]
    pub fn random(random: &mut Random) -> Self {
        let caller = random.of(&[SESSION, SESSION, OTHER_SESSION, USER, ROOT, STRANGER, SERVICE]);
        // An IAM policy is a user's or a role's of the key's account.
        let holds = [SESSION, OTHER_SESSION, USER].contains(&caller);
        let policies = |random: &mut Random, most: usize| {
            (0..random.below(most + 1)).map(|_| document(random, false)).collect::<Vec<_>>()
        };
        let identity = if holds { policies(random, 2) } else { Vec::new() };
        let scp = if random.below(3) == 0 { policies(random, 2) } else { Vec::new() };
        let action = random.of(&ACTIONS);
        Self {
            says: String::new(),
            expected: None,
            policy: document(random, true),
            identity,
            scp,
            caller: caller.to_owned(),
            action: action.to_owned(),
            context: context(random, action),
        }
    }
}

fn document(random: &mut Random, names_principals: bool) -> Value {
    let statements: Vec<Value> =
        (0..=random.below(3)).map(|_| statement(random, names_principals)).collect();
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn statement(random: &mut Random, names_principals: bool) -> Value {
    let mut statement = json!({ "Effect": random.of(&["Allow", "Allow", "Deny"]) });
    if names_principals {
        let not = random.below(8) == 0;
        // Everybody cannot be excluded.
        let names = if not { &PRINCIPALS[..7] } else { &PRINCIPALS };
        let principal = match random.below(8) {
            0 if !not => json!("*"),
            1 => json!({ "Service": random.some(&[SERVICE, "s3.amazonaws.com"]) }),
            _ => json!({ "AWS": random.some(names) }),
        };
        statement[if not { "NotPrincipal" } else { "Principal" }] = principal;
    }
    let action = if random.below(6) == 0 { "NotAction" } else { "Action" };
    statement[action] = random.some(&PATTERNS);
    let resource = if random.below(8) == 0 { "NotResource" } else { "Resource" };
    statement[resource] = if random.below(3) == 0 { random.some(&RESOURCES) } else { json!("*") };
    let mut conditions = Map::new();
    for _ in 0..random.below(3) {
        let (operator, key, values) = condition(random);
        let keys = conditions.entry(operator).or_insert_with(|| json!({}));
        keys[key] = values;
    }
    if !conditions.is_empty() {
        statement["Condition"] = Value::Object(conditions);
    }
    statement
}

fn condition(random: &mut Random) -> (String, &'static str, Value) {
    let Key { name, several, kind, values, .. } = &KEYS[random.below(KEYS.len())];
    if random.below(8) == 0 {
        return ("Null".to_owned(), name, json!(random.of(&["true", "false"])));
    }
    let base = random.of(kind);
    let over = match (several, random.below(8)) {
        (true, 0..4) | (false, 0) => "ForAnyValue:",
        (true, _) | (false, 1) => "ForAllValues:",
        (false, _) => "",
    };
    let exists = if over != "ForAnyValue:" && random.below(4) == 0 { "IfExists" } else { "" };
    let values = if *kind == ["Bool"] { json!(random.of(values)) } else { random.some(values) };
    (format!("{over}{base}{exists}"), name, values)
}

fn context(random: &mut Random, action: &str) -> BTreeMap<String, Value> {
    let mut context = BTreeMap::new();
    for Key { name, several, values, actions, .. } in &KEYS {
        if !actions.contains(&action) || random.below(3) == 0 {
            continue;
        }
        let value = if *several {
            (0..random.below(4)).map(|_| json!(random.of(values))).collect()
        } else {
            json!(random.of(values))
        };
        context.insert((*name).to_owned(), value);
    }
    context
}
