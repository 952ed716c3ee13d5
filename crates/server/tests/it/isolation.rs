//! Every operation of the specification, called without a token, with a wrong, an expired and a revoked one, by each role that is too
//! small, by another tenant, and by a tenant that is suspended or to be deleted. An operation that is added later is in these tests
//! by itself: without an id for its path, or a word on the ids in its body, it fails them.

mod states;
mod things;

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use self::things::Things;
use crate::harness::{KEY, Place, Plasma, check_problem, on_each_database, success};

struct Operation {
    id: String,
    method: Method,
    path: String,
    permission: String,
    description: Value,
}

fn operations(specification: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in specification["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else { continue };
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap_or_else(|| panic!("{path} has no operationId")).to_owned(),
                method,
                path: path.clone(),
                permission: operation["x-permission"]
                    .as_str()
                    .unwrap_or_else(|| panic!("{path} does not say who may call it (x-permission)"))
                    .to_owned(),
                description: operation.clone(),
            });
        }
    }
    operations
}

/// Operations that name a thing of the tenant in their body.
const NAMING: [&str; 23] = [
    "decide_authorization_request",
    "find_device_request",
    "decide_device_request",
    "create_api_key",
    "create_connection",
    "create_model",
    "create_model_limit",
    "create_service_identity",
    "enter_tenant",
    "explain_access",
    "link_account",
    "put_single_sign_on",
    "search",
    "test_policy",
    "ask",
    "draft_content",
    "create_chat_completion",
    "create_embedding",
    "create_rerank",
    "create_response",
    "create_message",
    "count_message_tokens",
    "create_batch",
];

/// Operations whose body may name something without looking whether it is there, so that there is nothing to find out by it.
const NAMING_BLINDLY: [&str; 2] = [
    // A budget is kept for an id, whoever has it; calls are counted to it by the ids of their own tenant only.
    "create_budget",
    // Only the tenant's own log is looked through, for an id that anybody may have.
    "erase_person_from_audit",
];

/// Operations that end the session which sends them.
const LOGOUTS: [&str; 2] = ["logout", "single_logout"];

struct Answer {
    status: StatusCode,
    text: String,
}

async fn call(server: &Plasma, operation: &Operation, path: &str, body: Option<&Value>, token: Option<&str>) -> Answer {
    let mut request = server.request(operation.method.clone(), path);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    assert!(headers.contains_key("x-request-id"), "{} {path}", operation.method);
    let text = response.text().await.unwrap();
    if status.is_client_error() || status.is_server_error() {
        let body: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} answered {status} with {text}"));
        if path.starts_with("/v1/") {
            assert!(body["error"]["message"].is_string() && body["error"]["type"].is_string(), "{path}: {text}");
        } else if headers["content-type"] == "application/problem+json" {
            check_problem(status, &headers, &body);
        }
    }
    Answer { status, text }
}

/// A second tenant's owner, with a key that may do everything there.
async fn stranger(server: &Plasma) -> String {
    let password = "another password";
    let tenant = json!({
        "name": "Strangers", "owner": {"email": "eve@example.com", "name": "Eve", "password": password}
    });
    server.post("/api/v1/tenants", tenant).await;
    let login = json!({"email": "eve@example.com", "password": password});
    let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
    session["token"].as_str().unwrap().to_owned()
}

async fn permissions(server: &Plasma, token: &str) -> BTreeSet<String> {
    let me = success(server.request(Method::GET, "/api/v1/me").bearer_auth(token).send().await.unwrap()).await;
    me["permissions"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

on_each_database! {
    async fn nobody_gets_in_without_a_valid_token(place: Place) {
        let server = place.start();
        let specification = server.get("/openapi.json").await;
        let things = Things::make(&server).await;
        let garbage = format!("plk_{}", "0".repeat(52));
        for operation in operations(&specification) {
            if operation.permission == "none" {
                continue;
            }
            let path = things.path(&operation);
            let body = things.body(&specification, &operation);
            for token in [None, Some(garbage.as_str()), Some("nonsense"), Some("")] {
                let answer = call(&server, &operation, &path, body.as_ref(), token).await;
                assert_eq!(answer.status, 401, "{} with {token:?}: {}", operation.id, answer.text);
            }
        }
        // Nothing happened.
        assert_eq!(server.all("/api/v1/collections").await.len(), 1);
    }

    async fn each_lower_role_is_refused_what_it_may_not_do(place: Place) {
        let server = place.start();
        let specification = server.get("/openapi.json").await;
        let things = Things::make(&server).await;
        for (role, refused_min) in [("viewer", 40), ("service", 30), ("editor", 30), ("admin", 5)] {
            let key = server.post("/api/v1/api-keys", json!({"name": role, "role": role})).await;
            let key = key["key"].as_str().unwrap();
            let held = permissions(&server, key).await;
            let mut refused = 0;
            for operation in operations(&specification) {
                if matches!(operation.permission.as_str(), "none" | "authenticated")
                    || held.contains(&operation.permission)
                {
                    continue;
                }
                let body = things.body(&specification, &operation);
                let answer = call(&server, &operation, &things.path(&operation), body.as_ref(), Some(key)).await;
                assert_eq!(answer.status, 403, "{} as {role}: {}", operation.id, answer.text);
                assert!(answer.text.contains(&operation.permission), "{} as {role}: {}", operation.id, answer.text);
                refused += 1;
            }
            assert!(refused >= refused_min, "only {refused} operations need more than a key with the role {role} has");
        }
    }

    async fn another_tenant_finds_nothing(place: Place) {
        let server = place.start();
        let specification = server.get("/openapi.json").await;
        let things = Things::make(&server).await;
        let stranger = stranger(&server).await;
        let held = permissions(&server, &stranger).await;
        assert!(!held.contains("installation:manage"));
        for operation in operations(&specification) {
            let may = operation.permission == "authenticated" || held.contains(&operation.permission);
            // A public route knows no tenant; logging out would end the test.
            if operation.permission == "none" || LOGOUTS.contains(&operation.id.as_str()) {
                continue;
            }
            let path = things.path(&operation);
            let body = things.body(&specification, &operation);
            let names_a_thing = operation.path.contains('{')
                || NAMING.contains(&operation.id.as_str());
            if names_a_thing && may {
                let answer = call(&server, &operation, &path, body.as_ref(), Some(&stranger)).await;
                assert_eq!(answer.status, 404, "{} {path}: {}", operation.id, answer.text);
            } else if operation.method == Method::GET && may {
                let answer = call(&server, &operation, &path, None, Some(&stranger)).await;
                for secret in things.secrets() {
                    assert!(!answer.text.contains(&secret), "{} shows {secret}: {}", operation.id, answer.text);
                }
            } else if !may {
                let answer = call(&server, &operation, &path, body.as_ref(), Some(&stranger)).await;
                assert_eq!(answer.status, 403, "{}: {}", operation.id, answer.text);
            }
        }
        // What the owner has is as it was.
        for operation in operations(&specification).iter().filter(|operation| operation.method == Method::GET) {
            // A public route sends a browser elsewhere.
            if operation.path.contains('{') && operation.permission != "none" {
                let answer = call(&server, operation, &things.path(operation), None, Some(KEY)).await;
                assert_eq!(answer.status, 200, "{}: {}", operation.id, answer.text);
            }
        }
        let plan = server.get(&format!("/api/v1/content/documents/{}", things.ids[&("/api/v1/content/documents/", "id")])).await;
        assert_eq!((plan["title"].as_str(), plan["revision"].as_i64()), (Some("Plan"), Some(1)));
    }
}

#[tokio::test]
async fn every_operation_describes_itself() {
    let server = Place::sqlite().start();
    let specification = server.get("/openapi.json").await;
    assert_eq!(&specification["openapi"].as_str().unwrap()[..3], "3.1");
    let tags: BTreeSet<&str> =
        specification["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    for operation in operations(&specification) {
        let description = &operation.description;
        assert!(ids.insert(operation.id.clone()), "two operations are called {}", operation.id);
        assert!(description["summary"].is_string(), "{} has no summary", operation.id);
        for tag in description["tags"].as_array().unwrap() {
            assert!(
                tags.contains(tag.as_str().unwrap()),
                "{} has the tag {tag}, which openapi.rs does not describe",
                operation.id
            );
        }
        let responses = description["responses"].as_object().unwrap();
        let fails = responses.iter().any(|(status, _)| status == "default" || status.starts_with(['4', '5']));
        assert!(fails, "{} does not say how it fails", operation.id);
        if !matches!(operation.permission.as_str(), "none") {
            assert!(description["security"].is_array(), "{} does not say how to authenticate", operation.id);
        }
    }
    assert!(ids.len() > 50, "{} operations", ids.len());
}
