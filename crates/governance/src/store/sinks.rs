use plasma_kernel::{AuditSinkId, Error, Page, PageRequest, Result, TenantId, Timestamp};
use plasma_store::{Row, Tx, Value, page_key};

use crate::{Sink, SinkTarget};

/// A sink as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct SinkRow {
    pub(crate) log: TenantId,
    pub(crate) sink: Sink,
    pub(crate) secret_sealed: Option<Vec<u8>>,
    /// Whether it may reach addresses of private networks.
    pub(crate) private_network: bool,
}

fn from_row(row: &Row) -> Result<SinkRow> {
    let secret_sealed: Option<Vec<u8>> = row.get("secret_sealed")?;
    let target: SinkTarget = row.json("target")?;
    let sink = Sink {
        id: row.get("id")?,
        name: row.get("name")?,
        target,
        enabled: row.get("enabled")?,
        has_secret: secret_sealed.is_some(),
        next_leaf: row.get("next_leaf")?,
        failures: row.get("failures")?,
        delivered_at: row.get("delivered_at")?,
        error: row.get("error")?,
        failed_at: row.get("failed_at")?,
        next_attempt_at: row.get("next_attempt_at")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    };
    Ok(SinkRow { log: row.get("tenant_id")?, sink, secret_sealed, private_network: row.get("private_network")? })
}

pub(crate) fn not_found(id: AuditSinkId) -> Error {
    Error::not_found("audit_sink_not_found", format!("there is no audit sink {id} in this workspace"))
}

pub(crate) async fn count(tx: &mut Tx, log: TenantId) -> Result<i64> {
    tx.fetch_one("SELECT COUNT(*) AS sinks FROM audit_sinks WHERE tenant_id = $1", [log.into()]).await?.get("sinks")
}

pub(crate) async fn get(tx: &mut Tx, log: TenantId, id: AuditSinkId) -> Result<SinkRow> {
    let row = tx
        .fetch_optional("SELECT * FROM audit_sinks WHERE tenant_id = $1 AND id = $2", [log.into(), id.into()])
        .await?;
    from_row(&row.ok_or_else(|| not_found(id))?)
}

pub(crate) async fn page(tx: &mut Tx, log: TenantId, page: &PageRequest) -> Result<Page<Sink>> {
    let rows = tx
        .fetch_all(
            "SELECT * FROM audit_sinks WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [log.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let sinks = rows.iter().map(|row| Ok(from_row(row)?.sink)).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(sinks, page.limit, |sink| sink.id.to_string()))
}

pub(crate) async fn insert(tx: &mut Tx, row: &SinkRow) -> Result<()> {
    let sink = &row.sink;
    tx.execute(
        "INSERT INTO audit_sinks (tenant_id, id, name, target, secret_sealed, enabled, anchors, private_network, next_leaf,
                                  failures, next_attempt_at, lease_until, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, 0, $10, $10)",
        [
            row.log.into(),
            sink.id.into(),
            sink.name.as_str().into(),
            Value::json(&sink.target)?,
            row.secret_sealed.clone().into(),
            sink.enabled.into(),
            sink.target.anchors().into(),
            row.private_network.into(),
            sink.next_leaf.into(),
            sink.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Writes what people may change, and forgets that it failed: it is tried at once.
pub(crate) async fn update(tx: &mut Tx, row: &SinkRow) -> Result<()> {
    let sink = &row.sink;
    tx.execute(
        "UPDATE audit_sinks SET name = $3, target = $4, secret_sealed = $5, enabled = $6, private_network = $7,
                failures = 0, next_attempt_at = $8, updated_at = $8
         WHERE tenant_id = $1 AND id = $2",
        [
            row.log.into(),
            sink.id.into(),
            sink.name.as_str().into(),
            Value::json(&sink.target)?,
            row.secret_sealed.clone().into(),
            sink.enabled.into(),
            row.private_network.into(),
            sink.updated_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, log: TenantId, id: AuditSinkId) -> Result<()> {
    tx.execute("DELETE FROM audit_sinks WHERE tenant_id = $1 AND id = $2", [log.into(), id.into()]).await?;
    Ok(())
}

/// Sinks of all logs that have something to send and whose time has come.
pub(crate) async fn due(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<SinkRow>> {
    let rows = tx
        .fetch_all(
            "SELECT s.* FROM audit_sinks s JOIN audit_logs l ON l.tenant_id = s.tenant_id
             WHERE s.enabled = 1 AND s.next_attempt_at <= $1 AND s.lease_until <= $1
               AND s.next_leaf < CASE WHEN s.anchors = 1 THEN l.checkpoint_size ELSE l.size END
             ORDER BY s.next_attempt_at LIMIT $2",
            [now.into(), limit.into()],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

/// Takes a sink for this process until `until`; false when another was first.
pub(crate) async fn lease(tx: &mut Tx, row: &SinkRow, now: Timestamp, until: Timestamp) -> Result<bool> {
    let taken = tx
        .execute(
            "UPDATE audit_sinks SET lease_until = $4
             WHERE tenant_id = $1 AND id = $2 AND lease_until <= $3 AND next_leaf = $5",
            [row.log.into(), row.sink.id.into(), now.into(), until.into(), row.sink.next_leaf.into()],
        )
        .await?;
    Ok(taken > 0)
}

/// Notes that everything before `next_leaf` was delivered.
pub(crate) async fn delivered(tx: &mut Tx, row: &SinkRow, next_leaf: u64, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE audit_sinks SET next_leaf = $3, failures = 0, error = NULL, delivered_at = $4, next_attempt_at = $4,
                lease_until = 0
         WHERE tenant_id = $1 AND id = $2 AND next_leaf <= $3",
        [row.log.into(), row.sink.id.into(), next_leaf.into(), now.into()],
    )
    .await?;
    Ok(())
}

/// Notes that an attempt failed.
pub(crate) async fn failed(
    tx: &mut Tx,
    row: &SinkRow,
    error: &str,
    now: Timestamp,
    next_attempt_at: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE audit_sinks SET failures = failures + 1, error = $3, failed_at = $4, next_attempt_at = $5, lease_until = 0
         WHERE tenant_id = $1 AND id = $2",
        [row.log.into(), row.sink.id.into(), error.into(), now.into(), next_attempt_at.into()],
    )
    .await?;
    Ok(())
}
