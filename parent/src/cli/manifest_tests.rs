//! Building a manifest from a folder.

use super::*;

const GOOD: &str = r#"
version = 3
deployment = "treasury"
vault = "main"
wrapping_keys = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
[[clients]]
name = "ops"
public_key = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
groups = ["operators"]
[[asserted]]
name = "bot.example"
[[addresses]]
address = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
name = "usdc"
decimals = 6
[switches]
delegation = true
"#;

fn check(text: &str) -> Result<Vec<u8>, Failure> {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("manifest.toml"), text).expect("writes");
    std::fs::write(dir.path().join("policy.cedar"), "permit(principal, action, resource);")
        .expect("writes");
    std::fs::create_dir(dir.path().join("abis")).expect("makes");
    std::fs::write(dir.path().join("abis/b.json"), "[1]").expect("writes");
    std::fs::write(dir.path().join("abis/a.json"), "[]").expect("writes");
    std::fs::write(dir.path().join("abis/notes.txt"), "x").expect("writes");
    pack(dir.path())
}

#[test]
fn a_folder_becomes_one_manifest_always_the_same() {
    let bytes = check(GOOD).expect("is complete");
    assert_eq!(check(GOOD).expect("is complete"), bytes);
    let manifest = Packed::parse(&bytes).expect("parses");
    assert_eq!(manifest.version, 3);
    let abis: Vec<_> = manifest.abis.iter().map(|a| (a.name.as_str(), a.json.as_str())).collect();
    assert_eq!(abis, [("a", "[]"), ("b", "[1]")]);
    assert!(manifest.switches.delegation && !manifest.switches.import);
    assert_eq!(manifest.addresses[0].decimals, Some(6));
    assert!(manifest.asserted[0].groups.is_empty());
}

#[test]
fn only_a_manifest_is_hashed() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("manifest.cbor");
    let hash = |bytes: &[u8]| {
        std::fs::write(&file, bytes).expect("writes");
        Hash { file: file.clone() }.run()
    };
    assert!(hash(&check(GOOD).expect("is complete")).is_ok());
    assert!(hash(b"version = 3").is_err());
    assert!(hash(b"").is_err());
}

#[test]
fn a_wrong_folder_is_refused() {
    for (find, put) in [
        ("version = 3", "version = 0"),
        ("version = 3", "version = 3\nextra = 1"),
        ("\"treasury\"", "\"Treasury\""),
        ("0279be", "0579be"),
        ("5aAeb6", "5aaeb6"),
        ("decimals = 6", "decimals = 37"),
        ("key/1234", "alias/1234"),
        ("delegation", "delegations"),
        ("[switches]", "[[asserted]]\nname = \"bot.example\"\n[switches]"),
    ] {
        assert!(check(&GOOD.replacen(find, put, 1)).is_err(), "{find} -> {put}");
    }
}
