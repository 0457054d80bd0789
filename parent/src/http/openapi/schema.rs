//! The schemas that several parts of the description name.
//!
//! A field that may be absent may be null too, as Go clients write it.

use nitro_signer_shared::json::MAX_SAFE_INTEGER;
use nitro_signer_shared::message::MAX_TYPED_DATA;
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The pattern of an address.
pub(super) const ADDRESS: &str = "^0x[0-9a-fA-F]{40}$";

/// A reference to the schema of this name.
pub(super) fn named(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

/// The same, or null.
pub(super) fn optional(schema: &Value) -> Value {
    json!({ "anyOf": [schema, { "type": "null" }] })
}

/// Bytes of a fixed length in 0x-hex.
pub(super) fn hex(length: usize) -> Value {
    json!({ "type": "string", "pattern": format!("^0x[0-9a-fA-F]{{{}}}$", 2 * length) })
}

/// An object with these properties and no others.
pub(super) fn object(required: &[&str], properties: &Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// An object that has each of these properties, as answers do.
pub(super) fn answer(properties: &Value) -> Value {
    let names: Vec<_> = properties.as_object().into_iter().flat_map(Map::keys).collect();
    json!({
        "type": "object",
        "required": names,
        "properties": properties,
        "additionalProperties": false,
    })
}

/// An integer of so many bits: a quantity as the execution APIs have it, or a JSON integer.
fn quantity(bits: usize) -> Value {
    let more_digits = bits / 4 - 1;
    json!({
        "description": format!("An integer below 2^{bits}."),
        "anyOf": [
            {
                "type": "string",
                "pattern": format!("^0x(0|[1-9a-fA-F][0-9a-fA-F]{{0,{more_digits}}})$"),
            },
            { "type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER },
        ],
    })
}

pub(super) fn schemas() -> Map<String, Value> {
    let schemas = [
        ("Address", address()),
        ("Bytes", json!({ "type": "string", "pattern": "^0x([0-9a-fA-F]{2})*$" })),
        ("Hash", hex(32)),
        ("PublicKey", public_key()),
        ("Signature", signature()),
        ("Parity", json!({ "type": "integer", "minimum": 0, "maximum": 1 })),
        ("Uint64", quantity(64)),
        ("Uint128", quantity(128)),
        ("Uint256", quantity(256)),
        ("Proof", proof()),
        ("TypedData", typed_data()),
        ("Code", code()),
        ("Problem", problem()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

fn address() -> Value {
    json!({
        "type": "string",
        "pattern": ADDRESS,
        "description": "In one case, or in mixed case with a right checksum (EIP-55).",
    })
}

fn public_key() -> Value {
    let mut schema = hex(64);
    schema["description"] = json!("The two coordinates of a secp256k1 point, without the byte 04.");
    schema
}

fn signature() -> Value {
    json!({
        "type": "string",
        "pattern": "^0x[0-9a-fA-F]{128}1[bc]$",
        "description": "r, s and v, v being 27 or 28.",
    })
}

fn proof() -> Value {
    let mut schema = object(
        &["request_id", "expiry", "signature"],
        &json!({
            "request_id": named("Hash"),
            "expiry": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_SAFE_INTEGER,
                "description": "In seconds of Unix time; at most ten minutes ahead.",
            },
            "signature": hex(65),
        }),
    );
    schema["description"] = json!(
        "A client's EIP-712 signature over this request: Request(string action,address key,\
         bytes32 payload,bytes32 requestId,uint64 expiry) in the domain {name: \"nitro-signer\", \
         version: \"1\", salt: the first 32 bytes of the manifest's hash}."
    );
    schema
}

fn typed_data() -> Value {
    let member = object(
        &["name", "type"],
        &json!({ "name": { "type": "string" }, "type": { "type": "string" } }),
    );
    let whole = object(
        &["types", "primaryType", "domain", "message"],
        &json!({
            "types": {
                "type": "object",
                "additionalProperties": { "type": "array", "items": member },
            },
            "primaryType": { "type": "string" },
            "domain": {
                "type": "object",
                "minProperties": 1,
                "properties": {
                    "name": { "type": "string" },
                    "version": { "type": "string" },
                    "chainId": { "type": ["integer", "string"] },
                    "verifyingContract": named("Address"),
                    "salt": named("Hash"),
                },
                "additionalProperties": false,
            },
            "message": { "type": "object" },
        }),
    );
    json!({
        "description": "Typed data (EIP-712): the object, or a string with its JSON. Integers \
            beyond 2^53-1 are decimal or 0x-hex strings.",
        "anyOf": [
            whole,
            { "type": "string", "contentMediaType": "application/json", "maxLength": MAX_TYPED_DATA },
        ],
    })
}

/// The code of a refusal.
fn code() -> Value {
    let codes: Vec<_> = RefusalCode::ALL.iter().map(|code| code.as_str()).collect();
    json!({ "type": "string", "enum": codes, "description": "Stable; match on it." })
}

fn problem() -> Value {
    let statuses: BTreeSet<_> = RefusalCode::ALL.iter().map(|code| code.http_status()).collect();
    let mut schema = answer(&json!({
        "type": { "type": "string", "format": "uri" },
        "title": { "type": "string" },
        "status": { "type": "integer", "enum": statuses },
        "code": code(),
        "detail": { "type": "string", "description": "What to correct in this case." },
    }));
    schema["description"] = json!("A refusal (RFC 9457).");
    schema
}
