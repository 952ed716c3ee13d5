//! Keeps the index up to date: reads the event log, and the documents that it names from SQL.
//!
//! What an event says is only that something changed; what is applied is the state in SQL. So applying an event twice, or
//! building the text index anew while events arrive, comes to the same end.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    time::Duration,
};

use plasma_kernel::{CollectionId, Ctx, Error, KnowledgeDocumentId, Result, TenantId};
use plasma_store::{Event, EventPosition};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Index, Recheck, Text, loader,
    memory::{CollectionView, DocumentChange, DocumentPassages},
    text::{Payload, TextEntry, TextIndex},
    words,
};
use crate::{events, store::queue};

/// Events taken at once.
const EVENTS_MAX: u32 = 500;
/// Documents that are indexed between two looks at the event log, while the index is built anew.
const REBUILD_PAGE: u32 = 200;
/// Passages indexed at once.
const PASSAGES_PAGE: usize = 500;
/// How often events of other processes are looked for.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same while an event that this process committed is not visible yet: on Postgres, older transactions hold it back.
const BEHIND_INTERVAL: Duration = Duration::from_millis(5);
/// How long a database or disk in trouble is left alone.
const DATABASE_PAUSE: Duration = Duration::from_secs(1);
const REOPEN_PAUSE: Duration = Duration::from_secs(10);
/// After this many events without a change to index, the position is committed, so that a restart does not read them again.
const POSITION_LAG_MAX: usize = 5_000;
/// Processes that may share a data directory, each with an index of its own.
const FOLDERS_MAX: u32 = 16;
/// The position of an index that is not complete: opening it means building it anew.
const UNFINISHED: &str = "unfinished";

struct Follower {
    index: Arc<Index>,
    /// This process's folder, held by a lock on the file.
    folder: Option<(PathBuf, File)>,
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

/// The state of changed documents, by collection.
type MemoryChanges = HashMap<CollectionId, HashMap<KnowledgeDocumentId, DocumentChange>>;

/// What a batch of events touches.
#[derive(Default)]
struct Changes {
    documents: BTreeMap<(TenantId, CollectionId), BTreeSet<KnowledgeDocumentId>>,
    deleted_collections: BTreeSet<CollectionId>,
    /// Those whose vectors are others now.
    reembedded: BTreeSet<(TenantId, CollectionId)>,
    tenants: BTreeSet<TenantId>,
}

impl Changes {
    fn note(&mut self, event: &Event) {
        let Some(tenant) = event.tenant else { return };
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
            events::COLLECTION_DELETED => {
                self.deleted_collections.insert(collection);
            }
            events::COLLECTION_REEMBEDDED => {
                self.reembedded.insert((tenant, collection));
            }
            _ => {}
        }
    }

    fn is_empty(&self) -> bool {
        self.documents.is_empty() && self.deleted_collections.is_empty() && self.reembedded.is_empty()
    }
}

pub(super) async fn follow(index: Arc<Index>, rechecks: mpsc::Receiver<Recheck>, stop: CancellationToken) {
    let mut committed = index.store.committed_events();
    let mut follower = Follower {
        index,
        folder: None,
        text: None,
        reopen_at: Instant::now(),
        start_anew: false,
        identity: String::new(),
        rebuild: None,
        position: EventPosition::START,
        lag: 0,
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
        for (tenant, collection, document) in &rebuilt {
            changes.documents.entry((*tenant, *collection)).or_default().insert(*document);
        }
        let rechecks = self.due_rechecks();
        for recheck in &rechecks {
            let place = (recheck.tenant, recheck.collection);
            changes.documents.entry(place).or_default().extend(recheck.documents.iter().copied());
        }
        changes.documents.retain(|(_, collection), _| !changes.deleted_collections.contains(collection));
        let memory = self.stage(&changes).await?;
        let reembedded = self.read_reembedded(&changes).await?;
        if let Some(last) = events.last() {
            self.position = last.position;
            self.lag += events.len();
        }
        let completed = self.advance_rebuild(&rebuilt);
        let changed = completed || !changes.is_empty();
        if changed || self.lag > POSITION_LAG_MAX {
            self.commit().await;
        }
        if changed {
            self.publish(&changes, memory, reembedded);
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

    /// Reads what changed, writes it to the text index (to be committed), and returns it for the memory.
    async fn stage(&mut self, changes: &Changes) -> Result<MemoryChanges> {
        let mut memory = MemoryChanges::new();
        for collection in changes.deleted_collections.iter().copied() {
            self.write_text(move |text| {
                text.remove_collection(collection);
                Ok(())
            })
            .await;
        }
        for ((tenant, collection), documents) in &changes.documents {
            let ctx = self.index.ctx.for_tenant(*tenant, "knowledge.index");
            for document in documents.iter().copied() {
                let change = self.stage_document(&ctx, *collection, document).await?;
                memory.entry(*collection).or_default().insert(document, change);
            }
        }
        Ok(memory)
    }

    /// Collections in memory whose vectors are others now, read anew. Until they are shown, searches go on with the vectors, and so
    /// the model, from before.
    async fn read_reembedded(&self, changes: &Changes) -> Result<Vec<(CollectionId, Arc<CollectionView>)>> {
        let mut read = Vec::new();
        for (tenant, collection) in &changes.reembedded {
            if self.index.memory.holds(*collection) && !changes.deleted_collections.contains(collection) {
                let ctx = self.index.ctx.for_tenant(*tenant, "knowledge.index");
                let mut tx = self.index.store.read(&ctx).await?;
                read.push((*collection, loader::read_view(&mut tx, *collection).await?));
            }
        }
        Ok(read)
    }

    async fn stage_document(
        &mut self,
        ctx: &Ctx,
        collection: CollectionId,
        document: KnowledgeDocumentId,
    ) -> Result<DocumentChange> {
        self.write_text(move |text| {
            text.remove_document(document);
            Ok(())
        })
        .await;
        let held = self.index.memory.holds(collection);
        let mut tx = self.index.store.read(ctx).await?;
        // One reading serves both halves, so that they hold the same version.
        let read = loader::read_document(&mut tx, collection, document, held).await?;
        drop(tx);
        let Some((live, passages)) = read else {
            return Ok(if held { DocumentChange::Now(None) } else { DocumentChange::Unread });
        };
        for page in passages.chunks(PASSAGES_PAGE) {
            let entries: Vec<TextEntry> = page
                .iter()
                .map(|passage| TextEntry {
                    collection,
                    document,
                    version: live.version,
                    ordinal: passage.ordinal,
                    text: words::indexed_text(&live.title, passage.heading.as_deref(), &passage.text),
                })
                .collect();
            self.write_text(move |text| entries.iter().try_for_each(|entry| text.add(entry))).await;
        }
        if !held {
            return Ok(DocumentChange::Unread);
        }
        Ok(DocumentChange::Now(Some(Arc::new(DocumentPassages::new(live, passages)?))))
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
        let position = if self.rebuild.is_some() { UNFINISHED.to_owned() } else { self.position.to_text() };
        let payload = Payload { identity: self.identity.clone(), position };
        self.write_text(move |text| text.commit(&payload)).await;
        self.lag = 0;
    }

    /// Shows searches what was committed, in both halves at once.
    fn publish(
        &mut self,
        changes: &Changes,
        memory: MemoryChanges,
        reembedded: Vec<(CollectionId, Arc<CollectionView>)>,
    ) {
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
        // After the documents: these views have been read later.
        for (collection, view) in reembedded {
            index.memory.replace(collection, &view);
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

    /// Opens this process's text index, or starts to build it anew when it is absent, damaged, or of another database.
    async fn open_text(&mut self) -> Result<()> {
        let mut tx = self.index.store.begin(&self.index.ctx).await?;
        let fresh = format!("{:032x}", u128::from_le_bytes(self.index.ctx.random().bytes()));
        self.identity = queue::identity(&mut tx, &fresh).await?;
        tx.commit().await?;
        let head = self.index.store.read(&self.index.ctx).await?.events_head().await?;
        let (identity, start_anew) = (self.identity.clone(), self.start_anew);
        let (data_dir, folder) = (self.index.store.data_dir().to_owned(), self.folder.take());
        let opened = tokio::task::spawn_blocking(move || {
            let (folder, lock) = folder.map_or_else(|| lock_folder(&data_dir), Ok)?;
            let opened = open_or_create(&folder, &identity, head, start_anew);
            Ok::<_, Error>(((folder, lock), opened))
        })
        .await
        .unwrap_or_else(|error| Err(Error::from_source("opening the text index panicked", error)));
        let opened = opened.and_then(|(folder, opened)| {
            self.folder = Some(folder);
            opened
        });
        match opened {
            Ok((text, position)) => {
                self.rebuild = if position.is_none() { Some(Rebuild::default()) } else { None };
                self.position = position.unwrap_or(head);
                self.start_anew = false;
                let open = Text::Open { reader: text.text_reader(), complete: position.is_some() };
                *self.index.text.write().unwrap_or_else(PoisonError::into_inner) = open;
                self.text = Some(text);
                if position.is_none() {
                    tracing::info!("building the text index from the database");
                }
            }
            Err(error) => {
                self.text_failed(&error);
                self.position = self.position.max(head);
            }
        }
        Ok(())
    }
}

fn folder_failed(error: std::io::Error) -> Error {
    Error::unavailable("text_index_failed", "the folder of the text index cannot be used")
        .remedy("check the free space and permissions of the data directory")
        .source(error)
}

/// Finds a folder that no other process uses. The system releases the lock when this process ends, however it does.
fn lock_folder(data_dir: &Path) -> Result<(PathBuf, File)> {
    let parent = data_dir.join("index");
    fs::create_dir_all(&parent).map_err(folder_failed)?;
    for number in 1..=FOLDERS_MAX {
        let lock = File::create(parent.join(format!("text-{number}.lock"))).map_err(folder_failed)?;
        match lock.try_lock() {
            Ok(()) => return Ok((parent.join(format!("text-{number}")), lock)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(folder_failed(error)),
        }
    }
    Err(Error::unavailable("text_index_failed", format!("{FOLDERS_MAX} processes use this data directory already"))
        .remedy("give each process a data directory of its own"))
}

/// The index in `folder` with its position, or a new one without.
fn open_or_create(
    folder: &Path,
    identity: &str,
    head: EventPosition,
    start_anew: bool,
) -> Result<(TextIndex, Option<EventPosition>)> {
    if !start_anew && let Some((text, payload)) = TextIndex::open(folder)? {
        // An index of another database, or of a later state of this one that a restored backup has forgotten, is worthless.
        let position = EventPosition::from_text(&payload.position).filter(|position| *position <= head);
        if payload.identity == identity && position.is_some() {
            return Ok((text, position));
        }
    }
    let removed = if folder.is_dir() { fs::remove_dir_all(folder) } else { fs::remove_file(folder) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(folder_failed(error)),
        _ => {}
    }
    fs::create_dir_all(folder).map_err(folder_failed)?;
    Ok((TextIndex::create(folder)?, None))
}
