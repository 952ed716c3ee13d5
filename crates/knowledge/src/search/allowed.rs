//! Sets of a view's documents, as bits at their places.

use std::sync::{Arc, OnceLock};

use plasma_vectors::AllowSet;

/// A set of places below a fixed number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bitmap {
    words: Vec<u64>,
    places: usize,
}

const BITS: usize = u64::BITS as usize;

impl Bitmap {
    /// The empty set of places below `places`.
    pub(crate) fn empty(places: usize) -> Self {
        Self { words: vec![0; places.div_ceil(BITS)], places }
    }

    /// All places below `places`.
    pub(crate) fn full(places: usize) -> Self {
        let mut all = Self { words: vec![u64::MAX; places.div_ceil(BITS)], places };
        all.clear_rest();
        all
    }

    /// No bit is set beyond the last place: counting and complements rely on it.
    fn clear_rest(&mut self) {
        let used = self.places % BITS;
        if used > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << used) - 1;
        }
    }

    /// Adds a place; one beyond the last is left out.
    pub(crate) fn insert(&mut self, place: usize) {
        if place < self.places
            && let Some(word) = self.words.get_mut(place / BITS)
        {
            *word |= 1 << (place % BITS);
        }
    }

    pub(crate) fn contains(&self, place: usize) -> bool {
        self.words.get(place / BITS).is_some_and(|word| (word >> (place % BITS)) & 1 == 1)
    }

    /// How many places are in the set.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Keeps what is in both. Both are over the same view.
    pub(crate) fn intersect(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Takes up what is in the other. Both are over the same view.
    pub(crate) fn unite(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Takes what was out, and leaves what was in.
    pub(crate) fn invert(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        self.clear_rest();
    }

    /// Whether both have a place in common.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(word, other)| word & other != 0)
    }

    /// The places, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.words.iter().enumerate().flat_map(|(index, word)| Ones { word: *word, first: index * BITS })
    }
}

/// The bits of one word.
struct Ones {
    word: u64,
    first: usize,
}

impl Iterator for Ones {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        if self.word == 0 {
            return None;
        }
        let bit = self.word.trailing_zeros() as usize;
        self.word &= self.word - 1;
        Some(self.first + bit)
    }
}

/// The documents of one view that a search may show: those that its filter lets through, and that whoever searches may see.
/// It never changes, so that what is derived from it is remembered with it.
#[derive(Debug)]
pub(crate) struct Allowed {
    places: Bitmap,
    is_empty: bool,
    passages: u64,
    /// The same as slots of the view's vectors.
    vectors: OnceLock<AllowSet>,
}

/// Whether the document whose id ends in these 64 bits may be shown: as the text index asks.
pub(crate) type AllowedLows = Arc<dyn Fn(u64) -> bool + Send + Sync>;

impl Allowed {
    /// The set, and the passages that its documents have together.
    pub(crate) fn new(places: Bitmap, passages_of: impl Fn(usize) -> u64) -> Self {
        let passages = places.iter().map(passages_of).sum();
        Self { is_empty: places.is_empty(), passages, places, vectors: OnceLock::new() }
    }

    /// Whether there is no document in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Passages of its documents.
    pub(crate) fn passages(&self) -> u64 {
        self.passages
    }

    /// Whether the document at this place of the view is in it.
    pub(crate) fn contains(&self, place: usize) -> bool {
        self.places.contains(place)
    }

    /// The places in the view, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> {
        self.places.iter()
    }

    /// The same for the vectors of the same view, made once.
    pub(crate) fn vectors(&self, make: impl FnOnce() -> AllowSet) -> &AllowSet {
        self.vectors.get_or_init(make)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn bitmap(places: usize, set: &BTreeSet<usize>) -> Bitmap {
        let mut bitmap = Bitmap::empty(places);
        set.iter().for_each(|place| bitmap.insert(*place));
        bitmap
    }

    proptest! {
        #[test]
        fn a_bitmap_is_a_set(
            places in 0_usize..200,
            left in prop::collection::btree_set(0_usize..200, 0..50),
            right in prop::collection::btree_set(0_usize..200, 0..50),
        ) {
            let inside = |set: BTreeSet<usize>| -> BTreeSet<usize> { set.into_iter().filter(|place| *place < places).collect() };
            let (a, b) = (bitmap(places, &left), bitmap(places, &right));
            let (left, right) = (inside(left), inside(right));
            prop_assert_eq!(a.iter().collect::<BTreeSet<_>>(), left.clone());
            prop_assert_eq!((a.len(), a.is_empty()), (left.len(), left.is_empty()));
            prop_assert_eq!(a.meets(&b), left.intersection(&right).next().is_some());
            let mut both = a.clone();
            both.intersect(&b);
            prop_assert_eq!(both.iter().collect::<Vec<_>>(), left.intersection(&right).copied().collect::<Vec<_>>());
            let mut either = a.clone();
            either.unite(&b);
            prop_assert_eq!(either.iter().collect::<Vec<_>>(), left.union(&right).copied().collect::<Vec<_>>());
            let mut others = a.clone();
            others.invert();
            prop_assert_eq!(others.iter().collect::<Vec<_>>(), (0..places).filter(|place| !left.contains(place)).collect::<Vec<_>>());
            prop_assert!((0..250).all(|place| a.contains(place) == left.contains(&place)));
            prop_assert_eq!(Bitmap::full(places).len(), places);
        }
    }

    #[test]
    fn an_allowed_set_knows_its_passages() {
        let allowed = Allowed::new(bitmap(100, &BTreeSet::from([3, 64, 99])), |place| place as u64);
        assert_eq!((allowed.passages(), allowed.contains(64), allowed.contains(65)), (166, true, false));
        assert_eq!(allowed.iter().collect::<Vec<_>>(), [3, 64, 99]);
        assert!(!allowed.is_empty() && Allowed::new(Bitmap::empty(100), |_| 1).is_empty());
    }
}
