use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, ProviderId, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Models, NewProvider, Provider, ProviderChange, ProviderKind, ProviderOptions};

/// A place where models are called that do not run in this process.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Provider)]
pub struct ProviderBody {
    /// Its id.
    pub id: ProviderId,
    /// The first part of its models' names.
    #[schema(example = "acme")]
    pub name: String,
    /// How it is reached.
    pub kind: ProviderKind,
    /// The address before the protocol's own path.
    #[schema(example = "https://api.example.com/v1")]
    pub base_url: String,
    /// What the kind may need beyond.
    pub options: ProviderOptions,
    /// Whether an API key is stored. The key itself is never given out.
    pub has_api_key: bool,
    /// Whether the address may lead anywhere, also into the server's own network: somebody entered it who manages the
    /// installation. Others lead to the public internet and to the networks that the installation allows.
    pub unguarded: bool,
    /// When it was added, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

impl From<Provider> for ProviderBody {
    fn from(provider: Provider) -> Self {
        let Provider { id, name, kind, base_url, options, has_api_key, unguarded, created_at } = provider;
        Self { id, name, kind, base_url, options, has_api_key, unguarded, created_at }
    }
}

/// A provider to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewProvider)]
pub struct NewProviderBody {
    /// Lowercase letters, digits and hyphens; not `local`. It cannot be changed later.
    #[schema(max_length = 63, example = "acme")]
    name: String,
    /// `openai`: any server that speaks the OpenAI protocol. Not `local`.
    kind: ProviderKind,
    /// The address before the protocol's own path, without credentials, query or fragment: `https://api.openai.com/v1`,
    /// `https://api.anthropic.com/v1`, `https://generativelanguage.googleapis.com/v1beta`, `https://NAME.openai.azure.com`,
    /// `https://bedrock-runtime.REGION.amazonaws.com`. Only whoever manages the installation may name one in a private network
    /// that the installation does not allow.
    #[schema(max_length = 500, example = "https://api.example.com/v1")]
    base_url: String,
    /// The provider's API key, when it needs one. It is stored encrypted. For Bedrock a Bedrock API key, or
    /// `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with `:SESSION_TOKEN` for temporary ones.
    #[schema(max_length = 4000)]
    api_key: Option<String>,
    /// What the kind may need beyond.
    #[serde(default)]
    options: ProviderOptions,
}

/// What to change of a provider.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ProviderChange)]
pub struct ProviderChangeBody {
    /// Another address. When it moves to another host, the key must be given again.
    #[schema(max_length = 500)]
    base_url: Option<String>,
    /// Another key; null forgets it.
    #[serde(default, deserialize_with = "given")]
    #[schema(max_length = 4000)]
    api_key: Option<Option<String>>,
    /// Replaces all options.
    options: Option<ProviderOptions>,
}

/// Tells null from an absent field.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Whether a provider's address and key work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ProviderTest)]
pub struct ProviderTestBody {
    /// Whether it gave its list of models.
    pub ok: bool,
    /// The provider's own names, at most 1,000.
    pub models: Vec<String>,
    /// Why it did not work.
    #[schema(required)]
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// List providers
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/providers", tag = "models", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<ProviderBody>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_providers(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ProviderBody>>, Problem> {
    let page = models.providers(&ctx, &page.into_request()?).await?;
    Ok(Json(page.map(ProviderBody::from)))
}

/// Add a provider
///
/// Nothing is sent to it; `POST /api/v1/providers/{id}/test` tries it.
#[utoipa::path(
    post, path = "/api/v1/providers", tag = "models", request_body = NewProviderBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = ProviderBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_provider(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewProviderBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewProviderBody { name, kind, base_url, api_key, options } = body;
    let provider = models.create_provider(&ctx, NewProvider { name, kind, base_url, api_key, options }).await?;
    let location = format!("/api/v1/providers/{}", provider.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(ProviderBody::from(provider))))
}

/// Get a provider
#[utoipa::path(
    get, path = "/api/v1/providers/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = ProviderId, Path, description = "The provider's id")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = ProviderBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_provider(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<ProviderId>,
) -> Result<Json<ProviderBody>, Problem> {
    Ok(Json(models.provider(&ctx, id).await?.into()))
}

/// Change a provider
///
/// Its address or its key. The next calls use it.
#[utoipa::path(
    patch, path = "/api/v1/providers/{id}", tag = "models", request_body = ProviderChangeBody, security(("bearer" = [])),
    params(("id" = ProviderId, Path, description = "The provider's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = ProviderBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn change_provider(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<ProviderId>,
    Json(body): Json<ProviderChangeBody>,
) -> Result<Json<ProviderBody>, Problem> {
    let ProviderChangeBody { base_url, api_key, options } = body;
    Ok(Json(models.change_provider(&ctx, id, ProviderChange { base_url, api_key, options }).await?.into()))
}

/// Remove a provider
///
/// Its key and its models are removed with it; the records of their calls stay.
#[utoipa::path(
    delete, path = "/api/v1/providers/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = ProviderId, Path, description = "The provider's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_provider(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<ProviderId>,
) -> Result<StatusCode, Problem> {
    models.delete_provider(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Try a provider
///
/// Asks it for its list of models. What goes wrong at the provider is in the answer's `error`.
#[utoipa::path(
    post, path = "/api/v1/providers/{id}/test", tag = "models", security(("bearer" = [])),
    params(("id" = ProviderId, Path, description = "The provider's id")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = ProviderTestBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn test_provider(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<ProviderId>,
) -> Result<Json<ProviderTestBody>, Problem> {
    let test = models.test_provider(&ctx, id).await?;
    let (ok, models, error) = (test.error.is_none(), test.models, test.error);
    Ok(Json(ProviderTestBody { ok, models, error, duration_ms: test.duration_ms }))
}
