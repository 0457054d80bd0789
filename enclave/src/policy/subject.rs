//! What can be signed, and what policy must know of it before a rule is asked.
//!
//! A [`Subject`] computes its own signing hash from the very fields that rules see. Adding a kind of
//! request means adding one here: its action, the switch and the proof it needs, its description.

use super::entity::Action;
use super::rules::CallerKind;
use crate::authorization::UnsignedAuthorization;
use crate::digest::Digest;
use crate::labels::Labels;
use crate::message::Message;
use crate::transaction::{Kind, UnsignedTransaction};
use crate::typed_data::TypedData;
use alloy_primitives::{Address, B256};
use nitro_signer_shared::manifest::Switches;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// Something that a key can sign.
pub trait Subject {
    /// The hash to sign, computed from the fields that policy sees.
    fn signing_hash(&self) -> B256;

    /// Describes it to policy. `from` is the key's address.
    fn describe(&self, from: Address) -> Description<'_>;
}

/// What a request is about.
#[derive(Debug)]
#[allow(missing_docs)]
pub enum Description<'a> {
    Transaction { from: Address, transaction: &'a UnsignedTransaction },
    Message { from: Address, message: &'a Message },
    TypedData { from: Address, data: &'a TypedData },
    Authorization { from: Address, authorization: &'a UnsignedAuthorization },
    Digest { from: Address, digest: &'a Digest },
    NewVault,
    NewKey { labels: &'a Labels },
}

impl Subject for UnsignedTransaction {
    fn signing_hash(&self) -> B256 {
        Self::signing_hash(self)
    }

    fn describe(&self, from: Address) -> Description<'_> {
        Description::Transaction { from, transaction: self }
    }
}

impl Subject for Message {
    fn signing_hash(&self) -> B256 {
        Self::signing_hash(self)
    }

    fn describe(&self, from: Address) -> Description<'_> {
        Description::Message { from, message: self }
    }
}

impl Subject for TypedData {
    fn signing_hash(&self) -> B256 {
        Self::signing_hash(self)
    }

    fn describe(&self, from: Address) -> Description<'_> {
        Description::TypedData { from, data: self }
    }
}

impl Subject for UnsignedAuthorization {
    fn signing_hash(&self) -> B256 {
        Self::signing_hash(self)
    }

    fn describe(&self, from: Address) -> Description<'_> {
        Description::Authorization { from, authorization: self }
    }
}

impl Subject for Digest {
    fn signing_hash(&self) -> B256 {
        self.as_hash()
    }

    fn describe(&self, from: Address) -> Description<'_> {
        Description::Digest { from, digest: self }
    }
}

impl Action {
    /// The action that signs this transaction.
    pub(super) fn of_transaction(tx: &UnsignedTransaction) -> Self {
        match (tx.kind(), tx.to()) {
            (Kind::Unprotected, _) => Self::SignUnprotectedTransaction,
            (Kind::Blob, _) => Self::SignBlobTransaction,
            (Kind::SetCode, _) => Self::SignDelegation,
            (Kind::Legacy | Kind::AccessList | Kind::DynamicFee, Some(_)) => Self::SignTransaction,
            (Kind::Legacy | Kind::AccessList | Kind::DynamicFee, None) => Self::DeployContract,
        }
    }
}

impl Description<'_> {
    pub(super) fn action(&self) -> Action {
        match self {
            Self::Transaction { transaction, .. } => Action::of_transaction(transaction),
            Self::Message { message, .. } if message.as_word().is_some() => Action::SignMessage32,
            Self::Message { .. } => Action::SignMessage,
            Self::TypedData { .. } => Action::SignTypedData,
            Self::Authorization { .. } => Action::SignAuthorization,
            Self::Digest { .. } => Action::SignDigest,
            Self::NewVault => Action::CreateVault,
            Self::NewKey { .. } => Action::CreateKey,
        }
    }

    /// Refuses what no rule is asked about: what the manifest has not switched on, and what this kind
    /// of caller can never have. `is_held` says which accounts' keys this enclave holds.
    pub(super) fn check_before_rules(
        &self,
        kind: CallerKind,
        switches: &Switches,
        is_held: impl Fn(&Address) -> bool,
    ) -> Result<(), Refusal> {
        self.check_switch(switches)?;
        if kind == CallerKind::Asserted && self.needs_proof(is_held) {
            return Err(RefusalCode::ProofRequired.into());
        }
        Ok(())
    }

    fn needs_proof(&self, is_held: impl Fn(&Address) -> bool) -> bool {
        match self {
            // Strangers' authorizations cost no more than their gas; one of a key that is held here
            // changes what that account is.
            Self::Transaction { transaction, .. } => {
                transaction.delegations().iter().any(|d| is_held(&d.authority))
            }
            Self::Message { .. } | Self::TypedData { .. } => false,
            Self::Authorization { .. }
            | Self::Digest { .. }
            | Self::NewVault
            | Self::NewKey { .. } => true,
        }
    }

    fn check_switch(&self, switches: &Switches) -> Result<(), Refusal> {
        let (on, name, what) = match self.action() {
            Action::SignDelegation | Action::SignAuthorization => {
                (switches.delegation, "delegation", "nothing of EIP-7702")
            }
            Action::SignUnprotectedTransaction => (
                switches.unprotected_legacy,
                "unprotected_legacy",
                "no legacy transaction without a chain id",
            ),
            Action::SignDigest => (switches.raw_digests, "raw_digests", "no bare digest"),
            _ => return Ok(()),
        };
        if on {
            return Ok(());
        }
        let text = format!("the manifest's switch `{name}` is off, so {what} is signed");
        Err(Refusal::new(RefusalCode::PolicyDenied, text))
    }
}
