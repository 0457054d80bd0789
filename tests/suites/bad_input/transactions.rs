//! Transactions that cannot be signed as they stand: each is a good one but for what its row names.

use super::{C, Row, SOMEBODY, changed, transaction};
use alloy_primitives::{U256, hex};
use nitro_signer_shared::refusal::RefusalCode;
use nitro_signer_tests::deployment::REFUSED_RECIPIENT;
use serde_json::{Value, json};

const INVALID: RefusalCode = C::InvalidTransaction;

fn power_of_two(bits: usize) -> String {
    format!("{:#x}", U256::from(1) << bits)
}

fn list(item: &Value, count: usize) -> Value {
    json!(vec![item; count])
}

/// Fields that are missing, unknown, of another form or out of range.
pub(crate) fn fields(from: &str) -> Vec<Row> {
    let rows = [
        ("no from", json!({ "from": null })),
        ("no nonce", json!({ "nonce": null })),
        ("no gas", json!({ "gas": null })),
        ("no fee", json!({ "maxFeePerGas": null })),
        ("no recipient and no code", json!({ "to": null })),
        ("chain id 0", json!({ "chainId": "0x0" })),
        ("an unknown field", json!({ "surprise": "0x1" })),
        ("gasPrice beside maxFeePerGas", json!({ "gasPrice": "0x1" })),
        ("data and another input", json!({ "data": "0x01", "input": "0x02" })),
        ("odd hex", json!({ "data": "0x012" })),
        ("hex without its prefix", json!({ "data": "01" })),
        ("what is no hex", json!({ "data": "0xzz" })),
        ("a short address", json!({ "to": &SOMEBODY[..40] })),
        ("a long address", json!({ "to": format!("{SOMEBODY}00") })),
        // EIP-55's first example, its last letter in the other case.
        ("a wrong checksum", json!({ "to": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD" })),
        ("a decimal quantity", json!({ "value": "12" })),
        ("a quantity with a leading zero", json!({ "value": "0x01" })),
        ("a negative number", json!({ "value": -1 })),
        ("a fraction", json!({ "value": 1.5 })),
        ("a number beyond 2^53", json!({ "nonce": 9_007_199_254_740_993_u64 })),
        ("nonce 2^64", json!({ "nonce": power_of_two(64) })),
        ("nonce 2^64 - 1 (EIP-2681)", json!({ "nonce": "0xffffffffffffffff" })),
        ("gas 2^64", json!({ "gas": power_of_two(64) })),
        ("fee 2^128", json!({ "maxFeePerGas": power_of_two(128) })),
        ("value 2^256", json!({ "value": format!("0x1{}", "0".repeat(64)) })),
        ("cost beyond 2^256", json!({ "value": format!("{:#x}", U256::MAX) })),
        ("priority above the cap", json!({ "maxPriorityFeePerGas": "0x3" })),
        ("type 2^64", json!({ "type": power_of_two(64) })),
        ("unprotected, but not legacy", json!({ "unprotected": true, "chainId": null })),
    ];
    rows.map(|(what, changes)| (what, changed(&transaction(from), &changes), INVALID)).into()
}

pub(crate) fn legacy(from: &str) -> Vec<Row> {
    let legacy = json!({ "type": "0x0", "gasPrice": "0x1", "maxFeePerGas": null,
        "maxPriorityFeePerGas": null });
    let legacy = changed(&transaction(from), &legacy);
    let rows = [
        ("legacy with chain id 0", json!({ "chainId": 0 })),
        ("legacy without a chain id", json!({ "chainId": null })),
        ("a chain id that v cannot carry", json!({ "chainId": power_of_two(63) })),
        ("unprotected beside a chain id", json!({ "unprotected": true })),
        ("unprotected, but no truth value", json!({ "unprotected": "yes", "chainId": null })),
        ("legacy with maxFeePerGas", json!({ "maxFeePerGas": "0x1" })),
        ("legacy with an access list", json!({ "accessList": [] })),
    ];
    rows.map(|(what, changes)| (what, changed(&legacy, &changes), INVALID)).into()
}

pub(crate) fn sizes_and_others(from: &str) -> Vec<Row> {
    let slot = json!(format!("0x{}", "33".repeat(32)));
    let access = |addresses: usize, slots: usize| {
        let item = json!({ "address": SOMEBODY, "storageKeys": list(&slot, slots) });
        json!({ "accessList": list(&item, addresses) })
    };
    let data = |bytes: usize| json!({ "data": hex::encode_prefixed(vec![0; bytes]) });
    let rows = [
        ("calldata of 128 KiB and a byte", data(131_073), INVALID),
        ("initcode of 48 KiB and a byte", changed(&data(49_153), &json!({ "to": null })), INVALID),
        ("8,193 slots", access(1, 8_193), INVALID),
        ("1,025 addresses", access(1_025, 0), INVALID),
        ("20,000 slots", access(1, 20_000), C::TooLarge),
        ("type 5", json!({ "type": "0x5" }), C::UnsupportedTransaction),
        ("an unknown from", json!({ "from": SOMEBODY }), C::UnknownKey),
        ("a chain that no rule names", json!({ "chainId": 5 }), C::PolicyDenied),
        ("a recipient that a rule forbids", json!({ "to": REFUSED_RECIPIENT }), C::PolicyDenied),
    ];
    rows.map(|(what, changes, code)| (what, changed(&transaction(from), &changes), code)).into()
}

pub(crate) fn blobs(from: &str) -> Vec<Row> {
    let hash = |version: u8| json!([format!("0x{version:02x}{}", "22".repeat(31))]);
    let of = json!({ "type": "0x3", "maxFeePerBlobGas": "0x1", "blobVersionedHashes": hash(1) });
    let of = changed(&transaction(from), &of);
    let blob = json!(hex::encode_prefixed(vec![0; 131_072]));
    let point = json!(hex::encode_prefixed([0xc0; 48]));
    let sidecar = |blobs: Value| json!({ "blobs": blobs, "commitments": [point], "proofs": list(&point, 128) });
    let rows = [
        ("no hashes", json!({ "blobVersionedHashes": [] }), INVALID),
        ("a hash of version 2", json!({ "blobVersionedHashes": hash(2) }), INVALID),
        ("blobs that create", json!({ "to": null }), INVALID),
        ("blobs without their fee", json!({ "maxFeePerBlobGas": null }), INVALID),
        ("blobs alone", json!({ "blobs": [blob] }), C::BlobProofsMissing),
        (
            "blobs without proofs",
            json!({ "blobs": [blob], "commitments": [point] }),
            C::BlobProofsMissing,
        ),
        ("proofs without blobs", json!({ "proofs": [point] }), C::InvalidBlobs),
        ("a wrong commitment", sidecar(json!([blob])), C::InvalidBlobs),
        ("a short blob", sidecar(json!(["0x00"])), C::InvalidBlobs),
        ("17 blobs", sidecar(list(&json!("0x00"), 17)), C::InvalidBlobs),
        ("blobs in another type", json!({ "type": "0x2", "blobs": [blob] }), INVALID),
    ];
    rows.map(|(what, changes, code)| (what, changed(&of, &changes), code)).into()
}

pub(crate) fn authorizations(from: &str) -> Vec<Row> {
    let item = json!({ "chainId": "0x7a69", "address": SOMEBODY, "nonce": "0x0",
        "yParity": "0x0", "r": "0x1", "s": "0x1" });
    let one = |changes: Value| json!([changed(&item, &changes)]);
    let rows = [
        ("no authorizations", json!([])),
        ("65 authorizations", list(&item, 65)),
        ("an authorization's parity of 2", one(json!({ "yParity": "0x2" }))),
        // No point of secp256k1 has this x.
        ("an authorization without a signer", one(json!({ "r": "0x5" }))),
        ("one with a high s", one(json!({ "s": power_of_two(255) }))),
        ("one with r of 0", one(json!({ "r": "0x0" }))),
        ("one without a chain id", one(json!({ "chainId": null }))),
        ("one with an unknown field", one(json!({ "from": SOMEBODY }))),
    ];
    let of = |list: Value| {
        changed(&transaction(from), &json!({ "type": "0x4", "authorizationList": list }))
    };
    rows.map(|(what, list)| (what, of(list), INVALID)).into()
}
