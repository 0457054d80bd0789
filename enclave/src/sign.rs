//! Signs what policy approved, and lets no signature out that does not verify.
//!
//! Nothing here decides: an [`Approved`] value comes only from policy, names the one key it was
//! approved for, and is used up.

use crate::key::{Nonces, PrivateKey, address_of};
use crate::policy::{Approved, TransactionFrom};
use nitro_signer_shared::message::SignedTransaction;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_bytes::ByteBuf;

/// Signs an approved transaction with the key that it was approved for.
///
/// The hash is computed from the transaction's fields at this moment, and the signature is checked
/// by recovering the signer from it before anything is returned.
///
/// # Errors
/// `Internal` if the key is another one or the signature does not verify: a fault of ours or of
/// the hardware, and no signature leaves.
pub fn sign_transaction(
    approved: Approved<TransactionFrom>,
    key: &PrivateKey,
    nonces: Nonces<'_>,
) -> Result<SignedTransaction, Refusal> {
    let TransactionFrom { from, transaction } = approved.into_inner();
    if key.address() != from {
        return Err(fault("the key is not the one the transaction was approved for"));
    }
    let signing_hash = transaction.signing_hash();
    let signature = key
        .sign_hash(signing_hash, nonces)
        .ok_or_else(|| fault("the signature cannot be expressed; ask again"))?;
    // `recover` demands s in the lower half of the order (EIP-2).
    let signer = signature.recover(signing_hash).map(|signer| address_of(&signer));
    if signer != Some(from) || transaction.signing_hash() != signing_hash {
        return Err(fault("the signature does not verify and was withheld"));
    }
    let (raw, transaction_hash) = transaction.encode_signed(signature);
    Ok(SignedTransaction {
        signing_hash,
        transaction_hash,
        raw: ByteBuf::from(raw),
        r: signature.r,
        s: signature.s,
        y_parity: signature.y_parity,
    })
}

fn fault(text: &str) -> Refusal {
    Refusal::new(RefusalCode::Internal, text)
}

#[cfg(test)]
mod tests;
