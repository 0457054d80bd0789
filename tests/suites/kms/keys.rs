//! What a key's state lets happen, what DescribeKey says of it, and ReEncrypt between keys.

use super::world::{ADMINISTRATOR, ENCLAVE, World, release_policy};
use http::StatusCode;
use serde_json::{Value, json};

async fn state(world: &World, key: &Value) -> String {
    let answer =
        world.answer(&world.administrator(), "DescribeKey", &json!({ "KeyId": key })).await;
    let metadata = &answer["KeyMetadata"];
    let state = metadata["KeyState"].as_str().expect("a state").to_owned();
    assert_eq!(metadata["Enabled"], state == "Enabled");
    state
}

/// What the key encrypts with now.
async fn material(world: &World, key: &Value) -> Value {
    let described = world.administrate("DescribeKey", &json!({ "KeyId": key })).await;
    described["KeyMetadata"]["CurrentKeyMaterialId"].clone()
}

#[tokio::test]
async fn a_key_is_described_in_full() {
    let world = World::start().await;
    let tags = json!([{ "TagKey": "a", "TagValue": "1" }]);
    let metadata = world.create(json!({ "Description": "one", "Tags": tags })).await;
    let id = metadata["KeyId"].as_str().expect("an id").to_owned();
    let material = metadata["CurrentKeyMaterialId"].as_str().expect("an id");
    assert_eq!(material.len(), 64);
    let arn = format!("arn:aws:kms:eu-central-1:111122223333:key/{id}");
    let expected = json!({
        "AWSAccountId": "111122223333", "KeyId": id, "Arn": arn, "CreationDate": 1_780_000_000,
        "Enabled": true, "Description": "one", "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled", "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "MultiRegion": false,
        "CurrentKeyMaterialId": material,
    });
    assert_eq!(metadata, expected);
    let described = world.administrate("DescribeKey", &json!({ "KeyId": arn })).await;
    assert_eq!(described["KeyMetadata"], expected);
    let listed = world.administrate("ListResourceTags", &json!({ "KeyId": arn })).await;
    assert_eq!(listed["Tags"], tags);
    let update = json!({ "KeyId": id, "Description": "two" });
    world.administrate("UpdateKeyDescription", &update).await;
    let described = world.administrate("DescribeKey", &json!({ "KeyId": arn })).await;
    assert_eq!(described["KeyMetadata"]["Description"], "two");
    world.refused("DescribeKey", &json!({}), "ValidationException").await;
}

#[tokio::test]
async fn a_disabled_key_does_nothing_until_it_is_enabled() {
    let world = World::start().await;
    let key = world.create(json!({})).await["Arn"].clone();
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    world.administrate("DisableKey", &json!({ "KeyId": key })).await;
    assert_eq!(state(&world, &key).await, "Disabled");
    let decrypt = json!({ "CiphertextBlob": blob });
    let generate = json!({ "KeyId": key, "KeySpec": "AES_256" });
    let re_encrypt = json!({ "CiphertextBlob": blob, "DestinationKeyId": key });
    let grant = json!({
        "KeyId": key, "Operations": ["Decrypt"],
        "GranteePrincipal": "arn:aws:iam::111122223333:user/user",
    });
    for (operation, input) in [
        ("Encrypt", &encrypt),
        ("Decrypt", &decrypt),
        ("GenerateDataKey", &generate),
        ("GenerateDataKeyWithoutPlaintext", &generate),
        ("ReEncrypt", &re_encrypt),
        ("CreateGrant", &grant),
        ("EnableKeyRotation", &json!({ "KeyId": key })),
        ("RotateKeyOnDemand", &json!({ "KeyId": key })),
    ] {
        let text = world.refused(operation, input, "DisabledException").await;
        assert_eq!(text, format!("{} is disabled.", key.as_str().expect("text")));
    }
    // Whom the policy refuses learns nothing of the state.
    let (name, _) = world.refusal(&ENCLAVE, "Encrypt", &encrypt).await;
    assert_eq!(name, "AccessDeniedException");
    world.administrate("EnableKey", &json!({ "KeyId": key })).await;
    assert_eq!(world.administrate("Decrypt", &decrypt).await["Plaintext"], "eA==");
}

#[tokio::test]
async fn a_key_is_deleted_after_its_window_and_not_before() {
    let world = World::start().await;
    let key = world.create(json!({})).await["Arn"].clone();
    let alias = json!({ "AliasName": "alias/one", "TargetKeyId": key });
    world.administrate("CreateAlias", &alias).await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    for days in [0, 6, 31, -1] {
        let input = json!({ "KeyId": key, "PendingWindowInDays": days });
        world.refused("ScheduleKeyDeletion", &input, "ValidationException").await;
    }
    let not_pending = json!({ "KeyId": key });
    let text = world.refused("CancelKeyDeletion", &not_pending, "KMSInvalidStateException").await;
    assert!(text.ends_with("is not pending deletion."), "{text}");
    let schedule = json!({ "KeyId": key, "PendingWindowInDays": 7 });
    let answer = world.administrate("ScheduleKeyDeletion", &schedule).await;
    let deletion = 1_780_000_000 + 7 * 86_400;
    let expected = json!({
        "KeyId": key, "DeletionDate": deletion, "KeyState": "PendingDeletion",
        "PendingWindowInDays": 7,
    });
    assert_eq!(answer, expected);
    let described = world.administrate("DescribeKey", &json!({ "KeyId": key })).await;
    assert_eq!(described["KeyMetadata"]["DeletionDate"], deletion);
    let invalid = "KMSInvalidStateException";
    for operation in ["EnableKey", "DisableKey", "EnableKeyRotation", "ScheduleKeyDeletion"] {
        let text = world.refused(operation, &json!({ "KeyId": key }), invalid).await;
        assert!(text.ends_with("is pending deletion."), "{text}");
    }
    world.refused("Encrypt", &encrypt, invalid).await;
    world.refused("Decrypt", &json!({ "CiphertextBlob": blob }), invalid).await;
    let tag = json!({ "KeyId": key, "Tags": [{ "TagKey": "a", "TagValue": "" }] });
    world.refused("TagResource", &tag, invalid).await;
    let second = json!({ "AliasName": "alias/two", "TargetKeyId": key });
    world.refused("CreateAlias", &second, invalid).await;
    // Cancelled, it is disabled, and all there still.
    let cancelled = world.administrate("CancelKeyDeletion", &json!({ "KeyId": key })).await;
    assert_eq!(cancelled, json!({ "KeyId": key }));
    assert_eq!(state(&world, &key).await, "Disabled");
    world.administrate("EnableKey", &json!({ "KeyId": key })).await;
    world.administrate("Decrypt", &json!({ "CiphertextBlob": blob })).await;
    world.administrate("ScheduleKeyDeletion", &schedule).await;
    world.clock.shift(7 * 86_400_000 - 1);
    assert_eq!(state(&world, &key).await, "PendingDeletion");
    world.clock.shift(1);
    let gone = world.refusal(&world.administrator(), "DescribeKey", &json!({ "KeyId": key })).await;
    assert_eq!(gone.0, "NotFoundException");
    let alias = json!({ "KeyId": "alias/one" });
    let gone = world.refusal(&world.administrator(), "DescribeKey", &alias).await;
    assert_eq!(gone.0, "NotFoundException");
}

#[tokio::test]
async fn re_encryption_needs_both_keys_and_both_contexts() {
    let world = World::start().await;
    let (from, to) = (
        world.create(json!({})).await["Arn"].clone(),
        world.create(json!({})).await["Arn"].clone(),
    );
    let encrypt = json!({
        "KeyId": from, "Plaintext": "c2VjcmV0", "EncryptionContext": { "a": "1" },
    });
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    let input = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": { "a": "1" },
        "DestinationKeyId": to, "DestinationEncryptionContext": { "b": "2" },
    });
    let answer = world.administrate("ReEncrypt", &input).await;
    let expected = json!({
        "CiphertextBlob": answer["CiphertextBlob"], "SourceKeyId": from, "KeyId": to,
        "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        "SourceKeyMaterialId": material(&world, &from).await,
        "DestinationKeyMaterialId": material(&world, &to).await,
    });
    assert_eq!(answer, expected);
    let open = |context: Value| json!({ "CiphertextBlob": answer["CiphertextBlob"], "EncryptionContext": context });
    let opened = world.administrate("Decrypt", &open(json!({ "b": "2" }))).await;
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!("c2VjcmV0"), &to));
    world.refused("Decrypt", &open(json!({ "a": "1" })), "InvalidCiphertextException").await;
    let with = |name: &str, value: Value| {
        let mut input = input.clone();
        input[name] = value;
        input
    };
    let check = async |name: &str, value: Value, refusal: &str| {
        world.refused("ReEncrypt", &with(name, value), refusal).await;
    };
    check("SourceEncryptionContext", json!({}), "InvalidCiphertextException").await;
    check("SourceKeyId", to.clone(), "IncorrectKeyException").await;
    check("DryRun", json!(true), "DryRunOperationException").await;
    check("Recipient", json!({}), "SerializationException").await;
    for (key, action) in [(&from, "kms:ReEncryptFrom"), (&to, "kms:ReEncryptTo")] {
        let denying = json!({ "Version": "2012-10-17", "Statement": [
            { "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "kms:*",
              "Resource": "*" },
            { "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*" },
        ]});
        let name = key.as_str().expect("an ARN");
        world.kms.put_key_policy(name, &denying.to_string()).expect("a policy");
        let text = world.refused("ReEncrypt", &input, "AccessDeniedException").await;
        assert!(text.contains(action) && text.contains(name), "{text}");
        let open = json!({ "Version": "2012-10-17", "Statement": [denying["Statement"][0]] });
        world.kms.put_key_policy(name, &open.to_string()).expect("a policy");
    }
    world.administrate("ReEncrypt", &input).await;
}

/// What the shipped policy leaves out, an administrator of all IAM cannot do either.
#[tokio::test]
async fn administration_ends_where_the_key_policy_does() {
    let world = World::start().await;
    let key = world.kms.create_key(&release_policy()).expect("a policy");
    for (operation, input) in [
        (
            "CreateGrant",
            json!({ "KeyId": key, "Operations": ["Decrypt"], "GranteePrincipal": "arn:aws:iam::111122223333:user/user" }),
        ),
        ("ScheduleKeyDeletion", json!({ "KeyId": key })),
        ("DisableKey", json!({ "KeyId": key })),
        ("ListGrants", json!({ "KeyId": key })),
        ("TagResource", json!({ "KeyId": key, "Tags": [] })),
        ("RotateKeyOnDemand", json!({ "KeyId": key })),
        ("ListKeyRotations", json!({ "KeyId": key })),
        ("GetPublicKey", json!({ "KeyId": key })),
        ("ReplicateKey", json!({ "KeyId": key, "ReplicaRegion": "us-east-1" })),
        ("CreateAlias", json!({ "AliasName": "alias/x", "TargetKeyId": key })),
        ("UpdateKeyDescription", json!({ "KeyId": key, "Description": "" })),
    ] {
        let (status, answer) = world.call(&ADMINISTRATOR, operation, &input).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert_eq!(answer["__type"], "AccessDeniedException", "{operation}: {answer}");
    }
}
