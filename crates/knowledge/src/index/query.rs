//! A person's words, read as a query. Nothing that a person types is an error. Besides words there are "quoted phrases", `word*`
//! for everything that begins like it, `-word` for what must not be there, and `+word` for what must; a sign counts only
//! directly before a word at its beginning, so that "C++" and "e-mail" are words.

use std::ops::Range;

use tantivy::tokenizer::TokenStream as _;

use super::{language::Stemming, words};
use crate::limits;

/// Quoted phrases that are looked at.
const PHRASES_MAX: usize = 8;
/// Different words that are read; more than are looked up, for common ones are left out later.
const WORDS_READ_MAX: usize = 2 * limits::QUERY_WORDS_MAX;
/// Letters before the star of `word*`.
const PREFIX_CHARS_MIN: usize = 2;

/// What a sign before a word or a phrase asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Sign {
    /// It counts where it is found.
    #[default]
    None,
    /// `+`: only passages that have it.
    Required,
    /// `-`: only passages that do not have it.
    Excluded,
}

/// A word of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryWord {
    /// As the person wrote it, in lower case.
    pub(crate) shown: String,
    /// In lower case and without accents.
    pub(crate) form: String,
    pub(crate) sign: Sign,
    /// It stands for all words that begin with it.
    pub(crate) prefix: bool,
    /// It stands between quotation marks.
    pub(crate) quoted: bool,
}

/// Words that are to stand together: at least two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryPhrase {
    pub(crate) sign: Sign,
    /// With their places, in lower case.
    pub(crate) words: Vec<(usize, String)>,
}

/// What was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextQuery {
    /// Each word once, in the order of the query.
    pub(crate) words: Vec<QueryWord>,
    pub(crate) phrases: Vec<QueryPhrase>,
    /// The words that are looked for in their order, with repetitions.
    pub(crate) sequence: Vec<String>,
    /// Some words were left out: the query has too many.
    pub(crate) shortened: bool,
    /// What an embedding model reads: without what must not be there, and without signs.
    meaning: Option<String>,
}

/// A part of a query: a run without spaces, or what stands between quotation marks.
#[derive(Debug)]
struct Segment {
    /// The words, without signs and marks.
    range: Range<usize>,
    sign: Sign,
    quoted: bool,
    prefix: bool,
}

fn is_mark(character: char) -> bool {
    matches!(character, '"' | '“' | '”' | '„')
}

fn sign_of(character: char) -> Sign {
    match character {
        '+' => Sign::Required,
        '-' => Sign::Excluded,
        _ => Sign::None,
    }
}

/// Cuts a query into segments. Quotation marks come in pairs; the last one of an odd number is ignored.
fn segments(query: &str) -> Vec<Segment> {
    let marks: Vec<(usize, char)> = query.char_indices().filter(|(_, character)| is_mark(*character)).collect();
    let mut segments = Vec::new();
    let mut at = 0;
    for (opening, closing) in marks.iter().zip(marks.iter().skip(1)).step_by(2) {
        let before = runs(query, at..opening.0, &mut segments);
        let sign = before.chars().next().map_or(Sign::None, sign_of);
        segments.push(Segment {
            range: opening.0 + opening.1.len_utf8()..closing.0,
            sign,
            quoted: true,
            prefix: false,
        });
        at = closing.0 + closing.1.len_utf8();
    }
    runs(query, at..query.len(), &mut segments);
    segments
}

/// Adds the runs of a range; a lone sign at its end, which belongs to a quotation mark that follows, is returned instead.
fn runs<'a>(query: &'a str, range: Range<usize>, segments: &mut Vec<Segment>) -> &'a str {
    let text = query.get(range.clone()).unwrap_or_default();
    let mut from = None;
    for (offset, character) in text.char_indices().chain([(text.len(), ' ')]) {
        match (from, character.is_whitespace()) {
            (None, false) => from = Some(offset),
            (Some(start), true) => {
                let run = text.get(start..offset).unwrap_or_default();
                if offset == text.len() && matches!(run, "+" | "-") {
                    return run;
                }
                segments.push(segment(run, range.start + start));
                from = None;
            }
            _ => {}
        }
    }
    ""
}

fn segment(run: &str, at: usize) -> Segment {
    let mut letters = run.chars();
    let sign = letters.next().map_or(Sign::None, sign_of);
    let sign = if letters.next().is_some_and(char::is_alphanumeric) { sign } else { Sign::None };
    let start = usize::from(sign != Sign::None);
    // A star is followed by the end, or by what ends a sentence.
    let stem = run.trim_end_matches([',', '.', ';', ':', '?', '!', ')']);
    let stem = stem.strip_suffix('*').filter(|stem| stem.ends_with(char::is_alphanumeric));
    let end = stem.map_or(run.len(), str::len);
    Segment { range: at + start..at + end, sign, quoted: false, prefix: stem.is_some() }
}

struct Placed {
    word: QueryWord,
    position: usize,
}

impl TextQuery {
    /// Reads what a person typed.
    pub(crate) fn parse(query: &str) -> Self {
        Self::read(query, segments(query))
    }

    /// Reads a text that is no query, such as a question or a brief: signs are not looked at.
    pub(crate) fn plain(query: &str) -> Self {
        let mut segments = segments(query);
        for segment in &mut segments {
            segment.sign = Sign::None;
            segment.prefix = false;
        }
        Self::read(query, segments)
    }

    /// Whether something is required or must not be there.
    pub(crate) fn has_signs(&self) -> bool {
        let words = self.words.iter().map(|word| word.sign);
        words.chain(self.phrases.iter().map(|phrase| phrase.sign)).any(|sign| sign != Sign::None)
    }

    /// What an embedding model is to read of the query `typed`.
    pub(crate) fn meaning<'a>(&'a self, typed: &'a str) -> &'a str {
        self.meaning.as_deref().unwrap_or(typed)
    }

    fn read(query: &str, segments: Vec<Segment>) -> Self {
        let mut parsed = Self { meaning: meaning(query, &segments), ..Self::default() };
        let mut words = placed_words(query, &segments).into_iter().peekable();
        for (number, segment) in segments.iter().enumerate() {
            let mut own = Vec::new();
            while let Some((_, placed)) = words.next_if(|(owner, _)| *owner == number) {
                own.push(placed);
            }
            parsed.take(segment, own);
        }
        parsed
    }

    fn take(&mut self, segment: &Segment, mut words: Vec<Placed>) {
        if segment.prefix
            && let Some(last) = words.last_mut()
        {
            last.word.prefix = last.word.form.chars().count() >= PREFIX_CHARS_MIN;
        }
        let is_phrase = words.len() > 1 && (segment.quoted || segment.sign != Sign::None);
        if is_phrase {
            let words = words.iter().take(limits::QUERY_WORDS_MAX);
            let words = words.map(|placed| (placed.position, placed.word.shown.clone())).collect();
            if self.phrases.len() < PHRASES_MAX {
                self.phrases.push(QueryPhrase { sign: segment.sign, words });
            } else {
                self.shortened = true;
            }
        }
        // The words of a phrase count by themselves, too, unless the phrase must not be there.
        let sign = if is_phrase { Sign::None } else { segment.sign };
        if is_phrase && segment.sign == Sign::Excluded {
            return;
        }
        for Placed { word, .. } in words {
            self.add(QueryWord { sign, ..word });
        }
    }

    fn add(&mut self, word: QueryWord) {
        if word.sign != Sign::Excluded && self.sequence.len() < WORDS_READ_MAX {
            self.sequence.push(word.shown.clone());
        }
        let same =
            |known: &&mut QueryWord| known.form == word.form && known.sign == word.sign && known.prefix == word.prefix;
        if let Some(known) = self.words.iter_mut().find(same) {
            known.quoted |= word.quoted;
        } else if self.words.len() < WORDS_READ_MAX {
            self.words.push(word);
        } else {
            self.shortened = true;
        }
    }
}

/// The words of a query, with the number of the segment that each belongs to.
fn placed_words(query: &str, segments: &[Segment]) -> Vec<(usize, Placed)> {
    let mut analyzer = words::analyzer(Stemming::NONE);
    let mut stream = analyzer.token_stream(query);
    let mut placed = Vec::new();
    let mut number = 0;
    while stream.advance() {
        let token = stream.token();
        while segments.get(number).is_some_and(|segment| segment.range.end <= token.offset_from) {
            number += 1;
        }
        let Some(segment) = segments.get(number).filter(|segment| segment.range.start <= token.offset_from) else {
            continue;
        };
        let shown = query.get(token.offset_from..token.offset_to).unwrap_or_default().to_lowercase();
        let (form, quoted) = (token.text.clone(), segment.quoted);
        let word = QueryWord { shown, form, sign: Sign::None, prefix: false, quoted };
        placed.push((number, Placed { word, position: token.position }));
    }
    placed
}

/// The query without signs and without what must not be there; `None` when it has neither.
fn meaning(query: &str, segments: &[Segment]) -> Option<String> {
    if segments.iter().all(|segment| segment.sign == Sign::None && !segment.prefix) {
        return None;
    }
    let kept = segments.iter().filter(|segment| segment.sign != Sign::Excluded);
    let texts: Vec<&str> = kept.filter_map(|segment| query.get(segment.range.clone())).collect();
    let text = texts.join(" ");
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(query: &str, sign: Sign) -> Vec<String> {
        let words = TextQuery::parse(query).words.into_iter().filter(|word| word.sign == sign);
        words.map(|word| if word.prefix { word.shown + "*" } else { word.shown }).collect()
    }

    fn phrases(query: &str, sign: Sign) -> usize {
        TextQuery::parse(query).phrases.iter().filter(|phrase| phrase.sign == sign).count()
    }

    #[test]
    fn quoted_words_are_phrases() {
        assert_eq!(phrases("\"annual budget\" plan", Sign::None), 1);
        assert_eq!(phrases("“annual budget” and \"tax plan\"", Sign::None), 2);
        assert_eq!(phrases("\"budget\"", Sign::None), 0);
        assert_eq!(phrases("a \" lone mark", Sign::None), 0);
        assert_eq!(words("\"annual budget\" plan", Sign::None), ["annual", "budget", "plan"]);
    }

    #[test]
    fn signs_count_before_a_word_at_its_beginning() {
        assert_eq!(words("budget -travel +2025", Sign::Excluded), ["travel"]);
        assert_eq!(words("budget -travel +2025", Sign::Required), ["2025"]);
        assert_eq!(words("C++ e-mail - dash a+b x -", Sign::None), ["c", "e", "mail", "dash", "a", "b", "x"]);
        assert_eq!(words("--twice", Sign::None), ["twice"]);
        assert_eq!(
            (phrases("-\"tax plan\" a", Sign::Excluded), words("-\"tax plan\" a", Sign::None)),
            (1, vec!["a".to_owned()])
        );
        assert_eq!(phrases("+\"tax plan\"", Sign::Required), 1);
        assert_eq!(words("-\"tax\"", Sign::Excluded), ["tax"]);
        // A word of several parts is a phrase when it has a sign.
        assert_eq!(phrases("-e-mail +東京", Sign::Excluded), 1);
        assert_eq!(phrases("-e-mail +東京", Sign::Required), 1);
    }

    #[test]
    fn a_star_ends_a_word_of_two_letters() {
        assert_eq!(words("bud* b* a*b * ** re-bud*.", Sign::None), ["bud*", "b", "a", "re"]);
        assert_eq!(words("-bud*", Sign::Excluded), ["bud*"]);
    }

    #[test]
    fn meaning_has_no_signs() {
        let meaning = |query: &str| TextQuery::parse(query).meaning(query).to_owned();
        assert_eq!(meaning("annual \"budget plan\""), "annual \"budget plan\"");
        assert_eq!(meaning("+annual bud* -travel -\"tax plan\""), "annual bud");
        assert_eq!(meaning("-travel"), "-travel");
        let plain = "buy -now and +then";
        assert_eq!(TextQuery::plain(plain).meaning(plain), plain);
        assert_eq!(TextQuery::plain(plain).words.len(), 4);
    }

    #[test]
    fn long_queries_are_shortened() {
        let long: String = (0..500).map(|number| format!("word{number} ")).collect();
        let query = TextQuery::parse(&long);
        assert_eq!(query.words.len(), WORDS_READ_MAX);
        assert!(query.shortened);
        assert!(TextQuery::parse(&"*".repeat(8_000)).words.is_empty());
        assert_eq!(TextQuery::parse(&"ab* ".repeat(2_000)).words.len(), 1);
        assert_eq!(TextQuery::parse(&"\"a b\" ".repeat(1_000)).phrases.len(), PHRASES_MAX);
    }

    proptest! {
        #[test]
        fn nothing_that_is_typed_fails(text in "[ \"“”a-c\\\\(){}:*~^+\\-\\[\\]東é\u{301}ß]{0,60}") {
            let query = TextQuery::parse(&text);
            for word in query.words.iter().chain(&TextQuery::plain(&text).words) {
                prop_assert!(!word.shown.is_empty() && !word.form.is_empty());
            }
            prop_assert!(query.phrases.iter().all(|phrase| phrase.words.len() > 1));
            let _ = query.meaning(&text);
        }

        #[test]
        fn segments_lie_in_the_text(text in "\\PC{0,120}") {
            let mut end = 0;
            for segment in segments(&text) {
                prop_assert!(text.get(segment.range.clone()).is_some() && segment.range.start >= end);
                end = segment.range.end;
            }
        }
    }
}
