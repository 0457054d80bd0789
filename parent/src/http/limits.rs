//! What one request may take, and the record of what became of it.
//!
//! A body is received before a place to work is taken, so that bodies that come slowly keep only
//! their own connections, whose number is bounded. Every request is counted and logged once, by
//! its outcome; one whose client left, too.

use super::problem::Problem;
use super::{Outcome, Peer, Served, json_rpc};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, gauge, histogram};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest request body, in bytes: a transaction of the largest size in hex fits.
const MAX_REQUEST: usize = 1_048_576;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);
/// How long a request may be worked on; above every deadline of the link.
const REQUEST_DEADLINE: Duration = Duration::from_secs(300);
/// How many requests are worked on at a time; the link's own limit is as many.
const MAX_CONCURRENT: usize = 256;

/// The places in which requests are worked on.
#[derive(Clone)]
pub(super) struct Places(Arc<Semaphore>);

impl Places {
    /// Up to this many more places, as far as there are any; for the items of a batch beside the
    /// first, which works in the batch's own place.
    pub(super) fn some(&self, most: usize) -> Vec<OwnedSemaphorePermit> {
        (0..most).map_while(|_| Arc::clone(&self.0).try_acquire_owned().ok()).collect()
    }
}

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_CONCURRENT)))
    }
}

/// Bounds how many requests are worked on and for how long, and measures them.
pub(super) async fn within_limits(
    State(places): State<Places>,
    request: Request,
    next: Next,
) -> Response {
    let route = route_name(request.uri().path());
    let client = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
    let mut record = Record::begin(route, client);
    let response = match work(&places, request, next).await {
        Ok(response) => response,
        Err(refusal) if route == "json_rpc" => json_rpc::failed(&Value::Null, &refusal),
        Err(refusal) => Problem::from(refusal).into_response(),
    };
    record.answered(&response);
    response
}

async fn work(places: &Places, request: Request, next: Next) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let body = read_body(body).await?;
    let _place = places.0.try_acquire().map_err(|_| RefusalCode::Busy)?;
    let _in_flight = InFlight::begin();
    let answer = next.run(Request::from_parts(head, Body::from(body)));
    let answer = tokio::time::timeout(REQUEST_DEADLINE, answer).await;
    answer.map_err(|_| RefusalCode::Deadline.into())
}

/// Counted as in flight until it is dropped.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        gauge!("nitro_signer_requests_in_flight").increment(1);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        gauge!("nitro_signer_requests_in_flight").decrement(1);
    }
}

/// What became of a request, counted and logged when it is dropped: the server drops a request in
/// the middle when its client leaves.
pub(super) struct Record {
    served: &'static str,
    code: &'static str,
    client: Option<String>,
    started: Instant,
}

impl Record {
    /// A request, or one item of a batch, that has come.
    pub(super) fn begin(route: &'static str, client: Option<String>) -> Self {
        Self { served: route, code: "cancelled", client, started: Instant::now() }
    }

    fn answered(&mut self, response: &Response) {
        let extensions = response.extensions();
        let served = extensions.get::<Served>().map_or(self.served, |served| served.0);
        self.ended(served, extensions.get::<Outcome>().map(|outcome| outcome.0));
    }

    /// What it was, and why it was refused if it was.
    pub(super) fn ended(&mut self, served: &'static str, refused: Option<RefusalCode>) {
        self.served = served;
        self.code = refused.map_or("ok", RefusalCode::as_str);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Self { served, code, .. } = *self;
        counter!("nitro_signer_requests_total", "route" => served, "code" => code).increment(1);
        let seconds = self.started.elapsed().as_secs_f64();
        histogram!("nitro_signer_request_seconds", "route" => served).record(seconds);
        tracing::info!(route = served, code, seconds, client = self.client, "request");
    }
}

/// One of a fixed list of names: a path from outside must not become a metric of its own.
pub(super) fn route_name(path: &str) -> &'static str {
    match path {
        "/" => "json_rpc",
        "/v1/status" => "status",
        "/v1/vaults" => "vaults",
        "/v1/keys" => "keys",
        "/v1/transactions" => "transactions",
        "/v1/messages" => "messages",
        "/v1/typed-data" => "typed_data",
        "/v1/authorizations" => "authorizations",
        "/v1/digests" => "digests",
        "/v1/batch" => "batch",
        "/v1/attestation" => "attestation",
        "/openapi.json" => "openapi",
        "/upcheck" => "upcheck",
        "/api/v1/eth1/publicKeys" => "eth1_public_keys",
        _ if path.starts_with("/api/v1/eth1/sign/") => "eth1_sign",
        _ if path.starts_with("/chain/") => "json_rpc",
        _ if path.starts_with("/v1/keys/") => "key",
        _ => "none",
    }
}

/// Reads a whole body within its limits. Behind [`within_limits`] it has arrived already.
///
/// # Errors
/// [`RefusalCode::TooLarge`], or [`RefusalCode::MalformedRequest`] if it broke off.
pub(super) async fn read_body(body: Body) -> Result<Vec<u8>, Refusal> {
    let reading = axum::body::to_bytes(body, MAX_REQUEST);
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_too_long(&error) => {
            Err(Refusal::new(RefusalCode::TooLarge, format!("a body may have {MAX_REQUEST} bytes")))
        }
        Ok(Err(_)) => Err(Refusal::new(RefusalCode::MalformedRequest, "the body broke off")),
        Err(_) => Err(Refusal::new(RefusalCode::MalformedRequest, "the body came too slowly")),
    }
}

fn is_too_long(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|e| e.is::<http_body_util::LengthLimitError>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Bytes;
    use axum::routing::post;
    use futures_util::{FutureExt, stream};
    use http::StatusCode;
    use std::convert::Infallible;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    /// Routes that echo at once, or once they are told to.
    fn routes(go: &Arc<Notify>) -> Router {
        let go = Arc::clone(go);
        let wait = move |body: Bytes| async move {
            go.notified().await;
            body
        };
        Router::new()
            .route("/echo", post(|body: Bytes| async { body }))
            .route("/wait", post(wait))
            .layer(axum::middleware::from_fn_with_state(Places::default(), within_limits))
    }

    fn request(path: &str, body: Body) -> Request {
        Request::post(path).body(body).expect("is a request")
    }

    /// A body whose first byte comes and whose second never does.
    fn dripping() -> Body {
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"1")) });
        Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()))
    }

    #[tokio::test]
    async fn bodies_that_come_slowly_take_no_place_and_work_does() {
        let go = Arc::new(Notify::new());
        let routes = routes(&go);
        let start = |path, body| {
            let mut asked = Box::pin(routes.clone().oneshot(request(path, body)));
            assert!((&mut asked).now_or_never().is_none(), "is not answered at once");
            asked
        };
        let echo = || routes.clone().oneshot(request("/echo", Body::from("whole")));
        let dripped: Vec<_> = (0..MAX_CONCURRENT).map(|_| start("/echo", dripping())).collect();
        let answer = echo().await.expect("answers");
        assert_eq!(answer.status(), StatusCode::OK);
        let body = axum::body::to_bytes(answer.into_body(), 16).await.expect("is short");
        assert_eq!(body, "whole");

        let worked: Vec<_> = (0..MAX_CONCURRENT).map(|_| start("/wait", Body::empty())).collect();
        let code = echo().await.expect("answers").status();
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        drop(worked);
        assert_eq!(echo().await.expect("answers").status(), StatusCode::OK);
        drop(dripped);
    }
}
