//! An attestation document as bytes become fields, before anything in them is believed.
//!
//! Source: AWS Nitro Enclaves, "Cryptographic attestation", and genuine documents. The reader
//! takes exactly what Nitro writes: where AWS's text allows more than any genuine document
//! shows, the narrower form holds, apart from the one tag and the two map forms that do occur.

use super::cbor::{Cursor, Defect, Entries, Major};
use super::chain::{self, TrustAnchor};
use super::expectations::AuthenticDocument;
use super::finding::{Finding, Rejection, require};
use super::pcr::{PCR_COUNT, Pcr};
use std::collections::BTreeMap;

/// The longest document, in bytes: the longest payload and three fields of 1 KiB more, rounded up.
pub const MAX_DOCUMENT: usize = 32_768;
/// The longest payload, in bytes (AWS's specification).
pub const MAX_PAYLOAD: usize = 16_384;
/// The most certificates in `cabundle`; genuine documents have four.
pub const MAX_CABUNDLE: usize = 8;
/// The longest certificate, in bytes (AWS's specification).
pub const MAX_CERTIFICATE: usize = 1_024;
/// The longest `public_key`, `user_data` and `nonce`, in bytes, as genuine documents have them.
pub const MAX_FIELD: usize = 1_024;

const COSE_SIGN1_TAG: u64 = 18;
/// `{1: -35}`: the algorithm is ES384 (RFC 9053, section 2.1).
const PROTECTED_HEADER: [u8; 4] = [0xa1, 0x01, 0x38, 0x22];
/// The last millisecond of the year 9999, after which X.509 has no times.
const MAX_TIMESTAMP_MS: u64 = 253_402_300_799_999;
/// More entries than the nine an enclave's payload has, so that an unknown one is reported as such.
const MAX_ENTRIES: u64 = 32;

/// The order of P-384's group (FIPS 186-5 and SP 800-186), big-endian.
const P384_ORDER: [u8; 48] = [
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];

/// What an attestation document says. Whether it may be believed depends on the type around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    module_id: ModuleId,
    timestamp_ms: u64,
    pcrs: BTreeMap<u8, Pcr>,
    certificate: Vec<u8>,
    cabundle: Vec<Vec<u8>>,
    public_key: Option<Vec<u8>>,
    user_data: Option<Vec<u8>>,
    nonce: Option<Vec<u8>>,
}

impl Contents {
    /// The secure module that signed, `i-<17 hex>-enc<16 hex>`.
    #[must_use]
    pub fn module_id(&self) -> &str {
        &self.module_id.text
    }

    /// The EC2 instance's id, which is the module id's first part.
    #[must_use]
    pub fn instance_id(&self) -> &str {
        self.module_id.instance_id()
    }

    /// When the document was made, in milliseconds of Unix time.
    #[must_use]
    pub const fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// One register, if the document has it.
    #[must_use]
    pub fn pcr(&self, index: u8) -> Option<&Pcr> {
        self.pcrs.get(&index)
    }

    /// The registers: 0 to 15, and those of 16 to 31 that are locked.
    #[must_use]
    pub const fn pcrs(&self) -> &BTreeMap<u8, Pcr> {
        &self.pcrs
    }

    /// The leaf certificate, in DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The issuers' certificates, in DER, the root first.
    #[must_use]
    pub fn cabundle(&self) -> &[Vec<u8>] {
        &self.cabundle
    }

    /// The key the enclave put in; null is `None`, an empty string is not.
    #[must_use]
    pub fn public_key(&self) -> Option<&[u8]> {
        self.public_key.as_deref()
    }

    /// The data the enclave put in; null is `None`, an empty string is not.
    #[must_use]
    pub fn user_data(&self) -> Option<&[u8]> {
        self.user_data.as_deref()
    }

    /// The asker's nonce; null is `None`, an empty string is not.
    #[must_use]
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }
}

/// A document that was read and not believed. Anybody can make one.
pub struct UnverifiedDocument {
    contents: Contents,
    payload: Vec<u8>,
    signature: [u8; 96],
}

impl UnverifiedDocument {
    /// Reads a document's bytes, all of them.
    ///
    /// # Errors
    /// A rejection E1 to E8 for the envelope, P1 to P11 for the payload.
    pub fn parse(bytes: &[u8]) -> Result<Self, Rejection> {
        let envelope = Envelope::parse(bytes)?;
        let contents = parse_payload(envelope.payload)?;
        Ok(Self { contents, payload: envelope.payload.to_vec(), signature: envelope.signature })
    }

    /// What the document says, believed by nobody: for showing it.
    #[must_use]
    pub const fn unverified(&self) -> &Contents {
        &self.contents
    }

    /// The timestamp, in milliseconds of Unix time, as whoever handed the document over says. For
    /// the enclave, whose own secure module did.
    #[must_use]
    pub const fn unverified_timestamp_ms(&self) -> u64 {
        self.contents.timestamp_ms
    }

    /// Follows the certificates from the trust anchor to the leaf as of `at_ms` (milliseconds of
    /// Unix time) and verifies the signature. Whether the enclave is the expected one is the next
    /// step's question: a chain alone proves "something on Nitro".
    ///
    /// # Errors
    /// A rejection C1 to C10, S1 or T3.
    pub fn authenticate(
        self,
        anchor: &TrustAnchor,
        at_ms: u64,
    ) -> Result<AuthenticDocument, Rejection> {
        let chain = chain::verify(&self.contents.cabundle, &self.contents.certificate, anchor)?;
        chain.verify_document(&signed_bytes(&self.payload), &self.signature)?;
        // Last, so that a failure here says: authentic, but not at this time.
        chain.require_valid(at_ms)?;
        chain.require_timestamp(self.contents.timestamp_ms)?;
        Ok(AuthenticDocument::new(self.contents, chain, anchor, at_ms))
    }
}

/// The `Sig_structure` of COSE_Sign1 (RFC 9052, section 4.4) around the payload's received bytes:
/// `["Signature1", protected, h'', payload]`.
fn signed_bytes(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x84, 0x6a];
    bytes.extend_from_slice(b"Signature1");
    bytes.push(0x44);
    bytes.extend_from_slice(&PROTECTED_HEADER);
    bytes.push(0x40);
    // A payload has at most MAX_PAYLOAD bytes (E7), so its length fits 16 bits.
    let length = u16::try_from(payload.len()).expect("a payload has at most 16,384 bytes");
    match length {
        0..=23 => bytes.push(0x40 | length.to_be_bytes()[1]),
        24..=255 => bytes.extend_from_slice(&[0x58, length.to_be_bytes()[1]]),
        256.. => {
            bytes.push(0x59);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

struct Envelope<'a> {
    payload: &'a [u8],
    signature: [u8; 96],
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Rejection> {
        require((1..=MAX_DOCUMENT).contains(&bytes.len()), Finding::E1, || {
            format!("{} bytes; a document has 1 to {MAX_DOCUMENT}", bytes.len())
        })?;
        let mut cursor = Cursor::new(bytes);
        parse_tag(&mut cursor)?;
        let elements = cursor.array().map_err(within(Finding::E4))?;
        require(elements == 4, Finding::E4, || format!("{elements} elements; it has four"))?;
        let protected = cursor.bytes().map_err(within(Finding::E5))?;
        require(protected == PROTECTED_HEADER, Finding::E5, || {
            "the protected header is not ES384 alone".to_owned()
        })?;
        let unprotected = cursor.map().map_err(within(Finding::E6))?;
        require(unprotected == 0, Finding::E6, || {
            format!("{unprotected} entries in the unprotected header; it has none")
        })?;
        let payload = cursor.bytes().map_err(within(Finding::E7))?;
        require((1..=MAX_PAYLOAD).contains(&payload.len()), Finding::E7, || {
            format!("{} bytes of payload; it has 1 to {MAX_PAYLOAD}", payload.len())
        })?;
        let signature = parse_signature(cursor.bytes().map_err(within(Finding::E8))?)?;
        cursor.finish().map_err(as_finding(Finding::E2))?;
        Ok(Self { payload, signature })
    }
}

fn parse_tag(cursor: &mut Cursor<'_>) -> Result<(), Rejection> {
    let is_tagged = |cursor: &Cursor<'_>| {
        cursor.peek().map(|major| major == Major::Tag).map_err(as_finding(Finding::E2))
    };
    if is_tagged(cursor)? {
        let tag = cursor.tag().map_err(within(Finding::E3))?;
        require(tag == COSE_SIGN1_TAG, Finding::E3, || format!("tag {tag} instead of 18"))?;
        require(!is_tagged(cursor)?, Finding::E3, || "more than one tag".to_owned())?;
    }
    Ok(())
}

fn parse_signature(bytes: &[u8]) -> Result<[u8; 96], Rejection> {
    let signature: [u8; 96] = bytes.try_into().map_err(|_| {
        Rejection::new(Finding::E8, format!("{} bytes of signature; it has 96", bytes.len()))
    })?;
    let in_range = |scalar: &[u8]| scalar.iter().any(|b| *b != 0) && scalar < &P384_ORDER[..];
    let (r, s) = signature.split_at(48);
    require(in_range(r) && in_range(s), Finding::E8, || "r or s is out of range".to_owned())?;
    Ok(signature)
}

/// Fields in the making: `None` until the key was seen.
#[derive(Default)]
struct Fields {
    module_id: Option<ModuleId>,
    digest: Option<()>,
    timestamp_ms: Option<u64>,
    pcrs: Option<BTreeMap<u8, Pcr>>,
    certificate: Option<Vec<u8>>,
    cabundle: Option<Vec<Vec<u8>>>,
    public_key: Option<Option<Vec<u8>>>,
    user_data: Option<Option<Vec<u8>>>,
    nonce: Option<Option<Vec<u8>>>,
}

fn parse_payload(payload: &[u8]) -> Result<Contents, Rejection> {
    let mut cursor = Cursor::new(payload);
    let mut entries = cursor.any_map().map_err(as_finding(Finding::P1))?;
    if let Entries::Definite(count) = entries {
        require(count <= MAX_ENTRIES, Finding::P1, || format!("a map of {count} entries"))?;
    }
    let mut fields = Fields::default();
    while cursor.next_entry(&mut entries).map_err(as_finding(Finding::P1))? {
        let key = cursor.text().map_err(inside(Finding::P2))?;
        fields.read(key, &mut cursor)?;
    }
    cursor.finish().map_err(as_finding(Finding::P1))?;
    fields.complete()
}

impl Fields {
    fn read(&mut self, key: &str, cursor: &mut Cursor<'_>) -> Result<(), Rejection> {
        match key {
            "module_id" => once(&mut self.module_id, key, parse_module_id(cursor)?),
            "digest" => once(&mut self.digest, key, parse_digest(cursor)?),
            "timestamp" => once(&mut self.timestamp_ms, key, parse_timestamp(cursor)?),
            "pcrs" => once(&mut self.pcrs, key, parse_pcrs(cursor)?),
            "certificate" => once(&mut self.certificate, key, parse_certificate(cursor)?),
            "cabundle" => once(&mut self.cabundle, key, parse_cabundle(cursor)?),
            "public_key" => once(&mut self.public_key, key, parse_optional(key, cursor)?),
            "user_data" => once(&mut self.user_data, key, parse_optional(key, cursor)?),
            "nonce" => once(&mut self.nonce, key, parse_optional(key, cursor)?),
            "nitrotpm_pcrs" => {
                Err(Rejection::new(Finding::P11, "nitrotpm_pcrs: the document is a NitroTPM's"))
            }
            _ => Err(Rejection::new(Finding::P4, "a key that an enclave's document does not have")),
        }
    }

    fn complete(self) -> Result<Contents, Rejection> {
        required(self.digest, "digest")?;
        Ok(Contents {
            module_id: required(self.module_id, "module_id")?,
            timestamp_ms: required(self.timestamp_ms, "timestamp")?,
            pcrs: required(self.pcrs, "pcrs")?,
            certificate: required(self.certificate, "certificate")?,
            cabundle: required(self.cabundle, "cabundle")?,
            public_key: self.public_key.flatten(),
            user_data: self.user_data.flatten(),
            nonce: self.nonce.flatten(),
        })
    }
}

fn once<T>(slot: &mut Option<T>, key: &str, value: T) -> Result<(), Rejection> {
    require(slot.is_none(), Finding::P2, || format!("{key} occurs twice"))?;
    *slot = Some(value);
    Ok(())
}

fn required<T>(slot: Option<T>, key: &str) -> Result<T, Rejection> {
    slot.ok_or_else(|| Rejection::new(Finding::P3, format!("{key} is missing")))
}

/// `i-<17 hex>-enc<16 hex>`: digits and lower-case letters, as every genuine document has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ModuleId {
    text: String,
}

impl ModuleId {
    const INSTANCE_ID: usize = 19;

    fn parse(text: &str) -> Option<Self> {
        let (instance, enclave) = text.split_once("-enc")?;
        let is_hex = |digits: &str, length: usize| {
            digits.len() == length
                && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let well_formed = is_hex(instance.strip_prefix("i-")?, 17) && is_hex(enclave, 16);
        well_formed.then(|| Self { text: text.to_owned() })
    }

    fn instance_id(&self) -> &str {
        // `parse` took only "i-" and 17 digits before "-enc".
        &self.text[..Self::INSTANCE_ID]
    }
}

fn parse_module_id(cursor: &mut Cursor<'_>) -> Result<ModuleId, Rejection> {
    let text = cursor.text().map_err(inside(Finding::P3))?;
    ModuleId::parse(text)
        .ok_or_else(|| Rejection::new(Finding::P5, "module_id is not an enclave's"))
}

fn parse_digest(cursor: &mut Cursor<'_>) -> Result<(), Rejection> {
    let text = cursor.text().map_err(inside(Finding::P3))?;
    require(text == "SHA384", Finding::P6, || "digest is not SHA384".to_owned())
}

fn parse_timestamp(cursor: &mut Cursor<'_>) -> Result<u64, Rejection> {
    let timestamp_ms = cursor.unsigned().map_err(inside(Finding::P3))?;
    require((1..=MAX_TIMESTAMP_MS).contains(&timestamp_ms), Finding::P7, || {
        format!("timestamp {timestamp_ms}")
    })?;
    Ok(timestamp_ms)
}

fn parse_pcrs(cursor: &mut Cursor<'_>) -> Result<BTreeMap<u8, Pcr>, Rejection> {
    let count = cursor.map().map_err(inside(Finding::P3))?;
    require((1..=u64::from(PCR_COUNT)).contains(&count), Finding::P8, || {
        format!("{count} registers; a document has 1 to {PCR_COUNT}")
    })?;
    let mut pcrs = BTreeMap::new();
    for _ in 0..count {
        let index = cursor.unsigned().map_err(inside(Finding::P8))?;
        let index =
            u8::try_from(index).ok().filter(|index| *index < PCR_COUNT).ok_or_else(|| {
                Rejection::new(Finding::P8, format!("register {index}; the last is 31"))
            })?;
        let value = cursor.bytes().map_err(inside(Finding::P8))?;
        let value = Pcr::try_from(value).map_err(|_| {
            Rejection::new(Finding::P8, format!("PCR{index} has {} bytes", value.len()))
        })?;
        require(pcrs.insert(index, value).is_none(), Finding::P8, || {
            format!("PCR{index} occurs twice")
        })?;
    }
    Ok(pcrs)
}

fn parse_certificate(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Rejection> {
    let certificate = cursor.bytes().map_err(inside(Finding::P3))?;
    require((1..=MAX_CERTIFICATE).contains(&certificate.len()), Finding::P9, || {
        format!("a certificate of {} bytes; it has 1 to {MAX_CERTIFICATE}", certificate.len())
    })?;
    Ok(certificate.to_vec())
}

fn parse_cabundle(cursor: &mut Cursor<'_>) -> Result<Vec<Vec<u8>>, Rejection> {
    let count = cursor.array().map_err(inside(Finding::P3))?;
    match usize::try_from(count) {
        Ok(count @ 1..=MAX_CABUNDLE) => (0..count).map(|_| parse_certificate(cursor)).collect(),
        _ => Err(Rejection::new(
            Finding::P9,
            format!("{count} certificates in cabundle; it has 1 to {MAX_CABUNDLE}"),
        )),
    }
}

fn parse_optional(key: &str, cursor: &mut Cursor<'_>) -> Result<Option<Vec<u8>>, Rejection> {
    let value = cursor.optional_bytes().map_err(inside(Finding::P10))?;
    let length = value.map_or(0, <[u8]>::len);
    require(length <= MAX_FIELD, Finding::P10, || {
        format!("{key} has {length} bytes; it has at most {MAX_FIELD}")
    })?;
    Ok(value.map(<[u8]>::to_vec))
}

fn as_finding(finding: Finding) -> impl Fn(Defect) -> Rejection {
    move |defect| Rejection::new(finding, defect.to_string())
}

/// A defect of the envelope: cut short it is no item at all (E2), else the part's own finding.
fn within(finding: Finding) -> impl Fn(Defect) -> Rejection {
    move |defect| {
        as_finding(if defect == Defect::Truncated { Finding::E2 } else { finding })(defect)
    }
}

/// A defect of the payload: cut short or not shortest it is no such map (P1), else the field's
/// own finding.
fn inside(finding: Finding) -> impl Fn(Defect) -> Rejection {
    move |defect| {
        let general = matches!(defect, Defect::Truncated | Defect::NotShortest);
        as_finding(if general { Finding::P1 } else { finding })(defect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], finding: Finding) {
        let rejection = UnverifiedDocument::parse(bytes).err().expect("is no document");
        assert_eq!(rejection.finding(), finding, "{rejection}");
    }

    /// An envelope around this payload and signature.
    fn envelope(payload: &[u8], signature: &[u8]) -> Vec<u8> {
        let string = |bytes: &[u8]| {
            let length = u16::try_from(bytes.len()).expect("is short").to_be_bytes();
            match length {
                [0, short @ 0..=23] => [&[0x40 | short], bytes].concat(),
                [0, byte] => [&[0x58, byte], bytes].concat(),
                [high, low] => [&[0x59, high, low], bytes].concat(),
            }
        };
        let head = [0x84, 0x44, 0xa1, 0x01, 0x38, 0x22, 0xa0];
        [head.as_slice(), &string(payload), &string(signature)].concat()
    }

    fn scalars(r: [u8; 48], s: [u8; 48]) -> [u8; 96] {
        [r, s].concat().try_into().expect("has 96 bytes")
    }

    #[test]
    fn the_envelope_is_bounded_before_it_is_read() {
        check(&[], Finding::E1);
        check(&[0x84; MAX_DOCUMENT + 1], Finding::E1);
        check(&[0x84], Finding::E2);
        check(&[0x84, 0x44, 0xa1], Finding::E2);
        check(&[0xd2], Finding::E2);
        check(&[0xd2, 0xd2, 0x84], Finding::E3);
        check(&[0xd8, 0x12, 0x84], Finding::E3);
        check(&[0x9f], Finding::E4);
        check(&[0x83], Finding::E4);
        check(&[0xa4], Finding::E4);
        check(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255], Finding::E4);
        check(&[0x84, 0xf6], Finding::E5);
        check(&[0x84, 0x5b, 255, 255, 255, 255, 255, 255, 255, 255], Finding::E2);
        check(&envelope(&[], &[1; 96]), Finding::E7);
        check(&envelope(&[0; MAX_PAYLOAD + 1], &[1; 96]), Finding::E7);
        check(&envelope(&[0; MAX_PAYLOAD], &[1; 96]), Finding::P1);
    }

    #[test]
    fn both_halves_of_the_signature_are_in_range() {
        let one = [&[0; 47][..], &[1]].concat().try_into().expect("has 48 bytes");
        let mut greatest = P384_ORDER;
        greatest[47] -= 1;
        let of = |r, s| envelope(&[0], &scalars(r, s));
        check(&of(one, greatest), Finding::P1);
        check(&of(greatest, one), Finding::P1);
        check(&of([0; 48], one), Finding::E8);
        check(&of(one, [0; 48]), Finding::E8);
        check(&of(P384_ORDER, one), Finding::E8);
        check(&of(one, P384_ORDER), Finding::E8);
        check(&of([0xff; 48], one), Finding::E8);
        check(&envelope(&[0], &[1; 95]), Finding::E8);
        check(&envelope(&[0], &[1; 97]), Finding::E8);
    }

    #[test]
    fn the_payload_is_bounded_before_it_is_read() {
        let payload = |bytes: &[u8], finding| check(&envelope(bytes, &[1; 96]), finding);
        payload(&[0xa0], Finding::P3);
        payload(&[0xbf, 0xff], Finding::P3);
        payload(&[0xa0, 0], Finding::P1);
        payload(&[0xb8, 33], Finding::P1);
        payload(&[0xbb, 255, 255, 255, 255, 255, 255, 255, 255], Finding::P1);
        payload(&[0xa1, 0x01, 0x01], Finding::P2);
        payload(&[0xa1, 0x62, 0xff, 0xff], Finding::P2);
        payload(&[0xa1, 0x7b, 255, 255, 255, 255, 255, 255, 255, 255], Finding::P1);
        payload(&[0xa1, 0x61, b'a', 0x01], Finding::P4);
        payload(&[vec![0xbf], vec![0x9f; 1000]].concat(), Finding::P2);
    }

    /// RFC 9052, section 4.4: the payload stands in the signed bytes with its shortest length.
    #[test]
    fn the_signed_bytes_have_the_shortest_length_of_the_payload() {
        let check = |length: usize, head: &[u8]| {
            let signed = signed_bytes(&vec![7; length]);
            let prefix = [b"\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40".as_slice(), head].concat();
            assert_eq!(signed, [prefix, vec![7; length]].concat());
        };
        check(23, &[0x57]);
        check(24, &[0x58, 24]);
        check(255, &[0x58, 255]);
        check(256, &[0x59, 1, 0]);
        check(MAX_PAYLOAD, &[0x59, 0x40, 0]);
    }
}
