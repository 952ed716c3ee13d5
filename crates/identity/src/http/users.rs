use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, Role, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::roles::CustomRole;
use crate::{Identity, NewUser, Secret, UserChange, types};

/// A person in the workspace.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct User {
    /// The user's id.
    id: UserId,
    /// The login, in lower case.
    email: String,
    /// What to call them.
    name: String,
    /// The role in this workspace; with one of its own, the nearest built-in role below it.
    role: Role,
    /// The workspace's own role that takes the place of `role`; null when there is none.
    #[schema(required)]
    custom_role: Option<CustomRole>,
    /// Whether they are locked out.
    disabled: bool,
    /// Whether they manage the whole installation.
    operator: bool,
    /// When they were added, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// The last login, in microseconds since 1970 UTC; null when there was none yet.
    #[schema(required)]
    last_login_at: Option<Timestamp>,
}

impl From<types::User> for User {
    fn from(user: types::User) -> Self {
        let types::User { id, email, name, role, custom_role, disabled, operator, created_at, last_login_at } = user;
        let custom_role = custom_role.map(CustomRole::from);
        Self { id, email, name, role, custom_role, disabled, operator, created_at, last_login_at }
    }
}

/// Whom to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateUser {
    /// The login, new to this installation.
    #[schema(max_length = 254, example = "ada@example.org")]
    email: String,
    /// What to call them.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// Not higher than your own.
    role: Role,
    /// The first password; not the e-mail.
    #[schema(min_length = 10, max_length = 200, format = "password")]
    password: String,
}

/// What to change; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateUser {
    /// What to call them.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// Not higher than your own. It takes the place of one of the workspace's own roles too.
    role: Option<Role>,
    /// True locks them out: their sessions end, their API keys are refused. False lets them in again.
    disabled: Option<bool>,
}

/// Lists the workspace's users, newest first.
#[utoipa::path(
    get, path = "/api/v1/users", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of users", body = Page<User>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:read")), ("x-audit" = json!("personal_data")))
)]
pub(crate) async fn list_users(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<User>>, Problem> {
    Ok(Json(identity.users(&ctx, &page.into_request()?).await?.map(User::from)))
}

/// Adds a user to the workspace.
#[utoipa::path(
    post, path = "/api/v1/users", tag = "Identity",
    request_body = CreateUser,
    responses(
        (status = 201, description = "The new user", body = User),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn create_user(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateUser>,
) -> Result<(StatusCode, Json<User>), Problem> {
    let CreateUser { email, name, role, password } = request;
    let new = NewUser { email, name, role, password: Secret::new(password) };
    Ok((StatusCode::CREATED, Json(identity.create_user(&ctx, new).await?.into())))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", tag = "Identity",
    params(("id" = UserId, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The user", body = User),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:read")), ("x-audit" = json!("personal_data")))
)]
pub(crate) async fn get_user(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<UserId>,
) -> Result<Json<User>, Problem> {
    Ok(Json(identity.user(&ctx, id).await?.into()))
}

/// Changes a user's name or role, locks them out or lets them in again.
///
/// The workspace keeps at least one enabled owner; a change that would leave none is a conflict.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", tag = "Identity",
    params(("id" = UserId, Path, description = "The user's id")),
    request_body = UpdateUser,
    responses(
        (status = 200, description = "The changed user", body = User),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn update_user(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<UserId>,
    Json(request): Json<UpdateUser>,
) -> Result<Json<User>, Problem> {
    let UpdateUser { name, role, disabled } = request;
    Ok(Json(identity.update_user(&ctx, id, UserChange { name, role, disabled }).await?.into()))
}

/// Removes a user from the workspace. Their sessions end and their API keys are revoked.
#[utoipa::path(
    delete, path = "/api/v1/users/{id}", tag = "Identity",
    params(("id" = UserId, Path, description = "The user's id")),
    responses(
        (status = 204, description = "The user is removed"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("users:write")))
)]
pub(crate) async fn delete_user(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<UserId>,
) -> Result<StatusCode, Problem> {
    identity.delete_user(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
