//! The way to the enclave: one connection for requests, a few idle ones for its calls to KMS.
//!
//! The parent dials and the enclave listens. What comes back is checked for being an answer to
//! what was sent and nothing more; whether it is true, clients learn from signatures and
//! attestation documents. The link must never queue without bound or hand one caller's answer to
//! another.

pub(crate) mod connection;
mod records;
pub(crate) mod relay;
pub(crate) mod supervisor;

pub(crate) use connection::Ask;
pub(crate) use supervisor::{Link, Phase, Situation};

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio_vsock::{VsockAddr, VsockStream};

/// How long the enclave may take to answer.
pub(crate) const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// How long it may take where it asks KMS several times.
pub(crate) const KMS_DEADLINE: Duration = Duration::from_secs(120);

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// Where the enclave listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnclaveAddress {
    /// `vsock:CID`.
    Vsock(u32),
    /// `unix:DIR` with the sockets DIR/5000.sock and DIR/5001.sock, for development and tests.
    Unix(PathBuf),
}

impl FromStr for EnclaveAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            // CIDs up to 2 are the hypervisor's, the loopback's and the host's (vsock(7)).
            Some(("vsock", cid)) => match cid.parse() {
                Ok(cid) if cid >= 3 => Ok(Self::Vsock(cid)),
                _ => Err("enclave: a CID is a number from 3".to_owned()),
            },
            Some(("unix", dir)) if !dir.is_empty() => Ok(Self::Unix(dir.into())),
            _ => Err("enclave: write vsock:CID or unix:DIR".to_owned()),
        }
    }
}

pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl EnclaveAddress {
    /// Connects to one of the enclave's ports.
    pub(crate) async fn connect(&self, port: u32) -> std::io::Result<Box<dyn Stream>> {
        let connecting = async {
            Ok(match self {
                Self::Vsock(cid) => {
                    let stream = VsockStream::connect(VsockAddr::new(*cid, port)).await?;
                    Box::new(stream) as Box<dyn Stream>
                }
                Self::Unix(dir) => {
                    Box::new(UnixStream::connect(dir.join(format!("{port}.sock"))).await?)
                }
            })
        };
        tokio::time::timeout(CONNECT_DEADLINE, connecting).await?
    }
}

/// The pause before the next attempt: it doubles from `first` to `most`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// For connecting: 0.1 s to 5 s.
    pub(crate) const fn connecting() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }

    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.most);
        pause
    }

    pub(crate) const fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_two_forms() {
        let check = |text: &str, expected: Option<EnclaveAddress>| {
            assert_eq!(text.parse::<EnclaveAddress>().ok(), expected, "{text}");
        };
        check("vsock:16", Some(EnclaveAddress::Vsock(16)));
        check("unix:/run/enclave", Some(EnclaveAddress::Unix("/run/enclave".into())));
        for bad in ["", "vsock:", "vsock:2", "vsock:-1", "vsock:16:5000", "unix:", "tcp:1"] {
            check(bad, None);
        }
    }

    #[test]
    fn pauses_double_up_to_the_most() {
        let mut backoff = Backoff::connecting();
        let pauses: Vec<_> = (0..8).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 100);
    }
}
