//! What the builder of an image wrote down about it. Nothing here is measured: it is for people,
//! and no decision may hang on it.

use super::EifError;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The content of the metadata section, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// The image's name.
    pub image_name: String,
    /// The image's version.
    pub image_version: String,
    /// How it was built.
    pub build_metadata: BuildMetadata,
    /// What `docker image inspect` printed of the image it was built from; empty without one.
    pub docker_info: Value,
    /// Whatever else the builder put in.
    #[serde(default)]
    pub custom_metadata: Value,
}

/// How an image was built.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BuildMetadata {
    /// When; nitro-cli writes RFC 3339.
    pub build_time: String,
    /// By which program.
    pub build_tool: String,
    /// By which version of it.
    pub build_tool_version: String,
    /// The system in the image.
    pub operating_system: String,
    /// Its kernel's version.
    pub kernel_version: String,
}

impl Default for Metadata {
    /// Empty, in the form that nitro-cli's own reader takes.
    fn default() -> Self {
        let empty = || Value::Object(serde_json::Map::new());
        Self {
            image_name: String::new(),
            image_version: String::new(),
            build_metadata: BuildMetadata::default(),
            docker_info: empty(),
            custom_metadata: empty(),
        }
    }
}

impl Metadata {
    pub(super) fn parse(json: &[u8]) -> Result<Self, EifError> {
        serde_json::from_slice(json).map_err(|error| EifError::Metadata(error.to_string()))
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and JSON values always encode")
    }
}
