use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, PageQuery, Path, Problem, ProblemBody, Query};
use plasma_kernel::{CollectionId, Page};

use crate::{Collection, CollectionChange, Knowledge, NewCollection};

/// Make a collection
///
/// Its documents are embedded with the default embedding model.
#[utoipa::path(
    post, path = "/api/v1/collections", tag = "collections", security(("bearer" = [])),
    extensions(("x-permission" = json!("collections:write"))),
    request_body = NewCollection,
    responses(
        (status = 201, body = Collection),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn create_collection(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Json(new): Json<NewCollection>,
) -> Result<(StatusCode, Json<Collection>), Problem> {
    Ok((StatusCode::CREATED, Json(knowledge.create_collection(&ctx, new).await?)))
}

/// List collections
///
/// The workspace's collections, newest first.
#[utoipa::path(
    get, path = "/api/v1/collections", tag = "collections", params(PageQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = Page<Collection>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_collections(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Collection>>, Problem> {
    Ok(Json(knowledge.list_collections(&ctx, &page.into_request()?).await?))
}

/// Get a collection
#[utoipa::path(
    get, path = "/api/v1/collections/{id}", tag = "collections", params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = Collection),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn get_collection(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<Json<Collection>, Problem> {
    Ok(Json(knowledge.get_collection(&ctx, &id.to_string()).await?))
}

/// Change a collection
///
/// Its name, description, language, declared fields, recall target, how its results are ranked, or where its vectors are; absent fields
/// stay. A change of `placement` begins a move in the background, which `GET /api/v1/collections/{id}/placement` shows.
#[utoipa::path(
    patch, path = "/api/v1/collections/{id}", tag = "collections", params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    request_body = CollectionChange,
    responses(
        (status = 200, body = Collection),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn update_collection(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
    Json(change): Json<CollectionChange>,
) -> Result<Json<Collection>, Problem> {
    Ok(Json(knowledge.update_collection(&ctx, id, change).await?))
}

/// Delete a collection
///
/// With all of its documents. It is hidden at once; what it held is removed in the background.
#[utoipa::path(
    delete, path = "/api/v1/collections/{id}", tag = "collections", params(("id" = CollectionId, Path, description = "The collection")),
    security(("bearer" = [])), extensions(("x-permission" = json!("collections:write"))),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_collection(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Path(id): Path<CollectionId>,
) -> Result<StatusCode, Problem> {
    knowledge.delete_collection(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
