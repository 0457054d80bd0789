//! The enclave's log: our own events only, at a level that is compiled in.
//!
//! Dependencies' events are dropped, since nobody here chose their fields. Lines carry no time:
//! the system clock is the host's. They go to standard error, which Nitro shows only of an enclave
//! in debug mode, by a thread of their own: a reader that is slow or gone loses lines and never
//! holds up a signature.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const LEVEL: LevelFilter = LevelFilter::INFO;
/// Lines that may wait for the reader; further ones are lost.
const WAITING_LINES: usize = 1_024;

/// Starts the log. A second call changes nothing.
pub fn start() {
    let (sender, lines) = sync_channel::<Vec<u8>>(WAITING_LINES);
    std::thread::spawn(move || {
        for line in lines {
            // Nobody is left to be told of a failure.
            let _ = io::stderr().write_all(&line);
        }
    });
    let ours = Targets::new().with_target("nitro_signer_enclave", LEVEL);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_writer(move || Lossy(sender.clone()));
    let _ = tracing_subscriber::registry().with(lines).with(ours).try_init();
}

/// Takes a line at once or loses it. The formatter writes each event by one call.
struct Lossy(SyncSender<Vec<u8>>);

impl Write for Lossy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.0.try_send(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
