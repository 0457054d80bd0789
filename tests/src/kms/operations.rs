//! The operations: each reads its request, is authorised, and only then touches a key.
//!
//! Source: KMS API reference, one page per operation. Grants, tags, other key types and multi-region
//! keys do not exist here, and asking for them is an error.

use super::error::{ApiError, Denial};
use super::faults::Forgery;
use super::keys::{EncryptionContext, Found, Key, MAX_BLOB};
use super::recipient::{Attested, RecipientInfo};
use super::service::Service;
use super::sigv4::Identity;
use super::wire::{self, blob};
use aws_lc_rs::rand;
use nitro_signer_shared::key_policy::{Context, Decision, Policy, Request};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

const MAX_PLAINTEXT: usize = 4_096;
const MAX_RANDOM: usize = 1_024;
const MAX_CONTEXT: usize = 8_192;
const MAX_DESCRIPTION: usize = 8_192;
const MAX_ALIAS: usize = 256;
const ALGORITHM: &str = "SYMMETRIC_DEFAULT";
const POLICY_NAME: &str = "default";

macro_rules! operations {
    ($( $variant:ident => $run:ident; )+) => {
        /// An operation that is served. Its name is the one on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Operation { $( $variant, )+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => stringify!($variant), )+ }
            }

            pub(super) fn run(self, call: &Call<'_>, body: &[u8]) -> Result<Option<Value>, ApiError> {
                match self { $( Self::$variant => call.$run(wire::read(body)?), )+ }
            }
        }
    };
}

operations! {
    CreateKey => create_key;
    DescribeKey => describe_key;
    PutKeyPolicy => put_key_policy;
    GetKeyPolicy => get_key_policy;
    CreateAlias => create_alias;
    ListGrants => list_grants;
    Encrypt => encrypt;
    Decrypt => decrypt;
    GenerateDataKey => generate_data_key;
    GenerateDataKeyWithoutPlaintext => generate_data_key_without_plaintext;
    GenerateRandom => generate_random;
}

impl Operation {
    /// The operation of this name, if it is served.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }

    /// As policies name it.
    fn action(self) -> String {
        format!("kms:{}", self.name())
    }
}

/// A call whose caller is known.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) caller: &'a Identity,
    pub(super) now_ms: u64,
    pub(super) forgery: Forgery,
}

/// A new data key, authorised and not yet encrypted.
struct DataKey {
    found: Found,
    plaintext: Zeroizing<Vec<u8>>,
    attested: Option<Attested>,
}

/// `None` is an answer without a body.
type Answer = Result<Option<Value>, ApiError>;

impl Call<'_> {
    fn create_key(&self, input: wire::CreateKey) -> Answer {
        self.require_identity_policy(Operation::CreateKey, "*")?;
        let one_of =
            |value: &Option<String>, only: &str| value.as_deref().is_none_or(|v| v == only);
        let supported = one_of(&input.key_usage, "ENCRYPT_DECRYPT")
            && one_of(&input.key_spec, ALGORITHM)
            && one_of(&input.customer_master_key_spec, ALGORITHM)
            && one_of(&input.origin, "AWS_KMS")
            && input.multi_region != Some(true);
        if !supported {
            return Err(ApiError::unsupported("symmetric keys of one region only"));
        }
        let description = input.description.unwrap_or_default();
        if description.len() > MAX_DESCRIPTION {
            return Err(ApiError::constraint("description", "have length at most 8192"));
        }
        let text = input.policy.unwrap_or_else(|| self.service.default_policy());
        let policy = self.read_policy(&text, input.bypass_policy_lockout_safety_check, "*")?;
        let mut keys = self.service.keys()?;
        let key = keys.create(description, text, policy, self.now_ms / 1_000)?;
        Ok(Some(json!({ "KeyMetadata": self.metadata(key) })))
    }

    fn describe_key(&self, input: wire::DescribeKey) -> Answer {
        no_grant_tokens(&input.grant_tokens)?;
        let found = self.service.find(&input.key_id)?;
        self.authorize(Operation::DescribeKey, &found, Context::default())?;
        Ok(Some(json!({ "KeyMetadata": self.metadata(&found.key) })))
    }

    fn put_key_policy(&self, input: wire::PutKeyPolicy) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize(Operation::PutKeyPolicy, &found, Context::default())?;
        policy_name(input.policy_name)?;
        let bypass = input.bypass_policy_lockout_safety_check;
        let policy = self.read_policy(&input.policy, bypass, &found.key.arn)?;
        self.service.keys()?.put_policy(&found.key, input.policy, policy)?;
        Ok(None)
    }

    fn get_key_policy(&self, input: wire::GetKeyPolicy) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize(Operation::GetKeyPolicy, &found, Context::default())?;
        policy_name(input.policy_name)?;
        Ok(Some(json!({ "Policy": found.key.policy_text, "PolicyName": POLICY_NAME })))
    }

    fn create_alias(&self, input: wire::CreateAlias) -> Answer {
        let name = input.alias_name.as_str();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
        let rest = name.strip_prefix("alias/").filter(|rest| !rest.is_empty());
        if !rest.is_some_and(|rest| rest.chars().all(allowed)) || name.len() > MAX_ALIAS {
            return Err(ApiError::constraint("aliasName", "be alias/ and [a-zA-Z0-9/_-]+"));
        }
        if name.starts_with("alias/aws/") {
            return Err(ApiError::ours("NotAuthorizedException", "alias/aws/ belongs to AWS"));
        }
        let found = self.find_without_alias(&input.target_key_id)?;
        let alias_arn = self.service.keys()?.alias_arn(name);
        self.require_identity_policy(Operation::CreateAlias, &alias_arn)?;
        self.authorize(Operation::CreateAlias, &found, Context::default())?;
        self.service.keys()?.alias(name, &found.key)?;
        Ok(None)
    }

    fn list_grants(&self, input: wire::ListGrants) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize(Operation::ListGrants, &found, Context::default())?;
        if input.marker.is_some() {
            return Err(ApiError::ours("InvalidMarkerException", "no list here has a second page"));
        }
        Ok(Some(json!({ "Grants": [], "Truncated": false })))
    }

    fn encrypt(&self, input: wire::Encrypt) -> Answer {
        no_grant_tokens(&input.grant_tokens)?;
        no_dry_run(input.dry_run)?;
        algorithm(input.encryption_algorithm)?;
        within("plaintext", input.plaintext.0.len(), MAX_PLAINTEXT)?;
        let found = self.service.find(&input.key_id)?;
        let context = describe_encryption_context(&input.encryption_context)?;
        self.authorize(Operation::Encrypt, &found, context)?;
        let sealed = found.key.encrypt(&input.plaintext.0, &input.encryption_context)?;
        Ok(Some(json!({
            "CiphertextBlob": blob(sealed),
            "KeyId": found.key.arn,
            "EncryptionAlgorithm": ALGORITHM,
        })))
    }

    fn decrypt(&self, input: wire::Decrypt) -> Answer {
        no_grant_tokens(&input.grant_tokens)?;
        no_dry_run(input.dry_run)?;
        algorithm(input.encryption_algorithm)?;
        let sealed = input.ciphertext_blob.0;
        within("ciphertextBlob", sealed.len(), MAX_BLOB)?;
        let named = input.key_id.map(|name| self.service.find(&name)).transpose()?;
        let key = self.service.keys()?.of_blob(&sealed)?;
        let found = match named {
            Some(named) if named.key.arn != key.arn => return Err(ApiError::incorrect_key()),
            Some(named) => named,
            None => Found { key, alias: None },
        };
        let attested = self.attest(input.recipient.as_ref())?;
        let mut context = describe_encryption_context(&input.encryption_context)?;
        if let Some(attested) = &attested {
            attested.describe(&mut context);
        }
        self.authorize(Operation::Decrypt, &found, context)?;
        let plaintext = found.key.decrypt(&sealed, &input.encryption_context)?;
        let mut answer = self.deliver(plaintext, attested.as_ref())?;
        answer.insert("KeyId".to_owned(), self.forgery.key_id(&found.key.arn).into());
        answer.insert("EncryptionAlgorithm".to_owned(), ALGORITHM.into());
        Ok(Some(answer.into()))
    }

    fn generate_data_key(&self, input: wire::GenerateDataKey) -> Answer {
        let DataKey { found, plaintext, attested } =
            self.data_key(Operation::GenerateDataKey, &input)?;
        let sealed = found.key.encrypt(&plaintext, &input.encryption_context)?;
        let mut answer = self.deliver(plaintext, attested.as_ref())?;
        answer.insert("CiphertextBlob".to_owned(), blob(sealed));
        answer.insert("KeyId".to_owned(), self.forgery.key_id(&found.key.arn).into());
        Ok(Some(answer.into()))
    }

    fn generate_data_key_without_plaintext(&self, input: wire::GenerateDataKey) -> Answer {
        if input.recipient.is_some() {
            return Err(ApiError::validation("this operation takes no Recipient"));
        }
        let DataKey { found, plaintext, .. } =
            self.data_key(Operation::GenerateDataKeyWithoutPlaintext, &input)?;
        let sealed = found.key.encrypt(&plaintext, &input.encryption_context)?;
        Ok(Some(json!({ "CiphertextBlob": blob(sealed), "KeyId": found.key.arn })))
    }

    fn generate_random(&self, input: wire::GenerateRandom) -> Answer {
        let length = input
            .number_of_bytes
            .ok_or_else(|| ApiError::validation("NumberOfBytes is missing"))?;
        within("numberOfBytes", length, MAX_RANDOM)?;
        let attested = self.attest(input.recipient.as_ref())?;
        self.require_identity_policy(Operation::GenerateRandom, "*")?;
        Ok(Some(self.deliver(random(length)?, attested.as_ref())?.into()))
    }

    /// What both data key operations do up to encrypting the new key.
    fn data_key(
        &self,
        operation: Operation,
        input: &wire::GenerateDataKey,
    ) -> Result<DataKey, ApiError> {
        no_grant_tokens(&input.grant_tokens)?;
        no_dry_run(input.dry_run)?;
        let length = match (input.key_spec.as_deref(), input.number_of_bytes) {
            (Some("AES_256"), None) => 32,
            (Some("AES_128"), None) => 16,
            (Some(_), None) => {
                return Err(ApiError::constraint(
                    "keySpec",
                    "satisfy enum value set: [AES_256, AES_128]",
                ));
            }
            (None, Some(length)) => length,
            (None, None) | (Some(_), Some(_)) => {
                return Err(ApiError::new(
                    "ValidationException",
                    "Please specify either number of bytes or key spec.",
                ));
            }
        };
        within("numberOfBytes", length, MAX_RANDOM)?;
        let found = self.service.find(&input.key_id)?;
        let attested = self.attest(input.recipient.as_ref())?;
        let mut context = describe_encryption_context(&input.encryption_context)?;
        if let Some(attested) = &attested {
            attested.describe(&mut context);
        }
        self.authorize(operation, &found, context)?;
        Ok(DataKey { found, plaintext: random(length)?, attested })
    }

    fn attest(&self, info: Option<&RecipientInfo>) -> Result<Option<Attested>, ApiError> {
        info.map(|info| self.service.attest(info, self.now_ms)).transpose()
    }

    /// The plaintext for a caller without Recipient, its envelope for one with.
    fn deliver(
        &self,
        plaintext: Zeroizing<Vec<u8>>,
        attested: Option<&Attested>,
    ) -> Result<Map<String, Value>, ApiError> {
        let (name, value) = match attested {
            None => ("Plaintext", blob(plaintext)),
            Some(attested) => {
                let plaintext = self.forgery.plaintext(&plaintext);
                let sealed = self.service.seal(plaintext, &attested.recipient)?;
                ("CiphertextForRecipient", blob(sealed))
            }
        };
        Ok(Map::from_iter([(name.to_owned(), value)]))
    }

    /// Asks the key's policy, and for what it leaves to the account, the account's.
    fn authorize(
        &self,
        operation: Operation,
        found: &Found,
        mut context: Context,
    ) -> Result<(), ApiError> {
        if let Some(alias) = &found.alias {
            context.insert("kms:RequestAlias", [alias.as_str()]);
        }
        self.decide(&found.key.policy, operation, &found.key.arn, context)
    }

    fn decide(
        &self,
        policy: &Policy,
        operation: Operation,
        resource: &str,
        mut context: Context,
    ) -> Result<(), ApiError> {
        let caller = self.caller;
        let principal = &caller.principal;
        if let Some(account) = principal.account() {
            context.insert("kms:CallerAccount", [account]);
            context.insert("aws:PrincipalAccount", [account]);
        }
        context.insert("aws:PrincipalArn", [principal.identity()]);
        context.insert("aws:SecureTransport", ["true"]);
        let action = operation.action();
        let request = Request { principal, action: &action, resource, context: &context };
        let same_account = principal.account() == Some(self.service.account());
        let denial = match policy.evaluate(&request) {
            Decision::Allowed(_) if same_account || caller.iam_allows_all => return Ok(()),
            Decision::LeftToAccount(_) if caller.iam_allows_all => return Ok(()),
            Decision::Allowed(_) | Decision::LeftToAccount(_) => Denial::NoIdentityPolicy,
            Decision::ExplicitDeny(_) => Denial::Explicit,
            Decision::NoMatch => Denial::NoKeyPolicy,
        };
        Err(ApiError::access_denied(principal.name(), &action, resource, denial))
    }

    /// For what no key policy decides.
    fn require_identity_policy(
        &self,
        operation: Operation,
        resource: &str,
    ) -> Result<(), ApiError> {
        if self.caller.iam_allows_all {
            return Ok(());
        }
        let (who, action) = (self.caller.principal.name(), operation.action());
        Err(ApiError::access_denied(who, &action, resource, Denial::NoIdentityPolicy))
    }

    /// Reads a policy and refuses one under which the caller could not change it again (KMS
    /// developer guide, key-policy-overview).
    fn read_policy(&self, text: &str, bypass: bool, resource: &str) -> Result<Policy, ApiError> {
        let policy = read_policy(text)?;
        let change = Operation::PutKeyPolicy;
        if !bypass && self.decide(&policy, change, resource, Context::default()).is_err() {
            return Err(ApiError::new(
                "MalformedPolicyDocumentException",
                "The new key policy will not allow you to update the key policy in the future.",
            ));
        }
        Ok(policy)
    }

    fn find_without_alias(&self, name: &str) -> Result<Found, ApiError> {
        let found = self.service.find(name)?;
        match found.alias {
            None => Ok(found),
            Some(_) => Err(ApiError::new("NotFoundException", format!("Invalid keyId '{name}'"))),
        }
    }

    fn metadata(&self, key: &Key) -> Value {
        json!({
            "AWSAccountId": self.service.account(),
            "Arn": key.arn,
            "CreationDate": key.created,
            "CustomerMasterKeySpec": ALGORITHM,
            "Description": key.description,
            "Enabled": true,
            "EncryptionAlgorithms": [ALGORITHM],
            "KeyId": key.id_text(),
            "KeyManager": "CUSTOMER",
            "KeySpec": ALGORITHM,
            "KeyState": "Enabled",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "MultiRegion": false,
            "Origin": "AWS_KMS",
        })
    }
}

/// A policy that this KMS can judge. KMS takes some that this one does not understand.
pub(super) fn read_policy(text: &str) -> Result<Policy, ApiError> {
    Policy::parse(text)
        .map_err(|error| ApiError::ours("MalformedPolicyDocumentException", error.to_string()))
}

/// The condition keys that an encryption context gives (KMS developer guide, "AWS KMS condition
/// keys"). Condition keys know no case, so names that differ in case only are refused.
fn describe_encryption_context(pairs: &EncryptionContext) -> Result<Context, ApiError> {
    let size: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if size > MAX_CONTEXT {
        return Err(ApiError::validation("an encryption context of more than 8192 bytes"));
    }
    let mut context = Context::default();
    let mut seen = BTreeSet::new();
    for (name, value) in pairs {
        if !seen.insert(name.to_lowercase()) {
            return Err(ApiError::validation("encryption context names that differ in case only"));
        }
        context.insert(&format!("kms:EncryptionContext:{name}"), [value.as_str()]);
        context.insert("kms:EncryptionContextKeys", [name.as_str()]);
    }
    Ok(context)
}

fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    rand::fill(&mut bytes).map_err(|_| ApiError::internal())?;
    Ok(bytes)
}

fn within(member: &str, length: usize, most: usize) -> Result<(), ApiError> {
    match length {
        0 => Err(ApiError::constraint(member, "have length greater than or equal to 1")),
        n if n > most => {
            Err(ApiError::constraint(member, &format!("have length less than or equal to {most}")))
        }
        _ => Ok(()),
    }
}

fn algorithm(name: Option<String>) -> Result<(), ApiError> {
    match name.as_deref() {
        None | Some(ALGORITHM) => Ok(()),
        Some(_) => Err(ApiError::ours("InvalidKeyUsageException", "symmetric keys only")),
    }
}

fn policy_name(name: Option<String>) -> Result<(), ApiError> {
    match name.as_deref() {
        None | Some(POLICY_NAME) => Ok(()),
        Some(_) => Err(ApiError::new("NotFoundException", "No such policy exists")),
    }
}

fn no_grant_tokens(tokens: &[String]) -> Result<(), ApiError> {
    if tokens.is_empty() { Ok(()) } else { Err(ApiError::unsupported("there are no grants")) }
}

fn no_dry_run(dry_run: bool) -> Result<(), ApiError> {
    if dry_run { Err(ApiError::unsupported("there is no dry run")) } else { Ok(()) }
}
