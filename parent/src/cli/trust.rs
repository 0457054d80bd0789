//! What a verifier brings of its own: measurements, manifest, root. Nothing of it may come from
//! the appliance that is judged.

use super::connection::Stack;
use super::output::{Failure, read_input};
use crate::serve::load_manifest;
use nitro_signer_shared::attestation::{Expectations, MeasurementsFile, TrustAnchor};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use std::path::{Path, PathBuf};

const MAX_FILE: u64 = 65_536;

/// What the appliance is judged by.
#[derive(clap::Args)]
#[command(next_help_heading = "Trust")]
pub(super) struct Trust {
    /// The measurements of the image that must run, as nitro-cli prints them or as a release has
    /// them; several during an upgrade.
    #[arg(long, value_name = "FILE")]
    expect: Vec<PathBuf>,
    #[command(flatten)]
    manifest: ManifestFile,
    /// Another root than Amazon's (PEM), for GovCloud, China or development.
    #[arg(long, value_name = "PEM")]
    root: Option<PathBuf>,
}

/// The manifest that the appliance must run.
#[derive(clap::Args)]
pub(super) struct ManifestFile {
    /// The manifest, as `manifest build` wrote it.
    #[arg(long, value_name = "FILE", help_heading = "Trust")]
    manifest: Option<PathBuf>,
}

impl ManifestFile {
    /// The manifest and its hash, if one is named.
    pub(super) fn find(&self, stack: &Stack) -> Result<Option<(Manifest, ManifestHash)>, Failure> {
        let Some(path) = self.manifest.as_ref().or(stack.manifest.as_ref()) else {
            return Ok(None);
        };
        let (bytes, manifest) = load_manifest(path).map_err(|e| Failure::usage(e.to_string()))?;
        Ok(Some((manifest, ManifestHash::of(&bytes))))
    }

    /// The manifest and its hash, which must be named.
    pub(super) fn require(&self, stack: &Stack) -> Result<(Manifest, ManifestHash), Failure> {
        let found = self.find(stack)?;
        found.ok_or_else(|| Failure::usage("--manifest is needed, or a --stack that names it"))
    }
}

impl Trust {
    pub(super) const fn manifest(&self) -> &ManifestFile {
        &self.manifest
    }

    /// An enclave of one of the images that are named, of which there must be one.
    pub(super) fn expectations(&self, stack: &Stack) -> Result<Expectations, Failure> {
        let mut paths: Vec<&PathBuf> = self.expect.iter().collect();
        if paths.is_empty() {
            paths.extend(&stack.measurements);
        }
        let read = |path: &&PathBuf| {
            MeasurementsFile::from_json(&read_input(path, MAX_FILE)?)
                .map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
        };
        let files: Vec<MeasurementsFile> = paths.iter().map(read).collect::<Result<_, _>>()?;
        let (first, others) = files.split_first().ok_or_else(|| {
            Failure::usage(
                "--expect is needed: without measurements a document proves only that it is Amazon's",
            )
        })?;
        let images = others.iter().flat_map(|file| file.images().iter().cloned());
        Ok(images.fold(Expectations::of_file(first), Expectations::or_image))
    }

    /// Amazon's root, unless another one is named. A stack's own root judges only by that stack's
    /// measurements and manifest: with others given, it would make a development root vouch for
    /// production.
    pub(super) fn anchor(&self, stack: &Stack) -> Result<TrustAnchor, Failure> {
        let all_the_stacks = self.expect.is_empty() && self.manifest.manifest.is_none();
        let stacks = stack.nsm_root.as_ref().filter(|_| all_the_stacks);
        anchor(self.root.as_ref().or(stacks).map(PathBuf::as_path))
    }
}

/// The root in this file, or Amazon's.
pub(super) fn anchor(root: Option<&Path>) -> Result<TrustAnchor, Failure> {
    match root {
        None => Ok(TrustAnchor::aws()),
        Some(path) => TrustAnchor::custom_pem(&read_input(path, MAX_FILE)?)
            .map_err(|e| Failure::usage(format!("{}: {}", path.display(), e.detail()))),
    }
}
