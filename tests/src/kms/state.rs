//! The keys and the certificate in a file, so that a development KMS that was stopped starts again
//! with them.
//!
//! The file holds key material in the clear; it protects nothing, as nothing here does. It is
//! written whole and then renamed, so that whoever reads it finds one state or the next.

use super::certificate::Certificate;
use super::keys::Keys;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;
/// More is not a state of ours: 10,000 keys of a few kilobytes.
const MAX_FILE: u64 = 256 << 20;

/// The state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be read or written.
    #[error("the state's file")]
    File(#[from] io::Error),
    /// It is not what this program writes.
    #[error("the state's file is not one of this development KMS")]
    Form(#[from] serde_json::Error),
    /// It is of another format, too long, or another account's.
    #[error("the state's file is {0}; delete it to begin anew")]
    Foreign(&'static str),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<C, K> {
    format: u32,
    certificate: C,
    keys: K,
}

/// Where the state is kept.
pub(super) struct StateFile {
    path: PathBuf,
    certificate: Certificate,
}

/// What was kept.
pub(super) struct Kept {
    pub(super) certificate: Certificate,
    pub(super) keys: Keys,
}

impl StateFile {
    /// The file that keeps this certificate with the keys.
    pub(super) const fn new(path: PathBuf, certificate: Certificate) -> Self {
        Self { path, certificate }
    }

    /// What was kept there, if anything was.
    pub(super) fn load(path: &Path) -> Result<Option<Kept>, StateError> {
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        if found.len() > MAX_FILE {
            return Err(StateError::Foreign("too long"));
        }
        let stored: Stored<Certificate, Keys> = serde_json::from_slice(&fs::read(path)?)?;
        if stored.format != FORMAT {
            return Err(StateError::Foreign("of another format"));
        }
        Ok(Some(Kept { certificate: stored.certificate, keys: stored.keys }))
    }

    /// Keeps this state, for its owner's eyes only.
    pub(super) fn save(&self, keys: &Keys) -> Result<(), StateError> {
        let bytes =
            serde_json::to_vec(&Stored { format: FORMAT, certificate: &self.certificate, keys })?;
        let part = part_of(&self.path);
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        Ok(fs::rename(part, &self.path)?)
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
