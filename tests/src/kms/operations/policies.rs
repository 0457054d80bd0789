//! PutKeyPolicy, GetKeyPolicy, ListKeyPolicies.

use super::authorization::Asked;
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::pages::{Length, Page};
use nitro_signer_shared::key_policy::{Context, Policy};
use serde::Deserialize;
use serde_json::json;

const POLICY_NAME: &str = "default";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct PutKeyPolicy {
    key_id: String,
    policy: String,
    policy_name: Option<String>,
    #[serde(default)]
    bypass_policy_lockout_safety_check: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct GetKeyPolicy {
    key_id: String,
    policy_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListKeyPolicies {
    key_id: String,
    limit: Option<i64>,
    marker: Option<String>,
}

impl Call<'_> {
    pub(super) fn put_key_policy(&self, input: PutKeyPolicy) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        let bypass = input.bypass_policy_lockout_safety_check;
        let asked = Asked::default().with("kms:BypassPolicyLockoutSafetyCheck", bypass.to_string());
        self.authorize("PutKeyPolicy", &found, asked)?;
        policy_name(input.policy_name)?;
        self.check_policy(&input.policy, bypass, &found.key.arn)?;
        self.service.change(|keys| {
            keys.stored(&found.key)?.policy = input.policy;
            Ok(())
        })?;
        Ok(None)
    }

    pub(super) fn get_key_policy(&self, input: GetKeyPolicy) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("GetKeyPolicy", &found, Asked::default())?;
        policy_name(input.policy_name)?;
        Ok(Some(json!({ "Policy": found.key.policy, "PolicyName": POLICY_NAME })))
    }

    /// "Currently, only the policy named default is allowed."
    pub(super) fn list_key_policies(&self, input: ListKeyPolicies) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("ListKeyPolicies", &found, Asked::default())?;
        let page = Page { limit: input.limit, marker: input.marker };
        let items = [(POLICY_NAME.to_owned(), POLICY_NAME.into())];
        Ok(Some(page.of("PolicyNames", items, &Length { usual: 100, most: 1_000 })?.into()))
    }

    /// Refuses a policy under which the caller could not change it again (KMS developer guide,
    /// key-policy-overview).
    pub(super) fn check_policy(
        &self,
        text: &str,
        bypass: bool,
        resource: &str,
    ) -> Result<(), ApiError> {
        let policy = read_policy(text)?;
        let again = || self.decide(&policy, "PutKeyPolicy", resource, Context::default());
        if !bypass && again().is_err() {
            return Err(ApiError::new(
                "MalformedPolicyDocumentException",
                "The new key policy will not allow you to update the key policy in the future.",
            ));
        }
        Ok(())
    }
}

/// A policy that this KMS can judge. KMS takes some that this one does not understand.
pub(in crate::kms) fn read_policy(text: &str) -> Result<Policy, ApiError> {
    Policy::parse(text)
        .map_err(|error| ApiError::ours("MalformedPolicyDocumentException", error.to_string()))
}

fn policy_name(name: Option<String>) -> Result<(), ApiError> {
    match name.as_deref() {
        None | Some(POLICY_NAME) => Ok(()),
        Some(_) => Err(ApiError::new("NotFoundException", "No such policy exists")),
    }
}
