//! From the pinned root to the certificate that signs a document.
//!
//! The list a document brings is used whole and in its order; nothing is searched for, skipped or
//! fetched. Its first certificate must be the pinned one, and it is the pinned one whose key is used.

use super::cache::{IssuerCache, Path};
use super::certificate::Certificate;
use super::document::MAX_CERTIFICATE;
use super::finding::{Finding, Rejection, require};
use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// Amazon's root for the commercial regions. SHA-256 of its DER:
/// 641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b.
/// Source: <https://aws-nitro-enclaves.amazonaws.com/AWS_NitroEnclaves_Root-G1.zip>.
const AWS_ROOT_G1: &[u8] = include_bytes!("aws-nitro-enclaves-root-g1.pem");

/// The longest PEM text of a root, in bytes: 1 KiB of DER in base64, and comments around it.
const MAX_PEM: usize = 16_384;

/// Whose root a document was judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustKind {
    /// Amazon's root for the commercial regions.
    Aws,
    /// A root the asker named: GovCloud's, China's, or a development root.
    Custom,
}

impl TrustKind {
    /// The text form: `aws` or `custom`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Custom => "custom",
        }
    }
}

/// The root that documents are judged by, and certificates that are refused whoever signed them.
#[derive(Clone)]
pub struct TrustAnchor {
    root: Arc<Certificate>,
    kind: TrustKind,
    denied: BTreeSet<[u8; 32]>,
    cache: Option<Arc<IssuerCache>>,
}

impl TrustAnchor {
    fn new(root: Certificate, kind: TrustKind) -> Self {
        Self { root: Arc::new(root), kind, denied: BTreeSet::new(), cache: None }
    }

    /// Amazon's root for the commercial regions, compiled in.
    #[must_use]
    pub fn aws() -> Self {
        let root = one_certificate(AWS_ROOT_G1)
            .and_then(|der| usable_root(&der))
            .expect("the compiled-in root is one usable certificate; a test reads it");
        Self::new(root, TrustKind::Aws)
    }

    /// A root the asker names, in DER. Results under it say [`TrustKind::Custom`].
    ///
    /// # Errors
    /// A7 if it is not a self-issued P-384 certificate authority in strict DER.
    pub fn custom_der(der: &[u8]) -> Result<Self, Rejection> {
        require(der.len() <= MAX_CERTIFICATE, Finding::A7, || {
            format!("a root of {} bytes; documents carry at most {MAX_CERTIFICATE}", der.len())
        })?;
        let root = usable_root(der)
            .map_err(|reason| Rejection::new(Finding::A7, format!("no usable root: {reason}")))?;
        let kind =
            if root.der() == Self::aws().root.der() { TrustKind::Aws } else { TrustKind::Custom };
        Ok(Self::new(root, kind))
    }

    /// As [`Self::custom_der`], from PEM text (RFC 7468) with exactly one certificate.
    ///
    /// # Errors
    /// A7 as there, or if the text is not exactly one certificate.
    pub fn custom_pem(pem: &[u8]) -> Result<Self, Rejection> {
        Self::custom_der(&one_certificate(pem)?)
    }

    /// Refuses chains with any of these certificates, by SHA-256 of the DER (C10).
    #[must_use]
    pub fn deny(mut self, fingerprints: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.denied.extend(fingerprints);
        self
    }

    /// Remembers up to `capacity` issuers' certificates whose signatures were verified, for whoever
    /// verifies many documents: a region's and a zone's certificate then cost one verification for
    /// their whole life of days. Everything else, their validity at the time of judgement among
    /// it, is judged for each document. Clones of the anchor share what is remembered; beyond the
    /// capacity, the one that was not needed for longest is forgotten. Each takes about 2 KiB.
    #[must_use]
    pub fn remembering(mut self, capacity: NonZeroUsize) -> Self {
        self.cache = Some(Arc::new(IssuerCache::new(capacity)));
        self
    }

    /// How many certificates are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.cache.as_ref().map_or(0, |cache| cache.len())
    }

    /// Whether a deny-list was given.
    pub(super) fn has_deny_list(&self) -> bool {
        !self.denied.is_empty()
    }

    /// Whose root it is.
    #[must_use]
    pub const fn kind(&self) -> TrustKind {
        self.kind
    }

    /// The root certificate, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.root.der()
    }
}

fn one_certificate(pem: &[u8]) -> Result<Vec<u8>, Rejection> {
    let unusable = || Rejection::new(Finding::A7, "not PEM text with exactly one certificate");
    require(pem.len() <= MAX_PEM, Finding::A7, || format!("PEM text of {} bytes", pem.len()))?;
    let mut certificates = CertificateDer::pem_slice_iter(pem);
    match (certificates.next(), certificates.next()) {
        (Some(Ok(der)), None) => Ok(der.as_ref().to_vec()),
        _ => Err(unusable()),
    }
}

fn usable_root(der: &[u8]) -> Result<Certificate, Rejection> {
    let root = Certificate::parse(der)?;
    root.require_issuing(0)?;
    root.require_issuer(&root)?;
    root.require_signature(&root)?;
    Ok(root)
}

/// A chain that leads to the anchor, every signature in it verified. Whether its certificates are
/// valid at the time of judgement is not known yet.
pub(super) struct VerifiedChain {
    issuers: Vec<Arc<Certificate>>,
    leaf: Certificate,
    leaf_name: String,
}

impl VerifiedChain {
    /// See [`Certificate::verify_document`].
    pub(super) fn verify_document(&self, signed: &[u8], signature: &[u8]) -> Result<(), Rejection> {
        self.leaf.verify_document(signed, signature)
    }

    /// C7: every certificate is valid at this time.
    pub(super) fn require_valid(&self, at_ms: u64) -> Result<(), Rejection> {
        let issuers = self.issuers.iter().map(Arc::as_ref);
        issuers.chain([&self.leaf]).try_for_each(|certificate| certificate.require_valid(at_ms))
    }

    /// See [`Certificate::require_timestamp`].
    pub(super) fn require_timestamp(&self, timestamp_ms: u64) -> Result<(), Rejection> {
        self.leaf.require_timestamp(timestamp_ms)
    }

    /// The last second in which every certificate is valid, in seconds of Unix time.
    pub(super) fn valid_until_s(&self) -> u64 {
        let issuers = self.issuers.iter().map(|issuer| issuer.not_after_s());
        issuers.fold(self.leaf.not_after_s(), u64::min)
    }

    /// The leaf's common name.
    pub(super) fn into_leaf_name(self) -> String {
        self.leaf_name
    }
}

/// Judges the chain: C1 to C10 but C7, for which see [`VerifiedChain::require_valid`].
pub(super) fn verify(
    cabundle: &[Vec<u8>],
    leaf: &[u8],
    anchor: &TrustAnchor,
) -> Result<VerifiedChain, Rejection> {
    let pinned = cabundle.first().is_some_and(|first| first == anchor.root.der());
    require(pinned, Finding::C1, || "the chain does not begin with the pinned root".to_owned())?;
    require_distinct(cabundle, leaf)?;
    require_not_denied(cabundle, leaf, anchor)?;

    let paths = Path::of_each(cabundle);
    let known: Vec<Option<Arc<Certificate>>> =
        paths.iter().map(|path| anchor.cache.as_ref()?.find(path)).collect();
    let mut issuers = vec![Arc::clone(&anchor.root)];
    for (der, known) in cabundle.iter().zip(&known).skip(1) {
        issuers.push(match known {
            Some(certificate) => Arc::clone(certificate),
            None => Arc::new(Certificate::parse(der)?),
        });
    }
    let leaf = Certificate::parse(leaf)?;
    let leaf_name = leaf.common_name()?;

    for (index, issuer) in issuers.iter().enumerate() {
        issuer.require_issuing(issuers.len() - 1 - index)?;
    }
    leaf.require_signing()?;
    let subjects = || issuers.iter().skip(1).map(Arc::as_ref).chain([&leaf]);
    for (subject, issuer) in subjects().zip(&issuers) {
        subject.require_issuer(issuer)?;
    }
    let before = known.iter().skip(1).map(Option::is_some).chain([false]);
    for ((subject, issuer), verified_before) in subjects().zip(&issuers).zip(before) {
        if !verified_before {
            subject.require_signature(issuer)?;
        }
    }
    if let Some(cache) = &anchor.cache {
        // The last issuer is one instance's and signs for a day: it is not worth a place.
        let lasting = issuers.len() - 1;
        cache.keep(paths.into_iter().zip(&issuers).take(lasting).skip(1));
    }
    Ok(VerifiedChain { issuers, leaf, leaf_name })
}

fn require_distinct(cabundle: &[Vec<u8>], leaf: &[u8]) -> Result<(), Rejection> {
    let mut seen = BTreeSet::from([leaf]);
    let distinct = cabundle.iter().all(|der| seen.insert(der));
    require(distinct, Finding::C9, || "a certificate occurs twice".to_owned())
}

fn require_not_denied(
    cabundle: &[Vec<u8>],
    leaf: &[u8],
    anchor: &TrustAnchor,
) -> Result<(), Rejection> {
    let denied = |der: &[u8]| anchor.denied.contains(digest(&SHA256, der).as_ref());
    let any = denied(leaf) || cabundle.iter().any(|der| denied(der));
    require(!any, Finding::C10, || "a certificate is on the deny-list".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_root_is_amazons() {
        let anchor = TrustAnchor::aws();
        assert_eq!(
            hex::encode(digest(&SHA256, anchor.der())),
            "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b"
        );
        assert_eq!(anchor.kind(), TrustKind::Aws);
    }

    #[test]
    fn a_custom_root_is_one_usable_certificate() {
        let check = |pem: &[u8], usable: bool| {
            let anchor = TrustAnchor::custom_pem(pem);
            assert_eq!(anchor.is_ok(), usable);
            assert!(anchor.err().is_none_or(|e| e.finding() == Finding::A7));
        };
        check(AWS_ROOT_G1, true);
        check(&[AWS_ROOT_G1, AWS_ROOT_G1].concat(), false);
        check(b"", false);
        let padded = |length| [AWS_ROOT_G1, &vec![b'\n'; length - AWS_ROOT_G1.len()]].concat();
        check(&padded(MAX_PEM), true);
        check(&padded(MAX_PEM + 1), false);
        let der = TrustAnchor::aws().der().to_vec();
        assert_eq!(TrustAnchor::custom_der(&der).map(|a| a.kind()), Ok(TrustKind::Aws));
        let mut longer = der.clone();
        longer.push(0);
        assert!(TrustAnchor::custom_der(&longer).is_err());
        let mut forged = der;
        *forged.last_mut().expect("has bytes") ^= 1;
        assert!(TrustAnchor::custom_der(&forged).is_err(), "its signature is not its own");
    }
}
