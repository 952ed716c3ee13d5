//! The routes of the whole system. Each domain brings its own.

mod compliance;
mod encryption;
mod errors;
mod events;
mod live;
mod operations;
mod overview;

use axum::Router;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{dashboard::Dashboard, system::System};

#[cfg(fuzzing)]
pub(crate) use live::fuzz as fuzz_live;

/// Everything that the specification describes.
pub(crate) fn routes() -> OpenApiRouter<System> {
    OpenApiRouter::new()
        .routes(routes!(operations::get_health))
        .routes(routes!(operations::get_readiness))
        .routes(routes!(operations::get_metrics))
        .routes(routes!(operations::get_specification))
        .routes(routes!(compliance::get_compliance))
        .routes(routes!(encryption::get_encryption))
        .routes(routes!(encryption::rotate_data_key))
        .routes(routes!(encryption::get_installation_encryption))
        .routes(routes!(encryption::rotate_installation_key))
        .routes(routes!(encryption::rotate_master_key))
        .routes(routes!(encryption::rewrap_data_keys))
        .routes(routes!(encryption::forget_old_master_keys))
        .routes(routes!(events::list_events))
        .routes(routes!(overview::get_overview))
        .routes(routes!(live::watch_live))
}

/// Pages for people.
pub(crate) fn pages(dashboard: Dashboard) -> Router {
    Router::new()
        .route("/docs/errors", axum::routing::get(errors::list_errors))
        .route("/docs/errors/{reason}", axum::routing::get(errors::explain_error))
        .fallback(crate::dashboard::serve)
        .with_state(dashboard)
}
