#![doc = include_str!("../README.md")]

mod aliases;
mod batches;
pub mod benchmarks;
mod budgets;
mod caches;
mod call_journal;
mod call_log;
mod calls;
mod capabilities;
mod capture;
mod catalog;
mod chat;
mod cost;
mod custom;
mod definitions;
mod embed;
pub mod events;
mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gateway;
pub mod http;
mod limits;
pub mod local;
pub mod manifest;
mod media;
mod near_names;
mod prices;
mod prompts;
mod providers;
mod pulls;
mod quality;
mod rerank;
mod routes;
mod running_call;
mod steps;
mod store;
mod types;
mod upstream;
mod usage;
pub mod weights;

use std::{sync::Arc, time::Duration};

use plasma_http::outbound::Outbound;
use plasma_kernel::{Ctx, Result};
use plasma_store::Store;

pub use aliases::Alias;
pub use batches::{Batch, BatchEndpoint, BatchError, BatchStatus, NewBatch};
pub use budgets::{Budget, BudgetPeriod, BudgetState, BudgetSubject, NewBudget};
pub use caches::{
    CALIBRATION_PAIRS_MAX, CacheHit, CacheKind, CacheMode, CacheSettings, CacheState, CacheUsage, Calibration,
    CalibrationRow, RouteCache, TextHits, TextPair,
};
pub use capabilities::Capability;
pub use capture::{BuiltInRedaction, CallPayload, CaptureSettings, KeptText};
pub use chat::{ChatDone, ChatEvent, ChatRequest, ChatStream};
pub use custom::NewCustomModel;
pub use embed::{EmbedRequest, Embeddings, TokenCounter};
pub use files::{File, FilePurpose};
pub use limits::{Limit, LimitChange, LimitSubject, NewLimit};
pub use local::{ChatMessage, LocalModels, LocalSettings, Priority, Role};
pub use manifest::Manifest;
pub use near_names::near as near_names;
pub use prompts::{
    Prompt, PromptAlias, PromptCall, PromptDefinition, PromptDiff, PromptDiffHunk, PromptDiffLine, PromptDiffLineKind,
    PromptMessage, PromptParameters, PromptReference, PromptRole, PromptShare, PromptUse, PromptVariable,
    PromptVersion, PromptVersionSummary, RenderedMessage, RenderedPrompt, RenderedVersion, VariableLimits,
    VariableType,
};
pub use pulls::{NewPull, Pull, PullFailure, PullState};
pub use quality::{
    CallQuality, Feedback, JudgeScore, Mark, NewFeedback, QualitySettings, ScoreGroups, ScoreSource, ScoreSums,
};
pub use rerank::{RerankRequest, RerankedDocument, Reranking};
pub use routes::{BrokenStream, Residency, Route, RouteCandidate, RouteSettings, Strategy};
pub use types::{
    AttemptRecord, CallFilter, CallStatus, Complexity, Considered, DayUsage, Decision, Model, ModelCall, ModelHealth,
    ModelKind, ModelState, ModelUsage, NewModel, NewProvider, Price, PriceSnapshot, PriceSource, PriceTier, Provider,
    ProviderChange, ProviderKind, ProviderOptions, ProviderTest, Purpose, Rates, TokenUsage, UsageReport,
};
pub use usage::{UsageDimension, UsageFilter, UsageGroup, UsageLine, UsageQuery, UsageSums, UsageTable};

/// How long providers may take, and what may be kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct ModelsConfig {
    /// To accept a connection.
    pub connect_timeout: Duration,
    /// Between two pieces of a stream, and before the first.
    pub stall_timeout: Duration,
    /// For a whole answer, streamed or not.
    pub total_timeout: Duration,
    /// For the list of models, when a provider is tried.
    pub test_timeout: Duration,
    /// Attempts at one model when its provider fails or limits the rate, the first included.
    pub attempts_max: u32,
    /// Bytes of all answers that this process keeps to give them again; a quarter more may be used to find similar questions, and
    /// another for vectors of texts.
    pub cache_bytes_max: u64,
    /// That a line of a batch waits in all when it is refused for its rate; at most 5 s of it for a budget.
    pub batch_wait_max: Duration,
    /// Between two questions how far a provider's own batch is.
    pub batch_poll_interval: Duration,
}

impl Default for ModelsConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            // A large model on a small machine reads a long prompt for minutes.
            stall_timeout: Duration::from_secs(180),
            total_timeout: Duration::from_secs(900),
            test_timeout: Duration::from_secs(15),
            attempts_max: 3,
            cache_bytes_max: 256 << 20,
            batch_wait_max: Duration::from_secs(60),
            batch_poll_interval: Duration::from_secs(30),
        }
    }
}

/// All models of an installation and the log of their calls. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    local: LocalModels,
    /// The manifest's entries: a call's name is looked up without touching the disk.
    local_entries: Vec<manifest::ModelEntry>,
    client: upstream::UpstreamClient,
    config: ModelsConfig,
    remotes: catalog::RemoteCache,
    chat_models: catalog::ChatModelsCache,
    routes: definitions::TenantCache<Vec<Route>>,
    aliases: definitions::TenantCache<aliases::Aliases>,
    capture: definitions::TenantCache<capture::Capture>,
    prompts: prompts::PromptCache,
    custom: definitions::TenantCache<Vec<custom::CustomModel>>,
    health: gateway::Health,
    calls: call_log::CallLog,
    budgets: Arc<budgets::BudgetLedger>,
    limits: Arc<limits::Limits>,
    caches: caches::Caches,
    quality: quality::Quality,
}

impl Models {
    /// Starts the call log's writer: call it inside a tokio runtime. `ctx` gives clock and randomness.
    ///
    /// # Errors
    /// `internal` when the HTTP client cannot be made.
    pub fn new(ctx: &Ctx, store: Store, local: LocalModels, config: ModelsConfig) -> Result<Self> {
        Self::with_outbound(ctx, store, local, config, &Outbound::guarded(Vec::new()))
    }

    /// The same, where `outbound` says which addresses of providers may be called that somebody entered who does not manage the
    /// installation.
    ///
    /// # Errors
    /// As [`Models::new`].
    pub fn with_outbound(
        ctx: &Ctx,
        store: Store,
        local: LocalModels,
        config: ModelsConfig,
        outbound: &Outbound,
    ) -> Result<Self> {
        store.declare_sealed(&store::sealed::columns());
        let local_entries = local.models().into_iter().map(|model| model.entry).collect();
        let inner = Inner {
            client: upstream::UpstreamClient::new(config, outbound, ctx.clock().clone())?,
            config,
            remotes: catalog::remote_cache(),
            chat_models: catalog::chat_models_cache(),
            routes: definitions::TenantCache::new(),
            aliases: definitions::TenantCache::new(),
            capture: definitions::TenantCache::new(),
            prompts: prompts::PromptCache::new(),
            custom: definitions::TenantCache::new(),
            health: gateway::Health::new(),
            calls: call_log::CallLog::start(ctx, store.clone()),
            budgets: budgets::BudgetLedger::start(ctx, store.clone()),
            limits: limits::Limits::new(),
            caches: caches::Caches::new(config.cache_bytes_max),
            quality: quality::Quality::start(ctx, store.clone()),
            store,
            local,
            local_entries,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Stops local models, takes no more calls, and returns when the call log is written, at the latest after 15 s, and what
    /// was held of budgets is given back. Call
    /// it when requests have ended and before the store is closed.
    pub async fn shutdown(&self) {
        self.inner.local.shutdown().await;
        self.inner.calls.shutdown().await;
        self.inner.budgets.shutdown().await;
        self.inner.quality.shutdown().await;
    }
}
