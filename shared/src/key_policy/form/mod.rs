//! The one form of key policy under which a vault may stand: written here for whoever deploys, and
//! read here, strictly, by the enclave.
//!
//! The reader is no evaluator. It knows each statement of the form and refuses every other one, so
//! that what a policy allows never has to be worked out inside the enclave. Terraform's module `key`
//! writes the same form.

mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Form, FormError};
pub use write::TermsError;

use crate::attestation::pcr::{self, Pcr};
use crate::manifest::Name;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

const READ: [&str; 3] = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"];
const AUDIT: [&str; 7] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:ListKeyPolicies",
    "kms:ListGrants",
    "kms:ListResourceTags",
    "kms:GetKeyRotationStatus",
    "kms:ListKeyRotations",
];
const ADMINISTRATION: [&str; 20] = [
    "kms:DescribeKey",
    "kms:GetKeyPolicy",
    "kms:ListKeyPolicies",
    "kms:ListGrants",
    "kms:ListResourceTags",
    "kms:GetKeyRotationStatus",
    "kms:ListKeyRotations",
    "kms:PutKeyPolicy",
    "kms:UpdateKeyDescription",
    "kms:EnableKeyRotation",
    "kms:EnableKey",
    "kms:DisableKey",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:CreateAlias",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
    "kms:RevokeGrant",
];
const BREAK_GLASS: [&str; 3] = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"];
/// What an administrator may do beside [`ADMINISTRATION`] where keys have replicas.
const REPLICATION: [&str; 1] = ["kms:ReplicateKey"];
/// The same where the key's material comes from outside.
const IMPORT: [&str; 3] =
    ["kms:GetParametersForImport", "kms:ImportKeyMaterial", "kms:DeleteImportedKeyMaterial"];
const OPEN: &str = "kms:Decrypt";
const MAKE: &str = "kms:GenerateDataKey";
/// What nobody may do: use that carries no attestation, and what would let somebody in.
const NOBODY: [&str; 9] = [
    "kms:CreateGrant",
    "kms:Encrypt",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:DeriveSharedSecret",
    "kms:UpdatePrimaryRegion",
];
const REPLICATE: &str = "kms:ReplicateKey";
const IMPORT_MATERIAL: &str = "kms:ImportKeyMaterial";

/// The registers a set can name: image, the instance's role, the signer of the image, manifest.
const REGISTERS: [u16; 4] = [0, 3, 8, 16];
const REGISTER_PREFIX: &str = "kms:RecipientAttestation:PCR";
const CONTEXT_PREFIX: &str = "kms:EncryptionContext:";
const CONTEXT_KEYS: &str = "kms:EncryptionContextKeys";
const EQUALS: &str = "StringEquals";
const EQUALS_IGNORE_CASE: &str = "StringEqualsIgnoreCase";
const NOT_EQUALS_IGNORE_CASE: &str = "StringNotEqualsIgnoreCase";
const ALL_EQUAL: &str = "ForAllValues:StringEquals";

/// Operator, condition key, values. Order carries no meaning in any of them.
type Conditions = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The most measurement sets in one policy. Each costs some 900 bytes of the 32 KiB.
pub const MAX_SETS: usize = 16;
/// The most principals of one kind.
pub const MAX_PRINCIPALS: usize = 16;

/// An IAM role or user, by its full ARN: never an account, a session or a pattern.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntityArn(String);

impl EntityArn {
    /// The ARN as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is no ARN of an IAM role or user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write the full ARN of an IAM role or user, as arn:aws:iam::111122223333:role/NAME")]
pub struct EntityArnError;

/// The longest ARN that is taken, in bytes: a path of 512 and a name of 64 (IAM user guide, "IAM
/// and AWS STS quotas") and what stands before them.
const MAX_ARN: usize = 640;

impl FromStr for EntityArn {
    type Err = EntityArnError;

    fn from_str(text: &str) -> Result<Self, EntityArnError> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else {
            return Err(EntityArnError);
        };
        // IAM user guide, "IAM identifiers": names, and paths between slashes.
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&c);
        let name = resource.strip_prefix("role/").or_else(|| resource.strip_prefix("user/"));
        let well = text.len() <= MAX_ARN
            && ["aws", "aws-cn", "aws-us-gov"].contains(&partition)
            && account.len() == 12
            && account.bytes().all(|c| c.is_ascii_digit())
            && name
                .is_some_and(|name| name.bytes().all(plain) && !name.split('/').any(str::is_empty));
        if well { Ok(Self(text.to_owned())) } else { Err(EntityArnError) }
    }
}

impl TryFrom<String> for EntityArn {
    type Error = EntityArnError;

    fn try_from(text: String) -> Result<Self, EntityArnError> {
        text.parse()
    }
}

impl From<EntityArn> for String {
    fn from(arn: EntityArn) -> Self {
        arn.0
    }
}

impl fmt::Display for EntityArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntityArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// The registers under which one image with one manifest is let in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AdmittedSet {
    /// The image (`ImageSha384`).
    pub pcr0: Pcr,
    /// The instance's IAM role, if it is pinned.
    pub pcr3: Option<Pcr>,
    /// The image's signer, if it is pinned.
    pub pcr8: Option<Pcr>,
    /// The manifest.
    pub pcr16: Pcr,
}

impl AdmittedSet {
    /// An image and a manifest.
    #[must_use]
    pub const fn new(pcr0: Pcr, pcr16: Pcr) -> Self {
        Self { pcr0, pcr3: None, pcr8: None, pcr16 }
    }

    /// Its registers by number.
    fn registers(&self) -> BTreeMap<u16, Pcr> {
        let of = [(0, Some(self.pcr0)), (3, self.pcr3), (8, self.pcr8), (16, Some(self.pcr16))];
        of.into_iter().filter_map(|(index, value)| Some((index, value?))).collect()
    }

    fn from_registers(registers: &BTreeMap<u16, Pcr>) -> Option<Self> {
        let of = |index: u16| registers.get(&index).copied();
        Some(Self { pcr0: of(0)?, pcr3: of(3), pcr8: of(8), pcr16: of(16)? })
    }

    fn has_zeros(&self) -> bool {
        self.registers().values().any(|value| *value == pcr::ZERO)
    }
}

impl fmt::Debug for AdmittedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = self.registers().into_iter().map(|(index, value)| (index, hex::encode(value)));
        f.debug_map().entries(hex).finish()
    }
}

/// The vault whose secret the key wraps: its encryption context is demanded exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultName {
    /// The deployment.
    pub deployment: Name,
    /// The vault.
    pub vault: Name,
}

impl VaultName {
    /// The encryption context of the vault's secret of this number, as KMS binds it to the blob.
    #[must_use]
    pub fn encryption_context(&self, share: u16) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("app", "nitro-signer".to_owned()),
            ("version", "1".to_owned()),
            ("deployment", self.deployment.to_string()),
            ("vault", self.vault.to_string()),
            ("purpose", "vault".to_owned()),
            ("share", share.to_string()),
        ])
    }
}

/// What a policy of this form says.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Who administers the key, its policy among that. They can open nothing by it, and they can
    /// change the policy so that they could: at least one, few.
    pub administrators: BTreeSet<EntityArn>,
    /// Who may put another policy, with multi-factor authentication and nothing else.
    pub break_glass: BTreeSet<EntityArn>,
    /// Who may look.
    pub auditors: BTreeSet<EntityArn>,
    /// The appliance's roles, at least one.
    pub appliance_roles: BTreeSet<EntityArn>,
    /// Whom the key opens for: images with their manifests. None: the key is closed.
    pub sets: Vec<AdmittedSet>,
    /// For which vault.
    pub vault: VaultName,
    /// Whether a vault may be made, and not only opened.
    pub vault_creation: bool,
    /// Whether administrators may replicate the key to other regions.
    pub multi_region: bool,
    /// Whether administrators may import the key's material. Whoever made it can open every vault.
    pub imported_material: bool,
}

/// Conditions of the statement that lets one set in.
fn measured(set: &AdmittedSet, vault: &VaultName) -> Conditions {
    let one = |text: String| BTreeSet::from([text]);
    let registers = set
        .registers()
        .into_iter()
        .map(|(index, value)| (format!("{REGISTER_PREFIX}{index}"), one(hex::encode(value))));
    let context = vault.encryption_context(0);
    let names = context.keys().map(|name| (*name).to_owned()).collect();
    let context = context.into_iter().map(|(k, v)| (format!("{CONTEXT_PREFIX}{k}"), one(v)));
    Conditions::from([
        (EQUALS_IGNORE_CASE.to_owned(), registers.collect()),
        (EQUALS.to_owned(), context.collect()),
        (ALL_EQUAL.to_owned(), BTreeMap::from([(CONTEXT_KEYS.to_owned(), names)])),
    ])
}

/// The condition of the statement that stops every other value of a register, and calls without
/// attestation: a negated condition holds where its key is absent.
fn only(index: u16, sets: &[AdmittedSet]) -> Conditions {
    let values = sets.iter().filter_map(|set| set.registers().get(&index).map(hex::encode));
    let keys = BTreeMap::from([(format!("{REGISTER_PREFIX}{index}"), values.collect())]);
    Conditions::from([(NOT_EQUALS_IGNORE_CASE.to_owned(), keys)])
}

fn with_second_factor() -> Conditions {
    let keys = BTreeMap::from([(
        "aws:MultiFactorAuthPresent".to_owned(),
        BTreeSet::from(["true".to_owned()]),
    )]);
    Conditions::from([("Bool".to_owned(), keys)])
}
