//! What an operator's collectors get: JSON lines and OpenTelemetry traces.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use crate::harness::{KEY, Place};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn log_lines_are_json_and_name_the_request() {
    let mut place = Place::sqlite();
    place.set("PLASMA_LOG_FORMAT", "json");
    let server = place.start();
    let response = server.owner(Method::GET, "/api/v1/collections?limit=7").send().await.unwrap();
    let request = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line =
        lines.iter().find(|line| line["span"]["request_id"] == request.as_str()).unwrap_or_else(|| panic!("{log}"));
    assert_eq!(line["target"], "plasma::access", "{line}");
    assert_eq!((line["route"].as_str(), line["status"].as_u64()), (Some("/api/v1/collections"), Some(200)), "{line}");
    assert!(line["duration_ms"].is_number() && line["tenant"].as_str().unwrap().starts_with("ten_"), "{line}");
    // Neither what was asked nor with which key.
    assert!(!log.contains("limit=7") && !log.contains(KEY), "{log}");
}

/// Takes what a server sends to its collector: path and body of each request.
async fn collector() -> (String, tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                loop {
                    let mut piece = [0; 16_384];
                    let read = stream.read(&mut piece).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    bytes.extend_from_slice(&piece[..read]);
                    let Some(head) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
                    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
                    let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
                    if bytes.len() < head + 4 + length {
                        continue;
                    }
                    let path = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
                    let body = bytes[head + 4..head + 4 + length].to_vec();
                    bytes.drain(..head + 4 + length);
                    sender.send((path, body)).unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                }
            });
        }
    });
    (address, received)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_reach_the_collector_under_the_callers_trace() {
    let (address, mut received) = collector().await;
    let mut place = Place::sqlite();
    place.set("PLASMA_OTLP_ENDPOINT", &address);
    let server = place.start();
    let trace = [0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36];
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = server.owner(Method::GET, "/api/v1/collections").header("traceparent", traceparent);
    assert_eq!(request.send().await.unwrap().status(), 200);
    // A call of a model, at a provider that is not there.
    let provider = json!({"name": "acme", "kind": "openai", "base_url": "http://127.0.0.1:9/v1"});
    let provider = server.post("/api/v1/providers", provider).await;
    let model = json!({"provider": provider["id"], "name": "large", "kind": "chat", "free": true});
    server.post("/api/v1/models", model).await;
    let question = json!({"model": "acme/large", "messages": [{"role": "user", "content": "a secret question"}]});
    let call = server.owner(Method::POST, "/v1/chat/completions").json(&question).send().await.unwrap();
    assert_eq!(call.status(), 502);
    assert!(!server.log().contains("gen_ai"), "spans for the collector are no log lines");
    // What is not sent yet when the program stops is sent then.
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    let has = |body: &[u8], part: &[u8]| body.windows(part.len()).any(|window| window == part);
    let mut all = Vec::new();
    while let Ok(Some((path, body))) = tokio::time::timeout(Duration::from_secs(20), received.recv()).await {
        assert_eq!(path, "/v1/traces");
        all.extend(body);
        if has(&all, &trace) && has(&all, b"chat acme/large") {
            break;
        }
    }
    assert!(has(&all, &trace), "the caller's trace did not arrive");
    assert!(has(&all, b"GET /api/v1/collections") && has(&all, b"plasma"));
    for part in ["chat acme/large", "gen_ai.operation.name", "gen_ai.usage.input_tokens", "provider_unreachable"] {
        assert!(has(&all, part.as_bytes()), "{part} did not arrive");
    }
    assert!(!has(&all, KEY.as_bytes()) && !has(&all, b"a secret question"));
    assert!(stopped.await.unwrap().success());
}
