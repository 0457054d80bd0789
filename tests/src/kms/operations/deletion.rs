//! ScheduleKeyDeletion and CancelKeyDeletion.

use super::authorization::Asked;
use super::keys::OneKey;
use super::{Answer, Call};
use crate::kms::error::ApiError;
use crate::kms::key::{DAY_MS, Deletion, Key, State, seconds};
use crate::kms::keys::Keys;
use serde::Deserialize;
use serde_json::json;

/// "a value between 7 and 30, inclusive. If you do not include a value, it defaults to 30."
const WINDOW_DAYS: std::ops::RangeInclusive<i64> = 7..=30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ScheduleKeyDeletion {
    key_id: String,
    pending_window_in_days: Option<i64>,
}

impl Call<'_> {
    pub(super) fn schedule_key_deletion(&self, input: ScheduleKeyDeletion) -> Answer {
        let days = input.pending_window_in_days.unwrap_or(30);
        let found = self.find_without_alias(&input.key_id)?;
        let window = "kms:ScheduleKeyDeletionPendingWindowInDays";
        let asked = Asked::default().with(window, days.to_string());
        self.authorize("ScheduleKeyDeletion", &found, asked)?;
        let days = u64::try_from(days)
            .ok()
            .filter(|_| WINDOW_DAYS.contains(&days))
            .ok_or_else(|| ApiError::validation("PendingWindowInDays is between 7 and 30"))?;
        let key = found.key;
        key.require_not_deleting()?;
        let deletion = self.service.change(|keys| {
            let deletion = self.deletion(keys, &key, days);
            keys.stored(&key)?.deletion = Some(deletion);
            Ok(deletion)
        })?;
        let mut answer = json!({ "KeyId": key.arn, "PendingWindowInDays": days });
        match deletion {
            Deletion::At { ms } => {
                answer["KeyState"] = State::PendingDeletion.name().into();
                answer["DeletionDate"] = seconds(ms);
            }
            // "the waiting period … begins when the last of its replica keys is deleted"
            Deletion::AfterReplicas { .. } => {
                answer["KeyState"] = State::PendingReplicaDeletion.name().into();
            }
        }
        Ok(Some(answer))
    }

    fn deletion(&self, keys: &Keys, key: &Key, days: u64) -> Deletion {
        let primary = key.primary_region.is_some() && !key.is_replica();
        match primary && keys.related(key.id).len() > 1 {
            true => Deletion::AfterReplicas { days },
            false => Deletion::At { ms: self.now_ms + days * DAY_MS },
        }
    }

    /// "If this operation succeeds, the key state of the KMS key is Disabled."
    pub(super) fn cancel_key_deletion(&self, input: OneKey) -> Answer {
        let found = self.find_without_alias(&input.key_id)?;
        self.authorize("CancelKeyDeletion", &found, Asked::default())?;
        let key = found.key;
        if key.deletion.is_none() {
            return Err(ApiError::state(&key.arn, "is not pending deletion."));
        }
        self.service.change(|keys| {
            let key = keys.stored(&key)?;
            key.deletion = None;
            key.disabled = true;
            Ok(())
        })?;
        Ok(Some(json!({ "KeyId": key.arn })))
    }
}
