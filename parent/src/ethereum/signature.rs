//! A signature as clients take it: 65 bytes, or an authorization that carries it.
//!
//! Only the form is made here; whose signature it is, the client recovers itself.

use super::AuthorizationRequest;
use alloy_primitives::U256;
use nitro_signer_shared::message::SignedHash;
use serde_json::{Value, json};

/// r || s || v in 0x-hex, v being 27 or 28 as eth_sign has it.
pub(crate) fn text(signed: &SignedHash) -> String {
    let v = 27 + u8::from(signed.y_parity);
    format!("0x{}{}{v:02x}", hex::encode(signed.r), hex::encode(signed.s))
}

/// A signed authorization as the execution APIs write one in an `authorizationList`.
pub(crate) fn authorization(asked: &AuthorizationRequest, signed: &SignedHash) -> Value {
    json!({
        "chainId": format!("0x{:x}", asked.chain_id),
        "address": asked.address,
        "nonce": format!("0x{:x}", asked.nonce),
        "yParity": format!("0x{:x}", u8::from(signed.y_parity)),
        "r": format!("0x{:x}", U256::from_be_bytes(signed.r.0)),
        "s": format!("0x{:x}", U256::from_be_bytes(signed.s.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};

    fn signed(y_parity: bool) -> SignedHash {
        let r = B256::from(U256::from(0xab));
        SignedHash { signing_hash: B256::ZERO, r, s: B256::repeat_byte(2), y_parity }
    }

    #[test]
    fn sixty_five_bytes_end_in_27_or_28() {
        let check = |y_parity, v: &str| {
            let expected = format!("0x{}ab{}{v}", "00".repeat(31), "02".repeat(32));
            assert_eq!(text(&signed(y_parity)), expected);
        };
        check(false, "1b");
        check(true, "1c");
    }

    #[test]
    fn an_authorization_has_quantities() {
        let (from, address) = (Address::ZERO, Address::repeat_byte(0x22));
        let asked = AuthorizationRequest { from, chain_id: 31_337, address, nonce: 0 };
        let expected = json!({
            "chainId": "0x7a69",
            "address": "0x2222222222222222222222222222222222222222",
            "nonce": "0x0",
            "yParity": "0x1",
            "r": "0xab",
            "s": format!("0x2{}", "02".repeat(31)),
        });
        assert_eq!(authorization(&asked, &signed(true)), expected);
    }
}
