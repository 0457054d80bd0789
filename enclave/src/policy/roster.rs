//! The entities that one manifest knows: its clients, address book and vault, made once at load.
//!
//! A request is decided with only those entities in hand that its rules can reach: the caller, the
//! key and the addresses in its context. The load demands that no rule looks further (Cedar's
//! level validation at level 1), so leaving the others out changes no decision.

use super::entity::{Ids, Type, address_text};
use super::label;
use super::rules::CallerKind;
use crate::client::Caller;
use crate::key::KeyFacts;
use alloy_primitives::Address;
use cedar_policy::{Entity, EntityUid, RestrictedExpression};
use nitro_signer_shared::manifest::{AddressEntry, Manifest, Name};
use std::collections::{HashMap, HashSet};

/// What stands in the manifest, as entities.
pub(super) struct Roster {
    clients: HashMap<Name, Entity>,
    asserted: HashMap<Name, Entity>,
    book: HashMap<Address, Entity>,
    decimals: HashMap<Address, u8>,
    groups: HashSet<(Type, Name)>,
    vault: EntityUid,
}

impl Roster {
    pub(super) fn new(manifest: &Manifest, ids: &Ids) -> Self {
        let mut groups = HashSet::new();
        let mut entity = |of, name: &Name, group, members: &[Name]| {
            groups.extend(members.iter().map(|member| (group, member.clone())));
            let parents = members.iter().map(|member| ids.of(group, member.as_str())).collect();
            (name.clone(), Entity::new_no_attrs(ids.of(of, name.as_str()), parents))
        };
        let clients = manifest.clients.iter();
        let clients =
            clients.map(|c| entity(Type::Client, &c.name, Type::ClientGroup, &c.groups)).collect();
        let asserted = manifest
            .asserted
            .iter()
            .map(|a| entity(Type::AssertedClient, &a.name, Type::AssertedGroup, &a.groups));
        let asserted = asserted.collect();
        let members = manifest.addresses.iter().flat_map(|entry| &entry.groups);
        groups.extend(members.map(|group| (Type::AddressGroup, group.clone())));
        Self {
            clients,
            asserted,
            book: manifest.addresses.iter().map(|e| (e.address, address(e, ids))).collect(),
            decimals: manifest
                .addresses
                .iter()
                .filter_map(|entry| Some((entry.address, entry.decimals?)))
                .collect(),
            groups,
            vault: ids.of(Type::Vault, manifest.vault.as_str()),
        }
    }

    /// The manifest's vault.
    pub(super) const fn vault(&self) -> &EntityUid {
        &self.vault
    }

    /// The caller; `None` if another manifest's callers made it.
    pub(super) fn caller(&self, caller: &Caller) -> Option<(CallerKind, &Entity)> {
        let (kind, name) = match caller {
            Caller::Client(client) => (CallerKind::Client, client.name()),
            Caller::Asserted(client) => (CallerKind::Asserted, client.name()),
        };
        Some((kind, self.named(kind, name)?))
    }

    /// The caller of this kind and name.
    pub(super) fn named(&self, kind: CallerKind, name: &Name) -> Option<&Entity> {
        match kind {
            CallerKind::Client => self.clients.get(name),
            CallerKind::Asserted => self.asserted.get(name),
        }
    }

    /// The address book's entry for this address.
    pub(super) fn address(&self, address: &Address) -> Option<&Entity> {
        self.book.get(address)
    }

    /// The decimals of the token at this address, if the book has them.
    pub(super) fn decimals(&self, address: &Address) -> Option<u8> {
        self.decimals.get(address).copied()
    }

    /// The key with these facts.
    pub(super) fn key(&self, key: &KeyFacts, ids: &Ids) -> Option<Entity> {
        let created = i64::try_from(key.created).ok()?;
        let origin = RestrictedExpression::new_entity_uid(ids.origin(key.origin));
        let creator = RestrictedExpression::new_entity_uid(ids.of(Type::Client, &key.creator));
        let attributes = [
            ("origin".to_owned(), origin),
            ("creator".to_owned(), creator),
            ("created".to_owned(), RestrictedExpression::new_long(created)),
            ("labels".to_owned(), label::set(&key.labels, ids)),
        ];
        let parents = [self.vault.clone()].into();
        Entity::new(ids.key(key.address), attributes.into(), parents).ok()
    }

    /// Whether a rule may name this entity; if not, what to write instead.
    pub(super) fn check_literal(&self, literal: &EntityUid) -> Result<(), String> {
        let id = literal.id().unescaped();
        match Type::named(literal.type_name().basename()) {
            Some(Type::Address | Type::Key) => self.check_address(id),
            Some(Type::Client) => listed(self.has(&self.clients, id), "clients"),
            Some(Type::AssertedClient) => listed(self.has(&self.asserted, id), "asserted"),
            Some(Type::ClientGroup) => listed(self.has_group(Type::ClientGroup, id), "clients"),
            Some(Type::AssertedGroup) => {
                listed(self.has_group(Type::AssertedGroup, id), "asserted")
            }
            Some(Type::AddressGroup) => listed(self.has_group(Type::AddressGroup, id), "addresses"),
            Some(Type::Vault) if *literal == self.vault => Ok(()),
            Some(Type::Vault) => Err(format!("write the manifest's own {}", self.vault)),
            Some(Type::Selector) if is_selector(id) => Ok(()),
            Some(Type::Selector) => {
                Err("write a selector as 8 lower-case hex digits without 0x".to_owned())
            }
            Some(Type::Label) if label::is_text(id) => Ok(()),
            Some(Type::Label) => Err("write a label as \"name=value\"".to_owned()),
            // The schema lists these two's ids, and the validator has compared.
            Some(Type::Action | Type::Origin) => Ok(()),
            None => Err("the schema has no such type".to_owned()),
        }
    }

    fn check_address(&self, id: &str) -> Result<(), String> {
        let address: Address = id
            .parse()
            .map_err(|_| "write an address as 0x and 40 lower-case hex digits".to_owned())?;
        let text = address_text(address);
        if id != text {
            return Err(format!("write the address as \"{text}\""));
        }
        if !self.book.contains_key(&address) {
            return Err("add it to the manifest's address book, or correct it".to_owned());
        }
        Ok(())
    }

    fn has<T>(&self, names: &HashMap<Name, T>, id: &str) -> bool {
        id.parse::<Name>().is_ok_and(|name| names.contains_key(&name))
    }

    fn has_group(&self, group: Type, id: &str) -> bool {
        id.parse::<Name>().is_ok_and(|name| self.groups.contains(&(group, name)))
    }
}

fn address(entry: &AddressEntry, ids: &Ids) -> Entity {
    let parents = entry.groups.iter().map(|g| ids.of(Type::AddressGroup, g.as_str())).collect();
    Entity::new_no_attrs(ids.address(entry.address), parents)
}

fn listed(known: bool, list: &str) -> Result<(), String> {
    if known {
        return Ok(());
    }
    Err(format!("nothing under `{list}` in the manifest has this name; add it there or correct it"))
}

fn is_selector(id: &str) -> bool {
    id.len() == 8 && id.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c))
}
