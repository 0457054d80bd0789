//! Private keys: made from 32 bytes, used to sign a hash, and never shown.
//!
//! A key leaves this module only to be sealed into a record. Nothing here decides what may be
//! signed: the caller of `PrivateKey::sign_hash` holds policy's approval.

use alloy_primitives::{Address, B256, FixedBytes, U256, keccak256};
use k256::ecdsa::signature::rand_core::{TryCryptoRng, TryRng};
use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use nitro_signer_shared::message::Origin;
use std::collections::BTreeMap;
use std::convert::Infallible;
use zeroize::{Zeroize, Zeroizing};

/// What is known of a key and fixed for its life: sealed with it, seen by policy, attested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// The key's address.
    pub address: Address,
    /// Where the key came from.
    pub origin: Origin,
    /// The client that had it made.
    pub creator: String,
    /// When it was made, in seconds of Unix time by the enclave's clock.
    pub created: u64,
    /// What its creator says of it, by name.
    pub labels: BTreeMap<String, String>,
}

/// A secp256k1 private key; erased when dropped.
pub struct PrivateKey {
    signing: SigningKey,
    address: Address,
}

/// Where a signature's nonce comes from (RFC 6979).
pub enum Nonces<'a> {
    /// From the key and the hash alone (section 3.2): equal requests give equal signatures.
    Deterministic,
    /// From the key, the hash and 32 fresh random bytes (section 3.6), against fault attacks that
    /// compare two signatures of one hash.
    Hedged(&'a [u8; 32]),
}

impl PrivateKey {
    /// The key with this big-endian value; `None` if the value is 0 or not below the group's order.
    #[must_use]
    pub fn from_material(material: &[u8; 32]) -> Option<Self> {
        let signing = SigningKey::from_slice(material).ok()?;
        let address = address_of(signing.verifying_key());
        Some(Self { signing, address })
    }

    /// The address whose transactions this key signs.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The public key: the point's two coordinates, big-endian.
    #[must_use]
    pub fn public_key(&self) -> FixedBytes<64> {
        // SEC1's uncompressed form is the byte 4 and 64 bytes of coordinates.
        FixedBytes::from_slice(&self.signing.verifying_key().to_sec1_point(false).as_bytes()[1..])
    }

    /// The key's 32 bytes, big-endian. Only for sealing them into a record.
    #[must_use]
    pub(crate) fn expose(&self) -> Zeroizing<[u8; 32]> {
        let mut repr = self.signing.to_bytes();
        let material = Zeroizing::new(repr.into());
        repr.as_mut_slice().zeroize();
        material
    }

    /// Signs a 32-byte hash, with s in the lower half of the order (EIP-2). `None` in the one case
    /// that Ethereum's signatures cannot express (R's x at or above the order: 2^-127 of all).
    #[must_use]
    pub(crate) fn sign_hash(&self, hash: B256, nonces: Nonces<'_>) -> Option<HashSignature> {
        let (signature, recovery) = match nonces {
            Nonces::Deterministic => self.signing.sign_prehash_recoverable(hash.as_slice()),
            Nonces::Hedged(random) => {
                let Ok(signed) = self
                    .signing
                    .sign_prehash_recoverable_with_rng(&mut GivenBytes(random), hash.as_slice());
                signed
            }
        };
        if recovery.is_x_reduced() {
            return None;
        }
        let (r, s) = signature.split_bytes();
        Some(HashSignature {
            r: B256::from_slice(&r),
            s: B256::from_slice(&s),
            y_parity: recovery.is_y_odd(),
        })
    }
}

/// A signature over a hash from which the signer's public key can be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashSignature {
    /// r, big-endian.
    pub(crate) r: B256,
    /// s, big-endian.
    pub(crate) s: B256,
    /// The parity of R's y coordinate.
    pub(crate) y_parity: bool,
}

impl HashSignature {
    /// The one public key under which this signature over `hash` verifies; `None` if r or s is
    /// out of range, s is in the upper half of the order (EIP-2), or no such key exists.
    #[must_use]
    pub(crate) fn recover(&self, hash: B256) -> Option<VerifyingKey> {
        let signature = Signature::from_scalars(self.r.0, self.s.0).ok()?;
        if signature.normalize_s() != signature {
            return None;
        }
        let recovery = RecoveryId::new(self.y_parity, false);
        VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, recovery).ok()
    }

    /// The form in which transactions are encoded.
    #[must_use]
    pub(crate) fn to_alloy(self) -> alloy_primitives::Signature {
        let [r, s] = [self.r, self.s].map(|word| U256::from_be_bytes(word.0));
        alloy_primitives::Signature::new(r, s, self.y_parity)
    }
}

/// The address of a public key: the last 20 bytes of keccak256 of its two coordinates.
#[must_use]
pub(crate) fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    // SEC1's uncompressed form is the byte 4 and 64 bytes of coordinates.
    Address::from_word(keccak256(&point.as_bytes()[1..]))
}

/// Hands the nonce derivation the very bytes it was given; it asks for 32 of them, once.
struct GivenBytes<'a>(&'a [u8; 32]);

impl TryRng for GivenBytes<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for (to, from) in out.iter_mut().zip(self.0.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

impl TryCryptoRng for GivenBytes<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256};

    fn key(byte: u8) -> PrivateKey {
        PrivateKey::from_material(&[byte; 32]).expect("is below the order")
    }

    #[test]
    fn a_key_is_above_zero_and_below_the_order() {
        let order = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let below = b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140");
        assert!(PrivateKey::from_material(&[0; 32]).is_none());
        assert!(PrivateKey::from_material(&[0xff; 32]).is_none());
        assert!(PrivateKey::from_material(&order.0).is_none());
        assert!(PrivateKey::from_material(&below.0).is_some());
    }

    /// The address that EIP-155's example recovers to.
    #[test]
    fn an_address_is_as_ethereum_has_it() {
        assert_eq!(key(0x46).address(), address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"));
    }

    #[test]
    fn what_is_exposed_makes_the_same_key() {
        let again = PrivateKey::from_material(&key(7).expose()).expect("is a key");
        assert_eq!(again.address(), key(7).address());
        assert_eq!(*key(7).expose(), [7; 32]);
    }

    #[test]
    fn hedged_nonces_differ_with_the_bytes_and_all_recover() {
        let hash = keccak256("a message");
        let sign = |n: Nonces<'_>| key(7).sign_hash(hash, n).expect("signs");
        let signatures = [
            sign(Nonces::Deterministic),
            sign(Nonces::Hedged(&[1; 32])),
            sign(Nonces::Hedged(&[2; 32])),
        ];
        assert_eq!(signatures[0], sign(Nonces::Deterministic));
        assert_eq!(signatures[1], sign(Nonces::Hedged(&[1; 32])));
        assert_ne!(signatures[0].r, signatures[1].r);
        assert_ne!(signatures[1].r, signatures[2].r);
        for signature in signatures {
            let recovered = signature.recover(hash).expect("recovers");
            assert_eq!(address_of(&recovered), key(7).address());
        }
    }

    #[test]
    fn a_signature_with_s_in_the_upper_half_or_out_of_range_recovers_nothing() {
        let order = k256_order();
        let hash = keccak256("a message");
        let good = key(7).sign_hash(hash, Nonces::Deterministic).expect("signs");
        let with = |r: U256, s: U256| {
            HashSignature { r: r.into(), s: s.into(), y_parity: good.y_parity }.recover(hash)
        };
        let [r, s] = [good.r, good.s].map(|w| U256::from_be_bytes(w.0));
        assert!(with(r, s).is_some());
        for (r, s) in [
            (r, order - s),
            (r, U256::ZERO),
            (U256::ZERO, s),
            (order, s),
            (r, order),
            (U256::MAX, s),
            (r, U256::MAX),
        ] {
            assert!(with(r, s).is_none(), "{r} {s}");
        }
        let other = HashSignature { y_parity: !good.y_parity, ..good };
        let other = other.recover(hash).map(|k| address_of(&k));
        assert_ne!(other, Some(key(7).address()));
    }

    fn k256_order() -> U256 {
        U256::from_be_bytes(
            b256!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141").0,
        )
    }
}
