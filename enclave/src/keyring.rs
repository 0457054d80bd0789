//! The keys this enclave holds, in order of address.

use crate::record::HeldKey;
use alloy_primitives::{Address, B256};
use nitro_signer_shared::claims;
use nitro_signer_shared::message::{KeyInfo, MAX_KEYS_PER_PAGE};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// The most keys one enclave holds. With every label at its longest a key takes about 7 KB, so this
/// many take 140 MB.
pub const MAX_KEYS: usize = 20_000;
/// The most bytes of keys in one page, which leaves room in a frame for CBOR around them.
const MAX_PAGE_BYTES: usize = 1_048_576;

/// Keys by address.
#[derive(Default)]
pub struct Keyring {
    keys: BTreeMap<Address, Arc<HeldKey>>,
    /// Made in this boot and not given back yet: each has a place, so that a key that was shown to
    /// its creator never finds the ring full.
    awaited: BTreeSet<Address>,
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
        if !self.awaited.remove(&address) && self.is_full() {
            return Err(KeyringFull);
        }
        self.keys.insert(address, Arc::new(key));
        self.root = None;
        Ok(())
    }

    /// Keeps a place for a key that is being made.
    ///
    /// # Errors
    /// [`KeyringFull`].
    pub fn await_key(&mut self, address: Address) -> Result<(), KeyringFull> {
        if self.is_full() {
            return Err(KeyringFull);
        }
        self.awaited.insert(address);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.keys.len() + self.awaited.len() >= MAX_KEYS
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
        let mut rest =
            self.keys.range((from, Bound::Unbounded)).map(|(_, key)| info(key)).peekable();
        let (mut page, mut bytes) = (Vec::new(), 0);
        while let Some(key) = rest.next_if(|key| {
            bytes += size(key);
            page.len() < MAX_KEYS_PER_PAGE && bytes <= MAX_PAGE_BYTES
        }) {
            page.push(key);
        }
        (page, rest.next().is_some())
    }

    /// How many keys are held, and the Merkle root over them, which is kept until one is added.
    pub fn count_and_root(&mut self) -> (u64, B256) {
        (self.keys.len() as u64, self.root())
    }

    fn root(&mut self) -> B256 {
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
        public_key: key.private.public_key(),
        address: facts.address,
        origin: facts.origin,
        created: facts.created,
        creator: facts.creator.clone(),
        labels: facts.labels.clone(),
    }
}

/// At least what a key takes in a page's CBOR: the fields' names, and each text with its length.
fn size(key: &KeyInfo) -> usize {
    let labels = key.labels.iter().map(|(name, value)| name.len() + value.len() + 4);
    240 + key.creator.len() + labels.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyFacts, PrivateKey};
    use nitro_signer_shared::message::{Origin, Response};

    fn key(number: u32, labels: usize) -> HeldKey {
        let mut material = [1; 32];
        material[..4].copy_from_slice(&number.to_be_bytes());
        let private = PrivateKey::from_material(&material).expect("is a key");
        let labels = (0..labels).map(|n| (format!("{n:032}"), "v".repeat(64)));
        let facts = KeyFacts {
            address: private.address(),
            origin: Origin::Generated,
            creator: "c".repeat(64),
            created: u64::MAX,
            labels: labels.collect(),
        };
        HeldKey { private, facts }
    }

    fn pages(ring: &Keyring) -> Vec<usize> {
        let (mut counts, mut after) = (Vec::new(), None);
        loop {
            let (keys, more) = ring.page(after);
            after = keys.last().map(|key| key.address);
            counts.push(keys.len());
            let answer = serde_cbor::to_vec(&Response::Keys { keys, more }).expect("encodes");
            assert!(answer.len() < nitro_signer_shared::frame::MAX_BODY - 4_096);
            if !more {
                return counts;
            }
        }
    }

    #[test]
    fn pages_end_at_their_count_or_their_size_and_hold_every_key() {
        let mut ring = Keyring::default();
        assert_eq!(pages(&ring), [0]);
        (0..1_001).for_each(|n| ring.add(key(n, 0)).expect("has room"));
        assert_eq!(pages(&ring), [1_000, 1]);
        let mut ring = Keyring::default();
        (0..500).for_each(|n| ring.add(key(n, 32)).expect("has room"));
        let counts = pages(&ring);
        assert!(counts.len() > 1);
        assert_eq!(counts.iter().sum::<usize>(), 500);
    }

    #[test]
    fn a_key_that_is_awaited_finds_its_place_in_a_full_ring() {
        let mut ring = Keyring::default();
        let (awaited, other) = (key(1, 0), key(2, 0));
        ring.await_key(awaited.facts.address).expect("has room");
        ring.awaited
            .extend((0..MAX_KEYS - 1).map(|n| Address::left_padding_from(&n.to_be_bytes())));
        assert_eq!(ring.await_key(other.facts.address), Err(KeyringFull));
        assert_eq!(ring.add(other), Err(KeyringFull));
        assert_eq!(ring.add(awaited), Ok(()));
        assert_eq!(ring.len(), 1);
    }
}
