//! `manifest diff`: what differs between two manifests, by the names that people gave.
//!
//! Every field of a manifest is compared. What differs in the bytes and in no field (comments, order)
//! is said too: another file is another PCR16.

use super::explain::{exceptions, switches};
use super::{hashes, invalid, read};
use crate::cli::output::{Failure, Report};
use alloy_primitives::keccak256;
use nitro_signer_enclave::call::Abis;
use nitro_signer_enclave::policy::Policy;
use nitro_signer_shared::manifest::{AddressEntry, Manifest, ManifestHash, Name};
use serde::Serialize;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Say what differs between two manifests, by name, and the new PCR16. The exit code is that of
/// diff(1): 0 if they are the same, 1 if they differ, 2 if one cannot be read.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer manifest diff manifest.cbor deployment/")]
pub(in crate::cli) struct Diff {
    /// The old manifest, or its folder.
    old: PathBuf,
    /// The new one.
    new: PathBuf,
}

impl Diff {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let ((old_bytes, old), (new_bytes, new)) = (open(&self.old)?, open(&self.new)?);
        let changes = changes(&old, &new);
        let equal = old_bytes == new_bytes;
        let json = json!({ "equal": equal, "changes": changes });
        let mut report = hashes(&ManifestHash::of(&new_bytes), json);
        if equal {
            return Ok(report.line("The two are the same."));
        }
        report = report.field("old PCR16", hex::encode(ManifestHash::of(&old_bytes).pcr16()));
        for change in &changes {
            report = report.line(change.text());
        }
        if changes.is_empty() {
            report = report.line("Only comments, spaces or the order of entries differ.");
        }
        Ok(report.exit(1))
    }
}

fn open(path: &Path) -> Result<(Vec<u8>, Contents), Failure> {
    let opened = read(path).and_then(|(bytes, manifest)| Ok((bytes, contents(&manifest)?)));
    // Any other exit code than 2 would say that the two were compared.
    opened.map_err(|e| Failure::usage(e.to_string()))
}

/// What a manifest holds, by kind and name: each thing's fields.
type Contents = BTreeMap<(&'static str, String), Fields>;
type Fields = BTreeMap<&'static str, Field>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Field {
    One(String),
    Many(BTreeSet<String>),
}

/// One thing that differs: only in one of the two, or in these fields.
#[derive(Debug, Serialize)]
struct Change {
    kind: &'static str,
    name: String,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum What {
    Added(Fields),
    Removed(Fields),
    Changed(BTreeMap<&'static str, [Option<Field>; 2]>),
}

fn changes(old: &Contents, new: &Contents) -> Vec<Change> {
    let keys: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let change = |key: &&(&'static str, String)| {
        let what = match (old.get(*key), new.get(*key)) {
            (Some(old), Some(new)) if old == new => return None,
            (Some(old), Some(new)) => What::Changed(changed_fields(old, new)),
            (Some(old), None) => What::Removed(old.clone()),
            (None, new) => What::Added(new.cloned().unwrap_or_default()),
        };
        let (kind, name) = (*key).clone();
        Some(Change { kind, name, what })
    };
    keys.iter().filter_map(change).collect()
}

fn changed_fields(old: &Fields, new: &Fields) -> BTreeMap<&'static str, [Option<Field>; 2]> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let pairs = names.into_iter().map(|name| (*name, [old.get(name), new.get(name)]));
    pairs
        .filter(|(_, [old, new])| old != new)
        .map(|(name, pair)| (name, pair.map(Option::<&Field>::cloned)))
        .collect()
}

impl Change {
    fn text(&self) -> String {
        let title = format!("{} {}", self.kind, self.name);
        let title = title.trim_end();
        let fields: Vec<String> = match &self.what {
            What::Added(fields) => fields.iter().map(|(n, f)| side(n, None, Some(f))).collect(),
            What::Removed(fields) => fields.iter().map(|(n, f)| side(n, Some(f), None)).collect(),
            What::Changed(fields) => {
                let fields = fields.iter();
                fields.map(|(n, [old, new])| side(n, old.as_ref(), new.as_ref())).collect()
            }
        };
        let how = match &self.what {
            What::Added(_) => "added",
            What::Removed(_) => "removed",
            What::Changed(_) => "changed",
        };
        format!("{title}: {how}\n{}", fields.concat()).trim_end().to_owned()
    }
}

/// A field's old and new value: lines with - and +.
fn side(name: &str, old: Option<&Field>, new: Option<&Field>) -> String {
    let (old, new) = (lines(old), lines(new));
    let line = |sign: char, line: &String| match line.contains('\n') {
        false => format!("  {sign} {name}: {line}\n"),
        true => line.lines().map(|line| format!("  {sign} {line}\n")).collect(),
    };
    let gone = old.difference(&new).map(|text| line('-', text));
    gone.chain(new.difference(&old).map(|text| line('+', text))).collect()
}

fn lines(field: Option<&Field>) -> BTreeSet<String> {
    match field {
        None => BTreeSet::new(),
        Some(Field::One(text)) => [text.clone()].into(),
        Some(Field::Many(items)) => items.clone(),
    }
}

fn one(text: impl ToString) -> Field {
    Field::One(text.to_string())
}

fn many(items: &[Name]) -> Field {
    Field::Many(items.iter().map(ToString::to_string).collect())
}

/// Every field of a manifest.
fn contents(manifest: &Manifest) -> Result<Contents, Failure> {
    let value = |text: String| Fields::from([("value", Field::One(text))]);
    let mut all = Contents::new();
    for (kind, text) in [
        ("format", manifest.format.to_string()),
        ("version", manifest.version.to_string()),
        ("deployment", manifest.deployment.to_string()),
        ("vault", manifest.vault.to_string()),
    ] {
        all.insert((kind, String::new()), value(text));
    }
    for key in &manifest.wrapping_keys {
        all.insert(("wrapping key", key.to_string()), Fields::new());
    }
    for client in &manifest.clients {
        let key = one(hex::encode(client.public_key));
        let fields = [("public_key", key), ("groups", many(&client.groups))];
        all.insert(("client", client.name.to_string()), fields.into());
    }
    for client in &manifest.asserted {
        let fields = [("groups", many(&client.groups))];
        all.insert(("asserted", client.name.to_string()), fields.into());
    }
    for entry in &manifest.addresses {
        all.insert(("address", format!("0x{}", hex::encode(entry.address))), address(entry));
    }
    for (name, on, _) in switches(&manifest.switches) {
        let text = if on { "on" } else { "off" };
        all.insert(("switch", name.to_owned()), value(text.to_owned()));
    }
    for entry in &manifest.typed_data {
        all.insert(("typed data", entry.name.to_string()), value(entry.encode_type.clone()));
    }
    for who in &manifest.custody.administrators {
        all.insert(("administrator", who.to_string()), Fields::new());
    }
    for (name, on, _) in exceptions(&manifest.custody) {
        let text = if on { "accepted" } else { "refused" };
        all.insert(("custody", name.to_owned()), value(text.to_owned()));
    }
    for sibling in &manifest.siblings {
        let pcrs = [sibling.pcr0, sibling.pcr1, sibling.pcr2, sibling.pcr16].map(hex::encode);
        all.insert(("sibling", pcrs.join(" ")), Fields::new());
    }
    all.extend(abis(manifest));
    all.extend(rules(manifest)?);
    Ok(all)
}

fn address(entry: &AddressEntry) -> Fields {
    let AddressEntry { address: _, name, groups, decimals, abi } = entry;
    let mut fields = Fields::from([("name", one(name)), ("groups", many(groups))]);
    fields.extend(decimals.map(|decimals| ("decimals", one(decimals))));
    fields.extend(abi.as_ref().map(|abi| ("abi", one(abi))));
    fields
}

/// Each ABI by its functions, and by its text's hash since that is measured too.
fn abis(manifest: &Manifest) -> Contents {
    // One that does not load has no functions; `manifest check` says why.
    let loaded = Abis::load(manifest).ok();
    let abi = |name: &Name| loaded.as_ref()?.get(name.as_str());
    let entries = manifest.abis.iter().map(|entry| {
        let functions = abi(&entry.name).into_iter().flat_map(|abi| abi.functions());
        let functions = functions.map(|function| {
            let names: Vec<_> = function.inputs.iter().map(|(name, _)| name.as_str()).collect();
            format!("{} ({})", function.signature, names.join(", "))
        });
        let fields = [
            ("function", Field::Many(functions.collect())),
            ("text's keccak256", one(keccak256(&entry.json))),
        ];
        (("abi", entry.name.to_string()), fields.into())
    });
    entries.collect()
}

/// Each rule by its @id; one without is what its text says.
fn rules(manifest: &Manifest) -> Result<Contents, Failure> {
    let rules = Policy::rule_texts(manifest).map_err(|e| invalid(e.to_string()))?;
    let rules = rules.into_iter().map(|rule| match rule.name.strip_prefix("rule \"") {
        Some(id) => {
            let id = id.trim_end_matches('"').to_owned();
            (("rule", id), Fields::from([("text", Field::One(rule.text))]))
        }
        None => {
            let hash = hex::encode(&keccak256(&rule.text)[..4]);
            let text = Fields::from([("text", Field::One(rule.text))]);
            (("rule without @id", hash), text)
        }
    });
    Ok(rules.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::manifest::tests::{GOOD, folder};
    use serde_json::Value;

    const RULES: &str =
        "@id(\"a\")\npermit(principal, action, resource)\nwhen { context.time > 5 };
        forbid(principal, action, resource) when { context.time > 9 };";

    fn diff(old: (&str, &str), new: (&str, &str)) -> (String, Value, bool) {
        let (old, new) = (folder(old.0, old.1), folder(new.0, new.1));
        let diff = Diff { old: old.path().to_owned(), new: new.path().to_owned() };
        let report = diff.run().expect("both can be read");
        let differs = report.exit_code() == 1;
        let (text, json) = report.into_parts();
        assert_eq!(json["equal"], !differs);
        (text, json, differs)
    }

    #[test]
    fn the_same_is_said_to_be_the_same() {
        let (text, json, differs) = diff((GOOD, RULES), (GOOD, RULES));
        assert!(!differs && text.contains("The two are the same."));
        assert_eq!(json["changes"], json!([]));
    }

    #[test]
    fn each_difference_is_named() {
        for (find, put, expected) in [
            ("version = 3", "version = 4", "version: changed\n  - value: 3\n  + value: 4"),
            (
                "[\"operators\"]",
                "[\"board\"]",
                "client ops: changed\n  - groups: operators\n  + groups: board",
            ),
            ("\"ops\"", "\"new\"", "client ops: removed"),
            ("\"ops\"", "\"new\"", "client new: added"),
            ("bot.example", "cat.example", "asserted cat.example: added"),
            ("decimals = 6", "decimals = 7", "  - decimals: 6\n  + decimals: 7"),
            (
                "\"usdc\"",
                "\"usd\"",
                "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed: changed\n  - name: usdc",
            ),
            (
                "delegation = true",
                "import = true",
                "switch import: changed\n  - value: off\n  + value: on",
            ),
            (
                "1234abcd-",
                "1234abce-",
                "wrapping key arn:aws:kms:eu-central-1:111122223333:key/1234abce-",
            ),
            (
                "[switches]",
                "[typed_data]\nmail = \"Mail(address to)\"\n[switches]",
                "typed data mail: added",
            ),
            ("\"main\"", "\"other\"", "vault: changed"),
            (
                "[switches]",
                "[custody]\nadministrators = [\"arn:aws:iam::111122223333:role/a\"]\n[switches]",
                "administrator arn:aws:iam::111122223333:role/a: added",
            ),
            ("[switches]", "[custody]\ngrants = true\n[switches]", "custody grants: changed"),
            ("\"treasury\"", "\"other\"", "deployment: changed"),
            (
                "[switches]",
                &format!(
                    "[[siblings]]\npcr0 = \"0x{0}\"\npcr1 = \"0x{0}\"\npcr2 = \"0x{0}\"\npcr16 = \"0x{0}\"\n[switches]",
                    "01".repeat(48)
                ),
                "sibling 0101",
            ),
        ] {
            let changed = GOOD.replacen(find, put, 1);
            let (text, _, differs) = diff((GOOD, RULES), (&changed, RULES));
            assert!(differs && text.contains(expected), "{expected:?} is not in {text}");
        }
    }

    #[test]
    fn rules_are_compared_by_their_id_or_else_their_text() {
        let (text, json, _) = diff((GOOD, RULES), (GOOD, &RULES.replace("> 5", "> 6")));
        assert!(text.contains("rule a: changed\n  - @id(\"a\")\n"), "{text}");
        assert!(text.contains("  - when { context.time > 5 };"), "{text}");
        assert!(text.contains("  + when { context.time > 6 };"), "{text}");
        assert_eq!(json["changes"].as_array().map(Vec::len), Some(1));
        let (text, ..) = diff((GOOD, RULES), (GOOD, &RULES.replace("> 9", "> 8")));
        assert!(text.contains("removed\n") && text.contains("added\n"), "{text}");
        assert!(text.contains("rule without @id"), "{text}");
        let (text, ..) = diff((GOOD, RULES), (GOOD, &RULES.replace("\"a\"", "\"b\"")));
        assert!(text.contains("rule a: removed") && text.contains("rule b: added"), "{text}");
    }

    #[test]
    fn comments_change_the_measurement_and_nothing_else() {
        let (text, json, differs) = diff((GOOD, RULES), (GOOD, &format!("// why\n{RULES}")));
        assert!(differs && text.contains("Only comments"), "{text}");
        assert!(text.contains("old PCR16"));
        assert_eq!(json["changes"], json!([]));
    }

    #[test]
    fn what_cannot_be_read_is_no_difference() {
        let (good, bad) = (folder(GOOD, RULES), folder(GOOD, "nonsense"));
        let nowhere = good.path().join("nowhere");
        for wrong in [bad.path(), &nowhere] {
            for (old, new) in [(wrong, good.path()), (good.path(), wrong)] {
                let diff = Diff { old: old.to_owned(), new: new.to_owned() };
                let failure = diff.run().err().expect("is refused");
                assert_eq!(failure.exit_code(), 2, "{failure}");
            }
        }
    }

    #[test]
    fn an_abi_is_compared_by_its_functions() {
        let of = |kind: &str| {
            let dir = folder(GOOD, RULES);
            let abi = format!(
                r#"[{{"type":"function","name":"pay","inputs":[{{"name":"to","type":"{kind}"}}]}}]"#
            );
            std::fs::create_dir(dir.path().join("abis")).expect("makes");
            std::fs::write(dir.path().join("abis/shop.json"), abi).expect("writes");
            dir
        };
        let (old, new) = (of("address"), of("bytes32"));
        let diff = Diff { old: old.path().to_owned(), new: new.path().to_owned() };
        let (text, _) = diff.run().expect("both can be read").into_parts();
        let expected =
            "abi shop: changed\n  - function: pay(address) (to)\n  + function: pay(bytes32) (to)\n";
        assert!(text.contains(expected), "{text}");
    }
}
