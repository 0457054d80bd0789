//! Every operation there is: none forgets to ask who is calling, and none falls over what it gets.

use super::world::{ADMINISTRATOR, USER, USER_ARN, World};
use http::StatusCode;
use nitro_signer_tests::kms::Operation;
use serde_json::{Value, json};

const OTHER_ARN: &str = "arn:aws:iam::111122223333:user/other";

/// A request that an administrator may make, so far as it is not one of a mistaken kind of key.
fn request(operation: Operation, key: &str, blob: &Value, grant: &Value) -> Value {
    use Operation as Op;
    match operation {
        Op::CreateKey | Op::ListKeys | Op::ListAliases => json!({}),
        Op::DescribeKey
        | Op::EnableKey
        | Op::DisableKey
        | Op::ScheduleKeyDeletion
        | Op::CancelKeyDeletion
        | Op::GetKeyPolicy
        | Op::ListKeyPolicies
        | Op::ListResourceTags
        | Op::ListGrants
        | Op::EnableKeyRotation
        | Op::DisableKeyRotation
        | Op::GetKeyRotationStatus
        | Op::RotateKeyOnDemand
        | Op::ListKeyRotations
        | Op::DeleteImportedKeyMaterial
        | Op::GetPublicKey => json!({ "KeyId": key }),
        Op::UpdateKeyDescription => json!({ "KeyId": key, "Description": "d" }),
        Op::PutKeyPolicy => json!({ "KeyId": key, "Policy": "{}" }),
        Op::CreateAlias => json!({ "AliasName": "alias/other", "TargetKeyId": key }),
        Op::UpdateAlias => json!({ "AliasName": "alias/a", "TargetKeyId": key }),
        Op::DeleteAlias => json!({ "AliasName": "alias/a" }),
        Op::TagResource => json!({ "KeyId": key, "Tags": [] }),
        Op::UntagResource => json!({ "KeyId": key, "TagKeys": [] }),
        Op::CreateGrant => {
            json!({ "KeyId": key, "GranteePrincipal": OTHER_ARN, "Operations": ["Decrypt"] })
        }
        Op::ListRetirableGrants => json!({ "RetiringPrincipal": USER_ARN }),
        Op::RetireGrant => json!({ "GrantToken": grant["GrantToken"] }),
        Op::RevokeGrant => json!({ "KeyId": key, "GrantId": grant["GrantId"] }),
        Op::GetParametersForImport => json!({
            "KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256",
            "WrappingKeySpec": "RSA_2048",
        }),
        Op::ImportKeyMaterial => {
            json!({ "KeyId": key, "ImportToken": "AA==", "EncryptedKeyMaterial": "AA==" })
        }
        Op::ReplicateKey => json!({ "KeyId": key, "ReplicaRegion": "us-east-1" }),
        Op::Encrypt => json!({ "KeyId": key, "Plaintext": "eA==" }),
        Op::Decrypt => json!({ "CiphertextBlob": blob }),
        Op::ReEncrypt => json!({ "CiphertextBlob": blob, "DestinationKeyId": key }),
        Op::GenerateDataKey | Op::GenerateDataKeyWithoutPlaintext => {
            json!({ "KeyId": key, "KeySpec": "AES_256" })
        }
        Op::GenerateRandom => json!({ "NumberOfBytes": 8 }),
        Op::Sign => {
            json!({ "KeyId": key, "Message": "eA==", "SigningAlgorithm": "ECDSA_SHA_256" })
        }
        Op::Verify => json!({
            "KeyId": key, "Message": "eA==", "Signature": "eA==",
            "SigningAlgorithm": "ECDSA_SHA_256",
        }),
    }
}

#[tokio::test]
async fn whom_nobody_allows_may_do_nothing() {
    let world = World::start().await;
    let key = world.create(json!({})).await["Arn"].as_str().expect("an ARN").to_owned();
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    let alias = json!({ "AliasName": "alias/a", "TargetKeyId": key });
    world.administrate("CreateAlias", &alias).await;
    // The user has no part in this grant.
    let grant = json!({
        "KeyId": key, "GranteePrincipal": OTHER_ARN,
        "Operations": ["Decrypt", "RetireGrant"],
    });
    let grant = world.administrate("CreateGrant", &grant).await;
    for operation in Operation::ALL {
        let request = request(*operation, &key, &blob, &grant);
        let (name, text) = world.refusal(&USER, operation.name(), &request).await;
        assert_eq!(name, "AccessDeniedException", "{}: {text}", operation.name());
        assert!(text.contains(USER_ARN), "{}: {text}", operation.name());
        // What stopped the user does not stop the administrator.
        let (_, answer) = world.call(&ADMINISTRATOR, operation.name(), &request).await;
        assert_ne!(answer["__type"], "AccessDeniedException", "{}: {answer}", operation.name());
        assert_ne!(answer["__type"], "SerializationException", "{}: {answer}", operation.name());
        let restore = [("CancelKeyDeletion", &key), ("EnableKey", &key)];
        for (operation, key) in restore {
            world.call(&ADMINISTRATOR, operation, &json!({ "KeyId": key })).await;
        }
        world.call(&ADMINISTRATOR, "CreateAlias", &alias).await;
    }
}

#[tokio::test]
async fn no_request_breaks_an_operation() {
    let world = World::start().await;
    let key = world.create(json!({})).await["Arn"].clone();
    let bodies = [
        json!({}),
        json!({ "KeyId": "" }),
        json!({ "KeyId": key }),
        json!({ "KeyId": "x".repeat(3_000) }),
        json!({ "KeyId": 1 }),
        json!({ "KeyId": key, "Limit": -1, "Marker": "" }),
        json!({ "KeyId": key, "Limit": 1e300 }),
        json!({ "KeyId": key, "PendingWindowInDays": i64::MIN }),
        json!({ "KeyId": key, "RotationPeriodInDays": i64::MAX }),
        json!({ "KeyId": key, "NumberOfBytes": u64::MAX }),
        json!({ "CiphertextBlob": "AgAAAAAAAAAAAAAAAAAAAAAAAAAA" }),
        json!({ "KeyId": key, "GrantId": "\u{0}", "GrantToken": "Cgo=" }),
        json!({ "GrantToken": "Cgo=" }),
        json!({ "AliasName": "alias/\u{e9}", "TargetKeyId": key }),
        json!({ "KeyId": key, "Tags": [{ "TagKey": "\u{1f600}", "TagValue": "" }] }),
        json!({ "KeyId": key, "ImportToken": "", "EncryptedKeyMaterial": "", "ValidTo": -1e308 }),
    ];
    for operation in Operation::ALL {
        for body in &bodies {
            let request = ADMINISTRATOR.request(operation.name(), body, false);
            let (status, answer) = world.send(request).await.expect("is answered");
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{}: {body}", operation.name());
            let name = answer["__type"].as_str().unwrap_or_default();
            assert!(status.is_success() || !name.is_empty(), "{}: {body}", operation.name());
        }
    }
    world.create(json!({})).await;
}
