//! An accepted payload, judged by a CBOR reader that the verifier shares no code with.

use nitro_signer_shared::attestation::Contents;
use serde_cbor::Value;
use std::collections::BTreeMap;

/// Holds if the general reader sees exactly these contents, and if the payload's length is that of
/// its shortest encoding: nothing can be hidden in it.
///
/// # Panics
/// If it does not hold.
pub fn agree(payload: &[u8], contents: &Contents) {
    let Ok(Value::Map(fields)) = serde_cbor::from_slice(payload) else {
        panic!("a general reader finds no map");
    };
    let shortest = serde_cbor::to_vec(&fields).expect("what was read can be written").len();
    // Nine entries have a head of one byte; a map without a count has the break besides.
    let indefinite = usize::from(payload[0] == 0xbf);
    assert_eq!(payload.len(), shortest + indefinite, "a longer form was accepted");

    let mut rest = fields;
    let mut take = |name: &str| rest.remove(&Value::Text(name.to_owned()));
    assert_eq!(take("module_id"), Some(Value::Text(contents.module_id().to_owned())));
    assert_eq!(take("digest"), Some(Value::Text("SHA384".to_owned())));
    assert_eq!(take("timestamp"), Some(Value::Integer(contents.timestamp_ms().into())));
    assert_eq!(take("certificate"), Some(Value::Bytes(contents.certificate().to_vec())));
    let bundle = contents.cabundle().iter().cloned().map(Value::Bytes).collect();
    assert_eq!(take("cabundle"), Some(Value::Array(bundle)));
    let registers = contents.pcrs().iter();
    let registers: BTreeMap<Value, Value> = registers
        .map(|(index, pcr)| (Value::Integer((*index).into()), Value::Bytes(pcr.to_vec())))
        .collect();
    assert_eq!(take("pcrs"), Some(Value::Map(registers)));
    for (name, ours) in [
        ("public_key", contents.public_key()),
        ("user_data", contents.user_data()),
        ("nonce", contents.nonce()),
    ] {
        let theirs = take(name).filter(|value| *value != Value::Null);
        assert_eq!(theirs, ours.map(|bytes| Value::Bytes(bytes.to_vec())), "{name}");
    }
    assert!(rest.is_empty(), "a field was read past: {rest:?}");
}
