//! Other names of models and routes, and what the refusal of an unknown name says.

use plasma_kernel::{Code, Permission, Permissions};
use plasma_testkit::{TestStore, on_each_database, tenant, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, call_id, open, ordered_route, serve},
    upstream::{Answer, Upstream, whole_answer},
};

fn question(model: &str) -> String {
    json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": "hi" }] }).to_string()
}

on_each_database! {
    async fn an_alias_is_called_in_every_protocol_and_the_record_names_the_model(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        setup.models.put_alias(&setup.ctx, "assistant", "acme/chat").await.unwrap();
        let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#.to_owned();
        for (path, body) in [
            ("/v1/chat/completions", question("assistant")),
            ("/v1/responses", r#"{"model":"assistant","input":"hi"}"#.to_owned()),
            ("/anthropic/v1/messages", question("assistant")),
            ("/gemini/v1beta/models/assistant:generateContent", contents),
        ] {
            let response = setup.post(path, body).await;
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()["plasma-model"], "acme/chat", "{path}");
            let id = call_id(&response);
            assert_eq!(setup.call(&id).await.model, "acme/chat", "{path}");
        }
        assert!(setup.upstream.seen().iter().all(|seen| seen.json["model"] == "upstream-model"));
    }

    async fn an_alias_stands_for_a_route_too_and_changes_at_once(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        setup.models.put_route(&setup.ctx, "careful", ordered_route(&["acme/chat"])).await.unwrap();
        let alias = setup.models.put_alias(&setup.ctx, "assistant", "careful").await.unwrap();
        let response = setup.post("/v1/chat/completions", question("assistant")).await;
        assert_eq!(response.status(), 200);
        assert!(response.headers()["plasma-route"].to_str().unwrap().starts_with("careful;"));
        let call = setup.call(&call_id(&response)).await;
        assert_eq!((call.model.as_str(), call.decision.unwrap().route.as_str()), ("acme/chat", "careful"));

        let changed = setup.models.put_alias(&setup.ctx, "assistant", "acme/chat").await.unwrap();
        assert_eq!(changed.created_at, alias.created_at);
        let response = setup.post("/v1/chat/completions", question("assistant")).await;
        assert!(response.headers().get("plasma-route").is_none());
        setup.models.delete_alias(&setup.ctx, "assistant").await.unwrap();
        assert_eq!(setup.post("/v1/chat/completions", question("assistant")).await.status(), 404);
    }

    async fn an_alias_leads_to_a_model_or_a_route_in_one_step(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let (models, ctx) = (&setup.models, &setup.ctx);
        models.put_alias(ctx, "one", "acme/chat").await.unwrap();
        let refused = |target: &'static str| async move {
            let error = models.put_alias(ctx, "two", target).await.unwrap_err();
            assert!(matches!(error.code(), Code::Invalid | Code::NotFound), "{target}: {error}");
            assert_eq!(error.field_name(), Some("target"), "{target}");
            error
        };
        assert_eq!(refused("one").await.remedy_text(), Some("name `acme/chat`"));
        refused("two").await;
        let unknown = refused("acme/chta").await;
        assert!(unknown.message().contains("near names: `acme/chat`"), "{}", unknown.message());
        for name in ["", "With/Slash", "Upper", "a b"] {
            assert_eq!(models.put_alias(ctx, name, "acme/chat").await.unwrap_err().field_name(), Some("name"), "{name}");
        }
        // One name never means two things.
        assert_eq!(models.put_alias(ctx, "auto-cheap", "acme/chat").await.unwrap_err().reason(), "route_exists");
        assert_eq!(models.put_route(ctx, "one", ordered_route(&["acme/chat"])).await.unwrap_err().reason(), "alias_exists");
        // A route names models themselves, so that no alias leads back to its own route.
        let error = models.put_route(ctx, "round", ordered_route(&["one"])).await.unwrap_err();
        assert_eq!(error.field_name(), Some("candidates[0].model"));
        assert!(error.message().contains("`acme/chat`"), "{}", error.message());
    }

    async fn two_administrators_never_make_an_alias_and_a_route_of_one_name(test: TestStore) {
        const NAMES: usize = 50;
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let ctx = &setup.ctx;
        // Another process: it knows nothing of what this one keeps in memory.
        let other = open(setup.test.open_again().await);
        for number in 0..NAMES {
            let name = format!("name-{number}");
            let made = tokio::join!(
                setup.models.put_alias(ctx, &name, "acme/chat"),
                other.put_route(ctx, &name, ordered_route(&["acme/chat"])),
            );
            match made {
                (Ok(_), Err(error)) => assert_eq!(error.reason(), "alias_exists", "{name}: {error}"),
                (Err(error), Ok(_)) => assert_eq!(error.reason(), "route_exists", "{name}: {error}"),
                both => panic!("one of them has the name {name}: {both:?}"),
            }
        }
        // What stands in the database, read by a third.
        let reader = open(setup.test.open_again().await);
        let routes = reader.routes(ctx).await.unwrap().into_iter().filter(|route| route.id.is_some());
        let mut names: Vec<String> = routes.map(|route| route.name).collect();
        names.extend(reader.aliases(ctx).await.unwrap().into_iter().map(|alias| alias.name));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NAMES, "{names:?}");
        // A name that is given up is free at once, also for the other process.
        setup.models.put_alias(ctx, "free", "acme/chat").await.unwrap();
        assert_eq!(other.put_route(ctx, "free", ordered_route(&["acme/chat"])).await.unwrap_err().reason(), "alias_exists");
        setup.models.delete_alias(ctx, "free").await.unwrap();
        other.put_route(ctx, "free", ordered_route(&["acme/chat"])).await.unwrap();
        assert_eq!(setup.models.put_alias(ctx, "free", "acme/chat").await.unwrap_err().reason(), "route_exists");
    }

    async fn aliases_are_listed_and_belong_to_their_tenant(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        let client = &setup.client;
        let put = client
            .put(format!("{}/api/v1/models/aliases/assistant", setup.url))
            .json(&json!({ "target": "acme/chat" }))
            .send()
            .await
            .unwrap();
        assert_eq!(put.status(), 200);
        let wrong = client
            .put(format!("{}/api/v1/models/aliases/assistant", setup.url))
            .json(&json!({ "target": "acme/chat", "weight": 1 }))
            .send()
            .await
            .unwrap();
        assert_eq!(wrong.status(), 400);
        let (status, alias) = setup.get("/api/v1/models/aliases/assistant").await;
        assert_eq!((status, &alias["target"]), (200, &json!("acme/chat")));
        let (_, list) = setup.get("/api/v1/models/aliases").await;
        assert_eq!(list["data"].as_array().unwrap().len(), 1);
        let (_, list) = setup.get("/v1/models").await;
        let listed = list["data"].as_array().unwrap().iter().find(|model| model["id"] == "assistant").unwrap();
        assert_eq!(listed["owned_by"], "alias of acme/chat");
        assert_eq!(setup.get("/v1/models/assistant").await.1["id"], "assistant");

        let stranger = tenant();
        assert!(setup.models.aliases(&stranger).await.unwrap().is_empty());
        assert_eq!(setup.models.alias(&stranger, "assistant").await.unwrap_err().code(), Code::NotFound);
        assert_eq!(setup.models.delete_alias(&stranger, "assistant").await.unwrap_err().code(), Code::NotFound);
        let reader = with_permissions(&setup.ctx, Permissions::default().with(Permission::ModelsRead));
        assert_eq!(setup.models.put_alias(&reader, "b", "acme/chat").await.unwrap_err().code(), Code::Forbidden);
        assert_eq!(setup.models.delete_alias(&reader, "assistant").await.unwrap_err().code(), Code::Forbidden);
        // Another process finds it in the database.
        let other = open(setup.test.open_again().await);
        assert_eq!(other.alias(&setup.ctx, "assistant").await.unwrap().target, "acme/chat");
    }

    async fn an_alias_of_a_model_that_is_gone_says_so(test: TestStore) {
        let setup = Setup::new(test, Answer::json(whole_answer("Hello", 7, 2))).await;
        setup.models.put_alias(&setup.ctx, "assistant", "acme/chat").await.unwrap();
        setup.models.delete_model(&setup.ctx, "acme/chat").await.unwrap();
        let response = setup.post("/v1/chat/completions", question("assistant")).await;
        assert_eq!(response.status(), 404);
        let error: Value = response.json().await.unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains("`assistant`") && message.contains("`acme/chat`"), "{message}");
    }
}

#[tokio::test]
async fn an_alias_of_an_embedding_model_embeds_and_does_not_chat() {
    let vector = json!({ "object": "embedding", "index": 0, "embedding": [0.5, 0.25] });
    let answer = json!({ "object": "list", "data": [vector], "model": "upstream-model",
                         "usage": { "prompt_tokens": 2, "total_tokens": 2 } });
    let setup = Setup::new(TestStore::sqlite().await, Answer::json(answer)).await;
    setup.models.put_alias(&setup.ctx, "vectors", "acme/embed").await.unwrap();
    let response = setup.post("/v1/embeddings", r#"{"model":"vectors","input":"hi"}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(setup.call(&call_id(&response)).await.model, "acme/embed");
    let response = setup.post("/v1/chat/completions", question("vectors")).await;
    assert_eq!(response.status(), 400);
    assert!(response.text().await.unwrap().contains("`acme/embed` is an embedding model and cannot chat"));
}

#[tokio::test]
async fn an_unknown_model_is_refused_with_near_names_in_every_protocols_shape() {
    let setup = Setup::with(TestStore::sqlite().await, Upstream::start(Answer::error(500, "unused")).await).await;
    setup.models.put_alias(&setup.ctx, "chatter", "acme/chat").await.unwrap();
    // Whoever may only call models is helped too.
    let caller = with_permissions(&setup.ctx, Permissions::default().with(Permission::ModelsInvoke));
    let url = serve(&setup.models, &caller).await;
    let contents = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#.to_owned();
    for (path, body, pointer) in [
        ("/v1/chat/completions", question("acme/chatt"), "/error/message"),
        ("/v1/responses", r#"{"model":"acme/chatt","input":"hi"}"#.to_owned(), "/error/message"),
        ("/anthropic/v1/messages", question("acme/chatt"), "/error/message"),
        ("/gemini/v1beta/models/acme/chatt:generateContent", contents, "/error/message"),
    ] {
        let response = setup
            .client
            .post(format!("{url}{path}"))
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 404, "{path}");
        let error: Value = response.json().await.unwrap();
        let message = error.pointer(pointer).and_then(Value::as_str).unwrap();
        assert!(message.contains("there is no model `acme/chatt`; near names: `acme/chat`"), "{path}: {message}");
        // An embedding model would be no help.
        assert!(!message.contains("acme/embed"), "{path}: {message}");
    }
    let alias = setup.post("/v1/chat/completions", question("chater")).await.text().await.unwrap();
    assert!(alias.contains("`chatter`"), "{alias}");
    let route = setup.post("/v1/chat/completions", question("auto-chaep")).await.text().await.unwrap();
    assert!(route.contains("`auto-cheap`"), "{route}");
    let embedding = setup.post("/v1/embeddings", r#"{"model":"acme/embd","input":"hi"}"#).await.text().await.unwrap();
    assert!(embedding.contains("near names: `acme/embed`"), "{embedding}");
    assert!(setup.upstream.seen().is_empty() && setup.calls().await.is_empty());
}
