//! The example deployments: each decides as its table says.

use super::super::*;
use std::collections::BTreeSet;

/// Judges the example of this name.
fn check(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests").join(name);
    let table = folder.join("table.toml");
    let report = Test { table, manifest: None }.run().expect("can be judged");
    let exit = report.exit_code();
    let (text, json) = report.into_parts();
    assert_eq!(exit, 0, "{name}:\n{text}");
    let cases = json["cases"].as_array().expect("is a list");
    assert!(cases.len() >= 12, "{name} has {} cases", cases.len());
    let allowed = cases.iter().filter(|case| case["decision"] == "allow").count();
    assert!((3..=cases.len() - 3).contains(&allowed), "{name} allows {allowed}");
    // A rule that no case shows at work could be wrong unseen.
    let shown: BTreeSet<_> = ["permitting", "forbidding", "failing"]
        .iter()
        .flat_map(|how| cases.iter().filter_map(|case| case[*how].as_array()))
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let manifest = Loaded::open(&folder).expect("loads").manifest;
    for rule in Rules::rule_texts(&manifest).expect("is Cedar") {
        assert!(shown.contains(rule.name.as_str()), "{name}: no case shows {}", rule.name);
    }
}

#[test]
fn the_hot_wallet_decides_as_its_table_says() {
    check("hot-wallet");
}

#[test]
fn the_rollup_batcher_decides_as_its_table_says() {
    check("rollup-batcher");
}

#[test]
fn the_treasury_decides_as_its_table_says() {
    check("treasury");
}

#[test]
fn the_dex_trader_decides_as_its_table_says() {
    check("dex-trader");
}
