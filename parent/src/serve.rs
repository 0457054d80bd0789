//! The server put together: configuration in, running appliance out.

use crate::appliance::Appliance;
use crate::config::{Config, ConfigError};
use crate::credentials::Provider;
use crate::http::{self, App, Face, TlsError};
use crate::link::relay::{self, Target};
use crate::link::supervisor::Supervisor;
use crate::store::Store;
use crate::telemetry;
use nitro_signer_shared::manifest::{MAX_MANIFEST, Manifest, ManifestError, ManifestHash};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{path}: {what}", path = path.display())]
    ManifestFile { path: PathBuf, what: String },
    #[error("{path}: {source}", path = path.display())]
    Manifest { path: PathBuf, source: ManifestError },
    #[error("{0}")]
    Store(String),
    #[error("{0}")]
    Tls(String),
    #[error("{address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

impl From<TlsError> for StartError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

/// A running server. Dropping it ends it at once; [`Running::stop`] lets requests in flight end.
pub struct Running {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where probes and metrics are served.
    pub ops_address: SocketAddr,
    stop: watch::Sender<bool>,
    faces: JoinSet<()>,
    _background: JoinSet<()>,
}

impl Running {
    /// Accepts nothing more, lets requests in flight end, and ends.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.faces.join_next().await.is_some() {}
    }
}

/// Starts the server: both ports are bound when this returns, the enclave may not be there yet.
///
/// # Errors
/// [`StartError`] says which part of the configuration to look at.
pub async fn start(config: Config) -> Result<Running, StartError> {
    telemetry::start_logs(config.log);
    telemetry::start_metrics();
    let (bytes, manifest) = load_manifest(&config.manifest)?;
    let credentials = Arc::new(Provider::new(config.credentials));
    let key = manifest.wrapping_key();
    let region = config.store_region.as_deref().unwrap_or_else(|| key.region());
    let endpoint = config.store_endpoint.as_deref();
    let store = Store::open(&config.store, region, endpoint, Arc::clone(&credentials))
        .map_err(StartError::Store)?;
    let tls = http::server_config(&config.tls)?;
    if let Some(end) = http::first_end(&config.tls)? {
        metrics::gauge!("nitro_signer_certificate_expiry_seconds").set(end.as_secs_f64());
    }
    let (listener, address) = bind(config.listen).await?;
    let (ops_listener, ops_address) = bind(config.ops_listen).await?;

    let name = format!("{}:443", key.kms_host());
    let connect = config.relay.connect.unwrap_or_else(|| name.clone());
    let manifest_hash = ManifestHash::of(&bytes);
    let enclave = config.enclave.clone();
    let supervisor = Supervisor { enclave, manifest: bytes, store: store.clone(), credentials };
    let (link, life) = supervisor.start();
    let mut background = JoinSet::new();
    background.spawn(life);
    background.spawn(relay::run(config.enclave, Target { name, connect }));
    background.spawn(keep_house());

    let app = App::new(Appliance::new(link, store, manifest, manifest_hash), config.chain_id);
    let (stop, stopping) = watch::channel(false);
    let mut faces = JoinSet::new();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let routes = app.clone().client_routes();
    faces.spawn(http::serve(listener, Face::Tls(acceptor), routes, stopping.clone()));
    faces.spawn(http::serve(ops_listener, Face::Plain, app.ops_routes(), stopping));
    tracing::info!(%address, %ops_address, manifest = %manifest_hash, "serving");
    Ok(Running { address, ops_address, stop, faces, _background: background })
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// Reads and checks a manifest's file: its exact bytes, and what they mean.
///
/// # Errors
/// [`StartError::ManifestFile`] or [`StartError::Manifest`].
pub(crate) fn load_manifest(path: &Path) -> Result<(Vec<u8>, Manifest), StartError> {
    let unreadable = |what: String| StartError::ManifestFile { path: path.to_owned(), what };
    let size = std::fs::metadata(path).map_err(|e| unreadable(e.to_string()))?.len();
    if size > MAX_MANIFEST as u64 {
        return Err(unreadable(format!("{size} bytes are more than a manifest may have")));
    }
    let bytes = std::fs::read(path).map_err(|e| unreadable(e.to_string()))?;
    let manifest = Manifest::parse(&bytes)
        .map_err(|source| StartError::Manifest { path: path.to_owned(), source })?;
    Ok((bytes, manifest))
}

async fn keep_house() {
    let mut often = tokio::time::interval(Duration::from_secs(5));
    loop {
        often.tick().await;
        telemetry::keep_house();
    }
}
