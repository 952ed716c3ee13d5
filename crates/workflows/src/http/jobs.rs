use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Problem, ProblemBody, Query};
use plasma_kernel::Page;
use plasma_store::Store;
use serde::Deserialize;

use crate::{Job, JobFilter, JobState};

/// `?state=&limit=&cursor=`
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsQuery {
    /// Only jobs in this state.
    state: Option<JobState>,
    /// Rows on the page: 1 to 200, 50 when absent.
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List background jobs
///
/// The workspace's jobs, newest first: what waits, runs, is done and has failed.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs", params(JobsQuery), security(("bearer" = [])),
    extensions(("x-permission" = json!("jobs:read"))),
    responses(
        (status = 200, body = Page<Job>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_jobs(
    State(store): State<Store>,
    Caller(ctx): Caller,
    Query(query): Query<JobsQuery>,
) -> Result<Json<Page<Job>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    Ok(Json(crate::list_jobs(&ctx, &store, &JobFilter { state: query.state }, &page).await?))
}
