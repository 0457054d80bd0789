//! An authorization (EIP-7702) as clients ask for it in JSON.
//!
//! Like a transaction it is only translated: chain, contract and nonce are given or the request
//! is refused by name. Whether an authorization for every chain may be signed, policy says.

use super::fields;
use alloy_primitives::Address;
use nitro_signer_shared::json::{FieldError, Object};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};

/// Who is to sign, and which authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AuthorizationRequest {
    /// The key's address: the account whose code is set.
    pub(crate) from: Address,
    /// The one chain it holds on; 0 is every chain.
    pub(crate) chain_id: u64,
    /// The contract whose code the account will run; zero clears it.
    pub(crate) address: Address,
    /// The account's nonce at which it holds.
    pub(crate) nonce: u64,
}

/// How an interface writes the chain id's name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Names {
    /// `chainId`, as JSON-RPC.
    Camel,
    /// `chain_id`, as REST.
    Snake,
}

impl AuthorizationRequest {
    /// Reads `{from, chainId, address, nonce}`. `chain` is the chain of the endpoint, if it has
    /// one: an authorization for another one is refused, one for every chain is not.
    ///
    /// # Errors
    /// [`RefusalCode::InvalidAuthorization`] names the field; [`RefusalCode::WrongChain`].
    pub(crate) fn read(object: Object, names: Names, chain: Option<u64>) -> Result<Self, Refusal> {
        let read = Self::fields(object, names);
        let read = read.map_err(|e| e.refuse(RefusalCode::InvalidAuthorization))?;
        match chain {
            Some(served) if read.chain_id != 0 && read.chain_id != served => {
                let given = read.chain_id;
                let detail = format!(
                    "the authorization is for chain {given}, this endpoint serves {served}"
                );
                Err(Refusal::new(RefusalCode::WrongChain, detail))
            }
            _ => Ok(read),
        }
    }

    fn fields(mut object: Object, names: Names) -> Result<Self, FieldError> {
        let chain = match names {
            Names::Camel => "chainId",
            Names::Snake => "chain_id",
        };
        let read = Self {
            from: fields::address("from", object.require("from")?)?,
            chain_id: fields::quantity_u64(chain, object.require(chain)?)?,
            address: fields::address("address", object.require("address")?)?,
            nonce: fields::quantity_u64("nonce", object.require("nonce")?)?,
        };
        object.finish()?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_signer_shared::json;

    const FROM: &str = "0x1111111111111111111111111111111111111111";
    const CODE: &str = "0x2222222222222222222222222222222222222222";

    fn read(
        chain_id: &str,
        more: &str,
        served: Option<u64>,
    ) -> Result<AuthorizationRequest, Refusal> {
        let text = format!(
            r#"{{"from":"{FROM}","address":"{CODE}","nonce":"0x7","chainId":{chain_id}{more}}}"#
        );
        let object = json::read_object(text.as_bytes()).expect("is JSON");
        AuthorizationRequest::read(object, Names::Camel, served)
    }

    #[test]
    fn every_field_is_read() {
        let read = read(r#""0x5""#, "", None).expect("is read");
        let expected = AuthorizationRequest {
            from: Address::repeat_byte(0x11),
            chain_id: 5,
            address: Address::repeat_byte(0x22),
            nonce: 7,
        };
        assert_eq!(read, expected);
    }

    #[test]
    fn an_endpoint_of_a_chain_takes_that_chain_and_every_chain() {
        let check = |chain_id: &str, served, expected: Option<RefusalCode>| {
            let code = read(chain_id, "", served).err().map(|refusal| refusal.code);
            assert_eq!(code, expected, "{chain_id} on {served:?}");
        };
        check("5", Some(5), None);
        check("0", Some(5), None);
        check("5", None, None);
        check("5", Some(6), Some(RefusalCode::WrongChain));
    }

    #[test]
    fn what_is_missing_unknown_or_another_interfaces_is_named() {
        let check = |text: &str, names, word: &str| {
            let object = json::read_object(text.as_bytes()).expect("is JSON");
            let refusal = AuthorizationRequest::read(object, names, None).expect_err(text);
            assert_eq!(refusal.code, RefusalCode::InvalidAuthorization, "{text}");
            assert!(refusal.detail.contains(word), "{}", refusal.detail);
        };
        let whole = format!(r#""from":"{FROM}","address":"{CODE}","nonce":7"#);
        check(&format!("{{{whole}}}"), Names::Camel, "chainId is missing");
        check(&format!(r#"{{{whole},"chainId":1}}"#), Names::Snake, "chain_id is missing");
        check(&format!(r#"{{{whole},"chain_id":1,"v":1}}"#), Names::Snake, "\"v\"");
        check(&format!(r#"{{{whole},"chainId":"1"}}"#), Names::Camel, "chainId");
        check(&format!(r#"{{"from":"{FROM}","chainId":1,"nonce":7}}"#), Names::Camel, "address");
        check(&format!(r#"{{"address":"{CODE}","chainId":1,"nonce":7}}"#), Names::Camel, "from");
    }
}
