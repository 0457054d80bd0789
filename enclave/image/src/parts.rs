//! Kernel, program and files put together into an image, and what it measures.

use crate::ramdisk::{RamdiskFile, archive};
use crate::signing::{Signer, SigningError};
use nitro_signer_shared::eif::{
    self, Architecture, BuildMetadata, EifError, Image, Metadata, Parts,
};
use std::io;

/// The kernel's command line: the console that only debug mode shows, and an enclave that ends when
/// its program does. The hypervisor appends the devices.
pub const CMDLINE: &str = "console=ttyS0 quiet reboot=k panic=-1";
/// Where an image has a manifest of its own; the enclave reads `/manifest.cbor`.
const MANIFEST: &str = "manifest.cbor";
/// Where the kernel looks for the first process.
const INIT: &str = "init";

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct ImageParts<'a> {
    /// The kernel, a bzImage.
    pub kernel: &'a [u8],
    /// The kernel's version, for the metadata.
    pub kernel_version: &'a str,
    /// The kernel's command line.
    pub cmdline: &'a str,
    /// The static program that is the first process.
    pub program: &'a [u8],
    /// The manifest to build in, if any: exact bytes.
    pub manifest: Option<&'a [u8]>,
    /// Further files that the program opens; none in the release.
    pub files: &'a [RamdiskFile<'a>],
    /// The version that the metadata names.
    pub version: &'a str,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PartsError {
    #[error("the ramdisk cannot be written: {0}")]
    Ramdisk(#[from] io::Error),
    #[error(transparent)]
    Eif(#[from] EifError),
    #[error(transparent)]
    Signing(#[from] SigningError),
}

/// An image's file and what it measures.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The file.
    pub eif: Vec<u8>,
    /// Read back from it.
    pub image: Image,
}

impl ImageParts<'_> {
    /// Puts the image together; signed, if somebody signs.
    ///
    /// # Errors
    /// [`PartsError`].
    pub fn assemble(&self, signer: Option<&Signer>) -> Result<Assembled, PartsError> {
        let ramdisk = self.ramdisk()?;
        let metadata = self.metadata();
        let unsigned = Parts {
            architecture: Architecture::X86_64,
            kernel: self.kernel,
            cmdline: self.cmdline,
            ramdisks: &[&ramdisk],
            metadata: &metadata,
            signature: None,
        };
        let assembled = write(&unsigned)?;
        let Some(signer) = signer else { return Ok(assembled) };
        let section = signer.sign(&assembled.image.measurements().pcrs()[&0])?;
        write(&Parts { signature: Some(&section), ..unsigned })
    }

    fn ramdisk(&self) -> io::Result<Vec<u8>> {
        let mut files = vec![RamdiskFile::file(INIT, 0o555, self.program)];
        files.extend(self.manifest.map(|bytes| RamdiskFile::file(MANIFEST, 0o444, bytes)));
        files.extend(self.files);
        archive(&files)
    }

    /// Not measured; the same for the same sources, so that the whole file is.
    fn metadata(&self) -> Metadata {
        Metadata {
            image_name: "nitro-signer".to_owned(),
            image_version: self.version.to_owned(),
            build_metadata: BuildMetadata {
                build_time: "1970-01-01T00:00:00Z".to_owned(),
                build_tool: "nitro-signer image build".to_owned(),
                build_tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                operating_system: "Linux".to_owned(),
                kernel_version: self.kernel_version.to_owned(),
            },
            ..Metadata::default()
        }
    }
}

fn write(parts: &Parts<'_>) -> Result<Assembled, PartsError> {
    let mut file = Vec::new();
    eif::write(parts, &mut file)?;
    let image = eif::measure(file.as_slice())?;
    Ok(Assembled { eif: file, image })
}
