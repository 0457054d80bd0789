//! From the program's first instruction to [`start::run`] on Nitro: the same for the enclave that
//! ships and for the development image, which differ in the values that their `main` names.

use crate::entropy::{self, KernelPool};
use crate::first_process::FirstProcess;
use crate::image_manifest::{self, ImageManifest};
use crate::kms::TrustRoots;
use crate::nsm::{Device, Module};
use crate::server::ParentListener;
use crate::start::{self, Parts};
use crate::{limits, log};
use nitro_signer_shared::message::{RELAY_PORT, REQUEST_PORT};
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// What `main` names.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The CID from which connections are taken.
    pub parent_cid: u32,
    /// The certificate authorities KMS may be certified by, in PEM.
    pub kms_roots: &'a [&'a str],
}

/// Runs the enclave for as long as the machine lives. To be called first of all.
#[must_use]
pub fn run(values: Values<'_>) -> ExitCode {
    match power_on(values) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Not by the log, whose thread may not come to it any more.
            eprintln!("the enclave does not start: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn power_on(values: Values<'_>) -> Result<(), Box<dyn Error>> {
    let first = FirstProcess::prepare(&limits::apply()?)?;
    log::start();
    let manifest = ImageManifest::read(Path::new(image_manifest::PATH))?;
    // Before the runtime, which draws from the pool when it is built.
    let module = entropy::seed(Module::new(Device::open()?), &KernelPool)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let parts = Parts {
            module,
            manifest,
            roots: TrustRoots::from_pem(values.kms_roots.iter().copied())?,
            requests: ParentListener::bind(REQUEST_PORT, values.parent_cid)?,
            lines: ParentListener::bind(RELAY_PORT, values.parent_cid)?,
        };
        if let Some(first) = first {
            first.report_start(values.parent_cid).await?;
        }
        Ok(start::run(parts).await?)
    })
}

fn chain(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
