//! Client proofs: the signature by which a client shows the enclave, past the parent, that a
//! request is its own.

use super::output::{Failure, now_ms, random, read_input};
use alloy_primitives::{Address, B256, FixedBytes};
use k256::ecdsa::SigningKey;
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_shared::proof::{ClientProof, Intent};
use serde_json::{Value, json};
use std::path::Path;
use zeroize::Zeroizing;

/// How long a proof serves, in seconds: the way to the enclave and two clocks that differ.
const LIFETIME_S: u64 = 120;

/// A client's key; it erases itself when dropped.
pub(super) struct ProofKey(SigningKey);

impl ProofKey {
    /// Reads a key: 64 hex digits, with or without 0x.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let refuse = || {
            let form = "must hold a secp256k1 key in hex: 64 digits";
            Failure::usage(format!("{}: {form}", path.display()))
        };
        let text = Zeroizing::new(read_input(path, 1_024)?);
        let text = std::str::from_utf8(&text).map_err(|_| refuse())?.trim();
        let mut bytes = Zeroizing::new([0u8; 32]);
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), bytes.as_mut())
            .map_err(|_| refuse())?;
        SigningKey::from_slice(bytes.as_ref()).map(Self).map_err(|_| refuse())
    }

    /// Its public key as a manifest names it: compressed SEC1.
    pub(super) fn public_key(&self) -> FixedBytes<33> {
        FixedBytes::from_slice(self.0.verifying_key().to_sec1_point(true).as_bytes())
    }

    /// The address of its public key.
    pub(super) fn address(&self) -> Address {
        Address::from_raw_public_key(&self.0.verifying_key().to_sec1_point(false).as_bytes()[1..])
    }

    /// A fresh proof of this intent under this manifest.
    pub(super) fn prove(
        &self,
        intent: &Intent,
        manifest: &ManifestHash,
    ) -> Result<ClientProof, Failure> {
        let request_id = B256::from(random::<32>()?);
        let expiry = now_ms() / 1_000 + LIFETIME_S;
        let hash = intent.signing_hash(manifest, request_id, expiry);
        let (signature, id) = self.0.sign_prehash_recoverable(hash.as_slice());
        let mut bytes = [0u8; 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes[64] = id.to_byte();
        Ok(ClientProof { request_id, expiry, signature: FixedBytes::from(bytes) })
    }
}

/// A proof as the REST interface takes it.
pub(super) fn to_json(proof: &ClientProof) -> Value {
    json!({
        "request_id": proof.request_id,
        "expiry": proof.expiry,
        "signature": proof.signature,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k256::ecdsa::{RecoveryId, Signature, VerifyingKey};

    fn key(text: &str) -> Result<ProofKey, Failure> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("key");
        std::fs::write(&path, text).expect("writes");
        ProofKey::load(&path)
    }

    #[test]
    fn a_proof_recovers_to_its_key_with_low_s() {
        let key = key(&format!("0x{}\n", "46".repeat(32))).expect("is a key");
        let manifest = ManifestHash::of(b"manifest");
        for n in 0..16 {
            let intent = Intent::sign_transaction(Address::repeat_byte(n), B256::ZERO);
            let proof = key.prove(&intent, &manifest).expect("signs");
            let hash = intent.signing_hash(&manifest, proof.request_id, proof.expiry);
            let signature = Signature::from_slice(&proof.signature[..64]).expect("is one");
            assert_eq!(signature.normalize_s(), signature, "s is in the lower half");
            let id = RecoveryId::from_byte(proof.signature[64]).expect("is one");
            let found = VerifyingKey::recover_from_prehash(hash.as_slice(), &signature, id);
            assert_eq!(&found.expect("recovers"), key.0.verifying_key());
        }
    }

    /// The example key of EIP-155, whose address the EIP's readers know.
    #[test]
    fn a_key_has_a_public_key_and_its_address() {
        let key = key(&"46".repeat(32)).expect("is a key");
        let address = alloy_primitives::address!("9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f");
        assert_eq!(key.address(), address);
        let point = k256::PublicKey::from_sec1_bytes(key.public_key().as_slice());
        assert_eq!(point.expect("is a point"), key.0.verifying_key().into());
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_quoted() {
        for text in ["", "0x", "zz", &"00".repeat(32), &"ff".repeat(32), &"46".repeat(33)] {
            let failure = key(text).err().expect("is refused");
            let said = format!("{failure:?}");
            assert!(text.len() < 8 || !said.contains(text), "{said}");
        }
    }
}
