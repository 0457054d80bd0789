//! Ethereum transactions between JSON and the bytes that are signed.
//!
//! The parent only translates: [`TransactionRequest`] becomes the signing payload that the enclave
//! parses, judges and hashes anew. Nothing is filled in here and nothing is decided; what this
//! module refuses, it refuses so that the caller hears which field is wrong.

mod authorization;
mod blobs;
pub(crate) mod fields;
mod message;
mod payload;
mod request;
pub(crate) mod signature;
mod signed;
mod typed_data;

pub(crate) use authorization::{AuthorizationRequest, Names};
pub use blobs::{MAX_BLOBS, Sidecar, SidecarForm};
pub(crate) use message::message;
pub(crate) use payload::{AnsweredSignature, CheckedSignature, Payload};
pub use request::TransactionRequest;
pub use signed::{CheckError, CheckedTransaction};
pub(crate) use typed_data::TypedDataText;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};

/// A transaction of a known type, complete but for its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum UnsignedTransaction {
    Legacy(TxLegacy),
    Eip2930(TxEip2930),
    Eip1559(TxEip1559),
    Eip4844(TxEip4844),
    Eip7702(TxEip7702),
}

impl UnsignedTransaction {
    /// The transaction as it is hashed for signing: `type || rlp(fields)` (EIP-2718), or for a
    /// legacy one `rlp(nonce, …, data, chainId, 0, 0)` (EIP-155), or without replay protection
    /// `rlp(nonce, …, data)`.
    #[must_use]
    pub fn signing_payload(&self) -> Vec<u8> {
        match self {
            Self::Legacy(tx) => tx.encoded_for_signing(),
            Self::Eip2930(tx) => tx.encoded_for_signing(),
            Self::Eip1559(tx) => tx.encoded_for_signing(),
            Self::Eip4844(tx) => tx.encoded_for_signing(),
            Self::Eip7702(tx) => tx.encoded_for_signing(),
        }
    }
}
