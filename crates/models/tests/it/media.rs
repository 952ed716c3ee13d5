//! Pictures and recordings pass through to providers that have them.

use plasma_kernel::Code;
use plasma_models::{
    BudgetPeriod, BudgetSubject, CallStatus, ModelKind, NewBudget, NewModel, Price, ProviderKind, ProviderOptions,
    Rates,
};
use plasma_testkit::on_each_database;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::{
    support::{Setup, call_id},
    upstream::{Answer, Upstream},
};

/// 40.00 USD for a thousand calls: 40000 millionths each.
async fn add(setup: &Setup, name: &str, kind: ModelKind, price: Option<Price>) {
    let new = NewModel {
        provider: setup.provider,
        name: name.to_owned(),
        upstream_name: Some("upstream-model".to_owned()),
        kind,
        context_length: None,
        dimensions: None,
        price,
        capabilities: None,
        domain: None,
        description: None,
    };
    setup.models.create_model(&setup.ctx, new).await.unwrap();
}

fn by_the_call() -> Option<Price> {
    Some(Price { call_micros_per_thousand: Some(40_000_000), ..Price::default() })
}

fn recording(model: &str) -> Form {
    let file = Part::text("RIFF of a recording").file_name("a.wav").mime_str("audio/wav").unwrap();
    Form::new().text("model", model.to_owned()).part("file", file).text("language", "en")
}

async fn transcribe(setup: &Setup, form: Form) -> reqwest::Response {
    setup.client.post(format!("{}/v1/audio/transcriptions", setup.url)).multipart(form).send().await.unwrap()
}

on_each_database! {
    async fn pictures_pass_through(test: TestStore) {
        let answer = json!({"created": 1, "data": [{"b64_json": "AAAA"}], "unheard_of": 12345678901234567890_u64});
        let setup = Setup::new(test, Answer::json(answer.clone())).await;
        add(&setup, "painter", ModelKind::Image, by_the_call()).await;
        let response = setup.post("/v1/images/generations", r#"{"model":"acme/painter","prompt":"a cat","unknown":[1]}"#).await;
        assert_eq!(response.status(), 200);
        let call = setup.call(&call_id(&response)).await;
        assert_eq!(response.json::<Value>().await.unwrap(), answer);
        let seen = setup.upstream.only();
        assert_eq!((seen.path.as_str(), &seen.json), ("/v1/images/generations", &json!({"model": "upstream-model", "prompt": "a cat", "unknown": [1]})));
        assert_eq!((call.kind, call.status, call.cost.unwrap().amount_micros), (ModelKind::Image, CallStatus::Succeeded, 40_000));
        for (body, param) in [
            (r#"{"model":"acme/painter","prompt":"a cat","stream":true}"#, "stream"),
            (r#"{"prompt":"a cat"}"#, "model"),
            (r#"{"model":"acme/chat","prompt":"a cat"}"#, "model"),
        ] {
            let response = setup.post("/v1/images/generations", body).await;
            assert_eq!(response.status(), 400, "{body}");
            assert_eq!(response.json::<Value>().await.unwrap()["error"]["param"], param, "{body}");
        }
    }

    async fn speech_is_streamed_and_recorded(test: TestStore) {
        let bytes: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let setup = Setup::new(test, Answer::Bytes("audio/mpeg", bytes.clone())).await;
        add(&setup, "reader", ModelKind::Speech, by_the_call()).await;
        let response = setup.post("/v1/audio/speech", r#"{"model":"acme/reader","input":"Hello","voice":"low"}"#).await;
        assert_eq!((response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()), (200, "audio/mpeg"));
        let id = call_id(&response);
        assert!(response.bytes().await.unwrap() == bytes, "the bytes are others");
        // The last byte goes out when the record is durable.
        let call = setup.call(&id).await;
        assert_eq!((call.kind, call.status, call.cost.unwrap().amount_micros), (ModelKind::Speech, CallStatus::Succeeded, 40_000));
        assert_eq!(setup.upstream.only().json["model"], "upstream-model");
    }

    async fn recordings_are_written_down(test: TestStore) {
        let setup = Setup::new(test, Answer::json(json!({"text": "hello"}))).await;
        add(&setup, "writer", ModelKind::Transcription, by_the_call()).await;
        let response = transcribe(&setup, recording("acme/writer")).await;
        assert_eq!(response.status(), 200);
        let id = call_id(&response);
        assert_eq!(response.json::<Value>().await.unwrap(), json!({"text": "hello"}));
        let call = setup.call(&id).await;
        assert_eq!((call.kind, call.cost.unwrap().amount_micros), (ModelKind::Transcription, 40_000));
        let seen = setup.upstream.only();
        assert_eq!(seen.path, "/v1/audio/transcriptions");
        for part in ["RIFF of a recording", "filename=\"a.wav\"", "audio/wav", "name=\"language\"", "upstream-model"] {
            assert!(seen.text.contains(part), "{part} is not in {}", seen.text);
        }
        assert!(!seen.text.contains("acme/writer"));
        for (form, param) in [(Form::new().text("model", "acme/writer"), "file"), (recording("acme/writer").text("model", "x"), "model")] {
            let response = transcribe(&setup, form).await;
            assert_eq!((response.status().as_u16(), response.json::<Value>().await.unwrap()["error"]["param"].clone()), (400, json!(param)));
        }
    }

    async fn such_a_call_needs_a_price_for_itself_and_a_budget(test: TestStore) {
        let setup = Setup::new(test, Answer::json(json!({"created": 1, "data": []}))).await;
        let tokens = Price { rates: Rates { input: Some(1), output: Some(1), ..Rates::default() }, ..Price::default() };
        add(&setup, "unpriced", ModelKind::Image, Some(tokens)).await;
        add(&setup, "painter", ModelKind::Image, by_the_call()).await;
        add(&setup, "free", ModelKind::Image, Some(Price { free: true, ..Price::default() })).await;
        let send = |model: &str| setup.post("/v1/images/generations", format!(r#"{{"model":"acme/{model}","prompt":"x"}}"#));
        let refused = send("unpriced").await;
        assert_eq!(refused.status(), 409);
        let error: Value = refused.json().await.unwrap();
        assert_eq!(error["error"]["code"], "price_unknown");
        assert!(error["error"]["message"].as_str().unwrap().contains("call_price_micros_per_thousand"), "{error}");
        let budget = NewBudget {
            subject: BudgetSubject::Tenant {}, period: BudgetPeriod::Day, limit_micros: 100_000, currency: "USD".to_owned(),
        };
        setup.models.create_budget(&setup.ctx, budget).await.unwrap();
        let mut statuses = Vec::new();
        for model in ["painter", "painter", "painter", "free"] {
            statuses.push(send(model).await.status().as_u16());
        }
        assert_eq!(statuses, [200, 200, 402, 200]);
    }

    async fn other_kinds_of_providers_are_refused(test: TestStore) {
        let upstream = Upstream::start(Answer::json(json!({}))).await;
        let setup = Setup::of_kind(test, upstream, ProviderKind::Anthropic, ProviderOptions::default()).await;
        add(&setup, "painter", ModelKind::Image, by_the_call()).await;
        let response = setup.post("/v1/images/generations", r#"{"model":"acme/painter","prompt":"x"}"#).await;
        assert_eq!(response.status(), 400);
        assert!(setup.upstream.seen().is_empty());
        let dear = Price { call_micros_per_thousand: Some(-1), ..Price::default() };
        let error = setup.models.set_price(&setup.ctx, "acme/painter", Some(dear)).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("call_price_micros_per_thousand")));
    }
}
