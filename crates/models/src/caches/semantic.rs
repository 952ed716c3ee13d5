//! Questions that are similar to earlier ones: their last messages as vectors of the local embedding model.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use moka::{policy::EvictionPolicy, sync::Cache};
use plasma_kernel::{Result, TenantId};

use super::{
    AnswerKey,
    key::{Hash, Words},
};
use crate::{ModelKind, Models, Priority, manifest::ModelEntry};

/// Questions of one scope. Beyond it the oldest goes.
const SCOPE_QUESTIONS_MAX: usize = 10_000;
/// Similar questions whose answers are looked up: those of the most similar may be gone already.
const CANDIDATES_MAX: usize = 8;
/// How long the local model may take. A busy one must not hold the caller up for long.
const EMBED_MAX: Duration = Duration::from_secs(2);
/// Tokens that a model's special tokens take of its context.
const SPECIAL_TOKENS: usize = 2;

/// A last message, ready to be compared.
pub(crate) struct Compared {
    /// Of length 1.
    vector: Vec<f32>,
    words: Words,
}

/// Questions that differ in nothing but the last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ScopeKey {
    pub(crate) tenant: TenantId,
    pub(crate) hash: Hash,
}

/// The last messages of one scope.
#[derive(Default)]
struct Scope {
    keys: Vec<AnswerKey>,
    words: Vec<Words>,
    /// One after another, each of length 1.
    vectors: Vec<f32>,
    /// The place of the next one, when all places are taken.
    next: usize,
}

/// The vectors of all tenants, bounded by their bytes: the scopes that were not wanted for longest go first.
pub(crate) struct SimilarQuestions(Cache<ScopeKey, Arc<RwLock<Scope>>>);

impl SimilarQuestions {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &ScopeKey, scope: &Arc<RwLock<Scope>>| {
            let bytes = scope.read().unwrap_or_else(PoisonError::into_inner).bytes();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(weigh)
            .eviction_policy(EvictionPolicy::lru())
            .support_invalidation_closures()
            .build();
        Self(cache)
    }

    /// The questions that are similar enough, the most similar first: at most 8.
    pub(crate) fn find(&self, scope: &ScopeKey, message: &Compared, similarity_min: f64) -> Vec<(AnswerKey, f64)> {
        let Some(scope) = self.0.get(scope) else { return Vec::new() };
        scope.read().unwrap_or_else(PoisonError::into_inner).find(message, similarity_min)
    }

    /// Remembers a question whose answer is kept.
    pub(crate) fn add(&self, scope: ScopeKey, message: &Compared, key: AnswerKey) {
        let questions = self.0.get_with(scope, Arc::default);
        let added = questions.write().unwrap_or_else(PoisonError::into_inner).add(message, key);
        if added {
            // It has another weight now.
            self.0.insert(scope, questions);
            self.0.run_pending_tasks();
        }
    }

    /// Drops all questions of a tenant.
    pub(crate) fn forget(&self, tenant: TenantId) {
        if let Err(error) = self.0.invalidate_entries_if(move |scope, _| scope.tenant == tenant) {
            // Cannot be: closures are supported. Without its answer a question is of no use to anybody.
            tracing::error!(%error, "similar questions could not be thrown away");
        }
        self.0.run_pending_tasks();
    }
}

impl Scope {
    fn bytes(&self) -> usize {
        let row_bytes = size_of::<AnswerKey>() + size_of::<Words>();
        size_of::<Self>() + self.keys.len() * row_bytes + self.vectors.len() * size_of::<f32>()
    }

    fn find(&self, message: &Compared, similarity_min: f64) -> Vec<(AnswerKey, f64)> {
        let Compared { vector, words } = message;
        if vector.is_empty() {
            return Vec::new();
        }
        let rows = self.keys.iter().zip(&self.words).zip(self.vectors.chunks_exact(vector.len()));
        let mut similar: Vec<(AnswerKey, f64)> = rows
            .filter(|((_, other), _)| !words.are_shuffled(other))
            .map(|((key, _), row)| (*key, cosine(vector, row)))
            .filter(|(_, cosine)| *cosine >= similarity_min)
            .collect();
        similar.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        similar.truncate(CANDIDATES_MAX);
        similar
    }

    /// `false` when it is there already.
    fn add(&mut self, message: &Compared, key: AnswerKey) -> bool {
        let Compared { vector, words } = message;
        let fits = self.vectors.len() == self.keys.len() * vector.len();
        if vector.is_empty() || !fits || self.keys.contains(&key) {
            return false;
        }
        if self.keys.len() < SCOPE_QUESTIONS_MAX {
            self.keys.push(key);
            self.words.push(*words);
            self.vectors.extend_from_slice(vector);
            return true;
        }
        let place = self.next % SCOPE_QUESTIONS_MAX;
        let row = self.vectors.chunks_exact_mut(vector.len()).nth(place);
        if let (Some(old), Some(old_words), Some(row)) = (self.keys.get_mut(place), self.words.get_mut(place), row) {
            *old = key;
            *old_words = *words;
            row.copy_from_slice(vector);
        }
        self.next = place + 1;
        true
    }
}

/// The cosine of the angle between vectors of length 1.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    f64::from(a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>())
}

/// The vector of length 1 in the same direction; `None` when it has none.
pub(super) fn normal(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    if !(length.is_finite() && length > 0.0) {
        return None;
    }
    vector.iter_mut().for_each(|number| *number /= length);
    Some(vector)
}

impl Models {
    /// The local model whose vectors are compared.
    pub(super) fn comparing_model(&self) -> Option<&ModelEntry> {
        self.inner.local_entries.iter().find(|entry| ModelKind::from(entry.kind) == ModelKind::Embedding)
    }

    /// A message as a vector of length 1. It is a part of the chat's call and no call of its own. `None` where similarity
    /// cannot be told: without the weights, in good time, or for a text of which the model would read only the beginning.
    pub(crate) async fn message_to_compare(&self, text: &str) -> Option<Compared> {
        let entry = self.comparing_model()?;
        match tokio::time::timeout(EMBED_MAX, self.embed_whole(entry, text)).await {
            Ok(Ok(vector)) => Some(Compared { vector: normal(vector?)?, words: Words::of(text) }),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a question could not be compared with earlier ones");
                None
            }
            Err(_) => {
                tracing::debug!("a question was not compared with earlier ones: the local model is busy");
                None
            }
        }
    }

    /// `None` for a text of which the model would read only the beginning.
    async fn embed_whole(&self, entry: &ModelEntry, text: &str) -> Result<Option<Vec<f32>>> {
        let tokens_max = entry.context_length.saturating_sub(SPECIAL_TOKENS);
        // No text of so few bytes has more tokens.
        if text.len() > tokens_max && self.inner.local.token_counter(&entry.id).await?.count(text)? > tokens_max {
            return Ok(None);
        }
        let embeddings = self.inner.local.embed(&entry.id, vec![text.to_owned()], Priority::Urgent).await?;
        Ok(embeddings.vectors.into_iter().next())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use plasma_testkit::system;

    use super::*;

    fn key(number: usize) -> AnswerKey {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        AnswerKey { tenant: TenantId::new(&system()), hash }
    }

    #[test]
    fn the_most_similar_come_first_and_the_threshold_holds() {
        let similar = SimilarQuestions::new(1 << 20);
        let scope = ScopeKey { tenant: TenantId::new(&system()), hash: [1; 32] };
        let other = ScopeKey { hash: [2; 32], ..scope };
        let at = |degrees: f32| {
            let radians = degrees.to_radians();
            Compared { vector: vec![radians.cos(), radians.sin()], words: Words::of("from a to b") }
        };
        for degrees in [0, 10, 20, 90] {
            similar.add(scope, &at(degrees as f32), AnswerKey { hash: [degrees; 32], ..key(0) });
        }
        let found: Vec<u8> = similar
            .find(&scope, &at(12.0), 0.97)
            .into_iter()
            .map(|(key, _)| key.hash.first().copied().unwrap())
            .collect();
        assert_eq!(found, [10, 20, 0]);
        assert!(similar.find(&scope, &at(12.0), 0.9999).is_empty());
        assert!(similar.find(&other, &at(12.0), 0.0).is_empty());
        let shuffled = Compared { words: Words::of("from b to a"), ..at(12.0) };
        assert!(similar.find(&scope, &shuffled, 0.0).is_empty());
        similar.forget(scope.tenant);
        assert!(similar.find(&scope, &at(12.0), 0.0).is_empty());
    }

    #[test]
    fn a_scope_is_bounded_and_the_oldest_question_goes() {
        let mut scope = Scope::default();
        let message = |vector: Vec<f32>| Compared { vector, words: Words::of("a") };
        let tenant = TenantId::new(&system());
        let key = |number: usize| AnswerKey { tenant, ..key(number) };
        for number in 0..SCOPE_QUESTIONS_MAX + 2 {
            assert!(scope.add(&message(vec![1.0, number as f32]), key(number)));
        }
        assert!(!scope.add(&message(vec![1.0, 0.0]), key(5)));
        // Of another model.
        assert!(!scope.add(&message(vec![1.0, 0.0, 0.0]), key(usize::MAX)));
        assert_eq!((scope.keys.len(), scope.vectors.len()), (SCOPE_QUESTIONS_MAX, 2 * SCOPE_QUESTIONS_MAX));
        assert!(!scope.keys.contains(&key(0)) && !scope.keys.contains(&key(1)) && scope.keys.contains(&key(2)));
    }
}
