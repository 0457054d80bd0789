//! The tools whose versions decide the image's bytes. Measurements are comparable only between
//! builds by the same ones.

use crate::command::{CommandError, command, output};
use std::collections::BTreeMap;

/// Each tool's name and the version it prints.
///
/// # Errors
/// [`CommandError`] if one of them is missing.
pub fn versions() -> Result<BTreeMap<String, String>, CommandError> {
    let tools = [
        ("rustc", "rustc", "--version"),
        ("compiler", "gcc", "--version"),
        ("linker", "ld", "--version"),
        ("libc", "ldd", "--version"),
    ];
    tools
        .into_iter()
        .map(|(name, program, argument)| {
            let printed = output(command(program).arg(argument))?;
            Ok((name.to_owned(), printed.lines().next().unwrap_or_default().to_owned()))
        })
        .collect()
}
