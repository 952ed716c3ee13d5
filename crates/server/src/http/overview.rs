use axum::extract::State;
use plasma_http::{Caller, Json, Problem, ProblemBody};
use serde::Serialize;

use crate::{store, system::System};

/// What a workspace holds and does, at a glance.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Overview {
    /// Collections.
    collections: u64,
    /// Documents in them, in whatever state.
    documents: u64,
    /// Searchable passages.
    passages: u64,
    /// Content documents.
    content_documents: u64,
    /// Model calls of the last 24 hours.
    model_calls_24h: u64,
    /// Background jobs that run now.
    jobs_running: u64,
    /// Background jobs that were given up in the last week.
    jobs_failed: u64,
    /// The program's version.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// `sqlite` or `postgres`.
    database: &'static str,
    /// How long the process that answers has been running.
    uptime_ms: u64,
}

/// The workspace at a glance
///
/// Needs `collections:read`, `content:read`, `models:read` and `jobs:read`, which every role has.
#[utoipa::path(
    get, path = "/api/v1/overview", tag = "operations", security(("bearer" = [])),
    extensions(("x-permission" = json!("collections:read"))),
    responses(
        (status = 200, body = Overview, description = "Counts and state"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(crate) async fn get_overview(State(system): State<System>, Caller(ctx): Caller) -> Result<Json<Overview>, Problem> {
    let parts = system.parts();
    let knowledge = parts.knowledge.counts(&ctx).await?;
    let jobs = plasma_workflows::job_counts(&ctx, &parts.store).await?;
    Ok(Json(Overview {
        collections: knowledge.collections,
        documents: knowledge.documents,
        passages: knowledge.passages,
        content_documents: parts.content.count(&ctx).await?,
        model_calls_24h: store::calls_last_day(&parts.store, &ctx).await?,
        jobs_running: jobs.running,
        jobs_failed: jobs.failed,
        version: env!("CARGO_PKG_VERSION"),
        database: parts.store.dialect().as_str(),
        uptime_ms: u64::try_from(parts.started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }))
}
