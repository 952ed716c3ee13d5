//! A tenant with batches, a provider that repeats what it is told, and somebody who calls Plasma's routes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use plasma_kernel::{Clock, Ctx, Permissions, Random, TeamId};
use plasma_models::{ModelKind, Models, ModelsConfig};
use plasma_testkit::{TestStore, tenant};
use plasma_workflows::Workflows;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{
    support::{add_model, add_provider, config, open_with, serve},
    upstream::{listen, whole_answer},
};

pub const CHAT: &str = "/v1/chat/completions";
/// Other tests may use both cores for a long time.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A provider that repeats what it is told; what it is told also says how it fails.
#[derive(Clone)]
pub struct Echo {
    /// How often it was told each text.
    pub told: Arc<Mutex<HashMap<String, usize>>>,
    /// Each answer takes one.
    pub permits: Arc<Semaphore>,
}

impl Echo {
    pub fn new(permits: usize) -> Self {
        Self { told: Arc::default(), permits: Arc::new(Semaphore::new(permits)) }
    }

    pub fn told(&self) -> HashMap<String, usize> {
        self.told.lock().unwrap().clone()
    }

    pub async fn start(&self) -> String {
        format!("http://{}/v1", listen(Router::new().fallback(echo).with_state(self.clone())).await)
    }
}

async fn echo(State(echo): State<Echo>, uri: Uri, Json(body): Json<Value>) -> Response {
    let text = body.pointer("/messages/0/content").or(body.get("input")).and_then(Value::as_str).unwrap().to_owned();
    *echo.told.lock().unwrap().entry(text.clone()).or_default() += 1;
    echo.permits.acquire().await.unwrap().forget();
    let error = |status: u16, message: &str| {
        let body = json!({"error": {"message": message, "type": "some_error", "code": null}});
        (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
    };
    match text.as_str() {
        "too fast" => error(429, "slow down"),
        "nonsense" => error(400, "I do not understand"),
        _ if uri.path().ends_with("/embeddings") => Json(json!({
            "object": "list", "model": "upstream-model", "usage": {"prompt_tokens": 3, "total_tokens": 3},
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}],
        }))
        .into_response(),
        text => Json(whole_answer(text, 4, 2)).into_response(),
    }
}

pub struct Setup {
    pub test: TestStore,
    pub models: Models,
    pub echo: Echo,
    pub ctx: Ctx,
    pub caller: Caller,
    pub system: Ctx,
}

/// Somebody who calls Plasma's routes.
pub struct Caller {
    pub url: String,
    pub client: reqwest::Client,
}

impl Setup {
    pub async fn new(test: TestStore, permits: usize) -> Self {
        Self::at(test, permits, Clock::system()).await
    }

    pub async fn at(test: TestStore, permits: usize, clock: Clock) -> Self {
        let echo = Echo::new(permits);
        let ctx = tenant();
        let ctx =
            Ctx::new(ctx.tenant().unwrap(), ctx.actor().clone(), Permissions::all(), clock.clone(), Random::system())
                .with_team(Some(TeamId::from_bits(7)));
        let models = open(test.store());
        let provider = add_provider(&models, &ctx, "acme", &echo.start().await).await;
        add_model(&models, &ctx, provider, "chat", ModelKind::Chat).await;
        add_model(&models, &ctx, provider, "embed", ModelKind::Embedding).await;
        let caller = Caller::new(&models, &ctx).await;
        Self { test, models, echo, ctx, caller, system: Ctx::system("test", clock, Random::system()) }
    }

    /// Starts the background work of this process.
    pub async fn start(&self) -> Workflows {
        start(self.test.store(), &self.models, self.system.clone()).await
    }

    pub async fn lines(&self) -> i64 {
        let mut tx = self.test.read(&self.ctx).await.unwrap();
        let count = "SELECT COUNT(*) AS lines FROM model_batch_results WHERE tenant_id = $1";
        tx.fetch_one(count, [self.ctx.tenant().unwrap().into()]).await.unwrap().get("lines").unwrap()
    }
}

pub fn open(store: plasma_store::Store) -> Models {
    open_with(store, ModelsConfig { batch_wait_max: Duration::from_millis(1_200), ..config() })
}

pub async fn start(store: plasma_store::Store, models: &Models, system: Ctx) -> Workflows {
    let workflows = Workflows::new(store, system);
    models.register_steps(&workflows);
    workflows.start(true).await.unwrap();
    workflows
}

impl Caller {
    pub async fn new(models: &Models, ctx: &Ctx) -> Self {
        Self { url: serve(models, ctx).await, client: reqwest::Client::new() }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let response = self.client.post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        let response = self.client.delete(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn send(&self, form: Form) -> (u16, Value) {
        let response = self.client.post(format!("{}/v1/files", self.url)).multipart(form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    pub async fn upload(&self, content: impl Into<Vec<u8>>) -> String {
        let file = Part::bytes(content.into()).file_name("lines.jsonl");
        let (status, file) = self.send(Form::new().text("purpose", "batch").part("file", file)).await;
        assert_eq!(status, 200, "{file}");
        file["id"].as_str().unwrap().to_owned()
    }

    pub async fn content(&self, file: &Value) -> String {
        let url = format!("{}/v1/files/{}/content", self.url, file.as_str().unwrap());
        let response = self.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        response.text().await.unwrap()
    }

    /// The lines of a file by their `custom_id`; each may stand in it once.
    pub async fn results(&self, file: &Value) -> BTreeMap<String, Value> {
        if file.is_null() {
            return BTreeMap::new();
        }
        let mut results = BTreeMap::new();
        for line in self.content(file).await.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let id = line["custom_id"].as_str().unwrap().to_owned();
            assert!(results.insert(id, line).is_none(), "a line stands in the file twice");
        }
        results
    }

    pub async fn create(&self, content: impl Into<Vec<u8>>, endpoint: &str) -> String {
        let file = self.upload(content).await;
        let body = json!({
            "input_file_id": file, "endpoint": endpoint, "completion_window": "24h", "metadata": {"job": "nightly"},
        });
        let (status, batch) = self.post("/v1/batches", body).await;
        assert_eq!((status, &batch["status"]), (200, &json!("validating")), "{batch}");
        batch["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a batch is as `wanted` says.
    pub async fn until(&self, batch: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let started = Instant::now();
        loop {
            let (status, batch) = self.get(&format!("/v1/batches/{batch}")).await;
            assert_eq!(status, 200, "{batch}");
            if wanted(&batch) {
                return batch;
            }
            assert!(started.elapsed() < PATIENCE, "{batch}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn ended(&self, batch: &str) -> Value {
        let last = ["completed", "failed", "expired", "cancelled"];
        self.until(batch, |batch| last.contains(&batch["status"].as_str().unwrap())).await
    }
}

pub fn line(id: &str, url: &str, body: &Value) -> String {
    format!("{}\n", json!({"custom_id": id, "method": "POST", "url": url, "body": body}))
}

pub fn chat(id: &str, content: &str) -> String {
    line(id, CHAT, &json!({"model": "acme/chat", "messages": [{"role": "user", "content": content}]}))
}

pub fn chats(count: usize) -> String {
    (0..count).map(|number| chat(&format!("line-{number}"), &format!("text {number}"))).collect()
}

pub fn counts(batch: &Value) -> (u64, u64, u64) {
    let count = |name: &str| batch["request_counts"][name].as_u64().unwrap();
    (count("total"), count("completed"), count("failed"))
}
