//! Lists, a page at a time: Limit, Marker, Truncated, NextMarker.

use super::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

const MAX_MARKER: usize = 1_024;

/// What a request says of the page it wants.
pub(super) struct Page {
    pub(super) limit: Option<i64>,
    pub(super) marker: Option<String>,
}

/// How long the pages of one operation are.
pub(super) struct Length {
    pub(super) usual: usize,
    pub(super) most: usize,
}

impl Page {
    /// The page of a list whose items stand by the names that order them; a marker names the last
    /// item of the page before, so that a list may change between two pages.
    pub(super) fn of(
        self,
        list: &str,
        items: impl IntoIterator<Item = (String, Value)>,
        length: &Length,
    ) -> Result<Map<String, Value>, ApiError> {
        let limit = self.limit(length)?;
        let after = self.marker.as_deref().map(|marker| read_marker(list, marker)).transpose()?;
        let mut items: Vec<(String, Value)> = items.into_iter().collect();
        items.sort_by(|one, other| one.0.cmp(&other.0));
        items.retain(|(name, _)| after.as_ref().is_none_or(|after| name > after));
        let truncated = items.len() > limit;
        items.truncate(limit);
        let mut answer = Map::new();
        if truncated && let Some((name, _)) = items.last() {
            answer
                .insert("NextMarker".to_owned(), STANDARD.encode(format!("{list}\n{name}")).into());
        }
        answer.insert("Truncated".to_owned(), truncated.into());
        let values: Vec<Value> = items.into_iter().map(|(_, value)| value).collect();
        answer.insert(list.to_owned(), values.into());
        Ok(answer)
    }

    fn limit(&self, length: &Length) -> Result<usize, ApiError> {
        let Some(limit) = self.limit else { return Ok(length.usual) };
        match usize::try_from(limit) {
            Ok(0) | Err(_) => {
                Err(ApiError::constraint("limit", "have value greater than or equal to 1"))
            }
            Ok(limit) if limit > length.most => Err(ApiError::constraint(
                "limit",
                &format!("have value less than or equal to {}", length.most),
            )),
            Ok(limit) => Ok(limit),
        }
    }
}

fn read_marker(list: &str, marker: &str) -> Result<String, ApiError> {
    let bytes = if marker.len() > MAX_MARKER { None } else { STANDARD.decode(marker).ok() };
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix(&format!("{list}\n")).map(str::to_owned))
        .ok_or_else(|| ApiError::ours("InvalidMarkerException", "not a marker of this list"))
}
