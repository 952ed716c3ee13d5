//! What a tenant has, for tests that call every operation with its ids.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::Operation;
use crate::{
    audit,
    harness::{KEY, PATIENCE, Plasma, success},
    oauth, values,
};

/// Parameter of a path template, such as `/api/v1/collections/{id}` + `id`, to its value.
type Ids = BTreeMap<(&'static str, &'static str), String>;

/// What a tenant has: something behind every parameter of every path.
pub(super) struct Things {
    pub(super) ids: Ids,
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
        let user = json!({"email": "ada@example.com", "name": "Ada", "role": "editor", "password": "a long password"});
        let user = made(server, "/api/v1/users", user).await;
        let session = session_of(server, "ada@example.com", "a long password").await;
        let team = made(server, "/api/v1/teams", json!({"name": "The keepers"})).await;
        put(server, &format!("/api/v1/teams/{team}/members/{user}"), json!({})).await;
        Self { user, session, team }
    }

    fn ids(&self) -> Ids {
        let Self { user, session, team } = self;
        // An API key has no passkeys, and the tests have no authenticator.
        let passkey = format!("pk_{}", "0".repeat(26));
        BTreeMap::from([
            (("/api/v1/users/", "id"), user.clone()),
            (("/api/v1/sessions/", "id"), session.clone()),
            (("/api/v1/me/sessions/", "id"), session.clone()),
            (("/api/v1/me/passkeys/", "id"), passkey),
            (("/api/v1/teams/", "id"), team.clone()),
            (("/api/v1/teams/", "user"), user.clone()),
        ])
    }
}

impl Things {
    pub(super) async fn make(server: &Plasma) -> Self {
        let collection = server.create_collection("secrets").await;
        let document = server.add_text(&collection, "The vault", "The vault opens with the word marzipan.").await;
        let content = json!({"title": "Plan", "body": "Secret plan."});
        let content = made(server, "/api/v1/content/documents", content).await;
        let people = People::make(server).await;
        let (provider, model) = a_model(server).await;
        let (file, batch) = a_batch(server).await;
        let connection = a_connection(server).await;
        let tenant = server.get("/api/v1/me").await["tenant"]["id"].as_str().unwrap().to_owned();
        server.settled(&collection).await;
        embed_anew(server, &collection).await;
        let (application, grant, user_code) = an_application(server).await;
        let mut ids = BTreeMap::from([
            (("/api/v1/collections/", "id"), collection.clone()),
            (("/api/v1/collections/", "collection_id"), collection.clone()),
            (("/api/v1/collections/", "document_id"), document),
            (("/api/v1/content/documents/", "id"), content.clone()),
            (("/api/v1/content/documents/", "document_id"), content),
            (("/api/v1/applications/", "id"), application.clone()),
            (("/api/v1/me/grants/", "id"), grant),
            (("/v1/files/", "file_id"), file.clone()),
            (("/v1/batches/", "batch_id"), batch),
            (("/api/v1/tenants/", "id"), tenant.clone()),
            (("/api/v1/tenants/current/exports/", "id"), an_export(server).await),
        ]);
        ids.extend(people.ids());
        ids.extend(ids_of_access(server).await);
        ids.extend(ids_of_a_connection(&connection, &people.user));
        ids.extend(ids_of_models(server, &provider, &model, &people.user).await);
        ids.extend(ids_of_the_audit(server).await);
        let People { user, team, .. } = people;
        Self { ids, collection, model, provider, file, team, tenant, user, connection, application, user_code }
    }

    /// The path with this tenant's ids in it.
    pub(super) fn path(&self, operation: &Operation) -> String {
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
    pub(super) fn body(&self, specification: &Value, operation: &Operation) -> Option<Value> {
        let schema = operation.description.pointer("/requestBody/content/application~1json/schema")?;
        Some(match operation.id.as_str() {
            "create_api_key" => json!({"name": "intruder", "role": "viewer", "team": self.team}),
            "create_model" => json!({"provider": self.provider, "name": "larger", "kind": "chat"}),
            "create_model_limit" => {
                json!({"subject": {"kind": "provider", "id": self.provider}, "requests_per_minute": 1})
            }
            "create_service_identity" => {
                json!({"spiffe_id": "spiffe://example.org/intruder", "api_key": self.ids[&("/api/v1/api-keys/", "id")]})
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
            "test_policy" => json!({
                "id": self.ids[&("/api/v1/policies/", "id")], "enabled": true,
                "text": "forbid (principal, action == Action::\"content:write\", resource);",
            }),
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
    pub(super) fn secrets(&self) -> BTreeSet<String> {
        let ids = self.ids.values().filter(|value| value.len() > 10).cloned();
        let words = ["marzipan", "The vault", "Secret plan", "ada@example.com", "guest@example.com"];
        ids.chain(words.map(str::to_owned)).collect()
    }
}

/// Makes something, as the owner.
async fn made(server: &Plasma, path: &str, body: Value) -> String {
    server.post(path, body).await["id"].as_str().unwrap().to_owned()
}

/// Who may what: an invitation, a key, a service identity, a role of the workspace's own, and a policy that changes nothing for anybody.
async fn ids_of_access(server: &Plasma) -> Ids {
    let guest = json!({"email": "guest@example.com", "role": "viewer"});
    let invitation = made(server, "/api/v1/invitations", guest).await;
    let key = made(server, "/api/v1/api-keys", json!({"name": "reader", "role": "viewer"})).await;
    let service = json!({"spiffe_id": "spiffe://example.org/reader", "api_key": key});
    let service = made(server, "/api/v1/service-identities", service).await;
    let role = json!({"name": "Secret plan readers", "permissions": ["content:read"]});
    let role = made(server, "/api/v1/roles", role).await;
    let text = "forbid (principal in Role::\"viewer\", action == Action::\"content:write\", resource);";
    let policy = made(server, "/api/v1/policies", json!({"name": "Secret plan", "text": text})).await;
    BTreeMap::from([
        (("/api/v1/invitations/", "id"), invitation),
        (("/api/v1/api-keys/", "id"), key),
        (("/api/v1/service-identities/", "id"), service),
        (("/api/v1/roles/", "id"), role),
        (("/api/v1/policies/", "id"), policy),
    ])
}

/// A connection with a domain that nobody has proved to have.
async fn a_connection(server: &Plasma) -> String {
    let connection = json!({
        "name": "Acme login", "preset": "custom", "issuer": "https://login.acme.test", "client_id": "plasma",
        "domains": ["acme-login.example"],
    });
    made(server, "/api/v1/connections", connection).await
}

fn ids_of_a_connection(connection: &str, user: &str) -> Ids {
    BTreeMap::from([
        (("/api/v1/connections/", "id"), connection.to_owned()),
        (("/api/v1/auth/sso/", "connection"), connection.to_owned()),
        (("/api/v1/connections/", "user"), user.to_owned()),
        (("/api/v1/me/linked-accounts/", "connection"), connection.to_owned()),
        (("/api/v1/domains/", "domain"), "acme-login.example".to_owned()),
    ])
}

/// A provider and its model, with a route, an alias and a prompt.
async fn a_model(server: &Plasma) -> (String, String) {
    let provider = json!({"name": "acme", "kind": "openai", "base_url": "https://a.test", "api_key": "sk-secret"});
    let provider = made(server, "/api/v1/providers", provider).await;
    let model = made(server, "/api/v1/models", json!({"provider": provider, "name": "large", "kind": "chat"})).await;
    let route = json!({"strategy": "ordered", "candidates": [{"model": model}]});
    put(server, "/api/v1/routes/our-route", route).await;
    put(server, "/api/v1/models/aliases/our-alias", json!({"target": model})).await;
    a_prompt(server).await;
    (provider, model)
}

async fn ids_of_models(server: &Plasma, provider: &str, model: &str, user: &str) -> Ids {
    let (budget, limit) = a_budget_and_a_limit(server, user, provider).await;
    let case = json!({"id": "one", "prompt": "Secret plan?", "check": {"kind": "exact", "expected": "marzipan"}});
    let benchmark = json!({"models": [model], "suite": {"name": "Secret plan", "cases": [case]}});
    let benchmark = made(server, "/api/v1/models/benchmarks", benchmark).await;
    let pull = made(server, "/api/v1/models/pulls", json!({"name": "local/all-minilm-l6-v2"})).await;
    let call = captured_call(server, model).await;
    let in_paths = model.replace('/', "%2F");
    BTreeMap::from([
        (("/api/v1/providers/", "id"), provider.to_owned()),
        (("/api/v1/models/calls/", "id"), call),
        (("/api/v1/models/benchmarks/", "id"), benchmark),
        (("/api/v1/models/budgets/", "id"), budget),
        (("/api/v1/models/pulls/", "id"), pull),
        (("/api/v1/models/limits/", "id"), limit),
        (("/api/v1/routes/", "name"), "our-route".to_owned()),
        (("/api/v1/models/aliases/", "name"), "our-alias".to_owned()),
        (("/api/v1/prompts/", "name"), "our-prompt".to_owned()),
        (("/api/v1/prompts/", "version"), "1".to_owned()),
        (("/api/v1/prompts/", "alias"), "production".to_owned()),
        (("/gemini/v1beta/models/", "call"), format!("{in_paths}:generateContent")),
        (("/api/v1/models/{", "id"), in_paths.clone()),
        (("/v1/models/", "id"), in_paths),
    ])
}

async fn ids_of_the_audit(server: &Plasma) -> Ids {
    let (record, sink) = audit::audited(server).await;
    BTreeMap::from([(("/api/v1/audit/records/", "id"), record), (("/api/v1/audit/sinks/", "id"), sink)])
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

/// A prompt with a version and an alias.
async fn a_prompt(server: &Plasma) {
    server.post("/api/v1/prompts", json!({"name": "our-prompt"})).await;
    let version = json!({"messages": [{"role": "user", "content": "Secret plan."}]});
    server.post("/api/v1/prompts/our-prompt/versions", version).await;
    put(server, "/api/v1/prompts/our-prompt/aliases/production", json!({"split": [{"version": 1}]})).await;
}

async fn a_budget_and_a_limit(server: &Plasma, user: &str, provider: &str) -> (String, String) {
    let subject = |kind: &str, id: &str| json!({"kind": kind, "id": id});
    let budget = json!({"subject": subject("user", user), "period": "day", "limit_micros": 1_000_000});
    let limit = json!({"subject": subject("provider", provider), "requests_per_minute": 1_000});
    (made(server, "/api/v1/models/budgets", budget).await, made(server, "/api/v1/models/limits", limit).await)
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
