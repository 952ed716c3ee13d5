//! Batches that a provider answers by its own batch API.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Multipart, Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use plasma_kernel::{Ctx, PageRequest};
use plasma_models::{
    BudgetPeriod, BudgetSubject, CallFilter, CallStatus, ModelKind, Models, ModelsConfig, NewBudget, ProviderKind,
    ProviderOptions, Purpose,
};
use plasma_testkit::{TestStore, on_each_database, system, tenant};
use plasma_workflows::Workflows;
use serde_json::{Value, json};

use crate::{
    batch_support::{CHAT, Caller, chat, chats, counts, line},
    support::{add_model, add_provider_of, config, open_with},
    upstream::{listen, whole_answer},
};

/// A provider with OpenAI's files and batches.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Shop>>);

#[derive(Default)]
struct Shop {
    files: HashMap<String, String>,
    batches: Vec<Value>,
    /// Lines that were posted one by one.
    calls: usize,
    /// A batch ends only when this says so.
    status: &'static str,
}

impl Provider {
    async fn start(&self) -> String {
        let router = Router::new()
            .route("/v1/files", post(upload))
            .route("/v1/files/{id}/content", get(content))
            .route("/v1/batches", post(create).get(list))
            .route("/v1/batches/{id}", get(retrieve))
            .route("/v1/batches/{id}/cancel", post(cancel))
            .route("/v1/chat/completions", post(single))
            .with_state(self.clone());
        format!("http://{}/v1", listen(router).await)
    }

    fn becomes(&self, status: &'static str) {
        self.0.lock().unwrap().status = status;
    }

    fn batches(&self) -> Vec<Value> {
        self.0.lock().unwrap().batches.clone()
    }
}

async fn upload(State(provider): State<Provider>, mut form: Multipart) -> Json<Value> {
    let mut file = None;
    while let Some(field) = form.next_field().await.unwrap() {
        if field.name() == Some("file") {
            file = Some(field.text().await.unwrap());
        }
    }
    let mut shop = provider.0.lock().unwrap();
    let id = format!("file-{}", shop.files.len());
    shop.files.insert(id.clone(), file.unwrap());
    Json(json!({"id": id, "object": "file"}))
}

async fn create(State(provider): State<Provider>, Json(body): Json<Value>) -> Json<Value> {
    let mut shop = provider.0.lock().unwrap();
    let id = format!("batch-{}", shop.batches.len());
    let batch = json!({
        "id": id, "object": "batch", "status": "validating", "input_file_id": body["input_file_id"],
        "endpoint": body["endpoint"], "metadata": body["metadata"], "output_file_id": null, "error_file_id": null,
    });
    shop.batches.push(batch.clone());
    Json(batch)
}

async fn list(State(provider): State<Provider>) -> Json<Value> {
    Json(json!({"object": "list", "data": provider.batches(), "has_more": false}))
}

async fn retrieve(State(provider): State<Provider>, Path(id): Path<String>) -> Json<Value> {
    let mut shop = provider.0.lock().unwrap();
    let (status, number) = (shop.status, shop.batches.iter().position(|batch| batch["id"] == id.as_str()).unwrap());
    let mut batch = shop.batches[number].clone();
    if batch["status"] == "cancelled" {
        return Json(batch);
    }
    batch["status"] = json!(status);
    batch["request_counts"] = json!({"total": 3, "completed": 1, "failed": 0});
    if status == "completed" {
        let (output, errors) = answers(&shop.files[batch["input_file_id"].as_str().unwrap()]);
        shop.files.insert(format!("{id}-output"), output);
        shop.files.insert(format!("{id}-errors"), errors);
        batch["output_file_id"] = json!(format!("{id}-output"));
        batch["error_file_id"] = json!(format!("{id}-errors"));
    }
    if status == "failed" {
        batch["errors"] = json!({"object": "list", "data": [{"code": "x", "message": "no such account"}]});
    }
    shop.batches[number] = batch.clone();
    Json(batch)
}

/// Answers in another order than they were asked; `nonsense` is an error, `forgotten` has no answer.
fn answers(lines: &str) -> (String, String) {
    let (mut output, mut errors) = (String::new(), String::new());
    for line in lines.lines().rev() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&line["body"]["model"], &line["url"]), (&json!("upstream-model"), &json!(CHAT)));
        let text = line["body"]["messages"][0]["content"].as_str().unwrap();
        let result = |status: u16, body: Value| {
            let response = json!({"status_code": status, "request_id": "req", "body": body});
            format!("{}\n", json!({"id": "b", "custom_id": line["custom_id"], "response": response, "error": null}))
        };
        match text {
            "nonsense" => errors += &result(400, json!({"error": {"message": "no", "code": "bad"}})),
            "forgotten" => {}
            text => output += &result(200, whole_answer(text, 4, 2)),
        }
    }
    (output, errors)
}

async fn cancel(State(provider): State<Provider>, Path(id): Path<String>) -> Json<Value> {
    let mut shop = provider.0.lock().unwrap();
    let batch = shop.batches.iter_mut().find(|batch| batch["id"] == id.as_str()).unwrap();
    batch["status"] = json!("cancelled");
    Json(batch.clone())
}

async fn content(State(provider): State<Provider>, Path(id): Path<String>) -> Response {
    match provider.0.lock().unwrap().files.get(&id) {
        Some(file) => Bytes::from(file.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn single(State(provider): State<Provider>, Json(body): Json<Value>) -> Json<Value> {
    provider.0.lock().unwrap().calls += 1;
    Json(whole_answer(body["messages"][0]["content"].as_str().unwrap(), 4, 2))
}

struct Setup {
    test: TestStore,
    models: Models,
    ctx: Ctx,
    provider: Provider,
    caller: Caller,
}

impl Setup {
    async fn new(test: TestStore, options: ProviderOptions) -> Self {
        let provider = Provider::default();
        provider.becomes("in_progress");
        let interval = Duration::from_millis(50);
        let models = open_with(test.store(), ModelsConfig { batch_poll_interval: interval, ..config() });
        let ctx = tenant();
        let url = provider.start().await;
        let acme = add_provider_of(&models, &ctx, "acme", &url, ProviderKind::Openai, options).await;
        add_model(&models, &ctx, acme, "chat", ModelKind::Chat).await;
        add_model(&models, &ctx, acme, "other", ModelKind::Chat).await;
        let caller = Caller::new(&models, &ctx).await;
        Self { test, models, ctx, provider, caller }
    }

    async fn start(&self) -> Workflows {
        let workflows = Workflows::new(self.test.store(), system());
        self.models.register_steps(&workflows);
        workflows.start(true).await.unwrap();
        workflows
    }

    fn calls(&self) -> usize {
        self.provider.0.lock().unwrap().calls
    }
}

fn with_batches() -> ProviderOptions {
    ProviderOptions { batch: true, ..ProviderOptions::default() }
}

on_each_database! {
    async fn a_batch_of_one_model_goes_to_its_provider(test: TestStore) {
        let setup = Setup::new(test, with_batches()).await;
        let mut workflows = setup.start().await;
        let content = format!("{}{}{}", chat("a", "Hello"), chat("b", "nonsense"), chat("c", "forgotten"));
        let id = setup.caller.create(content, CHAT).await;
        let batch = setup.caller.until(&id, |batch| counts(batch).1 == 1).await;
        assert_eq!(batch["status"], "in_progress");
        // The next process finds the provider's batch again.
        workflows.stop().await;
        workflows = setup.start().await;
        setup.provider.becomes("completed");
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (3, 1, 2)), "{batch}");
        let output = setup.caller.results(&batch["output_file_id"]).await;
        let response = &output["a"]["response"];
        assert_eq!((&response["body"]["model"], &response["status_code"]), (&json!("acme/chat"), &json!(200)));
        let errors = setup.caller.results(&batch["error_file_id"]).await;
        assert_eq!(errors["b"]["response"]["status_code"], 400);
        assert_eq!(errors["c"]["response"]["body"]["error"]["code"], "provider_answer_missing");

        let calls = setup.models.calls(&setup.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data;
        assert_eq!(calls.len(), 3);
        assert!(calls.iter().all(|call| call.purpose == Purpose::Batch && call.actor == *setup.ctx.actor()));
        let answered: Vec<_> = calls.iter().filter(|call| call.status == CallStatus::Succeeded).collect();
        assert_eq!((answered.len(), answered[0].id.to_string()), (1, response["request_id"].as_str().unwrap().to_owned()));
        assert_eq!((answered[0].cost.as_ref().unwrap().amount_micros, answered[0].usage.input_tokens), (30, 4));
        assert_eq!((setup.provider.batches().len(), setup.calls()), (1, 0));
        workflows.stop().await;
    }

    async fn a_providers_own_batch_costs_what_batches_cost(test: TestStore) {
        let setup = Setup::new(test, with_batches()).await;
        let workflows = setup.start().await;
        setup.provider.becomes("completed");
        // 2.50 and 10.00 USD a million; 4 tokens read and 2 written: 30 millionths, or less.
        let mut price = setup.models.model(&setup.ctx, "acme/chat").await.unwrap().price.unwrap();
        for (discount, micros) in [(None, 30), (Some(50), 15), (Some(25), 23)] {
            price.batch_discount_percent = discount;
            setup.models.set_price(&setup.ctx, "acme/chat", Some(price.clone())).await.unwrap();
            let id = setup.caller.create(chat("a", "Hello"), CHAT).await;
            assert_eq!(setup.caller.ended(&id).await["status"], "completed");
            let calls = setup.models.calls(&setup.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data;
            assert_eq!(calls[0].cost.as_ref().unwrap().amount_micros, micros, "{discount:?}");
        }
        // A call that Plasma makes itself costs the whole price, also one of a batch.
        let content = format!("{}{}", chat("a", "Hello"), chat("b", "there").replace("acme/chat", "acme/other"));
        let id = setup.caller.create(content, CHAT).await;
        assert_eq!(setup.caller.ended(&id).await["status"], "completed");
        let filter = CallFilter { model: Some("acme/chat".to_owned()), ..CallFilter::default() };
        let calls = setup.models.calls(&setup.ctx, &filter, &PageRequest::default()).await.unwrap().data;
        assert_eq!((calls[0].cost.as_ref().unwrap().amount_micros, setup.calls()), (30, 2));
        workflows.stop().await;
    }

    async fn lines_are_called_one_by_one_where_the_provider_cannot(test: TestStore) {
        let setup = Setup::new(test, ProviderOptions::default()).await;
        let workflows = setup.start().await;
        let id = setup.caller.create(chats(3), CHAT).await;
        assert_eq!(setup.caller.ended(&id).await["status"], "completed");
        let with = Setup::new(setup.test, with_batches()).await;
        workflows.stop().await;
        let workflows = with.start().await;
        // Two models in one file.
        let content = format!("{}{}", chat("a", "x"), chat("b", "y").replace("acme/chat", "acme/other"));
        let id = with.caller.create(content, CHAT).await;
        assert_eq!(with.caller.ended(&id).await["status"], "completed");
        // A budget sets money aside for a call, not for a day.
        let budget = NewBudget {
            subject: BudgetSubject::Tenant {}, period: BudgetPeriod::Day, limit_micros: 10_000_000, currency: "USD".to_owned(),
        };
        with.models.create_budget(&with.ctx, budget).await.unwrap();
        let id = with.caller.create(chats(3), CHAT).await;
        let batch = with.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (3, 3, 0)), "{batch}");
        assert_eq!((with.calls(), with.provider.batches().len()), (5, 0));
        workflows.stop().await;
    }

    async fn a_line_with_a_prompt_is_called_one_by_one(test: TestStore) {
        let setup = Setup::new(test, with_batches()).await;
        let workflows = setup.start().await;
        let messages = json!([{"role": "user", "content": "y"}]);
        let body = json!({"model": "acme/chat", "prompt": "greeting", "messages": messages});
        let id = setup.caller.create(format!("{}{}", chat("a", "x"), line("b", CHAT, &body)), CHAT).await;
        let batch = setup.caller.ended(&id).await;
        // There is no such prompt, and it is Plasma that says so.
        assert_eq!((&batch["status"], counts(&batch)), (&json!("completed"), (2, 1, 1)), "{batch}");
        assert_eq!((setup.calls(), setup.provider.batches().len()), (1, 0));
        workflows.stop().await;
    }

    async fn a_cancelled_batch_ends_at_its_provider_though_its_id_was_lost(test: TestStore) {
        let setup = Setup::new(test, with_batches()).await;
        let mut workflows = setup.start().await;
        let id = setup.caller.create(chats(3), CHAT).await;
        setup.caller.until(&id, |batch| counts(batch).1 == 1).await;
        workflows.stop().await;
        // As if the process had been killed before it wrote the id down.
        let mut tx = setup.test.begin(&setup.ctx).await.unwrap();
        let lost = "UPDATE model_batches SET provider_batch_id = NULL WHERE tenant_id = $1";
        tx.execute(lost, [setup.ctx.tenant().unwrap().into()]).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(setup.caller.post(&format!("/v1/batches/{id}/cancel"), json!({})).await.0, 200);
        workflows = setup.start().await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("cancelled"), (3, 0, 0)), "{batch}");
        assert_eq!(setup.provider.batches()[0]["status"], "cancelled");
        workflows.stop().await;
    }

    async fn a_providers_batch_is_cancelled_or_fails_with_its_words(test: TestStore) {
        let setup = Setup::new(test, with_batches()).await;
        let workflows = setup.start().await;
        let id = setup.caller.create(chats(3), CHAT).await;
        setup.caller.until(&id, |batch| counts(batch).1 == 1).await;
        assert_eq!(setup.caller.post(&format!("/v1/batches/{id}/cancel"), json!({})).await.0, 200);
        let batch = setup.caller.ended(&id).await;
        assert_eq!((&batch["status"], counts(&batch)), (&json!("cancelled"), (3, 0, 0)), "{batch}");
        assert_eq!(setup.provider.batches()[0]["status"], "cancelled");

        setup.provider.becomes("failed");
        let id = setup.caller.create(chats(3), CHAT).await;
        let batch = setup.caller.ended(&id).await;
        assert_eq!(batch["status"], "failed", "{batch}");
        assert!(batch["errors"]["data"][0]["message"].as_str().unwrap().contains("no such account"), "{batch}");
        assert_eq!(setup.calls(), 0);
        workflows.stop().await;
    }
}
