//! One X.509 certificate (RFC 5280), held to the form that Nitro's certificates have.
//!
//! A certificate is read by strict DER, written again and compared, so what is judged is every
//! byte of what was received. Signatures are verified over a slice of the received bytes.

use super::finding::{Finding, Rejection, require};
use crate::utc;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519::COMMON_NAME;
use const_oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE};
use const_oid::db::rfc5912::{ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, SECP_384_R_1};
use der::asn1::{PrintableStringRef, Utf8StringRef};
use der::{Decode, Encode, Reader, SliceReader};
use std::collections::BTreeSet;
use x509_cert::Version;
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::name::Name;
use x509_cert::time::Time;

/// A P-384 point, not compressed: 04 || x || y (SEC 1, section 2.3.3).
const POINT: usize = 97;

/// A certificate of the right form. That it is signed by anybody is not known yet.
#[derive(Clone)]
pub(super) struct Certificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    signature: Vec<u8>,
    point: [u8; POINT],
    subject: Name,
    issuer: Name,
    not_before_s: u64,
    not_after_s: u64,
    constraints: Option<Marked<BasicConstraints>>,
    usage: Option<Marked<KeyUsage>>,
}

/// An extension's content and whether it is marked critical.
#[derive(Clone)]
struct Marked<T> {
    critical: bool,
    value: T,
}

impl Certificate {
    /// Reads one certificate: C2, C3 and C6.
    pub(super) fn parse(der: &[u8]) -> Result<Self, Rejection> {
        let certificate = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let same = certificate.to_der().is_ok_and(|written| written == der);
        require(same, Finding::C2, || "a certificate is not in DER".to_owned())?;
        let tbs = certificate.tbs_certificate();
        require(tbs.version() == Version::V3, Finding::C2, || "not version 3".to_owned())?;
        require_algorithms(&certificate)?;
        let extensions = tbs.extensions().map(Vec::as_slice).unwrap_or_default();
        require_known_extensions(extensions)?;
        Ok(Self {
            der: der.to_vec(),
            tbs: signed_part(der).map_err(malformed)?.to_vec(),
            signature: whole_bytes(certificate.signature().as_bytes())?.to_vec(),
            point: public_point(tbs)?,
            subject: tbs.subject().clone(),
            issuer: tbs.issuer().clone(),
            not_before_s: seconds(&tbs.validity().not_before)?,
            not_after_s: seconds(&tbs.validity().not_after)?,
            constraints: extension(extensions, ID_CE_BASIC_CONSTRAINTS)?,
            usage: extension(extensions, ID_CE_KEY_USAGE)?,
        })
    }

    /// The bytes received.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// C4: the issuer's subject is this certificate's issuer. Both were compared with their own
    /// encoding, so equal names are equal bytes.
    pub(super) fn require_issuer(&self, issuer: &Self) -> Result<(), Rejection> {
        require(self.issuer == issuer.subject, Finding::C4, || {
            format!("{} is not issued by the certificate before it", self.label())
        })
    }

    /// C8: the issuer's key signed this certificate's bytes.
    pub(super) fn require_signature(&self, issuer: &Self) -> Result<(), Rejection> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, issuer.point)
            .verify(&self.tbs, &self.signature)
            .map_err(|_| {
                let label = self.label();
                Rejection::new(Finding::C8, format!("{label} is not signed by the one before it"))
            })
    }

    /// C5 for an issuer with this many issuers below it.
    pub(super) fn require_issuing(&self, issuers_below: usize) -> Result<(), Rejection> {
        let constrained = self.constraints.as_ref().is_some_and(|c| {
            let long_enough =
                c.value.path_len_constraint.is_none_or(|l| usize::from(l) >= issuers_below);
            c.critical && c.value.ca && long_enough
        });
        let usable = self.usage.as_ref().is_some_and(|u| u.critical && u.value.key_cert_sign());
        require(constrained && usable, Finding::C5, || {
            format!("{} may not issue what it issued", self.label())
        })
    }

    /// C5 for the certificate that signs documents.
    pub(super) fn require_signing(&self) -> Result<(), Rejection> {
        let plain = self
            .constraints
            .as_ref()
            .is_some_and(|c| !c.value.ca && c.value.path_len_constraint.is_none());
        let usable = self
            .usage
            .as_ref()
            .is_some_and(|u| u.value.digital_signature() && !u.value.key_cert_sign());
        require(plain && usable, Finding::C5, || {
            format!("{} is not a leaf that may sign data", self.label())
        })
    }

    /// The last second in which it is valid, in seconds of Unix time.
    pub(super) const fn not_after_s(&self) -> u64 {
        self.not_after_s
    }

    /// C7: valid at this time, to the second.
    pub(super) fn require_valid(&self, at_ms: u64) -> Result<(), Rejection> {
        require(self.covers(at_ms), Finding::C7, || {
            let [from, to, at] =
                [self.not_before_s * 1000, self.not_after_s * 1000, at_ms].map(utc::format_ms);
            format!("{} is valid from {from} to {to}, not at {at}", self.label())
        })
    }

    /// T3: the document was made inside this certificate's life.
    pub(super) fn require_timestamp(&self, timestamp_ms: u64) -> Result<(), Rejection> {
        require(self.covers(timestamp_ms), Finding::T3, || {
            let made = utc::format_ms(timestamp_ms);
            format!("the timestamp, {made}, is outside the leaf certificate's life")
        })
    }

    /// S1: this certificate's key signed the document (raw r || s).
    pub(super) fn verify_document(&self, signed: &[u8], signature: &[u8]) -> Result<(), Rejection> {
        UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, self.point)
            .verify(signed, signature)
            .map_err(|_| Rejection::new(Finding::S1, "the document's signature does not verify"))
    }

    /// The subject's common name: exactly one, in UTF-8 or printable characters.
    pub(super) fn common_name(&self) -> Result<String, Rejection> {
        let mut names = self.subject.iter().filter(|attribute| attribute.oid == COMMON_NAME);
        match (names.next(), names.next()) {
            (Some(name), None) => name
                .value
                .decode_as::<Utf8StringRef<'_>>()
                .map(|text| text.as_str().to_owned())
                .or_else(|_| {
                    let text = name.value.decode_as::<PrintableStringRef<'_>>();
                    text.map(|text| text.as_str().to_owned())
                })
                .map_err(malformed),
            _ => Err(Rejection::new(Finding::C2, "a subject has not exactly one common name")),
        }
    }

    /// From the second of notBefore through that of notAfter (RFC 5280, section 4.1.2.5).
    fn covers(&self, at_ms: u64) -> bool {
        (self.not_before_s..=self.not_after_s).contains(&(at_ms / 1000))
    }

    fn label(&self) -> String {
        self.common_name().map_or_else(|_| "a certificate".to_owned(), |name| format!("{name:?}"))
    }
}

fn malformed(error: der::Error) -> Rejection {
    Rejection::new(Finding::C2, format!("a certificate is not in strict DER: {}", error.kind()))
}

/// The slice of a certificate that its signature is over: the first element, with its header.
fn signed_part(der: &[u8]) -> der::Result<&[u8]> {
    let mut reader = SliceReader::new(der)?;
    reader.sequence(|certificate| {
        let tbs = certificate.tlv_bytes()?;
        certificate.tlv_bytes()?;
        certificate.tlv_bytes()?;
        Ok::<_, der::Error>(tbs)
    })
}

fn whole_bytes(bits: Option<&[u8]>) -> Result<&[u8], Rejection> {
    bits.ok_or_else(|| Rejection::new(Finding::C2, "a bit string has unused bits"))
}

/// C3: ecdsa-with-SHA384 without parameters, inside and outside (RFC 5758, section 3.2).
fn require_algorithms(certificate: &x509_cert::Certificate) -> Result<(), Rejection> {
    let (outer, inner) =
        (certificate.signature_algorithm(), certificate.tbs_certificate().signature());
    let expected = outer.oid == ECDSA_WITH_SHA_384 && outer.parameters.is_none();
    require(expected && inner == outer, Finding::C3, || {
        "a certificate is not signed with ecdsa-with-SHA384".to_owned()
    })
}

/// C3: id-ecPublicKey on secp384r1 (RFC 5480, section 2.1), the point not compressed.
fn public_point(tbs: &TbsCertificate) -> Result<[u8; POINT], Rejection> {
    let info = tbs.subject_public_key_info();
    let curve =
        info.algorithm.parameters.as_ref().and_then(|p| p.decode_as::<ObjectIdentifier>().ok());
    let expected = info.algorithm.oid == ID_EC_PUBLIC_KEY && curve == Some(SECP_384_R_1);
    let bits = whole_bytes(info.subject_public_key.as_bytes())?;
    match <[u8; POINT]>::try_from(bits) {
        Ok(point) if expected && point[0] == 0x04 => Ok(point),
        _ => Err(Rejection::new(Finding::C3, "a certificate's key is not on P-384")),
    }
}

/// C2 and C6: no extension twice, none critical that is not understood, no extended key usage
/// (it would limit the key to purposes that attestation is not among).
fn require_known_extensions(extensions: &[Extension]) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    for extension in extensions {
        let oid = extension.extn_id;
        require(seen.insert(oid), Finding::C2, || format!("extension {oid} occurs twice"))?;
        let known = [ID_CE_BASIC_CONSTRAINTS, ID_CE_KEY_USAGE].contains(&oid);
        require(known || !extension.critical, Finding::C6, || {
            format!("the critical extension {oid} is not known")
        })?;
        require(oid != ID_CE_EXT_KEY_USAGE, Finding::C6, || {
            "a certificate's key is limited to other uses".to_owned()
        })?;
    }
    Ok(())
}

/// One extension, read by strict DER and compared with its encoding.
fn extension<T>(
    extensions: &[Extension],
    oid: ObjectIdentifier,
) -> Result<Option<Marked<T>>, Rejection>
where
    T: for<'a> Decode<'a, Error = der::Error> + Encode,
{
    let Some(found) = extensions.iter().find(|extension| extension.extn_id == oid) else {
        return Ok(None);
    };
    let bytes = found.extn_value.as_bytes();
    let value = T::from_der(bytes).map_err(malformed)?;
    require(value.to_der().is_ok_and(|written| written == bytes), Finding::C2, || {
        format!("extension {oid} is not in DER")
    })?;
    Ok(Some(Marked { critical: found.critical, value }))
}

/// Seconds of Unix time. Years to 2049 are written as UTCTime (RFC 5280, section 4.1.2.5).
fn seconds(time: &Time) -> Result<u64, Rejection> {
    if let Time::GeneralTime(general) = time {
        let year = general.to_date_time().year();
        require(year > 2049, Finding::C2, || format!("the year {year} is not a UTCTime"))?;
    }
    Ok(time.to_unix_duration().as_secs())
}
