//! The enclave. Names what ships and nothing else: /dev/nsm, vsock, the parent's CID, Amazon's
//! roots. There is nothing to choose: no argument, no environment variable, no file.

use nitro_signer_enclave::entropy::{self, KernelPool};
use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_enclave::nsm::{Device, Module};
use nitro_signer_enclave::server::ParentListener;
use nitro_signer_enclave::start::{self, Parts};
use nitro_signer_enclave::{amazon, log};
use nitro_signer_shared::message::{RELAY_PORT, REQUEST_PORT};
use std::error::Error;
use std::process::ExitCode;

/// The CID by which an enclave sees its parent (AWS Nitro Enclaves User Guide, "Concepts").
const PARENT_CID: u32 = 3;

fn main() -> ExitCode {
    log::start();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by the log, whose thread may not come to it any more.
            eprintln!("the enclave does not start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    // Before the runtime, which draws from the pool when it is built.
    let module = entropy::seed(Module::new(Device::open()?), &KernelPool)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let parts = Parts {
            module,
            roots: TrustRoots::from_pem(amazon::ROOTS)?,
            requests: ParentListener::bind(REQUEST_PORT, PARENT_CID)?,
            lines: ParentListener::bind(RELAY_PORT, PARENT_CID)?,
        };
        Ok(start::run(parts).await?)
    })
}
