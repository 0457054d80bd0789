//! Is anything made or opened under a KMS key that somebody else has a hand on? The key, its policy
//! and its grants are the development KMS's, and the enclave asks for them over its own TLS.

#![allow(clippy::unwrap_used, clippy::panic)]

use nitro_signer_shared::claims::{ClaimSet, Claims, CustodyFinding, OtherSet};
use nitro_signer_shared::key_policy::form::{AdmittedSet, Form, Terms};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use nitro_signer_shared::message::{Request, Response, State};
use nitro_signer_shared::refusal::RefusalCode;
use nitro_signer_tests::deployment;
use nitro_signer_tests::enclave::EnclaveInTest;
use nitro_signer_tests::key_policy_holes::{Deciding, HOLES, Hole};
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
    let world = world_with_sibling().await;
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
    // Mended, it is asked again at once.
    set_terms(&world, |_| {});
    world.create_key(&enclave).await;
    add_other_set(&world);
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

async fn world_with_sibling() -> World {
    let sibling = nitro_signer_shared::manifest::Sibling {
        pcr0: other().pcr0.into(),
        pcr1: [1; 48].into(),
        pcr2: [1; 48].into(),
        pcr16: other().pcr16.into(),
    };
    World::start_with(|manifest| manifest.siblings = vec![sibling]).await
}

/// What is planted in the key's policy, in its grants, or beside both.
#[tokio::test]
async fn no_vault_is_made_under_a_key_with_any_planted_hole() {
    let mut world = world_with_sibling().await;
    let mut by_kms = Vec::new();
    for hole in &HOLES {
        let has_grants = plant(&world, hole);
        let made = world.try_create_vault(&world.enclave().await).await;
        let refusal = made.err().unwrap_or_else(|| panic!("a vault was made under: {}", hole.name));
        match refusal.code {
            RefusalCode::Custody => {}
            RefusalCode::KmsDenied => by_kms.push(hole.name),
            _ => panic!("{}: {refusal}", hole.name),
        }
        // Grants outlive policies, and would answer for the next hole.
        if has_grants {
            world = world_with_sibling().await;
        }
    }
    // These shut this image out, so that KMS refuses it first; the enclave would not take the policy
    // either.
    let expected = [
        "StringEquals with upper-case hex",
        "a set that a Deny leaves out",
        "a misspelt condition key in an Allow",
        "a misspelt condition key in a Deny",
        "PCR0 pinned to zeros",
    ];
    assert_eq!(by_kms, expected);
    for hole in HOLES.iter().filter(|hole| by_kms.contains(&hole.name)) {
        let policy = planted(&world, hole).policy.to_string();
        let read = Form::read(&policy, deployment::ACCOUNT, &world.manifest.vault_name());
        assert!(read.is_err(), "{}", hole.name);
    }
    add_other_set(&world);
    world.create_vault(&world.enclave().await).await;
}

/// The policy of this image and its sibling with the hole, as the account's owner would set it;
/// whether there are grants now.
fn plant(world: &World, hole: &Hole) -> bool {
    let deciding = planted(world, hole);
    let key = world.manifest.wrapping_key().as_str();
    world.kms.put_key_policy(key, &deciding.policy.to_string()).unwrap();
    let grants = deciding.grants.unwrap_or_default();
    for grant in grants["Grants"].as_array().into_iter().flatten() {
        let operations = grant["Operations"].as_array().unwrap();
        let operations: Vec<_> = operations.iter().map(|name| name.as_str().unwrap()).collect();
        let grantee = grant["GranteePrincipal"].as_str().unwrap();
        world.kms.create_grant(key, grantee, &operations).unwrap();
    }
    grants.is_object()
}

fn planted(world: &World, hole: &Hole) -> Deciding {
    let sets = vec![own(world), other()];
    let terms = deployment::key_policy_terms(world.manifest.vault_name(), sets);
    let mut deciding = Deciding::by(serde_json::from_str(&terms.write().unwrap()).unwrap());
    (hole.plant)(&mut deciding);
    deciding
}

#[tokio::test]
async fn awss_log_tells_the_manifest_and_the_boot_of_every_call() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let boot = claims(&world, &enclave).await.boot_id;
    let hash = ManifestHash::of(&world.manifest_bytes);
    let trail = world.kms.trail();
    let asked = |name: &str| trail.iter().filter(|event| event.event_name == name).count();
    assert!(["GenerateDataKey", "Decrypt", "DescribeKey"].iter().all(|name| asked(name) > 0));
    for event in &trail {
        let named = format!("nitro-signer/{hash}/{} ", boot.to_string().trim_start_matches("0x"));
        assert!(event.user_agent.starts_with(&named), "{}", event.user_agent);
    }
}
