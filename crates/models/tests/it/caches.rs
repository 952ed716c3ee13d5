//! Answers that are given again: to whom, in which protocol, for how long, at what cost, and to whom not.

mod embeddings;
mod semantic;

use std::time::Duration;

use plasma_kernel::{Actor, Clock, Ctx, PageRequest, Permissions, Random, TenantId, UserId};
use plasma_models::{
    BudgetPeriod, BudgetSubject, CacheKind, CallStatus, ModelKind, NewBudget, ProviderKind, ProviderOptions, events,
};
use plasma_store::EventFilter;
use plasma_testkit::{TestStore, on_each_database, system};
use reqwest::Response;
use serde_json::{Value, json};

use crate::{
    budgets::Api,
    support::{Setup, add_model, add_provider, assert_status, call_id, data, open, serve},
    upstream::{Answer, Piece, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const CACHE: &str = "/api/v1/models/cache";
const CHAT: &str = "/v1/chat/completions";

/// A tenant of a clock that stands still, with the cache on for named models.
async fn cached(test: TestStore, answers: impl IntoIterator<Item = Answer>) -> (Setup, Clock) {
    let (setup, clock) = uncached(test, answers).await;
    let (status, body) = api(&setup).send("PUT", CACHE, json!({ "enabled": true, "ttl_seconds": 600 })).await;
    assert_eq!(status, 200, "{body}");
    (setup, clock)
}

async fn uncached(test: TestStore, answers: impl IntoIterator<Item = Answer>) -> (Setup, Clock) {
    let clock = Clock::manual(Clock::system().now());
    let tenant = TenantId::new(&system());
    let actor = Actor::User { id: UserId::new(&system()) };
    let ctx = Ctx::new(tenant, actor, Permissions::all(), clock.clone(), Random::system());
    let models = open(test.store());
    let upstream = Upstream::start_with(answers).await;
    let provider = add_provider(&models, &ctx, "acme", &upstream.url).await;
    add_model(&models, &ctx, provider, "chat", ModelKind::Chat).await;
    let url = serve(&models, &ctx).await;
    (Setup { test, models, ctx, upstream, provider, url, client: reqwest::Client::new() }, clock)
}

fn api(setup: &Setup) -> Api {
    Api::at(&setup.url)
}

fn question(content: &str, extra: &str) -> String {
    format!(r#"{{"model":"acme/chat","messages":[{{"role":"user","content":"{content}"}}],"max_tokens":50{extra}}}"#)
}

fn cache_header(response: &Response) -> Option<String> {
    response.headers().get("plasma-cache").map(|value| value.to_str().unwrap().to_owned())
}

/// The cache's header, and what the answer says.
async fn ask(setup: &Setup, body: String) -> (Option<String>, String) {
    let response = setup.post(CHAT, body).await;
    assert_eq!(response.status(), 200);
    let header = cache_header(&response);
    let answer: Value = response.json().await.unwrap();
    (header, answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned())
}

async fn is_hit(setup: &Setup, body: String) -> bool {
    match ask(setup, body).await.0.as_deref() {
        Some("miss") => false,
        Some(line) if line.starts_with("hit; age=") => true,
        other => panic!("{other:?}"),
    }
}

async fn events_of(setup: &Setup, kind: &str) -> Vec<Value> {
    let mut tx = setup.test.read(&setup.ctx).await.unwrap();
    let filter = EventFilter { kind: Some(kind.to_owned()) };
    let page = tx.events_page(&filter, &PageRequest::default()).await.unwrap();
    page.data.into_iter().map(|event| event.data).collect()
}

fn streamed(texts: &[&str]) -> Answer {
    let mut chunks: Vec<Value> = texts.iter().map(|text| text_chunk(text)).collect();
    chunks.extend([finish_chunk("stop"), usage_chunk(7, 0, 2)]);
    Answer::events(chunks).done()
}

on_each_database! {
    async fn an_answer_is_given_again_in_every_protocol_and_costs_nothing(test: TestStore) {
        let (setup, clock) = uncached(test, [Answer::json(whole_answer("Hello you", 7, 2))]).await;
        // Off until it is switched on.
        assert_eq!(ask(&setup, question("hi", "")).await.0, None);
        let api = api(&setup);
        let (status, body) = api.send("PUT", CACHE, json!({ "enabled": true })).await;
        assert_eq!((status, &body["settings"]["ttl_seconds"], &body["purged_at"]), (200, &json!(3_600), &Value::Null));
        assert_eq!(api.get(CACHE).await, (200, body));

        let first = setup.post(CHAT, question("hi", "")).await;
        assert_eq!(cache_header(&first).as_deref(), Some("miss"));
        let first_id = call_id(&first);
        clock.advance(Duration::from_secs(42));
        assert_eq!(ask(&setup, question("hi", r#","user":"someone","stream_options":null"#)).await, (Some("hit; age=42".to_owned()), "Hello you".to_owned()));

        let response = setup.post("/anthropic/v1/messages", question("hi", r#","stream":true"#)).await;
        assert_eq!((response.status().as_u16(), cache_header(&response).as_deref()), (200, Some("hit; age=42")));
        let hit_id = call_id(&response);
        let text = response.text().await.unwrap();
        let events: Vec<Value> = data(&text).iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        assert_eq!(events[0]["message"]["id"], format!("msg_{hit_id}"));
        let said: String = events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect();
        assert_eq!((said.as_str(), &events.last().unwrap()["type"]), ("Hello you", &json!("message_stop")));
        assert_eq!(setup.upstream.seen().len(), 2);

        let hit = setup.call(&hit_id).await;
        assert_status(&hit, CallStatus::Succeeded);
        let cache = hit.cache.clone().unwrap();
        assert_eq!((cache.kind, cache.call_id.to_string(), cache.age_seconds), (CacheKind::Exact, first_id.clone(), 42));
        // 7 * 2.5 + 2 * 10, rounded up.
        assert_eq!((hit.cost.unwrap().amount_micros, cache.saved.unwrap().amount_micros), (0, 38));
        assert_eq!((hit.usage.input_tokens, hit.usage.output_tokens, hit.streamed), (0, 0, true));
        assert!(setup.call(&first_id).await.cache.is_none());
        let (_, body) = api.get(&format!("/api/v1/models/calls/{hit_id}")).await;
        assert_eq!((&body["cache"]["kind"], &body["cache"]["call_id"]), (&json!("exact"), &json!(first_id)));
        let completed = events_of(&setup, events::CALL_COMPLETED).await;
        assert_eq!(completed.iter().filter(|data| data["cache"]["kind"] == "exact").count(), 2);

        let (status, usage) = api.get(&format!("{CACHE}/usage?days=2")).await;
        let saved = json!([{ "amount_micros": 76, "currency": "USD" }]);
        let expected = json!([{ "model": "acme/chat", "calls": 4, "exact_hits": 2, "semantic_hits": 0, "partial_hits": 0, "saved": saved }]);
        assert_eq!((status, &usage["models"]), (200, &expected));
    }

    async fn a_stream_is_kept_when_it_is_complete(test: TestStore) {
        let broken = Answer::events([text_chunk("Half")]).then(Piece::Break);
        let (setup, _) = cached(test, [broken, streamed(&["Hello ", "world"])]).await;
        let stream = || question("hi", r#","stream":true"#);
        assert!(setup.post(CHAT, stream()).await.text().await.unwrap().contains("error"));
        let response = setup.post(CHAT, stream()).await;
        assert_eq!(cache_header(&response).as_deref(), Some("miss"));
        assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
        assert_eq!(ask(&setup, question("hi", "")).await, (Some("hit; age=0".to_owned()), "Hello world".to_owned()));
        let text = setup.post(CHAT, stream()).await.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n") && text.contains("Hello world"), "{text}");
        assert_eq!(setup.upstream.seen().len(), 2);
    }

    async fn whoever_may_not_pay_gets_no_answer_also_not_a_kept_one(test: TestStore) {
        let (setup, _) = cached(test, [Answer::json(whole_answer("Hello", 7, 2))]).await;
        let budget = |limit_micros| NewBudget {
            subject: BudgetSubject::Tenant {},
            period: BudgetPeriod::Day,
            limit_micros,
            currency: "USD".to_owned(),
        };
        let id = setup.models.create_budget(&setup.ctx, budget(1_000_000)).await.unwrap().budget.id;
        assert!(!is_hit(&setup, question("hi", "")).await);
        assert!(is_hit(&setup, question("hi", "")).await);
        let state = setup.models.budget(&setup.ctx, id).await.unwrap();
        assert_eq!((state.spent_micros, state.reserved_micros), (38, 0));
        setup.models.change_budget(&setup.ctx, id, 40).await.unwrap();
        let response = setup.post(CHAT, question("hi", "")).await;
        assert_eq!((response.status().as_u16(), cache_header(&response)), (402, None));
        assert_eq!(setup.upstream.seen().len(), 1);
        let state = setup.models.budget(&setup.ctx, id).await.unwrap();
        assert_eq!((state.spent_micros, state.reserved_micros), (38, 0));
    }

    async fn time_and_purges_end_an_answer(test: TestStore) {
        let (setup, clock) = cached(test, [Answer::json(whole_answer("Hello", 7, 2))]).await;
        let api = api(&setup);
        assert!(!is_hit(&setup, question("hi", "")).await);
        clock.advance(Duration::from_secs(599));
        assert!(is_hit(&setup, question("hi", "")).await);
        clock.advance(Duration::from_secs(1));
        assert!(!is_hit(&setup, question("hi", "")).await);
        // A shorter time holds for what is kept already.
        clock.advance(Duration::from_secs(61));
        assert!(is_hit(&setup, question("hi", "")).await);
        api.send("PUT", CACHE, json!({ "enabled": true, "ttl_seconds": 60 })).await;
        assert!(!is_hit(&setup, question("hi", "")).await);
        assert!(is_hit(&setup, question("hi", "")).await);
        assert_eq!(api.send("DELETE", CACHE, Value::Null).await, (204, Value::Null));
        assert!(!is_hit(&setup, question("hi", "")).await);
        assert_eq!(api.get(CACHE).await.1["purged_at"], json!(setup.ctx.now()));
        for (kind, count) in [(events::CACHE_CHANGED, 2), (events::CACHE_PURGED, 1)] {
            assert_eq!(events_of(&setup, kind).await.len(), count, "{kind}");
        }
        for (body, field) in [
            (json!({ "ttl_seconds": 0 }), "ttl_seconds"),
            (json!({ "ttl_seconds": 2_592_001 }), "ttl_seconds"),
            (json!({ "answer_bytes_max": 1_023 }), "answer_bytes_max"),
        ] {
            let (status, problem) = api.send("PUT", CACHE, body).await;
            assert_eq!((status, &problem["field"]), (400, &json!(field)));
        }
    }

    async fn a_route_has_a_cache_of_its_own(test: TestStore) {
        let (setup, clock) = uncached(test, [Answer::json(whole_answer("Hello", 7, 2))]).await;
        let api = api(&setup);
        let route = |cache: Value| json!({ "strategy": "ordered", "candidates": [{ "model": "acme/chat" }], "cache": cache });
        let path = "/api/v1/routes/quick";
        let (status, body) = api.send("PUT", path, route(json!({ "mode": "exact", "ttl_seconds": 30, "any_temperature": true }))).await;
        assert_eq!((status, &body["settings"]["cache"]["mode"]), (200, &json!("exact")), "{body}");
        let by_route = || question("hi", r#","temperature":0.9"#).replace("acme/chat", "quick");
        assert!(!is_hit(&setup, by_route()).await);
        assert!(is_hit(&setup, by_route()).await);
        let hit = &setup.calls().await.into_iter().find(|call| call.cache.is_some()).unwrap();
        assert_eq!((hit.model.as_str(), hit.decision.as_ref().unwrap().route.as_str()), ("acme/chat", "quick"));
        assert_eq!(ask(&setup, question("hi", "")).await.0, None);
        clock.advance(Duration::from_secs(30));
        assert!(!is_hit(&setup, by_route()).await);
        for (cache, field) in [
            (json!({ "mode": "exact", "ttl_seconds": 0 }), "cache.ttl_seconds"),
            (json!({ "mode": "semantic", "similarity_min": 1.5 }), "cache.similarity_min"),
        ] {
            let (status, problem) = api.send("PUT", path, route(cache)).await;
            assert_eq!((status, &problem["field"]), (400, &json!(field)));
        }
    }
}

#[tokio::test]
async fn fifty_callers_at_the_same_time_are_one_call() {
    let slow = streamed(&["Hello"]);
    let Answer::Stream(mut pieces) = slow else { panic!("a stream") };
    pieces.insert(1, Piece::Wait(Duration::from_millis(400)));
    let (setup, _) = cached(TestStore::sqlite().await, [Answer::Stream(pieces)]).await;
    let calls = (0..50).map(|_| async {
        let response = setup.post(CHAT, question("hi", r#","stream":true"#)).await;
        let header = cache_header(&response).unwrap();
        let text = response.text().await.unwrap();
        assert!(text.contains("Hello") && text.ends_with("data: [DONE]\n\n"), "{text}");
        header
    });
    let headers = futures::future::join_all(calls).await;
    assert_eq!(headers.iter().filter(|header| *header == "miss").count(), 1);
    assert_eq!(headers.iter().filter(|header| header.starts_with("hit")).count(), 49);
    assert_eq!(setup.upstream.seen().len(), 1);
    let calls = setup.calls().await;
    let first = calls.iter().find(|call| call.cache.is_none()).unwrap();
    assert_eq!(calls.len(), 50);
    assert!(calls.iter().filter_map(|call| call.cache.as_ref()).all(|cache| cache.call_id == first.id));
}

#[tokio::test]
async fn when_the_first_caller_goes_away_another_asks_and_nobody_sees_an_error() {
    let hangs = Answer::events([text_chunk("Hel")]).then(Piece::Wait(Duration::from_secs(60)));
    let (setup, _) = cached(TestStore::sqlite().await, [hangs, Answer::json(whole_answer("Hello", 7, 2))]).await;
    let first = setup.post(CHAT, question("hi", r#","stream":true"#)).await;
    assert_eq!(first.status(), 200);
    let others = (0..5).map(|_| ask(&setup, question("hi", "")));
    let leaves = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(setup.upstream.seen().len(), 1, "the others wait");
        drop(first);
    };
    let (answers, ()) = tokio::join!(futures::future::join_all(others), leaves);
    assert_eq!(answers.iter().filter(|(header, _)| header.as_deref() == Some("miss")).count(), 1);
    assert_eq!(setup.upstream.seen().len(), 2);
}

#[tokio::test]
async fn another_callers_error_is_nobody_elses() {
    let fails = Answer::Stream(vec![Piece::Wait(Duration::from_millis(300)), Piece::Break]);
    let (setup, _) = cached(TestStore::sqlite().await, [fails, streamed(&["Hello"])]).await;
    let post = || async {
        let response = setup.post(CHAT, question("hi", r#","stream":true"#)).await;
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let answers = futures::future::join_all((0..4).map(|_| post())).await;
    let failed = answers.iter().filter(|(status, _)| *status != 200).count();
    assert_eq!((failed, setup.upstream.seen().len()), (1, 2), "{answers:?}");
    assert!(answers.iter().filter(|(status, _)| *status == 200).all(|(_, text)| text.contains("Hello")));
}

#[tokio::test]
async fn what_differs_is_asked_anew_and_other_tenants_see_nothing() {
    let (setup, _) = cached(TestStore::sqlite().await, [Answer::json(whole_answer("Hello", 7, 2))]).await;
    let system = |text: &str| {
        question("hi", "").replace(r#"[{"role""#, &format!(r#"[{{"role":"system","content":"{text}"}},{{"role""#))
    };
    let tool =
        |name: &str| question("hi", &format!(r#","tools":[{{"type":"function","function":{{"name":"{name}"}}}}]"#));
    let bodies = [
        question("hi", ""),
        question("ho", ""),
        system("a"),
        system("b"),
        tool("f"),
        tool("g"),
        question("hi", r#","never_heard_of":1"#),
    ];
    for body in &bodies {
        assert!(!is_hit(&setup, body.clone()).await, "{body}");
    }
    for body in &bodies {
        assert!(is_hit(&setup, body.clone()).await, "{body}");
    }
    assert_eq!(setup.upstream.seen().len(), bodies.len());

    let actor = Actor::User { id: UserId::new(&setup.ctx) };
    let other = Ctx::new(
        TenantId::new(&setup.ctx),
        actor,
        Permissions::all(),
        setup.ctx.clock().clone(),
        setup.ctx.random().clone(),
    );
    let provider = add_provider(&setup.models, &other, "acme", &setup.upstream.url).await;
    add_model(&setup.models, &other, provider, "chat", ModelKind::Chat).await;
    let other = Api::new(&setup.models, &other).await;
    assert_eq!(other.send("PUT", CACHE, json!({ "enabled": true })).await.0, 200);
    let body = serde_json::from_str(&question("hi", "")).unwrap();
    assert_eq!(other.send("POST", CHAT, body).await.0, 200);
    assert_eq!(setup.upstream.seen().len(), bodies.len() + 1);
    // Nor does another's purge touch ours.
    assert_eq!(other.send("DELETE", CACHE, Value::Null).await.0, 204);
    assert!(is_hit(&setup, question("hi", "")).await);
}

#[tokio::test]
async fn callers_may_refuse_the_cache() {
    let answers = ["one", "two", "three"].map(|text| Answer::json(whole_answer(text, 7, 2)));
    let (setup, _) = cached(TestStore::sqlite().await, answers).await;
    let with = async |wish: &str| {
        let request = setup.client.post(format!("{}{CHAT}", setup.url)).header("content-type", "application/json");
        let response = request.header("cache-control", wish).body(question("hi", "")).send().await.unwrap();
        let header = cache_header(&response);
        let answer: Value = response.json().await.unwrap();
        (header, answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned())
    };
    let hit = |text: &str| (Some("hit; age=0".to_owned()), text.to_owned());
    assert_eq!(ask(&setup, question("hi", "")).await.1, "one");
    assert_eq!(ask(&setup, question("hi", "")).await, hit("one"));
    assert_eq!(with("no-cache").await, (Some("miss".to_owned()), "two".to_owned()));
    assert_eq!(ask(&setup, question("hi", "")).await, hit("two"));
    assert_eq!(with("no-store").await, (None, "three".to_owned()));
    assert_eq!(ask(&setup, question("hi", "")).await, hit("two"));
}

#[tokio::test]
async fn errors_and_cut_answers_and_long_ones_and_chance_are_not_kept() {
    let mut cut = whole_answer("Hel", 7, 2);
    cut["choices"][0]["finish_reason"] = json!("length");
    let long = "x".repeat(2_000);
    let answers = [
        Answer::error(500, "no"),
        Answer::json(cut.clone()),
        Answer::json(cut),
        Answer::json(whole_answer(&long, 7, 2)),
        Answer::json(whole_answer("Hello", 7, 2)),
    ];
    let (setup, _) = cached(TestStore::sqlite().await, answers).await;
    let settings = json!({ "enabled": true, "answer_bytes_max": 1_024 });
    assert_eq!(api(&setup).send("PUT", CACHE, settings).await.0, 200);
    assert_eq!(setup.post(CHAT, question("hi", "")).await.status(), 502);
    let unlimited = || question("hi", "").replace(r#","max_tokens":50"#, "");
    assert!(!is_hit(&setup, unlimited()).await);
    // Where the caller set the limit, the cut answer is what was asked for.
    assert!(!is_hit(&setup, question("hi", "")).await);
    assert!(is_hit(&setup, question("hi", "")).await);
    assert!(!is_hit(&setup, unlimited()).await);
    assert!(!is_hit(&setup, unlimited()).await);
    assert!(is_hit(&setup, unlimited()).await);
    let chance = question("hi", r#","temperature":0.5"#);
    assert_eq!(ask(&setup, chance.clone()).await.0, None);
    assert_eq!(ask(&setup, chance).await.0, None);
}

#[tokio::test]
async fn a_thinking_answer_with_tools_is_given_again_whole() {
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model", "stop_reason": "tool_use",
        "stop_sequence": null,
        "content": [
            { "type": "thinking", "thinking": "Hm.", "signature": "sealed" },
            { "type": "text", "text": "Let me look." },
            { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Paris" } },
        ],
        "usage": { "input_tokens": 5, "output_tokens": 9 },
    });
    let upstream = Upstream::start(Answer::json(answer.clone())).await;
    let test = TestStore::sqlite().await;
    let setup = Setup::of_kind(test, upstream, ProviderKind::Anthropic, ProviderOptions::default()).await;
    assert_eq!(api(&setup).send("PUT", CACHE, json!({ "enabled": true })).await.0, 200);
    for header in ["miss", "hit; age=0"] {
        let response = setup.post("/anthropic/v1/messages", question("hi", "")).await;
        assert_eq!(cache_header(&response).as_deref(), Some(header));
        let given: Value = response.json().await.unwrap();
        for field in ["content", "stop_reason"] {
            assert_eq!(given[field], answer[field], "{header}");
        }
    }
    let response = setup.post(CHAT, question("hi", r#","stream":true"#)).await;
    let text = response.text().await.unwrap();
    let chunks: Vec<Value> = data(&text).iter().filter_map(|chunk| serde_json::from_str(chunk).ok()).collect();
    let calls = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str());
    assert_eq!(calls.collect::<String>(), r#"{"city":"Paris"}"#);
    assert_eq!(setup.upstream.seen().len(), 1);
}
