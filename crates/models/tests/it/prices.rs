//! What models cost: public prices, prices of one's own, and the cost of calls by them.

use plasma_kernel::{Code, PageRequest, Permission, Permissions};
use plasma_models::{ModelKind, NewModel, Price, PriceSource, PriceTier, Rates, events};
use plasma_store::EventFilter;
use plasma_testkit::{on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, add_provider, call_id},
    upstream::{Answer, whole_answer},
};

const PRICE: &str = "/api/v1/models/acme%2Fchat/price";
const BODY: &str = r#"{"model":"acme/chat","messages":[]}"#;

async fn put(setup: &Setup, path: &str, body: Value) -> (u16, Value) {
    let response = setup.client.put(format!("{}{path}", setup.url)).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

fn model_of(provider: &str, name: &str, kind: &str) -> Value {
    json!({ "provider": provider, "name": name, "kind": kind })
}

async fn add(setup: &Setup, model: Value) -> Value {
    let response = setup.client.post(format!("{}/api/v1/models", setup.url)).json(&model).send().await.unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, 201, "{body}");
    body
}

fn usd(amount_micros: i64) -> Value {
    json!({ "amount_micros": amount_micros, "currency": "USD" })
}

/// An answer of 100 tokens read, 60 of them from a cache, and 10 written, 4 of them thoughts.
fn cached_answer() -> Value {
    let mut answer = whole_answer("Hello", 100, 10);
    answer["usage"]["prompt_tokens_details"] = json!({ "cached_tokens": 60 });
    answer["usage"]["completion_tokens_details"] = json!({ "reasoning_tokens": 4 });
    answer
}

on_each_database! {
    async fn a_public_price_is_known_without_asking_anyone(test: TestStore) {
        let setup = Setup::new(test, Answer::json(cached_answer())).await;
        let anthropic = add_provider(&setup.models, &setup.ctx, "claude", "https://api.anthropic.com/v1").await.to_string();
        let model = add(&setup, model_of(&anthropic, "claude-sonnet-4-5", "chat")).await;
        assert_eq!(model["price_source"], "snapshot");
        assert_eq!(model["price_snapshot"]["provider"], "anthropic");
        assert_eq!(model["price_snapshot"]["version"], "0.2.3");
        let price = &model["price"];
        // Anthropic's published prices: 3 and 15 USD, a tenth for what a cache answers, a quarter more for what is written to it.
        let parts = ["input", "output", "cached_input", "cache_write"].map(|part| &price[format!("{part}_per_million")]);
        assert_eq!(parts, [&usd(3_000_000), &usd(15_000_000), &usd(300_000), &usd(3_750_000)]);
        assert_eq!(price["tiers"][0]["above_input_tokens"], 200_000);
        assert_eq!(price["tiers"][0]["output_per_million"], usd(22_500_000));

        let unknown = add(&setup, model_of(&anthropic, "no-such-model", "chat")).await;
        assert_eq!([&unknown["price"], &unknown["price_source"], &unknown["price_snapshot"]], [&Value::Null; 3]);
        // The same name at a server of one's own is not the company's model.
        let own = add(&setup, model_of(&setup.provider.to_string(), "claude-sonnet-4-5", "chat")).await;
        assert_eq!([&own["price"], &own["price_source"]], [&Value::Null; 2]);

        let (_, list) = setup.get("/api/v1/models").await;
        let listed = |id: &str| list["data"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap();
        assert_eq!(listed("claude/claude-sonnet-4-5"), &model);
        assert_eq!(listed("acme/chat")["price_source"], "administrator");
        let local = listed("local/all-minilm-l6-v2");
        assert_eq!((&local["price"]["free"], &local["price_source"]), (&json!(true), &Value::Null));
        assert!(setup.upstream.seen().is_empty());
    }

    async fn a_price_is_set_marked_free_and_taken_away(test: TestStore) {
        let setup = Setup::new(test, Answer::json(cached_answer())).await;
        let anthropic = add_provider(&setup.models, &setup.ctx, "claude", "https://api.anthropic.com/v1").await.to_string();
        add(&setup, model_of(&anthropic, "claude-sonnet-4-5", "chat")).await;
        let path = "/api/v1/models/claude%2Fclaude-sonnet-4-5/price";
        let own = json!({
            "input_price_micros_per_million": 4, "cached_input_price_micros_per_million": 3,
            "cache_write_price_micros_per_million": 2, "output_price_micros_per_million": 1, "currency": "EUR",
            "batch_discount_percent": 50,
        });
        let (status, model) = put(&setup, path, own).await;
        assert_eq!((status, &model["price_source"], &model["price_snapshot"]), (200, &json!("administrator"), &Value::Null));
        let amounts = ["input", "cached_input", "cache_write", "output"]
            .map(|part| model["price"][format!("{part}_per_million")]["amount_micros"].as_i64().unwrap());
        assert_eq!(amounts, [4, 3, 2, 1]);
        assert_eq!((&model["price"]["output_per_million"]["currency"], &model["price"]["tiers"]), (&json!("EUR"), &json!([])));
        assert_eq!((&model["price"]["batch_discount_percent"], &model["price"]["batch"]), (&json!(50), &Value::Null));
        let stored = setup.models.model(&setup.ctx, "claude/claude-sonnet-4-5").await.unwrap().price.unwrap();
        assert_eq!(stored.batch_discount_percent, Some(50));

        let (status, model) = put(&setup, path, json!({ "free": true })).await;
        assert_eq!((status, &model["price_source"]), (200, &json!("administrator")));
        assert_eq!((&model["price"]["free"], &model["price"]["input_per_million"]), (&json!(true), &usd(0)));
        assert_eq!(model["price"]["batch_discount_percent"], Value::Null);

        // What is left out is unknown, not taken from the snapshot.
        let (_, model) = put(&setup, path, json!({ "input_price_micros_per_million": 7 })).await;
        assert_eq!((&model["price"]["input_per_million"], &model["price"]["output_per_million"]), (&usd(7), &Value::Null));

        let (status, model) = put(&setup, path, json!({})).await;
        assert_eq!((status, &model["price_source"]), (200, &json!("snapshot")));
        assert_eq!(model["price"]["input_per_million"], usd(3_000_000));
        // Anthropic takes half for its batches.
        assert_eq!(model["price"]["batch"]["input_per_million"], usd(1_500_000));

        let filter = EventFilter { kind: Some(events::MODEL_PRICED.to_owned()) };
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let events = tx.events_page(&filter, &PageRequest::default()).await.unwrap().data;
        assert_eq!(events.len(), 4);
        assert_eq!(events[0].data["price"], Value::Null);
        assert_eq!(events[2].data["price"], json!({ "free": true }));
    }

    async fn a_wrong_price_is_refused_by_the_field(test: TestStore) {
        let setup = Setup::new(test, Answer::json(cached_answer())).await;
        for (body, field) in [
            (json!({ "free": true, "input_price_micros_per_million": 0 }), "free"),
            (json!({ "free": true, "currency": "USD" }), "currency"),
            (json!({ "currency": "USD" }), "currency"),
            (json!({ "input_price_micros_per_million": -1 }), "input_price_micros_per_million"),
            (json!({ "cached_input_price_micros_per_million": 1_000_000_000_001_i64 }), "cached_input_price_micros_per_million"),
            (json!({ "cache_write_price_micros_per_million": -1 }), "cache_write_price_micros_per_million"),
            (json!({ "output_price_micros_per_million": 1, "currency": "euro" }), "currency"),
            (json!({ "tiers": [] }), "tiers"),
            (json!({ "input_price_micros_per_million": 1, "batch_discount_percent": 101 }), "batch_discount_percent"),
            (json!({ "input_price_micros_per_million": 1, "batch_discount_percent": -1 }), "batch_discount_percent"),
            (json!({ "batch_discount_percent": 50 }), "batch_discount_percent"),
            (json!({ "free": true, "batch_discount_percent": 50 }), "batch_discount_percent"),
        ] {
            let (status, problem) = put(&setup, PRICE, body.clone()).await;
            assert_eq!((status, &problem["field"]), (400, &json!(field)), "{body}: {problem}");
        }
        let (status, problem) = put(&setup, "/api/v1/models/acme%2Fnone/price", json!({})).await;
        assert_eq!((status, &problem["reason"]), (404, &json!("model_not_found")));
        let (status, problem) = put(&setup, "/api/v1/models/local%2Fall-minilm-l6-v2/price", json!({ "free": true })).await;
        assert_eq!((status, &problem["reason"]), (409, &json!("model_is_local")));

        let tier = PriceTier { above_input_tokens: 1, rates: Rates::default() };
        for price in [
            Price { tiers: vec![tier], ..Price::default() },
            Price { rates: Rates { reasoning: Some(1), ..Rates::default() }, ..Price::default() },
            Price { call_micros_per_thousand: Some(-1), ..Price::default() },
            Price { batch: Some(Box::default()), ..Price::default() },
            Price { free: true, batch_discount_percent: Some(50), ..Price::default() },
        ] {
            let error = setup.models.set_price(&setup.ctx, "acme/chat", Some(price)).await.unwrap_err();
            assert_eq!(error.code(), Code::Invalid);
        }
        // Nothing of this changed anything, and others cannot.
        let model = setup.models.model(&setup.ctx, "acme/chat").await.unwrap();
        assert_eq!(model.price.unwrap().rates.input, Some(2_500_000));
        let reader = with_permissions(&setup.ctx, Permissions::none().with(Permission::ModelsRead));
        let error = setup.models.set_price(&reader, "acme/chat", None).await.unwrap_err();
        assert_eq!(error.code(), Code::Forbidden);
        let error = setup.models.set_price(&tenant(), "acme/chat", None).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        let model = setup.models.model(&setup.ctx, "acme/chat").await.unwrap();
        assert_eq!(model.price_source, Some(PriceSource::Administrator));
    }

    async fn a_call_costs_what_its_cached_tokens_cost(test: TestStore) {
        let setup = Setup::new(test, Answer::json(cached_answer())).await;
        let call = async || {
            let response = setup.post("/v1/chat/completions", BODY).await;
            assert_eq!(response.status(), 200);
            let (_, call) = setup.get(&format!("/api/v1/models/calls/{}", call_id(&response))).await;
            call
        };
        // 100 at 2.50 and 10 at 10: no price for cached tokens is known.
        let record = call().await;
        assert_eq!(record["cost"], usd(250 + 100));
        let tokens = ["input", "cached_input", "cache_write", "output", "reasoning"]
            .map(|part| record[format!("{part}_tokens")].as_u64().unwrap());
        assert_eq!(tokens, [100, 60, 0, 10, 4]);
        let price = json!({
            "input_price_micros_per_million": 2_500_000, "cached_input_price_micros_per_million": 250_000,
            "output_price_micros_per_million": 10_000_000,
        });
        assert_eq!(put(&setup, PRICE, price).await.0, 200);
        // The next call has the new price: 40 at 2.50, 60 at 0.25, 10 at 10.
        assert_eq!(call().await["cost"], usd(100 + 15 + 100));
        assert_eq!(put(&setup, PRICE, json!({ "free": true })).await.0, 200);
        assert_eq!(call().await["cost"], usd(0));
        assert_eq!(put(&setup, PRICE, json!({})).await.0, 200);
        // Without a price it would count as nothing, so it is not called.
        assert_eq!(setup.post("/v1/chat/completions", BODY).await.status(), 409);
    }

    async fn a_free_model_costs_nothing_also_when_its_tokens_are_not_told(test: TestStore) {
        let mut answer = whole_answer("Hello", 1, 1);
        answer["usage"] = Value::Null;
        let setup = Setup::new(test, Answer::json(answer)).await;
        let new = NewModel {
            provider: setup.provider,
            name: "free".to_owned(),
            upstream_name: None,
            kind: ModelKind::Chat,
            context_length: None,
            dimensions: None,
            price: Some(Price { free: true, ..Price::default() }),
            capabilities: None,
            domain: None,
            description: None,
        };
        let model = setup.models.create_model(&setup.ctx, new).await.unwrap();
        assert!(model.price.as_ref().is_some_and(|price| price.free));
        assert_eq!(setup.models.model(&setup.ctx, "acme/free").await.unwrap().price, model.price);
        let cost = async |model: &str| {
            let response = setup.post("/v1/chat/completions", format!(r#"{{"model":"{model}","messages":[]}}"#)).await;
            assert_eq!(response.status(), 200);
            setup.call(&call_id(&response)).await.cost
        };
        assert_eq!(cost("acme/free").await.map(|cost| cost.amount_micros), Some(0));
        assert_eq!(cost("acme/chat").await, None);
    }
}
