use plasma_kernel::{ProviderId, Result, Timestamp};
use plasma_store::{Row, Tx, Value};

use super::providers::options;
use crate::{Capability, Model, ModelKind, ModelState, NewModel, Price, ProviderKind, ProviderOptions, Rates, cost};

/// A model of a provider, with what is needed to call it.
pub(crate) struct RemoteRow {
    pub(crate) kind: ModelKind,
    pub(crate) upstream_name: String,
    pub(crate) dimensions: Option<u32>,
    pub(crate) price: Option<Price>,
    pub(crate) provider_id: ProviderId,
    pub(crate) provider_name: String,
    pub(crate) provider_kind: ProviderKind,
    pub(crate) provider_options: ProviderOptions,
    pub(crate) base_url: String,
    pub(crate) unguarded: bool,
    pub(crate) api_key_sealed: Option<Vec<u8>>,
    pub(crate) created_at: Timestamp,
}

fn kind(row: &Row) -> Result<ModelKind> {
    row.get::<String>("kind")?.parse()
}

/// A model of a provider, with what is needed to find its public price.
pub(crate) struct ListedModel {
    /// Its price is the administrator's own.
    pub(crate) model: Model,
    pub(crate) upstream_name: String,
    pub(crate) base_url: String,
}

/// The administrator's own price.
fn price(row: &Row) -> Result<Option<Price>> {
    if row.get::<Option<i64>>("free")? == Some(1) {
        return Ok(Some(cost::free()));
    }
    let Some(currency) = row.get::<Option<String>>("currency")? else { return Ok(None) };
    let rates = Rates {
        input: row.get("input_price_micros")?,
        cached_input: row.get("cached_input_price_micros")?,
        cache_write: row.get("cache_write_price_micros")?,
        output: row.get("output_price_micros")?,
        reasoning: None,
    };
    Ok(Some(Price {
        rates,
        call_micros_per_thousand: row.get("call_price_micros")?,
        batch_discount_percent: row.get("batch_discount_percent")?,
        currency,
        ..Price::default()
    }))
}

/// What a price is stored as. A free one is the word alone.
fn price_values(price: Option<&Price>) -> [Value; 8] {
    let paid = price.filter(|price| !price.free);
    [
        paid.and_then(|price| price.rates.input).into(),
        paid.and_then(|price| price.rates.cached_input).into(),
        paid.and_then(|price| price.rates.cache_write).into(),
        paid.and_then(|price| price.rates.output).into(),
        paid.and_then(|price| price.call_micros_per_thousand).into(),
        paid.map(|price| price.currency.as_str()).into(),
        price.filter(|price| price.free).map(|_| 1_i64).into(),
        paid.and_then(|price| price.batch_discount_percent).into(),
    ]
}

fn provider_kind(row: &Row) -> Result<ProviderKind> {
    row.get::<String>("provider_kind")?.parse()
}

fn listed(row: &Row) -> Result<ListedModel> {
    Ok(ListedModel { model: model(row)?, upstream_name: row.get("upstream_name")?, base_url: row.get("base_url")? })
}

fn model(row: &Row) -> Result<Model> {
    Ok(Model {
        id: row.get("id")?,
        kind: kind(row)?,
        provider_id: Some(row.get("provider_id")?),
        provider_name: row.get("provider_name")?,
        provider_kind: provider_kind(row)?,
        state: ModelState::Remote,
        remedy: None,
        context_length: row.get("context_length")?,
        dimensions: row.get("dimensions")?,
        precision: None,
        license: None,
        size_bytes: None,
        memory_bytes: None,
        price: price(row)?,
        price_source: None,
        default: false,
        capabilities: row.optional_json("capabilities")?,
        domain: row.get("domain")?,
        description: row.get("description")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) async fn insert(tx: &mut Tx, id: &str, new: &NewModel, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    let [input, cached_input, cache_write, output, call, currency, free, batch_discount] =
        price_values(new.price.as_ref());
    tx.execute(
        "INSERT INTO models (tenant_id, id, provider_id, upstream_name, kind, context_length, dimensions, created_at,
           input_price_micros, cached_input_price_micros, cache_write_price_micros, output_price_micros, call_price_micros,
           currency, free, batch_discount_percent, domain, description, capabilities)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
        [
            tenant.into(),
            id.into(),
            new.provider.into(),
            new.upstream_name.as_deref().unwrap_or(&new.name).into(),
            new.kind.as_str().into(),
            new.context_length.into(),
            new.dimensions.into(),
            now.into(),
            input,
            cached_input,
            cache_write,
            output,
            call,
            currency,
            free,
            batch_discount,
            new.domain.as_deref().into(),
            new.description.as_deref().into(),
            Value::optional_json(new.capabilities.as_deref())?,
        ],
    )
    .await
    .map(drop)
}

/// Replaces the administrator's price; `false` when there is no such model.
pub(crate) async fn set_price(tx: &mut Tx, id: &str, price: Option<&Price>) -> Result<bool> {
    let tenant = tx.tenant()?;
    let [input, cached_input, cache_write, output, call, currency, free, batch_discount] = price_values(price);
    let changed = tx
        .execute(
            "UPDATE models SET input_price_micros = $3, cached_input_price_micros = $4, cache_write_price_micros = $5,
               output_price_micros = $6, call_price_micros = $7, currency = $8, free = $9, batch_discount_percent = $10
             WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into(), input, cached_input, cache_write, output, call, currency, free, batch_discount],
        )
        .await?;
    Ok(changed > 0)
}

/// Replaces what the model can do; `false` when there is no such model.
pub(crate) async fn set_capabilities(tx: &mut Tx, id: &str, capabilities: Option<&[Capability]>) -> Result<bool> {
    let tenant = tx.tenant()?;
    let changed = tx
        .execute(
            "UPDATE models SET capabilities = $3 WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into(), Value::optional_json(capabilities)?],
        )
        .await?;
    Ok(changed > 0)
}

/// Removes the model; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, id: &str) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted = tx.execute("DELETE FROM models WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(deleted > 0)
}

/// Removes all models of a provider and returns their names.
pub(crate) async fn delete_of_provider(tx: &mut Tx, provider: ProviderId) -> Result<Vec<String>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "DELETE FROM models WHERE tenant_id = $1 AND provider_id = $2 RETURNING id",
        [tenant.into(), provider.into()],
    )
    .await?
    .iter()
    .map(|row| row.get("id"))
    .collect()
}

/// All models of the tenant's providers: [`crate::catalog::MODELS_MAX`] at most, which `insert`'s caller keeps.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<ListedModel>> {
    let tenant = tx.tenant()?;
    tx.fetch_all(
        "SELECT m.id, m.kind, m.provider_id, m.upstream_name, m.context_length, m.dimensions, m.input_price_micros,
           m.cached_input_price_micros, m.cache_write_price_micros, m.output_price_micros, m.call_price_micros, m.currency, m.free,
           m.batch_discount_percent, m.created_at, m.domain, m.description, m.capabilities,
           p.name AS provider_name, p.kind AS provider_kind, p.base_url
         FROM models m JOIN model_providers p ON p.tenant_id = m.tenant_id AND p.id = m.provider_id
         WHERE m.tenant_id = $1",
        [tenant.into()],
    )
    .await?
    .iter()
    .map(listed)
    .collect()
}

pub(crate) async fn count(tx: &mut Tx) -> Result<usize> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS models FROM models WHERE tenant_id = $1", [tenant.into()]).await?.get("models")
}

/// What is needed to call the model `id`.
pub(crate) async fn to_call(tx: &mut Tx, id: &str) -> Result<Option<RemoteRow>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT m.kind, m.upstream_name, m.dimensions, m.input_price_micros, m.cached_input_price_micros,
               m.cache_write_price_micros, m.output_price_micros, m.call_price_micros, m.currency, m.free,
               m.batch_discount_percent, m.provider_id, m.created_at,
               p.name AS provider_name, p.kind AS provider_kind, p.options, p.base_url, p.unguarded, p.api_key_sealed
             FROM models m JOIN model_providers p ON p.tenant_id = m.tenant_id AND p.id = m.provider_id
             WHERE m.tenant_id = $1 AND m.id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    row.map(|row| {
        Ok(RemoteRow {
            kind: kind(&row)?,
            upstream_name: row.get("upstream_name")?,
            dimensions: row.get("dimensions")?,
            price: price(&row)?,
            provider_id: row.get("provider_id")?,
            provider_name: row.get("provider_name")?,
            provider_kind: provider_kind(&row)?,
            provider_options: options(&row)?,
            base_url: row.get("base_url")?,
            unguarded: row.get("unguarded")?,
            api_key_sealed: row.get("api_key_sealed")?,
            created_at: row.get("created_at")?,
        })
    })
    .transpose()
}
