//! Rules, typed data and key policies.

use crate::Seeds;
use nitro_signer_shared::manifest::ManifestHash;
use nitro_signer_tests::deployment::{self, ClientKey};
use serde_json::{Value, json};
use std::io;

pub(crate) fn write(seeds: &Seeds) -> io::Result<()> {
    for (place, rules) in RULES.iter().enumerate() {
        seeds.add("policy", &format!("rules-{place}"), rules)?;
    }
    seeds.add("policy", "all", RULES.join("\n"))?;
    for (place, typed_data) in typed_data().iter().enumerate() {
        seeds.add("typed_data", &format!("typed-data-{place}"), typed_data.to_string())?;
    }
    for (place, policy) in key_policies()?.iter().enumerate() {
        seeds.add("key_policy", &format!("policy-{place}"), policy)?;
    }
    Ok(())
}

/// Over the names of the target's manifest (`targets/policy/deployment.rs`).
const RULES: &[&str] = &[
    r#"@id("all") permit (principal, action, resource);"#,
    r#"permit (principal == Client::"operator", action == Action::"CreateVault", resource);"#,
    r#"permit (principal in ClientGroup::"people",
        action in [Action::"SignTransaction", Action::"DeployContract"], resource)
    when { [1, 10].contains(context.chain_id) && context.value.ether <= 2 };"#,
    r#"@id("pays") permit (principal == AssertedClient::"app", action == Action::"SignTransaction",
        resource == Key::"0x1111111111111111111111111111111111111111")
    when { context.to in AddressGroup::"payees" && context.data_size == 0 };"#,
    r#"permit (principal, action == Action::"SignTransaction", resource)
    when { context.to == Address::"0x3333333333333333333333333333333333333333" &&
        context has call.erc20.transfer && context.call.erc20.transfer.amount.whole <= 5 };"#,
    r#"forbid (principal, action == Action::"SignTransaction", resource)
    when { context has call.venue.pay } unless { principal is Client };"#,
    r#"permit (principal, action == Action::"SignTypedData", resource)
    when { context has message.order && context.message.order.amount.long <= 9 };"#,
    r#"permit (principal in AssertedGroup::"programs", action == Action::"SignMessage", resource in
        Vault::"main") when { resource.labels.contains(Label::"team=treasury") };"#,
    r#"forbid (principal, action, resource == Key::"0x1111111111111111111111111111111111111111")
    when { principal is AssertedClient }; // programs"#,
    r#"permit (principal, action == Action::"SignTransaction", resource)
    when { context.value.hex == "0000000000000000000000000000000000000000000000000de0b6b3a7640000" };"#,
];

fn typed_data() -> Vec<Value> {
    let address = "0x2222222222222222222222222222222222222222";
    let word = format!("0x{}", "07".repeat(32));
    let member = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let person = json!([member("name", "string"), member("wallet", "address")]);
    vec![
        json!({
            "types": {
                "EIP712Domain": [
                    member("name", "string"), member("version", "string"),
                    member("chainId", "uint256"), member("verifyingContract", "address"),
                ],
                "Person": person,
                "Mail": [member("from", "Person"), member("to", "Person[]"), member("text", "string")],
            },
            "primaryType": "Mail",
            "domain": { "name": "Mail", "version": "1", "chainId": 1, "verifyingContract": address },
            "message": {
                "from": { "name": "A", "wallet": address },
                "to": [{ "name": "B", "wallet": address }, { "name": "", "wallet": address }],
                "text": "Hello\u{2764}",
            },
        }),
        json!({
            "types": { "All": [
                member("a", "uint8"), member("b", "int256"), member("c", "bytes32"), member("d", "bool"),
                member("e", "bytes"), member("f", "uint256[2]"), member("g", "bytes1[][3]"),
                member("h", "int8[]"),
            ] },
            "primaryType": "All",
            "domain": { "salt": word, "chainId": "0x1" },
            "message": {
                "a": 255, "b": "-1", "c": word, "d": true, "e": "0x0102",
                "f": ["115792089237316195423570985008687907853269984665640564039457584007913129639935", 0],
                "g": [["0x01"], [], ["0x02", "0x03"]], "h": [-128, 127],
            },
        }),
        json!({
            "types": { "Permit": [
                member("owner", "address"), member("spender", "address"), member("value", "uint256"),
                member("nonce", "uint256"), member("deadline", "uint256"),
            ] },
            "primaryType": "Permit",
            "domain": { "name": "USD Coin", "version": "2", "chainId": 1, "verifyingContract": address },
            "message": {
                "owner": address, "spender": address, "value": "0xff", "nonce": 0,
                "deadline": 9_007_199_254_740_991_u64,
            },
        }),
        json!({ "types": { "Empty": [] }, "primaryType": "Empty", "domain": { "version": "" },
            "message": {} }),
    ]
}

fn key_policies() -> io::Result<Vec<String>> {
    let key = "arn:aws:kms:us-east-1:000000000000:key/0a1b2c3d-0000-4000-8000-000000000001";
    let key = key.parse().map_err(io::Error::other)?;
    let manifest = deployment::manifest(&key, &ClientKey::generate());
    let measured = deployment::key_policy(&[0xab; 48], &manifest, &ManifestHash::of(b""));
    let statement = |condition: Value| {
        json!({ "Version": "2012-10-17", "Id": "one", "Statement": {
            "Sid": "S", "Effect": "Allow", "Condition": condition,
            "Principal": { "AWS": ["111122223333", "arn:aws:iam::111122223333:role/appliance"],
                "Service": "ec2.amazonaws.com" },
            "Action": ["kms:Decrypt", "KMS:Generate*"],
            "Resource": "arn:aws:kms:*:111122223333:key/*",
        } })
    };
    let conditions = [
        json!({ "Null": { "kms:RecipientAttestation:PCR0": "false" } }),
        json!({ "StringNotEqualsIfExists": { "kms:EncryptionContext:app": ["a", "nitro-signer"] } }),
        json!({ "ForAnyValue:StringLike": { "kms:EncryptionContextKeys": "v?ul*" } }),
        json!({ "ForAllValues:StringNotEqualsIgnoreCase": { "kms:EncryptionContextKeys": "App" } }),
        json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/app*" }, "Bool": {
            "aws:SecureTransport": true } }),
    ];
    let others = json!({ "Statement": [{
        "Effect": "Deny", "NotPrincipal": { "AWS": "arn:aws:iam::111122223333:root" },
        "NotAction": "kms:Describe*", "NotResource": "*",
    }] });
    let mut all = vec![measured, deployment::closed_key_policy(), others.to_string()];
    all.extend(conditions.map(|condition| statement(condition).to_string()));
    Ok(all)
}
