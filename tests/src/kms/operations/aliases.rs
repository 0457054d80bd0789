//! CreateAlias, UpdateAlias, DeleteAlias, ListAliases.

use super::authorization::Asked;
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::key::seconds;
use crate::kms::pages::{Length, Page};
use serde::Deserialize;
use serde_json::json;

const MAX_ALIAS: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TargetedAlias {
    alias_name: String,
    target_key_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct DeleteAlias {
    alias_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListAliases {
    key_id: Option<String>,
    limit: Option<i64>,
    marker: Option<String>,
}

impl Call<'_> {
    pub(super) fn create_alias(&self, input: TargetedAlias) -> Answer {
        let name = input.alias_name.as_str();
        check_name(name)?;
        let found = self.find_without_alias(&input.target_key_id)?;
        let alias_arn = self.service.keys()?.alias_arn(self.region, name);
        self.require_identity_policy("CreateAlias", &alias_arn)?;
        self.authorize("CreateAlias", &found, Asked::default())?;
        found.key.require_not_deleting()?;
        self.service.change(|keys| keys.alias(name, &found.key, self.now_ms))?;
        Ok(None)
    }

    /// Needs permission on the alias, on the key it names and on the key it is to name.
    pub(super) fn update_alias(&self, input: TargetedAlias) -> Answer {
        let name = input.alias_name.as_str();
        check_name(name)?;
        let before = self.find(name)?;
        let after = self.find_without_alias(&input.target_key_id)?;
        let alias_arn = self.service.keys()?.alias_arn(self.region, name);
        self.require_identity_policy("UpdateAlias", &alias_arn)?;
        self.authorize("UpdateAlias", &before, Asked::default())?;
        self.authorize("UpdateAlias", &after, Asked::default())?;
        if before.key.usage() != after.key.usage() || before.key.signs() != after.key.signs() {
            return Err(ApiError::validation("both keys of an alias have the same use"));
        }
        after.key.require_not_deleting()?;
        self.service.change(|keys| keys.point(name, &after.key, self.now_ms))?;
        Ok(None)
    }

    pub(super) fn delete_alias(&self, input: DeleteAlias) -> Answer {
        let name = input.alias_name.as_str();
        check_name(name)?;
        let found = self.find(name)?;
        let alias_arn = self.service.keys()?.alias_arn(self.region, name);
        self.require_identity_policy("DeleteAlias", &alias_arn)?;
        self.authorize("DeleteAlias", &found, Asked::default())?;
        self.service.change(|keys| keys.forget_alias(self.region, name))?;
        Ok(None)
    }

    /// AWS lists its own aliases, `alias/aws/…`, too; there are none here.
    pub(super) fn list_aliases(&self, input: ListAliases) -> Answer {
        self.require_identity_policy("ListAliases", "*")?;
        let of = input.key_id.map(|name| self.find_without_alias(&name)).transpose()?;
        let of = of.map(|found| found.key.id);
        let keys = self.service.keys()?;
        let items = keys
            .aliases(self.region)
            .into_iter()
            .filter(|(_, alias)| of.is_none_or(|of| of == alias.target))
            .map(|(name, alias)| {
                let entry = json!({
                    "AliasName": name,
                    "AliasArn": keys.alias_arn(self.region, &name),
                    "TargetKeyId": alias.target.to_string(),
                    "CreationDate": seconds(alias.created_ms),
                    "LastUpdatedDate": seconds(alias.updated_ms),
                });
                (name, entry)
            });
        let page = Page { limit: input.limit, marker: input.marker };
        Ok(Some(page.of("Aliases", items, &Length { usual: 50, most: 100 })?.into()))
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-');
    let rest = name.strip_prefix("alias/").filter(|rest| !rest.is_empty());
    if !rest.is_some_and(|rest| rest.chars().all(allowed)) || name.len() > MAX_ALIAS {
        return Err(ApiError::constraint("aliasName", "be alias/ and [a-zA-Z0-9/_-]+"));
    }
    if name.starts_with("alias/aws/") {
        return Err(ApiError::ours("NotAuthorizedException", "alias/aws/ belongs to AWS"));
    }
    Ok(())
}
