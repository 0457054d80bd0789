//! TagResource, UntagResource, ListResourceTags.

use super::authorization::Asked;
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::pages::{Length, Page};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// Of one key (KMS developer guide, "Tags in AWS KMS").
const MAX_TAGS: usize = 50;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 256;

/// A tag, as requests and answers have it.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct Tag {
    tag_key: String,
    tag_value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct TagResource {
    key_id: String,
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct UntagResource {
    key_id: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListResourceTags {
    key_id: String,
    limit: Option<i64>,
    marker: Option<String>,
}

impl Call<'_> {
    pub(super) fn tag_resource(&self, input: TagResource) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        let tags = read_tags(input.tags)?;
        self.authorize("TagResource", &found, asked(&tags))?;
        found.key.require_not_deleting()?;
        self.service.change(|keys| {
            let key = keys.stored(&found.key)?;
            let mut all = key.tags.clone();
            all.extend(tags);
            if all.len() > MAX_TAGS {
                return Err(ApiError::limit("a key has at most 50 tags"));
            }
            key.tags = all;
            Ok(())
        })?;
        Ok(None)
    }

    pub(super) fn untag_resource(&self, input: UntagResource) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        let mut asked = Asked::default();
        asked.conditions.insert("aws:TagKeys", input.tag_keys.clone());
        self.authorize("UntagResource", &found, asked)?;
        found.key.require_not_deleting()?;
        self.service.change(|keys| {
            let tags = &mut keys.stored(&found.key)?.tags;
            tags.retain(|name, _| !input.tag_keys.contains(name));
            Ok(())
        })?;
        Ok(None)
    }

    pub(super) fn list_resource_tags(&self, input: ListResourceTags) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("ListResourceTags", &found, Asked::default())?;
        let items = found.key.tags.into_iter().map(|(tag_key, tag_value)| {
            (tag_key.clone(), json!({ "TagKey": tag_key, "TagValue": tag_value }))
        });
        let page = Page { limit: input.limit, marker: input.marker };
        Ok(Some(page.of("Tags", items, &Length { usual: 50, most: 50 })?.into()))
    }
}

fn asked(tags: &BTreeMap<String, String>) -> Asked<'static> {
    let mut asked = Asked::default();
    asked.conditions.insert("aws:TagKeys", tags.keys().cloned());
    for (name, value) in tags {
        asked.conditions.insert(&format!("aws:RequestTag/{name}"), [value.as_str()]);
    }
    asked
}

/// The tags of a request, each name once.
pub(super) fn read_tags(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, ApiError> {
    let refuse = |text: &str| Err(ApiError::ours("TagException", text));
    if tags.len() > MAX_TAGS {
        return Err(ApiError::limit("a key has at most 50 tags"));
    }
    let mut read = BTreeMap::new();
    for Tag { tag_key, tag_value } in tags {
        if tag_key.is_empty() || tag_key.chars().count() > MAX_NAME {
            return refuse("a tag's name has 1 to 128 characters");
        }
        if tag_value.chars().count() > MAX_VALUE {
            return refuse("a tag's value has at most 256 characters");
        }
        if tag_key.to_ascii_lowercase().starts_with("aws:") {
            return refuse("names that begin with aws: belong to AWS");
        }
        if read.insert(tag_key, tag_value).is_some() {
            return refuse("a name comes twice");
        }
    }
    Ok(read)
}
