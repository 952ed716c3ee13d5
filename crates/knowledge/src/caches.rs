use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use moka::sync::Cache;
use plasma_kernel::{CollectionId, Page, PageRequest, TenantId};

use crate::{nodes::placement::Placement, store::collections::StoredCollection, synonyms::Synonyms};

/// Tenants whose collections are remembered.
const TENANTS_MAX: u64 = 10_000;
/// Collections and pages remembered of one tenant; beyond it they are forgotten and read again.
const ENTRIES_MAX: usize = 1_000;
/// Collections of one tenant whose synonyms are remembered: the longest lists have some megabytes.
const SYNONYMS_MAX: usize = 100;

/// Collections as requests name them, and pages of their list, so that neither a search nor a list reads SQL.
///
/// A tenant's whole entry is dropped at each event of its knowledge: at once in the process that wrote it, within about a
/// second in others. Whoever reads SQL to fill an entry takes the entry first: when it is dropped meanwhile, what was read
/// goes with it.
pub(crate) struct TenantCaches {
    tenants: Cache<TenantId, Arc<TenantCache>>,
}

/// By limit and cursor. The counts are those of whoever sees all: each reader's own are made from them.
type Pages = HashMap<(u32, Option<String>), Page<StoredCollection>>;

/// What is remembered of one tenant.
#[derive(Default)]
pub(crate) struct TenantCache {
    collections: Mutex<HashMap<String, Arc<StoredCollection>>>,
    placements: Mutex<HashMap<CollectionId, Arc<Placement>>>,
    pages: Mutex<Pages>,
    synonyms: Mutex<HashMap<CollectionId, Arc<Synonyms>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each entry is inserted whole, so that a panic elsewhere leaves nothing half-done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TenantCaches {
    pub(crate) fn new() -> Self {
        Self { tenants: Cache::builder().max_capacity(TENANTS_MAX).build() }
    }

    pub(crate) fn of(&self, tenant: TenantId) -> Arc<TenantCache> {
        self.tenants.get_with(tenant, Arc::default)
    }

    pub(crate) fn forget(&self, tenant: TenantId) {
        self.tenants.invalidate(&tenant);
    }
}

impl TenantCache {
    pub(crate) fn collection(&self, reference: &str) -> Option<Arc<StoredCollection>> {
        lock(&self.collections).get(reference).cloned()
    }

    pub(crate) fn remember_collection(&self, reference: &str, collection: Arc<StoredCollection>) {
        let mut collections = lock(&self.collections);
        if collections.len() >= ENTRIES_MAX {
            collections.clear();
        }
        collections.insert(reference.to_owned(), collection);
    }

    pub(crate) fn synonyms(&self, collection: CollectionId) -> Option<Arc<Synonyms>> {
        lock(&self.synonyms).get(&collection).cloned()
    }

    pub(crate) fn remember_synonyms(&self, collection: CollectionId, synonyms: Arc<Synonyms>) {
        let mut known = lock(&self.synonyms);
        if known.len() >= SYNONYMS_MAX {
            known.clear();
        }
        known.insert(collection, synonyms);
    }

    pub(crate) fn placement(&self, collection: CollectionId) -> Option<Arc<Placement>> {
        lock(&self.placements).get(&collection).cloned()
    }

    pub(crate) fn remember_placement(&self, collection: CollectionId, placement: Arc<Placement>) {
        let mut placements = lock(&self.placements);
        if placements.len() >= ENTRIES_MAX {
            placements.clear();
        }
        placements.insert(collection, placement);
    }

    pub(crate) fn page(&self, request: &PageRequest) -> Option<Page<StoredCollection>> {
        lock(&self.pages).get(&(request.limit, request.cursor.clone())).cloned()
    }

    pub(crate) fn remember_page(&self, request: &PageRequest, page: Page<StoredCollection>) {
        let mut pages = lock(&self.pages);
        if pages.len() >= ENTRIES_MAX {
            pages.clear();
        }
        pages.insert((request.limit, request.cursor.clone()), page);
    }
}
