//! What a tenant has defined, kept in memory so that a call reads no SQL.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use moka::future::Cache;
use plasma_kernel::{Error, Result, TenantId};

/// How long another process's change may go unseen here. This process sees its own at once.
const CACHE_TTL: Duration = Duration::from_secs(10);
const TENANTS_MAX: u64 = 10_000;

/// One value for each tenant, read anew after 10 s or a change.
pub(crate) struct TenantCache<T> {
    /// The second part of the key is the number of changes when the value was asked for: what began to be read before a
    /// change is never used after it.
    values: Cache<(TenantId, u64), Arc<T>>,
    changes: AtomicU64,
}

impl<T: Send + Sync + 'static> TenantCache<T> {
    pub(crate) fn new() -> Self {
        let values = Cache::builder().max_capacity(TENANTS_MAX).time_to_live(CACHE_TTL).build();
        Self { values, changes: AtomicU64::new(0) }
    }

    /// The tenant's value. Callers that come while it is being read wait for the same query.
    pub(crate) async fn get<F>(&self, tenant: TenantId, load: impl FnOnce() -> F) -> Result<Arc<T>>
    where
        F: Future<Output = Result<T>>,
    {
        let key = (tenant, self.changes.load(Ordering::SeqCst));
        if let Some(value) = self.values.get(&key).await {
            return Ok(value);
        }
        // Made only here and boxed: the query's large future must not weigh on the calls that need none.
        let load = Box::pin(async { load().await.map(Arc::new) });
        self.values.try_get_with(key, load).await.map_err(|error| copy(&error))
    }

    /// Something was changed, and the change is committed.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }
}

/// Several callers wait for one query; each gets its own copy of what went wrong.
fn copy(error: &Arc<Error>) -> Error {
    let copy = Error::new(error.code(), error.reason(), error.message()).source(Arc::clone(error));
    match error.remedy_text() {
        Some(remedy) => copy.remedy(remedy),
        None => copy,
    }
}
