//! The routes that web3signer has for Ethereum's execution keys, for clients that speak to it.
//!
//! Its sign route signs the Keccak-256 of any bytes. Here that is a bare digest to the enclave,
//! refused unless policy allows SignDigest and a client proof comes with it.

use super::problem::Problem;
use super::query::NoQuery;
use super::{App, PathText, Peer, caller, read_body};
use crate::ethereum::{fields, signature};
use alloy_primitives::{Address, keccak256};
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use nitro_signer_shared::json::{self, FieldError};
use nitro_signer_shared::refusal::Refusal;
use serde_json::json;

/// The process runs; web3signer's clients ask before they start.
pub(super) async fn upcheck() -> &'static str {
    "OK"
}

/// The public keys held: 64 bytes each, in 0x-hex, in order of their addresses.
pub(super) async fn public_keys(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
) -> Result<Response, Problem> {
    let caller = caller::asserted(peer);
    let keys = app.appliance.every_key(caller, |key| key.public_key).await?;
    let mut response = json!(keys).to_string().into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// r || s || v over keccak256 of the data, as text.
pub(super) async fn sign(
    State(app): State<App>,
    Extension(peer): Extension<Peer>,
    PathText(identifier): PathText,
    _: NoQuery,
    body: Body,
) -> Result<Response, Problem> {
    let key = key(&identifier.unwrap_or_default()).map_err(Refusal::from)?;
    let mut object = json::read_object(&read_body(body).await?)?;
    let caller = caller::caller(peer, &mut object).map_err(Refusal::from)?;
    let data = object.require("data").and_then(|v| fields::bytes("data", v));
    let data = data.map_err(Refusal::from)?;
    object.finish().map_err(Refusal::from)?;
    let signed = app.appliance.sign_digest(caller, key, keccak256(data)).await?;
    Ok(signature::text(&signed).into_response())
}

/// A public key, whose address is the last 20 bytes of its Keccak-256, or an address.
fn key(identifier: &str) -> Result<Address, FieldError> {
    let mut public_key = [0u8; 64];
    let digits = identifier.strip_prefix("0x").unwrap_or(identifier);
    if hex::decode_to_slice(digits, &mut public_key).is_ok() {
        return Ok(Address::from_raw_public_key(&public_key));
    }
    fields::address_text("the identifier", identifier).map_err(|_| {
        let forms = "a public key of 64 bytes in hex, or an address: 0x and 40 hex digits";
        FieldError(format!("the identifier must be {forms}, in mixed case with its checksum"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn a_key_is_named_by_its_point_or_its_address() {
        // secp256k1's generator, the public key of 1 (SEC 2, section 2.4.1), and its address.
        let point = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\
                     483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
        let expected = address!("7e5f4552091a69125d5dfcb7b8c2659029395bdf");
        for identifier in [
            point.to_owned(),
            format!("0x{point}"),
            point.to_uppercase(),
            "0x7e5f4552091a69125d5dfcb7b8c2659029395bdf".to_owned(),
            expected.to_checksum(None),
        ] {
            assert_eq!(key(&identifier).ok(), Some(expected), "{identifier}");
        }
        for identifier in [
            String::new(),
            "0x".to_owned(),
            point[2..].to_owned(),
            format!("04{point}"),
            "7e5f4552091a69125d5dfcb7b8c2659029395bdf".to_owned(),
            "0x7E5f4552091a69125d5dfcb7b8c2659029395bdf".to_owned(),
        ] {
            assert!(key(&identifier).is_err(), "{identifier}");
        }
    }
}
