//! The kernel's random pool, fed from the secure module before anything draws from it.
//!
//! A fresh enclave has few sources of its own. The hypervisor's random numbers are credited as
//! entropy, so that the kernel's generator is seeded by them whatever else it had.

use crate::nsm::{Module, ModuleError};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use zeroize::Zeroize;

/// How many answers of the secure module (256 bytes each) go into the pool.
const ROUNDS: usize = 4;

/// Where random bytes of the secure module go. A value of `main`.
pub trait RandomPool {
    /// Mixes the bytes in.
    ///
    /// # Errors
    /// If the pool does not take them.
    fn mix(&self, bytes: &[u8]) -> io::Result<()>;
}

/// Why the pool could not be fed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SeedError {
    #[error(transparent)]
    Module(#[from] ModuleError),
    #[error("the random pool does not take entropy")]
    Pool(#[from] io::Error),
}

/// The secure module of an enclave whose random pool was fed: nothing else starts without it.
pub struct SeededModule(Module);

impl SeededModule {
    /// The module.
    #[must_use]
    pub fn into_module(self) -> Module {
        self.0
    }
}

/// Feeds the pool. To be called first of all, before a runtime or a thread that might draw.
///
/// # Errors
/// [`SeedError`]; the enclave must not go on.
pub fn seed(module: Module, pool: &dyn RandomPool) -> Result<SeededModule, SeedError> {
    for _ in 0..ROUNDS {
        pool.mix(&module.random()?)?;
    }
    Ok(SeededModule(module))
}

/// The Linux kernel's pool: RNDADDENTROPY (random(4)), which mixes and credits. Needs
/// CAP_SYS_ADMIN, which the first process of an enclave has.
pub struct KernelPool;

/// `struct rand_pool_info` of linux/random.h with a buffer of the size the module gives.
#[repr(C)]
struct RandPoolInfo {
    entropy_bits: libc::c_int,
    size: libc::c_int,
    bytes: [u8; 256],
}

/// `_IOW('R', 0x03, int[2])` of linux/random.h.
const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
/// `_IO('R', 0x07)` of linux/random.h: reseeds the generator from the pool now.
const RNDRESEEDCRNG: libc::c_ulong = 0x5207;

#[allow(unsafe_code)] // Two ioctls, each argued below; no crate of ours wraps them.
impl RandomPool for KernelPool {
    fn mix(&self, bytes: &[u8]) -> io::Result<()> {
        let device = OpenOptions::new().write(true).open("/dev/urandom")?;
        for chunk in bytes.chunks(256) {
            let size = libc::c_int::try_from(chunk.len()).map_err(io::Error::other)?;
            let mut info = RandPoolInfo { entropy_bits: size * 8, size, bytes: [0; 256] };
            info.bytes[..chunk.len()].copy_from_slice(chunk);
            // SAFETY: RNDADDENTROPY reads a rand_pool_info whose buffer holds at least `size`
            // bytes; `info` is one, lives across the call, and `size` is at most 256.
            let added = unsafe {
                libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, std::ptr::from_ref(&info))
            };
            let error = io::Error::last_os_error();
            info.bytes.zeroize();
            if added != 0 {
                return Err(error);
            }
        }
        // SAFETY: RNDRESEEDCRNG takes no argument.
        match unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
