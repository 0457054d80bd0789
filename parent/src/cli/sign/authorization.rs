//! `sign authorization`: lets an account run a contract's code (EIP-7702).

use super::super::connection::Stack;
use super::super::output::{Failure, Report};
use super::{Asking, address, mismatch};
use crate::ethereum::{AnsweredSignature, CheckedSignature, Payload};
use alloy_eips::eip7702;
use alloy_primitives::{Address, U256};
use nitro_signer_shared::json::MAX_SAFE_INTEGER;
use serde::Deserialize;
use serde_json::{Value, json};

/// Sign an authorization (EIP-7702): the account of the key will run the contract's code. Whoever
/// holds the signature can use it. The manifest must allow it and a client proof must ask for it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer sign authorization --from 0x9d8a… --chain-id 1 --address 0x3535… --nonce 7 \\
    --client-key ops.key --manifest manifest.cbor --url https://signer.example:8443 \\
    --ca ca.pem --cert me.pem --key me.key
  nitro-signer sign authorization --from 0x9d8a… --any-chain --address 0x3535… --nonce 7 \\
    --stack stack.json

The account's nonce in the authorization is the one it has once the transaction that carries the
authorization is counted, if it sends that transaction itself.")]
pub(in crate::cli) struct Authorization {
    /// The key's address: the account whose code is set.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    from: Address,
    #[command(flatten)]
    chain: Chain,
    /// The contract; the zero address clears the account's code.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    address: Address,
    /// The account's nonce at which it holds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=MAX_SAFE_INTEGER))]
    nonce: u64,
    #[command(flatten)]
    asking: Asking,
}

/// Where it holds.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Chain {
    /// The one chain it holds on.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=MAX_SAFE_INTEGER))]
    chain_id: Option<u64>,
    /// It holds on every chain, those not made yet included.
    #[arg(long)]
    any_chain: bool,
}

/// What is answered; nothing of it is checked.
#[derive(Deserialize)]
struct Answer {
    chain_id: u64,
    address: Address,
    nonce: u64,
    #[serde(flatten)]
    signature: AnsweredSignature,
}

impl Authorization {
    pub(super) async fn run(self, stack: &Stack) -> Result<Report, Failure> {
        // EIP-7702 writes every chain as 0.
        let chain_id = self.chain.chain_id.unwrap_or(0);
        let Self { from, address, nonce, .. } = self;
        let body =
            json!({ "from": from, "chain_id": chain_id, "address": address, "nonce": nonce });
        let asked = eip7702::Authorization { chain_id: U256::from(chain_id), address, nonce };
        let intent = Payload::Authorization(asked.clone()).intent(from);
        let answer = self.asking.ask("/v1/authorizations", body, &intent, stack).await?;
        report(&answer, &asked, from)
    }
}

/// The authorization as eth_signTransaction's `authorizationList` takes it.
fn report(
    answer: &Answer,
    asked: &eip7702::Authorization,
    key: Address,
) -> Result<Report, Failure> {
    let given = (U256::from(answer.chain_id), answer.address, answer.nonce);
    if given != (asked.chain_id, asked.address, asked.nonce) {
        return Err(Failure::mismatch("the answer is another authorization; do not use it"));
    }
    let payload = Payload::Authorization(asked.clone());
    let signature = CheckedSignature::open(&answer.signature, &payload, key).map_err(mismatch)?;
    let (r, s, y_parity) = signature.parts();
    let json: Value = json!({
        "chainId": format!("0x{:x}", asked.chain_id),
        "address": asked.address,
        "nonce": format!("0x{:x}", asked.nonce),
        "yParity": format!("0x{y_parity:x}"),
        "r": format!("0x{r:x}"),
        "s": format!("0x{s:x}"),
    });
    Ok(Report::new(json.clone()).line(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer by an honest appliance, which holds the key of 32 times 0x46.
    fn answer(asked: &eip7702::Authorization) -> (Answer, Address) {
        let key = k256::ecdsa::SigningKey::from_slice(&[0x46; 32]).expect("is a key");
        let hash = asked.signature_hash();
        let (signature, id) = key.sign_prehash_recoverable(hash.as_slice());
        let bytes = signature.to_bytes();
        let answer = json!({
            "chain_id": u64::try_from(asked.chain_id).expect("is small"),
            "address": asked.address,
            "nonce": asked.nonce,
            "signing_hash": hash,
            "r": format!("0x{}", hex::encode(&bytes[..32])),
            "s": format!("0x{}", hex::encode(&bytes[32..])),
            "y_parity": id.to_byte(),
        });
        let point = key.verifying_key().to_sec1_point(false);
        let owner = Address::from_raw_public_key(&point.as_bytes()[1..]);
        (Answer::deserialize(answer).expect("is one"), owner)
    }

    #[test]
    fn an_authorization_is_the_one_that_was_asked_for() {
        let asked =
            eip7702::Authorization { chain_id: U256::from(1), address: Address::ZERO, nonce: 7 };
        let (good, owner) = answer(&asked);
        assert!(report(&good, &asked, owner).is_ok());
        assert!(report(&good, &asked, Address::ZERO).is_err(), "another key");
        let check = |change: &dyn Fn(&mut eip7702::Authorization)| {
            let mut other = asked.clone();
            change(&mut other);
            // A lie that is whole, and one that only signs another authorization.
            assert!(report(&answer(&other).0, &asked, owner).is_err());
            let mut lie = answer(&asked).0;
            lie.signature = answer(&other).0.signature;
            assert!(report(&lie, &asked, owner).is_err());
        };
        check(&|a| a.chain_id = U256::ZERO);
        check(&|a| a.address = owner);
        check(&|a| a.nonce = 8);
        let check = |change: &dyn Fn(&mut Answer)| {
            let (mut lie, _) = answer(&asked);
            change(&mut lie);
            assert!(report(&lie, &asked, owner).is_err(), "only the words differ");
        };
        check(&|a| a.chain_id = 0);
        check(&|a| a.nonce = 8);
        check(&|a| a.address = owner);
    }
}
