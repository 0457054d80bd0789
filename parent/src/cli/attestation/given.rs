//! What is to be verified or shown: a document, and whatever an appliance serves beside it.
//!
//! Everything in here is what somebody says. `fetch` writes it as JSON; a document alone comes raw,
//! in hex, base64 or base64url.

use super::super::output::{Failure, read_input};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use nitro_signer_shared::attestation::MAX_DOCUMENT;
use nitro_signer_shared::claims::{HeldKey, Inclusion, MAX_CLAIMS};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A document and claims in base64 inside JSON, and the most keys an enclave holds with labels of
/// the greatest length.
const MAX_INPUT: u64 = 4 * (MAX_DOCUMENT + MAX_CLAIMS) as u64 + 32 * 1_048_576;

/// A document, and what was served beside it.
pub(super) struct Given {
    pub(super) document: Vec<u8>,
    pub(super) claims: Option<Vec<u8>>,
    pub(super) keys: Keys,
}

/// The keys that somebody says are under the claims' root.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) enum Keys {
    /// Nobody says anything.
    #[default]
    None,
    /// All of them, in order of address.
    All(Vec<HeldKey>),
    /// Some, each with its way to the root.
    Some(Vec<Inclusion>),
}

/// As `fetch` writes it. Whether it is true is found out by `verify`.
#[derive(Deserialize, Serialize)]
pub(super) struct Fetched {
    pub(super) verified: bool,
    pub(super) nonce: String,
    pub(super) document: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claims: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) claims_decoded: Option<serde_json::Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<Vec<HeldKey>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) inclusions: Option<Vec<Inclusion>>,
}

impl Given {
    /// What a file, or standard input for `-`, holds.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        Self::read(&read_input(path, MAX_INPUT)?)
    }

    fn read(input: &[u8]) -> Result<Self, Failure> {
        if input.trim_ascii_start().first() == Some(&b'{') {
            let fetched: Fetched = serde_json::from_slice(input).map_err(|e| {
                Failure::malformed(format!("not what `attestation fetch` writes: {e}"))
            })?;
            return fetched.decode();
        }
        // What is no text form is the raw document; the verifier's reader judges it.
        let document = decode(input).unwrap_or_else(|| input.to_vec());
        Ok(Self { document, claims: None, keys: Keys::None })
    }
}

impl Fetched {
    /// The decoded form.
    pub(super) fn decode(self) -> Result<Given, Failure> {
        let base64 = |name: &str, text: &str| {
            let decoded = BASE64_STANDARD.decode(text);
            decoded.map_err(|_| Failure::malformed(format!("the {name} is not base64")))
        };
        let keys = match (self.keys, self.inclusions) {
            (None, None) => Keys::None,
            (Some(keys), None) => Keys::All(keys),
            (None, Some(inclusions)) => Keys::Some(inclusions),
            (Some(_), Some(_)) => {
                return Err(Failure::malformed("keys and inclusions exclude each other"));
            }
        };
        let document = base64("document", &self.document)?;
        let claims = self.claims.map(|claims| base64("claims", &claims)).transpose()?;
        Ok(Given { document, claims, keys })
    }
}

/// Hex, base64 or base64url with or without padding; line breaks do not count.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.iter().copied().filter(|c| !c.is_ascii_whitespace()).collect();
    let digits = text.strip_prefix(b"0x").unwrap_or(&text);
    hex::decode(digits)
        .ok()
        .or_else(|| BASE64_STANDARD.decode(&text).ok())
        .or_else(|| BASE64_URL_SAFE.decode(&text).ok())
        .or_else(|| BASE64_URL_SAFE_NO_PAD.decode(&text).ok())
        .filter(|bytes| !bytes.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_read_in_every_form() {
        let raw = [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0, 0xff, 0xfe];
        let forms = [
            raw.to_vec(),
            hex::encode(raw).into_bytes(),
            format!("0x{}\n", hex::encode_upper(raw)).into_bytes(),
            BASE64_STANDARD.encode(raw).into_bytes(),
            BASE64_URL_SAFE_NO_PAD.encode(raw).into_bytes(),
        ];
        for form in forms {
            let given = Given::read(&form).expect("is read");
            assert_eq!(given.document, raw, "{}", String::from_utf8_lossy(&form));
            assert!(given.claims.is_none() && given.keys == Keys::None);
        }
        let json = json!({
            "document": BASE64_STANDARD.encode(raw), "claims": "AAEC", "claims_decoded": null,
            "verified": false, "nonce": "00",
        });
        let given = Given::read(json.to_string().as_bytes()).expect("is read");
        assert_eq!(
            (given.document.as_slice(), given.claims),
            (raw.as_slice(), Some(vec![0, 1, 2]))
        );
    }

    #[test]
    fn json_that_is_not_a_fetched_document_is_refused() {
        let check = |json: serde_json::Value| {
            let failure = Given::read(json.to_string().as_bytes()).err().expect("is refused");
            assert_eq!(failure.exit_code(), 3);
        };
        check(json!({}));
        check(json!({ "verified": false, "nonce": "00", "document": "*" }));
        check(json!({ "verified": false, "nonce": "00", "document": "", "claims": "*" }));
        let both =
            json!({ "verified": false, "nonce": "", "document": "", "keys": [], "inclusions": [] });
        check(both);
    }
}
