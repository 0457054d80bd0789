//! The HTTPS face: TLS, limits, routes; and the operations port beside it.
//!
//! Every request here comes from outside. Sizes, times and numbers are bounded before anything is
//! read; the caller's certificate becomes a name that the enclave is told and that is worth what
//! the parent is worth. Nothing is decided here.

mod json_rpc;
mod listener;
mod ops;
mod problem;
mod query;
mod rest;
mod tls;
mod write_deadline;

pub(crate) use listener::{Face, serve};
pub(crate) use tls::{TlsError, certificates, private_key, server_config};

use crate::appliance::Appliance;
use crate::http::problem::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use metrics::{counter, gauge, histogram};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// The longest request body, in bytes: a transaction of the largest size in hex fits.
pub(crate) const MAX_REQUEST: usize = 1_048_576;
/// How long a body may take to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(20);
/// How long a request may take in all; above every deadline of the link.
const REQUEST_DEADLINE: Duration = Duration::from_secs(300);
/// How many requests are worked on at a time; the link's own limit is as many.
const MAX_CONCURRENT: usize = 256;

/// The client behind a connection: the name in its certificate, if there is exactly one.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) Option<String>);

/// What every route works with.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) appliance: Appliance,
    /// The chain that `/` serves, if the configuration names one.
    pub(crate) chain_id: Option<u64>,
    slots: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(appliance: Appliance, chain_id: Option<u64>) -> Self {
        Self { appliance, chain_id, slots: Arc::new(Semaphore::new(MAX_CONCURRENT)) }
    }

    /// The routes for clients.
    pub(crate) fn client_routes(self) -> Router {
        Router::new()
            .route("/", post(json_rpc::root))
            .route("/chain/{id}", post(json_rpc::chain))
            .route("/v1/status", get(rest::status))
            .route("/v1/vaults", post(rest::create_vault))
            .route("/v1/keys", get(rest::list_keys).post(rest::create_key))
            .route("/v1/keys/{address}", get(rest::show_key))
            .route("/v1/transactions", post(rest::sign_transaction))
            .route("/v1/attestation", get(rest::attestation))
            .fallback(|| async { Problem::from(RefusalCode::NotFound) })
            .method_not_allowed_fallback(|| async { Problem::from(RefusalCode::MethodNotAllowed) })
            .layer(middleware::from_fn_with_state(self.clone(), within_limits))
            .with_state(self)
    }

    /// The routes for probes and metrics.
    pub(crate) fn ops_routes(self) -> Router {
        Router::new()
            .route("/livez", get(ops::live))
            .route("/readyz", get(ops::ready))
            .route("/metrics", get(ops::metrics))
            .with_state(self)
    }
}

/// The stable code of a refusal, left on the response for the metrics.
#[derive(Clone, Copy)]
pub(crate) struct Outcome(pub(crate) RefusalCode);

/// The route or JSON-RPC method, left on the response for the metrics.
#[derive(Clone, Copy)]
pub(crate) struct Served(pub(crate) &'static str);

/// Bounds how many requests are worked on and for how long, and measures them.
async fn within_limits(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = route_name(request.uri().path());
    let client = request.extensions().get::<Peer>().and_then(|peer| peer.0.clone());
    let started = Instant::now();
    let refuse = |code: RefusalCode| match route {
        "json_rpc" => json_rpc::failed(&serde_json::Value::Null, &code.into()),
        _ => Problem::from(code).into_response(),
    };
    let response = match app.slots.try_acquire() {
        Err(_) => refuse(RefusalCode::Busy),
        Ok(_slot) => {
            gauge!("nitro_signer_requests_in_flight").increment(1);
            let answer = tokio::time::timeout(REQUEST_DEADLINE, next.run(request)).await;
            gauge!("nitro_signer_requests_in_flight").decrement(1);
            answer.unwrap_or_else(|_| refuse(RefusalCode::Deadline))
        }
    };
    let served = response.extensions().get::<Served>().map_or(route, |served| served.0);
    let code = response.extensions().get::<Outcome>().map_or("ok", |outcome| outcome.0.as_str());
    counter!("nitro_signer_requests_total", "route" => served, "code" => code).increment(1);
    let seconds = started.elapsed().as_secs_f64();
    histogram!("nitro_signer_request_seconds", "route" => served).record(seconds);
    tracing::info!(route = served, code, seconds, client, "request");
    response
}

/// One of a fixed list of names: a path from outside must not become a metric of its own.
fn route_name(path: &str) -> &'static str {
    match path {
        "/" => "json_rpc",
        "/v1/status" => "status",
        "/v1/vaults" => "vaults",
        "/v1/keys" => "keys",
        "/v1/transactions" => "transactions",
        "/v1/attestation" => "attestation",
        _ if path.starts_with("/chain/") => "json_rpc",
        _ if path.starts_with("/v1/keys/") => "key",
        _ => "none",
    }
}

/// Reads a whole body within its limits.
///
/// # Errors
/// [`RefusalCode::TooLarge`], or [`RefusalCode::MalformedRequest`] if it broke off.
pub(crate) async fn read_body(body: Body) -> Result<Vec<u8>, Refusal> {
    let reading = axum::body::to_bytes(body, MAX_REQUEST);
    match tokio::time::timeout(BODY_DEADLINE, reading).await {
        Ok(Ok(bytes)) => Ok(bytes.to_vec()),
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
