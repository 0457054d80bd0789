//! Policy: the manifest's rules, and the only maker of [`Approved`] values.
//!
//! What no rule permits is refused, what one rule forbids is refused, and what any rule cannot
//! evaluate is refused too: Cedar leaves such a rule out, and it might have been the one that
//! forbids. Nothing here keeps state: the host can roll back whatever it stores, so no rule
//! depends on what was signed before.

mod amount;
mod context;
mod entity;
mod label;
mod load;
mod roster;

pub use load::PolicyLoadError;

use crate::client::Caller;
use crate::key::KeyFacts;
use crate::labels::Labels;
use crate::transaction::UnsignedTransaction;
use alloy_primitives::Address;
use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityUid, Request,
    Response,
};
use context::TransactionContext;
use entity::{Action, Ids, Type};
use load::Rules;
use nitro_signer_shared::manifest::{Manifest, Name};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use roster::Roster;
use std::collections::BTreeSet;

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

/// A transaction and the one account in whose name it may be signed.
#[derive(Debug)]
pub struct TransactionFrom {
    /// The account, which is the key's address.
    pub from: Address,
    /// The transaction.
    pub transaction: UnsignedTransaction,
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
    ids: Ids,
    actions: [EntityUid; Action::ALL.len()],
    authorizer: Authorizer,
    delegation: bool,
}

impl Policy {
    /// Loads the manifest's rules strictly.
    ///
    /// # Errors
    /// [`PolicyLoadError`] names the rule and what to write instead.
    pub fn load(manifest: &Manifest) -> Result<Self, PolicyLoadError> {
        let ids = Ids::new();
        let roster = Roster::new(manifest, &ids);
        Ok(Self {
            rules: Rules::load(&manifest.policy, &roster)?,
            actions: Action::ALL.map(|action| ids.of(Type::Action, action.name())),
            authorizer: Authorizer::new(),
            delegation: manifest.switches.delegation,
            roster,
            ids,
        })
    }

    /// Decides whether `caller` may have `key` sign this transaction. `is_held` says which
    /// accounts' keys this enclave holds.
    ///
    /// # Errors
    /// `PolicyDenied`, `PolicyError`, `ProofRequired` where a held key's account is delegated, or
    /// `InvalidTransaction` if no rule can be asked about its numbers.
    pub fn approve_transaction(
        &self,
        caller: &Caller,
        key: &KeyFacts,
        transaction: UnsignedTransaction,
        is_held: impl Fn(&Address) -> bool,
        now_s: u64,
    ) -> Result<Approved<TransactionFrom>, Refusal> {
        let action = context::action(&transaction);
        if action == Action::SignDelegation && !self.delegation {
            let text =
                "the manifest's switch `delegation` is off, so nothing of EIP-7702 is signed";
            return Err(Refusal::new(RefusalCode::PolicyDenied, text));
        }
        // Strangers' authorizations cost no more than their gas; one of a key that is held here
        // changes what that account is.
        if transaction.delegations().iter().any(|d| is_held(&d.authority)) {
            caller.proved()?;
        }
        let context = TransactionContext::of(&transaction, key.address, now_s)?;
        let addresses: BTreeSet<Address> = context.addresses().collect();
        let book = addresses.iter().filter_map(|address| self.roster.address(address));
        let resource = self.roster.key(key, &self.ids).ok_or_else(unaskable)?;
        let question = Question {
            action,
            resource: resource.uid(),
            context: context.into_cedar(action, &self.ids)?,
            entities: book.cloned().chain([resource]).collect(),
        };
        self.decide(caller, question)?;
        Ok(Approved(TransactionFrom { from: key.address, transaction }))
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
        let context = context::of_creation(now_s, None)?;
        self.decide(caller, self.creation(Action::CreateVault, context))?;
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
        let set = label::set(labels.as_map(), &self.ids);
        let context = context::of_creation(now_s, Some(set))?;
        self.decide(caller, self.creation(Action::CreateKey, context))?;
        Ok(Approved(NewKey { creator: client.name().clone(), created: now_s, labels }))
    }

    fn creation(&self, action: Action, context: Context) -> Question {
        let resource = self.roster.vault().clone();
        Question { action, resource, context, entities: Vec::new() }
    }

    fn decide(&self, caller: &Caller, question: Question) -> Result<(), Refusal> {
        let principal = self.roster.caller(caller).ok_or_else(unaskable)?;
        let action = self.actions[question.action as usize].clone();
        let request =
            Request::new(principal.uid(), action, question.resource, question.context, None)
                .map_err(|_| unaskable())?;
        let entities = question.entities.into_iter().chain([principal.clone()]);
        let entities = Entities::from_entities(entities, None).map_err(|_| unaskable())?;
        let response = self.authorizer.is_authorized(&request, &self.rules.set, &entities);
        self.judge(question.action, &response)
    }

    /// Allow without any rule that failed is the one answer that approves.
    fn judge(&self, action: Action, response: &Response) -> Result<(), Refusal> {
        let diagnostics = response.diagnostics();
        if let Some(error) = diagnostics.errors().next() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            let name = self.rules.name(error.policy_id());
            let text = format!("{name} cannot be evaluated for this request, and that refuses it");
            return Err(Refusal::new(RefusalCode::PolicyError, text));
        }
        if response.decision() == Decision::Allow {
            return Ok(());
        }
        let action = action.name();
        // With Deny, the reasons are the rules that forbid.
        let text = match diagnostics.reason().map(|id| self.rules.name(id)).min() {
            Some(name) => format!("{name} forbids this {action}"),
            None => format!("no rule permits this {action}"),
        };
        Err(Refusal::new(RefusalCode::PolicyDenied, text))
    }
}

/// What the rules are asked.
struct Question {
    action: Action,
    resource: EntityUid,
    context: Context,
    /// What rules can reach besides the caller.
    entities: Vec<Entity>,
}

fn unaskable() -> Refusal {
    Refusal::new(RefusalCode::Internal, "the request could not be put to the policy")
}

#[cfg(test)]
pub(crate) mod tests;
