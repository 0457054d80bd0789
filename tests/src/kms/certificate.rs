//! The server's certificate: by a certificate authority that is made at start, lives in memory
//! and is gone with the process.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Tests shift clocks; a certificate that is valid for this long each way stands that.
const VALIDITY: Duration = Duration::days(30);

/// A server's TLS, and the root by which a client trusts it.
pub(super) struct Tls {
    pub(super) config: Arc<ServerConfig>,
    pub(super) ca_pem: String,
}

/// The certificate could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It could not be made.
    #[error("the certificate could not be made")]
    Make(#[from] rcgen::Error),
    /// TLS does not take it.
    #[error("the certificate cannot be used")]
    Use(#[from] rustls::Error),
}

impl Tls {
    /// Makes an authority and a certificate for these names, for TLS 1.2 and 1.3.
    pub(super) fn generate(names: Vec<String>) -> Result<Self, CertificateError> {
        let ca_key = KeyPair::generate()?;
        let ca = authority("nitro-signer development KMS")?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let key = KeyPair::generate()?;
        let leaf = server(names)?.signed_by(&key, &Issuer::new(ca, ca_key))?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), ca_pem })
    }
}

fn authority(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = dated(CertificateParams::new(vec![])?);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server(names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let common_name = names.first().cloned().unwrap_or_default();
    let mut params = dated(CertificateParams::new(names)?);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - VALIDITY;
    params.not_after = now + VALIDITY;
    params
}
