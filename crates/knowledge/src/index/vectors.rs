//! The vectors of collections: an index for each in this process's folder, opened when it is needed.
//!
//! SQL has all vectors; what is here is made from it. An index that is missing, damaged, unfinished or for other dimensions is
//! made anew: a small one at once, a large one in the background.

mod build;
mod describe;
mod folder;
mod measured;
mod placed;
mod upkeep;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use plasma_kernel::{CollectionId, Ctx, Error, Result, TenantId};
use plasma_vectors::{Change, VectorIndex, View, Work};
use tokio::time::Instant;

use self::measured::RecentSearches;
pub(super) use self::{build::Builds, folder::VectorFolder, upkeep::keep_up};
pub(crate) use self::{
    describe::{IndexSummary, Opened},
    measured::{Measured, MeasuredWith},
};
use super::{
    Index, PassageKey,
    keys::document_keys,
    low_bits,
    memory::{Slot, VectorsOf, lock},
};
use crate::store::{
    collections,
    passages::{self, PassageVector},
    placements,
    versions::LiveVersion,
};

/// Why a damaged index does not answer.
pub(crate) const DAMAGED: &str = "it is damaged and is built anew";
/// An index of at most this many passages is filled by whoever opens it, in some tens of milliseconds.
const FILLED_AT_ONCE_MAX: u64 = 2_000;
/// Vectors read at once: some megabytes.
const VECTORS_PAGE: u32 = 1_000;
/// How long, and how often, it is looked whether nobody works with an index any more.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(10);
const CLOSE_INTERVAL: Duration = Duration::from_millis(20);

/// How far an index has been built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BuildProgress {
    /// Passages read.
    pub(crate) done: u64,
    /// Passages in all, as of the beginning.
    pub(crate) total: u64,
}

/// An index that does not have everything yet.
struct Building {
    progress: BuildProgress,
    /// Documents that the follower changed meanwhile, with the version that counts: the build may bring older ones back.
    changed: HashMap<u64, Option<u32>>,
}

/// The vectors of one collection.
#[derive(Default)]
pub(crate) struct CollectionVectors {
    /// Held while it is opened or closed, so that a folder is never open twice.
    open: Arc<tokio::sync::Mutex<Option<Arc<VectorIndex>>>>,
    building: Mutex<Option<Building>>,
    /// Why there are none although there should be.
    failed: Mutex<Option<String>>,
    tenant: Mutex<Option<TenantId>>,
    /// Which vectors the index has, as it was opened; or those that the collection had when it was found to have no index.
    of: Mutex<Arc<VectorsOf>>,
    memory_bytes: AtomicUsize,
    /// Something was written that the disk may not have yet.
    is_unsynced: AtomicBool,
    written_at: Mutex<Option<Instant>>,
    recent: Mutex<RecentSearches>,
    measured: Mutex<Option<Measured>>,
    /// The recall target may be another one.
    is_changed: AtomicBool,
    /// Until when background work leaves it alone, after a failure.
    rests_until: Mutex<Option<Instant>>,
}

/// The index of a collection, if it is open; nobody else opens or closes it.
type OpenGuard<'a> = tokio::sync::MutexGuard<'a, Option<Arc<VectorIndex>>>;

/// Whether searches have all vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VectorsStatus {
    /// They have, or there are none.
    Complete,
    /// They have some.
    Building(BuildProgress),
    /// They have none, for this reason.
    Failed(String),
}

pub(crate) fn failed(error: plasma_vectors::Error) -> Error {
    Error::unavailable("vector_index_failed", "the vector index failed")
        .remedy("check the free space and permissions of the data directory; the index builds itself anew")
        .source(error)
}

impl CollectionVectors {
    pub(crate) fn status(&self) -> VectorsStatus {
        if let Some(reason) = &*lock(&self.failed) {
            return VectorsStatus::Failed(reason.clone());
        }
        match &*lock(&self.building) {
            Some(building) => VectorsStatus::Building(building.progress),
            None => VectorsStatus::Complete,
        }
    }

    /// Which vectors the open index has.
    pub(crate) fn of(&self) -> Arc<VectorsOf> {
        Arc::clone(&lock(&self.of))
    }

    /// Whether the open index is being built for other vectors than those that `shown` says: until it is complete, searches go on with
    /// what they have.
    pub(crate) fn is_ahead_of(&self, shown: &VectorsOf) -> bool {
        lock(&self.building).is_some() && lock(&self.of).generation != shown.generation
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Says why there are none, or that there are.
    pub(crate) fn note_failure(&self, reason: Option<&str>) {
        *lock(&self.failed) = reason.map(str::to_owned);
    }

    /// Whose collection it is; known once it was opened.
    pub(crate) fn tenant(&self) -> Option<TenantId> {
        *lock(&self.tenant)
    }

    /// Closes the index when nobody works with it; `false` when somebody does. Searches hold views, and keep them.
    pub(crate) fn close_if_idle(&self) -> bool {
        if lock(&self.building).is_some() || self.is_unsynced.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(mut open) = self.open.try_lock() else { return false };
        if open.as_ref().is_some_and(|index| Arc::strong_count(index) > 1) {
            return false;
        }
        *open = None;
        self.memory_bytes.store(0, Ordering::Relaxed);
        true
    }

    /// The index if it is open.
    pub(super) async fn opened(&self) -> Option<Arc<VectorIndex>> {
        self.open.lock().await.clone()
    }

    /// Notes what an index takes in memory.
    pub(super) fn measure(&self, view: &View) {
        self.memory_bytes.store(view.stats().memory_bytes, Ordering::Relaxed);
    }

    /// Lets background work look whether the recall target is another one.
    pub(crate) fn note_settings_changed(&self) {
        self.is_changed.store(true, Ordering::Relaxed);
    }

    /// Remembers a search, to measure recall with. Small collections are compared exactly: there is nothing to measure.
    pub(crate) fn note_search(&self, query: &Arc<[f32]>, work: &Work, view: &View) {
        if !work.exact {
            lock(&self.recent).note(query, work, view.len());
        }
    }

    fn note_change(&self, document_low: u64, version: Option<u32>) {
        if let Some(building) = &mut *lock(&self.building) {
            building.changed.insert(document_low, version);
        }
    }
}

/// What is to be in an index of a document.
pub(super) struct DocumentVectors {
    /// The lower half of its id.
    pub(super) document_low: u64,
    /// Passages of other versions are deleted.
    pub(super) version: Option<u32>,
    /// By ordinal; those that are in the index already stay as they are, for a version never changes.
    pub(super) vectors: Vec<(u32, Vec<f32>)>,
}

impl DocumentVectors {
    /// Nothing new, only the version that counts.
    pub(super) fn of_version(document_low: u64, version: Option<u32>) -> Self {
        Self { document_low, version, vectors: Vec::new() }
    }

    /// Whether a view has all passages of the version and none of another. Vectors without a direction are never in an index.
    pub(super) fn is_in(view: &View, document: &LiveVersion) -> bool {
        let keys = document_keys(low_bits(document.document));
        let present = view.keys_between(*keys.start(), *keys.end());
        let is_live = |key: &u128| PassageKey::from_bits(*key).version == document.version;
        present.len() == document.passages as usize && present.iter().all(is_live)
    }

    /// Brings the index to this state, in one step. Doing it twice is doing it once.
    fn write(&self, index: &VectorIndex) -> plasma_vectors::Result<()> {
        let keys = document_keys(self.document_low);
        let present = index.view().keys_between(*keys.start(), *keys.end());
        let is_other = |key: &&u128| Some(PassageKey::from_bits(**key).version) != self.version;
        let deleted = present.iter().filter(is_other).map(|key| Change::Delete { key: *key });
        let dimensions = index.options().dimensions;
        let inserted = self.vectors.iter().filter_map(|(ordinal, vector)| {
            let key = PassageKey { document_low: self.document_low, version: self.version?, ordinal: *ordinal }.bits();
            let is_new = present.binary_search(&key).is_err();
            (is_new && is_searchable(vector, dimensions)).then_some(Change::Insert { key, vector })
        });
        index.apply(deleted.chain(inserted), None)
    }
}

/// Whether a vector can be near to anything: one that is all zeros is like nothing.
fn is_searchable(vector: &[f32], dimensions: usize) -> bool {
    vector.len() == dimensions
        && vector.iter().all(|number| number.is_finite())
        && vector.iter().any(|number| *number != 0.0)
}

/// Inserts these vectors, and says that the index has everything now.
fn fill(index: &VectorIndex, vectors: &[PassageVector], position: u64) -> plasma_vectors::Result<()> {
    let dimensions = index.options().dimensions;
    let searchable = vectors.iter().filter(|passage| is_searchable(&passage.embedding, dimensions));
    let changes = searchable.map(|passage| Change::Insert {
        key: PassageKey::new(passage.document, passage.version, passage.ordinal).bits(),
        vector: &passage.embedding,
    });
    index.apply(changes, Some(position))?;
    index.sync()
}

/// Runs blocking work on an index, off the runtime's threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> plasma_vectors::Result<T> + Send + 'static,
) -> Result<plasma_vectors::Result<T>> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::from_source("the vector index panicked", error))
}

impl Index {
    /// The collection's vectors, opened or built if they are not; `None` when it has none. Takes a connection: the caller holds none.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database or the disk.
    pub(super) async fn open_vectors(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        slot: &Slot,
    ) -> Result<Option<Arc<VectorIndex>>> {
        let vectors = &slot.vectors;
        let open = Arc::clone(&vectors.open).lock_owned().await;
        if let Some(index) = &*open {
            return Ok(Some(Arc::clone(index)));
        }
        let mut tx = self.store.read(ctx).await?;
        let stored = collections::by_reference(&mut tx, &collection.to_string()).await?;
        let placement = placements::of(&mut tx, collection).await?;
        drop(tx);
        let Some(stored) = stored else { return Ok(None) };
        let generation = stored.generation;
        *lock(&vectors.of) =
            Arc::new(VectorsOf { generation, model: stored.collection.embedding_model, dimensions: stored.dimensions });
        if !placement.needs_own_index() {
            return Ok(None);
        }
        let Some(dimensions) = stored.dimensions else { return Ok(None) };
        let folder = self.vector_folder()?;
        // The work takes the lock along: when a request goes away in the middle of it, nobody opens the folder a second time.
        let opening = move || -> plasma_vectors::Result<_> {
            let index = folder.open(collection, generation, dimensions)?;
            Ok((open, Arc::new(index), folder.read_measured(collection, generation)))
        };
        let (mut open, index, measured) = blocking(opening).await?.map_err(failed)?;
        if index.position().is_none() {
            let passages = stored.collection.chunk_count;
            if passages <= FILLED_AT_ONCE_MAX {
                let vectors = self.read_vectors(ctx, collection).await?;
                let position = self.position_mark();
                let filled = Arc::clone(&index);
                open = blocking(move || fill(&filled, &vectors, position).map(|()| open)).await?.map_err(failed)?;
                *lock(&slot.vectors.building) = None;
                self.remove_other_generations(collection, generation).await;
            } else {
                let progress = BuildProgress { done: 0, total: passages };
                *lock(&vectors.building) = Some(Building { progress, changed: HashMap::new() });
                self.builds.add(ctx.tenant()?, collection);
            }
        }
        *lock(&vectors.tenant) = ctx.tenant_scope();
        *lock(&vectors.measured) = measured;
        vectors.note_settings_changed();
        vectors.note_failure(None);
        vectors.measure(&index.view());
        *open = Some(Arc::clone(&index));
        Ok(Some(index))
    }

    /// The collection has vectors of another model now: their index is opened, and filled or, in the background, built. Searches go on
    /// with the view that they have until it is complete. Only for the follower.
    ///
    /// # Errors
    /// As [`Index::open_vectors`]; `unavailable` when somebody works with the index from before for long.
    pub(super) async fn open_next_generation(&self, ctx: &Ctx, collection: CollectionId, slot: &Slot) -> Result<()> {
        if slot.vectors.opened().await.is_none() && slot.loaded().is_none() {
            // Whoever opens it next opens the right one.
            return Ok(());
        }
        let mut tx = self.store.read(ctx).await?;
        let stored = collections::by_reference(&mut tx, &collection.to_string()).await?;
        drop(tx);
        if stored.is_none_or(|stored| stored.generation == slot.vectors.of().generation) {
            return Ok(());
        }
        drop(self.close_vectors(slot).await?);
        *lock(&slot.vectors.building) = None;
        // Its queries were embedded by the model from before.
        *lock(&slot.vectors.recent) = RecentSearches::default();
        self.open_vectors(ctx, collection, slot).await.map(drop)
    }

    /// Removes indexes of vectors that the collection has no more. Before the first one there was none.
    async fn remove_other_generations(&self, collection: CollectionId, generation: u64) {
        if generation == 0 {
            return;
        }
        let Ok(folder) = self.vector_folder() else { return };
        let removed = blocking(move || folder.remove_but(collection, Some(generation))).await;
        if let Err(error) = removed.and_then(|removed| removed.map_err(failed)) {
            tracing::warn!(?error, %collection, "the vectors of an earlier embedding model could not be removed");
        }
    }

    /// This process's folder of vectors, if it has one.
    pub(super) fn taken_folder(&self) -> Option<VectorFolder> {
        self.vector_folder.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn vector_folder(&self) -> Result<VectorFolder> {
        self.taken_folder().ok_or_else(|| {
            Error::unavailable("vector_index_unavailable", "the vector index is not open").retry_after_ms(1_000)
        })
    }

    /// Lets another process have the folder. For the follower, when it ends.
    pub(super) async fn release_folder(&self) {
        *self.vector_folder.write().unwrap_or_else(PoisonError::into_inner) = None;
        for (_, slot) in self.memory.slots() {
            *slot.vectors.open.lock().await = None;
        }
    }

    /// Reads all vectors of a small collection.
    async fn read_vectors(&self, ctx: &Ctx, collection: CollectionId) -> Result<Vec<PassageVector>> {
        let mut all: Vec<PassageVector> = Vec::new();
        let mut tx = self.store.read(ctx).await?;
        loop {
            let after = all.last().map(|last| (last.document, last.ordinal));
            let page = passages::vectors_of_collection(&mut tx, collection, after, VECTORS_PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.extend(page);
        }
    }

    /// What is kept as the position of an index that has everything. How far it follows the log is said for all indexes together, in
    /// the folder: one that had no change for long would otherwise hold the others back.
    fn position_mark(&self) -> u64 {
        self.applied.borrow().map_or(0, plasma_store::EventPosition::sequence)
    }

    /// From now on the index counts as one that has everything.
    async fn mark_complete(&self, index: &Arc<VectorIndex>) -> Result<()> {
        let (position, index) = (self.position_mark(), Arc::clone(index));
        blocking(move || fill(&index, &[], position)).await?.map_err(failed)
    }

    /// Brings a document's vectors into the collection's index; `false` when the collection has none. Searches see it when it is
    /// published. Only for the follower.
    ///
    /// # Errors
    /// `unavailable` when the disk does not take them, even after a second try with the index opened again.
    pub(super) async fn write_vectors(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        slot: &Slot,
        document: DocumentVectors,
    ) -> Result<bool> {
        let document = Arc::new(document);
        let mut outcome = Ok(false);
        for _ in 0..2 {
            let Some(index) = self.open_vectors(ctx, collection, slot).await? else { return Ok(false) };
            let (written, changed) = (Arc::clone(&index), Arc::clone(&document));
            match blocking(move || changed.write(&written)).await? {
                Ok(()) => {
                    slot.vectors.note_change(document.document_low, document.version);
                    slot.vectors.is_unsynced.store(true, Ordering::Relaxed);
                    *lock(&slot.vectors.written_at) = Some(Instant::now());
                    slot.vectors.measure(&index.view());
                    return Ok(true);
                }
                Err(error) => {
                    tracing::warn!(?error, %collection, "the vector index failed; it is opened again");
                    outcome = Err(failed(error));
                    drop(index);
                    drop(self.close_vectors(slot).await?);
                }
            }
        }
        outcome
    }

    /// Waits until the disk has everything that was written to a collection's index.
    ///
    /// # Errors
    /// `unavailable` when it does not take it.
    pub(super) async fn sync_vectors(&self, slot: &Slot) -> Result<()> {
        if let Some(index) = slot.vectors.opened().await {
            blocking(move || index.sync()).await?.map_err(failed)?;
        }
        slot.vectors.is_unsynced.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Closes a collection's index once nobody works with it any more, and keeps it closed for as long as the guard is held.
    ///
    /// # Errors
    /// `unavailable` when somebody does for long.
    async fn close_vectors<'a>(&self, slot: &'a Slot) -> Result<OpenGuard<'a>> {
        let mut open = slot.vectors.open.lock().await;
        let started = tokio::time::Instant::now();
        while open.as_ref().is_some_and(|index| Arc::strong_count(index) > 1) {
            if started.elapsed() > CLOSE_WAIT_MAX {
                return Err(Error::unavailable("vector_index_busy", "the vector index is being worked on"));
            }
            tokio::time::sleep(CLOSE_INTERVAL).await;
        }
        *open = None;
        slot.vectors.memory_bytes.store(0, Ordering::Relaxed);
        slot.vectors.is_unsynced.store(false, Ordering::Relaxed);
        Ok(open)
    }

    /// Throws a collection's index away and has it built anew in the background.
    ///
    /// # Errors
    /// `unavailable` when it cannot be removed: what it has must then not count as complete.
    pub(super) async fn rebuild_vectors(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        slot: &Slot,
        reason: &Error,
    ) -> Result<()> {
        tracing::warn!(error = ?reason, %collection, "the vector index of a collection is built anew");
        let closed = self.close_vectors(slot).await?;
        let folder = self.vector_folder()?;
        // Before the view is emptied: a search that finds nothing must know why.
        slot.vectors.note_failure(Some("it failed and is built anew"));
        *lock(&slot.vectors.building) = None;
        slot.show_vectors(None, slot.vectors.of());
        blocking(move || folder.remove(collection)).await?.map_err(failed)?;
        drop(closed);
        self.builds.add(tenant, collection);
        Ok(())
    }

    /// Removes the vectors of a collection that was deleted.
    pub(super) async fn remove_vectors(&self, collection: CollectionId, slot: &Slot) {
        let mut open = slot.vectors.open.lock().await;
        *open = None;
        *lock(&slot.vectors.building) = None;
        let Ok(folder) = self.vector_folder() else { return };
        if let Err(error) = blocking(move || folder.remove(collection)).await.and_then(|done| done.map_err(failed)) {
            tracing::warn!(?error, %collection, "the vectors of a deleted collection could not be removed");
        }
    }
}
