//! By what records are found: terms, and for each 256 records a Bloom filter of theirs.

use std::collections::BTreeSet;

use serde_json::Value;

/// Bits of a filter: 256 records have about 5,000 terms, with which one in a hundred terms that are not there seems to be.
const FILTER_BITS: u64 = 1 << 16;
const FILTER_BYTES: usize = 1 << 13;
/// Bits that a term sets.
const BITS_OF_TERM: u64 = 4;
/// Words of a record that are searched, and characters of one.
const WORDS_MAX: usize = 128;
const WORD_CHARS_MAX: usize = 64;
/// A word is found by its beginnings of these lengths.
const PREFIX_CHARS_MIN: usize = 3;
const PREFIX_CHARS_MAX: usize = 8;

/// What a term is about; part of its hash.
#[derive(Clone, Copy, Debug)]
pub(crate) enum About {
    Actor = 1,
    Action = 2,
    Subject = 3,
    Address = 4,
    Word = 5,
}

/// The hash of something that a record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Term(u64);

impl Term {
    /// FNV-1a, its bits mixed once more. Whoever makes terms collide only makes their own searches slower.
    pub(crate) fn new(about: About, text: &str) -> Self {
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in [about as u8].into_iter().chain(text.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }

    /// The term by which a word of a query is looked up; `None` when it is too short to have one.
    pub(crate) fn of_query(word: &str) -> Option<Self> {
        let beginning = prefix(word, PREFIX_CHARS_MAX);
        (beginning.chars().count() >= PREFIX_CHARS_MIN).then(|| Self::new(About::Word, beginning))
    }

    fn bits(self) -> impl Iterator<Item = u64> {
        let (start, step) = (self.0 & 0xffff_ffff, (self.0 >> 32) | 1);
        (0..BITS_OF_TERM).map(move |number| start.wrapping_add(step.wrapping_mul(number)) % FILTER_BITS)
    }
}

/// Adds the terms by which `word` is found: its beginnings.
pub(crate) fn terms_of_word(word: &str, terms: &mut BTreeSet<Term>) {
    let length = word.chars().count().min(PREFIX_CHARS_MAX);
    terms.extend((PREFIX_CHARS_MIN..=length).map(|chars| Term::new(About::Word, prefix(word, chars))));
}

fn prefix(word: &str, chars: usize) -> &str {
    match word.char_indices().nth(chars) {
        Some((end, _)) => word.get(..end).unwrap_or(word),
        None => word,
    }
}

/// The words of a text: letters and digits in a row, in lower case.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(WORD_CHARS_MAX).flat_map(char::to_lowercase).collect())
}

/// Adds the words of every text in `value`, until there are as many as are kept.
pub(crate) fn collect_words(value: &Value, words: &mut BTreeSet<String>) {
    if words.len() >= WORDS_MAX {
        return;
    }
    match value {
        Value::String(text) => words.extend(words_of(text).take(WORDS_MAX - words.len())),
        Value::Array(elements) => elements.iter().for_each(|element| collect_words(element, words)),
        Value::Object(fields) => fields.values().for_each(|field| collect_words(field, words)),
        _ => {}
    }
}

/// A Bloom filter of terms.
#[derive(Clone, Debug)]
pub(crate) struct Filter(Vec<u8>);

impl Filter {
    pub(crate) fn new() -> Self {
        Self(vec![0; FILTER_BYTES])
    }

    pub(crate) fn from_bytes(mut bytes: Vec<u8>) -> Self {
        bytes.resize(FILTER_BYTES, 0);
        Self(bytes)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn insert(&mut self, term: Term) {
        for bit in term.bits() {
            if let Some(byte) = self.0.get_mut(place(bit)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// False means that no record has the term; true that one may.
    pub(crate) fn may_have(&self, term: Term) -> bool {
        term.bits().all(|bit| self.0.get(place(bit)).is_some_and(|byte| (byte >> (bit % 8)) & 1 == 1))
    }
}

fn place(bit: u64) -> usize {
    usize::try_from(bit / 8).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_in_is_found(words in prop::collection::vec("[a-z0-9]{1,12}", 1..200)) {
            let mut filter = Filter::new();
            let mut terms = BTreeSet::new();
            words.iter().for_each(|word| terms_of_word(word, &mut terms));
            terms.iter().for_each(|term| filter.insert(*term));
            let filter = Filter::from_bytes(filter.into_bytes());
            for word in &words {
                for end in 1..=word.len() {
                    prop_assert!(Term::of_query(&word[..end]).is_none_or(|term| filter.may_have(term)));
                }
            }
        }

        #[test]
        fn any_text_has_words(text: String) {
            for word in words_of(&text) {
                prop_assert!(!word.is_empty());
                let _ = Term::of_query(&word);
            }
        }
    }

    #[test]
    fn few_terms_that_are_not_there_seem_to_be() {
        let mut filter = Filter::new();
        for number in 0..5_000 {
            filter.insert(Term::new(About::Word, &format!("in{number}")));
        }
        let wrong =
            (0..10_000).filter(|number| filter.may_have(Term::new(About::Word, &format!("out{number}")))).count();
        assert!(wrong < 200, "{wrong} of 10,000");
    }

    #[test]
    fn words_are_those_of_texts_at_any_depth() {
        let mut words = BTreeSet::new();
        collect_words(&json!({"name": "Ada LOVELACE", "list": ["a-b", {"c": "straße"}], "number": 5}), &mut words);
        assert_eq!(words.into_iter().collect::<Vec<_>>(), ["a", "ada", "b", "lovelace", "straße"]);
    }
}
