//! Texts that are embedded once: which of them are asked for again, what a known one costs, and who gets none.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use plasma_kernel::{Actor, Clock, Ctx, Permissions, ProviderId, Random, TenantId, UserId};
use plasma_models::{
    BudgetPeriod, BudgetSubject, CacheKind, EmbedRequest, Embeddings, LimitSubject, ModelCall, ModelKind, Models,
    NewBudget, NewLimit, Priority, Purpose, TextHits,
};
use plasma_testkit::{TestStore, on_each_database, system, tenant};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{CACHE, cache_header};
use crate::{
    budgets::Api,
    local::{local_models, settings},
    support::{add_model, add_provider, call_id, config, open, serve},
    upstream::listen,
};

const EMBEDDINGS: &str = "/v1/embeddings";

/// A provider that embeds a text as its length and its first byte, a token for each byte, and remembers what it was told.
#[derive(Clone)]
struct Provider {
    told: Arc<Mutex<Vec<Vec<String>>>>,
    /// Each answer takes one.
    permits: Arc<Semaphore>,
    /// So many requests fail.
    failures: Arc<AtomicUsize>,
}

impl Provider {
    fn new(permits: usize) -> Self {
        Self { told: Arc::default(), permits: Arc::new(Semaphore::new(permits)), failures: Arc::default() }
    }

    fn told(&self) -> Vec<Vec<String>> {
        self.told.lock().unwrap().clone()
    }

    async fn start(&self) -> String {
        format!("http://{}/v1", listen(Router::new().fallback(embed).with_state(self.clone())).await)
    }
}

fn vector(text: &str) -> Vec<f32> {
    vec![text.len() as f32, f32::from(text.as_bytes()[0])]
}

async fn embed(State(provider): State<Provider>, Json(body): Json<Value>) -> Response {
    let texts: Vec<String> = match &body["input"] {
        Value::String(text) => vec![text.clone()],
        list => list.as_array().unwrap().iter().map(|text| text.as_str().unwrap_or("ids").to_owned()).collect(),
    };
    provider.told.lock().unwrap().push(texts.clone());
    provider.permits.acquire().await.unwrap().forget();
    if provider.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        let error = json!({ "error": { "message": "no", "type": "some_error", "code": null } });
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
    }
    let written = |text: &String| match body["encoding_format"].as_str() {
        Some("base64") => {
            json!(STANDARD.encode(vector(text).iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>()))
        }
        _ => json!(vector(text)),
    };
    let data: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({ "object": "embedding", "index": index, "embedding": written(text) }))
        .collect();
    let tokens: usize = texts.iter().map(String::len).sum();
    let usage = json!({ "prompt_tokens": tokens, "total_tokens": tokens });
    Json(json!({ "object": "list", "model": "upstream-model", "data": data, "usage": usage, "unheard_of": 1 }))
        .into_response()
}

struct Setup {
    models: Models,
    ctx: Ctx,
    clock: Clock,
    provider: Provider,
    provider_id: ProviderId,
    url: String,
    client: reqwest::Client,
    // Keeps the database until the test ends.
    _test: TestStore,
}

/// What a caller sees.
#[derive(Debug)]
struct Seen {
    header: Option<String>,
    vectors: Vec<Vec<f32>>,
    tokens: u64,
    call_id: String,
    body: Value,
}

impl Setup {
    /// A tenant of a clock that stands still, whose provider `acme` has the embedding model `acme/embed`.
    async fn new(test: TestStore, permits: usize) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let actor = Actor::User { id: UserId::new(&system()) };
        let tenant = TenantId::new(&system());
        let ctx = Ctx::new(tenant, actor, Permissions::all(), clock.clone(), Random::system());
        let models = open(test.store());
        let provider = Provider::new(permits);
        let provider_id = add_provider(&models, &ctx, "acme", &provider.start().await).await;
        add_model(&models, &ctx, provider_id, "embed", ModelKind::Embedding).await;
        let url = serve(&models, &ctx).await;
        Self { models, ctx, clock, provider, provider_id, url, client: reqwest::Client::new(), _test: test }
    }

    async fn send(&self, body: Value, wish: &str) -> reqwest::Response {
        let request = self.client.post(format!("{}{EMBEDDINGS}", self.url)).header("cache-control", wish);
        request.json(&body).send().await.unwrap()
    }

    async fn see(&self, texts: &[&str], fields: Value, wish: &str) -> Seen {
        let mut body = json!({ "model": "acme/embed", "input": texts });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let response = self.send(body, wish).await;
        assert_eq!(response.status(), 200);
        let (header, call_id) = (cache_header(&response), call_id(&response));
        let body: Value = response.json().await.unwrap();
        let numbers = |item: &Value| -> Vec<f32> {
            let Some(text) = item["embedding"].as_str() else {
                return serde_json::from_value(item["embedding"].clone()).unwrap();
            };
            let bytes = STANDARD.decode(text).unwrap();
            bytes.chunks(4).map(|number| f32::from_le_bytes(number.try_into().unwrap())).collect()
        };
        let vectors = body["data"].as_array().unwrap().iter().map(numbers).collect();
        let tokens = body["usage"]["prompt_tokens"].as_u64().unwrap();
        assert_eq!(body["model"], "acme/embed");
        Seen { header, vectors, tokens, call_id, body }
    }

    /// What the cache had to do with the texts, after a look at their vectors.
    async fn line(&self, texts: &[&str]) -> Option<String> {
        let seen = self.see(texts, json!({}), "").await;
        assert_eq!(seen.vectors, texts.iter().map(|text| vector(text)).collect::<Vec<_>>());
        seen.header
    }

    async fn call(&self, id: &str) -> ModelCall {
        self.models.call(&self.ctx, id.parse().unwrap()).await.unwrap()
    }
}

fn line(text: &str) -> Option<String> {
    Some(text.to_owned())
}

on_each_database! {
    async fn a_text_is_embedded_once_and_costs_nothing_again(test: TestStore) {
        let setup = Setup::new(test, 100).await;
        let first = setup.see(&["aaaa", "bb"], json!({}), "").await;
        assert_eq!((first.header.as_deref(), first.tokens), (Some("miss"), 6));
        // The provider's own answer.
        assert_eq!(first.body["unheard_of"], 1);
        let call = setup.call(&first.call_id).await;
        assert_eq!((call.cost.unwrap().amount_micros, call.cache), (15, None));

        setup.clock.advance(Duration::from_secs(42));
        let known = setup.see(&["bb", "aaaa"], json!({ "user": "somebody" }), "").await;
        assert_eq!((known.header.as_deref(), known.tokens), (Some("hit; age=42"), 6));
        assert_eq!(known.vectors, [vector("bb"), vector("aaaa")]);
        let call = setup.call(&known.call_id).await;
        let hit = call.cache.unwrap();
        assert_eq!((hit.kind, hit.call_id.to_string(), hit.age_seconds), (CacheKind::Exact, first.call_id, 42));
        assert_eq!((hit.saved.unwrap().amount_micros, hit.texts), (15, Some(TextHits { known: 2, all: 2 })));
        assert_eq!((call.cost.unwrap().amount_micros, call.usage.input_tokens), (0, 0));

        let partly = setup.see(&["aaaa", "ccc", "bb"], json!({}), "").await;
        assert_eq!((partly.header.as_deref(), partly.tokens), (Some("partial; known=2; texts=3; age=42"), 9));
        assert_eq!(partly.vectors, [vector("aaaa"), vector("ccc"), vector("bb")]);
        let call = setup.call(&partly.call_id).await;
        let hit = call.cache.unwrap();
        assert_eq!((hit.kind, hit.saved.unwrap().amount_micros), (CacheKind::Partial, 15));
        // 3 * 2.5, rounded up.
        assert_eq!((call.cost.unwrap().amount_micros, call.usage.input_tokens), (8, 3));

        let base64 = setup.see(&["ccc"], json!({ "encoding_format": "base64" }), "").await;
        assert_eq!((base64.header.as_deref(), base64.vectors), (Some("hit; age=0"), vec![vector("ccc")]));
        assert!(base64.body["data"][0]["embedding"].is_string());
        let request = EmbedRequest {
            model: Some("acme/embed".to_owned()),
            inputs: vec!["bb".to_owned()],
            purpose: Purpose::Ingest,
            priority: Priority::Ordinary,
        };
        let embeddings = setup.models.embed(&setup.ctx, request).await.unwrap();
        assert_eq!((embeddings.vectors, embeddings.input_tokens), (vec![vector("bb")], 2));
        assert_eq!(setup.provider.told(), [vec!["aaaa", "bb"], vec!["ccc"]]);

        let (status, usage) = Api::at(&setup.url).get(&format!("{CACHE}/usage?days=2")).await;
        // 15 twice, all of 8, and 2 of 6 bytes of 15.
        let saved = json!([{ "amount_micros": 15 + 15 + 8 + 5, "currency": "USD" }]);
        let expected = json!([
            { "model": "acme/embed", "calls": 5, "exact_hits": 3, "semantic_hits": 0, "partial_hits": 1, "saved": saved },
        ]);
        assert_eq!((status, &usage["models"]), (200, &expected));
    }

    async fn whoever_may_not_pay_gets_no_known_vector(test: TestStore) {
        let setup = Setup::new(test, 100).await;
        let body = || json!({ "model": "acme/embed", "input": "aaaa" });
        let budget = NewBudget {
            subject: BudgetSubject::Tenant {},
            period: BudgetPeriod::Day,
            limit_micros: 1_000_000,
            currency: "USD".to_owned(),
        };
        let id = setup.models.create_budget(&setup.ctx, budget).await.unwrap().budget.id;
        assert_eq!(setup.line(&["aaaa"]).await, line("miss"));
        assert_eq!(setup.line(&["aaaa"]).await, line("hit; age=0"));
        let state = setup.models.budget(&setup.ctx, id).await.unwrap();
        assert_eq!((state.spent_micros, state.reserved_micros), (10, 0));
        setup.models.change_budget(&setup.ctx, id, 20).await.unwrap();
        let response = setup.send(body(), "").await;
        assert_eq!((response.status().as_u16(), cache_header(&response)), (402, None));
        setup.models.delete_budget(&setup.ctx, id).await.unwrap();

        let limit = NewLimit {
            subject: LimitSubject::Tenant {},
            requests_per_minute: Some(1),
            tokens_per_minute: None,
            concurrency: None,
        };
        setup.models.create_limit(&setup.ctx, limit).await.unwrap();
        assert_eq!(setup.line(&["aaaa"]).await, line("hit; age=0"));
        assert_eq!(setup.send(body(), "").await.status(), 429);
        assert_eq!(setup.provider.told().len(), 1);
    }

    async fn purges_switches_and_callers_end_what_is_known(test: TestStore) {
        let setup = Setup::new(test, 100).await;
        let api = Api::at(&setup.url);
        assert_eq!(api.get(CACHE).await.1["settings"]["embeddings"], true);
        assert_eq!(setup.line(&["a"]).await, line("miss"));
        assert_eq!(setup.line(&["a"]).await, line("hit; age=0"));
        assert_eq!(api.send("DELETE", CACHE, Value::Null).await.0, 204);
        assert_eq!(setup.line(&["a"]).await, line("miss"));
        assert_eq!(setup.line(&["a"]).await, line("hit; age=0"));
        assert_eq!(setup.see(&["a"], json!({}), "no-cache").await.header, line("miss"));
        assert_eq!(setup.see(&["a"], json!({}), "no-store").await.header, None);
        assert_eq!(setup.line(&["a"]).await, line("hit; age=0"));
        assert_eq!(setup.provider.told().len(), 4);
        assert_eq!(api.send("PUT", CACHE, json!({ "embeddings": false })).await.0, 200);
        assert_eq!(setup.line(&["a"]).await, None);
        assert_eq!(api.send("PUT", CACHE, json!({})).await.0, 200);
        assert_eq!(setup.line(&["a"]).await, line("hit; age=0"));
        // A model that is added again is another one.
        setup.models.delete_model(&setup.ctx, "acme/embed").await.unwrap();
        setup.clock.advance(Duration::from_secs(1));
        add_model(&setup.models, &setup.ctx, setup.provider_id, "embed", ModelKind::Embedding).await;
        assert_eq!(setup.line(&["a"]).await, line("miss"));
    }
}

#[tokio::test]
async fn what_differs_is_asked_anew_and_other_tenants_see_nothing() {
    let setup = Setup::new(TestStore::sqlite().await, 100).await;
    assert_eq!(setup.line(&["a"]).await, line("miss"));
    for fields in [json!({ "dimensions": 2 }), json!({ "input_type": "query" })] {
        assert_eq!(setup.see(&["a"], fields.clone(), "").await.header, line("miss"), "{fields}");
        assert_eq!(setup.see(&["a"], fields, "").await.header, line("hit; age=0"));
    }
    // What is no text is none of the cache's business.
    for input in [json!([1, 2]), json!([[1, 2]])] {
        let response = setup.send(json!({ "model": "acme/embed", "input": input }), "").await;
        assert_eq!((response.status().as_u16(), cache_header(&response)), (200, None));
    }
    let told = setup.provider.told().len();
    let other = tenant();
    let provider = add_provider(&setup.models, &other, "acme", &setup.provider.start().await).await;
    add_model(&setup.models, &other, provider, "embed", ModelKind::Embedding).await;
    let api = Api::new(&setup.models, &other).await;
    assert_eq!(api.send("POST", EMBEDDINGS, json!({ "model": "acme/embed", "input": "a" })).await.0, 200);
    assert_eq!(setup.provider.told().len(), told + 1);
    assert_eq!(api.send("DELETE", CACHE, Value::Null).await.0, 204);
    assert_eq!(setup.line(&["a"]).await, line("hit; age=0"));
}

/// Waits until the provider was asked so often, and a little longer.
async fn until_told(provider: &Provider, count: usize) {
    for _ in 0..500 {
        if provider.told().len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(provider.told().len(), count);
}

#[tokio::test]
async fn twenty_callers_at_the_same_time_are_one_call() {
    let setup = Setup::new(TestStore::sqlite().await, 0).await;
    let callers = futures::future::join_all((0..20).map(|_| setup.line(&["aa", "b"])));
    let answers = async {
        until_told(&setup.provider, 1).await;
        setup.provider.permits.add_permits(1);
    };
    let (lines, ()) = tokio::join!(callers, answers);
    assert_eq!(lines.iter().filter(|header| **header == line("miss")).count(), 1);
    assert_eq!(lines.iter().filter(|header| **header == line("hit; age=0")).count(), 19);
    assert_eq!(setup.provider.told().len(), 1);
}

#[tokio::test]
async fn when_the_first_fails_another_asks_and_nobody_gets_its_error() {
    let setup = Setup::new(TestStore::sqlite().await, 0).await;
    setup.provider.failures.store(1, Ordering::SeqCst);
    let body = || json!({ "model": "acme/embed", "input": "a" });
    let callers = futures::future::join_all((0..4).map(|_| setup.send(body(), "")));
    let answers = async {
        until_told(&setup.provider, 1).await;
        setup.provider.permits.add_permits(4);
    };
    let (responses, ()) = tokio::join!(callers, answers);
    let failed = responses.iter().filter(|response| response.status() == 502).count();
    let succeeded = responses.iter().filter(|response| response.status() == 200).count();
    assert_eq!((failed, succeeded, setup.provider.told().len()), (1, 3, 2));
}

/// Texts embedded by the local model.
async fn locally(models: &Models, ctx: &Ctx, texts: &[&str], purpose: Purpose) -> Embeddings {
    let request = EmbedRequest {
        model: Some("local/all-minilm-l6-v2".to_owned()),
        inputs: texts.iter().map(|text| (*text).to_owned()).collect(),
        purpose,
        priority: Priority::Ordinary,
    };
    models.embed(ctx, request).await.unwrap()
}

#[tokio::test]
async fn a_local_model_embeds_a_text_once() {
    let test = TestStore::sqlite().await;
    let models = Models::new(&system(), test.store(), local_models(&settings()), config()).unwrap();
    let ctx = tenant();
    let first = locally(&models, &ctx, &["a cat on a mat", "tax law"], Purpose::Ingest).await;
    let again = locally(&models, &ctx, &["tax law", "a cat on a mat", "the tide"], Purpose::Ingest).await;
    assert_eq!(again.vectors[0], first.vectors[1]);
    assert_eq!(again.vectors[1], first.vectors[0]);
    let known = locally(&models, &ctx, &["the tide"], Purpose::Api).await;
    assert_eq!(known.vectors[0], again.vectors[2]);
    let call = models.call(&ctx, again.call_id).await.unwrap();
    assert_eq!(call.cache.unwrap().texts, Some(TextHits { known: 2, all: 3 }));
    let call = models.call(&ctx, known.call_id).await.unwrap();
    let hit = call.cache.unwrap();
    assert_eq!((hit.kind, hit.call_id, hit.saved.unwrap().amount_micros), (CacheKind::Exact, again.call_id, 0));
    assert_eq!((call.cost.unwrap().amount_micros, call.usage.input_tokens), (0, 0));
}
