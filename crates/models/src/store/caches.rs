//! The settings of caches, and what caches did.

use plasma_kernel::{Money, Result, Timestamp};
use plasma_store::{Tx, Value};

use super::call_list::{ID_SLACK_MS, id_at};
use crate::caches::{CacheKind, CacheSettings, CacheState};

pub(crate) async fn get(tx: &mut Tx) -> Result<CacheState> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT settings, purged_at FROM model_cache_settings WHERE tenant_id = $1", [tenant.into()])
        .await?;
    let Some(row) = row else { return Ok(CacheState::default()) };
    let settings = row.optional_json("settings")?.unwrap_or_default();
    Ok(CacheState { settings, purged_at: row.get("purged_at")? })
}

pub(crate) async fn put(tx: &mut Tx, settings: &CacheSettings, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_cache_settings (tenant_id, settings, purged_at, updated_at) VALUES ($1, $2, 0, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET settings = $2, updated_at = $3",
        [tenant.into(), Value::json(settings)?, now.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn purge(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_cache_settings (tenant_id, settings, purged_at, updated_at) VALUES ($1, NULL, $2, $2)
         ON CONFLICT (tenant_id) DO UPDATE SET purged_at = $2, updated_at = $2",
        [tenant.into(), now.into()],
    )
    .await
    .map(drop)
}

/// The answered chats of clients of one model, or embeddings, that were found in one way, and in one currency (or with unknown
/// cost).
pub(crate) struct UsageRow {
    pub(crate) model: String,
    pub(crate) cache: Option<CacheKind>,
    pub(crate) calls: u64,
    pub(crate) saved: Option<Money>,
}

/// Sums by model, kind of hit and currency since `since_at`. Ids are in the order of time: the key finds the first call.
pub(crate) async fn usage(tx: &mut Tx, since_at: Timestamp) -> Result<Vec<UsageRow>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT model, cache, cost_currency, COUNT(*) AS calls, CAST(SUM(saved_micros) AS BIGINT) AS saved_micros
             FROM model_calls
             WHERE tenant_id = $1 AND id >= $2 AND created_at >= $3 AND status = 'succeeded'
               AND ((kind = 'chat' AND purpose = 'api') OR kind = 'embedding')
             GROUP BY model, cache, cost_currency ORDER BY model",
            [tenant.into(), id_at(since_at, -ID_SLACK_MS).into(), since_at.into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let cache: Option<String> = row.get("cache")?;
            Ok(UsageRow {
                model: row.get("model")?,
                cache: cache.map(|word| word.parse()).transpose()?,
                calls: row.get("calls")?,
                saved: super::money(row, "saved_micros", "cost_currency")?,
            })
        })
        .collect()
}
