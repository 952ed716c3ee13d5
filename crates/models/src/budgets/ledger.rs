//! The budgets of this process: which apply to a call, what it holds of them, and how it gets more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::StreamExt as _;
use plasma_kernel::{Code, Ctx, Error, Money, Result, TenantId, Timestamp};
use plasma_store::Store;
use tokio::{sync::OwnedMutexGuard, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Budget,
    account::{Account, AccountKey, Moment, Taken, Upkeep},
    reservation::Reservation,
};
use crate::{
    definitions::TenantCache,
    store::{self, budget_spend::PeriodKey},
};

/// How long a call waits for other processes to give back what they do not need, and how often it looks.
const RETURN_WAIT: Duration = Duration::from_secs(3);
const RETURN_POLL: Duration = Duration::from_millis(120);
/// How long a call waits for others of this process that ask SQL about the same budget.
const TURN_WAIT: Duration = Duration::from_secs(10);
/// How often leases are looked after.
const UPKEEP_INTERVAL: Duration = Duration::from_millis(500);
/// What is held without need is given back when SQL was not asked for this long.
const IDLE: Duration = Duration::from_secs(1);
/// Accounts that are looked after at once: each takes a connection.
const UPKEEP_AT_ONCE: usize = 2;
/// An amount that is more than any limit.
const NEED_MAX: i64 = super::LIMIT_MICROS_MAX + 1;

/// What this process knows and holds of budgets.
pub(crate) struct BudgetLedger {
    /// Its clock, and its randomness for ids.
    ctx: Ctx,
    store: Store,
    /// This process's name in SQL.
    holder: Arc<str>,
    pub(super) definitions: TenantCache<Vec<Arc<Budget>>>,
    accounts: Mutex<HashMap<AccountKey, Arc<Account>>>,
    stop: CancellationToken,
}

/// What came of asking SQL for more.
enum Answer {
    Granted(Taken),
    Refused,
    /// There is no such budget any more.
    Gone,
}

impl BudgetLedger {
    /// Starts the upkeep of leases: call it inside a tokio runtime.
    pub(crate) fn start(ctx: &Ctx, store: Store) -> Arc<Self> {
        let ledger = Arc::new(Self {
            ctx: ctx.clone(),
            store,
            holder: format!("{:032x}", u128::from_le_bytes(ctx.random().bytes())).into(),
            definitions: TenantCache::new(),
            accounts: Mutex::default(),
            stop: CancellationToken::new(),
        });
        tokio::spawn(keep_up(Arc::downgrade(&ledger), ledger.stop.clone()));
        ledger
    }

    pub(super) fn holder(&self) -> &str {
        &self.holder
    }

    /// What calls of this process have taken of a budget.
    pub(super) fn taken(&self, tenant: TenantId, period: PeriodKey) -> i64 {
        self.accounts().get(&AccountKey { tenant, period }).map_or(0, |account| account.taken())
    }

    /// The same of all budgets together.
    #[cfg(test)]
    pub(super) fn taken_in_all(&self) -> i64 {
        self.accounts().values().map(|account| account.taken()).sum()
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<AccountKey, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The account of the budget in the period that holds `now`. Only here a reference to an account begins: see
    /// [`BudgetLedger::remove_idle`].
    fn account(&self, tenant: TenantId, budget: &Arc<Budget>, now: Timestamp) -> Arc<Account> {
        let period = PeriodKey { budget: budget.id, period_start_at: budget.period.start_at(now) };
        let key = AccountKey { tenant, period };
        let new = || Arc::new(Account::new(key, budget.clone(), self.holder.clone()));
        self.accounts().entry(key).or_insert_with(new).clone()
    }

    async fn budgets(&self, ctx: &Ctx) -> Result<Arc<Vec<Arc<Budget>>>> {
        let load = || async {
            let mut tx = self.store.read(ctx).await?;
            Ok(store::budgets::all(&mut tx).await?.into_iter().map(Arc::new).collect())
        };
        self.definitions.get(ctx.tenant()?, load).await
    }

    /// See [`crate::Models::reserve`].
    pub(super) async fn reserve(
        self: &Arc<Self>,
        ctx: &Ctx,
        route: Option<&str>,
        worst_case: &Money,
    ) -> Result<Option<Reservation>> {
        // What costs nothing needs no budget, in whichever currency.
        if worst_case.amount_micros <= 0 {
            return Ok(None);
        }
        let budgets = self.budgets(ctx).await?;
        let applying = || budgets.iter().filter(|budget| budget.subject.covers(ctx, route));
        if let Some(other) = applying().find(|budget| budget.currency != worst_case.currency) {
            return Err(wrong_currency(other, &worst_case.currency));
        }
        let mut taken = Vec::new();
        for budget in applying() {
            // On an error what was taken of the budgets before is free again.
            taken.extend(self.take(ctx, budget, worst_case.amount_micros).await?);
        }
        if taken.is_empty() {
            return Ok(None);
        }
        Ok(Some(Reservation { taken, worst_micros: worst_case.amount_micros, currency: worst_case.currency.clone() }))
    }

    /// Takes from one budget; `None` when it was removed in the meantime.
    async fn take(self: &Arc<Self>, ctx: &Ctx, budget: &Arc<Budget>, worst_micros: i64) -> Result<Option<Taken>> {
        let need = worst_micros.min(NEED_MAX);
        let now = || Moment::now(ctx.clock());
        let account = self.account(ctx.tenant()?, budget, ctx.now());
        if let Some(taken) = account.try_take(need, budget.limit_micros, now()) {
            return Ok(Some(taken));
        }
        let _waiting = account.wait_for(need);
        let deadline = Instant::now() + RETURN_WAIT;
        loop {
            let turn = tokio::time::timeout(TURN_WAIT, account.turn.clone().lock_owned()).await.map_err(|_| busy())?;
            if let Some(taken) = account.try_take(need, budget.limit_micros, now()) {
                return Ok(Some(taken));
            }
            if !account.is_known_to_refuse(need, budget.limit_micros, now()) {
                match self.ask(&account, need, turn).await? {
                    Answer::Granted(taken) => return Ok(Some(taken)),
                    Answer::Gone => return Ok(None),
                    Answer::Refused => {}
                }
                if account.known_limit().is_some_and(|limit| limit != budget.limit_micros) {
                    self.definitions.changed();
                }
            }
            if !account.may_fit_later(need) || Instant::now() >= deadline {
                return Err(budget.refusal(&account.standing(), worst_micros));
            }
            tokio::time::sleep(RETURN_POLL).await;
        }
    }

    /// Asks SQL in a task of its own: a caller that goes away must not leave a lease that nobody knows of.
    async fn ask(self: &Arc<Self>, account: &Arc<Account>, need: i64, turn: OwnedMutexGuard<()>) -> Result<Answer> {
        let task = tokio::spawn(self.clone().contact(account.clone(), need, false, turn));
        task.await.map_err(|error| Error::from_source("a budget could not be asked", error))?
    }

    /// One transaction that settles how much of the budget this process holds: enough for `need` (0: for nothing new), and with
    /// `give_back` no more than its calls have taken.
    async fn contact(
        self: Arc<Self>,
        account: Arc<Account>,
        need: i64,
        give_back: bool,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<Answer> {
        let begun = Moment::now(self.ctx.clock());
        let ctx = self.ctx.for_tenant(account.key.tenant, "models.budgets");
        let key = &account.key.period;
        let mut tx = self.store.begin(&ctx).await?;
        let mut books = store::budget_spend::open(&mut tx, key, &self.holder, begun.wall).await?;
        if books.is_none() {
            let created = store::budget_spend::create(&mut tx, key).await;
            if created.as_ref().is_ok_and(|exists| *exists) {
                books = store::budget_spend::open(&mut tx, key, &self.holder, begun.wall).await?;
            } else if let Err(error) = created
                // The budget was removed in between.
                && error.reason() != "still_referenced"
            {
                return Err(error);
            }
        }
        let Some(mut books) = books else {
            account.forget(0);
            self.definitions.changed();
            return Ok(Answer::Gone);
        };
        let taken = account.prepare(&mut books, need, give_back, begun);
        let written = async {
            store::budget_spend::close(&mut tx, key, &self.holder, &books, begun.lease_end()).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            account.doubt();
            return Err(error);
        }
        account.confirm(books, 0, begun);
        Ok(taken.map_or(Answer::Refused, Answer::Granted))
    }

    /// Renews leases that are needed, and gives back what is not.
    pub(super) async fn upkeep(self: &Arc<Self>, idle: Duration) {
        let accounts: Vec<Arc<Account>> = self.accounts().values().cloned().collect();
        let work = accounts.into_iter().map(|account| self.clone().look_after(account, idle));
        let mut work = futures::stream::iter(work).buffer_unordered(UPKEEP_AT_ONCE);
        while let Some(done) = work.next().await {
            if let Err(error) = done {
                tracing::warn!(error = ?error, "the lease of a budget could not be renewed or given back yet");
            }
        }
        drop(work);
        self.remove_idle();
    }

    async fn look_after(self: Arc<Self>, account: Arc<Account>, idle: Duration) -> Result<()> {
        let now = || Moment::now(self.ctx.clock());
        account.unstick(now());
        if account.upkeep(idle, now()) == Upkeep::None {
            return Ok(());
        }
        let turn = account.turn.clone().lock_owned().await;
        // Who had the turn before may have done it.
        let give_back = match account.upkeep(idle, now()) {
            Upkeep::None => return Ok(()),
            Upkeep::Renew => false,
            Upkeep::GiveBack => true,
        };
        self.clone().contact(account, 0, give_back, turn).await.map(drop)
    }

    /// Removes accounts that hold nothing. References to them are made under the lock only, so the last one is the map's: an
    /// account is never there twice.
    fn remove_idle(&self) {
        self.accounts().retain(|_, account| Arc::strong_count(account) > 1 || !account.is_at_rest());
    }

    /// Gives back what no running call needs, and ends the upkeep. What calls still hold then ends with their lease.
    pub(crate) async fn shutdown(self: &Arc<Self>) {
        self.stop.cancel();
        self.upkeep(Duration::ZERO).await;
    }
}

async fn keep_up(ledger: Weak<BudgetLedger>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_INTERVAL) => {}
            () = stop.cancelled() => return,
        }
        let Some(ledger) = ledger.upgrade() else { return };
        ledger.upkeep(IDLE).await;
    }
}

fn wrong_currency(budget: &Budget, currency: &str) -> Error {
    // A price's currency has three letters.
    let message = format!(
        "the model's price is in {currency}, but the budget {} of {} is in {}: the two cannot be compared",
        budget.id, budget.subject, budget.currency
    );
    Error::new(Code::Conflict, "budget_currency_differs", message)
        .remedy("call a model with a price in the budget's currency, or set the price or the budget in the other one")
}

fn busy() -> Error {
    Error::unavailable("budget_busy", "the database did not answer in time whether a budget allows this call")
        .retry_after_ms(1_000)
        .remedy("try again; if it lasts, check /readyz and the database server")
}
