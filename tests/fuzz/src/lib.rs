//! What several fuzz targets share: how an input is cut into parts, documents around fuzzed parts,
//! and requests to try rules on.
//!
//! A target aborts where a property does not hold, so everything here may panic, and does. No part
//! of it ships.

pub mod chain;
pub mod cms;
pub mod contents;
pub mod deployment;
pub mod document;
pub mod input;
pub mod ready;
