//! What the program denies itself, whichever init and kernel it runs under: memory on disk or in a
//! tracer's hands, privileges by exec, and more open files than it ever needs.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

/// Open files: 4 request connections, 16 relay lines and as many to come, the runtime's own, the
/// secure module. The kernel refuses the next one instead of spending memory on it.
const OPEN_FILES: u64 = 128;

/// Evidence that the limits hold for this process.
#[derive(Debug)]
pub struct Limited(());

/// A limit that the kernel does not take.
#[derive(Debug, thiserror::Error)]
#[error("the kernel does not limit {0}")]
pub struct LimitError(&'static str, #[source] nix::Error);

/// Sets the limits: no core dumps, no tracer that is not the kernel's own administrator, no new
/// privileges by exec, 128 open files at most. They cannot be loosened again but by a process
/// with CAP_SYS_RESOURCE, and this one runs no other.
///
/// # Errors
/// [`LimitError`]; the enclave must not go on.
pub fn apply() -> Result<Limited, LimitError> {
    let named = |what| move |error| LimitError(what, error);
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(named("core dumps"))?;
    setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES).map_err(named("open files"))?;
    prctl::set_dumpable(false).map_err(named("tracing"))?;
    prctl::set_no_new_privs().map_err(named("privileges"))?;
    Ok(Limited(()))
}
