//! What was spent of budgets, and which process may still spend how much.
//!
//! [`open`] locks the row of a budget's period, so that everything until the commit happens at once for all processes; whoever
//! opens several does so in the order of their keys.

use plasma_kernel::{BudgetId, Result, TenantId, Timestamp};
use plasma_store::{Dialect, Sql, Tx, Value};
use serde::{Deserialize, Serialize};

/// SQLite has one writer, who waits for nobody.
const LOCK: Sql = Sql::each(
    "SELECT spent_micros, leased_micros, warned_percent, wanted_at FROM model_budget_spend
     WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3",
    "SELECT spent_micros, leased_micros, warned_percent, wanted_at FROM model_budget_spend
     WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3 FOR UPDATE",
);

/// A budget in one period. 0 is the start of a period without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PeriodKey {
    pub(crate) budget: BudgetId,
    pub(crate) period_start_at: Timestamp,
}

impl PeriodKey {
    fn columns(&self, tenant: TenantId) -> [Value; 3] {
        [tenant.into(), self.budget.into(), self.period_start_at.into()]
    }
}

/// Where a budget stands in a period. All amounts are in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) limit: i64,
    /// What recorded calls have cost.
    pub(crate) spent: i64,
    /// What this process holds.
    pub(crate) held: i64,
    /// What other processes hold.
    pub(crate) others: i64,
    /// The highest threshold that was told of.
    pub(crate) warned_percent: i64,
    /// When a process last found too little while others held leases.
    pub(crate) wanted_at: Timestamp,
}

impl Books {
    /// What this process could hold in all.
    pub(crate) fn room(&self) -> i64 {
        self.limit.saturating_sub(self.spent).saturating_sub(self.others)
    }
}

/// Leases that expire before this time are nobody's. With SQLite there is one process: what another holder left is from
/// one that has ended.
pub(crate) fn expired_before(tx: &Tx, now: Timestamp) -> Timestamp {
    match tx.dialect() {
        Dialect::Sqlite => i64::MAX,
        Dialect::Postgres => now,
    }
}

/// Locks and reads the books, after taking back leases that have expired. `None` when there is no such budget any more, or
/// nothing of this period yet: then [`create`] makes it.
pub(crate) async fn open(tx: &mut Tx, key: &PeriodKey, holder: &str, now: Timestamp) -> Result<Option<Books>> {
    let tenant = tx.tenant()?;
    let place = || key.columns(tenant);
    let Some(row) = tx.fetch_optional(LOCK, place()).await? else { return Ok(None) };
    // In a statement of its own, after the lock: the one before may have waited for it with an older view.
    let limit = tx
        .fetch_optional(
            "SELECT limit_micros FROM model_budgets WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), key.budget.into()],
        )
        .await?;
    let Some(limit) = limit else { return Ok(None) };
    let leases = tx
        .fetch_all(
            "SELECT holder, leased_micros FROM model_budget_leases
             WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3 AND (holder = $4 OR expires_at < $5)",
            place().into_iter().chain([holder.into(), expired_before(tx, now).into()]),
        )
        .await?;
    let (mut held, mut expired) = (0_i64, 0_i64);
    for lease in &leases {
        let micros: i64 = lease.get("leased_micros")?;
        match lease.get::<String>("holder")? == holder {
            true => held = micros,
            false => expired = expired.saturating_add(micros),
        }
    }
    if expired > 0 {
        tx.execute(
            "DELETE FROM model_budget_leases
             WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3 AND holder <> $4 AND expires_at < $5",
            place().into_iter().chain([holder.into(), expired_before(tx, now).into()]),
        )
        .await?;
    }
    let leased: i64 = row.get("leased_micros")?;
    Ok(Some(Books {
        limit: limit.get("limit_micros")?,
        spent: row.get("spent_micros")?,
        held,
        others: leased.saturating_sub(expired).saturating_sub(held).max(0),
        warned_percent: row.get("warned_percent")?,
        wanted_at: row.get("wanted_at")?,
    }))
}

/// Makes the row of a budget's period; `false` when there is no such budget.
pub(crate) async fn create(tx: &mut Tx, key: &PeriodKey) -> Result<bool> {
    let tenant = tx.tenant()?;
    let exists = tx
        .fetch_optional(
            "SELECT id FROM model_budgets WHERE tenant_id = $1 AND id = $2",
            [tenant.into(), key.budget.into()],
        )
        .await?
        .is_some();
    if exists {
        tx.execute(
            "INSERT INTO model_budget_spend (tenant_id, budget_id, period_start_at, spent_micros, leased_micros, warned_percent, wanted_at)
             VALUES ($1, $2, $3, 0, 0, 0, 0) ON CONFLICT (tenant_id, budget_id, period_start_at) DO NOTHING",
            key.columns(tenant),
        )
        .await?;
    }
    Ok(exists)
}

/// Writes the books of [`open`]. What is held is held until `expires_at`.
pub(crate) async fn close(
    tx: &mut Tx,
    key: &PeriodKey,
    holder: &str,
    books: &Books,
    expires_at: Timestamp,
) -> Result<()> {
    let tenant = tx.tenant()?;
    let place = || key.columns(tenant);
    tx.execute(
        "UPDATE model_budget_spend SET spent_micros = $4, leased_micros = $5, warned_percent = $6, wanted_at = $7
         WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3",
        place().into_iter().chain([
            books.spent.into(),
            books.others.saturating_add(books.held).into(),
            books.warned_percent.into(),
            books.wanted_at.into(),
        ]),
    )
    .await?;
    if books.held > 0 {
        tx.execute(
            "INSERT INTO model_budget_leases (tenant_id, budget_id, period_start_at, holder, leased_micros, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (tenant_id, budget_id, period_start_at, holder)
             DO UPDATE SET leased_micros = excluded.leased_micros, expires_at = excluded.expires_at",
            place().into_iter().chain([holder.into(), books.held.into(), expires_at.into()]),
        )
        .await
        .map(drop)
    } else {
        tx.execute(
            "DELETE FROM model_budget_leases
             WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3 AND holder = $4",
            place().into_iter().chain([holder.into()]),
        )
        .await
        .map(drop)
    }
}

/// Adds what a call has cost, outside of any lease. Nothing happens when the budget was removed.
pub(crate) async fn add(tx: &mut Tx, key: &PeriodKey, micros: i64) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_budget_spend SET spent_micros = spent_micros + $4
         WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3",
        key.columns(tenant).into_iter().chain([micros.into()]),
    )
    .await
    .map(drop)
}

/// Locks the row and reads what was spent and the highest threshold that was told of; `None` when nothing was called yet.
pub(crate) async fn spent(tx: &mut Tx, key: &PeriodKey) -> Result<Option<(i64, i64)>> {
    let tenant = tx.tenant()?;
    let row = tx.fetch_optional(LOCK, key.columns(tenant)).await?;
    row.map(|row| Ok((row.get("spent_micros")?, row.get("warned_percent")?))).transpose()
}

pub(crate) async fn set_warned(tx: &mut Tx, key: &PeriodKey, percent: i64) -> Result<()> {
    let tenant = tx.tenant()?;
    tx.execute(
        "UPDATE model_budget_spend SET warned_percent = $4
         WHERE tenant_id = $1 AND budget_id = $2 AND period_start_at = $3",
        key.columns(tenant).into_iter().chain([percent.into()]),
    )
    .await
    .map(drop)
}
