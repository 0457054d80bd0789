//! The mock secure module's clock, which a test may stop or move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A clock; clones move together.
#[derive(Clone)]
pub struct Clock {
    fixed_ms: Option<u64>,
    shift_ms: Arc<AtomicI64>,
}

impl Clock {
    /// The system's time.
    #[must_use]
    pub fn system() -> Self {
        Self { fixed_ms: None, shift_ms: Arc::default() }
    }

    /// A clock that stands at this time, in milliseconds of Unix time.
    #[must_use]
    pub fn fixed(ms: u64) -> Self {
        Self { fixed_ms: Some(ms), shift_ms: Arc::default() }
    }

    /// Moves this clock and its clones, forward or back.
    pub fn shift(&self, ms: i64) {
        self.shift_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Milliseconds of Unix time.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        let system = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let base = self
            .fixed_ms
            .unwrap_or_else(|| u64::try_from(system().as_millis()).unwrap_or(u64::MAX));
        base.saturating_add_signed(self.shift_ms.load(Ordering::SeqCst))
    }
}
