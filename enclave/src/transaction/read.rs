//! Reads a signing payload field by field, so that a refusal can name the field.
//!
//! It allocates no more than a small multiple of the payload, whose length is checked first. It
//! must never accept what the fields' own encoding would not give back: the caller compares.

use super::{Fields, invalid};
use alloy_consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, TxKind};
use alloy_rlp::{Decodable, Header};
use nitro_signer_shared::message::MAX_TRANSACTION;
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// From this byte on, a payload begins an RLP list; below it, it begins with a type (EIP-2718).
const FIRST_LIST: u8 = 0xc0;

/// Reads a payload of any type we sign.
pub(super) fn read(payload: &[u8]) -> Result<Fields, Refusal> {
    if payload.len() > MAX_TRANSACTION {
        let text = format!("{} bytes are more than {MAX_TRANSACTION}", payload.len());
        return Err(Refusal::new(RefusalCode::TooLarge, text));
    }
    let Some((first, fields)) = payload.split_first() else {
        return Err(invalid("the payload is empty"));
    };
    match *first {
        1 => access_list(fields),
        2 => dynamic_fee(fields),
        3 => blob(fields),
        4 => set_code(fields),
        FIRST_LIST.. => legacy(payload),
        other => Err(Refusal::new(
            RefusalCode::UnsupportedTransaction,
            format!("type {other} is not served; the types are 0 (legacy), 1, 2, 3 and 4"),
        )),
    }
}

fn legacy(payload: &[u8]) -> Result<Fields, Refusal> {
    let mut list = List::open(payload)?;
    let mut tx = TxLegacy {
        chain_id: None,
        nonce: list.take("nonce")?,
        gas_price: list.take("gasPrice")?,
        gas_limit: list.take("gas")?,
        to: list.take("to")?,
        value: list.take("value")?,
        input: list.take("data")?,
    };
    if list.is_empty() {
        return Ok(Fields::Legacy(tx));
    }
    tx.chain_id = Some(list.take("chainId")?);
    for place in ["eighth", "ninth"] {
        if list.take::<u8>(place)? != 0 {
            return Err(invalid(format!("the {place} field is 0 before signing (EIP-155)")));
        }
    }
    list.close()?;
    Ok(Fields::Legacy(tx))
}

fn access_list(fields: &[u8]) -> Result<Fields, Refusal> {
    let mut list = List::open(fields)?;
    let tx = TxEip2930 {
        chain_id: list.take("chainId")?,
        nonce: list.take("nonce")?,
        gas_price: list.take("gasPrice")?,
        gas_limit: list.take("gas")?,
        to: list.take("to")?,
        value: list.take("value")?,
        input: list.take("data")?,
        access_list: list.take::<AccessList>("accessList")?,
    };
    list.close()?;
    Ok(Fields::AccessList(tx))
}

fn dynamic_fee(fields: &[u8]) -> Result<Fields, Refusal> {
    let mut list = List::open(fields)?;
    let tx = TxEip1559 {
        chain_id: list.take("chainId")?,
        nonce: list.take("nonce")?,
        max_priority_fee_per_gas: list.take("maxPriorityFeePerGas")?,
        max_fee_per_gas: list.take("maxFeePerGas")?,
        gas_limit: list.take("gas")?,
        to: list.take("to")?,
        value: list.take("value")?,
        input: list.take("data")?,
        access_list: list.take("accessList")?,
    };
    list.close()?;
    Ok(Fields::DynamicFee(tx))
}

fn blob(fields: &[u8]) -> Result<Fields, Refusal> {
    let mut list = List::open(fields)?;
    let tx = TxEip4844 {
        chain_id: list.take("chainId")?,
        nonce: list.take("nonce")?,
        max_priority_fee_per_gas: list.take("maxPriorityFeePerGas")?,
        max_fee_per_gas: list.take("maxFeePerGas")?,
        gas_limit: list.take("gas")?,
        to: list.take_recipient("blob")?,
        value: list.take("value")?,
        input: list.take("data")?,
        access_list: list.take("accessList")?,
        max_fee_per_blob_gas: list.take("maxFeePerBlobGas")?,
        blob_versioned_hashes: list.take("blobVersionedHashes")?,
    };
    list.close()?;
    Ok(Fields::Blob(tx))
}

fn set_code(fields: &[u8]) -> Result<Fields, Refusal> {
    let mut list = List::open(fields)?;
    let tx = TxEip7702 {
        chain_id: list.take("chainId")?,
        nonce: list.take("nonce")?,
        max_priority_fee_per_gas: list.take("maxPriorityFeePerGas")?,
        max_fee_per_gas: list.take("maxFeePerGas")?,
        gas_limit: list.take("gas")?,
        to: list.take_recipient("set-code")?,
        value: list.take("value")?,
        input: list.take("data")?,
        access_list: list.take("accessList")?,
        authorization_list: list.take("authorizationList")?,
    };
    list.close()?;
    Ok(Fields::SetCode(tx))
}

/// The transaction's one list, read from the front and to its end.
struct List<'a>(&'a [u8]);

impl<'a> List<'a> {
    fn open(mut bytes: &'a [u8]) -> Result<Self, Refusal> {
        let header = Header::decode(&mut bytes).map_err(|e| invalid(format!("RLP: {e}")))?;
        if !header.list {
            return Err(invalid("the transaction is not an RLP list"));
        }
        if header.payload_length != bytes.len() {
            return Err(invalid(format!(
                "the list says {} bytes where {} stand",
                header.payload_length,
                bytes.len()
            )));
        }
        Ok(Self(bytes))
    }

    fn take<T: Decodable>(&mut self, field: &str) -> Result<T, Refusal> {
        if self.0.is_empty() {
            return Err(invalid(format!("{field} is missing")));
        }
        T::decode(&mut self.0).map_err(|e| invalid(format!("{field}: {e}")))
    }

    /// The recipient of a transaction that cannot deploy a contract.
    fn take_recipient(&mut self, kind: &str) -> Result<Address, Refusal> {
        match self.take::<TxKind>("to")? {
            TxKind::Call(to) => Ok(to),
            TxKind::Create => Err(invalid(format!("a {kind} transaction needs a recipient `to`"))),
        }
    }

    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn close(self) -> Result<(), Refusal> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(invalid("the transaction has more fields than its type"))
    }
}
