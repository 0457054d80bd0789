//! The keys and aliases of the development KMS: one account, one or more regions.
//!
//! Everything here is what the state's file holds; what time does to keys happens in [`Keys::settle`].

use super::asymmetric::{Curve, SigningKey};
use super::error::ApiError;
use super::key::{DAY_MS, Deletion, Key, KeyId, Material, Origin, State};
use super::material::{Rotation, Versions, key_of_blob};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More would be a fault of whoever drives the tests.
const MAX_KEYS: usize = 10_000;

/// How a request named a key, resolved.
pub(super) struct Found {
    pub(super) key: Key,
    /// The alias it was named by, `alias/…`.
    pub(super) alias: Option<String>,
}

/// What a new key is made of.
pub(super) struct NewKey {
    pub(super) description: String,
    pub(super) policy: String,
    pub(super) origin: Origin,
    pub(super) curve: Option<Curve>,
    pub(super) multi_region: bool,
    pub(super) tags: BTreeMap<String, String>,
}

impl NewKey {
    /// A key of one region, with nothing on it yet.
    fn into_key(
        self,
        id: KeyId,
        region: &str,
        arn: String,
        material: Material,
        created_ms: u64,
    ) -> Key {
        Key {
            id,
            region: region.to_owned(),
            arn,
            description: self.description,
            created_ms,
            policy: self.policy,
            origin: self.origin,
            material,
            primary_region: None,
            disabled: false,
            deletion: None,
            schedule: None,
            tags: self.tags,
            grants: vec![],
            imports: vec![],
            expires_ms: None,
        }
    }
}

/// A further name of a key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Alias {
    pub(super) target: KeyId,
    pub(super) created_ms: u64,
    pub(super) updated_ms: u64,
}

/// What one region holds.
#[derive(Default, Serialize, Deserialize)]
struct Region {
    keys: BTreeMap<KeyId, Key>,
    aliases: BTreeMap<String, Alias>,
}

/// All keys and aliases of one account.
#[derive(Serialize, Deserialize)]
pub(super) struct Keys {
    account: String,
    regions: BTreeMap<String, Region>,
}

impl Keys {
    pub(super) fn new<'a>(account: &str, regions: impl Iterator<Item = &'a str>) -> Self {
        let regions = regions.map(|region| (region.to_owned(), Region::default())).collect();
        Self { account: account.to_owned(), regions }
    }

    /// Whether these are the keys of this account; regions that are new to them are added.
    pub(super) fn serve<'a>(
        &mut self,
        account: &str,
        regions: impl Iterator<Item = &'a str>,
    ) -> bool {
        for region in regions {
            self.regions.entry(region.to_owned()).or_default();
        }
        self.account == account
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn serves(&self, region: &str) -> bool {
        self.regions.contains_key(region)
    }

    fn region(&self, region: &str) -> Result<&Region, ApiError> {
        self.regions.get(region).ok_or_else(ApiError::internal)
    }

    fn region_mut(&mut self, region: &str) -> Result<&mut Region, ApiError> {
        self.regions.get_mut(region).ok_or_else(ApiError::internal)
    }

    fn prefix(&self, region: &str) -> String {
        format!("arn:aws:kms:{region}:{}:", self.account)
    }

    pub(super) fn create(
        &mut self,
        region: &str,
        new: NewKey,
        created_ms: u64,
    ) -> Result<&Key, ApiError> {
        let id = KeyId::generate(new.multi_region)?;
        let material = match (new.curve, new.origin) {
            (Some(curve), _) => Material::Signing(SigningKey::generate(curve)?),
            (None, Origin::Kms) => Material::Symmetric(Versions::generate(id, created_ms)?),
            (None, Origin::External) => Material::Symmetric(Versions::default()),
        };
        let arn = format!("{}key/{id}", self.prefix(region));
        let primary_region = new.multi_region.then(|| region.to_owned());
        let key = new.into_key(id, region, arn, material, created_ms);
        let key = Key { primary_region, ..key };
        self.insert(key)
    }

    /// Adds a key to its region.
    fn insert(&mut self, key: Key) -> Result<&Key, ApiError> {
        let region = self.region_mut(&key.region)?;
        if region.keys.len() >= MAX_KEYS {
            return Err(ApiError::limit("too many keys"));
        }
        Ok(region.keys.entry(key.id).or_insert(key))
    }

    /// Makes a replica of a primary key. It has the primary's id and material (imported material
    /// has to be imported anew) and nothing else of it.
    pub(super) fn replicate(
        &mut self,
        primary: &Key,
        region: &str,
        new: NewKey,
        created_ms: u64,
    ) -> Result<&Key, ApiError> {
        let arn = format!("{}key/{}", self.prefix(region), primary.id);
        if self.region(region)?.keys.contains_key(&primary.id) {
            let text = format!("{arn} is there already");
            return Err(ApiError::ours("AlreadyExistsException", text));
        }
        let mut material = primary.material.clone();
        if let (Material::Symmetric(versions), Origin::External) = (&mut material, primary.origin) {
            versions.forget();
        }
        let key = new.into_key(primary.id, region, arn, material, created_ms);
        let primary_region = primary.primary_region.clone();
        self.insert(Key { primary_region, ..key })
    }

    /// Every region's key of this id: a primary key and its replicas.
    pub(super) fn related(&self, id: KeyId) -> Vec<&Key> {
        self.regions.values().filter_map(|region| region.keys.get(&id)).collect()
    }

    pub(super) fn all<'a>(&'a self, region: &str) -> impl Iterator<Item = &'a Key> + use<'a> {
        self.regions.get(region).into_iter().flat_map(|region| region.keys.values())
    }

    /// Finds a key by its id, its ARN, an alias' name or an alias' ARN.
    pub(super) fn find(&self, region: &str, name: &str) -> Result<Found, ApiError> {
        let prefix = self.prefix(region);
        let local = match name.strip_prefix(&prefix) {
            Some(rest) => rest,
            None if name.starts_with("arn:") => return Err(foreign(region, name)),
            None => name,
        };
        let here = self.region(region)?;
        if local.starts_with("alias/") {
            let alias = here
                .aliases
                .get(local)
                .ok_or_else(|| not_found(format!("Alias {prefix}{local} is not found.")))?;
            let key = here.keys.get(&alias.target).ok_or_else(ApiError::internal)?.clone();
            return Ok(Found { key, alias: Some(local.to_owned()) });
        }
        // An ARN says key/…, a bare id does not.
        let id = match (local.strip_prefix("key/"), local.len() == name.len()) {
            (Some(id), false) => id,
            (None, true) => local,
            _ => return Err(not_found(format!("Invalid keyId '{name}'"))),
        };
        KeyId::parse(id)
            .and_then(|id| here.keys.get(&id))
            .map(|key| Found { key: key.clone(), alias: None })
            .ok_or_else(|| not_found(format!("Key '{prefix}key/{id}' does not exist")))
    }

    /// The key of this region that made a blob.
    pub(super) fn of_blob(&self, region: &str, blob: &[u8]) -> Result<Key, ApiError> {
        let bytes = key_of_blob(blob).ok_or_else(ApiError::invalid_ciphertext)?;
        let keys = &self.region(region)?.keys;
        let key = [false, true]
            .into_iter()
            .find_map(|multi_region| keys.get(&KeyId::of(bytes, multi_region)));
        key.cloned().ok_or_else(|| {
            ApiError::new(
                "AccessDeniedException",
                "The ciphertext refers to a customer master key that does not exist, does not \
                 exist in this region, or you are not allowed to access.",
            )
        })
    }

    /// The stored key, to be changed.
    pub(super) fn stored(&mut self, key: &Key) -> Result<&mut Key, ApiError> {
        self.region_mut(&key.region)?.keys.get_mut(&key.id).ok_or_else(ApiError::internal)
    }

    /// Encrypts with new material from now on, in every region.
    pub(super) fn rotate(
        &mut self,
        primary: &Key,
        now_ms: u64,
        rotation: Rotation,
    ) -> Result<(), ApiError> {
        let Material::Symmetric(mut versions) = self.stored(primary)?.material.clone() else {
            return Err(ApiError::internal());
        };
        versions.rotate(primary.id, now_ms, rotation)?;
        for region in self.regions.values_mut() {
            if let Some(key) = region.keys.get_mut(&primary.id) {
                key.material = Material::Symmetric(versions.clone());
            }
        }
        Ok(())
    }

    // ---- aliases ---------------------------------------------------------------------------

    /// Gives a key a further name, `alias/…`.
    pub(super) fn alias(&mut self, name: &str, key: &Key, now_ms: u64) -> Result<(), ApiError> {
        let arn = self.alias_arn(&key.region, name);
        let aliases = &mut self.region_mut(&key.region)?.aliases;
        if aliases.contains_key(name) {
            let text = format!("An alias with the name {arn} already exists");
            return Err(ApiError::new("AlreadyExistsException", text));
        }
        if aliases.len() >= MAX_KEYS {
            return Err(ApiError::limit("too many aliases"));
        }
        let alias = Alias { target: key.id, created_ms: now_ms, updated_ms: now_ms };
        aliases.insert(name.to_owned(), alias);
        Ok(())
    }

    pub(super) fn aliases(&self, region: &str) -> Vec<(String, Alias)> {
        let all = self.regions.get(region).into_iter().flat_map(|region| &region.aliases);
        all.map(|(name, alias)| (name.clone(), *alias)).collect()
    }

    /// Has an alias name another key.
    pub(super) fn point(&mut self, name: &str, key: &Key, now_ms: u64) -> Result<(), ApiError> {
        let alias = self.region_mut(&key.region)?.aliases.get_mut(name);
        let alias = alias.ok_or_else(ApiError::internal)?;
        alias.target = key.id;
        alias.updated_ms = now_ms;
        Ok(())
    }

    pub(super) fn forget_alias(&mut self, region: &str, name: &str) -> Result<(), ApiError> {
        self.region_mut(region)?.aliases.remove(name);
        Ok(())
    }

    pub(super) fn alias_arn(&self, region: &str, name: &str) -> String {
        format!("{}{name}", self.prefix(region))
    }

    // ---- time ------------------------------------------------------------------------------

    /// Does what time has brought: deletions, expiry of imported material, rotations. Whether
    /// anything changed.
    pub(super) fn settle(&mut self, now_ms: u64) -> Result<bool, ApiError> {
        let mut changed = false;
        for region in self.regions.values_mut() {
            let before = region.keys.len();
            let due = |key: &Key| matches!(key.deletion, Some(Deletion::At { ms }) if ms <= now_ms);
            region.keys.retain(|_, key| !due(key));
            let Region { keys, aliases } = region;
            aliases.retain(|_, alias| keys.contains_key(&alias.target));
            changed |= keys.len() != before;
            for key in keys.values_mut() {
                if key.expires_ms.is_some_and(|expires| expires <= now_ms) {
                    key.expires_ms = None;
                    if let Material::Symmetric(versions) = &mut key.material {
                        versions.forget();
                    }
                    changed = true;
                }
            }
        }
        let waits = |key: &&Key| {
            matches!(key.deletion, Some(Deletion::AfterReplicas { .. }))
                || key.schedule.is_some_and(|schedule| schedule.next_ms <= now_ms)
        };
        let keys = self.regions.values().flat_map(|region| region.keys.values());
        let waiting: Vec<Key> = keys.filter(waits).cloned().collect();
        for key in waiting {
            changed |= self.settle_primary(&key, now_ms)?;
        }
        Ok(changed)
    }

    fn settle_primary(&mut self, key: &Key, now_ms: u64) -> Result<bool, ApiError> {
        if let Some(Deletion::AfterReplicas { days }) = key.deletion
            && self.related(key.id).len() == 1
        {
            self.stored(key)?.deletion = Some(Deletion::At { ms: now_ms + days * DAY_MS });
            return Ok(true);
        }
        let Some(mut schedule) = key.schedule.filter(|schedule| schedule.next_ms <= now_ms) else {
            return Ok(false);
        };
        if key.state() != State::Enabled {
            return Ok(false);
        }
        self.rotate(key, schedule.next_ms, Rotation::Automatic)?;
        while schedule.next_ms <= now_ms {
            schedule.next_ms += schedule.period_days * DAY_MS;
        }
        self.stored(key)?.schedule = Some(schedule);
        Ok(true)
    }
}

fn foreign(here: &str, arn: &str) -> ApiError {
    match arn.split(':').nth(3) {
        Some(region) if region != here => not_found(format!("Invalid arn {region}")),
        _ => not_found(format!("Key '{arn}' does not exist")),
    }
}

fn not_found(text: String) -> ApiError {
    ApiError::new("NotFoundException", text)
}
