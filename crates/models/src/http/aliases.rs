use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Alias, Models};

/// Another name of a model or a route.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelAlias)]
pub struct AliasBody {
    /// What callers name as the model.
    #[schema(example = "assistant")]
    pub name: String,
    /// The model or the route that it stands for.
    #[schema(example = "acme/large-1")]
    pub target: String,
    /// When it was added, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

impl From<Alias> for AliasBody {
    fn from(alias: Alias) -> Self {
        Self { name: alias.name, target: alias.target, created_at: alias.created_at }
    }
}

/// All aliases.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ModelAliasList)]
pub struct AliasList {
    /// In the order of their names.
    pub data: Vec<AliasBody>,
}

/// What an alias stands for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModelAliasTarget)]
pub struct AliasTarget {
    /// A model's or a route's name, not another alias.
    #[schema(max_length = 400, example = "acme/large-1")]
    target: String,
}

/// List aliases
#[utoipa::path(
    get, path = "/api/v1/models/aliases", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = AliasList),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_aliases(
    State(models): State<Models>,
    Caller(ctx): Caller,
) -> Result<Json<AliasList>, Problem> {
    let data = models.aliases(&ctx).await?.into_iter().map(AliasBody::from).collect();
    Ok(Json(AliasList { data }))
}

/// Get an alias
#[utoipa::path(
    get, path = "/api/v1/models/aliases/{name}", tag = "models", security(("bearer" = [])),
    params(("name" = String, Path, description = "The alias's name")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = AliasBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_alias(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
) -> Result<Json<AliasBody>, Problem> {
    Ok(Json(models.alias(&ctx, &name).await?.into()))
}

/// Add or change an alias
///
/// It stands for a model or a route wherever a model is named. The records of calls name the model itself.
#[utoipa::path(
    put, path = "/api/v1/models/aliases/{name}", tag = "models", request_body = AliasTarget, security(("bearer" = [])),
    params(("name" = String, Path, description = "Lowercase letters, digits and `-_.`, at most 63; no route's name")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = AliasBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn put_model_alias(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Json(body): Json<AliasTarget>,
) -> Result<Json<AliasBody>, Problem> {
    Ok(Json(models.put_alias(&ctx, &name, &body.target).await?.into()))
}

/// Remove an alias
#[utoipa::path(
    delete, path = "/api/v1/models/aliases/{name}", tag = "models", security(("bearer" = [])),
    params(("name" = String, Path, description = "The alias's name")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_model_alias(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    models.delete_alias(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
