use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Actor, ApiKeyId, CallId, Money, Page, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    AttemptRecord, CacheHit, CallFilter, CallQuality, CallStatus, DayUsage, Decision, ModelCall, ModelKind, ModelUsage,
    Models, PromptUse, Purpose, UsageReport, calls::date_text, usage::moment_of_text,
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
    /// The prompt that it used; null when it used none.
    #[schema(required)]
    pub prompt: Option<PromptUse>,
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
    /// Where the answer comes from, when no model gave it; then it used no tokens and cost 0. With the kind `partial` a model gave
    /// the rest, and tokens and cost are those of the rest. Null when all of it is a model's.
    #[schema(required)]
    pub cache: Option<CacheHit>,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<String>,
    /// Who called.
    pub actor: Actor,
    /// The team to which it is counted; null when it is no team's.
    #[schema(required)]
    pub team: Option<TeamId>,
    /// The request in which it happened.
    pub request_id: String,
    /// When it started, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
    /// Whether the answer was sent piece by piece.
    pub streamed: bool,
    /// How good the answer is, as far as it is known; null in lists.
    #[schema(required)]
    pub quality: Option<CallQuality>,
}

impl From<ModelCall> for ModelCallBody {
    fn from(call: ModelCall) -> Self {
        Self {
            id: call.id,
            model: call.model,
            decision: call.decision,
            attempts: call.attempts,
            prompt: call.prompt,
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
            cache: call.cache,
            error: call.error,
            actor: call.actor,
            team: call.team,
            request_id: call.request.to_string(),
            created_at: call.created_at,
            streamed: call.streamed,
            quality: None,
        }
    }
}

/// `?from=&to=&model=&provider=&route=&status=&purpose=&key=&user=&team=&min_cost_micros=&min_duration_ms=&prompt=&prompt_version=
/// &limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CallsQuery {
    /// Only calls that started then or later: a date such as `2026-11-22` or a time such as `2026-11-22T10:30:00Z`, both UTC.
    from: Option<String>,
    /// Only calls that started before this time, or on this date or earlier.
    to: Option<String>,
    /// Only calls of the model with this name.
    model: Option<String>,
    /// Only calls of this provider's models, by its name; `local` for those of this process.
    provider: Option<String>,
    /// Only calls that named this route.
    route: Option<String>,
    /// Only calls that ended so.
    status: Option<CallStatus>,
    /// Only calls made for this.
    purpose: Option<Purpose>,
    /// Only calls with the API key of this id.
    key: Option<ApiKeyId>,
    /// Only calls of the person of this id, with a login. Not together with `key`.
    user: Option<UserId>,
    /// Only calls that are counted to the team of this id.
    team: Option<TeamId>,
    /// Only calls that are known to have cost at least so many millionths of their currency.
    min_cost_micros: Option<u64>,
    /// Only calls that took at least so many milliseconds.
    min_duration_ms: Option<u64>,
    /// Only calls that used the prompt with this name.
    prompt: Option<String>,
    /// Only calls that used this version of a prompt.
    prompt_version: Option<u32>,
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
    let moment = |field, text: Option<String>| text.map(|text| moment_of_text(field, &text, field == "to")).transpose();
    let filter = CallFilter {
        from: moment("from", query.from)?,
        to: moment("to", query.to)?,
        model: query.model,
        provider: query.provider,
        route: query.route,
        status: query.status,
        purpose: query.purpose,
        key: query.key,
        user: query.user,
        team: query.team,
        cost_micros_min: query.min_cost_micros,
        duration_ms_min: query.min_duration_ms,
        prompt: query.prompt,
        prompt_version: query.prompt_version,
    };
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
    let call = models.call(&ctx, id).await?;
    let quality = Some(models.call_quality(&ctx, id).await?);
    Ok(Json(ModelCallBody { quality, ..ModelCallBody::from(call) }))
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
