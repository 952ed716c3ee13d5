//! All SQL of the queue.

use plasma_kernel::{Ctx, Error, JobId, Page, PageRequest, Result, TenantId, Timestamp};
use plasma_store::{Row, Sql, Tx, page_key};

use crate::{Job, JobCounts, JobError, JobFilter, JobProgress};

/// The tenant_id of the installation's own jobs.
const INSTALLATION: &str = "installation";

/// A worker's hold on a job.
#[derive(Clone, Debug)]
pub(crate) struct Lease {
    pub(crate) tenant: Option<TenantId>,
    pub(crate) job: JobId,
    /// Unique for each claim, so that a worker that was replaced cannot write as its successor.
    pub(crate) owner: String,
}

impl Lease {
    fn tenant_text(&self) -> String {
        tenant_text(self.tenant)
    }
}

fn tenant_text(tenant: Option<TenantId>) -> String {
    tenant.map_or_else(|| INSTALLATION.to_owned(), |tenant| tenant.to_string())
}

/// A job that was just claimed.
pub(crate) struct Claimed {
    pub(crate) lease: Lease,
    pub(crate) kind: String,
    pub(crate) payload: String,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) request_id: String,
    /// The attempt before ended without a word: its worker died.
    pub(crate) worker_lost: bool,
}

pub(crate) struct NewJob<'a> {
    pub(crate) kind: &'static str,
    pub(crate) queue: &'static str,
    pub(crate) payload: String,
    pub(crate) subject: &'a str,
    pub(crate) max_attempts: u32,
    pub(crate) run_at: Timestamp,
    pub(crate) while_suspended: bool,
}

pub(crate) async fn insert(tx: &mut Tx, job: NewJob<'_>) -> Result<JobId> {
    let ctx = tx.ctx().clone();
    let id = JobId::new(&ctx);
    tx.execute(
        "INSERT INTO jobs (tenant_id, id, kind, queue, payload, subject, state, attempt, max_attempts, run_at, request_id,
                           created_at, updated_at, while_suspended)
         VALUES ($1, $2, $3, $4, $5, $6, 'queued', 0, $7, $8, $9, $10, $10, $11)",
        [
            tenant_text(ctx.tenant_scope()).into(),
            id.into(),
            job.kind.into(),
            job.queue.into(),
            job.payload.into(),
            job.subject.into(),
            job.max_attempts.into(),
            job.run_at.into(),
            ctx.request().into(),
            ctx.now().into(),
            job.while_suspended.into(),
        ],
    )
    .await?;
    Ok(id)
}

/// Whether a job of this queue could be claimed now: a cheap look before taking SQLite's write lock.
pub(crate) async fn any_due(tx: &mut Tx, queue: &str, now: Timestamp) -> Result<bool> {
    let due = tx
        .fetch_optional(
            "SELECT 1 AS due FROM jobs WHERE queue = $1
               AND ((state = 'queued' AND run_at <= $2) OR (state = 'running' AND lease_until < $2))
               AND (while_suspended = 1 OR NOT EXISTS
                    (SELECT 1 FROM tenants t WHERE t.id = jobs.tenant_id AND t.state <> 'active')) LIMIT 1",
            [queue.into(), now.into()],
        )
        .await?;
    Ok(due.is_some())
}

/// Takes up to `limit` due jobs, the longest waiting first; also those whose worker has been silent for too long. Those of a
/// tenant that is suspended or to be deleted wait.
pub(crate) async fn claim(
    tx: &mut Tx,
    queue: &str,
    owner: &str,
    lease_until: Timestamp,
    limit: usize,
) -> Result<Vec<Claimed>> {
    const CLAIM: Sql = Sql::each(
        "UPDATE jobs SET worker_lost = (state = 'running'), state = 'running', attempt = attempt + 1, lease_owner = $2,
                         lease_until = $3, updated_at = $4
         WHERE (tenant_id, id) IN (
             SELECT tenant_id, id FROM jobs WHERE queue = $1
               AND ((state = 'queued' AND run_at <= $4) OR (state = 'running' AND lease_until < $4))
               AND (while_suspended = 1 OR NOT EXISTS
                    (SELECT 1 FROM tenants t WHERE t.id = jobs.tenant_id AND t.state <> 'active'))
             ORDER BY run_at, id LIMIT $5)
         RETURNING *",
        // Materialized: a subquery in the condition may be run once for each row, and then takes more than the limit.
        "WITH due AS MATERIALIZED (
             SELECT tenant_id, id FROM jobs WHERE queue = $1
               AND ((state = 'queued' AND run_at <= $4) OR (state = 'running' AND lease_until < $4))
               AND (while_suspended = 1 OR NOT EXISTS
                    (SELECT 1 FROM tenants t WHERE t.id = jobs.tenant_id AND t.state <> 'active'))
             ORDER BY run_at, id LIMIT $5 FOR UPDATE SKIP LOCKED)
         UPDATE jobs SET worker_lost = (state = 'running')::int, state = 'running', attempt = attempt + 1, lease_owner = $2,
                         lease_until = $3, updated_at = $4
         FROM due WHERE jobs.tenant_id = due.tenant_id AND jobs.id = due.id
         RETURNING jobs.*",
    );
    let now = tx.ctx().now();
    let rows = tx.fetch_all(CLAIM, [queue.into(), owner.into(), lease_until.into(), now.into(), limit.into()]).await?;
    rows.iter()
        .map(|row| {
            let tenant: String = row.get("tenant_id")?;
            Ok(Claimed {
                lease: Lease {
                    tenant: if tenant == INSTALLATION { None } else { Some(row.get("tenant_id")?) },
                    job: row.get("id")?,
                    owner: owner.to_owned(),
                },
                kind: row.get("kind")?,
                payload: row.get("payload")?,
                attempt: row.get("attempt")?,
                max_attempts: row.get("max_attempts")?,
                request_id: row.get("request_id")?,
                worker_lost: row.get("worker_lost")?,
            })
        })
        .collect()
}

/// Extends the lease; `false` when another worker holds the job now.
pub(crate) async fn renew(tx: &mut Tx, lease: &Lease, lease_until: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE jobs SET lease_until = $4 WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
            [lease.tenant_text().into(), lease.job.into(), lease.owner.as_str().into(), lease_until.into()],
        )
        .await?;
    Ok(changed == 1)
}

pub(crate) async fn write_progress(tx: &mut Tx, lease: &Lease, progress: JobProgress) -> Result<()> {
    let now = tx.ctx().now();
    tx.execute(
        "UPDATE jobs SET progress_done = $4, progress_total = $5, updated_at = $6
         WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
        [
            lease.tenant_text().into(),
            lease.job.into(),
            lease.owner.as_str().into(),
            progress.done.into(),
            progress.total.into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

fn lease_lost() -> Error {
    Error::conflict("lease_lost", "another worker has taken this job over")
}

pub(crate) async fn mark_succeeded(tx: &mut Tx, lease: &Lease) -> Result<()> {
    let now = tx.ctx().now();
    let changed = tx
        .execute(
            "UPDATE jobs SET state = 'succeeded', lease_owner = NULL, lease_until = NULL, error_reason = NULL,
                             error_detail = NULL, updated_at = $4
             WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
            [lease.tenant_text().into(), lease.job.into(), lease.owner.as_str().into(), now.into()],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(lease_lost()) }
}

/// Gives the job back to the queue, to run at `run_at`. An attempt that was interrupted through no fault of the job's own
/// is not counted.
pub(crate) async fn give_back(
    tx: &mut Tx,
    lease: &Lease,
    run_at: Timestamp,
    error: &Error,
    count_attempt: bool,
) -> Result<()> {
    let now = tx.ctx().now();
    tx.execute(
        "UPDATE jobs SET state = 'queued', lease_owner = NULL, lease_until = NULL, run_at = $4, attempt = attempt - $5,
                         error_reason = $6, error_detail = $7, updated_at = $8
         WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
        [
            lease.tenant_text().into(),
            lease.job.into(),
            lease.owner.as_str().into(),
            run_at.into(),
            i64::from(!count_attempt).into(),
            error.reason().into(),
            error.to_string().into(),
            now.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn mark_failed(tx: &mut Tx, lease: &Lease, error: &Error) -> Result<()> {
    let now = tx.ctx().now();
    let changed = tx
        .execute(
            "UPDATE jobs SET state = 'failed', lease_owner = NULL, lease_until = NULL, error_reason = $4,
                             error_detail = $5, updated_at = $6
             WHERE tenant_id = $1 AND id = $2 AND lease_owner = $3 AND state = 'running'",
            [
                lease.tenant_text().into(),
                lease.job.into(),
                lease.owner.as_str().into(),
                error.reason().into(),
                error.to_string().into(),
                now.into(),
            ],
        )
        .await?;
    if changed == 1 { Ok(()) } else { Err(lease_lost()) }
}

/// Puts every running job back into the queue: for a start that knows that no other worker lives.
pub(crate) async fn give_back_all(tx: &mut Tx) -> Result<u64> {
    let now = tx.ctx().now();
    tx.execute("UPDATE jobs SET lease_until = $1 WHERE state = 'running'", [(now - 1).into()]).await
}

/// Moves a schedule on when it is due; `true` for the one process that did.
pub(crate) async fn schedule_is_ours(tx: &mut Tx, name: &str, next_at: Timestamp) -> Result<bool> {
    let now = tx.ctx().now();
    tx.execute(
        "INSERT INTO schedules (name, next_at) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        [name.into(), now.into()],
    )
    .await?;
    let changed = tx
        .execute(
            "UPDATE schedules SET next_at = $2 WHERE name = $1 AND next_at <= $3",
            [name.into(), next_at.into(), now.into()],
        )
        .await?;
    Ok(changed == 1)
}

pub(crate) async fn delete_finished(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM jobs WHERE state IN ('succeeded', 'failed') AND updated_at < $1", [before.into()]).await
}

pub(crate) async fn list(tx: &mut Tx, ctx: &Ctx, filter: &JobFilter, page: &PageRequest) -> Result<Page<Job>> {
    let tenant = ctx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM jobs WHERE tenant_id = $1 AND id < $2 AND ($3 IS NULL OR state = $3) ORDER BY id DESC LIMIT $4",
            [
                tenant.into(),
                page_key(page.cursor.as_deref()).into(),
                filter.state.map(|state| state.as_str()).into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let jobs = rows.iter().map(job_from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(jobs, page.limit, |job| job.id.to_string()))
}

pub(crate) async fn counts(tx: &mut Tx, ctx: &Ctx) -> Result<JobCounts> {
    let tenant = ctx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT state, COUNT(*) AS jobs FROM jobs WHERE tenant_id = $1 AND state <> 'succeeded' GROUP BY state",
            [tenant.into()],
        )
        .await?;
    let mut counts = JobCounts::default();
    for row in &rows {
        let number: u64 = row.get("jobs")?;
        match row.get::<String>("state")?.as_str() {
            "queued" => counts.queued = number,
            "running" => counts.running = number,
            _ => counts.failed = number,
        }
    }
    Ok(counts)
}

fn job_from_row(row: &Row) -> Result<Job> {
    let state: String = row.get("state")?;
    let (done, total): (Option<u64>, Option<u64>) = (row.get("progress_done")?, row.get("progress_total")?);
    let (reason, detail): (Option<String>, Option<String>) = (row.get("error_reason")?, row.get("error_detail")?);
    Ok(Job {
        id: row.get("id")?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        state: state.parse()?,
        attempt: row.get("attempt")?,
        max_attempts: row.get("max_attempts")?,
        progress: done.zip(total).map(|(done, total)| JobProgress { done, total }),
        error: reason.zip(detail).map(|(reason, detail)| JobError { reason, detail }),
        run_at: row.get("run_at")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_testkit::{TestStore, run, system, tenant};

    use super::*;

    /// The planner may look at the due jobs once for each row of the table: these settings make it do so.
    #[test]
    fn no_more_jobs_are_claimed_than_asked_for_whatever_the_plan() {
        run(|| {
            Box::pin(async {
                let test = TestStore::postgres().await;
                let (ctx, system) = (tenant(), system());
                let mut tx = test.begin(&ctx).await.unwrap();
                for _ in 0..20 {
                    let job = NewJob {
                        kind: "test",
                        queue: "test",
                        payload: "{}".to_owned(),
                        subject: "",
                        max_attempts: 1,
                        run_at: 0,
                        while_suspended: false,
                    };
                    insert(&mut tx, job).await.unwrap();
                }
                tx.commit().await.unwrap();
                let mut tx = test.begin(&system).await.unwrap();
                for setting in [
                    "SET LOCAL enable_hashjoin = off",
                    "SET LOCAL enable_mergejoin = off",
                    "SET LOCAL enable_hashagg = off",
                    "SET LOCAL enable_sort = off",
                    "SET LOCAL enable_material = off",
                    "SET LOCAL enable_memoize = off",
                ] {
                    tx.execute(setting, []).await.unwrap();
                }
                let claimed = claim(&mut tx, "test", "owner", system.now() + 1_000_000, 2).await.unwrap();
                assert_eq!(claimed.len(), 2);
            })
        });
    }
}
