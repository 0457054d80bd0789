//! The two headers of an image: the file's, and the one before each section. All numbers are
//! big-endian.

use super::{EifError, MAGIC, MAX_CMDLINE, MAX_IMAGE, MAX_METADATA, MAX_SIGNATURE};
use std::ops::RangeInclusive;

/// How many sections a file's header has room for.
pub const MAX_SECTIONS: usize = 32;

/// The length of the file's header, in bytes.
pub(super) const LENGTH: usize = 548;
/// The length of a section's header, in bytes.
pub(super) const SECTION_LENGTH: usize = 12;

/// Where the fields of the file's header stand, after the magic of 4 bytes.
const VERSION: usize = 4;
const FLAGS: usize = 6;
const DEFAULT_MEMORY: usize = 8;
const DEFAULT_CPUS: usize = 16;
const RESERVED: usize = 24;
const COUNT: usize = 26;
const OFFSETS: usize = 28;
const SIZES: usize = OFFSETS + 8 * MAX_SECTIONS;
const UNUSED: usize = SIZES + 8 * MAX_SECTIONS;
pub(super) const CHECKSUM: usize = UNUSED + 4;

/// The version that is written.
pub(super) const CURRENT_VERSION: u16 = 4;
/// The versions that start; 0 and 1 were never published.
const VERSIONS: RangeInclusive<u16> = 2..=CURRENT_VERSION;

/// What nitro-cli writes and nobody reads: 1 GiB and two processors.
const WRITTEN_MEMORY: u64 = 1 << 30;
const WRITTEN_CPUS: u64 = 2;

/// The processors an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Intel and AMD.
    X86_64,
    /// Graviton.
    Aarch64,
}

impl Architecture {
    /// The name that Linux gives them.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// The file's header, its table of sections checked against itself.
pub(super) struct Header {
    version: u16,
    architecture: Architecture,
    sizes: Vec<u64>,
    checksum: u32,
}

impl Header {
    /// The header of an image with these sections.
    pub(super) fn new(architecture: Architecture, sizes: Vec<u64>) -> Result<Self, EifError> {
        require_count(sizes.len())?;
        require_total(&sizes)?;
        Ok(Self { version: CURRENT_VERSION, architecture, sizes, checksum: 0 })
    }

    pub(super) fn parse(bytes: &[u8; LENGTH]) -> Result<Self, EifError> {
        require(bytes.starts_with(&MAGIC), || "it does not begin with .eif".to_owned())?;
        let version = u16_at(bytes, VERSION);
        require(VERSIONS.contains(&version), || format!("version {version}; 2 to 4 are known"))?;
        let architecture = match u16_at(bytes, FLAGS) {
            0 => Architecture::X86_64,
            1 => Architecture::Aarch64,
            flags => return Err(EifError::Header(format!("flags {flags:#06x}"))),
        };
        let reserved = u16_at(bytes, RESERVED) != 0 || bytes[UNUSED..CHECKSUM] != [0; 4];
        require(!reserved, || "a reserved field is not zero".to_owned())?;
        let sizes = sizes(bytes)?;
        let mut checksum = [0; 4];
        checksum.copy_from_slice(&bytes[CHECKSUM..]);
        Ok(Self { version, architecture, sizes, checksum: u32::from_be_bytes(checksum) })
    }

    pub(super) fn to_bytes(&self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(VERSION, &self.version.to_be_bytes());
        put(FLAGS, &u16::from(self.architecture == Architecture::Aarch64).to_be_bytes());
        put(DEFAULT_MEMORY, &WRITTEN_MEMORY.to_be_bytes());
        put(DEFAULT_CPUS, &WRITTEN_CPUS.to_be_bytes());
        let count = u16::try_from(self.sizes.len()).expect("at most MAX_SECTIONS, by `new`");
        put(COUNT, &count.to_be_bytes());
        let mut offset = LENGTH as u64;
        for (index, size) in self.sizes.iter().enumerate() {
            put(OFFSETS + 8 * index, &offset.to_be_bytes());
            put(SIZES + 8 * index, &size.to_be_bytes());
            offset += SECTION_LENGTH as u64 + size;
        }
        put(CHECKSUM, &self.checksum.to_be_bytes());
        bytes
    }

    pub(super) const fn with_checksum(mut self, checksum: u32) -> Self {
        self.checksum = checksum;
        self
    }

    pub(super) const fn version(&self) -> u16 {
        self.version
    }

    pub(super) const fn architecture(&self) -> Architecture {
        self.architecture
    }

    /// The sections' sizes in bytes, without their headers, in the file's order.
    pub(super) fn sizes(&self) -> &[u64] {
        &self.sizes
    }

    pub(super) const fn checksum(&self) -> u32 {
        self.checksum
    }
}

/// The table's sizes: each section begins where the one before ends, and no entry is set that
/// has no section.
fn sizes(bytes: &[u8; LENGTH]) -> Result<Vec<u64>, EifError> {
    let count = usize::from(u16_at(bytes, COUNT));
    require_count(count)?;
    let sizes: Vec<u64> = (0..count).map(|index| u64_at(bytes, SIZES + 8 * index)).collect();
    require_total(&sizes)?;
    let mut expected = LENGTH as u64;
    for (index, size) in sizes.iter().enumerate() {
        let offset = u64_at(bytes, OFFSETS + 8 * index);
        require(offset == expected, || {
            format!("section {index} is said to begin at {offset}; it begins at {expected}")
        })?;
        expected += SECTION_LENGTH as u64 + size;
    }
    let unused = |table| bytes[table + 8 * count..table + 8 * MAX_SECTIONS].iter().all(|b| *b == 0);
    require(unused(OFFSETS) && unused(SIZES), || "an unused entry is not zero".to_owned())?;
    Ok(sizes)
}

fn require_count(count: usize) -> Result<(), EifError> {
    // Kernel, command line, ramdisk.
    require((3..=MAX_SECTIONS).contains(&count), || format!("{count} sections; it has 3 to 32"))
}

fn require_total(sizes: &[u64]) -> Result<(), EifError> {
    let headers = (LENGTH + SECTION_LENGTH * sizes.len()) as u64;
    let total = sizes.iter().try_fold(headers, |total, size| total.checked_add(*size));
    require(total.is_some_and(|total| total <= MAX_IMAGE), || {
        format!("its sections are more than {MAX_IMAGE} bytes")
    })
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), EifError> {
    if holds { Ok(()) } else { Err(EifError::Header(otherwise())) }
}

fn u16_at(bytes: &[u8; LENGTH], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u64_at(bytes: &[u8; LENGTH], at: usize) -> u64 {
    bytes[at..at + 8].iter().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Kernel,
    Cmdline,
    Ramdisk,
    Signature,
    Metadata,
}

impl Kind {
    const ALL: [Self; 5] =
        [Self::Kernel, Self::Cmdline, Self::Ramdisk, Self::Signature, Self::Metadata];

    const fn number(self) -> u16 {
        match self {
            Self::Kernel => 1,
            Self::Cmdline => 2,
            Self::Ramdisk => 3,
            Self::Signature => 4,
            Self::Metadata => 5,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "a kernel",
            Self::Cmdline => "a command line",
            Self::Ramdisk => "a ramdisk",
            Self::Signature => "a signature section",
            Self::Metadata => "metadata",
        }
    }

    /// The version of the format that brought it.
    const fn since(self) -> u16 {
        match self {
            Self::Kernel | Self::Cmdline | Self::Ramdisk => 2,
            Self::Signature => 3,
            Self::Metadata => 4,
        }
    }

    /// In bytes. Only what is kept in memory needs a maximum of its own.
    const fn sizes(self) -> RangeInclusive<u64> {
        match self {
            Self::Kernel | Self::Ramdisk => 1..=MAX_IMAGE,
            Self::Cmdline => 0..=MAX_CMDLINE,
            Self::Signature => 1..=MAX_SIGNATURE,
            Self::Metadata => 1..=MAX_METADATA,
        }
    }
}

/// The header before a section.
pub(super) struct SectionHeader {
    kind: Kind,
    size: u64,
}

impl SectionHeader {
    /// The header of such a section of the current version.
    pub(super) fn new(kind: Kind, size: usize) -> Result<Self, String> {
        let section = Self { kind, size: size as u64 };
        section.require(section.size, CURRENT_VERSION)?;
        Ok(section)
    }

    pub(super) fn parse(bytes: [u8; SECTION_LENGTH]) -> Result<Self, String> {
        let [k0, k1, f0, f1, size @ ..] = bytes;
        let number = u16::from_be_bytes([k0, k1]);
        let kind = Kind::ALL.into_iter().find(|kind| kind.number() == number);
        let kind = kind.ok_or_else(|| format!("type {number}; 1 to 5 are known"))?;
        match [f0, f1] {
            [0, 0] => Ok(Self { kind, size: u64::from_be_bytes(size) }),
            _ => Err("its flags are not zero".to_owned()),
        }
    }

    pub(super) fn to_bytes(&self) -> [u8; SECTION_LENGTH] {
        let mut bytes = [0; SECTION_LENGTH];
        bytes[..2].copy_from_slice(&self.kind.number().to_be_bytes());
        bytes[4..].copy_from_slice(&self.size.to_be_bytes());
        bytes
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// It has the size that the file's header says, one that its kind may have, and a kind that
    /// this version of the format has.
    pub(super) fn require(&self, size: u64, version: u16) -> Result<(), String> {
        let name = self.kind.name();
        if self.size != size {
            return Err(format!("{} bytes, and the file's header says {size}", self.size));
        }
        if !self.kind.sizes().contains(&size) {
            let (least, most) = self.kind.sizes().into_inner();
            return Err(format!("{size} bytes; {name} has {least} to {most}"));
        }
        if version < self.kind.since() {
            return Err(format!("{name}, which version {version} does not have"));
        }
        Ok(())
    }
}
