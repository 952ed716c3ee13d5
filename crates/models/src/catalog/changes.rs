//! How models of providers are added, priced and removed.

use plasma_kernel::{Ctx, Error, Permission, Result};
use plasma_store::NewEvent;
use serde_json::json;

use super::{MODELS_MAX, NAME_CHARS_MAX, PRICE_MICROS_MAX, model_not_found, with_price};
use crate::{
    Capability, Model, ModelKind, ModelState, Models, NewModel, Price,
    capabilities::check_capabilities,
    custom, events,
    store::{self, models::ListedModel},
};

const CONTEXT_LENGTH_MAX: u32 = 100_000_000;
const DIMENSIONS_MAX: u32 = 65_536;

impl Models {
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
            precision: None,
            license: None,
            size_bytes: None,
            memory_bytes: None,
            price: new.price,
            price_source: None,
            default: false,
            capabilities: new.capabilities,
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
        self.refuse_local(ctx, id, "models in this process cost nothing; set prices of providers' models").await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if !store::models::set_price(&mut tx, id, price.as_ref()).await? {
            return Err(model_not_found(id, &[]));
        }
        tx.emit(NewEvent::new(events::MODEL_PRICED, id, json!({ "price": price.as_ref().map(price_data) }))).await?;
        let listed = store::models::all(&mut tx).await?.into_iter().find(|listed| listed.model.id == id);
        tx.commit().await?;
        // Routes compare prices too.
        self.forget_models();
        listed.map(|listed| with_price(listed, ctx.now())).ok_or_else(|| model_not_found(id, &[]))
    }

    /// Says anew what a provider's chat model can do beyond text; `None` when nobody knows. Routes look at it: those of this
    /// process at once, those of others within 10 s.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `not_found`, `conflict` (`model_is_local`) for a model of
    /// this process, of which it is known.
    pub async fn set_capabilities(&self, ctx: &Ctx, id: &str, capabilities: Option<Vec<Capability>>) -> Result<Model> {
        ctx.require(Permission::ModelsWrite)?;
        check_capabilities("capabilities", capabilities.as_deref().unwrap_or_default())?;
        self.refuse_local(ctx, id, "what models in this process can do is known; say it of providers' models").await?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let listed = store::models::all(&mut tx).await?.into_iter().find(|listed| listed.model.id == id);
        let mut listed = listed.ok_or_else(|| model_not_found(id, &[]))?;
        if listed.model.kind != ModelKind::Chat && capabilities.is_some() {
            return Err(of_chat_models_only());
        }
        store::models::set_capabilities(&mut tx, id, capabilities.as_deref()).await?;
        tx.emit(NewEvent::new(events::MODEL_CHANGED, id, json!({ "capabilities": capabilities }))).await?;
        tx.commit().await?;
        self.forget_models();
        listed.model.capabilities = capabilities;
        Ok(with_price(listed, ctx.now()))
    }

    /// Refuses a model of this process.
    async fn refuse_local(&self, ctx: &Ctx, id: &str, remedy: &'static str) -> Result<()> {
        let is_local = self.inner.local_entries.iter().any(|entry| entry.id == id)
            || self.custom_models(ctx).await?.iter().any(|custom| custom.entry.id == id);
        if is_local {
            return Err(Error::conflict("model_is_local", format!("`{id}` runs in this process")).remedy(remedy));
        }
        Ok(())
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
    if new.kind != ModelKind::Chat && new.capabilities.is_some() {
        return Err(of_chat_models_only());
    }
    check_capabilities("capabilities", new.capabilities.as_deref().unwrap_or_default())?;
    custom::check_labels(new.domain.as_deref(), new.description.as_deref())?;
    new.price.as_ref().map_or(Ok(()), check_price)
}

fn of_chat_models_only() -> Error {
    Error::invalid("capabilities", "are for chat models only")
}

pub(crate) fn free_and_priced() -> Error {
    Error::invalid("free", "is given together with a price").remedy("give either `free` or prices")
}

fn price_data(price: &Price) -> serde_json::Value {
    if price.free {
        return json!({ "free": true });
    }
    json!({
        "input_micros_per_million": price.rates.input,
        "cached_input_micros_per_million": price.rates.cached_input,
        "cache_write_micros_per_million": price.rates.cache_write,
        "output_micros_per_million": price.rates.output,
        "call_micros_per_thousand": price.call_micros_per_thousand,
        "batch_discount_percent": price.batch_discount_percent,
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
    let rates = &price.rates;
    if price.free {
        if price.batch_discount_percent.is_some() {
            return Err(free_and_priced());
        }
        let given = [rates.input, rates.cached_input, rates.cache_write, rates.output, price.call_micros_per_thousand];
        return if given.iter().flatten().all(|micros| *micros == 0) { Ok(()) } else { Err(free_and_priced()) };
    }
    within("input_price_micros_per_million", rates.input)?;
    within("cached_input_price_micros_per_million", rates.cached_input)?;
    within("cache_write_price_micros_per_million", rates.cache_write)?;
    within("output_price_micros_per_million", rates.output)?;
    within("call_price_micros_per_thousand", price.call_micros_per_thousand)?;
    if price.batch_discount_percent.is_some_and(|percent| percent > 100) {
        return Err(Error::invalid("batch_discount_percent", "must be 0 to 100"));
    }
    // Only the snapshot has these, and there are no columns for them.
    if !price.tiers.is_empty() || rates.reasoning.is_some() || price.batch.is_some() {
        let message = "tiers, prices of thoughts and whole prices of batches cannot be set";
        return Err(Error::invalid("price", message));
    }
    if price.currency.len() == 3 && price.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Error::invalid("currency", "must be an ISO 4217 code such as USD"))
}
