//! Everything that decides about a request to one key: its policy, IAM policies, grants and
//! service control policies.
//!
//! The rules: a Deny anywhere wins. A key policy that allows a caller by name needs nothing else. An
//! IAM policy counts only where the key policy leaves the decision to the account. A grant allows by
//! itself. Service control policies must allow as well, and bind only principals of the key's
//! account; they do not bind its services, its service-linked roles, nor anybody in an
//! organization's management account, so do not show one for a key there. What cannot be seen (IAM
//! of another account, IAM policies that are not shown) is taken to allow.
//!
//! Sources: KMS developer guide, "Determining access to AWS KMS keys" and "Default key policy"; IAM
//! user guide, "Policy evaluation logic"; AWS Organizations user guide, "Service control policies".

use super::condition::{Condition, Context};
use super::grants::Grant;
use super::principal::{Principal, Reach};
use super::{
    Effect, Grants, IdentityPolicy, Policy, ResourcePattern, Resources, Statement, StatementRef,
};
use std::fmt;

/// What is known of who may use a key.
#[derive(Clone, Debug)]
pub struct Documents {
    /// The key's ARN.
    pub key: String,
    /// The account that owns the key, 12 digits.
    pub account: String,
    /// The key's policy.
    pub policy: Policy,
    /// IAM policies and whose they are; several of one principal count together.
    pub identities: Vec<Identity>,
    /// Whether the account has no IAM policies but these.
    pub identities_complete: bool,
    /// The key's grants; `None` if nobody has shown them, and then they are taken to be none:
    /// [`super::proof`] asks what one would change.
    pub grants: Option<Grants>,
    /// The service control policies of one level, of which one has to allow. Empty: none shown.
    pub service_control: Vec<IdentityPolicy>,
}

/// An IAM policy of a principal.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Whose: a user, or a role for any of its sessions.
    pub principal: Principal,
    /// The policy.
    pub policy: IdentityPolicy,
}

/// By what a request is allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// A statement of the key policy.
    KeyPolicy(StatementRef),
    /// An IAM policy, to which this statement of the key policy leaves the decision.
    Identity {
        /// The key policy's statement.
        delegation: StatementRef,
        /// Whose IAM policy.
        holder: String,
        /// The IAM policy's statement.
        statement: StatementRef,
    },
    /// IAM policies that nobody has shown, to which the key policy leaves the decision.
    Account {
        /// The key policy's statement.
        delegation: StatementRef,
        /// The account whose IAM policies decide.
        account: String,
    },
    /// A grant, by its id.
    Grant(String),
    /// A grant that nobody has shown.
    AnyGrant,
}

/// What stops a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A Deny of the key policy.
    KeyPolicy(StatementRef),
    /// A Deny of the caller's IAM policies.
    Identity(StatementRef),
    /// A Deny of a service control policy.
    ServiceControl(StatementRef),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A Deny, whatever else allows it.
    Denied(Stop),
    /// Nothing allows it.
    NotAllowed,
}

/// The decision about one request.
pub type Authorization = Result<Basis, Refused>;

/// How a Deny with NotPrincipal is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Denying whoever is not listed with every name.
    Documented,
    /// Denying only whom it denies beyond doubt.
    Sure,
}

/// One way to be allowed: all of these conditions, and no Deny.
#[derive(Clone, Debug)]
pub(super) struct Way<'a> {
    pub(super) basis: Basis,
    pub(super) conditions: Vec<&'a Condition>,
}

/// One Deny about a caller and an action.
#[derive(Clone, Debug)]
pub(super) struct Barrier<'a> {
    pub(super) stop: Stop,
    pub(super) conditions: &'a [Condition],
}

impl Documents {
    /// Decides about one request.
    ///
    /// # Errors
    /// [`Refused`], which is as much an answer as the other.
    pub fn authorize(&self, caller: &Principal, action: &str, context: &Context) -> Authorization {
        let barriers = self.barriers(caller, action, Reading::Documented).into_iter();
        let mut denied = barriers.filter(|barrier| holds(barrier.conditions, context));
        if let Some(barrier) = denied.next() {
            return Err(Refused::Denied(barrier.stop));
        }
        let mut ways = self.ways(caller, action).into_iter();
        let way = ways.find(|way| holds(way.conditions.iter().copied(), context));
        way.map(|way| way.basis).ok_or(Refused::NotAllowed)
    }

    /// Whether a statement about KMS is about named resources, so that it matters which key this is.
    #[must_use]
    pub fn name_resources(&self) -> bool {
        let policies = self.identities.iter().map(|identity| &identity.policy);
        let policies = policies.chain(&self.service_control);
        let mut all = self.policy.statements.iter().chain(policies.flat_map(|p| &p.statements));
        all.any(Statement::names_resources)
    }

    /// Every way in which this caller may be allowed this action.
    pub(super) fn ways(&self, caller: &Principal, action: &str) -> Vec<Way<'_>> {
        let allows = covering(&self.policy.statements, Effect::Allow, action, &self.key);
        let by_policy = allows.flat_map(|(named, statement)| {
            match statement.principals.reach(Effect::Allow, caller) {
                Reach::No => Vec::new(),
                Reach::Directly => {
                    let conditions = statement.conditions.iter().collect();
                    vec![Way { basis: Basis::KeyPolicy(named), conditions }]
                }
                Reach::ByAccount => self.delegated(caller, action, &named, &statement.conditions),
            }
        });
        let grants = self.grants.iter().flat_map(|grants| &grants.grants);
        let by_grant = grants.filter(|grant| grant.gives(caller, action)).map(Grant::way);
        self.under_service_control(caller, action, by_policy.chain(by_grant).collect())
    }

    /// Every Deny that is about this caller and this action.
    pub(super) fn barriers(
        &self,
        caller: &Principal,
        action: &str,
        reading: Reading,
    ) -> Vec<Barrier<'_>> {
        let denies = |statements| covering(statements, Effect::Deny, action, &self.key);
        let reaches = |statement: &Statement| match reading {
            Reading::Documented => {
                statement.principals.reach(Effect::Deny, caller) == Reach::Directly
            }
            Reading::Sure => statement.principals.surely_denies(caller),
        };
        let policy = denies(&self.policy.statements)
            .filter(|(_, statement)| reaches(statement))
            .map(|(named, statement)| statement.barrier(Stop::KeyPolicy(named)));
        let identities = self
            .identities_of(caller)
            .flat_map(|identity| denies(&identity.policy.statements))
            .map(|(named, statement)| statement.barrier(Stop::Identity(named)));
        let service_control = self
            .service_control_of(caller)
            .flat_map(|policy| denies(&policy.statements))
            .map(|(named, statement)| statement.barrier(Stop::ServiceControl(named)));
        policy.chain(identities).chain(service_control).collect()
    }

    /// The ways that a delegation to the caller's account opens.
    fn delegated<'a>(
        &'a self,
        caller: &Principal,
        action: &str,
        delegation: &StatementRef,
        delegating: &'a [Condition],
    ) -> Vec<Way<'a>> {
        let shown = self.identities_of(caller).next().is_some() || self.identities_complete;
        if !shown || !self.owns(caller) {
            let account = caller.account().unwrap_or_default().to_owned();
            let basis = Basis::Account { delegation: delegation.clone(), account };
            return vec![Way { basis, conditions: delegating.iter().collect() }];
        }
        let identities = self.identities_of(caller);
        let allows = identities.flat_map(|identity| {
            covering(&identity.policy.statements, Effect::Allow, action, &self.key)
        });
        allows
            .map(|(named, allowing)| Way {
                basis: Basis::Identity {
                    delegation: delegation.clone(),
                    holder: caller.identity().to_owned(),
                    statement: named,
                },
                conditions: delegating.iter().chain(&allowing.conditions).collect(),
            })
            .collect()
    }

    /// The same ways, each with an Allow of the service control policies, where these bind.
    fn under_service_control<'a>(
        &'a self,
        caller: &Principal,
        action: &str,
        ways: Vec<Way<'a>>,
    ) -> Vec<Way<'a>> {
        if self.service_control_of(caller).next().is_none() {
            return ways;
        }
        let policies = self.service_control_of(caller);
        let allows: Vec<_> = policies
            .flat_map(|policy| covering(&policy.statements, Effect::Allow, action, &self.key))
            .collect();
        let both = |way: &Way<'a>, allowing: &'a Statement| Way {
            basis: way.basis.clone(),
            conditions: way.conditions.iter().copied().chain(&allowing.conditions).collect(),
        };
        let pairs = ways.iter().flat_map(|way| allows.iter().map(move |allow| (way, allow.1)));
        pairs.map(|(way, allowing)| both(way, allowing)).collect()
    }

    fn identities_of(&self, caller: &Principal) -> impl Iterator<Item = &Identity> {
        let names: Vec<String> = caller.own_names().into_iter().map(str::to_owned).collect();
        self.identities
            .iter()
            .filter(move |identity| names.iter().any(|name| name == identity.principal.name()))
    }

    fn service_control_of(&self, caller: &Principal) -> impl Iterator<Item = &IdentityPolicy> {
        let binds = self.owns(caller) && !caller.is_service_linked();
        self.service_control.iter().filter(move |_| binds)
    }

    /// The conditions of all statements and grants.
    pub(super) fn conditions(&self) -> impl Iterator<Item = &Condition> {
        let grants = self.grants.iter().flat_map(|grants| &grants.grants);
        let policies = self.identities.iter().map(|identity| &identity.policy);
        let policies = policies.chain(&self.service_control);
        let statements = policies.flat_map(|policy| &policy.statements);
        let statements = self.policy.statements.iter().chain(statements);
        statements
            .flat_map(|statement| &statement.conditions)
            .chain(grants.flat_map(|grant| &grant.conditions))
    }

    fn owns(&self, caller: &Principal) -> bool {
        caller.account() == Some(&self.account)
    }
}

impl Grant {
    fn way(&self) -> Way<'_> {
        let conditions = self.conditions.iter().collect();
        Way { basis: Basis::Grant(self.id.clone()), conditions }
    }
}

impl Statement {
    fn names_resources(&self) -> bool {
        let any = match &self.resources {
            Resources::These(patterns) => patterns.contains(&ResourcePattern::Any),
            Resources::AllBut(_) => false,
        };
        !any && super::proof::is_about_keys(&self.actions)
    }

    const fn barrier(&self, stop: Stop) -> Barrier<'_> {
        Barrier { stop, conditions: self.conditions.as_slice() }
    }
}

impl fmt::Display for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyPolicy(statement) => write!(f, "the key policy's {statement}"),
            Self::Identity { delegation, holder, statement } => write!(
                f,
                "{statement} of the IAM policies of {holder}, let through by the key policy's \
                 {delegation}"
            ),
            Self::Account { delegation, account } => write!(
                f,
                "IAM policies of account {account} that are not shown, let through by the key \
                 policy's {delegation}"
            ),
            Self::Grant(id) => write!(f, "the grant {id}"),
            Self::AnyGrant => f.write_str("a grant, if there is one: none are shown"),
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyPolicy(statement) => write!(f, "the key policy's {statement}"),
            Self::Identity(statement) => write!(f, "{statement} of the caller's IAM policies"),
            Self::ServiceControl(statement) => {
                write!(f, "{statement} of a service control policy")
            }
        }
    }
}

/// The statements of this effect that are about this action on this key.
pub(super) fn covering<'a, 'b>(
    statements: &'a [Statement],
    effect: Effect,
    action: &'b str,
    key: &'b str,
) -> impl Iterator<Item = (StatementRef, &'a Statement)> + use<'a, 'b> {
    let statements = statements.iter().enumerate();
    statements
        .filter(move |(_, statement)| statement.effect == effect && statement.covers(action, key))
        .map(|(index, statement)| (StatementRef { index, sid: statement.sid.clone() }, statement))
}

fn holds<'a>(conditions: impl IntoIterator<Item = &'a Condition>, context: &Context) -> bool {
    conditions.into_iter().all(|condition| condition.holds(context))
}
