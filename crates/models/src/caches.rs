//! Caches of chat answers and of vectors: the same question of the same workspace is answered once, the same text embedded once.
//!
//! The exact cache knows a question by a hash of all that decides its answer, the semantic cache by that hash without the
//! last message, and by how similar that message is to an earlier one. Answers are in memory, in the middle form, so that
//! an answer that came in one protocol can be given in another. Vectors are known by hashes of their texts one by one. See
//! `docs/caches.md`.

mod answers;
mod calibration;
mod flights;
mod key;
mod memory;
mod semantic;
mod vectors;

use std::{str::FromStr, sync::Arc};

use plasma_kernel::{CallId, Ctx, Error, Money, Permission, Result, Timestamp};
use plasma_store::NewEvent;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use answers::{CachedAnswer, is_worth_keeping, pieces};
pub use calibration::{CALIBRATION_PAIRS_MAX, Calibration, CalibrationRow, TextPair};
pub(crate) use flights::{Boarding, Flights, Follow, Followed, Found, Joined, Lead};
pub(crate) use key::{AnswerKey, QuestionKey};
pub(crate) use memory::MemoryCache;
pub(crate) use semantic::{Compared, ScopeKey, SimilarQuestions};
pub(crate) use vectors::{KeptVector, VectorMaker, VectorOrigin, cost_of, tokens_of};

use crate::{
    Models,
    calls::{DAY_MICROS, USAGE_DAYS_MAX},
    definitions::TenantCache,
    events, store,
    types::words,
};

/// 30 days.
const TTL_SECONDS_MAX: u32 = 2_592_000;
const TTL_SECONDS_DEFAULT: u32 = 3_600;
const ANSWER_BYTES_MIN: u64 = 1_024;
const ANSWER_BYTES_MAX: u64 = 4 << 20;
const ANSWER_BYTES_DEFAULT: u64 = 256 << 10;
/// How similar two questions must be where the route does not say it. Of the pairs in `models/cache-pairs.jsonl`, which were
/// made to mislead, 34 are hits then, one of them falsely.
const SIMILARITY_DEFAULT: f64 = 0.95;

words! {
    /// How an answer was found again.
    CacheKind, "cache" {
        /// The same question had been asked.
        Exact = "exact",
        /// A similar question had been asked.
        Semantic = "semantic",
        /// Some of the texts had been embedded; the model was asked for the others.
        Partial = "partial",
    }
    /// Which answers are given again.
    CacheMode, "mode" {
        /// None.
        Off = "off",
        /// Those of the same question.
        Exact = "exact",
        /// Also those of a question whose last message is similar.
        Semantic = "semantic",
    }
}

/// Which answers a route gives again, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RouteCache {
    /// Off when absent.
    pub mode: CacheMode,
    /// For how long an answer is given again: 1 to 2,592,000 (30 days).
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub ttl_seconds: u32,
    /// Whether answers are kept also where the request wants chance: a temperature above 0 without a seed, or several answers.
    pub any_temperature: bool,
    /// `semantic`: the least cosine similarity of two last messages, above 0 to 1. Absent: 0.95.
    #[schema(minimum = 0, maximum = 1)]
    pub similarity_min: Option<f64>,
}

// JSON has no NaN, and the settings come from nowhere else.
impl Eq for RouteCache {}

impl Default for RouteCache {
    fn default() -> Self {
        Self { mode: CacheMode::Off, ttl_seconds: TTL_SECONDS_DEFAULT, any_temperature: false, similarity_min: None }
    }
}

impl RouteCache {
    /// How similar two questions must be.
    pub(crate) fn least_similarity(&self) -> f64 {
        self.similarity_min.unwrap_or(SIMILARITY_DEFAULT)
    }

    /// # Errors
    /// `invalid`, naming the field of the route's settings.
    pub(crate) fn check(&self) -> Result<()> {
        check_ttl("cache.ttl_seconds", self.ttl_seconds)?;
        match self.similarity_min {
            Some(least) if !(least > 0.0 && least <= 1.0) => {
                Err(Error::invalid("cache.similarity_min", "must be above 0, up to 1"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a workspace's answers are given again where a request names a model itself, and what is kept at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Whether the exact cache works for requests that name a model. Routes have settings of their own.
    pub enabled: bool,
    /// For how long such an answer is given again: 1 to 2,592,000 (30 days).
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub ttl_seconds: u32,
    /// Whether such answers are kept also where the request wants chance: a temperature above 0 without a seed, or several
    /// answers.
    pub any_temperature: bool,
    /// Bytes of an answer at most, also for routes: 1,024 to 4,194,304. A longer one is not kept.
    #[schema(minimum = 1_024, maximum = 4_194_304)]
    pub answer_bytes_max: u64,
    /// Whether a text is embedded once by each model: its vector is given again until it is pushed out, purged, or 30 days old. On
    /// when absent.
    pub embeddings: bool,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl_seconds: TTL_SECONDS_DEFAULT,
            any_temperature: false,
            answer_bytes_max: ANSWER_BYTES_DEFAULT,
            embeddings: true,
        }
    }
}

impl CacheSettings {
    fn check(&self) -> Result<()> {
        check_ttl("ttl_seconds", self.ttl_seconds)?;
        if (ANSWER_BYTES_MIN..=ANSWER_BYTES_MAX).contains(&self.answer_bytes_max) {
            return Ok(());
        }
        Err(Error::invalid("answer_bytes_max", format!("must be {ANSWER_BYTES_MIN} to {ANSWER_BYTES_MAX}")))
    }

    /// The same for a request that names a model.
    pub(crate) fn for_named_models(&self) -> RouteCache {
        let mode = if self.enabled { CacheMode::Exact } else { CacheMode::Off };
        RouteCache { mode, ttl_seconds: self.ttl_seconds, any_temperature: self.any_temperature, similarity_min: None }
    }
}

fn check_ttl(field: &str, seconds: u32) -> Result<()> {
    if (1..=TTL_SECONDS_MAX).contains(&seconds) {
        return Ok(());
    }
    Err(Error::invalid(field, format!("must be 1 to {TTL_SECONDS_MAX}")))
}

/// What is stored of a workspace's cache.
#[derive(Clone, Debug, Default)]
pub struct CacheState {
    /// How it works.
    pub settings: CacheSettings,
    /// When all answers were thrown away last; 0 when never.
    pub purged_at: Timestamp,
}

/// Where an answer comes from that no model gave, or the vectors of texts that were known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CacheHit {
    /// How it was found.
    pub kind: CacheKind,
    /// The call that a model answered; of several that embedded the texts, the oldest.
    pub call_id: CallId,
    /// Cosine similarity of the two last messages, for `semantic`.
    #[schema(required)]
    pub similarity: Option<f64>,
    /// Since that call began.
    pub age_seconds: u64,
    /// What the first call cost, or the known texts' share of it by their lengths; null where it is not known.
    #[schema(required)]
    pub saved: Option<Money>,
    /// For embeddings: how many of the texts were known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub texts: Option<TextHits>,
}

/// How many texts of an embedding had been embedded before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TextHits {
    /// Those whose vectors were known.
    pub known: u64,
    /// All texts of the call.
    pub all: u64,
}

/// What the caller wants of the cache, as the header `cache-control` says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CacheWish {
    /// Nothing special.
    #[default]
    Use,
    /// `no-cache`: a new answer, which may be kept.
    Renew,
    /// `no-store`: a new answer, which is not kept.
    Refuse,
}

/// How the cache works for one question.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachePolicy {
    pub(crate) rule: RouteCache,
    pub(crate) answer_bytes_max: u64,
    pub(crate) purged_at: Timestamp,
}

impl CachePolicy {
    /// Whether an answer to a question of that time may be given now.
    pub(crate) fn is_fresh(&self, begun_at: Timestamp, now: Timestamp) -> bool {
        let ttl_micros = i64::from(self.rule.ttl_seconds) * 1_000_000;
        begun_at >= self.purged_at && now < begun_at.saturating_add(ttl_micros)
    }

    /// Whether an answer that was found for another caller may be given to this one.
    pub(crate) fn allows(&self, found: &Found, now: Timestamp) -> bool {
        let similar_enough =
            |similarity: f64| self.rule.mode == CacheMode::Semantic && similarity >= self.rule.least_similarity();
        self.is_fresh(found.kept.begun_at, now) && found.similarity.is_none_or(similar_enough)
    }
}

/// All caches of this process.
pub(crate) struct Caches {
    pub(crate) states: TenantCache<CacheState>,
    pub(crate) answers: MemoryCache<CachedAnswer>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) similar: SimilarQuestions,
    pub(crate) vectors: MemoryCache<KeptVector>,
    /// Texts that models are embedding.
    pub(crate) vector_flights: Arc<Flights<Arc<KeptVector>>>,
}

impl Caches {
    /// `bytes_max` is for the answers of all tenants together.
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            states: TenantCache::new(),
            answers: MemoryCache::new(bytes_max, CachedAnswer::bytes),
            flights: Arc::default(),
            // Vectors of questions are smaller than answers.
            similar: SimilarQuestions::new(bytes_max / 4),
            vectors: MemoryCache::new(bytes_max / 4, KeptVector::bytes),
            vector_flights: Arc::default(),
        }
    }
}

/// What the cache did for one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ModelCacheUsage)]
pub struct CacheUsage {
    /// The model's name.
    pub model: String,
    /// Chats of clients that were answered, or embeddings.
    pub calls: u64,
    /// Those of them that the exact cache answered: embeddings of which every text was known.
    pub exact_hits: u64,
    /// Those of them that the semantic cache answered.
    pub semantic_hits: u64,
    /// Embeddings of which some texts were known.
    pub partial_hits: u64,
    /// What the first calls of the hits cost, as far as it is known, one entry for each currency.
    pub saved: Vec<Money>,
}

impl Models {
    /// How the workspace's cache works.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn cache_state(&self, ctx: &Ctx) -> Result<CacheState> {
        ctx.require(Permission::ModelsRead)?;
        Ok(self.known_cache_state(ctx).await?.as_ref().clone())
    }

    /// The same for whoever calls a model. Reads no SQL but once in 10 s.
    pub(crate) async fn known_cache_state(&self, ctx: &Ctx) -> Result<Arc<CacheState>> {
        let load = || async {
            let mut tx = self.inner.store.read(ctx).await?;
            store::caches::get(&mut tx).await
        };
        self.inner.caches.states.get(ctx.tenant()?, load).await
    }

    /// Sets how the workspace's cache works. A shorter time holds for answers that are kept already.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field.
    pub async fn set_cache(&self, ctx: &Ctx, settings: CacheSettings) -> Result<CacheState> {
        ctx.require(Permission::ModelsWrite)?;
        settings.check()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::caches::put(&mut tx, &settings, ctx.now()).await?;
        let state = store::caches::get(&mut tx).await?;
        tx.emit(NewEvent::new(events::CACHE_CHANGED, ctx.tenant()?, json!({ "settings": settings }))).await?;
        tx.commit().await?;
        self.inner.caches.states.changed();
        Ok(state)
    }

    /// Throws all kept answers and vectors of the workspace away, at once in this process and within 10 s in others. The answer of
    /// a call that is under way is not kept.
    ///
    /// # Errors
    /// `forbidden` without `models:write`.
    pub async fn purge_cache(&self, ctx: &Ctx) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let tenant = ctx.tenant()?;
        let mut tx = self.inner.store.begin(ctx).await?;
        store::caches::purge(&mut tx, ctx.now()).await?;
        tx.emit(NewEvent::new(events::CACHE_PURGED, tenant, json!({}))).await?;
        tx.commit().await?;
        self.inner.caches.states.changed();
        self.inner.caches.answers.forget(tenant);
        self.inner.caches.similar.forget(tenant);
        self.inner.caches.vectors.forget(tenant);
        Ok(())
    }

    /// What the cache did in the last `days` days (UTC, today included), by model, most calls first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `invalid` when `days` is not 1 to 366.
    pub async fn cache_usage(&self, ctx: &Ctx, days: u32) -> Result<Vec<CacheUsage>> {
        ctx.require(Permission::ModelsRead)?;
        if !(1..=USAGE_DAYS_MAX).contains(&days) {
            return Err(Error::invalid("days", format!("must be 1 to {USAGE_DAYS_MAX}, got {days}")));
        }
        let first = ctx.now().div_euclid(DAY_MICROS) - i64::from(days) + 1;
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.read(ctx).await?;
        let mut usage: Vec<CacheUsage> = Vec::new();
        for row in store::caches::usage(&mut tx, first * DAY_MICROS).await? {
            let place = match usage.iter().position(|model| model.model == row.model) {
                Some(place) => place,
                None => {
                    let model = row.model.clone();
                    let saved = Vec::new();
                    usage.push(CacheUsage { model, calls: 0, exact_hits: 0, semantic_hits: 0, partial_hits: 0, saved });
                    usage.len() - 1
                }
            };
            if let Some(model) = usage.get_mut(place) {
                model.add(row);
            }
        }
        usage.sort_by_key(|model| std::cmp::Reverse(model.calls));
        Ok(usage)
    }
}

impl CacheUsage {
    fn add(&mut self, row: store::caches::UsageRow) {
        self.calls += row.calls;
        match row.cache {
            Some(CacheKind::Exact) => self.exact_hits += row.calls,
            Some(CacheKind::Semantic) => self.semantic_hits += row.calls,
            Some(CacheKind::Partial) => self.partial_hits += row.calls,
            None => {}
        }
        let Some(saved) = row.saved else { return };
        match self.saved.iter_mut().find(|sum| sum.currency == saved.currency) {
            Some(sum) => sum.amount_micros = sum.amount_micros.saturating_add(saved.amount_micros),
            None => self.saved.push(saved),
        }
    }
}
