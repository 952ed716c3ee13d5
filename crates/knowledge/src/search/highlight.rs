//! Which words of the query a passage has, and where: by the same rules as the text index found it.

use std::collections::HashMap;

use tantivy::tokenizer::{TextAnalyzer, TokenStream as _};

use super::Highlight;
use crate::{
    index::{
        language::Stemming,
        query::Sign,
        query_resolve::{ResolvedQuery, ResolvedWord},
        words,
    },
    limits,
};

/// Tells where texts have the words of one query.
pub(crate) struct Matcher<'q> {
    query: &'q ResolvedQuery,
    /// The query's words by the rules of each language that was met.
    languages: HashMap<Stemming, Prepared>,
}

/// How a text has a word of the query.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Way {
    /// It was typed.
    Typed,
    /// It was typed in another way.
    Near(String),
    /// It was not typed, but means the same.
    Synonym(String),
}

/// What a found word is of the query: a word, or several that were replaced together.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    /// The place of a word, or after all words that of a replacement.
    place: usize,
    way: Way,
}

/// The words of the query by the rules of one language.
struct Prepared {
    stems: TextAnalyzer,
    /// Single words, by their stems.
    by_stem: HashMap<String, Vec<Found>>,
    /// Several words that stand for something together, by the stems in their order.
    sequences: Vec<(Vec<String>, Found)>,
    /// Forms of mistyped words.
    by_form: HashMap<String, Vec<Found>>,
    /// What `word*` begins with.
    prefixes: Vec<(String, Found)>,
    /// Only when there are forms or prefixes to look for.
    forms: Option<TextAnalyzer>,
}

/// A word of a text.
struct Token {
    stem: String,
    form: String,
    from: usize,
    to: usize,
}

impl Prepared {
    fn new(query: &ResolvedQuery, stemming: Stemming) -> Self {
        let mut prepared = Self {
            stems: words::analyzer(stemming),
            by_stem: HashMap::new(),
            sequences: Vec::new(),
            by_form: HashMap::new(),
            prefixes: Vec::new(),
            forms: None,
        };
        for (place, word) in query.words.iter().enumerate().filter(|(_, word)| word.sign != Sign::Excluded) {
            prepared.add_word(place, word);
        }
        for (number, replacement) in query.replacements.iter().enumerate() {
            prepared.add_synonyms(query.words.len() + number, &replacement.synonyms);
        }
        if !prepared.by_form.is_empty() || !prepared.prefixes.is_empty() {
            prepared.forms = Some(words::analyzer(Stemming::NONE));
        }
        prepared
    }

    fn add_word(&mut self, place: usize, word: &ResolvedWord) {
        if let Some((form, _)) = &word.prefix {
            self.prefixes.push((form.clone(), Found { place, way: Way::Typed }));
            return;
        }
        self.add_stem(&word.word, Found { place, way: Way::Typed });
        for near in &word.near {
            let found = Found { place, way: Way::Near(near.form.clone()) };
            self.add_stem(&near.form, found.clone());
            self.by_form.entry(near.form.clone()).or_default().push(found);
        }
        self.add_synonyms(place, &word.synonyms);
    }

    fn add_stem(&mut self, word: &str, found: Found) {
        if let Some(stem) = words::all(&mut self.stems, word).into_iter().next() {
            self.by_stem.entry(stem).or_default().push(found);
        }
    }

    fn add_synonyms(&mut self, place: usize, synonyms: &[Vec<String>]) {
        for synonym in synonyms {
            let found = Found { place, way: Way::Synonym(synonym.join(" ")) };
            match synonym.as_slice() {
                [word] => self.add_stem(word, found),
                several => {
                    let stems = &mut self.stems;
                    let sequence = several.iter().filter_map(|word| words::all(stems, word).into_iter().next());
                    let sequence: Vec<String> = sequence.collect();
                    if !sequence.is_empty() {
                        self.sequences.push((sequence, found));
                    }
                }
            }
        }
    }

    fn tokens(&mut self, text: &str) -> Vec<Token> {
        let mut tokens = Vec::new();
        let mut stems = self.stems.token_stream(text);
        // Both cut the text in the same way.
        let mut forms = self.forms.as_mut().map(|forms| forms.token_stream(text));
        while stems.advance() {
            let mut form = String::new();
            if let Some(forms) = &mut forms
                && forms.advance()
            {
                form.clone_from(&forms.token().text);
            }
            let token = stems.token();
            tokens.push(Token { stem: token.text.clone(), form, from: token.offset_from, to: token.offset_to });
        }
        tokens
    }

    /// What single tokens of a text are of the query, and sequences of them, in the order in which they begin.
    fn find(&self, tokens: &[Token], mut note: impl FnMut(&[Token], &Found) -> bool) {
        for (number, token) in tokens.iter().enumerate() {
            let one = tokens.get(number..=number).unwrap_or_default();
            let by_form = self.by_form.get(&token.form).into_iter().flatten();
            let by_stem = self.by_stem.get(&token.stem).into_iter().flatten();
            let by_prefix = self.prefixes.iter().filter(|(prefix, _)| token.form.starts_with(prefix.as_str()));
            let single = by_stem.chain(by_form).chain(by_prefix.map(|(_, found)| found));
            for found in single {
                if !note(one, found) {
                    return;
                }
            }
            for (sequence, found) in &self.sequences {
                let here = tokens.get(number..number + sequence.len()).unwrap_or_default();
                let stands = !here.is_empty() && here.iter().zip(sequence).all(|(token, stem)| token.stem == *stem);
                if stands && !note(here, found) {
                    return;
                }
            }
        }
    }
}

impl<'q> Matcher<'q> {
    pub(crate) fn new(query: &'q ResolvedQuery) -> Self {
        Self { query, languages: HashMap::new() }
    }

    fn prepared(&mut self, stemming: Stemming) -> &mut Prepared {
        let query = self.query;
        self.languages.entry(stemming).or_insert_with(|| Prepared::new(query, stemming))
    }

    /// Ranges of words of the query in a passage's text, in Unicode code points.
    pub(crate) fn highlights(&mut self, stemming: Stemming, text: &str) -> Vec<Highlight> {
        let prepared = self.prepared(stemming);
        let tokens = prepared.tokens(text);
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        prepared.find(&tokens, |found, _| {
            let bounds = found.first().zip(found.last()).map(|(first, last)| (first.from, last.to));
            // Those of one word, and a sequence over words that are marked already.
            match (bounds, ranges.last_mut()) {
                (Some((from, to)), Some(last)) if from < last.1 => last.1 = last.1.max(to),
                (Some(range), _) => ranges.push(range),
                (None, _) => {}
            }
            ranges.len() < limits::HIGHLIGHTS_MAX
        });
        in_code_points(text, &ranges)
    }

    /// The words of the query that a passage has, in its text or in what stands above it.
    pub(crate) fn matched_words(
        &mut self,
        stemming: Stemming,
        title: &str,
        heading: Option<&str>,
        text: &str,
    ) -> Vec<String> {
        let prepared = self.prepared(stemming);
        let mut all: Vec<Found> = Vec::new();
        for part in [title, heading.unwrap_or_default(), text] {
            let tokens = prepared.tokens(part);
            prepared.find(&tokens, |_, found| {
                if !all.contains(found) {
                    all.push(found.clone());
                }
                true
            });
        }
        let typed: Vec<usize> = all.iter().filter(|found| found.way == Way::Typed).map(|found| found.place).collect();
        // A word that is there as it was typed needs no other explanation.
        all.retain(|found| found.way == Way::Typed || !typed.contains(&found.place));
        all.sort_by_key(|found| found.place);
        let mut shown: Vec<String> = all.iter().map(|found| self.shown(found)).collect();
        shown.dedup();
        shown
    }

    fn shown(&self, found: &Found) -> String {
        let word = self.query.words.get(found.place);
        let typed = match word {
            Some(word) => word.word.as_str(),
            None => {
                let number = found.place.saturating_sub(self.query.words.len());
                self.query.replacements.get(number).map_or("", |replacement| replacement.from.as_str())
            }
        };
        match &found.way {
            Way::Typed if word.is_some_and(|word| word.prefix.is_some()) => format!("{typed}*"),
            Way::Typed => typed.to_owned(),
            Way::Near(form) => format!("{form} (typed {typed})"),
            Way::Synonym(synonym) => format!("{synonym} (synonym of {typed})"),
        }
    }
}

/// Byte ranges in order, as code points: the text is counted once.
fn in_code_points(text: &str, ranges: &[(usize, usize)]) -> Vec<Highlight> {
    let (mut at, mut counted) = (0, 0);
    let mut code_points = |offset: usize| {
        counted += text.get(at..offset).map_or(0, |between| between.chars().count());
        at = offset;
        counted
    };
    ranges.iter().map(|(from, to)| Highlight { start: code_points(*from), end: code_points(*to) }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::index::{
        language::Language,
        query::TextQuery,
        query_resolve::{Replacement, ResolvedQuery},
    };

    fn stemming(code: &str) -> Stemming {
        Language::from_code(code).unwrap().stemming()
    }

    fn marked(query: &ResolvedQuery, code: &str, text: &str) -> Vec<String> {
        let letters: Vec<char> = text.chars().collect();
        let found = Matcher::new(query).highlights(stemming(code), text);
        found.iter().map(|range| letters[range.start..range.end].iter().collect()).collect()
    }

    fn resolved(query: &str) -> ResolvedQuery {
        ResolvedQuery::unresolved(&TextQuery::parse(query))
    }

    #[test]
    fn highlights_are_code_points() {
        let text = "🎉 Budgets: der Café-Plan 東京 and the budget’s end";
        assert_eq!(marked(&resolved("budget cafe 京"), "en", text), ["Budgets", "Café", "京", "budget"]);
    }

    #[test]
    fn words_above_the_text_are_named_too() {
        let query = resolved("annual budget plans -travel");
        let words =
            Matcher::new(&query).matched_words(stemming("en"), "Budget", Some("The plan"), "of the year: travel");
        assert_eq!(words, ["budget", "plans"]);
        assert!(marked(&query, "en", "travel").is_empty());
    }

    #[test]
    fn the_language_of_the_text_decides() {
        let query = resolved("rechnung häuser");
        assert_eq!(marked(&query, "de", "Die Rechnungen für das Haus"), ["Rechnungen", "Haus"]);
        assert!(marked(&resolved("rechnung"), "fr", "Die Rechnungen für das Haus").is_empty());
    }

    #[test]
    fn prefixes_slips_and_synonyms_are_marked_and_named() {
        let mut query = resolved("bud* telly");
        query.words[1].synonyms = vec![vec!["television".to_owned()], vec!["small".to_owned(), "screen".to_owned()]];
        query.replacements =
            vec![Replacement { from: "united states".to_owned(), synonyms: vec![vec!["usa".to_owned()]] }];
        let text = "Budgeting for the smallest screens and televisions of the USA";
        assert_eq!(marked(&query, "en", text), ["Budgeting", "televisions", "USA"]);
        assert_eq!(marked(&query, "en", "a small screen, small"), ["small screen"]);
        let mut matcher = Matcher::new(&query);
        assert_eq!(
            matcher.matched_words(stemming("en"), "", None, text),
            ["bud*", "television (synonym of telly)", "usa (synonym of united states)"]
        );
        assert_eq!(matcher.matched_words(stemming("en"), "telly", None, "television"), ["telly"]);
    }

    proptest! {
        #[test]
        fn ranges_lie_in_the_text_in_order(query in "\\PC{0,40}", text in "\\PC{0,200}") {
            let query = resolved(&query);
            let letters = text.chars().count();
            let mut end = 0;
            for range in Matcher::new(&query).highlights(Stemming::NONE, &text) {
                prop_assert!(range.start >= end && range.start < range.end && range.end <= letters);
                end = range.end;
            }
        }
    }
}
