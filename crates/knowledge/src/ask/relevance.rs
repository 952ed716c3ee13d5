//! Whether a passage has anything to do with a question. A small model that is given passages about something else makes
//! an answer up, so it is not asked then.
//!
//! Two measures: how near the meanings are (the cosine of the embeddings, as search found it), and the share of the
//! question's content words that the passage, its title and its heading hold. A passage is relevant
//!
//! - by meaning alone from [`SIMILARITY_ALONE`],
//! - by both from [`SIMILARITY_WITH_WORDS`] and [`WORDS_WITH_SIMILARITY`],
//! - by words alone from [`WORDS_ALONE`] and two words: names and part numbers that an embedding does not know,
//! - beside a better one that is relevant, from [`SIMILARITY_BESIDE`]: it may hold the other part of a question with several.
//!
//! The cosines are those of MiniLM-like models, where unrelated texts lie near 0 and a question and its answer above 0.4.

use std::collections::HashSet;

use super::words::Words;

const SIMILARITY_ALONE: f64 = 0.45;
const SIMILARITY_WITH_WORDS: f64 = 0.25;
const WORDS_WITH_SIMILARITY: f64 = 0.5;
const WORDS_ALONE: f64 = 0.75;
const SIMILARITY_BESIDE: f64 = 0.35;

/// A question, ready to be compared with passages.
pub(super) struct Relevance {
    words: Words,
    question: HashSet<String>,
    /// Whether a passage was relevant already.
    found: bool,
}

impl Relevance {
    pub(super) fn new(question: &str) -> Self {
        let mut words = Words::new();
        let question = words.of(question).into_iter().map(|word| word.stem).collect();
        Self { words, question, found: false }
    }

    /// To be called for the best passage first. `similarity` is `None` when the passage was found by its words only; `texts`
    /// are its title, heading and text.
    pub(super) fn is_relevant<'a>(
        &mut self,
        similarity: Option<f64>,
        texts: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let relevant = self.found && similarity.is_some_and(|similarity| similarity >= SIMILARITY_BESIDE)
            || self.stands_alone(similarity, texts);
        self.found |= relevant;
        relevant
    }

    fn stands_alone<'a>(&mut self, similarity: Option<f64>, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let similarity = similarity.unwrap_or(0.0);
        if similarity >= SIMILARITY_ALONE {
            return true;
        }
        let held: HashSet<String> =
            texts.into_iter().flat_map(|text| self.words.of(text)).map(|word| word.stem).collect();
        let shared = self.question.intersection(&held).count();
        // A question without content words, such as "What is this?", can only be judged by its meaning.
        let share = shared as f64 / self.question.len().max(1) as f64;
        (similarity >= SIMILARITY_WITH_WORDS && share >= WORDS_WITH_SIMILARITY) || (shared >= 2 && share >= WORDS_ALONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relevant(question: &str, similarity: Option<f64>, passage: &str) -> bool {
        Relevance::new(question).is_relevant(similarity, ["Handbook", passage])
    }

    #[test]
    fn meaning_words_or_both_decide() {
        let backup = "Nightly copies are kept for 30 days.";
        assert!(relevant("How long do we store archives?", Some(0.5), backup));
        assert!(relevant("How long are copies kept?", Some(0.3), backup));
        assert!(relevant("Where is part QX-4411?", None, "Part QX-4411 lies on shelf 7."));
        assert!(!relevant("What is the capital of France?", Some(0.1), backup));
        assert!(!relevant("How long is the river Nile?", Some(0.3), backup));
        assert!(!relevant("What is this?", None, backup));
        assert!(!relevant("France?", None, "France and others."));
    }
}
