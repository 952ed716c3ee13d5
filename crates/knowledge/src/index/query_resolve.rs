//! A typed query against the words that a collection has: which words are too common to ask for, which are mistyped, what
//! `word*` stands for, and which synonyms count.

use std::{collections::HashSet, sync::Arc};

use plasma_kernel::Result;
use tantivy::tokenizer::TextAnalyzer;

use super::{
    language::{Language, Stemming},
    query::{QueryPhrase, QueryWord, Sign, TextQuery},
    text::PARTS,
    text_search::CollectionText,
    text_terms::NearForm,
    words,
};
use crate::{
    Correction, TypoTolerance, limits,
    synonyms::{Alternative, SynonymMatch, Synonyms},
};

/// From so many passages on a word's share of them tells whether it is common.
const MEASURED_PASSAGES_MIN: u64 = 100;
/// A word in more than one of so many passages is common.
const COMMON_ONE_OF: u64 = 2;
/// A word of a language's list is common only when it is in more than one of so many passages: "war" is one in German, and not
/// where it only stands in English texts.
const LISTED_ONE_OF: u64 = 20;
/// Letters of a word in which one may be wrong, and two.
const TYPO_LETTERS_MIN: usize = 4;
const TWO_TYPOS_LETTERS_MIN: usize = 8;
/// Longer words are not corrected: their automata would take megabytes.
const TYPO_LETTERS_MAX: usize = 32;
/// Corrections of one word that are told.
const CORRECTIONS_OF_WORD_MAX: usize = 3;

/// How a query's words are to be compared.
#[derive(Clone, Debug)]
pub(crate) struct TextOptions {
    /// Factors of title, heading and text; 0 leaves a field out.
    pub(crate) boosts: [f32; PARTS],
    pub(crate) typo: TypoTolerance,
    pub(crate) synonyms: Arc<Synonyms>,
}

/// A word of the query with everything that counts as it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedWord {
    /// As it was typed, in lower case.
    pub(crate) word: String,
    pub(crate) sign: Sign,
    /// Of `word*`: the form that the words begin with, and those that there are.
    pub(crate) prefix: Option<(String, Vec<String>)>,
    /// What it may be a slip of the keyboard for.
    pub(crate) near: Vec<NearForm>,
    pub(crate) synonyms: Vec<Alternative>,
}

/// Several words of the query that have synonyms together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    pub(crate) from: String,
    pub(crate) synonyms: Vec<Alternative>,
}

/// A query as the index is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedQuery {
    /// How the collection's words are reduced.
    pub(crate) stemmings: Vec<Stemming>,
    pub(crate) words: Vec<ResolvedWord>,
    pub(crate) phrases: Vec<QueryPhrase>,
    pub(crate) replacements: Vec<Replacement>,
    /// What mistyped words were taken for.
    pub(crate) corrections: Vec<Correction>,
    /// Some words were left out: the query has too many.
    pub(crate) shortened: bool,
    /// Some languages were left out: the collection has too many.
    pub(crate) languages_left_out: bool,
}

/// The analyzers of some languages.
pub(crate) struct Stemmers {
    analyzers: Vec<(Stemming, TextAnalyzer)>,
}

impl Stemmers {
    pub(crate) fn new(stemmings: &[Stemming]) -> Self {
        Self { analyzers: stemmings.iter().map(|stemming| (*stemming, words::analyzer(*stemming))).collect() }
    }

    /// The stem of a word in each language.
    pub(crate) fn stems(&mut self, word: &str) -> Vec<(Stemming, String)> {
        let stem = |(stemming, analyzer): &mut (Stemming, TextAnalyzer)| {
            words::all(analyzer, word).into_iter().next().map(|stem| (*stemming, stem))
        };
        self.analyzers.iter_mut().filter_map(stem).collect()
    }

    /// The stems of several words in each language.
    pub(crate) fn sequences(&mut self, sequence: &[&str]) -> Vec<(Stemming, Vec<String>)> {
        let stems = |(stemming, analyzer): &mut (Stemming, TextAnalyzer)| {
            let stems = sequence.iter().filter_map(|word| words::all(analyzer, word).into_iter().next());
            (*stemming, stems.collect::<Vec<String>>())
        };
        self.analyzers.iter_mut().map(stems).collect()
    }
}

impl ResolvedQuery {
    /// The query as it stands, without an index to compare it with: for marking its words in texts.
    pub(crate) fn unresolved(query: &TextQuery) -> Self {
        let stemming = Language::default().stemming();
        let only_common = query.words.iter().all(|word| stemming.is_stop_word(&word.shown));
        let kept = query.words.iter().filter(|word| only_common || word.quoted || !stemming.is_stop_word(&word.shown));
        Self {
            stemmings: vec![stemming],
            words: kept.take(limits::QUERY_WORDS_MAX).map(plain).collect(),
            phrases: query.phrases.clone(),
            shortened: query.shortened,
            ..Self::default()
        }
    }

    /// Resolves a query against a collection.
    ///
    /// # Errors
    /// `unavailable` when the text index cannot be read.
    pub(crate) fn new(query: &TextQuery, options: &TextOptions, text: &mut CollectionText<'_>) -> Result<Self> {
        let mut stemmings = text.stemmings();
        let languages_left_out = stemmings.len() > limits::QUERY_LANGUAGES_MAX;
        stemmings.truncate(limits::QUERY_LANGUAGES_MAX);
        let mut resolver = Resolver { stemmers: Stemmers::new(&stemmings), text, prefixes: 0, typos: 0 };
        let mut resolved = Self {
            stemmings,
            phrases: query.phrases.clone(),
            shortened: query.shortened,
            languages_left_out,
            ..Self::default()
        };
        for word in resolver.kept(query, &resolved.stemmings)? {
            if resolved.words.len() == limits::QUERY_WORDS_MAX {
                resolved.shortened = true;
                break;
            }
            let word = resolver.resolve(word, options.typo, &mut resolved.corrections)?;
            resolved.words.push(word);
        }
        resolved.add_synonyms(query, options.synonyms.matches(&query.sequence));
        Ok(resolved)
    }

    fn add_synonyms(&mut self, query: &TextQuery, matches: Vec<SynonymMatch>) {
        let mut left = limits::QUERY_SYNONYMS_MAX;
        for SynonymMatch { words, mut alternatives } in matches {
            alternatives.truncate(left);
            left -= alternatives.len();
            let Some(typed) = query.sequence.get(words) else { continue };
            match typed {
                [one] => {
                    for word in &mut self.words {
                        if word.word == *one && word.sign != Sign::Excluded && word.prefix.is_none() {
                            word.synonyms.clone_from(&alternatives);
                        }
                    }
                }
                several => {
                    let replacement = Replacement { from: several.join(" "), synonyms: alternatives };
                    if !self.replacements.contains(&replacement) {
                        self.replacements.push(replacement);
                    }
                }
            }
        }
        self.replacements.retain(|replacement| !replacement.synonyms.is_empty());
    }
}

fn plain(word: &QueryWord) -> ResolvedWord {
    ResolvedWord {
        word: word.shown.clone(),
        sign: word.sign,
        prefix: word.prefix.then(|| (word.form.clone(), Vec::new())),
        near: Vec::new(),
        synonyms: Vec::new(),
    }
}

struct Resolver<'a, 'b> {
    stemmers: Stemmers,
    text: &'a mut CollectionText<'b>,
    /// How many of both were looked up.
    prefixes: usize,
    typos: usize,
}

impl Resolver<'_, '_> {
    /// The words that are worth asking for: each stem once, and common ones only when there is nothing else.
    fn kept<'q>(&mut self, query: &'q TextQuery, stemmings: &[Stemming]) -> Result<Vec<&'q QueryWord>> {
        let mut kept: Vec<(&QueryWord, bool)> = Vec::new();
        let mut seen: HashSet<(Sign, Vec<(Stemming, String)>)> = HashSet::new();
        for word in &query.words {
            let stems = self.stemmers.stems(&word.shown);
            let may_be_common = word.sign == Sign::None && !word.prefix && !word.quoted;
            let common = may_be_common && self.is_common(word, &stems, stemmings)?;
            if word.prefix || stems.is_empty() || seen.insert((word.sign, stems)) {
                kept.push((word, common));
            }
        }
        let only_common = kept.iter().all(|(word, common)| *common || word.sign == Sign::Excluded);
        Ok(kept.into_iter().filter(|(_, common)| only_common || !common).map(|(word, _)| word).collect())
    }

    /// Whether a word tells passages apart too little to be asked for.
    fn is_common(&mut self, word: &QueryWord, stems: &[(Stemming, String)], stemmings: &[Stemming]) -> Result<bool> {
        let listed = stemmings.iter().any(|stemming| stemming.is_stop_word(&word.shown));
        let passages = self.text.passages();
        if passages < MEASURED_PASSAGES_MIN {
            return Ok(listed);
        }
        let frequency = self.text.frequency(stems)?;
        let one_of = if listed { LISTED_ONE_OF } else { COMMON_ONE_OF };
        Ok(frequency.saturating_mul(one_of) > passages)
    }

    fn resolve(
        &mut self,
        word: &QueryWord,
        typo: TypoTolerance,
        corrections: &mut Vec<Correction>,
    ) -> Result<ResolvedWord> {
        let mut resolved = plain(word);
        if let Some((form, forms)) = &mut resolved.prefix {
            if self.prefixes < limits::PREFIXES_MAX {
                self.prefixes += 1;
                *forms = self.text.beginning_with(form, limits::PREFIX_WORDS_MAX)?;
            }
            return Ok(resolved);
        }
        let Some(distance) = distance(word, typo) else { return Ok(resolved) };
        if typo == TypoTolerance::Auto && self.is_known(word)? {
            return Ok(resolved);
        }
        if self.typos == limits::TYPOS_MAX {
            return Ok(resolved);
        }
        self.typos += 1;
        resolved.near = self.text.near(&word.form, distance, limits::TYPO_WORDS_MAX)?;
        let told = resolved.near.iter().take(CORRECTIONS_OF_WORD_MAX);
        corrections.extend(told.map(|near| Correction { from: word.shown.clone(), to: near.form.clone() }));
        Ok(resolved)
    }

    /// Whether some passage has the word, in whatever inflection.
    fn is_known(&mut self, word: &QueryWord) -> Result<bool> {
        let stems = self.stemmers.stems(&word.shown);
        Ok(self.text.frequency(&stems)? > 0 || self.text.has_form(&word.form)?)
    }
}

/// How many letters of a word may be wrong; `None` when none may.
fn distance(word: &QueryWord, typo: TypoTolerance) -> Option<u8> {
    let letters = word.form.chars().count();
    // Other digits are another number.
    let may_be_wrong =
        typo != TypoTolerance::Off && word.sign != Sign::Excluded && word.form.chars().all(char::is_alphabetic);
    match letters {
        _ if !may_be_wrong || letters > TYPO_LETTERS_MAX => None,
        TWO_TYPOS_LETTERS_MIN.. => Some(2),
        TYPO_LETTERS_MIN.. => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(shown: &str) -> QueryWord {
        TextQuery::parse(shown).words.remove(0)
    }

    #[test]
    fn long_words_may_have_more_slips() {
        let distance = |shown: &str| distance(&word(shown), TypoTolerance::Auto);
        assert_eq!(distance("tax"), None);
        assert_eq!(distance("bugdet"), Some(1));
        assert_eq!(distance("universty"), Some(2));
        assert_eq!(distance("2025a"), None);
        assert_eq!(distance("-bugdet"), None);
        assert_eq!(super::distance(&word("bugdet"), TypoTolerance::Off), None);
    }

    #[test]
    fn common_words_are_left_out_unless_there_is_nothing_else() {
        let words = |query: &str| -> Vec<String> {
            let resolved = ResolvedQuery::unresolved(&TextQuery::parse(query));
            resolved.words.into_iter().map(|word| word.word).collect()
        };
        assert_eq!(words("What is the annual budget?"), ["annual", "budget"]);
        assert_eq!(words("to be or not to be"), ["to", "be", "or", "not"]);
        assert_eq!(words("\"the who\" albums"), ["the", "who", "albums"]);
        assert!(words(" ?! ").is_empty());
    }

    #[test]
    fn synonyms_belong_to_one_word_or_to_several() {
        let sets = crate::SynonymSets {
            sets: vec![
                vec!["tv".to_owned(), "television".to_owned()],
                vec!["usa".to_owned(), "united states".to_owned()],
            ],
            one_way: Vec::new(),
        };
        let synonyms = Synonyms::new(&sets, Language::default());
        let query = TextQuery::parse("tv in the united states");
        let mut resolved = ResolvedQuery::unresolved(&query);
        resolved.add_synonyms(&query, synonyms.matches(&query.sequence));
        assert_eq!(resolved.words[0].synonyms, [["television"]]);
        assert_eq!(resolved.replacements.len(), 1);
        assert_eq!(
            (resolved.replacements[0].from.as_str(), resolved.replacements[0].synonyms.len()),
            ("united states", 1)
        );
    }
}
