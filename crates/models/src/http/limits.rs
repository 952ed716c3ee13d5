use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{LimitId, Page, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Limit, LimitChange, LimitSubject, Models, NewLimit};

/// How fast calls of models may come.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelLimit)]
pub struct LimitBody {
    /// Its id.
    pub id: LimitId,
    /// Whose calls it counts.
    pub subject: LimitSubject,
    /// Calls a minute; null when any number may come.
    #[schema(required)]
    pub requests_per_minute: Option<u32>,
    /// Tokens a minute, read and written; null when any number may be used.
    #[schema(required)]
    pub tokens_per_minute: Option<u32>,
    /// Calls at a time; null when any number may run.
    #[schema(required)]
    pub concurrency: Option<u32>,
    /// When it was set, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

impl From<Limit> for LimitBody {
    fn from(limit: Limit) -> Self {
        let Limit { id, subject, requests_per_minute, tokens_per_minute, concurrency, created_at } = limit;
        Self { id, subject, requests_per_minute, tokens_per_minute, concurrency, created_at }
    }
}

/// A limit to set: at least one of the three numbers.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewModelLimit)]
pub struct NewLimitBody {
    /// Whose calls it counts. A subject has one limit.
    subject: LimitSubject,
    /// Calls a minute. A minute's allowance may be used at once and comes back evenly.
    #[schema(minimum = 1, maximum = 1_000_000, example = 600)]
    requests_per_minute: Option<u32>,
    /// Tokens a minute, read and written.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    tokens_per_minute: Option<u32>,
    /// Calls at a time. Further ones wait up to 30 s, callers by turns.
    #[schema(minimum = 1, maximum = 10_000)]
    concurrency: Option<u32>,
}

/// What to change of a limit. Null removes a number; one of the three must stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelLimitChange)]
pub struct LimitChangeBody {
    /// Calls a minute.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    requests_per_minute: Option<Option<u32>>,
    /// Tokens a minute.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    tokens_per_minute: Option<Option<u32>>,
    /// Calls at a time.
    #[serde(default, deserialize_with = "given")]
    #[schema(minimum = 1, maximum = 10_000)]
    concurrency: Option<Option<u32>>,
}

/// Tells null from an absent field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// List limits
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/models/limits", tag = "models", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<LimitBody>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_limits(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<LimitBody>>, Problem> {
    let page = models.limits(&ctx, &page.into_request()?).await?;
    Ok(Json(page.map(LimitBody::from)))
}

/// Set a limit
///
/// Calls beyond it are refused with 429 and `Retry-After`. Each process of an installation counts for itself.
#[utoipa::path(
    post, path = "/api/v1/models/limits", tag = "models", request_body = NewLimitBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = LimitBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_model_limit(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewLimitBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewLimitBody { subject, requests_per_minute, tokens_per_minute, concurrency } = body;
    let new = NewLimit { subject, requests_per_minute, tokens_per_minute, concurrency };
    let limit = models.create_limit(&ctx, new).await?;
    let location = format!("/api/v1/models/limits/{}", limit.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(LimitBody::from(limit))))
}

/// Change a limit
#[utoipa::path(
    patch, path = "/api/v1/models/limits/{id}", tag = "models", request_body = LimitChangeBody, security(("bearer" = [])),
    params(("id" = LimitId, Path, description = "The limit's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = LimitBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn change_model_limit(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<LimitId>,
    Json(body): Json<LimitChangeBody>,
) -> Result<Json<LimitBody>, Problem> {
    let LimitChangeBody { requests_per_minute, tokens_per_minute, concurrency } = body;
    let change = LimitChange { requests_per_minute, tokens_per_minute, concurrency };
    Ok(Json(models.change_limit(&ctx, id, change).await?.into()))
}

/// Remove a limit
#[utoipa::path(
    delete, path = "/api/v1/models/limits/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = LimitId, Path, description = "The limit's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_model_limit(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<LimitId>,
) -> Result<StatusCode, Problem> {
    models.delete_limit(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
