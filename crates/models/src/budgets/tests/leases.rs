//! What processes hold of budgets, and what becomes of it when one is idle, stops or dies.

use std::sync::Arc;

use plasma_kernel::Code;
use plasma_testkit::{TestStore, on_each_database};

use super::{
    super::account::{Account, AccountKey, Moment},
    *,
};
use crate::store::budget_spend::{Books, PeriodKey};

/// A lease's time and the margin of its holder.
const LEASE: Duration = Duration::from_secs(60);
const USABLE: Duration = Duration::from_secs(50);

on_each_database! {
    async fn calls_touch_memory_only_while_a_lease_lasts(test: TestStore) {
        let (models, ctx, clock) = start(&test);
        monthly(&models, &ctx, 1_000_000_000).await;
        let first = reserve(&models, &ctx, 1_000).await.unwrap();
        // Neither definitions nor books can be read any more.
        test.close().await;
        let mut running = vec![first];
        for _ in 0..10_000 {
            running.push(reserve(&models, &ctx, 1_000).await.unwrap());
            if running.len() > 100 {
                running.clear();
            }
        }
        // Past the end of the lease less the margin nothing is taken, though much is there.
        clock.advance(USABLE);
        let error = reserve(&models, &ctx, 1).await.err().unwrap();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
    }

    async fn what_is_idle_is_given_back_and_a_shutdown_gives_all_back(test: TestStore) {
        let (models, ctx, _) = start(&test);
        monthly(&models, &ctx, 1_000_000).await;
        let running = reserve(&models, &ctx, 100).await.unwrap();
        assert!(sums(&test, &ctx).await.leased > 10_000);
        // Only what the running call has taken stays.
        for _ in 0..100 {
            if sums(&test, &ctx).await.leased == 100 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(sums(&test, &ctx).await.leased, 100);
        let second = reserve(&models, &ctx, 100).await.unwrap();
        assert!(sums(&test, &ctx).await.leased > 10_000);
        pay(&models, &ctx, running, 7).await;
        drop(second);
        models.shutdown().await;
        assert_eq!(sums(&test, &ctx).await, Sums { spent: 7, leased: 0, leases: 0, recorded: 7 });
    }

    async fn leases_of_running_calls_are_renewed(test: TestStore) {
        let (models, ctx, clock) = start(&test);
        monthly(&models, &ctx, 1_000).await;
        let running = reserve(&models, &ctx, 1_000).await.unwrap();
        let other = process(test.open_again().await, &clock);
        let expires_at = async || {
            let mut tx = test.read(&ctx).await.unwrap();
            let tenant = ctx.tenant().unwrap();
            let row = tx
                .fetch_one("SELECT expires_at FROM model_budget_leases WHERE tenant_id = $1", [tenant.into()])
                .await
                .unwrap();
            row.get::<i64>("expires_at").unwrap()
        };
        // Five minutes, in steps that the upkeep can follow.
        for _ in 0..15 {
            clock.advance(Duration::from_secs(20));
            models.inner.budgets.upkeep(Duration::from_secs(1)).await;
            assert!(expires_at().await >= ctx.now() + 30_000_000);
        }
        if test.dialect() == plasma_store::Dialect::Postgres {
            refused(&other, &ctx, 1).await;
        }
        pay(&models, &ctx, running, 1_000).await;
        assert_eq!(sums(&test, &ctx).await, Sums { spent: 1_000, leased: 0, leases: 0, recorded: 1_000 });
    }

    async fn what_a_dead_process_held_is_free_again(test: TestStore) {
        let (dead, ctx, clock) = start(&test);
        let budget = monthly(&dead, &ctx, 1_000).await;
        pay(&dead, &ctx, reserve(&dead, &ctx, 200).await.unwrap(), 150).await;
        let running = reserve(&dead, &ctx, 600).await.unwrap();
        // Killed: nothing is given back or recorded.
        std::mem::forget(running);
        drop(dead);

        let models = process(test.open_again().await, &clock);
        if test.dialect() == plasma_store::Dialect::Postgres {
            // It may live and settle yet.
            assert!(refused(&models, &ctx, 300).await.contains("0.0006"));
            clock.advance(LEASE);
            refused(&models, &ctx, 300).await;
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(standing(&models, &ctx, &budget).await, (150, 0));
        pay(&models, &ctx, reserve(&models, &ctx, 850).await.unwrap(), 850).await;
        refused(&models, &ctx, 1).await;
        assert_eq!(sums(&test, &ctx).await, Sums { spent: 1_000, leased: 0, leases: 0, recorded: 1_000 });
    }

    async fn what_cannot_be_recorded_stays_counted(test: TestStore) {
        let (models, ctx, _) = start(&test);
        monthly(&models, &ctx, 1_000).await;
        let settlement = reserve(&models, &ctx, 700).await.unwrap().settle(Some(&usd(400)));
        // A record that cannot be written: there is a call of its id already.
        record(&models, &ctx, None, Some(1), CallStatus::Succeeded).await.unwrap();
        let taken = {
            let mut tx = test.read(&ctx).await.unwrap();
            let tenant = ctx.tenant().unwrap();
            let row = tx.fetch_one("SELECT id FROM model_calls WHERE tenant_id = $1", [tenant.into()]).await.unwrap();
            row.get::<CallId>("id").unwrap()
        };
        record_as(taken, &models, &ctx, settlement).await;
        // 400 stay set aside; the other 300 of its worst case are free.
        refused(&models, &ctx, 601).await;
        pay(&models, &ctx, reserve(&models, &ctx, 600).await.unwrap(), 100).await;
        let sums = sums(&test, &ctx).await;
        assert_eq!((sums.spent, sums.recorded), (100, 101));
        assert!(sums.leased >= 400, "{sums:?}");
    }
}

/// Records a call under an id that is taken. Only a process with a journal can promise to do it later.
async fn record_as(id: CallId, models: &Models, ctx: &Ctx, settlement: Settlement) {
    let (written, is_written) = oneshot::channel();
    let place = models.inner.calls.reserve().await.unwrap();
    let call = ModelCall { id, ..call(ctx, Some(400), CallStatus::Succeeded) };
    place.send_settled(
        Entry { tenant: ctx.tenant().unwrap(), call, payload: None, written: Some(written) },
        Some(settlement),
    );
    let has_journal = models.inner.store.dialect() == plasma_store::Dialect::Sqlite;
    assert_eq!(is_written.await.unwrap().is_ok(), has_journal);
    models.inner.calls.flushed().await;
}

#[test]
fn two_processes_share_a_budget_to_its_end() {
    plasma_testkit::run(|| {
        Box::pin(async {
            let test = TestStore::postgres().await;
            let (first, ctx, clock) = start(&test);
            monthly(&first, &ctx, 1_000).await;
            let second = process(test.open_again().await, &clock);
            // The first holds more than it needs.
            let running = reserve(&first, &ctx, 10).await.unwrap();
            assert!(sums(&test, &ctx).await.leased > 50);
            // The second needs all the rest: it waits until the first gives it back.
            let rest = reserve(&second, &ctx, 990).await.unwrap();
            refused(&first, &ctx, 1).await;
            pay(&second, &ctx, rest, 500).await;
            pay(&first, &ctx, reserve(&first, &ctx, 490).await.unwrap(), 490).await;
            pay(&first, &ctx, running, 10).await;
            refused(&second, &ctx, 1).await;
            let sums = all_given_back(&test, &ctx).await;
            assert_eq!(sums, Sums { spent: 1_000, leased: 0, leases: 0, recorded: 1_000 });
        })
    });
}

fn books(held: i64, others: i64) -> Books {
    Books { limit: 1_000, spent: 0, held, others, warned_percent: 0, wanted_at: 0 }
}

/// An account of a budget of 1,000.
fn account(clock: &Clock) -> Arc<Account> {
    let ctx = tenant(clock);
    let budget = Budget {
        id: plasma_kernel::BudgetId::new(&ctx),
        subject: BudgetSubject::Tenant {},
        period: BudgetPeriod::Total,
        limit_micros: 1_000,
        currency: "USD".to_owned(),
        created_at: 0,
    };
    let period = PeriodKey { budget: budget.id, period_start_at: 0 };
    let key = AccountKey { tenant: ctx.tenant().unwrap(), period };
    Arc::new(Account::new(key, Arc::new(budget), "holder".into()))
}

#[test]
fn while_sql_is_asked_nothing_is_taken_that_would_not_be_held_afterwards() {
    let clock = Clock::manual(NOON);
    let (account, now) = (account(&clock), Moment::now(&clock));
    account.confirm(books(500, 0), 0, now);
    let running = account.try_take(100, 1_000, now).unwrap();

    // 400 are on their way back.
    let mut idle = books(500, 0);
    assert!(account.prepare(&mut idle, 0, true, now).is_none());
    assert_eq!(idle.held, 100);
    assert!(account.try_take(1, 1_000, now).is_none());
    account.confirm(idle, 0, now);
    assert!(account.try_take(1, 1_000, now).is_none());

    // 600 more are on their way here, 600 of them for a call that waits.
    let mut more = books(100, 300);
    let waited = account.prepare(&mut more, 600, false, now).unwrap();
    assert_eq!((more.held, account.taken()), (700, 700));
    assert!(account.try_take(1, 1_000, now).is_none());
    // Whether they have come is not known: nothing is taken before SQL was asked again.
    account.doubt();
    drop(waited);
    assert!(account.try_take(1, 1_000, now).is_none());
    let mut again = books(700, 300);
    assert!(account.prepare(&mut again, 0, false, now).is_none());
    account.confirm(again, 0, now);
    assert_eq!(again.held, 100 + 75);

    // A call that had taken 100 has cost 30; of the rest an eighth stays here.
    let mut settled = books(175, 825);
    account.prepare_settlement(&mut settled, 30, 100, now);
    assert_eq!((settled.spent, settled.held), (30, 18));
    assert!(account.try_take(1, 1_000, now).is_none());
    account.confirm(settled, 100, now);
    running.finish();
    assert_eq!(account.taken(), 0);
    assert!(account.try_take(19, 1_000, now).is_none());
    assert!(account.try_take(18, 1_000, now).is_some());
}

#[test]
fn an_amount_that_is_stuck_is_let_go_when_the_lease_would_have_ended() {
    let clock = Clock::manual(NOON);
    let (account, now) = (account(&clock), Moment::now(&clock));
    account.confirm(books(500, 0), 0, now);
    account.try_take(400, 1_000, now).unwrap().stick();
    assert!(account.try_take(101, 1_000, now).is_none());
    account.unstick(Moment { monotonic: now.monotonic + LEASE - Duration::from_millis(1), ..now });
    assert_eq!(account.taken(), 400);
    account.unstick(Moment { monotonic: now.monotonic + LEASE + Duration::from_secs(1), ..now });
    assert_eq!(account.taken(), 0);
    // The lease itself ends by either clock.
    let at = |wall: Duration, monotonic: Duration| {
        let wall = now.wall + i64::try_from(wall.as_micros()).unwrap();
        account.try_take(1, 1_000, Moment { wall, monotonic: now.monotonic + monotonic }).is_some()
    };
    let just_before = USABLE - Duration::from_millis(1);
    assert!(at(just_before, just_before));
    assert!(!at(USABLE, Duration::ZERO));
    assert!(!at(Duration::ZERO, USABLE));
}
