//! Nothing that a server was told in confidence stands in what it writes: not in its log (as talkative as it can be), not on its
//! output, not in its events, and not in its answers to others.

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::harness::{EMAIL, KEY, PASSWORD, Place, Plasma, success};

/// What people and programs send in confidence, right and wrong. Each is unlike anything else.
struct Told(Vec<(&'static str, String)>);

impl Told {
    fn note(&mut self, what: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        self.0.push((what, secret.clone()));
        secret
    }

    fn check(&self, place: &str, text: &str) {
        for (what, secret) in &self.0 {
            if let Some(at) = text.find(secret.as_str()) {
                let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
                let shown: String = text[line..].chars().take(300).collect();
                panic!("{place} holds {what}: {}", shown.replace(secret.as_str(), "[…]"));
            }
        }
    }
}

async fn log_in(server: &Plasma, told: &mut Told, email: &str, password: &str) -> String {
    let body = json!({"email": email, "password": password});
    let response = server.request(Method::POST, "/api/v1/auth/login").json(&body).send().await.unwrap();
    let session = success(response).await;
    told.note("a session's token", session["token"].as_str().unwrap())
}

/// Tries that are refused in every way: what is wrong must not be told by repeating it.
async fn refused_tries(server: &Plasma, told: &mut Told) {
    let wrong = told.note("a wrong password", "wrong-horse-wrong-battery-4711");
    let attempts = [
        json!({"email": EMAIL, "password": wrong}),
        json!({"email": EMAIL, "password": [wrong]}),
        json!({"email": EMAIL, "password": {"text": wrong}}),
        json!({"email": EMAIL, "passwort": wrong}),
        json!(wrong),
    ];
    for attempt in attempts {
        server.request(Method::POST, "/api/v1/auth/login").json(&attempt).send().await.unwrap();
    }
    let truncated = format!("{{\"email\": \"{EMAIL}\", \"password\": \"{wrong}");
    let request = server.request(Method::POST, "/api/v1/auth/login").header("content-type", "application/json");
    request.body(truncated).send().await.unwrap();
    let unknown = told.note("an unknown key", format!("plk_{}", "unknown0".repeat(6)));
    for name in ["x-api-key", "x-goog-api-key"] {
        server.request(Method::GET, "/api/v1/me").header(name, &unknown).send().await.unwrap();
    }
    server.request(Method::GET, "/api/v1/me").bearer_auth(&unknown).send().await.unwrap();
    let stolen = told.note("a cookie", "pls_stolen000000000000000000000000000000000000000000000");
    let cookie = format!("plasma_session={stolen}");
    server.request(Method::GET, "/api/v1/me").header("cookie", cookie).send().await.unwrap();
    let in_query = told.note("a key in a query", format!("plk_{}", "inquery0".repeat(6)));
    server.request(Method::GET, &format!("/v1/models?key={in_query}")).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_what_the_server_writes() {
    let mut place = Place::sqlite();
    place.set("PLASMA_LOG_LEVEL", "trace");
    let mut told = Told(vec![("the owner's password", PASSWORD.to_owned()), ("the bootstrap key", KEY.to_owned())]);
    let server = place.start();
    log_in(&server, &mut told, EMAIL, PASSWORD).await;
    let password = told.note("a user's password", "ada-says-open-sesame-2026");
    let user = json!({"email": "ada@example.com", "name": "Ada", "role": "admin", "password": password});
    server.post("/api/v1/users", user).await;
    let session = log_in(&server, &mut told, "ada@example.com", &password).await;
    let changed = told.note("a changed password", "ada-says-close-sesame-2026");
    let change = json!({"current_password": password, "new_password": changed});
    let request = server.request(Method::POST, "/api/v1/me/password").bearer_auth(&session).json(&change);
    request.send().await.unwrap();
    let key = server.post("/api/v1/api-keys", json!({"name": "reader", "role": "viewer"})).await;
    let key = told.note("an API key", key["key"].as_str().unwrap());
    server.request(Method::GET, "/api/v1/me").bearer_auth(&key).send().await.unwrap();
    // A provider that cannot be reached, and one that is not there: both failures name the provider.
    let sealed = told.note("a provider's key", "sk-upstream-secret-0123456789abcdef");
    let provider = json!({"name": "gone", "kind": "openai", "base_url": "http://127.0.0.1:1/v1", "api_key": sealed});
    let provider = server.post("/api/v1/providers", provider).await;
    let provider = provider["id"].as_str().unwrap();
    server.post(&format!("/api/v1/providers/{provider}/test"), json!({})).await;
    server.post("/api/v1/models", json!({"provider": provider, "name": "large", "kind": "chat", "free": true})).await;
    let chat = json!({"model": "gone/large", "messages": [{"role": "user", "content": "hello"}]});
    server.owner(Method::POST, "/v1/chat/completions").json(&chat).send().await.unwrap();
    let aws = told.note("a secret of AWS", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY");
    let bedrock = json!({
        "name": "aws", "kind": "bedrock", "base_url": "http://127.0.0.1:1", "api_key": format!("AKIDEXAMPLE:{aws}"),
        "options": {"region": "us-east-1"},
    });
    server.post("/api/v1/providers", bedrock).await;
    let wrong = json!({"name": "not ours!", "kind": "openai", "base_url": "nonsense", "api_key": sealed});
    server.owner(Method::POST, "/api/v1/providers").json(&wrong).send().await.unwrap();
    refused_tries(&server, &mut told).await;
    // A broken upload while logged in.
    let form = Form::new().part("file", Part::bytes(b"text".to_vec()).file_name("a.txt"));
    server.owner(Method::POST, "/api/v1/collections/col_x/documents").multipart(form).send().await.unwrap();

    for path in
        ["/api/v1/events?limit=200", "/api/v1/users", "/api/v1/api-keys", "/api/v1/providers", "/api/v1/models/calls"]
    {
        told.check(path, &server.get(path).await.to_string());
    }
    let metrics = server.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    told.check("/metrics", &metrics);
    told.check("the standard output", &server.printed.join("\n"));
    let log = server.log();
    assert!(log.contains("/api/v1/auth/login") && log.contains("DEBUG"), "the log is not that of this test");
    told.check("the log", &log);
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let shown = crate::harness::program()
        .args(["config", "show"])
        .env("PLASMA_OWNER_PASSWORD", "a-password-in-the-environment")
        .env("PLASMA_BOOTSTRAP_API_KEY", KEY)
        .env("PLASMA_DATABASE_URL", "postgres://plasma:a-password-in-a-url@db.example/plasma")
        .output()
        .unwrap();
    let told = Told(vec![
        ("a password", "a-password-in-the-environment".to_owned()),
        ("a key", KEY.to_owned()),
        ("a password in a URL", "a-password-in-a-url".to_owned()),
    ]);
    told.check("plasma config show", &String::from_utf8_lossy(&shown.stdout));
    told.check("plasma config show's errors", &String::from_utf8_lossy(&shown.stderr));
    assert!(Value::from(shown.status.code()).is_number());
}
