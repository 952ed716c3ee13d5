use futures::stream::BoxStream;
use plasma_kernel::{CallId, ChunkId, CollectionId, Error, KnowledgeDocumentId, Money};
use plasma_models::Purpose;
use serde::{Deserialize, Serialize};

/// A question to a collection.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// The collection's id or exact name.
    pub collection: String,
    /// What is asked.
    #[schema(min_length = 1, max_length = 2000)]
    pub question: String,
    /// The chat model; the default one when absent.
    #[serde(default)]
    pub model: Option<String>,
    /// Passages that the model reads at most; 3 when absent. More take longer to read.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 8)]
    pub limit: Option<u32>,
    /// Conditions on the documents' metadata, as in search.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<serde_json::Map<String, serde_json::Value>>,
}

/// What a model shall do with passages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructions {
    /// Answer the question in a few sentences.
    Answer,
    /// Write a document in Markdown for the brief: a title line, then the text.
    Draft,
}

/// A text to generate from passages: the part that questions and drafts share.
#[derive(Clone, Debug)]
pub struct GroundedRequest {
    /// What to do.
    pub instructions: Instructions,
    /// The question or the brief.
    pub input: String,
    /// The chat model; `None` for the default one.
    pub model: Option<String>,
    /// What the call is recorded as.
    pub purpose: Purpose,
    /// Tokens of the text at most.
    pub max_tokens: u32,
    /// 0 is always the most likely token.
    pub temperature: f32,
}

/// What happens while a text is generated, in this order: passages, progress, tokens and citations mixed, then `Done` or
/// `Error` as the last. Dropping the stream stops the model.
#[derive(Debug)]
pub enum AskEvent {
    /// A passage that the text may cite. All passages come first.
    Passage(AskPassage),
    /// Why there is no text yet.
    Progress(AskProgress),
    /// The next piece of the text.
    Token(AskToken),
    /// A statement of the text that is complete, and the place that supports it.
    Citation(Citation),
    /// The end.
    Done(Box<AskDone>),
    /// It did not work; nothing follows.
    Error(Error),
}

/// The events of one question.
pub type AskStream = BoxStream<'static, AskEvent>;

/// A passage that an answer may cite.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AskPassage {
    /// Its number in the prompt, from 1: what `[1]` in the answer means.
    pub number: usize,
    /// Its id.
    pub passage_id: ChunkId,
    /// The document that it is from.
    pub document_id: KnowledgeDocumentId,
    /// The collection that it is in.
    pub collection_id: CollectionId,
    /// The document's title.
    pub title: String,
    /// The heading that it stands under.
    #[schema(required)]
    pub heading: Option<String>,
    /// Its text.
    pub text: String,
    /// Where it starts in the document's text, in code points.
    pub start: u32,
    /// Where it ends in the document's text, in code points.
    pub end: u32,
    /// How well it fits, as in search: higher is better.
    pub score: f64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AskStage {
    /// Searching the collection.
    Retrieving,
    /// The model is busy with others' requests; `done` is how many are before this one.
    Queued,
    /// The model is being loaded into memory.
    Loading,
    /// The model reads the prompt; `done` of `total` tokens.
    Reading,
    /// The model writes.
    Writing,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AskProgress {
    /// What is being done.
    pub stage: AskStage,
    /// How much of it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub done: Option<u64>,
    /// How much there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub total: Option<u64>,
    /// The same for a person.
    pub detail: String,
}

/// A piece of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AskToken {
    /// The piece: the pieces in order are the whole answer.
    pub text: String,
}

/// A statement and the place that supports it. All offsets are code points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Citation {
    /// The passage's number.
    pub number: usize,
    /// The passage.
    pub passage_id: ChunkId,
    /// The document that the passage is from.
    pub document_id: KnowledgeDocumentId,
    /// Where the support starts in the passage's text.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Where the statement starts in the whole answer.
    pub answer_start: usize,
    /// Where it ends, before the marks that follow it.
    pub answer_end: usize,
}

/// How many tokens a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AskUsage {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Those of them that a cache answered.
    pub cached_input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// The whole result.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct AskDone {
    /// The whole text.
    pub answer: String,
    /// The record of the model's call; null when no model was called because the collection has nothing on the question.
    #[schema(required)]
    pub call_id: Option<CallId>,
    /// The model that wrote it.
    #[schema(required)]
    pub model: Option<String>,
    /// Tokens.
    pub usage: AskUsage,
    /// Null when no price is known.
    #[schema(required)]
    pub cost: Option<Money>,
    /// From the request to the first piece of the text, in milliseconds.
    #[schema(required)]
    pub first_token_ms: Option<u64>,
    /// From the request to the end, in milliseconds.
    pub duration_ms: u64,
    /// `stop`, `length` when the text was cut at its limit, or `no_match` when no model was called.
    pub finish_reason: String,
    /// All citations.
    pub citations: Vec<Citation>,
}
