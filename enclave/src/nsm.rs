//! The secure module: the one door to Nitro's hypervisor.
//!
//! [`SecureModule`] is all the enclave knows of it. The only implementation that ships is
//! [`Device`], which is /dev/nsm. Answers come from the hypervisor, which the enclave trusts; that
//! they are of the expected kind and size is checked all the same.

use aws_nitro_enclaves_nsm_api::api::{Request, Response};

/// A Nitro secure module: takes one request, gives its answer. Calls block for a few milliseconds.
pub trait SecureModule: Send + Sync + 'static {
    /// Carries out one request.
    fn process(&self, request: Request) -> Response;
}
