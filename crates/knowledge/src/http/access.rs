use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::{CollectionId, KnowledgeDocumentId};
use serde::{Deserialize, Deserializer};

use crate::{Access, Document, Knowledge};

/// Who may see a document from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeAccess {
    /// People and teams, at most 1,000 together; null: everybody who may search.
    #[serde(deserialize_with = "given")]
    #[schema(required)]
    access: Option<Access>,
}

/// Null must be said: a field that was forgotten must not open a document to everybody.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Access>, D::Error> {
    Option::deserialize(deserializer)
}

/// Say who may see a document
///
/// It holds at once for search, answers, drafts, lists, texts and files; nothing is embedded again. Those who manage the
/// workspace (`documents:read_all`) see every document. Whoever may not see a document is told that there is none.
#[utoipa::path(
    patch, path = "/api/v1/collections/{id}/documents/{document_id}/access", tag = "documents",
    params(
        ("id" = CollectionId, Path, description = "The collection"),
        ("document_id" = KnowledgeDocumentId, Path, description = "The document"),
    ),
    security(("bearer" = [])), extensions(("x-permission" = json!("documents:write"))),
    request_body = ChangeAccess,
    responses(
        (status = 200, body = Document),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn change_document_access(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path((collection, document)): Path<(CollectionId, KnowledgeDocumentId)>,
    Json(change): Json<ChangeAccess>,
) -> Result<Json<Document>, Problem> {
    Ok(Json(knowledge.set_document_access(&ctx, collection, document, change.access).await?))
}
