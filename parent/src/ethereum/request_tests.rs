//! What the transaction reader accepts, what it refuses, and the bytes it makes.

#![allow(clippy::panic)]

use super::*;
use nitro_signer_shared::json::read_object;

const FROM: &str = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
const TO: &str = "0x3535353535353535353535353535353535353535";

fn read(fields: &str, chain: Option<u64>) -> Result<TransactionRequest, Refusal> {
    let text = format!(r#"{{"from":"{FROM}","to":"{TO}","nonce":"0x9","gas":"0x5208",{fields}}}"#);
    TransactionRequest::read(read_object(text.as_bytes()).expect(&text), chain)
}

fn refused(fields: &str, chain: Option<u64>, code: RefusalCode, naming: &str) {
    let refusal = read(fields, chain).expect_err(fields);
    assert_eq!(refusal.code, code, "{fields}: {refusal}");
    assert!(refusal.detail.contains(naming), "{fields}: {refusal}");
}

/// The published example of EIP-155.
#[test]
fn the_example_of_eip_155_gives_its_payload() {
    let request =
        read(r#""chainId":"0x1","gasPrice":"0x4a817c800","value":"0xde0b6b3a7640000""#, None)
            .expect("is complete");
    assert_eq!(
        hex::encode(request.transaction.signing_payload()),
        "ec098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080018080"
    );
    assert_eq!(
        hex::encode(request.transaction.signing_hash()),
        "daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53"
    );
}

#[test]
fn the_type_follows_from_the_fields() {
    let check = |fields: &str, first: u8| {
        let request = read(&format!(r#""chainId":1,{fields}"#), None).expect(fields);
        assert_eq!(request.transaction.signing_payload()[0], first, "{fields}");
    };
    let fees = r#""maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1""#;
    let hash = format!("0x01{}", "00".repeat(31));
    let authorization = format!(
        r#"{{"chainId":"0x1","address":"{TO}","nonce":"0x0","yParity":"0x1","r":"0x{:064x}","s":"0x1"}}"#,
        5
    );
    check(r#""gasPrice":"0x1","type":1"#, 1);
    check(r#""gasPrice":"0x1","accessList":[]"#, 1);
    check(fees, 2);
    check(&format!(r#"{fees},"type":"0x2","gasPrice":null"#), 2);
    check(&format!(r#"{fees},"blobs":null,"commitments":null,"proofs":null"#), 2);
    check(&format!(r#"{fees},"blobVersionedHashes":["{hash}"],"maxFeePerBlobGas":"0x1""#), 3);
    check(&format!(r#"{fees},"authorizationList":[{authorization}]"#), 4);
}

#[test]
fn nothing_is_filled_in() {
    let invalid = RefusalCode::InvalidTransaction;
    let text = |skip: &str| {
        let fields = [
            ("from", FROM),
            ("to", TO),
            ("nonce", "0x9"),
            ("gas", "0x1"),
            ("gasPrice", "0x1"),
            ("chainId", "0x1"),
        ];
        let kept: Vec<_> = fields
            .iter()
            .filter(|f| f.0 != skip)
            .map(|f| format!(r#""{}":"{}""#, f.0, f.1))
            .collect();
        format!("{{{}}}", kept.join(","))
    };
    for name in ["from", "nonce", "gas", "gasPrice", "chainId"] {
        let object = read_object(text(name).as_bytes()).expect("is JSON");
        let refusal = TransactionRequest::read(object, None).expect_err(name);
        assert_eq!(refusal.code, invalid);
        assert!(refusal.detail.contains(name), "{refusal}");
    }
    refused(r#""chainId":1,"maxFeePerGas":"0x1""#, None, invalid, "maxPriorityFeePerGas");
    refused(
        r#""chainId":1,"type":3,"maxFeePerGas":"0x1","maxPriorityFeePerGas":"0x1""#,
        None,
        invalid,
        "blobVersionedHashes",
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    let invalid = RefusalCode::InvalidTransaction;
    let fees = r#""chainId":1,"maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1""#;
    refused(&format!(r#"{fees},"gasPrice":"0x1""#), None, invalid, "gasPrice");
    refused(r#""chainId":1,"gasPrice":"0x1","data":"0x00","input":"0x01""#, None, invalid, "data");
    refused(
        r#""chainId":1,"gasPrice":"0x1","type":0,"accessList":[]"#,
        None,
        invalid,
        "accessList",
    );
    refused(r#""chainId":1,"gasPrice":"0x1","gasLimit":"0x1""#, None, invalid, "gasLimit");
    refused(r#""chainId":0,"gasPrice":"0x1""#, None, invalid, "chainId");
    refused(r#""chainId":1,"gasPrice":"0x01""#, None, invalid, "gasPrice");
    refused(r#""chainId":1,"gasPrice":"1""#, None, invalid, "gasPrice");
    refused(
        r#""chainId":1,"gasPrice":"0x1","type":5"#,
        None,
        RefusalCode::UnsupportedTransaction,
        "",
    );
    refused(&format!(r#"{fees},"blobs":[]"#), None, RefusalCode::BlobProofsMissing, "commitments");
    let entry = format!(r#"{{"address":"{TO}","storageKeys":["0x01"]}}"#);
    refused(&format!(r#"{fees},"accessList":[{entry}]"#), None, invalid, "storageKeys");
}

#[test]
fn equal_data_and_input_are_one_field() {
    let request = read(r#""chainId":1,"gasPrice":"0x1","data":"0xab","input":"0xAB""#, None);
    let UnsignedTransaction::Legacy(tx) = request.expect("they are equal").transaction else {
        panic!("a legacy transaction");
    };
    assert_eq!(tx.input.as_ref(), [0xab]);
}

#[test]
fn an_endpoint_serves_its_own_chain() {
    let price = r#""gasPrice":"0x1""#;
    assert!(read(price, Some(5)).is_ok());
    assert!(read(&format!(r#"{price},"chainId":"0x5""#), Some(5)).is_ok());
    refused(&format!(r#"{price},"chainId":"0x6""#), Some(5), RefusalCode::WrongChain, "6");
}

/// The payload is the example of EIP-155 without its last three fields.
#[test]
fn an_unprotected_transaction_is_asked_for_by_name() {
    let price = r#""gasPrice":"0x4a817c800","value":"0xde0b6b3a7640000""#;
    for kind in ["", r#","type":0"#, r#","type":"0x0""#] {
        let request = read(&format!(r#"{price},"unprotected":true{kind}"#), None).expect(kind);
        assert_eq!(
            hex::encode(request.transaction.signing_payload()),
            "e9098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a764000080"
        );
    }
    let invalid = RefusalCode::InvalidTransaction;
    let asked = format!(r#"{price},"unprotected":true"#);
    refused(&asked, Some(1), RefusalCode::WrongChain, "endpoint");
    refused(&format!(r#"{asked},"chainId":1"#), Some(1), RefusalCode::WrongChain, "endpoint");
    refused(&format!(r#"{asked},"chainId":1"#), None, invalid, "beside chainId");
    refused(&format!(r#"{asked},"type":1"#), None, invalid, "legacy");
    refused(&format!(r#"{price},"unprotected":1"#), None, invalid, "unprotected");
    refused(&format!(r#"{price},"unprotected":false"#), None, invalid, "chainId is missing");
    assert!(read(&format!(r#"{price},"unprotected":false"#), Some(1)).is_ok());
    let fees = r#""unprotected":true,"maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1""#;
    refused(fees, None, invalid, "legacy");
    refused(&format!(r#"{fees},"blobVersionedHashes":[]"#), None, invalid, "legacy");
    refused(&format!(r#"{fees},"authorizationList":[]"#), None, invalid, "legacy");
}

#[test]
fn a_contract_is_created_with_initcode_only() {
    let fees = r#""maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1""#;
    let create = |fields: &str| {
        let text = format!(
            r#"{{"from":"{FROM}","nonce":"0x9","gas":"0x5208","chainId":1,"value":"0x1",{fields}}}"#
        );
        TransactionRequest::read(read_object(text.as_bytes()).expect(&text), None)
    };
    for kind in [r#""gasPrice":"0x1""#, r#""gasPrice":"0x1","type":1"#, fees] {
        for empty in ["", r#","data":"0x""#, r#","data":null,"to":null"#] {
            let refusal = create(&format!("{kind}{empty}")).expect_err(kind);
            assert_eq!(refusal.code, RefusalCode::InvalidTransaction);
            assert!(refusal.detail.contains("needs initcode in data"), "{refusal}");
        }
        assert!(create(&format!(r#"{kind},"data":"0x00""#)).is_ok(), "{kind}");
    }
}

#[test]
fn a_parity_is_one_bit_however_it_is_written() {
    let check = |y: Option<&str>, v: Option<&str>, expected: Option<u8>| {
        let value = |text: &str| nitro_signer_shared::json::read(text.as_bytes()).expect("is JSON");
        assert_eq!(parity(y.map(value), v.map(value)).ok(), expected, "{y:?} {v:?}");
    };
    check(Some("1"), None, Some(1));
    check(Some("\"0x0\""), None, Some(0));
    check(None, Some("28"), Some(1));
    check(None, Some("\"0x1b\""), Some(0));
    check(Some("1"), Some("\"0x1\""), Some(1));
    check(Some("1"), Some("0"), None);
    check(Some("2"), None, None);
    check(None, Some("29"), None);
    check(None, None, None);
}
