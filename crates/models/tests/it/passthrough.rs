//! `/v1/chat/completions` and `/v1/embeddings` with a model of a provider.

use std::time::Duration;

use futures::StreamExt as _;
use plasma_kernel::{Actor, Money};
use plasma_models::{CallStatus, ModelKind, Purpose};
use plasma_testkit::{TestStore, on_each_database};
use serde_json::{Value, json};

use crate::{
    support::{API_KEY, Setup, assert_status, call_id, data},
    upstream::{Answer, Piece, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";

fn streamed(extra: &str) -> String {
    format!(r#"{{"model":"acme/chat","messages":[{{"role":"user","content":"hi"}}],"stream":true{extra}}}"#)
}

fn full_stream() -> Answer {
    Answer::events([text_chunk("Hel"), text_chunk("lo"), finish_chunk("stop"), usage_chunk(7, 4, 2)]).done()
}

on_each_database! {
    async fn unknown_fields_pass_both_ways_and_the_call_is_recorded(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let body = r#"{"model":"acme/chat","messages":[{"role":"user","content":"hi","x":1}],"never_heard_of":{"a":[1,2.50]},
                       "tools":[{"type":"function"}],"seed":123456789012345678901}"#;
        let response = setup.post(CHAT, body).await;
        assert_eq!(response.status(), 200);
        let id = call_id(&response);
        let text = response.text().await.unwrap();

        let seen = setup.upstream.only();
        assert_eq!(seen.path, "/v1/chat/completions");
        assert_eq!(seen.authorization.as_deref(), Some(format!("Bearer {API_KEY}").as_str()));
        assert_eq!(seen.json["model"], "upstream-model");
        for kept in [r#"{"a":[1,2.50]}"#, r#"[{"type":"function"}]"#, "123456789012345678901", r#""x":1"#] {
            assert!(seen.text.contains(kept), "{kept} was lost in {}", seen.text);
        }

        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["model"], "acme/chat");
        assert_eq!(answer["choices"][0]["message"]["content"], "Hello");
        assert!(text.contains("12345678901234567890"), "{text}");

        // The record was durable before the answer went out.
        let call = setup.call(&id).await;
        assert_status(&call, CallStatus::Succeeded);
        assert_eq!((call.model.as_str(), call.kind, call.purpose), ("acme/chat", ModelKind::Chat, Purpose::Api));
        assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (7, 2));
        // 7 * 2.5 + 2 * 10 = 37.5 millionths.
        assert_eq!(call.cost, Some(Money { amount_micros: 38, currency: "USD".to_owned() }));
        assert_eq!(&call.actor, setup.ctx.actor());
        assert!(matches!(call.actor, Actor::User { .. }));
        assert!(!call.streamed);
        assert_eq!(call.first_token_ms, None);
    }

    async fn a_stream_passes_through_and_hides_the_usage_that_only_we_asked_for(test: TestStore) {
        let setup = Setup::new(test, full_stream()).await;
        let response = setup.post(CHAT, streamed("")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let id = call_id(&response);
        let text = response.text().await.unwrap();
        let events = data(&text);
        assert_eq!(events.len(), 4, "{text}");
        assert_eq!(events[3], "[DONE]");
        let chunks: Vec<Value> = events[..3].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
        for chunk in &chunks {
            assert_eq!(chunk["model"], "acme/chat");
            assert!(chunk.get("usage").is_none(), "{chunk}");
        }
        assert_eq!(chunks[0]["choices"][0]["unheard_of"], json!({ "kept": true }));
        assert_eq!(chunks[1]["choices"][0]["delta"]["content"], "lo");
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");

        let sent = setup.upstream.only().json;
        assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
        let call = setup.call(&id).await;
        assert_status(&call, CallStatus::Succeeded);
        assert_eq!((call.usage.input_tokens, call.usage.cached_input_tokens, call.usage.output_tokens), (7, 4, 2));
        assert!(call.streamed && call.first_token_ms.is_some() && call.cost.is_some());
    }

    async fn a_client_that_goes_away_ends_the_stream_at_the_provider(test: TestStore) {
        let answer = Answer::events([text_chunk("Hel")]).then(Piece::Wait(Duration::from_secs(60))).done();
        let setup = Setup::new(test, answer).await;
        let mut body = setup.post(CHAT, streamed("")).await.bytes_stream();
        assert!(body.next().await.unwrap().unwrap().starts_with(b"data: "));
        drop(body);
        setup.upstream.abandoned().await;
        let call = setup.only_call().await;
        assert_status(&call, CallStatus::Cancelled);
        // Nobody said how many tokens were used until then: they are reckoned by what came.
        assert_eq!(call.usage.output_tokens, 1);
        assert!(call.cost.is_some_and(|cost| cost.amount_micros > 0));
        assert!(call.first_token_ms.is_some());
    }

    async fn a_client_that_does_not_wait_for_a_whole_answer_ends_it_at_the_provider(test: TestStore) {
        let setup = Setup::new(test, Answer::Silence).await;
        let impatient = reqwest::Client::builder().timeout(Duration::from_millis(300)).build().unwrap();
        let body = r#"{"model":"acme/chat","messages":[]}"#;
        let request = impatient.post(format!("{}{CHAT}", setup.url)).header("content-type", "application/json").body(body);
        assert!(request.send().await.unwrap_err().is_timeout());
        setup.upstream.abandoned().await;
        assert_status(&setup.only_call().await, CallStatus::Cancelled);
    }

    async fn embeddings_pass_through(test: TestStore) {
        let answer = json!({
            "object": "list", "model": "upstream-model", "usage": { "prompt_tokens": 4, "total_tokens": 4 },
            "data": [{ "object": "embedding", "index": 0, "embedding": "AACAPw==" }],
        });
        let setup = Setup::new(test, Answer::json(answer)).await;
        let response = setup.post("/v1/embeddings", r#"{"model":"acme/embed","input":[1,2,3],"encoding_format":"base64"}"#).await;
        assert_eq!(response.status(), 200);
        let id = call_id(&response);
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["data"][0]["embedding"], "AACAPw==");
        assert_eq!(answer["model"], "acme/embed");
        let seen = setup.upstream.only();
        assert_eq!(seen.path, "/v1/embeddings");
        assert_eq!(seen.json["input"], json!([1, 2, 3]));
        let call = setup.call(&id).await;
        assert_eq!((call.kind, call.usage.input_tokens), (ModelKind::Embedding, 4));
        assert_eq!(call.cost.unwrap().amount_micros, 10);
    }
}

#[tokio::test]
async fn usage_is_shown_to_a_client_that_asked_for_it() {
    let setup = Setup::new(TestStore::sqlite().await, full_stream()).await;
    let text =
        setup.post(CHAT, streamed(r#","stream_options":{"include_usage":true,"other":1}"#)).await.text().await.unwrap();
    let events = data(&text);
    assert_eq!(events.len(), 5, "{text}");
    let last: Value = serde_json::from_str(events[3]).unwrap();
    assert_eq!(last["usage"]["prompt_tokens_details"]["cached_tokens"], 4);
    assert_eq!(last["model"], "acme/chat");
    assert_eq!(setup.upstream.only().json["stream_options"], json!({ "include_usage": true, "other": 1 }));
}

#[tokio::test]
async fn a_server_that_does_not_know_stream_options_is_asked_without() {
    let refusal = Answer::error(422, "Extra inputs are not permitted: stream_options");
    let answer = Answer::events([text_chunk("Hello"), finish_chunk("stop")]).done();
    let setup = Setup::with(TestStore::sqlite().await, Upstream::start_with([refusal, answer]).await).await;
    let response = setup.post(CHAT, streamed("")).await;
    assert_eq!(response.status(), 200);
    let id = call_id(&response);
    assert_eq!(data(&response.text().await.unwrap()).last(), Some(&"[DONE]"));
    assert!(setup.upstream.seen()[1].json.get("stream_options").is_none());
    let call = setup.call(&id).await;
    assert_status(&call, CallStatus::Succeeded);
    // The price is known, the tokens are not: the cost is unknown, not zero.
    assert_eq!((call.usage.input_tokens, call.cost), (0, None));
}

/// Streams that end too early, and what a client must be told.
#[tokio::test]
async fn a_stream_that_is_cut_is_an_error_and_never_a_short_answer() {
    let stalled = Answer::events([text_chunk("Hel")]).then(Piece::Wait(Duration::from_secs(30)));
    let half = Answer::events([text_chunk("Hel")]).then(Piece::Bytes("data: {\"choices\": [{\"del".to_owned()));
    let wrong = Answer::events([text_chunk("Hel")]).then(Piece::Bytes("data: {oops}\n\n".to_owned()));
    let told = json!({ "error": { "message": "overloaded", "type": "rate_limit_error" } });
    for (answer, code) in [
        (Answer::events([text_chunk("Hel")]), "provider_stream_cut"),
        (half, "provider_stream_cut"),
        (Answer::events([text_chunk("Hel")]).then(Piece::Break), "provider_connection_lost"),
        (wrong, "provider_answer_invalid"),
        (Answer::events([text_chunk("Hel"), told]).done(), "provider_rate_limited"),
        (stalled, "provider_timeout"),
    ] {
        let setup = Setup::new(TestStore::sqlite().await, answer).await;
        let response = setup.post(CHAT, streamed("")).await;
        assert_eq!(response.status(), 200);
        let text = response.text().await.unwrap();
        let events = data(&text);
        assert_eq!(events.len(), 2, "{code}: {text}");
        let error: Value = serde_json::from_str(events[1]).unwrap();
        assert_eq!(error["error"]["code"], code, "{text}");
        let call = setup.only_call().await;
        assert_status(&call, CallStatus::Failed);
        // What came until then is paid for.
        assert!(call.error.is_some() && call.cost.is_some_and(|cost| cost.amount_micros > 0));
    }
}

#[tokio::test]
async fn a_stream_without_the_done_marker_is_whole_when_every_choice_has_ended() {
    let choice =
        |index: u32, reason: Value| json!({ "choices": [{ "index": index, "delta": {}, "finish_reason": reason }] });
    let whole = Answer::events([choice(0, json!(null)), choice(1, json!("stop")), choice(0, json!("length"))]);
    let setup = Setup::new(TestStore::sqlite().await, whole).await;
    let text = setup.post(CHAT, streamed("")).await.text().await.unwrap();
    assert_eq!(data(&text).last(), Some(&"[DONE]"));
    let one_open = Answer::events([choice(0, json!(null)), choice(1, json!("stop"))]);
    let setup = Setup::new(TestStore::sqlite().await, one_open).await;
    // Nothing of an answer has gone out, so the failure has a status of its own.
    let response = setup.post(CHAT, streamed("")).await;
    assert_eq!(response.status(), 502);
    assert!(response.text().await.unwrap().contains("provider_stream_cut"));
}

/// A provider's refusals, streamed or not, keep their meaning on the way to the client.
#[tokio::test]
async fn each_refusal_of_a_provider_has_its_status() {
    let limited = Answer::Whole(429, vec![("retry-after", "7")], "{}".to_owned());
    let html = Answer::Whole(502, vec![("content-type", "text/html")], "<html>bad gateway</html>".to_owned());
    let in_success = Answer::json(json!({ "error": { "message": "model is loading", "code": 503 } }));
    let redirect = Answer::Whole(307, vec![("location", "http://example.invalid/")], String::new());
    let broken_key = format!("your key {API_KEY} is wrong");
    for (answer, status, code) in [
        (Answer::error(401, &broken_key), 502, "provider_key_refused"),
        (Answer::error(500, &broken_key), 502, "provider_failed"),
        (Answer::error(400, &broken_key), 400, "provider_refused_request"),
        (Answer::error(404, "no such model"), 502, "provider_model_unknown"),
        (limited, 429, "provider_rate_limited"),
        (html, 502, "provider_failed"),
        (redirect, 502, "provider_failed"),
        (in_success, 502, "provider_failed"),
        (Answer::json(json!({ "hello": "world" })), 502, "provider_answer_invalid"),
        (Answer::Whole(200, vec![], "<html>welcome</html>".to_owned()), 502, "provider_answer_invalid"),
    ] {
        let setup = Setup::new(TestStore::sqlite().await, answer).await;
        for body in [streamed(""), r#"{"model":"acme/chat","messages":[]}"#.to_owned()] {
            let response = setup.post(CHAT, body).await;
            assert_eq!(response.status(), status, "{code}");
            let id = call_id(&response);
            if status == 429 {
                assert_eq!(response.headers()["retry-after"], "7");
            }
            let text = response.text().await.unwrap();
            let error: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(error["error"]["code"], code, "{text}");
            assert!(!text.contains(API_KEY) && !text.contains("<html>"), "{text}");
            let call = setup.call(&id).await;
            assert_status(&call, CallStatus::Failed);
            assert!(!call.error.unwrap().contains(API_KEY));
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_or_silent_is_told_apart() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::Silence).await;
    let response = setup.post(CHAT, streamed("")).await;
    assert_eq!(response.status(), 504);

    // A port that nobody listens on.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let provider = crate::support::add_provider(&setup.models, &setup.ctx, "gone", &format!("http://{free}/v1")).await;
    crate::support::add_model(&setup.models, &setup.ctx, provider, "chat", ModelKind::Chat).await;
    let response = setup.post(CHAT, r#"{"model":"gone/chat","messages":[]}"#).await;
    assert_eq!(response.status(), 502);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], "provider_unreachable");
}
