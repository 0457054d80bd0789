//! From power-on to a listening service, in the one order that is safe.
//!
//! The secure module is there → the kernel's random pool is fed from it before anything draws →
//! the manifest's register is pristine and debug mode is known → the clock starts → the service
//! listens. Everything a host could choose is a value of `main`, never a setting.

use crate::clock::{self, Clock};
use crate::entropy::SeededModule;
use crate::image_manifest::ImageManifest;
use crate::kms::{RelayLines, TrustRoots};
use crate::nsm::{Mode, Module, ModuleError};
use crate::server::{self, Listener};
use crate::service::Service;
use std::sync::Arc;

/// What `main` chooses.
pub struct Parts<R, L> {
    /// The secure module, after the random pool was fed from it.
    pub module: SeededModule,
    /// Which manifests the image takes.
    pub manifest: ImageManifest,
    /// The certificate authorities KMS may be certified by.
    pub roots: TrustRoots,
    /// The port for request frames.
    pub requests: R,
    /// The port for relay lines.
    pub lines: L,
}

/// Why the enclave does not start.
#[derive(Debug, thiserror::Error)]
#[error("the secure module does not serve")]
pub struct StartError(#[from] ModuleError);

/// Starts the enclave and serves for as long as the process lives.
///
/// # Errors
/// [`StartError`] before the first request is read; the process must end.
pub async fn run<R: Listener, L: Listener>(parts: Parts<R, L>) -> Result<(), StartError> {
    let module = parts.module.into_module();
    module.check_manifest_pcr()?;
    let mode = module.mode()?;
    if mode == Mode::Debug {
        tracing::warn!("debug mode: no key will be released to this enclave");
    }
    let clock = Clock::start(&module)?;
    keep_time(clock.clone(), module.clone());
    let lines = RelayLines::accept(parts.lines);
    let service = Service::new(module, mode, parts.manifest, clock, lines, parts.roots)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "listening");
    server::serve(parts.requests, Arc::new(service)).await;
    Ok(())
}

fn keep_time(clock: Clock, module: Module) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(clock::REFRESH).await;
            let (clock, module) = (clock.clone(), module.clone());
            let refreshed = tokio::task::spawn_blocking(move || clock.refresh(&module)).await;
            if !matches!(refreshed, Ok(Ok(()))) {
                tracing::warn!("the clock could not be taken anew; it runs on");
            }
        }
    });
}
