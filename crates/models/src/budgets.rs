//! Budgets: how much calls may cost.
//!
//! A call sets aside the worst that it may cost before it starts ([`Models::reserve`]), and what it did cost is written in the
//! transaction of its record ([`Reservation::settle`]). The truth is in SQL: of each budget and period what was spent, and
//! what every process holds as a lease. A process takes from its leases in memory. See `docs/budgets.md`.

mod account;
mod ledger;
mod plan;
mod reservation;
#[cfg(test)]
mod tests;
mod types;

use plasma_kernel::{BudgetId, Ctx, Error, Money, Page, PageRequest, Permission, Result};
use plasma_store::NewEvent;
use serde_json::{Value, json};

pub(crate) use ledger::BudgetLedger;
pub(crate) use reservation::{Reservation, Settlement, Settling, settle_left};
pub use types::{Budget, BudgetPeriod, BudgetState, BudgetSubject, NewBudget};

use crate::{
    Models, events,
    store::{self, budget_spend::PeriodKey, budgets::Which},
};

/// Budgets of one tenant.
const BUDGETS_MAX: usize = 1_000;
/// Ten billion units of the currency.
const LIMIT_MICROS_MAX: i64 = 10_000_000_000_000_000;
const ROUTE_CHARS_MAX: usize = 200;

impl Models {
    /// Sets the worst that a call may cost aside of every budget that applies to it: those of the tenant, of the person or key
    /// that calls, of its team, and of the route. `None` when none applies. It touches memory only, unless this process has to lease more
    /// of a budget.
    ///
    /// # Errors
    /// `over_budget` naming the first budget that does not cover the call, `conflict` (`budget_currency_differs`),
    /// `unavailable` when the database does not answer: a budget that cannot be asked allows nothing.
    pub(crate) async fn reserve(
        &self,
        ctx: &Ctx,
        route: Option<&str>,
        worst_case: &Money,
    ) -> Result<Option<Reservation>> {
        self.inner.calls.caught_up().await?;
        // Boxed: it may lease from the database, and every call holds its future.
        Box::pin(self.inner.budgets.reserve(ctx, route, worst_case)).await
    }

    /// Sets a budget. It counts calls that start from now on.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `invalid` naming the field, `conflict` (`budget_exists`), `too_large` beyond 1,000
    /// budgets.
    pub async fn create_budget(&self, ctx: &Ctx, new: NewBudget) -> Result<BudgetState> {
        ctx.require(Permission::ModelsWrite)?;
        check_new(&new)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        if store::budgets::count(&mut tx).await? >= BUDGETS_MAX {
            return Err(Error::too_large("subject", format!("a workspace has at most {BUDGETS_MAX} budgets")));
        }
        let NewBudget { subject, period, limit_micros, currency } = new;
        let budget = Budget { id: BudgetId::new(ctx), subject, period, limit_micros, currency, created_at: ctx.now() };
        store::budgets::insert(&mut tx, &budget).await.map_err(|error| match error.reason() {
            "already_exists" => {
                let message = format!("{} has a budget for this period already", budget.subject);
                Error::conflict("budget_exists", message).field("subject").remedy("change that budget's limit")
            }
            _ => error,
        })?;
        let data = json!({ "subject": budget.subject, "period": budget.period, "limit": budget.money(limit_micros) });
        let event = NewEvent::new(events::BUDGET_CREATED, budget.id, data);
        tx.emit(event.changed(Value::Null, json!({ "limit_micros": limit_micros }))).await?;
        tx.commit().await?;
        self.inner.budgets.definitions.changed();
        let period_start_at = budget.period.start_at(ctx.now());
        Ok(BudgetState { budget, period_start_at, spent_micros: 0, reserved_micros: 0 })
    }

    /// A page of the tenant's budgets and where they stand, newest first.
    ///
    /// # Errors
    /// `forbidden` without `models:read`.
    pub async fn budgets(&self, ctx: &Ctx, page: &PageRequest) -> Result<Page<BudgetState>> {
        ctx.require(Permission::ModelsRead)?;
        self.budget_states(ctx, Which::Page(page)).await
    }

    /// One budget and where it stands.
    ///
    /// # Errors
    /// `forbidden` without `models:read`, `not_found` (`budget_not_found`).
    pub async fn budget(&self, ctx: &Ctx, id: BudgetId) -> Result<BudgetState> {
        ctx.require(Permission::ModelsRead)?;
        let states = self.budget_states(ctx, Which::One(id)).await?;
        states.data.into_iter().next().ok_or_else(|| store::budgets::not_found(id))
    }

    async fn budget_states(&self, ctx: &Ctx, which: Which<'_>) -> Result<Page<BudgetState>> {
        let tenant = ctx.tenant()?;
        let ledger = &self.inner.budgets;
        self.inner.calls.flushed().await;
        let mut tx = self.inner.store.read(ctx).await?;
        let mut states = store::budgets::states(&mut tx, which, ledger.holder(), ctx.now()).await?;
        for state in &mut states.data {
            let period = PeriodKey { budget: state.budget.id, period_start_at: state.period_start_at };
            state.reserved_micros = state.reserved_micros.saturating_add(ledger.taken(tenant, period));
        }
        Ok(states)
    }

    /// Changes a budget's limit. Calls of this process see it at once, those of others within 10 s. What running calls have
    /// set aside stays so, also when the new limit is lower.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`budget_not_found`), `invalid` naming the field.
    pub async fn change_budget(&self, ctx: &Ctx, id: BudgetId, limit_micros: i64) -> Result<BudgetState> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let previous = store::budgets::get(&mut tx, id).await?;
        check_limit(limit_micros)?;
        store::budgets::set_limit(&mut tx, id, limit_micros, ctx.now()).await?;
        let budget = Budget { limit_micros, ..previous.clone() };
        let data = json!({
            "subject": budget.subject,
            "period": budget.period,
            "limit": budget.money(limit_micros),
            "previous_limit": budget.money(previous.limit_micros),
        });
        let before = json!({ "limit_micros": previous.limit_micros });
        let event = NewEvent::new(events::BUDGET_CHANGED, id, data);
        tx.emit(event.changed(before, json!({ "limit_micros": limit_micros }))).await?;
        // A lower limit may be reached by what is spent already.
        let key = PeriodKey { budget: id, period_start_at: budget.period.start_at(ctx.now()) };
        if let Some((spent, warned)) = store::budget_spend::spent(&mut tx, &key).await? {
            let warned = reservation::tell_thresholds(&mut tx, &budget, &key, limit_micros, spent, warned).await?;
            store::budget_spend::set_warned(&mut tx, &key, warned).await?;
        }
        tx.commit().await?;
        self.inner.budgets.definitions.changed();
        let states = self.budget_states(ctx, Which::One(id)).await?;
        states.data.into_iter().next().ok_or_else(|| store::budgets::not_found(id))
    }

    /// Removes a budget and what was counted for it. Running calls go on.
    ///
    /// # Errors
    /// `forbidden` without `models:write`, `not_found` (`budget_not_found`).
    pub async fn delete_budget(&self, ctx: &Ctx, id: BudgetId) -> Result<()> {
        ctx.require(Permission::ModelsWrite)?;
        let mut tx = self.inner.store.begin(ctx).await?;
        let budget = store::budgets::get(&mut tx, id).await?;
        store::budgets::delete(&mut tx, id).await?;
        let data = json!({ "subject": budget.subject, "period": budget.period });
        let event = NewEvent::new(events::BUDGET_DELETED, id, data);
        tx.emit(event.changed(json!({ "limit_micros": budget.limit_micros }), Value::Null)).await?;
        tx.commit().await?;
        self.inner.budgets.definitions.changed();
        Ok(())
    }
}

fn check_new(new: &NewBudget) -> Result<()> {
    check_limit(new.limit_micros)?;
    if let BudgetSubject::Route { name } = &new.subject
        && (name.is_empty() || name.chars().count() > ROUTE_CHARS_MAX || name.chars().any(char::is_control))
    {
        return Err(Error::invalid("subject.name", format!("must be 1 to {ROUTE_CHARS_MAX} printable characters")));
    }
    if new.currency.len() == 3 && new.currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Error::invalid("currency", "must be an ISO 4217 code such as USD"))
}

fn check_limit(limit_micros: i64) -> Result<()> {
    if (0..=LIMIT_MICROS_MAX).contains(&limit_micros) {
        return Ok(());
    }
    Err(Error::invalid("limit_micros", format!("must be 0 to {LIMIT_MICROS_MAX}")))
}
