//! Writes an image, in the sections and the order of nitro-cli: kernel, command line, metadata,
//! ramdisks, signature. The same parts make the same bytes.

use super::checksum::Crc32;
use super::header::{CHECKSUM, Header, Kind, SectionHeader};
use super::{Architecture, EifError, Metadata};
use std::io::Write;

/// What an image is made of.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The processors it is for.
    pub architecture: Architecture,
    /// The kernel: a bzImage for x86-64, an uncompressed Image for aarch64.
    pub kernel: &'a [u8],
    /// The kernel's command line.
    pub cmdline: &'a str,
    /// The ramdisks, at least one: cpio, compressed or not.
    pub ramdisks: &'a [&'a [u8]],
    /// What is written down and not measured.
    pub metadata: &'a Metadata,
    /// The section that [`signature_section`](super::signature_section) made, if the image is
    /// signed.
    pub signature: Option<&'a [u8]>,
}

/// Writes the image of these parts, of version 4 of the format.
///
/// # Errors
/// [`EifError`] if the parts make no image that [`measure`](super::measure) would read, or the
/// output fails. Whether the signature verifies is not looked at.
pub fn write(parts: &Parts<'_>, mut out: impl Write) -> Result<(), EifError> {
    if parts.ramdisks.is_empty() {
        return Err(EifError::Missing("ramdisk"));
    }
    let metadata = parts.metadata.to_json();
    let mut sections = vec![
        (Kind::Kernel, parts.kernel),
        (Kind::Cmdline, parts.cmdline.as_bytes()),
        (Kind::Metadata, metadata.as_slice()),
    ];
    sections.extend(parts.ramdisks.iter().map(|ramdisk| (Kind::Ramdisk, *ramdisk)));
    sections.extend(parts.signature.map(|signature| (Kind::Signature, signature)));
    let sizes = sections.iter().map(|(_, bytes)| bytes.len() as u64).collect();
    let header = Header::new(parts.architecture, sizes)?;
    let heads = heads(&sections)?;

    let mut checksum = Crc32::new();
    checksum.update(&header.to_bytes()[..CHECKSUM]);
    for (head, (_, bytes)) in heads.iter().zip(&sections) {
        checksum.update(head);
        checksum.update(bytes);
    }
    let header = header.with_checksum(checksum.value());
    out.write_all(&header.to_bytes()).map_err(EifError::Write)?;
    for (head, (_, bytes)) in heads.iter().zip(&sections) {
        out.write_all(head).and_then(|()| out.write_all(bytes)).map_err(EifError::Write)?;
    }
    Ok(())
}

fn heads(sections: &[(Kind, &[u8])]) -> Result<Vec<[u8; super::header::SECTION_LENGTH]>, EifError> {
    let head = |(index, (kind, bytes)): (usize, &(Kind, &[u8]))| {
        let head = SectionHeader::new(*kind, bytes.len());
        head.map(|head| head.to_bytes()).map_err(|what| EifError::Section(index, what))
    };
    sections.iter().enumerate().map(head).collect()
}
