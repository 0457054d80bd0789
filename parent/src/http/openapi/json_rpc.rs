//! The description of JSON-RPC: one call per method, and batches of them.

use super::rest::{FROM, TO, message, typed_data_example};
use super::schema::{answer as all, named, object, optional};
use super::{answer, body, path_parameter, sidecar_parameter, transaction};
use crate::http::batch::MAX_ITEMS;
use crate::http::json_rpc::{MAX_ID, Method};
use nitro_signer_shared::json::MAX_SAFE_INTEGER;
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) fn paths() -> Map<String, Value> {
    let every = operation("rpc", "JSON-RPC on the configured chain, or on every chain");
    let mut one = operation("rpcOfChain", "JSON-RPC on one chain; what is for another is refused");
    let chain = path_parameter("id", "^[1-9][0-9]{0,19}$", "1");
    if let Some(parameters) = one["parameters"].as_array_mut() {
        parameters.push(chain);
    }
    let paths = [("/", json!({ "post": every })), ("/chain/{id}", json!({ "post": one }))];
    paths.into_iter().map(|(path, item)| (path.to_owned(), item)).collect()
}

pub(super) fn schemas() -> Map<String, Value> {
    let calls: Vec<_> =
        Method::ALL.iter().map(|(method, name)| call(name, &method.params())).collect();
    let schemas = [
        ("Call", json!({ "anyOf": calls })),
        ("CallAnswer", json!({ "anyOf": [succeeded(), failed()] })),
        ("CallFailed", failed()),
        ("RpcAuthorization", authorization()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn operation(id: &str, summary: &str) -> Value {
    let batch = |items: Value| json!({ "type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": items });
    let asked = json!({ "anyOf": [named("Call"), batch(named("Call"))] });
    let answered = json!({ "anyOf": [named("CallAnswer"), batch(named("CallAnswer"))] });
    let refused = named("CallFailed");
    json!({
        "operationId": id,
        "tags": ["json-rpc"],
        "summary": summary,
        "parameters": [{
            "name": "result",
            "in": "query",
            "description": "How eth_signTransaction answers: the raw bytes, or `{raw, tx}`.",
            "schema": { "enum": ["raw", "object"], "default": "raw" },
        }, sidecar_parameter()],
        "requestBody": body(&asked, &examples()),
        "responses": {
            "200": answer("The result or the error of each call, in their order.", &answered),
            "413": answer("The body, the batch or the request is too large.", &refused),
            "503": answer("Too much is in flight.", &refused),
            "default": { "$ref": "#/components/responses/default" },
        },
    })
}

impl Method {
    /// The schemas of a call's parameters, in their order.
    fn params(self) -> Vec<Value> {
        match self {
            Self::Accounts | Self::ChainId | Self::HealthStatus | Self::ClientVersion => Vec::new(),
            Self::SignTransaction => vec![named("Transaction")],
            Self::EthSign => vec![named("Address"), message()],
            Self::PersonalSign => vec![message(), named("Address")],
            Self::SignTypedData | Self::SignTypedDataV4 => {
                vec![named("Address"), named("TypedData")]
            }
            Self::SignAuthorization => vec![authorization_request()],
            Self::SignDigest => vec![named("Address"), named("Hash")],
        }
    }

    /// Parameters that are well formed.
    fn example(self) -> Value {
        match self {
            Self::Accounts | Self::ChainId | Self::HealthStatus | Self::ClientVersion => json!([]),
            Self::SignTransaction => json!([transaction::example()]),
            Self::EthSign => json!([FROM, "0x68656c6c6f"]),
            Self::PersonalSign => json!(["0x68656c6c6f", FROM]),
            Self::SignTypedData => json!([FROM, typed_data_example().to_string()]),
            Self::SignTypedDataV4 => json!([FROM, typed_data_example()]),
            Self::SignAuthorization => {
                json!([{ "from": FROM, "chainId": "0x1", "address": TO, "nonce": "0x0" }])
            }
            Self::SignDigest => json!([FROM, format!("0x{}", "ab".repeat(32))]),
        }
    }
}

fn examples() -> Vec<(&'static str, Value)> {
    let call = |id: usize, name: &str, params: Value| json!({ "jsonrpc": "2.0", "id": id, "method": name, "params": params });
    let mut examples: Vec<_> =
        Method::ALL.iter().map(|(method, name)| (*name, call(1, name, method.example()))).collect();
    let batch = [
        call(1, "eth_accounts", json!([])),
        call(2, "personal_sign", Method::PersonalSign.example()),
    ];
    examples.push(("batch", json!(batch)));
    examples
}

fn id() -> Value {
    json!({
        "type": ["integer", "string", "null"],
        "minimum": -(1i64 << 53) + 1,
        "maximum": MAX_SAFE_INTEGER,
        "maxLength": MAX_ID,
        "description": "Echoed. A call without it is refused: nobody would read its signature.",
    })
}

fn call(method: &str, params: &[Value]) -> Value {
    let mut list = json!({ "type": "array", "minItems": params.len(), "maxItems": params.len() });
    let mut required = vec!["jsonrpc", "id", "method"];
    if params.is_empty() {
        list["type"] = json!(["array", "null"]);
    } else {
        list["prefixItems"] = json!(params);
        required.push("params");
    }
    object(
        &required,
        &json!({
            "jsonrpc": { "const": "2.0" },
            "id": id(),
            "method": { "const": method },
            "params": list,
            "proof": optional(&named("Proof")),
        }),
    )
}

fn succeeded() -> Value {
    all(&json!({
        "jsonrpc": { "const": "2.0" },
        "id": id(),
        "result": {
            "description": "A signature, raw bytes, an id or a version as a string; addresses as \
                an array; an authorization or `{raw, tx}` as an object.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": named("Address") },
                named("RpcAuthorization"),
                all(&json!({ "raw": named("Bytes"), "tx": { "type": "object" } })),
            ],
        },
    }))
}

fn failed() -> Value {
    let numbers: BTreeSet<_> = RefusalCode::ALL.iter().map(|code| code.json_rpc_code()).collect();
    all(&json!({
        "jsonrpc": { "const": "2.0" },
        "id": id(),
        "error": all(&json!({
            "code": { "type": "integer", "enum": numbers },
            "message": { "type": "string" },
            "data": all(&json!({ "code": named("Code"), "detail": { "type": "string" } })),
        })),
    }))
}

fn authorization_request() -> Value {
    all(&json!({
        "from": named("Address"),
        "chainId": named("Uint64"),
        "address": named("Address"),
        "nonce": named("Uint64"),
    }))
}

fn authorization() -> Value {
    let mut schema = all(&json!({
        "chainId": named("Uint64"),
        "address": named("Address"),
        "nonce": named("Uint64"),
        "yParity": named("Parity"),
        "r": named("Hash"),
        "s": named("Hash"),
        "signature": named("Signature"),
    }));
    schema["description"] =
        json!("A signed authorization as ethers and viem take it in an `authorizationList`.");
    schema
}
