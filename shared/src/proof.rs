//! Client proofs: how a client shows the enclave, past the parent, that a request is its own.
//!
//! A proof is an EIP-712 signature by a key that the manifest lists, over
//! `Request(string action,address key,bytes32 payload,bytes32 requestId,uint64 expiry)` in the
//! domain `{name: "nitro-signer", version: "1", salt}`, where `salt` is the first 32 bytes of the
//! manifest's hash: a proof for one manifest is none for another. Any Ethereum wallet or library
//! can make one with its `signTypedData`.

use alloy_primitives::{Address, B256, FixedBytes, U256, keccak256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::manifest::ManifestHash;

/// How far ahead of the enclave's clock an expiry may lie, in seconds. It bounds how long the
/// enclave must remember request ids.
pub const MAX_LIFETIME_S: u64 = 600;

/// One client's signature over one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientProof {
    /// Random, chosen by the client; serves once.
    pub request_id: B256,
    /// Until when the proof may be used, in seconds of Unix time.
    pub expiry: u64,
    /// r || s || v with s in the lower half of the order and v of 0, 1, 27 or 28.
    pub signature: FixedBytes<65>,
}

/// What is asked, as a proof names it. Made only by the constructors, one per request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    action: &'static str,
    key: Address,
    payload: B256,
}

impl Intent {
    /// A vault for this vault id is to be made: action `CreateVault`, key zero, payload
    /// `keccak256("nitro-signer/create-vault/v1\nvault=<id>\n")`.
    #[must_use]
    pub fn create_vault(vault: &str) -> Self {
        let text = format!("nitro-signer/create-vault/v1\nvault={vault}\n");
        Self { action: "CreateVault", key: Address::ZERO, payload: keccak256(text) }
    }

    /// A key with these labels is to be made: action `CreateKey`, key zero, payload `keccak256` of
    /// the lines `nitro-signer/create-key/v1`, `nonce=0x<lower-case hex>` and, in order of name,
    /// `label:<name>=<value>`, each ended by `\n`. Labels hold no line breaks, so the text is
    /// unambiguous.
    #[must_use]
    pub fn create_key(labels: &BTreeMap<String, String>, nonce: &[u8]) -> Self {
        let mut text = format!("nitro-signer/create-key/v1\nnonce=0x{}\n", hex::encode(nonce));
        for (name, value) in labels {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "label:{name}={value}");
        }
        Self { action: "CreateKey", key: Address::ZERO, payload: keccak256(text) }
    }

    /// A transaction with this signing hash is to be signed by `key`: action `SignTransaction`.
    #[must_use]
    pub const fn sign_transaction(key: Address, signing_hash: B256) -> Self {
        Self { action: "SignTransaction", key, payload: signing_hash }
    }

    /// A message is to be signed by `key`: action `SignMessage`, payload the hash that EIP-191 gives
    /// it.
    #[must_use]
    pub const fn sign_message(key: Address, signing_hash: B256) -> Self {
        Self { action: "SignMessage", key, payload: signing_hash }
    }

    /// Typed data is to be signed by `key`: action `SignTypedData`, payload its EIP-712 hash.
    #[must_use]
    pub const fn sign_typed_data(key: Address, signing_hash: B256) -> Self {
        Self { action: "SignTypedData", key, payload: signing_hash }
    }

    /// An authorization is to be signed by `key`: action `SignAuthorization`, payload its EIP-7702
    /// hash.
    #[must_use]
    pub const fn sign_authorization(key: Address, signing_hash: B256) -> Self {
        Self { action: "SignAuthorization", key, payload: signing_hash }
    }

    /// A bare digest is to be signed by `key`: action `SignDigest`, payload the digest.
    #[must_use]
    pub const fn sign_digest(key: Address, digest: B256) -> Self {
        Self { action: "SignDigest", key, payload: digest }
    }

    /// The action's name in the signed data.
    #[must_use]
    pub const fn action(&self) -> &'static str {
        self.action
    }

    /// The key's address in the signed data.
    #[must_use]
    pub const fn key(&self) -> Address {
        self.key
    }

    /// The payload hash in the signed data.
    #[must_use]
    pub const fn payload(&self) -> B256 {
        self.payload
    }

    /// The EIP-712 hash a client signs for this intent.
    #[must_use]
    pub fn signing_hash(&self, manifest: &ManifestHash, request_id: B256, expiry: u64) -> B256 {
        const DOMAIN_TYPE: &str = "EIP712Domain(string name,string version,bytes32 salt)";
        const REQUEST_TYPE: &str =
            "Request(string action,address key,bytes32 payload,bytes32 requestId,uint64 expiry)";
        let domain = [
            keccak256(DOMAIN_TYPE),
            keccak256("nitro-signer"),
            keccak256("1"),
            manifest.proof_salt(),
        ];
        let request = [
            keccak256(REQUEST_TYPE),
            keccak256(self.action),
            self.key.into_word(),
            self.payload,
            request_id,
            B256::from(U256::from(expiry)),
        ];
        let domain = keccak256(domain.concat());
        let request = keccak256(request.concat());
        keccak256([b"\x19\x01".as_slice(), domain.as_slice(), request.as_slice()].concat())
    }
}
