//! The schema's names in Rust: actions, entity types and the ids of entities.
//!
//! Ids are built by Cedar's API, never by formatting policy text, so no name or address can
//! change what it is part of.

use alloy_primitives::Address;
use cedar_policy::{EntityId, EntityTypeName, EntityUid};
use nitro_signer_shared::message::Origin;
use std::str::FromStr;
use std::sync::LazyLock;

/// What a request may be about, each under its own action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    SignTransaction,
    DeployContract,
    SignBlobTransaction,
    SignDelegation,
    SignAuthorization,
    SignUnprotectedTransaction,
    SignMessage,
    SignMessage32,
    SignTypedData,
    SignDigest,
    CreateVault,
    CreateKey,
}

impl Action {
    const NAMES: [(Self, &'static str); 12] = [
        (Self::SignTransaction, "SignTransaction"),
        (Self::DeployContract, "DeployContract"),
        (Self::SignBlobTransaction, "SignBlobTransaction"),
        (Self::SignDelegation, "SignDelegation"),
        (Self::SignAuthorization, "SignAuthorization"),
        (Self::SignUnprotectedTransaction, "SignUnprotectedTransaction"),
        (Self::SignMessage, "SignMessage"),
        (Self::SignMessage32, "SignMessage32"),
        (Self::SignTypedData, "SignTypedData"),
        (Self::SignDigest, "SignDigest"),
        (Self::CreateVault, "CreateVault"),
        (Self::CreateKey, "CreateKey"),
    ];
    /// How many there are.
    pub(super) const COUNT: usize = Self::NAMES.len();

    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::NAMES.iter().map(|(this, _)| *this)
    }

    pub(super) const fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// The group of actions that this one is in, as the schema has it.
    pub(super) const fn group(self) -> Option<&'static str> {
        match self {
            Self::SignDelegation | Self::SignAuthorization => Some("Delegate"),
            _ => None,
        }
    }
}

/// The schema's entity types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Type {
    Action,
    Client,
    ClientGroup,
    AssertedClient,
    AssertedGroup,
    Address,
    AddressGroup,
    Selector,
    Label,
    Origin,
    Vault,
    Key,
}

impl Type {
    const ALL: [(Self, &'static str); 12] = [
        (Self::Action, "Action"),
        (Self::Client, "Client"),
        (Self::ClientGroup, "ClientGroup"),
        (Self::AssertedClient, "AssertedClient"),
        (Self::AssertedGroup, "AssertedGroup"),
        (Self::Address, "Address"),
        (Self::AddressGroup, "AddressGroup"),
        (Self::Selector, "Selector"),
        (Self::Label, "Label"),
        (Self::Origin, "Origin"),
        (Self::Vault, "Vault"),
        (Self::Key, "Key"),
    ];

    /// The type with this name in the schema.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, text)| *text == name).map(|(this, _)| *this)
    }
}

/// Makes entities' ids; it holds the types' names so that neither a decision nor another load parses
/// any: Cedar's parser takes a millisecond for each.
pub(super) struct Ids(&'static [EntityTypeName; Type::ALL.len()]);

impl Ids {
    pub(super) fn new() -> Self {
        static NAMES: LazyLock<[EntityTypeName; Type::ALL.len()]> = LazyLock::new(|| {
            // The list above is of plain identifiers.
            Type::ALL.map(|(_, name)| EntityTypeName::from_str(name).expect("an identifier"))
        });
        Self(&NAMES)
    }

    pub(super) fn of(&self, of: Type, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.0[of as usize].clone(), EntityId::new(id))
    }

    pub(super) fn address(&self, address: Address) -> EntityUid {
        self.of(Type::Address, &address_text(address))
    }

    pub(super) fn key(&self, address: Address) -> EntityUid {
        self.of(Type::Key, &address_text(address))
    }

    pub(super) fn selector(&self, selector: [u8; 4]) -> EntityUid {
        self.of(Type::Selector, &hex::encode(selector))
    }

    pub(super) fn origin(&self, origin: Origin) -> EntityUid {
        self.of(Type::Origin, origin.as_str())
    }
}

/// An address as an entity's id: `0x` and 40 lower-case hex digits.
pub(super) fn address_text(address: Address) -> String {
    format!("0x{}", hex::encode(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_actions_is_in_the_order_of_the_enum() {
        for (place, (this, name)) in Action::NAMES.iter().enumerate() {
            assert_eq!((*this as usize, this.name()), (place, *name));
        }
    }

    #[test]
    fn the_list_of_types_is_in_the_order_of_the_enum() {
        for (place, (this, name)) in Type::ALL.iter().enumerate() {
            assert_eq!(*this as usize, place, "{name}");
            assert_eq!(Type::named(name), Some(*this));
        }
        assert_eq!(Type::named("Nothing"), None);
    }
}
