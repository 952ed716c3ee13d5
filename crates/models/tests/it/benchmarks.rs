//! Benchmarks: runs in the background against a provider that knows some answers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::State, http::Response, routing::post};
use plasma_kernel::{Code, Ctx, PageRequest, Permission, Permissions, TeamId};
use plasma_models::{
    BudgetPeriod, BudgetSubject, CallFilter, ModelKind, Models, NewBudget, NewModel, Price, Purpose,
    benchmarks::{Benchmark, BenchmarkState, NewBenchmark, ResultFilter, Suite},
};
use plasma_testkit::{TestStore, on_each_database, system, tenant, with_permissions};
use plasma_workflows::Workflows;
use serde_json::{Value, json};

use crate::{
    support::{add_provider, open, serve},
    upstream::{finish_chunk, listen, text_chunk, usage_chunk},
};

/// A provider whose model `good` answers every question right, `poor` every second, and `broken` none.
#[derive(Clone, Default)]
struct Provider {
    asked: Arc<Mutex<Vec<(String, String)>>>,
    running: Arc<AtomicUsize>,
    running_most: Arc<AtomicUsize>,
    /// Milliseconds for an answer.
    slow: u64,
}

async fn answer(State(provider): State<Provider>, body: String) -> Response<Body> {
    let body: Value = serde_json::from_str(&body).unwrap();
    let model = body["model"].as_str().unwrap().to_owned();
    let question = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    assert_eq!(body["temperature"], 0.0);
    provider.asked.lock().unwrap().push((model.clone(), question.clone()));
    let running = provider.running.fetch_add(1, Ordering::SeqCst) + 1;
    provider.running_most.fetch_max(running, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(provider.slow)).await;
    provider.running.fetch_sub(1, Ordering::SeqCst);
    let number: u32 = question.trim_start_matches("number ").parse().unwrap();
    let text = match model.as_str() {
        "good" => number.to_string(),
        "poor" if number.is_multiple_of(2) => number.to_string(),
        "poor" => "no idea".to_owned(),
        _ => {
            return Response::builder()
                .status(400)
                .body(Body::from(r#"{"error":{"message":"out of order"}}"#))
                .unwrap();
        }
    };
    let mut events: String = [text_chunk(&text), finish_chunk("stop"), usage_chunk(100, 0, 10)]
        .iter()
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    events.push_str("data: [DONE]\n\n");
    Response::builder().header("content-type", "text/event-stream").body(Body::from(events)).unwrap()
}

fn suite(cases: u32) -> Suite {
    let cases: Vec<Value> = (0..cases)
        .map(|number| {
            json!({ "id": format!("n{number:03}"), "category": if number < 4 { "small" } else { "large" },
                    "prompt": format!("number {number}"), "check": { "kind": "number", "expected": number } })
        })
        .collect();
    serde_json::from_value(json!({ "name": "Numbers", "cases": cases })).unwrap()
}

struct Setup {
    test: TestStore,
    models: Models,
    ctx: Ctx,
    provider: Provider,
    workflows: Workflows,
}

impl Setup {
    async fn new(test: TestStore, slow: u64) -> Self {
        let provider = Provider { slow, ..Provider::default() };
        let router = Router::new().route("/chat/completions", post(answer)).with_state(provider.clone());
        let url = format!("http://{}", listen(router).await);
        let (models, ctx) = (open(test.store()), tenant().with_team(Some(TeamId::from_bits(7))));
        let id = add_provider(&models, &ctx, "acme", &url).await;
        for name in ["good", "poor", "broken"] {
            let new = NewModel {
                provider: id,
                name: name.to_owned(),
                upstream_name: None,
                kind: ModelKind::Chat,
                context_length: None,
                dimensions: None,
                price: Some(Price {
                    input_micros_per_million: Some(1_000_000),
                    output_micros_per_million: Some(2_000_000),
                    ..Price::default()
                }),
                capabilities: None,
                domain: None,
                description: None,
            };
            models.create_model(&ctx, new).await.unwrap();
        }
        let workflows = Workflows::new(test.store(), system());
        models.register_steps(&workflows);
        Self { test, models, ctx, provider, workflows }
    }

    async fn begin(&self, names: &[&str], cases: u32) -> Benchmark {
        self.models.create_benchmark(&self.ctx, new(names, cases)).await.unwrap()
    }

    async fn ended(&self, benchmark: &Benchmark) -> Benchmark {
        for _ in 0..3_000 {
            let now = self.models.benchmark(&self.ctx, benchmark.id).await.unwrap();
            if now.ended_at.is_some() {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the benchmark did not end");
    }
}

fn new(names: &[&str], cases: u32) -> NewBenchmark {
    NewBenchmark {
        name: None,
        models: names.iter().map(|name| (*name).to_owned()).collect(),
        suite: Some(suite(cases)),
        concurrency: Some(3),
        greedy: true,
    }
}

on_each_database! {
    async fn benchmarks_report_quality_speed_cost_and_failures_of_each_model(test: TestStore) {
        let setup = Setup::new(test, 0).await;
        let benchmark = setup.begin(&["acme/good", "acme/poor", "acme/broken"], 12).await;
        assert_eq!((benchmark.state, benchmark.total()), (BenchmarkState::Queued, 36));
        setup.workflows.start(true).await.unwrap();
        let ended = setup.ended(&benchmark).await;
        assert_eq!((ended.state, ended.done, &ended.error), (BenchmarkState::Succeeded, 36, &None));
        let report = setup.models.benchmark_report(&setup.ctx, &[benchmark.id]).await.unwrap();
        let [good, poor, broken] = report.models.as_slice() else { panic!("{report:?}") };
        let quality = |model: &plasma_models::benchmarks::ModelReport| model.quality.unwrap();
        assert_eq!((good.answered, good.failed, quality(good).value), (12, 0, 1.0));
        // Wilson's interval of 6 of 12.
        assert_eq!((poor.answered, quality(poor).value), (12, 0.5));
        assert!((quality(poor).low - 0.2538).abs() < 1e-3 && (quality(poor).high - 0.7462).abs() < 1e-3);
        assert_eq!((broken.answered, broken.failed, broken.quality), (0, 12, None));
        // 100 tokens read at 1 and 10 written at 2 dollars a million.
        assert_eq!(good.cost_micros_per_case, Some(120.0));
        assert_eq!(good.cost.as_ref().unwrap().amount_micros, 12 * 120);
        assert!(good.first_token_ms.is_some() && good.duration_ms.unwrap().count == 12);
        let categories: Vec<(&str, usize)> =
            good.categories.iter().map(|score| (score.category.as_str(), score.quality.count)).collect();
        assert_eq!(categories, [("large", 8), ("small", 4)]);
        // Only the pair that both answered is compared.
        let [pair] = report.comparisons.as_slice() else { panic!("{:?}", report.comparisons) };
        assert_eq!((pair.one, pair.other, pair.only_one, pair.only_other), (0, 1, 6, 0));
        assert_eq!((pair.difference.value, pair.p_value), (0.5, 0.03125));
        assert_eq!(report.cases[1].scores, [Some(1.0), Some(0.0), None]);

        let filter = ResultFilter { case: Some("n001".to_owned()), model: None };
        let results = setup.models.benchmark_results(&setup.ctx, benchmark.id, &filter, &PageRequest::default()).await.unwrap();
        let texts: Vec<_> = results.data.iter().map(|result| (result.model.as_str(), result.answer.as_deref())).collect();
        assert_eq!(texts, [("acme/broken", None), ("acme/good", Some("1")), ("acme/poor", Some("no idea"))]);
        assert!(results.data[0].error.as_ref().unwrap().contains("out of order"));
        // Page by page everything comes once.
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let request = PageRequest { limit: 7, cursor };
            let page = setup.models.benchmark_results(&setup.ctx, benchmark.id, &ResultFilter::default(), &request).await.unwrap();
            seen.extend(page.data.into_iter().map(|result| (result.case, result.model)));
            cursor = page.next_cursor;
            if cursor.is_none() { break; }
        }
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!((seen.len(), distinct.len()), (36, 36));
        // The calls are in the log under their purpose, in the name of who began it, and the limit of concurrency was kept.
        let calls = setup.models.calls(&setup.ctx, &CallFilter::default(), &PageRequest { limit: 200, cursor: None }).await.unwrap().data;
        assert_eq!(calls.len(), 36);
        assert!(calls.iter().all(|call| call.purpose == Purpose::Benchmark && call.actor == *setup.ctx.actor()));
        assert!(setup.ctx.team().is_some() && calls.iter().all(|call| call.team == setup.ctx.team()));
        assert!(setup.provider.running_most.load(Ordering::SeqCst) <= 3);
        setup.workflows.stop().await;
    }

    async fn a_benchmark_that_is_taken_up_again_asks_only_what_has_no_result(test: TestStore) {
        let setup = Setup::new(test, 30).await;
        let benchmark = setup.begin(&["acme/good", "acme/poor"], 20).await;
        setup.workflows.start(true).await.unwrap();
        while setup.models.benchmark(&setup.ctx, benchmark.id).await.unwrap().done < 5 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The program stops in the middle, and another process goes on.
        setup.workflows.stop().await;
        setup.models.shutdown().await;
        let before = setup.models.benchmark(&setup.ctx, benchmark.id).await.unwrap().done;
        assert!((5..40).contains(&before), "{before}");
        let store = setup.test.open_again().await;
        let models = open(store.clone());
        let workflows = Workflows::new(store, system());
        models.register_steps(&workflows);
        workflows.start(true).await.unwrap();
        let ended = setup.ended(&benchmark).await;
        assert_eq!((ended.state, ended.done), (BenchmarkState::Succeeded, 40));
        workflows.stop().await;
        let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
        for asked in setup.provider.asked.lock().unwrap().iter() {
            *times.entry(asked.clone()).or_default() += 1;
        }
        assert_eq!(times.len(), 40);
        // At most the three that were under way were asked twice.
        assert!(times.values().filter(|times| **times > 1).count() <= 3, "{times:?}");
    }

    async fn a_cancelled_benchmark_stops_and_keeps_its_results(test: TestStore) {
        let setup = Setup::new(test, 50).await;
        let benchmark = setup.begin(&["acme/good"], 400).await;
        setup.workflows.start(true).await.unwrap();
        while setup.models.benchmark(&setup.ctx, benchmark.id).await.unwrap().done < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let cancelled = setup.models.cancel_benchmark(&setup.ctx, benchmark.id).await.unwrap();
        assert_eq!(cancelled.state, BenchmarkState::Cancelled);
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let asked = setup.provider.asked.lock().unwrap().len();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(setup.provider.asked.lock().unwrap().len(), asked, "calls go on after the benchmark was cancelled");
        let after = setup.models.benchmark(&setup.ctx, benchmark.id).await.unwrap();
        assert_eq!(after.state, BenchmarkState::Cancelled);
        // Results that were being written then may be there.
        assert!(after.done <= cancelled.done + 3 && asked as u64 <= after.done + 3, "{asked} asked: {after:?}");
        // Once more changes nothing.
        assert_eq!(setup.models.cancel_benchmark(&setup.ctx, benchmark.id).await.unwrap().ended_at, after.ended_at);
        setup.models.delete_benchmark(&setup.ctx, benchmark.id).await.unwrap();
        assert_eq!(setup.models.benchmark(&setup.ctx, benchmark.id).await.unwrap_err().code(), Code::NotFound);
        setup.workflows.stop().await;
    }

    async fn benchmarks_end_as_failed_when_the_budget_of_who_began_them_is_spent(test: TestStore) {
        let setup = Setup::new(test, 0).await;
        let plasma_kernel::Actor::User { id } = setup.ctx.actor() else { panic!("a user") };
        // Enough for some calls: each costs 120 and may cost more.
        let budget = NewBudget { subject: BudgetSubject::User { id: *id }, period: BudgetPeriod::Total, limit_micros: 2_000, currency: "USD".to_owned() };
        setup.models.create_budget(&setup.ctx, budget).await.unwrap();
        let benchmark = setup.begin(&["acme/good"], 100).await;
        setup.workflows.start(true).await.unwrap();
        let ended = setup.ended(&benchmark).await;
        assert_eq!(ended.state, BenchmarkState::Failed);
        assert!(ended.error.as_ref().unwrap().contains("budget"), "{:?}", ended.error);
        assert!(ended.done > 0 && ended.done < 17, "{} results", ended.done);
        setup.workflows.stop().await;
    }

    async fn benchmarks_belong_to_their_tenant_and_need_permissions(test: TestStore) {
        let setup = Setup::new(test, 0).await;
        let benchmark = setup.begin(&["acme/good"], 2).await;
        let stranger = tenant();
        let (models, id, page) = (&setup.models, benchmark.id, PageRequest::default());
        assert!(models.benchmarks(&stranger, &page).await.unwrap().data.is_empty());
        for error in [
            models.benchmark(&stranger, id).await.map(drop).unwrap_err(),
            models.benchmark_report(&stranger, &[id]).await.map(drop).unwrap_err(),
            models.benchmark_results(&stranger, id, &ResultFilter::default(), &page).await.map(drop).unwrap_err(),
            models.cancel_benchmark(&stranger, id).await.map(drop).unwrap_err(),
            models.delete_benchmark(&stranger, id).await.unwrap_err(),
            // Nor can a stranger's models be asked.
            models.create_benchmark(&stranger, new(&["acme/good"], 1)).await.map(drop).unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::NotFound, "{error}");
        }
        let reader = with_permissions(&setup.ctx, Permissions::default().with(Permission::ModelsRead));
        for error in [
            models.create_benchmark(&reader, new(&["acme/good"], 1)).await.map(drop).unwrap_err(),
            models.cancel_benchmark(&reader, id).await.map(drop).unwrap_err(),
            models.delete_benchmark(&reader, id).await.unwrap_err(),
        ] {
            assert_eq!(error.code(), Code::Forbidden, "{error}");
        }
        // A colleague who may call models cannot stop what another has begun.
        let user = plasma_kernel::Actor::User { id: plasma_kernel::UserId::new(&setup.ctx) };
        let invoke = Permissions::default().with(Permission::ModelsInvoke);
        let colleague =
            Ctx::new(setup.ctx.tenant().unwrap(), user, invoke, setup.ctx.clock().clone(), setup.ctx.random().clone());
        assert_eq!(models.cancel_benchmark(&colleague, id).await.unwrap_err().code(), Code::Forbidden);
        for (name, suite_name, field) in [(Some("a\nb"), "Numbers", "name"), (None, "Num\0bers", "suite.name")] {
            let mut wrong = new(&["acme/good"], 1);
            wrong.name = name.map(str::to_owned);
            wrong.suite.as_mut().unwrap().name = suite_name.to_owned();
            let error = models.create_benchmark(&setup.ctx, wrong).await.unwrap_err();
            assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some(field)), "{error}");
        }
        let filter = ResultFilter { case: Some("n\0".to_owned()), model: None };
        let error = models.benchmark_results(&setup.ctx, id, &filter, &page).await.map(drop).unwrap_err();
        assert_eq!(error.field_name(), Some("case"), "{error}");
        for (names, field) in [
            (vec![], "models"),
            (vec!["acme/good"; 2], "models[1]"),
            (vec!["acme/unknown"], "models[0]"),
            (vec!["acme/good"; 11], "models"),
        ] {
            let error = models.create_benchmark(&setup.ctx, new(&names, 1)).await.unwrap_err();
            assert_eq!(error.field_name(), Some(field), "{names:?}: {error}");
        }
        for _ in 0..9 {
            setup.begin(&["acme/good"], 1).await;
        }
        let error = models.create_benchmark(&setup.ctx, new(&["acme/good"], 1)).await.unwrap_err();
        assert_eq!(error.reason(), "too_many_benchmarks");
    }
}

#[tokio::test]
async fn benchmarks_of_several_runs_are_compared_over_http() {
    let setup = Setup::new(TestStore::sqlite().await, 0).await;
    setup.workflows.start(true).await.unwrap();
    let url = serve(&setup.models, &setup.ctx).await;
    let client = reqwest::Client::new();
    let mut ids = Vec::new();
    for (model, cases) in [("acme/good", 6), ("acme/poor", 8)] {
        let body = json!({ "models": [model], "suite": suite(cases), "name": format!("run of {model}") });
        let response = client.post(format!("{url}/api/v1/models/benchmarks")).json(&body).send().await.unwrap();
        assert_eq!(response.status(), 202);
        let benchmark: Value = response.json().await.unwrap();
        let id = benchmark["id"].as_str().unwrap().to_owned();
        for _ in 0..1_000 {
            let now: Value =
                client.get(format!("{url}/api/v1/models/benchmarks/{id}")).send().await.unwrap().json().await.unwrap();
            if now["state"] == "succeeded" {
                assert_eq!(now["report"]["models"][0]["answered"], cases);
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        ids.push(id);
    }
    let get = |path: String| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let response = client.get(format!("{url}{path}")).send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    let (status, report) = get(format!("/api/v1/models/benchmarks/compare?ids={},{}", ids[0], ids[1])).await;
    assert_eq!(status, 200, "{report}");
    assert_eq!(report["models"].as_array().unwrap().len(), 2);
    // Six cases in common, of which the poor model passed three.
    let pair = &report["comparisons"][0];
    assert_eq!(
        (&pair["difference"]["count"], &pair["difference"]["value"], &pair["only_one"]),
        (&json!(6), &json!(0.5), &json!(3))
    );
    assert_eq!(report["cases"].as_array().unwrap().len(), 8);
    assert_eq!(report["cases"][7]["scores"][0], Value::Null);
    for wrong in ["", "bench_1", &[ids[0].as_str(); 6].join(",")] {
        let (status, problem) = get(format!("/api/v1/models/benchmarks/compare?ids={wrong}")).await;
        assert_eq!((status, &problem["field"]), (400, &json!("ids")), "{wrong}");
    }
    // The route's own word is no id.
    assert_eq!(get("/api/v1/models/benchmarks/other".to_owned()).await.0, 404);
    setup.workflows.stop().await;
}
