use std::collections::HashSet;

use plasma_kernel::{Actor, BatchId, Error, FileId, Page, PageRequest, Result, Timestamp};
use plasma_store::{Row, Tx, page_key};

use crate::{
    batches::{Batch, BatchError, BatchStatus, Cursor, LineResult},
    files::{File, Sight, creator_text},
};

/// The column `creator`.
pub(super) fn actor(row: &Row) -> Result<Actor> {
    let text: String = row.get("creator")?;
    serde_json::from_str(&text).map_err(|error| Error::from_source("column creator", error))
}

fn json<T: serde::de::DeserializeOwned>(row: &Row, column: &'static str) -> Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    let value = text.map(|text| serde_json::from_str(&text)).transpose();
    value.map_err(|error| Error::from_source(format!("column {column}"), error))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn batch(row: &Row) -> Result<Batch> {
    Ok(Batch {
        id: row.get("id")?,
        input_file_id: row.get("input_file_id")?,
        endpoint: row.get::<String>("endpoint")?.parse()?,
        metadata: json(row, "metadata")?,
        creator: actor(row)?,
        team: row.get("team_id")?,
        status: row.get::<String>("status")?.parse()?,
        outcome: row.get::<Option<String>>("outcome")?.map(|outcome| outcome.parse()).transpose()?,
        errors: json(row, "errors")?.unwrap_or_default(),
        total: row.get("total_count")?,
        completed: row.get("completed_count")?,
        failed: row.get("failed_count")?,
        cursor: Cursor { line: row.get("next_line")?, offset: row.get("next_offset")? },
        output_file_id: row.get("output_file_id")?,
        error_file_id: row.get("error_file_id")?,
        provider_model: row.get("provider_model")?,
        provider_batch_id: row.get("provider_batch_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        in_progress_at: row.get("in_progress_at")?,
        finalizing_at: row.get("finalizing_at")?,
        cancelling_at: row.get("cancelling_at")?,
        ended_at: row.get("ended_at")?,
    })
}

pub(crate) async fn insert(tx: &mut Tx, batch: &Batch) -> Result<()> {
    let tenant = tx.tenant()?;
    let metadata = batch.metadata.as_ref().map(serde_json::to_string).transpose();
    tx.execute(
        "INSERT INTO model_batches (tenant_id, id, input_file_id, endpoint, metadata, creator, status, created_at, expires_at,
           team_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            tenant.into(),
            batch.id.into(),
            batch.input_file_id.into(),
            batch.endpoint.as_str().into(),
            metadata.map_err(|error| Error::from_source("metadata", error))?.into(),
            creator_text(&batch.creator)?.into(),
            batch.status.as_str().into(),
            batch.created_at.into(),
            batch.expires_at.into(),
            batch.team.into(),
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn get(tx: &mut Tx, id: BatchId) -> Result<Option<Batch>> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM model_batches WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?;
    row.as_ref().map(batch).transpose()
}

pub(crate) async fn list(tx: &mut Tx, sight: &Sight, page: &PageRequest) -> Result<Page<Batch>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM model_batches WHERE tenant_id = $1 AND id < $2 AND (creator = $3 OR $4 = 1)
             ORDER BY id DESC LIMIT $5",
            [
                tenant.into(),
                page_key(page.cursor.as_deref()).into(),
                (&sight.creator).into(),
                sight.everything.into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let batches = rows.iter().map(batch).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(batches, page.limit, |batch| batch.id.to_string()))
}

/// Batches of the tenant that have not ended.
pub(crate) async fn unfinished(tx: &mut Tx) -> Result<u64> {
    let tenant = tx.tenant()?;
    let count = "SELECT COUNT(*) AS batches FROM model_batches WHERE tenant_id = $1 AND ended_at IS NULL";
    tx.fetch_one(count, [tenant.into()]).await?.get("batches")
}

/// Whether a batch that has not ended reads the file.
pub(crate) async fn reads(tx: &mut Tx, file: FileId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let reader = tx
        .fetch_optional(
            "SELECT id FROM model_batches WHERE tenant_id = $1 AND input_file_id = $2 AND ended_at IS NULL LIMIT 1",
            [tenant.into(), file.into()],
        )
        .await?;
    Ok(reader.is_some())
}

/// The file that the batch reads.
pub(crate) async fn input(tx: &mut Tx, batch: &Batch) -> Result<Option<File>> {
    let everything = Sight { creator: String::new(), everything: true };
    match super::files::get(tx, &everything, batch.input_file_id).await {
        Err(error) if error.reason() == "file_not_found" => Ok(None),
        file => file.map(Some),
    }
}

/// The lines are valid and are answered from now on.
pub(crate) async fn begin(
    tx: &mut Tx,
    id: BatchId,
    total: u64,
    provider_model: Option<&str>,
    now: Timestamp,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_batches SET status = 'in_progress', total_count = $3, provider_model = $4, in_progress_at = $5
         WHERE tenant_id = $1 AND id = $2 AND status = 'validating'",
        [tenant.into(), id.into(), number(total).into(), provider_model.into(), now.into()],
    )
    .await
    .map(drop)
}

/// The provider has begun with its own batch.
pub(crate) async fn set_provider_batch(tx: &mut Tx, id: BatchId, provider_batch: &str) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_batches SET provider_batch_id = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), provider_batch.into()],
    )
    .await
    .map(drop)
}

/// How far the provider's own batch is.
pub(crate) async fn set_counts(tx: &mut Tx, id: BatchId, completed: u64, failed: u64) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_batches SET completed_count = $3, failed_count = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), number(completed).into(), number(failed).into()],
    )
    .await
    .map(drop)
}

/// Sets the counts to the results that are here.
pub(crate) async fn count_results(tx: &mut Tx, id: BatchId) -> Result<()> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT COUNT(*) AS results, CAST(COALESCE(SUM(is_error), 0) AS BIGINT) AS errors FROM model_batch_results
             WHERE tenant_id = $1 AND batch_id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    let (results, errors): (u64, u64) = (row.get("results")?, row.get("errors")?);
    set_counts(tx, id, results.saturating_sub(errors), errors).await
}

/// Every line before `next` has a result.
pub(crate) async fn advance(tx: &mut Tx, id: BatchId, next: Cursor) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_batches SET next_line = $3, next_offset = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), number(next.line).into(), number(next.offset).into()],
    )
    .await
    .map(drop)
}

/// The batch's files are written next, and then it becomes `outcome`. Not so for one that is being cancelled.
pub(crate) async fn begin_finish(tx: &mut Tx, id: BatchId, outcome: BatchStatus, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_batches SET status = 'finalizing', outcome = $3, finalizing_at = $4
         WHERE tenant_id = $1 AND id = $2 AND status IN ('validating', 'in_progress')",
        [tenant.into(), id.into(), outcome.as_str().into(), now.into()],
    )
    .await
    .map(drop)
}

/// The batch ends with its output and its errors.
pub(crate) async fn end(
    tx: &mut Tx,
    id: BatchId,
    status: BatchStatus,
    (output, errors): (Option<FileId>, Option<FileId>),
    now: Timestamp,
) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_batches SET status = $3, output_file_id = $4, error_file_id = $5, ended_at = $6
         WHERE tenant_id = $1 AND id = $2 AND ended_at IS NULL",
        [tenant.into(), id.into(), status.as_str().into(), output.into(), errors.into(), now.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn set_errors(tx: &mut Tx, id: BatchId, errors: &[BatchError]) -> Result<()> {
    let tenant = tx.tenant()?;
    let errors = serde_json::to_string(errors).map_err(|error| Error::from_source("errors", error))?;
    tx.execute(
        "UPDATE model_batches SET errors = $3 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), errors.into()],
    )
    .await
    .map(drop)
}

/// Stops a batch that may still be stopped; `false` when it was not.
pub(crate) async fn cancel(tx: &mut Tx, id: BatchId, sight: &Sight, now: Timestamp) -> Result<bool> {
    let tenant = tx.tenant()?;
    let cancelled = tx
        .execute(
            "UPDATE model_batches SET status = 'cancelling', cancelling_at = $5
             WHERE tenant_id = $1 AND id = $2 AND (creator = $3 OR $4 = 1) AND status IN ('validating', 'in_progress')",
            [tenant.into(), id.into(), (&sight.creator).into(), sight.everything.into(), now.into()],
        )
        .await?;
    Ok(cancelled > 0)
}

/// Keeps a line's result and counts it. A line that has one keeps that; `false` then.
pub(crate) async fn record(tx: &mut Tx, id: BatchId, line: u64, result: &LineResult) -> Result<bool> {
    let tenant = tx.tenant()?;
    let inserted = tx
        .execute(
            "INSERT INTO model_batch_results (tenant_id, batch_id, line, is_error, result) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (tenant_id, batch_id, line) DO NOTHING",
            [tenant.into(), id.into(), number(line).into(), result.is_error.into(), (&result.text).into()],
        )
        .await?;
    if inserted == 0 {
        return Ok(false);
    }
    tx.execute(
        "UPDATE model_batches SET completed_count = completed_count + 1 - $3, failed_count = failed_count + $3
         WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), result.is_error.into()],
    )
    .await?;
    Ok(true)
}

/// Bytes of the results that are here. Both databases know a text's bytes without reading it.
pub(crate) async fn result_bytes(tx: &mut Tx, id: BatchId) -> Result<u64> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_one(
            "SELECT CAST(COALESCE(SUM(OCTET_LENGTH(result)), 0) AS BIGINT) AS bytes FROM model_batch_results
             WHERE tenant_id = $1 AND batch_id = $2",
            [tenant.into(), id.into()],
        )
        .await?;
    row.get("bytes")
}

/// The lines from `from` on that have a result: those of one chunk at most.
pub(crate) async fn recorded(tx: &mut Tx, id: BatchId, from: u64) -> Result<HashSet<u64>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT line FROM model_batch_results WHERE tenant_id = $1 AND batch_id = $2 AND line >= $3",
            [tenant.into(), id.into(), number(from).into()],
        )
        .await?;
    rows.iter().map(|row| row.get("line")).collect()
}

/// Up to `limit` results after the line `after`, in the order of their lines.
pub(crate) async fn results(tx: &mut Tx, id: BatchId, after: u64, limit: u64) -> Result<Vec<(u64, LineResult)>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT line, is_error, result FROM model_batch_results WHERE tenant_id = $1 AND batch_id = $2 AND line > $3
             ORDER BY line LIMIT $4",
            [tenant.into(), id.into(), number(after).into(), number(limit).into()],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let result = LineResult { is_error: row.get("is_error")?, text: row.get("result")? };
            Ok((row.get("line")?, result))
        })
        .collect()
}

/// Removes up to `limit` results of a batch that has ended.
pub(crate) async fn delete_results(tx: &mut Tx, id: BatchId, limit: u64) -> Result<u64> {
    let tenant = tx.tenant()?;
    tx.execute(
        "DELETE FROM model_batch_results WHERE tenant_id = $1 AND batch_id = $2 AND line IN (
             SELECT line FROM model_batch_results WHERE tenant_id = $1 AND batch_id = $2 ORDER BY line LIMIT $3)",
        [tenant.into(), id.into(), number(limit).into()],
    )
    .await
}
