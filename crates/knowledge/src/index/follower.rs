//! Keeps the index up to date: reads the event log, and the documents that it names from SQL.
//!
//! What an event says is only that something changed; what is applied is the state in SQL. So applying an event twice, or
//! building the text index anew while events arrive, comes to the same end.

mod open;
mod stage;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    sync::{Arc, PoisonError},
    time::Duration,
};

use plasma_kernel::{CollectionId, Error, KnowledgeDocumentId, Result, TenantId};
use plasma_store::{Event, EventPosition};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use self::{
    open::{Folders, lock_folders, open_or_create},
    stage::MemoryChanges,
};
use super::{
    Index, Recheck, Text,
    memory::Slot,
    text::{Payload, TextIndex},
    vectors::{VectorFolder, failed},
};
use crate::{events, store::queue};

/// Events taken at once.
const EVENTS_MAX: u32 = 500;
/// Documents that are indexed between two looks at the event log, while the index is built anew.
const REBUILD_PAGE: u32 = 200;
/// How often events of other processes are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same while an event that this process committed is not visible yet: on Postgres, older transactions hold it back.
const BEHIND_INTERVAL: Duration = Duration::from_millis(5);
/// How long a database or disk in trouble is left alone.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
const REOPEN_PAUSE: Duration = Duration::from_secs(10);
/// After this many events without a change to index, the position is committed, so that a restart does not read them again.
const POSITION_LAG_MAX: usize = 5_000;
/// The position of an index that is not complete: opening it means building it anew.
const UNFINISHED: &str = "unfinished";

struct Follower {
    index: Arc<Index>,
    folders: Option<Folders>,
    text: Option<TextIndex>,
    /// When a broken text index is tried again, and whether it is made anew then.
    reopen_at: Instant,
    start_anew: bool,
    identity: String,
    /// The last document that was indexed while building anew.
    rebuild: Option<Rebuild>,
    position: EventPosition,
    /// Events since the last commit.
    lag: usize,
    /// Collections whose vectors were changed since the last commit.
    unsynced: HashMap<CollectionId, Arc<Slot>>,
    /// Documents that searches have doubts about.
    rechecks: mpsc::Receiver<Recheck>,
    /// The next of them, received while waiting.
    recheck: Option<Recheck>,
}

#[derive(Default)]
struct Rebuild {
    after: Option<(TenantId, KnowledgeDocumentId)>,
    documents: usize,
}

/// Whose collection, and which.
type Place = (TenantId, CollectionId);

/// What a batch of events touches.
#[derive(Default)]
struct Changes {
    documents: BTreeMap<Place, BTreeSet<KnowledgeDocumentId>>,
    /// Documents of which only who may see them has changed: their texts and vectors are there already.
    access: BTreeMap<Place, BTreeSet<KnowledgeDocumentId>>,
    /// Vectors, by the lower halves of their documents' ids, of which a search knows no document.
    orphans: BTreeMap<Place, BTreeSet<u64>>,
    deleted_collections: BTreeSet<CollectionId>,
    /// Those whose settings are others.
    updated_collections: BTreeSet<CollectionId>,
    /// Those that have vectors of another embedding model.
    reembedded: BTreeSet<Place>,
    /// Collections whose vectors are to be elsewhere, or here.
    placed: BTreeSet<Place>,
    tenants: BTreeSet<TenantId>,
}

impl Changes {
    fn note(&mut self, event: &Event) {
        let Some(tenant) = event.tenant else { return self.note_of_installation(event) };
        if !event.kind.starts_with("knowledge.") {
            return;
        }
        self.tenants.insert(tenant);
        let collection = event.data.get("collection_id").and_then(|id| id.as_str()).and_then(|id| id.parse().ok());
        let Some(collection) = collection else { return };
        match event.kind.as_str() {
            events::DOCUMENT_READY | events::DOCUMENT_DELETED => {
                if let Ok(document) = event.subject.parse() {
                    self.documents.entry((tenant, collection)).or_default().insert(document);
                }
            }
            events::DOCUMENT_ACCESS_CHANGED => {
                if let Ok(document) = event.subject.parse() {
                    self.access.entry((tenant, collection)).or_default().insert(document);
                }
            }
            events::COLLECTION_UPDATED => {
                self.updated_collections.insert(collection);
            }
            events::COLLECTION_DELETED => {
                self.deleted_collections.insert(collection);
            }
            events::COLLECTION_REEMBEDDED => {
                self.reembedded.insert((tenant, collection));
            }
            events::COLLECTION_PLACED => {
                self.placed.insert((tenant, collection));
            }
            _ => {}
        }
    }

    /// The installation's own log tells of tenants that were erased with their logs.
    fn note_of_installation(&mut self, event: &Event) {
        if event.kind != events::COLLECTIONS_ERASED {
            return;
        }
        self.tenants.extend(event.subject.parse::<TenantId>().ok());
        let named = event.data.get("collections").and_then(|collections| collections.as_array()).into_iter().flatten();
        self.deleted_collections.extend(named.filter_map(|id| id.as_str()?.parse::<CollectionId>().ok()));
    }

    fn is_empty(&self) -> bool {
        self.documents.is_empty()
            && self.access.is_empty()
            && self.orphans.is_empty()
            && self.deleted_collections.is_empty()
            && self.reembedded.is_empty()
            && self.placed.is_empty()
    }
}

pub(super) async fn follow(index: Arc<Index>, rechecks: mpsc::Receiver<Recheck>, stop: CancellationToken) {
    let mut committed = index.store.committed_events();
    let mut follower = Follower {
        index,
        folders: None,
        text: None,
        reopen_at: Instant::now(),
        start_anew: false,
        identity: String::new(),
        rebuild: None,
        position: EventPosition::START,
        lag: 0,
        unsynced: HashMap::new(),
        rechecks,
        recheck: None,
    };
    while !stop.is_cancelled() {
        // Seen before the log is read, so that no commit after the reading is slept through.
        committed.borrow_and_update();
        match follower.turn().await {
            Ok(true) => {}
            Ok(false) => follower.wait(&mut committed, &stop).await,
            Err(error) => {
                tracing::warn!(?error, "the search index cannot follow the event log; trying again");
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(DATABASE_PAUSE) => {}
                }
            }
        }
    }
    if follower.lag > 0 && follower.rebuild.is_none() {
        follower.commit().await;
    }
    follower.index.release_folder().await;
}

impl Follower {
    /// Does what there is to do; `false` when there was nothing.
    async fn turn(&mut self) -> Result<bool> {
        if self.text.is_none() && Instant::now() >= self.reopen_at {
            self.open_text().await?;
        }
        let store = self.index.store.clone();
        let mut tx = store.read(&self.index.ctx).await?;
        let events = tx.events_after(self.position, EVENTS_MAX).await?;
        let mut changes = Changes::default();
        events.iter().for_each(|event| changes.note(event));
        let rebuilt = match &self.rebuild {
            Some(rebuild) if self.text.is_some() => queue::live_documents(&mut tx, rebuild.after, REBUILD_PAGE).await?,
            _ => Vec::new(),
        };
        drop(tx);
        let rechecks = self.due_rechecks();
        for recheck in &rechecks {
            let place = (recheck.tenant, recheck.collection);
            changes.documents.entry(place).or_default().extend(recheck.documents.iter().copied());
            changes.orphans.entry(place).or_default().extend(recheck.orphans.iter().copied());
        }
        changes.documents.retain(|(_, collection), _| !changes.deleted_collections.contains(collection));
        changes.access.retain(|(_, collection), _| !changes.deleted_collections.contains(collection));
        changes.orphans.retain(|(_, collection), _| !changes.deleted_collections.contains(collection));
        changes.reembedded.retain(|(_, collection)| !changes.deleted_collections.contains(collection));
        changes.placed.retain(|(_, collection)| !changes.deleted_collections.contains(collection));
        // From the first write until it is published, nobody else shows searches a collection's vectors.
        let index = Arc::clone(&self.index);
        let applying = index.applying.lock().await;
        self.stage_rebuilt(&rebuilt, &changes).await?;
        let memory = self.stage(&changes).await?;
        if let Some(last) = events.last() {
            self.position = last.position;
            self.lag += events.len();
        }
        let completed = self.advance_rebuild(&rebuilt);
        let changed = completed || !rebuilt.is_empty() || !changes.is_empty();
        if changed || self.lag > POSITION_LAG_MAX {
            self.commit().await;
        }
        if changed {
            self.publish(&changes, memory);
        }
        drop(applying);
        if changed {
            self.index.memory.make_room(None);
        }
        for collection in &changes.updated_collections {
            self.index.memory.slot(*collection).vectors.note_settings_changed();
        }
        self.announce(&changes.tenants);
        for recheck in rechecks {
            // Whoever asked may have gone away.
            let _ = recheck.done.send(());
        }
        Ok(!events.is_empty() || self.rebuild.is_some())
    }

    fn due_rechecks(&mut self) -> Vec<Recheck> {
        let mut due: Vec<Recheck> = self.recheck.take().into_iter().collect();
        while let Ok(recheck) = self.rechecks.try_recv() {
            due.push(recheck);
        }
        due
    }

    async fn wait(&mut self, committed: &mut watch::Receiver<EventPosition>, stop: &CancellationToken) {
        let behind = *self.index.pending.borrow() > self.position;
        let pause = if behind { BEHIND_INTERVAL } else { POLL_INTERVAL };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = committed.changed() => {}
            recheck = self.rechecks.recv() => self.recheck = recheck,
            () = tokio::time::sleep(pause) => {}
        }
    }

    /// Notes what was indexed of the documents that there are; `true` when that was all of them.
    fn advance_rebuild(&mut self, rebuilt: &[(TenantId, CollectionId, KnowledgeDocumentId)]) -> bool {
        if self.text.is_none() {
            return false;
        }
        let Some(rebuild) = &mut self.rebuild else { return false };
        rebuild.documents += rebuilt.len();
        if let Some((tenant, _, document)) = rebuilt.last() {
            rebuild.after = Some((*tenant, *document));
            return false;
        }
        tracing::info!(documents = rebuild.documents, "the text index is complete");
        self.rebuild = None;
        true
    }

    /// Makes what was staged durable.
    async fn commit(&mut self) {
        self.sync_vectors().await;
        let position = if self.rebuild.is_some() { UNFINISHED.to_owned() } else { self.position.to_text() };
        let payload = Payload { identity: self.identity.clone(), position };
        self.write_text(move |text| text.commit(&payload)).await;
        self.lag = 0;
    }

    /// Makes the vectors durable, and says how far they are. When that fails they are said to be where they were, and a restart
    /// reads the events since then once more.
    async fn sync_vectors(&mut self) {
        for (collection, slot) in mem::take(&mut self.unsynced) {
            if let Err(error) = self.index.sync_vectors(&slot).await {
                tracing::warn!(?error, %collection, "the disk does not take the vectors of a collection");
                self.unsynced.insert(collection, slot);
            }
        }
        let Some(folder) = self.index.taken_folder().filter(|_| self.unsynced.is_empty()) else { return };
        let position = self.position;
        let written = tokio::task::spawn_blocking(move || folder.write_state(position)).await;
        if !matches!(written, Ok(Ok(()))) {
            tracing::warn!(?written, "the position of the vector indexes could not be written");
        }
    }

    /// Shows searches what was committed, in both halves at once.
    fn publish(&mut self, changes: &Changes, memory: MemoryChanges) {
        let index = &self.index;
        let mut text = index.text.write().unwrap_or_else(PoisonError::into_inner);
        if let Text::Open { reader, complete } = &mut *text {
            match reader.reload() {
                Ok(()) => *complete = self.rebuild.is_none(),
                Err(error) => {
                    tracing::warn!(?error, "the text index cannot be read; it will be built anew");
                    *text = Text::Broken(error.message().to_owned());
                    self.text = None;
                    self.start_anew = true;
                }
            }
        }
        for (collection, documents) in memory {
            index.memory.apply(collection, documents);
        }
        for collection in &changes.deleted_collections {
            index.memory.forget(*collection);
        }
    }

    /// Tells searches how far the index is.
    fn announce(&self, tenants: &BTreeSet<TenantId>) {
        for tenant in tenants {
            self.index.caches.forget(*tenant);
        }
        self.index.applied.send_if_modified(|applied| {
            let moved = *applied != Some(self.position);
            *applied = Some(self.position);
            moved
        });
    }

    /// Runs `work` on the text index, off the runtime's threads. When it fails, the index is broken until it is opened again;
    /// everything else goes on.
    async fn write_text(&mut self, work: impl FnOnce(&mut TextIndex) -> Result<()> + Send + 'static) {
        let Some(mut text) = self.text.take() else { return };
        let done = tokio::task::spawn_blocking(move || {
            let outcome = work(&mut text);
            (text, outcome)
        })
        .await;
        let error = match done {
            Ok((text, Ok(()))) => {
                self.text = Some(text);
                return;
            }
            Ok((_, Err(error))) => error,
            Err(error) => Error::from_source("writing the text index panicked", error),
        };
        self.text_failed(&error);
    }

    fn text_failed(&mut self, error: &Error) {
        tracing::warn!(?error, "the text index failed; it will be opened again");
        self.text = None;
        self.rebuild = None;
        self.start_anew = true;
        self.reopen_at = Instant::now() + REOPEN_PAUSE;
        *self.index.text.write().unwrap_or_else(PoisonError::into_inner) = Text::Broken(error.message().to_owned());
    }

    /// Takes folders of the data directory for this process. The vectors in them decide where to begin to read the event log.
    async fn take_folders(&mut self, head: EventPosition) -> Result<()> {
        let (identity, data_dir) = (self.identity.clone(), self.index.store.data_dir().to_owned());
        let taken = tokio::task::spawn_blocking(move || {
            let folders = lock_folders(&data_dir)?;
            let vectors = VectorFolder::take(folders.vectors.clone(), Arc::clone(&folders.lock), &identity, head);
            Ok::<_, Error>((folders, vectors.map_err(failed)?))
        })
        .await
        .unwrap_or_else(|error| Err(Error::from_source("opening the index panicked", error)));
        let (folders, vectors) = taken?;
        self.position = vectors.position;
        self.folders = Some(folders);
        *self.index.vector_folder.write().unwrap_or_else(PoisonError::into_inner) = Some(vectors.folder);
        if vectors.is_new
            && let Err(error) = self.index.add_all_builds().await
        {
            tracing::warn!(?error, "vector indexes will be built when they are first needed");
        }
        self.index.builds.due.notify_one();
        Ok(())
    }

    /// Opens this process's text index, or starts to build it anew when it is absent, damaged, or of another database.
    async fn open_text(&mut self) -> Result<()> {
        let mut tx = self.index.store.begin(&self.index.ctx).await?;
        let fresh = format!("{:032x}", u128::from_le_bytes(self.index.ctx.random().bytes()));
        self.identity = queue::identity(&mut tx, &fresh).await?;
        tx.commit().await?;
        let head = self.index.store.read(&self.index.ctx).await?.events_head().await?;
        if self.folders.is_none()
            && let Err(error) = self.take_folders(head).await
        {
            self.text_failed(&error);
            self.position = self.position.max(head);
            return Ok(());
        }
        let Some(folder) = self.folders.as_ref().map(|folders| folders.text.clone()) else { return Ok(()) };
        let (identity, start_anew) = (self.identity.clone(), self.start_anew);
        let opened = tokio::task::spawn_blocking(move || open_or_create(&folder, &identity, head, start_anew))
            .await
            .unwrap_or_else(|error| Err(Error::from_source("opening the text index panicked", error)));
        match opened {
            Ok((text, position)) => {
                self.rebuild = if position.is_none() { Some(Rebuild::default()) } else { None };
                // What one half has already is harmless to apply again.
                self.position = position.map_or(self.position, |position| position.min(self.position));
                self.start_anew = false;
                let open = Text::Open { reader: text.text_reader(), complete: position.is_some() };
                *self.index.text.write().unwrap_or_else(PoisonError::into_inner) = open;
                self.text = Some(text);
                if position.is_none() {
                    tracing::info!("building the text index from the database");
                }
            }
            Err(error) => self.text_failed(&error),
        }
        Ok(())
    }
}
