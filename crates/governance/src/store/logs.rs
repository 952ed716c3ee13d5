use plasma_kernel::{Result, TenantId, Timestamp};
use plasma_store::{Row, Sql, Tx, Value};

/// Where a log stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogRow {
    pub(crate) size: u64,
    pub(crate) checkpoint_size: u64,
    pub(crate) retained_from: u64,
    pub(crate) retention_days: Option<u32>,
}

fn from_row(row: &Row) -> Result<LogRow> {
    Ok(LogRow {
        size: row.get("size")?,
        checkpoint_size: row.get("checkpoint_size")?,
        retained_from: row.get("retained_from")?,
        retention_days: row.get("retention_days")?,
    })
}

/// An empty log when nothing was appended yet.
pub(crate) async fn get(tx: &mut Tx, log: TenantId) -> Result<LogRow> {
    let row = tx.fetch_optional("SELECT * FROM audit_logs WHERE tenant_id = $1", [log.into()]).await?;
    row.as_ref().map_or_else(|| Ok(LogRow::default()), from_row)
}

/// The log, made when absent and held until the transaction ends.
pub(crate) async fn hold(tx: &mut Tx, log: TenantId) -> Result<LogRow> {
    const HOLD: Sql = Sql::each(
        "SELECT * FROM audit_logs WHERE tenant_id = $1",
        "SELECT * FROM audit_logs WHERE tenant_id = $1 FOR UPDATE",
    );
    tx.execute(
        "INSERT INTO audit_logs (tenant_id, size, checkpoint_size, retained_from) VALUES ($1, 0, 0, 0)
         ON CONFLICT (tenant_id) DO NOTHING",
        [log.into()],
    )
    .await?;
    from_row(&tx.fetch_one(HOLD, [log.into()]).await?)
}

/// Notes that leaves were appended at `now`.
pub(crate) async fn appended(tx: &mut Tx, log: TenantId, size: u64, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE audit_logs SET size = $2, unsigned_since = COALESCE(unsigned_since, $3) WHERE tenant_id = $1",
        [log.into(), size.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Notes that a checkpoint covers all leaves.
pub(crate) async fn checkpointed(tx: &mut Tx, log: TenantId, size: u64) -> Result<()> {
    tx.execute(
        "UPDATE audit_logs SET checkpoint_size = $2, unsigned_since = NULL WHERE tenant_id = $1",
        [log.into(), size.into()],
    )
    .await?;
    Ok(())
}

/// Logs that have had leaves without a checkpoint since `before`.
pub(crate) async fn unsigned_since(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<Vec<TenantId>> {
    let rows = tx
        .fetch_all(
            "SELECT tenant_id FROM audit_logs WHERE unsigned_since <= $1 ORDER BY unsigned_since LIMIT $2",
            [before.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| row.get("tenant_id")).collect()
}

/// Every log of which anything is left.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<TenantId>> {
    let rows = tx
        .fetch_all(
            "SELECT tenant_id FROM audit_logs UNION SELECT tenant_id FROM audit_tiles
             UNION SELECT tenant_id FROM audit_checkpoints ORDER BY tenant_id",
            [],
        )
        .await?;
    rows.iter().map(|row| row.get("tenant_id")).collect()
}

/// Logs whose records are removed some day.
pub(crate) async fn that_expire(tx: &mut Tx) -> Result<Vec<TenantId>> {
    let rows = tx
        .fetch_all("SELECT tenant_id FROM audit_logs WHERE retention_days IS NOT NULL ORDER BY tenant_id", [])
        .await?;
    rows.iter().map(|row| row.get("tenant_id")).collect()
}

pub(crate) async fn set_retention(tx: &mut Tx, log: TenantId, days: Option<u32>) -> Result<()> {
    let parameters: [Value; 2] = [log.into(), days.into()];
    tx.execute("UPDATE audit_logs SET retention_days = $2 WHERE tenant_id = $1", parameters).await?;
    Ok(())
}

pub(crate) async fn set_retained_from(tx: &mut Tx, log: TenantId, leaf: u64) -> Result<()> {
    tx.execute("UPDATE audit_logs SET retained_from = $2 WHERE tenant_id = $1", [log.into(), leaf.into()]).await?;
    Ok(())
}
