//! A person's words as a query of the text index. Nothing that a person types is an error or an operator, but for quotation
//! marks: words inside of them are worth more where they stand together.

use plasma_kernel::CollectionId;
use tantivy::{
    Term,
    query::{BooleanQuery, BoostQuery, Occur, PhraseQuery, Query, TermQuery},
    schema::{Field, IndexRecordOption},
    tokenizer::TokenStream as _,
};

use super::words;
use crate::limits;

/// How much more a quoted phrase counts than its words alone.
const PHRASE_BOOST: f32 = 2.0;
/// Quoted phrases that are looked at.
const PHRASES_MAX: usize = 8;
/// English words that stand in every passage: only asked for when a query has no other, or inside quotation marks.
const COMMON_WORDS: &[&str] = &[
    "a", "about", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does",
    "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not",
    "of", "on", "or", "our", "should", "so", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "to", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryWord {
    /// As the index compares it.
    pub(crate) stem: String,
    /// As the person wrote it, in lower case.
    pub(crate) shown: String,
}

/// What the text index is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextQuery {
    /// Each stem once, in the order of the query.
    pub(crate) words: Vec<QueryWord>,
    /// Stems with their places, at least two each.
    phrases: Vec<Vec<(usize, String)>>,
    /// Some words were left out: the query has too many.
    pub(crate) shortened: bool,
}

struct Placed {
    word: QueryWord,
    position: usize,
    from: usize,
}

fn placed_words(query: &str) -> Vec<Placed> {
    let mut analyzer = words::analyzer();
    let mut stream = analyzer.token_stream(query);
    let mut placed = Vec::new();
    while stream.advance() {
        let token = stream.token();
        let shown = query.get(token.offset_from..token.offset_to).unwrap_or_default().to_lowercase();
        let word = QueryWord { stem: token.text.clone(), shown };
        placed.push(Placed { word, position: token.position, from: token.offset_from });
    }
    placed
}

/// Byte ranges between pairs of quotation marks, straight or curly.
fn quoted_ranges(query: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut open = None;
    for (at, character) in query.char_indices().filter(|(_, character)| matches!(character, '"' | '“' | '”' | '„'))
    {
        match open.take() {
            None => open = Some(at + character.len_utf8()),
            Some(from) => ranges.push(from..at),
        }
    }
    ranges
}

impl TextQuery {
    pub(crate) fn parse(query: &str) -> Self {
        let placed = placed_words(query);
        let quoted = quoted_ranges(query);
        let in_quotes = |word: &Placed| quoted.iter().any(|range| range.contains(&word.from));
        let only_common = placed.iter().all(|word| is_common(&word.word));
        let mut parsed = Self::default();
        for word in &placed {
            if is_common(&word.word) && !only_common && !in_quotes(word) {
                continue;
            }
            if parsed.words.iter().any(|known| known.stem == word.word.stem) {
                continue;
            }
            if parsed.words.len() == limits::QUERY_WORDS_MAX {
                parsed.shortened = true;
                break;
            }
            parsed.words.push(word.word.clone());
        }
        parsed.phrases = quoted
            .iter()
            .map(|range| placed.iter().filter(|word| range.contains(&word.from)).take(limits::QUERY_WORDS_MAX))
            .map(|words| words.map(|word| (word.position, word.word.stem.clone())).collect::<Vec<_>>())
            .filter(|phrase| phrase.len() > 1)
            .take(PHRASES_MAX)
            .collect();
        parsed
    }

    /// The query for the passages of one collection; `None` when there is no word to ask for.
    pub(crate) fn build(&self, field: Field, collection: CollectionId) -> Option<BooleanQuery> {
        if self.words.is_empty() {
            return None;
        }
        let term = |stem: &str| Term::from_field_text(field, &words::entry(collection, stem));
        let mut parts: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for word in &self.words {
            let query = TermQuery::new(term(&word.stem), IndexRecordOption::WithFreqs);
            parts.push((Occur::Should, Box::new(query)));
        }
        for phrase in &self.phrases {
            let terms = phrase.iter().map(|(position, stem)| (*position, term(stem))).collect();
            let query = PhraseQuery::new_with_offset(terms);
            parts.push((Occur::Should, Box::new(BoostQuery::new(Box::new(query), PHRASE_BOOST))));
        }
        Some(BooleanQuery::new(parts))
    }
}

fn is_common(word: &QueryWord) -> bool {
    COMMON_WORDS.contains(&word.shown.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(query: &str) -> Vec<String> {
        TextQuery::parse(query).words.into_iter().map(|word| word.shown).collect()
    }

    #[test]
    fn common_words_are_left_out_unless_there_is_nothing_else() {
        assert_eq!(shown("What is the annual budget?"), ["annual", "budget"]);
        assert_eq!(shown("to be or not to be"), ["to", "be", "or", "not"]);
        assert_eq!(shown("\"the who\" albums"), ["the", "who", "albums"]);
        assert_eq!(shown("budget Budgets BUDGET"), ["budget"]);
        assert!(shown(" ?! ").is_empty());
    }

    #[test]
    fn quoted_words_are_phrases() {
        let phrases = |query: &str| TextQuery::parse(query).phrases.len();
        assert_eq!(phrases("\"annual budget\" plan"), 1);
        assert_eq!(phrases("“annual budget” and \"tax plan\""), 2);
        assert_eq!(phrases("\"budget\""), 0);
        assert_eq!(phrases("a \" lone mark"), 0);
    }

    #[test]
    fn long_queries_are_shortened() {
        let long: String = (0..200).map(|number| format!("word{number} ")).collect();
        let query = TextQuery::parse(&long);
        assert_eq!(query.words.len(), limits::QUERY_WORDS_MAX);
        assert!(query.shortened);
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_fails(text in "[ \"“”a-c\\\\(){}:*~^+\\-\\[\\]東é]{0,60}") {
            let query = TextQuery::parse(&text);
            let _ = query.build(Field::from_field_id(0), CollectionId::from_bits(7));
        }
    }
}
