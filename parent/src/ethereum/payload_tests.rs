//! The hashes of published examples, and the comparison of what came back with what was asked.

use super::*;
use alloy_primitives::hex;
use nitro_signer_shared::message::MAX_TYPED_DATA;
use serde_json::json;

/// The example of EIP-712, whose signing hash the EIP's own test has.
const MAIL: &str = r#"{"types":{"EIP712Domain":[{"name":"name","type":"string"},
    {"name":"version","type":"string"},{"name":"chainId","type":"uint256"},
    {"name":"verifyingContract","type":"address"}],
    "Person":[{"name":"name","type":"string"},{"name":"wallet","type":"address"}],
    "Mail":[{"name":"from","type":"Person"},{"name":"to","type":"Person"},
    {"name":"contents","type":"string"}]},"primaryType":"Mail",
    "domain":{"name":"Ether Mail","version":"1","chainId":1,
    "verifyingContract":"0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC"},
    "message":{"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
    "to":{"name":"Bob","wallet":"0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
    "contents":"Hello, Bob!"}}"#;
const MAIL_HASH: [u8; 32] =
    hex!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");

#[test]
fn typed_data_has_the_hash_of_the_eip() {
    let read = Payload::typed_data(MAIL.as_bytes()).expect("is whole");
    assert_eq!(read, Payload::TypedData(MAIL_HASH.into()));
}

#[test]
fn typed_data_that_two_readers_may_see_differently_is_refused() {
    let check = |find: &str, put: &str, code| {
        let text = MAIL.replacen(find, put, 1);
        assert_ne!(text, MAIL);
        assert_eq!(Payload::typed_data(text.as_bytes()).map_err(|r| r.code), Err(code), "{put}");
    };
    let invalid = RefusalCode::InvalidTypedData;
    check(
        "\"contents\":\"Hello",
        "\"contents\":\"\",\"contents\":\"Hello",
        RefusalCode::MalformedJson,
    );
    check("\"domain\"", "\"other\"", invalid);
    check("\"message\"", "\"other\"", invalid);
    check("\"Mail\",", "\"Male\",", invalid);
    check("0xCD2a", "0x", invalid);
    check("\"name\":\"Ether Mail\"", "\"name\":\"Ether Mail\",\"purpose\":\"x\"", invalid);
    check("\"contents\":\"Hello", "\"more\":\"\",\"contents\":\"Hello", invalid);
    // The declared EIP712Domain is another than the domain's own fields make.
    check(
        "\"name\":\"chainId\",\"type\":\"uint256\"",
        "\"name\":\"chainId\",\"type\":\"uint64\"",
        invalid,
    );
    check("{\"name\":\"version\",\"type\":\"string\"},", "", invalid);
    check("{\"types\"", "{\"more\":1,\"types\"", invalid);
    let long = format!("{MAIL}{}", " ".repeat(MAX_TYPED_DATA));
    assert_eq!(
        Payload::typed_data(long.as_bytes()).map_err(|r| r.code),
        Err(RefusalCode::TooLarge)
    );
}

/// Typed data whose type `T0` has the next one as this many members, and so on.
fn nested(types: usize, members: usize) -> String {
    let member = |n: usize, m: usize| match n + 1 == types {
        true => json!({"name": format!("m{m}"), "type": "uint8"}),
        false => json!({"name": format!("m{m}"), "type": format!("T{}[]", n + 1)}),
    };
    let list = |n: usize| (0..members).map(|m| member(n, m)).collect::<Vec<_>>();
    let all: serde_json::Map<_, _> =
        (0..types).map(|n| (format!("T{n}"), json!(list(n)))).collect();
    let leaf = if types == 1 { json!(1) } else { json!([]) };
    let message: serde_json::Map<_, _> =
        (0..members).map(|m| (format!("m{m}"), leaf.clone())).collect();
    json!({"types": all, "primaryType": "T0", "domain": {"name": "d"}, "message": message})
        .to_string()
}

#[test]
fn types_that_would_fill_memory_are_refused_first() {
    let check = |types: usize, members: usize, good: bool| {
        let read = Payload::typed_data(nested(types, members).as_bytes());
        let code = read.map(|_| ()).map_err(|refusal| refusal.code);
        let expected = good.then_some(()).ok_or(RefusalCode::InvalidTypedData);
        assert_eq!(code, expected, "{types} types with {members} members");
    };
    check(1, 3, true);
    // Eight structs and the seven arrays between them are fifteen levels of sixteen.
    check(8, 2, true);
    check(9, 1, false);
    check(40, 2, false);
    let cycle = MAIL.replace("\"type\":\"Person\"", "\"type\":\"Mail\"");
    assert!(Payload::typed_data(cycle.as_bytes()).is_err());

    let suffixes = MAIL.replacen("string", &format!("string{}", "[]".repeat(130_000)), 1);
    assert!(suffixes.len() <= MAX_TYPED_DATA);
    let started = std::time::Instant::now();
    let code = Payload::typed_data(suffixes.as_bytes()).map_err(|refusal| refusal.code);
    assert_eq!(code, Err(RefusalCode::InvalidTypedData));
    // A reader that goes down one suffix at a time overflows its stack or takes minutes.
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
}

/// keccak256("\x19Ethereum Signed Message:\n" || "5" || "hello").
#[test]
fn a_message_is_hashed_with_its_prefix() {
    let message = Payload::message(b"hello".to_vec()).expect("is short");
    let prefixed = b"\x19Ethereum Signed Message:\n5hello";
    assert_eq!(message.signing_hash(), alloy_primitives::keccak256(prefixed));
    assert!(Payload::message(vec![0; MAX_MESSAGE]).is_ok());
    let refusal = Payload::message(vec![0; MAX_MESSAGE + 1]).expect_err("is too long");
    assert_eq!(refusal.code, RefusalCode::TooLarge);
}

/// keccak256(5 || rlp([1, address, 2])) (EIP-7702).
#[test]
fn an_authorization_is_hashed_with_its_magic() {
    let authorization =
        Authorization { chain_id: U256::from(1), address: Address::repeat_byte(0x35), nonce: 2 };
    let encoded = hex!("05d701943535353535353535353535353535353535353535" "02");
    let hash = Payload::Authorization(authorization).signing_hash();
    assert_eq!(hash, alloy_primitives::keccak256(encoded));
}

#[test]
fn each_payload_is_proved_as_itself() {
    let key = Address::repeat_byte(7);
    let hash = B256::repeat_byte(9);
    let check = |payload: Payload, action: &str| {
        let intent = payload.intent(key);
        assert_eq!((intent.action(), intent.key()), (action, key));
        assert_eq!(intent.payload(), payload.signing_hash());
    };
    check(Payload::Message(b"hello".to_vec()), "SignMessage");
    check(Payload::TypedData(hash), "SignTypedData");
    check(Payload::Digest(hash), "SignDigest");
    let authorization = Authorization { chain_id: U256::ZERO, address: key, nonce: 0 };
    check(Payload::Authorization(authorization), "SignAuthorization");
}

fn signing_key() -> k256::ecdsa::SigningKey {
    k256::ecdsa::SigningKey::from_slice(&[0x46; 32]).expect("is a key")
}

fn owner() -> Address {
    let point = signing_key().verifying_key().to_sec1_point(false);
    Address::from_raw_public_key(&point.as_bytes()[1..])
}

/// What an honest appliance answers.
fn answer(payload: &Payload) -> serde_json::Value {
    let hash = payload.signing_hash();
    let (signature, id) = signing_key().sign_prehash_recoverable(hash.as_slice());
    let bytes = signature.to_bytes();
    let text = format!("0x{}{:02x}", hex::encode(bytes), 27 + id.to_byte());
    json!({
        "signature": text, "signing_hash": hash, "y_parity": id.to_byte(),
        "r": format!("0x{}", hex::encode(&bytes[..32])),
        "s": format!("0x{}", hex::encode(&bytes[32..])),
    })
}

fn open(
    answer: &serde_json::Value,
    asked: &Payload,
    key: Address,
) -> Result<CheckedSignature, CheckError> {
    let answer = AnsweredSignature::deserialize(answer).expect("is of the form");
    CheckedSignature::open(&answer, asked, key)
}

#[test]
fn a_signature_that_was_asked_for_passes() {
    for n in 0..16 {
        let asked = Payload::Digest(B256::repeat_byte(n));
        let mut given = answer(&asked);
        let checked = open(&given, &asked, owner()).expect("is the one");
        assert_eq!(json!(checked.bytes()), given["signature"]);
        assert_eq!(checked.signing_hash(), asked.signing_hash());
        let (r, s, parity) = checked.parts();
        assert_eq!(given["y_parity"], parity);
        given["r"] = json!(format!("0x{r:x}"));
        given["s"] = json!(format!("0x{s:x}"));
        given["signature"] = json!(null);
        assert!(open(&given, &asked, owner()).is_ok(), "unpadded, without the 65 bytes");
    }
}

#[test]
fn any_other_signature_does_not() {
    let asked = Payload::message(b"hello".to_vec()).expect("is short");
    let other = Payload::message(b"hallo".to_vec()).expect("is short");
    let given = answer(&asked);
    let check = |change: &dyn Fn(&mut serde_json::Value), expected: Option<CheckError>| {
        let mut changed = given.clone();
        change(&mut changed);
        let error = open(&changed, &asked, owner()).expect_err("is another");
        assert!(expected.as_ref().is_none_or(|expected| *expected == error), "{error:?}");
    };
    assert_eq!(open(&answer(&other), &asked, owner()), Err(CheckError::OtherHash));
    let stranger = open(&given, &asked, Address::ZERO);
    assert_eq!(stranger, Err(CheckError::OtherSender(owner())));
    check(
        &|a| a["signing_hash"] = answer(&other)["signing_hash"].clone(),
        Some(CheckError::OtherHash),
    );
    // Another message's signature under this one's hash.
    check(
        &|a| {
            *a = {
                let mut lie = answer(&other);
                lie["signing_hash"] = given["signing_hash"].clone();
                lie
            }
        },
        None,
    );
    check(&|a| a["y_parity"] = json!(2), Some(CheckError::Signature));
    check(
        &|a| a["signature"] = answer(&other)["signature"].clone(),
        Some(CheckError::Contradiction),
    );
    check(
        &|a| {
            a["r"] = json!("0x0");
            a["signature"] = json!(null);
        },
        Some(CheckError::Signature),
    );
}
