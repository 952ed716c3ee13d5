//! Every route of the program, with the edge around them.

use std::sync::Arc;

use axum::{Router, extract::Request, response::Response};
use plasma_kernel::Result;
use tower_http::compression::{
    CompressionLayer,
    predicate::{NotForContentType, Predicate as _, SizeAbove},
};
use utoipa_axum::router::OpenApiRouter;

use crate::{
    config::{Config, Role},
    dashboard::Dashboard,
    edge::{Edge, EdgeLayer, method_not_allowed},
    http, openapi,
    system::System,
};

/// Answers smaller than this are not worth compressing.
const COMPRESSED_BYTES_MIN: u16 = 1024;

/// The routes of the process's roles. A process that only works in the background still answers those for operators.
///
/// # Errors
/// `internal` when an operation does not say who may call it.
pub fn build(config: &Config, system: &System) -> Result<Router> {
    let parts = system.parts();
    let mut api: OpenApiRouter = OpenApiRouter::new().merge(http::routes().with_state(system.clone()));
    let mut pages = Router::new();
    if config.has_role(Role::Api) {
        api = api
            .merge(plasma_identity::http::routes().with_state(parts.identity.clone()))
            .merge(plasma_models::http::routes().with_state(parts.models.clone()))
            .merge(plasma_knowledge::http::routes().with_state(parts.knowledge.clone()))
            .merge(plasma_content::http::routes().with_state(parts.content.clone()))
            .merge(plasma_governance::http::routes().with_state(parts.governance.clone()))
            .merge(plasma_workflows::routes().with_state(parts.store.clone()));
        pages = http::pages(Dashboard::new());
    }
    let (api, _) = api.split_for_parts();
    let edge = Edge::new(config, parts.identity.clone(), parts.governance.clone(), &openapi::document())?;
    let worth_compressing = SizeAbove::new(COMPRESSED_BYTES_MIN)
        // The pieces of a streamed answer must not wait for each other.
        .and(NotForContentType::SSE)
        .and(NotForContentType::IMAGES)
        .and(NotForContentType::const_new("font/"))
        .and(NotForContentType::const_new("application/pdf"))
        .and(NotForContentType::const_new("application/zip"));
    Ok(api
        .merge(pages)
        .method_not_allowed_fallback(wrong_method)
        .layer(CompressionLayer::new().compress_when(worth_compressing))
        .layer(EdgeLayer(Arc::new(edge))))
}

async fn wrong_method(request: Request) -> Response {
    method_not_allowed(request.uri().path())
}
