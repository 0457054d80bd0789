//! The verifier's findings: one stable code for each rule it holds a document to.
//!
//! People and scripts match on the codes, so a code is never given another meaning. A
//! [`Rejection`] names the rule that a document broke and how; it carries numbers and public
//! values only.

use std::fmt;

macro_rules! findings {
    ($( $(#[doc = $doc:literal])+ $code:ident, )+) => {
        /// One rule of the verifier. The letter says which part is judged: envelope, payload,
        /// chain, signature, time or the asker's (policy) expectations.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Finding {
            $( $(#[doc = $doc])+ $code, )+
        }

        impl Finding {
            /// Every rule, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$code),+];

            /// The stable code, for example `E1`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$code => stringify!($code)),+ }
            }

            /// The rule in one sentence.
            #[must_use]
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),+).trim_ascii_start()),+ }
            }
        }
    };
}

findings! {
    // The envelope: COSE_Sign1 (RFC 9052, section 4.2) as Nitro writes it.
    /// A document has 1 to 32,768 bytes.
    E1,
    /// A document is exactly one CBOR item, with nothing after it.
    E2,
    /// The item has no tag, or tag 18 (COSE_Sign1) once.
    E3,
    /// The item is an array of definite length with four elements.
    E4,
    /// The protected header is exactly the bytes a1013822: algorithm ES384 and nothing else.
    E5,
    /// The unprotected header is the empty map.
    E6,
    /// The payload is a byte string of definite length with 1 to 16,384 bytes.
    E7,
    /// The signature is 96 bytes, r and s, each above zero and below the order of P-384.
    E8,

    // The payload.
    /// The payload is exactly one map of bounded size, its integers in their shortest form.
    P1,
    /// The payload's keys are text and none occurs twice.
    P2,
    /// module_id, digest, timestamp, pcrs, certificate and cabundle are there, each of its type.
    P3,
    /// The payload has no key that an enclave's document does not have.
    P4,
    /// module_id is i-<17 hex digits>-enc<16 hex digits>.
    P5,
    /// digest is SHA384.
    P6,
    /// timestamp is above zero and before the year 10000, in milliseconds.
    P7,
    /// pcrs has 1 to 32 registers of 48 bytes, index 0 to 31, none twice.
    P8,
    /// cabundle has 1 to 8 certificates; each of them and the leaf has 1 to 1,024 bytes.
    P9,
    /// public_key, user_data and nonce are null or byte strings of at most 1,024 bytes.
    P10,
    /// The document is an enclave's, not a NitroTPM's.
    P11,

    // The certificates.
    /// The list's first certificate is byte for byte the pinned root.
    C1,
    /// Every certificate is X.509 version 3 in strict DER, no extension twice.
    C2,
    /// Keys are P-384 and signatures ecdsa-with-SHA384, the same inside and outside.
    C3,
    /// Every issuer is byte for byte the subject of the certificate before.
    C4,
    /// Issuers are critically marked CAs that may sign certificates and keep the path length; the leaf is no CA and may sign data.
    C5,
    /// No certificate has a critical extension that this verifier does not know, or an extended key usage.
    C6,
    /// Every certificate is valid at the time of judgement.
    C7,
    /// Every certificate of the list, in its order, is signed by the one before, and the leaf by the last.
    C8,
    /// No certificate occurs twice.
    C9,
    /// No certificate is on the asker's deny-list. Revocation lists are not read.
    C10,

    // The document's signature.
    /// The signature verifies under the leaf's key over the bytes received.
    S1,
    /// No field is believed before the signature verified: the types see to it.
    S2,

    // Time.
    /// Chain and document are judged at one time, which the result reports.
    T1,
    /// The timestamp is no older than the greatest age and no further ahead than clocks may differ.
    T2,
    /// The timestamp is inside the leaf's life.
    T3,

    // What the asker expects.
    /// The enclave does not run in debug mode: none of PCR0, PCR1, PCR2 is zero.
    A1,
    /// PCR0, PCR1 and PCR2 are those of one expected measurement set.
    A2,
    /// Every other pinned register has its pinned value, none of which is zero.
    A3,
    /// The nonce is the asker's.
    A4,
    /// user_data and public_key are what the asker expects.
    A5,
    /// The leaf's common name begins with the module id, and PCR4 measures its instance id.
    A6,
    /// A root other than Amazon's is one usable certificate that the asker named, and the result says so.
    A7,
    /// PCR16 is the expected manifest's.
    A8,
}

/// The rules in the order in which they are judged. When one is broken, the rules of the groups
/// before hold and those of the groups behind are not judged; of its own group, the others' outcome
/// is not known. Only the last group is judged whole whatever is broken in it.
pub(super) const JUDGED: &[&[Finding]] = {
    use Finding::{
        A1, A2, A3, A4, A5, A6, A7, A8, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, E1, E2, E3, E4,
        E5, E6, E7, E8, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, S1, S2, T1, T2, T3,
    };
    &[
        &[A7],
        &[E1],
        &[E2, E3, E4, E5, E6, E7, E8],
        &[P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11],
        &[C1],
        &[C9],
        &[C10],
        &[C2, C3, C6],
        &[C5],
        &[C4],
        &[C8],
        &[S1, S2],
        &[C7],
        &[T3],
        &[T1, T2, A1, A2, A3, A4, A5, A6, A8],
    ]
};

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why a document is not believed: the rule it broke, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{finding}: {detail}")]
pub struct Rejection {
    finding: Finding,
    detail: String,
}

impl Rejection {
    pub(super) fn new(finding: Finding, detail: impl Into<String>) -> Self {
        Self { finding, detail: detail.into() }
    }

    /// The rule that was broken.
    #[must_use]
    pub const fn finding(&self) -> Finding {
        self.finding
    }

    /// How, in one sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

/// `Ok` if the condition holds, else the rejection.
pub(super) fn require(
    holds: bool,
    finding: Finding,
    detail: impl FnOnce() -> String,
) -> Result<(), Rejection> {
    if holds { Ok(()) } else { Err(Rejection::new(finding, detail())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_rules_are_sentences() {
        let codes: BTreeSet<_> = Finding::ALL.iter().map(|f| f.code()).collect();
        assert_eq!(codes.len(), Finding::ALL.len());
        for finding in Finding::ALL {
            assert!(finding.rule().ends_with('.') && !finding.rule().starts_with(' '), "{finding}");
        }
    }

    #[test]
    fn every_rule_is_judged_once() {
        let mut judged: Vec<_> = JUDGED.concat();
        judged.sort();
        assert_eq!(judged, Finding::ALL);
    }
}
