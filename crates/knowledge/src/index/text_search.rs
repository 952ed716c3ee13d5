//! Reads the text index: one collection's passages at a time.

use std::collections::HashSet;

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result};
use tantivy::{
    DocAddress, DocId, DocSet as _, Score, Searcher, SegmentOrdinal, SegmentReader, Term,
    collector::{Collector, FilterCollector, SegmentCollector, TopDocs},
    columnar::Column,
    query::{EnableScoring, Query},
};

use super::{
    PassageKey,
    language::Stemming,
    text::{DOCUMENT_HIGH, DOCUMENT_LOW, Fields, ORDINAL, PARTS, Part, VERSION, failed},
    text_statistics::{CollectionStatistics, SegmentCache, Statistics},
    text_terms::{self, NearForm},
    words,
};
use crate::search::allowed::AllowedLows;

/// A passage that a query found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TextHit {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) ordinal: u32,
    /// BM25, summed over the fields.
    pub(crate) score: f32,
    /// Where this searcher has it.
    pub(crate) address: DocAddress,
}

/// A consistent view of the index.
pub(crate) struct TextSearcher {
    searcher: Searcher,
    fields: Fields,
    segments: SegmentCache,
}

impl TextSearcher {
    pub(super) fn new(searcher: Searcher, fields: Fields, segments: SegmentCache) -> Self {
        Self { searcher, fields, segments }
    }

    /// The part of the index that belongs to one collection.
    pub(crate) fn collection(&self, id: CollectionId) -> Result<CollectionText<'_>> {
        let statistics = CollectionStatistics::new(&self.searcher, &self.fields, &self.segments, id).map_err(failed)?;
        Ok(CollectionText { index: self, id, statistics })
    }
}

/// One collection in the index.
pub(crate) struct CollectionText<'a> {
    index: &'a TextSearcher,
    id: CollectionId,
    statistics: CollectionStatistics,
}

impl CollectionText<'_> {
    /// Passages, with some that were deleted a short time ago.
    pub(crate) fn passages(&self) -> u64 {
        self.statistics.passages()
    }

    /// How the words of the collection's passages are reduced, the most frequent way first.
    pub(crate) fn stemmings(&self) -> Vec<Stemming> {
        self.statistics.stemmings()
    }

    /// The entry of a stem in a part; `None` when no passage has it.
    pub(crate) fn stem_term(&mut self, part: usize, stemming: Stemming, stem: &str) -> Result<Option<Term>> {
        let Some(part) = self.part(part) else { return Ok(None) };
        self.present(Term::from_field_text(part.stems, &words::stem_entry(self.id, stemming, stem)))
    }

    /// The entry of a form in a part; `None` when no passage has it.
    pub(crate) fn form_term(&mut self, part: usize, form: &str) -> Result<Option<Term>> {
        let Some(part) = self.part(part) else { return Ok(None) };
        self.present(Term::from_field_text(part.forms, &words::form_entry(self.id, form)))
    }

    fn part(&self, part: usize) -> Option<Part> {
        self.index.fields.parts.get(part).copied()
    }

    fn present(&mut self, term: Term) -> Result<Option<Term>> {
        let frequency = self.statistics.frequency(&self.index.searcher, &term).map_err(failed)?;
        Ok((frequency > 0).then_some(term))
    }

    /// Passages that have one of these stems in the part where they are most frequent.
    pub(crate) fn frequency(&mut self, stems: &[(Stemming, String)]) -> Result<u64> {
        let mut most = 0;
        for part in 0..PARTS {
            let mut passages = 0;
            for (stemming, stem) in stems {
                if let Some(term) = self.stem_term(part, *stemming, stem)? {
                    passages += self.statistics.frequency(&self.index.searcher, &term).map_err(failed)?;
                }
            }
            most = most.max(passages);
        }
        Ok(most)
    }

    /// Whether some passage has the form.
    pub(crate) fn has_form(&mut self, form: &str) -> Result<bool> {
        for part in 0..PARTS {
            if self.form_term(part, form)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The forms that begin with `prefix`: at most `limit`, those in the most passages.
    pub(crate) fn beginning_with(&self, prefix: &str, limit: usize) -> Result<Vec<String>> {
        let TextSearcher { searcher, fields, .. } = self.index;
        text_terms::beginning_with(searcher, fields, self.id, prefix, limit).map_err(failed)
    }

    /// The forms nearest to a word: at most `distance_max` letters away, and `limit` of them.
    pub(crate) fn near(&self, word: &str, distance_max: u8, limit: usize) -> Result<Vec<NearForm>> {
        let TextSearcher { searcher, fields, .. } = self.index;
        text_terms::near(searcher, fields, self.id, word, distance_max, limit).map_err(failed)
    }

    /// The best `limit` passages for `query`, best first; only of documents whose [`super::low_bits`] are `allowed`.
    pub(crate) fn search(&self, query: &dyn Query, limit: usize, allowed: Option<AllowedLows>) -> Result<Vec<TextHit>> {
        let top = TopDocs::with_limit(limit.max(1)).order_by_score();
        let found = match allowed {
            None => self.collect(query, &top),
            Some(allowed) => {
                let filter = move |document: u64| allowed(document);
                self.collect(query, &FilterCollector::new(DOCUMENT_LOW.to_owned(), filter, top))
            }
        }?;
        found.into_iter().map(|(score, address)| self.hit(score, address)).collect()
    }

    /// What a query gives to each of these passages: 0 where it does not find one.
    pub(crate) fn scores(&self, query: &dyn Query, passages: &[DocAddress]) -> Result<Vec<f32>> {
        let TextSearcher { searcher, fields, .. } = self.index;
        let statistics = Statistics { searcher, fields, collection: &self.statistics };
        let scoring = EnableScoring::Enabled { searcher, statistics_provider: &statistics };
        let weight = query.weight(scoring).map_err(failed)?;
        let score = |address: &DocAddress| -> tantivy::Result<f32> {
            let mut scorer = weight.scorer(searcher.segment_reader(address.segment_ord), 1.0)?;
            // It stands on the first passage that it finds, and only goes forward.
            let found = scorer.doc() <= address.doc_id && scorer.seek(address.doc_id) == address.doc_id;
            Ok(if found { scorer.score() } else { 0.0 })
        };
        passages.iter().map(|address| score(address).map_err(failed)).collect()
    }

    /// All passages that match, whatever their score, by the bits of their [`PassageKey`].
    pub(crate) fn passages_matching(&self, query: &dyn Query) -> Result<HashSet<u128>> {
        self.collect(query, &KeyCollector { passages: true })
    }

    /// The low bits of all documents that have a passage that matches.
    pub(crate) fn documents_matching(&self, query: &dyn Query) -> Result<HashSet<u64>> {
        let keys = self.collect(query, &KeyCollector { passages: false })?;
        Ok(keys.into_iter().filter_map(|key| u64::try_from(key >> 64).ok()).collect())
    }

    fn collect<C: Collector>(&self, query: &dyn Query, collector: &C) -> Result<C::Fruit> {
        let TextSearcher { searcher, fields, .. } = self.index;
        let statistics = Statistics { searcher, fields, collection: &self.statistics };
        searcher.search_with_statistics_provider(query, collector, &statistics).map_err(failed)
    }

    fn hit(&self, score: f32, address: DocAddress) -> Result<TextHit> {
        let columns = self.index.searcher.segment_reader(address.segment_ord).fast_fields();
        let number = |name: &str| -> Result<u64> {
            let column = columns.u64(name).map_err(failed)?;
            column.first(address.doc_id).ok_or_else(|| Error::internal(format!("the text index lacks {name}")))
        };
        let narrow =
            |number: u64| u32::try_from(number).map_err(|_| Error::internal("the text index holds a wrong number"));
        let bits = (u128::from(number(DOCUMENT_HIGH)?) << 64) | u128::from(number(DOCUMENT_LOW)?);
        Ok(TextHit {
            document: KnowledgeDocumentId::from_bits(bits),
            version: narrow(number(VERSION)?)?,
            ordinal: narrow(number(ORDINAL)?)?,
            score,
            address,
        })
    }
}

/// Collects the keys of all passages that match, or of all documents (with zeros for version and ordinal).
struct KeyCollector {
    passages: bool,
}

struct KeySegmentCollector {
    document: Column<u64>,
    version_and_ordinal: Option<(Column<u64>, Column<u64>)>,
    keys: HashSet<u128>,
}

impl Collector for KeyCollector {
    type Fruit = HashSet<u128>;
    type Child = KeySegmentCollector;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<KeySegmentCollector> {
        let columns = segment.fast_fields();
        let version_and_ordinal =
            if self.passages { Some((columns.u64(VERSION)?, columns.u64(ORDINAL)?)) } else { None };
        Ok(KeySegmentCollector { document: columns.u64(DOCUMENT_LOW)?, version_and_ordinal, keys: HashSet::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<HashSet<u128>>) -> tantivy::Result<HashSet<u128>> {
        Ok(segments.into_iter().flatten().collect())
    }
}

impl SegmentCollector for KeySegmentCollector {
    type Fruit = HashSet<u128>;

    fn collect(&mut self, passage: DocId, _: Score) {
        let Some(document) = self.document.first(passage) else { return };
        let (version, ordinal) = match &self.version_and_ordinal {
            Some((version, ordinal)) => (version.first(passage), ordinal.first(passage)),
            None => (None, None),
        };
        let narrow = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let key = PassageKey { document_low: document, version: narrow(version), ordinal: narrow(ordinal) };
        self.keys.insert(key.bits());
    }

    fn harvest(self) -> HashSet<u128> {
        self.keys
    }
}
