use std::net::IpAddr;

use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ApiKeyId, Error, Page, Permission, Role, RoleId, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use super::roles::CustomRole;
use crate::{ApiKeyChange, ApiKeyRotation, Identity, NewApiKey, RoleName, types};

/// For how long a rotated key works beside its successor when the request does not say: a day.
const OVERLAP_SECONDS: u32 = 24 * 3_600;

/// A program's credential.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ApiKey {
    /// The key's id.
    id: ApiKeyId,
    /// What it is for.
    name: String,
    /// Its first 12 characters, to recognize it by.
    #[schema(example = "plk_abcd1234")]
    prefix: String,
    /// What it may do at most; with one of the workspace's own roles, the nearest built-in role below it.
    role: Role,
    /// The workspace's own role that takes the place of `role`; null when there is none.
    #[schema(required)]
    custom_role: Option<CustomRole>,
    /// What it may do: the scopes that it was made with, or all permissions of its role. Its creator's bound it further.
    scopes: Vec<Permission>,
    /// From where it may be used, as in `192.0.2.0/24`; empty means from anywhere.
    addresses: Vec<String>,
    /// The person who made it.
    created_by: UserId,
    /// The team to which its calls are counted; null means the default team of the person who made it.
    #[schema(required)]
    team: Option<TeamId>,
    /// When it was made, in microseconds since 1970 UTC.
    created_at: Timestamp,
    /// From when on it is refused; null means never.
    #[schema(required)]
    expires_at: Option<Timestamp>,
    /// When it was last used, to the minute; null means never.
    #[schema(required)]
    last_used_at: Option<Timestamp>,
    /// From where that was; null when it is not known.
    #[schema(required, value_type = Option<String>)]
    last_used_address: Option<IpAddr>,
    /// When it was revoked; null means that it was not.
    #[schema(required)]
    revoked_at: Option<Timestamp>,
    /// The key whose place it took; null when it took none.
    #[schema(required)]
    replaces: Option<ApiKeyId>,
    /// The key that took its place; it ends at `expires_at`.
    #[schema(required)]
    replaced_by: Option<ApiKeyId>,
}

impl From<types::ApiKey> for ApiKey {
    fn from(key: types::ApiKey) -> Self {
        let scopes = key.permissions().iter().collect();
        Self {
            id: key.id,
            name: key.name,
            prefix: key.prefix,
            role: key.role,
            custom_role: key.custom_role.map(CustomRole::from),
            scopes,
            addresses: key.addresses.iter().map(ToString::to_string).collect(),
            created_by: key.created_by,
            team: key.team,
            created_at: key.created_at,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            last_used_address: key.last_used_address,
            revoked_at: key.revoked_at,
            replaces: key.replaces,
            replaced_by: key.replaced_by,
        }
    }
}

/// What to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may do at most; not more than you may do yourself. Needed without `custom_role`.
    role: Option<Role>,
    /// One of the workspace's own roles, in place of `role`.
    custom_role: Option<RoleId>,
    /// Narrows the role. Absent: all of it.
    #[schema(min_items = 1)]
    scopes: Option<Vec<Permission>>,
    /// From where it may be used: addresses and networks such as `192.0.2.0/24`. Absent or empty: from anywhere.
    #[serde(default)]
    #[schema(max_items = 50)]
    addresses: Vec<String>,
    /// From when on it is refused, in microseconds since 1970 UTC. Absent: never.
    expires_at: Option<Timestamp>,
    /// The team to which its calls are counted. Absent: the default team of the person who made it.
    team: Option<TeamId>,
}

/// What to change of a key; absent fields stay.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateApiKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// From where it may be used; empty means from anywhere.
    #[schema(max_items = 50)]
    addresses: Option<Vec<String>>,
}

/// How a key gets a successor.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateApiKey {
    /// For how long the old key works beside the new one: 0 to 2592000 (30 days). Absent: a day.
    #[schema(maximum = 2_592_000, default = 86_400)]
    overlap_seconds: Option<u32>,
    /// From when on the successor is refused, in microseconds since 1970 UTC. Absent: it lives as long as the old one was to live.
    expires_at: Option<Timestamp>,
}

/// A new key, with the key itself.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CreatedApiKey {
    #[serde(flatten)]
    api_key: ApiKey,
    /// The key itself: `plk_`, 52 random characters and 6 of a checksum. It is not stored and cannot be shown again.
    #[schema(example = "plk_…")]
    key: String,
}

/// Lists the workspace's API keys, revoked ones too, newest first.
#[utoipa::path(
    get, path = "/api/v1/api-keys", tag = "Identity",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of keys", body = Page<ApiKey>),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("api_keys:read")))
)]
pub(crate) async fn list_api_keys(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    Ok(Json(identity.api_keys(&ctx, &page.into_request()?).await?.map(ApiKey::from)))
}

/// Makes an API key. The answer is the only place where the key itself appears.
#[utoipa::path(
    post, path = "/api/v1/api-keys", tag = "Identity",
    request_body = CreateApiKey,
    responses(
        (status = 201, description = "The new key", body = CreatedApiKey),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("api_keys:write")))
)]
pub(crate) async fn create_api_key(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Json(request): Json<CreateApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), Problem> {
    let CreateApiKey { name, role, custom_role, scopes, addresses, expires_at, team } = request;
    let role = one_role(role, custom_role)?;
    let new = NewApiKey { name, role, scopes, addresses, expires_at, team };
    Ok((StatusCode::CREATED, Json(identity.create_api_key(&ctx, new).await?.into())))
}

fn one_role(role: Option<Role>, custom_role: Option<RoleId>) -> Result<RoleName, Error> {
    match (role, custom_role) {
        (Some(role), None) => Ok(role.into()),
        (None, Some(custom_role)) => Ok(custom_role.into()),
        (None, None) => Err(Error::invalid("role", "is missing").remedy("name a role or a `custom_role`")),
        (Some(_), Some(_)) => {
            Err(Error::invalid("role", "a key has one role").remedy("leave `role` or `custom_role` out"))
        }
    }
}

impl From<types::CreatedApiKey> for CreatedApiKey {
    fn from(created: types::CreatedApiKey) -> Self {
        Self { api_key: created.api_key.into(), key: created.key.expose().to_owned() }
    }
}

/// Changes what an API key is for, or from where it may be used.
#[utoipa::path(
    patch, path = "/api/v1/api-keys/{id}", tag = "Identity",
    params(("id" = ApiKeyId, Path, description = "The key's id")),
    request_body = UpdateApiKey,
    responses(
        (status = 200, description = "The changed key", body = ApiKey),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("api_keys:write")))
)]
pub(crate) async fn update_api_key(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApiKeyId>,
    Json(request): Json<UpdateApiKey>,
) -> Result<Json<ApiKey>, Problem> {
    let UpdateApiKey { name, addresses } = request;
    Ok(Json(identity.update_api_key(&ctx, id, ApiKeyChange { name, addresses }).await?.into()))
}

/// Gives an API key a successor that may do the same. The old one works until the overlap ends.
///
/// The successor belongs to you. The answer is the only place where it appears.
#[utoipa::path(
    post, path = "/api/v1/api-keys/{id}/rotate", tag = "Identity",
    params(("id" = ApiKeyId, Path, description = "The old key's id")),
    request_body = RotateApiKey,
    responses(
        (status = 201, description = "The successor", body = CreatedApiKey),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("api_keys:write")))
)]
pub(crate) async fn rotate_api_key(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApiKeyId>,
    Json(request): Json<RotateApiKey>,
) -> Result<(StatusCode, Json<CreatedApiKey>), Problem> {
    let RotateApiKey { overlap_seconds, expires_at } = request;
    let rotation = ApiKeyRotation { overlap_seconds: overlap_seconds.unwrap_or(OVERLAP_SECONDS), expires_at };
    Ok((StatusCode::CREATED, Json(identity.rotate_api_key(&ctx, id, rotation).await?.into())))
}

/// Revokes an API key: it is refused at once, in other processes of the installation within 5 seconds.
#[utoipa::path(
    delete, path = "/api/v1/api-keys/{id}", tag = "Identity",
    params(("id" = ApiKeyId, Path, description = "The key's id")),
    responses(
        (status = 204, description = "The key is revoked"),
        (status = "default", description = "What went wrong", body = ProblemBody, content_type = "application/problem+json")
    ),
    security(("bearer" = [])),
    extensions(("x-permission" = json!("api_keys:write")))
)]
pub(crate) async fn revoke_api_key(
    State(identity): State<Identity>,
    Caller(ctx): Caller,
    Path(id): Path<ApiKeyId>,
) -> Result<StatusCode, Problem> {
    identity.revoke_api_key(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
