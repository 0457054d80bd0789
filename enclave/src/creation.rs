//! New keys: made here, and only for what policy approved.

use crate::custody::SoleCustody;
use crate::derive::derive;
use crate::key::{KeyFacts, PrivateKey};
use crate::nsm::MeasuredModule;
use crate::policy::{Approved, NewKey};
use crate::record::HeldKey;
use nitro_signer_shared::message::Origin;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use zeroize::Zeroizing;

/// Makes the approved key. Blocks for the secure module's few milliseconds.
///
/// # Errors
/// SecureModule if the module gives no random numbers; Internal if the kernel gives none.
pub fn create_key(
    approved: Approved<NewKey>,
    _custody: SoleCustody,
    module: &MeasuredModule,
) -> Result<HeldKey, Refusal> {
    let NewKey { creator, created, labels } = approved.into_inner();
    let private = generate(module)?;
    let facts = KeyFacts {
        address: private.address(),
        origin: Origin::Generated,
        creator: creator.to_string(),
        created,
        labels: labels.into_map(),
    };
    Ok(HeldKey { private, facts })
}

/// HKDF over the secure module's and the kernel's randomness, so that neither alone decides a key.
fn generate(module: &MeasuredModule) -> Result<PrivateKey, Refusal> {
    let from_module =
        module.random().map_err(|e| Refusal::new(RefusalCode::SecureModule, e.to_string()))?;
    // The module gives at least 32 bytes; a buffer of fixed size leaves no copies behind.
    let mut secret = Zeroizing::new([0; 64]);
    secret[..32].copy_from_slice(&from_module[..32]);
    secret[32..].copy_from_slice(kernel_random::<32>()?.as_slice());
    // One derivation in 2^128 is no key; the counter makes that nobody's problem.
    (0u8..=255)
        .find_map(|n| {
            let material = derive::<32>(secret.as_slice(), b"nitro-signer/key/v1", &[&[n]]);
            PrivateKey::from_material(&material)
        })
        .ok_or_else(|| RefusalCode::Internal.into())
}

/// Bytes of the kernel's random pool, which was fed from the secure module at the start.
pub(crate) fn kernel_random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Refusal> {
    let mut bytes = Zeroizing::new([0; N]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice())
        .map_err(|_| Refusal::from(RefusalCode::Internal))?;
    Ok(bytes)
}
