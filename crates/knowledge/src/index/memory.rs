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
    language::Language,
    vectors::CollectionVectors,
};
use crate::{Access, Metadata, metadata, search::filter::select::Selections, store::versions::LiveVersion};

/// The searchable version of a document. It never changes: another version is another value.
#[derive(Debug)]
pub(crate) struct DocumentEntry {
    pub(crate) id: KnowledgeDocumentId,
    pub(crate) version: u32,
    pub(crate) title: String,
    pub(crate) metadata: Metadata,
    /// By whose rules its words are compared.
    pub(crate) language: Language,
    /// When the document was first brought.
    pub(crate) created_at: Timestamp,
    /// When this version was brought.
    pub(crate) updated_at: Timestamp,
    /// Who may see it; `None`: everybody.
    pub(crate) access: Option<Access>,
    /// Their ordinals are 0 to this number, which is not included.
    pub(crate) passages: u32,
}

impl From<LiveVersion> for DocumentEntry {
    fn from(version: LiveVersion) -> Self {
        Self {
            id: version.document,
            version: version.version,
            title: version.title,
            metadata: version.metadata,
            language: version.language,
            created_at: version.created_at,
            updated_at: version.updated_at,
            access: version.access,
            passages: version.passages,
        }
    }
}

impl DocumentEntry {
    fn bytes(&self) -> usize {
        // The entry itself, and its places in the two lists.
        let readers = self.access.as_ref().map_or(0, |access| access.users.len() + access.teams.len());
        size_of::<Self>() + 64 + self.title.len() + metadata::bytes(&self.metadata) + size_of::<u128>() * readers
    }
}

impl Keyed for Arc<DocumentEntry> {
    fn key(&self) -> u128 {
        self.id.bits()
    }
}

/// Which vectors a view has: queries must be embedded by the same model. While a collection changes its embedding model, each process
/// goes on with the vectors from before until it has an index of the new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct VectorsOf {
    pub(crate) generation: u64,
    pub(crate) model: String,
    /// Numbers in a vector; `None` when there was none when the collection was read.
    pub(crate) dimensions: Option<usize>,
}

/// A collection at one moment. Searches hold it while the follower makes the next one.
#[derive(Clone, Debug, Default)]
pub(crate) struct CollectionView {
    /// By id. A place in this list is how everything in a search names a document.
    pub(crate) documents: Blocks<Arc<DocumentEntry>>,
    /// The documents' ids with their halves exchanged.
    lows: Blocks<u128>,
    pub(crate) passages: usize,
    /// The vectors of the same moment; `None` when there are none, or none that can be read.
    pub(crate) vectors: Option<Arc<View>>,
    /// What is remembered for filters and permissions.
    pub(crate) selections: Selections,
    pub(crate) vectors_of: Arc<VectorsOf>,
    bytes: usize,
}

impl CollectionView {
    pub(crate) fn new(documents: Vec<Arc<DocumentEntry>>, vectors: Option<Arc<View>>) -> Self {
        let passages = documents.iter().map(|document| document.passages as usize).sum();
        let bytes = documents.iter().map(|document| document.bytes()).sum();
        let lows = Blocks::new(documents.iter().map(|document| low_first(document.id)).collect());
        let documents = Blocks::new(documents);
        let (vectors_of, selections) = (Arc::default(), Selections::default());
        Self { documents, lows, passages, vectors, vectors_of, selections, bytes }
    }

    pub(crate) fn with_vectors_of(self, vectors_of: Arc<VectorsOf>) -> Self {
        Self { vectors_of, ..self }
    }

    /// Whether there are vectors in SQL, but none here.
    pub(crate) fn lacks_vectors(&self) -> bool {
        self.vectors.is_none() && self.vectors_of.dimensions.is_some() && self.passages > 0
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

    pub(crate) fn document(&self, id: KnowledgeDocumentId) -> Option<&Arc<DocumentEntry>> {
        self.documents.get(self.place(id)?)
    }

    /// The same with some documents replaced, added or removed, and other vectors.
    fn changed(&self, changes: &CollectionChanges) -> Self {
        let (mut documents, mut lows) = (BTreeMap::new(), BTreeMap::new());
        let mut changed = self.clone();
        // Those of another generation take the place of these also when there are none.
        let are_others = changes.vectors_of.as_ref().is_some_and(|of| of.generation != self.vectors_of.generation);
        if changes.vectors.is_some() || are_others {
            changed.vectors.clone_from(&changes.vectors);
        }
        if let Some(vectors_of) = &changes.vectors_of {
            changed.vectors_of = Arc::clone(vectors_of);
        }
        for (id, now) in &changes.documents {
            let before = self.document(*id);
            // The view may have been read later than the change; what the change lacks comes with another event.
            if before.zip(now.as_ref()).is_some_and(|(before, now)| now.version < before.version) {
                continue;
            }
            if let Some(before) = before {
                changed.passages = changed.passages.saturating_sub(before.passages as usize);
                changed.bytes = changed.bytes.saturating_sub(before.bytes());
            }
            if let Some(now) = now {
                changed.passages += now.passages as usize;
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
    /// Which they are; `None` when the view's vectors stay as they are.
    pub(crate) vectors_of: Option<Arc<VectorsOf>>,
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

    /// Puts another view of vectors in place, or none.
    pub(crate) fn show_vectors(&self, vectors: Option<Arc<View>>, vectors_of: Arc<VectorsOf>) {
        let mut state = lock(&self.state);
        if let SlotState::Loaded(view) = &mut *state {
            *view = Arc::new(CollectionView { vectors, vectors_of, ..CollectionView::clone(view) });
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
            language: Language::default(),
            created_at: 0,
            updated_at: 0,
            access: None,
            passages,
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
        CollectionChanges { documents, ..CollectionChanges::default() }
    }

    #[test]
    fn a_change_replaces_whole_documents() {
        let high = 9_u128 << 64;
        let view = CollectionView::new(vec![document(2, 1, 1), document(high | 1, 1, 2)], None);
        assert_eq!(view.passages, 3);
        let changed = view.changed(&changes([
            (high | 1, Some(document(high | 1, 2, 1))),
            (2, None),
            (high | 3, Some(document(high | 3, 1, 1))),
        ]));
        assert_eq!((changed.passages, changed.documents.len()), (2, 2));
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
