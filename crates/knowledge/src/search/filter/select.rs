//! Which documents of a view a search may show, remembered with the view.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasherDefault, Hasher},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use plasma_kernel::{TeamId, UserId};
use plasma_models::near_names;

use super::{Documents, Field, Filter, FilterKey, Node, Operand, Test, columns::Column};
use crate::{
    access::Viewer,
    index::low_bits,
    limits,
    search::allowed::{Allowed, Bitmap},
};

/// Up to so many documents each of them is looked at: columns would cost more than they save.
const LOOKED_AT_MAX: usize = 256;
/// Columns and selections that a view remembers; beyond it they are forgotten and made again.
const COLUMNS_MAX: usize = 64;
const SELECTIONS_MAX: usize = 512;
/// Bytes of selections that a view remembers: a bit for each document and each vector.
const SELECTIONS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Up to so many documents their places are also kept by the lower halves of their ids: 24 bytes for each.
const BY_LOW_MAX: usize = 1_000_000;
/// Unknown names that a search warns of.
const WARNINGS_MAX: usize = 8;

/// What may be shown.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    /// `None`: every document of the view.
    pub(crate) allowed: Option<Arc<Allowed>>,
    /// What should be known about the filter.
    pub(crate) warnings: Vec<String>,
}

/// Places of documents by the lower halves of their ids, which are random already.
type PlacesByLow = HashMap<u64, u32, BuildHasherDefault<LowHasher>>;

/// What is remembered of a view for filters and permissions. Made when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Selections {
    columns: Mutex<HashMap<Field, Arc<Column>>>,
    readers: OnceLock<Readers>,
    selections: Mutex<HashMap<(FilterKey, Viewer), Arc<Selection>>>,
    by_low: OnceLock<PlacesByLow>,
}

impl Clone for Selections {
    /// Nothing: a view is copied to be changed, and what is known of the one does not hold for the other.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Takes the bits as they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LowHasher(u64);

impl Hasher for LowHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits;
    }
}

/// Who may see which documents of a view.
#[derive(Debug)]
struct Readers {
    /// Documents that everybody may see.
    open: Bitmap,
    /// Whether there are others.
    restricts: bool,
    users: HashMap<UserId, Vec<usize>>,
    teams: HashMap<TeamId, Vec<usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each entry is inserted whole, so that a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Selections {
    /// What of the view `documents`, whose own this is, the filter lets through and the viewer may see.
    pub(crate) fn select(&self, documents: &dyn Documents, filter: &Filter, viewer: &Viewer) -> Arc<Selection> {
        let sees_all = matches!(viewer, Viewer::All) || !self.readers(documents).restricts;
        if filter.is_empty() && sees_all {
            return Arc::default();
        }
        // Where nothing is restricted, all viewers share what is remembered.
        let viewer = if sees_all { &Viewer::All } else { viewer };
        let key = (filter.key, viewer.clone());
        if let Some(known) = lock(&self.selections).get(&key) {
            return Arc::clone(known);
        }
        let selection = Arc::new(self.make(documents, filter, viewer));
        let mut selections = lock(&self.selections);
        if selections.len() >= self.selections_max(documents) {
            selections.clear();
        }
        selections.insert(key, Arc::clone(&selection));
        selection
    }

    /// How many selections are remembered of a view of this size.
    fn selections_max(&self, documents: &dyn Documents) -> usize {
        // A document has some passages, each with a vector.
        let bytes = documents.count() / 2 + 512;
        (SELECTIONS_BYTES_MAX / bytes).clamp(4, SELECTIONS_MAX)
    }

    /// Places by the lower halves of ids; `None` for a view that is too large for that.
    pub(super) fn places_by_low(&self, documents: &dyn Documents) -> Option<&PlacesByLow> {
        if documents.count() > BY_LOW_MAX {
            return None;
        }
        let places = self.by_low.get_or_init(|| {
            let places = (0..documents.count()).zip(0_u32..);
            let by_low = places.filter_map(|(at, place)| documents.fields(at).map(|found| (low_bits(found.id), place)));
            by_low.collect()
        });
        Some(places)
    }

    fn make(&self, documents: &dyn Documents, filter: &Filter, viewer: &Viewer) -> Selection {
        let visible = self.visible(documents, viewer);
        let mut places = if documents.count() <= LOOKED_AT_MAX {
            looked_at(documents, filter)
        } else {
            self.places(documents, &filter.root)
        };
        places.intersect(&visible);
        let passages_of = |place: usize| documents.fields(place).map_or(0, |document| document.passages);
        Selection {
            allowed: Some(Arc::new(Allowed::new(places, passages_of))),
            warnings: self.warnings(documents, filter, &visible),
        }
    }

    fn readers(&self, documents: &dyn Documents) -> &Readers {
        self.readers.get_or_init(|| {
            let mut readers = Readers {
                open: Bitmap::empty(documents.count()),
                restricts: false,
                users: HashMap::new(),
                teams: HashMap::new(),
            };
            for place in 0..documents.count() {
                let Some(document) = documents.fields(place) else { continue };
                let Some(access) = document.access else {
                    readers.open.insert(place);
                    continue;
                };
                readers.restricts = true;
                access.users.iter().for_each(|user| readers.users.entry(*user).or_default().push(place));
                access.teams.iter().for_each(|team| readers.teams.entry(*team).or_default().push(place));
            }
            readers
        })
    }

    /// The documents that the viewer may see.
    fn visible(&self, documents: &dyn Documents, viewer: &Viewer) -> Bitmap {
        let Viewer::Reader { user, teams } = viewer else { return Bitmap::full(documents.count()) };
        let readers = self.readers(documents);
        let mut visible = readers.open.clone();
        let own = user.iter().filter_map(|user| readers.users.get(user));
        let shared = teams.iter().filter_map(|team| readers.teams.get(team));
        own.chain(shared).flatten().for_each(|place| visible.insert(*place));
        visible
    }

    fn column(&self, documents: &dyn Documents, field: &Field) -> Arc<Column> {
        if let Some(column) = lock(&self.columns).get(field) {
            return Arc::clone(column);
        }
        // Without the lock: others go on with the columns that there are. Two may make the same, which is rare and harmless.
        let column = Arc::new(Column::build(field, documents));
        let mut columns = lock(&self.columns);
        if columns.len() >= COLUMNS_MAX {
            columns.clear();
        }
        columns.insert(field.clone(), Arc::clone(&column));
        column
    }

    fn places(&self, documents: &dyn Documents, node: &Node) -> Bitmap {
        let count = documents.count();
        match node {
            Node::All(nodes) => {
                let mut places = Bitmap::full(count);
                for node in nodes {
                    places.intersect(&self.places(documents, node));
                    if places.is_empty() {
                        break;
                    }
                }
                places
            }
            Node::Any(nodes) => {
                let mut places = Bitmap::empty(count);
                nodes.iter().for_each(|node| places.unite(&self.places(documents, node)));
                places
            }
            Node::Not(node) => {
                let mut places = self.places(documents, node);
                places.invert();
                places
            }
            Node::Test(Field::DocumentId, test) => places_of_ids(documents, test),
            Node::Test(field, test) => self.column(documents, field).matching(test, count),
        }
    }

    /// Names of metadata that no visible document has, as a mistyped one would be. Names of others are not told.
    fn warnings(&self, documents: &dyn Documents, filter: &Filter, visible: &Bitmap) -> Vec<String> {
        if visible.is_empty() {
            return Vec::new();
        }
        let unknown: Vec<&str> =
            filter.names().into_iter().filter(|name| !self.is_known(documents, name, visible)).collect();
        if unknown.is_empty() {
            return Vec::new();
        }
        let seen = visible.iter().filter_map(|place| documents.fields(place));
        let known: BTreeSet<&str> = seen.flat_map(|document| document.metadata.keys().map(String::as_str)).collect();
        let known: Vec<String> = known.into_iter().map(str::to_owned).collect();
        unknown.into_iter().take(WARNINGS_MAX).map(|name| unknown_name(name, &known)).collect()
    }

    fn is_known(&self, documents: &dyn Documents, name: &str, visible: &Bitmap) -> bool {
        if documents.count() > LOOKED_AT_MAX {
            return self.column(documents, &Field::Metadata(name.to_owned())).present().meets(visible);
        }
        let mut seen = visible.iter().filter_map(|place| documents.fields(place));
        seen.any(|document| document.metadata.contains_key(name))
    }
}

/// The same as [`Selections::places`], by looking at each document.
pub(super) fn looked_at(documents: &dyn Documents, filter: &Filter) -> Bitmap {
    let mut places = Bitmap::empty(documents.count());
    for place in 0..documents.count() {
        if documents.fields(place).is_some_and(|document| filter.accepts(&document)) {
            places.insert(place);
        }
    }
    places
}

/// The documents of a view are sorted by their ids.
fn places_of_ids(documents: &dyn Documents, test: &Test) -> Bitmap {
    let mut places = Bitmap::empty(documents.count());
    match test {
        Test::Exists(true) => places.invert(),
        Test::AnyOf(operands) => {
            for operand in operands {
                if let Operand::Document(id) = operand
                    && let Some(place) = documents.place_of(*id)
                {
                    places.insert(place);
                }
            }
        }
        // Other tests are not read for ids.
        _ => {}
    }
    places
}

fn unknown_name(name: &str, known: &[String]) -> String {
    let near = near_names(name, known);
    let name: String = name.chars().take(limits::METADATA_NAME_CHARS_MAX).collect();
    if known.is_empty() {
        return format!("no document has the metadata field `{name}`; none has any");
    }
    let names: Vec<&str> = known.iter().map(String::as_str).take(limits::METADATA_FIELDS_MAX).collect();
    let meant = near.first().map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    format!("no document has the metadata field `{name}`; {meant}there are: {}", names.join(", "))
}

#[cfg(test)]
impl Selections {
    /// By columns, however few documents there are.
    pub(super) fn indexed(&self, documents: &dyn Documents, filter: &Filter) -> Bitmap {
        self.places(documents, &filter.root)
    }
}
