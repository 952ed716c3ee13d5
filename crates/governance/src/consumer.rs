//! The work in the background: from the event log into the audit logs, checkpoints, deliveries.

use std::{sync::Arc, time::Duration};

use plasma_kernel::{Result, TenantId};
use plasma_store::{Event, Tx};

use crate::{Governance, INSTALLATION, Inner, record, store};

/// The consumer's name, under which its position is kept.
const CONSUMER: &str = "audit";
/// Events of one transaction.
const BATCH_EVENTS: u32 = 1_000;
/// Records wait no longer than this for a checkpoint, in microseconds.
pub(crate) const CHECKPOINT_AGE_MICROS: i64 = 60 * 1_000_000;
/// How often logs are looked through for records that have waited.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(5);
/// Logs that get a checkpoint in one round.
const CHECKPOINTS_MAX: u32 = 1_000;
/// After a failure the work goes on after this time.
const RETRY: Duration = Duration::from_secs(1);
/// How long a stopping program waits for what is under way.
const STOP_GRACE: Duration = Duration::from_secs(10);

impl Governance {
    /// Starts the work in the background. `worker`: this process appends, signs and delivers; another only writes down what
    /// it noted itself.
    pub fn start(&self, worker: bool) {
        let inner = &self.inner;
        inner.tasks.spawn(run(Arc::clone(inner), write_noted));
        if worker {
            inner.tasks.spawn(run(Arc::clone(inner), follow));
            inner.tasks.spawn(run(Arc::clone(inner), sign));
            inner.tasks.spawn(run(Arc::clone(inner), crate::sinks::deliver));
        }
    }

    /// Writes down what was noted, then ends the work in the background. What is not appended yet is at the next start.
    pub async fn stop(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        if tokio::time::timeout(STOP_GRACE, self.inner.tasks.wait()).await.is_err() {
            tracing::warn!("the work on the audit log did not stop in time; it goes on at the next start");
        }
        if let Err(error) = self.inner.write_noted(true).await {
            tracing::warn!(?error, "refused requests and readings of the last second could not be written down");
        }
    }

    /// Appends every event that is in the log by now, and returns how many. The background does it by itself; this is for
    /// those who cannot wait for it.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn catch_up(&self) -> Result<u64> {
        let mut appended = 0;
        loop {
            let read = Box::pin(self.inner.append_next()).await?;
            if read == 0 {
                return Ok(appended);
            }
            appended += read;
        }
    }

    /// Makes checkpoints of all logs that have records without one, however young they are.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn checkpoint_all(&self) -> Result<u64> {
        Box::pin(self.inner.make_due_checkpoints(i64::MAX)).await
    }

    /// Writes down what was noted until now.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn write_noted(&self) -> Result<()> {
        self.inner.write_noted(true).await
    }
}

/// Runs one kind of work until the program stops. The future is boxed: those of transactions are large.
async fn run<W, F>(inner: Arc<Inner>, work: W)
where
    W: FnOnce(Arc<Inner>) -> F,
    F: Future<Output = ()>,
{
    let stop = inner.stop.clone();
    stop.run_until_cancelled(Box::pin(work(inner))).await;
}

async fn follow(inner: Arc<Inner>) {
    let consumer = inner.store.consumer(CONSUMER);
    loop {
        match inner.append_next().await {
            Ok(0) => consumer.wait().await,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(?error, "events could not be appended to the audit log; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn sign(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(CHECKPOINT_INTERVAL).await;
        let before = inner.ctx.now() - CHECKPOINT_AGE_MICROS;
        if let Err(error) = inner.make_due_checkpoints(before).await {
            tracing::warn!(?error, "checkpoints of the audit log could not be made; trying again");
        }
    }
}

async fn write_noted(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(RETRY).await;
        if let Err(error) = inner.write_noted(false).await {
            tracing::warn!(?error, "what was noted for the audit log could not be written; trying again");
        }
    }
}

impl Inner {
    /// Appends the next batch of events and moves the consumer in one transaction, so that each event comes once however
    /// often this is interrupted. Returns how many events were read.
    async fn append_next(&self) -> Result<u64> {
        // A look that locks nothing: mostly there is nothing to do.
        if self.store.consumer(CONSUMER).next_batch(&self.ctx, 1).await?.is_empty() {
            return Ok(0);
        }
        let mut tx = self.store.begin(&self.ctx).await?;
        let position = tx.hold_consumer(CONSUMER).await?;
        let events = tx.events_after(position, BATCH_EVENTS).await?;
        let Some(last) = events.last().map(|event| event.position) else { return Ok(0) };
        let read = events.len() as u64;
        self.append_batch(&mut tx, events).await?;
        tx.move_consumer(CONSUMER, last).await?;
        tx.commit().await?;
        self.appended.send_modify(|appended| *appended = appended.wrapping_add(read));
        Ok(read)
    }

    /// Each event goes into the log of its tenant. The logs are taken in one order by everybody, so that nobody waits for
    /// somebody who waits for them.
    async fn append_batch(&self, tx: &mut Tx, events: Vec<Event>) -> Result<()> {
        let log_of = |event: &Event| event.tenant.unwrap_or(INSTALLATION);
        let mut audited: Vec<Event> = events.into_iter().filter(record::is_audited).collect();
        // Stable: within a log the order stays.
        audited.sort_by_key(log_of);
        for events in audited.chunk_by(|one, other| log_of(one) == log_of(other)) {
            let Some(log) = events.first().map(log_of) else { continue };
            Box::pin(self.append(tx, log, events)).await?;
        }
        Ok(())
    }

    /// Makes checkpoints of logs that have had records without one since `before`.
    async fn make_due_checkpoints(&self, before: i64) -> Result<u64> {
        let mut tx = self.store.read(&self.ctx).await?;
        let logs: Vec<TenantId> = store::logs::unsigned_since(&mut tx, before, CHECKPOINTS_MAX).await?;
        drop(tx);
        let mut made = 0;
        for log in logs {
            let mut tx = self.store.begin(&self.ctx).await?;
            if Box::pin(self.cover(&mut tx, log)).await? {
                made += 1;
            }
            tx.commit().await?;
        }
        if made > 0 {
            self.appended.send_modify(|appended| *appended = appended.wrapping_add(1));
        }
        Ok(made)
    }
}
