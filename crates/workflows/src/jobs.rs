use plasma_kernel::{Ctx, Error, JobId, Page, PageRequest, Permission, Result, Timestamp};
use plasma_store::{Store, Tx};

use crate::{
    Job, JobCounts, JobFilter, Step,
    store::{self, NewJob},
};

/// Enqueues a step in the caller's transaction: it will run if and only if that commits. `subject` is the id of the thing it
/// works on; `run_at` delays it (`None` means as soon as possible).
///
/// # Errors
/// `unavailable` or `internal` from the database.
pub async fn enqueue<S: Step>(tx: &mut Tx, step: &S, subject: &str, run_at: Option<Timestamp>) -> Result<JobId> {
    let payload = serde_json::to_string(step)
        .map_err(|error| Error::from_source(format!("a {} step cannot be serialized", S::KIND), error))?;
    let run_at = run_at.unwrap_or_else(|| tx.ctx().now());
    let job = NewJob {
        kind: S::KIND,
        queue: S::QUEUE.name,
        payload,
        subject,
        max_attempts: S::ATTEMPTS_MAX,
        run_at,
        while_suspended: S::WHILE_SUSPENDED,
    };
    store::insert(tx, job).await
}

/// A page of the tenant's jobs, newest first.
///
/// # Errors
/// `forbidden` without `jobs:read`.
pub async fn list_jobs(ctx: &Ctx, store: &Store, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
    ctx.require(Permission::JobsRead)?;
    store::list(&mut store.read(ctx).await?, ctx, filter, page).await
}

/// How many of the tenant's jobs wait, run and have failed.
///
/// # Errors
/// `forbidden` without `jobs:read`.
pub async fn job_counts(ctx: &Ctx, store: &Store) -> Result<JobCounts> {
    ctx.require(Permission::JobsRead)?;
    store::counts(&mut store.read(ctx).await?, ctx).await
}
