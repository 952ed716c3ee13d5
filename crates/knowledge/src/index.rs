//! Each process's own index over all collections: the text index and the vector indexes on disk, and collections' documents in
//! memory. All follow the event log, and all can be built anew from SQL at any time.

pub(crate) mod blocks;
mod follower;
mod keys;
pub(crate) mod language;
mod loader;
pub(crate) mod memory;
pub(crate) mod query;
pub(crate) mod query_build;
pub(crate) mod query_pieces;
pub(crate) mod query_resolve;
mod text;
mod text_search;
mod text_statistics;
mod text_terms;
pub(crate) mod vectors;
pub(crate) mod words;

use std::sync::{Arc, Mutex, PoisonError};

use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Result, TenantId};
use plasma_store::{EventPosition, Store, Tx};
use tokio::sync::{RwLock, mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{IndexStatus, caches::TenantCaches, limits, nodes::search::NodesAnswer};

pub(crate) use keys::PassageKey;
pub(crate) use memory::VectorsOf;
use memory::{CollectionView, Memory, Slot};
use text::TextReader;
pub(crate) use text::{PARTS, low_bits};
pub(crate) use text_search::{CollectionText, TextHit, TextSearcher};
use vectors::{Builds, VectorFolder, VectorsStatus};

/// The index of this process.
pub(crate) struct Index {
    store: Store,
    /// Works across tenants.
    ctx: Ctx,
    caches: Arc<TenantCaches>,
    memory: Memory,
    /// Writing it publishes a change in both halves at once: a search never sees a document in one and not in the other.
    text: std::sync::RwLock<Text>,
    /// Where the vectors are, while the follower runs.
    vector_folder: std::sync::RwLock<Option<VectorFolder>>,
    /// Collections whose vectors are to be looked at in the background.
    builds: Builds,
    /// Threads that compute for long.
    threads: TaskTracker,
    /// Held from the first change of vectors until it is published. Who holds it may show searches another view of an index.
    applying: tokio::sync::Mutex<()>,
    /// The newest event of knowledge that this process committed.
    pending: watch::Sender<EventPosition>,
    /// The newest of those that change who may see something: without it no search goes on.
    access: watch::Sender<EventPosition>,
    /// Shared by changes while they are committed: other connections see a change before its position reaches `pending`.
    committing: RwLock<()>,
    /// How far the index is; `None` until it has been opened.
    applied: watch::Sender<Option<EventPosition>>,
    rechecks: mpsc::Sender<Recheck>,
    /// For the follower, who takes it when it starts.
    rechecks_due: Mutex<Option<mpsc::Receiver<Recheck>>>,
}

/// Documents of which the two halves hold different versions: the follower reads them again.
struct Recheck {
    tenant: TenantId,
    collection: CollectionId,
    documents: Vec<KnowledgeDocumentId>,
    orphans: Vec<u64>,
    done: oneshot::Sender<()>,
}

/// What a search found in one half of the index and could not show.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Documents of which a half has another version than the view.
    pub(crate) documents: Vec<KnowledgeDocumentId>,
    /// Vectors of documents that the view does not have, by the lower halves of the documents' ids.
    pub(crate) orphans: Vec<u64>,
}

impl Doubts {
    pub(crate) fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.orphans.is_empty()
    }
}

/// Searches that may wait for a recheck at the same time.
const RECHECKS_MAX: usize = 256;

/// The text half.
enum Text {
    /// Being opened.
    Opening,
    /// It answers; `complete` says that it holds everything.
    Open { reader: TextReader, complete: bool },
    /// It does not answer, for this reason.
    Broken(String),
}

/// What a search finds of the text index.
pub(crate) enum SnapshotText {
    /// It holds everything.
    Complete(TextSearcher),
    /// It is being built anew.
    Incomplete(TextSearcher),
    /// It does not answer, for this reason.
    Unavailable(String),
}

/// A collection at one moment, in both halves.
pub(crate) struct Snapshot {
    pub(crate) view: Arc<CollectionView>,
    pub(crate) text: SnapshotText,
    /// Whether the view's vectors are all that there are.
    pub(crate) vectors: VectorsStatus,
    /// Where what searches teach is remembered.
    pub(crate) slot: Arc<Slot>,
    /// What search nodes answered, when they have the vectors and not the view.
    pub(crate) nodes: Option<NodesAnswer>,
}

/// Moves a position on; never back.
fn raise(position: &watch::Sender<EventPosition>, to: EventPosition) {
    position.send_if_modified(|newest| {
        let newer = to > *newest;
        if newer {
            *newest = to;
        }
        newer
    });
}

impl Index {
    pub(crate) fn new(store: Store, ctx: Ctx, caches: Arc<TenantCaches>) -> Self {
        let (rechecks, rechecks_due) = mpsc::channel(RECHECKS_MAX);
        Self {
            store,
            ctx,
            caches,
            memory: Memory::new(limits::MEMORY_BYTES_MAX),
            text: std::sync::RwLock::new(Text::Opening),
            vector_folder: std::sync::RwLock::new(None),
            builds: Builds::default(),
            threads: TaskTracker::new(),
            applying: tokio::sync::Mutex::new(()),
            pending: watch::Sender::new(EventPosition::START),
            access: watch::Sender::new(EventPosition::START),
            committing: RwLock::new(()),
            applied: watch::Sender::new(None),
            rechecks,
            rechecks_due: Mutex::new(Some(rechecks_due)),
        }
    }

    /// Opens the text index, or builds it, and follows the event log until `stop` fires. Once.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let rechecks = self.rechecks_due.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(rechecks) = rechecks {
            follower::follow(self, rechecks, stop).await;
        }
    }

    /// Builds indexes, and keeps them in order, until `stop` fires. Once.
    pub(crate) async fn keep_up(self: Arc<Self>, stop: CancellationToken) {
        vectors::keep_up(self, stop).await;
    }

    /// Lets the follower read documents again, of which a search has found that one half holds another version than the
    /// other: a collection that was just loaded may be ahead of the event log by a moment. Returns when that is done, at the
    /// latest after two seconds.
    pub(crate) async fn recheck(&self, tenant: TenantId, collection: CollectionId, doubts: Doubts) {
        let (done, finished) = oneshot::channel();
        let Doubts { documents, orphans } = doubts;
        // When too many wait already, the follower is about to do it.
        let _ = self.rechecks.try_send(Recheck { tenant, collection, documents, orphans, done });
        if !matches!(tokio::time::timeout(limits::FRESHNESS_WAIT_MAX, finished).await, Ok(Ok(()))) {
            tracing::warn!(%collection, "the two halves of the search index hold different versions of a document");
        }
    }

    /// Commits a change: searches that begin once it can be seen wait until the index has it.
    ///
    /// # Errors
    /// As [`Tx::commit`].
    pub(crate) async fn commit(&self, tx: Tx) -> Result<()> {
        let _committing = self.committing.read().await;
        if let Some(position) = tx.commit().await? {
            self.expect(position);
        }
        Ok(())
    }

    /// Commits a change of who may see something: searches that begin once it can be seen do not go on without it.
    ///
    /// # Errors
    /// As [`Tx::commit`].
    pub(crate) async fn commit_access(&self, tx: Tx) -> Result<()> {
        let _committing = self.committing.read().await;
        if let Some(position) = tx.commit().await? {
            raise(&self.access, position);
            self.expect(position);
        }
        Ok(())
    }

    /// Lets searches from now on wait until the index has taken up the event at `position`.
    fn expect(&self, position: EventPosition) {
        raise(&self.pending, position);
    }

    /// Refuses to go on while the index does not know of a change of who may see something.
    fn check_access(&self) -> Result<()> {
        let wanted = *self.access.borrow();
        if wanted == EventPosition::START || self.applied.borrow().is_some_and(|applied| applied >= wanted) {
            return Ok(());
        }
        Err(Error::unavailable(
            "permissions_not_applied",
            "the search index has not taken up a change of permissions yet",
        )
        .remedy("try again in a moment")
        .retry_after_ms(1_000))
    }

    /// Up to where searches see everything: this process has committed it, or knows of it.
    pub(crate) fn expected(&self) -> EventPosition {
        *self.pending.borrow()
    }

    /// Returns when the index has everything that this process had committed at the call, at the latest after two seconds.
    pub(crate) async fn caught_up(&self) {
        drop(self.committing.write().await);
        let wanted = *self.pending.borrow();
        let covers = |applied: &Option<EventPosition>| applied.is_some_and(|applied| applied >= wanted);
        if covers(&self.applied.borrow()) {
            return;
        }
        let mut applied = self.applied.subscribe();
        if tokio::time::timeout(limits::FRESHNESS_WAIT_MAX, applied.wait_for(covers)).await.is_err() {
            tracing::warn!("the search index is behind: a search goes on without the newest documents");
        }
    }

    /// The collection as of now: everything that this process has committed is in it.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database, when the collection has to be loaded.
    pub(crate) async fn snapshot(&self, ctx: &Ctx, collection: CollectionId) -> Result<Snapshot> {
        self.caught_up().await;
        self.check_access()?;
        let slot = self.memory.used_slot(collection);
        let view = match slot.loaded() {
            Some(view) => view,
            None => {
                let view = self.load(ctx, collection, &slot).await?;
                // What was just read may be newer than the text index.
                self.caught_up().await;
                view
            }
        };
        let guard = self.text.read().unwrap_or_else(PoisonError::into_inner);
        let view = slot.loaded().unwrap_or(view);
        let text = match &*guard {
            Text::Open { reader, complete: true } => SnapshotText::Complete(reader.searcher()),
            Text::Open { reader, complete: false } => SnapshotText::Incomplete(reader.searcher()),
            Text::Opening => SnapshotText::Unavailable("it is being opened".to_owned()),
            Text::Broken(reason) => SnapshotText::Unavailable(reason.clone()),
        };
        drop(guard);
        // What is being built for another embedding model is nothing that this view lacks.
        let is_whole = slot.vectors.is_ahead_of(&view.vectors_of);
        let vectors = if is_whole { VectorsStatus::Complete } else { slot.vectors.status() };
        Ok(Snapshot { view, text, vectors, slot, nodes: None })
    }

    /// Which vectors searches of the collection compare with now.
    ///
    /// # Errors
    /// As [`Index::snapshot`].
    pub(crate) async fn vectors_of(&self, ctx: &Ctx, collection: CollectionId) -> Result<Arc<VectorsOf>> {
        Ok(Arc::clone(&self.snapshot(ctx, collection).await?.view.vectors_of))
    }

    /// Whether this process's index answers, for `/readyz`.
    pub(crate) fn status(&self) -> IndexStatus {
        let behind = self.applied.borrow().is_none_or(|applied| applied < *self.pending.borrow());
        let (ready, detail) = match &*self.text.read().unwrap_or_else(PoisonError::into_inner) {
            Text::Open { complete: true, .. } if behind => (true, "takes up new documents".to_owned()),
            Text::Open { complete: true, .. } => (true, "up to date".to_owned()),
            Text::Open { complete: false, .. } => (false, "is being built anew from the database".to_owned()),
            Text::Opening => (false, "is being opened".to_owned()),
            Text::Broken(reason) => (false, reason.clone()),
        };
        IndexStatus { ready, detail }
    }
}
