//! `policy test`: a table of requests and decisions, judged by the code that the enclave runs.
//!
//! It prints which rules decide, so that a rule which permits for another reason than was meant is
//! found. Nothing here signs, and no appliance is asked.

mod table;

use super::manifest::Loaded;
use super::output::{Failure, Report, now_ms};
use nitro_signer_enclave::policy::{Policy as Rules, Verdict};
use nitro_signer_shared::refusal::Refusal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use table::{Case, Expected, Table};

/// Try a manifest's policy before it is measured.
#[derive(clap::Subcommand)]
pub(super) enum Policy {
    Test(Test),
}

/// Judge a table of requests by a manifest's policy, and say which rules decide. The exit code is 1
/// if any decision is another than the table expects.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  nitro-signer policy test deployment/table.toml

The table:
  [defaults]                        # for every case that does not say otherwise
  from = \"0x…\"                      # the key's address
  time = 2026-01-31T12:00:00Z       # or Unix seconds; without it, this machine's time
  labels = { team = \"treasury\" }    # what policy sees of the key; also `creator`
  transaction = { chainId = 1, nonce = 0, gas = 100000, maxFeePerGas = 30000000000, maxPriorityFeePerGas = 1 }
  [[cases]]
  name = \"a payout\"
  asserted = \"bot.example\"          # or client = \"…\", who proves itself
  transaction = { to = \"0x…\", value = \"0x1\" }  # eth_signTransaction's object
  expect = \"allow\"                  # or a refusal's code, such as \"policy_denied\"
  rule = \"small-payouts\"            # a rule that decides, by its @id; may be left out

A case has one of: transaction, message = \"0x…\", text = \"…\", typed_data = '''{…}''',
authorization = { chain_id, address, nonce }, digest = \"0x…\", create_vault = true,
create_key = { labels = {…} }. It may give its own from, time, labels, creator, origin, created, and
held = [\"0x…\"], the accounts whose keys the enclave holds: the key's own if left out.")]
pub(super) struct Test {
    /// The table.
    table: PathBuf,
    /// The manifest, or its folder: the table's own folder if left out.
    #[arg(long, value_name = "FILE|FOLDER")]
    manifest: Option<PathBuf>,
}

impl Policy {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let Self::Test(test) = self;
        test.run()
    }
}

impl Test {
    fn run(self) -> Result<Report, Failure> {
        let beside = self.table.parent().filter(|path| !path.as_os_str().is_empty());
        let manifest = self.manifest.as_deref().or(beside).unwrap_or_else(|| Path::new("."));
        let table = Table::read(&self.table, now_ms() / 1_000)?;
        let Loaded { policy, .. } = Loaded::open(manifest)?;
        Ok(report(&judge(&policy, &table)))
    }
}

/// A case with what came of it.
struct Judged<'a> {
    case: &'a Case,
    /// The action; nothing if no reader takes the request.
    action: Option<&'static str>,
    verdict: Verdict,
    outcome: Result<(), Refusal>,
}

fn judge<'a>(policy: &Rules, table: &'a Table) -> Vec<Judged<'a>> {
    let judge = |case: &'a Case| {
        let refused = |refusal| Judged {
            case,
            action: None,
            verdict: Verdict::default(),
            outcome: Err(refusal),
        };
        let asked = match &case.asked {
            Ok(asked) => asked,
            Err(refusal) => return refused(refusal.clone()),
        };
        let key = (!asked.is_about_vault()).then_some(&case.key);
        let description = asked.describe(case.key.address);
        let held = |address: &_| case.held.contains(address);
        match policy.rehearse(&case.who, key, &description, held, case.time) {
            Err(refusal) => refused(refusal),
            Ok(said) => Judged {
                case,
                action: Some(said.action),
                verdict: said.verdict,
                outcome: said.outcome,
            },
        }
    };
    table.cases.iter().map(judge).collect()
}

impl Judged<'_> {
    /// Whether it came as the table expects.
    fn passes(&self) -> bool {
        let (as_expected, deciding) = match (&self.outcome, self.case.expected) {
            (Ok(()), Expected::Allow) => (true, self.verdict.permitting.iter().chain(&[])),
            (Err(refusal), Expected::Refuse(code)) => {
                let Verdict { forbidding, failing, .. } = &self.verdict;
                (refusal.code == code, forbidding.iter().chain(failing))
            }
            _ => return false,
        };
        let is_named = |rule: &String| {
            let mut deciding = deciding;
            deciding.any(|name| name == rule || *name == format!("rule \"{rule}\""))
        };
        as_expected && self.case.rule.as_ref().is_none_or(is_named)
    }

    fn decision(&self) -> &'static str {
        match &self.outcome {
            Ok(()) => "allow",
            Err(refusal) => refusal.code.as_str(),
        }
    }

    fn expectation(&self) -> String {
        let expected = match self.case.expected {
            Expected::Allow => "allow",
            Expected::Refuse(code) => code.as_str(),
        };
        match &self.case.rule {
            Some(rule) => format!("{expected} by {rule}"),
            None => expected.to_owned(),
        }
    }

    fn text(&self) -> String {
        let passed = if self.passes() { "pass" } else { "FAIL" };
        let action = self.action.unwrap_or("-");
        let mut text = format!("{passed}  {}: {action}: {}", self.case.name, self.decision());
        for (how, rules) in self.deciding() {
            if !rules.is_empty() {
                text += &format!("\n        {how} {}", rules.join(", "));
            }
        }
        if let (false, Err(refusal)) = (self.passes(), &self.outcome) {
            text += &format!("\n        {}", refusal.detail);
        }
        if !self.passes() {
            text += &format!("\n        expected: {}", self.expectation());
        }
        text
    }

    fn deciding(&self) -> [(&'static str, &[String]); 3] {
        let Verdict { permitting, forbidding, failing } = &self.verdict;
        [("permitted by", permitting), ("forbidden by", forbidding), ("cannot evaluate", failing)]
    }

    fn to_json(&self) -> Value {
        let detail = self.outcome.as_ref().err().map(|refusal| refusal.detail.as_str());
        json!({
            "name": self.case.name,
            "passed": self.passes(),
            "action": self.action,
            "decision": self.decision(),
            "detail": detail,
            "expected": self.expectation(),
            "permitting": self.verdict.permitting,
            "forbidding": self.verdict.forbidding,
            "failing": self.verdict.failing,
        })
    }
}

fn report(all: &[Judged<'_>]) -> Report {
    let passed = all.iter().filter(|case| case.passes()).count();
    let failed = all.len() - passed;
    let cases: Vec<_> = all.iter().map(Judged::to_json).collect();
    let json = json!({ "passed": passed, "failed": failed, "cases": cases });
    let mut report = Report::new(json);
    for case in all {
        report = report.line(case.text());
    }
    let report = report.line(format_args!("{passed} of {} cases as expected", all.len()));
    report.exit(u8::from(failed > 0))
}

#[cfg(test)]
mod tests;
