use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::CollectionId;

use crate::{Knowledge, NewReembedding, Reembedding};

/// Change a collection's embedding model
///
/// All searchable passages are embedded with the model in the background; documents that are added meanwhile too. Searches use the
/// model from before until everything has vectors of the new one, and then all at once the new one.
#[utoipa::path(
    post, path = "/api/v1/collections/{id}/reembed", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")), security(("bearer" = [])),
    extensions(("x-permission" = json!("collections:write"))),
    request_body = NewReembedding,
    responses(
        (status = 202, body = Reembedding),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn begin_reembedding(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
    Json(new): Json<NewReembedding>,
) -> Result<(StatusCode, Json<Reembedding>), Problem> {
    Ok((StatusCode::ACCEPTED, Json(knowledge.begin_reembedding(&ctx, id, new).await?)))
}

/// See how far a change of the embedding model is
///
/// The last one of the collection, running or ended.
#[utoipa::path(
    get, path = "/api/v1/collections/{id}/reembed", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")), security(("bearer" = [])),
    extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = Reembedding),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_reembedding(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<Reembedding>, Problem> {
    Ok(Json(knowledge.reembedding(&ctx, id).await?))
}

/// Cancel a change of the embedding model
///
/// Searches go on with the model from before. Nothing happens to a change that has ended.
#[utoipa::path(
    delete, path = "/api/v1/collections/{id}/reembed", tag = "collections",
    params(("id" = CollectionId, Path, description = "The collection")), security(("bearer" = [])),
    extensions(("x-permission" = json!("collections:write"))),
    responses(
        (status = 200, body = Reembedding),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn cancel_reembedding(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<Reembedding>, Problem> {
    Ok(Json(knowledge.cancel_reembedding(&ctx, id).await?))
}
