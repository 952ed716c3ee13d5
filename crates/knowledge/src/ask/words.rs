//! The words that carry a text's meaning, in a form in which two texts can be compared.

use tantivy::tokenizer::{Language, LowerCaser, RawTokenizer, Stemmer, TextAnalyzer};
use unicode_segmentation::UnicodeSegmentation as _;

/// How much a word binds a statement to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    /// An ordinary word.
    Plain,
    /// A capitalized word inside a sentence, or one with capitals inside: a person, a product, an acronym.
    Name,
    /// Digits.
    Number,
}

/// One content word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Lowercase, without its English ending; digits without thousands separators.
    pub(super) stem: String,
    pub(super) kind: WordKind,
}

/// English words without content of their own. Texts in other languages are compared with all their words.
const FUNCTION_WORDS: &str = " a about above after again against all also am an and any are as at be because been before being \
    below between both but by can cannot could did do does doing don't down during each either else etc few for from further had \
    has have having he her here hers herself him himself his how however i if in into is isn't it it's its itself just let like \
    may me might more most much must my myself no nor not of off on once one only or other our ours out over own per please \
    rather same shall she should since so some such tell than that the their theirs them then there these they this those \
    though through thus to too under until up upon us use used uses using very via was we were what what's when where whether \
    which while who whom whose why will with within without would yes yet you your yours ";

/// Number words that mean the same as digits. "one" is left out: mostly it is a pronoun.
const NUMBER_WORDS: [&str; 11] =
    ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Finds content words. Holds the stemmer.
pub(super) struct Words(TextAnalyzer);

impl Words {
    pub(super) fn new() -> Self {
        Self(
            TextAnalyzer::builder(RawTokenizer::default())
                .filter(LowerCaser)
                .filter(Stemmer::new(Language::English))
                .build(),
        )
    }

    /// The content words of `text`, in order, with repetitions.
    pub(super) fn of(&mut self, text: &str) -> Vec<Word> {
        let mut found = Vec::new();
        for (index, word) in text.unicode_words().enumerate() {
            let lower = word.to_lowercase().replace('’', "'");
            if FUNCTION_WORDS.contains(&format!(" {lower} ")) {
                continue;
            }
            for part in parts(word) {
                found.extend(self.word(part, index == 0));
            }
        }
        found
    }

    fn word(&mut self, part: &str, first: bool) -> Option<Word> {
        if part.starts_with(|letter: char| letter.is_ascii_digit()) {
            return Some(Word { stem: part.replace(',', ""), kind: WordKind::Number });
        }
        // A single letter is noise, but one ideograph is a word.
        if part.len() < 2 {
            return None;
        }
        let lower = part.to_lowercase();
        if let Some(position) = NUMBER_WORDS.iter().position(|word| *word == lower) {
            return Some(Word { stem: (position + 2).to_string(), kind: WordKind::Plain });
        }
        let mut letters = part.chars();
        let capital = letters.next().is_some_and(char::is_uppercase);
        let capitals_inside = letters.any(char::is_uppercase);
        let kind = if capitals_inside || (capital && !first) { WordKind::Name } else { WordKind::Plain };
        Some(Word { stem: self.stem(&lower), kind })
    }

    fn stem(&mut self, lower: &str) -> String {
        let lower = lower.trim_end_matches("'s").trim_end_matches("’s");
        let mut stems = self.0.token_stream(lower);
        if stems.advance() { stems.token().text.clone() } else { lower.to_owned() }
    }
}

/// `50MB` is `50` and `MB`, `snake_case` two words: sources write them in both ways.
fn parts(word: &str) -> impl Iterator<Item = &str> {
    word.split('_').flat_map(|word| {
        let mut parts = Vec::new();
        let mut start = 0;
        let mut digits_before: Option<bool> = None;
        for (at, letter) in word.char_indices() {
            // The separators inside `10,000` and `1.2.3` belong to the number, those in `example.org` to the word.
            let digits = if letter.is_alphanumeric() { Some(letter.is_ascii_digit()) } else { None };
            if let (Some(before), Some(now)) = (digits_before, digits)
                && before != now
            {
                parts.push(word.get(start..at).unwrap_or_default());
                start = at;
            }
            digits_before = digits.or(digits_before);
        }
        parts.push(word.get(start..).unwrap_or_default());
        parts
            .into_iter()
            .map(|part| part.trim_matches(|letter: char| !letter.is_alphanumeric()))
            .filter(|part| !part.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stems(text: &str) -> Vec<String> {
        Words::new().of(text).into_iter().map(|word| word.stem).collect()
    }

    #[test]
    fn endings_cases_and_function_words_do_not_matter() {
        assert_eq!(stems("How are the Backups restored?"), stems("a backup is restoring"));
        assert_eq!(stems("What is it that they do with this?"), Vec::<String>::new());
        assert_eq!(stems("Plasma's größte Stärke 🎉"), ["plasma", "größte", "stärke"]);
        assert_eq!(stems("知识库"), ["知", "识", "库"]);
    }

    #[test]
    fn numbers_are_equal_however_they_are_written() {
        assert_eq!(stems("10,000 rows"), stems("10000 row"));
        assert_eq!(stems("50MB"), stems("50 mb"));
        assert_eq!(stems("three days"), stems("3 days"));
        assert_eq!(stems("version 1.2.3"), ["version", "1.2.3"]);
    }

    #[test]
    fn names_are_told_from_words() {
        let kinds: Vec<_> = Words::new()
            .of("Backups of Postgres go to SQLite in Berlin for 30 days")
            .into_iter()
            .map(|word| word.kind)
            .collect();
        use WordKind::{Name, Number, Plain};
        assert_eq!(kinds, [Plain, Name, Plain, Name, Name, Number, Plain]);
    }
}
