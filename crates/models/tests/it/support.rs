//! A tenant with models, and Plasma's own routes on a port.

use std::{path::Path, time::Duration};

use axum::Extension;
use plasma_kernel::{CallId, Ctx, PageRequest, ProviderId};
use plasma_models::{
    BrokenStream, CallFilter, CallStatus, LocalModels, LocalSettings, Manifest, Model, ModelCall, ModelKind, Models,
    ModelsConfig, NewModel, NewProvider, Price, ProviderKind, ProviderOptions, Rates, Residency, RouteCache,
    RouteCandidate, RouteSettings, Strategy, http,
};
use plasma_store::Store;
use plasma_testkit::{TestStore, system, tenant};
use serde_json::Value;

use crate::upstream::{Answer, Upstream, listen};

pub const API_KEY: &str = "sk-upstream-0123456789abcdef";

/// Short enough that a test of a timeout is quick, long enough for a busy machine.
pub const STALL: Duration = Duration::from_millis(1_500);

pub fn config() -> ModelsConfig {
    ModelsConfig {
        stall_timeout: STALL,
        total_timeout: Duration::from_secs(20),
        attempts_max: 1,
        ..ModelsConfig::default()
    }
}

/// Without local weights.
pub fn open(store: Store) -> Models {
    open_with(store, config())
}

pub fn open_with(store: Store, config: ModelsConfig) -> Models {
    let local =
        LocalModels::new(&Manifest::builtin().unwrap(), Path::new("/nonexistent/models"), &LocalSettings::default());
    Models::new(&system(), store, local, config).unwrap()
}

pub async fn add_provider(models: &Models, ctx: &Ctx, name: &str, base_url: &str) -> ProviderId {
    add_provider_of(models, ctx, name, base_url, ProviderKind::Openai, ProviderOptions::default()).await
}

pub async fn add_provider_of(
    models: &Models,
    ctx: &Ctx,
    name: &str,
    base_url: &str,
    kind: ProviderKind,
    options: ProviderOptions,
) -> ProviderId {
    let api_key = Some(API_KEY.to_owned());
    let new = NewProvider { name: name.to_owned(), kind, base_url: base_url.to_owned(), api_key, options };
    models.create_provider(ctx, new).await.unwrap().id
}

/// A route that asks these models in this order, each once.
pub fn ordered_route(candidates: &[&str]) -> RouteSettings {
    RouteSettings {
        strategy: Strategy::Ordered,
        candidates: candidates.iter().map(|model| RouteCandidate { model: (*model).to_owned(), weight: 1 }).collect(),
        residency: Residency::Any,
        context_length_min: None,
        complexity_threshold: None,
        requires_domain: None,
        requires: Vec::new(),
        attempts_max: 1,
        first_token_timeout_ms: None,
        on_broken_stream: BrokenStream::EndWithError,
        cache: RouteCache::default(),
    }
}

/// 2.50 and 10.00 USD for a million tokens.
pub async fn add_model(models: &Models, ctx: &Ctx, provider: ProviderId, name: &str, kind: ModelKind) -> Model {
    let rates = Rates { input: Some(2_500_000), output: Some(10_000_000), ..Rates::default() };
    let new = NewModel {
        provider,
        name: name.to_owned(),
        upstream_name: Some("upstream-model".to_owned()),
        kind,
        context_length: None,
        dimensions: None,
        price: Some(Price { rates, ..Price::default() }),
        capabilities: None,
        domain: None,
        description: None,
    };
    models.create_model(ctx, new).await.unwrap()
}

/// A tenant whose provider `acme` is an upstream with the chat model `acme/chat` and the embedding model `acme/embed`.
pub struct Setup {
    pub test: TestStore,
    pub models: Models,
    pub ctx: Ctx,
    pub upstream: Upstream,
    pub provider: ProviderId,
    /// Plasma's address.
    pub url: String,
    pub client: reqwest::Client,
}

impl Setup {
    pub async fn new(test: TestStore, answer: Answer) -> Self {
        Self::with(test, Upstream::start(answer).await).await
    }

    pub async fn with(test: TestStore, upstream: Upstream) -> Self {
        Self::of_kind(test, upstream, ProviderKind::Openai, ProviderOptions::default()).await
    }

    /// The same where `acme` is a provider of another kind.
    pub async fn of_kind(test: TestStore, upstream: Upstream, kind: ProviderKind, options: ProviderOptions) -> Self {
        let models = open(test.store());
        let ctx = tenant();
        let provider = add_provider_of(&models, &ctx, "acme", &upstream.url, kind, options).await;
        add_model(&models, &ctx, provider, "chat", ModelKind::Chat).await;
        add_model(&models, &ctx, provider, "embed", ModelKind::Embedding).await;
        let url = serve(&models, &ctx).await;
        Self { test, models, ctx, upstream, provider, url, client: reqwest::Client::new() }
    }

    pub async fn post(&self, path: &str, body: impl Into<String>) -> reqwest::Response {
        self.client
            .post(format!("{}{path}", self.url))
            .header("content-type", "application/json")
            .body(body.into())
            .send()
            .await
            .unwrap()
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// The tenant's calls, newest first.
    pub async fn calls(&self) -> Vec<ModelCall> {
        self.models.calls(&self.ctx, &CallFilter::default(), &PageRequest::default()).await.unwrap().data
    }

    /// The record of the only call, when it has been written.
    pub async fn only_call(&self) -> ModelCall {
        for _ in 0..500 {
            let mut calls = self.calls().await;
            assert!(calls.len() <= 1, "one call was expected: {calls:?}");
            if let Some(call) = calls.pop() {
                return call;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the call was not recorded");
    }

    pub async fn call(&self, id: &str) -> ModelCall {
        self.models.call(&self.ctx, id.parse::<CallId>().unwrap()).await.unwrap()
    }
}

/// Plasma's routes under a context, as after authentication.
pub async fn serve(models: &Models, ctx: &Ctx) -> String {
    let (router, _) = http::routes().split_for_parts();
    format!("http://{}", listen(router.with_state(models.clone()).layer(Extension(ctx.clone()))).await)
}

/// The header that names the record.
pub fn call_id(response: &reqwest::Response) -> String {
    response.headers().get("plasma-call-id").expect("the header plasma-call-id").to_str().unwrap().to_owned()
}

/// The `data` of a stream's events.
pub fn data(stream: &str) -> Vec<&str> {
    stream.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

#[track_caller]
pub fn assert_status(call: &ModelCall, status: CallStatus) {
    assert_eq!(call.status, status, "{call:?}");
}
