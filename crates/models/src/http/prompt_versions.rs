use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Actor, Page, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Models, PromptDefinition, PromptDiff, PromptMessage, PromptParameters, PromptVariable, PromptVersion,
    PromptVersionSummary,
};

/// A version of a prompt. It never changes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = PromptVersion)]
pub struct PromptVersionBody {
    /// Its number, from 1.
    pub version: u32,
    /// Templates of messages; those of the system come first.
    pub messages: Vec<PromptMessage>,
    /// What the templates insert.
    pub variables: Vec<PromptVariable>,
    /// The model, route or alias to ask when the caller names none.
    #[schema(required)]
    pub model: Option<String>,
    /// What callers leave open.
    pub parameters: PromptParameters,
    /// Why it was made.
    pub note: String,
    /// Who made it.
    pub actor: Actor,
    /// When it was made, in microseconds since 1970 UTC.
    pub created_at: Timestamp,
}

impl From<PromptVersion> for PromptVersionBody {
    fn from(version: PromptVersion) -> Self {
        let PromptVersion { version, definition, note, actor, created_at } = version;
        let PromptDefinition { messages, variables, model, parameters } = definition;
        Self { version, messages, variables, model, parameters, note, actor, created_at }
    }
}

/// A version to add.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPromptVersion)]
pub struct NewPromptVersionBody {
    /// Templates of messages, 1 to 32; those of the system come first.
    messages: Vec<PromptMessage>,
    /// What the templates insert, at most 64.
    #[serde(default)]
    variables: Vec<PromptVariable>,
    /// The model, route or alias to ask when the caller names none.
    #[serde(default)]
    model: Option<String>,
    /// What callers leave open.
    #[serde(default)]
    parameters: PromptParameters,
    /// Why it is made, at most 500 characters.
    #[serde(default)]
    note: String,
}

impl NewPromptVersionBody {
    pub(super) fn into_parts(self) -> (PromptDefinition, String) {
        let Self { messages, variables, model, parameters, note } = self;
        (PromptDefinition { messages, variables, model, parameters }, note)
    }
}

/// `?from=&to=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PromptDiffQuery {
    /// A version's number.
    from: u32,
    /// Another version's number.
    to: u32,
}

/// List a prompt's versions
///
/// Newest first, without what they say.
#[utoipa::path(
    get, path = "/api/v1/prompts/{name}/versions", tag = "prompts", security(("bearer" = [])),
    params(("name" = String, Path, description = "The prompt's name"), PageQuery),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = Page<PromptVersionSummary>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_prompt_versions(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<PromptVersionSummary>>, Problem> {
    Ok(Json(models.prompt_versions(&ctx, &name, &page.into_request()?).await?))
}

/// Add a version of a prompt
///
/// It gets the next number and never changes. Templates are a part of Jinja: insertions with filters, `if` and `for`.
#[utoipa::path(
    post, path = "/api/v1/prompts/{name}/versions", tag = "prompts", request_body = NewPromptVersionBody,
    security(("bearer" = [])),
    params(("name" = String, Path, description = "The prompt's name")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 201, body = PromptVersionBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_prompt_version(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Json(body): Json<NewPromptVersionBody>,
) -> Result<impl IntoResponse, Problem> {
    let (definition, note) = body.into_parts();
    let version = models.create_prompt_version(&ctx, &name, definition, &note).await?;
    let location = format!("/api/v1/prompts/{name}/versions/{}", version.version);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(PromptVersionBody::from(version))))
}

/// Get a version of a prompt
#[utoipa::path(
    get, path = "/api/v1/prompts/{name}/versions/{version}", tag = "prompts", security(("bearer" = [])),
    params(
        ("name" = String, Path, description = "The prompt's name"),
        ("version" = u32, Path, description = "The version's number"),
    ),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = PromptVersionBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_prompt_version(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path((name, version)): Path<(String, u32)>,
) -> Result<Json<PromptVersionBody>, Problem> {
    Ok(Json(models.prompt_version(&ctx, &name, version).await?.into()))
}

/// Compare two versions of a prompt
///
/// Line by line: each message under its role, then the variables, the model and the parameters.
#[utoipa::path(
    get, path = "/api/v1/prompts/{name}/diff", tag = "prompts", security(("bearer" = [])),
    params(("name" = String, Path, description = "The prompt's name"), PromptDiffQuery),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = PromptDiff),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn diff_prompt_versions(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Query(query): Query<PromptDiffQuery>,
) -> Result<Json<PromptDiff>, Problem> {
    Ok(Json(models.prompt_diff(&ctx, &name, query.from, query.to).await?))
}
