use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{Page, PullId};
use serde::Deserialize;

use crate::{Models, NewPull, Pull};

/// Weights to fetch: either `name` or `repository`.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewModelPull)]
pub struct NewPullBody {
    /// A model of this program.
    #[schema(max_length = 200, example = "local/all-minilm-l6-v2")]
    name: Option<String>,
    /// A repository of the hub.
    #[schema(max_length = 200, example = "Qwen/Qwen2.5-0.5B-Instruct-GGUF")]
    repository: Option<String>,
    /// Paths in the repository. When absent its only GGUF file, or the files of an embedding model of the BERT family.
    #[serde(default)]
    #[schema(max_items = 50)]
    files: Vec<String>,
    /// A branch, tag or commit of the repository without slashes; `main` when absent.
    #[schema(max_length = 100)]
    revision: Option<String>,
    /// Bytes of all files together at most: 1 to 10,000,000,000,000 (10 TB), 50 GB when absent.
    #[schema(minimum = 1)]
    max_bytes: Option<u64>,
}

/// Fetch weights
///
/// In the background, onto the machine of the server that does the work, from Hugging Face or the mirror that the configuration names.
/// They are for all workspaces. What breaks off, also by a crash, goes on where it stopped; a file is accepted only when its size and
/// SHA-256 are right. One model is fetched once at a time.
#[utoipa::path(
    post, path = "/api/v1/models/pulls", tag = "models", request_body = NewPullBody, security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:manage"))),
    responses(
        (status = 202, body = Pull),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_model_pull(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Json(body): Json<NewPullBody>,
) -> Result<impl IntoResponse, Problem> {
    let NewPullBody { name, repository, files, revision, max_bytes } = body;
    let pull = models.create_pull(&ctx, NewPull { name, repository, files, revision, max_bytes }).await?;
    let location = format!("/api/v1/models/pulls/{}", pull.id);
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(pull)))
}

/// List fetched weights
///
/// What is being fetched and what was, newest first.
#[utoipa::path(
    get, path = "/api/v1/models/pulls", tag = "models", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:read"))),
    responses(
        (status = 200, body = Page<Pull>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_model_pulls(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Pull>>, Problem> {
    Ok(Json(models.pulls(&ctx, &page.into_request()?).await?))
}

/// Get how far weights have come
#[utoipa::path(
    get, path = "/api/v1/models/pulls/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = PullId, Path, description = "The pull")),
    extensions(("x-permission" = json!("installation:read"))),
    responses(
        (status = 200, body = Pull),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_model_pull(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<PullId>,
) -> Result<Json<Pull>, Problem> {
    Ok(Json(models.pull(&ctx, id).await?))
}

/// Stop fetching weights
///
/// Within about a second. What was fetched so far stays, and the next pull of the same model goes on there. One that has ended stays as
/// it is.
#[utoipa::path(
    delete, path = "/api/v1/models/pulls/{id}", tag = "models", security(("bearer" = [])),
    params(("id" = PullId, Path, description = "The pull")),
    extensions(("x-permission" = json!("installation:manage"))),
    responses(
        (status = 200, body = Pull),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn cancel_model_pull(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(id): Path<PullId>,
) -> Result<Json<Pull>, Problem> {
    Ok(Json(models.cancel_pull(&ctx, id).await?))
}
