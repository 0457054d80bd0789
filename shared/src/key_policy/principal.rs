//! Who asks, and whom a statement names.
//!
//! Sources: IAM user guide, "AWS JSON policy elements: Principal" and "… NotPrincipal"
//! (reference_policies_elements_principal, reference_policies_elements_notprincipal).

use super::Effect;
use std::fmt;

/// Who asks. The request carries no other identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(Caller);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Caller {
    /// The account's root user.
    Root { account: String, arn: String },
    /// An IAM user, or a role without a session's name.
    Entity { account: String, arn: String },
    /// A session of a role. Its ARN leaves the role's path out, so the role's ARN is kept too.
    Session { account: String, arn: String, role: String },
    /// An AWS service, for example `ec2.amazonaws.com`.
    Service(String),
}

/// The text is no principal that can make a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an account's root, a user, a role, a role's session or a service")]
pub struct PrincipalError;

impl Principal {
    /// Reads a caller: the ARN of an account's root, a user, a role (any session of it) or a
    /// role's session (`…:assumed-role/name/session`, whose role is taken to have no path), or a
    /// service's name.
    ///
    /// # Errors
    /// [`PrincipalError`].
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        if is_service(text) {
            return Ok(Self(Caller::Service(text.to_owned())));
        }
        let parsed = PrincipalArn::parse(text).ok_or(PrincipalError)?;
        let (account, arn) = (parsed.account.to_owned(), text.to_owned());
        Ok(Self(match parsed.kind {
            Kind::Root => Caller::Root { account, arn },
            Kind::User | Kind::Role => Caller::Entity { account, arn },
            Kind::Session { role } => {
                let role = format!("arn:{}:iam::{account}:role/{role}", parsed.partition);
                Caller::Session { account, arn, role }
            }
        }))
    }

    /// A session of a role whose ARN has a path.
    ///
    /// # Errors
    /// [`PrincipalError`] if the ARN is not a role's or the session's name is empty or has a slash.
    pub fn role_session(role_arn: &str, session: &str) -> Result<Self, PrincipalError> {
        let role = PrincipalArn::parse(role_arn).ok_or(PrincipalError)?;
        let name = role_arn.rsplit('/').next().unwrap_or_default();
        if role.kind != Kind::Role || session.is_empty() || session.contains('/') {
            return Err(PrincipalError);
        }
        let (partition, account) = (role.partition, role.account);
        Ok(Self(Caller::Session {
            arn: format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}"),
            account: account.to_owned(),
            role: role_arn.to_owned(),
        }))
    }

    /// The account, 12 digits; a service has none.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match &self.0 {
            Caller::Root { account, .. }
            | Caller::Entity { account, .. }
            | Caller::Session { account, .. } => Some(account),
            Caller::Service(_) => None,
        }
    }

    /// The ARN as AWS's messages print it, or the service's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.0 {
            Caller::Root { arn, .. } | Caller::Entity { arn, .. } | Caller::Session { arn, .. } => {
                arn
            }
            Caller::Service(name) => name,
        }
    }

    /// The value of `aws:PrincipalArn`: for a role's session, the role's ARN.
    #[must_use]
    pub fn identity(&self) -> &str {
        match &self.0 {
            Caller::Session { role, .. } => role,
            Caller::Root { .. } | Caller::Entity { .. } | Caller::Service(_) => self.name(),
        }
    }

    /// Whether it is a role that AWS services use for themselves, which service control policies
    /// do not reach (AWS Organizations user guide, "Service control policies").
    pub(super) fn is_service_linked(&self) -> bool {
        self.identity().contains(":role/aws-service-role/")
    }

    pub(super) const fn is_root(&self) -> bool {
        matches!(self.0, Caller::Root { .. })
    }

    /// Every name by which a statement can mean this caller without meaning its whole account.
    pub(super) fn own_names(&self) -> Vec<&str> {
        match &self.0 {
            Caller::Root { .. } => vec![],
            Caller::Entity { arn, .. } => vec![arn],
            Caller::Session { arn, role, .. } => vec![arn, role],
            Caller::Service(name) => vec![name],
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One principal that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// `*`.
    Everyone,
    /// An account: by its number, or by the ARN of its root.
    Account(String),
    /// A user, role or role's session, by its ARN.
    Arn(String),
    /// A service, by its name.
    Service(String),
}

impl Named {
    /// Reads a value under `AWS`. A wildcard stands for everyone or not at all: AWS allows none
    /// inside a name or ARN.
    pub(super) fn parse_aws(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everyone);
        }
        if is_account(text) {
            return Some(Self::Account(text.to_owned()));
        }
        let arn = PrincipalArn::parse(text)?;
        Some(match arn.kind {
            Kind::Root => Self::Account(arn.account.to_owned()),
            Kind::User | Kind::Role | Kind::Session { .. } => Self::Arn(text.to_owned()),
        })
    }

    /// Reads a value under `Service`.
    pub(super) fn parse_service(text: &str) -> Option<Self> {
        is_service(text).then(|| Self::Service(text.to_owned()))
    }
}

/// The principals a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principals {
    /// `Principal`.
    These(Vec<Named>),
    /// `NotPrincipal`.
    AllBut(Vec<Named>),
}

/// How a statement reaches a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    No,
    /// By the caller's own name, or as everyone.
    Directly,
    /// Through its account: an Allow leaves the decision to the account's IAM policies.
    ByAccount,
}

impl Principals {
    pub(super) fn reach(&self, effect: Effect, caller: &Principal) -> Reach {
        let listed = |names: &[Named]| names_caller(names, caller);
        match self {
            Self::These(names) => match listed(names) {
                Listed { directly: true, .. } => Reach::Directly,
                // The root user is the account; nothing is left to delegate. A Deny of an account
                // reaches everyone in it.
                Listed { account: true, .. } if caller.is_root() || effect == Effect::Deny => {
                    Reach::Directly
                }
                Listed { account: true, .. } => Reach::ByAccount,
                Listed { .. } => Reach::No,
            },
            Self::AllBut(names) => {
                let spared = match effect {
                    // A Deny spares only a caller whose account and every name are listed: AWS
                    // asks for the session's, the role's and the account's ARN.
                    Effect::Deny => spared_by_deny(names, caller),
                    Effect::Allow => {
                        let listed = listed(names);
                        listed.directly || listed.account
                    }
                };
                if spared { Reach::No } else { Reach::Directly }
            }
        }
    }
}

impl Principals {
    /// Whether a Deny certainly reaches the caller. Of a NotPrincipal that lists only the role, the
    /// session or the account, AWS says that it "might" deny; so that is no protection.
    pub(super) fn surely_denies(&self, caller: &Principal) -> bool {
        match self {
            Self::These(_) => self.reach(Effect::Deny, caller) == Reach::Directly,
            Self::AllBut(names) => {
                let listed = names_caller(names, caller);
                !listed.directly && !listed.account
            }
        }
    }

    /// Whoever is listed.
    pub(super) fn names(&self) -> &[Named] {
        match self {
            Self::These(names) | Self::AllBut(names) => names,
        }
    }
}

impl Named {
    /// Whether this means the caller, by itself or by its account.
    pub(super) fn means(&self, caller: &Principal) -> bool {
        let names = std::slice::from_ref(self);
        let listed = names_caller(names, caller);
        listed.directly || listed.account
    }
}

struct Listed {
    directly: bool,
    account: bool,
}

fn names_caller(names: &[Named], caller: &Principal) -> Listed {
    let own = caller.own_names();
    let directly = names.iter().any(|named| match named {
        Named::Everyone => true,
        Named::Arn(name) | Named::Service(name) => own.contains(&name.as_str()),
        Named::Account(_) => false,
    });
    Listed { directly, account: names_account(names, caller) }
}

fn names_account(names: &[Named], caller: &Principal) -> bool {
    names.iter().any(|named| match named {
        Named::Account(account) => caller.account() == Some(account),
        Named::Everyone | Named::Arn(_) | Named::Service(_) => false,
    })
}

fn spared_by_deny(names: &[Named], caller: &Principal) -> bool {
    let account = caller.account().is_none() || names_account(names, caller);
    account
        && caller.own_names().iter().all(|own| {
            names.iter().any(|named| match named {
                Named::Arn(name) | Named::Service(name) => name == own,
                Named::Everyone | Named::Account(_) => false,
            })
        })
}

struct PrincipalArn<'a> {
    partition: &'a str,
    account: &'a str,
    kind: Kind<'a>,
}

#[derive(PartialEq, Eq)]
enum Kind<'a> {
    Root,
    User,
    Role,
    Session { role: &'a str },
}

impl<'a> PrincipalArn<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let parts: [&str; 6] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
        let ["arn", partition, service, "", account, resource] = parts else { return None };
        let known_partition = partition == "aws" || partition.starts_with("aws-");
        let names = [partition, resource];
        if !known_partition || !is_account(account) || !names.concat().chars().all(is_name_char) {
            return None;
        }
        let (kind, name) = resource.split_once('/').unwrap_or((resource, ""));
        let kind = match (service, kind) {
            ("iam", "root") if name.is_empty() && !resource.contains('/') => Kind::Root,
            ("iam", "user") if has_last_segment(name) => Kind::User,
            ("iam", "role") if has_last_segment(name) => Kind::Role,
            ("sts", "assumed-role") => {
                let (role, session) = name.split_once('/')?;
                if role.is_empty() || session.is_empty() || session.contains('/') {
                    return None;
                }
                Kind::Session { role }
            }
            _ => return None,
        };
        Some(Self { partition, account, kind })
    }
}

fn has_last_segment(name: &str) -> bool {
    name.rsplit('/').next().is_some_and(|last| !last.is_empty())
}

/// The characters of IAM names, and `/` between the segments of a path (IAM user guide, "IAM and
/// AWS STS quotas").
const fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '/' | '+' | '=' | ',' | '.' | '@' | '_' | '-')
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_service(text: &str) -> bool {
    let name = text.strip_suffix(".amazonaws.com").or(text.strip_suffix(".amazonaws.com.cn"));
    name.is_some_and(|name| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-".contains(&b))
    })
}
