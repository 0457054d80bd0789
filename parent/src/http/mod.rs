//! The HTTPS face: TLS, limits, routes; and the operations port beside it.
//!
//! Every request here comes from outside. Sizes, times and numbers are bounded before anything is
//! read; the caller's certificate becomes a name that the enclave is told and that is worth what
//! the parent is worth. Nothing is decided here.

mod json_rpc;
mod limits;
mod listener;
mod ops;
mod problem;
mod query;
mod rest;
mod tls;
mod write_deadline;

pub(crate) use limits::{limited, read_body};
pub(crate) use listener::{Face, serve};
pub(crate) use tls::{TlsError, certificates, private_key, server_config};

use crate::appliance::Appliance;
use crate::http::limits::{Places, within_limits};
use crate::http::problem::Problem;
use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use nitro_signer_shared::refusal::RefusalCode;

/// The client behind a connection: the name in its certificate, if there is exactly one.
#[derive(Clone, Debug)]
pub(crate) struct Peer(pub(crate) Option<String>);

/// What every route works with.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) appliance: Appliance,
    /// The chain that `/` serves, if the configuration names one.
    pub(crate) chain_id: Option<u64>,
    places: Places,
}

impl App {
    pub(crate) fn new(appliance: Appliance, chain_id: Option<u64>) -> Self {
        Self { appliance, chain_id, places: Places::default() }
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
            .layer(middleware::from_fn_with_state(self.places.clone(), within_limits))
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
