//! Signs what policy approved, and lets no signature out that does not verify.
//!
//! Nothing here decides: an [`Approved`] value comes only from policy, names the one key it was
//! approved for, and is used up.

use crate::key::{HashSignature, Nonces, PrivateKey, address_of};
use crate::policy::{Approved, ForAccount, Subject};
use crate::transaction::UnsignedTransaction;
use alloy_primitives::B256;
use nitro_signer_shared::message::{SignedHash, SignedTransaction};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_bytes::ByteBuf;

/// Signs an approved transaction with the key that it was approved for.
///
/// # Errors
/// As [`sign`].
pub fn sign_transaction(
    approved: Approved<ForAccount<UnsignedTransaction>>,
    key: &PrivateKey,
    nonces: Nonces<'_>,
) -> Result<SignedTransaction, Refusal> {
    let (transaction, signing_hash, signature) = sign_subject(approved, key, nonces)?;
    let (raw, transaction_hash) = transaction.encode_signed(signature);
    let HashSignature { r, s, y_parity } = signature;
    let raw = ByteBuf::from(raw);
    Ok(SignedTransaction { signing_hash, transaction_hash, raw, r, s, y_parity })
}

/// Signs whatever was approved with the key that it was approved for.
///
/// # Errors
/// `Internal` if the key is another one or the signature does not verify: a fault of ours or of
/// the hardware, and no signature leaves.
pub fn sign<S: Subject>(
    approved: Approved<ForAccount<S>>,
    key: &PrivateKey,
    nonces: Nonces<'_>,
) -> Result<SignedHash, Refusal> {
    let (_, signing_hash, signature) = sign_subject(approved, key, nonces)?;
    let HashSignature { r, s, y_parity } = signature;
    Ok(SignedHash { signing_hash, r, s, y_parity })
}

/// The hash is the subject's own, computed from its fields, and the signature is checked by
/// recovering the signer from it before anything is returned.
fn sign_subject<S: Subject>(
    approved: Approved<ForAccount<S>>,
    key: &PrivateKey,
    nonces: Nonces<'_>,
) -> Result<(S, B256, HashSignature), Refusal> {
    let ForAccount { from, subject } = approved.into_inner();
    if key.address() != from {
        return Err(fault("the key is not the one this was approved for"));
    }
    let signing_hash = subject.signing_hash();
    let signature = key
        .sign_hash(signing_hash, nonces)
        .ok_or_else(|| fault("the signature cannot be expressed; ask again"))?;
    // `recover` demands s in the lower half of the order (EIP-2).
    let signer = signature.recover(signing_hash).map(|signer| address_of(&signer));
    if signer != Some(from) || subject.signing_hash() != signing_hash {
        return Err(fault("the signature does not verify and was withheld"));
    }
    Ok((subject, signing_hash, signature))
}

fn fault(text: &str) -> Refusal {
    Refusal::new(RefusalCode::Internal, text)
}

#[cfg(test)]
mod tests;
