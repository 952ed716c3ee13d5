//! A stand-in for a provider: an OpenAI-compatible server that costs as little as possible, to measure what stands in
//! front of it. Its answers are made once, at the start; a request is only read far enough to know which one it wants.
//!
//! `POST /v1/chat/completions` answers as the model's name says: `instant` at once, `paced` with a pause between the chunks
//! of a stream. Without the right key it refuses, so that a gateway that passes on another one is seen. One thread, for the
//! cores belong to what is measured.

use std::{
    borrow::Cow,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use clap::Parser;
use http_body_util::{BodyExt as _, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{Instant, Interval, interval_at},
};

/// Bytes of a request that are read.
const REQUEST_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, Parser)]
#[command(about = "An OpenAI-compatible server with prepared answers")]
struct Settings {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The key that requests must bear
    #[arg(long)]
    api_key: String,
    /// Chunks with text in a stream
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    chunks: u32,
    /// Milliseconds between two chunks of the model `paced`
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    chunk_pause_ms: u64,
}

/// What is the same for all requests.
struct Answers {
    authorization: String,
    whole: Arc<[Bytes]>,
    /// The events of a stream without usage, and with.
    stream: Arc<[Bytes]>,
    stream_with_usage: Arc<[Bytes]>,
    pause: Duration,
}

/// The fields that decide about the answer.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    stream: bool,
    #[serde(default)]
    stream_options: StreamOptions,
}

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let settings = Settings::parse();
    let answers = Arc::new(Answers::new(&settings));
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("cannot listen on {}: choose another address", settings.listen))?;
    println!("the mock provider is ready at http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Most likely too many open files: some will be closed soon.
                eprintln!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let answers = Arc::clone(&answers);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let answers = Arc::clone(&answers);
                async move { Ok::<_, Infallible>(answer(&answers, request).await) }
            });
            // A client that goes away in the middle is none of our business.
            let _ =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(answers: &Answers, request: Request<Incoming>) -> Response<Pieces> {
    if request.method() != Method::POST || request.uri().path() != "/v1/chat/completions" {
        return refusal(StatusCode::NOT_FOUND, "there is only POST /v1/chat/completions");
    }
    let key = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
    if key != Some(answers.authorization.as_bytes()) {
        return refusal(StatusCode::UNAUTHORIZED, "the provider's key is missing or another one");
    }
    let Ok(body) = Limited::new(request.into_body(), REQUEST_BYTES_MAX).collect().await else {
        return refusal(StatusCode::BAD_REQUEST, "the request could not be read");
    };
    let body = body.to_bytes();
    let asked: Asked<'_> = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let pause = match asked.model.as_ref() {
        "instant" => None,
        "paced" => Some(answers.pause),
        _ => return refusal(StatusCode::NOT_FOUND, "the models are `instant` and `paced`"),
    };
    match (asked.stream, asked.stream_options.include_usage) {
        (false, _) => respond(StatusCode::OK, "application/json", Pieces::new(&answers.whole, None)),
        (true, false) => respond(StatusCode::OK, "text/event-stream", Pieces::new(&answers.stream, pause)),
        (true, true) => respond(StatusCode::OK, "text/event-stream", Pieces::new(&answers.stream_with_usage, pause)),
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Pieces) -> Response<Pieces> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn refusal(status: StatusCode, message: &str) -> Response<Pieces> {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    respond(status, "application/json", Pieces::new(&Arc::from([Bytes::from(body.to_string())]), None))
}

impl Answers {
    fn new(settings: &Settings) -> Self {
        let chunks = u64::from(settings.chunks);
        let content = "The capital of France is Paris, which lies on the Seine in the north of the country.";
        let usage = |output_tokens: u64| {
            json!({
                "prompt_tokens": 24, "completion_tokens": output_tokens, "total_tokens": 24 + output_tokens,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            })
        };
        let whole = json!({
            "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", "object": "chat.completion", "created": 1_760_000_000,
            "model": "instant",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": content, "refusal": null},
                "logprobs": null, "finish_reason": "stop",
            }],
            "usage": usage(20), "service_tier": "default", "system_fingerprint": "fp_0123456789",
        });
        let events = |with_usage: bool| {
            let mut events = vec![event(json!([choice(json!({"role": "assistant", "content": ""}), None)]), None)];
            // Some gateways take a text that keeps repeating itself for a fault of the model.
            let words = content.split_inclusive(' ').cycle().take(settings.chunks as usize);
            events.extend(words.map(|word| event(json!([choice(json!({"content": word}), None)]), None)));
            events.push(event(json!([choice(json!({}), Some("stop"))]), None));
            if with_usage {
                events.push(event(json!([]), Some(usage(chunks))));
            }
            events.push(Bytes::from_static(b"data: [DONE]\n\n"));
            Arc::from(events)
        };
        Self {
            authorization: format!("Bearer {}", settings.api_key),
            whole: Arc::from([Bytes::from(whole.to_string())]),
            stream: events(false),
            stream_with_usage: events(true),
            pause: Duration::from_millis(settings.chunk_pause_ms),
        }
    }
}

fn choice(delta: Value, finish_reason: Option<&str>) -> Value {
    json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish_reason})
}

fn event(choices: Value, usage: Option<Value>) -> Bytes {
    let chunk = json!({
        "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012", "object": "chat.completion.chunk", "created": 1_760_000_000,
        "model": "instant", "service_tier": "default", "system_fingerprint": "fp_0123456789", "choices": choices,
        "usage": usage,
    });
    Bytes::from(format!("data: {chunk}\n\n"))
}

/// A prepared body, piece by piece: each event of a stream is a chunk of its own on the wire, as providers send it.
struct Pieces {
    pieces: Arc<[Bytes]>,
    next: usize,
    pause: Option<Interval>,
}

impl Pieces {
    fn new(pieces: &Arc<[Bytes]>, pause: Option<Duration>) -> Self {
        let pause = pause.map(|pause| interval_at(Instant::now(), pause));
        Self { pieces: Arc::clone(pieces), next: 0, pause }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = self.pieces.get(self.next).cloned() else { return Poll::Ready(None) };
        if let Some(pause) = &mut self.pause {
            ready!(pause.poll_tick(context));
        }
        self.next += 1;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.pieces.len()
    }

    fn size_hint(&self) -> SizeHint {
        match &*self.pieces {
            [only] if self.next == 0 => SizeHint::with_exact(only.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
