//! The enclave's library with development values: what the shipped `main` fixes, chosen otherwise.
//!
//! Over Unix sockets it is the local stack's enclave process; over channels it is an enclave
//! inside a test, whose parent the test plays.

use nitro_signer_enclave::entropy::{self, RandomPool};
use nitro_signer_enclave::image_manifest::ImageManifest;
use nitro_signer_enclave::kms::TrustRoots;
use nitro_signer_enclave::nsm::{Module, SecureModule};
use nitro_signer_enclave::server::{Listener, Peer};
use nitro_signer_enclave::start::{self, Parts, StartError};
use nitro_signer_shared::frame::{self, FrameError};
use nitro_signer_shared::message::{Request, RequestFrame, Response, ResponseFrame};
use nitro_signer_shared::proof::ClientProof;
use nitro_signer_shared::refusal::Refusal;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::{Mutex, mpsc};

/// A Unix socket in the place of a vsock port.
pub struct UnixDoor(UnixListener);

impl UnixDoor {
    /// Listens on this path.
    ///
    /// # Errors
    /// If the socket cannot be bound.
    pub fn bind(path: &Path) -> io::Result<Self> {
        UnixListener::bind(path).map(Self)
    }
}

impl Listener for UnixDoor {
    async fn accept(&self) -> io::Result<Peer> {
        let (stream, _) = self.0.accept().await?;
        Ok(Box::new(stream))
    }
}

/// A channel in the place of a vsock port: the test pushes connections in.
pub struct ChannelDoor(Mutex<mpsc::Receiver<DuplexStream>>);

impl Listener for ChannelDoor {
    async fn accept(&self) -> io::Result<Peer> {
        match self.0.lock().await.recv().await {
            Some(stream) => Ok(Box::new(stream)),
            None => std::future::pending().await,
        }
    }
}

/// The machine's own pool needs no seeding by a mock; the bytes are only checked.
pub struct SeededPool;

impl RandomPool for SeededPool {
    fn mix(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.iter().all(|b| *b == 0) {
            return Err(io::Error::other("the secure module gave zeros"));
        }
        Ok(())
    }
}

/// Runs an enclave on `DIR/5000.sock` and `DIR/5001.sock` for as long as the process lives.
///
/// # Errors
/// If it does not start.
pub async fn run_on_sockets(
    dir: &Path,
    module: impl SecureModule,
    roots: TrustRoots,
) -> Result<(), Box<dyn std::error::Error>> {
    let parts = Parts {
        module: entropy::seed(Module::new(module), &SeededPool)?,
        manifest: ImageManifest::FromParent,
        roots,
        requests: UnixDoor::bind(&dir.join("5000.sock"))?,
        lines: UnixDoor::bind(&dir.join("5001.sock"))?,
    };
    Ok(start::run(parts).await?)
}

/// An enclave inside this process, seen from its parent's side.
pub struct EnclaveInTest {
    requests: mpsc::Sender<DuplexStream>,
    lines: mpsc::Sender<DuplexStream>,
    connection: Mutex<DuplexStream>,
    next_id: AtomicU64,
    /// Where the enclave's end of life shows.
    pub ended: tokio::task::JoinHandle<Result<(), StartError>>,
}

impl EnclaveInTest {
    /// Powers an enclave on.
    pub async fn start(module: impl SecureModule, roots: TrustRoots) -> Self {
        Self::start_with(module, roots, ImageManifest::FromParent).await
    }

    /// The same with an image that may bring a manifest.
    pub async fn start_with(
        module: impl SecureModule,
        roots: TrustRoots,
        manifest: ImageManifest,
    ) -> Self {
        let (requests, request_door) = mpsc::channel(8);
        let (lines, line_door) = mpsc::channel(8);
        let module = entropy::seed(Module::new(module), &SeededPool).expect("gives numbers");
        let parts = Parts {
            module,
            manifest,
            roots,
            requests: ChannelDoor(Mutex::new(request_door)),
            lines: ChannelDoor(Mutex::new(line_door)),
        };
        let ended = tokio::spawn(start::run(parts));
        let connection = Mutex::new(connect(&requests).await);
        Self { requests, lines, connection, next_id: AtomicU64::new(1), ended }
    }

    /// Opens another connection for request frames, to write whatever bytes a test likes.
    pub async fn raw_connection(&self) -> DuplexStream {
        connect(&self.requests).await
    }

    /// Plays an honest relay: lines are joined to this address, whatever host is named. Gives the
    /// names that were asked for.
    pub fn relay_to(&self, address: std::net::SocketAddr) -> mpsc::UnboundedReceiver<String> {
        let (lines, (names, asked)) = (self.lines.clone(), mpsc::unbounded_channel());
        tokio::spawn(async move {
            loop {
                let (mut ours, theirs) = tokio::io::duplex(65_536);
                if lines.send(theirs).await.is_err() {
                    return;
                }
                let names = names.clone();
                tokio::spawn(async move {
                    let length = ours.read_u8().await?;
                    let mut name = vec![0; usize::from(length)];
                    ours.read_exact(&mut name).await?;
                    let _ = names.send(String::from_utf8_lossy(&name).into_owned());
                    let mut far = TcpStream::connect(address).await?;
                    ours.write_u8(0).await?;
                    tokio::io::copy_bidirectional(&mut ours, &mut far).await
                });
            }
        });
        asked
    }

    /// Asks without identity.
    ///
    /// # Errors
    /// The enclave's refusal.
    pub async fn ask(&self, request: Request) -> Result<Response, Refusal> {
        self.ask_as(None, vec![], request).await
    }

    /// Asks with an asserted name and proofs.
    ///
    /// # Errors
    /// The enclave's refusal.
    pub async fn ask_as(
        &self,
        asserted: Option<&str>,
        proofs: Vec<ClientProof>,
        request: Request,
    ) -> Result<Response, Refusal> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let asserted = asserted.map(str::to_owned);
        let body = frame::encode(&RequestFrame { id, asserted, proofs, request })
            .expect("a test's request is small enough");
        let mut connection = self.connection.lock().await;
        frame::write(&mut *connection, &body).await.expect("the enclave listens");
        let answer = frame::read(&mut *connection).await.expect("the enclave answers");
        let answer: ResponseFrame = frame::decode(&answer).expect("with a response");
        assert_eq!(answer.id, id);
        answer.result
    }

    /// Writes raw bytes on a new connection and gives what comes back, if anything does.
    ///
    /// # Errors
    /// If the enclave gives the connection up.
    pub async fn raw(&self, bytes: &[u8]) -> Result<ResponseFrame, FrameError> {
        let mut connection = self.raw_connection().await;
        connection.write_all(bytes).await?;
        connection.shutdown().await?;
        let answer = frame::read(&mut connection).await?;
        frame::decode(&answer)
    }
}

impl Drop for EnclaveInTest {
    fn drop(&mut self) {
        self.ended.abort();
    }
}

async fn connect(door: &mpsc::Sender<DuplexStream>) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(65_536);
    door.send(theirs).await.expect("the enclave lives");
    ours
}
