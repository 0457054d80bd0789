//! Imported material: the token, the wrapping key and the material have to belong together.

use super::world::{World, bytes};
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const MATERIAL: [u8; 32] = [7; 32];
const DAY: u64 = 86_400;

struct Import {
    key: Value,
    parameters: Value,
}

impl Import {
    async fn begin(world: &World, key: &Value) -> Self {
        Self::with(world, key, "RSA_2048").await
    }

    async fn with(world: &World, key: &Value, spec: &str) -> Self {
        let input = json!({
            "KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": spec,
        });
        let parameters =
            world.answer(&world.administrator(), "GetParametersForImport", &input).await;
        Self { key: key.clone(), parameters }
    }

    /// The material under this wrapping key, with this token.
    fn input(&self, material: &[u8]) -> Value {
        let public = PublicEncryptingKey::from_der(&bytes(&self.parameters, "PublicKey"));
        let public = OaepPublicEncryptingKey::new(public.expect("SPKI")).expect("a key");
        let mut wrapped = vec![0; public.ciphertext_size()];
        public
            .encrypt(&OAEP_SHA256_MGF1SHA256, material, &mut wrapped, None)
            .expect("short enough");
        json!({
            "KeyId": self.key, "ImportToken": self.parameters["ImportToken"],
            "EncryptedKeyMaterial": STANDARD.encode(wrapped),
            "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
        })
    }
}

async fn external(world: &World) -> Value {
    let metadata = world.create(json!({ "Origin": "EXTERNAL" })).await;
    assert_eq!(
        (&metadata["KeyState"], &metadata["Enabled"]),
        (&json!("PendingImport"), &json!(false))
    );
    assert_eq!(metadata["Origin"], "EXTERNAL");
    metadata["Arn"].clone()
}

async fn described(world: &World, key: &Value) -> Value {
    let input = json!({ "KeyId": key });
    world.answer(&world.administrator(), "DescribeKey", &input).await["KeyMetadata"].clone()
}

#[tokio::test]
async fn material_is_imported_deleted_and_imported_again() {
    let world = World::start().await;
    let key = external(&world).await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    let pending = "KMSInvalidStateException";
    let text = world.refused("Encrypt", &encrypt, pending).await;
    assert!(text.ends_with("is pending import."), "{text}");
    world.refused("EnableKey", &json!({ "KeyId": key }), pending).await;
    for spec in ["RSA_2048", "RSA_3072", "RSA_4096"] {
        let import = Import::with(&world, &key, spec).await;
        let imported = world.administrate("ImportKeyMaterial", &import.input(&MATERIAL)).await;
        let metadata = described(&world, &key).await;
        assert_eq!(metadata["KeyState"], "Enabled");
        assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
        assert_eq!(imported["KeyMaterialId"], metadata["CurrentKeyMaterialId"]);
    }
    let blob = world.administrate("Encrypt", &encrypt).await["CiphertextBlob"].clone();
    let decrypt = json!({ "CiphertextBlob": blob });
    world.administrate("DeleteImportedKeyMaterial", &json!({ "KeyId": key })).await;
    let metadata = described(&world, &key).await;
    assert_eq!(metadata["KeyState"], "PendingImport");
    assert_eq!(metadata.get("ExpirationModel"), None);
    world.refused("Decrypt", &decrypt, pending).await;
    let import = Import::begin(&world, &key).await;
    let other = import.input(&[8; 32]);
    world.refused("ImportKeyMaterial", &other, "IncorrectKeyMaterialException").await;
    world.administrate("ImportKeyMaterial", &import.input(&MATERIAL)).await;
    assert_eq!(world.administrate("Decrypt", &decrypt).await["Plaintext"], "eA==");
}

#[tokio::test]
async fn token_wrapping_key_and_key_belong_together() {
    let world = World::start().await;
    let (key, other) = (external(&world).await, external(&world).await);
    let (import, again) = (Import::begin(&world, &key).await, Import::begin(&world, &key).await);
    let foreign = Import::begin(&world, &other).await;
    let valid_to = &import.parameters["ParametersValidTo"];
    assert_eq!(*valid_to, json!(1_780_000_000 + DAY));
    let token = "InvalidImportTokenException";
    // Another key's token, and no token at all.
    let mut input = import.input(&MATERIAL);
    input["ImportToken"] = foreign.parameters["ImportToken"].clone();
    world.refused("ImportKeyMaterial", &input, token).await;
    input["ImportToken"] = "AAAA".into();
    world.refused("ImportKeyMaterial", &input, token).await;
    // This key's other token, with material under the first one's wrapping key.
    input["ImportToken"] = again.parameters["ImportToken"].clone();
    world.refused("ImportKeyMaterial", &input, "InvalidCiphertextException").await;
    for length in [0, 16, 31, 33] {
        let short = import.input(&vec![7; length]);
        world.refused("ImportKeyMaterial", &short, "IncorrectKeyMaterialException").await;
    }
    // An import uses its token up.
    world.administrate("ImportKeyMaterial", &import.input(&MATERIAL)).await;
    world.refused("ImportKeyMaterial", &import.input(&MATERIAL), token).await;
    // The other one is good for a day.
    world.clock.shift(i64::try_from(DAY * 1_000).expect("small"));
    let (name, _) =
        world.refusal(&world.administrator(), "ImportKeyMaterial", &again.input(&MATERIAL)).await;
    assert_eq!(name, "ExpiredImportTokenException");
    world.clock.shift(-1);
    world.answer(&world.administrator(), "ImportKeyMaterial", &again.input(&MATERIAL)).await;
}

#[tokio::test]
async fn material_expires_when_it_was_said_to() {
    let world = World::start().await;
    let key = external(&world).await;
    let check = async |change: Value, name: &str| {
        let mut input = Import::begin(&world, &key).await.input(&MATERIAL);
        input.as_object_mut().expect("an object").extend(change.as_object().expect("one").clone());
        world.refused("ImportKeyMaterial", &input, name).await;
    };
    let now = 1_780_000_000;
    let invalid = "ValidationException";
    check(json!({ "ValidTo": now + DAY }), invalid).await;
    check(json!({ "ExpirationModel": "KEY_MATERIAL_EXPIRES" }), invalid).await;
    check(json!({ "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": now }), invalid).await;
    let late = now + 365 * DAY + 1;
    check(json!({ "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": late }), invalid).await;
    check(json!({ "ExpirationModel": "NEVER" }), invalid).await;
    let mut input = Import::begin(&world, &key).await.input(&MATERIAL);
    input["ExpirationModel"] = "KEY_MATERIAL_EXPIRES".into();
    input["ValidTo"] = json!((now + DAY) as f64);
    world.administrate("ImportKeyMaterial", &input).await;
    let metadata = described(&world, &key).await;
    assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
    assert_eq!(metadata["ValidTo"], now + DAY);
    world.wait_days(1);
    assert_eq!(described(&world, &key).await["KeyState"], "PendingImport");
    // Pending deletion, it still has no material that could expire.
    let caller = world.administrator();
    world.answer(&caller, "ScheduleKeyDeletion", &json!({ "KeyId": key })).await;
    let metadata = described(&world, &key).await;
    assert_eq!((metadata.get("ExpirationModel"), metadata.get("ValidTo")), (None, None));
}

#[tokio::test]
async fn only_external_keys_are_imported_into() {
    let world = World::start().await;
    let own = world.create(json!({})).await["Arn"].clone();
    let parameters = |key: &Value, algorithm: &str| json!({ "KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": "RSA_2048" });
    let unsupported = "UnsupportedOperationException";
    let input = parameters(&own, "RSAES_OAEP_SHA_256");
    let text = world.refused("GetParametersForImport", &input, unsupported).await;
    assert!(text.contains("origin is AWS_KMS"), "{text}");
    world.refused("DeleteImportedKeyMaterial", &json!({ "KeyId": own }), unsupported).await;
    let key = external(&world).await;
    let sha1 = parameters(&key, "RSAES_OAEP_SHA_1");
    world.refused("GetParametersForImport", &sha1, unsupported).await;
    let mut input = Import::begin(&world, &key).await.input(&MATERIAL);
    world.administrate("ScheduleKeyDeletion", &json!({ "KeyId": key })).await;
    world.refused("ImportKeyMaterial", &input, "KMSInvalidStateException").await;
    input["KeyId"] = own;
    world.refused("ImportKeyMaterial", &input, unsupported).await;
}
