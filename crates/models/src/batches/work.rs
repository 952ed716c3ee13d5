//! One step of a batch, whatever its status asks for.

use plasma_kernel::{BatchId, Error, Result};
use plasma_store::Tx;
use plasma_workflows::{Run, enqueue};

use super::{BatchError, BatchStatus, changed, chunk, finish, provider, validate};
use crate::{Models, steps::WorkOnBatch, store};

/// Rows of results that are deleted in one transaction.
const DELETED_MAX: u64 = 500;

pub(crate) async fn run(models: &Models, id: BatchId, run: &Run) -> Result<()> {
    let batch = store::batches::get(&mut models.inner.store.read(run.ctx()).await?, id).await?;
    // A batch without a row belongs to a tenant that is gone.
    let Some(batch) = batch else { return complete(models, run).await };
    match batch.status {
        BatchStatus::Validating => validate::run(models, &batch, run).await,
        BatchStatus::InProgress | BatchStatus::Cancelling if batch.provider_model.is_some() => {
            provider::run(models, &batch, run).await
        }
        BatchStatus::InProgress => chunk::run(models, &batch, run).await,
        BatchStatus::Finalizing => {
            let outcome = batch.outcome.unwrap_or(BatchStatus::Completed);
            if outcome == BatchStatus::Failed && batch.provider_model.is_some() {
                provider::abandon(models, &batch, run).await;
            }
            finish::run(models, &batch, outcome, run).await
        }
        BatchStatus::Cancelling => finish::run(models, &batch, BatchStatus::Cancelled, run).await,
        BatchStatus::Failed | BatchStatus::Completed | BatchStatus::Expired | BatchStatus::Cancelled => {
            clear(models, id, run).await
        }
    }
}

/// Ends this step and enqueues the next one.
pub(super) async fn go_on(tx: &mut Tx, id: BatchId, run: &Run) -> Result<()> {
    enqueue(tx, &WorkOnBatch { batch: id }, &id.to_string(), None).await?;
    run.complete(tx).await
}

async fn complete(models: &Models, run: &Run) -> Result<()> {
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    run.complete(&mut tx).await?;
    tx.commit().await.map(drop)
}

/// The results are in the files: their rows go, some at a time.
async fn clear(models: &Models, id: BatchId, run: &Run) -> Result<()> {
    loop {
        let mut tx = models.inner.store.begin(run.ctx()).await?;
        let deleted = store::batches::delete_results(&mut tx, id, DELETED_MAX).await?;
        tx.commit().await?;
        if deleted < DELETED_MAX {
            return complete(models, run).await;
        }
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
    }
}

/// The work was given up for good, in the transaction that says so. What was answered is still written to the batch's files,
/// unless it is the writing that failed.
pub(crate) async fn give_up(tx: &mut Tx, id: BatchId, error: &Error) -> Result<()> {
    let Some(batch) = store::batches::get(tx, id).await? else { return Ok(()) };
    let now = tx.ctx().now();
    match batch.status {
        BatchStatus::Validating | BatchStatus::InProgress => {
            store::batches::set_errors(tx, id, &[BatchError::from(error)]).await?;
            store::batches::begin_finish(tx, id, BatchStatus::Failed, now).await?;
            enqueue(tx, &WorkOnBatch { batch: id }, &id.to_string(), None).await?;
        }
        BatchStatus::Finalizing | BatchStatus::Cancelling => {
            store::batches::set_errors(tx, id, &[BatchError::from(error)]).await?;
            store::batches::end(tx, id, BatchStatus::Failed, (None, None), now).await?;
            // The next step removes the results' rows.
            enqueue(tx, &WorkOnBatch { batch: id }, &id.to_string(), None).await?;
        }
        BatchStatus::Failed | BatchStatus::Completed | BatchStatus::Expired | BatchStatus::Cancelled => return Ok(()),
    }
    match store::batches::get(tx, id).await? {
        Some(batch) => changed(tx, &batch).await,
        None => Ok(()),
    }
}
