//! A multi-region key: one id, one material, a policy for each region.

use super::world::{ADMINISTRATOR, Caller, USER, USER_ARN, World};
use serde_json::{Value, json};

const FAR: &str = "us-east-1";

async fn world() -> World {
    World::start_as(|options| options.more_regions = vec![FAR.to_owned()]).await
}

fn far(world: &World) -> Caller {
    Caller { region: FAR, ..world.administrator() }
}

async fn primary(world: &World) -> Value {
    world.create(json!({ "MultiRegion": true })).await
}

#[tokio::test]
async fn a_replica_opens_what_its_primary_sealed_under_a_policy_of_its_own() {
    let world = world().await;
    let key = primary(&world).await;
    let id = key["KeyId"].as_str().expect("an id");
    assert!(id.starts_with("mrk-") && id.len() == 36, "{id}");
    let here = json!({ "Arn": key["Arn"], "Region": "eu-central-1" });
    assert_eq!(
        key["MultiRegionConfiguration"],
        json!({
            "MultiRegionKeyType": "PRIMARY", "PrimaryKey": here, "ReplicaKeys": [],
        })
    );
    let replicate = json!({
        "KeyId": id, "ReplicaRegion": FAR, "Tags": [{ "TagKey": "a", "TagValue": "1" }],
    });
    let answer = world.administrate("ReplicateKey", &replicate).await;
    let replica = answer["ReplicaKeyMetadata"].clone();
    let arn = format!("arn:aws:kms:{FAR}:111122223333:key/{id}");
    assert_eq!((&replica["Arn"], &replica["KeyId"]), (&json!(arn), &key["KeyId"]));
    assert_eq!(answer["ReplicaTags"], replicate["Tags"]);
    let configuration = json!({
        "MultiRegionKeyType": "REPLICA", "PrimaryKey": here,
        "ReplicaKeys": [{ "Arn": arn, "Region": FAR }],
    });
    assert_eq!(replica["MultiRegionConfiguration"], configuration);
    world.refused("ReplicateKey", &replicate, "AlreadyExistsException").await;
    let encrypt = json!({ "KeyId": id, "Plaintext": "eA==" });
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    let decrypt = json!({ "CiphertextBlob": blob });
    let opened = world.answer(&far(&world), "Decrypt", &decrypt).await;
    assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!("eA=="), &json!(arn)));
    // A Deny here stops nobody there.
    let deny = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "kms:*",
          "Resource": "*" },
        { "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*" },
    ]});
    world.kms.put_key_policy(id, &deny.to_string()).expect("a policy");
    world.refused("Decrypt", &decrypt, "AccessDeniedException").await;
    world.answer(&far(&world), "Decrypt", &decrypt).await;
    // Nor is a grant here one there.
    let grant = json!({ "KeyId": id, "GranteePrincipal": USER_ARN, "Operations": ["Encrypt"] });
    world.administrate("CreateGrant", &grant).await;
    world.answer(&USER, "Encrypt", &encrypt).await;
    let user_there = Caller { region: FAR, ..USER };
    assert_eq!(world.refusal(&user_there, "Encrypt", &encrypt).await.0, "AccessDeniedException");
}

#[tokio::test]
async fn rotation_reaches_the_replicas() {
    let world = world().await;
    let key = primary(&world).await["KeyId"].clone();
    let replicate = json!({ "KeyId": key, "ReplicaRegion": FAR });
    world.administrate("ReplicateKey", &replicate).await;
    world.administrate("RotateKeyOnDemand", &json!({ "KeyId": key })).await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    world.answer(&far(&world), "Decrypt", &json!({ "CiphertextBlob": blob })).await;
    let refused = world.refusal(&far(&world), "RotateKeyOnDemand", &json!({ "KeyId": key })).await;
    assert_eq!(refused.0, "UnsupportedOperationException");
    world.administrate("EnableKeyRotation", &json!({ "KeyId": key })).await;
    let status = world.answer(&far(&world), "GetKeyRotationStatus", &json!({ "KeyId": key })).await;
    assert_eq!(status["KeyRotationEnabled"], true);
}

#[tokio::test]
async fn a_primary_outlives_its_replicas() {
    let world = world().await;
    let key = primary(&world).await["KeyId"].clone();
    world.administrate("ReplicateKey", &json!({ "KeyId": key, "ReplicaRegion": FAR })).await;
    let schedule = json!({ "KeyId": key, "PendingWindowInDays": 7 });
    let answer = world.administrate("ScheduleKeyDeletion", &schedule).await;
    assert_eq!(answer["KeyState"], "PendingReplicaDeletion");
    assert_eq!(answer.get("DeletionDate"), None);
    world.wait_days(100);
    let describe = json!({ "KeyId": key });
    let state = async |caller: &Caller| {
        world.answer(caller, "DescribeKey", &describe).await["KeyMetadata"]["KeyState"].clone()
    };
    assert_eq!(state(&world.administrator()).await, "PendingReplicaDeletion");
    world.answer(&far(&world), "ScheduleKeyDeletion", &schedule).await;
    assert_eq!(state(&far(&world)).await, "PendingDeletion");
    world.wait_days(7);
    assert_eq!(state(&world.administrator()).await, "PendingDeletion");
    let gone = world.refusal(&far(&world), "DescribeKey", &describe).await;
    assert_eq!(gone.0, "NotFoundException");
    world.wait_days(7);
    let gone = world.refusal(&world.administrator(), "DescribeKey", &describe).await;
    assert_eq!(gone.0, "NotFoundException");
}

#[tokio::test]
async fn only_a_primary_key_is_replicated_and_only_to_another_region() {
    let world = world().await;
    let single = world.create(json!({})).await["KeyId"].clone();
    let key = primary(&world).await["KeyId"].clone();
    let to = |key: &Value, region: &str| json!({ "KeyId": key, "ReplicaRegion": region });
    world.refused("ReplicateKey", &to(&single, FAR), "UnsupportedOperationException").await;
    world.refused("ReplicateKey", &to(&key, "eu-central-1"), "ValidationException").await;
    world.refused("ReplicateKey", &to(&key, "ap-south-1"), "ValidationException").await;
    world.administrate("ReplicateKey", &to(&key, FAR)).await;
    let back = to(&key, "eu-central-1");
    let refused = world.refusal(&far(&world), "ReplicateKey", &back).await;
    assert_eq!(refused.0, "UnsupportedOperationException");
    let refused = world.refusal(&USER, "ReplicateKey", &to(&key, FAR)).await;
    assert_eq!(refused.0, "AccessDeniedException");
    // Keys of one region are not those of another.
    let refused = world.refusal(&far(&world), "DescribeKey", &json!({ "KeyId": single })).await;
    assert_eq!(refused.0, "NotFoundException");
    let nowhere = Caller { region: "ap-south-1", ..ADMINISTRATOR };
    let refused = world.refusal(&nowhere, "ListKeys", &json!({})).await;
    assert_eq!(refused.0, "InvalidSignatureException");
}
