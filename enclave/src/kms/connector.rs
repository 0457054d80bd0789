//! The HTTP connector that the AWS SDK is given: one TLS connection per request, to one host.
//!
//! It accepts exactly KMS's host of the key's region, verifies it against [`TrustRoots`] by the
//! enclave's own clock, speaks HTTP/1.1, follows nothing, resumes nothing, and reads at most
//! [`MAX_ANSWER`].

use super::relay::{LineFailure, RelayLines};
use crate::clock::Clock;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// The longest answer KMS may give, in bytes; its own are a tenth of this.
const MAX_ANSWER: usize = 65_536;
const HTTPS: u16 = 443;

/// The certificate authorities that KMS may be certified by. A value of `main`.
#[derive(Clone)]
pub struct TrustRoots(Arc<RootCertStore>);

impl TrustRoots {
    /// Exactly these certificates, one PEM text each.
    ///
    /// # Errors
    /// If there is none, or one is not a certificate.
    pub fn from_pem<'a>(roots: impl IntoIterator<Item = &'a str>) -> Result<Self, rustls::Error> {
        let mut store = RootCertStore::empty();
        for root in roots {
            let root = CertificateDer::from_pem_slice(root.as_bytes())
                .map_err(|_| rustls::Error::General("not a certificate in PEM".to_owned()))?;
            store.add(root)?;
        }
        if store.is_empty() {
            return Err(rustls::Error::General("no trust root".to_owned()));
        }
        Ok(Self(Arc::new(store)))
    }
}

/// Why a request did not get an answer. Carried through the SDK's error types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectFailure {
    #[error("the request is for another host than KMS's")]
    Host,
    #[error("no relay line could be joined")]
    Line,
    #[error("the relay does not allow the host")]
    NotAllowed,
    #[error("the peer's certificate was not accepted")]
    Tls,
    #[error("the connection broke")]
    Http,
    #[error("the answer is too long")]
    TooLong,
}

impl ConnectFailure {
    /// The failure that an SDK error carries, if it was ours.
    pub(super) fn behind(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(failure) = error.downcast_ref::<Self>() {
                return Some(*failure);
            }
            next = error.source();
        }
        None
    }
}

impl From<LineFailure> for ConnectFailure {
    fn from(failure: LineFailure) -> Self {
        match failure {
            LineFailure::NotAllowed => Self::NotAllowed,
            LineFailure::Line | LineFailure::Unreachable => Self::Line,
        }
    }
}

impl From<ConnectFailure> for ConnectorError {
    fn from(failure: ConnectFailure) -> Self {
        match failure {
            ConnectFailure::Host => Self::user(Box::new(failure)),
            _ => Self::io(Box::new(failure)),
        }
    }
}

#[derive(Clone)]
pub(super) struct Connector {
    host: Arc<str>,
    agent: Arc<str>,
    lines: RelayLines,
    tls: TlsConnector,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connector({})", self.host)
    }
}

impl Connector {
    /// `agent` goes before the SDK's own words in the User-Agent, which is where AWS's log can tell
    /// one manifest and boot from another: it has PCR0 to 4 and 8, and not PCR16.
    pub(super) fn new(
        host: String,
        agent: String,
        lines: RelayLines,
        roots: &TrustRoots,
        clock: &Clock,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots.0.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        let tls = TlsConnector::from(Arc::new(config));
        Self { host: host.into(), agent: agent.into(), lines, tls }
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectFailure> {
        let request = self.accept(request)?;
        let line = self.lines.join(&self.host, HTTPS).await?;
        let name = ServerName::try_from(self.host.to_string()).map_err(|_| ConnectFailure::Host)?;
        let stream = self.tls.connect(name, line).await.map_err(|e| tls_failure(&e))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|_| ConnectFailure::Http)?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(|_| ConnectFailure::Http)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|e| {
                if e.is::<http_body_util::LengthLimitError>() {
                    ConnectFailure::TooLong
                } else {
                    ConnectFailure::Http
                }
            })?;
            let response = http::Response::from_parts(parts, SdkBody::from(body.to_bytes()));
            HttpResponse::try_from(response).map_err(|_| ConnectFailure::Http)
        };
        // The connection is driven while the answer is awaited, and dropped with it.
        let mut connection = std::pin::pin!(connection);
        let mut answer = std::pin::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    }

    /// The request in origin form, if it is for exactly our host.
    fn accept(&self, request: HttpRequest) -> Result<http::Request<Full<Bytes>>, ConnectFailure> {
        let request = request.try_into_http1x().map_err(|_| ConnectFailure::Host)?;
        let (mut parts, body) = request.into_parts();
        let uri = &parts.uri;
        let ours = uri.scheme_str() == Some("https")
            && uri.host() == Some(&*self.host)
            && matches!(uri.port_u16(), None | Some(HTTPS));
        // KMS requests are small and in memory; a streaming body is nothing we send.
        let (true, Some(body)) = (ours, body.bytes()) else { return Err(ConnectFailure::Host) };
        let body = Full::new(Bytes::copy_from_slice(body));
        let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        parts.uri = path.parse().map_err(|_| ConnectFailure::Host)?;
        let host = self.host.parse().map_err(|_| ConnectFailure::Host)?;
        parts.headers.insert(http::header::HOST, host);
        // Not among the headers that are signed (SigV4 leaves it to proxies).
        let sdk = parts.headers.get(http::header::USER_AGENT).and_then(|own| own.to_str().ok());
        let agent = format!("{} {}", self.agent, sdk.unwrap_or_default());
        let agent = agent.trim_end().parse().map_err(|_| ConnectFailure::Host)?;
        parts.headers.insert(http::header::USER_AGENT, agent);
        Ok(http::Request::from_parts(parts, body))
    }
}

/// A handshake that broke is the way's fault; one that was refused is the peer's.
fn tls_failure(error: &std::io::Error) -> ConnectFailure {
    let refused = error.get_ref().is_some_and(|e| e.is::<rustls::Error>());
    if refused { ConnectFailure::Tls } else { ConnectFailure::Http }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { Ok(connector.exchange(request).await?) })
    }
}

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
