//! Providers and their models as resources.

use plasma_kernel::{Code, PageRequest, Permission, Permissions, ProviderId};
use plasma_models::{
    CallFilter, ChatMessage, ChatRequest, ModelKind, NewProvider, ProviderChange, ProviderKind, ProviderOptions,
    Purpose, Role,
};
use plasma_testkit::{TestStore, on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{API_KEY, Setup, add_model, add_provider, open, serve},
    upstream::{Answer, Upstream, whole_answer},
};

async fn send(setup: &Setup, method: &str, path: &str, body: Value) -> (u16, Value) {
    let method = method.parse().unwrap();
    let response = setup.client.request(method, format!("{}{path}", setup.url)).json(&body).send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert!(!text.contains(API_KEY), "the key was given out: {text}");
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

on_each_database! {
    async fn a_provider_and_its_models_live_and_die_over_http(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 1, 1))).await;
        let new = json!({ "name": "other", "kind": "openai", "base_url": "https://Other.example/v1/", "api_key": API_KEY });
        let (status, provider) = send(&setup, "POST", "/api/v1/providers", new.clone()).await;
        assert_eq!(status, 201, "{provider}");
        assert_eq!(provider["base_url"], "https://other.example/v1");
        assert_eq!((&provider["has_api_key"], provider.get("api_key")), (&json!(true), None));
        let path = format!("/api/v1/providers/{}", provider["id"].as_str().unwrap());
        assert_eq!(setup.get(&path).await, (200, provider.clone()));

        let (status, problem) = send(&setup, "POST", "/api/v1/providers", new).await;
        assert_eq!((status, &problem["reason"], &problem["field"]), (409, &json!("provider_exists"), &json!("name")));
        let wrong = json!({ "name": "x", "kind": "openai", "base_url": "http://h/", "secret": 1 });
        let (status, problem) = send(&setup, "POST", "/api/v1/providers", wrong).await;
        assert_eq!((status, &problem["field"]), (400, &json!("secret")));

        let (_, list) = setup.get("/api/v1/providers?limit=1").await;
        assert_eq!((&list["data"][0]["name"], &list["has_more"]), (&json!("other"), &json!(true)));
        let next = list["next_cursor"].as_str().unwrap();
        let (_, list) = setup.get(&format!("/api/v1/providers?limit=1&cursor={next}")).await;
        assert_eq!((&list["data"][0]["name"], &list["has_more"]), (&json!("acme"), &json!(false)));

        let model = json!({
            "provider": provider["id"], "name": "org/model-1:free", "kind": "chat", "context_length": 8000,
            "input_price_micros_per_million": 0, "currency": "EUR",
        });
        let (status, model) = send(&setup, "POST", "/api/v1/models", model).await;
        assert_eq!((status, &model["id"], &model["state"]), (201, &json!("other/org/model-1:free"), &json!("remote")));
        assert_eq!(model["price"], json!({
            "input_per_million": { "amount_micros": 0, "currency": "EUR" }, "output_per_million": null,
            "cached_input_per_million": null, "cache_write_per_million": null, "reasoning_per_million": null,
            "per_thousand_calls": null, "tiers": [], "batch_discount_percent": null, "batch": null, "free": false,
        }));
        let (_, list) = setup.get("/api/v1/models").await;
        let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        let expected =
            ["acme/chat", "acme/embed", "local/all-minilm-l6-v2", "local/qwen2.5-coder-0.5b-instruct", "other/org/model-1:free"];
        assert_eq!(ids, expected);
        let (_, page) = setup.get("/api/v1/models?limit=2&cursor=acme/embed").await;
        assert_eq!(page["data"][0]["id"], expected[2]);
        assert_eq!((&page["data"][0]["default"], &page["data"][0]["state"]), (&json!(true), &json!("missing")));
        assert!(page["data"][0]["remedy"].is_string());

        let (status, _) = send(&setup, "DELETE", "/api/v1/models/other%2Forg%2Fmodel-1:free", json!({})).await;
        assert_eq!(status, 204);
        let (status, problem) = send(&setup, "DELETE", "/api/v1/models/other%2Forg%2Fmodel-1:free", json!({})).await;
        assert_eq!((status, &problem["reason"]), (404, &json!("model_not_found")));
        let (status, _) = send(&setup, "DELETE", "/api/v1/models/local%2Fall-minilm-l6-v2", json!({})).await;
        assert_eq!(status, 409);

        // A provider takes its models with it.
        let (status, _) = send(&setup, "DELETE", &format!("/api/v1/providers/{}", setup.provider), json!({})).await;
        assert_eq!(status, 204);
        let response = setup.post("/v1/chat/completions", r#"{"model":"acme/chat","messages":[]}"#).await;
        assert_eq!(response.status(), 404);
    }

    async fn a_key_is_stored_only_sealed(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 1, 1))).await;
        assert_eq!(setup.post("/v1/chat/completions", r#"{"model":"acme/chat","messages":[]}"#).await.status(), 200);
        let mut tx = setup.test.read(&setup.ctx).await.unwrap();
        let tenant = setup.ctx.tenant().unwrap();
        let row = tx
            .fetch_one("SELECT api_key_sealed FROM model_providers WHERE tenant_id = $1", [tenant.into()])
            .await
            .unwrap();
        let sealed: Vec<u8> = row.get("api_key_sealed").unwrap();
        let contains = |bytes: &[u8]| bytes.windows(API_KEY.len()).any(|window| window == API_KEY.as_bytes());
        assert!(sealed.len() > API_KEY.len() && !contains(&sealed));
        let events = tx.fetch_all("SELECT data FROM events WHERE tenant_id = $1", [tenant.into()]).await.unwrap();
        assert!(events.len() >= 3);
        for event in events {
            assert!(!contains(event.get::<String>("data").unwrap().as_bytes()));
        }
        drop(tx);
        // Nor anywhere else on SQLite's disk.
        for file in std::fs::read_dir(&setup.test.config().data_dir).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                assert!(!contains(&std::fs::read(&path).unwrap()), "{}", path.display());
            }
        }
    }

    async fn a_new_key_or_address_is_used_by_the_next_call(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 1, 1))).await;
        let call = || setup.post("/v1/chat/completions", r#"{"model":"acme/chat","messages":[]}"#);
        assert_eq!(call().await.status(), 200);
        let path = format!("/api/v1/providers/{}", setup.provider);
        let (status, _) = send(&setup, "PATCH", &path, json!({ "api_key": "another-key" })).await;
        assert_eq!(status, 200);
        assert_eq!(call().await.status(), 200);
        let (status, provider) = send(&setup, "PATCH", &path, json!({ "api_key": null })).await;
        assert_eq!((status, &provider["has_api_key"]), (200, &json!(false)));
        assert_eq!(call().await.status(), 200);
        let keys: Vec<Option<String>> = setup.upstream.seen().into_iter().map(|seen| seen.authorization).collect();
        assert_eq!(keys, [Some(format!("Bearer {API_KEY}")), Some("Bearer another-key".to_owned()), None]);

        // Another host must not get the stored key.
        let other = Upstream::start(Answer::json(whole_answer("Hello", 1, 1))).await;
        send(&setup, "PATCH", &path, json!({ "api_key": API_KEY })).await;
        let (status, problem) = send(&setup, "PATCH", &path, json!({ "base_url": other.url })).await;
        assert_eq!((status, &problem["field"]), (400, &json!("api_key")));
        let moved = json!({ "base_url": other.url, "api_key": "for-the-other" });
        assert_eq!(send(&setup, "PATCH", &path, moved).await.0, 200);
        assert_eq!(call().await.status(), 200);
        assert_eq!(other.only().authorization.as_deref(), Some("Bearer for-the-other"));
    }

    async fn another_tenant_sees_and_uses_nothing(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 1, 1))).await;
        assert_eq!(setup.post("/v1/chat/completions", r#"{"model":"acme/chat","messages":[]}"#).await.status(), 200);
        let call = setup.only_call().await;
        let (models, stranger) = (&setup.models, tenant());
        let not_found = |code: Code| assert_eq!(code, Code::NotFound);
        let first = PageRequest::default();

        assert!(models.providers(&stranger, &first).await.unwrap().data.is_empty());
        not_found(models.provider(&stranger, setup.provider).await.unwrap_err().code());
        not_found(models.change_provider(&stranger, setup.provider, ProviderChange::default()).await.unwrap_err().code());
        not_found(models.delete_provider(&stranger, setup.provider).await.unwrap_err().code());
        not_found(models.test_provider(&stranger, setup.provider).await.unwrap_err().code());

        let ids: Vec<String> = models.all_models(&stranger).await.unwrap().into_iter().map(|model| model.id).collect();
        assert!(!ids.is_empty() && ids.iter().all(|id| id.starts_with("local/")), "{ids:?}");
        not_found(models.delete_model(&stranger, "acme/chat").await.unwrap_err().code());
        // The model is in this process's memory by now, but not for them.
        let mut request = ChatRequest::new(Purpose::Api, vec![ChatMessage { role: Role::User, content: "hi".to_owned() }]);
        request.model = Some("acme/chat".to_owned());
        not_found(models.chat(&stranger, request).await.err().unwrap().code());

        assert!(models.calls(&stranger, &CallFilter::default(), &first).await.unwrap().data.is_empty());
        not_found(models.call(&stranger, call.id).await.unwrap_err().code());
        assert!(models.usage(&stranger, 30).await.unwrap().models.is_empty());

        // The same names are free for them.
        let provider = add_provider(models, &stranger, "acme", "http://127.0.0.1:9/v1").await;
        add_model(models, &stranger, provider, "chat", ModelKind::Chat).await;
        let stranger_url = serve(models, &stranger).await;
        let (_, list) = setup.get("/api/v1/providers").await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        let theirs: Value =
            setup.client.get(format!("{stranger_url}/api/v1/providers")).send().await.unwrap().json().await.unwrap();
        assert_eq!(theirs["data"][0]["id"], provider.to_string());
    }
}

#[tokio::test]
async fn trying_a_provider_tells_what_is_wrong() {
    let list = json!({ "object": "list", "data": [{ "id": "a" }, { "id": "b", "extra": 1 }] });
    let answers = [Answer::json(list), Answer::error(401, "bad key"), Answer::Whole(404, vec![], "<html>".to_owned())];
    let setup = Setup::with(TestStore::sqlite().await, Upstream::start_with(answers).await).await;
    let path = format!("/api/v1/providers/{}/test", setup.provider);
    let (status, test) = send(&setup, "POST", &path, json!({})).await;
    assert_eq!((status, &test["ok"], &test["models"]), (200, &json!(true), &json!(["a", "b"])));
    assert_eq!(test["error"], Value::Null);
    let seen = setup.upstream.only();
    assert_eq!((seen.path.as_str(), seen.authorization), ("/v1/models", Some(format!("Bearer {API_KEY}"))));
    let (status, test) = send(&setup, "POST", &path, json!({})).await;
    assert_eq!((status, &test["ok"]), (200, &json!(false)));
    assert!(test["error"].as_str().unwrap().contains("check the provider's key"), "{test}");
    let (_, test) = send(&setup, "POST", &path, json!({})).await;
    assert!(test["error"].as_str().unwrap().contains("base URL"), "{test}");
}

#[tokio::test]
async fn changing_needs_the_permission_to_write_and_seeing_the_one_to_read() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::Silence).await;
    let reader = with_permissions(&setup.ctx, Permissions::none().with(Permission::ModelsRead));
    let nobody = with_permissions(&setup.ctx, Permissions::none());
    let models = &setup.models;
    let forbidden = |code: Code| assert_eq!(code, Code::Forbidden);
    let new = NewProvider {
        name: "n".into(),
        kind: ProviderKind::Openai,
        base_url: "http://h".into(),
        api_key: None,
        options: ProviderOptions::default(),
    };
    forbidden(models.create_provider(&reader, new).await.unwrap_err().code());
    forbidden(models.change_provider(&reader, setup.provider, ProviderChange::default()).await.unwrap_err().code());
    forbidden(models.delete_provider(&reader, setup.provider).await.unwrap_err().code());
    forbidden(models.test_provider(&reader, setup.provider).await.unwrap_err().code());
    forbidden(models.delete_model(&reader, "acme/chat").await.unwrap_err().code());
    models.provider(&reader, setup.provider).await.unwrap();
    forbidden(models.provider(&nobody, setup.provider).await.unwrap_err().code());
    forbidden(models.all_models(&nobody).await.unwrap_err().code());
    forbidden(models.usage(&nobody, 1).await.unwrap_err().code());
    forbidden(models.calls(&nobody, &CallFilter::default(), &PageRequest::default()).await.unwrap_err().code());
    let hello = vec![ChatMessage { role: Role::User, content: "hi".to_owned() }];
    forbidden(models.chat(&reader, ChatRequest::new(Purpose::Ask, hello)).await.err().unwrap().code());
}

#[tokio::test]
async fn wrong_models_are_refused_by_field() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::Silence).await;
    let provider = setup.provider;
    let new = |extra: Value| {
        let mut body = json!({ "provider": provider, "name": "m", "kind": "embedding" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        body
    };
    for (extra, status, field) in [
        (json!({ "name": "" }), 400, "name"),
        (json!({ "name": "a//b" }), 400, "name"),
        (json!({ "name": "../b" }), 400, "name"),
        (json!({ "name": "a b" }), 400, "name"),
        (json!({ "name": "embed" }), 409, "name"),
        (json!({ "upstream_name": "a\nb" }), 400, "upstream_name"),
        (json!({ "dimensions": 0 }), 400, "dimensions"),
        (json!({ "dimensions": 8, "kind": "chat" }), 400, "dimensions"),
        (json!({ "context_length": 0 }), 400, "context_length"),
        (json!({ "input_price_micros_per_million": -1 }), 400, "input_price_micros_per_million"),
        (json!({ "input_price_micros_per_million": 1, "currency": "usd" }), 400, "currency"),
        (json!({ "currency": "USD" }), 400, "currency"),
        (json!({ "kind": "video" }), 400, "kind"),
    ] {
        let (actual, problem) = send(&setup, "POST", "/api/v1/models", new(extra.clone())).await;
        assert_eq!((actual, &problem["field"]), (status, &json!(field)), "{extra}: {problem}");
    }
    let unknown = json!({ "provider": ProviderId::from_bits(7), "name": "m", "kind": "chat" });
    let (status, problem) = send(&setup, "POST", "/api/v1/models", unknown).await;
    assert_eq!((status, &problem["reason"]), (404, &json!("provider_not_found")));
}

#[tokio::test]
async fn another_process_with_the_same_store_calls_the_same_models() {
    let setup = Setup::new(TestStore::sqlite().await, Answer::json(whole_answer("Hello", 1, 1))).await;
    let other = open(setup.test.open_again().await);
    let url = serve(&other, &setup.ctx).await;
    let request = setup.client.post(format!("{url}/v1/chat/completions")).header("content-type", "application/json");
    let response = request.body(r#"{"model":"acme/chat","messages":[]}"#).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(setup.upstream.only().authorization, Some(format!("Bearer {API_KEY}")));
}
