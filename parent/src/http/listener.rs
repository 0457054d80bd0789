//! Connections: accepted in bounded number, given bounded time, ended in order.

use super::write_deadline::WriteDeadline;
use super::{Peer, tls};
use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::gauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// How many connections may be open at a time; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1_024;
/// How many of them may be in their TLS handshake: whoever has no certificate gets no further, and
/// must not keep out those who have one.
const MAX_HANDSHAKES: usize = 128;
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// How long a request's head may take to arrive, idle time before it included.
const HEADER_DEADLINE: Duration = Duration::from_secs(30);
/// How long a client may take none of an answer's bytes.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes.
const MAX_HEAD: usize = 16_384;
/// How long requests in flight may take once the server is to stop.
const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// What a port serves.
#[derive(Clone)]
pub(crate) enum Face {
    /// Clients, over TLS.
    Tls(TlsAcceptor),
    /// Probes, in plain HTTP.
    Plain,
}

/// Where connections come from.
pub(crate) trait Listener: Sync {
    /// One connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// The next connection.
    fn connection(&self) -> impl Future<Output = std::io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn connection(&self) -> std::io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // Small answers must not wait for each other (RFC 896).
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn connection(&self) -> std::io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

/// Accepts connections until `stop` says so, then lets what is in flight end.
pub(crate) async fn serve(
    listener: impl Listener,
    face: Face,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let places = Places::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        while connections.try_join_next().is_some() {}
        if let Some((stream, place)) = accepted {
            let (face, routes, stop) = (face.clone(), routes.clone(), stop.clone());
            connections.spawn(async move {
                gauge!("nitro_signer_connections").increment(1);
                face.converse(stream, place, routes, stop).await;
                gauge!("nitro_signer_connections").decrement(1);
            });
        }
    }
    drop(listener);
    let draining = async { while connections.join_next().await.is_some() {} };
    let _ = timeout(DRAIN_DEADLINE, draining).await;
}

/// The places for connections. One in its handshake holds a place of either kind, so that there
/// are always `MAX_CONNECTIONS - MAX_HANDSHAKES` that only finished handshakes can take.
struct Places {
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
}

/// What one connection holds.
struct Place {
    connection: OwnedSemaphorePermit,
    handshake: OwnedSemaphorePermit,
}

impl Places {
    fn new() -> Self {
        Self {
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
        }
    }

    /// Waits for a place; `None` never comes, for the semaphores are never closed.
    async fn take(&self) -> Option<Place> {
        let handshake = Arc::clone(&self.handshakes).acquire_owned().await.ok()?;
        let connection = Arc::clone(&self.connections).acquire_owned().await.ok()?;
        Some(Place { connection, handshake })
    }
}

async fn accept<L: Listener>(listener: &L, places: &Places) -> Option<(L::Stream, Place)> {
    let place = places.take().await?;
    match listener.connection().await {
        Ok(stream) => Some((stream, place)),
        Err(error) => {
            // Out of file descriptors, most likely: give connections time to end.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

impl Face {
    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        place: Place,
        routes: Router,
        stop: watch::Receiver<bool>,
    ) {
        let stream = WriteDeadline::new(stream, WRITE_DEADLINE);
        let Place { connection: _held, handshake } = place;
        match self {
            Self::Plain => {
                drop(handshake);
                converse(stream, Peer(None), routes, stop).await;
            }
            Self::Tls(acceptor) => {
                let Ok(Ok(stream)) = timeout(HANDSHAKE_DEADLINE, acceptor.accept(stream)).await
                else {
                    metrics::counter!("nitro_signer_handshake_failures_total").increment(1);
                    return;
                };
                drop(handshake);
                let certificates = stream.get_ref().1.peer_certificates();
                let name = certificates.and_then(|c| c.first()).and_then(tls::asserted_name);
                converse(stream, Peer(name), routes, stop).await;
            }
        }
    }
}

async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: Peer,
    routes: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        routes.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_DEADLINE)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let stopping = async move {
        // An error means that the server is gone, which is a stop too.
        let _ = stop.wait_for(|stop| *stop).await;
    };
    // How a client's connection ends is the client's affair.
    tokio::select! {
        _ = &mut connection => {}
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
