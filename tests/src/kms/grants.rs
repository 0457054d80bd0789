//! Grants: permissions beside the key policy, which no attestation condition can narrow.
//!
//! A grant allows its operations to its grantee by itself; what stops it is an explicit Deny of the
//! key policy. Sources: KMS developer guide, "Grants in AWS KMS" (grants), "Creating grants"
//! (create-grant-overview), "Retiring and revoking grants" (grant-delete); KMS API reference,
//! CreateGrant.

use super::error::ApiError;
use super::material::EncryptionContext;
use super::sigv4::Identity;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nitro_signer_shared::key_policy::Principal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The operations that a grant may name, as AWS's API model lists them.
const OPERATIONS: [&str; 19] = [
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "Sign",
    "Verify",
    "GetPublicKey",
    "CreateGrant",
    "RetireGrant",
    "DescribeKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateMac",
    "VerifyMac",
    "DeriveSharedSecret",
    "Encapsulate",
    "Decapsulate",
];
/// Those that fit every key.
const ANY_KEY: [&str; 3] = ["CreateGrant", "RetireGrant", "DescribeKey"];
const SIGNING_KEY: [&str; 3] = ["Sign", "Verify", "GetPublicKey"];
const SYMMETRIC_KEY: [&str; 8] = [
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
];
/// "Each constraint value can include up to 8 encryption context pairs. The encryption context
/// value in each constraint cannot exceed 384 characters."
const MAX_PAIRS: usize = 8;
const MAX_PAIR_TEXT: usize = 384;
/// Of one key (KMS developer guide, "Resource quotas": 50,000; fewer do for tests).
pub(super) const MAX_GRANTS: usize = 1_000;

/// What narrows a grant: nothing but the encryption context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Constraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encryption_context_equals: Option<EncryptionContext>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encryption_context_subset: Option<EncryptionContext>,
}

impl Constraints {
    fn is_empty(&self) -> bool {
        self.encryption_context_equals.is_none() && self.encryption_context_subset.is_none()
    }

    /// Whether a request with this encryption context stays within them.
    fn admit(&self, context: &EncryptionContext) -> bool {
        let equal = self.encryption_context_equals.as_ref().is_none_or(|all| all == context);
        let within = |some: &EncryptionContext| {
            some.iter().all(|(name, value)| context.get(name) == Some(value))
        };
        equal && self.encryption_context_subset.as_ref().is_none_or(within)
    }

    /// Whether whatever the other ones admit, these do too.
    fn cover(&self, narrower: &Self) -> bool {
        if self.is_empty() {
            return true;
        }
        match (&narrower.encryption_context_equals, &narrower.encryption_context_subset) {
            (Some(exact), _) => self.admit(exact),
            (None, Some(least)) => self.encryption_context_equals.is_none() && self.admit(least),
            (None, None) => false,
        }
    }

    /// The value of `kms:GrantConstraintType`.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match (&self.encryption_context_equals, &self.encryption_context_subset) {
            (Some(_), _) => Some("EncryptionContextEquals"),
            (None, Some(_)) => Some("EncryptionContextSubset"),
            (None, None) => None,
        }
    }

    fn check(&self) -> Result<(), ApiError> {
        let (equals, subset) = (&self.encryption_context_equals, &self.encryption_context_subset);
        if equals.is_some() && subset.is_some() {
            return Err(ApiError::validation("a grant with both kinds of constraint"));
        }
        for pairs in [equals, subset].into_iter().flatten() {
            let text: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
            if pairs.len() > MAX_PAIRS || text > MAX_PAIR_TEXT {
                return Err(ApiError::validation(format!(
                    "a constraint has at most {MAX_PAIRS} pairs of {MAX_PAIR_TEXT} characters"
                )));
            }
        }
        Ok(())
    }
}

/// What CreateGrant asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Terms {
    pub(super) grantee: String,
    pub(super) retiring: Option<String>,
    /// In the order given, each once.
    pub(super) operations: Vec<String>,
    pub(super) constraints: Constraints,
    pub(super) name: Option<String>,
}

impl Terms {
    /// Whether a key of this kind can be given away so.
    pub(super) fn check(&self, signs: bool) -> Result<(), ApiError> {
        if self.operations.is_empty() {
            return Err(ApiError::validation("a grant without operations"));
        }
        for operation in &self.operations {
            if !OPERATIONS.contains(&operation.as_str()) {
                let set = OPERATIONS.join(", ");
                let set =
                    format!("satisfy constraint: [Member must satisfy enum value set: [{set}]]");
                return Err(ApiError::constraint("operations", &set));
            }
            let own: &[&str] = if signs { &SIGNING_KEY } else { &SYMMETRIC_KEY };
            if !own.contains(&operation.as_str()) && !ANY_KEY.contains(&operation.as_str()) {
                return Err(ApiError::validation(format!("a key of this kind has no {operation}")));
            }
        }
        if signs && !self.constraints.is_empty() {
            return Err(ApiError::validation("a key that signs takes no encryption context"));
        }
        for principal in [Some(&self.grantee), self.retiring.as_ref()].into_iter().flatten() {
            principal_of_grant(principal)?;
        }
        self.constraints.check()
    }
}

/// A principal that a grant may name: an account's root, a user, a role or a role's session.
pub(super) fn principal_of_grant(arn: &str) -> Result<(), ApiError> {
    match Principal::parse(arn) {
        Ok(principal) if principal.account().is_some() => Ok(()),
        _ => {
            Err(ApiError::ours("InvalidArnException", format!("{arn:?} is not a principal's ARN")))
        }
    }
}

/// A grant of one key.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Grant {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    pub(super) created_ms: u64,
    pub(super) issuing_account: String,
    pub(super) terms: Terms,
}

/// A request, as grants see it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    /// Without `kms:`.
    pub(super) operation: &'a str,
    pub(super) encryption_context: &'a EncryptionContext,
    /// For CreateGrant.
    pub(super) new_grant: Option<&'a Terms>,
}

impl Grant {
    pub(super) fn new(
        terms: Terms,
        issuing_account: &str,
        created_ms: u64,
    ) -> Result<Self, ApiError> {
        let mut id = [0; 32];
        rand::fill(&mut id).map_err(|_| ApiError::internal())?;
        let issuing_account = issuing_account.to_owned();
        Ok(Self { id: hex::encode(id), created_ms, issuing_account, terms })
    }

    /// Whether this grant alone lets the caller do it.
    pub(super) fn allows(&self, caller: &Identity, asked: &Asked<'_>) -> bool {
        let terms = &self.terms;
        let constrained = match asked.operation {
            "DescribeKey" | "RetireGrant" => true,
            // "Principals who get CreateGrant permission from a grant" may give on some or all of
            // its operations, under constraints at least as strict.
            "CreateGrant" => asked.new_grant.is_some_and(|new| {
                new.operations.iter().all(|operation| terms.operations.contains(operation))
                    && terms.constraints.cover(&new.constraints)
            }),
            "Sign" | "Verify" | "GetPublicKey" => true,
            _ => terms.constraints.admit(asked.encryption_context),
        };
        constrained
            && terms.operations.iter().any(|operation| operation == asked.operation)
            && is(caller, &terms.grantee)
    }

    /// Whether the caller may retire it: the retiring principal, the grantee if the grant says so,
    /// and whom the issuing account's IAM policies let.
    pub(super) fn retirable_by(&self, caller: &Identity) -> bool {
        let retiring = self.terms.retiring.as_ref().is_some_and(|arn| is(caller, arn));
        let grantee = is(caller, &self.terms.grantee)
            && self.terms.operations.iter().any(|operation| operation == "RetireGrant");
        let account = caller.principal.account() == Some(&self.issuing_account);
        retiring || grantee || (account && caller.iam_allows_all)
    }

    /// An entry of ListGrants.
    pub(super) fn entry(&self, key_arn: &str) -> Value {
        let terms = &self.terms;
        let mut entry = Map::new();
        let mut put = |name: &str, value: Value| drop(entry.insert(name.to_owned(), value));
        put("KeyId", key_arn.into());
        put("GrantId", self.id.as_str().into());
        put("Name", terms.name.clone().unwrap_or_default().into());
        put("CreationDate", super::key::seconds(self.created_ms));
        put("GranteePrincipal", terms.grantee.as_str().into());
        if let Some(retiring) = &terms.retiring {
            put("RetiringPrincipal", retiring.as_str().into());
        }
        put("IssuingAccount", format!("arn:aws:iam::{}:root", self.issuing_account).into());
        put("Operations", json!(terms.operations));
        if !terms.constraints.is_empty() {
            put("Constraints", json!(terms.constraints));
        }
        entry.into()
    }

    /// A token that names this grant, another one each time. It is not a secret.
    pub(super) fn token(&self, key_arn: &str) -> Result<String, ApiError> {
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(|_| ApiError::internal())?;
        Ok(STANDARD.encode(format!("{}\n{key_arn}\n{}", hex::encode(salt), self.id)))
    }
}

/// The key's ARN and the grant's id that a token names.
pub(super) fn read_token(token: &str) -> Result<(String, String), ApiError> {
    let text = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let mut parts = text.as_deref().unwrap_or_default().splitn(3, '\n');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(_), Some(arn), Some(id)) => Ok((arn.to_owned(), id.to_owned())),
        _ => Err(ApiError::ours("InvalidGrantTokenException", "not a token of CreateGrant")),
    }
}

/// Whether the caller is whom a grant names; an account stands for those its IAM policies let.
fn is(caller: &Identity, arn: &str) -> bool {
    let principal = &caller.principal;
    let account = || principal.account().map(|account| format!("arn:aws:iam::{account}:root"));
    arn == principal.name()
        || arn == principal.identity()
        || (caller.iam_allows_all && account().as_deref() == Some(arn))
}
