//! Everything that does not ship: a mock secure module, a development KMS, the local stack and
//! the suites that run against it.

pub mod kms;
pub mod nsm;
