//! Who stands behind a request: the certificate's name, and the client proof in the body.
//!
//! Every interface writes a proof in the same way. Nothing is believed here: the enclave judges
//! the proof, and takes the name for what the parent's word is worth.

use super::Peer;
use crate::appliance::Caller;
use crate::ethereum::fields;
use alloy_primitives::FixedBytes;
use nitro_signer_shared::json::{FieldError, Object, Value};
use nitro_signer_shared::proof::ClientProof;

/// The caller by its certificate alone.
pub(super) fn asserted(peer: Peer) -> Caller {
    Caller { asserted: peer.0, proofs: Vec::new() }
}

/// The caller by its certificate and, if the object has the member `proof`, by that.
///
/// # Errors
/// [`FieldError`] names what is wrong in the proof.
pub(super) fn caller(peer: Peer, object: &mut Object) -> Result<Caller, FieldError> {
    let proofs = object.take("proof").map(proof).transpose()?.into_iter().collect();
    Ok(Caller { asserted: peer.0, proofs })
}

fn proof(value: Value) -> Result<ClientProof, FieldError> {
    let mut proof = value.object("proof")?;
    let read = ClientProof {
        request_id: fields::b256("proof.request_id", proof.require("request_id")?)?,
        expiry: proof.require("expiry")?.integer("proof.expiry")?,
        signature: signature(proof.require("signature")?)?,
    };
    proof.finish()?;
    Ok(read)
}

fn signature(value: Value) -> Result<FixedBytes<65>, FieldError> {
    let bytes = fields::bytes("proof.signature", value)?;
    FixedBytes::try_from(bytes.as_ref())
        .map_err(|_| FieldError("proof.signature must be 65 bytes: r, s and v".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use nitro_signer_shared::json;

    fn read(text: &str) -> Result<Caller, FieldError> {
        let mut object = json::read_object(text.as_bytes()).expect("is JSON");
        let caller = caller(Peer(Some("bot.example".to_owned())), &mut object)?;
        object.finish()?;
        Ok(caller)
    }

    fn with(request_id: &str, expiry: &str, signature: &str) -> String {
        format!(
            r#"{{"proof":{{"request_id":{request_id},"expiry":{expiry},"signature":{signature}}}}}"#
        )
    }

    #[test]
    fn a_proof_is_read_whole() {
        let (id, signature) = (format!("\"0x{}\"", "01".repeat(32)), "02".repeat(65));
        let read = read(&with(&id, "7", &format!("\"0x{signature}\""))).expect("is read");
        assert_eq!(read.asserted.as_deref(), Some("bot.example"));
        let expected = ClientProof {
            request_id: B256::repeat_byte(1),
            expiry: 7,
            signature: FixedBytes::repeat_byte(2),
        };
        assert_eq!(read.proofs, [expected]);
    }

    #[test]
    fn none_or_null_is_no_proof() {
        for text in ["{}", r#"{"proof":null}"#] {
            assert!(read(text).expect("is read").proofs.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_proof_is_named() {
        let check = |text: &str, word: &str| {
            let error = read(text).expect_err("is refused").to_string();
            assert!(error.contains(word), "{text}: {error}");
        };
        let (id, signature) =
            (format!("\"0x{}\"", "01".repeat(32)), format!("\"0x{}\"", "02".repeat(65)));
        check(r#"{"proof":[]}"#, "proof must be an object");
        check(&with("null", "7", &signature), "request_id is missing");
        check(&with("\"0x01\"", "7", &signature), "proof.request_id");
        check(&with(&id, "\"7\"", &signature), "proof.expiry");
        check(&with(&id, "7", "\"0x02\""), "proof.signature must be 65 bytes");
        check(&with(&id, "7", &format!("{signature},\"v\":1")), "\"v\"");
    }
}
