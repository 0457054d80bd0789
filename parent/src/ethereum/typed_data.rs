//! Typed data (EIP-712) between a client's JSON and the text that the enclave reads.
//!
//! The enclave reads, judges and hashes it; the parent only carries it. It must reach the enclave
//! as the client wrote it: a string is handed on byte for byte, an object is written anew with
//! every value as it stood, and a number that JSON readers would round is refused.

use alloy_primitives::U256;
use nitro_signer_shared::json;
use nitro_signer_shared::message::MAX_TYPED_DATA;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::Value;

/// Typed data as JSON text, read once by the strict reader; at most [`MAX_TYPED_DATA`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TypedDataText(Vec<u8>);

impl TypedDataText {
    /// Reads an object, or a string that holds one. `chain` is the chain of the endpoint, if it
    /// has one: a domain of another chain is refused, one without `chainId` is not.
    ///
    /// # Errors
    /// [`RefusalCode::InvalidTypedData`], [`RefusalCode::MalformedJson`] for a string that is not
    /// JSON, [`RefusalCode::TooLarge`], [`RefusalCode::WrongChain`].
    pub(crate) fn read(given: json::Value, chain: Option<u64>) -> Result<Self, Refusal> {
        let (text, value) = match given {
            json::Value::String(text) => {
                check_length(&text)?;
                let value = exact(json::read(text.as_bytes())?)?;
                (text, value)
            }
            given => {
                let value = exact(given)?;
                let text = value.to_string();
                check_length(&text)?;
                (text, value)
            }
        };
        if !value.is_object() {
            return refuse("typed data is an object, or a string with the JSON of one");
        }
        if let Some(chain) = chain {
            check_chain(&value, chain)?;
        }
        Ok(Self(text.into_bytes()))
    }

    /// The text for the enclave.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

fn refuse<T>(sentence: &str) -> Result<T, Refusal> {
    Err(Refusal::new(RefusalCode::InvalidTypedData, sentence))
}

fn check_length(text: &str) -> Result<(), Refusal> {
    if text.len() <= MAX_TYPED_DATA {
        return Ok(());
    }
    let detail = format!("typed data may have {MAX_TYPED_DATA} bytes of JSON");
    Err(Refusal::new(RefusalCode::TooLarge, detail))
}

/// The same value for the writer. The strict reader has bounded its depth; a number that was no
/// integer of 64 bits has been rounded there and must go no further.
fn exact(value: json::Value) -> Result<Value, Refusal> {
    Ok(match value {
        json::Value::Null => Value::Null,
        json::Value::Bool(bit) => Value::Bool(bit),
        json::Value::Number(number) if number.is_f64() => {
            return refuse(
                "a number is no integer or needs more than 64 bits; write it as a string",
            );
        }
        json::Value::Number(number) => Value::Number(number),
        json::Value::String(text) => Value::String(text),
        json::Value::Array(items) => {
            Value::Array(items.into_iter().map(exact).collect::<Result<_, _>>()?)
        }
        json::Value::Object(object) => {
            let fields = object.into_fields().map(|(name, v)| Ok((name, exact(v)?)));
            Value::Object(fields.collect::<Result<_, Refusal>>()?)
        }
    })
}

fn check_chain(typed_data: &Value, served: u64) -> Result<(), Refusal> {
    let Some(given) = typed_data.get("domain").and_then(|domain| domain.get("chainId")) else {
        return Ok(());
    };
    match chain_id(given) {
        Some(given) if given == U256::from(served) => Ok(()),
        Some(given) => {
            let detail = format!("the domain is of chain {given}, this endpoint serves {served}");
            Err(Refusal::new(RefusalCode::WrongChain, detail))
        }
        // What cannot be compared must not pass for this chain.
        None => refuse("domain.chainId must be an integer, or a decimal or 0x-hex string"),
    }
}

fn chain_id(value: &Value) -> Option<U256> {
    match value {
        Value::Number(number) => number.as_u64().map(U256::from),
        Value::String(text) => {
            let (digits, radix) = text.strip_prefix("0x").map_or((text.as_str(), 10), |d| (d, 16));
            let plain = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_hexdigit());
            U256::from_str_radix(digits, radix).ok().filter(|_| plain)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str, chain: Option<u64>) -> Result<String, RefusalCode> {
        let value = json::read(text.as_bytes()).expect("is JSON");
        let read = TypedDataText::read(value, chain).map_err(|refusal| refusal.code)?;
        Ok(String::from_utf8(read.into_bytes()).expect("is text"))
    }

    fn string(text: &str, chain: Option<u64>) -> Result<String, RefusalCode> {
        let value = json::Value::String(text.to_owned());
        let read = TypedDataText::read(value, chain).map_err(|refusal| refusal.code)?;
        Ok(String::from_utf8(read.into_bytes()).expect("is text"))
    }

    #[test]
    fn an_object_is_handed_on_as_the_same_json() {
        let check = |text: &str| {
            let passed = object(text, None).expect("is read");
            let (given, passed) = (json::read(text.as_bytes()), json::read(passed.as_bytes()));
            assert_eq!(given.expect("is JSON"), passed.expect("is JSON"), "{text}");
        };
        check(r#"{"message":{"a":18446744073709551615,"b":-9223372036854775808,"c":0}}"#);
        check(r#"{"types":{"A":[{"name":"b","type":"uint8[]"},{"name":"a","type":"bool"}]}}"#);
        check(
            r#"{"message":{"text":"\ud83d\ude00 \u0000\"\\","none":null,"yes":true,"no":false}}"#,
        );
        check(r#"{"message":{"list":[3,1,2,[],{}]}}"#);
    }

    #[test]
    fn a_string_is_handed_on_byte_for_byte() {
        let text = "{ \"message\" : {\"z\":1,\"a\":\"\\u0061\"} }\n";
        assert_eq!(string(text, None).as_deref(), Ok(text));
    }

    #[test]
    fn a_number_that_would_be_rounded_is_refused_in_either_form() {
        for number in ["18446744073709551616", "-9223372036854775809", "1.5", "1.0", "1e3"] {
            let text = format!(r#"{{"message":{{"list":[{{"n":{number}}}]}}}}"#);
            assert_eq!(object(&text, None), Err(RefusalCode::InvalidTypedData), "{number}");
            assert_eq!(string(&text, None), Err(RefusalCode::InvalidTypedData), "{number}");
        }
    }

    #[test]
    fn only_objects_of_bounded_length_are_read() {
        for text in ["[]", "1", "null", "true"] {
            assert_eq!(object(text, None), Err(RefusalCode::InvalidTypedData), "{text}");
            assert_eq!(string(text, None), Err(RefusalCode::InvalidTypedData), "{text}");
        }
        assert_eq!(string(r#"{"a":1,"a":1}"#, None), Err(RefusalCode::MalformedJson));
        assert_eq!(string(r#""{}""#, None), Err(RefusalCode::InvalidTypedData));
        let long = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
        for read in [object, string] {
            assert!(read(&long(MAX_TYPED_DATA), None).is_ok());
            assert_eq!(read(&long(MAX_TYPED_DATA + 1), None), Err(RefusalCode::TooLarge));
        }
    }

    #[test]
    fn a_domain_of_another_chain_is_refused_where_a_chain_is_served() {
        let check = |chain_id: &str, served: Option<u64>, expected: Option<RefusalCode>| {
            let text = format!(r#"{{"domain":{{"chainId":{chain_id}}}}}"#);
            assert_eq!(object(&text, served).err(), expected, "{chain_id} on {served:?}");
            assert_eq!(string(&text, served).err(), expected, "{chain_id} on {served:?}");
        };
        let wrong = Some(RefusalCode::WrongChain);
        let invalid = Some(RefusalCode::InvalidTypedData);
        for own in ["5", r#""5""#, r#""0x5""#, r#""0x05""#] {
            check(own, Some(5), None);
            check(own, Some(6), wrong);
            check(own, None, None);
        }
        check(r#""0x10000000000000005""#, Some(5), wrong);
        for odd in ["null", "-5", r#""five""#, r#""""#, r#""0x""#, r#""5_""#, "[5]"] {
            check(odd, Some(5), invalid);
            check(odd, None, None);
        }
        assert!(object(r#"{"domain":{"name":"a"}}"#, Some(5)).is_ok());
        assert!(object("{}", Some(5)).is_ok());
    }
}
