//! What a request is, as rules see it.
//!
//! Every value here comes from what was parsed and whose hash is signed, or from the enclave's
//! clock; none from the caller's word. Numbers that bound a loss are saturated upwards, numbers
//! that name something (chain id, nonce) are exact or refuse the request. A test compares the
//! contexts with the schema, so that a decision need not.

use super::draft::{self, Draft, Expressed};
use super::entity::{Action, Ids};
use super::load::Needs;
use super::number;
use super::roster::Roster;
use super::shape::{self, Known};
use super::subject::Description;
use super::vocabulary::Vocabulary;
use crate::authorization::UnsignedAuthorization;
use crate::labels::Labels;
use crate::message::Message;
use crate::transaction::{Delegation, UnsignedTransaction};
use crate::typed_data::{Domain, TypedData};
use alloy_primitives::{Address, U256, keccak256};
use cedar_policy::{Context, RestrictedExpression};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// From what and for what a context is made.
pub(super) struct View<'a> {
    pub(super) ids: &'a Ids,
    pub(super) roster: &'a Roster,
    pub(super) vocabulary: &'a Vocabulary,
    pub(super) needs: &'a Needs,
    pub(super) now_s: u64,
    /// Every address that was put in, for the address book.
    pub(super) addresses: RefCell<BTreeSet<Address>>,
}

impl View<'_> {
    /// The context of an action with this subject.
    pub(super) fn context(&self, of: &Description<'_>) -> Result<Context, Refusal> {
        let mut draft = Draft::new(self.needs);
        draft.long("time", exact("the time", self.now_s, RefusalCode::Internal)?);
        match of {
            Description::Transaction { from, transaction } => {
                self.transaction(&mut draft, *from, transaction)?;
            }
            Description::Message { from, message } => self.message(&mut draft, *from, message)?,
            Description::TypedData { from, data } => self.typed_data(&mut draft, *from, data)?,
            Description::Authorization { from, authorization } => {
                self.authorization(&mut draft, *from, authorization)?;
            }
            Description::Digest { from, digest } => {
                self.address(&mut draft, "from", *from)?;
                draft.word("digest", digest.as_hash().as_slice())?;
            }
            Description::NewVault => {}
            Description::NewKey { labels } => self.labels(&mut draft, labels)?,
        }
        draft.into_context()
    }

    fn known(&self, decimals: Option<u8>) -> Known<'_> {
        let Self { ids, roster, addresses, .. } = self;
        Known { ids, roster, decimals, addresses }
    }

    fn transaction(
        &self,
        draft: &mut Draft<'_>,
        from: Address,
        tx: &UnsignedTransaction,
    ) -> Result<(), Refusal> {
        use RefusalCode::InvalidTransaction;
        let action = Action::of_transaction(tx);
        if let Some(id) = tx.chain_id() {
            draft.long("chain_id", exact("the chain id", id, InvalidTransaction)?);
            draft.long("type", tx.kind() as i64);
        }
        draft.long("nonce", exact("the nonce", tx.nonce(), InvalidTransaction)?);
        self.address(draft, "from", from)?;
        self.amount(draft, "value", tx.value())?;
        draft.long("gas", i64::try_from(tx.gas()).unwrap_or(i64::MAX));
        self.amount(draft, "max_fee_per_gas", U256::from(tx.max_fee_per_gas()))?;
        self.amount(draft, "max_cost", tx.max_cost()?)?;
        draft.long("data_size", count(tx.data().len()));
        match tx.to() {
            Some(to) => self.call(draft, to, tx.data())?,
            None => draft.put("initcode", |needs| shape::hashed(tx.data(), needs))?,
        }
        if action != Action::SignUnprotectedTransaction {
            let priority = U256::from(tx.max_priority_fee_per_gas());
            self.amount(draft, "max_priority_fee_per_gas", priority)?;
            draft.long("access_list_addresses", count(tx.access_list_addresses()));
            draft.long("access_list_slots", count(tx.access_list_slots()));
        }
        if action == Action::SignBlobTransaction {
            draft.long("blobs", count(tx.blobs()));
            self.amount(draft, "max_fee_per_blob_gas", U256::from(tx.max_fee_per_blob_gas()))?;
        }
        if action == Action::SignDelegation {
            self.delegations(draft, tx.delegations(), from)?;
        }
        Ok(())
    }

    fn call(&self, draft: &mut Draft<'_>, to: Address, data: &[u8]) -> Result<(), Refusal> {
        self.address(draft, "to", to)?;
        if let Some(selector) = data.first_chunk() {
            draft.entity_with("selector", || self.ids.selector(*selector));
        }
        // Decoding is for rules that look at it.
        if self.needs.of("call").is_some()
            && let Some(call) = self.vocabulary.decode(to, data)
        {
            let known = self.known(self.roster.decimals(&to));
            draft.put("call", |needs| call.express(needs, &known))?;
        }
        Ok(())
    }

    fn delegations(
        &self,
        draft: &mut Draft<'_>,
        all: &[Delegation],
        from: Address,
    ) -> Result<(), Refusal> {
        for d in all {
            let code = RefusalCode::InvalidTransaction;
            exact("an authorization's chain id", d.chain_id.unwrap_or(0), code)?;
            exact("an authorization's nonce", d.nonce, code)?;
        }
        draft.put("delegations", |needs| {
            let each = all.iter().map(|d| self.delegation(d, from, needs));
            Ok(RestrictedExpression::new_set(each.collect::<Result<Vec<_>, _>>()?))
        })?;
        for (name, of) in [
            ("delegation_addresses", (|d| d.target) as fn(&Delegation) -> Address),
            ("delegation_authorities", |d| d.authority),
        ] {
            draft.put(name, |_| {
                let each = all.iter().map(|d| self.known(None).address(of(d)));
                Ok(RestrictedExpression::new_set(each))
            })?;
        }
        draft.flag("delegates_any_chain", all.iter().any(|d| d.chain_id.is_none()));
        draft.flag("delegates_self", all.iter().any(|d| d.authority == from));
        Ok(())
    }

    fn delegation(&self, d: &Delegation, from: Address, needs: &Needs) -> Expressed {
        let code = RefusalCode::InvalidTransaction;
        let mut draft = Draft::new(needs);
        self.address(&mut draft, "authority", d.authority)?;
        self.address(&mut draft, "address", d.target)?;
        let chain_id = exact("an authorization's chain id", d.chain_id.unwrap_or(0), code)?;
        draft.long("chain_id", chain_id);
        draft.flag("any_chain", d.chain_id.is_none());
        draft.long("nonce", exact("an authorization's nonce", d.nonce, code)?);
        draft.flag("self", d.authority == from);
        draft.into_record()
    }

    fn authorization(
        &self,
        draft: &mut Draft<'_>,
        from: Address,
        one: &UnsignedAuthorization,
    ) -> Result<(), Refusal> {
        let code = RefusalCode::InvalidAuthorization;
        self.address(draft, "from", from)?;
        self.address(draft, "address", one.target())?;
        let chain_id = one.chain_id().unwrap_or(0);
        draft.long("chain_id", exact("the chain id", chain_id, code)?);
        draft.flag("any_chain", one.chain_id().is_none());
        draft.long("nonce", exact("the nonce", one.nonce(), code)?);
        Ok(())
    }

    fn message(
        &self,
        draft: &mut Draft<'_>,
        from: Address,
        message: &Message,
    ) -> Result<(), Refusal> {
        self.address(draft, "from", from)?;
        if let Some(word) = message.as_word() {
            return draft.word("message", word);
        }
        draft.long("size", count(message.as_bytes().len()));
        draft.put("hash", |needs| draft::word(keccak256(message.as_bytes()).as_slice(), needs))?;
        if let Ok(text) = std::str::from_utf8(message.as_bytes()) {
            draft.text_with("text", || text.to_owned());
        }
        Ok(())
    }

    fn typed_data(
        &self,
        draft: &mut Draft<'_>,
        from: Address,
        data: &TypedData,
    ) -> Result<(), Refusal> {
        self.address(draft, "from", from)?;
        let chain_id = data.domain().chain_id.map(domain_chain_id).transpose()?;
        draft.put("domain", |needs| self.domain(data.domain(), chain_id, needs))?;
        draft.wrapped_text("primary_type", data.primary_type())?;
        draft.word("type_hash", data.type_hash().as_slice())?;
        let Some(needs) = self.needs.of("message") else { return Ok(()) };
        let decimals = data.domain().verifying_contract.and_then(|c| self.roster.decimals(&c));
        match self.vocabulary.express_message(data, needs, &self.known(decimals)) {
            Some(message) => draft.put("message", |_| message),
            None => Ok(()),
        }
    }

    fn domain(&self, domain: &Domain, chain_id: Option<i64>, needs: &Needs) -> Expressed {
        let mut draft = Draft::new(needs);
        for (name, text) in [("name", &domain.name), ("version", &domain.version)] {
            if let Some(text) = text {
                draft.wrapped_text(name, text)?;
            }
        }
        if let Some(id) = chain_id {
            draft.long("chain_id", id);
        }
        if let Some(contract) = domain.verifying_contract {
            self.address(&mut draft, "verifying_contract", contract)?;
        }
        if let Some(salt) = domain.salt {
            draft.word("salt", salt.as_slice())?;
        }
        draft.into_record()
    }

    fn labels(&self, draft: &mut Draft<'_>, labels: &Labels) -> Result<(), Refusal> {
        draft.put("labels", |_| Ok(super::label::set(labels.as_map(), self.ids)))
    }

    fn address(&self, draft: &mut Draft<'_>, name: &str, address: Address) -> Result<(), Refusal> {
        draft.put(name, |_| Ok(self.known(None).address(address)))
    }

    fn amount(&self, draft: &mut Draft<'_>, name: &str, wei: U256) -> Result<(), Refusal> {
        draft.put(name, |needs| number::amount(wei, needs))
    }
}

/// A number that names something: another number would name something else.
fn exact(what: &str, number: u64, code: RefusalCode) -> Result<i64, Refusal> {
    i64::try_from(number).map_err(|_| {
        let text = format!("{what}, {number}, is more than 2^63 - 1, which no rule can name");
        Refusal::new(code, text)
    })
}

fn domain_chain_id(id: U256) -> Result<i64, Refusal> {
    i64::try_from(id).map_err(|_| {
        let text = "domain.chainId is more than 2^63 - 1, which no rule can name";
        Refusal::new(RefusalCode::InvalidTypedData, text)
    })
}

/// How many of something that the limits keep far below 2^63.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
