use axum::{extract::State, http::StatusCode};
use plasma_http::{Caller, Json, Path, Problem, ProblemBody};
use plasma_kernel::Timestamp;
use serde::Serialize;

use crate::{Models, Route, RouteSettings};

/// A named virtual model that chooses among real ones.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Route)]
pub struct RouteBody {
    /// What callers name as the model.
    #[schema(example = "auto-cheap")]
    pub name: String,
    /// Whether it exists by default and has not been changed.
    pub built_in: bool,
    /// What it does.
    pub settings: RouteSettings,
    /// When it was added, in microseconds since 1970 UTC; 0 for those that exist by default.
    pub created_at: Timestamp,
}

impl From<Route> for RouteBody {
    fn from(route: Route) -> Self {
        Self { built_in: route.id.is_none(), name: route.name, settings: route.settings, created_at: route.created_at }
    }
}

/// All routes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RouteList {
    /// In the order of their names.
    pub data: Vec<RouteBody>,
}

/// List routes
///
/// A route is called by its name in the place of a model's. Those that exist by default are listed too.
#[utoipa::path(
    get, path = "/api/v1/routes", tag = "models", security(("bearer" = [])),
    extensions(("x-permission" = json!("models:read"))),
    responses(
        (status = 200, body = RouteList),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_routes(State(models): State<Models>, Caller(ctx): Caller) -> Result<Json<RouteList>, Problem> {
    let data = models.routes(&ctx).await?.into_iter().map(RouteBody::from).collect();
    Ok(Json(RouteList { data }))
}

/// Add or change a route
#[utoipa::path(
    put, path = "/api/v1/routes/{name}", tag = "models", request_body = RouteSettings, security(("bearer" = [])),
    params(("name" = String, Path, description = "Lowercase letters, digits and `-_.`, at most 63")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 200, body = RouteBody),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn put_route(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
    Json(settings): Json<RouteSettings>,
) -> Result<Json<RouteBody>, Problem> {
    Ok(Json(models.put_route(&ctx, &name, settings).await?.into()))
}

/// Remove a route
///
/// One that exists by default is then as it was in the beginning.
#[utoipa::path(
    delete, path = "/api/v1/routes/{name}", tag = "models", security(("bearer" = [])),
    params(("name" = String, Path, description = "The route's name")),
    extensions(("x-permission" = json!("models:write"))),
    responses(
        (status = 204, description = "Removed"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn delete_route(
    State(models): State<Models>,
    Caller(ctx): Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    models.delete_route(&ctx, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
