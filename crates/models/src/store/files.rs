use plasma_kernel::{FileId, Page, PageRequest, QuotaResource, Result};
use plasma_store::{Row, Tx, page_key};

use crate::files::{File, FilePurpose, Sight, creator_text, not_found};

fn file(row: &Row) -> Result<File> {
    Ok(File {
        id: row.get("id")?,
        purpose: row.get::<String>("purpose")?.parse()?,
        filename: row.get("filename")?,
        size_bytes: row.get("size_bytes")?,
        creator: row.json("creator")?,
        created_at: row.get("created_at")?,
        blob: row.get("blob")?,
    })
}

/// Refuses when the tenant's plan does not allow that many more bytes; but what a batch wrote was paid for.
pub(crate) async fn insert(tx: &mut Tx, file: &File) -> Result<()> {
    let tenant = tx.tenant()?;
    match file.purpose {
        FilePurpose::Batch => tx.take_quota(QuotaResource::StorageBytes, file.size_bytes).await?,
        FilePurpose::BatchOutput => drop(tx.note_quota(QuotaResource::StorageBytes, file.size_bytes).await?),
    }
    tx.execute(
        "INSERT INTO model_files (tenant_id, id, purpose, filename, size_bytes, blob, creator, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        [
            tenant.into(),
            file.id.into(),
            file.purpose.as_str().into(),
            (&file.filename).into(),
            file.size_bytes.into(),
            (&file.blob).into(),
            creator_text(&file.creator)?.into(),
            file.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// How many files the tenant has, and how many bytes.
pub(crate) async fn count(tx: &mut Tx) -> Result<(u64, u64)> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(*) AS files, CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) AS bytes FROM model_files
             WHERE tenant_id = $1",
            [tenant.into()],
        )
        .await?;
    Ok((row.get("files")?, row.get("bytes")?))
}

pub(crate) async fn list(
    tx: &mut Tx,
    sight: &Sight,
    purpose: Option<FilePurpose>,
    page: &PageRequest,
) -> Result<Page<File>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT id, purpose, filename, size_bytes, blob, creator, created_at FROM model_files
             WHERE tenant_id = $1 AND id < $2 AND (creator = $3 OR $4 = 1) AND ($5 = '' OR purpose = $5)
             ORDER BY id DESC LIMIT $6",
            [
                tenant.into(),
                page_key(page.cursor.as_deref()).into(),
                (&sight.creator).into(),
                sight.everything.into(),
                purpose.map_or("", FilePurpose::as_str).into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let files = rows.iter().map(file).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(files, page.limit, |file| file.id.to_string()))
}

pub(crate) async fn get(tx: &mut Tx, sight: &Sight, id: FileId) -> Result<File> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional(
            "SELECT id, purpose, filename, size_bytes, blob, creator, created_at FROM model_files
             WHERE tenant_id = $1 AND id = $2 AND (creator = $3 OR $4 = 1)",
            [tenant.into(), id.into(), (&sight.creator).into(), sight.everything.into()],
        )
        .await?;
    row.as_ref().map(file).transpose()?.ok_or_else(|| not_found(id))
}

pub(crate) async fn delete(tx: &mut Tx, id: FileId) -> Result<()> {
    let tenant = tx.tenant()?;
    let deleted = tx
        .fetch_optional(
            "DELETE FROM model_files WHERE tenant_id = $1 AND id = $2 RETURNING size_bytes",
            [tenant.into(), id.into()],
        )
        .await?;
    match deleted {
        Some(row) => tx.give_back_quota(QuotaResource::StorageBytes, row.get("size_bytes")?).await,
        None => Ok(()),
    }
}
