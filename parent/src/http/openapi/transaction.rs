//! The schemas of a transaction: one per type, since each has other fields.

use super::schema::{hex, named, object, optional};
use crate::ethereum::MAX_BLOBS;
use serde_json::{Map, Value, json};

/// The fees and lists of every type; null where a type has none of them.
const OF_SOME_TYPES: [&str; 10] = [
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "maxFeePerBlobGas",
    "blobVersionedHashes",
    "blobs",
    "commitments",
    "proofs",
    "accessList",
    "authorizationList",
];

pub(super) fn schemas() -> Map<String, Value> {
    let kinds = ["Legacy", "AccessList", "DynamicFee", "Blob", "SetCode"];
    let kinds: Vec<_> = kinds.iter().map(|kind| named(&format!("{kind}Transaction"))).collect();
    let whole = json!({
        "description": "eth_signTransaction's object. Nothing is filled in. Without `type` it is \
            the type whose fields are there. Without `chainId` it is the endpoint's chain.",
        "anyOf": kinds,
    });
    let schemas = [
        ("Transaction", whole),
        ("LegacyTransaction", legacy()),
        ("AccessListTransaction", access_list_kind()),
        ("DynamicFeeTransaction", dynamic_fee()),
        ("BlobTransaction", blob()),
        ("SetCodeTransaction", set_code()),
        ("AccessList", access_list()),
        ("SignedAuthorization", signed_authorization()),
    ];
    schemas.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect()
}

/// A transaction of one type: the fields that all types have, and its own.
fn kind(number: u8, required: &[&str], own: &Value) -> Value {
    let mut properties = json!({
        "from": named("Address"),
        "type": { "enum": [number, format!("0x{number:x}"), null] },
        "chainId": optional(&named("Uint64")),
        "nonce": named("Uint64"),
        "gas": named("Uint64"),
        "to": named("Address"),
        "value": optional(&named("Uint256")),
        "data": optional(&named("Bytes")),
        "input": {
            "description": "Another name of `data`; if both are there they are equal.",
            "anyOf": [named("Bytes"), { "type": "null" }],
        },
    });
    for name in OF_SOME_TYPES {
        properties[name] = json!({ "type": "null" });
    }
    properties["unprotected"] = json!({ "enum": [false, null] });
    for (name, schema) in own.as_object().into_iter().flatten() {
        properties[name] = schema.clone();
    }
    object(&[&["from", "nonce", "gas"], required].concat(), &properties)
}

fn or_creation() -> Value {
    json!({
        "description": "Absent or null, the transaction creates a contract, whose initcode is \
            `data`.",
        "anyOf": [named("Address"), { "type": "null" }],
    })
}

fn legacy() -> Value {
    let unprotected = json!({
        "type": ["boolean", "null"],
        "description": "Our own field. `true`, without `chainId` and on an endpoint without a \
            chain: the signature holds on every chain (no EIP-155). Policy must allow it.",
    });
    let own = json!({
        "to": or_creation(),
        "gasPrice": named("Uint128"),
        "unprotected": unprotected,
    });
    kind(0, &["gasPrice"], &own)
}

fn access_list_kind() -> Value {
    let own = json!({
        "to": or_creation(),
        "gasPrice": named("Uint128"),
        "accessList": optional(&named("AccessList")),
    });
    kind(1, &["gasPrice"], &own)
}

fn dynamic_fee() -> Value {
    let own = json!({
        "to": or_creation(),
        "maxFeePerGas": named("Uint128"),
        "maxPriorityFeePerGas": named("Uint128"),
        "accessList": optional(&named("AccessList")),
    });
    kind(2, &["maxFeePerGas", "maxPriorityFeePerGas"], &own)
}

fn blob() -> Value {
    // Without a least length: whoever makes requests from this description would make 262,146
    // characters each time.
    let blob = json!({
        "type": "string",
        "pattern": "^0x([0-9a-fA-F]{2})*$",
        "maxLength": 262_146,
        "description": "131,072 bytes.",
    });
    let list = |items: Value, most: usize| json!({ "type": ["array", "null"], "minItems": 1, "maxItems": most, "items": items });
    let hash = json!({ "type": "string", "pattern": "^0x01[0-9a-fA-F]{62}$" });
    let mut proofs = list(hex(48), MAX_BLOBS * 128);
    proofs["description"] = json!(
        "128 cell proofs for each blob (EIP-7594), or with `?sidecar=eip4844` one proof. They are \
         not verified here; the node does."
    );
    let hashes = json!({
        "type": ["array", "null"],
        "minItems": 1,
        "items": hash,
        "description": "If there are commitments, theirs, in their order.",
    });
    let own = json!({
        "maxFeePerGas": named("Uint128"),
        "maxPriorityFeePerGas": named("Uint128"),
        "maxFeePerBlobGas": named("Uint128"),
        "blobVersionedHashes": hashes,
        "blobs": list(blob, MAX_BLOBS),
        "commitments": list(hex(48), MAX_BLOBS),
        "proofs": proofs,
        "accessList": optional(&named("AccessList")),
    });
    let required = ["to", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas"];
    let mut blob = kind(3, &required, &own);
    let given = |names: &[&str]| {
        let given: Map<_, _> =
            names.iter().map(|name| ((*name).to_owned(), json!({ "type": "array" }))).collect();
        json!({ "required": names, "properties": given })
    };
    blob["anyOf"] =
        json!([given(&["blobVersionedHashes"]), given(&["blobs", "commitments", "proofs"]),]);
    blob
}

fn set_code() -> Value {
    let list = json!({ "type": "array", "minItems": 1, "items": named("SignedAuthorization") });
    let own = json!({
        "maxFeePerGas": named("Uint128"),
        "maxPriorityFeePerGas": named("Uint128"),
        "authorizationList": list,
        "accessList": optional(&named("AccessList")),
    });
    kind(4, &["to", "maxFeePerGas", "maxPriorityFeePerGas", "authorizationList"], &own)
}

fn access_list() -> Value {
    let keys = json!({ "type": ["array", "null"], "items": named("Hash") });
    let item = object(&["address"], &json!({ "address": named("Address"), "storageKeys": keys }));
    json!({ "type": "array", "items": item })
}

/// An authorization (EIP-7702) with its signature, as a transaction carries it.
fn signed_authorization() -> Value {
    let word = json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{1,64}$" });
    let parity = json!({ "enum": [0, 1, "0x0", "0x1", "0x00", "0x01"] });
    let v = json!({ "enum": [0, 1, 27, 28, "0x0", "0x1", "0x00", "0x01", "0x1b", "0x1c", null] });
    let mut schema = object(
        &["chainId", "address", "nonce", "r", "s"],
        &json!({
            "chainId": named("Uint256"),
            "address": named("Address"),
            "nonce": named("Uint64"),
            "r": word,
            "s": word,
            "yParity": optional(&parity),
            "v": v,
        }),
    );
    let parity = json!({ "required": ["yParity"], "properties": { "yParity": parity } });
    schema["anyOf"] = json!([parity, { "required": ["v"], "properties": { "v": { "not": { "type": "null" } } } }]);
    schema["description"] =
        json!("Libraries write the parity as `yParity`, as `v` (27 and 28 too), or as both alike.");
    schema
}

/// A dynamic-fee transaction that is well formed.
pub(super) fn example() -> Value {
    json!({
        "from": super::rest::FROM,
        "to": super::rest::TO,
        "type": "0x2",
        "chainId": "0x1",
        "nonce": "0x0",
        "gas": "0x5208",
        "maxFeePerGas": "0x77359400",
        "maxPriorityFeePerGas": "0x3b9aca00",
        "value": "0x1",
    })
}
