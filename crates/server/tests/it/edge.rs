//! What every request meets: ids, headers, limits, and the routes for operators.

use std::time::Duration;

use reqwest::{Method, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::harness::{EMAIL, KEY, PASSWORD, Place, problem, success};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_names_its_request() {
    let server = Place::sqlite().start();
    let given = "req_01jd8x00000000000000000000";
    let response = server.owner(Method::GET, "/api/v1/me").header("x-request-id", given).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], given);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    for wrong in ["1", "req_x", "<script>"] {
        let response = server.owner(Method::GET, "/api/v1/me").header("x-request-id", wrong).send().await.unwrap();
        let answered = response.headers()["x-request-id"].to_str().unwrap();
        assert!(answered.starts_with("req_") && answered.len() == 30 && answered != wrong, "{answered}");
    }
    // The log has the request under the same id, and the event too.
    let request = server.owner(Method::POST, "/api/v1/collections").header("x-request-id", given);
    success(request.json(&json!({"name": "traced"})).send().await.unwrap()).await;
    let events = server.all("/api/v1/events?type=knowledge.collection.created").await;
    assert_eq!(events[0]["request_id"], given);
    assert!(server.log().contains(given), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_routes_and_methods_are_problems() {
    let server = Place::sqlite().start();
    assert_eq!(problem(server.owner(Method::GET, "/api/v1/nothing"), 404).await["reason"], "route_not_found");
    assert_eq!(problem(server.owner(Method::DELETE, "/api/v1/search"), 405).await["reason"], "method_not_allowed");
    let response = server.owner(Method::GET, "/v1/nothing").send().await.unwrap();
    assert_eq!(response.status(), 404);
    assert!(response.json::<Value>().await.unwrap()["error"]["message"].is_string());
    // Where a problem's type leads, there is a page.
    let problem = problem(server.owner(Method::GET, "/api/v1/collections/col_00000000000000000000000000"), 404).await;
    let page = server.request(Method::GET, problem["type"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains(problem["reason"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cookies_work_only_from_the_own_pages() {
    let server = Place::sqlite().start();
    let login = json!({"email": EMAIL, "password": PASSWORD});
    let response = server.request(Method::POST, "/api/v1/auth/login").json(&login).send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let create = |headers: &[(&'static str, &str)]| {
        let request =
            server.request(Method::POST, "/api/v1/collections").header("cookie", &cookie).json(&json!({"name": "c"}));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    let read = server.request(Method::GET, "/api/v1/me").header("cookie", &cookie).send().await.unwrap();
    assert_eq!(read.status(), 200);
    assert_eq!(problem(create(&[]), 403).await["reason"], "cross_origin");
    assert_eq!(problem(create(&[("origin", "https://evil.example")]), 403).await["reason"], "cross_origin");
    assert_eq!(problem(create(&[("sec-fetch-site", "cross-site")]), 403).await["reason"], "cross_origin");
    assert_eq!(create(&[("origin", &server.url)]).send().await.unwrap().status(), 201);
    // Nobody is logged in by another site either, and a stale cookie keeps nobody from the login.
    let forged =
        server.request(Method::POST, "/api/v1/auth/login").header("origin", "https://evil.example").json(&login);
    assert_eq!(problem(forged, 403).await["reason"], "cross_origin");
    let stale = server
        .request(Method::POST, "/api/v1/auth/login")
        .header("cookie", "plasma_session=pls_stale")
        .header("origin", &server.url)
        .json(&login);
    assert_eq!(stale.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_health_metrics_and_the_overview() {
    let server = Place::sqlite().start();
    let health = server.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(success(health).await["status"], "ok");
    let ready = success(server.request(Method::GET, "/readyz").send().await.unwrap()).await;
    assert_eq!(ready["status"], "ready", "{ready}");
    server.create_collection("counted").await;
    let overview = server.get("/api/v1/overview").await;
    assert_eq!(
        (overview["collections"].as_u64(), overview["database"].as_str()),
        (Some(1), Some("sqlite")),
        "{overview}"
    );
    let metrics = server.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    for expected in [
        "plasma_http_requests_total{route=\"/api/v1/collections\",method=\"POST\",status=\"201\"} 1",
        "plasma_http_request_duration_seconds_bucket",
        "plasma_build_info{version=",
        "plasma_process_resident_memory_bytes",
        "plasma_process_cpu_seconds_total",
        "plasma_jobs{state=\"failed\"} 0",
        "plasma_http_requests_in_flight 1",
    ] {
        assert!(metrics.contains(expected), "{expected} is missing in:\n{metrics}");
    }
    // Through a proxy, everybody seems to come from this machine.
    let through_proxy = || server.request(Method::GET, "/metrics").header("x-forwarded-for", "203.0.113.7");
    problem(through_proxy(), 401).await;
    assert_eq!(through_proxy().bearer_auth(KEY).send().await.unwrap().status(), 200);
    let viewer = server.post("/api/v1/api-keys", json!({"name": "v", "role": "admin"})).await;
    problem(through_proxy().bearer_auth(viewer["key"].as_str().unwrap()), 403).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_specification_is_cached_and_compressed() {
    let server = Place::sqlite().start();
    let get = || server.request(Method::GET, "/openapi.json");
    let whole = get().send().await.unwrap();
    let etag = whole.headers()[header::ETAG].clone();
    let bytes = whole.text().await.unwrap().len();
    assert_eq!(get().header(header::IF_NONE_MATCH, etag).send().await.unwrap().status(), 304);
    for encoding in ["gzip", "br"] {
        let compressed = get().header(header::ACCEPT_ENCODING, encoding).send().await.unwrap();
        assert_eq!(compressed.headers()[header::CONTENT_ENCODING], encoding);
        // Names and descriptions repeat: about a ninth remains.
        assert!(compressed.bytes().await.unwrap().len() < bytes / 6);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_requests_at_once_are_told_to_come_back() {
    let mut place = Place::sqlite();
    place.set("PLASMA_CONCURRENCY_MAX", "2");
    let server = place.start();
    let mut held = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..2 {
        let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
        let request = server
            .owner(Method::POST, "/api/v1/collections")
            .header("content-type", "application/json")
            .body(reqwest::Body::wrap_stream(receiver));
        held.push(tokio::spawn(request.send()));
        senders.push(sender);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let response = server.owner(Method::GET, "/api/v1/collections").send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "1"));
    assert_eq!(response.json::<Value>().await.unwrap()["reason"], "overloaded");
    // Health checks are answered all the same.
    assert_eq!(server.request(Method::GET, "/healthz").send().await.unwrap().status(), 200);
    for (sender, number) in senders.into_iter().zip(0..) {
        sender.unbounded_send(Ok(json!({"name": format!("held {number}")}).to_string().into_bytes())).unwrap();
    }
    for request in held {
        assert_eq!(request.await.unwrap().unwrap().status(), 201);
    }
    assert_eq!(server.owner(Method::GET, "/api/v1/collections").send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_takes_too_long_is_given_up() {
    let mut place = Place::sqlite();
    place.set("PLASMA_REQUEST_TIMEOUT_MS", "300");
    let server = place.start();
    let (_sender, receiver) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let request = server
        .owner(Method::POST, "/api/v1/collections")
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(receiver));
    assert_eq!(problem(request, 504).await["code"], "timeout");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_broken_clients_do_no_harm() {
    let mut server = Place::sqlite().start();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    // Half a head each, and then silence.
    let mut silent = Vec::new();
    for _ in 0..100 {
        let mut client = TcpStream::connect(&address).await.unwrap();
        client.write_all(b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
        silent.push(client);
    }
    assert_eq!(server.owner(Method::GET, "/api/v1/me").send().await.unwrap().status(), 200);
    for nonsense in
        [b"\x16\x03\x01\x02\x00\x01\x00".as_slice(), b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"]
    {
        let mut client = TcpStream::connect(&address).await.unwrap();
        client.write_all(nonsense).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    }
    let mut client = TcpStream::connect(&address).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Large: {}\r\n\r\n", "a".repeat(200_000));
    let _ = client.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), client.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    assert!(server.is_running());
    // The silent ones are let go after half a minute; this waits for the first.
    let gone = tokio::time::timeout(Duration::from_secs(40), silent[0].read_to_end(&mut Vec::new())).await;
    assert!(gone.is_ok(), "a silent client was kept");
}
