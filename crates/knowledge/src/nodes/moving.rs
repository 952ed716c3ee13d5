//! Moves a collection's vectors to another place, while the old one answers and both receive every change.
//!
//! A move is a row that names two places. The nodes' writers make the tables of both and copy what is missing; the step here only waits
//! until the new place is complete, compares the counts, and exchanges the places in one transaction. Then the old tables belong to no
//! place any more, and the writers drop them. Each part may be interrupted at any point and goes on where it was.

use std::time::Duration;

use plasma_kernel::{CollectionId, Ctx, Error, Permission, Result, Timestamp};
use plasma_store::{
    EventPosition, Tx,
    search_node::{ShardState, ShardTable},
};
use plasma_workflows::{Run, enqueue};
use serde::Serialize;

use super::{
    placement::{Place, PlacementChoice, check_dimensions},
    status::NodeViews,
};
use crate::{
    Collection, Knowledge, ReembeddingState,
    collections::not_found,
    events,
    index::vectors::VectorsStatus,
    steps::MoveCollection,
    store::{
        collections::{self, StoredCollection},
        placements, reembeddings,
    },
};

/// How often it is looked whether the new place is complete.
const INTERVAL: Duration = Duration::from_millis(500);
/// Looks at a place that seems complete and has another number of passages, before the move is given up: changes that arrive
/// between two counts explain a few.
const MISMATCHES_MAX: u32 = 120;

/// Where the vectors of a collection are, and where they go.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct CollectionPlacement {
    /// The collection.
    pub collection_id: CollectionId,
    /// The place that answers searches.
    pub serving: PlaceStatus,
    /// The move that is under way.
    #[schema(required)]
    pub moving: Option<MoveStatus>,
    /// Why the last move was given up.
    #[schema(required)]
    pub move_error: Option<String>,
    /// Names of the search nodes that there are.
    pub available_nodes: Vec<String>,
}

/// A place of vectors.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PlaceStatus {
    /// Names of search nodes; none stands for the processes' own indexes.
    pub nodes: Vec<String>,
    /// Parts that the collection is split into; 0 for the processes' own indexes.
    pub split: u32,
    /// Each part.
    pub shards: Vec<ShardStatus>,
}

/// How far a move is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct MoveStatus {
    /// The new place.
    pub to: PlaceStatus,
    /// When it began, in microseconds since 1970 UTC.
    #[schema(required)]
    pub started_at: Option<Timestamp>,
    /// Passages copied.
    pub done: u64,
    /// Passages in all.
    pub total: u64,
}

/// A part of a collection on a search node.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ShardStatus {
    /// Which, from 0.
    pub number: u32,
    /// Its search node.
    pub node: String,
    /// `copying`, `indexing`, `ready`, `failed`; `missing` before it was made, and `unreachable` when its node does not answer.
    #[schema(example = "ready")]
    pub state: String,
    /// What is in its way.
    #[schema(required)]
    pub detail: Option<String>,
    /// Passages that it has.
    pub passages: u64,
    /// Whether searches use an index; small parts are compared one by one.
    pub has_index: bool,
    /// How many candidates a search keeps, chosen for the recall target.
    #[schema(required)]
    pub ef_search: Option<u32>,
    /// The share of the truly nearest passages that the index found when it was measured last.
    #[schema(required)]
    pub recall: Option<f64>,
    /// The lower end of its 95% confidence interval.
    #[schema(required)]
    pub recall_low: Option<f64>,
    /// How old the oldest change is that is not on the node yet, in milliseconds; 0 when it has all.
    #[schema(required)]
    pub lag_ms: Option<u64>,
}

/// How far a place is.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// Passages of the collection that were looked at.
    done: u64,
    /// Everything is there, and every change up to the position that was asked for.
    is_complete: bool,
    /// Passages that the place has.
    passages: u64,
}

impl Knowledge {
    /// Where a collection's vectors are, with the state of each part.
    ///
    /// # Errors
    /// `forbidden` without `collections:read`, `not_found`.
    pub async fn collection_placement(&self, ctx: &Ctx, id: CollectionId) -> Result<CollectionPlacement> {
        ctx.require(Permission::CollectionsRead)?;
        let mut tx = self.store().read(ctx).await?;
        let stored = collections::by_reference(&mut tx, &id.to_string()).await?;
        let stored = stored.ok_or_else(|| not_found(&id.to_string()))?;
        let placement = placements::of(&mut tx, id).await?;
        drop(tx);
        let names = placement.places().flat_map(|place| place.nodes.iter().map(String::as_str));
        let views = self.node_views(names).await;
        let tenant = ctx.tenant()?;
        let status = |place: &Place| PlaceStatus {
            nodes: place.nodes.clone(),
            split: place.split,
            shards: place
                .shards()
                .map(|(number, node)| views.shard(tenant, node, ShardTable::new(id, place.generation, number)))
                .collect(),
        };
        let moving = match &placement.target {
            None => None,
            Some(target) => {
                let progress = self.progress(ctx, &stored, target, EventPosition::START, &views).await?;
                let total = stored.collection.chunk_count;
                let to = status(target);
                Some(MoveStatus { to, started_at: placement.move_started_at, done: progress.done.min(total), total })
            }
        };
        Ok(CollectionPlacement {
            collection_id: id,
            serving: status(&placement.serving),
            moving,
            move_error: placement.move_error.clone(),
            available_nodes: self.nodes().names().into_iter().map(str::to_owned).collect(),
        })
    }

    /// Ends a move that is under way: the collection stays where it is.
    ///
    /// # Errors
    /// `forbidden` without `collections:write`, `not_found`, `conflict` (`collection_not_moving`).
    pub async fn cancel_move(&self, ctx: &Ctx, id: CollectionId) -> Result<CollectionPlacement> {
        ctx.require(Permission::CollectionsWrite)?;
        let mut tx = self.store().begin(ctx).await?;
        let Some(stored) = collections::lock(&mut tx, id).await? else { return Err(not_found(&id.to_string())) };
        let mut placement = placements::lock(&mut tx, id).await?;
        if !placement.stay(None) {
            return Err(Error::conflict("collection_not_moving", "the collection is not being moved"));
        }
        placements::put(&mut tx, id, &placement).await?;
        tx.emit(events::collection_placed(id, &stored.collection.name, &placement.serving.nodes, None)).await?;
        self.commit_searchable(tx).await?;
        self.collection_placement(ctx, id).await
    }

    /// How far a place is with a collection; `wanted` is how far in the event log it must be to be complete.
    async fn progress(
        &self,
        ctx: &Ctx,
        stored: &StoredCollection,
        place: &Place,
        wanted: EventPosition,
        views: &NodeViews,
    ) -> Result<Progress> {
        let (id, total) = (stored.collection.id, stored.collection.chunk_count);
        if place.is_in_process() {
            return Ok(match self.index().own_vectors(ctx, id).await {
                Ok(VectorsStatus::Complete) => Progress { done: total, is_complete: true, passages: total },
                Ok(VectorsStatus::Building(building)) => Progress { done: building.done, ..Progress::default() },
                Ok(VectorsStatus::Failed(_)) => Progress::default(),
                // It is being opened, or its disk is full: it goes on by itself.
                Err(error) if error.reason().starts_with("vector_index_") => Progress::default(),
                Err(error) => return Err(error),
            });
        }
        if stored.dimensions.is_none() {
            // There are no vectors yet: the tables are made with the first.
            return Ok(Progress { done: total, is_complete: total == 0, passages: 0 });
        }
        let mut progress = Progress { is_complete: true, ..Progress::default() };
        let tenant = ctx.tenant()?;
        for (number, node) in place.shards() {
            let table = ShardTable::new(id, place.generation, number);
            let row = views.row(tenant, node, table);
            let is_there = views.position(node).is_some_and(|position| position >= wanted);
            progress.is_complete &= is_there && row.is_some_and(|row| row.state == ShardState::Ready);
            progress.passages += row.map_or(0, |row| row.passages);
            progress.done += row.map_or(0, |row| if row.state == ShardState::Copying { row.copied } else { total });
        }
        progress.done /= u64::from(place.split.max(1));
        Ok(progress)
    }
}

/// Begins to move a collection, in the transaction that holds its lock; `None` is the processes' own indexes. Its present place
/// ends a move that is under way.
pub(crate) async fn begin(
    knowledge: &Knowledge,
    tx: &mut Tx,
    collection: &Collection,
    dimensions: Option<usize>,
    choice: Option<PlacementChoice>,
) -> Result<()> {
    let id = collection.id;
    let (nodes, split) = match choice {
        None => (Vec::new(), 0),
        Some(choice) => {
            choice.check(&knowledge.nodes().names(), dimensions)?;
            check_model_stays(tx, id).await?;
            let split = choice.shards();
            (choice.nodes, split)
        }
    };
    let mut placement = placements::lock(tx, id).await?;
    let is_that = |place: &Place| place.nodes == nodes && place.split == split;
    if placement.target.as_ref().is_some_and(is_that) {
        return Ok(());
    }
    if is_that(&placement.serving) {
        if !placement.stay(None) {
            return Ok(());
        }
    } else {
        let generation = placement.send_to(nodes, split, tx.ctx().now());
        placement.move_error = None;
        enqueue(tx, &MoveCollection { collection: id, generation }, &id.to_string(), None).await?;
    }
    placements::put(tx, id, &placement).await?;
    let target = placement.target.as_ref().map(|target| target.nodes.as_slice());
    tx.emit(events::collection_placed(id, &collection.name, &placement.serving.nodes, target)).await?;
    Ok(())
}

/// Nodes have vectors of one embedding model only.
async fn check_model_stays(tx: &mut Tx, id: CollectionId) -> Result<()> {
    let newest = reembeddings::newest(tx, id).await?;
    if newest.is_some_and(|newest| newest.reembedding.state == ReembeddingState::Running) {
        return Err(Error::conflict("reembedding_running", "the collection is being embedded with another model")
            .field("placement")
            .remedy("wait until that has ended, or cancel it"));
    }
    Ok(())
}

/// Waits until the new place is complete, and exchanges the places.
pub(crate) async fn run(knowledge: &Knowledge, step: &MoveCollection, run: &Run) -> Result<()> {
    let ctx = run.ctx();
    let mut mismatches = 0;
    loop {
        let mut tx = knowledge.store().read(ctx).await?;
        let stored = collections::by_reference(&mut tx, &step.collection.to_string()).await?;
        let placement = placements::of(&mut tx, step.collection).await?;
        let head = tx.events_head().await?;
        drop(tx);
        let target = placement.target.filter(|target| target.generation == step.generation);
        // Given up, replaced by another move, or deleted with the collection.
        let (Some(stored), Some(target)) = (stored, target) else { return complete(knowledge, run).await };
        if !target.is_in_process() {
            check_dimensions(stored.dimensions)?;
        }
        for name in &target.nodes {
            knowledge.nodes().get(name)?;
        }
        let views = knowledge.node_views(target.nodes.iter().map(String::as_str)).await;
        let progress = knowledge.progress(ctx, &stored, &target, head, &views).await?;
        let total = stored.collection.chunk_count;
        // The end is said by the last transaction.
        run.progress(progress.done.min(total.saturating_sub(1)), total.max(1)).await?;
        if progress.is_complete {
            if arrive(knowledge, step, run, &stored, progress.passages).await? {
                return Ok(());
            }
            mismatches += 1;
            if mismatches > MISMATCHES_MAX {
                let (there, here) = (progress.passages, total);
                return Err(Error::conflict(
                    "search_move_counts_differ",
                    format!("the new place has {there} passages, and the collection {here}: the move was given up"),
                ));
            }
        }
        tokio::select! {
            () = run.cancellation().cancelled() => return Err(Run::interrupted()),
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

async fn complete(knowledge: &Knowledge, run: &Run) -> Result<()> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    run.complete(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// Exchanges the places, if the new one has as many passages as the collection; `false` when it has not. `before` was read before the
/// new place was looked at: what changed meanwhile may be there or not.
async fn arrive(
    knowledge: &Knowledge,
    step: &MoveCollection,
    run: &Run,
    before: &StoredCollection,
    passages: u64,
) -> Result<bool> {
    let mut tx = knowledge.store().begin(run.ctx()).await?;
    let Some(now) = collections::lock(&mut tx, step.collection).await? else { return Ok(false) };
    let mut placement = placements::lock(&mut tx, step.collection).await?;
    let (before, after) = (before.collection.chunk_count, now.collection.chunk_count);
    let is_right = (before.min(after)..=before.max(after)).contains(&passages);
    if !placement.is_moving_to(step.generation) || !is_right {
        return Ok(false);
    }
    placement.arrive();
    placements::put(&mut tx, step.collection, &placement).await?;
    let name = &now.collection.name;
    tx.emit(events::collection_placed(step.collection, name, &placement.serving.nodes, None)).await?;
    run.complete(&mut tx).await?;
    knowledge.commit_searchable(tx).await?;
    tracing::info!(collection = %step.collection, passages, nodes = ?placement.serving.nodes, "moved a collection");
    Ok(true)
}

/// The move failed for good: the collection stays where it is.
pub(crate) async fn give_up(tx: &mut Tx, step: &MoveCollection, error: &Error) -> Result<()> {
    let Some(stored) = collections::lock(tx, step.collection).await? else { return Ok(()) };
    let mut placement = placements::lock(tx, step.collection).await?;
    if !placement.is_moving_to(step.generation) {
        return Ok(());
    }
    placement.stay(Some(error.to_string()));
    placements::put(tx, step.collection, &placement).await?;
    let name = &stored.collection.name;
    tx.emit(events::collection_placed(step.collection, name, &placement.serving.nodes, None)).await?;
    Ok(())
}
