//! A message (EIP-191) as clients give it in JSON: bytes in 0x-hex, nothing else.
//!
//! Clients disagree whether a plain text means its bytes or its hex; so a plain text means
//! nothing here. The prefix is the enclave's to put.

use super::fields;
use nitro_signer_shared::json::Value;
use nitro_signer_shared::message::MAX_MESSAGE;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// Reads a message's bytes.
///
/// # Errors
/// [`RefusalCode::InvalidMessage`] if it is not 0x-hex, [`RefusalCode::TooLarge`].
pub(crate) fn message(value: Value) -> Result<Vec<u8>, Refusal> {
    let bytes = fields::bytes("the message", value).map_err(|_| {
        let sentence = "write the message as 0x-hex: 0x and an even number of hex digits";
        Refusal::new(RefusalCode::InvalidMessage, sentence)
    })?;
    if bytes.len() > MAX_MESSAGE {
        let detail = format!("a message may have {MAX_MESSAGE} bytes");
        return Err(Refusal::new(RefusalCode::TooLarge, detail));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_hex_within_the_limit() {
        let check = |text: String, expected: Result<usize, RefusalCode>| {
            let read = message(Value::String(text)).map(|bytes| bytes.len());
            assert_eq!(read.map_err(|refusal| refusal.code), expected);
        };
        check("0x".to_owned(), Ok(0));
        check("0x68656c6c6f".to_owned(), Ok(5));
        check("hello".to_owned(), Err(RefusalCode::InvalidMessage));
        check("0x123".to_owned(), Err(RefusalCode::InvalidMessage));
        check(format!("0x{}", "00".repeat(MAX_MESSAGE)), Ok(MAX_MESSAGE));
        check(format!("0x{}", "00".repeat(MAX_MESSAGE + 1)), Err(RefusalCode::TooLarge));
        assert!(message(Value::Null).is_err());
    }
}
