//! The HTTPS client of the command line: one request, one connection, TLS 1.3.

use super::output::Failure;
use crate::exchange::{ExchangeError, exchange};
use crate::http::{certificates, private_key};
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// The longest answer: that to a batch, which the server keeps to 16 MiB.
const MAX_ANSWER: usize = 17 * 1_048_576;
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);
/// Above the server's own deadlines, so that its refusal arrives first.
const DEADLINE: Duration = Duration::from_secs(330);
/// After how long a request has been answered or given up.
pub(super) const LONGEST_REQUEST: Duration = CONNECT_DEADLINE.saturating_add(DEADLINE);

/// A client of one appliance.
pub(super) struct Client {
    host: String,
    port: u16,
    tls: TlsConnector,
    name: ServerName<'static>,
}

/// Why the appliance gave no answer at all.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the path is none")]
    Path,
    /// Nothing was sent.
    #[error("{0}")]
    Connect(String),
    /// It is not known whether the request was carried out.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// A problem document (RFC 9457), as far as it is used.
#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    title: String,
}

impl Client {
    pub(super) fn new(url: &str, ca: &Path, cert: &Path, key: &Path) -> Result<Self, Failure> {
        let refuse = |e: &dyn std::fmt::Display| Failure::usage(e.to_string());
        let uri: Uri = url.parse().map_err(|e| refuse(&e))?;
        if uri.scheme_str() != Some("https")
            || !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
        {
            return Err(Failure::usage("the appliance's URL must be https://HOST:PORT"));
        }
        let host = uri.host().ok_or_else(|| Failure::usage("the appliance's URL has no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|e| refuse(&e))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(ca).map_err(|e| refuse(&e))? {
            roots.add(certificate).map_err(|e| refuse(&e))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| refuse(&e))?
            .with_root_certificates(roots)
            .with_client_auth_cert(
                certificates(cert).map_err(|e| refuse(&e))?,
                private_key(key).map_err(|e| refuse(&e))?,
            )
            .map_err(|e| refuse(&e))?;
        let port = uri.port_u16().unwrap_or(443);
        Ok(Self { host, port, tls: TlsConnector::from(Arc::new(config)), name })
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.ask(Method::GET, path, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, Failure> {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, Failure> {
        let body = Bytes::from(body.map(Value::to_string).unwrap_or_default());
        let answer = self.send(method, path, body).await.map_err(|e| self.unreachable(&e))?;
        if answer.status().is_success() {
            return serde_json::from_slice(answer.body())
                .map_err(|_| Failure::mismatch("the answer is not of the known form"));
        }
        match serde_json::from_slice::<Problem>(answer.body()) {
            Ok(Problem { code, detail, title }) if detail == title => {
                Err(Failure::refused(&code, detail))
            }
            Ok(Problem { code, detail, title }) => {
                Err(Failure::refused(&code, format!("{}. {title}", detail.trim_end_matches('.'))))
            }
            Err(_) => Err(self.unreachable(&format!("answered HTTP {}", answer.status().as_u16()))),
        }
    }

    /// Sends one request and hands back whatever is answered.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Zeroizing<Vec<u8>>>, NoAnswer> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, format!("{}:{}", self.host, self.port))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|_| NoAnswer::Path)?;
        let connecting = tokio::time::timeout(CONNECT_DEADLINE, self.connect()).await;
        let stream = connecting
            .unwrap_or_else(|_| Err(std::io::Error::other("no connection in time")))
            .map_err(|e| NoAnswer::Connect(e.to_string()))?;
        Ok(exchange(stream, request, MAX_ANSWER, DEADLINE).await?)
    }

    /// The appliance's address.
    pub(super) fn url(&self) -> String {
        format!("https://{}:{}", self.host, self.port)
    }

    async fn connect(&self) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        self.tls.connect(self.name.clone(), stream).await
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::unreachable(format!("{}: {why}", self.url()))
    }
}
