//! Collections in memory: vectors, texts and metadata, loaded by the first search and kept up to date by the follower.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{self, AtomicU64},
    },
};

use plasma_kernel::{ChunkId, CollectionId, Error, KnowledgeDocumentId, Result};

use crate::{
    Metadata,
    store::{passages::IndexedPassage, versions::LiveVersion},
};

/// A passage, but for its vector.
#[derive(Debug)]
pub(crate) struct Passage {
    pub(crate) id: ChunkId,
    pub(crate) ordinal: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) heading: Option<Box<str>>,
    pub(crate) text: Box<str>,
}

/// The searchable version of a document. It never changes: another version is another value.
#[derive(Debug)]
pub(crate) struct DocumentPassages {
    pub(crate) id: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) metadata: Metadata,
    /// By ordinal, without gaps.
    pub(crate) passages: Vec<Passage>,
    /// Of length 1, one after the other in the order of the passages.
    pub(crate) vectors: Vec<f32>,
    /// Numbers in a vector; 0 without passages.
    pub(crate) dimensions: usize,
    words: u64,
    bytes: usize,
}

impl DocumentPassages {
    pub(crate) fn new(version: LiveVersion, passages: Vec<IndexedPassage>) -> Result<Self> {
        let dimensions = passages.first().map_or(0, |passage| passage.embedding.len());
        if passages.iter().any(|passage| passage.embedding.len() != dimensions) {
            return Err(Error::internal(format!("document {} has vectors of different lengths", version.document)));
        }
        let mut vectors = Vec::with_capacity(passages.len() * dimensions);
        let mut kept = Vec::with_capacity(passages.len());
        let mut bytes = size_of::<Self>() + version.title.len() + 64 * version.metadata.len();
        let mut words = 0;
        for passage in passages {
            vectors.extend_from_slice(&passage.embedding);
            words += u64::from(passage.word_count);
            bytes += size_of::<Passage>() + passage.text.len() + passage.heading.as_ref().map_or(0, String::len);
            kept.push(Passage {
                id: passage.id,
                ordinal: passage.ordinal,
                start: passage.start,
                end: passage.end,
                heading: passage.heading.map(String::into_boxed_str),
                text: passage.text.into_boxed_str(),
            });
        }
        bytes += vectors.len() * size_of::<f32>();
        Ok(Self {
            id: version.document,
            version: version.version,
            title: version.title,
            metadata: version.metadata,
            passages: kept,
            vectors,
            dimensions,
            words,
            bytes,
        })
    }

    pub(crate) fn passage(&self, ordinal: u32) -> Option<&Passage> {
        self.passages.get(usize::try_from(ordinal).ok()?).filter(|passage| passage.ordinal == ordinal)
    }
}

/// Which vectors a view has: queries must be embedded by the same model. While a collection changes its embedding model, each process
/// goes on with the vectors from before until it has read the new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VectorsOf {
    pub(crate) generation: u64,
    pub(crate) model: String,
    /// Numbers in a vector; `None` when there was none when the collection was read.
    pub(crate) dimensions: Option<usize>,
}

/// A collection at one moment. Searches hold it while the follower makes the next one.
#[derive(Debug, Default)]
pub(crate) struct CollectionView {
    /// By id.
    pub(crate) documents: Vec<Arc<DocumentPassages>>,
    pub(crate) passages: usize,
    pub(crate) words: u64,
    pub(crate) vectors_of: Arc<VectorsOf>,
    bytes: usize,
}

impl CollectionView {
    pub(crate) fn new(mut documents: Vec<Arc<DocumentPassages>>) -> Self {
        documents.sort_by_key(|document| document.id);
        let passages = documents.iter().map(|document| document.passages.len()).sum();
        let words = documents.iter().map(|document| document.words).sum();
        let bytes = documents.iter().map(|document| document.bytes).sum();
        Self { documents, passages, words, bytes, vectors_of: Arc::default() }
    }

    pub(crate) fn with_vectors_of(self, vectors_of: Arc<VectorsOf>) -> Self {
        Self { vectors_of, ..self }
    }

    /// Where a document stands in `documents`.
    pub(crate) fn place(&self, id: KnowledgeDocumentId) -> Option<usize> {
        self.documents.binary_search_by_key(&id, |document| document.id).ok()
    }

    /// The same with some documents replaced, added, or (`None`) removed.
    fn changed(&self, changes: &HashMap<KnowledgeDocumentId, Option<Arc<DocumentPassages>>>) -> Self {
        let kept = self.documents.iter().filter(|document| !changes.contains_key(&document.id)).cloned();
        Self::new(kept.chain(changes.values().flatten().cloned()).collect())
            .with_vectors_of(Arc::clone(&self.vectors_of))
    }
}

/// What is known of a document after an event.
#[derive(Debug)]
pub(crate) enum DocumentChange {
    /// Its searchable version, or none any more.
    Now(Option<Arc<DocumentPassages>>),
    /// It was not read, for its collection was not in memory then.
    Unread,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Empty,
    /// Being read from SQL; the follower notes what changed meanwhile.
    Loading(HashSet<KnowledgeDocumentId>),
    Loaded(Arc<CollectionView>),
}

/// A collection's place in memory.
#[derive(Default)]
pub(crate) struct Slot {
    /// Held by the one task that loads it.
    pub(crate) loading: tokio::sync::Mutex<()>,
    state: Mutex<SlotState>,
    used: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is replaced whole, so that a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    pub(crate) fn loaded(&self) -> Option<Arc<CollectionView>> {
        match &*lock(&self.state) {
            SlotState::Loaded(view) => Some(Arc::clone(view)),
            _ => None,
        }
    }

    /// From now on the follower notes changes here.
    pub(crate) fn begin_loading(&self) {
        *lock(&self.state) = SlotState::Loading(HashSet::new());
    }

    pub(crate) fn give_up_loading(&self) {
        *lock(&self.state) = SlotState::Empty;
    }

    /// Publishes what was loaded, unless documents changed meanwhile: these are returned, and must be read again first.
    pub(crate) fn finish_loading(&self, view: &Arc<CollectionView>) -> Vec<KnowledgeDocumentId> {
        let mut state = lock(&self.state);
        match &mut *state {
            SlotState::Loading(changed) if !changed.is_empty() => changed.drain().collect(),
            _ => {
                *state = SlotState::Loaded(Arc::clone(view));
                Vec::new()
            }
        }
    }

    /// Puts another view in the place of the loaded one; `false` when none is loaded.
    fn replace(&self, view: &Arc<CollectionView>) -> bool {
        let mut state = lock(&self.state);
        match &mut *state {
            SlotState::Loaded(loaded) => {
                *loaded = Arc::clone(view);
                true
            }
            _ => false,
        }
    }

    fn is_empty(&self) -> bool {
        matches!(*lock(&self.state), SlotState::Empty)
    }

    fn bytes(&self) -> usize {
        self.loaded().map_or(0, |view| view.bytes)
    }

    fn apply(&self, changes: HashMap<KnowledgeDocumentId, DocumentChange>) {
        let mut state = lock(&self.state);
        match &mut *state {
            SlotState::Empty => {}
            SlotState::Loading(changed) => changed.extend(changes.into_keys()),
            SlotState::Loaded(view) => {
                // An unread document changed before this collection was loaded, so that the view has it already.
                let now = changes
                    .into_iter()
                    .filter_map(|(id, change)| match change {
                        DocumentChange::Now(document) => Some((id, document)),
                        DocumentChange::Unread => None,
                    })
                    .collect();
                *view = Arc::new(view.changed(&now));
            }
        }
    }
}

/// The collections that this process has in memory, up to a number of bytes.
pub(crate) struct Memory {
    slots: Mutex<HashMap<CollectionId, Arc<Slot>>>,
    uses: AtomicU64,
    bytes_max: usize,
}

impl Memory {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { slots: Mutex::default(), uses: AtomicU64::new(0), bytes_max }
    }

    /// The collection's place, empty if it is new; counts as a use.
    pub(crate) fn slot(&self, collection: CollectionId) -> Arc<Slot> {
        let slot = Arc::clone(lock(&self.slots).entry(collection).or_default());
        slot.used.store(self.uses.fetch_add(1, atomic::Ordering::Relaxed), atomic::Ordering::Relaxed);
        slot
    }

    /// Whether the follower must read the collection's changed documents with their vectors.
    pub(crate) fn holds(&self, collection: CollectionId) -> bool {
        lock(&self.slots).get(&collection).is_some_and(|slot| !slot.is_empty())
    }

    pub(crate) fn apply(&self, collection: CollectionId, changes: HashMap<KnowledgeDocumentId, DocumentChange>) {
        let slot = lock(&self.slots).get(&collection).cloned();
        if let Some(slot) = slot {
            slot.apply(changes);
        }
    }

    /// Shows a collection with other vectors. Whoever loads it just now keeps what it has read for one search.
    pub(crate) fn replace(&self, collection: CollectionId, view: &Arc<CollectionView>) {
        let slot = lock(&self.slots).get(&collection).cloned();
        if slot.is_some_and(|slot| !slot.replace(view)) {
            self.forget(collection);
        }
    }

    pub(crate) fn forget(&self, collection: CollectionId) {
        lock(&self.slots).remove(&collection);
    }

    /// Drops collections that were not searched for the longest time until the rest fits; `keep` stays.
    pub(crate) fn make_room(&self, keep: CollectionId) {
        let mut slots = lock(&self.slots);
        let mut others: Vec<(u64, usize, CollectionId)> = slots
            .iter()
            .filter(|(id, _)| **id != keep)
            .map(|(id, slot)| (slot.used.load(atomic::Ordering::Relaxed), slot.bytes(), *id))
            .filter(|(_, bytes, _)| *bytes > 0)
            .collect();
        others.sort_by(|left, right| match left.0.cmp(&right.0) {
            Ordering::Equal => left.2.cmp(&right.2),
            order => order,
        });
        let mut total: usize = slots.values().map(|slot| slot.bytes()).sum();
        for (_, bytes, id) in others {
            if total <= self.bytes_max {
                return;
            }
            slots.remove(&id);
            total = total.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: u128, version: u32, texts: &[&str]) -> Arc<DocumentPassages> {
        let live = LiveVersion {
            document: KnowledgeDocumentId::from_bits(id),
            version,
            title: format!("document {id}"),
            metadata: Metadata::new(),
        };
        let passages = texts
            .iter()
            .enumerate()
            .map(|(ordinal, text)| IndexedPassage {
                id: ChunkId::from_bits(id * 1_000 + ordinal as u128),
                ordinal: u32::try_from(ordinal).unwrap(),
                start: 0,
                end: 1,
                heading: None,
                word_count: 2,
                text: (*text).to_owned(),
                embedding: vec![1.0, 0.0],
            })
            .collect();
        Arc::new(DocumentPassages::new(live, passages).unwrap())
    }

    fn collection(number: u128) -> CollectionId {
        CollectionId::from_bits(number)
    }

    fn load(memory: &Memory, number: u128, view: CollectionView) {
        let slot = memory.slot(collection(number));
        slot.begin_loading();
        assert!(slot.finish_loading(&Arc::new(view)).is_empty());
        memory.make_room(collection(number));
    }

    #[test]
    fn a_change_replaces_whole_documents() {
        let view = CollectionView::new(vec![document(2, 1, &["b"]), document(1, 1, &["a", "a2"])]);
        assert_eq!((view.passages, view.words), (3, 6));
        let changes = HashMap::from([
            (KnowledgeDocumentId::from_bits(1), Some(document(1, 2, &["new"]))),
            (KnowledgeDocumentId::from_bits(2), None),
            (KnowledgeDocumentId::from_bits(3), Some(document(3, 1, &["c"]))),
        ]);
        let changed = view.changed(&changes);
        assert_eq!(changed.passages, 2);
        let document = |id| changed.place(KnowledgeDocumentId::from_bits(id)).map(|place| &changed.documents[place]);
        assert_eq!(document(1).unwrap().version, 2);
        assert!(document(2).is_none());
        assert!(document(3).unwrap().passage(1).is_none());
    }

    #[test]
    fn what_changes_while_loading_is_read_again() {
        let memory = Memory::new(usize::MAX);
        let slot = memory.slot(collection(1));
        assert!(!memory.holds(collection(1)));
        slot.begin_loading();
        assert!(memory.holds(collection(1)));
        let id = KnowledgeDocumentId::from_bits(5);
        memory.apply(collection(1), HashMap::from([(id, DocumentChange::Unread)]));
        let view = Arc::new(CollectionView::default());
        assert_eq!(slot.finish_loading(&view), [id]);
        assert!(slot.loaded().is_none());
        assert!(slot.finish_loading(&view).is_empty());
        assert!(slot.loaded().is_some());
    }

    #[test]
    fn the_longest_unused_collection_makes_room() {
        let one = CollectionView::new(vec![document(1, 1, &["text"])]).bytes;
        let memory = Memory::new(2 * one);
        for number in 1..=2 {
            load(&memory, number, CollectionView::new(vec![document(1, 1, &["text"])]));
        }
        memory.slot(collection(1));
        load(&memory, 3, CollectionView::new(vec![document(1, 1, &["text"])]));
        assert!(memory.holds(collection(1)));
        assert!(!memory.holds(collection(2)));
        assert!(memory.holds(collection(3)));
    }
}
