//! Batches in OpenAI's format.

use std::collections::BTreeMap;

use axum::extract::State;
use plasma_http::{Json, OpenAiProblem, PageQuery, Path, Query};
use plasma_kernel::{BatchId, FileId, Result, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    openai_chat::OpenAiError,
    protocol::{OpenAi, OpenAiCaller, OpenAiJson},
};
use crate::{Batch, BatchEndpoint, BatchError, BatchStatus, Models, NewBatch};

/// A batch, in OpenAI's format. Times are in seconds since 1970 UTC, and null until they come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiBatch {
    /// Its id.
    pub id: BatchId,
    /// Always `batch`.
    pub object: &'static str,
    /// What every line asks for.
    pub endpoint: BatchEndpoint,
    /// Why it failed.
    #[schema(required)]
    pub errors: Option<BatchErrorList>,
    /// Its lines.
    pub input_file_id: FileId,
    /// Always `24h`.
    pub completion_window: &'static str,
    /// Where it is.
    pub status: BatchStatus,
    /// The answers, once it has ended and there are any.
    #[schema(required)]
    pub output_file_id: Option<FileId>,
    /// The errors of lines, once it has ended and there are any.
    #[schema(required)]
    pub error_file_id: Option<FileId>,
    /// When it was created.
    pub created_at: i64,
    /// When its lines began to be answered.
    #[schema(required)]
    pub in_progress_at: Option<i64>,
    /// When it ends at the latest.
    pub expires_at: i64,
    /// When its files began to be written.
    #[schema(required)]
    pub finalizing_at: Option<i64>,
    /// When it was completed.
    #[schema(required)]
    pub completed_at: Option<i64>,
    /// When it failed.
    #[schema(required)]
    pub failed_at: Option<i64>,
    /// When it expired.
    #[schema(required)]
    pub expired_at: Option<i64>,
    /// When somebody cancelled it.
    #[schema(required)]
    pub cancelling_at: Option<i64>,
    /// When it was cancelled.
    #[schema(required)]
    pub cancelled_at: Option<i64>,
    /// How many lines there are, and how many have a result.
    pub request_counts: BatchRequestCounts,
    /// The caller's own notes.
    #[schema(required)]
    pub metadata: Option<BTreeMap<String, String>>,
}

/// How far a batch is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BatchRequestCounts {
    /// Lines in all; 0 until they are counted.
    pub total: u64,
    /// Lines with an answer.
    pub completed: u64,
    /// Lines with an error.
    pub failed: u64,
}

/// Why a batch failed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BatchErrorList {
    /// Always `list`.
    pub object: &'static str,
    /// The first 100 mistakes.
    pub data: Vec<BatchError>,
}

impl From<Batch> for OpenAiBatch {
    fn from(batch: Batch) -> Self {
        let seconds = |at: Timestamp| at / 1_000_000;
        let ended = |status: BatchStatus| batch.ended_at.filter(|_| batch.status == status).map(seconds);
        Self {
            id: batch.id,
            object: "batch",
            endpoint: batch.endpoint,
            completed_at: ended(BatchStatus::Completed),
            failed_at: ended(BatchStatus::Failed),
            expired_at: ended(BatchStatus::Expired),
            cancelled_at: ended(BatchStatus::Cancelled),
            errors: (!batch.errors.is_empty()).then_some(BatchErrorList { object: "list", data: batch.errors }),
            input_file_id: batch.input_file_id,
            completion_window: "24h",
            status: batch.status,
            output_file_id: batch.output_file_id,
            error_file_id: batch.error_file_id,
            created_at: seconds(batch.created_at),
            in_progress_at: batch.in_progress_at.map(seconds),
            expires_at: seconds(batch.expires_at),
            finalizing_at: batch.finalizing_at.map(seconds),
            cancelling_at: batch.cancelling_at.map(seconds),
            request_counts: BatchRequestCounts { total: batch.total, completed: batch.completed, failed: batch.failed },
            metadata: batch.metadata,
        }
    }
}

/// Batches, in OpenAI's format.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OpenAiBatchList {
    /// Always `list`.
    pub object: &'static str,
    /// Newest first.
    pub data: Vec<OpenAiBatch>,
    /// Whether more follow.
    pub has_more: bool,
    /// The first one's id.
    #[schema(required)]
    pub first_id: Option<BatchId>,
    /// The last one's id: pass it as `after` for the next page.
    #[schema(required)]
    pub last_id: Option<BatchId>,
}

/// A batch to create.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBatch)]
pub(super) struct NewBatchBody {
    /// A file with the purpose `batch`: at most 50,000 lines of at most 1 MiB,
    /// `{"custom_id": "…", "method": "POST", "url": the endpoint, "body": a request}`.
    input_file_id: FileId,
    /// What every line asks for.
    endpoint: BatchEndpoint,
    /// Always `24h`.
    completion_window: CompletionWindow,
    /// Your own notes: at most 16 texts of at most 512 characters, under names of at most 64.
    metadata: Option<BTreeMap<String, String>>,
}

/// Within what time a batch ends.
#[derive(Deserialize, utoipa::ToSchema)]
enum CompletionWindow {
    /// A day.
    #[serde(rename = "24h")]
    Day,
}

/// Create a batch (OpenAI format)
///
/// Its lines are answered in the background, in the caller's name: by the same models, routes, limits and budgets as any other
/// call. The file is checked first; a batch whose file has mistakes is `failed` and names their lines in `errors`.
#[utoipa::path(
    post, path = "/v1/batches", tag = "openai", request_body = NewBatchBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiBatch),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn create_batch(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAiJson(body): OpenAiJson<NewBatchBody>,
) -> Result<Json<OpenAiBatch>, OpenAiProblem> {
    let NewBatchBody { input_file_id, endpoint, completion_window: CompletionWindow::Day, metadata } = body;
    Ok(Json(models.create_batch(&ctx, NewBatch { input_file_id, endpoint, metadata }).await?.into()))
}

/// `?limit=&after=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BatchesQuery {
    /// 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// `last_id` of the page before.
    after: Option<String>,
}

/// List batches (OpenAI format)
///
/// Newest first: the caller's own; with `models:write` all of the workspace.
#[utoipa::path(
    get, path = "/v1/batches", tag = "openai", params(BatchesQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiBatchList),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn list_batches(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Query(query)): OpenAi<Query<BatchesQuery>>,
) -> Result<Json<OpenAiBatchList>, OpenAiProblem> {
    let page = models.batches(&ctx, &PageQuery::request(query.limit, query.after)?).await?;
    let data: Vec<OpenAiBatch> = page.data.into_iter().map(OpenAiBatch::from).collect();
    Ok(Json(OpenAiBatchList {
        object: "list",
        first_id: data.first().map(|batch| batch.id),
        last_id: data.last().map(|batch| batch.id),
        data,
        has_more: page.has_more,
    }))
}

/// Get a batch (OpenAI format)
#[utoipa::path(
    get, path = "/v1/batches/{batch_id}", tag = "openai", security(("bearer" = [])),
    params(("batch_id" = BatchId, Path, description = "The batch's id")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiBatch),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn get_batch(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Path(id)): OpenAi<Path<BatchId>>,
) -> Result<Json<OpenAiBatch>, OpenAiProblem> {
    Ok(Json(models.batch(&ctx, id).await?.into()))
}

/// Cancel a batch (OpenAI format)
///
/// No further line begins, those under way have some seconds to end, and what is there is written to the batch's files. Refused
/// with 409 when the batch is about to end or has ended.
#[utoipa::path(
    post, path = "/v1/batches/{batch_id}/cancel", tag = "openai", security(("bearer" = [])),
    params(("batch_id" = BatchId, Path, description = "The batch's id")),
    extensions(("x-permission" = json!("models:invoke"))),
    responses(
        (status = 200, body = OpenAiBatch),
        (status = "default", body = OpenAiError, description = "What went wrong"),
    )
)]
pub(super) async fn cancel_batch(
    State(models): State<Models>,
    OpenAiCaller(ctx): OpenAiCaller,
    OpenAi(Path(id)): OpenAi<Path<BatchId>>,
) -> Result<Json<OpenAiBatch>, OpenAiProblem> {
    Ok(Json(models.cancel_batch(&ctx, id).await?.into()))
}
