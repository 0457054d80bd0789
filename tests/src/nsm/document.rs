//! An attestation document as a value: chain, payload and envelope, open to change before it is
//! signed, so that a test makes a document with exactly one defect.

use super::chain::Chain;

/// How the payload's map is written; both forms are genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapForm {
    /// With the number of entries: documents until late 2025.
    Definite,
    /// Until a break: documents since.
    Indefinite,
}

/// CBOR of the kinds a document has, lengths in their shortest form.
pub mod cbor {
    /// A head: major type (0 to 7) and argument.
    #[must_use]
    pub fn head(major: u8, argument: u64) -> Vec<u8> {
        let digits = argument.to_be_bytes();
        let (additional, width) = match argument {
            0..=23 => (digits[7], 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        [&[major << 5 | additional], &digits[8 - width..]].concat()
    }

    /// An unsigned integer.
    #[must_use]
    pub fn unsigned(value: u64) -> Vec<u8> {
        head(0, value)
    }

    /// A byte string.
    #[must_use]
    pub fn bytes(value: &[u8]) -> Vec<u8> {
        [head(2, value.len() as u64), value.to_vec()].concat()
    }

    /// A text string.
    #[must_use]
    pub fn text(value: &str) -> Vec<u8> {
        [head(3, value.len() as u64), value.as_bytes().to_vec()].concat()
    }

    /// An array of written elements.
    #[must_use]
    pub fn array(elements: &[Vec<u8>]) -> Vec<u8> {
        [head(4, elements.len() as u64), elements.concat()].concat()
    }

    /// Null.
    #[must_use]
    pub fn null() -> Vec<u8> {
        vec![0xf6]
    }
}

/// The payload before it is written.
#[derive(Clone)]
pub struct PayloadDraft {
    /// How the map is written.
    pub form: MapForm,
    /// Keys and written values, in their order.
    pub entries: Vec<(String, Vec<u8>)>,
}

impl PayloadDraft {
    /// Replaces a key's value, or adds the key at the end.
    pub fn set(&mut self, key: &str, value: Vec<u8>) {
        match self.entries.iter_mut().find(|(name, _)| name == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(name, _)| name != key);
    }

    /// The payload's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let entries: Vec<u8> = self
            .entries
            .iter()
            .flat_map(|(key, value)| [cbor::text(key), value.clone()].concat())
            .collect();
        match self.form {
            MapForm::Definite => [cbor::head(5, self.entries.len() as u64), entries].concat(),
            MapForm::Indefinite => [vec![0xbf], entries, vec![0xff]].concat(),
        }
    }
}

/// The COSE_Sign1 around the payload (RFC 9052, section 4.2).
#[derive(Clone)]
pub struct EnvelopeDraft {
    /// Tags before the array; genuine documents have none.
    pub tags: Vec<u64>,
    /// The protected header's bytes: `{1: -35}`.
    pub protected: Vec<u8>,
    /// The unprotected header, written.
    pub unprotected: Vec<u8>,
    /// Elements after the signature; genuine documents have none.
    pub extra: Vec<Vec<u8>>,
    /// Bytes after the document; genuine documents have none.
    pub trailing: Vec<u8>,
}

impl Default for EnvelopeDraft {
    fn default() -> Self {
        Self {
            tags: Vec::new(),
            protected: vec![0xa1, 0x01, 0x38, 0x22],
            unprotected: cbor::head(5, 0),
            extra: Vec::new(),
            trailing: Vec::new(),
        }
    }
}

/// A document before it is signed.
#[derive(Clone)]
pub struct DocumentDraft {
    /// The certificates; [`Self::reissue`] puts a changed chain into the payload.
    pub chain: Chain,
    /// The payload.
    pub payload: PayloadDraft,
    /// What is around it.
    pub envelope: EnvelopeDraft,
}

impl DocumentDraft {
    /// Signs the chain's drafts as they stand and puts the certificates into the payload.
    pub fn reissue(&mut self) {
        self.chain.issue();
        self.embed_chain();
    }

    /// Puts the chain's certificates into the payload.
    pub(super) fn embed_chain(&mut self) {
        let cabundle: Vec<_> = self.chain.cabundle().into_iter().map(cbor::bytes).collect();
        self.payload.set("certificate", cbor::bytes(self.chain.leaf()));
        self.payload.set("cabundle", cbor::array(&cabundle));
    }

    /// Writes and signs the document.
    #[must_use]
    pub fn sign(&self) -> Vec<u8> {
        let (protected, payload) =
            (cbor::bytes(&self.envelope.protected), cbor::bytes(&self.payload.encode()));
        let signed = cbor::array(&[
            cbor::text("Signature1"),
            protected.clone(),
            cbor::bytes(&[]),
            payload.clone(),
        ]);
        let signature = cbor::bytes(&self.chain.leaf_key().sign_document(&signed));
        let mut elements = vec![protected, self.envelope.unprotected.clone(), payload, signature];
        elements.extend(self.envelope.extra.iter().cloned());
        let tags: Vec<u8> = self.envelope.tags.iter().flat_map(|tag| cbor::head(6, *tag)).collect();
        [tags, cbor::array(&elements), self.envelope.trailing.clone()].concat()
    }
}
