//! What one manifest's rules can talk about beyond the fixed schema: calls of the contracts in its
//! address book, and typed data whose types it or a standard declares.
//!
//! Calldata is decoded by (address, selector), typed data by its type hash, never by a name alone:
//! anybody may call a type `Permit`. What is not decoded with certainty is absent, and a rule that
//! looks at it does not match.

use super::draft::Expressed;
use super::load::{Needs, PolicyLoadError};
use super::shape::{Known, Shape, Token, member, optional_record_type};
use crate::call::{Abis, Call};
use crate::typed_data::{DeclaredType, TypedData};
use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256};
use cedar_policy::RestrictedExpression;
use nitro_signer_shared::manifest::{Manifest, Name};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Typed data that everybody signs, with the names by which rules find its values: EIP-2612, the
/// older form of the Dai contract, and Uniswap's Permit2 (its AllowanceTransfer and
/// SignatureTransfer libraries, PermitHash.sol).
const STANDARD_MESSAGES: [(&str, &str); 6] = [
    (
        "permit",
        "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
    ),
    (
        "permit_allowed",
        "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)",
    ),
    (
        "permit2_single",
        "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
    ),
    (
        "permit2_batch",
        "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)",
    ),
    (
        "permit2_transfer",
        "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)",
    ),
    (
        "permit2_batch_transfer",
        "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)",
    ),
];

/// What rules can find of calls and typed data.
pub(super) struct Vocabulary {
    abis: Abis,
    /// By which ABI calls of a contract are decoded.
    contracts: HashMap<Address, Name>,
    /// The shapes of each used ABI's functions, by the function's name.
    calls: BTreeMap<Name, BTreeMap<String, Shape>>,
    messages: HashMap<B256, Message>,
}

struct Message {
    name: String,
    shape: Shape,
}

impl Vocabulary {
    pub(super) fn load(manifest: &Manifest) -> Result<Self, PolicyLoadError> {
        let abis = Abis::load(manifest).map_err(|e| PolicyLoadError::Abi(e.to_string()))?;
        let book = manifest.addresses.iter();
        let contracts: HashMap<_, _> =
            book.filter_map(|entry| Some((entry.address, entry.abi.clone()?))).collect();
        let used: HashSet<&Name> = contracts.values().collect();
        let calls = used.into_iter().map(|name| Ok((name.clone(), functions(&abis, name)?)));
        let calls = calls.collect::<Result<_, PolicyLoadError>>()?;
        Ok(Self { calls, messages: messages(manifest)?, abis, contracts })
    }

    /// The schema's types `Call` and `Message`.
    pub(super) fn schema_types(&self) -> String {
        let calls = self.calls.iter().map(|(abi, functions)| {
            let functions = functions.iter().map(|(name, of)| (name, of.schema_type()));
            (abi.as_str(), optional_record_type(functions))
        });
        let messages: BTreeMap<_, _> =
            self.messages.values().map(|m| (&m.name, m.shape.schema_type())).collect();
        format!(
            "type Call = {};\ntype Message = {};\n",
            optional_record_type(calls),
            optional_record_type(messages.into_iter())
        )
    }

    /// Every value of calls and typed data that rules can look at: its path below `context`, and its
    /// type.
    pub(super) fn paths(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (abi, functions) in &self.calls {
            for (name, shape) in functions {
                let path = format!("call{}{}", member(abi.as_str()), member(name));
                shape.list_paths(&path, &mut found);
            }
        }
        let messages: BTreeMap<_, _> =
            self.messages.values().map(|m| (&m.name, &m.shape)).collect();
        for (name, shape) in messages {
            shape.list_paths(&format!("message{}", member(name)), &mut found);
        }
        found
    }

    /// What this calldata calls, if the contract is in the book with an ABI and it is exactly the
    /// encoding of one of its functions.
    pub(super) fn decode<'a>(&'a self, to: Address, calldata: &[u8]) -> Option<Decoded<'a>> {
        let abi = self.contracts.get(&to)?;
        let call = self.abis.get(abi.as_str())?.decode(calldata)?;
        let shape = self.calls.get(abi)?.get(&call.function.name)?;
        Some(Decoded { abi: abi.as_str(), shape, call })
    }

    /// The values of this typed data, if its type is known.
    pub(super) fn express_message(
        &self,
        data: &TypedData,
        needs: &Needs,
        known: &Known<'_>,
    ) -> Option<Expressed> {
        let message = self.messages.get(&data.type_hash())?;
        let values = named(data.message().iter().cloned());
        Some(nested(&[&message.name], needs, |needs| message.shape.express(&values, needs, known)))
    }
}

/// A call that was decoded.
pub(super) struct Decoded<'a> {
    abi: &'a str,
    shape: &'a Shape,
    call: Call<'a>,
}

impl Decoded<'_> {
    /// The value of the schema's type `Call`.
    pub(super) fn express(self, needs: &Needs, known: &Known<'_>) -> Expressed {
        let Self { abi, shape, call: Call { function, arguments } } = self;
        let names = function.inputs.iter().map(|(name, _)| name.clone());
        let values = named(names.zip(arguments));
        nested(&[abi, &function.name], needs, |needs| shape.express(&values, needs, known))
    }
}

fn named(members: impl Iterator<Item = (String, DynSolValue)>) -> DynSolValue {
    let (prop_names, tuple) = members.unzip();
    DynSolValue::CustomStruct { name: String::new(), prop_names, tuple }
}

/// A record of one field, of one field, …, down to what `make` makes; no deeper than is needed.
fn nested(path: &[&str], needs: &Needs, make: impl FnOnce(&Needs) -> Expressed) -> Expressed {
    let Some((first, rest)) = path.split_first() else { return make(needs) };
    let field = match needs.of(first) {
        Some(needs) => Some(((*first).to_owned(), nested(rest, needs, make)?)),
        None => None,
    };
    RestrictedExpression::new_record(field).map_err(|_| super::draft::broken())
}

fn functions(abis: &Abis, name: &Name) -> Result<BTreeMap<String, Shape>, PolicyLoadError> {
    let unknown = |what: &str| PolicyLoadError::Abi(format!("abis/{name}.json: {what}"));
    let abi = abis.get(name.as_str()).ok_or_else(|| unknown("there is no such ABI"))?;
    let shapes = abi.functions().iter().map(|function| {
        let inputs = function.inputs.iter().map(|(name, of)| (name.as_str(), of));
        let mut shape = Shape::record(inputs)
            .ok_or_else(|| unknown(&format!("{}: a type that has no form", function.signature)))?;
        if name.as_str() == "erc20" {
            shape.scale_by_contract(&["amount", "value", "addedValue", "subtractedValue"]);
        }
        Ok((function.name.clone(), shape))
    });
    shapes.collect()
}

fn messages(manifest: &Manifest) -> Result<HashMap<B256, Message>, PolicyLoadError> {
    let mut messages = HashMap::new();
    for (name, text) in STANDARD_MESSAGES {
        let (hash, mut shape) = declared(name, text)?;
        shape.scale_by_contract(&["value"]);
        shape.scale_by_sibling();
        messages.insert(hash, Message { name: name.to_owned(), shape });
    }
    for entry in &manifest.typed_data {
        let name = entry.name.as_str();
        let refuse = |what: &str| PolicyLoadError::TypedData(format!("typed_data: {name}: {what}"));
        if STANDARD_MESSAGES.iter().any(|(standard, _)| *standard == name) {
            return Err(refuse("a standard type has this name; choose another"));
        }
        let (hash, shape) = declared(name, &entry.encode_type)?;
        if let Some(other) = messages.insert(hash, Message { name: name.to_owned(), shape }) {
            let other = other.name;
            return Err(refuse(&format!("this type is known as {other}; remove the entry")));
        }
    }
    Ok(messages)
}

fn declared(name: &str, text: &str) -> Result<(B256, Shape), PolicyLoadError> {
    let refuse = |what: &str| PolicyLoadError::TypedData(format!("typed_data: {name}: {what}"));
    let declared = DeclaredType::parse(text).map_err(|e| refuse(&e))?;
    let members = declared.members.iter().map(|(name, of)| (name.as_str(), of));
    let shape = Shape::record(members).ok_or_else(|| refuse("a type that has no form"))?;
    Ok((declared.type_hash, shape))
}

impl Shape {
    /// The numbers of these names are amounts of the contract's own token.
    fn scale_by_contract(&mut self, names: &[&str]) {
        let Self::Record(members) = self else { return };
        for (name, of) in members {
            if *of == Self::Unsigned && names.contains(&name.as_str()) {
                *of = Self::Tokens(Token::Contract);
            }
        }
    }

    /// An `amount` beside an address called `token` is an amount of that token.
    fn scale_by_sibling(&mut self) {
        match self {
            Self::List(item) => item.scale_by_sibling(),
            Self::Record(members) => {
                let has_token =
                    members.iter().any(|(name, of)| name == "token" && *of == Self::Address);
                for (name, of) in members {
                    match of {
                        Self::Unsigned if has_token && name == "amount" => {
                            *of = Self::Tokens(Token::Sibling("token"));
                        }
                        _ => of.scale_by_sibling(),
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What became of a struct's member `amount`, of this name and type, beside a `token` likewise.
    #[test]
    fn an_amount_is_a_tokens_only_beside_an_address_called_token() {
        let check = |token: (&str, Shape), amount: (&str, Shape), scaled: bool| {
            let member = |(name, of): (&str, Shape)| (name.to_owned(), of);
            let mut shape = Shape::Record(vec![member(token.clone()), member(amount.clone())]);
            shape.scale_by_sibling();
            let tokens = Shape::Tokens(Token::Sibling("token"));
            let expected = if scaled { (amount.0, tokens) } else { amount };
            assert_eq!(shape, Shape::Record(vec![member(token), member(expected)]));
        };
        check(("token", Shape::Address), ("amount", Shape::Unsigned), true);
        check(("asset", Shape::Address), ("amount", Shape::Unsigned), false);
        check(("token", Shape::Unsigned), ("amount", Shape::Unsigned), false);
        check(("token", Shape::Address), ("expiration", Shape::Unsigned), false);
        check(("token", Shape::Address), ("amount", Shape::Signed), false);
    }
}
