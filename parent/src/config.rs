//! The server's configuration: one TOML file, in which an unknown key is an error.
//!
//! Nothing in it can loosen what the enclave allows. Relative paths are relative to the file.

use crate::credentials::Source;
use crate::link::EnclaveAddress;
use crate::store::StoreAddress;
use serde::Deserialize;
use serde::de::Error as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

const MAX_FILE: u64 = 65_536;

/// The server's configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where clients connect, for example `0.0.0.0:8443`.
    pub listen: SocketAddr,
    /// Where probes and metrics are served, in plain HTTP. Default `127.0.0.1:9464`.
    #[serde(default = "default_ops_listen")]
    pub ops_listen: SocketAddr,
    /// `vsock:CID` or `unix:DIR`.
    #[serde(deserialize_with = "from_text")]
    pub enclave: EnclaveAddress,
    /// The manifest's file, as `nitro-signer manifest build` wrote it.
    pub manifest: PathBuf,
    /// `file:///FOLDER` or `s3://BUCKET/PREFIX`.
    #[serde(deserialize_with = "from_text")]
    pub store: StoreAddress,
    /// The bucket's region; the KMS key's if absent.
    #[serde(default)]
    pub store_region: Option<String>,
    /// Another address for S3, for example a VPC endpoint's.
    #[serde(default)]
    pub store_endpoint: Option<String>,
    /// The chain that `/` serves. Without it `/` serves every chain and refuses eth_chainId.
    #[serde(default)]
    pub chain_id: Option<u64>,
    /// Certificates and keys of the HTTPS face.
    pub tls: Tls,
    /// Where AWS credentials come from.
    pub credentials: Source,
    /// The relay to KMS.
    #[serde(default)]
    pub relay: Relay,
    /// How much is logged: `error`, `warn`, `info` (the default) or `debug`.
    #[serde(default = "default_log", deserialize_with = "from_text")]
    pub log: tracing::Level,
}

/// Certificates and keys of the HTTPS face, as PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The server's certificate and its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The certificates whose holders may issue client certificates.
    pub client_ca: PathBuf,
}

/// The relay to KMS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// What is connected to for KMS, `host:port`, if not KMS's own name: a VPC endpoint's address
    /// or a development KMS. TLS ends in the enclave, so this cannot forge KMS.
    #[serde(default)]
    pub connect: Option<String>,
}

/// Why the configuration does not load.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConfigError {
    #[error("{path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path}: longer than {MAX_FILE} bytes", path = path.display())]
    TooLong { path: PathBuf },
    #[error("{path}: {source}", path = path.display())]
    Format { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{path}: chain_id: 0 is no chain", path = path.display())]
    Chain { path: PathBuf },
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the place in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
        if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE {
            return Err(ConfigError::TooLong { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let mut config: Self = toml::from_str(&text).map_err(|source| ConfigError::Format {
            path: path.to_owned(),
            source: source.into(),
        })?;
        if config.chain_id == Some(0) {
            return Err(ConfigError::Chain { path: path.to_owned() });
        }
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let Tls { certificate, key, client_ca } = &mut self.tls;
        for path in [&mut self.manifest, certificate, key, client_ca] {
            *path = folder.join(&*path);
        }
        if let Source::File { path } = &mut self.credentials {
            *path = folder.join(&*path);
        }
        if let EnclaveAddress::Unix(path) = &mut self.enclave {
            *path = folder.join(&*path);
        }
    }
}

const fn default_ops_listen() -> SocketAddr {
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9464))
}

const fn default_log() -> tracing::Level {
    tracing::Level::INFO
}

fn from_text<'de, D, T>(reader: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr,
    T::Err: std::fmt::Display,
{
    String::deserialize(reader)?.parse().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
listen = "0.0.0.0:8443"
enclave = "vsock:16"
manifest = "manifest.cbor"
store = "file:///var/lib/nitro-signer"
[tls]
certificate = "server.pem"
key = "/etc/server.key"
client_ca = "clients.pem"
[credentials]
source = "imds"
"#;

    fn check(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).expect("writes");
        let config = Config::load(&path)?;
        assert_eq!(config.manifest, dir.path().join("manifest.cbor"));
        assert_eq!(config.tls.key, Path::new("/etc/server.key"));
        Ok(config)
    }

    #[test]
    fn a_short_configuration_is_enough() {
        let config = check(GOOD).expect("is complete");
        assert!(config.ops_listen.ip().is_loopback());
        assert_eq!(config.enclave, EnclaveAddress::Vsock(16));
        assert_eq!(config.log, tracing::Level::INFO);
        assert!(check(&GOOD.replace("\"imds\"", "\"file\"\npath = \"c.toml\"")).is_ok());
        assert!(check(&GOOD.replace("\"imds\"", "\"environment\"")).is_ok());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (find, put) in [
            ("vsock:16", "vsock:1"),
            ("\"imds\"", "\"guess\""),
            ("\"imds\"", "\"file\""),
            ("\"imds\"", "\"imds\"\nextra = 1"),
            ("listen", "chain_id = 0\nlisten"),
            ("listen", "log = \"loud\"\nlisten"),
            ("listen", "unknown = 1\nlisten"),
            ("0.0.0.0:8443", "8443"),
            ("file:///", "ftp:///"),
            ("key = \"/etc/server.key\"", ""),
        ] {
            assert!(check(&GOOD.replacen(find, put, 1)).is_err(), "{find} -> {put}");
        }
    }
}
