//! Clients of each protocol at providers of each kind. What each protocol can carry is tested in `plasma-protocols`; here it
//! goes over the wire, with headers, addresses and records.

use plasma_models::{CallStatus, ProviderKind, ProviderOptions};
use plasma_protocols::bedrock::event_stream;
use plasma_testkit::TestStore;
use serde_json::{Value, json};

use crate::{
    support::{API_KEY, Setup, assert_status, call_id, data},
    upstream::{Answer, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

async fn setup(kind: ProviderKind, answer: Answer) -> Setup {
    setup_with(kind, answer, ProviderOptions::default()).await
}

async fn setup_with(kind: ProviderKind, answer: Answer, options: ProviderOptions) -> Setup {
    Setup::of_kind(TestStore::sqlite().await, Upstream::start(answer).await, kind, options).await
}

fn header<'a>(setup: &'a crate::upstream::Seen, name: &str) -> &'a str {
    setup.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn anthropic_answer() -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model", "stop_reason": "tool_use",
        "stop_sequence": null,
        "content": [
            { "type": "thinking", "thinking": "Hm.", "signature": "sealed" },
            { "type": "text", "text": "Let me look." },
            { "type": "tool_use", "id": "toolu_1", "name": "weather", "input": { "city": "Paris" } },
        ],
        "usage": { "input_tokens": 5, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 0, "output_tokens": 9 },
        "unheard_of": 1,
    })
}

fn gemini_answer() -> Value {
    json!({
        "candidates": [{ "index": 0, "content": { "role": "model", "parts": [{ "text": "Hello" }] }, "finishReason": "STOP" }],
        "usageMetadata": { "promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9 },
        "modelVersion": "upstream-model", "responseId": "r1",
    })
}

const QUESTION: &str = r#"{"model":"acme/chat","messages":[{"role":"user","content":"hi"}],"max_tokens":50"#;

fn question(extra: &str) -> String {
    format!("{QUESTION}{extra}}}")
}

#[tokio::test]
async fn an_openai_client_gets_tools_and_thoughts_of_an_anthropic_provider() {
    let setup = setup(ProviderKind::Anthropic, Answer::json(anthropic_answer())).await;
    let tools = r#","tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}],"seed":7"#;
    let response = setup.post("/v1/chat/completions", question(tools)).await;
    assert_eq!(response.status(), 200);
    let warning = response.headers()["plasma-warning"].to_str().unwrap().to_owned();
    assert!(warning.starts_with("seed: "), "{warning}");
    assert_eq!(response.headers()["plasma-model"], "acme/chat");
    let id = call_id(&response);
    let answer: Value = response.json().await.unwrap();
    let message = &answer["choices"][0]["message"];
    assert_eq!(answer["model"], "acme/chat");
    assert_eq!(message["content"], "Let me look.");
    assert_eq!(message["reasoning_content"], "Hm.");
    assert_eq!(message["tool_calls"][0]["function"]["name"], "weather");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], r#"{"city":"Paris"}"#);
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(answer["usage"]["prompt_tokens"], 7);

    let seen = setup.upstream.only();
    assert_eq!(seen.path, "/v1/messages");
    assert_eq!((header(&seen, "x-api-key"), header(&seen, "anthropic-version")), (API_KEY, "2023-06-01"));
    assert_eq!(seen.authorization, None);
    assert_eq!(seen.json["model"], "upstream-model");
    assert_eq!(seen.json["tools"][0]["input_schema"]["properties"]["city"]["type"], "string");

    let call = setup.call(&id).await;
    assert_status(&call, CallStatus::Succeeded);
    assert_eq!((call.usage.input_tokens, call.usage.cached_input_tokens, call.usage.output_tokens), (7, 2, 9));
}

#[tokio::test]
async fn an_anthropic_client_passes_through_to_an_anthropic_provider() {
    let setup = setup(ProviderKind::Anthropic, Answer::json(anthropic_answer())).await;
    let response = setup
        .client
        .post(format!("{}/anthropic/v1/messages", setup.url))
        .header("content-type", "application/json")
        .header("anthropic-beta", "new-thing-2026")
        .body(question(r#","never_heard_of":{"a":[1,2.50]}"#))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.headers().get("plasma-warning").is_none());
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["model"], &answer["unheard_of"]), (&json!("acme/chat"), &json!(1)));
    assert_eq!(answer["content"][0]["signature"], "sealed");
    let seen = setup.upstream.only();
    assert_eq!(header(&seen, "anthropic-beta"), "new-thing-2026");
    assert!(seen.text.contains(r#"{"a":[1,2.50]}"#), "{}", seen.text);
}

#[tokio::test]
async fn an_anthropic_client_streams_from_an_openai_provider() {
    let chunks = [text_chunk("Hel"), text_chunk("lo"), finish_chunk("stop"), usage_chunk(7, 4, 2)];
    let setup = setup(ProviderKind::Openai, Answer::events(chunks).done()).await;
    let response = setup.post("/anthropic/v1/messages", question(r#","stream":true"#)).await;
    assert_eq!(response.status(), 200);
    let id = call_id(&response);
    let text = response.text().await.unwrap();
    let events: Vec<Value> = data(&text).iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ],
        "{text}"
    );
    assert!(text.contains("event: message_start\n"));
    assert_eq!(events[0]["message"]["model"], "acme/chat");
    assert_eq!(events[0]["message"]["id"], format!("msg_{id}"));
    assert_eq!(events[2]["delta"]["text"], "Hel");
    assert_eq!(events[5]["delta"]["stop_reason"], "end_turn");
    assert_eq!(events[5]["usage"]["output_tokens"], 2);
    let call = setup.call(&id).await;
    assert_eq!((call.usage.input_tokens, call.usage.cached_input_tokens, call.usage.output_tokens), (7, 4, 2));
    assert!(call.streamed && call.first_token_ms.is_some());
}

#[tokio::test]
async fn an_openai_client_streams_from_a_gemini_provider() {
    let setup = setup(ProviderKind::Gemini, Answer::events([gemini_answer()])).await;
    let response =
        setup.post("/v1/chat/completions", question(r#","stream":true,"stream_options":{"include_usage":true}"#)).await;
    assert_eq!(response.status(), 200);
    let text = response.text().await.unwrap();
    let events = data(&text);
    assert_eq!(*events.last().unwrap(), "[DONE]", "{text}");
    let chunks: Vec<Value> =
        events[..events.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, "Hello");
    assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 7);
    let seen = setup.upstream.only();
    assert_eq!(seen.path, "/v1/models/upstream-model:streamGenerateContent");
    assert_eq!((seen.query.as_str(), header(&seen, "x-goog-api-key")), ("alt=sse", API_KEY));
    assert_eq!(seen.json["generationConfig"]["maxOutputTokens"], 50);
    assert_status(&setup.only_call().await, CallStatus::Succeeded);
}

#[tokio::test]
async fn a_gemini_client_is_served_by_gemini_and_by_openai_providers() {
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"safetySettings":[]}"#;
    let path = "/gemini/v1beta/models/acme/chat:generateContent";
    let same = setup(ProviderKind::Gemini, Answer::json(gemini_answer())).await;
    let response = same.post(path, body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap()["modelVersion"], "acme/chat");
    assert_eq!(same.upstream.only().path, "/v1/models/upstream-model:generateContent");

    let other = setup(ProviderKind::Openai, Answer::json(whole_answer("Hello", 7, 2))).await;
    // The slash in the name may be encoded.
    for path in [path, "/gemini/v1beta/models/acme%2Fchat:generateContent"] {
        let response = other.post(path, body).await;
        assert_eq!(response.status(), 200);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["candidates"][0]["content"]["parts"][0]["text"], "Hello");
        assert_eq!(answer["usageMetadata"]["promptTokenCount"], 7);
    }
    assert_eq!(other.upstream.seen()[0].path, "/v1/chat/completions");
    let response = other.post("/gemini/v1beta/models/acme/chat:embedContent", body).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["status"], "NOT_FOUND");
}

#[tokio::test]
async fn responses_pass_through_where_they_are_spoken_and_are_translated_elsewhere() {
    let body = r#"{"model":"acme/chat","input":"hi","never_heard_of":true}"#;
    let answer = json!({
        "id": "resp_up", "object": "response", "status": "completed", "model": "upstream-model", "created_at": 1,
        "output": [{ "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                     "content": [{ "type": "output_text", "text": "Hello", "annotations": [] }] }],
        "usage": { "input_tokens": 7, "output_tokens": 2, "total_tokens": 9 },
    });
    let options = ProviderOptions { responses: true, ..ProviderOptions::default() };
    let same = setup_with(ProviderKind::Openai, Answer::json(answer), options).await;
    let response = same.post("/v1/responses", body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap()["id"], "resp_up");
    let seen = same.upstream.only();
    assert_eq!((seen.path.as_str(), &seen.json["never_heard_of"]), ("/v1/responses", &json!(true)));

    let other = setup(ProviderKind::Openai, Answer::json(whole_answer("Hello", 7, 2))).await;
    let response = other.post("/v1/responses", body).await;
    assert_eq!(response.status(), 200);
    assert!(response.headers()["plasma-warning"].to_str().unwrap().starts_with("never_heard_of"));
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["object"], &answer["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(answer["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(other.upstream.only().path, "/v1/chat/completions");
}

#[tokio::test]
async fn bedrock_is_asked_with_a_signature_and_answers_in_its_own_framing() {
    let event = |kind: &str, payload: Value| {
        let headers = [(":message-type", "event"), (":event-type", kind), (":content-type", "application/json")];
        event_stream::encode(&headers, payload.to_string().as_bytes())
    };
    let stream = [
        event("messageStart", json!({ "role": "assistant" })),
        event("contentBlockDelta", json!({ "contentBlockIndex": 0, "delta": { "text": "Hello" } })),
        event("contentBlockStop", json!({ "contentBlockIndex": 0 })),
        event("messageStop", json!({ "stopReason": "end_turn" })),
        event("metadata", json!({ "usage": { "inputTokens": 7, "outputTokens": 2, "totalTokens": 9 } })),
    ]
    .concat();
    let upstream = Upstream::start(Answer::Bytes("application/vnd.amazon.eventstream", stream)).await;
    let options = ProviderOptions { region: Some("us-east-1".to_owned()), ..ProviderOptions::default() };
    let setup = Setup::of_kind(TestStore::sqlite().await, upstream, ProviderKind::Bedrock, options.clone()).await;
    let change = plasma_models::ProviderChange {
        api_key: Some(Some("AKIDEXAMPLE:wJalrXUtnFEMI".to_owned())),
        ..plasma_models::ProviderChange::default()
    };
    setup.models.change_provider(&setup.ctx, setup.provider, change).await.unwrap();
    let response = setup.post("/v1/chat/completions", question(r#","stream":true"#)).await;
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    let text = response.text().await.unwrap();
    assert!(text.contains(r#""content":"Hello""#), "{text}");
    let seen = setup.upstream.only();
    assert_eq!(seen.path, "/v1/model/upstream-model/converse-stream");
    let authorization = seen.authorization.unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/bedrock/aws4_request"), "{authorization}");
    let call = setup.only_call().await;
    assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (7, 2));
}

#[tokio::test]
async fn azure_is_asked_by_deployment_and_with_its_own_header() {
    let setup = setup(ProviderKind::Azure, Answer::json(whole_answer("Hello", 7, 2))).await;
    assert_eq!(setup.post("/v1/chat/completions", question("")).await.status(), 200);
    let seen = setup.upstream.only();
    assert_eq!(seen.path, "/v1/openai/deployments/upstream-model/chat/completions");
    assert_eq!((seen.query.as_str(), header(&seen, "api-key")), ("api-version=2024-10-21", API_KEY));
}

#[tokio::test]
async fn refusals_come_in_the_callers_shape_and_words() {
    let setup = setup(ProviderKind::Anthropic, Answer::error(400, "no good")).await;
    let response = setup.post("/v1/chat/completions", question(r#","n":2"#)).await;
    assert_eq!(response.status(), 400);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["param"], "n");
    let body = question("").replace("acme/chat", "acme/nothing");
    let response = setup.post("/anthropic/v1/messages", body).await;
    assert_eq!(response.status(), 404);
    let answer: Value = response.json().await.unwrap();
    assert_eq!((&answer["type"], &answer["error"]["type"]), (&json!("error"), &json!("not_found_error")));
    let response = setup.post("/anthropic/v1/messages", question("")).await;
    assert_eq!(response.status(), 400);
    let answer: Value = response.json().await.unwrap();
    assert!(answer["error"]["message"].as_str().unwrap().contains("no good"), "{answer}");
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider() {
    let setup = setup(ProviderKind::Anthropic, Answer::json(json!({ "input_tokens": 12 }))).await;
    let response = setup.post("/anthropic/v1/messages/count_tokens", question("")).await;
    assert_eq!(response.json::<Value>().await.unwrap(), json!({ "input_tokens": 12 }));
    assert_eq!(setup.upstream.only().path, "/v1/messages/count_tokens");
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    let response = setup.post("/gemini/v1beta/models/acme/chat:countTokens", contents).await;
    assert_eq!(response.json::<Value>().await.unwrap()["totalTokens"], 12);
}

/// 2.50 and 10.00 USD for a million tokens: an answer of 50 tokens may cost 500 millionths, its prompt some 2,600.
#[tokio::test]
async fn a_budget_refuses_what_may_not_fit_and_counts_what_was_used() {
    let setup = setup(ProviderKind::Openai, Answer::json(whole_answer("Hello", 7, 2))).await;
    let budget = |limit_micros| plasma_models::NewBudget {
        subject: plasma_models::BudgetSubject::Tenant {},
        period: plasma_models::BudgetPeriod::Day,
        limit_micros,
        currency: "USD".to_owned(),
    };
    let id = setup.models.create_budget(&setup.ctx, budget(3_500)).await.unwrap().budget.id;
    assert_eq!(setup.post("/v1/chat/completions", question("")).await.status(), 200);
    // 7 * 2.5 + 2 * 10, rounded up: not the worst case that was set aside.
    let state = setup.models.budget(&setup.ctx, id).await.unwrap();
    assert_eq!((state.spent_micros, state.reserved_micros), (38, 0));
    assert_eq!(setup.upstream.only().json["max_tokens"], 50);

    // Without a limit of its own the answer may be so long that its cost does not fit.
    let unlimited = question("").replace(r#","max_tokens":50"#, "");
    let response = setup.post("/v1/chat/completions", unlimited.clone()).await;
    assert_eq!(response.status(), 402);
    let answer: Value = response.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "over_budget");
    assert_eq!(setup.upstream.seen().len(), 1);
    setup.models.change_budget(&setup.ctx, id, 1_000_000).await.unwrap();
    assert_eq!(setup.post("/v1/chat/completions", unlimited).await.status(), 200);
    // A worst case has an end only where the answer has one.
    assert_eq!(setup.upstream.seen()[1].json["max_tokens"], 16_384);
    let refused = setup.post("/anthropic/v1/messages", question("").replace("50", "5000000")).await;
    assert_eq!(refused.status(), 402);
    assert_eq!(refused.json::<Value>().await.unwrap()["type"], "error");
}

#[tokio::test]
async fn limits_hold_for_calls() {
    let setup = setup(ProviderKind::Openai, Answer::json(whole_answer("Hello", 7, 2))).await;
    let limit = plasma_models::NewLimit {
        subject: plasma_models::LimitSubject::Provider { id: setup.provider },
        requests_per_minute: Some(2),
        tokens_per_minute: None,
        concurrency: None,
    };
    setup.models.create_limit(&setup.ctx, limit).await.unwrap();
    for _ in 0..2 {
        assert_eq!(setup.post("/v1/chat/completions", question("")).await.status(), 200);
    }
    let response = setup.post("/v1/chat/completions", question("")).await;
    assert_eq!(response.status(), 429);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "model_limit_reached");
    assert_eq!(setup.upstream.seen().len(), 2);
}

#[tokio::test]
async fn a_model_without_a_price_is_refused_until_it_is_priced_or_free() {
    let setup = setup(ProviderKind::Openai, Answer::json(whole_answer("Hello", 7, 2))).await;
    let new = plasma_models::NewModel {
        provider: setup.provider,
        name: "unpriced".to_owned(),
        upstream_name: None,
        kind: plasma_models::ModelKind::Chat,
        context_length: None,
        dimensions: None,
        price: None,
        capabilities: None,
        domain: None,
        description: None,
    };
    setup.models.create_model(&setup.ctx, new).await.unwrap();
    let response = setup.post("/v1/chat/completions", question("").replace("acme/chat", "acme/unpriced")).await;
    assert_eq!(response.status(), 409);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["code"], "price_unknown");
    assert!(setup.upstream.seen().is_empty());
}
