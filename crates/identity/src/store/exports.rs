use plasma_kernel::{Error, ExportId, Page, PageRequest, Result, TenantId, Timestamp};
use plasma_store::{Row, Tx, Value, page_key};

use crate::Export;

fn from_row(row: &Row) -> Result<Export> {
    let (reason, detail): (Option<String>, Option<String>) = (row.get("error_reason")?, row.get("error_detail")?);
    Ok(Export {
        id: row.get("id")?,
        state: row.get::<String>("state")?.parse()?,
        requested_by: row.json("requested_by")?,
        done: row.get("progress_done")?,
        total: row.get("progress_total")?,
        size_bytes: row.get("size_bytes")?,
        error: reason.zip(detail),
        created_at: row.get("created_at")?,
        finished_at: row.get("finished_at")?,
        expires_at: row.get("expires_at")?,
        blob: row.get("blob")?,
    })
}

pub(crate) fn not_found(id: ExportId) -> Error {
    Error::not_found("export_not_found", format!("there is no export {id} in this workspace"))
}

pub(crate) async fn insert(tx: &mut Tx, export: &Export) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "INSERT INTO tenant_exports (tenant_id, id, state, requested_by, blob, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
        [
            tenant.into(),
            export.id.into(),
            export.state.as_str().into(),
            Value::json(&export.requested_by)?,
            export.blob.as_str().into(),
            export.created_at.into(),
        ],
    )
    .await?;
    Ok(())
}

pub(crate) async fn find(tx: &mut Tx, id: ExportId) -> Result<Option<Export>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM tenant_exports WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    row.as_ref().map(from_row).transpose()
}

pub(crate) async fn get(tx: &mut Tx, id: ExportId) -> Result<Export> {
    find(tx, id).await?.ok_or_else(|| not_found(id))
}

pub(crate) async fn page(tx: &mut Tx, page: &PageRequest) -> Result<Page<Export>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM tenant_exports WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let exports = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(exports, page.limit, |export| export.id.to_string()))
}

/// How many are on their way, and how many can be fetched.
pub(crate) async fn count(tx: &mut Tx) -> Result<(i64, i64)> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(CASE WHEN state IN ('queued', 'running') THEN 1 END) AS under_way,
                    COUNT(CASE WHEN state = 'ready' THEN 1 END) AS ready
             FROM tenant_exports WHERE tenant_id = $1",
            [tenant.into()],
        )
        .await?;
    Ok((row.get("under_way")?, row.get("ready")?))
}

/// Says that it is being written and how far it has come.
pub(crate) async fn set_progress(tx: &mut Tx, id: ExportId, done: u64, total: u64) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE tenant_exports SET state = 'running', progress_done = $3, progress_total = $4
         WHERE tenant_id = $1 AND id = $2 AND state IN ('queued', 'running')",
        [tenant.into(), id.into(), done.into(), total.into()],
    )
    .await?;
    Ok(())
}

/// `false` when somebody deleted it meanwhile.
pub(crate) async fn set_ready(tx: &mut Tx, id: ExportId, size_bytes: u64, expires_at: Timestamp) -> Result<bool> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    let changed = tx
        .execute(
            "UPDATE tenant_exports SET state = 'ready', progress_done = progress_total, size_bytes = $3, expires_at = $4,
                    finished_at = $5
             WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), id.into(), size_bytes.into(), expires_at.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

pub(crate) async fn set_failed(tx: &mut Tx, id: ExportId, error: &Error) -> Result<()> {
    let (tenant, now) = (tx.tenant()?, tx.ctx().now());
    tx.execute(
        "UPDATE tenant_exports SET state = 'failed', error_reason = $3, error_detail = $4, finished_at = $5
         WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), error.reason().into(), error.to_string().into(), now.into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn set_expired(tx: &mut Tx, id: ExportId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE tenant_exports SET state = 'expired', size_bytes = NULL WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into()],
    )
    .await?;
    Ok(())
}

pub(crate) async fn delete(tx: &mut Tx, id: ExportId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM tenant_exports WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(())
}

/// Across tenants: those whose time is over, with their blobs.
pub(crate) async fn ended(tx: &mut Tx, now: Timestamp, limit: u32) -> Result<Vec<(TenantId, ExportId, String)>> {
    let rows = tx
        .fetch_all(
            "SELECT tenant_id, id, blob FROM tenant_exports WHERE state = 'ready' AND expires_at <= $1
             ORDER BY expires_at LIMIT $2",
            [now.into(), limit.into()],
        )
        .await?;
    rows.iter().map(|row| Ok((row.get("tenant_id")?, row.get("id")?, row.get("blob")?))).collect()
}

/// Across tenants: removes the rows of those that ended before `before` and have no file.
pub(crate) async fn delete_old(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM tenant_exports WHERE state IN ('failed', 'expired') AND created_at < $1", [before.into()])
        .await
}
