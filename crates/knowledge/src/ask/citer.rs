//! Follows an answer as it is written, and cites each sentence once it is complete.

use std::collections::HashMap;

use super::{
    attribution::{Attribution, code_points},
    marks::MarkFilter,
    sentences::sentences,
    types::{AskPassage, Citation},
};

/// An answer that grows.
pub(super) struct Citer {
    passages: Vec<AskPassage>,
    attribution: Attribution,
    filter: MarkFilter,
    answer: String,
    /// Sentences that have been looked at.
    settled: usize,
    /// How often each longer sentence was written.
    seen: HashMap<String, usize>,
    citations: Vec<Citation>,
}

/// Shorter sentences are not taken for repetition.
const REPETITION_WORDS_MIN: usize = 5;

/// What a piece of the model's text led to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Grown {
    /// The text to show; empty while a mark is open.
    pub(super) text: String,
    /// Citations of the sentences that it completed.
    pub(super) citations: Vec<Citation>,
}

impl Citer {
    /// For an answer to `question` from `passages`.
    pub(super) fn new(passages: Vec<AskPassage>, question: &str) -> Self {
        Self {
            attribution: Attribution::new(&passages, question),
            filter: MarkFilter::new(passages.len()),
            passages,
            answer: String::new(),
            settled: 0,
            seen: HashMap::new(),
            citations: Vec::new(),
        }
    }

    /// Takes the next piece of what the model wrote.
    pub(super) fn push(&mut self, piece: &str) -> Grown {
        let mut text = self.filter.push(piece);
        if self.answer.is_empty() {
            text = text.trim_start().to_owned();
        }
        self.answer.push_str(&text);
        let citations = if text.is_empty() { Vec::new() } else { self.settle(false) };
        Grown { text, citations }
    }

    /// Takes the end of the answer.
    pub(super) fn finish(&mut self) -> Grown {
        let text = self.filter.finish();
        self.answer.push_str(&text);
        let citations = self.settle(true);
        Grown { text, citations }
    }

    /// Whether a sentence has been written three times: a small model that has lost its way repeats itself until it is
    /// stopped. Sentences of a few words may well return.
    pub(super) fn repeats_itself(&self) -> bool {
        self.seen.values().any(|times| *times > 2)
    }

    /// Gives away the whole text and all citations, at the end.
    pub(super) fn take(&mut self) -> (String, Vec<Citation>) {
        (std::mem::take(&mut self.answer), std::mem::take(&mut self.citations))
    }

    /// Cites the sentences that are complete: all but the last, which may go on, unless the answer has ended.
    fn settle(&mut self, ended: bool) -> Vec<Citation> {
        let all = sentences(&self.answer);
        let complete = if ended { all.len() } else { all.len().saturating_sub(1) };
        let mut new = Vec::new();
        for sentence in all.get(self.settled..complete).unwrap_or_default() {
            let statement = self.answer.get(sentence.range.clone()).unwrap_or_default();
            if statement.split_whitespace().count() >= REPETITION_WORDS_MIN {
                *self.seen.entry(statement.to_owned()).or_default() += 1;
            }
            let place = code_points(&self.answer, sentence.range.clone());
            for support in self.attribution.supports(statement, &sentence.marks) {
                let Some(passage) = self.passages.iter().find(|passage| passage.number == support.number) else {
                    continue;
                };
                new.push(Citation {
                    number: support.number,
                    passage_id: passage.passage_id,
                    document_id: passage.document_id,
                    start: support.range.start,
                    end: support.range.end,
                    answer_start: place.start,
                    answer_end: place.end,
                });
            }
        }
        self.settled = self.settled.max(complete);
        self.citations.extend(new.iter().cloned());
        new
    }
}

#[cfg(test)]
mod tests {
    use plasma_kernel::{ChunkId, CollectionId, KnowledgeDocumentId};

    use super::*;

    fn passages() -> Vec<AskPassage> {
        [
            (
                "Backup handbook",
                Some("Retention"),
                "The archiver runs every night at 02:30. It keeps daily copies for 30 days and monthly copies for two years. \
                 Copies are encrypted with AES-256 before they leave the building.",
            ),
            (
                "Station report 🚀",
                None,
                "The Halley VI research station stands on the Brunt Ice Shelf. 🧊 Its eight modules rest on skis, so that \
                 tractors can tow them inland. In winter the temperature falls to −55 °C, and the sun does not rise for 105 days.",
            ),
            (
                "Restoring",
                None,
                "A restore needs the master key and about 4 GB of free disk space. Without the master key the copies cannot be \
                 read. Run `plasma restore` as the user who owns the data directory.",
            ),
        ]
        .into_iter()
        .zip(1..)
        .map(|((title, heading, text), number)| AskPassage {
            number,
            passage_id: ChunkId::from_bits(number as u128),
            document_id: KnowledgeDocumentId::from_bits(number as u128),
            collection_id: CollectionId::from_bits(1),
            title: title.to_owned(),
            heading: heading.map(str::to_owned),
            text: text.to_owned(),
            start: 0,
            end: text.chars().count() as u32,
            score: 1.0,
        })
        .collect()
    }

    fn slice(text: &str, start: usize, end: usize) -> String {
        text.chars().skip(start).take(end - start).collect()
    }

    /// The answer after filtering, and each citation as (number, statement, support). The pieces must not matter.
    fn cite(question: &str, text: &str) -> (String, Vec<(usize, String, String)>) {
        let passages = passages();
        let run = |size: usize| {
            let mut citer = Citer::new(passages.clone(), question);
            let mut shown = String::new();
            let mut citations = Vec::new();
            let letters: Vec<char> = text.chars().collect();
            for piece in letters.chunks(size) {
                let grown = citer.push(&piece.iter().collect::<String>());
                shown += &grown.text;
                citations.extend(grown.citations);
            }
            let grown = citer.finish();
            shown += &grown.text;
            citations.extend(grown.citations);
            let (answer, all) = citer.take();
            assert_eq!(shown, answer, "the pieces are the answer");
            assert_eq!(all, citations, "the end repeats what was told before");
            (answer, citations)
        };
        let (answer, citations) = run(text.chars().count().max(1));
        for size in [1, 4] {
            assert_eq!(run(size), (answer.clone(), citations.clone()), "cut into pieces of {size}");
        }
        let described = citations
            .into_iter()
            .map(|citation| {
                let passage = &passages[citation.number - 1];
                assert_eq!(passage.passage_id, citation.passage_id);
                (
                    citation.number,
                    slice(&answer, citation.answer_start, citation.answer_end),
                    slice(&passage.text, citation.start, citation.end),
                )
            })
            .collect();
        (answer, described)
    }

    #[test]
    fn a_statement_is_tied_to_the_sentence_that_supports_it() {
        let (answer, citations) = cite(
            "How long are backups kept?",
            "Daily copies are kept for 30 days, and monthly ones for two years [1].",
        );
        assert_eq!(answer, "Daily copies are kept for 30 days, and monthly ones for two years [1].");
        assert_eq!(
            citations,
            [(1, answer.clone(), "It keeps daily copies for 30 days and monthly copies for two years.".to_owned())]
        );
    }

    #[test]
    fn marks_are_not_needed_and_wrong_ones_are_corrected() {
        let support = "Copies are encrypted with AES-256 before they leave the building.";
        let (_, citations) = cite("Are copies safe?", "The copies are encrypted with AES-256.");
        assert_eq!(citations, [(1, "The copies are encrypted with AES-256.".to_owned(), support.to_owned())]);
        // The model marks the wrong passage, and one that does not exist.
        let (answer, citations) = cite("Are copies safe?", "The copies are encrypted with AES-256 [3][9].");
        assert_eq!(answer, "The copies are encrypted with AES-256 [3].");
        assert_eq!(citations, [(1, answer.clone(), support.to_owned())]);
    }

    #[test]
    fn emoji_and_letters_of_several_bytes_do_not_shift_offsets() {
        let (answer, citations) = cite(
            "Where is Halley?",
            "🚀 Ja! The Halley VI station stands on the Brunt Ice Shelf 🧊 [2]. Größe: its eight modules rest on skis. [2]",
        );
        assert_eq!(
            citations,
            [
                (
                    2,
                    "The Halley VI station stands on the Brunt Ice Shelf 🧊 [2].".to_owned(),
                    "The Halley VI research station stands on the Brunt Ice Shelf.".to_owned()
                ),
                (
                    2,
                    "Größe: its eight modules rest on skis.".to_owned(),
                    "🧊 Its eight modules rest on skis, so that tractors can tow them inland.".to_owned()
                ),
            ]
        );
        assert!(answer.ends_with("[2]"));
    }

    #[test]
    fn one_statement_may_have_several_sources() {
        let statement =
            "Copies are encrypted with AES-256, and a restore needs the master key and 4 GB of free disk space [1][3].";
        let (_, citations) = cite("What does a restore need?", statement);
        let supports: Vec<_> = citations.iter().map(|(number, _, support)| (*number, support.as_str())).collect();
        assert_eq!(
            supports,
            [
                (3, "A restore needs the master key and about 4 GB of free disk space."),
                (1, "Copies are encrypted with AES-256 before they leave the building."),
            ]
        );
    }

    #[test]
    fn what_no_passage_says_is_not_cited() {
        for statement in [
            // Another number, another name, another fact, another topic.
            "Daily copies are kept for 90 days [1].",
            "The Amundsen station stands on the Brunt Ice Shelf [2].",
            "The Halley station was built by Norwegian engineers in 1956 [2].",
            "Paris is the capital of France [1].",
            "I am sorry, but I do not know.",
            "Yes.",
        ] {
            let (_, citations) = cite("What is it?", statement);
            assert_eq!(citations, [], "{statement}");
        }
    }

    #[test]
    fn lists_are_cited_item_by_item_and_headings_are_not() {
        let (_, citations) = cite(
            "What must I know about backups?",
            "## Copies are encrypted with AES-256\n\n- Daily copies stay for **30 days**.\n- The sun does not rise for 105 days.\n\n\
             ```\nplasma restore\n```\n1. Without the master key the copies cannot be read",
        );
        let told: Vec<_> = citations.iter().map(|(number, statement, _)| (*number, statement.as_str())).collect();
        assert_eq!(
            told,
            [
                (1, "Daily copies stay for **30 days**."),
                (2, "The sun does not rise for 105 days."),
                (3, "Without the master key the copies cannot be read"),
            ]
        );
    }

    #[test]
    fn short_answers_count_when_they_are_telling() {
        let (_, citations) = cite("Which cipher encrypts the copies?", "AES-256.");
        assert_eq!(citations.len(), 1);
        let (_, citations) = cite("Who tows the modules inland?", "Tractors.");
        assert_eq!(citations.len(), 1);
        let (_, citations) = cite("What is this about?", "Winter.");
        assert_eq!(citations, []);
    }

    #[test]
    fn a_model_that_repeats_itself_is_noticed() {
        let mut citer = Citer::new(passages(), "");
        let sentence = "The station has one more very nice module. ";
        citer.push(&sentence.repeat(3));
        assert!(!citer.repeats_itself());
        citer.push(sentence);
        assert!(citer.repeats_itself());
        let mut citer = Citer::new(passages(), "");
        citer.push(&"It is so. ".repeat(9));
        assert!(!citer.repeats_itself());
    }
}
