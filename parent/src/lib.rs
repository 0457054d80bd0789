//! `nitro-signer`: the parent process on the host, and the operator's and verifier's command line.
//!
//! The parent gives the enclave an HTTPS face, storage and a network, and is trusted for
//! availability only: everything that matters is decided again inside the enclave. It must never
//! hold a private key, fill in a transaction, or soften a refusal.

mod appliance;
mod cli;
pub mod config;
pub mod credentials;
pub mod ethereum;
mod exchange;
mod http;
pub mod link;
pub mod serve;
pub mod store;
mod telemetry;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command line; `args` begins with the program's name.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    cli::run(args)
}
