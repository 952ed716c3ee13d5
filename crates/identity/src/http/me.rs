use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Problem, ProblemBody};
use plasma_kernel::{Actor, Error, Permission, Role};
use serde::{Deserialize, Serialize};

use super::{roles::CustomRole, tenants::Tenant, users::User};
use crate::{Identity, Secret};

/// Who calls, and what they may do.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Me {
    /// The person, the key or the application.
    actor: MeActor,
    /// The person, also the one for whom an application acts; null for an API key and an application that acts for itself.
    #[schema(required)]
    user: Option<User>,
    /// The caller's workspace.
    tenant: Tenant,
    /// The role that the caller acts in; with one of the workspace's own, the nearest built-in role below it.
    role: Role,
    /// The workspace's own role that takes the place of `role`; null when there is none.
    #[schema(required)]
    custom_role: Option<CustomRole>,
    /// What the caller may do.
    permissions: Vec<Permission>,
}

/// The person, the key or the application that calls.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct MeActor {
    /// A person, an API key or an application.
    kind: ActorKind,
    /// The id of the user, the key or the application.
    id: String,
    /// The name of the user, the key or the application.
    name: String,
}

/// Kinds of callers.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ActorKind {
    /// A person who logged in.
    User,
    /// A program with an API key.
    ApiKey,
    /// An application with an OAuth token.
    Application,
}

/// What to change of oneself.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateMe {
    /// What to call you.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

/// The old and the new password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePassword {
    /// The password until now.
    #[schema(max_length = 200, format = "password")]
    current_password: String,
    /// The password from now on; not your e-mail, and none that is tried first.
    #[schema(min_length = 10, max_length = 200, format = "password")]
    new_password: String,
}

/// Tells who you are and what you may do.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "Identity",
    responses(
        (status = 200, description = "You", body = Me),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")), ("x-while-suspended" = json!("owner")))
)]
pub(crate) async fn get_me(State(identity): State<Identity>, Caller(ctx): Caller) -> Result<Json<Me>, Problem> {
    let me = identity.me(&ctx).await?;
    let (kind, id) = match &me.actor {
        Actor::ApiKey { id } => (ActorKind::ApiKey, id.to_string()),
        Actor::User { id } => (ActorKind::User, id.to_string()),
        Actor::Application { id, .. } => (ActorKind::Application, id.to_string()),
        Actor::System { .. } => return Err(Error::internal("the system does not call over HTTP").into()),
    };
    Ok(Json(Me {
        actor: MeActor { kind, id, name: me.name },
        user: me.user.map(User::from),
        tenant: me.tenant.into(),
        role: me.role,
        custom_role: me.custom_role.map(CustomRole::from),
        permissions: me.permissions.iter().collect(),
    }))
}

/// Changes what you are called.
#[utoipa::path(
    patch, path = "/api/v1/me", tag = "Identity",
    request_body = UpdateMe,
    responses(
        (status = 200, description = "You", body = User),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn update_me(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<UpdateMe>,
) -> Result<Json<User>, Problem> {
    Ok(Json(identity.rename_me(&ctx, request.name.as_deref()).await?.into()))
}

/// Changes your password. Your other sessions end.
#[utoipa::path(
    post, path = "/api/v1/me/password", tag = "Identity",
    request_body = ChangePassword,
    responses(
        (status = 204, description = "The password is changed"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("authenticated")))
)]
pub(crate) async fn change_my_password(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let (current, new) = (Secret::new(request.current_password), Secret::new(request.new_password));
    identity.change_password(&ctx, &current, &new).await?;
    Ok(StatusCode::NO_CONTENT)
}
