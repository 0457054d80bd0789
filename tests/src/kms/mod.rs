//! Development KMS: speaks AWS KMS's protocol on the loopback interface, so that the whole chain
//! runs on a laptop and attackers can be played against it.
//!
//! It decides as KMS does as far as that is published: signatures (SigV4), key policies, grants,
//! attestation documents, encryption contexts, key states. Keys live in memory and, if asked, in a
//! file; they protect nothing: it must never be reachable from another machine, and it refuses to
//! be. One account, one or more regions: a request is for the region that its signature names.

mod asymmetric;
mod certificate;
mod cms;
mod error;
mod events;
mod faults;
mod grants;
mod imports;
mod key;
mod keys;
mod material;
mod operations;
mod pages;
mod recipient;
mod server;
mod service;
mod sigv4;
mod state;
mod trail;
mod wire;

pub use certificate::CertificateError;
pub use events::{Event, Outcome};
pub use faults::Fault;
pub use operations::Operation;
pub use sigv4::Identity;
pub use state::StateError;
pub use trail::TrailEvent;

use crate::nsm::Clock;
use certificate::Certificate;
use error::ApiError;
use keys::Keys;
use nitro_signer_shared::attestation::TrustAnchor;
use service::Service;
use state::StateFile;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What a development KMS is started with. [`Options::new`] fills in all but four.
pub struct Options {
    /// The region in ARNs, credential scopes and the server's name.
    pub region: String,
    /// The account that owns the keys, 12 digits.
    pub account: String,
    /// Who may call.
    pub identities: Vec<Identity>,
    /// The root under which attestation documents must be.
    pub anchor: TrustAnchor,
    /// Where to listen; a loopback address. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The oldest attestation document taken, in milliseconds. AWS publishes no limit; ours is
    /// five minutes.
    pub max_document_age_ms: u64,
    /// The names in the server's certificate.
    pub certificate_names: Vec<String>,
    /// What the server takes for the time.
    pub clock: Clock,
    /// Further regions of the account, for replicas; a request's signature says which is meant.
    pub more_regions: Vec<String>,
    /// The access keys, of temporary credentials, that were got with a second factor:
    /// `aws:MultiFactorAuthPresent`.
    pub multi_factor: Vec<String>,
    /// Where keys and certificate are kept over the end of this process, if anywhere.
    pub state: Option<PathBuf>,
    /// A file that gets every event of [`DevelopmentKms::trail`], a line each.
    pub trail: Option<PathBuf>,
}

impl Options {
    /// The usual options: a free port of 127.0.0.1, the system's clock, and a certificate for
    /// `kms.<region>.amazonaws.com`, localhost and 127.0.0.1.
    #[must_use]
    pub fn new(
        region: &str,
        account: &str,
        identities: Vec<Identity>,
        anchor: TrustAnchor,
    ) -> Self {
        Self {
            certificate_names: vec![host(region), "localhost".to_owned(), "127.0.0.1".to_owned()],
            region: region.to_owned(),
            account: account.to_owned(),
            identities,
            anchor,
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            max_document_age_ms: 300_000,
            clock: Clock::system(),
            more_regions: vec![],
            multi_factor: vec![],
            state: None,
            trail: None,
        }
    }
}

/// Why a development KMS did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not a loopback address.
    #[error("{0} is not a loopback address; the development KMS listens on no other")]
    NotLoopback(SocketAddr),
    /// The account is not 12 digits.
    #[error("an account has 12 digits")]
    Account,
    /// The certificate could not be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The address could not be listened on.
    #[error("cannot listen")]
    Listen(#[from] std::io::Error),
    /// The kept keys cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file for the event log cannot be opened.
    #[error("cannot open the event log's file")]
    Trail(#[source] std::io::Error),
}

/// A setup call that was refused: AWS's name for it, and the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {body}")]
pub struct SetupError {
    /// For example `MalformedPolicyDocumentException`.
    pub name: &'static str,
    body: String,
}

impl From<ApiError> for SetupError {
    fn from(error: ApiError) -> Self {
        Self { name: error.name, body: error.body().to_string() }
    }
}

/// A running development KMS. It ends, with all its connections, when this is dropped.
pub struct DevelopmentKms {
    addr: SocketAddr,
    ca_pem: String,
    host: String,
    service: Arc<Service>,
    serving: JoinHandle<()>,
}

impl DevelopmentKms {
    /// Starts serving on the current Tokio runtime.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        if !options.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(options.listen));
        }
        if options.account.len() != 12 || !options.account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(StartError::Account);
        }
        let (certificate, keys) = kept_or_new(&options)?;
        let (acceptor, ca_pem) =
            (TlsAcceptor::from(certificate.tls()?), certificate.ca_pem.clone());
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let host = host(&options.region);
        let service = Arc::new(Service::new(options, certificate, keys)?);
        let serving = tokio::spawn(server::serve(listener, acceptor, service.clone()));
        Ok(Self { addr, ca_pem, host, service, serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The endpoint for AWS's clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// The name under which AWS's KMS of this region is reached, `kms.<region>.amazonaws.com`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The root that signed its certificate, in PEM. It is another one at every start, unless a
    /// state's file kept it.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Makes a key under this policy without a call; the key's ARN.
    ///
    /// # Errors
    /// [`SetupError`] if the policy is not understood.
    pub fn create_key(&self, policy: &str) -> Result<String, SetupError> {
        Ok(self.service.create_key(policy)?)
    }

    /// Replaces the policy of a key (UUID, ARN or alias) without a call.
    ///
    /// # Errors
    /// [`SetupError`] if there is no such key or the policy is not understood.
    pub fn put_key_policy(&self, key: &str, policy: &str) -> Result<(), SetupError> {
        Ok(self.service.put_key_policy(key, policy)?)
    }

    /// Makes a grant of a key (UUID, ARN or alias) without a call, as somebody did before the key's
    /// policy forbade it.
    ///
    /// # Errors
    /// [`SetupError`] if there is no such key or the grant is none.
    pub fn create_grant(
        &self,
        key: &str,
        grantee: &str,
        operations: &[&str],
    ) -> Result<(), SetupError> {
        Ok(self.service.create_grant(key, grantee, operations)?)
    }

    /// The calls so far, oldest first.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.service.events()
    }

    /// The calls with a valid signature so far, oldest first, as CloudTrail shows them.
    #[must_use]
    pub fn trail(&self) -> Vec<TrailEvent> {
        self.service.trail()
    }

    /// Has a fault strike one call of this operation, after `skip` further ones went through.
    pub fn inject(&self, on: Operation, skip: usize, fault: Fault) {
        self.service.inject(on, skip, fault);
    }
}

impl Drop for DevelopmentKms {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The certificate and the keys of the state's file; a certificate that is new where there is none
/// or none that serves.
fn kept_or_new(options: &Options) -> Result<(Certificate, Option<Keys>), StartError> {
    let names = &options.certificate_names;
    let kept = options.state.as_deref().map(StateFile::load).transpose()?.flatten();
    let (certificate, keys) = kept.map(|kept| (kept.certificate, kept.keys)).unzip();
    let certificate = match certificate.filter(|certificate| certificate.serves(names)) {
        Some(certificate) => certificate,
        None => Certificate::generate(names.clone())?,
    };
    Ok((certificate, keys))
}

fn host(region: &str) -> String {
    format!("kms.{region}.amazonaws.com")
}
