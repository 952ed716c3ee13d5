use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{AuditSinkId, Page};
use serde::Deserialize;

use super::{proofs::CheckpointsQuery, records::LogQuery};
use crate::{Governance, NewSink, Sink, SinkChange, SinkTarget, SinkTest};

/// A sink to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateAuditSink {
    /// What people call it; unique in the log.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it sends where; the kind never changes.
    target: SinkTarget,
    /// What goes with the target: a webhook's signing secret, the secret of a bucket's access key, the `Authorization` header of an
    /// OTLP collector. It is sealed and never shown again.
    #[schema(max_length = 500, format = "password", nullable = false)]
    secret: Option<String>,
    /// Records from this one on; when absent, those from now on.
    #[schema(minimum = 0, nullable = false)]
    from_leaf: Option<u64>,
}

/// What to change about a sink; absent fields stay.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeAuditSink {
    /// What people call it.
    #[schema(min_length = 1, max_length = 100, nullable = false)]
    name: Option<String>,
    /// What it sends where, of the same kind.
    #[schema(nullable = false)]
    target: Option<SinkTarget>,
    /// The secret; needed again when it would go to another place.
    #[schema(max_length = 500, format = "password", nullable = false)]
    secret: Option<String>,
    /// Whether it sends.
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

/// List sinks
///
/// Places to which checkpoints are anchored or records are exported, the newest first, each with how it stands.
#[utoipa::path(
    get, path = "/api/v1/audit/sinks", tag = "audit", params(CheckpointsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = Page<Sink>, description = "A page of sinks"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_audit_sinks(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<CheckpointsQuery>,
) -> Result<Json<Page<Sink>>, Problem> {
    let CheckpointsQuery { log, limit, cursor } = query;
    let page = PageQuery::request(limit, cursor)?;
    Ok(Json(governance.sinks(&ctx, log.unwrap_or_default(), &page).await?))
}

/// Make a sink
///
/// It sends at once and goes on where it was after every interruption. Without the permission `installation:manage` it must be at a
/// public address, and cannot be a file.
#[utoipa::path(
    post, path = "/api/v1/audit/sinks", tag = "audit", params(LogQuery), request_body = CreateAuditSink,
    security(("bearer" = [])), extensions(("x-permission" = json!("audit:write"))),
    responses(
        (status = 201, body = Sink, description = "The new sink"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_audit_sink(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<LogQuery>,
    Json(request): Json<CreateAuditSink>,
) -> Result<(StatusCode, Json<Sink>), Problem> {
    let CreateAuditSink { name, target, secret, from_leaf } = request;
    let new = NewSink { name, target, secret, from_leaf };
    let sink = governance.create_sink(&ctx, query.log.unwrap_or_default(), new).await?;
    Ok((StatusCode::CREATED, Json(sink)))
}

/// Show a sink
#[utoipa::path(
    get, path = "/api/v1/audit/sinks/{id}", tag = "audit",
    params(("id" = AuditSinkId, Path, description = "The sink's id"), LogQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = Sink, description = "The sink"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_audit_sink(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Path(id): Path<AuditSinkId>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Sink>, Problem> {
    Ok(Json(governance.sink(&ctx, query.log.unwrap_or_default(), id).await?))
}

/// Change a sink
#[utoipa::path(
    patch, path = "/api/v1/audit/sinks/{id}", tag = "audit",
    params(("id" = AuditSinkId, Path, description = "The sink's id"), LogQuery), request_body = ChangeAuditSink,
    security(("bearer" = [])), extensions(("x-permission" = json!("audit:write"))),
    responses(
        (status = 200, body = Sink, description = "The changed sink"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn change_audit_sink(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Path(id): Path<AuditSinkId>,
    Query(query): Query<LogQuery>,
    Json(request): Json<ChangeAuditSink>,
) -> Result<Json<Sink>, Problem> {
    let ChangeAuditSink { name, target, secret, enabled } = request;
    let change = SinkChange { name, target, secret, enabled };
    Ok(Json(governance.change_sink(&ctx, query.log.unwrap_or_default(), id, change).await?))
}

/// Remove a sink
///
/// What it delivered stays where it is.
#[utoipa::path(
    delete, path = "/api/v1/audit/sinks/{id}", tag = "audit",
    params(("id" = AuditSinkId, Path, description = "The sink's id"), LogQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:write"))),
    responses(
        (status = 204, description = "It is removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_audit_sink(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Path(id): Path<AuditSinkId>,
    Query(query): Query<LogQuery>,
) -> Result<StatusCode, Problem> {
    governance.delete_sink(&ctx, query.log.unwrap_or_default(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a sink
///
/// Sends the newest checkpoint or record now. What goes wrong is in the answer.
#[utoipa::path(
    post, path = "/api/v1/audit/sinks/{id}/test", tag = "audit",
    params(("id" = AuditSinkId, Path, description = "The sink's id"), LogQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:write"))),
    responses(
        (status = 200, body = SinkTest, description = "What came of it"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn test_audit_sink(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Path(id): Path<AuditSinkId>,
    Query(query): Query<LogQuery>,
) -> Result<Json<SinkTest>, Problem> {
    Ok(Json(governance.test_sink(&ctx, query.log.unwrap_or_default(), id).await?))
}
