#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use crate::client::tests::manifest;
use alloy_json_abi::{Function as JsonFunction, JsonAbi};
use alloy_primitives::{Address, B256, I256, U256, hex};
use nitro_signer_shared::manifest::{AbiEntry, Name};

/// Words as text: each is hex, padded with zeros on the left, or on the right where it ends in
/// `..`; `LEN*DIGITS` repeats a word.
fn words(text: &str) -> Vec<u8> {
    let word = |token: &str| match token.strip_suffix("..") {
        Some(front) => format!("{front:0<64}"),
        None => format!("{token:0>64}"),
    };
    let tokens = text.split_whitespace().map(|token| match token.split_once('*') {
        Some((count, token)) => word(token).repeat(count.parse().unwrap()),
        None => word(token),
    });
    hex::decode(tokens.collect::<String>()).unwrap()
}

/// An ABI of one function, written as in Solidity.
fn abi_of(signature: &str) -> Abi {
    let function = JsonFunction::parse(signature).unwrap();
    let json = serde_json::to_string(&[function]).unwrap();
    abi::read(&json).unwrap_or_else(|e| panic!("{signature}: {e}"))
}

fn calldata(abi: &Abi, encoded: &[u8]) -> Vec<u8> {
    [&abi.functions()[0].selector[..], encoded].concat()
}

fn decodes(signature: &str, encoded: &str) -> bool {
    let abi = abi_of(signature);
    abi.decode(&calldata(&abi, &words(encoded))).is_some()
}

fn check(signature: &str, encoded: &str, expected: bool) {
    assert_eq!(decodes(signature, encoded), expected, "{signature}: {encoded}");
}

fn uint(number: u64) -> DynSolValue {
    DynSolValue::Uint(U256::from(number), 256)
}

mod decoding {
    use super::*;

    #[test]
    fn calls_of_the_standards_are_decoded() {
        let abis = Abis::load(&manifest("")).unwrap();
        let check = |abi: &str, selector: &str, name: &str, arguments: &str| {
            let abi = abis.get(abi).unwrap();
            let selector: [u8; 4] = hex::decode(selector).unwrap().try_into().unwrap();
            let function = abi.functions().iter().find(|f| f.selector == selector).unwrap();
            let names: Vec<&str> = function.inputs.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!((function.name.as_str(), names.join(" ").as_str()), (name, arguments));
        };
        check("erc20", "a9059cbb", "transfer", "to amount");
        check("erc20", "095ea7b3", "approve", "spender amount");
        check("erc20", "23b872dd", "transferFrom", "from to amount");
        check("erc20", "39509351", "increaseAllowance", "spender addedValue");
        check("erc20", "a457c2d7", "decreaseAllowance", "spender subtractedValue");
        check("erc20", "d505accf", "permit", "owner spender value deadline v r s");
        check("erc721", "095ea7b3", "approve", "approved tokenId");
        check("erc721", "a22cb465", "setApprovalForAll", "operator approved");
        check("erc721", "23b872dd", "transferFrom", "from to tokenId");
        check("erc721", "42842e0e", "safeTransferFrom_42842e0e", "from to tokenId");
        check("erc721", "b88d4fde", "safeTransferFrom_b88d4fde", "from to tokenId data");
        check("erc1155", "f242432a", "safeTransferFrom", "from to id amount data");
        check("erc1155", "2eb2c2d6", "safeBatchTransferFrom", "from to ids amounts data");
        check("erc1155", "a22cb465", "setApprovalForAll", "operator approved");
        let counts: Vec<_> = abis.iter().map(|(name, abi)| (name, abi.functions().len())).collect();
        assert_eq!(counts, [("erc1155", 3), ("erc20", 6), ("erc721", 5)]);
    }

    #[test]
    fn a_transfer_shows_its_arguments() {
        let abis = Abis::load(&manifest("")).unwrap();
        let to = Address::repeat_byte(0x35);
        let encoded = words("3535353535353535353535353535353535353535 f4240");
        let data = [&hex!("a9059cbb")[..], &encoded].concat();
        let call = abis.get("erc20").unwrap().decode(&data).unwrap();
        assert_eq!(call.function.signature, "transfer(address,uint256)");
        assert_eq!(call.arguments, [DynSolValue::Address(to), uint(1_000_000)]);
        assert_eq!(abis.get("erc1155").unwrap().decode(&data), None);
        for len in 0..data.len() {
            assert_eq!(abis.get("erc20").unwrap().decode(&data[..len]), None, "{len} bytes");
        }
    }

    /// Uniswap's SwapRouter02.
    #[test]
    fn a_swap_shows_its_struct() {
        let members = [
            ("tokenIn", "address"),
            ("tokenOut", "address"),
            ("fee", "uint24"),
            ("recipient", "address"),
            ("amountIn", "uint256"),
            ("amountOutMinimum", "uint256"),
            ("sqrtPriceLimitX96", "uint160"),
        ];
        let members = members.map(|(name, ty)| format!(r#"{{"name":"{name}","type":"{ty}"}}"#));
        let json = format!(
            r#"[{{"type":"function","name":"exactInputSingle","inputs":[{{"name":"params",
            "type":"tuple","internalType":"struct IV3SwapRouter.ExactInputSingleParams",
            "components":[{}]}}],"outputs":[{{"name":"amountOut","type":"uint256"}}],
            "stateMutability":"payable"}}]"#,
            members.join(",")
        );
        let abi = abi::read(&json).unwrap();
        assert_eq!(abi.functions()[0].selector, hex!("04e45aaf"));
        let call = abi.decode(&calldata(&abi, &words("1a 1b bb8 1c 5 4 0"))).unwrap();
        let address = |byte| DynSolValue::Address(Address::with_last_byte(byte));
        let expected = DynSolValue::CustomStruct {
            name: "ExactInputSingleParams".to_owned(),
            prop_names:
                "tokenIn tokenOut fee recipient amountIn amountOutMinimum sqrtPriceLimitX96"
                    .split(' ')
                    .map(str::to_owned)
                    .collect(),
            tuple: vec![
                address(0x1a),
                address(0x1b),
                DynSolValue::Uint(U256::from(3000), 24),
                address(0x1c),
                uint(5),
                uint(4),
                DynSolValue::Uint(U256::ZERO, 160),
            ],
        };
        assert_eq!(call.arguments, [expected]);
    }

    /// The examples of Solidity's contract ABI specification.
    #[test]
    fn the_specification_s_examples_are_decoded() {
        let check = |signature: &str, selector: &str, encoded: &str| {
            let abi = abi_of(signature);
            assert_eq!(hex::encode(abi.functions()[0].selector), selector, "{signature}");
            assert!(abi.decode(&calldata(&abi, &words(encoded))).is_some(), "{signature}");
        };
        check("baz(uint32,bool)", "cdcd77c0", "45 1");
        check("bar(bytes3[2])", "fce353f6", "616263.. 646566..");
        check("sam(bytes,bool,uint256[])", "a5643bf2", "60 1 a0 4 64617665.. 3 1 2 3");
        check(
            "f(uint256,uint32[],bytes10,bytes)",
            "8be65246",
            "123 80 31323334353637383930.. e0 2 456 789 d 48656c6c6f2c20776f726c6421..",
        );
        check(
            "g(uint256[][],string[])",
            "2289b18c",
            "40 140 2 40 a0 2 1 2 1 3 3 60 a0 e0 3 6f6e65.. 3 74776f.. 5 7468726565..",
        );
    }

    #[test]
    fn every_type_gives_its_values() {
        let check = |ty: &str, encoded: &str, expected: DynSolValue| {
            let abi = abi_of(&format!("f({ty})"));
            let call = abi.decode(&calldata(&abi, &words(encoded))).unwrap();
            assert_eq!(call.arguments, [expected], "{ty}");
        };
        let minus = |number: i64, bits| DynSolValue::Int(I256::try_from(number).unwrap(), bits);
        let text = |text: &str| DynSolValue::String(text.to_owned());
        let ones = "ff".repeat(32);
        check("bool", "1", DynSolValue::Bool(true));
        check("bool", "0", DynSolValue::Bool(false));
        check("int8", &format!("{}80", "ff".repeat(31)), minus(-128, 8));
        check("int8", "7f", minus(127, 8));
        check("int256", &ones, minus(-1, 256));
        check("int256", "80..", DynSolValue::Int(I256::MIN, 256));
        check("uint256", &ones, DynSolValue::Uint(U256::MAX, 256));
        check("bytes1", "ab..", DynSolValue::FixedBytes(B256::right_padding_from(&[0xab]), 1));
        check("bytes32", &ones, DynSolValue::FixedBytes(B256::repeat_byte(0xff), 32));
        check("bytes", "20 0", DynSolValue::Bytes(vec![]));
        check("bytes", &format!("20 20 {ones}"), DynSolValue::Bytes(vec![0xff; 32]));
        check("string", "20 2 c3a4..", text("ä"));
        check("uint256[]", "20 0", DynSolValue::Array(vec![]));
        check("uint256[2]", "1 2", DynSolValue::FixedArray(vec![uint(1), uint(2)]));
        let strings = DynSolValue::FixedArray(vec![text("a"), text("b")]);
        check("string[2]", "20 40 80 1 61.. 1 62..", strings);
        let pair = DynSolValue::CustomStruct {
            name: "tuple".to_owned(),
            prop_names: vec!["arg0".to_owned(), "arg1".to_owned()],
            tuple: vec![uint(7), text("a")],
        };
        check("(uint256,string)", "20 7 40 1 61..", pair);
    }

    #[test]
    fn a_call_without_arguments_is_four_bytes() {
        let abi = abi_of("stop()");
        let data = calldata(&abi, &[]);
        assert_eq!(abi.decode(&data).unwrap().arguments, []);
        assert_eq!(abi.decode(&[&data[..], &[0]].concat()), None);
        assert_eq!(abi.decode(&data[..3]), None);
        assert_eq!(abi.decode(&[]), None);
    }
}

mod refusing {
    use super::*;

    #[test]
    fn dirty_padding_is_not_decoded() {
        let ones = "ff".repeat(32);
        for (ty, clean, dirty) in [
            ("address", "ff".repeat(20), format!("1{}", "00".repeat(20))),
            ("address", "0".to_owned(), ones.clone()),
            ("bool", "1".to_owned(), "2".to_owned()),
            ("bool", "0".to_owned(), "1..".to_owned()),
            ("uint8", "ff".to_owned(), "100".to_owned()),
            ("uint248", "ff".repeat(31), ones.clone()),
            ("int8", "7f".to_owned(), "80".to_owned()),
            ("int8", format!("{}80", "ff".repeat(31)), format!("{}7f", "ff".repeat(31))),
            ("bytes1", "ff..".to_owned(), "ff01..".to_owned()),
            ("bytes31", format!("{}..", "ff".repeat(31)), ones),
            ("bytes", "20 1 ff..".to_owned(), "20 1 ff01..".to_owned()),
            ("bytes", "20 1 ff..".to_owned(), format!("20 1 ff{}1", "0".repeat(61))),
            ("string", "20 0".to_owned(), "20 0 0".to_owned()),
            ("string", "20 1 41..".to_owned(), "20 1 ff..".to_owned()),
        ] {
            check(&format!("f({ty})"), &clean, true);
            check(&format!("f({ty})"), &dirty, false);
        }
    }

    #[test]
    fn only_the_canonical_layout_is_decoded() {
        let check = |ty: &str, good: &str, bad: &[&str]| {
            let signature = format!("f({ty})");
            assert!(decodes(&signature, good), "{signature}: {good}");
            for encoded in bad {
                assert!(!decodes(&signature, encoded), "{signature}: {encoded}");
            }
        };
        // Shared, swapped, backward, looping and distant offsets, gaps and a tail too many.
        check(
            "bytes,bytes",
            "40 80 1 aa.. 1 aa..",
            &[
                "40 40 1 aa..",
                "40 40 1 aa.. 1 aa..",
                "80 40 1 aa.. 1 aa..",
                "60 a0 0 1 aa.. 1 aa..",
                "40 a0 1 aa.. 0 1 aa..",
                "40 80 1 aa.. 1 aa.. 0",
                "0 0 1 aa.. 1 aa..",
                "40 60 1 aa.. 1 aa..",
                "40 ffffffffffffffff 1 aa.. 1 aa..",
                "40 80.. 1 aa.. 1 aa..",
                "41 80 1 aa.. 1 aa..",
            ],
        );
        // An array of arrays whose inner offsets lead to itself, to one element, or past it.
        check(
            "uint256[][]",
            "20 2 40 80 1 7 1 8",
            &[
                "20 2 0 0",
                "20 2 40 40 1 7",
                "20 2 40 40 1 7 1 8",
                "20 2 40 60 1 7 1 8",
                "20 2 0 40 1 7 1 8",
                "0 2 40 80 1 7 1 8",
            ],
        );
        check("uint256[]", "20 2 1 2", &["20 1 1 2", "20 3 1 2", "40 0 2 1 2", "20 2 1"]);
        check("(bytes)", "20 20 1 aa..", &["20 1 aa..", "20 0 1 aa..", "40 20 1 aa.."]);
        check("bytes[2]", "20 40 80 1 aa.. 1 bb..", &["20 40 40 1 aa..", "40 80 1 aa.. 1 bb.."]);
        check("(uint256,uint8)", "1 2", &["20 1 2", "1 2 0", "1", "1 102"]);
        check("uint8[2][2]", "1 2 3 4", &["1 2 3", "1 2 3 4 5", "1 2 3 104", "20 1 2 3 4"]);
    }

    #[test]
    fn a_missing_or_trailing_byte_is_not_decoded() {
        let abi = abi_of("f(bytes,uint8[])");
        let good = calldata(&abi, &words("40 80 3 aabbcc.. 1 7"));
        assert!(abi.decode(&good).is_some());
        for len in 0..good.len() {
            assert_eq!(abi.decode(&good[..len]), None, "{len} bytes");
        }
        assert_eq!(abi.decode(&[&good[..], &[0]].concat()), None);
        assert_eq!(abi.decode(&[&good[..], &[0; 32]].concat()), None);
    }

    #[test]
    fn lengths_beyond_the_bytes_are_not_decoded() {
        let ones = "ff".repeat(32);
        for length in ["3", "1000", "7fffffffffffffff", "ffffffffffffffff", "80..", &ones] {
            for ty in ["bytes", "string", "uint256[]", "bytes[]", "uint8[256][]", "(bool,bytes)[]"]
            {
                check(&format!("f({ty})"), &format!("20 {length}"), false);
                check(&format!("f({ty})"), &format!("20 {length} 0 0"), false);
            }
        }
    }
}

mod bounds {
    use super::*;

    /// The memory that a value takes, in bytes, without the allocator's own.
    fn memory(value: &DynSolValue) -> usize {
        let text = |text: &String| size_of::<String>() + text.len();
        let inside = match value {
            DynSolValue::Bytes(bytes) => bytes.len(),
            DynSolValue::String(text) => text.len(),
            DynSolValue::Array(values) | DynSolValue::FixedArray(values) => {
                values.iter().map(memory).sum()
            }
            DynSolValue::CustomStruct { name, prop_names, tuple } => {
                let names: usize = prop_names.iter().map(text).sum();
                names + name.len() + tuple.iter().map(memory).sum::<usize>()
            }
            _ => 0,
        };
        size_of::<DynSolValue>() + inside
    }

    /// What a value says, in bytes: a word, or a text, wherever it stands.
    fn contents(value: &DynSolValue) -> usize {
        match value {
            DynSolValue::Bytes(bytes) => bytes.len(),
            DynSolValue::String(text) => text.len(),
            DynSolValue::Array(values)
            | DynSolValue::FixedArray(values)
            | DynSolValue::CustomStruct { tuple: values, .. } => values.iter().map(contents).sum(),
            _ => 32,
        }
    }

    pub(super) fn count(value: &DynSolValue) -> usize {
        1 + match value {
            DynSolValue::Array(values)
            | DynSolValue::FixedArray(values)
            | DynSolValue::CustomStruct { tuple: values, .. } => values.iter().map(count).sum(),
            _ => 0,
        }
    }

    #[test]
    fn a_call_has_at_most_4096_values() {
        let check = |ty: &str, encoded: &str, expected: Option<usize>| {
            let abi = abi_of(&format!("f({ty})"));
            let data = calldata(&abi, &words(encoded));
            let values = abi.decode(&data).map(|call| call.arguments.iter().map(count).sum());
            assert_eq!(values, expected, "{ty}");
        };
        check("uint256[]", "20 fff 4095*1", Some(4_096));
        check("uint256[]", "20 1000 4096*1", None);
        check("uint256[],bool", "40 1 ffe 4094*1", Some(4_096));
        check("uint256[],bool", "40 1 fff 4095*1", None);
        check("(((bool)))[]", "20 3ff 1023*1", Some(4_093));
        check("(((bool)))[]", "20 400 1024*1", None);
        check("uint8[255][]", "20 10 4080*1", None);
        check("uint8[255][]", "20 f 3825*1", Some(3_841));
    }

    /// The longest calldata (128 KiB) of the types that make most of little.
    #[test]
    fn the_worst_calldata_takes_little_memory() {
        let arrays = |count: usize, tail: &str| {
            let step = words(tail).len();
            let offsets = (0..count).map(|n| format!("{:x}", 32 * count + n * step));
            let offsets: Vec<String> = offsets.collect();
            format!("20 {count:x} {} {}", offsets.join(" "), vec![tail; count].join(" "))
        };
        let member = |n| format!(r#"{{"type":"bool","name":"{n}{}"}}"#, "a".repeat(127));
        let members = ["a", "b", "c", "d", "e", "f", "g", "h"].map(member).join(",");
        let long_names = abi::read(&format!(
            r#"[{{"type":"function","name":"f","inputs":[
            {{"type":"tuple[]","components":[{members}]}}]}}]"#
        ));
        for (abi, encoded, decodes) in [
            (abi_of("f(bytes)"), "20 1ffa0 4093*ab".to_owned(), true),
            (abi_of("f(uint256[][])"), arrays(2_040, "0"), true),
            // alloy's decoder would copy a template of 3,000 tokens for each empty array.
            (abi_of("f(uint256[250][12][][])"), arrays(2_040, "0"), true),
            (abi_of("f(string[])"), arrays(1_360, "1 61.."), true),
            (long_names.unwrap(), "20 1c6 3632*1".to_owned(), true),
            (abi_of("f((((((bool)))))[])"), "20 ffd 4093*1".to_owned(), false),
            (abi_of("f(uint256[][])"), "20 ffd 4093*20".to_owned(), false),
            (abi_of("f(uint256[][][][][][][][])"), "20 ffd 4093*0".to_owned(), false),
        ] {
            let data = calldata(&abi, &words(&encoded));
            let call = abi.decode(&data);
            let place = &abi.functions()[0].signature;
            assert_eq!(call.is_some(), decodes, "{place}");
            let arguments = call.map(|call| call.arguments).unwrap_or_default();
            assert!(arguments.iter().map(contents).sum::<usize>() <= data.len(), "{place}");
            assert!(arguments.iter().map(memory).sum::<usize>() < 1 << 20, "{place}");
        }
    }
}

mod random {
    use super::*;

    const SEED: u64 = 0x6e69_7472_6f2d_7331;
    const CASES: usize = 400;

    /// xorshift64: enough to vary cases, and the same on every machine.
    struct Source(u64);

    impl Source {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, end: usize) -> usize {
            usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
        }

        fn word(&mut self) -> [u8; 32] {
            match self.below(4) {
                0 => [0; 32],
                1 => [0xff; 32],
                _ => std::array::from_fn(|_| self.next().to_be_bytes()[3]),
            }
        }

        fn ty(&mut self, depth: usize) -> String {
            let size = 8 * (1 + self.below(32));
            match self.below(if depth == 0 { 7 } else { 12 }) {
                0 => "address".to_owned(),
                1 => "bool".to_owned(),
                2 => format!("uint{size}"),
                3 => format!("int{size}"),
                4 => format!("bytes{}", size / 8),
                5 => "bytes".to_owned(),
                6 => "string".to_owned(),
                7 | 8 => format!("{}[]", self.ty(depth - 1)),
                9 => format!("{}[{}]", self.ty(depth - 1), 1 + self.below(3)),
                _ => format!("({})", self.types(depth - 1, 1)),
            }
        }

        fn types(&mut self, depth: usize, least: usize) -> String {
            let count = least + self.below(4);
            (0..count).map(|_| self.ty(depth)).collect::<Vec<_>>().join(",")
        }

        fn value(&mut self, ty: &DynSolType) -> DynSolValue {
            let many = self.below(4);
            match ty {
                DynSolType::Address => DynSolValue::Address(Address::from_word(self.word().into())),
                DynSolType::Bool => DynSolValue::Bool(self.below(2) == 1),
                DynSolType::Uint(bits) => {
                    DynSolValue::Uint(U256::from_be_bytes(self.word()) >> (256 - bits), *bits)
                }
                DynSolType::Int(bits) => {
                    DynSolValue::Int(I256::from_be_bytes(self.word()).asr(256 - bits), *bits)
                }
                DynSolType::FixedBytes(len) => {
                    let word = B256::right_padding_from(&self.word()[..*len]);
                    DynSolValue::FixedBytes(word, *len)
                }
                DynSolType::Bytes => DynSolValue::Bytes(vec![0xab; self.below(70)]),
                DynSolType::String => DynSolValue::String("ä".repeat(self.below(35))),
                DynSolType::Array(ty) => {
                    DynSolValue::Array((0..many).map(|_| self.value(ty)).collect())
                }
                DynSolType::FixedArray(ty, len) => {
                    DynSolValue::FixedArray((0..*len).map(|_| self.value(ty)).collect())
                }
                DynSolType::CustomStruct { name, prop_names, tuple } => DynSolValue::CustomStruct {
                    name: name.clone(),
                    prop_names: prop_names.clone(),
                    tuple: tuple.iter().map(|ty| self.value(ty)).collect(),
                },
                other => panic!("{other:?} is never loaded"),
            }
        }

        fn damage(&mut self, encoded: &mut Vec<u8>) {
            let place = self.below(encoded.len() + 1);
            match (self.below(6), encoded.get_mut(place)) {
                (0, _) => encoded.truncate(place),
                (1, _) => encoded.extend([0; 32]),
                (2, _) => {
                    let word: Vec<u8> =
                        encoded.iter().copied().skip(place & !31).take(32).collect();
                    encoded.splice((place & !31)..(place & !31), word);
                }
                // Offsets and lengths differ in a word's last byte.
                (3, _) => {
                    let last = encoded.get_mut(place | 31);
                    if let Some(byte) = last {
                        *byte = byte.wrapping_add(0x20);
                    }
                }
                (_, Some(byte)) => *byte ^= 1 << self.below(8),
                (_, None) => {}
            }
        }
    }

    fn load(signature: &str) -> Option<Abi> {
        let function = JsonFunction::parse(signature).unwrap();
        abi::read(&serde_json::to_string(&[function]).unwrap()).ok()
    }

    #[test]
    fn what_alloy_encodes_is_decoded_and_what_is_decoded_alloy_reads_too() {
        let mut source = Source(SEED);
        let (mut loaded, mut damaged_but_decoded) = (0, 0);
        for case in 0..CASES {
            let signature = format!("f({})", source.types(3, 0));
            let Some(abi) = load(&signature) else { continue };
            loaded += 1;
            let function = &abi.functions()[0];
            assert_eq!(function.selector, JsonFunction::parse(&signature).unwrap().selector());
            let types: Vec<DynSolType> = function.inputs.iter().map(|(_, ty)| ty.clone()).collect();
            let values: Vec<DynSolValue> = types.iter().map(|ty| source.value(ty)).collect();
            let encoded = DynSolValue::Tuple(values.clone()).abi_encode_params();
            let call = abi.decode(&calldata(&abi, &encoded));
            let place = format!("seed {SEED:#x}, case {case}: {signature}");
            assert_eq!(call.map(|call| call.arguments), Some(values), "{place}");
            for _ in 0..20 {
                let mut damaged = encoded.clone();
                source.damage(&mut damaged);
                let Some(call) = abi.decode(&calldata(&abi, &damaged)) else { continue };
                damaged_but_decoded += 1;
                let values = DynSolValue::Tuple(call.arguments);
                assert_eq!(values.abi_encode_params(), damaged, "{place}");
                let read = DynSolType::Tuple(types.clone()).abi_decode_params(&damaged);
                assert_eq!(read.unwrap(), values, "{place}");
            }
        }
        assert!(loaded > CASES / 2, "{loaded}");
        assert!(damaged_but_decoded > 100, "{damaged_but_decoded}");
    }
}

mod loading {
    use super::*;

    /// An ABI of one function with these inputs.
    fn with_inputs(inputs: &str) -> String {
        format!(r#"[{{"type":"function","name":"f","inputs":[{inputs}]}}]"#)
    }

    fn with_type(ty: &str) -> String {
        with_inputs(&format!(r#"{{"name":"a","type":"{ty}"}}"#))
    }

    fn good(json: &str) -> Abi {
        abi::read(json).unwrap_or_else(|e| panic!("{json:.200}: {e}"))
    }

    /// Checks that an ABI is refused with these words in the sentence.
    fn refused(json: &str, advice: &str) {
        let FieldError(reason) = abi::read(json).expect_err(json);
        assert!(reason.contains(advice), "{json:.200}: {reason:?} lacks {advice:?}");
    }

    fn signature(json: &str) -> String {
        good(json).functions()[0].signature.clone()
    }

    #[test]
    fn a_compiler_s_abi_is_read_as_alloy_reads_it() {
        let json = r#"[
            {"inputs":[{"internalType":"address","name":"owner","type":"address"}],
             "stateMutability":"nonpayable","type":"constructor"},
            {"anonymous":false,"inputs":[{"indexed":true,"internalType":"bytes32","name":"role",
             "type":"bytes32"}],"name":"RoleGranted","type":"event"},
            {"inputs":[],"name":"Denied","type":"error"},
            {"stateMutability":"payable","type":"fallback"},
            {"stateMutability":"payable","type":"receive"},
            {"constant":false,"inputs":[{"name":"","type":"address"},{"name":"n","type":"uint256"}],
             "name":"old","outputs":[],"payable":false,"stateMutability":"nonpayable",
             "type":"function"},
            {"inputs":[{"components":[{"components":[{"internalType":"uint8","name":"x",
             "type":"uint8"}],"internalType":"struct A.Inner[2]","name":"inner","type":"tuple[2]"},
             {"internalType":"bytes[]","name":"","type":"bytes[]"}],
             "internalType":"struct Outer[]","name":"outers","type":"tuple[]"}],
             "name":"deep","outputs":[],"stateMutability":"view","type":"function"}
        ]"#;
        let abi = good(json);
        let theirs: JsonAbi = serde_json::from_str(json).unwrap();
        assert_eq!(abi.functions().len(), theirs.functions().count());
        for function in abi.functions() {
            let their = &theirs.function(&function.name).unwrap()[0];
            assert_eq!(function.signature, their.signature());
            assert_eq!(function.selector, *their.selector());
        }
        let inner = DynSolType::CustomStruct {
            name: "Inner".to_owned(),
            prop_names: vec!["x".to_owned()],
            tuple: vec![DynSolType::Uint(8)],
        };
        let outer = DynSolType::CustomStruct {
            name: "Outer".to_owned(),
            prop_names: vec!["inner".to_owned(), "arg1".to_owned()],
            tuple: vec![
                DynSolType::FixedArray(Box::new(inner), 2),
                DynSolType::Array(Box::new(DynSolType::Bytes)),
            ],
        };
        let inputs = |name| &abi.functions().iter().find(|f| f.name == name).unwrap().inputs;
        assert_eq!(inputs("deep")[..], [("outers".to_owned(), DynSolType::Array(outer.into()))]);
        let old =
            [("arg0".to_owned(), DynSolType::Address), ("n".to_owned(), DynSolType::Uint(256))];
        assert_eq!(inputs("old")[..], old);
    }

    #[test]
    fn a_struct_is_called_as_in_the_source() {
        let check = |source: &str, expected: &str| {
            let json = with_inputs(&format!(
                r#"{{"type":"tuple","components":[{{"type":"bool"}}]{source}}}"#
            ));
            let abi = good(&json);
            let (_, ty) = &abi.functions()[0].inputs[0];
            assert_eq!(ty.as_custom_struct().unwrap().0, expected, "{source}");
        };
        check(r#","internalType":"struct Pair""#, "Pair");
        check(r#","internalType":"struct Book.Pair""#, "Pair");
        check(r#","internalType":"struct Book.Pair[2][]""#, "Pair");
        check("", "tuple");
        check(r#","internalType":null"#, "tuple");
        check(r#","internalType":"Pair""#, "tuple");
        check(r#","internalType":"struct ""#, "tuple");
        check(r#","internalType":"struct A.B C""#, "tuple");
    }

    #[test]
    fn functions_of_one_name_are_told_apart() {
        let functions = |names: &[(&str, &str)]| {
            let entries = names.iter().map(|(name, ty)| {
                format!(r#"{{"type":"function","name":"{name}","inputs":[{{"type":"{ty}"}}]}}"#)
            });
            format!("[{}]", entries.collect::<Vec<_>>().join(","))
        };
        let selector = |text: &str| hex::encode(&alloy_primitives::keccak256(text)[..4]);
        let (one, other) = (selector("f(bool)"), selector("f(bytes)"));
        let abi = good(&functions(&[("f", "bool"), ("f", "bytes"), ("g", "bool")]));
        let mut names: Vec<&str> = abi.functions().iter().map(|f| f.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, [format!("f_{one}"), format!("f_{other}"), "g".to_owned()]);
        let taken = format!("f_{one}");
        refused(
            &functions(&[("f", "bool"), ("f", "bytes"), (&taken, "bool")]),
            "give each its own name",
        );
        // Known collisions: a9059cbb and 42966c68.
        refused(
            r#"[{"type":"function","name":"transfer",
                 "inputs":[{"type":"address"},{"type":"uint256"}]},
            {"type":"function","name":"many_msg_babbage","inputs":[{"type":"bytes1"}]}]"#,
            "have the same selector; remove one",
        );
        refused(&functions(&[("f", "bool"), ("f", "bool")]), "have the same selector; remove one");
        refused(
            &functions(&[
                ("burn", "uint256"),
                ("x", "bool"),
                ("collate_propagate_storage", "bytes16"),
            ]),
            "`burn(uint256)` and `collate_propagate_storage(bytes16)`",
        );
    }

    #[test]
    fn a_file_that_is_no_abi_is_refused() {
        refused("", "EOF");
        refused(r#"[{"type":"function","type":"event"}]"#, "a key stands twice at line 1");
        refused(r#"{"abi":[]}"#, "write the array under `abi`");
        refused("1", "write the array under `abi`");
        refused("[1]", "entry 1: an entry must be an object");
        refused("[]", "no function; write the ABI of the contract that is called");
        refused(r#"[{"type":"receive"}]"#, "no function");
        refused(r#"[{"name":"f","inputs":[]}]"#, "entry 1: type is missing");
        refused(r#"[{"type":1}]"#, "`type` must be a string");
        refused(r#"[{"type":"event"},{"type":"struct"}]"#, "entry 2: `type` is `struct`");
        refused(r#"[{"type":"function","inputs":[]}]"#, "name is missing");
        refused(r#"[{"type":"function","name":"f"}]"#, "`f`: inputs is missing");
        refused(r#"[{"type":"function","name":"f","inputs":{}}]"#, "`inputs` must be an array");
        refused(&with_inputs("1"), "an argument must be an object");
        refused(&with_inputs("{}"), "`arg0`: type is missing");
        refused(&with_inputs(r#"{"type":1}"#), "`arg0`: `type` must be a string");
        refused(&with_inputs(r#"{"type":"bool","name":1}"#), "`name` must be a string");
        refused(&with_inputs(r#"{"type":"tuple","components":1}"#), "must be an array");
        refused(
            &with_inputs(r#"{"type":"tuple","components":[{"type":"bool"}],"internalType":1}"#),
            "`internalType` must be a string",
        );
    }

    #[test]
    fn a_name_is_solidity_s() {
        let function =
            |name: &str| format!(r#"[{{"type":"function","name":"{name}","inputs":[]}}]"#);
        let argument = |name: &str| with_inputs(&format!(r#"{{"type":"bool","name":"{name}"}}"#));
        let member = |name: &str| {
            let member = format!(r#"{{"type":"bool","name":"{name}"}}"#);
            with_inputs(&format!(r#"{{"type":"tuple","components":[{member}]}}"#))
        };
        let longest = "a".repeat(128);
        for name in ["f", "_", "$", "a1_$Z", &longest] {
            good(&function(name));
            good(&argument(name));
            good(&member(name));
        }
        for name in ["1a", "a b", "a.b", "ä", "a-b", "a(", "a\\n", &"a".repeat(129)] {
            let advice = "is no name; write at most 128 letters, digits, _ and $";
            refused(&function(name), advice);
            refused(&argument(name), advice);
            refused(&member(name), advice);
        }
        refused(&function(""), "is no name");
        good(&argument(""));
        let pair = |one: &str, other: &str| {
            format!(r#"{{"type":"bool","name":"{one}"}},{{"type":"bool","name":"{other}"}}"#)
        };
        good(&with_inputs(&pair("", "")));
        good(&with_inputs(&pair("arg0", "")));
        for pair in [pair("a", "a"), pair("arg1", "")] {
            let advice = "give each its own name";
            refused(&with_inputs(&pair), advice);
            let tuple = format!(r#"{{"type":"tuple","components":[{pair}]}}"#);
            refused(&with_inputs(&tuple), advice);
        }
    }

    #[test]
    fn a_type_is_written_as_in_a_signature() {
        for ty in ["address", "bool", "bytes", "string", "uint8", "int256", "bytes1", "bytes32"] {
            for sizes in ["", "[]", "[1]", "[256]", "[2][]", "[][3]"] {
                let ty = format!("{ty}{sizes}");
                assert_eq!(signature(&with_type(&ty)), format!("f({ty})"));
            }
        }
        for ty in [
            "uint",
            "int",
            "uint7",
            "uint0",
            "uint264",
            "uint08",
            "bytes0",
            "bytes33",
            "bytes01",
            "byte",
            "Uint8",
            " bool",
            "bool ",
            "",
            "address payable",
            "Book.Kind",
            "contract X",
            "(bool)",
            "(bool,bool)[]",
            "bool]",
        ] {
            refused(&with_type(ty), "is not how a signature writes a type");
        }
        for ty in ["[0]", "[257]", "[01]", "[+1]", "[ 1]", "[-1]", "[a]", "[18446744073709551616]"]
        {
            refused(&with_type(&format!("bool{ty}")), "is no array's size; write 1 to 256");
        }
        for ty in ["[", "[]x", "[2]]", "[][", "[1] "] {
            refused(&with_type(&format!("bool{ty}")), "is no array's size; write [] or [2]");
        }
        refused(&with_type("function"), "the type `function` is not served");
        refused(&with_type("function[]"), "the type `function` is not served");
        refused(&with_type("fixed"), "fixed-point types are not served");
        refused(&with_type("ufixed128x18[2]"), "fixed-point types are not served");
    }

    #[test]
    fn a_tuple_has_members_and_nothing_else_has() {
        let typed = |ty: &str, members: &str| {
            with_inputs(&format!(r#"{{"type":"{ty}","components":[{members}]}}"#))
        };
        let bool = r#"{"type":"bool"}"#;
        assert_eq!(signature(&typed("tuple", bool)), "f((bool))");
        assert_eq!(signature(&typed("tuple[2][]", bool)), "f((bool)[2][])");
        assert_eq!(signature(&typed("bool", "")), "f(bool)");
        refused(&typed("tuple", ""), "a tuple without `components` has no value");
        refused(&with_type("tuple[]"), "a tuple without `components` has no value");
        refused(&typed("bool", bool), "has `components`; only a tuple has");
        refused(&typed("tuples", bool), "is no array's size");
        refused(&typed("tuple[0]", bool), "is no array's size; write 1 to 256");
    }

    #[test]
    fn sizes_end_at_their_limits() {
        let nested = |depth: usize| {
            let open = r#"{"type":"tuple","components":["#.repeat(depth);
            with_inputs(&format!(r#"{open}{{"type":"bool"}}{}"#, "]}".repeat(depth)))
        };
        let levels = "levels of arrays and tuples are more than 8";
        good(&nested(8));
        refused(&nested(9), levels);
        good(&with_type(&format!("bool{}", "[]".repeat(8))));
        refused(&with_type(&format!("bool{}", "[]".repeat(9))), levels);
        refused(&with_type(&format!("bool{}", "[]".repeat(100_000))), levels);
        let mixed = |ty: &str, sizes: &str| {
            let member = format!(r#"{{"type":"{ty}"}}"#);
            with_inputs(&format!(r#"{{"type":"tuple{sizes}","components":[{member}]}}"#))
        };
        good(&mixed("bool[][][][]", "[][][]"));
        refused(&mixed("bool[][][][]", "[][][][]"), levels);
        refused(&mixed("bool[][][][][]", "[][][]"), levels);
        refused(&mixed("bool", &"[]".repeat(8)), levels);

        let many = |ty: &str, count: usize| {
            with_inputs(&vec![format!(r#"{{"type":"{ty}"}}"#); count].join(","))
        };
        good(&many("bool", 64));
        refused(&many("bool", 65), "65 arguments are more than 64");
        good(&many("bool[][][]", 64));
        let types = "257 types in its arguments are more than 256";
        refused(&many("bool[][][]", 64).replacen("[]", "[][]", 1), types);
        let tuple = |members: usize| {
            let members = vec![r#"{"type":"bool"}"#; members].join(",");
            with_inputs(&format!(r#"{{"type":"tuple","components":[{members}]}}"#))
        };
        good(&tuple(255));
        refused(&tuple(256), types);

        let functions = |count: usize| {
            let functions =
                (0..count).map(|n| format!(r#"{{"type":"function","name":"f{n}","inputs":[]}}"#));
            format!("[{}]", functions.collect::<Vec<_>>().join(","))
        };
        assert_eq!(good(&functions(512)).functions().len(), 512);
        refused(&functions(513), "513 functions are more than 512");
    }

    #[test]
    fn a_type_that_fits_into_no_call_is_refused() {
        good(&with_type("bool[116][35]"));
        refused(&with_type("bool[255][16]"), "4097 values in one of this type are more than 4096");
        refused(&with_type("bool[256][16][]"), "values in one of this type");
        let most = format!("bool{}", "[256]".repeat(8));
        refused(&with_type(&most), "values in one of this type");
        let member = r#"{"type":"bool[255][8]"}"#;
        let tuple = |ty: &str, members: &[&str]| {
            let members = members.join(",");
            with_inputs(&format!(r#"{{"type":"{ty}","components":[{members}]}}"#))
        };
        good(&tuple("tuple[]", &[member]));
        refused(&tuple("tuple[]", &[member; 2]), "4099 values in one of this type");
        good(&with_inputs(&[member, r#"{"type":"bool[92][22]"}"#].join(",")));
        refused(&with_inputs(&[member; 2].join(",")), "4098 values in every call");
    }

    #[test]
    fn what_a_sentence_quotes_is_short_and_plain() {
        let FieldError(reason) = abi::read(&with_type(&"x".repeat(10_000))).unwrap_err();
        assert!(reason.len() < 300, "{reason}");
        let FieldError(reason) = abi::read(&with_type("\u{1f600}\\n\\u001b")).unwrap_err();
        assert!(reason.is_ascii() && !reason.contains(char::is_control), "{reason:?}");
    }
}

mod book {
    use super::*;

    fn entry(abi: Option<&str>, decimals: Option<u8>) -> AddressEntry {
        AddressEntry {
            address: Address::repeat_byte(1),
            name: "vault-7".parse().unwrap(),
            groups: vec![],
            decimals,
            abi: abi.map(|name| name.parse().unwrap()),
        }
    }

    fn load(abi: &str, json: &str, entry: AddressEntry) -> Result<Abis, String> {
        let mut manifest = manifest("");
        let name: Name = abi.parse().unwrap();
        manifest.abis = vec![AbiEntry { name, json: json.to_owned() }];
        manifest.addresses = vec![entry];
        Abis::load(&manifest).map_err(|e| e.to_string())
    }

    const STOP: &str = r#"[{"type":"function","name":"stop","inputs":[]}]"#;

    #[test]
    fn the_address_book_names_abis_that_there_are() {
        let good = |abi: Option<&str>, decimals: Option<u8>| {
            let abis = load("mine", STOP, entry(abi, decimals)).unwrap();
            assert_eq!(abis.get("mine").unwrap().functions()[0].name, "stop");
            let names: Vec<&str> = abis.iter().map(|(name, _)| name).collect();
            assert_eq!(names, ["erc1155", "erc20", "erc721", "mine"]);
        };
        good(None, None);
        good(None, Some(6));
        good(Some("mine"), None);
        good(Some("mine"), Some(6));
        good(Some("erc20"), Some(0));
        good(Some("erc721"), None);
        good(Some("erc1155"), None);
        let refused = |abi: &str, decimals: Option<u8>, advice: &str| {
            let reason = load("mine", STOP, entry(Some(abi), decimals)).unwrap_err();
            assert_eq!(reason, format!("addresses: vault-7: {advice}"));
        };
        refused(
            "yours",
            None,
            "there is no ABI yours; add abis/yours.json, or write erc20, erc721 or erc1155",
        );
        refused(
            "erc20",
            None,
            "an erc20 needs `decimals`; write what the token's decimals() returns",
        );
        refused("erc721", Some(0), "an erc721 has no one number of decimals; remove `decimals`");
        refused("erc1155", Some(18), "an erc1155 has no one number of decimals; remove `decimals`");
    }

    #[test]
    fn an_abi_s_fault_is_told_with_its_file() {
        let check = |name: &str, json: &str, expected: &str| {
            assert_eq!(load(name, json, entry(None, None)).unwrap_err(), expected);
        };
        check(
            "mine",
            &STOP.replace("[]", r#"[{"name":"n","type":"uint"}]"#),
            "abis/mine.json: entry 1: `stop`: `n`: `uint` is not how a signature writes a type; \
             write one like uint256 or bytes32",
        );
        for name in ["erc20", "erc721", "erc1155"] {
            let expected =
                format!("abis: {name} is the standard's name; name your ABI differently");
            check(name, STOP, &expected);
        }
        let error = AbiError::Field { field: "abis", reason: "x".to_owned() };
        let refusal = Refusal::from(error);
        assert_eq!((refusal.code, &*refusal.detail), (RefusalCode::ManifestInvalid, "abis: x"));
    }
}
