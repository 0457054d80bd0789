//! S2, and what else the types refuse: a field that nothing vouches for cannot be taken for one
//! that a signature does, and nobody judges without knowing what to expect.
//!
//! Each claim is a snippet of ordinary use that compiles, and beside it one that differs in what is
//! claimed to be impossible and must not compile. A nightly compiler also holds the error to the
//! code that stands there; the likeness of the two is what any compiler goes by. Nothing here is
//! code of the library: `cargo test --doc` reads it.
//!
//! # A document's fields are reached by the word `unverified` only
//!
//! ```
//! # use nitro_signer_shared::attestation::UnverifiedDocument;
//! fn nonce(document: &UnverifiedDocument) -> Option<&[u8]> {
//!     document.unverified().nonce()
//! }
//! ```
//! No method of the contents is the document's:
//! ```compile_fail,E0599
//! # use nitro_signer_shared::attestation::UnverifiedDocument;
//! fn nonce(document: &UnverifiedDocument) -> Option<&[u8]> {
//!     document.nonce()
//! }
//! ```
//! nor is it contents by dereference, as the two later types are:
//! ```
//! # use nitro_signer_shared::attestation::{AuthenticDocument, Contents};
//! fn contents(document: &AuthenticDocument) -> &Contents {
//!     document
//! }
//! ```
//! ```compile_fail,E0308
//! # use nitro_signer_shared::attestation::{Contents, UnverifiedDocument};
//! fn contents(document: &UnverifiedDocument) -> &Contents {
//!     document
//! }
//! ```
//! nor can its fields be named:
//! ```
//! # use nitro_signer_shared::attestation::{Contents, UnverifiedDocument};
//! fn contents(document: &UnverifiedDocument) -> &Contents {
//!     document.unverified()
//! }
//! ```
//! ```compile_fail,E0616
//! # use nitro_signer_shared::attestation::{Contents, UnverifiedDocument};
//! fn contents(document: &UnverifiedDocument) -> &Contents {
//!     &document.contents
//! }
//! ```
//!
//! # Who wants an authentic or a verified document gets no lesser one
//!
//! ```
//! # use nitro_signer_shared::attestation::{AuthenticDocument, VerifiedDocument};
//! fn pay(document: &VerifiedDocument) {}
//! fn ask(document: &VerifiedDocument) {
//!     pay(document);
//! }
//! ```
//! ```compile_fail,E0308
//! # use nitro_signer_shared::attestation::{AuthenticDocument, VerifiedDocument};
//! fn pay(document: &VerifiedDocument) {}
//! fn ask(document: &AuthenticDocument) {
//!     pay(document);
//! }
//! ```
//! ```compile_fail,E0308
//! # use nitro_signer_shared::attestation::{UnverifiedDocument, VerifiedDocument};
//! fn pay(document: &VerifiedDocument) {}
//! fn ask(document: &UnverifiedDocument) {
//!     pay(document);
//! }
//! ```
//!
//! # The steps are taken in their order
//!
//! ```
//! # use nitro_signer_shared::attestation::*;
//! # fn judge(document: UnverifiedDocument, anchor: &TrustAnchor, expected: &Expectations)
//! # -> Result<VerifiedDocument, Rejection> {
//! document.authenticate(anchor, 0)?.check(expected, 0)
//! # }
//! ```
//! There is no `check` before `authenticate`:
//! ```compile_fail,E0599
//! # use nitro_signer_shared::attestation::*;
//! # fn judge(document: UnverifiedDocument, anchor: &TrustAnchor, expected: &Expectations)
//! # -> Result<VerifiedDocument, Rejection> {
//! document.check(expected, 0)
//! # }
//! ```
//! nor a `check` without expectations:
//! ```compile_fail,E0061
//! # use nitro_signer_shared::attestation::*;
//! # fn judge(document: UnverifiedDocument, anchor: &TrustAnchor, expected: &Expectations)
//! # -> Result<VerifiedDocument, Rejection> {
//! document.authenticate(anchor, 0)?.check(0)
//! # }
//! ```
//! and a document that was refused is gone:
//! ```compile_fail,E0382
//! # use nitro_signer_shared::attestation::*;
//! # fn judge(document: UnverifiedDocument, anchor: &TrustAnchor, expected: &Expectations)
//! # -> Result<VerifiedDocument, Rejection> {
//! if document.authenticate(anchor, 0).is_err() {}
//! document.authenticate(anchor, 0)?.check(expected, 0)
//! # }
//! ```
//!
//! # Only the step before makes a document
//!
//! Claims, which prove nothing by themselves, are a struct that anybody fills:
//! ```
//! # use nitro_signer_shared::claims::Claims;
//! fn filled(claims: Claims) -> Claims {
//!     Claims { ..claims }
//! }
//! ```
//! What a document says, and the documents themselves, are not:
//! ```compile_fail,E0451
//! # use nitro_signer_shared::attestation::Contents;
//! fn filled(contents: Contents) -> Contents {
//!     Contents { ..contents }
//! }
//! ```
//! ```compile_fail,E0451
//! # use nitro_signer_shared::attestation::UnverifiedDocument;
//! fn filled(document: UnverifiedDocument) -> UnverifiedDocument {
//!     UnverifiedDocument { ..document }
//! }
//! ```
//! ```compile_fail,E0451
//! # use nitro_signer_shared::attestation::AuthenticDocument;
//! fn filled(document: AuthenticDocument) -> AuthenticDocument {
//!     AuthenticDocument { ..document }
//! }
//! ```
//! ```compile_fail,E0451
//! # use nitro_signer_shared::attestation::VerifiedDocument;
//! fn filled(document: VerifiedDocument) -> VerifiedDocument {
//!     VerifiedDocument { ..document }
//! }
//! ```
//!
//! # Nobody expects nothing
//!
//! Expectations begin with an image:
//! ```
//! # use nitro_signer_shared::attestation::{Expectations, MeasurementSet};
//! fn expected(image: MeasurementSet) -> Expectations {
//!     Expectations::new(image)
//! }
//! ```
//! ```compile_fail,E0061
//! # use nitro_signer_shared::attestation::{Expectations, MeasurementSet};
//! fn expected(image: MeasurementSet) -> Expectations {
//!     Expectations::new()
//! }
//! ```
//! ```compile_fail,E0599
//! # use nitro_signer_shared::attestation::{Expectations, MeasurementSet};
//! fn expected(image: MeasurementSet) -> Expectations {
//!     Expectations::default()
//! }
//! ```
//! ```compile_fail,E0451
//! # use nitro_signer_shared::attestation::Expectations;
//! fn expected(expected: Expectations) -> Expectations {
//!     Expectations { ..expected }
//! }
//! ```
//! and an image is PCR0, PCR1 and PCR2, none of them left out:
//! ```
//! # use nitro_signer_shared::attestation::{MeasurementSet, Pcr, PinError};
//! fn image(pcr0: Pcr, pcr1: Pcr, pcr2: Pcr) -> Result<MeasurementSet, PinError> {
//!     MeasurementSet::new(pcr0, pcr1, pcr2)
//! }
//! ```
//! ```compile_fail,E0061
//! # use nitro_signer_shared::attestation::{MeasurementSet, Pcr, PinError};
//! fn image(pcr0: Pcr, pcr1: Pcr, pcr2: Pcr) -> Result<MeasurementSet, PinError> {
//!     MeasurementSet::new(pcr0, pcr2)
//! }
//! ```
//! ```compile_fail,E0308
//! # use nitro_signer_shared::attestation::{MeasurementSet, Pcr, PinError};
//! fn image(pcr0: Pcr, pcr1: Option<Pcr>, pcr2: Pcr) -> Result<MeasurementSet, PinError> {
//!     MeasurementSet::new(pcr0, pcr1, pcr2)
//! }
//! ```
//! ```compile_fail,E0451
//! # use nitro_signer_shared::attestation::MeasurementSet;
//! fn image(image: MeasurementSet) -> MeasurementSet {
//!     MeasurementSet { ..image }
//! }
//! ```
