//! The background steps that this crate offers.

use std::time::Duration;

use plasma_kernel::{BatchId, Ctx, Error, Result};
use plasma_store::{Store, Tx};
use plasma_workflows::{Queue, Run, Step, Workflows};
use serde::{Deserialize, Serialize};

use crate::{Models, batches::work, benchmarks::RunBenchmark, pulls::FetchWeights, quality::JudgeCall, store};

/// How often kept payloads are looked for whose time is over.
const PURGE_INTERVAL: Duration = Duration::from_secs(3600);
/// Payloads that one transaction removes.
const BATCH_MAX: usize = 1_000;

impl Models {
    /// Registers this crate's steps and their schedule. Before [`Workflows::start`].
    pub fn register_steps(&self, workflows: &Workflows) {
        workflows.register::<WorkOnBatch>(self.clone());
        workflows.register::<JudgeCall>(self.clone());
        workflows.register::<RunBenchmark>(self.clone());
        workflows.register::<FetchWeights>(self.clone());
        workflows.register::<PurgePayloads>(self.inner.store.clone());
        workflows.every(PurgePayloads::KIND, PURGE_INTERVAL, || PurgePayloads {});
    }
}

/// Removes what was kept of calls when its time is over, once an hour, of all tenants.
#[derive(Serialize, Deserialize)]
struct PurgePayloads {}

impl Step for PurgePayloads {
    type Domain = Store;
    const KIND: &'static str = "models.purge_payloads";
    const QUEUE: Queue = Queue { name: "maintenance", concurrency: 1 };

    async fn run(self, domain: Store, run: Run) -> Result<()> {
        loop {
            let mut tx = domain.begin(run.ctx()).await?;
            let removed = store::payloads::purge(&mut tx, run.ctx().now(), BATCH_MAX).await?;
            let is_last = removed < BATCH_MAX;
            if is_last {
                run.complete(&mut tx).await?;
            }
            tx.commit().await?;
            tracing::debug!(removed, "purged what was kept of calls");
            if is_last {
                return Ok(());
            }
            if run.cancellation().is_cancelled() {
                return Err(Run::interrupted());
            }
        }
    }
}

/// Does the next piece of work on a batch and enqueues itself again until the batch has ended. So that batches take turns, and
/// an attempt that fails is one of a chunk and not of the whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkOnBatch {
    pub(crate) batch: BatchId,
}

impl Step for WorkOnBatch {
    type Domain = Models;
    const KIND: &'static str = "models.batch";
    const QUEUE: Queue = Queue { name: "models.batch", concurrency: 4 };
    // About an hour: as long as a database may be away.
    const ATTEMPTS_MAX: u32 = 12;

    async fn run(self, models: Models, run: Run) -> Result<()> {
        work::run(&models, self.batch, &run).await
    }

    async fn failed(&self, _models: &Models, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        work::give_up(tx, self.batch, error).await
    }
}
