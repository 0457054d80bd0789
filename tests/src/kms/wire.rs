//! How requests and answers are written: JSON objects, bytes in base64.
//!
//! Each operation declares its members beside what it does. A member that is not known is an
//! error: a client that relies on it must not believe it worked.

use super::error::ApiError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Bytes, in base64 on the wire.
pub(super) struct Blob(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(|_| D::Error::custom("not base64"))
    }
}

/// Bytes as a member of an answer.
pub(super) fn blob(bytes: impl AsRef<[u8]>) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// Reads a request's body: an object. (serde would take a list of its values as well.)
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::ours("SerializationException", "the body is not an object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        match text.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
            Some((member, _)) => ApiError::missing(&lower_first(member)),
            None => ApiError::ours("SerializationException", text),
        }
    })
}

/// A member's name as KMS's texts and CloudTrail spell it: `KeyId` is `keyId`.
pub(super) fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
