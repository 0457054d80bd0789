//! Is anything made or opened under a KMS key that somebody else has a hand on? The key, its policy
//! and its grants are the development KMS's, and the enclave asks for them over its own TLS.

#![allow(clippy::unwrap_used, clippy::panic)]

use nitro_signer_shared::claims::{ClaimSet, Claims, CustodyFinding, OtherSet};
use nitro_signer_shared::key_policy::form::{AdmittedSet, Terms};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::{Request, Response, State};
use nitro_signer_shared::refusal::RefusalCode;
use nitro_signer_tests::deployment;
use nitro_signer_tests::enclave::EnclaveInTest;
use nitro_signer_tests::kms::{Fault, Operation};
use nitro_signer_tests::world::{self, World, refused};

fn own(world: &World) -> AdmittedSet {
    let hash = ManifestHash::of(&world.manifest_bytes);
    AdmittedSet::new(world.measurements[0], hash.pcr16())
}

fn other() -> AdmittedSet {
    AdmittedSet::new([0x77; 48], [0x78; 48])
}

/// The key's policy, said otherwise.
fn set_terms(world: &World, change: impl FnOnce(&mut Terms)) {
    let mut terms = deployment::key_policy_terms(world.manifest.vault_name(), vec![own(world)]);
    change(&mut terms);
    let policy = terms.write().unwrap();
    world.kms.put_key_policy(world.manifest.wrapping_key().as_str(), &policy).unwrap();
}

fn add_other_set(world: &World) {
    set_terms(world, |terms| terms.sets.push(other()));
}

async fn claims(world: &World, enclave: &EnclaveInTest) -> Claims {
    let Ok(Response::Attestation(attestation)) = world.attest(enclave).await else {
        panic!("the enclave attests itself")
    };
    let claims = attestation.claims.to_vec();
    let user_data = Claims::user_data(&claims);
    Claims::open(&claims, &user_data).unwrap()
}

#[tokio::test]
async fn no_vault_is_made_or_opened_under_a_key_that_opens_for_others() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    add_other_set(&world);
    refused(world.try_create_vault(&world.enclave().await).await, RefusalCode::Custody);
    let enclave = world.enclave().await;
    let outcome = world.configure(&enclave, &world.manifest_bytes, Some(&vault)).await;
    refused(outcome, RefusalCode::Custody);
    let held = claims(&world, &enclave).await;
    assert_eq!((held.state, held.vault_fingerprint), (State::Measured, None));
    let custody = held.custody.unwrap();
    assert!(custody.findings.contains(&CustodyFinding::OtherSet));
    // The key is closed to others again, and the same enclave opens the vault.
    set_terms(&world, |_| {});
    world.open(&enclave, &vault).await;
    assert!(claims(&world, &enclave).await.custody.unwrap().is_sole());
}

#[tokio::test]
async fn a_sibling_is_no_stranger() {
    let sibling = nitro_signer_shared::manifest::Sibling {
        pcr0: other().pcr0.into(),
        pcr1: [1; 48].into(),
        pcr2: [1; 48].into(),
        pcr16: other().pcr16.into(),
    };
    let world = World::start_with(|manifest| manifest.siblings = vec![sibling]).await;
    add_other_set(&world);
    let (enclave, _) = world.ready().await;
    world.create_key(&enclave).await;
    assert!(claims(&world, &enclave).await.custody.unwrap().is_sole());
}

#[tokio::test]
async fn a_vault_that_is_opened_regardless_signs_makes_no_key_and_says_so() {
    let world = World::start_with(|manifest| manifest.custody.open_regardless = true).await;
    let (enclave, vault) = world.ready().await;
    let key = world.create_key(&enclave).await;
    add_other_set(&world);
    let enclave = world.enclave().await;
    world.open(&enclave, &vault).await;
    world.load(&enclave, &[&key.record]).await;
    assert!(world.sign(&enclave, key.address, world::transfer(1)).await.is_ok());
    let request = Request::CreateKey { labels: world::labels(), nonce: world::nonce() };
    refused(enclave.ask_as(None, vec![world.key_proof()], request).await, RefusalCode::Custody);
    let custody = claims(&world, &enclave).await.custody.unwrap();
    assert_eq!(custody.findings, [CustodyFinding::OtherSet].into());
    let named = OtherSet { pcr0: other().pcr0.into(), pcr16: other().pcr16.into() };
    assert_eq!(custody.other_sets, [named].into());
    // No vault is made regardless.
    refused(world.try_create_vault(&world.enclave().await).await, RefusalCode::Custody);
}

#[tokio::test]
async fn what_kms_does_not_say_is_not_taken_for_sole() {
    let world = World::start_with(|manifest| manifest.custody.open_regardless = true).await;
    let vault = world.create_vault(&world.enclave().await).await;
    let withhold = || {
        for attempt in 0..3 {
            world.kms.inject(Operation::GetKeyPolicy, attempt, Fault::CloseConnection);
        }
    };
    withhold();
    refused(world.try_create_vault(&world.enclave().await).await, RefusalCode::KmsUnreachable);
    withhold();
    let enclave = world.enclave().await;
    world.open(&enclave, &vault).await;
    let custody = claims(&world, &enclave).await.custody.unwrap();
    assert_eq!(custody.findings, [CustodyFinding::Unread].into());
}

#[tokio::test]
async fn a_key_is_made_by_an_answer_that_was_given_before() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let asked = world.kms_calls("GetKeyPolicy");
    world.create_key(&enclave).await;
    world.create_key(&enclave).await;
    assert_eq!(world.kms_calls("GetKeyPolicy"), asked, "the answer is not five minutes old");
}

#[tokio::test]
async fn the_role_that_may_not_look_at_the_key_makes_nothing_under_it() {
    let world = World::start().await;
    let key = world.manifest.wrapping_key();
    let policy = deployment::key_policy(
        &world.measurements[0],
        &world.manifest,
        &ManifestHash::of(&world.manifest_bytes),
    );
    let mut policy: serde_json::Value = serde_json::from_str(&policy).unwrap();
    let statements = policy["Statement"].as_array_mut().unwrap();
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != "ApplianceReads");
    assert_eq!(statements.len(), before - 1);
    world.kms.put_key_policy(key.as_str(), &policy.to_string()).unwrap();
    refused(world.try_create_vault(&world.enclave().await).await, RefusalCode::KmsDenied);
}

#[tokio::test]
async fn an_administrator_whom_the_manifest_does_not_name_is_a_stranger() {
    let nobody = |manifest: &mut Manifest| manifest.custody.administrators.clear();
    let world = World::start_with(nobody).await;
    refused(world.try_create_vault(&world.enclave().await).await, RefusalCode::Custody);
}
