//! The writer of a node: brings what the event log names, and copies what is missing.
//!
//! Events and pages of copies are applied one after the other, each read from SQL only then. So what is copied can never overwrite a
//! change: if a document changed after it was read, its event is still to come.

mod documents;
mod shards;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use plasma_kernel::{CollectionId, Ctx, Error, Result};
use plasma_store::{
    EventPosition, Store,
    search_node::{NodeWriter, ShardRow, ShardTable},
};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Node, Writing, placement::PlacedCollection};
use crate::store::queue;

/// Events taken at once.
const EVENTS_MAX: u32 = 500;
/// How often events of other processes are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same while an event that this process committed is not visible yet: on Postgres, older transactions hold it back.
const BEHIND_INTERVAL: Duration = Duration::from_millis(5);
/// How often a process that is not the writer tries to become it.
const LOCK_INTERVAL: Duration = Duration::from_secs(5);
/// Between attempts after a failure: doubled each time.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A turn that takes longer talks to a server that is gone without a word.
const TURN_MAX: Duration = Duration::from_secs(600);

/// Writes to a node, whenever this process is the one that may, until `stop` fires.
pub(super) async fn keep(node: Arc<Node>, store: Store, ctx: Ctx, stop: CancellationToken) {
    let mut pause = PAUSE_MIN;
    while !stop.is_cancelled() {
        let wait = match write(&node, &store, &ctx, &stop).await {
            Ok(()) => LOCK_INTERVAL,
            Err(error) => {
                let reason = error.message().to_owned();
                pause = if node.writing() == Writing::Here { PAUSE_MIN } else { (pause * 2).min(PAUSE_MAX) };
                if node.note(Writing::Failed(reason)) {
                    tracing::warn!(?error, node = node.database.name(), "cannot write to a search node; trying again");
                }
                pause
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Becomes the writer and writes until something fails or `stop` fires; returns when another process is the writer.
async fn write(node: &Arc<Node>, store: &Store, ctx: &Ctx, stop: &CancellationToken) -> Result<()> {
    let installation = identity(store, ctx).await?;
    let head = store.read(ctx).await?.events_head().await?;
    let Some(mut writer) = NodeWriter::open(&node.database, &installation, head, ctx.now()).await? else {
        node.note(Writing::Elsewhere);
        return Ok(());
    };
    let mut position = writer.position().await?;
    if position > head {
        // A backup of the tables was restored: what the node has is of a future that did not happen.
        tracing::warn!(node = node.database.name(), "a search node is ahead of the event log; it is filled anew");
        writer.start_anew(head, ctx.now()).await?;
        position = head;
    }
    if node.note(Writing::Here) {
        tracing::info!(node = node.database.name(), "this process writes to a search node");
    }
    let mut committed = store.committed_events();
    let mut session = Session::new(Arc::clone(node), store.clone(), ctx.clone(), writer, position);
    loop {
        // Seen before the log is read, so that no commit after the reading is slept through.
        committed.borrow_and_update();
        match tokio::time::timeout(TURN_MAX, session.turn()).await {
            Ok(Ok(true)) if !stop.is_cancelled() => continue,
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => {
                return Err(Error::unavailable("search_node_unavailable", "the search node does not answer any more"));
            }
        }
        if stop.is_cancelled() || session.wait(&mut committed, stop).await {
            session.close().await;
            return Ok(());
        }
    }
}

/// The name of this installation's data.
async fn identity(store: &Store, ctx: &Ctx) -> Result<String> {
    let mut tx = store.begin(ctx).await?;
    let fresh = format!("{:032x}", u128::from_le_bytes(ctx.random().bytes()));
    let identity = queue::identity(&mut tx, &fresh).await?;
    tx.commit().await?;
    Ok(identity)
}

/// What the one who writes to a node knows.
struct Session {
    node: Arc<Node>,
    store: Store,
    /// Works across tenants.
    ctx: Ctx,
    writer: NodeWriter,
    /// Up to where in the event log the node is.
    position: EventPosition,
    /// Collections that have a place on this node.
    placed: HashMap<CollectionId, PlacedCollection>,
    /// What the node has.
    shards: BTreeMap<ShardTable, ShardRow>,
    /// Since when a shard belongs to no place any more: searches that began before may still ask it.
    unwanted: HashMap<ShardTable, Instant>,
    /// Placements may have changed.
    is_stale: bool,
    looked_at: Instant,
    build: Option<(ShardTable, JoinHandle<Result<()>>)>,
    /// After a failure.
    build_after: Instant,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some((_, build)) = &self.build {
            build.abort();
        }
    }
}

impl Session {
    fn new(node: Arc<Node>, store: Store, ctx: Ctx, writer: NodeWriter, position: EventPosition) -> Self {
        Self {
            node,
            store,
            ctx,
            writer,
            position,
            placed: HashMap::new(),
            shards: BTreeMap::new(),
            unwanted: HashMap::new(),
            is_stale: true,
            looked_at: Instant::now(),
            build: None,
            build_after: Instant::now(),
        }
    }

    /// Does what there is to do; `false` when there was nothing.
    async fn turn(&mut self) -> Result<bool> {
        if self.is_due() {
            self.look().await?;
        }
        self.take_up_build().await?;
        let mut tx = self.store.read(&self.ctx).await?;
        let events = tx.events_after(self.position, EVENTS_MAX).await?;
        drop(tx);
        self.apply(&events).await?;
        let copied = !self.is_stale && self.copy_page().await?;
        self.start_build();
        Ok(!events.is_empty() || copied || self.is_stale)
    }

    /// Sleeps until there may be something to do; `true` when the program stops.
    async fn wait(&mut self, committed: &mut watch::Receiver<EventPosition>, stop: &CancellationToken) -> bool {
        let pause = if *committed.borrow() > self.position { BEHIND_INTERVAL } else { POLL_INTERVAL };
        tokio::select! {
            () = stop.cancelled() => return true,
            // An error means that the store is gone; then the program stops, too.
            _ = committed.changed() => {}
            () = tokio::time::sleep(pause) => {}
        }
        false
    }

    /// Lets another process become the writer.
    async fn close(&mut self) {
        self.writer.release().await;
    }
}
