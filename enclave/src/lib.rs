//! The trusted library: everything that runs inside the enclave, under test as it ships.

pub mod client;
pub mod key;
pub mod nsm;
pub mod policy;
pub mod sign;
pub mod transaction;
