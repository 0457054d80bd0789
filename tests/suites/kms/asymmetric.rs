//! Keys that sign: over a message or its digest, judged by k256 as well.

use super::world::{USER, World, bytes};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k256::ecdsa::signature::hazmat::PrehashVerifier;
use serde_json::{Value, json};

const ALGORITHM: &str = "ECDSA_SHA_256";

async fn key(world: &World, spec: &str) -> Value {
    world.create(json!({ "KeySpec": spec, "KeyUsage": "SIGN_VERIFY" })).await
}

fn request(key: &Value, message: &[u8], kind: &str) -> Value {
    json!({
        "KeyId": key["Arn"], "Message": STANDARD.encode(message), "MessageType": kind,
        "SigningAlgorithm": ALGORITHM,
    })
}

#[tokio::test]
async fn a_message_and_its_digest_are_signed_alike() {
    let world = World::start().await;
    let message = b"what is signed";
    let hash = digest(&SHA256, message);
    for spec in ["ECC_SECG_P256K1", "ECC_NIST_P256"] {
        let key = key(&world, spec).await;
        assert_eq!(key["SigningAlgorithms"], json!([ALGORITHM]));
        assert_eq!(key.get("EncryptionAlgorithms"), None);
        assert_eq!((&key["KeySpec"], &key["KeyUsage"]), (&json!(spec), &json!("SIGN_VERIFY")));
        for (kind, signed) in [("RAW", &message[..]), ("DIGEST", hash.as_ref())] {
            let answer = world.administrate("Sign", &request(&key, signed, kind)).await;
            assert_eq!(answer["SigningAlgorithm"], ALGORITHM);
            // Whichever way it was signed, the other way of naming the message verifies it.
            for (kind, signed) in [("RAW", &message[..]), ("DIGEST", hash.as_ref())] {
                let mut verify = request(&key, signed, kind);
                verify["Signature"] = answer["Signature"].clone();
                let verified = world.administrate("Verify", &verify).await;
                let expected = json!({
                    "KeyId": key["Arn"], "SignatureValid": true, "SigningAlgorithm": ALGORITHM,
                });
                assert_eq!(verified, expected);
            }
            let mut wrong = request(&key, b"something else", "RAW");
            wrong["Signature"] = answer["Signature"].clone();
            let text = world.refused("Verify", &wrong, "KMSInvalidSignatureException").await;
            assert_eq!(text, "");
            // The digest itself, hashed again, is another message.
            let mut again = request(&key, hash.as_ref(), "RAW");
            again["Signature"] = answer["Signature"].clone();
            world.refused("Verify", &again, "KMSInvalidSignatureException").await;
        }
    }
}

/// secp256k1 by another implementation, which reads the public key as well.
#[tokio::test]
async fn k256_verifies_what_was_signed() {
    let world = World::start().await;
    let key = key(&world, "ECC_SECG_P256K1").await;
    let public = world.administrate("GetPublicKey", &json!({ "KeyId": key["Arn"] })).await;
    let spki = bytes(&public, "PublicKey");
    let expected = json!({
        "KeyId": key["Arn"], "PublicKey": public["PublicKey"], "KeySpec": "ECC_SECG_P256K1",
        "CustomerMasterKeySpec": "ECC_SECG_P256K1", "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": [ALGORITHM],
    });
    assert_eq!(public, expected);
    // The last 65 octets of the SubjectPublicKeyInfo are the point; before them stand the OIDs.
    assert_eq!(spki.len(), 88);
    let point = &spki[23..];
    let verifier = k256::ecdsa::VerifyingKey::from_sec1_bytes(point).expect("a point");
    let hash = digest(&SHA256, b"message");
    let answer = world.administrate("Sign", &request(&key, hash.as_ref(), "DIGEST")).await;
    let signature = k256::ecdsa::Signature::from_der(&bytes(&answer, "Signature")).expect("DER");
    // KMS does not promise a low S; k256 takes no other.
    let signature = signature.normalize_s();
    verifier.verify_prehash(hash.as_ref(), &signature).expect("verifies");
    assert!(verifier.verify_prehash(&[7; 32], &signature).is_err());
}

#[tokio::test]
async fn what_a_key_cannot_sign_is_refused() {
    let world = World::start().await;
    let key = key(&world, "ECC_NIST_P256").await;
    let symmetric = world.create(json!({})).await;
    let check = async |change: &dyn Fn(&mut Value), name: &str, text: &str| {
        let mut input = request(&key, b"message", "RAW");
        change(&mut input);
        let found = world.refused("Sign", &input, name).await;
        assert!(found.contains(text), "{found}");
    };
    let (invalid, usage) = ("ValidationException", "InvalidKeyUsageException");
    check(&|input| input["MessageType"] = "DIGEST".into(), invalid, "Digest is invalid length")
        .await;
    check(&|input| input["MessageType"] = "EXTERNAL".into(), invalid, "messageType").await;
    check(&|input| input["SigningAlgorithm"] = "ECDSA_SHA_384".into(), usage, "incompatible").await;
    check(&|input| input["SigningAlgorithm"] = "MD5".into(), invalid, "signingAlgorithm").await;
    check(&|input| input["Message"] = "".into(), invalid, "message").await;
    let long = STANDARD.encode([0; 4_097]);
    check(&|input| input["Message"] = long.as_str().into(), invalid, "message").await;
    check(&|input| input["KeyId"] = symmetric["Arn"].clone(), usage, "ENCRYPT_DECRYPT").await;
    check(&|input| input["DryRun"] = true.into(), "DryRunOperationException", "DryRun").await;
    let public = json!({ "KeyId": symmetric["Arn"] });
    world.refused("GetPublicKey", &public, "UnsupportedOperationException").await;
    let encrypt = json!({ "KeyId": key["Arn"], "Plaintext": "eA==" });
    world.refused("Encrypt", &encrypt, usage).await;
    let (name, _) = world.refusal(&USER, "Sign", &request(&key, b"m", "RAW")).await;
    assert_eq!(name, "AccessDeniedException");
    world.administrate("DisableKey", &json!({ "KeyId": key["Arn"] })).await;
    world.refused("Sign", &request(&key, b"m", "RAW"), "DisabledException").await;
    for input in [
        json!({ "KeySpec": "ECC_NIST_P256" }),
        json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "ENCRYPT_DECRYPT" }),
        json!({ "KeyUsage": "SIGN_VERIFY" }),
    ] {
        world.refused("CreateKey", &input, invalid).await;
    }
}
