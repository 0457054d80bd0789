//! Idle connections to the enclave by which it reaches KMS, and nothing else.
//!
//! After boot the enclave has no way out of its own. It takes one of these connections, names a
//! host, and the parent joins it to a TCP connection; TLS runs through it from the enclave to KMS,
//! so the parent sees ciphertext. The line protocol: the enclave writes one byte n (1 to 255) and
//! n bytes `host:port`; the parent answers one byte, 0 joined, 1 not allowed, 2 unreachable, and
//! copies both ways until either side closes. Each connection serves once. The relay must never
//! join anything but the one name that the manifest's KMS key gives.

use super::{Backoff, EnclaveAddress, Stream};
use metrics::{counter, gauge};
use nitro_signer_shared::message::RELAY_PORT;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How many connections stand ready.
const IDLE: usize = 4;
/// How many may be joined at a time. The enclave makes few calls to KMS, one after the other.
const MAX_JOINED: usize = 16;
const DIAL_DEADLINE: Duration = Duration::from_secs(10);
const NAME_DEADLINE: Duration = Duration::from_secs(10);
const IDLE_DEADLINE: Duration = Duration::from_secs(60);
const CHUNK: usize = 16_384;

const JOINED: u8 = 0;
const NOT_ALLOWED: u8 = 1;
const UNREACHABLE: u8 = 2;

/// What the relay joins: one name, and where that name is.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The only name allowed, `host:port`.
    pub(crate) name: String,
    /// What is connected to for it, `host:port`: the same, unless the configuration redirects it
    /// to a VPC endpoint. TLS ends in the enclave, so a redirection cannot forge KMS.
    pub(crate) connect: String,
}

/// Keeps [`IDLE`] connections ready for as long as it is polled.
pub(crate) async fn run(enclave: EnclaveAddress, target: Target) {
    let relay = Arc::new(Relay { enclave, target, joined: Arc::new(Semaphore::new(MAX_JOINED)) });
    let mut lines = JoinSet::new();
    for _ in 0..IDLE {
        lines.spawn(Arc::clone(&relay).keep_one_ready());
    }
    // They never end; should one panic, the rest go on.
    while lines.join_next().await.is_some() {}
}

struct Relay {
    enclave: EnclaveAddress,
    target: Target,
    joined: Arc<Semaphore>,
}

impl Relay {
    async fn keep_one_ready(self: Arc<Self>) {
        let mut backoff = Backoff::connecting();
        // Ends with this task, and with it every line that is joined.
        let mut joined = JoinSet::new();
        loop {
            match self.wait_for_one().await {
                Ok(Some((line, remote, slot))) => {
                    backoff.reset();
                    joined.spawn(async move {
                        let gauge = gauge!("nitro_signer_relay_connections", "state" => "joined");
                        gauge.increment(1);
                        copy_both(line, remote).await;
                        gauge.decrement(1);
                        drop(slot);
                    });
                }
                // A line that was refused is still a live enclave.
                Ok(None) => backoff.reset(),
                Err(_) => tokio::time::sleep(backoff.next()).await,
            }
            while joined.try_join_next().is_some() {}
        }
    }

    /// Opens a line, waits until the enclave takes it, and dials. `None` if it was refused.
    async fn wait_for_one(
        &self,
    ) -> io::Result<Option<(Box<dyn Stream>, TcpStream, OwnedSemaphorePermit)>> {
        let mut line = self.enclave.connect(RELAY_PORT).await?;
        let idle = gauge!("nitro_signer_relay_connections", "state" => "idle");
        idle.increment(1);
        let named = read_name(&mut line).await;
        idle.decrement(1);
        let answer = match self.join(&named?).await {
            Ok((remote, slot)) => {
                line.write_all(&[JOINED]).await?;
                counter!("nitro_signer_relay_total", "outcome" => "joined").increment(1);
                return Ok(Some((line, remote, slot)));
            }
            Err(answer) => answer,
        };
        let outcome = if answer == NOT_ALLOWED { "not_allowed" } else { "unreachable" };
        counter!("nitro_signer_relay_total", "outcome" => outcome).increment(1);
        tracing::warn!(outcome, "a relay line was refused");
        line.write_all(&[answer]).await?;
        line.shutdown().await?;
        Ok(None)
    }

    async fn join(&self, name: &[u8]) -> Result<(TcpStream, OwnedSemaphorePermit), u8> {
        if name != self.target.name.as_bytes() {
            return Err(NOT_ALLOWED);
        }
        let slot = Arc::clone(&self.joined).try_acquire_owned().map_err(|_| UNREACHABLE)?;
        match timeout(DIAL_DEADLINE, TcpStream::connect(&self.target.connect)).await {
            Ok(Ok(remote)) => Ok((remote, slot)),
            _ => Err(UNREACHABLE),
        }
    }
}

/// The name: its first byte may take any time, the rest must follow.
async fn read_name(line: &mut Box<dyn Stream>) -> io::Result<Vec<u8>> {
    let length = line.read_u8().await?;
    if length == 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut name = vec![0; usize::from(length)];
    timeout(NAME_DEADLINE, line.read_exact(&mut name)).await??;
    Ok(name)
}

/// Copies both ways until either side closes, fails, or nothing moves for [`IDLE_DEADLINE`].
async fn copy_both(mut line: Box<dyn Stream>, mut remote: TcpStream) {
    let (mut up, mut down) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let copied = tokio::select! {
            read = line.read(&mut up) => pass_on(read, &up, &mut remote).await,
            read = remote.read(&mut down) => pass_on(read, &down, &mut line).await,
            () = tokio::time::sleep(IDLE_DEADLINE) => break,
        };
        if !copied {
            break;
        }
    }
    let _ =
        timeout(NAME_DEADLINE, async { tokio::join!(line.shutdown(), remote.shutdown()) }).await;
}

/// Whether something was read and written.
async fn pass_on<W: AsyncWriteExt + Unpin>(
    read: io::Result<usize>,
    chunk: &[u8],
    to: &mut W,
) -> bool {
    let count = read.unwrap_or(0);
    let writing = async { to.write_all(&chunk[..count]).await.and(to.flush().await) };
    count > 0 && matches!(timeout(IDLE_DEADLINE, writing).await, Ok(Ok(())))
}

#[cfg(test)]
#[path = "relay_tests.rs"]
mod tests;
