//! The local stack: development KMS, development enclave and parent on this machine, and a walk
//! through all of it that prints what happened.
//!
//! One program plays every part; enclave and parent are processes of their own, over the same
//! libraries that ship. `dev cli …` is the parent's command line.

use clap::{Parser, Subcommand};
use nitro_signer_image::binary;
use nitro_signer_tests::stack::{self, Enclosure, Plan, Stack, Workshop};
use nitro_signer_tests::{process, tour, vm};
use std::error::Error;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Runs the local stack: creates a key, signs, verifies, prints what happened, and stays up.
///
/// Examples:
///   dev --once
///   dev --dir /tmp/stack
///   dev --keep
///   dev --vm
///   dev kms --dir /tmp/kms
///   dev cli --stack target/dev/stack.json key list
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Exit after the demonstration: 0 if every step succeeded.
    #[arg(long)]
    once: bool,
    /// Run the enclave as an image in a virtual machine: kernel, /dev/nsm, vsock. `tests/run setup`
    /// fetches QEMU and builds the kernel.
    #[arg(long)]
    vm: bool,
    /// Go on with the vault, keys and KMS that an earlier stack left in the folder.
    #[arg(long)]
    keep: bool,
    /// Put this key policy in place of the stack's own; with --keep, one that was made for its image,
    /// manifest and roles.
    #[arg(long, value_name = "FILE")]
    key_policy: Option<PathBuf>,
    /// Where to put what the stack makes; a stack's folder is emptied first, unless kept.
    #[arg(long, default_value = "target/dev")]
    dir: PathBuf,
}

#[derive(Subcommand)]
enum Part {
    /// The development enclave's process; ends with its standard input.
    #[command(hide = true)]
    Enclave {
        /// The stack's folder.
        #[arg(long)]
        dir: PathBuf,
    },
    /// The parent's process; ends with its standard input.
    #[command(hide = true)]
    Parent {
        /// The parent's configuration.
        #[arg(long)]
        config: PathBuf,
    },
    /// The first process of a parent instance in a virtual machine.
    #[command(hide = true)]
    Guest,
    /// The development KMS alone, until ctrl-c. Its keys stay in its folder, and kms-client.json
    /// there says how to reach it.
    Kms {
        /// Its folder.
        #[arg(long, default_value = "target/dev-kms")]
        dir: PathBuf,
    },
    /// The parent's command line, as `nitro-signer` has it.
    #[command(disable_help_flag = true)]
    Cli {
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    binary::wrap_rustc();
    let arguments = Arguments::parse();
    match arguments.part {
        None => report(demonstrate(arguments)),
        Some(Part::Enclave { dir }) => {
            process::end_with_standard_input();
            report(stack::run_enclave(&dir))
        }
        Some(Part::Parent { config }) => {
            process::end_with_standard_input();
            let arguments: [OsString; 4] =
                ["nitro-signer".into(), "serve".into(), "--config".into(), config.into()];
            nitro_signer_parent::run(arguments)
        }
        Some(Part::Kms { dir }) => report(serve_kms(&dir)),
        Some(Part::Guest) => report(vm::pair::run_parent_instance()),
        Some(Part::Cli { arguments }) => {
            nitro_signer_parent::run(std::iter::once("nitro-signer".into()).chain(arguments))
        }
    }
}

fn report(outcome: Result<(), Box<dyn Error>>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dev: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve_kms(dir: &Path) -> Result<(), Box<dyn Error>> {
    stack::run_kms(dir).await
}

#[tokio::main]
async fn demonstrate(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let program = std::env::current_exe()?;
    let enclosure = match arguments.vm {
        true => Enclosure::Machine(Workshop::open(&program)?),
        false => Enclosure::Process,
    };
    let key_policy = arguments.key_policy.map(std::fs::read_to_string).transpose()?;
    let stack = Stack::start_as(
        &arguments.dir,
        &program,
        Plan { keep: arguments.keep, key_policy, ..Plan::new(enclosure) },
    )
    .await?;
    tour::walk(&stack).await?;
    if arguments.once {
        return Ok(());
    }
    println!("\nThe stack stays up until ctrl-c.");
    process::until_asked_to_end().await?;
    Ok(())
}
