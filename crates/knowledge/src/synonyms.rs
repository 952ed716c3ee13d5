//! Words and phrases that mean the same in a collection: kept with it, and applied to queries.

use std::{collections::HashMap, ops::Range, sync::Arc};

use plasma_kernel::{CollectionId, Ctx, Error, Permission, Result, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tantivy::tokenizer::TextAnalyzer;

use crate::{
    Knowledge,
    collections::not_found,
    events,
    index::{
        language::{Language, Stemming},
        words,
    },
    limits,
    store::{
        collections::{self, StoredCollection},
        synonyms,
    },
};

/// A collection's synonyms, as they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SynonymSets {
    /// Sets of words and phrases that stand for each other, of 2 to 20 each; with `one_way` at most 1,000.
    #[serde(default)]
    #[schema(example = json!([["tv", "television"]]))]
    pub sets: Vec<Vec<String>>,
    /// Words and phrases that also find others, but not the other way around.
    #[serde(default)]
    pub one_way: Vec<OneWaySynonyms>,
}

/// What a word or a phrase also finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneWaySynonyms {
    /// What is looked for: 1 to 100 characters.
    #[schema(example = "car")]
    pub from: String,
    /// What is found as well: 1 to 20 words or phrases of 1 to 100 characters.
    #[schema(example = json!(["vehicle"]))]
    pub to: Vec<String>,
}

/// A collection's synonyms.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CollectionSynonyms {
    /// Sets of words and phrases that stand for each other.
    pub sets: Vec<Vec<String>>,
    /// Words and phrases that also find others.
    pub one_way: Vec<OneWaySynonyms>,
    /// When they were written, in microseconds since 1970 UTC; null when they never were.
    #[schema(required)]
    pub updated_at: Option<Timestamp>,
}

/// Words of a synonym, in lower case.
pub(crate) type Alternative = Vec<String>;

/// Synonyms as queries ask them.
#[derive(Debug, Default)]
pub(crate) struct Synonyms {
    stemming: Stemming,
    /// By the stems of what is looked for.
    rules: HashMap<Vec<String>, Vec<Alternative>>,
    /// Words of the longest key.
    longest: usize,
    /// Of all that they are made from.
    digest: [u8; 32],
}

/// Words of a query that have synonyms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SynonymMatch {
    /// Their places in the query.
    pub(crate) words: Range<usize>,
    pub(crate) alternatives: Vec<Alternative>,
}

impl Synonyms {
    /// Prepares synonyms; words are compared by the rules of `language`.
    pub(crate) fn new(sets: &SynonymSets, language: Language) -> Self {
        let stemming = language.stemming();
        let mut analyzers = (words::analyzer(stemming), words::analyzer(Stemming::NONE));
        // Texts in lists are always written.
        let written = serde_json::to_vec(sets).unwrap_or_default();
        let digest = Sha256::new().chain_update(language.code()).chain_update(written).finalize().into();
        let mut prepared = Self { stemming, digest, ..Self::default() };
        for set in &sets.sets {
            for (place, from) in set.iter().enumerate() {
                let others = set.iter().enumerate().filter(|(other, _)| *other != place).map(|(_, to)| to);
                prepared.add(&mut analyzers, from, others);
            }
        }
        for rule in &sets.one_way {
            prepared.add(&mut analyzers, &rule.from, rule.to.iter());
        }
        prepared
    }

    /// Differs between synonyms that differ.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn add<'a>(
        &mut self,
        (stems, forms): &mut (TextAnalyzer, TextAnalyzer),
        from: &str,
        to: impl Iterator<Item = &'a String>,
    ) {
        let key = words::all(stems, from);
        if key.is_empty() {
            return;
        }
        self.longest = self.longest.max(key.len());
        let known = self.rules.entry(key).or_default();
        for to in to {
            // Cut into words as texts are; accents stay, for the stems of some languages need them.
            let words = words::written(forms, to);
            if !words.is_empty() && !known.contains(&words) {
                known.push(words);
            }
        }
    }

    /// The words of a query that have synonyms, longest first where several begin at one word.
    pub(crate) fn matches(&self, query: &[String]) -> Vec<SynonymMatch> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        let mut analyzer = words::analyzer(self.stemming);
        let stems: Vec<String> = query.iter().map(|word| words::all(&mut analyzer, word).concat()).collect();
        let mut found = Vec::new();
        for start in 0..stems.len() {
            for end in (start + 1..=stems.len().min(start + self.longest)).rev() {
                let alternatives = stems.get(start..end).and_then(|key| self.rules.get(key));
                if let Some(alternatives) = alternatives.filter(|alternatives| !alternatives.is_empty()) {
                    found.push(SynonymMatch { words: start..end, alternatives: alternatives.clone() });
                }
            }
        }
        found
    }
}

fn check_term(field: &str, term: &str) -> Result<()> {
    let characters = term.chars().count();
    let words = words::count(term);
    if characters > limits::SYNONYM_CHARS_MAX || words == 0 || words > limits::SYNONYM_WORDS_MAX {
        return Err(Error::invalid(
            field,
            format!(
                "must have 1 to {} words and at most {} characters",
                limits::SYNONYM_WORDS_MAX,
                limits::SYNONYM_CHARS_MAX
            ),
        ));
    }
    if term.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    Ok(())
}

fn check(sets: &SynonymSets) -> Result<()> {
    let number = sets.sets.len() + sets.one_way.len();
    if number > limits::SYNONYM_SETS_MAX {
        return Err(Error::too_large(
            "sets",
            format!("has {number} sets with `one_way`; a collection has at most {}", limits::SYNONYM_SETS_MAX),
        ));
    }
    for (number, set) in sets.sets.iter().enumerate() {
        if !(2..=limits::SYNONYM_TERMS_MAX).contains(&set.len()) {
            return Err(Error::invalid(
                format!("sets.{number}"),
                format!("must have 2 to {} words or phrases", limits::SYNONYM_TERMS_MAX),
            ));
        }
        set.iter().try_for_each(|term| check_term(&format!("sets.{number}"), term))?;
    }
    for (number, rule) in sets.one_way.iter().enumerate() {
        check_term(&format!("one_way.{number}.from"), &rule.from)?;
        if !(1..=limits::SYNONYM_TERMS_MAX).contains(&rule.to.len()) {
            return Err(Error::invalid(
                format!("one_way.{number}.to"),
                format!("must have 1 to {} words or phrases", limits::SYNONYM_TERMS_MAX),
            ));
        }
        rule.to.iter().try_for_each(|term| check_term(&format!("one_way.{number}.to"), term))?;
    }
    Ok(())
}

impl Knowledge {
    /// A collection's synonyms.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn get_synonyms(&self, ctx: &Ctx, id: CollectionId) -> Result<CollectionSynonyms> {
        ctx.require(Permission::CollectionsRead)?;
        self.collection(ctx, &id.to_string()).await?;
        let found = synonyms::get(&mut self.store().read(ctx).await?, id).await?;
        let (SynonymSets { sets, one_way }, updated_at) = match found {
            Some((sets, updated_at)) => (sets, Some(updated_at)),
            None => (SynonymSets::default(), None),
        };
        Ok(CollectionSynonyms { sets, one_way, updated_at })
    }

    /// Writes a collection's synonyms, in place of those that it had. Searches that begin from now on use them: at once in
    /// this process, within about a second in others.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`; `invalid` or `too_large` naming the field.
    pub async fn put_synonyms(&self, ctx: &Ctx, id: CollectionId, sets: SynonymSets) -> Result<CollectionSynonyms> {
        ctx.require(Permission::CollectionsWrite)?;
        check(&sets)?;
        let mut tx = self.store().begin(ctx).await?;
        let Some(stored) = collections::lock(&mut tx, id).await? else { return Err(not_found(&id.to_string())) };
        let mut collection = stored.collection;
        let now = ctx.now();
        collection.updated_at = now;
        collections::update(&mut tx, &collection).await?;
        synonyms::put(&mut tx, id, &sets, now).await?;
        tx.emit(events::collection(events::COLLECTION_UPDATED, id, &collection.name)).await?;
        self.commit(tx).await?;
        Ok(CollectionSynonyms { sets: sets.sets, one_way: sets.one_way, updated_at: Some(now) })
    }

    /// The synonyms for a search, from memory when they were asked for before.
    pub(crate) async fn synonyms(&self, ctx: &Ctx, collection: &StoredCollection) -> Result<Arc<Synonyms>> {
        let id = collection.collection.id;
        // Before the reading: when the cache is dropped meanwhile, what was read goes with it.
        let cache = self.caches().of(ctx.tenant()?);
        if let Some(known) = cache.synonyms(id) {
            return Ok(known);
        }
        let found = synonyms::get(&mut self.store().read(ctx).await?, id).await?;
        let sets = found.map(|(sets, _)| sets).unwrap_or_default();
        let prepared = Arc::new(Synonyms::new(&sets, collection.language()));
        cache.remember_synonyms(id, Arc::clone(&prepared));
        Ok(prepared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sets() -> SynonymSets {
        SynonymSets {
            sets: vec![
                vec!["tv".to_owned(), "Television".to_owned()],
                vec!["usa".to_owned(), "United States".to_owned()],
            ],
            one_way: vec![OneWaySynonyms { from: "car".to_owned(), to: vec!["vehicle".to_owned()] }],
        }
    }

    fn matches(query: &[&str]) -> Vec<(Range<usize>, Vec<String>)> {
        let query: Vec<String> = query.iter().map(|word| (*word).to_owned()).collect();
        let found = Synonyms::new(&sets(), Language::default()).matches(&query);
        let shown = |found: SynonymMatch| found.alternatives.iter().map(|words| words.join(" ")).collect();
        found.into_iter().map(|found| (found.words.clone(), shown(found))).collect()
    }

    #[test]
    fn sets_go_both_ways_and_rules_one_way() {
        assert_eq!(matches(&["tv"]), [(0..1, vec!["television".to_owned()])]);
        assert_eq!(matches(&["old", "televisions"]), [(1..2, vec!["tv".to_owned()])]);
        assert_eq!(matches(&["the", "united", "states", "today"]), [(1..3, vec!["usa".to_owned()])]);
        assert_eq!(matches(&["usa"]), [(0..1, vec!["united states".to_owned()])]);
        assert_eq!(matches(&["cars"]), [(0..1, vec!["vehicle".to_owned()])]);
        assert!(matches(&["vehicle"]).is_empty() && matches(&[]).is_empty());
    }

    #[test]
    fn wrong_sets_name_their_place() {
        let field = |sets: SynonymSets| check(&sets).unwrap_err().field_name().map(str::to_owned);
        check(&sets()).unwrap();
        let one = |set: Vec<&str>| SynonymSets {
            sets: vec![set.into_iter().map(str::to_owned).collect()],
            ..SynonymSets::default()
        };
        assert_eq!(field(one(vec!["alone"])).as_deref(), Some("sets.0"));
        assert_eq!(field(one(vec!["a", "?!"])).as_deref(), Some("sets.0"));
        assert_eq!(field(one(vec!["a"; 21])).as_deref(), Some("sets.0"));
        let long = "b".repeat(101);
        assert_eq!(field(one(vec!["a", long.as_str()])).as_deref(), Some("sets.0"));
        let rule = OneWaySynonyms { from: "a".to_owned(), to: Vec::new() };
        let many = SynonymSets { sets: Vec::new(), one_way: vec![rule.clone(); 1_001] };
        assert_eq!(field(many).as_deref(), Some("sets"));
        let empty = SynonymSets { sets: Vec::new(), one_way: vec![rule] };
        assert_eq!(field(empty).as_deref(), Some("one_way.0.to"));
    }
}
