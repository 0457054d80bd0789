//! An HTTPS client of an appliance, for tests: one request on one connection, byte for byte as the
//! test wrote it, and the answer as it came. It checks the server's certificate and nothing else.

#![allow(missing_docs, clippy::missing_errors_doc, clippy::missing_panics_doc)]

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A client with its certificate.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    tls: TlsConnector,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    head: String,
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the appliance at this address, with the certificate and key in these files.
    #[must_use]
    pub fn new(address: SocketAddr, ca: &Path, certificate: &Path, key: &Path) -> Self {
        let certificate_of = |path| CertificateDer::from_pem_file(path).expect("is a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(certificate_of(ca)).expect("is a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("has versions")
            .with_root_certificates(roots)
            .with_client_auth_cert(
                vec![certificate_of(certificate)],
                PrivateKeyDer::from_pem_file(key).expect("is a key"),
            )
            .expect("the key is the certificate's");
        Self { address, tls: TlsConnector::from(Arc::new(config)) }
    }

    /// A connection, to write whatever bytes a test likes.
    pub async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").expect("is a name");
        self.tls.connect(name, TcpStream::connect(self.address).await?).await
    }

    /// Asks once.
    pub async fn ask(&self, method: &str, path: &str, body: &[u8]) -> io::Result<Answer> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
        );
        let (mut read, mut write) = tokio::io::split(self.connect().await?);
        // A server that has read enough answers and hangs up while more is written.
        let writing = async {
            write.write_all(head.as_bytes()).await?;
            write.write_all(body).await?;
            write.flush().await
        };
        let mut answer = Vec::new();
        let (_, reading) = tokio::join!(writing, read.read_to_end(&mut answer));
        match Answer::read(&answer) {
            Some(answer) => Ok(answer),
            None => Err(reading.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, b"").await.expect("answers")
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string().as_bytes()).await.expect("answers")
    }
}

impl Answer {
    /// A whole answer of HTTP/1.1 whose end is its connection's.
    fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let answer = Self { status, head, body: bytes[end + 4..].to_vec() };
        let length: usize = answer.header("content-length")?.parse().ok()?;
        (answer.body.len() == length).then_some(answer)
    }

    /// A header's value; `name` in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut of_name = lines.filter(|(n, _)| n.eq_ignore_ascii_case(name));
        of_name.next().map(|(_, value)| value.trim())
    }

    /// The body's JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
