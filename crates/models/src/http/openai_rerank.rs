//! Reranking, in the form that OpenAI-compatible servers offer beside OpenAI's own operations.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use plasma_kernel::Error;
use serde::{Deserialize, Serialize};

use super::{
    openai_chat::OpenAiError,
    protocol::{OpenAiCaller, OpenAiJson, json_text, with_call_id},
};
use crate::{Models, Purpose, RerankRequest, running_call::CallError};

/// Texts to compare with a query.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RerankBody {
    /// The name of a provider's model of the kind `rerank`.
    #[schema(example = "acme/bge-reranker-v2-m3")]
    model: String,
    /// What is looked for.
    query: String,
    /// 1 to 1,000 texts, 8 MiB together with the query.
    documents: Vec<String>,
    /// So many of the best are wanted; all when absent.
    #[serde(default)]
    #[schema(minimum = 1)]
    top_n: Option<usize>,
}

/// Texts in the order of their scores.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RerankAnswer {
    /// The model's name.
    pub model: String,
    /// Best first.
    pub results: Vec<RerankItem>,
    /// The tokens used.
    pub usage: RerankUsage,
}

/// One text's score.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RerankItem {
    /// The text's place in the request, from 0.
    pub index: usize,
    /// Comparable within this answer; what numbers it takes is up to the model.
    pub relevance_score: f64,
}

/// The tokens used.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RerankUsage {
    /// Tokens read; 0 when the provider does not say.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}

/// Rerank texts
///
/// In the form of Cohere, Jina, vLLM, llama.cpp and Infinity. Passed on to a provider of the kind `openai` or `azure`, whose address
/// has `/rerank`. The header `plasma-call-id` names the call's record.
#[utoipa::path(
    post, path = "/v1/rerank", tag = "openai", request_body = RerankBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = RerankAnswer),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_rerank(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAiJson(body): OpenAiJson<RerankBody>,
) -> Response {
    let RerankBody { model, query, documents, top_n } = body;
    let request = RerankRequest { model, query, documents, top_n, purpose: Purpose::Api };
    // Boxed: it waits for the provider, and the router must not carry its weight.
    let reranking = match Box::pin(models.rerank_call(&ctx, request)).await {
        Ok(reranking) => reranking,
        Err(error) => return error.into_response(),
    };
    let mut results: Vec<RerankItem> = reranking
        .results
        .into_iter()
        .map(|document| RerankItem { index: document.index, relevance_score: document.score })
        .collect();
    results.truncate(top_n.unwrap_or(usize::MAX));
    let usage = RerankUsage { prompt_tokens: reranking.input_tokens, total_tokens: reranking.input_tokens };
    match serde_json::to_string(&RerankAnswer { model: reranking.model, results, usage }) {
        Ok(json) => with_call_id(reranking.call_id, json_text(json)),
        Err(error) => CallError::from(Error::from_source("scores could not be written", error)).into_response(),
    }
}
