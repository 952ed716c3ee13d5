//! Words that a collection's passages have: those that begin like a word, and those that differ from it by a letter or two.
//! Both look at forms, as the words stand in the texts, in lower case and without accents.

use std::{collections::HashMap, sync::LazyLock};

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use plasma_kernel::CollectionId;
use tantivy::Searcher;
use tantivy_fst::Automaton;

use super::{text::Fields, words};

/// Forms that a search looks at in each part of each segment, before the most frequent ones are chosen.
const FORMS_SEEN_MAX: usize = 2_000;

/// A form near to a mistyped word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NearForm {
    pub(crate) form: String,
    /// Letters that were added, left out, replaced or swapped with their neighbor.
    pub(crate) distance: u8,
}

/// Passages in which a form stands, as far as it was counted: the order of what is proposed, and nothing more.
type Frequencies = HashMap<String, u64>;

/// The forms of a collection that begin with `prefix`: at most `limit`, those in the most passages.
pub(super) fn beginning_with(
    searcher: &Searcher,
    fields: &Fields,
    collection: CollectionId,
    prefix: &str,
    limit: usize,
) -> tantivy::Result<Vec<String>> {
    let start = words::form_prefix(collection);
    let from = words::form_entry(collection, prefix);
    let mut found = Frequencies::new();
    for segment in searcher.segment_readers() {
        for part in &fields.parts {
            let index = segment.inverted_index(part.forms)?;
            let mut stream = index.terms().range().ge(&from).into_stream()?;
            let mut seen = 0;
            while seen < FORMS_SEEN_MAX && stream.advance() && stream.key().starts_with(from.as_bytes()) {
                note(&mut found, &start, stream.key(), stream.value().doc_freq);
                seen += 1;
            }
        }
    }
    let mut found: Vec<(String, u64)> = found.into_iter().collect();
    found.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    found.truncate(limit);
    Ok(found.into_iter().map(|(form, _)| form).collect())
}

/// The forms of a collection that are nearest to `word`, at most `distance_max` (1 or 2) letters away and `limit` of them:
/// all have the same distance, and those in the most passages come first. `word` itself is not among them.
pub(super) fn near(
    searcher: &Searcher,
    fields: &Fields,
    collection: CollectionId,
    word: &str,
    distance_max: u8,
    limit: usize,
) -> tantivy::Result<Vec<NearForm>> {
    let start = words::form_prefix(collection);
    let Some(end) = after(&start) else { return Ok(Vec::new()) };
    let builder = if distance_max > 1 { &TWO } else { &ONE };
    let dfa = builder.build_dfa(word);
    let mut found = Frequencies::new();
    for segment in searcher.segment_readers() {
        for part in &fields.parts {
            let index = segment.inverted_index(part.forms)?;
            let automaton = Prefixed { prefix: start.len(), dfa: &dfa };
            let mut stream = index.terms().search(automaton).ge(&start).lt(&end).into_stream()?;
            let mut seen = 0;
            while seen < FORMS_SEEN_MAX && stream.advance() {
                note(&mut found, &start, stream.key(), stream.value().doc_freq);
                seen += 1;
            }
        }
    }
    found.remove(word);
    let mut near: Vec<(u8, u64, String)> = found
        .into_iter()
        .filter_map(|(form, frequency)| match dfa.eval(&form) {
            Distance::Exact(distance) => Some((distance, frequency, form)),
            Distance::AtLeast(_) => None,
        })
        .collect();
    near.sort_by(|left, right| left.0.cmp(&right.0).then(right.1.cmp(&left.1)).then_with(|| left.2.cmp(&right.2)));
    let nearest = near.first().map_or(0, |(distance, _, _)| *distance);
    let near = near.into_iter().take_while(|(distance, _, _)| *distance == nearest).take(limit);
    Ok(near.map(|(distance, _, form)| NearForm { form, distance }).collect())
}

/// Counts an entry of the term dictionary.
fn note(found: &mut Frequencies, start: &str, entry: &[u8], frequency: u32) {
    let form = entry.strip_prefix(start.as_bytes()).and_then(|form| std::str::from_utf8(form).ok());
    if let Some(form) = form.filter(|form| !form.is_empty()) {
        let known = found.entry(form.to_owned()).or_default();
        *known += u64::from(frequency);
    }
}

/// The first text after all that begin with `start`: with its last letter, which is an ASCII sign, one further.
fn after(start: &str) -> Option<Vec<u8>> {
    let mut end = start.as_bytes().to_vec();
    let last = end.last_mut()?;
    *last = last.checked_add(1)?;
    Some(end)
}

/// Building one takes some milliseconds.
static ONE: LazyLock<LevenshteinAutomatonBuilder> = LazyLock::new(|| LevenshteinAutomatonBuilder::new(1, true));
static TWO: LazyLock<LevenshteinAutomatonBuilder> = LazyLock::new(|| LevenshteinAutomatonBuilder::new(2, true));

/// Lets the first `prefix` bytes pass, which the range of the stream fixes, and compares what follows.
struct Prefixed<'a> {
    prefix: usize,
    dfa: &'a DFA,
}

#[derive(Clone, Copy)]
enum Place {
    /// Bytes of the prefix that have passed.
    Prefix(usize),
    Word(u32),
}

impl Automaton for Prefixed<'_> {
    type State = Place;

    fn start(&self) -> Place {
        if self.prefix == 0 { Place::Word(self.dfa.initial_state()) } else { Place::Prefix(0) }
    }

    fn is_match(&self, state: &Place) -> bool {
        match state {
            Place::Prefix(_) => false,
            Place::Word(state) => matches!(self.dfa.distance(*state), Distance::Exact(_)),
        }
    }

    fn can_match(&self, state: &Place) -> bool {
        !matches!(state, Place::Word(SINK_STATE))
    }

    fn accept(&self, state: &Place, byte: u8) -> Place {
        match state {
            Place::Prefix(passed) if passed + 1 < self.prefix => Place::Prefix(passed + 1),
            Place::Prefix(_) => Place::Word(self.dfa.initial_state()),
            Place::Word(state) => Place::Word(self.dfa.transition(*state, byte)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(automaton: &Prefixed<'_>, text: &str) -> bool {
        let mut state = automaton.start();
        for byte in text.bytes() {
            if !automaton.can_match(&state) {
                return false;
            }
            state = automaton.accept(&state, byte);
        }
        automaton.is_match(&state)
    }

    #[test]
    fn only_what_follows_the_prefix_may_differ() {
        let dfa = ONE.build_dfa("budget");
        let automaton = Prefixed { prefix: 4, dfa: &dfa };
        for (text, expected) in [
            ("col:budget", true),
            ("col:buget", true),
            ("col:bugdet", true),
            ("col:bügdet", false),
            ("col:büdget", true),
            ("col:budgets", true),
            ("col:bugets", false),
            ("col:", false),
            ("col", false),
        ] {
            assert_eq!(accepts(&automaton, text), expected, "{text}");
        }
    }

    #[test]
    fn a_range_ends_after_its_prefix() {
        assert_eq!(after("col_1:"), Some(b"col_1;".to_vec()));
        assert_eq!(after(""), None);
    }
}
