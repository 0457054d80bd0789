//! A manifest of one byte's difference: what the enclave loads as readily as the deployment's own,
//! and what KMS must refuse.

use nitro_signer_shared::manifest::{Manifest, ManifestHash};

/// Another version of a manifest, that nobody reviewed.
pub(super) struct Altered {
    manifest: Manifest,
    bytes: Vec<u8>,
    hash: ManifestHash,
    changed: usize,
}

impl Altered {
    /// The manifest with another version number and everything else as it was, so that the same
    /// clients may ask the same KMS key for the same vault.
    pub(super) fn of(manifest: &Manifest, bytes: &[u8]) -> Self {
        let mut manifest = manifest.clone();
        // One bit, so that the number stays as long as it was: 1 becomes 3, since 0 is no version.
        manifest.version ^= if manifest.version == 1 { 2 } else { 1 };
        let altered = manifest.to_bytes().expect("is as valid as the manifest that was loaded");
        let changed = bytes.iter().zip(&altered).filter(|(before, after)| before != after).count();
        let changed = changed + bytes.len().abs_diff(altered.len());
        Self { hash: ManifestHash::of(&altered), manifest, bytes: altered, changed }
    }

    pub(super) const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) const fn hash(&self) -> &ManifestHash {
        &self.hash
    }

    /// In words.
    pub(super) fn describe(&self) -> String {
        let version = self.manifest.version;
        match self.changed {
            1 => format!("a manifest of one byte's difference (version {version})"),
            n => format!("a manifest of {n} bytes' difference (version {version})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_signer_shared::manifest::{Custody, FORMAT, Switches};

    fn manifest(version: u64) -> Manifest {
        let arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        Manifest {
            format: FORMAT,
            version,
            deployment: "test".parse().expect("is a name"),
            vault: "main".parse().expect("is a name"),
            wrapping_keys: vec![arn.parse().expect("is an ARN")],
            clients: Vec::new(),
            asserted: Vec::new(),
            addresses: Vec::new(),
            policy: String::new(),
            abis: Vec::new(),
            typed_data: Vec::new(),
            switches: Switches::default(),
            siblings: Vec::new(),
            custody: Custody::default(),
        }
    }

    #[test]
    fn it_loads_and_differs_in_one_byte_at_every_length_of_the_number() {
        for version in [1, 2, 3, 22, 23, 24, 25, 255, 256, 65_535, 65_536, u64::MAX - 1, u64::MAX] {
            let before = manifest(version);
            let bytes = before.to_bytes().expect("is valid");
            let altered = Altered::of(&before, &bytes);
            assert_eq!(altered.changed, 1, "{version}");
            assert_ne!(altered.hash().pcr16(), ManifestHash::of(&bytes).pcr16(), "{version}");
            let read = Manifest::parse(altered.bytes()).expect("loads");
            assert_eq!((read.vault, read.version), (before.vault, altered.manifest.version));
        }
    }
}
