//! Budgets, and where they stand.

use plasma_kernel::{BudgetId, Error, Page, PageRequest, Result, Timestamp};
use plasma_store::{Row, Tx, page_key};

use crate::budgets::{Budget, BudgetPeriod, BudgetState, BudgetSubject};

fn budget(row: &Row) -> Result<Budget> {
    let (kind, id): (String, String) = (row.get("subject_kind")?, row.get("subject_id")?);
    Ok(Budget {
        id: row.get("id")?,
        subject: BudgetSubject::from_columns(&kind, &id)?,
        period: row.get::<String>("period")?.parse()?,
        limit_micros: row.get("limit_micros")?,
        currency: row.get("currency")?,
        created_at: row.get("created_at")?,
    })
}

pub(crate) fn not_found(id: BudgetId) -> Error {
    Error::not_found("budget_not_found", format!("there is no budget {id}"))
}

pub(crate) async fn insert(tx: &mut Tx, budget: &Budget) -> Result<()> {
    let tenant = tx.tenant()?;
    let (subject_kind, subject_id) = budget.subject.columns();
    tx.execute(
        "INSERT INTO model_budgets (tenant_id, id, subject_kind, subject_id, period, limit_micros, currency, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        [
            tenant.into(),
            budget.id.into(),
            subject_kind.into(),
            subject_id.into(),
            budget.period.as_str().into(),
            budget.limit_micros.into(),
            (&budget.currency).into(),
            budget.created_at.into(),
        ],
    )
    .await
    .map(drop)
}

pub(crate) async fn set_limit(tx: &mut Tx, id: BudgetId, limit_micros: i64, now: Timestamp) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_budgets SET limit_micros = $3, updated_at = $4 WHERE tenant_id = $1 AND id = $2",
        [tenant.into(), id.into(), limit_micros.into(), now.into()],
    )
    .await
    .map(drop)
}

/// Removes the budget with what was spent and leased of it; `false` when there was none.
pub(crate) async fn delete(tx: &mut Tx, id: BudgetId) -> Result<bool> {
    let tenant = tx.tenant()?;
    let deleted =
        tx.execute("DELETE FROM model_budgets WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()]).await?;
    Ok(deleted > 0)
}

pub(crate) async fn get(tx: &mut Tx, id: BudgetId) -> Result<Budget> {
    let tenant = tx.tenant()?;
    let row = tx
        .fetch_optional("SELECT * FROM model_budgets WHERE tenant_id = $1 AND id = $2", [tenant.into(), id.into()])
        .await?
        .ok_or_else(|| not_found(id))?;
    budget(&row)
}

/// All budgets of the tenant, oldest first: their number is limited.
pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Budget>> {
    let tenant = tx.tenant()?;
    let rows = tx.fetch_all("SELECT * FROM model_budgets WHERE tenant_id = $1 ORDER BY id", [tenant.into()]).await?;
    rows.iter().map(budget).collect()
}

pub(crate) async fn count(tx: &mut Tx) -> Result<usize> {
    let tenant = tx.tenant()?;
    tx.fetch_one("SELECT COUNT(*) AS budgets FROM model_budgets WHERE tenant_id = $1", [tenant.into()])
        .await?
        .get("budgets")
}

/// Which budgets are asked for.
pub(crate) enum Which<'a> {
    One(BudgetId),
    Page(&'a PageRequest),
}

/// Budgets with what was spent in their current period and what others than `holder` hold of it, newest first.
pub(crate) async fn states(tx: &mut Tx, which: Which<'_>, holder: &str, now: Timestamp) -> Result<Page<BudgetState>> {
    let tenant = tx.tenant()?;
    let one = PageRequest { limit: 1, cursor: None };
    let (id, page) = match which {
        Which::One(id) => (Some(id), &one),
        Which::Page(page) => (None, page),
    };
    let rows = tx
        .fetch_all(
            "SELECT b.id, b.subject_kind, b.subject_id, b.period, b.limit_micros, b.currency, b.created_at,
               COALESCE(s.spent_micros, 0) AS spent_micros,
               CAST(COALESCE((SELECT SUM(l.leased_micros) FROM model_budget_leases l
                 WHERE l.tenant_id = $1 AND l.budget_id = b.id AND l.period_start_at = s.period_start_at
                   AND l.holder <> $4 AND l.expires_at >= $5), 0) AS BIGINT) AS leased_micros
             FROM model_budgets b LEFT JOIN model_budget_spend s
               ON s.tenant_id = b.tenant_id AND s.budget_id = b.id AND s.period_start_at =
                 CASE b.period WHEN 'day' THEN CAST($2 AS BIGINT) WHEN 'month' THEN CAST($3 AS BIGINT) ELSE 0 END
             WHERE b.tenant_id = $1 AND b.id < $6 AND (CAST($7 AS TEXT) IS NULL OR b.id = $7)
             ORDER BY b.id DESC LIMIT $8",
            [
                tenant.into(),
                BudgetPeriod::Day.start_at(now).into(),
                BudgetPeriod::Month.start_at(now).into(),
                holder.into(),
                super::budget_spend::expired_before(tx, now).into(),
                page_key(page.cursor.as_deref()).into(),
                id.into(),
                page.fetch_limit().into(),
            ],
        )
        .await?;
    let states = rows
        .iter()
        .map(|row| {
            let budget = budget(row)?;
            Ok(BudgetState {
                period_start_at: budget.period.start_at(now),
                spent_micros: row.get("spent_micros")?,
                reserved_micros: row.get("leased_micros")?,
                budget,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Page::from_rows(states, page.limit, |state| state.budget.id.to_string()))
}
