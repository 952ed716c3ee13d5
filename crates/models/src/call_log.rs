//! Writes the records of calls in the background, many in one transaction.
//!
//! A call takes its place in the queue when it starts, so that its record always has room, even when the call is dropped
//! in the middle. There is no timer: while one batch is being written the next one gathers, so a lone call is written at
//! once and a busy log writes up to 100 rows in a transaction.

use std::time::Duration;

use plasma_kernel::{Actor, Code, Ctx, Error, Result, TenantId};
use plasma_store::Store;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    ModelCall,
    budgets::{Settlement, Settling},
    capture::Payload,
    store,
};

/// Calls under way and records not yet written, together: beyond it a new call is refused.
const CALLS_MAX: usize = 10_000;
/// Records in one transaction.
const BATCH_MAX: usize = 100;
/// How often a batch is tried while the database is busy or away, and the pause before the second try (it doubles).
const ATTEMPTS_MAX: u32 = 6;
const RETRY_PAUSE: Duration = Duration::from_millis(50);
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
}

/// Room for one record, held by a call that is under way.
pub(crate) struct Place(mpsc::OwnedPermit<Queued>);

impl Place {
    /// Sends a record; the settlement is applied in the transaction that writes it.
    pub(crate) fn send_settled(self, entry: Entry, settlement: Option<Settlement>) {
        self.0.send(Queued { entry, settlement });
    }
}

pub(crate) struct CallLog {
    queue: mpsc::Sender<Queued>,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl CallLog {
    /// Starts the writer. `ctx` gives it clock and randomness.
    pub(crate) fn start(ctx: &Ctx, store: Store) -> Self {
        let (queue, entries) = mpsc::channel(CALLS_MAX);
        let stop = CancellationToken::new();
        let writer = tokio::spawn(write_entries(ctx.clone(), store, entries, stop.clone()));
        Self { queue, stop, writer: Mutex::new(Some(writer)) }
    }

    /// A place for the record of a call that starts now.
    pub(crate) fn reserve(&self) -> Result<Place> {
        self.queue.clone().try_reserve_owned().map(Place).map_err(|error| match error {
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

async fn write_entries(ctx: Ctx, store: Store, mut entries: mpsc::Receiver<Queued>, stop: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    loop {
        let received = tokio::select! {
            received = entries.recv_many(&mut batch, BATCH_MAX) => received,
            // After closing, `recv_many` returns 0 only when all places are used or given back.
            () = stop.cancelled(), if !entries.is_closed() => {
                entries.close();
                continue;
            }
        };
        if received == 0 {
            return;
        }
        for group in by_caller(std::mem::take(&mut batch)) {
            write_group(&ctx, &store, group).await;
        }
    }
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

async fn write_group(ctx: &Ctx, store: &Store, group: Group) {
    let group_ctx = Ctx::new(group.tenant, group.actor, *ctx.permissions(), ctx.clock().clone(), ctx.random().clone());
    let mut pause = RETRY_PAUSE;
    let mut attempt = 1;
    let outcome = loop {
        match write_once(&group_ctx, store, &group.entries).await {
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
    for Queued { entry, settlement } in group.entries {
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
