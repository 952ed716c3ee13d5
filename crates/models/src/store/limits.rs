//! Limits.

use plasma_kernel::{Error, LimitId, Page, PageRequest, Result, Timestamp};
use plasma_store::{Row, Tx, page_key};

use crate::limits::{Limit, LimitSubject};

fn number(row: &Row, name: &'static str) -> Result<Option<u32>> {
    let number: Option<i64> = row.get(name)?;
    let narrow = |number: i64| {
        u32::try_from(number).map_err(|error| Error::from_source(format!("column {name} holds {number}"), error))
    };
    number.map(narrow).transpose()
}

fn limit(row: &Row) -> Result<Limit> {
    let (kind, id): (String, String) = (row.get("subject_kind")?, row.get("subject_id")?);
    Ok(Limit {
        id: row.get("id")?,
        subject: LimitSubject::from_columns(&kind, &id)?,
        requests_per_minute: number(row, "requests_per_minute")?,
        tokens_per_minute: number(row, "tokens_per_minute")?,
        concurrency: number(row, "concurrency")?,
        created_at: row.get("created_at")?,
    })
}

fn not_found(id: LimitId) -> Error {
    Error::not_found("limit_not_found", format!("there is no limit {id}"))
}

pub(crate) async fn insert(tx: &mut Tx, limit: &Limit) -> Result<()> {
    let tenant = tx.tenant()?;
    let (subject_kind, subject_id) = limit.subject.columns();
    tx.execute(
        "INSERT INTO model_limits (tenant_id, id, subject_kind, subject_id, requests_per_minute, tokens_per_minute, concurrency,
           created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        [
            tenant.into(),
            limit.id.into(),
            subject_kind.into(),
            subject_id.into(),
            limit.requests_per_minute.map(i64::from).into(),
            limit.tokens_per_minute.map(i64::from).into(),
            limit.concurrency.map(i64::from).into(),
            limit.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn update(tx: &mut Tx, limit: &Limit, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_limits SET requests_per_minute = $3, tokens_per_minute = $4, concurrency = $5, updated_at = $6
         WHERE tenant_id = $1 AND id = $2",
        [
            tenant.into(),
            limit.id.into(),
            limit.requests_per_minute.map(i64::from).into(),
            limit.tokens_per_minute.map(i64::from).into(),
            limit.concurrency.map(i64::from).into(),
            now.into(),
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn delete(tx: &mut Tx, id: LimitId) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute("DELETE FROM model_limits WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await.map(drop)
}

pub(crate) async fn get(tx: &mut Tx, id: LimitId) -> Result<Limit> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM model_limits WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?
        .ok_or_else(|| not_found(id))?;
    limit(&row)
}

pub(crate) async fn list(tx: &mut Tx, page: &PageRequest) -> Result<Page<Limit>> {
    let tenant = tx.tenant()?;
    let rows = tx
        .fetch_all(
            "SELECT * FROM model_limits WHERE tenant_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            [tenant.into(), page_key(page.cursor.as_deref()).into(), page.fetch_limit().into()],
        )
        .await?;
    let limits = rows.iter().map(limit).collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(limits, page.limit, |limit| limit.id.to_string()))
}

/// All limits of the tenant: their number is limited.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Limit>> {
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all("SELECT * FROM model_limits WHERE tenant_id = $1", [tenant.into()]).await?;
    rows.iter().map(limit).collect()
}

pub(crate) async fn count(tx: &mut Tx) -> Result<usize> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS limits FROM model_limits WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("limits")
}
