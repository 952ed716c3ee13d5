//! A sorted list of which a changed copy shares almost everything with the original.

use std::{collections::BTreeMap, sync::Arc};

/// Entries of a block at most: what is copied when one of them changes.
const BLOCK: usize = 1_024;

/// What a list is sorted by: unique in it.
pub(crate) trait Keyed {
    fn key(&self) -> u128;
}

impl Keyed for u128 {
    fn key(&self) -> u128 {
        *self
    }
}

/// A sorted list in blocks.
#[derive(Clone, Debug)]
pub(crate) struct Blocks<T> {
    /// None is empty.
    blocks: Vec<Arc<[T]>>,
    /// The place of each block's first entry.
    starts: Vec<usize>,
    len: usize,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), starts: Vec::new(), len: 0 }
    }
}

impl<T> Blocks<T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The entry at a place, from 0.
    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        let block = self.starts.partition_point(|start| *start <= place).checked_sub(1)?;
        self.blocks.get(block)?.get(place - self.starts.get(block)?)
    }

    /// All entries, by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    fn push(&mut self, block: Arc<[T]>) {
        if !block.is_empty() {
            self.starts.push(self.len);
            self.len += block.len();
            self.blocks.push(block);
        }
    }
}

impl<T: Keyed + Clone> Blocks<T> {
    /// A list of these, in whatever order they come.
    pub(crate) fn new(mut entries: Vec<T>) -> Self {
        entries.sort_unstable_by_key(Keyed::key);
        let mut blocks = Self::default();
        for block in entries.chunks(BLOCK) {
            blocks.push(Arc::from(block));
        }
        blocks
    }

    /// The place of the first entry whose key is not below `key`.
    fn first_place_from(&self, key: u128) -> usize {
        let at = self.blocks.partition_point(|block| block.last().is_some_and(|last| last.key() < key));
        match (self.starts.get(at), self.blocks.get(at)) {
            (Some(start), Some(block)) => start + block.partition_point(|entry| entry.key() < key),
            _ => self.len,
        }
    }

    /// The first entry whose key is not below `key`.
    pub(crate) fn first_from(&self, key: u128) -> Option<&T> {
        self.get(self.first_place_from(key))
    }

    /// Where the entry with this key stands.
    pub(crate) fn place(&self, key: u128) -> Option<usize> {
        let place = self.first_place_from(key);
        self.get(place).filter(|entry| entry.key() == key).map(|_| place)
    }

    /// The same list with, for each key, another entry or (`None`) none.
    pub(crate) fn changed(&self, changes: &BTreeMap<u128, Option<T>>) -> Self {
        let mut changed = Self::default();
        let mut rest = changes.iter().peekable();
        let last = self.blocks.len().saturating_sub(1);
        for (at, block) in self.blocks.iter().enumerate() {
            let end = block.last().map(Keyed::key);
            let mut due = BTreeMap::new();
            // The last block takes what lies beyond it.
            while let Some((key, change)) = rest.next_if(|(key, _)| at == last || end.is_some_and(|end| **key <= end)) {
                due.insert(*key, change);
            }
            if due.is_empty() {
                changed.push(Arc::clone(block));
            } else {
                let kept = block.iter().filter(|entry| !due.contains_key(&entry.key())).cloned();
                let added = due.values().filter_map(|change| (*change).clone());
                changed.append(kept.chain(added).collect());
            }
        }
        let added: Vec<T> = rest.filter_map(|(_, change)| change.clone()).collect();
        changed.append(added);
        changed
    }

    /// Adds entries that lie beyond all others. Small blocks melt together.
    fn append(&mut self, mut entries: Vec<T>) {
        if self.blocks.last().is_some_and(|last| last.len() + entries.len() <= BLOCK)
            && let Some(last) = self.blocks.pop()
        {
            self.starts.pop();
            self.len -= last.len();
            entries.extend(last.iter().cloned());
        }
        entries.sort_unstable_by_key(Keyed::key);
        // Blocks of about one size, so that the next entries find room.
        let size = entries.len().div_ceil(entries.len().div_ceil(BLOCK).max(1)).max(1);
        for block in entries.chunks(size) {
            self.push(Arc::from(block));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Entry(u128, u32);

    impl Keyed for Entry {
        fn key(&self) -> u128 {
            self.0
        }
    }

    fn check(blocks: &Blocks<Entry>, model: &BTreeMap<u128, u32>) {
        assert_eq!(blocks.len(), model.len());
        assert!(blocks.iter().map(|entry| (entry.0, entry.1)).eq(model.iter().map(|(key, value)| (*key, *value))));
        assert!(blocks.blocks.iter().all(|block| (1..=BLOCK).contains(&block.len())));
        for (place, (key, value)) in model.iter().enumerate() {
            assert_eq!(blocks.get(place), Some(&Entry(*key, *value)));
            assert_eq!(blocks.place(*key), Some(place));
            assert_eq!(blocks.first_from(*key), Some(&Entry(*key, *value)));
        }
        assert_eq!(blocks.get(model.len()), None);
        assert_eq!(blocks.place(u128::MAX), None);
    }

    #[test]
    fn a_long_list_changes_in_the_middle() {
        let mut model: BTreeMap<u128, u32> = (0..5_000).map(|key| (key * 3, 0)).collect();
        let mut blocks = Blocks::new(model.iter().map(|(key, value)| Entry(*key, *value)).collect());
        check(&blocks, &model);
        for round in 1..40_u32 {
            let mut changes = BTreeMap::new();
            for step in 0..100_u128 {
                let key = (u128::from(round) * 7_919 + step * 13) % 16_000;
                changes.insert(key, (step % 3 > 0).then_some(Entry(key, round)));
            }
            let before = blocks.clone();
            blocks = blocks.changed(&changes);
            for (key, change) in changes {
                match change {
                    Some(entry) => model.insert(key, entry.1),
                    None => model.remove(&key),
                };
            }
            check(&blocks, &model);
            assert!(before.iter().is_sorted_by_key(|entry| entry.0));
        }
    }

    fn rounds() -> impl Strategy<Value = Vec<BTreeMap<u128, Option<u32>>>> {
        prop::collection::vec(prop::collection::btree_map(0_u128..60, prop::option::of(0_u32..9), 0..20), 0..12)
    }

    proptest! {
        #[test]
        fn a_list_is_what_a_map_would_be(rounds in rounds()) {
            let mut model = BTreeMap::new();
            let mut blocks = Blocks::default();
            for round in rounds {
                let changes: BTreeMap<u128, Option<Entry>> =
                    round.iter().map(|(key, value)| (*key, value.map(|value| Entry(*key, value)))).collect();
                blocks = blocks.changed(&changes);
                for (key, value) in round {
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                check(&blocks, &model);
            }
        }
    }
}
