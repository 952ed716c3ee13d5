//! The background steps that this crate offers.

use plasma_kernel::{BatchId, Ctx, Error, Result};
use plasma_store::Tx;
use plasma_workflows::{Queue, Run, Step};
use serde::{Deserialize, Serialize};

use crate::{Models, batches::work};

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
