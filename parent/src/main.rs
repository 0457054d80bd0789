//! `nitro-signer`: the parent's server and the command line. All of it is the library's
//! [`run`](nitro_signer_parent::run); nothing is decided here.

use std::process::ExitCode;

fn main() -> ExitCode {
    nitro_signer_parent::run(std::env::args_os())
}
