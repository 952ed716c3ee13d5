mod explain;
mod filter;
mod hits;
mod nearest;
pub(crate) mod passages;
mod rank;
mod remote;

use std::{sync::Arc, time::Instant};

use plasma_kernel::{ChunkId, Code, CollectionId, Ctx, Error, KnowledgeDocumentId, Permission, Result};
use serde::{Deserialize, Serialize};

use crate::{
    Knowledge, Metadata,
    index::query::TextQuery,
    limits,
    nodes::ShardsReport,
    store::{collections::StoredCollection, passages::PassagePlace},
};
use filter::Filter;
use rank::{Plan, Ranked, RankedPassage, rank};

const RESULTS_DEFAULT: u32 = 10;
/// How often a search lets the two halves of the index agree before it goes on without what they differ in.
const RECHECKS_MAX: u32 = 2;

/// A search of one collection.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// The collection's id or exact name.
    pub collection: String,
    /// What is looked for, in plain words; "quoted words" count more where they stand together. At most 8,000 characters.
    pub query: String,
    /// Results at most: 1 to 100, 10 when absent.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    pub limit: Option<u32>,
    /// Conditions on the documents' metadata, all of which must hold: a value, `{"in": [values]}`, or `{"gte": n, "lte": n}`.
    #[serde(default)]
    #[schema(value_type = Option<Object>, example = json!({"team": "legal", "year": {"gte": 2024}}))]
    pub filter: Option<serde_json::Map<String, serde_json::Value>>,
    /// How passages are ranked; `hybrid` when absent.
    #[serde(default)]
    pub mode: Option<SearchMode>,
}

/// How passages are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchMode {
    /// By meaning and by words, fused by their ranks.
    #[default]
    Hybrid,
    /// By meaning only.
    Vector,
    /// By words only.
    Text,
}

/// What a search found.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SearchAnswer {
    /// The query, as it was sent.
    pub query: String,
    /// How the results are ranked: `text` instead of `hybrid` when the embedding model does not answer (see `warnings`).
    pub mode: SearchMode,
    /// How long it took.
    pub took_ms: Took,
    /// Searchable passages that the filter lets through.
    pub total_passages: u64,
    /// Which parts of the collection answered, when its vectors are on search nodes and the search asked for them; else null.
    #[schema(required)]
    pub shards: Option<ShardsReport>,
    /// The best passages, best first.
    pub results: Vec<Hit>,
    /// What should be known about these results.
    pub warnings: Vec<String>,
}

/// Where the time of a search went, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
pub struct Took {
    /// All of it.
    pub total: f64,
    /// Embedding the query; near 0 when it was remembered.
    pub embedding: f64,
    /// Comparing meanings.
    pub vector: f64,
    /// Looking up words.
    pub text: f64,
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
    /// How `score` comes about.
    pub fusion: Fusion,
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
    /// BM25 over the words of this collection.
    pub bm25: f32,
    /// The query's words that the passage, its headings or its title have.
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

impl Knowledge {
    /// Searches a collection. Sees every document that this process has reported as `ready`.
    ///
    /// Without its embedding model a hybrid search ranks by words only, and says so in `warnings`.
    ///
    /// # Errors
    /// `forbidden` without `search:query`; `not_found` for the collection; `invalid` or `too_large` naming the field; in the mode
    /// `vector`, what embedding the query fails with; in the mode `text`, `unavailable` while the text index does not answer.
    pub async fn search(&self, ctx: &Ctx, request: SearchRequest) -> Result<SearchAnswer> {
        ctx.require(Permission::SearchQuery)?;
        let started = Instant::now();
        let limit = check(&request)?;
        let filter = request.filter.as_ref().map_or_else(|| Ok(Filter::default()), Filter::parse)?;
        let collection = self.collection(ctx, &request.collection).await?;
        let mut mode = request.mode.unwrap_or_default();
        let mut warnings = Vec::new();
        let embedding_started = Instant::now();
        let vector = self.query_vector(ctx, &collection, &request.query, &mut mode, &mut warnings).await?;
        let embedding = milliseconds(embedding_started);
        let plan = Plan {
            collection: collection.collection.id,
            mode,
            limit: limit as usize,
            filter,
            text: TextQuery::parse(&request.query),
            vector,
        };
        let (ranked, hits) = self.ranked(ctx, Arc::new(plan)).await?;
        let Ranked { passages, vector_ms, text_ms, warnings: more, shards, .. } = ranked;
        warnings.extend(more);
        let took_ms = Took {
            total: round(milliseconds(started)),
            embedding: round(embedding),
            vector: round(vector_ms),
            text: round(text_ms),
        };
        Ok(SearchAnswer {
            query: request.query,
            mode,
            took_ms,
            total_passages: passages as u64,
            shards,
            results: hits,
            warnings,
        })
    }

    /// Ranks over one moment of the collection, in which both halves of the index agree, and reads the texts of the best.
    async fn ranked(&self, ctx: &Ctx, plan: Arc<Plan>) -> Result<(Ranked, Vec<Hit>)> {
        let tenant = ctx.tenant()?;
        let mut rechecks = 0;
        loop {
            let mut snapshot = self.index().snapshot(ctx, plan.collection).await?;
            snapshot.nodes = self.ask_nodes(ctx, &plan, &snapshot.view).await?;
            let view = Arc::clone(&snapshot.view);
            let planned = Arc::clone(&plan);
            // Some milliseconds of pure computing would hold up other requests on a runtime thread.
            let mut ranked = off_runtime(move || rank(&planned, &snapshot)).await??;
            if ranked.is_damaged {
                self.index().distrust_vectors(tenant, plan.collection, &view);
            }
            let places: Vec<PassagePlace> = ranked.best.iter().map(RankedPassage::place).collect();
            let passages = self.passages(ctx, &places).await?;
            // A passage that is gone belongs to a version that was replaced meanwhile.
            let gone = places.iter().filter(|place| !passages.contains_key(*place));
            ranked.doubts.documents.extend(gone.map(|(document, ..)| *document));
            if ranked.doubts.is_empty() || rechecks == RECHECKS_MAX {
                let (best, candidates_max) = (std::mem::take(&mut ranked.best), ranked.candidates_max);
                let hits = off_runtime(move || hits::hits(&plan, best, &passages, candidates_max)).await?;
                return Ok((ranked, hits));
            }
            rechecks += 1;
            self.index().recheck(tenant, plan.collection, ranked.doubts).await;
        }
    }

    /// The query's vector, if the mode asks for one. A hybrid search that cannot get one becomes a text search.
    async fn query_vector(
        &self,
        ctx: &Ctx,
        collection: &StoredCollection,
        query: &str,
        mode: &mut SearchMode,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Arc<[f32]>>> {
        if *mode == SearchMode::Text {
            return Ok(None);
        }
        let model = &collection.collection.embedding_model;
        let error = match self.queries().get(self.models(), ctx, model, query).await {
            Ok(vector) if collection.dimensions.is_none_or(|dimensions| dimensions == vector.len()) => {
                return Ok(Some(vector));
            }
            Ok(vector) => Error::conflict(
                "embedding_dimensions_changed",
                format!("`{model}` now gives vectors of {} numbers, unlike those of this collection", vector.len()),
            )
            .remedy("make a new collection and add the documents there"),
            Err(error) => error,
        };
        let degrades = *mode == SearchMode::Hybrid
            && (error.code().is_transient()
                || matches!(error.code(), Code::NotFound | Code::Conflict | Code::OverBudget));
        if !degrades {
            return Err(error);
        }
        tracing::debug!(?error, "a hybrid search goes on with words only");
        let cause = match error.code() {
            Code::Internal => "the embedding model failed".to_owned(),
            _ => error.message().to_owned(),
        };
        let remedy = error.remedy_text().map(|remedy| format!(": {remedy}")).unwrap_or_default();
        warnings.push(format!("results are ranked by words only, for {cause}{remedy}"));
        *mode = SearchMode::Text;
        Ok(None)
    }
}

/// Checks a request and returns its limit.
fn check(request: &SearchRequest) -> Result<u32> {
    if request.query.chars().count() > limits::QUERY_CHARS_MAX {
        return Err(Error::too_large("query", format!("must have at most {} characters", limits::QUERY_CHARS_MAX)));
    }
    if request.query.trim().is_empty() {
        return Err(Error::invalid("query", "must not be empty"));
    }
    let limit = request.limit.unwrap_or(RESULTS_DEFAULT);
    if !(1..=limits::RESULTS_MAX).contains(&limit) {
        return Err(Error::invalid("limit", format!("must be 1 to {}, got {limit}", limits::RESULTS_MAX)));
    }
    Ok(limit)
}

/// Runs some milliseconds of computing on a thread for blocking work.
async fn off_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::from_source("ranking panicked", error))
}

fn milliseconds(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1_000.0
}

/// To whole microseconds: more digits would only be noise.
fn round(milliseconds: f64) -> f64 {
    (milliseconds * 1_000.0).round() / 1_000.0
}
