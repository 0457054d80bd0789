//! Rotation changes what encrypts, and closes nothing.

use super::world::World;
use serde_json::{Value, json};

async fn call(world: &World, operation: &str, input: &Value) -> Value {
    world.answer(&world.administrator(), operation, input).await
}

#[tokio::test]
async fn old_ciphertexts_open_after_rotation() {
    let world = World::start().await;
    let metadata = world.create(json!({})).await;
    let key = metadata["KeyId"].clone();
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let mut blobs = vec![call(&world, "Encrypt", &encrypt).await["CiphertextBlob"].clone()];
    let mut materials = vec![metadata["CurrentKeyMaterialId"].clone()];
    for _ in 0..3 {
        world.clock.shift(1_000);
        let rotated = call(&world, "RotateKeyOnDemand", &json!({ "KeyId": key })).await;
        assert_eq!(rotated, json!({ "KeyId": key }));
        blobs.push(call(&world, "Encrypt", &encrypt).await["CiphertextBlob"].clone());
        let described = call(&world, "DescribeKey", &json!({ "KeyId": key })).await;
        materials.push(described["KeyMetadata"]["CurrentKeyMaterialId"].clone());
    }
    for (blob, material) in blobs.iter().zip(&materials) {
        let opened = call(&world, "Decrypt", &json!({ "CiphertextBlob": blob })).await;
        assert_eq!((&opened["Plaintext"], &opened["KeyMaterialId"]), (&json!("eA=="), material));
    }
    let all = json!({ "KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL" });
    let listed = call(&world, "ListKeyRotations", &all).await;
    let listed = listed["Rotations"].as_array().expect("a list").clone();
    let ids: Vec<Value> = listed.iter().map(|entry| entry["KeyMaterialId"].clone()).collect();
    assert_eq!(ids, materials);
    let mut distinct = ids.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), 4);
    assert_eq!(
        listed[3],
        json!({
            "KeyId": key, "KeyMaterialId": ids[3], "KeyMaterialState": "CURRENT",
            "RotationDate": 1_780_000_003, "RotationType": "ON_DEMAND",
        })
    );
    let rotations = call(&world, "ListKeyRotations", &json!({ "KeyId": key, "Limit": 2 })).await;
    assert_eq!(rotations["Rotations"].as_array().expect("a list")[..], listed[1..3]);
    assert_eq!(rotations["Truncated"], true);
}

#[tokio::test]
async fn a_key_rotates_by_itself_when_its_period_is_over() {
    let world = World::start().await;
    let key = world.create(json!({})).await["KeyId"].clone();
    let status = json!({ "KeyId": key });
    let off = json!({ "KeyId": key, "KeyRotationEnabled": false });
    assert_eq!(call(&world, "GetKeyRotationStatus", &status).await, off);
    for days in [89, 2_561] {
        let input = json!({ "KeyId": key, "RotationPeriodInDays": days });
        world.refused("EnableKeyRotation", &input, "ValidationException").await;
    }
    let enable = json!({ "KeyId": key, "RotationPeriodInDays": 90 });
    call(&world, "EnableKeyRotation", &enable).await;
    let next = 1_780_000_000 + 90 * 86_400;
    let on = json!({
        "KeyId": key, "KeyRotationEnabled": true, "RotationPeriodInDays": 90,
        "NextRotationDate": next,
    });
    assert_eq!(call(&world, "GetKeyRotationStatus", &status).await, on);
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let blob = call(&world, "Encrypt", &encrypt).await["CiphertextBlob"].clone();
    let rotations = async || {
        let listed = call(&world, "ListKeyRotations", &status).await;
        listed["Rotations"].as_array().expect("a list").clone()
    };
    world.clock.shift(90 * 86_400_000 - 1);
    assert_eq!(rotations().await.len(), 0);
    world.clock.shift(1);
    let rotated = rotations().await;
    assert_eq!(
        (&rotated[0]["RotationType"], &rotated[0]["RotationDate"]),
        (&json!("AUTOMATIC"), &json!(next))
    );
    call(&world, "Decrypt", &json!({ "CiphertextBlob": blob })).await;
    call(&world, "DisableKeyRotation", &status).await;
    world.wait_days(200);
    assert_eq!(rotations().await.len(), 1);
}

#[tokio::test]
async fn only_enabled_symmetric_keys_of_its_own_material_rotate() {
    let world = World::start().await;
    let signing = json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY" });
    let signing = world.create(signing).await["Arn"].clone();
    let external = world.create(json!({ "Origin": "EXTERNAL" })).await["Arn"].clone();
    for key in [&signing, &external] {
        for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
            let input = json!({ "KeyId": key });
            world.refused(operation, &input, "UnsupportedOperationException").await;
        }
    }
    let status = json!({ "KeyId": signing });
    world.refused("GetKeyRotationStatus", &status, "UnsupportedOperationException").await;
    let key = world.create(json!({})).await["Arn"].clone();
    for _ in 0..25 {
        call(&world, "RotateKeyOnDemand", &json!({ "KeyId": key })).await;
    }
    let input = json!({ "KeyId": key });
    world.refused("RotateKeyOnDemand", &input, "LimitExceededException").await;
}
