//! The routes of background jobs.

mod jobs;

use plasma_store::Store;
use utoipa_axum::{router::OpenApiRouter, routes};

/// `/api/v1/jobs`.
pub fn routes() -> OpenApiRouter<Store> {
    OpenApiRouter::new().routes(routes!(jobs::list_jobs))
}
