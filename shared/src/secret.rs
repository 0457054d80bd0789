//! Text that must not be seen: credentials on their way from the parent to the enclave.
//!
//! The only way out is [`SecretString::expose`]; there is no `Debug`, no `Display`, no `Clone`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// A string that is erased from memory when dropped and cannot be printed.
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the string over; the caller keeps no copy.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The one way to the text. What it returns must reach neither a log nor an error.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Serialize for SecretString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}
