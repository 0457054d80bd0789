//! Every way in which nitro-signer says no, in one closed list.
//!
//! A code is stable: clients match on it. The sentence beside it says what to do. Nothing here
//! ever carries a secret, a credential, or a request's content beyond what the caller just sent.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest detail a refusal may carry, in bytes. Long enough for one sentence with a name
/// and two numbers in it; short enough that a refusal never becomes a way to move data.
pub const MAX_DETAIL: usize = 400;

macro_rules! refusal_codes {
    ($( $(#[doc = $doc:literal])+ $variant:ident = $text:literal, $http:literal, $rpc:literal; )+) => {
        /// A stable reason for a refusal. The text form is the wire form.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum RefusalCode {
            $( $(#[doc = $doc])+ #[serde(rename = $text)] $variant, )+
        }

        impl RefusalCode {
            /// Every code, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable text form, for example `policy_denied`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The HTTP status of a problem document (RFC 9457) with this code.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $http),+ }
            }

            /// The JSON-RPC 2.0 error code; -32000 to -32099 are the server's own.
            #[must_use]
            pub const fn json_rpc_code(self) -> i32 {
                match self { $(Self::$variant => $rpc),+ }
            }

            /// What the code means and what the caller can do, in one or two sentences.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii_start()),+ }
            }
        }
    };
}

refusal_codes! {
    // What the caller sent.
    /// The request is not well formed. Correct it as the detail says.
    MalformedRequest = "malformed_request", 400, -32602;
    /// The body is not JSON as RFC 8259 has it, without duplicate keys. Correct it as the detail says.
    MalformedJson = "malformed_json", 400, -32700;
    /// No such route, method or resource. See the README for what is served.
    NotFound = "not_found", 404, -32601;
    /// The route exists but not for this HTTP method. See the README for what is served.
    MethodNotAllowed = "method_not_allowed", 405, -32600;
    /// The request is larger than the limit named in the detail. Send less.
    TooLarge = "too_large", 413, -32600;
    /// The transaction cannot be signed as given. Correct it as the detail says.
    InvalidTransaction = "invalid_transaction", 400, -32602;
    /// The transaction's type is not served. Use type 0, 1, 2, 3 or 4.
    UnsupportedTransaction = "unsupported_transaction", 400, -32602;
    /// The message cannot be signed as given. Correct it as the detail says.
    InvalidMessage = "invalid_message", 400, -32602;
    /// The typed data cannot be signed as given. Correct it as the detail says.
    InvalidTypedData = "invalid_typed_data", 400, -32602;
    /// The authorization cannot be signed as given. Correct it as the detail says.
    InvalidAuthorization = "invalid_authorization", 400, -32602;
    /// The blobs do not fit the transaction. Correct them as the detail says.
    InvalidBlobs = "invalid_blobs", 400, -32602;
    /// Blobs came without the KZG commitments and proofs of the form that was asked for. Send both, or only the blobs' versioned hashes.
    BlobProofsMissing = "blob_proofs_missing", 400, -32602;
    /// The request is for another chain than this endpoint. Use the endpoint of its chain.
    WrongChain = "wrong_chain", 400, -32602;
    /// A label is outside the allowed form. Use [a-z0-9_-]{1,32} for names and up to 64 printable ASCII characters for values.
    InvalidLabel = "invalid_label", 400, -32602;
    /// The nonce is not 16 to 64 bytes. Send a fresh random one.
    InvalidNonce = "invalid_nonce", 400, -32602;

    // Who the caller is.
    /// Nobody the manifest knows stands behind the request. Use a listed client certificate or attach a client proof.
    NotAuthenticated = "not_authenticated", 401, -32001;
    /// This action needs a client proof. Sign the request with a client key that the manifest lists.
    ProofRequired = "proof_required", 401, -32001;
    /// The client proof does not verify for this request and this manifest. Sign it again.
    ProofInvalid = "proof_invalid", 401, -32001;
    /// The client proof's expiry has passed or is more than ten minutes ahead. Sign it again.
    ProofExpired = "proof_expired", 401, -32001;
    /// The client proof's request id was used before. Sign again with a fresh random one.
    ProofReplayed = "proof_replayed", 401, -32001;
    /// More proofs than this action takes. Send exactly one.
    ProofCount = "proof_count", 400, -32602;

    // What policy says.
    /// The manifest's policy does not permit this. Ask whoever owns the manifest.
    PolicyDenied = "policy_denied", 403, -32003;
    /// A rule could not be evaluated, and that refuses. Ask whoever owns the manifest to mend it.
    PolicyError = "policy_error", 403, -32003;
    /// The enclave holds no key with this address. List the keys; a new one may still be loading.
    UnknownKey = "unknown_key", 404, -32004;

    // Where the enclave is in its life.
    /// The enclave is not ready to serve this. Wait until /readyz answers 200.
    NotReady = "not_ready", 503, -32010;
    /// The vault exists already. Nothing was changed.
    VaultExists = "vault_exists", 409, -32011;
    /// No vault is open. See `nitro-signer status`; if none was ever made, `nitro-signer vault create` makes one.
    NoVault = "no_vault", 409, -32011;
    /// This enclave was measured with another manifest. Stop and start it to load a new one.
    ManifestConflict = "manifest_conflict", 409, -32011;
    /// The manifest was measured but cannot be used. Correct it as the detail says, then stop and start the enclave.
    ManifestInvalid = "manifest_invalid", 422, -32012;
    /// The stored vault is not this manifest's, or was changed. Restore the right one.
    VaultInvalid = "vault_invalid", 422, -32012;
    /// The stored key record does not open under this vault. Restore it from a copy.
    RecordInvalid = "record_invalid", 422, -32012;
    /// More than this enclave holds. Start another one for further keys.
    Capacity = "capacity", 507, -32013;

    // What the enclave stands on.
    /// The enclave runs in debug mode, in which no key is released. Start it without --debug-mode.
    DebugMode = "debug_mode", 503, -32020;
    /// The Nitro secure module did not answer as it must. Restart the enclave; report it if it stays.
    SecureModule = "secure_module", 503, -32020;
    /// KMS refused under its key policy. Check that it lists this image (PCR0) and manifest (PCR16).
    KmsDenied = "kms_denied", 403, -32021;
    /// KMS could not be reached. Check the parent's relay and its route to KMS.
    KmsUnreachable = "kms_unreachable", 503, -32021;
    /// What answered is not KMS: certificate, host or protocol is wrong. Check what the relay connects to.
    KmsUntrusted = "kms_untrusted", 502, -32021;
    /// KMS answered something the enclave does not accept. Check the key and the vault.
    KmsRejected = "kms_rejected", 502, -32021;
    /// The KMS key is not this image's and manifest's alone, so no vault or key is made under it. Correct its policy, or have the manifest's custody name the exception.
    Custody = "custody", 403, -32021;
    /// The AWS credentials were refused or are out of date. Check the instance role.
    Credentials = "credentials", 503, -32021;

    // The way there.
    /// Too much is in flight. Try again in a moment.
    Busy = "busy", 503, -32030;
    /// The enclave cannot be reached. The parent reconnects by itself; try again.
    LinkDown = "link_down", 503, -32030;
    /// The answer took longer than the deadline. It is not known whether the request was carried out.
    Deadline = "deadline", 504, -32030;
    /// Parent and enclave are of different releases. Deploy both from one.
    VersionMismatch = "version_mismatch", 502, -32031;
    /// The key store failed; it is not known whether the object was written. Check the store's address and rights.
    StoreFailed = "store_failed", 503, -32032;
    /// The key store holds something else under this name already. Nothing was changed.
    StoreConflict = "store_conflict", 409, -32032;
    /// A fault of nitro-signer's own. Please report it with the log around it.
    Internal = "internal", 500, -32603;
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the stable code and one sentence about this case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(deny_unknown_fields)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// The stable reason.
    pub code: RefusalCode,
    /// One sentence about this case; at most [`MAX_DETAIL`] bytes.
    pub detail: String,
}

impl Refusal {
    /// A refusal whose detail is cut to [`MAX_DETAIL`] bytes.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL {
            let end = (0..=MAX_DETAIL).rev().find(|i| detail.is_char_boundary(*i)).unwrap_or(0);
            detail.truncate(end);
        }
        Self { code, detail }
    }
}

impl From<RefusalCode> for Refusal {
    fn from(code: RefusalCode) -> Self {
        Self::new(code, code.advice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_advice_is_a_sentence() {
        let texts: BTreeSet<_> = RefusalCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), RefusalCode::ALL.len());
        for code in RefusalCode::ALL {
            assert!(code.advice().ends_with('.'), "{code}");
            assert!(!code.advice().starts_with(' '), "{code}");
        }
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let refusal = Refusal::new(RefusalCode::Internal, "é".repeat(MAX_DETAIL));
        assert_eq!(refusal.detail.len(), MAX_DETAIL);
    }
}
