//! The server's certificate: by a certificate authority that is made at start and signs nothing
//! else; its key is gone at once. A state's file keeps the certificate, so that who trusted the
//! authority before a restart does after it.

use super::material::Secret;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use time::{Duration, OffsetDateTime};

/// Tests shift clocks; a certificate that is valid for this long each way stands that.
const VALIDITY: Duration = Duration::days(30);
/// One that was kept is made anew when less than this is left of it.
const LEAST: Duration = Duration::days(7);

/// A server's certificate with its key, and the root by which a client trusts it.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Certificate {
    names: Vec<String>,
    /// Seconds of Unix time.
    not_after: i64,
    leaf_pem: String,
    /// PKCS#8.
    key: Secret,
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
    /// It was kept in a form that is none.
    #[error("the kept certificate is none")]
    Form(#[from] rustls_pki_types::pem::Error),
}

impl Certificate {
    /// Makes an authority and a certificate for these names.
    pub(super) fn generate(names: Vec<String>) -> Result<Self, CertificateError> {
        let ca_key = KeyPair::generate()?;
        let ca = authority("nitro-signer development KMS")?;
        let ca_pem = ca.self_signed(&ca_key)?.pem();
        let key = KeyPair::generate()?;
        let params = server(names.clone())?;
        let not_after = params.not_after.unix_timestamp();
        let leaf_pem = params.signed_by(&key, &Issuer::new(ca, ca_key))?.pem();
        Ok(Self { names, not_after, leaf_pem, key: Secret::new(key.serialize_der()), ca_pem })
    }

    /// Whether it is for these names, and will be for a while.
    pub(super) fn serves(&self, names: &[String]) -> bool {
        self.names == names && self.not_after > (OffsetDateTime::now_utc() + LEAST).unix_timestamp()
    }

    /// A server of TLS 1.2 and 1.3.
    pub(super) fn tls(&self) -> Result<Arc<ServerConfig>, CertificateError> {
        let leaf = CertificateDer::from_pem_slice(self.leaf_pem.as_bytes())?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.expose().to_vec()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
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
