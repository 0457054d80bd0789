//! Building a manifest from a folder, and saying where a folder is wrong.

use super::*;

pub(in crate::cli) const GOOD: &str = r#"
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
groups = ["tokens"]
abi = "erc20"
decimals = 6
[switches]
delegation = true
"#;

/// A folder without ABIs.
pub(in crate::cli) fn folder(toml: &str, policy: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("manifest.toml"), toml).expect("writes");
    std::fs::write(dir.path().join("policy.cedar"), policy).expect("writes");
    dir
}

fn check(text: &str) -> Result<Vec<u8>, Failure> {
    let dir = folder(text, "permit(principal, action, resource);");
    std::fs::create_dir(dir.path().join("abis")).expect("makes");
    std::fs::write(dir.path().join("abis/b.json"), "[1]").expect("writes");
    std::fs::write(dir.path().join("abis/a.json"), "[]").expect("writes");
    std::fs::write(dir.path().join("abis/notes.txt"), "x").expect("writes");
    Folder::pack(dir.path()).map(|folder| folder.bytes)
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

/// The folder does not load, and the message says where and what to write.
fn refuses(toml: &str, policy: &str, expected: &str) {
    let dir = folder(toml, policy);
    let place = |name: &str| dir.path().join(name).display().to_string();
    let expected = expected.replace("DIR", &place("")[..place("").len() - 1]);
    let failure = Loaded::open(dir.path()).err().expect("is refused").to_string();
    assert!(failure.starts_with(&expected), "{failure}");
    let build = Build { folder: dir.path().to_owned(), output: dir.path().join("out") };
    assert!(build.run().is_err());
    assert!(!dir.path().join("out").exists(), "a manifest was written that no enclave loads");
}

#[test]
fn what_does_not_load_is_named_with_its_file_and_line() {
    let good = "permit(principal, action, resource);";
    refuses(GOOD, "\n\nnonsense", "DIR/policy.cedar, line 3: ");
    let literal = "\npermit(principal == Client::\"nobody\", action, resource);";
    refuses(GOOD, literal, "DIR/policy.cedar, rule 1, line 2: Client::\"nobody\": nothing under");
    let no_decimals = GOOD.replace("decimals = 6", "");
    refuses(&no_decimals, good, "DIR/manifest.toml: line 14: addresses: usdc: an erc20 needs");
    let no_abi = GOOD.replace("erc20", "shop");
    refuses(&no_abi, good, "DIR/manifest.toml: line 14: addresses: usdc: there is no ABI shop");
    let wrong_type = format!("{GOOD}[typed_data]\nmail = \"Mail(uint to)\"\n");
    refuses(&wrong_type, good, "DIR/manifest.toml: line 21: typed_data: mail: ");
    let checksum = GOOD.replace("5aAeb6", "5aaeb6");
    refuses(&checksum, good, "DIR/manifest.toml: line 14: addresses: usdc: address must be");
    let off_curve = GOOD.replace("0279be", "0579be");
    refuses(&off_curve, good, "DIR/manifest.toml: line 7: clients: ops: write public_key");
}

#[test]
fn a_wrong_abi_is_named_by_its_file() {
    let dir = folder(GOOD, "permit(principal, action, resource);");
    std::fs::create_dir(dir.path().join("abis")).expect("makes");
    std::fs::write(dir.path().join("abis/shop.json"), "[]").expect("writes");
    let failure = Loaded::open(dir.path()).err().expect("is refused").to_string();
    assert!(failure.contains("/abis/shop.json: no function;"), "{failure}");
}

#[test]
fn what_is_built_is_what_is_checked() {
    let dir = folder(GOOD, "@id(\"all\") permit(principal, action, resource);");
    let file = dir.path().join("manifest.cbor");
    let build = Build { folder: dir.path().to_owned(), output: file.clone() };
    let (_, built) = build.run().expect("builds").into_parts();
    for path in [file, dir.path().to_owned()] {
        let (_, checked) = Check { path }.run().expect("loads").into_parts();
        assert_eq!(checked["pcr16"], built["pcr16"]);
        assert_eq!(checked["rules"], 1);
    }
}

#[test]
fn a_built_file_is_judged_as_the_enclave_does() {
    let dir = folder(GOOD, "");
    let file = dir.path().join("manifest.cbor");
    let mut manifest = Packed::parse(&check(GOOD).expect("is complete")).expect("parses");
    manifest.abis.clear();
    let opens = |manifest: &Packed| {
        std::fs::write(&file, manifest.to_bytes().expect("is of the form")).expect("writes");
        Loaded::open(&file).map(drop).map_err(|e| e.to_string())
    };
    assert_eq!(opens(&manifest), Ok(()));
    let no_point = alloy_primitives::FixedBytes([0xff; 33]);
    let mut wrong = manifest.clone();
    wrong.clients[0].public_key = no_point;
    assert!(opens(&wrong).expect_err("is refused").contains("clients: ops"));
    manifest.policy = "nonsense".to_owned();
    assert!(
        opens(&manifest).expect_err("is refused").contains("manifest.cbor: policy.cedar, line 1")
    );
}
