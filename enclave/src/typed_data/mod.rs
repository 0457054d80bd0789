//! Typed data (EIP-712) as it is hashed for signing: read strictly, shown to policy, encoded.
//!
//! [`TypedData`] exists only for a JSON text of which every key was read and every value has
//! exactly its declared type. The signing hash is computed from the very values that policy sees,
//! never from the text and never by whoever asks.
//!
//! The reader is ours because wallets' readers are lenient where a signer must not be: they sign
//! an empty domain when none is given, ignore a declared `EIP712Domain` and keys of no type, and
//! guess numbers. The encoder is ours because alloy's works out a struct's type hash anew for each
//! value of it and walks all types each time: 10,000 values times 16,384 members, for a request
//! within our limits. alloy is the judge in the tests instead.
//!
//! Deliberately absent: recursive types, and the aliases of Solidity (`uint`, `byte`).

mod declared;
mod domain;
mod hash;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use declared::DeclaredType;
pub use domain::Domain;

use alloy_dyn_abi::DynSolValue;
use alloy_primitives::{B256, keccak256};
use hash::Hasher;
use nitro_signer_shared::json::{self, Object, Value};
use nitro_signer_shared::message::MAX_TYPED_DATA;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use types::Types;

/// Typed data that was read completely and strictly; nobody has approved it yet.
#[derive(Clone, Debug)]
pub struct TypedData {
    domain: Domain,
    primary_type: String,
    type_hash: B256,
    message: Vec<(String, DynSolValue)>,
    signing_hash: B256,
}

impl TypedData {
    /// Reads the JSON object `{types, primaryType, domain, message}`, at most
    /// [`MAX_TYPED_DATA`] bytes of it.
    ///
    /// # Errors
    /// `TooLarge`, `MalformedJson`, or `InvalidTypedData` with a sentence that names the place,
    /// for example `message.to[3].wallet`.
    pub fn parse(json: &[u8]) -> Result<Self, Refusal> {
        if json.len() > MAX_TYPED_DATA {
            let detail = format!("typed data is at most {MAX_TYPED_DATA} bytes of JSON");
            return Err(Refusal::new(RefusalCode::TooLarge, detail));
        }
        let parts = Parts::read(json::read(json)?)?;
        let domain = Domain::read(parts.domain)?;
        let mut declarations = types::read_declarations(parts.types).map_err(invalid)?;
        if let Some(declared) = declarations.remove(domain::TYPE_NAME) {
            domain.check_declared(&declared)?;
        }
        let types = Types::new(declarations).map_err(|e| invalid(format!("types: {e}")))?;
        let primary_type = primary_type(parts.primary_type, &types)?;
        let message = value::read_message(&types, &primary_type, parts.message)?;

        let message_hash = Hasher::new(types.type_hashes(&primary_type))
            .hash_struct(&primary_type, message.iter().map(|(_, value)| value))?;
        let signing_hash = keccak256(
            [&[0x19, 0x01], domain.separator()?.as_slice(), message_hash.as_slice()].concat(),
        );
        let type_hash = keccak256(types.encode_type(&primary_type));
        Ok(Self { domain, primary_type, type_hash, message, signing_hash })
    }

    /// The hash to sign: keccak256(0x19 0x01 || domain separator || hashStruct(message)), computed
    /// from the values below when they were read; nothing can change them since.
    #[must_use]
    pub const fn signing_hash(&self) -> B256 {
        self.signing_hash
    }

    /// For whom the message is meant.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The name of the message's type. Two types may share a name; [`Self::type_hash`] tells them
    /// apart.
    #[must_use]
    pub fn primary_type(&self) -> &str {
        &self.primary_type
    }

    /// keccak256 of the type's encodeType: names the message's type and all that it refers to.
    #[must_use]
    pub const fn type_hash(&self) -> B256 {
        self.type_hash
    }

    /// The message's members in declared order: the very values that were hashed. A nested struct
    /// is a [`DynSolValue::CustomStruct`], an array an `Array` or a `FixedArray`.
    #[must_use]
    pub fn message(&self) -> &[(String, DynSolValue)] {
        &self.message
    }
}

/// The four parts of typed data, none of them read yet.
struct Parts {
    types: Value,
    primary_type: Value,
    domain: Object,
    message: Value,
}

impl Parts {
    fn read(value: Value) -> Result<Self, Refusal> {
        let refuse = |e: json::FieldError| e.refuse(RefusalCode::InvalidTypedData);
        let mut fields = value.object("typed data").map_err(refuse)?;
        let parts = Self {
            types: fields.require("types").map_err(refuse)?,
            primary_type: fields.require("primaryType").map_err(refuse)?,
            domain: fields.require("domain").and_then(|d| d.object("domain")).map_err(refuse)?,
            message: fields.require("message").map_err(refuse)?,
        };
        fields.finish().map_err(refuse)?;
        Ok(parts)
    }
}

fn primary_type(value: Value, types: &Types) -> Result<String, Refusal> {
    match value {
        Value::String(name) if types.declares(&name) => Ok(name),
        Value::String(name) => Err(invalid(format!(
            "primaryType {} is not declared in types; it cannot be EIP712Domain either",
            quoted(&name)
        ))),
        _ => Err(invalid("primaryType must be a string")),
    }
}

fn invalid(detail: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::InvalidTypedData, detail)
}

/// The beginning of a text that somebody else chose, fit to stand in a sentence.
fn quoted(text: &str) -> String {
    let beginning: String = text.chars().take(64).collect();
    format!("{beginning:?}")
}
