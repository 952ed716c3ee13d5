use axum::extract::State;
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::CollectionId;

use crate::{
    Knowledge,
    nodes::{CollectionPlacement, NodeStatuses},
};

/// See the search nodes
///
/// The databases with pgvector that the configuration names, each with its state, its versions, what it holds and how far it is behind.
#[utoipa::path(
    get, path = "/api/v1/search/nodes", tag = "search", security(("bearer" = [])),
    extensions(("x-permission" = json!("installation:read"))),
    responses(
        (status = 200, body = NodeStatuses),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_search_nodes(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
) -> Result<Json<NodeStatuses>, Problem> {
    Ok(Json(knowledge.search_nodes(&ctx).await?))
}

/// See where a collection's vectors are
///
/// The place that answers searches with the state of each part, and how far a move is. `PATCH` the collection's `placement` to move it.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/placement", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = CollectionPlacement),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_collection_placement(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<CollectionPlacement>, Problem> {
    Ok(Json(knowledge.collection_placement(&ctx, id).await?))
}

/// Cancel the move of a collection
///
/// It stays where it is; what was copied is removed in the background.
#[utoipa::path(
    delete, path = "/api/v1/collections/{id}/placement/move", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    responses(
        (status = 200, body = CollectionPlacement),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn cancel_collection_move(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<CollectionPlacement>, Problem> {
    Ok(Json(knowledge.cancel_move(&ctx, id).await?))
}
