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

/// The nodes beside the way from one leaf up to the root, the lowest first (RFC 6962, section
/// 2.1.1); `None` if there is no such leaf.
#[must_use]
pub fn path<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Option<Vec<Node>> {
    match leaves {
        [] => None,
        [_] => (index == 0).then(Vec::new),
        _ => {
            let middle = split(leaves.len());
            let (left, right) = leaves.split_at(middle);
            let (mut nodes, beside) = if index < middle {
                (path(left, index)?, root(right))
            } else {
                (path(right, index - middle)?, root(left))
            };
            nodes.push(beside);
            Some(nodes)
        }
    }
}

/// The root of a tree of `count` leaves in which this leaf stands at `index` with these nodes
/// beside its way up; `None` if there is no such place or the way has another length. The leaf is
/// in a tree exactly if this is the tree's root.
#[must_use]
pub fn root_by_path(leaf: &[u8], index: u64, count: u64, path: &[Node]) -> Option<Node> {
    if index >= count {
        return None;
    }
    let (mut index, mut last) = (index, count - 1);
    let mut node = hash(&[&[0], leaf]);
    for beside in path {
        if last == 0 {
            return None;
        }
        if index % 2 == 1 || index == last {
            node = hash(&[&[1], beside, &node]);
            // An only child stands for its parent until it has somebody to its left.
            while index % 2 == 0 && index != 0 {
                (index, last) = (index / 2, last / 2);
            }
        } else {
            node = hash(&[&[1], &node, beside]);
        }
        (index, last) = (index / 2, last / 2);
    }
    (last == 0).then_some(node)
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

    #[test]
    fn each_leaf_leads_to_the_root_by_its_own_path_and_by_no_other() {
        let leaves: Vec<[u8; 1]> = (0..33).map(|leaf| [leaf]).collect();
        for count in 1..=leaves.len() {
            let leaves = &leaves[..count];
            let (count, whole) = (count as u64, root(leaves));
            for (index, leaf) in leaves.iter().enumerate() {
                let nodes = path(leaves, index).expect("is a leaf");
                let at = |index: u64, nodes: &[Node]| root_by_path(leaf, index, count, nodes);
                let index = index as u64;
                assert_eq!(at(index, &nodes), Some(whole), "{index} of {count}");
                assert_ne!(root_by_path(b"another", index, count, &nodes), Some(whole));
                assert_eq!(at(count, &nodes), None);
                for other in (0..count).filter(|other| *other != index) {
                    assert_ne!(at(other, &nodes), Some(whole), "{other} for {index} of {count}");
                }
                let longer = [nodes.as_slice(), &[whole]].concat();
                assert_eq!(at(index, &longer), None);
                if let Some((_, shorter)) = nodes.split_last() {
                    assert_eq!(at(index, shorter), None);
                }
            }
            assert_eq!(path(leaves, leaves.len()), None);
        }
        assert_eq!(path::<[u8; 1]>(&[], 0), None);
        assert_eq!(root_by_path(b"", 0, 0, &[]), None);
    }

    /// RFC 6962, section 2.1.3, names the nodes on the paths of its tree of seven leaves: for the
    /// leaves 0, 3, 4 and 6 they are [b, h, l], [c, g, l], [f, j, k] and [i, k].
    #[test]
    fn paths_are_those_of_the_rfc() {
        let leaves: Vec<[u8; 1]> = (0..7).map(|leaf| [leaf]).collect();
        let node = |from: usize, to: usize| root(&leaves[from..to]);
        let check =
            |index, nodes: &[Node]| assert_eq!(path(&leaves, index).expect("is a leaf"), nodes);
        check(0, &[node(1, 2), node(2, 4), node(4, 7)]);
        check(3, &[node(2, 3), node(0, 2), node(4, 7)]);
        check(4, &[node(5, 6), node(6, 7), node(0, 4)]);
        check(6, &[node(4, 6), node(0, 4)]);
    }

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
