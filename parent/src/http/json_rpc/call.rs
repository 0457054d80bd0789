//! A JSON-RPC call, read strictly: version, id, method, parameters, and our own member `proof`.
//!
//! A call without an id is refused: it is a notification, whose signature nobody would read.

use crate::appliance::Caller;
use crate::http::{Peer, caller};
use nitro_signer_shared::json::{MAX_SAFE_INTEGER, Object, Value};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// The longest request id that is echoed, in bytes.
pub(in crate::http) const MAX_ID: usize = 256;

/// A well-formed call.
pub(super) struct Call {
    /// To be echoed.
    pub(super) id: serde_json::Value,
    pub(super) method: String,
    pub(super) params: Vec<Value>,
    pub(super) caller: Caller,
}

/// What is no call, with the id as far as it is known.
pub(super) struct Broken {
    pub(super) id: serde_json::Value,
    pub(super) refusal: Refusal,
}

impl<R: Into<Refusal>> From<R> for Broken {
    fn from(refusal: R) -> Self {
        Self { id: serde_json::Value::Null, refusal: refusal.into() }
    }
}

impl Call {
    /// # Errors
    /// [`Broken`] with what to correct.
    pub(super) fn read(value: Value, peer: Peer) -> Result<Self, Broken> {
        let Value::Object(mut object) = value else {
            return Err(malformed("a JSON-RPC request is an object").into());
        };
        let id = id(&mut object)?;
        Self::rest(object, id.clone(), peer).map_err(|refusal| Broken { id, refusal })
    }

    fn rest(mut object: Object, id: serde_json::Value, peer: Peer) -> Result<Self, Refusal> {
        if object.require("jsonrpc")?.string("jsonrpc")? != "2.0" {
            return Err(malformed("jsonrpc must be \"2.0\""));
        }
        let method = object.require("method")?.string("method")?;
        let params = object.take("params").map_or(Ok(Vec::new()), |v| v.array("params"))?;
        let caller = caller::caller(peer, &mut object)?;
        object.finish()?;
        Ok(Self { id, method, params, caller })
    }
}

fn malformed(sentence: &str) -> Refusal {
    Refusal::new(RefusalCode::MalformedRequest, sentence)
}

/// The id of a call, to be echoed.
///
/// # Errors
/// [`RefusalCode::MalformedRequest`] for one that could come back as another: readers keep no
/// other numbers exactly than integers up to 2^53-1 (RFC 8259, section 6).
pub(crate) fn id(object: &mut Object) -> Result<serde_json::Value, Refusal> {
    match object.take_nullable("id") {
        Some(Value::Null) => Ok(serde_json::Value::Null),
        Some(Value::Number(number)) if is_exact(&number) => Ok(number.into()),
        Some(Value::String(text)) if text.len() <= MAX_ID => Ok(text.into()),
        _ => Err(malformed(&format!(
            "id must be an integer of at most 2^53-1 or a string of at most {MAX_ID} bytes"
        ))),
    }
}

fn is_exact(number: &serde_json::Number) -> bool {
    number.as_i64().is_some_and(|n| n.unsigned_abs() <= MAX_SAFE_INTEGER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_signer_shared::json;

    fn read(text: &str) -> Result<Call, Broken> {
        Call::read(json::read(text.as_bytes()).expect("is JSON"), Peer(None))
    }

    #[test]
    fn a_call_is_one_object_with_an_id() {
        let check = |text: &str, good: bool| assert_eq!(read(text).is_ok(), good, "{text}");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}"#, true);
        check(r#"{"jsonrpc":"2.0","id":"a","method":"eth_accounts","params":null}"#, true);
        check(r#"{"jsonrpc":"2.0","id":null,"method":"eth_accounts","params":[]}"#, true);
        check(r#"{"jsonrpc":"2.0","method":"eth_accounts"}"#, false);
        check(r#"{"jsonrpc":"1.0","id":1,"method":"eth_accounts"}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","params":{}}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","other":1}"#, false);
        check(r#"{"jsonrpc":"2.0","id":1,"method":"eth_accounts","proof":1}"#, false);
        check(r#"{"jsonrpc":"2.0","id":[],"method":"eth_accounts"}"#, false);
        check(r#"[{"jsonrpc":"2.0","id":1,"method":"eth_accounts"}]"#, false);
        check("1", false);
        let id =
            |length| format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"a"}}"#, "i".repeat(length));
        check(&id(MAX_ID), true);
        check(&id(MAX_ID + 1), false);
    }

    #[test]
    fn a_number_is_an_id_if_it_comes_back_as_itself() {
        let check = |id: &str, good: bool| {
            let read = read(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"a"}}"#));
            let echoed = read.map(|call| call.id.to_string()).map_err(|broken| broken.id);
            let expected = if good { Ok(id.to_owned()) } else { Err(serde_json::Value::Null) };
            assert_eq!(echoed, expected);
        };
        for id in ["0", "7", "-7", "9007199254740991", "-9007199254740991"] {
            check(id, true);
        }
        for id in ["9007199254740992", "-9007199254740992", "18446744073709551615"] {
            check(id, false);
        }
        for id in ["1.5", "1.0", "1e2", "-0", "18446744073709551617", "-9223372036854775808"] {
            check(id, false);
        }
    }

    #[test]
    fn a_broken_call_keeps_its_id() {
        let broken = read(r#"{"jsonrpc":"2.0","id":7}"#).err().expect("has no method");
        assert_eq!(broken.id, serde_json::json!(7));
    }

    #[test]
    fn a_proof_stands_beside_the_parameters() {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"a","proof":{{"request_id":"0x{}","expiry":1,"signature":"0x{}"}}}}"#,
            "01".repeat(32),
            "02".repeat(65)
        );
        let call = read(&text).ok().expect("is a call");
        assert_eq!(call.caller.proofs.len(), 1);
    }
}
