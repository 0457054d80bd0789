//! The request port: frames in, frames out, bounded in number and size.
//!
//! One connection per parent is the rule; a few more are accepted so that a parent that restarts
//! need not wait for its old connection to be noticed. A frame that is not one ends its connection.

use crate::service::{Incoming, Service, Undecodable};
use nitro_signer_shared::frame::{self, FrameError};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc};
use tokio_vsock::{VMADDR_CID_ANY, VsockAddr, VsockListener};

/// Connections served at once.
const MAX_CONNECTIONS: usize = 4;
/// Requests in work at once, over all connections. With the frame limit this bounds what requests
/// can occupy to 45 MiB of an enclave's memory, and their answers likewise. Reading one takes more
/// while it lasts, at most some 50 MiB for typed data of which rules look at everything; that is
/// never more often than there are processors, since nothing waits in between.
const MAX_IN_FLIGHT: usize = 32;
/// How long the peer may take to read one answer; then its connection is given up.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// A byte stream to the parent.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection that the parent opened.
pub type Peer = Box<dyn Stream>;

/// Where connections of the parent come in. A value of `main`; the one that ships is
/// [`ParentListener`].
pub trait Listener: Send + 'static {
    /// The next connection.
    fn accept(&self) -> impl Future<Output = io::Result<Peer>> + Send;
}

/// A vsock port that accepts connections from one CID.
pub struct ParentListener {
    listener: VsockListener,
    parent_cid: u32,
}

impl ParentListener {
    /// Listens on this port, for this peer only.
    ///
    /// # Errors
    /// If the port cannot be bound.
    pub fn bind(port: u32, parent_cid: u32) -> io::Result<Self> {
        let listener = VsockListener::bind(VsockAddr::new(VMADDR_CID_ANY, port))?;
        Ok(Self { listener, parent_cid })
    }
}

impl Listener for ParentListener {
    async fn accept(&self) -> io::Result<Peer> {
        loop {
            let (stream, address) = self.listener.accept().await?;
            if address.cid() == self.parent_cid {
                return Ok(Box::new(stream));
            }
            tracing::warn!(cid = address.cid(), "a connection from another CID was dropped");
        }
    }
}

/// Serves requests for as long as the process lives.
pub async fn serve(listener: impl Listener, service: Arc<Service>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    loop {
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok(peer) => {
                let (service, in_flight) = (service.clone(), in_flight.clone());
                tokio::spawn(async move {
                    if let Err(error) = connection(peer, service, in_flight).await {
                        tracing::warn!(%error, "a connection was given up");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(
    peer: Peer,
    service: Arc<Service>,
    in_flight: Arc<Semaphore>,
) -> Result<(), FrameError> {
    let (mut reader, mut writer) = tokio::io::split(peer);
    let (answers, mut outbox) = mpsc::channel::<frame::Body>(1);
    let writing = tokio::spawn(async move {
        while let Some(answer) = outbox.recv().await {
            let writing = frame::write(&mut writer, &answer);
            if !matches!(tokio::time::timeout(WRITE_DEADLINE, writing).await, Ok(Ok(()))) {
                return;
            }
        }
    });
    let outcome = loop {
        // A permit first: while too much is in work, the parent's bytes wait on its side.
        let Ok(permit) = in_flight.clone().acquire_owned().await else { break Ok(()) };
        let body = match frame::read(&mut reader).await {
            Ok(body) => body,
            Err(FrameError::Closed) => break Ok(()),
            Err(error) => break Err(error),
        };
        let (service, answers) = (service.clone(), answers.clone());
        let incoming = match Incoming::decode(&body) {
            Err(Undecodable::Hopeless) => break Err(FrameError::Body),
            incoming => incoming,
        };
        drop(body);
        tokio::spawn(async move {
            let answer = match incoming {
                Ok(incoming) => service.answer(incoming).await,
                Err(Undecodable::Answered(refusal)) => refusal,
                Err(Undecodable::Hopeless) => return,
            };
            // The connection may be gone; then nobody waits for the answer.
            let _ = answers.send(answer).await;
            drop(permit);
        });
    };
    drop(answers);
    // Answers in work are still written; if the peer is gone, writing fails by itself.
    let _ = writing.await;
    outcome
}
