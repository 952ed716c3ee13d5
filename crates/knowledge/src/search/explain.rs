//! Which words of the query a passage has, and where its text has them.

use std::collections::HashSet;

use tantivy::tokenizer::TokenStream as _;

use super::Highlight;
use crate::{
    index::{
        query::{QueryWord, TextQuery},
        words,
    },
    limits,
};

/// Ranges of words of the query in a passage's text, in Unicode code points.
pub(crate) fn highlights(query: &TextQuery, text: &str) -> Vec<Highlight> {
    let stems: HashSet<&str> = query.words.iter().map(|word| word.stem.as_str()).collect();
    let mut analyzer = words::analyzer();
    let mut stream = analyzer.token_stream(text);
    let mut found = Vec::new();
    // Byte offset and code points before it: words come in order, so that the text is counted once.
    let (mut at, mut counted) = (0, 0);
    let mut code_points = |offset: usize| {
        counted += text.get(at..offset).map_or(0, |between| between.chars().count());
        at = offset;
        counted
    };
    while found.len() < limits::HIGHLIGHTS_MAX && stream.advance() {
        let token = stream.token();
        if stems.contains(token.text.as_str()) {
            let start = code_points(token.offset_from);
            found.push(Highlight { start, end: code_points(token.offset_to) });
        }
    }
    found
}

/// The words of the query that a passage has, in its text or in what stands above it.
pub(crate) fn matched_words(query: &TextQuery, title: &str, heading: Option<&str>, text: &str) -> Vec<String> {
    let indexed = words::indexed_text(title, heading, text);
    let mut analyzer = words::analyzer();
    let mut stream = analyzer.token_stream(&indexed);
    let mut present: HashSet<String> = HashSet::new();
    while stream.advance() {
        let stem = &stream.token().text;
        if query.words.iter().any(|word| word.stem == *stem) && !present.contains(stem) {
            present.insert(stem.clone());
        }
    }
    let matched = |word: &&QueryWord| present.contains(&word.stem);
    query.words.iter().filter(matched).map(|word| word.shown.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn highlights_are_code_points() {
        let text = "🎉 Budgets: der Café-Plan 東京 and the budget’s end";
        let found = highlights(&TextQuery::parse("budget cafe 京"), text);
        let letters: Vec<char> = text.chars().collect();
        let shown: Vec<String> = found.iter().map(|range| letters[range.start..range.end].iter().collect()).collect();
        assert_eq!(shown, ["Budgets", "Café", "京", "budget"]);
    }

    #[test]
    fn words_above_the_text_are_named_too() {
        let query = TextQuery::parse("annual budget plans");
        assert_eq!(matched_words(&query, "Budget", Some("The plan"), "of the year"), ["budget", "plans"]);
    }
}
