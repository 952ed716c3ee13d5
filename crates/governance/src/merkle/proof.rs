//! Proofs that a leaf is in a tree, and that a tree is the beginning of a larger one (RFC 9162, sections 2.1.3 and 2.1.4).

use std::ops::Range;

use super::{
    Hash, node_hash,
    tiles::{TILE_HEIGHT, TILE_WIDTH},
};

/// A complete subtree: the one with this index among those of 2^level leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) level: u32,
    pub(crate) index: u64,
}

impl Node {
    /// Where the hashes stand from which it is computed: level and number of the row, the first of them and how many.
    pub(crate) fn place(self) -> (u32, u64, usize, usize) {
        let below = self.level % TILE_HEIGHT;
        let first = self.index << below;
        let offset = usize::try_from(first % TILE_WIDTH).unwrap_or(0);
        (self.level / TILE_HEIGHT, first / TILE_WIDTH, offset, 1 << below)
    }

    /// The complete subtrees that together cover a range of a proof, from the left.
    pub(crate) fn cover(range: &Range<u64>) -> Vec<Self> {
        let mut nodes = Vec::new();
        let mut start = range.start;
        let length = range.end.saturating_sub(range.start);
        for level in (0..u64::BITS).rev().filter(|level| (length >> level) & 1 == 1) {
            nodes.push(Self { level, index: start >> level });
            start += 1 << level;
        }
        nodes
    }
}

/// The largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The ranges of leaves whose roots prove that `leaf` is in a tree of `size` leaves; `leaf` is less than `size`.
pub(crate) fn inclusion_ranges(leaf: u64, size: u64) -> Vec<Range<u64>> {
    let (mut start, mut end) = (0, size);
    let mut ranges = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if leaf < middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
        }
    }
    ranges.reverse();
    ranges
}

/// The ranges of leaves whose roots prove that a tree of `old` leaves is the beginning of one of `new` leaves; `old` is
/// not more than `new`.
pub(crate) fn consistency_ranges(old: u64, new: u64) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    if old == 0 {
        return ranges;
    }
    let (mut start, mut end) = (0, new);
    // Whether the subtree is the old tree itself, whose root the verifier has.
    let mut is_known = true;
    while end != old {
        let middle = start + split(end - start);
        if old <= middle {
            ranges.push(middle..end);
            end = middle;
        } else {
            ranges.push(start..middle);
            start = middle;
            is_known = false;
        }
    }
    if !is_known {
        ranges.push(start..end);
    }
    ranges.reverse();
    ranges
}

/// The root that the proof `path` leads to from the leaf with this hash; `None` when it is no proof for that place.
pub fn root_of_inclusion(leaf: u64, size: u64, leaf_hash: Hash, path: &[Hash]) -> Option<Hash> {
    if leaf >= size {
        return None;
    }
    let (mut place, mut last, mut root) = (leaf, size - 1, leaf_hash);
    for hash in path {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            root = node_hash(hash, &root);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(root)
}

/// Whether the proof `path` shows that the tree of `old` leaves with the root `old_root` is the beginning of the tree of `new`
/// leaves with the root `new_root`.
pub fn is_consistent(old: u64, new: u64, old_root: &Hash, new_root: &Hash, path: &[Hash]) -> bool {
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return path.is_empty();
    }
    if old > new {
        return false;
    }
    let mut path = path.iter();
    // The old tree is a complete subtree: the proof leaves its root out.
    let first = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut old_computed, mut new_computed) = (*first, *first);
    for hash in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            old_computed = node_hash(hash, &old_computed);
            new_computed = node_hash(hash, &new_computed);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            new_computed = node_hash(&new_computed, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && old_computed == *old_root && new_computed == *new_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::merkle::{
        Tiles, root_over,
        tests::{leaves, tree_hash},
    };

    fn path(leaves: &[Hash], ranges: &[Range<u64>]) -> Vec<Hash> {
        ranges.iter().map(|range| tree_hash(&leaves[range.start as usize..range.end as usize])).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn every_leaf_is_proven_and_no_other(size in 1_u64..600, chosen in any::<prop::sample::Index>(), wrong: u8) {
            let all = leaves(size);
            let leaf = chosen.index(size as usize) as u64;
            let proof = path(&all, &inclusion_ranges(leaf, size));
            let root = tree_hash(&all);
            prop_assert_eq!(root_of_inclusion(leaf, size, all[leaf as usize], &proof), Some(root));
            // Another leaf, another place, a changed, longer or shorter proof prove nothing.
            let other = leaves(size + 1)[size as usize];
            prop_assert_ne!(root_of_inclusion(leaf, size, other, &proof), Some(root));
            if size > 1 {
                let place = (leaf + 1) % size;
                prop_assert_ne!(root_of_inclusion(place, size, all[leaf as usize], &proof), Some(root));
                let mut changed = proof.clone();
                let at = usize::from(wrong) % changed.len();
                changed[at][usize::from(wrong) % 32] ^= 1;
                prop_assert_ne!(root_of_inclusion(leaf, size, all[leaf as usize], &changed), Some(root));
                prop_assert_eq!(root_of_inclusion(leaf, size, all[leaf as usize], &proof[1..]), None);
            }
            let mut longer = proof;
            longer.push(other);
            prop_assert_ne!(root_of_inclusion(leaf, size, all[leaf as usize], &longer), Some(root));
        }

        #[test]
        fn every_beginning_is_proven_and_no_other(new in 1_u64..600, chosen in any::<prop::sample::Index>()) {
            let all = leaves(new);
            let old = 1 + chosen.index(new as usize) as u64;
            let proof = path(&all, &consistency_ranges(old, new));
            let (old_root, new_root) = (tree_hash(&all[..old as usize]), tree_hash(&all));
            prop_assert!(is_consistent(old, new, &old_root, &new_root, &proof));
            // A leaf of the old part was changed: its root is another.
            let mut changed = all[..old as usize].to_vec();
            changed[chosen.index(old as usize)][0] ^= 1;
            prop_assert!(!is_consistent(old, new, &tree_hash(&changed), &new_root, &proof));
            if old < new {
                prop_assert!(!is_consistent(old, new, &old_root, &old_root, &proof));
                let mut changed = proof.clone();
                changed.pop();
                prop_assert!(!is_consistent(old, new, &old_root, &new_root, &changed));
            }
        }

        #[test]
        fn ranges_are_covered_by_stored_rows(size in 2_u64..3_000, chosen in any::<prop::sample::Index>()) {
            let all = leaves(size);
            let mut tiles = Tiles::default();
            all.iter().for_each(|leaf| tiles.push(*leaf));
            let rows = tiles.changed();
            let leaf = chosen.index(size as usize) as u64;
            for range in inclusion_ranges(leaf, size).iter().chain(&consistency_ranges(leaf, size)) {
                let hashes: Vec<Hash> = Node::cover(range)
                    .into_iter()
                    .map(|node| {
                        let (level, number, first, count) = node.place();
                        let row = rows.iter().find(|row| (row.level, row.number) == (level, number)).unwrap();
                        root_over(&row.hashes[first..first + count])
                    })
                    .collect();
                let root = hashes.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)).unwrap();
                prop_assert_eq!(root, tree_hash(&all[range.start as usize..range.end as usize]));
            }
        }

        #[test]
        fn hostile_proofs_never_panic(
            leaf: u64, size: u64, old: u64, path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let _ = root_of_inclusion(leaf, size, [0; 32], &path);
            let _ = is_consistent(old, size, &[0; 32], &[1; 32], &path);
        }
    }

    #[test]
    fn the_proofs_of_the_standard_have_the_right_lengths() {
        // The tree of seven leaves of RFC 9162, section 2.1.5.
        assert_eq!(inclusion_ranges(0, 7), [1..2, 2..4, 4..7]);
        assert_eq!(inclusion_ranges(3, 7), [2..3, 0..2, 4..7]);
        assert_eq!(inclusion_ranges(4, 7), [5..6, 6..7, 0..4]);
        assert_eq!(inclusion_ranges(6, 7), [4..6, 0..4]);
        assert_eq!(consistency_ranges(3, 7), [2..3, 3..4, 0..2, 4..7]);
        assert_eq!(consistency_ranges(4, 7).as_slice(), std::slice::from_ref(&(4..7)));
        assert_eq!(consistency_ranges(6, 7), [4..6, 6..7, 0..4]);
        assert!(consistency_ranges(7, 7).is_empty());
    }
}
