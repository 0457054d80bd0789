//! What a transaction is, as rules see it.
//!
//! Every value here comes from the parsed transaction whose hash is signed, or from the enclave's
//! clock; none from the caller's word. Numbers that bound a loss are saturated upwards, numbers
//! that name something (chain id, nonce) are exact or refuse the request. A test compares the
//! contexts with the schema, so that a decision need not.

use super::amount::Amount;
use super::entity::{Action, Ids};
use crate::transaction::{Delegation, Kind, UnsignedTransaction};
use alloy_primitives::{Address, U256};
use cedar_policy::{Context, RestrictedExpression};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// The context of the four actions that sign a transaction.
pub(super) struct TransactionContext<'a> {
    time: i64,
    chain_id: i64,
    kind: Kind,
    nonce: i64,
    from: Address,
    to: Option<Address>,
    value: Amount,
    gas: i64,
    max_fee_per_gas: Amount,
    max_priority_fee_per_gas: Amount,
    max_cost: Amount,
    data_size: i64,
    selector: Option<[u8; 4]>,
    access_list_addresses: i64,
    access_list_slots: i64,
    blobs: i64,
    max_fee_per_blob_gas: Amount,
    delegations: &'a [Delegation],
}

/// The action that signs this transaction.
pub(super) fn action(tx: &UnsignedTransaction) -> Action {
    match (tx.kind(), tx.to()) {
        (Kind::Blob, _) => Action::SignBlobTransaction,
        (Kind::SetCode, _) => Action::SignDelegation,
        (Kind::Legacy | Kind::AccessList | Kind::DynamicFee, Some(_)) => Action::SignTransaction,
        (Kind::Legacy | Kind::AccessList | Kind::DynamicFee, None) => Action::DeployContract,
    }
}

impl<'a> TransactionContext<'a> {
    /// Describes a transaction of the account `from`.
    ///
    /// # Errors
    /// `InvalidTransaction` if its cost overflows or it names something by a number above 2^63-1.
    pub(super) fn of(
        tx: &'a UnsignedTransaction,
        from: Address,
        now_s: u64,
    ) -> Result<Self, Refusal> {
        let calldata = tx.to().map(|_| tx.data());
        Ok(Self {
            time: exact("the time", now_s)?,
            chain_id: exact("the chain id", tx.chain_id())?,
            kind: tx.kind(),
            nonce: exact("the nonce", tx.nonce())?,
            from,
            to: tx.to(),
            value: Amount::of(tx.value()),
            gas: i64::try_from(tx.gas()).unwrap_or(i64::MAX),
            max_fee_per_gas: Amount::of(U256::from(tx.max_fee_per_gas())),
            max_priority_fee_per_gas: Amount::of(U256::from(tx.max_priority_fee_per_gas())),
            max_cost: Amount::of(tx.max_cost()?),
            data_size: count(tx.data().len()),
            selector: calldata.and_then(|data| data.first_chunk().copied()),
            access_list_addresses: count(tx.access_list_addresses()),
            access_list_slots: count(tx.access_list_slots()),
            blobs: count(tx.blobs()),
            max_fee_per_blob_gas: Amount::of(U256::from(tx.max_fee_per_blob_gas())),
            delegations: tx.delegations(),
        })
    }

    /// Every address in it, for the address book.
    pub(super) fn addresses(&self) -> impl Iterator<Item = Address> {
        let delegated = self.delegations.iter().flat_map(|d| [d.authority, d.target]);
        [Some(self.from), self.to].into_iter().flatten().chain(delegated)
    }

    /// The record that the schema gives this action.
    pub(super) fn into_cedar(self, action: Action, ids: &Ids) -> Result<Context, Refusal> {
        let mut record = Record(Vec::with_capacity(24));
        record.long("time", self.time);
        record.long("chain_id", self.chain_id);
        record.long("type", self.kind as i64);
        record.long("nonce", self.nonce);
        record.address("from", self.from, ids);
        if let Some(to) = self.to {
            record.address("to", to, ids);
        }
        record.amount("value", self.value)?;
        record.long("gas", self.gas);
        record.amount("max_fee_per_gas", self.max_fee_per_gas)?;
        record.amount("max_priority_fee_per_gas", self.max_priority_fee_per_gas)?;
        record.amount("max_cost", self.max_cost)?;
        record.long("data_size", self.data_size);
        if let Some(selector) = self.selector {
            let selector = RestrictedExpression::new_entity_uid(ids.selector(selector));
            record.push("selector", selector);
        }
        record.long("access_list_addresses", self.access_list_addresses);
        record.long("access_list_slots", self.access_list_slots);
        if action == Action::SignBlobTransaction {
            record.long("blobs", self.blobs);
            record.amount("max_fee_per_blob_gas", self.max_fee_per_blob_gas)?;
        }
        if action == Action::SignDelegation {
            record.delegations(self.delegations, self.from, ids)?;
        }
        record.into_context()
    }
}

/// The context of the two actions that make something.
pub(super) fn of_creation(
    now_s: u64,
    labels: Option<RestrictedExpression>,
) -> Result<Context, Refusal> {
    let mut record = Record(Vec::with_capacity(2));
    record.long("time", exact("the time", now_s)?);
    if let Some(labels) = labels {
        record.push("labels", labels);
    }
    record.into_context()
}

/// A record that is being written.
struct Record(Vec<(String, RestrictedExpression)>);

impl Record {
    fn push(&mut self, name: &str, value: RestrictedExpression) {
        self.0.push((name.to_owned(), value));
    }

    fn long(&mut self, name: &str, value: i64) {
        self.push(name, RestrictedExpression::new_long(value));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.push(name, RestrictedExpression::new_bool(value));
    }

    fn address(&mut self, name: &str, address: Address, ids: &Ids) {
        self.push(name, RestrictedExpression::new_entity_uid(ids.address(address)));
    }

    fn amount(&mut self, name: &str, amount: Amount) -> Result<(), Refusal> {
        self.push(name, amount.into_record().ok_or_else(broken)?);
        Ok(())
    }

    fn delegations(
        &mut self,
        delegations: &[Delegation],
        from: Address,
        ids: &Ids,
    ) -> Result<(), Refusal> {
        let each = delegations.iter().map(|d| delegation(d, from, ids));
        let each = each.collect::<Result<Vec<_>, Refusal>>()?;
        let addresses = |of: fn(&Delegation) -> Address| {
            let each = delegations.iter().map(of);
            RestrictedExpression::new_set(
                each.map(|a| RestrictedExpression::new_entity_uid(ids.address(a))),
            )
        };
        self.push("delegations", RestrictedExpression::new_set(each));
        self.push("delegation_addresses", addresses(|d| d.target));
        self.push("delegation_authorities", addresses(|d| d.authority));
        self.flag("delegates_any_chain", delegations.iter().any(|d| d.chain_id.is_none()));
        self.flag("delegates_self", delegations.iter().any(|d| d.authority == from));
        Ok(())
    }

    fn into_context(self) -> Result<Context, Refusal> {
        Context::from_pairs(self.0).map_err(|_| broken())
    }
}

fn delegation(d: &Delegation, from: Address, ids: &Ids) -> Result<RestrictedExpression, Refusal> {
    let mut record = Record(Vec::with_capacity(6));
    record.address("authority", d.authority, ids);
    record.address("address", d.target, ids);
    record.long("chain_id", exact("an authorization's chain id", d.chain_id.unwrap_or(0))?);
    record.flag("any_chain", d.chain_id.is_none());
    record.long("nonce", exact("an authorization's nonce", d.nonce)?);
    record.flag("self", d.authority == from);
    RestrictedExpression::new_record(record.0).map_err(|_| broken())
}

/// A number that names something: another number would name something else.
fn exact(what: &str, number: u64) -> Result<i64, Refusal> {
    i64::try_from(number).map_err(|_| {
        let text = format!("{what}, {number}, is more than 2^63 - 1, which no rule can name");
        Refusal::new(RefusalCode::InvalidTransaction, text)
    })
}

/// How many of something that the transaction's limits keep far below 2^63.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn broken() -> Refusal {
    // Only a name that stands twice does this, and the tests build every record.
    Refusal::new(RefusalCode::Internal, "the request could not be put to the policy")
}
