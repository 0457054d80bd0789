//! What sidecars fit a transaction, and that another implementation reads what we write.

use super::super::{CheckedTransaction, TransactionRequest};
use super::*;
use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip4844, TxEip4844WithSidecar};
use alloy_eips::eip2718::{Decodable2718, Encodable2718};
use alloy_eips::eip4844::BlobTransactionSidecar;
use alloy_eips::eip7594::BlobTransactionSidecarEip7594;
use alloy_primitives::{Address, Signature, U256, keccak256};
use nitro_signer_shared::json::read_object;
use serde_json::{Value as Json, json};

/// A blob transaction with this many of everything, without its versioned hashes.
fn transaction(blobs: usize, commitments: usize, proofs: usize) -> Json {
    let text = |byte: usize, length: usize| format!("0x{}", format!("{byte:02x}").repeat(length));
    let list = |count: usize, length: usize| -> Vec<String> {
        (0..count).map(|n| text(n % 256, length)).collect()
    };
    json!({
        "from": owner(), "to": Address::ZERO, "nonce": "0x9", "gas": "0x5208",
        "chainId": 1, "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1",
        "maxFeePerBlobGas": "0x3",
        "blobs": list(blobs, 131_072), "commitments": list(commitments, 48),
        "proofs": list(proofs, 48),
    })
}

/// The address of [`key`].
fn owner() -> Address {
    let point = key().verifying_key().to_sec1_point(false);
    Address::from_raw_public_key(&point.as_bytes()[1..])
}

fn key() -> k256::ecdsa::SigningKey {
    k256::ecdsa::SigningKey::from_slice(&[0x46; 32]).expect("is a key")
}

fn read(transaction: &Json, form: SidecarForm) -> Result<TransactionRequest, Refusal> {
    let object = read_object(transaction.to_string().as_bytes()).expect("is JSON");
    TransactionRequest::read_in_form(object, None, form)
}

fn blob_transaction(request: &TransactionRequest) -> TxEip4844 {
    match &request.transaction {
        super::super::UnsignedTransaction::Eip4844(tx) => tx.clone(),
        other => unreachable!("{other:?}"),
    }
}

fn signature(request: &TransactionRequest) -> Signature {
    let hash = request.transaction.signing_hash();
    let (signature, id) = key().sign_prehash_recoverable(hash.as_slice());
    let bytes = signature.to_bytes();
    let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]));
    Signature::new(r, s, id.is_y_odd())
}

fn sign(request: &TransactionRequest) -> Vec<u8> {
    let signed = blob_transaction(request).into_signed(signature(request));
    EthereumTxEnvelope::<TxEip4844>::from(signed).encoded_2718()
}

/// SHA-256 of 48 zero bytes is 17b0761f…, by `sha256sum`.
const HASH_OF_ZEROS: &str = "0x01b0761f87b081d5cf10757ccc89f12be355c70e2e29df288b65b30710dcbcd1";

#[test]
fn the_versioned_hashes_come_from_the_commitments() {
    let request = read(&transaction(1, 1, 128), SidecarForm::Eip7594).expect("is complete");
    let hashes = blob_transaction(&request).blob_versioned_hashes;
    assert_eq!(format!("{:?}", hashes[0]), HASH_OF_ZEROS);

    let mut listed = transaction(1, 1, 128);
    listed["blobVersionedHashes"] = json!([HASH_OF_ZEROS]);
    assert_eq!(read(&listed, SidecarForm::Eip7594), Ok(request));
}

fn refused(transaction: &Json, form: SidecarForm, code: RefusalCode, naming: &str) {
    let refusal = read(transaction, form).expect_err(naming);
    assert_eq!(refusal.code, code, "{refusal}");
    assert!(refusal.detail.contains(naming), "{refusal}");
}

#[test]
fn a_hash_that_is_not_its_commitments_is_refused() {
    let mut given = transaction(2, 2, 256);
    for (hashes, naming) in [
        (vec![HASH_OF_ZEROS.replace("b0761f", "b0761e")], "1 versioned hashes"),
        (vec![HASH_OF_ZEROS.to_owned(), HASH_OF_ZEROS.to_owned()], "blobVersionedHashes[1]"),
        (vec![HASH_OF_ZEROS.replace("0x01", "0x02"); 2], "blobVersionedHashes[0]"),
        (Vec::new(), "0 versioned hashes"),
    ] {
        given["blobVersionedHashes"] = json!(hashes);
        refused(&given, SidecarForm::Eip7594, RefusalCode::InvalidBlobs, naming);
    }
}

#[test]
fn counts_agree_and_have_a_limit() {
    let check = |counts: [usize; 3], form, code, naming: &str| {
        let [blobs, commitments, proofs] = counts;
        refused(&transaction(blobs, commitments, proofs), form, code, naming);
    };
    let (cells, points) = (SidecarForm::Eip7594, SidecarForm::Eip4844);
    let (invalid, missing) = (RefusalCode::InvalidBlobs, RefusalCode::BlobProofsMissing);
    check([2, 1, 256], cells, invalid, "2 blobs, 1 commitments");
    check([1, 2, 128], cells, invalid, "1 blobs, 2 commitments");
    check([0, 0, 0], cells, invalid, "at least one");
    check([17, 17, 17], points, invalid, "16 items, not 17");
    check([1, 17, 1], points, invalid, "16 items, not 17");
    check([1, 1, 2_049], cells, invalid, "2048 items, not 2049");
    check([1, 1, 127], cells, missing, "128 here; 127 were given");
    check([1, 1, 1], cells, missing, "eip7594");
    check([1, 1, 128], points, missing, "eip4844");
    check([2, 2, 0], points, missing, "2 here; 0 were given");
    assert!(read(&transaction(16, 16, 16), points).is_ok());
}

#[test]
fn blobs_come_with_commitments_and_proofs_or_not_at_all() {
    let without = |names: &[&str]| {
        let mut given = transaction(1, 1, 128);
        given["blobVersionedHashes"] = json!([HASH_OF_ZEROS]);
        for name in names {
            given[*name] = Json::Null;
        }
        given
    };
    let form = SidecarForm::Eip7594;
    let bare = read(&without(&["blobs", "commitments", "proofs"]), form).expect("only hashes");
    assert_eq!(bare.sidecar, None);
    assert_eq!(bare.finish(b"raw"), b"raw");
    assert_eq!(bare.unfinish(b"raw").as_deref(), Some(b"raw".as_slice()));
    let missing = RefusalCode::BlobProofsMissing;
    refused(&without(&["proofs"]), form, missing, "without proofs");
    refused(&without(&["commitments"]), form, missing, "without commitments");
    refused(&without(&["commitments", "proofs"]), form, missing, "without commitments");
    refused(&without(&["blobs"]), form, RefusalCode::InvalidBlobs, "without blobs");
    refused(&without(&["blobs", "proofs"]), form, RefusalCode::InvalidBlobs, "without blobs");
}

#[test]
fn blobs_belong_to_blob_transactions_and_have_their_length() {
    let mut other = transaction(1, 1, 128);
    other["type"] = json!(2);
    other["maxFeePerBlobGas"] = Json::Null;
    refused(&other, SidecarForm::Eip7594, RefusalCode::InvalidTransaction, "blobs");
    for (name, length) in [("blobs", 131_072), ("commitments", 48), ("proofs", 48)] {
        for wrong in [length - 1, length + 1] {
            let mut given = transaction(1, 1, 128);
            given[name][0] = json!(format!("0x{}", "00".repeat(wrong)));
            refused(&given, SidecarForm::Eip7594, RefusalCode::InvalidBlobs, name);
        }
    }
}

/// alloy reads the network form and finds the same transaction, signature and sidecar.
#[test]
fn both_network_forms_are_read_by_another_implementation() {
    let request = read(&transaction(2, 2, 256), SidecarForm::Eip7594).expect("is complete");
    let raw = sign(&request);
    let network = request.finish(&raw);
    let decoded =
        EthereumTxEnvelope::<TxEip4844WithSidecar<BlobTransactionSidecarEip7594>>::decode_2718(
            &mut network.as_slice(),
        );
    let decoded = decoded.expect("is read");
    assert_eq!(decoded.encoded_2718(), network);
    let signed = decoded.as_eip4844().expect("has blobs");
    assert_eq!(signed.tx().tx, blob_transaction(&request));
    assert_eq!(*signed.signature(), signature(&request));
    assert_eq!(*signed.hash(), keccak256(&raw), "the hash is the one without blobs");
    let sidecar = &signed.tx().sidecar;
    assert_eq!((sidecar.blobs.len(), sidecar.cell_proofs.len()), (2, 256));
    assert_eq!(sidecar.blobs[1], [1; 131_072]);
    assert_eq!(
        (sidecar.commitments[1], sidecar.cell_proofs[255]),
        ([1; 48].into(), [255; 48].into())
    );

    let request = read(&transaction(2, 2, 2), SidecarForm::Eip4844).expect("is complete");
    let raw = sign(&request);
    let network = request.finish(&raw);
    let decoded = EthereumTxEnvelope::<TxEip4844WithSidecar<BlobTransactionSidecar>>::decode_2718(
        &mut network.as_slice(),
    );
    let decoded = decoded.expect("is read");
    assert_eq!(decoded.encoded_2718(), network);
    let sidecar = &decoded.as_eip4844().expect("has blobs").tx().sidecar;
    assert_eq!((sidecar.blobs.len(), sidecar.proofs.len()), (2, 2));
    assert_eq!(sidecar.proofs[1], [1; 48]);
}

#[test]
fn a_network_form_comes_apart_only_for_its_own_request() {
    let request = read(&transaction(1, 1, 128), SidecarForm::Eip7594).expect("is complete");
    let raw = sign(&request);
    let network = request.finish(&raw);
    assert_eq!(request.unfinish(&network), Some(raw.clone()));
    let core = request.unfinish(&network).expect("comes apart");
    assert!(CheckedTransaction::open(&core, &request).is_ok());

    let mut other = transaction(1, 1, 128);
    other["proofs"][127] = json!(format!("0x{}", "99".repeat(48)));
    let other = read(&other, SidecarForm::Eip7594).expect("is complete");
    assert_eq!(other.unfinish(&network), None, "another proof");
    assert_eq!(request.unfinish(&raw), None, "no sidecar");
    assert_eq!(request.unfinish(&network[..network.len() - 1]), None, "cut");
    assert_eq!(request.unfinish(&[network.as_slice(), &[0]].concat()), None, "longer");
    assert_eq!(request.unfinish(b""), None);
    assert_eq!(request.unfinish(b"\x03"), None);
    assert_eq!(request.unfinish(b"\x03\xc0"), None);
}

#[test]
fn a_form_has_one_name() {
    for form in [SidecarForm::Eip7594, SidecarForm::Eip4844] {
        assert_eq!(form.as_str().parse(), Ok(form));
    }
    let refusal = "EIP4844".parse::<SidecarForm>().expect_err("is no name");
    assert_eq!(refusal.code, RefusalCode::MalformedRequest);
}
