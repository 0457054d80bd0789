//! A certificate of the development PKI as a value: what will be signed, open to change before.
//!
//! Certificates are written byte by byte, since Nitro's have an order of extensions and names
//! that no certificate library makes, and since a test wants certificates that none would make.

use super::key::SigningKey;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_BASIC_CONSTRAINTS, ID_CE_CRL_DISTRIBUTION_POINTS,
    ID_CE_KEY_USAGE, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use const_oid::db::rfc5912::{ECDSA_WITH_SHA_384, ID_EC_PUBLIC_KEY, SECP_384_R_1};
use der::Encode;
use der::flagset::FlagSet;
use std::time::Duration;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsages};
use x509_cert::time::Time;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// The string types that Nitro's names use.
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;

/// One DER element around its contents.
#[must_use]
pub fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let length = contents.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|b| **b == 0).count()..];
    let mut bytes = vec![tag];
    match (contents.len(), u8::try_from(digits.len())) {
        (short @ 0..=127, _) => bytes.extend(u8::try_from(short)),
        (_, Ok(count)) => {
            bytes.push(0x80 | count);
            bytes.extend_from_slice(digits);
        }
        _ => unreachable!("a length has at most eight digits"),
    }
    bytes.extend_from_slice(&contents);
    bytes
}

/// An element that the der crate writes.
fn written(value: &impl Encode) -> Vec<u8> {
    value.to_der().expect("small values always encode")
}

/// One extension as it will be written.
#[derive(Clone)]
pub struct ExtensionDraft {
    /// Which one.
    pub oid: ObjectIdentifier,
    /// Whether it is marked critical.
    pub critical: bool,
    /// Its content, in DER.
    pub value: Vec<u8>,
}

impl ExtensionDraft {
    /// Basic constraints, critical.
    #[must_use]
    pub fn constraints(ca: bool, path_len: Option<u8>) -> Self {
        let value = written(&BasicConstraints { ca, path_len_constraint: path_len });
        Self { oid: ID_CE_BASIC_CONSTRAINTS, critical: true, value }
    }

    /// Key usage.
    #[must_use]
    pub fn usage(critical: bool, uses: impl Into<FlagSet<KeyUsages>>) -> Self {
        Self { oid: ID_CE_KEY_USAGE, critical, value: written(&uses.into()) }
    }

    /// The subject's key identifier.
    #[must_use]
    pub fn subject_key(key: &SigningKey) -> Self {
        let value = element(OCTET_STRING, &[&key_identifier(key)]);
        Self { oid: ID_CE_SUBJECT_KEY_IDENTIFIER, critical: false, value }
    }

    /// The issuer's key identifier.
    #[must_use]
    pub fn issuer_key(key: &SigningKey) -> Self {
        let value = element(SEQUENCE, &[&element(0x80, &[&key_identifier(key)])]);
        Self { oid: ID_CE_AUTHORITY_KEY_IDENTIFIER, critical: false, value }
    }

    /// Where a revocation list would be.
    #[must_use]
    pub fn revocation_list(uri: &str) -> Self {
        let names = element(0xa0, &[&element(0xa0, &[&element(0x86, &[uri.as_bytes()])])]);
        let value = element(SEQUENCE, &[&element(SEQUENCE, &[&names])]);
        Self { oid: ID_CE_CRL_DISTRIBUTION_POINTS, critical: false, value }
    }

    fn encode(&self) -> Vec<u8> {
        let critical: &[u8] = if self.critical { &[0x01, 0x01, 0xff] } else { &[] };
        let value = element(OCTET_STRING, &[&self.value]);
        element(SEQUENCE, &[&written(&self.oid), critical, &value])
    }
}

/// 160 bits of SHA-256 over the public point (RFC 7093, section 2, method 1).
fn key_identifier(key: &SigningKey) -> Vec<u8> {
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.point());
    hash.as_ref()[..20].to_vec()
}

/// A name of single-valued parts in their order, in DER.
#[must_use]
pub fn name(parts: &[(ObjectIdentifier, &str)]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts
        .iter()
        .map(|(oid, text)| {
            let country = *oid == const_oid::db::rfc4519::COUNTRY_NAME;
            let string = if country { PRINTABLE_STRING } else { UTF8_STRING };
            let value = element(string, &[text.as_bytes()]);
            element(SET, &[&element(SEQUENCE, &[&written(oid), &value])])
        })
        .collect();
    element(SEQUENCE, &[&parts.concat()])
}

/// ecdsa-with-SHA384 without parameters, in DER.
#[must_use]
pub fn ecdsa_with_sha384() -> Vec<u8> {
    element(SEQUENCE, &[&written(&ECDSA_WITH_SHA_384)])
}

/// A key's SubjectPublicKeyInfo, in DER.
#[must_use]
pub fn public_key_info(point: &[u8]) -> Vec<u8> {
    let algorithm = element(SEQUENCE, &[&written(&ID_EC_PUBLIC_KEY), &written(&SECP_384_R_1)]);
    element(SEQUENCE, &[&algorithm, &element(BIT_STRING, &[&[0], point])])
}

/// A certificate before it is signed. Every field may be changed until then.
#[derive(Clone)]
pub struct CertificateDraft {
    /// The version's number: 2 is version 3.
    pub version: u8,
    /// The serial number, a positive number in big-endian.
    pub serial: Vec<u8>,
    /// The signature algorithm inside the signed part, in DER.
    pub inner_algorithm: Vec<u8>,
    /// The signature algorithm beside the signature, in DER.
    pub outer_algorithm: Vec<u8>,
    /// The issuer's name, in DER.
    pub issuer: Vec<u8>,
    /// The subject's name, in DER.
    pub subject: Vec<u8>,
    /// First second of validity, in Unix time.
    pub not_before_s: u64,
    /// Last second of validity, in Unix time.
    pub not_after_s: u64,
    /// The subject's key pair.
    pub key: SigningKey,
    /// The SubjectPublicKeyInfo, in DER.
    pub public_key_info: Vec<u8>,
    /// The extensions, in their order.
    pub extensions: Vec<ExtensionDraft>,
}

impl CertificateDraft {
    /// Writes and signs the certificate; gives its DER.
    #[must_use]
    pub fn sign(&self, issuer: &SigningKey) -> Vec<u8> {
        let signed = self.signed_part();
        let signature = element(BIT_STRING, &[&[0], &issuer.sign_certificate(&signed)]);
        element(SEQUENCE, &[&signed, &self.outer_algorithm, &signature])
    }

    fn signed_part(&self) -> Vec<u8> {
        let version = element(0xa0, &[&element(INTEGER, &[&[self.version]])]);
        let serial = &self.serial[self.serial.iter().take_while(|b| **b == 0).count()..];
        let sign: &[u8] = if serial.first().is_none_or(|b| *b >= 0x80) { &[0] } else { &[] };
        let validity = [self.not_before_s, self.not_after_s].map(time).concat();
        let extensions: Vec<Vec<u8>> = self.extensions.iter().map(ExtensionDraft::encode).collect();
        element(
            SEQUENCE,
            &[
                &version,
                &element(INTEGER, &[sign, serial]),
                &self.inner_algorithm,
                &self.issuer,
                &element(SEQUENCE, &[&validity]),
                &self.subject,
                &self.public_key_info,
                &element(0xa3, &[&element(SEQUENCE, &[&extensions.concat()])]),
            ],
        )
    }
}

/// UTCTime until 2049, GeneralizedTime after (RFC 5280, section 4.1.2.5).
fn time(seconds: u64) -> Vec<u8> {
    let date = der::DateTime::from_unix_duration(Duration::from_secs(seconds));
    written(&Time::from(date.expect("test times are before the year 10000")))
}
