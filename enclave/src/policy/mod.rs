//! Policy: the manifest's rules, and the only maker of [`Approved`] values.
//!
//! What no rule permits is refused, what one rule forbids is refused, and what any rule cannot
//! evaluate is refused too: Cedar leaves such a rule out, and it might have been the one that
//! forbids. Nothing here keeps state: the host can roll back whatever it stores, so no rule
//! depends on what was signed before.

mod context;
mod draft;
mod entity;
mod label;
mod load;
mod number;
mod rehearsal;
mod roster;
mod rules;
mod shape;
mod subject;
mod vocabulary;

pub use load::PolicyLoadError;
pub use rehearsal::{ActionRules, Rehearsal, RuleText, Who};
pub use rules::Verdict;
pub use subject::{Description, Subject};

use crate::client::Caller;
use crate::key::KeyFacts;
use crate::labels::Labels;
use alloy_primitives::Address;
use cedar_policy::{Entities, Entity, EntityUid, Request};
use context::View;
use draft::broken;
use entity::{Action, Ids, Type};
use nitro_signer_shared::manifest::{Manifest, Name, Switches};
use nitro_signer_shared::refusal::Refusal;
use roster::Roster;
use rules::{CallerKind, Rules};
use std::collections::{BTreeSet, HashSet};
use vocabulary::Vocabulary;

/// Something that policy approved. Only this module makes one; whoever demands one need not ask
/// again.
pub struct Approved<T>(T);

impl<T> Approved<T> {
    /// What was approved.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.0
    }

    /// What was approved, to be carried out now.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// What may be signed, and the one account in whose name.
#[derive(Debug)]
pub struct ForAccount<S> {
    /// The account, which is the key's address.
    pub from: Address,
    /// A transaction, a message, typed data, an authorization or a digest.
    pub subject: S,
}

/// The manifest's vault, to be made.
#[derive(Debug)]
pub struct NewVault {
    /// Who has it made.
    pub creator: Name,
}

/// A key, to be made.
#[derive(Debug)]
pub struct NewKey {
    /// Who has it made.
    pub creator: Name,
    /// When, in seconds of Unix time.
    pub created: u64,
    /// What policy will see of it; of the allowed form.
    pub labels: Labels,
}

/// One manifest's rules, ready to decide.
pub struct Policy {
    rules: Rules,
    roster: Roster,
    vocabulary: Vocabulary,
    ids: Ids,
    actions: [EntityUid; Action::COUNT],
    switches: Switches,
}

impl Policy {
    /// Loads the manifest's rules strictly.
    ///
    /// # Errors
    /// [`PolicyLoadError`] names the rule and what to write instead.
    pub fn load(manifest: &Manifest) -> Result<Self, PolicyLoadError> {
        let ids = Ids::new();
        let roster = Roster::new(manifest, &ids);
        let vocabulary = Vocabulary::load(manifest)?;
        let mut actions = Action::all().map(|action| ids.of(Type::Action, action.name()));
        Ok(Self {
            rules: load::rules(&manifest.policy, &roster, &vocabulary)?,
            actions: std::array::from_fn(|_| actions.next().expect("there are COUNT of them")),
            switches: manifest.switches,
            vocabulary,
            roster,
            ids,
        })
    }

    /// Decides whether `caller` may have `key` sign this. `is_held` says which accounts' keys this
    /// enclave holds, `now_s` the time in seconds of Unix time.
    ///
    /// # Errors
    /// `PolicyDenied`, `PolicyError`, `ProofRequired`, or `InvalidTransaction`,
    /// `InvalidAuthorization` or `InvalidTypedData` if no rule can be asked about its numbers.
    pub fn approve<S: Subject>(
        &self,
        caller: &Caller,
        key: &KeyFacts,
        subject: S,
        is_held: impl Fn(&Address) -> bool,
        now_s: u64,
    ) -> Result<Approved<ForAccount<S>>, Refusal> {
        let from = key.address;
        let description = subject.describe(from);
        let (kind, principal) = self.roster.caller(caller).ok_or_else(broken)?;
        description.check_before_rules(kind, &self.switches, is_held)?;
        self.ask(kind, principal, Some(key), &description, now_s)?.judge(description.action())?;
        Ok(Approved(ForAccount { from, subject }))
    }

    /// Decides whether `caller` may have the manifest's vault made.
    ///
    /// # Errors
    /// `ProofRequired`, `PolicyDenied` or `PolicyError`.
    pub fn approve_create_vault(
        &self,
        caller: &Caller,
        now_s: u64,
    ) -> Result<Approved<NewVault>, Refusal> {
        let client = caller.proved()?;
        self.decide(caller, &Description::NewVault, now_s)?;
        Ok(Approved(NewVault { creator: client.name().clone() }))
    }

    /// Decides whether `caller` may have a key with these labels made.
    ///
    /// # Errors
    /// `ProofRequired`, `PolicyDenied` or `PolicyError`.
    pub fn approve_create_key(
        &self,
        caller: &Caller,
        labels: Labels,
        now_s: u64,
    ) -> Result<Approved<NewKey>, Refusal> {
        let client = caller.proved()?;
        self.decide(caller, &Description::NewKey { labels: &labels }, now_s)?;
        Ok(Approved(NewKey { creator: client.name().clone(), created: now_s, labels }))
    }

    /// Decides about the vault.
    fn decide(&self, caller: &Caller, of: &Description<'_>, now_s: u64) -> Result<(), Refusal> {
        let (kind, principal) = self.roster.caller(caller).ok_or_else(broken)?;
        self.ask(kind, principal, None, of, now_s)?.judge(of.action())
    }

    /// What the rules say to this request; without a key it is about the vault.
    fn ask(
        &self,
        kind: CallerKind,
        principal: &Entity,
        key: Option<&KeyFacts>,
        of: &Description<'_>,
        now_s: u64,
    ) -> Result<Verdict, Refusal> {
        let action = of.action();
        let docket = self.rules.docket(action, kind);
        let Self { ids, roster, vocabulary, .. } = self;
        let (needs, addresses) = (&docket.needs, BTreeSet::new().into());
        let view = View { ids, roster, vocabulary, needs, now_s, addresses };
        let context = view.context(of)?;
        let addresses = view.addresses.into_inner();
        let mut entities: Vec<Entity> =
            addresses.iter().filter_map(|address| roster.address(address)).cloned().collect();
        let resource = match key {
            Some(key) => ids.key(key.address),
            None => roster.vault().clone(),
        };
        if let Some(key) = key.filter(|_| docket.reach.resource) {
            entities.push(roster.key(key, ids).ok_or_else(broken)?);
        }
        if docket.reach.principal {
            entities.push(principal.clone());
        }
        entities.extend(self.action(action));
        let entities = Entities::from_entities(entities, None).map_err(|_| broken())?;
        let request = Request::new(
            principal.uid(),
            self.actions[action as usize].clone(),
            resource,
            context,
            None,
        );
        Ok(docket.ask(&request.map_err(|_| broken())?, &entities))
    }

    /// The action as an entity, if it is in a group.
    fn action(&self, action: Action) -> Option<Entity> {
        let group = self.ids.of(Type::Action, action.group()?);
        let action = self.actions[action as usize].clone();
        Some(Entity::new_no_attrs(action, HashSet::from([group])))
    }
}

#[cfg(test)]
pub(crate) mod tests;
