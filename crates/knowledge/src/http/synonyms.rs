use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::CollectionId;

use crate::{CollectionSynonyms, Knowledge, SynonymSets};

/// Get a collection's synonyms
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/synonyms", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = CollectionSynonyms),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_synonyms(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<CollectionSynonyms>, Problem> {
    Ok(Json(knowledge.get_synonyms(&ctx, id).await?))
}

/// Write a collection's synonyms
///
/// In place of those that it had. They are applied to queries: no document has to be read again.
#[utoipa::path(
    put, path = "/api/v1/collections/{id}/synonyms", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    request_body = SynonymSets,
    responses(
        (status = 200, body = CollectionSynonyms),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn put_synonyms(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
    Json(sets): Json<SynonymSets>,
) -> Result<Json<CollectionSynonyms>, Problem> {
    Ok(Json(knowledge.put_synonyms(&ctx, id, sets).await?))
}
