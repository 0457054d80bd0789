//! JSON-RPC 2.0 as Ethereum's tools speak it.
//!
//! A refusal is an error object with the stable code in `data`, under HTTP status 200 as clients
//! expect, except where HTTP itself has something to say: 413 for a body that is too large and
//! 503 when too much is in flight.

use super::{App, Outcome, Peer, Served, query, read_body};
use crate::appliance::Caller;
use crate::ethereum::{CheckedTransaction, TransactionRequest};
use axum::body::Body;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use nitro_signer_shared::json::{self, Object, Value};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::json;

/// The longest request id that is echoed, in bytes.
const MAX_ID: usize = 256;

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
    Path(id): Path<String>,
    RawQuery(raw): RawQuery,
    body: Body,
) -> Response {
    match chain_of_path(&id) {
        Some(id) => serve(Endpoint { chain: Some(id), app }, peer, raw, body).await,
        None => {
            let sentence = "the path names a chain by its decimal id, for example /chain/1";
            failed(&json!(null), &Refusal::new(RefusalCode::MalformedRequest, sentence))
        }
    }
}

fn chain_of_path(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|c| c.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| plain)
}

/// Where a request arrived: the appliance, seen from one chain or from none.
struct Endpoint {
    app: App,
    chain: Option<u64>,
}

/// A well-formed call.
struct Call {
    id: serde_json::Value,
    method: String,
    params: Vec<Value>,
}

/// How eth_signTransaction answers: clients disagree.
#[derive(Clone, Copy)]
enum Form {
    /// The raw bytes, as ethers, viem and cast expect.
    Raw,
    /// go-ethereum's `{raw, tx}`, as web3.py expects.
    Object,
}

async fn serve(endpoint: Endpoint, peer: Peer, raw: Option<String>, body: Body) -> Response {
    let read = read_body(body).await.map_err(Broken::from);
    let call = match read.and_then(|body| Call::read(&body)) {
        Ok(call) => call,
        Err(Broken { id, refusal }) => return failed(&id, &refusal),
    };
    let served = Served(known_name(&call.method));
    let caller = Caller { asserted: peer.0, proofs: Vec::new() };
    let result = match form(raw.as_deref()) {
        Ok(form) => endpoint.answer(&call.method, call.params, caller, form).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = match result {
        Ok(result) => reply(&json!({ "jsonrpc": "2.0", "id": call.id, "result": result })),
        Err(refusal) => failed(&call.id, &refusal),
    };
    response.extensions_mut().insert(served);
    response
}

fn form(query: Option<&str>) -> Result<Form, Refusal> {
    match query::read(query, &["result"])?.get("result") {
        None | Some(&"raw") => Ok(Form::Raw),
        Some(&"object") => Ok(Form::Object),
        Some(_) => {
            Err(Refusal::new(RefusalCode::MalformedRequest, "result is either raw or object"))
        }
    }
}

/// One of a fixed list of names, for the metrics.
fn known_name(method: &str) -> &'static str {
    const KNOWN: &[&str] = &["eth_accounts", "eth_chainId", "eth_signTransaction"];
    KNOWN.iter().find(|known| **known == method).copied().unwrap_or("json_rpc")
}

impl Endpoint {
    async fn answer(
        &self,
        method: &str,
        params: Vec<Value>,
        caller: Caller,
        form: Form,
    ) -> Result<serde_json::Value, Refusal> {
        match method {
            "eth_accounts" => {
                let [] = take(params)?;
                Ok(json!(self.app.appliance.addresses(caller).await?))
            }
            "eth_chainId" => {
                let [] = take(params)?;
                self.chain_id()
            }
            "eth_signTransaction" => {
                let [transaction] = take(params)?;
                let transaction = transaction.object("the transaction")?;
                self.sign_transaction(transaction, caller, form).await
            }
            _ => Err(Refusal::new(
                RefusalCode::NotFound,
                "served are eth_accounts, eth_chainId and eth_signTransaction",
            )),
        }
    }

    fn chain_id(&self) -> Result<serde_json::Value, Refusal> {
        let id = self.chain.ok_or_else(|| {
            let sentence = "this endpoint serves every chain; use /chain/ID to be of one";
            Refusal::new(RefusalCode::MalformedRequest, sentence)
        })?;
        Ok(json!(format!("0x{id:x}")))
    }

    async fn sign_transaction(
        &self,
        transaction: Object,
        caller: Caller,
        form: Form,
    ) -> Result<serde_json::Value, Refusal> {
        let request = TransactionRequest::read(transaction, self.chain)?;
        let payload = request.transaction.signing_payload();
        let signed = self.app.appliance.sign_transaction(caller, request.from, payload).await?;
        let raw = json!(format!("0x{}", hex::encode(&signed.raw)));
        match form {
            Form::Raw => Ok(raw),
            Form::Object => {
                let checked = CheckedTransaction::open(&signed.raw, &request)
                    .map_err(|e| Refusal::new(RefusalCode::Internal, e.to_string()))?;
                Ok(json!({ "raw": raw, "tx": checked.to_json() }))
            }
        }
    }
}

/// Exactly `N` parameters.
fn take<const N: usize>(params: Vec<Value>) -> Result<[Value; N], Refusal> {
    params.try_into().map_err(|given: Vec<Value>| {
        let sentence = format!("{} parameters were given, {N} are needed", given.len());
        Refusal::new(RefusalCode::MalformedRequest, sentence)
    })
}

/// A body that is no call, with the id as far as it is known.
struct Broken {
    id: serde_json::Value,
    refusal: Refusal,
}

impl<R: Into<Refusal>> From<R> for Broken {
    fn from(refusal: R) -> Self {
        Self { id: serde_json::Value::Null, refusal: refusal.into() }
    }
}

impl Call {
    fn read(body: &[u8]) -> Result<Self, Broken> {
        let mut object = match json::read(body)? {
            Value::Object(object) => object,
            Value::Array(_) => {
                let sentence = "batches are not served; send single requests";
                return Err(Refusal::new(RefusalCode::MalformedRequest, sentence).into());
            }
            _ => {
                let sentence = "a JSON-RPC request is an object";
                return Err(Refusal::new(RefusalCode::MalformedRequest, sentence).into());
            }
        };
        let id = id(&mut object)?;
        Self::rest(object, id.clone()).map_err(|refusal| Broken { id, refusal })
    }

    fn rest(mut object: Object, id: serde_json::Value) -> Result<Self, Refusal> {
        if object.require("jsonrpc")?.string("jsonrpc")? != "2.0" {
            return Err(Refusal::new(RefusalCode::MalformedRequest, "jsonrpc must be \"2.0\""));
        }
        let method = object.require("method")?.string("method")?;
        let params = object.take("params").map_or(Ok(Vec::new()), |v| v.array("params"))?;
        object.finish()?;
        Ok(Self { id, method, params })
    }
}

/// The id to echo. A request without one is a notification, whose signature nobody would read.
fn id(object: &mut Object) -> Result<serde_json::Value, Refusal> {
    match object.take_nullable("id") {
        Some(Value::Null) => Ok(serde_json::Value::Null),
        Some(Value::Number(number)) => Ok(number.into()),
        Some(Value::String(text)) if text.len() <= MAX_ID => Ok(text.into()),
        _ => Err(Refusal::new(
            RefusalCode::MalformedRequest,
            format!("id must be a number or a string of at most {MAX_ID} bytes"),
        )),
    }
}

/// The error object of a refusal.
pub(super) fn failed(id: &serde_json::Value, refusal: &Refusal) -> Response {
    let code = refusal.code;
    let mut response = reply(&json!({
        "jsonrpc": "2.0",
        "id": id,
        "error": {
            "code": code.json_rpc_code(),
            "message": refusal.detail,
            "data": { "code": code.as_str(), "detail": refusal.detail },
        },
    }));
    if matches!(code, RefusalCode::TooLarge | RefusalCode::Busy) {
        *response.status_mut() = super::problem::status(code);
    }
    response.extensions_mut().insert(Outcome(code));
    response
}

fn reply(body: &serde_json::Value) -> Response {
    let mut response = (StatusCode::OK, body.to_string()).into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_object_with_an_id() {
        let check = |text: &str, good: bool| {
            assert_eq!(Call::read(text.as_bytes()).is_ok(), good, "{text}");
        };
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}"#, true);
        check(r#"{"jsonrpc":"2.0","id":"a","method":"eth_accounts","params":null}"#, true);
        check(r#"{"jsonrpc":"2.0","id":null,"method":"eth_accounts","params":[]}"#, true);
        check(r#"{"jsonrpc":"2.0","method":"eth_accounts"}"#, false);
        check(r#"{"jsonrpc":"1.0","id":1,"method":"eth_accounts"}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":{}}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","other":1}"#, false);
        check(r#"{"jsonrpc":"2.0","id":[],"method":"eth_accounts"}"#, false);
        check(r#"[{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}]"#, false);
        check("1", false);
    }

    #[test]
    fn a_broken_call_keeps_its_id() {
        let broken = Call::read(br#"{"jsonrpc":"2.0","id":7}"#).err().expect("has no method");
        assert_eq!(broken.id, json!(7));
    }

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
