//! The keys and aliases of the development KMS, in memory only.

use super::error::ApiError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use nitro_signer_shared::key_policy::Policy;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest CiphertextBlob KMS takes, in bytes (KMS API reference, Decrypt).
pub(super) const MAX_BLOB: usize = 6_144;
/// More would be a fault of whoever drives the tests.
const MAX_KEYS: usize = 10_000;

const BLOB_VERSION: u8 = 1;
const NONCE: usize = 12;
const HEADER: usize = 1 + 16;

/// An encryption context: what Decrypt must be given again.
pub(super) type EncryptionContext = BTreeMap<String, String>;

/// One symmetric key.
#[derive(Clone)]
pub(super) struct Key {
    id: KeyId,
    pub(super) arn: String,
    pub(super) description: String,
    /// Seconds of Unix time.
    pub(super) created: u64,
    /// As it was put, byte for byte.
    pub(super) policy_text: String,
    pub(super) policy: Policy,
    material: Arc<RandomizedNonceKey>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyId([u8; 16]);

impl KeyId {
    /// A random UUID (RFC 9562, version 4).
    fn generate() -> Result<Self, ApiError> {
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| ApiError::internal())?;
        id[6] = (id[6] & 0x0f) | 0x40;
        id[8] = (id[8] & 0x3f) | 0x80;
        Ok(Self(id))
    }

    fn text(self) -> String {
        let hex = hex::encode(self.0);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl Key {
    pub(super) fn id_text(&self) -> String {
        self.id.text()
    }

    /// Encrypts under this key: version || key id || nonce || ciphertext || tag, with all of it
    /// and the encryption context bound by the tag.
    pub(super) fn encrypt(
        &self,
        plaintext: &[u8],
        context: &EncryptionContext,
    ) -> Result<Vec<u8>, ApiError> {
        let mut sealed = plaintext.to_vec();
        let nonce = self
            .material
            .seal_in_place_append_tag(Aad::from(self.bound(context)), &mut sealed)
            .map_err(|_| ApiError::internal())?;
        Ok([&[BLOB_VERSION], &self.id.0[..], nonce.as_ref(), &sealed].concat())
    }

    /// Decrypts what this key encrypted with the same context.
    pub(super) fn decrypt(
        &self,
        blob: &[u8],
        context: &EncryptionContext,
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let (nonce, sealed) = blob
            .get(HEADER..)
            .and_then(|rest| rest.split_first_chunk::<NONCE>())
            .ok_or_else(ApiError::invalid_ciphertext)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let length = self
            .material
            .open_in_place(Nonce::from(nonce), Aad::from(self.bound(context)), &mut sealed)
            .map_err(|_| ApiError::invalid_ciphertext())?
            .len();
        sealed.truncate(length);
        Ok(sealed)
    }

    /// The key and the context, each text behind its length.
    fn bound(&self, context: &EncryptionContext) -> Vec<u8> {
        let texts = context.iter().flat_map(|(name, value)| [name, value]);
        let mut out = vec![BLOB_VERSION];
        for text in std::iter::once(&self.arn).chain(texts) {
            out.extend((text.len() as u64).to_be_bytes());
            out.extend(text.as_bytes());
        }
        out
    }
}

/// How a request named a key, resolved.
pub(super) struct Found {
    pub(super) key: Key,
    /// The alias it was named by, `alias/…`.
    pub(super) alias: Option<String>,
}

/// All keys and aliases of one account and region.
pub(super) struct Keys {
    prefix: String,
    region: String,
    keys: BTreeMap<KeyId, Key>,
    aliases: BTreeMap<String, KeyId>,
}

impl Keys {
    pub(super) fn new(region: &str, account: &str) -> Self {
        Self {
            prefix: format!("arn:aws:kms:{region}:{account}:"),
            region: region.to_owned(),
            keys: BTreeMap::new(),
            aliases: BTreeMap::new(),
        }
    }

    pub(super) fn create(
        &mut self,
        description: String,
        policy_text: String,
        policy: Policy,
        created: u64,
    ) -> Result<&Key, ApiError> {
        if self.keys.len() >= MAX_KEYS {
            return Err(ApiError::ours("LimitExceededException", "too many keys"));
        }
        let mut material = Zeroizing::new([0u8; 32]);
        rand::fill(material.as_mut()).map_err(|_| ApiError::internal())?;
        let material = RandomizedNonceKey::new(&AES_256_GCM, material.as_ref())
            .map_err(|_| ApiError::internal())?;
        let id = KeyId::generate()?;
        let arn = format!("{}key/{}", self.prefix, id.text());
        let material = Arc::new(material);
        let key = Key { id, arn, description, created, policy_text, policy, material };
        Ok(self.keys.entry(id).or_insert(key))
    }

    /// Finds a key by its UUID, its ARN, an alias' name or an alias' ARN.
    pub(super) fn find(&self, name: &str) -> Result<Found, ApiError> {
        let local = match name.strip_prefix(&self.prefix) {
            Some(rest) => rest,
            None if name.starts_with("arn:") => return Err(self.foreign(name)),
            None => name,
        };
        if local.starts_with("alias/") {
            let id = self
                .aliases
                .get(local)
                .ok_or_else(|| not_found(format!("Alias {}{local} is not found.", self.prefix)))?;
            let key = self.keys.get(id).ok_or_else(ApiError::internal)?.clone();
            return Ok(Found { key, alias: Some(local.to_owned()) });
        }
        // An ARN says key/…, a bare UUID does not.
        let uuid = match (local.strip_prefix("key/"), local.len() == name.len()) {
            (Some(uuid), false) => uuid,
            (None, true) => local,
            _ => return Err(not_found(format!("Invalid keyId '{name}'"))),
        };
        self.keys
            .values()
            .find(|key| key.id.text() == uuid)
            .map(|key| Found { key: key.clone(), alias: None })
            .ok_or_else(|| not_found(format!("Key '{}key/{uuid}' does not exist", self.prefix)))
    }

    /// The key that made a blob.
    pub(super) fn of_blob(&self, blob: &[u8]) -> Result<Key, ApiError> {
        let id = blob
            .split_first()
            .filter(|(version, _)| **version == BLOB_VERSION)
            .and_then(|(_, rest)| rest.first_chunk::<16>())
            .ok_or_else(ApiError::invalid_ciphertext)?;
        self.keys.get(&KeyId(*id)).cloned().ok_or_else(|| {
            ApiError::new(
                "AccessDeniedException",
                "The ciphertext refers to a customer master key that does not exist, does not \
                 exist in this region, or you are not allowed to access.",
            )
        })
    }

    pub(super) fn put_policy(
        &mut self,
        key: &Key,
        text: String,
        policy: Policy,
    ) -> Result<(), ApiError> {
        let key = self.keys.get_mut(&key.id).ok_or_else(ApiError::internal)?;
        key.policy_text = text;
        key.policy = policy;
        Ok(())
    }

    /// Gives a key a further name, `alias/…`.
    pub(super) fn alias(&mut self, name: &str, key: &Key) -> Result<(), ApiError> {
        if self.aliases.contains_key(name) {
            let text = format!("An alias with the name {} already exists", self.alias_arn(name));
            return Err(ApiError::new("AlreadyExistsException", text));
        }
        if self.aliases.len() >= MAX_KEYS {
            return Err(ApiError::ours("LimitExceededException", "too many aliases"));
        }
        self.aliases.insert(name.to_owned(), key.id);
        Ok(())
    }

    pub(super) fn alias_arn(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn foreign(&self, arn: &str) -> ApiError {
        match arn.split(':').nth(3) {
            Some(region) if region != self.region => not_found(format!("Invalid arn {region}")),
            _ => not_found(format!("Key '{arn}' does not exist")),
        }
    }
}

fn not_found(text: String) -> ApiError {
    ApiError::new("NotFoundException", text)
}
