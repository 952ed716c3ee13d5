//! The last step: results become files.

use bytes::Bytes;
use plasma_kernel::{Ctx, FileId, Result};
use plasma_store::BlobWriter;
use plasma_workflows::Run;

use super::{
    Batch, BatchStatus, changed,
    line::{self, LineResult},
    lines::Lines,
    work,
};
use crate::{
    Models,
    files::{self, File, FilePurpose},
    store,
};

/// Results that are read at once; each may have 16 MiB.
const PAGE: u64 = 8;

pub(super) async fn run(models: &Models, batch: &Batch, outcome: BatchStatus, run: &Run) -> Result<()> {
    let ctx = run.ctx();
    let mut output = ResultFile::new(batch, "output");
    let mut errors = ResultFile::new(batch, "error");
    let mut after = 0;
    loop {
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        let page = store::batches::results(&mut models.inner.store.read(ctx).await?, batch.id, after, PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        for (_, result) in page {
            let file = if result.is_error { &mut errors } else { &mut output };
            file.write(models, ctx, result).await?;
        }
    }
    if outcome == BatchStatus::Expired {
        write_expired(models, batch, &mut errors, run).await?;
    }
    let (output, errors) = (output.finish(ctx).await?, errors.finish(ctx).await?);
    let mut tx = models.inner.store.begin(ctx).await?;
    for file in [&output, &errors].into_iter().flatten() {
        files::record(&mut tx, file).await?;
    }
    let id = |file: Option<File>| file.map(|file| file.id);
    store::batches::end(&mut tx, batch.id, outcome, (id(output), id(errors)), ctx.now()).await?;
    if let Some(batch) = store::batches::get(&mut tx, batch.id).await? {
        changed(&mut tx, &batch).await?;
    }
    // The next step removes the results' rows.
    work::go_on(&mut tx, batch.id, run).await?;
    tx.commit().await.map(drop)
}

/// Tells of each line that has no result that it was not begun in time.
async fn write_expired(models: &Models, batch: &Batch, errors: &mut ResultFile, run: &Run) -> Result<()> {
    let ctx = run.ctx();
    let mut tx = models.inner.store.read(ctx).await?;
    let Some(input) = store::batches::input(&mut tx, batch).await? else { return Ok(()) };
    let recorded = store::batches::recorded(&mut tx, batch.id, batch.cursor.line).await?;
    drop(tx);
    let mut lines = Lines::open(models, ctx, &input, batch.cursor).await?;
    while let Some(line) = lines.next().await? {
        if run.cancellation().is_cancelled() {
            return Err(Run::interrupted());
        }
        if !recorded.contains(&line.number) {
            errors.write(models, ctx, line::expired(batch, &line)?).await?;
        }
    }
    Ok(())
}

/// A file of results; there is none when nothing is written to it.
struct ResultFile {
    blob: String,
    name: String,
    creator: plasma_kernel::Actor,
    writer: Option<BlobWriter>,
    size_bytes: u64,
}

impl ResultFile {
    fn new(batch: &Batch, kind: &str) -> Self {
        Self {
            // Named by the batch, so that a second try writes over what the first has left.
            blob: format!("files/{}_{kind}", batch.id),
            name: format!("{}_{kind}.jsonl", batch.id),
            creator: batch.creator.clone(),
            writer: None,
            size_bytes: 0,
        }
    }

    async fn write(&mut self, models: &Models, ctx: &Ctx, result: LineResult) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            writer => writer.insert(models.inner.store.blobs().writer(ctx, &self.blob).await?),
        };
        let mut text = result.text;
        text.push('\n');
        self.size_bytes += text.len() as u64;
        writer.write(Bytes::from(text)).await
    }

    async fn finish(self, ctx: &Ctx) -> Result<Option<File>> {
        let Some(writer) = self.writer else { return Ok(None) };
        writer.finish().await?;
        Ok(Some(File {
            id: FileId::new(ctx),
            purpose: FilePurpose::BatchOutput,
            filename: self.name,
            size_bytes: self.size_bytes,
            creator: self.creator,
            created_at: ctx.now(),
            blob: self.blob,
        }))
    }
}
