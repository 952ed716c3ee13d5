use plasma_kernel::{EventId, Result, TenantId, Timestamp};
use plasma_store::{Row, Sql, Tx, Value};
use serde_json::json;

/// A record to be written.
#[derive(Debug)]
pub(crate) struct NewRecord {
    pub(crate) leaf: u64,
    pub(crate) id: EventId,
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

/// A record as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct RecordRow {
    pub(crate) leaf: u64,
    pub(crate) text: String,
    /// The record that tells of the erasure of this one.
    pub(crate) erased_by: Option<EventId>,
}

fn from_row(row: &Row) -> Result<RecordRow> {
    Ok(RecordRow { leaf: row.get("leaf")?, text: row.get("record")?, erased_by: row.get("erased_by")? })
}

/// Writes many at once: a statement for each would take most of the time.
pub(crate) async fn insert(tx: &mut Tx, log: TenantId, records: &[NewRecord]) -> Result<()> {
    const INSERT: Sql = Sql::each(
        "INSERT INTO audit_records (tenant_id, leaf, id, at, record)
         SELECT $1, value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each($2)",
        "INSERT INTO audit_records (tenant_id, leaf, id, at, record)
         SELECT $1, (value ->> 0)::bigint, value ->> 1, (value ->> 2)::bigint, value ->> 3
         FROM jsonb_array_elements($2::jsonb) AS v (value)",
    );
    let rows: Vec<_> = records.iter().map(|record| json!([record.leaf, record.id, record.at, record.text])).collect();
    tx.execute(INSERT, [log.into(), Value::json(&rows)?]).await?;
    Ok(())
}

pub(crate) async fn by_id(tx: &mut Tx, log: TenantId, id: EventId) -> Result<Option<RecordRow>> {
    let row = tx
        .fetch_optional(
            "SELECT leaf, record, erased_by FROM audit_records WHERE tenant_id = $1 AND id = $2",
            [log.into(), id.into()],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Records from the leaf `from` to before `until`, oldest first.
pub(crate) async fn range(tx: &mut Tx, log: TenantId, from: u64, until: u64, limit: u32) -> Result<Vec<RecordRow>> {
    let rows = tx
        .fetch_all(
            "SELECT leaf, record, erased_by FROM audit_records WHERE tenant_id = $1 AND leaf >= $2 AND leaf < $3
             ORDER BY leaf LIMIT $4",
            [log.into(), from.into(), until.into(), limit.into()],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

/// Takes the details out of a record.
pub(crate) async fn erase(tx: &mut Tx, log: TenantId, leaf: u64, redacted: String, by: EventId) -> Result<()> {
    tx.execute(
        "UPDATE audit_records SET record = $3, erased_by = $4 WHERE tenant_id = $1 AND leaf = $2",
        [log.into(), leaf.into(), redacted.into(), by.into()],
    )
    .await?;
    Ok(())
}

/// The first leaf from `from` on whose record is not older than `at`.
pub(crate) async fn first_since(tx: &mut Tx, log: TenantId, from: u64, at: Timestamp) -> Result<Option<u64>> {
    let row = tx
        .fetch_optional(
            "SELECT leaf FROM audit_records WHERE tenant_id = $1 AND leaf >= $2 AND at >= $3 ORDER BY leaf LIMIT 1",
            [log.into(), from.into(), at.into()],
        )
        .await?;
    row.map(|row| row.get("leaf")).transpose()
}

/// Removes records; their hashes stay.
pub(crate) async fn delete_before(tx: &mut Tx, log: TenantId, leaf: u64) -> Result<u64> {
    tx.execute("DELETE FROM audit_records WHERE tenant_id = $1 AND leaf < $2", [log.into(), leaf.into()]).await
}
