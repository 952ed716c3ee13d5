//! A batch that its provider answers by its own batch API: the file goes there, is asked for until it is done, and its results are
//! taken over.
//!
//! Each line becomes a call's record, written together with the line's result, so that a crash doubles neither.

mod results;

use std::sync::Arc;

use bytes::Bytes;
use plasma_kernel::{Code, Error, Money, Result};
use plasma_store::Tx;
use plasma_workflows::{Run, enqueue};

use super::{Batch, BatchEndpoint, BatchError, BatchStatus, Cursor, changed, chunk, lines::Lines};
use crate::{
    ModelKind, Models, ProviderKind,
    catalog::{RemoteModel, Target},
    prices::require_price,
    steps::WorkOnBatch,
    store,
    upstream::ProviderBatch,
};

/// How long a cancelled batch waits for its provider to end it.
const CANCEL_MICROS_MAX: i64 = 10 * 60 * 1_000_000;

/// The model whose provider answers the whole batch; `None` when the lines are called one by one.
///
/// That is so unless the provider says that it has a batch API, and it takes what every line asks. Where a budget applies to
/// the creator's calls, the lines are called one by one too: a budget sets money aside for the length of a call, not for a day.
pub(super) async fn of(models: &Models, batch: &Batch, run: &Run, name: &str) -> Result<Option<String>> {
    let creator = chunk::creator(batch, run)?;
    let kind = match batch.endpoint {
        BatchEndpoint::ChatCompletions => ModelKind::Chat,
        BatchEndpoint::Embeddings => ModelKind::Embedding,
        BatchEndpoint::Responses => return Ok(None),
    };
    // A route or a name that is not known is refused or answered line by line.
    let Ok(Target::Remote(remote)) = models.resolve(&creator, Some(name), kind).await else { return Ok(None) };
    if remote.endpoint.kind != ProviderKind::Openai || !remote.endpoint.has_batches() {
        return Ok(None);
    }
    let Ok(price) = require_price(&remote) else { return Ok(None) };
    let least = Money { amount_micros: 1, currency: price.currency.clone() };
    match models.reserve(&creator, None, &least).await {
        Ok(None) => Ok(Some(remote.id.clone())),
        Ok(Some(_)) => Ok(None),
        Err(error) if matches!(error.code(), Code::OverBudget | Code::Conflict) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The next piece of work: bring the file, create the batch there, ask how far it is, or take over its results.
pub(super) async fn run(models: &Models, batch: &Batch, run: &Run) -> Result<()> {
    let remote = remote(models, batch, run).await?;
    let Some(id) = &batch.provider_batch_id else {
        if batch.status != BatchStatus::Cancelling {
            return begin(models, batch, &remote, run).await;
        }
        // A crash may have come between the batch there and its id here.
        return match cancelled_there(models, batch, &remote).await? {
            Some(there) => keep(models, batch, &there, run).await,
            None => go_on_to(models, batch, BatchStatus::Cancelled, run).await,
        };
    };
    let client = &models.inner.client;
    let is_over = batch.status == BatchStatus::Cancelling || chunk::has_expired(batch, run);
    let mut there = client.get_batch(&remote.endpoint, id).await?;
    if is_over {
        there = cancelled(models, &remote, there).await?;
    }
    let waited = batch.cancelling_at.unwrap_or(batch.expires_at);
    let give_up = is_over && run.ctx().now() >= waited.saturating_add(CANCEL_MICROS_MAX);
    if !there.has_ended() && !give_up {
        return wait(models, batch, &there, run).await;
    }
    results::take_over(models, batch, &remote, &there, run).await?;
    let outcome = match there.status.as_str() {
        _ if batch.status == BatchStatus::Cancelling => BatchStatus::Cancelled,
        "completed" => BatchStatus::Completed,
        _ if chunk::has_expired(batch, run) => BatchStatus::Expired,
        "expired" => BatchStatus::Expired,
        _ => {
            return fail(models, batch, &there, run).await;
        }
    };
    go_on_to(models, batch, outcome, run).await
}

async fn remote(models: &Models, batch: &Batch, run: &Run) -> Result<Arc<RemoteModel>> {
    let kind = if batch.endpoint == BatchEndpoint::Embeddings { ModelKind::Embedding } else { ModelKind::Chat };
    match models.resolve(&chunk::creator(batch, run)?, batch.provider_model.as_deref(), kind).await? {
        Target::Remote(remote) => Ok(remote),
        Target::Local(_) => Err(Error::internal("a model of this process has no provider")),
    }
}

/// Brings the file and creates the batch there. What was done before a crash is found again.
async fn begin(models: &Models, batch: &Batch, remote: &RemoteModel, run: &Run) -> Result<()> {
    let (client, ctx) = (&models.inner.client, run.ctx());
    let note = batch.id.to_string();
    let there = match client.find_batch(&remote.endpoint, &note).await? {
        Some(there) => there,
        None => {
            let blob = format!("files/{}_provider", batch.id);
            let size = write_renamed(models, batch, remote, &blob, run).await?;
            let bytes = models.inner.store.blobs().stream(ctx, &blob, 0).await?;
            let file = client.upload_batch_file(&remote.endpoint, bytes, size).await?;
            models.inner.store.blobs().delete(ctx, &blob).await?;
            client.create_batch(&remote.endpoint, &file, batch.endpoint.as_str(), &note).await?
        }
    };
    keep(models, batch, &there, run).await
}

/// Keeps the id of the batch there; the next step asks how far it is.
async fn keep(models: &Models, batch: &Batch, there: &ProviderBatch, run: &Run) -> Result<()> {
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    store::batches::set_provider_batch(&mut tx, batch.id, &there.id).await?;
    ask_again(models, &mut tx, batch, run).await?;
    tx.commit().await.map(drop)
}

/// Ends the provider's batch of one that has failed here: nobody would fetch its results. A provider that does not answer must
/// not keep the files from being written.
pub(super) async fn abandon(models: &Models, batch: &Batch, run: &Run) {
    let end = async {
        let remote = remote(models, batch, run).await?;
        cancelled_there(models, batch, &remote).await
    };
    if let Err(error) = end.await {
        tracing::warn!(batch = %batch.id, %error, "the provider's own batch of one that failed could not be cancelled");
    }
}

/// The batch there, cancelled; `None` when there is none.
async fn cancelled_there(models: &Models, batch: &Batch, remote: &RemoteModel) -> Result<Option<ProviderBatch>> {
    let client = &models.inner.client;
    let there = match &batch.provider_batch_id {
        Some(id) => Some(client.get_batch(&remote.endpoint, id).await?),
        None => client.find_batch(&remote.endpoint, &batch.id.to_string()).await?,
    };
    match there {
        Some(there) => cancelled(models, remote, there).await.map(Some),
        None => Ok(None),
    }
}

/// Cancels a batch there, unless it has ended or is about to.
async fn cancelled(models: &Models, remote: &RemoteModel, there: ProviderBatch) -> Result<ProviderBatch> {
    if there.has_ended() || there.status == "cancelling" {
        return Ok(there);
    }
    models.inner.client.cancel_batch(&remote.endpoint, &there.id).await
}

/// Writes the batch's lines under the provider's name of the model; returns the length.
async fn write_renamed(models: &Models, batch: &Batch, remote: &RemoteModel, blob: &str, run: &Run) -> Result<u64> {
    let ctx = run.ctx();
    let input = store::batches::input(&mut models.inner.store.read(ctx).await?, batch).await?;
    let input = input.ok_or_else(|| crate::files::not_found(batch.input_file_id))?;
    let mut lines = Lines::open(models, ctx, &input, Cursor::START).await?;
    let mut writer = models.inner.store.blobs().writer(ctx, blob).await?;
    let mut size = 0_u64;
    while let Some(line) = lines.next().await? {
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        let mut asked = line.parse(batch.endpoint).map_err(|mistake| Error::internal(mistake.message))?;
        asked.body.set("model", &remote.upstream_name)?;
        let mut text = asked.into_json(batch.endpoint)?;
        text.push('\n');
        size += text.len() as u64;
        writer.write(Bytes::from(text)).await?;
    }
    writer.finish().await?;
    Ok(size)
}

/// Notes how far the provider is, and asks again later.
async fn wait(models: &Models, batch: &Batch, there: &ProviderBatch, run: &Run) -> Result<()> {
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    let counts = there.request_counts.unwrap_or_default();
    if (counts.completed, counts.failed) != (batch.completed, batch.failed) {
        store::batches::set_counts(&mut tx, batch.id, counts.completed, counts.failed).await?;
        if let Some(batch) = store::batches::get(&mut tx, batch.id).await? {
            changed(&mut tx, &batch).await?;
        }
    }
    ask_again(models, &mut tx, batch, run).await?;
    tx.commit().await.map(drop)
}

async fn ask_again(models: &Models, tx: &mut Tx, batch: &Batch, run: &Run) -> Result<()> {
    let pause = i64::try_from(models.inner.config.batch_poll_interval.as_micros()).unwrap_or(i64::MAX);
    let at = run.ctx().now().saturating_add(pause);
    enqueue(tx, &WorkOnBatch { batch: batch.id }, &batch.id.to_string(), Some(at)).await?;
    run.complete(tx).await
}

/// The provider gave the batch up: it fails with what the provider says, and with what was answered.
async fn fail(models: &Models, batch: &Batch, there: &ProviderBatch, run: &Run) -> Result<()> {
    let said = there.complaint().map_or_else(String::new, |said| format!(": {said}"));
    let error = Error::new(
        Code::Upstream,
        "provider_batch_failed",
        format!("the provider's own batch is {}{said}", there.status),
    )
    .remedy("create it again, or take `batch` out of the provider's options");
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    store::batches::set_errors(&mut tx, batch.id, &[BatchError::from(&error)]).await?;
    tx.commit().await?;
    go_on_to(models, batch, BatchStatus::Failed, run).await
}

/// The results are here: the files are written next.
async fn go_on_to(models: &Models, batch: &Batch, outcome: BatchStatus, run: &Run) -> Result<()> {
    match outcome {
        // A batch that is being cancelled stays so until its files are there.
        BatchStatus::Cancelled => super::finish::run(models, batch, outcome, run).await,
        outcome => chunk::begin_finish(models, batch, outcome, run).await,
    }
}
