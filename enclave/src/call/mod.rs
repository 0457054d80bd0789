//! Contract calls: what calldata means by the ABI that the manifest gives its contract.
//!
//! A [`Call`] exists only for calldata that is, byte for byte, what encoding its arguments gives.
//! Anything else is "not decoded": a rule that names an argument then finds none, and policy
//! refuses where it must. This module must never guess at a meaning, follow an offset, or spend
//! more memory than a small multiple of the calldata.

mod abi;
mod arguments;
mod standards;

use alloy_dyn_abi::{DynSolType, DynSolValue};
use nitro_signer_shared::json::FieldError;
use nitro_signer_shared::manifest::{AddressEntry, Manifest};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use std::collections::BTreeMap;

/// Why a manifest's ABIs do not load. The sentence says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AbiError {
    /// One ABI is not acceptable.
    #[error("abis/{name}.json: {reason}")]
    Abi {
        /// The ABI's name in the manifest.
        name: String,
        /// What is wrong and what to write instead.
        reason: String,
    },
    /// A field of the manifest does not fit the ABIs.
    #[error("{field}: {reason}")]
    Field {
        /// `abis` or `addresses`.
        field: &'static str,
        /// What is wrong and what to write instead.
        reason: String,
    },
}

impl From<AbiError> for Refusal {
    fn from(error: AbiError) -> Self {
        Self::new(RefusalCode::ManifestInvalid, error.to_string())
    }
}

/// The ABIs that a manifest's address book may refer to: the manifest's own, and the standards
/// `erc20`, `erc721` and `erc1155`.
#[derive(Clone, Debug)]
pub struct Abis(BTreeMap<String, Abi>);

impl Abis {
    /// Reads the manifest's ABIs, and checks that the address book fits them.
    ///
    /// # Errors
    /// [`AbiError`] names the ABI, as `abis/NAME.json`, or the address, and what to write instead.
    pub fn load(manifest: &Manifest) -> Result<Self, AbiError> {
        let mut abis = BTreeMap::new();
        for (name, table) in standards::TABLES {
            abis.insert((*name).to_owned(), named(name, standards::read(table))?);
        }
        for entry in &manifest.abis {
            let name = entry.name.as_str();
            let abi = named(name, abi::read(&entry.json))?;
            if abis.insert(name.to_owned(), abi).is_some() {
                let reason = format!("{name} is the standard's name; name your ABI differently");
                return Err(AbiError::Field { field: "abis", reason });
            }
        }
        let abis = Self(abis);
        manifest.addresses.iter().try_for_each(|entry| abis.check_address(entry))?;
        Ok(abis)
    }

    /// The ABI of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Abi> {
        self.0.get(name)
    }

    /// Every ABI with its name, the standards included, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Abi)> {
        self.0.iter().map(|(name, abi)| (name.as_str(), abi))
    }

    fn check_address(&self, entry: &AddressEntry) -> Result<(), AbiError> {
        let Some(abi) = entry.abi.as_ref().map(|name| name.as_str()) else { return Ok(()) };
        let advice = match (abi, entry.decimals) {
            _ if self.get(abi).is_none() => {
                format!(
                    "there is no ABI {abi}; add abis/{abi}.json, or write erc20, erc721 or erc1155"
                )
            }
            ("erc20", None) => {
                "an erc20 needs `decimals`; write what the token's decimals() returns".to_owned()
            }
            ("erc721" | "erc1155", Some(_)) => {
                format!("an {abi} has no one number of decimals; remove `decimals`")
            }
            _ => return Ok(()),
        };
        Err(AbiError::Field { field: "addresses", reason: format!("{}: {advice}", entry.name) })
    }
}

fn named(name: &str, abi: Result<Abi, FieldError>) -> Result<Abi, AbiError> {
    abi.map_err(|FieldError(reason)| AbiError::Abi { name: name.to_owned(), reason })
}

/// A contract's functions. No two have one selector or one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abi(Vec<Function>);

impl Abi {
    /// The functions, in order of selector.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.0
    }

    /// What this calldata calls, if it is the canonical encoding of a call of one function: none
    /// otherwise. Takes any bytes.
    #[must_use]
    pub fn decode(&self, calldata: &[u8]) -> Option<Call<'_>> {
        let (selector, encoded) = calldata.split_first_chunk::<4>()?;
        let place = self.0.binary_search_by_key(selector, |function| function.selector).ok()?;
        let function = self.0.get(place)?;
        let arguments = arguments::decode(&function.inputs, encoded)?;
        Some(Call { function, arguments })
    }
}

/// A function of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// The name under which rules find its calls: its own, or `name_<selector in hex>` where
    /// several functions of the ABI have that name.
    pub name: String,
    /// Its signature as it is hashed, for example `transfer(address,uint256)`.
    pub signature: String,
    /// The first four bytes of its calldata: keccak256 of the signature begins with them.
    pub selector: [u8; 4],
    /// Its arguments' distinct names and types. What has no name is called `arg0`, `arg1`, … by
    /// its place. A tuple is a `CustomStruct`, called as in the source if the ABI says it, else
    /// `tuple`.
    pub inputs: Vec<(String, DynSolType)>,
}

/// A call that was read completely.
#[derive(Clone, Debug, PartialEq)]
pub struct Call<'a> {
    /// What is called.
    pub function: &'a Function,
    /// Its arguments, one for each of the function's inputs.
    pub arguments: Vec<DynSolValue>,
}

#[cfg(test)]
mod tests;
