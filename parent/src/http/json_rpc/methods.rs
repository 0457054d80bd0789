//! The methods of JSON-RPC: a fixed list, each with parameters of one form.
//!
//! Parameters are read here and nothing is filled in; what may be signed, the enclave decides.

use super::{Endpoint, Form, ResultForm};
use crate::appliance::Caller;
use crate::ethereum::{
    AuthorizationRequest, CheckedTransaction, Names, TransactionRequest, TypedDataText, fields,
    message, signature,
};
use alloy_primitives::Address;
use nitro_signer_shared::json::{FieldError, Object, Value};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use serde_json::json;

/// A method that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) enum Method {
    Accounts,
    ChainId,
    SignTransaction,
    EthSign,
    PersonalSign,
    SignTypedData,
    SignTypedDataV4,
    SignAuthorization,
    SignDigest,
    HealthStatus,
    ClientVersion,
}

impl Method {
    /// Every method with its name on the wire.
    pub(in crate::http) const ALL: &'static [(Self, &'static str)] = &[
        (Self::Accounts, "eth_accounts"),
        (Self::ChainId, "eth_chainId"),
        (Self::SignTransaction, "eth_signTransaction"),
        (Self::EthSign, "eth_sign"),
        (Self::PersonalSign, "personal_sign"),
        (Self::SignTypedData, "eth_signTypedData"),
        (Self::SignTypedDataV4, "eth_signTypedData_v4"),
        (Self::SignAuthorization, "signer_signAuthorization"),
        (Self::SignDigest, "signer_signDigest"),
        (Self::HealthStatus, "health_status"),
        (Self::ClientVersion, "web3_clientVersion"),
    ];

    /// The method of this name, and the name as it may stand in metrics.
    pub(super) fn named(name: &str) -> Option<(Self, &'static str)> {
        Self::ALL.iter().find(|(_, known)| *known == name).copied()
    }
}

/// The refusal of a method that is not served.
pub(super) fn unknown() -> Refusal {
    let names: Vec<_> = Method::ALL.iter().map(|(_, name)| *name).collect();
    Refusal::new(RefusalCode::NotFound, format!("served are {}", names.join(", ")))
}

type Answer = Result<serde_json::Value, Refusal>;

impl Endpoint {
    pub(super) async fn answer(
        &self,
        method: Method,
        params: Vec<Value>,
        caller: Caller,
        form: Form,
    ) -> Answer {
        match method {
            Method::Accounts => {
                let [] = take(params)?;
                Ok(json!(self.app.appliance.every_key(caller, |key| key.address).await?))
            }
            Method::ChainId => {
                let [] = take(params)?;
                self.chain_id()
            }
            Method::SignTransaction => {
                let [transaction] = take(params)?;
                let transaction = transaction.object("the transaction")?;
                self.sign_transaction(transaction, caller, form).await
            }
            Method::EthSign => {
                let [address, data] = take(params)?;
                self.sign_message(address, data, caller).await
            }
            Method::PersonalSign if params.len() == 3 => Err(Refusal::new(
                RefusalCode::MalformedRequest,
                "no password unlocks a key here; give personal_sign the data and the address only",
            )),
            Method::PersonalSign => {
                let [data, address] = take(params)?;
                self.sign_message(address, data, caller).await
            }
            Method::SignTypedData | Method::SignTypedDataV4 => {
                let [address, typed_data] = take(params)?;
                self.sign_typed_data(address, typed_data, caller).await
            }
            Method::SignAuthorization => {
                let [authorization] = take(params)?;
                let authorization = authorization.object("the authorization")?;
                self.sign_authorization(authorization, caller).await
            }
            Method::SignDigest => {
                let [address, digest] = take(params)?;
                self.sign_digest(address, digest, caller).await
            }
            Method::HealthStatus => {
                let [] = take(params)?;
                Ok(json!(env!("CARGO_PKG_VERSION")))
            }
            Method::ClientVersion => {
                let [] = take(params)?;
                Ok(json!(concat!("nitro-signer/", env!("CARGO_PKG_VERSION"))))
            }
        }
    }

    fn chain_id(&self) -> Answer {
        let id = self.chain.ok_or_else(|| {
            let sentence = "this endpoint serves every chain; use /chain/ID to be of one";
            Refusal::new(RefusalCode::MalformedRequest, sentence)
        })?;
        Ok(json!(format!("0x{id:x}")))
    }

    async fn sign_transaction(&self, transaction: Object, caller: Caller, form: Form) -> Answer {
        let request = TransactionRequest::read_in_form(transaction, self.chain, form.sidecar)?;
        let signed = self.app.appliance.sign_transaction(caller, &request).await?;
        let raw = json!(format!("0x{}", hex::encode(request.finish(&signed.raw))));
        match form.result {
            ResultForm::Raw => Ok(raw),
            ResultForm::Object => {
                let checked = CheckedTransaction::open(&signed.raw, &request)
                    .map_err(|e| Refusal::new(RefusalCode::Internal, e.to_string()))?;
                Ok(json!({ "raw": raw, "tx": checked.to_json() }))
            }
        }
    }

    async fn sign_message(&self, key: Value, data: Value, caller: Caller) -> Answer {
        let key = address(key)?;
        let signed = self.app.appliance.sign_message(caller, key, message(data)?).await?;
        Ok(json!(signature::text(&signed)))
    }

    async fn sign_typed_data(&self, key: Value, typed_data: Value, caller: Caller) -> Answer {
        let key = address(key)?;
        let text = TypedDataText::read(typed_data, self.chain)?.into_bytes();
        let signed = self.app.appliance.sign_typed_data(caller, key, text).await?;
        Ok(json!(signature::text(&signed)))
    }

    async fn sign_authorization(&self, authorization: Object, caller: Caller) -> Answer {
        let asked = AuthorizationRequest::read(authorization, Names::Camel, self.chain)?;
        let signed = self.app.appliance.sign_authorization(caller, &asked).await?;
        Ok(signature::authorization(&asked, &signed))
    }

    async fn sign_digest(&self, key: Value, digest: Value, caller: Caller) -> Answer {
        let (key, digest) = (address(key)?, fields::b256("the digest", digest)?);
        let signed = self.app.appliance.sign_digest(caller, key, digest).await?;
        Ok(json!(signature::text(&signed)))
    }
}

fn address(value: Value) -> Result<Address, FieldError> {
    fields::address("the address", value)
}

/// Exactly `N` parameters.
fn take<const N: usize>(params: Vec<Value>) -> Result<[Value; N], Refusal> {
    params.try_into().map_err(|given: Vec<Value>| {
        let sentence = format!("{} parameters were given, {N} are needed", given.len());
        Refusal::new(RefusalCode::MalformedRequest, sentence)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_in_one_spelling() {
        for (method, name) in Method::ALL {
            assert_eq!(Method::named(name), Some((*method, *name)));
        }
        for name in ["", "eth_signTypedData_v3", "ETH_SIGN", "eth_sign "] {
            assert_eq!(Method::named(name), None, "{name}");
        }
        assert!(unknown().detail.ends_with("web3_clientVersion"), "{}", unknown().detail);
    }
}
