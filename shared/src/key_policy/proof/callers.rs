//! Who could ask: everybody whom a document names, and somebody for all whom none names.
//!
//! A role asks by a session. Of whom no document names, it matters only in which account they are,
//! and what conditions read of their name: that name is left open, but is none of the named.

#[cfg(test)]
use super::super::condition::Context;
use super::super::documents::Documents;
use super::super::principal::{Named, Principal};
use super::Question;
use std::collections::{BTreeMap, BTreeSet};

const ANY: &str = "anybody";
const PRINCIPAL_ARN: &str = "aws:principalarn";

/// Somebody who asks.
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// For people.
    pub(super) label: String,
    /// What the request says of the caller, by condition key.
    known: BTreeMap<&'static str, Known>,
}

/// What is known of a key's value.
pub(super) enum Known {
    Is(String),
    /// Anything else than these.
    NoneOf(Vec<String>),
}

impl Caller {
    pub(super) fn known(&self, key: &str) -> Option<&Known> {
        self.known.get(key)
    }

    /// The part of a context that is the caller's.
    #[cfg(test)]
    pub(super) fn context(&self) -> Context {
        let mut context = Context::default();
        for (key, known) in &self.known {
            if let Known::Is(value) = known {
                context.insert(key, [value.as_str()]);
            }
        }
        context
    }
}

/// Everybody who could ask, beginning with those whom no document names.
pub(super) fn all(question: &Question<'_>) -> Vec<Caller> {
    let documents = question.documents;
    let named = named(question);
    let of = |principal: &Principal| principal.account().map(str::to_owned);
    let mut accounts: BTreeSet<String> = named.iter().filter_map(of).collect();
    accounts.insert(documents.account.clone());
    accounts.extend(named_accounts(documents));
    let roots = accounts.iter().filter_map(|account| {
        Principal::parse(&format!("arn:{}:iam::{account}:root", partition(documents))).ok()
    });
    let named: Vec<Principal> = named.into_iter().chain(roots).collect();
    let world = World { documents, named: &named, accounts: &accounts };
    let mut all: Vec<Caller> = world.unnamed();
    all.extend(named.iter().map(|principal| world.named(principal)));
    all
}

struct World<'a> {
    documents: &'a Documents,
    named: &'a [Principal],
    accounts: &'a BTreeSet<String>,
}

impl World<'_> {
    fn named(&self, principal: &Principal) -> Caller {
        let mut caller = self.caller(principal.clone(), principal.to_string());
        if principal.account().is_some() {
            caller.known.insert(PRINCIPAL_ARN, Known::Is(principal.identity().to_owned()));
        }
        caller
    }

    /// Somebody of no account that is mentioned, somebody else of each account, some service.
    fn unnamed(&self) -> Vec<Caller> {
        let partition = partition(self.documents);
        let stranger = (0..=self.accounts.len())
            .map(|number| format!("{:012}", 999_999_999_999_u64 - number as u64))
            .find(|account| !self.accounts.contains(account))
            .expect("more numbers than accounts were tried");
        let user = |account: &str, name: &str| {
            Principal::parse(&format!("arn:{partition}:iam::{account}:user/{name}")).ok()
        };
        let unnamed = |account: &str| {
            let mut name = ANY.to_owned();
            while self.named.iter().any(|p| Some(p) == user(account, &name).as_ref()) {
                name.push('-');
            }
            user(account, &name)
        };
        let mut all = Vec::new();
        if let Some(principal) = unnamed(&stranger) {
            let mut caller = self.caller(principal, "anybody, of any other account".to_owned());
            let others = || Known::NoneOf(self.accounts.iter().cloned().collect());
            caller.known.insert("aws:principalaccount", others());
            caller.known.insert("kms:calleraccount", others());
            all.push(caller);
        }
        for account in self.accounts {
            let label = format!("anybody else of account {account}");
            all.extend(unnamed(account).map(|principal| self.caller(principal, label)));
        }
        if let Ok(principal) = Principal::parse("any-other.amazonaws.com") {
            all.push(self.caller(principal, "any other AWS service".to_owned()));
        }
        all
    }

    /// A caller of whom the account is known.
    fn caller(&self, principal: Principal, label: String) -> Caller {
        let others = self.named.iter().map(|named| named.identity().to_owned()).collect();
        let is_service = principal.account().is_none();
        let mut known = BTreeMap::from([
            (PRINCIPAL_ARN, Known::NoneOf(others)),
            ("aws:resourceaccount", Known::Is(self.documents.account.clone())),
            ("aws:principalisawsservice", Known::Is(is_service.to_string())),
        ]);
        if let Some(account) = principal.account() {
            known.insert("aws:principalaccount", Known::Is(account.to_owned()));
            known.insert("kms:calleraccount", Known::Is(account.to_owned()));
        }
        Caller { principal, label, known }
    }
}

/// The principals that the documents and the question name, each once; roles as sessions.
fn named(question: &Question<'_>) -> Vec<Principal> {
    let documents = question.documents;
    let statements = &documents.policy.statements;
    let grants = documents.grants.iter().flat_map(|grants| &grants.grants);
    let listed = statements.iter().flat_map(|statement| statement.principals.names());
    let listed = listed.chain(grants.map(|grant| &grant.grantee)).filter_map(|named| match named {
        Named::Arn(name) | Named::Service(name) => Some(name.clone()),
        Named::Everyone | Named::Account(_) => None,
    });
    let given = question.roles.iter().chain(&question.administrators);
    let given = given.chain(documents.identities.iter().map(|identity| &identity.principal));
    let read = documents.conditions().filter(|condition| condition.key == PRINCIPAL_ARN);
    let read = read.flat_map(|condition| condition.values()).filter_map(|value| value.literal());
    let mut names: Vec<String> = listed.chain(given.map(|p| p.name().to_owned())).collect();
    names.extend(read.map(str::to_owned));
    let mut all: Vec<Principal> = names.iter().filter_map(|name| asking(name)).collect();
    all.extend(sessions_with_paths(&all));
    let mut seen = BTreeSet::new();
    all.retain(|p| !p.is_root() && seen.insert((p.name().to_owned(), p.identity().to_owned())));
    all
}

/// Who asks under a name: of a role, one of its sessions.
fn asking(name: &str) -> Option<Principal> {
    Principal::role_session(name, ANY).or_else(|_| Principal::parse(name)).ok()
}

/// A session's ARN leaves out its role's path: the same session of every role it could be of.
fn sessions_with_paths(all: &[Principal]) -> Vec<Principal> {
    let session = |p: &Principal| {
        let (role, session) = p.name().split_once(":assumed-role/")?.1.split_once('/')?;
        Some((role.to_owned(), session.to_owned()))
    };
    let sessions: BTreeSet<_> = all.iter().filter_map(session).collect();
    let roles: BTreeSet<&str> = all.iter().map(Principal::identity).collect();
    let pairs = roles.iter().flat_map(|role| sessions.iter().map(move |named| (*role, named)));
    pairs
        .filter(|(role, (name, _))| role.rsplit('/').next() == Some(name))
        .filter_map(|(role, (_, session))| Principal::role_session(role, session).ok())
        .collect()
}

/// The accounts that the documents name, in principals or in conditions.
fn named_accounts(documents: &Documents) -> Vec<String> {
    let statements = &documents.policy.statements;
    let grants = documents.grants.iter().flat_map(|grants| &grants.grants);
    let listed = statements.iter().flat_map(|statement| statement.principals.names());
    let listed = listed.chain(grants.map(|grant| &grant.grantee)).filter_map(|named| match named {
        Named::Account(account) => Some(account.clone()),
        Named::Everyone | Named::Arn(_) | Named::Service(_) => None,
    });
    let keys = ["aws:principalaccount", "kms:calleraccount"];
    let read = documents.conditions().filter(|condition| keys.contains(&condition.key.as_str()));
    let read = read.flat_map(|condition| condition.values()).filter_map(|value| value.literal());
    let is_account = |text: &&str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    listed.chain(read.filter(is_account).map(str::to_owned)).collect()
}

fn partition(documents: &Documents) -> &str {
    documents.key.split(':').nth(1).unwrap_or("aws")
}
