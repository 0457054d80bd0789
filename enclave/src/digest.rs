//! A bare digest: 32 bytes that are signed as they stand.
//!
//! It may be the hash of anything that the key can sign, so whoever may have digests signed may have
//! everything signed. It is an action of its own, off unless the manifest switches it on.

use alloy_primitives::B256;

/// A digest that nobody has approved yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(B256);

impl Digest {
    /// These 32 bytes.
    #[must_use]
    pub const fn new(digest: B256) -> Self {
        Self(digest)
    }

    /// What is signed: the digest itself.
    #[must_use]
    pub const fn as_hash(&self) -> B256 {
        self.0
    }
}
