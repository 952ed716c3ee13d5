//! The text index: BM25 over the words of passages, by tantivy, in one directory for all collections.

use std::path::Path;

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, Searcher, TantivyDocument, TantivyError, Term,
    collector::{Collector, FilterCollector, TopDocs},
    directory::MmapDirectory,
    query::{Bm25StatisticsProvider, Query},
    schema::{FAST, Field, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions},
};

use super::words::{self, CollectionWords};
use crate::search::allowed::AllowedLows;

/// Written into every commit; another number means that the files must be built anew.
const FORMAT: &str = "1";
/// Memory that gathers new passages before they become a segment: the least that tantivy takes is 15 MB.
const WRITER_BYTES: usize = 20_000_000;

const COLLECTION: &str = "collection";
const DOCUMENT: &str = "document";
const WORDS: &str = "words";
const DOCUMENT_HIGH: &str = "document_high";
const DOCUMENT_LOW: &str = "document_low";
const VERSION: &str = "version";
const ORDINAL: &str = "ordinal";

/// A passage to index.
pub(super) struct TextEntry {
    pub(super) collection: CollectionId,
    pub(super) document: KnowledgeDocumentId,
    pub(super) version: u32,
    pub(super) ordinal: u32,
    /// As [`words::indexed_text`] makes it.
    pub(super) text: String,
}

/// A passage that a query found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TextHit {
    pub(crate) document: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) ordinal: u32,
    /// BM25.
    pub(crate) score: f32,
}

/// Numbers of one collection that BM25 needs: those of the shared index would let other tenants' texts move the ranks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CollectionStatistics {
    pub(crate) passages: u64,
    pub(crate) words: u64,
}

/// What a commit says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    /// The database that it was built from.
    pub(super) identity: String,
    /// The event log's position up to which it has everything, as text.
    pub(super) position: String,
}

impl Payload {
    fn to_text(&self) -> String {
        format!("{FORMAT} {} {}", self.identity, self.position)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (format, identity, position) = (parts.next()?, parts.next()?, parts.next()?);
        (format == FORMAT && parts.next().is_none())
            .then(|| Self { identity: identity.to_owned(), position: position.to_owned() })
    }
}

#[derive(Clone, Copy)]
struct Fields {
    collection: Field,
    document: Field,
    words: Field,
    document_high: Field,
    document_low: Field,
    version: Field,
    ordinal: Field,
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer(words::TOKENIZER)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    let fields = Fields {
        collection: schema.add_text_field(COLLECTION, STRING),
        document: schema.add_text_field(DOCUMENT, STRING),
        words: schema.add_text_field(WORDS, TextOptions::default().set_indexing_options(words)),
        document_high: schema.add_u64_field(DOCUMENT_HIGH, FAST),
        document_low: schema.add_u64_field(DOCUMENT_LOW, FAST),
        version: schema.add_u64_field(VERSION, FAST),
        ordinal: schema.add_u64_field(ORDINAL, FAST),
    };
    (schema.build(), fields)
}

pub(super) fn failed(error: TantivyError) -> Error {
    Error::unavailable("text_index_failed", "the text index failed")
        .remedy("check the free space and permissions of the data directory; the index builds itself anew")
        .source(error)
}

/// An open index. Writing is for one task at a time; reading is for all.
pub(super) struct TextIndex {
    writer: IndexWriter,
    reader: IndexReader,
    fields: Fields,
}

impl TextIndex {
    /// Makes an empty index in an empty folder.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let directory = MmapDirectory::open(folder).map_err(|error| failed(error.into()))?;
        let (schema, _) = schema();
        Self::with(Index::open_or_create(directory, schema).map_err(failed)?)
    }

    /// Opens the index in `folder` after checking every file; `None` when there is none, or it is damaged or of another
    /// format.
    pub(super) fn open(folder: &Path) -> Result<Option<(Self, Payload)>> {
        let Ok(index) = Index::open_in_dir(folder) else { return Ok(None) };
        let (expected, _) = schema();
        if index.schema() != expected || !index.validate_checksum().is_ok_and(|damaged| damaged.is_empty()) {
            return Ok(None);
        }
        let Some(payload) = index.load_metas().ok().and_then(|metas| metas.payload) else { return Ok(None) };
        let Some(payload) = Payload::from_text(&payload) else { return Ok(None) };
        Ok(Some((Self::with(index)?, payload)))
    }

    fn with(index: Index) -> Result<Self> {
        index.tokenizers().register(words::TOKENIZER, CollectionWords::new());
        let (_, fields) = schema();
        let writer = index.writer_with_num_threads(1, WRITER_BYTES).map_err(failed)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into().map_err(failed)?;
        Ok(Self { writer, reader, fields })
    }

    /// Removes a document's passages that were added before, at the next commit.
    pub(super) fn remove_document(&self, document: KnowledgeDocumentId) {
        self.writer.delete_term(Term::from_field_text(self.fields.document, &document.to_string()));
    }

    /// Removes a collection's passages that were added before, at the next commit.
    pub(super) fn remove_collection(&self, collection: CollectionId) {
        self.writer.delete_term(Term::from_field_text(self.fields.collection, &collection.to_string()));
    }

    /// Adds a passage, at the next commit. Blocks while the indexing thread is behind.
    pub(super) fn add(&self, entry: &TextEntry) -> Result<()> {
        let bits = entry.document.bits();
        let mut document = TantivyDocument::new();
        document.add_text(self.fields.collection, entry.collection.to_string());
        document.add_text(self.fields.document, entry.document.to_string());
        document.add_text(self.fields.words, CollectionWords::input(entry.collection, &entry.text));
        document.add_u64(self.fields.document_high, u64::try_from(bits >> 64).unwrap_or(0));
        document.add_u64(self.fields.document_low, low_bits(entry.document));
        document.add_u64(self.fields.version, u64::from(entry.version));
        document.add_u64(self.fields.ordinal, u64::from(entry.ordinal));
        self.writer.add_document(document).map(drop).map_err(failed)
    }

    /// Makes everything durable. Searchers see it after [`TextIndex::reload`].
    pub(super) fn commit(&mut self, payload: &Payload) -> Result<()> {
        let mut commit = self.writer.prepare_commit().map_err(failed)?;
        commit.set_payload(&payload.to_text());
        commit.commit().map(drop).map_err(failed)
    }

    /// What reads this index: it keeps working when the writer is gone.
    pub(super) fn text_reader(&self) -> TextReader {
        TextReader { reader: self.reader.clone(), fields: self.fields }
    }
}

/// The reading half of a [`TextIndex`].
#[derive(Clone)]
pub(super) struct TextReader {
    reader: IndexReader,
    fields: Fields,
}

impl TextReader {
    /// Lets new searchers see the last commit.
    pub(super) fn reload(&self) -> Result<()> {
        self.reader.reload().map_err(failed)
    }

    /// The index as of the last reload.
    pub(super) fn searcher(&self) -> TextSearcher {
        TextSearcher { searcher: self.reader.searcher(), words: self.fields.words }
    }
}

/// The lower half of a document's id: 64 of its random bits.
pub(crate) fn low_bits(document: KnowledgeDocumentId) -> u64 {
    u64::try_from(document.bits() & u128::from(u64::MAX)).unwrap_or(0)
}

/// A consistent view of the index.
pub(crate) struct TextSearcher {
    searcher: Searcher,
    words: Field,
}

struct Statistics<'a> {
    searcher: &'a Searcher,
    collection: CollectionStatistics,
}

impl Bm25StatisticsProvider for Statistics<'_> {
    fn total_num_tokens(&self, _field: Field) -> tantivy::Result<u64> {
        Ok(self.collection.words.max(1))
    }

    fn total_num_docs(&self) -> tantivy::Result<u64> {
        Ok(self.collection.passages.max(1))
    }

    fn doc_freq(&self, term: &Term) -> tantivy::Result<u64> {
        // Deleted passages count until their segment is merged, and BM25 cannot take more passages with a word than there are.
        Ok(self.searcher.doc_freq(term)?.min(self.collection.passages.max(1)))
    }
}

impl TextSearcher {
    /// The field that queries ask.
    pub(crate) fn words(&self) -> Field {
        self.words
    }

    /// The best `limit` passages for `query`, best first; only of documents whose [`low_bits`] are `allowed`.
    pub(crate) fn search(
        &self,
        query: &dyn Query,
        statistics: CollectionStatistics,
        limit: usize,
        allowed: Option<AllowedLows>,
    ) -> Result<Vec<TextHit>> {
        let top = TopDocs::with_limit(limit.max(1)).order_by_score();
        match allowed {
            None => self.collect(query, statistics, &top),
            Some(allowed) => {
                let filter = move |document: u64| allowed(document);
                self.collect(query, statistics, &FilterCollector::new(DOCUMENT_LOW.to_owned(), filter, top))
            }
        }
    }

    fn collect(
        &self,
        query: &dyn Query,
        statistics: CollectionStatistics,
        collector: &impl Collector<Fruit = Vec<(f32, tantivy::DocAddress)>>,
    ) -> Result<Vec<TextHit>> {
        let statistics = Statistics { searcher: &self.searcher, collection: statistics };
        let found = self.searcher.search_with_statistics_provider(query, collector, &statistics).map_err(failed)?;
        found.into_iter().map(|(score, address)| self.hit(score, address)).collect()
    }

    fn hit(&self, score: f32, address: tantivy::DocAddress) -> Result<TextHit> {
        let columns = self.searcher.segment_reader(address.segment_ord).fast_fields();
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
        })
    }
}
