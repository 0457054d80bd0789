//! The request to end, from a terminal or from systemd.

use crate::cli::output::Failure;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT, SIGTERM and SIGHUP, from when this is made: none of them ends the process any more, so
/// that nothing is left running behind it.
pub(in crate::cli) struct Signals([Signal; 3]);

impl Signals {
    pub(in crate::cli) fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|e| Failure::usage(e.to_string()));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits for one.
    pub(in crate::cli) async fn come(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }

    /// Whether one came within this time.
    pub(in crate::cli) async fn came_within(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.come()).await.is_ok()
    }
}
