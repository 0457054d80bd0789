//! Where the proxy listens: never where another machine could reach it.

use super::super::output::{Failure, random};
use super::door::Door;
use crate::http::{Face, serve};
use axum::Router;
use std::fmt;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

/// A place to listen on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listen {
    /// A loopback address; port 0 is any free one.
    Loopback(SocketAddr),
    /// A socket file that only its owner can open.
    Unix(PathBuf),
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Some(path).filter(|path| !path.is_empty()).map(PathBuf::from);
            return path.map(Self::Unix).ok_or_else(|| "write unix:/PATH".to_owned());
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Loopback(address)),
            Ok(_) => {
                Err("only a loopback address is listened on: whoever reaches the proxy signs \
                          as this client"
                    .to_owned())
            }
            Err(_) => Err("write a loopback address with a port, or unix:/PATH".to_owned()),
        }
    }
}

/// A bound place.
pub(super) enum Listening {
    Loopback(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

impl Listen {
    /// Binds; calls that come before [`Listening::serve`] wait.
    pub(super) async fn bind(&self) -> Result<Listening, Failure> {
        match self {
            Self::Loopback(address) => {
                let failed = |e: std::io::Error| Failure::usage(format!("{address}: {e}"));
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Ok(Listening::Loopback(listener, address))
            }
            Self::Unix(path) => {
                let listener = bind_unix(path)?;
                Ok(Listening::Unix(listener, SocketFile(path.clone())))
            }
        }
    }
}

impl Listening {
    /// What stands before the calls that come here.
    pub(super) const fn door(&self) -> Door {
        match self {
            Self::Loopback(..) => Door::Loopback,
            Self::Unix(..) => Door::UnixSocket,
        }
    }

    /// Serves until `stop` says so, and lets what is in flight end.
    pub(super) async fn serve(self, routes: Router, stop: watch::Receiver<bool>) {
        match self {
            Self::Loopback(listener, _) => serve(listener, Face::Plain, routes, stop).await,
            Self::Unix(listener, _file) => serve(listener, Face::Plain, routes, stop).await,
        }
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(_, address) => write!(f, "http://{address}"),
            Self::Unix(_, file) => write!(f, "unix:{}", file.0.display()),
        }
    }
}

/// A socket's file, removed when dropped.
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it stays, the next start takes its place.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds a socket that nobody else can open at any moment: it is made in a folder of its own,
/// closed to others, and moved to its place when its mode is set.
fn bind_unix(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |e: std::io::Error| Failure::usage(format!("{}: {e}", path.display()));
    check_free(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", hex::encode(random::<4>()?)));
    let folder = PathBuf::from(name);
    std::fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
    let inside = folder.join("s");
    let bound = UnixListener::bind(&inside).and_then(|listener| {
        std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&inside, path)?;
        Ok(listener)
    });
    if bound.is_err() {
        // What could not be moved must not stay.
        let _ = std::fs::remove_file(&inside);
    }
    std::fs::remove_dir(&folder).map_err(failed)?;
    bound.map_err(failed)
}

/// Nothing is there, or a socket that nobody listens on any more.
fn check_free(path: &Path) -> Result<(), Failure> {
    let refuse = |what: &str| Err(Failure::usage(format!("{}: {what}", path.display())));
    match std::fs::symlink_metadata(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => refuse(&e.to_string()),
        Ok(found) if !found.file_type().is_socket() => refuse("is there and is no socket"),
        Ok(_) if UnixStream::connect(path).is_ok() => refuse("another program listens there"),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_listened_to() {
        let check = |text: &str, good: bool| {
            assert_eq!(text.parse::<Listen>().is_ok(), good, "{text}");
        };
        for text in ["127.0.0.1:8545", "127.0.0.2:0", "[::1]:8545", "unix:/run/signer.sock"] {
            check(text, true);
        }
        for text in ["0.0.0.0:8545", "[::]:8545", "10.0.0.1:1", "127.0.0.1", "localhost:1", "unix:"]
        {
            check(text, false);
        }
    }

    #[tokio::test]
    async fn a_socket_is_its_owners_and_goes_with_its_server() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("proxy.sock");
        let listen = Listen::Unix(path.clone());
        let listening = listen.bind().await.expect("binds");
        let mode = std::fs::metadata(&path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let left: Vec<_> = std::fs::read_dir(dir.path()).expect("is read").collect();
        assert_eq!(left.len(), 1, "only the socket stays");
        assert!(listen.bind().await.is_err(), "it is taken");
        assert!(UnixStream::connect(&path).is_ok());
        drop(listening);
        assert!(!path.exists());

        // A socket left behind gives way; any other file does not.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("binds"));
        drop(listen.bind().await.expect("takes its place"));
        std::fs::write(&path, "a file").expect("writes");
        assert!(listen.bind().await.is_err());
        assert_eq!(std::fs::read(&path).expect("is read"), b"a file");
    }
}
