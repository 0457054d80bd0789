//! The manifest's rules, sorted by what they can be about, and what they say to a request.
//!
//! Cedar evaluates each rule's condition; how the answers combine is here, and it is stricter than
//! Cedar's own way: an error anywhere refuses. Which rules can be about an action and a kind of caller
//! is known at load, so a decision evaluates no others. A test compares every decision with Cedar's
//! own authorizer.

use super::entity::Action;
use super::load::{Needs, Reach};
use cedar_policy::{
    ActionConstraint, Effect, Entities, EntityUid, EvalResult, Expression, Policy,
    PrincipalConstraint, Request, ResourceConstraint, eval_expression,
};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::sync::Arc;

/// Whether the caller proved itself, as the schema's entity types have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerKind {
    Client,
    Asserted,
}

/// One rule.
pub(super) struct Rule {
    name: String,
    /// From 0, in the manifest.
    place: usize,
    forbids: bool,
    condition: Expression,
}

impl Rule {
    /// What people call it: `rule "its @id"`, or `rule N` by its place.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands in the manifest's order.
    pub(super) const fn place(&self) -> usize {
        self.place
    }

    pub(super) const fn forbids(&self) -> bool {
        self.forbids
    }
}

/// The rules that can be about one action by one kind of caller.
#[derive(Default)]
pub(super) struct Docket {
    rules: Vec<Arc<Rule>>,
    /// What they look at in the context.
    pub(super) needs: Needs,
    /// What they look at besides.
    pub(super) reach: Reach,
}

/// All rules, by action and kind of caller.
pub(super) struct Rules(Vec<[Docket; 2]>);

/// What the rules say to one request, each by its name, in the manifest's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The rules that permit it.
    pub permitting: Vec<String>,
    /// The rules that forbid it.
    pub forbidding: Vec<String>,
    /// The rules that could not be evaluated.
    pub failing: Vec<String>,
}

impl Rules {
    /// Sorts rules that passed the load's checks; each with its name and Cedar's JSON form.
    pub(super) fn new(rules: &[(String, Policy, serde_json::Value)]) -> Self {
        let mut dockets: Vec<[Docket; 2]> = Action::all().map(|_| Default::default()).collect();
        for (place, (name, policy, json)) in rules.iter().enumerate() {
            let (name, forbids) = (name.clone(), policy.effect() == Effect::Forbid);
            let rule = Arc::new(Rule { name, place, forbids, condition: condition(policy) });
            for action in Action::all().filter(|action| is_about(policy, *action)) {
                for kind in [CallerKind::Client, CallerKind::Asserted] {
                    if is_for(policy, kind) {
                        let docket = &mut dockets[action as usize][kind as usize];
                        docket.rules.push(rule.clone());
                        docket.needs.add(json, &mut docket.reach);
                    }
                }
            }
        }
        Self(dockets)
    }

    pub(super) fn docket(&self, action: Action, kind: CallerKind) -> &Docket {
        &self.0[action as usize][kind as usize]
    }
}

impl Docket {
    /// Its rules, in the manifest's order.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(Arc::as_ref)
    }

    /// Asks every rule.
    pub(super) fn ask(&self, request: &Request, entities: &Entities) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &self.rules {
            let said = match eval_expression(request, entities, &rule.condition) {
                Ok(EvalResult::Bool(false)) => continue,
                Ok(EvalResult::Bool(true)) if rule.forbids => &mut verdict.forbidding,
                Ok(EvalResult::Bool(true)) => &mut verdict.permitting,
                Ok(_) | Err(_) => &mut verdict.failing,
            };
            said.push(rule.name.clone());
        }
        verdict
    }
}

impl Verdict {
    /// A rule that permits, none that forbids and none that failed is the one answer that approves.
    pub(super) fn judge(&self, action: Action) -> Result<(), Refusal> {
        let action = action.name();
        if let Some(rule) = self.failing.first() {
            let text = format!("{rule} cannot be evaluated for this request, and that refuses it");
            return Err(Refusal::new(RefusalCode::PolicyError, text));
        }
        if let Some(rule) = self.forbidding.first() {
            return Err(Refusal::new(
                RefusalCode::PolicyDenied,
                format!("{rule} forbids this {action}"),
            ));
        }
        if self.permitting.is_empty() {
            return Err(Refusal::new(
                RefusalCode::PolicyDenied,
                format!("no rule permits this {action}"),
            ));
        }
        Ok(())
    }
}

/// What must hold for the rule to match, once its action is known to.
fn condition(policy: &Policy) -> Expression {
    let (rule, principal) = (policy.as_ref(), policy.principal_constraint());
    if principal != PrincipalConstraint::Any
        || policy.resource_constraint() != ResourceConstraint::Any
    {
        return rule.condition().into();
    }
    match rule.non_scope_constraints() {
        Some(condition) => condition.clone().into(),
        None => Expression::new_bool(true),
    }
}

fn is_about(policy: &Policy, action: Action) -> bool {
    let named = |uid: &EntityUid, name: &str| uid.id().unescaped() == name;
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(uid) => named(&uid, action.name()),
        ActionConstraint::In(uids) => uids.iter().any(|uid| {
            named(uid, action.name()) || action.group().is_some_and(|group| named(uid, group))
        }),
    }
}

/// Whether the scope leaves room for this kind of caller: the two kinds have no entity in common.
fn is_for(policy: &Policy, kind: CallerKind) -> bool {
    let named = match policy.principal_constraint() {
        PrincipalConstraint::Any => return true,
        PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) => uid.type_name().clone(),
        PrincipalConstraint::Is(of) | PrincipalConstraint::IsIn(of, _) => of,
    };
    match named.basename() {
        "Client" | "ClientGroup" => kind == CallerKind::Client,
        "AssertedClient" | "AssertedGroup" => kind == CallerKind::Asserted,
        _ => true,
    }
}
