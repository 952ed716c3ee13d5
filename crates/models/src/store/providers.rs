use plasma_kernel::{Error, Page, PageRequest, ProviderId, Result, Timestamp};
use plasma_store::{Row, Tx, Value, page_key};

use crate::{NewProvider, Provider, ProviderOptions};

/// The column `options`: JSON, for nothing of it is searched for.
pub(super) fn options(row: &Row) -> Result<ProviderOptions> {
    Ok(row.optional_json("options")?.unwrap_or_default())
}

fn provider(row: &Row) -> Result<Provider> {
    let kind: String = row.get("kind")?;
    Ok(Provider {
        id: row.get("id")?,
        name: row.get("name")?,
        kind: kind.parse()?,
        base_url: row.get("base_url")?,
        options: options(row)?,
        has_api_key: row.get("has_api_key")?,
        unguarded: row.get("unguarded")?,
        created_at: row.get("created_at")?,
    })
}

/// A provider with its sealed key.
pub(crate) struct SealedProvider {
    pub(crate) provider: Provider,
    pub(crate) api_key_sealed: Option<Vec<u8>>,
}

pub(crate) fn not_found(id: ProviderId) -> Error {
    Error::not_found("provider_not_found", format!("there is no provider {id}"))
}

pub(crate) async fn insert(
    tx: &mut Tx,
    id: ProviderId,
    new: &NewProvider,
    api_key_sealed: Option<Vec<u8>>,
    unguarded: bool,
    now: Timestamp,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_providers (tenant_id, id, name, kind, base_url, api_key_sealed, created_at, updated_at, options,
           unguarded)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)",
        [
            tenant.into(),
            id.into(),
            (&new.name).into(),
            new.kind.as_str().into(),
            (&new.base_url).into(),
            api_key_sealed.into(),
            now.into(),
            Value::json(&new.options)?,
            unguarded.into(),
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn update(
    tx: &mut Tx,
    provider: &Provider,
    api_key_sealed: Option<Vec<u8>>,
    now: Timestamp,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_providers SET base_url = $3, api_key_sealed = $4, updated_at = $5, options = $6, unguarded = $7
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            provider.id.into(),
            (&provider.base_url).into(),
            api_key_sealed.into(),
            now.into(),
            Value::json(&provider.options)?,
            provider.unguarded.into(),
        ],
    )
    .await
    .map(drop)
}

/// Removes the provider; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, id: ProviderId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM model_providers WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(deleted > 0)
}

pub(crate) async fn get(tx: &mut Tx, id: ProviderId) -> Result<SealedProvider> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT id, name, kind, base_url, options, api_key_sealed, unguarded, created_at,
               CASE WHEN api_key_sealed IS NULL THEN CAST(0 AS BIGINT) ELSE CAST(1 AS BIGINT) END AS has_api_key
             FROM model_providers WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into()],
        )
        .await?
        .ok_or_else(|| not_found(id))?;
    Ok(SealedProvider { provider: provider(&row)?, api_key_sealed: row.get("api_key_sealed")? })
}

pub(crate) async fn list(tx: &mut Tx, page: &PageRequest) -> Result<Page<Provider>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT id, name, kind, base_url, options, unguarded, created_at,
               CASE WHEN api_key_sealed IS NULL THEN CAST(0 AS BIGINT) ELSE CAST(1 AS BIGINT) END AS has_api_key
             FROM model_providers WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let providers = rows.iter().map(provider).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(providers, page.limit, |provider| provider.id.to_string()))
}

pub(crate) async fn count(tx: &mut Tx) -> Result<usize> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS providers FROM model_providers WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("providers")
}
