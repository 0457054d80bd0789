//! Skeleton.

pub mod kms;
