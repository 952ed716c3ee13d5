use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Problem, ProblemBody, Query};
use plasma_kernel::Page;
use serde::Deserialize;

use crate::{AuditCheckpoint, ConsistencyProof, Governance, InclusionProof, Log};

/// `?log=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CheckpointsQuery {
    /// Which log; the workspace's own when absent.
    #[param(inline)]
    pub(super) log: Option<Log>,
    /// Rows on the page: 1 to 200, 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// `?leaf=&size=&log=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InclusionQuery {
    /// The record's place, from 0.
    leaf: u64,
    /// Records of the tree, as a checkpoint says.
    size: u64,
    /// Which log; the workspace's own when absent.
    #[param(inline)]
    log: Option<Log>,
}

/// `?from=&to=&log=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ConsistencyQuery {
    /// Records of the smaller tree, as a checkpoint says.
    from: u64,
    /// Records of the larger one.
    to: u64,
    /// Which log; the workspace's own when absent.
    #[param(inline)]
    log: Option<Log>,
}

/// List checkpoints
///
/// The newest first. Each is a signed note (C2SP tlog-checkpoint) of how many records there were and the root over them.
#[utoipa::path(
    get, path = "/api/v1/audit/checkpoints", tag = "audit", params(CheckpointsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = Page<AuditCheckpoint>, description = "A page of checkpoints"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_audit_checkpoints(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<CheckpointsQuery>,
) -> Result<Json<Page<AuditCheckpoint>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    Ok(Json(governance.checkpoints(&ctx, query.log.unwrap_or_default(), &page).await?))
}

/// Prove that a record is in the log
#[utoipa::path(
    get, path = "/api/v1/audit/proofs/inclusion", tag = "audit", params(InclusionQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = InclusionProof, description = "The proof (RFC 9162, section 2.1.3)"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn prove_audit_inclusion(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<InclusionQuery>,
) -> Result<Json<InclusionProof>, Problem> {
    let InclusionQuery { leaf, size, log } = query;
    Ok(Json(governance.inclusion_proof(&ctx, log.unwrap_or_default(), leaf, size).await?))
}

/// Prove that the log only grew
#[utoipa::path(
    get, path = "/api/v1/audit/proofs/consistency", tag = "audit", params(ConsistencyQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("audit:read"))),
    responses(
        (status = 200, body = ConsistencyProof, description = "The proof (RFC 9162, section 2.1.4)"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn prove_audit_consistency(
    State(governance): State<Governance>,
    Caller(ctx): Caller,
    Query(query): Query<ConsistencyQuery>,
) -> Result<Json<ConsistencyProof>, Problem> {
    let ConsistencyQuery { from, to, log } = query;
    Ok(Json(governance.consistency_proof(&ctx, log.unwrap_or_default(), from, to).await?))
}
