//! Answers that are given again: the same search of the same moment of a collection by whoever may see the same.
//!
//! Nothing has to be invalidated. An answer is found by the view of the collection that it was made from, and the follower of the
//! event log puts another view in its place with each change; so a change makes another key at the moment when searches see it. What else
//! a search depends on is in the key as well: the tenant, who looks, the collection's settings and synonyms, and every field of the
//! request.

use std::{
    fmt::Write as _,
    hash::{Hash, Hasher},
    sync::{Arc, Weak},
};

use moka::future::Cache;
use plasma_kernel::{Ctx, Error, Result, TenantId};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{SearchAnswer, SearchRequest};
use crate::{
    access::Viewer, index::memory::CollectionView, limits, store::collections::StoredCollection, synonyms::Synonyms,
};

/// Bytes of an answer beside its texts, for each result.
const HIT_BYTES: usize = 1_024;

/// A moment of a collection, by its view. It does not keep the view in memory, but its place: no later view can be taken for it.
#[derive(Clone, Debug)]
struct Moment(Weak<CollectionView>);

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        Weak::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Moment {}

impl Hash for Moment {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Weak::as_ptr(&self.0).hash(state);
    }
}

/// What an answer is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResultKey {
    tenant: TenantId,
    moment: Moment,
    /// Whose documents: callers who may see others get other answers.
    viewer: Viewer,
    /// Over the collection's settings and synonyms, and the request.
    digest: [u8; 32],
}

/// What a digest is made of.
#[derive(Serialize)]
struct Parts<'a> {
    collection: String,
    /// Settings of the collection, its ranking among them, change it.
    updated_at: i64,
    synonyms: [u8; 32],
    request: &'a SearchRequest,
}

impl ResultKey {
    /// # Errors
    /// `internal` for a context without a tenant.
    pub(crate) fn new(
        ctx: &Ctx,
        collection: &StoredCollection,
        (view, synonyms): (&Arc<CollectionView>, &Synonyms),
        viewer: Viewer,
        request: &SearchRequest,
    ) -> Result<Self> {
        let parts = Parts {
            collection: collection.collection.id.to_string(),
            updated_at: collection.collection.updated_at,
            synonyms: synonyms.digest(),
            request,
        };
        let written = serde_json::to_vec(&parts)
            .map_err(|error| Error::from_source("a search could not be written down", error))?;
        let digest = Sha256::digest(&written).into();
        Ok(Self { tenant: ctx.tenant()?, moment: Moment(Arc::downgrade(view)), viewer, digest })
    }
}

/// Why an answer is not kept: a waiting caller of the same search gets it all the same.
#[derive(Debug)]
pub(crate) enum NotKept {
    /// It says less than it could: something did not answer.
    Degraded(Box<SearchAnswer>),
    /// There is none.
    Failed(Arc<Error>),
}

/// Recent answers.
pub(crate) struct Results {
    cache: Cache<ResultKey, Arc<SearchAnswer>>,
}

impl Results {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(limits::RESULT_CACHE_BYTES_MAX)
            .weigher(|_, answer: &Arc<SearchAnswer>| u32::try_from(bytes(answer)).unwrap_or(u32::MAX))
            .time_to_live(limits::RESULT_CACHE_AGE_MAX)
            .build();
        Self { cache }
    }

    /// The remembered answer.
    pub(crate) async fn get(&self, key: &ResultKey) -> Option<Arc<SearchAnswer>> {
        self.cache.get(key).await
    }

    /// Makes the answer: of those who ask the same at the same time one does, and the others wait for it.
    ///
    /// # Errors
    /// What making it fails with.
    pub(crate) async fn make(
        &self,
        key: ResultKey,
        answer: impl Future<Output = Result<Arc<SearchAnswer>, NotKept>>,
    ) -> Result<SearchAnswer> {
        match self.cache.try_get_with(key, answer).await {
            Ok(answer) => Ok(SearchAnswer::clone(&answer)),
            Err(not_kept) => match &*not_kept {
                NotKept::Degraded(answer) => Ok(SearchAnswer::clone(answer)),
                NotKept::Failed(error) => Err(copied(error)),
            },
        }
    }
}

/// An error for one of several who wait: errors are not cloned, for they carry their cause.
fn copied(error: &Arc<Error>) -> Error {
    let mut copy = Error::new(error.code(), error.reason(), error.message()).source(Arc::clone(error));
    if let Some(field) = error.field_name() {
        copy = copy.field(field);
    }
    if let Some(remedy) = error.remedy_text() {
        copy = copy.remedy(remedy);
    }
    match error.retry_after() {
        Some(milliseconds) => copy.retry_after_ms(milliseconds),
        None => copy,
    }
}

/// About what an answer takes in memory.
fn bytes(answer: &SearchAnswer) -> usize {
    let mut metadata = Counted(0);
    let hits: usize = answer
        .results
        .iter()
        .map(|hit| {
            let texts = hit.text.len() + hit.title.len() + hit.heading.as_ref().map_or(0, String::len);
            // Counting what it would be written as bounds whatever values there may be.
            let _ = write!(metadata, "{:?}", hit.metadata);
            let lists = 16 * hit.highlights.len() + 256 * hit.duplicates.len();
            let parts = hit.explanation.as_ref().map_or(0, |explanation| 256 * explanation.components.len());
            HIT_BYTES + texts + lists + parts
        })
        .sum();
    let _ = write!(metadata, "{:?}{:?}", answer.facets, answer.corrections);
    HIT_BYTES + answer.query.len() + hits + 4 * metadata.0
}

/// Counts what is written to it.
struct Counted(usize);

impl std::fmt::Write for Counted {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use plasma_kernel::UserId;

    use super::*;
    use crate::search::{SearchMode, Took};

    fn key(view: &Arc<CollectionView>, digest: u8) -> ResultKey {
        ResultKey {
            tenant: TenantId::from_bits(1),
            moment: Moment(Arc::downgrade(view)),
            viewer: Viewer::All,
            digest: [digest; 32],
        }
    }

    fn answer(query: &str) -> SearchAnswer {
        SearchAnswer {
            query: query.to_owned(),
            mode: SearchMode::Hybrid,
            took_ms: Took::default(),
            total_passages: 0,
            shards: None,
            results: Vec::new(),
            warnings: Vec::new(),
            corrections: Vec::new(),
            facets: Vec::new(),
            withheld: None,
            explanation: None,
        }
    }

    #[tokio::test]
    async fn each_moment_has_its_own_answers() {
        let results = Results::new();
        let mut view = Arc::new(CollectionView::default());
        // A new view may be put where an old one was: still it is another moment.
        for number in 0..100 {
            let made = results.make(key(&view, 1), async { Ok(Arc::new(answer(&number.to_string()))) }).await.unwrap();
            assert_eq!(made.query, number.to_string());
            assert_eq!(results.get(&key(&view, 1)).await.unwrap().query, number.to_string());
            assert!(results.get(&key(&view, 2)).await.is_none());
            let reader = Viewer::Reader { user: Some(UserId::from_bits(1)), teams: Arc::new([]) };
            assert!(results.get(&ResultKey { viewer: reader, ..key(&view, 1) }).await.is_none());
            view = Arc::new(CollectionView::default());
            assert!(results.get(&key(&view, 1)).await.is_none());
        }
    }

    #[tokio::test]
    async fn a_burst_of_equal_searches_is_one() {
        let results = Results::new();
        let view = Arc::new(CollectionView::default());
        let made = AtomicUsize::new(0);
        let search = || {
            results.make(key(&view, 1), async {
                made.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok(Arc::new(answer("q")))
            })
        };
        let answers = futures::future::join_all((0..20).map(|_| search())).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn what_is_degraded_or_failed_is_made_again() {
        let results = Results::new();
        let view = Arc::new(CollectionView::default());
        let degraded = || async { Err(NotKept::Degraded(Box::new(answer("d")))) };
        assert_eq!(results.make(key(&view, 1), degraded()).await.unwrap().query, "d");
        assert!(results.get(&key(&view, 1)).await.is_none());
        let error = Error::unavailable("text_index_unavailable", "not now").remedy("wait").retry_after_ms(7).field("x");
        let failed = results.make(key(&view, 1), async { Err(NotKept::Failed(Arc::new(error))) }).await.unwrap_err();
        assert_eq!(
            (failed.reason(), failed.remedy_text(), failed.retry_after()),
            ("text_index_unavailable", Some("wait"), Some(7))
        );
        assert_eq!(failed.field_name(), Some("x"));
    }
}
