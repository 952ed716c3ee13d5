//! The half of a search that goes by words: its settings, and what it asks the text index.

use std::{collections::HashSet, sync::Arc};

use plasma_kernel::{CollectionId, Error, Result};
use serde::{Deserialize, Serialize};

use super::{SearchMode, allowed::AllowedLows};
use crate::{
    index::{
        CollectionText, PARTS, PassageKey, SnapshotText, TextHit,
        query::TextQuery,
        query_build::{Clauses, Signs},
        query_resolve::{ResolvedQuery, TextOptions},
    },
    limits,
    synonyms::Synonyms,
};

/// Factors of title, heading and text where nobody says otherwise: a title says what all of its passages are about.
const BOOSTS_DEFAULT: [f32; PARTS] = [2.0, 1.5, 1.0];

/// How much a word counts by where it stands: 0 (not at all) to 10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Boosts {
    /// In the document's title; 2 when absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10)]
    pub title: Option<f32>,
    /// In the headings that the passage stands under; 1.5 when absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10)]
    pub heading: Option<f32>,
    /// In the passage's text; 1 when absent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10)]
    pub text: Option<f32>,
}

impl Boosts {
    /// The factors, with those that are absent.
    ///
    /// # Errors
    /// `invalid` naming the field.
    fn factors(self) -> Result<[f32; PARTS]> {
        let given = [("title", self.title), ("heading", self.heading), ("text", self.text)];
        let mut factors = BOOSTS_DEFAULT;
        for ((name, given), factor) in given.into_iter().zip(&mut factors) {
            let Some(given) = given else { continue };
            if !(0.0..=limits::BOOST_MAX).contains(&given) {
                return Err(Error::invalid(
                    format!("boosts.{name}"),
                    format!("must be 0 to {}, got {given}", limits::BOOST_MAX),
                ));
            }
            *factor = given;
        }
        Ok(factors)
    }
}

/// When words near to a typed one are looked for as well: a letter added, left out, replaced or swapped with its neighbor in a word
/// of 4 letters or more, two in one of 8 or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TypoTolerance {
    /// For words that no passage of the collection has.
    #[default]
    Auto,
    /// For every word.
    Always,
    /// Never.
    Off,
}

/// What a word was taken for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Correction {
    /// As it was typed, in lower case.
    pub from: String,
    /// A word that the collection has, in lower case and without accents.
    pub to: String,
}

/// What a request says about words.
pub(crate) struct WordSettings {
    pub(crate) boosts: Option<Boosts>,
    pub(crate) typo: Option<TypoTolerance>,
}

impl WordSettings {
    /// Checks the settings.
    ///
    /// # Errors
    /// `invalid` naming the field.
    pub(crate) fn options(self, synonyms: Arc<Synonyms>) -> Result<TextOptions> {
        Ok(TextOptions {
            boosts: self.boosts.unwrap_or_default().factors()?,
            typo: self.typo.unwrap_or_default(),
            synonyms,
        })
    }
}

/// Passages that the signs of a query (`+word`, `-word`) let through, in every mode, by the bits of their [`PassageKey`].
pub(crate) enum Allowance {
    /// All of them.
    Any,
    /// Only these.
    Only(HashSet<u128>),
    /// All but these.
    Without(HashSet<u128>),
}

impl Allowance {
    /// Whether the signs let everything through.
    pub(crate) fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }

    pub(crate) fn allows(&self, passage: PassageKey) -> bool {
        match self {
            Self::Any => true,
            Self::Only(passages) => passages.contains(&passage.bits()),
            Self::Without(passages) => !passages.contains(&passage.bits()),
        }
    }
}

fn does_not_answer(reason: &str) -> Error {
    Error::unavailable("text_index_unavailable", format!("the text index does not answer: {reason}"))
        .retry_after_ms(5_000)
        .remedy("try again in a moment; it repairs itself")
}

/// A query's words over one moment of a collection.
pub(crate) struct Lexical<'a> {
    /// `None` when the text index does not answer.
    text: Option<(CollectionText<'a>, Clauses)>,
    /// Why it does not answer.
    unavailable: Option<String>,
    pub(crate) query: ResolvedQuery,
}

impl<'a> Lexical<'a> {
    /// Resolves the query. Without the text index, only a search by words fails; others go on and are warned.
    ///
    /// # Errors
    /// `unavailable` when the text index does not answer and the mode needs it, or cannot be read.
    pub(crate) fn new(
        typed: &TextQuery,
        options: &TextOptions,
        mode: SearchMode,
        (collection, snapshot): (CollectionId, &'a SnapshotText),
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let searcher = match snapshot {
            SnapshotText::Complete(searcher) => searcher,
            SnapshotText::Incomplete(searcher) => {
                if mode != SearchMode::Vector {
                    warnings.push(
                        "the text index is being built anew: some passages are not found by their words yet".to_owned(),
                    );
                }
                searcher
            }
            SnapshotText::Unavailable(reason) => return Self::unavailable(typed, mode, reason, warnings),
        };
        let mut text = searcher.collection(collection)?;
        // Nothing is ranked by words: what they may be mistyped for would only mislead.
        let vector_only = TextOptions { typo: TypoTolerance::Off, ..options.clone() };
        let options = if mode == SearchMode::Vector { &vector_only } else { options };
        let query = ResolvedQuery::new(typed, options, &mut text)?;
        let clauses = Clauses::new(&query, options.boosts, &mut text)?;
        if mode != SearchMode::Vector {
            if query.shortened {
                warnings.push(format!("only the first {} different words were looked up", limits::QUERY_WORDS_MAX));
            }
            if query.languages_left_out {
                warnings.push(format!(
                    "words were looked up in the {} most frequent languages of the collection",
                    limits::QUERY_LANGUAGES_MAX
                ));
            }
        }
        Ok(Self { text: Some((text, clauses)), unavailable: None, query })
    }

    fn unavailable(typed: &TextQuery, mode: SearchMode, reason: &str, warnings: &mut Vec<String>) -> Result<Self> {
        match mode {
            SearchMode::Text => return Err(does_not_answer(reason)),
            SearchMode::Hybrid => {
                warnings.push(format!("results are ranked by meaning only: the text index does not answer ({reason})"))
            }
            SearchMode::Vector => {}
        }
        let query = ResolvedQuery::unresolved(typed);
        if typed.has_signs() {
            warnings.push("the signs + and - are ignored while the text index does not answer".to_owned());
        }
        Ok(Self { text: None, unavailable: Some(reason.to_owned()), query })
    }

    /// For a search that has nothing else to go by.
    ///
    /// # Errors
    /// `unavailable` when the text index does not answer.
    pub(crate) fn expect_answer(&self) -> Result<()> {
        self.unavailable.as_deref().map_or(Ok(()), |reason| Err(does_not_answer(reason)))
    }

    /// The best passages by words, best first; only of documents whose low bits are in `allowed`.
    ///
    /// # Errors
    /// `unavailable` when the text index cannot be read.
    pub(crate) fn hits(&self, limit: usize, allowed: Option<AllowedLows>) -> Result<Vec<TextHit>> {
        let Some((text, clauses)) = &self.text else { return Ok(Vec::new()) };
        match clauses.query() {
            Some(query) => text.search(&*query, limit, allowed),
            None => Ok(Vec::new()),
        }
    }

    /// The passages that the query's signs let through.
    ///
    /// # Errors
    /// `unavailable` when the text index cannot be read.
    pub(crate) fn allowance(&self) -> Result<Allowance> {
        let Some((text, clauses)) = &self.text else { return Ok(Allowance::Any) };
        Ok(match clauses.signs() {
            Signs::Any => Allowance::Any,
            Signs::Only(query) => Allowance::Only(text.passages_matching(&*query)?),
            Signs::Without(query) => Allowance::Without(text.passages_matching(&*query)?),
            Signs::Nothing => Allowance::Only(HashSet::new()),
        })
    }

    /// The low bits of the documents with a passage that the query's words find; `None` when it has no words to ask for, or the
    /// text index does not answer.
    ///
    /// # Errors
    /// `unavailable` when the text index cannot be read.
    pub(crate) fn documents(&self) -> Result<Option<HashSet<u64>>> {
        let Some((text, clauses)) = &self.text else { return Ok(None) };
        if self.query.words.is_empty() && self.query.phrases.is_empty() {
            return Ok(None);
        }
        match clauses.query() {
            Some(query) => text.documents_matching(&*query).map(Some),
            None => Ok(Some(HashSet::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boosts_are_in_their_range() {
        assert_eq!(Boosts::default().factors().unwrap(), BOOSTS_DEFAULT);
        let given = Boosts { title: Some(0.0), heading: None, text: Some(10.0) };
        assert_eq!(given.factors().unwrap(), [0.0, 1.5, 10.0]);
        for wrong in [-0.1, 10.1, f32::NAN, f32::INFINITY] {
            let error = Boosts { heading: Some(wrong), ..Boosts::default() }.factors().unwrap_err();
            assert_eq!(error.field_name(), Some("boosts.heading"));
        }
    }

    #[test]
    fn an_allowance_is_a_set_or_what_is_outside_of_it() {
        let key = |ordinal| PassageKey { document_low: 5, version: 1, ordinal };
        let set = || HashSet::from([key(7).bits()]);
        assert!(Allowance::Any.allows(key(7)) && Allowance::Any.is_any());
        assert!(Allowance::Only(set()).allows(key(7)) && !Allowance::Only(set()).allows(key(8)));
        assert!(!Allowance::Without(set()).allows(key(7)) && Allowance::Without(set()).allows(key(8)));
    }
}
