//! The tree's hashes as they are stored: rows of 256 of a level. Level 0 has the leaves; a full row's root is one hash of the
//! level above (C2SP tlog-tiles). Adding leaves touches the last row of each level only.

use std::collections::BTreeMap;

use super::{Hash, empty_root, node_hash, root_over};

/// Hashes in a full row.
pub(crate) const TILE_WIDTH: u64 = 256;
/// Levels of the tree that a row spans.
pub(crate) const TILE_HEIGHT: u32 = 8;
/// Rows above each other in the largest tree that a database holds.
pub(crate) const LEVELS_MAX: u32 = 8;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) level: u32,
    pub(crate) number: u64,
    pub(crate) hashes: Vec<Hash>,
}

/// The rows at the right edge of a tree, to add leaves to.
#[derive(Debug, Default)]
pub(crate) struct Tiles {
    size: u64,
    /// The row of each level that is not full, from the leaves up; may be empty.
    open: Vec<Vec<Hash>>,
    /// Rows that became full.
    full: BTreeMap<(u32, u64), Vec<Hash>>,
    /// The highest level that was added to.
    touched: usize,
}

impl Tiles {
    /// Level, number and length of the rows at the edge of a tree of `size` leaves: those that [`Tiles::new`] needs.
    pub(crate) fn edge(size: u64) -> impl Iterator<Item = (u32, u64, u64)> {
        (0..LEVELS_MAX).filter_map(move |level| {
            let in_level = size >> (level * TILE_HEIGHT);
            let length = in_level % TILE_WIDTH;
            (length > 0).then_some((level, in_level / TILE_WIDTH, length))
        })
    }

    /// A tree of `size` leaves with these rows at its edge; `None` when they are not all of them.
    pub(crate) fn new(size: u64, edge: Vec<Tile>) -> Option<Self> {
        let mut open: Vec<Vec<Hash>> = Vec::new();
        let mut rows = edge.into_iter();
        for (level, number, length) in Self::edge(size) {
            let row = rows.next().filter(|row| (row.level, row.number) == (level, number))?;
            let mut hashes = row.hashes;
            let length = usize::try_from(length).ok()?;
            if hashes.len() < length {
                return None;
            }
            hashes.truncate(length);
            open.resize_with(usize::try_from(level).ok()?, Vec::new);
            open.push(hashes);
        }
        Some(Self { size, open, full: BTreeMap::new(), touched: 0 })
    }

    /// Adds a leaf by its hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        let mut index = self.size;
        for (level, number) in (0..LEVELS_MAX).enumerate() {
            if self.open.len() <= level {
                self.open.resize_with(level + 1, Vec::new);
            }
            let Some(row) = self.open.get_mut(level) else { break };
            row.push(hash);
            self.touched = self.touched.max(level);
            if (row.len() as u64) < TILE_WIDTH {
                break;
            }
            let row = std::mem::take(row);
            hash = root_over(&row);
            index /= TILE_WIDTH;
            self.full.insert((number, index), row);
        }
        self.size += 1;
    }

    /// How many leaves there are.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves.
    pub(crate) fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for row in &self.open {
            // The complete subtrees of the row, from the right: one for each bit that is set in its length.
            let mut end = row.len();
            while end > 0 {
                let width = end & end.wrapping_neg();
                let subtree = root_over(row.get(end - width..end).unwrap_or_default());
                root = Some(root.map_or(subtree, |right| node_hash(&subtree, &right)));
                end -= width;
            }
        }
        root.unwrap_or_else(empty_root)
    }

    /// Every row that was added to.
    pub(crate) fn changed(self) -> Vec<Tile> {
        let Self { size, open, full, touched } = self;
        let full = full.into_iter().map(|((level, number), hashes)| Tile { level, number, hashes });
        let open =
            open.into_iter().zip(0_u32..).take(touched + 1).filter(|(row, _)| !row.is_empty()).map(
                move |(hashes, level)| Tile { level, number: (size >> (level * TILE_HEIGHT)) / TILE_WIDTH, hashes },
            );
        full.chain(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::merkle::tests::{leaves, tree_hash};

    /// What a database would hold.
    #[derive(Default)]
    struct Stored(HashMap<(u32, u64), Vec<Hash>>);

    impl Stored {
        fn edge(&self, size: u64) -> Vec<Tile> {
            let row = |(level, number, _)| Tile { level, number, hashes: self.0[&(level, number)].clone() };
            Tiles::edge(size).map(row).collect()
        }

        fn put(&mut self, tiles: Vec<Tile>) {
            for tile in tiles {
                self.0.insert((tile.level, tile.number), tile.hashes);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_tree_that_grows_in_batches_has_the_root_of_the_definition(
            batches in prop::collection::vec(0_usize..700, 1..6),
        ) {
            let all = leaves(batches.iter().sum::<usize>() as u64);
            let mut stored = Stored::default();
            let mut size = 0;
            for batch in batches {
                let mut tiles = Tiles::new(size as u64, stored.edge(size as u64)).unwrap();
                for leaf in &all[size..size + batch] {
                    tiles.push(*leaf);
                }
                size += batch;
                prop_assert_eq!(tiles.size(), size as u64);
                prop_assert_eq!(tiles.root(), tree_hash(&all[..size]));
                stored.put(tiles.changed());
            }
            let kept: usize = stored.0.iter().filter(|((level, _), _)| *level == 0).map(|(_, row)| row.len()).sum();
            prop_assert_eq!(kept, size);
        }
    }

    #[test]
    fn an_append_writes_only_the_edge() {
        let all = leaves(70_000);
        let mut stored = Stored::default();
        let mut tiles = Tiles::default();
        all.iter().for_each(|leaf| tiles.push(*leaf));
        assert_eq!(tiles.root(), tree_hash(&all));
        stored.put(tiles.changed());
        let mut tiles = Tiles::new(70_000, stored.edge(70_000)).unwrap();
        tiles.push(all[0]);
        let changed = tiles.changed();
        assert_eq!(changed.iter().map(|tile| (tile.level, tile.number)).collect::<Vec<_>>(), [(0, 273)]);
        assert_eq!(changed[0].hashes.len(), 70_001 - 273 * 256);
    }

    #[test]
    fn an_edge_that_is_damaged_is_noticed() {
        let mut stored = Stored::default();
        let mut tiles = Tiles::default();
        leaves(300).iter().for_each(|leaf| tiles.push(*leaf));
        stored.put(tiles.changed());
        assert!(Tiles::new(300, Vec::new()).is_none());
        let mut edge = stored.edge(300);
        edge[0].hashes.pop();
        assert!(Tiles::new(300, edge).is_none());
    }
}
