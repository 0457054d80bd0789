//! What a verification came to, for people, for programs and for test reports.
//!
//! JSON has one form whatever the verdict, which `report.schema.json` describes; a program that
//! reads `verified` needs nothing else. Nothing of a document that did not verify is shown as true.

use super::super::output::{Failure, Report, exit_code};
use super::remedy::remedy;
use super::rfc3339;
use nitro_signer_shared::attestation::{
    AuthenticDocument, Contents, Finding, ImageMeasurements, Outcome, Pcr, Rejection, Time,
    TrustKind, Verdict, Verification, VerifiedDocument,
};
use nitro_signer_shared::claims::{Claims, HeldKey, ProvedKeys};
use nitro_signer_shared::manifest::{Manifest, ManifestHash};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

pub(super) use super::super::output::Format;

/// What is known of the policy that the enclave decides by.
pub(super) enum Policy {
    /// The asker has the manifest, and PCR16 must be its.
    Manifest(Box<Manifest>, ManifestHash),
    /// The asker has none and knows what that means.
    NotVerified,
    /// The enclave is not a nitro-signer's.
    NotAsked,
}

impl Policy {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Manifest(..) => "verified",
            Self::NotVerified => "not_verified",
            Self::NotAsked => "not_asked",
        }
    }
}

/// One rule and what became of it.
#[derive(Clone)]
pub(super) struct Check {
    id: String,
    rule: String,
    outcome: &'static str,
    reason: Option<String>,
    remedy: &'static str,
}

impl Check {
    pub(super) fn new(id: &str, rule: &str, outcome: &Outcome) -> Self {
        let (outcome, reason) = match outcome {
            Outcome::Passed => ("passed", None),
            Outcome::Failed(how) => ("failed", Some(how.clone())),
            Outcome::Skipped(why) => ("skipped", Some(why.to_string())),
        };
        Self { id: id.to_owned(), rule: rule.to_owned(), outcome, reason, remedy: "" }
    }

    pub(super) fn skipped(id: &str, rule: &str, why: &str) -> Self {
        let reason = Some(why.to_owned());
        Self { outcome: "skipped", reason, ..Self::new(id, rule, &Outcome::Passed) }
    }

    pub(super) fn failed(id: &str, rule: &str, how: &str, remedy: &'static str) -> Self {
        Self { remedy, ..Self::new(id, rule, &Outcome::Failed(how.to_owned())) }
    }

    fn of((finding, outcome): (Finding, Outcome)) -> Self {
        Self { remedy: remedy(finding), ..Self::new(finding.code(), finding.rule(), &outcome) }
    }

    fn is(&self, outcome: &str) -> bool {
        self.outcome == outcome
    }

    fn because(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    fn json(&self) -> Value {
        json!({ "id": self.id, "outcome": self.outcome, "rule": self.rule, "reason": self.reason })
    }

    fn failure(&self) -> Value {
        let message = format!("{} Found: {}", self.rule, self.because());
        json!({ "code": self.id, "message": message, "remedy": self.remedy })
    }
}

/// A verification and everything around it.
pub(super) struct Judged {
    pub(super) verification: Verification,
    pub(super) trust: TrustKind,
    pub(super) time: Time,
    pub(super) max_age_ms: u64,
    pub(super) policy: Policy,
    pub(super) claims: Option<Claims>,
    pub(super) keys: Option<ProvedKeys>,
    /// What was judged beside the document.
    pub(super) beside: Vec<Check>,
}

impl Judged {
    /// The report of a verification that did not begin.
    pub(super) fn not_begun(failure: &Failure) -> Report {
        let exit = failure.exit_code();
        let json = json!({
            "verified": false,
            "exit_code": exit,
            "failures": [{ "code": failure.code(), "message": failure.to_string(), "remedy": "" }],
            "trust_anchor": null,
            "time_basis": null,
            "judged_at": null,
            "matched": null,
            "document": null,
            "debug_mode": null,
            "policy": "not_verified",
            "manifest_hash": null,
            "claims": null,
            "addresses": [],
            "checks": [],
        });
        let check =
            Check::failed(failure.code(), "The verification can begin.", &failure.to_string(), "");
        Report::new(json).bad(failure).junit(junit(&[check])).exit(exit)
    }

    pub(super) fn report(self) -> Report {
        let checks: Vec<Check> = self
            .verification
            .outcomes()
            .map(Check::of)
            .chain(self.beside.iter().cloned())
            .collect();
        let failed: Vec<&Check> = self.failed(&checks);
        let exit = self.exit(&failed);
        let report =
            Report::new(self.json(&checks, &failed, exit)).junit(junit(&checks)).exit(exit);
        match self.verification.verdict() {
            Verdict::Verified(document) if failed.is_empty() => {
                self.proved(document, &checks, report)
            }
            verdict => self.refused(verdict, &failed, report),
        }
    }

    /// The gravest first, as the verification has them, and then what was judged beside it.
    fn failed<'a>(&self, checks: &'a [Check]) -> Vec<&'a Check> {
        let grave = self.verification.rejections().iter().map(|r| r.finding().code());
        let ids: Vec<&str> = grave.chain(["claims", "keys", "address"]).collect();
        let rank = |check: &&Check| ids.iter().position(|id| *id == check.id);
        let mut failed: Vec<&Check> = checks.iter().filter(|check| check.is("failed")).collect();
        failed.sort_by_key(rank);
        failed
    }

    fn exit(&self, failed: &[&Check]) -> u8 {
        match (self.verification.rejections().first().map(Rejection::finding), failed.is_empty()) {
            (Some(finding), _) => exit_code(finding),
            (None, true) => 0,
            (None, false) => 1,
        }
    }

    fn json(&self, checks: &[Check], failed: &[&Check], exit: u8) -> Value {
        let (authentic, matched) = match self.verification.verdict() {
            Verdict::Verified(document) => (Some(&***document), Some(document.matched())),
            Verdict::Mismatch(document) => (Some(&**document), None),
            Verdict::Refused => (None, None),
        };
        let verified = exit == 0;
        let keys = self.keys.as_ref().filter(|_| verified).map_or(&[][..], ProvedKeys::keys);
        let policy = if verified || !matches!(self.policy, Policy::Manifest(..)) {
            self.policy.as_str()
        } else {
            "not_verified"
        };
        json!({
            "verified": verified,
            "exit_code": exit,
            "failures": failed.iter().map(|check| check.failure()).collect::<Vec<_>>(),
            "trust_anchor": self.trust.as_str(),
            "time_basis": self.time.basis(),
            "judged_at": authentic.map(|document| rfc3339(document.judged_at_ms())),
            "matched": matched.map(image_json),
            "document": authentic.map(|document| document_json(document)),
            "debug_mode": authentic.map(is_debug),
            "policy": policy,
            "manifest_hash": match &self.policy {
                Policy::Manifest(_, hash) => Some(hash.to_string()),
                Policy::NotVerified | Policy::NotAsked => None,
            },
            "claims": self.claims.as_ref().filter(|_| verified),
            "addresses": keys,
            "checks": checks.iter().map(Check::json).collect::<Vec<_>>(),
        })
    }

    fn refused(&self, verdict: &Verdict, failed: &[&Check], mut report: Report) -> Report {
        report = report.bad("NOT VERIFIED");
        if !matches!(verdict, Verdict::Refused) {
            report = report.line("The document is authentic, but not what you expect:");
        }
        for check in failed {
            report = report
                .bad(format_args!("  {:<8}{}", check.id, check.rule))
                .line(format_args!("          Found: {}", check.because()))
                .line(format_args!("          Do: {}", check.remedy));
        }
        if let Verdict::Mismatch(document) = verdict {
            report = report.line("What it says:");
            report = registers_text(report, document.pcrs());
        }
        report
    }

    fn proved(&self, document: &VerifiedDocument, checks: &[Check], report: Report) -> Report {
        let root = match self.trust {
            TrustKind::Aws => "Amazon's Nitro root",
            TrustKind::Custom => "the root you named, which is not Amazon's",
        };
        let made_ms = document.timestamp_ms();
        let mut report = report
            .good("VERIFIED")
            .field("signed under", root)
            .field("module", document.module_id())
            .field("made at", rfc3339(made_ms))
            .field(
                "judged as of",
                format_args!("{} ({})", rfc3339(document.judged_at_ms()), self.time.basis()),
            )
            .field("fresh until", rfc3339(made_ms.saturating_add(self.max_age_ms)))
            .field("certificates until", rfc3339(document.valid_until_s().saturating_mul(1000)));
        if is_debug(document) {
            report = report.bad(
                "DEBUG MODE: the host reads this enclave's memory. It protects nothing, and which \
                 image it runs is not known.",
            );
        }
        report = image_text(report, document.matched());
        report = self.policy_text(report);
        report = self.held_text(report);
        let count = |outcome| checks.iter().filter(|check| check.is(outcome)).count();
        report = report.line(format_args!(
            "{} checks passed, {} skipped:",
            count("passed"),
            count("skipped")
        ));
        for check in checks.iter().filter(|check| check.is("skipped")) {
            report = report.line(format_args!("  {:<8}{}", check.id, check.because()));
        }
        report
    }

    fn policy_text(&self, mut report: Report) -> Report {
        match &self.policy {
            Policy::Manifest(manifest, hash) => {
                report = report
                    .field("manifest", hash)
                    .field("deployment", manifest.deployment.as_str())
                    .field("KMS key", manifest.wrapping_key().as_str());
            }
            Policy::NotVerified => {
                report = report.warn(
                    "policy: NOT VERIFIED. This may be our image under anybody's manifest and KMS \
                     key; it says nothing about any address.",
                );
            }
            Policy::NotAsked => {}
        }
        match &self.claims {
            Some(claims) if matches!(self.policy, Policy::Manifest(..)) => report
                .field("vault", &claims.vault)
                .field("vault fingerprint", fingerprint(claims))
                .field("custody", custody(claims))
                .field("state", claims.state.as_str())
                .field("keys", claims.keys),
            _ => report,
        }
    }

    fn held_text(&self, mut report: Report) -> Report {
        let Some(keys) = &self.keys else { return report };
        for key in keys.keys() {
            report = report.good(format_args!("  {}", key_text(key)));
        }
        report
            .line(
                "It means: at that time an enclave of this image, under this manifest and KMS key,",
            )
            .line("could sign for these addresses, and by the manifest's rules only.")
            .line(
                "It does not mean that nobody else can: whoever may change that KMS key's policy,",
            )
            .line("and every other image and manifest it lists, can open the same vault; and of a")
            .line("key that is not `generated` somebody may hold a copy.")
    }
}

fn key_text(key: &HeldKey) -> String {
    let labels: String =
        key.labels.iter().map(|(name, value)| format!("  {name}={value}")).collect();
    let created = rfc3339(key.created.saturating_mul(1000));
    format!("{}  {}  {created}{labels}", key.address, key.origin.as_str())
}

fn is_debug(document: &AuthenticDocument) -> bool {
    (0..3).any(|index| document.pcr(index) == Some(&[0; 48]))
}

/// What the enclave read of the KMS key, which is a snapshot of what it can see.
fn custody(claims: &Claims) -> String {
    let Some(custody) = &claims.custody else { return "not looked at yet".to_owned() };
    let checked = rfc3339(custody.checked.saturating_mul(1_000));
    if custody.is_sole() {
        return format!("sole, checked {checked}");
    }
    let findings: Vec<_> = custody.findings.iter().map(|finding| finding.as_str()).collect();
    format!("NOT SOLE: {}, checked {checked}", findings.join(", "))
}

fn fingerprint(claims: &Claims) -> String {
    claims.vault_fingerprint.map_or_else(|| "no vault is open".to_owned(), |f| f.to_string())
}

/// The image that runs, as the asker's own file knows it.
fn image_text(mut report: Report, image: &ImageMeasurements) -> Report {
    for (name, value) in [("image", &image.version), ("built by", &image.builder)] {
        if let Some(value) = value {
            report = report.field(name, value);
        }
    }
    if let Some(end_ms) = image.not_after_ms {
        report = report.field("image until", rfc3339(end_ms));
    }
    registers_text(report, image.set.pcrs())
}

fn registers_text(report: Report, pcrs: &BTreeMap<u8, Pcr>) -> Report {
    let shown = pcrs.iter().filter(|(_, value)| **value != [0; 48]);
    shown.fold(report, |report, (index, value)| {
        report.field(&format!("PCR{index}"), hex::encode(value))
    })
}

/// Registers as an object from index to hex.
pub(super) fn registers(pcrs: &BTreeMap<u8, Pcr>) -> Value {
    let named = pcrs.iter().map(|(index, value)| (index.to_string(), json!(hex::encode(value))));
    Value::Object(named.collect::<Map<_, _>>())
}

fn image_json(image: &ImageMeasurements) -> Value {
    json!({
        "version": image.version,
        "builder": image.builder,
        "eif_sha384": image.eif_sha384.map(hex::encode),
        "pcrs": registers(image.set.pcrs()),
    })
}

fn document_json(contents: &Contents) -> Value {
    let optional = |field: Option<&[u8]>| field.map(hex::encode);
    json!({
        "module_id": contents.module_id(),
        "instance_id": contents.instance_id(),
        "timestamp": rfc3339(contents.timestamp_ms()),
        "pcrs": registers(contents.pcrs()),
        "nonce": optional(contents.nonce()),
        "user_data": optional(contents.user_data()),
        "public_key": optional(contents.public_key()),
    })
}

/// The checks as JUnit's XML, by which CI systems show test results.
fn junit(checks: &[Check]) -> String {
    let count = |outcome| checks.iter().filter(|check| check.is(outcome)).count();
    let cases: String = checks.iter().map(case).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"nitro-signer \
         attestation verify\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n{cases}  \
         </testsuite>\n</testsuites>\n",
        checks.len(),
        count("failed"),
        count("skipped"),
    )
}

fn case(check: &Check) -> String {
    let because = xml(check.because());
    let inside = match check.outcome {
        "failed" => format!("<failure message=\"{because}\">{}</failure>", xml(check.remedy)),
        "skipped" => format!("<skipped message=\"{because}\"/>"),
        _ => String::new(),
    };
    let (id, rule) = (xml(&check.id), xml(&check.rule));
    format!("    <testcase classname=\"attestation\" name=\"{id}: {rule}\">{inside}</testcase>\n")
}

/// Text inside XML 1.0; what XML cannot hold becomes a question mark.
fn xml(text: &str) -> String {
    let escape = |character: char| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\n' | '\t' => " ".to_owned(),
        other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => "?".to_owned(),
        other => other.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_report_holds_no_markup_of_others() {
        let hostile = "a\"><failure/>&\u{0}\u{1b}[31m\n";
        let check = Check::failed("A2", hostile, hostile, "do");
        let xml = junit(&[check, Check::skipped("A3", "rule.", hostile)]);
        assert_eq!(xml.matches("<failure").count(), 1);
        assert_eq!(xml.matches("<skipped").count(), 1);
        assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\""));
        assert!(xml.contains("a&quot;&gt;&lt;failure/&gt;&amp;??[31m "));
    }
}
