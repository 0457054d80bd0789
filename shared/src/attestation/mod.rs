//! Verifies Nitro attestation documents, as strictly as genuine ones allow.
//!
//! Three types, each made only by the step before:
//! [`UnverifiedDocument`] was read, [`AuthenticDocument`] carries a signature that leads to the
//! trust anchor, [`VerifiedDocument`] is of an expected enclave and answers the asker. A field is
//! worth what the type around it is worth.
//!
//! No I/O, no clock, no panic on any input; memory is bounded by [`MAX_DOCUMENT`] before it is
//! spent. Signatures are verified over the bytes received, never over a re-encoding. Revocation
//! lists are not read, as AWS advises; a deny-list can be given.

mod cbor;
mod certificate;
mod chain;
mod document;
mod expectations;
mod finding;
mod impossible;
mod measurements;
pub mod pcr;

pub use chain::{TrustAnchor, TrustKind};
pub use document::{
    Contents, MAX_CABUNDLE, MAX_CERTIFICATE, MAX_DOCUMENT, MAX_FIELD, MAX_PAYLOAD,
    UnverifiedDocument,
};
pub use expectations::{
    AuthenticDocument, DEFAULT_MAX_AGE_MS, DEFAULT_SKEW_MS, Expectations, Outcome, VerifiedDocument,
};
pub use finding::{Finding, Rejection};
pub use measurements::{MeasurementSet, MeasurementsError, PinError};
pub use pcr::Pcr;
