//! A server with `/v1/rerank`, as vLLM, llama.cpp and others have it. It counts how often each document has the word `lamp`, remembers what
//! it was asked, and can be told to fail.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use plasma_models::{ModelKind, NewModel, NewProvider, Price, ProviderKind, ProviderOptions};
use serde_json::{Value, json};

use crate::support::Setup;

#[derive(Clone, Default)]
pub struct Reranker {
    asked: Arc<Mutex<Vec<Value>>>,
    fails: Arc<AtomicBool>,
}

async fn rerank(State(reranker): State<Reranker>, Json(request): Json<Value>) -> Response {
    reranker.asked.lock().unwrap().push(request.clone());
    // Long enough that others ask the same meanwhile.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    if reranker.fails.load(Ordering::SeqCst) {
        let body = json!({"error": {"message": "out of memory", "type": "server_error"}});
        return (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response();
    }
    let documents = request["documents"].as_array().unwrap();
    let score = |document: &Value| document.as_str().unwrap().matches("lamp").count() as f64 / 10.0;
    let mut results: Vec<Value> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| json!({"index": index, "relevance_score": score(document)}))
        .collect();
    // As real ones do: best first.
    results.sort_by(|left, right| {
        right["relevance_score"].as_f64().unwrap().total_cmp(&left["relevance_score"].as_f64().unwrap())
    });
    Json(json!({"model": request["model"], "results": results, "usage": {"total_tokens": 100}})).into_response()
}

impl Reranker {
    /// Starts the server and makes it the provider `acme` with the free reranker `acme/rerank`.
    pub async fn start(setup: &Setup) -> Self {
        let reranker = Self::default();
        let router = Router::new().route("/v1/rerank", post(rerank)).with_state(reranker.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let provider = NewProvider {
            name: "acme".to_owned(),
            kind: ProviderKind::Openai,
            base_url,
            api_key: None,
            options: ProviderOptions::default(),
        };
        let provider = setup.models.create_provider(&setup.ctx, provider).await.unwrap();
        let model = NewModel {
            provider: provider.id,
            name: "rerank".to_owned(),
            upstream_name: None,
            kind: ModelKind::Rerank,
            context_length: None,
            dimensions: None,
            price: Some(Price { free: true, ..Price::default() }),
            capabilities: None,
            domain: None,
            description: None,
        };
        setup.models.create_model(&setup.ctx, model).await.unwrap();
        reranker
    }

    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// What it was asked, in order.
    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}
