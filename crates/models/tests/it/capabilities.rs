//! What models can do, and routes that ask only those that can do what is needed.

use plasma_kernel::{Code, PageRequest, Permission, Permissions};
use plasma_models::{Capability, ModelKind, NewModel, Price, RouteSettings, events};
use plasma_store::EventFilter;
use plasma_testkit::{on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, call_id, open},
    upstream::{Answer, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";
const LOCAL: &str = "local/qwen2.5-coder-0.5b-instruct";

/// A chat model of the provider `acme` of which somebody says what it can do.
async fn add(setup: &Setup, name: &str, capabilities: &[Capability]) {
    let new = NewModel {
        provider: setup.provider,
        name: name.to_owned(),
        upstream_name: Some("upstream-model".to_owned()),
        kind: ModelKind::Chat,
        context_length: None,
        dimensions: None,
        price: Some(Price { free: true, ..Price::default() }),
        capabilities: Some(capabilities.to_vec()),
        domain: None,
        description: None,
    };
    let model = setup.models.create_model(&setup.ctx, new).await.unwrap();
    assert_eq!(model.capabilities.as_deref(), Some(capabilities));
}

async fn put_route(setup: &Setup, name: &str, candidates: &[&str], requires: &[&str]) {
    let candidates: Vec<Value> = candidates.iter().map(|model| json!({ "model": model })).collect();
    let settings = json!({ "strategy": "ordered", "candidates": candidates, "requires": requires });
    let settings: RouteSettings = serde_json::from_value(settings).unwrap();
    setup.models.put_route(&setup.ctx, name, settings).await.unwrap();
}

/// A chat with the route or model, and with more fields.
fn ask(model: &str, more: Value) -> Value {
    let mut body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    json!({ "tools": [{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }] })
}

fn schema() -> Value {
    let schema = json!({ "type": "object", "properties": {}, "additionalProperties": false });
    json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "n", "schema": schema } } })
}

fn image() -> Value {
    let image = json!({ "type": "image_url", "image_url": { "url": "https://example.com/a.png" } });
    json!({ "messages": [{ "role": "user", "content": [image] }] })
}

async fn answered_by(setup: &Setup, path: &str, body: Value) -> String {
    let response = setup.post(path, body.to_string()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    assert_eq!(status, 200, "{}", response.text().await.unwrap());
    headers["plasma-model"].to_str().unwrap().to_owned()
}

on_each_database! {
    async fn a_route_asks_only_models_that_can_do_what_a_request_needs(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        add(&setup, "plain", &[]).await;
        add(&setup, "seeing", &[Capability::Vision]).await;
        // Nobody says what `acme/chat` can do.
        put_route(&setup, "mixed", &["acme/plain", LOCAL, "acme/seeing", "acme/chat"], &[]).await;
        for (more, model) in [
            (json!({}), "acme/plain"),
            (tools(), "acme/chat"),
            (schema(), "acme/chat"),
            (image(), "acme/seeing"),
            (json!({ "reasoning_effort": "high" }), "acme/chat"),
        ] {
            assert_eq!(answered_by(&setup, CHAT, ask("mixed", more.clone())).await, model, "{more}");
        }
        // Another protocol says it in other words.
        let source = json!({ "type": "base64", "media_type": "image/png", "data": "aGk=" });
        let turn = json!({ "role": "user", "content": [{ "type": "image", "source": source }] });
        let body = json!({ "model": "mixed", "max_tokens": 50, "messages": [turn] });
        assert_eq!(answered_by(&setup, "/anthropic/v1/messages", body).await, "acme/seeing");

        let response = setup.post(CHAT, ask("mixed", tools()).to_string()).await;
        let decision = setup.call(&call_id(&response)).await.decision.unwrap();
        let told: Vec<(&str, bool, &str)> = decision
            .candidates
            .iter()
            .map(|candidate| (candidate.model.as_str(), candidate.eligible, candidate.reason.as_str()))
            .collect();
        let why = "it cannot use tools, which this request needs";
        let left_out = ["acme/plain", LOCAL, "acme/seeing"].map(|model| (model, false, why));
        assert_eq!(told[0], ("acme/chat", true, "number 4 of the list"));
        assert_eq!(told[1..], left_out);
    }

    async fn a_route_without_a_model_that_can_says_so_and_a_named_model_is_asked(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        add(&setup, "plain", &[]).await;
        put_route(&setup, "plain-only", &["acme/plain", LOCAL], &[]).await;
        let response = setup.post(CHAT, ask("plain-only", tools()).to_string()).await;
        assert_eq!(response.status(), 503);
        let error = response.json::<Value>().await.unwrap()["error"].clone();
        assert_eq!(error["code"], "route_empty");
        let message = error["message"].as_str().unwrap();
        for model in ["acme/plain", LOCAL] {
            assert!(message.contains(&format!("{model}: it cannot use tools")), "{message}");
        }
        assert!(setup.upstream.seen().is_empty());
        // Who names a model knows what they do; its provider may refuse it.
        assert_eq!(answered_by(&setup, CHAT, ask("acme/plain", tools())).await, "acme/plain");
    }

    async fn a_route_requires_capabilities_of_its_candidates(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        add(&setup, "plain", &[Capability::Tools]).await;
        add(&setup, "able", &[Capability::Tools, Capability::Thinking, Capability::Vision]).await;
        put_route(&setup, "thinkers", &["acme/plain", "acme/able"], &["thinking", "tools"]).await;
        assert_eq!(answered_by(&setup, CHAT, ask("thinkers", json!({}))).await, "acme/able");
        // One of which nobody knows may be able to.
        put_route(&setup, "thinkers", &["acme/plain", "acme/chat", "acme/able"], &["thinking"]).await;
        assert_eq!(answered_by(&setup, CHAT, ask("thinkers", json!({}))).await, "acme/chat");
        let (_, routes) = setup.get("/api/v1/routes").await;
        let settings = |name: &str| {
            routes["data"].as_array().unwrap().iter().find(|route| route["name"] == name).unwrap()["settings"].clone()
        };
        assert_eq!((&settings("thinkers")["requires"], settings("auto").get("requires")), (&json!(["thinking"]), None));
        for wrong in [json!(["tools", "vision", "tools"]), json!(["flying"])] {
            let body = json!({ "strategy": "ordered", "requires": wrong });
            let request = setup.client.put(format!("{}/api/v1/routes/wrong", setup.url)).json(&body);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 400, "{wrong}");
            let problem: Value = response.json().await.unwrap();
            assert!(problem["field"].as_str().unwrap().starts_with("requires"), "{problem}");
        }
    }

    async fn what_a_model_can_do_is_said_and_taken_back(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let put = async |id: &str, capabilities: Value| {
            let url = format!("{}/api/v1/models/{id}/capabilities", setup.url);
            let request = setup.client.put(url).json(&json!({ "capabilities": capabilities }));
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        };
        put_route(&setup, "one", &["acme/chat"], &[]).await;
        assert_eq!(answered_by(&setup, CHAT, ask("one", schema())).await, "acme/chat");
        let (status, model) = put("acme%2Fchat", json!(["vision", "tools"])).await;
        assert_eq!((status, &model["capabilities"]), (200, &json!(["vision", "tools"])));
        // Routes of this process know it at once.
        assert_eq!(setup.post(CHAT, ask("one", schema()).to_string()).await.status(), 503);
        assert_eq!(answered_by(&setup, CHAT, ask("one", tools())).await, "acme/chat");
        let (_, list) = setup.get("/api/v1/models").await;
        let said = |id: &str| {
            list["data"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap()["capabilities"].clone()
        };
        assert_eq!(said("acme/chat"), json!(["vision", "tools"]));
        assert_eq!([said("acme/embed"), said("local/all-minilm-l6-v2"), said(LOCAL)], [Value::Null, Value::Null, json!([])]);
        // Another process finds it in the database.
        let other = open(setup.test.open_again().await);
        let known = other.model(&setup.ctx, "acme/chat").await.unwrap().capabilities;
        assert_eq!(known.as_deref(), Some(&[Capability::Vision, Capability::Tools][..]));
        let (status, model) = put("acme%2Fchat", Value::Null).await;
        assert_eq!((status, &model["capabilities"]), (200, &Value::Null));
        assert_eq!(answered_by(&setup, CHAT, ask("one", schema())).await, "acme/chat");

        let filter = EventFilter { kind: Some(events::MODEL_CHANGED.to_owned()) };
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let events = tx.events_page(&filter, &PageRequest::default()).await.unwrap().data;
        let told: Vec<&Value> = events.iter().map(|event| &event.data["capabilities"]).collect();
        assert_eq!(told, [&Value::Null, &json!(["vision", "tools"])]);
    }

    async fn wrong_capabilities_are_refused(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let (models, ctx) = (&setup.models, &setup.ctx);
        let twice = Some(vec![Capability::Tools, Capability::Tools]);
        let error = models.set_capabilities(ctx, "acme/chat", twice.clone()).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("capabilities[1]")));
        let error = models.set_capabilities(ctx, "acme/embed", Some(Vec::new())).await.unwrap_err();
        assert_eq!((error.code(), error.field_name()), (Code::Invalid, Some("capabilities")));
        for id in [LOCAL, "local/all-minilm-l6-v2"] {
            let error = models.set_capabilities(ctx, id, Some(Vec::new())).await.unwrap_err();
            assert_eq!(error.reason(), "model_is_local", "{id}");
        }
        let new = |kind: ModelKind, capabilities| NewModel {
            provider: setup.provider,
            name: "new".to_owned(),
            upstream_name: None,
            kind,
            context_length: None,
            dimensions: None,
            price: None,
            capabilities,
            domain: None,
            description: None,
        };
        for wrong in [new(ModelKind::Chat, twice), new(ModelKind::Embedding, Some(vec![Capability::Tools]))] {
            let error = models.create_model(ctx, wrong).await.unwrap_err();
            assert!(error.field_name().unwrap().starts_with("capabilities"), "{error}");
        }
        assert_eq!(models.set_capabilities(ctx, "acme/none", None).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(models.set_capabilities(&tenant(), "acme/chat", None).await.unwrap_err().code(), Code::NotFound);
        let reader = with_permissions(ctx, Permissions::none().with(Permission::ModelsRead));
        assert_eq!(models.set_capabilities(&reader, "acme/chat", None).await.unwrap_err().code(), Code::Forbidden);
    }
}
