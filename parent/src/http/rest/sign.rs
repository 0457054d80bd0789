//! REST's signing routes, one request or a batch of them.
//!
//! Whether alone or in a batch, a request is read and answered by the same lines; an item of a
//! batch that is refused spoils only itself.

use super::{Answer, App, Peer, answer, read_body};
use crate::appliance::Caller;
use crate::ethereum::{
    AuthorizationRequest, Names, SidecarForm, TransactionRequest, TypedDataText, fields, message,
    signature,
};
use crate::http::batch::{Batch, Deadline, Item};
use crate::http::limits::Record;
use crate::http::{caller, problem, query};
use alloy_primitives::Address;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::routing::{MethodRouter, post};
use http::StatusCode;
use nitro_signer_shared::json::{self, FieldError, Object};
use nitro_signer_shared::message::{SignedHash, SignedTransaction};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::{Value, json};

/// What is to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    Transaction,
    Message,
    TypedData,
    Authorization,
    Digest,
}

impl Kind {
    /// Every kind with its name as a `method` in a batch.
    pub(in crate::http) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Transaction, "sign_transaction"),
        (Self::Message, "sign_message"),
        (Self::TypedData, "sign_typed_data"),
        (Self::Authorization, "sign_authorization"),
        (Self::Digest, "sign_digest"),
    ];
}

/// The route that signs one thing of this kind. A transaction's query names the form of its blobs;
/// the others have none.
pub(in crate::http) fn route(kind: Kind) -> MethodRouter<App> {
    let handle = move |State(app): State<App>,
                       Extension(peer): Extension<Peer>,
                       RawQuery(raw): RawQuery,
                       body: Body| async move {
        let known: &[&str] = if kind == Kind::Transaction { &["sidecar"] } else { &[] };
        let form = query::sidecar(&query::read(raw.as_deref(), known)?)?;
        single(app, peer, body, kind, form).await
    };
    post(handle)
}

pub(in crate::http) async fn batch(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    RawQuery(raw): RawQuery,
    body: Body,
) -> Answer {
    let form = query::sidecar(&query::read(raw.as_deref(), &["sidecar"])?)?;
    let mut object = json::read_object(&read_body(body).await?)?;
    let requests = object.require("requests").and_then(|v| v.array("requests"));
    let requests = requests.map_err(Refusal::from)?;
    object.finish().map_err(Refusal::from)?;
    let places = app.places.clone();
    let one = |value, deadline| {
        let (app, peer) = (app.clone(), peer.clone());
        async move {
            let mut record = Record::begin("batch_item", peer.0.clone());
            let (served, result) = item(&app, peer, value, form, deadline).await;
            record.ended(served, result.as_ref().err().map(|refusal| refusal.code));
            Item {
                answer: result_json(result).to_string(),
                too_long: Box::new(|refusal| result_json(Err(refusal.clone())).to_string()),
            }
        }
    };
    let results = Batch::of(requests)?.answer(&places, one).await;
    Ok(answer(StatusCode::OK, format!("{{\"results\":{results}}}")))
}

async fn single(app: App, peer: Peer, body: Body, kind: Kind, form: SidecarForm) -> Answer {
    let mut object = json::read_object(&read_body(body).await?)?;
    let caller = caller::caller(peer, &mut object).map_err(Refusal::from)?;
    let signed = sign(&app, caller, kind, object, form).await?;
    Ok(answer(StatusCode::OK, signed.to_string()))
}

/// One item's name for the metrics and what became of it.
async fn item(
    app: &App,
    peer: Peer,
    value: json::Value,
    form: SidecarForm,
    deadline: Deadline,
) -> (&'static str, Result<Value, Refusal>) {
    let (kind, name, caller, object) = match read_item(peer, value) {
        Ok(item) => item,
        Err(refusal) => return ("batch_item", Err(refusal)),
    };
    (name, deadline.or_refuse(sign(app, caller, kind, object, form)).await)
}

fn read_item(
    peer: Peer,
    value: json::Value,
) -> Result<(Kind, &'static str, Caller, Object), Refusal> {
    let mut object = value.object("a request")?;
    let method = object.require("method")?.string("method")?;
    let known = Kind::ALL.iter().find(|(_, name)| *name == method);
    let &(kind, name) = known.ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|(_, name)| *name).collect();
        Refusal::new(RefusalCode::NotFound, format!("a method is one of {}", names.join(", ")))
    })?;
    let caller = caller::caller(peer, &mut object)?;
    Ok((kind, name, caller, object))
}

fn result_json(result: Result<Value, Refusal>) -> Value {
    match result {
        Ok(body) => json!({ "status": 200, "body": body }),
        Err(refusal) => {
            json!({ "status": refusal.code.http_status(), "body": problem::document(&refusal) })
        }
    }
}

async fn sign(
    app: &App,
    caller: Caller,
    kind: Kind,
    mut object: Object,
    form: SidecarForm,
) -> Result<Value, Refusal> {
    let appliance = &app.appliance;
    match kind {
        Kind::Transaction => {
            let transaction = object.require("transaction")?.object("transaction")?;
            object.finish()?;
            let asked = TransactionRequest::read_in_form(transaction, None, form)?;
            let signed = appliance.sign_transaction(caller, &asked).await?;
            Ok(transaction_json(&signed, &asked.finish(&signed.raw)))
        }
        Kind::Message => {
            let (from, message) = (from(&mut object)?, message(object.require("message")?)?);
            object.finish()?;
            Ok(signature_json(&appliance.sign_message(caller, from, message).await?))
        }
        Kind::TypedData => {
            let (from, given) = (from(&mut object)?, object.require("typed_data")?);
            object.finish()?;
            let text = TypedDataText::read(given, None)?.into_bytes();
            Ok(signature_json(&appliance.sign_typed_data(caller, from, text).await?))
        }
        Kind::Authorization => {
            let asked = AuthorizationRequest::read(object, Names::Snake, None)?;
            let signed = appliance.sign_authorization(caller, &asked).await?;
            Ok(authorization_json(&asked, &signed))
        }
        Kind::Digest => {
            let from = from(&mut object)?;
            let digest = fields::b256("digest", object.require("digest")?)?;
            object.finish()?;
            Ok(signature_json(&appliance.sign_digest(caller, from, digest).await?))
        }
    }
}

fn from(object: &mut Object) -> Result<Address, FieldError> {
    fields::address("from", object.require("from")?)
}

fn transaction_json(signed: &SignedTransaction, network: &[u8]) -> Value {
    json!({
        "raw": format!("0x{}", hex::encode(network)),
        "transaction_hash": signed.transaction_hash,
        "signing_hash": signed.signing_hash,
        "r": signed.r,
        "s": signed.s,
        "y_parity": u8::from(signed.y_parity),
    })
}

fn signature_json(signed: &SignedHash) -> Value {
    json!({
        "signature": signature::text(signed),
        "signing_hash": signed.signing_hash,
        "r": signed.r,
        "s": signed.s,
        "y_parity": u8::from(signed.y_parity),
    })
}

fn authorization_json(asked: &AuthorizationRequest, signed: &SignedHash) -> Value {
    json!({
        "chain_id": asked.chain_id,
        "address": asked.address,
        "nonce": asked.nonce,
        "y_parity": u8::from(signed.y_parity),
        "r": signed.r,
        "s": signed.s,
        "signing_hash": signed.signing_hash,
    })
}
