//! The command line: operators' and verifiers' commands, and the server's start.
//!
//! Output is for people, or with `--json` for programs, by stable keys. A command prints what it
//! verified and nothing that it did not; exit codes are part of the interface.

mod serve;

use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

/// An Ethereum signing appliance whose keys live in an AWS Nitro Enclave.
#[derive(Parser)]
#[command(name = "nitro-signer", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Serve),
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
    match arguments.command {
        Command::Serve(serve) => serve.run(),
    }
}
