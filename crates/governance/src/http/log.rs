use axum::extract::State;
use plasma_http::{Caller, Json, Problem, ProblemBody, Query};
use plasma_kernel::UserId;
use serde::{Deserialize, Serialize};

use super::records::LogQuery;
use crate::{AuditKey, Governance, LogState};

/// Show where the audit log stands
#[utoipa::path(
    get, path = "/api/v1/audit/log", tag = "audit", params(LogQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = LogState, description = "Its size, its newest checkpoint and its retention"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_audit_log(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<LogQuery>,
) -> Result<Json<LogState>, Problem> {
    Ok(Json(governance.log_state(&ctx, query.log.unwrap_or_default()).await?))
}

/// Show the key that signs checkpoints
///
/// Keep it outside of the installation: with it `plasma audit verify` relies on nothing that the installation says.
#[utoipa::path(
    get, path = "/api/v1/audit/key", tag = "audit", params(LogQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = AuditKey, description = "The public key"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_audit_key(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<LogQuery>,
) -> Result<Json<AuditKey>, Problem> {
    Ok(Json(governance.key(&ctx, query.log.unwrap_or_default())?))
}

/// For how long records are kept.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditRetention {
    /// Days, a year at least; null means for ever.
    #[schema(required, minimum = 365, maximum = 36_500)]
    days: Option<u32>,
}

/// Say for how long records are kept
///
/// Records that are older are removed; their hashes stay, and the log itself tells what was removed.
#[utoipa::path(
    put, path = "/api/v1/audit/retention", tag = "audit", params(LogQuery), request_body = AuditRetention,
    security(("bearer" = [])), extensions(("x-permission" = json!("audit:write"))),
    responses(
        (status = 200, body = LogState, description = "Where the log stands"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn set_audit_retention(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<LogQuery>,
    Json(retention): Json<AuditRetention>,
) -> Result<Json<LogState>, Problem> {
    Ok(Json(governance.set_retention(&ctx, query.log.unwrap_or_default(), retention.days).await?))
}

/// Whom the log is to forget.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EraseFromAudit {
    /// The person's id.
    person: UserId,
}

/// What was erased.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ErasedFromAudit {
    /// Records whose details are gone.
    records: u64,
}

/// Take a person's data out of the audit log
///
/// The details and addresses of every record that names the person are erased. What happened to which id when stays, and so do the
/// hashes: the log can still be verified, and it tells itself which records were erased. It cannot be undone.
#[utoipa::path(
    post, path = "/api/v1/audit/erasures", tag = "audit", request_body = EraseFromAudit, security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:write"))),
    responses(
        (status = 200, body = ErasedFromAudit, description = "It is erased"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn erase_person_from_audit(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Json(request): Json<EraseFromAudit>,
) -> Result<Json<ErasedFromAudit>, Problem> {
    let records = governance.erase_person(&ctx, request.person).await?;
    Ok(Json(ErasedFromAudit { records }))
}
