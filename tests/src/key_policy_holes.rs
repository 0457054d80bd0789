//! A sound key policy, and the ways in which one goes wrong: what the linter must find, and under
//! what the enclave must not create a vault.
//!
//! A hole changes a policy of the shipped form, whoever rendered it; it finds statements by their
//! Sid and the appliance's role in `ApplianceReads`.

use nitro_signer_shared::key_policy::form::{AdmittedSet, Terms, VaultName};
use serde_json::{Value, json};

/// The account of the key.
pub const ACCOUNT: &str = "111122223333";
/// The role of the appliance.
pub const ROLE: &str = "arn:aws:iam::111122223333:role/appliance";
/// The named administrator.
pub const ADMINISTRATOR: &str = "arn:aws:iam::111122223333:role/key-admin";
/// Somebody of the account whom no policy should name.
pub const DEVELOPER: &str = "arn:aws:iam::111122223333:user/developer";
/// Somebody of another account.
pub const STRANGER: &str = "arn:aws:iam::444455556666:root";

const PCR0: &str = "kms:RecipientAttestation:PCR0";
const PCR16: &str = "kms:RecipientAttestation:PCR16";

/// What decides about a key, as JSON.
#[derive(Clone, Debug)]
pub struct Deciding {
    /// The key policy.
    pub policy: Value,
    /// The grants, if any are shown, as `aws kms list-grants` prints them.
    pub grants: Option<Value>,
    /// IAM policies, and whose they are.
    pub iam: Vec<(&'static str, Value)>,
}

/// A way in which a sound policy goes wrong.
#[derive(Clone, Copy, Debug)]
pub struct Hole {
    /// What it is.
    pub name: &'static str,
    /// Makes it.
    pub plant: fn(&mut Deciding),
    /// The linter's finding.
    pub finding: &'static str,
    /// What the counterexample says: caller, action, whether attested. Empty if the finding has
    /// none.
    pub shown: Option<(&'static str, &'static str, bool)>,
}

/// A set of 96-digit registers: PCR0 and PCR16.
pub type Pair = (String, String);

/// The key policy of these sets, as `key-policy render` writes it.
///
/// # Panics
/// If a register is not 96 digits.
#[must_use]
pub fn sound(sets: &[Pair]) -> Value {
    let register = |digits: &str| {
        let mut value = [0; 48];
        hex::decode_to_slice(digits, &mut value).expect("are 96 digits");
        value
    };
    let entity = |arn: &str| arn.parse().expect("is a role");
    let name = |text: &str| text.parse().expect("is a name");
    let terms = Terms {
        administrators: [entity(ADMINISTRATOR)].into(),
        break_glass: [].into(),
        auditors: [].into(),
        appliance_roles: [entity(ROLE)].into(),
        sets: sets.iter().map(|(a, b)| AdmittedSet::new(register(a), register(b))).collect(),
        vault: VaultName { deployment: name("production"), vault: name("main") },
        vault_creation: true,
        multi_region: false,
        imported_material: false,
    };
    serde_json::from_str(&terms.write().expect("are terms")).expect("is JSON")
}

impl Deciding {
    /// A policy and nothing beside it.
    #[must_use]
    pub const fn by(policy: Value) -> Self {
        Self { policy, grants: None, iam: Vec::new() }
    }

    fn statements(&mut self) -> &mut Vec<Value> {
        self.policy["Statement"].as_array_mut().expect("a policy has statements")
    }

    fn statement(&mut self, sid: &str) -> &mut Value {
        let found = self.statements().iter_mut().find(|statement| statement["Sid"] == sid);
        found.unwrap_or_else(|| unreachable!("the form has a statement {sid}"))
    }

    fn remove(&mut self, sid: &str) {
        self.statements().retain(|statement| statement["Sid"] != sid);
    }

    /// The appliance's role.
    fn role(&mut self) -> Value {
        self.statement("ApplianceReads")["Principal"].clone()
    }

    fn add(&mut self, effect: &str, principal: Value, action: &str, condition: Option<Value>) {
        let mut statement = json!({
            "Sid": "Planted",
            "Effect": effect,
            "Principal": principal,
            "Action": action,
            "Resource": "*",
        });
        if let Some(condition) = condition {
            statement["Condition"] = condition;
        }
        self.statements().push(statement);
    }

    /// Takes an action off the list of what nobody may do.
    fn permit(&mut self, action: &str) {
        let actions = self.statement("Nobody")["Action"].as_array_mut().expect("is a list");
        actions.retain(|named| named != action);
    }

    /// Takes the Deny statements about registers away.
    fn remove_registers(&mut self) {
        self.statements().retain(|statement| {
            !statement["Sid"].as_str().is_some_and(|sid| sid.starts_with("OnlyPCR"))
        });
    }

    /// Changes what `Measured0` asks of a register, by its operator.
    fn ask_register(&mut self, key: &str, operator: &str, value: Value) {
        let condition = &mut self.statement("Measured0")["Condition"];
        let pinned = condition["StringEqualsIgnoreCase"].as_object_mut().expect("pins registers");
        pinned.remove(key);
        if !condition[operator].is_object() {
            condition[operator] = json!({});
        }
        condition[operator][key] = value;
    }

    fn register(&mut self, key: &str) -> String {
        let pinned = &self.statement("Measured0")["Condition"]["StringEqualsIgnoreCase"][key];
        pinned.as_str().expect("pins it").to_owned()
    }

    /// Lets the Deny of a register pass one more value.
    fn pass(&mut self, sid: &str, key: &str, value: &str) {
        let condition = &mut self.statement(sid)["Condition"]["StringNotEqualsIgnoreCase"][key];
        condition.as_array_mut().expect("is a list").push(json!(value));
    }

    fn grant(&mut self, grantee: Value, operations: &[&str]) {
        self.grants = Some(json!({ "Grants": [{
            "KeyId": "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001",
            "GrantId": "0123456789abcdef",
            "Name": "",
            "CreationDate": 1_767_225_600.0,
            "GranteePrincipal": grantee,
            "RetiringPrincipal": DEVELOPER,
            "IssuingAccount": "arn:aws:iam::111122223333:root",
            "Operations": operations,
        }] }));
    }
}

const fn hole(
    name: &'static str,
    finding: &'static str,
    shown: Option<(&'static str, &'static str, bool)>,
    plant: fn(&mut Deciding),
) -> Hole {
    Hole { name, plant, finding, shown }
}

/// A session of the appliance's role, as a counterexample names it.
const APPLIANCE: &str = "assumed-role/appliance/";

/// Every hole. Those that only a Deny stops are there with and without it.
pub const HOLES: [Hole; 30] = [
    hole(
        "a second Allow without conditions",
        "opened",
        Some((APPLIANCE, "kms:Decrypt", false)),
        |d| {
            d.remove_registers();
            let role = d.role();
            d.add("Allow", role, "kms:Decrypt", None);
        },
    ),
    hole(
        // Of two sets, one's image under the other's manifest.
        "a second Allow without conditions, behind the Deny statements",
        "opened",
        Some((APPLIANCE, "kms:Decrypt", true)),
        |d| {
            let role = d.role();
            d.add("Allow", role, "kms:Decrypt", None);
        },
    ),
    hole(
        "an IAM policy that the root delegation lets through",
        "opened",
        Some((DEVELOPER, "kms:Decrypt", false)),
        |d| {
            d.remove_registers();
            d.remove("Nobody");
            let root = format!("arn:aws:iam::{ACCOUNT}:root");
            d.add("Allow", json!({ "AWS": root }), "kms:*", None);
            let allow = json!({ "Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*" });
            d.iam.push((DEVELOPER, json!({ "Version": "2012-10-17", "Statement": [allow] })));
        },
    ),
    hole(
        "a root delegation, whose IAM policies are not shown",
        "only_denied",
        Some(("anybody else of account", "kms:Encrypt", false)),
        |d| {
            let root = json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:root") });
            d.add("Allow", root, "kms:Encrypt", None);
        },
    ),
    hole("a grant", "opened", Some((APPLIANCE, "kms:Decrypt", false)), |d| {
        d.remove_registers();
        let role = d.role()["AWS"].as_array().map_or(json!(ROLE), |roles| roles[0].clone());
        d.grant(role, &["Decrypt", "DescribeKey"]);
    }),
    hole(
        "a grant behind the Deny statements",
        "opened",
        Some((APPLIANCE, "kms:Decrypt", true)),
        |d| {
            let role = d.role()["AWS"].as_array().map_or(json!(ROLE), |roles| roles[0].clone());
            d.grant(role, &["Decrypt"]);
        },
    ),
    hole(
        "a grant of what nobody may do",
        "only_denied",
        Some((DEVELOPER, "kms:ReEncryptFrom", false)),
        |d| d.grant(json!(DEVELOPER), &["ReEncryptFrom", "CreateGrant"]),
    ),
    hole(
        "an administrator who is not named",
        "reopenable",
        Some((DEVELOPER, "kms:PutKeyPolicy", false)),
        |d| d.add("Allow", json!({ "AWS": DEVELOPER }), "kms:PutKeyPolicy", None),
    ),
    hole(
        "an administrator who may make grants",
        "reopenable",
        Some(("assumed-role/key-admin/", "kms:CreateGrant", false)),
        |d| {
            d.permit("kms:CreateGrant");
            let administrator = d.statement("Administration")["Principal"].clone();
            d.add("Allow", administrator, "kms:CreateGrant", None);
        },
    ),
    hole(
        "a replica in a region with a policy of its own",
        "reopenable",
        Some(("assumed-role/key-admin/", "kms:ReplicateKey", false)),
        |d| {
            d.permit("kms:ReplicateKey");
            let administrator = d.statement("Administration")["Principal"].clone();
            d.add("Allow", administrator, "kms:Replicate*", None);
        },
    ),
    hole(
        "Encrypt open to everybody",
        "opened",
        Some(("anybody, of any other account", "kms:Encrypt", false)),
        |d| {
            d.permit("kms:Encrypt");
            d.add("Allow", json!("*"), "kms:Encrypt", None);
        },
    ),
    hole(
        "Encrypt open to somebody, behind the Deny",
        "only_denied",
        Some((APPLIANCE, "kms:Encrypt", false)),
        |d| {
            let role = d.role();
            d.add("Allow", role, "kms:Encrypt", None);
        },
    ),
    hole(
        "a planted data key, by another account",
        "opened",
        Some((
            "anybody else of account 444455556666",
            "kms:GenerateDataKeyWithoutPlaintext",
            false,
        )),
        |d| {
            d.permit("kms:GenerateDataKeyWithoutPlaintext");
            d.add("Allow", json!({ "AWS": STRANGER }), "kms:GenerateDataKeyW*", None);
        },
    ),
    hole(
        "key material of somebody's own",
        "opened",
        Some(("assumed-role/key-admin/", "kms:ImportKeyMaterial", false)),
        |d| {
            d.permit("kms:ImportKeyMaterial");
            let administrator = d.statement("Administration")["Principal"].clone();
            d.add("Allow", administrator, "kms:ImportKeyMaterial", None);
        },
    ),
    hole(
        "a set that is not in measurements.json",
        "opened",
        Some((APPLIANCE, "kms:Decrypt", true)),
        |d| {
            let other = "5".repeat(96);
            let mut another = d.statement("Measured0").clone();
            another["Sid"] = json!("Measured9");
            another["Condition"]["StringEqualsIgnoreCase"][PCR0] = json!(other);
            d.statements().push(another);
            d.pass("OnlyPCR0", PCR0, &other);
        },
    ),
    hole(
        "sets in lists, so that an old image meets a new manifest",
        "opened",
        Some((APPLIANCE, "kms:Decrypt", true)),
        |d| {
            let lists: Vec<Value> = [("OnlyPCR0", PCR0), ("OnlyPCR16", PCR16)]
                .map(|(sid, key)| {
                    d.statement(sid)["Condition"]["StringNotEqualsIgnoreCase"][key].clone()
                })
                .into();
            d.ask_register(PCR0, "StringEqualsIgnoreCase", lists[0].clone());
            d.ask_register(PCR16, "StringEqualsIgnoreCase", lists[1].clone());
        },
    ),
    hole(
        "one Deny with two registers, which stops only what differs in both",
        "grants_not_stopped",
        Some(("anybody", "kms:Decrypt", true)),
        |d| {
            let second = d.statement("OnlyPCR16")["Condition"].clone();
            d.remove("OnlyPCR16");
            let key = &second["StringNotEqualsIgnoreCase"][PCR16];
            d.statement("OnlyPCR0")["Condition"]["StringNotEqualsIgnoreCase"][PCR16] = key.clone();
        },
    ),
    hole("StringEquals with upper-case hex", "never_matches", None, |d| {
        let value = "ABCDEF".repeat(16);
        d.ask_register(PCR0, "StringEquals", json!(value));
    }),
    hole("a set that a Deny leaves out", "set_not_admitted", None, |d| {
        let own = d.register(PCR0);
        d.statement("OnlyPCR0")["Condition"]["StringNotEqualsIgnoreCase"][PCR0] =
            json!(["6".repeat(96)]);
        assert_ne!(own, "6".repeat(96));
    }),
    hole("a misspelt condition key in an Allow", "unknown_condition_key", None, |d| {
        let pinned = &mut d.statement("Measured0")["Condition"]["StringEqualsIgnoreCase"];
        let pinned = pinned.as_object_mut().expect("pins registers");
        let value = pinned.remove(PCR16).expect("pins it");
        pinned.insert("kms:RecipientAttestation:PCR016".to_owned(), value);
    }),
    hole("a misspelt condition key in a Deny", "unknown_condition_key", None, |d| {
        let condition = &mut d.statement("OnlyPCR16")["Condition"];
        let value = condition["StringNotEqualsIgnoreCase"][PCR16].clone();
        *condition =
            json!({ "StringNotEqualsIgnoreCase": { "kms:RecipientAttestation:PRC16": value } });
    }),
    hole("PCR0 pinned to zeros", "opened", Some((APPLIANCE, "kms:Decrypt", true)), |d| {
        d.ask_register(PCR0, "StringEqualsIgnoreCase", json!("0".repeat(96)));
        d.pass("OnlyPCR0", PCR0, &"0".repeat(96));
    }),
    hole("Null where the value belongs", "opened", Some((APPLIANCE, "kms:Decrypt", true)), |d| {
        d.ask_register(PCR16, "Null", json!("false"));
        d.remove("OnlyPCR16");
    }),
    hole("IfExists in an Allow", "only_denied", Some((APPLIANCE, "kms:Decrypt", false)), |d| {
        let condition = &mut d.statement("Measured0")["Condition"];
        let condition = condition.as_object_mut().expect("has conditions");
        let pinned = condition.remove("StringEqualsIgnoreCase").expect("pins registers");
        condition.insert("StringEqualsIgnoreCaseIfExists".to_owned(), pinned);
    }),
    hole(
        "a Deny that asks only whether there is a document",
        "grants_not_stopped",
        Some(("anybody", "kms:Decrypt", true)),
        |d| d.statement("OnlyPCR0")["Condition"] = json!({ "Null": { PCR0: "true" } }),
    ),
    hole(
        "a Deny of any value, which spares calls without one",
        "grants_not_stopped",
        Some(("anybody", "kms:Decrypt", false)),
        |d| {
            for (sid, key) in [("OnlyPCR0", PCR0), ("OnlyPCR16", PCR16)] {
                let condition = &mut d.statement(sid)["Condition"];
                let values = condition["StringNotEqualsIgnoreCase"][key].clone();
                *condition = json!({ "ForAnyValue:StringNotEqualsIgnoreCase": { key: values } });
            }
        },
    ),
    hole(
        "NotPrincipal in an Allow: everybody else",
        "opened",
        Some(("anybody, of any other account", "kms:Decrypt", false)),
        |d| {
            d.remove_registers();
            d.add("Allow", json!("*"), "kms:Decrypt", None);
            let planted = d.statement("Planted").as_object_mut().expect("is a statement");
            planted.remove("Principal");
            planted.insert("NotPrincipal".to_owned(), json!({ "AWS": ADMINISTRATOR }));
        },
    ),
    hole(
        "NotPrincipal in a Deny: whom it spares is AWS's guess",
        "grants_not_stopped",
        Some((APPLIANCE, "kms:Decrypt", false)),
        |d| {
            let role = d.role();
            for sid in ["OnlyPCR0", "OnlyPCR16"] {
                let statement = d.statement(sid).as_object_mut().expect("is a statement");
                statement.remove("Principal");
                statement.insert("NotPrincipal".to_owned(), role.clone());
            }
        },
    ),
    hole(
        "NotAction in an Allow: everything else",
        "reopenable",
        Some((APPLIANCE, "kms:PutKeyPolicy", false)),
        |d| {
            let statement = d.statement("ApplianceReads").as_object_mut().expect("is a statement");
            statement.remove("Action");
            statement.insert("NotAction".to_owned(), json!(["kms:Decrypt", "kms:Encrypt"]));
        },
    ),
    hole("NotAction in a Deny", "all_but", None, |d| {
        let statement = d.statement("Nobody").as_object_mut().expect("is a statement");
        statement.remove("Action");
        let spared = json!(["kms:Decrypt", "kms:GenerateDataKey", "kms:*Key*", "kms:List*"]);
        statement.insert("NotAction".to_owned(), spared);
    }),
];
