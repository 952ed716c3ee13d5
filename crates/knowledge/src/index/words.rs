//! Text to words, the same way for indexing, for queries and for highlights.
//!
//! A word is a run of letters and digits. It is indexed twice: as its stem, by the rules of its document's language, and as its
//! form, in lower case and without accents. Stems are what queries ask for; forms serve prefixes and mistyped words. Scripts
//! that are written without spaces become one word for each character. What the index holds has its collection's id in front
//! (stems also their language): a query only ever touches its own collection's entries, and thousands of small collections
//! share one index.

use plasma_kernel::CollectionId;
use tantivy::tokenizer::{
    AsciiFoldingFilter, BoxTokenStream, Language as Algorithm, LowerCaser, Stemmer, TextAnalyzer, Token, TokenStream,
    Tokenizer,
};

use super::language::{Language, Stemming};

/// The names under which the index knows [`CollectionWords`].
pub(super) const STEMS: &str = "collection_stems";
pub(super) const FORMS: &str = "collection_forms";
/// Longer runs are not words but data; they take a place and are not indexed.
const WORD_BYTES_MAX: usize = 80;
/// Separates parts of an indexed text, so that no phrase reaches from a title into the text. Parsed text never holds it.
pub(crate) const PART_BREAK: char = '\u{c}';
const PART_GAP: usize = 16;

/// The analyzer of plain text of one language. With [`Stemming::NONE`] it gives forms.
pub(crate) fn analyzer(stemming: Stemming) -> TextAnalyzer {
    let words = TextAnalyzer::builder(WordSplitter::default()).filter(LowerCaser);
    match stemming.algorithm() {
        None => words.filter(AsciiFoldingFilter).build(),
        // Accents are foreign to it: its rules see plain letters.
        Some(Algorithm::English) => words.filter(AsciiFoldingFilter).filter(Stemmer::new(Algorithm::English)).build(),
        // Elsewhere the rules need the accents, and what is compared does not.
        Some(algorithm) => words.filter(Stemmer::new(algorithm)).filter(AsciiFoldingFilter).build(),
    }
}

/// All words of a text, as `analyzer` gives them.
pub(crate) fn all(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut stream = analyzer.token_stream(text);
    let mut words = Vec::new();
    while stream.advance() {
        words.push(stream.token().text.clone());
    }
    words
}

/// Words of a text, as the index counts them.
pub(crate) fn count(text: &str) -> usize {
    let mut splitter = WordSplitter::default();
    let mut words = splitter.token_stream(text);
    let mut number = 0;
    while words.advance() {
        number += 1;
    }
    number
}

/// What is indexed of a passage: the headings it stands under count as its own words.
pub(crate) fn indexed_text(title: &str, heading: Option<&str>, text: &str) -> String {
    format!("{title}{PART_BREAK}{}{PART_BREAK}{text}", heading.unwrap_or_default())
}

/// What stands in front of a collection's stems of one language.
fn stem_prefix(collection: CollectionId, stemming: Stemming) -> String {
    format!("{collection}:{}:", stemming.mark())
}

/// What stands in front of a collection's forms.
pub(super) fn form_prefix(collection: CollectionId) -> String {
    format!("{collection}:")
}

/// The entry of a stem in the index.
pub(super) fn stem_entry(collection: CollectionId, stemming: Stemming, stem: &str) -> String {
    stem_prefix(collection, stemming) + stem
}

/// The entry of a form in the index.
pub(super) fn form_entry(collection: CollectionId, form: &str) -> String {
    form_prefix(collection) + form
}

/// The words of a text as they are written, in lower case.
pub(crate) fn written(analyzer: &mut TextAnalyzer, text: &str) -> Vec<String> {
    let mut stream = analyzer.token_stream(text);
    let mut words = Vec::new();
    while stream.advance() {
        let token = stream.token();
        words.push(text.get(token.offset_from..token.offset_to).unwrap_or_default().to_lowercase());
    }
    words
}

/// Splits text into words; see the module.
#[derive(Clone, Default)]
pub(crate) struct WordSplitter {
    token: Token,
}

pub(crate) struct SplitStream<'a> {
    text: &'a str,
    /// Byte offset of what has not been looked at.
    at: usize,
    next_position: usize,
    token: &'a mut Token,
}

impl Tokenizer for WordSplitter {
    type TokenStream<'a> = SplitStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> SplitStream<'a> {
        self.token.reset();
        SplitStream { text, at: 0, next_position: 0, token: &mut self.token }
    }
}

/// Characters of scripts that put no spaces between words: kana, Han, Thai, Lao, Burmese, Khmer.
fn is_unspaced(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{323af}')
}

/// Accents as characters of their own: part of a word, but not of what is compared.
fn is_accent(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// Signs inside words of Indic scripts that are neither letters nor accents.
fn is_joiner(character: char) -> bool {
    matches!(
        character,
        '\u{94d}'
            | '\u{9cd}'
            | '\u{a4d}'
            | '\u{acd}'
            | '\u{b4d}'
            | '\u{bcd}'
            | '\u{c4d}'
            | '\u{ccd}'
            | '\u{d4d}'
            | '\u{200c}'
            | '\u{200d}'
    )
}

impl SplitStream<'_> {
    /// The byte range of the next word, or `None` at the end. Counts part breaks on the way.
    fn next_range(&mut self) -> Option<(usize, usize)> {
        let rest = self.text.get(self.at..)?;
        let mut start = None;
        for (offset, character) in rest.char_indices() {
            let begins = character.is_alphanumeric();
            match start {
                None if begins && is_unspaced(character) => {
                    let from = self.at + offset;
                    return Some((from, from + character.len_utf8()));
                }
                None if begins => start = Some(offset),
                None if character == PART_BREAK => self.next_position += PART_GAP,
                None => {}
                Some(_) if begins && !is_unspaced(character) => {}
                Some(_) if is_accent(character) || is_joiner(character) => {}
                Some(from) => return Some((self.at + from, self.at + offset)),
            }
        }
        start.map(|from| (self.at + from, self.text.len()))
    }

    /// The tail of "it's" and "don't" is no word.
    fn is_tail(&self, from: usize, word: &str) -> bool {
        matches!(word, "s" | "t" | "d" | "m" | "S" | "T" | "D" | "M")
            && self.text.get(..from).is_some_and(|before| before.ends_with(['\'', '’']))
    }
}

impl TokenStream for SplitStream<'_> {
    fn advance(&mut self) -> bool {
        while let Some((from, to)) = self.next_range() {
            let word = self.text.get(from..to).unwrap_or_default();
            let skipped = self.is_tail(from, word);
            self.at = to;
            if skipped {
                continue;
            }
            let position = self.next_position;
            self.next_position += 1;
            if word.len() > WORD_BYTES_MAX {
                continue;
            }
            self.token.offset_from = from;
            self.token.offset_to = to;
            self.token.position = position;
            self.token.text.clear();
            self.token.text.extend(word.chars().filter(|character| !is_accent(*character)));
            return true;
        }
        self.at = self.text.len();
        false
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// The index's own tokenizer, for stems or for forms. The first line of what it is given names the collection and the language.
#[derive(Clone)]
pub(super) struct CollectionWords {
    forms: TextAnalyzer,
    /// By the number of their stemming, less one; empty in the tokenizer of forms.
    stems: Vec<TextAnalyzer>,
}

impl CollectionWords {
    /// Gives stems.
    pub(super) fn stems() -> Self {
        Self { forms: analyzer(Stemming::NONE), stems: Stemming::all().skip(1).map(analyzer).collect() }
    }

    /// Gives forms.
    pub(super) fn forms() -> Self {
        Self { forms: analyzer(Stemming::NONE), stems: Vec::new() }
    }

    /// What to give to it.
    pub(super) fn input(collection: CollectionId, language: Language, text: &str) -> String {
        format!("{collection} {}\n{text}", language.stemming().number())
    }
}

pub(super) struct CollectionStream<'a> {
    prefix: String,
    words: BoxTokenStream<'a>,
    token: Token,
}

impl Tokenizer for CollectionWords {
    type TokenStream<'a> = CollectionStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> CollectionStream<'a> {
        let (head, text) = text.split_once('\n').unwrap_or((text, ""));
        let (collection, number) = head.split_once(' ').unwrap_or((head, ""));
        let stemming = number.parse().ok().and_then(Stemming::from_number).unwrap_or_default();
        let Self { forms, stems } = self;
        let prefix =
            if stems.is_empty() { format!("{collection}:") } else { format!("{collection}:{}:", stemming.mark()) };
        let stemmer = match stemming.number().checked_sub(1) {
            Some(place) => stems.get_mut(place),
            None => None,
        };
        let words = match stemmer {
            Some(stemmer) => stemmer.token_stream(text),
            None => forms.token_stream(text),
        };
        CollectionStream { prefix, words, token: Token::default() }
    }
}

impl TokenStream for CollectionStream<'_> {
    fn advance(&mut self) -> bool {
        if !self.words.advance() {
            return false;
        }
        let word = self.words.token();
        self.token.offset_from = word.offset_from;
        self.token.offset_to = word.offset_to;
        self.token.position = word.position;
        self.token.text.clear();
        self.token.text.push_str(&self.prefix);
        self.token.text.push_str(&word.text);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stemming(code: &str) -> Stemming {
        Language::from_code(code).unwrap().stemming()
    }

    fn stems(text: &str) -> Vec<String> {
        all(&mut analyzer(stemming("en")), text)
    }

    #[test]
    fn words_are_compared_without_case_accents_and_endings() {
        assert_eq!(stems("Budgets for CAFÉS"), stems("budget for cafe"));
        assert_eq!(stems("cafe\u{301}s"), stems("cafés"));
        assert_eq!(stems("Lee's plan doesn't"), stems("lee plan doesn"));
        assert_eq!(stems("東京タワー").len(), 5);
        assert_eq!(stems("नमस्ते").len(), 1);
        assert_eq!(stems("kernel/id.rs: snake_case"), ["kernel", "id", "rs", "snake", "case"]);
        assert!(stems(&"x".repeat(200)).is_empty());
    }

    #[test]
    fn other_languages_have_their_own_stems() {
        for (code, left, right) in [
            ("de", "Häuser Rechnungen", "Haus Rechnung"),
            ("fr", "continuelles", "continuel"),
            ("ru", "счетами", "счета"),
            ("xx", "Żółta", "zolta"),
        ] {
            let stemming = Language::from_code(code).map_or(Stemming::NONE, Language::stemming);
            let mut analyzer = analyzer(stemming);
            assert_eq!(all(&mut analyzer, left), all(&mut analyzer, right), "{code}");
        }
        assert_eq!(all(&mut analyzer(Stemming::NONE), "Häuser CAFÉS"), ["hauser", "cafes"]);
    }

    #[test]
    fn entries_name_collection_and_language() {
        let collection = CollectionId::from_bits(7);
        let german = Language::from_code("de").unwrap();
        let entries = |mut tokenizer: CollectionWords| {
            let input = CollectionWords::input(collection, german, "Rechnungen");
            let mut stream = tokenizer.token_stream(&input);
            assert!(stream.advance());
            stream.token().text.clone()
        };
        assert_eq!(entries(CollectionWords::stems()), stem_entry(collection, german.stemming(), "rechnung"));
        assert_eq!(entries(CollectionWords::forms()), form_entry(collection, "rechnungen"));
    }

    #[test]
    fn a_phrase_does_not_reach_over_a_part_break() {
        let text = indexed_text("annual budget", None, "plan");
        let mut analyzer = analyzer(Stemming::NONE);
        let mut words = analyzer.token_stream(&text);
        let mut positions = Vec::new();
        while words.advance() {
            positions.push(words.token().position);
        }
        assert_eq!(positions, [0, 1, 2 + 2 * PART_GAP]);
    }

    proptest! {
        #[test]
        fn every_word_lies_inside_the_text(text in "\\PC{0,200}", number in 0..Stemming::COUNT) {
            let mut analyzer = analyzer(Stemming::from_number(number).unwrap());
            let mut words = analyzer.token_stream(&text);
            let mut counted = 0;
            let mut end = 0;
            while words.advance() {
                let token = words.token();
                prop_assert!(token.offset_from >= end && text.get(token.offset_from..token.offset_to).is_some());
                end = token.offset_to;
                counted += 1;
            }
            prop_assert_eq!(counted, count(&text));
        }
    }
}
