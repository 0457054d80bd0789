//! The manifest that an image may bring itself: then PCR0 covers it, and no other is taken.
//!
//! The file stands in the measured ramdisk, so whoever could change it has another image. Without
//! the file the manifest comes from the parent, and only PCR16 tells which one it was.

use nitro_signer_shared::manifest::{MAX_MANIFEST, ManifestHash};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Where the image has it.
pub const PATH: &str = "/manifest.cbor";

/// Which manifests this image takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageManifest {
    /// Whichever comes first after power-on.
    FromParent,
    /// The one that was built in.
    BuiltIn(ManifestHash),
}

impl ImageManifest {
    /// Looks for the file in the image.
    ///
    /// # Errors
    /// If there is one that cannot be read or is longer than a manifest may be; the enclave must
    /// not go on.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::FromParent),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(MAX_MANIFEST as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_MANIFEST {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                "the image's manifest is too long",
            ));
        }
        Ok(Self::BuiltIn(ManifestHash::of(&bytes)))
    }

    /// That this manifest may be measured.
    ///
    /// # Errors
    /// [`RefusalCode::ManifestConflict`] if the image brings another one.
    pub fn require(&self, manifest: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::BuiltIn(own) if *own != ManifestHash::of(manifest) => Err(Refusal::new(
                RefusalCode::ManifestConflict,
                format!(
                    "The image brings the manifest {own} itself and takes no other. Give the parent that one."
                ),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_with_a_manifest_takes_that_one_and_no_other() {
        let dir = std::env::temp_dir().join(format!("image-manifest-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let path = dir.join("manifest.cbor");
        let read = || ImageManifest::read(&path);
        assert_eq!(read().expect("none"), ImageManifest::FromParent);
        assert!(read().expect("none").require(b"any").is_ok());

        std::fs::write(&path, b"this one").expect("writes");
        let image = read().expect("reads");
        assert!(image.require(b"this one").is_ok());
        let refusal = image.require(b"this one.").expect_err("is another");
        assert_eq!(refusal.code, RefusalCode::ManifestConflict);

        std::fs::write(&path, vec![0; MAX_MANIFEST + 1]).expect("writes");
        assert!(read().is_err(), "a manifest that no parent could send either");
        std::fs::remove_dir_all(&dir).expect("removes");
    }
}
