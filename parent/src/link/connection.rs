//! One connection of request frames: many callers, bounded in flight, each given its own answer.
//!
//! An answer counts only if its correlation id is in flight and it names the hash of the very
//! bytes that were sent. Anything else ends the connection, and every caller hears
//! [`RefusalCode::LinkDown`]: after one wrong frame nothing on the stream can be trusted to be
//! where it seems to be.

use super::Stream;
use alloy_primitives::B256;
use aws_lc_rs::digest::{SHA256, digest};
use nitro_signer_shared::frame::{self, Body, FrameError};
use nitro_signer_shared::message::{Request, RequestFrame, Response, ResponseFrame};
use nitro_signer_shared::proof::ClientProof;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// How many requests of clients may be in flight. The enclave signs a few thousand a second, so
/// this many wait well below their deadline.
pub(crate) const MAX_IN_FLIGHT: usize = 256;
/// How many of the supervisor's own may be, so that a full queue never stops credentials.
const MAX_OWN: usize = 8;
/// How long one frame may take to be written before the peer counts as gone.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// A request and who stands behind it.
pub(crate) struct Ask {
    pub(crate) asserted: Option<String>,
    pub(crate) proofs: Vec<ClientProof>,
    pub(crate) request: Request,
}

impl Ask {
    /// A request of the parent's own, for nobody.
    pub(crate) const fn own(request: Request) -> Self {
        Self { asserted: None, proofs: Vec::new(), request }
    }
}

/// Why a connection is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum End {
    #[error("the enclave closed the connection")]
    Closed,
    #[error("the enclave is of another release: it speaks version {0} of the link")]
    Version(u16),
    #[error("the enclave broke the protocol: {0}")]
    Protocol(&'static str),
    #[error("the connection failed")]
    Failed,
    #[error("the parent gave the connection up")]
    GivenUp,
}

impl From<FrameError> for End {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Closed => Self::Closed,
            FrameError::Version(version) => Self::Version(version),
            FrameError::Magic => Self::Protocol("not a frame"),
            FrameError::Length(_) => Self::Protocol("a frame of a length that is not accepted"),
            FrameError::Body => Self::Protocol("a frame that is not a response"),
            FrameError::Io(_) => Self::Failed,
        }
    }
}

/// A live connection. Dropping it closes it.
pub(crate) struct Connection {
    ids: AtomicU64,
    outgoing: mpsc::Sender<Body>,
    waiting: Arc<Waiting>,
    clients: Arc<Semaphore>,
    own: Arc<Semaphore>,
    give_up: watch::Sender<bool>,
    ended: watch::Receiver<Option<End>>,
}

impl Connection {
    /// Takes a connected stream over.
    pub(crate) fn start(stream: Box<dyn Stream>) -> Self {
        // Never full: no more frames wait here than requests are in flight.
        let (outgoing, frames) = mpsc::channel(MAX_IN_FLIGHT + MAX_OWN);
        let (give_up, given_up) = watch::channel(false);
        let (end, ended) = watch::channel(None);
        let waiting = Arc::new(Waiting::default());
        let callers = Arc::clone(&waiting);
        tokio::spawn(async move {
            let why = drive(stream, frames, &callers, given_up).await;
            // Callers first: whoever sees the end must find nobody waiting.
            callers.close();
            end.send_replace(Some(why));
        });
        Self {
            ids: AtomicU64::new(1),
            outgoing,
            waiting,
            clients: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            own: Arc::new(Semaphore::new(MAX_OWN)),
            give_up,
            ended,
        }
    }

    /// A client's request: its answer, or why there is none.
    ///
    /// # Errors
    /// The enclave's refusal, or [`RefusalCode::Busy`], [`RefusalCode::LinkDown`],
    /// [`RefusalCode::Deadline`], [`RefusalCode::TooLarge`].
    pub(crate) async fn call(&self, ask: Ask, deadline: Duration) -> Result<Response, Refusal> {
        self.send(&self.clients, ask, deadline).await
    }

    /// A request of the supervisor's own.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) async fn call_own(
        &self,
        request: Request,
        deadline: Duration,
    ) -> Result<Response, Refusal> {
        self.send(&self.own, Ask::own(request), deadline).await
    }

    /// Waits until the connection is over and says why.
    pub(crate) async fn ended(&self) -> End {
        let mut ended = self.ended.clone();
        let end = ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone());
        end.unwrap_or(End::Failed)
    }

    /// Gives the connection up; all in flight hear that the link is down.
    pub(crate) fn give_up(&self) {
        self.give_up.send_replace(true);
    }

    async fn send(
        &self,
        lane: &Arc<Semaphore>,
        ask: Ask,
        deadline: Duration,
    ) -> Result<Response, Refusal> {
        let slot = Arc::clone(lane).try_acquire_owned().map_err(|_| RefusalCode::Busy)?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let Ask { asserted, proofs, request } = ask;
        let body = frame::encode(&RequestFrame { id, asserted, proofs, request })
            .map_err(|_| RefusalCode::TooLarge)?;
        let hash = B256::from_slice(digest(&SHA256, &body).as_ref());
        let answer = self.waiting.enter(id, hash, slot).ok_or(RefusalCode::LinkDown)?;
        self.outgoing.try_send(body).map_err(|_| RefusalCode::LinkDown)?;
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(RefusalCode::LinkDown.into()),
            // The slot stays taken until the enclave has answered: it is still at work.
            Err(_) => Err(RefusalCode::Deadline.into()),
        }
    }
}

type Answer = Result<Response, Refusal>;

/// Who waits for which answer.
#[derive(Default)]
struct Waiting(Mutex<Callers>);

#[derive(Default)]
struct Callers {
    closed: bool,
    by_id: HashMap<u64, Caller>,
}

struct Caller {
    request_hash: B256,
    answer: oneshot::Sender<Answer>,
    _slot: OwnedSemaphorePermit,
}

impl Waiting {
    /// `None` if the connection is over.
    fn enter(
        &self,
        id: u64,
        request_hash: B256,
        slot: OwnedSemaphorePermit,
    ) -> Option<oneshot::Receiver<Answer>> {
        let (answer, receiver) = oneshot::channel();
        let mut callers = self.lock();
        if callers.closed {
            return None;
        }
        callers.by_id.insert(id, Caller { request_hash, answer, _slot: slot });
        Some(receiver)
    }

    fn answer(&self, response: ResponseFrame) -> Result<(), End> {
        let caller = self.lock().by_id.remove(&response.id);
        let caller = caller.ok_or(End::Protocol("an answer that nobody waits for"))?;
        if caller.request_hash != response.request_hash {
            return Err(End::Protocol("an answer to another request"));
        }
        // The caller may have left at its deadline.
        let _ = caller.answer.send(response.result);
        Ok(())
    }

    fn close(&self) {
        let mut callers = self.lock();
        callers.closed = true;
        callers.by_id.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Callers> {
        // Nothing panics while holding it, and the map would still be whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn drive(
    stream: Box<dyn Stream>,
    frames: mpsc::Receiver<Body>,
    waiting: &Waiting,
    mut given_up: watch::Receiver<bool>,
) -> End {
    let (mut incoming, outgoing) = tokio::io::split(stream);
    let reading = async {
        loop {
            match read_one(&mut incoming).await.and_then(|response| waiting.answer(response)) {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    };
    tokio::select! {
        end = reading => end,
        end = write_all(outgoing, frames) => end,
        _ = given_up.wait_for(|given_up| *given_up) => End::GivenUp,
    }
}

async fn read_one<R: AsyncReadExt + Unpin>(stream: &mut R) -> Result<ResponseFrame, End> {
    let body = frame::read(stream).await?;
    Ok(frame::decode(&body)?)
}

async fn write_all<W: AsyncWrite + Unpin>(mut stream: W, mut frames: mpsc::Receiver<Body>) -> End {
    while let Some(body) = frames.recv().await {
        match tokio::time::timeout(WRITE_DEADLINE, frame::write(&mut stream, &body)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.into(),
            Err(_) => return End::Failed,
        }
    }
    End::GivenUp
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
