use std::{str::FromStr, sync::Arc};

use plasma_kernel::{
    Actor, ApiKeyId, CallId, Error, Money, Permission, ProviderId, RequestId, Result, TeamId, Timestamp, UserId,
};
use serde::{Deserialize, Serialize};

pub use crate::gateway::{Complexity, Considered, Decision, ModelHealth};
pub use crate::upstream::ProviderOptions;
use crate::{Capability, PromptUse, caches::CacheHit, manifest::Precision};

/// An enum that is stored and sent as one lowercase word.
macro_rules! words {
    ($($(#[$documentation:meta])* $name:ident, $what:literal { $($(#[$word_documentation:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$documentation])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {$(
            $(#[$word_documentation])*
            $variant,
        )*}

        impl $name {
            /// The word, as stored and sent.
            pub fn as_str(self) -> &'static str {
                match self {$(Self::$variant => $word,)*}
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(word: &str) -> Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(Error::invalid($what, format!("`{word}` is not one of {}", [$($word),*].join(", ")))),
                }
            }
        }
    )*};
}
pub(crate) use words;

words! {
    /// What a model does.
    ModelKind, "kind" {
        /// Answers messages with text.
        Chat = "chat",
        /// Turns texts into vectors.
        Embedding = "embedding",
        /// Makes pictures.
        Image = "image",
        /// Writes recordings down.
        Transcription = "transcription",
        /// Speaks texts.
        Speech = "speech",
        /// Says how well texts answer a query.
        Rerank = "rerank",
    }
    /// How a provider is reached.
    ProviderKind, "kind" {
        /// Inside this process.
        Local = "local",
        /// By the OpenAI protocol, at any compatible base URL.
        Openai = "openai",
        /// By Anthropic's Messages protocol.
        Anthropic = "anthropic",
        /// By Gemini's `generateContent`.
        Gemini = "gemini",
        /// Azure OpenAI.
        Azure = "azure",
        /// By Amazon Bedrock's Converse.
        Bedrock = "bedrock",
    }
    /// Whether a model can answer now.
    ModelState, "state" {
        /// In memory.
        Ready = "ready",
        /// On disk; the first call loads it.
        Idle = "idle",
        /// Its weights are absent.
        Missing = "missing",
        /// At a provider.
        Remote = "remote",
    }
    /// What a call is made for.
    Purpose, "purpose" {
        /// A client of `/v1`.
        Api = "api",
        /// Answering a question from a collection.
        Ask = "ask",
        /// Writing a draft.
        Draft = "draft",
        /// Embedding passages of new documents.
        Ingest = "ingest",
        /// Embedding a search's query.
        Search = "search",
        /// Scoring another call's answer. Such calls are not scored themselves.
        Judge = "judge",
        /// A line of a batch.
        Batch = "batch",
        /// A case of a benchmark.
        Benchmark = "benchmark",
    }
    /// How a call ended.
    CallStatus, "status" {
        /// With an answer.
        Succeeded = "succeeded",
        /// With an error.
        Failed = "failed",
        /// The caller went away before the end.
        Cancelled = "cancelled",
    }
}

impl Purpose {
    /// What the actor must hold for a call of this purpose: a viewer may search, which embeds the query, but not chat.
    pub(crate) fn permission(self) -> Permission {
        match self {
            Self::Api | Self::Ask | Self::Draft | Self::Judge | Self::Batch | Self::Benchmark => {
                Permission::ModelsInvoke
            }
            Self::Ingest => Permission::CollectionsWrite,
            Self::Search => Permission::SearchQuery,
        }
    }
}

/// A place where models are called that do not run in this process.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// A slug, unique in the tenant: the first part of its models' names.
    pub name: String,
    /// How it is reached.
    pub kind: ProviderKind,
    /// The address before the protocol's own path, such as `https://api.example.com/v1`.
    pub base_url: String,
    /// What the kind may need beyond.
    pub options: ProviderOptions,
    /// Whether an API key is stored (sealed; it is never given out).
    pub has_api_key: bool,
    /// Whether the address may lead anywhere, also into the server's own network: somebody entered it who manages the
    /// installation.
    pub unguarded: bool,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A provider to add.
#[derive(Clone)]
pub struct NewProvider {
    /// A slug: lowercase letters, digits and hyphens, at most 63, not `local`.
    pub name: String,
    /// Any but [`ProviderKind::Local`].
    pub kind: ProviderKind,
    /// `http` or `https`, without credentials, query or fragment.
    pub base_url: String,
    /// The provider's API key, when it needs one. For Bedrock an API key, or `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, with
    /// `:SESSION_TOKEN` for temporary ones.
    pub api_key: Option<String>,
    /// What the kind may need beyond.
    pub options: ProviderOptions,
}

/// What to change of a provider. Its name stays: models are called by it.
#[derive(Clone, Default)]
pub struct ProviderChange {
    /// Another address. At another host or port the stored key is refused: it must be given again.
    pub base_url: Option<String>,
    /// `Some(None)` forgets the key, `Some(Some(_))` replaces it.
    pub api_key: Option<Option<String>>,
    /// Replaces all options.
    pub options: Option<ProviderOptions>,
}

/// What a provider said when it was asked for its models.
#[derive(Clone, Debug)]
pub struct ProviderTest {
    /// The provider's own names, at most 1,000.
    pub models: Vec<String>,
    /// Why it did not work.
    pub error: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
}

/// A model that can be called.
#[derive(Clone, Debug)]
pub struct Model {
    /// The name to use: `local/…`, or `<provider name>/<model name>`.
    pub id: String,
    /// What it does.
    pub kind: ModelKind,
    /// The provider's id; `None` for models in this process.
    pub provider_id: Option<ProviderId>,
    /// The provider's name; `local` for models in this process.
    pub provider_name: String,
    /// How it is reached.
    pub provider_kind: ProviderKind,
    /// Whether it can answer now.
    pub state: ModelState,
    /// What to do when it cannot.
    pub remedy: Option<String>,
    /// Tokens of prompt and answer together at most.
    pub context_length: Option<u32>,
    /// Numbers in a vector, for embedding models.
    pub dimensions: Option<u32>,
    /// In which numbers an embedding model of this process multiplies.
    pub precision: Option<Precision>,
    /// SPDX name of the weights' license.
    pub license: Option<String>,
    /// Bytes of its files.
    pub size_bytes: Option<u64>,
    /// Bytes in memory now.
    pub memory_bytes: Option<u64>,
    /// What it costs; `None` when unknown.
    pub price: Option<Price>,
    /// Who says so; `None` for models in this process, which cost nothing, and when nobody does.
    pub price_source: Option<PriceSource>,
    /// Whether it is used when a request of its kind names no model.
    pub default: bool,
    /// All that a chat model can do beyond text; `None` when that is not known.
    pub capabilities: Option<Vec<Capability>>,
    /// What it is made for, such as `legal`, where somebody said so.
    pub domain: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// When it was added; 0 for models of the manifest.
    pub created_at: Timestamp,
}

/// What a model costs, in millionths of one unit of the currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// For tokens. A price of thoughts comes from the snapshot only.
    pub rates: Rates,
    /// For the calls themselves, in millionths for a thousand calls.
    pub call_micros_per_thousand: Option<i64>,
    /// The prices of calls that read much, by ascending `above_input_tokens`. From the snapshot only.
    pub tiers: Vec<PriceTier>,
    /// By how many percent (0 to 100) a call costs less in the provider's own batch; `None`: see `batch`. From an administrator only.
    pub batch_discount_percent: Option<u32>,
    /// The price of a call that the provider's own batch API runs. From the snapshot only.
    pub batch: Option<Box<Price>>,
    /// Whether an administrator says that it costs nothing (as local models do): calls cost 0, also those of unknown length.
    pub free: bool,
    /// ISO 4217 code.
    pub currency: String,
}

impl Default for Price {
    /// Nothing is known; US dollars.
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            call_micros_per_thousand: None,
            tiers: Vec::new(),
            batch_discount_percent: None,
            batch: None,
            free: false,
            currency: "USD".to_owned(),
        }
    }
}

/// The prices of a call that reads more than so many tokens: they hold for all of its tokens, not only for those beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceTier {
    /// Tokens read, from a cache or not.
    pub above_input_tokens: u64,
    /// What a million tokens cost then.
    pub rates: Rates,
}

/// What a million tokens of each kind cost, in millionths of one unit of the price's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// For tokens read; `None` when unknown.
    pub input: Option<i64>,
    /// For those of them that a cache answered; `None`: they cost as much as other tokens read.
    pub cached_input: Option<i64>,
    /// For those of them that were written to a cache; `None`: they cost as much as other tokens read.
    pub cache_write: Option<i64>,
    /// For tokens written; `None` when unknown.
    pub output: Option<i64>,
    /// For those of them that were thoughts; `None`: they cost as much as other tokens written.
    pub reasoning: Option<i64>,
}

/// Who says what a model costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PriceSource {
    /// An administrator of the workspace.
    Administrator,
    /// The snapshot of public prices in this program.
    Snapshot(PriceSnapshot),
}

/// Where in the snapshot of public prices a price stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceSnapshot {
    /// The release of genai-prices.
    pub version: Arc<str>,
    /// Its id of the provider whose price it is.
    pub provider: Arc<str>,
    /// Its id of the model.
    pub model: Arc<str>,
    /// The day (UTC) since which it holds, such as `2026-10-12`; `None` when upstream knows no beginning.
    pub effective_date: Option<Arc<str>>,
}

/// A provider's model to add.
#[derive(Clone, Debug)]
pub struct NewModel {
    /// Whose it is.
    pub provider: ProviderId,
    /// The second part of its name in Plasma: letters, digits and `._:/-`, at most 200.
    pub name: String,
    /// What the provider calls it; the same as `name` when absent.
    pub upstream_name: Option<String>,
    /// What it does.
    pub kind: ModelKind,
    /// Tokens of prompt and answer together at most.
    pub context_length: Option<u32>,
    /// Numbers in a vector, for embedding models.
    pub dimensions: Option<u32>,
    /// What it costs; when absent the snapshot of public prices is asked. It takes the place of a public price as a whole.
    pub price: Option<Price>,
    /// All that a chat model can do beyond text; `None` when that is not known.
    pub capabilities: Option<Vec<Capability>>,
    /// What it is made for, such as `legal`: at most 40 lowercase letters, digits and hyphens.
    pub domain: Option<String>,
    /// For people, at most 500 characters.
    pub description: Option<String>,
}

/// How many tokens a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the prompt or the embedded texts.
    pub input_tokens: u64,
    /// Those of them that a cache answered.
    pub cached_input_tokens: u64,
    /// Those of them that were written to a cache.
    pub cache_write_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Those of them that were thoughts, where known.
    pub reasoning_tokens: u64,
}

/// The record of one call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelCall {
    /// Its id; also the header `plasma-call-id` of the answer.
    pub id: CallId,
    /// The model's name at the time.
    pub model: String,
    /// How a route chose the model, when the caller named a route.
    pub decision: Option<Decision>,
    /// Which models were asked, in order; the last one answered, if any did.
    pub attempts: Vec<AttemptRecord>,
    /// The prompt that it used, if any.
    pub prompt: Option<PromptUse>,
    /// What the model does.
    pub kind: ModelKind,
    /// What it was made for.
    pub purpose: Purpose,
    /// How it ended.
    pub status: CallStatus,
    /// Whether the answer was sent piece by piece.
    pub streamed: bool,
    /// What it used, as far as it is known: zeros when the provider did not say.
    pub usage: TokenUsage,
    /// How long it waited for its turn.
    pub queued_ms: u64,
    /// From the start to the first piece of the answer; `None` when there was none, or a provider's answer came whole.
    pub first_token_ms: Option<u64>,
    /// From the start to the end.
    pub duration_ms: u64,
    /// `None` when unknown.
    pub cost: Option<Money>,
    /// Where the answer comes from, when no model gave it. Then it used no tokens and cost 0, but for a part that a model gave.
    pub cache: Option<CacheHit>,
    /// Why it failed.
    pub error: Option<String>,
    /// Who called.
    pub actor: Actor,
    /// The team to which it is counted, if any.
    #[serde(default)]
    pub team: Option<TeamId>,
    /// The request or run in which it happened.
    pub request: RequestId,
    /// When it started.
    pub created_at: Timestamp,
}

/// One attempt of a call at one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AttemptRecord {
    /// The model that was asked.
    pub model: String,
    /// When, in milliseconds after the call's start.
    pub started_ms: u64,
    /// Until it failed, began to stream its answer, or had answered.
    pub duration_ms: u64,
    /// The stable reason of its failure; absent when it answered.
    #[serde(default)]
    #[schema(required)]
    pub error: Option<String>,
    /// The failure, for a person.
    #[serde(default)]
    #[schema(required)]
    pub message: Option<String>,
}

/// Which calls a list shows: those that fit everything that is there.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// Only calls that started then or later.
    pub from: Option<Timestamp>,
    /// Only calls that started before.
    pub to: Option<Timestamp>,
    /// Only calls of this model.
    pub model: Option<String>,
    /// Only calls of this provider's models; `local` for those of this process.
    pub provider: Option<String>,
    /// Only calls that named this route.
    pub route: Option<String>,
    /// Only calls that ended so.
    pub status: Option<CallStatus>,
    /// Only calls made for this.
    pub purpose: Option<Purpose>,
    /// Only calls with this API key.
    pub key: Option<ApiKeyId>,
    /// Only calls of this person; not together with `key`.
    pub user: Option<UserId>,
    /// Only calls that are counted to this team.
    pub team: Option<TeamId>,
    /// Only calls that are known to have cost at least so many millionths, of whatever currency.
    pub cost_micros_min: Option<u64>,
    /// Only calls that took at least so long.
    pub duration_ms_min: Option<u64>,
    /// Only calls that used the prompt with this name.
    pub prompt: Option<String>,
    /// Only calls that used this version of a prompt.
    pub prompt_version: Option<u32>,
}

/// Calls summed up, by day and by model.
#[derive(Clone, Debug)]
pub struct UsageReport {
    /// One entry for each day (UTC) asked for, oldest first, also for days without calls.
    pub days: Vec<DayUsage>,
    /// One entry for each model that was called, most calls first.
    pub models: Vec<ModelUsage>,
}

/// The calls of one day.
#[derive(Clone, Debug, Default)]
pub struct DayUsage {
    /// Days since 1970-01-01 UTC.
    pub day: i64,
    /// All calls.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Known costs, one entry for each currency.
    pub cost: Vec<Money>,
}

/// The calls of one model.
#[derive(Clone, Debug, Default)]
pub struct ModelUsage {
    /// The model's name.
    pub model: String,
    /// All calls.
    pub calls: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Known costs, one entry for each currency.
    pub cost: Vec<Money>,
    /// The mean time of a call.
    pub duration_ms_mean: u64,
}
