//! JSON-RPC calls on their way through: which of them get a proof, and errors of the proxy's own.
//!
//! What a proof names is computed here from the call, by the same readers as at the appliance. A
//! call that they do not take gets none: the appliance refuses it and says why.

use super::super::proof::{self, ProofKey};
use crate::ethereum::{
    AuthorizationRequest, Names, Payload, SidecarForm, TransactionRequest, TypedDataText, fields,
};
use crate::http::{call_id, chain_of_path, sidecar_of_query};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, U256};
use nitro_signer_shared::json;
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_shared::proof::Intent;
use nitro_signer_shared::refusal::Refusal;
use serde_json::{Value, json};

/// The most calls in a batch; longer ones are refused by the appliance.
const MAX_BATCH: usize = 100;

/// Where calls go, as far as it changes what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    chain: Option<u64>,
    form: SidecarForm,
}

impl At {
    /// By the path and the query at the appliance; none if these say nothing that is certain. So
    /// `/chain/05` is no chain: nothing is proved for a path that two readers could read.
    pub(super) fn new(path: &str, query: Option<&str>) -> Option<Self> {
        let chain = match path {
            "/" => None,
            path => Some(chain_of_path(path.strip_prefix("/chain/")?)?),
        };
        Some(Self { chain, form: sidecar_of_query(query).ok()? })
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

    /// Adds a proof to one call that has an id and none yet; null is none, as at the appliance.
    fn prove(&self, call: &mut Value, at: At) -> Option<()> {
        let call = call.as_object_mut()?;
        if !call.contains_key("id") || call.get("proof").is_some_and(|proof| !proof.is_null()) {
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
            let text = TypedDataText::read(strict(data)?, at.chain).ok()?.into_bytes();
            Some(Payload::typed_data(&text).ok()?.intent(address(key)?))
        }
        ("signer_signAuthorization", [authorization]) => {
            let authorization = strict(authorization)?.object("the authorization").ok()?;
            let asked = AuthorizationRequest::read(authorization, Names::Camel, at.chain).ok()?;
            let AuthorizationRequest { from, chain_id, address, nonce } = asked;
            let signed = Authorization { chain_id: U256::from(chain_id), address, nonce };
            Some(Payload::Authorization(signed).intent(from))
        }
        ("signer_signDigest", [key, digest]) => {
            Some(Payload::digest(strict(digest)?).ok()?.intent(address(key)?))
        }
        _ => None,
    }
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
    match json::read(body) {
        Ok(json::Value::Array(calls)) if (1..=MAX_BATCH).contains(&calls.len()) => {
            calls.into_iter().map(|call| error(&id(call), refusal)).collect()
        }
        Ok(call) => error(&id(call), refusal),
        Err(_) => error(&Value::Null, refusal),
    }
}

/// The id as the appliance would echo it.
fn id(call: json::Value) -> Value {
    let id = call.object("a call").ok().and_then(|mut call| call_id(&mut call).ok());
    id.unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_a_query_say_how_calls_are_read() {
        let check = |path: &str, query: Option<&str>, chain: Option<u64>, form: SidecarForm| {
            assert_eq!(At::new(path, query), Some(At { chain, form }), "{path} {query:?}");
        };
        let (cells, points) = (SidecarForm::Eip7594, SidecarForm::Eip4844);
        check("/", None, None, cells);
        check("/chain/5", Some("result=raw"), Some(5), cells);
        check("/chain/1", Some("sidecar=eip7594"), Some(1), cells);
        check("/", Some("result=raw&sidecar=eip4844"), None, points);
    }

    #[test]
    fn what_the_appliance_could_read_otherwise_says_nothing() {
        let check = |path: &str, query: Option<&str>| {
            assert_eq!(At::new(path, query), None, "{path} {query:?}");
        };
        for path in
            ["/chain/x", "/chain/+5", "/chain/05", "/chain/%35", "/chain/", "/chain/5/", "/5"]
        {
            check(path, None);
        }
        for query in ["sidecar=eip1", "sidecar", "sidecar=eip4844&sidecar=eip7594", "chain=5"] {
            check("/chain/5", Some(query));
        }
    }
}
