//! What protects browsers and neighbours: headers of every answer, requests that other sites forge, requests of one workspace that leave
//! nothing to the others, and addresses that lead into the server's own network.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::harness::{EMAIL, KEY, PASSWORD, Place, Plasma, on_each_database, problem, success};

on_each_database! {
    async fn what_a_database_cannot_store_is_the_senders_fault(place: Place) {
        let server = place.start();
        for path in ["/api/v1/prompts/a%00b", "/api/v1/models/aliases/a%00b", "/v1/models/a%00b", "/api/v1/events?type=a%00b"] {
            let status = server.owner(Method::GET, path).send().await.unwrap().status();
            assert!(!status.is_server_error(), "{path}: {status}");
        }
        let named = [
            ("/api/v1/collections", json!({"name": "a\u{0}b"})),
            ("/api/v1/teams", json!({"name": "a\u{0}b"})),
            ("/api/v1/prompts", json!({"name": "a", "description": "a\u{0}b"})),
            ("/api/v1/content/documents", json!({"title": "a", "body": "a\u{0}b"})),
        ];
        for (path, body) in named {
            let response = server.owner(Method::POST, path).json(&body).send().await.unwrap();
            assert!(!response.status().is_server_error(), "{path}: {}", response.text().await.unwrap());
        }
    }
}

async fn login(server: &Plasma, email: &str, password: &str) -> Value {
    let request = server.request(Method::POST, "/api/v1/auth/login");
    success(request.json(&json!({"email": email, "password": password})).send().await.unwrap()).await
}

/// A second workspace, whose owner does not manage the installation.
async fn neighbour(server: &Plasma) -> String {
    let owner = json!({"email": "eve@example.com", "name": "Eve", "password": "another password"});
    server.post("/api/v1/tenants", json!({"name": "Neighbours", "owner": owner})).await;
    login(server, "eve@example.com", "another password").await["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_says_how_browsers_must_treat_it() {
    let server = Place::sqlite().start();
    for path in [
        "/api/v1/me",
        "/v1/models",
        "/healthz",
        "/openapi.json",
        "/docs/errors",
        "/docs/errors/forbidden",
        "/login/",
        "/nothing/",
    ] {
        let response = server.owner(Method::GET, path).send().await.unwrap();
        let headers = response.headers().clone();
        let text = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        assert_eq!(text("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(text("x-frame-options"), "DENY", "{path}");
        assert_eq!(text("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(text("referrer-policy"), "same-origin", "{path}");
        let policy = text("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-") && !policy.contains('*'), "{path}: {policy}");
        if text("content-type").starts_with("text/html") {
            assert_eq!(text("cross-origin-opener-policy"), "same-origin", "{path}");
            assert!(text("permissions-policy").contains("camera=()"), "{path}");
            assert!(policy.contains("base-uri 'none'"), "{path}: {policy}");
        }
        // Other sites' scripts are never let in.
        assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_site_changes_nothing_by_any_method_or_form() {
    let server = Place::sqlite().start();
    let response =
        server.request(Method::POST, "/api/v1/auth/login").json(&json!({"email": EMAIL, "password": PASSWORD}));
    let response = response.send().await.unwrap();
    let set_cookie = response.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set_cookie.contains(attribute), "{set_cookie}");
    }
    assert!(!set_cookie.contains("Domain="), "{set_cookie}");
    let cookie = set_cookie.split(';').next().unwrap().to_owned();
    let collection = server.create_collection("kept").await;
    let path = format!("/api/v1/collections/{collection}");
    let from = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (name, value) in from {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            for kind in [
                "application/json",
                "text/plain",
                "application/x-www-form-urlencoded",
                "multipart/form-data; boundary=x",
            ] {
                let request = server.request(method.clone(), &path).header("cookie", &cookie).header(name, value);
                let refused = problem(request.header("content-type", kind).body("{}"), 403).await;
                assert_eq!(refused["reason"], "cross_origin", "{method} {kind} from {value}");
            }
        }
    }
    // Nor without a cookie: nobody is logged in by another site.
    let forged = server.request(Method::POST, "/api/v1/auth/login").header("origin", "https://evil.example");
    assert_eq!(
        problem(forged.json(&json!({"email": EMAIL, "password": PASSWORD})), 403).await["reason"],
        "cross_origin"
    );
    // A method in a header or a form is no method.
    let overridden = server.request(Method::POST, &path).header("cookie", &cookie).header("origin", &server.url);
    assert_eq!(overridden.header("x-http-method-override", "DELETE").send().await.unwrap().status(), 405);
    assert_eq!(server.get(&path).await["name"], "kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_not_given_to_a_name_that_somebody_points_here() {
    let server = Place::sqlite().start();
    let metrics = |host: &str| server.request(Method::GET, "/metrics").header("host", host.to_owned());
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080", "this-machine"] {
        assert_eq!(metrics(host).send().await.unwrap().status(), 200, "{host}");
    }
    // A page of that name would read them from the browser of somebody at this machine.
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"] {
        problem(metrics(host), 401).await;
        assert_eq!(metrics(host).bearer_auth(KEY).send().await.unwrap().status(), 200, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_gets_exactly_its_requests_and_the_others_theirs() {
    let mut place = Place::sqlite();
    place.set("PLASMA_TENANT_REQUESTS_PER_MINUTE", "100");
    let server = place.start();
    let neighbour = neighbour(&server).await;
    let begun = Instant::now();
    let asked = (0..300).map(|_| server.owner(Method::GET, "/v1/models").send());
    let answers = futures::future::join_all(asked).await;
    let earned = begun.elapsed().as_secs_f64() * 100.0 / 60.0;
    let (mut allowed, mut refused) = (0_u32, 0_u32);
    for answer in answers {
        let answer = answer.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        assert_eq!(headers["ratelimit-policy"], "\"tenant\";q=100;w=60");
        assert!(headers["ratelimit"].to_str().unwrap().starts_with("\"tenant\";r="));
        if status == StatusCode::OK {
            allowed += 1;
            continue;
        }
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert!(headers[header::RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() >= 1);
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["code"], "tenant_rate_limited", "{body}");
        refused += 1;
    }
    // One was used to make the neighbour's workspace.
    assert!(allowed >= 99 && f64::from(allowed) <= 100.0 + earned, "{allowed} allowed, {refused} refused");
    let theirs = server.request(Method::GET, "/api/v1/me").bearer_auth(&neighbour).send().await.unwrap();
    assert_eq!(theirs.status(), 200);
    let asked = (0..50).map(|_| server.owner(Method::GET, "/api/v1/me").send());
    let again = futures::future::join_all(asked).await;
    let refused = again.into_iter().map(Result::unwrap).find(|answer| answer.status() == 429).unwrap();
    assert_eq!(refused.json::<Value>().await.unwrap()["reason"], "tenant_rate_limited");
    // Whoever watches over the server is answered all the same, and the next second brings new ones.
    assert_eq!(server.request(Method::GET, "/healthz").send().await.unwrap().status(), 200);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(server.owner(Method::GET, "/api/v1/me").send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbours_provider_does_not_lead_into_this_network() {
    let server = Place::sqlite().start();
    let neighbour = neighbour(&server).await;
    let create = |base_url: &str| {
        let body = json!({"name": "inside", "kind": "openai", "base_url": base_url});
        server.request(Method::POST, "/api/v1/providers").bearer_auth(&neighbour).json(&body)
    };
    for private in [
        "http://127.0.0.1:11434/v1",
        "http://localhost/v1",
        "http://169.254.169.254/latest",
        "http://[fd00::1]/",
        "http://0x7f.1/",
    ] {
        let refused = problem(create(private), 400).await;
        assert_eq!(
            (&refused["reason"], &refused["field"]),
            (&json!("outbound_address_refused"), &json!("base_url")),
            "{private}"
        );
    }
    assert_eq!(success(create("https://api.example.com/v1").send().await.unwrap()).await["unguarded"], false);
    // The machine's owner has a model server beside this one.
    let ollama = json!({"name": "ollama", "kind": "openai", "base_url": "http://127.0.0.1:11434/v1"});
    assert_eq!(server.post("/api/v1/providers", ollama).await["unguarded"], true);
}
