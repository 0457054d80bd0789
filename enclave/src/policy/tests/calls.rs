//! What do rules see of calldata?

use super::*;
use alloy_dyn_abi::DynSolValue;

/// A contract with what Solidity has: structs, arrays, every kind of value, and an overload.
pub(super) const ROUTER_ABI: &str = r#"[
  {"type":"function","name":"swap","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"params","type":"tuple","internalType":"struct Router.Params","components":[
      {"name":"tokenIn","type":"address"},{"name":"fee","type":"uint24"},
      {"name":"amountIn","type":"uint256"},{"name":"limit","type":"int256"}]}]},
  {"type":"function","name":"pay","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"recipients","type":"address[]"},{"name":"amounts","type":"uint256[]"}]},
  {"type":"function","name":"buy","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"amount","type":"uint256"}]},
  {"type":"function","name":"orders","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"list","type":"tuple[]","components":[
      {"name":"maker","type":"address"},{"name":"amount","type":"uint256"},
      {"name":"path","type":"bytes32[]"}]}]},
  {"type":"function","name":"in","stateMutability":"nonpayable","outputs":[],"inputs":[
    {"name":"like","type":"bool"},{"name":"tag","type":"bytes4"},{"name":"note","type":"string"},
    {"name":"data","type":"bytes"},{"name":"pair","type":"uint8[2]"}]}
]"#;

const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

fn uint(n: u64) -> DynSolValue {
    DynSolValue::Uint(U256::from(n), 256)
}

fn calldata(signature: &str, arguments: Vec<DynSolValue>) -> Vec<u8> {
    let selector = alloy_primitives::keccak256(signature);
    let encoded = DynSolValue::Tuple(arguments).abi_encode_params();
    [&selector[..4], &encoded].concat()
}

fn call(to: Address, data: Vec<u8>) -> TxEip1559 {
    TxEip1559 { to: TxKind::Call(to), value: U256::ZERO, input: data.into(), ..transfer() }
}

fn transfer_of(units: U256) -> TxEip1559 {
    let arguments = vec![DynSolValue::Address(TREASURY), DynSolValue::Uint(units, 256)];
    call(USDC, calldata("transfer(address,uint256)", arguments))
}

fn swap(amount: u64, limit: i64) -> TxEip1559 {
    let params = DynSolValue::Tuple(vec![
        DynSolValue::Address(USDC),
        DynSolValue::Uint(U256::from(500), 24),
        uint(amount),
        DynSolValue::Int(limit.try_into().unwrap(), 256),
    ]);
    call(ROUTER, calldata("swap((address,uint24,uint256,int256))", vec![params]))
}

fn pay(to: &[Address], amounts: &[u64]) -> TxEip1559 {
    let to = to.iter().map(|a| DynSolValue::Address(*a)).collect();
    let amounts = amounts.iter().map(|n| uint(*n)).collect();
    let arguments = vec![DynSolValue::Array(to), DynSolValue::Array(amounts)];
    call(ROUTER, calldata("pay(address[],uint256[])", arguments))
}

fn orders(list: &[(Address, u64)]) -> TxEip1559 {
    let order = |(maker, amount): &(Address, u64)| {
        let path = DynSolValue::Array(vec![DynSolValue::FixedBytes(B256::repeat_byte(3), 32)]);
        DynSolValue::Tuple(vec![DynSolValue::Address(*maker), uint(*amount), path])
    };
    let list = DynSolValue::Array(list.iter().map(order).collect());
    call(ROUTER, calldata("orders((address,uint256,bytes32[])[])", vec![list]))
}

fn odd_names() -> TxEip1559 {
    let arguments = vec![
        DynSolValue::Bool(true),
        DynSolValue::FixedBytes(B256::right_padding_from(&[1, 2, 3, 4]), 4),
        DynSolValue::String("hello".to_owned()),
        DynSolValue::Bytes(vec![0xab]),
        DynSolValue::FixedArray(vec![uint_8(2), uint_8(3)]),
    ];
    call(ROUTER, calldata("in(bool,bytes4,string,bytes,uint8[2])", arguments))
}

fn uint_8(n: u64) -> DynSolValue {
    DynSolValue::Uint(U256::from(n), 8)
}

fn safe_transfer() -> TxEip1559 {
    let arguments = vec![DynSolValue::Address(TREASURY), DynSolValue::Address(USDC), uint(5)];
    call(NFT, calldata("safeTransferFrom(address,address,uint256)", arguments))
}

/// A call of every shape.
pub(super) fn all() -> Vec<UnsignedTransaction> {
    let all = [
        transfer_of(U256::from(7)),
        swap(1, -1),
        pay(&[TREASURY], &[1]),
        pay(&[], &[]),
        orders(&[(TREASURY, 1)]),
        orders(&[]),
        odd_names(),
        safe_transfer(),
    ];
    all.iter().map(parse).collect()
}

fn treasury() -> String {
    entity::address_text(TREASURY)
}

#[test]
fn a_transfer_of_a_token_is_seen_in_its_decimals() {
    let has = "context has call.erc20.transfer && context.call.erc20.transfer";
    for (units, condition, expected) in [
        (5_000_000, "amount.whole <= 5", true),
        (5_000_001, "amount.whole <= 5", false),
        (5_000_001, "amount.micros <= 5000001", true),
        (5_000_001, "amount.units == 5000001", true),
        (5_000_001, "amount.exceeds_long", false),
    ] {
        let tx = transfer_of(U256::from(units));
        assert_eq!(permits(&format!("{has}.{condition}"), &tx), expected, "{units} {condition}");
    }
    assert!(permits(&format!("{has}.to in AddressGroup::\"safe\""), &transfer_of(U256::ZERO)));
    assert!(permits(&format!("{has}.to == Address::\"{}\"", treasury()), &transfer_of(U256::ZERO)));
    assert!(!permits(&format!("{has}.to in AddressGroup::\"tokens\""), &transfer_of(U256::ZERO)));
}

#[test]
fn token_amounts_keep_their_bounds_at_every_size() {
    let has = "context has call.erc20.transfer && context.call.erc20.transfer.amount";
    for bits in [63, 64, 128, 255] {
        let tx = transfer_of(U256::from(1) << bits);
        for unit in ["units", "micros", "whole"] {
            assert!(!permits(&format!("{has}.{unit} <= 1000000"), &tx), "2^{bits} {unit}");
        }
        assert!(permits(&format!("{has}.exceeds_long"), &tx), "2^{bits}");
    }
}

#[test]
fn what_is_no_call_of_the_contracts_abi_has_none() {
    let any = "context has call";
    let transfer = transfer_of(U256::from(1));
    assert!(permits(any, &transfer));
    // The same bytes to a contract without an ABI, or with another one.
    for to in [TREASURY, STRANGER, ROUTER, NFT] {
        assert!(!permits(any, &TxEip1559 { to: TxKind::Call(to), ..transfer.clone() }), "{to}");
    }
    for length in [0, 3, 4, 67, 69] {
        let mut data = transfer.input.to_vec();
        data.resize(length, 0);
        assert!(!permits(any, &call(USDC, data)), "{length}");
    }
    // An address with dirt in its padding.
    let mut dirty = transfer.input.to_vec();
    dirty[4] = 1;
    assert!(!permits(any, &call(USDC, dirty)));
    let data = [&TRANSFER[..], &[0; 64]].concat();
    assert!(permits(any, &call(USDC, data)));
}

#[test]
fn structs_arrays_and_every_kind_of_value_are_seen() {
    let word = |hex: &str| format!("{hex:0<64}");
    let (tag, hash) = (word("01020304"), hex::encode(alloy_primitives::keccak256([0xab])));
    let usdc = entity::address_text(USDC);
    for (tx, path, condition) in [
        (swap(7, -3), "swap.params", format!("tokenIn == Address::\"{usdc}\"")),
        (swap(7, -3), "swap.params", "fee.long == 500".to_owned()),
        (swap(7, -3), "swap.params", "amountIn.long <= 7".to_owned()),
        (swap(7, -3), "swap.params", "limit.long == -3".to_owned()),
        (pay(&[TREASURY, USDC], &[3, 9]), "pay", "amounts.total.long == 12".to_owned()),
        (pay(&[TREASURY, USDC], &[3, 9]), "pay", "amounts.largest.long == 9".to_owned()),
        (pay(&[TREASURY, USDC], &[3, 9]), "pay", "recipients.size == 2".to_owned()),
        (pay(&[], &[]), "pay", "amounts.largest.long == 0".to_owned()),
        (
            pay(&[TREASURY, USDC], &[3, 9]),
            "pay",
            format!(
                "recipients has first && context.call.router.pay.recipients.first == \
                 Address::\"{}\" && context.call.router.pay.recipients has last && \
                 context.call.router.pay.recipients.last == Address::\"{usdc}\"",
                treasury()
            ),
        ),
        (
            pay(&[TREASURY], &[1]),
            "pay",
            format!("recipients.items == [Address::\"{}\"]", treasury()),
        ),
        (
            orders(&[(TREASURY, 1), (USDC, 5)]),
            "orders.list",
            "each.amount.largest.long == 5".to_owned(),
        ),
        (
            orders(&[(TREASURY, 1), (TREASURY, 5)]),
            "orders.list",
            format!("each.maker.items == [Address::\"{}\"]", treasury()),
        ),
        (orders(&[]), "orders.list", "size == 0".to_owned()),
    ] {
        let condition =
            format!("context has call.router.{path} && context.call.router.{path}.{condition}");
        assert!(permits(&condition, &tx), "{condition}");
        assert!(!permits(&condition, &transfer_of(U256::from(1))), "{condition}");
    }
    for condition in [
        "[\"like\"]".to_owned(),
        format!(".tag.hex == \"{tag}\""),
        ".note.text == \"hello\"".to_owned(),
        ".note.text like \"hel*\"".to_owned(),
        "[\"data\"].size == 1".to_owned(),
        format!("[\"data\"].hash == \"{hash}\""),
        ".pair.total.long == 5".to_owned(),
    ] {
        let condition = format!(
            "context has call && context.call has router && context.call.router has \"in\" && \
             context.call.router[\"in\"]{condition}"
        );
        assert!(permits(&condition, &odd_names()), "{condition}");
    }
    let overload = "context has call.erc721.safeTransferFrom_42842e0e && \
                    context.call.erc721.safeTransferFrom_42842e0e.tokenId.long == 5";
    assert!(permits(overload, &safe_transfer()));
}

#[test]
fn a_rule_about_a_call_that_no_contract_has_does_not_load() {
    for path in ["erc1155", "erc20.mint", "router.swap.params.nothing", "nothing"] {
        let rules = format!(
            "permit(principal, action == Action::\"SignTransaction\", resource) when {{ context has call.{path} }};"
        );
        assert!(Policy::load(&manifest(&rules)).is_err(), "{path}");
    }
}

#[test]
fn a_total_that_overflows_stays_above_every_bound() {
    let amounts = vec![DynSolValue::Uint(U256::MAX, 256), DynSolValue::Uint(U256::MAX, 256)];
    let arguments = vec![DynSolValue::Array(vec![]), DynSolValue::Array(amounts)];
    let tx = call(ROUTER, calldata("pay(address[],uint256[])", arguments));
    let has = "context has call.router.pay && context.call.router.pay.amounts.total";
    assert!(permits(&format!("{has}.hex == \"{:064x}\"", U256::MAX), &tx));
    assert!(!permits(&format!("{has}.long <= 1000"), &tx));
}

#[test]
fn a_name_that_cedar_would_misread_stands_in_quotes() {
    for (name, written) in
        [("amount_1", ".amount_1"), ("if", "[\"if\"]"), ("has", "[\"has\"]"), ("a$b", "[\"a$b\"]")]
    {
        assert_eq!(shape::member(name), written);
    }
}

#[test]
fn every_value_that_a_rule_can_look_at_is_listed_as_a_rule_writes_it() {
    let paths = load("").decoded_paths();
    for (path, of) in [
        ("call.erc20.transfer.amount", "Tokens"),
        ("call.erc721.safeTransferFrom_42842e0e.tokenId", "Uint"),
        ("call.router[\"in\"][\"like\"]", "Bool"),
        ("call.router[\"in\"].pair", "list of Uint"),
        ("call.router.swap.params.limit", "Int"),
        // Not a token's own contract, whatever the name says.
        ("call.router.buy.amount", "Uint"),
        ("call.router.orders.list", "list of record"),
        ("call.router.orders.list.each.amount", "list of Uint"),
        ("message.mail.to.name", "Text"),
        ("message.permit2_batch.details.each.token", "list of Address"),
    ] {
        assert!(paths.contains(&(path.to_owned(), of.to_owned())), "{path}: {of}");
    }
    // A list inside a list of structs has no column.
    assert!(!paths.iter().any(|(path, _)| path == "call.router.orders.list.each.path"));
    for (path, _) in &paths {
        // Each part of the path is asked for, as strict validation demands.
        let parts: Vec<_> = path.split('.').collect();
        let asked = (1..parts.len().min(3)).map(|n| {
            let (before, name) = (parts[..n].join("."), parts[n].split('[').next().unwrap());
            match parts[n].split('"').nth(1).filter(|_| parts[n].contains('[')) {
                None => format!("context.{before} has {name} && "),
                Some(quoted) => format!(
                    "context.{before} has {name} && context.{before}.{name} has \"{quoted}\" && "
                ),
            }
        });
        let root = parts[0];
        let condition = format!(
            "context has {root} && {}context.{path} == context.{path}",
            asked.collect::<String>()
        );
        let action = if root == "call" { "SignTransaction" } else { "SignTypedData" };
        let rules = format!(
            "permit(principal, action == Action::\"{action}\", resource) when {{ {condition} }};"
        );
        let error = Policy::load(&manifest(&rules)).err().map(|e| e.to_string());
        assert!(error.is_none(), "{path}: {error:?}");
    }
}
