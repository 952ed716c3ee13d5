use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::TenantId;
use serde::Deserialize;

use super::tenants::Tenant;
use crate::Identity;

/// Why a workspace is closed.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspendTenant {
    /// In words for its people. Absent: they are told no reason.
    #[schema(max_length = 1000, example = "The invoice of March is not paid.")]
    reason: Option<String>,
}

/// Which workspace is meant.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteTenant {
    /// The workspace's name, typed by hand.
    #[schema(max_length = 200)]
    name: String,
}

/// Closes a workspace.
///
/// Its people are answered 403 (`tenant_suspended`), but for its owners, who may look who they are and take their data out. Its
/// background work waits. Only operators of the installation may.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/suspend", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    request_body = SuspendTenant,
    responses(
        (status = 200, description = "The workspace", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn suspend_tenant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
    Json(request): Json<SuspendTenant>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(identity.suspend_tenant(&ctx, id, request.reason.as_deref()).await?.into()))
}

/// Opens a suspended workspace again. Only operators of the installation may.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/resume", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    responses(
        (status = 200, description = "The workspace", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn resume_tenant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(identity.resume_tenant(&ctx, id).await?.into()))
}

/// Asks for a workspace's deletion: your own, or any when you operate the installation.
///
/// From now on only its owners get in, to take its data out or the deletion back. At `delete_at` everything is erased: rows, files,
/// indexes, and people who are in no other workspace. Needs a proof of who you are from the last ten minutes.
#[utoipa::path(
    post, path = "/api/v1/tenants/{id}/deletion", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    request_body = DeleteTenant,
    responses(
        (status = 200, description = "The workspace, with the time at which it is erased", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:delete")))
)]
pub(crate) async fn request_tenant_deletion(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
    Json(request): Json<DeleteTenant>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(identity.request_deletion(&ctx, id, &request.name).await?.into()))
}

/// Takes a workspace's deletion back, while its grace period lasts.
#[utoipa::path(
    delete, path = "/api/v1/tenants/{id}/deletion", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    responses(
        (status = 200, description = "The workspace, as it was before", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:delete")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn cancel_tenant_deletion(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(identity.cancel_deletion(&ctx, id).await?.into()))
}
