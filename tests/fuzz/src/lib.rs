//! What several fuzz targets share: how an input is cut into parts, and documents around fuzzed parts.
//! Nothing of the enclave is in here: a target that does not try it is not made to carry it.
//!
//! A target aborts where a property does not hold, so everything here may panic, and does. No part
//! of it ships.

pub mod chain;
pub mod cms;
pub mod contents;
pub mod document;
pub mod input;
pub mod ready;
