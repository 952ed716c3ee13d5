//! What is kept in memory to be given again.

use std::{sync::Arc, time::Duration};

use moka::{policy::EvictionPolicy, sync::Cache};
use plasma_kernel::TenantId;

use super::{AnswerKey, TTL_SECONDS_MAX};

/// Values of all tenants, bounded by their bytes: those that were not wanted for longest go first, and all after 30 days.
pub(crate) struct MemoryCache<V>(Cache<AnswerKey, Arc<V>>);

impl<V: Send + Sync + 'static> MemoryCache<V> {
    /// `bytes_of` says how much an entry takes, about.
    pub(crate) fn new(bytes_max: u64, bytes_of: fn(&V) -> usize) -> Self {
        let weigh = move |_: &AnswerKey, kept: &Arc<V>| u32::try_from(bytes_of(kept)).unwrap_or(u32::MAX);
        let cache = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(weigh)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(Duration::from_secs(u64::from(TTL_SECONDS_MAX)))
            .support_invalidation_closures()
            .build();
        Self(cache)
    }

    pub(crate) fn get(&self, key: &AnswerKey) -> Option<Arc<V>> {
        self.0.get(key)
    }

    pub(crate) fn put(&self, entries: impl IntoIterator<Item = (AnswerKey, Arc<V>)>) {
        for (key, kept) in entries {
            self.0.insert(key, kept);
        }
        // At once, so that the bound holds: this happens once for each call of a model, which took far longer.
        self.0.run_pending_tasks();
    }

    pub(crate) fn remove(&self, key: &AnswerKey) {
        self.0.invalidate(key);
    }

    /// Drops all entries of a tenant.
    pub(crate) fn forget(&self, tenant: TenantId) {
        if let Err(error) = self.0.invalidate_entries_if(move |key, _| key.tenant == tenant) {
            // Cannot be: closures are supported. What is from before a purge is refused by its time as well.
            tracing::error!(%error, "what is kept of a tenant could not be thrown away");
        }
        self.0.run_pending_tasks();
    }
}

#[cfg(test)]
mod tests {
    use plasma_testkit::system;

    use super::*;

    #[test]
    fn the_cache_is_bounded_by_bytes_and_a_purge_spares_other_tenants() {
        let (ours, theirs) = (TenantId::new(&system()), TenantId::new(&system()));
        let cache = MemoryCache::<Vec<u8>>::new(100_000, Vec::len);
        let key = |tenant: TenantId, number: u8| AnswerKey { tenant, hash: [number; 32] };
        let value = |bytes: usize| Arc::new(vec![0; bytes]);
        for number in 0..50 {
            cache.put([(key(ours, number), value(9_000))]);
            cache.0.run_pending_tasks();
            assert!(cache.0.weighted_size() <= 100_000);
        }
        assert!(cache.get(&key(ours, 49)).is_some() && cache.get(&key(ours, 0)).is_none());
        // Larger than everything: not kept, and the others stay.
        cache.put([(key(ours, 60), value(200_000))]);
        assert!(cache.get(&key(ours, 60)).is_none() && cache.get(&key(ours, 49)).is_some());
        cache.put([(key(theirs, 49), value(9_000)), (key(theirs, 50), value(9_000))]);
        cache.remove(&key(theirs, 50));
        cache.forget(ours);
        assert!(cache.get(&key(ours, 49)).is_none());
        assert!(cache.get(&key(theirs, 49)).is_some() && cache.get(&key(theirs, 50)).is_none());
    }
}
