//! Writes CiphertextForRecipient as KMS does: CMS EnvelopedData in BER.
//!
//! Written apart from the reader in `shared`, so that the two judge each other. Both forms in
//! which KMS writes the encrypted content are made, in turn.

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey};
use aws_lc_rs::{digest, rand};
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// The longest octet string inside a constructed content.
const CHUNK: usize = 1_000;

const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
/// 1.2.840.113549.1, to which the rest of an identifier is added.
const PKCS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01];

/// Whom an envelope is for.
pub(super) struct Recipient {
    /// The public key's SubjectPublicKeyInfo in DER.
    pub(super) spki: Vec<u8>,
    pub(super) key: OaepPublicEncryptingKey,
}

/// How the encrypted content is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    OnePiece,
    Chunks,
}

/// Makes envelopes, one form after the other.
#[derive(Default)]
pub(super) struct Writer {
    one_piece_next: AtomicBool,
}

impl Writer {
    /// Encrypts a plaintext for the recipient.
    pub(super) fn seal(&self, plaintext: &[u8], to: &Recipient) -> Result<Vec<u8>, Unspecified> {
        let one_piece = self.one_piece_next.fetch_xor(true, Ordering::Relaxed);
        seal(plaintext, to, if one_piece { Form::OnePiece } else { Form::Chunks })
    }
}

fn seal(plaintext: &[u8], to: &Recipient, form: Form) -> Result<Vec<u8>, Unspecified> {
    let mut content_key = Zeroizing::new([0u8; 32]);
    rand::fill(content_key.as_mut())?;
    let mut encrypted_key = vec![0; to.key.ciphertext_size()];
    to.key.encrypt(&OAEP_SHA256_MGF1SHA256, content_key.as_ref(), &mut encrypted_key, None)?;
    let mut ciphertext = plaintext.to_vec();
    let cipher = UnboundCipherKey::new(&AES_256, content_key.as_ref())?;
    let context = PaddedBlockEncryptingKey::cbc_pkcs7(cipher)?.encrypt(&mut ciphertext)?;
    let DecryptionContext::Iv128(iv) = context else { return Err(Unspecified) };
    let id = digest::digest(&digest::SHA256, &to.spki);
    Ok(write(id.as_ref(), &encrypted_key, iv.as_ref(), &ciphertext, form))
}

fn write(id: &[u8], encrypted_key: &[u8], iv: &[u8], ciphertext: &[u8], form: Form) -> Vec<u8> {
    let content = match form {
        Form::OnePiece => definite(0x80, &[ciphertext]),
        Form::Chunks => {
            let chunks: Vec<Vec<u8>> =
                ciphertext.chunks(CHUNK).map(|chunk| definite(0x04, &[chunk])).collect();
            indefinite(0xa0, &[&chunks.concat()])
        }
    };
    let info = indefinite(
        0x30,
        &[
            &oid(&[PKCS, &[7, 1]].concat()),
            &definite(0x30, &[&oid(AES_256_CBC), &definite(0x04, &[iv])]),
            &content,
        ],
    );
    let recipients = definite(0x31, &[&recipient(id, encrypted_key)]);
    let enveloped = indefinite(0x30, &[&[0x02, 1, 2], &recipients, &info]);
    let explicit = indefinite(0xa0, &[&enveloped]);
    indefinite(0x30, &[&oid(&[PKCS, &[7, 3]].concat()), &explicit])
}

fn recipient(id: &[u8], encrypted_key: &[u8]) -> Vec<u8> {
    let sha256 = definite(0x30, &[&oid(SHA_256), &[0x05, 0]]);
    let mgf1 = definite(0x30, &[&oid(&[PKCS, &[1, 8]].concat()), &sha256]);
    let parameters = definite(0x30, &[&definite(0xa0, &[&sha256]), &definite(0xa1, &[&mgf1])]);
    let algorithm = definite(0x30, &[&oid(&[PKCS, &[1, 7]].concat()), &parameters]);
    let (id, encrypted_key) = (definite(0x80, &[id]), definite(0x04, &[encrypted_key]));
    definite(0x30, &[&[0x02, 1, 2], &id, &algorithm, &encrypted_key])
}

fn oid(body: &[u8]) -> Vec<u8> {
    definite(0x06, &[body])
}

fn definite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = body.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|octet| *octet == 0).collect();
    let mut out = vec![tag];
    match length.as_slice() {
        [] => out.push(0),
        [short @ 0..=0x7f] => out.push(*short),
        long => {
            // At most 8 octets of a usize.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(u8::MAX));
            out.extend(long);
        }
    }
    out.extend(body);
    out
}

fn indefinite(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[tag, 0x80], parts.concat().as_slice(), &[0, 0]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_signer_shared::cms::Enveloped;

    #[test]
    fn the_reader_of_the_enclave_takes_both_forms() {
        let ciphertext: Vec<u8> = (0..=255u8).cycle().take(4_112).collect();
        for (form, length) in [(Form::OnePiece, 16), (Form::Chunks, 48), (Form::Chunks, 4_112)] {
            let bytes = write(&[1; 32], &[2; 256], &[3; 16], &ciphertext[..length], form);
            let parsed = Enveloped::parse(&bytes).expect("is an envelope");
            assert_eq!(parsed.recipient_id, [1; 32]);
            assert_eq!(parsed.encrypted_key, [2; 256]);
            assert_eq!(parsed.iv, [3; 16]);
            assert_eq!(parsed.ciphertext, ciphertext[..length]);
        }
    }

    /// The length of a real answer for a 32-byte plaintext.
    #[test]
    fn an_answer_for_32_bytes_has_493() {
        let bytes = write(&[1; 32], &[2; 256], &[3; 16], &[4; 48], Form::Chunks);
        assert_eq!(bytes.len(), 493);
    }
}
