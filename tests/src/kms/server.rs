//! HTTPS around the service: connections, limits and the shape of answers.

use super::error::ApiError;
use super::service::{self, Reply, Service};
use aws_lc_rs::rand;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// The longest body, in bytes: the largest attestation document KMS takes, 262,144 bytes, is
/// 349,528 in base64.
const MAX_BODY: usize = 1_048_576;
const MAX_CONNECTIONS: usize = 256;
/// For the TLS handshake, for a request's headers, and for its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until it is dropped; its connections end with it.
pub(super) async fn serve(listener: TcpListener, tls: TlsAcceptor, service: Arc<Service>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, peer)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let (tls, service) = (tls.clone(), service.clone());
        connections.spawn(async move {
            connection(stream, peer, tls, service).await;
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, tls: TlsAcceptor, service: Arc<Service>) {
    let Ok(Ok(stream)) = timeout(READ_TIMEOUT, tls.accept(stream)).await else {
        tracing::debug!("a connection without a TLS handshake");
        return;
    };
    let answer = service_fn(|request| exchange(&service, peer, request));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// An error closes the connection without an answer.
async fn exchange(
    service: &Service,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let id = request_id();
    let response = |result| response(&id, result);
    let (head, body) = request.into_parts();
    if head.method != Method::POST || head.uri.path() != "/" || head.uri.query().is_some() {
        return response(Err(ApiError::unknown_operation()));
    }
    let body = match timeout(READ_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return response(Err(ApiError::too_large(MAX_BODY)));
        }
        Ok(Err(_)) | Err(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
    };
    let source = peer.ip().to_string();
    let incoming =
        service::Incoming { headers: &head.headers, body: &body, source: &source, id: &id };
    match service.handle(&incoming).await {
        Reply::Answer(answer) => response(Ok(answer)),
        Reply::Refusal(error) => response(Err(error)),
        Reply::Close => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

fn response(
    id: &str,
    result: Result<Option<serde_json::Value>, ApiError>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let (status, body) = match result {
        Ok(None) => (StatusCode::OK, Bytes::new()),
        Ok(Some(answer)) => (StatusCode::OK, Bytes::from(answer.to_string())),
        Err(error) => (error.status, Bytes::from(error.body().to_string())),
    };
    Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amzn-requestid", id)
        .body(Full::new(body))
        .map_err(io::Error::other)
}

/// A random UUID, for a request or an event. Nothing depends on it.
pub(super) fn request_id() -> String {
    let mut id = [0; 16];
    if rand::fill(&mut id).is_err() {
        tracing::warn!("an id of zeros: the machine gave no randomness");
    }
    let hex = hex::encode(id);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
