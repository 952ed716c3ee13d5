//! Data keys that Vault unwrapped, in memory for a while, so that sealing and opening do not wait for Vault.
//!
//! A key is found by its wrapped bytes, which are read from the database each time: a key whose row is gone (a tenant was shredded,
//! a transaction was undone) is not found any more, whatever is still in memory.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

use super::cipher::Key;

/// Keys in memory; the oldest go first.
const ENTRIES_MAX: usize = 1_000;
/// Vault is asked again after this time, so that a key taken away there is of no use here for long.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// Keys that are asked for at the same time.
const ASKED_MAX: usize = 4;

struct Entry {
    owner: String,
    /// Zeroed when the last user lets it go.
    key: Arc<Key>,
    until: Instant,
}

pub(super) struct KeyCache {
    entries: Mutex<HashMap<Vec<u8>, Entry>>,
    /// Whoever asks Vault holds a permit, and looks here once more first.
    pub(super) asking: Semaphore,
}

impl KeyCache {
    pub(super) fn new() -> Self {
        Self { entries: Mutex::default(), asking: Semaphore::new(ASKED_MAX) }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, wrapped: &[u8], now: Instant) -> Option<Arc<Key>> {
        self.entries().get(wrapped).filter(|entry| now < entry.until).map(|entry| Arc::clone(&entry.key))
    }

    pub(super) fn put(&self, owner: &str, wrapped: &[u8], key: Arc<Key>, now: Instant) {
        let mut entries = self.entries();
        if entries.len() >= ENTRIES_MAX && !entries.contains_key(wrapped) {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.until).map(|(wrapped, _)| wrapped.clone());
            if let Some(oldest) = oldest {
                entries.remove(&oldest);
            }
        }
        entries.insert(wrapped.to_vec(), Entry { owner: owner.to_owned(), key, until: now + KEPT_FOR });
    }

    /// Drops the keys of an owner at once.
    pub(super) fn forget(&self, owner: &str) {
        self.entries().retain(|_, entry| entry.owner != owner);
    }

    /// Whose keys are in memory.
    pub(super) fn owners(&self) -> BTreeSet<String> {
        self.entries().values().map(|entry| entry.owner.clone()).collect()
    }

    /// Drops what is older than it may be.
    pub(super) fn drop_old(&self, now: Instant) {
        self.entries().retain(|_, entry| now < entry.until);
    }

    /// Drops the keys of these owners that are not among `wrapped`, which is what the database holds of them.
    pub(super) fn keep_only(&self, owners: &BTreeSet<String>, wrapped: &HashSet<Vec<u8>>) {
        self.entries().retain(|known, entry| !owners.contains(&entry.owner) || wrapped.contains(known));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn key(byte: u8) -> Arc<Key> {
        Arc::new(Zeroizing::new([byte; 32]))
    }

    #[test]
    fn keys_are_dropped_by_age_owner_and_absence() {
        let (cache, now) = (KeyCache::new(), Instant::now());
        cache.put("a", b"1", key(1), now);
        cache.put("a", b"2", key(2), now + Duration::from_secs(1));
        cache.put("b", b"3", key(3), now + Duration::from_secs(2));
        assert_eq!(**cache.get(b"2", now).unwrap(), [2; 32]);
        assert!(cache.get(b"1", now + KEPT_FOR).is_none());
        cache.drop_old(now + KEPT_FOR);
        assert_eq!(cache.entries().len(), 2);
        // What was cached after the database was asked belongs to another owner and stays.
        cache.put("c", b"4", key(4), now);
        cache.keep_only(&BTreeSet::from(["a".to_owned(), "b".to_owned()]), &HashSet::from([b"3".to_vec()]));
        assert_eq!(cache.owners(), BTreeSet::from(["b".to_owned(), "c".to_owned()]));
        cache.forget("b");
        assert!(cache.get(b"3", now).is_none() && cache.get(b"4", now).is_some());
    }

    #[test]
    fn a_dropped_key_is_held_by_nobody() {
        let (cache, now) = (KeyCache::new(), Instant::now());
        let held = key(7);
        cache.put("a", b"1", Arc::clone(&held), now);
        assert_eq!(Arc::strong_count(&held), 2);
        cache.forget("a");
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn the_oldest_make_room() {
        let (cache, now) = (KeyCache::new(), Instant::now());
        for number in 0..=ENTRIES_MAX {
            cache.put("a", &number.to_be_bytes(), key(0), now + Duration::from_millis(number as u64));
        }
        assert_eq!(cache.entries().len(), ENTRIES_MAX);
        assert!(cache.get(&0_usize.to_be_bytes(), now).is_none());
        assert!(cache.get(&ENTRIES_MAX.to_be_bytes(), now).is_some());
    }
}
