//! The texts of passages that are shown: read after ranking, and remembered.

use std::{collections::HashMap, sync::Arc};

use moka::sync::Cache;
use plasma_kernel::{Ctx, Result};

use crate::{
    Knowledge, limits,
    store::passages::{self, PassagePlace, ShownPassage},
};

/// Passages read in one statement.
const READ_MAX: usize = 200;

/// Passages of recent results. They never change: a version's passages stay as they are until they are removed.
pub(crate) struct PassageCache {
    cache: Cache<PassagePlace, Arc<ShownPassage>>,
}

impl PassageCache {
    pub(crate) fn new() -> Self {
        let weigh = |_: &PassagePlace, passage: &Arc<ShownPassage>| {
            let text = passage.text.len() + passage.heading.as_ref().map_or(0, String::len);
            u32::try_from(text + size_of::<ShownPassage>() + 128).unwrap_or(u32::MAX)
        };
        Self { cache: Cache::builder().max_capacity(limits::PASSAGE_CACHE_BYTES).weigher(weigh).build() }
    }
}

impl Knowledge {
    /// These passages as results show them, from memory or from SQL. The places come from the tenant's own view of a collection;
    /// those that are gone are left out.
    ///
    /// # Errors
    /// `unavailable` or `internal` from the database.
    pub(crate) async fn passages(
        &self,
        ctx: &Ctx,
        places: &[PassagePlace],
    ) -> Result<HashMap<PassagePlace, Arc<ShownPassage>>> {
        let cache = &self.passage_cache().cache;
        let mut found = HashMap::with_capacity(places.len());
        let mut absent = Vec::new();
        for place in places {
            match cache.get(place) {
                Some(passage) => {
                    found.insert(*place, passage);
                }
                None => absent.push(*place),
            }
        }
        if absent.is_empty() {
            return Ok(found);
        }
        let mut tx = self.store().read(ctx).await?;
        for some in absent.chunks(READ_MAX) {
            for (place, passage) in passages::shown(&mut tx, some).await? {
                let passage = Arc::new(passage);
                cache.insert(place, Arc::clone(&passage));
                found.insert(place, passage);
            }
        }
        Ok(found)
    }
}
