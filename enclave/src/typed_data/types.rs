//! The types of typed data, as a table in which every reference leads somewhere and none in a
//! circle.
//!
//! Types may share parts: 64 types can describe a tree of 2^64 leaves. Nothing here walks that
//! tree; each type is visited once, and only values (whose number is limited) follow the branches.

use super::quoted;
use super::value::MAX_VALUES;
use alloy_primitives::{B256, keccak256};
use nitro_signer_shared::json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The most types beside `EIP712Domain`. The largest protocols in use (Seaport, Safe, Permit2)
/// need fewer than ten.
pub(super) const MAX_TYPES: usize = 64;
/// The most members of one type.
pub(super) const MAX_MEMBERS: usize = 256;
/// The most bytes of all members together, as encodeType writes them: each struct's hash covers all
/// that it refers to, so 64 of them hash at most 2 MiB.
pub(super) const MAX_MEMBERS_TEXT: usize = 32_768;
/// How deep structs and arrays may nest, the primary type's struct counted. Half of what the JSON
/// reader takes, so that values are never refused by it first.
pub(super) const MAX_DEPTH: usize = 16;
/// The longest name, in bytes.
pub(super) const MAX_NAME: usize = 128;

/// Members in declared order by the name of their type; nothing about them is checked yet.
pub(super) type Declarations = BTreeMap<String, Vec<Declaration>>;

/// A member as it was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) type_name: String,
    pub(super) name: String,
}

/// Well-formed types: names and limits are kept, references are declared, nothing contains itself.
#[derive(Clone, Debug)]
pub(super) struct Types(BTreeMap<String, Vec<Member>>);

/// A member of a struct.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A member's type.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    /// As it stands in encodeType; there is one way to write each type.
    text: String,
    /// What remains without the arrays.
    pub(super) stem: Stem,
    /// The arrays around it, the innermost first; `None` where the length is free.
    pub(super) lengths: Vec<Option<usize>>,
}

/// A type that is no array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stem {
    Atom(Atom),
    /// A struct, by name; the table declares it.
    Struct(String),
}

/// EIP-712's atomic types, and the two dynamic ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Atom {
    Bool,
    /// Of so many bits.
    Int(usize),
    /// Of so many bits.
    Uint(usize),
    /// Of so many bytes, 1 to 32.
    FixedBytes(usize),
    Address,
    Bytes,
    String,
}

/// Reads the JSON object `types`.
///
/// # Errors
/// A sentence that says which type is not an array of exactly `{name, type}`.
pub(super) fn read_declarations(types: Value) -> Result<Declarations, String> {
    let Value::Object(types) = types else { return Err("types must be an object".into()) };
    let read = |(name, members): (String, Value)| {
        let members = read_members(members).ok_or_else(|| {
            let name = quoted(&name);
            format!("types.{name} must be an array of objects with exactly a name and a type")
        })?;
        Ok((name, members))
    };
    types.into_fields().map(read).collect()
}

impl Types {
    /// Checks declared types.
    ///
    /// # Errors
    /// A sentence that names the type or the member, and says what to write instead.
    pub(super) fn new(declarations: Declarations) -> Result<Self, String> {
        if declarations.len() > MAX_TYPES {
            return Err(format!("{} types are more than {MAX_TYPES}", declarations.len()));
        }
        let mut types = BTreeMap::new();
        for (name, members) in declarations {
            check_struct_name(&name)?;
            let members = check_members(&name, members)?;
            types.insert(name, members);
        }
        let types = Self(types);
        let members = types.0.values().flatten();
        if members.map(Member::text_length).sum::<usize>() > MAX_MEMBERS_TEXT {
            return Err(format!("all members together are longer than {MAX_MEMBERS_TEXT} bytes"));
        }
        let mut depths = BTreeMap::new();
        for name in types.0.keys() {
            types.depth(name, &mut depths)?;
        }
        Ok(types)
    }

    /// Whether there is such a struct.
    pub(super) fn declares(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The members of a struct that is declared, in order.
    pub(super) fn members(&self, name: &str) -> &[Member] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// EIP-712's encodeType: the struct, then all that it refers to in order of name.
    pub(super) fn encode_type(&self, name: &str) -> String {
        let mut others = self.reachable(name);
        others.remove(name);
        std::iter::once(name).chain(others).map(|name| self.encode_one(name)).collect()
    }

    /// The hash of encodeType of this struct and of each that it refers to.
    pub(super) fn type_hashes<'a>(&'a self, name: &'a str) -> BTreeMap<&'a str, B256> {
        let hash = |name| (name, keccak256(self.encode_type(name)));
        self.reachable(name).into_iter().map(hash).collect()
    }

    fn encode_one(&self, name: &str) -> String {
        let members = self.members(name).iter();
        let members: Vec<_> = members.map(|m| format!("{} {}", m.kind.text, m.name)).collect();
        format!("{name}({})", members.join(","))
    }

    /// This struct and all that it refers to.
    fn reachable<'a>(&'a self, name: &'a str) -> BTreeSet<&'a str> {
        let mut reached = BTreeSet::new();
        let mut left = vec![name];
        while let Some(name) = left.pop() {
            if reached.insert(name) {
                left.extend(self.members(name).iter().filter_map(Member::struct_name));
            }
        }
        reached
    }

    /// How deep a struct's values nest. `depths` holds `None` for the structs on the way here, so
    /// that each is entered once: the calls nest at most [`MAX_TYPES`] deep.
    fn depth<'a>(
        &'a self,
        name: &'a str,
        depths: &mut BTreeMap<&'a str, Option<usize>>,
    ) -> Result<usize, String> {
        match depths.get(name) {
            Some(Some(depth)) => return Ok(*depth),
            Some(None) => return Err(format!("the type {name} contains itself")),
            None => depths.insert(name, None),
        };
        let mut depth = 1;
        for member in self.members(name) {
            let below = match member.struct_name() {
                None => 0,
                Some(inner) if self.declares(inner) => self.depth(inner, depths)?,
                Some(inner) => {
                    let place = format!("{name}.{}", member.name);
                    return Err(format!("{place}: the type {inner} is not declared"));
                }
            };
            depth = depth.max(1 + member.kind.lengths.len() + below);
        }
        if depth > MAX_DEPTH {
            return Err(format!("the type {name} nests deeper than {MAX_DEPTH}"));
        }
        depths.insert(name, Some(depth));
        Ok(depth)
    }
}

impl Member {
    /// Of `type name,` in encodeType.
    const fn text_length(&self) -> usize {
        self.kind.text.len() + self.name.len() + 2
    }

    fn struct_name(&self) -> Option<&str> {
        match &self.kind.stem {
            Stem::Struct(name) => Some(name),
            Stem::Atom(_) => None,
        }
    }
}

impl Kind {
    fn parse(text: String) -> Result<Self, String> {
        let (stem, suffixes) = text.split_at(text.find('[').unwrap_or(text.len()));
        let stem = match Atom::parse(stem)? {
            Some(atom) => Stem::Atom(atom),
            None => Stem::Struct(check_name(stem)?.to_owned()),
        };
        let lengths = array_lengths(suffixes)?;
        Ok(Self { stem, lengths, text })
    }
}

impl Atom {
    /// `None` for a name that a struct may have.
    fn parse(name: &str) -> Result<Option<Self>, String> {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let size = positive(name.strip_prefix(stem).unwrap_or_default());
        let bits = size.filter(|bits| *bits <= 256 && bits % 8 == 0);
        let atom = match (name, stem) {
            ("bool", _) => Some(Self::Bool),
            ("address", _) => Some(Self::Address),
            ("bytes", _) => Some(Self::Bytes),
            ("string", _) => Some(Self::String),
            (_, "int") => bits.map(Self::Int),
            (_, "uint") => bits.map(Self::Uint),
            (_, "bytes") => size.filter(|bytes| *bytes <= 32).map(Self::FixedBytes),
            _ => None,
        };
        if atom.is_some() {
            return Ok(atom);
        }
        let advice = match (name, stem) {
            ("byte", _) => "write bytes1",
            ("function", _) => "write bytes24",
            ("int", _) => "write int256",
            ("uint", _) => "write uint256",
            (_, "int") => "write int8 to int256, in steps of 8",
            (_, "uint") => "write uint8 to uint256, in steps of 8",
            (_, "bytes") => "write bytes1 to bytes32",
            _ if is_fixed_point(name) => "write int256 or uint256",
            _ => return Ok(None),
        };
        Err(format!("{} is no type of EIP-712: {advice}", quoted(name)))
    }
}

/// Solidity's `fixed`, `ufixed` and `fixed128x18`, which EIP-712 does not have.
fn is_fixed_point(name: &str) -> bool {
    let name = name.strip_prefix('u').unwrap_or(name);
    name.strip_prefix("fixed").is_some_and(|rest| {
        rest.split('x').all(|digits| digits.chars().all(|c| c.is_ascii_digit()))
    })
}

/// The members of one type in JSON; `None` if anything else stands there.
fn read_members(members: Value) -> Option<Vec<Declaration>> {
    let read = |member: Value| {
        let mut member = member.object("").ok()?;
        let mut text = |key| member.take(key)?.string(key).ok();
        let declaration = Declaration { type_name: text("type")?, name: text("name")? };
        member.finish().ok().map(|()| declaration)
    };
    members.array("").ok()?.into_iter().map(read).collect()
}

fn check_struct_name(name: &str) -> Result<(), String> {
    check_name(name)?;
    // An alias is refused as well: whoever reads it takes it for the type it stands for.
    if name == super::domain::TYPE_NAME || !matches!(Atom::parse(name), Ok(None)) {
        return Err(format!("a struct cannot be called {name}: write another name"));
    }
    Ok(())
}

fn check_members(name: &str, declarations: Vec<Declaration>) -> Result<Vec<Member>, String> {
    if declarations.len() > MAX_MEMBERS {
        return Err(format!("{name} has more than {MAX_MEMBERS} members"));
    }
    let mut names = BTreeSet::new();
    let mut members = Vec::with_capacity(declarations.len());
    for Declaration { type_name, name: member } in declarations {
        check_name(&member).map_err(|e| format!("a member of {name}: {e}"))?;
        if !names.insert(member.clone()) {
            return Err(format!("{name}.{member} is declared twice"));
        }
        let kind = Kind::parse(type_name).map_err(|e| format!("{name}.{member}: {e}"))?;
        members.push(Member { name: member, kind });
    }
    Ok(members)
}

/// An identifier, as EIP-712 has it: `[a-zA-Z_$][a-zA-Z0-9_$]*`, here of at most [`MAX_NAME`]
/// bytes.
fn check_name(name: &str) -> Result<&str, String> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(known)
    {
        let advice = "write letters, digits, _ and $, and no digit first";
        return Err(format!("{} is not a name: {advice}", quoted(name)));
    }
    if name.len() > MAX_NAME {
        return Err(format!("the name {}… is longer than {MAX_NAME} bytes", quoted(name)));
    }
    Ok(name)
}

fn array_lengths(mut suffixes: &str) -> Result<Vec<Option<usize>>, String> {
    let mut lengths = Vec::new();
    while !suffixes.is_empty() {
        let advice = || {
            let range = format!("[N] with N from 1 to {MAX_VALUES}");
            format!("{} does not end an array's type: write [] or {range}", quoted(suffixes))
        };
        let inside = suffixes.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (length, rest) = inside.ok_or_else(advice)?;
        lengths.push(if length.is_empty() {
            None
        } else {
            // A longer one could not be filled.
            let fixed = positive(length).filter(|length| *length <= MAX_VALUES);
            Some(fixed.ok_or_else(advice)?)
        });
        suffixes = rest;
    }
    Ok(lengths)
}

/// A positive decimal number in the one way of writing it.
fn positive(digits: &str) -> Option<usize> {
    let canonical = !digits.starts_with('0') && digits.chars().all(|c| c.is_ascii_digit());
    digits.parse().ok().filter(|_| canonical)
}
