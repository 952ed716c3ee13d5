use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{CollectionId, DocumentId, Page};
use serde::Deserialize;

use crate::{Content, Document, DocumentFilter, DocumentState, DocumentSummary, Edit, Text};

/// A document to make.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewContent {
    /// One line.
    #[schema(min_length = 1, max_length = 300)]
    title: String,
    /// Markdown, at most 1 MiB.
    body: String,
}

/// A document's new text.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentEdit {
    /// One line.
    #[schema(min_length = 1, max_length = 300)]
    title: String,
    /// Markdown, at most 1 MiB.
    body: String,
    /// The revision that was edited. When the document has a newer one the answer is 409.
    #[schema(minimum = 1)]
    expected_revision: u32,
    /// What was changed, for others.
    #[schema(max_length = 500)]
    note: Option<String>,
}

/// Which revision to take up again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ContentRestore {
    /// Its number.
    #[schema(minimum = 1)]
    revision: u32,
}

/// `?state=&collection=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ContentQuery {
    /// Only documents in this state.
    state: Option<DocumentState>,
    /// Only documents that were generated from the collection with this id.
    collection: Option<CollectionId>,
    /// Rows on the page: 1 to 200, 50 when absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List documents
///
/// Newest first, without their bodies.
#[utoipa::path(
    get, path = "/api/v1/content/documents", tag = "content", params(ContentQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("content:read"))),
    responses(
        (status = 200, body = Page<DocumentSummary>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Query(query): Query<ContentQuery>,
) -> Result<Json<Page<DocumentSummary>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    let filter = DocumentFilter { state: query.state, collection: query.collection };
    Ok(Json(content.documents(&ctx, &filter, &page).await?))
}

/// Create a document
#[utoipa::path(
    post, path = "/api/v1/content/documents", tag = "content", request_body = NewContent, security(("bearer" = [])),
    extensions(("x-permission" = json!("content:write"))),
    responses(
        (status = 201, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Json(new): Json<NewContent>,
) -> Result<(StatusCode, Json<Document>), Problem> {
    let document = content.create(&ctx, Text { title: new.title, body: new.body }).await?;
    Ok((StatusCode::CREATED, Json(document)))
}

/// Get a document
///
/// As it is now, with its citations.
#[utoipa::path(
    get, path = "/api/v1/content/documents/{id}", tag = "content", params(("id" = DocumentId, Path)),
    security(("bearer" = [])), extensions(("x-permission" = json!("content:read"))),
    responses(
        (status = 200, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path(id): Path<DocumentId>,
) -> Result<Json<Document>, Problem> {
    Ok(Json(content.document(&ctx, id).await?))
}

/// Edit a document
///
/// Replaces title and body, as a new revision. An unchanged text makes none. Citations stay with the sentences that stay.
/// `expected_revision` is the one that was edited: of several editors one wins, and the others get 409.
#[utoipa::path(
    put, path = "/api/v1/content/documents/{id}", tag = "content", params(("id" = DocumentId, Path)),
    request_body = ContentEdit, security(("bearer" = [])), extensions(("x-permission" = json!("content:write"))),
    responses(
        (status = 200, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn edit_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path(id): Path<DocumentId>,
    Json(edit): Json<ContentEdit>,
) -> Result<Json<Document>, Problem> {
    let ContentEdit { title, body, expected_revision, note } = edit;
    let edit = Edit { text: Text { title, body }, expected_revision, note };
    Ok(Json(content.edit(&ctx, id, edit).await?))
}

/// Delete a document
///
/// With all its revisions.
#[utoipa::path(
    delete, path = "/api/v1/content/documents/{id}", tag = "content", params(("id" = DocumentId, Path)),
    security(("bearer" = [])), extensions(("x-permission" = json!("content:write"))),
    responses(
        (status = 204),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path(id): Path<DocumentId>,
) -> Result<StatusCode, Problem> {
    content.delete(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Restore a revision
///
/// Its title, body and citations become a new revision.
#[utoipa::path(
    post, path = "/api/v1/content/documents/{id}/restore", tag = "content", params(("id" = DocumentId, Path)),
    request_body = ContentRestore, security(("bearer" = [])), extensions(("x-permission" = json!("content:write"))),
    responses(
        (status = 200, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn restore_content(
    State(content): State<Content>,
    Caller(ctx): Caller,
    Path(id): Path<DocumentId>,
    Json(restore): Json<ContentRestore>,
) -> Result<Json<Document>, Problem> {
    Ok(Json(content.restore(&ctx, id, restore.revision).await?))
}
