//! The domain of typed data: for which application, chain and contract a signature is meant.
//!
//! A signature without a domain would be good everywhere, so an empty one is refused. The
//! separator is computed from the fields that policy sees and from nothing else.

use super::hash::Hasher;
use super::types::Declaration;
use super::value::{self, Path};
use super::{invalid, quoted};
use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{Address, B256, U256, keccak256};
use nitro_signer_shared::json::{Object, Value};
use nitro_signer_shared::refusal::Refusal;

/// The name of the domain's own type.
pub(super) const TYPE_NAME: &str = "EIP712Domain";

/// The domain's fields; at least one is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    /// What people call the application.
    pub name: Option<String>,
    /// Its major version; other versions' signatures are not compatible.
    pub version: Option<String>,
    /// The EIP-155 chain id.
    pub chain_id: Option<U256>,
    /// The contract that will verify the signature.
    pub verifying_contract: Option<Address>,
    /// What tells domains apart that are otherwise equal.
    pub salt: Option<B256>,
}

impl Domain {
    /// Reads the JSON object `domain`.
    pub(super) fn read(mut fields: Object) -> Result<Self, Refusal> {
        let domain = Self {
            name: take(&mut fields, "name", value::string)?,
            version: take(&mut fields, "version", value::string)?,
            chain_id: take(&mut fields, "chainId", |v| value::unsigned(&v, 256))?,
            verifying_contract: take(&mut fields, "verifyingContract", |v| value::address(&v))?,
            salt: take(&mut fields, "salt", |v| value::fixed_bytes(&v, 32))?,
        };
        if let Some((name, _)) = fields.into_fields().next() {
            let fields = "name, version, chainId, verifyingContract and salt";
            return Err(invalid(format!("domain has only {fields}, not {}", quoted(&name))));
        }
        if domain == Self::default() {
            return Err(invalid("domain is empty: a signature for no domain is good in all"));
        }
        // shared::proof: whoever has such a signature is a client, if the signer's key ever is one.
        if domain.name.as_deref() == Some("nitro-signer") && domain.salt.is_some() {
            return Err(invalid("this is the domain of client proofs, which held keys never sign"));
        }
        Ok(domain)
    }

    /// Refuses a declared `EIP712Domain` that is not the type of exactly these fields: two
    /// readers could otherwise hash two domains.
    pub(super) fn check_declared(&self, declared: &[Declaration]) -> Result<(), Refusal> {
        let fields = self.fields();
        let equal = |(declared, (type_name, name, _)): (&Declaration, &(&str, &str, _))| {
            declared.type_name == *type_name && declared.name == *name
        };
        if declared.len() == fields.len() && declared.iter().zip(&fields).all(equal) {
            return Ok(());
        }
        let write = encode_type(&fields);
        Err(invalid(format!("types.{TYPE_NAME} must be that of the domain's fields: {write}")))
    }

    /// hashStruct of the domain.
    pub(super) fn separator(&self) -> Result<B256, Refusal> {
        let fields = self.fields();
        let type_hash = keccak256(encode_type(&fields));
        let hasher = Hasher::new([(TYPE_NAME, type_hash)].into());
        hasher.hash_struct(TYPE_NAME, fields.iter().map(|(_, _, value)| value))
    }

    /// Type, name and value of the fields that are there, in EIP-712's order.
    fn fields(&self) -> Vec<(&'static str, &'static str, DynSolValue)> {
        let string = |text: &String| DynSolValue::String(text.clone());
        [
            ("string", "name", self.name.as_ref().map(string)),
            ("string", "version", self.version.as_ref().map(string)),
            ("uint256", "chainId", self.chain_id.map(|id| DynSolValue::Uint(id, 256))),
            ("address", "verifyingContract", self.verifying_contract.map(DynSolValue::Address)),
            ("bytes32", "salt", self.salt.map(|salt| DynSolValue::FixedBytes(salt, 32))),
        ]
        .into_iter()
        .filter_map(|(type_name, name, value)| Some((type_name, name, value?)))
        .collect()
    }
}

fn encode_type(fields: &[(&str, &str, DynSolValue)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(kind, name, _)| format!("{kind} {name}")).collect();
    format!("{TYPE_NAME}({})", fields.join(","))
}

/// Takes a field out that may be absent but not null.
fn take<T>(
    fields: &mut Object,
    name: &str,
    read: impl FnOnce(Value) -> Result<T, String>,
) -> Result<Option<T>, Refusal> {
    let value = fields.take_nullable(name).map(read).transpose();
    value.map_err(|e| Path::Root("domain").member(name).refuse(&e))
}
