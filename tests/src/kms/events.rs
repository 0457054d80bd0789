//! What was called: read by tests, kept in memory. No key material, plaintext or credential.

use super::wire::Blob;
use aws_lc_rs::digest::{SHA256, digest};
use nitro_signer_shared::attestation::UnverifiedDocument;
use serde::Deserialize;
use std::collections::VecDeque;

/// Older events are forgotten.
const MAX_EVENTS: usize = 10_000;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The operation's name as the client sent it; empty if it sent none.
    pub operation: String,
    /// The principal, once its signature was verified.
    pub principal: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// SHA-256 of the attestation document that came along.
    pub document_sha256: Option<[u8; 32]>,
    /// SHA-256 of the public key in it, whether or not the document was believed.
    pub recipient_key_sha256: Option<[u8; 32]>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It was refused with this name, for example `AccessDeniedException`.
    Refused(&'static str),
    /// A fault closed the connection.
    Closed,
}

/// What of a request the log keeps.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) document_sha256: Option<[u8; 32]>,
    pub(super) recipient_key_sha256: Option<[u8; 32]>,
}

impl Seen {
    /// Looks into a request's body before anything else does; nothing here is believed.
    pub(super) fn in_body(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Body {
            recipient: Recipient,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Recipient {
            attestation_document: Blob,
        }
        let Ok(body) = serde_json::from_slice::<Body>(body) else { return Self::default() };
        let document = body.recipient.attestation_document.0;
        Self {
            document_sha256: Some(sha256(&document)),
            recipient_key_sha256: UnverifiedDocument::parse(&document)
                .ok()
                .and_then(|document| document.unverified().public_key().map(sha256)),
        }
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The newest events.
#[derive(Default)]
pub(super) struct Events(VecDeque<Event>);

impl Events {
    pub(super) fn add(&mut self, event: Event) {
        if self.0.len() == MAX_EVENTS {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    pub(super) fn all(&self) -> Vec<Event> {
        self.0.iter().cloned().collect()
    }
}
