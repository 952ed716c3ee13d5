use std::str::FromStr;

use bytes::Bytes;
use plasma_kernel::{ChunkId, CollectionId, Error, KnowledgeDocumentId, Result, TenantId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Access, FieldDeclarations, Metadata, RankingSettings, nodes::PlacementChoice, parse::Format};

/// Documents that are searched together.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Collection {
    /// Its id.
    pub id: CollectionId,
    /// Unique in the workspace; accepted wherever a request names a collection.
    pub name: String,
    /// What it holds, for people.
    pub description: String,
    /// The model that embeds its passages and queries.
    pub embedding_model: String,
    /// The language (ISO 639-1) that documents are taken for when their own cannot be told; null: English.
    #[schema(required)]
    pub language: Option<String>,
    /// How its results are ranked where a search does not say.
    pub ranking: RankingSettings,
    /// Types of metadata fields, by name. Fields that are not declared keep the type of their JSON.
    #[schema(value_type = std::collections::BTreeMap<String, crate::FieldDeclaration>)]
    pub fields: FieldDeclarations,
    /// Documents, in whatever state. These counts have only documents that you may see.
    pub document_count: u64,
    /// Documents whose newest version is searchable.
    pub ready_count: u64,
    /// Documents whose newest version could not be read.
    pub failed_count: u64,
    /// Searchable passages.
    pub chunk_count: u64,
    /// The share of the truly nearest passages that a search by meaning is to find.
    pub recall_target: f64,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it or a document of it last changed.
    pub updated_at: Timestamp,
}

/// How far a change of a collection's embedding model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReembeddingState {
    /// Passages are being embedded, or wait for their turn. Searches use the model from before.
    Running,
    /// Searches use the new model.
    Done,
    /// It was given up; `error` says why. Searches use the model from before.
    Failed,
    /// Somebody stopped it. Searches use the model from before.
    Cancelled,
}

impl ReembeddingState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl FromStr for ReembeddingState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Running, Self::Done, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::invalid("state", "must be running, done, failed or cancelled"))
    }
}

/// A change of a collection's embedding model.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Reembedding {
    /// The collection.
    pub collection_id: CollectionId,
    /// The number of the vectors that it makes. Those that a collection begins with have the number 0.
    pub generation: u64,
    /// The new model.
    pub model: String,
    /// How far it is.
    pub state: ReembeddingState,
    /// Passages embedded with the new model.
    pub done: u64,
    /// Searchable passages now; it grows while documents are added.
    pub total: u64,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<DocumentError>,
    /// When it was begun, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it last came further.
    pub updated_at: Timestamp,
    /// When it ended.
    #[schema(required)]
    pub ended_at: Option<Timestamp>,
}

/// The embedding model that a collection is to have.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewReembedding {
    /// Its name, at most 400 characters. The model that the collection has already embeds everything anew.
    #[schema(max_length = 400, example = "local/all-minilm-l6-v2")]
    pub model: String,
}

/// A collection to make.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCollection {
    /// 1 to 200 characters, unique in the workspace.
    pub name: String,
    /// At most 2,000 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Types of at most 64 metadata fields, by name: `{"published": {"type": "time"}}`. A document with another type is refused.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, crate::FieldDeclaration>>)]
    pub fields: Option<FieldDeclarations>,
    /// The share of the truly nearest passages that a search by meaning is to find: 0.8 to 0.999, 0.99 when absent. Searches of
    /// large collections try as hard as it needs.
    #[serde(default)]
    #[schema(minimum = 0.8, maximum = 0.999)]
    pub recall_target: Option<f64>,
    /// The language (ISO 639-1) that documents are taken for when their own cannot be told; English when absent.
    #[serde(default)]
    pub language: Option<String>,
}

/// What to change of a collection; absent fields stay.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectionChange {
    /// 1 to 200 characters, unique in the workspace.
    #[serde(default)]
    pub name: Option<String>,
    /// At most 2,000 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// How its results are ranked where a search does not say: takes the place of all that was set before.
    #[serde(default)]
    pub ranking: Option<RankingSettings>,
    /// All declared types of metadata fields; those that are left out are declared no more. Documents that are there keep the
    /// values that they have.
    #[serde(default)]
    #[schema(value_type = Option<std::collections::BTreeMap<String, crate::FieldDeclaration>>)]
    pub fields: Option<FieldDeclarations>,
    /// 0.8 to 0.999. The index adapts in the background.
    #[serde(default)]
    #[schema(minimum = 0.8, maximum = 0.999)]
    pub recall_target: Option<f64>,
    /// The language (ISO 639-1) that documents are taken for when their own cannot be told. It holds for documents that are read
    /// from then on.
    #[serde(default)]
    pub language: Option<String>,
    /// Where its vectors are to be: search nodes, or null for the processes' own indexes. Begins a move in the background, during
    /// which the old place answers; the present place ends a move that is under way.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<PlacementChoice>)]
    pub placement: Option<Option<PlacementChoice>>,
}

/// Tells null from an absent field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<PlacementChoice>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// How far a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentState {
    /// Waits for its turn.
    Queued,
    /// Its text is being extracted.
    Parsing,
    /// Its passages are being embedded.
    Embedding,
    /// Searchable.
    Ready,
    /// Could not be read; `error` says why.
    Failed,
}

impl DocumentState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Parsing => "parsing",
            Self::Embedding => "embedding",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for DocumentState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Queued, Self::Parsing, Self::Embedding, Self::Ready, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::invalid("state", "must be queued, parsing, embedding, ready or failed"))
    }
}

/// A document of a collection, as its newest version.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = KnowledgeDocument)]
pub struct Document {
    /// Its id; it stays when the document is replaced.
    pub id: KnowledgeDocumentId,
    /// Where it is.
    pub collection_id: CollectionId,
    /// The caller's own stable name, if one was given.
    #[schema(required)]
    pub key: Option<String>,
    /// What it is called in results.
    pub title: String,
    /// The uploaded file's name; null when the text came in the request.
    #[schema(required)]
    pub file_name: Option<String>,
    /// What kind of document it is, as far as its bytes tell.
    pub media_type: String,
    /// Bytes of the original.
    pub size_bytes: u64,
    /// Its own fields, for filters.
    pub metadata: Metadata,
    /// Who may see it; null: everybody who may search.
    #[schema(required)]
    pub access: Option<Access>,
    /// The language by whose rules its words are compared (ISO 639-1): as given, or as found when it was read; null before.
    #[schema(required)]
    pub language: Option<String>,
    /// How far the newest version is.
    pub state: DocumentState,
    /// Why it failed, or what it waits for.
    #[schema(required)]
    pub error: Option<DocumentError>,
    /// Only while it is being worked on or waits for its turn.
    #[schema(required)]
    pub progress: Option<DocumentProgress>,
    /// Passages that are searchable now: of the version before while a new one is being read.
    pub chunk_count: u64,
    /// Code points of the extracted text; 0 until it has been read.
    pub character_count: u64,
    /// When it was first brought, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Why a document is not searchable, or not yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DocumentError {
    /// A stable identifier.
    pub reason: String,
    /// For a person.
    pub detail: String,
    /// What to do about it.
    #[schema(required)]
    pub remedy: Option<String>,
}

/// How far a document has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DocumentProgress {
    /// Passages embedded.
    pub done: u64,
    /// Passages in all; 0 until the document has been parsed.
    pub total: u64,
    /// Always `passages`.
    pub unit: &'static str,
    /// Until the document is ready, including the documents that are before it; null until this process has measured its speed.
    #[schema(required)]
    pub seconds_left: Option<u64>,
}

/// A document to add.
#[derive(Clone, Debug)]
pub struct NewDocument {
    /// 1 to 500 characters; when absent, the document's own title or the file's name.
    pub title: Option<String>,
    /// The caller's own stable name, 1 to 200 characters: a document with the same one in the collection is replaced.
    pub key: Option<String>,
    /// Its own fields.
    pub metadata: Metadata,
    /// Who may see it. `None`: everybody who may search; for a document that is replaced, whoever may see it already.
    pub access: Option<Access>,
    /// Its language (ISO 639-1); when absent, as its text tells.
    pub language: Option<String>,
    /// Its content.
    pub content: NewContent,
}

/// Where a new document's text comes from.
#[derive(Clone, Debug)]
pub enum NewContent {
    /// Text inside the request.
    Text {
        /// How it is to be read.
        format: Format,
        /// At most 25 MiB.
        text: String,
    },
    /// A file.
    File {
        /// As the sender calls it.
        name: String,
        /// As the sender declares it; the content decides.
        media_type: Option<String>,
        /// At most 25 MiB.
        bytes: Bytes,
    },
}

/// The searchable text of a document.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct DocumentText {
    /// The text that was extracted.
    pub text: String,
    /// Its passages, in order.
    pub passages: Vec<PassageRange>,
}

/// Where a passage is in its document's text.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PassageRange {
    /// The passage.
    pub id: ChunkId,
    /// Its place among the document's passages, from 0.
    pub ordinal: u32,
    /// First Unicode code point.
    pub start: u32,
    /// Code point after the last.
    pub end: u32,
    /// The headings it stands under, from the outermost.
    #[schema(required)]
    pub heading: Option<String>,
}

/// A document's original bytes.
#[derive(Clone, Debug)]
pub struct DocumentFile {
    /// The name to save it under.
    pub name: String,
    /// What kind of document it is.
    pub media_type: String,
    /// The bytes.
    pub bytes: Bytes,
}

/// How many collections, documents and passages a tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnowledgeCounts {
    /// Collections.
    pub collections: u64,
    /// Documents in whatever state.
    pub documents: u64,
    /// Searchable passages.
    pub passages: u64,
}

/// How far a document's ingestion has come, told by the process that does it.
#[derive(Clone, Debug)]
pub struct IngestProgress {
    /// Whose document it is.
    pub tenant: TenantId,
    /// Where it is.
    pub collection: CollectionId,
    /// The document.
    pub document: KnowledgeDocumentId,
    /// How far it is.
    pub state: DocumentState,
    /// Passages embedded.
    pub done: u64,
    /// Passages in all; 0 until it has been parsed.
    pub total: u64,
    /// Until it is ready; `None` until the speed is known.
    pub seconds_left: Option<u64>,
}

/// Whether a process's text index answers.
#[derive(Clone, Debug)]
pub struct IndexStatus {
    /// It holds every searchable passage.
    pub ready: bool,
    /// What it does, for an operator.
    pub detail: String,
}
