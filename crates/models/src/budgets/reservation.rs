//! What a call sets aside of the budgets that apply to it, and what becomes of that.

use std::{collections::BTreeMap, sync::Arc};

use plasma_kernel::{Money, Result};
use plasma_store::{NewEvent, Tx};
use serde_json::json;
use tokio::sync::OwnedMutexGuard;

use super::{
    Budget,
    account::{Account, AccountKey, Moment, Taken},
};
use crate::{
    CallStatus, ModelCall,
    call_journal::Spent,
    events,
    store::{
        self,
        budget_spend::{Books, PeriodKey},
    },
};

/// Percent of a budget that are told of, in ascending order.
const THRESHOLDS: [i64; 2] = [80, 100];

/// The worst that a call may cost, set aside of every budget that applies. Dropped, all of it is free again: for calls that
/// were not made, failed without cost, or were cancelled.
#[must_use = "dropped, nothing is set aside"]
pub(crate) struct Reservation {
    /// At least one, in the order of their budgets.
    pub(super) taken: Vec<Taken>,
    pub(super) worst_micros: i64,
    pub(super) currency: String,
}

impl Reservation {
    /// The call has ended and cost this much; pass the settlement on with the call's record. `None`: its cost is not known.
    /// Then a call that succeeded counts with its worst case, for it may have cost that, and any other counts nothing.
    pub(crate) fn settle(mut self, cost: Option<&Money>) -> Settlement {
        let cost_micros = cost.filter(|cost| cost.currency == self.currency).map(|cost| cost.amount_micros.max(0));
        if let Some(cost_micros) = cost_micros {
            if cost_micros > self.worst_micros {
                tracing::warn!(cost_micros, worst_micros = self.worst_micros, "a call cost more than its worst case");
            }
            for taken in &mut self.taken {
                taken.shrink(cost_micros);
            }
        }
        Settlement { taken: self.taken, worst_micros: self.worst_micros, cost_micros }
    }
}

/// What a call has cost, on its way into the books together with the call's record. Dropped before, the amount stays set
/// aside until the lease ends, for the call was made.
pub(crate) struct Settlement {
    taken: Vec<Taken>,
    worst_micros: i64,
    cost_micros: Option<i64>,
}

impl Settlement {
    /// What a call that ended so counts.
    fn micros(&self, status: CallStatus) -> i64 {
        match (self.cost_micros, status) {
            (Some(micros), _) => micros,
            (None, CallStatus::Succeeded) => self.worst_micros,
            (None, CallStatus::Failed | CallStatus::Cancelled) => 0,
        }
    }

    /// What each budget is charged for a call that ended so.
    pub(crate) fn spent(&self, status: CallStatus) -> Vec<Spent> {
        let micros = self.micros(status);
        self.taken.iter().map(|taken| Spent { period: taken.account.key.period, micros }).collect()
    }

    /// It is in the books: [`Settling::confirm`] has released what it had taken.
    pub(crate) fn finish(mut self) {
        self.taken.drain(..).for_each(Taken::finish);
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.taken.drain(..).for_each(Taken::stick);
    }
}

/// The settlements of calls that are recorded in one transaction. While it lives this process does nothing else with their
/// accounts.
pub(crate) struct Settling {
    /// In the order of their keys, in which every process locks them.
    parts: BTreeMap<AccountKey, Part>,
    begun: Option<Moment>,
}

struct Part {
    account: Arc<Account>,
    spend: i64,
    released: i64,
    /// What was written, when it was.
    books: Option<Books>,
    _turn: OwnedMutexGuard<()>,
}

impl Settling {
    /// Waits until the accounts are free. Call it before the transaction is begun: who asks about an account holds it while
    /// waiting for a connection.
    pub(crate) async fn of(calls: impl IntoIterator<Item = (&ModelCall, &Settlement)>) -> Self {
        let mut sums: BTreeMap<AccountKey, (Arc<Account>, i64, i64)> = BTreeMap::new();
        for (call, settlement) in calls {
            for taken in &settlement.taken {
                let (_, spend, released) =
                    sums.entry(taken.account.key).or_insert_with(|| (taken.account.clone(), 0, 0));
                *spend = spend.saturating_add(settlement.micros(call.status));
                *released = released.saturating_add(taken.micros());
            }
        }
        let mut parts = BTreeMap::new();
        for (key, (account, spend, released)) in sums {
            let turn = account.turn.clone().lock_owned().await;
            parts.insert(key, Part { account, spend, released, books: None, _turn: turn });
        }
        Self { parts, begun: None }
    }

    /// Writes what the calls have cost, in the transaction that records them, and tells of thresholds.
    pub(crate) async fn write(&mut self, tx: &mut Tx) -> Result<()> {
        let begun = Moment::now(tx.ctx().clock());
        self.begun = Some(begun);
        for part in self.parts.values_mut() {
            let (key, holder) = (&part.account.key.period, &part.account.holder);
            // No books: the budget was removed while the call ran.
            let Some(mut books) = store::budget_spend::open(tx, key, holder, begun.wall).await? else { continue };
            part.account.prepare_settlement(&mut books, part.spend, part.released, begun);
            books.warned_percent =
                tell_thresholds(tx, &part.account.budget, key, books.limit, books.spent, books.warned_percent).await?;
            store::budget_spend::close(tx, key, holder, &books, begun.lease_end()).await?;
            part.books = Some(books);
        }
        Ok(())
    }

    /// The transaction is committed.
    pub(crate) fn confirm(self) {
        let Some(begun) = self.begun else { return };
        for part in self.parts.into_values() {
            match part.books {
                Some(books) => part.account.confirm(books, part.released, begun),
                None => part.account.forget(part.released),
            }
        }
    }

    /// The transaction failed, or nobody knows.
    pub(crate) fn doubt(self) {
        for part in self.parts.into_values() {
            part.account.doubt();
        }
    }
}

/// Writes what calls of an earlier process have cost, outside of any lease, in the transaction that records them, and tells of
/// thresholds. A budget that was removed in the meantime is passed over.
pub(crate) async fn settle_left(tx: &mut Tx, spent: &[Spent]) -> Result<()> {
    // In the order in which every process locks them.
    let mut sums: BTreeMap<PeriodKey, i64> = BTreeMap::new();
    for spent in spent {
        let sum = sums.entry(spent.period).or_default();
        *sum = sum.saturating_add(spent.micros);
    }
    for (key, micros) in sums {
        let Some((before, warned)) = store::budget_spend::spent(tx, &key).await? else { continue };
        store::budget_spend::add(tx, &key, micros).await?;
        let budget = store::budgets::get(tx, key.budget).await?;
        let after = before.saturating_add(micros);
        let told = tell_thresholds(tx, &budget, &key, budget.limit_micros, after, warned).await?;
        if told > warned {
            store::budget_spend::set_warned(tx, &key, told).await?;
        }
    }
    Ok(())
}

/// Emits an event for each threshold that was passed for the first time in this period. Returns the highest one told of.
pub(super) async fn tell_thresholds(
    tx: &mut Tx,
    budget: &Budget,
    period: &PeriodKey,
    limit: i64,
    spent: i64,
    warned_percent: i64,
) -> Result<i64> {
    let passed = passed(limit, spent, warned_percent);
    for percent in &passed {
        let data = json!({
            "budget": budget.id,
            "subject": budget.subject,
            "period": budget.period,
            "period_start_at": period.period_start_at,
            "threshold_percent": percent,
            "spent": budget.money(spent),
            "limit": budget.money(limit),
        });
        tx.emit(NewEvent::new(events::BUDGET_THRESHOLD_REACHED, budget.id, data)).await?;
    }
    Ok(passed.last().copied().unwrap_or(warned_percent))
}

fn passed(limit: i64, spent: i64, warned_percent: i64) -> Vec<i64> {
    let is_passed = |percent: &i64| {
        *percent > warned_percent && spent > 0 && i128::from(spent) * 100 >= i128::from(limit) * i128::from(*percent)
    };
    THRESHOLDS.into_iter().filter(is_passed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_threshold_is_passed_once() {
        let passed = |spent, warned_percent| passed(1_000, spent, warned_percent);
        assert!(passed(0, 0).is_empty());
        assert!(passed(799, 0).is_empty());
        assert_eq!(passed(800, 0), [80]);
        assert!(passed(999, 80).is_empty());
        assert_eq!(passed(1_000, 80), [100]);
        assert_eq!(passed(1_000, 0), [80, 100]);
        assert!(passed(i64::MAX, 100).is_empty());
    }
}
