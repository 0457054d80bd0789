//! An image's file taken apart as the hypervisor does: what it measures, and what it boots.

use nitro_signer_shared::eif::{self, Image};

/// Lengths of the file's header and of each section's.
const HEADER: usize = 548;
const SECTION_HEADER: usize = 12;

/// A whole image.
#[derive(Clone, Debug)]
pub struct Eif {
    /// What it measures.
    pub image: Image,
    /// The kernel.
    pub kernel: Vec<u8>,
    /// Its command line.
    pub cmdline: String,
    /// All ramdisks, one after the other: Linux unpacks such a row.
    pub ramdisk: Vec<u8>,
}

/// A file that is no image.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum EifError {
    #[error(transparent)]
    File(#[from] eif::EifError),
    #[error("the command line is not text")]
    Cmdline,
}

impl Eif {
    /// Reads it; only a file whose every length and checksum holds is taken apart.
    ///
    /// # Errors
    /// [`EifError`].
    pub fn read(file: &[u8]) -> Result<Self, EifError> {
        let image = eif::measure(file)?;
        let (mut kernel, mut cmdline, mut ramdisk) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = &file[HEADER..];
        while let Some((head, behind)) = rest.split_first_chunk::<SECTION_HEADER>() {
            let [_, kind, _, _, size @ ..] = *head;
            let size =
                usize::try_from(u64::from_be_bytes(size)).map_err(|_| eif::EifError::Truncated)?;
            let (section, next) = behind.split_at(size);
            match kind {
                1 => kernel.extend(section),
                2 => cmdline.extend(section),
                3 => ramdisk.extend(section),
                _ => {}
            }
            rest = next;
        }
        let cmdline = String::from_utf8(cmdline).map_err(|_| EifError::Cmdline)?;
        Ok(Self { image, kernel, cmdline, ramdisk })
    }

    /// PCR0, PCR1 and PCR2.
    #[must_use]
    pub fn pcrs(&self) -> [[u8; 48]; 3] {
        [0, 1, 2].map(|index| self.image.measurements().pcrs()[&index])
    }
}
