//! JSON-RPC calls on their way through: which of them get a proof, and errors of the proxy's own.
//!
//! What a proof names is computed here from the call, by the same readers as at the appliance. A
//! call that they do not take gets none: the appliance refuses it and says why.

use super::super::proof::{self, ProofKey};
use crate::ethereum::{Payload, SidecarForm, TransactionRequest, fields};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::Address;
use nitro_signer_shared::json;
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_shared::proof::Intent;
use nitro_signer_shared::refusal::Refusal;
use serde_json::{Value, json};

/// The most calls in a batch; longer ones are refused by the appliance.
const MAX_BATCH: usize = 100;
/// The longest id that is echoed, in bytes.
const MAX_ID: usize = 256;

/// Where calls go, as far as it changes what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    chain: Option<u64>,
    form: SidecarForm,
}

impl At {
    /// By the path and the query at the appliance.
    pub(super) fn new(path: &str, query: Option<&str>) -> Self {
        let chain = path.strip_prefix("/chain/").and_then(|id| id.parse().ok());
        let pairs = query.unwrap_or_default().split('&');
        let form = pairs.filter_map(|pair| pair.strip_prefix("sidecar=")).next();
        Self { chain, form: form.and_then(|form| form.parse().ok()).unwrap_or_default() }
    }
}

/// What proofs are made with.
pub(super) struct Proofs {
    pub(super) key: ProofKey,
    pub(super) manifest: ManifestHash,
}

impl Proofs {
    /// The body with a proof in each call that asks for a signature; if there is none, the very
    /// bytes.
    pub(super) fn add(&self, body: Vec<u8>, at: At) -> Vec<u8> {
        // Where two readers could see two things, as with a key that stands twice, nothing is
        // proved.
        let strict = json::read(&body).is_ok();
        let Some(mut calls) = serde_json::from_slice(&body).ok().filter(|_| strict) else {
            return body;
        };
        let proved = match &mut calls {
            Value::Array(items) if items.len() > MAX_BATCH => 0,
            Value::Array(items) => items.iter_mut().filter_map(|call| self.prove(call, at)).count(),
            call => self.prove(call, at).iter().count(),
        };
        if proved == 0 { body } else { calls.to_string().into_bytes() }
    }

    /// Adds a proof to one call that has an id and none yet.
    fn prove(&self, call: &mut Value, at: At) -> Option<()> {
        let call = call.as_object_mut()?;
        if !call.contains_key("id") || call.contains_key("proof") {
            return None;
        }
        let method = call.get("method")?.as_str()?;
        let intent = intent(method, call.get("params")?.as_array()?, at)?;
        let proof = self.key.prove(&intent, &self.manifest).ok()?;
        call.insert("proof".to_owned(), proof::to_json(&proof));
        Some(())
    }
}

/// What a call asks to have signed.
fn intent(method: &str, params: &[Value], at: At) -> Option<Intent> {
    match (method, params) {
        ("eth_signTransaction", [transaction]) => {
            let transaction = strict(transaction)?.object("the transaction").ok()?;
            let asked = TransactionRequest::read_in_form(transaction, at.chain, at.form).ok()?;
            Some(Intent::sign_transaction(asked.from, asked.transaction.signing_hash()))
        }
        ("eth_sign", [key, message]) | ("personal_sign", [message, key]) => {
            let message = fields::bytes("the message", strict(message)?).ok()?;
            Some(Payload::message(message.to_vec()).ok()?.intent(address(key)?))
        }
        ("eth_signTypedData" | "eth_signTypedData_v4", [key, data]) => {
            let text = data.as_str().map_or_else(|| data.to_string(), str::to_owned);
            Some(Payload::typed_data(text.as_bytes()).ok()?.intent(address(key)?))
        }
        ("signer_signAuthorization", [authorization]) => {
            let key = address(authorization.get("from")?)?;
            Some(Payload::Authorization(self::authorization(authorization)?).intent(key))
        }
        ("signer_signDigest", [key, digest]) => {
            Some(Payload::digest(strict(digest)?).ok()?.intent(address(key)?))
        }
        _ => None,
    }
}

fn authorization(value: &Value) -> Option<Authorization> {
    let quantity = |name: &str| fields::quantity(name, strict(value.get(name)?)?).ok();
    Some(Authorization {
        chain_id: quantity("chainId")?,
        address: address(value.get("address")?)?,
        nonce: quantity("nonce")?.try_into().ok()?,
    })
}

fn address(value: &Value) -> Option<Address> {
    fields::address_text("the address", value.as_str()?).ok()
}

/// A part of a call for the readers that the appliance has.
fn strict(value: &Value) -> Option<json::Value> {
    json::read(value.to_string().as_bytes()).ok()
}

/// The error object of a refusal.
pub(super) fn error(id: &Value, refusal: &Refusal) -> Value {
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

/// The same answer to every call of a body.
pub(super) fn errors(body: &[u8], refusal: &Refusal) -> Value {
    match serde_json::from_slice(body) {
        Ok(Value::Array(calls)) if (1..=MAX_BATCH).contains(&calls.len()) => {
            calls.iter().map(|call| error(&id(call), refusal)).collect()
        }
        Ok(call) => error(&id(&call), refusal),
        Err(_) => error(&Value::Null, refusal),
    }
}

fn id(call: &Value) -> Value {
    match call.get("id") {
        Some(id @ Value::Number(_)) => id.clone(),
        Some(Value::String(text)) if text.len() <= MAX_ID => json!(text),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_query_say_how_calls_are_read() {
        let check = |path: &str, query: Option<&str>, chain: Option<u64>, form: SidecarForm| {
            assert_eq!(At::new(path, query), At { chain, form }, "{path} {query:?}");
        };
        let (cells, points) = (SidecarForm::Eip7594, SidecarForm::Eip4844);
        check("/", None, None, cells);
        check("/chain/5", Some("result=raw"), Some(5), cells);
        check("/chain/x", Some("sidecar=eip7594"), None, cells);
        check("/", Some("result=raw&sidecar=eip4844"), None, points);
    }
}
