//! The trusted library: everything that runs inside the enclave, under test as it ships.

pub mod nsm;
