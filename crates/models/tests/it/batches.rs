//! Batches: every line is answered once, also over a crash, and nobody sees another's.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use plasma_kernel::{Actor, Clock, Ctx, PageRequest, Permission, Permissions, Random, UserId};
use plasma_models::{BudgetPeriod, BudgetSubject, CallFilter, CallStatus, NewBudget, Purpose};
use plasma_testkit::{on_each_database, system, tenant, with_permissions};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::batch_support::{CHAT, Caller, PATIENCE, Setup, chat, chats, counts, line, open, start};

on_each_database! {
    async fn files_are_kept_as_they_came(test: TestStore) {
        let setup = Setup::new(test, 0).await;
        let caller = &setup.caller;
        let bytes: Vec<u8> = (0..12_000_000_u32).map(|number| number.to_le_bytes()[0] ^ number.to_le_bytes()[1]).collect();
        let (status, file) = caller.send(Form::new().part("file", Part::bytes(bytes.clone()).file_name("../a.jsonl")).text("purpose", "batch")).await;
        assert_eq!(status, 200, "{file}");
        assert_eq!((&file["bytes"], &file["filename"], &file["purpose"]), (&json!(12_000_000), &json!("a.jsonl"), &json!("batch")));
        let id = file["id"].as_str().unwrap();
        let content = caller.client.get(format!("{}/v1/files/{id}/content", caller.url)).send().await.unwrap().bytes().await.unwrap();
        assert!(content == bytes, "the bytes are others");
        assert_eq!(caller.get(&format!("/v1/files/{id}")).await, (200, file.clone()));
        let second = caller.upload("x").await;
        let (_, list) = caller.get("/v1/files?limit=1").await;
        assert_eq!((&list["data"][0]["id"], &list["has_more"], &list["object"]), (&json!(second), &json!(true), &json!("list")));
        let (_, list) = caller.get(&format!("/v1/files?purpose=batch&after={second}")).await;
        assert_eq!((&list["data"], &list["has_more"]), (&json!([file]), &json!(false)));
        assert_eq!(caller.delete(&format!("/v1/files/{id}")).await, (200, json!({"id": id, "object": "file", "deleted": true})));
        assert_eq!(caller.get(&format!("/v1/files/{id}")).await.0, 404);

        let part = || Part::bytes(b"x".as_slice()).file_name("x");
        for (form, field) in [
            (Form::new().text("purpose", "fine-tune").part("file", part()), "purpose"),
            (Form::new().part("file", part()), "purpose"),
            (Form::new().text("purpose", "batch"), "file"),
            (Form::new().text("purpose", "batch").part("file", Part::bytes(b"".as_slice()).file_name("x")), "file"),
            (Form::new().text("purpose", "batch").text("purpose", "batch").part("file", part()), "purpose"),
            (Form::new().text("purpose", "batch").text("more", "x").part("file", part()), "more"),
        ] {
            let (status, error) = caller.send(form).await;
            assert_eq!((status, &error["error"]["param"]), (400, &json!(field)), "{error}");
        }
        // Nothing of what was refused is left.
        let (_, list) = caller.get("/v1/files").await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        let folder = setup.test.data_dir().join(format!("blobs/{}/files", setup.ctx.tenant().unwrap()));
        let started = Instant::now();
        while std::fs::read_dir(&folder).unwrap().count() != 1 {
            assert!(started.elapsed() < PATIENCE, "bytes of a refused file are left");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn every_line_ends_in_one_of_the_two_files(test: TestStore) {
        let setup = Setup::new(test, 1_000).await;
        let workflows = setup.start().await;
        let unknown = line("unknown", CHAT, &json!({"model": "acme/none", "messages": []}));
        let local = line("local", CHAT, &json!({"model": "local/qwen2.5-coder-0.5b-instruct", "messages": [{"role": "user", "content": "x"}]}));
        let content = format!("{}{unknown}{}\n{}{local}{}", chat("hello", "Hello"), chat("bad", "nonsense"), chat("fast", "too fast"), chats(300));
        let id = setup.caller.create(content, CHAT).await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (305, 301, 4)), "{batch}");
        assert!(batch["completed_at"].is_i64() && batch["in_progress_at"].is_i64() && batch["finalizing_at"].is_i64());
        assert_eq!((&batch["metadata"], &batch["errors"]), (&json!({"job": "nightly"}), &Value::Null));

        let output = setup.caller.results(&batch["output_file_id"]).await;
        assert_eq!(output.len(), 301);
        let hello = &output["hello"];
        assert_eq!((&hello["response"]["status_code"], &hello["error"]), (&json!(200), &Value::Null));
        let body = &hello["response"]["body"];
        assert_eq!((&body["choices"][0]["message"]["content"], &body["model"]), (&json!("Hello"), &json!("acme/chat")));
        // What the provider said passes through byte for byte.
        assert!(setup.caller.content(&batch["output_file_id"]).await.contains("12345678901234567890"));
        let errors = setup.caller.results(&batch["error_file_id"]).await;
        let told = |id: &str| {
            let response = &errors[id]["response"];
            (response["status_code"].as_u64().unwrap(), response["body"]["error"]["code"].as_str().unwrap().to_owned())
        };
        assert_eq!(told("unknown"), (404, "model_not_found".to_owned()));
        assert_eq!(told("bad").0, 400);
        assert_eq!(told("fast").0, 429);
        assert_eq!(told("local"), (503, "model_weights_missing".to_owned()));
        // A refusal for the rate is waited out, but not for ever.
        let times = setup.echo.told();
        assert!(times["too fast"] == 2 && times["nonsense"] == 1, "{times:?}");
        assert!(times.values().filter(|times| **times > 1).count() == 1);

        // The calls are recorded, priced, and their creator's.
        let page = PageRequest { limit: 200, cursor: None };
        let call = output["hello"]["response"]["request_id"].as_str().unwrap();
        let call = setup.models.call(&setup.ctx, call.parse().unwrap()).await.unwrap();
        assert_eq!((call.purpose, call.status, &call.actor), (Purpose::Batch, CallStatus::Succeeded, setup.ctx.actor()));
        assert_eq!((call.team, call.cost.unwrap().amount_micros), (setup.ctx.team(), 30));
        let calls = setup.models.calls(&setup.ctx, &CallFilter { status: Some(CallStatus::Succeeded), ..CallFilter::default() }, &page).await.unwrap();
        assert!(calls.data.iter().all(|call| call.purpose == Purpose::Batch) && calls.has_more);

        // The results stand in the files only, and the files are like others.
        let started = Instant::now();
        while setup.lines().await > 0 {
            assert!(started.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (_, files) = setup.caller.get("/v1/files?purpose=batch_output").await;
        assert_eq!(files["data"].as_array().unwrap().len(), 2);
        assert_eq!(setup.caller.delete(&format!("/v1/files/{}", batch["input_file_id"].as_str().unwrap())).await.0, 200);
        let (status, again) = setup.caller.post(&format!("/v1/batches/{id}/cancel"), json!({})).await;
        assert_eq!((status, &again["error"]["code"]), (409, &json!("batch_ended")));
        workflows.stop().await;
    }

    async fn all_three_endpoints_are_answered(test: TestStore) {
        let setup = Setup::new(test, 1_000).await;
        let workflows = setup.start().await;
        let responses = line("r", "/v1/responses", &json!({"model": "acme/chat", "input": "Hello"}));
        let embeddings = line("e", "/v1/embeddings", &json!({"model": "acme/embed", "input": "Hello"}));
        let responses = setup.caller.create(responses, "/v1/responses").await;
        let embeddings = setup.caller.create(embeddings, "/v1/embeddings").await;
        let batch = setup.caller.ended(&responses).await;
        let output = setup.caller.results(&batch["output_file_id"]).await;
        let body = &output["r"]["response"]["body"];
        assert_eq!((&body["object"], &body["output"][0]["content"][0]["text"]), (&json!("response"), &json!("Hello")), "{body}");
        let batch = setup.caller.ended(&embeddings).await;
        let output = setup.caller.results(&batch["output_file_id"]).await;
        let body = &output["e"]["response"]["body"];
        assert_eq!((&body["data"][0]["embedding"], &body["model"]), (&json!([0.5, 0.5]), &json!("acme/embed")));
        let (_, list) = setup.caller.get("/v1/batches?limit=1").await;
        assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&json!(embeddings), &json!(true)));
        let (_, list) = setup.caller.get(&format!("/v1/batches?after={embeddings}")).await;
        assert_eq!((&list["data"][0]["id"], &list["has_more"]), (&json!(responses), &json!(false)));
        workflows.stop().await;
    }

    async fn mistakes_in_a_file_are_told_by_their_lines(test: TestStore) {
        let setup = Setup::new(test, 0).await;
        let workflows = setup.start().await;
        let mut content = format!("{}{{broken\n\n{}", chat("a", "1"), chat("a", "2")).into_bytes();
        content.extend_from_slice(b"\xff\xfe\n");
        content.extend_from_slice(line("c", "/v1/embeddings", &json!({"input": "x"})).as_bytes());
        content.extend_from_slice(chat("long", &"x".repeat(1 << 20)).as_bytes());
        let id = setup.caller.create(content, CHAT).await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("failed"), (0, 0, 0)));
        assert!(batch["failed_at"].is_i64());
        let told: Vec<_> = batch["errors"]["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| (error["line"].as_u64().unwrap(), error["code"].as_str().unwrap(), error["param"].as_str()))
            .collect();
        assert_eq!(told, [
            (2, "invalid_json_line", None),
            (4, "duplicate_custom_id", Some("custom_id")),
            (5, "invalid_json_line", None),
            (6, "mismatched_url", Some("url")),
            (7, "line_too_long", None),
        ]);
        let many: String = (0..50_001).map(|number| chat(&number.to_string(), "x")).collect();
        for (content, code) in [("\n \n".to_owned(), "empty_file"), (many, "too_many_lines")] {
            let id = setup.caller.create(content, CHAT).await;
            let batch = setup.caller.ended(&id).await;
            assert_eq!((&batch["status"], &batch["errors"]["data"][0]["code"]), (&json!("failed"), &json!(code)));
        }
        assert!(setup.echo.told().is_empty());

        let file = setup.caller.upload("x").await;
        let good = json!({"input_file_id": file, "endpoint": CHAT, "completion_window": "24h"});
        for (field, value, status, param) in [
            ("endpoint", json!("/v1/moderations"), 400, "endpoint"),
            ("completion_window", json!("1h"), 400, "completion_window"),
            ("input_file_id", json!("file_00000000000000000000000000"), 404, "input_file_id"),
            ("metadata", json!({"a": "x".repeat(513)}), 400, "metadata"),
            ("unheard_of", json!(1), 400, "unheard_of"),
        ] {
            let mut body = good.clone();
            body[field] = value;
            let (got, error) = setup.caller.post("/v1/batches", body).await;
            assert_eq!((got, &error["error"]["param"]), (status, &json!(param)), "{error}");
        }
        workflows.stop().await;
    }

    async fn a_killed_process_loses_and_doubles_no_result(test: TestStore) {
        const LINES: usize = 150;
        const ANSWERED: u64 = 110;
        let setup = Setup::new(test, ANSWERED as usize).await;
        let id = setup.caller.create(chats(LINES), CHAT).await;
        // Another process on the same database: its whole runtime goes away, as with kill -9.
        let process = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = process.spawn({
            let store = setup.test.open_again().await;
            async move {
                let models = open(store.clone());
                let workflows = start(store, &models, system()).await;
                (models, workflows)
            }
        });
        let held = store.await.unwrap();
        let before = setup.caller.until(&id, |batch| counts(batch).1 == ANSWERED).await;
        assert_eq!(before["status"], "in_progress");
        let in_flight: Vec<String> = setup.echo.told().into_keys().collect();
        assert!(in_flight.len() as u64 > ANSWERED, "nothing is under way");
        let recorded = recorded(&setup).await;
        assert_eq!(recorded.len() as u64, ANSWERED);
        process.shutdown_background();
        drop(held);

        setup.echo.permits.add_permits(10 * LINES);
        let workflows = setup.start().await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (LINES as u64, LINES as u64, 0)), "{batch}");
        let output = setup.caller.results(&batch["output_file_id"]).await;
        assert_eq!(output.len(), LINES);
        for (id, result) in &output {
            let number = id.trim_start_matches("line-");
            assert_eq!(result["response"]["body"]["choices"][0]["message"]["content"], format!("text {number}"));
        }
        let told = setup.echo.told();
        // What was recorded before is the same, and was not asked for again; what was under way was, once.
        for (line, result) in &recorded {
            assert_eq!(told[&format!("text {}", line - 1)], 1, "line {line} was called again");
            let result: Value = serde_json::from_str(result).unwrap();
            assert_eq!(output[&format!("line-{}", line - 1)], result);
        }
        assert!(told.values().all(|times| *times <= 2) && told.values().sum::<usize>() <= LINES + 8, "{told:?}");
        workflows.stop().await;
    }

    async fn a_stopped_program_goes_on_where_it_was(test: TestStore) {
        let setup = Setup::new(test, 30).await;
        let id = setup.caller.create(chats(60), CHAT).await;
        let workflows = setup.start().await;
        setup.caller.until(&id, |batch| counts(batch).1 == 30).await;
        let stopping = tokio::spawn(async move { workflows.stop().await });
        // The lines under way have some seconds: they are answered, and nothing else begins.
        tokio::time::sleep(Duration::from_millis(300)).await;
        setup.echo.permits.add_permits(1_000);
        stopping.await.unwrap();
        let (_, batch) = setup.caller.get(&format!("/v1/batches/{id}")).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("in_progress"), (60, 38, 0)));
        let workflows = setup.start().await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (60, 60, 0)));
        assert!(setup.echo.told().values().all(|times| *times == 1));
        workflows.stop().await;
    }

    async fn a_cancelled_batch_keeps_what_was_done(test: TestStore) {
        let setup = Setup::new(test, 20).await;
        let workflows = setup.start().await;
        let id = setup.caller.create(chats(500), CHAT).await;
        setup.caller.until(&id, |batch| counts(batch).1 == 20).await;
        let input = setup.caller.get(&format!("/v1/batches/{id}")).await.1["input_file_id"].as_str().unwrap().to_owned();
        let (status, error) = setup.caller.delete(&format!("/v1/files/{input}")).await;
        assert_eq!((status, &error["error"]["code"]), (409, &json!("file_in_use")));
        let (status, batch) = setup.caller.post(&format!("/v1/batches/{id}/cancel"), json!({})).await;
        assert_eq!((status, &batch["status"]), (200, &json!("cancelling")));
        assert!(batch["cancelling_at"].is_i64());
        // The eight lines under way never end: they are given up.
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("cancelled"), (500, 20, 0)));
        assert!(batch["cancelled_at"].is_i64() && batch["error_file_id"].is_null());
        assert_eq!(setup.caller.results(&batch["output_file_id"]).await.len(), 20);
        assert_eq!(setup.echo.told().len(), 28);
        assert_eq!(setup.caller.post(&format!("/v1/batches/{id}/cancel"), json!({})).await.1["status"], "cancelled");

        // Also before it has begun.
        let waiting = Setup::new(setup.test, 0).await;
        let id = waiting.caller.create(chats(3), CHAT).await;
        waiting.caller.post(&format!("/v1/batches/{id}/cancel"), json!({})).await;
        let batch = waiting.caller.ended(&id).await;
        assert_eq!((&batch["status"], &batch["output_file_id"]), (&json!("cancelled"), &Value::Null));
        workflows.stop().await;
    }

    async fn a_batch_expires_after_a_day(test: TestStore) {
        let clock = Clock::manual(1_800_000_000_000_000);
        let setup = Setup::at(test, 5, clock.clone()).await;
        let workflows = setup.start().await;
        let id = setup.caller.create(chats(40), CHAT).await;
        let batch = setup.caller.until(&id, |batch| counts(batch).1 == 5).await;
        assert_eq!((&batch["expires_at"], &batch["created_at"]), (&json!(1_800_086_400), &json!(1_800_000_000)));
        clock.advance(Duration::from_secs(86_400));
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], &batch["expired_at"]), (&json!("expired"), &json!(1_800_086_400)), "{batch}");
        let output = setup.caller.results(&batch["output_file_id"]).await;
        let errors = setup.caller.results(&batch["error_file_id"]).await;
        assert_eq!((output.len(), errors.len()), (5, 35));
        for (id, error) in errors {
            assert!(!output.contains_key(&id));
            assert_eq!((&error["error"]["code"], &error["response"]), (&json!("batch_expired"), &Value::Null));
        }
        workflows.stop().await;
    }

    async fn a_budget_holds_for_batches(test: TestStore) {
        let setup = Setup::new(test, 1_000).await;
        let Actor::User { id: user } = setup.ctx.actor().clone() else { panic!("a user was expected") };
        let budget = NewBudget {
            subject: BudgetSubject::User { id: user },
            period: BudgetPeriod::Day,
            // Four calls of 30 at most, each of which sets aside more.
            limit_micros: 300,
            currency: "USD".to_owned(),
        };
        setup.models.create_budget(&setup.ctx, budget).await.unwrap();
        let workflows = setup.start().await;
        let body = |number: usize| json!({
            "model": "acme/chat", "max_tokens": 2, "messages": [{"role": "user", "content": format!("text {number}")}],
        });
        let content: String = (0..30).map(|number| line(&number.to_string(), CHAT, &body(number))).collect();
        let id = setup.caller.create(content, CHAT).await;
        let batch = setup.caller.ended(&id).await;
        let (total, completed, failed) = counts(&batch);
        assert_eq!((&batch["status"], total, completed + failed), (&json!("completed"), 30, 30));
        assert!(completed * 30 <= 300 && failed > 0, "{batch}");
        for error in setup.caller.results(&batch["error_file_id"]).await.values() {
            assert_eq!((&error["response"]["status_code"], &error["response"]["body"]["error"]["type"]), (&json!(402), &json!("insufficient_quota")));
        }
        workflows.stop().await;
    }

    async fn a_batch_keeps_to_the_room_of_its_workspace(test: TestStore) {
        let setup = Setup::new(test, 1_000).await;
        let id = setup.caller.create(chats(3), CHAT).await;
        let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
        let full = "UPDATE model_files SET size_bytes = 50000000000 WHERE tenant_id = $1";
        tx.execute(full, [setup.ctx.tenant().unwrap().into()]).await.unwrap();
        tx.commit().await.unwrap();
        let workflows = setup.start().await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (3, 0, 3)), "{batch}");
        let errors = setup.caller.results(&batch["error_file_id"]).await;
        assert_eq!(errors["line-0"]["response"]["status_code"], 413, "{errors:?}");
        assert!(setup.echo.told().is_empty(), "a model was called in vain");
        let part = Part::bytes(b"x".as_slice()).file_name("x");
        let (status, error) = setup.caller.send(Form::new().text("purpose", "batch").part("file", part)).await;
        assert_eq!(status, 413, "{error}");
        workflows.stop().await;
    }

    async fn nobody_sees_the_files_and_batches_of_another(test: TestStore) {
        let setup = Setup::new(test, 1_000).await;
        let workflows = setup.start().await;
        let system = system();
        let caller = |ctx: &Ctx, permission: Permission| {
            let user = Actor::User { id: UserId::new(&system) };
            Ctx::new(ctx.tenant().unwrap(), user, Permissions::none().with(permission), Clock::system(), Random::system())
        };
        let writer = caller(&setup.ctx, Permission::ModelsInvoke);
        let colleague = Caller::new(&setup.models, &caller(&setup.ctx, Permission::ModelsInvoke)).await;
        let stranger = Caller::new(&setup.models, &tenant()).await;
        let viewer = Caller::new(&setup.models, &with_permissions(&writer, Permissions::none().with(Permission::ModelsRead))).await;
        let writer = Caller::new(&setup.models, &writer).await;
        let id = writer.create(chats(2), CHAT).await;
        let batch = writer.ended(&id).await;
        assert_eq!(batch["status"], "completed", "{batch}");
        let files = [&batch["input_file_id"], &batch["output_file_id"]].map(|id| id.as_str().unwrap().to_owned());
        for other in [&colleague, &stranger] {
            for file in &files {
                assert_eq!(other.get(&format!("/v1/files/{file}")).await.0, 404);
                assert_eq!(other.get(&format!("/v1/files/{file}/content")).await.0, 404);
                assert_eq!(other.delete(&format!("/v1/files/{file}")).await.0, 404);
            }
            assert_eq!(other.get(&format!("/v1/batches/{id}")).await.0, 404);
            assert_eq!(other.post(&format!("/v1/batches/{id}/cancel"), json!({})).await.0, 404);
            let steal = json!({"input_file_id": files[0], "endpoint": CHAT, "completion_window": "24h"});
            assert_eq!(other.post("/v1/batches", steal).await.0, 404);
            for list in ["/v1/files", "/v1/batches"] {
                assert_eq!(other.get(list).await.1["data"], json!([]), "{list}");
            }
        }
        // Who has no permission to call models sees nothing; whoever changes models sees all of the workspace.
        for path in ["/v1/files".to_owned(), "/v1/batches".to_owned(), format!("/v1/batches/{id}"), format!("/v1/files/{}", files[0])] {
            assert_eq!(viewer.get(&path).await.0, 403, "{path}");
            assert_eq!(setup.caller.get(&path).await.0, 200, "{path}");
        }
        assert_eq!(viewer.send(Form::new().text("purpose", "batch").part("file", Part::bytes(b"x".as_slice()).file_name("x"))).await.0, 403);
        let calls = setup.models.calls(&setup.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data;
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|call| call.actor != *setup.ctx.actor()), "calls are made in the creator's name");
        workflows.stop().await;
    }
}

/// The lines that have a result, and the results.
async fn recorded(setup: &Setup) -> BTreeMap<i64, String> {
    let mut tx = setup.test.read(&setup.ctx).await.unwrap();
    let rows = tx
        .fetch_all(
            "SELECT line, result FROM model_batch_results WHERE tenant_id = $1",
            [setup.ctx.tenant().unwrap().into()],
        )
        .await
        .unwrap();
    rows.iter().map(|row| (row.get("line").unwrap(), row.get("result").unwrap())).collect()
}
