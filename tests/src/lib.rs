//! Everything that does not ship: what stands in for Nitro and AWS, and the local stack.

pub mod appliance;
pub mod client;
pub mod deployment;
pub mod enclave;
pub mod key_policy_cases;
pub mod key_policy_holes;
pub mod kms;
pub mod nsm;
pub mod process;
pub mod stack;
pub mod tour;
pub mod vm;
pub mod world;
