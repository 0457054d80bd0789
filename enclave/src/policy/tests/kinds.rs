//! What do rules see of messages, typed data, authorizations, digests and unprotected transactions?

use super::*;
use serde_json::{Value, json};

pub(super) const MAIL_TYPE: &str =
    "Mail(Person from,Person to,string contents)Person(string name,address wallet)";

fn typed_data(value: &Value) -> TypedData {
    TypedData::parse(value.to_string().as_bytes()).unwrap()
}

fn members(text: &str) -> Value {
    let member = |m: &str| {
        let (kind, name) = m.split_once(' ').unwrap();
        json!({"type": kind, "name": name})
    };
    text.split(',').map(member).collect()
}

fn mail() -> Value {
    json!({
        "types": {
            "Person": members("string name,address wallet"),
            "Mail": members("Person from,Person to,string contents"),
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail", "version": "1", "chainId": 1, "verifyingContract": TREASURY,
            "salt": B256::repeat_byte(7),
        },
        "message": {
            "from": {"name": "Cow", "wallet": TREASURY},
            "to": {"name": "Bob", "wallet": STRANGER},
            "contents": "Hello, Bob!",
        },
    })
}

fn permit(token: Address, value: &str) -> Value {
    json!({
        "types": {"Permit": members("address owner,address spender,uint256 value,uint256 nonce,uint256 deadline")},
        "primaryType": "Permit",
        "domain": {"name": "USD Coin", "chainId": 1, "verifyingContract": token},
        "message": {
            "owner": key().address, "spender": TREASURY, "value": value, "nonce": 0,
            "deadline": NOW_S + 60,
        },
    })
}

fn permit_batch(tokens: &[(Address, u64)]) -> Value {
    let details: Vec<_> = tokens
        .iter()
        .map(|(token, amount)| json!({"token": token, "amount": amount, "expiration": 1, "nonce": 2}))
        .collect();
    json!({
        "types": {
            "PermitBatch": members("PermitDetails[] details,address spender,uint256 sigDeadline"),
            "PermitDetails": members("address token,uint160 amount,uint48 expiration,uint48 nonce"),
        },
        "primaryType": "PermitBatch",
        "domain": {"name": "Permit2", "chainId": 1, "verifyingContract": STRANGER},
        "message": {"details": details, "spender": TREASURY, "sigDeadline": NOW_S},
    })
}

/// Typed data of every shape.
pub(super) fn all_typed_data() -> Vec<TypedData> {
    let mut unknown = mail();
    unknown["types"]["Mail"] = members("Person to");
    unknown["message"] = json!({"to": {"name": "Bob", "wallet": STRANGER}});
    let mut small = mail();
    small["domain"] = json!({"name": "x"});
    [mail(), unknown, small, permit(USDC, "5"), permit(STRANGER, "5"), permit_batch(&[(USDC, 1)])]
        .iter()
        .map(typed_data)
        .collect()
}

fn permits_data(condition: &str, data: &Value) -> bool {
    permits_subject("SignTypedData", condition, typed_data(data))
}

fn permits_subject<S: Subject>(action: &str, condition: &str, subject: S) -> bool {
    let rules = format!(
        "permit(principal, action == Action::\"{action}\", resource) when {{{condition}}};"
    );
    match decide(&rules, &operator(), subject) {
        Ok(()) => true,
        Err(refusal) => {
            assert_eq!(refusal.code, RefusalCode::PolicyDenied, "{condition}: {refusal}");
            false
        }
    }
}

#[test]
fn a_domain_is_seen_as_it_was_hashed() {
    let salt = "07".repeat(32);
    for condition in [
        "context.domain has name && context.domain.name.text == \"Ether Mail\"",
        "context.domain has version && context.domain.version.text like \"1*\"",
        "context.domain has chain_id && context.domain.chain_id == 1",
        "context.domain has verifying_contract && context.domain.verifying_contract in AddressGroup::\"safe\"",
        &format!("context.domain has salt && context.domain.salt.hex == \"{salt}\""),
    ] {
        assert!(permits_data(condition, &mail()), "{condition}");
        let mut other = mail();
        other["domain"] = json!({"name": "other"});
        assert!(!permits_data(condition, &other), "{condition}");
    }
    assert!(permits_data("context.primary_type.text == \"Mail\"", &mail()));
    let hash = hex::encode(alloy_primitives::keccak256(MAIL_TYPE));
    assert!(permits_data(&format!("context.type_hash.hex == \"{hash}\""), &mail()));
}

#[test]
fn a_declared_types_values_are_seen_and_anothers_are_not() {
    let condition = "context has message.mail && context.message.mail.to.name.text == \"Bob\" && \
                     context.message.mail.from.wallet in AddressGroup::\"safe\"";
    assert!(permits_data(condition, &mail()));
    let mut foreign = mail();
    foreign["types"]["Mail"] = members("Person from,Person to,string contents,bool more");
    foreign["message"]["more"] = json!(true);
    assert!(!permits_data(condition, &foreign));
    assert!(!permits_data("context has message", &foreign));
}

#[test]
fn a_permit_is_known_by_its_type_hash_and_scaled_by_its_token() {
    let has = "context has message.permit && context.message.permit";
    assert!(permits_data(&format!("{has}.value.whole <= 5"), &permit(USDC, "5000000")));
    assert!(!permits_data(&format!("{has}.value.whole <= 5"), &permit(USDC, "5000001")));
    let most = U256::MAX.to_string();
    assert!(!permits_data(&format!("{has}.value.whole <= 5"), &permit(USDC, &most)));
    assert!(permits_data(&format!("{has}.value.exceeds_long"), &permit(USDC, &most)));
    assert!(permits_data(&format!("{has}.spender in AddressGroup::\"safe\""), &permit(USDC, "1")));
    assert!(permits_data(&format!("{has}.deadline.long <= context.time + 60"), &permit(USDC, "1")));
    assert!(!permits_data(
        &format!("{has}.deadline.long <= context.time + 59"),
        &permit(USDC, "1")
    ));
    // A token that the book does not know has no decimals, so nobody could bound it.
    assert!(!permits_data("context has message", &permit(STRANGER, "1")));
    assert!(!permits_data("context has message", &permit(TREASURY, "1")));
    // Anybody may call a type Permit.
    let mut foreign = permit(USDC, "1");
    foreign["types"]["Permit"] = members("address owner,address spender,uint256 value");
    foreign["message"] = json!({"owner": TREASURY, "spender": TREASURY, "value": 1});
    assert!(!permits_data("context has message", &foreign));
    assert!(permits_data("context.primary_type.text == \"Permit\"", &foreign));
}

#[test]
fn a_batch_of_permits_is_seen_token_by_token() {
    let usdc = entity::address_text(USDC);
    let only = format!(
        "context has message.permit2_batch && \
         [Address::\"{usdc}\"].containsAll(context.message.permit2_batch.details.each.token.items)"
    );
    assert!(permits_data(&only, &permit_batch(&[(USDC, 1), (USDC, 2)])));
    // One token of unknown decimals, and the whole is not seen.
    assert!(!permits_data("context has message", &permit_batch(&[(USDC, 1), (NFT, 2)])));
    let amount = "context has message.permit2_batch && \
                  context.message.permit2_batch.details.each.amount.size == 2";
    assert!(permits_data(amount, &permit_batch(&[(USDC, 1), (USDC, 2)])));
}

#[test]
fn a_chain_id_that_no_rule_can_name_is_refused() {
    let policy = load("permit(principal, action, resource);");
    for (id, good) in [(json!("9223372036854775807"), true), (json!("9223372036854775808"), false)]
    {
        let mut data = mail();
        data["domain"]["chainId"] = id;
        let approved = policy.approve(&operator(), &key(), typed_data(&data), is_held, NOW_S);
        assert_eq!(code(approved), (!good).then_some(RefusalCode::InvalidTypedData));
    }
}

#[test]
fn a_message_is_seen_by_its_text_size_and_hash() {
    let message = |bytes: &[u8]| Message::parse(bytes.to_vec()).unwrap();
    let hash = hex::encode(alloy_primitives::keccak256("example.com wants you"));
    for condition in [
        "context has text && context.text like \"example.com wants*\"",
        "context has text && context.text == \"example.com wants you\"",
        "context.size == 21",
        &format!("context.hash.hex == \"{hash}\""),
    ] {
        assert!(permits_subject("SignMessage", condition, message(b"example.com wants you")));
        assert!(!permits_subject("SignMessage", condition, message(b"evil.com")), "{condition}");
        assert!(!permits_subject("SignMessage", condition, message(&[0xff; 20])), "{condition}");
    }
    assert!(!permits_subject("SignMessage", "context has text", message(&[0xff, 0xfe])));
}

#[test]
fn a_message_of_32_bytes_is_another_action() {
    let message = || Message::parse(vec![0x61; 32]).unwrap();
    assert!(!permits_subject("SignMessage", "true", message()));
    let word = "61".repeat(32);
    assert!(permits_subject(
        "SignMessage32",
        &format!("context.message.hex == \"{word}\""),
        message()
    ));
    for length in [31, 33] {
        let other = || Message::parse(vec![0x61; length]).unwrap();
        assert!(!permits_subject("SignMessage32", "true", other()));
        assert!(permits_subject("SignMessage", "true", other()));
    }
}

#[test]
fn an_authorization_is_seen_and_needs_switch_and_proof() {
    let one = |chain| UnsignedAuthorization::new(chain, TREASURY, 4).unwrap();
    for (chain, condition, expected) in [
        (1, "context.chain_id == 1 && !context.any_chain", true),
        (0, "context.any_chain", true),
        (1, "context.any_chain", false),
        (1, "context.nonce == 4", true),
        (1, "context.address in AddressGroup::\"safe\"", true),
        (1, "context.from == context.address", false),
    ] {
        assert_eq!(
            permits_subject("SignAuthorization", condition, one(chain)),
            expected,
            "{condition}"
        );
    }
    for (scope, one_may, transaction_may) in [
        ("action in Action::\"Delegate\"", true, true),
        ("action in [Action::\"Delegate\", Action::\"SignTransaction\"]", true, true),
        ("action in [Action::\"SignDelegation\"]", false, true),
        ("action in [Action::\"SignAuthorization\"]", true, false),
        ("action == Action::\"SignDelegation\"", false, true),
    ] {
        for who in ["principal", "principal == Client::\"operator\""] {
            let rules = format!("permit({who}, {scope}, resource);");
            assert_eq!(decide(&rules, &operator(), one(1)).is_ok(), one_may, "{rules}");
            let transaction = parse(&delegation(TREASURY, 1));
            let may = decide(&rules, &operator(), transaction).is_ok();
            assert_eq!(may, transaction_may, "{rules}");
        }
    }
    let rules = "permit(principal, action == Action::\"SignAuthorization\", resource);";
    assert_eq!(code(decide(rules, &app(), one(1))), Some(RefusalCode::ProofRequired));
    let most = UnsignedAuthorization::new(1, TREASURY, 1 << 63).unwrap();
    assert_eq!(code(decide(rules, &operator(), most)), Some(RefusalCode::InvalidAuthorization));
    let most = UnsignedAuthorization::new(1 << 63, TREASURY, 1).unwrap();
    assert_eq!(code(decide(rules, &operator(), most)), Some(RefusalCode::InvalidAuthorization));
}

#[test]
fn a_digest_is_seen_and_needs_switch_and_proof() {
    let digest = || Digest::new(B256::repeat_byte(9));
    let condition = format!("context.digest.hex == \"{}\"", "09".repeat(32));
    assert!(permits_subject("SignDigest", &condition, digest()));
    assert!(!permits_subject("SignDigest", &condition, Digest::new(B256::ZERO)));
    let rules = "permit(principal, action == Action::\"SignDigest\", resource);";
    assert_eq!(code(decide(rules, &app(), digest())), Some(RefusalCode::ProofRequired));
}

#[test]
fn what_the_manifest_has_not_switched_on_is_refused_whatever_the_rules_say() {
    let mut off = manifest("permit(principal, action, resource);");
    off.switches = Switches::default();
    let policy = Policy::load(&off).unwrap();
    let check = |decided: Result<(), Refusal>, switch: &str| {
        let refusal = decided.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::PolicyDenied);
        assert!(refusal.detail.contains(switch), "{refusal}");
    };
    let unprotected =
        TxLegacy { chain_id: None, to: TxKind::Call(TREASURY), ..TxLegacy::default() };
    let authorization = UnsignedAuthorization::new(1, TREASURY, 4).unwrap();
    let digest = Digest::new(B256::ZERO);
    let (who, key) = (operator(), key());
    let approve = |tx| policy.approve(&who, &key, tx, is_held, NOW_S).map(drop);
    check(approve(parse(&unprotected)), "`unprotected_legacy`");
    check(approve(parse(&delegation(TREASURY, 1))), "`delegation`");
    check(policy.approve(&who, &key, authorization, is_held, NOW_S).map(drop), "`delegation`");
    check(policy.approve(&who, &key, digest, is_held, NOW_S).map(drop), "`raw_digests`");
    assert!(approve(parse(&transfer())).is_ok());
}

#[test]
fn an_unprotected_transaction_is_an_action_of_its_own() {
    let call =
        TxLegacy { chain_id: None, to: TxKind::Call(TREASURY), nonce: 3, ..TxLegacy::default() };
    let input = Bytes::from_static(&[1, 2, 3]);
    let create = TxLegacy { chain_id: None, to: TxKind::Create, input, ..TxLegacy::default() };
    assert!(permits(
        "context.nonce == 3 && context has to && context.to in AddressGroup::\"safe\"",
        &call
    ));
    assert!(!permits("context has initcode", &call));
    assert!(permits("context has initcode && context.initcode.size == 3", &create));
    assert!(!permits("context has to", &create));
    let rules = "permit(principal, action in [Action::\"SignTransaction\", Action::\"DeployContract\"], resource);";
    for tx in [call, create] {
        assert_eq!(code(decide(rules, &operator(), parse(&tx))), Some(RefusalCode::PolicyDenied));
    }
}

#[test]
fn initcode_is_seen_by_its_hash() {
    let hash = hex::encode(alloy_primitives::keccak256([0x60, 0, 0, 0, 0]));
    assert!(permits(&format!("context.initcode.hash == \"{hash}\""), &creation()));
    assert!(permits("context.initcode.size == 5", &creation()));
}
