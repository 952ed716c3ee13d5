//! The record of calls: nothing is lost, and sums are right.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all};
use plasma_kernel::{Actor, ApiKeyId, Clock, Code, Ctx, PageRequest, Permissions, Random};
use plasma_models::{CallFilter, CallStatus, ChatMessage, ChatRequest, ModelKind, Purpose, Role, events};
use plasma_store::EventFilter;
use plasma_testkit::{TestStore, on_each_database};
use serde_json::{Value, json};

use crate::{
    support::{Setup, add_model, assert_status, call_id, open, serve},
    upstream::{Answer, Piece, Upstream, finish_chunk, text_chunk, usage_chunk, whole_answer},
};

const BODY: &str = r#"{"model":"acme/chat","messages":[]}"#;
const CHAT: &str = "/v1/chat/completions";

fn hello() -> ChatRequest {
    let messages = vec![ChatMessage { role: Role::User, content: "hi".to_owned() }];
    ChatRequest { model: Some("acme/chat".to_owned()), ..ChatRequest::new(Purpose::Ask, messages) }
}

on_each_database! {
    async fn a_shutdown_writes_every_call_also_those_that_nobody_waits_for(test: TestStore) {
        const CALLS: usize = 250;
        let stuck = Answer::events([text_chunk("Hel")]).then(Piece::Wait(Duration::from_secs(60)));
        let setup = Arc::new(Setup::new(test, stuck).await);
        let streams = join_all((0..CALLS).map(|_| {
            let setup = setup.clone();
            async move {
                let mut stream = setup.models.chat(&setup.ctx, hello()).await.unwrap();
                stream.next().await.unwrap().unwrap();
                stream
            }
        }))
        .await;
        // All end at once, and nobody waits for their records.
        drop(streams);
        setup.models.shutdown().await;

        let mut calls = Vec::new();
        let mut page = PageRequest { limit: 200, cursor: None };
        loop {
            let part = setup.models.calls(&setup.ctx, &CallFilter::default(), &page).await.unwrap();
            calls.extend(part.data);
            match part.next_cursor {
                Some(cursor) => page.cursor = Some(cursor),
                None => break,
            }
        }
        assert_eq!(calls.len(), CALLS);
        assert!(calls.iter().all(|call| call.status == CallStatus::Cancelled));
        assert!(calls.iter().zip(&calls[1..]).all(|(newer, older)| newer.id > older.id));

        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let counted = tx
            .fetch_one(
                "SELECT COUNT(*) AS events FROM events WHERE tenant_id = $1 AND type = $2",
                [setup.ctx.tenant().unwrap().into(), events::CALL_COMPLETED.into()],
            )
            .await
            .unwrap();
        assert_eq!(counted.get::<usize>("events").unwrap(), CALLS);

        // A call that comes after is refused, not lost.
        let error = setup.models.chat(&setup.ctx, hello()).await.err().unwrap();
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, "shutting_down"));
    }

    async fn each_call_is_an_event_of_the_one_who_called(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let tenant = setup.ctx.tenant().unwrap();
        let key = Actor::ApiKey { id: ApiKeyId::new(&setup.ctx) };
        let program = Ctx::new(tenant, key.clone(), Permissions::all(), Clock::system(), Random::system());
        let url = serve(&setup.models, &program).await;
        let send = |url: &str| {
            setup.client.post(format!("{url}{CHAT}")).header("content-type", "application/json").body(BODY).send()
        };
        join_all([send(&setup.url), send(&url), send(&url)]).await;

        // Whoever reads the log waits until it is written.
        assert_eq!(setup.get("/api/v1/models/calls").await.1["data"].as_array().unwrap().len(), 3);
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let filter = EventFilter { kind: Some(events::CALL_COMPLETED.to_owned()) };
        let events = tx.events_page(&filter, &PageRequest::default()).await.unwrap().data;
        assert_eq!(events.len(), 3);
        for event in &events {
            let call = setup.call(&event.subject).await;
            assert_eq!((&event.actor, &event.request_id), (&call.actor, &call.request.to_string()));
            assert_eq!(event.data["cost"], json!({ "amount_micros": 38, "currency": "USD" }));
            assert_eq!((&event.data["input_tokens"], &event.data["output_tokens"]), (&json!(7), &json!(2)));
            assert_eq!((&event.data["purpose"], &event.data["status"]), (&json!("api"), &json!("succeeded")));
        }
        assert_eq!(events.iter().filter(|event| event.actor == key).count(), 2);
    }

    async fn calls_are_filtered_paged_and_summed_up(test: TestStore) {
        let streamed = Answer::events([text_chunk("a"), finish_chunk("stop"), usage_chunk(100, 0, 10)]).done();
        let answers = [Answer::json(whole_answer("a", 7, 2)), Answer::error(500, "no"), streamed];
        let setup = Setup::with(test, Upstream::start_with(answers).await).await;
        add_model(&setup.models, &setup.ctx, setup.provider, "other", ModelKind::Chat).await;
        setup.post(CHAT, BODY).await;
        setup.post(CHAT, BODY).await;
        // Calls of one millisecond have no order.
        tokio::time::sleep(Duration::from_millis(2)).await;
        setup.post(CHAT, r#"{"model":"acme/other","messages":[],"stream":true}"#).await.text().await.unwrap();

        let (_, all) = setup.get("/api/v1/models/calls").await;
        assert_eq!(all["data"].as_array().unwrap().len(), 3);
        let newest = &all["data"][0];
        assert_eq!((&newest["model"], &newest["streamed"], &newest["status"]), (&json!("acme/other"), &json!(true), &json!("succeeded")));
        assert_eq!(newest["actor"]["kind"], "user");
        let (status, mut one) = setup.get(&format!("/api/v1/models/calls/{}", newest["id"].as_str().unwrap())).await;
        // Its quality is told of one call only.
        assert!(one["quality"]["feedback"].is_array());
        one["quality"] = Value::Null;
        assert_eq!((status, &one), (200, newest));
        let (_, failed) = setup.get("/api/v1/models/calls?status=failed&model=acme/chat").await;
        assert_eq!(failed["data"].as_array().unwrap().len(), 1);
        assert!(failed["data"][0]["error"].as_str().unwrap().contains("500"));
        assert_eq!(failed["data"][0]["cost"], Value::Null);
        let (_, page) = setup.get("/api/v1/models/calls?limit=2").await;
        let (_, rest) = setup.get(&format!("/api/v1/models/calls?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).await;
        assert_eq!((rest["data"].as_array().unwrap().len(), &rest["data"][0]), (1, &all["data"][2]));

        let (_, usage) = setup.get("/api/v1/models/usage?days=7").await;
        let days = usage["days"].as_array().unwrap();
        assert_eq!(days.len(), 7);
        let today = &days[6];
        // 38 and 100 * 2.5 + 10 * 10 = 350 millionths.
        assert_eq!(today["cost"], json!([{ "amount_micros": 388, "currency": "USD" }]));
        let sums = (&today["calls"], &today["failed"], &today["input_tokens"], &today["output_tokens"]);
        assert_eq!(sums, (&json!(3), &json!(1), &json!(107), &json!(12)));
        assert_eq!((&days[0]["calls"], &days[0]["cost"]), (&json!(0), &json!([])));
        assert_eq!((&usage["models"][0]["model"], &usage["models"][0]["calls"]), (&json!("acme/chat"), &json!(2)));
        for wrong in ["days=0", "days=367", "days=x", "weeks=1"] {
            assert_eq!(setup.get(&format!("/api/v1/models/usage?{wrong}")).await.0, 400, "{wrong}");
        }
        for wrong in ["limit=0", "limit=201", "status=lost", "x=1"] {
            assert_eq!(setup.get(&format!("/api/v1/models/calls?{wrong}")).await.0, 400, "{wrong}");
        }
        assert_eq!(setup.get("/api/v1/models/calls/call_nonsense").await.0, 404);
    }
}

#[tokio::test]
async fn many_calls_at_once_are_all_recorded_before_their_answers() {
    let setup = Arc::new(Setup::new(TestStore::sqlite().await, Answer::json(whole_answer("Hello", 1, 1))).await);
    let ids = join_all((0..300).map(|_| {
        let setup = setup.clone();
        async move {
            let response = setup.post(CHAT, BODY).await;
            assert_eq!(response.status(), 200);
            let id = crate::support::call_id(&response);
            assert_status(&setup.call(&id).await, CallStatus::Succeeded);
            id
        }
    }))
    .await;
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 300);
}

#[tokio::test]
async fn an_answer_that_cannot_be_recorded_does_not_go_out() {
    let setup = Setup::new(TestStore::postgres().await, Answer::json(whole_answer("Hello", 1, 1))).await;
    assert_eq!(setup.post(CHAT, BODY).await.status(), 200);
    // The call reads no SQL, for the model is in memory: only its record needs the database.
    setup.test.close().await;
    let response = setup.post(CHAT, BODY).await;
    assert_eq!(response.status(), 503);
    let error: Value = response.json().await.unwrap();
    assert_eq!(error["error"]["code"], "call_not_recorded");
}

#[tokio::test]
async fn what_only_the_journal_has_is_recorded_at_the_next_start() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::json(whole_answer("Hello", 1, 1))).await;
    assert_eq!(setup.post(CHAT, BODY).await.status(), 200);
    setup.test.close().await;
    let response = setup.post(CHAT, BODY).await;
    assert_eq!(response.status(), 200);
    let id = call_id(&response).parse().unwrap();
    let next = open(setup.test.open_again().await);
    assert_eq!(next.call(&setup.ctx, id).await.unwrap().status, CallStatus::Succeeded);
    assert_eq!(next.calls(&setup.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data.len(), 2);
}
