//! Sets of rows.

use std::sync::Arc;

/// Bits in a shared piece: 4 KiB.
const PIECE_WORDS: usize = 512;
const PIECE_BITS: usize = PIECE_WORDS * 64;

/// The deleted rows of a segment. A copy shares its pieces with the original until one of them changes, so that a view of
/// the index can be kept while another row is deleted from ten million.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tombstones {
    pieces: Vec<Option<Arc<[u64; PIECE_WORDS]>>>,
    count: usize,
}

impl Tombstones {
    /// Rows in the set.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    pub(crate) fn contains(&self, row: usize) -> bool {
        let piece = self.pieces.get(row / PIECE_BITS).and_then(Option::as_ref);
        piece.is_some_and(|piece| piece.get(row % PIECE_BITS / 64).is_some_and(|word| word >> (row % 64) & 1 == 1))
    }

    /// Adds a row; `false` if it was there.
    pub(crate) fn insert(&mut self, row: usize) -> bool {
        let at = row / PIECE_BITS;
        if at >= self.pieces.len() {
            self.pieces.resize(at + 1, None);
        }
        let Some(place) = self.pieces.get_mut(at) else { return false };
        let piece = Arc::make_mut(place.get_or_insert_with(|| Arc::new([0; PIECE_WORDS])));
        let Some(word) = piece.get_mut(row % PIECE_BITS / 64) else { return false };
        let bit = 1 << (row % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        self.count += usize::from(is_new);
        is_new
    }

    /// The rows, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.pieces.iter().enumerate().flat_map(|(at, piece)| {
            let words = piece.iter().flat_map(|piece| piece.iter().enumerate());
            words.flat_map(move |(word, bits)| ones(*bits).map(move |bit| at * PIECE_BITS + word * 64 + bit))
        })
    }
}

/// The places of the ones in a word, ascending.
pub(crate) fn ones(word: u64) -> impl Iterator<Item = usize> {
    let mut rest = word;
    std::iter::from_fn(move || {
        if rest == 0 {
            return None;
        }
        let bit = rest.trailing_zeros();
        rest &= rest - 1;
        Some(bit as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_keeps_what_it_had() {
        let mut set = Tombstones::default();
        assert!(set.insert(5) && set.insert(70_000) && !set.insert(5));
        let copy = set.clone();
        assert!(set.insert(6));
        assert_eq!((set.count(), copy.count()), (3, 2));
        assert!(!copy.contains(6) && copy.contains(70_000) && !copy.contains(1_000_000));
        assert_eq!(set.iter().collect::<Vec<_>>(), [5, 6, 70_000]);
    }
}
