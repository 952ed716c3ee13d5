//! A server that speaks the OpenAI format as a provider does, answers what a test tells it to, and remembers what it was
//! asked. It can also misbehave: stop in the middle, break the connection, never answer.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri, header},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub authorization: Option<String>,
    pub headers: HeaderMap,
    pub query: String,
    /// The exact text.
    pub text: String,
    pub json: Value,
}

/// What it answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status, headers and a body.
    Whole(u16, Vec<(&'static str, &'static str)>, String),
    /// Server-sent events, piece by piece.
    Stream(Vec<Piece>),
    /// A body of bytes with its content type.
    Bytes(&'static str, Vec<u8>),
    /// Nothing, for a long time.
    Silence,
}

#[derive(Clone, Debug)]
pub enum Piece {
    Bytes(String),
    Wait(Duration),
    /// The connection breaks.
    Break,
}

impl Answer {
    pub fn json(value: Value) -> Self {
        Self::Whole(200, vec![("content-type", "application/json")], value.to_string())
    }

    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({ "error": { "message": message, "type": "some_error", "code": null } });
        Self::Whole(status, vec![("content-type", "application/json")], body.to_string())
    }

    /// Each value as an event.
    pub fn events(values: impl IntoIterator<Item = Value>) -> Self {
        Self::Stream(values.into_iter().map(Piece::event).collect())
    }

    pub fn then(self, piece: Piece) -> Self {
        match self {
            Self::Stream(mut pieces) => {
                pieces.push(piece);
                Self::Stream(pieces)
            }
            other => other,
        }
    }

    pub fn done(self) -> Self {
        self.then(Piece::Bytes("data: [DONE]\n\n".to_owned()))
    }
}

impl Piece {
    pub fn event(value: Value) -> Self {
        Self::Bytes(format!("data: {value}\n\n"))
    }
}

/// A chunk that adds `content`.
pub fn text_chunk(content: &str) -> Value {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model",
        "system_fingerprint": "fp_1", "usage": null,
        "choices": [{ "index": 0, "delta": { "content": content }, "finish_reason": null, "unheard_of": { "kept": true } }],
    })
}

/// The chunk that ends the answer.
pub fn finish_chunk(reason: &str) -> Value {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model", "usage": null,
        "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }],
    })
}

/// The chunk that tells the tokens.
pub fn usage_chunk(input: u64, cached: u64, output: u64) -> Value {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "upstream-model", "choices": [],
        "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
                   "prompt_tokens_details": { "cached_tokens": cached } },
    })
}

/// A whole answer.
pub fn whole_answer(content: &str, input: u64, output: u64) -> Value {
    json!({
        "id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": "upstream-model",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": content }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output },
        "unheard_of": { "number": 12345678901234567890_u64 },
    })
}

pub struct Upstream {
    /// Its base URL.
    pub url: String,
    state: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    /// The last one is repeated.
    answers: Mutex<VecDeque<Answer>>,
    /// Streams and silences that the other side gave up.
    abandoned: watch::Sender<usize>,
}

impl Upstream {
    pub async fn start(answer: Answer) -> Self {
        Self::start_with([answer]).await
    }

    /// Gives the answers in turn, the last one for ever.
    pub async fn start_with(answers: impl IntoIterator<Item = Answer>) -> Self {
        let state = Arc::new(Shared {
            seen: Mutex::default(),
            answers: Mutex::new(answers.into_iter().collect()),
            abandoned: watch::Sender::new(0),
        });
        let router = Router::new().fallback(handle).with_state(state.clone());
        Self { url: format!("http://{}/v1", listen(router).await), state }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The only request that came.
    pub fn only(&self) -> Seen {
        let seen = self.seen();
        assert_eq!(seen.len(), 1, "one request was expected: {seen:?}");
        seen[0].clone()
    }

    /// Returns when a request has been given up by the other side.
    pub async fn abandoned(&self) {
        let mut abandoned = self.state.abandoned.subscribe();
        tokio::time::timeout(Duration::from_secs(10), abandoned.wait_for(|count| *count > 0))
            .await
            .expect("the connection to the provider was not closed")
            .unwrap();
    }
}

/// Counts an answer that was dropped before its end.
struct Unfinished {
    state: Arc<Shared>,
    finished: bool,
}

impl Unfinished {
    fn finish(mut self) {
        self.finished = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            self.state.abandoned.send_modify(|count| *count += 1);
        }
    }
}

async fn handle(State(state): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response<Body> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    state.seen.lock().unwrap().push(Seen {
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or("").to_owned(),
        authorization,
        headers,
        text,
        json,
    });
    let answer = {
        let mut answers = state.answers.lock().unwrap();
        if answers.len() > 1 { answers.pop_front().unwrap() } else { answers.front().unwrap().clone() }
    };
    let unfinished = Unfinished { state: state.clone(), finished: false };
    match answer {
        Answer::Whole(status, headers, body) => {
            unfinished.finish();
            let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Answer::Bytes(content_type, bytes) => {
            unfinished.finish();
            Response::builder().header(header::CONTENT_TYPE, content_type).body(Body::from(bytes)).unwrap()
        }
        Answer::Silence => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            unreachable!("a test waits this long for nothing");
        }
        Answer::Stream(pieces) => {
            let pieces = stream::unfold((pieces.into_iter(), unfinished), |(mut pieces, mut unfinished)| async move {
                loop {
                    match pieces.next() {
                        Some(Piece::Bytes(bytes)) => {
                            return Some((Ok(Bytes::from(bytes)), (pieces, unfinished)));
                        }
                        Some(Piece::Wait(duration)) => tokio::time::sleep(duration).await,
                        Some(Piece::Break) => {
                            unfinished.finished = true;
                            // What was sent before must arrive, or the break would overtake it.
                            tokio::time::sleep(Duration::from_millis(50)).await;
                            return Some((Err(std::io::Error::other("broken on purpose")), (pieces, unfinished)));
                        }
                        None => {
                            unfinished.finish();
                            return None;
                        }
                    }
                }
            });
            Response::builder()
                .header(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")
                .body(Body::from_stream(pieces))
                .unwrap()
        }
    }
}

/// Serves a router on a free port of this machine.
pub async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}
