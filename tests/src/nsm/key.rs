//! A P-384 key pair that signs certificates and documents of the development PKI.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key pair; clones share it.
#[derive(Clone)]
pub struct SigningKey {
    asn1: Arc<EcdsaKeyPair>,
    fixed: Arc<EcdsaKeyPair>,
}

impl SigningKey {
    /// A new key pair.
    #[must_use]
    pub fn generate() -> Self {
        let pkcs8 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1())
            .expect("the system has random numbers");
        Self::from_pkcs8(pkcs8.as_ref()).expect("a pair that was just written reads")
    }

    /// A key pair from PKCS#8 in DER, if it is one on P-384.
    #[must_use]
    pub fn from_pkcs8(pkcs8: &[u8]) -> Option<Self> {
        let pair = |algorithm| EcdsaKeyPair::from_pkcs8(algorithm, pkcs8).ok().map(Arc::new);
        Some(Self {
            asn1: pair(&ECDSA_P384_SHA384_ASN1_SIGNING)?,
            fixed: pair(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
        })
    }

    /// The key pair as PKCS#8 in DER.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let document = self.asn1.to_pkcs8v1().expect("a pair in memory always writes");
        Zeroizing::new(document.as_ref().to_vec())
    }

    /// The public point: 04 || x || y, 97 bytes.
    #[must_use]
    pub fn point(&self) -> &[u8] {
        self.asn1.public_key().as_ref()
    }

    /// A certificate's signature: r and s in DER.
    #[must_use]
    pub fn sign_certificate(&self, message: &[u8]) -> Vec<u8> {
        sign(&self.asn1, message)
    }

    /// A document's signature: r || s, 96 bytes.
    #[must_use]
    pub fn sign_document(&self, message: &[u8]) -> Vec<u8> {
        sign(&self.fixed, message)
    }
}

fn sign(pair: &EcdsaKeyPair, message: &[u8]) -> Vec<u8> {
    let signature = pair.sign(&SystemRandom::new(), message);
    signature.expect("the system has random numbers").as_ref().to_vec()
}
