//! What BM25 must know of one collection: in an index that all collections share, other tenants' texts would move the ranks.

use std::{collections::HashMap, sync::Arc};

use moka::sync::Cache;
use plasma_kernel::CollectionId;
use tantivy::{
    DocSet as _, Searcher, SegmentReader, TERMINATED, Term,
    index::SegmentId,
    query::Bm25StatisticsProvider,
    schema::{Field, IndexRecordOption},
};

use super::{
    language::Stemming,
    text::{Fields, PARTS, STEMMING},
};

/// Pairs of a segment and a collection whose numbers are remembered, of some hundred bytes each.
const SEGMENTS_MAX: u64 = 100_000;

/// Numbers of a collection's passages in one segment, with those that were deleted since it was written: as long as they are
/// not merged away, words are counted in them too.
#[derive(Clone, Debug)]
pub(super) struct SegmentStatistics {
    passages: u64,
    words: [u64; PARTS],
    /// Passages by the number of their stemming.
    stemmings: [u64; Stemming::COUNT],
}

impl SegmentStatistics {
    const NONE: Self = Self { passages: 0, words: [0; PARTS], stemmings: [0; Stemming::COUNT] };

    fn of(segment: &SegmentReader, fields: &Fields, collection: CollectionId) -> tantivy::Result<Self> {
        let mut statistics = Self::NONE;
        let term = Term::from_field_text(fields.collection, &collection.to_string());
        let index = segment.inverted_index(fields.collection)?;
        let Some(mut passages) = index.read_postings(&term, IndexRecordOption::Basic)? else { return Ok(statistics) };
        let mut lengths = Vec::with_capacity(PARTS);
        for part in &fields.parts {
            lengths.push(segment.get_fieldnorms_reader(part.stems)?);
        }
        let stemmings = segment.fast_fields().u64(STEMMING)?;
        let mut passage = passages.doc();
        while passage != TERMINATED {
            statistics.passages += 1;
            for (words, lengths) in statistics.words.iter_mut().zip(&lengths) {
                *words += u64::from(lengths.fieldnorm(passage));
            }
            let stemming = stemmings.first(passage).and_then(|number| usize::try_from(number).ok()).unwrap_or(0);
            if let Some(number) = statistics.stemmings.get_mut(stemming) {
                *number += 1;
            }
            passage = passages.advance();
        }
        Ok(statistics)
    }

    fn add(&mut self, other: &Self) {
        self.passages += other.passages;
        for (sum, number) in self.words.iter_mut().zip(other.words) {
            *sum += number;
        }
        for (sum, number) in self.stemmings.iter_mut().zip(other.stemmings) {
            *sum += number;
        }
    }
}

/// Remembers the numbers of segments, which never change.
#[derive(Clone)]
pub(super) struct SegmentCache {
    segments: Cache<(SegmentId, CollectionId), Arc<SegmentStatistics>>,
}

impl SegmentCache {
    pub(super) fn new() -> Self {
        Self { segments: Cache::builder().max_capacity(SEGMENTS_MAX).build() }
    }

    fn get(
        &self,
        segment: &SegmentReader,
        fields: &Fields,
        collection: CollectionId,
    ) -> tantivy::Result<Arc<SegmentStatistics>> {
        let key = (segment.segment_id(), collection);
        if let Some(known) = self.segments.get(&key) {
            return Ok(known);
        }
        let counted = Arc::new(SegmentStatistics::of(segment, fields, collection)?);
        self.segments.insert(key, Arc::clone(&counted));
        Ok(counted)
    }
}

/// Numbers of one collection that BM25 needs.
#[derive(Clone, Debug)]
pub(super) struct CollectionStatistics {
    segments: SegmentStatistics,
    /// Passages with a term, of terms that were asked for already.
    frequencies: HashMap<Term, u64>,
}

impl CollectionStatistics {
    pub(super) fn new(
        searcher: &Searcher,
        fields: &Fields,
        cache: &SegmentCache,
        collection: CollectionId,
    ) -> tantivy::Result<Self> {
        let mut segments = SegmentStatistics::NONE;
        for segment in searcher.segment_readers() {
            let counted = cache.get(segment, fields, collection)?;
            segments.add(&counted);
        }
        Ok(Self { segments, frequencies: HashMap::new() })
    }

    pub(super) fn passages(&self) -> u64 {
        self.segments.passages
    }

    /// The stemmings of the collection's passages, the most frequent one first.
    pub(super) fn stemmings(&self) -> Vec<Stemming> {
        let numbers = self.segments.stemmings.iter().copied();
        let mut found: Vec<(u64, Stemming)> = numbers.zip(Stemming::all()).filter(|(number, _)| *number > 0).collect();
        found.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(&right.1)));
        found.into_iter().map(|(_, stemming)| stemming).collect()
    }

    /// Passages with a term.
    pub(super) fn frequency(&mut self, searcher: &Searcher, term: &Term) -> tantivy::Result<u64> {
        if let Some(known) = self.frequencies.get(term) {
            return Ok(*known);
        }
        let found = searcher.doc_freq(term)?;
        self.frequencies.insert(term.clone(), found);
        Ok(found)
    }
}

/// The same for BM25.
pub(super) struct Statistics<'a> {
    pub(super) searcher: &'a Searcher,
    pub(super) fields: &'a Fields,
    pub(super) collection: &'a CollectionStatistics,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, field: Field) -> tantivy::Result<u64> {
        // A part has as many forms as stems.
        let part = self.fields.parts.iter().position(|part| part.stems == field || part.forms == field);
        Ok(part.and_then(|part| self.collection.segments.words.get(part)).copied().unwrap_or(0).max(1))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.collection.segments.passages.max(1))
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        let found = match self.collection.frequencies.get(term) {
            Some(known) => *known,
            None => self.searcher.doc_freq(term)?,
        };
        // BM25 cannot take more passages with a word than there are.
        Ok(found.min(self.collection.segments.passages.max(1)))
    }
}
