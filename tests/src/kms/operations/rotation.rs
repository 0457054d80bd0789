//! EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand,
//! ListKeyRotations. Their answers name the key by its id, as AWS's examples do.

use super::authorization::Asked;
use super::keys::OneKey;
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::key::{DAY_MS, Key, Origin, Schedule, seconds};
use crate::kms::keys::Found;
use crate::kms::material::{MAX_ON_DEMAND, Rotation, Version};
use crate::kms::pages::{Length, Page};
use serde::Deserialize;
use serde_json::{Value, json};

const PERIOD_DAYS: std::ops::RangeInclusive<i64> = 90..=2_560;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct EnableKeyRotation {
    key_id: String,
    rotation_period_in_days: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ListKeyRotations {
    key_id: String,
    limit: Option<i64>,
    marker: Option<String>,
    include_key_material: Option<String>,
}

impl Call<'_> {
    pub(super) fn enable_key_rotation(&self, input: EnableKeyRotation) -> Answer {
        let days = input.rotation_period_in_days.unwrap_or(365);
        let period = u64::try_from(days).ok().filter(|_| PERIOD_DAYS.contains(&days));
        let period_days = period.ok_or_else(|| {
            let bound = if days < 90 {
                "greater than or equal to 90"
            } else {
                "less than or equal to 2560"
            };
            ApiError::constraint("rotationPeriodInDays", &format!("have value {bound}"))
        })?;
        let found = self.find_without_alias(&input.key_id)?;
        let asked = Asked::default().with("kms:RotationPeriodInDays", days.to_string());
        self.authorize("EnableKeyRotation", &found, asked)?;
        self.require_rotatable(&found)?;
        let next_ms = self.now_ms + period_days * DAY_MS;
        self.set_schedule(&found.key, Some(Schedule { period_days, next_ms }))
    }

    pub(super) fn disable_key_rotation(&self, input: OneKey) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("DisableKeyRotation", &found, Asked::default())?;
        self.require_rotatable(&found)?;
        self.set_schedule(&found.key, None)
    }

    fn set_schedule(&self, key: &Key, schedule: Option<Schedule>) -> Answer {
        self.service.change(|keys| {
            keys.stored(key)?.schedule = schedule;
            Ok(())
        })?;
        Ok(None)
    }

    pub(super) fn get_key_rotation_status(&self, input: OneKey) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("GetKeyRotationStatus", &found, Asked::default())?;
        let key = found.key;
        require_symmetric(&key)?;
        let primary = match &key.primary_region {
            Some(region) => self.service.keys()?.find(region, &key.id.to_string())?.key,
            None => key.clone(),
        };
        let mut answer = json!({ "KeyId": key.id.to_string(), "KeyRotationEnabled": primary.schedule.is_some() });
        if let Some(schedule) = primary.schedule {
            answer["RotationPeriodInDays"] = schedule.period_days.into();
            answer["NextRotationDate"] = seconds(schedule.next_ms);
        }
        Ok(Some(answer))
    }

    /// The new material is in use when the call is answered; KMS takes a while.
    pub(super) fn rotate_key_on_demand(&self, input: OneKey) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("RotateKeyOnDemand", &found, Asked::default())?;
        self.require_rotatable(&found)?;
        let key = found.key;
        let on_demand = |version: &&Version| version.rotation == Some(Rotation::OnDemand);
        let versions = key.symmetric("RotateKeyOnDemand")?.all();
        if versions.iter().filter(on_demand).count() >= MAX_ON_DEMAND {
            return Err(ApiError::limit("a key is rotated on demand 25 times at most"));
        }
        self.service.change(|keys| keys.rotate(&key, self.now_ms, Rotation::OnDemand))?;
        Ok(Some(json!({ "KeyId": key.id.to_string() })))
    }

    pub(super) fn list_key_rotations(&self, input: ListKeyRotations) -> Answer {
        let all = match input.include_key_material.as_deref() {
            None | Some("ROTATIONS_ONLY") => false,
            Some("ALL_KEY_MATERIAL") => true,
            Some(_) => {
                let set = "satisfy enum value set: [ALL_KEY_MATERIAL, ROTATIONS_ONLY]";
                return Err(ApiError::constraint("includeKeyMaterial", set));
            }
        };
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("ListKeyRotations", &found, Asked::default())?;
        require_symmetric(&found.key)?;
        let versions = found.key.symmetric("ListKeyRotations")?.all();
        let last = versions.len().saturating_sub(1);
        let items = versions
            .iter()
            .enumerate()
            .filter(|(_, v)| all || v.rotation.is_some())
            .map(|(at, version)| (format!("{at:020}"), entry(&found.key, version, at == last)));
        let page = Page { limit: input.limit, marker: input.marker };
        Ok(Some(page.of("Rotations", items, &Length { usual: 100, most: 1_000 })?.into()))
    }

    /// Enabled, symmetric, of our own material, and not a replica: "You cannot … rotate … replica
    /// keys", whose material comes from their primary key.
    fn require_rotatable(&self, found: &Found) -> Result<(), ApiError> {
        let key = &found.key;
        require_symmetric(key)?;
        if key.origin == Origin::External {
            let text =
                format!("{} origin is EXTERNAL which is not valid for this operation.", key.arn);
            return Err(ApiError::new("UnsupportedOperationException", text));
        }
        if key.is_replica() {
            return Err(ApiError::unsupported("a replica follows its primary key"));
        }
        key.require_enabled()
    }
}

fn require_symmetric(key: &Key) -> Result<(), ApiError> {
    if key.signs() {
        return Err(ApiError::unsupported(format!("{} is not symmetric", key.arn)));
    }
    Ok(())
}

fn entry(key: &Key, version: &Version, current: bool) -> Value {
    let mut entry = json!({
        "KeyId": key.id.to_string(),
        "KeyMaterialId": version.id,
        "KeyMaterialState": if current { "CURRENT" } else { "NON_CURRENT" },
    });
    if let Some(rotation) = version.rotation {
        entry["RotationDate"] = seconds(version.since_ms);
        entry["RotationType"] = rotation.name().into();
    }
    entry
}
