//! The clock: an NSM document's time plus the monotonic clock.
//!
//! The system clock belongs to the host and is neither read nor set. The hypervisor's time is
//! taken anew at least every [`REFRESH`]; what the clock shows never goes backwards. TLS, the AWS
//! SDK and policy all read this one.

use crate::nsm::{Module, ModuleError};
use aws_smithy_async::time::TimeSource;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the hypervisor's time is taken anew; the design's bound is five minutes.
pub const REFRESH: Duration = Duration::from_secs(240);

/// The enclave's clock. Clones show the same time.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Clone, Copy, Debug)]
struct Reading {
    unix_ms: u64,
    taken: Instant,
}

impl Reading {
    fn now_ms(&self) -> u64 {
        let since = u64::try_from(self.taken.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.unix_ms.saturating_add(since)
    }
}

impl Clock {
    /// A clock that starts from a document made now.
    ///
    /// # Errors
    /// [`ModuleError`] if no document comes.
    pub fn start(module: &Module) -> Result<Self, ModuleError> {
        Ok(Self::at(module.timestamp_ms()?))
    }

    /// A clock that starts at this time, in milliseconds of Unix time.
    #[must_use]
    pub fn at(unix_ms: u64) -> Self {
        Self(Arc::new(Mutex::new(Reading { unix_ms, taken: Instant::now() })))
    }

    /// Takes the hypervisor's time anew. If the clock is ahead of it, it keeps running as it is.
    ///
    /// # Errors
    /// [`ModuleError`] if no document comes; the clock runs on.
    pub fn refresh(&self, module: &Module) -> Result<(), ModuleError> {
        self.advance_to(module.timestamp_ms()?);
        Ok(())
    }

    /// Milliseconds of Unix time.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).now_ms()
    }

    /// Seconds of Unix time.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_ms() / 1000
    }

    fn advance_to(&self, unix_ms: u64) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unix_ms = unix_ms.max(reading.now_ms());
        *reading = Reading { unix_ms, taken: Instant::now() };
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.now_ms())))
    }
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.now_ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_forward_and_never_goes_back() {
        let clock = Clock::at(1_000_000);
        assert!((1_000_000..1_060_000).contains(&clock.now_ms()));
        clock.advance_to(5_000_000);
        assert!((5_000_000..5_060_000).contains(&clock.now_ms()));
        clock.advance_to(2_000_000);
        assert!(clock.now_ms() >= 5_000_000);
    }
}
