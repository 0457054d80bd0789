//! A signature as clients take it: 65 bytes, or an authorization that carries it.
//!
//! Only the form is made here; whose signature it is, the client recovers itself.

use super::AuthorizationRequest;
use nitro_signer_shared::json::MAX_SAFE_INTEGER;
use nitro_signer_shared::message::SignedHash;
use serde_json::{Value, json};

/// r || s || v in 0x-hex, v being 27 or 28 as eth_sign has it.
pub(crate) fn text(signed: &SignedHash) -> String {
    let v = 27 + u8::from(signed.y_parity);
    format!("0x{}{}{v:02x}", hex::encode(signed.r), hex::encode(signed.s))
}

/// A signed authorization as ethers and viem take one, unchanged, in an `authorizationList`:
/// chain id, nonce and parity as numbers for viem, which would encode the text of a quantity, and
/// `signature` for ethers, which would leave r and s aside without a word.
pub(crate) fn authorization(asked: &AuthorizationRequest, signed: &SignedHash) -> Value {
    json!({
        "chainId": integer(asked.chain_id),
        "address": asked.address,
        "nonce": integer(asked.nonce),
        "yParity": u8::from(signed.y_parity),
        "r": signed.r,
        "s": signed.s,
        "signature": text(signed),
    })
}

/// A JSON integer; a quantity where JavaScript would round one.
fn integer(number: u64) -> Value {
    if number <= MAX_SAFE_INTEGER { json!(number) } else { json!(format!("0x{number:x}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256, U256};

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
    fn an_authorization_is_written_as_libraries_take_it() {
        let (from, address) = (Address::ZERO, Address::repeat_byte(0x22));
        let asked = AuthorizationRequest { from, chain_id: 31_337, address, nonce: 0 };
        let expected = json!({
            "chainId": 31_337,
            "address": "0x2222222222222222222222222222222222222222",
            "nonce": 0,
            "yParity": 1,
            "r": format!("0x{}ab", "00".repeat(31)),
            "s": format!("0x{}", "02".repeat(32)),
            "signature": format!("0x{}ab{}1c", "00".repeat(31), "02".repeat(32)),
        });
        assert_eq!(authorization(&asked, &signed(true)), expected);
    }

    #[test]
    fn an_integer_is_one_that_javascript_keeps() {
        assert_eq!(integer(MAX_SAFE_INTEGER), json!(9_007_199_254_740_991_u64));
        assert_eq!(integer(MAX_SAFE_INTEGER + 1), json!("0x20000000000000"));
    }
}
