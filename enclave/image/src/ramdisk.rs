//! The ramdisk: a cpio archive of a few files, in the order given, without times or owners.
//!
//! Format: "newc" (Documentation/driver-api/early-userspace/buffer-format.rst of Linux), gzip.

use flate2::{Compression, GzBuilder};
use std::io::{self, Write};

/// A file or a folder of the ramdisk.
#[derive(Clone, Copy, Debug)]
pub struct RamdiskFile<'a> {
    name: &'a str,
    mode: u32,
    contents: &'a [u8],
}

impl<'a> RamdiskFile<'a> {
    /// A file: its path without the leading slash, its permissions, and what is in it, below 4 GiB.
    /// Its folder must come before it.
    #[must_use]
    pub const fn file(name: &'a str, permissions: u32, contents: &'a [u8]) -> Self {
        Self { name, mode: REGULAR | permissions, contents }
    }

    /// A folder.
    #[must_use]
    pub const fn folder(name: &'a str) -> Self {
        Self { name, mode: FOLDER, contents: &[] }
    }
}

const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_755;
const TRAILER: &str = "TRAILER!!!";

/// The compressed archive of these files.
///
/// # Errors
/// If a file is 4 GiB or longer.
pub fn archive(files: &[RamdiskFile<'_>]) -> io::Result<Vec<u8>> {
    // No time and no name in the header, whatever the clock says.
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(&cpio(files)?)?;
    gzip.finish()
}

/// The same, not compressed.
///
/// # Errors
/// If a file is 4 GiB or longer.
pub fn cpio(files: &[RamdiskFile<'_>]) -> io::Result<Vec<u8>> {
    let mut cpio = Vec::new();
    for (inode, file) in (1..).zip(files) {
        entry(&mut cpio, inode, file)?;
    }
    entry(&mut cpio, 0, &RamdiskFile { name: TRAILER, mode: 0, contents: &[] })?;
    Ok(cpio)
}

fn entry(cpio: &mut Vec<u8>, inode: u32, file: &RamdiskFile<'_>) -> io::Result<()> {
    let RamdiskFile { name, mode, contents } = *file;
    let size = u32::try_from(contents.len()).map_err(io::Error::other)?;
    let name_size = u32::try_from(name.len() + 1).map_err(io::Error::other)?;
    let links = 1;
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
    // namesize, check.
    let fields = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    cpio.extend(b"070701");
    for field in fields {
        write!(cpio, "{field:08X}")?;
    }
    cpio.extend(name.as_bytes());
    cpio.push(0);
    pad(cpio);
    cpio.extend(contents);
    pad(cpio);
    Ok(())
}

fn pad(cpio: &mut Vec<u8>) {
    cpio.resize(cpio.len().next_multiple_of(4), 0);
}
