//! The envelope in which KMS answers an enclave: `CiphertextForRecipient`.
//!
//! It is CMS EnvelopedData (RFC 5652, section 6) in BER with indefinite lengths: one recipient,
//! RSAES-OAEP with SHA-256 (RFC 4055), AES-256-CBC (RFC 3565). This reader takes that one shape
//! and nothing else of CMS. It only takes apart: it must never decrypt, and it vouches for
//! nothing, since the envelope has no integrity and anybody who knows the recipient's public key
//! can make one. The TLS connection to KMS is what vouches for it.

use const_oid::ObjectIdentifier;

/// The longest envelope read, in bytes. KMS returns at most 4,096 bytes of plaintext, which make
/// an envelope of less than 5 KiB.
pub const MAX_ENVELOPE: usize = 16_384;

const AES_BLOCK: usize = 16;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]` with its content inside: explicit content, or an encrypted content made of chunks.
const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
/// `[0]` holding bytes: a recipient's subject key identifier, or an encrypted content in one piece.
const CONTEXT_0_PRIMITIVE: u8 = 0x80;
const INDEFINITE: u8 = 0x80;

const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");

/// The version of EnvelopedData, and of its recipient, when a key identifier names the recipient
/// (RFC 5652, sections 6.1 and 6.2.1).
const VERSION: &[u8] = &[2];

/// The whole AlgorithmIdentifier of RSAES-OAEP with SHA-256, MGF1 with SHA-256 and the empty
/// label, as RFC 4055, section 4.1 defines it.
#[rustfmt::skip]
const RSAES_OAEP_SHA_256: [u8; 62] = [
    0x30, 0x3c,
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07, // id-RSAES-OAEP
        0x30, 0x2f,
            0xa0, 0x0f, 0x30, 0x0d,
                0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, // id-sha256
                0x05, 0x00,
            0xa1, 0x1c, 0x30, 0x1a,
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08, // id-mgf1
                0x30, 0x0d,
                    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, // id-sha256
                    0x05, 0x00,
];

/// The AlgorithmIdentifier of AES-256-CBC up to its parameter, the 16 bytes of the IV (RFC 3565,
/// section 4.1).
#[rustfmt::skip]
const AES_256_CBC: [u8; 15] = [
    0x30, 0x1d,
        0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a, // aes256-CBC
        0x04, 0x10,
];

/// An envelope, taken apart. Nothing in it is authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enveloped {
    /// The recipient: SHA-256 of its public key's SubjectPublicKeyInfo in DER.
    pub recipient_id: [u8; 32],
    /// The AES-256 key under RSAES-OAEP for an RSA-2048 key.
    pub encrypted_key: [u8; 256],
    /// The initialisation vector.
    pub iv: [u8; 16],
    /// The content under AES-256-CBC with PKCS #7 padding: at least one block, whole blocks only.
    pub ciphertext: Vec<u8>,
}

/// Why bytes are not an envelope of KMS's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CmsError {
    /// Longer than [`MAX_ENVELOPE`].
    #[error("{0} bytes are more than the {MAX_ENVELOPE} an envelope may have")]
    TooLarge(usize),
    /// The bytes end inside a value.
    #[error("the envelope ends early")]
    Truncated,
    /// A value has another tag, length or content than KMS's.
    #[error("the envelope's {0} is not what KMS writes")]
    Unexpected(&'static str),
    /// Bytes follow the envelope.
    #[error("{0} bytes follow the envelope")]
    Trailing(usize),
}

impl Enveloped {
    /// Takes an envelope apart. Every constructed value may have a definite or an indefinite
    /// length; everything else is compared with the one form KMS writes.
    ///
    /// # Errors
    /// [`CmsError`] if the bytes are anything but one whole envelope.
    pub fn parse(bytes: &[u8]) -> Result<Self, CmsError> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(CmsError::TooLarge(bytes.len()));
        }
        let mut reader = Reader { rest: bytes };
        let content_info = reader.open(SEQUENCE, "ContentInfo")?;
        reader.value(OID, ENVELOPED_DATA.as_bytes(), "content type")?;
        let explicit = reader.open(CONTEXT_0_CONSTRUCTED, "content")?;
        let enveloped_data = reader.open(SEQUENCE, "EnvelopedData")?;
        reader.value(INTEGER, VERSION, "version")?;
        let (recipient_id, encrypted_key) = recipient(&mut reader)?;
        let (iv, ciphertext) = encrypted_content(&mut reader)?;
        reader.close(enveloped_data, "EnvelopedData")?;
        reader.close(explicit, "content")?;
        reader.close(content_info, "ContentInfo")?;
        match reader.rest.len() {
            0 => Ok(Self { recipient_id, encrypted_key, iv, ciphertext }),
            left => Err(CmsError::Trailing(left)),
        }
    }
}

/// RecipientInfos: a set of exactly one KeyTransRecipientInfo.
fn recipient(reader: &mut Reader<'_>) -> Result<([u8; 32], [u8; 256]), CmsError> {
    let set = reader.open(SET, "recipients")?;
    let info = reader.open(SEQUENCE, "recipient")?;
    reader.value(INTEGER, VERSION, "recipient's version")?;
    let id = reader.array(CONTEXT_0_PRIMITIVE, "recipient's identifier")?;
    reader.exact(&RSAES_OAEP_SHA_256, "key encryption algorithm")?;
    let encrypted_key = reader.array(OCTET_STRING, "encrypted key")?;
    reader.close(info, "recipient")?;
    reader.close(set, "recipients")?;
    Ok((id, encrypted_key))
}

/// EncryptedContentInfo: the algorithm with its IV, then the content.
fn encrypted_content(reader: &mut Reader<'_>) -> Result<([u8; 16], Vec<u8>), CmsError> {
    let info = reader.open(SEQUENCE, "EncryptedContentInfo")?;
    reader.value(OID, DATA.as_bytes(), "encrypted content's type")?;
    reader.exact(&AES_256_CBC, "content encryption algorithm")?;
    let iv = reader.fixed()?;
    let ciphertext = ciphertext(reader)?;
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(AES_BLOCK) {
        return Err(CmsError::Unexpected("encrypted content's length"));
    }
    reader.close(info, "EncryptedContentInfo")?;
    Ok((iv, ciphertext))
}

/// KMS writes the content in one piece, or as octet strings inside a constructed value.
fn ciphertext(reader: &mut Reader<'_>) -> Result<Vec<u8>, CmsError> {
    const WHAT: &str = "encrypted content";
    if reader.next_is(CONTEXT_0_PRIMITIVE) {
        return Ok(reader.bytes(CONTEXT_0_PRIMITIVE, WHAT)?.to_vec());
    }
    let chunks = reader.open(CONTEXT_0_CONSTRUCTED, WHAT)?;
    let mut joined = Vec::new();
    while !reader.at_end(chunks) {
        let chunk = reader.bytes(OCTET_STRING, WHAT)?;
        if chunk.is_empty() {
            return Err(CmsError::Unexpected(WHAT));
        }
        joined.extend_from_slice(chunk);
    }
    reader.close(chunks, WHAT)?;
    Ok(joined)
}

/// What is left to read. It never goes back, so its work is bounded by the input's length.
struct Reader<'a> {
    rest: &'a [u8],
}

/// Where an open constructed value ends.
#[derive(Clone, Copy)]
enum End {
    /// At two zero octets (X.690, 8.1.5).
    EndOfContents,
    /// When this many bytes are left.
    Left(usize),
}

impl<'a> Reader<'a> {
    fn open(&mut self, tag: u8, what: &'static str) -> Result<End, CmsError> {
        self.tag(tag, what)?;
        if self.next_is(INDEFINITE) {
            self.take(1)?;
            return Ok(End::EndOfContents);
        }
        let length = self.length(what)?;
        self.rest.len().checked_sub(length).map(End::Left).ok_or(CmsError::Truncated)
    }

    /// A value that runs past the one around it is found here, when the outer one closes.
    fn close(&mut self, end: End, what: &'static str) -> Result<(), CmsError> {
        match end {
            End::EndOfContents => self.exact(&[0, 0], what),
            End::Left(left) if left == self.rest.len() => Ok(()),
            End::Left(_) => Err(CmsError::Unexpected(what)),
        }
    }

    fn at_end(&self, end: End) -> bool {
        match end {
            End::EndOfContents => self.next_is(0),
            End::Left(left) => self.rest.len() <= left,
        }
    }

    fn bytes(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], CmsError> {
        self.tag(tag, what)?;
        let length = self.length(what)?;
        self.take(length)
    }

    fn array<const N: usize>(&mut self, tag: u8, what: &'static str) -> Result<[u8; N], CmsError> {
        self.bytes(tag, what)?.try_into().map_err(|_| CmsError::Unexpected(what))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CmsError> {
        self.take(N)?.try_into().map_err(|_| CmsError::Truncated)
    }

    fn value(&mut self, tag: u8, content: &[u8], what: &'static str) -> Result<(), CmsError> {
        if self.bytes(tag, what)? == content { Ok(()) } else { Err(CmsError::Unexpected(what)) }
    }

    fn exact(&mut self, expected: &[u8], what: &'static str) -> Result<(), CmsError> {
        if self.take(expected.len())? == expected {
            Ok(())
        } else {
            Err(CmsError::Unexpected(what))
        }
    }

    fn tag(&mut self, tag: u8, what: &'static str) -> Result<(), CmsError> {
        self.exact(&[tag], what)
    }

    /// A definite length in its shortest form; two octets reach beyond [`MAX_ENVELOPE`].
    fn length(&mut self, what: &'static str) -> Result<usize, CmsError> {
        let [first] = self.fixed()?;
        let (length, least) = match first {
            0..=0x7f => (usize::from(first), 0),
            0x81 => (usize::from(u8::from_be_bytes(self.fixed()?)), 0x80),
            0x82 => (usize::from(u16::from_be_bytes(self.fixed()?)), 0x100),
            _ => return Err(CmsError::Unexpected(what)),
        };
        if length < least { Err(CmsError::Unexpected(what)) } else { Ok(length) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CmsError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(CmsError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn next_is(&self, octet: u8) -> bool {
        self.rest.first() == Some(&octet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPIENT: [u8; 32] = [0x11; 32];
    const KEY: [u8; 256] = [0x22; 256];
    const IV: [u8; 16] = [0x33; 16];

    /// How the content is written.
    enum Content {
        OnePiece,
        Chunks(usize),
    }

    /// A value with a definite length.
    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut out = vec![tag];
        match length {
            0..0x80 => out.push(u8::try_from(length).expect("fits")),
            0x80..0x100 => out.extend([0x81, u8::try_from(length).expect("fits")]),
            _ => {
                out.push(0x82);
                out.extend(u16::try_from(length).expect("fits").to_be_bytes());
            }
        }
        [out, content.to_vec()].concat()
    }

    /// A value with an indefinite length.
    fn open_ended(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x80], content, &[0, 0]].concat()
    }

    fn oid(text: &str) -> Vec<u8> {
        tlv(0x06, ObjectIdentifier::new_unwrap(text).as_bytes())
    }

    fn content(ciphertext: &[u8], form: &Content) -> Vec<u8> {
        match form {
            Content::OnePiece => tlv(0x80, ciphertext),
            Content::Chunks(size) => {
                let chunks: Vec<u8> =
                    ciphertext.chunks(*size).flat_map(|chunk| tlv(0x04, chunk)).collect();
                open_ended(0xa0, &chunks)
            }
        }
    }

    fn recipient(id: &[u8], key: &[u8]) -> Vec<u8> {
        let sha256 = tlv(0x30, &[oid("2.16.840.1.101.3.4.2.1"), tlv(0x05, &[])].concat());
        let mgf1 = tlv(0x30, &[oid("1.2.840.113549.1.1.8"), sha256.clone()].concat());
        let parameters = tlv(0x30, &[tlv(0xa0, &sha256), tlv(0xa1, &mgf1)].concat());
        let algorithm = tlv(0x30, &[oid("1.2.840.113549.1.1.7"), parameters].concat());
        tlv(0x30, &[tlv(0x02, &[2]), tlv(0x80, id), algorithm, tlv(0x04, key)].concat())
    }

    /// An envelope around these recipients and this content, outer values by `outer`.
    fn envelope(
        recipients: &[u8],
        content: &[u8],
        outer: impl Fn(u8, &[u8]) -> Vec<u8>,
    ) -> Vec<u8> {
        let algorithm = tlv(0x30, &[oid("2.16.840.1.101.3.4.1.42"), tlv(0x04, &IV)].concat());
        let info =
            outer(0x30, &[oid("1.2.840.113549.1.7.1"), algorithm, content.to_vec()].concat());
        let enveloped = outer(0x30, &[tlv(0x02, &[2]), tlv(0x31, recipients), info].concat());
        outer(0x30, &[oid("1.2.840.113549.1.7.3"), outer(0xa0, &enveloped)].concat())
    }

    fn kms_envelope(ciphertext: &[u8], form: &Content) -> Vec<u8> {
        envelope(&recipient(&RECIPIENT, &KEY), &content(ciphertext, form), open_ended)
    }

    fn check(bytes: &[u8], ciphertext: &[u8]) {
        let expected = Enveloped {
            recipient_id: RECIPIENT,
            encrypted_key: KEY,
            iv: IV,
            ciphertext: ciphertext.to_vec(),
        };
        assert_eq!(Enveloped::parse(bytes), Ok(expected));
    }

    #[test]
    fn both_forms_of_content_are_read() {
        let long: Vec<u8> = (0..=255u8).cycle().take(4_112).collect();
        for ciphertext in [&long[..16], &long[..48], &long[..128], &long[..256], &long] {
            check(&kms_envelope(ciphertext, &Content::OnePiece), ciphertext);
            for size in [1, 15, 16, 1_000, 4_112] {
                check(&kms_envelope(ciphertext, &Content::Chunks(size)), ciphertext);
            }
        }
    }

    /// The length of a real answer for a 32-byte plaintext.
    #[test]
    fn an_answer_for_32_bytes_has_493() {
        assert_eq!(kms_envelope(&[7; 48], &Content::Chunks(1_000)).len(), 493);
    }

    #[test]
    fn definite_lengths_are_read() {
        let ciphertext = [7; 48];
        let recipient = recipient(&RECIPIENT, &KEY);
        check(&envelope(&recipient, &tlv(0x80, &ciphertext), tlv), &ciphertext);
        check(&envelope(&recipient, &tlv(0xa0, &tlv(0x04, &ciphertext)), tlv), &ciphertext);
    }

    #[test]
    fn every_prefix_deletion_and_appended_byte_is_refused() {
        for form in [Content::OnePiece, Content::Chunks(20)] {
            let whole = kms_envelope(&[7; 48], &form);
            for at in 0..whole.len() {
                assert!(Enveloped::parse(&whole[..at]).is_err(), "the first {at} bytes");
                let mut less = whole.clone();
                less.remove(at);
                assert!(Enveloped::parse(&less).is_err(), "without byte {at}");
            }
            for extra in [0, 0x30, 0xff] {
                let more = [whole.as_slice(), &[extra]].concat();
                assert_eq!(Enveloped::parse(&more), Err(CmsError::Trailing(1)));
            }
        }
    }

    /// Every byte that is not a recipient's, key's, IV's or content's own is compared.
    #[test]
    fn every_changed_byte_is_refused_or_carried() {
        let whole = kms_envelope(&[7; 48], &Content::Chunks(1_000));
        let original = Enveloped::parse(&whole).expect("is an envelope");
        let carried = (0..whole.len())
            .filter(|at| {
                let mut changed = whole.clone();
                changed[*at] ^= 1;
                match Enveloped::parse(&changed) {
                    Ok(parsed) => {
                        assert_ne!(parsed, original, "byte {at} changes nothing");
                        true
                    }
                    Err(_) => false,
                }
            })
            .count();
        assert_eq!(carried, 32 + 256 + 16 + 48);
    }

    #[test]
    fn other_shapes_are_refused() {
        let check = |recipients: &[u8], content: &[u8], expected: &'static str| {
            let bytes = envelope(recipients, content, open_ended);
            assert_eq!(Enveloped::parse(&bytes), Err(CmsError::Unexpected(expected)));
        };
        let good = recipient(&RECIPIENT, &KEY);
        let block = tlv(0x80, &[7; 16]);
        check(&[], &block, "recipient's version");
        check(&[good.clone(), good.clone()].concat(), &block, "recipients");
        check(&recipient(&[1; 20], &KEY), &block, "recipient's identifier");
        check(&recipient(&RECIPIENT, &[2; 512]), &block, "encrypted key");
        check(&good, &tlv(0x80, &[]), "encrypted content's length");
        check(&good, &tlv(0x80, &[7; 17]), "encrypted content's length");
        check(&good, &open_ended(0xa0, &[]), "encrypted content's length");
        check(&good, &open_ended(0xa0, &tlv(0x04, &[])), "encrypted content");
        check(&good, &open_ended(0xa0, &open_ended(0x24, &[])), "encrypted content");
        check(&good, &open_ended(0x80, &[7; 16]), "encrypted content");
        check(&good, &[0x80, 0x81, 0x10], "encrypted content");
        check(&good, &[&block[..], &[0xa1, 0]].concat(), "EncryptedContentInfo");
    }

    /// A value inside another must not reach past its end.
    #[test]
    fn a_value_longer_than_the_one_around_it_is_refused() {
        let mut whole = envelope(&recipient(&RECIPIENT, &KEY), &tlv(0x80, &[7; 16]), tlv);
        let set = whole.windows(2).position(|pair| pair == [0x31, 0x82]).expect("has a set");
        whole[set + 3] -= 1;
        assert_eq!(Enveloped::parse(&whole), Err(CmsError::Unexpected("recipients")));
    }

    #[test]
    fn an_overlong_input_is_refused_unread() {
        assert_eq!(
            Enveloped::parse(&vec![0x30; MAX_ENVELOPE + 1]),
            Err(CmsError::TooLarge(MAX_ENVELOPE + 1))
        );
    }
}
