use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query, attachment};
use plasma_kernel::{CollectionId, KnowledgeDocumentId, Page};
use serde::Deserialize;

use super::upload::{self, AddDocument, AddFile};
use crate::{Document, DocumentFile, DocumentState, DocumentText, Knowledge};

/// Add a document
///
/// As JSON with exactly one of `text`, `markdown` and `html`, or as a form with a `file` of at most 25 MiB: Markdown, plain
/// text, HTML, PDF, DOCX, CSV or TSV. It is read in the background; ask for its state, or follow the events. With a `key`, the
/// document with the same key in the collection is replaced, and stays searchable until the new one is ready.
#[utoipa::path(
    post, path = "/api/v1/collections/{id}/documents", tag = "documents",
    params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    request_body(content((AddDocument = "application/json"), (AddFile = "multipart/form-data"))),
    responses(
        (status = 202, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn add_document(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(collection): Path<CollectionId>,
    request: Request,
) -> Result<(StatusCode, Json<Document>), Problem> {
    // Before the body is read: who may not write, or names nothing, uploads nothing.
    ctx.require(plasma_kernel::Permission::CollectionsWrite)?;
    knowledge.collection(&ctx, &collection.to_string()).await?;
    let new = upload::read(request).await?;
    Ok((StatusCode::ACCEPTED, Json(knowledge.add_document(&ctx, collection, new).await?)))
}

/// `?state=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DocumentsQuery {
    /// Only documents in this state.
    state: Option<DocumentState>,
    /// Rows on the page: 1 to 200, 50 when absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List a collection's documents
///
/// Newest first.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/documents", tag = "documents",
    params(("id" = CollectionId, Path, description = "The collection"), DocumentsQuery),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = Page<Document>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_documents(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(collection): Path<CollectionId>,
    Query(query): Query<DocumentsQuery>,
) -> Result<Json<Page<Document>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    Ok(Json(knowledge.list_documents(&ctx, collection, query.state, &page).await?))
}

/// Get a document
///
/// Its newest version: state, progress, and why it failed.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/documents/{document_id}", tag = "documents",
    params(
        ("id" = CollectionId, Path, description = "The collection"),
        ("document_id" = KnowledgeDocumentId, Path, description = "The document"),
    ),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_document(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path((collection, document)): Path<(CollectionId, KnowledgeDocumentId)>,
) -> Result<Json<Document>, Problem> {
    Ok(Json(knowledge.get_document(&ctx, collection, document).await?))
}

/// Delete a document
///
/// No search finds it any more; what it held is removed in the background.
#[utoipa::path(
    delete, path = "/api/v1/collections/{id}/documents/{document_id}", tag = "documents",
    params(
        ("id" = CollectionId, Path, description = "The collection"),
        ("document_id" = KnowledgeDocumentId, Path, description = "The document"),
    ),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_document(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path((collection, document)): Path<(CollectionId, KnowledgeDocumentId)>,
) -> Result<StatusCode, Problem> {
    knowledge.delete_document(&ctx, collection, document).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get a document's text
///
/// What was extracted from its searchable version, with the places of its passages.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/documents/{document_id}/text", tag = "documents",
    params(
        ("id" = CollectionId, Path, description = "The collection"),
        ("document_id" = KnowledgeDocumentId, Path, description = "The document"),
    ),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = DocumentText),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_document_text(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path((collection, document)): Path<(CollectionId, KnowledgeDocumentId)>,
) -> Result<Json<DocumentText>, Problem> {
    Ok(Json(knowledge.document_text(&ctx, collection, document).await?))
}

/// Bytes as the specification knows them.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // only its schema is used
struct FileBytes(Vec<u8>);

/// Download a document's original
///
/// The bytes that were brought, as an attachment.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/documents/{document_id}/file", tag = "documents",
    params(
        ("id" = CollectionId, Path, description = "The collection"),
        ("document_id" = KnowledgeDocumentId, Path, description = "The document"),
    ),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, description = "The original bytes", content_type = "*/*", body = inline(FileBytes)),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_document_file(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path((collection, document)): Path<(CollectionId, KnowledgeDocumentId)>,
) -> Result<Response, Problem> {
    let DocumentFile { name, media_type, bytes } = knowledge.document_file(&ctx, collection, document).await?;
    Ok(attachment(&name, &media_type, bytes))
}

/// Try a failed document again
#[utoipa::path(
    post, path = "/api/v1/collections/{id}/documents/{document_id}/retry", tag = "documents",
    params(
        ("id" = CollectionId, Path, description = "The collection"),
        ("document_id" = KnowledgeDocumentId, Path, description = "The document"),
    ),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    responses(
        (status = 202, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn retry_document(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path((collection, document)): Path<(CollectionId, KnowledgeDocumentId)>,
) -> Result<(StatusCode, Json<Document>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(knowledge.retry_document(&ctx, collection, document).await?)))
}
