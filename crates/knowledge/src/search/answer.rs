//! What a search answers.

use plasma_kernel::{ChunkId, CollectionId, KnowledgeDocumentId};
use serde::Serialize;

use super::{Correction, Facet, SearchMode};
use crate::{Metadata, nodes::ShardsReport};

/// What a search found.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SearchAnswer {
    /// The query, as it was sent.
    pub query: String,
    /// How the results are ranked: `text` instead of `hybrid` when the embedding model does not answer (see `warnings`).
    pub mode: SearchMode,
    /// How long it took.
    pub took_ms: Took,
    /// Searchable passages that the filter lets through, of documents that may be seen.
    pub total_passages: u64,
    /// Which parts of the collection answered, when its vectors are on search nodes and the search asked for them; else null.
    #[schema(required)]
    pub shards: Option<ShardsReport>,
    /// The best passages, best first.
    pub results: Vec<Hit>,
    /// What should be known about these results.
    pub warnings: Vec<String>,
    /// What mistyped words were taken for: for each of them up to three words of the collection, the most frequent one first.
    pub corrections: Vec<Correction>,
    /// The values of the fields that `facets` asks for, in the same order.
    pub facets: Vec<Facet>,
    /// Only with `on_behalf_of`: how many of the results that there are for someone who sees all the person may not see.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub withheld: Option<u64>,
    /// What was looked at, where the request asks to `explain`.
    #[schema(required)]
    pub explanation: Option<SearchExplanation>,
}

/// Where the time of a search went, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Took {
    /// All of it.
    pub total: f64,
    /// Embedding the query; near 0 when it was remembered.
    pub embedding: f64,
    /// Comparing meanings.
    pub vector: f64,
    /// Looking up words.
    pub text: f64,
    /// Making one ranking of both: fusion, signals, folding of near-identical passages, diversity.
    pub ranking: f64,
    /// Waiting for the reranker.
    pub rerank: f64,
    /// Whether the answer was remembered: then only `total` is above 0.
    pub cached: bool,
}

/// What a search looked at.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SearchExplanation {
    /// The candidates of both halves.
    pub candidates: CandidateCounts,
    /// What the filter lets through.
    pub filter: FilterExplanation,
    /// How the passages nearest by meaning were found.
    #[schema(required)]
    pub vector_effort: Option<String>,
    /// Candidates that were folded into a better one.
    pub folded: u64,
    /// Candidates that the reranker read; 0 when there is none, or it did not answer.
    pub reranked: u64,
    /// What was done, in the order in which it was done.
    pub stages: Vec<String>,
}

/// How many passages were considered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CandidateCounts {
    /// Each half proposes at most so many.
    pub limit: u64,
    /// By meaning.
    pub vector: u64,
    /// By words.
    pub text: u64,
    /// By both.
    pub both: u64,
}

/// How much of the collection may be found: what the filter lets through, of documents that may be seen.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct FilterExplanation {
    /// Whether there is a filter.
    pub filtered: bool,
    /// Passages that may be found.
    pub passages: u64,
    /// What of the passages that may be seen the filter lets through: 0 to 1, 1 without passages.
    pub selectivity: f64,
}

/// A passage that was found.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Hit {
    /// The passage.
    pub passage_id: ChunkId,
    /// Its document.
    pub document_id: KnowledgeDocumentId,
    /// Its collection.
    pub collection_id: CollectionId,
    /// The document's title.
    pub title: String,
    /// The headings that it stands under, outermost first.
    #[schema(required)]
    pub heading: Option<String>,
    /// Its text.
    pub text: String,
    /// First Unicode code point in the document's text.
    pub start: u32,
    /// Code point after the last.
    pub end: u32,
    /// Its place among the document's passages, from 0.
    pub ordinal: u32,
    /// The document's fields.
    pub metadata: Metadata,
    /// What the results are ordered by; comparable within this answer only.
    pub score: f64,
    /// Words of the query in `text`.
    pub highlights: Vec<Highlight>,
    /// Why it stands here.
    pub why: Why,
    /// Near-identical passages that were found too and are not shown, best first; at most 20.
    pub duplicates: Vec<Duplicate>,
    /// Every part of `score`, where the request asks to `explain`.
    #[schema(required)]
    pub explanation: Option<Explanation>,
}

/// A passage that says the same as a better one.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Duplicate {
    /// The passage.
    pub passage_id: ChunkId,
    /// Its document.
    pub document_id: KnowledgeDocumentId,
    /// The document's title.
    pub title: String,
    /// Its place among the document's passages, from 0.
    pub ordinal: u32,
    /// The score that it would have had.
    pub score: f64,
    /// Cosine of both vectors; null where it was told by the words alone.
    #[schema(required)]
    pub similarity: Option<f32>,
}

/// A range of a text, in Unicode code points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Highlight {
    /// First code point.
    pub start: usize,
    /// Code point after the last.
    pub end: usize,
}

/// Why a passage stands where it stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Why {
    /// In a sentence.
    pub summary: String,
    /// Its place by meaning; null when it is not among the candidates of that half.
    #[schema(required)]
    pub vector: Option<VectorReason>,
    /// Its place by words; null when it is not among the candidates of that half.
    #[schema(required)]
    pub text: Option<TextReason>,
    /// How both halves become one number: where nothing else counts (a signal, a reranker, diversity), it is `score`.
    pub fusion: Fusion,
    /// What the reranker says; null when it did not read the passage.
    #[schema(required)]
    pub rerank: Option<RerankReason>,
}

/// A place in the ranking by meaning.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct VectorReason {
    /// From 1.
    pub rank: u32,
    /// Cosine of the query's and the passage's vectors.
    pub similarity: f32,
}

/// A place in the ranking by words.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TextReason {
    /// From 1.
    pub rank: u32,
    /// BM25 over the words of this collection, summed over title, headings and text with their factors.
    pub bm25: f32,
    /// The query's words that the passage, its headings or its title have; `budget (typed bugdet)` where a word was taken for another,
    /// `television (synonym of tv)` where another means the same.
    pub terms: Vec<String>,
}

/// How a score comes about.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Fusion {
    /// With the numbers filled in.
    pub formula: String,
    /// Its result.
    pub score: f64,
}

/// A reranker's word.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RerankReason {
    /// The model's name.
    pub model: String,
    /// Its place in the model's order, from 1.
    pub rank: u32,
    /// The model's own score.
    pub score: f64,
}

/// Every part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// In the order in which they came; the `contribution`s add up to `score`.
    pub components: Vec<ScoreComponent>,
    /// The result's score.
    pub score: f64,
}

/// What a part of a score comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ComponentSource {
    /// The passage's meaning.
    Vector,
    /// The passage's words.
    Text,
    /// The reranker.
    Rerank,
    /// The document's age.
    Recency,
    /// A number of the document.
    Popularity,
    /// Likeness to better results.
    Diversity,
}

/// A part of a score.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ScoreComponent {
    /// What it comes from.
    pub source: ComponentSource,
    /// In words.
    pub summary: String,
    /// The place in the ranking of this part alone, from 1, where it has one.
    #[schema(required)]
    pub rank: Option<u32>,
    /// What was measured: a cosine, BM25, the reranker's own score, an age in days, a document's number; null where there is none.
    #[schema(required)]
    pub raw: Option<f64>,
    /// What was made of it, so that it can be compared: see `summary`.
    #[schema(required)]
    pub normalized: Option<f64>,
    /// How much it counts.
    #[schema(required)]
    pub weight: Option<f64>,
    /// What it adds to the score, or takes of it.
    pub contribution: f64,
    /// Of `text`: what each word of the query adds to BM25, which is `raw`. Empty for other sources.
    pub terms: Vec<TermScore>,
}

/// What a word of the query adds to BM25.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct TermScore {
    /// The word as it was typed, a phrase in quotes, or `other words` for what is not told one by one.
    pub term: String,
    /// What it adds in all fields.
    pub score: f64,
    /// What it adds in each field, with the field's factor; null where several words stand for one, of which the best counts.
    #[schema(required)]
    pub fields: Option<FieldScores>,
}

/// A word's score by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct FieldScores {
    /// In the document's title.
    pub title: f64,
    /// In the headings that the passage stands under.
    pub heading: f64,
    /// In the passage's text.
    pub text: f64,
}
