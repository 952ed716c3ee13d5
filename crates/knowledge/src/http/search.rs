use axum::extract::State;
use plasma_http::{Caller, Json, Problem, ProblemBody};

use crate::{Knowledge, SearchAnswer, SearchRequest};

/// Search a collection
///
/// By meaning and by words, fused by their ranks. Each result says why it stands where it stands.
#[utoipa::path(
    post, path = "/api/v1/search", tag = "search", security(("bearer" = [])),
    extensions(("x-permission" = json!("search:query"))),
    request_body = SearchRequest,
    responses(
        (status = 200, body = SearchAnswer),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn search(
    State(knowledge): State<Knowledge>,
    Caller(ctx): Caller,
    Json(request): Json<SearchRequest>,
) -> Result<Json<SearchAnswer>, Problem> {
    Ok(Json(knowledge.search(&ctx, request).await?))
}
