use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Actor, CallId, Money, Page, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    AttemptRecord, CallFilter, CallStatus, DayUsage, Decision, ModelCall, ModelKind, ModelUsage, Models, Purpose,
    UsageReport, calls::date_text,
};

/// The record of one call of a model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelCall)]
pub struct ModelCallBody {
    /// Its id; also the header `plasma-call-id` of the answer.
    pub id: CallId,
    /// The name of the model that answered, or was asked last.
    pub model: String,
    /// How a route chose the model; null when the caller named it.
    #[schema(required)]
    pub decision: Option<Decision>,
    /// Which models were asked, in order. Empty when one was asked and answered.
    pub attempts: Vec<AttemptRecord>,
    /// What the model does.
    pub kind: ModelKind,
    /// What it was made for.
    pub purpose: Purpose,
    /// How it ended. `cancelled`: the caller went away before the end.
    pub status: CallStatus,
    /// Tokens read; 0 when the provider did not say.
    pub input_tokens: u64,
    /// Those of them that a cache answered.
    pub cached_input_tokens: u64,
    /// Those of them that were written to a cache.
    pub cache_write_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Those of them that were thoughts; 0 when the provider did not say.
    pub reasoning_tokens: u64,
    /// How long it waited for its turn.
    pub queued_ms: u64,
    /// From the start to the first piece of the answer; null when there was none, or a provider's answer came whole.
    #[schema(required)]
    pub first_token_ms: Option<u64>,
    /// From the start to the end.
    pub duration_ms: u64,
    /// Null when unknown.
    #[schema(required)]
    pub cost: Option<Money>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<String>,
    /// Who called.
    pub actor: Actor,
    /// The request in which it happened.
    pub request_id: String,
    /// When it started, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// Whether the answer was sent piece by piece.
    pub streamed: bool,
}

impl From<ModelCall> for ModelCallBody {
    fn from(call: ModelCall) -> Self {
        Self {
            id: call.id,
            model: call.model,
            decision: call.decision,
            attempts: call.attempts,
            kind: call.kind,
            purpose: call.purpose,
            status: call.status,
            input_tokens: call.usage.input_tokens,
            cached_input_tokens: call.usage.cached_input_tokens,
            cache_write_tokens: call.usage.cache_write_tokens,
            output_tokens: call.usage.output_tokens,
            reasoning_tokens: call.usage.reasoning_tokens,
            queued_ms: call.queued_ms,
            first_token_ms: call.first_token_ms,
            duration_ms: call.duration_ms,
            cost: call.cost,
            error: call.error,
            actor: call.actor,
            request_id: call.request.to_string(),
            created_at: call.created_at,
            streamed: call.streamed,
        }
    }
}

/// `?model=&status=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallsQuery {
    /// Only calls of the model with this name.
    model: Option<String>,
    /// Only calls that ended so.
    status: Option<CallStatus>,
    /// Rows on the page: 1 to 200, 50 when absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// `?days=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UsageQuery {
    /// How many days, today included: 1 to 366, 30 when absent.
    #[param(minimum = 1, maximum = 366)]
    days: Option<u32>,
}

/// Calls summed up.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelUsageReport)]
pub struct UsageBody {
    /// Each day (UTC) asked for, oldest first, also those without calls.
    pub days: Vec<DayUsageBody>,
    /// Each model that was called, most calls first.
    pub models: Vec<ModelUsageBody>,
}

/// The calls of one day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = DayUsage)]
pub struct DayUsageBody {
    /// The date.
    #[schema(example = "2026-11-22")]
    pub day: String,
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Known costs, one entry for each currency.
    pub cost: Vec<Money>,
}

/// The calls of one model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelUsage)]
pub struct ModelUsageBody {
    /// Its name.
    pub model: String,
    /// All calls.
    pub calls: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Known costs, one entry for each currency.
    pub cost: Vec<Money>,
    /// The mean time of a call.
    pub duration_ms_mean: u64,
}

impl From<UsageReport> for UsageBody {
    fn from(report: UsageReport) -> Self {
        let day = |usage: DayUsage| {
            let DayUsage { day, calls, failed, input_tokens, output_tokens, cost } = usage;
            DayUsageBody { day: date_text(day), calls, failed, input_tokens, output_tokens, cost }
        };
        let model = |usage: ModelUsage| {
            let ModelUsage { model, calls, input_tokens, output_tokens, cost, duration_ms_mean } = usage;
            ModelUsageBody { model, calls, input_tokens, output_tokens, cost, duration_ms_mean }
        };
        Self {
            days: report.days.into_iter().map(day).collect(),
            models: report.models.into_iter().map(model).collect(),
        }
    }
}

/// List model calls
///
/// Every call of a model, newest first: also those that failed or were cancelled.
#[utoipa::path(
    get, path = "/api/v1/models/calls", tag = "models", params(CallsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<ModelCallBody>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_calls(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(query): Query<CallsQuery>,
) -> Result<Json<Page<ModelCallBody>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    let filter = CallFilter { model: query.model, status: query.status };
    Ok(Json(models.calls(&ctx, &filter, &page).await?.map(ModelCallBody::from)))
}

/// Get a model call
#[utoipa::path(
    get, path = "/api/v1/models/calls/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = CallId, Path, description = "The call's id, as in the header `plasma-call-id`")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = ModelCallBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_call(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<CallId>,
) -> Result<Json<ModelCallBody>, Problem> {
    Ok(Json(models.call(&ctx, id).await?.into()))
}

/// Sum up model calls
///
/// Calls, tokens and cost of the last days, by day and by model.
#[utoipa::path(
    get, path = "/api/v1/models/usage", tag = "models", params(UsageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = UsageBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_usage(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageBody>, Problem> {
    const DAYS_DEFAULT: u32 = 30;
    Ok(Json(models.usage(&ctx, query.days.unwrap_or(DAYS_DEFAULT)).await?.into()))
}
