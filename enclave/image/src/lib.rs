//! Builds the image that ships: one static binary, our own kernel, a ramdisk, and the measurements
//! that KMS and verifiers compare. The same sources and tools give the same bytes in any folder at
//! any time, so anybody can rebuild what an attestation document names.
//!
//! Nothing here runs in an enclave. It decides what does, so it takes nothing from the environment
//! that could change a byte: not the folder, not the clock, not the caller's compiler flags.

pub mod binary;
pub mod command;
pub mod kernel;
pub mod parts;
pub mod ramdisk;
pub mod release;
pub mod signing;
pub mod toolchain;

pub use parts::{CMDLINE, ImageParts};
