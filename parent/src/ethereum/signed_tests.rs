//! The comparison of what came back with what was asked.

use super::*;
use nitro_signer_shared::json::read_object;

/// The published example of EIP-155: its transaction, its key's address, its signed bytes.
const RAW: &str = "f86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83";
const FROM: &str = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";

fn asked(from: &str, nonce: &str) -> TransactionRequest {
    let text = format!(
        r#"{{"from":"{from}","to":"0x3535353535353535353535353535353535353535","nonce":"{nonce}",
        "gas":"0x5208","gasPrice":"0x4a817c800","value":"0xde0b6b3a7640000","chainId":"0x1"}}"#
    );
    let object = read_object(text.as_bytes()).expect("is JSON");
    TransactionRequest::read(object, None).expect("is complete")
}

fn check(raw: &[u8], asked: &TransactionRequest) -> Result<CheckedTransaction, CheckError> {
    CheckedTransaction::open(raw, asked)
}

#[test]
fn the_transaction_that_was_asked_for_passes() {
    let raw = hex::decode(RAW).expect("is hex");
    let signed = check(&raw, &asked(FROM, "0x9")).expect("is the example's");
    let json = signed.to_json();
    assert_eq!(json["v"], "0x25");
    assert_eq!(json["type"], "0x0");
    assert_eq!(json["gasPrice"], "0x4a817c800");
    assert_eq!(json["hash"], "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788");
}

#[test]
fn anything_else_does_not() {
    let raw = hex::decode(RAW).expect("is hex");
    assert_eq!(check(&raw, &asked(FROM, "0x8")).err(), Some(CheckError::OtherTransaction));
    assert!(matches!(check(&raw, &asked(OTHER, "0x9")), Err(CheckError::OtherSender(_))));
    assert_eq!(check(&raw[1..], &asked(FROM, "0x9")).err(), Some(CheckError::NotATransaction));
    let longer = [raw.as_slice(), &[0]].concat();
    assert_eq!(check(&longer, &asked(FROM, "0x9")).err(), Some(CheckError::NotATransaction));
    assert_eq!(check(b"", &asked(FROM, "0x9")).err(), Some(CheckError::NotATransaction));
    let mut bent = raw.clone();
    let last = bent.len() - 1;
    bent[last] ^= 1;
    assert!(check(&bent, &asked(FROM, "0x9")).is_err());
}

const OTHER: &str = "0x3535353535353535353535353535353535353535";

#[test]
fn a_signature_with_a_high_s_does_not_pass() {
    let raw = hex::decode(RAW).expect("is hex");
    let order = U256::from(2) * HALF_ORDER + U256::from(1);
    let s = U256::from_be_slice(&raw[raw.len() - 32..]);
    let mut high = raw.clone();
    let end = high.len();
    high[end - 32..].copy_from_slice(&(order - s).to_be_bytes::<32>());
    // v flips with s, so that the sender would still be recovered.
    let v = end - 32 - 1 - 32 - 1 - 1;
    assert_eq!(high[v], 0x25);
    high[v] = 0x26;
    assert_eq!(check(&high, &asked(FROM, "0x9")).err(), Some(CheckError::Signature));
}

/// Signs as the enclave does, by an implementation of its own.
fn sign(key: &k256::ecdsa::SigningKey, transaction: &UnsignedTransaction) -> Vec<u8> {
    let hash = transaction.signing_hash();
    let (signature, id) = key.sign_prehash_recoverable(hash.as_slice());
    let bytes = signature.to_bytes();
    let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]));
    let signature = Signature::new(r, s, id.is_y_odd());
    let envelope: EthereumTxEnvelope<TxEip4844> = match transaction.clone() {
        UnsignedTransaction::Legacy(tx) => tx.into_signed(signature).into(),
        UnsignedTransaction::Eip2930(tx) => tx.into_signed(signature).into(),
        UnsignedTransaction::Eip1559(tx) => tx.into_signed(signature).into(),
        UnsignedTransaction::Eip4844(tx) => tx.into_signed(signature).into(),
        UnsignedTransaction::Eip7702(tx) => tx.into_signed(signature).into(),
    };
    envelope.encoded_2718()
}

#[test]
fn every_type_passes_and_no_field_can_change_unseen() {
    let key = k256::ecdsa::SigningKey::from_slice(&[0x46; 32]).expect("is a key");
    let fees = r#""maxFeePerGas":"0x2","maxPriorityFeePerGas":"0x1""#;
    let list = format!(r#""accessList":[{{"address":"{OTHER}","storageKeys":["0x{:064x}"]}}]"#, 7);
    let blobs =
        format!(r#""blobVersionedHashes":["0x01{}"],"maxFeePerBlobGas":"0x3""#, "00".repeat(31));
    let authorization = format!(
        r#""authorizationList":[{{"chainId":1,"address":"{OTHER}","nonce":0,"yParity":1,"r":"0x5","s":"0x6"}}]"#
    );
    let kinds = [
        r#""gasPrice":"0x1""#.to_owned(),
        format!(r#""gasPrice":"0x1",{list}"#),
        format!("{fees},{list}"),
        format!("{fees},{list},{blobs}"),
        format!("{fees},{list},{authorization}"),
    ];
    for (number, kind) in (0u8..).zip(kinds) {
        let text = format!(
            r#"{{"from":"{FROM}","to":"{OTHER}","nonce":"0x9","gas":"0x5208","value":"0x8","data":"0x0a0b","chainId":"0x1",{kind}}}"#
        );
        let read = |text: &str| {
            let object = read_object(text.as_bytes()).expect(text);
            TransactionRequest::read(object, None).expect(text)
        };
        let raw = sign(&key, &read(&text).transaction);
        let json = check(&raw, &read(&text)).expect(&text).to_json();
        assert_eq!(json["type"], format!("0x{number:x}"));
        for (find, put) in [
            ("\"0x9\"", "\"0xa\""),
            ("\"0x5208\"", "\"0x5209\""),
            ("\"value\":\"0x8\"", "\"value\":\"0x9\""),
            ("0x0a0b", "0x0a0c"),
            ("\"chainId\":\"0x1\"", "\"chainId\":\"0x2\""),
            (OTHER, FROM),
            ("Fee\":\"0x", "Fee\":\"0x1"),
            ("PerGas\":\"0x", "PerGas\":\"0x1"),
            ("gasPrice\":\"0x", "gasPrice\":\"0x1"),
            ("maxFeePerBlobGas\":\"0x3", "maxFeePerBlobGas\":\"0x4"),
            ("\"r\":\"0x5\"", "\"r\":\"0x6\""),
        ] {
            let other = text.replacen(find, put, 1);
            let expected = (other == text).then_some(()).ok_or(CheckError::OtherTransaction);
            assert_eq!(check(&raw, &read(&other)).map(|_| ()), expected, "{other}");
        }
    }
}

/// v of a legacy transaction without EIP-155 is 27 or 28.
#[test]
fn an_unprotected_transaction_passes_with_its_older_v() {
    let key = k256::ecdsa::SigningKey::from_slice(&[0x46; 32]).expect("is a key");
    let read = |nonce: usize, last: &str| {
        let text = format!(
            r#"{{"from":"{FROM}","to":"{OTHER}","nonce":{nonce},"gas":"0x1","gasPrice":"0x1",{last}}}"#
        );
        TransactionRequest::read(read_object(text.as_bytes()).expect(&text), None).expect(&text)
    };
    let mut seen = std::collections::BTreeSet::new();
    for nonce in 0..16 {
        let asked = read(nonce, r#""unprotected":true"#);
        let raw = sign(&key, &asked.transaction);
        let json = check(&raw, &asked).expect("passes").to_json();
        assert_eq!(json["chainId"], Value::Null);
        seen.insert(json["v"].as_str().expect("is text").to_owned());
        let protected = read(nonce, r#""chainId":1"#);
        assert_eq!(check(&raw, &protected).err(), Some(CheckError::OtherTransaction));
        let raw = sign(&key, &protected.transaction);
        assert_eq!(check(&raw, &asked).err(), Some(CheckError::OtherTransaction));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["0x1b", "0x1c"]);
}
