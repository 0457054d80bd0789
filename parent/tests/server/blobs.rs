//! Blob transactions over the wire: blobs stay with the parent, and come back around what was
//! signed.

use crate::FROM;
use crate::stage::{Stage, code};
use nitro_signer_parent::ethereum::{SidecarForm, TransactionRequest};
use nitro_signer_shared::json::read_object;
use serde_json::{Value, json};

/// A transaction with one blob and this many proofs.
fn transaction(proofs: usize) -> Value {
    let zeros = |length: usize| format!("0x{}", "00".repeat(length));
    json!({
        "from": FROM, "to": FROM, "nonce": "0x9", "gas": "0x5208", "chainId": 1,
        "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1", "maxFeePerBlobGas": "0x3",
        "blobs": [zeros(131_072)], "commitments": [zeros(48)], "proofs": vec![zeros(48); proofs],
    })
}

/// The payload that the enclave is to see, and the network form of what the played one answers:
/// the payload itself.
fn expected(transaction: &Value, form: SidecarForm) -> (String, String) {
    let object = read_object(transaction.to_string().as_bytes()).unwrap();
    let asked = TransactionRequest::read_in_form(object, None, form).unwrap();
    let payload = asked.transaction.signing_payload();
    let hex = |bytes: &[u8]| format!("0x{}", hex::encode(bytes));
    (hex(&payload), hex(&asked.finish(&payload)))
}

#[tokio::test]
async fn blobs_never_reach_the_enclave_and_come_back_in_the_form_that_was_asked() {
    let stage = Stage::ready().await;
    let (cells, points) = (SidecarForm::Eip7594, SidecarForm::Eip4844);
    for (query, proofs, form) in
        [("", 128, cells), ("?sidecar=eip7594", 128, cells), ("?sidecar=eip4844", 1, points)]
    {
        let transaction = transaction(proofs);
        let (payload, network) = expected(&transaction, form);
        let call = json!({
            "jsonrpc": "2.0", "id": 5, "method": "eth_signTransaction", "params": [transaction],
        });
        let (status, answer) = stage.post(&format!("/{query}"), &call).await;
        assert_eq!((status, answer["result"] == network), (200, true), "{query}");
        assert_eq!(stage.signed().1, json!([FROM, payload]));

        let body = json!({ "transaction": transaction });
        let (status, answer) = stage.post(&format!("/v1/transactions{query}"), &body).await;
        assert_eq!((status, answer["raw"] == network), (200, true), "{query}");

        let item = json!({ "method": "sign_transaction", "transaction": transaction });
        let batch = json!({ "requests": [item] });
        let (_, answer) = stage.post(&format!("/v1/batch{query}"), &batch).await;
        assert!(answer["results"][0]["body"]["raw"] == network, "{query}");
    }
}

#[tokio::test]
async fn blobs_that_do_not_fit_are_refused_before_anything_is_signed() {
    let stage = Stage::ready().await;
    let check = async |query: &str, transaction: Value, expected: &str| {
        let body = json!({ "transaction": transaction });
        let (status, answer) = stage.post(&format!("/v1/transactions{query}"), &body).await;
        assert_eq!((status, code(&answer)), (400, expected), "{query}");
        let call = json!({
            "jsonrpc": "2.0", "id": 5, "method": "eth_signTransaction", "params": [transaction],
        });
        let (_, answer) = stage.post(&format!("/{query}"), &call).await;
        assert_eq!(answer["error"]["data"]["code"], expected, "{query}");
    };
    check("", transaction(1), "blob_proofs_missing").await;
    check("?sidecar=eip4844", transaction(128), "blob_proofs_missing").await;
    check("?sidecar=eip9999", transaction(128), "malformed_request").await;
    let mut other = transaction(128);
    other["blobVersionedHashes"] = json!([format!("0x01{}", "00".repeat(31))]);
    check("", other, "invalid_blobs").await;
    let signed = stage.asked().iter().filter(|a| a.request == "SignTransaction").count();
    assert_eq!(signed, 0);
}
