//! `serve`: runs the server until it is told to stop.

use crate::config::Config;
use crate::serve::{Running, StartError};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Run the server: the HTTPS face, the link to the enclave, the relay to KMS and the key store.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer serve --config /etc/nitro-signer/config.toml

It ends in order on SIGTERM or SIGINT: requests in flight are answered first.")]
pub(super) struct Serve {
    /// The configuration, a TOML file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Serve {
    pub(super) fn run(self) -> ExitCode {
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return failed(&error),
        };
        match runtime.block_on(self.serve()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&*error),
        }
    }

    async fn serve(self) -> Result<(), Box<dyn std::error::Error>> {
        // Before anything else, so that no signal is missed.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let config = Config::load(&self.config).map_err(StartError::from)?;
        let running: Running = crate::serve::start(config).await?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    eprintln!("nitro-signer: {error}");
    ExitCode::from(2)
}
