use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{ApiKeyId, Page, Permission, Role, TeamId, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Identity, NewApiKey, types};

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
    /// What it may do at most.
    role: Role,
    /// What it may do: the scopes that it was made with, or all permissions of its role. Its creator's bound it further.
    scopes: Vec<Permission>,
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
    /// When it was revoked; null means that it was not.
    #[schema(required)]
    revoked_at: Option<Timestamp>,
}

impl From<types::ApiKey> for ApiKey {
    fn from(key: types::ApiKey) -> Self {
        let scopes = key.permissions().iter().collect();
        let types::ApiKey {
            id,
            name,
            prefix,
            role,
            created_by,
            team,
            created_at,
            expires_at,
            last_used_at,
            revoked_at,
            ..
        } = key;
        Self { id, name, prefix, role, scopes, created_by, team, created_at, expires_at, last_used_at, revoked_at }
    }
}

/// What to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKey {
    /// What it is for.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it may do at most; not more than you may do yourself.
    role: Role,
    /// Narrows the role. Absent: all of it.
    #[schema(min_items = 1)]
    scopes: Option<Vec<Permission>>,
    /// From when on it is refused, in microseconds since 1970 UTC. Absent: never.
    expires_at: Option<Timestamp>,
    /// The team to which its calls are counted. Absent: the default team of the person who made it.
    team: Option<TeamId>,
}

/// A new key, with the key itself.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CreatedApiKey {
    #[serde(flatten)]
    api_key: ApiKey,
    /// The key itself. It is not stored and cannot be shown again.
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
    let CreateApiKey { name, role, scopes, expires_at, team } = request;
    let created = identity.create_api_key(&ctx, NewApiKey { name, role, scopes, expires_at, team }).await?;
    let body = CreatedApiKey { api_key: created.api_key.into(), key: created.key.expose().to_owned() };
    Ok((StatusCode::CREATED, Json(body)))
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
