//! One budget in one period, as this process holds it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plasma_kernel::{Clock, TenantId, Timestamp};
use tokio::time::Instant;

use super::{
    Budget,
    plan::{Plan, Wish, plan},
    types::Standing,
};
use crate::store::budget_spend::{Books, PeriodKey};

/// How long a lease lasts when it is not renewed.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// So long before its end nothing more is taken from a lease: clocks of machines differ, and a transaction takes time.
const LEASE_MARGIN: Duration = Duration::from_secs(10);
/// A lease is renewed when it ends within this time.
const RENEW_BEFORE: Duration = Duration::from_secs(40);
/// How long this process sees itself asked, after another has found too little.
const WANTED_FOR: Duration = Duration::from_secs(5);
/// How long it is believed that a budget has too little left: while others hold some of it, and while nobody does.
const REFUSAL_WHILE_HELD: Duration = Duration::from_millis(100);
const REFUSAL: Duration = Duration::from_secs(1);

/// A moment on both clocks: SQL knows only the calendar's, and that one may jump.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall: Timestamp,
    pub(super) monotonic: Instant,
}

impl Moment {
    pub(super) fn now(clock: &Clock) -> Self {
        Self { wall: clock.now(), monotonic: Instant::now() }
    }

    /// When a lease ends that begins now, for SQL.
    pub(super) fn lease_end(self) -> Timestamp {
        self.wall.saturating_add(micros(LEASE))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Whether `need` fits beside what this process has taken, once others hold nothing.
fn fits_without_others(books: &Books, taken: i64, need: i64) -> bool {
    books.others > 0 && taken.saturating_add(need) <= books.limit.saturating_sub(books.spent)
}

/// Which account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct AccountKey {
    pub(super) tenant: TenantId,
    pub(super) period: PeriodKey,
}

/// What this process holds of a budget in a period, and what calls have taken of it.
pub(crate) struct Account {
    pub(super) key: AccountKey,
    /// Its limit may be an old one; all else of a budget never changes.
    pub(super) budget: Arc<Budget>,
    /// This process's name in SQL.
    pub(super) holder: Arc<str>,
    state: Mutex<State>,
    /// Held while this process asks SQL about the account, so that it knows what it holds.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    /// What SQL says that we hold, as far as we know.
    held: i64,
    /// The part of it that is being given back.
    returning: i64,
    /// The part of it that running calls have taken, or ended ones whose record is not written yet.
    taken: i64,
    /// The sum of what callers wait for.
    waiting: i128,
    /// What the last call took.
    usual: i64,
    /// Until when the lease may be used.
    usable_until: Option<Moment>,
    /// The last transaction may or may not have been committed: nothing is taken before SQL was asked again.
    doubtful: bool,
    /// The books when SQL was asked last.
    books: Option<(Books, Instant)>,
    /// Taken for calls that could not be recorded: kept until the lease would have ended.
    stuck: Vec<(Instant, i64)>,
}

impl State {
    /// What may be taken. After the limit was lowered less than what is held: running calls keep what they have taken, but
    /// what they leave is not for others.
    fn free(&self) -> i64 {
        let room = self.books.as_ref().map_or(0, |(books, _)| books.room());
        self.held.saturating_sub(self.returning).min(room).saturating_sub(self.taken)
    }

    fn is_usable(&self, now: Moment) -> bool {
        !self.doubtful
            && self.usable_until.is_some_and(|until| now.wall < until.wall && now.monotonic < until.monotonic)
    }
}

impl Account {
    pub(super) fn new(key: AccountKey, budget: Arc<Budget>, holder: Arc<str>) -> Self {
        Self { key, budget, holder, state: Mutex::default(), turn: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete in itself, so a panic elsewhere leaves it sound.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `need` out of what is held. `limit` is what the caller knows as the budget's limit.
    pub(super) fn try_take(self: &Arc<Self>, need: i64, limit: i64, now: Moment) -> Option<Taken> {
        let mut state = self.state();
        // After the limit was lowered SQL decides how much may still be held.
        let limit_is_known = state.books.as_ref().is_some_and(|(books, _)| limit >= books.limit);
        if !limit_is_known || !state.is_usable(now) || state.free() < need {
            return None;
        }
        state.taken = state.taken.saturating_add(need);
        state.usual = need;
        Some(Taken { account: self.clone(), micros: need })
    }

    /// Whether the last look at SQL, a moment ago, tells that `need` does not fit.
    pub(super) fn is_known_to_refuse(&self, need: i64, limit: i64, now: Moment) -> bool {
        let state = self.state();
        let Some((books, at)) = &state.books else { return false };
        let age_max = if books.others > 0 { REFUSAL_WHILE_HELD } else { REFUSAL };
        limit == books.limit
            && state.is_usable(now)
            && now.monotonic.saturating_duration_since(*at) < age_max
            && state.taken.saturating_add(need) > books.room()
    }

    /// Whether `need` would fit if other processes gave back what they hold.
    pub(super) fn may_fit_later(&self, need: i64) -> bool {
        let state = self.state();
        state.books.as_ref().is_some_and(|(books, _)| fits_without_others(books, state.taken, need))
    }

    /// The limit when SQL was asked last.
    pub(super) fn known_limit(&self) -> Option<i64> {
        self.state().books.as_ref().map(|(books, _)| books.limit)
    }

    pub(super) fn taken(&self) -> i64 {
        self.state().taken
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.state();
        let (limit, spent, others) = match &state.books {
            Some((books, _)) => (books.limit, books.spent, books.others),
            None => (self.budget.limit_micros, 0, 0),
        };
        Standing {
            limit_micros: limit,
            spent_micros: spent,
            reserved_micros: others.saturating_add(state.taken),
            period_start_at: self.key.period.period_start_at,
        }
    }

    /// Counts `need` as waited for while the guard lives.
    pub(super) fn wait_for(&self, need: i64) -> Waiting<'_> {
        self.state().waiting += i128::from(need);
        Waiting { account: self, need }
    }

    /// Turns the books that SQL has just shown into those to write, and takes `need` if it fits. Until [`Account::confirm`] or
    /// [`Account::doubt`] nothing can be taken that would not be held afterwards.
    pub(super) fn prepare(
        self: &Arc<Self>,
        books: &mut Books,
        need: i64,
        give_back: bool,
        now: Moment,
    ) -> Option<Taken> {
        let mut state = self.state();
        let demand = i64::try_from(state.waiting - i128::from(need)).unwrap_or(i64::MAX).max(0);
        let wish = Wish { need, demand, usual: state.usual, give_back };
        let wanted = now.wall.saturating_sub(books.wanted_at) < micros(WANTED_FOR);
        let Plan { granted, held } = plan(books, state.taken, wish, wanted);
        state.held = books.held;
        state.returning = books.held.saturating_sub(held).max(0);
        books.held = held;
        if granted {
            state.taken = state.taken.saturating_add(need);
            state.usual = need;
            return Some(Taken { account: self.clone(), micros: need });
        }
        if need > 0 && fits_without_others(books, state.taken, need) {
            books.wanted_at = now.wall;
        }
        None
    }

    /// The same for calls that have ended: they cost `spend` and had taken `released`.
    pub(super) fn prepare_settlement(&self, books: &mut Books, spend: i64, released: i64, now: Moment) {
        let mut state = self.state();
        let before = books.held;
        books.spent = books.spent.saturating_add(spend);
        books.held = before.saturating_sub(spend).max(0);
        let demand = i64::try_from(state.waiting).unwrap_or(i64::MAX);
        let wish = Wish { need: 0, demand, usual: state.usual, give_back: false };
        let wanted = now.wall.saturating_sub(books.wanted_at) < micros(WANTED_FOR);
        let Plan { held, .. } = plan(books, state.taken.saturating_sub(released), wish, wanted);
        state.held = before;
        state.returning = books.held.saturating_sub(held).max(0);
        books.held = held;
    }

    /// The books are committed, with which `released` of what was taken is spent or free.
    pub(super) fn confirm(&self, books: Books, released: i64, begun: Moment) {
        let margin = LEASE - LEASE_MARGIN;
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(released);
        state.held = books.held;
        state.returning = 0;
        state.doubtful = false;
        state.books = Some((books, Instant::now()));
        state.usable_until =
            Some(Moment { wall: begun.wall.saturating_add(micros(margin)), monotonic: begun.monotonic + margin });
    }

    /// The books were not committed, or nobody knows.
    pub(super) fn doubt(&self) {
        let mut state = self.state();
        state.returning = 0;
        state.doubtful = true;
    }

    /// The budget is gone, and the lease with it.
    pub(super) fn forget(&self, released: i64) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(released);
        state.held = 0;
        state.returning = 0;
        state.books = None;
        state.usable_until = None;
    }

    /// Lets go what was kept long enough for calls that could not be recorded.
    pub(super) fn unstick(&self, now: Moment) {
        let mut state = self.state();
        let ended = state.stuck.extract_if(.., |(until, _)| *until <= now.monotonic);
        let micros: i64 = ended.map(|(_, micros)| micros).sum();
        state.taken = state.taken.saturating_sub(micros);
    }

    /// What is to be done about the lease when no call asks.
    pub(super) fn upkeep(&self, idle: Duration, now: Moment) -> Upkeep {
        let state = self.state();
        let Some((_, at)) = &state.books else { return if state.doubtful { Upkeep::Renew } else { Upkeep::None } };
        let quiet = now.monotonic.saturating_duration_since(*at);
        if state.doubtful || (state.held > state.taken && quiet >= idle) {
            return Upkeep::GiveBack;
        }
        let ends_soon = state.usable_until.is_none_or(|until| {
            now.monotonic + (RENEW_BEFORE - LEASE_MARGIN) >= until.monotonic
                || now.wall.saturating_add(micros(RENEW_BEFORE - LEASE_MARGIN)) >= until.wall
        });
        if state.taken > 0 && ends_soon { Upkeep::Renew } else { Upkeep::None }
    }

    /// Whether nothing is held or taken here.
    pub(super) fn is_at_rest(&self) -> bool {
        let state = self.state();
        state.held == 0 && state.taken == 0 && !state.doubtful
    }
}

/// What an account needs without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upkeep {
    None,
    Renew,
    GiveBack,
}

/// Callers that wait, as an amount.
pub(super) struct Waiting<'a> {
    account: &'a Account,
    need: i64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.account.state().waiting -= i128::from(self.need);
    }
}

/// An amount that a call has taken; dropped, it is free again.
pub(super) struct Taken {
    pub(super) account: Arc<Account>,
    micros: i64,
}

impl Taken {
    pub(super) fn micros(&self) -> i64 {
        self.micros
    }

    /// Keeps no more than `micros`.
    pub(super) fn shrink(&mut self, micros: i64) {
        let surplus = self.micros.saturating_sub(micros.max(0)).max(0);
        self.micros -= surplus;
        let mut state = self.account.state();
        state.taken = state.taken.saturating_sub(surplus);
    }

    /// Its release was confirmed together with the books.
    pub(super) fn finish(mut self) {
        self.micros = 0;
    }

    /// The call could not be recorded: the amount stays taken until the lease would have ended.
    pub(super) fn stick(mut self) {
        let micros = std::mem::take(&mut self.micros);
        self.account.state().stuck.push((Instant::now() + LEASE, micros));
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.account.state();
        state.taken = state.taken.saturating_sub(self.micros);
    }
}
