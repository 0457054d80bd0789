//! Names, tags and lists: what is where, a page at a time.

use super::world::{USER, World};
use serde_json::{Value, json};

/// All pages of a list, of two items each but the last.
async fn pages(world: &World, operation: &str, list: &str, input: &Value) -> Vec<Value> {
    let (mut all, mut input) = (Vec::new(), input.clone());
    input["Limit"] = 2.into();
    loop {
        let page = world.administrate(operation, &input).await;
        let items = page[list].as_array().expect("a list");
        all.extend(items.clone());
        if page["Truncated"] == false {
            assert_eq!(page.get("NextMarker"), None);
            return all;
        }
        assert_eq!(items.len(), 2);
        input["Marker"] = page["NextMarker"].clone();
    }
}

#[tokio::test]
async fn keys_and_aliases_are_listed_whole() {
    let world = World::start().await;
    let mut keys = Vec::new();
    for n in 0..5 {
        let metadata = world.create(json!({})).await;
        let alias = json!({ "AliasName": format!("alias/a{n}"), "TargetKeyId": metadata["KeyId"] });
        world.administrate("CreateAlias", &alias).await;
        keys.push(json!({ "KeyId": metadata["KeyId"], "KeyArn": metadata["Arn"] }));
    }
    keys.sort_by_key(|entry| entry["KeyId"].to_string());
    assert_eq!(pages(&world, "ListKeys", "Keys", &json!({})).await, keys);
    let aliases = pages(&world, "ListAliases", "Aliases", &json!({})).await;
    assert_eq!(aliases.len(), 5);
    let name = "arn:aws:kms:eu-central-1:111122223333:alias/a0";
    let target = aliases[0]["TargetKeyId"].clone();
    assert_eq!(
        aliases[0],
        json!({
            "AliasName": "alias/a0", "AliasArn": name, "TargetKeyId": target,
            "CreationDate": 1_780_000_000, "LastUpdatedDate": 1_780_000_000,
        })
    );
    let of = pages(&world, "ListAliases", "Aliases", &json!({ "KeyId": target })).await;
    assert_eq!(of, aliases[..1]);
    for (operation, limit) in [("ListKeys", 0), ("ListKeys", 1_001), ("ListAliases", 101)] {
        let text =
            world.refused(operation, &json!({ "Limit": limit }), "ValidationException").await;
        assert!(text.contains("'limit'"), "{text}");
    }
    let first = world.administrate("ListKeys", &json!({ "Limit": 1 })).await;
    // A marker is of its own list.
    let marker = json!({ "Marker": first["NextMarker"] });
    world.refused("ListAliases", &marker, "InvalidMarkerException").await;
    for operation in ["ListKeys", "ListAliases"] {
        let refused = world.refusal(&USER, operation, &json!({})).await;
        assert_eq!(refused.0, "AccessDeniedException");
    }
    let policies = json!({ "KeyId": target });
    let policies = world.administrate("ListKeyPolicies", &policies).await;
    assert_eq!(policies, json!({ "PolicyNames": ["default"], "Truncated": false }));
}

#[tokio::test]
async fn an_alias_can_be_pointed_elsewhere_and_deleted() {
    let world = World::start().await;
    let (one, two) = (world.create(json!({})).await, world.create(json!({})).await);
    let signing =
        world.create(json!({ "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY" })).await;
    let alias = |key: &Value| json!({ "AliasName": "alias/a", "TargetKeyId": key["KeyId"] });
    world.administrate("CreateAlias", &alias(&one)).await;
    let names = async || {
        let described = world.administrate("DescribeKey", &json!({ "KeyId": "alias/a" })).await;
        described["KeyMetadata"]["KeyId"].clone()
    };
    assert_eq!(names().await, one["KeyId"]);
    world.administrate("UpdateAlias", &alias(&two)).await;
    assert_eq!(names().await, two["KeyId"]);
    world.refused("UpdateAlias", &alias(&signing), "ValidationException").await;
    let refused = world.refusal(&USER, "UpdateAlias", &alias(&one)).await;
    assert_eq!(refused.0, "AccessDeniedException");
    let name = json!({ "AliasName": "alias/a" });
    assert_eq!(world.refusal(&USER, "DeleteAlias", &name).await.0, "AccessDeniedException");
    world.administrate("DeleteAlias", &name).await;
    world.refused("DeleteAlias", &name, "NotFoundException").await;
    world.refused("UpdateAlias", &alias(&one), "NotFoundException").await;
    for name in ["a", "alias/", "alias/a b"] {
        let input = json!({ "AliasName": name, "TargetKeyId": one["KeyId"] });
        world.refused("CreateAlias", &input, "ValidationException").await;
    }
}

#[tokio::test]
async fn tags_are_put_listed_and_taken_away() {
    let world = World::start().await;
    let key = world.create(json!({})).await["Arn"].clone();
    let tag = |name: &str, value: &str| json!({ "TagKey": name, "TagValue": value });
    let put = |tags: Value| json!({ "KeyId": key, "Tags": tags });
    let tags = json!([tag("a", "1"), tag("b", "2"), tag("c", ""), tag("d", "4"), tag("e", "5")]);
    world.administrate("TagResource", &put(tags.clone())).await;
    let list = json!({ "KeyId": key });
    assert_eq!(json!(pages(&world, "ListResourceTags", "Tags", &list).await), tags);
    world.administrate("TagResource", &put(json!([tag("a", "9")]))).await;
    let untag = json!({ "KeyId": key, "TagKeys": ["b", "c", "d", "none"] });
    world.administrate("UntagResource", &untag).await;
    let left = pages(&world, "ListResourceTags", "Tags", &list).await;
    assert_eq!(left, [tag("a", "9"), tag("e", "5")]);
    let check = async |tags: Value, name: &str| {
        world.refused("TagResource", &put(tags), name).await;
    };
    check(json!([tag("aws:x", "1")]), "TagException").await;
    check(json!([tag("", "1")]), "TagException").await;
    check(json!([tag("x", "1"), tag("x", "2")]), "TagException").await;
    check(json!([tag(&"x".repeat(129), "1")]), "TagException").await;
    check(json!([tag("x", &"1".repeat(257))]), "TagException").await;
    let many: Vec<Value> = (0..49).map(|n| tag(&n.to_string(), "")).collect();
    check(json!(many), "LimitExceededException").await;
    assert_eq!(pages(&world, "ListResourceTags", "Tags", &list).await.len(), 2);
}

/// A policy may speak of the key's tags.
#[tokio::test]
async fn a_policy_reads_the_tags() {
    let world = World::start().await;
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Principal": { "AWS": "111122223333" }, "Action": "kms:*",
          "Resource": "*" },
        { "Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*",
          "Condition": { "StringEquals": { "aws:ResourceTag/use": "none" } } },
    ]});
    let key = world.kms.create_key(&policy.to_string()).expect("a policy");
    let encrypt = json!({ "KeyId": key, "Plaintext": "eA==" });
    world.administrate("Encrypt", &encrypt).await;
    let tags = json!([{ "TagKey": "use", "TagValue": "none" }]);
    world.administrate("TagResource", &json!({ "KeyId": key, "Tags": tags })).await;
    world.refused("Encrypt", &encrypt, "AccessDeniedException").await;
}
