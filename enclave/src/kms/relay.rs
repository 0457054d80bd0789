//! The relay lines: connections that the parent opened towards us and keeps idle.
//!
//! The enclave never dials. When it needs KMS it takes a line and names the one host it wants; the
//! parent joins the line to a TCP connection. What comes through is untrusted until TLS inside it
//! has verified the peer.
//!
//! ```text
//! enclave → parent   n (one byte, 1..=255), then n ASCII bytes "host:port"
//! parent → enclave   one byte: 0 joined, 1 not allowed, 2 unreachable
//! ```

use crate::server::{Listener, Peer};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Mutex, mpsc};

/// How many idle lines are held; further ones wait in the listener's queue.
const IDLE_LINES: usize = 8;
/// How long to wait for a line before giving up.
const LINE_WAIT: Duration = Duration::from_secs(5);
/// How long the parent may take to join a line; then the next one is tried.
const JOIN_WAIT: Duration = Duration::from_secs(3);

/// Idle lines, ready to be joined. Clones share them.
#[derive(Clone)]
pub struct RelayLines(Arc<Mutex<mpsc::Receiver<Peer>>>);

/// Why a line could not be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFailure {
    /// None was there, or it broke.
    Line,
    /// The parent does not allow the host.
    NotAllowed,
    /// The parent could not reach the host.
    Unreachable,
}

impl RelayLines {
    /// Accepts lines from the listener for as long as the process lives.
    pub fn accept(listener: impl Listener) -> Self {
        let (sender, receiver) = mpsc::channel(IDLE_LINES);
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    // The queue's bound is the limit: accepting waits while it is full.
                    Ok(line) => {
                        if sender.send(line).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a relay line could not be accepted");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Self(Arc::new(Mutex::new(receiver)))
    }

    /// Takes a line and has it joined to `host:port`. A line that broke while idle is passed over.
    pub(super) async fn join(&self, host: &str, port: u16) -> Result<Peer, LineFailure> {
        let name = format!("{host}:{port}");
        let length = u8::try_from(name.len()).map_err(|_| LineFailure::NotAllowed)?;
        let greeting = [&[length], name.as_bytes()].concat();
        for _ in 0..=IDLE_LINES {
            let mut line = self.take().await?;
            match tokio::time::timeout(JOIN_WAIT, greet(&mut line, &greeting)).await {
                Ok(Ok(0)) => return Ok(line),
                Ok(Ok(1)) => return Err(LineFailure::NotAllowed),
                Ok(Ok(_)) => return Err(LineFailure::Unreachable),
                // Silent, or closed while it lay idle: the parent was restarted, say. The next
                // may live.
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(LineFailure::Line)
    }

    async fn take(&self) -> Result<Peer, LineFailure> {
        let taking = async { self.0.lock().await.recv().await };
        match tokio::time::timeout(LINE_WAIT, taking).await {
            Ok(Some(line)) => Ok(line),
            _ => Err(LineFailure::Line),
        }
    }
}

async fn greet(line: &mut Peer, greeting: &[u8]) -> std::io::Result<u8> {
    line.write_all(greeting).await?;
    line.flush().await?;
    line.read_u8().await
}
