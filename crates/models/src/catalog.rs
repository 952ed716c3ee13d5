//! Which models there are, and how a name leads to one.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;
use plasma_kernel::{Ctx, Error, Page, PageRequest, Permission, ProviderId, Result, TenantId, Timestamp};
use plasma_store::NewEvent;
use serde_json::json;

use crate::{
    Model, ModelKind, ModelState, Models, NewModel, Price, ProviderKind, cost, custom, events,
    local::{LocalModel, LocalState},
    manifest::{self, ModelEntry},
    near_names::near,
    prices::{self, ProviderHint},
    providers,
    store::{self, models::ListedModel},
    upstream::Endpoint,
};

/// Models of one tenant's providers.
pub(crate) const MODELS_MAX: usize = 1_000;
const NAME_CHARS_MAX: usize = 200;
const CONTEXT_LENGTH_MAX: u32 = 100_000_000;
const DIMENSIONS_MAX: u32 = 65_536;
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
        let custom = self.custom_models(ctx).await?;
        let mut tx = self.inner.store.read(ctx).await?;
        let now = ctx.now();
        let mut models: Vec<Model> =
            store::models::all(&mut tx).await?.into_iter().map(|listed| with_price(listed, now)).collect();
        models.extend(self.inner.local.models().into_iter().map(|model| self.local_model(model)));
        models.extend(custom.iter().map(|model| self.custom_as_model(model)));
        models.retain(|model| model.kind == ModelKind::Chat);
        models.sort_by(|a, b| a.id.cmp(&b.id));
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
        let kind = entry.kind.into();
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
            size_bytes: Some(entry.size_bytes()),
            memory_bytes: (state == LocalState::Ready).then_some(entry.memory_bytes),
            price: Some(cost::free()),
            price_source: None,
            created_at: 0,
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
            endpoint: Endpoint::new(
                &row.provider_name,
                row.provider_kind,
                &row.base_url,
                api_key.as_ref().map(|key| key.as_str()),
                row.provider_options,
            )?,
        }))
    }

    /// After a change of providers or models.
    pub(crate) fn forget_models(&self) {
        self.inner.remotes.invalidate_all();
        self.inner.chat_models.invalidate_all();
    }

    /// Adds a provider's model.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `not_found` for the provider, `conflict`
    /// (`model_exists`), `too_large` beyond 1,000 models.
    pub async fn create_model(&self, ctx: &Ctx, new: NewModel) -> Result<Model> {
        ctx.require(Permission::ModelsWrite)?;
        check_new_model(&new)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let provider = store::providers::get(&mut tx, new.provider).await?.provider;
        if store::models::count(&mut tx).await? >= MODELS_MAX {
            return Err(Error::too_large("name", format!("a workspace has at most {MODELS_MAX} models of providers")));
        }
        let id = format!("{}/{}", provider.name, new.name);
        let now = ctx.now();
        store::models::insert(&mut tx, &id, &new, now).await.map_err(|error| match error.reason() {
            "already_exists" => {
                Error::conflict("model_exists", format!("there is a model `{id}` already")).field("name")
            }
            _ => error,
        })?;
        let data = json!({ "kind": new.kind, "provider_id": new.provider });
        tx.emit(NewEvent::new(events::MODEL_CREATED, &id, data)).await?;
        tx.commit().await?;
        self.forget_models();
        let model = Model {
            id,
            kind: new.kind,
            provider_id: Some(provider.id),
            provider_name: provider.name,
            provider_kind: provider.kind,
            state: ModelState::Remote,
            remedy: None,
            context_length: new.context_length,
            dimensions: new.dimensions,
            license: None,
            size_bytes: None,
            memory_bytes: None,
            price: new.price,
            price_source: None,
            default: false,
            domain: new.domain,
            description: new.description,
            created_at: now,
        };
        let upstream_name = new.upstream_name.unwrap_or(new.name);
        Ok(with_price(ListedModel { model, upstream_name, base_url: provider.base_url }, now))
    }

    /// Replaces the administrator's price of a provider's model. Without one the snapshot of public prices counts.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `not_found`, `conflict` (`model_is_local`) for a model of
    /// the manifest, which costs nothing.
    pub async fn set_price(&self, ctx: &Ctx, id: &str, price: Option<Price>) -> Result<Model> {
        ctx.require(Permission::ModelsWrite)?;
        price.as_ref().map_or(Ok(()), check_price)?;
        if self.inner.local_entries.iter().any(|entry| entry.id == id) {
            return Err(Error::conflict("model_is_local", format!("`{id}` is part of this program"))
                .remedy("models in this process cost nothing; set prices of providers' models"));
        }
        if self.custom_models(ctx).await?.iter().any(|custom| custom.entry.id == id) {
            return Err(Error::conflict("model_is_local", format!("`{id}` runs in this process and costs nothing"))
                .remedy("set prices of providers' models"));
        }
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::models::set_price(&mut tx, id, price.as_ref()).await? {
            return Err(model_not_found(id, &[]));
        }
        tx.emit(NewEvent::new(events::MODEL_PRICED, id, json!({ "price": price.as_ref().map(price_data) }))).await?;
        let listed = store::models::all(&mut tx).await?.into_iter().find(|listed| listed.model.id == id);
        tx.commit().await?;
        self.inner.remotes.invalidate_all();
        listed.map(|listed| with_price(listed, ctx.now())).ok_or_else(|| model_not_found(id, &[]))
    }

    /// Removes a provider's model. The records of its calls stay.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found`, `conflict` (`model_is_local`) for a model of the manifest.
    pub async fn delete_model(&self, ctx: &Ctx, id: &str) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        if self.inner.local_entries.iter().any(|entry| entry.id == id) {
            return Err(Error::conflict("model_is_local", format!("`{id}` is part of this program"))
                .remedy("to free its disk space, delete its folder in the models directory"));
        }
        if id.starts_with("local/") && self.delete_custom_model(ctx, id).await? {
            return Ok(());
        }
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::models::delete(&mut tx, id).await? {
            return Err(model_not_found(id, &[]));
        }
        tx.emit(NewEvent::new(events::MODEL_DELETED, id, json!({}))).await?;
        tx.commit().await?;
        self.forget_models();
        Ok(())
    }
}

fn check_new_model(new: &NewModel) -> Result<()> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._:/-".contains(letter);
    if new.name.is_empty()
        || new.name.len() > NAME_CHARS_MAX
        || !new.name.chars().all(allowed)
        || new.name.split('/').any(|part| part.is_empty() || part == "." || part == "..")
    {
        return Err(Error::invalid(
            "name",
            format!("must be 1 to {NAME_CHARS_MAX} letters, digits or `._:-`, in parts separated by single slashes"),
        ));
    }
    if let Some(upstream) = &new.upstream_name
        && (upstream.is_empty() || upstream.chars().count() > NAME_CHARS_MAX || upstream.chars().any(char::is_control))
    {
        return Err(Error::invalid("upstream_name", format!("must be 1 to {NAME_CHARS_MAX} printable characters")));
    }
    let within = |field: &str, number: Option<u32>, max: u32| match number {
        Some(number) if number == 0 || number > max => Err(Error::invalid(field, format!("must be 1 to {max}"))),
        _ => Ok(()),
    };
    within("context_length", new.context_length, CONTEXT_LENGTH_MAX)?;
    within("dimensions", new.dimensions, DIMENSIONS_MAX)?;
    if new.kind != ModelKind::Embedding && new.dimensions.is_some() {
        return Err(Error::invalid("dimensions", "is for embedding models only"));
    }
    custom::check_labels(new.domain.as_deref(), new.description.as_deref())?;
    new.price.as_ref().map_or(Ok(()), check_price)
}

pub(crate) fn free_and_priced() -> Error {
    Error::invalid("free", "is given together with a price").remedy("give either `free` or prices")
}

/// The model with the price that counts.
fn with_price(listed: ListedModel, now: Timestamp) -> Model {
    let ListedModel { model, upstream_name, base_url } = listed;
    let hint = ProviderHint { kind: model.provider_kind.as_str(), base_url: &base_url };
    let (price, price_source) = prices::effective(model.price, &hint, &upstream_name, now).unzip();
    Model { price, price_source, ..model }
}

fn price_data(price: &Price) -> serde_json::Value {
    if price.free {
        return json!({ "free": true });
    }
    json!({
        "input_micros_per_million": price.input_micros_per_million,
        "cached_input_micros_per_million": price.cached_input_micros_per_million,
        "cache_write_micros_per_million": price.cache_write_micros_per_million,
        "output_micros_per_million": price.output_micros_per_million,
        "call_micros_per_thousand": price.call_micros_per_thousand,
        "currency": price.currency,
    })
}

fn check_price(price: &Price) -> Result<()> {
    let within = |field: &str, micros: Option<i64>| match micros {
        Some(micros) if !(0..=PRICE_MICROS_MAX).contains(&micros) => {
            Err(Error::invalid(field, format!("must be 0 to {PRICE_MICROS_MAX}")))
        }
        _ => Ok(()),
    };
    if price.free {
        let rates = price.base_rates();
        let given = [rates.input, rates.cached_input, rates.cache_write, rates.output, price.call_micros_per_thousand];
        return if given.iter().flatten().all(|micros| *micros == 0) { Ok(()) } else { Err(free_and_priced()) };
    }
    within("input_price_micros_per_million", price.input_micros_per_million)?;
    within("cached_input_price_micros_per_million", price.cached_input_micros_per_million)?;
    within("cache_write_price_micros_per_million", price.cache_write_micros_per_million)?;
    within("output_price_micros_per_million", price.output_micros_per_million)?;
    within("call_price_micros_per_thousand", price.call_micros_per_thousand)?;
    // Only the snapshot has these, and there are no columns for them.
    if !price.tiers.is_empty() || price.reasoning_micros_per_million.is_some() {
        return Err(Error::invalid("price", "tiers and prices of thoughts cannot be set"));
    }
    if price.currency.len() == 3 && price.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Error::invalid("currency", "must be an ISO 4217 code such as USD"))
}
