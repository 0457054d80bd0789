//! The keys this enclave holds, in order of address.

use crate::record::HeldKey;
use alloy_primitives::{Address, B256};
use nitro_signer_shared::claims;
use nitro_signer_shared::message::{KeyInfo, MAX_KEYS_PER_PAGE};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The most keys one enclave holds; 10,000 fit into 256 MiB with room to spare.
pub const MAX_KEYS: usize = 50_000;

/// Keys by address.
#[derive(Default)]
pub struct Keyring {
    keys: BTreeMap<Address, Arc<HeldKey>>,
    root: Option<B256>,
}

/// The ring holds [`MAX_KEYS`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_KEYS} keys are held already")]
pub struct KeyringFull;

impl Keyring {
    /// Adds a key. One that is held already stays as it is: whoever stores records cannot replace
    /// a held key's facts by an older sealing of the same key.
    ///
    /// # Errors
    /// [`KeyringFull`].
    pub fn add(&mut self, key: HeldKey) -> Result<(), KeyringFull> {
        let address = key.facts.address;
        if self.keys.contains_key(&address) {
            return Ok(());
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(KeyringFull);
        }
        self.keys.insert(address, Arc::new(key));
        self.root = None;
        Ok(())
    }

    /// The key with this address.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<Arc<HeldKey>> {
        self.keys.get(address).cloned()
    }

    /// How many keys are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A page of keys after this address, and whether there are more.
    #[must_use]
    pub fn page(&self, after: Option<Address>) -> (Vec<KeyInfo>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.keys.range((from, Bound::Unbounded));
        let page = rest.by_ref().take(MAX_KEYS_PER_PAGE).map(|(_, key)| info(key)).collect();
        (page, rest.next().is_some())
    }

    /// The Merkle root over all keys; kept until a key is added.
    pub fn root(&mut self) -> B256 {
        *self.root.get_or_insert_with(|| {
            let leaves: Vec<Vec<u8>> = self
                .keys
                .values()
                .map(|k| &k.facts)
                .map(|f| claims::key_leaf(f.address, f.origin, f.created, &f.labels))
                .collect();
            claims::keys_root(&leaves)
        })
    }
}

fn info(key: &HeldKey) -> KeyInfo {
    let facts = &key.facts;
    KeyInfo {
        address: facts.address,
        origin: facts.origin,
        created: facts.created,
        creator: facts.creator.clone(),
        labels: facts.labels.clone(),
    }
}
