//! A transaction as clients ask for it in JSON, read into a typed one.
//!
//! It must never guess: a missing nonce, gas limit, fee or chain id is refused by name, and so is
//! any field that the type does not have. An absent `value` is zero and absent `data` is empty,
//! as in every client; `null` counts as absent, since Go clients write it so.

use super::blobs::GivenBlobs;
use super::{Sidecar, SidecarForm, UnsignedTransaction, fields};
use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use nitro_signer_shared::json::{FieldError, Object, Value};
use nitro_signer_shared::message::MAX_TRANSACTION;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// Who is to sign, and what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRequest {
    /// The key's address.
    pub from: Address,
    /// What it is to sign.
    pub transaction: UnsignedTransaction,
    /// What goes to the network with it and is not signed: only with a blob transaction, and only
    /// if it was given.
    pub sidecar: Option<Sidecar>,
}

impl TransactionRequest {
    /// Reads eth_signTransaction's object, blobs in [`SidecarForm::default`]; see
    /// [`TransactionRequest::read_in_form`].
    ///
    /// # Errors
    /// As [`TransactionRequest::read_in_form`].
    pub fn read(object: Object, chain: Option<u64>) -> Result<Self, Refusal> {
        Self::read_in_form(object, chain, SidecarForm::default())
    }

    /// Reads eth_signTransaction's object. `chain` is the chain of the endpoint, if it has one:
    /// an absent chain id is then that chain's, and another one is refused. Without a chain and
    /// with `"unprotected": true` a legacy transaction holds on every chain (no EIP-155). Blobs
    /// must have the proofs of `form`.
    ///
    /// # Errors
    /// [`RefusalCode::InvalidTransaction`], [`RefusalCode::UnsupportedTransaction`],
    /// [`RefusalCode::WrongChain`], [`RefusalCode::InvalidBlobs`],
    /// [`RefusalCode::BlobProofsMissing`] or [`RefusalCode::TooLarge`]; the detail names the field.
    pub fn read_in_form(
        mut object: Object,
        chain: Option<u64>,
        form: SidecarForm,
    ) -> Result<Self, Refusal> {
        let invalid = |e: FieldError| e.refuse(RefusalCode::InvalidTransaction);
        let chain_id = chain_id(&mut object, chain)?;
        let kind = kind(&mut object)?;
        let from = object.require("from").and_then(|v| fields::address("from", v));
        let from = from.map_err(invalid)?;
        // In another type they are left where they are, as fields that it does not have.
        let given = if kind == Kind::Blob { GivenBlobs::take(&mut object)? } else { None };
        let hashes = given.as_ref().map(GivenBlobs::versioned_hashes);
        let fields = Fields { object, chain_id, hashes };
        let transaction = fields.read(kind).map_err(invalid)?;
        let sidecar = match (given, &transaction) {
            (Some(given), UnsignedTransaction::Eip4844(tx)) => {
                Some(given.fit(&tx.blob_versioned_hashes, form)?)
            }
            _ => None,
        };
        if transaction.signing_payload().len() > MAX_TRANSACTION {
            let detail = format!("a transaction may have {MAX_TRANSACTION} bytes");
            return Err(Refusal::new(RefusalCode::TooLarge, detail));
        }
        Ok(Self { from, transaction, sidecar })
    }

    /// What the caller sends to the network: `raw` (EIP-2718), with the sidecar around it if the
    /// request had one.
    #[must_use]
    pub fn finish(&self, raw: &[u8]) -> Vec<u8> {
        self.sidecar.as_ref().map_or_else(|| raw.to_vec(), |sidecar| sidecar.assemble(raw))
    }

    /// The other way round: `raw` out of what [`TransactionRequest::finish`] made for this very
    /// request, `None` if it is not that.
    #[must_use]
    pub fn unfinish(&self, finished: &[u8]) -> Option<Vec<u8>> {
        match &self.sidecar {
            None => Some(finished.to_vec()),
            Some(sidecar) => sidecar.disassemble(finished),
        }
    }
}

/// The chain the transaction holds on; `None` only if the caller says that it is to be every
/// chain.
fn chain_id(object: &mut Object, endpoint: Option<u64>) -> Result<Option<u64>, Refusal> {
    let invalid = |e: FieldError| e.refuse(RefusalCode::InvalidTransaction);
    let unprotected =
        object.take("unprotected").map_or(Ok(false), |v| fields::boolean("unprotected", v));
    let unprotected = unprotected.map_err(invalid)?;
    let given = object.take("chainId").map(|v| fields::quantity_u64("chainId", v)).transpose();
    match (given.map_err(invalid)?, endpoint) {
        (given, None) if unprotected => match given {
            None => Ok(None),
            Some(_) => Err(Refusal::new(
                RefusalCode::InvalidTransaction,
                "unprotected stands beside chainId; give one or the other",
            )),
        },
        (_, Some(endpoint)) if unprotected => {
            let detail = format!(
                "an unprotected transaction holds on every chain, this endpoint serves {endpoint}"
            );
            Err(Refusal::new(RefusalCode::WrongChain, detail))
        }
        (Some(given), Some(endpoint)) if given != endpoint => {
            let detail =
                format!("the transaction is for chain {given}, this endpoint serves {endpoint}");
            Err(Refusal::new(RefusalCode::WrongChain, detail))
        }
        (Some(0), _) => {
            Err(Refusal::new(RefusalCode::InvalidTransaction, "chainId 0 is no chain (EIP-155)"))
        }
        (Some(id), _) | (None, Some(id)) => Ok(Some(id)),
        (None, None) => Err(Refusal::new(RefusalCode::InvalidTransaction, "chainId is missing")),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Legacy,
    AccessList,
    DynamicFee,
    Blob,
    SetCode,
}

/// The type that is named, or the one whose fields are there.
fn kind(object: &mut Object) -> Result<Kind, Refusal> {
    if let Some(value) = object.take("type") {
        let number = fields::quantity_u64("type", value)
            .map_err(|e| e.refuse(RefusalCode::InvalidTransaction))?;
        return match number {
            0 => Ok(Kind::Legacy),
            1 => Ok(Kind::AccessList),
            2 => Ok(Kind::DynamicFee),
            3 => Ok(Kind::Blob),
            4 => Ok(Kind::SetCode),
            _ => Err(RefusalCode::UnsupportedTransaction.into()),
        };
    }
    let has = |names: &[&str]| names.iter().any(|name| object.has(name));
    Ok(if has(&["authorizationList"]) {
        Kind::SetCode
    } else if has(&["blobVersionedHashes", "maxFeePerBlobGas", "blobs"]) {
        Kind::Blob
    } else if has(&["maxFeePerGas", "maxPriorityFeePerGas"]) {
        Kind::DynamicFee
    } else if has(&["accessList"]) {
        Kind::AccessList
    } else {
        Kind::Legacy
    })
}

/// Every type's fees and lists: Go clients write those of the other types as null.
const NAMES: &[&str] = &[
    "gasPrice",
    "maxFeePerGas",
    "maxPriorityFeePerGas",
    "maxFeePerBlobGas",
    "blobVersionedHashes",
    "blobs",
    "commitments",
    "proofs",
    "accessList",
    "authorizationList",
];

/// The fields that are left once sender, type and chain are known.
struct Fields {
    object: Object,
    chain_id: Option<u64>,
    /// The versioned hashes that the sidecar gives, for a transaction that does not list them.
    hashes: Option<Vec<B256>>,
}

impl Fields {
    fn read(mut self, kind: Kind) -> Result<UnsignedTransaction, FieldError> {
        let transaction = match kind {
            Kind::Legacy => UnsignedTransaction::Legacy(self.legacy()?),
            Kind::AccessList => UnsignedTransaction::Eip2930(self.access_list_kind()?),
            Kind::DynamicFee => UnsignedTransaction::Eip1559(self.dynamic_fee()?),
            Kind::Blob => UnsignedTransaction::Eip4844(self.blob()?),
            Kind::SetCode => UnsignedTransaction::Eip7702(self.set_code()?),
        };
        if kind != Kind::Legacy && kind != Kind::AccessList && self.object.has("gasPrice") {
            let sentence = "gasPrice stands beside maxFeePerGas; give one or the other";
            return Err(FieldError(sentence.to_owned()));
        }
        self.object.drop_nulls(NAMES);
        self.object.finish()?;
        Ok(transaction)
    }

    fn legacy(&mut self) -> Result<TxLegacy, FieldError> {
        let (to, input) = self.call_or_creation()?;
        Ok(TxLegacy {
            chain_id: self.chain_id,
            nonce: self.u64("nonce")?,
            gas_price: self.u128("gasPrice")?,
            gas_limit: self.u64("gas")?,
            to,
            value: self.value()?,
            input,
        })
    }

    fn access_list_kind(&mut self) -> Result<TxEip2930, FieldError> {
        let (to, input) = self.call_or_creation()?;
        Ok(TxEip2930 {
            chain_id: self.chain()?,
            nonce: self.u64("nonce")?,
            gas_price: self.u128("gasPrice")?,
            gas_limit: self.u64("gas")?,
            to,
            value: self.value()?,
            access_list: self.access_list()?,
            input,
        })
    }

    fn dynamic_fee(&mut self) -> Result<TxEip1559, FieldError> {
        let (to, input) = self.call_or_creation()?;
        Ok(TxEip1559 {
            chain_id: self.chain()?,
            nonce: self.u64("nonce")?,
            gas_limit: self.u64("gas")?,
            max_fee_per_gas: self.u128("maxFeePerGas")?,
            max_priority_fee_per_gas: self.u128("maxPriorityFeePerGas")?,
            to,
            value: self.value()?,
            access_list: self.access_list()?,
            input,
        })
    }

    fn blob(&mut self) -> Result<TxEip4844, FieldError> {
        Ok(TxEip4844 {
            chain_id: self.chain()?,
            nonce: self.u64("nonce")?,
            gas_limit: self.u64("gas")?,
            max_fee_per_gas: self.u128("maxFeePerGas")?,
            max_priority_fee_per_gas: self.u128("maxPriorityFeePerGas")?,
            to: self.recipient()?,
            value: self.value()?,
            access_list: self.access_list()?,
            blob_versioned_hashes: self.blob_hashes()?,
            max_fee_per_blob_gas: self.u128("maxFeePerBlobGas")?,
            input: self.input()?,
        })
    }

    fn set_code(&mut self) -> Result<TxEip7702, FieldError> {
        Ok(TxEip7702 {
            chain_id: self.chain()?,
            nonce: self.u64("nonce")?,
            gas_limit: self.u64("gas")?,
            max_fee_per_gas: self.u128("maxFeePerGas")?,
            max_priority_fee_per_gas: self.u128("maxPriorityFeePerGas")?,
            to: self.recipient()?,
            value: self.value()?,
            access_list: self.access_list()?,
            authorization_list: self.authorizations()?,
            input: self.input()?,
        })
    }

    /// Every type but the first has a chain id.
    fn chain(&self) -> Result<u64, FieldError> {
        self.chain_id.ok_or_else(|| {
            FieldError("unprotected is for legacy transactions only (type 0)".to_owned())
        })
    }

    fn u64(&mut self, name: &str) -> Result<u64, FieldError> {
        fields::quantity_u64(name, self.object.require(name)?)
    }

    fn u128(&mut self, name: &str) -> Result<u128, FieldError> {
        fields::quantity_u128(name, self.object.require(name)?)
    }

    fn value(&mut self) -> Result<U256, FieldError> {
        self.object.take("value").map_or(Ok(U256::ZERO), |v| fields::quantity("value", v))
    }

    fn recipient(&mut self) -> Result<Address, FieldError> {
        fields::address("to", self.object.require("to")?)
    }

    /// `to` and the data for it. Without `to` the data is the initcode of a new contract: a `to`
    /// that was forgotten must not become a contract without code.
    fn call_or_creation(&mut self) -> Result<(TxKind, Bytes), FieldError> {
        let to = self.object.take("to").map(|v| fields::address("to", v)).transpose()?;
        let input = self.input()?;
        if to.is_none() && input.is_empty() {
            let sentence = "a contract creation needs initcode in data; is to missing?";
            return Err(FieldError(sentence.to_owned()));
        }
        Ok((to.into(), input))
    }

    /// `data` and `input` are two names of one field; both may stand only if they are equal.
    fn input(&mut self) -> Result<Bytes, FieldError> {
        let mut take = |name| self.object.take(name).map(|v| fields::bytes(name, v)).transpose();
        match (take("data")?, take("input")?) {
            (Some(data), Some(input)) if data != input => {
                Err(FieldError("data and input differ; give one, or the same twice".to_owned()))
            }
            (data, input) => Ok(data.or(input).unwrap_or_default()),
        }
    }

    fn blob_hashes(&mut self) -> Result<Vec<B256>, FieldError> {
        let name = "blobVersionedHashes";
        let Some(given) = self.object.take(name) else {
            return self.hashes.take().ok_or_else(|| FieldError(format!("{name} is missing")));
        };
        let items = given.array(name)?;
        items.into_iter().map(|item| fields::b256(name, item)).collect()
    }

    fn access_list(&mut self) -> Result<AccessList, FieldError> {
        let items = match self.object.take("accessList") {
            None => Vec::new(),
            Some(value) => value.array("accessList")?,
        };
        items.into_iter().map(access_list_item).collect::<Result<Vec<_>, _>>().map(AccessList)
    }

    fn authorizations(&mut self) -> Result<Vec<SignedAuthorization>, FieldError> {
        let name = "authorizationList";
        let items = self.object.require(name)?.array(name)?;
        items.into_iter().map(authorization).collect()
    }
}

fn access_list_item(value: Value) -> Result<AccessListItem, FieldError> {
    let mut item = value.object("accessList[]")?;
    let address = fields::address("accessList[].address", item.require("address")?)?;
    let name = "accessList[].storageKeys";
    let keys = item.take("storageKeys").map_or(Ok(Vec::new()), |v| v.array(name))?;
    let storage_keys = keys.into_iter().map(|k| fields::b256(name, k)).collect::<Result<_, _>>()?;
    item.finish()?;
    Ok(AccessListItem { address, storage_keys })
}

/// A signed authorization (EIP-7702). Libraries write the parity as `yParity`, `v`, or both.
fn authorization(value: Value) -> Result<SignedAuthorization, FieldError> {
    let mut item = value.object("authorizationList[]")?;
    let chain_id = fields::quantity("authorizationList[].chainId", item.require("chainId")?)?;
    let address = fields::address("authorizationList[].address", item.require("address")?)?;
    let nonce = fields::quantity_u64("authorizationList[].nonce", item.require("nonce")?)?;
    let r = fields::padded_quantity("authorizationList[].r", item.require("r")?)?;
    let s = fields::padded_quantity("authorizationList[].s", item.require("s")?)?;
    let y_parity = parity(item.take("yParity"), item.take("v"))?;
    item.finish()?;
    let inner = Authorization { chain_id, address, nonce };
    Ok(SignedAuthorization::new_unchecked(inner, y_parity, r, s))
}

fn parity(y_parity: Option<Value>, v: Option<Value>) -> Result<u8, FieldError> {
    let name = "authorizationList[].yParity";
    let y_parity = y_parity.map(|y| fields::padded_quantity_or_integer(name, y)).transpose()?;
    let v =
        v.map(|v| fields::padded_quantity_or_integer("authorizationList[].v", v)).transpose()?;
    // 27 and 28 are the same parities in the older notation.
    let v = v.map(|v| if v >= U256::from(27) { v - U256::from(27) } else { v });
    let bit = match (y_parity, v) {
        (Some(y), Some(v)) if y != v => {
            return Err(FieldError(format!("{name} and v differ; give one, or the same twice")));
        }
        (y, v) => y.or(v).ok_or_else(|| FieldError(format!("{name} is missing")))?,
    };
    u8::try_from(bit)
        .ok()
        .filter(|bit| *bit <= 1)
        .ok_or_else(|| FieldError(format!("{name} must be 0 or 1")))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
