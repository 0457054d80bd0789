//! Child processes of the local stack: started, watched, and ended with whoever started them.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A child that is ended and waited for on drop. It also ends by itself when this process does,
/// since its standard input is a pipe that only this process holds.
pub struct Part {
    child: Child,
    name: &'static str,
}

impl Part {
    /// Starts `program arguments…`, its output going to the file.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        name: &'static str,
        program: &Path,
        arguments: &[&str],
        log: &Path,
    ) -> io::Result<Self> {
        let log = std::fs::File::create(log)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self { child, name })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it has ended already.
    ///
    /// # Errors
    /// If the system does not say.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may have ended already; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ends this process when its standard input does: its starter is gone.
pub fn end_with_standard_input() {
    std::thread::spawn(|| {
        let mut rest = [0; 64];
        while matches!(io::stdin().read(&mut rest), Ok(1..)) {}
        std::process::exit(0);
    });
}

/// Waits for ctrl-c or SIGTERM.
///
/// # Errors
/// If signals cannot be listened for.
pub async fn until_asked_to_end() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = term.recv() => Ok(()),
    }
}
