//! What happens when providers fail: retries, the next candidate of a route, and what the caller and the record see of it.

use plasma_kernel::ProviderId;
use plasma_models::{BrokenStream, CallStatus, ModelKind, ModelsConfig, RouteSettings};
use plasma_testkit::{TestStore, on_each_database, tenant};
use serde_json::{Value, json};

use crate::{
    support::{Setup, add_model, add_provider, assert_status, call_id, config, data, open_with, ordered_route, serve},
    upstream::{Answer, Piece, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

/// A tenant with the route `both`: first `acme/chat`, then `backup/chat`.
struct Pair {
    setup: Setup,
    backup: Upstream,
}

async fn add(setup: &Setup, name: &str, upstream: &Upstream) -> ProviderId {
    let provider = add_provider(&setup.models, &setup.ctx, name, &upstream.url).await;
    add_model(&setup.models, &setup.ctx, provider, "chat", ModelKind::Chat).await;
    provider
}

async fn pair(test: TestStore, first: Answer, second: Answer) -> Pair {
    let setup = Setup::new(test, first).await;
    let backup = Upstream::start(second).await;
    add(&setup, "backup", &backup).await;
    setup.models.put_route(&setup.ctx, "both", ordered_route(&["acme/chat", "backup/chat"])).await.unwrap();
    Pair { setup, backup }
}

fn ask(streamed: bool) -> String {
    format!(r#"{{"model":"both","messages":[{{"role":"user","content":"hi"}}],"stream":{streamed}}}"#)
}

fn full_stream(text: &str) -> Answer {
    Answer::events([text_chunk(text), finish_chunk("stop"), usage_chunk(7, 0, 2)]).done()
}

const CHAT: &str = "/v1/chat/completions";

on_each_database! {
    async fn the_next_candidate_answers_and_the_record_tells_why(test: TestStore) {
        let Pair { setup, backup } =
            pair(test, Answer::error(503, "overloaded"), Answer::json(whole_answer("Hello", 7, 2))).await;
        let response = setup.post(CHAT, ask(false)).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["plasma-route"], "both; strategy=ordered; model=backup/chat; attempt=2");
        assert_eq!(response.headers()["plasma-model"], "backup/chat");
        let id = call_id(&response);
        assert_eq!(response.json::<Value>().await.unwrap()["model"], "backup/chat");
        assert_eq!((setup.upstream.seen().len(), backup.seen().len()), (1, 1));

        let (status, call) = setup.get(&format!("/api/v1/models/calls/{id}")).await;
        assert_eq!(status, 200);
        assert_eq!((&call["model"], &call["status"]), (&json!("backup/chat"), &json!("succeeded")));
        assert_eq!(call["decision"]["route"], "both");
        assert_eq!(call["decision"]["candidates"][0]["reason"], "number 1 of the list");
        let attempts = call["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 2, "{call}");
        assert_eq!((&attempts[0]["model"], &attempts[0]["error"]), (&json!("acme/chat"), &json!("provider_failed")));
        assert_eq!((&attempts[1]["model"], &attempts[1]["error"]), (&json!("backup/chat"), &Value::Null));
        assert_eq!(call["input_tokens"], 7);
    }

    async fn routes_are_kept_listed_and_removed(test: TestStore) {
        let setup = Setup::new(test, Answer::Silence).await;
        let body = r#"{"strategy":"weighted","candidates":[{"model":"acme/chat","weight":3}]}"#;
        let url = format!("{}/api/v1/routes/mine", setup.url);
        let response = setup.client.put(&url).header("content-type", "application/json").body(body).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let (_, list) = setup.get("/api/v1/routes").await;
        let names: Vec<&str> = list["data"].as_array().unwrap().iter().map(|route| route["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["auto", "auto-best", "auto-cheap", "auto-fast", "auto-private", "mine"]);
        let wrong = [
            (r#"{"strategy":"ordered","candidates":[{"model":"acme/embed"}]}"#, "candidates[0].model"),
            (r#"{"strategy":"ordered","candidates":[{"model":"acme/nothing"}]}"#, "candidates[0].model"),
            (r#"{"strategy":"ordered","attempts_max":0}"#, "attempts_max"),
        ];
        for (body, field) in wrong {
            let request = setup.client.put(&url).header("content-type", "application/json").body(body);
            let problem: Value = request.send().await.unwrap().json().await.unwrap();
            assert_eq!(problem["field"], field, "{problem}");
        }
        assert_eq!(setup.client.delete(&url).send().await.unwrap().status(), 204);
        assert_eq!(setup.client.delete(&url).send().await.unwrap().status(), 404);
        // Another tenant's routes are its own.
        let stranger = tenant();
        assert_eq!(setup.models.routes(&stranger).await.unwrap().len(), 5);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_before_its_first_token_is_replaced() {
    let broken = Answer::Stream(vec![Piece::Bytes(": hello\n\n".to_owned()), Piece::Break]);
    let Pair { setup, .. } = pair(TestStore::sqlite().await, broken, full_stream("Hello")).await;
    let response = setup.post(CHAT, ask(true)).await;
    assert_eq!(response.status(), 200);
    let id = call_id(&response);
    let text = response.text().await.unwrap();
    assert!(text.contains("Hello") && text.ends_with("data: [DONE]\n\n"), "{text}");
    let call = setup.call(&id).await;
    assert_status(&call, CallStatus::Succeeded);
    assert_eq!(call.attempts.len(), 2);
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_first_token_ends_with_an_error() {
    let broken = Answer::events([text_chunk("Hel")]).then(Piece::Break);
    let Pair { setup, backup } = pair(TestStore::sqlite().await, broken, full_stream("Hello")).await;
    let response = setup.post(CHAT, ask(true)).await;
    let id = call_id(&response);
    let text = response.text().await.unwrap();
    let last: Value = serde_json::from_str(data(&text).last().unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "provider_connection_lost", "{text}");
    assert!(!text.contains("[DONE]"));
    assert!(backup.seen().is_empty());
    assert_status(&setup.call(&id).await, CallStatus::Failed);
}

#[tokio::test]
async fn a_broken_stream_goes_on_at_the_next_candidate_where_the_route_says_so() {
    let broken = Answer::events([text_chunk("Hel")]).then(Piece::Break);
    let Pair { setup, backup } = pair(TestStore::sqlite().await, broken, full_stream("lo")).await;
    let settings = RouteSettings {
        on_broken_stream: BrokenStream::ContinueOnNext,
        ..ordered_route(&["acme/chat", "backup/chat"])
    };
    setup.models.put_route(&setup.ctx, "both", settings).await.unwrap();
    let response = setup.post(CHAT, ask(true)).await;
    let id = call_id(&response);
    let text = response.text().await.unwrap();
    let events = data(&text);
    let said: String = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(said, "Hello", "{text}");
    assert_eq!(*events.last().unwrap(), "[DONE]");
    let asked = backup.only().json;
    let messages = asked["messages"].as_array().unwrap();
    assert_eq!((&messages[1]["role"], &messages[1]["content"]), (&json!("assistant"), &json!("Hel")));
    let call = setup.call(&id).await;
    assert_status(&call, CallStatus::Succeeded);
    assert_eq!(call.attempts.len(), 2);
    assert_eq!(call.model, "backup/chat");
}

#[tokio::test]
async fn a_callers_mistake_is_not_taken_to_the_next_candidate() {
    let Pair { setup, backup } =
        pair(TestStore::sqlite().await, Answer::error(400, "bad schema"), full_stream("Hello")).await;
    assert_eq!(setup.post(CHAT, ask(false)).await.status(), 400);
    assert!(backup.seen().is_empty());
}

#[tokio::test]
async fn a_slow_first_token_is_not_waited_for_beyond_the_routes_limit() {
    let Pair { setup, .. } =
        pair(TestStore::sqlite().await, Answer::Silence, Answer::json(whole_answer("Hello", 7, 2))).await;
    let settings = RouteSettings { first_token_timeout_ms: Some(200), ..ordered_route(&["acme/chat", "backup/chat"]) };
    setup.models.put_route(&setup.ctx, "both", settings).await.unwrap();
    let response = setup.post(CHAT, ask(false)).await;
    assert_eq!(response.status(), 200);
    let call = setup.call(&call_id(&response)).await;
    assert_eq!(call.attempts[0].error.as_deref(), Some("first_token_timeout"));
    setup.upstream.abandoned().await;
}

#[tokio::test]
async fn a_failing_model_is_tried_again_after_the_pause_that_it_asks_for() {
    let limited = Answer::Whole(429, vec![("retry-after-ms", "30")], r#"{"error":{"message":"slow down"}}"#.to_owned());
    let answers = [limited, Answer::error(500, "oops"), Answer::json(whole_answer("Hello", 7, 2))];
    let test = TestStore::sqlite().await;
    let models = open_with(test.store(), ModelsConfig { attempts_max: 3, ..config() });
    let ctx = tenant();
    let upstream = Upstream::start_with(answers).await;
    let provider = add_provider(&models, &ctx, "acme", &upstream.url).await;
    add_model(&models, &ctx, provider, "chat", ModelKind::Chat).await;
    let url = serve(&models, &ctx).await;
    let body = ask(false).replace("both", "acme/chat");
    let response = reqwest::Client::new()
        .post(format!("{url}{CHAT}"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let call = models.call(&ctx, call_id(&response).parse().unwrap()).await.unwrap();
    let errors: Vec<Option<&str>> = call.attempts.iter().map(|attempt| attempt.error.as_deref()).collect();
    assert_eq!(errors, [Some("provider_rate_limited"), Some("provider_failed"), None]);
    assert!(call.attempts[1].started_ms >= 30);
}

#[tokio::test]
async fn a_private_route_never_leaves_the_process() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::json(whole_answer("Hello", 7, 2))).await;
    let response = setup.post(CHAT, ask(false).replace("both", "auto-private")).await;
    // The weights are missing here, so nobody may be asked.
    assert_eq!(response.status(), 503);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "route_empty");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("acme/chat: requests of this route stay in this process"), "{message}");
    assert!(setup.upstream.seen().is_empty());
}

#[tokio::test]
async fn the_cheapest_model_is_asked_first() {
    let Pair { setup, backup } = pair(
        TestStore::sqlite().await,
        Answer::json(whole_answer("dear", 7, 2)),
        Answer::json(whole_answer("cheap", 7, 2)),
    )
    .await;
    let rates = plasma_models::Rates { input: Some(1), output: Some(1), ..plasma_models::Rates::default() };
    let price = plasma_models::Price { rates, ..plasma_models::Price::default() };
    setup.models.delete_model(&setup.ctx, "backup/chat").await.unwrap();
    let providers = setup.models.providers(&setup.ctx, &plasma_kernel::PageRequest::default()).await.unwrap();
    let provider = providers.data.iter().find(|provider| provider.name == "backup").unwrap().id;
    let new = plasma_models::NewModel {
        provider,
        name: "chat".to_owned(),
        upstream_name: None,
        kind: ModelKind::Chat,
        context_length: None,
        dimensions: None,
        price: Some(price),
        capabilities: None,
        domain: None,
        description: None,
    };
    setup.models.create_model(&setup.ctx, new).await.unwrap();
    let response = setup.post(CHAT, ask(false).replace("both", "auto-cheap")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap()["choices"][0]["message"]["content"], "cheap");
    assert_eq!(backup.seen().len(), 1);

    // The strategy `complexity` asks the cheap one below the threshold and the dear one from it on.
    for (threshold, wanted) in [(1.0, "cheap"), (0.0, "dear")] {
        let settings: plasma_models::RouteSettings =
            serde_json::from_value(serde_json::json!({ "strategy": "complexity", "complexity_threshold": threshold }))
                .unwrap();
        setup.models.put_route(&setup.ctx, "auto", settings).await.unwrap();
        let response = setup.post(CHAT, ask(false).replace("both", "auto")).await;
        assert_eq!(response.status(), 200);
        let id = call_id(&response);
        assert_eq!(response.json::<Value>().await.unwrap()["choices"][0]["message"]["content"], wanted);
        let decision = setup.call(&id).await.decision.unwrap();
        assert!(decision.candidates[0].reason.starts_with("complexity 0."), "{decision:?}");
    }
    let wrong = serde_json::json!({ "strategy": "complexity", "complexity_threshold": 1.5 });
    let error = setup.models.put_route(&setup.ctx, "auto", serde_json::from_value(wrong).unwrap()).await.unwrap_err();
    assert_eq!(error.field_name(), Some("complexity_threshold"));
}

#[tokio::test]
async fn a_stream_that_stays_unfinished_counts_what_it_brought() {
    let said = "A sentence of forty bytes is said before";
    let broken = Answer::events([text_chunk(said)]).then(Piece::Break);
    let Pair { setup, .. } = pair(TestStore::sqlite().await, broken, full_stream("Hello")).await;
    let response = setup.post(CHAT, ask(true)).await;
    let id = call_id(&response);
    response.text().await.unwrap();
    let call = setup.call(&id).await;
    assert_status(&call, CallStatus::Failed);
    assert_eq!(call.usage.output_tokens, 10, "four bytes a token");
    assert!((5..=50).contains(&call.usage.input_tokens), "{:?}", call.usage);
    // 2.50 and 10.00 USD a million.
    let micros = (call.usage.input_tokens * 5).div_ceil(2) + 100;
    let cost = call.cost.unwrap().amount_micros.unsigned_abs();
    assert!(cost.abs_diff(micros) <= 1, "{cost} {micros}");

    // The caller's own limit bounds the answer, however long its words are.
    let response = setup.post(CHAT, ask(true).replacen('{', r#"{"max_tokens":3,"#, 1)).await;
    let id = call_id(&response);
    response.text().await.unwrap();
    assert_eq!(setup.call(&id).await.usage.output_tokens, 3);

    // Nothing came, so nothing is known.
    let nothing = Answer::Stream(vec![Piece::Bytes(": hello\n\n".to_owned()), Piece::Break]);
    let Pair { setup, .. } = pair(TestStore::sqlite().await, nothing, Answer::error(500, "oops")).await;
    let response = setup.post(CHAT, ask(true)).await;
    assert_eq!(response.status(), 502);
    let call = setup.call(&call_id(&response)).await;
    assert_eq!((call.usage.output_tokens, call.cost), (0, None));
}

#[tokio::test]
async fn a_model_that_fails_again_and_again_is_asked_last_and_its_health_says_so() {
    let listed = Answer::json(json!({ "data": [{ "id": "upstream-model" }] }));
    let answers = std::iter::repeat_n(Answer::error(503, "overloaded"), 5).chain([listed]);
    let setup = Setup::with(TestStore::sqlite().await, Upstream::start_with(answers).await).await;
    let backup = Upstream::start(Answer::json(whole_answer("Hello", 7, 2))).await;
    add(&setup, "backup", &backup).await;
    setup.models.put_route(&setup.ctx, "both", ordered_route(&["acme/chat", "backup/chat"])).await.unwrap();
    assert_eq!(setup.get("/api/v1/models/health").await.1, json!({ "data": [] }));
    for _ in 0..5 {
        assert_eq!(setup.post(CHAT, ask(false)).await.status(), 200);
    }
    let (status, health) = setup.get("/api/v1/models/health").await;
    assert_eq!(status, 200);
    let [failing, well] = [&health["data"][0], &health["data"][1]];
    assert_eq!((&failing["model"], &failing["circuit_open"]), (&json!("acme/chat"), &json!(true)), "{health}");
    assert!(failing["open_for_ms"].as_u64().unwrap() > 10_000, "{health}");
    assert_eq!(failing["failures_in_a_row"], 5);
    assert_eq!(
        (&well["model"], &well["circuit_open"], &well["samples"]),
        (&json!("backup/chat"), &json!(false), &json!(5))
    );
    assert_eq!(setup.post(CHAT, ask(false)).await.headers()["plasma-model"], "backup/chat");
    let asked = setup.upstream.seen().iter().filter(|seen| seen.path.ends_with("/chat/completions")).count();
    assert_eq!((asked, backup.seen().len()), (5, 6), "the failing one was not asked again");
    // Its provider is asked for its models meanwhile, and answers: the next request tries it.
    for _ in 0..100 {
        if setup.get("/api/v1/models/health").await.1["data"][0]["open_for_ms"] == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the provider that answers again was not noticed");
}
