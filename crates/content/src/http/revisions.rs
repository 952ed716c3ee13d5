use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{DocumentId, Page};
use serde::Deserialize;

use crate::{Content, Diff, Revision};

/// `?from=&to=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DiffQuery {
    /// The number of the revision before.
    #[param(minimum = 1)]
    from: u32,
    /// The number of the revision after.
    #[param(minimum = 1)]
    to: u32,
}

/// List a document's revisions
///
/// Newest first, without their bodies.
#[utoipa::path(
    get, path = "/api/v1/content/documents/{id}/revisions", tag = "content", params(("id" = DocumentId, Path), PageQuery),
    security(("bearer" = [])), extensions(("x-permission" = json!("content:read"))),
    responses(
        (status = 200, body = Page<Revision>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_content_revisions(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path(id): Path<DocumentId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Revision>>, Problem> {
    Ok(Json(content.revisions(&ctx, id, &query.into_request()?).await?))
}

/// Get a revision
///
/// With its body.
#[utoipa::path(
    get, path = "/api/v1/content/documents/{id}/revisions/{number}", tag = "content",
    params(("id" = DocumentId, Path), ("number" = u32, Path)),
    security(("bearer" = [])), extensions(("x-permission" = json!("content:read"))),
    responses(
        (status = 200, body = Revision),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_content_revision(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path((id, number)): Path<(DocumentId, u32)>,
) -> Result<Json<Revision>, Problem> {
    Ok(Json(content.revision(&ctx, id, number).await?))
}

/// Compare two revisions
///
/// Line by line; each place that differs with up to three equal lines around it.
#[utoipa::path(
    get, path = "/api/v1/content/documents/{id}/diff", tag = "content", params(("id" = DocumentId, Path), DiffQuery),
    security(("bearer" = [])), extensions(("x-permission" = json!("content:read"))),
    responses(
        (status = 200, body = Diff),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn diff_content_revisions(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path(id): Path<DocumentId>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<Diff>, Problem> {
    Ok(Json(content.diff(&ctx, id, query.from, query.to).await?))
}
