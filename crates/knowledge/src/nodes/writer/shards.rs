//! Shards: made when a place needs them, dropped when none does any more, indexed when they have grown.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use plasma_kernel::{CollectionId, Result, TenantId};
use plasma_store::search_node::{
    BuildPlan, NODE_DIMENSIONS_MAX, NewShard, ShardRow, ShardState, ShardTable, UNINDEXED_PASSAGES_MAX,
};
use tokio::time::Instant;

use super::Session;
use crate::{nodes::placement::PlacedCollection, store::placements};

/// How often placements are looked at without a reason.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// How long a shard that belongs to no place stays: longer than a process takes to notice a move, and than a search takes.
const UNWANTED_MAX: Duration = Duration::from_secs(30);
/// After an index could not be built.
const BUILD_PAUSE: Duration = Duration::from_secs(30);
/// Collections read at once.
const PLACED_PAGE: u32 = 500;

impl Session {
    pub(super) fn is_due(&self) -> bool {
        self.is_stale || self.looked_at.elapsed() > LOOK_INTERVAL
    }

    /// Compares what should be on this node with what is: makes the shards that are missing, and drops those that nobody wants.
    pub(super) async fn look(&mut self) -> Result<()> {
        self.placed = self.read_placed().await?;
        self.read_shards().await?;
        let wanted = self.wanted();
        for (table, new) in &wanted {
            let row = self.shards.get(table);
            let has_these = |row: &ShardRow| row.dimensions == new.dimensions && row.vectors == new.vectors;
            let is_sound = row.is_some_and(|row| row.state != ShardState::Failed && has_these(row));
            if is_sound {
                continue;
            }
            if row.is_some() {
                self.writer.drop_shard(*table).await?;
            }
            self.writer.create(new).await?;
        }
        let extra: Vec<ShardTable> = self.shards.keys().filter(|table| !wanted.contains_key(table)).copied().collect();
        self.unwanted.retain(|table, _| extra.contains(table));
        for table in extra {
            let since = *self.unwanted.entry(table).or_insert_with(Instant::now);
            if since.elapsed() < UNWANTED_MAX {
                continue;
            }
            match self.writer.drop_shard(table).await {
                Ok(()) => {
                    self.unwanted.remove(&table);
                    tracing::info!(shard = %table, node = self.node.database.name(), "dropped a shard that no place has any more");
                }
                // A long search holds it: another time.
                Err(error) if error.reason() == "search_node_failed" => {
                    tracing::debug!(?error, shard = %table, "a shard cannot be dropped yet");
                }
                Err(error) => return Err(error),
            }
        }
        self.read_shards().await?;
        (self.is_stale, self.looked_at) = (false, Instant::now());
        Ok(())
    }

    /// Collections that have a place here.
    async fn read_placed(&mut self) -> Result<std::collections::HashMap<CollectionId, PlacedCollection>> {
        let name = self.node.database.name();
        let mut placed = std::collections::HashMap::new();
        let mut after: Option<(TenantId, CollectionId)> = None;
        loop {
            let mut tx = self.store.read(&self.ctx).await?;
            let page = placements::placed(&mut tx, after, PLACED_PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(placed) };
            after = Some((last.tenant, last.collection));
            let here = page.into_iter().filter(|collection| {
                collection.placement.places().any(|place| place.nodes.iter().any(|node| node == name))
            });
            placed.extend(here.map(|collection| (collection.collection, collection)));
        }
    }

    /// The shards that should be here. A collection without vectors has none yet.
    fn wanted(&self) -> BTreeMap<ShardTable, NewShard> {
        let name = self.node.database.name();
        let mut wanted = BTreeMap::new();
        for collection in self.placed.values() {
            let Some(dimensions) = collection.dimensions.filter(|dimensions| *dimensions <= NODE_DIMENSIONS_MAX) else {
                continue;
            };
            for place in collection.placement.places() {
                for table in place.tables_on(collection.collection, name) {
                    wanted.insert(
                        table,
                        NewShard { table, tenant: collection.tenant, dimensions, vectors: collection.vectors },
                    );
                }
            }
        }
        wanted
    }

    pub(super) async fn read_shards(&mut self) -> Result<()> {
        let rows = self.writer.shards().await?;
        self.shards = rows.into_iter().map(|row| (row.table, row)).collect();
        Ok(())
    }

    /// Sees whether an index that was being built is done.
    pub(super) async fn take_up_build(&mut self) -> Result<()> {
        if !self.build.as_ref().is_some_and(|(_, build)| build.is_finished()) {
            return Ok(());
        }
        let Some((table, build)) = self.build.take() else { return Ok(()) };
        match build.await {
            Ok(Ok(())) => {
                tracing::info!(shard = %table, node = self.node.database.name(), "measured the index of a shard")
            }
            Ok(Err(error)) => {
                self.build_after = Instant::now() + BUILD_PAUSE;
                tracing::warn!(?error, shard = %table, "the index of a shard could not be built; trying again");
            }
            Err(error) => {
                self.build_after = Instant::now() + BUILD_PAUSE;
                tracing::warn!(?error, shard = %table, "building the index of a shard panicked; trying again");
            }
        }
        self.read_shards().await
    }

    /// Lets the index be built or measured that needs it most. One at a time, beside the writing.
    pub(super) fn start_build(&mut self) {
        if self.build.is_some() || Instant::now() < self.build_after {
            return;
        }
        let due = self.shards.values().filter(|row| self.needs_build(row));
        // What waits to answer goes first.
        let Some(row) = due.min_by_key(|row| (row.state != ShardState::Indexing, row.has_index)) else { return };
        let Some(placed) = self.placed.get(&row.table.collection) else { return };
        let plan = BuildPlan {
            table: row.table,
            dimensions: row.dimensions,
            passages: row.passages,
            recall_target: placed.recall_target,
        };
        let (node, ctx) = (Arc::clone(&self.node), self.ctx.clone());
        let build = tokio::spawn(async move { node.database.build(&plan, ctx.random(), ctx.now()).await });
        self.build = Some((row.table, build));
    }

    fn needs_build(&self, row: &ShardRow) -> bool {
        let Some(placed) = self.placed.get(&row.table.collection) else { return false };
        match row.state {
            ShardState::Copying | ShardState::Failed => false,
            ShardState::Indexing => true,
            ShardState::Ready if !row.has_index => row.passages > UNINDEXED_PASSAGES_MAX,
            ShardState::Ready => {
                let is_other_target =
                    row.recall_target.is_none_or(|target| (target - placed.recall_target).abs() > 1e-9);
                // A quarter more or less of what was measured.
                is_other_target || row.passages.abs_diff(row.measured_passages) * 4 > row.measured_passages.max(1)
            }
        }
    }
}
