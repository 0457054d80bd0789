//! What the enclave's program does where no init system did it before.
//!
//! In an image of our own builder the program is the kernel's first process: it mounts what it
//! opens, which is /dev and nothing else, lets children that somebody left be reaped, and tells
//! nitro-cli that the enclave has started. In an image of nitro-cli's builder Amazon's init has done
//! all of that and is the first process, so nothing here runs. It must never choose by anything but
//! its own process id.

use crate::limits::Limited;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{SigHandler, Signal, signal};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_vsock::{VsockAddr, VsockStream};

/// Where nitro-cli waits for an enclave that starts, and the byte that goes there and back
/// (`enclave_ready` of aws-nitro-enclaves-sdk-bootstrap, `init/init.c`).
const HEARTBEAT_PORT: u32 = 9000;
const HEARTBEAT: u8 = 0xb7;
/// How long nitro-cli may take to answer it.
const HEARTBEAT_DEADLINE: Duration = Duration::from_secs(20);

/// Evidence that this is the first process, and that /dev is there.
#[derive(Debug)]
pub struct FirstProcess(());

/// Why the first process could not prepare its machine.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FirstProcessError {
    #[error("/dev cannot be mounted")]
    Dev(#[source] nix::Error),
    #[error("SIGCHLD cannot be ignored")]
    Signal(#[source] nix::Error),
    #[error("nitro-cli did not answer the heartbeat on port {HEARTBEAT_PORT}")]
    Heartbeat(#[source] io::Error),
}

impl FirstProcess {
    /// Prepares the machine if this is its first process; `None` if it is not. To be called once
    /// the limits hold, before anything is opened.
    ///
    /// # Errors
    /// [`FirstProcessError`]; the enclave must not go on.
    pub fn prepare(_limits: &Limited) -> Result<Option<Self>, FirstProcessError> {
        if std::process::id() != 1 {
            return Ok(None);
        }
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some("dev"), "/dev", Some("devtmpfs"), flags, None::<&str>)
            .map_err(FirstProcessError::Dev)?;
        reap()?;
        Ok(Some(Self(())))
    }

    /// Tells nitro-cli, which waits for it, that the enclave has started.
    ///
    /// # Errors
    /// [`FirstProcessError::Heartbeat`] if nobody answers; nitro-cli then ends the enclave.
    pub async fn report_start(self, parent_cid: u32) -> Result<(), FirstProcessError> {
        let beating = async {
            let mut stream =
                VsockStream::connect(VsockAddr::new(parent_cid, HEARTBEAT_PORT)).await?;
            stream.write_all(&[HEARTBEAT]).await?;
            match stream.read_u8().await? {
                HEARTBEAT => Ok(()),
                _ => Err(io::ErrorKind::InvalidData.into()),
            }
        };
        tokio::time::timeout(HEARTBEAT_DEADLINE, beating)
            .await
            .map_err(io::Error::from)
            .flatten()
            .map_err(FirstProcessError::Heartbeat)
    }
}

/// Lets the kernel reap children whose parent is gone: this program starts none, and waits for none.
#[allow(unsafe_code)] // One call, argued below.
fn reap() -> Result<(), FirstProcessError> {
    // SAFETY: no handler is installed; SIGCHLD is ignored (POSIX: ended children then leave nothing
    // behind), and nothing here or in a dependency waits for children.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }
        .map(drop)
        .map_err(FirstProcessError::Signal)
}
