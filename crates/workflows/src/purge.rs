use std::time::Duration;

use plasma_kernel::Result;
use plasma_store::Store;
use serde::{Deserialize, Serialize};

use crate::{Queue, Run, Step, store};

/// Finished jobs are kept this long for people to look at.
const KEEP_FINISHED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Deletes finished jobs after a week, once an hour.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeFinishedJobs {}

impl Step for PurgeFinishedJobs {
    type Domain = Store;
    const KIND: &'static str = "workflows.purge";
    const QUEUE: Queue = Queue { name: "maintenance", concurrency: 1 };

    async fn run(self, domain: Store, run: Run) -> Result<()> {
        let mut tx = domain.begin(run.ctx()).await?;
        let before = run.ctx().now() - i64::try_from(KEEP_FINISHED.as_micros()).unwrap_or(i64::MAX);
        let deleted = store::delete_finished(&mut tx, before).await?;
        run.complete(&mut tx).await?;
        tx.commit().await?;
        tracing::debug!(deleted, "purged finished jobs");
        Ok(())
    }
}
