//! The real image in a virtual machine: a kernel, /dev/nsm, AF_VSOCK, the program as first process.
//!
//! QEMU's microvm has what an enclave has: memory, processors, a console, and devices announced on
//! the command line. The secure module is the mock one's code behind Linux's own driver; vsock is
//! vhost-device-vsock. Everything of a machine stands in a folder of its own, and its processes end
//! with it, whatever happens to this one.

mod doors;
mod eif;
mod machine;
pub mod pair;
mod secure_module;
mod tools;

pub use doors::{Doors, Position};
pub use eif::{Eif, EifError};
pub use machine::{Guest, Machine, MachineError, Network};
pub use tools::{NoTools, Tools};
