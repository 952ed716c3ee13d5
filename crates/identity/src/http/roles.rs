use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Error, Page, Permission, RoleId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::users::User;
use crate::{Identity, NewRole, RoleChange, RoleName, types};

/// A role with what it allows and who has it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RoleDetails {
    /// A built-in role's word such as `editor`, or the id of one of the workspace's own.
    #[schema(example = "editor")]
    id: String,
    /// What people call it.
    name: String,
    /// What it is for; may be empty.
    description: String,
    /// Whether it is built in, and cannot be changed.
    built_in: bool,
    /// What it allows.
    permissions: Vec<Permission>,
    /// How many people have it.
    user_count: u64,
    /// How many API keys that are not revoked have it.
    api_key_count: u64,
    /// When it was made, in microseconds since 1970 UTC; null for a built-in one.
    #[schema(required)]
    created_at: Option<Timestamp>,
    /// When it was changed last; null for a built-in one.
    #[schema(required)]
    updated_at: Option<Timestamp>,
}

impl From<types::RoleDetails> for RoleDetails {
    fn from(role: types::RoleDetails) -> Self {
        Self {
            id: role.id.to_string(),
            name: role.name,
            description: role.description,
            built_in: matches!(role.id, RoleName::BuiltIn(_)),
            permissions: role.permissions.iter().collect(),
            user_count: role.user_count,
            api_key_count: role.api_key_count,
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

/// A role of the workspace's own, as somebody has it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CustomRole {
    /// Its id.
    id: RoleId,
    /// What people call it.
    name: String,
}

impl From<types::CustomRole> for CustomRole {
    fn from(role: types::CustomRole) -> Self {
        Self { id: role.id, name: role.name }
    }
}

/// A role to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateRole {
    /// What people call it; unique in the workspace, whatever the case.
    #[schema(min_length = 1, max_length = 200, example = "Publisher")]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 1_000)]
    description: String,
    /// What it allows; nothing that you may not do yourself.
    #[schema(min_items = 1)]
    permissions: Vec<Permission>,
}

/// What to change of a role; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateRole {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// What it is for.
    #[schema(max_length = 1_000)]
    description: Option<String>,
    /// What it allows.
    #[schema(min_items = 1)]
    permissions: Option<Vec<Permission>>,
}

/// What becomes of those who have the role.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteRole {
    /// The role that they get instead, by its word or its id. Needed when somebody has it.
    #[param(example = "viewer")]
    replacement: Option<String>,
}

/// A role to give.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssignRole {
    /// A built-in role's word, or the id of one of the workspace's own.
    #[schema(example = "editor")]
    role: String,
}

/// Lists the roles: the built-in ones, then the workspace's own, newest first.
///
/// All of them are on one page.
#[utoipa::path(
    get, path = "/api/v1/roles", tag = "Identity",
    responses(
        (status = 200, description = "All roles", body = Page<RoleDetails>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("roles:read")))
)]
pub(crate) async fn list_roles(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
) -> Result<Json<Page<RoleDetails>>, Problem> {
    let data = identity.roles(&ctx).await?.into_iter().map(RoleDetails::from).collect();
    Ok(Json(Page { data, has_more: false, next_cursor: None }))
}

/// Makes a role of the workspace's own.
#[utoipa::path(
    post, path = "/api/v1/roles", tag = "Identity",
    request_body = CreateRole,
    responses(
        (status = 201, description = "The new role", body = RoleDetails),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("roles:write")))
)]
pub(crate) async fn create_role(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateRole>,
) -> Result<(StatusCode, Json<RoleDetails>), Problem> {
    let CreateRole { name, description, permissions } = request;
    let role = identity.create_role(&ctx, NewRole { name, description, permissions }).await?;
    Ok((StatusCode::CREATED, Json(role.into())))
}

/// Shows a role.
#[utoipa::path(
    get, path = "/api/v1/roles/{id}", tag = "Identity",
    params(("id" = String, Path, description = "A built-in role's word, or a role's id")),
    responses(
        (status = 200, description = "The role", body = RoleDetails),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("roles:read")))
)]
pub(crate) async fn get_role(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<RoleName>,
) -> Result<Json<RoleDetails>, Problem> {
    Ok(Json(identity.role(&ctx, id).await?.into()))
}

/// Changes a role of the workspace's own. It holds at once for everybody who has it.
#[utoipa::path(
    patch, path = "/api/v1/roles/{id}", tag = "Identity",
    params(("id" = String, Path, description = "The role's id")),
    request_body = UpdateRole,
    responses(
        (status = 200, description = "The changed role", body = RoleDetails),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("roles:write")))
)]
pub(crate) async fn update_role(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<RoleName>,
    Json(request): Json<UpdateRole>,
) -> Result<Json<RoleDetails>, Problem> {
    let UpdateRole { name, description, permissions } = request;
    Ok(Json(identity.update_role(&ctx, id, RoleChange { name, description, permissions }).await?.into()))
}

/// Deletes a role of the workspace's own.
///
/// While people or API keys have it, name the role that they get instead.
#[utoipa::path(
    delete, path = "/api/v1/roles/{id}", tag = "Identity",
    params(("id" = String, Path, description = "The role's id"), DeleteRole),
    responses(
        (status = 204, description = "The role is deleted"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("roles:write")))
)]
pub(crate) async fn delete_role(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<RoleName>,
    Query(query): Query<DeleteRole>,
) -> Result<StatusCode, Problem> {
    let replacement = query.replacement.as_deref().map(str::parse::<RoleName>).transpose();
    let replacement = replacement.map_err(|error: Error| error.field("replacement"))?;
    identity.delete_role(&ctx, id, replacement).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a user a role, a built-in one or one of the workspace's own. It holds from their next request on.
#[utoipa::path(
    put, path = "/api/v1/users/{id}/role", tag = "Identity",
    params(("id" = UserId, Path, description = "The user's id")),
    request_body = AssignRole,
    responses(
        (status = 200, description = "The user with the role", body = User),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn assign_role(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<UserId>,
    Json(request): Json<AssignRole>,
) -> Result<Json<User>, Problem> {
    let role: RoleName = request.role.parse()?;
    Ok(Json(identity.assign_role(&ctx, id, role).await?.into()))
}
