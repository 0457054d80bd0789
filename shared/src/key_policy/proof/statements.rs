//! What is wrong with a statement as such, whoever asks: it never applies, names what does not
//! exist, or is about everything but what it lists.

use super::super::condition::Condition;
use super::super::documents::{Basis, Way};
use super::super::principal::Principals;
use super::super::{Actions, Effect, Resources, Statement, StatementRef};
use super::search::Goal;
use super::vocabulary::{actions, is_known};
use super::{Code, Examiner, Severity, TooComplex};

impl Examiner<'_> {
    pub(super) fn statements(&mut self) -> Result<(), TooComplex> {
        let documents = self.documents;
        let identities = documents.identities.iter().map(|identity| {
            (format!("IAM policies of {}", identity.principal), &identity.policy.statements)
        });
        let scps = documents.service_control.iter();
        let scps = scps.map(|p| ("a service control policy".to_owned(), &p.statements));
        let own = ("the key policy".to_owned(), &documents.policy.statements);
        for (index, (of, statements)) in [own].into_iter().chain(identities).chain(scps).enumerate()
        {
            for (place, statement) in statements.iter().enumerate() {
                let named = StatementRef { index: place, sid: statement.sid.clone() };
                let is_own = index == 0;
                self.statement(&format!("{of}: {named}"), statement, is_own)?;
            }
        }
        Ok(())
    }

    fn statement(
        &mut self,
        place: &str,
        statement: &Statement,
        is_own: bool,
    ) -> Result<(), TooComplex> {
        let covered: Vec<_> = actions().filter(|action| statement.actions.cover(action)).collect();
        if is_own {
            self.unknown_actions(place, statement);
            self.all_but(place, statement);
        }
        if covered.is_empty() {
            return Ok(());
        }
        self.unknown_keys(place, &statement.conditions);
        if is_own && !self.applies(statement, &covered)? {
            let detail = if statement.resources.cover(&self.documents.key) {
                "no request can meet its conditions"
            } else {
                "its Resource is not this key"
            };
            self.add(Code::NeverMatches, Severity::Defect, place.to_owned(), detail.to_owned());
        }
        Ok(())
    }

    fn unknown_actions(&mut self, place: &str, statement: &Statement) {
        let (Actions::These(patterns) | Actions::AllBut(patterns)) = &statement.actions;
        let exists = |pattern: &&String| {
            actions().any(|action| super::super::pattern::matches(pattern, &action.to_lowercase()))
        };
        let unknown: Vec<&str> =
            patterns.iter().filter(|p| !exists(p)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let detail = format!("KMS has no action {}", unknown.join(", "));
            // What an Allow misses is found as a set that cannot get in; a Deny is missed silently.
            let severity = match statement.effect {
                Effect::Allow => Severity::Warning,
                Effect::Deny => Severity::Defect,
            };
            self.add(Code::UnknownAction, severity, place.to_owned(), detail);
        }
    }

    fn all_but(&mut self, place: &str, statement: &Statement) {
        let principals = matches!(statement.principals, Principals::AllBut(_));
        let actions = matches!(statement.actions, Actions::AllBut(_));
        let resources = matches!(statement.resources, Resources::AllBut(_));
        let named: Vec<&str> =
            [("NotPrincipal", principals), ("NotAction", actions), ("NotResource", resources)]
                .into_iter()
                .filter_map(|(name, is)| is.then_some(name))
                .collect();
        if !named.is_empty() {
            let detail = format!("uses {}", named.join(" and "));
            self.add(Code::AllBut, Severity::Defect, place.to_owned(), detail);
        }
    }

    fn unknown_keys(&mut self, place: &str, conditions: &[Condition]) {
        let unknown: Vec<&str> =
            conditions.iter().map(|c| c.key.as_str()).filter(|key| !is_known(key)).collect();
        if !unknown.is_empty() {
            let detail = format!("AWS has no condition key {}", unknown.join(", "));
            self.add(Code::UnknownConditionKey, Severity::Defect, place.to_owned(), detail);
        }
    }

    /// Whether any request at all meets the statement's own conditions.
    fn applies(&mut self, statement: &Statement, covered: &[&str]) -> Result<bool, TooComplex> {
        if !statement.resources.cover(&self.documents.key) {
            return Ok(false);
        }
        let conditions = statement.conditions.iter().collect();
        let way = Way { basis: Basis::AnyGrant, conditions };
        let callers = std::mem::take(&mut self.callers);
        let mut applies = false;
        'search: for caller in &callers {
            for action in covered {
                if self.look(caller, action, &way, &[], Goal::Any)?.is_some() {
                    applies = true;
                    break 'search;
                }
            }
        }
        self.callers = callers;
        Ok(applies)
    }
}
