//! The development root: a certificate authority made at start, in place of Amazon's.
//!
//! Its certificate has the form of Amazon's root and another organization's name. Nobody trusts
//! it who was not given it: the shipped enclave and the verifier know Amazon's root only.

use super::certificate::{
    CertificateDraft, ExtensionDraft, ecdsa_with_sha384, name, public_key_info,
};
use super::key::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use const_oid::db::rfc4519::{
    COMMON_NAME, COUNTRY_NAME, ORGANIZATION_NAME, ORGANIZATIONAL_UNIT_NAME,
};
use der::Decode;
use nitro_signer_shared::attestation::TrustAnchor;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use x509_cert::ext::pkix::KeyUsages;
use zeroize::Zeroizing;

/// The organization in every certificate of the development PKI.
pub(super) const ORGANIZATION: &str = "Development, not Amazon";

/// The life of Amazon's root, 28 October 2019 to 28 October 2049, in seconds of Unix time; so
/// tests may set their clocks where genuine documents lie.
const LIFE_S: (u64, u64) = (1_572_269_285, 2_519_044_085);

/// A development root; clones share its key.
#[derive(Clone)]
pub struct DevelopmentRoot {
    key: SigningKey,
    certificate: Vec<u8>,
}

/// Why stored files are not a development root.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A file cannot be read.
    #[error("the development root's file cannot be read")]
    Io(#[from] io::Error),
    /// The files are not a certificate and its key.
    #[error("the files are not a development root's certificate and key")]
    Format,
}

impl DevelopmentRoot {
    /// A new root.
    #[must_use]
    pub fn generate() -> Self {
        let key = SigningKey::generate();
        let certificate = draft(&key).sign(&key);
        Self { key, certificate }
    }

    /// The root from the files that [`Self::save`] wrote.
    ///
    /// # Errors
    /// [`RootError`] if a file cannot be read or they do not belong together.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, RootError> {
        let pem = Zeroizing::new(std::fs::read(key)?);
        let pkcs8 = PrivatePkcs8KeyDer::from_pem_slice(&pem).map_err(|_| RootError::Format)?;
        let key = SigningKey::from_pkcs8(pkcs8.secret_pkcs8_der()).ok_or(RootError::Format)?;
        let certificate = std::fs::read(certificate)?;
        let certificate =
            CertificateDer::from_pem_slice(&certificate).map_err(|_| RootError::Format)?;
        let parsed =
            x509_cert::Certificate::from_der(&certificate).map_err(|_| RootError::Format)?;
        let info = parsed.tbs_certificate().subject_public_key_info();
        let belongs = info.subject_public_key.raw_bytes() == key.point();
        if !belongs || TrustAnchor::custom_der(&certificate).is_err() {
            return Err(RootError::Format);
        }
        Ok(Self { key, certificate: certificate.to_vec() })
    }

    /// Writes the certificate and the key as PEM, each readable by its owner only.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self, certificate: &Path, key: &Path) -> io::Result<()> {
        write_private(certificate, self.pem().as_bytes())?;
        write_private(key, pem("PRIVATE KEY", &self.key.to_pkcs8()).as_bytes())
    }

    /// The root's certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate).to_string()
    }

    /// The root's certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// The root as a verifier takes it.
    #[must_use]
    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::custom_der(&self.certificate).expect("the root has the form of Amazon's")
    }

    /// The root's key, which signs region certificates.
    #[must_use]
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The root's name, in DER.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        root_name()
    }
}

fn root_name() -> Vec<u8> {
    name(&[
        (COUNTRY_NAME, "US"),
        (ORGANIZATION_NAME, ORGANIZATION),
        (ORGANIZATIONAL_UNIT_NAME, "AWS"),
        (COMMON_NAME, "aws.nitro-enclaves"),
    ])
}

fn draft(key: &SigningKey) -> CertificateDraft {
    CertificateDraft {
        version: 2,
        serial: super::random::<16>().to_vec(),
        inner_algorithm: ecdsa_with_sha384(),
        outer_algorithm: ecdsa_with_sha384(),
        issuer: root_name(),
        subject: root_name(),
        not_before_s: LIFE_S.0,
        not_after_s: LIFE_S.1,
        key: key.clone(),
        public_key_info: public_key_info(key.point()),
        extensions: vec![
            ExtensionDraft::constraints(true, None),
            ExtensionDraft::subject_key(key),
            ExtensionDraft::usage(
                true,
                KeyUsages::DigitalSignature | KeyUsages::KeyCertSign | KeyUsages::CRLSign,
            ),
        ],
    }
}

/// PEM text (RFC 7468), 64 characters a line.
fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn write_private(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    // The mode above is for new files only; one that stood there before gets it now.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_comes_back_as_it_was_saved_and_only_with_its_own_key() {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let path = |name: &str| folder.path().join(name);
        let (root, other) = (DevelopmentRoot::generate(), DevelopmentRoot::generate());
        root.save(&path("root.pem"), &path("root.key")).expect("writes");
        other.save(&path("other.pem"), &path("other.key")).expect("writes");

        let loaded = DevelopmentRoot::load(&path("root.pem"), &path("root.key")).expect("reads");
        assert_eq!(loaded.der(), root.der());
        assert_eq!(loaded.key().point(), root.key().point());
        let mode = std::fs::metadata(path("root.key")).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(DevelopmentRoot::load(&path("root.pem"), &path("other.key")).is_err());
        assert!(DevelopmentRoot::load(&path("root.pem"), &path("root.pem")).is_err());
    }
}
