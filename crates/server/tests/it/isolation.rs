//! Every operation of the specification, called without a token, with a wrong, an expired and a revoked one, by each role that is too
//! small, by another tenant, and by a tenant that is suspended or to be deleted. An operation that is added later is in these tests
//! by itself: without an id for its path, or a word on the ids in its body, it fails them.

mod states;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    harness::{KEY, PATIENCE, Place, Plasma, check_problem, on_each_database, success},
    oauth, values,
};

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
const NAMING: [&str; 21] = [
    "decide_authorization_request",
    "find_device_request",
    "decide_device_request",
    "create_api_key",
    "create_connection",
    "create_model",
    "create_model_limit",
    "enter_tenant",
    "explain_access",
    "link_account",
    "put_single_sign_on",
    "search",
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
const NAMING_BLINDLY: [&str; 1] = [
    // A budget is kept for an id, whoever has it; calls are counted to it by the ids of their own tenant only.
    "create_budget",
];

/// Operations that end the session which sends them.
const LOGOUTS: [&str; 2] = ["logout", "single_logout"];

/// What a tenant has: something behind every parameter of every path.
struct Things {
    /// Parameter of a path template, such as `/api/v1/collections/{id}` + `id`, to its value.
    ids: BTreeMap<(&'static str, &'static str), String>,
    collection: String,
    model: String,
    provider: String,
    file: String,
    team: String,
    tenant: String,
    user: String,
    connection: String,
    application: String,
    user_code: String,
}

/// Someone of the tenant, who is logged in and in a team.
struct People {
    user: String,
    session: String,
    team: String,
}

impl People {
    async fn make(server: &Plasma) -> Self {
        let id = |value: Value| value["id"].as_str().unwrap().to_owned();
        let user = json!({"email": "ada@example.com", "name": "Ada", "role": "editor", "password": "a long password"});
        let user = id(server.post("/api/v1/users", user).await);
        let session = session_of(server, "ada@example.com", "a long password").await;
        let team = id(server.post("/api/v1/teams", json!({"name": "The keepers"})).await);
        put(server, &format!("/api/v1/teams/{team}/members/{user}"), json!({})).await;
        Self { user, session, team }
    }
}

/// An API key has no passkeys, and the tests have no authenticator.
fn no_passkey() -> String {
    format!("pk_{}", "0".repeat(26))
}

impl Things {
    async fn make(server: &Plasma) -> Self {
        let mut things = Self::of_the_domains(server).await;
        let (record, sink) = crate::audit::audited(server).await;
        things.ids.insert(("/api/v1/audit/records/", "id"), record);
        things.ids.insert(("/api/v1/audit/sinks/", "id"), sink);
        things
    }

    async fn of_the_domains(server: &Plasma) -> Self {
        let id = |value: Value| value["id"].as_str().unwrap().to_owned();
        let collection = server.create_collection("secrets").await;
        let document = server.add_text(&collection, "The vault", "The vault opens with the word marzipan.").await;
        let content =
            id(server.post("/api/v1/content/documents", json!({"title": "Plan", "body": "Secret plan."})).await);
        let People { user, session, team } = People::make(server).await;
        let key = id(server.post("/api/v1/api-keys", json!({"name": "reader", "role": "viewer"})).await);
        let service = json!({"spiffe_id": "spiffe://example.org/reader", "api_key": key});
        let service = id(server.post("/api/v1/service-identities", service).await);
        let (role, policy) = a_role_and_a_policy(server).await;
        let provider = json!({"name": "acme", "kind": "openai", "base_url": "https://a.test", "api_key": "sk-secret"});
        let provider = id(server.post("/api/v1/providers", provider).await);
        let model = json!({"provider": provider, "name": "large", "kind": "chat"});
        let model = id(server.post("/api/v1/models", model).await);
        let route = json!({"strategy": "ordered", "candidates": [{"model": model}]});
        put(server, "/api/v1/routes/our-route", route).await;
        put(server, "/api/v1/models/aliases/our-alias", json!({"target": model})).await;
        a_prompt(server).await;
        let gemini_call = format!("{}:generateContent", model.replace('/', "%2F"));
        let (budget, limit) = a_budget_and_a_limit(server, &user, &provider).await;
        let (file, batch) = a_batch(server).await;
        let case = json!({"id": "one", "prompt": "Secret plan?", "check": {"kind": "exact", "expected": "marzipan"}});
        let benchmark = json!({"models": [model], "suite": {"name": "Secret plan", "cases": [case]}});
        let benchmark = id(server.post("/api/v1/models/benchmarks", benchmark).await);
        let guest = json!({"email": "guest@example.com", "role": "viewer"});
        let invitation = id(server.post("/api/v1/invitations", guest).await);
        let pull = id(server.post("/api/v1/models/pulls", json!({"name": "local/all-minilm-l6-v2"})).await);
        let connection = json!({
            "name": "Acme login", "preset": "custom", "issuer": "https://login.acme.test", "client_id": "plasma",
            "domains": ["acme-login.example"],
        });
        let connection = id(server.post("/api/v1/connections", connection).await);
        let tenant = server.get("/api/v1/me").await["tenant"]["id"].as_str().unwrap().to_owned();
        server.settled(&collection).await;
        embed_anew(server, &collection).await;
        let call = captured_call(server, &model).await;
        let export = an_export(server).await;
        let (application, grant, user_code) = an_application(server).await;
        let mut ids = BTreeMap::new();
        for (prefix, parameter, value) in [
            ("/api/v1/collections/", "id", &collection),
            ("/api/v1/collections/", "collection_id", &collection),
            ("/api/v1/collections/", "document_id", &document),
            ("/api/v1/content/documents/", "id", &content),
            ("/api/v1/content/documents/", "document_id", &content),
            ("/api/v1/users/", "id", &user),
            ("/api/v1/sessions/", "id", &session),
            ("/api/v1/me/sessions/", "id", &session),
            ("/api/v1/me/passkeys/", "id", &no_passkey()),
            ("/api/v1/teams/", "id", &team),
            ("/api/v1/teams/", "user", &user),
            ("/api/v1/api-keys/", "id", &key),
            ("/api/v1/roles/", "id", &role),
            ("/api/v1/policies/", "id", &policy),
            ("/api/v1/service-identities/", "id", &service),
            ("/api/v1/applications/", "id", &application),
            ("/api/v1/me/grants/", "id", &grant),
            ("/api/v1/providers/", "id", &provider),
            ("/api/v1/models/calls/", "id", &call),
            ("/api/v1/models/benchmarks/", "id", &benchmark),
            ("/api/v1/models/budgets/", "id", &budget),
            ("/api/v1/models/pulls/", "id", &pull),
            ("/api/v1/models/limits/", "id", &limit),
            ("/api/v1/routes/", "name", &"our-route".to_owned()),
            ("/api/v1/models/aliases/", "name", &"our-alias".to_owned()),
            ("/api/v1/prompts/", "name", &"our-prompt".to_owned()),
            ("/api/v1/prompts/", "version", &"1".to_owned()),
            ("/api/v1/prompts/", "alias", &"production".to_owned()),
            ("/v1/files/", "file_id", &file),
            ("/v1/batches/", "batch_id", &batch),
            ("/gemini/v1beta/models/", "call", &gemini_call),
            ("/api/v1/models/{", "id", &model.replace('/', "%2F")),
            ("/v1/models/", "id", &model.replace('/', "%2F")),
            ("/api/v1/tenants/", "id", &tenant),
            ("/api/v1/tenants/current/exports/", "id", &export),
            ("/api/v1/invitations/", "id", &invitation),
            ("/api/v1/connections/", "id", &connection),
            ("/api/v1/auth/sso/", "connection", &connection),
            ("/api/v1/connections/", "user", &user),
            ("/api/v1/me/linked-accounts/", "connection", &connection),
            ("/api/v1/domains/", "domain", &"acme-login.example".to_owned()),
        ] {
            ids.insert((prefix, parameter), value.clone());
        }
        Self { ids, collection, model, provider, file, team, tenant, user, connection, application, user_code }
    }

    /// The path with this tenant's ids in it.
    fn path(&self, operation: &Operation) -> String {
        let mut path = String::new();
        let mut rest = operation.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap();
            let value = match name {
                "number" => "1",
                _ => self
                    .ids
                    .iter()
                    .filter(|((prefix, parameter), _)| operation.path.starts_with(prefix) && *parameter == name)
                    .max_by_key(|((prefix, _), _)| prefix.len())
                    .map(|(_, value)| value.as_str())
                    .unwrap_or_else(|| panic!("the test has no {name} for {}", operation.path)),
            };
            path.push_str(before);
            path.push_str(value);
            rest = after;
        }
        path.push_str(rest);
        let query: Vec<String> = operation.description["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .map(|parameter| format!("{}=1", parameter["name"].as_str().unwrap()))
            .collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }

    /// A body that the route understands and that names this tenant's things.
    fn body(&self, specification: &Value, operation: &Operation) -> Option<Value> {
        let schema = operation.description.pointer("/requestBody/content/application~1json/schema")?;
        Some(match operation.id.as_str() {
            "create_api_key" => json!({"name": "intruder", "role": "viewer", "team": self.team}),
            "create_model" => json!({"provider": self.provider, "name": "larger", "kind": "chat"}),
            "create_model_limit" => {
                json!({"subject": {"kind": "provider", "id": self.provider}, "requests_per_minute": 1})
            }
            "enter_tenant" => json!({"tenant": self.tenant}),
            "explain_access" => json!({"principal": self.user, "action": "content:read"}),
            "link_account" => json!({"connection": self.connection}),
            "create_connection" => json!({
                "name": "Their login", "preset": "custom", "issuer": "https://login.other.test", "client_id": "plasma",
                "rules": [{"claim": "groups", "value": "keepers", "team": self.team}],
            }),
            "put_single_sign_on" => json!({"enforced": false, "break_glass": [self.user]}),
            "decide_authorization_request" => {
                json!({"request": oauth::asked(&self.application, "content:read"), "allow": true})
            }
            "find_device_request" => json!({"user_code": self.user_code}),
            "decide_device_request" => json!({"user_code": self.user_code, "allow": true}),
            "add_document" => json!({"title": "Intruder", "text": "was here"}),
            "change_document_access" => json!({"access": null}),
            "search" => json!({"collection": self.collection, "query": "marzipan"}),
            "ask" => json!({"collection": self.collection, "question": "What opens the vault?"}),
            "draft_content" => json!({"collection": self.collection, "brief": "Write about the vault."}),
            "put_route" => json!({"strategy": "ordered", "candidates": [{"model": self.model}]}),
            "create_response" => json!({"model": self.model, "input": "hello"}),
            "generate_content" => json!({"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
            "create_chat_completion" | "create_message" | "count_message_tokens" => {
                json!({"model": self.model, "messages": [{"role": "user", "content": "hello"}]})
            }
            "create_batch" => {
                json!({"input_file_id": self.file, "endpoint": "/v1/embeddings", "completion_window": "24h"})
            }
            "create_embedding" => json!({"model": self.model, "input": "hello"}),
            "create_rerank" => json!({"model": self.model, "query": "hello", "documents": ["hello"]}),
            "restore_content" => json!({"revision": 1}),
            "edit_content" => json!({"title": "Stolen", "body": "Stolen.", "expected_revision": 1}),
            _ => values::of(specification, schema),
        })
    }

    /// Texts that only this tenant may see.
    fn secrets(&self) -> BTreeSet<String> {
        let ids = self.ids.values().filter(|value| value.len() > 10).cloned();
        let words = ["marzipan", "The vault", "Secret plan", "ada@example.com", "guest@example.com"];
        ids.chain(words.map(str::to_owned)).collect()
    }
}

/// The id of a session that a person opens.
async fn session_of(server: &Plasma, email: &str, password: &str) -> String {
    let login = json!({"email": email, "password": password});
    let session = success(server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap()).await;
    session["session"].as_str().unwrap().to_owned()
}

/// Puts something, as the owner.
async fn put(server: &Plasma, path: &str, body: Value) {
    success(server.request(Method::PUT, path).bearer_auth(KEY).json(&body).send().await.unwrap()).await;
}

/// A copy of all that the tenant has, which can be fetched.
async fn an_export(server: &Plasma) -> String {
    let export = server.post("/api/v1/tenants/current/exports", json!({})).await;
    let path = format!("/api/v1/tenants/current/exports/{}", export["id"].as_str().unwrap());
    let begun = Instant::now();
    loop {
        let export = server.get(&path).await;
        match export["state"].as_str() {
            Some("queued" | "running") => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            Some("ready") => return export["id"].as_str().unwrap().to_owned(),
            _ => panic!("the export failed: {export}"),
        }
        assert!(begun.elapsed() < PATIENCE, "the export does not end: {export}\n{}", server.log());
    }
}

/// Begins a change of a collection's embedding model, as the owner.
async fn embed_anew(server: &Plasma, collection: &str) {
    let path = format!("/api/v1/collections/{collection}/reembed");
    server.post(&path, json!({"model": "local/all-minilm-l6-v2"})).await;
}

/// A role of the workspace's own, and a policy that changes nothing for anybody.
async fn a_role_and_a_policy(server: &Plasma) -> (String, String) {
    let role = json!({"name": "Secret plan readers", "permissions": ["content:read"]});
    let role = server.post("/api/v1/roles", role).await;
    let text = "forbid (principal in Role::\"viewer\", action == Action::\"content:write\", resource);";
    let policy = server.post("/api/v1/policies", json!({"name": "Secret plan", "text": text})).await;
    let id = |value: Value| value["id"].as_str().unwrap().to_owned();
    (id(role), id(policy))
}

/// A prompt with a version and an alias.
async fn a_prompt(server: &Plasma) {
    server.post("/api/v1/prompts", json!({"name": "our-prompt"})).await;
    let version = json!({"messages": [{"role": "user", "content": "Secret plan."}]});
    server.post("/api/v1/prompts/our-prompt/versions", version).await;
    put(server, "/api/v1/prompts/our-prompt/aliases/production", json!({"split": [{"version": 1}]})).await;
}

async fn a_budget_and_a_limit(server: &Plasma, user: &str, provider: &str) -> (String, String) {
    let id = |value: Value| value["id"].as_str().unwrap().to_owned();
    let subject = |kind: &str, id: &str| json!({"kind": kind, "id": id});
    let budget = json!({"subject": subject("user", user), "period": "day", "limit_micros": 1_000_000});
    let limit = json!({"subject": subject("provider", provider), "requests_per_minute": 1_000});
    let budget = server.post("/api/v1/models/budgets", budget).await;
    (id(budget), id(server.post("/api/v1/models/limits", limit).await))
}

/// A batch and the file that it reads.
async fn a_batch(server: &Plasma) -> (String, String) {
    let line = json!({"custom_id": "one", "method": "POST", "url": "/v1/embeddings", "body": {"input": "marzipan"}});
    let form = format!(
        "--part\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--part\r\nContent-Disposition: \
         form-data; name=\"file\"; filename=\"lines.jsonl\"\r\n\r\n{line}\r\n--part--\r\n"
    );
    let request = server.request(Method::POST, "/v1/files").bearer_auth(KEY);
    let request = request.header("content-type", "multipart/form-data; boundary=part").body(form);
    let file = success(request.send().await.unwrap()).await;
    let file = file["id"].as_str().unwrap().to_owned();
    let batch = json!({"input_file_id": file, "endpoint": "/v1/embeddings", "completion_window": "24h"});
    let batch = server.post("/v1/batches", batch).await;
    (file, batch["id"].as_str().unwrap().to_owned())
}

/// An application, what the owner allowed it, and the code of a device on which it asks.
async fn an_application(server: &Plasma) -> (String, String, String) {
    let application = oauth::application(server).await;
    let session = oauth::session(server).await;
    oauth::allow(server, &session, oauth::asked(&application, "content:read")).await;
    let grants = server.request(Method::GET, "/api/v1/me/grants").bearer_auth(&session).send().await.unwrap();
    let grant = success(grants).await["data"][0]["id"].as_str().unwrap().to_owned();
    let request = server.request(Method::POST, "/oauth/device");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let device = success(request.body(format!("client_id={application}")).send().await.unwrap()).await;
    (application, grant, device["user_code"].as_str().unwrap().to_owned())
}

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

/// A call of whose request something is kept. It fails, for the model has no price.
async fn captured_call(server: &Plasma, model: &str) -> String {
    let settings = json!({"enabled": true, "retention_days": 1});
    let path = "/api/v1/models/capture";
    success(server.request(Method::PUT, path).bearer_auth(KEY).json(&settings).send().await.unwrap()).await;
    let chat = json!({"model": model, "messages": [{"role": "user", "content": "What opens? marzipan"}]});
    let path = "/v1/chat/completions";
    let response = server.request(Method::POST, path).bearer_auth(KEY).json(&chat).send().await.unwrap();
    response.headers()["plasma-call-id"].to_str().unwrap().to_owned()
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
