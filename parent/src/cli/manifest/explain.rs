//! `manifest explain`: what a manifest says, for people: who may ask, which rules can be about what,
//! and what nothing permits.
//!
//! It says what the loaded rules can be about and never what they mean; that is for `policy test`.

use super::{Loaded, hashes, names};
use crate::cli::output::{Failure, Report};
use nitro_signer_enclave::policy::{ActionRules, Policy};
use nitro_signer_shared::manifest::{
    AddressEntry, Custody, Manifest, ManifestHash, Name, Switches,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Say what a manifest says: who may ask, which rules can be about which action, what no rule
/// permits, and which values of calls and typed data rules can look at.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer manifest explain deployment/
  nitro-signer manifest explain manifest.cbor --schema > signer.cedarschema")]
pub(in crate::cli) struct Explain {
    /// The manifest, or its folder.
    path: PathBuf,
    /// Print the Cedar schema that the manifest's rules are checked against, for editors.
    #[arg(long)]
    schema: bool,
}

impl Explain {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let loaded = Loaded::open(&self.path)?;
        if self.schema {
            let schema = loaded.policy.schema_text();
            return Ok(Report::new(json!({ "schema": schema })).line(schema.trim_end()));
        }
        Ok(explain(&loaded))
    }
}

/// The switches with what each allows once it is on, as the manifest names them.
pub(super) fn switches(switches: &Switches) -> [(&'static str, bool, &'static str); 5] {
    [
        ("import", switches.import, "reserved: keys made elsewhere are not served yet"),
        (
            "raw_digests",
            switches.raw_digests,
            "SignDigest: bare digests may be signed, each of which can stand for anything",
        ),
        (
            "unprotected_legacy",
            switches.unprotected_legacy,
            "SignUnprotectedTransaction: transactions that hold on every chain may be signed",
        ),
        (
            "delegation",
            switches.delegation,
            "SignDelegation, SignAuthorization: accounts may be given code (EIP-7702)",
        ),
        (
            "hedged_nonces",
            switches.hedged_nonces,
            "signatures mix in fresh randomness, so two of one hash differ",
        ),
    ]
}

/// What a manifest can accept of the KMS key, with what it then does not keep away.
pub(super) fn exceptions(custody: &Custody) -> [(&'static str, bool, &'static str); 5] {
    [
        (
            "account_root",
            custody.account_root,
            "the account's IAM policies decide too, and nobody here reads them",
        ),
        ("grants", custody.grants, "the key may have grants"),
        (
            "imported_material",
            custody.imported_material,
            "whoever made the key's material can open every vault under it",
        ),
        (
            "multi_region",
            custody.multi_region,
            "replicas have policies of their own, which nobody here reads",
        ),
        (
            "open_regardless",
            custody.open_regardless,
            "a stored vault is opened whatever the key's custody is; no key is made meanwhile",
        ),
    ]
}

fn explain(Loaded { bytes, manifest, policy }: &Loaded) -> Report {
    let actions = policy.rules_by_action();
    let mut report = hashes(&ManifestHash::of(bytes), to_json(manifest, policy, &actions))
        .field("deployment", &manifest.deployment)
        .field("version", manifest.version)
        .field("vault", &manifest.vault)
        .field("wrapping key", manifest.wrapping_key())
        .field("siblings", manifest.siblings.len());
    let administrators = manifest.custody.administrators.iter().map(ToString::to_string);
    report = section(
        report,
        "Administrators of the KMS key, each of whom could open it",
        administrators,
    );
    let accepted = exceptions(&manifest.custody).into_iter().filter(|(_, on, _)| *on);
    report = section(
        report,
        "What else is accepted of the KMS key's custody",
        accepted.map(|(name, _, meaning)| format!("{name:<20}{meaning}")),
    );
    let clients = manifest.clients.iter().map(|c| named(&c.name, &c.groups));
    report = section(report, "Clients, who prove themselves (Client)", clients);
    let asserted = manifest.asserted.iter().map(|a| named(&a.name, &a.groups));
    report = section(report, "Names that the parent may assert (AssertedClient)", asserted);
    report = section(report, "Address book", manifest.addresses.iter().map(address_text));
    let on = switches(&manifest.switches).into_iter().filter(|(_, on, _)| *on);
    report = section(
        report,
        "Switches that are on",
        on.map(|(name, _, meaning)| format!("{name:<20}{meaning}")),
    );
    report = section(report, "Rules that can be about each action", actions.iter().map(rules_text));
    let nothing = actions.iter().filter(|of| !permits(of)).map(|of| of.action.to_owned());
    report = section(report, "Actions that no rule permits, so they are refused", nothing);
    let paths = policy.decoded_paths();
    let paths = paths.iter().map(|(path, of)| format!("context.{path}: {of}"));
    section(report, "Values of calls and typed data that rules can look at", paths)
}

fn section(report: Report, title: &str, lines: impl Iterator<Item = String>) -> Report {
    let mut report = report.line("").line(format_args!("{title}:"));
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return report.line("  none");
    }
    for line in lines {
        report = report.line(format_args!("  {line}"));
    }
    report
}

fn named(name: &Name, groups: &[Name]) -> String {
    if groups.is_empty() {
        return name.to_string();
    }
    format!("{name} in {}", names(groups))
}

fn address_text(entry: &AddressEntry) -> String {
    let AddressEntry { address, name, groups, decimals, abi } = entry;
    let mut text = format!("0x{} {}", hex::encode(address), named(name, groups));
    // Writing to a String cannot fail.
    if let Some(abi) = abi {
        let _ = write!(text, ", abi {abi}");
    }
    if let Some(decimals) = decimals {
        let _ = write!(text, ", decimals {decimals}");
    }
    text
}

fn rules_text(of: &ActionRules) -> String {
    let mut text = of.action.to_owned();
    for (name, forbids, callers) in &of.rules {
        let _ = write!(text, "\n    {:<8}{name}, by {}", effect(*forbids), callers.join(" or "));
    }
    text
}

const fn effect(forbids: bool) -> &'static str {
    if forbids { "forbid" } else { "permit" }
}

fn permits(of: &ActionRules) -> bool {
    of.rules.iter().any(|(_, forbids, _)| !forbids)
}

fn to_json(manifest: &Manifest, policy: &Policy, actions: &[ActionRules]) -> Value {
    let action = |of: &ActionRules| {
        let rule = |(name, forbids, callers): &(String, bool, Vec<&str>)| {
            let effect = effect(*forbids);
            json!({ "name": name, "effect": effect, "callers": callers })
        };
        let rules: Vec<_> = of.rules.iter().map(rule).collect();
        json!({ "action": of.action, "permitted": permits(of), "rules": rules })
    };
    let decoded = policy.decoded_paths();
    let decoded = decoded.iter().map(|(path, of)| json!({ "path": path, "type": of }));
    json!({
        "deployment": manifest.deployment,
        "version": manifest.version,
        "vault": manifest.vault,
        "wrapping_keys": manifest.wrapping_keys,
        "clients": manifest.clients,
        "asserted": manifest.asserted,
        "addresses": manifest.addresses,
        "switches": manifest.switches,
        "siblings": manifest.siblings,
        "custody": manifest.custody,
        "actions": actions.iter().map(action).collect::<Vec<_>>(),
        "decoded": decoded.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::manifest::tests::{GOOD, folder};

    fn explained(toml: &str, policy: &str) -> (String, Value) {
        let dir = folder(toml, policy);
        let report = Explain { path: dir.path().to_owned(), schema: false }.run().expect("loads");
        report.into_parts()
    }

    #[test]
    fn who_may_ask_what_is_said() {
        let rules = "@id(\"bot\") permit(principal == AssertedClient::\"bot.example\", action == Action::\"SignMessage\", resource);
            forbid(principal, action, resource) when { context.time < 5 };";
        let (text, json) = explained(GOOD, rules);
        for line in [
            "deployment        treasury",
            "  ops in operators",
            "  bot.example\n",
            "  0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed usdc in tokens, abi erc20, decimals 6",
            "  delegation          SignDelegation",
            "    permit  rule \"bot\", by AssertedClient",
            "    forbid  rule 2, by Client or AssertedClient",
            "  context.call.erc20.transfer.amount: Tokens",
            "  context.message.permit2_batch.details.each.token: list of Address",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
        let (_, refused) = text.split_once("Actions that no rule permits").expect("has it");
        assert!(refused.contains("  SignDigest\n") && !refused.contains("  SignMessage\n"));
        let actions = json["actions"].as_array().expect("is a list");
        let message = actions.iter().find(|a| a["action"] == "SignMessage").expect("is there");
        assert_eq!(message["permitted"], true);
        assert_eq!(message["rules"][0]["callers"], json!(["AssertedClient"]));
        assert_eq!(message["rules"][1]["effect"], "forbid");
        assert_eq!(json["pcr16"].as_str().map(str::len), Some(96));
    }

    #[test]
    fn the_schema_is_the_whole_text() {
        let dir = folder(GOOD, "");
        let report = Explain { path: dir.path().to_owned(), schema: true }.run().expect("loads");
        let (text, _) = report.into_parts();
        assert!(text.contains("action SignTransaction") && text.contains("type Call ="));
    }
}
