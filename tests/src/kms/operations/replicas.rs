//! ReplicateKey: the same key in another region, under a policy of its own.

use super::authorization::Asked;
use super::keys::{description, metadata};
use super::tags::{Tag, read_tags};
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::keys::NewKey;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ReplicateKey {
    key_id: String,
    replica_region: String,
    policy: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    bypass_policy_lockout_safety_check: bool,
}

impl Call<'_> {
    /// Needs kms:ReplicateKey on the primary key, and kms:CreateKey in the replica's region.
    pub(super) fn replicate_key(&self, input: ReplicateKey) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        let region = input.replica_region.as_str();
        let asked = Asked::default().with("kms:ReplicaRegion", region);
        self.authorize("ReplicateKey", &found, asked)?;
        self.require_identity_policy("CreateKey", "*")?;
        let primary = found.key;
        if primary.primary_region.as_deref() != Some(self.region) {
            return Err(ApiError::unsupported("only a multi-region primary key is replicated"));
        }
        if region == self.region || !self.service.keys()?.serves(region) {
            return Err(ApiError::validation(format!(
                "{region:?} is not another region served here"
            )));
        }
        primary.require_not_deleting()?;
        if primary.disabled {
            return Err(ApiError::disabled(&primary.arn));
        }
        let tags = read_tags(input.tags)?;
        let policy = input.policy.unwrap_or_else(|| self.service.default_policy());
        self.check_policy(&policy, input.bypass_policy_lockout_safety_check, "*")?;
        let listed: Vec<Value> =
            tags.iter().map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect();
        let new = NewKey {
            description: description(input.description.unwrap_or_default())?,
            policy: policy.clone(),
            origin: primary.origin,
            curve: None,
            multi_region: true,
            tags,
        };
        let metadata = self.service.change(|keys| {
            let replica = keys.replicate(&primary, region, new, self.now_ms)?.clone();
            Ok(metadata(keys, &replica))
        })?;
        Ok(Some(json!({
            "ReplicaKeyMetadata": metadata, "ReplicaPolicy": policy, "ReplicaTags": listed,
        })))
    }
}
