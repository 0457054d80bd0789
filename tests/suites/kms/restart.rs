//! A development KMS that was stopped starts again with what it had.

use super::world::{ENCLAVE, KEY, USER, USER_ARN, World};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

async fn start(dir: &Path) -> World {
    World::start_as(|options| {
        options.state = Some(dir.join("kms.json"));
        options.more_regions = vec!["us-east-1".to_owned()];
    })
    .await
}

#[tokio::test]
async fn everything_is_there_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = start(dir.path()).await;
    let (vault, _, secret) = world.vault().await;
    let context = json!({ "vault": "main" });
    let generate = json!({
        "KeyId": vault, "KeySpec": "AES_256", "EncryptionContext": context,
        "Recipient": world.recipient(),
    });
    let made = world.answer(&ENCLAVE, "GenerateDataKey", &generate).await;
    let data_key = KEY.open(&made);
    assert_ne!(data_key, secret);
    let metadata = world.create(json!({ "MultiRegion": true, "Description": "d" })).await;
    let key = metadata["Arn"].clone();
    let alias = json!({ "AliasName": "alias/a", "TargetKeyId": metadata["KeyId"] });
    world.administrate("CreateAlias", &alias).await;
    let tags = json!([{ "TagKey": "a", "TagValue": "1" }]);
    world.administrate("TagResource", &json!({ "KeyId": key, "Tags": tags })).await;
    let grant = json!({ "KeyId": key, "GranteePrincipal": USER_ARN, "Operations": ["Encrypt"] });
    let granted = world.administrate("CreateGrant", &grant).await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let old = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    world.administrate("RotateKeyOnDemand", &json!({ "KeyId": key })).await;
    world.administrate("EnableKeyRotation", &json!({ "KeyId": key })).await;
    let replicate = json!({ "KeyId": key, "ReplicaRegion": "us-east-1" });
    world.administrate("ReplicateKey", &replicate).await;
    let signing = json!({ "KeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY" });
    let signing = world.create(signing).await["Arn"].clone();
    let public = world.administrate("GetPublicKey", &json!({ "KeyId": signing })).await;
    let gone = world.create(json!({})).await["Arn"].clone();
    world.administrate("ScheduleKeyDeletion", &json!({ "KeyId": gone })).await;
    let ask = async |world: &World| {
        let mut answers: Vec<Value> = Vec::new();
        for (operation, input) in [
            ("ListKeys", json!({})),
            ("ListAliases", json!({})),
            ("DescribeKey", json!({ "KeyId": "alias/a" })),
            ("DescribeKey", json!({ "KeyId": gone })),
            ("GetKeyRotationStatus", json!({ "KeyId": key })),
            ("ListKeyRotations", json!({ "KeyId": key })),
            ("ListResourceTags", json!({ "KeyId": key })),
            ("ListGrants", json!({ "KeyId": key })),
            ("GetKeyPolicy", json!({ "KeyId": vault })),
        ] {
            answers.push(world.administrate(operation, &input).await);
        }
        answers
    };
    let before = ask(&world).await;
    let ca = world.kms.ca_pem().to_owned();
    drop(world);
    let world = start(dir.path()).await;
    assert_eq!(world.kms.ca_pem(), ca);
    assert_eq!(ask(&world).await, before);
    assert_eq!(world.administrate("GetPublicKey", &json!({ "KeyId": signing })).await, public);
    let opened = world.administrate("Decrypt", &json!({ "CiphertextBlob": old })).await;
    assert_eq!(opened["Plaintext"], "eA==");
    world.answer(&USER, "Encrypt", &encrypt).await;
    let revoke = json!({ "KeyId": key, "GrantId": granted["GrantId"] });
    world.administrate("RevokeGrant", &revoke).await;
    let decrypt = json!({
        "CiphertextBlob": made["CiphertextBlob"], "KeyId": vault, "EncryptionContext": context,
    });
    assert_eq!(world.refusal(&ENCLAVE, "Decrypt", &decrypt).await.0, "AccessDeniedException");
    let world = {
        drop(world);
        start(dir.path()).await
    };
    assert_eq!(world.refusal(&USER, "Encrypt", &encrypt).await.0, "AccessDeniedException");
}

/// A certificate is kept for as long as it is for the same names.
#[tokio::test]
async fn other_names_get_another_certificate() {
    let dir = tempfile::tempdir().expect("a folder");
    let first = start(dir.path()).await.kms.ca_pem().to_owned();
    let renamed = World::start_as(|options| {
        options.state = Some(dir.path().join("kms.json"));
        options.certificate_names.push("kms.local".to_owned());
    })
    .await;
    assert_ne!(renamed.kms.ca_pem(), first);
    // The client asks it by its usual name, and finds the new certificate good.
    renamed.create(json!({})).await;
}

#[tokio::test]
async fn the_file_is_its_owners_and_never_half_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let world = start(dir.path()).await;
    world.create(json!({})).await;
    let path = dir.path().join("kms.json");
    let mode = fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!dir.path().join("kms.json.part").exists());
    // What cannot be kept is not answered.
    fs::create_dir(dir.path().join("kms.json.part")).expect("a folder");
    world.refused("CreateKey", &json!({}), "KMSInternalException").await;
}

#[tokio::test]
async fn a_file_of_something_else_is_refused() {
    use nitro_signer_tests::kms::{DevelopmentKms, Options};
    use nitro_signer_tests::nsm::DevelopmentRoot;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("kms.json");
    start(dir.path()).await.create(json!({})).await;
    let kept = fs::read_to_string(&path).expect("a state");
    let check = async |text: String, account: &str, expected: &str| {
        fs::write(&path, text).expect("writes");
        let root = DevelopmentRoot::generate();
        let mut options = Options::new("eu-central-1", account, vec![], root.anchor());
        options.state = Some(path.clone());
        let error = DevelopmentKms::start(options).await.err().expect("is refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    let account = "111122223333";
    check(kept[..kept.len() - 1].to_owned(), account, "not one of this development KMS").await;
    check(kept.replacen("\"format\":1", "\"format\":2", 1), account, "another format").await;
    check(kept, "444455556666", "another account").await;
}
