use axum::extract::State;
use plasma_http::{Caller, Json, PageQuery, Problem, ProblemBody, Query};
use plasma_kernel::{JobId, Page, Timestamp};
use plasma_store::Store;
use serde::{Deserialize, Serialize};

use crate::{Job, JobFilter, JobProgress, JobState};

/// A background job.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Job)]
pub struct JobBody {
    /// Its id.
    pub id: JobId,
    /// What it does, as in `knowledge.ingest`.
    pub kind: String,
    /// The id of the thing it works on.
    pub subject: String,
    /// Where it is.
    pub state: JobState,
    /// Attempts begun.
    pub attempt: u32,
    /// Attempts at most.
    pub max_attempts: u32,
    /// How far it has come.
    #[schema(required)]
    pub progress: Option<JobProgress>,
    /// Why the last attempt failed.
    #[schema(required)]
    pub error: Option<JobError>,
    /// When it may run, in microseconds since 1970 UTC.
    pub run_at: Timestamp,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Why an attempt failed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JobError {
    /// A stable identifier.
    pub reason: String,
    /// For a person.
    pub detail: String,
}

impl From<Job> for JobBody {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            kind: job.kind,
            subject: job.subject,
            state: job.state,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            progress: job.progress,
            error: job.error.map(|(reason, detail)| JobError { reason, detail }),
            run_at: job.run_at,
            created_at: job.created_at,
            updated_at: job.updated_at,
        }
    }
}

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
        (status = 200, body = Page<JobBody>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json", description = "What went wrong"),
    )
)]
pub(super) async fn list_jobs(
    State(store): State<Store>,
    Caller(ctx): Caller,
    Query(query): Query<JobsQuery>,
) -> Result<Json<Page<JobBody>>, Problem> {
    let page = PageQuery::request(query.limit, query.cursor)?;
    let jobs = crate::list_jobs(&ctx, &store, &JobFilter { state: query.state }, &page).await?;
    Ok(Json(jobs.map(JobBody::from)))
}
