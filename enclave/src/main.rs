//! The enclave. Names what ships and nothing else: the parent's CID and Amazon's roots, beside
//! /dev/nsm and vsock, which the library knows alone. There is nothing to choose: no argument, no
//! environment variable, and no file but the manifest that an image may bring.

use nitro_signer_enclave::amazon;
use nitro_signer_enclave::power_on::{self, Values};
use std::process::ExitCode;

/// The CID by which an enclave sees its parent (AWS Nitro Enclaves User Guide, "Concepts").
const PARENT_CID: u32 = 3;

fn main() -> ExitCode {
    power_on::run(Values { parent_cid: PARENT_CID, kms_roots: &amazon::ROOTS })
}
