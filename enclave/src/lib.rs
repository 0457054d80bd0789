//! The trusted library: everything that runs inside the enclave, under test as it ships.
//!
//! A signing request walks through the files in this order: [`server`] reads a frame, [`service`]
//! decodes it and leads it through [`client`] (who asks), [`transaction`] (what is asked),
//! [`policy`] (whether it may be) and [`sign`]. Each step consumes the type that only the step
//! before it makes. Keys come from [`record`]s under a [`vault`] whose secret [`kms`] released to
//! exactly this image and manifest.

pub mod amazon;
pub mod attest;
pub mod authorization;
pub mod call;
pub mod client;
pub mod clock;
pub mod creation;
pub mod custody;
mod derive;
pub mod digest;
pub mod entropy;
pub mod first_process;
pub mod image_manifest;
pub mod key;
pub mod keyring;
pub mod kms;
pub mod labels;
pub mod limits;
pub mod log;
pub mod message;
pub mod nsm;
pub mod policy;
pub mod power_on;
pub mod record;
pub mod server;
pub mod service;
pub mod sign;
pub mod start;
pub mod transaction;
pub mod typed_data;
pub mod vault;
