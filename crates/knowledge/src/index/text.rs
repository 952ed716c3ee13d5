//! The text index: BM25 over the words of passages, by tantivy, in one directory for all collections. This file writes it;
//! [`super::text_search`] reads it.

use std::{path::Path, sync::Arc};

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result};
use tantivy::{
    Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term,
    directory::MmapDirectory,
    schema::{FAST, Field, IndexRecordOption, STRING, Schema, SchemaBuilder, TextFieldIndexing, TextOptions},
};

use super::{
    language::Language,
    text_search::TextSearcher,
    text_statistics::SegmentCache,
    words::{self, CollectionWords},
};

/// Written into every commit; another number means that the files must be built anew.
const FORMAT: &str = "2";
/// Memory that gathers new passages before they become a segment: the least that tantivy takes is 15 MB.
const WRITER_BYTES: usize = 20_000_000;

const COLLECTION: &str = "collection";
const DOCUMENT: &str = "document";
pub(super) const DOCUMENT_HIGH: &str = "document_high";
pub(super) const DOCUMENT_LOW: &str = "document_low";
pub(super) const VERSION: &str = "version";
pub(super) const ORDINAL: &str = "ordinal";
/// The number of the stemming of the passage's language.
pub(super) const STEMMING: &str = "stemming";

/// Parts of a passage that are fields of their own: its document's title, the headings that it stands under, its text.
pub(crate) const PARTS: usize = 3;
const PART_NAMES: [(&str, &str); PARTS] =
    [("title", "title_forms"), ("heading", "heading_forms"), ("text", "text_forms")];

/// A passage to index.
pub(super) struct TextEntry {
    pub(super) collection: CollectionId,
    pub(super) document: KnowledgeDocumentId,
    pub(super) version: u32,
    pub(super) ordinal: u32,
    pub(super) language: Language,
    pub(super) title: Arc<str>,
    pub(super) heading: Option<String>,
    pub(super) text: String,
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

/// The fields of one part.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) stems: Field,
    pub(super) forms: Field,
}

#[derive(Clone, Copy)]
pub(super) struct Fields {
    pub(super) collection: Field,
    document: Field,
    pub(super) parts: [Part; PARTS],
    document_high: Field,
    document_low: Field,
    version: Field,
    ordinal: Field,
    stemming: Field,
}

fn words_field(schema: &mut SchemaBuilder, name: &str, tokenizer: &str, option: IndexRecordOption) -> Field {
    let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option);
    schema.add_text_field(name, TextOptions::default().set_indexing_options(indexing))
}

fn schema() -> (Schema, Fields) {
    let mut schema = Schema::builder();
    let fields = Fields {
        collection: schema.add_text_field(COLLECTION, STRING),
        document: schema.add_text_field(DOCUMENT, STRING),
        parts: PART_NAMES.map(|(stems, forms)| Part {
            stems: words_field(&mut schema, stems, words::STEMS, IndexRecordOption::WithFreqsAndPositions),
            forms: words_field(&mut schema, forms, words::FORMS, IndexRecordOption::WithFreqs),
        }),
        document_high: schema.add_u64_field(DOCUMENT_HIGH, FAST),
        document_low: schema.add_u64_field(DOCUMENT_LOW, FAST),
        version: schema.add_u64_field(VERSION, FAST),
        ordinal: schema.add_u64_field(ORDINAL, FAST),
        stemming: schema.add_u64_field(STEMMING, FAST),
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
        index.tokenizers().register(words::STEMS, CollectionWords::stems());
        index.tokenizers().register(words::FORMS, CollectionWords::forms());
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
        let parts = [&*entry.title, entry.heading.as_deref().unwrap_or_default(), entry.text.as_str()];
        for (part, text) in self.fields.parts.iter().zip(parts).filter(|(_, text)| !text.is_empty()) {
            let input = CollectionWords::input(entry.collection, entry.language, text);
            document.add_text(part.stems, &input);
            document.add_text(part.forms, &input);
        }
        document.add_u64(self.fields.document_high, u64::try_from(bits >> 64).unwrap_or(0));
        document.add_u64(self.fields.document_low, low_bits(entry.document));
        document.add_u64(self.fields.version, u64::from(entry.version));
        document.add_u64(self.fields.ordinal, u64::from(entry.ordinal));
        document.add_u64(self.fields.stemming, entry.language.stemming().number() as u64);
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
        TextReader { reader: self.reader.clone(), fields: self.fields, segments: SegmentCache::new() }
    }
}

/// The reading half of a [`TextIndex`].
#[derive(Clone)]
pub(super) struct TextReader {
    reader: IndexReader,
    fields: Fields,
    segments: SegmentCache,
}

impl TextReader {
    /// Lets new searchers see the last commit.
    pub(super) fn reload(&self) -> Result<()> {
        self.reader.reload().map_err(failed)
    }

    /// The index as of the last reload.
    pub(super) fn searcher(&self) -> TextSearcher {
        TextSearcher::new(self.reader.searcher(), self.fields, self.segments.clone())
    }
}

/// The lower half of a document's id: 64 of its random bits.
pub(crate) fn low_bits(document: KnowledgeDocumentId) -> u64 {
    u64::try_from(document.bits() & u128::from(u64::MAX)).unwrap_or(0)
}
