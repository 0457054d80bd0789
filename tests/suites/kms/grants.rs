//! A grant is a second way to a key: who gets in by it, and what stops it?

use super::world::{
    ADMINISTRATOR, APPLIANCE, Caller, ENCLAVE, IMAGE, KEY, MANIFEST, USER, USER_ARN, World,
    recipient, release_policy,
};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::111122223333:role/appliance";
const ADMINISTRATOR_ARN: &str = "arn:aws:iam::111122223333:user/administrator";

/// The account decides by IAM, and everybody is denied these.
fn policy(denied: &Value) -> String {
    let mut statements = vec![json!({
        "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "kms:*",
        "Resource": "*",
    })];
    if denied.is_object() {
        statements.push(denied.clone());
    }
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

async fn key(world: &World) -> String {
    world.kms.create_key(&policy(&Value::Null)).expect("a policy")
}

async fn grant(world: &World, key: &str, more: &Value) -> Value {
    let mut input = json!({
        "KeyId": key, "GranteePrincipal": USER_ARN, "Operations": ["Encrypt", "Decrypt"],
    });
    let members = input.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    world.administrate("CreateGrant", &input).await
}

#[tokio::test]
async fn a_grant_opens_what_the_policy_does_not_and_ends_when_revoked() {
    let world = World::start().await;
    let key = key(&world).await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "c2VjcmV0" });
    let (name, text) = world.refusal(&USER, "Encrypt", &encrypt).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(text.ends_with("because no identity-based policy allows the kms:Encrypt action"));
    let granted = grant(&world, &key, &json!({})).await;
    assert_eq!(granted["GrantId"].as_str().expect("an id").len(), 64);
    let blob = world.answer(&USER, "Encrypt", &encrypt).await["CiphertextBlob"].clone();
    // A token changes nothing, since grants work at once here; it has to be one.
    let tokens = json!([granted["GrantToken"]]);
    let decrypt = json!({ "CiphertextBlob": blob, "GrantTokens": tokens });
    assert_eq!(world.answer(&USER, "Decrypt", &decrypt).await["Plaintext"], "c2VjcmV0");
    let forged = json!({ "CiphertextBlob": blob, "GrantTokens": ["AAAA"] });
    assert_eq!(world.refusal(&USER, "Decrypt", &forged).await.0, "InvalidGrantTokenException");
    // Neither another operation nor another caller.
    let generate = json!({ "KeyId": key, "KeySpec": "AES_256" });
    assert_eq!(world.refusal(&USER, "GenerateDataKey", &generate).await.0, "AccessDeniedException");
    assert_eq!(world.refusal(&ENCLAVE, "Encrypt", &encrypt).await.0, "AccessDeniedException");
    let revoke = json!({ "KeyId": key, "GrantId": granted["GrantId"] });
    assert_eq!(world.refusal(&USER, "RevokeGrant", &revoke).await.0, "AccessDeniedException");
    world.administrate("RevokeGrant", &revoke).await;
    assert_eq!(world.refusal(&USER, "Encrypt", &encrypt).await.0, "AccessDeniedException");
    world.refused("RevokeGrant", &revoke, "NotFoundException").await;
}

/// A role is its sessions; an account is whom its IAM policies let.
#[tokio::test]
async fn the_grantee_is_a_user_a_role_or_an_account() {
    let world = World::start().await;
    let check = async |grantee: &str, caller: &Caller, allowed: bool| {
        let key = key(&world).await;
        let more = json!({ "GranteePrincipal": grantee, "Operations": ["DescribeKey"] });
        grant(&world, &key, &more).await;
        let called = world.call(caller, "DescribeKey", &json!({ "KeyId": key })).await;
        assert_eq!(called.0.is_success(), allowed, "{grantee}: {}", called.1);
    };
    check(ROLE, &ENCLAVE, true).await;
    check(APPLIANCE, &ENCLAVE, true).await;
    check(ROLE, &USER, false).await;
    check("arn:aws:iam::111122223333:role/app", &ENCLAVE, false).await;
    check("arn:aws:iam::111122223333:root", &USER, false).await;
    check("arn:aws:iam::111122223333:root", &ADMINISTRATOR, true).await;
}

#[tokio::test]
async fn constraints_bind_the_encryption_context() {
    let world = World::start().await;
    let key = key(&world).await;
    let check = async |constraints: Value, context: Value, allowed: bool| {
        let granted = grant(&world, &key, &json!({ "Constraints": constraints })).await;
        let input = json!({ "KeyId": key, "Plaintext": "eA==", "EncryptionContext": context });
        let called = world.call(&USER, "Encrypt", &input).await;
        assert_eq!(called.0.is_success(), allowed, "{constraints} {context}: {}", called.1);
        let revoke = json!({ "KeyId": key, "GrantId": granted["GrantId"] });
        world.administrate("RevokeGrant", &revoke).await;
    };
    let equals = json!({ "EncryptionContextEquals": { "a": "1", "b": "2" } });
    check(equals.clone(), json!({ "a": "1", "b": "2" }), true).await;
    check(equals.clone(), json!({ "a": "1", "b": "2", "c": "3" }), false).await;
    check(equals.clone(), json!({ "a": "1" }), false).await;
    check(equals.clone(), json!({ "a": "1", "b": "3" }), false).await;
    check(equals, json!({}), false).await;
    let subset = json!({ "EncryptionContextSubset": { "a": "1" } });
    check(subset.clone(), json!({ "a": "1", "b": "2" }), true).await;
    check(subset.clone(), json!({ "A": "1" }), false).await;
    check(subset, json!({ "b": "2" }), false).await;
    // They do not bind DescribeKey.
    let more = json!({
        "Operations": ["DescribeKey"], "Constraints": { "EncryptionContextSubset": { "a": "1" } },
    });
    grant(&world, &key, &more).await;
    world.answer(&USER, "DescribeKey", &json!({ "KeyId": key })).await;
}

/// A conditioned Allow does not bind a grantee. A Deny does, and one with a negated condition also
/// where the condition key is absent.
#[tokio::test]
async fn a_grant_walks_around_an_attested_allow_and_a_deny_stops_it() {
    let world = World::start().await;
    let granting = release_policy().replace("kms:GetKeyPolicy", "kms:CreateGrant");
    let key = world.kms.create_key(&granting).expect("a policy");
    let more = json!({
        "GranteePrincipal": ROLE, "Operations": ["Decrypt", "Encrypt", "GenerateDataKey"],
    });
    grant(&world, &key, &more).await;
    let encrypt = json!({ "KeyId": key, "Plaintext": "c2VjcmV0" });
    let blob = world.answer(&ENCLAVE, "Encrypt", &encrypt).await["CiphertextBlob"].clone();
    let decrypt = json!({ "CiphertextBlob": blob });
    assert_eq!(world.answer(&ENCLAVE, "Decrypt", &decrypt).await["Plaintext"], "c2VjcmV0");
    let image = hex::encode(IMAGE[0]);
    let mut denying: Value = serde_json::from_str(&granting).expect("JSON");
    denying["Statement"].as_array_mut().expect("a list").push(json!({
        "Effect": "Deny", "Principal": "*", "Resource": "*",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Condition": { "StringNotEqualsIgnoreCase": { "kms:RecipientAttestation:PCR0": image } },
    }));
    world.kms.put_key_policy(&key, &denying.to_string()).expect("a policy");
    let (name, text) = world.refusal(&ENCLAVE, "Decrypt", &decrypt).await;
    assert_eq!(name, "AccessDeniedException");
    assert!(text.ends_with("with an explicit deny in a resource-based policy"), "{text}");
    let with = |image| {
        let document = world.nsm(image, MANIFEST).document(None, None, Some(&KEY.spki));
        json!({ "CiphertextBlob": blob, "Recipient": recipient(&document) })
    };
    let other = with([[9; 48], IMAGE[1], IMAGE[2]]);
    assert_eq!(world.refusal(&ENCLAVE, "Decrypt", &other).await.0, "AccessDeniedException");
    // The right image gets past the Deny, and the grant, not the Allow, lets it in.
    assert_eq!(KEY.open(&world.answer(&ENCLAVE, "Decrypt", &with(IMAGE)).await), b"secret");
    // What the Deny does not name, it does not stop.
    world.answer(&ENCLAVE, "Encrypt", &encrypt).await;
}

#[tokio::test]
async fn nobody_grants_without_permission_and_conditions_see_what_is_granted() {
    let world = World::start().await;
    let create = |key: &str, more: Value| {
        let mut input = json!({
            "KeyId": key, "GranteePrincipal": USER_ARN, "Operations": ["Encrypt", "Decrypt"],
        });
        let members = input.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        input
    };
    let plain = key(&world).await;
    for caller in [&USER, &ENCLAVE] {
        let refused = world.refusal(caller, "CreateGrant", &create(&plain, json!({}))).await;
        assert_eq!(refused.0, "AccessDeniedException");
    }
    let check = async |condition: Value, more: Value, denied: bool| {
        let deny = json!({
            "Effect": "Deny", "Principal": "*", "Resource": "*", "Action": "kms:CreateGrant",
            "Condition": condition,
        });
        let key = world.kms.create_key(&policy(&deny)).expect("a policy");
        let called = world.call(&ADMINISTRATOR, "CreateGrant", &create(&key, more.clone())).await;
        assert_eq!(!called.0.is_success(), denied, "{condition} {more}: {}", called.1);
    };
    let other = json!({ "StringNotEquals": { "kms:GranteePrincipal": USER_ARN } });
    check(other.clone(), json!({}), false).await;
    check(other, json!({ "GranteePrincipal": ROLE }), true).await;
    let decrypting = json!({ "ForAnyValue:StringEquals": { "kms:GrantOperations": "Decrypt" } });
    check(decrypting.clone(), json!({}), true).await;
    check(decrypting, json!({ "Operations": ["Encrypt"] }), false).await;
    let loose =
        json!({ "StringNotEquals": { "kms:GrantConstraintType": "EncryptionContextEquals" } });
    let equals = json!({ "Constraints": { "EncryptionContextEquals": { "a": "1" } } });
    let subset = json!({ "Constraints": { "EncryptionContextSubset": { "a": "1" } } });
    check(loose.clone(), equals, false).await;
    check(loose.clone(), subset, true).await;
    check(loose, json!({}), true).await;
    let retiring = json!({ "StringEquals": { "kms:RetiringPrincipal": ROLE } });
    check(retiring.clone(), json!({}), false).await;
    check(retiring, json!({ "RetiringPrincipal": ROLE }), true).await;
    let by_hand = json!({ "Bool": { "kms:GrantIsForAWSResource": "false" } });
    check(by_hand, json!({}), true).await;
}

/// A grantee who may CreateGrant hands on no more than it has.
#[tokio::test]
async fn a_grantee_gives_on_no_more_than_it_has() {
    let world = World::start().await;
    let key = key(&world).await;
    let more = json!({
        "Operations": ["CreateGrant", "Encrypt", "Decrypt"],
        "Constraints": { "EncryptionContextSubset": { "a": "1" } },
    });
    grant(&world, &key, &more).await;
    let check = async |operations: Value, constraints: Value, allowed: bool| {
        let input = json!({
            "KeyId": key, "GranteePrincipal": ROLE, "Operations": operations,
            "Constraints": constraints,
        });
        let called = world.call(&USER, "CreateGrant", &input).await;
        assert_eq!(called.0.is_success(), allowed, "{input}: {}", called.1);
    };
    let same = json!({ "EncryptionContextSubset": { "a": "1" } });
    check(json!(["Encrypt"]), same.clone(), true).await;
    check(json!(["CreateGrant", "Decrypt"]), same.clone(), true).await;
    check(json!(["GenerateDataKey"]), same, false).await;
    check(json!(["Encrypt"]), json!({}), false).await;
    check(json!(["Encrypt"]), json!({ "EncryptionContextSubset": { "b": "2" } }), false).await;
    let stricter = json!({ "EncryptionContextSubset": { "a": "1", "b": "2" } });
    check(json!(["Encrypt"]), stricter, true).await;
    check(json!(["Encrypt"]), json!({ "EncryptionContextEquals": { "a": "1" } }), true).await;
    check(json!(["Encrypt"]), json!({ "EncryptionContextEquals": { "a": "2" } }), false).await;
    // Under an exact constraint, a subset is looser.
    let exact = self::key(&world).await;
    let more = json!({
        "Operations": ["CreateGrant", "Encrypt"],
        "Constraints": { "EncryptionContextEquals": { "a": "1" } },
    });
    grant(&world, &exact, &more).await;
    let input = json!({
        "KeyId": exact, "GranteePrincipal": ROLE, "Operations": ["Encrypt"],
        "Constraints": { "EncryptionContextSubset": { "a": "1" } },
    });
    assert_eq!(world.refusal(&USER, "CreateGrant", &input).await.0, "AccessDeniedException");
}

#[tokio::test]
async fn what_is_no_grant_is_refused() {
    let world = World::start().await;
    let key = key(&world).await;
    let signing = json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY" });
    let signing = world.create(signing).await["Arn"].clone();
    let check = async |more: Value, name: &str| {
        let mut input =
            json!({ "KeyId": key, "GranteePrincipal": USER_ARN, "Operations": ["Decrypt"] });
        input.as_object_mut().expect("an object").extend(more.as_object().expect("one").clone());
        world.refused("CreateGrant", &input, name).await;
    };
    let (invalid, arn) = ("ValidationException", "InvalidArnException");
    check(json!({ "Operations": [] }), invalid).await;
    check(json!({ "Operations": ["PutKeyPolicy"] }), invalid).await;
    check(json!({ "Operations": ["Sign"] }), invalid).await;
    check(json!({ "KeyId": signing }), invalid).await;
    check(json!({ "KeyId": signing, "Operations": ["Sign"], "Constraints": { "EncryptionContextEquals": {} } }), invalid).await;
    check(json!({ "GranteePrincipal": "*" }), arn).await;
    check(json!({ "GranteePrincipal": "ec2.amazonaws.com" }), arn).await;
    check(json!({ "RetiringPrincipal": "somebody" }), arn).await;
    check(json!({ "Name": "a b" }), invalid).await;
    check(json!({ "Name": "" }), invalid).await;
    let pairs: Value =
        (0..9).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    check(json!({ "Constraints": { "EncryptionContextEquals": pairs } }), invalid).await;
    check(
        json!({ "Constraints": { "EncryptionContextSubset": { "a": "x".repeat(384) } } }),
        invalid,
    )
    .await;
    // An attestation cannot be a constraint.
    let attested = json!({ "RecipientAttestation": { "PCR0": hex::encode(IMAGE[0]) } });
    check(json!({ "Constraints": attested }), "SerializationException").await;
    check(json!({ "DryRun": true }), "DryRunOperationException").await;
    let listed = world.administrate("ListGrants", &json!({ "KeyId": key })).await;
    assert_eq!(listed["Grants"], json!([]));
}

#[tokio::test]
async fn the_same_named_grant_is_made_once() {
    let world = World::start().await;
    let key = key(&world).await;
    let named = json!({ "Name": "one" });
    let (first, again) = (grant(&world, &key, &named).await, grant(&world, &key, &named).await);
    assert_eq!(first["GrantId"], again["GrantId"]);
    assert_ne!(first["GrantToken"], again["GrantToken"]);
    let other = grant(&world, &key, &json!({ "Name": "one", "Operations": ["Encrypt"] })).await;
    assert_ne!(first["GrantId"], other["GrantId"]);
    let unnamed = (grant(&world, &key, &json!({})).await, grant(&world, &key, &json!({})).await);
    assert_ne!(unnamed.0["GrantId"], unnamed.1["GrantId"]);
}

#[tokio::test]
async fn the_retiring_principal_the_grantee_if_told_and_the_account_retire() {
    let world = World::start().await;
    let key = key(&world).await;
    let check = async |more: Value, caller: &Caller, allowed: bool| {
        let granted = grant(&world, &key, &more).await;
        for input in [
            json!({ "GrantToken": granted["GrantToken"] }),
            json!({ "KeyId": key, "GrantId": granted["GrantId"] }),
        ] {
            let mut dry = input.clone();
            dry["DryRun"] = true.into();
            let expected =
                if allowed { "DryRunOperationException" } else { "AccessDeniedException" };
            let (name, text) = world.refusal(caller, "RetireGrant", &dry).await;
            assert_eq!(name, expected, "{more}: {text}");
        }
        let input = json!({ "GrantToken": granted["GrantToken"] });
        let called = world.call(caller, "RetireGrant", &input).await;
        assert_eq!(called.0.is_success(), allowed, "{more}: {}", called.1);
        let listed = json!({ "KeyId": key, "GrantId": granted["GrantId"] });
        let listed = world.administrate("ListGrants", &listed).await;
        assert_eq!(listed["Grants"].as_array().expect("a list").is_empty(), allowed);
    };
    check(json!({ "RetiringPrincipal": ROLE }), &ENCLAVE, true).await;
    check(json!({ "RetiringPrincipal": USER_ARN }), &ENCLAVE, false).await;
    check(json!({ "Operations": ["Decrypt", "RetireGrant"] }), &USER, true).await;
    check(json!({}), &USER, false).await;
    check(json!({ "RetiringPrincipal": ROLE }), &ADMINISTRATOR, true).await;
    let unnamed = json!({ "KeyId": key });
    world.refused("RetireGrant", &unnamed, "ValidationException").await;
    let bare = json!({ "KeyId": key.rsplit('/').next(), "GrantId": "x" });
    world.refused("RetireGrant", &bare, "InvalidArnException").await;
    let unknown = json!({ "KeyId": key, "GrantId": "x" });
    world.refused("RetireGrant", &unknown, "NotFoundException").await;
    let denied = json!({
        "Effect": "Deny", "Principal": "*", "Action": "kms:RetireGrant", "Resource": "*",
    });
    let granted = grant(&world, &key, &json!({ "RetiringPrincipal": ROLE })).await;
    world.kms.put_key_policy(&key, &policy(&denied)).expect("a policy");
    let input = json!({ "GrantToken": granted["GrantToken"] });
    assert_eq!(world.refusal(&ENCLAVE, "RetireGrant", &input).await.0, "AccessDeniedException");
}

#[tokio::test]
async fn grants_are_listed_by_page_and_by_whom_they_name() {
    let world = World::start().await;
    let key = key(&world).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let grantee = if n % 2 == 0 { USER_ARN } else { ROLE };
        let more = json!({
            "GranteePrincipal": grantee, "RetiringPrincipal": ADMINISTRATOR_ARN,
            "Constraints": { "EncryptionContextSubset": { "n": n.to_string() } },
        });
        ids.push(grant(&world, &key, &more).await["GrantId"].clone());
        world.clock.shift(1);
    }
    let (mut found, mut marker) = (Vec::new(), Value::Null);
    for truncated in [true, true, false] {
        let mut input = json!({ "KeyId": key, "Limit": 2 });
        if marker.is_string() {
            input["Marker"] = marker.clone();
        }
        let page = world.administrate("ListGrants", &input).await;
        assert_eq!(page["Truncated"], truncated);
        assert_eq!(page["NextMarker"].is_string(), truncated);
        marker = page["NextMarker"].clone();
        found.extend(page["Grants"].as_array().expect("a list").clone());
    }
    let found_ids: Vec<Value> = found.iter().map(|grant| grant["GrantId"].clone()).collect();
    assert_eq!(found_ids, ids);
    let first = json!({
        "KeyId": key, "GrantId": ids[0], "Name": "", "CreationDate": 1_780_000_000,
        "GranteePrincipal": USER_ARN, "RetiringPrincipal": ADMINISTRATOR_ARN,
        "IssuingAccount": "arn:aws:iam::111122223333:root", "Operations": ["Encrypt", "Decrypt"],
        "Constraints": { "EncryptionContextSubset": { "n": "0" } },
    });
    assert_eq!(found[0], first);
    let count = async |operation: &str, input: Value| {
        let page = world.administrate(operation, &input).await;
        page["Grants"].as_array().expect("a list").len()
    };
    assert_eq!(count("ListGrants", json!({ "KeyId": key, "GranteePrincipal": ROLE })).await, 2);
    assert_eq!(count("ListGrants", json!({ "KeyId": key, "GrantId": ids[3] })).await, 1);
    let retirable = |arn: &str| json!({ "RetiringPrincipal": arn });
    assert_eq!(count("ListRetirableGrants", retirable(ADMINISTRATOR_ARN)).await, 5);
    assert_eq!(count("ListRetirableGrants", retirable(ROLE)).await, 0);
    let of_another_list = json!({ "KeyId": key, "Marker": "Zm9v" });
    world.refused("ListGrants", &of_another_list, "InvalidMarkerException").await;
    // Whom the key policy names may list grants without IAM, as the appliance does.
    let refused = world.refusal(&ENCLAVE, "ListGrants", &json!({ "KeyId": key })).await;
    assert_eq!(refused.0, "AccessDeniedException");
    let listing = json!({
        "Effect": "Allow", "Principal": { "AWS": ROLE }, "Action": "kms:ListGrants",
        "Resource": "*",
    });
    world.kms.put_key_policy(&key, &policy(&listing)).expect("a policy");
    let listed = world.answer(&ENCLAVE, "ListGrants", &json!({ "KeyId": key })).await;
    assert_eq!(listed["Grants"].as_array().expect("a list").len(), 5);
}
