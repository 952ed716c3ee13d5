//! What `/v1` refuses before a model is asked, and how it says so.

use axum::Extension;
use plasma_kernel::{Permission, Permissions};
use plasma_models::{CallStatus, http};
use plasma_testkit::{TestStore, with_permissions};
use serde_json::{Value, json};

use crate::{
    support::{Setup, assert_status, call_id, open, serve},
    upstream::{Answer, listen, whole_answer},
};

const CHAT: &str = "/v1/chat/completions";

async fn setup() -> Setup {
    Setup::new(TestStore::sqlite().await, Answer::json(whole_answer("Hello", 1, 1))).await
}

async fn refused(setup: &Setup, path: &str, body: impl Into<String>) -> (u16, Value) {
    let response = setup.post(path, body).await;
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string(), "{body}");
    (status, body["error"].clone())
}

#[tokio::test]
async fn a_wrong_request_is_refused_in_openais_shape_and_is_not_a_call() {
    let setup = setup().await;
    let deep = format!(r#"{{"model":"acme/chat","messages":[],"x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    let many = format!(r#"{{"model":"acme/chat","messages":[{}0]}}"#, "0,".repeat(1_024));
    let inputs = format!(r#"{{"model":"acme/embed","input":[{}""]}}"#, r#""a","#.repeat(2_048));
    for (path, body, status, code, param) in [
        (CHAT, r#"{"model":"acme/nothing","messages":[]}"#.to_owned(), 404, "model_not_found", json!("model")),
        (CHAT, format!(r#"{{"model":"{}","messages":[]}}"#, "x".repeat(9_999)), 404, "model_not_found", json!("model")),
        (CHAT, r#"{"model":7,"messages":[]}"#.to_owned(), 400, "invalid", json!("model")),
        (CHAT, r#"{"model":"acme/embed","messages":[]}"#.to_owned(), 400, "invalid", json!("model")),
        (CHAT, r#"{"model":"acme/chat","messages":"hi"}"#.to_owned(), 400, "invalid", json!("messages")),
        (CHAT, r#"{"model":"acme/chat","messages":[],"stream":"yes"}"#.to_owned(), 400, "invalid", json!("stream")),
        (CHAT, "nonsense".to_owned(), 400, "invalid", json!("body")),
        (CHAT, "[]".to_owned(), 400, "invalid", json!("body")),
        (CHAT, deep, 400, "invalid", json!("body")),
        (CHAT, many, 413, "too_large", json!("messages")),
        (CHAT, format!(r#"{{"x":"{}"}}"#, "x".repeat(21 << 20)), 413, "too_large", json!("body")),
        ("/v1/embeddings", r#"{"model":"acme/chat","input":"a"}"#.to_owned(), 400, "invalid", json!("model")),
        ("/v1/embeddings", inputs, 413, "too_large", json!("input")),
    ] {
        let (actual, error) = refused(&setup, path, body).await;
        assert_eq!((actual, &error["code"], &error["param"]), (status, &json!(code), &param), "{error}");
    }
    assert!(setup.upstream.seen().is_empty());
    assert!(setup.calls().await.is_empty());
}

#[tokio::test]
async fn without_a_caller_or_the_permission_nothing_is_called() {
    let setup = setup().await;
    let (router, _) = http::routes().split_for_parts();
    let anonymous = format!("http://{}", listen(router.with_state(setup.models.clone())).await);
    let body = r#"{"model":"acme/chat","messages":[]}"#;
    let send = |url: String| {
        setup.client.post(format!("{url}{CHAT}")).header("content-type", "application/json").body(body).send()
    };
    let response = send(anonymous).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.json::<Value>().await.unwrap()["error"]["type"], "authentication_error");

    let viewer = with_permissions(&setup.ctx, Permissions::none().with(Permission::ModelsRead));
    let url = serve(&setup.models, &viewer).await;
    let response = send(url.clone()).await.unwrap();
    assert_eq!(response.status(), 403);
    let listed = setup.client.get(format!("{url}/v1/models")).send().await.unwrap();
    assert_eq!(listed.status(), 200);
    assert!(setup.upstream.seen().is_empty());
}

#[tokio::test]
async fn a_model_is_found_by_its_name_with_or_without_encoded_slashes() {
    let setup = setup().await;
    let (status, list) = setup.get("/v1/models").await;
    assert_eq!((status, &list["object"]), (200, &json!("list")));
    let ids: Vec<&str> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"acme/chat") && ids.contains(&"local/all-minilm-l6-v2"), "{ids:?}");
    for path in ["/v1/models/acme/chat", "/v1/models/acme%2Fchat"] {
        let (status, model) = setup.get(path).await;
        assert_eq!((status, &model["id"], &model["owned_by"]), (200, &json!("acme/chat"), &json!("acme")), "{path}");
    }
    for path in ["/v1/models/acme/none", "/v1/models/acme%2Fnone", "/v1/models/none", "/v1/models/%FF"] {
        let (status, error) = setup.get(path).await;
        assert_eq!((status, &error["error"]["code"]), (404, &json!("model_not_found")), "{path}");
    }
}

#[tokio::test]
async fn a_local_model_without_weights_says_so_and_refuses_what_it_cannot_honor() {
    let setup = setup().await;
    let chat = |extra: &str| {
        format!(
            r#"{{"model":"local/qwen2.5-coder-0.5b-instruct","messages":[{{"role":"user","content":"hi"}}]{extra}}}"#
        )
    };
    for extra in ["", r#","stream":true"#] {
        let response = setup.post(CHAT, chat(extra)).await;
        assert_eq!(response.status(), 503);
        let call = setup.call(&call_id(&response)).await;
        assert_status(&call, CallStatus::Failed);
        assert_eq!(call.cost.map(|cost| cost.amount_micros), Some(0));
    }
    let (status, error) =
        refused(&setup, CHAT, chat(r#","tools":[{"type":"function","function":{"name":"f"}}]"#)).await;
    assert_eq!((status, &error["param"]), (400, &json!("tools")));
    let (status, error) = refused(&setup, "/v1/embeddings", r#"{"input":[[1,2]]}"#).await;
    assert_eq!((status, &error["param"]), (400, &json!("input")));
    let (status, error) = refused(&setup, "/v1/embeddings", r#"{"input":["a",""]}"#).await;
    assert_eq!((status, &error["param"]), (400, &json!("input[1]")));
}

#[tokio::test]
async fn the_api_description_names_the_permission_of_every_route() {
    let (_, api) = http::routes().split_for_parts();
    let api = serde_json::to_value(&api).unwrap();
    let mut operations = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let permission = operation["x-permission"].as_str().unwrap_or_else(|| panic!("{method} {path} names none"));
            assert!(Permission::ALL.iter().any(|known| known.as_str() == permission), "{method} {path}: {permission}");
            operations.push(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let count = operations.len();
    operations.sort();
    operations.dedup();
    assert_eq!((operations.len(), count), (90, 90));
    // A router with the same state serves them: this panics when two routes collide.
    let test = TestStore::sqlite().await;
    let (router, _) = http::routes().split_for_parts();
    listen(router.with_state(open(test.store())).layer(Extension(plasma_testkit::tenant()))).await;
}
