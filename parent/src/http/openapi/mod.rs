//! The description of everything that clients are served (OpenAPI 3.1), at /openapi.json.
//!
//! It says exactly what is accepted and answered, no more: tests hold it against the routes, the
//! methods and the list of refusals, so that a route cannot be served without being described.

mod eth1;
mod json_rpc;
mod rest;
mod schema;
mod transaction;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());

pub(super) async fn serve() -> Response {
    let mut response = TEXT.as_str().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The whole description.
fn document() -> Value {
    let mut paths = Map::new();
    paths.extend(json_rpc::paths());
    paths.extend(rest::paths());
    paths.extend(eth1::paths());
    paths.insert("/openapi.json".to_owned(), json!({ "get": own_operation() }));
    let mut schemas = schema::schemas();
    schemas.extend(transaction::schemas());
    schemas.extend(json_rpc::schemas());
    schemas.extend(rest::schemas());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "nitro-signer",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Signs for Ethereum with keys that exist only inside an AWS Nitro \
                Enclave. Every client has a certificate; what it may have signed, the manifest's \
                policy says. Refusals are problem documents (RFC 9457) or JSON-RPC errors with \
                the same stable code.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "certificate": [] }],
        "tags": [
            { "name": "json-rpc", "description": "As Ethereum's tools speak it. Errors come under HTTP status 200, except 413 and 503." },
            { "name": "appliance", "description": "State, vault and attestation." },
            { "name": "keys", "description": "Making and listing keys." },
            { "name": "signing", "description": "One route per kind of request." },
            { "name": "web3signer", "description": "The routes of web3signer's eth1 mode." },
        ],
        "paths": paths,
        "components": {
            "securitySchemes": { "certificate": { "type": "mutualTLS" } },
            "schemas": schemas,
            "responses": refusal_responses(),
        },
    })
}

fn own_operation() -> Value {
    let ok = answer("This document.", &json!({ "type": "object" }));
    operation("openapi", "appliance", "This description.", json!({ "200": ok }), AT_ANY_ROUTE)
}

/// What any request can be refused with: a body that broke off or is too large, too much in
/// flight, too slow.
const AT_ANY_ROUTE: &[u16] = &[400, 413, 503, 504];
/// The same and everything that the enclave and the way to it can say.
const BY_THE_ENCLAVE: &[u16] = &[400, 401, 403, 404, 409, 413, 422, 500, 502, 503, 504, 507];

/// An operation whose refusals are problem documents.
fn operation(id: &str, tag: &str, summary: &str, mut responses: Value, refusals: &[u16]) -> Value {
    for status in refusals {
        responses[status.to_string()] =
            json!({ "$ref": format!("#/components/responses/{status}") });
    }
    responses["default"] = json!({ "$ref": "#/components/responses/default" });
    json!({ "operationId": id, "tags": [tag], "summary": summary, "responses": responses })
}

/// A response with a JSON body.
fn answer(description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "content": { "application/json": { "schema": schema } },
    })
}

/// A JSON body that must be there, with examples by name.
fn body(schema: &Value, examples: &[(&str, Value)]) -> Value {
    let examples: Map<String, Value> = examples
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!({ "value": value })))
        .collect();
    json!({
        "required": true,
        "content": { "application/json": { "schema": schema, "examples": examples } },
    })
}

/// A parameter in a path.
fn path_parameter(name: &str, pattern: &str, example: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "schema": { "type": "string", "pattern": pattern },
        "example": example,
    })
}

/// How blobs go to the network.
fn sidecar_parameter() -> Value {
    json!({
        "name": "sidecar",
        "in": "query",
        "description": "How a transaction with blobs comes back: in EIP-7594's form with 128 cell \
            proofs for each blob, or in EIP-4844's with one proof. The proofs that are sent are of \
            this form.",
        "schema": { "enum": ["eip7594", "eip4844"], "default": "eip7594" },
    })
}

/// One response per status of a refusal, and one for any.
fn refusal_responses() -> Map<String, Value> {
    let statuses: BTreeSet<_> = RefusalCode::ALL.iter().map(|code| code.http_status()).collect();
    let one = |status: u16| {
        let codes: Vec<_> =
            RefusalCode::ALL.iter().filter(|code| code.http_status() == status).collect();
        let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
        let advice = codes.iter().map(|code| format!("- `{code}`: {}", code.advice()));
        let advice = advice.collect::<Vec<_>>().join("\n");
        let narrower = json!({
            "allOf": [
                schema::named("Problem"),
                { "properties": { "status": { "const": status }, "code": { "enum": names } } },
            ],
        });
        (status.to_string(), problem(&advice, &narrower))
    };
    let mut responses: Map<_, _> = statuses.into_iter().map(one).collect();
    let any = problem("A refusal.", &schema::named("Problem"));
    responses.insert("default".to_owned(), any);
    responses
}

fn problem(description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": schema } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::client_routes;

    /// Every `$ref` in a value.
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| references(field, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let described: BTreeSet<_> =
            document["paths"].as_object().expect("has paths").keys().cloned().collect();
        let served: BTreeSet<_> =
            client_routes().into_iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(described, served);
    }

    #[test]
    fn every_refusal_is_listed_once_as_a_problem_and_once_by_its_status() {
        let document = document();
        let codes: Vec<_> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
        let problem = &document["components"]["schemas"]["Problem"];
        assert_eq!(problem["properties"]["code"]["enum"], json!(codes));
        for code in RefusalCode::ALL {
            let response = &document["components"]["responses"][code.http_status().to_string()];
            let schema = &response["content"]["application/problem+json"]["schema"];
            let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
            assert!(codes.expect("lists codes").contains(&json!(code.as_str())), "{code}");
            assert!(response["description"].as_str().is_some_and(|d| d.contains(code.advice())));
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in &found {
            let pointer = reference.strip_prefix('#').expect("is of this document");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        for name in document["components"]["schemas"].as_object().expect("has schemas").keys() {
            assert!(found.contains(&format!("#/components/schemas/{name}")), "{name}");
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = document();
        let mut names = BTreeSet::new();
        for path in document["paths"].as_object().expect("has paths").values() {
            for operation in path.as_object().expect("has operations").values() {
                let name = operation["operationId"].as_str().expect("has a name");
                assert!(names.insert(name.to_owned()), "{name}");
                assert!(operation["responses"]["default"].is_object(), "{name}");
            }
        }
    }
}
