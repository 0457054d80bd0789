//! Looks for a request in the space of all contexts: one that meets given conditions, passes every
//! Deny and is outside the measurement sets, or inside one.
//!
//! Each condition key that is read is a variable, with the cases that its conditions tell apart. The
//! search gives the variables cases one after another and turns back as soon as a Deny is complete;
//! so it covers the whole product without visiting it. Not every combination can occur (an encryption
//! context and its list of keys are taken as independent): that can only find too much.
//!
//! Of the keys of an attestation document, none is present without a document, and an action that
//! takes none never has one. With a document the registers 0 to 15 are present, the others may be,
//! and PCR0 and ImageSha384 are the same.

use super::super::condition::{Condition, Context, MULTIVALUED, Over};
use super::super::documents::Barrier;
use super::TooComplex;
use super::callers::{Caller, Known};
use super::sets::Sets;
use super::values::{Case, Domain, cases};
use super::vocabulary::{is_attestation, is_known, register, register_keys};
use std::collections::BTreeMap;

/// The most steps of all searches for one examination: some seconds.
pub const MAX_STEPS: u64 = 1 << 22;

/// What kind of request is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Any at all.
    Any,
    /// One that matches no measurement set.
    Outside,
    /// One of whose registers at least one has a value of no measurement set.
    Unlisted,
    /// One of this measurement set.
    Inside(usize),
}

/// What is looked for.
pub(super) struct Search<'a> {
    pub(super) caller: &'a Caller,
    pub(super) is_attestable: bool,
    pub(super) conditions: &'a [&'a Condition],
    pub(super) barriers: &'a [Barrier<'a>],
    pub(super) sets: &'a Sets,
    pub(super) goal: Goal,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) context: Context,
    /// Whether the request carries an attestation document.
    pub(super) is_attested: bool,
}

/// One condition key, or the two names of PCR0.
struct Variable {
    keys: Vec<String>,
    register: Option<u8>,
    is_attestation: bool,
    cases: Vec<Case>,
    /// For each case, whether the conditions on these keys that must hold do.
    admitted: Vec<bool>,
}

/// One Deny: the variables that it reads and, for each of their cases, whether its conditions hold.
struct Wall(Vec<(usize, Vec<bool>)>);

impl Search<'_> {
    /// A request as it is looked for, if there is one.
    pub(super) fn run(&self, steps: &mut u64) -> Result<Option<Found>, TooComplex> {
        if self.barriers.iter().any(|barrier| barrier.conditions.is_empty()) {
            return Ok(None);
        }
        let variables = self.variables()?;
        let walls = self.walls(&variables);
        for is_attested in [false, true] {
            let possible = match (is_attested, self.goal) {
                (true, _) => self.is_attestable,
                (false, Goal::Inside(_)) => false,
                (false, _) => true,
            };
            if !possible {
                continue;
            }
            let chosen = vec![0; variables.len()];
            let mut walk =
                Walk { search: self, variables: &variables, walls: &walls, chosen, is_attested };
            if walk.descend(0, steps)? {
                return Ok(Some(Found { context: walk.context(), is_attested }));
            }
        }
        Ok(None)
    }

    /// The variables: first those of the attestation document.
    fn variables(&self) -> Result<Vec<Variable>, TooComplex> {
        let denying = self.barriers.iter().flat_map(|barrier| barrier.conditions);
        let mut by_name: BTreeMap<(bool, String), Vec<&Condition>> = BTreeMap::new();
        let name = |key: &str| {
            let key = register(key)
                .map_or_else(|| key.to_owned(), |index| register_keys(index).remove(0));
            (!is_attestation(&key), key)
        };
        for condition in self.conditions.iter().copied().chain(denying) {
            by_name.entry(name(&condition.key)).or_default().push(condition);
        }
        if self.is_attestable {
            for index in self.sets.registers() {
                by_name.entry(name(&register_keys(index)[0])).or_default();
            }
        }
        by_name.into_iter().map(|((_, key), on_it)| self.variable(&key, &on_it)).collect()
    }

    fn variable(&self, key: &str, on_it: &[&Condition]) -> Result<Variable, TooComplex> {
        let register = register(key);
        let keys = register.map_or_else(|| vec![key.to_owned()], register_keys);
        // Under one name, so that the cases are those of all; each is tried under every name.
        let mut renamed: Vec<Condition> =
            on_it.iter().map(|c| Condition { key: key.to_owned(), ..(*c).clone() }).collect();
        let known = self.caller.known(key);
        let apart: Vec<String> = match (register, known) {
            (Some(index), _) => self.sets.values(index),
            (None, Some(Known::Is(value))) => vec![value.clone()],
            (None, Some(Known::NoneOf(values))) => values.clone(),
            (None, None) => Vec::new(),
        };
        renamed.extend(apart.into_iter().map(|v| Condition::equals(key, [v], Over::Plain)));
        let domain = if register.is_some() { Domain::Register } else { Domain::Text };
        let is_multivalued = MULTIVALUED.contains(&key) || !is_known(key);
        let conditions: Vec<&Condition> = renamed.iter().collect();
        let mut cases = cases(key, &conditions, domain, is_multivalued)?;
        cases.retain(|case| possible(known, case));
        let required = self.conditions.iter().filter(|c| keys.contains(&c.key));
        let required: Vec<&Condition> = required.copied().collect();
        let admitted = cases
            .iter()
            .map(|case| {
                let context = context_of(&keys, case);
                required.iter().all(|condition| condition.holds(&context))
            })
            .collect();
        Ok(Variable { is_attestation: is_attestation(key), keys, register, cases, admitted })
    }

    fn walls(&self, variables: &[Variable]) -> Vec<Wall> {
        let wall = |barrier: &Barrier<'_>| {
            let read = variables.iter().enumerate().filter_map(|(index, variable)| {
                let own = barrier.conditions.iter().filter(|c| variable.keys.contains(&c.key));
                let own: Vec<&Condition> = own.collect();
                let holds = |case: &Case| {
                    let context = context_of(&variable.keys, case);
                    own.iter().all(|condition| condition.holds(&context))
                };
                (!own.is_empty()).then(|| (index, variable.cases.iter().map(holds).collect()))
            });
            Wall(read.collect())
        };
        self.barriers.iter().map(wall).collect()
    }
}

/// Whether what is known of the caller leaves this case.
fn possible(known: Option<&Known>, case: &Case) -> bool {
    let value = match case.as_deref() {
        Some([value]) => Some(value),
        _ => None,
    };
    match known {
        None => true,
        Some(Known::Is(known)) => value == Some(known),
        Some(Known::NoneOf(others)) => value.is_none_or(|value| !others.contains(value)),
    }
}

fn context_of(keys: &[String], case: &Case) -> Context {
    let mut context = Context::default();
    if let Some(values) = case {
        for key in keys {
            context.insert(key, values.iter().map(String::as_str));
        }
    }
    context
}

struct Walk<'a> {
    search: &'a Search<'a>,
    variables: &'a [Variable],
    walls: &'a [Wall],
    chosen: Vec<usize>,
    is_attested: bool,
}

impl Walk<'_> {
    /// Gives cases to the variables from this one on; whether all could be given one.
    fn descend(&mut self, depth: usize, steps: &mut u64) -> Result<bool, TooComplex> {
        *steps = steps.checked_sub(1).ok_or(TooComplex)?;
        let of_document = self.variables.iter().take_while(|v| v.is_attestation).count();
        if depth == of_document && !self.is_wanted() {
            return Ok(false);
        }
        let Some(variable) = self.variables.get(depth) else { return Ok(true) };
        for case in 0..variable.cases.len() {
            if !variable.admitted[case] || !self.can_occur(variable, &variable.cases[case]) {
                continue;
            }
            self.chosen[depth] = case;
            if !self.is_denied(depth) && self.descend(depth + 1, steps)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn can_occur(&self, variable: &Variable, case: &Case) -> bool {
        if !variable.is_attestation {
            return true;
        }
        let always = variable.register.is_some_and(|index| index < 16);
        let occurs = match (self.is_attested, case) {
            (false, case) => case.is_none(),
            (true, None) => !always,
            (true, Some(_)) => true,
        };
        let wanted = match (self.search.goal, variable.register) {
            (Goal::Inside(set), Some(index)) => {
                let expected = self.search.sets.value(set, index);
                expected.is_none_or(|e| case.as_deref() == Some(std::slice::from_ref(&e)))
            }
            _ => true,
        };
        occurs && wanted
    }

    /// Whether a Deny holds whose last variable is this one.
    fn is_denied(&self, depth: usize) -> bool {
        self.walls.iter().any(|Wall(read)| {
            read.last().is_some_and(|(last, _)| *last == depth)
                && read.iter().all(|(variable, holds)| holds[self.chosen[*variable]])
        })
    }

    /// Whether the document, whose variables all have their cases, is as it is looked for.
    fn is_wanted(&self) -> bool {
        let value = |index: u8| {
            let place = self.variables.iter().position(|v| v.register == Some(index))?;
            self.variables[place].cases[self.chosen[place]].as_ref()?.first()
        };
        match self.search.goal {
            Goal::Any | Goal::Inside(_) => true,
            Goal::Outside => !(self.is_attested && self.search.sets.contain(&value)),
            Goal::Unlisted => !(self.is_attested && self.search.sets.list(&value)),
        }
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        for (variable, case) in self.variables.iter().zip(&self.chosen) {
            if let Some(values) = &variable.cases[*case] {
                for key in &variable.keys {
                    context.insert(key, values.iter().map(String::as_str));
                }
            }
        }
        context
    }
}
