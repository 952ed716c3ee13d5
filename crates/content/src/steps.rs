//! The background step that this crate offers.

use std::time::Duration;

use plasma_kernel::Result;
use plasma_store::Store;
use plasma_workflows::{Queue, Run, Step};
use serde::{Deserialize, Serialize};

use crate::store;

/// A deleted document's rows stay this long, for an operator who has to bring one back.
pub(crate) const KEEP_DELETED: Duration = Duration::from_secs(7 * 24 * 3600);

/// Removes documents that were deleted a week ago, once an hour, of all tenants.
#[derive(Serialize, Deserialize)]
pub(crate) struct PurgeDeletedDocuments {}

impl Step for PurgeDeletedDocuments {
    type Domain = Store;
    const KIND: &'static str = "content.purge";
    const QUEUE: Queue = Queue { name: "maintenance", concurrency: 1 };

    async fn run(self, domain: Store, run: Run) -> Result<()> {
        let before = run.ctx().now() - i64::try_from(KEEP_DELETED.as_micros()).unwrap_or(i64::MAX);
        let mut tx = domain.begin(run.ctx()).await?;
        let removed = store::documents::purge_deleted(&mut tx, before).await?;
        run.complete(&mut tx).await?;
        tx.commit().await?;
        tracing::debug!(removed, "purged deleted content documents");
        Ok(())
    }
}
