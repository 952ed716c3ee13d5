use std::time::Duration;

use plasma_kernel::{Ctx, Result};

use crate::{Event, EventPosition, Sql, Store, Tx};

/// How long a consumer waits before it looks for events that other processes wrote.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// A durable reader of the event log: at least once, in order, from where it last committed.
pub struct Consumer {
    store: Store,
    name: &'static str,
}

impl Consumer {
    pub(crate) fn new(store: Store, name: &'static str) -> Self {
        Self { store, name }
    }

    /// The next events, at most `limit`; empty when there are none. Until [`Consumer::commit`], the same come again.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn next_batch(&self, ctx: &Ctx, limit: u32) -> Result<Vec<Event>> {
        let mut tx = self.store.read(ctx).await?;
        let row = tx
            .fetch_optional("SELECT transaction_id, sequence FROM event_consumers WHERE name = $1", [self.name.into()])
            .await?;
        let position = match row {
            Some(row) => EventPosition { transaction: row.get("transaction_id")?, sequence: row.get("sequence")? },
            None => EventPosition::START,
        };
        tx.events_after(position, limit).await
    }

    /// Marks everything up to `position` as handled. It never goes back.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn commit(&self, ctx: &Ctx, position: EventPosition) -> Result<()> {
        let mut tx = self.store.begin(ctx).await?;
        tx.execute(
            "INSERT INTO event_consumers (name, transaction_id, sequence, updated_at) VALUES ($1, $2, $3, $4)
             ON CONFLICT (name) DO UPDATE
               SET transaction_id = excluded.transaction_id, sequence = excluded.sequence, updated_at = excluded.updated_at
             WHERE (event_consumers.transaction_id, event_consumers.sequence) < (excluded.transaction_id, excluded.sequence)",
            [self.name.into(), position.transaction.into(), position.sequence.into(), ctx.now().into()],
        )
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Returns when this process commits an event, or after a second (for those of other processes).
    pub async fn wait(&self) {
        let mut committed = self.store.committed_events();
        // An error means that the store is gone; the timeout's end is the ordinary case.
        let _ = tokio::time::timeout(POLL_INTERVAL, committed.changed()).await;
    }
}

impl Tx {
    /// Where the consumer `name` stands, held until this transaction ends: what it does with the next events and that it did
    /// it become one, and a second process that works under the same name waits here.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn hold_consumer(&mut self, name: &str) -> Result<EventPosition> {
        const HOLD: Sql = Sql::each(
            "SELECT transaction_id, sequence FROM event_consumers WHERE name = $1",
            "SELECT transaction_id, sequence FROM event_consumers WHERE name = $1 FOR UPDATE",
        );
        let now = self.ctx().now();
        self.execute(
            "INSERT INTO event_consumers (name, transaction_id, sequence, updated_at) VALUES ($1, 0, 0, $2)
             ON CONFLICT (name) DO NOTHING",
            [name.into(), now.into()],
        )
        .await?;
        let row = self.fetch_one(HOLD, [name.into()]).await?;
        Ok(EventPosition { transaction: row.get("transaction_id")?, sequence: row.get("sequence")? })
    }

    /// Moves the consumer that [`Tx::hold_consumer`] holds.
    ///
    /// # Errors
    /// As [`Tx::execute`].
    pub async fn move_consumer(&mut self, name: &str, position: EventPosition) -> Result<()> {
        let now = self.ctx().now();
        self.execute(
            "UPDATE event_consumers SET transaction_id = $2, sequence = $3, updated_at = $4 WHERE name = $1",
            [name.into(), position.transaction.into(), position.sequence.into(), now.into()],
        )
        .await?;
        Ok(())
    }
}
