//! The table of `policy test`: cases as people write them, in TOML.
//!
//! A case's request goes through the readers that a real one goes through, so that a request which no
//! reader takes is refused here too, by the same code. A key that the table does not know is refused:
//! a misspelt `expect` must not pass.

use crate::cli::output::{Failure, read_input};
use crate::ethereum::TransactionRequest;
use crate::ethereum::fields;
use alloy_primitives::Address;
use nitro_signer_enclave::authorization::UnsignedAuthorization;
use nitro_signer_enclave::digest::Digest;
use nitro_signer_enclave::key::KeyFacts;
use nitro_signer_enclave::labels::Labels;
use nitro_signer_enclave::message::Message;
use nitro_signer_enclave::policy::{Description, Subject as _, Who};
use nitro_signer_enclave::transaction::UnsignedTransaction;
use nitro_signer_enclave::typed_data::TypedData;
use nitro_signer_shared::json::{self, FieldError, Value};
use nitro_signer_shared::manifest::Name;
use nitro_signer_shared::message::Origin;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const MAX_TABLE: u64 = 1_048_576;

/// A table, ready to be judged.
#[derive(Debug)]
pub(super) struct Table {
    /// The cases, of which there is at least one.
    pub(super) cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) who: Who,
    /// The key that is to sign.
    pub(super) key: KeyFacts,
    /// The accounts whose keys the enclave holds.
    pub(super) held: Vec<Address>,
    /// Seconds of Unix time.
    pub(super) time: u64,
    /// What is asked, or why no reader takes it.
    pub(super) asked: Result<Asked, Refusal>,
    pub(super) expected: Expected,
    /// A rule that decides, by its @id or as `rule N`.
    pub(super) rule: Option<String>,
}

/// What is to come of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Allow,
    Refuse(RefusalCode),
}

/// A request.
#[derive(Debug)]
pub(super) enum Asked {
    Transaction(Box<UnsignedTransaction>),
    Message(Message),
    TypedData(Box<TypedData>),
    Authorization(UnsignedAuthorization),
    Digest(Digest),
    NewVault,
    NewKey(Labels),
}

impl Asked {
    /// What policy is told of it.
    pub(super) fn describe(&self, from: Address) -> Description<'_> {
        match self {
            Self::Transaction(transaction) => transaction.describe(from),
            Self::Message(message) => message.describe(from),
            Self::TypedData(data) => data.describe(from),
            Self::Authorization(authorization) => authorization.describe(from),
            Self::Digest(digest) => digest.describe(from),
            Self::NewVault => Description::NewVault,
            Self::NewKey(labels) => Description::NewKey { labels },
        }
    }

    /// Whether it is about the vault instead of a key.
    pub(super) const fn is_about_vault(&self) -> bool {
        matches!(self, Self::NewVault | Self::NewKey(_))
    }
}

impl Table {
    /// Reads a table. `now_s` is the time of cases that give none, in seconds of Unix time.
    pub(super) fn read(path: &Path, now_s: u64) -> Result<Self, Failure> {
        let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()));
        let bytes = read_input(path, MAX_TABLE)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8".to_owned()))?;
        Self::parse(&text, now_s).map_err(wrong)
    }

    pub(super) fn parse(text: &str, now_s: u64) -> Result<Self, String> {
        let given: Given = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
        let Given { cases, defaults } = given;
        if cases.is_empty() {
            return Err("no cases; write at least one [[cases]]".to_owned());
        }
        let read = |case: GivenCase| {
            let name = case.name.clone();
            case.read(&defaults, now_s).map_err(|e| format!("case {name:?}: {e}"))
        };
        Ok(Self { cases: cases.into_iter().map(read).collect::<Result<_, _>>()? })
    }
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    defaults: Defaults,
    #[serde(default)]
    cases: Vec<GivenCase>,
}

/// What holds for each case that does not say otherwise.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Defaults {
    from: Option<String>,
    time: Option<Time>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    creator: Option<Name>,
    held: Option<Vec<String>>,
    /// Fields of eth_signTransaction's object.
    #[serde(default)]
    transaction: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenCase {
    name: String,
    client: Option<Name>,
    asserted: Option<Name>,
    from: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    origin: Option<Origin>,
    creator: Option<Name>,
    created: Option<Time>,
    held: Option<Vec<String>>,
    time: Option<Time>,
    transaction: Option<toml::Table>,
    message: Option<String>,
    text: Option<String>,
    typed_data: Option<String>,
    authorization: Option<GivenAuthorization>,
    digest: Option<String>,
    create_vault: Option<bool>,
    create_key: Option<GivenKey>,
    expect: String,
    rule: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenAuthorization {
    chain_id: u64,
    address: String,
    nonce: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenKey {
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A time: Unix seconds or RFC 3339, as a text or as TOML's own.
#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Seconds(u64),
    Date(toml::value::Datetime),
    Text(String),
}

impl Time {
    fn seconds(&self) -> Result<u64, String> {
        let text = match self {
            Self::Seconds(seconds) => return Ok(*seconds),
            Self::Date(date) => date.to_string(),
            Self::Text(text) => text.clone(),
        };
        let time = OffsetDateTime::parse(&text, &Rfc3339).ok();
        let seconds = time.and_then(|time| u64::try_from(time.unix_timestamp()).ok());
        seconds.ok_or_else(|| {
            format!("{text:?} is no time; write Unix seconds or as 2026-01-31T12:00:00Z")
        })
    }
}

impl GivenCase {
    fn read(mut self, defaults: &Defaults, now_s: u64) -> Result<Case, String> {
        let time = self.time.as_ref().or(defaults.time.as_ref());
        let time = time.map_or(Ok(now_s), Time::seconds)?;
        let who = self.who()?;
        let from = self.from(defaults)?;
        let held = self.held.as_ref().or(defaults.held.as_ref());
        let held = match held {
            Some(held) => {
                held.iter().map(|text| address("held", text)).collect::<Result<_, _>>()?
            }
            None => vec![from],
        };
        let labels = self.labels.take().unwrap_or_else(|| defaults.labels.clone());
        let creator = self.creator.take().or_else(|| defaults.creator.clone());
        let key = KeyFacts {
            address: from,
            origin: self.origin.unwrap_or(Origin::Generated),
            creator: creator.map_or_else(|| who.name().to_string(), String::from),
            created: self.created.as_ref().map_or(Ok(time), Time::seconds)?,
            // No other key can exist.
            labels: Labels::parse(labels).map_err(|e| format!("labels: {}", e.detail))?.into_map(),
        };
        let asked = self.asked(from, defaults)?;
        let expected = expected(&self.expect)?;
        Ok(Case { name: self.name, who, key, held, time, asked, expected, rule: self.rule })
    }

    fn who(&self) -> Result<Who, String> {
        match (&self.client, &self.asserted) {
            (Some(name), None) => Ok(Who::Client(name.clone())),
            (None, Some(name)) => Ok(Who::Asserted(name.clone())),
            _ => Err("say who asks: either `client` or `asserted`".to_owned()),
        }
    }

    /// The key's address: a transaction may name it as JSON does.
    fn from(&self, defaults: &Defaults) -> Result<Address, String> {
        let named = self.transaction.as_ref().and_then(|tx| tx.get("from"));
        let named = named.map(|from| from.as_str().ok_or("`transaction.from` is no text"));
        let text = match (named.transpose()?, &self.from, &defaults.from) {
            (Some(named), Some(from), _) if named != from => {
                return Err("`from` and `transaction.from` differ; write one of them".to_owned());
            }
            (Some(text), ..) => text,
            (None, Some(text), _) | (None, None, Some(text)) => text,
            (None, None, None) => {
                return Err(
                    "`from` is missing; write the key's address here or in [defaults]".to_owned()
                );
            }
        };
        address("from", text)
    }

    /// The one request that the case is about.
    fn asked(
        &mut self,
        from: Address,
        defaults: &Defaults,
    ) -> Result<Result<Asked, Refusal>, String> {
        let vault = self.create_vault.take().filter(|create| *create);
        let all = [
            self.transaction.take().map(|given| transaction(given, from, defaults)),
            self.message.take().map(|text| Ok(message(bytes("message", text)?))),
            self.text.take().map(|text| Ok(message(text.into_bytes()))),
            self.typed_data.take().map(|json| {
                let data = TypedData::parse(json.as_bytes());
                Ok(data.map(Box::new).map(Asked::TypedData))
            }),
            self.authorization.take().map(authorization),
            self.digest.take().map(|text| {
                let digest = fields::b256("digest", Value::String(text)).map_err(|e| e.0)?;
                Ok(Ok(Asked::Digest(Digest::new(digest))))
            }),
            vault.map(|_| Ok(Ok(Asked::NewVault))),
            self.create_key.take().map(|key| Ok(Labels::parse(key.labels).map(Asked::NewKey))),
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(asked), None) => asked,
            _ => {
                Err("write exactly one of transaction, message, text, typed_data, authorization, \
                      digest, create_vault, create_key"
                    .to_owned())
            }
        }
    }
}

/// A request as read, or its refusal; the error is a table that cannot be used.
type Read = Result<Result<Asked, Refusal>, String>;

fn transaction(given: toml::Table, from: Address, defaults: &Defaults) -> Read {
    let mut fields = defaults.transaction.clone();
    fields.extend(given);
    fields.insert("from".to_owned(), from.to_string().into());
    let text = serde_json::to_vec(&fields).map_err(|e| e.to_string())?;
    let read = || {
        let asked = TransactionRequest::read(json::read_object(&text)?, None)?;
        UnsignedTransaction::parse(&asked.transaction.signing_payload())
    };
    Ok(read().map(Box::new).map(Asked::Transaction))
}

fn message(bytes: Vec<u8>) -> Result<Asked, Refusal> {
    Message::parse(bytes).map(Asked::Message)
}

fn authorization(given: GivenAuthorization) -> Read {
    let target = address("authorization.address", &given.address)?;
    let one = UnsignedAuthorization::new(given.chain_id, target, given.nonce);
    Ok(one.map(Asked::Authorization))
}

fn address(name: &str, text: &str) -> Result<Address, String> {
    fields::address_text(name, text).map_err(|FieldError(what)| what)
}

fn bytes(name: &str, text: String) -> Result<Vec<u8>, String> {
    let bytes = fields::bytes(name, Value::String(text)).map_err(|FieldError(what)| what)?;
    Ok(bytes.into())
}

fn expected(text: &str) -> Result<Expected, String> {
    if text == "allow" {
        return Ok(Expected::Allow);
    }
    let code = RefusalCode::ALL.iter().find(|code| code.as_str() == text);
    code.map(|code| Expected::Refuse(*code)).ok_or_else(|| {
        format!("expect: {text:?} is neither `allow` nor a refusal's code such as `policy_denied`")
    })
}
