use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::Page;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::prompt_versions::NewPromptVersionBody;
use crate::{
    Models, Prompt, PromptAlias, PromptCall, PromptParameters, PromptReference, PromptShare, RenderedMessage,
    RenderedPrompt, RenderedVersion,
};

/// A prompt to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPrompt)]
pub struct NewPromptBody {
    /// Lowercase letters, digits and `-_.`, at most 63.
    #[schema(max_length = 63, example = "support-reply")]
    name: String,
    /// What it is for, at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
}

/// The versions that an alias stands for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PromptAliasSplit)]
pub struct AliasSplitBody {
    /// 1 to 10 versions. Several share the calls by their weights.
    split: Vec<PromptShare>,
}

/// What a dry run inserts.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PromptRendering)]
pub struct RenderBody {
    /// The version's number.
    #[serde(default)]
    version: Option<u32>,
    /// An alias, or `latest`. Without version and alias: the alias `production`, else the newest version.
    #[serde(default)]
    alias: Option<String>,
    /// A definition that is not stored takes the place of a version.
    #[serde(default)]
    draft: Option<NewPromptVersionBody>,
    /// The variables' values by their names.
    #[serde(default)]
    #[schema(value_type = Object)]
    variables: Map<String, Value>,
    /// By which an alias that stands for several versions draws; without it each rendering draws anew.
    #[serde(default)]
    #[schema(max_length = 512)]
    subject: Option<String>,
}

/// What a call would send.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RenderedPrompt)]
pub struct RenderedBody {
    /// The version that was rendered; null for a draft.
    #[schema(required)]
    pub version: Option<u32>,
    /// The messages, before those of the caller.
    pub messages: Vec<RenderedMessage>,
    /// The model to ask when the caller names none.
    #[schema(required)]
    pub model: Option<String>,
    /// What callers leave open.
    pub parameters: PromptParameters,
}

impl From<RenderedPrompt> for RenderedBody {
    fn from(rendered: RenderedPrompt) -> Self {
        let RenderedPrompt { used, messages, model, parameters } = rendered;
        Self { version: used.map(|used| used.version), messages, model, parameters }
    }
}

/// List prompts
///
/// In the order of their names.
#[utoipa::path(
    get, path = "/api/v1/prompts", tag = "prompts", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<Prompt>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_prompts(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Prompt>>, Problem> {
    Ok(Json(models.prompts(&ctx, &page.into_request()?).await?))
}

/// Add a prompt
///
/// Without a version; the next step adds one.
#[utoipa::path(
    post, path = "/api/v1/prompts", tag = "prompts", request_body = NewPromptBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = Prompt),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_prompt(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewPromptBody>,
) -> Result<impl IntoResponse, Problem> {
    let prompt = models.create_prompt(&ctx, &body.name, &body.description).await?;
    let location = format!("/api/v1/prompts/{}", prompt.name);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(prompt)))
}

/// Get a prompt
#[utoipa::path(
    get, path = "/api/v1/prompts/{name}", tag = "prompts", security(("bearer" = [])),
    params(("name" = String, Path, description = "The prompt's name")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Prompt),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_prompt(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
) -> Result<Json<Prompt>, Problem> {
    Ok(Json(models.prompt(&ctx, &name).await?))
}

/// Remove a prompt
///
/// With its versions and aliases. Calls that name it are refused from now on; the records of calls keep its name.
#[utoipa::path(
    delete, path = "/api/v1/prompts/{name}", tag = "prompts", security(("bearer" = [])),
    params(("name" = String, Path, description = "The prompt's name")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_prompt(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    models.delete_prompt(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Add or change a prompt's alias
///
/// It stands for one version, or for several by weight. Calls of one subject get the same version as long as the weights stay.
#[utoipa::path(
    put, path = "/api/v1/prompts/{name}/aliases/{alias}", tag = "prompts", request_body = AliasSplitBody,
    security(("bearer" = [])),
    params(
        ("name" = String, Path, description = "The prompt's name"),
        ("alias" = String, Path, description = "Lowercase letters, digits and `-_.`, at most 63, beginning with a letter; not `latest`"),
    ),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = PromptAlias),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn put_prompt_alias(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path((name, alias)): Path<(String, String)>,
    Json(body): Json<AliasSplitBody>,
) -> Result<Json<PromptAlias>, Problem> {
    Ok(Json(models.put_prompt_alias(&ctx, &name, &alias, body.split).await?))
}

/// Remove a prompt's alias
#[utoipa::path(
    delete, path = "/api/v1/prompts/{name}/aliases/{alias}", tag = "prompts", security(("bearer" = [])),
    params(
        ("name" = String, Path, description = "The prompt's name"),
        ("alias" = String, Path, description = "The alias's name"),
    ),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_prompt_alias(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path((name, alias)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    models.delete_prompt_alias(&ctx, &name, &alias).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Render a prompt
///
/// A dry run: the messages that a call would send. Missing and wrong variables are refused by their names.
#[utoipa::path(
    post, path = "/api/v1/prompts/{name}/render", tag = "prompts", request_body = RenderBody, security(("bearer" = [])),
    params(("name" = String, Path, description = "The prompt's name")),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = RenderedBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn render_prompt(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Json(body): Json<RenderBody>,
) -> Result<Json<RenderedBody>, Problem> {
    let RenderBody { version, alias, draft, variables, subject } = body;
    let version = match (draft, version, alias) {
        (Some(draft), None, None) => RenderedVersion::Draft(Box::new(draft.into_parts().0)),
        (None, Some(version), None) => RenderedVersion::Stored(PromptReference::Version(version)),
        (None, None, Some(alias)) => RenderedVersion::Stored(PromptReference::of(&alias)),
        (None, None, None) => RenderedVersion::Stored(PromptReference::Unnamed),
        _ => {
            let message = "a rendering names a version, an alias or a draft, not several of them";
            return Err(plasma_kernel::Error::invalid("version", message).into());
        }
    };
    let call = PromptCall { name, variables, subject, ..PromptCall::default() };
    Ok(Json(models.render_prompt(&ctx, version, call).await?.into()))
}
