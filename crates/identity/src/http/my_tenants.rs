use std::sync::Arc;

use axum::{
    extract::State,
    http::{Extensions, HeaderMap},
    response::Response,
};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Ctx, Role, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    auth::{LoginResponse, PendingLogin, answer},
    tenants::Tenant,
    visitor::origin_of,
};
use crate::{Identity, Membership};

/// A workspace that you belong to.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct MyTenant {
    /// The workspace.
    tenant: Tenant,
    /// Your role there.
    role: Role,
    /// Whether this session is in it.
    current: bool,
    /// When you entered it last, in microseconds since 1970 UTC; null: not yet.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
}

impl MyTenant {
    pub(super) fn seen_from(membership: Membership, current: TenantId) -> Self {
        Self {
            current: membership.tenant.id == current,
            tenant: membership.tenant.into(),
            role: membership.role,
            last_used_at: membership.last_used_at,
        }
    }
}

/// The workspaces that you belong to.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct MyTenants {
    /// The last used first; 200 at most.
    data: Vec<MyTenant>,
}

/// Where to go.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EnterTenant {
    /// One of your workspaces.
    tenant: TenantId,
}

/// The caller's context with where the request comes from, if the edge has not put it there.
pub(super) fn coming_from(ctx: Ctx, extensions: &Extensions, headers: &HeaderMap) -> Ctx {
    if ctx.origin().is_some() {
        return ctx;
    }
    ctx.with_origin(Arc::new(origin_of(extensions, headers)))
}

/// Lists the workspaces that you belong to, the last used first.
#[utoipa::path(
    get, path = "/api/v1/me/tenants", tag = "Identity",
    responses(
        (status = 200, description = "Your workspaces", body = MyTenants),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("anyone")))
)]
pub(crate) async fn list_my_tenants(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<MyTenants>, Problem> {
    let current = ctx.tenant()?;
    let memberships = identity.my_tenants(&ctx).await?.into_iter();
    Ok(Json(MyTenants { data: memberships.map(|membership| MyTenant::seen_from(membership, current)).collect() }))
}

/// Goes on in another of your workspaces.
///
/// A new session begins there as after a login, and the one that sends this request ends. That workspace's login policy decides
/// whether the way in which you logged in is enough; if it is not, the answer says what else to prove, and this session goes on. A
/// session that began at an identity provider counts in its own workspace only (403, `sso_session_bound`).
#[utoipa::path(
    post, path = "/api/v1/me/tenant", tag = "Identity",
    request_body = EnterTenant,
    responses(
        (status = 200, description = "The new session", body = LoginResponse),
        (status = 202, description = "Another proof is needed", body = PendingLogin),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("anyone")))
)]
pub(crate) async fn enter_tenant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    extensions: Extensions,
    headers: HeaderMap,
    Json(request): Json<EnterTenant>,
) -> Result<Response, Problem> {
    let ctx = coming_from(ctx, &extensions, &headers);
    let step = identity.enter_tenant(&ctx, request.tenant).await?;
    Ok(answer(&identity, &headers, step)?)
}
