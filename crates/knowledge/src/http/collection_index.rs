use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::CollectionId;

use crate::{CollectionIndex, Knowledge};

/// Get a collection's vector index
///
/// Its size, how hard searches try, and the recall that was measured for the collection's target, as the process that answers has
/// it.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/index", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = CollectionIndex),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_collection_index(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<CollectionIndex>, Problem> {
    Ok(Json(knowledge.collection_index(&ctx, id).await?))
}
