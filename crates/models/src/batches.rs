//! Batches: calls of models that are made in the background, one for each line of a file.
//!
//! A batch goes from step to step ([`crate::steps::WorkOnBatch`]); each step ends in one transaction that also enqueues the next.
//! `validating` reads the whole file, `in_progress` answers a chunk of lines a step, `finalizing` writes the files. Each
//! line's result is durable as soon as it is there, so that a crash loses none and doubles none: only lines whose call was under
//! way are called again.

mod chunk;
mod finish;
mod line;
mod lines;
mod provider;
mod types;
mod validate;
pub(crate) mod work;

use std::collections::BTreeMap;

use plasma_kernel::{BatchId, Ctx, Error, Page, PageRequest, Result};
use plasma_store::{NewEvent, Tx};
use plasma_workflows::enqueue;
use serde_json::json;

pub(crate) use line::LineResult;
pub(crate) use types::Cursor;
pub use types::{Batch, BatchEndpoint, BatchError, BatchStatus, NewBatch};

use crate::{
    Models, events,
    files::{FilePurpose, Sight},
    steps::WorkOnBatch,
    store,
};

/// Batches of a workspace that have not ended.
const UNFINISHED_MAX: u64 = 100;
/// From the creation to the expiry: 24 hours.
const WINDOW_MICROS: i64 = 24 * 3_600 * 1_000_000;
const METADATA_MAX: usize = 16;
const METADATA_KEY_CHARS_MAX: usize = 64;
const METADATA_VALUE_CHARS_MAX: usize = 512;

pub(crate) fn not_found(id: BatchId) -> Error {
    Error::not_found("batch_not_found", format!("there is no batch `{id}`")).field("batch_id")
}

impl Models {
    /// Creates a batch; its work begins at once, in the name of whoever created it.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `not_found` (`file_not_found`), `invalid` naming the field, `too_large` beyond 100
    /// batches that have not ended.
    pub async fn create_batch(&self, ctx: &Ctx, new: NewBatch) -> Result<Batch> {
        let sight = Sight::of(ctx)?;
        check_metadata(new.metadata.as_ref())?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let file = store::files::get(&mut tx, &sight, new.input_file_id)
            .await
            .map_err(|error| if error.reason() == "file_not_found" { error.field("input_file_id") } else { error })?;
        if file.purpose != FilePurpose::Batch {
            let message = format!("`{}` was written by a batch; its purpose is not `batch`", file.id);
            return Err(Error::invalid("input_file_id", message));
        }
        if store::batches::unfinished(&mut tx).await? >= UNFINISHED_MAX {
            let message = format!("a workspace has at most {UNFINISHED_MAX} batches that have not ended");
            return Err(Error::too_large("input_file_id", message).remedy("wait for one, or cancel one"));
        }
        let batch = Batch::new(ctx, new, WINDOW_MICROS);
        store::batches::insert(&mut tx, &batch).await?;
        let data = json!({ "endpoint": batch.endpoint, "input_file_id": batch.input_file_id });
        tx.emit(NewEvent::new(events::BATCH_CREATED, batch.id, data)).await?;
        enqueue(&mut tx, &WorkOnBatch { batch: batch.id }, &batch.id.to_string(), None).await?;
        tx.commit().await?;
        Ok(batch)
    }

    /// A page of the batches that the actor sees, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`.
    pub async fn batches(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Batch>> {
        let sight = Sight::of(ctx)?;
        store::batches::list(&mut self.inner.store.read(ctx).await?, &sight, page).await
    }

    /// One batch.
    ///
    /// # Errors
    /// `forbidden` without `models:invoke`, `not_found` (`batch_not_found`), also for others' batches.
    pub async fn batch(&self, ctx: &Ctx, id: BatchId) -> Result<Batch> {
        let sight = Sight::of(ctx)?;
        let batch = store::batches::get(&mut self.inner.store.read(ctx).await?, id).await?;
        batch.filter(|batch| batch.seen_by(&sight)).ok_or_else(|| not_found(id))
    }

    /// Cancels a batch: no further line begins, those under way have some seconds to end, and what is there is written to its
    /// files. A batch that is being cancelled, or is cancelled, stays so.
    ///
    /// # Errors
    /// As [`Models::batch`]; `conflict` (`batch_ended`) when it is about to end or has ended otherwise.
    pub async fn cancel_batch(&self, ctx: &Ctx, id: BatchId) -> Result<Batch> {
        let sight = Sight::of(ctx)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let cancelled = store::batches::cancel(&mut tx, id, &sight, ctx.now()).await?;
        let batch = store::batches::get(&mut tx, id).await?;
        let batch = batch.filter(|batch| batch.seen_by(&sight)).ok_or_else(|| not_found(id))?;
        if cancelled {
            changed(&mut tx, &batch).await?;
        } else if !matches!(batch.status, BatchStatus::Cancelling | BatchStatus::Cancelled) {
            let message = format!("the batch is {} and can no longer be cancelled", batch.status.as_str());
            return Err(Error::conflict("batch_ended", message));
        }
        tx.commit().await?;
        Ok(batch)
    }
}

/// Tells where a batch is.
async fn changed(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let kind = if batch.status.is_final() { events::BATCH_ENDED } else { events::BATCH_CHANGED };
    let data = json!({
        "status": batch.status,
        "total": batch.total,
        "completed": batch.completed,
        "failed": batch.failed,
    });
    tx.emit(NewEvent::new(kind, batch.id, data)).await.map(drop)
}

fn check_metadata(metadata: Option<&BTreeMap<String, String>>) -> Result<()> {
    let Some(metadata) = metadata else { return Ok(()) };
    let fits = |(key, value): (&String, &String)| {
        key.chars().count() <= METADATA_KEY_CHARS_MAX
            && value.chars().count() <= METADATA_VALUE_CHARS_MAX
            // Postgres stores no NUL.
            && !key.contains('\0')
            && !value.contains('\0')
    };
    if metadata.len() <= METADATA_MAX && metadata.iter().all(fits) {
        return Ok(());
    }
    Err(Error::invalid(
        "metadata",
        format!(
            "must be at most {METADATA_MAX} texts of at most {METADATA_VALUE_CHARS_MAX} characters, under names of at most \
             {METADATA_KEY_CHARS_MAX}, without NUL"
        ),
    ))
}
