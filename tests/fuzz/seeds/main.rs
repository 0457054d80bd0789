//! Writes the seeds that the fuzz targets start from, in the form that each target's file describes:
//!
//!     fuzz-seeds FOLDER [REAL-DOCUMENTS]
//!
//! They are made from the repository's own types and the mock secure module, so none is committed
//! and none can be out of date. It belongs to the tests' package and not to the targets', since
//! nothing here needs to be built by their flags. Documents of real enclaves are read if there are
//! any, and never kept anywhere but in FOLDER.

mod documents;
mod images;
mod messages;
mod texts;
mod transactions;

// The targets' own: nothing of theirs stands in two places.
#[allow(unreachable_pub)]
#[path = "../src/cms.rs"]
mod cms;
#[allow(dead_code, unreachable_pub)]
#[path = "../src/ready.rs"]
mod ready;

use std::io;
use std::path::{Path, PathBuf};

/// The folder of all seeds, with one folder for each target.
struct Seeds(PathBuf);

impl Seeds {
    /// Writes one seed.
    fn add(&self, target: &str, name: &str, seed: impl AsRef<[u8]>) -> io::Result<()> {
        let folder = self.0.join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), seed)
    }
}

fn main() -> io::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(folder) = arguments.next() else {
        return Err(io::Error::other("usage: fuzz-seeds FOLDER [REAL-DOCUMENTS]"));
    };
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let seeds = Seeds(folder);
    documents::made(&seeds)?;
    if let Some(real) = arguments.next() {
        documents::real(&seeds, &real)?;
    }
    envelopes(&seeds)?;
    signatures(&seeds)?;
    images::write_all(&seeds)?;
    messages::write(&seeds)?;
    messages::manifests(&seeds, Path::new(env!("CARGO_MANIFEST_DIR")))?;
    texts::write(&seeds)?;
    transactions::write(&seeds)
}

/// Both forms in which KMS answers, and those it might.
fn envelopes(seeds: &Seeds) -> io::Result<()> {
    use cms::{Lengths, Parts, write};
    let content: Vec<u8> = (0..=255).cycle().take(4_112).collect();
    for (name, lengths, chunk, blocks) in [
        ("one-piece", Lengths::Indefinite, None, 3),
        ("one-chunk", Lengths::Indefinite, Some(1_000), 3),
        ("chunks", Lengths::Indefinite, Some(20), 3),
        ("definite", Lengths::Definite, None, 1),
        ("definite-chunks", Lengths::Definite, Some(16), 2),
        ("longest", Lengths::Indefinite, Some(1_000), 257),
    ] {
        let parts = Parts {
            recipient: &[0x11; 32],
            key: &[0x22; 256],
            iv: &[0x33; 16],
            content: &content[..blocks * 16],
        };
        seeds.add("cms", name, write(&parts, lengths, chunk))?;
    }
    Ok(())
}

/// Each way of bending a signature, without a change and with one.
fn signatures(seeds: &Seeds) -> io::Result<()> {
    for how in 0..32u8 {
        for change in [0, 1, 0x80] {
            let seed = [&[7, how, 40, change, 0, 0, 0, 0, 0, 0], &[how; 96][..], b"message"];
            seeds.add("p384", &format!("{how}-{change}"), seed.concat())?;
        }
    }
    Ok(())
}
