//! The enclave's log: our own events only, at a level that is compiled in.
//!
//! Dependencies' events are dropped, since nobody here chose their fields. Lines go to standard
//! error, which Nitro shows only of an enclave in debug mode.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const LEVEL: LevelFilter = LevelFilter::INFO;

/// Starts the log. A second call changes nothing.
pub fn start() {
    let ours = Targets::new().with_target("nitro_signer_enclave", LEVEL);
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
}
