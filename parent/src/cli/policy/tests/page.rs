//! The page for policy writers says what is true.
