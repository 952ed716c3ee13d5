use plasma_kernel::{Error, Result, Timestamp};
use plasma_store::Tx;

use crate::CaptureSettings;

/// What the tenant keeps of calls; `None` when nobody has ever said.
pub(crate) async fn get(tx: &mut Tx) -> Result<Option<CaptureSettings>> {
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional("SELECT settings FROM model_capture WHERE tenant_id = $1", [tenant.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let settings: String = row.get("settings")?;
    serde_json::from_str(&settings).map(Some).map_err(|error| Error::from_source("column settings", error))
}

pub(crate) async fn put(tx: &mut Tx, settings: &CaptureSettings, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    let settings = serde_json::to_string(settings).map_err(|error| Error::from_source("settings", error))?;
    tx.execute(
        "INSERT INTO model_capture (tenant_id, settings, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at",
        [tenant.into(), settings.into(), now.into()],
    )
    .await
    .map(drop)
}
