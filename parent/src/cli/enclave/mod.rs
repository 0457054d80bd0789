//! `enclave run | status | stop | watch`: starts the enclave by nitro-cli, and looks whether it is
//! what was meant.
//!
//! Everything nitro-cli says is the host's word, so these commands find mistakes and prove nothing:
//! none of them may say `verified`. There is no option for debug mode.

mod health;
mod image;
mod nitro_cli;
mod run;
mod signals;
mod status;
mod stop;
mod watch;

pub(super) use health::Meant;
pub(super) use image::{ListedImage, measurements};
pub(super) use nitro_cli::{Described, EnclaveName, NitroCli, NitroCliError, Started};
pub(super) use signals::Signals;

use super::output::{Failure, Report};

/// The enclave on this host, by nitro-cli: run, status, stop, watch.
#[derive(clap::Subcommand)]
pub(super) enum Enclave {
    Run(run::Run),
    Status(status::Status),
    Stop(stop::Stop),
    Watch(watch::Watch),
}

impl Enclave {
    pub(super) async fn run(self, json: bool) -> Result<Option<Report>, Failure> {
        match self {
            Self::Run(run) => run.run(json).await,
            Self::Status(status) => status.run().await.map(Some),
            Self::Stop(stop) => stop.run().await.map(Some),
            Self::Watch(watch) => watch.run().await.map(Some),
        }
    }
}

/// The name by which nitro-cli finds the enclave again.
#[derive(clap::Args)]
struct Named {
    /// The enclave's name.
    #[arg(long = "enclave-name", value_name = "NAME", default_value = "nitro-signer")]
    name: EnclaveName,
}

/// What an enclave is given of the host.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resources {
    pub(super) memory: u32,
    pub(super) cpus: u32,
    pub(super) cid: Option<u32>,
}

impl From<NitroCliError> for Failure {
    fn from(error: NitroCliError) -> Self {
        Self::of_nitro_cli(error.code(), error.to_string())
    }
}
