//! Attestation documents for people and programs outside: claims, hashed into `user_data`.

use crate::nsm::MeasuredModule;
use nitro_signer_shared::claims::ClaimSet;
use nitro_signer_shared::message::{Attestation, MAX_NONCE, MIN_NONCE};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_bytes::ByteBuf;

/// A caller's nonce of an allowed length.
pub struct Nonce(Vec<u8>);

impl Nonce {
    /// Checks the length: 16 to 64 bytes.
    ///
    /// # Errors
    /// InvalidNonce.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Refusal> {
        if (MIN_NONCE..=MAX_NONCE).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(RefusalCode::InvalidNonce.into())
        }
    }

    /// The nonce's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Makes a document over the nonce that commits to the claims.
///
/// # Errors
/// SecureModule if the module gives no document; Internal if the claims do not encode.
pub async fn attest<C: ClaimSet>(
    module: &MeasuredModule,
    claims: &C,
    nonce: Nonce,
) -> Result<Attestation, Refusal> {
    let claims = claims.to_bytes().map_err(|_| Refusal::from(RefusalCode::Internal))?;
    let (module, user_data) = (module.clone(), C::user_data(&claims));
    let document =
        tokio::task::spawn_blocking(move || module.client_document(&user_data, nonce.as_bytes()))
            .await
            .map_err(|_| Refusal::from(RefusalCode::Internal))?
            .map_err(|e| Refusal::new(RefusalCode::SecureModule, e.to_string()))?;
    Ok(Attestation { document: ByteBuf::from(document), claims: ByteBuf::from(claims) })
}
