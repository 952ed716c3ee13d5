use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Identity, NewTenant, Secret, TenantState, types};

/// A workspace.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Tenant {
    /// Its id.
    id: TenantId,
    /// What people call it.
    name: String,
    /// Where it is in its life.
    state: TenantState,
    /// Why it is suspended, in words for its people; null when nobody said so.
    #[schema(required)]
    state_reason: Option<String>,
    /// What its plan is called.
    plan: String,
    /// When it is erased, in microseconds since 1970 UTC; null unless its deletion was asked for.
    #[schema(required)]
    delete_at: Option<Timestamp>,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
}

impl From<types::Tenant> for Tenant {
    fn from(tenant: types::Tenant) -> Self {
        let types::Tenant { id, name, state, state_reason, plan, delete_at, created_at } = tenant;
        Self { id, name, state, state_reason, plan, delete_at, created_at }
    }
}

/// What to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTenant {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Who owns it first.
    owner: CreateOwner,
}

/// The first owner of a workspace.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateOwner {
    /// The login, new to this installation.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// What to call them.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The first password; not the e-mail.
    #[schema(min_length = 10, max_length = 200, format = "password")]
    password: String,
}

/// What to change; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateTenant {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// Lists the workspaces that you may see: your own, or all when you operate the installation. Newest first.
#[utoipa::path(
    get, path = "/api/v1/tenants", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of workspaces", body = Page<Tenant>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:read")))
)]
pub(crate) async fn list_tenants(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    Ok(Json(identity.tenants(&ctx, &page.into_request()?).await?.map(Tenant::from)))
}

/// Makes a workspace with its first owner. Only operators of the installation may.
#[utoipa::path(
    post, path = "/api/v1/tenants", tag = "Identity",
    request_body = CreateTenant,
    responses(
        (status = 201, description = "The new workspace", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage")))
)]
pub(crate) async fn create_tenant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateTenant>,
) -> Result<(StatusCode, Json<Tenant>), Problem> {
    let new = NewTenant {
        name: request.name,
        owner_email: request.owner.email,
        owner_name: request.owner.name,
        owner_password: Secret::new(request.owner.password),
    };
    Ok((StatusCode::CREATED, Json(identity.create_tenant(&ctx, new).await?.into())))
}

/// Shows a workspace: your own, or any when you operate the installation.
#[utoipa::path(
    get, path = "/api/v1/tenants/{id}", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    responses(
        (status = 200, description = "The workspace", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:read")))
)]
pub(crate) async fn get_tenant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(identity.tenant(&ctx, id).await?.into()))
}

/// Gives a workspace another name: your own, or any when you operate the installation.
#[utoipa::path(
    patch, path = "/api/v1/tenants/{id}", tag = "Identity",
    params(("id" = TenantId, Path, description = "The workspace's id")),
    request_body = UpdateTenant,
    responses(
        (status = 200, description = "The changed workspace", body = Tenant),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("tenants:write")))
)]
pub(crate) async fn update_tenant(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<TenantId>,
    Json(request): Json<UpdateTenant>,
) -> Result<Json<Tenant>, Problem> {
    Ok(Json(identity.rename_tenant(&ctx, id, request.name.as_deref()).await?.into()))
}
