//! The tree of RFC 9162: hashes, roots, proofs and how they are checked.

mod proof;
mod tiles;

use sha2::{Digest as _, Sha256};

pub(crate) use proof::{Node, consistency_ranges, inclusion_ranges};
pub use proof::{is_consistent, root_of_inclusion};
pub(crate) use tiles::{TILE_WIDTH, Tile, Tiles};

/// SHA-256.
pub type Hash = [u8; HASH_BYTES];

/// Bytes of a [`Hash`].
pub const HASH_BYTES: usize = 32;

/// The hash of a leaf: of a zero byte and what the leaf holds (RFC 9162, section 2.1.1).
pub fn leaf_hash(content: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0_u8]);
    hasher.update(content);
    hasher.finalize().into()
}

/// The hash of an inner node: of a one byte and the hashes under it.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1_u8]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The root of a tree without leaves.
pub fn empty_root() -> Hash {
    Sha256::digest(b"").into()
}

/// The root over hashes that stand side by side.
pub(crate) fn root_over(hashes: &[Hash]) -> Hash {
    let mut layer = hashes.to_vec();
    while layer.len() > 1 {
        layer = layer
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                // Without a neighbour it goes up as it is: the left side of an RFC 9162 tree is always full.
                [alone] => Some(*alone),
                _ => None,
            })
            .collect();
    }
    layer.first().copied().unwrap_or_else(empty_root)
}

/// The complete subtrees of a tree that only grows: enough for its root at any moment. Adding a leaf costs O(1) on average.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// The roots of the complete subtrees, the largest first: one for each bit that is set in `size`.
    complete: Vec<Hash>,
}

impl Frontier {
    /// Adds a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut size = self.size;
        while size & 1 == 1 {
            let Some(left) = self.complete.pop() else { break };
            hash = node_hash(&left, &hash);
            size >>= 1;
        }
        self.complete.push(hash);
        self.size += 1;
    }

    /// How many leaves there are.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over all of them.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.complete.iter().rev();
        let Some(last) = subtrees.next() else { return empty_root() };
        subtrees.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Splits bytes into the hashes that they are made of; what is left over is no hash.
pub(crate) fn hashes_of(bytes: &[u8]) -> Vec<Hash> {
    bytes.chunks_exact(HASH_BYTES).filter_map(|bytes| bytes.try_into().ok()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition itself (RFC 9162, section 2.1.1), by recursion.
    pub(crate) fn tree_hash(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let left = leaves.len().next_power_of_two() / 2;
                node_hash(&tree_hash(&leaves[..left]), &tree_hash(&leaves[left..]))
            }
        }
    }

    pub(crate) fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect()
    }

    fn hexadecimal(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_hashes_are_those_of_the_standard() {
        // RFC 9162 keeps the definitions of RFC 6962, whose reference implementation has these.
        assert_eq!(hexadecimal(&empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(hexadecimal(&leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        let inputs: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let hashes: Vec<Hash> = inputs.iter().map(|input| leaf_hash(input)).collect();
        assert_eq!(
            hexadecimal(&root_over(&hashes)),
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_frontier_has_the_root_of_the_definition(count in 0_u64..700) {
            let leaves = leaves(count);
            let mut frontier = Frontier::default();
            for leaf in &leaves {
                frontier.push(*leaf);
            }
            prop_assert_eq!(frontier.size(), count);
            prop_assert_eq!(frontier.root(), tree_hash(&leaves));
            prop_assert_eq!(root_over(&leaves), tree_hash(&leaves));
        }
    }
}
