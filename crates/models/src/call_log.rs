//! Writes the records of calls in the background, many in one transaction.
//!
//! A call takes its place in the queue when it starts, so that its record always has room, even when the call is dropped
//! in the middle. Where an answer waits for its record it is written at once, and while one batch is being written the next
//! one gathers. Where a journal has the record already, records gather for 50 ms, or until somebody wants to read them.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use plasma_kernel::{Actor, Code, Ctx, Error, Result, TenantId};
use plasma_store::{Dialect, Store};
use tokio::{
    sync::{Mutex, Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ModelCall,
    budgets::{Settlement, Settling},
    call_journal::{self, CallJournal, Left, Record},
    capture::Payload,
    store,
};

/// Calls under way and records not yet written, together: beyond it a new call is refused.
const CALLS_MAX: usize = 10_000;
/// Records that wait for the database before new calls wait with them, and how long these do: what comes faster than it can be
/// recorded is slowed down, and refused only when that does not help.
const UNWRITTEN_MAX: usize = 2_000;
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// Records in one transaction.
const BATCH_MAX: usize = 200;
/// How long records that are in the journal gather for one transaction.
const GATHER: Duration = Duration::from_millis(50);
/// How often a batch is tried while the database is busy or away, and the pause before the second try (it doubles).
const ATTEMPTS_MAX: u32 = 6;
const RETRY_PAUSE: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a reader waits for records, and a budget for those of an earlier process.
const READ_WAIT: Duration = Duration::from_secs(10);
/// Readers that wait for the writer's attention.
const READERS_MAX: usize = 1_000;
/// How long a shutdown waits for calls that are still under way.
const SHUTDOWN_MAX: Duration = Duration::from_secs(15);

/// A finished call on its way to the database.
pub(crate) struct Entry {
    pub(crate) tenant: TenantId,
    pub(crate) call: ModelCall,
    /// What is kept of its request and answer.
    pub(crate) payload: Option<Payload>,
    /// Told when the record is durable; `None` when nobody waits.
    pub(crate) written: Option<oneshot::Sender<Result<()>>>,
}

/// A record, and what the call has cost of budgets.
struct Queued {
    entry: Entry,
    settlement: Option<Settlement>,
    /// Where it stands in the journal.
    journaled: Option<call_journal::Place>,
}

/// Room for one record, held by a call that is under way.
pub(crate) struct Place {
    permit: mpsc::OwnedPermit<Queued>,
    shared: Arc<Shared>,
}

/// What calls and the writer share.
struct Shared {
    journal: Option<CallJournal>,
    /// Records that were sent and are not in the database yet.
    unwritten: AtomicUsize,
    /// Told after each batch.
    written: Notify,
}

impl Shared {
    /// Returns when fewer records wait for the database than may.
    async fn room(&self) {
        loop {
            let written = self.written.notified();
            if self.unwritten.load(Ordering::Acquire) < UNWRITTEN_MAX {
                return;
            }
            written.await;
        }
    }
}

impl Place {
    /// Sends a record; the settlement is applied in the transaction that writes it. Who waits is told at once when the journal
    /// has it.
    pub(crate) fn send_settled(self, mut entry: Entry, settlement: Option<Settlement>) {
        let mut journaled = None;
        if let (Some(journal), true) = (&self.shared.journal, entry.written.is_some()) {
            let spent = settlement.as_ref().map(|settlement| settlement.spent(entry.call.status)).unwrap_or_default();
            match journal.append(&Record { tenant: entry.tenant, call: &entry.call, spent }) {
                Ok(place) => {
                    journaled = Some(place);
                    let _ = entry.written.take().map(|written| written.send(Ok(())));
                }
                Err(error) => {
                    tracing::warn!(%error, "the journal of calls cannot be written: answers wait for the database");
                }
            }
        }
        self.shared.unwritten.fetch_add(1, Ordering::AcqRel);
        self.permit.send(Queued { entry, settlement, journaled });
    }
}

pub(crate) struct CallLog {
    queue: mpsc::Sender<Queued>,
    /// Those who want to read what was sent before. Apart from the queue, whose places are the calls'.
    readers: mpsc::Sender<oneshot::Sender<()>>,
    shared: Arc<Shared>,
    /// Whether the records that an earlier process left are in the database.
    caught_up: watch::Receiver<bool>,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl CallLog {
    /// Starts the writer. `ctx` gives it clock and randomness.
    pub(crate) fn start(ctx: &Ctx, store: Store) -> Self {
        let (queue, entries) = mpsc::channel(CALLS_MAX);
        let (readers, waiting) = mpsc::channel(READERS_MAX);
        let stop = CancellationToken::new();
        let (told, caught_up) = watch::channel(false);
        let folder = store.data_dir().join("call-journal");
        let journal = match store.dialect() {
            Dialect::Sqlite => {
                let name = format!("{:032x}", u128::from_le_bytes(ctx.random().bytes()));
                Some(CallJournal::new(folder.clone(), name))
            }
            Dialect::Postgres => None,
        };
        // Named before this process writes its own.
        let left = if journal.is_some() { call_journal::left_files(&folder) } else { Vec::new() };
        let shared = Arc::new(Shared { journal, unwritten: AtomicUsize::new(0), written: Notify::new() });
        let writer = Writer { ctx: ctx.clone(), store, shared: shared.clone(), stop: stop.clone() };
        let writer = tokio::spawn(writer.run(left, told, entries, waiting));
        Self { queue, readers, shared, caught_up, stop, writer: Mutex::new(Some(writer)) }
    }

    /// Returns when what an earlier process has spent is in the books. Ask it before a budget.
    ///
    /// # Errors
    /// `unavailable` (`calls_not_caught_up`) after 10 s.
    pub(crate) async fn caught_up(&self) -> Result<()> {
        let mut caught_up = self.caught_up.clone();
        match tokio::time::timeout(READ_WAIT, caught_up.wait_for(|done| *done)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Error::unavailable(
                "calls_not_caught_up",
                "the calls of an earlier process are still being put into the database",
            )
            .retry_after_ms(1_000)
            .remedy("try again; if it lasts, check the database with /readyz")),
        }
    }

    /// Returns when every call that has ended before can be read in the database; after 10 s in any case.
    pub(crate) async fn flushed(&self) {
        let flush = async {
            self.caught_up().await?;
            if self.shared.unwritten.load(Ordering::Acquire) > 0 {
                let (sender, receiver) = oneshot::channel();
                if self.readers.send(sender).await.is_ok() {
                    let _ = receiver.await;
                }
            }
            Result::<()>::Ok(())
        };
        if !matches!(tokio::time::timeout(READ_WAIT, flush).await, Ok(Ok(()))) {
            tracing::warn!("calls that have ended are not in the database yet; somebody reads without them");
        }
    }

    /// A place for the record of a call that starts now. Waits while the database is behind.
    ///
    /// # Errors
    /// `rate_limited` (`too_many_model_calls`), `unavailable` (`shutting_down`).
    pub(crate) async fn reserve(&self) -> Result<Place> {
        if self.shared.unwritten.load(Ordering::Acquire) >= UNWRITTEN_MAX
            && tokio::time::timeout(ROOM_WAIT, self.shared.room()).await.is_err()
        {
            return Err(too_many(UNWRITTEN_MAX));
        }
        match self.queue.clone().try_reserve_owned() {
            Ok(permit) => Ok(Place { permit, shared: self.shared.clone() }),
            Err(mpsc::error::TrySendError::Full(_)) => Err(too_many(CALLS_MAX)),
            Err(mpsc::error::TrySendError::Closed(_)) => {
                Err(Error::unavailable("shutting_down", "this server is shutting down").retry_after_ms(1_000))
            }
        }
    }

    /// Takes no more calls and returns when every record has been written.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        let Some(writer) = self.writer.lock().await.take() else { return };
        if tokio::time::timeout(SHUTDOWN_MAX, writer).await.is_err() {
            tracing::warn!("model calls were still under way at shutdown; they are not in the call log");
        }
    }
}

fn too_many(calls: usize) -> Error {
    let message = format!("{calls} model calls are under way or wait to be recorded");
    Error::new(Code::RateLimited, "too_many_model_calls", message)
        .retry_after_ms(1_000)
        .remedy("try again in a moment; if it lasts, check the database with /readyz")
}

struct Writer {
    ctx: Ctx,
    store: Store,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

impl Writer {
    async fn run(
        self,
        left: Vec<PathBuf>,
        caught_up: watch::Sender<bool>,
        mut records: mpsc::Receiver<Queued>,
        mut readers: mpsc::Receiver<oneshot::Sender<()>>,
    ) {
        for path in left {
            self.catch_up(&path).await;
        }
        caught_up.send_replace(true);
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut waiting = Vec::new();
        loop {
            let received = tokio::select! {
                received = records.recv_many(&mut batch, BATCH_MAX) => received,
                Some(reader) = readers.recv() => {
                    waiting.push(reader);
                    1
                }
                // After closing, `recv_many` returns 0 only when all places are used or given back.
                () = self.stop.cancelled(), if !records.is_closed() => {
                    records.close();
                    continue;
                }
            };
            if received == 0 {
                break;
            }
            if waiting.is_empty() {
                gather(&mut records, &mut readers, &mut batch, &mut waiting).await;
            }
            // A reader may want what was sent since.
            while !waiting.is_empty()
                && let Ok(record) = records.try_recv()
            {
                batch.push(record);
            }
            self.write(std::mem::take(&mut batch)).await;
            // A reader may have gone away.
            for reader in waiting.drain(..) {
                let _ = reader.send(());
            }
        }
        if let Some(journal) = &self.shared.journal {
            journal.close();
        }
    }

    async fn write(&self, records: Vec<Queued>) {
        let written = records.len();
        for group in by_caller(records) {
            self.write_group(group).await;
        }
        self.shared.unwritten.fetch_sub(written, Ordering::AcqRel);
        self.shared.written.notify_waiters();
    }

    /// Puts what an earlier process has left in a file into the database. What cannot be put there stays in a file under another
    /// name, for a person to look at.
    async fn catch_up(&self, path: &std::path::Path) {
        let (records, unreadable) = match call_journal::read(path) {
            Ok(read) => read,
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a journal of calls cannot be read");
                return;
            }
        };
        let mut lost = unreadable;
        for chunk in records.chunks(BATCH_MAX) {
            for group in left_by_caller(chunk) {
                match self.insert_missing(&group).await {
                    Ok(()) => {}
                    // The server stops: the next start goes on.
                    Err(error) if error.code() == Code::Unavailable => return,
                    // One that cannot be written must not keep the others away.
                    Err(_) => {
                        for record in &group {
                            if let Err(error) = self.insert_missing(&[record]).await {
                                tracing::error!(error = ?error, call = %record.call.id, "a call of an earlier process cannot be recorded");
                                lost += 1;
                            }
                        }
                    }
                }
            }
        }
        if lost > 0 {
            tracing::error!(lost, path = %path.display(), "calls of an earlier process are not in the database; their file is kept as *.bad");
            call_journal::set_aside(path);
        } else {
            tracing::info!(calls = records.len(), "recorded the calls that an earlier process had in its journal");
            call_journal::remove(path);
        }
    }

    /// Tries until it works, fails for good, or the server stops.
    async fn insert_missing(&self, group: &[&Left]) -> Result<()> {
        let Some(first) = group.first() else { return Ok(()) };
        let ctx = self.ctx_of(first.tenant, first.call.actor.clone());
        let mut pause = RETRY_PAUSE;
        loop {
            match store::calls::insert_missing(&ctx, &self.store, group).await {
                Err(error) if error.code() == Code::Unavailable && !self.stop.is_cancelled() => {
                    tracing::warn!(error = ?error, "calls of an earlier process could not be recorded yet");
                    self.rest(pause).await;
                    pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX);
                }
                outcome => return outcome,
            }
        }
    }

    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    fn ctx_of(&self, tenant: TenantId, actor: Actor) -> Ctx {
        let ctx = &self.ctx;
        Ctx::new(tenant, actor, *ctx.permissions(), ctx.clock().clone(), ctx.random().clone())
    }
}

/// Lets records gather until somebody waits for one of them or wants to read.
async fn gather(
    records: &mut mpsc::Receiver<Queued>,
    readers: &mut mpsc::Receiver<oneshot::Sender<()>>,
    batch: &mut Vec<Queued>,
    waiting: &mut Vec<oneshot::Sender<()>>,
) {
    let deadline = tokio::time::Instant::now() + GATHER;
    let mut seen = 0;
    while batch.len() < BATCH_MAX
        && !records.is_closed()
        && !batch.iter().skip(seen).any(|queued| queued.entry.written.is_some())
    {
        seen = batch.len();
        tokio::select! {
            _ = records.recv_many(batch, BATCH_MAX - seen) => {}
            Some(reader) = readers.recv() => {
                waiting.push(reader);
                return;
            }
            () = tokio::time::sleep_until(deadline) => return,
        }
    }
}

fn left_by_caller(records: &[Left]) -> Vec<Vec<&Left>> {
    let mut groups: Vec<Vec<&Left>> = Vec::new();
    for record in records {
        let same = |group: &&mut Vec<&Left>| {
            group.first().is_some_and(|first| first.tenant == record.tenant && first.call.actor == record.call.actor)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

/// Records that share a transaction: a transaction belongs to one tenant, and its events carry one actor.
struct Group {
    tenant: TenantId,
    actor: Actor,
    entries: Vec<Queued>,
}

fn by_caller(batch: Vec<Queued>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for queued in batch {
        let entry = &queued.entry;
        let fits = |group: &&mut Group| {
            group.tenant == entry.tenant && group.actor == entry.call.actor && group.entries.len() < BATCH_MAX
        };
        match groups.iter_mut().rev().find(fits) {
            Some(group) => group.entries.push(queued),
            None => {
                groups.push(Group { tenant: entry.tenant, actor: entry.call.actor.clone(), entries: vec![queued] });
            }
        }
    }
    groups
}

impl Writer {
    async fn write_group(&self, group: Group) {
        let ctx = self.ctx_of(group.tenant, group.actor);
        let outcome = self.try_to_write(&ctx, &group.entries).await;
        match outcome {
            // One that cannot be written must not keep the others away.
            Err(error) if error.code() != Code::Unavailable && group.entries.len() > 1 => {
                for queued in group.entries {
                    let one = vec![queued];
                    let outcome = self.try_to_write(&ctx, &one).await;
                    self.written(one, &outcome);
                }
            }
            outcome => self.written(group.entries, &outcome),
        }
    }

    /// Tries again while the database is away: a few times where callers wait, else until the server stops.
    async fn try_to_write(&self, ctx: &Ctx, entries: &[Queued]) -> Result<()> {
        let nobody_waits = entries.iter().all(|queued| queued.journaled.is_some());
        let mut pause = RETRY_PAUSE;
        let mut attempt = 1;
        loop {
            match write_once(ctx, &self.store, entries).await {
                Err(error)
                    if error.code() == Code::Unavailable
                        && (attempt < ATTEMPTS_MAX || (nobody_waits && !self.stop.is_cancelled())) =>
                {
                    tracing::warn!(error = ?error, attempt, "model calls could not be recorded yet");
                    self.rest(pause).await;
                    pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX);
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Tells of what came of writing.
    fn written(&self, entries: Vec<Queued>, outcome: &Result<()>) {
        if let Err(error) = outcome {
            let calls: Vec<String> = entries.iter().map(|queued| queued.entry.call.id.to_string()).collect();
            tracing::error!(?error, calls = calls.join(" "), "model calls could not be recorded");
        }
        if let (Some(journal), Ok(())) = (&self.shared.journal, outcome) {
            journal.written(entries.iter().filter_map(|queued| queued.journaled));
        }
        for queued in entries {
            let Queued { entry, settlement, .. } = queued;
            if let (Ok(()), Some(settlement)) = (outcome, settlement) {
                settlement.finish();
            }
            let Some(written) = entry.written else { continue };
            // The caller may have gone away in the meantime; the record stands either way.
            let _ = written.send(match outcome {
                Ok(()) => Ok(()),
                Err(_) => Err(Error::unavailable("call_not_recorded", "the model call could not be recorded")
                    .remedy("check the database with /readyz, then try again")),
            });
        }
    }
}

/// Records and settles in one transaction.
async fn write_once(ctx: &Ctx, store: &Store, entries: &[Queued]) -> Result<()> {
    let calls: Vec<&ModelCall> = entries.iter().map(|queued| &queued.entry.call).collect();
    let settled = entries.iter().filter_map(|queued| Some((&queued.entry.call, queued.settlement.as_ref()?)));
    let mut settling = Settling::of(settled).await;
    let payloads: Vec<_> =
        entries.iter().filter_map(|queued| Some((&queued.entry.call, queued.entry.payload.as_ref()?))).collect();
    let written = store::calls::insert(ctx, store, &calls, &payloads, &mut settling).await;
    match &written {
        Ok(()) => settling.confirm(),
        Err(_) => settling.doubt(),
    }
    written
}
