//! How values of calldata and typed data look to rules: each Solidity type as one type of the schema.
//!
//! A [`Shape`] is made at load from a type, gives the schema its text, and at a decision turns a
//! value of that type into Cedar's form. It must never turn two different values into one that a rule
//! could not tell apart where it matters: addresses are entities, numbers keep their hex, and what
//! is too long to compare stands as its hash.

use super::draft::{Draft, Expressed, broken, word, wrapped_text};
use super::entity::Ids;
use super::load::Needs;
use super::number;
use super::roster::Roster;
use alloy_dyn_abi::{DynSolType, DynSolValue};
use alloy_primitives::{Address, U256, keccak256};
use cedar_policy::RestrictedExpression;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// What a value is to rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Address,
    Flag,
    Unsigned,
    Signed,
    /// bytes1 to bytes32.
    Word,
    Bytes,
    Text,
    /// An amount of a token whose decimals the address book knows.
    Tokens(Token),
    List(Box<Shape>),
    Record(Vec<(String, Shape)>),
}

/// Which token an amount is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The contract that is called, or that verifies the typed data.
    Contract,
    /// The one that this member of the same struct names.
    Sibling(&'static str),
}

/// What is known besides the value, and which addresses were met.
pub(super) struct Known<'a> {
    pub(super) ids: &'a Ids,
    pub(super) roster: &'a Roster,
    /// The decimals of the contract that is called or that verifies the typed data.
    pub(super) decimals: Option<u8>,
    pub(super) addresses: &'a RefCell<BTreeSet<Address>>,
}

/// One item of a list, with the struct that it is a member of.
#[derive(Clone, Copy)]
struct Item<'v> {
    value: &'v DynSolValue,
    siblings: Option<&'v DynSolValue>,
}

impl Shape {
    /// The shape of a type; `None` for one that has none (function pointers, unnamed tuples).
    pub(super) fn of(kind: &DynSolType) -> Option<Self> {
        Some(match kind {
            DynSolType::Address => Self::Address,
            DynSolType::Bool => Self::Flag,
            DynSolType::Uint(_) => Self::Unsigned,
            DynSolType::Int(_) => Self::Signed,
            DynSolType::FixedBytes(_) => Self::Word,
            DynSolType::Bytes => Self::Bytes,
            DynSolType::String => Self::Text,
            DynSolType::Array(item) | DynSolType::FixedArray(item, _) => {
                Self::List(Box::new(Self::of(item)?))
            }
            DynSolType::CustomStruct { prop_names, tuple, .. } => {
                Self::record(prop_names.iter().map(String::as_str).zip(tuple))?
            }
            DynSolType::Function | DynSolType::Tuple(_) => return None,
        })
    }

    /// The shape of named values.
    pub(super) fn record<'t>(
        members: impl IntoIterator<Item = (&'t str, &'t DynSolType)>,
    ) -> Option<Self> {
        let members = members.into_iter();
        let members = members.map(|(name, kind)| Some((name.to_owned(), Self::of(kind)?)));
        members.collect::<Option<_>>().map(Self::Record)
    }

    /// The type in the schema's text.
    pub(super) fn schema_type(&self) -> String {
        match self {
            Self::Address => "Address".to_owned(),
            Self::Flag => "Bool".to_owned(),
            Self::Unsigned => "Uint".to_owned(),
            Self::Signed => "Int".to_owned(),
            Self::Word => "Word".to_owned(),
            Self::Bytes => "Bytes".to_owned(),
            Self::Text => "Text".to_owned(),
            Self::Tokens(_) => "Tokens".to_owned(),
            Self::Record(members) => {
                let members = members.iter().map(|(name, of)| (name, of.schema_type()));
                record_type(members)
            }
            Self::List(item) => item.list_type(),
        }
    }

    fn list_type(&self) -> String {
        let item = self.schema_type();
        let mut fields = format!(
            "\"size\": Long, \"items\": Set<{item}>, \"first\"?: {item}, \"last\"?: {item}"
        );
        if self.is_amount() {
            fields += &format!(", \"largest\": {item}");
        }
        if self.adds_up() {
            fields += &format!(", \"total\": {item}");
        }
        if let Self::Record(members) = self {
            let columns = members.iter().filter(|(_, of)| of.is_simple());
            let columns = columns.map(|(name, of)| (name, of.list_type()));
            fields += &format!(", \"each\": {}", record_type(columns));
        }
        format!("{{ {fields} }}")
    }

    /// Lists every value in it for people: the path that a rule writes, and the type. `path` is its
    /// own.
    pub(super) fn list_paths(&self, path: &str, found: &mut Vec<(String, String)>) {
        match self {
            Self::Record(members) if !members.is_empty() => {
                for (name, of) in members {
                    of.list_paths(&(path.to_owned() + &member(name)), found);
                }
            }
            Self::List(item) => {
                found.push((path.to_owned(), self.spoken_type()));
                let Self::Record(members) = &**item else { return };
                for (name, of) in members.iter().filter(|(_, of)| of.is_simple()) {
                    let path = format!("{path}.each{}", member(name));
                    found.push((path, format!("list of {}", of.spoken_type())));
                }
            }
            _ => found.push((path.to_owned(), self.spoken_type())),
        }
    }

    fn spoken_type(&self) -> String {
        match self {
            Self::List(item) => format!("list of {}", item.spoken_type()),
            Self::Record(_) => "record".to_owned(),
            _ => self.schema_type(),
        }
    }

    /// Whether a list of it has a largest item.
    const fn is_amount(&self) -> bool {
        matches!(self, Self::Unsigned | Self::Tokens(_))
    }

    /// Whether a list of it has a total: only numbers of one unit do.
    const fn adds_up(&self) -> bool {
        matches!(self, Self::Unsigned | Self::Tokens(Token::Contract))
    }

    const fn is_simple(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Record(_))
    }

    /// The value, as far as it is needed.
    pub(super) fn express(
        &self,
        value: &DynSolValue,
        needs: &Needs,
        known: &Known<'_>,
    ) -> Expressed {
        self.express_item(Item { value, siblings: None }, needs, known)
    }

    fn express_item(&self, item: Item<'_>, needs: &Needs, known: &Known<'_>) -> Expressed {
        match (self, item.value) {
            (Self::Address, DynSolValue::Address(address)) => Ok(known.address(*address)),
            (Self::Flag, DynSolValue::Bool(flag)) => Ok(RestrictedExpression::new_bool(*flag)),
            (Self::Unsigned, DynSolValue::Uint(number, _)) => number::unsigned(*number, needs),
            (Self::Signed, DynSolValue::Int(number, _)) => number::signed(*number, needs),
            (Self::Word, DynSolValue::FixedBytes(bytes, _)) => word(bytes.as_slice(), needs),
            (Self::Bytes, DynSolValue::Bytes(bytes)) => hashed(bytes, needs),
            (Self::Text, DynSolValue::String(text)) => wrapped_text(text, needs),
            (Self::Tokens(token), DynSolValue::Uint(units, _)) => {
                number::tokens(*units, token.decimals(item, known), needs)
            }
            (Self::List(of), DynSolValue::Array(values) | DynSolValue::FixedArray(values)) => {
                let items = values.iter().map(|value| Item { value, siblings: None });
                of.express_list(&items.collect::<Vec<_>>(), needs, known)
            }
            (Self::Record(members), DynSolValue::CustomStruct { tuple, .. }) => {
                let mut record = Draft::new(needs);
                for ((name, of), value) in members.iter().zip(tuple) {
                    let member = Item { value, siblings: Some(item.value) };
                    record.put(name, |needs| of.express_item(member, needs, known))?;
                }
                record.into_record()
            }
            // A value is always of the type whose shape this is.
            _ => Err(broken()),
        }
    }

    fn express_list(&self, items: &[Item<'_>], needs: &Needs, known: &Known<'_>) -> Expressed {
        let mut record = Draft::new(needs);
        record.long("size", i64::try_from(items.len()).unwrap_or(i64::MAX));
        record.put("items", |needs| {
            let each = items.iter().map(|item| self.express_item(*item, needs, known));
            Ok(RestrictedExpression::new_set(each.collect::<Result<Vec<_>, _>>()?))
        })?;
        for (name, item) in [("first", items.first()), ("last", items.last())] {
            if let Some(item) = item {
                record.put(name, |needs| self.express_item(*item, needs, known))?;
            }
        }
        let numbers = || items.iter().filter_map(|item| Some((item.value.as_uint()?.0, *item)));
        if self.is_amount() {
            record.put("largest", |needs| match self {
                Self::Tokens(token) => {
                    let each = numbers().map(|(n, item)| (n, token.decimals(item, known)));
                    number::largest_tokens(each, needs)
                }
                _ => number::unsigned(numbers().map(|(n, _)| n).max().unwrap_or_default(), needs),
            })?;
        }
        if self.adds_up() {
            let total = numbers().fold(U256::ZERO, |sum, (n, _)| sum.saturating_add(n));
            let total = DynSolValue::Uint(total, 256);
            record.put("total", |needs| self.express(&total, needs, known))?;
        }
        if let Self::Record(members) = self {
            record.put("each", |needs| express_columns(members, items, needs, known))?;
        }
        record.into_record()
    }
}

/// A list of structs member by member, since Cedar has no loop.
fn express_columns(
    members: &[(String, Shape)],
    items: &[Item<'_>],
    needs: &Needs,
    known: &Known<'_>,
) -> Expressed {
    let mut record = Draft::new(needs);
    for (place, (name, of)) in members.iter().enumerate().filter(|(_, (_, of))| of.is_simple()) {
        record.put(name, |needs| {
            let column = items.iter().map(|item| match item.value {
                DynSolValue::CustomStruct { tuple, .. } => tuple
                    .get(place)
                    .map(|value| Item { value, siblings: Some(item.value) })
                    .ok_or_else(broken),
                _ => Err(broken()),
            });
            of.express_list(&column.collect::<Result<Vec<_>, _>>()?, needs, known)
        })?;
    }
    record.into_record()
}

impl Token {
    fn decimals(&self, item: Item<'_>, known: &Known<'_>) -> Option<u8> {
        match self {
            Self::Contract => known.decimals,
            Self::Sibling(member) => match item.siblings? {
                DynSolValue::CustomStruct { prop_names, tuple, .. } => {
                    let place = prop_names.iter().position(|name| name == member)?;
                    known.roster.decimals(&tuple.get(place)?.as_address()?)
                }
                _ => None,
            },
        }
    }
}

impl Known<'_> {
    /// The address as an entity, remembered for the address book.
    pub(super) fn address(&self, address: Address) -> RestrictedExpression {
        self.addresses.borrow_mut().insert(address);
        RestrictedExpression::new_entity_uid(self.ids.address(address))
    }
}

/// The schema's `Bytes`.
pub(super) fn hashed(bytes: &[u8], needs: &Needs) -> Expressed {
    let mut record = Draft::new(needs);
    record.text_with("hash", || hex::encode(keccak256(bytes)));
    record.long("size", i64::try_from(bytes.len()).unwrap_or(i64::MAX));
    record.into_record()
}

/// How a rule writes this attribute after the value that has it. Cedar's own words stand in quotes.
pub(super) fn member(name: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "if", "then", "else", "in", "is", "like", "has"];
    if WORDS.contains(&name) || !name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_') {
        return format!("[\"{name}\"]");
    }
    format!(".{name}")
}

/// A record type; names are quoted, since a Solidity name may be a word of Cedar's.
fn record_type<N: AsRef<str>>(members: impl Iterator<Item = (N, String)>) -> String {
    let members = members.map(|(name, of)| format!("\"{}\": {of}", name.as_ref()));
    format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
}

/// A record type whose every member may be absent.
pub(super) fn optional_record_type<N: AsRef<str>>(
    members: impl Iterator<Item = (N, String)>,
) -> String {
    let members = members.map(|(name, of)| format!("\"{}\"?: {of}", name.as_ref()));
    format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_listed_by_its_members_and_one_without_as_itself() {
        let listed = |shape: &Shape| {
            let mut found = Vec::new();
            shape.list_paths("message", &mut found);
            found.into_iter().map(|(path, _)| path).collect::<Vec<_>>()
        };
        let flag = |name: &str| (name.to_owned(), Shape::Flag);
        assert_eq!(listed(&Shape::Record(vec![flag("a"), flag("b")])), ["message.a", "message.b"]);
        assert_eq!(listed(&Shape::Record(Vec::new())), ["message"]);
    }
}
