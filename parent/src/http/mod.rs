//! The HTTPS face: TLS, limits, routes; and the operations port beside it.
//!
//! Every request here comes from outside. Sizes, times and numbers are bounded before anything is
//! read; the caller's certificate becomes a name that the enclave is told and that is worth what
//! the parent is worth. Nothing is decided here.

mod batch;
mod caller;
mod eth1;
mod json_rpc;
mod limits;
mod listener;
mod openapi;
mod ops;
mod problem;
mod query;
mod rest;
mod tls;
mod write_deadline;

pub(crate) use json_rpc::{call_id, chain_of_path, sidecar_of_query};
pub(crate) use limits::{limited, read_body};
pub(crate) use listener::{Face, serve};
pub(crate) use tls::{TlsError, certificates, first_end, private_key, server_config};

use crate::appliance::Appliance;
use crate::http::limits::{Places, within_limits};
use crate::http::problem::Problem;
use crate::http::rest::sign::Kind;
use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::middleware;
use axum::routing::{MethodRouter, get, post};
use http::request::Parts;
use nitro_signer_shared::refusal::RefusalCode;
use std::convert::Infallible;

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
        let routes = Router::new();
        let routes = client_routes()
            .into_iter()
            .fold(routes, |routes, (path, methods)| routes.route(path, methods));
        routes
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

/// What clients are served; [`openapi`] describes each.
fn client_routes() -> Vec<(&'static str, MethodRouter<App>)> {
    vec![
        ("/", post(json_rpc::root)),
        ("/chain/{id}", post(json_rpc::chain)),
        ("/v1/status", get(rest::status)),
        ("/v1/vaults", post(rest::create_vault)),
        ("/v1/keys", get(rest::list_keys).post(rest::create_key)),
        ("/v1/keys/{address}", get(rest::show_key)),
        ("/v1/transactions", rest::sign::route(Kind::Transaction)),
        ("/v1/messages", rest::sign::route(Kind::Message)),
        ("/v1/typed-data", rest::sign::route(Kind::TypedData)),
        ("/v1/authorizations", rest::sign::route(Kind::Authorization)),
        ("/v1/digests", rest::sign::route(Kind::Digest)),
        ("/v1/batch", post(rest::sign::batch)),
        ("/v1/attestation", get(rest::attestation)),
        ("/openapi.json", get(openapi::serve)),
        ("/upcheck", get(eth1::upcheck)),
        ("/api/v1/eth1/publicKeys", get(eth1::public_keys)),
        ("/api/v1/eth1/sign/{identifier}", post(eth1::sign)),
    ]
}

/// The one name in a path, or none if it is no text: the refusal is each route's own.
struct PathText(Option<String>);

impl FromRequestParts<App> for PathText {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let text = Path::<String>::from_request_parts(parts, app).await;
        Ok(Self(text.ok().map(|Path(text)| text)))
    }
}

/// The stable code of a refusal, left on the response for the metrics.
#[derive(Clone, Copy)]
pub(crate) struct Outcome(pub(crate) RefusalCode);

/// The route or JSON-RPC method, left on the response for the metrics.
#[derive(Clone, Copy)]
pub(crate) struct Served(pub(crate) &'static str);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::limits::route_name;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_has_a_name_in_the_metrics() {
        let names: BTreeSet<_> =
            client_routes().into_iter().map(|(path, _)| route_name(path)).collect();
        assert!(!names.contains("none"), "{names:?}");
        // Both of JSON-RPC's have one name; a name of its own follows from the method.
        assert_eq!(names.len(), client_routes().len() - 1, "{names:?}");
        assert_eq!(route_name("/v2/keys"), "none");
    }
}
