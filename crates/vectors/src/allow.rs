//! Which vectors a search may find.

use crate::view::View;

/// A set of slots of a view: what a filter or a permission leaves. It fits all views of the same [`View::layout`]; vectors that
/// were inserted after it was made are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowSet {
    pub(crate) layout: u64,
    words: Vec<u64>,
}

impl AllowSet {
    /// Nothing is allowed yet.
    pub fn none(view: &View) -> Self {
        Self { layout: view.layout(), words: vec![0; view.slots().div_ceil(64)] }
    }

    /// Only these keys; those that the view does not have are left out.
    pub fn from_keys(view: &View, keys: impl IntoIterator<Item = u128>) -> Self {
        let mut set = Self::none(view);
        let tail = view.slots_in_tail();
        for key in keys {
            if let Some(slot) = tail.get(&key).copied().or_else(|| view.slot_in_segments(key)) {
                set.insert(slot);
            }
        }
        set
    }

    /// Allows a slot. One that the view does not have is left out.
    pub fn insert(&mut self, slot: u32) {
        if let Some(word) = self.words.get_mut(slot as usize / 64) {
            *word |= 1 << (slot % 64);
        }
    }

    /// Allows 64 slots from `first_slot` on, which is a multiple of 64, by the bits of `word`.
    pub fn insert_word(&mut self, first_slot: u32, word: u64) {
        if let Some(target) = self.words.get_mut(first_slot as usize / 64) {
            *target |= word;
        }
    }

    /// Whether a slot is allowed.
    #[inline]
    pub fn contains(&self, slot: u32) -> bool {
        self.words.get(slot as usize / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1)
    }

    /// Slots that are allowed, deleted vectors included.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The allowed slots, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words
            .iter()
            .zip(0_u32..)
            .flat_map(|(word, at)| crate::bits::ones(*word).map(move |bit| at * 64 + bit as u32))
    }

    /// The bits of the sixteen slots from `slot` on.
    #[inline]
    pub(crate) fn sixteen(&self, slot: u32) -> u16 {
        let at = slot as usize / 64;
        let shift = slot % 64;
        let word = self.words.get(at).copied().unwrap_or_default() >> shift;
        let next = if shift > 48 { self.words.get(at + 1).copied().unwrap_or_default() << (64 - shift) } else { 0 };
        (word | next) as u16
    }
}
