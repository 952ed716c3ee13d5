//! Search nodes: Postgres databases with pgvector that hold vectors of collections, beside the database of the tables.
//!
//! Each node has one table for each shard of a collection. What is in them is made from the tables, and can be made anew at any
//! time. One process writes to a node: the one whose session holds the node's advisory lock. Everything that it writes goes through that
//! session, so that a process that lost the lock cannot write any more.

mod build;
mod endpoint;
mod error;
mod names;
mod reader;
mod schema;
mod status;
mod writer;

use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use plasma_kernel::{CollectionId, Error, Result, TenantId};

use crate::EventPosition;
use endpoint::Endpoint;

pub use self::{
    build::{BuildPlan, IndexShape},
    names::ShardTable,
    reader::{ShardAnswer, ShardFilter, ShardQuery},
    status::EndpointStatus,
    writer::{CopiedPage, NewShard, NodeDocument, NodePassage, NodeWriter},
};

/// Numbers of a vector that pgvector's index for half-precision vectors takes at most.
pub const NODE_DIMENSIONS_MAX: usize = 4_000;
/// A shard with at most this many passages has no index: reading all of it takes a millisecond or two.
pub const UNINDEXED_PASSAGES_MAX: u64 = 2_000;

/// Where a search node is. Its URLs hold passwords: they are in no error and in no log.
#[derive(Clone)]
pub struct SearchNodeConfig {
    /// What placements call it.
    pub name: String,
    /// `postgres://…` of the database that takes writes.
    pub url: String,
    /// `postgres://…` of databases that follow it by streaming replication.
    pub replicas: Vec<String>,
}

impl fmt::Debug for SearchNodeConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SearchNodeConfig")
            .field("name", &self.name)
            .field("replicas", &self.replicas.len())
            .finish_non_exhaustive()
    }
}

/// How far a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardState {
    /// Its passages are being copied from the tables: it must not answer yet.
    Copying,
    /// It has everything; its index is being built.
    Indexing,
    /// It answers.
    Ready,
    /// Writing to it failed; it will be made anew.
    Failed,
}

impl ShardState {
    /// The text form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copying => "copying",
            Self::Indexing => "indexing",
            Self::Ready => "ready",
            Self::Failed => "failed",
        }
    }

    fn from_text(text: &str) -> Self {
        [Self::Copying, Self::Indexing, Self::Ready]
            .into_iter()
            .find(|state| state.as_str() == text)
            .unwrap_or(Self::Failed)
    }
}

/// What a node says of a shard.
#[derive(Clone, Debug)]
pub struct ShardRow {
    /// Which.
    pub table: ShardTable,
    /// Whose collection it is of.
    pub tenant: TenantId,
    /// Numbers in a vector.
    pub dimensions: usize,
    /// Which of the collection's vectors it has: other models make others.
    pub vectors: u64,
    /// How far it is.
    pub state: ShardState,
    /// Why it failed.
    pub reason: Option<String>,
    /// The document and ordinal up to which the tables were copied; `None` at the beginning.
    pub copied_after: Option<(String, u32)>,
    /// Passages of the whole collection that were looked at while copying.
    pub copied: u64,
    /// Passages that it has, those without a direction included.
    pub passages: u64,
    /// Whether it has an index.
    pub has_index: bool,
    /// How many candidates the index keeps while it searches.
    pub ef_search: u32,
    /// The share of the truly nearest that the index found when that was measured last.
    pub recall: Option<f64>,
    /// The lower end of its 95% confidence interval.
    pub recall_low: Option<f64>,
    /// The target that `ef_search` was chosen for.
    pub recall_target: Option<f64>,
    /// Passages when it was measured.
    pub measured_passages: u64,
}

/// A search node. Connections are made when they are needed.
pub struct SearchNode {
    name: String,
    /// The first takes writes.
    endpoints: Vec<Endpoint>,
    /// Whose turn it is.
    turn: AtomicUsize,
}

impl SearchNode {
    /// A node with at most `connections_max` connections to each of its databases. Needs a runtime.
    ///
    /// # Errors
    /// `invalid` when a URL is not one of Postgres; it is not quoted.
    pub fn new(config: &SearchNodeConfig, connections_max: u32) -> Result<Self> {
        let primary = Endpoint::new("primary".to_owned(), &config.name, &config.url, connections_max)?;
        let replicas = config
            .replicas
            .iter()
            .enumerate()
            .map(|(at, url)| Endpoint::new(format!("replica {}", at + 1), &config.name, url, connections_max));
        let endpoints = std::iter::once(Ok(primary)).chain(replicas).collect::<Result<Vec<_>>>()?;
        Ok(Self { name: config.name.clone(), endpoints, turn: AtomicUsize::new(0) })
    }

    /// What placements call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The nearest passages of a shard, from one of the node's databases: they take turns, and those that failed a moment ago are
    /// left out. One that is behind `query.wanted` is passed over; when all are, the furthest answers, and the caller sees
    /// its position. The future must not be dropped halfway: run it in a task.
    ///
    /// # Errors
    /// `unavailable` when no database answers or the shard cannot, `timeout` when it takes longer than the query allows.
    pub async fn search(&self, query: &ShardQuery) -> Result<ShardAnswer> {
        let mut behind: Option<ShardAnswer> = None;
        let mut failure = None;
        for endpoint in self.in_turn()? {
            match endpoint.search(&self.name, query).await {
                Ok(answer) if answer.position >= query.wanted => return Ok(answer),
                Ok(answer) => {
                    if behind.as_ref().is_none_or(|other| other.position < answer.position) {
                        behind = Some(answer);
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match (behind, failure) {
            (Some(answer), _) => Ok(answer),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::internal("a search node has no database")),
        }
    }

    /// The databases in the order in which they are asked.
    fn in_turn(&self) -> Result<Vec<&Endpoint>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.endpoints.len().max(1);
        let (before, from) = self.endpoints.split_at(turn);
        let all = || from.iter().chain(before);
        let sound: Vec<&Endpoint> = all().filter(|endpoint| endpoint.failure().is_none()).collect();
        if !sound.is_empty() {
            return Ok(sound);
        }
        // All failed within the last moments: asking again would only keep the search waiting.
        let message = all().find_map(Endpoint::last_failure);
        Err(error::still_unavailable(
            message.unwrap_or_else(|| format!("the search node `{}` does not answer", self.name)),
        ))
    }

    fn primary(&self) -> Result<&Endpoint> {
        self.endpoints.first().ok_or_else(|| Error::internal("a search node has no database"))
    }

    /// Closes every connection.
    pub async fn close(&self) {
        for endpoint in &self.endpoints {
            endpoint.close().await;
        }
    }
}

/// Which collection's shard, for messages.
impl fmt::Display for ShardTable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "shard {} of {} (generation {})", self.number, self.collection, self.generation)
    }
}

impl ShardTable {
    /// A collection's shard of one generation of its placement.
    pub fn new(collection: CollectionId, generation: u32, number: u32) -> Self {
        Self { collection, generation, number }
    }
}

/// Where a node is in the event log.
fn position(transaction: i64, sequence: i64) -> EventPosition {
    EventPosition { transaction, sequence }
}
