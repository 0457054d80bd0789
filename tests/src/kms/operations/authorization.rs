//! Who may: the key policy, then grants, then what the key policy leaves to the account's IAM.

use super::Call;
use crate::kms::error::{ApiError, Denial};
use crate::kms::grants::{self, Terms};
use crate::kms::key::Key;
use crate::kms::keys::Found;
use crate::kms::material::EncryptionContext;
use nitro_signer_shared::key_policy::{Context, Decision, Policy, Request};

/// What a request says of itself, beside who asks for what.
#[derive(Default)]
pub(super) struct Asked<'a> {
    /// Condition keys of its own.
    pub(super) conditions: Context,
    pub(super) encryption_context: Option<&'a EncryptionContext>,
    /// The grant that CreateGrant would make.
    pub(super) new_grant: Option<&'a Terms>,
}

impl Asked<'_> {
    /// The same with a condition key.
    pub(super) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.conditions.insert(key, [value]);
        self
    }
}

impl Call<'_> {
    /// Asks the key's policy, its grants, and for what the policy leaves to the account, the
    /// account's.
    pub(super) fn authorize(
        &self,
        operation: &str,
        found: &Found,
        asked: Asked<'_>,
    ) -> Result<(), ApiError> {
        let key = &found.key;
        let none = EncryptionContext::new();
        let request = grants::Asked {
            operation,
            encryption_context: asked.encryption_context.unwrap_or(&none),
            new_grant: asked.new_grant,
        };
        let denial = match self.ask_policies(operation, found, asked.conditions)? {
            Ok(()) => return Ok(()),
            Err(denial) => denial,
        };
        let granted = || key.grants.iter().any(|grant| grant.allows(self.caller, &request));
        if denial != Denial::Explicit && granted() {
            return Ok(());
        }
        Err(self.denied(operation, &key.arn, denial))
    }

    /// What the key's policy and the account's IAM policies say, grants apart.
    pub(super) fn ask_policies(
        &self,
        operation: &str,
        found: &Found,
        mut context: Context,
    ) -> Result<Result<(), Denial>, ApiError> {
        if let Some(alias) = &found.alias {
            context.insert("kms:RequestAlias", [alias.as_str()]);
        }
        describe_key(&found.key, &mut context);
        let policy = super::read_policy(&found.key.policy)?;
        Ok(self.decide(&policy, operation, &found.key.arn, context))
    }

    /// What one policy and the account's IAM policies say.
    pub(super) fn decide(
        &self,
        policy: &Policy,
        operation: &str,
        resource: &str,
        mut context: Context,
    ) -> Result<(), Denial> {
        let caller = self.caller;
        let principal = &caller.principal;
        if let Some(account) = principal.account() {
            context.insert("kms:CallerAccount", [account]);
            context.insert("aws:PrincipalAccount", [account]);
        }
        context.insert("aws:PrincipalArn", [principal.identity()]);
        context.insert("aws:SecureTransport", ["true"]);
        context.insert("aws:RequestedRegion", [self.region]);
        if let Some(present) = self.service.multi_factor(caller) {
            context.insert("aws:MultiFactorAuthPresent", [present.to_string()]);
        }
        let action = format!("kms:{operation}");
        let request = Request { principal, action: &action, resource, context: &context };
        let same_account = principal.account() == Some(self.service.account());
        match policy.evaluate(&request) {
            Decision::Allowed(_) if same_account || caller.iam_allows_all => Ok(()),
            Decision::LeftToAccount(_) if caller.iam_allows_all => Ok(()),
            Decision::Allowed(_) | Decision::LeftToAccount(_) => Err(Denial::NoIdentityPolicy),
            Decision::ExplicitDeny(_) => Err(Denial::Explicit),
            Decision::NoMatch => Err(Denial::NoKeyPolicy),
        }
    }

    /// For what no key policy decides.
    pub(super) fn require_identity_policy(
        &self,
        operation: &str,
        resource: &str,
    ) -> Result<(), ApiError> {
        if self.caller.iam_allows_all {
            return Ok(());
        }
        Err(self.denied(operation, resource, Denial::NoIdentityPolicy))
    }

    pub(super) fn denied(&self, operation: &str, resource: &str, denial: Denial) -> ApiError {
        let (who, action) = (self.caller.principal.name(), format!("kms:{operation}"));
        ApiError::access_denied(who, &action, resource, denial)
    }
}

/// The condition keys that the key itself gives.
fn describe_key(key: &Key, context: &mut Context) {
    context.insert("kms:KeySpec", [key.spec()]);
    context.insert("kms:KeyUsage", [key.usage()]);
    context.insert("kms:KeyOrigin", [key.origin.name()]);
    context.insert("kms:MultiRegion", [key.primary_region.is_some().to_string()]);
    if key.primary_region.is_some() {
        let kind = if key.is_replica() { "REPLICA" } else { "PRIMARY" };
        context.insert("kms:MultiRegionKeyType", [kind]);
    }
    for (name, value) in &key.tags {
        context.insert(&format!("aws:ResourceTag/{name}"), [value.as_str()]);
    }
}
