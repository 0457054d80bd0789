//! The vault: one secret that KMS releases, from which every record's key is derived.
//!
//! Its stored form is the header: which KMS keys wrap the secret, under which encryption context,
//! and the wrapped blobs. The header is not secret and not trusted: the KMS key and the context
//! are computed here from the measured manifest, and a header that says otherwise is refused.

use crate::custody::{Openable, SoleCustody};
use crate::derive::derive;
use crate::kms::{EncryptionContext, Kms, KmsError, ReleasedSecret};
use crate::policy::{Approved, NewVault};
use alloy_primitives::B256;
use aws_lc_rs::constant_time;
use nitro_signer_shared::manifest::Manifest;
use nitro_signer_shared::message::MAX_VAULT;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use std::collections::BTreeMap;
use zeroize::Zeroizing;

const FORMAT: u16 = 1;
const KEY_DOMAIN: &[u8] = b"nitro-signer/vault/v1";
const FINGERPRINT_DOMAIN: &[u8] = b"nitro-signer/vault-fingerprint/v1";

/// The stored form. What a host could change in it makes it useless, not dangerous.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u16,
    deployment: String,
    vault: String,
    /// One for each secret; the vault key needs all of them. Exactly one today.
    wrappings: Vec<Wrapping>,
    fingerprint: B256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapping {
    key_arn: String,
    context: BTreeMap<String, String>,
    blob: ByteBuf,
}

/// An open vault's key: 48 bytes, erased on drop.
pub struct VaultKey {
    key: Zeroizing<[u8; 48]>,
    fingerprint: B256,
}

impl VaultKey {
    /// A fingerprint that tells this vault key from any other and nothing else about it.
    #[must_use]
    pub const fn fingerprint(&self) -> B256 {
        self.fingerprint
    }

    /// The key of one record: 64 bytes, the second half of which is its commitment.
    pub(crate) fn derive_record(&self, id: &[u8; 16], salt: &[u8; 32]) -> Zeroizing<[u8; 64]> {
        derive(self.key.as_slice(), salt, &[b"record/v1", id])
    }

    fn from_secrets(secrets: &[ReleasedSecret], manifest: &Manifest) -> Self {
        let mut joined = Zeroizing::new(Vec::with_capacity(secrets.len() * 32));
        for secret in secrets {
            joined.extend_from_slice(secret.expose());
        }
        let (deployment, vault) = (manifest.deployment.as_str(), manifest.vault.as_str());
        let key = derive(&joined, KEY_DOMAIN, &[deployment.as_bytes(), vault.as_bytes()]);
        let fingerprint: Zeroizing<[u8; 32]> = derive(key.as_slice(), FINGERPRINT_DOMAIN, &[]);
        Self { fingerprint: B256::from(*fingerprint), key }
    }

    /// A vault key made from bytes that a test chose.
    #[cfg(test)]
    pub(crate) fn for_test(byte: u8) -> Self {
        Self { key: Zeroizing::new([byte; 48]), fingerprint: B256::repeat_byte(byte) }
    }
}

/// A vault that KMS made a secret for and that nobody has yet.
pub struct MadeVault(Header);

impl MadeVault {
    /// The header to store.
    ///
    /// # Errors
    /// Internal if it does not encode.
    pub fn give(self, _custody: SoleCustody) -> Result<Vec<u8>, Refusal> {
        serde_cbor::to_vec(&self.0).map_err(|_| Refusal::from(RefusalCode::Internal))
    }
}

/// A vault whose secret KMS released and whose key serves nothing yet.
pub struct ReleasedVault(VaultKey);

impl ReleasedVault {
    /// The vault's key.
    #[must_use]
    pub fn open(self, _custody: Openable) -> VaultKey {
        self.0
    }
}

/// Has KMS generate a secret and checks that KMS opens it again.
///
/// # Errors
/// The refusal of whichever call to KMS failed; KmsRejected if what KMS opens is not what it
/// generated.
pub async fn create(
    _approved: Approved<NewVault>,
    kms: &Kms,
    manifest: &Manifest,
) -> Result<MadeVault, Refusal> {
    let context = encryption_context(manifest, 0);
    let (blob, secret) = kms.generate(&context).await?;
    let opened = kms.decrypt(&blob, &context).await?;
    constant_time::verify_slices_are_equal(secret.expose(), opened.expose())
        .map_err(|_| KmsError::Rejected("KMS opened another secret than it generated"))?;
    let key = VaultKey::from_secrets(&[secret], manifest);
    Ok(MadeVault(Header {
        format: FORMAT,
        deployment: manifest.deployment.to_string(),
        vault: manifest.vault.to_string(),
        wrappings: vec![Wrapping {
            key_arn: manifest.wrapping_key().to_string(),
            context: context.into_iter().collect(),
            blob: ByteBuf::from(blob),
        }],
        fingerprint: key.fingerprint,
    }))
}

/// Has KMS release a stored vault's secret.
///
/// # Errors
/// VaultInvalid if the header is not this manifest's; the refusal of the call to KMS.
pub async fn release(
    kms: &Kms,
    manifest: &Manifest,
    stored: &[u8],
) -> Result<ReleasedVault, Refusal> {
    let context = encryption_context(manifest, 0);
    let (blob, fingerprint) = read(manifest, &context, stored)?;
    let secret = kms.decrypt(&blob, &context).await?;
    let key = VaultKey::from_secrets(&[secret], manifest);
    if key.fingerprint != fingerprint {
        return Err(invalid("its fingerprint is not that of the secret KMS released"));
    }
    Ok(ReleasedVault(key))
}

/// The one blob of a header that says exactly what the manifest says.
fn read(
    manifest: &Manifest,
    context: &EncryptionContext,
    stored: &[u8],
) -> Result<(Vec<u8>, B256), Refusal> {
    if stored.len() > MAX_VAULT {
        return Err(invalid("it is longer than a vault's header"));
    }
    let header: Header =
        serde_cbor::from_slice(stored).map_err(|_| invalid("it is not a vault's header"))?;
    if header.format != FORMAT {
        return Err(invalid("its format is another release's"));
    }
    if header.deployment != manifest.deployment.as_str() || header.vault != manifest.vault.as_str()
    {
        return Err(invalid("it is another deployment's or another vault's"));
    }
    let [wrapping] = <[Wrapping; 1]>::try_from(header.wrappings)
        .map_err(|_| invalid("it does not have exactly one wrapping"))?;
    if wrapping.key_arn != manifest.wrapping_key().as_str() {
        return Err(invalid("it is wrapped by another KMS key than the manifest names"));
    }
    if wrapping.context.into_iter().collect::<EncryptionContext>() != *context {
        return Err(invalid("its encryption context is not this vault's"));
    }
    Ok((wrapping.blob.into_vec(), header.fingerprint))
}

/// The exact encryption context of a vault secret, as the KMS key policy names it.
fn encryption_context(manifest: &Manifest, share: u16) -> EncryptionContext {
    let context = manifest.vault_name().encryption_context(share);
    context.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn invalid(reason: &str) -> Refusal {
    Refusal::new(RefusalCode::VaultInvalid, format!("The stored vault is refused: {reason}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        Manifest {
            format: 1,
            version: 1,
            deployment: "prod".parse().expect("is a name"),
            vault: "main".parse().expect("is a name"),
            wrapping_keys: vec![arn.parse().expect("is an ARN")],
            clients: vec![],
            asserted: vec![],
            addresses: vec![],
            policy: String::new(),
            abis: vec![],
            typed_data: vec![],
            switches: Default::default(),
            siblings: vec![],
            custody: Default::default(),
        }
    }

    fn header() -> Header {
        let manifest = manifest();
        Header {
            format: 1,
            deployment: "prod".to_owned(),
            vault: "main".to_owned(),
            wrappings: vec![Wrapping {
                key_arn: manifest.wrapping_key().to_string(),
                context: encryption_context(&manifest, 0).into_iter().collect(),
                blob: ByteBuf::from(b"blob".to_vec()),
            }],
            fingerprint: B256::ZERO,
        }
    }

    fn check(change: impl FnOnce(&mut Header)) -> bool {
        let mut header = header();
        change(&mut header);
        let stored = serde_cbor::to_vec(&header).expect("encodes");
        let manifest = manifest();
        read(&manifest, &encryption_context(&manifest, 0), &stored).is_ok()
    }

    #[test]
    fn only_a_header_that_says_what_the_manifest_says_is_read() {
        assert!(check(|_| {}));
        assert!(!check(|h| h.format = 2));
        assert!(!check(|h| h.deployment = "test".to_owned()));
        assert!(!check(|h| h.vault = "other".to_owned()));
        assert!(!check(|h| h.wrappings[0].key_arn = h.wrappings[0].key_arn.replace('a', "b")));
        assert!(!check(|h| h.wrappings.clear()));
        assert!(!check(|h| h.wrappings.extend(header().wrappings)));
        assert!(!check(|h| {
            h.wrappings[0].context.remove("share");
        }));
        assert!(!check(|h| {
            h.wrappings[0].context.insert("more".to_owned(), String::new());
        }));
        assert!(!check(|h| {
            h.wrappings[0].context.insert("purpose".to_owned(), "other".to_owned());
        }));
    }

    #[test]
    fn every_byte_of_a_cut_header_is_missed() {
        let manifest = manifest();
        let context = encryption_context(&manifest, 0);
        let stored = serde_cbor::to_vec(&header()).expect("encodes");
        for length in 0..stored.len() {
            assert!(read(&manifest, &context, &stored[..length]).is_err(), "{length}");
        }
        assert!(read(&manifest, &context, &[stored, vec![0]].concat()).is_err());
    }
}
