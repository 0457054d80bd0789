//! The command line: operators' and verifiers' commands, and the server's start.
//!
//! Output is for people, or with `--json` for programs, by stable keys. A command prints what it
//! verified and nothing that it did not; exit codes are part of the interface.

mod attestation;
mod check;
mod client;
mod connection;
mod doctor;
mod enclave;
mod key;
mod key_policy;
mod manifest;
mod output;
mod policy;
mod proof;
mod proxy;
mod serve;
mod sign;
mod status;
mod trust;
mod vault;

use clap::{Parser, Subcommand};
use output::{Failure, Report};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// An Ethereum signing appliance whose keys live in an AWS Nitro Enclave.
#[derive(Parser)]
#[command(name = "nitro-signer", version, propagate_version = true)]
#[command(after_help = "\
Exit codes:
  0 done            3 attestation document malformed   6 enclave in debug mode
  1 refused, or     4 chain or signature               7 the appliance cannot be reached
    a mismatch      5 time
  2 usage

`enclave` and `doctor` have their own meanings of 3 and 7; see their help.

Commands that speak to an appliance need --url, --ca, --cert and --key, or --stack FILE (also from
the environment: NITRO_SIGNER_STACK), which names them all.")]
struct Arguments {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    /// A file that names the appliance and everything to reach and judge it, as the local stack
    /// writes it.
    #[arg(long, global = true, value_name = "FILE")]
    stack: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
    Proxy(proxy::Proxy),
    Status(status::Status),
    #[command(subcommand)]
    Vault(vault::Vault),
    #[command(subcommand)]
    Key(key::Key),
    #[command(subcommand)]
    Sign(sign::Sign),
    #[command(subcommand)]
    Attestation(attestation::Attestation),
    #[command(subcommand)]
    Manifest(manifest::Manifest),
    #[command(subcommand)]
    Policy(policy::Policy),
    #[command(subcommand)]
    KeyPolicy(key_policy::KeyPolicy),
    #[command(subcommand)]
    Enclave(Box<enclave::Enclave>),
    Doctor(Box<doctor::Doctor>),
}

/// Runs one command; `args` begins with the program's name.
pub(crate) fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Nothing is left to do if the terminal is gone.
            let _ = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    let json = arguments.json;
    match arguments.execute() {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(report)) => report.print(json),
        Err(failure) => failure.print(json),
    }
}

impl Arguments {
    fn execute(self) -> Result<Option<Report>, Failure> {
        if let Command::Serve(serve) = self.command {
            return serve.run().map(|()| None);
        }
        let json = self.json;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::usage(e.to_string()))?;
        let stack = connection::Stack::find(self.stack)?;
        let working = async {
            let report = match self.command {
                Command::Serve(_) => Ok(Report::default()),
                Command::Proxy(proxy) => return proxy.run(&stack).await.map(|()| None),
                Command::Status(status) => status.run(&stack).await,
                Command::Vault(vault) => vault.run(&stack).await,
                Command::Key(key) => key.run(&stack).await,
                Command::Sign(sign) => sign.run(&stack).await,
                Command::Attestation(attestation) => attestation.run(&stack, json).await,
                Command::Manifest(manifest) => manifest.run(),
                Command::Policy(policy) => policy.run(),
                Command::KeyPolicy(key_policy) => key_policy.run(json).await,
                Command::Enclave(enclave) => return enclave.run(json).await,
                Command::Doctor(doctor) => doctor.run(&stack).await,
            };
            report.map(Some)
        };
        runtime.block_on(working)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
