//! Enclave Image Files: what an image measures to, without nitro-cli and without an AWS account.
//!
//! An image is read once, from front to back, and hashed as it passes: however large it is, no
//! more than 64 KiB of kernel and ramdisks are in memory. Measurements come only of a whole file in which every length, the checksum and, if there is one, the signature hold.
//!
//! Source: "Enclave Image File (EIF) Specification" of 21 June 2024, in the crate
//! aws-nitro-enclaves-image-format 0.6, and what that crate writes, which is what nitro-cli
//! writes. Where the specification lets more pass than nitro-cli writes (reserved bits, gaps, a
//! command line that does not stand between kernel and ramdisks), the narrower form holds, so that
//! two readers cannot measure two things.

mod checksum;
mod header;
mod metadata;
mod signature;
#[cfg(test)]
mod tests;
mod write;

pub use header::{Architecture, MAX_SECTIONS};
pub use metadata::{BuildMetadata, Metadata};
pub use signature::{Algorithm, SigningCertificate, signature_section, to_be_signed};
pub use write::{Parts, write};

use crate::attestation::MeasurementSet;
use crate::attestation::pcr::{self, Pcr};
use aws_lc_rs::digest::{Context, SHA384};
use checksum::Crc32;
use header::{Header, Kind, SectionHeader};
use std::io::{ErrorKind, Read};

/// The first four bytes of an image.
pub const MAGIC: [u8; 4] = *b".eif";
/// The longest image, in bytes: 4 GiB. An enclave holds its image in memory, and images of
/// nitro-cli are some hundred megabytes.
pub const MAX_IMAGE: u64 = 1 << 32;
/// The longest command line, in bytes: twice what Linux keeps of it on x86-64 and arm64.
pub const MAX_CMDLINE: u64 = 4_096;
/// The longest signature section, in bytes (the specification's `SIGNATURE_MAX_SIZE`).
pub const MAX_SIGNATURE: u64 = 32_768;
/// The longest metadata, in bytes: nitro-cli puts in what `docker image inspect` prints, some
/// kilobytes, and at most 4 KiB of one's own.
pub const MAX_METADATA: u64 = 262_144;

/// How many bytes are read at a time.
const BUFFER: usize = 65_536;

/// Why a file is not an image, or not one that would start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum EifError {
    #[error("the image cannot be read: {0}")]
    Read(#[source] std::io::Error),
    #[error("the image cannot be written: {0}")]
    Write(#[source] std::io::Error),
    #[error("the image ends early")]
    Truncated,
    #[error("bytes follow the image's last section")]
    Trailing,
    #[error("the header is not an image's: {0}")]
    Header(String),
    #[error("section {0}: {1}")]
    Section(usize, String),
    #[error("the image has no {0}")]
    Missing(&'static str),
    #[error("the checksum is {computed:08x}, and the header says {stated:08x}")]
    Checksum { stated: u32, computed: u32 },
    #[error("the metadata is not what the format asks for: {0}")]
    Metadata(String),
    #[error("the signature would not start an enclave: {0}")]
    Signature(String),
}

/// An image whose every check passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    version: u16,
    architecture: Architecture,
    measurements: MeasurementSet,
    eif_sha384: [u8; 48],
    metadata: Option<Metadata>,
    signing_certificate: Option<SigningCertificate>,
}

impl Image {
    /// The version of the file format: 2, 3 or 4.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.version
    }

    /// The processors it is for.
    #[must_use]
    pub const fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// PCR0, PCR1 and PCR2, and of a signed image PCR8.
    #[must_use]
    pub const fn measurements(&self) -> &MeasurementSet {
        &self.measurements
    }

    /// SHA-384 of the whole file. Two files of equal measurements differ in it if their metadata
    /// does.
    #[must_use]
    pub const fn eif_sha384(&self) -> &[u8; 48] {
        &self.eif_sha384
    }

    /// What the builder wrote down. It is NOT measured: whoever has the file can change it, and the
    /// enclave that starts attests the same.
    #[must_use]
    pub const fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Whose signature over PCR0 the file carries. That it verified says that somebody with this
    /// certificate's key signed; nitro-cli also refuses to start an image whose certificate is
    /// not valid at that time, which nobody judges here.
    #[must_use]
    pub const fn signing_certificate(&self) -> Option<&SigningCertificate> {
        self.signing_certificate.as_ref()
    }
}

/// Reads an image and computes what the hypervisor measures of it.
///
/// PCR0 is over kernel, command line and all ramdisks, PCR1 over kernel, command line and the
/// first ramdisk, PCR2 over the other ramdisks, PCR8 over the signing certificate: each
/// `SHA-384(0^48 || SHA-384(bytes))`. With one ramdisk PCR2 is over nothing, which is a value like
/// any other and not zeros.
///
/// ```
/// # fn main() -> Result<(), nitro_signer_shared::eif::EifError> {
/// use nitro_signer_shared::eif::{Architecture, Metadata, Parts, measure, write};
///
/// let metadata = Metadata::default();
/// let parts = Parts {
///     architecture: Architecture::X86_64,
///     kernel: b"a kernel",
///     cmdline: "reboot=k panic=30",
///     ramdisks: &[b"init", b"application"],
///     metadata: &metadata,
///     signature: None,
/// };
/// let mut file = Vec::new();
/// write(&parts, &mut file)?;
/// let image = measure(file.as_slice())?;
/// assert_eq!(image.measurements().pcrs().len(), 3);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`EifError`] if the bytes are anything but one whole image that would start.
pub fn measure(source: impl Read) -> Result<Image, EifError> {
    let mut reader = Reader::new(source);
    let header = reader.header()?;
    let mut sections = Sections::new();
    for (index, size) in header.sizes().iter().enumerate() {
        sections.read(index, *size, header.version(), &mut reader)?;
    }
    let eif_sha384 = reader.finish(header.checksum())?;
    sections.complete(&header, eif_sha384)
}

/// The source, and what is computed over all of it.
struct Reader<R> {
    source: R,
    file: Context,
    checksum: Crc32,
    buffer: Vec<u8>,
}

impl<R: Read> Reader<R> {
    fn new(source: R) -> Self {
        let file = Context::new(&SHA384);
        Self { source, file, checksum: Crc32::new(), buffer: vec![0; BUFFER] }
    }

    fn header(&mut self) -> Result<Header, EifError> {
        let mut bytes = [0; header::LENGTH];
        read_exact(&mut self.source, &mut bytes)?;
        self.file.update(&bytes);
        // The checksum is the header's last field, and over everything but itself.
        self.checksum.update(&bytes[..header::CHECKSUM]);
        Header::parse(&bytes)
    }

    fn section_header(&mut self) -> Result<[u8; header::SECTION_LENGTH], EifError> {
        let mut bytes = [0; header::SECTION_LENGTH];
        read_exact(&mut self.source, &mut bytes)?;
        self.file.update(&bytes);
        self.checksum.update(&bytes);
        Ok(bytes)
    }

    /// Hands `length` bytes on, piece by piece.
    fn pass(&mut self, length: u64, mut on: impl FnMut(&[u8])) -> Result<(), EifError> {
        let mut left = length;
        while left > 0 {
            let next = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let piece = &mut self.buffer[..next];
            read_exact(&mut self.source, piece)?;
            self.file.update(piece);
            self.checksum.update(piece);
            on(piece);
            left -= next as u64;
        }
        Ok(())
    }

    /// Nothing follows, and the checksum is the header's. Gives SHA-384 of the whole file.
    fn finish(mut self, stated: u32) -> Result<[u8; 48], EifError> {
        match read_exact(&mut self.source, &mut [0]) {
            Err(EifError::Truncated) => {}
            Ok(()) => return Err(EifError::Trailing),
            Err(error) => return Err(error),
        }
        let computed = self.checksum.value();
        if computed != stated {
            return Err(EifError::Checksum { stated, computed });
        }
        Ok(pcr::finish(self.file))
    }
}

fn read_exact(source: &mut impl Read, bytes: &mut [u8]) -> Result<(), EifError> {
    source.read_exact(bytes).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => EifError::Truncated,
        _ => EifError::Read(error),
    })
}

/// What the sections seen so far make: three measurements in progress, and what is kept.
struct Sections {
    image: Context,
    boot: Context,
    application: Context,
    kernel: bool,
    cmdline: bool,
    ramdisks: usize,
    metadata: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

impl Sections {
    fn new() -> Self {
        let empty = || Context::new(&SHA384);
        Self {
            image: empty(),
            boot: empty(),
            application: empty(),
            kernel: false,
            cmdline: false,
            ramdisks: 0,
            metadata: None,
            signature: None,
        }
    }

    fn read(
        &mut self,
        index: usize,
        size: u64,
        version: u16,
        reader: &mut Reader<impl Read>,
    ) -> Result<(), EifError> {
        let wrong = |what: String| EifError::Section(index, what);
        let section = SectionHeader::parse(reader.section_header()?).map_err(wrong)?;
        section.require(size, version).map_err(wrong)?;
        self.require_order(section.kind()).map_err(|what| wrong(what.to_owned()))?;
        match section.kind() {
            Kind::Metadata => self.metadata = Some(kept(size, reader)?),
            Kind::Signature => self.signature = Some(kept(size, reader)?),
            Kind::Kernel => {
                self.kernel = true;
                self.boot_part(size, reader)?;
            }
            Kind::Cmdline => {
                self.cmdline = true;
                self.boot_part(size, reader)?;
            }
            Kind::Ramdisk => {
                self.ramdisks += 1;
                match self.ramdisks {
                    1 => self.boot_part(size, reader)?,
                    _ => self.application_part(size, reader)?,
                }
            }
        }
        Ok(())
    }

    /// Measured parts stand in the order in which they are measured: kernel, command line,
    /// ramdisks.
    const fn require_order(&self, kind: Kind) -> Result<(), &'static str> {
        match kind {
            Kind::Kernel if self.kernel => Err("a second kernel"),
            Kind::Cmdline if self.cmdline => Err("a second command line"),
            Kind::Metadata if self.metadata.is_some() => Err("a second metadata section"),
            Kind::Signature if self.signature.is_some() => Err("a second signature section"),
            Kind::Cmdline if !self.kernel => Err("a command line before the kernel"),
            Kind::Ramdisk if !self.cmdline => Err("a ramdisk before kernel and command line"),
            _ => Ok(()),
        }
    }

    fn boot_part(&mut self, size: u64, reader: &mut Reader<impl Read>) -> Result<(), EifError> {
        reader.pass(size, |piece| {
            self.image.update(piece);
            self.boot.update(piece);
        })
    }

    fn application_part(
        &mut self,
        size: u64,
        reader: &mut Reader<impl Read>,
    ) -> Result<(), EifError> {
        reader.pass(size, |piece| {
            self.image.update(piece);
            self.application.update(piece);
        })
    }

    fn complete(self, header: &Header, eif_sha384: [u8; 48]) -> Result<Image, EifError> {
        let require = |there: bool, what| if there { Ok(()) } else { Err(EifError::Missing(what)) };
        require(self.kernel, "kernel")?;
        require(self.cmdline, "command line")?;
        require(self.ramdisks > 0, "ramdisk")?;
        require(self.metadata.is_some() || header.version() < 4, "metadata")?;
        let pcr0 = measurement(self.image);
        let (pcr1, pcr2) = (measurement(self.boot), measurement(self.application));
        let zero = |_| EifError::Header("a measurement is zero".to_owned());
        let mut measurements = MeasurementSet::new(pcr0, pcr1, pcr2).map_err(zero)?;
        let signature = self.signature.map(|section| signature::verify(&section, &pcr0));
        let signing_certificate = signature.transpose()?;
        if let Some(certificate) = &signing_certificate {
            let pcr8 = pcr::of_signing_certificate(certificate.der());
            measurements = measurements.pin(8, pcr8).map_err(zero)?;
        }
        Ok(Image {
            version: header.version(),
            architecture: header.architecture(),
            measurements,
            eif_sha384,
            metadata: self.metadata.map(|json| Metadata::parse(&json)).transpose()?,
            signing_certificate,
        })
    }
}

/// A section's bytes. Its size was compared with its kind's maximum.
fn kept(size: u64, reader: &mut Reader<impl Read>) -> Result<Vec<u8>, EifError> {
    let mut bytes = Vec::new();
    reader.pass(size, |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes)
}

fn measurement(bytes: Context) -> Pcr {
    pcr::extend(&pcr::ZERO, &pcr::finish(bytes))
}
