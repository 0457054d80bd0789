//! A manifest around fuzzed rules, and requests of every action to try the rules on.

use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
use alloy_primitives::{Address, B256, FixedBytes, TxKind, U256};
use nitro_signer_enclave::authorization::UnsignedAuthorization;
use nitro_signer_enclave::digest::Digest;
use nitro_signer_enclave::key::KeyFacts;
use nitro_signer_enclave::labels::Labels;
use nitro_signer_enclave::message::Message;
use nitro_signer_enclave::policy::{Description, Policy, Rehearsal, Who};
use nitro_signer_enclave::transaction::UnsignedTransaction;
use nitro_signer_enclave::typed_data::TypedData;
use nitro_signer_shared::manifest::{
    AbiEntry, AddressEntry, AssertedEntry, ClientEntry, Custody, FORMAT, Manifest, Name, Switches,
    TypedDataEntry,
};
use nitro_signer_shared::message::Origin;
use std::sync::LazyLock;

const NOW_S: u64 = 1_767_225_600;
/// The generator of secp256k1, compressed (SEC 2, section 2.4.1).
const GENERATOR: [u8; 33] = [
    0x02, 0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b,
    0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17,
    0x98,
];
const KEY: Address = Address::repeat_byte(0x11);
const SAFE: Address = Address::repeat_byte(0x22);
const TOKEN: Address = Address::repeat_byte(0x33);
const VENUE: Address = Address::repeat_byte(0x44);
const VENUE_ABI: &str = r#"[{"type":"function","name":"pay","stateMutability":"payable","outputs":[],
    "inputs":[{"name":"to","type":"address"},{"name":"amounts","type":"uint256[]"}]}]"#;
const ORDER_TYPE: &str = "Order(address maker,uint256 amount)";
const ORDER: &str = r#"{"types":{"Order":[{"name":"maker","type":"address"},
    {"name":"amount","type":"uint256"}]},"primaryType":"Order",
    "domain":{"name":"Venue","chainId":1,
        "verifyingContract":"0x4444444444444444444444444444444444444444"},
    "message":{"maker":"0x2222222222222222222222222222222222222222","amount":"7"}}"#;

fn name(text: &str) -> Name {
    text.parse().expect("is a name")
}

/// A good manifest with these rules.
#[must_use]
pub(crate) fn manifest(policy: &str) -> Manifest {
    let entry = |address, called, groups: &[&str], decimals, abi: Option<&str>| AddressEntry {
        address,
        name: name(called),
        groups: groups.iter().copied().map(name).collect(),
        decimals,
        abi: abi.map(name),
    };
    let arn = "arn:aws:kms:eu-central-1:111122223333:key/0a1b2c3d-0000-4000-8000-000000000001";
    let operator = ClientEntry {
        name: name("operator"),
        public_key: FixedBytes(GENERATOR),
        groups: vec![name("people")],
    };
    Manifest {
        format: FORMAT,
        version: 1,
        deployment: name("fuzz"),
        vault: name("main"),
        wrapping_keys: vec![arn.parse().expect("is a key's ARN")],
        clients: vec![operator],
        asserted: vec![AssertedEntry { name: name("app"), groups: vec![name("programs")] }],
        addresses: vec![
            entry(KEY, "hot", &[], None, None),
            entry(SAFE, "safe", &["payees"], None, None),
            entry(TOKEN, "token", &["tokens"], Some(6), Some("erc20")),
            entry(VENUE, "venue", &[], None, Some("venue")),
        ],
        policy: policy.to_owned(),
        abis: vec![AbiEntry { name: name("venue"), json: VENUE_ABI.to_owned() }],
        typed_data: vec![TypedDataEntry {
            name: name("order"),
            encode_type: ORDER_TYPE.to_owned(),
        }],
        switches: Switches {
            raw_digests: true,
            unprotected_legacy: true,
            delegation: true,
            ..Switches::default()
        },
        siblings: vec![],
        custody: Custody::default(),
    }
}

/// What the rules say to a request of each kind, by a proved and by an asserted caller.
///
/// # Panics
/// If a rehearsal ends as none may: the callers are known, and nothing else is wrong.
#[must_use]
pub(crate) fn rehearse(policy: &Policy) -> Vec<Rehearsal> {
    let mut all = Vec::new();
    for who in [Who::Client(name("operator")), Who::Asserted(name("app"))] {
        for of in REQUESTS.descriptions() {
            let vault = matches!(of, Description::NewVault | Description::NewKey { .. });
            let key = (!vault).then_some(&REQUESTS.key);
            let said = policy.rehearse(&who, key, &of, |address| *address == KEY, NOW_S);
            all.push(said.expect("the caller is known and the request is whole"));
        }
    }
    all
}

struct Requests {
    key: KeyFacts,
    transactions: Vec<UnsignedTransaction>,
    messages: Vec<Message>,
    typed_data: TypedData,
    authorization: UnsignedAuthorization,
    digest: Digest,
    labels: Labels,
}

static REQUESTS: LazyLock<Requests> = LazyLock::new(|| Requests {
    key: KeyFacts {
        address: KEY,
        origin: Origin::Generated,
        creator: "operator".to_owned(),
        created: NOW_S - 1,
        labels: [("team".to_owned(), "treasury".to_owned())].into(),
    },
    transactions: transactions(),
    messages: [&b"hello"[..], &[7; 32]]
        .map(|text| Message::parse(text.to_vec()).expect("is short"))
        .into(),
    typed_data: TypedData::parse(ORDER.as_bytes()).expect("is good typed data"),
    authorization: UnsignedAuthorization::new(1, SAFE, 2).expect("has a nonce that can be used"),
    digest: Digest::new(B256::repeat_byte(9)),
    labels: Labels::default(),
});

impl Requests {
    fn descriptions(&self) -> Vec<Description<'_>> {
        let transaction = |transaction| Description::Transaction { from: KEY, transaction };
        let mut all: Vec<_> = self.transactions.iter().map(transaction).collect();
        all.extend(self.messages.iter().map(|message| Description::Message { from: KEY, message }));
        all.push(Description::TypedData { from: KEY, data: &self.typed_data });
        let authorization = &self.authorization;
        all.push(Description::Authorization { from: KEY, authorization });
        all.push(Description::Digest { from: KEY, digest: &self.digest });
        all.push(Description::NewVault);
        all.push(Description::NewKey { labels: &self.labels });
        all
    }
}

/// Ether to a payee, a token's transfer, a call of the venue, one to nobody's address without a
/// chain id, a new contract.
fn transactions() -> Vec<UnsignedTransaction> {
    let word = |address: Address| address.into_word().to_vec();
    let number = |value: u64| U256::from(value).to_be_bytes::<32>().to_vec();
    let transfer = [vec![0xa9, 0x05, 0x9c, 0xbb], word(SAFE), number(5_000_000)].concat();
    let selector = alloy_primitives::keccak256("pay(address,uint256[])")[..4].to_vec();
    let pay = [selector, word(SAFE), number(64), number(1), number(7)].concat();
    let call = |to, value: u64, input: Vec<u8>| TxEip1559 {
        chain_id: 1,
        gas_limit: 90_000,
        max_fee_per_gas: 30_000_000_000,
        to,
        value: U256::from(value),
        input: input.into(),
        ..TxEip1559::default()
    };
    let unprotected = TxLegacy { to: TxKind::Call(Address::ZERO), ..TxLegacy::default() };
    let parse = |payload: Vec<u8>| UnsignedTransaction::parse(&payload).expect("is canonical");
    vec![
        parse(call(TxKind::Call(SAFE), 1_000_000_000_000_000_000, vec![]).encoded_for_signing()),
        parse(call(TxKind::Call(TOKEN), 0, transfer).encoded_for_signing()),
        parse(call(TxKind::Call(VENUE), 7, pay).encoded_for_signing()),
        parse(call(TxKind::Create, 0, vec![0xfe]).encoded_for_signing()),
        parse(unprotected.encoded_for_signing()),
    ]
}
