//! Which image may be started: one that measures to what a measurements file lists and still
//! trusts.
//!
//! The image is measured here, from its bytes, and not by nitro-cli. That is a check before the
//! start and no proof of what runs: nitro-cli opens the file again.

use super::nitro_cli::argument;
use crate::cli::attestation::measured;
use crate::cli::check::Fault;
use crate::cli::output::{Failure, now_ms, read_input};
use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementSet, MeasurementsFile};
use nitro_signer_shared::eif::Image;
use std::path::{Path, PathBuf};

const MAX_FILE: u64 = 65_536;
/// The registers that an image decides; the others are the instance's or the enclave's own.
const OF_THE_IMAGE: [u8; 4] = [0, 1, 2, 8];

/// Reads a measurements file.
pub(in crate::cli) fn measurements(path: &Path) -> Result<MeasurementsFile, Failure> {
    MeasurementsFile::from_json(&read_input(path, MAX_FILE)?)
        .map_err(|e| Failure::usage(format!("{}: {e}", path.display())))
}

/// Whether these registers are the listed image's: what the list pins of an image must be there.
pub(super) fn is_image(listed: &MeasurementSet, seen: &MeasurementSet) -> bool {
    let pinned = OF_THE_IMAGE.iter().filter_map(|index| Some((index, listed.pcrs().get(index)?)));
    pinned.into_iter().all(|(index, value)| seen.pcrs().get(index) == Some(value))
}

/// How a listed image is called in a sentence.
pub(super) fn entry(listed: &ImageMeasurements) -> String {
    let version = listed.version.as_ref();
    version.map_or_else(|| "an entry".to_owned(), |version| format!("version {version:?}"))
}

/// An image's file whose measurements are listed and trusted at the time it was looked at.
pub(in crate::cli) struct ListedImage {
    path: PathBuf,
    image: Image,
    listed: ImageMeasurements,
}

impl ListedImage {
    /// Measures the file and finds it in the list.
    ///
    /// # Errors
    /// A failure if either cannot be read, and a fault if the image is not to be started.
    pub(in crate::cli) fn find(
        path: &Path,
        list: &MeasurementsFile,
    ) -> Result<Result<Self, Fault>, Failure> {
        let path = argument(path).map_err(|e| Failure::usage(e.to_string()))?;
        let image = measured(&path)?;
        let same = |listed: &&ImageMeasurements| is_image(&listed.set, image.measurements());
        let Some(listed) = list.images().iter().find(same).cloned() else {
            let how = format!("{}: PCR0 {} is not listed", path.display(), pcr0(&image));
            return Ok(Err(Fault::new(
                how,
                "Find out who built it. Start only an image whose measurements came from somewhere \
                 else: `nitro-signer attestation diff` compares.",
            )));
        };
        if let Err(not_current) = listed.require_current(now_ms()) {
            return Ok(Err(Fault::new(
                not_current.to_string(),
                "Deploy an image that the measurements file still trusts.",
            )));
        }
        if listed.eif_sha384.is_some_and(|hash| hash != *image.eif_sha384()) {
            return Ok(Err(Fault::new(
                format!("{}: the registers are listed, the file's SHA-384 is not", path.display()),
                "Its metadata was changed, which nothing measures. Fetch the file again.",
            )));
        }
        Ok(Ok(Self { path, image, listed }))
    }

    /// Where it is, absolute.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its entry in the list.
    pub(in crate::cli) const fn listed(&self) -> &ImageMeasurements {
        &self.listed
    }

    /// PCR0, in hex.
    pub(in crate::cli) fn pcr0(&self) -> String {
        pcr0(&self.image)
    }

    /// What is said of it.
    pub(in crate::cli) fn describe(&self) -> String {
        format!("the file measures to {} of the list, PCR0 {}", entry(&self.listed), self.pcr0())
    }
}

fn pcr0(image: &Image) -> String {
    hex::encode(image.measurements().pcrs()[&0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(registers: &[(u8, u8)]) -> MeasurementSet {
        let base = MeasurementSet::new([1; 48], [2; 48], [3; 48]).expect("not zero");
        registers
            .iter()
            .fold(base, |set, (index, byte)| set.pin(*index, [*byte; 48]).expect("is one"))
    }

    #[test]
    fn an_image_is_known_by_every_register_that_the_list_pins_of_it() {
        let check = |listed: &[(u8, u8)], seen: &[(u8, u8)], expected: bool| {
            assert_eq!(is_image(&set(listed), &set(seen)), expected, "{listed:?} {seen:?}");
        };
        check(&[], &[], true);
        check(&[], &[(8, 8)], true);
        check(&[(8, 8)], &[(8, 8)], true);
        check(&[(8, 8)], &[], false);
        check(&[(8, 8)], &[(8, 9)], false);
        // The instance's register says nothing of the image.
        check(&[(4, 4)], &[], true);
        let other = MeasurementSet::new([1; 48], [9; 48], [3; 48]).expect("not zero");
        assert!(!is_image(&set(&[]), &other));
    }
}
