//! QEMU and vhost-device-vsock, unpacked from Debian into a folder of the cache by
//! `tests/vm/install`, and started through that folder's own loader: they need newer libraries than
//! the machine may have.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The unpacked programs.
#[derive(Clone, Debug)]
pub struct Tools {
    root: PathBuf,
}

/// There are none.
#[derive(Debug, thiserror::Error)]
#[error("QEMU is not unpacked in {}; `tests/run setup` does it", .0.display())]
pub struct NoTools(PathBuf);

impl Tools {
    /// The ones that NITRO_SIGNER_VM_TOOLS names, or those in this cache.
    ///
    /// # Errors
    /// [`NoTools`] if they are not there.
    pub fn find(cache: &Path) -> Result<Self, NoTools> {
        let root =
            env::var_os("NITRO_SIGNER_VM_TOOLS").map_or_else(|| cache.join("vm"), PathBuf::from);
        if root.join("complete").exists() { Ok(Self { root }) } else { Err(NoTools(root)) }
    }

    /// QEMU for x86-64, with its firmware.
    pub(super) fn qemu(&self) -> Command {
        let mut command = self.program("usr/bin/qemu-system-x86_64");
        command.arg("-L").arg(self.root.join("usr/share/qemu"));
        command.arg("-L").arg(self.root.join("usr/share/seabios"));
        command
    }

    /// The vsock of virtual machines.
    pub(super) fn vsock(&self) -> Command {
        self.program("usr/bin/vhost-device-vsock")
    }

    /// A program that ends when the thread that starts it does, however that ends.
    fn program(&self, path: &str) -> Command {
        let libraries = self.root.join("usr/lib/x86_64-linux-gnu");
        let search = [libraries.clone(), libraries.join("pulseaudio")]
            .map(|path| path.to_string_lossy().into_owned())
            .join(":");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.root.join("usr/lib64/ld-linux-x86-64.so.2"))
            .args(["--library-path", &search])
            .arg(self.root.join(path))
            .env_clear()
            .env("RUST_LOG", "warn");
        command
    }
}
