//! A type that the manifest declares, so that rules may look into messages of exactly this type.
//!
//! The text is EIP-712's encodeType in its one canonical form, because its hash is the type's
//! identity: a text that differs by a space would name a type that no message ever has.

use super::quoted;
use super::types::{Atom, Declaration, Declarations, Kind, Member, Stem, Types};
use alloy_dyn_abi::DynSolType;
use alloy_primitives::{B256, keccak256};
use nitro_signer_shared::message::MAX_TYPED_DATA;

/// The most nodes of a declared type's tree: structs, arrays and atoms, shared parts counted as
/// often as they are used. The tree is what policy is typed by, so it has to fit in memory.
pub(super) const MAX_NODES: usize = 1_000;

/// A type that the manifest declares by EIP-712's encodeType, for example
/// `Mail(Person from,Person to,string contents)Person(string name,address wallet)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredType {
    /// keccak256 of the text.
    pub type_hash: B256,
    /// The name of the first struct.
    pub primary_type: String,
    /// Its members in order; nested structs are [`DynSolType::CustomStruct`].
    pub members: Vec<(String, DynSolType)>,
}

impl DeclaredType {
    /// Reads the canonical text: the primary struct first, then all that it refers to in order of
    /// name and nothing else, with one space in each member and no others.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub fn parse(encode_type: &str) -> Result<Self, String> {
        // A longer one could not come with a message.
        if encode_type.len() > MAX_TYPED_DATA {
            return Err(format!("the type is longer than {MAX_TYPED_DATA} bytes"));
        }
        let (primary_type, declarations) = split(encode_type)?;
        let types = Types::new(declarations)?;
        let canonical = types.encode_type(&primary_type);
        if canonical != encode_type {
            let canonical: String = canonical.chars().take(256).collect();
            let advice = "sort the types after the first, leave out those it does not refer to";
            return Err(format!("{advice}: {canonical}"));
        }
        let mut left = MAX_NODES;
        let members = resolve_members(&types, &primary_type, &mut left)?;
        Ok(Self { type_hash: keccak256(encode_type), primary_type, members })
    }
}

/// Takes `Name(type name,…)…` apart; whatever is odd about a name is left to the type table.
fn split(mut text: &str) -> Result<(String, Declarations), String> {
    let mut declarations = Declarations::new();
    let mut primary_type = None;
    while !text.is_empty() {
        let form = || format!("{} is not of the form Name(type name,type name)", quoted(text));
        let (name, rest) = text.split_once('(').ok_or_else(form)?;
        let (members, rest) = rest.split_once(')').ok_or_else(form)?;
        let members = split_members(members).ok_or_else(form)?;
        if declarations.insert(name.to_owned(), members).is_some() {
            return Err(format!("the type {} is declared twice", quoted(name)));
        }
        primary_type.get_or_insert_with(|| name.to_owned());
        text = rest;
    }
    Ok((primary_type.ok_or("write a type: Name(type name,type name)")?, declarations))
}

fn split_members(members: &str) -> Option<Vec<Declaration>> {
    if members.is_empty() {
        return Some(Vec::new());
    }
    let read = |member: &str| {
        let (type_name, name) = member.split_once(' ')?;
        Some(Declaration { type_name: type_name.to_owned(), name: name.to_owned() })
    };
    members.split(',').map(read).collect()
}

fn resolve_members(
    types: &Types,
    name: &str,
    left: &mut usize,
) -> Result<Vec<(String, DynSolType)>, String> {
    let resolve = |member: &Member| Ok((member.name.clone(), resolve(types, &member.kind, left)?));
    types.members(name).iter().map(resolve).collect()
}

/// A member's type as a tree. The type table bounds its depth, `left` its size.
fn resolve(types: &Types, kind: &Kind, left: &mut usize) -> Result<DynSolType, String> {
    *left = left
        .checked_sub(1 + kind.lengths.len())
        .ok_or_else(|| format!("the type has more than {MAX_NODES} members in all"))?;
    let stem = match &kind.stem {
        Stem::Atom(atom) => resolve_atom(*atom),
        Stem::Struct(name) => {
            let (prop_names, tuple) = resolve_members(types, name, left)?.into_iter().unzip();
            DynSolType::CustomStruct { name: name.clone(), prop_names, tuple }
        }
    };
    Ok(kind.lengths.iter().fold(stem, |inner, length| match length {
        None => DynSolType::Array(Box::new(inner)),
        Some(length) => DynSolType::FixedArray(Box::new(inner), *length),
    }))
}

const fn resolve_atom(atom: Atom) -> DynSolType {
    match atom {
        Atom::Bool => DynSolType::Bool,
        Atom::Int(bits) => DynSolType::Int(bits),
        Atom::Uint(bits) => DynSolType::Uint(bits),
        Atom::FixedBytes(length) => DynSolType::FixedBytes(length),
        Atom::Address => DynSolType::Address,
        Atom::Bytes => DynSolType::Bytes,
        Atom::String => DynSolType::String,
    }
}
