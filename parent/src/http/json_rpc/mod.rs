//! JSON-RPC 2.0 as Ethereum's tools speak it, one call or a batch of them.
//!
//! A refusal is an error object with the stable code in `data`, under HTTP status 200 as clients
//! expect, except where HTTP itself has something to say: 413 for a body that is too large and
//! 503 when too much is in flight.

mod call;
mod methods;

pub(super) use call::MAX_ID;
pub(crate) use call::id as call_id;
pub(super) use methods::Method;

use super::batch::{Batch, Deadline, Item};
use super::limits::Record;
use super::{App, Outcome, PathText, Peer, Served, query, read_body};
use crate::ethereum::SidecarForm;
use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::response::{IntoResponse, Response};
use call::{Broken, Call};
use http::{HeaderValue, StatusCode, header};
use nitro_signer_shared::json::{self, Value};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::json;

/// What stands for a call without a known method in metrics.
const UNKNOWN: &str = "json_rpc";

pub(super) async fn root(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    RawQuery(raw): RawQuery,
    body: Body,
) -> Response {
    let endpoint = Endpoint { chain: app.chain_id, app };
    serve(endpoint, peer, raw, body).await
}

pub(super) async fn chain(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    PathText(id): PathText,
    RawQuery(raw): RawQuery,
    body: Body,
) -> Response {
    match id.as_deref().and_then(chain_of_path) {
        Some(id) => serve(Endpoint { chain: Some(id), app }, peer, raw, body).await,
        None => {
            let sentence = "the path names a chain by its decimal id, for example /chain/1";
            failed(&json!(null), &Refusal::new(RefusalCode::MalformedRequest, sentence))
        }
    }
}

/// The chain that the last part of the path `/chain/ID` names: its decimal id, in one spelling.
pub(crate) fn chain_of_path(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// Where a request arrived: the appliance, seen from one chain or from none.
struct Endpoint {
    app: App,
    chain: Option<u64>,
}

/// How eth_signTransaction answers.
#[derive(Clone, Copy)]
struct Form {
    result: ResultForm,
    sidecar: SidecarForm,
}

/// What its result is: clients disagree.
#[derive(Clone, Copy)]
enum ResultForm {
    /// The raw bytes, as ethers, viem and cast expect.
    Raw,
    /// go-ethereum's `{raw, tx}`, as web3.py expects.
    Object,
}

async fn serve(endpoint: Endpoint, peer: Peer, raw: Option<String>, body: Body) -> Response {
    let form = form(raw.as_deref());
    let value = match read_body(body).await.and_then(|body| json::read(&body)) {
        Ok(value) => value,
        Err(refusal) => return failed(&json!(null), &refusal),
    };
    match value {
        Value::Array(items) => match Batch::of(items) {
            Ok(batch) => endpoint.serve_batch(batch, &peer, &form).await,
            Err(refusal) => failed(&json!(null), &refusal),
        },
        value => endpoint.serve_call(value, peer, form, Deadline::start()).await.into_response(),
    }
}

/// The form of sidecars that the query of a JSON-RPC request asks for.
///
/// # Errors
/// The refusal that every call under this query gets.
pub(crate) fn sidecar_of_query(query: Option<&str>) -> Result<SidecarForm, Refusal> {
    form(query).map(|form| form.sidecar)
}

fn form(query: Option<&str>) -> Result<Form, Refusal> {
    let query = query::read(query, &["result", "sidecar"])?;
    let result = match query.get("result") {
        None | Some(&"raw") => ResultForm::Raw,
        Some(&"object") => ResultForm::Object,
        Some(_) => {
            let sentence = "result is either raw or object";
            return Err(Refusal::new(RefusalCode::MalformedRequest, sentence));
        }
    };
    Ok(Form { result, sidecar: query::sidecar(&query)? })
}

/// What became of one call.
struct Answered {
    id: serde_json::Value,
    served: &'static str,
    result: Result<serde_json::Value, Refusal>,
}

impl Endpoint {
    /// A call that is not done by the deadline is refused under its own id.
    async fn serve_call(
        &self,
        value: Value,
        peer: Peer,
        form: Result<Form, Refusal>,
        deadline: Deadline,
    ) -> Answered {
        let Call { id, method, params, caller } = match Call::read(value, peer) {
            Ok(call) => call,
            Err(Broken { id, refusal }) => {
                return Answered { id, served: UNKNOWN, result: Err(refusal) };
            }
        };
        let Some((method, served)) = Method::named(&method) else {
            return Answered { id, served: UNKNOWN, result: Err(methods::unknown()) };
        };
        let result = match form {
            Ok(form) => deadline.or_refuse(self.answer(method, params, caller, form)).await,
            Err(refusal) => Err(refusal),
        };
        Answered { id, served, result }
    }

    async fn serve_batch(
        &self,
        batch: Batch,
        peer: &Peer,
        form: &Result<Form, Refusal>,
    ) -> Response {
        let places = self.app.places.clone();
        let answer = |value, deadline| async move {
            let mut record = Record::begin(UNKNOWN, peer.0.clone());
            let answered = self.serve_call(value, peer.clone(), form.clone(), deadline).await;
            record.ended(answered.served, answered.result.as_ref().err().map(|r| r.code));
            answered.into_item()
        };
        let mut response = reply(batch.answer(&places, answer).await);
        response.extensions_mut().insert(Served("json_rpc_batch"));
        response
    }
}

impl Answered {
    fn into_response(self) -> Response {
        let mut response = match &self.result {
            Ok(result) => reply(succeeded(&self.id, result).to_string()),
            Err(refusal) => failed(&self.id, refusal),
        };
        response.extensions_mut().insert(Served(self.served));
        response
    }

    fn into_item(self) -> Item {
        let id = self.id;
        let answer = match &self.result {
            Ok(result) => succeeded(&id, result),
            Err(refusal) => error(&id, refusal),
        };
        let too_long = Box::new(move |refusal: &Refusal| error(&id, refusal).to_string());
        Item { answer: answer.to_string(), too_long }
    }
}

/// The error object of a refusal, as the answer to a request.
pub(super) fn failed(id: &serde_json::Value, refusal: &Refusal) -> Response {
    let code = refusal.code;
    let mut response = reply(error(id, refusal).to_string());
    if matches!(code, RefusalCode::TooLarge | RefusalCode::Busy) {
        *response.status_mut() = super::problem::status(code);
    }
    response.extensions_mut().insert(Outcome(code));
    response
}

fn succeeded(id: &serde_json::Value, result: &serde_json::Value) -> serde_json::Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

fn error(id: &serde_json::Value, refusal: &Refusal) -> serde_json::Value {
    let code = refusal.code;
    json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": {
            "code": code.json_rpc_code(),
            "message": refusal.detail,
            "data": { "code": code.as_str(), "detail": refusal.detail },
        },
    })
}

fn reply(body: String) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_chain_one_way() {
        for (text, expected) in [
            ("1", Some(1)),
            ("31337", Some(31_337)),
            ("18446744073709551615", Some(u64::MAX)),
            ("0", None),
            ("01", None),
            ("+1", None),
            ("0x1", None),
            ("18446744073709551616", None),
            ("", None),
        ] {
            assert_eq!(chain_of_path(text), expected, "{text}");
        }
    }
}
