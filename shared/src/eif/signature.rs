//! The signature section: somebody's COSE_Sign1 over PCR0, and their certificate.
//!
//! The hypervisor measures the certificate into PCR8 and starts the enclave only if the signature
//! verifies, so a section whose signature does not verify gives no PCR8 here. The section is held
//! to the bytes that nitro-cli writes: it is read, written again and compared.

use super::EifError;
use crate::attestation::pcr::Pcr;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, UnparsedPublicKey,
    VerificationAlgorithm,
};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, SECP_256_R_1, SECP_384_R_1, SECP_521_R_1};
use der::Decode;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::{ByteBuf, Bytes};
use std::collections::BTreeMap;

/// ECDSA on the certificate's curve with the hash that goes with it (RFC 9053, section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// P-256 with SHA-256.
    Es256,
    /// P-384 with SHA-384.
    Es384,
    /// P-521 with SHA-512.
    Es512,
}

impl Algorithm {
    /// COSE's name: `ES256`, `ES384` or `ES512`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
        }
    }

    fn of_curve(curve: ObjectIdentifier) -> Option<Self> {
        let curves =
            [(SECP_256_R_1, Self::Es256), (SECP_384_R_1, Self::Es384), (SECP_521_R_1, Self::Es512)];
        curves.into_iter().find(|(known, _)| *known == curve).map(|(_, algorithm)| algorithm)
    }

    /// The protected header: the algorithm alone, -7, -35 or -36.
    const fn protected(self) -> &'static [u8] {
        match self {
            Self::Es256 => &[0xa1, 0x01, 0x26],
            Self::Es384 => &[0xa1, 0x01, 0x38, 0x22],
            Self::Es512 => &[0xa1, 0x01, 0x38, 0x23],
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &ECDSA_P521_SHA512_FIXED,
        }
    }
}

/// A certificate whose key signed an image's PCR0. Who issued it, and whether it was valid then,
/// nobody judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningCertificate {
    der: Vec<u8>,
    algorithm: Algorithm,
    subject: String,
    not_before_s: u64,
    not_after_s: u64,
}

impl SigningCertificate {
    /// The certificate, in DER: what PCR8 measures.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The algorithm that its key signed with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The subject's name (RFC 4514).
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// When its life begins, in seconds of Unix time.
    #[must_use]
    pub const fn not_before_s(&self) -> u64 {
        self.not_before_s
    }

    /// When its life ends, in seconds of Unix time. No enclave starts from the image afterwards.
    #[must_use]
    pub const fn not_after_s(&self) -> u64 {
        self.not_after_s
    }
}

/// What the key must sign so that an image with this PCR0 starts: COSE's `Sig_structure`
/// (RFC 9052, section 4.4). The signature is raw r || s.
#[must_use]
pub fn to_be_signed(algorithm: Algorithm, pcr0: &Pcr) -> Vec<u8> {
    signed_bytes(algorithm, &payload(pcr0))
}

/// The signature section of an image with this PCR0, around a signature over [`to_be_signed`].
#[must_use]
pub fn signature_section(
    certificate_pem: &[u8],
    algorithm: Algorithm,
    pcr0: &Pcr,
    signature: &[u8],
) -> Vec<u8> {
    let envelope = Envelope {
        protected: ByteBuf::from(algorithm.protected()),
        unprotected: BTreeMap::new(),
        payload: ByteBuf::from(payload(pcr0)),
        signature: ByteBuf::from(signature),
    };
    let signature = encode(&envelope.parts());
    encode(&[PcrSignature { signing_certificate: certificate_pem.to_vec(), signature }])
}

/// Verifies a signature section for an image with this PCR0.
pub(super) fn verify(section: &[u8], pcr0: &Pcr) -> Result<SigningCertificate, EifError> {
    let signatures: Vec<PcrSignature> = decode(section, "the section")?;
    let [signed] = signatures.as_slice() else {
        return refuse(format!("{} signatures; the first alone is looked at", signatures.len()));
    };
    let (certificate, point) = certificate(&signed.signing_certificate)?;
    let envelope = Envelope::from(decode::<EnvelopeParts>(&signed.signature, "COSE_Sign1")?);
    if envelope.protected != certificate.algorithm.protected() || !envelope.unprotected.is_empty() {
        let expected = certificate.algorithm.as_str();
        return refuse(format!(
            "its headers are not {expected} alone, as the certificate's key is"
        ));
    }
    if envelope.payload != payload(pcr0) {
        return refuse("it is over another image's PCR0".to_owned());
    }
    UnparsedPublicKey::new(certificate.algorithm.verification(), point)
        .verify(&signed_bytes(certificate.algorithm, &envelope.payload), &envelope.signature)
        .or_else(|_| refuse("it does not verify by the certificate's key".to_owned()))?;
    Ok(certificate)
}

/// As the crate's `PcrSignature`: byte by byte in arrays, since that is how serde writes `Vec<u8>`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PcrSignature {
    signing_certificate: Vec<u8>,
    signature: Vec<u8>,
}

/// As the crate's `PcrInfo`.
#[derive(Serialize)]
struct PcrInfo<'a> {
    register_index: u8,
    register_value: &'a [u8],
}

/// COSE_Sign1 without a tag: protected header, unprotected header, payload, signature.
type EnvelopeParts = (ByteBuf, BTreeMap<i64, i64>, ByteBuf, ByteBuf);

struct Envelope {
    protected: ByteBuf,
    unprotected: BTreeMap<i64, i64>,
    payload: ByteBuf,
    signature: ByteBuf,
}

impl Envelope {
    fn parts(self) -> EnvelopeParts {
        (self.protected, self.unprotected, self.payload, self.signature)
    }
}

impl From<EnvelopeParts> for Envelope {
    fn from((protected, unprotected, payload, signature): EnvelopeParts) -> Self {
        Self { protected, unprotected, payload, signature }
    }
}

fn payload(pcr0: &Pcr) -> Vec<u8> {
    encode(&PcrInfo { register_index: 0, register_value: pcr0 })
}

fn signed_bytes(algorithm: Algorithm, payload: &[u8]) -> Vec<u8> {
    let protected = Bytes::new(algorithm.protected());
    encode(&("Signature1", protected, Bytes::new(&[]), Bytes::new(payload)))
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_cbor::to_vec(value).expect("bytes, numbers and texts always encode")
}

/// Reads the one encoding that [`encode`] writes. A section is at most
/// [`MAX_SIGNATURE`](super::MAX_SIGNATURE) bytes, and serde reserves no more than a MiB for a
/// length it is only told.
fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, EifError> {
    let value = serde_cbor::from_slice(bytes);
    let value: T = value.or_else(|error| refuse(format!("{what} is no such CBOR: {error}")))?;
    if encode(&value) == bytes {
        Ok(value)
    } else {
        refuse(format!("{what} is not encoded as nitro-cli does"))
    }
}

/// The one certificate in this PEM text, and its key's point.
fn certificate(pem: &[u8]) -> Result<(SigningCertificate, Vec<u8>), EifError> {
    let mut found = CertificateDer::pem_slice_iter(pem);
    let (Some(Ok(der)), None) = (found.next(), found.next()) else {
        return refuse("its certificate is not exactly one in PEM".to_owned());
    };
    let parsed = x509_cert::Certificate::from_der(&der);
    let parsed = parsed.or_else(|e| refuse(format!("its certificate is not in DER: {e}")))?;
    let tbs = parsed.tbs_certificate();
    let key = tbs.subject_public_key_info();
    let curve = key.algorithm.parameters.as_ref().and_then(|p| p.decode_as().ok());
    let algorithm = curve.filter(|_| key.algorithm.oid == ID_EC_PUBLIC_KEY);
    let algorithm = algorithm.and_then(Algorithm::of_curve);
    let (Some(algorithm), Some(point)) = (algorithm, key.subject_public_key.as_bytes()) else {
        return refuse("its certificate's key is not on P-256, P-384 or P-521".to_owned());
    };
    let certificate = SigningCertificate {
        der: der.to_vec(),
        algorithm,
        subject: tbs.subject().to_string(),
        not_before_s: tbs.validity().not_before.to_unix_duration().as_secs(),
        not_after_s: tbs.validity().not_after.to_unix_duration().as_secs(),
    };
    Ok((certificate, point.to_vec()))
}

fn refuse<T>(what: String) -> Result<T, EifError> {
    Err(EifError::Signature(what))
}
