//! A resolved query as a query of the text index.
//!
//! A passage's score is the sum, over the words of the query and over its three fields, of BM25 times the field's factor. Where a
//! word has others beside it (what `word*` stands for, what it may be mistyped for, synonyms) the best of them counts, so that
//! many of them are not worth more than one.

use plasma_kernel::Result;
use tantivy::{
    Term,
    query::{BooleanQuery, BoostQuery, DisjunctionMaxQuery, Occur, PhraseQuery, Query, TermQuery},
    schema::IndexRecordOption,
};

use super::{
    query::Sign,
    query_resolve::{ResolvedQuery, ResolvedWord, Stemmers},
    text::PARTS,
    text_search::CollectionText,
};

/// How much more a quoted phrase counts than its words alone.
const PHRASE_BOOST: f32 = 2.0;
/// A synonym counts a little less than what was typed.
const SYNONYM_BOOST: f32 = 0.8;
/// A word that differs by one letter, and by two.
const NEAR_BOOST: f32 = 0.5;
const FAR_BOOST: f32 = 0.25;
/// Every field alike, where only finding counts.
const ALL_PARTS: [f32; PARTS] = [1.0; PARTS];

type Part = Box<dyn Query>;

/// A query in pieces.
#[derive(Default)]
pub(crate) struct Clauses {
    should: Vec<Part>,
    must: Vec<Part>,
    must_not: Vec<Part>,
    /// Something is required that no passage has.
    impossible: bool,
}

/// Which passages a query's signs let through, whatever their rank.
pub(crate) enum Signs {
    /// All of them.
    Any,
    /// Those that match.
    Only(Box<dyn Query>),
    /// Those that do not match.
    Without(Box<dyn Query>),
    /// None.
    Nothing,
}

fn any_of(mut parts: Vec<Part>) -> Option<Part> {
    if parts.len() > 1 {
        return Some(Box::new(BooleanQuery::new(parts.into_iter().map(|part| (Occur::Should, part)).collect())));
    }
    parts.pop()
}

fn best_of(mut parts: Vec<Part>) -> Option<Part> {
    if parts.len() > 1 { Some(Box::new(DisjunctionMaxQuery::new(parts))) } else { parts.pop() }
}

fn boosted(query: Part, boost: f32) -> Part {
    if boost == 1.0 { query } else { Box::new(BoostQuery::new(query, boost)) }
}

fn term(term: Term, boost: f32) -> Part {
    boosted(Box::new(TermQuery::new(term, IndexRecordOption::WithFreqs)), boost)
}

impl Clauses {
    /// Makes the pieces of a query; `boosts` are the factors of title, heading and text.
    ///
    /// # Errors
    /// `unavailable` when the text index cannot be read.
    pub(crate) fn new(query: &ResolvedQuery, boosts: [f32; PARTS], text: &mut CollectionText<'_>) -> Result<Self> {
        let mut builder = Builder { stemmers: Stemmers::new(&query.stemmings), text, boosts };
        let mut clauses = Self::default();
        for word in &query.words {
            match word.sign {
                Sign::None => clauses.should.extend(builder.word(word)?),
                Sign::Required => clauses.require(any_of(builder.word(word)?)),
                Sign::Excluded => clauses.must_not.extend(builder.excluding(|builder| builder.own(word))?),
            }
        }
        for phrase in &query.phrases {
            let words: Vec<(usize, &str)> =
                phrase.words.iter().map(|(position, word)| (*position, word.as_str())).collect();
            match phrase.sign {
                Sign::None => clauses.should.extend(builder.phrase(&words, PHRASE_BOOST)?),
                Sign::Required => clauses.require(any_of(builder.phrase(&words, PHRASE_BOOST)?)),
                Sign::Excluded => clauses.must_not.extend(builder.excluding(|builder| builder.phrase(&words, 1.0))?),
            }
        }
        for replacement in &query.replacements {
            clauses.should.extend(best_of(builder.synonyms(&replacement.synonyms)?));
        }
        Ok(clauses)
    }

    fn require(&mut self, part: Option<Part>) {
        match part {
            Some(part) => self.must.push(part),
            None => self.impossible = true,
        }
    }

    /// The query for ranking; `None` when nothing can be found.
    pub(crate) fn query(&self) -> Option<Box<dyn Query>> {
        if self.impossible || (self.should.is_empty() && self.must.is_empty()) {
            return None;
        }
        let parts = [(Occur::Should, &self.should), (Occur::Must, &self.must), (Occur::MustNot, &self.must_not)];
        let parts =
            parts.into_iter().flat_map(|(occur, parts)| parts.iter().map(move |part| (occur, part.box_clone())));
        Some(Box::new(BooleanQuery::new(parts.collect())))
    }

    /// What the signs ask for.
    pub(crate) fn signs(&self) -> Signs {
        let copies = |parts: &[Part], occur: Occur| -> Vec<(Occur, Part)> {
            parts.iter().map(|part| (occur, part.box_clone())).collect()
        };
        if self.impossible {
            return Signs::Nothing;
        }
        match (self.must.is_empty(), self.must_not.is_empty()) {
            (true, true) => Signs::Any,
            (true, false) => Signs::Without(Box::new(BooleanQuery::new(copies(&self.must_not, Occur::Should)))),
            (false, _) => {
                let mut parts = copies(&self.must, Occur::Must);
                parts.extend(copies(&self.must_not, Occur::MustNot));
                Signs::Only(Box::new(BooleanQuery::new(parts)))
            }
        }
    }
}

struct Builder<'a, 'b> {
    stemmers: Stemmers,
    text: &'a mut CollectionText<'b>,
    boosts: [f32; PARTS],
}

impl Builder<'_, '_> {
    /// A word with everything that counts as it. Without that, its parts stay apart: the index is faster with a flat sum.
    fn word(&mut self, word: &ResolvedWord) -> Result<Vec<Part>> {
        let own = self.own(word)?;
        if word.near.is_empty() && word.synonyms.is_empty() {
            return Ok(own);
        }
        let mut alternatives: Vec<Part> = any_of(own).into_iter().collect();
        for near in &word.near {
            let boost = if near.distance > 1 { FAR_BOOST } else { NEAR_BOOST };
            // Its stem finds the other inflections; its form is what is certainly there.
            alternatives.extend(any_of(self.stems(&near.form, boost)?));
            alternatives.extend(any_of(self.form(&near.form, boost)?));
        }
        alternatives.extend(self.synonyms(&word.synonyms)?);
        Ok(best_of(alternatives).into_iter().collect())
    }

    /// What was typed, and nothing else.
    fn own(&mut self, word: &ResolvedWord) -> Result<Vec<Part>> {
        let Some((_, forms)) = &word.prefix else { return self.stems(&word.word, 1.0) };
        let mut parts = Vec::new();
        for form in forms {
            parts.extend(any_of(self.form(form, 1.0)?));
        }
        Ok(best_of(parts).into_iter().collect())
    }

    fn synonyms(&mut self, synonyms: &[Vec<String>]) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for synonym in synonyms {
            let found = match synonym.as_slice() {
                [word] => self.stems(word, SYNONYM_BOOST)?,
                several => {
                    let words: Vec<(usize, &str)> = several.iter().map(String::as_str).enumerate().collect();
                    self.phrase(&words, SYNONYM_BOOST)?
                }
            };
            parts.extend(any_of(found));
        }
        Ok(parts)
    }

    /// What must not be there must be in no field, whatever the factors.
    fn excluding(&mut self, make: impl FnOnce(&mut Self) -> Result<Vec<Part>>) -> Result<Vec<Part>> {
        let boosts = std::mem::replace(&mut self.boosts, ALL_PARTS);
        let made = make(self);
        self.boosts = boosts;
        made
    }

    /// The fields that count, with their factors.
    fn parts(&self) -> Vec<(usize, f32)> {
        self.boosts.iter().copied().enumerate().filter(|(_, boost)| *boost > 0.0).collect()
    }

    /// A word's stems in each language and field.
    fn stems(&mut self, word: &str, boost: f32) -> Result<Vec<Part>> {
        let mut found = Vec::new();
        for (stemming, stem) in self.stemmers.stems(word) {
            for (part, factor) in self.parts() {
                found.extend(self.text.stem_term(part, stemming, &stem)?.map(|entry| term(entry, boost * factor)));
            }
        }
        Ok(found)
    }

    /// A form in each field.
    fn form(&mut self, form: &str, boost: f32) -> Result<Vec<Part>> {
        let mut found = Vec::new();
        for (part, factor) in self.parts() {
            found.extend(self.text.form_term(part, form)?.map(|entry| term(entry, boost * factor)));
        }
        Ok(found)
    }

    /// Words that stand together, in each language and field.
    fn phrase(&mut self, words: &[(usize, &str)], boost: f32) -> Result<Vec<Part>> {
        let written: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
        let mut found = Vec::new();
        for (stemming, stems) in self.stemmers.sequences(&written) {
            if stems.len() != words.len() || stems.len() < 2 {
                continue;
            }
            for (part, factor) in self.parts() {
                let mut entries = Vec::with_capacity(stems.len());
                for ((position, _), stem) in words.iter().zip(&stems) {
                    entries.extend(self.text.stem_term(part, stemming, stem)?.map(|entry| (*position, entry)));
                }
                if entries.len() == stems.len() {
                    found.push(boosted(Box::new(PhraseQuery::new_with_offset(entries)), boost * factor));
                }
            }
        }
        Ok(found)
    }
}
