//! Typed data that wallets sign and we do not, and two that we do.

use super::{C, SOMEBODY, TOKEN, changed};
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::{Value, json};

/// The members `a uint256` and the like, as a type has them.
fn members(text: &str) -> Value {
    let member = |text: &str| {
        let (ty, name) = text.split_once(' ').unwrap();
        json!({ "type": ty, "name": name })
    };
    text.split(',').filter(|t| !t.is_empty()).map(member).collect()
}

fn data(types: Value, primary: &str, message: Value) -> Value {
    let domain = json!({ "name": "Test", "chainId": 31_337 });
    json!({ "types": types, "primaryType": primary, "domain": domain, "message": message })
}

pub(crate) fn one(ty: &str, value: Value) -> Value {
    data(json!({ "A": members(&format!("{ty} a")) }), "A", json!({ "a": value }))
}

pub(crate) fn typed_data() -> Vec<(String, String, RefusalCode)> {
    let of = one("uint8", json!("1"));
    let mut rows = Vec::new();
    let mut row = |what: &str, data: Value| {
        rows.push((what.to_owned(), data.to_string(), C::InvalidTypedData));
    };
    row("no domain", changed(&of, &json!({ "domain": null })));
    row("an empty domain", changed(&of, &json!({ "domain": {} })));
    row(
        "an unknown field of the domain",
        changed(&of, &json!({ "domain": { "name": "A", "more": 1 } })),
    );
    let mut extra = of.clone();
    extra["types"]["EIP712Domain"] = members("string name,uint256 chainId,bytes32 salt");
    row("an extra field in the domain's type", extra.clone());
    extra["types"]["EIP712Domain"] = members("uint256 chainId,string name");
    row("the domain's type in another order", extra.clone());
    extra["types"]["EIP712Domain"] = members("string name");
    row("a field missing in the domain's type", extra);
    row("the domain as its primary type", changed(&of, &json!({ "primaryType": "EIP712Domain" })));
    row("a primary type that is not declared", changed(&of, &json!({ "primaryType": "B" })));
    row("a fifth part", changed(&of, &json!({ "more": 1 })));
    row("an unknown key", changed(&of, &json!({ "message": { "a": "1", "b": "1" } })));
    row("a missing key", changed(&of, &json!({ "message": {} })));
    row("null for a value", changed(&of, &json!({ "message": { "a": null } })));
    row("recursion", data(json!({ "A": members("A a") }), "A", json!({ "a": {} })));
    row("recursion by an array", data(json!({ "A": members("A[] a") }), "A", json!({ "a": [] })));
    let circle = json!({ "A": members("B a"), "B": members("A a") });
    row("recursion by another type", data(circle, "A", json!({ "a": { "a": {} } })));
    row("a type that is not declared", one("B", json!({})));
    row("Solidity's alias uint", one("uint", json!("1")));
    row("uint7", one("uint7", json!("1")));
    row("bytes33", one("bytes33", json!("0x")));
    row("256 in a uint8", one("uint8", json!("256")));
    row("-129 in an int8", one("int8", json!("-129")));
    row("a fraction", one("uint8", json!(1.5)));
    row("a number beyond 2^53", one("uint256", json!(9_007_199_254_740_993_u64)));
    row("a number with an exponent", one("uint256", json!("1e3")));
    row("a bool as text", one("bool", json!("true")));
    row("31 bytes in bytes32", one("bytes32", json!(format!("0x{}", "00".repeat(31)))));
    row("odd hex", one("bytes", json!("0x1")));
    row("a short address", one("address", json!("0x11")));
    row("an object for an array", one("uint8[]", json!({})));
    row("two for three", one("uint8[3]", json!(["1", "2"])));
    row("10,001 values", one("uint8[]", json!(vec!["1"; 10_001])));
    row("a long array of empty arrays", one("uint8[][]", json!(vec![json!([]); 10_001])));
    row("17 arrays in each other", one(&format!("uint8{}", "[]".repeat(17)), json!([])));
    let many: serde_json::Map<_, _> =
        (0..65).map(|n| (format!("A{n}"), members("bool a"))).collect();
    row("65 types", data(Value::Object(many), "A0", json!({ "a": true })));
    let chain = |length: usize| -> Value {
        let of = |n: usize| (format!("A{n}"), members(&format!("A{} a", n + 1)));
        (0..length)
            .map(of)
            .chain([(format!("A{length}"), members("bool a"))])
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let deep = (0..20).fold(json!({ "a": true }), |inner, _| json!({ "a": inner }));
    row("20 structs in each other", data(chain(20), "A0", deep));
    row(
        "a name with a comma",
        data(json!({ "A,B": members("bool a") }), "A,B", json!({ "a": true })),
    );

    let duplicate = of.to_string().replace(r#""a":"1""#, r#""a":"1","a":"2""#);
    rows.push(("a duplicate key".to_owned(), duplicate, C::MalformedJson));
    let long = one("string", json!("x".repeat(262_144))).to_string();
    rows.push(("typed data of more than 256 KiB".to_owned(), long, C::TooLarge));
    let permit = data(
        json!({ "Permit": members("address owner,uint256 everything") }),
        "Permit",
        json!({ "owner": SOMEBODY, "everything": "1" }),
    );
    rows.push(("a foreign type called Permit".to_owned(), permit.to_string(), C::PolicyDenied));
    rows
}

pub(crate) fn permit(owner: &str) -> Value {
    let types = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline";
    let message = json!({ "owner": owner, "spender": SOMEBODY, "value": "1", "nonce": "0",
        "deadline": "1900000000" });
    let permit = data(json!({ "Permit": members(types) }), "Permit", message);
    let domain = json!({ "name": "Token", "chainId": 31_337, "verifyingContract": TOKEN });
    changed(&permit, &json!({ "domain": domain }))
}
