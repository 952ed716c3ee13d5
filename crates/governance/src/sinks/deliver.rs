//! Delivery: what each sink has not had yet, in order, at least once, with waits between attempts that fail.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, stream};
use plasma_kernel::{Error, Result};
use tokio::sync::watch;

use super::{
    reason, secret_purpose,
    send::{Load, Sender},
};
use crate::{
    Inner,
    store::{self, sinks::SinkRow},
};

/// Records of one delivery.
const BATCH_RECORDS: u32 = 500;
/// Sinks of one round, and how many of them at the same time.
const SINKS_OF_ROUND: u32 = 32;
const CONCURRENCY: usize = 8;
/// Longest time for one delivery, and for how long one process keeps a sink for it.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(120);
const LEASE_MICROS: i64 = 180 * 1_000_000;
/// Between attempts: 2 s, 4 s, 8 s … at most ten minutes, with up to half as much again at random.
const BACKOFF_FIRST_MICROS: i64 = 2_000_000;
const BACKOFF_MAX_MICROS: i64 = 600 * 1_000_000;
/// How often sinks are looked through for those whose time has come, and what other processes appended.
const POLL: Duration = Duration::from_secs(1);
/// What follows at once goes out together.
const GATHER: Duration = Duration::from_millis(200);
const ERROR_CHARS_MAX: usize = 500;

/// Delivers for as long as the program runs.
pub(crate) async fn deliver(inner: Arc<Inner>) {
    let mut appended: watch::Receiver<u64> = inner.appended.subscribe();
    loop {
        match inner.deliver_due().await {
            // The sender lives in `inner`: the wait's end is the ordinary case.
            Ok(0) => {
                let _ = tokio::time::timeout(POLL, appended.changed()).await;
                tokio::time::sleep(GATHER).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(?error, "the sinks of the audit log cannot be looked through; trying again");
                tokio::time::sleep(POLL).await;
            }
        }
    }
}

impl crate::Governance {
    /// Delivers what is due now, once for each sink, and returns how many deliveries were tried. The background does it by
    /// itself.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn deliver_due(&self) -> Result<u64> {
        self.inner.deliver_due().await
    }
}

impl Inner {
    async fn deliver_due(&self) -> Result<u64> {
        let mut tx = self.store.read(&self.ctx).await?;
        let due = store::sinks::due(&mut tx, self.ctx.now(), SINKS_OF_ROUND).await?;
        drop(tx);
        let tried = stream::iter(due)
            .map(|row| async move {
                match Box::pin(self.deliver_to(&row)).await {
                    Ok(tried) => u64::from(tried),
                    Err(error) => {
                        tracing::warn!(?error, sink = %row.sink.id, "the state of an audit sink could not be written");
                        0
                    }
                }
            })
            .buffer_unordered(CONCURRENCY);
        Ok(tried.fold(0, |sum, tried| std::future::ready(sum + tried)).await)
    }

    /// One delivery to one sink; false when another process has it.
    async fn deliver_to(&self, row: &SinkRow) -> Result<bool> {
        let ctx = self.ctx.for_tenant(row.log, reason(row.log));
        let mut tx = self.store.begin(&ctx).await?;
        let now = ctx.now();
        if !store::sinks::lease(&mut tx, row, now, now + LEASE_MICROS).await? {
            return Ok(false);
        }
        tx.commit().await?;
        let sent = match tokio::time::timeout(DELIVERY_TIMEOUT, Box::pin(self.send_next(row))).await {
            Ok(sent) => sent,
            Err(_) => Err(Error::unavailable("sink_too_slow", "the other side did not take it in time")),
        };
        let mut tx = self.store.begin(&ctx).await?;
        match sent {
            Ok(next_leaf) => store::sinks::delivered(&mut tx, row, next_leaf, ctx.now()).await?,
            Err(error) => {
                tracing::info!(?error, sink = %row.sink.id, log = %row.log, "an audit sink took nothing; trying again");
                let text: String = error.to_string().chars().take(ERROR_CHARS_MAX).collect();
                let next = ctx.now() + backoff(row.sink.failures, ctx.random().fraction());
                store::sinks::failed(&mut tx, row, &text, ctx.now(), next).await?;
            }
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Sends what comes next and returns up to where.
    async fn send_next(&self, row: &SinkRow) -> Result<u64> {
        let ctx = self.ctx.for_tenant(row.log, reason(row.log));
        let mut tx = self.store.read(&ctx).await?;
        if row.sink.target.anchors() {
            // Only the newest: it covers those before.
            let Some(checkpoint) = store::checkpoints::newest(&mut tx, row.log).await? else {
                return Ok(row.sink.next_leaf);
            };
            drop(tx);
            self.send(row, Load::Checkpoint(&checkpoint)).await?;
            return Ok(checkpoint.size);
        }
        let state = store::logs::get(&mut tx, row.log).await?;
        let records = store::records::range(&mut tx, row.log, row.sink.next_leaf, state.size, BATCH_RECORDS).await?;
        drop(tx);
        // Records may have been removed because of their age before the sink had them.
        let Some(last) = records.last().map(|record| record.leaf) else { return Ok(state.size) };
        self.send(row, Load::Records(&records)).await?;
        Ok(last + 1)
    }

    /// Sends the newest that there is, for a test.
    pub(super) async fn send_newest(&self, row: &SinkRow) -> Result<()> {
        let ctx = self.ctx.for_tenant(row.log, reason(row.log));
        let nothing = || {
            Error::conflict("audit_log_empty", "the audit log has nothing to send yet")
                .remedy("try again in a minute: the first checkpoint is made then")
        };
        let mut tx = self.store.read(&ctx).await?;
        if row.sink.target.anchors() {
            let checkpoint = store::checkpoints::newest(&mut tx, row.log).await?.ok_or_else(nothing)?;
            drop(tx);
            return self.send(row, Load::Checkpoint(&checkpoint)).await;
        }
        let size = store::logs::get(&mut tx, row.log).await?.size;
        let records = store::records::range(&mut tx, row.log, size.saturating_sub(1), size, 1).await?;
        drop(tx);
        if records.is_empty() {
            return Err(nothing());
        }
        self.send(row, Load::Records(&records)).await
    }

    async fn send(&self, row: &SinkRow, load: Load<'_>) -> Result<()> {
        let secret = match &row.secret_sealed {
            Some(sealed) => {
                let ctx = self.ctx.for_tenant(row.log, reason(row.log));
                let mut tx = self.store.read(&ctx).await?;
                Some(self.store.open_secret(&mut tx, &secret_purpose(row.sink.id), sealed).await?)
            }
            None => None,
        };
        let origin = self.origin(row.log);
        let sender = Sender {
            reach: &self.reach,
            anchor_dir: &self.config.anchor_dir,
            origin: &origin,
            secret: secret.as_ref().map(|secret| secret.as_str()),
            now: self.ctx.now(),
        };
        Box::pin(sender.send(row, load)).await
    }
}

fn backoff(failures: u32, fraction: f64) -> i64 {
    let wait = BACKOFF_FIRST_MICROS.saturating_mul(1 << failures.min(20)).min(BACKOFF_MAX_MICROS);
    // Exact to the microsecond it need not be.
    wait + (wait as f64 * fraction / 2.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_at_ten_minutes() {
        assert_eq!(backoff(0, 0.0), 2_000_000);
        assert_eq!(backoff(3, 0.0), 16_000_000);
        assert_eq!(backoff(u32::MAX, 0.0), BACKOFF_MAX_MICROS);
        assert!(backoff(1, 0.999) < 6_000_000);
    }
}
