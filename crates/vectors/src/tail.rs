//! The vectors that are not in a segment yet.

use std::sync::Arc;

use crate::bits::ones;

/// Rows that are copied when one is added while a view holds them.
const CHUNK: usize = 64;

#[derive(Clone, Debug, Default)]
struct Chunk {
    keys: Vec<u128>,
    vectors: Vec<f32>,
    /// A bit for each deleted row.
    deleted: u64,
}

/// Rows in memory. A copy shares all but the last few with the original.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tail {
    chunks: Vec<Arc<Chunk>>,
    rows: usize,
    deleted: usize,
}

impl Tail {
    /// Deleted ones included.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn deleted(&self) -> usize {
        self.deleted
    }

    /// Returns the row.
    pub(crate) fn push(&mut self, key: u128, vector: &[f32]) -> usize {
        if self.rows.is_multiple_of(CHUNK) {
            self.chunks.push(Arc::default());
        }
        if let Some(chunk) = self.chunks.last_mut() {
            let chunk = Arc::make_mut(chunk);
            chunk.keys.push(key);
            chunk.vectors.extend_from_slice(vector);
        }
        self.rows += 1;
        self.rows - 1
    }

    /// `false` if it was deleted before.
    pub(crate) fn delete(&mut self, row: usize) -> bool {
        if self.is_deleted(row) {
            return false;
        }
        if let Some(chunk) = self.chunks.get_mut(row / CHUNK) {
            Arc::make_mut(chunk).deleted |= 1 << (row % CHUNK);
            self.deleted += 1;
        }
        true
    }

    pub(crate) fn is_deleted(&self, row: usize) -> bool {
        self.chunks.get(row / CHUNK).is_none_or(|chunk| chunk.deleted >> (row % CHUNK) & 1 == 1)
    }

    pub(crate) fn get(&self, row: usize) -> Option<(u128, &[f32])> {
        let chunk = self.chunks.get(row / CHUNK)?;
        let dimensions = chunk.vectors.len() / chunk.keys.len().max(1);
        let at = row % CHUNK;
        Some((*chunk.keys.get(at)?, chunk.vectors.get(at * dimensions..(at + 1) * dimensions)?))
    }

    /// Row, key and vector of each that is not deleted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, u128, &[f32])> {
        self.chunks.iter().enumerate().flat_map(|(at, chunk)| {
            let dimensions = chunk.vectors.len() / chunk.keys.len().max(1);
            let all = u64::MAX >> (CHUNK - chunk.keys.len().clamp(1, CHUNK));
            ones(all & !chunk.deleted).filter_map(move |bit| {
                let vector = chunk.vectors.get(bit * dimensions..(bit + 1) * dimensions)?;
                Some((at * CHUNK + bit, *chunk.keys.get(bit)?, vector))
            })
        })
    }

    /// Keys of all rows, deleted ones included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = u128> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.keys.iter().copied())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| 16 * chunk.keys.capacity() + 4 * chunk.vectors.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_keeps_what_it_saw() {
        let mut tail = Tail::default();
        for key in 0..100 {
            assert_eq!(tail.push(key, &[key as f32, 1.0]), key as usize);
        }
        let view = tail.clone();
        assert!(tail.delete(64) && !tail.delete(64));
        tail.push(100, &[7.0, 7.0]);
        assert_eq!(view.iter().count(), 100);
        assert_eq!(tail.iter().count(), 100);
        assert_eq!(tail.iter().last(), Some((100, 100, &[7.0, 7.0][..])));
        assert_eq!((tail.rows(), tail.deleted(), view.deleted()), (101, 1, 0));
        assert!(tail.is_deleted(64) && tail.is_deleted(1_000) && !view.is_deleted(64));
    }
}
