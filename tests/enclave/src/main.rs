//! The development image's first process: the library that ships, with two other values.
//!
//! KMS is certified by a development root, which the image has in a file, and the parent is where
//! vhost-device-vsock shows the host to its guests. No production key is ever released to it: its
//! measurements are its own.

use nitro_signer_enclave::power_on::{self, Values};
use std::process::ExitCode;

/// The host of an ordinary virtual machine (vsock(7), `VMADDR_CID_HOST`).
const PARENT_CID: u32 = 2;
/// The development KMS's certificate authority, in PEM.
const KMS_ROOT: &str = "/kms-ca.pem";

fn main() -> ExitCode {
    match std::fs::read_to_string(KMS_ROOT) {
        Ok(root) => power_on::run(Values { parent_cid: PARENT_CID, kms_roots: &[&root] }),
        Err(error) => {
            eprintln!("{KMS_ROOT}: {error}");
            ExitCode::FAILURE
        }
    }
}
