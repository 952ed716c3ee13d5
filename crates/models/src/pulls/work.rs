//! The durable work: fetches the files on a thread of its own, and writes how far it has come.
//!
//! What was fetched when the program ends, is killed or somebody cancels stays on the disk, and the next attempt goes on there.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plasma_kernel::{Ctx, Error, PullId, Result};
use plasma_store::{NewEvent, Tx};
use plasma_workflows::{Queue, Run, Step};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Pull, PullFailure, PullState};
use crate::{
    Manifest, Models, events,
    running_call::public_text,
    store::{self, pulls::Reached},
    weights::{Hub, PullEvent, PullRequest},
};

/// How often it is written how far a pull has come, and looked whether somebody has cancelled it.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long a pull waits while another process fetches into the same folder, and how often it looks.
const FOLDER_WAIT_MAX: Duration = Duration::from_secs(3_600);
const FOLDER_POLL: Duration = Duration::from_secs(1);

/// Fetches the weights of a pull.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FetchWeights {
    pub(super) pull: PullId,
}

impl Step for FetchWeights {
    type Domain = Models;
    const KIND: &'static str = "models.pull";
    // One process fetches into a folder at a time.
    const QUEUE: Queue = Queue { name: "models.pull", concurrency: 1 };
    // About half an hour: as long as a network may be away.
    const ATTEMPTS_MAX: u32 = 8;

    async fn run(self, models: Models, run: Run) -> Result<()> {
        work(&models, self.pull, &run).await
    }

    async fn failed(&self, _models: &Models, _ctx: &Ctx, tx: &mut Tx, error: &Error) -> Result<()> {
        match store::pulls::find(tx, self.pull).await? {
            Some(pull) => end(tx, &pull, PullState::Failed, Some(&failure(error))).await.map(drop),
            None => Ok(()),
        }
    }
}

fn failure(error: &Error) -> PullFailure {
    PullFailure { reason: error.reason().to_owned(), message: public_text(error) }
}

/// Ends a pull that has not ended, with its event; `false` when it had.
pub(super) async fn end(tx: &mut Tx, pull: &Pull, state: PullState, failure: Option<&PullFailure>) -> Result<bool> {
    let now = tx.ctx().now();
    if !store::pulls::end(tx, pull.id, state, failure, now).await? {
        return Ok(false);
    }
    let reason = failure.map(|failure| &failure.reason);
    let data = json!({ "name": pull.name, "state": state, "reason": reason });
    tx.emit(NewEvent::new(events::PULL_ENDED, pull.id, data)).await?;
    Ok(true)
}

async fn work(models: &Models, id: PullId, run: &Run) -> Result<()> {
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    let Some(pull) = store::pulls::find(&mut tx, id).await? else { return Ok(()) };
    // Cancelled before it began.
    if !store::pulls::start(&mut tx, id, run.ctx().now()).await? {
        return Ok(());
    }
    tx.commit().await?;
    let progress = Arc::new(Progress::default());
    let stop = CancellationToken::new();
    // However this ends, the thread ends with it.
    let _stops = stop.clone().drop_guard();
    let fetching = begin(models, &pull, progress.clone(), stop)?;
    let outcome = tokio::select! {
        () = run.cancellation().cancelled() => return Err(Run::interrupted()),
        () = watch(models, &pull, run, &progress) => return Ok(()),
        joined = fetching => joined.map_err(|error| Error::from_source("fetching weights stopped", error))?,
    };
    finish(models, &pull, run, &progress, outcome).await
}

/// Fetches on a thread of its own: files are hashed and written to the disk, which would hold up whoever shares the thread.
fn begin(
    models: &Models,
    pull: &Pull,
    progress: Arc<Progress>,
    stop: CancellationToken,
) -> Result<tokio::task::JoinHandle<Result<()>>> {
    let (models_dir, hub_url) = models.inner.local.places();
    let hub = Hub::new(hub_url)?;
    let models_dir = models_dir.to_owned();
    let manifest = Manifest { models: models.inner.local_entries.clone() };
    let request = PullRequest {
        name: pull.name.clone(),
        files: pull.files.clone(),
        revision: pull.revision.clone(),
        bytes_max: pull.max_bytes,
    };
    let runtime = tokio::runtime::Handle::current();
    Ok(tokio::task::spawn_blocking(move || {
        runtime.block_on(async move {
            let deadline = Instant::now() + FOLDER_WAIT_MAX;
            loop {
                let mut tell = |event: PullEvent<'_>| progress.note(&event);
                let outcome = tokio::select! {
                    () = stop.cancelled() => return Err(Run::interrupted()),
                    outcome = hub.pull(&manifest, &models_dir, &request, &mut tell) => outcome,
                };
                match outcome {
                    Err(error) if error.reason() == "pull_running" && Instant::now() < deadline => {
                        tokio::time::sleep(FOLDER_POLL).await;
                    }
                    outcome => return outcome.map(drop),
                }
            }
        })
    }))
}

/// Writes how far the pull has come, and returns when it was cancelled.
async fn watch(models: &Models, pull: &Pull, run: &Run, progress: &Progress) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        let reached = progress.reached();
        let written: Result<bool> = async {
            let mut tx = models.inner.store.begin(run.ctx()).await?;
            let runs = store::pulls::reached(&mut tx, pull.id, &reached).await?;
            tx.commit().await?;
            if let (true, Some(size_bytes)) = (runs, reached.size_bytes) {
                run.progress(reached.done_bytes, size_bytes).await?;
            }
            Ok(runs)
        }
        .await;
        match written {
            Ok(true) => {}
            Ok(false) => return,
            // What is fetched is not lost by it.
            Err(error) => tracing::warn!(?error, pull = %pull.id, "how far a pull has come could not be written yet"),
        }
    }
}

async fn finish(models: &Models, pull: &Pull, run: &Run, progress: &Progress, outcome: Result<()>) -> Result<()> {
    let mut tx = models.inner.store.begin(run.ctx()).await?;
    store::pulls::reached(&mut tx, pull.id, &progress.reached()).await?;
    match outcome {
        Ok(()) => end(&mut tx, pull, PullState::Done, None).await.map(drop)?,
        // The network may come back: the job is tried again, and after its last attempt the step's `failed` ends the pull.
        Err(error) if matches!(error.reason(), "hub_unreachable" | "hub_failed" | "hub_connection_lost") => {
            store::pulls::rest(&mut tx, pull.id, &failure(&error)).await?;
            tx.commit().await?;
            return Err(error);
        }
        Err(error) => {
            tracing::warn!(?error, pull = %pull.id, name = pull.name, "weights could not be fetched");
            end(&mut tx, pull, PullState::Failed, Some(&failure(&error))).await.map(drop)?;
        }
    }
    run.complete(&mut tx).await?;
    tx.commit().await.map(drop)
}

/// How far the thread has come.
#[derive(Default)]
struct Progress {
    /// Bytes of the files that are in place.
    placed_bytes: AtomicU64,
    /// Bytes of the file that is being fetched.
    file_bytes: AtomicU64,
    /// 0 before it is known.
    size_bytes: AtomicU64,
    license: Mutex<Option<String>>,
}

impl Progress {
    fn note(&self, event: &PullEvent<'_>) {
        match event {
            PullEvent::Begins { license, size_bytes, .. } => {
                self.placed_bytes.store(0, Ordering::Relaxed);
                self.file_bytes.store(0, Ordering::Relaxed);
                self.size_bytes.store(*size_bytes, Ordering::Relaxed);
                *self.license.lock().unwrap_or_else(PoisonError::into_inner) = license.map(str::to_owned);
            }
            PullEvent::Progress { done_bytes, .. } => self.file_bytes.store(*done_bytes, Ordering::Relaxed),
            PullEvent::Placed { size_bytes, .. } => {
                self.file_bytes.store(0, Ordering::Relaxed);
                self.placed_bytes.fetch_add(*size_bytes, Ordering::Relaxed);
            }
        }
    }

    fn reached(&self) -> Reached {
        let placed = self.placed_bytes.load(Ordering::Relaxed);
        let size_bytes = self.size_bytes.load(Ordering::Relaxed);
        Reached {
            done_bytes: placed.saturating_add(self.file_bytes.load(Ordering::Relaxed)),
            size_bytes: (size_bytes > 0).then_some(size_bytes),
            license: self.license.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
