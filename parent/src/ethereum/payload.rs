//! What keys sign besides transactions, with the hash that each is signed by; and the check of what
//! comes back.
//!
//! For the caller's side, the command line and the proxy: they name the hash in client proofs and
//! compare it with the enclave's. It must never be computed from anything that the appliance says.

use super::signed::recover;
use super::{CheckError, fields};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{Address, B256, FixedBytes, Signature, U256, eip191_hash_message};
use nitro_signer_enclave::typed_data::TypedData;
use nitro_signer_shared::json::Value;
use nitro_signer_shared::message::MAX_MESSAGE;
use nitro_signer_shared::proof::Intent;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde::Deserialize;

/// Something to sign that is no transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// A message, signed with EIP-191's prefix for version 0x45.
    Message(Vec<u8>),
    /// Typed data (EIP-712), by its hash.
    TypedData(B256),
    /// An authorization (EIP-7702).
    Authorization(Authorization),
    /// A digest as it stands.
    Digest(B256),
}

impl Payload {
    /// A message of at most [`MAX_MESSAGE`] bytes.
    ///
    /// # Errors
    /// [`RefusalCode::TooLarge`].
    pub(crate) fn message(message: Vec<u8>) -> Result<Self, Refusal> {
        if message.len() > MAX_MESSAGE {
            let detail = format!("a message may have {MAX_MESSAGE} bytes");
            return Err(Refusal::new(RefusalCode::TooLarge, detail));
        }
        Ok(Self::Message(message))
    }

    /// Typed data as JSON, by the enclave's own reader: a lenient one would prove what the enclave
    /// then refuses, or what no person could have meant.
    ///
    /// # Errors
    /// [`RefusalCode::MalformedJson`], [`RefusalCode::TooLarge`] or
    /// [`RefusalCode::InvalidTypedData`].
    pub(crate) fn typed_data(text: &[u8]) -> Result<Self, Refusal> {
        Ok(Self::TypedData(TypedData::parse(text)?.signing_hash()))
    }

    /// A 32-byte digest in 0x-hex.
    ///
    /// # Errors
    /// [`RefusalCode::MalformedRequest`].
    pub(crate) fn digest(value: Value) -> Result<Self, Refusal> {
        Ok(Self::Digest(fields::b256("digest", value)?))
    }

    /// The hash that is signed.
    pub(crate) fn signing_hash(&self) -> B256 {
        match self {
            Self::Message(message) => eip191_hash_message(message),
            Self::TypedData(hash) | Self::Digest(hash) => *hash,
            Self::Authorization(authorization) => authorization.signature_hash(),
        }
    }

    /// What a client proof for it names.
    pub(crate) fn intent(&self, key: Address) -> Intent {
        let hash = self.signing_hash();
        match self {
            Self::Message(_) => Intent::sign_message(key, hash),
            Self::TypedData(_) => Intent::sign_typed_data(key, hash),
            Self::Authorization(_) => Intent::sign_authorization(key, hash),
            Self::Digest(_) => Intent::sign_digest(key, hash),
        }
    }
}

/// A signature as the REST interface answers it; nothing of it is checked.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AnsweredSignature {
    signing_hash: B256,
    r: U256,
    s: U256,
    y_parity: u8,
    /// r || s || v, where the answer has it.
    signature: Option<FixedBytes<65>>,
}

/// A signature by the key that was asked over the very payload that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckedSignature {
    signature: Signature,
    signing_hash: B256,
}

impl CheckedSignature {
    /// Compares an answer with what was asked.
    ///
    /// # Errors
    /// [`CheckError`] says what differs.
    pub(crate) fn open(
        answer: &AnsweredSignature,
        asked: &Payload,
        key: Address,
    ) -> Result<Self, CheckError> {
        let signing_hash = asked.signing_hash();
        if answer.signing_hash != signing_hash {
            return Err(CheckError::OtherHash);
        }
        let odd = match answer.y_parity {
            0 => false,
            1 => true,
            _ => return Err(CheckError::Signature),
        };
        let signature = Signature::new(answer.r, answer.s, odd);
        let checked = Self { signature, signing_hash };
        if answer.signature.is_some_and(|text| text != checked.bytes()) {
            return Err(CheckError::Contradiction);
        }
        match recover(&signature, signing_hash)? {
            signer if signer == key => Ok(checked),
            other => Err(CheckError::OtherSender(other)),
        }
    }

    /// r || s || v, v being 27 or 28.
    pub(crate) fn bytes(&self) -> FixedBytes<65> {
        FixedBytes::from(self.signature.as_bytes())
    }

    /// The hash that was signed.
    pub(crate) const fn signing_hash(&self) -> B256 {
        self.signing_hash
    }

    /// The signature's r and s, and the parity of R's y coordinate.
    pub(crate) fn parts(&self) -> (U256, U256, u8) {
        (self.signature.r(), self.signature.s(), u8::from(self.signature.v()))
    }
}

#[cfg(test)]
#[path = "payload_tests.rs"]
mod tests;
