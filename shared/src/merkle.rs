//! The Merkle tree of RFC 6962, section 2.1, over SHA-256: one root commits to all keys held.

use aws_lc_rs::digest::{Context, SHA256};

/// A node of the tree: 32 bytes.
pub type Node = [u8; 32];

/// The root over the leaves' contents, in their order. The empty tree's root is SHA-256 of
/// nothing, as the RFC has it.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> Node {
    match leaves {
        [] => hash(&[]),
        [leaf] => hash(&[&[0], leaf.as_ref()]),
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            hash(&[&[1], &root(left), &root(right)])
        }
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: usize) -> usize {
    1 << (usize::BITS - 1 - (count - 1).leading_zeros())
}

fn hash(parts: &[&[u8]]) -> Node {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut node = [0; 32];
    node.copy_from_slice(context.finish().as_ref());
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors that Certificate Transparency implementations share (the eight inputs and
    /// roots of the reference implementation's merkle_tree_test).
    #[test]
    fn roots_agree_with_certificate_transparency() {
        let leaves: Vec<Vec<u8>> = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ]
        .iter()
        .map(|h| hex::decode(h).expect("is hex"))
        .collect();
        let check = |count: usize, expected: &str| {
            assert_eq!(hex::encode(root(&leaves[..count])), expected, "{count} leaves");
        };
        check(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        check(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        check(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        check(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }
}
