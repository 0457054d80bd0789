//! Whether a key is closed to everybody but listed measurement sets: a proof, or a request by which
//! it is not.
//!
//! Asked is, for everybody who could ask and every action by which somebody gets in or makes that
//! possible, whether any request at all would be allowed that is outside the sets. The documents tell
//! only finitely many requests apart, and all of those are covered (see `values` and `search`). What
//! cannot be seen is taken to allow. The answer holds for these documents and no others: whoever may
//! change them is named in it.
//!
//! Two layers have to hold, each alone: no Allow lets in what is outside the sets, and the Deny
//! statements stop a grant, which cannot ask for attestation.

mod callers;
mod finding;
mod search;
mod sets;
mod statements;
#[cfg(test)]
mod tests;
mod values;
mod vocabulary;

pub use finding::{Admission, Code, Counterexample, Exception, Finding, Severity};
pub use search::MAX_STEPS;
pub use sets::Set;
pub use vocabulary::Danger;

use super::Actions;
use super::documents::{Barrier, Basis, Documents, Reading, Refused, Way};
use super::principal::Principal;
use callers::Caller;
use search::{Found, Goal, Search};
use sets::Sets;
use std::collections::{BTreeMap, BTreeSet};
use vocabulary::{Action, DANGEROUS, DESTRUCTIVE};

/// Whether a statement with these actions is about any action of KMS.
pub(super) fn is_about_keys(actions: &Actions) -> bool {
    vocabulary::actions().any(|action| actions.cover(action))
}

/// What is to be proved.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// What decides.
    pub documents: &'a Documents,
    /// What the key is, if that is known.
    pub description: Option<KeyDescription>,
    /// Who may get in; none for a key that is closed.
    pub sets: Vec<Set>,
    /// The roles that the appliance runs under.
    pub roles: Vec<Principal>,
    /// Who may make it so. An account's root stands for everybody in the account.
    pub administrators: Vec<Principal>,
    /// Whether an administrator may replicate the key.
    pub multi_region: bool,
    /// Whether an administrator may import the key's material: who made it can open every vault.
    pub imported_material: bool,
}

/// What KMS says of a key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Where its material comes from, for example `AWS_KMS` or `EXTERNAL`.
    pub origin: String,
    /// Whether it can have replicas in other regions.
    pub is_multi_region: bool,
}

/// The documents tell more requests apart than can be tried. That is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "too complex to prove: the conditions tell too many requests apart; use fewer condition keys \
     and wildcards"
)]
pub struct TooComplex;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Examination {
    findings: Vec<Finding>,
    exceptions: Vec<Exception>,
    admissions: Vec<Admission>,
    destroyers: Vec<(String, BTreeSet<&'static str>)>,
    assumptions: Vec<String>,
    callers: usize,
    steps: u64,
}

/// That nobody but the measurement sets gets in, under the exceptions and assumptions of the
/// examination that it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proved(());

impl Question<'_> {
    /// Examines every request that matters.
    ///
    /// # Errors
    /// [`TooComplex`] if there are more than [`MAX_STEPS`] to try.
    pub fn examine(&self) -> Result<Examination, TooComplex> {
        let mut examiner = Examiner::new(self);
        examiner.everybody()?;
        examiner.admissions()?;
        examiner.statements()?;
        examiner.description();
        Ok(examiner.finish())
    }
}

impl Examination {
    /// The proof, if there is neither a hole nor a defect.
    #[must_use]
    pub fn proved(&self) -> Option<Proved> {
        let grave = |finding: &Finding| finding.severity != Severity::Warning;
        (!self.findings.iter().any(grave)).then_some(Proved(()))
    }

    /// What is wrong, the gravest first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Who can make it so and is trusted not to.
    #[must_use]
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// Which sets get in, by whom and by what.
    #[must_use]
    pub fn admissions(&self) -> &[Admission] {
        &self.admissions
    }

    /// Who can stop or destroy the key, and by which actions: no way in, but no way back either.
    #[must_use]
    pub fn destroyers(&self) -> &[(String, BTreeSet<&'static str>)] {
        &self.destroyers
    }

    /// Under what the answer holds.
    #[must_use]
    pub fn assumptions(&self) -> &[String] {
        &self.assumptions
    }

    /// How many callers were asked about, and how many steps that took.
    #[must_use]
    pub const fn size(&self) -> (usize, u64) {
        (self.callers, self.steps)
    }
}

struct Examiner<'a> {
    question: &'a Question<'a>,
    documents: &'a Documents,
    sets: Sets,
    callers: Vec<Caller>,
    steps: u64,
    findings: BTreeMap<(Severity, Code, String), Finding>,
    exceptions: Vec<Exception>,
    admissions: Vec<Admission>,
    destroyers: BTreeMap<String, BTreeSet<&'static str>>,
}

impl<'a> Examiner<'a> {
    fn new(question: &'a Question<'a>) -> Self {
        Self {
            question,
            documents: question.documents,
            sets: Sets(question.sets.clone()),
            callers: callers::all(question),
            steps: MAX_STEPS,
            findings: BTreeMap::new(),
            exceptions: Vec::new(),
            admissions: Vec::new(),
            destroyers: BTreeMap::new(),
        }
    }

    /// Every caller and every dangerous action.
    fn everybody(&mut self) -> Result<(), TooComplex> {
        let callers = std::mem::take(&mut self.callers);
        for caller in &callers {
            for action in &DANGEROUS {
                self.dangerous(caller, action)?;
            }
            for action in DESTRUCTIVE {
                let ways = self.documents.ways(&caller.principal, action);
                if self.first(caller, action, &ways, Goal::Any)?.is_some() {
                    self.destroyers.entry(caller.label.clone()).or_default().insert(action);
                }
            }
        }
        self.callers = callers;
        Ok(())
    }

    fn dangerous(&mut self, caller: &Caller, action: &Action) -> Result<(), TooComplex> {
        let barriers = self.documents.barriers(&caller.principal, action.name, Reading::Sure);
        for way in self.documents.ways(&caller.principal, action.name) {
            let allowed = self.look(caller, action.name, &way, &barriers, Goal::Outside)?;
            if self.is_trusted(caller, action) {
                if allowed.is_some() {
                    self.except(caller, action, &way.basis);
                }
                continue;
            }
            let (code, severity) = match action.danger {
                Danger::GetsIn => (Code::Opened, Severity::Hole),
                Danger::MakesItSo => (Code::Reopenable, Severity::Hole),
            };
            if let Some(found) = allowed {
                self.find(code, severity, &way.basis, caller, action.name, found);
            } else if let Some(found) = self.look(caller, action.name, &way, &[], Goal::Outside)? {
                let code = Code::OnlyDenied;
                self.find(code, Severity::Defect, &way.basis, caller, action.name, found);
            }
        }
        if action.grantable {
            let way = Way { basis: Basis::AnyGrant, conditions: Vec::new() };
            if let Some(found) = self.look(caller, action.name, &way, &barriers, Goal::Unlisted)? {
                let shown = self.documents.grants.is_some();
                let severity = if shown { Severity::Warning } else { Severity::Hole };
                let code = Code::GrantsNotStopped;
                self.find(code, severity, &way.basis, caller, action.name, found);
            }
        }
        Ok(())
    }

    fn look(
        &mut self,
        caller: &Caller,
        action: &str,
        way: &Way<'_>,
        barriers: &[Barrier<'_>],
        goal: Goal,
    ) -> Result<Option<Found>, TooComplex> {
        let is_attestable = vocabulary::is_attestable(action);
        let (conditions, sets) = (way.conditions.as_slice(), &self.sets);
        let search = Search { caller, is_attestable, conditions, barriers, sets, goal };
        search.run(&mut self.steps)
    }

    /// The first of the ways by which such a request is allowed, and the request.
    fn first<'w>(
        &mut self,
        caller: &Caller,
        action: &str,
        ways: &'w [Way<'w>],
        goal: Goal,
    ) -> Result<Option<(&'w Way<'w>, Found)>, TooComplex> {
        let documents = self.documents;
        let barriers = documents.barriers(&caller.principal, action, Reading::Sure);
        for way in ways {
            if let Some(found) = self.look(caller, action, way, &barriers, goal)? {
                return Ok(Some((way, found)));
            }
        }
        Ok(None)
    }

    /// Whether this is what the question excepts.
    fn is_trusted(&self, caller: &Caller, action: &Action) -> bool {
        let excepted = match action.name {
            "kms:PutKeyPolicy" => true,
            "kms:ReplicateKey" => self.question.multi_region,
            "kms:ImportKeyMaterial" => self.question.imported_material,
            _ => false,
        };
        let is = |named: &Principal| {
            let principal = &caller.principal;
            let of_account = named.is_root() && named.account() == principal.account();
            of_account || principal.own_names().contains(&named.name())
        };
        excepted && self.question.administrators.iter().any(is)
    }

    fn except(&mut self, caller: &Caller, action: &Action, basis: &Basis) {
        let (caller, by) = (caller.label.clone(), basis.to_string());
        let alarm = finding::alarm(action.name);
        self.exceptions.push(Exception {
            caller,
            action: action.name,
            by,
            danger: action.danger,
            alarm,
        });
    }

    fn find(
        &mut self,
        code: Code,
        severity: Severity,
        basis: &Basis,
        caller: &Caller,
        action: &'static str,
        found: Found,
    ) {
        let place = basis.to_string();
        let entries = found.context.entries();
        let context = entries.map(|(key, values)| (key.to_owned(), values.to_vec())).collect();
        let counterexample = Counterexample {
            caller: caller.label.clone(),
            action,
            is_attested: found.is_attested,
            context,
        };
        let detail = match code {
            Code::Opened => "lets somebody in without a listed measurement set",
            Code::Reopenable => "lets somebody change who gets in",
            Code::OnlyDenied => "allows what only a Deny stops",
            Code::GrantsNotStopped => "would let somebody in: no Deny stops it",
            _ => "lets somebody else ask under a listed measurement set",
        };
        let finding = self.add(code, severity, place, detail.to_owned());
        finding.counterexample.get_or_insert(counterexample);
        finding.actions.insert(action);
        finding.callers.insert(caller.label.clone());
    }

    /// The finding of this code at this place, made if it is the first.
    fn add(
        &mut self,
        code: Code,
        severity: Severity,
        place: String,
        detail: String,
    ) -> &mut Finding {
        self.findings.entry((severity, code, place.clone())).or_insert_with(|| Finding {
            code,
            severity,
            place,
            detail,
            counterexample: None,
            actions: BTreeSet::new(),
            callers: BTreeSet::new(),
        })
    }

    /// Which sets get in, and who may ask for them.
    fn admissions(&mut self) -> Result<(), TooComplex> {
        let callers = std::mem::take(&mut self.callers);
        for index in 0..self.question.sets.len() {
            let mut opens = false;
            for caller in &callers {
                let is = |role: &Principal| caller.principal.own_names().contains(&role.name());
                let is_role = self.question.roles.iter().any(is);
                for action in DANGEROUS.iter().filter(|action| action.attestable) {
                    let admitted = self.admit(index, caller, is_role, action)?;
                    opens |= admitted && is_role && action.name == "kms:Decrypt";
                }
            }
            if !opens {
                let roles: Vec<&Caller> = callers
                    .iter()
                    .filter(|c| {
                        self.question
                            .roles
                            .iter()
                            .any(|r| c.principal.own_names().contains(&r.name()))
                    })
                    .collect();
                self.not_admitted(index, &roles)?;
            }
        }
        self.callers = callers;
        Ok(())
    }

    fn admit(
        &mut self,
        set: usize,
        caller: &Caller,
        is_role: bool,
        action: &Action,
    ) -> Result<bool, TooComplex> {
        let ways = self.documents.ways(&caller.principal, action.name);
        let Some((way, found)) = self.first(caller, action.name, &ways, Goal::Inside(set))? else {
            return Ok(false);
        };
        if is_role {
            self.admissions.push(Admission {
                set: self.question.sets[set].name().to_owned(),
                caller: caller.label.clone(),
                action: action.name,
                by: way.basis.to_string(),
            });
        } else {
            let severity = Severity::Warning;
            self.find(Code::AdmitsOthers, severity, &way.basis, caller, action.name, found);
        }
        Ok(true)
    }

    /// What the key is can undo whatever its policy says.
    fn description(&mut self) {
        let Some(KeyDescription { origin, is_multi_region }) = &self.question.description else {
            return;
        };
        let place = || "the key".to_owned();
        if origin != "AWS_KMS" && !(origin == "EXTERNAL" && self.question.imported_material) {
            let detail = format!("its material is of origin {origin}: whoever has it can get in");
            self.add(Code::ForeignMaterial, Severity::Hole, place(), detail);
        }
        if *is_multi_region && !self.question.multi_region {
            let detail = "it is a multi-region key, whose replicas have policies of their own";
            self.add(Code::MultiRegion, Severity::Defect, place(), detail.to_owned());
        }
    }

    /// Says of a set that it cannot get in, and what stops it.
    fn not_admitted(&mut self, set: usize, roles: &[&Caller]) -> Result<(), TooComplex> {
        let (goal, action) = (Goal::Inside(set), "kms:Decrypt");
        let mut why = "no statement allows kms:Decrypt under it".to_owned();
        for caller in roles {
            for way in self.documents.ways(&caller.principal, action) {
                let Some(found) = self.look(caller, action, &way, &[], goal)? else { continue };
                let decided = self.documents.authorize(&caller.principal, action, &found.context);
                if let Err(Refused::Denied(stop)) = decided {
                    why =
                        format!("{} allows kms:Decrypt under it, and {stop} denies it", way.basis);
                }
            }
        }
        let place = self.question.sets[set].name().to_owned();
        self.add(Code::SetNotAdmitted, Severity::Defect, place, why);
        Ok(())
    }

    fn finish(self) -> Examination {
        let assumptions = self.assumptions();
        Examination {
            assumptions,
            findings: self.findings.into_values().collect(),
            exceptions: self.exceptions,
            admissions: self.admissions,
            destroyers: self.destroyers.into_iter().collect(),
            callers: self.callers.len(),
            steps: MAX_STEPS - self.steps,
        }
    }

    fn assumptions(&self) -> Vec<String> {
        let mut all = vec![
            "The documents are the key's and stay as they are; whoever may change them is named."
                .to_owned(),
        ];
        if self.documents.grants.is_none() {
            let mixed = "No grants were shown. The Deny statements stop one from letting in what \
                         has a register of no listed set";
            let more = "; registers of different sets together it could let in: show the grants \
                        to rule that out";
            let several = if self.question.sets.len() > 1 { more } else { "" };
            all.push(format!("{mixed}{several}."));
        }
        if !self.documents.service_control.is_empty() {
            all.push(
                "The account is bound by the service control policies: it is not its \
                 organization's management account."
                    .to_owned(),
            );
        }
        if !self.documents.identities.is_empty() {
            all.push("Whose IAM policies were shown has no others.".to_owned());
        }
        if self.documents.identities_complete {
            all.push("The account has no IAM policies but those that were shown.".to_owned());
        }
        all
    }
}
