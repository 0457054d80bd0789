//! The recipient of one KMS answer: an RSA-2048 key made for one attempt and dropped with it.

use super::KmsError;
use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use nitro_signer_shared::cms::Enveloped;
use zeroize::{Zeroize, Zeroizing};

/// A recipient's public key. Only `Recipient::generate` makes one, so only this module can have
/// a document made that carries a key.
pub struct RecipientPublicKey(Vec<u8>);

impl RecipientPublicKey {
    /// The SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn as_spki(&self) -> &[u8] {
        &self.0
    }
}

pub(super) struct Recipient {
    key: OaepPrivateDecryptingKey,
    public: RecipientPublicKey,
}

impl Recipient {
    pub(super) fn generate() -> Result<Self, KmsError> {
        let failed = |_| KmsError::Rejected("no recipient key could be made");
        let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key()).map_err(failed)?;
        let public = RecipientPublicKey(spki.as_ref().to_vec());
        Ok(Self { key: OaepPrivateDecryptingKey::new(key).map_err(failed)?, public })
    }

    pub(super) const fn public_key(&self) -> &RecipientPublicKey {
        &self.public
    }

    /// Opens a CiphertextForRecipient that must hold exactly 32 bytes.
    pub(super) fn open(&self, enveloped: &[u8]) -> Result<Zeroizing<[u8; 32]>, KmsError> {
        let enveloped = Enveloped::parse(enveloped)
            .map_err(|_| KmsError::Rejected("CiphertextForRecipient is not in KMS's form"))?;
        let mine = digest::digest(&digest::SHA256, &self.public.0);
        if enveloped.recipient_id != mine.as_ref() {
            return Err(KmsError::Rejected("CiphertextForRecipient is for another recipient"));
        }
        // One message for every failure of decryption: the padding tells nobody anything.
        self.decrypt(&enveloped)
            .ok_or(KmsError::Rejected("CiphertextForRecipient does not decrypt to 32 bytes"))
    }

    fn decrypt(&self, enveloped: &Enveloped) -> Option<Zeroizing<[u8; 32]>> {
        let mut content_key = Zeroizing::new(vec![0u8; self.key.min_output_size()]);
        let content_key = self
            .key
            .decrypt(&OAEP_SHA256_MGF1SHA256, &enveloped.encrypted_key, &mut content_key, None)
            .ok()?;
        let cipher = UnboundCipherKey::new(&AES_256, content_key).ok()?;
        let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).ok()?;
        let mut content = Zeroizing::new(enveloped.ciphertext.clone());
        let iv = DecryptionContext::Iv128(FixedLength::from(enveloped.iv));
        let plain = cipher.decrypt(&mut content, iv).ok()?;
        let mut secret: [u8; 32] = (&*plain).try_into().ok()?;
        let kept = Zeroizing::new(secret);
        secret.zeroize();
        Some(kept)
    }
}
