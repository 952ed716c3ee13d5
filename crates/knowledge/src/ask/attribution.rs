//! Which sentence of which passage supports a statement.
//!
//! A small model's own marks are a hint, never the proof. The measure is the share of a statement's content words that a
//! source sentence holds, compared by their stems. Numbers and names weigh twice. Then three rules:
//!
//! - Every number of the statement must stand in the cited sentences, and every name at least in their passages.
//! - Together the cited sentences must cover [`COVERAGE_MIN`] of the statement, or [`COVERAGE_MIN_MARKED`] where the model
//!   itself marked the passage: two weak signs that agree.
//! - A further passage is cited when it adds [`COVERAGE_ADDED_MIN`] of the statement, or is marked and holds
//!   [`COVERAGE_MARKED_EXTRA`] of it.
//!
//! A statement that passes none of this has no citation, whatever the model marked. What the measure cannot see: a negation,
//! and a paraphrase that shares no word with its source.

use std::{collections::HashSet, ops::Range};

use super::{
    marks::without_marks,
    sentences::{Sentence, sentences},
    types::AskPassage,
    words::{Word, WordKind, Words},
};

/// The share of a statement that its sources must cover.
const COVERAGE_MIN: f64 = 0.6;
/// The same where the model marked one of them.
const COVERAGE_MIN_MARKED: f64 = 0.45;
/// What a second source must add.
const COVERAGE_ADDED_MIN: f64 = 0.2;
/// What a second source that the model marked must hold.
const COVERAGE_MARKED_EXTRA: f64 = 0.4;
/// Two neighboring sentences are cited together only when the second adds more than this.
const PAIR_COST: f64 = 0.1;
/// A word that only the passage's title or heading holds counts half, and so does a name from elsewhere in the passage.
const CONTEXT_SHARE: f64 = 0.5;
/// Between equally good sentences, each shared word with the question tips the scale by this.
const QUESTION_TIP: f64 = 0.005;

/// A place in a passage that supports a statement. Offsets are code points into the passage's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Support {
    /// The passage's number, from 1.
    pub(super) number: usize,
    pub(super) range: Range<usize>,
}

/// The passages of one prompt, ready for comparison.
pub(super) struct Attribution {
    words: Words,
    sources: Vec<Source>,
    question: HashSet<String>,
}

struct Source {
    number: usize,
    sentences: Vec<SourceSentence>,
    /// Words of the title and heading.
    labels: HashSet<String>,
    /// Words of the whole passage.
    all: HashSet<String>,
}

struct SourceSentence {
    /// Code points.
    range: Range<usize>,
    words: HashSet<String>,
}

/// The best place of one passage for one statement.
struct Candidate<'a> {
    source: &'a Source,
    range: Range<usize>,
    /// For each word of the statement, how much of it is covered: 0 to 1.
    covered: Vec<f64>,
    /// For each word of the statement, whether the cited sentences themselves hold it.
    held: Vec<bool>,
    score: f64,
    marked: bool,
}

impl Attribution {
    /// `question` is what the answer is about: it decides between places that are equally good.
    pub(super) fn new(passages: &[AskPassage], question: &str) -> Self {
        let mut words = Words::new();
        let sources = passages.iter().map(|passage| source(&mut words, passage)).collect();
        let question = words.of(question).into_iter().map(|word| word.stem).collect();
        Self { words, sources, question }
    }

    /// The places that support `statement`, best first; empty when none do. `marks` are the numbers that the model wrote.
    pub(super) fn supports(&mut self, statement: &str, marks: &[usize]) -> Vec<Support> {
        let words = self.distinct_words(statement);
        if words.is_empty() {
            return Vec::new();
        }
        let total: f64 = words.iter().map(weight).sum();
        let mut candidates: Vec<Candidate<'_>> = self
            .sources
            .iter()
            .filter_map(|source| best_place(source, &words, total, &self.question, marks.contains(&source.number)))
            .collect();
        // Marked passages first among equals; the sort is stable, so then the lower number.
        candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.marked.cmp(&a.marked)));
        let chosen = choose(candidates, &words, total);
        let enough_words = words.len() > 1
            || chosen.iter().any(|candidate| candidate.marked || is_telling(candidate, &words, &self.question));
        if !enough_words || !proves(&chosen, &words, total) {
            return Vec::new();
        }
        chosen
            .iter()
            .map(|candidate| Support { number: candidate.source.number, range: candidate.range.clone() })
            .collect()
    }

    fn distinct_words(&mut self, statement: &str) -> Vec<Word> {
        let mut seen = HashSet::new();
        self.words.of(&without_marks(statement)).into_iter().filter(|word| seen.insert(word.stem.clone())).collect()
    }
}

fn weight(word: &Word) -> f64 {
    if word.kind == WordKind::Plain { 1.0 } else { 2.0 }
}

fn source(words: &mut Words, passage: &AskPassage) -> Source {
    let text = passage.text.as_str();
    let mut stems = |text: &str| words.of(text).into_iter().map(|word| word.stem).collect::<HashSet<_>>();
    let mut labels = stems(&passage.title);
    labels.extend(stems(passage.heading.as_deref().unwrap_or_default()));
    let sentences: Vec<SourceSentence> = sentences(text)
        .into_iter()
        .map(|Sentence { range, .. }| SourceSentence {
            words: stems(text.get(range.clone()).unwrap_or_default()),
            range: code_points(text, range),
        })
        .collect();
    let all = labels.iter().cloned().chain(stems(text)).collect();
    Source { number: passage.number, sentences, labels, all }
}

/// Byte offsets as code points.
pub(super) fn code_points(text: &str, range: Range<usize>) -> Range<usize> {
    let start = text.get(..range.start).unwrap_or_default().chars().count();
    start..start + text.get(range).unwrap_or_default().chars().count()
}

/// The sentence of `source`, or the pair of neighbors, that covers most of the statement.
fn best_place<'a>(
    source: &'a Source,
    words: &[Word],
    total: f64,
    question: &HashSet<String>,
    marked: bool,
) -> Option<Candidate<'a>> {
    let mut best: Option<(f64, Candidate<'a>)> = None;
    for (index, sentence) in source.sentences.iter().enumerate() {
        for next in [None, source.sentences.get(index + 1)] {
            let holds =
                |stem: &String| sentence.words.contains(stem) || next.is_some_and(|next| next.words.contains(stem));
            let held: Vec<bool> = words.iter().map(|word| holds(&word.stem)).collect();
            let covered: Vec<f64> = words
                .iter()
                .zip(&held)
                .map(|(word, held)| match held {
                    true => 1.0,
                    false if source.labels.contains(&word.stem) => CONTEXT_SHARE,
                    false if word.kind == WordKind::Name && source.all.contains(&word.stem) => CONTEXT_SHARE,
                    false => 0.0,
                })
                .collect();
            if !held.iter().any(|held| *held) {
                continue;
            }
            let score = share(&covered, words, total) - if next.is_some() { PAIR_COST } else { 0.0 };
            let tip = question.iter().filter(|stem| holds(stem)).count() as f64 * QUESTION_TIP;
            if best.as_ref().is_none_or(|(rank, _)| score + tip > *rank + f64::EPSILON) {
                let range = sentence.range.start..next.map_or(sentence.range.end, |next| next.range.end);
                best = Some((score + tip, Candidate { source, range, covered, held, score, marked }));
            }
        }
    }
    best.map(|(_, candidate)| candidate)
}

fn share(covered: &[f64], words: &[Word], total: f64) -> f64 {
    covered.iter().zip(words).map(|(covered, word)| covered * weight(word)).sum::<f64>() / total
}

fn union(chosen: &[Candidate<'_>], also: Option<&Candidate<'_>>, words: &[Word]) -> Vec<f64> {
    (0..words.len())
        .map(|index| {
            let of = |candidate: &Candidate<'_>| candidate.covered.get(index).copied().unwrap_or(0.0);
            chosen.iter().chain(also).map(of).fold(0.0, f64::max)
        })
        .collect()
}

/// The best candidate, and each further one that adds enough.
fn choose<'a>(candidates: Vec<Candidate<'a>>, words: &[Word], total: f64) -> Vec<Candidate<'a>> {
    let mut chosen: Vec<Candidate<'a>> = Vec::new();
    for candidate in candidates {
        let before = share(&union(&chosen, None, words), words, total);
        let added = share(&union(&chosen, Some(&candidate), words), words, total) - before;
        let marked = candidate.marked && candidate.score >= COVERAGE_MARKED_EXTRA;
        if chosen.is_empty() || added >= COVERAGE_ADDED_MIN || marked {
            chosen.push(candidate);
        }
    }
    chosen
}

/// Whether the chosen places together pass the rules.
fn proves(chosen: &[Candidate<'_>], words: &[Word], total: f64) -> bool {
    let coverage = share(&union(chosen, None, words), words, total);
    let needed = if chosen.iter().any(|candidate| candidate.marked) { COVERAGE_MIN_MARKED } else { COVERAGE_MIN };
    coverage >= needed
        && words.iter().enumerate().all(|(index, word)| match word.kind {
            WordKind::Plain => true,
            WordKind::Number => chosen.iter().any(|candidate| candidate.held.get(index) == Some(&true)),
            WordKind::Name => chosen.iter().any(|candidate| candidate.source.all.contains(&word.stem)),
        })
}

/// A statement of one word, such as `SQLite.` or `Paris.`, proves its source only as a name or number, or beside words of the
/// question.
fn is_telling(candidate: &Candidate<'_>, words: &[Word], question: &HashSet<String>) -> bool {
    words.iter().any(|word| word.kind != WordKind::Plain)
        || candidate.source.sentences.iter().any(|sentence| {
            sentence.range == candidate.range && sentence.words.iter().any(|stem| question.contains(stem))
        })
}
