//! Rerankers of providers.

use plasma_kernel::Code;
use plasma_models::{
    BudgetPeriod, BudgetSubject, CallStatus, ModelKind, NewBudget, NewModel, Price, ProviderKind, ProviderOptions,
    Purpose, Rates, RerankRequest,
};
use plasma_testkit::on_each_database;
use serde_json::{Value, json};

use crate::{
    support::{Setup, call_id},
    upstream::{Answer, Upstream},
};

async fn add(setup: &Setup, name: &str, price: Option<Price>) {
    let new = NewModel {
        provider: setup.provider,
        name: name.to_owned(),
        upstream_name: Some("upstream-model".to_owned()),
        kind: ModelKind::Rerank,
        context_length: None,
        dimensions: None,
        price,
        capabilities: None,
        domain: None,
        description: None,
    };
    setup.models.create_model(&setup.ctx, new).await.unwrap();
}

/// 2.00 USD for a million tokens.
fn by_the_token() -> Option<Price> {
    Some(Price { rates: Rates { input: Some(2_000_000), ..Rates::default() }, ..Price::default() })
}

/// 2.00 USD for a thousand calls.
fn by_the_call() -> Option<Price> {
    Some(Price { call_micros_per_thousand: Some(2_000_000), ..Price::default() })
}

fn answer() -> Answer {
    Answer::json(json!({
        "id": "r1", "model": "upstream-model", "usage": {"total_tokens": 50},
        "results": [{"index": 1, "relevance_score": 0.25, "document": {"text": "b"}}, {"index": 0, "relevance_score": 0.75}],
    }))
}

fn request(model: &str) -> RerankRequest {
    RerankRequest {
        model: model.to_owned(),
        query: "which?".to_owned(),
        documents: vec!["a".to_owned(), "b".to_owned()],
        top_n: None,
        purpose: Purpose::Search,
    }
}

on_each_database! {
    async fn texts_are_ranked_and_the_call_is_recorded(test: TestStore) {
        let setup = Setup::new(test, answer()).await;
        add(&setup, "rerank", by_the_token()).await;
        let reranking = setup.models.rerank(&setup.ctx, request("acme/rerank")).await.unwrap();
        let scores: Vec<(usize, f64)> = reranking.results.iter().map(|document| (document.index, document.score)).collect();
        assert_eq!(scores, [(0, 0.75), (1, 0.25)]);
        assert_eq!((reranking.model.as_str(), reranking.input_tokens), ("acme/rerank", 50));
        let seen = setup.upstream.only();
        assert_eq!(seen.path, "/v1/rerank");
        assert_eq!(seen.json, json!({"model": "upstream-model", "query": "which?", "documents": ["a", "b"]}));
        let call = setup.only_call().await;
        assert_eq!((call.id, call.kind, call.purpose, call.status), (reranking.call_id, ModelKind::Rerank, Purpose::Search, CallStatus::Succeeded));
        assert_eq!((call.usage.input_tokens, call.cost.unwrap().amount_micros), (50, 100));
    }

    async fn clients_rerank_too(test: TestStore) {
        let setup = Setup::new(test, answer()).await;
        add(&setup, "rerank", by_the_call()).await;
        let body = json!({"model": "acme/rerank", "query": "which?", "documents": ["a", "b"], "top_n": 1});
        let response = setup.post("/v1/rerank", body.to_string()).await;
        assert_eq!(response.status(), 200);
        let call = setup.call(&call_id(&response)).await;
        assert_eq!((call.purpose, call.cost.unwrap().amount_micros), (Purpose::Api, 2_000));
        let answered: Value = response.json().await.unwrap();
        assert_eq!(answered["results"], json!([{"index": 0, "relevance_score": 0.75}]));
        assert_eq!(setup.upstream.only().json["top_n"], 1);
        for (body, param) in [
            (json!({"model": "acme/rerank", "query": "", "documents": ["a"]}), "query"),
            (json!({"model": "acme/rerank", "query": "q", "documents": []}), "documents"),
            (json!({"model": "acme/chat", "query": "q", "documents": ["a"]}), "model"),
        ] {
            let response = setup.post("/v1/rerank", body.to_string()).await;
            assert_eq!(response.status(), 400, "{body}");
            assert_eq!(response.json::<Value>().await.unwrap()["error"]["param"], param, "{body}");
        }
    }

    async fn what_is_no_answer_is_an_error_of_the_provider(test: TestStore) {
        let short = Answer::json(json!({"results": [{"index": 0, "relevance_score": 1}]}));
        let upstream = Upstream::start_with([short, Answer::json(json!({"data": []})), Answer::error(500, "out of memory"), Answer::Silence]).await;
        let setup = Setup::with(test, upstream).await;
        add(&setup, "rerank", by_the_token()).await;
        for reason in ["provider_answer_invalid", "provider_answer_invalid", "provider_failed"] {
            let error = setup.models.rerank(&setup.ctx, request("acme/rerank")).await.unwrap_err();
            assert_eq!((error.code(), error.reason()), (Code::Upstream, reason));
        }
        // Whoever does not wait any longer ends the call.
        let patience = std::time::Duration::from_millis(300);
        assert!(tokio::time::timeout(patience, setup.models.rerank(&setup.ctx, request("acme/rerank"))).await.is_err());
        setup.upstream.abandoned().await;
    }

    async fn a_reranker_needs_a_price_and_a_budget(test: TestStore) {
        let setup = Setup::new(test, answer()).await;
        add(&setup, "unpriced", None).await;
        add(&setup, "dear", by_the_call()).await;
        add(&setup, "free", Some(Price { free: true, ..Price::default() })).await;
        let error = setup.models.rerank(&setup.ctx, request("acme/unpriced")).await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Conflict, "price_unknown"));
        let budget = NewBudget {
            subject: BudgetSubject::Tenant {}, period: BudgetPeriod::Day, limit_micros: 3_000, currency: "USD".to_owned(),
        };
        setup.models.create_budget(&setup.ctx, budget).await.unwrap();
        setup.models.rerank(&setup.ctx, request("acme/dear")).await.unwrap();
        let error = setup.models.rerank(&setup.ctx, request("acme/dear")).await.unwrap_err();
        assert_eq!(error.code(), Code::OverBudget);
        setup.models.rerank(&setup.ctx, request("acme/free")).await.unwrap();
    }

    async fn other_kinds_of_providers_have_none(test: TestStore) {
        let upstream = Upstream::start(Answer::json(json!({}))).await;
        let setup = Setup::of_kind(test, upstream, ProviderKind::Gemini, ProviderOptions::default()).await;
        add(&setup, "rerank", by_the_call()).await;
        let error = setup.models.rerank(&setup.ctx, request("acme/rerank")).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("model")));
        assert!(setup.upstream.seen().is_empty());
    }
}
