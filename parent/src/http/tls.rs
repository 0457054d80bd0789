//! TLS 1.3 with required client certificates, and the name that a certificate gives.
//!
//! The name is only asserted: the enclave takes it as the parent's word. A certificate with two
//! names gives none, since nobody could say which of them policy means.

use crate::config::Tls;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// Why the HTTPS face cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("{path}: {what}", path = path.display())]
    File { path: PathBuf, what: String },
    #[error("TLS: {0}")]
    Tls(String),
}

/// The server's side: TLS 1.3 only, HTTP/1.1 only, a client certificate under the configured CA.
///
/// # Errors
/// [`TlsError`] names the file.
pub(crate) fn server_config(tls: &Tls) -> Result<ServerConfig, TlsError> {
    let failed = |e: &dyn std::fmt::Display| TlsError::Tls(e.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&tls.client_ca)? {
        roots.add(certificate).map_err(|e| failed(&e))?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
        .build()
        .map_err(|e| failed(&e))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| failed(&e))?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(&tls.certificate)?, private_key(&tls.key)?)
        .map_err(|e| failed(&e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would outlive a client certificate that was withdrawn meanwhile.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// A file's certificates; at least one.
///
/// # Errors
/// [`TlsError::File`].
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |what: String| TlsError::File { path: path.to_owned(), what };
    let read = CertificateDer::pem_file_iter(path).map_err(|e| refuse(e.to_string()))?;
    let read: Vec<_> = read.collect::<Result<_, _>>().map_err(|e| refuse(e.to_string()))?;
    if read.is_empty() {
        return Err(refuse("holds no certificate".to_owned()));
    }
    Ok(read)
}

/// A file's private key.
///
/// # Errors
/// [`TlsError::File`].
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|e| TlsError::File { path: path.to_owned(), what: e.to_string() })
}

/// When the first certificate of the HTTPS face ends, those of the clients' authorities included, as
/// Unix time.
///
/// # Errors
/// [`TlsError::File`].
pub(crate) fn first_end(tls: &Tls) -> Result<Option<Duration>, TlsError> {
    let mut all = certificates(&tls.certificate)?;
    all.extend(certificates(&tls.client_ca)?);
    Ok(all.iter().filter_map(end).min())
}

fn end(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().validity().not_after.to_unix_duration())
}

/// The name in a client's certificate: its single DNS name, or without any its single common name.
pub(super) fn asserted_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let certificate = certificate.tbs_certificate();
    let alternatives = certificate.get_extension::<SubjectAltName>().ok()?;
    let names: Vec<String> = alternatives
        .iter()
        .flat_map(|(_, names)| &names.0)
        .filter_map(|name| match name {
            GeneralName::DnsName(name) => Some(name.to_string()),
            _ => None,
        })
        .collect();
    match names.as_slice() {
        [name] => Some(name.clone()),
        [] => common_name(certificate.subject()),
        _ => None,
    }
}

fn common_name(subject: &x509_cert::name::Name) -> Option<String> {
    let mut names = subject.iter().filter(|a| a.oid == COMMON_NAME);
    match (names.next(), names.next()) {
        (Some(_), None) => subject.common_name().ok()?.map(String::from),
        _ => None,
    }
}

/// id-at-commonName (RFC 5280, appendix A.1).
const COMMON_NAME: x509_cert::der::asn1::ObjectIdentifier =
    x509_cert::der::asn1::ObjectIdentifier::new_unwrap("2.5.4.3");

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn check(common_names: &[&str], dns: &[&str], expected: Option<&str>) {
        let dns: Vec<String> = dns.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(dns).expect("are names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "somebody");
        for name in common_names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        assert_eq!(asserted_name(certificate.der()).as_deref(), expected);
    }

    #[test]
    fn the_first_certificate_to_end_is_found_in_both_files() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = |name: &str, years: &[i32]| {
            let pem = years.iter().map(|year| {
                let mut params = CertificateParams::new(vec![]).expect("are names");
                params.not_after = rcgen::date_time_ymd(*year, 1, 1);
                let key = KeyPair::generate().expect("a key");
                params.self_signed(&key).expect("a certificate").pem()
            });
            let path = dir.path().join(name);
            std::fs::write(&path, pem.collect::<String>()).expect("writes");
            path
        };
        let first = |server: &[i32], authorities: &[i32]| {
            let tls = Tls {
                certificate: file("server.pem", server),
                key: PathBuf::new(),
                client_ca: file("clients.pem", authorities),
            };
            first_end(&tls).expect("reads").map(|end| end.as_secs())
        };
        // 1 January 2031 and 2032, by `date -u -d 2031-01-01 +%s`.
        assert_eq!(first(&[2032, 2031], &[2040]), Some(1_924_992_000));
        assert_eq!(first(&[2040], &[2033, 2032]), Some(1_956_528_000));
    }

    #[test]
    fn a_certificate_gives_one_name_or_none() {
        check(&["bot"], &[], Some("bot"));
        check(&["bot"], &["treasury.example"], Some("treasury.example"));
        check(&[], &["treasury.example"], Some("treasury.example"));
        check(&["bot"], &["a.example", "b.example"], None);
        check(&[], &[], None);
        assert_eq!(asserted_name(&CertificateDer::from(vec![0x30, 0])), None);
    }
}
