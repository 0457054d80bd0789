//! What one request may take, and the record of what became of it.
//!
//! A body is received before a place to work is taken, so that bodies that come slowly keep only
//! their own connections, whose number is bounded, and the bytes that came. All bodies together
//! have a budget of bytes, taken as they arrive and given back with the answer; long answers take
//! theirs from the same budget until they are read. Every request is counted and logged once, by
//! its outcome; one whose client left, too.

use super::problem::Problem;
use super::{Outcome, Peer, Served, json_rpc};
use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use metrics::{counter, gauge, histogram};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::Value;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest request body, in bytes: a transaction of the largest size in hex fits.
const MAX_REQUEST: usize = 1_048_576;
/// The longest body where transactions are signed, in bytes: 16 blobs with their proofs in hex
/// beside a transaction.
const MAX_BLOB_REQUEST: usize = 6 * 1_048_576;
/// The most bytes of bodies that are held at a time: requests', those still arriving included, and
/// long answers'.
const MAX_BODIES: usize = 256 * 1_048_576;
/// The longest answer that is not counted, in bytes. All connections together hold 64 MiB of these.
const SHORT_ANSWER: u64 = 65_536;
/// How much of a counted answer a connection is given at a time, in bytes; the rest waits where it
/// is counted.
const PIECE: usize = 16_384;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);
/// How long a request may be worked on; above every deadline of the link.
const REQUEST_DEADLINE: Duration = Duration::from_secs(300);
/// How many requests are worked on at a time; the link's own limit is as many.
const MAX_CONCURRENT: usize = 256;

/// The places in which requests are worked on and for how long, and the bytes that their bodies
/// may take.
#[derive(Clone)]
pub(crate) struct Places {
    work: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    deadline: Duration,
}

impl Places {
    /// One more place, if there is any; for an item of a batch beside the one that works in the
    /// batch's own place.
    pub(super) fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.work).try_acquire_owned().ok()
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new(MAX_BODIES)
    }
}

impl Places {
    fn new(bytes: usize) -> Self {
        let work = Arc::new(Semaphore::new(MAX_CONCURRENT));
        Self { work, bytes: Arc::new(Semaphore::new(bytes)), deadline: REQUEST_DEADLINE }
    }
}

/// The routes within the limits, for a face that serves nothing but JSON-RPC; each request may be
/// worked on for this long.
pub(crate) fn limited(routes: Router, deadline: Duration) -> Router {
    let places = Places { deadline, ..Places::default() };
    routes.layer(axum::middleware::from_fn_with_state(places, within_limits))
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
    let limit = longest_body(head.uri.path());
    let (body, held) = within_deadline(Arrived::receive(body, limit, &places.bytes)).await?;
    let _place = places.work.try_acquire().map_err(|_| RefusalCode::Busy)?;
    let _in_flight = InFlight::begin();
    let answer = next.run(Request::from_parts(head, Body::from(body)));
    let answer = tokio::time::timeout(places.deadline, answer).await;
    let answer = answer.map_err(|_| RefusalCode::Deadline)?;
    // The request is gone; its bytes are free for the answer's.
    drop(held);
    counted(answer, &places.bytes)
}

/// An answer whose bytes, if they are many, are taken from the budget until its body is dropped.
fn counted(answer: Response, budget: &Arc<Semaphore>) -> Result<Response, Refusal> {
    let length = answer.body().size_hint().exact();
    if length.is_some_and(|length| length <= SHORT_ANSWER) {
        return Ok(answer);
    }
    // What does not say its length cannot be counted; nothing that is served is so.
    let count = length.and_then(|length| u32::try_from(length).ok()).ok_or(RefusalCode::Busy)?;
    let taken = Arc::clone(budget).try_acquire_many_owned(count).map_err(|_| RefusalCode::Busy)?;
    let left = u64::from(count);
    Ok(answer.map(|body| Body::new(Counted { body, part: Bytes::new(), left, _taken: taken })))
}

/// A body that hands itself out in pieces, so that the connection buffers little of it and its
/// bytes stay counted while the client does not read.
struct Counted {
    body: Body,
    /// What was received of `body` and not handed out.
    part: Bytes,
    left: u64,
    _taken: OwnedSemaphorePermit,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        if this.part.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(part) => this.part = part,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = this.part.split_to(this.part.len().min(PIECE));
        this.left = this.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// How long the body of a request for this path may be.
fn longest_body(path: &str) -> usize {
    match path {
        "/" | "/v1/transactions" | "/v1/batch" => MAX_BLOB_REQUEST,
        _ if path.starts_with("/chain/") => MAX_BLOB_REQUEST,
        _ => MAX_REQUEST,
    }
}

/// A body on its way in, with what it has taken of the budget.
#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    held: Option<OwnedSemaphorePermit>,
}

impl Arrived {
    /// Receives a whole body; what comes with it is to be held as long as it is.
    async fn receive(
        mut body: Body,
        limit: usize,
        budget: &Arc<Semaphore>,
    ) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Refusal> {
        let mut arrived = Self::default();
        while let Some(frame) = body.frame().await {
            let frame = frame
                .map_err(|_| Refusal::new(RefusalCode::MalformedRequest, "the body broke off"))?;
            // Trailers say nothing here.
            if let Ok(part) = frame.into_data() {
                arrived.add(&part, limit, budget)?;
            }
        }
        Ok((arrived.bytes, arrived.held))
    }

    fn add(&mut self, part: &[u8], limit: usize, budget: &Arc<Semaphore>) -> Result<(), Refusal> {
        if part.len() > limit - self.bytes.len() {
            let detail = format!("a body may have {limit} bytes here");
            return Err(Refusal::new(RefusalCode::TooLarge, detail));
        }
        // A part within the limit is far below 2^32.
        let count = u32::try_from(part.len()).map_err(|_| RefusalCode::TooLarge)?;
        let taken = Arc::clone(budget).try_acquire_many_owned(count);
        let taken = taken.map_err(|_| RefusalCode::Busy)?;
        match &mut self.held {
            Some(held) => held.merge(taken),
            held => *held = Some(taken),
        }
        self.bytes.extend_from_slice(part);
        Ok(())
    }
}

async fn within_deadline<T>(
    receiving: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    tokio::time::timeout(BODY_DEADLINE, receiving).await.unwrap_or_else(|_| {
        Err(Refusal::new(RefusalCode::MalformedRequest, "the body came too slowly"))
    })
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

/// Reads a whole body. Behind [`within_limits`] it has arrived already, within the path's own
/// limit, and its bytes are counted.
///
/// # Errors
/// [`RefusalCode::MalformedRequest`] if it broke off.
pub(crate) async fn read_body(body: Body) -> Result<Vec<u8>, Refusal> {
    match axum::body::to_bytes(body, MAX_BLOB_REQUEST).await {
        Ok(bytes) => Ok(bytes.into()),
        Err(_) => Err(Refusal::new(RefusalCode::MalformedRequest, "the body broke off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::post;
    use futures_util::{FutureExt, stream};
    use http::StatusCode;
    use std::convert::Infallible;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    /// The shortest answer that is counted.
    const LONG: usize = SHORT_ANSWER as usize + 1;

    /// Routes that echo at once, or once they are told to.
    fn routes(go: &Arc<Notify>, places: Places) -> Router {
        let go = Arc::clone(go);
        let wait = move |body: Bytes| async move {
            go.notified().await;
            body
        };
        Router::new()
            .route("/echo", post(|body: Bytes| async { body }))
            .route("/long", post(|| async { "x".repeat(LONG) }))
            .route("/short", post(|| async { "x".repeat(LONG - 1) }))
            .route("/wait", post(wait))
            .route(
                "/v1/transactions",
                post(|body: Body| async { read_body(body).await.unwrap_or_default() }),
            )
            .layer(axum::middleware::from_fn_with_state(places, within_limits))
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
        let routes = routes(&go, Places::default());
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
    async fn status(routes: &Router, path: &str, body: Body) -> StatusCode {
        routes.clone().oneshot(request(path, body)).await.expect("answers").status()
    }

    #[tokio::test]
    async fn each_path_has_its_longest_body() {
        let routes = routes(&Arc::default(), Places::default());
        let check = async |path, length: usize, expected| {
            let body = Body::from(vec![b' '; length]);
            assert_eq!(status(&routes, path, body).await, expected, "{path} {length}");
        };
        check("/echo", MAX_REQUEST, StatusCode::OK).await;
        check("/echo", MAX_REQUEST + 1, StatusCode::PAYLOAD_TOO_LARGE).await;
        check("/v1/transactions", MAX_BLOB_REQUEST, StatusCode::OK).await;
        check("/v1/transactions", MAX_BLOB_REQUEST + 1, StatusCode::PAYLOAD_TOO_LARGE).await;
        let check = |path, expected| assert_eq!(longest_body(path), expected, "{path}");
        for path in ["/", "/chain/1", "/v1/batch", "/v1/transactions"] {
            check(path, MAX_BLOB_REQUEST);
        }
        for path in ["/v1/keys", "/v1/transactions/", "/chain", "/v1/typed-data"] {
            check(path, MAX_REQUEST);
        }
    }

    #[tokio::test]
    async fn a_long_body_in_parts_is_refused_at_its_limit() {
        let routes = routes(&Arc::default(), Places::default());
        let parts = |count: usize| {
            let part = Ok::<_, Infallible>(Bytes::from(vec![b' '; MAX_REQUEST / 4]));
            Body::from_stream(stream::iter(vec![part; count]))
        };
        assert_eq!(status(&routes, "/echo", parts(4)).await, StatusCode::OK);
        assert_eq!(status(&routes, "/echo", parts(5)).await, StatusCode::PAYLOAD_TOO_LARGE);
        // It is refused while it comes, not when it ends.
        let endless = Body::from_stream(futures_util::StreamExt::chain(
            stream::iter(vec![Ok::<_, Infallible>(Bytes::from(vec![b' '; MAX_REQUEST])); 2]),
            stream::pending(),
        ));
        assert_eq!(status(&routes, "/echo", endless).await, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_budget() {
        let go = Arc::new(Notify::new());
        let routes = routes(&go, Places::new(10));
        let ten = || Body::from("0123456789");
        assert_eq!(status(&routes, "/echo", ten()).await, StatusCode::OK);
        let code = status(&routes, "/echo", Body::from("0123456789a")).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "never fits");

        // A byte that arrived is held while the rest is awaited.
        let mut dripping = Box::pin(routes.clone().oneshot(request("/echo", dripping())));
        assert!((&mut dripping).now_or_never().is_none());
        assert_eq!(status(&routes, "/echo", ten()).await, StatusCode::SERVICE_UNAVAILABLE);
        drop(dripping);
        assert_eq!(status(&routes, "/echo", ten()).await, StatusCode::OK);

        // So is a body that is worked on.
        let mut working = Box::pin(routes.clone().oneshot(request("/wait", ten())));
        assert!((&mut working).now_or_never().is_none());
        assert_eq!(status(&routes, "/echo", ten()).await, StatusCode::SERVICE_UNAVAILABLE);
        go.notify_one();
        assert_eq!(working.await.expect("answers").status(), StatusCode::OK);
        assert_eq!(status(&routes, "/echo", ten()).await, StatusCode::OK);
    }
    #[tokio::test]
    async fn a_long_answer_is_counted_until_it_is_read() {
        let routes = routes(&Arc::default(), Places::new(2 * LONG - 1));
        let ask = async |path| {
            let asked = routes.clone().oneshot(request(path, Body::empty())).await;
            asked.expect("answers")
        };
        let held = ask("/long").await;
        assert_eq!(held.headers()["content-length"], LONG.to_string().as_str());
        assert_eq!(held.body().size_hint().exact(), Some(LONG as u64));
        assert_eq!(ask("/long").await.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(ask("/short").await.status(), StatusCode::OK);

        // It comes in pieces; the bytes are given back with the last.
        let mut body = held.into_body();
        let mut lengths = Vec::new();
        while !body.is_end_stream() {
            assert_eq!(ask("/long").await.status(), StatusCode::SERVICE_UNAVAILABLE);
            let frame = body.frame().await.expect("is not at its end").expect("is whole");
            lengths.push(frame.into_data().expect("is data").len());
        }
        assert_eq!(lengths, [PIECE, PIECE, PIECE, PIECE, 1]);
        drop(body);
        let read = axum::body::to_bytes(ask("/long").await.into_body(), LONG).await;
        assert_eq!(read.expect("is whole"), "x".repeat(LONG));

        // One that is not read gives back its bytes, too.
        drop(ask("/long").await);
        assert_eq!(ask("/long").await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn the_bytes_of_a_request_are_free_for_its_answer() {
        let routes = routes(&Arc::default(), Places::new(LONG));
        assert_eq!(status(&routes, "/echo", Body::from(vec![b' '; LONG])).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn an_answer_of_unknown_length_is_refused() {
        let endless =
            Response::new(Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()));
        let refused = counted(endless, &Places::default().bytes).map(|_| ());
        assert_eq!(refused.map_err(|refusal| refusal.code), Err(RefusalCode::Busy));
    }

    #[tokio::test]
    async fn work_has_the_deadline_of_its_face() {
        let wait = post(std::future::pending::<&'static str>);
        let routes = limited(Router::new().route("/wait", wait), Duration::from_millis(5));
        let code = status(&routes, "/wait", Body::empty()).await;
        assert_eq!(code.as_u16(), RefusalCode::Deadline.http_status());
    }
}
