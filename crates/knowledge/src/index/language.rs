//! Languages of documents: which there are, how a text's is found, and by which rules its words are reduced.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use plasma_kernel::{Error, Result};
use tantivy::tokenizer::{
    Language as Algorithm, LowerCaser, StopWordFilter, TextAnalyzer, TokenStream as _, WhitespaceTokenizer,
};
use whatlang::Lang;

use super::words::WordSplitter;

/// Characters of a text that are looked at to tell its language.
const SAMPLE_CHARS_MAX: usize = 4_000;
/// Fewer letters tell nothing certain.
const SAMPLE_LETTERS_MIN: usize = 40;
/// The language of what cannot be told.
const DEFAULT_CODE: &str = "en";

/// Languages with a stemmer.
const STEMMED_COUNT: usize = 18;

/// Languages whose words are reduced to stems. A place in this list is written into the index: only append, and raise the text
/// index's format when anything else changes.
static STEMMED: [(&str, Lang, Algorithm); STEMMED_COUNT] = [
    ("ar", Lang::Ara, Algorithm::Arabic),
    ("da", Lang::Dan, Algorithm::Danish),
    ("nl", Lang::Nld, Algorithm::Dutch),
    ("en", Lang::Eng, Algorithm::English),
    ("fi", Lang::Fin, Algorithm::Finnish),
    ("fr", Lang::Fra, Algorithm::French),
    ("de", Lang::Deu, Algorithm::German),
    ("el", Lang::Ell, Algorithm::Greek),
    ("hu", Lang::Hun, Algorithm::Hungarian),
    ("it", Lang::Ita, Algorithm::Italian),
    ("no", Lang::Nob, Algorithm::Norwegian),
    ("pt", Lang::Por, Algorithm::Portuguese),
    ("ro", Lang::Ron, Algorithm::Romanian),
    ("ru", Lang::Rus, Algorithm::Russian),
    ("es", Lang::Spa, Algorithm::Spanish),
    ("sv", Lang::Swe, Algorithm::Swedish),
    ("ta", Lang::Tam, Algorithm::Tamil),
    ("tr", Lang::Tur, Algorithm::Turkish),
];

/// Languages that are told apart, but whose words are compared as they stand.
static UNSTEMMED: [(&str, Lang); 51] = [
    ("af", Lang::Afr),
    ("ak", Lang::Aka),
    ("am", Lang::Amh),
    ("az", Lang::Aze),
    ("be", Lang::Bel),
    ("bg", Lang::Bul),
    ("bn", Lang::Ben),
    ("ca", Lang::Cat),
    ("cs", Lang::Ces),
    ("cy", Lang::Cym),
    ("eo", Lang::Epo),
    ("et", Lang::Est),
    ("fa", Lang::Pes),
    ("gu", Lang::Guj),
    ("he", Lang::Heb),
    ("hi", Lang::Hin),
    ("hr", Lang::Hrv),
    ("hy", Lang::Hye),
    ("id", Lang::Ind),
    ("ja", Lang::Jpn),
    ("jv", Lang::Jav),
    ("ka", Lang::Kat),
    ("km", Lang::Khm),
    ("kn", Lang::Kan),
    ("ko", Lang::Kor),
    ("la", Lang::Lat),
    ("lt", Lang::Lit),
    ("lv", Lang::Lav),
    ("mk", Lang::Mkd),
    ("ml", Lang::Mal),
    ("mr", Lang::Mar),
    ("my", Lang::Mya),
    ("ne", Lang::Nep),
    ("or", Lang::Ori),
    ("pa", Lang::Pan),
    ("pl", Lang::Pol),
    ("si", Lang::Sin),
    ("sk", Lang::Slk),
    ("sl", Lang::Slv),
    ("sn", Lang::Sna),
    ("sr", Lang::Srp),
    ("te", Lang::Tel),
    ("th", Lang::Tha),
    ("tk", Lang::Tuk),
    ("tl", Lang::Tgl),
    ("uk", Lang::Ukr),
    ("ur", Lang::Urd),
    ("uz", Lang::Uzb),
    ("vi", Lang::Vie),
    ("yi", Lang::Yid),
    ("zh", Lang::Cmn),
];

/// English words that stand in every passage: tantivy's own list has few of the words that questions are made of.
const COMMON_ENGLISH: &[&str] = &[
    "a", "about", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does",
    "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "no", "not",
    "of", "on", "or", "our", "should", "so", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "to", "was", "we", "were", "what", "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// How the words of a language are reduced: by one of tantivy's stemmers, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Stemming(u8);

impl Stemming {
    /// Words as they stand, in lower case and without accents.
    pub(crate) const NONE: Self = Self(0);
    /// How many ways there are, with that of doing nothing.
    pub(crate) const COUNT: usize = STEMMED_COUNT + 1;

    /// All ways, by number.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..=STEMMED.len()).filter_map(Self::from_number)
    }

    /// The way with this number in the index.
    pub(crate) fn from_number(number: usize) -> Option<Self> {
        if number > STEMMED.len() { None } else { u8::try_from(number).ok().map(Self) }
    }

    /// Its number in the index.
    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }

    /// The stemmer.
    pub(crate) fn algorithm(self) -> Option<Algorithm> {
        self.entry().map(|(_, _, algorithm)| *algorithm)
    }

    /// What stands in front of its stems in the index.
    pub(crate) fn mark(self) -> &'static str {
        self.entry().map_or("xx", |(code, _, _)| code)
    }

    fn entry(self) -> Option<&'static (&'static str, Lang, Algorithm)> {
        STEMMED.get(self.number().checked_sub(1)?)
    }

    /// Whether a word, in lower case, is one of those that stand in nearly every text of the language.
    pub(crate) fn is_stop_word(self, word: &str) -> bool {
        STOP_WORDS.get(&self).is_some_and(|words| words.has(word))
    }
}

/// The common words of a language.
struct StopWords {
    own: HashSet<&'static str>,
    filter: Option<StopWordFilter>,
}

static STOP_WORDS: LazyLock<HashMap<Stemming, StopWords>> = LazyLock::new(|| {
    Stemming::all()
        .filter_map(|stemming| {
            let algorithm = stemming.algorithm()?;
            let own: HashSet<&str> =
                if algorithm == Algorithm::English { COMMON_ENGLISH.iter().copied().collect() } else { HashSet::new() };
            let filter = StopWordFilter::new(algorithm);
            (filter.is_some() || !own.is_empty()).then_some((stemming, StopWords { own, filter }))
        })
        .collect()
});

impl StopWords {
    fn has(&self, word: &str) -> bool {
        if self.own.contains(word) {
            return true;
        }
        // The lists can only be asked by filtering with them.
        let Some(filter) = &self.filter else { return false };
        let mut analyzer = TextAnalyzer::builder(WhitespaceTokenizer::default()).filter(filter.clone()).build();
        !word.is_empty() && !analyzer.token_stream(word).advance()
    }

    /// How many of a text's words are in the list.
    fn count(&self, text: &str) -> usize {
        let words = |mut analyzer: TextAnalyzer| {
            let mut stream = analyzer.token_stream(text);
            let mut number = 0_usize;
            while stream.advance() {
                number += 1;
            }
            number
        };
        let Some(filter) = &self.filter else { return 0 };
        let all = TextAnalyzer::builder(WordSplitter::default()).filter(LowerCaser);
        let others = TextAnalyzer::builder(WordSplitter::default()).filter(LowerCaser).filter(filter.clone());
        words(all.build()).saturating_sub(words(others.build()))
    }
}

/// A language, by its code of two letters (ISO 639-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Language {
    code: &'static str,
    stemming: Stemming,
}

impl Default for Language {
    fn default() -> Self {
        Self::from_code(DEFAULT_CODE).unwrap_or(Self { code: DEFAULT_CODE, stemming: Stemming::NONE })
    }
}

impl Language {
    /// The language with this code.
    pub(crate) fn from_code(code: &str) -> Option<Self> {
        Self::all().find(|(language, _)| language.code == code).map(|(language, _)| language)
    }

    /// The language that a caller names in `field`.
    ///
    /// # Errors
    /// `invalid` for a code that is not known.
    pub(crate) fn parse(field: &str, code: &str) -> Result<Self> {
        Self::from_code(code).ok_or_else(|| {
            let stemmed: Vec<&str> = STEMMED.iter().map(|(code, _, _)| *code).collect();
            Error::invalid(field, "must be the two letters of a language (ISO 639-1), such as `en` or `de`")
                .remedy(format!("words are reduced to their stems for {}", stemmed.join(", ")))
        })
    }

    pub(crate) fn code(self) -> &'static str {
        self.code
    }

    pub(crate) fn stemming(self) -> Stemming {
        self.stemming
    }

    fn all() -> impl Iterator<Item = (Self, Lang)> {
        let stemmed = STEMMED.iter().zip(1..).map(|((code, lang, _), number)| {
            let stemming = Stemming::from_number(number).unwrap_or_default();
            (Self { code, stemming }, *lang)
        });
        let others = UNSTEMMED.iter().map(|(code, lang)| (Self { code, stemming: Stemming::NONE }, *lang));
        stemmed.chain(others)
    }

    /// The language of a text; `fallback` when it is too short to tell, or when what it seems to be is contradicted by the
    /// common words in it.
    pub(crate) fn of(text: &str, fallback: Self) -> Self {
        let sample: String = text.chars().take(SAMPLE_CHARS_MAX).collect();
        if sample.chars().filter(|character| character.is_alphabetic()).count() < SAMPLE_LETTERS_MIN {
            return fallback;
        }
        let found = whatlang::detect(&sample).filter(whatlang::Info::is_reliable);
        let Some(found) = found.and_then(|info| Self::all().find(|(_, lang)| *lang == info.lang())) else {
            return fallback;
        };
        let found = found.0;
        if found == fallback {
            return found;
        }
        // Names, code and tables look like some language or other: its common words are the better witness.
        let common = |language: Self| STOP_WORDS.get(&language.stemming).map(|words| words.count(&sample));
        match (common(found), common(fallback)) {
            (Some(of_found), of_fallback) if of_found <= of_fallback.unwrap_or(0) => fallback,
            (None, Some(of_fallback)) if of_fallback > 0 && is_latin(&sample) => fallback,
            _ => found,
        }
    }
}

/// Whether a text's letters are mostly Latin ones, which dozens of languages share.
fn is_latin(text: &str) -> bool {
    let (mut latin, mut letters) = (0_usize, 0_usize);
    for character in text.chars().filter(|character| character.is_alphabetic()) {
        letters += 1;
        latin += usize::from(matches!(character, 'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}'));
    }
    2 * latin > letters
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> &'static str {
        Language::of(text, Language::default()).code()
    }

    #[test]
    fn paragraphs_tell_their_language() {
        assert_eq!(
            of(
                "Die Rechnungen werden am Ende des Monats verschickt, und wer nicht innerhalb von dreißig Tagen bezahlt, \
                bekommt eine Mahnung. Das gilt auch für Kunden, die schon seit vielen Jahren bei uns sind."
            ),
            "de"
        );
        assert_eq!(
            of("Les factures sont envoyées à la fin du mois, et les clients qui ne paient pas dans les trente jours \
                reçoivent un rappel. Cette règle est aussi valable pour ceux qui sont avec nous depuis des années."),
            "fr"
        );
        assert_eq!(
            of("Счета отправляются в конце месяца, и клиенты, которые не платят в течение тридцати дней, получают \
                напоминание. Это правило действует и для тех, кто работает с нами уже много лет."),
            "ru"
        );
    }

    #[test]
    fn what_cannot_be_told_is_the_fallback() {
        let german = Language::from_code("de").unwrap();
        assert_eq!(Language::of("", german), german);
        assert_eq!(Language::of("Kubernetes", german), german);
        assert_eq!(of("Pancakes are made of flour, milk and eggs."), "en");
    }

    #[test]
    fn codes_are_unique_and_known() {
        let codes: HashSet<&str> = Language::all().map(|(language, _)| language.code).collect();
        assert_eq!(codes.len(), STEMMED.len() + UNSTEMMED.len());
        assert_eq!(Language::all().map(|(_, lang)| lang).collect::<HashSet<_>>().len(), codes.len());
        for stemming in Stemming::all() {
            assert_eq!(Stemming::from_number(stemming.number()), Some(stemming));
        }
        assert_eq!(Language::parse("language", "klingon").unwrap_err().field_name(), Some("language"));
        assert_eq!(Language::default().code(), "en");
    }

    #[test]
    fn stop_words_are_those_of_the_language() {
        let stemming = |code: &str| Language::from_code(code).unwrap().stemming();
        assert!(stemming("de").is_stop_word("und") && !stemming("de").is_stop_word("the"));
        assert!(stemming("en").is_stop_word("what") && stemming("en").is_stop_word("such"));
        assert!(!stemming("pl").is_stop_word("i") && !stemming("en").is_stop_word(""));
    }
}
