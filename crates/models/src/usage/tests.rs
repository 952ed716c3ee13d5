//! Sums of calls against real databases.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{collections::BTreeMap, path::Path};

use plasma_kernel::{Actor, ApiKeyId, CallId, Ctx, Money, RequestId, TeamId, UserId};
use plasma_store::Dialect;
use plasma_testkit::{TestStore, on_each_database, system, tenant};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::{UsageDimension as By, UsageFilter, UsageGroup, UsageLine, UsageQuery, UsageSums, histogram::Histogram};
use crate::{
    CallStatus, Decision, LocalModels, LocalSettings, Manifest, ModelCall, ModelKind, Models, ModelsConfig, Purpose,
    Strategy as RouteStrategy, TokenUsage, budgets::Settling, calls::DAY_MICROS, store,
};

const MIGRATION: &str = include_str!("../../../../migrations/0011_model_usage.sql");
const DAY: i64 = 20_779;
const ALL: [By; 7] = [By::Day, By::Model, By::Provider, By::Key, By::User, By::Team, By::Route];

fn process(test: &TestStore) -> Models {
    let local =
        LocalModels::new(&Manifest::builtin().unwrap(), Path::new("/nonexistent/models"), &LocalSettings::default());
    Models::new(&system(), test.store(), local, ModelsConfig::default()).unwrap()
}

fn actor(number: u128) -> Actor {
    match number % 4 {
        0 => Actor::User { id: UserId::from_bits(number / 4) },
        1 | 2 => Actor::ApiKey { id: ApiKeyId::from_bits(number) },
        _ => Actor::System { reason: "{\"kind\":\"user\",\"id\":\"a test\"}".to_owned() },
    }
}

fn call(ctx: &Ctx, day: i64, model: &str, actor: Actor, route: Option<&str>) -> ModelCall {
    ModelCall {
        id: CallId::new(ctx),
        model: model.to_owned(),
        decision: route.map(|route| Decision {
            route: route.to_owned(),
            strategy: RouteStrategy::Ordered,
            candidates: Vec::new(),
        }),
        attempts: Vec::new(),
        kind: ModelKind::Chat,
        purpose: Purpose::Api,
        status: CallStatus::Succeeded,
        streamed: false,
        usage: TokenUsage::default(),
        queued_ms: 0,
        first_token_ms: None,
        duration_ms: 7,
        cost: None,
        error: None,
        cache: None,
        prompt: None,
        actor,
        team: None,
        request: RequestId::new(ctx),
        created_at: day * DAY_MICROS + 5,
    }
}

fn any_call() -> impl Strategy<Value = ModelCall> {
    let group = (0..3_i64, 0..3_usize, 0_u128..6, 0_u128..3, 0..3_usize, 0..3_usize);
    let numbers = (0_u64..1_000_000, 0_u64..100, 0_u64..100, 0_u64..1_000, 0_u64..50);
    (group, numbers, 0..3_usize, 0_u64..3_000_000, prop::option::of(0_u64..100_000), 0_i64..1_000_000).prop_map(
        |((day, model, who, team, route, currency), tokens, status, duration_ms, first_token_ms, amount_micros)| {
            let model = ["acme/large", "acme/deep/small", "local/tiny"][model];
            let mut call = call(&system(), DAY + day, model, actor(who), [None, Some("fast"), Some("cheap")][route]);
            call.status = [CallStatus::Succeeded, CallStatus::Failed, CallStatus::Cancelled][status];
            call.usage = TokenUsage {
                input_tokens: tokens.0,
                cached_input_tokens: tokens.1,
                cache_write_tokens: tokens.2,
                output_tokens: tokens.3,
                reasoning_tokens: tokens.4,
            };
            call.team = (team > 0).then(|| TeamId::from_bits(team));
            call.duration_ms = duration_ms;
            call.first_token_ms = first_token_ms;
            let currency = [None, Some("USD"), Some("EUR")][currency];
            call.cost = currency.map(|currency| Money { amount_micros, currency: currency.to_owned() });
            call
        },
    )
}

async fn record(test: &TestStore, ctx: &Ctx, calls: &[ModelCall]) {
    for batch in calls.chunks(7) {
        let batch: Vec<&ModelCall> = batch.iter().collect();
        let mut settling = Settling::of([]).await;
        store::calls::insert(ctx, test, &batch, &[], &mut settling).await.unwrap();
    }
}

fn by(group_by: &[By]) -> UsageQuery {
    UsageQuery {
        from_day: DAY,
        to_day: DAY + 365,
        group_by: group_by.to_vec(),
        filter: UsageFilter::default(),
        limit: super::LINES_MAX,
    }
}

fn group_of(call: &ModelCall, group_by: &[By]) -> UsageGroup {
    let mut group = UsageGroup::default();
    for dimension in group_by {
        match dimension {
            By::Day => group.day = Some(call.created_at / DAY_MICROS),
            By::Model => group.model = Some(call.model.clone()),
            By::Provider => group.provider = Some(call.model.split_once('/').unwrap().0.to_owned()),
            By::Key => {
                if let Actor::ApiKey { id } = call.actor {
                    group.key = Some(id.to_string());
                }
            }
            By::User => {
                if let Actor::User { id } = call.actor {
                    group.user = Some(id.to_string());
                }
            }
            By::Team => group.team = call.team.map(|team| team.to_string()),
            By::Route => group.route = call.decision.as_ref().map(|decision| decision.route.clone()),
        }
    }
    group
}

/// What the sums of `calls` must be, call by call.
fn fold(calls: &[&ModelCall]) -> UsageSums {
    let sum = |of: fn(&ModelCall) -> u64| calls.iter().map(|call| of(call)).sum::<u64>();
    let ended = |status| calls.iter().filter(|call| call.status == status).count() as u64;
    let (mut durations, mut first_tokens) = (Histogram::default(), Histogram::default());
    let mut cost: BTreeMap<&str, i64> = BTreeMap::new();
    for call in calls {
        durations.record(call.duration_ms);
        call.first_token_ms.iter().for_each(|time| first_tokens.record(*time));
        if let Some(money) = &call.cost {
            *cost.entry(&money.currency).or_default() += money.amount_micros;
        }
    }
    let money = |(currency, amount_micros): (&str, i64)| Money { amount_micros, currency: currency.to_owned() };
    UsageSums {
        calls: calls.len() as u64,
        failed: ended(CallStatus::Failed),
        cancelled: ended(CallStatus::Cancelled),
        cache_hits: 0,
        input_tokens: sum(|call| call.usage.input_tokens),
        cached_input_tokens: sum(|call| call.usage.cached_input_tokens),
        cache_write_tokens: sum(|call| call.usage.cache_write_tokens),
        output_tokens: sum(|call| call.usage.output_tokens),
        reasoning_tokens: sum(|call| call.usage.reasoning_tokens),
        cost: cost.into_iter().map(money).collect(),
        unpriced_calls: calls.iter().filter(|call| call.cost.is_none()).count() as u64,
        duration_ms_mean: sum(|call| call.duration_ms).checked_div(calls.len() as u64),
        duration_ms_p50: durations.percentile(50),
        duration_ms_p95: durations.percentile(95),
        first_token_ms_p50: first_tokens.percentile(50),
        first_token_ms_p95: first_tokens.percentile(95),
    }
}

fn sorted(mut lines: Vec<UsageLine>) -> Vec<UsageLine> {
    lines.sort_by_key(|line| format!("{:?}", line.group));
    lines
}

fn expected(calls: &[ModelCall], group_by: &[By]) -> Vec<UsageLine> {
    let mut groups: BTreeMap<String, (UsageGroup, Vec<&ModelCall>)> = BTreeMap::new();
    for call in calls {
        let group = group_of(call, group_by);
        groups.entry(format!("{group:?}")).or_insert_with(|| (group, Vec::new())).1.push(call);
    }
    let line = |(group, calls): (UsageGroup, Vec<&ModelCall>)| UsageLine { group, sums: fold(&calls) };
    sorted(groups.into_values().map(line).collect())
}

/// A statement of the migration.
fn migration(begin: &str) -> &'static str {
    let rest = &MIGRATION[MIGRATION.find(begin).unwrap()..];
    &rest[..rest.find(';').unwrap()]
}

on_each_database! {
    async fn usage_sums_are_those_of_the_calls_by_every_dimension(test: TestStore) {
        let models = process(&test);
        let mut runner = TestRunner::default();
        for _ in 0..6 {
            let calls = prop::collection::vec(any_call(), 1..60).new_tree(&mut runner).unwrap().current();
            // A workspace of its own: what others have must not be in its sums.
            let ctx = tenant();
            record(&test, &ctx, &calls).await;
            let dimensions = prop::sample::subsequence(ALL.to_vec(), 0..=7);
            for group_by in [vec![], ALL.to_vec(), dimensions.new_tree(&mut runner).unwrap().current()] {
                let table = models.usage_by(&ctx, &by(&group_by)).await.unwrap();
                assert_eq!(table.total, fold(&calls.iter().collect::<Vec<_>>()), "{calls:?}");
                assert!(!table.has_more);
                let ordered = table.lines.windows(2).all(|pair| {
                    let key = |line: &UsageLine| (line.group.day, std::cmp::Reverse(line.sums.calls));
                    key(&pair[0]) <= key(&pair[1])
                });
                assert!(ordered, "{:?}", table.lines);
                assert_eq!(sorted(table.lines), expected(&calls, &group_by), "by {group_by:?}: {calls:?}");
            }
            let some = |call: &ModelCall| call.model == "acme/large" && call.decision.is_none();
            let filtered: Vec<ModelCall> = calls.iter().filter(|call| some(call)).cloned().collect();
            let mut query = by(&[By::Key]);
            query.filter = UsageFilter {
                model: Some("acme/large".to_owned()),
                provider: Some("acme".to_owned()),
                route: Some(String::new()),
                ..UsageFilter::default()
            };
            let lines = models.usage_by(&ctx, &query).await.unwrap().lines;
            assert_eq!(sorted(lines), expected(&filtered, &[By::Key]));
            let team = TeamId::from_bits(1);
            let of_team: Vec<ModelCall> = calls.iter().filter(|call| call.team == Some(team)).cloned().collect();
            let mut query = by(&[By::Team, By::User]);
            query.filter.team = Some(team.to_string());
            let lines = models.usage_by(&ctx, &query).await.unwrap().lines;
            assert_eq!(sorted(lines), expected(&of_team, &[By::Team, By::User]));
        }
    }

    async fn usage_of_older_calls_is_summed_up_by_the_migration(test: TestStore) {
        let (models, ctx) = (process(&test), tenant());
        let mut calls = prop::collection::vec(any_call(), 80).new_tree(&mut TestRunner::default()).unwrap().current();
        // There were no teams then.
        calls.iter_mut().for_each(|call| call.team = None);
        record(&test, &ctx, &calls).await;
        let tenant = ctx.tenant().unwrap();
        let before = models.usage_by(&ctx, &by(&ALL)).await.unwrap();
        let mut tx = test.begin(&ctx).await.unwrap();
        tx.execute("DELETE FROM model_usage WHERE tenant_id = $1", [tenant.into()]).await.unwrap();
        tx.execute("UPDATE model_calls SET actor_id = '?' WHERE tenant_id = $1", [tenant.into()]).await.unwrap();
        for begin in ["UPDATE model_calls", "INSERT INTO model_usage"] {
            assert!(tx.execute(migration(begin), []).await.unwrap() > 0);
        }
        tx.commit().await.unwrap();
        assert_eq!(models.usage_by(&ctx, &by(&ALL)).await.unwrap(), before);
        let mut tx = test.read(&ctx).await.unwrap();
        for call in &calls {
            let id = match &call.actor {
                Actor::User { id } => id.to_string(),
                Actor::ApiKey { id } => id.to_string(),
                Actor::Application { id, .. } => id.to_string(),
                Actor::System { .. } => String::new(),
            };
            let select = "SELECT actor_id FROM model_calls WHERE tenant_id = $1 AND id = $2";
            let row = tx.fetch_one(select, [tenant.into(), call.id.into()]).await.unwrap();
            assert_eq!(row.get::<String>("actor_id").unwrap(), id);
        }
    }

    async fn usage_of_a_year_is_read_by_the_index(test: TestStore) {
        let models = process(&test);
        let (ctx, other) = (tenant(), tenant());
        for (ctx, days) in [(&ctx, 365_i64), (&other, 40)] {
            let calls: Vec<ModelCall> = (0..days * 50)
                .map(|place| {
                    let model = format!("acme/model-{}", place % 10);
                    call(ctx, DAY + place / 50, &model, actor(u128::from((place % 50).unsigned_abs())), None)
                })
                .collect();
            let mut tx = test.begin(ctx).await.unwrap();
            store::usage::add(&mut tx, &calls.iter().collect::<Vec<_>>()).await.unwrap();
            tx.commit().await.unwrap();
        }
        let table = models.usage_by(&ctx, &by(&[By::Day])).await.unwrap();
        assert_eq!((table.lines.len(), table.total.calls), (365, 365 * 50));
        assert!(table.lines.iter().all(|line| line.sums.calls == 50));
        let mut short = by(&ALL);
        short.limit = 3;
        short.to_day = DAY + 29;
        let some = models.usage_by(&ctx, &short).await.unwrap();
        assert_eq!((some.lines.len(), some.has_more, some.total.calls), (3, true, 30 * 50));

        let mut tx = test.read(&ctx).await.unwrap();
        let plan = store::usage::explained(&mut tx, &short).await.unwrap();
        let index = match tx.dialect() {
            Dialect::Sqlite => "USING INDEX sqlite_autoindex_model_usage_1 (tenant_id=? AND day>? AND day<?)",
            Dialect::Postgres => "model_usage_pkey",
        };
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{plan}");
    }

    async fn usage_has_limits(test: TestStore) {
        let (models, ctx) = (process(&test), tenant());
        let refused = async |change: fn(&mut UsageQuery)| {
            let mut query = by(&[By::Day]);
            change(&mut query);
            let error = models.usage_by(&ctx, &query).await.unwrap_err();
            (error.code().as_str(), error.field_name().unwrap_or_default().to_owned())
        };
        assert_eq!(refused(|query| query.to_day = DAY - 1).await, ("invalid", "from".to_owned()));
        assert_eq!(refused(|query| query.to_day = DAY + 366).await, ("invalid", "from".to_owned()));
        assert_eq!(refused(|query| query.limit = 0).await, ("invalid", "limit".to_owned()));
        assert_eq!(refused(|query| query.limit = 10_001).await, ("invalid", "limit".to_owned()));
        let nothing = models.usage_by(&ctx, &by(&[By::Day])).await.unwrap();
        assert_eq!((nothing.lines, nothing.total), (Vec::new(), UsageSums::default()));
    }
}
