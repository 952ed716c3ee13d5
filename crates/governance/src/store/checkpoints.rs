use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Error, Page, PageRequest, Result, TenantId, Timestamp};
use plasma_store::{Row, Tx};

use crate::{AuditCheckpoint, note};

fn from_row(row: &Row) -> Result<AuditCheckpoint> {
    let note: String = row.get("note")?;
    let root = note::unverified(&note).map(|checkpoint| STANDARD.encode(checkpoint.root)).unwrap_or_default();
    Ok(AuditCheckpoint { size: row.get("size")?, root, note, created_at: row.get("created_at")? })
}

pub(crate) async fn insert(tx: &mut Tx, log: TenantId, size: u64, note: &str, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO audit_checkpoints (tenant_id, size, note, created_at) VALUES ($1, $2, $3, $4)",
        [log.into(), size.into(), note.into(), now.into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn newest(tx: &mut Tx, log: TenantId) -> Result<Option<AuditCheckpoint>> {
    let row = tx
        .fetch_optional("SELECT * FROM audit_checkpoints WHERE tenant_id = $1 ORDER BY size DESC LIMIT 1", [log.into()])
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// A page, the largest first.
pub(crate) async fn page(tx: &mut Tx, log: TenantId, page: &PageRequest) -> Result<Page<AuditCheckpoint>> {
    let before = match &page.cursor {
        None => u64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| Error::invalid("cursor", "is not a cursor of this list"))?,
    };
    let rows = tx
        .fetch_all(
            "SELECT * FROM audit_checkpoints WHERE tenant_id = $1 AND size < $2 ORDER BY size DESC LIMIT $3",
            [log.into(), before.into(), page.fetch_limit().into()],
        )
        .await?;
    let checkpoints = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(checkpoints, page.limit, |checkpoint| checkpoint.size.to_string()))
}

/// The notes after one of `after` leaves, up to `until` leaves, the smallest first.
pub(crate) async fn notes(
    tx: &mut Tx,
    log: TenantId,
    after: u64,
    until: u64,
    limit: u32,
) -> Result<Vec<(u64, String)>> {
    let rows = tx
        .fetch_all(
            "SELECT size, note FROM audit_checkpoints WHERE tenant_id = $1 AND size > $2 AND size <= $3
             ORDER BY size LIMIT $4",
            [log.into(), after.into(), until.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("size")?, row.get("note")?))).collect()
}
