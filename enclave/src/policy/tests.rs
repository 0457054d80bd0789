#![allow(clippy::unwrap_used)]

use super::load::Needs;
use super::*;
use crate::authorization::UnsignedAuthorization;
use crate::client::{Callers, tests as clients};
use crate::digest::Digest;
use crate::key::{Nonces, PrivateKey};
use crate::message::Message;
use crate::transaction::UnsignedTransaction;
use crate::typed_data::TypedData;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip7702::Authorization;
use alloy_primitives::{B256, Bytes, Signature, TxKind, U256};
use cedar_policy::{Authorizer, Context, Decision, PolicySet};
use clients::NOW_S;
use nitro_signer_shared::manifest::{
    AbiEntry, AddressEntry, AssertedEntry, ManifestHash, TypedDataEntry,
};
use nitro_signer_shared::message::Origin;
use nitro_signer_shared::proof::Intent;
use nitro_signer_shared::refusal::RefusalCode;

mod calls;
mod kinds;
mod vocabulary;

pub(crate) const TREASURY: Address = Address::repeat_byte(0x11);
/// A token with 6 decimals.
const USDC: Address = Address::repeat_byte(0x66);
/// A contract with an ABI of the manifest's.
const ROUTER: Address = Address::repeat_byte(0x77);
/// A collection of ERC-721.
const NFT: Address = Address::repeat_byte(0x88);
const STRANGER: Address = Address::repeat_byte(0x22);
const KEY: u8 = 0x46;

/// The client tests' manifest, with an address book and every switch on.
pub(crate) fn manifest(policy: &str) -> Manifest {
    let entry = |address, name: &str, groups: &[&str], abi: Option<&str>, decimals| AddressEntry {
        address,
        name: name.parse().unwrap(),
        groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
        decimals,
        abi: abi.map(|abi| abi.parse().unwrap()),
    };
    let mut manifest = clients::manifest(policy);
    manifest.addresses = vec![
        entry(TREASURY, "treasury", &["safe"], None, None),
        entry(key().address, "hot", &[], None, None),
        entry(other_key().address(), "other", &[], None, None),
        entry(USDC, "usdc", &["tokens"], Some("erc20"), Some(6)),
        entry(ROUTER, "router", &[], Some("router"), None),
        entry(NFT, "nft", &[], Some("erc721"), None),
    ];
    manifest.abis =
        vec![AbiEntry { name: "router".parse().unwrap(), json: calls::ROUTER_ABI.to_owned() }];
    manifest.typed_data = vec![TypedDataEntry {
        name: "mail".parse().unwrap(),
        encode_type: kinds::MAIL_TYPE.to_owned(),
    }];
    manifest.asserted.push(AssertedEntry { name: "batch".parse().unwrap(), groups: vec![] });
    manifest.switches.delegation = true;
    manifest.switches.raw_digests = true;
    manifest.switches.unprotected_legacy = true;
    manifest
}

pub(crate) fn operator() -> Caller {
    let (intent, hash) = (Intent::create_vault("main"), ManifestHash::of(b""));
    let callers = Callers::new(&manifest("")).unwrap();
    let proof = clients::proof(&intent, &hash, NOW_S + 1);
    callers.authenticate(None, &[proof], &intent, &hash, NOW_S).unwrap()
}

pub(crate) fn app() -> Caller {
    asserted("app")
}

fn asserted(name: &str) -> Caller {
    let (intent, hash) = (Intent::create_vault("main"), ManifestHash::of(b""));
    let callers = Callers::new(&manifest("")).unwrap();
    callers.authenticate(Some(name), &[], &intent, &hash, NOW_S).unwrap()
}

pub(crate) fn private_key() -> PrivateKey {
    PrivateKey::from_material(&[KEY; 32]).unwrap()
}

/// The treasury's key and one more are held.
fn is_held(address: &Address) -> bool {
    [key().address, other_key().address()].contains(address)
}

fn other_key() -> PrivateKey {
    PrivateKey::from_material(&[0x78; 32]).unwrap()
}

fn labels() -> Labels {
    Labels::parse(key().labels).unwrap()
}

pub(crate) fn key() -> KeyFacts {
    KeyFacts {
        address: private_key().address(),
        origin: Origin::Generated,
        creator: "operator".to_owned(),
        created: NOW_S - 100,
        labels: [("team".to_owned(), "ops".to_owned())].into(),
    }
}

pub(crate) fn parse(tx: &impl SignableTransaction<Signature>) -> UnsignedTransaction {
    UnsignedTransaction::parse(&tx.encoded_for_signing()).unwrap()
}

pub(crate) fn transfer() -> TxEip1559 {
    TxEip1559 {
        chain_id: 1,
        nonce: 9,
        gas_limit: 21_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(TREASURY),
        value: U256::from(1_000_000_000_000_000_000u64),
        ..TxEip1559::default()
    }
}

pub(crate) fn creation() -> TxEip1559 {
    TxEip1559 { to: TxKind::Create, input: Bytes::from_static(&[0x60, 0, 0, 0, 0]), ..transfer() }
}

pub(crate) fn blob() -> TxEip4844 {
    TxEip4844 {
        chain_id: 1,
        max_fee_per_gas: 1,
        to: STRANGER,
        max_fee_per_blob_gas: 1,
        blob_versioned_hashes: vec![B256::repeat_byte(1)],
        ..TxEip4844::default()
    }
}

/// Authorizes `code` for the test key's own account on chain 1.
pub(crate) fn delegation(code: Address, chain_id: u64) -> TxEip7702 {
    delegation_by(&private_key(), code, chain_id)
}

fn delegation_by(authority: &PrivateKey, code: Address, chain_id: u64) -> TxEip7702 {
    authorized(authority, Authorization { chain_id: U256::from(chain_id), address: code, nonce: 0 })
}

fn delegation_at(nonce: u64) -> TxEip7702 {
    let unsigned = Authorization { chain_id: U256::from(1), address: TREASURY, nonce };
    authorized(&private_key(), unsigned)
}

fn authorized(authority: &PrivateKey, unsigned: Authorization) -> TxEip7702 {
    let hash = unsigned.signature_hash();
    let signature = authority.sign_hash(hash, Nonces::Deterministic).unwrap();
    TxEip7702 {
        chain_id: 1,
        to: STRANGER,
        authorization_list: vec![unsigned.into_signed(signature.to_alloy())],
        input: Bytes::from_static(&[0xa9, 0x05, 0x9c, 0xbb]),
        ..TxEip7702::default()
    }
}

/// One transaction of every type and of every shape that makes another context.
pub(crate) fn all_transactions() -> Vec<UnsignedTransaction> {
    let legacy = TxLegacy { chain_id: Some(1), to: TxKind::Call(STRANGER), ..TxLegacy::default() };
    let access = TxEip2930 { chain_id: 1, to: TxKind::Call(STRANGER), ..TxEip2930::default() };
    let with_data = TxEip1559 { input: Bytes::from_static(&[1, 2, 3, 4]), ..transfer() };
    let unprotected = TxLegacy { chain_id: None, ..legacy.clone() };
    let deploys =
        TxLegacy { to: TxKind::Create, input: Bytes::from_static(&[1]), ..unprotected.clone() };
    vec![
        parse(&unprotected),
        parse(&deploys),
        parse(&legacy),
        parse(&access),
        parse(&transfer()),
        parse(&with_data),
        parse(&creation()),
        parse(&blob()),
        parse(&delegation(TREASURY, 1)),
    ]
}

fn load(rules: &str) -> Policy {
    Policy::load(&manifest(rules)).unwrap()
}

fn decide<S: Subject>(rules: &str, caller: &Caller, subject: S) -> Result<(), Refusal> {
    let policy = load(rules);
    let cedars = cedars_word(&policy, rules, caller, &subject.describe(key().address));
    let decided = policy.approve(caller, &key(), subject, is_held, NOW_S).map(drop);
    let code = decided.as_ref().err().map(|refusal| refusal.code);
    // Where rules were asked, Cedar's own authorizer says the same of everything there is to know.
    if let Some(cedars) = cedars
        && code.is_none_or(|code| {
            code == RefusalCode::PolicyDenied || code == RefusalCode::PolicyError
        })
    {
        assert_eq!(decided.is_ok(), cedars, "{rules}");
    }
    decided
}

/// What Cedar's authorizer says to the whole context, all rules and all entities.
fn cedars_word(
    policy: &Policy,
    rules: &str,
    caller: &Caller,
    of: &Description<'_>,
) -> Option<bool> {
    let (_, principal) = policy.roster.caller(caller)?;
    let context = whole_context(policy, of).ok()?;
    let addresses = [TREASURY, key().address, USDC, ROUTER, NFT];
    let book = addresses.iter().filter_map(|address| policy.roster.address(address)).cloned();
    let resource = policy.roster.key(&key(), &policy.ids)?;
    let request = Request::new(
        principal.uid(),
        policy.actions[of.action() as usize].clone(),
        resource.uid(),
        context,
        None,
    );
    let actions = Action::all().filter_map(|action| policy.action(action));
    let entities = book.chain(actions).chain([principal.clone(), resource]);
    let entities = Entities::from_entities(entities, None).unwrap();
    let set: PolicySet = rules.parse().unwrap();
    let response = Authorizer::new().is_authorized(&request.unwrap(), &set, &entities);
    let failed = response.diagnostics().errors().next().is_some();
    Some(response.decision() == Decision::Allow && !failed)
}

/// The context with everything in it, whether a rule asks for it or not.
fn whole_context(policy: &Policy, of: &Description<'_>) -> Result<Context, Refusal> {
    let Policy { ids, roster, vocabulary, .. } = policy;
    let (needs, addresses) = (&Needs::All, BTreeSet::new().into());
    View { ids, roster, vocabulary, needs, now_s: NOW_S, addresses }.context(of)
}

/// Whether the operator may make this transfer under `permit` for this condition.
fn permits(condition: &str, tx: &impl SignableTransaction<Signature>) -> bool {
    let action = Action::of_transaction(&parse(tx)).name();
    let rules = format!(
        "permit(principal, action == Action::\"{action}\", resource) when {{{condition}}};"
    );
    match decide(&rules, &operator(), parse(tx)) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, RefusalCode::PolicyDenied, "{condition}: {refusal}");
            false
        }
    }
}

fn code<T>(result: Result<T, Refusal>) -> Option<RefusalCode> {
    result.err().map(|refusal| refusal.code)
}

const SIGN_ANY: &str = "permit(principal, action == Action::\"SignTransaction\", resource);";

/// The contexts and entities are built without asking the schema; this is where it is asked.
#[test]
fn every_context_and_entity_is_what_the_schema_says() {
    let policy = load("");
    let schema = load::schema(&policy.vocabulary).unwrap();
    let mut seen = BTreeSet::new();
    let mut check = |of: &Description<'_>| {
        let context = whole_context(&policy, of).unwrap();
        let (action, from) = (of.action(), key().address);
        let resource = match of {
            Description::NewVault | Description::NewKey { .. } => policy.roster.vault().clone(),
            _ => policy.ids.key(from),
        };
        for principal in [("Client", Type::Client), ("AssertedClient", Type::AssertedClient)] {
            let takes = schema
                .principals_for_action(&policy.actions[action as usize])
                .unwrap()
                .any(|name| name.basename() == principal.0);
            let request = Request::new(
                policy.ids.of(principal.1, "x"),
                policy.actions[action as usize].clone(),
                resource.clone(),
                context.clone(),
                Some(&schema),
            );
            assert_eq!(request.is_ok(), takes, "{action:?}: {request:?}");
        }
        seen.insert(action.name());
    };
    let from = key().address;
    for transaction in all_transactions().iter().chain(&calls::all()) {
        check(&transaction.describe(from));
    }
    for data in kinds::all_typed_data() {
        check(&data.describe(from));
    }
    for bytes in [&b"text"[..], &[0xff], &[7; 32]] {
        check(&Message::parse(bytes.to_vec()).unwrap().describe(from));
    }
    check(&UnsignedAuthorization::new(0, TREASURY, 1).unwrap().describe(from));
    check(&Digest::new(B256::repeat_byte(1)).describe(from));
    check(&Description::NewVault);
    check(&Description::NewKey { labels: &labels() });
    let groups = |name: &&str| *name != "Delegate";
    let actions = schema.actions().map(|action| action.id().unescaped()).filter(groups);
    assert_eq!(seen, actions.collect::<BTreeSet<_>>());

    let book = [TREASURY, key().address].map(|a| policy.roster.address(&a).unwrap().clone());
    let callers = [operator(), app()].map(|c| policy.roster.caller(&c).unwrap().1.clone());
    let key = policy.roster.key(&key(), &policy.ids).unwrap();
    let actions = Action::all().filter_map(|action| policy.action(action));
    let entities = book.into_iter().chain(callers).chain([key]).chain(actions);
    Entities::from_entities(entities, Some(&schema)).unwrap();
}

#[test]
fn what_no_rule_permits_is_denied() {
    for tx in all_transactions() {
        assert_eq!(code(decide("", &operator(), tx)), Some(RefusalCode::PolicyDenied));
    }
    let policy = load("");
    let vault = policy.approve_create_vault(&operator(), NOW_S);
    assert_eq!(code(vault), Some(RefusalCode::PolicyDenied));
    let made = policy.approve_create_key(&operator(), labels(), NOW_S);
    assert_eq!(code(made), Some(RefusalCode::PolicyDenied));
}

#[test]
fn an_action_permits_nothing_of_another() {
    for permitted in Action::all() {
        let action = permitted.name();
        let rules = format!("permit(principal, action == Action::\"{action}\", resource);");
        for tx in all_transactions() {
            let right = Action::of_transaction(&tx) == permitted;
            assert_eq!(decide(&rules, &operator(), tx).is_ok(), right, "{action}");
        }
    }
}

#[test]
fn a_forbid_wins_and_is_named() {
    let rules = format!(
        "{SIGN_ANY} @id(\"no treasury\") forbid(principal, action == \
         Action::\"SignTransaction\", resource) when {{ context.to == Address::\"{}\" }};",
        entity::address_text(TREASURY)
    );
    let refusal = decide(&rules, &operator(), parse(&transfer())).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::PolicyDenied);
    assert!(refusal.detail.contains("\"no treasury\" forbids"), "{refusal}");
    let elsewhere = TxEip1559 { to: TxKind::Call(STRANGER), ..transfer() };
    assert!(decide(&rules, &operator(), parse(&elsewhere)).is_ok());
}

#[test]
fn a_rule_that_cannot_be_evaluated_refuses_what_others_permit() {
    let rules = format!(
        "{SIGN_ANY} @id(\"sum\") forbid(principal, action == Action::\"SignTransaction\", \
         resource) when {{ context.value.wei + context.max_cost.wei > 100 }};"
    );
    let large = TxEip1559 { value: U256::from(i64::MAX), ..transfer() };
    let refusal = decide(&rules, &operator(), parse(&large)).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::PolicyError);
    assert!(refusal.detail.contains("\"sum\""), "{refusal}");
    let permit = rules.replace("forbid", "permit");
    let refusal = decide(&permit, &operator(), parse(&large)).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::PolicyError);
}

#[test]
fn amounts_keep_their_bounds_at_every_size() {
    let power = |bits: usize| U256::from(1) << bits;
    for (value, exceeds) in [
        (power(63) - U256::from(1), false),
        (power(63), true),
        (power(64), true),
        (power(128), true),
        (U256::MAX, true),
    ] {
        let tx = TxEip1559 { value, gas_limit: 0, ..transfer() };
        for unit in ["wei", "gwei", "ether"] {
            for amount in ["value", "max_cost"] {
                // An upper bound just below the amount, and at least one unit.
                assert!(!permits(&format!("context.{amount}.{unit} <= 9"), &tx), "{value}");
            }
        }
        assert_eq!(permits("context.value.exceeds_long", &tx), exceeds, "{value}");
        let hex = format!("context.value.hex == \"{value:064x}\"");
        assert!(permits(&hex, &tx));
    }
}

#[test]
fn rules_see_the_transaction_as_it_is() {
    let to = entity::address_text(TREASURY);
    let from = entity::address_text(key().address);
    let tx = transfer();
    for condition in [
        "context.chain_id == 1",
        "context.type == 2",
        "context.nonce == 9",
        "context.gas == 21000",
        "context.value.wei == 1000000000000000000",
        "context.value.wei == 1000000000000000000",
        "context.max_fee_per_gas.wei == 20000000000",
        "context.max_priority_fee_per_gas.wei == 1000000000",
        "context.max_cost.wei == 1000420000000000000",
        "context.data_size == 0",
        "!(context has selector)",
        "context.time == 1800000000",
        "context.to in AddressGroup::\"safe\"",
        "resource in Vault::\"main\"",
        "resource.origin == Origin::\"generated\"",
        "resource.creator == Client::\"operator\"",
        "resource.created == 1799999900",
        "resource.labels.contains(Label::\"team=ops\")",
        "principal in ClientGroup::\"admins\"",
        "principal == Client::\"operator\"",
        &format!("context.to == Address::\"{to}\""),
        &format!("context.from == Address::\"{from}\" && resource == Key::\"{from}\""),
    ] {
        // A rule about the principal's type needs a scope that names it.
        let scope =
            if condition.contains("principal") { "principal is Client" } else { "principal" };
        let rules = format!(
            "permit({scope}, action == Action::\"SignTransaction\", resource) when {{{condition}}};"
        );
        let decided = decide(&rules, &operator(), parse(&tx));
        assert!(decided.is_ok(), "{condition}: {decided:?}");
        let negated = rules.replace("when", "unless");
        assert_eq!(
            code(decide(&negated, &operator(), parse(&tx))),
            Some(RefusalCode::PolicyDenied),
            "{condition}"
        );
    }
}

#[test]
fn a_selector_is_the_first_four_bytes_of_calldata() {
    for (data, expected) in [
        (&[][..], false),
        (&[0xa9, 0x05, 0x9c], false),
        (&[0xa9, 0x05, 0x9c, 0xbb], true),
        (&[0xa9, 0x05, 0x9c, 0xbb, 0xff], true),
        (&[0xa9, 0x05, 0x9c, 0xbc], false),
    ] {
        let tx = TxEip1559 { input: Bytes::copy_from_slice(data), ..transfer() };
        let condition = "context has selector && context.selector == Selector::\"a9059cbb\"";
        assert_eq!(permits(condition, &tx), expected, "{data:?}");
    }
}

#[test]
fn an_address_that_is_not_in_the_book_is_in_no_group() {
    let tx = TxEip1559 { to: TxKind::Call(STRANGER), ..transfer() };
    assert!(!permits("context.to in AddressGroup::\"safe\"", &tx));
    assert!(permits("!(context.to in AddressGroup::\"safe\")", &tx));
    let own = TxEip1559 { to: TxKind::Call(key().address), ..transfer() };
    assert!(permits("context.to == context.from", &own));
    assert!(!permits("context.to == context.from", &tx));
}

#[test]
fn a_number_that_names_something_is_exact_or_refused() {
    let most = i64::MAX as u64;
    let chain = |chain_id| TxEip1559 { chain_id, ..transfer() };
    let nonce = |nonce| TxEip1559 { nonce, ..transfer() };
    assert!(permits("context.chain_id == 9223372036854775807", &chain(most)));
    assert!(permits("context.nonce == 9223372036854775807", &nonce(most)));
    for tx in [chain(most + 1), chain(u64::MAX), nonce(most + 1), nonce(u64::MAX - 1)] {
        let decided = decide(SIGN_ANY, &operator(), parse(&tx));
        assert_eq!(code(decided), Some(RefusalCode::InvalidTransaction));
    }
    // The same in an authorization, whether or not a rule looks at it.
    let any = "permit(principal, action == Action::\"SignDelegation\", resource);";
    let looking = any.replace(";", " when { context.delegations.contains(\
         {authority: context.from, address: context.to, chain_id: 1, any_chain: false, nonce: 0, self: true}) };");
    for tx in [delegation(TREASURY, most + 1), delegation_at(most + 1), delegation_at(u64::MAX - 1)]
    {
        for rules in [any, &looking] {
            let decided = decide(rules, &operator(), parse(&tx));
            assert_eq!(code(decided), Some(RefusalCode::InvalidTransaction));
        }
    }
    assert!(decide(any, &operator(), parse(&delegation(TREASURY, most))).is_ok());
    assert!(decide(any, &operator(), parse(&delegation_at(most))).is_ok());
    // Gas is an amount: what does not fit stays above every bound.
    let gas = TxEip1559 { gas_limit: u64::MAX, value: U256::ZERO, ..transfer() };
    assert!(!permits("context.gas <= 9223372036854775806", &gas));
}

#[test]
fn a_cost_above_all_ether_is_refused_whatever_the_rules_say() {
    let tx = TxEip1559 { value: U256::MAX, ..transfer() };
    let decided = decide(SIGN_ANY, &operator(), parse(&tx));
    assert_eq!(code(decided), Some(RefusalCode::InvalidTransaction));
}

#[test]
fn an_asserted_client_has_its_own_rules() {
    let scoped =
        |scope: &str| format!("permit({scope}, action == Action::\"SignTransaction\", resource);");
    for (scope, operator_may, app_may) in [
        ("principal", true, true),
        ("principal is Client", true, false),
        ("principal is AssertedClient", false, true),
        ("principal == AssertedClient::\"app\"", false, true),
        ("principal in AssertedGroup::\"apps\"", false, true),
        ("principal in ClientGroup::\"admins\"", true, false),
    ] {
        let may = |caller| decide(&scoped(scope), &caller, parse(&transfer())).is_ok();
        assert_eq!((may(operator()), may(app())), (operator_may, app_may), "{scope}");
    }
}

#[test]
fn a_scope_holds_for_whom_and_for_which_key_it_names() {
    let own = entity::address_text(key().address);
    let other = entity::address_text(other_key().address());
    for (scope, app_may, batch_may) in [
        ("principal == AssertedClient::\"app\", action, resource", true, false),
        ("principal == AssertedClient::\"batch\", action, resource", false, true),
        ("principal in AssertedGroup::\"apps\", action, resource", true, false),
        ("principal is AssertedClient, action, resource", true, true),
        (&format!("principal, action, resource == Key::\"{own}\""), true, true),
        (&format!("principal, action, resource == Key::\"{other}\""), false, false),
        ("principal, action, resource in Vault::\"main\"", true, true),
        ("principal == AssertedClient::\"app\", action, resource in Vault::\"main\"", true, false),
    ] {
        let rules = format!(
            "permit({});",
            scope.replace("action,", "action == Action::\"SignTransaction\",")
        );
        let may = |name| decide(&rules, &asserted(name), parse(&transfer())).is_ok();
        assert_eq!((may("app"), may("batch")), (app_may, batch_may), "{scope}");
    }
}

#[test]
fn an_asserted_client_makes_nothing_and_never_delegates_a_held_key() {
    let policy = load("permit(principal, action, resource);");
    let vault = policy.approve_create_vault(&app(), NOW_S);
    assert_eq!(code(vault), Some(RefusalCode::ProofRequired));
    let made = policy.approve_create_key(&app(), labels(), NOW_S);
    assert_eq!(code(made), Some(RefusalCode::ProofRequired));
    let sign =
        |caller: Caller, tx: &TxEip7702| policy.approve(&caller, &key(), parse(tx), is_held, NOW_S);
    let own = delegation(TREASURY, 1);
    assert_eq!(code(sign(app(), &own)), Some(RefusalCode::ProofRequired));
    assert!(sign(operator(), &own).is_ok());
    let stranger = PrivateKey::from_material(&[0x77; 32]).unwrap();
    let mut both = delegation_by(&stranger, TREASURY, 1);
    assert!(sign(app(), &both).is_ok());
    let of_other = delegation_by(&other_key(), TREASURY, 1);
    assert_eq!(code(sign(app(), &of_other)), Some(RefusalCode::ProofRequired));
    both.authorization_list.extend(own.authorization_list);
    assert_eq!(code(sign(app(), &both)), Some(RefusalCode::ProofRequired));
    assert!(policy.approve_create_vault(&operator(), NOW_S).is_ok());
    assert!(policy.approve_create_key(&operator(), labels(), NOW_S).is_ok());
}

#[test]
fn a_delegation_needs_the_switch_besides_a_rule() {
    let rules = "permit(principal, action == Action::\"SignDelegation\", resource);";
    let tx = || parse(&delegation(TREASURY, 1));
    assert!(decide(rules, &operator(), tx()).is_ok());
    let mut off = manifest(rules);
    off.switches.delegation = false;
    let decided = Policy::load(&off).unwrap().approve(&operator(), &key(), tx(), is_held, NOW_S);
    let refusal = decided.map(drop).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::PolicyDenied);
    assert!(refusal.detail.contains("`delegation`"), "{refusal}");
}

#[test]
fn rules_bound_every_authorization() {
    let to = entity::address_text(TREASURY);
    let own = entity::address_text(key().address);
    let [here, anywhere, other] =
        [delegation(TREASURY, 1), delegation(TREASURY, 0), delegation(STRANGER, 1)];
    let only = format!("[Address::\"{to}\"].containsAll(context.delegation_addresses)");
    assert!(permits(&only, &here) && permits(&only, &anywhere) && !permits(&only, &other));
    let mut both = here.clone();
    both.authorization_list.extend(other.authorization_list);
    assert!(!permits(&only, &both));
    assert!(!permits("context.delegates_any_chain", &here));
    assert!(permits("context.delegates_any_chain", &anywhere));
    assert!(permits("context.delegates_self", &here));
    let strangers = delegation_by(&other_key(), TREASURY, 1);
    assert!(!permits("context.delegates_self", &strangers));
    let of_other = |own| {
        format!(
            "context.delegations == [{{authority: Address::\"{}\", address: Address::\"{to}\", \
             chain_id: 1, any_chain: false, nonce: 0, self: {own}}}]",
            entity::address_text(other_key().address())
        )
    };
    assert!(permits(&of_other(false), &strangers) && !permits(&of_other(true), &strangers));
    let signers = format!("[Address::\"{own}\"].containsAll(context.delegation_authorities)");
    assert!(permits(&signers, &here));
    let exact = format!(
        "context.delegations == [{{authority: Address::\"{own}\", address: Address::\"{to}\", \
         chain_id: 1, any_chain: false, nonce: 0, self: true}}]"
    );
    assert!(permits(&exact, &here) && !permits(&exact, &anywhere) && !permits(&exact, &both));
}

#[test]
fn labels_of_a_new_key_are_of_the_allowed_form_and_seen_by_rules() {
    let rules = "permit(principal, action == Action::\"CreateKey\", resource) when \
                 { [Label::\"team=ops\", Label::\"env=test\"].containsAll(context.labels) };";
    let policy = load(rules);
    let create = |labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        policy.approve_create_key(&operator(), Labels::parse(labels)?, NOW_S)
    };
    let made = create(&[("team", "ops")]).unwrap().into_inner();
    assert_eq!((made.creator.as_str(), made.created), ("operator", NOW_S));
    assert_eq!(made.labels, labels());
    assert!(create(&[]).is_ok());
    assert!(create(&[("team", "ops"), ("env", "test")]).is_ok());
    let denied = Some(RefusalCode::PolicyDenied);
    assert_eq!(code(create(&[("team", "treasury")])), denied);
    assert_eq!(code(create(&[("team", "ops"), ("role", "admin")])), denied);
    let long = "a".repeat(32);
    for (name, value, expected) in [
        (long.as_str(), "", denied),
        ("a_-9", " ~", denied),
        ("", "x", Some(RefusalCode::InvalidLabel)),
        ("team=ops", "x", Some(RefusalCode::InvalidLabel)),
        ("Team", "x", Some(RefusalCode::InvalidLabel)),
        ("te am", "x", Some(RefusalCode::InvalidLabel)),
        (&"a".repeat(33), "x", Some(RefusalCode::InvalidLabel)),
        ("team", &"a".repeat(65), Some(RefusalCode::InvalidLabel)),
        ("team", "line\nbreak", Some(RefusalCode::InvalidLabel)),
        ("team", "é", Some(RefusalCode::InvalidLabel)),
    ] {
        assert_eq!(code(create(&[(name, value)])), expected, "{name:?} {value:?}");
    }
    let many: Vec<String> = (0..33).map(|n| format!("l{n}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
    assert_eq!(code(create(&many[..32])), denied);
    assert_eq!(code(create(&many)), Some(RefusalCode::InvalidLabel));
}

#[test]
fn a_caller_of_another_manifest_is_nobody() {
    let mut other = manifest(SIGN_ANY);
    other.clients[0].name = "someone".parse().unwrap();
    let policy = Policy::load(&other).unwrap();
    let decided = policy.approve(&operator(), &key(), parse(&transfer()), is_held, NOW_S);
    assert_eq!(code(decided), Some(RefusalCode::Internal));
}
