//! Probes and metrics, in plain HTTP on a port of their own, bound to loopback by default.
//!
//! Nothing here asks the enclave or changes anything.

use super::{App, rest};
use crate::link::Phase;
use crate::telemetry;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// The process runs.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// 200 only when the enclave is ready and every record was given to it; the body says why not.
pub(super) async fn ready(State(app): State<App>) -> Response {
    let situation = app.appliance.situation();
    let ready = situation.phase == Phase::Ready;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut response =
        (status, rest::status_json(&app.appliance, situation).to_string()).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Prometheus' text format, version 0.0.4.
pub(super) async fn metrics() -> Response {
    let mut response = telemetry::render().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4"));
    response
}
