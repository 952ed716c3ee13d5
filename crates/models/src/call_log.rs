//! Writes the records of calls in the background, many in one transaction.
//!
//! A call takes its place in the queue when it starts, so that its record always has room, even when the call is dropped
//! in the middle. Where an answer waits for its record it is written at once, and while one batch is being written the next
//! one gathers. Where a journal has the record already, records gather for 20 ms, or until somebody wants to read them.

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
    sync::{Mutex, mpsc, oneshot, watch},
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
/// Records in one transaction.
const BATCH_MAX: usize = 200;
/// How long records that are in the journal gather for one transaction.
const GATHER: Duration = Duration::from_millis(20);
/// How often a batch is tried while the database is busy or away, and the pause before the second try (it doubles).
const ATTEMPTS_MAX: u32 = 6;
const RETRY_PAUSE: Duration = Duration::from_millis(50);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
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

enum Message {
    Record(Box<Queued>),
    /// Somebody wants to read what was sent before.
    Flush(oneshot::Sender<()>),
}

/// Room for one record, held by a call that is under way.
pub(crate) struct Place {
    permit: mpsc::OwnedPermit<Message>,
    shared: Arc<Shared>,
}

/// What calls and the writer share.
struct Shared {
    journal: Option<CallJournal>,
    /// Records that were sent and are not in the database yet.
    unwritten: AtomicUsize,
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
        self.permit.send(Message::Record(Box::new(Queued { entry, settlement, journaled })));
    }
}

pub(crate) struct CallLog {
    queue: mpsc::Sender<Message>,
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
        let shared = Arc::new(Shared { journal, unwritten: AtomicUsize::new(0) });
        let writer = Writer { ctx: ctx.clone(), store, shared: shared.clone() };
        let writer = tokio::spawn(writer.run(left, told, entries, stop.clone()));
        Self { queue, shared, caught_up, stop, writer: Mutex::new(Some(writer)) }
    }

    /// Returns when what an earlier process has spent is in the books. Ask it before a budget.
    pub(crate) async fn caught_up(&self) {
        if !*self.caught_up.borrow() {
            let _ = self.caught_up.clone().wait_for(|done| *done).await;
        }
    }

    /// Returns when every call that has ended before can be read in the database.
    pub(crate) async fn flushed(&self) {
        self.caught_up().await;
        if self.shared.unwritten.load(Ordering::Acquire) == 0 {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        if self.queue.send(Message::Flush(sender)).await.is_ok() {
            let _ = receiver.await;
        }
    }

    /// A place for the record of a call that starts now.
    pub(crate) fn reserve(&self) -> Result<Place> {
        let place = |permit| Place { permit, shared: self.shared.clone() };
        self.queue.clone().try_reserve_owned().map(place).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::new(
                Code::RateLimited,
                "too_many_model_calls",
                format!("{CALLS_MAX} model calls are under way or wait to be recorded"),
            )
            .retry_after_ms(1_000)
            .remedy("try again in a moment"),
            mpsc::error::TrySendError::Closed(_) => {
                Error::unavailable("shutting_down", "this server is shutting down").retry_after_ms(1_000)
            }
        })
    }

    /// Takes no more calls and returns when every record has been written.
    pub(crate) async fn shutdown(&self) {
        self.stop.cancel();
        if let Some(writer) = self.writer.lock().await.take()
            && tokio::time::timeout(SHUTDOWN_MAX, writer).await.is_err()
        {
            tracing::warn!("model calls were still under way at shutdown; they are not in the call log");
        }
    }
}

struct Writer {
    ctx: Ctx,
    store: Store,
    shared: Arc<Shared>,
}

impl Writer {
    async fn run(
        self,
        left: Vec<PathBuf>,
        caught_up: watch::Sender<bool>,
        mut messages: mpsc::Receiver<Message>,
        stop: CancellationToken,
    ) {
        for path in left {
            self.catch_up(&path).await;
        }
        caught_up.send_replace(true);
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let received = tokio::select! {
                received = messages.recv_many(&mut batch, BATCH_MAX) => received,
                // After closing, `recv_many` returns 0 only when all places are used or given back.
                () = stop.cancelled(), if !messages.is_closed() => {
                    messages.close();
                    continue;
                }
            };
            if received == 0 {
                break;
            }
            gather(&mut messages, &mut batch).await;
            let mut records = Vec::with_capacity(batch.len());
            let mut readers = Vec::new();
            for message in batch.drain(..) {
                match message {
                    Message::Record(queued) => records.push(*queued),
                    Message::Flush(reader) => readers.push(reader),
                }
            }
            let written = records.len();
            for group in by_caller(records) {
                self.write_group(group).await;
            }
            self.shared.unwritten.fetch_sub(written, Ordering::AcqRel);
            // A reader may have gone away.
            for reader in readers {
                let _ = reader.send(());
            }
        }
        if let Some(journal) = &self.shared.journal {
            journal.close();
        }
    }

    /// Puts what an earlier process has left in a file into the database.
    async fn catch_up(&self, path: &std::path::Path) {
        let records = match call_journal::read(path) {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, path = %path.display(), "a journal of calls cannot be read");
                return;
            }
        };
        let mut all_written = true;
        for chunk in records.chunks(BATCH_MAX) {
            for group in left_by_caller(chunk) {
                let Some(first) = group.first() else { continue };
                let ctx = self.ctx_of(first.tenant, first.call.actor.clone());
                let mut pause = RETRY_PAUSE;
                while let Err(error) = store::calls::insert_missing(&ctx, &self.store, &group).await {
                    if error.code() != Code::Unavailable {
                        tracing::error!(error = ?error, path = %path.display(), "calls of an earlier process cannot be recorded");
                        all_written = false;
                        break;
                    }
                    tracing::warn!(error = ?error, "calls of an earlier process could not be recorded yet");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX);
                }
            }
        }
        if all_written {
            tracing::info!(calls = records.len(), "recorded the calls that an earlier process had in its journal");
            call_journal::remove(path);
        }
    }

    fn ctx_of(&self, tenant: TenantId, actor: Actor) -> Ctx {
        let ctx = &self.ctx;
        Ctx::new(tenant, actor, *ctx.permissions(), ctx.clock().clone(), ctx.random().clone())
    }
}

/// Lets records gather that nobody waits for.
async fn gather(messages: &mut mpsc::Receiver<Message>, batch: &mut Vec<Message>) {
    let waits = |message: &Message| match message {
        Message::Record(queued) => queued.entry.written.is_some(),
        Message::Flush(_) => true,
    };
    let deadline = tokio::time::Instant::now() + GATHER;
    let mut seen = 0;
    while batch.len() < BATCH_MAX && !messages.is_closed() && !batch.iter().skip(seen).any(waits) {
        seen = batch.len();
        let more = messages.recv_many(batch, BATCH_MAX - seen);
        if tokio::time::timeout_at(deadline, more).await.is_err() {
            return;
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
        match groups.iter_mut().find(|group| group.tenant == entry.tenant && group.actor == entry.call.actor) {
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
        let group_ctx = self.ctx_of(group.tenant, group.actor);
        let mut pause = RETRY_PAUSE;
        let mut attempt = 1;
        let outcome = loop {
            match write_once(&group_ctx, &self.store, &group.entries).await {
                Err(error) if error.code() == Code::Unavailable && attempt < ATTEMPTS_MAX => {
                    tracing::warn!(error = ?error, attempt, "model calls could not be recorded yet");
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    attempt += 1;
                }
                outcome => break outcome,
            }
        };
        if let Err(error) = &outcome {
            let ids: Vec<String> = group.entries.iter().map(|queued| queued.entry.call.id.to_string()).collect();
            tracing::error!(error = ?error, calls = ids.join(" "), "model calls could not be recorded");
        }
        if let (Some(journal), Ok(())) = (&self.shared.journal, &outcome) {
            journal.written(group.entries.iter().filter_map(|queued| queued.journaled));
        }
        for Queued { entry, settlement, .. } in group.entries {
            if let (Ok(()), Some(settlement)) = (&outcome, settlement) {
                settlement.finish();
            }
            let Some(written) = entry.written else { continue };
            // The caller may have gone away in the meantime; the record stands either way.
            let _ = written.send(match &outcome {
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
