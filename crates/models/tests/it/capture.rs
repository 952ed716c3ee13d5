//! Keeping what models are asked and answer.

use std::time::Duration;

use futures::StreamExt as _;
use plasma_kernel::{CallId, Clock, Code, Ctx, Permission, Permissions, Random};
use plasma_models::{ChatMessage, ChatRequest, ProviderKind, ProviderOptions, Purpose, Role};
use plasma_testkit::{TestStore, on_each_database, tenant, with_permissions};
use plasma_workflows::Workflows;
use serde_json::{Value, json};

use crate::{
    support::{Setup, call_id},
    upstream::{Answer, Piece, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";
const SETTINGS: &str = "/api/v1/models/capture";
const DAY_MICROS: i64 = 86_400_000_000;

fn body(content: &str) -> String {
    json!({ "model": "acme/chat", "messages": [{ "role": "user", "content": content }] }).to_string()
}

async fn set(setup: &Setup, settings: Value) {
    let response = setup.client.put(format!("{}{SETTINGS}", setup.url)).json(&settings).send().await.unwrap();
    let status = response.status();
    assert_eq!(status, 200, "{}", response.text().await.unwrap());
}

async fn payload(setup: &Setup, id: &str) -> (u16, Value) {
    setup.get(&format!("/api/v1/models/calls/{id}/payload")).await
}

/// A kept part as JSON.
fn part(payload: &Value, name: &str) -> Value {
    serde_json::from_str(payload[name]["text"].as_str().unwrap_or_else(|| panic!("no {name} in {payload}"))).unwrap()
}

async fn rows(setup: &Setup) -> usize {
    // Reading the list waits for the records of the calls that have ended.
    setup.get("/api/v1/models/calls?limit=1").await;
    let mut tx = setup.test.read(&setup.ctx).await.unwrap();
    let select = "SELECT COUNT(*) AS kept FROM model_call_payloads WHERE tenant_id = $1";
    tx.fetch_one(select, [setup.ctx.tenant().unwrap().into()]).await.unwrap().get("kept").unwrap()
}

on_each_database! {
    async fn capture_is_off_until_it_is_turned_on_and_then_keeps_redacted_and_sealed(test: TestStore) {
        let answer = Answer::json(whole_answer("Write to bob@example.org about marzipan.", 7, 2));
        let setup = Setup::new(test, answer).await;
        let (_, settings) = setup.get(SETTINGS).await;
        assert_eq!((&settings["enabled"], &settings["retention_days"]), (&json!(false), &json!(30)));
        let id = call_id(&setup.post(CHAT, body("hi")).await);
        let (status, problem) = payload(&setup, &id).await;
        assert_eq!((status, &problem["reason"]), (404, &json!("payload_not_found")));
        assert_eq!(rows(&setup).await, 0);

        set(&setup, json!({ "enabled": true, "redactions": ["KV-[0-9]+"], "retention_days": 7 })).await;
        let id = call_id(&setup.post(CHAT, body("I am ada@example.org, contract KV-123, card 4111 1111 1111 1111, marzipan")).await);
        let (status, kept) = payload(&setup, &id).await;
        assert_eq!(status, 200, "{kept}");
        let question = part(&kept, "request");
        assert_eq!(question["messages"][0]["content"], "I am [email], contract [redacted], card [card number], marzipan");
        let answer = part(&kept, "answer");
        assert_eq!(answer["choices"][0]["message"]["content"], "Write to [email] about marzipan.");
        assert_eq!(answer["model"], "acme/chat");
        assert_eq!(kept["request"]["truncated"], false);
        let times = (kept["created_at"].as_i64().unwrap(), kept["expires_at"].as_i64().unwrap());
        assert_eq!(times.1 - times.0, 7 * DAY_MICROS);

        // Nothing stands in the table that could be read there.
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let tenant_id = setup.ctx.tenant().unwrap();
        let select = "SELECT request_sealed, answer_sealed FROM model_call_payloads WHERE tenant_id = $1";
        let row = tx.fetch_one(select, [tenant_id.into()]).await.unwrap();
        for column in ["request_sealed", "answer_sealed"] {
            let sealed: Vec<u8> = row.get(column).unwrap();
            assert!(!sealed.windows(8).any(|bytes| bytes == b"marzipan"), "{column} is not sealed");
        }
        // That it was read is an event, without what was read.
        let select = "SELECT COUNT(*) AS read FROM events WHERE tenant_id = $1 AND type = 'models.payload.read'";
        assert_eq!(tx.fetch_one(select, [tenant_id.into()]).await.unwrap().get::<usize>("read").unwrap(), 1);
        drop(tx);

        // Other workspaces and smaller roles see nothing.
        let call: CallId = id.parse().unwrap();
        assert_eq!(setup.models.call_payload(&tenant(), call).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(setup.models.delete_call_payload(&tenant(), call).await.unwrap_err().code(), Code::NotFound);
        assert!(!setup.models.capture_settings(&tenant()).await.unwrap().enabled);
        let reader: Permissions = [Permission::ModelsRead, Permission::ModelsInvoke].into_iter().collect();
        let reader = with_permissions(&setup.ctx, reader);
        assert_eq!(setup.models.call_payload(&reader, call).await.unwrap_err().code(), Code::Forbidden);

        let delete = setup.client.delete(format!("{}/api/v1/models/calls/{id}/payload", setup.url));
        assert_eq!(delete.send().await.unwrap().status(), 204);
        assert_eq!((payload(&setup, &id).await.0, rows(&setup).await), (404, 0));
        setup.call(&id).await;

        set(&setup, json!({ "enabled": false })).await;
        let id = call_id(&setup.post(CHAT, body("hi")).await);
        assert_eq!((payload(&setup, &id).await.0, rows(&setup).await), (404, 0));
    }

    async fn capture_keeps_the_parts_and_the_share_that_are_asked_for(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        for (request, answer) in [(true, false), (false, true)] {
            set(&setup, json!({ "enabled": true, "request": request, "answer": answer })).await;
            let id = call_id(&setup.post(CHAT, body("hi")).await);
            let (_, kept) = payload(&setup, &id).await;
            assert_eq!((kept["request"].is_object(), kept["answer"].is_object()), (request, answer));
        }
        set(&setup, json!({ "enabled": true, "request": false, "answer": false })).await;
        setup.post(CHAT, body("hi")).await;
        assert_eq!(rows(&setup).await, 2);
        set(&setup, json!({ "enabled": true, "share_percent": 50 })).await;
        for _ in 0..60 {
            setup.post(CHAT, body("hi")).await;
        }
        // All or none of 60 would be a chance of one in 10^18.
        assert!((3..=61).contains(&rows(&setup).await), "{}", rows(&setup).await);
        for (settings, field) in [
            (json!({ "enabled": true, "share_percent": 0 }), "share_percent"),
            (json!({ "enabled": true, "share_percent": 101 }), "share_percent"),
            (json!({ "enabled": true, "retention_days": 91 }), "retention_days"),
            (json!({ "enabled": true, "redactions": ["("] }), "redactions[0]"),
            (json!({ "enabled": true, "colour": "red" }), "colour"),
        ] {
            let response = setup.client.put(format!("{}{SETTINGS}", setup.url)).json(&settings).send().await.unwrap();
            assert_eq!(response.status(), 400, "{settings}");
            assert_eq!(response.json::<Value>().await.unwrap()["field"], field);
        }
    }

    async fn what_capture_kept_goes_when_its_time_is_over(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        set(&setup, json!({ "enabled": true, "retention_days": 10 })).await;
        let id = call_id(&setup.post(CHAT, body("hi")).await);
        set(&setup, json!({ "enabled": true, "retention_days": 30 })).await;
        let longer = call_id(&setup.post(CHAT, body("hi")).await);
        assert_eq!(payload(&setup, &id).await.0, 200);

        // The schedule runs at once in each program that starts; these live so many days from now.
        for (days, left) in [(9, 2), (11, 1)] {
            let later = Clock::manual(setup.ctx.now() + days * DAY_MICROS);
            let reader = Ctx::new(
                setup.ctx.tenant().unwrap(), setup.ctx.actor().clone(), Permissions::all(), later.clone(), Random::system(),
            );
            let shown = setup.models.call_payload(&reader, id.parse().unwrap()).await.is_ok();
            assert_eq!(shown, left == 2, "after {days} days");
            let workflows = Workflows::new(setup.test.store(), Ctx::system("test", later, Random::system()));
            setup.models.register_steps(&workflows);
            workflows.start(true).await.unwrap();
            for _ in 0..100 {
                if rows(&setup).await == left {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // Nothing more goes than should.
            tokio::time::sleep(Duration::from_millis(500)).await;
            workflows.stop().await;
            assert_eq!(rows(&setup).await, left, "after {days} days");
        }
        // A shorter retention holds for what is there.
        set(&setup, json!({ "enabled": false, "retention_days": 1 })).await;
        let (_, kept) = payload(&setup, &longer).await;
        assert_eq!(kept["expires_at"].as_i64().unwrap() - kept["created_at"].as_i64().unwrap(), DAY_MICROS);
    }
}

#[tokio::test]
async fn capture_keeps_streams_failures_and_what_plasma_itself_asks() {
    let stream =
        || Answer::events([text_chunk("Hel"), text_chunk("lo"), finish_chunk("stop"), usage_chunk(7, 0, 2)]).done();
    let stuck = Answer::events([text_chunk("Half")]).then(Piece::Wait(Duration::from_secs(60)));
    let answers = [stream(), Answer::error(500, "no"), stream(), stuck];
    let setup = Setup::with(TestStore::sqlite().await, Upstream::start_with(answers).await).await;
    set(&setup, json!({ "enabled": true })).await;
    let streamed =
        json!({ "model": "acme/chat", "stream": true, "messages": [{ "role": "user", "content": "hi" }], "x": [1] });
    let response = setup.post(CHAT, streamed.to_string()).await;
    let id = call_id(&response);
    response.text().await.unwrap();
    let (_, kept) = payload(&setup, &id).await;
    assert_eq!(part(&kept, "request"), streamed);
    assert_eq!(part(&kept, "answer")["choices"][0]["message"]["content"], "Hello");

    let id = call_id(&setup.post(CHAT, body("hi")).await);
    let (_, kept) = payload(&setup, &id).await;
    assert_eq!((&kept["request"]["truncated"], &kept["answer"]), (&json!(false), &Value::Null));

    let question = |content: &str| {
        let messages = vec![ChatMessage { role: Role::User, content: content.to_owned() }];
        ChatRequest { model: Some("acme/chat".to_owned()), ..ChatRequest::new(Purpose::Ask, messages) }
    };
    let mut events = setup.models.chat(&setup.ctx, question("Who?")).await.unwrap();
    let id = events.call_id().to_string();
    while let Some(event) = events.next().await {
        event.unwrap();
    }
    let (_, kept) = payload(&setup, &id).await;
    assert_eq!(part(&kept, "request")["messages"][0]["content"], "Who?");
    assert_eq!(part(&kept, "answer")["choices"][0]["message"]["content"], "Hello");

    // The caller goes away in the middle: what has come is kept.
    let mut events = setup.models.chat(&setup.ctx, question("And then?")).await.unwrap();
    let id = events.call_id().to_string();
    events.next().await.unwrap().unwrap();
    drop(events);
    setup.models.shutdown().await;
    let (_, kept) = payload(&setup, &id).await;
    assert_eq!(part(&kept, "answer")["choices"][0]["message"]["content"], "Half");
}

#[tokio::test]
async fn capture_keeps_the_callers_protocol() {
    let answer = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "upstream-model", "stop_reason": "end_turn",
        "stop_sequence": null, "content": [{ "type": "text", "text": "Hello" }],
        "usage": { "input_tokens": 5, "output_tokens": 9 },
    });
    let upstream = Upstream::start(Answer::json(answer)).await;
    let store = TestStore::sqlite().await;
    let setup = Setup::of_kind(store, upstream, ProviderKind::Anthropic, ProviderOptions::default()).await;
    set(&setup, json!({ "enabled": true })).await;
    let question = json!({ "model": "acme/chat", "max_tokens": 9, "messages": [{ "role": "user", "content": "hi" }] });
    let id = call_id(&setup.post("/anthropic/v1/messages", question.to_string()).await);
    let (_, kept) = payload(&setup, &id).await;
    assert_eq!(part(&kept, "request"), question);
    assert_eq!(part(&kept, "answer")["content"], json!([{ "type": "text", "text": "Hello" }]));
}
