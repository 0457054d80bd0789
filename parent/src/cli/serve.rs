//! `serve`: runs the server until it is told to stop.

use super::output::Failure;
use crate::config::Config;
use crate::serve::StartError;
use std::path::PathBuf;
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
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Failure::usage(e.to_string()))?;
        runtime.block_on(self.serve()).map_err(|e| Failure::usage(e.to_string()))
    }

    async fn serve(self) -> Result<(), Box<dyn std::error::Error>> {
        // Before anything else, so that no signal is missed.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let config = Config::load(&self.config).map_err(StartError::from)?;
        let running = crate::serve::start(config).await?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    }
}
