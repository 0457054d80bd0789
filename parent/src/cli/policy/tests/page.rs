//! The page for policy writers, `enclave/POLICY.md`, says what is true.

use super::super::*;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../../../enclave/POLICY.md");

/// The code blocks of this language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    let block = |part: &'static str| part.split_once("```").map(|(block, _)| block);
    PAGE.split(&opening).skip(1).filter_map(block).collect()
}

/// Loads rules under the page's own manifest.
fn load(rules: &str) -> Result<Rules, String> {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text);
    std::fs::create_dir(dir.path().join("abis")).expect("makes");
    write("manifest.toml", blocks("toml")[0]).expect("writes");
    write("abis/shop.json", blocks("json")[0]).expect("writes");
    write("policy.cedar", rules).expect("writes");
    Loaded::open(dir.path()).map(|loaded| loaded.policy).map_err(|e| e.to_string())
}

fn about_transactions(condition: &str) -> Result<Rules, String> {
    load(&format!(
        "permit(principal, action == Action::\"SignTransaction\", resource) when {{ {condition} }};"
    ))
}

#[test]
fn every_rule_of_the_page_loads() {
    let rules = blocks("cedar");
    assert!(rules.len() >= 10, "{}", rules.len());
    for rule in &rules {
        if let Err(error) = load(rule) {
            unreachable!("{error}\n{rule}");
        }
    }
    assert!(load(&rules.concat()).is_ok(), "two rules have one @id");
}

#[test]
fn what_the_page_says_does_not_load_does_not_and_its_advice_does() {
    let (_, section) = PAGE.split_once("| does not load |").expect("has the table");
    let (table, _) = section.split_once("\n\n").expect("ends");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 15, "{}", rows.len());
    for row in rows {
        let [wrong, _, right] = row[..] else { unreachable!("{row:?}") };
        let code = |cell: &'static str| cell.strip_prefix('`')?.strip_suffix('`');
        let wrong = code(wrong).expect("is code");
        assert!(about_transactions(wrong).is_err(), "loads: {wrong}");
        if let Some(Err(error)) = code(right).map(about_transactions) {
            unreachable!("{right}: {error}");
        }
    }
}

#[test]
fn the_pages_table_holds_for_its_first_rule() {
    let policy = load(blocks("cedar")[0]).expect("loads");
    let table = Table::parse(blocks("toml")[1], 0).expect("is good");
    let judged = judge(&policy, &table);
    assert_eq!(judged.len(), 2);
    for case in judged {
        assert!(case.passes(), "{}", case.text());
    }
}

#[test]
fn every_name_of_the_schema_stands_on_the_page() {
    let words: BTreeSet<&str> =
        PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let schema = load("").expect("loads").schema_text();
    let mut names = BTreeSet::new();
    for line in schema.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
        let declared = ["action ", "entity ", "type "].iter().find_map(|w| line.strip_prefix(w));
        let attribute = line.split_once(": ").map(|(name, _)| name.trim_end_matches('?'));
        let name = declared.and_then(|rest| rest.split([' ', ';', '{']).next()).or(attribute);
        names.extend(name);
    }
    assert!(names.contains("max_fee_per_blob_gas") && names.contains("SignMessage32"));
    for frame in ["principal", "resource", "context"] {
        assert!(names.contains(frame), "{frame}");
    }
    let missing: Vec<_> = names.into_iter().filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
}

#[test]
fn every_call_and_permit_that_needs_no_file_stands_on_the_page() {
    let standards = blocks("toml")[0].replace(
        "abi = \"shop\"",
        "abi = \"erc721\"\n[[addresses]]\naddress = \"0x3333333333333333333333333333333333333333\"\n\
         name = \"cards\"\nabi = \"erc1155\"",
    );
    let dir = crate::cli::manifest::tests::folder(&standards, "");
    let Loaded { policy, .. } = Loaded::open(dir.path()).expect("loads");
    let words: BTreeSet<&str> =
        PAGE.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    for (path, _) in policy.decoded_paths() {
        let missing: Vec<_> = path.split('.').filter(|name| !words.contains(name)).collect();
        assert!(missing.is_empty(), "{path}: {missing:?} are not on the page");
    }
}
