//! What became of each thing that a command looks at, in order, with what to do about it.
//!
//! A check that was not made is said to be skipped and why; nothing here may let it pass for one
//! that was made.

use super::output::Report;
use serde_json::{Value, json};

/// What is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) how: String,
    pub(super) remedy: String,
}

impl Fault {
    pub(super) fn new(how: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { how: how.into(), remedy: remedy.into() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Passed(String),
    Failed(Fault),
    Skipped(String),
}

/// One thing that was looked at, or was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    id: &'static str,
    outcome: Outcome,
}

impl Check {
    const fn outcome(&self) -> &'static str {
        match self.outcome {
            Outcome::Passed(_) => "passed",
            Outcome::Failed(_) => "failed",
            Outcome::Skipped(_) => "skipped",
        }
    }

    fn json(&self) -> Value {
        let (found, remedy) = match &self.outcome {
            Outcome::Passed(found) | Outcome::Skipped(found) => (found, None),
            Outcome::Failed(fault) => (&fault.how, Some(&fault.remedy)),
        };
        json!({ "id": self.id, "outcome": self.outcome(), "found": found, "remedy": remedy })
    }

    fn text(&self, report: Report) -> Report {
        let id = self.id;
        match &self.outcome {
            Outcome::Passed(found) => report.good(format_args!("ok      {id:<16}{found}")),
            Outcome::Skipped(why) => report.warn(format_args!("skipped {id:<16}{why}")),
            Outcome::Failed(Fault { how, remedy }) => report
                .bad(format_args!("FAILED  {id:<16}{how}"))
                .line(format_args!("{:24}Do: {remedy}", "")),
        }
    }
}

/// What was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Checks(Vec<Check>);

impl Checks {
    /// Notes what became of a check, and hands on what it proved.
    pub(super) fn note<T>(
        &mut self,
        id: &'static str,
        found: Result<(T, String), Fault>,
    ) -> Option<T> {
        let (outcome, proved) = match found {
            Ok((proved, found)) => (Outcome::Passed(found), Some(proved)),
            Err(fault) => (Outcome::Failed(fault), None),
        };
        self.0.push(Check { id, outcome });
        proved
    }

    /// Notes that a check was not made, and why.
    pub(super) fn skip(&mut self, id: &'static str, why: impl Into<String>) {
        self.0.push(Check { id, outcome: Outcome::Skipped(why.into()) });
    }

    /// Puts the checks into this order; one that is in the order and was not noted is skipped,
    /// with this reason.
    pub(super) fn complete(&mut self, order: &[&'static str], why: &str) {
        for id in order {
            if !self.0.iter().any(|check| check.id == *id) {
                self.skip(id, why);
            }
        }
        let place = |check: &Check| order.iter().position(|id| *id == check.id);
        self.0.sort_by_key(place);
    }

    /// What failed first.
    pub(super) fn first_failed(&self) -> Option<&'static str> {
        self.0.iter().find(|check| check.outcome() == "failed").map(|check| check.id)
    }

    /// Whether none failed.
    pub(super) fn none_failed(&self) -> bool {
        self.first_failed().is_none()
    }

    /// Whether each was made and passed.
    pub(super) fn all_passed(&self) -> bool {
        self.0.iter().all(|check| check.outcome() == "passed")
    }

    /// What failed, in one line.
    pub(super) fn faults(&self) -> String {
        let failed = self.0.iter().filter_map(|check| match &check.outcome {
            Outcome::Failed(fault) => Some(format!("{}: {}", check.id, fault.how)),
            _ => None,
        });
        failed.collect::<Vec<_>>().join("; ")
    }

    pub(super) fn json(&self) -> Value {
        self.0.iter().map(Check::json).collect()
    }

    pub(super) fn text(&self, report: Report) -> Report {
        self.0.iter().fold(report, |report, check| check.text(report))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_reached_is_skipped_in_its_place_and_is_no_success() {
        let mut checks = Checks::default();
        assert_eq!(checks.note("c", Ok((3, "three".to_owned()))), Some(3));
        assert_eq!(checks.note::<()>("a", Err(Fault::new("broken", "mend it"))), None);
        checks.complete(&["a", "b", "c"], "a failed");
        let (text, _) = checks.text(Report::default()).into_parts();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "FAILED  a               broken");
        assert_eq!(lines[1].trim(), "Do: mend it");
        assert_eq!(lines[2], "skipped b               a failed");
        assert_eq!(lines[3], "ok      c               three");
        let json = checks.json();
        let outcomes: Vec<_> = (0..3).map(|i| json[i]["outcome"].as_str()).collect();
        assert_eq!(outcomes, [Some("failed"), Some("skipped"), Some("passed")]);
        assert_eq!(json[0]["remedy"], "mend it");
        assert!(!checks.all_passed() && !checks.none_failed());
        assert_eq!(checks.faults(), "a: broken");

        let mut skipped = Checks::default();
        skipped.complete(&["a"], "nobody asked");
        assert!(skipped.none_failed() && !skipped.all_passed());
    }
}
