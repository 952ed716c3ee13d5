//! A provider that speaks the OpenAI protocol and writes what the test says.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// What it answers.
#[derive(Clone)]
pub enum Writes {
    /// This text, a few letters at a time.
    Text(String),
    /// The beginning of a text, and then it waits for ever.
    Hangs(String),
    /// An error.
    Fails,
}

#[derive(Clone)]
pub struct Upstream {
    writes: Writes,
    /// The last request's JSON.
    pub asked: Arc<Mutex<Option<Value>>>,
    /// Whether the last stream was dropped by the client.
    pub dropped: Arc<AtomicBool>,
}

struct Watched(Arc<AtomicBool>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Upstream {
    /// Starts it; the second part is its base URL.
    pub async fn start(writes: Writes) -> (Self, String) {
        let upstream = Self { writes, asked: Arc::default(), dropped: Arc::default() };
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(upstream.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (upstream, url)
    }
}

async fn complete(State(upstream): State<Upstream>, Json(request): Json<Value>) -> Response {
    *upstream.asked.lock().await = Some(request);
    let (text, hangs) = match upstream.writes {
        Writes::Fails => {
            let error =
                json!({"error": {"message": "out of order", "type": "server_error", "param": null, "code": null}});
            return (StatusCode::INTERNAL_SERVER_ERROR, Json(error)).into_response();
        }
        Writes::Text(text) => (text, false),
        Writes::Hangs(text) => (text, true),
    };
    let letters: Vec<char> = text.chars().collect();
    let mut lines: Vec<String> = letters
        .chunks(7)
        .map(|piece| {
            chunk(
                json!([{"index": 0, "delta": {"content": piece.iter().collect::<String>()}, "finish_reason": null}]),
                None,
            )
        })
        .collect();
    if !hangs {
        lines.push(chunk(json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]), None));
        lines.push(chunk(json!([]), Some(json!({"prompt_tokens": 321, "completion_tokens": 45, "total_tokens": 366}))));
        lines.push("data: [DONE]\n\n".to_owned());
    }
    let watched = Watched(upstream.dropped);
    let pieces = futures::stream::iter(lines).then(|line| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        line
    });
    let rest = futures::stream::once(async move {
        if hangs {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        drop(watched);
        String::new()
    });
    let body = Body::from_stream(pieces.chain(rest).map(Ok::<_, Infallible>));
    ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
}

fn chunk(choices: Value, usage: Option<Value>) -> String {
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "writer",
        "choices": choices, "usage": usage,
    });
    format!("data: {chunk}\n\n")
}
