//! Do the files of a deployment do what they promise? Nothing of AWS or docker runs here: recipes are
//! read, units are judged by systemd, and the build script runs before stand-ins.

#![allow(clippy::unwrap_used, clippy::panic)]

mod build_script;
mod dockerfile;
mod units;

use nitro_signer_parent::config::Config;
use nitro_signer_parent::link::EnclaveAddress;
use std::fs;
use std::path::PathBuf;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nitro-signer");

/// A file of the repository.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

#[test]
fn the_example_configuration_loads_and_fits_the_units() {
    let config = Config::load(&path("parent/deploy/parent.toml")).unwrap();
    assert!(config.ops_listen.ip().is_loopback());
    let unit = text("parent/deploy/nitro-signer-enclave.service");
    let EnclaveAddress::Vsock(cid) = config.enclave else { panic!("is a release's") };
    assert!(unit.contains(&format!("--cid {cid} ")), "{unit}");
}

#[test]
fn the_allocator_reserves_what_the_unit_asks_for() {
    let allocator = text("parent/deploy/allocator.yaml");
    let unit = text("parent/deploy/nitro-signer-enclave.service");
    // nitro-cli's reader skips everything before this line, and knows no other keys.
    assert!(allocator.starts_with("---\n"));
    let keys = allocator.lines().skip(1).filter(|line| !line.starts_with('#'));
    assert_eq!(keys.collect::<Vec<_>>(), ["memory_mib: 256", "cpu_count: 2"]);
    assert!(unit.contains("--memory 256 --cpus 2 "), "{unit}");
}
