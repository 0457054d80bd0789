//! Verifies Nitro attestation documents, as strictly as genuine ones allow.
//!
//! Three types, each made only by the step before:
//! [`UnverifiedDocument`] was read, [`AuthenticDocument`] carries a signature that leads to the
//! trust anchor, [`VerifiedDocument`] is of an expected enclave and answers the asker. A field is
//! worth what the type around it is worth.
//!
//! [`verify`] takes the three steps at once and says of every rule what became of it;
//! `examples/verify.rs` is a whole program. Whoever verifies many documents keeps one
//! [`TrustAnchor`] that [remembers issuers](TrustAnchor::remembering).
//!
//! No I/O, no clock, no panic on any input; memory is bounded by [`MAX_DOCUMENT`] before it is
//! spent. Signatures are verified over the bytes received, never over a re-encoding. Revocation
//! lists are not read, as AWS advises; a deny-list can be given.

mod cache;
mod cbor;
mod certificate;
mod chain;
mod document;
mod expectations;
mod finding;
mod impossible;
mod measurements;
pub mod pcr;
mod verification;

pub use chain::{TrustAnchor, TrustKind};
pub use document::{
    Contents, MAX_CABUNDLE, MAX_CERTIFICATE, MAX_DOCUMENT, MAX_FIELD, MAX_PAYLOAD,
    UnverifiedDocument,
};
pub use expectations::{
    AuthenticDocument, DEFAULT_MAX_AGE_MS, DEFAULT_SKEW_MS, Expectations, VerifiedDocument,
};
pub use finding::{Finding, Rejection};
pub use measurements::{
    ImageMeasurements, MAX_IMAGES, MAX_MEASUREMENTS_FILE, MeasurementSet, MeasurementsError,
    MeasurementsFile, NotCurrent, PinError,
};
pub use pcr::Pcr;
pub use verification::{Outcome, Skipped, Time, Verdict, Verification, verify};
