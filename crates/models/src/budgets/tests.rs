//! Budgets against real databases. "Processes" are several `Models` on one database.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod concurrent;
mod leases;
mod rules;

use std::{path::Path, time::Duration};

use plasma_kernel::{
    Actor, ApiKeyId, CallId, Clock, Ctx, Money, PageRequest, Permissions, Random, RequestId, Result, TenantId, UserId,
};
use plasma_store::{EventFilter, Store};
use plasma_testkit::TestStore;
use tokio::sync::oneshot;

use super::{Budget, BudgetPeriod, BudgetState, BudgetSubject, NewBudget, Reservation, Settlement};
use crate::{
    CallStatus, LocalModels, LocalSettings, Manifest, ModelCall, ModelKind, Models, ModelsConfig, Purpose, TokenUsage,
    call_log::Entry, events,
};

/// 2026-11-22, 12:00 UTC.
const NOON: i64 = (20_779 * 24 + 12) * 3_600_000_000;

/// A process: without local weights, on a clock that the test moves.
fn process(store: Store, clock: &Clock) -> Models {
    let local =
        LocalModels::new(&Manifest::builtin().unwrap(), Path::new("/nonexistent/models"), &LocalSettings::default());
    let ctx = Ctx::system("test", clock.clone(), Random::system());
    Models::new(&ctx, store, local, ModelsConfig::default()).unwrap()
}

/// A user of a new tenant.
fn tenant(clock: &Clock) -> Ctx {
    let random = Ctx::system("test", clock.clone(), Random::system());
    acting(TenantId::new(&random), Actor::User { id: UserId::new(&random) }, clock)
}

fn acting(tenant: TenantId, actor: Actor, clock: &Clock) -> Ctx {
    Ctx::new(tenant, actor, Permissions::all(), clock.clone(), Random::system())
}

/// The same tenant's program.
fn program(ctx: &Ctx) -> Ctx {
    acting(ctx.tenant().unwrap(), Actor::ApiKey { id: ApiKeyId::new(ctx) }, ctx.clock())
}

/// A process and a tenant's user.
fn start(test: &TestStore) -> (Models, Ctx, Clock) {
    let clock = Clock::manual(NOON);
    (process(test.store(), &clock), tenant(&clock), clock)
}

fn usd(amount_micros: i64) -> Money {
    Money { amount_micros, currency: "USD".to_owned() }
}

async fn set(models: &Models, ctx: &Ctx, subject: BudgetSubject, period: BudgetPeriod, limit_micros: i64) -> Budget {
    let new = NewBudget { subject, period, limit_micros, currency: "USD".to_owned() };
    models.create_budget(ctx, new).await.unwrap().budget
}

/// A budget of the tenant for the month.
async fn monthly(models: &Models, ctx: &Ctx, limit_micros: i64) -> Budget {
    set(models, ctx, BudgetSubject::Tenant {}, BudgetPeriod::Month, limit_micros).await
}

async fn reserve(models: &Models, ctx: &Ctx, micros: i64) -> Result<Reservation> {
    models.reserve(ctx, None, &usd(micros)).await.map(|reservation| reservation.expect("a budget applies"))
}

/// A call that has ended.
fn call(ctx: &Ctx, cost: Option<i64>, status: CallStatus) -> ModelCall {
    ModelCall {
        decision: None,
        prompt: None,
        attempts: Vec::new(),
        id: CallId::new(ctx),
        model: "acme/chat".to_owned(),
        kind: ModelKind::Chat,
        purpose: Purpose::Api,
        status,
        streamed: false,
        usage: TokenUsage::default(),
        queued_ms: 0,
        first_token_ms: None,
        duration_ms: 1,
        cost: cost.map(usd),
        cache: None,
        error: None,
        actor: ctx.actor().clone(),
        team: ctx.team(),
        request: RequestId::new(ctx),
        created_at: ctx.now(),
    }
}

/// The record of a call that ended so, with its settlement; returns when it is written.
async fn record(
    models: &Models,
    ctx: &Ctx,
    settlement: Option<Settlement>,
    cost: Option<i64>,
    status: CallStatus,
) -> Result<()> {
    let (written, is_written) = oneshot::channel();
    let call = call(ctx, cost, status);
    let place = models.inner.calls.reserve().await?;
    place.send_settled(Entry { tenant: ctx.tenant()?, call, payload: None, written: Some(written) }, settlement);
    let outcome = is_written.await.unwrap();
    // Until then only the journal may have it.
    models.inner.calls.flushed().await;
    outcome
}

/// A call that has ended well.
async fn pay(models: &Models, ctx: &Ctx, reservation: Reservation, micros: i64) {
    let settlement = reservation.settle(Some(&usd(micros)));
    record(models, ctx, Some(settlement), Some(micros), CallStatus::Succeeded).await.unwrap();
}

async fn state(models: &Models, ctx: &Ctx, budget: &Budget) -> BudgetState {
    models.budget(ctx, budget.id).await.unwrap()
}

/// What a budget has spent and reserved, as its state says.
async fn standing(models: &Models, ctx: &Ctx, budget: &Budget) -> (i64, i64) {
    let state = state(models, ctx, budget).await;
    (state.spent_micros, state.reserved_micros)
}

/// Asserts that the call does not fit, and returns why.
async fn refused(models: &Models, ctx: &Ctx, micros: i64) -> String {
    match models.reserve(ctx, None, &usd(micros)).await {
        Err(error) => {
            assert_eq!(error.reason(), "over_budget", "{error}");
            error.message().to_owned()
        }
        Ok(_) => panic!("{micros} were allowed"),
    }
}

/// Sums in SQL over all periods of all budgets of the tenant, in one consistent look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    spent: i64,
    leased: i64,
    leases: i64,
    recorded: i64,
}

async fn sums(store: &Store, ctx: &Ctx) -> Sums {
    let mut tx = store.read(ctx).await.unwrap();
    let row = tx
        .fetch_one(
            "SELECT CAST(COALESCE((SELECT SUM(spent_micros) FROM model_budget_spend WHERE tenant_id = $1), 0) AS BIGINT) AS spent,
               CAST(COALESCE((SELECT SUM(leased_micros) FROM model_budget_spend WHERE tenant_id = $1), 0) AS BIGINT) AS leased,
               CAST(COALESCE((SELECT SUM(leased_micros) FROM model_budget_leases WHERE tenant_id = $1), 0) AS BIGINT) AS leases,
               CAST(COALESCE((SELECT SUM(cost_micros) FROM model_calls WHERE tenant_id = $1), 0) AS BIGINT) AS recorded",
            [ctx.tenant().unwrap().into()],
        )
        .await
        .unwrap();
    let get = |name| row.get::<i64>(name).unwrap();
    Sums { spent: get("spent"), leased: get("leased"), leases: get("leases"), recorded: get("recorded") }
}

/// Waits until nothing is leased any more, as idle processes give it back.
async fn all_given_back(store: &Store, ctx: &Ctx) -> Sums {
    for _ in 0..200 {
        let sums = sums(store, ctx).await;
        if sums.leased == 0 {
            return sums;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("leases leak: {:?}", sums(store, ctx).await);
}

/// The data of all events of a type, oldest first.
async fn told(test: &TestStore, ctx: &Ctx, kind: &str) -> Vec<serde_json::Value> {
    let mut tx = test.read(ctx).await.unwrap();
    let filter = EventFilter { kind: Some(kind.to_owned()) };
    let mut data: Vec<_> = tx
        .events_page(&filter, &PageRequest::default())
        .await
        .unwrap()
        .data
        .into_iter()
        .map(|event| event.data)
        .collect();
    data.reverse();
    data
}

/// The thresholds that were told of.
async fn thresholds(test: &TestStore, ctx: &Ctx) -> Vec<i64> {
    let told = told(test, ctx, events::BUDGET_THRESHOLD_REACHED).await;
    told.iter().map(|data| data["threshold_percent"].as_i64().unwrap()).collect()
}
