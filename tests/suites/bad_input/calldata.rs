//! Calldata that has no one meaning: other decoders take it, or it would fill their memory.

use alloy_primitives::{U256, keccak256};

/// Calldata of these words.
pub(crate) fn encoded(signature: &str, words: impl IntoIterator<Item = U256>) -> Vec<u8> {
    let words = words.into_iter().flat_map(|word| word.to_be_bytes::<32>());
    keccak256(signature)[..4].iter().copied().chain(words).collect()
}

pub(crate) fn numbers(words: &[u64]) -> impl Iterator<Item = U256> {
    words.iter().map(|word| U256::from(*word))
}

pub(crate) const PAY: &str = "pay(address[],uint256[])";
const SUM: &str = "sum(uint256[][])";

/// Calldata that another decoder takes, or that would fill its memory; none has one meaning only.
pub(crate) fn calls() -> Vec<(&'static str, Vec<u8>)> {
    let pay = |words: &[u64]| encoded(PAY, numbers(words));
    let sum = |words: &[u64]| encoded(SUM, numbers(words));
    let dirty = [numbers(&[0x40, 0x80, 1]).collect(), vec![U256::MAX], numbers(&[1, 5]).collect()];
    // 2,000 rows, each of which is the same thousand words.
    let rows = [vec![0x20, 2_000], vec![2_000 * 32; 2_000], vec![1_000], vec![7; 1_000]].concat();
    // 2,000 rows, each of which is the rows' own offsets.
    let selves = [vec![0x20, 2_000], vec![0; 2_000]].concat();
    let huge = [U256::from(0x20), U256::MAX];
    vec![
        ("two arrays in one place", pay(&[0x40, 0x40, 1, 5])),
        ("rows that share their words", sum(&rows)),
        ("rows that are themselves", sum(&selves)),
        ("an array of 2^32 items", sum(&[0x20, 1 << 32])),
        ("an array of 2^256 - 1 items", encoded(SUM, huge)),
        ("2^63 empty rows", sum(&[0x20, 1 << 63, 0])),
        ("an offset beyond the end", pay(&[0x40, 0x8000, 1, 5])),
        ("an offset within a word", pay(&[0x41, 0x80, 1, 5, 1, 5])),
        ("dirty padding of an address", encoded(PAY, dirty.concat())),
        ("words left over", pay(&[0x40, 0x80, 1, 5, 1, 5, 0])),
        ("a byte left over", [pay(&[0x40, 0x80, 1, 5, 1, 5]), vec![0]].concat()),
        ("a word too few", pay(&[0x40, 0x80, 1, 5, 1])),
        ("the tail in another order", pay(&[0x80, 0x40, 1, 5, 1, 5])),
        ("another function", encoded("take(address[])", numbers(&[0x20, 0]))),
        ("three bytes", vec![1, 2, 3]),
    ]
}
