//! Collections in memory: their documents without texts, and a view of their vectors. Loaded by the first search and kept up to
//! date by the follower.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{self, AtomicU64},
    },
};

use plasma_kernel::{CollectionId, KnowledgeDocumentId, Timestamp};
use plasma_vectors::View;

use super::{
    blocks::{Blocks, Keyed},
    vectors::CollectionVectors,
};
use crate::{Metadata, store::versions::LiveVersion};

/// A guess of what a metadata field takes in memory.
const METADATA_FIELD_BYTES: usize = 64;

/// The searchable version of a document. It never changes: another version is another value.
#[derive(Debug)]
pub(crate) struct DocumentEntry {
    pub(crate) id: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) metadata: Metadata,
    /// When the document was first brought.
    pub(crate) created_at: Timestamp,
    /// When this version was brought.
    pub(crate) updated_at: Timestamp,
    /// Their ordinals are 0 to this number, which is not included.
    pub(crate) passages: u32,
    /// Words of its passages, as the text index counts them.
    pub(crate) words: u64,
}

impl From<LiveVersion> for DocumentEntry {
    fn from(version: LiveVersion) -> Self {
        Self {
            id: version.document,
            version: version.version,
            title: version.title,
            metadata: version.metadata,
            created_at: version.created_at,
            updated_at: version.updated_at,
            passages: version.passages,
            words: version.words,
        }
    }
}

impl DocumentEntry {
    fn bytes(&self) -> usize {
        // The entry itself, and its places in the two lists.
        size_of::<Self>() + 64 + self.title.len() + METADATA_FIELD_BYTES * self.metadata.len()
    }
}

impl Keyed for Arc<DocumentEntry> {
    fn key(&self) -> u128 {
        self.id.bits()
    }
}

/// A collection at one moment. Searches hold it while the follower makes the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct CollectionView {
    /// By id. A place in this list is how everything in a search names a document.
    pub(crate) documents: Blocks<Arc<DocumentEntry>>,
    /// The documents' ids with their halves exchanged.
    lows: Blocks<u128>,
    pub(crate) passages: usize,
    pub(crate) words: u64,
    /// The vectors of the same moment; `None` when there are none, or none that can be read.
    pub(crate) vectors: Option<Arc<View>>,
    bytes: usize,
}

impl CollectionView {
    pub(crate) fn new(documents: Vec<Arc<DocumentEntry>>, vectors: Option<Arc<View>>) -> Self {
        let passages = documents.iter().map(|document| document.passages as usize).sum();
        let words = documents.iter().map(|document| document.words).sum();
        let bytes = documents.iter().map(|document| document.bytes()).sum();
        let lows = Blocks::new(documents.iter().map(|document| low_first(document.id)).collect());
        Self { documents: Blocks::new(documents), lows, passages, words, vectors, bytes }
    }

    /// Where a document stands in `documents`.
    pub(crate) fn place(&self, id: KnowledgeDocumentId) -> Option<usize> {
        self.documents.place(id.bits())
    }

    /// Where the document stands whose id ends in these 64 bits.
    pub(crate) fn place_of_low(&self, low: u64) -> Option<usize> {
        let found = self.lows.first_from(u128::from(low) << 64)?;
        (found >> 64 == u128::from(low))
            .then(|| KnowledgeDocumentId::from_bits(low_first_undone(*found)))
            .and_then(|id| self.place(id))
    }

    fn document(&self, id: KnowledgeDocumentId) -> Option<&Arc<DocumentEntry>> {
        self.documents.get(self.place(id)?)
    }

    /// The same with some documents replaced, added or removed, and other vectors.
    fn changed(&self, changes: &CollectionChanges) -> Self {
        let (mut documents, mut lows) = (BTreeMap::new(), BTreeMap::new());
        let mut changed = self.clone();
        if changes.vectors.is_some() {
            changed.vectors.clone_from(&changes.vectors);
        }
        for (id, now) in &changes.documents {
            let before = self.document(*id);
            // The view may have been read later than the change; what the change lacks comes with another event.
            if before.zip(now.as_ref()).is_some_and(|(before, now)| now.version < before.version) {
                continue;
            }
            if let Some(before) = before {
                changed.passages = changed.passages.saturating_sub(before.passages as usize);
                changed.words = changed.words.saturating_sub(before.words);
                changed.bytes = changed.bytes.saturating_sub(before.bytes());
            }
            if let Some(now) = now {
                changed.passages += now.passages as usize;
                changed.words += now.words;
                changed.bytes += now.bytes();
            }
            documents.insert(id.bits(), now.clone());
            lows.insert(low_first(*id), now.as_ref().map(|_| low_first(*id)));
        }
        changed.documents = self.documents.changed(&documents);
        changed.lows = self.lows.changed(&lows);
        changed
    }
}

/// An id with its lower half in front, so that ids are found by it.
fn low_first(id: KnowledgeDocumentId) -> u128 {
    id.bits().rotate_left(64)
}

fn low_first_undone(bits: u128) -> u128 {
    bits.rotate_left(64)
}

/// What a turn of the follower changes of a collection.
#[derive(Debug, Default)]
pub(crate) struct CollectionChanges {
    /// Each changed document's searchable version, or none any more.
    pub(crate) documents: HashMap<KnowledgeDocumentId, Option<Arc<DocumentEntry>>>,
    /// The vectors after these changes, if they are open.
    pub(crate) vectors: Option<Arc<View>>,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Empty,
    /// Being read from SQL; the follower notes what changed meanwhile.
    Loading(HashSet<KnowledgeDocumentId>),
    Loaded(Arc<CollectionView>),
}

/// A collection's place in memory. It stays while the collection exists: it sees to it that a folder of vectors is opened once.
#[derive(Default)]
pub(crate) struct Slot {
    /// Held by the one task that loads it.
    pub(crate) loading: tokio::sync::Mutex<()>,
    pub(crate) vectors: CollectionVectors,
    state: Mutex<SlotState>,
    used: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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

    fn apply(&self, changes: CollectionChanges) {
        let mut state = lock(&self.state);
        match &mut *state {
            SlotState::Empty => {}
            SlotState::Loading(changed) => changed.extend(changes.documents.into_keys()),
            SlotState::Loaded(view) => *view = Arc::new(view.changed(&changes)),
        }
    }

    /// Puts another view of the same vectors in place, or none.
    pub(crate) fn show_vectors(&self, vectors: Option<Arc<View>>) {
        let mut state = lock(&self.state);
        if let SlotState::Loaded(view) = &mut *state {
            *view = Arc::new(CollectionView { vectors, ..CollectionView::clone(view) });
        }
    }

    fn bytes(&self) -> usize {
        self.loaded().map_or(0, |view| view.bytes) + self.vectors.memory_bytes()
    }

    /// Gives the memory back, unless someone is at work here.
    fn unload(&self) {
        if self.vectors.close_if_idle() {
            let mut state = lock(&self.state);
            if matches!(&*state, SlotState::Loaded(_)) {
                *state = SlotState::Empty;
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

    /// The collection's place, empty if it is new.
    pub(crate) fn slot(&self, collection: CollectionId) -> Arc<Slot> {
        Arc::clone(lock(&self.slots).entry(collection).or_default())
    }

    /// The same, and counts as a use.
    pub(crate) fn used_slot(&self, collection: CollectionId) -> Arc<Slot> {
        let slot = self.slot(collection);
        slot.used.store(self.uses.fetch_add(1, atomic::Ordering::Relaxed), atomic::Ordering::Relaxed);
        slot
    }

    /// All places.
    pub(crate) fn slots(&self) -> Vec<(CollectionId, Arc<Slot>)> {
        lock(&self.slots).iter().map(|(collection, slot)| (*collection, Arc::clone(slot))).collect()
    }

    pub(crate) fn apply(&self, collection: CollectionId, changes: CollectionChanges) {
        let slot = lock(&self.slots).get(&collection).cloned();
        if let Some(slot) = slot {
            slot.apply(changes);
        }
    }

    /// Takes a deleted collection out.
    pub(crate) fn forget(&self, collection: CollectionId) {
        lock(&self.slots).remove(&collection);
    }

    /// Lets go of collections that were not searched for the longest time until the rest fits; `keep` stays.
    pub(crate) fn make_room(&self, keep: Option<CollectionId>) {
        let slots = self.slots();
        let mut total: usize = slots.iter().map(|(_, slot)| slot.bytes()).sum();
        if total <= self.bytes_max {
            return;
        }
        let mut others: Vec<(u64, CollectionId, Arc<Slot>)> = slots
            .into_iter()
            .filter(|(id, slot)| Some(*id) != keep && slot.bytes() > 0)
            .map(|(id, slot)| (slot.used.load(atomic::Ordering::Relaxed), id, slot))
            .collect();
        others.sort_by_key(|(used, id, _)| (*used, *id));
        for (_, _, slot) in others {
            if total <= self.bytes_max {
                return;
            }
            let before = slot.bytes();
            slot.unload();
            total = total.saturating_sub(before.saturating_sub(slot.bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(id: u128, version: u32, passages: u32) -> Arc<DocumentEntry> {
        Arc::new(DocumentEntry {
            id: KnowledgeDocumentId::from_bits(id),
            version,
            title: format!("document {id}"),
            metadata: Metadata::new(),
            created_at: 0,
            updated_at: 0,
            passages,
            words: 2 * u64::from(passages),
        })
    }

    fn collection(number: u128) -> CollectionId {
        CollectionId::from_bits(number)
    }

    fn load(memory: &Memory, number: u128, view: CollectionView) {
        let slot = memory.used_slot(collection(number));
        slot.begin_loading();
        assert!(slot.finish_loading(&Arc::new(view)).is_empty());
        memory.make_room(Some(collection(number)));
    }

    fn changes(documents: impl IntoIterator<Item = (u128, Option<Arc<DocumentEntry>>)>) -> CollectionChanges {
        let documents = documents.into_iter().map(|(id, now)| (KnowledgeDocumentId::from_bits(id), now)).collect();
        CollectionChanges { documents, vectors: None }
    }

    #[test]
    fn a_change_replaces_whole_documents() {
        let high = 9_u128 << 64;
        let view = CollectionView::new(vec![document(2, 1, 1), document(high | 1, 1, 2)], None);
        assert_eq!((view.passages, view.words), (3, 6));
        let changed = view.changed(&changes([
            (high | 1, Some(document(high | 1, 2, 1))),
            (2, None),
            (high | 3, Some(document(high | 3, 1, 1))),
        ]));
        assert_eq!((changed.passages, changed.words, changed.documents.len()), (2, 4, 2));
        let version = |id| changed.document(KnowledgeDocumentId::from_bits(id)).map(|document| document.version);
        assert_eq!([version(high | 1), version(2), version(high | 3)], [Some(2), None, Some(1)]);
        assert_eq!(
            [changed.place_of_low(1), changed.place_of_low(2), changed.place_of_low(3)],
            [Some(0), None, Some(1)]
        );
        assert_eq!(changed.bytes, document(high | 1, 2, 1).bytes() + document(high | 3, 1, 1).bytes());
        // What was read before the view was does not undo it.
        let later = changed.changed(&changes([(high | 1, Some(document(high | 1, 1, 2)))]));
        assert_eq!((later.passages, later.documents.get(0).map(|document| document.version)), (2, Some(2)));
    }

    #[test]
    fn what_changes_while_loading_is_read_again() {
        let memory = Memory::new(usize::MAX);
        let slot = memory.slot(collection(1));
        slot.begin_loading();
        memory.apply(collection(1), changes([(5, None)]));
        let view = Arc::new(CollectionView::default());
        assert_eq!(slot.finish_loading(&view), [KnowledgeDocumentId::from_bits(5)]);
        assert!(slot.loaded().is_none());
        assert!(slot.finish_loading(&view).is_empty());
        assert!(slot.loaded().is_some());
    }

    #[test]
    fn the_longest_unused_collection_makes_room() {
        let one = CollectionView::new(vec![document(1, 1, 1)], None).bytes;
        let memory = Memory::new(2 * one);
        for number in 1..=2 {
            load(&memory, number, CollectionView::new(vec![document(1, 1, 1)], None));
        }
        memory.used_slot(collection(1));
        load(&memory, 3, CollectionView::new(vec![document(1, 1, 1)], None));
        let loaded = |number| memory.slot(collection(number)).loaded().is_some();
        assert!(loaded(1) && !loaded(2) && loaded(3));
    }
}
