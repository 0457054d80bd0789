//! Signs an image's PCR0 as `nitro-cli build-enclave --private-key --signing-certificate` does, so
//! that the hypervisor measures the certificate into PCR8.
//!
//! The signature is random, so a signed file differs from build to build; its measurements do not.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
};
use nitro_signer_shared::attestation::pcr::Pcr;
use nitro_signer_shared::eif::{Algorithm, signature_section, to_be_signed};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SigningError {
    #[error("the signing key is not a private key on P-256, P-384 or P-521 in PEM")]
    Key,
    #[error("the key did not sign")]
    Sign,
}

/// A key and the certificate that names it. That they belong together shows when the signed image
/// is read back.
pub struct Signer {
    key: EcdsaKeyPair,
    algorithm: Algorithm,
    certificate_pem: Vec<u8>,
}

impl Signer {
    /// The signer of a key (PKCS#8 or SEC 1) and a certificate, both in PEM.
    ///
    /// # Errors
    /// [`SigningError::Key`].
    pub fn from_pem(key: &[u8], certificate: &[u8]) -> Result<Self, SigningError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| SigningError::Key)?;
        let curves = [
            (&ECDSA_P256_SHA256_FIXED_SIGNING, Algorithm::Es256),
            (&ECDSA_P384_SHA384_FIXED_SIGNING, Algorithm::Es384),
            (&ECDSA_P521_SHA512_FIXED_SIGNING, Algorithm::Es512),
        ];
        let mut fitting = curves.into_iter().filter_map(|(curve, algorithm)| {
            let key = EcdsaKeyPair::from_private_key_der(curve, key.secret_der()).ok()?;
            Some(Self { key, algorithm, certificate_pem: certificate.to_vec() })
        });
        fitting.next().ok_or(SigningError::Key)
    }

    /// The signature section for an image with this PCR0.
    ///
    /// # Errors
    /// [`SigningError::Sign`] if the key fails.
    pub fn sign(&self, pcr0: &Pcr) -> Result<Vec<u8>, SigningError> {
        let message = to_be_signed(self.algorithm, pcr0);
        let signature =
            self.key.sign(&SystemRandom::new(), &message).map_err(|_| SigningError::Sign)?;
        Ok(signature_section(&self.certificate_pem, self.algorithm, pcr0, signature.as_ref()))
    }
}
