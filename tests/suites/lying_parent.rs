//! What does a parent get that lies? Here the test is the parent: it feeds the enclave what it
//! likes, plays the network between enclave and KMS, and must end up with no key and no signature
//! that policy does not allow.

use nitro_signer_shared::frame::{FrameError, MAX_BODY};
use nitro_signer_shared::message::{Credentials, Request, Response, State};
use nitro_signer_shared::refusal::RefusalCode;
use nitro_signer_shared::secret::SecretString;
use nitro_signer_tests::world::{self, World, refused};
use serde_bytes::ByteBuf;

// ---- what the manifest decides -------------------------------------------------------------

#[tokio::test]
async fn the_honest_way_leads_to_a_signature() {
    let world = World::start().await;
    let enclave = world.enclave().await;
    let vault = world.create_vault(&enclave).await;
    world.open(&enclave, &vault).await;
    let key = world.create_key(&enclave).await;
    world.load(&enclave, &[&key.record]).await;
    let signed = world.sign(&enclave, key.address, world::transfer(1)).await.expect("is allowed");
    assert!(!signed.raw.is_empty());
}

#[tokio::test]
async fn another_manifest_gets_no_vault() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    let mut other = world.manifest.clone();
    other.version += 1;
    let enclave = world.enclave().await;
    let outcome =
        world.configure(&enclave, &other.to_bytes().expect("encodes"), Some(&vault)).await;
    refused(outcome, RefusalCode::KmsDenied);
}

#[tokio::test]
async fn a_changed_image_gets_no_vault() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    let mut measurements = world.measurements;
    measurements[0][0] ^= 1;
    let enclave = world.enclave_measured(measurements).await;
    let outcome = world.configure(&enclave, &world.manifest_bytes, Some(&vault)).await;
    refused(outcome, RefusalCode::KmsDenied);
}

#[tokio::test]
async fn a_debug_enclave_is_given_nothing() {
    let world = World::start().await;
    let enclave = world.enclave_in_debug_mode().await;
    let outcome = world.configure(&enclave, &world.manifest_bytes, None).await;
    refused(outcome, RefusalCode::DebugMode);
}

#[tokio::test]
async fn a_second_manifest_is_refused_until_power_off() {
    let world = World::start().await;
    let enclave = world.enclave().await;
    world.configure(&enclave, &world.manifest_bytes, None).await.expect("the first is measured");
    let mut other = world.manifest.clone();
    other.version += 1;
    let other = other.to_bytes().expect("encodes");
    refused(world.configure(&enclave, &other, None).await, RefusalCode::ManifestConflict);
    let again = world.configure(&enclave, &world.manifest_bytes, None).await;
    assert!(matches!(again, Ok(Response::Configured { state: State::Measured })));
}

#[tokio::test]
async fn an_image_with_a_manifest_of_its_own_measures_no_other() {
    let world = World::start().await;
    let enclave = world.enclave_with_built_in_manifest().await;
    let mut other = world.manifest.clone();
    other.version += 1;
    let other = other.to_bytes().expect("encodes");
    refused(world.configure(&enclave, &other, None).await, RefusalCode::ManifestConflict);
    // Nothing was measured by the attempt: the right one still is.
    let right = world.configure(&enclave, &world.manifest_bytes, None).await;
    assert!(matches!(right, Ok(Response::Configured { state: State::Measured })));
}

#[tokio::test]
async fn a_manifest_that_does_not_parse_is_measured_and_serves_nothing() {
    let world = World::start().await;
    let enclave = world.enclave().await;
    refused(world.configure(&enclave, b"not a manifest", None).await, RefusalCode::ManifestInvalid);
    let then = world.configure(&enclave, &world.manifest_bytes, None).await;
    refused(then, RefusalCode::ManifestConflict);
    refused(world.attest(&enclave).await, RefusalCode::ManifestInvalid);
}

#[tokio::test]
async fn a_manifest_with_another_key_region_or_account_gets_no_vault() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    let arn = world.manifest.wrapping_key().to_string();
    let id = arn.rsplit('/').next().expect("an ARN has a key id");
    let other_id = id.replace(&id[..4], if id.starts_with("0000") { "1111" } else { "0000" });
    for (changed, expected) in [
        (arn.replace(id, &other_id), RefusalCode::VaultInvalid),
        (arn.replace("us-east-1", "us-west-2"), RefusalCode::VaultInvalid),
        (arn.replace("000000000000", "111111111111"), RefusalCode::VaultInvalid),
        (arn.replace("us-east-1", "s3"), RefusalCode::ManifestInvalid),
        (arn.replace("us-east-1", "us-east-1.evil"), RefusalCode::ManifestInvalid),
        (arn.replace("us-east-1", "me@us-east-1"), RefusalCode::ManifestInvalid),
    ] {
        let manifest = world.manifest_with_arn_text(&changed);
        let enclave = world.enclave().await;
        refused(world.configure(&enclave, &manifest, Some(&vault)).await, expected);
    }
}

#[tokio::test]
async fn the_enclave_asks_for_the_one_host_of_its_keys_region() {
    let world = World::start().await;
    let (enclave, mut asked) = world.enclave_and_names().await;
    world.create_vault(&enclave).await;
    while let Ok(name) = asked.try_recv() {
        assert_eq!(name, "kms.us-east-1.amazonaws.com:443");
    }
}

#[tokio::test]
async fn another_vault_or_deployment_id_gets_no_vault() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    let name = |text: &str| text.parse().expect("is a name");
    let mut other_vault = world.manifest.clone();
    other_vault.vault = name("other");
    let mut other_deployment = world.manifest.clone();
    other_deployment.deployment = name("other");
    for manifest in [other_vault, other_deployment] {
        let enclave = world.enclave().await;
        let bytes = manifest.to_bytes().expect("encodes");
        refused(world.configure(&enclave, &bytes, Some(&vault)).await, RefusalCode::VaultInvalid);
        // Nor if the header is made to say what the manifest says: KMS knows the context.
        let forged = world.header_for(&vault, &manifest);
        let outcome = world.configure(&enclave, &bytes, Some(&forged)).await;
        refused(outcome, RefusalCode::KmsDenied);
    }
}

// ---- the order of life ---------------------------------------------------------------------

#[tokio::test]
async fn before_the_manifest_is_locked_nothing_is_attested_or_served() {
    let world = World::start().await;
    let enclave = world.enclave().await;
    refused(world.attest(&enclave).await, RefusalCode::NotReady);
    refused(enclave.ask(Request::CreateVault {}).await, RefusalCode::NotReady);
    refused(enclave.ask(Request::ListKeys { after: None }).await, RefusalCode::NotReady);
    let credentials = world.credentials();
    let update = enclave.ask(Request::UpdateCredentials { credentials }).await;
    refused(update, RefusalCode::NotReady);
}

#[tokio::test]
async fn a_register_that_was_touched_before_keeps_the_enclave_from_starting() {
    let world = World::start().await;
    let enclave = world.enclave_with_touched_manifest_pcr().await;
    let ended = enclave.await.expect("ends without panic");
    assert!(ended.is_err());
}

#[tokio::test]
async fn no_vault_is_made_without_an_authorised_client() {
    let world = World::start().await;
    let enclave = world.enclave().await;
    world.configure(&enclave, &world.manifest_bytes, None).await.expect("is measured");
    let create = || Request::CreateVault {};
    refused(enclave.ask(create()).await, RefusalCode::NotAuthenticated);
    let asserted = enclave.ask_as(Some("dev-client"), vec![], create()).await;
    refused(asserted, RefusalCode::ProofRequired);
    assert_eq!(world.kms_calls("GenerateDataKey"), 0);
}

#[tokio::test]
async fn a_vault_that_did_not_open_is_not_replaced() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    let enclave = world.enclave().await;
    let cut = world.configure(&enclave, &world.manifest_bytes, Some(&vault[1..])).await;
    refused(cut, RefusalCode::VaultInvalid);
    let made = enclave.ask_as(None, vec![world.vault_proof()], Request::CreateVault {}).await;
    refused(made, RefusalCode::VaultInvalid);
    refused(enclave.ask(Request::ListKeys { after: None }).await, RefusalCode::VaultInvalid);
    world.open(&enclave, &vault).await;
}

#[tokio::test]
async fn once_ready_another_vault_is_refused() {
    let world = World::start().await;
    let other = world.create_vault(&world.enclave().await).await;
    let (enclave, vault) = world.ready().await;
    let outcome = world.configure(&enclave, &world.manifest_bytes, Some(&other)).await;
    refused(outcome, RefusalCode::VaultExists);
    world.open(&enclave, &vault).await;
}

#[tokio::test]
async fn an_open_vault_is_not_replaced() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let proof = world.vault_proof();
    let again = enclave.ask_as(None, vec![proof], Request::CreateVault {}).await;
    refused(again, RefusalCode::VaultExists);
}

// ---- KMS and the way to it -----------------------------------------------------------------

#[tokio::test]
async fn kms_behind_another_root_is_not_kms() {
    let world = World::start().await;
    let enclave = world.enclave_trusting_another_root().await;
    refused(world.try_create_vault(&enclave).await, RefusalCode::KmsUntrusted);
}

#[tokio::test]
async fn kms_under_another_host_name_is_not_kms() {
    // The development KMS's certificate is valid for us-east-1 only; this manifest's is eu-west-1.
    let world = World::start().await;
    let arn = world.manifest.wrapping_key().to_string().replace("us-east-1", "eu-west-1");
    let manifest = world.manifest_with_arn_text(&arn);
    let enclave = world.enclave().await;
    world.configure(&enclave, &manifest, None).await.expect("is measured");
    let proof = world.vault_proof_for(&manifest);
    let outcome = enclave.ask_as(None, vec![proof], Request::CreateVault {}).await;
    refused(outcome, RefusalCode::KmsUntrusted);
}

#[tokio::test]
async fn a_forged_ciphertext_for_recipient_makes_no_vault() {
    let world = World::start().await;
    // What GenerateDataKey gives is chosen by the attacker; what Decrypt gives is not.
    world.forge_next_generate([0x41; 32]);
    refused(world.try_create_vault(&world.enclave().await).await, RefusalCode::KmsRejected);
}

#[tokio::test]
async fn a_forged_ciphertext_for_recipient_opens_no_vault() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    world.forge_next_decrypt([0x41; 32]);
    let enclave = world.enclave().await;
    let outcome = world.configure(&enclave, &world.manifest_bytes, Some(&vault)).await;
    refused(outcome, RefusalCode::VaultInvalid);
}

#[tokio::test]
async fn each_attempt_has_a_recipient_key_and_document_of_its_own() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    world.cut_next_calls(2);
    let enclave = world.enclave().await;
    world.configure(&enclave, &world.manifest_bytes, Some(&vault)).await.expect("the third opens");
    let recipients = world.recipients_of("Decrypt");
    // One from making the vault, two cut, one that opened it.
    assert_eq!(recipients.len(), 4);
    let keys: std::collections::BTreeSet<_> = recipients.iter().map(|r| r.0).collect();
    let documents: std::collections::BTreeSet<_> = recipients.iter().map(|r| r.1).collect();
    assert_eq!((keys.len(), documents.len()), (4, 4));
}

#[tokio::test]
async fn credentials_alone_open_nothing() {
    let world = World::start().await;
    let vault = world.create_vault(&world.enclave().await).await;
    let enclave = world.enclave().await;
    let request = Request::Configure {
        manifest: ByteBuf::from(world.manifest_bytes.clone()),
        vault: Some(ByteBuf::from(vault)),
        credentials: Credentials {
            access_key_id: SecretString::new("AKIDWRONG".to_owned()),
            secret_access_key: SecretString::new("wrong".to_owned()),
            session_token: None,
        },
    };
    refused(enclave.ask(request).await, RefusalCode::Credentials);
}

// ---- records -------------------------------------------------------------------------------

#[tokio::test]
async fn changed_records_are_refused_and_the_others_serve() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let (one, two) = (world.create_key(&enclave).await, world.create_key(&enclave).await);
    let mut changed = one.record.to_vec();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let cut = one.record[..last].to_vec();
    let swapped = world::swap_sealed(&one.record, &two.record);
    let elsewhere = world::flip_in_the_middle(&one.record);
    let records = [&changed, &cut, &swapped, &elsewhere, &two.record.to_vec()]
        .map(|r| ByteBuf::from(r.clone()))
        .to_vec();
    let loaded = world::load_any(&enclave, records).await;
    assert_eq!(loaded.accepted, 1);
    let refused_at: Vec<_> = loaded.refused.iter().map(|r| (r.index, r.code)).collect();
    let invalid = RefusalCode::RecordInvalid;
    assert_eq!(refused_at, [0, 1, 2, 3].map(|index| (index, invalid)));
    let signed = world.sign(&enclave, one.address, world::transfer(0)).await;
    refused(signed, RefusalCode::UnknownKey);
    world.sign(&enclave, two.address, world::transfer(0)).await.expect("the other serves");
}

#[tokio::test]
async fn a_key_that_was_not_given_back_does_not_sign() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let key = world.create_key(&enclave).await;
    let signed = world.sign(&enclave, key.address, world::transfer(0)).await;
    refused(signed, RefusalCode::UnknownKey);
}

#[tokio::test]
async fn another_vaults_records_are_refused() {
    let (one, two) = (World::start().await, World::start().await);
    let (enclave, _) = one.ready().await;
    let (other, _) = two.ready().await;
    let record = two.create_key(&other).await.record;
    let loaded = world::load_any(&enclave, vec![record]).await;
    assert_eq!(loaded.accepted, 0);
}

#[tokio::test]
async fn batches_beyond_their_bounds_are_refused_whole() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let many = vec![ByteBuf::from(vec![0]); 1_001];
    let large = vec![ByteBuf::from(vec![0; 600_000]); 2];
    for (records, code) in [(many, RefusalCode::MalformedRequest), (large, RefusalCode::TooLarge)] {
        refused(enclave.ask(Request::LoadRecords { records }).await, code);
    }
    let full = vec![ByteBuf::from(vec![0]); 1_000];
    assert_eq!(world::load_any(&enclave, full).await.refused.len(), 1_000);
}

// ---- who asks ------------------------------------------------------------------------------

#[tokio::test]
async fn a_claimed_client_needs_a_proof_that_fits() {
    let world = World::start().await;
    let (enclave, _) = world.ready().await;
    let request = || Request::CreateKey { labels: world::labels(), nonce: world::nonce() };
    let cases = [
        (vec![], RefusalCode::NotAuthenticated),
        (vec![world.key_proof_for_other_labels()], RefusalCode::ProofInvalid),
        (vec![world.key_proof_expired()], RefusalCode::ProofExpired),
        (vec![world.key_proof_far_ahead()], RefusalCode::ProofExpired),
        (vec![world.key_proof_for_other_manifest()], RefusalCode::ProofInvalid),
        (vec![world.key_proof_by_stranger()], RefusalCode::ProofInvalid),
        (vec![world.key_proof(), world.key_proof()], RefusalCode::ProofCount),
    ];
    for (proofs, code) in cases {
        refused(enclave.ask_as(None, proofs, request()).await, code);
    }
    let many = std::iter::repeat_with(|| world.key_proof()).take(17).collect();
    refused(enclave.ask_as(None, many, request()).await, RefusalCode::MalformedRequest);
    let proof = world.key_proof();
    enclave.ask_as(None, vec![proof.clone()], request()).await.expect("the right one serves");
    let replayed = enclave.ask_as(None, vec![proof], request()).await;
    refused(replayed, RefusalCode::ProofReplayed);
}

#[tokio::test]
async fn a_bad_proof_never_falls_back_to_the_asserted_name() {
    let world = World::start().await;
    let (enclave, address) = world.ready_with_key().await;
    let payload = ByteBuf::from(world::transfer(0));
    let request = Request::SignTransaction { key: address, payload };
    let proofs = vec![world.key_proof()];
    let outcome = enclave.ask_as(Some("dev-client"), proofs, request).await;
    refused(outcome, RefusalCode::ProofInvalid);
}

#[tokio::test]
async fn a_name_the_manifest_does_not_list_is_nobody() {
    let world = World::start().await;
    let (enclave, address) = world.ready_with_key().await;
    let payload = ByteBuf::from(world::transfer(0));
    let request = Request::SignTransaction { key: address, payload };
    let outcome = enclave.ask_as(Some("somebody"), vec![], request).await;
    refused(outcome, RefusalCode::NotAuthenticated);
}

#[tokio::test]
async fn policy_holds_whatever_the_parent_says() {
    let world = World::start().await;
    let (enclave, address) = world.ready_with_key().await;
    let refuse = world.sign(&enclave, address, world::transfer_to_refused()).await;
    refused(refuse, RefusalCode::PolicyDenied);
    let refuse = world.sign(&enclave, address, world::transfer_on_chain(5)).await;
    refused(refuse, RefusalCode::PolicyDenied);
}

// ---- frames --------------------------------------------------------------------------------

#[tokio::test]
async fn frames_that_are_none_end_their_connection_and_nothing_else() {
    let world = World::start().await;
    let enclave = world.enclave().await;
    let frame = |length: usize, body: &[u8]| {
        let length = u32::try_from(length).expect("fits").to_be_bytes();
        [b"NS\x00\x01", length.as_slice(), body].concat()
    };
    let status = world::status_body();
    let deep = [vec![0x81; 200_000], vec![0x00]].concat();
    for bytes in [
        frame(MAX_BODY + 1, &status),
        frame(status.len() + 1, &status),
        frame(0, b""),
        frame(deep.len(), &deep),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let outcome = enclave.raw(&bytes).await;
        assert!(matches!(outcome, Err(FrameError::Closed | FrameError::Io(_))), "{outcome:?}");
    }
    let trailing = [status.clone(), vec![0]].concat();
    let outcome = enclave.raw(&frame(trailing.len(), &trailing)).await;
    assert!(matches!(outcome, Err(FrameError::Closed | FrameError::Io(_))), "{outcome:?}");
    let unknown = world::status_body_with_unknown_field();
    let answer = enclave.raw(&frame(unknown.len(), &unknown)).await.expect("is answered");
    refused(answer.result, RefusalCode::MalformedRequest);
    enclave.ask(Request::Status {}).await.expect("the enclave serves on");
}
