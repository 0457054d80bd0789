//! REST under `/v1`.
//!
//! Byte strings are 0x-hex unless said otherwise; documents and claims are base64, since they are
//! handed on as files. `claims_decoded` is for people: a verifier hashes the claims' bytes.

pub(super) mod sign;

use super::caller::{asserted, caller};
use super::problem::Problem;
use super::query::NoQuery;
use super::{App, PathText, Peer, query, read_body};
use crate::appliance::Appliance;
use crate::ethereum::fields;
use crate::link::Situation;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderValue, StatusCode, header};
use nitro_signer_shared::claims::{Claims, KeyClaims};
use nitro_signer_shared::json::{self, FieldError, Object};
use nitro_signer_shared::message::KeyInfo;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Answer = Result<Response, Problem>;

/// What is known of the appliance, in words for people and names for programs.
pub(super) fn status_json(appliance: &Appliance, situation: Situation) -> Value {
    let enclave = situation.status.map(|status| {
        json!({
            "version": status.version,
            "state": status.state.as_str(),
            "boot_id": status.boot_id,
            "manifest_hash": status.manifest_hash,
            "keys": status.keys,
        })
    });
    let manifest = appliance.manifest();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "phase": situation.phase.name(),
        "detail": situation.phase.explain(),
        "deployment": manifest.deployment,
        "vault": manifest.vault,
        "manifest_version": manifest.version,
        "manifest_hash": appliance.manifest_hash().as_bytes(),
        "refused_records": situation.refused_records,
        "enclave": enclave,
    })
}

pub(super) async fn status(State(app): State<App>) -> Response {
    let situation = app.appliance.fresh_situation().await;
    answer(StatusCode::OK, status_json(&app.appliance, situation).to_string())
}

pub(super) async fn create_vault(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    _: NoQuery,
    body: Body,
) -> Answer {
    let mut object = json::read_object(&read_body(body).await?)?;
    let caller = caller(peer, &mut object).map_err(Refusal::from)?;
    object.finish().map_err(Refusal::from)?;
    let appliance = app.appliance.clone();
    // A task of its own: a client that leaves must not stop between making and storing.
    let state = finish(async move { appliance.create_vault(caller).await }).await?;
    let manifest = app.appliance.manifest();
    Ok(answer(
        StatusCode::CREATED,
        json!({
            "deployment": manifest.deployment,
            "vault": manifest.vault,
            "state": state.as_str(),
        })
        .to_string(),
    ))
}

pub(super) async fn list_keys(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let query = query::read(raw.as_deref(), &["after"])?;
    let after = query.get("after").map(|text| fields::address_text("after", text)).transpose();
    let after = after.map_err(Refusal::from)?;
    let (keys, more) = app.appliance.keys(asserted(peer), after).await?;
    let keys: Vec<Value> = keys.iter().map(key_json).collect();
    Ok(answer(StatusCode::OK, json!({ "keys": keys, "more": more }).to_string()))
}

pub(super) async fn show_key(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    PathText(address): PathText,
) -> Answer {
    let address = fields::address_text("the address", &address.unwrap_or_default());
    let address = address.map_err(Refusal::from)?;
    let key = app.appliance.key(asserted(peer), address).await?;
    Ok(answer(StatusCode::OK, key_json(&key).to_string()))
}

pub(super) async fn create_key(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    _: NoQuery,
    body: Body,
) -> Answer {
    let mut object = json::read_object(&read_body(body).await?)?;
    let caller = caller(peer, &mut object).map_err(Refusal::from)?;
    let labels = labels(&mut object).map_err(Refusal::from)?;
    let nonce = object.require("nonce").and_then(|v| fields::bytes("nonce", v));
    let nonce = nonce.map_err(Refusal::from)?.to_vec();
    object.finish().map_err(Refusal::from)?;
    let appliance = app.appliance.clone();
    let created = finish(async move { appliance.create_key(caller, labels, nonce).await }).await?;
    Ok(answer(
        StatusCode::CREATED,
        json!({
            "address": created.address,
            "record_id": created.record_id,
            "record": BASE64_STANDARD.encode(&created.record),
            "attestation": attested::<KeyClaims>(&created.document, &created.claims),
        })
        .to_string(),
    ))
}

pub(super) async fn attestation(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    RawQuery(raw): RawQuery,
) -> Answer {
    let query = query::read(raw.as_deref(), &["nonce"])?;
    let nonce = query.get("nonce").ok_or(RefusalCode::InvalidNonce)?;
    let nonce = hex::decode(nonce.strip_prefix("0x").unwrap_or(nonce))
        .map_err(|_| RefusalCode::InvalidNonce)?;
    let made = app.appliance.attest(asserted(peer), nonce).await?;
    Ok(answer(StatusCode::OK, attested::<Claims>(&made.document, &made.claims).to_string()))
}

fn attested<C: DeserializeOwned + Serialize>(document: &[u8], claims: &[u8]) -> Value {
    let decoded = serde_cbor::from_slice::<C>(claims).ok().and_then(|c| json!(c).into());
    json!({
        "document": BASE64_STANDARD.encode(document),
        "claims": BASE64_STANDARD.encode(claims),
        "claims_decoded": decoded,
    })
}

fn key_json(key: &KeyInfo) -> Value {
    json!({
        "address": key.address,
        "public_key": key.public_key,
        "origin": key.origin.as_str(),
        "created": key.created,
        "creator": key.creator,
        "labels": key.labels,
    })
}

fn labels(object: &mut Object) -> Result<BTreeMap<String, String>, FieldError> {
    let labels = object.take("labels").map_or(Ok(Object::default()), |v| v.object("labels"))?;
    labels.into_fields().map(|(name, v)| Ok((name, v.string("a label's value")?))).collect()
}

/// Runs to its end whether or not the client stays.
async fn finish<T: Send + 'static>(
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::spawn(work).await.unwrap_or_else(|_| Err(RefusalCode::Internal.into()))
}

/// An answer of this JSON text.
fn answer(status: StatusCode, body: String) -> Response {
    let mut response = (status, body).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
