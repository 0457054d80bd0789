#![allow(clippy::unwrap_used)]

use super::hash::Hasher;
use super::*;
use alloy_dyn_abi::DynSolType;
use alloy_primitives::{Address, I256, U256, address, b256, hex};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write as _;

const MAIL: &str = "Mail(Person from,Person to,string contents)Person(string name,address wallet)";

/// The example of EIP-712.
fn mail() -> Json {
    json!({
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            "Person": [{"name": "name", "type": "string"}, {"name": "wallet", "type": "address"}],
            "Mail": [
                {"name": "from", "type": "Person"},
                {"name": "to", "type": "Person"},
                {"name": "contents", "type": "string"},
            ],
        },
        "primaryType": "Mail",
        "domain": {
            "name": "Ether Mail",
            "version": "1",
            "chainId": 1,
            "verifyingContract": "0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC",
        },
        "message": {
            "from": {"name": "Cow", "wallet": "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"},
            "to": {"name": "Bob", "wallet": "0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"},
            "contents": "Hello, Bob!",
        },
    })
}

/// The example with something else, or something more, at a JSON pointer.
fn with(pointer: &str, new: Json) -> Json {
    let mut typed_data = mail();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match typed_data.pointer_mut(parent).unwrap() {
        Json::Object(fields) => drop(fields.insert(key.to_owned(), new)),
        Json::Array(items) => items[key.parse::<usize>().unwrap()] = new,
        other => unreachable!("{other}"),
    }
    typed_data
}

fn without(pointer: &str) -> Json {
    let mut typed_data = mail();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = typed_data.pointer_mut(parent).unwrap();
    parent.as_object_mut().unwrap().remove(key).unwrap();
    typed_data
}

/// Typed data of these types, each given as in encodeType; the primary type is the first.
fn of(types: &[&str], message: Json) -> Json {
    let declarations: Map<String, Json> = types.iter().map(|text| declaration(text)).collect();
    let primary = types[0].split('(').next().unwrap();
    json!({
        "types": declarations, "primaryType": primary, "domain": {"name": "d"}, "message": message
    })
}

fn declaration(text: &str) -> (String, Json) {
    let (name, members) = text.strip_suffix(')').unwrap().split_once('(').unwrap();
    let member = |member: &str| {
        let (kind, name) = member.split_once(' ').unwrap();
        json!({"name": name, "type": kind})
    };
    let members = members.split(',').filter(|m| !m.is_empty()).map(member).collect();
    (name.to_owned(), members)
}

fn parse(typed_data: &Json) -> Result<TypedData, Refusal> {
    TypedData::parse(typed_data.to_string().as_bytes())
}

/// Accepted, and alloy computes the same hash.
fn accepted(typed_data: &Json) -> TypedData {
    let ours = parse(typed_data).unwrap_or_else(|e| unreachable!("{e}: {typed_data}"));
    let theirs: alloy_dyn_abi::TypedData = serde_json::from_value(typed_data.clone()).unwrap();
    assert_eq!(ours.signing_hash(), theirs.eip712_signing_hash().unwrap(), "{typed_data}");
    assert_eq!(ours.type_hash(), keccak256(theirs.encode_type().unwrap()));
    ours
}

fn refused(typed_data: &Json, sentence: &str) {
    let refusal = parse(typed_data).expect_err(sentence);
    assert!(refusal.detail.contains(sentence), "{sentence:?}, not {:?}", refusal.detail);
    assert_eq!(refusal.code, RefusalCode::InvalidTypedData);
}

/// The one value of a message whose member `v` has this type.
fn read(kind: &str, value: Json) -> Result<DynSolValue, Refusal> {
    let declared = format!("Type({kind} v)");
    let read = parse(&of(&[&declared, "Pair(uint8 a,uint8 b)"], json!({"v": value})))?;
    Ok(read.message()[0].1.clone())
}

fn check_value(kind: &str, value: Json, expected: &DynSolValue) {
    assert_eq!(&read(kind, value.clone()).unwrap(), expected, "{kind} {value}");
}

fn check_no_value(kind: &str, value: Json, sentence: &str) {
    let text: String = value.to_string().chars().take(100).collect();
    let refusal = read(kind, value).expect_err(&text);
    let detail = &refusal.detail;
    assert!(detail.starts_with("message.v"), "{detail:?} for {kind} {text}");
    assert!(detail.contains(sentence), "{sentence:?}, not {detail:?} for {kind} {text}");
    assert_eq!(refusal.code, RefusalCode::InvalidTypedData);
}

#[test]
fn the_domain_of_client_proofs_is_refused() {
    let salt = "0x0707070707070707070707070707070707070707070707070707070707070707";
    let of = |domain: Json| {
        let mut data = without("/types/EIP712Domain");
        data["domain"] = domain;
        parse(&data)
    };
    assert!(of(json!({"name": "nitro-signer"})).is_ok());
    assert!(of(json!({"name": "other", "salt": salt})).is_ok());
    assert!(of(json!({"name": "nitro-signer", "salt": salt})).is_err());
    assert!(of(json!({"name": "nitro-signer", "version": "1", "salt": salt})).is_err());
}

#[test]
fn the_example_of_eip_712_has_the_published_hashes() {
    let mail = accepted(&mail());
    assert_eq!(mail.type_hash(), keccak256(MAIL));
    assert_eq!(mail.primary_type(), "Mail");
    let expected = b256!("a0cedeb2dc280ba39b857546d74f5549c3a1d7bdc2dd96bf881f76108e23dac2");
    assert_eq!(mail.type_hash(), expected);
    let expected = b256!("f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f");
    assert_eq!(mail.domain().separator().unwrap(), expected);
    let expected = b256!("be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");
    assert_eq!(mail.signing_hash(), expected);
}

#[test]
fn policy_sees_the_values_in_declared_order() {
    let mail = accepted(&mail());
    let person = |name: &str, wallet| DynSolValue::CustomStruct {
        name: "Person".into(),
        prop_names: vec!["name".into(), "wallet".into()],
        tuple: vec![DynSolValue::String(name.into()), DynSolValue::Address(wallet)],
    };
    let expected = [
        ("from".into(), person("Cow", address!("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"))),
        ("to".into(), person("Bob", address!("bBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"))),
        ("contents".into(), DynSolValue::String("Hello, Bob!".into())),
    ];
    assert_eq!(mail.message(), expected);
    let expected = Domain {
        name: Some("Ether Mail".into()),
        version: Some("1".into()),
        chain_id: Some(U256::ONE),
        verifying_contract: Some(Address::repeat_byte(0xcc)),
        salt: None,
    };
    assert_eq!(mail.domain(), &expected);
}

/// The digest as a token's contract computes it (EIP-2612), from words put together by hand.
#[test]
fn a_permit_has_the_hash_that_its_contract_computes() {
    let owner = address!("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826");
    let spender = address!("bBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB");
    let permit = accepted(&json!({
        "types": {"Permit": [
            {"name": "owner", "type": "address"},
            {"name": "spender", "type": "address"},
            {"name": "value", "type": "uint256"},
            {"name": "nonce", "type": "uint256"},
            {"name": "deadline", "type": "uint256"},
        ]},
        "primaryType": "Permit",
        "domain": {
            "name": "USD Coin",
            "version": "2",
            "chainId": "1",
            "verifyingContract": "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",
        },
        "message": {
            "owner": owner, "spender": spender, "value": "1000000", "nonce": 0, "deadline": "0xff",
        },
    }));
    // PERMIT_TYPEHASH of EIP-2612, and DOMAIN_SEPARATOR() of that contract on chain 1.
    let type_hash = b256!("6e71edae12b1b97f4d1f60370fef10105fa2faae0126114a169c64845d6126c9");
    let separator = b256!("06c37168a7db5138defc7866392bb87a741f9b3d104deb5094588ce041cae335");
    assert_eq!(permit.type_hash(), type_hash);
    assert_eq!(permit.domain().separator().unwrap(), separator);
    let number = |n: u64| B256::from(U256::from(n));
    let words = [
        type_hash,
        owner.into_word(),
        spender.into_word(),
        number(1_000_000),
        number(0),
        number(255),
    ];
    let permit_hash = keccak256(words.concat());
    let digest = [&[0x19, 0x01], separator.as_slice(), permit_hash.as_slice()].concat();
    assert_eq!(permit.signing_hash(), keccak256(digest));
}

#[test]
fn there_are_exactly_four_parts() {
    for part in ["types", "primaryType", "domain", "message"] {
        refused(&without(&format!("/{part}")), &format!("{part} is missing"));
        refused(&with(&format!("/{part}"), Json::Null), part);
    }
    refused(&with("/more", json!(1)), "more");
    refused(&with("/more", Json::Null), "more");
    refused(&json!([]), "must be an object");
    refused(&with("/types", json!([])), "types must be an object");
    refused(&with("/domain", json!([])), "domain must be an object");
    refused(&with("/message", json!([])), "message must be an object");
    refused(&with("/primaryType", json!(["Mail"])), "primaryType must be a string");
}

#[test]
fn the_text_is_bounded_json() {
    let check = |text: String, expected| {
        assert_eq!(TypedData::parse(text.as_bytes()).map_err(|e| e.code).err(), expected);
    };
    let text = mail().to_string();
    let padded = |length: usize| text.clone() + &" ".repeat(length - text.len());
    check(padded(MAX_TYPED_DATA), None);
    check(padded(MAX_TYPED_DATA + 1), Some(RefusalCode::TooLarge));
    let twice = text.replace(r#""contents":"#, r#""contents":"","contents":"#);
    check(twice, Some(RefusalCode::MalformedJson));
    check(format!("{text} {text}"), Some(RefusalCode::MalformedJson));
}

#[test]
fn the_primary_type_is_declared() {
    refused(&with("/primaryType", json!("Male")), "primaryType \"Male\" is not declared");
    refused(&with("/primaryType", json!("EIP712Domain")), "cannot be EIP712Domain");
    refused(&with("/primaryType", json!("Mail[]")), "is not declared");
    refused(&with("/primaryType", json!("string")), "is not declared");
}

#[test]
fn a_domain_has_known_fields_of_their_types() {
    refused(&with("/domain", json!({})), "domain is empty");
    refused(&with("/domain/chain", json!(1)), "not \"chain\"");
    for (field, wrong) in [
        ("name", json!(1)),
        ("version", json!(1)),
        ("chainId", json!("one")),
        ("chainId", json!(-1)),
        ("chainId", json!("0x1".to_owned() + &"0".repeat(64))),
        ("verifyingContract", json!("0xcc")),
        ("verifyingContract", json!("0xcCCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC")),
        ("salt", json!("0x01")),
    ] {
        refused(&with(&format!("/domain/{field}"), wrong), &format!("domain.{field} "));
        refused(&with(&format!("/domain/{field}"), Json::Null), &format!("domain.{field} "));
    }
}

#[test]
fn any_choice_of_domain_fields_is_hashed_in_standard_order() {
    let fields = [
        ("string", "name", json!("a name")),
        ("string", "version", json!("a version")),
        ("uint256", "chainId", json!("0x10")),
        ("address", "verifyingContract", json!(Address::repeat_byte(7))),
        ("bytes32", "salt", json!(B256::repeat_byte(9))),
    ];
    for choice in 1..1 << fields.len() {
        let chosen: Vec<_> =
            fields.iter().enumerate().filter(|(i, _)| choice >> i & 1 == 1).map(|f| f.1).collect();
        let domain: Map<_, _> =
            chosen.iter().map(|(_, name, value)| ((*name).to_owned(), value.clone())).collect();
        let declared: Vec<_> =
            chosen.iter().map(|(kind, name, _)| json!({"name": name, "type": kind})).collect();
        let mut typed_data = with("/domain", Json::Object(domain));
        typed_data["types"]["EIP712Domain"] = json!(declared);
        let hash = accepted(&typed_data).signing_hash();
        typed_data["types"].as_object_mut().unwrap().remove("EIP712Domain");
        assert_eq!(accepted(&typed_data).signing_hash(), hash);
    }
}

#[test]
fn a_declared_domain_is_that_of_the_fields() {
    let sentence = "types.EIP712Domain must be that of the domain's fields: EIP712Domain(string \
                    name,string version,uint256 chainId,address verifyingContract)";
    let field = |name: &str, kind: &str| json!({"name": name, "type": kind});
    let right = [
        field("name", "string"),
        field("version", "string"),
        field("chainId", "uint256"),
        field("verifyingContract", "address"),
    ];
    let check = |fields: Vec<Json>| refused(&with("/types/EIP712Domain", json!(fields)), sentence);
    let [name, version, chain, contract] = right.clone();
    check(vec![]);
    check(right[..3].to_vec());
    check([right.to_vec(), vec![field("salt", "bytes32")]].concat());
    check(vec![version.clone(), name.clone(), chain.clone(), contract.clone()]);
    check(vec![name.clone(), version.clone(), field("chainId", "uint64"), contract.clone()]);
    check(vec![name, version, chain, field("contract", "address")]);
    // Nothing else may be made of it.
    let nested = of(&["Mail(EIP712Domain domain)"], json!({"domain": {"name": "d"}}));
    refused(&nested, "Mail.domain: the type EIP712Domain is not declared");
}

#[test]
fn a_type_is_an_array_of_names_and_types() {
    for wrong in [
        json!({}),
        json!(["string name"]),
        json!([{"name": "name"}]),
        json!([{"type": "string"}]),
        json!([{"name": "name", "type": "string", "indexed": true}]),
        json!([{"name": "name", "type": "string", "indexed": null}]),
        json!([{"name": 1, "type": "string"}]),
        json!([{"name": "name", "type": null}]),
        Json::Null,
    ] {
        refused(&with("/types/Person", wrong), "types.\"Person\" must be an array of objects");
    }
}

fn check_type(types: &[&str], message: Json) {
    accepted(&of(types, message));
}

fn check_no_type(types: &[&str], sentence: &str) {
    let message: Json = json!({});
    refused(&of(&[&["Empty()"], types].concat(), message), &format!("types: {sentence}"));
}

#[test]
fn only_the_types_of_eip_712_are_known() {
    for bits in 1..=264 {
        for kind in ["int", "uint"] {
            let right = bits % 8 == 0 && bits <= 256;
            let declared = format!("A({kind}{bits} a)");
            let read = parse(&of(&[&declared], json!({"a": 1})));
            assert_eq!(read.is_ok(), right, "{kind}{bits}");
        }
    }
    for length in 0..=40 {
        let declared = format!("A(bytes{length} a)");
        let value = format!("0x{}", "ab".repeat(length));
        let read = parse(&of(&[&declared], json!({"a": value})));
        assert_eq!(read.is_ok(), (1..=32).contains(&length), "bytes{length}");
    }
    for (kind, advice) in [
        ("uint", "write uint256"),
        ("int", "write int256"),
        ("byte", "write bytes1"),
        ("function", "write bytes24"),
        ("fixed", "write int256 or uint256"),
        ("ufixed", "write int256 or uint256"),
        ("fixed128x18", "write int256 or uint256"),
        ("ufixed128x18", "write int256 or uint256"),
        ("uint0", "write uint8"),
        ("uint08", "write uint8"),
        ("int7", "write int8"),
        ("uint99999999999999999999", "write uint8"),
        ("bytes01", "write bytes1 to"),
        ("bytes33", "write bytes1 to"),
    ] {
        let sentence = format!("A.a: \"{kind}\" is no type of EIP-712: {advice}");
        check_no_type(&[&format!("A({kind} a)")], &sentence);
        check_no_type(&[&format!("A({kind}[3] a)")], &sentence);
        check_no_type(&[&format!("{kind}()")], "a struct cannot be called");
    }
    for kind in ["address", "bool", "bytes", "string", "uint256", "bytes32", "EIP712Domain"] {
        let error = DeclaredType::parse(&format!("{kind}(uint8 a)")).unwrap_err();
        assert!(error.contains(&format!("a struct cannot be called {kind}")), "{error}");
    }
    // Near them, but a struct's name.
    for name in ["Address", "uint256x", "fixedPrice", "fixedxy", "bytes32_", "u", "uint8t", "x1"] {
        check_type(&[&format!("{name}(bool a)")], json!({"a": true}));
    }
}

#[test]
fn arrays_are_written_in_one_way() {
    for ending in [
        "[0]",
        "[03]",
        "[ 3]",
        "[+3]",
        "[-3]",
        "[3",
        "[",
        "]",
        "[]]",
        "[][",
        "[3]x",
        "[10001]",
        "[0x3]",
        "[99999999999999999999]",
        "[3] []",
    ] {
        // The space would end a member's type in encodeType.
        let typed_data = json!({
            "types": {"A": [{"name": "a", "type": format!("uint8{ending}")}]},
            "primaryType": "A", "domain": {"name": "d"}, "message": {},
        });
        refused(&typed_data, "types: A.a: ");
    }
    check_type(&["A(uint8[10000][] a)"], json!({"a": []}));
    check_type(&["A(uint8[2][] a)"], json!({"a": [[1, 2], [3, 4], [5, 6]]}));
    check_type(&["A(uint8[][2] a)"], json!({"a": [[], [3, 4, 5]]}));
}

#[test]
fn names_are_identifiers() {
    let long = "n".repeat(types::MAX_NAME);
    for name in ["a", "_", "$", "a1_$", "Z9", &long] {
        check_type(&[&format!("A(bool {name})")], json!({name: true}));
        check_type(&[&format!("{name}(bool a)")], json!({"a": true}));
        check_type(&["A(B b)".replace('B', name).as_str(), &format!("{name}()")], json!({"b": {}}));
    }
    let longer = format!("{long}n");
    for (name, sentence) in [
        ("", "is not a name"),
        ("1a", "is not a name"),
        ("a-b", "is not a name"),
        ("ä", "is not a name"),
        ("a.b", "is not a name"),
        (" a", "is not a name"),
        (&longer, "is longer than 128 bytes"),
    ] {
        check_no_type(&[&format!("A(bool {name})")], "a member of A: ");
        refused(&of(&["Empty()", &format!("A(bool {name})")], json!({})), sentence);
        refused(&of(&["Empty()", &format!("{name}()")], json!({})), sentence);
        let kind = json!({"types": {"A": [{"name": "a", "type": name}]},
            "primaryType": "A", "domain": {"name": "d"}, "message": {}});
        refused(&kind, sentence);
    }
}

#[test]
fn members_are_distinct_and_references_declared() {
    check_no_type(&["A(bool a,uint8 a)"], "A.a is declared twice");
    check_no_type(&["A(B b)"], "A.b: the type B is not declared");
    check_no_type(&["A(B[] b)"], "A.b: the type B is not declared");
}

#[test]
fn no_type_contains_itself() {
    for types in [
        &["A(A a)"][..],
        &["A(A[] a)"],
        &["A(A[2][] a)"],
        &["A(B b)", "B(A a)"],
        &["A(B[] b)", "B(bool x,C c)", "C(bool y,A[] a)"],
        &["Z(A a)", "A(B b)", "B(B b)"],
    ] {
        check_no_type(types, "the type");
        let message = parse(&of(&[&["Empty()"], types].concat(), json!({}))).unwrap_err();
        assert!(message.detail.contains("contains itself"), "{message}");
    }
    // Twice the same is not a circle.
    check_type(
        &["A(B b,C c,B d)", "B(C c)", "C()"],
        json!({"b": {"c": {}}, "c": {}, "d": {"c": {}}}),
    );
}

/// A chain of this many structs, each with so many members of the next.
fn chain(types: usize, members: usize) -> Vec<String> {
    let members = |i| (0..members).map(|m| format!("T{i} m{m}")).collect::<Vec<_>>().join(",");
    let last = format!("T{types}()");
    (1..types).map(|i| format!("T{i}({})", members(i + 1))).chain([last]).collect()
}

#[test]
fn types_are_few_and_shallow() {
    let count = |n: usize| -> Vec<String> { (0..n).map(|i| format!("A{i}()")).collect() };
    let parse_types = |types: &[String], message| {
        let types: Vec<_> = types.iter().map(String::as_str).collect();
        parse(&of(&types, message)).map_err(|e| e.detail)
    };
    let check = |types: &[String], sentence: &str| {
        let error = parse_types(types, json!({})).unwrap_err();
        assert!(error.contains(sentence), "{sentence:?}, not {error:?}");
    };
    assert!(parse_types(&count(types::MAX_TYPES), json!({})).is_ok());
    check(&count(types::MAX_TYPES + 1), "65 types are more than 64");

    let members = |n: usize| {
        let members: Vec<_> = (0..n).map(|i| format!("bool m{i}")).collect();
        vec!["P()".into(), format!("A({})", members.join(","))]
    };
    assert!(parse_types(&members(types::MAX_MEMBERS), json!({})).is_ok());
    check(&members(types::MAX_MEMBERS + 1), "A has more than 256 members");
    // 250 members of 131 bytes, and one that fills up what is left.
    let text = |last: usize| {
        let name = |i: usize| format!("{}{i:03}", "m".repeat(122));
        let mut members: Vec<_> = (0..250).map(|i| format!("bool {}", name(i))).collect();
        members.push(format!("bool {}", "n".repeat(last)));
        vec!["P()".into(), format!("A({})", members.join(","))]
    };
    let left = types::MAX_MEMBERS_TEXT - 250 * 131 - 6;
    assert!(parse_types(&text(left), json!({})).is_ok());
    check(&text(left + 1), "all members together are longer than 32768");

    let nested = |n: usize| (1..n).fold(json!({}), |inner, _| json!({"m0": inner}));
    assert!(parse_types(&chain(types::MAX_DEPTH, 1), nested(types::MAX_DEPTH)).is_ok());
    check(&chain(types::MAX_DEPTH + 1, 1), "nests deeper than 16");
    // An array is a level of its own, and the deepest member counts.
    let arrays = |n: usize| vec![format!("A(bool{} a,bool b)", "[]".repeat(n))];
    assert!(parse_types(&arrays(types::MAX_DEPTH - 1), json!({"a": [], "b": true})).is_ok());
    check(&arrays(types::MAX_DEPTH), "nests deeper than 16");
    let mixed = |n: usize| vec![format!("A(B{} b)", "[]".repeat(n)), "B()".into()];
    assert!(parse_types(&mixed(types::MAX_DEPTH - 2), json!({"b": []})).is_ok());
    check(&mixed(types::MAX_DEPTH - 1), "nests deeper than 16");
}

#[test]
fn types_that_multiply_cost_nothing_until_values_do() {
    // 200^14 leaves, were it a tree.
    let bomb = chain(types::MAX_DEPTH - 1, 200);
    let mut types = vec!["A(bool a)"];
    types.extend(bomb.iter().map(String::as_str));
    assert!(parse(&of(&types, json!({"a": true}))).is_ok());
    types[0] = "A(T2[] a)";
    assert!(parse(&of(&types, json!({"a": []}))).is_ok());
    let error = DeclaredType::parse(&bomb.concat()).unwrap_err();
    assert!(error.contains("sort the types"), "{error}");
    let long = chain(types::MAX_TYPES, 2);
    let long: Vec<_> = long.iter().map(String::as_str).collect();
    refused(&of(&long, json!({})), "nests deeper than 16");
}

#[test]
fn types_beside_the_message_change_nothing() {
    let hash = accepted(&mail()).signing_hash();
    let more = with("/types/Other", json!([{"name": "a", "type": "Person[]"}]));
    assert_eq!(accepted(&more).signing_hash(), hash);
    let wrong = with("/types/Other", json!([{"name": "a", "type": "uint"}]));
    refused(&wrong, "types: Other.a: \"uint\" is no type");
}

#[test]
fn every_member_is_there_and_nothing_else() {
    refused(&without("/message/contents"), "message.contents is missing");
    refused(&without("/message/to/wallet"), "message.to.wallet is missing");
    refused(&with("/message/cc", json!("")), "message has \"cc\", which the type Mail has not");
    refused(&with("/message/to/age", Json::Null), "message.to has \"age\", which the type Person");
    refused(&with("/message/to", json!([])), "message.to must be an object of the type Person");
    refused(&with("/message/to", Json::Null), "message.to must be an object");
    refused(&with("/message/contents", Json::Null), "message.contents must be a string");
    let list = |last: Json| {
        let wallet = Address::ZERO;
        let to = [json!({"wallet": wallet}), json!({"wallet": wallet}), last];
        of(&["Mail(Person[] to)", "Person(address wallet)"], json!({"to": to}))
    };
    accepted(&list(json!({"wallet": Address::ZERO})));
    refused(&list(json!({"wallet": 1})), "message.to[2].wallet must be");
    refused(&list(Json::Null), "message.to[2] must be an object");
}

#[test]
fn a_long_path_is_cut() {
    let name = "n".repeat(128);
    let mut types = vec!["A(T0 start)".to_owned()];
    types.extend((0..14).map(|i| format!("T{i}(T{} {name})", i + 1)));
    types.push("T14(bool end)".into());
    let types: Vec<_> = types.iter().map(String::as_str).collect();
    let message = (0..14).fold(json!({"end": 1}), |inner, _| json!({&name: inner}));
    let refusal = parse(&of(&types, json!({"start": message}))).unwrap_err();
    let expected = format!("…{}.{name}.end must be true or false", "n".repeat(160 - 4 - 129));
    assert_eq!(refusal.detail, expected);
}

#[test]
fn arrays_have_their_length() {
    let items = |items: &[u8]| items.iter().map(|n| DynSolValue::Uint(U256::from(*n), 8)).collect();
    check_value("uint8[]", json!([]), &DynSolValue::Array(vec![]));
    check_value("uint8[]", json!([1, 2]), &DynSolValue::Array(items(&[1, 2])));
    check_value("uint8[2]", json!([1, 2]), &DynSolValue::FixedArray(items(&[1, 2])));
    let nested = |a, b| DynSolValue::Array(vec![DynSolValue::FixedArray(items(&[a, b]))]);
    check_value("uint8[2][]", json!([[1, 2]]), &nested(1, 2));
    check_no_value("uint8[2]", json!([1]), "has 1 items where 2 belong");
    check_no_value("uint8[2]", json!([1, 2, 3]), "has 3 items where 2 belong");
    check_no_value("uint8[2][]", json!([[1, 2], [1]]), "[1] has 1 items");
    check_no_value("uint8[][2]", json!([[1, 2], [1], []]), "has 3 items");
    check_no_value("uint8[]", json!(1), "must be an array");
    check_no_value("uint8[]", json!({"0": 1}), "must be an array");
    check_no_value("uint8[]", json!("0x0102"), "must be an array");
    check_no_value("uint8[]", Json::Null, "must be an array");
    check_no_value("uint8[]", json!([1, null]), "[1] must be an integer");
}

#[test]
fn values_are_counted_before_they_are_made() {
    // The array itself is a value, so are its items and their members.
    assert!(read("bool[]", json!(vec![true; value::MAX_VALUES - 2])).is_ok());
    assert!(read("bool[]", json!(vec![true; value::MAX_VALUES - 1])).is_ok());
    check_no_value("bool[]", json!(vec![true; value::MAX_VALUES]), "more than 10000 values");
    let pairs = |n| json!(vec![json!({"a": 1, "b": 2}); n]);
    assert!(read("Pair[]", pairs(3_333)).is_ok());
    check_no_value("Pair[]", pairs(3_334), "[3332] makes more than 10000 values in all");
}

#[test]
fn unsigned_integers_are_exact() {
    let check = |bits, value, expected: &str| {
        let expected = DynSolValue::Uint(U256::from_str_radix(expected, 10).unwrap(), bits);
        check_value(&format!("uint{bits}"), value, &expected);
    };
    check(8, json!(0), "0");
    check(8, json!("0"), "0");
    check(8, json!("0x0"), "0");
    check(8, json!(255), "255");
    check(8, json!("255"), "255");
    check(8, json!("0xff"), "255");
    check(8, json!("0x00fF"), "255");
    check(64, json!(9_007_199_254_740_991_u64), "9007199254740991");
    check(128, json!("9007199254740992"), "9007199254740992");
    let largest = U256::MAX.to_string();
    check(256, json!(largest), &largest);
    check(256, json!(format!("{:#x}", U256::MAX)), &largest);
    for value in [json!(256), json!("256"), json!("0x100"), json!(largest)] {
        check_no_value("uint8", value, "is more than a uint8 holds");
    }
    check_no_value("uint248", json!(largest), "is more than a uint248 holds");
    check_no_value("uint8", json!(-1), "must not be negative");
    check_no_value("uint8", json!("-1"), "must not be negative");
}

#[test]
fn signed_integers_are_exact() {
    let check = |bits, value, expected: &str| {
        let expected = DynSolValue::Int(expected.parse().unwrap(), bits);
        check_value(&format!("int{bits}"), value, &expected);
    };
    check(8, json!(0), "0");
    check(8, json!(127), "127");
    check(8, json!("0x7f"), "127");
    check(8, json!(-1), "-1");
    check(8, json!(-128), "-128");
    check(8, json!("-128"), "-128");
    check(64, json!(-9_007_199_254_740_991_i64), "-9007199254740991");
    check(256, json!(I256::MAX.to_string()), &I256::MAX.to_string());
    check(256, json!(I256::MIN.to_string()), &I256::MIN.to_string());
    for value in [json!(128), json!("128"), json!("0xff"), json!(-129), json!("-129")] {
        check_no_value("int8", value, "is more than an int8 holds");
    }
    let above: U256 = U256::ONE << 255;
    check_no_value("int256", json!(above.to_string()), "is more than an int256 holds");
    let below = format!("-{}", above + U256::ONE);
    check_no_value("int256", json!(below), "is more than an int256 holds");
    check_no_value("int256", json!(format!("-{}", U256::MAX)), "is more than an int256 holds");
}

#[test]
fn what_is_not_clearly_an_integer_is_none() {
    let above = "1".to_owned() + &"0".repeat(78);
    for value in [
        json!(""),
        json!("-"),
        json!("0x"),
        json!("00"),
        json!("01"),
        json!("-0"),
        json!("-01"),
        json!("+1"),
        json!(" 1"),
        json!("1 "),
        json!("1_0"),
        json!("0x1_0"),
        json!("-0x1"),
        json!("0X1"),
        json!("1e3"),
        json!("1.0"),
        json!("ff"),
        json!("0xfg"),
        json!("٣"),
        json!(1.0),
        json!(1.5),
        json!(-0.0),
        json!(1e3),
        json!(true),
        json!(null),
        json!([1]),
        json!(9_007_199_254_740_992_u64),
        json!(-9_007_199_254_740_992_i64),
        json!(u64::MAX),
        json!(above),
        json!("0x1".to_owned() + &"0".repeat(64)),
    ] {
        check_no_value("uint256", value.clone(), "must be an integer");
        check_no_value("int256", value, "must be an integer");
    }
    let minus_zero = of(&["A(int8 a)"], json!({"a": 7})).to_string().replace('7', "-0");
    assert!(TypedData::parse(minus_zero.as_bytes()).is_err());
}

#[test]
fn booleans_and_strings_are_json_s() {
    check_value("bool", json!(true), &DynSolValue::Bool(true));
    check_value("bool", json!(false), &DynSolValue::Bool(false));
    for value in [json!("true"), json!(1), json!(0), json!(null)] {
        check_no_value("bool", value, "must be true or false");
    }
    check_value("string", json!(""), &DynSolValue::String(String::new()));
    check_value("string", json!("0xé"), &DynSolValue::String("0xé".into()));
    for value in [json!(1), json!(true), json!(["a"]), json!(null)] {
        check_no_value("string", value, "must be a string");
    }
}

#[test]
fn addresses_are_whole_and_their_checksum_right() {
    let expected = address!("CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826");
    let text = expected.to_checksum(None);
    let upper = format!("0x{}", text[2..].to_uppercase());
    for right in [text.clone(), text.to_lowercase(), upper] {
        check_value("address", json!(right), &DynSolValue::Address(expected));
    }
    check_value("address", json!(Address::ZERO), &DynSolValue::Address(Address::ZERO));
    check_no_value("address", json!(text.replace("0xCD", "0xcD")), "has a wrong checksum");
    check_no_value("address", json!(text.replace("826", "827")), "has a wrong checksum");
    check_no_value("address", json!(&text[2..]), "must be a string of 0x");
    check_no_value("address", json!(text.replace("0x", "0X")), "must be a string of 0x");
    check_no_value("address", json!(&text[..40]), "must be an address of 20 bytes, not 19");
    check_no_value("address", json!(text.clone() + "00"), "must be an address of 20 bytes, not 21");
    check_no_value("address", json!("vitalik.eth"), "must be a string of 0x");
    check_no_value("address", json!(1), "must be a string of 0x");
    check_no_value("address", Json::Null, "must be a string of 0x");
}

#[test]
fn bytes_are_whole() {
    let check = |value: &str, expected: &[u8]| {
        check_value("bytes", json!(value), &DynSolValue::Bytes(expected.to_vec()));
    };
    check("0x", &[]);
    check("0x00fF", &[0, 255]);
    for value in [
        json!(""),
        json!("00"),
        json!("0x0"),
        json!("0xzz"),
        json!("0x 0"),
        json!("0X00"),
        json!("0x0x00"),
        json!([1]),
        json!(1),
        json!(null),
    ] {
        check_no_value("bytes", value.clone(), "must be a string of 0x");
        check_no_value("bytes2", value, "must be a string of 0x");
    }
    let word = b256!("abcd000000000000000000000000000000000000000000000000000000000000");
    check_value("bytes2", json!("0xabcd"), &DynSolValue::FixedBytes(word, 2));
    check_value("bytes32", json!(word), &DynSolValue::FixedBytes(word, 32));
    check_no_value("bytes2", json!("0xab"), "must be 2 bytes, not 1");
    check_no_value("bytes2", json!("0xabcdef"), "must be 2 bytes, not 3");
    check_no_value("bytes32", json!(format!("{word}00")), "must be 32 bytes, not 33");
}

#[test]
fn what_the_reader_cannot_make_is_not_hashed() {
    let hasher = Hasher::new([("A", B256::ZERO)].into());
    let check = |name, value: DynSolValue, good: bool| {
        let code = hasher.hash_struct(name, [&value]).map_err(|e| e.code);
        assert_eq!(code.err(), (!good).then_some(RefusalCode::Internal), "{value:?}");
    };
    check("A", DynSolValue::Bool(true), true);
    check("B", DynSolValue::Bool(true), false);
    check("A", DynSolValue::Tuple(vec![]), false);
    check("A", DynSolValue::Function(Default::default()), false);
    let unknown = DynSolValue::CustomStruct { name: "B".into(), prop_names: vec![], tuple: vec![] };
    check("A", DynSolValue::Array(vec![unknown]), false);
}

#[test]
fn a_declared_type_is_read_from_its_canonical_text() {
    let mail = DeclaredType::parse(MAIL).unwrap();
    let person = DynSolType::CustomStruct {
        name: "Person".into(),
        prop_names: vec!["name".into(), "wallet".into()],
        tuple: vec![DynSolType::String, DynSolType::Address],
    };
    let expected = DeclaredType {
        type_hash: accepted(&self::mail()).type_hash(),
        primary_type: "Mail".into(),
        members: vec![
            ("from".into(), person.clone()),
            ("to".into(), person),
            ("contents".into(), DynSolType::String),
        ],
    };
    assert_eq!(mail, expected);

    let text =
        "A(bool a,int8 b,uint256 c,bytes1 d,address e,bytes f,string g,bool[2][] h,B[] i)B()";
    let kinds = ["bool", "int8", "uint256", "bytes1", "address", "bytes", "string", "bool[2][]"];
    let members = DeclaredType::parse(text).unwrap().members;
    for ((_, kind), expected) in members.iter().zip(kinds) {
        assert_eq!(kind, &DynSolType::parse(expected).unwrap());
    }
    let empty = DynSolType::CustomStruct { name: "B".into(), prop_names: vec![], tuple: vec![] };
    assert_eq!(members[8].1, DynSolType::Array(Box::new(empty)));
}

#[test]
fn a_declared_type_has_one_text() {
    let check = |text: &str, sentence: &str| {
        let error = DeclaredType::parse(text).expect_err(text);
        assert!(error.contains(sentence), "{sentence:?}, not {error:?}");
    };
    check("", "write a type");
    for text in ["A", "A(", "A(bool", "A(bool a", "A(bool a)B", "A)(", "A(bool)", "A(bool a,)"] {
        check(text, "is not of the form");
    }
    for text in [
        "A(bool a) ",
        " A(bool a)",
        "A (bool a)",
        "A( bool a)",
        "A(bool  a)",
        "A(bool a )",
        "A(bool a, bool b)",
        "A((bool a) b)",
        "(bool a)",
        "A(bool a)(bool b)",
    ] {
        assert!(DeclaredType::parse(text).is_err(), "{text}");
    }
    let sorted = ": A(B b,C c)B()C()";
    check("A(B b,C c)C()B()", sorted);
    check("A(B b,C c)B()C()D()", sorted);
    check("B()A(B b)", "leave out those it does not refer to: B()");
    check("A(B b)", "A.b: the type B is not declared");
    check("A(B b)B()B()", "the type \"B\" is declared twice");
    check("A()A()", "the type \"A\" is declared twice");
    check("A(A a)", "contains itself");
    check("A(uint a)", "write uint256");
    check(&"A".repeat(MAX_TYPED_DATA + 1), "longer than 262144 bytes");
    check(&"A".repeat(MAX_TYPED_DATA), "is not of the form");
}

#[test]
fn a_declared_type_fits_in_memory() {
    let check = |text: String, good: bool| {
        let read = DeclaredType::parse(&text).map(drop);
        let small = |e: &String| e.contains("more than 1000");
        assert_eq!(read.as_ref().err().map(small), (!good).then_some(true), "{read:?}");
    };
    let members = |n: usize, kind: &str| {
        let mut text = String::new();
        (0..n).for_each(|i| write!(text, "{kind} m{i},").unwrap());
        text.trim_end_matches(',').to_owned()
    };
    let shared = |n| format!("A(B a,B b,B c,B d)B({})", members(n, "bool"));
    check(shared(249), true);
    check(shared(250), false);
    let arrays = |n| format!("A({})", members(n, "bool[][2][]"));
    check(arrays(250), true);
    check(arrays(251), false);
    check(format!("A(B a,B b){}", doubling(types::MAX_DEPTH - 1)), false);
}

/// Structs B, C… each of which has two of the next.
fn doubling(count: usize) -> String {
    let name = |i: usize| char::from(b'B' + u8::try_from(i).unwrap());
    let structs = (0..count - 1).map(|i| format!("{}({1} a,{1} b)", name(i), name(i + 1)));
    structs.chain([format!("{}()", name(count - 1))]).collect()
}

/// A simple source of numbers that are the same in each run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % end
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    /// Structs S0… of which each refers only to later ones, as (type, name) pairs.
    fn types(&mut self) -> Vec<Vec<(String, String)>> {
        let count = 1 + self.below(4);
        (0..count)
            .map(|i| {
                let members = self.below(5);
                (0..members).map(|m| (self.kind(i, count), format!("m{m}"))).collect()
            })
            .collect()
    }

    fn kind(&mut self, i: usize, count: usize) -> String {
        let mut kind = match self.below(9) {
            0 => "bool".into(),
            1 => format!("int{}", 8 * (1 + self.below(32))),
            2 => format!("uint{}", 8 * (1 + self.below(32))),
            3 => format!("bytes{}", 1 + self.below(32)),
            4 => "address".into(),
            5 => "bytes".into(),
            6 => "string".into(),
            _ if i + 1 < count => format!("S{}", i + 1 + self.below(count - i - 1)),
            _ => "uint256".into(),
        };
        for _ in 0..self.below(3).saturating_sub(self.below(2)) {
            match self.below(2) {
                0 => kind += "[]",
                _ => write!(kind, "[{}]", 1 + self.below(3)).unwrap(),
            }
        }
        kind
    }

    fn value(&mut self, kind: &str, types: &[Vec<(String, String)>]) -> Json {
        if let Some((inner, length)) = kind.strip_suffix(']').and_then(|k| k.rsplit_once('[')) {
            let length = length.parse().unwrap_or_else(|_| self.below(4));
            return (0..length).map(|_| self.value(inner, types)).collect();
        }
        if let Some(i) = kind.strip_prefix('S') {
            let members = types[i.parse::<usize>().unwrap()].iter();
            let members: Map<_, _> =
                members.map(|(kind, name)| (name.clone(), self.value(kind, types))).collect();
            return Json::Object(members);
        }
        let stem = kind.trim_end_matches(|c: char| c.is_ascii_digit());
        let size = kind[stem.len()..].parse::<usize>().ok();
        match (stem, size) {
            ("bool", _) => json!(self.below(2) == 1),
            ("string", _) => json!(hex::encode(self.bytes(40)) + "ü"),
            ("address", _) => json!(Address::from_slice(&self.bytes(20))),
            ("bytes", None) => {
                let length = self.below(70);
                json!(hex::encode_prefixed(self.bytes(length)))
            }
            ("bytes", Some(length)) => json!(hex::encode_prefixed(self.bytes(length))),
            ("uint", Some(bits)) => {
                let number = U256::from_be_slice(&self.bytes(bits / 8));
                json!(if self.below(2) == 0 { number.to_string() } else { format!("{number:#x}") })
            }
            ("int", Some(bits)) => {
                let number = U256::from_be_slice(&self.bytes(bits / 8)) << (256 - bits);
                // An arithmetic shift keeps the sign.
                json!(I256::from_raw(number).asr(256 - bits).to_string())
            }
            other => unreachable!("{other:?}"),
        }
    }
}

#[test]
fn alloy_computes_the_same_hashes() {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for _ in 0..400 {
        let types = numbers.types();
        let message = numbers.value("S0", &types);
        let text = |(i, members): (usize, &Vec<(String, String)>)| {
            let members: Vec<_> = members.iter().map(|(k, n)| format!("{k} {n}")).collect();
            format!("S{i}({})", members.join(","))
        };
        let texts: Vec<_> = types.iter().enumerate().map(text).collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let read = accepted(&of(&texts, message));
        let theirs: alloy_dyn_abi::TypedData =
            serde_json::from_value(of(&texts, json!({}))).unwrap();
        let declared = DeclaredType::parse(&theirs.encode_type().unwrap()).unwrap();
        assert_eq!(declared.type_hash, read.type_hash());
        assert_eq!(declared.primary_type, read.primary_type());
    }
}
