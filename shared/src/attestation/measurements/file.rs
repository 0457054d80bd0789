//! Measurements files: the images that a verifier takes, and until when.
//!
//! Three forms are read: what `nitro-cli build-enclave` (and `sign-eif`) prints, what
//! `nitro-cli describe-eif` prints, and our own, which lists several images:
//!
//! ```json
//! { "images": [ {
//!     "Measurements": { "HashAlgorithm": "Sha384 { ... }", "PCR0": "…", "PCR1": "…", "PCR2": "…" },
//!     "version": "0.1.0",
//!     "builder": "nitro-cli build-enclave",
//!     "eif_sha384": "…",
//!     "not_after": "2027-01-01T00:00:00Z",
//!     "revoked": "why",
//!     "toolchain": { "rustc": "1.95.0" }
//! } ] }
//! ```
//!
//! All but `Measurements` may be left out. Whoever writes such a file decides what is trusted, so
//! it must come from somewhere else than the appliance it judges.
//!
//! Source of nitro-cli's forms: its `EnclaveBuildInfo` and `EifDescribeInfo` (aws-nitro-enclaves-cli,
//! `src/common/json_output.rs`).

use super::{MeasurementSet, MeasurementsError, sha384};
use crate::json::{self, FieldError, Object, Value};
use crate::utc;
use serde::Serialize;
use std::collections::BTreeMap;

/// The longest file, in bytes: 64 images take some 40,000, and what `describe-eif` prints of a
/// container's history some thousands.
pub const MAX_FILE: usize = 65_536;
/// The most images in one file: an upgrade has two, and archives some more.
pub const MAX_IMAGES: usize = 64;
/// The longest text about an image, in bytes: it is shown in one line.
const MAX_TEXT: usize = 256;
/// The most tools named for one image.
const MAX_TOOLS: usize = 32;

/// One image of a file: its measurements, and what is known of it beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageMeasurements {
    /// The registers, matched whole.
    pub set: MeasurementSet,
    /// The image's version, as its builder calls it.
    pub version: Option<String>,
    /// What built it.
    pub builder: Option<String>,
    /// SHA-384 of the image's file.
    pub eif_sha384: Option<[u8; 48]>,
    /// Until when it is to be trusted, in milliseconds of Unix time; written to the second.
    pub not_after_ms: Option<u64>,
    /// Why it is not to be trusted any more.
    pub revoked: Option<String>,
    /// What it was built with: versions or digests by name.
    pub toolchain: BTreeMap<String, String>,
}

/// Why a listed image is not to be trusted at a time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCurrent {
    /// It is revoked, for this reason.
    #[error("the image is revoked: {0}")]
    Revoked(String),
    /// Its time is over, by this many milliseconds of Unix time.
    #[error("the image was to be trusted until {}", utc::format_ms(*.0))]
    Over(u64),
}

impl From<MeasurementSet> for ImageMeasurements {
    /// An image of which nothing else is known: trusted until somebody says otherwise.
    fn from(set: MeasurementSet) -> Self {
        Self {
            set,
            version: None,
            builder: None,
            eif_sha384: None,
            not_after_ms: None,
            revoked: None,
            toolchain: BTreeMap::new(),
        }
    }
}

impl ImageMeasurements {
    /// That the image is to be trusted at `at_ms` (milliseconds of Unix time).
    ///
    /// # Errors
    /// [`NotCurrent`] if it is revoked, at whatever time, or its time is over.
    pub fn require_current(&self, at_ms: u64) -> Result<(), NotCurrent> {
        match (&self.revoked, self.not_after_ms) {
            (Some(reason), _) => Err(NotCurrent::Revoked(reason.clone())),
            (None, Some(end)) if at_ms > end => Err(NotCurrent::Over(end)),
            _ => Ok(()),
        }
    }

    fn require_texts(&self) -> Result<(), FieldError> {
        let named =
            [("version", &self.version), ("builder", &self.builder), ("revoked", &self.revoked)];
        for (name, text) in named.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
            require_text(name, text)?;
        }
        if self.toolchain.len() > MAX_TOOLS {
            return Err(FieldError(format!("toolchain has more than {MAX_TOOLS} entries")));
        }
        let tools = self.toolchain.iter().flat_map(|(name, version)| [name, version]);
        tools.into_iter().try_for_each(|text| require_text("toolchain", text))
    }
}

/// The images that a verifier takes: 1 to [`MAX_IMAGES`], no two of which are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasurementsFile {
    images: Vec<ImageMeasurements>,
}

impl MeasurementsFile {
    /// The file of these images.
    ///
    /// # Errors
    /// [`MeasurementsError`] if there are none or too many, if one pins only what another pins
    /// too (which of the two matched would then be anybody's choice, and with it whether it is
    /// revoked), if a text is empty, longer than 256 bytes or has control characters, or if the
    /// whole is longer than [`MAX_FILE`].
    pub fn new(images: Vec<ImageMeasurements>) -> Result<Self, MeasurementsError> {
        let file = Self::checked(images)?;
        match file.to_json().len() {
            0..=MAX_FILE => Ok(file),
            length => Err(MeasurementsError::TooLarge(length)),
        }
    }

    fn checked(images: Vec<ImageMeasurements>) -> Result<Self, MeasurementsError> {
        if !(1..=MAX_IMAGES).contains(&images.len()) {
            return Err(MeasurementsError::Count(images.len()));
        }
        for (index, image) in images.iter().enumerate() {
            image.require_texts()?;
            let same = |other: &ImageMeasurements| {
                other.set.contains(&image.set) || image.set.contains(&other.set)
            };
            if let Some(before) = images[..index].iter().position(same) {
                return Err(MeasurementsError::Same(before, index));
            }
        }
        Ok(Self { images })
    }

    /// Reads a file in any of the three forms.
    ///
    /// # Errors
    /// [`MeasurementsError`] for anything else: more than [`MAX_FILE`] bytes, a key twice or
    /// unknown, no image, a register missing, of another length or zero, and whatever
    /// [`Self::new`] refuses; and if `describe-eif` found the checksum or the signature wrong.
    pub fn from_json(json: &[u8]) -> Result<Self, MeasurementsError> {
        let mut file = object(json)?;
        let Some(images) = file.take("images") else {
            return Self::checked(vec![nitro_cli(file)?]);
        };
        file.finish()?;
        let images = images.array("images")?;
        if images.len() > MAX_IMAGES {
            return Err(MeasurementsError::Count(images.len()));
        }
        Self::checked(images.into_iter().map(image).collect::<Result<_, _>>()?)
    }

    /// Writes our own form.
    #[must_use]
    pub fn to_json(&self) -> String {
        let images = self.images.iter().map(Written::from).collect();
        serde_json::to_string_pretty(&WrittenFile { images }).expect("texts always encode")
    }

    /// The images, in the file's order.
    #[must_use]
    pub fn images(&self) -> &[ImageMeasurements] {
        &self.images
    }

    /// The images, in the file's order.
    #[must_use]
    pub fn into_images(self) -> Vec<ImageMeasurements> {
        self.images
    }
}

/// The one object that a file is.
pub(super) fn object(json: &[u8]) -> Result<Object, MeasurementsError> {
    if json.len() > MAX_FILE {
        return Err(MeasurementsError::TooLarge(json.len()));
    }
    let value = json::read(json).map_err(|e| MeasurementsError::Format(e.detail))?;
    Ok(value.object("a file of measurements")?)
}

/// The one image that nitro-cli prints.
pub(super) fn nitro_cli(mut file: Object) -> Result<ImageMeasurements, MeasurementsError> {
    if file.has("EifVersion") {
        return described(file);
    }
    let set = measurements(&mut file)?;
    file.finish()?;
    Ok(set.into())
}

/// As `describe-eif` prints it. The image's name and metadata are for people and not measured;
/// what is in them beside the builder is not looked at.
fn described(mut file: Object) -> Result<ImageMeasurements, MeasurementsError> {
    file.require("EifVersion")?.integer("EifVersion")?;
    let set = measurements(&mut file)?;
    let is_signed = boolean(file.require("IsSigned")?, "IsSigned")?;
    let certificate = file.take("SigningCertificate").map(|c| c.object("SigningCertificate"));
    let has_certificate = certificate.transpose()?.is_some();
    let check = file.take("SignatureCheck").map(|check| boolean(check, "SignatureCheck"));
    let signature = check.transpose()?;
    if !boolean(file.require("CheckCRC")?, "CheckCRC")? {
        return Err(MeasurementsError::Unsound("checksum (CheckCRC)"));
    }
    if signature == Some(false) {
        return Err(MeasurementsError::Unsound("signature (SignatureCheck)"));
    }
    let pinned = set.pcrs().contains_key(&8);
    if [has_certificate, signature.is_some(), pinned] != [is_signed; 3] {
        let message = "IsSigned, SigningCertificate, SignatureCheck and PCR8 do not go together";
        return Err(MeasurementsError::Format(message.to_owned()));
    }
    if let Some(name) = file.take("ImageName") {
        name.string("ImageName")?;
    }
    let version = file.take("ImageVersion").map(|version| version.string("ImageVersion"));
    let metadata = file.take("Metadata").map(|metadata| metadata.object("Metadata"));
    file.finish()?;
    let builder = metadata.transpose()?.map(builder).transpose()?;
    Ok(ImageMeasurements { version: version.transpose()?, builder, ..set.into() })
}

fn builder(mut metadata: Object) -> Result<String, FieldError> {
    let tool = metadata.require("BuildTool")?.string("BuildTool")?;
    let version = metadata.require("BuildToolVersion")?.string("BuildToolVersion")?;
    Ok(format!("{tool} {version}"))
}

/// One image of our own form.
fn image(value: Value) -> Result<ImageMeasurements, MeasurementsError> {
    let mut image = value.object("an image")?;
    let set = measurements(&mut image)?;
    let mut text = |name| image.take(name).map(|value| value.string(name)).transpose();
    let (version, builder, revoked) = (text("version")?, text("builder")?, text("revoked")?);
    let eif_sha384 = text("eif_sha384")?.map(|digits| sha384(digits, "eif_sha384")).transpose()?;
    let not_after = text("not_after")?.map(|time| {
        utc::parse_ms(&time)
            .ok_or_else(|| FieldError("not_after is no time like 2027-01-01T00:00:00Z".to_owned()))
    });
    let toolchain = image.take("toolchain").map(toolchain).transpose()?.unwrap_or_default();
    image.finish()?;
    let not_after_ms = not_after.transpose()?;
    Ok(ImageMeasurements { set, version, builder, eif_sha384, not_after_ms, revoked, toolchain })
}

fn toolchain(value: Value) -> Result<BTreeMap<String, String>, FieldError> {
    let tools = value.object("toolchain")?.into_fields();
    tools.map(|(name, version)| Ok((name, version.string("toolchain")?))).collect()
}

fn measurements(object: &mut Object) -> Result<MeasurementSet, MeasurementsError> {
    let registers = object.require("Measurements")?.object("Measurements")?;
    MeasurementSet::from_registers(registers)
}

fn boolean(value: Value, name: &str) -> Result<bool, FieldError> {
    match value {
        Value::Bool(value) => Ok(value),
        _ => Err(FieldError(format!("{name} must be true or false"))),
    }
}

fn require_text(name: &str, text: &str) -> Result<(), FieldError> {
    let plain = (1..=MAX_TEXT).contains(&text.len()) && !text.contains(char::is_control);
    let message = || format!("{name} is not one line of 1 to {MAX_TEXT} bytes");
    plain.then_some(()).ok_or_else(|| FieldError(message()))
}

#[derive(Serialize)]
struct WrittenFile<'a> {
    images: Vec<Written<'a>>,
}

/// An image as it is written, in the order that people read.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(rename = "Measurements")]
    measurements: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    builder: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eif_sha384: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    toolchain: &'a BTreeMap<String, String>,
}

impl<'a> From<&'a ImageMeasurements> for Written<'a> {
    fn from(image: &'a ImageMeasurements) -> Self {
        Self {
            measurements: image.set.registers(),
            version: image.version.as_deref(),
            builder: image.builder.as_deref(),
            eif_sha384: image.eif_sha384.map(hex::encode),
            not_after: image.not_after_ms.map(utc::format_ms),
            revoked: image.revoked.as_deref(),
            toolchain: &image.toolchain,
        }
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
