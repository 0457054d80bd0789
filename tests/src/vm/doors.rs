//! The enclave's ports as Unix sockets in a folder, as the process stack has them, so that the
//! parent knows nothing of the difference.
//!
//! A connection is joined to the machine that runs at that moment. If none does, it is closed at
//! once, as a port is on which nobody listens.

use std::io;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where the running enclave is reached; `None` while the power is off.
pub type Position = watch::Sender<Option<PathBuf>>;

/// The sockets; dropping them closes what goes through them.
pub struct Doors {
    _serving: JoinSet<()>,
}

impl Doors {
    /// Opens `DIR/PORT.sock` for each of these ports.
    ///
    /// # Errors
    /// If a socket cannot be bound.
    pub fn open(dir: &Path, ports: &[u32]) -> io::Result<(Self, Position)> {
        let (position, current) = watch::channel(None);
        let mut doors = JoinSet::new();
        for port in ports {
            let listener = UnixListener::bind(dir.join(format!("{port}.sock")))?;
            doors.spawn(serve(listener, *port, current.clone()));
        }
        Ok((Self { _serving: doors }, position))
    }
}

async fn serve(listener: UnixListener, port: u32, current: watch::Receiver<Option<PathBuf>>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let mut changed = current.clone();
        let Some(socket) = changed.borrow_and_update().clone() else { continue };
        connections.spawn(async move {
            tokio::select! {
                _ = join(stream, &socket, port) => {}
                // The power is off: what was joined ends, whatever the network still holds.
                _ = changed.changed() => {}
            }
        });
    }
}

async fn join(mut stream: UnixStream, socket: &Path, port: u32) -> io::Result<()> {
    let mut guest = connect(socket, port).await?;
    copy_bidirectional(&mut stream, &mut guest).await?;
    Ok(())
}

/// vhost-device-vsock's handshake: `CONNECT port`, answered `OK port`, each a line.
async fn connect(socket: &Path, port: u32) -> io::Result<UnixStream> {
    let mut guest = UnixStream::connect(socket).await?;
    guest.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") && answer.len() < 32 {
        answer.push(guest.read_u8().await?);
    }
    if answer.starts_with(b"OK ") {
        Ok(guest)
    } else {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}
