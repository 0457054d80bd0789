//! What more than one part of nitro-signer names, and what several parts judge by.
//!
//! The enclave, the parent, the command line and the development KMS agree on these types and
//! run these checks; each lives here once. Nothing in this crate does I/O on its own account,
//! reads a clock, or draws randomness: callers pass those in.

pub mod attestation;
mod bounded;
pub mod claims;
pub mod cms;
pub mod eif;
pub mod frame;
pub mod json;
pub mod key_policy;
pub mod manifest;
pub mod merkle;
pub mod message;
pub mod proof;
pub mod refusal;
pub mod secret;
pub mod utc;
