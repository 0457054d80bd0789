//! Messages as eth_sign and personal_sign mean them: signed under EIP-191's version 0x45.
//!
//! The prefix is put on here, so a message can never pass for a transaction or for typed data. A
//! message of 32 bytes is told apart, since it is usually somebody's hash.

use alloy_primitives::{B256, keccak256};
use nitro_signer_shared::message::MAX_MESSAGE;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// A message that nobody has approved yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// Takes a message of at most [`MAX_MESSAGE`] bytes.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Refusal> {
        if bytes.len() > MAX_MESSAGE {
            let text = format!("a message of {} bytes is longer than {MAX_MESSAGE}", bytes.len());
            return Err(Refusal::new(RefusalCode::TooLarge, text));
        }
        Ok(Self(bytes))
    }

    /// The hash to sign: keccak256 of `0x19 "Ethereum Signed Message:\n" length message`, the length
    /// in decimal digits (EIP-191).
    #[must_use]
    pub fn signing_hash(&self) -> B256 {
        let prefix = format!("\x19Ethereum Signed Message:\n{}", self.0.len());
        keccak256([prefix.as_bytes(), &self.0].concat())
    }

    /// The message itself, without the prefix.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The message, if it is 32 bytes.
    #[must_use]
    pub fn as_word(&self) -> Option<&[u8; 32]> {
        self.0.as_slice().try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::eip191_hash_message;

    #[test]
    fn the_hash_is_eip_191s() {
        for length in [0, 1, 9, 10, 31, 32, 33, 99, 100, 1_000, MAX_MESSAGE] {
            let bytes = vec![0x61; length];
            let message = Message::parse(bytes.clone()).expect("is short enough");
            assert_eq!(message.signing_hash(), eip191_hash_message(&bytes), "{length}");
            assert_eq!(message.as_word().is_some(), length == 32);
        }
    }

    #[test]
    fn a_longer_message_is_refused() {
        let refusal = Message::parse(vec![0; MAX_MESSAGE + 1]).expect_err("is too long");
        assert_eq!(refusal.code, RefusalCode::TooLarge);
    }
}
