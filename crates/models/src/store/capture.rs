use plasma_kernel::{Result, Timestamp};
use plasma_store::{Tx, Value};

use crate::CaptureSettings;

/// What the tenant keeps of calls; `None` when nobody has ever said.
pub(crate) async fn get(tx: &mut Tx) -> Result<Option<CaptureSettings>> {
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional("SELECT settings FROM model_capture WHERE tenant_id = $1", [tenant.into()]).await?;
    row.map(|row| row.json("settings")).transpose()
}

pub(crate) async fn put(tx: &mut Tx, settings: &CaptureSettings, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO model_capture (tenant_id, settings, updated_at) VALUES ($1, $2, $3)
         ON CONFLICT (tenant_id) DO UPDATE SET settings = excluded.settings, updated_at = excluded.updated_at",
        [tenant.into(), Value::json(settings)?, now.into()],
    )
    .await
    .map(drop)
}
