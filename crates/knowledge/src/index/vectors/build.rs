//! Large indexes, built in the background from SQL.

use std::{
    collections::BTreeMap,
    fs::File,
    sync::{Arc, Mutex},
};

use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Result, TenantId};
use plasma_vectors::VectorIndex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{DAMAGED, DocumentVectors, VECTORS_PAGE, blocking, failed, is_searchable};
use crate::{
    index::{
        Index, PassageKey,
        memory::{CollectionView, Slot, lock},
    },
    store::{
        collections,
        passages::{self, PassageVector},
    },
};

/// Collections looked at in one statement.
const COLLECTIONS_PAGE: u32 = 500;
/// Pages that are read ahead of the thread that writes them.
const PAGES_AHEAD: usize = 2;

/// Collections whose indexes are to be looked at, and built if they are not complete.
#[derive(Default)]
pub(in crate::index) struct Builds {
    /// With whether the index is to be thrown away first.
    queue: Mutex<BTreeMap<(TenantId, CollectionId), bool>>,
    pub(in crate::index) due: Notify,
}

impl Builds {
    pub(in crate::index) fn add(&self, tenant: TenantId, collection: CollectionId) {
        lock(&self.queue).entry((tenant, collection)).or_insert(false);
        self.due.notify_one();
    }

    /// Whether somebody waits.
    pub(super) fn is_due(&self) -> bool {
        !lock(&self.queue).is_empty()
    }

    pub(super) fn add_damaged(&self, tenant: TenantId, collection: CollectionId) {
        lock(&self.queue).insert((tenant, collection), true);
        self.due.notify_one();
    }

    /// After a failure.
    pub(super) fn put_back(&self, tenant: TenantId, collection: CollectionId, is_damaged: bool) {
        if is_damaged {
            self.add_damaged(tenant, collection);
        } else {
            self.add(tenant, collection);
        }
    }

    pub(in crate::index) fn next(&self) -> Option<((TenantId, CollectionId), bool)> {
        lock(&self.queue).pop_first()
    }
}

/// What the reading half of a build hands to the writing half.
enum Read {
    Page(Vec<PassageVector>),
    /// That was all: without it, nothing is kept.
    End,
}

/// Runs long computing on a thread of its own. Unlike the runtime's threads for blocking work it does not hold up the end of the
/// process, for a kill harms no index; `lock` keeps the folder from others for as long as it runs.
pub(super) async fn on_thread<T: Send + 'static>(
    index: &Index,
    lock: Arc<File>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (done, finished) = oneshot::channel();
    let running = index.threads.token();
    let run = move || {
        let outcome = work();
        drop((lock, running));
        // Whoever waited may have gone away.
        let _ = done.send(outcome);
    };
    std::thread::Builder::new()
        .name("vector-index".to_owned())
        .spawn(run)
        .map_err(|error| Error::from_source("a thread for the vector index could not be started", error))?;
    finished.await.map_err(|error| Error::from_source("work on the vector index panicked", error))
}

impl Index {
    /// Looks at every collection that has vectors: there were none in this folder.
    pub(in crate::index) async fn add_all_builds(&self) -> Result<()> {
        let mut after = None;
        loop {
            let mut tx = self.store.read(&self.ctx).await?;
            let page = collections::with_vectors(&mut tx, after, COLLECTIONS_PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (tenant, collection) in page {
                self.builds.add(tenant, collection);
            }
        }
    }

    /// A search has found a file of these vectors damaged: they are thrown away and built anew in the background.
    pub(crate) fn distrust_vectors(&self, tenant: TenantId, collection: CollectionId, view: &CollectionView) {
        let slot = self.memory.slot(collection);
        let shown = slot.loaded();
        let vectors = shown.as_ref().and_then(|shown| shown.vectors.as_ref()).zip(view.vectors.as_ref());
        // Somebody may have said so already.
        if vectors.is_some_and(|(shown, damaged)| Arc::ptr_eq(shown, damaged)) {
            // The next search shall know before the files are thrown away.
            slot.vectors.note_failure(Some(DAMAGED));
            self.builds.add_damaged(tenant, collection);
        }
    }

    /// Throws a damaged index away. It is built next.
    pub(super) async fn discard_damaged(&self, tenant: TenantId, collection: CollectionId) -> Result<()> {
        let damaged = Error::unavailable("vector_index_failed", "a file of the vector index is damaged");
        let slot = self.memory.slot(collection);
        let _applying = self.applying.lock().await;
        self.rebuild_vectors(tenant, collection, &slot, &damaged).await
    }

    /// Opens a collection's index, and builds it if it is not complete. The future may be dropped at any time: what was not finished
    /// begins anew.
    pub(in crate::index) async fn build_vectors(
        &self,
        tenant: TenantId,
        collection: CollectionId,
        stop: &CancellationToken,
    ) -> Result<()> {
        let ctx = self.ctx.for_tenant(tenant, "knowledge.index");
        let slot = self.memory.slot(collection);
        {
            let _applying = self.applying.lock().await;
            // The follower may have found somebody at work with the vectors of an earlier model.
            self.open_next_generation(&ctx, collection, &slot).await?;
        }
        let Some(index) = self.open_vectors(&ctx, collection, &slot).await? else { return Ok(()) };
        if lock(&slot.vectors.building).is_some() {
            let started = tokio::time::Instant::now();
            self.load_all(&ctx, collection, &slot, &index, stop).await?;
            self.finish_build(&ctx, collection, &slot, &index).await?;
            let (vectors, elapsed_ms) = (index.view().len(), started.elapsed().as_millis());
            tracing::info!(%collection, vectors, elapsed_ms, "a vector index is complete");
        }
        // A view that was loaded while it could not be opened has none; one may have those of an earlier model.
        let lacks = |view: Arc<CollectionView>| {
            view.vectors.is_none() || view.vectors_of.generation != slot.vectors.of().generation
        };
        if slot.loaded().is_some_and(lacks) {
            let _applying = self.applying.lock().await;
            slot.show_vectors(Some(index.view()), slot.vectors.of());
        }
        drop(index);
        self.memory.make_room(Some(collection));
        Ok(())
    }

    /// Reads all vectors from SQL and writes them as one segment.
    async fn load_all(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        slot: &Slot,
        index: &Arc<VectorIndex>,
        stop: &CancellationToken,
    ) -> Result<()> {
        let folder = self.vector_folder()?;
        if let Some(building) = &mut *lock(&slot.vectors.building) {
            building.progress.done = 0;
        }
        let (pages, mut arriving) = mpsc::channel(PAGES_AHEAD);
        let target = Arc::clone(index);
        let writing = on_thread(self, folder.lock, move || write_all(&target, &mut arriving));
        let reading = async move {
            tokio::select! {
                read = self.read_all(ctx, collection, slot, pages) => read,
                () = stop.cancelled() => Err(Error::unavailable("vector_index_stopped", "the program is being stopped")),
            }
        };
        let (written, read) = tokio::join!(writing, reading);
        read?;
        written?.map_err(failed)
    }

    /// Sends all vectors of a collection to `pages`.
    async fn read_all(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        slot: &Slot,
        pages: mpsc::Sender<Read>,
    ) -> Result<()> {
        let mut after: Option<(KnowledgeDocumentId, u32)> = None;
        loop {
            let mut tx = self.store.read(ctx).await?;
            let page = passages::vectors_of_collection(&mut tx, collection, after, VECTORS_PAGE).await?;
            drop(tx);
            let Some(last) = page.last() else { break };
            after = Some((last.document, last.ordinal));
            if let Some(building) = &mut *lock(&slot.vectors.building) {
                building.progress.done += page.len() as u64;
                building.progress.total = building.progress.total.max(building.progress.done);
            }
            if pages.send(Read::Page(page)).await.is_err() {
                // The writing half has failed, and says why.
                return Ok(());
            }
        }
        let _ = pages.send(Read::End).await;
        Ok(())
    }

    /// Hides what the build brought back of documents that changed meanwhile, and calls the index complete.
    async fn finish_build(
        &self,
        ctx: &Ctx,
        collection: CollectionId,
        slot: &Slot,
        index: &Arc<VectorIndex>,
    ) -> Result<()> {
        // The follower writes nothing from here on.
        let _applying = self.applying.lock().await;
        let mut tx = self.store.read(ctx).await?;
        let stored = collections::by_reference(&mut tx, &collection.to_string()).await?;
        drop(tx);
        // What was read since then is of another embedding model.
        if stored.is_some_and(|stored| stored.generation != slot.vectors.of().generation) {
            let message = "the embedding model was changed while its vectors were read";
            return Err(Error::unavailable("vector_index_outdated", message));
        }
        let changed: Vec<DocumentVectors> = match &*lock(&slot.vectors.building) {
            Some(building) => {
                let changed = building.changed.iter();
                changed.map(|(document, version)| DocumentVectors::of_version(*document, *version)).collect()
            }
            None => return Ok(()),
        };
        let target = Arc::clone(index);
        blocking(move || changed.iter().try_for_each(|document| document.write(&target))).await?.map_err(failed)?;
        self.mark_complete(index).await?;
        slot.vectors.measure(&index.view());
        slot.show_vectors(Some(index.view()), slot.vectors.of());
        // Last: who sees that it is complete sees all of it.
        *lock(&slot.vectors.building) = None;
        self.remove_other_generations(collection, slot.vectors.of().generation).await;
        Ok(())
    }
}

/// Writes what arrives as one segment, if all of it does.
fn write_all(index: &VectorIndex, arriving: &mut mpsc::Receiver<Read>) -> plasma_vectors::Result<()> {
    let dimensions = index.options().dimensions;
    let mut bulk = index.bulk()?;
    while let Some(read) = arriving.blocking_recv() {
        let page = match read {
            Read::Page(page) => page,
            Read::End => return bulk.finish(None, 1).map(drop),
        };
        for passage in page.iter().filter(|passage| is_searchable(&passage.embedding, dimensions)) {
            let key = PassageKey::new(passage.document, passage.version, passage.ordinal);
            bulk.push(key.bits(), &passage.embedding)?;
        }
    }
    Ok(())
}
