//! A step in progress: some lines are answered, each result is kept as soon as it is there, and then the batch's cursor moves.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use plasma_kernel::{Ctx, Permission, Permissions, Result};
use plasma_workflows::Run;

use super::{
    Batch, BatchStatus, Cursor, changed, line,
    lines::{Line, Lines},
    work,
};
use crate::{Models, files, store};

/// Lines of one step, and their bytes together, about.
const CHUNK_LINES: usize = 100;
const CHUNK_BYTES: usize = 8 << 20;
/// Lines of one batch that are answered at the same time.
const LINES_AT_ONCE: usize = 8;
/// How often a step looks whether its batch was cancelled or has expired.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long the lines under way may go on when a batch or the program stops. Shorter than the program waits for steps.
const STOP_GRACE: Duration = Duration::from_secs(8);

/// The lines of one step.
struct Chunk {
    lines: Vec<Line>,
    /// Where the next one begins; `None` after the last line.
    next: Option<Cursor>,
    /// Bytes that its results may have: they become files of the workspace.
    room: u64,
}

/// Why a step stops before its end.
enum Stop {
    Program,
    Batch,
}

pub(super) async fn run(models: &Models, batch: &Batch, run: &Run) -> Result<()> {
    if has_expired(batch, run) {
        return begin_finish(models, batch, BatchStatus::Expired, run).await;
    }
    let Some(chunk) = read(models, batch, run.ctx()).await? else {
        // Nobody can delete a file that is read; the storage has lost it.
        return Err(files::not_found(batch.input_file_id));
    };
    match answer(models, batch, &chunk, run).await? {
        Some(Stop::Program) => Err(Run::interrupted()),
        Some(Stop::Batch) => {
            let mut tx = models.inner.store.begin(run.ctx()).await?;
            work::go_on(&mut tx, batch.id, run).await?;
            tx.commit().await.map(drop)
        }
        None => match chunk.next {
            Some(next) => {
                let mut tx = models.inner.store.begin(run.ctx()).await?;
                store::batches::advance(&mut tx, batch.id, next).await?;
                if let Some(batch) = store::batches::get(&mut tx, batch.id).await? {
                    changed(&mut tx, &batch).await?;
                }
                work::go_on(&mut tx, batch.id, run).await?;
                tx.commit().await.map(drop)
            }
            None => begin_finish(models, batch, BatchStatus::Completed, run).await,
        },
    }
}

pub(super) fn has_expired(batch: &Batch, run: &Run) -> bool {
    run.ctx().now() >= batch.expires_at
}

pub(super) async fn begin_finish(models: &Models, batch: &Batch, outcome: BatchStatus, run: &Run) -> Result<()> {
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    store::batches::begin_finish(&mut tx, batch.id, outcome, run.ctx().now()).await?;
    if let Some(batch) = store::batches::get(&mut tx, batch.id).await? {
        changed(&mut tx, &batch).await?;
    }
    work::go_on(&mut tx, batch.id, run).await?;
    tx.commit().await.map(drop)
}

/// The lines of the next chunk that have no result yet. `None` when the input is gone.
async fn read(models: &Models, batch: &Batch, ctx: &Ctx) -> Result<Option<Chunk>> {
    let mut tx = models.inner.store.read(ctx).await?;
    let Some(file) = store::batches::input(&mut tx, batch).await? else { return Ok(None) };
    let recorded = store::batches::recorded(&mut tx, batch.id, batch.cursor.line).await?;
    let results = store::batches::result_bytes(&mut tx, batch.id).await?;
    let room = files::room(&mut tx).await?.saturating_sub(results);
    drop(tx);
    let mut lines = Lines::open(models, ctx, &file, batch.cursor).await?;
    let mut chunk = Chunk { lines: Vec::new(), next: None, room };
    let (mut count, mut bytes) = (0, 0);
    while let Some(line) = lines.next().await? {
        count += 1;
        bytes += line.text.as_ref().map_or(0, Bytes::len);
        if !recorded.contains(&line.number) {
            chunk.lines.push(line);
        }
        if count >= CHUNK_LINES || bytes >= CHUNK_BYTES {
            chunk.next = Some(lines.place());
            break;
        }
    }
    Ok(Some(chunk))
}

/// Answers the lines, some at a time. `Some` when it stopped before the last one.
async fn answer(models: &Models, batch: &Batch, chunk: &Chunk, run: &Run) -> Result<Option<Stop>> {
    let creator = creator(batch, run)?;
    let (stopped, used) = (AtomicBool::new(false), AtomicU64::new(0));
    let shared =
        Work { models, batch, creator: &creator, ctx: run.ctx(), stopped: &stopped, room: chunk.room, used: &used };
    let all: Vec<_> = chunk.lines.iter().map(|line| shared.answer(line).boxed()).collect();
    let mut work = stream::iter(all).buffer_unordered(LINES_AT_ONCE).try_collect::<()>();
    let stop = tokio::select! {
        done = &mut work => return done.map(|()| None),
        () = run.cancellation().cancelled() => Stop::Program,
        stop = watch(models, batch, run) => stop?,
    };
    stopped.store(true, Ordering::Relaxed);
    // What is under way will be paid for: it has a moment to end.
    if let Ok(done) = tokio::time::timeout(STOP_GRACE, work).await {
        done?;
    }
    Ok(Some(stop))
}

/// What the lines of a step share.
struct Work<'a> {
    models: &'a Models,
    batch: &'a Batch,
    creator: &'a Ctx,
    ctx: &'a Ctx,
    /// No further line begins.
    stopped: &'a AtomicBool,
    room: u64,
    /// Bytes of the results of this step.
    used: &'a AtomicU64,
}

impl Work<'_> {
    /// Answers a line and keeps the result.
    async fn answer(&self, line: &Line) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
        let result = if self.used.load(Ordering::Relaxed) < self.room {
            line::answer(self.models, self.creator, self.batch, line).await?
        } else {
            line::refused(self.creator, self.batch, line, &files::no_room())?
        };
        self.used.fetch_add(result.text.len() as u64, Ordering::Relaxed);
        let mut tx = self.models.inner.store.begin(self.ctx).await?;
        store::batches::record(&mut tx, self.batch.id, line.number, &result).await?;
        tx.commit().await.map(drop)
    }
}

/// Returns when the batch is to be answered no further.
async fn watch(models: &Models, batch: &Batch, run: &Run) -> Result<Stop> {
    loop {
        tokio::time::sleep(LOOK_INTERVAL).await;
        let now = store::batches::get(&mut models.inner.store.read(run.ctx()).await?, batch.id).await?;
        if has_expired(batch, run) || now.is_none_or(|now| now.status != BatchStatus::InProgress) {
            return Ok(Stop::Batch);
        }
    }
}

/// The batch's creator, who may call models: that was checked when the batch was created.
pub(super) fn creator(batch: &Batch, run: &Run) -> Result<Ctx> {
    let ctx = run.ctx();
    let permissions = Permissions::none().with(Permission::ModelsInvoke);
    let creator =
        Ctx::new(ctx.tenant()?, batch.creator.clone(), permissions, ctx.clock().clone(), ctx.random().clone());
    Ok(creator.with_team(batch.team).with_request(ctx.request()))
}
