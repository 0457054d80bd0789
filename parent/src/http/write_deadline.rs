//! A stream whose writes must make progress.
//!
//! A client that never reads an answer would keep its connection, and the answer in memory, for
//! ever: reads have deadlines in the HTTP server, writes have none. This stands below TLS, so that
//! every byte which the client's system takes counts as progress.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream on which a write that stays pending for the deadline fails with
/// [`ErrorKind::TimedOut`].
pub(super) struct WriteDeadline<S> {
    stream: S,
    deadline: Duration,
    /// Set while a write is pending.
    pending: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncWrite + Unpin> WriteDeadline<S> {
    pub(super) const fn new(stream: S, deadline: Duration) -> Self {
        Self { stream, deadline, pending: None }
    }

    fn within<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<Result<T>>,
    ) -> Poll<Result<T>> {
        // The write goes first: one that was polled late is not one that was late.
        if let done @ Poll::Ready(_) = write(Pin::new(&mut self.stream), context) {
            self.pending = None;
            return done;
        }
        let deadline = self.deadline;
        let pending = self.pending.get_or_insert_with(|| Box::pin(sleep(deadline)));
        ready!(pending.as_mut().poll(context));
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WriteDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WriteDeadline<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        self.within(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.within(context, |stream, context| stream.poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.within(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        self.within(context, |stream, context| stream.poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_write_that_nobody_reads_fails() {
        let (ours, _theirs) = duplex(64);
        let mut stream = WriteDeadline::new(ours, Duration::from_millis(50));
        let error = stream.write_all(&[0; 65]).await.expect_err("one byte has no room");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_write_that_is_read_slowly_succeeds() {
        let (ours, mut theirs) = duplex(64);
        let mut stream = WriteDeadline::new(ours, Duration::from_millis(500));
        let reading = tokio::spawn(async move {
            let mut read = 0;
            while read < 1_024 {
                sleep(Duration::from_millis(50)).await;
                read += theirs.read(&mut [0; 64]).await.expect("reads");
            }
        });
        // 16 readings take 800 ms, which is more than the deadline of one write.
        stream.write_all(&[0; 1_024]).await.expect("makes progress");
        reading.await.expect("ends");
    }
}
