//! Which models there are, and how a name leads to one.

mod changes;

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use plasma_kernel::{Ctx, Error, Page, PageRequest, Permission, ProviderId, Result, TenantId, Timestamp};

use crate::{
    Model, ModelKind, ModelState, Models, Price, ProviderKind, cost, custom,
    local::{LocalModel, LocalState},
    manifest::{self, ModelEntry},
    near_names::near,
    prices::{self, ProviderHint},
    providers,
    store::{self, models::ListedModel},
    upstream::Endpoint,
};

pub(crate) use changes::free_and_priced;

/// Models of one tenant's providers.
pub(crate) const MODELS_MAX: usize = 1_000;
const NAME_CHARS_MAX: usize = 200;
/// A million units of the currency for a million tokens.
pub(crate) const PRICE_MICROS_MAX: i64 = 1_000_000_000_000;
/// How long another process's change of a provider may go unseen here. This process sees its own at once.
pub(crate) const CACHE_TTL: Duration = Duration::from_secs(10);
const CACHED_MODELS_MAX: u64 = 10_000;

/// What a model's name stands for.
pub(crate) enum Target {
    Local(ModelEntry),
    Remote(Arc<RemoteModel>),
}

/// A provider's model, ready to be called.
pub(crate) struct RemoteModel {
    pub(crate) id: String,
    pub(crate) kind: ModelKind,
    pub(crate) upstream_name: String,
    pub(crate) dimensions: Option<u32>,
    pub(crate) price: Option<Price>,
    pub(crate) provider_id: ProviderId,
    pub(crate) endpoint: Endpoint,
    /// A model that is removed and added again under the same name is another one.
    pub(crate) added_at: Timestamp,
}

/// Called models stay in memory, so that a call reads no SQL.
pub(crate) type RemoteCache = Cache<(TenantId, String), Arc<RemoteModel>>;

pub(crate) fn remote_cache() -> RemoteCache {
    Cache::builder().max_capacity(CACHED_MODELS_MAX).time_to_live(CACHE_TTL).build()
}

/// Each tenant's chat models, for routes.
pub(crate) type ChatModelsCache = Cache<TenantId, Arc<Vec<Model>>>;

pub(crate) fn chat_models_cache() -> ChatModelsCache {
    Cache::builder().max_capacity(CACHED_MODELS_MAX).time_to_live(CACHE_TTL).build()
}

impl Target {
    fn kind(&self) -> ModelKind {
        match self {
            Self::Local(entry) => entry.kind.into(),
            Self::Remote(remote) => remote.kind,
        }
    }
}

impl From<manifest::ModelKind> for ModelKind {
    fn from(kind: manifest::ModelKind) -> Self {
        match kind {
            manifest::ModelKind::Chat => Self::Chat,
            manifest::ModelKind::Embedding => Self::Embedding,
        }
    }
}

/// What a model of a kind is, and what it does.
fn words_of(kind: ModelKind) -> (&'static str, &'static str) {
    match kind {
        ModelKind::Chat => ("a chat model", "chat"),
        ModelKind::Embedding => ("an embedding model", "embed"),
        ModelKind::Image => ("an image model", "make pictures"),
        ModelKind::Transcription => ("a transcription model", "write recordings down"),
        ModelKind::Speech => ("a speech model", "speak"),
        ModelKind::Rerank => ("a reranker", "rerank"),
    }
}

/// `near` are names that the caller may have meant.
pub(crate) fn model_not_found(id: &str, near: &[&str]) -> Error {
    // A name comes from outside and may be long.
    let shown: String = id.chars().take(NAME_CHARS_MAX).collect();
    let mut message = format!("there is no model `{shown}`");
    if !near.is_empty() {
        message.push_str(&format!("; near names: `{}`", near.join("`, `")));
    }
    Error::not_found("model_not_found", message)
        .field("model")
        .remedy("GET /v1/models lists the names; an administrator adds models of providers")
}

impl Models {
    /// A page of the models that the tenant can call, in the order of their names.
    ///
    /// # Errors
    /// `forbidden` without `models:read`; `unavailable` or `internal` from the database.
    pub async fn models(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<Model>> {
        self.models_of(ctx, None, page).await
    }

    /// The same, only those of a domain.
    ///
    /// # Errors
    /// As [`Models::models`], and `invalid` (`domain`).
    pub async fn models_of(&self, ctx: &Ctx, domain: Option<&str>, page: &PageRequest) -> Result<Page<Model>> {
        let mut models = self.all_models(ctx).await?;
        if let Some(domain) = domain {
            custom::check_domain("domain", domain)?;
            models.retain(|model| model.domain.as_deref() == Some(domain));
        }
        if let Some(cursor) = &page.cursor {
            models.retain(|model| model.id > *cursor);
        }
        Ok(Page::from_rows(models, page.limit, |model| model.id.clone()))
    }

    /// All models that the tenant can call, in the order of their names: those of the manifest and at most 1,000 more.
    ///
    /// # Errors
    /// As [`Models::models`].
    pub async fn all_models(&self, ctx: &Ctx) -> Result<Vec<Model>> {
        ctx.require(Permission::ModelsRead)?;
        self.tenant_models(ctx).await
    }

    /// The same for whoever may call them.
    pub(crate) async fn tenant_models(&self, ctx: &Ctx) -> Result<Vec<Model>> {
        let custom = self.custom_models(ctx).await?;
        let mut tx = self.inner.store.read(ctx).await?;
        let now = ctx.now();
        let mut models: Vec<Model> =
            store::models::all(&mut tx).await?.into_iter().map(|listed| with_price(listed, now)).collect();
        models.extend(self.inner.local.models().into_iter().map(|model| self.local_model(model)));
        models.extend(custom.iter().map(|model| self.custom_as_model(model)));
        models.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(models)
    }

    /// One model by its name.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), else as [`Models::models`].
    pub async fn model(&self, ctx: &Ctx, id: &str) -> Result<Model> {
        let models = self.all_models(ctx).await?;
        match models.iter().find(|model| model.id == id) {
            Some(model) => Ok(model.clone()),
            None => {
                let names: Vec<String> = models.into_iter().map(|model| model.id).collect();
                Err(model_not_found(id, &near(id, &names)))
            }
        }
    }

    /// The tenant's chat models in the order of their names. A call that a route decides reads no SQL either.
    pub(crate) async fn chat_models(&self, ctx: &Ctx) -> Result<Arc<Vec<Model>>> {
        let tenant = ctx.tenant()?;
        if let Some(models) = self.inner.chat_models.get(&tenant).await {
            return Ok(models);
        }
        let mut models = self.tenant_models(ctx).await?;
        models.retain(|model| model.kind == ModelKind::Chat);
        let models = Arc::new(models);
        self.inner.chat_models.insert(tenant, models.clone()).await;
        Ok(models)
    }

    /// One chat model by its name.
    ///
    /// # Errors
    /// `not_found` (`model_not_found`), `invalid` for a model that cannot chat.
    pub(crate) async fn chat_model(&self, ctx: &Ctx, id: &str) -> Result<Model> {
        match self.chat_models(ctx).await?.iter().find(|model| model.id == id) {
            Some(model) => Ok(model.clone()),
            // The right refusal of a name that is unknown, or of an embedding model.
            None => Err(match self.resolve(ctx, Some(id), ModelKind::Chat).await {
                Err(error) => error,
                Ok(target) => Error::invalid("model", format!("`{id}` is another name of `{}`", target.id()))
                    .remedy("name the model itself"),
            }),
        }
    }

    pub(crate) fn local_model(&self, model: LocalModel) -> Model {
        let LocalModel { entry, state, remedy } = model;
        let narrow = |number: usize| u32::try_from(number).ok();
        let kind: ModelKind = entry.kind.into();
        Model {
            default: self.default_model(kind).is_some_and(|default| default.id == entry.id),
            kind,
            provider_id: None,
            provider_name: ProviderKind::Local.as_str().to_owned(),
            provider_kind: ProviderKind::Local,
            state: match state {
                LocalState::Ready => ModelState::Ready,
                LocalState::Idle => ModelState::Idle,
                LocalState::Missing => ModelState::Missing,
            },
            remedy,
            context_length: narrow(entry.context_length),
            dimensions: entry.dimensions.and_then(narrow),
            precision: (kind == ModelKind::Embedding).then_some(entry.precision),
            size_bytes: Some(entry.size_bytes()),
            memory_bytes: (state == LocalState::Ready).then_some(entry.memory_bytes),
            price: Some(cost::free()),
            price_source: None,
            created_at: 0,
            // What the local engine cannot honor is known: see `gateway/local_source.rs`.
            capabilities: (kind == ModelKind::Chat).then(Vec::new),
            domain: None,
            description: None,
            license: Some(entry.license),
            id: entry.id,
        }
    }

    fn default_model(&self, kind: ModelKind) -> Option<&ModelEntry> {
        self.inner.local_entries.iter().find(|entry| ModelKind::from(entry.kind) == kind)
    }

    /// The name of the embedding model that is used when none is named.
    ///
    /// # Errors
    /// `unavailable` when this build's manifest has none.
    pub fn embedding_model_default(&self) -> Result<&str> {
        self.default_id(ModelKind::Embedding)
    }

    /// The name of the chat model that is used when none is named.
    ///
    /// # Errors
    /// `unavailable` when this build's manifest has none.
    pub fn chat_model_default(&self) -> Result<&str> {
        self.default_id(ModelKind::Chat)
    }

    fn default_id(&self, kind: ModelKind) -> Result<&str> {
        self.default_model(kind).map(|entry| entry.id.as_str()).ok_or_else(|| {
            Error::unavailable("no_default_model", format!("there is no local {} model", kind.as_str()))
                .remedy("name a model in the request")
        })
    }

    /// The model that `name` stands for, or the default; it must be of `kind`.
    pub(crate) async fn resolve(&self, ctx: &Ctx, name: Option<&str>, kind: ModelKind) -> Result<Target> {
        let given = match name {
            Some(name) => name,
            None => self.default_id(kind)?,
        };
        let aliased = self.alias_target(ctx, given).await?;
        let name = aliased.as_deref().unwrap_or(given);
        let target = match self.inner.local_entries.iter().find(|entry| entry.id == name) {
            Some(entry) => Target::Local(entry.clone()),
            None => match self.custom_or_remote(ctx, name).await {
                Ok(target) => target,
                Err(error) if error.reason() == "model_not_found" => {
                    let alias = aliased.is_some().then_some(given);
                    // Boxed: the rare refusal must not weigh on the calls.
                    return Err(Box::pin(self.unknown_model(ctx, name, alias, kind)).await);
                }
                Err(error) => return Err(error),
            },
        };
        if target.kind() == kind {
            return Ok(target);
        }
        let ((is, _), (_, does)) = (words_of(target.kind()), words_of(kind));
        Err(Error::invalid("model", format!("`{name}` is {is} and cannot {does}")))
    }

    async fn custom_or_remote(&self, ctx: &Ctx, id: &str) -> Result<Target> {
        match self.custom_entry(ctx, id).await? {
            Some(entry) => Ok(Target::Local(entry)),
            None => self.remote(ctx, id).await.map(Target::Remote),
        }
    }

    async fn remote(&self, ctx: &Ctx, id: &str) -> Result<Arc<RemoteModel>> {
        if id.len() > 2 * NAME_CHARS_MAX {
            return Err(model_not_found(id, &[]));
        }
        let key = (ctx.tenant()?, id.to_owned());
        if let Some(remote) = self.inner.remotes.get(&key).await {
            return Ok(remote);
        }
        // Boxed: what is called is in memory as a rule, and the calls must not carry the query's weight.
        let remote = Box::pin(self.read_remote(ctx, id)).await?;
        self.inner.remotes.insert(key, remote.clone()).await;
        Ok(remote)
    }

    async fn read_remote(&self, ctx: &Ctx, id: &str) -> Result<Arc<RemoteModel>> {
        // Opening a secret may make the tenant's data key, but only where one was sealed before: it only reads here.
        let mut tx = self.inner.store.read(ctx).await?;
        let row = store::models::to_call(&mut tx, id).await?.ok_or_else(|| model_not_found(id, &[]))?;
        let api_key = match &row.api_key_sealed {
            Some(sealed) => {
                Some(self.inner.store.open_secret(&mut tx, &providers::secret_purpose(row.provider_id), sealed).await?)
            }
            None => None,
        };
        let hint = ProviderHint { kind: row.provider_kind.as_str(), base_url: &row.base_url };
        let price = prices::effective(row.price, &hint, &row.upstream_name, ctx.now()).map(|(price, _)| price);
        Ok(Arc::new(RemoteModel {
            id: id.to_owned(),
            kind: row.kind,
            upstream_name: row.upstream_name,
            dimensions: row.dimensions,
            price,
            provider_id: row.provider_id,
            added_at: row.created_at,
            endpoint: Endpoint::new(
                &row.provider_name,
                row.provider_kind,
                &row.base_url,
                api_key.as_ref().map(|key| key.as_str()),
                row.provider_options,
            )?
            .with_unguarded(row.unguarded),
        }))
    }

    /// After a change of providers or models.
    pub(crate) fn forget_models(&self) {
        self.inner.remotes.invalidate_all();
        self.inner.chat_models.invalidate_all();
    }
}

/// The model with the price that counts.
fn with_price(listed: ListedModel, now: Timestamp) -> Model {
    let ListedModel { model, upstream_name, base_url } = listed;
    let hint = ProviderHint { kind: model.provider_kind.as_str(), base_url: &base_url };
    let (price, price_source) = prices::effective(model.price, &hint, &upstream_name, now).unzip();
    Model { price, price_source, ..model }
}
