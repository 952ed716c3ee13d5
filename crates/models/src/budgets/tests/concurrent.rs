//! The promise as a whole: many callers in several processes, calls that end in every way, and a process that dies.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
};

use futures::future::join_all;
use plasma_testkit::{TestStore, run};
use tokio::time::{sleep, timeout};

use super::*;

const CALLERS: usize = 1_000;
const WORST_MAX: i64 = 2_000;
/// Less than the calls would cost together, so that the end of the budget is reached.
const LIMIT: i64 = 250_000;

/// Numbers from 0 to below `end`.
fn below(random: &Random, end: i64) -> i64 {
    i64::try_from(u64::from_le_bytes(random.bytes()) >> 1).unwrap() % end
}

/// What all callers together have seen.
#[derive(Default)]
struct Tally {
    recorded: AtomicI64,
    refused: AtomicU32,
    cancelled: AtomicU32,
    gone: AtomicU32,
}

/// One caller: comes at some moment, may go away while it waits, may cancel, fail, or end well at some cost.
async fn one_call(models: &Models, ctx: &Ctx, random: &Random, tally: &Tally, leaks: bool) {
    sleep(Duration::from_micros(below(random, 400_000).unsigned_abs())).await;
    let worst = 1 + below(random, WORST_MAX);
    let reserving = reserve(models, ctx, worst);
    // Some go away after a while, some as soon as they would have to wait.
    let patience = match below(random, 10) {
        0 => Duration::from_micros(below(random, 20_000).unsigned_abs()),
        1..=4 => Duration::ZERO,
        _ => Duration::MAX,
    };
    let Ok(reservation) = timeout(patience, reserving).await else {
        tally.gone.fetch_add(1, Ordering::SeqCst);
        return;
    };
    let reservation = match reservation {
        Ok(reservation) => reservation,
        Err(error) => {
            assert_eq!(error.reason(), "over_budget", "{error:?}");
            tally.refused.fetch_add(1, Ordering::SeqCst);
            return;
        }
    };
    sleep(Duration::from_micros(below(random, 50_000).unsigned_abs())).await;
    if leaks {
        std::mem::forget(reservation);
        return;
    }
    match below(random, 10) {
        0 | 1 => {
            tally.cancelled.fetch_add(1, Ordering::SeqCst);
            drop(reservation);
        }
        2 => {
            let settlement = reservation.settle(None);
            record(models, ctx, Some(settlement), None, CallStatus::Failed).await.unwrap();
        }
        _ => {
            let cost = below(random, worst + 1);
            pay(models, ctx, reservation, cost).await;
            tally.recorded.fetch_add(cost, Ordering::SeqCst);
        }
    }
}

/// Looks all the time: neither what is spent, nor what may still be spent, ever passes the limit, and no lease is lost.
async fn watch(store: Store, ctx: Ctx, stop: Arc<AtomicBool>) -> u32 {
    let mut looks = 0;
    while !stop.load(Ordering::SeqCst) {
        let sums = sums(&store, &ctx).await;
        assert!(sums.spent + sums.leased <= LIMIT, "the limit was passed: {sums:?}");
        assert_eq!(sums.leased, sums.leases, "a lease was lost: {sums:?}");
        assert_eq!(sums.spent, sums.recorded, "what is spent and what is recorded differ: {sums:?}");
        looks += 1;
        sleep(Duration::from_millis(3)).await;
    }
    looks
}

/// Spends what is left to the last millionth, so nothing of it is lost.
async fn spend_the_rest(test: &TestStore, models: &Models, ctx: &Ctx) {
    let rest = LIMIT - all_given_back(test, ctx).await.spent;
    if rest > 0 {
        pay(models, ctx, reserve(models, ctx, rest).await.unwrap(), rest).await;
    }
    refused(models, ctx, 1).await;
    assert_eq!(sums(test, ctx).await, Sums { spent: LIMIT, leased: 0, leases: 0, recorded: LIMIT });
}

/// A thousand callers in `count` processes; with `dies` one of them is killed while they run.
async fn many_callers(test: TestStore, count: usize, dies: bool, seed: u64) {
    let (first, ctx, clock) = start(&test);
    monthly(&first, &ctx, LIMIT).await;
    let mut processes = vec![first];
    while processes.len() < count {
        processes.push(process(test.open_again().await, &clock));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = tokio::spawn(watch(test.store(), ctx.clone(), stop.clone()));

    let tally = Arc::new(Tally::default());
    let callers = (0..CALLERS).map(|number| {
        let place = number % processes.len();
        let (models, ctx, tally) = (processes[place].clone(), ctx.clone(), tally.clone());
        let random = Random::seeded(seed.wrapping_mul(1_000_003).wrapping_add(number as u64));
        let leaks = dies && place == count - 1;
        tokio::spawn(async move { one_call(&models, &ctx, &random, &tally, leaks).await })
    });
    for done in join_all(callers).await {
        done.unwrap();
    }
    if dies {
        // Killed: it gives nothing back. The others go on; their calls have ended.
        drop(processes.pop());
        let held_by_the_dead = sums(&test, &ctx).await;
        assert!(held_by_the_dead.leased > 0, "{held_by_the_dead:?}");
        clock.advance(Duration::from_secs(61));
    }
    // Who looks next takes back what the dead process held.
    pay(&processes[0], &ctx, reserve(&processes[0], &ctx, 1).await.unwrap(), 1).await;
    stop.store(true, Ordering::SeqCst);
    assert!(watcher.await.unwrap() > 20);

    let recorded = tally.recorded.load(Ordering::SeqCst) + 1;
    let seen = (
        tally.refused.load(Ordering::SeqCst),
        tally.cancelled.load(Ordering::SeqCst),
        tally.gone.load(Ordering::SeqCst),
    );
    eprintln!("seed {seed}: recorded {recorded} of {LIMIT}; refused, cancelled, gone: {seen:?}");
    let sums = all_given_back(&test, &ctx).await;
    assert_eq!((sums.spent, sums.recorded), (recorded, recorded));
    assert!(seen.0 > 0 && seen.1 > 0 && seen.2 > 0, "{seen:?}");
    for models in &processes {
        assert_eq!(models.inner.budgets.taken_in_all(), 0, "a reservation leaks");
    }
    let last = processes.pop().unwrap();
    spend_the_rest(&test, &last, &ctx).await;
}

#[test]
fn no_call_of_a_process_passes_the_limit_on_sqlite() {
    run(|| {
        Box::pin(async {
            for seed in 1..=2 {
                many_callers(TestStore::sqlite().await, 1, false, seed).await;
            }
        })
    });
}

#[test]
fn no_call_of_four_processes_passes_the_limit_on_postgres() {
    run(|| {
        Box::pin(async {
            for seed in 1..=2 {
                many_callers(TestStore::postgres().await, 4, false, seed).await;
            }
        })
    });
}

#[test]
fn a_process_that_dies_passes_no_limit_and_leaves_nothing_behind() {
    run(|| {
        Box::pin(async {
            for seed in 3..=4 {
                many_callers(TestStore::postgres().await, 4, true, seed).await;
            }
        })
    });
}

#[test]
fn a_program_that_dies_leaves_nothing_behind_on_sqlite() {
    run(|| {
        Box::pin(async {
            let test = TestStore::sqlite().await;
            let (models, ctx, clock) = start(&test);
            monthly(&models, &ctx, LIMIT).await;
            let tally = Tally::default();
            let randoms: Vec<Random> = (0..100).map(Random::seeded).collect();
            let callers = randoms.iter().enumerate();
            join_all(callers.map(|(number, random)| one_call(&models, &ctx, random, &tally, number % 2 == 0))).await;
            drop(models);
            assert!(sums(&test, &ctx).await.leased > 0);
            // The clock stands still: the next start takes everything back at once.
            let next = process(test.open_again().await, &clock);
            pay(&next, &ctx, reserve(&next, &ctx, 1).await.unwrap(), 1).await;
            assert_eq!(sums(&test, &ctx).await.spent, tally.recorded.load(Ordering::SeqCst) + 1);
            spend_the_rest(&test, &next, &ctx).await;
        })
    });
}
