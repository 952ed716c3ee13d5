use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use plasma_kernel::{Ctx, Error, JobId, Result};
use plasma_store::{Store, Tx};
use tokio_util::sync::CancellationToken;

use crate::{
    JobProgress,
    store::{self, Lease},
};

/// Progress is written at most this often; more would only wear the disk.
const PROGRESS_INTERVAL_US: i64 = 1_000_000;

/// One attempt of a job, as its step sees it.
#[derive(Clone)]
pub struct Run {
    pub(crate) ctx: Ctx,
    pub(crate) store: Store,
    pub(crate) lease: Lease,
    pub(crate) attempt: u32,
    pub(crate) cancellation: CancellationToken,
    pub(crate) completed: Arc<AtomicBool>,
    pub(crate) progress_written_at: Arc<AtomicI64>,
}

impl Run {
    /// The tenant's context, acting as the system under the job's request id.
    pub fn ctx(&self) -> &Ctx {
        &self.ctx
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.lease.job
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Fires when the program stops or the lease was lost: the step should return [`Run::interrupted`] soon.
    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// The error with which a cancelled step returns; it does not count as an attempt.
    pub fn interrupted() -> Error {
        Error::unavailable("job_interrupted", "the work was interrupted and will be taken up again")
    }

    /// Tells how far the step has come. Written at most once a second, and always when `done` reaches `total`.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn progress(&self, done: u64, total: u64) -> Result<()> {
        let now = self.ctx.now();
        let last = self.progress_written_at.load(Ordering::Relaxed);
        if done < total && now - last < PROGRESS_INTERVAL_US {
            return Ok(());
        }
        self.progress_written_at.store(now, Ordering::Relaxed);
        let mut tx = self.store.begin(&self.ctx).await?;
        store::write_progress(&mut tx, &self.lease, JobProgress { done, total }).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks the job as succeeded inside the step's own last transaction, so that its effect and its end are one.
    ///
    /// # Errors
    /// `conflict` (`lease_lost`) when another worker has taken over: the transaction must be dropped.
    pub async fn complete(&self, tx: &mut Tx) -> Result<()> {
        store::mark_succeeded(tx, &self.lease).await?;
        self.completed.store(true, Ordering::Release);
        Ok(())
    }
}
