//! Programs that the builder runs, each with an environment that is written out, so that nothing of
//! the caller's reaches what is built.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// What programs may know of their caller: where tools and caches are, and how to fetch.
const KEPT: [&str; 12] = [
    "PATH",
    "HOME",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "SSL_CERT_FILE",
    "CARGO_HTTP_CAINFO",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// A program that did not do its part.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CommandError {
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} failed ({status}): {end}")]
    Failed { program: String, status: String, end: String },
}

/// `program` with the environment that every build has.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(kept).env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null());
    command
}

/// Runs it and gives its standard output.
///
/// # Errors
/// [`CommandError`] with the end of its standard error.
pub fn output(command: &mut Command) -> Result<String, CommandError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|source| CommandError::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = errors.lines().rev().take(30).collect();
    let end = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(CommandError::Failed { program, status: output.status.to_string(), end })
}

/// Runs it in this folder, its output passed through.
///
/// # Errors
/// [`CommandError`].
pub fn run(command: &mut Command, dir: &Path) -> Result<(), CommandError> {
    let program = command.get_program().to_string_lossy().into_owned();
    // Both outputs to standard error: standard output belongs to the builder's own answer.
    let status = command.current_dir(dir).stdout(io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CommandError::Failed {
            program,
            status: status.to_string(),
            end: "see its output above".to_owned(),
        }),
        Err(source) => Err(CommandError::Start { program, source }),
    }
}
