//! Who asks: a client that proved itself by a signature, or one that the parent merely names.
//!
//! [`Client`] exists only for a proof that verified for this very request under this manifest and
//! had not been used; [`AssertedClient`] only for a name that the manifest lets the parent assert.
//! A proof that fails refuses the request: it never falls back to the asserted name.

mod replay;

use crate::key::HashSignature;
use alloy_primitives::B256;
use k256::ecdsa::VerifyingKey;
use nitro_signer_shared::manifest::{Manifest, ManifestHash, Name};
use nitro_signer_shared::proof::{ClientProof, Intent, MAX_LIFETIME_S};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use replay::SeenRequests;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// A client whose proof was verified here. Not even a compromised parent can be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client(Name);

/// A client by the parent's word alone, which read a transport certificate. A compromised parent
/// can be any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertedClient(Name);

/// Whoever stands behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Proved by signature.
    Client(Client),
    /// Asserted by the parent.
    Asserted(AssertedClient),
}

impl Client {
    /// The client's name in the manifest.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.0
    }
}

impl AssertedClient {
    /// The name in its transport certificate, which the manifest lists.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.0
    }
}

impl Caller {
    /// The client, if it proved itself.
    ///
    /// # Errors
    /// `ProofRequired` for a client that is only asserted.
    pub fn proved(&self) -> Result<&Client, Refusal> {
        match self {
            Self::Client(client) => Ok(client),
            Self::Asserted(_) => Err(RefusalCode::ProofRequired.into()),
        }
    }
}

/// The callers that one manifest knows, and the request ids used in this boot.
pub struct Callers {
    clients: HashMap<[u8; 33], Name>,
    asserted: HashSet<Name>,
    seen: Mutex<SeenRequests>,
}

impl Callers {
    /// Reads the manifest's clients.
    ///
    /// # Errors
    /// `ManifestInvalid` if a client's public key is not a point of secp256k1.
    pub fn new(manifest: &Manifest) -> Result<Self, Refusal> {
        let clients = manifest.clients.iter().map(|client| {
            VerifyingKey::from_sec1_bytes(client.public_key.as_slice()).map_err(|_| {
                let name = &client.name;
                let text = format!(
                    "clients: {name}: write public_key as a compressed secp256k1 point, 33 bytes"
                );
                Refusal::new(RefusalCode::ManifestInvalid, text)
            })?;
            Ok((client.public_key.0, client.name.clone()))
        });
        Ok(Self {
            clients: clients.collect::<Result<_, Refusal>>()?,
            asserted: manifest.asserted.iter().map(|entry| entry.name.clone()).collect(),
            seen: Mutex::new(SeenRequests::default()),
        })
    }

    /// Finds out who asks for `intent`: by the one proof if there is one, else by the name that
    /// the parent asserts. `now_s` is the enclave's clock in seconds of Unix time. A proof serves
    /// once, whatever becomes of its request afterwards.
    ///
    /// # Errors
    /// `ProofCount`, `ProofExpired`, `ProofInvalid`, `ProofReplayed` or `Busy` for a proof;
    /// `NotAuthenticated` if nobody the manifest knows is named.
    pub fn authenticate(
        &self,
        asserted: Option<&str>,
        proofs: &[ClientProof],
        intent: &Intent,
        manifest: &ManifestHash,
        now_s: u64,
    ) -> Result<Caller, Refusal> {
        match proofs {
            [] => self.find_asserted(asserted).map(Caller::Asserted),
            [proof] => self.verify(proof, intent, manifest, now_s).map(Caller::Client),
            _ => {
                let text = format!("{} proofs; this action takes one", proofs.len());
                Err(Refusal::new(RefusalCode::ProofCount, text))
            }
        }
    }

    fn find_asserted(&self, name: Option<&str>) -> Result<AssertedClient, Refusal> {
        let name = name.and_then(|text| text.parse::<Name>().ok());
        let known = name.filter(|name| self.asserted.contains(name));
        known.map(AssertedClient).ok_or_else(|| RefusalCode::NotAuthenticated.into())
    }

    fn verify(
        &self,
        proof: &ClientProof,
        intent: &Intent,
        manifest: &ManifestHash,
        now_s: u64,
    ) -> Result<Client, Refusal> {
        if proof.expiry <= now_s || proof.expiry - now_s > MAX_LIFETIME_S {
            return Err(RefusalCode::ProofExpired.into());
        }
        let hash = intent.signing_hash(manifest, proof.request_id, proof.expiry);
        let key = signature_of(proof).and_then(|signature| signature.recover(hash));
        let client = key
            .and_then(|key| <[u8; 33]>::try_from(key.to_sec1_point(true).as_bytes()).ok())
            .and_then(|key| self.clients.get(&key))
            .ok_or_else(|| Refusal::from(RefusalCode::ProofInvalid))?;
        // A lock that a panic poisoned still holds every id recorded before it.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.admit(proof.request_id, proof.expiry, now_s)?;
        Ok(Client(client.clone()))
    }
}

/// The parts of a proof's signature, if its v is one of the four that stand for a parity.
fn signature_of(proof: &ClientProof) -> Option<HashSignature> {
    let (rs, v) = proof.signature.split_at(64);
    let y_parity = match v {
        [0 | 27] => false,
        [1 | 28] => true,
        _ => return None,
    };
    let (r, s) = rs.split_at(32);
    Some(HashSignature { r: B256::from_slice(r), s: B256::from_slice(s), y_parity })
}

#[cfg(test)]
pub(crate) mod tests;
