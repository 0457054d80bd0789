//! What does each step of a request cost? Figures to compare within one run, never asserted.
//!
//! `sign` is the whole of it inside the enclave: read, approve, sign, verify the signature.

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, TxKind, U256};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use aws_nitro_enclaves_nsm_api::api::{Request as NsmRequest, Response as NsmResponse};
use criterion::{Criterion, criterion_group, criterion_main};
use nitro_signer_enclave::client::{Caller, Callers};
use nitro_signer_enclave::key::{KeyFacts, Nonces, PrivateKey};
use nitro_signer_enclave::nsm::SecureModule;
use nitro_signer_enclave::policy::Policy;
use nitro_signer_enclave::sign::sign_transaction;
use nitro_signer_enclave::transaction::UnsignedTransaction;
use nitro_signer_enclave::typed_data::TypedData;
use nitro_signer_shared::attestation::{
    Expectations, MeasurementSet, TrustAnchor, UnverifiedDocument,
};
use nitro_signer_shared::frame;
use nitro_signer_shared::manifest::{AddressEntry, KeyArn, Manifest, ManifestHash};
use nitro_signer_shared::message::{Origin, Request, RequestFrame};
use nitro_signer_shared::proof::Intent;
use nitro_signer_tests::deployment::{self, CERTIFICATE_NAME, ClientKey};
use nitro_signer_tests::nsm::{DevelopmentRoot, MockNsm, Options};
use nitro_signer_tests::world::World;
use serde_bytes::ByteBuf;
use std::hint::black_box;
use std::num::NonZeroUsize;

const NOW_S: u64 = 1_800_000_000;

fn payload() -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce: 7,
        gas_limit: 21_000,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0x11)),
        value: U256::from(1_000_000_000_000_000_000_u64),
        ..TxEip1559::default()
    };
    transaction.encoded_for_signing()
}

fn manifest() -> Manifest {
    let arn = "arn:aws:kms:us-east-1:000000000000:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let arn: KeyArn = arn.parse().expect("is an ARN");
    let mut manifest = deployment::manifest(&arn, &ClientKey::generate());
    // Twenty rules, as a busy treasury has them.
    for n in 0..16 {
        manifest.policy.push_str(&format!(
            "\nforbid (principal, action == Action::\"SignTransaction\", resource)\n\
             when {{ context.value.ether > {} && context.nonce == {n} }};\n",
            1_000 + n
        ));
    }
    manifest
}

fn facts(key: &PrivateKey) -> KeyFacts {
    KeyFacts {
        address: key.address(),
        origin: Origin::Generated,
        creator: deployment::OPERATOR.to_owned(),
        created: NOW_S,
        labels: [("team".to_owned(), "treasury".to_owned())].into(),
    }
}

fn requests(c: &mut Criterion) {
    let manifest = manifest();
    let hash = ManifestHash::of(&manifest.to_bytes().expect("encodes"));
    let policy = Policy::load(&manifest).expect("loads");
    let callers = Callers::new(&manifest).expect("loads");
    let key = PrivateKey::from_material(&[7; 32]).expect("is a key");
    let (facts, payload) = (facts(&key), payload());
    let read = || UnsignedTransaction::parse(&payload).expect("is a transaction");
    let intent = Intent::sign_transaction(facts.address, read().signing_hash());
    let caller = callers
        .authenticate(Some(CERTIFICATE_NAME), &[], &intent, &hash, NOW_S)
        .expect("is listed");
    let approve = || policy.approve(&caller, &facts, read(), |_| false, NOW_S).expect("permits");

    c.bench_function("transaction/read", |b| b.iter(|| black_box(read())));
    c.bench_function("policy/20_rules_with_reading", |b| b.iter(|| black_box(approve())));
    c.bench_function("sign/read_approve_sign_verify", |b| {
        b.iter(|| {
            let nonces = Nonces::Deterministic;
            black_box(sign_transaction(approve(), &key, nonces).expect("signs"))
        });
    });

    calls(c, &caller, &facts);

    let request = || RequestFrame {
        id: 1,
        asserted: Some(CERTIFICATE_NAME.to_owned()),
        proofs: vec![],
        request: Request::SignTransaction {
            key: facts.address,
            payload: ByteBuf::from(payload.clone()),
        },
    };
    let body = frame::encode(&request()).expect("encodes");
    c.bench_function("frame/encode", |b| {
        b.iter(|| black_box(frame::encode(&request()).expect("encodes")));
    });
    c.bench_function("frame/decode", |b| {
        b.iter(|| {
            let frame: RequestFrame = frame::decode(&body).expect("decodes");
            black_box(frame.id)
        });
    });
}

/// Twenty rules that look into a decoded call and at most of the rest.
fn calls(c: &mut Criterion, caller: &Caller, facts: &KeyFacts) {
    let mut manifest = manifest();
    let token = Address::repeat_byte(0x66);
    manifest.addresses.push(AddressEntry {
        address: token,
        name: "usdc".parse().expect("is a name"),
        groups: vec!["tokens".parse().expect("is a name")],
        decimals: Some(6),
        abi: Some("erc20".parse().expect("is a name")),
    });
    for n in 0..16 {
        manifest.policy = manifest.policy.replace(
            &format!("context.value.ether > {} && context.nonce == {n} ", 1_000 + n),
            &format!(
                "context.to in AddressGroup::\"tokens\" && context has call.erc20.transfer && \
                 context.call.erc20.transfer.amount.whole > {} && context.max_cost.gwei > {n}",
                1_000 + n
            ),
        );
    }
    let policy = Policy::load(&manifest).expect("loads");
    let input = hex::decode(format!("a9059cbb{:0>64}{:064x}", "11".repeat(20), 5_000_000));
    let transaction = TxEip1559 {
        chain_id: 1,
        gas_limit: 60_000,
        max_fee_per_gas: 30_000_000_000,
        to: TxKind::Call(token),
        input: input.expect("is hex").into(),
        ..TxEip1559::default()
    };
    let transaction = UnsignedTransaction::parse(&transaction.encoded_for_signing());
    let transaction = transaction.expect("is a transaction");
    c.bench_function("policy/20_rules_on_a_decoded_call", |b| {
        b.iter(|| {
            let subject = transaction.clone();
            black_box(policy.approve(caller, facts, subject, |_| false, NOW_S).expect("permits"))
        });
    });
    let data =
        br#"{"types":{"Mail":[{"name":"to","type":"address"},{"name":"contents","type":"string"}]},
        "primaryType":"Mail","domain":{"name":"Post","chainId":1},
        "message":{"to":"0x1111111111111111111111111111111111111111","contents":"hello"}}"#;
    c.bench_function("typed_data/read_and_hash", |b| {
        b.iter(|| black_box(TypedData::parse(data).expect("is typed data").signing_hash()));
    });
}

/// A batch of a hundred records over the wire: what an enclave opens after a restart.
fn records(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let (enclave, record) = runtime.block_on(async {
        let world = World::start().await;
        let (enclave, _) = world.ready().await;
        let record = world.create_key(&enclave).await.record;
        (enclave, record)
    });
    c.bench_function("record/open_100_in_a_batch", |b| {
        b.iter(|| {
            let records = vec![record.clone(); 100];
            let loaded = runtime.block_on(enclave.ask(Request::LoadRecords { records }));
            black_box(loaded.expect("opens"))
        });
    });
}

fn attestation(c: &mut Criterion) {
    let root = DevelopmentRoot::generate();
    let pcrs = [[1; 48], [2; 48], [3; 48]];
    let module = MockNsm::new(&root, pcrs, Options::default());
    let request = NsmRequest::Attestation { user_data: None, nonce: None, public_key: None };
    let NsmResponse::Attestation { document } = module.process(request) else {
        unreachable!("the mock gives a document")
    };
    let anchor = root.anchor();
    let image = MeasurementSet::new(pcrs[0], pcrs[1], pcrs[2]).expect("are measurements");
    let expected = Expectations::new(image);
    let parse = || UnverifiedDocument::parse(&document).expect("is a document");
    let now = parse().unverified_timestamp_ms();
    let mut measure = |name: &str, anchor: &TrustAnchor| {
        c.bench_function(name, |b| {
            b.iter(|| {
                let authentic = parse().authenticate(anchor, now).expect("is authentic");
                black_box(authentic.check(&expected, now).expect("is expected").timestamp_ms())
            });
        });
    };
    measure("attestation/verify", &anchor);
    let capacity = NonZeroUsize::new(8).expect("is not zero");
    measure("attestation/verify_issuers_remembered", &anchor.clone().remembering(capacity));
}

/// What every call to KMS begins with, apart from KMS: its time differs from key to key.
fn recipients(c: &mut Criterion) {
    c.bench_function("recipient/rsa_2048_key", |b| {
        b.iter(|| black_box(PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key")));
    });
}

criterion_group!(figures, requests, records, recipients, attestation);
criterion_main!(figures);
