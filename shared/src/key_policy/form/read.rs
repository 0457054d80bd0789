//! From a policy's text to what it says, or to the first thing that is not of the form.

use super::{
    ADMINISTRATION, AUDIT, AdmittedSet, Conditions, EQUALS_IGNORE_CASE, EntityArn, IMPORT,
    IMPORT_MATERIAL, MAKE, MAX_PRINCIPALS, MAX_SETS, NOBODY, OPEN, REGISTER_PREFIX, REGISTERS,
    REPLICATE, REPLICATION, VaultName, measured, only, with_second_factor,
};
use crate::attestation::pcr::Pcr;
use crate::key_policy::MAX_POLICY;
use crate::key_policy::json::Json;
use std::collections::{BTreeMap, BTreeSet};

/// A policy that is of the form: who may do what with the key is all here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// Who may change the key or its policy, break-glass among them.
    pub administrators: BTreeSet<EntityArn>,
    /// Whom the key opens for.
    pub sets: BTreeSet<AdmittedSet>,
    /// Whether the account's IAM policies decide too. What the policy denies, they cannot allow.
    pub account_root: bool,
    /// Whether an administrator may replicate the key.
    pub multi_region: bool,
    /// Whether an administrator may import its material.
    pub imported_material: bool,
}

/// Why a policy is not of the form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FormError {
    #[error("the key policy is longer than {MAX_POLICY} bytes")]
    TooLong,
    #[error("the key policy is not JSON without duplicate names")]
    Json,
    #[error("the key policy has a part that is not of the form")]
    Document,
    #[error("statement {0} of the key policy is not one of the form's")]
    Statement(usize),
    #[error("the key policy does not deny everybody {0}")]
    NotDenied(&'static str),
    #[error(
        "the key policy names more than {MAX_SETS} sets or {MAX_PRINCIPALS} principals of a kind"
    )]
    TooMany,
}

impl Form {
    /// Reads a policy for this vault's key in this account (12 digits).
    ///
    /// # Errors
    /// [`FormError`]: there is no telling then whom the key opens for.
    pub fn read(text: &str, account: &str, vault: &VaultName) -> Result<Self, FormError> {
        if text.len() > MAX_POLICY {
            return Err(FormError::TooLong);
        }
        let document = Json::parse(text).map_err(|_| FormError::Json)?;
        let statements = statements(document).ok_or(FormError::Document)?;
        let mut reading = Reading { account, vault, form: Self::default(), denials: Vec::new() };
        for (index, json) in statements.into_iter().enumerate() {
            let statement = Statement::read(json).ok_or(FormError::Statement(index))?;
            reading.take(statement).ok_or(FormError::Statement(index))?;
        }
        reading.finish()
    }
}

/// What the document holds beside its statements is its version and, perhaps, its name.
fn statements(document: Json) -> Option<Vec<Json>> {
    let Json::Object(mut fields) = document else { return None };
    let version = fields.remove("Version").and_then(text)?;
    let statements = match fields.remove("Statement")? {
        Json::Array(statements) => statements,
        one @ Json::Object(_) => vec![one],
        _ => return None,
    };
    let id_is_text = fields.remove("Id").is_none_or(|id| text(id).is_some());
    (version == "2012-10-17" && id_is_text && fields.is_empty()).then_some(statements)
}

/// One statement without a meaning yet. Its order, its name and the order in its lists carry none.
struct Statement {
    denies: bool,
    /// `None`: everybody.
    principals: Option<BTreeSet<String>>,
    actions: BTreeSet<String>,
    conditions: Conditions,
}

impl Statement {
    /// A statement of Effect, Principal, Action, Resource "*", and no other part but a name and
    /// conditions. `None` for all others, NotPrincipal, NotAction and NotResource among them.
    fn read(json: Json) -> Option<Self> {
        let Json::Object(mut fields) = json else { return None };
        let denies = match text(fields.remove("Effect")?)?.as_str() {
            "Allow" => false,
            "Deny" => true,
            _ => return None,
        };
        let principals = principals(fields.remove("Principal")?)?;
        let actions = texts(fields.remove("Action")?)?;
        let everything = BTreeSet::from(["*".to_owned()]);
        let resource_is_key = texts(fields.remove("Resource")?)? == everything;
        let conditions = match fields.remove("Condition") {
            Some(json) => conditions(json)?,
            None => Conditions::new(),
        };
        let sid_is_text = fields.remove("Sid").is_none_or(|sid| text(sid).is_some());
        let whole = resource_is_key && sid_is_text && fields.is_empty();
        whole.then_some(Self { denies, principals, actions, conditions })
    }
}

/// The policy's statements, as far as they were taken.
struct Reading<'a> {
    account: &'a str,
    vault: &'a VaultName,
    form: Form,
    /// What is denied to everybody, and under which conditions.
    denials: Vec<(BTreeSet<String>, Conditions)>,
}

impl Reading<'_> {
    /// Takes a statement of the form.
    fn take(&mut self, statement: Statement) -> Option<()> {
        let Statement { denies, principals, actions, conditions } = statement;
        match (denies, principals) {
            (true, None) => {
                self.denials.push((actions, conditions));
                Some(())
            }
            (false, Some(who)) if self.is_delegation(&who, &actions, &conditions) => {
                self.form.account_root = true;
                Some(())
            }
            (false, Some(who)) => self.take_allow(&entities(&who)?, &actions, &conditions),
            // A Deny of some stops less than it seems to; an Allow of everybody is none of ours.
            (true, Some(_)) | (false, None) => None,
        }
    }

    /// Everything handed to the account's own IAM policies (KMS developer guide,
    /// key-policy-default-allow-root-enable-iam).
    fn is_delegation(
        &self,
        who: &BTreeSet<String>,
        actions: &BTreeSet<String>,
        conditions: &Conditions,
    ) -> bool {
        let roots = ["aws", "aws-cn", "aws-us-gov"]
            .map(|partition| format!("arn:{partition}:iam::{}:root", self.account));
        let is_root = |name: &String| roots.contains(name) || *name == self.account;
        let all = BTreeSet::from(["kms:*".to_owned()]);
        who.len() == 1 && who.iter().all(is_root) && *actions == all && conditions.is_empty()
    }

    fn take_allow(
        &mut self,
        who: &BTreeSet<EntityArn>,
        actions: &BTreeSet<String>,
        conditions: &Conditions,
    ) -> Option<()> {
        let within = |list: &[&[&str]]| {
            actions.iter().all(|action| list.iter().any(|part| part.contains(&action.as_str())))
        };
        if within(&[&[OPEN, MAKE]]) {
            return self.take_measured(conditions);
        }
        let plain = conditions.is_empty();
        if plain && within(&[&AUDIT]) {
            return Some(());
        }
        if (plain || *conditions == with_second_factor())
            && within(&[&ADMINISTRATION, &REPLICATION, &IMPORT])
        {
            self.form.administrators.extend(who.iter().cloned());
            self.form.multi_region |= actions.contains(REPLICATE);
            self.form.imported_material |= actions.contains(IMPORT_MATERIAL);
            return Some(());
        }
        None
    }

    /// The registers are taken from the conditions, and the conditions must then be exactly those
    /// that the form has for these registers and this vault.
    fn take_measured(&mut self, conditions: &Conditions) -> Option<()> {
        let mut registers = BTreeMap::new();
        for (key, values) in conditions.get(EQUALS_IGNORE_CASE)? {
            let index = key.strip_prefix(REGISTER_PREFIX)?;
            let index = REGISTERS.into_iter().find(|register| register.to_string() == index)?;
            let [value] = values.iter().collect::<Vec<_>>()[..] else { return None };
            let mut register: Pcr = [0; 48];
            hex::decode_to_slice(value, &mut register).ok()?;
            registers.insert(index, register);
        }
        let set = AdmittedSet::from_registers(&registers)?;
        if set.has_zeros() || *conditions != measured(&set, self.vault) {
            return None;
        }
        self.form.sets.insert(set);
        Some(())
    }

    /// What must be denied is known once every set was taken.
    fn finish(self) -> Result<Form, FormError> {
        let form = &self.form;
        if form.sets.len() > MAX_SETS || form.administrators.len() > 2 * MAX_PRINCIPALS {
            return Err(FormError::TooMany);
        }
        let sets: Vec<AdmittedSet> = form.sets.iter().copied().collect();
        let every_set_names = |index| sets.iter().all(|set| set.registers().contains_key(&index));
        for action in [OPEN, MAKE] {
            // Of a closed key everything is denied, which is more than any register's own Deny.
            let closed = sets.is_empty() && self.denies(action, &Conditions::new());
            let pinned = || {
                REGISTERS
                    .into_iter()
                    .filter(|index| every_set_names(*index))
                    .all(|index| self.denies(action, &only(index, &sets)))
            };
            if !closed && (sets.is_empty() || !pinned()) {
                return Err(FormError::NotDenied("unattested use, or use by other registers"));
            }
        }
        let by_switch = [(REPLICATE, form.multi_region), (IMPORT_MATERIAL, form.imported_material)];
        let always = NOBODY.into_iter().map(|action| (action, false));
        for (action, is_given) in always.chain(by_switch) {
            if !is_given && !self.denies(action, &Conditions::new()) {
                return Err(FormError::NotDenied(action));
            }
        }
        self.every_denial_is_known(&sets).then_some(self.form).ok_or(FormError::Document)
    }

    fn denies(&self, action: &str, under: &Conditions) -> bool {
        self.denials.iter().any(|(what, when)| when == under && what.contains(action))
    }

    /// A Deny opens nothing, but one with conditions of its own was written for something that is
    /// not understood here.
    fn every_denial_is_known(&self, sets: &[AdmittedSet]) -> bool {
        let known = |when: &Conditions| {
            when.is_empty() || REGISTERS.into_iter().any(|index| *when == only(index, sets))
        };
        self.denials.iter().all(|(_, when)| known(when))
    }
}

fn entities(names: &BTreeSet<String>) -> Option<BTreeSet<EntityArn>> {
    names.iter().map(|name| name.parse().ok()).collect()
}

/// `Some(None)` is everybody.
fn principals(json: Json) -> Option<Option<BTreeSet<String>>> {
    let named = match json {
        Json::String(all) if all == "*" => return Some(None),
        Json::Object(mut kinds) => {
            let named = texts(kinds.remove("AWS")?)?;
            kinds.is_empty().then_some(named)?
        }
        _ => return None,
    };
    if named.contains("*") { (named.len() == 1).then_some(None) } else { Some(Some(named)) }
}

fn conditions(json: Json) -> Option<Conditions> {
    let Json::Object(operators) = json else { return None };
    let keys = |json| {
        let Json::Object(keys) = json else { return None };
        keys.into_iter().map(|(key, values)| Some((key, texts(values)?))).collect()
    };
    operators.into_iter().map(|(operator, json)| Some((operator, keys(json)?))).collect()
}

/// A list of texts that is not empty, or the one text that stands for a list of one.
fn texts(json: Json) -> Option<BTreeSet<String>> {
    match json {
        Json::Array(items) if !items.is_empty() => items.into_iter().map(text).collect(),
        Json::Array(_) => None,
        one => text(one).map(|text| BTreeSet::from([text])),
    }
}

/// A text; a policy variable in it takes its value from the request, so it is none.
fn text(json: Json) -> Option<String> {
    match json {
        Json::String(text) if !text.contains("${") => Some(text),
        _ => None,
    }
}
