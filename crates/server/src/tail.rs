//! One reader of the event log for this process. It hands every event of every tenant on from memory, so that a thousand
//! open dashboards cost the database no more than one.

use std::{sync::Arc, time::Duration};

use plasma_kernel::{Clock, Ctx, Random, Result};
use plasma_store::{Event, EventPosition, Store};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Events in memory for readers that are a little behind; who falls further back reads from the database again.
const KEPT_EVENTS: usize = 1024;
/// Events of one read.
const BATCH_EVENTS: u32 = 256;
/// How often other processes' events are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Gives out receivers of all events that are committed from now on, in order.
#[derive(Clone)]
pub struct EventTail {
    sender: broadcast::Sender<Arc<Event>>,
}

impl EventTail {
    /// Starts to read at the log's end.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub async fn start(store: Store, stop: CancellationToken) -> Result<Self> {
        let ctx = Ctx::system("relay events", Clock::system(), Random::system());
        let (sender, _) = broadcast::channel(KEPT_EVENTS);
        let head = store.read(&ctx).await?.events_head().await?;
        let tail = Self { sender: sender.clone() };
        // Boxed: a query's future is large, and this one would be moved about with it inside.
        let following = Box::pin(follow(store, ctx, sender, head));
        tokio::spawn(async move {
            stop.run_until_cancelled(following).await;
        });
        Ok(tail)
    }

    /// Every event from now on. A receiver that lags by more than 1,024 events is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }
}

async fn follow(store: Store, ctx: Ctx, sender: broadcast::Sender<Arc<Event>>, mut position: EventPosition) {
    let mut committed = store.committed_events();
    loop {
        match next(&store, &ctx, position).await {
            Ok(events) if events.is_empty() => {
                // The sender of the signal lives as long as the store; the end of the wait is the ordinary case.
                let _ = tokio::time::timeout(POLL_INTERVAL, committed.changed()).await;
            }
            Ok(events) => {
                for event in events {
                    position = event.position;
                    // Nobody may be listening.
                    let _ = sender.send(Arc::new(event));
                }
            }
            Err(error) => {
                tracing::warn!(?error, "the event log cannot be read; trying again");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }
}

async fn next(store: &Store, ctx: &Ctx, position: EventPosition) -> Result<Vec<Event>> {
    store.read(ctx).await?.events_after(position, BATCH_EVENTS).await
}
