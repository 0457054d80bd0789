//! What an examination came to, for people and for programs.
//!
//! JSON has one form whatever the verdict, which `report.schema.json` describes; a program that reads
//! `proved` needs nothing else.

use crate::cli::output::{Failure, Report};
use nitro_signer_shared::key_policy::proof::{
    Admission, Counterexample, Danger, Examination, Exception, Finding, Question, Severity,
    TooComplex,
};
use serde_json::{Map, Value, json};

/// The form of the JSON; another number if a key changes its meaning or goes.
const SCHEMA: &str = "nitro-signer/key-policy-lint/v1";

/// The report of an examination.
pub(super) fn examined(
    question: &Question<'_>,
    examination: &Examination,
    left_out: &[String],
) -> Report {
    let proved = examination.proved().is_some();
    let (callers, steps) = examination.size();
    let mut json = empty(u8::from(!proved));
    let object = [
        ("proved", json!(proved)),
        ("key", json!(question.documents.key)),
        (
            "sets",
            question
                .sets
                .iter()
                .map(|set| json!({ "name": set.name(), "pcrs": set.registers() }))
                .collect(),
        ),
        ("left_out", json!(left_out)),
        ("admitted", examination.admissions().iter().map(admission_json).collect()),
        ("exceptions", examination.exceptions().iter().map(exception_json).collect()),
        ("findings", examination.findings().iter().map(finding_json).collect()),
        (
            "destroyers",
            examination
                .destroyers()
                .iter()
                .map(|(who, actions)| json!({ "principal": who, "actions": actions }))
                .collect(),
        ),
        ("assumptions", json!(examination.assumptions())),
        ("callers", json!(callers)),
        ("steps", json!(steps)),
    ];
    for (name, value) in object {
        json[name] = value;
    }
    let report = Report::new(json).exit(u8::from(!proved));
    text(report, question, examination, left_out)
}

/// The report of documents that tell too many requests apart.
pub(super) fn too_complex(why: TooComplex) -> Report {
    let mut json = empty(1);
    json["error"] = json!({ "code": "too_complex", "message": why.to_string() });
    Report::new(json).bad(format_args!("Not proved: {why}.")).exit(1)
}

/// The report of an examination that did not begin.
pub(super) fn not_begun(failure: &Failure) -> Report {
    let exit = failure.exit_code();
    let mut json = empty(exit);
    json["error"] = json!({ "code": failure.code(), "message": failure.to_string() });
    Report::new(json).bad(failure).exit(exit)
}

/// Every key, with nothing in it.
fn empty(exit: u8) -> Value {
    json!({
        "schema": SCHEMA,
        "proved": false,
        "exit_code": exit,
        "error": null,
        "key": null,
        "sets": [],
        "left_out": [],
        "admitted": [],
        "exceptions": [],
        "findings": [],
        "destroyers": [],
        "assumptions": [],
        "callers": 0,
        "steps": 0,
    })
}

fn admission_json(admission: &Admission) -> Value {
    json!({
        "set": admission.set,
        "principal": admission.caller,
        "action": admission.action,
        "by": admission.by,
    })
}

fn exception_json(exception: &Exception) -> Value {
    json!({
        "principal": exception.caller,
        "action": exception.action,
        "by": exception.by,
        "gives": danger(exception.danger),
        "alarm": exception.alarm,
    })
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "code": finding.code.as_str(),
        "severity": severity(finding.severity),
        "place": finding.place,
        "detail": finding.detail,
        "remedy": finding.code.remedy(),
        "actions": finding.actions,
        "principals": finding.callers,
        "counterexample": finding.counterexample.as_ref().map(counterexample_json),
    })
}

fn counterexample_json(counterexample: &Counterexample) -> Value {
    let context = counterexample.context.iter();
    let context = context.map(|(key, values)| (key.clone(), json!(values)));
    json!({
        "principal": counterexample.caller,
        "action": counterexample.action,
        "attested": counterexample.is_attested,
        "context": Value::Object(context.collect::<Map<_, _>>()),
    })
}

const fn danger(danger: Danger) -> &'static str {
    match danger {
        Danger::GetsIn => "gets_in",
        Danger::MakesItSo => "makes_it_so",
    }
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Hole => "hole",
        Severity::Defect => "defect",
        Severity::Warning => "warning",
    }
}

fn text(
    report: Report,
    question: &Question<'_>,
    examination: &Examination,
    left_out: &[String],
) -> Report {
    let mut report = match examination.proved() {
        Some(_) => report.good(
            "Proved: nobody gets in, plants anything or makes that possible but as said below.",
        ),
        None => report.bad("Not proved."),
    };
    for finding in examination.findings() {
        report = finding_text(report, finding);
    }
    let same =
        |a: &Admission, b: &Admission| (&a.set, &a.caller, &a.by) == (&b.set, &b.caller, &b.by);
    for admitted in examination.admissions().chunk_by(same) {
        let Admission { set, caller, by, .. } = &admitted[0];
        let actions: Vec<&str> = admitted.iter().map(|admission| admission.action).collect();
        let actions = actions.join(", ");
        report = report.field("set", format_args!("{set}: {actions} by {caller}, by {by}"));
    }
    if question.sets.is_empty() {
        report = report.field("set", "none: the key is to be closed");
    }
    for exception in examination.exceptions() {
        let Exception { caller, action, by, alarm, .. } = exception;
        let line = format_args!("{action} by {caller}, by {by}; alarm: {alarm}");
        report = report.field("exception", line);
    }
    for (caller, actions) in examination.destroyers() {
        let actions: Vec<&str> = actions.iter().copied().collect();
        report = report.field("can stop the key", format_args!("{caller}: {}", actions.join(", ")));
    }
    for image in left_out {
        report = report.warn(format_args!("{:<18}{image}", "not a set"));
    }
    for assumption in examination.assumptions() {
        report = report.field("assumed", assumption);
    }
    let (callers, steps) = examination.size();
    report.field("examined", format_args!("{callers} callers, {steps} steps"))
}

fn finding_text(report: Report, finding: &Finding) -> Report {
    let line = format!(
        "{:<18}{}: {}: {}",
        severity(finding.severity),
        finding.code,
        finding.place,
        finding.detail
    );
    let mut report = match finding.severity {
        Severity::Hole | Severity::Defect => report.bad(line),
        Severity::Warning => report.warn(line),
    };
    if let Some(counterexample) = &finding.counterexample {
        report = report.line(format_args!("    for example: {counterexample}"));
    }
    let actions: Vec<&str> = finding.actions.iter().copied().collect();
    if actions.len() > 1 {
        report = report.line(format_args!("    actions: {}", actions.join(", ")));
    }
    let callers: Vec<&str> = finding.callers.iter().map(String::as_str).collect();
    if callers.len() > 1 {
        report = report.line(format_args!("    by: {}", callers.join(", ")));
    }
    report.line(format_args!("    {}", finding.code.remedy()))
}
