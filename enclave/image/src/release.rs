//! The image that ships: which package, which kernel, and what its measurements file says.

use crate::binary::{self, BinaryError, Built, Folders};
use crate::command::CommandError;
use crate::kernel::{self, Config, KernelError};
use crate::parts::{Assembled, CMDLINE, ImageParts, PartsError};
use crate::signing::Signer;
use crate::toolchain;
use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementsError, MeasurementsFile};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The package of the enclave that ships.
pub const PACKAGE: &str = "nitro-signer-enclave";
/// The measurements that are committed, below the workspace.
pub const COMMITTED: &str = "enclave/measurements.json";
/// How measurements files name this builder; an image by `nitro-cli build-enclave` has another
/// kernel and init, and so other measurements.
pub const BUILDER: &str = "nitro-signer image build";
/// The longest image, in bytes.
pub const MAX_IMAGE: usize = 16 << 20;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ReleaseError {
    #[error(transparent)]
    Binary(#[from] BinaryError),
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Parts(#[from] PartsError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, #[source] io::Error),
    #[error("{}: {}", .0.display(), .1)]
    Measurements(PathBuf, #[source] MeasurementsError),
    #[error("the image has {0} bytes; it may have {MAX_IMAGE}")]
    TooLong(usize),
}

/// What may differ between builds of the release.
#[derive(Default)]
pub struct Choices {
    /// A manifest to build in: exact bytes, already checked.
    pub manifest: Option<Vec<u8>>,
    /// Who signs the image.
    pub signer: Option<Signer>,
}

/// The image that ships, built.
#[derive(Clone, Debug)]
pub struct Release {
    /// The file and what it measures.
    pub assembled: Assembled,
    /// The same as measurements files list it.
    pub measurements: ImageMeasurements,
    /// The program in it.
    pub binary: Built,
}

/// Builds it.
///
/// # Errors
/// [`ReleaseError`].
pub fn build(
    folders: &Folders,
    cache: &Path,
    wrapper: &Path,
    choices: &Choices,
) -> Result<Release, ReleaseError> {
    let kernel = kernel::kernel(cache, &Config::enclave())?;
    let binary = binary::build(folders, PACKAGE, wrapper)?;
    let parts = ImageParts {
        kernel: &read(&kernel.image)?,
        kernel_version: kernel::VERSION,
        cmdline: CMDLINE,
        program: &read(&binary.shipped)?,
        manifest: choices.manifest.as_deref(),
        files: &[],
        version: env!("CARGO_PKG_VERSION"),
    };
    let assembled = parts.assemble(choices.signer.as_ref())?;
    if assembled.eif.len() > MAX_IMAGE {
        return Err(ReleaseError::TooLong(assembled.eif.len()));
    }
    let measurements = ImageMeasurements {
        version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        builder: Some(BUILDER.to_owned()),
        eif_sha384: Some(*assembled.image.eif_sha384()),
        toolchain: toolchain::versions()?,
        ..assembled.image.measurements().clone().into()
    };
    Ok(Release { assembled, measurements, binary })
}

impl Release {
    /// The measurements file of this image alone.
    #[must_use]
    pub fn file(&self) -> MeasurementsFile {
        MeasurementsFile::new(vec![self.measurements.clone()]).expect("is one short image")
    }
}

/// How an image that was built compares with the committed measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the committed one.
    Same,
    /// The sources moved the measurements, and the committed file does not say so.
    Moved,
    /// It was built by other tools, named here, so nothing can be said.
    OtherTools(Vec<String>),
}

/// Compares it with the file in the workspace.
///
/// # Errors
/// [`ReleaseError`] if the file cannot be read.
pub fn compare(release: &Release, workspace: &Path) -> Result<Comparison, ReleaseError> {
    let path = workspace.join(COMMITTED);
    let file = MeasurementsFile::from_json(&read(&path)?)
        .map_err(|error| ReleaseError::Measurements(path.clone(), error))?;
    let [committed] = file.images() else { return Ok(Comparison::Moved) };
    let ours = &release.measurements;
    let differing: Vec<String> = ours
        .toolchain
        .iter()
        .filter(|(tool, version)| committed.toolchain.get(*tool) != Some(version))
        .map(|(tool, version)| match committed.toolchain.get(tool) {
            Some(other) => format!("{tool}: {version} here, {other} there"),
            None => format!("{tool}: {version} here, none there"),
        })
        .collect();
    Ok(match (committed == ours, differing) {
        (true, _) => Comparison::Same,
        (false, differing) if differing.is_empty() => Comparison::Moved,
        (false, differing) => Comparison::OtherTools(differing),
    })
}

fn read(path: &Path) -> Result<Vec<u8>, ReleaseError> {
    fs::read(path).map_err(|error| ReleaseError::File(path.to_owned(), error))
}
