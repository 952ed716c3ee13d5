//! Search nodes: Postgres databases with pgvector that hold the vectors of collections, instead of each process's own index.
//!
//! For each node one process is the writer: it follows the event log, as the own index does, and applies the state in SQL. Reading goes to
//! all shards of a collection at once, and what does not answer in time is reported and not waited for.

pub(crate) mod moving;
pub(crate) mod placement;
pub(crate) mod search;
pub(crate) mod status;
mod writer;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plasma_kernel::{CollectionId, Ctx, Error, Result};
use plasma_store::{
    Store,
    search_node::{SearchNode, SearchNodeConfig},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{Knowledge, limits, store::placements};
use placement::Placement;

pub use self::{
    moving::{CollectionPlacement, MoveStatus, PlaceStatus, ShardStatus},
    placement::PlacementChoice,
    search::{FailedShard, ShardsReport},
    status::{NodeDatabase, NodeStatus, NodeStatuses},
};

/// How long the end of a process waits for searches on a node.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);

/// What this process knows of writing to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// It has not tried yet.
    Starting,
    /// It is the one that writes.
    Here,
    /// Another process writes.
    Elsewhere,
    /// It tried, and this went wrong.
    Failed(String),
}

/// A node as this process sees it.
pub(crate) struct Node {
    pub(crate) database: SearchNode,
    writing: Mutex<Writing>,
}

/// All nodes of the installation, by name.
#[derive(Clone, Default)]
pub(crate) struct Nodes {
    nodes: Arc<BTreeMap<String, Arc<Node>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is replaced whole, so that a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Node {
    pub(crate) fn writing(&self) -> Writing {
        lock(&self.writing).clone()
    }

    /// Notes what this process is to the node; `true` when that is something new.
    fn note(&self, now: Writing) -> bool {
        let mut writing = lock(&self.writing);
        let is_new = *writing != now;
        *writing = now;
        is_new
    }
}

impl Nodes {
    /// The nodes of a configuration. Nothing is connected yet; needs a runtime.
    ///
    /// # Errors
    /// `invalid` for a URL that is not one of Postgres.
    pub(crate) fn new(configured: &[SearchNodeConfig]) -> Result<Self> {
        let mut nodes = BTreeMap::new();
        for config in configured {
            let database = SearchNode::new(config, limits::NODE_CONNECTIONS_MAX)?;
            nodes.insert(config.name.clone(), Arc::new(Node { database, writing: Mutex::new(Writing::Starting) }));
        }
        Ok(Self { nodes: Arc::new(nodes) })
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.nodes.keys().map(String::as_str).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// The node of this name.
    ///
    /// # Errors
    /// `unavailable` when the configuration has none.
    pub(crate) fn get(&self, name: &str) -> Result<&Arc<Node>> {
        self.nodes.get(name).ok_or_else(|| {
            Error::unavailable("search_node_unknown", format!("the configuration has no search node `{name}`")).remedy(
                format!(
                    "add [search.nodes.{name}] with its url to plasma.toml again, or move the collection elsewhere"
                ),
            )
        })
    }

    /// Begins to write to the nodes whose writer this process becomes, until `stop` fires.
    pub(crate) fn start(&self, store: &Store, ctx: &Ctx, tasks: &TaskTracker, stop: &CancellationToken) {
        for node in self.iter() {
            tasks.spawn(writer::keep(Arc::clone(node), store.clone(), ctx.clone(), stop.clone()));
        }
    }

    /// Closes every connection, or leaves it to the server to see it end when that takes long.
    pub(crate) async fn close(&self) {
        for node in self.iter() {
            if tokio::time::timeout(CLOSE_WAIT_MAX, node.database.close()).await.is_err() {
                tracing::debug!(node = node.database.name(), "a search node does not end a search");
            }
        }
    }
}

impl Knowledge {
    /// Where a collection's vectors are, from memory when it was asked for before.
    pub(crate) async fn placement(&self, ctx: &Ctx, collection: CollectionId) -> Result<Arc<Placement>> {
        let cache = self.caches().of(ctx.tenant()?);
        if let Some(placement) = cache.placement(collection) {
            return Ok(placement);
        }
        let placement = Arc::new(placements::of(&mut self.store().read(ctx).await?, collection).await?);
        cache.remember_placement(collection, Arc::clone(&placement));
        Ok(placement)
    }
}
