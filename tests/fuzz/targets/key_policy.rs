//! AWS key policies.
//! - A policy decides the same however its JSON is printed.
//! - One more statement that denies everything to everybody denies every request.
//! - Without its Allow statements a policy allows nothing, nor leaves anything to the account.
//! - Under a policy that the enclave takes for one of its form, the evaluator lets nobody use the key
//!   without attestation, or with the registers of none of the sets that the form was read to have.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nitro_signer_shared::key_policy::form::{Form, VaultName};
use nitro_signer_shared::key_policy::{Context, Decision, Policy, Principal, Request};
use serde_json::{Value, json};
use std::sync::LazyLock;

const KEY: &str = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001";
const CALLERS: [&str; 5] = [
    "arn:aws:iam::111122223333:root",
    "arn:aws:iam::111122223333:role/appliance",
    "arn:aws:sts::111122223333:assumed-role/appliance/i-0123",
    "arn:aws:iam::444455556666:user/mallory",
    "ec2.amazonaws.com",
];
/// Whose key the seeds' policies are of.
const ACCOUNT: &str = "000000000000";
static VAULT: LazyLock<VaultName> = LazyLock::new(|| {
    let name = |text: &str| text.parse().expect("is a name");
    VaultName { deployment: name("development"), vault: name("main") }
});
const ACTIONS: [&str; 3] = ["kms:Decrypt", "kms:GenerateDataKey", "kms:PutKeyPolicy"];

static PRINCIPALS: LazyLock<Vec<Principal>> =
    LazyLock::new(|| CALLERS.map(|text| Principal::parse(text).expect("is a caller")).into());

/// A call with an attestation document, and one without.
static CONTEXTS: LazyLock<[Context; 2]> = LazyLock::new(|| {
    let mut attested = Context::default();
    attested.insert("kms:RecipientAttestation:PCR0", ["ab".repeat(48)]);
    attested.insert("kms:RecipientAttestation:PCR16", ["cd".repeat(48)]);
    attested.insert("kms:EncryptionContext:app", ["nitro-signer"]);
    attested.insert("kms:EncryptionContextKeys", ["app", "vault"]);
    attested.insert("aws:PrincipalArn", [CALLERS[1]]);
    [attested, Context::default()]
});

fn decisions(policy: &Policy) -> Vec<Decision> {
    let mut all = Vec::new();
    for principal in &*PRINCIPALS {
        for action in ACTIONS {
            for context in &*CONTEXTS {
                all.push(policy.evaluate(&Request { principal, action, resource: KEY, context }));
            }
        }
    }
    all
}

/// The policy with these statements; `None` if it cannot be read as plain text.
fn with_statements(policy: &Value, statements: Vec<Value>) -> Option<Policy> {
    let mut policy = policy.clone();
    policy["Statement"] = Value::Array(statements);
    let text = policy.to_string();
    // Escapes may stand for characters that a key policy cannot have as they are.
    let plain = text.chars().all(|c| c <= '\u{ff}');
    match Policy::parse(&text) {
        Ok(policy) => Some(policy),
        Err(error) if plain => panic!("{error} in {text}"),
        Err(_) => None,
    }
}

/// No set of the form has these registers: a set of the form never has zeros.
fn is_closed_to_strangers(policy: &Policy) {
    let mut zeros = Context::default();
    zeros.insert("kms:RecipientAttestation:PCR0", ["00".repeat(48)]);
    zeros.insert("kms:RecipientAttestation:PCR16", ["00".repeat(48)]);
    for context in [&zeros, &Context::default()] {
        for principal in &*PRINCIPALS {
            for action in ["kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:CreateGrant"] {
                let request = Request { principal, action, resource: KEY, context };
                let decision = policy.evaluate(&request);
                assert!(matches!(decision, Decision::ExplicitDeny(_)), "{decision:?}");
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let form = Form::read(text, ACCOUNT, &VAULT);
    let Ok(policy) = Policy::parse(text) else { return };
    if form.is_ok() {
        is_closed_to_strangers(&policy);
    }
    let value: Value = serde_json::from_str(text).expect("a general reader reads it");
    let statements = match &value["Statement"] {
        Value::Array(statements) => statements.clone(),
        statement => vec![statement.clone()],
    };
    let said = decisions(&policy);
    if let Some(again) = with_statements(&value, statements.clone()) {
        assert_eq!(decisions(&again), said);
    }

    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*" });
    if let Some(closed) = with_statements(&value, [statements.clone(), vec![deny]].concat()) {
        let denied = |decision: &Decision| matches!(decision, Decision::ExplicitDeny(_));
        assert!(decisions(&closed).iter().all(denied));
    }

    let denying: Vec<Value> = statements.into_iter().filter(|s| s["Effect"] != "Allow").collect();
    let silent = if denying.is_empty() { None } else { with_statements(&value, denying) };
    for decision in silent.as_ref().map(decisions).unwrap_or_default() {
        assert!(matches!(decision, Decision::ExplicitDeny(_) | Decision::NoMatch));
    }
});
