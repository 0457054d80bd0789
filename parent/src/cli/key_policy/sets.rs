//! The measurement sets that may get in: an image and a manifest, always in named pairs, so that no
//! old image meets a new manifest.

use crate::cli::manifest::Loaded;
use crate::cli::output::{Failure, now_ms, read_input};
use nitro_signer_shared::attestation::{
    ImageMeasurements, MAX_MEASUREMENTS_FILE, MeasurementsFile, Pcr, pcr,
};
use nitro_signer_shared::key_policy::form::VaultName;
use nitro_signer_shared::key_policy::proof::Set;
use nitro_signer_shared::manifest::{KeyArn, ManifestHash};
use std::path::{Path, PathBuf};

/// Which images under which manifests may get in.
#[derive(clap::Args)]
#[command(next_help_heading = "Measurement sets")]
pub(super) struct GivenSets {
    /// The images: what `attestation measure` or nitro-cli prints. All of the file are paired with
    /// the one --manifest or --pcr16.
    #[arg(long, value_name = "FILE")]
    measurements: Option<PathBuf>,
    /// The manifest, or its folder.
    #[arg(long, value_name = "FILE|FOLDER", conflicts_with = "pcr16")]
    manifest: Option<PathBuf>,
    /// The manifest's PCR16 in its place.
    #[arg(long, value_name = "HEX", value_parser = register)]
    pcr16: Option<Pcr>,
    /// One pair: images, or with #VERSION the one of that version, and the manifest, its folder or
    /// its PCR16; several are possible.
    #[arg(long = "set", value_name = "MEASUREMENTS[#VERSION],MANIFEST|HEX", value_parser = pair)]
    pairs: Vec<Pair>,
    /// The sets pin PCR3 as well, to that of this one --role.
    #[arg(long)]
    pcr3: bool,
    /// No set may get in: the key is closed until its manifest exists.
    #[arg(long, conflicts_with_all = ["measurements", "manifest", "pcr16", "pairs", "pcr3"])]
    closed: bool,
}

#[derive(Clone)]
struct Pair {
    measurements: PathBuf,
    version: Option<String>,
    manifest: Measured,
}

#[derive(Clone)]
enum Measured {
    Manifest(PathBuf),
    Pcr16(Pcr),
}

/// The sets, and what their manifests say of the key.
#[derive(Default)]
pub(super) struct Sets {
    pub(super) sets: Vec<Set>,
    /// The wrapping keys that the manifests name.
    pub(super) keys: Vec<KeyArn>,
    /// The vaults that they are about.
    pub(super) vaults: Vec<VaultName>,
    /// Listed images that are not to be trusted any more, and so are no sets.
    pub(super) left_out: Vec<String>,
}

impl GivenSets {
    pub(super) fn read(&self, roles: &[String]) -> Result<Sets, Failure> {
        let mut sets = Sets::default();
        if self.closed {
            return Ok(sets);
        }
        let pcr3 = match (self.pcr3, roles) {
            (false, _) => None,
            (true, [role]) => Some(pcr::of_role_arn(role)),
            (true, _) => return Err(Failure::usage("--pcr3 needs exactly one --role")),
        };
        for pair in self.pairs()? {
            sets.add(&pair, pcr3.as_ref())?;
        }
        if sets.sets.is_empty() {
            return Err(Failure::usage("no listed image is to be trusted now"));
        }
        Ok(sets)
    }

    fn pairs(&self) -> Result<Vec<Pair>, Failure> {
        let manifest = match (&self.manifest, self.pcr16) {
            (Some(path), _) => Some(Measured::Manifest(path.clone())),
            (None, pcr16) => pcr16.map(Measured::Pcr16),
        };
        let pair = match (self.measurements.clone(), manifest) {
            (None, None) => None,
            (Some(measurements), Some(manifest)) => {
                Some(Pair { measurements, version: None, manifest })
            }
            _ => return Err(Failure::usage("--measurements goes with --manifest or --pcr16")),
        };
        let pairs: Vec<Pair> = pair.into_iter().chain(self.pairs.iter().cloned()).collect();
        if pairs.is_empty() {
            return Err(Failure::usage(
                "name --measurements and --manifest, or --set, or --closed",
            ));
        }
        Ok(pairs)
    }
}

impl Sets {
    fn add(&mut self, pair: &Pair, pcr3: Option<&Pcr>) -> Result<(), Failure> {
        let path = pair.measurements.display();
        let pcr16 = match &pair.manifest {
            Measured::Pcr16(value) => *value,
            Measured::Manifest(path) => {
                // Whatever is wrong with it, nothing was examined.
                let loaded = Loaded::open(path).map_err(|e| Failure::usage(e.to_string()))?;
                let Loaded { bytes, manifest, .. } = loaded;
                self.keys.extend(manifest.wrapping_keys.iter().cloned());
                self.vaults.push(manifest.vault_name());
                ManifestHash::of(&bytes).pcr16()
            }
        };
        let images = images(&pair.measurements)?;
        let wanted =
            |image: &&ImageMeasurements| pair.version.is_none() || image.version == pair.version;
        let images: Vec<_> = images.iter().filter(wanted).collect();
        if images.is_empty() {
            let version = pair.version.as_deref().unwrap_or_default();
            return Err(Failure::usage(format!("{path}: no image of version {version:?}")));
        }
        for image in images {
            let name = format!("{} ({})", version(image), short(&pcr16));
            if let Err(why) = image.require_current(now_ms()) {
                self.left_out.push(format!("{name}: {why}"));
                continue;
            }
            let set = set(&name, image, &pcr16, pcr3);
            self.sets.push(set.map_err(|e| Failure::usage(format!("{path}: {e}")))?);
        }
        Ok(())
    }
}

fn set(
    name: &str,
    image: &ImageMeasurements,
    pcr16: &Pcr,
    pcr3: Option<&Pcr>,
) -> Result<Set, nitro_signer_shared::attestation::PinError> {
    let pcrs = image.set.pcrs();
    let mut set = Set::new(name, pcrs.get(&0).unwrap_or(&pcr::ZERO), pcr16)?;
    for (index, value) in [(8, pcrs.get(&8)), (3, pcr3)] {
        if let Some(value) = value {
            set = set.pin(index, value)?;
        }
    }
    Ok(set)
}

fn images(path: &Path) -> Result<Vec<ImageMeasurements>, Failure> {
    let bytes = read_input(path, MAX_MEASUREMENTS_FILE as u64)?;
    let file = MeasurementsFile::from_json(&bytes);
    let file = file.map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    Ok(file.into_images())
}

fn version(image: &ImageMeasurements) -> String {
    let pcr0 = image.set.pcrs().get(&0).map(|value| format!("PCR0 {}", short(value)));
    match (&image.version, pcr0) {
        (Some(version), Some(pcr0)) => format!("{version}, {pcr0}"),
        (_, pcr0) => pcr0.unwrap_or_default(),
    }
}

/// Enough of a register for people to tell it from another.
fn short(value: &Pcr) -> String {
    format!("{}…", hex::encode(&value[..6]))
}

fn pair(text: &str) -> Result<Pair, String> {
    let (measurements, manifest) =
        text.split_once(',').ok_or("MEASUREMENTS[#VERSION],MANIFEST or a PCR16 of 96 digits")?;
    let (measurements, version) = match measurements.split_once('#') {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (measurements, None),
    };
    if measurements.is_empty() || manifest.is_empty() {
        return Err("a file on each side of the comma".to_owned());
    }
    let manifest = match register(manifest) {
        Ok(pcr16) => Measured::Pcr16(pcr16),
        Err(_) => Measured::Manifest(manifest.into()),
    };
    Ok(Pair { measurements: measurements.into(), version, manifest })
}

fn register(text: &str) -> Result<Pcr, String> {
    let mut value = [0; 48];
    hex::decode_to_slice(text, &mut value).map_err(|_| "96 hex digits")?;
    if value == [0; 48] {
        return Err("zeros, which measure nothing".to_owned());
    }
    Ok(value)
}
