//! The operations: each reads its request, is authorised, and only then touches a key.
//!
//! Source: KMS API reference, one page per operation. What is not served is an error: other key
//! types, custom key stores, other accounts' keys, HMAC, key agreement.

mod aliases;
mod authorization;
mod cryptography;
mod deletion;
mod grants;
mod imports;
mod keys;
mod policies;
mod replicas;
mod rotation;
mod signatures;
mod tags;

pub(super) use policies::read_policy;

use super::error::ApiError;
use super::faults::Forgery;
use super::keys::Found;
use super::service::Service;
use super::sigv4::Identity;
use super::trail::Notes;
use super::wire;
use serde_json::Value;
use std::cell::RefCell;

/// The EncryptionAlgorithm and KeySpec of symmetric keys.
const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";

/// Whether an operation changes anything, as `readOnly` in CloudTrail's events says it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Reads,
    Writes,
}

macro_rules! operations {
    ($( $variant:ident => $run:ident, $effect:ident; )+) => {
        /// An operation that is served. Its name is the one on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Operation { $( $variant, )+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$variant => stringify!($variant), )+ }
            }

            const fn effect(self) -> Effect {
                match self { $( Self::$variant => Effect::$effect, )+ }
            }

            pub(super) fn run(self, call: &Call<'_>, body: &[u8]) -> Answer {
                match self { $( Self::$variant => call.$run(wire::read(body)?), )+ }
            }
        }
    };
}

operations! {
    CreateKey => create_key, Writes;
    DescribeKey => describe_key, Reads;
    ListKeys => list_keys, Reads;
    EnableKey => enable_key, Writes;
    DisableKey => disable_key, Writes;
    UpdateKeyDescription => update_key_description, Writes;
    ScheduleKeyDeletion => schedule_key_deletion, Writes;
    CancelKeyDeletion => cancel_key_deletion, Writes;
    PutKeyPolicy => put_key_policy, Writes;
    GetKeyPolicy => get_key_policy, Reads;
    ListKeyPolicies => list_key_policies, Reads;
    CreateAlias => create_alias, Writes;
    UpdateAlias => update_alias, Writes;
    DeleteAlias => delete_alias, Writes;
    ListAliases => list_aliases, Reads;
    TagResource => tag_resource, Writes;
    UntagResource => untag_resource, Writes;
    ListResourceTags => list_resource_tags, Reads;
    CreateGrant => create_grant, Writes;
    ListGrants => list_grants, Reads;
    ListRetirableGrants => list_retirable_grants, Reads;
    RetireGrant => retire_grant, Writes;
    RevokeGrant => revoke_grant, Writes;
    EnableKeyRotation => enable_key_rotation, Writes;
    DisableKeyRotation => disable_key_rotation, Writes;
    GetKeyRotationStatus => get_key_rotation_status, Reads;
    RotateKeyOnDemand => rotate_key_on_demand, Writes;
    ListKeyRotations => list_key_rotations, Reads;
    GetParametersForImport => get_parameters_for_import, Reads;
    ImportKeyMaterial => import_key_material, Writes;
    DeleteImportedKeyMaterial => delete_imported_key_material, Writes;
    ReplicateKey => replicate_key, Writes;
    Encrypt => encrypt, Reads;
    Decrypt => decrypt, Reads;
    ReEncrypt => re_encrypt, Reads;
    GenerateDataKey => generate_data_key, Reads;
    GenerateDataKeyWithoutPlaintext => generate_data_key_without_plaintext, Reads;
    GenerateRandom => generate_random, Reads;
    GetPublicKey => get_public_key, Reads;
    Sign => sign, Reads;
    Verify => verify, Reads;
}

impl Operation {
    /// The operation of this name, if it is served.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|operation| operation.name() == name)
    }

    pub(super) fn reads_only(self) -> bool {
        self.effect() == Effect::Reads
    }
}

/// A call whose caller is known.
pub(super) struct Call<'a> {
    pub(super) service: &'a Service,
    pub(super) caller: &'a Identity,
    /// Where it is asked: the region that the signature names.
    pub(super) region: &'a str,
    pub(super) now_ms: u64,
    pub(super) forgery: Forgery,
    /// What the event log has to know of it.
    pub(super) notes: RefCell<Notes>,
}

/// `None` is an answer without a body.
pub(super) type Answer = Result<Option<Value>, ApiError>;

impl Call<'_> {
    /// Finds a key by any of its names, and notes that the call was about it.
    fn find(&self, name: &str) -> Result<Found, ApiError> {
        let found = self.service.keys()?.find(self.region, name)?;
        self.notes.borrow_mut().about(&found.key.arn);
        Ok(found)
    }

    /// The same for operations that take no alias.
    fn find_without_alias(&self, name: &str) -> Result<Found, ApiError> {
        let found = self.find(name)?;
        match found.alias {
            None => Ok(found),
            Some(_) => Err(ApiError::new("NotFoundException", format!("Invalid keyId '{name}'"))),
        }
    }
}

/// AWS's form for a text or list of the wrong length.
fn within(member: &str, length: usize, most: usize) -> Result<(), ApiError> {
    match length {
        0 => Err(ApiError::constraint(member, "have length greater than or equal to 1")),
        n if n > most => {
            Err(ApiError::constraint(member, &format!("have length less than or equal to {most}")))
        }
        _ => Ok(()),
    }
}

/// What a dry run gets in the place of the answer, once everything else has been checked.
fn unless_dry_run(dry_run: bool) -> Result<(), ApiError> {
    if dry_run { Err(ApiError::dry_run()) } else { Ok(()) }
}
