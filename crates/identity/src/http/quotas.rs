use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{QuotaResource, TenantId, is_near_quota};
use serde::{Deserialize, Serialize};

use crate::{Identity, NewQuotas, tenant_types};

/// A workspace's plan, and how much of it is used.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Quotas {
    /// What the plan is called.
    plan: String,
    /// Each thing that a plan may limit.
    quotas: Vec<Quota>,
}

/// How much of something there is, and may be.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Quota {
    /// Of what.
    resource: QuotaResource,
    /// How much there is.
    used: u64,
    /// How much the plan allows; null when it has no limit.
    #[schema(required)]
    limit: Option<u64>,
    /// Whether four fifths of the limit are used.
    near: bool,
}

impl From<tenant_types::Quotas> for Quotas {
    fn from(quotas: tenant_types::Quotas) -> Self {
        let quota = |quota: tenant_types::QuotaUse| Quota {
            resource: quota.resource,
            used: quota.used,
            limit: quota.limit,
            near: quota.limit.is_some_and(|limit| is_near_quota(quota.used, limit)),
        };
        Self { plan: quotas.plan, quotas: quotas.uses.into_iter().map(quota).collect() }
    }
}

/// What a workspace may have.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutQuotas {
    /// What the plan is called.
    #[schema(min_length = 1, max_length = 60, example = "team")]
    plan: String,
    /// The limits. What is not among them has none.
    limits: Vec<QuotaLimit>,
}

/// How much of something there may be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaLimit {
    /// Of what.
    resource: QuotaResource,
    /// How much.
    limit: u64,
}

/// Shows your workspace's plan and how much of it is used.
///
/// What is over a limit stays; no more can be made, which is answered with 409 (`quota_exceeded`).
#[utoipa::path(
    get, path = "/api/v1/tenants/current/quotas", tag = "Identity",
    responses(
        (status = 200, description = "The plan and its use", body = Quotas),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:read")))
)]
pub(crate) async fn get_quotas(State(identity): State<Identity>, Caller(ctx): Caller) -> Result<Json<Quotas>, Problem> {
    Ok(Json(identity.quotas(&ctx).await?.into()))
}

/// Shows a workspace's plan and how much of it is used. Only operators of the installation may.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}/quotas", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    responses(
        (status = 200, description = "The plan and its use", body = Quotas),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn get_tenant_quotas(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
) -> Result<Json<Quotas>, Problem> {
    Ok(Json(identity.quotas_of_tenant(&ctx, id).await?.into()))
}

/// Gives a workspace a plan and its limits. Only operators of the installation may.
#[utoipa::path(
    put, path = "/api/v1/tenants/{id}/quotas", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    request_body = PutQuotas,
    responses(
        (status = 200, description = "The plan and its use", body = Quotas),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn put_tenant_quotas(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
    Json(request): Json<PutQuotas>,
) -> Result<Json<Quotas>, Problem> {
    let limits = request.limits.into_iter().map(|limit| (limit.resource, limit.limit)).collect();
    let new = NewQuotas { plan: request.plan, limits };
    Ok(Json(identity.put_quotas(&ctx, id, new).await?.into()))
}
