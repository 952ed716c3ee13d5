use std::str::FromStr;

use plasma_kernel::{Actor, CallId, ChunkId, CollectionId, DocumentId, Error, KnowledgeDocumentId, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// Where a document is on its way to readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ContentState)]
pub enum DocumentState {
    /// Being written.
    Draft,
}

impl DocumentState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
        }
    }
}

impl FromStr for DocumentState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "draft" => Ok(Self::Draft),
            _ => Err(Error::invalid("state", "must be draft")),
        }
    }
}

/// A document as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = ContentDocument)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// What it is called.
    pub title: String,
    /// Its text, in Markdown.
    pub body: String,
    /// Where it is on its way to readers.
    pub state: DocumentState,
    /// The number of its newest revision: `expected_revision` of an edit.
    pub revision: u32,
    /// What a generated document was asked to be.
    #[schema(required)]
    pub brief: Option<String>,
    /// The collection that it was generated from.
    #[schema(required)]
    pub collection_id: Option<CollectionId>,
    /// The model call that wrote its first revision.
    #[schema(required)]
    pub call_id: Option<CallId>,
    /// What its statements rest on, in the order of the text.
    pub citations: Vec<Citation>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When its newest revision was made.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// Who made its newest revision.
    pub updated_by: Actor,
}

/// A document in a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ContentDocumentSummary)]
pub struct DocumentSummary {
    /// Its id.
    pub id: DocumentId,
    /// What it is called.
    pub title: String,
    /// The beginning of its text, without Markdown: at most 240 characters.
    pub excerpt: String,
    /// Where it is on its way to readers.
    pub state: DocumentState,
    /// The number of its newest revision.
    pub revision: u32,
    /// What a generated document was asked to be.
    #[schema(required)]
    pub brief: Option<String>,
    /// The collection that it was generated from.
    #[schema(required)]
    pub collection_id: Option<CollectionId>,
    /// The model call that wrote its first revision.
    #[schema(required)]
    pub call_id: Option<CallId>,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// When its newest revision was made.
    pub updated_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// Who made its newest revision.
    pub updated_by: Actor,
}

/// A statement of a body and the place in a passage that it rests on. All offsets are Unicode code points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ContentCitation)]
pub struct Citation {
    /// The number in the text's marks, as in `[1]`.
    pub number: u32,
    /// The passage.
    pub passage_id: ChunkId,
    /// The document that the passage is from.
    pub document_id: KnowledgeDocumentId,
    /// The collection that it is in.
    pub collection_id: CollectionId,
    /// The source's title at that time.
    pub title: String,
    /// The source's words at that time.
    pub quote: String,
    /// Where the quote starts in the passage's text.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Where the statement starts in the body.
    pub body_start: u32,
    /// Where it ends.
    pub body_end: u32,
}

/// How a revision came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevisionKind {
    /// A model wrote it.
    Generated,
    /// A document began with it.
    Created,
    /// Somebody changed the text.
    Edited,
    /// An older revision was taken up again.
    Restored,
}

impl RevisionKind {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Created => "created",
            Self::Edited => "edited",
            Self::Restored => "restored",
        }
    }
}

impl FromStr for RevisionKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        [Self::Generated, Self::Created, Self::Edited, Self::Restored]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Error::invalid("kind", "must be generated, created, edited or restored"))
    }
}

/// What a document once was. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Revision {
    /// From 1.
    pub number: u32,
    /// What the document was called.
    pub title: String,
    /// What its author said about the change.
    #[schema(required)]
    pub note: Option<String>,
    /// How it came to be.
    pub kind: RevisionKind,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Actor,
    /// The model call that wrote it.
    #[schema(required)]
    pub call_id: Option<CallId>,
    /// Its text; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub body: Option<String>,
}

/// A document to make, or its new text.
#[derive(Clone, Debug)]
pub struct Text {
    /// 1 to 300 characters on one line.
    pub title: String,
    /// Markdown, at most 1 MiB.
    pub body: String,
}

/// A change of a document.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The whole new text.
    pub text: Text,
    /// The revision that the editor has seen.
    pub expected_revision: u32,
    /// What was changed, for others: at most 500 characters.
    pub note: Option<String>,
}

/// A document to generate.
#[derive(Clone, Debug)]
pub struct DraftRequest {
    /// What to write: 1 to 8,000 characters.
    pub brief: String,
    /// The collection that it may be based on: id or exact name.
    pub collection: String,
    /// The chat model; `None` for the default one.
    pub model: Option<String>,
    /// The title; `None` leaves it to the model.
    pub title: Option<String>,
}

/// Which documents a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentFilter {
    /// Only in this state.
    pub state: Option<DocumentState>,
    /// Only generated from this collection.
    pub collection: Option<CollectionId>,
}

/// How two revisions differ, line by line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Diff {
    /// The older side's number.
    pub from: u32,
    /// The newer side's number.
    pub to: u32,
    /// Both titles.
    pub title: TitleDiff,
    /// The places that differ, with up to three equal lines around them.
    pub hunks: Vec<DiffHunk>,
    /// Lines that only `to` has.
    pub added: u32,
    /// Lines that only `from` has.
    pub removed: u32,
}

/// Two titles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TitleDiff {
    /// In `from`.
    pub from: String,
    /// In `to`.
    pub to: String,
}

/// A place that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DiffHunk {
    /// The number of its first line in `from`, from 1; where nothing was there, of the line before which text was added.
    pub from_line: u32,
    /// The number of its first line in `to`, from 1.
    pub to_line: u32,
    /// Its lines in order; removed ones come before those that replace them.
    pub lines: Vec<DiffLine>,
}

/// A line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DiffLine {
    /// Which side has it.
    pub kind: DiffLineKind,
    /// Without its line break.
    pub text: String,
}

/// Which side has a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DiffLineKind {
    /// Both.
    Same,
    /// Only `from`.
    Removed,
    /// Only `to`.
    Added,
}
