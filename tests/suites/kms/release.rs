//! The key policy in the form that is shipped, with everything that is tried against it.

use super::world::{
    ACCOUNT, ADMINISTRATOR, Caller, ENCLAVE, IMAGE, KEY, MANIFEST, TOKEN, World, recipient,
};
use nitro_signer_shared::attestation::pcr::{self, Pcr};
use nitro_signer_shared::key_policy::Principal;
use nitro_signer_shared::secret::SecretString;
use nitro_signer_tests::kms::Identity;
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::111122223333:role/appliance";
const ADMINISTRATOR_ARN: &str = "arn:aws:iam::111122223333:user/administrator";
const BREAK_GLASS: &str = "arn:aws:iam::111122223333:role/break-glass";
/// The image and the manifest of a second release.
const NEXT_IMAGE: [Pcr; 3] = [[4; 48], [5; 48], [6; 48]];
const NEXT_MANIFEST: &[u8] = b"the next manifest's hash";

fn context() -> Value {
    json!({
        "app": "nitro-signer", "version": "1", "deployment": "d", "vault": "main",
        "purpose": "vault", "share": "0",
    })
}

fn pcr16(manifest: &[u8]) -> String {
    hex::encode(pcr::extend(&pcr::ZERO, manifest))
}

/// Two releases, each with its own manifest; administrators; a glass to be broken.
fn policy(vault_creation: bool) -> String {
    let names: Vec<String> = context().as_object().expect("an object").keys().cloned().collect();
    let prefix =
        |(name, value): (&String, &Value)| (format!("kms:EncryptionContext:{name}"), value.clone());
    let pairs: Value = context()
        .as_object()
        .expect("an object")
        .iter()
        .map(prefix)
        .collect::<serde_json::Map<_, _>>()
        .into();
    let actions = match vault_creation {
        true => json!(["kms:Decrypt", "kms:GenerateDataKey"]),
        false => json!(["kms:Decrypt"]),
    };
    let sets = [(IMAGE[0], MANIFEST), (NEXT_IMAGE[0], NEXT_MANIFEST)];
    let mut statements = vec![
        json!({
            "Sid": "Administration", "Effect": "Allow", "Resource": "*",
            "Principal": { "AWS": [ADMINISTRATOR_ARN] },
            "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants", "kms:PutKeyPolicy",
                       "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"],
        }),
        json!({
            "Sid": "BreakGlass", "Effect": "Allow", "Resource": "*",
            "Principal": { "AWS": [BREAK_GLASS] },
            "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"],
            "Condition": { "Bool": { "aws:MultiFactorAuthPresent": "true" } },
        }),
        json!({
            "Sid": "ApplianceReads", "Effect": "Allow", "Resource": "*",
            "Principal": { "AWS": [ROLE] },
            "Action": ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"],
        }),
    ];
    for (index, (image, manifest)) in sets.iter().enumerate() {
        statements.push(json!({
            "Sid": format!("Measured{index}"), "Effect": "Allow", "Resource": "*",
            "Principal": { "AWS": [ROLE] }, "Action": actions,
            "Condition": {
                "StringEqualsIgnoreCase": {
                    "kms:RecipientAttestation:PCR0": hex::encode(image),
                    "kms:RecipientAttestation:PCR16": pcr16(manifest),
                },
                "StringEquals": pairs,
                "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": names },
            },
        }));
    }
    for (register, values) in [
        (0, sets.map(|(image, _)| hex::encode(image))),
        (16, sets.map(|(_, manifest)| pcr16(manifest))),
    ] {
        let key = format!("kms:RecipientAttestation:PCR{register}");
        statements.push(json!({
            "Sid": format!("OnlyPCR{register}"), "Effect": "Deny", "Resource": "*",
            "Principal": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Condition": { "StringNotEqualsIgnoreCase": { key: values } },
        }));
    }
    statements.push(json!({
        "Sid": "Nobody", "Effect": "Deny", "Principal": "*", "Resource": "*",
        "Action": ["kms:CreateGrant", "kms:Encrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo",
                   "kms:GenerateDataKeyWithoutPlaintext", "kms:ReplicateKey",
                   "kms:ImportKeyMaterial"],
    }));
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// Open to the account's administrators, who plant a grant to the appliance's role, and closed
/// afterwards.
async fn key_with_a_planted_grant(world: &World) -> Value {
    let key = world.create(json!({})).await["Arn"].clone();
    let grant = json!({
        "KeyId": key, "GranteePrincipal": ROLE,
        "Operations": ["Decrypt", "GenerateDataKey", "Encrypt", "ReEncryptFrom", "ReEncryptTo",
                       "CreateGrant", "DescribeKey"],
    });
    world.administrate("CreateGrant", &grant).await;
    let put = json!({ "KeyId": key, "Policy": policy(true) });
    world.administrate("PutKeyPolicy", &put).await;
    key
}

fn document(world: &World, image: [Pcr; 3], manifest: &[u8]) -> Value {
    recipient(&world.nsm(image, manifest).document(None, None, Some(&KEY.spki)))
}

#[tokio::test]
async fn only_a_listed_pair_of_image_and_manifest_gets_in() {
    let world = World::start().await;
    let key = key_with_a_planted_grant(&world).await;
    let generate = json!({
        "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context(),
        "Recipient": document(&world, IMAGE, MANIFEST),
    });
    let made = world.answer(&ENCLAVE, "GenerateDataKey", &generate).await;
    let open = json!({
        "KeyId": key, "CiphertextBlob": made["CiphertextBlob"], "EncryptionContext": context(),
        "Recipient": document(&world, IMAGE, MANIFEST),
    });
    assert_eq!(KEY.open(&world.answer(&ENCLAVE, "Decrypt", &open).await), KEY.open(&made));
    let check = async |caller: &Caller, change: &dyn Fn(&mut Value)| {
        for (operation, input) in [("Decrypt", &open), ("GenerateDataKey", &generate)] {
            let mut input = input.clone();
            change(&mut input);
            let (name, text) = world.refusal(caller, operation, &input).await;
            assert_eq!(name, "AccessDeniedException", "{operation}: {text}");
        }
    };
    let with = |recipient: Value| move |input: &mut Value| input["Recipient"] = recipient.clone();
    check(&ENCLAVE, &with(document(&world, [[9; 48], IMAGE[1], IMAGE[2]], MANIFEST))).await;
    check(&ENCLAVE, &with(document(&world, IMAGE, b"another manifest"))).await;
    check(&ENCLAVE, &|input| drop(input.as_object_mut().expect("one").remove("Recipient"))).await;
    check(&ADMINISTRATOR, &|_| {}).await;
    let without = |input: &mut Value| drop(input.as_object_mut().expect("one").remove("Recipient"));
    check(&ADMINISTRATOR, &without).await;
    // The next release with its own manifest is let in.
    let mut next = open.clone();
    next["Recipient"] = document(&world, NEXT_IMAGE, NEXT_MANIFEST);
    world.answer(&ENCLAVE, "Decrypt", &next).await;
}

/// An old image with a new manifest is no listed pair. Each register is one that some pair has, so
/// that no Deny speaks of it: only a grant lets such a one in, which is why there must be none.
#[tokio::test]
async fn pairs_are_not_mixed_and_contexts_are_exact_unless_a_grant_says_otherwise() {
    let world = World::start().await;
    let key = key_with_a_planted_grant(&world).await;
    let generate = json!({
        "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context(),
        "Recipient": document(&world, IMAGE, NEXT_MANIFEST),
    });
    let mut longer = generate.clone();
    longer["Recipient"] = document(&world, IMAGE, MANIFEST);
    longer["EncryptionContext"]["more"] = "1".into();
    let mut other = longer.clone();
    other["EncryptionContext"] = context();
    other["EncryptionContext"]["vault"] = "other".into();
    for input in [&generate, &longer, &other] {
        world.answer(&ENCLAVE, "GenerateDataKey", input).await;
    }
    let listed = world.answer(&ENCLAVE, "ListGrants", &json!({ "KeyId": key })).await;
    let revoke = json!({ "KeyId": key, "GrantId": listed["Grants"][0]["GrantId"] });
    world.administrate("RevokeGrant", &revoke).await;
    for input in [&generate, &longer, &other] {
        let refused = world.refusal(&ENCLAVE, "GenerateDataKey", input).await;
        assert_eq!(refused.0, "AccessDeniedException");
    }
}

#[tokio::test]
async fn nobody_plants_anything_grant_or_not() {
    let world = World::start().await;
    let key = key_with_a_planted_grant(&world).await;
    let grant = json!({ "KeyId": key, "GranteePrincipal": ROLE, "Operations": ["Decrypt"] });
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==", "EncryptionContext": context() });
    let generate = json!({ "KeyId": key, "KeySpec": "AES_256", "EncryptionContext": context() });
    for caller in [&ENCLAVE, &ADMINISTRATOR] {
        for (operation, input) in [
            ("CreateGrant", &grant),
            ("Encrypt", &encrypt),
            ("GenerateDataKeyWithoutPlaintext", &generate),
        ] {
            let (name, text) = world.refusal(caller, operation, input).await;
            assert_eq!(name, "AccessDeniedException", "{operation}");
            assert!(text.ends_with("with an explicit deny in a resource-based policy"), "{text}");
        }
    }
    for operation in ["DescribeKey", "GetKeyPolicy", "ListGrants"] {
        world.answer(&ENCLAVE, operation, &json!({ "KeyId": key })).await;
    }
    // Once the vault is made, no further one can be.
    let put = json!({ "KeyId": key, "Policy": policy(false) });
    world.administrate("PutKeyPolicy", &put).await;
    let listed = world.answer(&ENCLAVE, "ListGrants", &json!({ "KeyId": key })).await;
    let revoke = json!({ "KeyId": key, "GrantId": listed["Grants"][0]["GrantId"] });
    world.administrate("RevokeGrant", &revoke).await;
    let mut generate = generate;
    generate["Recipient"] = document(&world, IMAGE, MANIFEST);
    let refused = world.refusal(&ENCLAVE, "GenerateDataKey", &generate).await;
    assert_eq!(refused.0, "AccessDeniedException");
}

/// Only a session that was got with a second factor says so.
#[tokio::test]
async fn the_glass_is_broken_with_a_second_factor_only() {
    const WITH: Caller = Caller { access_key: "ASIAWITH", ..ENCLAVE };
    const WITHOUT: Caller = Caller { access_key: "ASIAWITHOUT", ..ENCLAVE };
    const LONG_LIVED: Caller = Caller { access_key: "AKIALONG", token: None, ..ENCLAVE };
    let world = World::start_as(|options| {
        let session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/break-glass/somebody");
        for caller in [WITH, WITHOUT, LONG_LIVED] {
            options.identities.push(Identity {
                access_key_id: caller.access_key.to_owned(),
                secret_access_key: SecretString::new(caller.secret.to_owned()),
                session_token: caller.token.map(|_| SecretString::new(TOKEN.to_owned())),
                principal: Principal::parse(&session).expect("a principal"),
                iam_allows_all: false,
            });
        }
        options.multi_factor = vec!["ASIAWITH".to_owned(), "AKIALONG".to_owned()];
    })
    .await;
    let key = key_with_a_planted_grant(&world).await;
    let get = json!({ "KeyId": key });
    world.answer(&WITH, "GetKeyPolicy", &get).await;
    for caller in [&WITHOUT, &LONG_LIVED] {
        assert_eq!(world.refusal(caller, "GetKeyPolicy", &get).await.0, "AccessDeniedException");
    }
    assert_eq!(world.refusal(&WITH, "ListGrants", &get).await.0, "AccessDeniedException");
}
