//! Weights that are fetched. They belong to the installation: row-level security does not guard them, the verbs decide who sees what.

use plasma_kernel::{Error, Page, PageRequest, PullId, Result, Timestamp};
use plasma_store::{Row, Tx, Value, page_key};

use crate::pulls::{Pull, PullFailure, PullState, folder_name};

fn pull(row: &Row) -> Result<Pull> {
    let name: String = row.get("name")?;
    let (reason, message): (Option<String>, Option<String>) = (row.get("error_reason")?, row.get("error_message")?);
    Ok(Pull {
        id: row.get("id")?,
        folder: folder_name(&name),
        name,
        files: row.json("files")?,
        revision: row.get("revision")?,
        max_bytes: row.get("max_bytes")?,
        state: row.get::<String>("state")?.parse()?,
        done_bytes: row.get("done_bytes")?,
        size_bytes: row.get("size_bytes")?,
        license: row.get("license")?,
        error: reason.zip(message).map(|(reason, message)| PullFailure { reason, message }),
        actor: row.json("actor")?,
        created_at: row.get("created_at")?,
        started_at: row.get("started_at")?,
        ended_at: row.get("ended_at")?,
    })
}

pub(crate) async fn insert(tx: &mut Tx, pull: &Pull) -> Result<()> {
    tx.execute(
        "INSERT INTO model_pulls (id, name, files, revision, max_bytes, state, size_bytes, license, actor, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        [
            pull.id.into(),
            (&pull.name).into(),
            Value::json(&pull.files)?,
            pull.revision.as_deref().into(),
            pull.max_bytes.into(),
            pull.state.as_str().into(),
            pull.size_bytes.into(),
            pull.license.as_deref().into(),
            Value::json(&pull.actor)?,
            pull.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

/// How many have not ended.
pub(crate) async fn unfinished(tx: &mut Tx) -> Result<usize> {
    tx.fetch_one("SELECT COUNT(*) AS pulls FROM model_pulls WHERE ended_at IS NULL", []).await?.get("pulls")
}

/// Removes the records of those that ended, but for the newest `kept`.
pub(crate) async fn remove_old(tx: &mut Tx, kept: usize) -> Result<()> {
    tx.execute(
        "DELETE FROM model_pulls WHERE ended_at IS NOT NULL
           AND id NOT IN (SELECT id FROM model_pulls WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT $1)",
        [kept.into()],
    )
    .await
    .map(drop)
}

pub(crate) async fn find(tx: &mut Tx, id: PullId) -> Result<Option<Pull>> {
    let row = tx.fetch_optional("SELECT * FROM model_pulls WHERE id = $1", [id.into()]).await?;
    row.as_ref().map(pull).transpose()
}

pub(crate) async fn get(tx: &mut Tx, id: PullId) -> Result<Pull> {
    find(tx, id).await?.ok_or_else(|| Error::not_found("pull_not_found", format!("no weights are fetched as {id}")))
}

/// A page, newest first.
pub(crate) async fn list(tx: &mut Tx, page: &PageRequest) -> Result<Page<Pull>> {
    let rows = tx
        .fetch_all(
            "SELECT * FROM model_pulls WHERE id < $1 ORDER BY id DESC LIMIT $2",
            [page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let pulls = rows.iter().map(pull).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(pulls, page.limit, |pull| pull.id.to_string()))
}

/// Marks one as running; `false` when it has ended.
pub(crate) async fn start(tx: &mut Tx, id: PullId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE model_pulls SET state = 'running', started_at = COALESCE(started_at, $2), error_reason = NULL,
               error_message = NULL
             WHERE id = $1 AND ended_at IS NULL",
            [id.into(), now.into()],
        )
        .await?;
    Ok(changed > 0)
}

/// How far a pull has come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) done_bytes: u64,
    /// `None` before it is known.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) license: Option<String>,
}

/// Writes how far a running one has come; `false` when it does not run any more.
pub(crate) async fn reached(tx: &mut Tx, id: PullId, reached: &Reached) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE model_pulls SET done_bytes = $2, size_bytes = COALESCE($3, size_bytes), license = COALESCE($4, license)
             WHERE id = $1 AND state = 'running'",
            [
                id.into(),
                reached.done_bytes.into(),
                reached.size_bytes.into(),
                reached.license.as_deref().into(),
            ],
        )
        .await?;
    Ok(changed > 0)
}

/// A running one waits for its next attempt.
pub(crate) async fn rest(tx: &mut Tx, id: PullId, failure: &PullFailure) -> Result<()> {
    tx.execute(
        "UPDATE model_pulls SET state = 'queued', error_reason = $2, error_message = $3 WHERE id = $1 AND state = 'running'",
        [id.into(), (&failure.reason).into(), (&failure.message).into()],
    )
    .await
    .map(drop)
}

/// Ends one; `false` when it had ended.
pub(crate) async fn end(
    tx: &mut Tx,
    id: PullId,
    state: PullState,
    failure: Option<&PullFailure>,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .execute(
            "UPDATE model_pulls SET state = $2, error_reason = $3, error_message = $4, ended_at = $5,
               done_bytes = CASE WHEN $2 = 'done' THEN COALESCE(size_bytes, done_bytes) ELSE done_bytes END
             WHERE id = $1 AND ended_at IS NULL",
            [
                id.into(),
                state.as_str().into(),
                failure.map(|failure| failure.reason.as_str()).into(),
                failure.map(|failure| failure.message.as_str()).into(),
                now.into(),
            ],
        )
        .await?;
    Ok(changed > 0)
}
