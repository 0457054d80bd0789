//! The manifest: one file that decides whose keys these are and who may do what with them.
//!
//! Its exact bytes are measured into PCR16 before they are parsed, so there is no canonical form:
//! two files that mean the same are two manifests. The format is CBOR, written by
//! `nitro-signer manifest build` from a folder that people edit.

use crate::attestation::pcr::{self, Pcr};
use crate::key_policy::form::{AdmittedSet, EntityArn, VaultName};
use alloy_primitives::{Address, B256, FixedBytes};
use aws_lc_rs::digest::{Context, SHA384};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// The one format this release reads.
pub const FORMAT: u16 = 1;
/// The longest manifest, in bytes. Cedar parses the policy in it at boot, in the enclave's memory.
pub const MAX_MANIFEST: usize = 524_288;
/// The PCR that holds the manifest's measurement.
pub const MANIFEST_PCR: u16 = 16;

const MAX_CLIENTS: usize = 1_000;
const MAX_ADDRESSES: usize = 10_000;
const MAX_GROUPS: usize = 64;
const MAX_ABIS: usize = 256;
const MAX_TYPED_DATA: usize = 256;
const MAX_SIBLINGS: usize = 16;
const MAX_ADMINISTRATORS: usize = 32;
const HASH_DOMAIN: &[u8] = b"nitro-signer/manifest/v1";

/// SHA-384 of `"nitro-signer/manifest/v1" || the manifest's exact bytes`: what PCR16 is extended
/// with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ManifestHash(FixedBytes<48>);

impl ManifestHash {
    /// Measures a manifest's bytes, whatever they are.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut context = Context::new(&SHA384);
        context.update(HASH_DOMAIN);
        context.update(bytes);
        Self(FixedBytes::from_slice(context.finish().as_ref()))
    }

    /// The hash itself, 48 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &FixedBytes<48> {
        &self.0
    }

    /// PCR16 after an extension of zeros with this hash: SHA-384(0^48 || hash).
    #[must_use]
    pub fn pcr16(&self) -> Pcr {
        pcr::extend(&pcr::ZERO, self.0.as_slice())
    }

    /// The salt of the client proofs' EIP-712 domain: the hash's first 32 bytes.
    #[must_use]
    pub fn proof_salt(&self) -> B256 {
        B256::from_slice(&self.0[..32])
    }
}

impl fmt::Display for ManifestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for ManifestHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManifestHash({self})")
    }
}

/// Why a manifest does not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ManifestError {
    #[error("{0} bytes are more than the {MAX_MANIFEST} a manifest may have")]
    TooLarge(usize),
    #[error("not a manifest of this release's format: {0}")]
    Format(String),
    #[error("format {0}; this release reads format {FORMAT}")]
    Version(u16),
    #[error("{field}: {reason}")]
    Field { field: &'static str, reason: String },
}

impl ManifestError {
    fn field(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Field { field, reason: reason.into() }
    }
}

/// A manifest whose every field is of the allowed form and size. Its policy text is parsed by the
/// enclave's policy module, which alone knows the schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u16,
    /// The owner's own count of versions, from 1.
    pub version: u64,
    /// Names the deployment; part of every KMS encryption context.
    pub deployment: Name,
    /// Names the vault; part of every KMS encryption context.
    pub vault: Name,
    /// The KMS keys that wrap the vault's secrets: exactly one today.
    pub wrapping_keys: Vec<KeyArn>,
    /// Who can prove themselves to the enclave.
    pub clients: Vec<ClientEntry>,
    /// The names in transport certificates that the parent may assert.
    pub asserted: Vec<AssertedEntry>,
    /// The address book: every address or key that the policy names, tokens' decimals, contracts' ABIs.
    pub addresses: Vec<AddressEntry>,
    /// The policy, in Cedar.
    pub policy: String,
    /// Contract ABIs, by which calldata is decoded for the policy; at most 256.
    pub abis: Vec<AbiEntry>,
    /// Types of typed data whose values the policy may see; at most 256.
    pub typed_data: Vec<TypedDataEntry>,
    /// What is off unless named here.
    pub switches: Switches,
    /// Other images, with their manifests, that may open the vault during an upgrade; at most 16.
    pub siblings: Vec<Sibling>,
    /// Who beside these images may have a hand on the KMS key.
    pub custody: Custody,
}

/// A client that proves itself by a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientEntry {
    /// The name that policy uses.
    pub name: Name,
    /// Its secp256k1 public key, compressed SEC1, 33 bytes.
    pub public_key: FixedBytes<33>,
    /// The groups it is in.
    pub groups: Vec<Name>,
}

/// A client that only the parent's word identifies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssertedEntry {
    /// The name in its transport certificate, which policy uses too.
    pub name: Name,
    /// The groups it is in.
    pub groups: Vec<Name>,
}

/// One entry of the address book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressEntry {
    /// The address.
    pub address: Address,
    /// What people call it.
    pub name: Name,
    /// The groups it is in.
    pub groups: Vec<Name>,
    /// The decimals of the token at this address, if it is one: 0 to 36.
    pub decimals: Option<u8>,
    /// By which ABI calls of the contract at this address are decoded: one of the manifest's, or
    /// `erc20`, `erc721` or `erc1155`.
    pub abi: Option<Name>,
}

/// A contract's ABI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbiEntry {
    /// The name under which rules find its calls: `[a-z][a-z0-9_]{0,63}`.
    pub name: Name,
    /// The ABI, as the JSON array that compilers write.
    pub json: String,
}

/// A type of typed data (EIP-712).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedDataEntry {
    /// The name under which rules find its values: `[a-z][a-z0-9_]{0,63}`.
    pub name: Name,
    /// EIP-712's encodeType of it, for example `Mail(address to,string contents)`.
    pub encode_type: String,
}

/// Dangerous abilities; all off unless the manifest turns them on. Policy decides beyond that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Switches {
    /// Keys made elsewhere may be brought in. Reserved: not served yet.
    pub import: bool,
    /// Bare 32-byte digests may be signed.
    pub raw_digests: bool,
    /// Legacy transactions without a chain id may be signed.
    pub unprotected_legacy: bool,
    /// EIP-7702 transactions and authorizations may be signed.
    pub delegation: bool,
    /// Signature nonces mix in fresh randomness (RFC 6979, section 3.6).
    pub hedged_nonces: bool,
}

/// What the enclave accepts of the KMS key and its policy, grants and origin. Whatever is not named
/// here keeps it from making vaults and keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Custody {
    /// The roles and users that may administer the key, its policy among that; at most 32. Each of
    /// them could let somebody in.
    pub administrators: Vec<EntityArn>,
    /// The key's policy may leave decisions to the account's IAM policies. What the policy denies to
    /// everybody stays denied, but whoever those policies let put another policy is unknown.
    pub account_root: bool,
    /// The key may have grants. They cannot open the vault, since the policy denies unattested use.
    pub grants: bool,
    /// The key's material may have been imported. Whoever made it can open every vault under it.
    pub imported_material: bool,
    /// The key may be a multi-region one. Each replica has a policy of its own, which nobody here reads.
    pub multi_region: bool,
    /// A vault that exists may be opened for signing whatever the key's custody is; claims then say
    /// what it is. No key is made meanwhile.
    pub open_regardless: bool,
}

/// Another image's measurements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Sibling {
    pub pcr0: FixedBytes<48>,
    pub pcr1: FixedBytes<48>,
    pub pcr2: FixedBytes<48>,
    pub pcr16: FixedBytes<48>,
}

impl Sibling {
    /// Whether a key policy that lets this set in lets this sibling in.
    #[must_use]
    pub fn is(&self, set: &AdmittedSet) -> bool {
        *self.pcr0 == set.pcr0 && *self.pcr16 == set.pcr16
    }
}

impl Manifest {
    /// Reads a manifest and checks every field but the policy's meaning.
    ///
    /// # Errors
    /// [`ManifestError`] names the field and what to write instead.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let manifest: Self =
            serde_cbor::from_slice(bytes).map_err(|e| ManifestError::Format(e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The bytes to store and measure.
    ///
    /// # Errors
    /// [`ManifestError`] if a field is not of the allowed form or the whole is too large.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ManifestError> {
        self.check()?;
        let bytes = serde_cbor::to_vec(self).map_err(|e| ManifestError::Format(e.to_string()))?;
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        Ok(bytes)
    }

    /// The vault, as its KMS key's policy must name it.
    #[must_use]
    pub fn vault_name(&self) -> VaultName {
        VaultName { deployment: self.deployment.clone(), vault: self.vault.clone() }
    }

    /// The one KMS key that wraps the vault's secret.
    #[must_use]
    pub fn wrapping_key(&self) -> &KeyArn {
        // `parse` demands exactly one; who fills in the fields by hand must too.
        &self.wrapping_keys[0]
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.format != FORMAT {
            return Err(ManifestError::Version(self.format));
        }
        if self.version == 0 {
            return Err(ManifestError::field("version", "count from 1"));
        }
        if self.wrapping_keys.len() != 1 {
            return Err(ManifestError::field("wrapping_keys", "name exactly one KMS key"));
        }
        at_most("clients", self.clients.len(), MAX_CLIENTS)?;
        at_most("asserted", self.asserted.len(), MAX_CLIENTS)?;
        at_most("addresses", self.addresses.len(), MAX_ADDRESSES)?;
        at_most("abis", self.abis.len(), MAX_ABIS)?;
        at_most("typed_data", self.typed_data.len(), MAX_TYPED_DATA)?;
        at_most("siblings", self.siblings.len(), MAX_SIBLINGS)?;
        let administrators = &self.custody.administrators;
        at_most("custody", administrators.len(), MAX_ADMINISTRATORS)?;
        distinct("custody", "administrator", administrators.iter())?;
        distinct("clients", "name", self.clients.iter().map(|c| &c.name))?;
        distinct("clients", "public key", self.clients.iter().map(|c| c.public_key))?;
        distinct("asserted", "name", self.asserted.iter().map(|a| &a.name))?;
        distinct("addresses", "address", self.addresses.iter().map(|a| a.address))?;
        distinct("addresses", "name", self.addresses.iter().map(|a| &a.name))?;
        distinct("abis", "name", self.abis.iter().map(|a| &a.name))?;
        distinct("typed_data", "name", self.typed_data.iter().map(|t| &t.name))?;
        for (field, name) in (self.abis.iter().map(|a| ("abis", &a.name)))
            .chain(self.typed_data.iter().map(|t| ("typed_data", &t.name)))
        {
            if !name.is_attribute() {
                return Err(ManifestError::field(field, "write a name as [a-z][a-z0-9_]{0,63}"));
            }
        }
        let groups = (self.clients.iter().map(|c| ("clients", &c.groups)))
            .chain(self.asserted.iter().map(|a| ("asserted", &a.groups)))
            .chain(self.addresses.iter().map(|a| ("addresses", &a.groups)));
        for (field, groups) in groups {
            at_most(field, groups.len(), MAX_GROUPS)?;
            distinct(field, "group", groups.iter())?;
        }
        if self.addresses.iter().any(|a| a.decimals.is_some_and(|d| d > 36)) {
            return Err(ManifestError::field("addresses", "decimals are at most 36"));
        }
        let zero = |s: &Sibling| [s.pcr0, s.pcr1, s.pcr2, s.pcr16].iter().any(FixedBytes::is_zero);
        if self.siblings.iter().any(zero) {
            return Err(ManifestError::field("siblings", "a measurement of zeros is debug mode's"));
        }
        Ok(())
    }
}

fn at_most(field: &'static str, count: usize, most: usize) -> Result<(), ManifestError> {
    if count > most {
        return Err(ManifestError::field(field, format!("{count} are more than {most}")));
    }
    Ok(())
}

fn distinct<T: Ord + fmt::Debug>(
    field: &'static str,
    what: &str,
    items: impl Iterator<Item = T>,
) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    for item in items {
        if seen.contains(&item) {
            return Err(ManifestError::field(field, format!("the {what} {item:?} stands twice")));
        }
        seen.insert(item);
    }
    Ok(())
}

/// A name that can stand in a policy, a path and a log line: `[a-z0-9][a-z0-9._-]{0,63}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a rule can write it as an attribute: `[a-z][a-z0-9_]*`.
    fn is_attribute(&self) -> bool {
        self.0.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_')
            && self.0.starts_with(|c: char| c.is_ascii_lowercase())
    }
}

impl FromStr for Name {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let bytes = text.as_bytes();
        let good = matches!(bytes, [first, ..] if plain(*first))
            && bytes.len() <= 64
            && bytes.iter().all(|c| plain(*c) || b"._-".contains(c));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(ManifestError::field("name", "use [a-z0-9][a-z0-9._-]{0,63}"))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = ManifestError;

    fn try_from(text: String) -> Result<Self, ManifestError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A full KMS key ARN, never an alias. The one KMS host the enclave will speak to follows from
/// it, so its grammar is strict: nothing of it can change what the host name means.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyArn {
    text: String,
    region: String,
    account: String,
}

impl KeyArn {
    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its region, for example `eu-central-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Its account, 12 digits.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The host of KMS in its region; port 443 is the only one used.
    #[must_use]
    pub fn kms_host(&self) -> String {
        let suffix =
            if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        format!("kms.{}.{suffix}", self.region)
    }
}

impl FromStr for KeyArn {
    type Err = ManifestError;

    fn from_str(text: &str) -> Result<Self, ManifestError> {
        let refuse = |reason: &str| Err(ManifestError::field("wrapping_keys", reason));
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        let ["arn", partition, "kms", region, account, resource] = parts[..] else {
            return refuse("write a full key ARN: arn:aws:kms:REGION:ACCOUNT:key/KEY-ID");
        };
        if !is_region(region) {
            return refuse("the ARN's region is not of the form xx-name-1");
        }
        // https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
        let home = match region {
            r if r.starts_with("cn-") => "aws-cn",
            r if r.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        if partition != home {
            return refuse("the ARN's partition is not its region's");
        }
        if account.len() != 12 || !account.bytes().all(|c| c.is_ascii_digit()) {
            return refuse("the ARN's account is not 12 digits");
        }
        if !resource.strip_prefix("key/").is_some_and(is_key_id) {
            return refuse("the ARN names no key by its id; an alias is not accepted");
        }
        Ok(Self { text: text.to_owned(), region: region.to_owned(), account: account.to_owned() })
    }
}

/// `xx-name-1` or `xx-name-name-1`: two letters, one or two words, one or two digits.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [continent, words @ .., number] = &parts[..] else { return false };
    let letters =
        |w: &&str| (1..=12).contains(&w.len()) && w.bytes().all(|c| c.is_ascii_lowercase());
    continent.len() == 2
        && letters(continent)
        && (1..=2).contains(&words.len())
        && words.iter().all(letters)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|c| c.is_ascii_digit())
}

/// A UUID, or a multi-region key's `mrk-` and 32 hex digits.
fn is_key_id(text: &str) -> bool {
    let hex = |t: &str, n: usize| {
        t.len() == n && t.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
    };
    if let Some(id) = text.strip_prefix("mrk-") {
        return hex(id, 32);
    }
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 5 && parts.iter().zip([8, 4, 4, 4, 12]).all(|(p, n)| hex(p, n))
}

impl TryFrom<String> for KeyArn {
    type Error = ManifestError;

    fn try_from(text: String) -> Result<Self, ManifestError> {
        text.parse()
    }
}

impl From<KeyArn> for String {
    fn from(arn: KeyArn) -> Self {
        arn.text
    }
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

    #[test]
    fn an_arn_gives_its_host() {
        let check = |arn: String, host: &str| {
            assert_eq!(arn.parse::<KeyArn>().expect(&arn).kms_host(), host);
        };
        check(
            format!("arn:aws:kms:eu-central-1:111122223333:key/{ID}"),
            "kms.eu-central-1.amazonaws.com",
        );
        check(
            format!("arn:aws-cn:kms:cn-north-1:111122223333:key/{ID}"),
            "kms.cn-north-1.amazonaws.com.cn",
        );
        check(
            format!("arn:aws-us-gov:kms:us-gov-west-1:111122223333:key/{ID}"),
            "kms.us-gov-west-1.amazonaws.com",
        );
        check(
            "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
                .to_owned(),
            "kms.us-east-1.amazonaws.com",
        );
    }

    #[test]
    fn an_arn_of_any_other_form_is_refused() {
        for arn in [
            format!("arn:aws:kms:s3:111122223333:key/{ID}"),
            format!("arn:aws:kms:eu.central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:evil.com/eu-central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:user@eu-central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:EU-central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:eu-central-111:111122223333:key/{ID}"),
            format!("arn:aws:kms:-central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:cn-north-1:111122223333:key/{ID}"),
            format!("arn:aws-cn:kms:eu-central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:eu-central-1:11112222333:key/{ID}"),
            format!("arn:aws:s3:eu-central-1:111122223333:key/{ID}"),
            format!("arn:aws:kms:eu-central-1:111122223333:key/{ID}:x"),
            format!("arn:aws:kms:eu-central-1:111122223333:key/{ID}/x"),
            "arn:aws:kms:eu-central-1:111122223333:alias/signer".to_owned(),
            "arn:aws:kms:eu-central-1:111122223333:key/*".to_owned(),
            String::new(),
        ] {
            assert!(arn.parse::<KeyArn>().is_err(), "{arn}");
        }
    }

    #[test]
    fn names_are_plain() {
        for good in ["a", "0", "team-a.signer_1"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a b", "a\"", "é", &"a".repeat(65)] {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }
}
